"""The trackers of a trial, made from its specification."""

from __future__ import annotations

from pathlib import Path

from algoperf_core.trackers import TrialFacts
from algoperf_core.trackers.process import Trackers
from algoperf_core.trial_spec import TrialSpec, read_result
from algoperf_scoring import Benchmark


def trackers_of_trial(trial_dir: Path, spec: TrialSpec, benchmark: Benchmark) -> Trackers:
    """Starts the trackers that a trial's specification names."""

    def read_outcome() -> dict[str, object] | None:
        result = read_result(trial_dir)
        return None if result is None else result.to_dict()

    facts = trial_facts(trial_dir, spec, benchmark)
    return Trackers(spec.trackers, facts, spec.hyperparameters, read_outcome)


def trial_facts(trial_dir: Path, spec: TrialSpec, benchmark: Benchmark) -> TrialFacts:
    """What trackers are told of a trial."""
    goal = benchmark.workload(spec.workload)
    factor = benchmark.ruleset(spec.ruleset).budget_factor
    return TrialFacts(
        trial_dir=str(trial_dir.absolute()),
        benchmark=spec.benchmark,
        ruleset=spec.ruleset,
        submission=spec.submission_name,
        framework=spec.framework,
        workload=spec.workload,
        study=spec.study,
        trial=spec.trial,
        seed=spec.seed,
        metric=goal.metric,
        target=goal.validation_target,
        budget_s=None if goal.budget_s is None else goal.budget_s * factor,
        scored=not spec.profile,
    )
