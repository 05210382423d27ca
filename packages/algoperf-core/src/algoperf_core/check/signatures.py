"""The required functions and their signatures, read from the source, by the check that loading uses too."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from algoperf_core.check.findings import Finding
from algoperf_core.check.modules import Module
from algoperf_core.errors import SubmissionError
from algoperf_core.submission import REQUIRED_FUNCTIONS, check_signature

_Kind = inspect.Parameter
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def signatures(module: Module) -> Iterator[Finding]:
    """Findings on functions that are missing or cannot be called as the harness calls them."""
    defined = dict(_definitions(module.tree.body))
    if "submission" in defined or "*" in defined:
        return
    for name in REQUIRED_FUNCTIONS:
        if name not in defined:
            yield Finding("api", module.path, 0, f"{name} is missing")
    for name, node in defined.items():
        if isinstance(node, _Function) and name in (*REQUIRED_FUNCTIONS, "prepare_for_eval"):
            yield from _signature(module, node)


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Names that a module defines, also below conditions."""
    for node in body:
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name, node
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name, node) for alias in aliases)
            case ast.Assign() | ast.AnnAssign():
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                        yield inner.id, node
            case ast.If(body=then, orelse=other) | ast.Try(body=then, orelse=other):
                yield from _definitions([*then, *other])
            case ast.With(body=then):
                yield from _definitions(then)


def _signature(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    if isinstance(node, ast.AsyncFunctionDef):
        yield Finding("api", module.path, node.lineno, f"{node.name} is a coroutine")
        return
    # A decorator may give another signature.
    if node.decorator_list:
        return
    try:
        check_signature(node.name, _stand_in(node))
    except SubmissionError as error:
        yield Finding("api", module.path, node.lineno, str(error))


def _stand_in(node: ast.FunctionDef) -> Callable[..., Any]:
    """A function of the same signature as one in the source."""

    def stand_in(*args: Any, **kwargs: Any) -> None:
        """Is never called."""

    stand_in.__signature__ = signature_of(node.args)  # type: ignore[attr-defined]
    return stand_in


def signature_of(arguments: ast.arguments) -> inspect.Signature:
    """The signature that a function of these arguments has; defaults are None."""
    positional = [
        *((argument.arg, _Kind.POSITIONAL_ONLY) for argument in arguments.posonlyargs),
        *((argument.arg, _Kind.POSITIONAL_OR_KEYWORD) for argument in arguments.args),
    ]
    first_default = len(positional) - len(arguments.defaults)
    parameters = [
        _Kind(name, kind, default=None if number >= first_default else _Kind.empty)
        for number, (name, kind) in enumerate(positional)
    ]
    if arguments.vararg is not None:
        parameters.append(_Kind(arguments.vararg.arg, _Kind.VAR_POSITIONAL))
    parameters += [
        _Kind(argument.arg, _Kind.KEYWORD_ONLY, default=_Kind.empty if default is None else None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg is not None:
        parameters.append(_Kind(arguments.kwarg.arg, _Kind.VAR_KEYWORD))
    return inspect.Signature(parameters)
