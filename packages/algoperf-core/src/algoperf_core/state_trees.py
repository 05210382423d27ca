"""State as data: describes any tree of containers and values in JSON, with its arrays beside it.

Nothing is pickled. Containers, numbers, strings, NumPy arrays and generators are described in full.
Objects with `state_dict` give theirs, plain objects their attributes. What cannot be described (functions,
classes of named tuples, registered pytree nodes) is taken from a template of the same state: what
`init_optimizer_state` gives in the process that continues.
"""

from __future__ import annotations

import base64
import enum
import random
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from algoperf_core.errors import CheckpointError

Skeleton = Any
Facts = dict[str, Any]
_ABSENT = object()
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

_SEQUENCES: dict[str, type[Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
# What is rebuilt on the object at the same place of the template.
_FROM_TEMPLATE = ("kept", "object", "mapping", "state_dict", "enum", "generator")
_MAPPINGS: dict[str, type[Any]] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}


class MadeAnew:
    """Marks objects that `init_optimizer_state` makes and nothing changes: a checkpoint leaves them out."""

    __slots__ = ()


class Arrays(Protocol):
    """What a framework adds: its arrays and, where it has them, registered containers."""

    def describe(self, value: Any) -> tuple[Facts, Any] | None:
        """Facts in JSON of one of its arrays, and the array to store or None; None for other values."""
        ...

    def rebuild(self, facts: Facts, stored: Any) -> Any:
        """The array that `describe` described; `stored` is None if none was to be stored."""
        ...

    def flatten(self, value: Any) -> tuple[list[Any], Any] | None:
        """Children and structure of a registered container; None for other values."""
        ...

    def unflatten(self, structure: Any, children: list[Any]) -> Any:
        """A registered container with other children."""
        ...

    def load_state(self, holder: Any, state: Any) -> None:
        """Gives an object the state that its `state_dict` once returned."""
        ...


@dataclass
class Description:
    """A described tree.

    Args:
        skeleton: The tree in JSON; arrays are referred to by name.
        arrays: Arrays of the framework, by name.
        numpy: NumPy arrays, by name.
    """

    skeleton: Skeleton = None
    arrays: dict[str, Any] = field(default_factory=dict)
    numpy: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def describe(tree: Any, arrays: Arrays, path: str = "state") -> Description:
    """Describes a tree.

    Args:
        tree: The tree.
        arrays: The framework's part.
        path: What the tree is called, in errors and in the names of its arrays.

    Raises:
        CheckpointError: A value can be neither described nor taken from a template; names its path.
    """
    writer = _Writer(arrays, path)
    writer.description.skeleton = writer.write(tree, path)
    return writer.description


class _Writer:
    def __init__(self, arrays: Arrays, prefix: str) -> None:
        self.description = Description()
        self._prefix = prefix
        self._arrays = arrays
        self._open: set[int] = set()

    def write(self, value: Any, path: str) -> Skeleton:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if id(value) in self._open:
            raise CheckpointError(f"{path}: refers to itself, which a checkpoint cannot hold")
        self._open.add(id(value))
        try:
            return self._write(value, path)
        finally:
            self._open.discard(id(value))

    def _write(self, value: Any, path: str) -> Skeleton:
        if (described := self._arrays.describe(value)) is not None:
            facts, stored = described
            return {"array": self._store(self.description.arrays, stored)} | facts
        for write in (self._plain, self._container, self._opaque):
            if (skeleton := write(value, path)) is not None:
                return skeleton
        raise CheckpointError(
            f"{path}: a checkpoint cannot hold a {_name(type(value))}; keep state in arrays, numbers and "
            "plain containers, or in objects with state_dict() and load_state_dict()"
        )

    def _store(self, table: dict[str, Any], array: Any) -> str | None:
        if array is None:
            return None
        name = f"{self._prefix}_{len(table)}"
        table[name] = array
        return name

    def _plain(self, value: Any, path: str) -> Skeleton:
        if isinstance(value, np.ndarray | np.generic):
            return self._numpy(np.asarray(value), isinstance(value, np.generic), path)
        if type(value) is complex:
            return {"complex": [value.real, value.imag]}
        if isinstance(value, bytes | bytearray):
            return {type(value).__name__: base64.b64encode(value).decode()}
        if isinstance(value, enum.Enum):
            return {"enum": _name(type(value)), "member": value.name}
        if isinstance(value, np.random.Generator):
            state = value.bit_generator.state
            return {"generator": _name(type(value)), "state": self.write(state, path)}
        if isinstance(value, np.random.RandomState):
            return {
                "generator": _name(type(value)),
                "state": self.write(value.get_state(legacy=False), path),
            }
        if isinstance(value, random.Random):
            return {"generator": _name(type(value)), "state": self.write(value.getstate(), path)}
        return None

    def _numpy(self, array: np.ndarray[Any, Any], scalar: bool, path: str) -> Skeleton:
        if array.dtype.hasobject or array.dtype.names:
            raise CheckpointError(f"{path}: a checkpoint cannot hold an array of {array.dtype}")
        # As bytes: NumPy's own format does not know bfloat16 and its kin.
        data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        dtype = array.dtype.str if array.dtype.kind != "V" else array.dtype.name
        name = self._store(self.description.numpy, data)
        return {"numpy": name, "dtype": dtype, "shape": list(array.shape), "scalar": scalar}

    def _container(self, value: Any, path: str) -> Skeleton:
        kind = type(value)
        if kind.__name__ in _MAPPINGS and _MAPPINGS[kind.__name__] is kind:
            return {kind.__name__: self._items(value, path)}
        if kind.__name__ in _SEQUENCES and _SEQUENCES[kind.__name__] is kind:
            return {kind.__name__: self._elements(value, path)}
        if kind is deque:
            return {"deque": self._elements(value, path), "maxlen": value.maxlen}
        if _is_named_tuple(value):
            names = zip(value._fields, value, strict=True)
            fields_ = [self.write(item, f"{path}.{name}") for name, item in names]
            return {"namedtuple": _name(kind), "items": fields_}
        if isinstance(value, dict):
            return {"mapping": _name(kind), "items": self._items(value, path)}
        if (flat := self._arrays.flatten(value)) is not None:
            children, structure = flat
            items = self._elements(children, path)
            return {"node": _structure_name(value, structure), "items": items}
        return None

    def _opaque(self, value: Any, path: str) -> Skeleton:
        name = _name(type(value))
        if isinstance(value, type):
            return {"kept": _name(value)}
        if _has_state(value):
            return {"state_dict": name, "state": self.write(value.state_dict(), path)}
        if _is_made_anew(value):
            return {"kept": name}
        if hasattr(value, "__dict__"):
            return {"object": name, "attributes": self._items(vars(value), path)}
        return None

    def _items(self, mapping: Mapping[Any, Any], path: str) -> list[list[Skeleton]]:
        return [
            [self.write(key, path), self.write(value, f"{path}[{key!r}]")]
            for key, value in mapping.items()
        ]

    def _elements(self, values: Any, path: str) -> list[Skeleton]:
        return [self.write(value, f"{path}[{index}]") for index, value in enumerate(values)]


def rebuild(description: Description, arrays: Arrays, template: Any = None) -> Any:
    """Rebuilds a described tree.

    Args:
        description: The description, with its arrays.
        arrays: The framework's part.
        template: A tree like it, for what a description cannot hold. Its objects with state are loaded in
            place and become part of the result.

    Raises:
        CheckpointError: The template lacks something that is needed; names its path.
    """
    return _Reader(description, arrays, template).read(description.skeleton, template, "state")


class _Reader:
    def __init__(self, description: Description, arrays: Arrays, template: Any) -> None:
        self._description = description
        self._arrays = arrays
        self._classes: dict[str, type[Any]] = {}
        self._structures: dict[str, Any] = {}
        self._learn(template)
        self._readers: dict[str, Callable[[Any, Any, str], Any]] = {
            "array": self._array,
            "numpy": self._numpy,
            "complex": lambda node, template, path: complex(*node["complex"]),
            "bytes": lambda node, template, path: base64.b64decode(node["bytes"]),
            "bytearray": lambda node, template, path: bytearray(
                base64.b64decode(node["bytearray"])
            ),
            "enum": self._enum,
            "generator": self._generator,
            "deque": self._deque,
            "namedtuple": self._named_tuple,
            "node": self._node,
            "mapping": self._mapping,
            "state_dict": self._state_dict,
            "kept": self._kept,
            "object": self._object,
        }
        self._readers |= dict.fromkeys(_MAPPINGS, self._dict)
        self._readers |= dict.fromkeys(_SEQUENCES, self._sequence)

    def read(self, node: Skeleton, template: Any, path: str) -> Any:
        if not isinstance(node, dict):
            return node
        return self._readers[next(iter(node))](node, template, path)

    def _learn(self, template: Any) -> None:
        for value in _walk(template, self._arrays):
            if _is_named_tuple(value):
                self._classes[_name(type(value))] = type(value)
            elif (flat := self._arrays.flatten(value)) is not None:
                self._structures[_structure_name(value, flat[1])] = flat[1]

    def _need(self, expected: str, template: Any, path: str) -> Any:
        actual = _name(template if isinstance(template, type) else type(template))
        if template is _ABSENT or actual != expected:
            found = "nothing" if template is _ABSENT else f"a {actual}"
            raise CheckpointError(
                f"{path}: the checkpoint has a {expected}, where a fresh state has {found}"
            )
        return template

    def _array(self, node: Facts, template: Any, path: str) -> Any:
        name = node["array"]
        return self._arrays.rebuild(node, None if name is None else self._description.arrays[name])

    def _numpy(self, node: Facts, template: Any, path: str) -> Any:
        data = self._description.numpy[node["numpy"]]
        array = np.frombuffer(data.tobytes(), np.dtype(node["dtype"])).reshape(node["shape"])
        return array[()] if node["scalar"] else array.copy()

    def _enum(self, node: Facts, template: Any, path: str) -> Any:
        return type(self._need(node["enum"], template, path))[node["member"]]

    def _generator(self, node: Facts, template: Any, path: str) -> Any:
        state = self.read(node["state"], _ABSENT, path)
        generator = self._need(node["generator"], template, path)
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = state
        elif isinstance(generator, np.random.RandomState):
            generator.set_state(state)
        else:
            generator.setstate(state)
        return generator

    def _dict(self, node: Facts, template: Any, path: str) -> Any:
        name = next(iter(node))
        return _MAPPINGS[name](self._items(node[name], template, path))

    def _mapping(self, node: Facts, template: Any, path: str) -> Any:
        items = self._items(node["items"], template, path)
        mapping = self._need(node["mapping"], template, path)
        mapping.clear()
        mapping.update(items)
        return mapping

    def _items(self, pairs: list[list[Skeleton]], template: Any, path: str) -> dict[Any, Any]:
        known = template if isinstance(template, dict) else {}
        items = {}
        for described_key, described in pairs:
            key = self.read(described_key, _ABSENT, path)
            items[key] = self.read(described, known.get(key, _ABSENT), f"{path}[{key!r}]")
        return items

    def _elements(self, nodes: list[Skeleton], template: Any, path: str) -> list[Any]:
        known = list(template) if isinstance(template, list | tuple | deque) else []
        return [
            self.read(node, known[index] if index < len(known) else _ABSENT, f"{path}[{index}]")
            for index, node in enumerate(nodes)
        ]

    def _sequence(self, node: Facts, template: Any, path: str) -> Any:
        name = next(iter(node))
        return _SEQUENCES[name](self._elements(node[name], template, path))

    def _deque(self, node: Facts, template: Any, path: str) -> Any:
        return deque(self._elements(node["deque"], template, path), node["maxlen"])

    def _named_tuple(self, node: Facts, template: Any, path: str) -> Any:
        kind = self._classes.get(node["namedtuple"])
        if kind is None:
            self._need(node["namedtuple"], template, path)
            raise AssertionError("a template of that class would have been learnt")
        return kind(*self._elements(node["items"], template, path))

    def _node(self, node: Facts, template: Any, path: str) -> Any:
        if node["node"] not in self._structures:
            raise CheckpointError(
                f"{path}: the checkpoint has a {node['node']}, which the state that a trial starts with lacks"
            )
        flat = None if template is _ABSENT else self._arrays.flatten(template)
        children = self._elements(node["items"], flat[0] if flat else [], path)
        return self._arrays.unflatten(self._structures[node["node"]], children)

    def _state_dict(self, node: Facts, template: Any, path: str) -> Any:
        holder = self._need(node["state_dict"], template, path)
        self._arrays.load_state(holder, self.read(node["state"], holder.state_dict(), path))
        return holder

    def _kept(self, node: Facts, template: Any, path: str) -> Any:
        return self._need(node["kept"], template, path)

    def _object(self, node: Facts, template: Any, path: str) -> Any:
        holder = self._need(node["object"], template, path)
        attributes = self._items(node["attributes"], vars(holder), path)
        for name in set(vars(holder)) - set(attributes):
            object.__delattr__(holder, name)
        for name, value in attributes.items():
            object.__setattr__(holder, name, value)
        return holder


def array_facts(skeleton: Skeleton) -> dict[str, Facts]:
    """Facts of the arrays that lie beside a skeleton, by name."""
    return {node["array"]: node for node in _nodes(skeleton) if node.get("array") is not None}


def unrestorable(skeleton: Skeleton, template: Skeleton, path: str = "state") -> str | None:
    """Why a described tree could not be rebuilt on a template, itself described; None if it can be.

    Asked when a checkpoint is written, so that none is written in vain.
    """
    known = {_template_name(node) for node in _nodes(template)}
    return _unrestorable(skeleton, template, known, path)


def _unrestorable(node: Skeleton, template: Skeleton, known: set[str], path: str) -> str | None:
    if not isinstance(node, dict):
        return None
    kind = next(iter(node))
    here = template if isinstance(template, dict) else {}
    if kind in ("namedtuple", "node"):
        if f"{kind} {node[kind]}" not in known:
            return f"{path}: a {node[kind]} came up that the state did not start with"
    elif kind in _FROM_TEMPLATE and here.get(kind) != node[kind]:
        return f"{path}: a {node[kind]} came up that was not there at the start"
    for key, child, other in _children(node, here):
        if (reason := _unrestorable(child, other, known, f"{path}{key}")) is not None:
            return reason
    return None


def _children(node: Facts, template: Facts) -> Iterator[tuple[str, Skeleton, Skeleton]]:
    kind = next(iter(node))
    same = template if next(iter(template), None) == kind else {}
    if kind == "state_dict":
        yield "", node["state"], same.get("state")
    elif kind in _MAPPINGS or kind in ("mapping", "object"):
        slot = {"mapping": "items", "object": "attributes"}.get(kind, kind)
        others = {repr(key): value for key, value in same.get(slot, ())}
        for key, child in node[slot]:
            yield f"[{key!r}]", child, others.get(repr(key))
    elif kind in _SEQUENCES or kind in ("deque", "namedtuple", "node"):
        slot = "items" if kind in ("namedtuple", "node") else kind
        others_ = same.get(slot, [])
        for index, child in enumerate(node[slot]):
            yield f"[{index}]", child, others_[index] if index < len(others_) else None


def _nodes(node: Skeleton) -> Iterator[Facts]:
    if isinstance(node, dict):
        yield node
        for _, child, _ in _children(node, {}):
            yield from _nodes(child)


def _template_name(node: Facts) -> str:
    kind = next(iter(node))
    return f"{kind} {node[kind]}" if kind in ("namedtuple", "node") else kind


def _walk(value: Any, arrays: Arrays) -> Iterator[Any]:
    yield value
    children: Any = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list | tuple | deque):
        children = value
    elif (flat := arrays.flatten(value)) is not None:
        children = flat[0]
    elif isinstance(value, type) or arrays.describe(value) is not None:
        children = ()
    elif _has_state(value):
        children = (value.state_dict(),)
    elif not _is_made_anew(value) and hasattr(value, "__dict__"):
        children = vars(value).values()
    for child in children:
        yield from _walk(child, arrays)


def _has_state(value: Any) -> bool:
    return callable(getattr(value, "state_dict", None)) and callable(
        getattr(value, "load_state_dict", None)
    )


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _structure_name(value: Any, structure: Any) -> str:
    return f"{_name(type(value))} {_ADDRESS.sub('', str(structure))}"


def _is_made_anew(value: Any) -> bool:
    return callable(value) or isinstance(value, MadeAnew)
