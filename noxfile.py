"""The project's tasks. `nox` alone runs every check; `nox -s demo` runs the small benchmark.

Every package is tested in an environment of its own, in which its siblings are installed from this
repository. With uv present, environments share the files of heavy wheels, so another one costs seconds.
"""

import os
import shutil
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CONSTRAINTS = ("--constraint", str(ROOT / "constraints.txt"))
WHEELHOUSE = ROOT / "dist"

# Where pip is told of local wheels (a CPU build of PyTorch, say), uv is told of them too.
if "PIP_FIND_LINKS" in os.environ:
    os.environ.setdefault("UV_FIND_LINKS", ",".join(os.environ["PIP_FIND_LINKS"].split()))


def _project(package: str) -> dict:
    return tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]


PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
PROJECTS = {package: _project(package) for package in PACKAGES}


def _siblings(package: str) -> set[str]:
    """The package and all of ours that it depends on."""
    names = {
        requirement.split(">")[0].split("[")[0] for requirement in PROJECTS[package]["dependencies"]
    }
    return {package}.union(*(_siblings(name) for name in names & set(PACKAGES)))


def _editable(package: str, *extras: str) -> list[str]:
    known = PROJECTS[package].get("optional-dependencies", {})
    chosen = ",".join(extra for extra in extras if extra in known)
    return ["--editable", f"packages/{package}" + (f"[{chosen}]" if chosen else "")]


def _install(
    session: nox.Session, packages: list[str], *extras: str, siblings_extras: tuple = ()
) -> None:
    """Installs packages with extras, and their siblings, in one command."""
    needed = set().union(*(_siblings(package) for package in packages))
    arguments = [part for package in packages for part in _editable(package, *extras)]
    for sibling in sorted(needed - set(packages)):
        arguments += _editable(sibling, *siblings_extras)
    session.install(*CONSTRAINTS, *arguments)


def _tests(package: str):
    def tests(session: nox.Session) -> None:
        _install(session, [package], "test", "jax", "torch", siblings_extras=("jax", "torch"))
        session.run("pytest", f"packages/{package}/tests", *session.posargs)

    tests.__doc__ = f"Test {package} in an environment of its own."
    return nox.session(name=f"tests-{package}")(tests)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, without any framework installed."""
    session.install(*CONSTRAINTS, "mypy", "numpy", "rich", "jaxtyping", "types-psutil")
    session.run("mypy", *(f"packages/{package}/src" for package in PACKAGES))


for _package in PACKAGES:
    _tests(_package)


@nox.session
def integration(session: nox.Session) -> None:
    """Run all packages together: a real benchmark, scored from its logs."""
    _install(session, PACKAGES, "test", "jax", "torch", "plot")
    session.run("pytest", "integration", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build the wheels of all packages."""
    session.install(*CONSTRAINTS, "hatchling")
    shutil.rmtree(WHEELHOUSE, ignore_errors=True)
    for package in PACKAGES:
        with session.chdir(ROOT / "packages" / package):
            session.run("hatchling", "build", "-t", "wheel", "-d", str(WHEELHOUSE), silent=True)


@nox.session(reuse_venv=False, requires=["wheels"])
@nox.parametrize("package", PACKAGES)
def standalone(session: nox.Session, package: str) -> None:
    """Install a wheel alone in a clean environment, import it, start its command."""
    session.install(*CONSTRAINTS, "--find-links", str(WHEELHOUSE), package)
    session.run("python", "integration/check_standalone.py", package, *sorted(_siblings(package)))
    for command in PROJECTS[package].get("scripts", {}):
        session.run(command, "--help", silent=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the small benchmark on real data and print its leaderboard; `-- --framework torch` for PyTorch."""
    torch = {"torch", "pytorch"} & set(session.posargs)
    extra = "torch" if torch else "jax"
    packages = ["algoperf-baselines", "algoperf-vision"]
    _install(session, packages, extra, siblings_extras=(extra, "plot"))
    folder = Path("demo") / extra
    jobs = str(min(2, os.cpu_count() or 1))
    session.run(
        *("algoperf", "run", "adamw", "nadamw", "nesterov", "--benchmark", "algoperf-digits"),
        *("--jobs", jobs, "--runs", str(folder / "runs")),
        *(
            "--plot",
            str(folder / "performance_profiles.png"),
            "--json",
            str(folder / "leaderboard.json"),
        ),
        *session.posargs,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed, side by side with what we compare ourselves to."""
    _install(session, PACKAGES, "bench", "test", "jax", "torch", "plot")
    folders = [path.parent for path in sorted(ROOT.glob("packages/*/benchmarks/test_*.py"))]
    session.run("pytest", *map(str, dict.fromkeys(folders)), "--benchmark-only", *session.posargs)


nox.options.sessions = [
    "lint",
    "types",
    *(f"tests-{package}" for package in PACKAGES),
    "integration",
    "standalone",
]
