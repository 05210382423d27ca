"""A linear regression as a workload of the submission API, in both frameworks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from algoperf_core import spec
from algoperf_core.sharding import replicate, shard_batch
from algoperf_scoring import BenchmarkWorkload

FEATURES, OUTPUTS, BATCH = 6, 3, 16


class Regression(spec.Workload):
    """Mean squared error of `inputs @ kernel + bias`, whose solution is exact.

    Args:
        step_hint: What schedules plan for.
    """

    loss_type = spec.LossType.MEAN_SQUARED_ERROR
    num_train_examples = num_eval_train_examples = num_validation_examples = BATCH
    num_test_examples = None
    eval_batch_size = BATCH

    def __init__(self, step_hint: int | None) -> None:
        super().__init__(
            BenchmarkWorkload(
                name="digits",
                metric="loss",
                direction="minimize",
                validation_target=0.0,
                step_hint=step_hint,
            )
        )
        self.passes: list[float | None] = []
        rng = np.random.default_rng(1)
        self._start = _draw(rng, kernel=(FEATURES, OUTPUTS), bias=(OUTPUTS,))
        self._solution = _draw(rng, kernel=(FEATURES, OUTPUTS), bias=(OUTPUTS,))

    def is_output_params(self, param_key: spec.ParameterKey) -> bool:
        return param_key == "kernel"

    def loss_fn(
        self,
        label_batch: Any,
        logits_batch: Any,
        mask_batch: Any = None,
        label_smoothing: float = 0.0,
    ) -> dict[str, Any]:
        per_example = ((logits_batch - label_batch) ** 2).sum(-1) * mask_batch
        return {
            "summed": per_example.sum(),
            "n_valid_examples": mask_batch.sum(),
            "per_example": per_example,
        }

    def _build_input_queue(self, *args: Any, **kwargs: Any) -> Any:
        rng = np.random.default_rng(2)
        while True:
            inputs = rng.standard_normal((BATCH, FEATURES)).astype(np.float32)
            targets = inputs @ self._solution["kernel"] + self._solution["bias"]
            weights = (np.arange(BATCH) < rng.integers(BATCH // 2, BATCH)).astype(np.float32)
            yield self.on_device({"inputs": inputs, "targets": targets, "weights": weights})

    def _eval_model_on_split(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        raise NotImplementedError

    def on_device(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        raise NotImplementedError

    def arrays(self, params: Any) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def distance(self, params: Any) -> float:
        """Root of the summed squared distance between parameters and solution."""
        arrays = self.arrays(params)
        gaps = [arrays[name] - self._solution[name] for name in self._solution]
        return float(np.sqrt(sum((gap**2).sum() for gap in gaps)))


def _draw(rng: np.random.Generator, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}


class JaxRegression(Regression):
    def init_model_fn(self, rng: Any) -> Any:
        params = replicate(jax.tree.map(jnp.array, self._start))
        self._param_shapes = jax.tree.map(lambda leaf: spec.ShapeTuple(leaf.shape), params)
        return params, None

    def model_fn(
        self,
        params: Any,
        augmented_and_preprocessed_input_batch: Mapping[str, Any],
        model_state: Any,
        mode: spec.ForwardPassMode,
        rng: Any,
        update_batch_norm: bool,
        dropout_rate: float | None = None,
    ) -> Any:
        self.passes.append(dropout_rate)
        inputs = augmented_and_preprocessed_input_batch["inputs"]
        return inputs @ params["kernel"] + params["bias"], model_state

    def on_device(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return shard_batch(batch)

    def arrays(self, params: Any) -> dict[str, np.ndarray]:
        return {name: np.array(leaf) for name, leaf in params.items()}


class TorchRegression(Regression):
    def init_model_fn(self, rng: Any) -> Any:
        model = torch.nn.Module()
        for name, value in self._start.items():
            model.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))
        return model, None

    def model_fn(
        self,
        params: Any,
        augmented_and_preprocessed_input_batch: Mapping[str, Any],
        model_state: Any,
        mode: spec.ForwardPassMode,
        rng: Any,
        update_batch_norm: bool,
        dropout_rate: float | None = None,
    ) -> Any:
        self.passes.append(dropout_rate)
        inputs = augmented_and_preprocessed_input_batch["inputs"]
        return inputs @ params.kernel + params.bias, model_state

    def on_device(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def arrays(self, params: Any) -> dict[str, np.ndarray]:
        return {name: p.detach().numpy().copy() for name, p in params.named_parameters()}


@pytest.fixture
def make_workload() -> Callable[[str, int | None], Regression]:
    """`(framework, step_hint)` to a fresh workload; both frameworks have equal start and data."""
    kinds = {"jax": JaxRegression, "pytorch": TorchRegression}
    return lambda framework, step_hint: kinds[framework](step_hint)


@pytest.fixture
def hyperparameters() -> Callable[..., SimpleNamespace]:
    """A point for the regression, with changes: `hyperparameters("adamw", warmup_factor=0.0)`."""

    def make(algorithm: str, **changes: float) -> SimpleNamespace:
        point = {
            "learning_rate": 0.02 if algorithm == "nesterov" else 0.3,
            "one_minus_beta1": 0.1,
            "beta2": 0.99,
            "warmup_factor": 0.05,
            "weight_decay": 1e-5,
            "label_smoothing": 0.0,
            "dropout_rate": 0.1,
            "decay_steps_factor": 0.9,
            "end_factor": 0.01,
        }
        return SimpleNamespace(**(point | changes))

    return make


@pytest.fixture
def goldens() -> Callable[[str], dict[str, np.ndarray]]:
    """Reads `tests/goldens/<name>.npz`."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(Path(__file__).parent / "goldens" / f"{name}.npz") as archive:
            return dict(archive)

    return read
