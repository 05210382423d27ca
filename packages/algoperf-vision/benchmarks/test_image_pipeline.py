"""What the pipelines of images and slices cost, side by side with decoding alone and with other decoders.

Run with `taskset -c 0 pytest packages/algoperf-vision/benchmarks/test_image_pipeline.py`. Photographs are
500x375 pixels, quality 90. `extra_info` of a result holds the examples per second. Decoders that are not
installed are skipped.
"""

import io

import jax
import numpy as np
import PIL.Image
import pytest
import torch

from algoperf_vision import ssim_jax, ssim_torch
from algoperf_vision.fastmri_preprocess import fastmri_batch
from algoperf_vision.glyphs import make_glyphs
from algoperf_vision.image_augmentations import CIFAR_PADDING, pad_crop_flip
from algoperf_vision.image_sampling import SplitSizes
from algoperf_vision.imagenet_preprocess import ImagenetPreprocessing
from algoperf_vision.jpeg import decode_image
from algoperf_vision.phantoms import make_phantoms
from algoperf_vision.photo_patches import make_photo_patches, read_photograph
from algoperf_vision.randaugment import OPERATIONS, Draws, RandAugment

BATCH_SIZE = 32
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "flower.jpg",
    "rocket.jpg",
)


def encoded(name):
    stream = io.BytesIO()
    image = PIL.Image.fromarray(read_photograph(name)).resize((500, 375))
    image.save(stream, "jpeg", quality=90)
    return stream.getvalue()


@pytest.fixture(scope="module")
def columns():
    files = [encoded(name) for name in PHOTOGRAPHS]
    files = [files[number % len(files)] for number in range(BATCH_SIZE)]
    return {"jpeg": files, "label": np.zeros(BATCH_SIZE, np.int32)}


def measure(benchmark, function, examples, rounds=15):
    benchmark.pedantic(function, rounds=rounds, warmup_rounds=2)
    if benchmark.stats is not None:
        benchmark.extra_info["examples_per_s"] = round(examples / benchmark.stats["median"])


def with_pillow(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


def with_opencv(data):
    cv2 = pytest.importorskip("cv2")
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def with_imagecodecs(data):
    return pytest.importorskip("imagecodecs").jpeg8_decode(data)


@pytest.mark.benchmark(group="ImageNet, 32 photographs")
@pytest.mark.parametrize(
    "decode", [decode_image, with_pillow, with_opencv, with_imagecodecs], ids=lambda f: f.__name__
)
def test_decoding_alone(benchmark, columns, decode):
    decode(columns["jpeg"][0])
    measure(benchmark, lambda: [decode(data) for data in columns["jpeg"]], BATCH_SIZE)


@pytest.mark.benchmark(group="ImageNet, 32 photographs")
@pytest.mark.parametrize("name", ["resnet_train", "vit_train", "evaluation"])
def test_photographs_to_batch(benchmark, columns, name):
    generator = np.random.default_rng(0)
    resnet = ImagenetPreprocessing()
    vit = ImagenetPreprocessing(randaugment=RandAugment(), mixup_alpha=0.2)
    make = {
        "resnet_train": lambda: resnet.train_batch(columns, generator),
        "vit_train": lambda: vit.train_batch(columns, generator),
        "evaluation": lambda: resnet.eval_batch(columns),
    }
    # What weights of resizing cost is paid once for each size.
    for _ in range(10):
        make[name]()
    measure(benchmark, make[name], BATCH_SIZE)


@pytest.mark.benchmark(group="RandAugment, one image of 224x224")
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(benchmark, name):
    image = np.asarray(PIL.Image.fromarray(read_photograph("astronaut.png")).resize((224, 224)))
    measure(benchmark, lambda: OPERATIONS[name](image, 10, Draws(True, 0.5, 0.5)), 1, rounds=50)


@pytest.mark.benchmark(group="CIFAR-10, 1024 images")
def test_pad_crop_flip(benchmark):
    images = np.random.default_rng(0).integers(0, 256, (1024, 32, 32, 3), np.uint8)
    generator = np.random.default_rng(0)
    measure(benchmark, lambda: pad_crop_flip(images, CIFAR_PADDING, generator), len(images))


@pytest.mark.benchmark(group="fastMRI, 8 slices of 640x368")
def test_slices_to_batch(benchmark):
    generator = np.random.default_rng(0)
    kspace = generator.normal(size=(8, 640, 368, 2)).astype(np.float32).view(np.complex64)[..., 0]
    slices = {
        "kspace": list(kspace),
        "target": generator.random((8, 320, 320), np.float32),
        "volume_max": np.ones(8, np.float32),
        "index": np.arange(8),
    }
    measure(benchmark, lambda: fastmri_batch(slices), 8)


@pytest.mark.benchmark(group="SSIM, 8 images of 320x320")
@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_ssim(benchmark, framework):
    images = np.random.default_rng(0).random((2, 8, 320, 320), np.float32)
    if framework == "jax":
        compiled, arrays = jax.jit(ssim_jax.ssim), list(map(jax.numpy.asarray, images))
        measure(benchmark, lambda: compiled(*arrays).block_until_ready(), 8)
    else:
        tensors = list(map(torch.tensor, images))
        measure(benchmark, lambda: ssim_torch.ssim(*tensors), 8)


@pytest.mark.benchmark(group="generated datasets, 256 examples")
@pytest.mark.parametrize("make", [make_glyphs, make_photo_patches, make_phantoms])
def test_generating(benchmark, make):
    measure(benchmark, lambda: make(SplitSizes(256, 0, 0)), 256, rounds=3)
