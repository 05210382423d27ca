"""Files of a trial: columns, order and missing values as published."""

import csv
import json
import math

import numpy as np
import pytest

from algoperf_core.errors import SubmissionError
from algoperf_core.measurements import Measurements

EVALUATION = {
    "train/accuracy": 0.5,
    "train/loss": 1.25,
    "validation/accuracy": 0.4,
    "validation/loss": 1.5,
    "validation/num_examples": 100,
    "test/accuracy": 0.3,
    "test/loss": 1.75,
    "test/num_examples": 100,
    "score": 3.5,
    "total_duration": 4.5,
    "accumulated_submission_time": 3.5,
    "accumulated_eval_time": 0.5,
    "accumulated_logging_time": 0.0,
    "global_step": 1,
    "preemption_count": 0,
}
# The published header of the ImageNet workloads, whose metrics are the same two.
HEADER = (
    "accumulated_eval_time,accumulated_logging_time,accumulated_submission_time,global_step,"
    "preemption_count,score,test/accuracy,test/loss,test/num_examples,total_duration,"
    "train/accuracy,train/loss,validation/accuracy,validation/loss,validation/num_examples"
)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_evaluations_have_the_published_header_and_plain_values(tmp_path):
    Measurements(tmp_path).append_evaluation(EVALUATION, 1)
    lines = (tmp_path / "eval_measurements.csv").read_bytes().decode().split("\n")
    assert lines == [HEADER, "0.5,0.0,3.5,1,0,3.5,0.3,1.75,100,4.5,0.5,1.25,0.4,1.5,100", ""]


def test_evaluations_are_appended_in_order(tmp_path):
    measurements = Measurements(tmp_path)
    for step in (1, 5, 9):
        measurements.append_evaluation(EVALUATION, step)
    assert [row["global_step"] for row in rows(tmp_path / "eval_measurements.csv")] == [
        "1",
        "5",
        "9",
    ]
    assert [row["global_step"] for row in rows(tmp_path / "measurements.csv")] == ["1", "5", "9"]


def test_measurements_start_with_the_sorted_keys_of_the_first_row(tmp_path):
    measurements = Measurements(tmp_path)
    measurements.append_scalar_metrics({"loss": 2.5, "grad_norm": 0.75}, 0)
    measurements.append_evaluation(EVALUATION, 1)
    measurements.append_scalar_metrics({"loss": 1.5, "grad_norm": 0.5, "lr": 0.1}, 100)
    measurements.append_final(12.5, 120)
    header = (tmp_path / "measurements.csv").read_text().splitlines()[0].split(",")
    new = [name for name in EVALUATION if name != "global_step"]
    assert header == ["global_step", "grad_norm", "loss", *new, "lr"]
    logged, evaluated, later, final = rows(tmp_path / "measurements.csv")
    assert (logged["loss"], logged["score"], logged["preemption_count"]) == ("2.5", "", "")
    assert (evaluated["loss"], evaluated["score"], evaluated["global_step"]) == ("", "3.5", "1")
    assert later["lr"] == "0.1"
    filled = {name: value for name, value in final.items() if value}
    assert filled == {"score": "12.5", "global_step": "120", "preemption_count": "0"}


def test_measurements_without_scalars_are_in_alphabetical_order(tmp_path):
    measurements = Measurements(tmp_path)
    measurements.append_evaluation(EVALUATION, 1)
    measurements.append_final(5.0, 2)
    assert (tmp_path / "measurements.csv").read_text().splitlines()[0] == HEADER


def test_trial_without_any_evaluation_still_has_its_final_row(tmp_path):
    Measurements(tmp_path).append_final(5.0, 2)
    assert not (tmp_path / "eval_measurements.csv").exists()
    assert (
        tmp_path / "measurements.csv"
    ).read_text() == "global_step,preemption_count,score\n2,0,5.0\n"


def test_scalars_are_written_at_the_next_evaluation_not_before(tmp_path):
    measurements = Measurements(tmp_path)
    measurements.append_scalar_metrics({"loss": 2.5}, 0)
    assert not (tmp_path / "measurements.csv").exists()
    measurements.append_evaluation(EVALUATION, 1)
    assert len(rows(tmp_path / "measurements.csv")) == 2


def test_device_scalars_of_both_frameworks_are_converted(tmp_path):
    jnp, torch = pytest.importorskip("jax.numpy"), pytest.importorskip("torch")
    measurements = Measurements(tmp_path)
    running = torch.tensor(1.5, requires_grad=True)
    metrics = {"a": jnp.float32(0.25), "b": running, "c": np.float64(3.0), "d": jnp.array([2])}
    measurements.append_scalar_metrics(metrics, 7)
    with torch.no_grad():
        running += 100.0
    measurements.flush()
    (row,) = rows(tmp_path / "measurements.csv")
    assert row == {"a": "0.25", "b": "1.5", "c": "3.0", "d": "2", "global_step": "7"}


def test_nan_is_written_as_such(tmp_path):
    Measurements(tmp_path).append_evaluation(EVALUATION | {"validation/accuracy": math.nan}, 1)
    (row,) = rows(tmp_path / "eval_measurements.csv")
    assert row["validation/accuracy"] == "nan"


def test_metric_that_is_no_scalar_is_named(tmp_path):
    measurements = Measurements(tmp_path)
    measurements.append_scalar_metrics({"losses": np.zeros(3)}, 0)
    with pytest.raises(SubmissionError, match="'losses' is not a scalar"):
        measurements.flush()


def test_numbers_survive_to_the_last_digit(tmp_path):
    value = 0.1 + 0.2
    Measurements(tmp_path).append_evaluation(EVALUATION | {"score": value, "train/loss": 1e-17}, 1)
    (row,) = rows(tmp_path / "eval_measurements.csv")
    assert json.loads(row["score"]) == value
    assert float(row["train/loss"]) == 1e-17


def test_measurements_that_are_there_are_continued(tmp_path):
    first = Measurements(tmp_path)
    first.append_scalar_metrics({"loss": 2.5, "note": 'a "quoted", text'}, 0)
    first.append_evaluation(EVALUATION | {"train/loss": 0.1 + 0.2}, 1)
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    second = Measurements(tmp_path, preemption_count=2)
    second.append_evaluation(EVALUATION, 5)
    for name, text in texts.items():
        assert (tmp_path / name).read_text().startswith(text)
    second.append_scalar_metrics({"new": 1.5}, 6)
    second.append_final(9.0, 7)
    logged, evaluated, *_, new, final = rows(tmp_path / "measurements.csv")
    assert (logged["loss"], logged["note"], logged["new"]) == ("2.5", 'a "quoted", text', "")
    assert float(evaluated["train/loss"]) == 0.1 + 0.2
    assert (new["new"], final["preemption_count"]) == ("1.5", "2")
