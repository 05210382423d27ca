"""From downloaded files to batches: readers and preprocessing together, and what they import."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from raw_trees import image_file, tar, write_tree

from algoperf_vision.fastmri_preprocess import fastmri_batch
from algoperf_vision.fastmri_raw import FastmriSizes, read_train, read_validation
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.imagenet_preprocess import ImagenetPreprocessing
from algoperf_vision.imagenet_raw import ImagenetSizes
from algoperf_vision.imagenet_raw import read_train as read_photographs
from algoperf_vision.phantoms import PhantomStyle, make_phantoms

MODULES = (
    *("jpeg", "resize", "crops", "randaugment", "mixup", "imagenet_preprocess", "imagenet_raw"),
    *("fastmri_raw", "fastmri_preprocess", "cifar_raw", "mnist_raw", "image_augmentations"),
    *("glyphs", "photo_patches", "phantoms"),
)
HEAVY = (
    "jax",
    "torch",
    "datasets",
    "grain",
    "PIL",
    "h5py",
    "scipy",
    "pyarrow",
    "matplotlib",
    "skimage",
)


def test_photographs_in_archives_become_a_batch(tmp_path):
    generator = np.random.default_rng(0)
    archives = {
        f"n0000000{label}.tar": tar(
            {
                f"n0000000{label}_{number}.JPEG": image_file(
                    generator.integers(0, 256, (40 + label, 50, 3), np.uint8)
                )
                for number in range(2)
            }
        )
        for label in range(3)
    }
    write_tree(tmp_path, {"ILSVRC2012_img_train.tar": tar(archives)})
    images = list(read_photographs(tmp_path, ImagenetSizes(num_classes=3, num_train=6)))
    columns = {
        "jpeg": [image.data for image in images],
        "label": np.array([image.label for image in images], np.int32),
    }
    preprocessing = ImagenetPreprocessing(image_size=24, resize_size=28, num_classes=3)
    for batch in (
        preprocessing.train_batch(columns, np.random.default_rng(0)),
        preprocessing.eval_batch(columns),
    ):
        assert batch["inputs"].shape == (6, 24, 24, 3)
        assert np.isfinite(batch["inputs"]).all()
        assert batch["targets"].tolist() == [0, 1, 2, 0, 1, 2]


@pytest.fixture
def volumes(tmp_path):
    """Phantoms as if they came from a scanner: one volume to train, two to hold out."""
    style = PhantomStyle(size=40)
    slices = make_phantoms(SplitSizes(train=3, validation=2, test=2), style)
    names = {"train": "knee_singlecoil_train/a", "validation": "knee_singlecoil_val/b"}
    names["test"] = "knee_singlecoil_val/c"
    for split, name in names.items():
        path = tmp_path / f"{name}.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            file["kspace"] = slices[split]["kspace"]
            file["reconstruction_esc"] = slices[split]["target"]
            file.attrs["max"] = slices[split]["volume_max"].max()
    return tmp_path


def columns_of(slices):
    return {
        "kspace": [one.kspace for one in slices],
        "target": np.array([one.target for one in slices]),
        "volume_max": [one.volume_max for one in slices],
        "index": [one.index for one in slices],
    }


def test_volumes_become_a_batch(volumes):
    sizes = FastmriSizes(1, 1, 1, num_train=3, num_validation=2, num_test=2)
    train = fastmri_batch(columns_of(list(read_train(volumes, sizes))))
    held_out = fastmri_batch(columns_of(list(read_validation(volumes, sizes))))
    for batch, count in ((train, 3), (held_out, 2)):
        assert batch["inputs"].shape == batch["targets"].shape == (count, 40, 40)
        assert len(set(batch["volume_max"])) == 1
        np.testing.assert_allclose(batch["inputs"].mean((1, 2)), 0, atol=0.05)
        np.testing.assert_allclose(batch["inputs"].std((1, 2)), 1, atol=0.05)


def test_held_out_slices_share_their_mask_and_training_slices_do_not(volumes):
    sizes = FastmriSizes(1, 1, 1, num_train=3, num_validation=2, num_test=2)

    def masks(slices):
        """Which columns survive in slices whose k-space is 1 everywhere, seen in their images."""
        columns = columns_of(slices)
        columns["kspace"] = [np.ones((40, 40), np.complex64)] * len(slices)
        return {image.tobytes() for image in fastmri_batch(columns)["inputs"]}

    assert len(masks(list(read_validation(volumes, sizes)))) == 1
    assert len(masks(list(read_train(volumes, sizes)))) == 3


def test_importing_the_data_modules_imports_nothing_heavy():
    names = ", ".join(f"algoperf_vision.{name}" for name in MODULES)
    code = f"import sys, {names}; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
