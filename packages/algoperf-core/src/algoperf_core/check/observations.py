"""What guards saw during a run, with the line of the submission that did it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from algoperf_core.check.findings import Finding

Line = tuple[Path, int]


class Observations:
    """Findings of one run, as they are made.

    Args:
        files: All Python files of the submission.
        entry: The file to point to where no line is known.
        workload: The workload that runs.
    """

    def __init__(self, files: frozenset[Path], entry: Path, workload: str) -> None:
        self._files = {str(path): path for path in files}
        self._entry = entry
        self._workload = workload
        self.findings: list[Finding] = []

    def add(self, rule_id: str, detail: str, line: Line | None = None) -> None:
        """Takes note of something; without a line, of the submission as a whole."""
        path, number = line or (self._entry, 0)
        self.findings.append(Finding(rule_id, path, number, detail, self._workload))

    def line_of_frame(self, frame: FrameType) -> Line | None:
        """The line that a frame is at, if it is the submission's own."""
        path = self._files.get(frame.f_code.co_filename)
        return None if path is None else (path, frame.f_lineno)

    def current_line(self) -> Line | None:
        """The innermost line of the submission that runs now."""
        lines = map(self.line_of_frame, frames(sys._getframe(1)))
        return next((line for line in lines if line is not None), None)

    def line_of_function(self, function: Callable[..., Any] | None) -> Line | None:
        """Where a function of the submission is defined."""
        while isinstance(function, partial):
            function = function.func
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        path = self._files.get(code.co_filename) if code is not None else None
        return None if path is None or code is None else (path, code.co_firstlineno)

    def line_of_error(self, trace: TracebackType | None) -> Line | None:
        """The innermost line of the submission in a traceback."""
        line = None
        while trace is not None:
            path = self._files.get(trace.tb_frame.f_code.co_filename)
            line = line if path is None else (path, trace.tb_lineno)
            trace = trace.tb_next
        return line


def frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and its callers, innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back
