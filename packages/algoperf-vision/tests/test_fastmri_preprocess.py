"""Under-sampling and normalising of k-space: as published, with masks that belong to slices."""

from pathlib import Path

import numpy as np
import pytest

from algoperf_vision.fastmri_preprocess import (
    KspaceError,
    fastmri_batch,
    kept_columns,
    normalise_pair,
    reconstruct,
    shared_mask,
    training_mask,
)

GOLDENS = np.load(Path(__file__).parent / "goldens" / "fastmri_preprocess.npz")
CASES = ["case0", "case1", "case2"]


def golden(case, name):
    return GOLDENS[f"{case}_{name}"]


def random_kspace(rows, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, width, 2)).astype(np.float32).view(np.complex64)[..., 0]


@pytest.mark.parametrize("case", CASES)
def test_masks_equal_the_published_ones(case):
    uniforms = golden(case, "uniforms")
    np.testing.assert_array_equal(
        kept_columns(len(uniforms), uniforms), golden(case, "mask").astype(bool)
    )


@pytest.mark.parametrize("width", [320, 368, 372, 400])
def test_the_shared_masks_are_the_published_ones(width):
    np.testing.assert_array_equal(shared_mask(width), GOLDENS[f"eval_mask_w{width}"].astype(bool))


@pytest.mark.parametrize("case", CASES)
def test_inputs_and_targets_equal_the_published_ones(case):
    target = golden(case, "target")
    mask = kept_columns(golden(case, "kspace").shape[1], golden(case, "uniforms"))
    image = reconstruct(golden(case, "kspace"), mask, target.shape)
    inputs, targets, mean, std = normalise_pair(image, target)
    np.testing.assert_allclose(inputs, golden(case, "inputs"), atol=5e-6)
    np.testing.assert_allclose(targets, golden(case, "targets"), rtol=2e-6, atol=5e-6)
    np.testing.assert_allclose(mean, golden(case, "mean"), rtol=1e-6)
    np.testing.assert_allclose(std, golden(case, "std"), rtol=2e-6)


def test_a_batch_with_the_shared_mask_equals_the_published_evaluation():
    batch = fastmri_batch(
        {
            "kspace": [golden("case0", "kspace")],
            "target": golden("case0", "target")[np.newaxis],
            "volume_max": [golden("case0", "volume_max")],
            "index": [-1],
        }
    )
    for name in ("inputs", "targets", "mean", "std", "volume_max"):
        np.testing.assert_allclose(batch[name][0], golden("case0", name), rtol=2e-6, atol=5e-6)
        assert batch[name].dtype == np.float32


@pytest.mark.parametrize(("rows", "width"), [(12, 10), (13, 9), (16, 11), (9, 16)])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (5, 7)])
def test_reconstruction_is_the_centred_orthonormal_transform(rows, width, size):
    kspace, mask = random_kspace(rows, width), np.arange(width) % 3 != 1
    masked = np.where(mask, kspace.astype(np.complex128), 0)
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(masked), norm="ortho"))
    top, left = (rows - size[0]) // 2, (width - size[1]) // 2
    expected = np.abs(image[top : top + size[0], left : left + size[1]])
    np.testing.assert_allclose(reconstruct(kspace, mask, size), expected, atol=1e-6)


def test_normalised_values_are_clipped():
    image = np.zeros((20, 20), np.float32)
    image[0, 0] = 1
    inputs, targets, _, _ = normalise_pair(image, 5 * image)
    assert inputs.max() == targets.max() == 6
    assert normalise_pair(image, -5 * image)[1].min() == -6


@pytest.mark.parametrize("width", [320, 368])
def test_training_masks_keep_the_centre_and_a_quarter_on_average(width):
    masks = np.array([training_mask(width, index) for index in range(200)])
    centre = int(0.08 * width)
    start = (width - centre + 1) // 2
    assert masks[:, start : start + centre].all()
    assert abs(masks.mean() - 0.25) < 0.01
    assert not masks.all(0)[:start].any()


def test_a_training_slice_keeps_its_mask_and_others_have_others():
    np.testing.assert_array_equal(training_mask(368, 7), training_mask(368, 7))
    assert not np.array_equal(training_mask(368, 7), training_mask(368, 8))
    assert not np.array_equal(training_mask(368, 7), shared_mask(368))


@pytest.fixture
def columns():
    widths = [40, 33, 40]
    return {
        "kspace": [random_kspace(36, width, seed) for seed, width in enumerate(widths)],
        "target": np.random.default_rng(9).random((3, 20, 24), np.float32),
        "volume_max": np.array([1.0, 0.0, 2.0], np.float32),
        "index": np.array([0, 1, -1]),
    }


def test_slices_of_several_widths_make_a_batch(columns):
    batch = fastmri_batch(columns)
    assert batch["inputs"].shape == batch["targets"].shape == (3, 20, 24)
    np.testing.assert_array_equal(batch["volume_max"], columns["volume_max"])
    for number, mask in enumerate((training_mask(40, 0), training_mask(33, 1), shared_mask(40))):
        image = reconstruct(columns["kspace"][number], mask, (20, 24))
        expected = normalise_pair(image, columns["target"][number])
        for name, value in zip(("inputs", "targets", "mean", "std"), expected, strict=True):
            np.testing.assert_array_equal(batch[name][number], value)


def test_columns_are_left_alone(columns):
    before = columns["target"].copy(), columns["kspace"][0].copy()
    fastmri_batch(columns)
    np.testing.assert_array_equal(columns["target"], before[0])
    np.testing.assert_array_equal(columns["kspace"][0], before[1])


def test_kspace_smaller_than_its_target_is_refused(columns):
    with pytest.raises(KspaceError, match="36 x 40 is smaller than the target of 20 x 50"):
        fastmri_batch({**columns, "target": np.zeros((3, 20, 50))})


def test_more_columns_than_published_draws_are_refused():
    assert shared_mask(640).sum() > 100
    with pytest.raises(KspaceError, match="641 columns"):
        shared_mask(641)
