"""Phantoms: k-space and image belong together, and slices are varied but fixed by the seed."""

import numpy as np
import pytest

from algoperf_vision.fastmri_preprocess import fastmri_batch, reconstruct
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.phantoms import PhantomStyle, make_phantoms, phantom

STYLE = PhantomStyle(size=48)
SIZES = SplitSizes(train=12, validation=4, test=3)


@pytest.fixture(scope="module")
def splits():
    return make_phantoms(SIZES, STYLE)


def test_splits_have_the_columns_of_fastmri(splits):
    for (split, count), columns in zip(SIZES.items(), splits.values(), strict=True):
        assert columns["kspace"].shape == columns["target"].shape == (count, 48, 48)
        assert columns["kspace"].dtype == np.complex64
        assert columns["target"].dtype == columns["volume_max"].dtype == np.float32
        np.testing.assert_array_equal(columns["volume_max"], columns["target"].max((1, 2)))
        expected = np.arange(count) if split == "train" else -1
        assert (columns["index"] == expected).all()


@pytest.mark.parametrize("size", [48, 33])
def test_the_target_is_the_image_of_all_of_kspace(size):
    columns = make_phantoms(SplitSizes(2, 1, 1), PhantomStyle(size=size))["train"]
    for kspace, target in zip(columns["kspace"], columns["target"], strict=True):
        image = reconstruct(kspace, np.ones(size, bool), (size, size))
        np.testing.assert_allclose(image, target, atol=2e-6)


def test_most_energy_is_near_the_zero_frequency(splits):
    power = np.abs(splits["train"]["kspace"]) ** 2
    assert power[:, 20:28, 20:28].sum() > 0.7 * power.sum()


def test_under_sampling_leaves_something_to_learn(splits):
    batch = fastmri_batch(splits["train"])
    error = np.abs(batch["inputs"] - batch["targets"]).mean()
    assert 0.1 < error < 1
    correlation = np.corrcoef(batch["inputs"].ravel(), batch["targets"].ravel())[0, 1]
    assert 0.5 < correlation < 0.99


def test_a_slice_depends_on_the_seed_and_its_number_alone(splits):
    again = make_phantoms(SplitSizes(train=5, validation=4, test=0), STYLE)
    np.testing.assert_array_equal(again["train"]["kspace"], splits["train"]["kspace"][:5])
    np.testing.assert_array_equal(again["validation"]["kspace"], splits["validation"]["kspace"])
    assert len(again["test"]["kspace"]) == 0
    other = make_phantoms(SIZES, STYLE, seed=1)
    assert not np.array_equal(other["train"]["kspace"], splits["train"]["kspace"])


def test_no_two_slices_are_alike(splits):
    targets = np.concatenate([columns["target"] for columns in splits.values()])
    assert len({target.tobytes() for target in targets}) == len(targets)


def test_tissue_lies_inside_a_bright_skull():
    tissue = phantom(PhantomStyle(size=96), np.random.RandomState(3))
    assert tissue.shape == (96, 96)
    assert tissue.dtype == np.float32
    assert tissue.min() == 0
    corners = tissue[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(corners, 0)
    assert tissue[40:56, 40:56].mean() > 0.2
    # From the left the first tissue is the skull.
    row = tissue[48]
    first = np.flatnonzero(row > 0.5)[0]
    assert row[first : first + 3].max() > 0.9


def test_texture_and_noise_are_what_the_style_says():
    plain = PhantomStyle(size=64, ellipses=(0, 0), texture=0)
    tissue = phantom(plain, np.random.RandomState(0))
    assert np.unique(tissue[28:36, 28:36]).tolist() == [0.5]
    textured = phantom(PhantomStyle(size=64, ellipses=(0, 0)), np.random.RandomState(0))
    assert 0.01 < textured[28:36, 28:36].std() < 0.15
    quiet, noisy = (
        make_phantoms(SplitSizes(1, 0, 0), PhantomStyle(size=64, noise=noise))["train"]["target"]
        for noise in (0, 0.1)
    )
    assert quiet[0, 0, 0] == 0
    assert 0.05 < noisy[0, :3, :3].mean() < 0.3
