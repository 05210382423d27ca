"""Structural similarity: as published, in both frameworks, and as the definition reads."""

from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from algoperf_vision import ssim_jax, ssim_torch

GOLDENS = np.load(Path(__file__).parent / "goldens" / "fastmri_ssim.npz")


COMPILED = jax.jit(ssim_jax.ssim)


def with_jax(*arrays):
    return np.asarray(COMPILED(*arrays))


def with_torch(*arrays):
    return ssim_torch.ssim(*map(torch.tensor, arrays)).numpy()


FRAMEWORKS = pytest.mark.parametrize("ssim", [with_jax, with_torch], ids=["jax", "torch"])


def golden(case):
    return [
        GOLDENS[f"{case}_{name}"] for name in ("logits", "targets", "mean", "std", "volume_max")
    ]


@FRAMEWORKS
@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
def test_similarity_equals_the_published_one(ssim, case):
    np.testing.assert_allclose(ssim(*golden(case)), GOLDENS[f"{case}_ssim"], atol=1e-5)
    np.testing.assert_allclose(ssim(*golden(case)[:2]), GOLDENS[f"{case}_ssim_defaults"], atol=1e-5)


def literal(x, y, data_range):
    """The definition, window by window, in double precision."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for top in range(x.shape[0] - 6):
        for left in range(x.shape[1] - 6):
            a, b = (
                image[top : top + 7, left : left + 7].astype(np.float64).ravel() for image in (x, y)
            )
            (var_a, cov), (_, var_b) = np.cov(a, b)
            numerator = (2 * a.mean() * b.mean() + c1) * (2 * cov + c2)
            values.append(numerator / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (var_a + var_b + c2)))
    return np.mean(values)


@FRAMEWORKS
def test_similarity_equals_its_definition(ssim):
    generator = np.random.default_rng(0)
    logits, targets = generator.normal(size=(2, 3, 15, 11)).astype(np.float32)
    mean, std, largest = (
        np.array(values, np.float32) for values in ([0.1, 2, -1], [1, 0.5, 3], [3, 1, 8])
    )
    expected = [
        literal(logits[i] * std[i] + mean[i], targets[i] * std[i] + mean[i], largest[i])
        for i in range(3)
    ]
    np.testing.assert_allclose(ssim(logits, targets, mean, std, largest), expected, atol=2e-5)


@FRAMEWORKS
def test_equal_images_have_similarity_one(ssim):
    images = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(ssim(images, images), 1, atol=1e-6)


@FRAMEWORKS
def test_a_volume_without_a_maximum_has_range_one(ssim):
    images = np.random.default_rng(0).normal(size=(2, 1, 9, 9)).astype(np.float32)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    np.testing.assert_array_equal(ssim(*images, zero, one, zero), ssim(*images, zero, one, one))


@FRAMEWORKS
def test_padded_examples_are_finite(ssim):
    zeros = np.zeros((2, 9, 9), np.float32)
    flat = np.zeros(2, np.float32)
    assert np.isfinite(ssim(zeros, zeros, flat, flat, flat)).all()


@FRAMEWORKS
def test_examples_do_not_see_each_other(ssim):
    arrays = golden("case0")
    together = ssim(*arrays)
    alone = [ssim(*(array[i : i + 1] for array in arrays))[0] for i in range(len(together))]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_jax_traces_it_once():
    traces = []

    @jax.jit
    def counted(*arrays):
        traces.append(1)
        return ssim_jax.ssim(*arrays)

    for _ in range(3):
        np.testing.assert_allclose(counted(*golden("case1")), GOLDENS["case1_ssim"], atol=1e-5)
    assert len(traces) == 1


def test_torch_compiles_it_as_one_graph():
    compiled = torch.compile(ssim_torch.ssim, fullgraph=True, backend="eager")
    result = compiled(*map(torch.tensor, golden("case1")))
    np.testing.assert_allclose(result, GOLDENS["case1_ssim"], atol=1e-5)
