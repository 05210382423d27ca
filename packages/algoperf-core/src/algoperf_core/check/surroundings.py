"""Rules on everything around the training: environment, files, network, threads, kernels, settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate

from algoperf_core.check.events import (
    Assignment,
    AttributeRead,
    Call,
    Comparison,
    Event,
    Import,
    Lookup,
    Reference,
)
from algoperf_core.check.findings import Finding
from algoperf_core.check.values import Carries, Value

READABLE_VARIABLES = {"LOCAL_RANK", "RANK", "WORLD_SIZE"}
_ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}

_PATH_METHODS = (
    *("read_text", "read_bytes", "write_text", "write_bytes", "open", "unlink", "mkdir", "touch"),
    *("rename", "replace", "rmdir", "iterdir", "glob", "rglob", "symlink_to", "hardlink_to"),
)
_OS_FILES = (
    *("open", "remove", "unlink", "rename", "replace", "mkdir", "makedirs", "listdir", "scandir"),
    *("walk", "rmdir", "truncate", "mkfifo", "memfd_create", "symlink", "link"),
)

# Names by the rule that using them touches.
USES: dict[str, Sequence[str]] = {
    "files": (
        *("builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"),
        *(f"pathlib.*.{method}" for method in _PATH_METHODS),
        *(f"os.{name}" for name in _OS_FILES),
        *("shutil.*", "mmap.mmap", "sqlite3.*", "shelve.*", "dbm.*", "h5py.*", "tempfile.*"),
        *("zipfile.*", "tarfile.*", "fileinput.*", "pandas.read_*", "safetensors.*"),
        *("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap"),
        *("numpy.save*", "jax.numpy.load", "jax.numpy.save*", "torch.load", "torch.save"),
        *("torch.jit.load", "torch.from_file", "flax.training.checkpoints.*", "orbax.*"),
        *("importlib.resources.*", "pkgutil.get_data", "logging.FileHandler"),
        "multiprocessing.shared_memory.*",
    ),
    "network": (
        *("socket.*", "ssl.*", "http.client.*", "http.server.*", "urllib.request.*", "urllib3.*"),
        *("requests.*", "httpx.*", "aiohttp.*", "ftplib.*", "smtplib.*", "xmlrpc.*", "paramiko.*"),
        *("boto3.*", "wandb.*", "mlflow.*", "huggingface_hub.*", "gdown.*", "fsspec.*"),
    ),
    "commands": (
        *("subprocess.*", "os.system", "os.popen", "os.exec*", "os.spawn*", "os.posix_spawn*"),
        *("pty.*", "pexpect.*", "asyncio.create_subprocess_*"),
    ),
    "pretrained": (
        *("*.from_pretrained", "torch.hub.*", "timm.*", "torchvision.models.*", "transformers.*"),
        *("datasets.load_dataset", "flax.serialization.from_bytes", "*.msgpack_restore"),
    ),
    "custom-kernels": (
        *("torch.utils.cpp_extension.*", "*.load_inline", "triton.*", "ctypes.*", "cffi.*"),
        *("jax.experimental.pallas.*", "cupy.*", "numba.*", "pycuda.*", "jax.ffi.*", "pyximport.*"),
        *("tvm.*", "torch.ops.load_library", "jax.extend.ffi.*"),
    ),
    "compiler-flags": (
        *("jax.config.update", "torch.set_float32_matmul_precision", "torch.set_num_threads"),
        *("torch.set_num_interop_threads", "torch.set_default_dtype", "torch.set_default_device"),
        *("torch.use_deterministic_algorithms", "torch.set_flush_denormal", "torch._C._set*"),
        *("torch.backends.*.enable_*", "torch.backends.*.set_*", "torch.backends.*.flags"),
        *("jax.default_matmul_precision", "torch._C._jit*", "torch.backends.*.preferred_*"),
    ),
    "interpreter-hooks": (
        *("signal.signal", "signal.setitimer", "signal.alarm", "sys.settrace", "sys.setprofile"),
        *("threading.settrace", "threading.setprofile", "atexit.*", "sys.addaudithook"),
        *("weakref.finalize", "gc.callbacks", "sys.monitoring.*"),
    ),
    "harness-internals": (
        *("sys._getframe", "sys._current_frames", "inspect.currentframe", "inspect.stack"),
        *("inspect.trace", "inspect.getouterframes", "gc.get_objects", "gc.get_referrers"),
        *("gc.get_referents", "traceback.walk_stack"),
    ),
    "patching": ("unittest.mock.*", "mock.*", "wrapt.*", "forbiddenfruit.*"),
    "opaque-code": (
        *("pickle.*", "marshal.*", "dill.*", "cloudpickle.*", "joblib.load", "types.CodeType"),
        "_pickle.*",
    ),
    "dynamic-code": (
        *("builtins.exec", "builtins.eval", "builtins.compile", "builtins.__import__"),
        *("builtins.globals", "importlib.import_module", "importlib.util.*"),
        *("importlib.machinery.*", "importlib.reload", "runpy.*"),
    ),
    "streams": ("torch.cuda.Stream*", "torch.cuda.stream", "torch.cuda.ExternalStream"),
    "random-state": (
        *("torch.manual_seed", "torch.random.manual_seed", "torch.seed", "torch.set_rng_state"),
        *("torch.cuda.manual_seed*", "numpy.random.seed", "numpy.random.set_state", "random.seed"),
    ),
    "sleep": ("time.sleep",),
}

# Functions and classes that may be named, but not called.
CALLS: dict[str, Sequence[str]] = {
    "added-layers": ("torch.nn.*Dropout*", "flax.linen.Dropout", "flax.nnx.Dropout"),
    "dynamic-code": ("types.FunctionType",),
}

# Modules that there is no harmless use of.
IMPORTS: dict[str, Sequence[str]] = {
    "custom-kernels": (
        *("triton", "ctypes", "cffi", "cupy", "numba", "pycuda", "pyximport", "tvm"),
        *("jax.experimental.pallas", "torch.utils.cpp_extension"),
    ),
    "opaque-code": ("dill", "cloudpickle"),
    "patching": ("unittest.mock", "wrapt", "forbiddenfruit"),
}

_CONCURRENT = (
    *("threading.Thread", "threading.Timer", "_thread.start_new_thread", "_thread.start_new"),
    *("concurrent.futures.*Executor", "multiprocessing.Process", "multiprocessing.Pool"),
    *("multiprocessing.pool.*", "multiprocessing.get_context", "multiprocessing.Manager"),
    *("torch.multiprocessing.*", "asyncio.*", "os.fork", "os.forkpty", "joblib.Parallel", "ray.*"),
)


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(name) for name in names))


_USED = {rule_id: _pattern(names) for rule_id, names in USES.items()}
_CALLED = {rule_id: _pattern(names) for rule_id, names in CALLS.items()}
_CONCURRENT_USE = _pattern(_CONCURRENT)


def surroundings(events: list[Event], trees: Iterable[ast.Module]) -> Iterator[Finding]:
    """Findings on what a submission does with the world around it.

    Args:
        events: What the source does.
        trees: The syntax of all its files.
    """
    yield from _environment(events)
    yield from _files(events)
    yield from _concurrency(events, _managed(trees))
    for event in events:
        match event:
            case Reference(value=value):
                yield from _uses(event, value)
            case Import(value=value):
                yield from _imports(event, value)
            case Call():
                yield from _call(event)
            case AttributeRead(name="from_pretrained" | "tofile" as name):
                rule_id = "pretrained" if name == "from_pretrained" else "files"
                yield event.finding(rule_id, f"uses {name}")


def _uses(event: Event, value: Value) -> Iterator[Finding]:
    for origin in _names(value):
        for rule_id, pattern in _USED.items():
            if rule_id != "files" and pattern.match(origin):
                yield event.finding(rule_id, f"uses {_plain(origin)}")


def _names(value: Value) -> list[str]:
    """The names that a value stands for; what calls and indices gave are objects of their own."""
    return sorted(name for name in value.origins if not name.endswith(("()", "[]")))


def _plain(origin: str) -> str:
    return origin.removeprefix("builtins.").replace("()", "")


def _imports(event: Event, value: Value) -> Iterator[Finding]:
    for origin in sorted(value.origins):
        for rule_id, names in IMPORTS.items():
            if any(origin == name or origin.startswith(f"{name}.") for name in names):
                yield event.finding(rule_id, f"imports {origin}")


def _call(event: Call) -> Iterator[Finding]:
    for rule_id, pattern in _CALLED.items():
        if any(map(pattern.match, _names(event.function))):
            yield event.finding(rule_id, f"calls {_plain(min(event.function.origins))}")
    if "compiler_options" in event.keywords:
        yield event.finding("compiler-flags", "passes compiler_options")
    if event.method == "load_state_dict" and any(map(_from_file, event.everything())):
        yield event.finding("pretrained", "loads parameters that were read from a file")


def _from_file(value: Value) -> bool:
    return Carries.OWN_FILE in value.carries or any(
        _USED["files"].match(origin.removesuffix("()")) for origin in value.origins
    )


def _line(event: Event) -> tuple[str, int]:
    return event.place.module.name, getattr(event.node, "lineno", 0)


def _environment(events: list[Event]) -> Iterator[Finding]:
    explained = set()
    for event in events:
        match event:
            case Assignment(base=base) if "os.environ" in base.origins:
                yield event.finding("environment-write", "changes an environment variable")
                explained.add(_line(event))
            case Call(function=function) if function.origins & {"os.putenv", "os.unsetenv"}:
                yield event.finding("environment-write", "changes an environment variable")
            case _ if _reads_rank(event):
                explained.add(_line(event))
    for event in events:
        reads = isinstance(event, Reference) and event.value.origins & _ENVIRONMENT
        if reads and _line(event) not in explained:
            yield event.finding("environment-read", "reads the environment")


def _reads_rank(event: Event) -> bool:
    """Whether an event reads one of the variables that say which process this is."""
    match event:
        case Lookup(table=table, key=key) if "os.environ" in table.origins:
            names = key.constants
        case Comparison(left=left, right=right) if "os.environ" in right.origins:
            names = left.constants
        case Call(function=function, arguments=(key, *_)) if "os.getenv" in function.origins:
            names = key.constants
        case _:
            return False
    return bool(names) and names <= READABLE_VARIABLES


def _files(events: list[Event]) -> Iterator[Finding]:
    harmless = set()
    for event in events:
        if isinstance(event, Call) and any(
            "io.BytesIO()" in value.origins for value in event.everything()
        ):
            harmless.add(_line(event))
        if isinstance(event, Call) and _touches_file(event.function) and _reads_own(event):
            harmless.add(_line(event))
            yield event.finding("own-files", "reads a file beside the submission")
    for event in events:
        match event:
            case Reference(value=value) if _touches_file(value) and _line(event) not in harmless:
                yield event.finding("files", f"uses {_plain(min(value.origins))}")


def _touches_file(value: Value) -> bool:
    return any(map(_USED["files"].match, _names(value)))


def _reads_own(event: Call) -> bool:
    own = any(Carries.OWN_FILE in value.carries for value in (event.receiver, *event.everything()))
    modes = {str(c) for value in event.everything() for c in value.constants if len(str(c)) <= 3}
    name = event.method or ""
    writes = name.startswith(("write", "save", "unlink", "mkdir", "touch", "rename", "remove"))
    return own and not writes and not any(set(mode) & set("wax+") for mode in modes)


def _concurrency(events: list[Event], managed: set[int]) -> Iterator[Finding]:
    joined = any(
        isinstance(event, Call) and event.method in ("join", "shutdown") and not event.arguments
        for event in events
    )
    called = {id(event.syntax.func) for event in events if isinstance(event, Call)}
    for event in events:
        if not isinstance(event, Reference):
            continue
        names = [name for name in sorted(event.value.origins) if _CONCURRENT_USE.match(name)]
        if not names:
            continue
        left = id(event.node) in called and id(event.node) not in managed and not joined
        left = left and not names[0].startswith("asyncio.")
        yield event.finding("threads-left" if left else "threads", f"uses {names[0]}")


def _managed(trees: Iterable[ast.Module]) -> set[int]:
    """The syntax of what `with` blocks end, by identity."""
    items = (
        item.context_expr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith)
        for item in node.items
    )
    return {id(node) for item in items for node in ast.walk(item)}
