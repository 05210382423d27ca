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
