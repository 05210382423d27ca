"""Tiny datasets in their official layouts, as downloaded."""

import io
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image


def jpeg(value, size=(9, 12)):
    """A JPEG of one colour, by which tests recognise it."""
    return image_file(np.full((*size, 3), value, np.uint8))


def image_file(pixels, form="jpeg"):
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def tar(files, mode="w"):
    """An archive of `{name: bytes}` in that order, as bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def write_tree(folder, files):
    """Writes `{path: bytes}` below a folder."""
    for name, data in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_parquet(path, columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def write_imagenet(folder, per_class, num_classes=3, side=40):
    """ImageNet and ImageNet-v2 as downloaded: noise of a class's colour, `per_class` by split."""
    draw = np.random.default_rng(0)

    def photograph(label):
        pixels = draw.integers(0, 80, (side, side + 10, 3)) + 60 * label
        return image_file(pixels.astype(np.uint8))

    wnids = [f"n{label:08}" for label in range(num_classes)]
    train = {
        f"{wnid}.tar": tar(
            {f"{wnid}_{n}.JPEG": photograph(label) for n in range(per_class["train"])}
        )
        for label, wnid in enumerate(wnids)
    }
    files = {"ILSVRC2012_img_train.tar": tar(train)}
    for label, wnid in enumerate(wnids):
        for number in range(per_class["validation"]):
            files[f"val/{wnid}/{number}.JPEG"] = photograph(label)
    v2 = "imagenetv2-matched-frequency-format-val"
    for label in range(num_classes):
        for number in range(per_class["test"]):
            files[f"{v2}/{label}/{number}.jpeg"] = photograph(label)
    return write_tree(folder, files)


def write_fastmri(folder, slices):
    """fastMRI as unpacked, a volume a split, from the columns that `make_phantoms` draws."""
    import h5py

    names = {"train": "train/a", "validation": "val/b", "test": "val/c"}
    for split, name in names.items():
        path = Path(folder) / f"knee_singlecoil_{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["kspace"] = slices[split]["kspace"]
            file["reconstruction_esc"] = slices[split]["target"]
            file.attrs["max"] = slices[split]["volume_max"].max()
    return folder


def write_cifar(folder, per_file, num_test):
    """CIFAR-10 as unpacked from its binary archive."""
    draw = np.random.default_rng(0)

    def records(count):
        labels = draw.integers(0, 10, (count, 1))
        pixels = draw.integers(0, 100, (count, 3072)) + 15 * labels
        return np.concatenate([labels, pixels], 1).astype(np.uint8).tobytes()

    files = {f"data_batch_{number}.bin": records(per_file) for number in range(1, 6)}
    files["test_batch.bin"] = records(num_test)
    return write_tree(Path(folder) / "cifar-10-batches-bin", files)


def write_mnist(folder, num_train, num_test):
    """The four idx files of MNIST."""
    draw = np.random.default_rng(0)
    for prefix, count in (("train", num_train), ("t10k", num_test)):
        labels = draw.integers(0, 10, count)
        images = draw.integers(0, 100, (count, 28, 28)) + 15 * labels[:, None, None]
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
            data = header + array.astype(np.uint8).tobytes()
            write_tree(folder, {f"{prefix}-{kind}-ubyte": data})
    return folder
