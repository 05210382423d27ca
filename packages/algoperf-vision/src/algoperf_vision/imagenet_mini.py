"""The workloads `imagenet_resnet_mini` and `imagenet_vit_mini`: small ResNet and ViT on generated images.

They train on different images, each on those that separate training algorithms for its model (docs/minis.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from algoperf_core.spec import LossType
from algoperf_vision import resnet, vit
from algoperf_vision.glyphs import CHARACTERS, make_glyphs
from algoperf_vision.image_augmentations import normalise
from algoperf_vision.image_sampling import Array, SplitSizes
from algoperf_vision.labelled_images import LabelledSizes, labelled_dataset
from algoperf_vision.photo_patches import PHOTOGRAPHS, make_photo_patches
from algoperf_workloads import WorkloadDefinition
from algoperf_workloads.batches import Batch
from algoperf_workloads.columns import Columns
from algoperf_workloads.dataset import DatasetDefinition

SIZES = SplitSizes(train=40_000, validation=2_000, test=2_000)
_SHAPE = (32, 32, 3)
_MEAN, _DEVIATION = (128.0,) * 3, (64.0,) * 3


def preprocess(columns: Columns) -> Batch:
    """Scales images `(batch, 32, 32, 3)` from 0 to 255 to about -2 to 2, float32."""
    inputs = normalise(columns["images"], _MEAN, _DEVIATION)
    return {"inputs": inputs, "targets": columns["labels"]}


def generated_dataset(
    name: str,
    make: Callable[[SplitSizes], dict[str, dict[str, Array]]],
    *,
    content_hash: str | None,
    source: str,
    licence: str,
    sizes: SplitSizes = SIZES,
) -> DatasetDefinition:
    """Generated images, which are made in seconds when they are first needed.

    Args:
        name: Folder of the prepared data.
        make: Makes the splits.
        content_hash: Hash that the images must have.
        source: What they are made from.
        licence: Terms of that.
        sizes: Examples of each split.
    """
    return labelled_dataset(
        name=name,
        shape=_SHAPE,
        sizes=LabelledSizes(sizes.train, sizes.validation, sizes.test),
        num_eval_train_examples=min(1_000, sizes.train),
        make=partial(_make, make=make, sizes=sizes),
        preprocess=preprocess,
        source=source,
        licence=licence,
        on_the_fly=True,
        content_hash=content_hash,
    )


def _make(
    raw_dir: Path, *, make: Callable[[SplitSizes], dict[str, dict[str, Array]]], sizes: SplitSizes
) -> dict[str, dict[str, Array]]:
    del raw_dir
    return make(sizes)


GLYPHS = generated_dataset(
    "glyphs",
    make_glyphs,
    content_hash="26ba93a61f7954b08788441f1a87bd3967d12567911852a14ae3764a5996b1fd",
    source="Drawn from characters that come with this package; nothing to download.",
    licence="none of their own; the typefaces are DejaVu, STIX and Computer Modern, as matplotlib has them",
)
PHOTO_PATCHES = generated_dataset(
    "photo_patches",
    make_photo_patches,
    content_hash="4aaf9937289022439be32a657cbdd2b2181b81d94aa925f85181f2e0e4cbfb8a",
    source="Cut out of photographs that come with scikit-image and scikit-learn "
    '(pip install "algoperf-vision[generated]"); nothing to download.',
    licence="the photographs' own: public domain and Creative Commons, as scikit-image and scikit-learn say",
)

RESNET_MINI = WorkloadDefinition(
    name="imagenet_resnet_mini",
    summary="generated images of characters, a small bottleneck ResNet; needs no download",
    loss_type=LossType.SOFTMAX_CROSS_ENTROPY,
    dataset=GLYPHS,
    model=resnet.resnet(stage_sizes=(2, 2, 2), num_filters=16, num_classes=len(CHARACTERS)),
    eval_batch_size=500,
)
VIT_MINI = replace(
    RESNET_MINI,
    name="imagenet_vit_mini",
    summary="patches of photographs, a small vision transformer; needs no download",
    dataset=PHOTO_PATCHES,
    model=vit.vit(
        width=64, depth=4, mlp_dim=256, num_heads=4, num_classes=len(PHOTOGRAPHS), patch_size=8
    ),
)
