"""Least squares in both frameworks: the smallest workload that really trains."""

import numpy as np

from algoperf_core import spec

DIMENSIONS = 16
EXAMPLES = 256


def examples(split):
    rng = np.random.default_rng([7, ["train", "eval_train", "validation", "test"].index(split)])
    solution = np.random.default_rng(3).standard_normal(DIMENSIONS).astype(np.float32)
    inputs = rng.standard_normal((EXAMPLES, DIMENSIONS)).astype(np.float32)
    return {"inputs": inputs, "targets": inputs @ solution}


class Batches:
    """Endless batches with a position, in an order that never repeats itself exactly."""

    def __init__(self, data, batch_size, to_device):
        self.data, self.batch_size, self.to_device = data, batch_size, to_device
        self.number = 0

    def __iter__(self):
        return self

    def __next__(self):
        start = self.number * (self.batch_size + 1)
        rows = np.arange(start, start + self.batch_size) % EXAMPLES
        self.number += 1
        return {name: self.to_device(values[rows]) for name, values in self.data.items()}

    def get_state(self):
        return {"number": self.number}

    def set_state(self, state):
        self.number = state["number"]


class ToyWorkload(spec.Workload):
    loss_type = spec.LossType.MEAN_SQUARED_ERROR
    num_train_examples = EXAMPLES
    num_eval_train_examples = EXAMPLES
    num_validation_examples = EXAMPLES
    num_test_examples = EXAMPLES
    eval_batch_size = EXAMPLES

    def is_output_params(self, param_key):
        return True

    def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
        per_example = (logits_batch - label_batch) ** 2
        return {
            "summed": per_example.sum(),
            "n_valid_examples": len(per_example),
            "per_example": per_example,
        }

    def _build_input_queue(self, data_rng, split, data_dir, global_batch_size, *rest, **options):
        return Batches(examples(split), global_batch_size, self.to_device)

    def _eval_model_on_split(self, split, num_examples, batch_size, params, model_state, *rest):
        batch = {name: self.to_device(values) for name, values in examples(split).items()}
        logits, _ = self.model_fn(params, batch, None, spec.ForwardPassMode.EVAL, None, False)
        loss = self.loss_fn(batch["targets"], logits)
        return {"loss": loss["summed"].item() / num_examples}


class JaxToy(ToyWorkload):
    def to_device(self, array):
        import jax.numpy as jnp

        return jnp.asarray(array)

    def init_model_fn(self, rng):
        import jax

        self._param_shapes = {"w": spec.ShapeTuple((DIMENSIONS,))}
        self._param_types = {"w": spec.ParameterType.WEIGHT}
        return {"w": 0.1 * jax.random.normal(rng, (DIMENSIONS,))}, None

    def model_fn(self, params, batch, model_state, mode, rng, update_batch_norm, dropout_rate=0.0):
        return batch["inputs"] @ params["w"], model_state


class TorchToy(ToyWorkload):
    def to_device(self, array):
        import torch

        return torch.from_numpy(array)

    def init_model_fn(self, rng):
        import torch

        torch.random.manual_seed(int(rng[0]))
        self._param_shapes = {"weight": spec.ShapeTuple((1, DIMENSIONS))}
        self._param_types = {"weight": spec.ParameterType.WEIGHT}
        return torch.nn.Linear(DIMENSIONS, 1, bias=False), None

    def model_fn(
        self,
        params,
        augmented_and_preprocessed_input_batch,
        model_state,
        mode,
        rng,
        update_batch_norm,
        dropout_rate=0.0,
    ):
        return params(augmented_and_preprocessed_input_batch["inputs"])[:, 0], model_state


class Toy:
    name = "toy"
    summary = "Least squares with sixteen unknowns."

    def create(self, framework, goal):
        return {"jax": JaxToy, "pytorch": TorchToy}[framework](goal)


TOY = Toy()
