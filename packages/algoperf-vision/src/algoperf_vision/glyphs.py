"""Generated images of glyphs: which of 36 letters and digits is it, in a typeface not seen in training.

Characters in typefaces that come with matplotlib: 32x32 pixels in colour, turned, sheared, moved, on an
uneven ground, with noise. Contrast and noise set how hard it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_vision.image_sampling import (
    IMAGE_SPLITS,
    SplitSizes,
    bilinear_views,
    draw_splits,
    grain,
    uniform,
    unit_vectors,
)

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIDE = 32
# Every family has styles in training; whole styles are held out.
TYPEFACES = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-BoldOblique"),
        *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
        *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic"),
        *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10"),
    ),
    "validation": ("DejaVuSans-Oblique", "DejaVuSerif-Italic", "cmb10"),
    "test": ("DejaVuSansMono-BoldOblique", "STIXGeneralBolIta", "cmti10"),
}
MASKS = Path(__file__).with_name("glyph_masks.npz")
"""The characters as `procedures/draw_glyph_masks.py` drew them."""
MASK_SIDE = 64


@dataclass(frozen=True)
class GlyphStyle:
    """How hard the glyphs are to read.

    Args:
        contrast: Smallest and largest difference of glyph and ground in each channel, in levels of 255.
        noise: Largest deviation of a pixel by noise, in levels.
        half_turn: Tangent of half the largest angle.
        shear: Largest shear.
        zoom: Smallest and largest size, relative to a glyph that fills most of the image.
        shift: Largest displacement, pixels.
    """

    contrast: tuple[float, float] = (30, 110)
    noise: float = 60
    half_turn: float = 0.2
    shear: float = 0.3
    zoom: tuple[float, float] = (0.6, 1.1)
    shift: float = 4


PLAIN_GLYPHS = GlyphStyle()


def make_glyphs(
    sizes: SplitSizes = IMAGE_SPLITS, style: GlyphStyle = PLAIN_GLYPHS, seed: int = 0
) -> dict[str, dict[str, Array]]:
    """Draws a dataset.

    Args:
        sizes: Examples of each split.
        style: How hard they are to read.
        seed: Chooses everything.

    Returns:
        For `train`, `validation` and `test`, which share no typeface: `images` `(examples, 32, 32, 3)`,
        uint8, and `labels` `(examples,)`, int32, positions in `CHARACTERS`.
    """
    masks = {split: glyph_masks(split) for split in TYPEFACES}
    return draw_splits(
        sizes, seed, lambda split, count, state: _draw(masks[split], count, style, state)
    )


def glyph_masks(split: str) -> Array:
    """Coverage of every character in every typeface of a split.

    Returns:
        `(typefaces, characters, 64, 64)`, uint8, centred.
    """
    with np.load(MASKS, allow_pickle=False) as masks:
        drawn: Array = masks[split]
    return drawn


def _draw(
    masks: Array, count: int, style: GlyphStyle, state: np.random.RandomState
) -> dict[str, Array]:
    labels = state.randint(0, len(CHARACTERS), count)
    which = state.randint(0, len(masks), count) * len(CHARACTERS) + labels
    pictures = masks.reshape(-1, MASK_SIDE, MASK_SIDE, 1)
    coverage = bilinear_views(pictures, which, _placements(count, style, state), SIDE)
    coverage *= np.float32(1 / 255)
    low, high = style.contrast
    step = uniform(state, low, high, (count, 1, 1, 3))
    step *= np.where(state.random_sample((count, 1, 1, 3)) < 0.5, -1, 1)
    images = _grounds(count, state) + coverage * step
    images += grain(state, style.noise, images.shape)
    return {"images": images.clip(0, 255).astype(np.uint8), "labels": labels.astype(np.int32)}


def _placements(count: int, style: GlyphStyle, state: np.random.RandomState) -> Float:
    """Matrices from the view to the mask."""
    cosine, sine = unit_vectors(uniform(state, -style.half_turn, style.half_turn, (count,)))
    shear = uniform(state, -style.shear, style.shear, (count,))
    scale = np.float32(MASK_SIDE / SIDE) / uniform(state, *style.zoom, (count,))
    turn = np.stack((cosine, -sine + shear, sine, cosine), 1).reshape(count, 2, 2)
    matrices = np.empty((count, 2, 3), np.float32)
    matrices[:, :, :2] = turn * scale[:, np.newaxis, np.newaxis]
    shift = uniform(state, -style.shift, style.shift, (count, 2))
    matrices[:, :, 2] = np.float32((MASK_SIDE - 1) / 2) + shift * scale[:, np.newaxis]
    return matrices


def _grounds(count: int, state: np.random.RandomState) -> Float:
    """Colours that change evenly from corner to corner, `(count, 32, 32, 3)`."""
    top, bottom, slope = uniform(state, 60, 195, (3, count, 1, 3))
    across = np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)[:, np.newaxis]
    down = np.linspace(0, 1, SIDE, dtype=np.float32)[:, np.newaxis]
    rows = top + (bottom - top) * down
    columns = (slope - 128) * across
    grounds: Float = rows[:, :, np.newaxis] + columns[:, np.newaxis]
    return grounds
