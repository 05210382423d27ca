import json

import numpy as np
import pytest

from algoperf_scoring import LogError
from algoperf_scoring.hyperparameters import MAX_BYTES, read_hyperparameters
from algoperf_scoring.logs import Trial


@pytest.fixture
def trial(tmp_path):
    nothing = np.zeros(0)
    return Trial("study_0", 1, "jax", nothing, nothing, tmp_path / "eval_measurements.csv")


@pytest.fixture
def read(trial):
    def read(content):
        data = content if isinstance(content, bytes) else content.encode()
        trial.path.with_name("hparams.json").write_bytes(data)
        return read_hyperparameters(trial)

    return read


def test_values_keep_their_types_and_order(read):
    values = {"warmup": 3, "lr": 1e-3, "nesterov": True, "style": "adam", "é": -0.0}
    found = read(json.dumps(values))
    assert found == values
    assert list(found) == list(values)
    assert [type(value) for value in found.values()] == [int, float, bool, str, float]


def test_a_trial_without_the_file_has_no_hyperparameters(trial):
    assert read_hyperparameters(trial) == {}


def test_an_empty_object_has_no_hyperparameters(read):
    assert read("{}") == {}


def test_null_is_left_out(read):
    assert read('{"clip": null, "lr": 0.1}') == {"lr": 0.1}


def test_a_byte_order_mark_is_ignored(read):
    assert read(b'\xef\xbb\xbf{"lr": 1}') == {"lr": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ('{"lr": 0.1', "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ('{"n": 1' + "0" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ("[1, 2]", "expected a JSON object .* found a list"),
        ('"lr"', "found a text"),
        ("NaN", "found nan"),
        ("null", "found None"),
        ('{"betas": [0.9, 0.99]}', "hyperparameter 'betas': .* found a list"),
        ('{"optimizer": {"lr": 1}}', "hyperparameter 'optimizer': .* found an object"),
        ('{"lr": NaN}', "hyperparameter 'lr': expected a finite number"),
        ('{"lr": -Infinity}', "hyperparameter 'lr': expected a finite number"),
        ('{"lr": 1e999}', "hyperparameter 'lr': expected a finite number"),
        ('{"lr": 1' + "0" * 400 + "}", "hyperparameter 'lr': expected a finite number"),
        ('"' + "x" * MAX_BYTES + '"', "more than the 1,048,576"),
    ],
)
def test_what_is_no_table_of_values_is_refused(read, content, message):
    with pytest.raises(LogError, match=rf"hparams\.json: .*{message}"):
        read(content)


def test_a_folder_of_that_name_is_refused(trial):
    trial.path.with_name("hparams.json").mkdir()
    with pytest.raises(LogError, match=r"hparams\.json: .*not a regular file"):
        read_hyperparameters(trial)


def test_published_hyperparameters_are_read(published_logs):
    root = published_logs("algoperf-v0.6")
    path = next(iter(sorted(root.glob("shampoo/study_0/ogbg_*/trial_1")))) / "eval_measurements.csv"
    nothing = np.zeros(0)
    found = read_hyperparameters(Trial("study_0", 1, "jax", nothing, nothing, path))
    assert found == json.loads(path.with_name("hparams.json").read_text())
    assert isinstance(found["learning_rate"], float)
