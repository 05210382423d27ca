"""Rules on what belongs to the harness and the frameworks: queue, records, fixed functions, inner parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import algoperf_core
from algoperf_core.check.events import Assignment, AttributeRead, Call, Event, Import
from algoperf_core.check.findings import Finding
from algoperf_core.check.values import Carries, Value

PUBLIC_MODULES = {
    *algoperf_core.__all__,
    *("submission", "errors", "sharding", "batch_sizes", "averaging", "weight_decay"),
    *("optax_submission", "torch_submission", "published", "__version__"),
}
"""What a submission may import from `algoperf_core`."""

FIXED_METHODS = {"forward", "__call__", "__class__", "train", "eval", "state_dict", "apply"}
SETTINGS = ("torch.backends", "torch._dynamo.config", "torch._inductor.config", "jax.config")
_FRAMES = {"f_back", "f_locals", "f_globals", "gi_frame", "tb_frame", "cr_frame"}
# What a function or class says of itself.
_LABELS = {"__module__", "__name__", "__qualname__", "__doc__"}
_SEARCH_PATHS = {"sys.path", "sys.meta_path", "sys.path_hooks"}
_HOOKS = ("register_forward_hook", "register_forward_pre_hook", "register_module_forward_hook")


@dataclass(frozen=True, eq=False)
class Change:
    """An attribute or an item of something is set or removed.

    Args:
        event: Where.
        base: What is changed.
        attribute: The attribute; None for an item, empty where it is not known.
    """

    event: Event
    base: Value
    attribute: str | None


def changes(events: Iterable[Event]) -> Iterator[Change]:
    """Assignments, deletions and calls of `setattr` and its like."""
    for event in events:
        match event:
            case Assignment(base=base, attribute=attribute):
                yield Change(event, base, attribute)
            case Call(function=function, arguments=(base, *rest)):
                if any(
                    name.endswith(("setattr", "delattr", "setattr__")) for name in function.origins
                ):
                    names = rest[0].constants if rest else ()
                    yield Change(event, base, "".join(map(str, names)))


def harness_rules(events: list[Event]) -> Iterator[Finding]:
    """Findings on changes of, and looks into, what belongs to the harness and the frameworks."""
    for change in changes(events):
        yield from _change(change)
    for event in events:
        match event:
            case AttributeRead(base=base, name=name):
                yield from _attribute(event, base, name)
            case Import(value=value):
                yield from _import(event, value)
            case Call():
                yield from _call(event)


def _change(change: Change) -> Iterator[Finding]:
    event, carries, name = change.event, change.base.carries, change.attribute
    if Carries.WORKLOAD in carries:
        yield event.finding("fixed-functions", f"changes {name or 'something'} of the workload")
    if Carries.QUEUE in carries:
        yield event.finding("input-queue", "changes the input queue")
    if carries & (Carries.TRAIN_STATE | Carries.RESULTS):
        which = "train_state" if Carries.TRAIN_STATE in carries else "eval_results"
        yield event.finding("harness-state", f"changes {which}")
    if carries & (Carries.PARAMS | Carries.PART) and name in FIXED_METHODS:
        yield event.finding("fixed-functions", f"replaces {name} of the model")
    if foreign := _foreign(change):
        rule_id = "compiler-flags" if foreign.startswith(SETTINGS) else "patching"
        shown = f"{foreign}.{name}" if name else foreign
        yield event.finding(rule_id, f"changes {shown}")
    if change.base.origins & _SEARCH_PATHS:
        yield event.finding("dynamic-code", "changes where modules are imported from")


def _foreign(change: Change) -> str | None:
    """The module or class of somebody else that is changed."""
    if change.attribute in _LABELS:
        return None
    for origin in sorted(change.base.origins):
        outside = not origin.startswith("@") and origin not in _SEARCH_PATHS
        is_class = origin.endswith(("builtins.type()", ".__class__", ".__dict__"))
        if origin == "sys.modules" or (outside and is_class):
            return origin
        # What calls and indices give are objects of the submission's own.
        made = "()" in origin or "[]" in origin
        if outside and change.attribute is not None and not made:
            return origin
    return None


def _attribute(event: AttributeRead, base: Value, name: str) -> Iterator[Finding]:
    if name == "_build_input_queue":
        yield event.finding("input-queue-built", "uses _build_input_queue")
    elif Carries.QUEUE in base.carries and name.startswith("_") and name != "__next__":
        yield event.finding("input-queue", f"looks into the input queue: {name}")
    elif Carries.WORKLOAD in base.carries and name.startswith("_"):
        if name == "_eval_model_on_split":
            yield event.finding("evaluation-on-clock", "evaluates")
        elif not name.startswith("__"):
            yield event.finding("harness-internals", f"uses {name} of the workload")
    if name == "eval_model":
        yield event.finding("evaluation-on-clock", "evaluates")
    if name in _FRAMES:
        yield event.finding("harness-internals", f"looks into its callers: {name}")
    if name in _HOOKS:
        yield event.finding("model-hooks", f"uses {name}")


def _import(event: Event, value: Value) -> Iterator[Finding]:
    for origin in value.origins:
        top, _, rest = origin.partition(".")
        if top == "algoperf_core" and rest and rest.partition(".")[0] not in PUBLIC_MODULES:
            yield event.finding("harness-internals", f"imports {origin}")


def _call(event: Call) -> Iterator[Finding]:
    """Private attributes that are asked for by `getattr`."""
    if "builtins.getattr" not in event.function.origins or len(event.arguments) < 2:
        return
    base = event.arguments[0]
    for name in map(str, event.arguments[1].constants):
        yield from _attribute(AttributeRead(event.place, event.node, base, name), base, name)
