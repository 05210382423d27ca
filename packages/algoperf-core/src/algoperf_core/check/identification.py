"""Rules on detecting the workload: by name, shapes, data, targets, hints, loss or structure.

Comparing with a constant is what makes a fact a fingerprint; formulas over the same facts are free. Two
measures are taken on purpose:

- Single thresholds on the model's whole size are warnings, since approximations may follow from memory;
  equality, a range or a table are errors. Sizes of single arrays may be compared by order, as
  preconditioners do.
- A set of metric names that holds every metric which is minimised tells the direction and nothing more: a
  warning. Any other choice of names picks workloads out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set

from algoperf_core.check.events import (
    Assignment,
    AttributeRead,
    Branch,
    Call,
    Comparison,
    Event,
    Lookup,
)
from algoperf_core.check.findings import Finding
from algoperf_core.check.names import BATCH_SIZES
from algoperf_core.check.values import Carries, Constant, Value

# Up to here numbers speak of axes, halves and the like rather than of a certain model.
LARGEST_GENERIC = 8
# All metrics of the published benchmarks that are better when lower.
MINIMISED_METRICS = {"loss", "wer"}
GENERIC_BATCH_KEYS = {"inputs", "targets", "weights"}
GENERIC_METRICS = {f"{split}/loss" for split in ("train", "validation", "test")}

_ORDERS = {"Lt", "LtE", "Gt", "GtE"}
_TESTS_OF_TEXT = {
    *("startswith", "endswith", "find", "rfind", "index", "rindex", "count", "__eq__", "__ne__"),
    "__contains__",
}
_BY_NAME = {"builtins.getattr", "importlib.import_module", "builtins.__import__"}
_MATCHERS = ("re.", "fnmatch.", "operator.", "difflib.")


def functions_of_batch_size(
    callers: Mapping[str, Set[str]], functions: Iterable[str], handed: Set[str]
) -> set[str]:
    """Functions that serve the choice of a batch size alone, and may know the workload's name.

    Args:
        callers: Functions of the submission that call a function, by this function.
        functions: All functions, as dotted names.
        handed: Functions that were handed over as `batch_size`.
    """
    exempt = set(handed)
    exempt |= {name for name in functions if name.rpartition(":")[2] in BATCH_SIZES}
    while True:
        more = {
            name
            for name, by in callers.items()
            if name not in exempt and by and all(_within(caller, exempt) for caller in by)
        }
        if not more:
            return exempt
        exempt |= more


def _within(scope: str, functions: Set[str]) -> bool:
    return any(scope == name or scope.startswith(f"{name}.") for name in functions)


def identification(events: Iterable[Event], exempt: Set[str]) -> Iterator[Finding]:
    """Findings on detecting the workload.

    Args:
        events: What the source does.
        exempt: Functions that may know the workload's name.
    """
    for event in events:
        if _within(event.place.scope, exempt):
            yield from _kept_name(event)
            continue
        match event:
            case Comparison(asserted=False, against_none=False):
                yield from _comparison(event)
            case Lookup():
                yield from _lookup(event)
            case Call():
                yield from _call(event)
            case Branch(test=test) if Carries.NAME in test.carries:
                yield event.finding("workload-name", "depends on the workload's name or class")
            case AttributeRead(base=base, name="__dict__" | "__module__"):
                if Carries.WORKLOAD in base.carries:
                    yield event.finding("workload-name", "looks into the workload's class")


def _kept_name(event: Event) -> Iterator[Finding]:
    if not isinstance(event, Assignment) or Carries.NAME not in event.value.carries:
        return
    if event.outer or event.attribute is not None:
        yield event.finding(
            "workload-name-kept", "keeps the workload's name beyond the choice of the batch size"
        )


def _comparison(event: Comparison) -> Iterator[Finding]:
    for told, other in ((event.left, event.right), (event.right, event.left)):
        if Carries.NAME in told.carries:
            yield event.finding("workload-name", "compares the workload's name or class")
            return
        for carried, judge in _JUDGES.items():
            if told.carries & carried:
                yield from judge(event, told, other)
    yield from _membership(event)


def _membership(event: Comparison) -> Iterator[Finding]:
    if event.operator not in ("In", "NotIn") or not event.left.is_literal:
        return
    names = {str(constant) for constant in event.left.constants}
    if Carries.BATCH in event.right.carries and not names <= GENERIC_BATCH_KEYS:
        yield event.finding("workload-data", f"asks whether a batch has {_shown(names)}")
    metrics = {name for name in names if "/" in name} - GENERIC_METRICS
    if Carries.RESULTS in event.right.carries and metrics:
        yield event.finding("workload-target", f"asks whether there is a metric {_shown(metrics)}")
    if Carries.PARAMS in event.right.carries and not event.right.carries & Carries.LEAVES:
        yield event.finding("workload-structure", f"asks whether the model has {_shown(names)}")


def _by_shape(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    large = _large(other)
    if large and event.operator not in _ORDERS:
        yield event.finding("workload-shapes", f"compares a shape with {_shown(large)}")


def _by_total(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    large = _large(other)
    if not large:
        return
    if event.operator in _ORDERS and not event.bounded:
        yield event.finding("workload-size", f"compares the model's size with {_shown(large)}")
    else:
        yield event.finding("workload-shapes", f"compares the model's size with {_shown(large)}")


def _by_data(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    if large := _large(other, 1):
        yield event.finding("workload-data", f"compares facts of the dataset with {_shown(large)}")


def _by_target(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    if other.is_literal:
        yield event.finding("workload-target", f"compares a target with {_shown(other.constants)}")


def _by_metric(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    names = {str(constant) for constant in other.constants}
    if not names or other.carries:
        return
    membership = event.operator in ("In", "NotIn") and event.left is told
    if membership and names >= MINIMISED_METRICS:
        yield event.finding(
            "metric-direction", f"asks whether the metric is one of {_shown(names)}"
        )
    else:
        yield event.finding("workload-target", f"picks out the metric {_shown(names)}")


def _by_hint(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    large = _large(other, 1)
    if not large:
        return
    single = event.operator in _ORDERS and not event.bounded
    rule_id = "workload-hint-range" if single else "workload-hint"
    yield event.finding(rule_id, f"compares a horizon of the workload with {_shown(large)}")


def _by_loss(event: Comparison, told: Value, other: Value) -> Iterator[Finding]:
    yield event.finding("workload-loss-type", "compares the type of the loss")


_Judge = Callable[[Comparison, Value, Value], Iterator[Finding]]
_JUDGES: Mapping[Carries, _Judge] = {
    Carries.SHAPE: _by_shape,
    Carries.TOTAL: _by_total,
    Carries.DATA: _by_data,
    Carries.TARGET: _by_target,
    Carries.METRIC: _by_metric,
    Carries.HINT: _by_hint,
    Carries.LOSS: _by_loss,
}


def _large(value: Value, above: float = LARGEST_GENERIC) -> list[Constant]:
    if not value.is_literal:
        return []
    numbers = [n for n in value.constants if isinstance(n, int | float)]
    # A shape is told by all its numbers; one that is no axis or half is enough.
    return sorted(n for n in numbers if abs(n) > above)


def _lookup(event: Lookup) -> Iterator[Finding]:
    key, table = event.key.carries, event.table
    if Carries.NAME in key:
        yield event.finding("workload-name", "looks something up by the workload's name")
    if not table.table or table.carries & (Carries.RESULTS | Carries.BATCH):
        return
    numbers = any(isinstance(constant, int | float) for constant in table.constants)
    for carried, rule_id, applies in (
        (Carries.METRIC, "workload-target", not numbers),
        (Carries.TARGET, "workload-target", numbers),
        (Carries.DATA, "workload-data", numbers),
        (Carries.HINT, "workload-hint", numbers),
        (Carries.SHAPE | Carries.TOTAL, "workload-shapes", numbers),
        (Carries.LOSS, "workload-loss-type", True),
    ):
        if key & carried and applies:
            yield event.finding(rule_id, "looks something up in a table keyed by such values")


def _call(event: Call) -> Iterator[Finding]:
    names = event.function.origins
    arguments = event.everything()
    carried = Carries.NOTHING
    for argument in (event.receiver, *arguments):
        carried |= argument.carries
    if Carries.NAME in carried and _tests_text(event):
        yield event.finding("workload-name", "tests the workload's name")
    if names & _BY_NAME and any(
        Carries.NAME in value.carries for value in arguments[1:] or arguments
    ):
        yield event.finding("workload-name", "chooses code by the workload's name")
    if event.arguments and Carries.WORKLOAD in event.arguments[0].carries:
        if names & {"builtins.isinstance", "builtins.issubclass"}:
            yield event.finding("workload-name", "tests the workload's class")
        if "builtins.hasattr" in names:
            yield event.finding("workload-structure", "asks what the workload has")


def _tests_text(event: Call) -> bool:
    return event.method in _TESTS_OF_TEXT or any(
        name.startswith(_MATCHERS) for name in event.function.origins
    )


def _shown(constants: Iterable[object]) -> str:
    texts = sorted((repr(constant) for constant in constants), key=lambda text: (len(text), text))
    return ", ".join(texts[:3]) + (", ..." if len(texts) > 3 else "")
