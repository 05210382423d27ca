"""The same parameters in both frameworks: from Flax variables to the names and layouts of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from algoperf_workloads.store import Array

# A function from a Flax leaf to its name and layout in PyTorch.
_Layout = tuple[str, Callable[[Array], Array]]

# (leaf, number of axes) in Flax: the leaf's name in PyTorch, and the order of its axes there.
_LEAVES: Mapping[tuple[str, int], tuple[str, tuple[int, ...]]] = {
    ("kernel", 4): ("weight", (3, 2, 0, 1)),
    ("kernel", 3): ("weight", (2, 1, 0)),
    ("kernel", 2): ("weight", (1, 0)),
    ("embedding", 2): ("weight", (0, 1)),
    ("scale", 1): ("weight", (0,)),
    ("bias", 1): ("bias", (0,)),
    ("mean", 1): ("running_mean", (0,)),
    ("var", 1): ("running_var", (0,)),
    ("probe", 3): ("probe", (0, 1, 2)),
}
_INPUTS = ("query", "key", "value")
# Attention, by the projection and the number of axes: heads are axes of their own in Flax.
_PROJECTIONS: Mapping[tuple[str, int], _Layout] = {
    ("in", 3): ("weight", lambda kernel: kernel.reshape(len(kernel), -1).T),
    ("in", 2): ("bias", np.ravel),
    ("out", 3): ("weight", lambda kernel: kernel.reshape(-1, kernel.shape[-1]).T),
    ("out", 1): ("bias", np.asarray),
}


def torch_arrays(tree: Mapping[str, Any], module_names: Mapping[str, str]) -> dict[str, Array]:
    """Flax parameters, batch statistics or gradients under the names and in the layout of PyTorch.

    Args:
        tree: Nested dict of arrays, such as `params` or `model_state["batch_stats"]`.
        module_names: Flax module path to dotted PyTorch module name, from the model's definition.

    Returns:
        Dotted name to array, transposed where the frameworks order axes differently.

    Raises:
        ValueError: A module is not in `module_names`, or a leaf is of no known kind.
    """
    arrays: dict[str, Array] = {}
    for path, leaf in _leaves(tree):
        module, _, leaf_name = path.rpartition("/")
        if module not in module_names:
            raise ValueError(
                f"Flax module {module!r} has parameters but no PyTorch name; add it to module_names, which "
                f"has {', '.join(module_names)}"
            )
        array = np.asarray(leaf)
        layout = _layout(module, leaf_name, array.ndim)
        if layout is None:
            raise ValueError(f"no PyTorch layout is known for {path!r} with shape {array.shape}")
        name, convert = layout
        arrays[f"{module_names[module]}.{name}"] = convert(array)
    return arrays


def load_flax_variables(
    model: Any, params: Any, model_state: Any, module_names: Mapping[str, str]
) -> None:
    """Copies Flax parameters and batch statistics into a PyTorch module, wrapped or not.

    Raises:
        ValueError: The two models do not have the same parameters, or differ in a shape.
    """
    import torch

    arrays = torch_arrays(params, module_names)
    for collection in (model_state or {}).values():
        arrays |= torch_arrays(collection, module_names)
    targets = {
        unwrapped_name(name): t
        for name, t in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    if arrays.keys() != targets.keys():
        raise ValueError(
            f"only in Flax: {sorted(arrays.keys() - targets.keys())}; "
            f"only in PyTorch: {sorted(targets.keys() - arrays.keys())}"
        )
    for name, array in arrays.items():
        if array.shape != targets[name].shape:
            raise ValueError(f"{name}: Flax {array.shape}, PyTorch {tuple(targets[name].shape)}")
        with torch.no_grad():
            targets[name].copy_(torch.from_numpy(np.array(array)))


def _layout(module: str, leaf: str, ndim: int) -> _Layout | None:
    *outer, innermost = module.split("/")
    if outer and "attention" in outer[-1].lower() and innermost in (*_INPUTS, "out"):
        return _PROJECTIONS.get(("out" if innermost == "out" else "in", ndim))
    if innermost.startswith("ConvTranspose") and (leaf, ndim) == ("kernel", 4):
        # PyTorch's transposed convolution is the gradient of a convolution, which flips the window.
        return "weight", lambda kernel: kernel[::-1, ::-1].transpose(2, 3, 0, 1)
    if (leaf, ndim) not in _LEAVES:
        return None
    name, axes = _LEAVES[leaf, ndim]
    return name, lambda array: array.transpose(axes)


def unwrapped_name(name: str) -> str:
    """A parameter's name in the bare module: wrappers put `module.` and `_orig_mod.` before it."""
    while (wrapper := name.partition(".")[0]) in ("module", "_orig_mod"):
        name = name.removeprefix(f"{wrapper}.")
    return name


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        path = f"{prefix}/{key}" if prefix else key
        leaves += _leaves(value, path) if isinstance(value, Mapping) else [(path, value)]
    return leaves
