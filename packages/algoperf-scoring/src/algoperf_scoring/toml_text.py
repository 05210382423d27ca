"""Writes a benchmark as TOML; the standard library only reads it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from algoperf_scoring.errors import DefinitionError
from algoperf_scoring.fields import UNKNOWN

if TYPE_CHECKING:
    from algoperf_scoring.benchmark import Benchmark

Value = str | bool | int | float | tuple[str, ...] | None


def toml_document(benchmark: "Benchmark") -> str:
    """Returns the complete definition of a benchmark, every field spelled out.

    Raises:
      DefinitionError: If a workload has no target, so that nobody could run under the definition.
    """
    for name, workload in benchmark.workloads.items():
        if not math.isfinite(workload.validation_target):
            raise DefinitionError(
                f"benchmark {benchmark.name!r}: workloads.{name}.validation_target is unknown, as "
                "it is where only times are given; a definition needs the target."
            )
    lines = [
        f"name = {_value(benchmark.name)}",
        f"summary = {_value(benchmark.summary)}",
        f"base = {_value(benchmark.base)}",
        f"held_out = {_value(benchmark.held_out)}",
        *_table("scoring", asdict(benchmark.scoring)),
    ]
    for kind, entries in (("rulesets", benchmark.rulesets), ("workloads", benchmark.workloads)):
        for name, entry in entries.items():
            lines += _table(f"{kind}.{_key(name)}", _without_name(asdict(entry)))
    return "\n".join(lines) + "\n"


def _without_name(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != "name"}


def _table(header: str, fields: Mapping[str, Value]) -> Iterable[str]:
    yield ""
    yield f"[{header}]"
    for key, value in fields.items():
        yield f"{key} = {_value(value)}"


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if bare else _string(name)


def _value(value: Value) -> str:
    if value is None:
        return _string(UNKNOWN)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_string(item) for item in value) + "]"
    return repr(value)


def _string(text: str) -> str:
    import json

    # JSON and TOML escape alike, but for DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
