"""The conformance checks: a sound workload passes all, and each defect is found and named."""

from dataclasses import replace

import numpy as np
import pytest

from algoperf_core.spec import ParameterType
from algoperf_toy.definition import DATASET, GOAL, TOY
from algoperf_toy.heard import GOAL as HEARD_GOAL
from algoperf_toy.heard import HEARD
from algoperf_workloads import ArraySpec, Implementation, testing
from algoperf_workloads.parameter_types import ParameterRule
from algoperf_workloads.testing import (
    CHECKS,
    Subject,
    available_compile_backend,
    check_workload,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def subject(data_dir):
    return Subject(TOY, GOAL, data_dir, compile_backend="aot_eager")


@pytest.mark.parametrize(
    ("compilers", "backend"),
    [({"g++"}, "inductor"), ({"clang++"}, "inductor"), (set(), "aot_eager")],
)
def test_machine_without_a_compiler_checks_the_traced_graphs(monkeypatch, compilers, backend):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: name if name in compilers else None)
    assert available_compile_backend() == backend


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_toy_workload_conforms(check, subject):
    check(subject)


@pytest.fixture(scope="module")
def pairs(data_dir):
    return Subject(HEARD, HEARD_GOAL, data_dir, compile_backend="aot_eager")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_workload_of_values_with_paddings_conforms(check, pairs):
    check(pairs)


def test_worker_processes_send_values_with_paddings(data_dir):
    definition = replace(HEARD, dataset=replace(HEARD.dataset, workers=1))
    testing.check_batches_of_workers_and_ranks(Subject(definition, HEARD_GOAL, data_dir))


def unpadded(columns):
    return {**HEARD.dataset.preprocess(columns), "targets": (columns["labels"],)}


def test_a_missing_part_of_a_pair_is_named(data_dir):
    definition = replace(HEARD, dataset=replace(HEARD.dataset, train=None, preprocess=unpadded))
    with pytest.raises(AssertionError, match=r"hold .*'targets\[0\]'\], declared .*'targets\[1\]'"):
        testing.check_training_batches(Subject(definition, HEARD_GOAL, data_dir))


def with_torch(name):
    classes = replace(TOY.model.classes, pytorch=f"algoperf_toy.torch_model:{name}")
    return replace(TOY, model=replace(TOY.model, classes=classes))


def with_data(name, **changes):
    return replace(TOY, dataset=replace(DATASET, name=name, **changes))


def fewer_examples(raw_dir):
    splits = DATASET.make(raw_dir)
    return {
        split: {name: array[:9] for name, array in columns.items()}
        if split == "validation"
        else columns
        for split, columns in splits.items()
    }


def noisy(columns):
    batch = DATASET.preprocess(columns)
    return {**batch, "inputs": np.random.random(batch["inputs"].shape).astype(np.float32)}


def sums_with_padding(logits, batch, loss):
    right = (logits.argmax(-1) == batch["targets"]) | (batch["weights"] == 0)
    return {"accuracy": right.sum(), "loss": loss["summed"]}


def sums_on_the_host(logits, batch, loss):
    return {"accuracy": loss["summed"] * 0, "loss": loss["summed"] * float(batch["weights"].sum())}


def cropped(columns, generator):
    batch = DATASET.train(columns, generator)
    return {**batch, "inputs": batch["inputs"][:, : generator.integers(2, 7)]}


def unseeded(columns, generator):
    batch = DATASET.preprocess(columns)
    return {**batch, "inputs": batch["inputs"] + np.random.random(1).astype(np.float32)}


def with_jax(name):
    classes = replace(TOY.model.classes, jax=f"algoperf_toy.jax_model:{name}")
    return replace(TOY, model=replace(TOY.model, classes=classes))


def with_loss(name):
    loss = Implementation(jax=f"algoperf_toy.losses:{name}", pytorch=TOY.loss.pytorch)
    return replace(TOY, loss=loss)


RULE = ParameterRule(r"Dense_0/kernel", ParameterType.EMBEDDING)
DEFECTS = [
    ("check_facts", replace(TOY, name="tot"), "named 'tot', the goal is for 'toy'"),
    ("check_facts", replace(TOY, summary="two\nlines"), "more than one line"),
    (
        "check_facts",
        with_data("few", make=fewer_examples),
        "examples of split 'validation': expected 17, found 9",
    ),
    ("check_facts", replace(TOY, metrics=replace(TOY.metrics, names=("loss",))), "'accuracy'"),
    (
        "check_parameter_types_agree",
        replace(TOY, parameter_rules=(RULE,)),
        "hidden.weight is WEIGHT",
    ),
    ("check_initialisation_is_deterministic", with_torch("NoisyNet"), "one key, different"),
    ("check_training_batches", with_data("toy", preprocess=noisy, train=None), "different batches"),
    (
        "check_training_batches",
        with_data("toy", arrays={**DATASET.arrays, "targets": ArraySpec((), "int64")}),
        "targets has type int32",
    ),
    ("check_forward_agrees", with_torch("WrongActivationNet"), "logits, EVAL"),
    ("check_forward_agrees", with_torch("OrdinaryNormNet"), "bn.running_"),
    ("check_gradients_agree", with_torch("WrongActivationNet"), "gradient of"),
    ("check_batch_norm_switch", with_torch("OrdinaryNormNet"), "pytorch: update_batch_norm=False"),
    ("check_dropout_rate", with_torch("NoDropoutNet"), "pytorch, TRAIN: dropout_rate is ignored"),
    (
        "check_training_batches",
        with_data("toy", arrays={"inputs": DATASET.arrays["inputs"]}),
        "declared are",
    ),
    (
        "check_batches_of_workers_and_ranks",
        with_data("toy", train=lambda columns, generator: DATASET.preprocess(columns)),
        "cannot be sent to worker processes",
    ),
    (
        "check_batches_of_workers_and_ranks",
        with_data("toy", train=unseeded),
        "one seed gives different batches",
    ),
    ("check_dense_labels", with_loss("guessing_by_length"), "jax loss of dense labels"),
    ("check_dropout_is_random", with_torch("FixedDropoutNet"), "two keys, the same dropout"),
    ("check_dropout_is_random", with_torch("NeverOffNet"), "EVAL passes depend on the key"),
    ("check_padding_changes_nothing", with_jax("MixingNet"), "jax .* with 3 rows of padding"),
    ("check_compiles_once", with_data("toy", train=cropped), "a TRAIN pass was compiled"),
    ("check_initialisation_agrees", with_torch("OrdinaryStartNet"), "hidden.weight starts with"),
    ("check_passes_do_not_wait", with_torch("ReadingNet"), "pytorch, TRAIN: .*_local_scalar"),
    ("check_passes_do_not_wait", with_torch("MaskingNet"), "pytorch, TRAIN: .*aten.nonzero"),
    (
        "check_passes_do_not_wait",
        replace(TOY, metrics=replace(TOY.metrics, sums=sums_on_the_host)),
        "jax, TRAIN: reads a value",
    ),
    ("check_passes_do_not_wait", with_jax("ReadingNet"), "jax, TRAIN: reads a value"),
    (
        "check_evaluation_is_exact",
        replace(TOY, metrics=replace(TOY.metrics, sums=sums_with_padding)),
        "validation/accuracy, batch size 8",
    ),
]


@pytest.mark.parametrize(("name", "definition", "message"), DEFECTS)
def test_a_defect_is_found_and_named(name, definition, message, data_dir):
    check = getattr(testing, name)
    with pytest.raises(AssertionError, match=f"fails 1 of 1 checks:\n{name}: .*{message}"):
        check_workload(definition, GOAL, data_dir, checks=[check])


def test_all_failures_are_reported_together(data_dir):
    checks = [testing.check_facts, testing.check_forward_agrees, testing.check_gradients_agree]
    with pytest.raises(AssertionError, match=r"(?s)fails 2 of 3 checks.*forward.*gradients"):
        check_workload(with_torch("WrongActivationNet"), GOAL, data_dir, checks=checks)


def test_the_checks_that_ran_are_named(data_dir):
    ran = check_workload(
        TOY, GOAL, data_dir, checks=[testing.check_facts, testing.check_loss_agrees]
    )
    assert ran == ["check_facts", "check_loss_agrees"]


def broken(subject):
    """Something that must hold."""
    raise TypeError("no such thing")


def test_a_check_that_cannot_run_is_a_failure_like_others(data_dir):
    with pytest.raises(AssertionError, match=r"(?s)broken: TypeError: no such thing.*must hold"):
        check_workload(TOY, GOAL, data_dir, checks=[broken])
