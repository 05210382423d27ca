"""Which trackers there are: those built in, and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from algoperf_core.errors import CampaignError
from algoperf_core.registry import Listed, installed
from algoperf_core.trackers import Tracker
from algoperf_scoring import unknown_name

TRACKERS = "algoperf.trackers"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class BuiltIn:
    """A tracker of this package.

    Args:
        module: Its module.
        attribute: Its class.
        any_of: Modules of which one must be installed.
        install: What to install.
        summary: One line on it.
    """

    module: str
    attribute: str
    any_of: tuple[str, ...]
    install: str
    summary: str


_FOLDER = "algoperf_core.trackers"
BUILT_IN = {
    TENSORBOARD: BuiltIn(
        f"{_FOLDER}.tensorboard",
        "TensorBoardTracker",
        ("tensorboardX", "tensorboard"),
        "algoperf-core[tensorboard]",
        "TensorBoard; always on where tensorboardX or tensorboard is installed.",
    ),
    "wandb": BuiltIn(
        f"{_FOLDER}.wandb",
        "WandbTracker",
        ("wandb",),
        "algoperf-core[wandb]",
        "Weights & Biases, with --track wandb.",
    ),
    "mlflow": BuiltIn(
        f"{_FOLDER}.mlflow",
        "MlflowTracker",
        ("mlflow",),
        "algoperf-core[mlflow]",
        "MLflow, with --track mlflow.",
    ),
}


def check_trackers(names: Iterable[str]) -> None:
    """Refuses trackers that cannot work here, before anything is run.

    Raises:
        UnknownNameError: No tracker has that name; suggests the nearest.
        CampaignError: What it needs is not installed; says what to install.
    """
    plugins = installed(TRACKERS)
    for name in names:
        if name in plugins:
            continue
        if name not in BUILT_IN:
            raise unknown_name("tracker", name, [*BUILT_IN, *plugins])
        if not is_available(name):
            install = BUILT_IN[name].install
            raise CampaignError(f'tracker {name!r} is not installed: pip install "{install}"')


def list_trackers() -> list[Listed]:
    """Built-in trackers, and those of installed packages with the first line of their docstring."""
    built_in = [
        Listed(name, "algoperf-core", tracker.summary) for name, tracker in BUILT_IN.items()
    ]
    return built_in + [
        Listed(
            name,
            entry.dist.name if entry.dist else entry.value,
            (entry.load().__doc__ or "").strip().partition("\n")[0],
        )
        for name, entry in installed(TRACKERS).items()
    ]


def is_available(name: str) -> bool:
    """Whether what a built-in tracker needs is installed; imports nothing."""
    return any(_is_package(module) for module in BUILT_IN[name].any_of)


def create_tracker(name: str) -> Tracker:
    """Imports a tracker and creates it; a plug-in goes before a built-in one of the same name."""
    plugins = installed(TRACKERS)
    if name in plugins:
        tracker: Tracker = plugins[name].load()()
    else:
        built_in = BUILT_IN[name]
        tracker = getattr(import_module(built_in.module), built_in.attribute)()
    return tracker


def _is_package(module: str) -> bool:
    # A folder called wandb or mlflow in the working directory is no installation.
    found = find_spec(module)
    return found is not None and found.origin is not None
