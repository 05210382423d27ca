"""`from_optax` and `from_torch`: complete submissions, the same function in both frameworks."""

import numpy as np
import pytest

from algoperf_core import from_optax, from_torch
from algoperf_core.backends import load_backend
from algoperf_core.registry import workload_provider
from algoperf_core.testing import FakeClock, MemoryRecorder
from algoperf_core.tuning import hyperparameters

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")
replicate = pytest.importorskip("algoperf_core.sharding").replicate

POINT = {"learning_rate": 0.05, "momentum": 0.9}
STEPS = 20


def jax_submission():
    return from_optax(lambda h, steps: optax.sgd(h.learning_rate, h.momentum), batch_size=64)


def torch_submission():
    return from_torch(
        lambda parameters, h, steps: torch.optim.SGD(parameters, h.learning_rate, h.momentum),
        batch_size=64,
    )


def train(framework, submission, goal, point=None, weights=None):
    """Losses of the logged steps and the final weights, from given initial weights."""
    workload = workload_provider("toy").create(framework, goal)
    backend = load_backend(framework)
    recorder = MemoryRecorder(FakeClock())
    workload.attach_metrics_logger(recorder)
    point = hyperparameters(point or POINT)
    params, model_state = workload.init_model_fn(backend.key(0))
    weights = np.linspace(-1, 1, 16, dtype=np.float32) if weights is None else weights
    if framework == "jax":
        params = replicate({"w": jax.numpy.asarray(weights)})
    else:
        params.weight.data = torch.from_numpy(weights.copy())[None]
    state = submission.init_optimizer_state(workload, params, model_state, point, None)
    queue = workload._build_input_queue(None, "train", "", 64)
    for step in range(STEPS):
        batch = submission.data_selection(workload, queue, state, params, None, point, step, None)
        state, params, model_state = submission.update_params(
            workload=workload,
            current_param_container=params,
            current_params_types=workload.model_params_types,
            model_state=model_state,
            hyperparameters=point,
            batch=batch,
            loss_type=workload.loss_type,
            optimizer_state=state,
            eval_results=[],
            global_step=step,
            rng=backend.key(step),
        )
    final = params["w"] if framework == "jax" else params.weight.detach()[0]
    (logged,) = recorder.scalars
    return {name: float(value) for name, value in logged[1].items()}, np.asarray(final)


def test_both_frameworks_train_alike(plugin, goal):
    jax_logged, jax_weights = train("jax", jax_submission(), goal)
    torch_logged, torch_weights = train("pytorch", torch_submission(), goal)
    np.testing.assert_allclose(jax_weights, torch_weights, rtol=1e-5, atol=1e-6)
    assert jax_logged == pytest.approx(torch_logged, rel=1e-5)
    assert not np.allclose(jax_weights, np.linspace(-1, 1, 16))


def test_loss_is_the_mean_over_the_batch(plugin, goal):
    logged, _ = train("jax", jax_submission(), goal)
    batch = {
        name: np.asarray(values)
        for name, values in next(
            workload_provider("toy").create("jax", goal)._build_input_queue(None, "train", "", 64)
        ).items()
    }
    residual = batch["inputs"] @ np.linspace(-1, 1, 16, dtype=np.float32) - batch["targets"]
    gradient = 2 * batch["inputs"].T @ residual / 64
    assert logged["loss"] == pytest.approx(np.mean(residual**2), rel=1e-5)
    assert logged["grad_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


@pytest.mark.parametrize("framework", ["jax", "pytorch"])
def test_gradient_clipping_follows_the_hyperparameter(plugin, goal, framework):
    submission = {"jax": jax_submission, "pytorch": torch_submission}[framework]()
    _, free = train(framework, submission, goal)
    _, clipped = train(framework, submission, goal, POINT | {"grad_clip": 0.01, "momentum": 0.0})
    start = np.linspace(-1, 1, 16, dtype=np.float32)
    assert np.linalg.norm(clipped - start) <= STEPS * 0.05 * 0.01 * (1 + 1e-4)
    assert np.linalg.norm(free - start) > 0.1


def test_clipping_is_the_same_in_both_frameworks(plugin, goal):
    point = POINT | {"grad_clip": 0.5}
    _, jax_weights = train("jax", jax_submission(), goal, point)
    _, torch_weights = train("pytorch", torch_submission(), goal, point)
    np.testing.assert_allclose(jax_weights, torch_weights, rtol=1e-5, atol=1e-6)


def test_scheduler_is_stepped_after_each_update(plugin, goal):
    def optimizer(parameters, h, step_hint):
        sgd = torch.optim.SGD(parameters, h.learning_rate)
        return sgd, torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: float(step < 1))

    submission = from_torch(optimizer, batch_size=64)
    start = np.zeros(16, dtype=np.float32)
    _, weights = train("pytorch", submission, goal, weights=start)
    once = from_optax(
        lambda h, steps: optax.sgd(lambda step: h.learning_rate * (step < 1)), batch_size=64
    )
    _, expected = train("jax", once, goal, weights=start)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)


def test_optimizer_is_told_the_step_hint(plugin, goal):
    told = []

    def optimizer(h, step_hint):
        told.append(step_hint)
        return optax.sgd(h.learning_rate)

    train("jax", from_optax(optimizer, batch_size=64), goal)
    assert told == [50]


def test_steps_compile_once(plugin, goal):
    traced = []

    def optimizer(h, step_hint):
        sgd = optax.sgd(h.learning_rate)

        def update(*arguments):
            traced.append(1)
            return sgd.update(*arguments)

        return optax.GradientTransformation(sgd.init, update)

    train("jax", from_optax(optimizer, batch_size=64), goal)
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("given", "name", "size"),
    [(8, "any", 8), ({"a": 4}, "a", 4), (lambda name: len(name), "abc", 3)],
)
def test_batch_size_is_a_number_a_table_or_a_function(given, name, size):
    assert from_optax(lambda h, steps: None, batch_size=given).get_batch_size(name) == size


def test_batch_size_table_refuses_unknown_names_so_that_the_base_is_asked():
    submission = from_optax(lambda h, steps: None, batch_size={"a": 4})
    with pytest.raises(ValueError, match="no batch size for workload 'b'; known: a"):
        submission.get_batch_size("b")
