"""The table of rules: what each finding rests on, how grave it is, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

VALIDITY = "benchmark rules, validity; Dahl et al. 2023, section 4"
API = "docs/protocol.md, a submission; Dahl et al. 2023, section 4"


class Grade(enum.StrEnum):
    """How grave a finding is: an error breaks a rule, a warning wants a person's look, a note informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """One rule of the benchmark.

    Args:
        id: Short name, as printed.
        grade: Grade of the findings that rest on it.
        sentence: The rule.
        remedy: What the author of a submission does about a finding.
        source: Where the rule is written.
    """

    id: str
    grade: Grade
    sentence: str
    remedy: str
    source: str = VALIDITY


_E, _W, _N = Grade.ERROR, Grade.WARNING, Grade.NOTE

_RULES = (
    # The submission API.
    Rule(
        "api",
        _E,
        "A submission defines the required functions, callable as the harness calls them.",
        "write the function with the published arguments, or use from_optax or from_torch",
        API,
    ),
    Rule(
        "run-failed",
        _E,
        "A submission trains every workload of the benchmark without an error.",
        "mend the error; the message and the line are those of the exception",
        API,
    ),
    Rule(
        "not-run",
        _N,
        "A short run on every installed small workload is part of the check.",
        "install what is missing, or choose workloads with --workload",
        API,
    ),
    Rule(
        "search-space",
        _E,
        "The tuning search space is one and the same for all workloads.",
        "keep one tuning_search_space.json, whose names are hyperparameters",
    ),
    # Detecting the workload.
    Rule(
        "workload-name",
        _E,
        "Outside of get_batch_size nothing may depend on which workload it is.",
        "remove the branch; only the batch size may be chosen by the workload's name",
    ),
    Rule(
        "workload-name-kept",
        _E,
        "The name that get_batch_size is told serves for the batch size alone.",
        "return the batch size and keep nothing of the name",
    ),
    Rule(
        "workload-shapes",
        _E,
        "Shapes and numbers of parameters may not serve as fingerprints of a workload.",
        "use shapes generically: by number of axes, by size relative to each other, by parameter type",
    ),
    Rule(
        "workload-size",
        _W,
        "Approximations may follow from memory, schedules and other logic may not depend on model size.",
        "make sure that the threshold decides on memory only, and say so in a comment",
    ),
    Rule(
        "workload-data",
        _E,
        "Sizes and statistics of datasets, and keys of batches, may not identify a workload.",
        "use the numbers in formulas, such as steps per epoch, without comparing them with constants",
    ),
    Rule(
        "workload-target",
        _E,
        "Targets and names of metrics may not identify a workload.",
        "compare measured values with the target, never the target with a constant",
    ),
    Rule(
        "metric-direction",
        _W,
        "A metric's name may tell which direction is better, nothing else.",
        "make sure that the branch decides on the direction only",
    ),
    Rule(
        "workload-hint",
        _E,
        "step_hint and the time limits serve as horizons, not as fingerprints of a workload.",
        "plan in fractions of step_hint; compare it with no constant",
    ),
    Rule(
        "workload-hint-range",
        _W,
        "step_hint and the time limits serve as horizons; thresholds sort workloads into groups.",
        "use min and max, which change smoothly, or plan in fractions of step_hint",
    ),
    Rule(
        "workload-loss-type",
        _W,
        "The type of the loss may decide on numerics, not on schedules or hyperparameters.",
        "make sure that the branch would suit any workload with this loss",
    ),
    Rule(
        "workload-structure",
        _W,
        "The harness gives every workload the same interface; differences may not identify one.",
        "use the published interface, and parameter types instead of parameter names",
    ),
    # The harness.
    Rule(
        "input-queue-built",
        _E,
        "_build_input_queue is the one function of a workload that a submission must not call.",
        "take batches from the input_queue that data_selection is given",
    ),
    Rule(
        "input-queue",
        _E,
        "The input queue is read with next() and not changed.",
        "call next(input_queue); change batches after they came out",
    ),
    Rule(
        "harness-internals",
        _E,
        "A submission uses the published interface of the harness and nothing behind it.",
        "use the arguments that the functions are given",
    ),
    Rule(
        "harness-state",
        _E,
        "train_state and eval_results are the harness's record; a submission reads them only.",
        "keep values of your own in the optimizer state",
    ),
    Rule(
        "fixed-functions",
        _E,
        "Model, loss, evaluation and the other functions and facts of a workload are fixed.",
        "call the workload's functions as they are",
    ),
    Rule(
        "added-layers",
        _W,
        "Rates of existing dropout may change; layers may not be added to the model.",
        "pass dropout_rate to model_fn instead",
    ),
    Rule(
        "model-hooks",
        _W,
        "Forward hooks also run in untimed evaluations, where no work of the submission may be done.",
        "remove the hooks in prepare_for_eval, or make them return at once outside of training",
    ),
    Rule(
        "data-selection",
        _E,
        "data_selection chooses and changes batches; parameters, state and hyperparameters stay.",
        "move the change into update_params",
    ),
    Rule(
        "evaluated-parameters",
        _E,
        "What is evaluated are the parameters that update_params or prepare_for_eval returned.",
        "return the parameters that shall be evaluated",
    ),
    Rule(
        "evaluation-on-clock",
        _N,
        "Evaluations that a submission starts are allowed, and charged to it.",
        "nothing, if that is meant",
    ),
    # Surroundings.
    Rule(
        "environment-write",
        _E,
        "Environment variables stay as the user set them.",
        "remove the assignment",
    ),
    Rule(
        "environment-read",
        _W,
        "A submission behaves alike whatever the environment says.",
        "remove it; LOCAL_RANK, RANK and WORLD_SIZE may be read",
    ),
    Rule(
        "patching",
        _E,
        "Frameworks, the standard library and the harness stay as they are.",
        "write functions or subclasses of your own instead of replacing others'",
    ),
    Rule(
        "threads-left",
        _E,
        "No work of the submission goes on while the clock is paused for an evaluation.",
        "use the executor in a with block, or join the thread before the function returns",
    ),
    Rule(
        "threads",
        _W,
        "Work beside the main thread must be over before an evaluation begins.",
        "make sure that everything is joined when update_params and prepare_for_eval return",
    ),
    Rule(
        "paused-work",
        _E,
        "Nothing is computed while the clock is paused; a trial charges it all the same.",
        "end or pause it in prepare_for_eval",
    ),
    Rule(
        "streams",
        _W,
        "CUDA streams may overlap transfers with computation.",
        "make sure that no computation is left on the stream when an evaluation begins",
    ),
    Rule(
        "interpreter-hooks",
        _E,
        "Signals, tracing and exit handlers run code of the submission at moments that are not charged.",
        "do the work in update_params, data_selection or prepare_for_eval",
    ),
    Rule(
        "files",
        _E,
        "A submission keeps its state in the optimizer state and looks nothing up on the machine.",
        "remove the access; scalars are logged through workload.metrics_logger",
    ),
    Rule(
        "own-files",
        _W,
        "Update rules may be learned and read from a file; per-workload results may not.",
        "make sure that the file holds nothing that depends on a workload",
    ),
    Rule(
        "network",
        _E,
        "A submission uses no network.",
        "remove the access; put the code that it needs into the folder or requirements.txt",
    ),
    Rule(
        "commands",
        _E,
        "A submission starts no other programs.",
        "remove the call",
    ),
    Rule(
        "pretrained",
        _E,
        "Training starts from the workload's initialisation, not from the result of earlier training.",
        "remove the loaded weights",
    ),
    Rule(
        "embedded-data",
        _E,
        "Results of earlier training and tuned values per workload may not be looked up.",
        "compute the values, or write down the rule that they follow from",
    ),
    Rule(
        "data-file",
        _W,
        "Files of numbers beside the code may hold a learned update rule, no results per workload.",
        "make sure that the file holds nothing that depends on a workload, and say what it is",
    ),
    Rule(
        "custom-kernels",
        _E,
        "Gains come from the algorithm, not from faster kernels for the same operations.",
        "write the operation with the framework's own functions",
    ),
    Rule(
        "compiler-flags",
        _E,
        "Frameworks run with the settings of the harness: no other kernels, precisions or compiler flags.",
        "remove the setting",
    ),
    Rule(
        "framework-versions",
        _W,
        "Frameworks and their libraries have the versions of the benchmark.",
        "leave them out of requirements.txt",
    ),
    Rule(
        "opaque-code",
        _E,
        "The code of a submission can be read.",
        "give the source; pickle and marshal are neither needed nor readable",
    ),
    Rule(
        "dynamic-code",
        _W,
        "Code that is made while it runs cannot be checked beforehand.",
        "write the code or the import down",
    ),
    Rule(
        "sleep",
        _N,
        "Sleeping is on the clock.",
        "nothing, if that is meant",
    ),
    Rule(
        "global-state",
        _N,
        "State outside of the optimizer state is lost when a trial is continued.",
        "keep it in the optimizer state",
    ),
    Rule(
        "random-state",
        _N,
        "Randomness comes from the keys that the functions are given.",
        "derive generators of your own from rng instead of seeding the global ones",
    ),
    Rule(
        "not-deterministic",
        _W,
        "Two runs with the same seed agree, so that a result can be reproduced.",
        "draw everything random from the rng that the functions are given",
    ),
    Rule(
        "nan-loss",
        _N,
        "A metric that is not finite at the first steps is a sign of divergence.",
        "look at the learning rate of the first steps",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _RULES}
"""All rules by id, in the order in which they are documented."""


def rules_as_markdown() -> str:
    """The table as it stands in the documentation, one section per grade."""
    titles = {_E: "Errors", _W: "Warnings", _N: "Notes"}
    return "\n".join(_section(title, grade) for grade, title in titles.items())


def _section(title: str, grade: Grade) -> str:
    rows = "".join(
        f"| `{rule.id}` | {rule.sentence} | {rule.remedy} | {rule.source} |\n"
        for rule in RULES.values()
        if rule.grade is grade
    )
    head = "| rule | meaning | what to do | source |\n| --- | --- | --- | --- |\n"
    return f"### {title}\n\n{head}{rows}"
