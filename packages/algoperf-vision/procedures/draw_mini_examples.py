"""Draws examples of what the mini workloads train on, for docs/minis.md.

    python packages/algoperf-vision/procedures/draw_mini_examples.py examples.png

It needs matplotlib and algoperf-vision[generated].
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from algoperf_vision.fastmri_data import slice_batch
from algoperf_vision.fastmri_mini import phantom_dataset
from algoperf_vision.glyphs import make_glyphs
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.photo_patches import make_photo_patches

COLUMNS, ROWS = 8, 4
SIZES = SplitSizes(train=COLUMNS * ROWS, validation=0, test=0)


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Images `(examples, height, width, ...)` side by side, row by row."""
    rows = [
        np.concatenate(list(images[i : i + columns]), 1) for i in range(0, len(images), columns)
    ]
    return np.concatenate(rows)


def phantoms() -> np.ndarray:
    """Under-sampled phantoms above what they should be."""
    dataset = phantom_dataset(SplitSizes(train=4, validation=0, test=0))
    (part,) = dataset.make(None)["train"]
    batch = slice_batch(part)
    return mosaic(np.concatenate([batch["inputs"], batch["targets"]]), columns=4)


def draw(path: str) -> None:
    """Draws all three into one figure."""
    figure = Figure(figsize=(11, 2.1), layout="constrained")
    FigureCanvasAgg(figure)
    pictures = {
        "imagenet_resnet_mini: which character": make_glyphs,
        "imagenet_vit_mini: from which photograph": make_photo_patches,
    }
    panels = figure.subplots(1, 3)
    for panel, (title, make) in zip(panels, pictures.items(), strict=False):
        panel.imshow(mosaic(make(SIZES)["train"]["images"], COLUMNS), interpolation="nearest")
        panel.set_title(title, fontsize=9)
    panels[2].imshow(phantoms(), cmap="gray", interpolation="nearest")
    panels[2].set_title("fastmri_mini: the lower from the upper", fontsize=9)
    for panel in panels:
        panel.set_axis_off()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1])
