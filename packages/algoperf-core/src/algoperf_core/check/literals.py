"""Rules on data in the source: large tables of numbers, encoded text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from algoperf_core.check.findings import Finding
from algoperf_core.check.modules import Module

# Coefficients of published update rules come by the dozen; a table of tuned values or weights does not.
MOST_NUMBERS = 500
LONGEST_TEXT = 1000
_ENCODED = re.compile(r"[A-Za-z0-9+/=_\-]*\Z")
_COLLECTION = ast.List | ast.Tuple | ast.Set | ast.Dict


def literals(module: Module) -> Iterator[Finding]:
    """Findings on literals that are too large to be anything but data."""
    yield from _collections(module, module.tree)
    for node in ast.walk(module.tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if _is_encoded(text) and isinstance(node, ast.Constant):
            detail = f"holds {len(text):,} characters of encoded data"
            yield Finding("embedded-data", module.path, node.lineno, detail)


def _collections(module: Module, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, _COLLECTION):
        count = sum(_is_number(inner) for inner in ast.walk(node))
        if count >= MOST_NUMBERS:
            yield Finding("embedded-data", module.path, node.lineno, f"holds {count:,} numbers")
        return
    for child in ast.iter_child_nodes(node):
        yield from _collections(module, child)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _is_encoded(text: object) -> TypeGuard[str | bytes]:
    if not isinstance(text, str | bytes) or len(text) < LONGEST_TEXT:
        return False
    if isinstance(text, bytes):
        return True
    return _ENCODED.match("".join(text.splitlines())) is not None
