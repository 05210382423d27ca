"""Scoring a competition's worth of logs, side by side with reading the same bytes.

Run with: pytest packages/algoperf-scoring/benchmarks --benchmark-group-by=group
"""

from pathlib import Path

import numpy as np
import pytest

from algoperf_scoring import load_benchmark, score_logs

BENCHMARK = load_benchmark("algoperf-v0.5")
SUBMISSIONS, STUDIES, TRIALS, EVALUATIONS = 2, 5, 5, 60
OTHER_COLUMNS = 12


def measurements(metric: str, target: float, rng: np.random.Generator) -> str:
    """A file as wide as the published ones, whose last evaluation is at the target."""
    columns = ["global_step", "score", f"validation/{metric}"]
    columns += [f"train/metric_{index}" for index in range(OTHER_COLUMNS)]
    times = np.cumsum(rng.uniform(60.0, 90.0, EVALUATIONS))
    lines = [",".join(columns)]
    for step, seconds in enumerate(times.tolist()):
        value = target if step == EVALUATIONS - 1 else float("nan")
        cells = [seconds, value, *rng.normal(size=OTHER_COLUMNS).tolist()]
        lines.append(",".join((str(step), *map(repr, cells))))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("logs"), np.random.default_rng(0)
    for submission in range(SUBMISSIONS):
        for study in range(STUDIES):
            for name in BENCHMARK.scored:
                workload = BENCHMARK.workload(name)
                for trial in range(1, TRIALS + 1):
                    place = f"sub_{submission}/study_{study}/{name}_jax/trial_{trial}"
                    (root / place).mkdir(parents=True)
                    text = measurements(workload.metric, workload.validation_target, rng)
                    (root / place / "eval_measurements.csv").write_text(text)
    return root


def read_all(root: Path) -> int:
    """The baseline: what scoring cannot do without."""
    return sum(len(path.read_text()) for path in root.rglob("eval_measurements.csv"))


@pytest.mark.benchmark(group="700 trials of 60 evaluations")
def test_reading_the_bytes(benchmark, logs):
    assert benchmark(read_all, logs) > 0


@pytest.mark.benchmark(group="700 trials of 60 evaluations")
def test_scoring(benchmark, logs):
    leaderboard = benchmark(score_logs, logs, BENCHMARK)
    assert leaderboard.times.trials_reached.sum() == 700
