"""What an installation shows: search spaces, summaries, entry points, examples, lazy imports."""

import doctest
import importlib
import json
import subprocess
import sys
from importlib import metadata, resources

import pytest

ALGORITHMS = ("adamw", "nadamw", "nesterov")


def log_range(smallest: float, largest: float) -> dict:
    return {"min": smallest, "max": largest, "scaling": "log"}


def points(*values: float) -> dict:
    return {"feasible_points": list(values)}


REGULARISERS = {"label_smoothing": points(0.1, 0.2), "dropout_rate": points(0.0, 0.1)}
PUBLISHED = {
    "adamw": {
        "learning_rate": log_range(1e-4, 1e-2),
        "one_minus_beta1": log_range(2e-2, 0.5),
        "beta2": points(0.999),
        "warmup_factor": points(0.05),
        "weight_decay": log_range(5e-3, 1.0),
        **REGULARISERS,
    },
    "nadamw": {
        "learning_rate": log_range(1e-4, 1e-2),
        "one_minus_beta1": log_range(4e-3, 0.1),
        "beta2": points(0.999),
        "warmup_factor": points(0.05),
        "weight_decay": log_range(5e-3, 1.0),
        **REGULARISERS,
    },
    "nesterov": {
        "learning_rate": log_range(2e-2, 5.0),
        "one_minus_beta1": log_range(5e-3, 0.3),
        "warmup_factor": points(0.05),
        "weight_decay": log_range(1e-7, 5e-5),
        **REGULARISERS,
        "decay_steps_factor": points(0.9),
        "end_factor": points(1e-3, 1e-2),
    },
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_search_space_is_the_published_one(algorithm):
    folder = resources.files(f"algoperf_baselines.{algorithm}")
    space = json.loads(folder.joinpath("tuning_search_space.json").read_text(encoding="utf-8"))
    assert space == PUBLISHED[algorithm]
    # Samplers draw hyperparameters in the order of the file.
    assert list(space) == list(PUBLISHED[algorithm])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm_is_registered_as_a_submission(algorithm):
    (entry_point,) = metadata.entry_points(group="algoperf.submissions", name=algorithm)
    folder = resources.files(entry_point.load())
    for framework in ("jax", "pytorch"):
        assert folder.joinpath(f"submission_{framework}.py").is_file()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_docstring_begins_with_a_summary_of_one_line(algorithm):
    summary, blank, *_ = importlib.import_module(f"algoperf_baselines.{algorithm}").__doc__.split(
        "\n"
    )
    assert summary.endswith(".")
    assert len(summary) <= 100
    assert blank == ""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_importing_an_algorithm_imports_no_framework(algorithm):
    code = (
        f"import sys, algoperf_baselines.{algorithm}, algoperf_baselines.batch_sizes, "
        "algoperf_baselines.horizon; print({'jax', 'torch', 'optax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "module", ["horizon", "nadamw.submission_jax", "nadamw.submission_pytorch"]
)
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(importlib.import_module(f"algoperf_baselines.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
