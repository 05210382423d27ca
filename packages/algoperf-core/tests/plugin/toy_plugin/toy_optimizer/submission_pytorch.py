import torch

from algoperf_core import from_torch


def optimizer(parameters, hyperparameters, step_hint):
    return torch.optim.SGD(parameters, hyperparameters.learning_rate)


submission = from_torch(optimizer, batch_size=64)
