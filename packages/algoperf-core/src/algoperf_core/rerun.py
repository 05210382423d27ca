"""One trial again, exactly: `algoperf run --from TRIAL_DIR`.

Point, seed, workload, framework and step limit come from its `trial.json`, the definition from its copy of
the benchmark, the submission from `submission.zip`. What differs in the environment is said, not mended.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from algoperf_core import environment, machine
from algoperf_core.campaign import check_same, describe_rerun, write_benchmark
from algoperf_core.environment import ENVIRONMENT_FILE, describe_environment
from algoperf_core.errors import CampaignError
from algoperf_core.registry import workload_provider
from algoperf_core.sources import COPY_MANIFEST, find_submission
from algoperf_core.submission_copy import (
    COPY_FILE,
    COPY_FOLDER,
    check_unaltered,
    unpack,
    write_copy,
)
from algoperf_core.trial_spec import (
    BENCHMARK_FILE,
    SPEC_FILE,
    TrialSpec,
    benchmark_file,
    is_done,
    read_result,
    read_spec,
    write_spec,
)
from algoperf_scoring import load_benchmark

_PROCESSORS = ("cpu_model_name", "cpu_count")
_ACCELERATORS = ("gpu_model_name", "gpu_count")


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """A trial to run again.

    Args:
        origin: Folder of the trial.
        runs: Folder of the runs that the new trial goes to; another one than the trial's own.
        data_dir: Where prepared datasets are; None for where they were.
    """

    origin: Path
    runs: Path
    data_dir: Path | None = None

    @cached_property
    def spec(self) -> TrialSpec:
        """What ran."""
        return spec_of(self.origin)

    @property
    def trial_dir(self) -> Path:
        """Folder of the new trial."""
        return self.spec.directory(self.runs)

    def prepare(self) -> list[Path]:
        """Writes the new trial's specification; returns its folder, or nothing where it is done.

        Raises:
            AlgoperfError: Something that the trial needs is missing or was altered.
        """
        if self.trial_dir.resolve() == self.origin.resolve():
            raise CampaignError(
                f"{self.runs}: these are the trial's own runs; choose others, --runs"
            )
        benchmark = load_benchmark(benchmark_file(self.origin))
        workload_provider(self.spec.workload)
        if is_done(read_result(self.trial_dir)):
            check_same(self.trial_dir, self.spec)
            return []
        write_benchmark(self.runs / self.spec.submission_name / BENCHMARK_FILE, benchmark)
        data_dir = self.spec.data_dir if self.data_dir is None else str(self.data_dir.absolute())
        spec = replace(self.spec, submission=self._submission(), data_dir=data_dir)
        if (self.trial_dir / SPEC_FILE).exists():
            check_same(self.trial_dir, spec)
        write_spec(self.trial_dir, spec)
        rerun_of = {"rerun_of": str(self.origin.absolute())}
        describe_rerun(self.trial_dir, benchmark, describe_environment() | rerun_of)
        return [self.trial_dir]

    def _submission(self) -> str:
        """Unpacks the copy into the new trial's folder; without one, the original must be unchanged."""
        archive = self.origin / COPY_FILE
        if archive.exists():
            copy = self.trial_dir / COPY_FOLDER
            if (copy / COPY_MANIFEST).exists():
                check_unaltered(copy, self.spec.submission_sha256)
            else:
                copy.mkdir(parents=True, exist_ok=True)
                unpack(archive, copy, self.spec.submission_sha256)
            write_copy(self.trial_dir, archive.read_bytes())
            return str(copy.absolute())
        source = find_submission(self.spec.submission)
        if source.sha256(self.spec.framework) != self.spec.submission_sha256:
            raise CampaignError(
                f"{self.origin}: keeps no {COPY_FILE}, and {self.spec.submission} was edited since; put its "
                "files back as they were"
            )
        return self.spec.submission

    def differences(self) -> list[str]:
        """What differs between then and now, one line each: packages, variables, processors."""
        then = _json(self.origin / ENVIRONMENT_FILE)
        lines = environment.differences(then, describe_environment()) if then else []
        now = machine.hardware()
        now["cpu_count"] //= self.slots()
        return lines + _changed(_json(self.origin / "meta_data_0.json"), now, _PROCESSORS)

    def slots(self) -> int:
        """Into how many equal shares to divide the processors, so that one is as large as the trial's was.

        Numbers depend on how many threads add them up.
        """
        wanted = _json(self.origin / "meta_data_0.json").get("cpu_count")
        usable = len(machine.usable_cpus())
        return usable // wanted if isinstance(wanted, int) and usable % wanted == 0 else 1

    def accelerator_differences(self) -> list[str]:
        """What differs in accelerators, once the new trial has begun."""
        new = _json(self.trial_dir / "meta_data_0.json")
        return _changed(_json(self.origin / "meta_data_0.json"), new, _ACCELERATORS) if new else []

    def comparison(self) -> str:
        """Whether the evaluations came out the same, in one line."""
        return compare_evaluations(self.origin, self.trial_dir)


def spec_of(trial_dir: Path) -> TrialSpec:
    """Reads what a trial was.

    Raises:
        CampaignError: The folder holds no trial.
    """
    if not (trial_dir / SPEC_FILE).exists():
        raise CampaignError(
            f"{trial_dir}: holds no {SPEC_FILE}, so it is no folder of a trial; name one such as "
            "RUNS/SUBMISSION/study_0/WORKLOAD_jax/trial_1"
        )
    return read_spec(trial_dir)


def compare_evaluations(before: Path, after: Path) -> str:
    """Says whether two trials have the same metrics at the steps at which both were evaluated.

    Args:
        before: Folder of a trial.
        after: Folder of the trial that repeats it.
    """
    old, new = _metrics(before), _metrics(after)
    shared = sorted(old.keys() & new.keys())
    if not shared:
        return "no evaluation at the same step in both trials: nothing to compare"
    differing = [step for step in shared if old[step] != new[step]]
    steps = "1 evaluation" if len(shared) == 1 else f"{len(shared)} evaluations"
    if not differing:
        return f"{steps} at the same steps, up to step {shared[-1]:,}: identical to the last bit"
    step = differing[0]
    name = next(name for name in old[step] if old[step][name] != new[step].get(name))
    return (
        f"{steps} at the same steps, {len(differing)} of them differ, first at step {step:,}: {name} was "
        f"{old[step][name]}, is {new[step].get(name)}"
    )


def _metrics(trial_dir: Path) -> dict[int, dict[str, str]]:
    path = trial_dir / "eval_measurements.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {
            int(float(row["global_step"])): {
                name: value for name, value in row.items() if "/" in name
            }
            for row in csv.DictReader(file)
        }


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    if not then:
        return []
    return [
        f"{name}: {then.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in names
        if then.get(name) != now.get(name)
    ]
