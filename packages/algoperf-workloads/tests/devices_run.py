"""What processes that train together come to: `devices_run.py FRAMEWORK DATA FOLDER [placement options]`.

Every process leaves `rank_<k>.npz` in the folder. The tests call the same functions in one process.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from algoperf_core import from_optax, from_torch
from algoperf_core.backends import load_backend
from algoperf_core.follower import SilentMeasurements
from algoperf_core.measurements import Measurements
from algoperf_core.placement_arguments import add_placement_arguments, placement_of
from algoperf_core.processes import ALONE, start_processes
from algoperf_core.resumption import resume
from algoperf_core.testing import FakeClock, SilentProgress
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_core.trial_checkpoints import TrialCheckpoints
from algoperf_toy.definition import GOAL, TOY

STEPS, BATCH, AWKWARD = 6, 8, 7
PLAIN = replace(TOY, model=replace(TOY.model, dropout_rate=0.0))


def make_submission(framework, **options):
    if framework == "jax":
        import optax

        return from_optax(
            lambda h, steps: optax.sgd(0.1, momentum=0.9), batch_size=BATCH, **options
        )
    import torch

    return from_torch(
        lambda parameters, h, steps: torch.optim.SGD(parameters, 0.1, momentum=0.9),
        batch_size=BATCH,
        **options,
    )


class Attempt:
    """A run that is evaluated, and saved if that is asked for, every other step; a step takes a second."""

    def __init__(self, framework, folder, data_dir, processes=ALONE, definition=PLAIN, **options):
        self.stop_at = options.pop("stop_at", None)
        period_s = options.pop("period_s", None)
        self.clock = FakeClock()
        self.submission = options.pop("submission", None) or make_submission(framework, **options)
        self.numbers = []
        goal = replace(GOAL, eval_period_s=2.0, validation_target=2.0, budget_s=1e9)
        plan = TrialPlan(
            workload=definition.create(framework, goal),
            submission=replace(self.submission, update_params=self.update_params),
            hyperparameters=None,
            seed=5,
            budget_s=1e9,
            data_dir=data_dir,
            max_global_steps=STEPS,
        )
        start = processes.in_turns(lambda: resume(folder) if processes.is_first else None)
        if not processes.is_first:
            from algoperf_core.checkpoints import CheckpointFolder

            found = CheckpointFolder(folder).find().newest
            start = argparse.Namespace(checkpoint=found)
        self.started_at = start.checkpoint.global_step if start.checkpoint else 0
        self.run = TrainingRun(
            plan,
            load_backend(framework),
            Measurements(folder) if processes.is_first else SilentMeasurements(),
            SilentProgress(),
            self.clock,
            checkpoints=TrialCheckpoints(folder, framework, period_s, start.checkpoint, processes),
            processes=processes,
        )

    def update_params(self, *, batch, global_step, **rest):
        self.clock.advance(1.0)
        if global_step == self.stop_at:
            raise KeyboardInterrupt
        return self.submission.update_params(batch=batch, global_step=global_step, **rest)

    def finish(self):
        try:
            self.run.run()
        except KeyboardInterrupt:
            assert self.stop_at is not None
        return self

    def arrays(self):
        params = self.run._params
        if hasattr(params, "state_dict"):
            from algoperf_workloads.parity import unwrapped_name

            state = {unwrapped_name(name): v.numpy() for name, v in params.state_dict().items()}
        else:
            import jax

            leaves = jax.tree_util.tree_leaves_with_path((params, self.run._model_state))
            state = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        metrics = {
            f"metrics {name}": np.array([row[name] for _, row in self.run._eval_results])
            for name in self.run._last_metrics
        }
        return {f"state {name}": value for name, value in state.items()} | metrics


def results(framework, folder, data_dir, processes=ALONE):
    """Training, whole and in micro-batches, and an evaluation of a size that nothing divides."""
    found = {}
    for name, options in (
        ("whole", {}),
        ("parts", {"micro_batches": 2}),
        ("sam", {"sam_rho": 0.05}),
    ):
        own = folder / name
        if processes.is_first:
            own.mkdir()
        processes.barrier()
        attempt = Attempt(framework, own, data_dir, processes, **options).finish()
        found |= {f"{name} {key}": value for key, value in attempt.arrays().items()}
    run = attempt.run
    metrics = run._workload._eval_model_on_split(
        "validation", 17, AWKWARD, run._params, run._model_state, None, data_dir
    )
    return found | {f"awkward {name}": np.array(value) for name, value in metrics.items()}


def resumed(framework, folder, data_dir, processes):
    """The same trial without and with an interruption, and dropout."""
    found = {}
    for name in ("undisturbed", "interrupted"):
        own = folder / name
        if processes.is_first:
            own.mkdir()
        processes.barrier()
        options = {"definition": TOY, "period_s": 0.0}
        if name == "interrupted":
            Attempt(framework, own, data_dir, processes, stop_at=4, **options).finish()
            processes.barrier()
        attempt = Attempt(framework, own, data_dir, processes, **options).finish()
        assert attempt.started_at == (3 if name == "interrupted" else 0)
        state = {k: v for k, v in attempt.arrays().items() if k.startswith("state")}
        found |= {f"{name} {key}": value for key, value in state.items()}
        if framework == "pytorch":
            import torch

            found[f"{name} draw"] = torch.rand(3).numpy()
    return found


def published_style(data_dir):
    """A step as published submissions write it: they sum over processes themselves."""
    import torch
    import torch.distributed.nn as dist_nn

    from algoperf_core.spec import ForwardPassMode

    workload = PLAIN.create("pytorch", GOAL)
    model, _ = workload.init_model_fn(np.array([3, 4], np.int32))
    batch = next(workload._build_input_queue(np.array([1, 2], np.int32), "train", data_dir, BATCH))
    logits, _ = workload.model_fn(
        params=model,
        augmented_and_preprocessed_input_batch=batch,
        model_state=None,
        mode=ForwardPassMode.TRAIN,
        rng=None,
        update_batch_norm=True,
    )
    loss = workload.loss_fn(batch["targets"], logits, batch.get("weights"))
    summed, n_valid = loss["summed"], loss["n_valid_examples"]
    if torch.distributed.is_initialized():
        # Each process's loss counts for all, and data parallelism takes the mean of the gradients.
        summed, n_valid = dist_nn.all_reduce(summed), dist_nn.all_reduce(n_valid)
    (summed / n_valid).backward()
    names = [name for name, _ in model.named_parameters()]
    assert any(workload.is_output_params(name) for name in names), names
    gradients = [parameter.grad.numpy() for parameter in model.parameters()]
    return {f"published {number}": gradient for number, gradient in enumerate(gradients)}


def batch_norm(count, rank, compiled):
    """A batch norm on its part of a batch, of another size on each process: output, gradients, averages."""
    import torch

    from algoperf_workloads.torch_layers import BatchNorm

    torch.manual_seed(0)
    inputs, weights = 50 + torch.randn(10, 3, 4), torch.randn(10, 3, 4)
    mine = slice(None) if count == 1 else (slice(0, 7), slice(7, 10))[rank]
    layer = BatchNorm(3)
    forward = torch.compile(layer, backend="aot_eager", fullgraph=True) if compiled else layer
    own = inputs[mine].clone().requires_grad_()
    output = forward(own)
    (output * weights[mine]).sum().backward()
    parameters = torch.stack([layer.weight.grad, layer.bias.grad])
    if count > 1:
        torch.distributed.all_reduce(parameters)
    name = "compiled" if compiled else "norm"
    return {
        f"{name} output": output.detach().numpy(),
        f"{name} gradient": own.grad.numpy(),
        f"{name} parameters": parameters.numpy(),
        f"{name} averages": torch.stack([layer.running_mean, layer.running_var]).numpy(),
    }


def failed_evaluation(framework, data_dir, processes):
    """An evaluation that fails in one process fails in all, and waits for nobody."""
    workload = PLAIN.create(framework, GOAL)
    model, _ = workload.init_model_fn(np.array([3, 4], np.int32))

    def fail(*arguments):
        raise RuntimeError("no memory in this one")

    if processes.rank == 1:
        workload._add_batch = fail
    try:
        workload._eval_model_on_split("validation", 17, BATCH, model, None, None, data_dir)
    except RuntimeError as error:
        return {"failure": np.array(str(error))}
    return {"failure": np.array("none")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("data_dir")
    parser.add_argument("folder", type=Path)
    add_placement_arguments(parser)
    options = parser.parse_args()
    framework, folder = options.framework, options.folder
    processes = start_processes(framework, placement_of(options), 2)
    found = results(framework, folder, options.data_dir, processes)
    found |= resumed(framework, folder, options.data_dir, processes)
    if framework == "pytorch":
        found |= published_style(options.data_dir)
        for compiled in (False, True):
            found |= batch_norm(2, processes.rank, compiled)
        found |= failed_evaluation(framework, options.data_dir, processes)
    np.savez(folder / f"rank_{processes.rank}.npz", **found)
    processes.stop()


if __name__ == "__main__":
    sys.exit(main())
