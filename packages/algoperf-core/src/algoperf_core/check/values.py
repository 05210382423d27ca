"""What a value in a submission's source may be: where it comes from, and what it tells about a workload."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

Constant = str | bytes | int | float

# Longer names come from loops such as `node = node.next`.
LONGEST_ORIGIN = 120


class Carries(enum.Flag):
    """What a value carries."""

    NOTHING = 0
    WORKLOAD = enum.auto()  # the workload itself
    NAME = enum.auto()  # its name or class, or something computed from it
    DATA = enum.auto()  # sizes and statistics of its dataset
    TARGET = enum.auto()  # its targets
    METRIC = enum.auto()  # the name of its target metric
    HINT = enum.auto()  # step hint and time limits
    LOSS = enum.auto()  # the type of its loss
    SHAPE = enum.auto()  # a shape, or a number of elements of one array
    TOTAL = enum.auto()  # the number of parameters or of arrays of the whole model
    PARAMS = enum.auto()  # parameters or the module
    PART = enum.auto()  # a part of the module
    LEAVES = enum.auto()  # all arrays of the parameters
    BATCH = enum.auto()
    QUEUE = enum.auto()
    TRAIN_STATE = enum.auto()
    RESULTS = enum.auto()  # eval_results
    KEYWORDS = enum.auto()  # the keywords of a function of the API
    OWN_FILE = enum.auto()  # a path beside the submission


IDENTIFYING = (
    Carries.NAME
    | Carries.DATA
    | Carries.TARGET
    | Carries.METRIC
    | Carries.HINT
    | Carries.LOSS
    | Carries.SHAPE
    | Carries.TOTAL
)
"""What may tell workloads apart."""

THROUGH_CALLS = (
    Carries.NAME | Carries.DATA | Carries.TARGET | Carries.METRIC | Carries.LOSS | Carries.OWN_FILE
)
"""What survives in the result of a function that nothing is known about."""

PARAMETERS = {
    "workload": Carries.WORKLOAD,
    "workload_name": Carries.NAME,
    "step_hint": Carries.HINT,
    "input_queue": Carries.QUEUE,
    "batch": Carries.BATCH,
    "eval_results": Carries.RESULTS,
    "train_state": Carries.TRAIN_STATE,
    "model_params": Carries.PARAMS,
    "current_param_container": Carries.PARAMS,
    "params": Carries.PARAMS,
    "model": Carries.PARAMS,
    "loss_type": Carries.LOSS,
}
"""What arguments carry by their names, which the API fixes."""

ATTRIBUTES_OF_WORKLOAD = {
    "name": Carries.NAME,
    "goal": Carries.WORKLOAD,
    "definition": Carries.WORKLOAD,
    "variant_of": Carries.NAME,
    "__class__": Carries.NAME,
    "__module__": Carries.NAME,
    "__dict__": Carries.NAME,
    "num_train_examples": Carries.DATA,
    "num_eval_train_examples": Carries.DATA,
    "num_validation_examples": Carries.DATA,
    "num_test_examples": Carries.DATA,
    "eval_batch_size": Carries.DATA,
    "train_mean": Carries.DATA,
    "train_stddev": Carries.DATA,
    "validation_target_value": Carries.TARGET,
    "test_target_value": Carries.TARGET,
    "validation_target": Carries.TARGET,
    "test_target": Carries.TARGET,
    "target_metric_name": Carries.METRIC,
    "metric": Carries.METRIC,
    "direction": Carries.NOTHING,
    "step_hint": Carries.HINT,
    "max_allowed_runtime_sec": Carries.HINT,
    "eval_period_time_sec": Carries.HINT,
    "budget_s": Carries.HINT,
    "eval_period_s": Carries.HINT,
    "loss_type": Carries.LOSS,
    "param_shapes": Carries.PARAMS,
    "model_params_types": Carries.NOTHING,
}
"""What an attribute of a workload carries; others carry nothing."""


COLLECTIONS = ("parameters", "named_parameters", "state_dict", "items", "values", "keys")
"""Methods of a module or a tree that give all its arrays."""


@dataclass(frozen=True)
class Value:
    """What an expression may be.

    Args:
        carries: What it tells.
        origins: Dotted names that it may stand for: `os.environ`; `pathlib.Path()` is the result of a call;
            names of the submission's own modules begin with `@`.
        constants: Numbers and strings that it may be, or that it holds.
        table: Whether it may be a table that is keyed by these constants.
    """

    carries: Carries = Carries.NOTHING
    origins: frozenset[str] = frozenset()
    constants: frozenset[Constant] = field(default=frozenset())
    table: bool = False

    def __or__(self, other: Value) -> Value:
        if other in (self, UNKNOWN):
            return self
        return Value(
            self.carries | other.carries,
            self.origins | other.origins,
            self.constants | other.constants,
            self.table or other.table,
        )

    @property
    def is_literal(self) -> bool:
        """Whether it is made of constants alone."""
        return bool(self.constants) and not self.carries

    def identifying(self) -> Value:
        """What may tell workloads apart, without the rest."""
        return Value(self.carries & IDENTIFYING)

    def as_text(self) -> Value:
        """What its text tells: that of a workload names its class."""
        named = Carries.NAME if Carries.WORKLOAD in self.carries else Carries.NOTHING
        return Value(self.carries & THROUGH_CALLS | named)

    def attribute(self, name: str) -> Value:
        """An attribute, by its dotted name and by what a workload's attributes carry."""
        origins = frozenset(
            f"{origin}.{name}" for origin in self.origins if len(origin) < LONGEST_ORIGIN
        )
        carries = Carries.NOTHING
        if Carries.WORKLOAD in self.carries:
            of_class = Carries.NAME if name.startswith("__") else Carries.NOTHING
            carries |= ATTRIBUTES_OF_WORKLOAD.get(name, of_class)
        if name in ("shape", "shape_tuple", "numel", "nelement"):
            carries |= Carries.SHAPE
        if name == "size" and any("ravel_pytree()" in origin for origin in self.origins):
            carries |= Carries.TOTAL
        if self.carries & (Carries.PARAMS | Carries.PART):
            carries |= Carries.LEAVES if name in COLLECTIONS else Carries.PART
        # The name of a name, a digit of a number: what was told is still told.
        carries |= self.carries & THROUGH_CALLS
        return Value(carries, origins)


UNKNOWN = Value()
