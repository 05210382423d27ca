"""`algoperf data`: lists, prepares and verifies the data of installed workloads, whoever publishes them.

A workload takes part if its provider has the methods of `DataProvider`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from algoperf_core.arguments import default_data_dir
from algoperf_core.errors import WorkloadError
from algoperf_core.registry import WORKLOADS, installed, workload_provider
from algoperf_scoring import AlgoperfError, unknown_name

Report = Callable[[str, int, int], None]
"""Told about progress: what is being done, examples done, bytes done; 0 where it is not known."""

_EXIT_BAD_INPUT = 2
_LINE_PERIOD_S = 10.0


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """The data of a workload.

    Args:
        dataset: Its name; workloads may share one.
        folder: Where the prepared data lie, or will.
        prepared: Whether they are there.
        on_the_fly: Whether a trial makes them where they are missing, in seconds.
        num_bytes: Size of the prepared data, the expected one where they are missing; 0 if next to nothing.
        started_bytes: What an interrupted preparation has finished.
        source: Where they come from.
        licence: Their terms, such as a registration.
    """

    dataset: str
    folder: str
    prepared: bool
    on_the_fly: bool
    num_bytes: int
    started_bytes: int = 0
    source: str = ""
    licence: str = ""


@runtime_checkable
class DataProvider(Protocol):
    """A provider of a workload that can prepare its data."""

    def describe_data(self, data_dir: Path) -> DataDescription:
        """What its data are and whether they are prepared; nothing is made."""
        ...

    def prepare_data(self, data_dir: Path, raw_dir: Path | None, report: Report) -> None:
        """Makes the prepared data where they are missing, continuing what was interrupted.

        `raw_dir` holds downloaded originals; None if they are in `data_dir`.
        """
        ...

    def verify_data(self, data_dir: Path, report: Report) -> None:
        """Reads every byte of the prepared data; raises an `AlgoperfError` that names what is damaged."""
        ...


def add_data_commands(data: argparse.ArgumentParser) -> None:
    """Adds `list`, `prepare` and `verify` to the command `data`."""
    commands = data.add_subparsers(required=True, metavar="ACTION")
    listing = commands.add_parser(
        "list", help="show datasets, their size, and where they come from"
    )
    prepare = commands.add_parser(
        "prepare", help="make prepared datasets from downloaded originals, or generate them"
    )
    verify = commands.add_parser(
        "verify", help="read prepared datasets again and name damaged files"
    )
    for parser, names in ((listing, "*"), (prepare, "+"), (verify, "*")):
        parser.add_argument(
            "names",
            nargs=names,
            metavar="WORKLOAD",
            help="workload or dataset; default: all installed",
        )
        parser.add_argument(
            "--data-dir",
            type=Path,
            default=default_data_dir(),
            metavar="DIR",
            help=f"prepared datasets (default: {default_data_dir()})",
        )
    prepare.add_argument(
        "--raw-dir", type=Path, metavar="DIR", help="downloaded originals (default: --data-dir)"
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(command=_list)
    prepare.set_defaults(command=_prepare)
    verify.set_defaults(command=_verify)


@dataclass(frozen=True)
class _Dataset:
    description: DataDescription
    provider: DataProvider
    workloads: tuple[str, ...]


def _datasets(names: list[str], data_dir: Path) -> list[_Dataset]:
    """Datasets of the named workloads, or of those names, each once; all where no name is given."""
    found: dict[str, _Dataset] = {}
    # A workload that cannot be loaded is an error where it is asked for, not where another is.
    wanted = (
        names if set(names) <= set(installed(WORKLOADS)) and names else list(installed(WORKLOADS))
    )
    for workload in wanted:
        provider = workload_provider(workload)
        if not isinstance(provider, DataProvider):
            if workload in names:
                raise WorkloadError(f"the workload {workload!r} has no data that can be prepared")
            continue
        description = provider.describe_data(data_dir)
        known = found.get(description.dataset)
        users = (*(known.workloads if known else ()), workload)
        found[description.dataset] = _Dataset(description, provider, users)
    if not names:
        return list(found.values())
    chosen: dict[str, _Dataset] = {}
    for name in names:
        datasets = [data for key, data in found.items() if name == key or name in data.workloads]
        if not datasets:
            known_names = {*found, *(user for data in found.values() for user in data.workloads)}
            raise unknown_name("workload or dataset", name, sorted(known_names))
        chosen |= {data.description.dataset: data for data in datasets}
    return list(chosen.values())


def _list(options: argparse.Namespace) -> int:
    datasets = _datasets(options.names, options.data_dir.expanduser())
    if options.json:
        listed = [asdict(one.description) | {"workloads": list(one.workloads)} for one in datasets]
        print(json.dumps(listed, indent=2))  # noqa: T201
        return 0
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for one in datasets:
        for line in _listed(one):
            console.print(line)
    return 0


def _listed(dataset: _Dataset) -> Iterator[Any]:
    """What there is to say of a dataset: a line, and paragraphs that are indented below it."""
    from rich.padding import Padding
    from rich.text import Text

    about = dataset.description
    size = "" if about.num_bytes == 0 else f", {_size(about.num_bytes)}"
    yield Text.assemble((about.dataset, "bold"), f": {_state(about)}{size}")
    paragraphs = {
        "for": ", ".join(dataset.workloads),
        "from": about.source,
        "terms": about.licence,
    }
    for name, text in paragraphs.items():
        if text:
            yield Padding(Text(f"{name}: {text}"), (0, 0, 0, 2))


def _state(description: DataDescription) -> str:
    if description.prepared:
        return "prepared"
    if description.started_bytes:
        return f"begun, {_size(description.started_bytes)}"
    return "made when needed" if description.on_the_fly else "missing"


def _prepare(options: argparse.Namespace) -> int:
    data_dir = options.data_dir.expanduser()
    datasets = _datasets(options.names, data_dir)
    missing = [one for one in datasets if not one.description.prepared]
    _require_space(data_dir, [one.description for one in missing])
    for one in datasets:
        name = one.description.dataset
        if not one.description.prepared:
            with _progress(name) as report:
                one.provider.prepare_data(data_dir, options.raw_dir, report)
        size = _size(one.provider.describe_data(data_dir).num_bytes)
        print(f"{name}: prepared in {one.description.folder}, {size}")  # noqa: T201
    return 0


def _verify(options: argparse.Namespace) -> int:
    data_dir = options.data_dir.expanduser()
    status = 0
    for one in _datasets(options.names, data_dir):
        name = one.description.dataset
        if not one.description.prepared:
            if options.names:
                raise WorkloadError(
                    f"{one.description.folder}: the dataset {name!r} is not prepared; run: algoperf data "
                    f"prepare {name} --data-dir {options.data_dir}"
                )
            continue
        try:
            with _progress(name) as report:
                one.provider.verify_data(data_dir, report)
            print(f"{name}: whole")  # noqa: T201
        except AlgoperfError as error:
            print(f"{name}: damaged: {error}")  # noqa: T201
            status = _EXIT_BAD_INPUT
    return status


def _require_space(data_dir: Path, missing: list[DataDescription]) -> None:
    needed = sum(max(one.num_bytes - one.started_bytes, 0) for one in missing)
    existing = next(
        path for path in (data_dir.absolute(), *data_dir.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing).free
    if needed > free:
        names = ", ".join(one.dataset for one in missing)
        raise WorkloadError(
            f"{data_dir}: preparing {names} takes about {_size(needed)}, but {_size(free)} are free; free "
            "some, or name another folder with --data-dir"
        )


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """Shows progress: a line that changes on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with console.status(f"{name}: beginning") as status:
            yield lambda *what: status.update(escape(f"{name}: {_told(*what)}"))
        return
    shown = [float("-inf")]

    def report(*what: Any) -> None:
        if time.monotonic() - shown[0] >= _LINE_PERIOD_S:
            shown[0] = time.monotonic()
            console.print(f"{name}: {_told(*what)}", markup=False, soft_wrap=True)

    yield report


def _told(what: str, examples: int, num_bytes: int) -> str:
    parts = [what]
    if examples:
        parts.append(f"{examples:,} examples")
    if num_bytes:
        parts.append(_size(num_bytes))
    return ", ".join(parts)


def _size(num_bytes: int) -> str:
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
