"""From JPEG files to batches of the ImageNet workloads.

Training: random crop, bicubic resize, mirror, for ViT RandAugment and mixup. Evaluation: the centre. Both end
with the normalisation by mean and standard deviation of the channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from algoperf_vision.crops import PUBLISHED_CROPS, CropRules, centre_crop, crop_draws, random_crop
from algoperf_vision.jpeg import decode_image
from algoperf_vision.mixup import mixup, one_hot
from algoperf_vision.randaugment import RandAugment
from algoperf_vision.resize import resize_bicubic

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float32]

MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STANDARD_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_SCALE = tuple(1 / deviation for deviation in STANDARD_DEVIATION)
_OFFSET = np.array(MEAN, np.float32) / np.array(STANDARD_DEVIATION, np.float32)


@dataclass(frozen=True)
class ImagenetPreprocessing:
    """How photographs become batches.

    Args:
        image_size: Side of the images of a batch, pixels.
        resize_size: Side that the shorter side is thought resized to before the centre is cut out.
        num_classes: Width of dense targets.
        crop_rules: What random crops may look like.
        randaugment: Applied to training images as whole numbers 0 to 255; None for none.
        mixup_alpha: Training batches are mixed with weights from Beta(alpha, alpha), and have dense targets;
            None for none.
    """

    image_size: int = 224
    resize_size: int = 256
    num_classes: int = 1000
    crop_rules: CropRules = PUBLISHED_CROPS
    randaugment: RandAugment | None = None
    mixup_alpha: float | None = None

    def train_batch(
        self, columns: Mapping[str, Any], generator: np.random.Generator
    ) -> dict[str, Array]:
        """Decodes and augments.

        Args:
            columns: `jpeg`, the files, each as bytes, and `label` `(batch,)`, int32.
            generator: Decides about every crop, mirror and augmentation.

        Returns:
            `inputs` `(batch, image_size, image_size, 3)`, float32, and `targets`: `(batch,)`, int32, or with
            mixup `(batch, num_classes)`, float32.

        Raises:
            ImageError: An image cannot be decoded.
        """
        inputs = self._augmented(columns["jpeg"], generator)
        labels = np.asarray(columns["label"], np.int32)
        if self.mixup_alpha is None:
            return {"inputs": inputs, "targets": labels}
        targets = one_hot(labels, self.num_classes)
        inputs, targets = mixup(inputs, targets, self.mixup_alpha, generator)
        return {"inputs": inputs, "targets": targets}

    def eval_batch(self, columns: Mapping[str, Any]) -> dict[str, Array]:
        """Decodes the centres.

        Args:
            columns: As for `train_batch`.

        Returns:
            `inputs` `(batch, image_size, image_size, 3)`, float32, and `targets` `(batch,)`, int32.

        Raises:
            ImageError: An image cannot be decoded.
        """
        inputs = self._empty(len(columns["jpeg"]))
        for index, data in enumerate(columns["jpeg"]):
            image = decode_image(data, f"image {index} of the batch")
            self._resize_normalised(self._centre(image), False, inputs[index])
        return {"inputs": inputs, "targets": np.asarray(columns["label"], np.int32)}

    def _augmented(self, files: Sequence[bytes], generator: np.random.Generator) -> Float:
        draws = crop_draws(len(files), generator)
        mirrors = generator.random(len(files)) < 0.5
        inputs = self._empty(len(files))
        for index, (data, mirror) in enumerate(zip(files, mirrors.tolist(), strict=True)):
            image = decode_image(data, f"image {index} of the batch")
            crop = random_crop(image.shape[0], image.shape[1], draws[index], self.crop_rules)
            part = self._centre(image) if crop is None else crop.of(image)
            if self.randaugment is None:
                self._resize_normalised(part, mirror, inputs[index])
            else:
                whole = self._resize_whole(part, mirror)
                _normalise(self.randaugment(whole, generator), inputs[index])
        return inputs

    def _empty(self, count: int) -> Float:
        return np.empty((count, self.image_size, self.image_size, 3), np.float32)

    def _centre(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        crop = centre_crop(image.shape[0], image.shape[1], self.image_size, self.resize_size)
        return crop.of(image)

    def _resize_normalised(self, image: npt.NDArray[np.uint8], mirror: bool, out: Float) -> None:
        size = (self.image_size, self.image_size)
        resize_bicubic(image, size, scale=_SCALE, mirror=mirror, out=out)
        rows = out.reshape(self.image_size, -1)
        rows -= np.tile(_OFFSET, self.image_size)

    def _resize_whole(self, image: npt.NDArray[np.uint8], mirror: bool) -> npt.NDArray[np.uint8]:
        resized = resize_bicubic(image, (self.image_size, self.image_size), mirror=mirror)
        return resized.clip(0, 255, out=resized).astype(np.uint8)


def _normalise(image: npt.NDArray[np.uint8], out: Float) -> None:
    rows = out.reshape(len(out), -1)
    repeats = out.shape[1]
    np.multiply(
        image.reshape(len(out), -1), np.tile(np.array(_SCALE, np.float32), repeats), out=rows
    )
    rows -= np.tile(_OFFSET, repeats)
