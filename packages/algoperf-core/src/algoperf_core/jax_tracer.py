"""JAX's profiler: a trace for TensorBoard's profile plugin, XProf and Perfetto."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import jax


class JaxTracer:
    """Writes `plugins/profile/<time>/*.xplane.pb` and `*.trace.json.gz`."""

    def __init__(self) -> None:
        self._step = ExitStack()

    def start(self, folder: Path) -> None:
        """Begins to trace."""
        jax.profiler.start_trace(str(folder))

    def step(self, global_step: int) -> None:
        """Marks the beginning of a step, so that tools tell steps apart."""
        self._step.close()
        annotation = jax.profiler.StepTraceAnnotation("train", step_num=global_step)
        self._step.enter_context(annotation)

    def stop(self) -> None:
        """Writes the trace."""
        self._step.close()
        jax.profiler.stop_trace()
