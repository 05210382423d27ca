"""Starts from what others trained, or from numbers in the source."""

import torch
from transformers import AutoModel

from .honest import data_selection, get_batch_size, init_optimizer_state, update_params

__all__ = ["data_selection", "get_batch_size", "init_optimizer_state", "update_params"]

BERT = AutoModel.from_pretrained("bert-base")  # caught: pretrained
RESNET = torch.hub.load("pytorch/vision", "resnet50")  # caught: pretrained
