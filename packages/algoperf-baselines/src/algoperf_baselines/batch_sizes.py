"""The global batch size of every workload, shared by all baselines."""

from collections.abc import Mapping

BATCH_SIZES: Mapping[str, int] = {
    "cifar": 128,
    "criteo1tb": 262_144,
    "digits": 128,
    "fastmri": 32,
    "fastmri_mini": 16,
    "imagenet_resnet": 1024,
    "imagenet_resnet_gelu": 512,
    "imagenet_resnet_mini": 128,
    "imagenet_resnet_silu": 512,
    "imagenet_vit": 1024,
    "imagenet_vit_mini": 128,
    "librispeech_conformer": 256,
    "librispeech_deepspeech": 256,
    "mnist": 16,
    "ogbg": 512,
    "wmt": 128,
}
"""Examples in a batch, over all devices together, by workload (Dahl et al. 2023, appendix).

A variant without a line of its own trains with the batch size of its base workload.
"""
