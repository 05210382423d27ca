"""`from_optax` and `from_torch` on real data, from the same weights: every feature at once, step by step."""

import numpy as np
import pytest

from algoperf_core import ema, from_optax, from_torch, numpy_keys
from algoperf_core.backends import load_backend
from algoperf_core.registry import workload_provider
from algoperf_core.tuning import hyperparameters
from algoperf_scoring import load_benchmark
from algoperf_vision.digits import MODEL
from algoperf_workloads.parity import load_flax_variables, torch_arrays

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")

POINT = hyperparameters({"learning_rate": 0.1, "grad_clip": 1.0, "label_smoothing": 0.1})
OPTIONS = {"batch_size": 128, "micro_batches": 4, "average": ema(0.8), "sam_rho": 0.05}


class Training:
    def __init__(self, framework, submission, data_dir):
        goal = load_benchmark("algoperf-digits").workload("digits")
        self.workload = workload_provider("digits").create(framework, goal)
        self.submission, self.backend = submission, load_backend(framework)
        self.params, self.model_state = self.workload.init_model_fn(self.backend.key(0))
        self.queue = self.workload._build_input_queue(numpy_keys.key(3), "train", data_dir, 128)

    def begin(self):
        self.state = self.submission.init_optimizer_state(
            self.workload, self.params, self.model_state, POINT, self.backend.key(0)
        )

    def call(self, function, **batch):
        self.state, self.params, self.model_state = function(
            workload=self.workload,
            current_param_container=self.params,
            current_params_types=self.workload.model_params_types,
            model_state=self.model_state,
            hyperparameters=POINT,
            loss_type=self.workload.loss_type,
            optimizer_state=self.state,
            eval_results=[],
            global_step=0,
            rng=self.backend.key(1),
            **batch,
        )

    def step(self):
        self.call(self.submission.update_params, batch=next(self.queue))

    def evaluate(self, data_dir):
        self.call(self.submission.prepare_for_eval)
        return self.workload.eval_model(
            700, self.params, self.model_state, self.backend.key(2), data_dir
        )


def test_digits_train_and_evaluate_alike_in_both_frameworks(tmp_path):
    ours = Training(
        "jax",
        from_optax(lambda h, steps: optax.sgd(h.learning_rate, momentum=0.9), **OPTIONS),
        str(tmp_path),
    )
    theirs = Training(
        "pytorch",
        from_torch(
            lambda p, h, steps: torch.optim.SGD(p, h.learning_rate, momentum=0.9), **OPTIONS
        ),
        str(tmp_path),
    )
    names = MODEL.module_names
    load_flax_variables(theirs.params, ours.params, ours.model_state, names)
    ours.begin()
    theirs.begin()
    for step in range(6):
        ours.step()
        theirs.step()
        expected = torch_arrays(ours.params, names)
        expected |= torch_arrays(ours.model_state["batch_stats"], names)
        found = theirs.params.state_dict()
        for name, array in expected.items():
            np.testing.assert_allclose(
                found[name].numpy(), array, rtol=1e-3, atol=1e-4, err_msg=name
            )
        if step in (0, 3, 5):
            metrics = [training.evaluate(str(tmp_path)) for training in (ours, theirs)]
            assert metrics[0] == pytest.approx(metrics[1], rel=1e-3, abs=2e-3)
