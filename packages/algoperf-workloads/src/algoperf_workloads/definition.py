"""A workload as one frozen value: facts, data, model, loss and metrics.

A variant is its base with `dataclasses.replace`. Frameworks are named, not imported: whatever belongs
to one is a reference `"module:attribute"` that is loaded when a workload is created for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from algoperf_core.data_commands import DataDescription, Report
from algoperf_core.spec import FRAMEWORKS, Framework, LossType, Workload
from algoperf_scoring import BenchmarkWorkload, unknown_name
from algoperf_workloads.dataset import DatasetDefinition
from algoperf_workloads.implementation import Implementation
from algoperf_workloads.metrics import CLASSIFICATION, Metrics
from algoperf_workloads.parameter_types import ParameterRule
from algoperf_workloads.parity import unwrapped_name


def loss_implementation(name: str) -> Implementation:
    """A loss of the toolkit by the name of its function."""
    return Implementation(
        jax=f"algoperf_workloads.jax_losses:{name}",
        pytorch=f"algoperf_workloads.torch_losses:{name}",
    )


_WORKLOAD_CLASSES = {
    "jax": ("algoperf_workloads.jax_workload", "JaxWorkload", "jax"),
    "pytorch": ("algoperf_workloads.torch_workload", "TorchWorkload", "torch"),
}


SOFTMAX_CROSS_ENTROPY = loss_implementation("softmax_cross_entropy")
"""Integer or dense labels, label smoothing, weights of examples or tokens."""

SIGMOID_CROSS_ENTROPY = loss_implementation("sigmoid_cross_entropy")
"""One label for each example; label smoothing is ignored, as published (Criteo)."""

MASKED_SIGMOID_CROSS_ENTROPY = loss_implementation("masked_sigmoid_cross_entropy")
"""Many labels for each example, of which a mask says which exist (ogbg-molpcba)."""

MEAN_ABSOLUTE_ERROR = loss_implementation("mean_absolute_error")
"""Mean over all axes of an example (fastMRI)."""

CTC = loss_implementation("ctc_loss")
"""Connectionist temporal classification, blank 0 (LibriSpeech)."""


@dataclass(frozen=True, kw_only=True)
class ModelDefinition:
    """A model in both frameworks: the same function of the same inputs.

    In JAX it is a Linen module, called `module(*inputs, train=...)`, in PyTorch an `nn.Module`, called
    `module(*inputs)` after `.train()` or `.eval()`; where `dropout_rate` is not None, both also get the
    keyword `dropout_rate`. Batch norms are `flax.linen.BatchNorm` with momentum 0.9 and
    `algoperf_workloads.torch_layers.BatchNorm`.

    Args:
        classes: The module classes.
        options: Keyword arguments of their constructors.
        inputs: Keys of the batch whose arrays the model is called with.
        dropout_rate: Dropout rate unless a submission asks for another; None for a model without
            dropout, which ignores such requests.
        module_names: For every Flax module that has parameters, by its path such as `Block_0/Conv_1`,
            the dotted name of the same module in PyTorch.
        output_layer: Flax path of the module that makes the logits.
    """

    classes: Implementation
    module_names: Mapping[str, str]
    output_layer: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("inputs",)
    dropout_rate: float | None = None

    def build(self, framework: Framework) -> Any:
        """Constructs the module for a framework."""
        return self.classes.load(framework)(**self.options)

    def dropout_arguments(self, dropout_rate: Any) -> dict[str, Any]:
        """Keyword arguments that ask the model for a dropout rate; None asks for its own."""
        if self.dropout_rate is None:
            return {}
        return {"dropout_rate": self.dropout_rate if dropout_rate is None else dropout_rate}

    def is_output_parameter(self, framework: Framework, key: str) -> bool:
        """Whether a top-level key of the parameters belongs to the output layer."""
        if framework == "jax":
            return key == self.output_layer.split("/")[0]
        module, _, _ = key.rpartition(".")
        return unwrapped_name(module) == self.module_names[self.output_layer]


@dataclass(frozen=True, kw_only=True)
class WorkloadDefinition:
    """A workload before a framework is chosen; an entry point of the group `algoperf.workloads`.

    Args:
        name: Name of the workload.
        summary: One line that says what it is.
        loss_type: Which loss it trains on.
        dataset: Its data.
        model: Its model.
        loss: `(labels, logits, mask, label_smoothing)` to `summed`, `n_valid_examples`, `per_example`.
        metrics: What evaluations report.
        eval_batch_size: Global batch size of evaluations.
        parameter_rules: Exceptions to the types that parameters have by their names.
        suggested_batch_size: Global batch size for submissions that know none for the workload, such as
            published ones; None makes them refuse it.
    """

    name: str
    summary: str
    loss_type: LossType
    dataset: DatasetDefinition
    model: ModelDefinition
    eval_batch_size: int
    loss: Implementation = SOFTMAX_CROSS_ENTROPY
    metrics: Metrics = CLASSIFICATION
    parameter_rules: tuple[ParameterRule, ...] = ()
    suggested_batch_size: int | None = None

    def is_prepared(self, data_dir: Path) -> bool:
        """Whether the prepared data are in a folder; nothing is read or made."""
        return self.dataset.is_prepared(data_dir)

    def describe_data(self, data_dir: Path) -> DataDescription:
        """What the workload's data are, for `algoperf data list`."""
        return self.dataset.describe(data_dir)

    def prepare_data(self, data_dir: Path, raw_dir: Path | None, report: Report) -> None:
        """Makes the prepared data where they are missing, for `algoperf data prepare`."""
        self.dataset.prepare(data_dir, raw_dir, report)

    def verify_data(self, data_dir: Path, report: Report) -> None:
        """Reads every byte of the prepared data, for `algoperf data verify`."""
        self.dataset.verify(data_dir, report)

    def create(self, framework: Framework, goal: BenchmarkWorkload) -> Workload:
        """Builds the workload for a framework, with the goal that a benchmark sets.

        Raises:
            AlgoperfError: There is no such framework.
            ModuleNotFoundError: The framework is not installed; the message says how to install it.
        """
        if framework not in FRAMEWORKS:
            raise unknown_name("framework", framework, FRAMEWORKS)
        module, attribute, extra = _WORKLOAD_CLASSES[framework]
        try:
            build: Callable[..., Workload] = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f'{error.name} is not installed: pip install "algoperf-workloads[{extra}]"',
                name=error.name,
            ) from error
        return build(self, goal)
