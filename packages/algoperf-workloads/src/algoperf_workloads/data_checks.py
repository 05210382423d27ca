"""Conformance of a workload's data and evaluation: what `testing` checks besides agreement of frameworks."""
# ruff: noqa: S101 (checks assert: that is what they are for)

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from algoperf_core.spec import ForwardPassMode, LossType
from algoperf_workloads.batches import Batch, map_arrays, named_arrays
from algoperf_workloads.columns import Array, Examples
from algoperf_workloads.pipeline import InputQueue, TrainingBatches, evaluation_batches, pad_batch

if TYPE_CHECKING:
    from algoperf_workloads.testing import Subject

TRAIN, EVAL = ForwardPassMode.TRAIN, ForwardPassMode.EVAL
_STEPS = 3
# PyTorch's own loss copies the lengths of its sequences to the host.
_INEVITABLE = ("aten._ctc_loss.Tensor",)


def check_batches_of_workers_and_ranks(subject: Subject) -> None:
    """Worker processes and ranks that share out the rows see the batches of a single process."""
    dataset = subject.definition.dataset
    source = _training_batches(subject)
    numbers = (0, 1, source.batches_per_epoch)
    expected = tuple(source[number] for number in numbers)
    assert same_arrays(expected, tuple(_training_batches(subject)[number] for number in numbers)), (
        "one seed gives different batches"
    )
    try:
        # This file's own objects, not somebody's file.
        copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(
            f"the data's functions cannot be sent to worker processes: {error}; define them in a module"
        ) from error
    assert same_arrays(expected, tuple(copy[number] for number in numbers)), (
        "a copy gives different batches"
    )
    shares = [_training_batches(subject, (rank, 2)) for rank in range(2)]
    for number, batch in zip(numbers, expected, strict=True):
        parts = [share[number] for share in shares]
        joined = map_arrays(lambda *arrays: np.concatenate(arrays), *parts)
        assert same_arrays(batch, joined), f"batch {number} differs where two ranks share its rows"
    if dataset.workers:
        queue = InputQueue(source, lambda batch: batch, workers=dataset.workers)
        try:
            found = tuple(next(queue) for _ in range(2))
        finally:
            queue.close()
        assert same_arrays(expected[:2], found), "worker processes give different batches"


def check_padding_changes_nothing(subject: Subject) -> None:
    """A batch with rows of padding has the loss and the metrics of the same batch without."""
    import jax

    params, state = subject.variables
    rows = max(min(subject.batch_size, subject.definition.dataset.num_validation_examples) - 1, 1)
    batch = _validation_batch(subject, rows)

    def measure(batch: Any) -> Any:
        logits, _ = subject.jax.model_fn(params, batch, state, EVAL, None, False)
        loss = subject.jax.loss_fn(batch["targets"], logits, batch["weights"])
        sums = subject.jax._metric_sums(logits, batch, loss)
        named = {name: sums[name] for name in subject.definition.metrics.sum_names}
        return named | {key: loss[key] for key in ("summed", "n_valid_examples")}

    compiled = jax.jit(measure)
    plain, padded = compiled(batch), compiled(pad_batch(batch, rows + 3))
    for name, value in plain.items():
        subject.agree(f"jax {name} with 3 rows of padding", padded[name], value)


def check_dense_labels(subject: Subject) -> None:
    """Softmax cross-entropy takes classes and distributions over them alike."""
    if subject.definition.loss_type is not LossType.SOFTMAX_CROSS_ENTROPY:
        return
    targets = subject.batch["targets"]
    params, state = subject.variables
    logits, _ = subject.jax.model_fn(params, subject.jax_batch, state, EVAL, None, False)
    if not np.issubdtype(targets.dtype, np.integer) or targets.ndim != logits.ndim - 1:
        return
    import torch

    dense = np.eye(logits.shape[-1], dtype=np.float32)[targets]
    tensor = torch.from_numpy(np.array(logits)).to(subject.torch.device)
    for smoothing in (0.0, 0.1):
        for workload, outputs, place in (
            (subject.jax, logits, np.asarray),
            (
                subject.torch,
                tensor,
                lambda array: torch.from_numpy(np.array(array)).to(tensor.device),
            ),
        ):
            first, second = (
                workload.loss_fn(place(labels), outputs, None, smoothing)["per_example"]
                for labels in (targets, dense)
            )
            what = f"{workload.framework} loss of dense labels, label smoothing {smoothing}"
            subject.agree(what, second, first)


def check_compiles_once(subject: Subject) -> None:
    """In JAX, training steps of successive batches and evaluations of all splits compile once each."""
    import jax

    params, state = subject.variables
    compilations = {}
    for mode, update in ((TRAIN, True), (EVAL, False)):

        def loss(batch: Any, key: Any, mode: Any = mode, update: bool = update) -> Any:
            logits, new_state = subject.jax.model_fn(params, batch, state, mode, key, update)
            return subject.jax.loss_fn(batch["targets"], logits)["summed"], new_state

        compiled = jax.jit(loss)
        queue = subject.jax._build_input_queue(3, "train", subject.data_dir, subject.batch_size)
        for step in range(_STEPS):
            compiled(next(queue), jax.random.key(step))
        compilations[f"a {mode.name} pass"] = compiled._cache_size()
    workload: Any = subject.definition.create("jax", subject.goal)
    for _ in range(2):
        size = subject.definition.eval_batch_size
        workload.eval_model(size, params, state, None, subject.data_dir)
    compilations["an evaluation"] = workload._add_sums._cache_size()
    for what, count in compilations.items():
        assert count == 1, f"{what} was compiled {count} times for batches of one size"


def check_dropout_is_random(subject: Subject) -> None:
    """Dropout depends on the key in TRAIN passes, on nothing else, and is off in EVAL."""
    if subject.definition.model.dropout_rate is None:
        return
    import jax
    import torch

    params, state = subject.variables
    model = subject.torch_model()

    def jax_pass(mode: ForwardPassMode, seed: int) -> Any:
        key = jax.random.key(seed)
        return subject.jax.model_fn(
            params, subject.jax_batch, state, mode, key, False, dropout_rate=0.5
        )[0]

    def torch_pass(mode: ForwardPassMode, seed: int) -> Any:
        torch.manual_seed(seed)
        return subject.torch.model_fn(
            model, subject.torch_batch, None, mode, None, False, dropout_rate=0.5
        )[0]

    for framework, forward in (("jax", jax_pass), ("pytorch", torch_pass)):
        drawn = [forward(TRAIN, seed) for seed in (1, 1, 2)]
        assert same_arrays(drawn[0], drawn[1]), f"{framework}: one key, different dropout"
        assert not same_arrays(drawn[0], drawn[2]), f"{framework}: two keys, the same dropout"
        evaluated = [forward(EVAL, seed) for seed in (1, 2)]
        assert same_arrays(*evaluated), f"{framework}: EVAL passes depend on the key"


def check_passes_do_not_wait(subject: Subject) -> None:
    """No pass, loss or metric reads a value of the device, which would make the host wait in every step."""
    import jax
    import torch

    params, state = subject.variables
    model = subject.torch_model()
    weights = np.ones(subject.batch_size, np.float32)
    jax_batch = {"weights": weights, **subject.jax_batch}
    placed = torch.from_numpy(weights).to(subject.torch.device)
    torch_batch = {"weights": placed, **subject.torch_batch}
    for mode, update in ((TRAIN, True), (EVAL, False)):

        def jax_loss(params: Any, batch: Any, mode: Any = mode, update: bool = update) -> Any:
            key = jax.random.key(0)
            logits, _ = subject.jax.model_fn(params, batch, state, mode, key, update)
            loss = subject.jax.loss_fn(batch["targets"], logits)
            return loss["summed"], subject.jax._metric_sums(logits, batch, loss)

        try:
            program = str(jax.make_jaxpr(jax_loss)(params, jax_batch))
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            summary = str(error).partition("\n")[0]
            raise AssertionError(f"jax, {mode.name}: reads a value: {summary}") from error
        assert "callback" not in program, f"jax, {mode.name}: calls back to the host"

        def torch_pass(mode: Any = mode, update: bool = update) -> None:
            logits, _ = subject.torch.model_fn(model, torch_batch, None, mode, None, update)
            loss = subject.torch.loss_fn(torch_batch["targets"], logits)
            subject.torch._metric_sums(logits, torch_batch, loss)

        read = _value_read(torch_pass)
        assert read is None, f"pytorch, {mode.name}: reads a value: {read}"


def _value_read(function: Callable[[], None]) -> str | None:
    """The PyTorch operation whose result the host has to wait for; None where there is none.

    Tensors without content stand in for those of the function, so that nothing can be read.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            function()
    except RuntimeError as error:
        read = str(error).partition("\n")[0]
        return None if read in _INEVITABLE else read
    return None


def _training_batches(subject: Subject, part: tuple[int, int] = (0, 1)) -> TrainingBatches:
    dataset = subject.definition.dataset
    examples = dataset.examples(dataset.open(subject.data_dir).splits, "train")
    size = subject.batch_size - subject.batch_size % 2
    return TrainingBatches(dataset, examples, batch_size=size, seed=(5, 6), part=part)


def _validation_batch(subject: Subject, rows: int) -> Batch:
    dataset = subject.definition.dataset
    stored = dataset.open(subject.data_dir).splits["validation"]
    examples = Examples(stored, np.arange(rows))
    return next(evaluation_batches(dataset, examples, batch_size=rows))


def same_arrays(first: Any, second: Any) -> bool:
    """Whether two batches, or two values of one, hold the same names and numbers."""
    ours, theirs = (named_arrays(tree) for tree in (first, second))
    return ours.keys() == theirs.keys() and all(
        np.array_equal(to_numpy(array), to_numpy(theirs[name])) for name, array in ours.items()
    )


def to_numpy(array: Any) -> Array:
    """A copy on the host of an array of either framework."""
    return np.array(array.detach().cpu().numpy() if hasattr(array, "detach") else array)
