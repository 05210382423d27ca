"""Decoding: equal to the published decoding, and whatever ImageNet has in store."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from algoperf_vision.jpeg import ImageError, decode_image, image_size

GOLDENS = np.load(Path(__file__).parent / "goldens" / "imagenet_randaugment.npz")
JPEG = GOLDENS["jpeg_bytes"].tobytes()


def encoded(image, form="jpeg", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def picture(mode="RGB"):
    y, x = np.mgrid[:40, :56]
    channels = np.stack((x * 4, y * 6, 255 - x * 4), -1).astype(np.uint8)
    return PIL.Image.fromarray(channels).convert(mode)


def test_a_jpeg_is_decoded_to_the_published_pixels():
    np.testing.assert_array_equal(decode_image(JPEG), GOLDENS["jpeg_decoded"])


def test_the_size_is_read_from_the_header():
    assert image_size(JPEG) == (81, 40)
    assert image_size(encoded(picture(), "png")) == (40, 56)
    assert image_size(encoded(picture("CMYK"))) == (40, 56)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_colour_space_becomes_rgb(mode):
    image = decode_image(encoded(picture(mode), quality=98))
    expected = np.asarray(picture(mode).convert("RGB"))
    assert image.shape == (40, 56, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected).mean() < 3


def test_a_png_under_the_name_of_a_jpeg_is_decoded():
    np.testing.assert_array_equal(decode_image(encoded(picture(), "png")), np.asarray(picture()))


def test_a_transparent_png_has_three_channels():
    assert decode_image(encoded(picture("RGBA"), "png")).shape == (40, 56, 3)


def test_an_orientation_is_not_applied():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    assert decode_image(encoded(picture(), exif=exif)).shape == (40, 56, 3)


def test_bytes_after_the_end_do_not_matter():
    np.testing.assert_array_equal(decode_image(JPEG + b"\0\1junk"), GOLDENS["jpeg_decoded"])


@pytest.mark.parametrize(
    "data",
    [b"", b"no image", JPEG[:1500], JPEG[:30], b"\xff\xd8\xff", encoded(picture(), "png")[:90]],
    ids=["empty", "text", "half a JPEG", "header", "start", "half a PNG"],
)
def test_what_is_no_whole_image_is_named(data):
    with pytest.raises(ImageError, match=r"n01440764_18\.JPEG: cannot be decoded"):
        decode_image(data, "n01440764_18.JPEG")
