import csv
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from algoperf_scoring import Benchmark

DEFINITION = """
name = "small"
summary = "Two workloads, a held-out variant, and one that is not scored."
base = ["digits", "wine"]
held_out = []

[scoring]
study_time = "earliest_evaluation"
method = "grid"

[rulesets.external]
search_space = true
studies = 1
trials = 1
budget_factor = 1.0

[rulesets.self]
search_space = false
studies = 1
trials = 1
budget_factor = 3.0

[workloads.digits]
metric = "accuracy"
validation_target = 0.9
test_target = 0.8
budget_s = 100.0
step_hint = 1000
eval_period_s = 10.0

[workloads.digits_noisy]
variant_of = "digits"
validation_target = 0.8

[workloads.wine]
metric = "loss"
validation_target = 0.5

[workloads.spare]
metric = "wer"
validation_target = 0.1
"""

Rows = Iterable[tuple[object, object]]


@dataclass(frozen=True)
class Tree:
    """Writes log trees; a row is (seconds, value of the metric)."""

    root: Path

    def trial(self, where: str, rows: Rows, metric: str | None = None) -> Path:
        if metric is None:
            metric = "loss" if "/wine_" in where else "accuracy"
        folder = self.root / where
        folder.mkdir(parents=True)
        path = folder / "eval_measurements.csv"
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["global_step", "score", f"validation/{metric}", "validation/n"])
            for step, (seconds, value) in enumerate(rows):
                writer.writerow([step, seconds, value, 10])
        return path

    def folder(self, where: str) -> Path:
        path = self.root / where
        path.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "logs")


@pytest.fixture
def definition() -> str:
    return DEFINITION


@pytest.fixture
def benchmark_small() -> Benchmark:
    return Benchmark.from_toml(DEFINITION)


@pytest.fixture
def benchmark_held_out() -> Benchmark:
    return Benchmark.from_toml(DEFINITION.replace("held_out = []", 'held_out = ["digits_noisy"]'))


def _archive(name: str) -> Path:
    for folder in Path(__file__).resolve().parents:
        path = folder / "shared" / "data" / name
        if path.is_file():
            return path
    pytest.skip(f"the published logs {name} are not here")


@pytest.fixture(scope="session")
def published_logs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks the published logs of a version once; gives the folder of submissions."""
    unpacked: dict[str, Path] = {}

    def logs(benchmark: str) -> Path:
        if benchmark not in unpacked:
            version = benchmark.removeprefix("algoperf-").replace(".", "")
            path = _archive(f"published_logs_{version}_external.tar.xz")
            folder = tmp_path_factory.mktemp(version)
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
            unpacked[benchmark] = folder / "external_tuning"
        return unpacked[benchmark]

    return logs
