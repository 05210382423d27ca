"""Two dense layers with batch norm and dropout, the same function in JAX and PyTorch, from the same start.

Examples of weight 0 do not count; they are the last ones, so that halves of a batch have different numbers
of valid examples.
"""

import numpy as np

from algoperf_core import spec
from algoperf_scoring import BenchmarkWorkload

FEATURES, WIDTH, CLASSES = 6, 8, 3
MOMENTUM, EPSILON = 0.9, 1e-5
TYPES = {
    "hidden": {"kernel": spec.ParameterType.WEIGHT, "bias": spec.ParameterType.BIAS},
    "norm": {
        "scale": spec.ParameterType.BATCH_NORM_SCALE,
        "bias": spec.ParameterType.BATCH_NORM_BIAS,
    },
    "head": {"kernel": spec.ParameterType.WEIGHT, "bias": spec.ParameterType.BIAS},
}
GOAL = BenchmarkWorkload(
    name="small_net",
    metric="loss",
    direction="minimize",
    validation_target=0.1,
    budget_s=60.0,
    step_hint=40,
    eval_period_s=1.0,
)


def initial_params():
    rng = np.random.default_rng(5)

    def draw(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    return {
        "hidden": {"kernel": draw(FEATURES, WIDTH), "bias": draw(WIDTH)},
        "norm": {"scale": 1 + 0.1 * draw(WIDTH), "bias": 0.1 * draw(WIDTH)},
        "head": {"kernel": draw(WIDTH, CLASSES), "bias": draw(CLASSES)},
    }


def batches(batch_size, valid, distinct=8):
    """Repeats a few batches for ever, of which the first `valid` examples have weight 1."""
    rng = np.random.default_rng(9)
    teacher = rng.standard_normal((FEATURES, CLASSES))
    made = []
    for _ in range(distinct):
        inputs = rng.standard_normal((batch_size, FEATURES)).astype(np.float32)
        made.append(
            {
                "inputs": inputs,
                "targets": (inputs @ teacher).argmax(1).astype(np.int32),
                "weights": (np.arange(batch_size) < valid).astype(np.float32),
            }
        )
    while True:
        yield from made


def flat(tree, prefix=""):
    if not isinstance(tree, dict):
        return {prefix: np.array(tree)}
    leaves = {}
    for name, branch in tree.items():
        leaves |= flat(branch, f"{prefix}.{name}" if prefix else name)
    return leaves


class SmallNet(spec.Workload):
    loss_type = spec.LossType.SOFTMAX_CROSS_ENTROPY
    num_train_examples = num_eval_train_examples = num_validation_examples = 64
    num_test_examples = None
    eval_batch_size = 64

    def __init__(self, batch_norm=True, valid=64):
        super().__init__(GOAL)
        self.batch_norm, self.valid = batch_norm, valid
        self.passes = []

    def is_output_params(self, param_key):
        return param_key == "head"

    def _build_input_queue(self, data_rng, split, data_dir, global_batch_size, *rest, **options):
        for batch in batches(global_batch_size, self.valid):
            yield self.place(batch)

    def _eval_model_on_split(self, *arguments, **options):
        raise NotImplementedError


class JaxSmallNet(SmallNet):
    framework = "jax"

    def place(self, batch):
        from algoperf_core.sharding import shard_batch

        return shard_batch(batch)

    def init_model_fn(self, rng):
        from algoperf_core.sharding import replicate

        self._param_types = TYPES
        state = {"mean": np.zeros(WIDTH, np.float32), "var": np.ones(WIDTH, np.float32)}
        return replicate((initial_params(), {"batch_stats": state} if self.batch_norm else None))

    def model_fn(self, params, batch, model_state, mode, rng, update_batch_norm, dropout_rate=None):
        import jax
        import jax.numpy as jnp

        self.passes.append((mode, update_batch_norm, dropout_rate))
        hidden = batch["inputs"] @ params["hidden"]["kernel"] + params["hidden"]["bias"]
        if self.batch_norm:
            mean, var = hidden.mean(0), hidden.var(0)
            hidden = (hidden - mean) / jnp.sqrt(var + EPSILON)
            if update_batch_norm:
                old = model_state["batch_stats"]
                model_state = {
                    "batch_stats": {
                        "mean": MOMENTUM * old["mean"] + (1 - MOMENTUM) * mean,
                        "var": MOMENTUM * old["var"] + (1 - MOMENTUM) * var,
                    }
                }
        hidden = jnp.tanh(hidden * params["norm"]["scale"] + params["norm"]["bias"])
        if dropout_rate:
            kept = jax.random.bernoulli(rng, 1 - dropout_rate, hidden.shape)
            hidden = jnp.where(kept, hidden / (1 - dropout_rate), 0)
        return hidden @ params["head"]["kernel"] + params["head"]["bias"], model_state

    def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
        import jax

        targets = jax.nn.one_hot(label_batch, CLASSES)
        smoothed = (1 - label_smoothing) * targets + label_smoothing / CLASSES
        per_example = -(smoothed * jax.nn.log_softmax(logits_batch)).sum(-1) * mask_batch
        return {
            "summed": per_example.sum(),
            "n_valid_examples": mask_batch.sum(),
            "per_example": per_example,
        }

    def arrays(self, params, model_state):
        return flat(params) | flat((model_state or {}).get("batch_stats", {}), "norm")


def torch_modules():
    import torch

    class Part(torch.nn.Module):
        def __init__(self, values):
            super().__init__()
            for name, value in values.items():
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))

    class Net(torch.nn.Module):
        def __init__(self, batch_norm):
            super().__init__()
            for name, values in initial_params().items():
                self.add_module(name, Part(values))
            self.batch_norm, self.update = batch_norm, True
            if batch_norm:
                self.norm.register_buffer("mean", torch.zeros(WIDTH))
                self.norm.register_buffer("var", torch.ones(WIDTH))
                self.norm.register_buffer("batches", torch.tensor(0))

        def forward(self, inputs, dropout_rate):
            hidden = inputs @ self.hidden.kernel + self.hidden.bias
            if self.batch_norm:
                mean, var = hidden.mean(0), hidden.var(0, correction=0)
                hidden = (hidden - mean) / torch.sqrt(var + EPSILON)
                if self.update:
                    self.norm.mean.lerp_(mean.detach(), 1 - MOMENTUM)
                    self.norm.var.lerp_(var.detach(), 1 - MOMENTUM)
                    self.norm.batches.add_(1)
            hidden = torch.tanh(hidden * self.norm.scale + self.norm.bias)
            hidden = torch.nn.functional.dropout(hidden, dropout_rate or 0.0)
            return hidden @ self.head.kernel + self.head.bias

    return Net


class TorchSmallNet(SmallNet):
    framework = "pytorch"

    def place(self, batch):
        import torch

        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def init_model_fn(self, rng):
        model = torch_modules()(self.batch_norm)
        self._param_types = {
            f"{part}.{name}": kind for part, kinds in TYPES.items() for name, kind in kinds.items()
        }
        return model, None

    def model_fn(
        self,
        params,
        augmented_and_preprocessed_input_batch,
        model_state,
        mode,
        rng,
        update_batch_norm,
        dropout_rate=None,
    ):
        self.passes.append((mode, update_batch_norm, dropout_rate))
        getattr(params, "module", params).update = update_batch_norm
        return params(augmented_and_preprocessed_input_batch["inputs"], dropout_rate), None

    def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
        import torch

        per_example = mask_batch * torch.nn.functional.cross_entropy(
            logits_batch, label_batch.long(), reduction="none", label_smoothing=label_smoothing
        )
        return {
            "summed": per_example.sum(),
            "n_valid_examples": mask_batch.sum(),
            "per_example": per_example,
        }

    def arrays(self, params, model_state):
        state = getattr(params, "module", params).state_dict()
        return {
            name: tensor.numpy().copy() for name, tensor in state.items() if "batches" not in name
        }


class Trial:
    """What the training loop does with a submission, without the clock."""

    def __init__(self, submission, workload, point=None, batch_size=64):
        from algoperf_core.backends import load_backend
        from algoperf_core.testing import FakeClock, MemoryRecorder

        self.submission, self.workload, self.point = submission, workload, point
        self.backend = load_backend(workload.framework)
        self.recorder = MemoryRecorder(FakeClock())
        workload.attach_metrics_logger(self.recorder)
        self.params, self.model_state = workload.init_model_fn(self.backend.key(0))
        self.state = submission.init_optimizer_state(
            workload, self.params, self.model_state, point, self.backend.key(1)
        )
        self.queue = workload._build_input_queue(None, "train", "", batch_size)
        self.global_step = 0

    def _facts(self):
        return {
            "workload": self.workload,
            "current_param_container": self.params,
            "current_params_types": self.workload.model_params_types,
            "model_state": self.model_state,
            "hyperparameters": self.point,
            "loss_type": self.workload.loss_type,
            "optimizer_state": self.state,
            "eval_results": [],
            "global_step": self.global_step,
            "rng": self.backend.key(self.global_step),
        }

    def step(self, steps=1):
        for _ in range(steps):
            self.state, self.params, self.model_state = self.submission.update_params(
                **self._facts(), batch=next(self.queue)
            )
            self.global_step += 1
        return self.arrays()

    def prepare(self):
        self.state, self.params, self.model_state = self.submission.prepare_for_eval(
            **self._facts()
        )
        return self.arrays()

    def arrays(self):
        return self.workload.arrays(self.params, self.model_state)

    @property
    def logged(self):
        return {name: float(value) for name, value in self.recorder.scalars[0][1].items()}
