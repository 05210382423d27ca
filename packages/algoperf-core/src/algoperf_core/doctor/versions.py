"""Versions of Python, of our packages, and of the libraries that they stand on."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires, version

from algoperf_core.doctor.findings import Finding, ok, problem, warning

OLDEST_PYTHON = (3, 11)
JAX_PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin", "jax-rocm7-plugin")
_PLAIN = ("numpy", "jax", "jaxlib", "flax", "optax", "torch", "grain", "datasets", "pyarrow")
LIBRARIES = (*_PLAIN, *JAX_PLUGINS)


@dataclass(frozen=True)
class BadCombination:
    """Versions that are known not to work together.

    Args:
        package: The package.
        below: Versions below this are meant.
        with_package: Only if this one is installed as well,
        with_at_least: and is of this version or a later one.
        what: What goes wrong.
        remedy: What to do.
    """

    package: str
    below: str
    with_package: str
    with_at_least: str
    what: str
    remedy: str


BAD_COMBINATIONS = (
    BadCombination(
        "torch",
        "2.3",
        "numpy",
        "2",
        "was built against NumPy 1 and cannot exchange arrays with NumPy 2",
        'pip install --upgrade torch, or pip install "numpy<2"',
    ),
    BadCombination(
        "jax",
        "0.4.26",
        "numpy",
        "2",
        "does not know NumPy 2",
        'pip install --upgrade jax jaxlib, or pip install "numpy<2"',
    ),
)


def check_versions() -> list[Finding]:
    """Python, our packages, key libraries, requirements that are not met, and known bad combinations."""
    installed = {name: found for name in LIBRARIES if (found := installed_version(name))}
    ours = {
        name: package.version
        for package in distributions()
        if (name := package.metadata["Name"] or "").startswith("algoperf-")
    }
    return [
        check_python(sys.version_info[:2]),
        ok("packages", _listed(ours) or "none of ours is installed as a package"),
        ok("libraries", _listed(installed) or "none"),
        *check_jaxlib(installed),
        *bad_combinations(installed),
        *unmet_requirements({name: requires(name) or [] for name in (*ours, *installed)}),
    ]


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {found}" for name, found in sorted(versions.items()))


def installed_version(name: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_python(found: tuple[int, ...]) -> Finding:
    """Whether Python is new enough."""
    text = f"{platform.python_implementation()} {platform.python_version()}"
    if found >= OLDEST_PYTHON:
        return ok("Python", text)
    needed = ".".join(map(str, OLDEST_PYTHON))
    return problem(
        "Python", f"{text} is too old", f"make an environment with Python {needed} or later"
    )


def check_jaxlib(installed: Mapping[str, str]) -> Iterator[Finding]:
    """JAX does not load with a later jaxlib, and a plugin of another version than jaxlib is left out."""
    jax, jaxlib = installed.get("jax"), installed.get("jaxlib")
    if jax is None:
        return
    if jaxlib is None:
        yield problem("jax", f"jax {jax} without jaxlib", 'pip install --force-reinstall "jax"')
    elif numbers(jaxlib) > numbers(jax):
        yield problem(
            "jax", f"jaxlib {jaxlib} is later than jax {jax}", "pip install --upgrade jax jaxlib"
        )
    for plugin in JAX_PLUGINS:
        found = installed.get(plugin)
        if found is not None and jaxlib is not None and numbers(found) != numbers(jaxlib):
            remedy = f'pip install --upgrade "jax[{plugin.split("-")[1]}]"'
            yield problem("jax", f"{plugin} {found} does not go with jaxlib {jaxlib}", remedy)


def bad_combinations(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Known bad combinations among installed versions."""
    for bad in BAD_COMBINATIONS:
        found = installed.get(bad.package)
        if found is None or numbers(found) >= numbers(bad.below):
            continue
        other = installed.get(bad.with_package)
        if other is not None and numbers(other) >= numbers(bad.with_at_least):
            what = f"{bad.package} {found} beside {bad.with_package} {other} {bad.what}"
            yield problem(bad.package, what, bad.remedy)


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*])?\s*\(?([^;)]*)\)?\s*(;.*)?")


def unmet_requirements(requirements: Mapping[str, list[str]]) -> Iterator[Finding]:
    """Requirements that are not met: packages that are missing, or older than needed.

    Args:
        requirements: Requirements of each package, as its metadata has them; those of extras are looked
            at only where the package is there.
    """
    for package, lines in requirements.items():
        for line in lines:
            match = _REQUIREMENT.fullmatch(line)
            if match is None:
                continue
            name, versions, marker = match[1], match[2], match[3] or ""
            lowest = re.search(r">=\s*([0-9.]+)", versions)
            found = installed_version(name)
            if found is None and not marker:
                yield problem(
                    package, f"needs {name}, which is not installed", f"pip install {package}"
                )
            elif found and lowest and numbers(found) < numbers(lowest[1]):
                yield _too_old(package, name, found, lowest[1], optional=bool(marker))


def _too_old(package: str, name: str, found: str, lowest: str, *, optional: bool) -> Finding:
    grade = warning if optional else problem
    return grade(
        package,
        f"needs {name} {lowest} or later, {found} is installed",
        f'pip install --upgrade "{name}>={lowest}"',
    )


def numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with, to compare by: `"2.13.0+cpu"` is `(2, 13)`."""
    match = re.match(r"\d+(\.\d+)*", text)
    parts = [int(part) for part in match[0].split(".")] if match else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
