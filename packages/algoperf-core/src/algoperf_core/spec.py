"""The vocabulary that submissions and workloads share: the published submission and workload API.

A submission imports names from here and nothing else of the harness. Names, enum values and call
styles are those of the published benchmark (Dahl et al. 2023, section 4), so that published
submissions run unmodified. No framework is imported.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from algoperf_scoring import BenchmarkWorkload

Framework = Literal["jax", "pytorch"]
FRAMEWORKS: tuple[Framework, ...] = ("jax", "pytorch")

Tensor = Any
RandomState = Any
Shape = tuple[int, ...]
ParameterKey = str
ParameterContainer = Any
ParameterShapeTree = Any
ParameterTypeTree = Any
ModelAuxiliaryState = Any
ModelInitState = tuple[ParameterContainer, ModelAuxiliaryState]
OptimizerState = Any
Hyperparameters = Any
Timing = float
Steps = int
Batch = Any
UpdateReturn = tuple[OptimizerState, ParameterContainer, ModelAuxiliaryState]
InitOptimizerFn = Callable[..., OptimizerState]
UpdateParamsFn = Callable[..., UpdateReturn]
PrepareForEvalFn = Callable[..., UpdateReturn]
DataSelectionFn = Callable[..., Batch]


class LossType(enum.Enum):
    """Which loss a workload trains on."""

    SOFTMAX_CROSS_ENTROPY = 0
    SIGMOID_CROSS_ENTROPY = 1
    MEAN_SQUARED_ERROR = 2
    CTC_LOSS = 3
    MEAN_ABSOLUTE_ERROR = 4


class ForwardPassMode(enum.Enum):
    """Whether a forward pass trains (dropout on, batch statistics) or evaluates."""

    TRAIN = 0
    EVAL = 1


class ParameterType(enum.Enum):
    """The kind of a parameter leaf; update rules may depend on it, never on a workload's name."""

    WEIGHT = 0
    BIAS = 1
    CONV_WEIGHT = 2
    BATCH_NORM_SCALE = 3
    BATCH_NORM_BIAS = 4
    LAYER_NORM_SCALE = 5
    LAYER_NORM_BIAS = 6
    EMBEDDING = 7
    ATTENTION_Q = 8
    ATTENTION_K = 9
    ATTENTION_V = 10
    ATTENTION_OUT = 11
    ATTENTION_QKV = 12
    ATTENTION_KV = 13
    ATTENTION_BIAS = 14


class ShapeTuple:
    """A parameter's shape that `tree.map` treats as a leaf (a bare tuple would be a subtree)."""

    def __init__(self, shape_tuple: Sequence[int]) -> None:
        self.shape_tuple = tuple(shape_tuple)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeTuple) and self.shape_tuple == other.shape_tuple

    def __hash__(self) -> int:
        return hash(self.shape_tuple)

    def __repr__(self) -> str:
        return f"ShapeTuple({self.shape_tuple})"


class TrainingCompleteError(Exception):
    """Raised by `update_params` to say that it has nothing left to do; one last evaluation follows."""


class MetricsLogger(Protocol):
    """Where a submission writes scalars of its own: `workload.metrics_logger`."""

    def append_scalar_metrics(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """Records scalars for a step; device arrays are converted later, off the clock."""
        ...


class Workload(abc.ABC):
    """A model, its data, loss and metrics, with the goal that a benchmark sets for them.

    Instances are hashable by identity, so that a submission may pass one as a static argument of
    `jax.jit`. Targets, budget, evaluation period and step hint come from the benchmark's definition
    (`goal`); everything else from the concrete workload.

    Args:
        goal: What the benchmark asks of this workload.
    """

    def __init__(self, goal: BenchmarkWorkload) -> None:
        self.goal = goal
        self.metrics_logger: MetricsLogger | None = None
        self._param_shapes: ParameterShapeTree | None = None
        self._param_types: ParameterTypeTree | None = None

    # What the benchmark decides.

    @property
    def name(self) -> str:
        """Name of the workload, as in the benchmark's definition."""
        return self.goal.name

    @property
    def target_metric_name(self) -> str:
        """Metric that the targets refer to, without the split's prefix."""
        return self.goal.metric

    @property
    def validation_target_value(self) -> float:
        """Value of `validation/<metric>` at which training counts as done."""
        return self.goal.validation_target

    @property
    def test_target_value(self) -> float | None:
        """Value of `test/<metric>`; informative, the score looks at the validation target."""
        return self.goal.test_target

    @property
    def max_allowed_runtime_sec(self) -> float | None:
        """Budget in seconds of submission time, before the ruleset's factor."""
        return self.goal.budget_s

    @property
    def eval_period_time_sec(self) -> float | None:
        """Seconds of submission time between two evaluations."""
        return self.goal.eval_period_s

    @property
    def step_hint(self) -> int | None:
        """Number of steps that a schedule may plan for."""
        return self.goal.step_hint

    def has_reached_validation_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether the evaluation meets the validation target (equality counts, NaN never does)."""
        return self.goal.reached_validation(eval_result)

    def has_reached_test_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether the evaluation meets the test target (equality counts, NaN never does)."""
        return self.goal.reached_test(eval_result)

    # What the concrete workload decides.

    @property
    @abc.abstractmethod
    def loss_type(self) -> LossType:
        """Which loss the workload trains on."""

    @property
    @abc.abstractmethod
    def num_train_examples(self) -> int:
        """Number of training examples."""

    @property
    @abc.abstractmethod
    def num_eval_train_examples(self) -> int:
        """Number of training examples that an evaluation looks at."""

    @property
    @abc.abstractmethod
    def num_validation_examples(self) -> int:
        """Number of validation examples."""

    @property
    @abc.abstractmethod
    def num_test_examples(self) -> int | None:
        """Number of test examples; None where there is no test split."""

    @property
    @abc.abstractmethod
    def eval_batch_size(self) -> int:
        """Global batch size of evaluations."""

    @property
    def suggested_batch_size(self) -> int | None:
        """Global batch size for submissions that know none for the workload; None leaves it to them."""
        return None

    @property
    def train_mean(self) -> Any:
        """Mean of the training inputs, where the workload normalises by it."""
        raise NotImplementedError

    @property
    def train_stddev(self) -> Any:
        """Standard deviation of the training inputs, where the workload normalises by it."""
        raise NotImplementedError

    @property
    def param_shapes(self) -> ParameterShapeTree:
        """Tree of `ShapeTuple`, of the same structure as the parameters."""
        if self._param_shapes is None:
            raise ValueError("param_shapes is known after init_model_fn was called, not before")
        return self._param_shapes

    @property
    def model_params_types(self) -> ParameterTypeTree:
        """Tree of `ParameterType`, of the same structure as the parameters."""
        if self._param_types is None:
            raise ValueError(
                "model_params_types is known after init_model_fn was called, not before"
            )
        return self._param_types

    @abc.abstractmethod
    def is_output_params(self, param_key: ParameterKey) -> bool:
        """Whether a top-level key of the parameters belongs to the output layer."""

    @abc.abstractmethod
    def init_model_fn(self, rng: RandomState) -> ModelInitState:
        """Makes freshly initialised parameters and model state; fills `param_shapes`."""

    @abc.abstractmethod
    def model_fn(
        self,
        params: ParameterContainer,
        augmented_and_preprocessed_input_batch: Mapping[str, Tensor],
        model_state: ModelAuxiliaryState,
        mode: ForwardPassMode,
        rng: RandomState,
        update_batch_norm: bool,
        dropout_rate: float | None = None,
    ) -> tuple[Tensor, ModelAuxiliaryState]:
        """Runs the model.

        Args:
            params: Parameters; in PyTorch the module.
            augmented_and_preprocessed_input_batch: A batch, as data selection returned it.
            model_state: Batch statistics and the like; None in PyTorch, where the module holds them.
            mode: TRAIN: dropout on and batch statistics of this batch; EVAL: off, running averages.
            rng: Randomness of this pass.
            update_batch_norm: Whether a TRAIN pass updates the running averages.
            dropout_rate: Overrides the model's own rate; None keeps it.

        Returns:
            The logits and the new model state.
        """

    @abc.abstractmethod
    def loss_fn(
        self,
        label_batch: Tensor,
        logits_batch: Tensor,
        mask_batch: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """Loss without regularisation, as `summed`, `n_valid_examples` and `per_example`."""

    def output_activation_fn(self, logits_batch: Tensor, framework: str) -> Tensor:
        """Turns logits into predictions: softmax, sigmoid or identity, by the loss type.

        Raises:
            ValueError: The framework is neither `jax` nor `pytorch`.
        """
        if framework not in FRAMEWORKS:
            raise ValueError(f"framework {framework!r} is not one of {', '.join(FRAMEWORKS)}")
        if self.loss_type in (LossType.MEAN_SQUARED_ERROR, LossType.MEAN_ABSOLUTE_ERROR):
            return logits_batch
        softmax = self.loss_type in (LossType.SOFTMAX_CROSS_ENTROPY, LossType.CTC_LOSS)
        if framework == "jax":
            import jax

            return jax.nn.softmax(logits_batch) if softmax else jax.nn.sigmoid(logits_batch)
        import torch

        return torch.softmax(logits_batch, -1) if softmax else torch.sigmoid(logits_batch)

    @abc.abstractmethod
    def _build_input_queue(
        self,
        data_rng: RandomState,
        split: str,
        data_dir: str,
        global_batch_size: int,
        cache: bool | None = None,
        repeat_final_dataset: bool | None = None,
        num_batches: int | None = None,
    ) -> Iterator[Batch]:
        """Batches of a split on the devices; for the harness, never for a submission.

        The harness gives both frameworks the same `data_rng`, an int32 array of two words.

        Splits: `train` repeats for ever; `eval_train`, `validation`, `test` pass once, the last batch
        padded and masked by `weights`.
        """

    @abc.abstractmethod
    def _eval_model_on_split(
        self,
        split: str,
        num_examples: int,
        global_batch_size: int,
        params: ParameterContainer,
        model_state: ModelAuxiliaryState,
        rng: RandomState,
        data_dir: str,
        global_step: int = 0,
    ) -> dict[str, float]:
        """Metrics over one split, every example counted once."""

    def eval_model(
        self,
        global_batch_size: int,
        params: ParameterContainer,
        model_state: ModelAuxiliaryState,
        rng: RandomState,
        data_dir: str,
        imagenet_v2_data_dir: str | None = None,
        global_step: int = 0,
    ) -> dict[str, float]:
        """Evaluates the training subset, the validation split and the test split, in this order.

        Returns:
            `train/<metric>`, `validation/<metric>`, `validation/num_examples`, and for the test split
            the same where there is one.
        """
        results: dict[str, float] = {}
        splits = (
            ("eval_train", "train", self.num_eval_train_examples),
            ("validation", "validation", self.num_validation_examples),
            ("test", "test", self.num_test_examples),
        )
        for split, prefix, num_examples in splits:
            if num_examples is None:
                continue
            split_dir = (imagenet_v2_data_dir or data_dir) if split == "test" else data_dir
            metrics = self._eval_model_on_split(
                split,
                num_examples,
                global_batch_size,
                params,
                model_state,
                rng,
                split_dir,
                global_step,
            )
            results |= {f"{prefix}/{name}": value for name, value in metrics.items()}
            if split != "eval_train":
                results[f"{prefix}/num_examples"] = num_examples
        return results

    def attach_metrics_logger(self, metrics_logger: MetricsLogger | None) -> None:
        """Gives submissions a place to write scalars: `workload.metrics_logger`."""
        self.metrics_logger = metrics_logger


class WorkloadProvider(Protocol):
    """What an entry point in `algoperf.workloads` refers to: a workload before a framework is chosen.

    Importing it must not import a framework, so that listing installed workloads stays instant.
    """

    @property
    def name(self) -> str:
        """Name of the workload."""
        ...

    @property
    def summary(self) -> str:
        """One line that says what it is."""
        ...

    def create(self, framework: Framework, goal: BenchmarkWorkload) -> Workload:
        """Builds the workload for a framework, with the goal that a benchmark sets."""
        ...
