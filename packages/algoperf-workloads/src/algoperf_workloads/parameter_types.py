"""From the names of parameters to their `ParameterType`, for both frameworks' names.

A name is a path: the modules from the outermost to the innermost, then the leaf. The innermost module
whose name tells its kind decides: the kernel of `ConvBlock_0/Dense_0` is a dense weight, the scale of
`attention/LayerNorm_0` belongs to the norm. Inside an attention module the projection's name decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from algoperf_core.spec import ParameterType, ShapeTuple

Path = tuple[str, ...]


@dataclass(frozen=True)
class ParameterRule:
    """An exception: parameters whose path matches have this type.

    Args:
        pattern: Regular expression, searched in the path joined by `/`, as spelled in the model.
        kind: The type.
    """

    pattern: str
    kind: ParameterType


def _word(*words: str) -> str:
    # A word of a module's name stands alone between underscores and digits: `bn1`, `LN_0`, `final_ln`.
    return rf"(?:^|[_\d])(?:{'|'.join(words)})(?:$|[_\d])"


_BATCH_NORM, _LAYER_NORM, _CONV, _EMBEDDING, _ATTENTION, _DENSE = range(6)
# Searched in the lower-cased name of one module; the first that matches tells its kind.
_MODULE_KINDS = (
    (re.compile(r"batch_?norm|" + _word("bn")), _BATCH_NORM),
    (re.compile(r"norm|" + _word("ln")), _LAYER_NORM),
    (re.compile(r"embed"), _EMBEDDING),
    (re.compile(r"attention|attn|" + _word("mha")), _ATTENTION),
    (re.compile(r"conv"), _CONV),
    (re.compile(r"dense|linear|" + _word("fc")), _DENSE),
)
# Inside an attention module, searched in the names below it and in the leaf; the first that matches.
_PROJECTIONS = (
    (re.compile(r"in_proj|qkv"), ParameterType.ATTENTION_QKV),
    (re.compile(r"kv"), ParameterType.ATTENTION_KV),
    (re.compile(r"k_proj|key"), ParameterType.ATTENTION_K),
    (re.compile(r"q_proj|query"), ParameterType.ATTENTION_Q),
    (re.compile(r"v_proj|value"), ParameterType.ATTENTION_V),
    (re.compile(r"out"), ParameterType.ATTENTION_OUT),
)
_NORM_TYPES = {
    _BATCH_NORM: (ParameterType.BATCH_NORM_SCALE, ParameterType.BATCH_NORM_BIAS),
    _LAYER_NORM: (ParameterType.LAYER_NORM_SCALE, ParameterType.LAYER_NORM_BIAS),
}


def parameter_type(path: Path, rules: Sequence[ParameterRule] = ()) -> ParameterType:
    """The type of the parameter at a path.

    Args:
        path: Modules from the outermost inwards, then the leaf, such as `("Conv_0", "kernel")`.
        rules: Exceptions, of which the first that matches decides.

    Raises:
        ValueError: The path is inside a norm, but neither a scale nor a bias.
    """
    joined = "/".join(path)
    for rule in rules:
        if re.search(rule.pattern, joined):
            return rule.kind
    *modules, leaf = (name.lower() for name in path)
    kind = _innermost_kind(modules)
    if kind in _NORM_TYPES:
        return _norm_type(joined, leaf, kind)
    attention = _attention_type(modules, leaf)
    if attention is not None and kind in (_ATTENTION, _DENSE, None):
        return attention
    if "embed" in leaf or (kind == _EMBEDDING and "bias" not in leaf):
        return ParameterType.EMBEDDING
    if "bias" in leaf:
        return ParameterType.BIAS
    return ParameterType.CONV_WEIGHT if kind == _CONV else ParameterType.WEIGHT


def jax_parameter_types(params: Mapping[str, Any], rules: Sequence[ParameterRule] = ()) -> Any:
    """A tree like `params` that holds the type of each leaf."""
    return _map_paths(params, lambda path, leaf: parameter_type(path, rules))


def jax_parameter_shapes(params: Mapping[str, Any]) -> Any:
    """A tree like `params` that holds the `ShapeTuple` of each leaf."""
    return _map_paths(params, lambda path, leaf: ShapeTuple(leaf.shape))


def torch_parameter_types(
    names: Sequence[str], rules: Sequence[ParameterRule] = ()
) -> dict[str, ParameterType]:
    """Types by dotted name, as in `named_parameters`."""
    return {name: parameter_type(tuple(name.split(".")), rules) for name in names}


def _map_paths(tree: Any, function: Any, path: Path = ()) -> Any:
    if isinstance(tree, Mapping):
        return {key: _map_paths(value, function, (*path, key)) for key, value in tree.items()}
    return function(path, tree)


def _innermost_kind(modules: Sequence[str]) -> int | None:
    for module in reversed(modules):
        for pattern, kind in _MODULE_KINDS:
            if pattern.search(module):
                return kind
    return None


def _norm_type(path: str, leaf: str, kind: int) -> ParameterType:
    scale, bias = _NORM_TYPES[kind]
    if leaf in ("scale", "weight"):
        return scale
    if leaf == "bias":
        return bias
    raise ValueError(f"parameter {path!r} is inside a norm, but neither scale, weight nor bias")


def _attention_type(modules: Sequence[str], leaf: str) -> ParameterType | None:
    inside = [index for index, module in enumerate(modules) if _is_attention(module)]
    if not inside:
        return None
    if "bias" in leaf:
        return ParameterType.ATTENTION_BIAS
    below = "/".join((*modules[inside[-1] + 1 :], leaf))
    for pattern, projection in _PROJECTIONS:
        if pattern.search(below):
            return projection
    return None


def _is_attention(module: str) -> bool:
    return _innermost_kind((module,)) == _ATTENTION
