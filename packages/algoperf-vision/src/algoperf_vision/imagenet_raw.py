"""Reading ImageNet from what its publishers hand out, image by image, without unpacking it.

Three layouts are understood, looked for in this order:

    ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz   as downloaded
    train/<wnid>/*.JPEG, val/<wnid>/*.JPEG                                           unpacked by class
    train-*.parquet, validation-*.parquet                                            exported from the hub

and of ImageNet-v2 (Recht et al. 2019), the test set, `imagenetv2-matched-frequency.tar.gz` or the folder in
it. Labels count the classes from 0 in the order of their WordNet ids.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_vision.jpeg import decode_image, image_size, is_complete_jpeg
from algoperf_vision.raw_data import (
    LabelledImage,
    RawDataError,
    counted,
    find,
    image_bytes,
    missing,
    open_tar,
    parquet_files,
    parquet_rows,
    reading,
    require_count,
    tar_bytes,
    tar_files,
)

TRAIN_ARCHIVE = "ILSVRC2012_img_train.tar"
VALIDATION_ARCHIVE = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
V2_ARCHIVE = "imagenetv2-matched-frequency.tar.gz"
V2_FOLDERS = (
    "imagenetv2-matched-frequency-format-val",
    "imagenetv2-matched-frequency",
    "imagenet_v2",
)
PLACES = ("imagenet", "imagenet/pytorch", "imagenet/jax/downloads/manual", "imagenet-1k", ".")
_REGISTER = "Register at https://image-net.org/download-images.php and download ILSVRC 2012."
_V2_ADVICE = "Download it from https://huggingface.co/datasets/vaishaal/ImageNetV2."
_SUFFIXES = (".jpeg", ".jpg", ".png")
_Files = Iterator[tuple[str, bytes, int]]


@dataclass(frozen=True)
class ImagenetSizes:
    """How many classes and images there must be."""

    num_classes: int = 1000
    num_train: int = 1_281_167
    num_validation: int = 50_000
    num_test: int = 10_000


IMAGENET_SIZES = ImagenetSizes()


def read_train(raw_dir: Path, sizes: ImagenetSizes = IMAGENET_SIZES) -> Iterator[LabelledImage]:
    """Training images; from archives and folders in turn from every class.

    The first images of the result are therefore an even sample of the classes. An export keeps its order.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
        ImageError: A file is no image.
    """
    if archive := find(raw_dir, PLACES, (TRAIN_ARCHIVE,)):
        files = _train_archive(archive, sizes.num_classes)
    else:
        files = _folder_or_export(raw_dir, "train", "train", TRAIN_ARCHIVE, sizes.num_classes)
    return _checked(files, sizes.num_train, "ImageNet, training images", sizes.num_classes)


def read_validation(
    raw_dir: Path, sizes: ImagenetSizes = IMAGENET_SIZES
) -> Iterator[LabelledImage]:
    """Validation images; from the archive in the order of their numbers.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
        ImageError: A file is no image.
    """
    if archive := find(raw_dir, PLACES, (VALIDATION_ARCHIVE,)):
        devkit = find(raw_dir, PLACES, (DEVKIT,))
        if devkit is None:
            what = f"labels of {archive}"
            raise missing(what, raw_dir, PLACES, (DEVKIT,), _REGISTER)
        labels = validation_labels(devkit, sizes.num_classes)
        require_count(len(labels), sizes.num_validation, f"{devkit}: labels")
        files = _validation_archive(archive, labels)
    else:
        files = _folder_or_export(
            raw_dir, "val", "validation", VALIDATION_ARCHIVE, sizes.num_classes
        )
    return _checked(files, sizes.num_validation, "ImageNet, validation images", sizes.num_classes)


def read_test(raw_dir: Path, sizes: ImagenetSizes = IMAGENET_SIZES) -> Iterator[LabelledImage]:
    """Images of ImageNet-v2, matched frequency.

    Args:
        raw_dir: Folder of downloaded originals.
        sizes: What the dataset must have.

    Raises:
        RawDataError: Originals are missing, damaged or incomplete.
        ImageError: A file is no image.
    """
    if archive := find(raw_dir, PLACES, (V2_ARCHIVE,)):
        files = _v2_archive(archive)
    elif folder := find(raw_dir, PLACES, V2_FOLDERS):
        files = _v2_folder(folder)
    else:
        raise missing("ImageNet-v2", raw_dir, PLACES, (V2_ARCHIVE, *V2_FOLDERS), _V2_ADVICE)
    return _checked(files, sizes.num_test, "ImageNet-v2, images", sizes.num_classes)


def validation_labels(devkit: Path, num_classes: int) -> list[int]:
    """Labels of the validation images in the order of their numbers, from the development kit.

    Args:
        devkit: The archive `ILSVRC2012_devkit_t12.tar.gz`.
        num_classes: How many classes have images.

    Raises:
        RawDataError: The archive is damaged or is another one.
    """
    with open_tar(devkit) as archive:
        found = {
            Path(member.name).name: tar_bytes(archive, member)
            for member in tar_files(archive)
            if Path(member.name).parent.name == "data"
        }
    try:
        truth = found["ILSVRC2012_validation_ground_truth.txt"].decode("ascii").split()
        wnids = _wnids(found["meta.mat"])
    except KeyError as error:
        raise RawDataError(
            f"{devkit}: has no file data/{error.args[0]}; is it the kit of 2012?"
        ) from error
    require_count(len(wnids), num_classes, f"{devkit}: classes")
    label_of = {wnid: label for label, wnid in enumerate(sorted(wnids.values()))}
    return [label_of[wnids[int(number)]] for number in truth]


def _wnids(meta: bytes) -> dict[int, str]:
    """WordNet ids of the classes with images, by the kit's own numbers."""
    import scipy.io

    synsets = scipy.io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    return {
        int(synset["ILSVRC2012_ID"]): str(synset["WNID"])
        for synset in synsets
        if int(synset["num_children"]) == 0
    }


def _train_archive(path: Path, num_classes: int) -> _Files:
    with ExitStack() as stack:
        archive = stack.enter_context(open_tar(path))
        classes = {Path(member.name).stem: member for member in tar_files(archive)}
        require_count(len(classes), num_classes, f"{path}: archives of classes")
        streams = []
        for label, wnid in enumerate(sorted(classes)):
            stream = archive.extractfile(classes[wnid])
            inner = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
            streams.append(_class_archive(inner, f"{path}: {wnid}.tar", label))
        yield from _in_turn(streams)


def _class_archive(archive: tarfile.TarFile, name: str, label: int) -> _Files:
    for member in tar_files(archive):
        yield f"{name}: {member.name}", tar_bytes(archive, member), label


def _validation_archive(path: Path, labels: Sequence[int]) -> _Files:
    with open_tar(path) as archive:
        # The number at the end of the name, not the place in the archive, chooses the label.
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        images = [member for member in members if member.isfile()]
        require_count(len(images), len(labels), f"{path}: images")
        for member, label in zip(images, labels, strict=True):
            yield f"{path}: {member.name}", tar_bytes(archive, member), label


def _folder_or_export(
    raw_dir: Path, folder: str, split: str, archive: str, num_classes: int
) -> _Files:
    if found := find(raw_dir, PLACES, (folder,)):
        return _class_folders(found, num_classes)
    if exported := parquet_files(raw_dir, PLACES, split):
        return _export(exported)
    names = (archive, f"{folder}/<wnid>/*.JPEG", f"{split}-*.parquet")
    raise missing(f"ImageNet, {split} images", raw_dir, PLACES, names, _REGISTER)


def _class_folders(folder: Path, num_classes: int) -> _Files:
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    require_count(len(classes), num_classes, f"{folder}: folders of classes")
    return _in_turn([_class_folder(path, label) for label, path in enumerate(classes)])


def _class_folder(folder: Path, label: int) -> _Files:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _SUFFIXES:
            with reading(path):
                data = path.read_bytes()
            yield str(path), data, label


def _export(paths: Sequence[Path]) -> _Files:
    rows: Iterable[tuple[Any, ...]] = parquet_rows(paths, ("image", "label"))
    for index, (cell, label) in enumerate(rows):
        yield f"{paths[0].parent}: row {index} of the split", image_bytes(cell), int(label)


def _v2_archive(path: Path) -> _Files:
    with open_tar(path) as archive:
        for member in tar_files(archive):
            if Path(member.name).suffix.lower() in _SUFFIXES:
                name = f"{path}: {member.name}"
                yield name, tar_bytes(archive, member), _v2_label(Path(member.name).parent, name)


def _v2_folder(folder: Path) -> _Files:
    found = (path for path in folder.glob("**/*") if path.suffix.lower() in _SUFFIXES)
    for path in sorted(found, key=lambda path: (_v2_label(path.parent, str(path)), path.name)):
        with reading(path):
            data = path.read_bytes()
        yield str(path), data, _v2_label(path.parent, str(path))


def _v2_label(folder: Path, name: str) -> int:
    if not folder.name.isdecimal():
        raise RawDataError(
            f"{name}: its folder must be the number of its class, 0 to 999, but is {folder.name!r}"
        )
    return int(folder.name)


def _in_turn(streams: Sequence[_Files]) -> _Files:
    """One item of each stream, then the next of each, until all are used up."""
    remaining = list(streams)
    while remaining:
        going_on = []
        for stream in remaining:
            item = next(stream, None)
            if item is not None:
                going_on.append(stream)
                yield item
        remaining = going_on


def _checked(files: _Files, count: int, what: str, num_classes: int) -> Iterator[LabelledImage]:
    """Checks headers, ends, labels and numbers on the way."""
    seen = set()
    for name, data, label in counted(files, count, what):
        image_size(data, name)
        if not is_complete_jpeg(data):
            decode_image(data, name)
        if not 0 <= label < num_classes:
            raise RawDataError(f"{name}: has label {label}; allowed are 0 to {num_classes - 1}")
        seen.add(label)
        yield LabelledImage(data, label)
    require_count(len(seen), num_classes, f"{what}: classes that occur")
