"""The loss of a global batch and its gradient in JAX, whole or in micro-batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from algoperf_core.gradient_options import GradientOptions
from algoperf_core.sharding import split_batch
from algoperf_core.spec import ForwardPassMode, Workload


@dataclass(frozen=True, kw_only=True)
class BatchLoss:
    """`summed / n_valid_examples` of a workload over the global batch; for use in a jit.

    In micro-batches, sums of losses, gradients and valid examples are accumulated one part after the other,
    which gives the loss and gradient of the whole batch with the activations of one part in memory. Batch
    norm normalises each part by its own statistics; their mean makes one update of the running averages.
    Dropout has a key of its own for each part.

    Args:
        workload: The workload.
        options: Label smoothing and dropout.
        micro_batches: Number of parts.
    """

    workload: Workload
    options: GradientOptions
    micro_batches: int = 1

    def value_and_gradient(
        self, params: Any, model_state: Any, batch: Any, rng: Any, update_batch_norm: bool = True
    ) -> tuple[Any, Any, Any]:
        """Loss, gradient and new model state.

        Args:
            params: Parameters.
            model_state: Batch statistics and the like, or None.
            batch: The global batch, split over the devices.
            rng: Key of the pass.
            update_batch_norm: Whether the running averages of batch norm are updated.
        """
        differentiate = jax.value_and_grad(self._summed, has_aux=True)
        if self.micro_batches == 1:
            (summed, (n_valid, model_state)), gradient = differentiate(
                params, model_state, batch, rng, update_batch_norm
            )
            return summed / n_valid, _divide(gradient, n_valid), model_state

        def add_part(totals: Any, part_and_key: Any) -> Any:
            summed, n_valid, gradient, state = totals
            (part_summed, (part_n_valid, part_state)), part_gradient = differentiate(
                params, model_state, *part_and_key, update_batch_norm
            )
            gradient = jax.tree.map(jnp.add, gradient, part_gradient)
            state = jax.tree.map(self._add_change, state, part_state, model_state)
            return (summed + part_summed, n_valid + part_n_valid, gradient, state), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        totals = (jnp.float32(0), jnp.float32(0), zeros, model_state)
        (summed, n_valid, gradient, model_state), _ = jax.lax.scan(
            add_part, totals, self._parts(batch, rng)
        )
        return summed / n_valid, _divide(gradient, n_valid), model_state

    def value(self, params: Any, model_state: Any, batch: Any, rng: Any) -> Any:
        """The loss alone; its derivative, too, keeps the activations of one part at a time."""
        if self.micro_batches == 1:
            summed, (n_valid, _) = self._summed(params, model_state, batch, rng, False)
            return summed / n_valid
        summed_again = jax.checkpoint(self._summed, static_argnums=4)

        def add_part(totals: Any, part_and_key: Any) -> Any:
            summed, (n_valid, _) = summed_again(params, model_state, *part_and_key, False)
            return (totals[0] + summed, totals[1] + n_valid), None

        zeros = (jnp.float32(0), jnp.float32(0))
        (summed, n_valid), _ = jax.lax.scan(add_part, zeros, self._parts(batch, rng))
        return summed / n_valid

    def _parts(self, batch: Any, rng: Any) -> Any:
        return split_batch(batch, self.micro_batches), jax.random.split(rng, self.micro_batches)

    def _add_change(self, total: Any, part: Any, before: Any) -> Any:
        # A mean of equal numbers is exact this way, so that what no part changes stays as it is.
        if jnp.issubdtype(part.dtype, jnp.floating):
            return total + (part - before) / self.micro_batches
        return part

    def _summed(
        self, params: Any, model_state: Any, batch: Any, rng: Any, update_batch_norm: bool
    ) -> Any:
        logits, new_model_state = self.workload.model_fn(
            params,
            batch,
            model_state,
            ForwardPassMode.TRAIN,
            rng,
            update_batch_norm=update_batch_norm,
            **self.options.dropout,
        )
        loss = self.workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
            label_smoothing=self.options.label_smoothing,
        )
        return loss["summed"], (loss["n_valid_examples"], new_model_state)


def ascend(params: Any, gradient: Any, rho: float) -> Any:
    """SAM's neighbour of the parameters, `params + rho * gradient / norm` (Foret et al. 2021, eq. 2)."""
    factor = rho / (optax.tree.norm(gradient) + 1e-12)
    return jax.tree.map(lambda leaf, slope: leaf + factor * slope, params, gradient)


def clip(gradient: Any, options: GradientOptions) -> Any:
    """Clips a gradient by value, then by global norm, as far as the options say so."""
    if (largest := options.clip_value) is not None:
        gradient = jax.tree.map(lambda leaf: jnp.clip(leaf, -largest, largest), gradient)
    if options.clip_norm is not None:
        factor = norm_factor(gradient, options.clip_norm)
        gradient = jax.tree.map(lambda leaf: leaf * factor, gradient)
    return gradient


def norm_factor(gradient: Any, max_norm: float) -> Any:
    """`clamp(max_norm / (norm + 1e-6), 0, 1)`, the rule that PyTorch clips by."""
    return jnp.clip(max_norm / (optax.tree.norm(gradient) + 1e-6), 0.0, 1.0)


def _divide(gradient: Any, number: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf / number, gradient)
