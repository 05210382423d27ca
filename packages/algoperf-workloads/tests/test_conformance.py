"""The conformance checks: a sound workload passes all, and each defect is found and named."""

from dataclasses import replace

import numpy as np
import pytest

from algoperf_core.spec import ParameterType
from algoperf_toy.definition import DATASET, GOAL, TOY
from algoperf_workloads import ArraySpec, testing
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


RULE = ParameterRule(r"Dense_0/kernel", ParameterType.EMBEDDING)
DEFECTS = [
    ("check_facts", replace(TOY, name="tot"), "named 'tot', the goal is for 'toy'"),
    ("check_facts", replace(TOY, summary="two\nlines"), "more than one line"),
    ("check_facts", with_data("few", make=fewer_examples), "'validation' has 9 examples"),
    ("check_facts", replace(TOY, metrics=replace(TOY.metrics, names=("loss",))), "'accuracy'"),
    (
        "check_parameter_types_agree",
        replace(TOY, parameter_rules=(RULE,)),
        "hidden.weight is WEIGHT",
    ),
    ("check_initialisation_is_deterministic", with_torch("NoisyNet"), "one key, different"),
    ("check_training_batches", with_data("toy", preprocess=noisy), "different batches"),
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
        "check_evaluation_is_exact",
        replace(TOY, metrics=replace(TOY.metrics, sums=sums_with_padding)),
        "validation/accuracy, batch size 8",
    ),
]


@pytest.mark.parametrize(("name", "definition", "message"), DEFECTS)
def test_a_defect_is_found_and_named(name, definition, message, data_dir):
    check = getattr(testing, name)
    with pytest.raises(AssertionError, match=f"fails 1 checks:\n{name}: .*{message}"):
        check_workload(definition, GOAL, data_dir, checks=[check])


def test_all_failures_are_reported_together(data_dir):
    checks = [testing.check_facts, testing.check_forward_agrees, testing.check_gradients_agree]
    with pytest.raises(AssertionError, match=r"(?s)fails 2 checks.*forward.*gradients"):
        check_workload(with_torch("WrongActivationNet"), GOAL, data_dir, checks=checks)


def test_the_checks_that_ran_are_named(data_dir):
    ran = check_workload(
        TOY, GOAL, data_dir, checks=[testing.check_facts, testing.check_loss_agrees]
    )
    assert ran == ["check_facts", "check_loss_agrees"]
