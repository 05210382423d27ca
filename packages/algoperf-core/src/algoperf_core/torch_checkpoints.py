"""PyTorch tensors in a checkpoint: `torch.save` of a flat dictionary, read back with `weights_only`.

Modules, optimizers and schedulers give their `state_dict`; the tree around the tensors is described by
`state_trees`. Tensors that are the model's own parameters stay so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from algoperf_core.errors import CheckpointError
from algoperf_core.state_trees import Facts
from algoperf_core.torch_backend import own_gpus

TENSORS = "tensors.pt"


class TorchArrays:
    """PyTorch's part of a checkpoint.

    Args:
        model: The module whose parameters other parts of the state may refer to; None for none.
    """

    def __init__(self, model: Any = None) -> None:
        named = [] if model is None else [*model.named_parameters(), *model.named_buffers()]
        self._named = dict(named)
        self._names = {id(tensor): name for name, tensor in named}
        self._storages = {_place(tensor): name for name, tensor in named if tensor.numel()}

    def describe(self, value: Any) -> tuple[Facts, Any] | None:
        """A reference to a tensor of the model, or the tensor itself."""
        if isinstance(value, torch.Generator):
            return {"generator_device": str(value.device)}, value.get_state()
        if isinstance(value, torch.device | torch.dtype | torch.Size):
            return {"constant": _constant(value)}, None
        if not isinstance(value, torch.Tensor):
            return None
        if id(value) in self._names:
            return {"of_model": self._names[id(value)]}, None
        if value.numel() and (name := self._storages.get(_place(value))) is not None:
            return {"data_of_model": name}, None
        facts = {"requires_grad": value.requires_grad}
        if isinstance(value, torch.nn.Parameter):
            facts["parameter"] = True
        return facts, value.detach()

    def rebuild(self, facts: Facts, stored: Any) -> Any:
        """The tensor as it was."""
        if "generator_device" in facts:
            return torch.Generator(facts["generator_device"]).set_state(stored.cpu())
        if "constant" in facts:
            return _rebuild_constant(*facts["constant"])
        if "of_model" in facts:
            return self._of_model(facts["of_model"])
        if "data_of_model" in facts:
            return self._of_model(facts["data_of_model"]).data
        if facts.get("parameter"):
            return torch.nn.Parameter(stored, requires_grad=facts["requires_grad"])
        return stored.requires_grad_(facts["requires_grad"])

    def _of_model(self, name: str) -> Any:
        if name not in self._named:
            raise CheckpointError(f"the checkpoint refers to {name}, which the model lacks")
        return self._named[name]

    def flatten(self, value: Any) -> tuple[list[Any], Any] | None:
        """There are no registered containers."""
        return None

    def unflatten(self, structure: Any, children: list[Any]) -> Any:
        """There are no registered containers.

        Raises:
            CheckpointError: Always: the checkpoint was written by another framework.
        """
        raise CheckpointError(f"the checkpoint holds a {structure!r}, which PyTorch does not have")

    def load_state(self, holder: Any, state: Any) -> None:
        """Calls `load_state_dict`; an optimizer's tensors keep the type they were saved with."""
        holder.load_state_dict(state)
        if isinstance(holder, torch.optim.Optimizer):
            _keep_types(holder, state)

    def write(self, folder: Path, arrays: Mapping[str, Any]) -> None:
        """Writes tensors into a folder.

        Raises:
            CheckpointError: They cannot be written.
        """
        try:
            with (folder / TENSORS).open("wb") as file:
                torch.save(dict(arrays), file)
        # PyTorch reports a full disk as a RuntimeError of its archive writer.
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"the tensors cannot be written: {error}") from error

    def read(self, folder: Path, facts: Mapping[str, Facts]) -> dict[str, Any]:
        """Reads the tensors, onto the device they were on; GPUs by this process's own.

        Raises:
            CheckpointError: They cannot be read.
        """
        path = folder / TENSORS
        try:
            read: dict[str, Any] = torch.load(path, map_location=_device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error
        return read

    def beside(self, params: Any) -> TorchArrays:
        """For the state beside the parameters, which may refer to them."""
        return TorchArrays(params)

    def without_arrays(self, tree: Any) -> Any:
        """The tree itself: tensors are loaded in place."""
        return tree

    def hidden_state(self, params: Any) -> Any:
        """States of the global generators, and gradients: a submission may accumulate them over steps."""
        gradients = {
            name: parameter.grad
            for name, parameter in params.named_parameters()
            if parameter.grad is not None
        }
        on_gpus = [torch.cuda.get_rng_state(gpu) for gpu in own_gpus()]
        generators = {"cpu": torch.get_rng_state(), "cuda": on_gpus}
        return {"gradients": gradients, "generators": generators}

    def set_hidden_state(self, params: Any, state: Any) -> None:
        """Puts gradients and generators back."""
        for name, parameter in params.named_parameters():
            parameter.grad = state["gradients"].get(name)
        torch.set_rng_state(state["generators"]["cpu"].cpu())
        for gpu, words in zip(own_gpus(), state["generators"]["cuda"], strict=False):
            torch.cuda.set_rng_state(words.cpu(), gpu)


def _place(tensor: Any) -> tuple[Any, ...]:
    return (tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _constant(value: Any) -> list[Any]:
    if isinstance(value, torch.Size):
        return ["Size", list(value)]
    return [type(value).__name__, str(value).removeprefix("torch.")]


def _rebuild_constant(kind: str, value: Any) -> Any:
    if kind == "dtype":
        return getattr(torch, value)
    return torch.Size(value) if kind == "Size" else torch.device(value)


def _device(storage: Any, location: str) -> Any:
    if location.startswith("cuda") and torch.cuda.is_available():
        return storage.cuda(torch.cuda.current_device())
    return storage


def _keep_types(optimizer: Any, state: Mapping[str, Any]) -> None:
    # PyTorch casts an optimizer's tensors to the type of their parameter when it loads them.
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [n for group in state["param_groups"] for n in group["params"]]
    by_number = dict(zip(numbers, parameters, strict=True))
    for number, saved in state["state"].items():
        parameter = by_number.get(number)
        if parameter is None or not isinstance(saved, dict):
            continue
        loaded = optimizer.state[parameter]
        for name, value in saved.items():
            if isinstance(value, torch.Tensor) and loaded[name].dtype != value.dtype:
                loaded[name] = value.to(loaded[name].device)
