"""How a trial goes on after an interruption: from the newest whole checkpoint, with the loss on record.

Reads what the last attempt left in the trial's folder, cuts the measurements back to what the checkpoint
knows, and appends to `interruptions.json`. No framework is needed for this.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from algoperf_core.checkpoints import Checkpoint, CheckpointFolder, Found
from algoperf_core.durable import write_durable
from algoperf_core.measurements import FILES
from algoperf_core.outcomes import TrialResult
from algoperf_core.progress import read_snapshot
from algoperf_core.trial_checkpoints import Summary, read_summary
from algoperf_core.trial_spec import OUTCOME_FILE, PROGRESS_FILE, read_result

log = logging.getLogger(__name__)

INTERRUPTIONS_FILE = "interruptions.json"
INTERRUPTED, KILLED, MACHINE_RESTARTED = "interrupted", "killed", "machine_restarted"


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """A stretch of work that was lost, and why.

    Lost work is not on the ledger of the trial that goes on: it is charged when it is done again.

    Args:
        cause: `interrupted` (asked to stop, or out of disk space), `killed` (ended without a word), or
            `machine_restarted` (the same, and this machine was started since).
        message: What the attempt said when it ended, if it could.
        checkpoint_step: Step of the checkpoint that the trial goes on from; 0 where it starts anew.
        reached_step: The last step that is known to be done; for killed trials up to half a second old.
        lost_steps: Steps between the two.
        lost_from_s: Submission time at the checkpoint, in seconds.
        lost_to_s: Submission time at the last known step.
        lost_submission_s: Seconds of submission time between the two.
        lost_rows: Rows that were cut off, by file.
        last_seen: When the attempt was last known to be alive, in UTC.
        resumed: When this was found out, in UTC.
        damaged_checkpoints: Newer checkpoints that were not whole, and why.
        data_restarted: Whether the input pipeline has no position, so that its data start over.
    """

    cause: str
    message: str | None
    checkpoint_step: int
    reached_step: int
    lost_steps: int
    lost_from_s: float
    lost_to_s: float
    lost_submission_s: float
    lost_rows: dict[str, int]
    last_seen: str | None
    resumed: str
    damaged_checkpoints: list[str]
    data_restarted: bool


@dataclass(frozen=True)
class Resumption:
    """Where a trial goes on.

    Args:
        checkpoint: The checkpoint; None to start anew.
        interruptions: All interruptions of the trial so far, oldest first.
    """

    checkpoint: Checkpoint | None
    interruptions: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Ended:
    """What is known of how an attempt ended."""

    cause: str
    message: str | None
    reached_step: int
    reached_submission_s: float
    last_seen: str | None


def resume(trial_dir: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Resumption:
    """Prepares a trial's folder for the next attempt and says where that begins.

    Args:
        trial_dir: Folder of the trial.
        now: Date and time, for the record.
    """
    folder = CheckpointFolder(trial_dir)
    found = folder.find()
    for problem in found.damaged:
        log.warning("checkpoint %s; falling back to the one before", problem)
    interruptions = read_interruptions(trial_dir)
    begun_at = interruptions[-1]["checkpoint_step"] if interruptions else 0
    latest = _interruption(trial_dir, found, begun_at, now())
    if latest is not None and not (interruptions and _is_same(interruptions[-1], latest)):
        interruptions.append(latest)
        text = json.dumps(interruptions, indent=2)
        write_durable(trial_dir / INTERRUPTIONS_FILE, text.encode())
    folder.set_aside(found)
    _cut_back(trial_dir, found.newest)
    for name in (OUTCOME_FILE, PROGRESS_FILE):
        (trial_dir / name).unlink(missing_ok=True)
    return Resumption(found.newest, tuple(interruptions))


def read_interruptions(trial_dir: Path) -> list[dict[str, Any]]:
    """Interruptions of a trial so far, oldest first."""
    try:
        text = (trial_dir / INTERRUPTIONS_FILE).read_text(encoding="utf-8")
        read: list[dict[str, Any]] = json.loads(text)
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        path = trial_dir / INTERRUPTIONS_FILE
        log.warning("%s cannot be read and is put aside: %s", path, error)
        path.replace(path.with_name(f"damaged_{path.name}"))
        return []
    return read


def _interruption(
    trial_dir: Path, found: Found, begun_at: int, now: datetime
) -> dict[str, Any] | None:
    rows = {name: _rows(trial_dir / name) for name in FILES if (trial_dir / name).exists()}
    ended = _ended(trial_dir)
    checkpoint = found.newest
    kept = {name: _rows(checkpoint.path / name) if checkpoint else 0 for name in rows}
    lost_rows = {name: max(rows[name] - kept[name], 0) for name in rows}
    step = checkpoint.global_step if checkpoint else 0
    if ended is None and not any(lost_rows.values()) and step <= begun_at:
        return None  # it did no step, so nothing was lost
    summary = read_summary(checkpoint) if checkpoint else Summary(0.0, True)
    ended = ended or _Ended(KILLED, None, 0, 0.0, None)
    return asdict(
        Interruption(
            cause=ended.cause,
            message=ended.message,
            checkpoint_step=step,
            reached_step=max(ended.reached_step, step),
            lost_steps=max(ended.reached_step - step, 0),
            lost_from_s=summary.submission_s,
            lost_to_s=max(ended.reached_submission_s, summary.submission_s),
            lost_submission_s=max(ended.reached_submission_s - summary.submission_s, 0.0),
            lost_rows=lost_rows,
            last_seen=ended.last_seen,
            resumed=now.isoformat(timespec="seconds"),
            damaged_checkpoints=list(found.damaged),
            data_restarted=not summary.data_position,
        )
    )


def _ended(trial_dir: Path) -> _Ended | None:
    result = read_result(trial_dir)
    if result is not None:
        return _said(result, trial_dir / OUTCOME_FILE)
    path = trial_dir / PROGRESS_FILE
    snapshot = read_snapshot(path)
    if not path.exists() or (snapshot is not None and snapshot.global_step == 0):
        return None
    seen = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    restarted = datetime.fromtimestamp(psutil.boot_time(), UTC) > seen
    return _Ended(
        cause=MACHINE_RESTARTED if restarted else KILLED,
        message=None,
        reached_step=snapshot.global_step if snapshot else 0,
        reached_submission_s=snapshot.submission_s if snapshot else 0.0,
        last_seen=seen.isoformat(timespec="seconds"),
    )


def _said(result: TrialResult, path: Path) -> _Ended:
    return _Ended(
        cause=INTERRUPTED,
        message=result.message,
        reached_step=result.global_step,
        reached_submission_s=result.ledger_s.get("submission", 0.0),
        last_seen=datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
    )


def _is_same(recorded: dict[str, Any], found: dict[str, Any]) -> bool:
    # An attempt that was killed before it had put the folder in order finds the same traces again.
    names = ("cause", "checkpoint_step", "reached_step", "lost_to_s", "last_seen")
    return all(recorded.get(name) == found[name] for name in names)


def _cut_back(trial_dir: Path, checkpoint: Checkpoint | None) -> None:
    for name in FILES:
        if checkpoint is not None and (checkpoint.path / name).exists():
            write_durable(trial_dir / name, (checkpoint.path / name).read_bytes())
        else:
            (trial_dir / name).unlink(missing_ok=True)


def _rows(path: Path) -> int:
    if not path.exists():
        return 0
    # By lines: a file that lost its end to a power failure may hold anything.
    with path.open("rb") as file:
        return max(sum(1 for line in file if line.strip()) - 1, 0)
