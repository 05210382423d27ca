"""Which functions of frameworks, standard library and harness are what they were."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from algoperf_core.spec import Framework

ALWAYS = ("builtins", "time", "os", "math", "random", "threading", "gc", "numpy", "numpy.random")
OF_FRAMEWORK: dict[Framework, tuple[str, ...]] = {
    "jax": (
        *("jax", "jax.numpy", "jax.lax", "jax.nn", "jax.random", "jax.tree", "jax.tree_util"),
        *("optax", "flax.linen"),
    ),
    "pytorch": (
        *("torch", "torch.nn", "torch.nn.functional", "torch.autograd", "torch.optim"),
        *("torch.cuda", "torch.distributed", "torch.linalg"),
        # Replaces functions of PyTorch when it is imported, which the first optimizer does.
        "torch._dynamo",
    ),
}
# PyTorch wraps these itself, when the first optimizer of a class is made.
WRAPPED_BY_FRAMEWORK = {"step", "zero_grad"}


def names_of(framework: Framework) -> FrozenNames:
    """The functions that a submission in a framework must leave alone."""
    return FrozenNames((*ALWAYS, *OF_FRAMEWORK[framework]))


class FrozenNames:
    """Remembers functions by identity, and tells which are others now.

    Args:
        modules: Modules to remember; those that are not installed are left out.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        self._modules = [_import(name) for name in modules]
        self._before = dict(self._names())

    def changed(self) -> list[str]:
        """Dotted names that stand for something else since the last look, or for nothing."""
        now = dict(self._names())
        missing = object()
        changed = [
            name for name, what in self._before.items() if now.get(name, missing) is not what
        ]
        self._before = now
        return changed

    def _names(self) -> Iterator[tuple[str, Any]]:
        for module in [*filter(None, self._modules), *_harness()]:
            yield f"sys.modules[{module.__name__!r}]", sys.modules.get(module.__name__)
            for name, value in list(vars(module).items()):
                if callable(value):
                    yield f"{module.__name__}.{name}", value
                # `isinstance` would ask the object, and some of PyTorch's warn when they are asked.
                if issubclass(type(value), type) and value.__module__ != "builtins":
                    yield from _methods(f"{module.__name__}.{name}", value)


def _methods(name: str, owner: type) -> Iterator[tuple[str, Any]]:
    for method, value in list(vars(owner).items()):
        is_function = callable(value) or isinstance(value, staticmethod | classmethod | property)
        if is_function and method not in WRAPPED_BY_FRAMEWORK:
            yield f"{name}.{method}", value


def _import(name: str) -> ModuleType | None:
    return import_module(name) if find_spec(name.partition(".")[0]) is not None else None


def _harness() -> list[ModuleType]:
    return [
        module for name, module in list(sys.modules.items()) if name.startswith("algoperf_core.")
    ]
