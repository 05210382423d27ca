"""Files, network, programs, threads and the like, as the interpreter itself reports them.

Every event is traced to the line of the submission that caused it. What frameworks do on their own
(compilation caches, libraries, sources for tracebacks) is not the submission's doing.
"""

from __future__ import annotations

import _thread
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

from algoperf_core.check.observations import Line, Observations, frames

RULES_OF_EVENTS = {
    "open": "files",
    "os.remove": "files",
    "os.rename": "files",
    "os.mkdir": "files",
    "os.rmdir": "files",
    "os.listdir": "files",
    "os.scandir": "files",
    "os.truncate": "files",
    "shutil.copyfile": "files",
    "shutil.rmtree": "files",
    "socket.connect": "network",
    "socket.bind": "network",
    "socket.getaddrinfo": "network",
    "socket.__new__": "network",
    "subprocess.Popen": "commands",
    "os.system": "commands",
    "os.exec": "commands",
    "os.posix_spawn": "commands",
    "os.fork": "threads",
    "os.putenv": "environment-write",
    "os.unsetenv": "environment-write",
    "ctypes.dlopen": "custom-kernels",
    "sys.settrace": "interpreter-hooks",
    "sys.setprofile": "interpreter-hooks",
    "sys.addaudithook": "interpreter-hooks",
    "object.__setattr__": "patching",
}
# Only where the submission itself calls them: the standard library does so all the time.
RULES_OF_DIRECT_EVENTS = {
    "sys._getframe": "harness-internals",
    "sys._current_frames": "harness-internals",
    "gc.get_objects": "harness-internals",
    "gc.get_referrers": "harness-internals",
    "gc.get_referents": "harness-internals",
}
_STDLIB = sysconfig.get_paths()["stdlib"]
_SOURCE_READERS = ("linecache.py", "inspect.py", "tokenize.py", "traceback.py", "warnings.py")
_FRAMEWORKS = {
    *("jax", "jaxlib", "torch", "flax", "optax", "orbax", "numpy", "triton", "scipy", "absl"),
    *("ml_dtypes", "grain", "datasets", "functorch"),
}
# Parts of frameworks that open files because they are told to.
_FILE_FUNCTIONS = ("_npyio_impl.py", "npyio.py", "torch/serialization.py", "torch/hub.py")


class Audit:
    """Notes what the submission does to the world, from `install` to `remove`.

    Args:
        observations: Where it is noted.
        folder: Folder of the submission, whose files it may read.
    """

    def __init__(self, observations: Observations, folder: Path) -> None:
        self._observations = observations
        self._folder = str(folder)
        self._local = threading.local()
        self.active = False
        self.threads: dict[threading.Thread, Line] = {}
        """Threads that the submission started, and where."""

    def install(self) -> None:
        """Begins to listen."""
        self.active = True
        sys.addaudithook(self._hear)
        # The interpreter reports no start of a thread.
        threading._start_new_thread = self._start_thread  # type: ignore[attr-defined]

    def remove(self) -> None:
        """Ends to listen; the interpreter keeps its hook, which does nothing any more."""
        self.active = False
        threading._start_new_thread = _thread.start_new_thread  # type: ignore[attr-defined]

    def _start_thread(self, function: Any, args: tuple[Any, ...], *rest: Any) -> int:
        thread, line = getattr(function, "__self__", None), self._culprit(direct=False)
        if line is not None and isinstance(thread, threading.Thread):
            self.threads[thread] = line
        return _thread.start_new_thread(function, args, *rest)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active or getattr(self._local, "hearing", False):
            return
        direct = event in RULES_OF_DIRECT_EVENTS
        if not direct and event not in RULES_OF_EVENTS:
            return
        # What this method does itself raises events, too.
        self._local.hearing = True
        line = self._culprit(direct)
        if line is not None:
            self._note(event, args, line)
        self._local.hearing = False

    def _note(self, event: str, args: tuple[Any, ...], line: Line) -> None:
        if event == "object.__setattr__" and args[1] != "__code__":
            return
        rule_id = RULES_OF_EVENTS.get(event) or RULES_OF_DIRECT_EVENTS[event]
        what = f" {args[0]!r}" if args and isinstance(args[0], str | bytes) else ""
        if event == "open" and not _writes(args) and str(args[0]).startswith(self._folder):
            rule_id = "own-files"
        self._observations.add(rule_id, f"was seen to do {event}{what}", line)

    def _culprit(self, direct: bool) -> Line | None:
        """The line of the submission that caused an event; None where others come between."""
        for frame in frames(sys._getframe(2)):
            line = self._observations.line_of_frame(frame)
            if line is not None:
                return line
            if direct or not _is_transparent(frame.f_code.co_filename):
                return None
        return None


def _writes(args: tuple[Any, ...]) -> bool:
    return isinstance(args[1], str) and bool(set(args[1]) & set("wax+"))


def _is_transparent(filename: str) -> bool:
    """Whether code acts for its caller rather than on its own account."""
    if filename.startswith("<"):
        return "importlib" not in filename
    if filename.endswith(_FILE_FUNCTIONS):
        return True
    if filename.endswith(_SOURCE_READERS) or "/importlib/" in filename:
        return False
    parts = Path(filename).parts
    packages = set(parts[-6:])
    ours = any(part.startswith("algoperf_") for part in packages)
    if filename.startswith(_STDLIB) and "site-packages" not in parts:
        return True
    return not ours and not packages & _FRAMEWORKS
