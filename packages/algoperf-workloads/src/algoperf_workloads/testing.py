"""Conformance: what every workload must satisfy, as checks that any package can run on its own.

    from algoperf_workloads.testing import CHECKS, Subject

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check, subject):
        check(subject)

`check_workload` runs them all and reports every failure. They need JAX and PyTorch.
"""
# ruff: noqa: S101 (checks assert: that is what they are for)

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from algoperf_core.spec import ForwardPassMode, LossType, ParameterType, ShapeTuple
from algoperf_scoring import BenchmarkWorkload
from algoperf_workloads.batches import Batch, map_arrays, named_arrays
from algoperf_workloads.data_checks import (
    check_batches_of_workers_and_ranks,
    check_compiles_once,
    check_dense_labels,
    check_dropout_is_random,
    check_padding_changes_nothing,
    check_passes_do_not_wait,
    same_arrays,
    to_numpy,
)
from algoperf_workloads.definition import WorkloadDefinition
from algoperf_workloads.parity import load_flax_variables, torch_arrays
from algoperf_workloads.store import Array

TRAIN, EVAL = ForwardPassMode.TRAIN, ForwardPassMode.EVAL
# Seeds over which initial values of a parameter are pooled.
_DRAWS = 4
TORCH_RNG = np.array([11, 7], np.int32)


def available_compile_backend() -> str:
    """The best backend of `torch.compile` that works on the CPU of this machine."""
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    found = any(shutil.which(compiler) for compiler in compilers if compiler)
    return "inductor" if found else "aot_eager"


@dataclass
class Subject:
    """A workload under test, in both frameworks, with the same parameters.

    Args:
        definition: The workload.
        goal: A goal for it.
        data_dir: Where its data are, or will be prepared.
        batch_size: Number of examples that passes are compared on.
        rtol: Largest difference of two values, relative to the largest value of their array.
        compile_backend: Backend of `torch.compile`; by default `inductor`, which training uses, or where it
            has no C++ compiler `aot_eager`, which traces the same graphs.
    """

    definition: WorkloadDefinition
    goal: BenchmarkWorkload
    data_dir: str
    batch_size: int = 16
    rtol: float = 2e-5
    compile_backend: str = field(default_factory=available_compile_backend)
    _torch_models: list[Any] = field(default_factory=list, repr=False)

    @cached_property
    def jax(self) -> Any:
        """The workload in JAX."""
        return self.definition.create("jax", self.goal)

    @cached_property
    def torch(self) -> Any:
        """The workload in PyTorch."""
        return self.definition.create("pytorch", self.goal)

    @cached_property
    def variables(self) -> tuple[Any, Any]:
        """Parameters and model state in JAX, the state after one training pass.

        Parameters are moved away from where they start: a layer that starts as zero hides all before it.
        """
        import jax

        params, state = self.jax.init_model_fn(jax.random.key(11))
        noise = np.random.default_rng(11)
        params = jax.tree.map(
            lambda leaf: leaf + 0.05 * noise.standard_normal(leaf.shape, np.float32), params
        )
        _, state = self.jax.model_fn(
            params, self.jax_batch, state, TRAIN, _jax_key(), True, **self.no_dropout
        )
        return params, state

    def torch_model(self) -> Any:
        """A PyTorch module with the same parameters and statistics, fresh at each call."""
        model, _ = self.torch.init_model_fn(TORCH_RNG)
        params, state = self.variables
        load_flax_variables(model, params, state, self.definition.model.module_names)
        return model

    @cached_property
    def batch(self) -> Batch:
        """A training batch in NumPy."""
        return _numpy_batch(self.jax_batch)

    @cached_property
    def jax_batch(self) -> Any:
        """The same training batch in JAX."""
        return next(self.jax._build_input_queue(7, "train", self.data_dir, self.batch_size))

    @cached_property
    def torch_batch(self) -> Any:
        """The same training batch in PyTorch."""
        return next(self.torch._build_input_queue(7, "train", self.data_dir, self.batch_size))

    @property
    def no_dropout(self) -> dict[str, float]:
        """Keyword argument of `model_fn` that makes training passes deterministic."""
        return {"dropout_rate": 0.0}

    def agree(self, what: str, first: Any, second: Any, least_scale: float = 1e-3) -> None:
        """Asserts that two arrays, or two tuples of arrays, agree up to rounding.

        Args:
            what: What is compared, for the message.
            first: An array of either framework, or a tuple of such.
            second: An array of the same shape, or a tuple of as many.
            least_scale: Arrays with smaller values are compared as if they were of this scale.
        """
        ours, theirs = named_arrays(first, what), named_arrays(second, what)
        assert ours.keys() == theirs.keys(), f"{what}: {len(ours)} and {len(theirs)} arrays"
        for name, array in ours.items():
            self._agree(name, to_numpy(array), to_numpy(theirs[name]), least_scale)

    def _agree(self, what: str, first: Array, second: Array, least_scale: float) -> None:
        assert first.shape == second.shape, f"{what}: shapes {first.shape} and {second.shape}"
        scale = float(np.abs(second).max(initial=0.0))
        difference = float(np.abs(first - second).max(initial=0.0))
        assert difference <= self.rtol * max(scale, least_scale), (
            f"{what}: differ by {difference:.3g}, values are up to {scale:.3g} (rtol {self.rtol:g})"
        )


Check = Callable[[Subject], None]


def check_workload(
    definition: WorkloadDefinition,
    goal: BenchmarkWorkload,
    data_dir: str,
    checks: Sequence[Check] | None = None,
    **options: Any,
) -> list[str]:
    """Runs conformance checks on a workload.

    Args:
        definition: The workload.
        goal: A goal for it.
        data_dir: Where its data are, or will be prepared.
        checks: Which checks; None runs all.
        options: Further arguments of `Subject`.

    Returns:
        Names of the checks that were run.

    Raises:
        AssertionError: One or more checks failed; the message lists them all.
    """
    subject = Subject(definition, goal, data_dir, **options)
    chosen = CHECKS if checks is None else tuple(checks)
    failures = []
    for check in chosen:
        try:
            check(subject)
        except AssertionError as error:
            failures.append(f"{check.__name__}: {error}{_meaning(check)}")
        except Exception as error:  # a check that cannot even run must not hide the others
            failures.append(f"{check.__name__}: {type(error).__name__}: {error}{_meaning(check)}")
    if failures:
        raise AssertionError(
            f"{definition.name} fails {len(failures)} of {len(chosen)} checks:\n"
            + "\n".join(failures)
        )
    return [check.__name__ for check in chosen]


def _meaning(check: Check) -> str:
    return f"\n    what must hold: {(check.__doc__ or '').strip()}"


def check_facts(subject: Subject) -> None:
    """Names and sizes agree with the goal and with the data."""
    definition, goal = subject.definition, subject.goal
    assert definition.name == goal.name, f"named {definition.name!r}, the goal is for {goal.name!r}"
    assert goal.metric in definition.metrics.names, f"no metric {goal.metric!r} for the target"
    assert isinstance(definition.loss_type, LossType)
    assert "\n" not in definition.summary, "the summary is more than one line"
    assert definition.summary, "the summary is empty"
    dataset = definition.dataset
    splits = dataset.open(subject.data_dir).splits
    for split, size in dataset.sizes().items():
        found = len(dataset.examples(splits, split))
        assert found == size, f"split {split!r} has {found} examples, declared are {size}"


def check_parameters(subject: Subject) -> None:
    """Shapes and types are trees like the parameters; some belong to the output layer."""
    import jax

    params, _ = subject.variables
    model = subject.torch_model()
    trees: list[tuple[Any, dict[str, Any]]] = [
        (subject.jax, _by_path(params)),
        (subject.torch, dict(model.named_parameters())),
    ]
    assert jax.tree.structure(subject.jax.model_params_types) == jax.tree.structure(params)
    for workload, leaves in trees:
        shapes, types = _by_path(workload.param_shapes), _by_path(workload.model_params_types)
        assert shapes == {name: ShapeTuple(leaf.shape) for name, leaf in leaves.items()}
        assert types.keys() == leaves.keys()
        assert all(isinstance(kind, ParameterType) for kind in types.values())
        top_level = {path.split("/")[0] for path in leaves}
        output = {key for key in top_level if workload.is_output_params(key)}
        assert output, f"{workload.framework}: no parameter belongs to the output layer"
        assert output != top_level, (
            f"{workload.framework}: all parameters belong to the output layer"
        )
    expected = {name: array.shape for name, array in torch_arrays(params, _names(subject)).items()}
    assert expected == {name: tuple(leaf.shape) for name, leaf in trees[1][1].items()}


def check_parameter_types_agree(subject: Subject) -> None:
    """A parameter has the same type in both frameworks."""
    params, _ = subject.variables
    subject.torch_model()
    numbers = {kind: np.float32(kind.value) for kind in ParameterType}
    types = _by_path(subject.jax.model_params_types)
    leaves = {
        path: np.full(leaf.shape, numbers[types[path]]) for path, leaf in _by_path(params).items()
    }
    for path, array in leaves.items():
        named = torch_arrays(_nested(path, array), _names(subject))
        for name, filled in named.items():
            jax_type = ParameterType(int(filled.flat[0]))
            torch_type = subject.torch.model_params_types[name]
            assert jax_type == torch_type, f"{path} is {jax_type.name}, {name} is {torch_type.name}"


def check_initialisation_is_deterministic(subject: Subject) -> None:
    """One key gives the same parameters twice; another key gives others."""
    import jax

    def jax_parameters(seed: int) -> list[Array]:
        params, _ = subject.jax.init_model_fn(jax.random.key(seed))
        return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]

    def torch_parameters(seed: int) -> list[Array]:
        model, _ = subject.torch.init_model_fn(np.array([seed, 0], np.int32))
        return [to_numpy(parameter) for parameter in model.parameters()]

    for draw in (jax_parameters, torch_parameters):
        assert _identical(draw(3), draw(3)), f"{draw.__name__}: one key, different parameters"
        assert not _identical(draw(3), draw(4)), f"{draw.__name__}: two keys, the same parameters"


def check_initialisation_agrees(subject: Subject) -> None:
    """Parameters start from one distribution in both frameworks: the same means and deviations."""
    import jax

    drawn: dict[str, tuple[list[Array], list[Array]]] = {}
    for seed in range(_DRAWS):
        params, _ = subject.jax.init_model_fn(jax.random.key(seed))
        model, _ = subject.torch.init_model_fn(np.array([seed, 0], np.int32))
        ours = torch_arrays(params, _names(subject))
        for name, parameter in model.named_parameters():
            pair = drawn.setdefault(name, ([], []))
            pair[0].append(ours[name].ravel())
            pair[1].append(to_numpy(parameter).ravel())
    for name, pair in drawn.items():
        first, second = (np.concatenate(values).astype(np.float64) for values in pair)
        spread = max(first.std(), second.std())
        # Five standard errors of a difference, for values that are about normal.
        error = 5 / math.sqrt(len(first))
        for what, ours, theirs, allowed in (
            ("mean", first.mean(), second.mean(), math.sqrt(2) * error * spread),
            ("standard deviation", first.std(), second.std(), error * spread),
        ):
            assert abs(ours - theirs) <= allowed + 1e-6, (
                f"{name} starts with {what} {ours:.3g} in jax, {theirs:.3g} in pytorch"
            )


def check_training_batches(subject: Subject) -> None:
    """Batches have the declared arrays, are the same in both frameworks, and their position restores."""
    arrays, batch = named_arrays(subject.definition.dataset.arrays), named_arrays(subject.batch)
    assert batch.keys() == arrays.keys(), (
        f"batches hold {sorted(batch)}, declared are {sorted(arrays)}"
    )
    for key, expected in arrays.items():
        found = batch[key]
        assert found.shape == (subject.batch_size, *expected.shape), (
            f"{key} has shape {found.shape}"
        )
        assert found.dtype == expected.dtype, f"{key} has type {found.dtype}"
    queues = [
        workload._build_input_queue(
            np.array([1, 2], np.int32), "train", subject.data_dir, subject.batch_size
        )
        for workload in (subject.jax, subject.torch)
    ]
    assert next(queues[0]).keys() == next(queues[1]).keys()
    position = json.loads(json.dumps(queues[0].get_state()))
    batches = [tuple(_numpy_batch(next(queue)) for _ in range(3)) for queue in queues]
    assert same_arrays(*batches), "the frameworks train on different batches"
    queues[0].set_state(position)
    again = tuple(_numpy_batch(next(queues[0])) for _ in range(3))
    assert same_arrays(again, batches[0]), "the position was not restored"


def check_evaluation_batches(subject: Subject) -> None:
    """Every example of a split has weight 1 once, whatever the batch size; padding has weight 0."""
    sizes = subject.definition.dataset.sizes()
    for split in [name for name in sizes if name != "train"]:
        for batch_size in (sizes[split] // 3 + 1, sizes[split]):
            for workload in (subject.jax, subject.torch):
                queue = workload._build_input_queue(0, split, subject.data_dir, batch_size)
                weights = np.concatenate([to_numpy(batch["weights"]) for batch in queue])
                assert set(np.unique(weights)) <= {0.0, 1.0}
                assert weights.sum() == sizes[split], (
                    f"{split}: {weights.sum()} of {sizes[split]} examples"
                )


def check_forward_agrees(subject: Subject) -> None:
    """Logits of TRAIN and EVAL passes, and batch statistics, agree between the frameworks."""
    params, state = subject.variables
    for mode, update in ((EVAL, False), (TRAIN, False), (TRAIN, True)):
        model = subject.torch_model()
        ours, new_state = subject.jax.model_fn(
            params, subject.jax_batch, state, mode, _jax_key(), update, **subject.no_dropout
        )
        theirs, _ = subject.torch.model_fn(
            model, subject.torch_batch, None, mode, TORCH_RNG, update, **subject.no_dropout
        )
        subject.agree(f"logits, {mode.name}, update_batch_norm={update}", theirs, ours)
        buffers = dict(model.named_buffers())
        for collection in (new_state or {}).values():
            for name, array in torch_arrays(collection, _names(subject)).items():
                subject.agree(
                    f"{name}, {mode.name}, update_batch_norm={update}", buffers[name], array
                )


def check_loss_agrees(subject: Subject) -> None:
    """The loss agrees between the frameworks, with and without mask and label smoothing."""
    import torch

    params, state = subject.variables
    logits, _ = subject.jax.model_fn(params, subject.jax_batch, state, EVAL, _jax_key(), False)
    mask = np.arange(subject.batch_size) % 3 > 0
    for weights in (None, mask.astype(np.float32)):
        for smoothing in (0.0, 0.1):
            ours = subject.jax.loss_fn(subject.jax_batch["targets"], logits, weights, smoothing)
            theirs = subject.torch.loss_fn(
                subject.torch_batch["targets"],
                map_arrays(
                    lambda array: torch.from_numpy(np.array(array)).to(subject.torch.device),
                    logits,
                ),
                None if weights is None else torch.from_numpy(weights).to(subject.torch.device),
                smoothing,
            )
            for key in ("summed", "n_valid_examples", "per_example"):
                subject.agree(f"loss {key!r}, label smoothing {smoothing}", theirs[key], ours[key])


def check_gradients_agree(subject: Subject) -> None:
    """Gradients of a training pass agree between the frameworks, leaf by leaf."""
    import jax

    params, _ = subject.variables
    gradient = torch_arrays(
        jax.jit(jax.grad(lambda p: _jax_loss(subject, p)))(params), _names(subject)
    )
    model = subject.torch_model()
    _torch_loss(subject, model).backward()
    # Some gradients are zero but for rounding, such as that of a bias before a batch norm.
    scale = max(float(np.abs(array).max()) for array in gradient.values())
    for name, parameter in model.named_parameters():
        subject.agree(f"gradient of {name}", parameter.grad, gradient[name], scale)


def check_batch_norm_switch(subject: Subject) -> None:
    """Without `update_batch_norm` nothing changes; with it TRAIN updates; EVAL refuses it."""
    params, state = subject.variables
    _, kept = subject.jax.model_fn(params, subject.jax_batch, state, TRAIN, _jax_key(), False)
    assert _identical(_arrays(kept), _arrays(state)), (
        "jax: update_batch_norm=False changed the state"
    )
    model = subject.torch_model()
    before = [to_numpy(buffer) for buffer in model.buffers()]
    subject.torch.model_fn(model, subject.torch_batch, None, TRAIN, TORCH_RNG, False)
    subject.torch.model_fn(model, subject.torch_batch, None, EVAL, TORCH_RNG, False)
    after = [to_numpy(buffer) for buffer in model.buffers()]
    assert _identical(before, after), "pytorch: update_batch_norm=False changed the buffers"
    for workload, parameters, batch, rng in (
        (subject.jax, params, subject.jax_batch, _jax_key()),
        (subject.torch, model, subject.torch_batch, TORCH_RNG),
    ):
        try:
            workload.model_fn(parameters, batch, state, EVAL, rng, True)
        except ValueError:
            continue
        raise AssertionError(
            f"{workload.framework}: EVAL with update_batch_norm=True must raise ValueError"
        )


def check_dropout_rate(subject: Subject) -> None:
    """A dropout rate given per call changes TRAIN passes if the model has dropout, and EVAL never."""
    has_dropout = subject.definition.model.dropout_rate is not None
    params, state = subject.variables
    for workload, parameters, batch, rng in (
        (subject.jax, params, subject.jax_batch, _jax_key()),
        (subject.torch, subject.torch_model(), subject.torch_batch, TORCH_RNG),
    ):
        for mode in (TRAIN, EVAL):
            logits = [
                workload.model_fn(parameters, batch, state, mode, rng, False, dropout_rate=rate)[0]
                for rate in (0.0, 0.5)
            ]
            expected = has_dropout and mode is TRAIN
            assert same_arrays(*logits) != expected, (
                f"{workload.framework}, {mode.name}: dropout_rate {'is ignored' if expected else 'matters'}"
            )


def check_evaluation_is_exact(subject: Subject) -> None:
    """An evaluation equals a loop over single examples, for any batch size, in both frameworks."""
    params, state = subject.variables
    expected = _one_by_one(subject, params, state)
    model = subject.torch_model()
    size = subject.definition.dataset.num_validation_examples
    for batch_size in (subject.definition.eval_batch_size, max(size // 3, 1)):
        for workload, parameters in ((subject.jax, params), (subject.torch, model)):
            found = workload.eval_model(batch_size, parameters, state, _jax_key(), subject.data_dir)
            for name, value in expected.items():
                subject.agree(
                    f"{workload.framework} validation/{name}, batch size {batch_size}",
                    np.array(found[f"validation/{name}"]),
                    np.array(value),
                )


def check_jit(subject: Subject) -> None:
    """A pass with its loss can be traced, dropout rate and label smoothing included."""
    import jax

    params, state = subject.variables

    def loss(
        params: Any, state: Any, batch: Any, rng: Any, dropout_rate: Any, smoothing: Any
    ) -> Any:
        logits, new_state = subject.jax.model_fn(
            params, batch, state, TRAIN, rng, update_batch_norm=True, dropout_rate=dropout_rate
        )
        losses = subject.jax.loss_fn(batch["targets"], logits, batch.get("weights"), smoothing)
        return losses["summed"], new_state

    arguments = (params, state, subject.jax_batch, _jax_key(), np.float32(0.2), np.float32(0.1))
    traced, plain = jax.jit(loss)(*arguments), loss(*arguments)
    for first, second in zip(_arrays(traced), _arrays(plain), strict=True):
        subject.agree("jitted pass", first, second)


def check_torch_compile(subject: Subject) -> None:
    """A compiled module computes the same, in TRAIN with either batch-norm switch and in EVAL."""
    import torch

    # Graphs of other models of the same class would count towards the limit on recompilations.
    torch.compiler.reset()
    model, reference = subject.torch_model(), subject.torch_model()
    compiled = torch.compile(model, backend=subject.compile_backend)
    for mode, update in ((TRAIN, True), (TRAIN, False), (EVAL, False)):
        found, expected = (
            subject.torch.model_fn(
                module, subject.torch_batch, None, mode, TORCH_RNG, update, dropout_rate=0.0
            )
            for module in (compiled, reference)
        )
        subject.agree(f"compiled logits, {mode.name}, update={update}", found[0], expected[0])
    for name, buffer in reference.named_buffers():
        subject.agree(f"compiled {name}", dict(model.named_buffers())[name], buffer)
    _torch_loss(subject, compiled).backward()
    _torch_loss(subject, reference).backward()
    scale = max(float(parameter.grad.abs().max()) for parameter in reference.parameters())
    for found, expected in zip(model.parameters(), reference.parameters(), strict=True):
        subject.agree("compiled gradient", found.grad, expected.grad, scale)


CHECKS: tuple[Check, ...] = (
    check_facts,
    check_parameters,
    check_parameter_types_agree,
    check_initialisation_is_deterministic,
    check_initialisation_agrees,
    check_training_batches,
    check_evaluation_batches,
    check_batches_of_workers_and_ranks,
    check_forward_agrees,
    check_loss_agrees,
    check_gradients_agree,
    check_dense_labels,
    check_batch_norm_switch,
    check_dropout_rate,
    check_dropout_is_random,
    check_padding_changes_nothing,
    check_passes_do_not_wait,
    check_evaluation_is_exact,
    check_compiles_once,
    check_jit,
    check_torch_compile,
)
"""All checks, from the cheapest to the most expensive."""


def _jax_loss(subject: Subject, params: Any) -> Any:
    _, state = subject.variables
    batch = subject.jax_batch
    logits, _ = subject.jax.model_fn(
        params, batch, state, TRAIN, _jax_key(), True, **subject.no_dropout
    )
    return subject.jax.loss_fn(batch["targets"], logits)["summed"] / subject.batch_size


def _torch_loss(subject: Subject, model: Any) -> Any:
    batch = subject.torch_batch
    logits, _ = subject.torch.model_fn(
        model, batch, None, TRAIN, TORCH_RNG, True, **subject.no_dropout
    )
    return subject.torch.loss_fn(batch["targets"], logits)["summed"] / subject.batch_size


def _one_by_one(subject: Subject, params: Any, state: Any) -> dict[str, float]:
    import jax

    def sums(batch: Any) -> Any:
        logits, _ = subject.jax.model_fn(params, batch, state, EVAL, None, False)
        loss = subject.jax.loss_fn(batch["targets"], logits, batch["weights"])
        collect = subject.jax._collect
        variables = {"params": params, **(state or {})}
        forward = partial(subject.jax._module.apply, variables, train=False)
        outputs = {} if collect is None else collect(forward, logits, batch)
        return subject.jax._metric_sums(logits, batch, loss), outputs

    compiled = jax.jit(sums)
    dataset = subject.definition.dataset
    examples = dataset.examples(dataset.open(subject.data_dir).splits, "validation")
    singles, collected = [], []
    for row in range(len(examples)):
        batch = {"weights": np.ones(1, np.float32), **dataset.preprocess(examples[[row]])}
        single, outputs = compiled(batch)
        singles.append(single)
        collected += [jax.device_get(outputs)] if outputs else []
    metrics = subject.definition.metrics
    totals = {name: math.fsum(float(one[name]) for one in singles) for name in metrics.sum_names}
    return metrics.compute(totals, len(examples), collected)


def _names(subject: Subject) -> Mapping[str, str]:
    return subject.definition.model.module_names


def _jax_key() -> Any:
    import jax

    return jax.random.key(5)


def _numpy_batch(batch: Mapping[str, Any]) -> Batch:
    on_host: Batch = map_arrays(to_numpy, batch)
    return on_host


def _arrays(tree: Any) -> list[Array]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def _identical(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _by_path(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _by_path(value, f"{prefix}/{key}" if prefix else key)
    return leaves


def _nested(path: str, leaf: Any) -> Any:
    for key in reversed(path.split("/")):
        leaf = {key: leaf}
    return leaf
