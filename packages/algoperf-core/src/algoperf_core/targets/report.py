"""What the procedure found, as text that goes into a document as it is, and as a figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from algoperf_core.targets.procedure import CHECK, REPEAT, SEARCH
from algoperf_core.targets.results import Curve, Targets, best_value, first_hit, found_targets
from algoperf_scoring import AlgoperfError, BenchmarkWorkload


def report(curves: Sequence[Curve], goal: BenchmarkWorkload) -> str:
    """Targets and runs as Markdown.

    Args:
        curves: The results so far.
        goal: What the benchmark asks of the workload; its targets are not used.
    """
    found = found_targets(curves, goal)
    if found is None:
        return f"{len(curves)} runs are done; targets follow once the best points are repeated."
    lines = [
        f"- validation target: {goal.metric} {found.validation:g}, the median of {found.algorithm}",
        f"- test target: {'none' if found.test is None else f'{found.test:g}'}",
        "",
        *_algorithm_table(curves, goal, found),
        "",
        *_run_table(curves, goal, found.validation),
    ]
    return "\n".join(lines)


def _algorithm_table(
    curves: Sequence[Curve], goal: BenchmarkWorkload, found: Targets
) -> Iterator[str]:
    heads = (
        "algorithm",
        "point",
        "repetitions",
        "median",
        "points that meet it",
        "met in checks at",
    )
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for algorithm, median in found.medians.items():
        own = [curve for curve in curves if curve.run.algorithm == algorithm]
        repeated = [curve for curve in own if curve.run.stage == REPEAT]
        values = sorted(best_value(curve, goal) for curve in repeated)
        if goal.direction == "minimize":
            values.reverse()
        searched = [curve for curve in own if curve.run.stage == SEARCH]
        meeting = sum(first_hit(curve, goal, found.validation) is not None for curve in searched)
        checks = [_share(c, goal, found.validation) for c in own if c.run.stage == CHECK]
        yield (
            f"| {algorithm} | {repeated[0].run.point} | {values[0]:.4f} to {values[-1]:.4f} | {median:.4f} "
            f"| {meeting} of {len(searched)} | {', '.join(checks) or '-'} |"
        )


def _run_table(curves: Sequence[Curve], goal: BenchmarkWorkload, target: float) -> Iterator[str]:
    yield "| stage | algorithm | point | seed | steps | best | target reached at | hyperparameters |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for curve in curves:
        run = curve.run
        best = best_value(curve, goal)
        chosen = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in curve.hyperparameters.items()
        )
        yield (
            f"| {run.stage} | {run.algorithm} | {run.point} | {run.seed} | {run.steps} "
            f"| {f'{best:.4f}' if math.isfinite(best) else '-'} | {_share(curve, goal, target)} | {chosen} |"
        )


def _share(curve: Curve, goal: BenchmarkWorkload, target: float) -> str:
    hit = first_hit(curve, goal, target)
    return "never" if hit is None else f"{curve.evaluated_at[hit] / curve.run.steps:.0%}"


def draw(curves: Sequence[Curve], goal: BenchmarkWorkload, path: Path) -> None:
    """Draws the learning curves, an algorithm a panel: searches thin, repetitions bold, target dashed.

    Args:
        curves: The results so far.
        goal: What the benchmark asks of the workload; its targets are not used.
        path: PNG, SVG or PDF file.

    Raises:
        AlgoperfError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise AlgoperfError(
            'a figure needs matplotlib: pip install "algoperf-scoring[plot]"'
        ) from error
    algorithms = list(dict.fromkeys(curve.run.algorithm for curve in curves))
    figure = Figure(figsize=(4.0 * len(algorithms), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(algorithms), sharey=True, squeeze=False)[0]
    found = found_targets(curves, goal)
    for panel, algorithm in zip(panels, algorithms, strict=True):
        own = [curve for curve in curves if curve.run.algorithm == algorithm]
        for curve in own:
            bold = curve.run.stage == REPEAT
            if curve.run.stage != CHECK:
                panel.plot(
                    curve.evaluated_at,
                    curve.validation,
                    color="C0" if bold else "0.65",
                    linewidth=1.6 if bold else 0.8,
                    zorder=3 if bold else 2,
                )
        if found is not None:
            panel.axhline(found.validation, color="C3", linestyle="--", linewidth=1.0)
        panel.set(title=algorithm, xlabel="step")
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"validation {goal.metric}")
    figure.savefig(path, dpi=150)
