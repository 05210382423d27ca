"""Structural similarity per example in PyTorch; `ssim_jax` is the same function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from algoperf_vision.ssim import WINDOW, similarity

if TYPE_CHECKING:
    from jaxtyping import Float


def ssim(
    logits: Float[torch.Tensor, "batch height width"],
    targets: Float[torch.Tensor, "batch height width"],
    mean: Float[torch.Tensor, " batch"] | None = None,
    std: Float[torch.Tensor, " batch"] | None = None,
    volume_max: Float[torch.Tensor, " batch"] | None = None,
) -> Float[torch.Tensor, " batch"]:
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
    mean = logits.new_zeros(count) if mean is None else mean
    std = logits.new_ones(count) if std is None else std
    data_range = logits.new_ones(count) if volume_max is None else volume_max
    data_range = torch.where(data_range == 0, 1.0, data_range)
    x, y = (_per_image(std) * images + _per_image(mean) for images in (logits, targets))
    moments = _box_means(torch.stack((x, y, x * x, y * y, x * y))).unbind()
    similar: torch.Tensor = similarity(moments, _per_image(data_range))
    return similar.mean((1, 2)).clamp(-1, 1)


def ssim_sums(
    logits: Float[torch.Tensor, "batch height width"],
    batch: Mapping[str, Any],
    loss: Mapping[str, Any],
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
    images: Float[torch.Tensor, "... height width"],
) -> Float[torch.Tensor, "... inner_height inner_width"]:
    """Means over windows, `(..., height, width)` to `(..., height - 6, width - 6)`."""
    return _sums_of_seven(_sums_of_seven(images, -2), -1) / WINDOW**2


def _sums_of_seven(images: torch.Tensor, axis: int) -> torch.Tensor:
    """Sums over seven neighbours along an axis, as 4 + 2 + 1: on a CPU five times faster than pooling."""
    count = images.shape[axis] - (WINDOW - 1)
    twos = images.narrow(axis, 0, count + 5) + images.narrow(axis, 1, count + 5)
    fours = twos.narrow(axis, 0, count) + twos.narrow(axis, 2, count)
    return fours + twos.narrow(axis, 4, count) + images.narrow(axis, 6, count)


def _per_image(values: Float[torch.Tensor, " batch"]) -> Float[torch.Tensor, "batch 1 1"]:
    return values[:, None, None]
