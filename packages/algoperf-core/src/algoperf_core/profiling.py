"""`--profile`: a trace of a few steps, taken after warm-up, in the folder `profile` of the trial.

A profiler slows the steps that it watches, and takes that time from the submission. The trial is therefore
marked as unscored before it begins: `profile` is true in `trial.json` and `flags_0.json`, and its evaluations
go to a file that no scorer reads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from algoperf_core.backends import Backend
from algoperf_core.profiling_plan import PROFILE_FOLDER, TRACED_STEPS, WARM_UP_STEPS
from algoperf_core.spec import Framework
from algoperf_core.training import Progress

log = logging.getLogger(__name__)


class Tracer(Protocol):
    """A framework's profiler."""

    def start(self, folder: Path) -> None:
        """Begins to trace into an existing folder."""
        ...

    def step(self, global_step: int) -> None:
        """Marks the beginning of a step."""
        ...

    def stop(self) -> None:
        """Writes the trace."""
        ...


def load_tracer(framework: Framework) -> Tracer:
    """Imports a framework's profiler."""
    module, attribute = {
        "jax": ("algoperf_core.jax_tracer", "JaxTracer"),
        "pytorch": ("algoperf_core.torch_tracer", "TorchTracer"),
    }[framework]
    tracer: Tracer = getattr(import_module(module), attribute)()
    return tracer


@contextmanager
def watcher(
    progress: Progress, trial_dir: Path, backend: Backend, *, profile: bool
) -> Iterator[Progress]:
    """Gives what the training loop is to report to: `progress` alone, or a profile that passes on to it."""
    if not profile:
        yield progress
        return
    profiled = Profile(
        progress, trial_dir / PROFILE_FOLDER, backend, load_tracer(backend.framework)
    )
    try:
        yield profiled
    finally:
        profiled.end()


class Profile:
    """Traces the steps after warm-up.

    Args:
        progress: Who watches the trial otherwise.
        folder: Where the trace goes.
        backend: The framework.
        tracer: Its profiler.
    """

    def __init__(self, progress: Progress, folder: Path, backend: Backend, tracer: Tracer) -> None:
        self._progress = progress
        self._folder = folder
        self._backend = backend
        self._tracer = tracer
        self._steps = 0
        self._tracing = False

    def after_step(self, global_step: int, submission_s: float) -> None:
        """Begins, marks or ends the trace."""
        self._progress.after_step(global_step, submission_s)
        self._steps += 1
        if self._steps == WARM_UP_STEPS:
            self._start(global_step)
        elif self._tracing and self._steps == WARM_UP_STEPS + TRACED_STEPS:
            self._stop()
        elif self._tracing:
            self._tracer.step(global_step)

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Passes it on."""
        self._progress.after_evaluation(metrics)

    def end(self) -> None:
        """Writes what was traced, if the trial ended meanwhile."""
        if self._tracing:
            self._stop()
        elif self._steps < WARM_UP_STEPS:
            log.warning(
                "no trace: the trial ended after %d steps, and tracing begins after %d",
                self._steps,
                WARM_UP_STEPS,
            )

    def _start(self, global_step: int) -> None:
        self._folder.mkdir(exist_ok=True)
        self._backend.synchronize()
        self._tracer.start(self._folder)
        self._tracing = True
        self._tracer.step(global_step)

    def _stop(self) -> None:
        self._tracing = False
        self._backend.synchronize()
        self._tracer.stop()
        log.warning("trace of steps after step %d: %s", WARM_UP_STEPS, self._folder)
