"""Generated images: deterministic, disjoint between splits, learnable and not trivially so."""

import numpy as np
import pytest

from algoperf_vision import glyphs, photo_patches
from algoperf_vision.glyphs import CHARACTERS, TYPEFACES, GlyphStyle, glyph_masks, make_glyphs
from algoperf_vision.image_sampling import (
    MissingPackageError,
    SplitSizes,
    bilinear_views,
    grain,
    package_folder,
    unit_vectors,
)
from algoperf_vision.photo_patches import PHOTOGRAPHS, make_photo_patches, split_blocks

SIZES = SplitSizes(train=700, validation=130, test=100)
MAKERS = {
    "glyphs": (make_glyphs, len(CHARACTERS)),
    "photos": (make_photo_patches, len(PHOTOGRAPHS)),
}
EVERY_MAKER = pytest.mark.parametrize(("make", "classes"), MAKERS.values(), ids=MAKERS)


@EVERY_MAKER
def test_splits_have_their_sizes_and_types(make, classes):
    splits = make(SIZES)
    assert {split: len(columns["labels"]) for split, columns in splits.items()} == dict(
        SIZES.items()
    )
    for columns in splits.values():
        assert columns["images"].shape[1:] == (32, 32, 3)
        assert columns["images"].dtype == np.uint8
        assert columns["labels"].dtype == np.int32
        assert columns["labels"].min() >= 0
        assert columns["labels"].max() < classes


@EVERY_MAKER
def test_classes_are_equally_frequent(make, classes):
    labels = make(SplitSizes(train=3000, validation=0, test=0))["train"]["labels"]
    counts = np.bincount(labels, minlength=classes)
    assert counts.min() > 0.6 * 3000 / classes
    assert counts.max() < 1.5 * 3000 / classes


@EVERY_MAKER
def test_the_seed_decides_everything(make, classes):
    first, again, other = (make(SIZES, seed=seed) for seed in (1, 1, 2))
    for split in first:
        for name in ("images", "labels"):
            np.testing.assert_array_equal(first[split][name], again[split][name])
        assert not np.array_equal(first[split]["images"], other[split]["images"])


@EVERY_MAKER
def test_no_image_occurs_twice(make, classes):
    splits = make(SIZES)
    images = np.concatenate([columns["images"] for columns in splits.values()])
    assert len({image.tobytes() for image in images}) == len(images)


@EVERY_MAKER
def test_more_training_images_begin_with_the_same_and_leave_other_splits(make, classes):
    few = make(SplitSizes(train=128, validation=20, test=20))
    many = make(SplitSizes(train=256, validation=20, test=20))
    np.testing.assert_array_equal(many["train"]["images"][:128], few["train"]["images"])
    np.testing.assert_array_equal(many["test"]["images"], few["test"]["images"])


def nearest_mean_accuracy(splits):
    """Accuracy of the class whose mean training image is nearest, on images with evened-out levels."""

    def evened(columns):
        grey = columns["images"].mean(3).reshape(len(columns["images"]), -1)
        return np.abs(grey - np.median(grey, 1, keepdims=True))

    train, test = evened(splits["train"]), evened(splits["test"])
    labels = splits["train"]["labels"]
    means = np.array([train[labels == label].mean(0) for label in range(labels.max() + 1)])
    distances = ((test[:, np.newaxis] - means) ** 2).sum(2)
    return (distances.argmin(1) == splits["test"]["labels"]).mean()


def test_glyphs_can_be_told_apart_though_not_by_their_mean():
    easy = GlyphStyle(contrast=(120, 150), noise=5, half_turn=0.02, shear=0, zoom=(1, 1), shift=0)
    sizes = SplitSizes(train=4000, validation=1, test=300)
    assert nearest_mean_accuracy(make_glyphs(sizes, easy)) > 0.5
    assert nearest_mean_accuracy(make_glyphs(sizes)) < 0.3


def test_held_out_typefaces_are_not_trained_on():
    names = [set(typefaces) for typefaces in TYPEFACES.values()]
    assert sum(map(len, names)) == len(set.union(*names)) == 21
    assert glyphs.TYPEFACES["validation"] != glyphs.TYPEFACES["test"]


@pytest.mark.parametrize("split", TYPEFACES)
def test_every_typeface_has_every_character(split):
    masks = glyph_masks(split)
    assert masks.shape == (len(TYPEFACES[split]), 36, 64, 64)
    # Not cut off at the border, not empty, no two alike (a missing character is drawn as a box).
    assert masks[:, :, [0, -1]].max() == masks[..., [0, -1]].max() == 0
    assert masks.max((2, 3)).min() > 200
    for typeface in masks:
        assert len({mask.tobytes() for mask in typeface}) == 36


def test_contrast_and_noise_are_what_the_style_says():
    style = GlyphStyle(contrast=(0, 0), noise=0)
    images = make_glyphs(SplitSizes(train=50, validation=0, test=0), style)["train"]["images"]
    # Without contrast and noise only the even ground is left.
    steps = np.abs(np.diff(images.astype(int), axis=2))
    assert steps.max() <= 4


def test_blocks_of_a_photograph_belong_to_one_split_each():
    generator = np.random.default_rng(0)
    photographs = [generator.integers(0, 256, (200, 330, 3), np.uint8) for _ in range(2)]
    shared = split_blocks(photographs, 0)
    for number in range(2):
        blocks = [block.tobytes() for split in shared for block in shared[split][number]]
        assert len(blocks) == len(set(blocks)) == 3 * 5
        assert [len(shared[split][number]) for split in shared] == [8, 3, 4]


def test_bare_blocks_are_left_out():
    photograph = np.full((64, 128, 3), 9, np.uint8)
    photograph[:, 64:] = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    shared = split_blocks([photograph], 0)
    assert sum(len(shared[split][0]) for split in shared) == 1


def test_every_photograph_has_blocks_in_every_split():
    shared = split_blocks([photo_patches.read_photograph(name) for name in PHOTOGRAPHS], 0)
    for photographs in shared.values():
        assert len(photographs) == 18
        assert min(map(len, photographs)) >= 2


def test_views_interpolate_between_pixels():
    picture = np.arange(20, dtype=np.float32).reshape(1, 4, 5, 1) ** 2
    # Twice as fine as the picture, around column 2 and row 1.5.
    matrix = np.array([[[0.5, 0, 2], [0, 0.5, 1.5]]], np.float32)
    view = bilinear_views(picture, np.array([0]), matrix, 4)[0, :, :, 0]
    for row, y in enumerate((0.75, 1.25, 1.75, 2.25)):
        for column, x in enumerate((1.25, 1.75, 2.25, 2.75)):
            top, left = int(y), int(x)
            corner = picture[0, top : top + 2, left : left + 2, 0]
            expected = (
                np.array([1 - (y - top), y - top]) @ corner @ np.array([1 - (x - left), x - left])
            )
            np.testing.assert_allclose(view[row, column], expected, rtol=1e-6)


def test_views_beyond_a_picture_continue_its_border():
    pictures = np.zeros((2, 3, 3, 1), np.uint8)
    pictures[1] = 7
    matrix = np.array([[[1, 0, 50], [0, 1, -50]]], np.float32)
    assert set(bilinear_views(pictures, np.array([1]), matrix, 3).ravel()) == {7}


def test_unit_vectors_are_those_of_twice_the_angle():
    angles = np.linspace(-1.4, 1.4, 7)
    cosine, sine = unit_vectors(np.tan(angles / 2))
    np.testing.assert_allclose(cosine, np.cos(angles), rtol=1e-12)
    np.testing.assert_allclose(sine, np.sin(angles), rtol=1e-12)


def test_a_missing_package_is_named_with_what_to_install():
    with pytest.raises(MissingPackageError, match=r"no-such-package is not installed.*pip install"):
        package_folder("no_such_package", "no-such-package")


def test_noise_is_symmetric_and_bounded():
    noise = grain(np.random.RandomState(0), 40, (100_000,))
    assert np.abs(noise).max() <= 40
    assert abs(noise.mean()) < 0.3
    assert abs(noise.std() - 40 / np.sqrt(6)) < 0.3
