"""Structural similarity (Wang et al. 2004) from local moments; one formula for arrays of both frameworks."""

from __future__ import annotations

from typing import Any

WINDOW = 7
K1, K2 = 0.01, 0.03


def similarity(moments: Any, data_range: Any) -> Any:
    """Similarity at every place, as published for fastMRI; variances are those of a sample.

    Args:
        moments: Means over windows of x, y, x * x, y * y and x * y, each `(batch, rows, columns)`.
        data_range: Largest value of the images, `(batch, 1, 1)`.

    Returns:
        `(batch, rows, columns)`.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = moments
    sample = WINDOW**2 / (WINDOW**2 - 1)
    var_x = sample * (mean_xx - mean_x * mean_x)
    var_y = sample * (mean_yy - mean_y * mean_y)
    covariance = sample * (mean_xy - mean_x * mean_y)
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
