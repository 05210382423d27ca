"""Structural similarity per example in JAX; `ssim_torch` is the same function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax import lax

from algoperf_vision.ssim import WINDOW, similarity

if TYPE_CHECKING:
    from jax import Array
    from jaxtyping import Float


def ssim(
    logits: Float[Array, "batch height width"],
    targets: Float[Array, "batch height width"],
    mean: Float[Array, " batch"] | None = None,
    std: Float[Array, " batch"] | None = None,
    volume_max: Float[Array, " batch"] | None = None,
) -> Float[Array, " batch"]:
    """Structural similarity (Wang et al. 2004) of reconstructions, as published for fastMRI.

    Windows are uniform, 7x7, wholly inside the image; variances are those of a sample. The data range is the
    largest value of the volume.

    Args:
        logits: Normalised predictions `(batch, height, width)`, at least 7 in height and width.
        targets: Normalised targets `(batch, height, width)`.
        mean: What to add to both after scaling, `(batch,)`; None is 0.
        std: What to scale both by, `(batch,)`; None is 1.
        volume_max: Data range `(batch,)`; None and values of 0 are 1.

    Returns:
        `(batch,)`, float32, from -1 to 1.
    """
    count = len(logits)
    mean = jnp.zeros(count) if mean is None else mean
    std = jnp.ones(count) if std is None else std
    data_range = jnp.ones(count) if volume_max is None else volume_max
    data_range = jnp.where(data_range == 0, 1.0, data_range)
    x, y = (_per_image(std) * images + _per_image(mean) for images in (logits, targets))
    moments = _box_means(jnp.stack((x, y, x * x, y * y, x * y)))
    return jnp.clip(similarity(moments, _per_image(data_range)).mean((1, 2)), -1, 1)


def ssim_sums(
    logits: Float[Array, "batch height width"], batch: Mapping[str, Any], loss: Mapping[str, Any]
) -> dict[str, Any]:
    """Sums over a batch for the metrics of fastMRI.

    Args:
        logits: Normalised predictions `(batch, height, width)`.
        batch: With `targets`, `mean`, `std`, `volume_max`, and `weights` `(batch,)`.
        loss: With `summed`.

    Returns:
        `ssim` and `loss`.
    """
    facts = (batch[name] for name in ("targets", "mean", "std", "volume_max"))
    return {"ssim": (ssim(logits, *facts) * batch["weights"]).sum(), "loss": loss["summed"]}


def _box_means(
    images: Float[Array, "... height width"],
) -> Float[Array, "... inner_height inner_width"]:
    """Means over windows, `(..., height, width)` to `(..., height - 6, width - 6)`."""
    ones = (1,) * (images.ndim - 2)
    for window in ((WINDOW, 1), (1, WINDOW)):
        images = lax.reduce_window(
            images, 0.0, lax.add, (*ones, *window), (1,) * images.ndim, "VALID"
        )
    return images / WINDOW**2


def _per_image(values: Float[Array, " batch"]) -> Float[Array, "batch 1 1"]:
    return values[:, jnp.newaxis, jnp.newaxis]
