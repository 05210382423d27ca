"""Draws the characters of `algoperf_vision.glyphs` with the typefaces that come with matplotlib.

    python packages/algoperf-vision/procedures/draw_glyph_masks.py

Other versions of FreeType draw the same outlines a little differently, and not every matplotlib brings all
typefaces; so what was drawn once, with Pillow 13.0 and matplotlib 3.11, is part of the package, and generated
images are the same on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from algoperf_vision import glyphs

FONT_SIZE = 48


def draw_masks(typefaces: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Coverage of every character in every typeface, `(typefaces, characters, 64, 64)`, centred."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [
        ImageFont.truetype(
            str(folder / f"{name}.ttf"), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC
        )
        for name in typefaces
    ]
    return np.array([[_mask(font, character) for character in glyphs.CHARACTERS] for font in fonts])


def _mask(font: Any, character: str) -> npt.NDArray[np.uint8]:
    side = glyphs.MASK_SIDE
    image = Image.new("L", (side, side))
    left, top, right, bottom = font.getbbox(character)
    corner = ((side - left - right) // 2, (side - top - bottom) // 2)
    ImageDraw.Draw(image).text(corner, character, fill=255, font=font)
    return np.asarray(image)


if __name__ == "__main__":
    masks = {split: draw_masks(typefaces) for split, typefaces in glyphs.TYPEFACES.items()}
    np.savez_compressed(glyphs.MASKS, **masks)
