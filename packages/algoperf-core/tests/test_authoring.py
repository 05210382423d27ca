"""What `from_optax` and `from_torch` do without the author writing a training step."""

import inspect

import numpy as np
import pytest

from algoperf_core import decay_groups, decay_mask, ema, from_optax, from_torch, latest, uniform
from algoperf_core.errors import SubmissionError
from algoperf_core.spec import ForwardPassMode, ParameterType
from algoperf_core.submission import PREPARE_KEYWORDS, UPDATE_KEYWORDS
from algoperf_core.tuning import hyperparameters

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")
jnp = jax.numpy

FRAMEWORKS = ("jax", "pytorch")
EVERY_FRAMEWORK = pytest.mark.parametrize("framework", FRAMEWORKS)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def agree(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], err_msg=name, **CLOSE)


# Every feature in both frameworks: (hyperparameters, options of the builder).
FEATURES = {
    "plain": ({}, {}),
    "label_smoothing": ({"label_smoothing": 0.2}, {}),
    "grad_clip": ({"grad_clip": 0.05}, {}),
    "grad_clip_value": ({"grad_clip_value": 0.02}, {}),
    "both_clips": ({"grad_clip_value": 0.02, "grad_clip": 0.05}, {}),
    "micro_batches": ({}, {"micro_batches": 4}),
    "sam": ({}, {"sam_rho": 0.2}),
    "sam_in_parts": ({"grad_clip": 0.1}, {"sam_rho": 0.2, "micro_batches": 2}),
    "ema": ({}, {"average": ema(0.8)}),
    "uniform": ({}, {"average": uniform(start=2)}),
    "latest": ({}, {"average": latest(2, every=2)}),
    "everything": (
        {"grad_clip": 0.1, "label_smoothing": 0.1},
        {"average": ema(0.8, start=1, every=2), "sam_rho": 0.1, "micro_batches": 4},
    ),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_jax_and_pytorch_train_and_evaluate_alike(make_trial, feature):
    point, options = FEATURES[feature]
    ours, theirs = (make_trial(name, point, valid=50, **options) for name in FRAMEWORKS)
    for step in range(8):
        agree(ours.step(), theirs.step())
        if step in (0, 3, 4) and options.get("average"):
            agree(ours.prepare(), theirs.prepare())
    assert ours.logged == pytest.approx(theirs.logged, rel=1e-4)


@pytest.mark.parametrize("feature", [name for name in FEATURES if name != "plain"])
def test_feature_changes_training_or_evaluation(make_trial, feature):
    point, options = FEATURES[feature]
    plain = make_trial("jax").step(8)
    trial = make_trial("jax", point, **options)
    arrays = trial.step(8)
    if "average" in options:
        arrays = trial.prepare()
    assert not np.allclose(arrays["head.kernel"], plain["head.kernel"], **CLOSE) or (
        feature == "micro_batches"
        and not np.allclose(arrays["norm.var"], plain["norm.var"], **CLOSE)
    )


@pytest.mark.parametrize("feature", FEATURES)
def test_jax_compiles_the_step_once(make_trial, feature):
    point, options = FEATURES[feature]
    trial = make_trial("jax", point, **options)
    trial.step()
    traced = len(trial.workload.passes)
    if "average" in options:
        trial.prepare()
    compilations = []

    def count(event, duration_secs, **facts):
        if "compile" in event:
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        for _ in range(3):
            trial.state, trial.params, trial.model_state = trial.submission.update_params(
                **trial._facts(), batch=next(trial.queue)
            )
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert compilations == []
    assert len(trial.workload.passes) == traced


@EVERY_FRAMEWORK
def test_functions_are_called_as_the_harness_calls_them(framework):
    submission = {
        "jax": lambda: from_optax(lambda h, s: None, batch_size=8, average=ema(0.9)),
        "pytorch": lambda: from_torch(lambda p, h, s: None, batch_size=8),
    }[framework]()
    keywords = inspect.signature(submission.update_params).parameters
    assert tuple(keywords) == UPDATE_KEYWORDS
    assert set(inspect.signature(submission.prepare_for_eval).parameters) == set(PREPARE_KEYWORDS)


@EVERY_FRAMEWORK
def test_dropout_rate_reaches_the_model(make_trial, framework):
    trial = make_trial(framework, {"dropout_rate": 0.3})
    trial.step()
    assert trial.workload.passes == [(ForwardPassMode.TRAIN, True, 0.3)]


@EVERY_FRAMEWORK
def test_value_clip_bounds_every_element(make_trial, framework):
    trial = make_trial(framework, {"grad_clip_value": 0.001, "learning_rate": 1.0})
    start = trial.arrays()
    moved = [np.abs(array - start[name]) for name, array in trial.step().items()]
    largest = max(
        array.max()
        for array, name in zip(moved, start, strict=True)
        if "mean" not in name and "var" not in name
    )
    assert largest == pytest.approx(0.001, rel=1e-3)


# Hyperparameters that a point lacks.


@EVERY_FRAMEWORK
def test_defaults_fill_in_what_a_point_lacks(make_trial, framework):
    explicit = make_trial(framework, {"grad_clip": 0.05})
    default = make_trial(framework, defaults={"grad_clip": 0.05, "learning_rate": 1e9})
    agree(default.step(3), explicit.step(3))


@EVERY_FRAMEWORK
def test_defaults_are_all_there_is_in_the_self_tuning_ruleset(small_net, make_trial, framework):
    expected = make_trial(framework, {"label_smoothing": 0.1}).step(3)
    factory = {
        "jax": lambda h, steps: optax.sgd(h.learning_rate),
        "pytorch": lambda p, h, steps: torch.optim.SGD(p, h.learning_rate),
    }[framework]
    build = {"jax": from_optax, "pytorch": from_torch}[framework]
    net = {"jax": small_net.JaxSmallNet, "pytorch": small_net.TorchSmallNet}[framework]
    defaults = {"label_smoothing": 0.1, "learning_rate": 0.5}
    trial = small_net.Trial(build(factory, batch_size=64, defaults=defaults), net(), None)
    agree(trial.step(3), expected)


# Weight decay.

DECAY, RATE = 0.1, 0.5


def jax_decay(h, step_hint, parameter_types):
    mask = decay_mask(parameter_types)
    return optax.chain(optax.add_decayed_weights(DECAY, mask), optax.sgd(h.learning_rate))


def torch_decay(parameters, h, step_hint, parameter_types):
    return torch.optim.SGD(decay_groups(parameters, parameter_types, DECAY), h.learning_rate)


def test_only_weights_decay_in_both_frameworks(make_trial):
    factories = {"jax": jax_decay, "pytorch": torch_decay}
    trials = [make_trial(name, optimizer=factory) for name, factory in factories.items()]
    start = trials[0].arrays()
    plain, *decayed = make_trial("jax").step(), *(trial.step() for trial in trials)
    agree(*decayed)
    for name, array in decayed[0].items():
        shrunk = RATE * DECAY * start[name] if "kernel" in name else 0.0
        np.testing.assert_allclose(plain[name] - array, shrunk, err_msg=name, **CLOSE)


def test_types_of_a_wrapped_module_are_found_by_its_own_names(make_trial):
    from algoperf_core.torch_submission import types_by_parameter

    trial = make_trial("pytorch")
    wrapped = torch.nn.Sequential()
    wrapped.add_module("module", torch.nn.Sequential())
    wrapped.module.add_module("_orig_mod", trial.params)
    types = types_by_parameter(trial.workload, wrapped)
    assert types == types_by_parameter(trial.workload, trial.params)
    assert types[trial.params.norm.scale] is ParameterType.BATCH_NORM_SCALE


def test_mask_leaves_out_what_it_is_told_to():
    types = {
        "a": {"w": ParameterType.WEIGHT, "b": ParameterType.BIAS},
        "e": ParameterType.EMBEDDING,
    }
    assert decay_mask(types) == {"a": {"w": True, "b": False}, "e": True}
    assert decay_mask(types, {ParameterType.EMBEDDING}) == {"a": {"w": True, "b": True}, "e": False}
    assert decay_mask({}) == {}


def test_groups_without_parameters_are_left_out():
    weight = torch.nn.Parameter(torch.zeros(2))
    groups = decay_groups([weight], {weight: ParameterType.WEIGHT}, 0.1)
    assert groups == [{"params": [weight], "weight_decay": 0.1}]


def test_parameter_without_a_type_is_refused():
    with pytest.raises(
        SubmissionError, match=r"parameter of shape \(2, 3\) is not in parameter_types"
    ):
        decay_groups([torch.nn.Parameter(torch.zeros(2, 3))], {}, 0.1)


# Sharpness-aware minimisation.


def loss_of(params, batch):
    hidden = jnp.tanh(
        (batch["inputs"] @ params["hidden"]["kernel"] + params["hidden"]["bias"])
        * params["norm"]["scale"]
        + params["norm"]["bias"]
    )
    logits = hidden @ params["head"]["kernel"] + params["head"]["bias"]
    log_probabilities = jax.nn.log_softmax(logits)[jnp.arange(64), batch["targets"]]
    return -(log_probabilities * batch["weights"]).sum() / batch["weights"].sum()


@EVERY_FRAMEWORK
def test_sam_is_the_step_written_by_hand(small_net, make_trial, framework):
    trial = make_trial(framework, batch_norm=False, valid=50, sam_rho=lambda h, steps: 0.3)
    params, rows = small_net.initial_params(), small_net.batches(64, 50)
    for _ in range(3):
        batch = next(rows)
        gradient = jax.grad(loss_of)(params, batch)
        norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
        neighbour = jax.tree.map(lambda p, g: p + 0.3 * g / norm, params, gradient)  # noqa: B023
        gradient = jax.grad(loss_of)(neighbour, batch)
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradient)
        agree(trial.step(), small_net.flat(params))


@EVERY_FRAMEWORK
def test_second_pass_of_sam_leaves_batch_statistics_alone(make_trial, framework):
    plain, sam = make_trial(framework), make_trial(framework, sam_rho=0.5)
    first, second = plain.step(), sam.step()
    for name in ("norm.mean", "norm.var"):
        np.testing.assert_array_equal(first[name], second[name])
    assert [update for _, update, _ in sam.workload.passes] == [True, False]


@EVERY_FRAMEWORK
@pytest.mark.parametrize("rho", [0.0, -1.0])
def test_radius_of_sam_is_above_zero(make_trial, framework, rho):
    with pytest.raises(SubmissionError, match="sam_rho is"):
        make_trial(framework, sam_rho=rho)


@EVERY_FRAMEWORK
def test_function_may_switch_sam_off(make_trial, framework):
    agree(
        make_trial(framework, sam_rho=lambda h, steps: None).step(2), make_trial(framework).step(2)
    )


# Optimizers that want the loss, its gradient or more passes.


def nested(arrays):
    tree = {}
    for name, array in arrays.items():
        part, _, leaf = name.partition(".")
        tree.setdefault(part, {})[leaf] = array
    return tree


def backtracking():
    return optax.chain(optax.sgd(5.0), optax.scale_by_backtracking_linesearch(20))


@pytest.mark.parametrize(
    ("optimizer", "count", "steps"),
    [(optax.lbfgs, 1, 15), (backtracking, 1, 60), (backtracking, 4, 60)],
)
def test_optax_line_searches_converge(make_trial, optimizer, count, steps):
    trial = make_trial(
        "jax", batch_norm=False, micro_batches=count, optimizer=lambda h, horizon: optimizer()
    )
    batch = next(trial.queue)
    trial.queue = iter(lambda: batch, None)
    trial.step(steps)
    assert float(loss_of(trial.params, batch)) < 0.03


@pytest.mark.parametrize("count", [1, 4])
def test_torch_lbfgs_gets_its_closure_and_converges(make_trial, count):
    trial = make_trial(
        "pytorch",
        batch_norm=False,
        micro_batches=count,
        optimizer=lambda p, h, steps: torch.optim.LBFGS(p, line_search_fn="strong_wolfe"),
    )
    batch = next(trial.queue)
    trial.queue = iter(lambda: batch, None)
    trial.step(4)
    assert len(trial.workload.passes) > 4 * count
    assert len(trial.recorder.scalars) == 1
    arrays = {name: array.numpy() for name, array in batch.items()}
    assert float(loss_of(nested(trial.arrays()), arrays)) < 0.01


def test_closure_updates_batch_statistics_once(make_trial):
    trial = make_trial("pytorch", optimizer=lambda p, h, steps: torch.optim.LBFGS(p, max_iter=5))
    trial.step()
    updates = [update for _, update, _ in trial.workload.passes]
    assert updates[0]
    assert len(updates) > 1
    assert not any(updates[1:])


def test_closure_can_be_asked_for(make_trial):
    calls = []

    class Twice(torch.optim.SGD):
        def step(self, closure=None):
            calls.append(closure)
            return super().step(closure)

    make_trial("pytorch", optimizer=lambda p, h, s: Twice(p, h.learning_rate)).step()
    asked = make_trial("pytorch", optimizer=lambda p, h, s: Twice(p, h.learning_rate), closure=True)
    agree(asked.step(), make_trial("pytorch").step())
    assert calls[0] is None
    assert callable(calls[1])


def test_sam_with_a_closure_is_refused(make_trial):
    with pytest.raises(SubmissionError, match="does not go with an optimizer that takes a closure"):
        make_trial("pytorch", sam_rho=0.1, optimizer=lambda p, h, s: torch.optim.LBFGS(p))


def recording_optimizer(names, seen):
    def init(params):
        return optax.EmptyState()

    def note(updates, state, params, extra):
        seen.update(extra)
        return jax.tree.map(lambda g: -0.1 * g, updates), state

    update = {
        "all": lambda updates, state, params=None, **extra: note(updates, state, params, extra),
        "value": lambda updates, state, params=None, *, value: note(
            updates, state, params, {"value": value}
        ),
        "grad_fn": lambda updates, state, params=None, *, grad_fn: note(
            updates, state, params, {"grad_fn": grad_fn(params, 0)}
        ),
    }[names]
    return optax.GradientTransformationExtraArgs(init, update)


@pytest.mark.parametrize(
    ("names", "expected"),
    [("all", {"value", "grad", "value_fn"}), ("value", {"value"}), ("grad_fn", {"grad_fn"})],
)
def test_optax_optimizer_gets_the_extra_arguments_that_it_accepts(make_trial, names, expected):
    seen = {}
    make_trial("jax", optimizer=lambda h, s: recording_optimizer(names, seen)).step()
    assert seen.keys() == expected


def test_extra_gradient_is_the_one_before_clipping(make_trial):
    norms = {}

    def init(params):
        return {"clipped": jnp.zeros(()), "whole": jnp.zeros(())}

    def update(updates, state, params=None, *, grad, **extra):
        state = {"clipped": optax.tree.norm(updates), "whole": optax.tree.norm(grad)}
        return updates, state

    trial = make_trial(
        "jax",
        {"grad_clip": 0.01},
        optimizer=lambda h, s: optax.GradientTransformationExtraArgs(init, update),
    )
    trial.step()
    norms = trial.state[0].optimizer
    assert float(norms["clipped"]) == pytest.approx(0.01, rel=1e-3)
    assert float(norms["whole"]) == pytest.approx(trial.logged["grad_norm"], rel=1e-5)


def test_optax_sam_computes_its_own_second_gradient(make_trial):
    def optimizer(h, steps):
        ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.2))
        return optax.contrib.sam(optax.sgd(h.learning_rate), ascent, opaque_mode=True)

    theirs = make_trial("jax", batch_norm=False, optimizer=optimizer)
    ours = make_trial("jax", batch_norm=False, sam_rho=0.2)
    agree(theirs.step(3), ours.step(3))


# Parameters that are evaluated.


def averages(rows, averaging, start, every, kept=0):
    """Averages after each update, recomputed in NumPy from all parameters."""
    for updates in range(1, len(rows) + 1):
        samples = rows[start + every - 1 : updates : every]
        if not samples:
            yield rows[updates - 1]
            continue
        samples = samples[-kept:] if kept else samples
        weights = np.ones(len(samples))
        if averaging == "ema":
            weights = 0.2 * 0.8 ** np.arange(len(samples))[::-1]
        yield {
            name: np.average([row[name] for row in samples], axis=0, weights=weights)
            for name in samples[0]
        }


@EVERY_FRAMEWORK
@pytest.mark.parametrize(
    ("averaging", "kind", "start", "every", "kept"),
    [
        (ema(0.8), "ema", 0, 1, 0),
        (ema(0.8, start=2, every=3), "ema", 2, 3, 0),
        (uniform(), "uniform", 0, 1, 0),
        (uniform(start=4), "uniform", 4, 1, 0),
        (uniform(start=1, every=2), "uniform", 1, 2, 0),
        (latest(3), "uniform", 0, 1, 3),
        (latest(2, start=1, every=2), "uniform", 1, 2, 2),
    ],
)
def test_average_is_the_one_of_all_parameters_so_far(
    make_trial, framework, averaging, kind, start, every, kept
):
    trial = make_trial(framework, average=averaging)
    plain = make_trial(framework)
    rows = [plain.step() for _ in range(10)]
    for expected in averages(rows, kind, start, every, kept):
        trial.step()
        agree(trial.prepare(), expected)


@EVERY_FRAMEWORK
@pytest.mark.parametrize("averaging", [ema(0.9), uniform(start=3), latest(2)])
def test_training_goes_on_as_if_nothing_had_been_evaluated(make_trial, framework, averaging):
    plain = make_trial(framework)
    trial = make_trial(framework, average=averaging)
    for step in range(8):
        expected, found = plain.step(), trial.step()
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-6, atol=1e-7)
        if step % 2:
            once = trial.prepare()
            agree(trial.prepare(), once)


@EVERY_FRAMEWORK
def test_average_may_depend_on_hyperparameters_and_horizon(make_trial, framework):
    told = []

    def average(h, step_hint):
        told.append((h.learning_rate, step_hint))
        return ema(0.8) if h.learning_rate > 1 else None

    plain, trial = make_trial(framework), make_trial(framework, average=average)
    expected = plain.step(3)
    trial.step(3)
    agree(trial.prepare(), expected)
    assert told == [(0.5, 40)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ema(1.0), "decay must lie between 0 and 1"),
        (lambda: ema(0.9, every=0), "every=0, allowed 1 or more"),
        (lambda: uniform(start=-1), "start=-1, allowed 0 or more"),
        (lambda: latest(0), "at least 1 sample"),
    ],
)
def test_averages_that_make_no_sense_are_refused(make, message):
    with pytest.raises(SubmissionError, match=message):
        make()


@EVERY_FRAMEWORK
def test_something_else_for_an_average_is_refused(make_trial, framework):
    with pytest.raises(SubmissionError, match=r"average gives 0.9; it must be ema"):
        make_trial(framework, average=0.9)


def test_torch_average_continues_from_its_state_dict(make_trial):
    averaging = latest(2, start=1)
    whole = make_trial("pytorch", average=averaging)
    whole.step(3)
    whole.prepare()
    resumed = make_trial("pytorch", average=averaging)
    resumed.params.load_state_dict(whole.params.state_dict())
    resumed.state["average"].load_state_dict(whole.state["average"].state_dict())
    for trial in (whole, resumed):
        trial.queue = trial.workload._build_input_queue(None, "train", "", 64)
        trial.step(2)
    agree(resumed.prepare(), whole.prepare())


def test_jax_state_keeps_its_structure_and_is_made_of_arrays(make_trial):
    for options in ({}, {"average": latest(2)}, {"eval_params": lambda state, params: params}):
        trial = make_trial("jax", **options)
        structure = jax.tree.structure(trial.state[0])
        trial.step()
        assert jax.tree.structure(trial.state[0]) == structure
        if options:
            trial.prepare()
        assert jax.tree.structure(trial.state[0]) == structure
        assert all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(trial.state[0]))


def test_schedule_free_evaluates_other_parameters_than_it_trains(make_trial):
    def optimizer(h, steps):
        return optax.contrib.schedule_free_sgd(h.learning_rate, b1=0.9)

    options = {"optimizer": optimizer, "batch_norm": False}
    trial = make_trial("jax", eval_params=optax.contrib.schedule_free_eval_params, **options)
    plain = make_trial("jax", **options)
    trained, expected = trial.step(5), plain.step(5)
    evaluated = trial.prepare()
    agree(trial.prepare(), evaluated)
    x = optax.contrib.schedule_free_eval_params(plain.state[0].optimizer, plain.params)
    agree(evaluated, plain.workload.arrays(x, None))
    assert not np.allclose(evaluated["head.kernel"], trained["head.kernel"], **CLOSE)
    agree(trained, expected)
    agree(trial.step(2), plain.step(2))


def test_average_and_eval_params_exclude_each_other():
    with pytest.raises(SubmissionError, match="either average or eval_params"):
        from_optax(lambda h, s: None, batch_size=8, average=ema(0.9), eval_params=lambda s, p: p)


def test_torch_optimizer_with_modes_is_switched(make_trial):
    class Modes(torch.optim.SGD):
        mode = "new"

        def train(self):
            self.mode = "train"

        def eval(self):
            self.mode = "eval"

    trial = make_trial("pytorch", optimizer=lambda p, h, s: Modes(p, h.learning_rate))
    optimizer = trial.state["optimizer"]
    for _ in range(2):
        trial.step()
        assert optimizer.mode == "train"
        trial.prepare()
        assert optimizer.mode == "eval"


@EVERY_FRAMEWORK
def test_nothing_to_prepare_changes_nothing(make_trial, framework):
    trial = make_trial(framework)
    arrays = trial.step(2)
    if trial.submission.prepare_for_eval is None:
        assert framework == "jax"
        return
    agree(trial.prepare(), arrays)


def test_point_is_handed_over_as_it_is():
    from algoperf_core.gradient_options import GradientOptions, with_defaults

    point = hyperparameters({"learning_rate": 1.0, "label_smoothing": 0.1})
    assert with_defaults(point, None) is point
    assert GradientOptions.of(None) == GradientOptions()
    assert GradientOptions.of(point) == GradientOptions(label_smoothing=0.1)
