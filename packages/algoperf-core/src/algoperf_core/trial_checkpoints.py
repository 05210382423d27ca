"""What a checkpoint of a trial holds, and how a run is put back to where it was.

`state.json` describes all state, the framework's arrays lie in its own format beside it, NumPy's in
`numpy.npz`, and the two CSV files as they were.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from algoperf_core.checkpoints import Checkpoint, CheckpointFolder
from algoperf_core.errors import CheckpointError
from algoperf_core.measurements import FILES
from algoperf_core.processes import ALONE, Processes
from algoperf_core.spec import Framework
from algoperf_core.state_trees import (
    Arrays,
    Description,
    Facts,
    array_facts,
    describe,
    rebuild,
    unrestorable,
)
from algoperf_scoring import AlgoperfError

log = logging.getLogger(__name__)

STATE_FILE = "state.json"
NUMPY_FILE = "numpy.npz"
# What each process has for itself.
OWN_TREES = ("random", "hidden")


class FrameworkArrays(Arrays, Protocol):
    """A framework's part of a checkpoint."""

    def write(self, folder: Path, arrays: Mapping[str, Any]) -> None:
        """Writes arrays into a folder."""
        ...

    def read(self, folder: Path, facts: Mapping[str, Facts]) -> dict[str, Any]:
        """Reads the arrays that facts describe."""
        ...

    def beside(self, params: Any) -> Arrays:
        """The same for the state beside the parameters, which may refer to them."""
        ...

    def without_arrays(self, tree: Any) -> Any:
        """A tree that serves as template without keeping arrays alive, where the framework allows it."""
        ...

    def hidden_state(self, params: Any) -> Any:
        """What the framework keeps in global generators and in the parameters themselves."""
        ...

    def set_hidden_state(self, params: Any, state: Any) -> None:
        """Puts that back."""
        ...


@dataclass
class RunState:
    """Everything that a training run continues from.

    Args:
        params: Parameters; in PyTorch the module.
        optimizer_state: What the submission keeps.
        model_state: Batch statistics and the like.
        queue_position: Position of the input pipeline; None where it has none.
        facts: Counters, times, ledger and evaluations, as plain values.
    """

    params: Any
    optimizer_state: Any
    model_state: Any
    queue_position: Any
    facts: dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """What a checkpoint says of itself without a framework.

    Args:
        submission_s: Submission time in seconds.
        data_position: Whether it holds the position of the input pipeline.
    """

    submission_s: float
    data_position: bool


class TrialCheckpoints:
    """Saves a run now and then, and restores it.

    Args:
        trial_dir: Folder of the trial.
        framework: The framework.
        period_s: Seconds of wall-clock between two checkpoints; 0 saves after every evaluation, None never.
        start: The checkpoint to continue from; None starts afresh.
        processes: Those that train the trial together. Rank 0 saves what they share; of the others, each
            saves the state of its generators and the like.
    """

    def __init__(
        self,
        trial_dir: Path,
        framework: Framework,
        period_s: float | None,
        start: Checkpoint | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self._processes = processes
        self._trial_dir = trial_dir
        self._folder = CheckpointFolder(trial_dir)
        self._framework = framework
        self._period_s = period_s
        self._start = start
        self._last_s = 0.0
        self._template: dict[str, Any] = {}
        self.failed = 0

    def begin(self, state: RunState, attempt_s: float) -> RunState | None:
        """Takes note of what a run starts with, and returns the state that it continues from, if any.

        Args:
            state: The state after set-up, whose objects become part of the result.
            attempt_s: Seconds since the process began.

        Raises:
            CheckpointError: The checkpoint does not fit the run.
        """
        self._last_s = attempt_s
        if self._period_s is None and self._start is None:
            return None
        self._arrays = _load_arrays(self._framework)
        try:
            described = self._describe(state)
        except CheckpointError as error:
            if self._start is not None:
                raise
            log.warning("this trial saves no checkpoints: %s", error)
            self._period_s = None
            return None
        self._template = {name: tree.skeleton for name, tree in described.items()}
        return None if self._start is None else self._restore(self._start, state)

    def is_due(self, attempt_s: float) -> bool:
        """Whether it is time for a checkpoint.

        Args:
            attempt_s: Seconds since the process began.
        """
        return self._period_s is not None and attempt_s - self._last_s >= self._period_s

    def save(self, state: RunState, attempt_s: float) -> None:
        """Saves a run; one that cannot be saved goes on with the older checkpoint, and says so.

        Args:
            state: The state, all of it computed.
            attempt_s: Seconds since the process began.
        """
        self._last_s = attempt_s
        try:
            self._save(state)
        except (AlgoperfError, OSError) as error:
            self.failed += 1
            log.warning(
                "no checkpoint at step %d, training goes on with the one before: %s",
                state.facts["global_step"],
                error,
            )

    def _save(self, state: RunState) -> None:
        step = state.facts["global_step"]
        if self._processes.count == 1:
            self._folder.save(
                step, lambda folder: self._write(folder, self._describe(state), state)
            )
            return
        described, problem = {}, None
        try:
            # By all at once: arrays that lie on the devices of several processes are put together here.
            described = self._describe(state)
            self._write_own(described)
        except (AlgoperfError, OSError) as error:
            problem = error
        if self._processes.any(problem is not None):
            raise problem or CheckpointError("another process could not save its part")
        if self._processes.is_first:
            self._folder.save(step, lambda folder: self._write_shared(folder, described, state))

    def _write_own(self, described: Mapping[str, Description]) -> None:
        """Writes what only this process has; rank 0 takes it into the checkpoint."""
        if self._processes.is_first:
            return
        folder = self._part(self._processes.rank)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._write_trees(folder, {name: described[name] for name in OWN_TREES}, {})

    def _part(self, rank: int) -> Path:
        return self._folder.path / f".rank_{rank}.part"

    def _write_shared(
        self, folder: Path, described: Mapping[str, Description], state: RunState
    ) -> None:
        self._write(folder, described, state)
        for rank in range(1, self._processes.count):
            self._part(rank).rename(folder / f"rank_{rank}")

    def clear(self) -> None:
        """Removes all checkpoints."""
        self._folder.clear()

    def _describe(self, state: RunState) -> dict[str, Description]:
        beside = self._arrays.beside(state.params)
        trees = {
            "optimizer_state": state.optimizer_state,
            "model_state": state.model_state,
            "queue": state.queue_position,
            "facts": state.facts,
            "random": {"python": random.getstate(), "numpy": np.random.get_state(legacy=False)},
        }
        described = {name: describe(tree, beside, name) for name, tree in trees.items()}
        described["params"] = describe(state.params, self._arrays, "params")
        hidden = self._arrays.hidden_state(state.params)
        described["hidden"] = describe(hidden, self._arrays, "hidden")
        return described

    def _write(self, folder: Path, described: Mapping[str, Description], state: RunState) -> None:
        for name in ("optimizer_state", "model_state", "params"):
            reason = unrestorable(described[name].skeleton, self._template[name], name)
            if reason is not None:
                raise CheckpointError(reason)
        for name in FILES:
            if (self._trial_dir / name).exists():
                shutil.copyfile(self._trial_dir / name, folder / name)
        summary = {
            "submission_s": sum(state.facts["ledger"]["submission"].values()),
            "data_position": state.queue_position is not None,
        }
        facts = {"summary": summary, "processes": self._processes.count}
        self._write_trees(folder, described, facts)

    def _write_trees(
        self, folder: Path, described: Mapping[str, Description], facts: Mapping[str, Any]
    ) -> None:
        parts = described.values()
        self._arrays.write(folder, {k: v for part in parts for k, v in part.arrays.items()})
        np.savez(folder / NUMPY_FILE, **{k: v for part in parts for k, v in part.numpy.items()})  # type: ignore[arg-type]
        skeletons = {name: tree.skeleton for name, tree in described.items()}
        text = json.dumps({**facts, "trees": skeletons})
        (folder / STATE_FILE).write_text(text, encoding="utf-8")

    def _read_trees(self, folder: Path, skeletons: Mapping[str, Any]) -> dict[str, Description]:
        facts = {k: v for tree in skeletons.values() for k, v in array_facts(tree).items()}
        arrays = self._arrays.read(folder, facts)
        with np.load(folder / NUMPY_FILE, allow_pickle=False) as stored:
            numpy = dict(stored)
        return {name: Description(tree, arrays, numpy) for name, tree in skeletons.items()}

    def _restore(self, checkpoint: Checkpoint, state: RunState) -> RunState:
        try:
            return self._rebuild(checkpoint, state)
        except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{checkpoint.path}: the trial cannot continue from this checkpoint: {error}; use the "
                f"versions of packages that wrote it, or delete {checkpoint.path.parent} to start anew"
            ) from error

    def _rebuild(self, checkpoint: Checkpoint, state: RunState) -> RunState:
        stored = _read_state(checkpoint.path)
        if (count := stored.get("processes", 1)) != self._processes.count:
            raise CheckpointError(
                f"it was made by {count} processes, and now there are {self._processes.count}"
            )
        skeletons = stored["trees"]
        arrays = self._arrays
        template_params = arrays.without_arrays(state.params)
        templates = {
            name: arrays.without_arrays(getattr(state, name))
            for name in ("optimizer_state", "model_state")
        }
        state.params = state.optimizer_state = state.model_state = None
        read = self._read_trees(checkpoint.path, skeletons)
        if not self._processes.is_first:
            own = checkpoint.path / f"rank_{self._processes.rank}"
            read |= self._read_trees(own, _read_state(own)["trees"])

        def restored(name: str, how: Arrays, template: Any = None) -> Any:
            return rebuild(read[name], how, template)

        params = restored("params", arrays, template_params)
        beside = arrays.beside(params)
        rebuilt = RunState(
            params=params,
            optimizer_state=restored("optimizer_state", beside, templates["optimizer_state"]),
            model_state=restored("model_state", beside, templates["model_state"]),
            queue_position=restored("queue", beside),
            facts=restored("facts", beside),
        )
        # Last: building all this may have drawn from the generators.
        arrays.set_hidden_state(params, restored("hidden", arrays))
        generators = restored("random", arrays)
        random.setstate(generators["python"])
        np.random.set_state(generators["numpy"])
        return rebuilt


def read_summary(checkpoint: Checkpoint) -> Summary:
    """What a checkpoint says of itself."""
    return Summary(**_read_state(checkpoint.path)["summary"])


def _read_state(folder: Path) -> dict[str, Any]:
    text = (folder / STATE_FILE).read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _load_arrays(framework: Framework) -> FrameworkArrays:
    module, attribute = {
        "jax": ("algoperf_core.jax_checkpoints", "JaxArrays"),
        "pytorch": ("algoperf_core.torch_checkpoints", "TorchArrays"),
    }[framework]
    arrays: FrameworkArrays = getattr(import_module(module), attribute)()
    return arrays
