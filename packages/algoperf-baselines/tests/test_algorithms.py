"""Every algorithm in every framework, trained through the submission API on a small problem."""

import copy
import importlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import optax
import pytest
import torch

from algoperf_core import Submission, spec
from algoperf_core.errors import SubmissionError
from algoperf_core.sources import find_submission, load
from algoperf_core.tuning import hyperparameters as as_hyperparameters
from algoperf_core.tuning import load_search_space

ALGORITHMS = ("adamw", "nadamw", "nesterov")
EVERY_ALGORITHM = pytest.mark.parametrize("algorithm", ALGORITHMS)
EVERY_FRAMEWORK = pytest.mark.parametrize("framework", spec.FRAMEWORKS)
STATE_TREES_OVER_PARAMS = {"adamw": 2, "nadamw": 2, "nesterov": 1}


def module_of(algorithm: str, framework: str) -> Any:
    return importlib.import_module(f"algoperf_baselines.{algorithm}.submission_{framework}")


class Training:
    """What a trial does with a submission, without the clock; iterating makes one step.

    Args:
        algorithm: Name of the algorithm.
        workload: Regression in the framework to train in.
        point: Hyperparameters.
    """

    def __init__(self, algorithm: str, workload: Any, point: SimpleNamespace) -> None:
        framework = "jax" if type(workload).__name__ == "JaxRegression" else "pytorch"
        self.submission: Submission = module_of(algorithm, framework).submission
        self.workload, self.point, self.rng = workload, point, jax.random.key(0)
        self.params, self.model_state = workload.init_model_fn(self.rng)
        self.optimizer_state = self.submission.init_optimizer_state(
            workload, self.params, self.model_state, point, self.rng
        )
        batch_size = self.submission.get_batch_size(workload.name)
        self.input_queue = workload._build_input_queue(self.rng, "train", "", batch_size)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        global_step = 0
        while True:
            batch = self.submission.data_selection(
                self.workload,
                self.input_queue,
                self.optimizer_state,
                self.params,
                self.model_state,
                self.point,
                global_step,
                self.rng,
            )
            self.optimizer_state, self.params, self.model_state = self.submission.update_params(
                workload=self.workload,
                current_param_container=self.params,
                current_params_types=None,
                model_state=self.model_state,
                hyperparameters=self.point,
                batch=batch,
                loss_type=self.workload.loss_type,
                optimizer_state=self.optimizer_state,
                eval_results=[],
                global_step=global_step,
                rng=self.rng,
            )
            global_step += 1
            yield self.workload.arrays(self.params)

    def run(self, steps: int) -> list[dict[str, np.ndarray]]:
        """The parameters after each of the next steps."""
        return [params for _, params in zip(range(steps), self, strict=False)]


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_converges(algorithm, framework, make_workload, hyperparameters):
    workload = make_workload(framework, 120)
    training = Training(algorithm, workload, hyperparameters(algorithm))
    before = workload.distance(training.params)
    training.run(120)
    assert workload.distance(training.params) < 0.02 * before


@EVERY_ALGORITHM
@pytest.mark.parametrize("changes", [{}, {"grad_clip": 0.5}, {"warmup_factor": 0.0}])
def test_jax_and_pytorch_follow_the_same_trajectory(
    algorithm, changes, make_workload, hyperparameters
):
    point = hyperparameters(algorithm, **changes)
    # Past the horizon, too.
    steps = [Training(algorithm, make_workload(f, 30), point).run(40) for f in spec.FRAMEWORKS]
    for in_jax, in_pytorch in zip(*steps, strict=True):
        for name, leaf in in_jax.items():
            np.testing.assert_allclose(leaf, in_pytorch[name], rtol=1e-4, atol=1e-5)


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_first_update_of_a_warmup_changes_nothing(
    algorithm, framework, make_workload, hyperparameters
):
    workload = make_workload(framework, 20)
    training = Training(algorithm, workload, hyperparameters(algorithm))
    start = workload.arrays(training.params)
    first, second = training.run(2)
    np.testing.assert_array_equal(first["kernel"], start["kernel"])
    assert np.all(second["kernel"] != start["kernel"])


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_dropout_rate_reaches_the_model(algorithm, framework, make_workload, hyperparameters):
    workload = make_workload(framework, 10)
    Training(algorithm, workload, hyperparameters(algorithm, dropout_rate=0.3)).run(1)
    assert set(workload.passes) == {0.3}


@EVERY_ALGORITHM
def test_second_step_does_not_recompile(algorithm, make_workload, hyperparameters):
    workload = make_workload("jax", 10)
    training = Training(algorithm, workload, hyperparameters(algorithm))
    training.run(1)
    compilations: list[str] = []

    def count(event: str, duration_secs: float, **kwargs: Any) -> None:
        if "compile" in event:
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        training.run(4)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert compilations == []
    assert len(workload.passes) == 1


@EVERY_ALGORITHM
def test_state_is_a_pytree_over_the_parameters(algorithm, make_workload, hyperparameters):
    params, _ = make_workload("jax", 10).init_model_fn(None)
    optimizer = module_of(algorithm, "jax").optimizer(hyperparameters(algorithm), 10)
    state = optimizer.init(params)
    mapped: list[tuple[int, ...]] = []
    optax.tree_utils.tree_map_params(optimizer, lambda leaf: mapped.append(leaf.shape), state)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    assert mapped == shapes * STATE_TREES_OVER_PARAMS[algorithm]
    jax.tree.map(np.testing.assert_array_equal, jax.jit(lambda tree: tree)(state), state)


@EVERY_ALGORITHM
def test_training_continues_from_state_dicts(algorithm, make_workload, hyperparameters):
    point = hyperparameters(algorithm)
    whole = Training(algorithm, make_workload("pytorch", 12), point)
    whole.run(5)
    saved = copy.deepcopy(
        {
            "model": whole.params.state_dict(),
            "optimizer": whole.optimizer_state["optimizer"].state_dict(),
            "scheduler": whole.optimizer_state["scheduler"].state_dict(),
        }
    )
    resumed = Training(algorithm, make_workload("pytorch", 12), point)
    resumed.params.load_state_dict(saved["model"])
    resumed.optimizer_state["optimizer"].load_state_dict(saved["optimizer"])
    resumed.optimizer_state["scheduler"].load_state_dict(saved["scheduler"])
    for _ in range(5):
        next(resumed.input_queue)
    for expected, actual in zip(whole.run(7), resumed.run(7), strict=True):
        np.testing.assert_equal(actual, expected)


@EVERY_ALGORITHM
def test_state_dicts_hold_plain_values_and_tensors(algorithm, make_workload, hyperparameters):
    training = Training(algorithm, make_workload("pytorch", 12), hyperparameters(algorithm))
    training.run(2)
    state = training.optimizer_state
    for leaf in leaves([state["optimizer"].state_dict(), state["scheduler"].state_dict()]):
        assert isinstance(leaf, torch.Tensor | bool | int | float | str | None)
        assert type(leaf).__module__ != "numpy"


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield tree


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_workload_without_step_hint_is_refused(
    algorithm, framework, make_workload, hyperparameters
):
    with pytest.raises(SubmissionError, match="step_hint is not given"):
        Training(algorithm, make_workload(framework, None), hyperparameters(algorithm))


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_batch_size_of_an_unlisted_variant_is_left_to_its_base(algorithm, framework):
    get_batch_size = module_of(algorithm, framework).submission.get_batch_size
    assert get_batch_size("imagenet_vit") == 1024
    assert get_batch_size("imagenet_resnet_silu") == 512
    with pytest.raises(ValueError, match="imagenet_vit_glu"):
        get_batch_size("imagenet_vit_glu")


@EVERY_ALGORITHM
@EVERY_FRAMEWORK
def test_harness_trains_any_point_of_the_search_space(algorithm, framework, make_workload):
    source = find_submission(algorithm)
    assert load(source, framework) is module_of(algorithm, framework).submission
    for point in load_search_space(source.search_space).points(3):
        training = Training(algorithm, make_workload(framework, 100), as_hyperparameters(point))
        assert all(np.isfinite(leaf).all() for leaf in training.run(3)[-1].values())
