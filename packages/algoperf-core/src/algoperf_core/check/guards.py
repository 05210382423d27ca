"""What is looked at before and after every call of a submission's function.

Each guard watches one thing. Between the calls the harness works, so what differs after a call is what the
submission did in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import psutil

from algoperf_core.background import child_processes
from algoperf_core.check.contents import digest
from algoperf_core.check.frozen_names import FrozenNames
from algoperf_core.check.observations import Line, Observations
from algoperf_core.spec import Workload

MISSING = object()


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a submission's function, or the import of its file.

    Args:
        name: Name of the function in the API.
        line: Where it is defined.
        arguments: Its arguments by their published names.
    """

    name: str
    line: Line | None
    arguments: Mapping[str, Any]


class Guard(Protocol):
    """Looks at one thing before and after calls."""

    def before(self, call: Call) -> None:
        """Remembers how things are."""
        ...

    def after(self, call: Call) -> None:
        """Notes what has changed."""
        ...


class NamesGuard:
    """Functions of frameworks, standard library and harness stay what they are."""

    def __init__(self, observations: Observations, names: FrozenNames) -> None:
        self._observations = observations
        self._names = names

    def before(self, call: Call) -> None:
        """Nothing: the first look was before the submission was imported."""

    def after(self, call: Call) -> None:
        """Notes what was replaced, unless the harness's own imports did it."""
        if changed := self._names.changed():
            shown = ", ".join(changed[:3]) + (" and more" if len(changed) > 3 else "")
            self._observations.add("patching", f"{call.name} replaced {shown}", call.line)


class WorkloadGuard:
    """Facts and functions of the workload are fixed."""

    def __init__(self, observations: Observations, workload: Workload) -> None:
        self._observations = observations
        self._workload = workload
        self._goal = workload.goal
        self._before: dict[str, Any] = {}

    def before(self, call: Call) -> None:
        """Remembers all facts and functions by identity."""
        self._before = dict(self._facts())

    def after(self, call: Call) -> None:
        """Notes what was replaced."""
        now = dict(self._facts())
        names = self._before.keys() | now.keys()
        for name in sorted(names):
            if self._before.get(name, MISSING) is not now.get(name, MISSING):
                detail = f"{call.name} replaced {name} of the workload"
                self._observations.add("fixed-functions", detail, call.line)

    def _facts(self) -> Iterator[tuple[str, Any]]:
        kind = type(self._workload)
        for name, value in vars(self._workload).items():
            of_class = getattr(kind, name, MISSING)
            lazy = isinstance(of_class, cached_property)
            if not lazy and (not name.startswith("_") or of_class is not MISSING):
                yield name, value
        for owner in kind.__mro__[:-1]:
            for name, value in vars(owner).items():
                if callable(value) or isinstance(value, property):
                    yield f"{owner.__name__}.{name}", value
        # A frozen dataclass can be changed all the same.
        for name, value in vars(self._workload.goal).items():
            yield f"goal.{name}", value


class ModelGuard:
    """The layers of a PyTorch module, and what they compute, are fixed."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._module: Any = None
        self._before: dict[str, Any] = {}

    def before(self, call: Call) -> None:
        """Remembers layers and their functions, of the module that the harness made."""
        params = call.arguments.get("model_params")
        if self._module is None and hasattr(params, "named_modules"):
            self._module = params
        self._before = dict(self._facts())

    def after(self, call: Call) -> None:
        """Notes replaced functions, other layers and new hooks."""
        now = dict(self._facts())
        for name in sorted(self._before.keys() | now.keys()):
            old, new = self._before.get(name), now.get(name)
            if old == new:
                continue
            if name.endswith("hooks"):
                self._observations.add(
                    "model-hooks", f"{call.name} adds {name} to the model", call.line
                )
            else:
                detail = f"{call.name} changes {name or 'the module'} of the model"
                self._observations.add("fixed-functions", detail, call.line)

    def _facts(self) -> Iterator[tuple[str, Any]]:
        if self._module is None:
            return
        for name, layer in self._module.named_modules():
            yield name, (type(layer), type(layer).forward, vars(layer).get("forward"))
            yield f"{name} forward hooks".strip(), len(layer._forward_hooks)
            yield f"{name} forward pre-hooks".strip(), len(layer._forward_pre_hooks)


class SelectionGuard:
    """data_selection leaves parameters, states and hyperparameters alone."""

    WATCHED = ("optimizer_state", "model_params", "model_state", "hyperparameters")

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._before: dict[str, str | None] = {}

    def before(self, call: Call) -> None:
        """Remembers what they hold."""
        self._before = self._digests(call)

    def after(self, call: Call) -> None:
        """Notes which of them hold something else."""
        now = self._digests(call)
        for name, before in self._before.items():
            if before != now[name]:
                self._observations.add(
                    "data-selection", f"data_selection changed {name}", call.line
                )

    def _digests(self, call: Call) -> dict[str, str | None]:
        if call.name != "data_selection":
            return {}
        return {name: digest(call.arguments.get(name)) for name in self.WATCHED}


class SeedGuard:
    """The global generator of PyTorch is not seeded anew."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._before: int | None = None

    def before(self, call: Call) -> None:
        """Remembers the seed."""
        self._before = self._seed()

    def after(self, call: Call) -> None:
        """Notes another seed."""
        if self._before is not None and self._seed() != self._before:
            self._observations.add("random-state", f"{call.name} seeds PyTorch", call.line)

    @staticmethod
    def _seed() -> int | None:
        torch = sys.modules.get("torch")
        return None if torch is None else int(torch.initial_seed())


class ProcessGuard:
    """Keeps count of the processes that a submission starts."""

    def __init__(self) -> None:
        self._before: set[psutil.Process] = set()
        self.started: dict[psutil.Process, Line | None] = {}

    def before(self, call: Call) -> None:
        """Remembers the processes of the harness."""
        self._before = set(child_processes())

    def after(self, call: Call) -> None:
        """Remembers new ones with the function that started them."""
        for process in set(child_processes()) - self._before:
            self.started.setdefault(process, call.line)

    def harness_started(self, work: Callable[[], Any]) -> Any:
        """Does work of the harness in the middle of a call; its processes are the harness's."""
        before = set(child_processes())
        result = work()
        self._before |= set(child_processes()) - before
        return result
