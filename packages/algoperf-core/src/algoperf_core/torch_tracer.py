"""PyTorch's profiler: a Chrome trace, for chrome://tracing and Perfetto."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function


class TorchTracer:
    """Writes `trace.json.gz`, with what ran on the CPU and on GPUs."""

    def __init__(self) -> None:
        self._step = ExitStack()

    def start(self, folder: Path) -> None:
        """Begins to trace."""
        self._file = folder / "trace.json.gz"
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=activities, record_shapes=True)
        self._profile.start()

    def step(self, global_step: int) -> None:
        """Marks the beginning of a step, so that tools tell steps apart."""
        self._step.close()
        self._step.enter_context(record_function(f"train step {global_step}"))

    def stop(self) -> None:
        """Writes the trace."""
        self._step.close()
        self._profile.stop()
        self._profile.export_chrome_trace(str(self._file))
