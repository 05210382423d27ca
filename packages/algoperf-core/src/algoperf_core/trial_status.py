"""The state of every trial in a folder of runs, read from its files alone: by anybody, at any time.

Nothing is locked or written. Files that are damaged, or come from another version, are named and do not
keep the rest from being read.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from algoperf_core.outcomes import Outcome
from algoperf_core.progress import Snapshot, parse_snapshot
from algoperf_core.trial_spec import CONSOLE_FILE, OUTCOME_FILE, PROGRESS_FILE, SPEC_FILE
from algoperf_scoring import AlgoperfError, Benchmark, LogError
from algoperf_scoring.layout import check_folder, subfolders, trial_folders, workload_and_framework

STALE_AFTER_S = 30.0  # a running trial says every half second that it is there
FAILED = frozenset({Outcome.CRASHED, Outcome.OUT_OF_MEMORY})


class State(enum.StrEnum):
    """What a trial is doing."""

    DONE = "done"
    RUNNING = "running"
    STALE = "stale"  # it began, came to no end, and does not say that it is there: its process died
    TO_DO = "to_do"  # not begun, or interrupted
    UNKNOWN = "unknown"  # its files are damaged, or `algoperf run` did not write them


@dataclass(frozen=True)
class Problem:
    """A file or folder that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """What the folder of a trial says.

    Args:
        submission: Name of the submission's folder.
        study: Name of the study's folder.
        workload: Name of the workload.
        framework: `jax` or `pytorch`; empty if the folder does not say.
        trial: Name of the trial's folder.
        path: The folder.
        state: What the trial is doing.
        outcome: Its outcome, also one that only another version knows; None before its end.
        message: What went wrong, if anything did.
        time_to_target_s: Submission time until its target; None if it has not met it.
        budget_s: Its budget in seconds; None if that is not known.
        submission_s: Submission time so far, in seconds.
        wall_s: Wall-clock seconds so far, as on its ledger.
        age_s: Seconds since it last said where it is; None if it never did.
        snapshot: Where it was then.
        scored: Whether it counts; a profiled trial does not.
    """

    submission: str
    study: str
    workload: str
    framework: str
    trial: str
    path: Path
    state: State
    outcome: str | None = None
    message: str | None = None
    time_to_target_s: float | None = None
    budget_s: float | None = None
    submission_s: float = 0.0
    wall_s: float = 0.0
    age_s: float | None = None
    snapshot: Snapshot | None = None
    scored: bool = True

    @property
    def label(self) -> str:
        """Short name for people."""
        study, trial = self.study.replace("_", " "), self.trial.replace("_", " ")
        return f"{self.submission} / {self.workload} / {study} / {trial}"

    @property
    def console(self) -> Path:
        """What its process printed."""
        return self.path / CONSOLE_FILE

    @property
    def failed(self) -> bool:
        """Whether an error ended it."""
        return self.outcome in FAILED


@dataclass
class StatusReader:
    """Reads a folder of runs; `problems` lists what could not be read.

    Args:
        runs: The folder of the runs, or of one submission in it.
        now_epoch_s: The present moment, to be compared with the times of files.
        stale_after_s: How old the last sign of life of a running trial may be.
    """

    runs: Path
    now_epoch_s: float
    stale_after_s: float = STALE_AFTER_S
    problems: list[Problem] = field(default_factory=list)
    _benchmarks: dict[Path, Benchmark | None] = field(default_factory=dict)

    def read(self) -> list[TrialStatus]:
        """The trials, sorted by submission, study, workload and number.

        Raises:
            LogError: The folder is not there.
        """
        check_folder(self.runs)
        found = [trial for folder in self._subfolders(self.runs) for trial in self._trials(folder)]
        return found or list(self._trials(self.runs))

    def _trials(self, submission: Path) -> Iterator[TrialStatus]:
        for study in self._subfolders(submission):
            for workload in self._subfolders(study):
                try:
                    trials, _ = trial_folders(str(workload))
                except LogError as error:
                    self._note(workload, str(error))
                    continue
                for _, trial in trials:
                    yield self.trial(Path(trial.path))

    def _subfolders(self, folder: Path) -> list[Path]:
        try:
            return [Path(found.path) for found in subfolders(str(folder))]
        except LogError as error:
            self._note(folder, str(error))
            return []

    def trial(self, path: Path) -> TrialStatus:
        """The state of the trial in a folder."""
        submission, study, folder, trial = path.absolute().parts[-4:]
        workload, framework = workload_and_framework(folder)
        known = len(self.problems)
        spec = self._object(path / SPEC_FILE)
        outcome = self._object(path / OUTCOME_FILE)
        snapshot, age_s = self._progress(path / PROGRESS_FILE)
        damaged = len(self.problems) > known
        status = TrialStatus(
            submission=submission,
            study=study,
            workload=workload,
            framework=framework,
            trial=trial,
            path=path,
            state=self._state(spec, outcome, age_s, damaged),
            budget_s=self._budget_s(path, workload, spec, snapshot),
            submission_s=snapshot.submission_s if snapshot else 0.0,
            wall_s=snapshot.wall_s if snapshot else 0.0,
            age_s=age_s,
            snapshot=snapshot,
            scored=not (spec or {}).get("profile", False),
        )
        return status if outcome is None else _with_outcome(status, outcome)

    def _state(
        self,
        spec: dict[str, Any] | None,
        outcome: dict[str, Any] | None,
        age_s: float | None,
        damaged: bool,
    ) -> State:
        if outcome is not None and isinstance(outcome.get("outcome"), str):
            return State.TO_DO if outcome["outcome"] == Outcome.INTERRUPTED else State.DONE
        if age_s is not None:
            return State.RUNNING if age_s <= self.stale_after_s else State.STALE
        return State.UNKNOWN if damaged or outcome is not None or spec is None else State.TO_DO

    def _progress(self, path: Path) -> tuple[Snapshot | None, float | None]:
        """The last snapshot and its age in seconds."""
        try:
            # A clock that is ahead of this one makes no negative age.
            age_s = max(self.now_epoch_s - path.stat().st_mtime, 0.0)
            return parse_snapshot(path.read_text(encoding="utf-8")), age_s
        except FileNotFoundError:
            return None, None
        except (OSError, ValueError, RecursionError) as error:
            self._note(path, str(error))
            return None, None

    def _object(self, path: Path) -> dict[str, Any] | None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self._note(path, str(error))
            return None
        if not isinstance(data, dict):
            self._note(path, "not a JSON object")
            return None
        return data

    def _budget_s(
        self, path: Path, workload: str, spec: dict[str, Any] | None, snapshot: Snapshot | None
    ) -> float | None:
        if snapshot is not None:
            return snapshot.budget_s
        benchmark = self._benchmark(path.parents[2] / "benchmark.toml")
        ruleset = (spec or {}).get("ruleset")
        if benchmark is None or ruleset not in benchmark.rulesets:
            return None
        try:
            return benchmark.budget_s(workload, str(ruleset))
        except AlgoperfError:
            return None

    def _benchmark(self, path: Path) -> Benchmark | None:
        if path not in self._benchmarks:
            self._benchmarks[path] = self._read_benchmark(path)
        return self._benchmarks[path]

    def _read_benchmark(self, path: Path) -> Benchmark | None:
        try:
            text = path.read_text(encoding="utf-8")
            return Benchmark.from_toml(text, source=str(path), trusted=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # an AlgoperfError is a ValueError
            self._note(path, str(error))
            return None

    def _note(self, path: Path, reason: str) -> None:
        self.problems.append(Problem(str(path), reason.removeprefix(f"{path}: ")))


def _with_outcome(status: TrialStatus, outcome: dict[str, Any]) -> TrialStatus:
    """Fills in what an outcome says, as far as it has the form that is expected."""
    ledger = outcome.get("ledger_s")
    ledger = ledger if isinstance(ledger, dict) else {}
    seconds = {name: value for name, value in ledger.items() if isinstance(value, int | float)}
    name, message, time_s = (outcome.get(key) for key in ("outcome", "message", "time_to_target_s"))
    return replace(
        status,
        outcome=name if isinstance(name, str) else None,
        message=message if isinstance(message, str) else None,
        time_to_target_s=float(time_s) if isinstance(time_s, int | float) else None,
        submission_s=seconds.get("submission", status.submission_s),
        wall_s=sum(seconds.values()) or status.wall_s,
        scored=status.scored and outcome.get("profiled") is not True,
    )
