"""A defined workload in PyTorch: one `nn.Module` on one device, a GPU where there is one.

In several processes, each has the module on its own device, wrapped for data parallelism, and its part of
every batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from algoperf_core import spec
from algoperf_scoring import BenchmarkWorkload
from algoperf_workloads.batches import Batch, map_arrays
from algoperf_workloads.columns import Array
from algoperf_workloads.definition import WorkloadDefinition
from algoperf_workloads.metrics import add_compensated, zero_totals
from algoperf_workloads.parameter_types import torch_parameter_types
from algoperf_workloads.pipeline import Part
from algoperf_workloads.torch_collectives import (
    EvaluationFailedElsewhereError,
    gather_rows,
    on_host,
    process_count,
    process_rank,
    sum_totals,
)
from algoperf_workloads.torch_layers import set_batch_norm_updates
from algoperf_workloads.workload import DefinedWorkload, require_no_update


class TorchWorkload(DefinedWorkload):
    """The workload API in PyTorch.

    Parameters are the module, which also holds the batch statistics; the model state is None.

    Args:
        definition: What the workload is.
        goal: What the benchmark asks of it.
    """

    framework: spec.Framework = "pytorch"

    def __init__(self, definition: WorkloadDefinition, goal: BenchmarkWorkload) -> None:
        super().__init__(definition, goal)
        self._loss = definition.loss.load("pytorch")
        self._metric_sums = definition.metrics.load_sums("pytorch")
        self._collect = definition.metrics.load_collect("pytorch")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def device_count(self) -> int:
        """Number of processes: each has one device."""
        return process_count()

    def init_model_fn(self, rng: spec.RandomState) -> spec.ModelInitState:
        """Makes a freshly initialised module on the device; the model state is None.

        Under `torchrun`, it is wrapped in `DistributedDataParallel`, and names begin with `module.`; shapes
        and types are under the names of the bare module.

        Args:
            rng: Integers, of which the first seeds PyTorch's global generator.
        """
        torch.random.manual_seed(int(rng[0]))
        model = self.definition.model.build("pytorch").to(self.device)
        shapes = {name: spec.ShapeTuple(p.shape) for name, p in model.named_parameters()}
        self._param_shapes = shapes
        self._param_types = torch_parameter_types(list(shapes), self.definition.parameter_rules)
        return _data_parallel(model), None

    def model_fn(
        self,
        params: spec.ParameterContainer,
        augmented_and_preprocessed_input_batch: Any,
        model_state: spec.ModelAuxiliaryState,
        mode: spec.ForwardPassMode,
        rng: spec.RandomState,
        update_batch_norm: bool,
        dropout_rate: Any = None,
    ) -> tuple[Any, spec.ModelAuxiliaryState]:
        """Runs the model.

        TRAIN normalises with the statistics of the batch, and updates the module's running averages if
        `update_batch_norm`; EVAL normalises with the running averages and records no gradient.

        Args:
            params: The module, compiled or not.
            augmented_and_preprocessed_input_batch: A batch with the model's inputs.
            model_state: None.
            mode: TRAIN or EVAL.
            rng: Unused: dropout draws from PyTorch's global generator.
            update_batch_norm: Whether TRAIN updates the running averages.
            dropout_rate: Overrides the model's own rate; None keeps it.

        Returns:
            Logits `(batch, ...)` and None.

        Raises:
            ValueError: EVAL with `update_batch_norm`.
        """
        del model_state, rng
        model = self.definition.model
        train = mode is spec.ForwardPassMode.TRAIN
        if not train:
            require_no_update(update_batch_norm)
        params.train(train)
        set_batch_norm_updates(params, update_batch_norm)
        inputs = [augmented_and_preprocessed_input_batch[key] for key in model.inputs]
        with nullcontext() if train else torch.no_grad():
            return params(*inputs, **model.dropout_arguments(dropout_rate)), None

    def loss_fn(
        self,
        label_batch: Any,
        logits_batch: Any,
        mask_batch: Any | None = None,
        label_smoothing: Any = 0.0,
    ) -> dict[str, Any]:
        """Loss without regularisation, as `summed`, `n_valid_examples` and `per_example`, on the device."""
        losses: dict[str, Any] = self._loss(label_batch, logits_batch, mask_batch, label_smoothing)
        return losses

    @property
    def part(self) -> Part:
        """Rank and number of the processes of the process group."""
        return process_rank(), process_count()

    def _place(self, batch: Batch) -> dict[str, Any]:
        placed: dict[str, Any] = map_arrays(self._place_array, batch)
        return placed

    def _place_array(self, array: Array) -> torch.Tensor:
        # Views of the memory-mapped data cannot be written to, which PyTorch has no notion of.
        tensor = torch.from_numpy(np.require(array, requirements="W"))
        if self.device.type == "cpu":
            return tensor
        # Only pinned memory is copied without making the host wait.
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _zero_totals(self) -> Any:
        return torch.from_numpy(zero_totals(self.definition.metrics.sum_names)).to(self.device)

    def _add_batch(
        self, totals: Any, params: Any, model_state: Any, batch: Any, rng: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        mode = spec.ForwardPassMode.EVAL
        logits, _ = self.model_fn(params, batch, model_state, mode, rng, update_batch_norm=False)
        with torch.no_grad():
            loss = self.loss_fn(batch["targets"], logits, batch["weights"])
            sums = self._metric_sums(logits, batch, loss)
            added = torch.stack([sums[name].float() for name in self.definition.metrics.sum_names])
            collected = {} if self._collect is None else self._collect(params, logits, batch)
            return torch.stack(add_compensated(totals, added)), collected

    def _fetch(
        self, totals: Any, collected: Sequence[Mapping[str, Any]]
    ) -> tuple[Array, list[Mapping[str, Array]]]:
        sums = sum_totals(totals)
        parts: list[Mapping[str, Array]] = [
            {name: on_host(gather_rows(value)) for name, value in part.items()}
            for part in collected
        ]
        return sums, parts

    def _eval_model_on_split(self, *arguments: Any, **options: Any) -> dict[str, float]:
        try:
            return super()._eval_model_on_split(*arguments, **options)
        except EvaluationFailedElsewhereError:
            raise
        except RuntimeError:
            # The others wait for this process's sums.
            if process_count() > 1:
                sum_totals(self._zero_totals(), failed=True)
            raise


def _data_parallel(model: torch.nn.Module) -> torch.nn.Module:
    if not torch.distributed.is_initialized():
        return model
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else None
    # Buffers are the same on all without being sent: batch statistics are global.
    wrapper = torch.nn.parallel.DistributedDataParallel
    names = inspect.signature(wrapper).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    return wrapper(model, device_ids=devices, **{option: False})
