"""A defined workload in JAX: one Linen module, batches split over the devices of all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.experimental import multihost_utils

from algoperf_core import spec
from algoperf_core.sharding import batch_sharded, replicate, replicated, shard_rows
from algoperf_scoring import BenchmarkWorkload
from algoperf_workloads.batches import Batch, map_arrays
from algoperf_workloads.columns import Array
from algoperf_workloads.definition import WorkloadDefinition
from algoperf_workloads.metrics import add_compensated, zero_totals
from algoperf_workloads.parameter_types import jax_parameter_shapes, jax_parameter_types
from algoperf_workloads.pipeline import Part
from algoperf_workloads.workload import DefinedWorkload, require_no_update


class JaxWorkload(DefinedWorkload):
    """The workload API in JAX.

    Parameters are a nested dict; the model state is `{"batch_stats": ...}` or None. Both are whole on
    every device, batches are split over them.

    Args:
        definition: What the workload is.
        goal: What the benchmark asks of it.
    """

    framework: spec.Framework = "jax"

    def __init__(self, definition: WorkloadDefinition, goal: BenchmarkWorkload) -> None:
        super().__init__(definition, goal)
        self._module = definition.model.build("jax")
        self._loss = definition.loss.load("jax")
        self._metric_sums = definition.metrics.load_sums("jax")
        self._collect = definition.metrics.load_collect("jax")
        self._replicated = replicated()
        self._batch_sharded = batch_sharded()
        # `rng` is left out of the arguments: nothing in an evaluation is random.
        self._add_sums = jax.jit(self._sums, donate_argnums=0, out_shardings=self._replicated)

    @property
    def device_count(self) -> int:
        """Number of devices."""
        return len(self._batch_sharded.device_set)

    def init_model_fn(self, rng: spec.RandomState) -> spec.ModelInitState:
        """Makes freshly initialised parameters and model state, whole on every device."""
        variables = dict(self._initialise(rng))
        params = variables.pop("params")
        self._param_shapes = jax_parameter_shapes(params)
        self._param_types = jax_parameter_types(params, self.definition.parameter_rules)
        return params, variables or None

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

        TRAIN normalises with the statistics of the batch, and returns new running averages if
        `update_batch_norm`, else the given ones; EVAL normalises with the running averages.

        Args:
            params: Parameters.
            augmented_and_preprocessed_input_batch: A batch with the model's inputs.
            model_state: `{"batch_stats": ...}` or None.
            mode: TRAIN or EVAL.
            rng: Key that dropout draws from; unused in EVAL.
            update_batch_norm: Whether TRAIN updates the running averages.
            dropout_rate: Overrides the model's own rate, may be traced; None keeps it.

        Returns:
            Logits `(batch, ...)` and the model state.

        Raises:
            ValueError: EVAL with `update_batch_norm`.
        """
        model = self.definition.model
        variables = {"params": params, **(model_state or {})}
        inputs = [augmented_and_preprocessed_input_batch[key] for key in model.inputs]
        dropout = model.dropout_arguments(dropout_rate)
        if mode is spec.ForwardPassMode.EVAL:
            require_no_update(update_batch_norm)
            return self._module.apply(variables, *inputs, train=False, **dropout), model_state
        logits, updated = self._module.apply(
            variables,
            *inputs,
            train=True,
            mutable=list(model_state or {}),
            rngs={"dropout": rng} if dropout else None,
            **dropout,
        )
        return logits, dict(updated) if update_batch_norm and model_state else model_state

    def loss_fn(
        self,
        label_batch: Any,
        logits_batch: Any,
        mask_batch: Any | None = None,
        label_smoothing: Any = 0.0,
    ) -> dict[str, Any]:
        """Loss without regularisation, as `summed`, `n_valid_examples` and `per_example`."""
        losses: dict[str, Any] = self._loss(label_batch, logits_batch, mask_batch, label_smoothing)
        return losses

    @cached_property
    def _initialise(self) -> Any:
        arrays = self.definition.dataset.arrays
        model = self.definition.model
        inputs = [map_arrays(lambda array: array.zeros(1), arrays[key]) for key in model.inputs]
        dropout = model.dropout_arguments(None)

        def initialise(rng: Any) -> Any:
            return self._module.init(rng, *inputs, train=False, **dropout)

        # Random initialisers take seconds to compile for a CPU; they run once, so less optimisation will do.
        options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
        return jax.jit(initialise, out_shardings=self._replicated, compiler_options=options)

    def _sums(self, totals: Any, params: Any, model_state: Any, batch: Any) -> Any:
        mode = spec.ForwardPassMode.EVAL
        logits, _ = self.model_fn(params, batch, model_state, mode, None, update_batch_norm=False)
        loss = self.loss_fn(batch["targets"], logits, batch["weights"])
        sums = self._metric_sums(logits, batch, loss)
        added = jax.numpy.stack(
            [sums[name].astype("float32") for name in self.definition.metrics.sum_names]
        )
        new_totals = add_compensated(totals, added)
        if self._collect is None:
            return jax.numpy.stack(new_totals), {}
        variables = {"params": params, **(model_state or {})}
        forward = partial(self._module.apply, variables, train=False)
        return jax.numpy.stack(new_totals), self._collect(forward, logits, batch)

    @property
    def part(self) -> Part:
        """Rank and number of the processes that JAX knows of."""
        return jax.process_index(), jax.process_count()

    def _place(self, batch: Batch) -> dict[str, Any]:
        placed: dict[str, Any] = shard_rows(batch)
        return placed

    def _zero_totals(self) -> Any:
        return replicate(zero_totals(self.definition.metrics.sum_names))

    def _add_batch(
        self, totals: Any, params: Any, model_state: Any, batch: Any, rng: Any
    ) -> tuple[Any, Mapping[str, Any]]:
        del rng
        added: tuple[Any, Mapping[str, Any]] = self._add_sums(totals, params, model_state, batch)
        return added

    def _fetch(
        self, totals: Any, collected: Sequence[Mapping[str, Any]]
    ) -> tuple[Array, list[Mapping[str, Array]]]:
        parts = list(collected)
        if parts and jax.process_count() > 1:
            # Each process holds the rows of its own devices.
            parts = multihost_utils.process_allgather(parts, tiled=True)
        fetched: tuple[Array, list[Mapping[str, Array]]] = jax.device_get((totals, parts))
        return fetched
