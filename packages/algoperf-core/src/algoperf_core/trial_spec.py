"""A trial as data: what the campaign hands to a trial process, and what it finds in a trial's folder.

A trial's folder is `RUNS/<submission>/study_<j>/<workload>_<framework>/trial_<k>/`; the definition of the
benchmark is `RUNS/<submission>/benchmark.toml`.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeGuard, cast

from algoperf_core.durable import write_durable
from algoperf_core.errors import CampaignError
from algoperf_core.outcomes import Outcome, TrialResult
from algoperf_core.spec import Framework

SPEC_FILE = "trial.json"
OUTCOME_FILE = "outcome.json"
PROGRESS_FILE = "progress.json"
CONSOLE_FILE = "console.log"
BENCHMARK_FILE = "benchmark.toml"


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """Everything that decides what a trial does.

    Args:
        benchmark: Name of the benchmark, whose definition lies in the submission's folder of the runs.
        ruleset: `external` or `self`.
        submission: What the user named: an installed submission or a path.
        submission_name: Name of the submission's folder in the runs.
        submission_sha256: Digest of the submission's files.
        framework: `jax` or `pytorch`.
        workload: Name of the workload.
        study: Number of the study, from 0.
        trial: Number of the trial in its study, from 1.
        seed: Seed of the trial.
        order_seed: Seed of the order in which trials took points of the search space.
        search_space: Path of the tuning search space; None in the self-tuning ruleset.
        hyperparameters: The point; None in the self-tuning ruleset.
        data_dir: Where prepared datasets are.
        imagenet_v2_data_dir: Where the test split of ImageNet is, if not in `data_dir`.
        max_global_steps: Step limit; None for none.
        checkpoint_period_s: Seconds between two checkpoints; 0 saves one after every evaluation, None never.
        trackers: Names of the trackers that are told of it.
        profile: Whether a few steps are traced; the trial then does not count.
        processes: Number of processes that train it together.
    """

    benchmark: str
    ruleset: str
    submission: str
    submission_name: str
    submission_sha256: str
    framework: Framework
    workload: str
    study: int
    trial: int
    seed: int
    order_seed: int
    search_space: str | None
    hyperparameters: dict[str, Any] | None
    data_dir: str
    imagenet_v2_data_dir: str | None = None
    max_global_steps: int | None = None
    checkpoint_period_s: float | None = 300.0
    trackers: list[str] = field(default_factory=list)
    profile: bool = False
    processes: int = 1

    def directory(self, runs: Path) -> Path:
        """Folder of the trial below the folder of the runs."""
        workload = f"{self.workload}_{self.framework}"
        return (
            runs / self.submission_name / f"study_{self.study}" / workload / f"trial_{self.trial}"
        )

    def label(self) -> str:
        """Short name for people."""
        return f"{self.submission_name} / {self.workload} / study {self.study} / trial {self.trial}"


def benchmark_file(trial_dir: Path) -> Path:
    """The definition that a trial runs under.

    Its own copy counts only where the folder was taken out of its runs.
    """
    own = trial_dir / BENCHMARK_FILE
    above = trial_dir.absolute().parents
    shared = (above[2] if len(above) > 2 else trial_dir) / BENCHMARK_FILE
    return own if own.exists() and not shared.exists() else shared


def write_spec(trial_dir: Path, spec: TrialSpec) -> None:
    """Creates a trial's folder with its specification."""
    trial_dir.mkdir(parents=True, exist_ok=True)
    write_json(trial_dir / SPEC_FILE, asdict(spec))


def read_spec(trial_dir: Path) -> TrialSpec:
    """Reads a trial's specification.

    Raises:
        CampaignError: The file cannot be read, or lacks or has unknown fields.
    """
    path = trial_dir / SPEC_FILE
    data = _read_json(path)
    names = {part.name for part in fields(TrialSpec)}
    needed = {
        part.name
        for part in fields(TrialSpec)
        if part.default is MISSING and part.default_factory is MISSING
    }
    if not needed <= data.keys() <= names:
        odd = ", ".join(sorted(needed - data.keys() | data.keys() - names))
        raise CampaignError(
            f"{path}: fields missing or unknown: {odd}; was it written by another version?"
        )
    return TrialSpec(**data)


def read_result(trial_dir: Path) -> TrialResult | None:
    """The result of a trial that came to an end; None while it has none."""
    path = trial_dir / OUTCOME_FILE
    if not path.exists():
        return None
    data = _read_json(path)
    try:
        return TrialResult.from_dict(data)
    except (KeyError, TypeError, ValueError) as error:
        raise CampaignError(f"{path}: not the outcome of a trial: {error}") from None


def is_done(result: TrialResult | None) -> TypeGuard[TrialResult]:
    """Whether a trial is never to be run again."""
    return result is not None and result.outcome is not Outcome.INTERRUPTED


def reopen(trial_dir: Path, result: TrialResult) -> None:
    """Makes a trial that ended with an error one that was interrupted, so that it runs again."""
    message = f"{result.outcome}: {result.message}"
    opened = replace(result, outcome=Outcome.INTERRUPTED, message=message)
    write_json(trial_dir / OUTCOME_FILE, opened.to_dict())


def write_json(path: Path, data: Any) -> None:
    """Writes JSON as the published logs have it: two spaces, no trailing newline; durably."""
    write_durable(path, json.dumps(data, indent=2).encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CampaignError(
            f"{path}: cannot be read: {error}; remove its folder to run it anew"
        ) from None
