"""Decoding of photographs to RGB.

JPEG files go through simplejpeg (libjpeg-turbo) with the fast integer DCT and smooth chroma upsampling: the
published pipeline decodes with the same two choices, so that pixels are equal, and nothing else that
installs from wheels is faster. Everything that is not an ordinary JPEG (ImageNet has CMYK files and a PNG
under a JPEG's name) goes through Pillow. An orientation in EXIF data is not applied.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_core.errors import WorkloadError

Image = npt.NDArray[np.uint8]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Some writers leave a few bytes behind the end.
_TAIL = 64


class ImageError(WorkloadError):
    """An image cannot be read."""


def decode_image(data: bytes, name: str = "image") -> Image:
    """Decodes an image file.

    Args:
        data: The bytes of a JPEG, or of any other format that Pillow reads.
        name: What to call the image in an error.

    Returns:
        `(height, width, 3)`, uint8, RGB.

    Raises:
        ImageError: The bytes are no image, or an image that ends too early.
    """
    import simplejpeg

    if data[:2] == _JPEG_START:
        try:
            image: Image = simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=False)
        except ValueError:
            # CMYK, or a file with a flaw: Pillow reads those that still hold the whole image.
            return _decode_with_pillow(data, name)
        return image
    return _decode_with_pillow(data, name)


def image_size(data: bytes, name: str = "image") -> tuple[int, int]:
    """Height and width of an image file, from its header.

    Args:
        data: The bytes of the file.
        name: What to call the image in an error.

    Raises:
        ImageError: The bytes do not begin like an image.
    """
    import simplejpeg

    if data[:2] == _JPEG_START:
        try:
            height, width = simplejpeg.decode_jpeg_header(data)[:2]
        except ValueError:
            pass
        else:
            return int(height), int(width)
    with _open(data, name) as image:
        return image.height, image.width


def is_complete_jpeg(data: bytes) -> bool:
    """Whether a file begins and ends like a JPEG; one whose download stopped early does not."""
    return data[:2] == _JPEG_START and _JPEG_END in data[-_TAIL:]


def _decode_with_pillow(data: bytes, name: str) -> Image:
    with _open(data, name) as image:
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(name, len(data), error) from error


def _open(data: bytes, name: str) -> Any:
    import PIL.Image

    try:
        return PIL.Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(name, len(data), error) from error


def _unreadable(name: str, size: int, error: Exception) -> ImageError:
    return ImageError(
        f"{name}: cannot be decoded ({size} bytes): {error}. An image was expected, JPEG or another "
        "format that Pillow reads; the file is damaged or incomplete, so fetch it again."
    )
