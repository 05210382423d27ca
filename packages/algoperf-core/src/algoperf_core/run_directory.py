"""The JSON files that describe a trial: `hparams.json`, `meta_data_<n>.json`, `flags_<n>.json`.

`<n>` is 0, and one more after each interruption.

Keys are the published ones (docs/protocol.md, "Files of a trial"), so that the published tools read them;
keys of our own stand beside them.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from algoperf_core import machine
from algoperf_core.backends import Backend
from algoperf_core.spec import Workload
from algoperf_core.trial_spec import TrialSpec, write_json
from algoperf_scoring import Benchmark


def describe_trial(
    trial_dir: Path,
    spec: TrialSpec,
    benchmark: Benchmark,
    workload: Workload,
    backend: Backend,
    preemption_count: int = 0,
) -> None:
    """Writes the JSON files of a trial; an attempt that goes on after an interruption adds its own."""
    if spec.hyperparameters is not None:
        write_json(trial_dir / "hparams.json", spec.hyperparameters)
    facts = meta_data(spec, workload, backend)
    write_json(trial_dir / f"meta_data_{preemption_count}.json", facts)
    trials = benchmark.ruleset(spec.ruleset).trials
    write_json(trial_dir / f"flags_{preemption_count}.json", flags(trial_dir, spec, trials))


def meta_data(spec: TrialSpec, workload: Workload, backend: Backend) -> dict[str, Any]:
    """Facts of workload, machine and software at the start of a trial."""
    return (
        workload_facts(workload)
        | machine.utilisation()
        | machine.software()
        | machine.hardware()
        | backend.hardware()
        | {"rng_seed": spec.seed, "tuning_order_seed": spec.order_seed}
    )


def workload_facts(workload: Workload) -> dict[str, Any]:
    """Public attributes of a workload that are numbers, strings or truth values, as `workload.<name>`."""
    facts: dict[str, Any] = {}
    for name in dir(workload):
        if name.startswith("_") or name in ("param_shapes", "model_params_types"):
            continue
        try:
            value = getattr(workload, name)
        except (NotImplementedError, ValueError):
            continue  # train_mean and train_stddev have no meaning for most workloads
        if isinstance(value, bool | int | float | str):
            facts[f"workload.{name}"] = value
    return facts


def flags(trial_dir: Path, spec: TrialSpec, trials: int) -> dict[str, Any]:
    """The trial's settings under the published names of the command line's flags.

    Args:
        trial_dir: Folder of the trial.
        spec: The trial.
        trials: Number of trials of its study, of which it is one.
    """
    return {
        "submission_path": spec.submission,
        "workload": spec.workload,
        "framework": spec.framework,
        "tuning_ruleset": spec.ruleset,
        "tuning_search_space": spec.search_space,
        "num_tuning_trials": trials,
        "hparam_start_index": spec.trial - 1,
        "hparam_end_index": spec.trial,
        "data_dir": spec.data_dir,
        "imagenet_v2_data_dir": spec.imagenet_v2_data_dir,
        "experiment_dir": str(trial_dir.parents[3]),
        "experiment_name": f"{spec.submission_name}/study_{spec.study}",
        "max_global_steps": spec.max_global_steps,
        "rng_seed": spec.seed,
        "save_checkpoints": spec.checkpoint_period_s is not None,
        "resume_last_run": None,
        "overwrite": True,
        "profile": spec.profile,
    } | {"algoperf." + name: value for name, value in asdict(spec).items()}
