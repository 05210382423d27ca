"""Log trees to measure on: the published ones where they are, and synthetic ones of any size."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from algoperf_scoring import load_benchmark

BENCHMARK = load_benchmark("algoperf-v0.6")
EVALUATIONS = 60
OTHER_COLUMNS = 12


def measurements(metric: str, target: float, rng: np.random.Generator) -> str:
    """A file as wide as the published ones, whose last evaluation is at the target."""
    columns = ["global_step", "score", *(f"train/metric_{i}" for i in range(OTHER_COLUMNS))]
    columns.append(f"validation/{metric}")
    times = np.cumsum(rng.uniform(60.0, 90.0, EVALUATIONS))
    lines = [",".join(columns)]
    for step, seconds in enumerate(times.tolist()):
        value = target if step == EVALUATIONS - 1 else ""
        cells = [step, seconds, *rng.normal(size=OTHER_COLUMNS).tolist(), value]
        lines.append(",".join(map(str, cells)))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def synthetic_logs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes a tree of so many submissions, each with one study of five trials per workload."""

    def make(submissions: int) -> Path:
        root, rng = tmp_path_factory.mktemp(f"logs_{submissions}"), np.random.default_rng(0)
        for submission in range(submissions):
            for name in BENCHMARK.scored:
                workload = BENCHMARK.workload(name)
                for trial in range(1, 6):
                    place = root / f"sub_{submission}/study_0/{name}_jax/trial_{trial}"
                    place.mkdir(parents=True)
                    text = measurements(workload.metric, workload.validation_target, rng)
                    (place / "eval_measurements.csv").write_text(text)
        return root

    return make


@pytest.fixture(scope="session")
def published_logs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks the measurements of a published version; skips where the archive is not."""

    def logs(version: str) -> Path:
        name = f"published_logs_{version}_external.tar.xz"
        for folder in Path(__file__).resolve().parents:
            archive = folder / "shared" / "data" / name
            if archive.is_file():
                root = tmp_path_factory.mktemp(version)
                with tarfile.open(archive) as opened:
                    wanted = (member for member in opened if member.name.endswith(".csv"))
                    opened.extractall(root, members=wanted, filter="data")
                return root / "external_tuning"
        pytest.skip(f"the published logs {name} are not here")

    return logs
