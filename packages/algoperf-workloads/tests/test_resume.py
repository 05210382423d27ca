"""A trial that was interrupted sees the batches and keys that an uninterrupted one would, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest

from algoperf_core import ema, from_optax, from_torch, latest
from algoperf_core.backends import load_backend
from algoperf_core.measurements import Measurements
from algoperf_core.outcomes import Outcome
from algoperf_core.resumption import read_interruptions, resume
from algoperf_core.testing import FakeClock, SilentProgress
from algoperf_core.training import TrainingRun, TrialPlan
from algoperf_core.trial_checkpoints import TrialCheckpoints
from algoperf_core.trial_spec import OUTCOME_FILE, write_json
from algoperf_toy.definition import GOAL, TOY

optax = pytest.importorskip("optax")
torch = pytest.importorskip("torch")

STEPS = 12
# An evaluation, and with it a checkpoint, after steps 1, 4, 7 and 10: a step takes a second.
EVERY_STEPS = 3


def momentum_jax(hyperparameters, step_hint):
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 3, STEPS)
    return optax.sgd(schedule, momentum=0.9, nesterov=True)


def averaging_jax(hyperparameters, step_hint):
    @optax.inject_hyperparams
    def scheduled(learning_rate):
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(learning_rate))

    adamw = scheduled(learning_rate=optax.linear_schedule(0.1, 0.0, STEPS))
    return optax.MultiSteps(optax.chain(adamw, optax.ema(0.9)), every_k_schedule=2)


def momentum_torch(parameters, hyperparameters, step_hint):
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=STEPS + 2)


def phases_torch(parameters, hyperparameters, step_hint):
    optimizer = torch.optim.AdamW(parameters, 0.1, amsgrad=True)
    schedulers = torch.optim.lr_scheduler
    warmup = schedulers.LinearLR(optimizer, total_iters=3)
    decay = schedulers.MultiStepLR(optimizer, [2, 4])
    return optimizer, schedulers.SequentialLR(optimizer, [warmup, decay], milestones=[3])


SUBMISSIONS = {
    "jax momentum": ("jax", lambda: from_optax(momentum_jax, batch_size=8)),
    "jax averaging": ("jax", lambda: from_optax(averaging_jax, batch_size=8)),
    "jax ema and micro-batches": (
        "jax",
        lambda: from_optax(momentum_jax, batch_size=8, average=ema(0.9), micro_batches=2),
    ),
    "jax latest and SAM": (
        "jax",
        lambda: from_optax(momentum_jax, batch_size=8, average=latest(3), sam_rho=0.05),
    ),
    "jax evaluation parameters": (
        "jax",
        lambda: from_optax(
            momentum_jax,
            batch_size=8,
            eval_params=lambda state, params: optax.tree.scale(0.5, params),
        ),
    ),
    "torch ema and micro-batches": (
        "pytorch",
        lambda: from_torch(momentum_torch, batch_size=8, average=ema(0.9), micro_batches=2),
    ),
    "torch latest and SAM": (
        "pytorch",
        lambda: from_torch(momentum_torch, batch_size=8, average=latest(3), sam_rho=0.05),
    ),
    "torch momentum": ("pytorch", lambda: from_torch(momentum_torch, batch_size=8)),
    "torch phases": ("pytorch", lambda: from_torch(phases_torch, batch_size=8)),
}


class Attempt:
    """One process's worth of a trial; it ends with a Ctrl-C in the given step."""

    def __init__(self, trial_dir, data_dir, name, interrupted_at=None, period_s=0.0):
        self.clock = FakeClock()
        self.interrupted_at = interrupted_at
        self.batches = {}
        framework, make = SUBMISSIONS[name]
        start = resume(trial_dir)
        self.start = start.checkpoint.global_step if start.checkpoint else 0
        self.submission = make()
        # No target is ever met.
        goal = replace(GOAL, eval_period_s=float(EVERY_STEPS), validation_target=2.0, budget_s=1e9)
        plan = TrialPlan(
            workload=TOY.create(framework, goal),
            submission=replace(self.submission, update_params=self.update_params),
            hyperparameters=None,
            seed=5,
            budget_s=1e9,
            data_dir=data_dir,
            max_global_steps=STEPS,
        )
        self.run = TrainingRun(
            plan,
            load_backend(framework),
            Measurements(trial_dir, len(start.interruptions)),
            SilentProgress(),
            self.clock,
            checkpoints=TrialCheckpoints(trial_dir, framework, period_s, start.checkpoint),
            preemption_count=len(start.interruptions),
        )

    def update_params(self, *, batch, global_step, **rest):
        self.clock.advance(1.0)
        self.batches[global_step] = np.asarray(batch["number"]).tolist()
        if global_step == self.interrupted_at:
            raise KeyboardInterrupt
        return self.submission.update_params(batch=batch, global_step=global_step, **rest)

    def parameters(self):
        params = self.run._params
        if hasattr(params, "state_dict"):
            return [value.numpy() for value in params.state_dict().values()]
        import jax

        return [np.asarray(leaf) for leaf in jax.tree.leaves((params, self.run._model_state))]


def interrupt(trial_dir, data_dir, name, step):
    """Runs an attempt until it is interrupted; returns the step at which it began."""
    attempt = Attempt(trial_dir, data_dir, name, step)
    with pytest.raises(KeyboardInterrupt):
        attempt.run.run()
    attempt.run.ledger.charge()
    write_json(trial_dir / OUTCOME_FILE, attempt.run.result(Outcome.INTERRUPTED).to_dict())
    return attempt.start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data_dir):
    """Attempts that nothing interrupts, by submission; each is run once."""
    known = {}

    def run(name):
        if name not in known:
            known[name] = Attempt(tmp_path_factory.mktemp("whole"), data_dir, name)
            known[name].run.run()
        return known[name]

    return run


@pytest.mark.parametrize("name", SUBMISSIONS)
@pytest.mark.parametrize("interruptions", [(5, 8), (11,)])
def test_interrupted_trial_ends_with_the_same_bits(
    tmp_path, data_dir, undisturbed, name, interruptions
):
    starts = []
    for step in interruptions:
        starts.append(interrupt(tmp_path, data_dir, name, step))
    last = Attempt(tmp_path, data_dir, name)
    last.run.run()
    expected = {(5, 8): [0, 4, 7], (11,): [0, 10]}[interruptions]
    assert [*starts, last.start] == expected
    whole = undisturbed(name)
    for value, other in zip(last.parameters(), whole.parameters(), strict=True):
        assert value.tobytes() == other.tobytes()
    assert last.batches == {
        step: batch for step, batch in whole.batches.items() if step >= last.start
    }


@pytest.mark.parametrize("name", ["jax momentum", "torch momentum"])
def test_work_that_was_lost_is_charged_once(tmp_path, data_dir, undisturbed, name):
    interrupt(tmp_path, data_dir, name, 6)
    last = Attempt(tmp_path, data_dir, name)
    assert last.run.run().ledger_s == undisturbed(name).run.ledger.entries()
    (lost,) = read_interruptions(tmp_path)
    assert (lost["checkpoint_step"], lost["reached_step"], lost["lost_steps"]) == (4, 6, 2)
    # The step in which it was interrupted counts: its second had passed.
    assert (lost["lost_from_s"], lost["lost_to_s"], lost["lost_submission_s"]) == (4.0, 7.0, 3.0)
    assert not lost["data_restarted"]


def test_evaluations_before_and_after_are_those_of_one_run(tmp_path, data_dir, undisturbed):
    name = "torch momentum"
    interrupt(tmp_path, data_dir, name, 8)
    last = Attempt(tmp_path, data_dir, name)
    last.run.run()
    counts = [row.pop("preemption_count") for _, row in last.run._eval_results]
    whole = [
        (step, {key: value for key, value in row.items() if key != "preemption_count"})
        for step, row in undisturbed(name).run._eval_results
    ]
    assert last.run._eval_results == whole
    assert counts == [0, 0, 0, 1, 1]


def test_no_checkpoint_is_saved_before_it_is_due(tmp_path, data_dir):
    Attempt(tmp_path, data_dir, "torch momentum", period_s=300.0).run.run()
    assert not (tmp_path / "checkpoints").exists()
