"""The rules of the clock and the loop, each with scripted time."""

import math
from dataclasses import replace

import pytest

from algoperf_core.errors import SubmissionError, WorkloadError
from algoperf_core.ledger import Account
from algoperf_core.numpy_keys import key
from algoperf_core.outcomes import Outcome, StoppedBy
from algoperf_core.seeds import derive_seed
from algoperf_core.spec import TrainingCompleteError
from algoperf_core.submission import Submission, next_batch
from algoperf_core.testing import FakeBackend, MemoryRecorder, ScriptedWorkload, SilentProgress
from algoperf_core.training import MAX_STEPS_AHEAD, TrainingRun, TrialPlan

MISS = {"validation/accuracy": 0.1, "test/accuracy": 0.1}
HIT_VALIDATION = {"validation/accuracy": 0.9, "test/accuracy": 0.1}
HIT_TEST = {"validation/accuracy": 0.1, "test/accuracy": 0.8}
HIT = {"validation/accuracy": 0.95, "test/accuracy": 0.85}


class Trial:
    """A run whose submission spends scripted time; everything it saw is kept."""

    def __init__(
        self, clock, goal, step_s=1.0, budget_s=100.0, max_steps=None, backend=None, **options
    ):
        self.clock = clock
        self.step_s = step_s
        self.selection_s = options.pop("selection_s", 0.0)
        self.prepare_s = options.pop("prepare_s", None)
        self.complete_at = options.pop("complete_at", None)
        self.logging_s = options.pop("logging_s", 0.0)
        self.returns = options.pop("returns", None)
        self.queued_s = options.pop("queued_s", 0.0)
        self.seen = []
        self.workload = ScriptedWorkload(goal, clock, **options)
        self.backend = backend or FakeBackend(clock)
        self.recorder = MemoryRecorder(clock, self.logging_s)
        plan = TrialPlan(
            workload=self.workload,
            submission=self.submission(),
            hyperparameters=None,
            seed=1,
            budget_s=budget_s,
            data_dir="",
            max_global_steps=max_steps,
        )
        self.run = TrainingRun(plan, self.backend, self.recorder, SilentProgress(), now=clock)

    def submission(self):
        return Submission(
            get_batch_size=lambda name: 8,
            init_optimizer_state=lambda workload, params, state, hyperparameters, rng: {"steps": 0},
            update_params=self.update_params,
            data_selection=self.data_selection,
            prepare_for_eval=None if self.prepare_s is None else self.prepare_for_eval,
        )

    def data_selection(self, workload, queue, *rest):
        self.clock.advance(self.selection_s)
        return next_batch(workload, queue, *rest)

    def update_params(self, *, global_step, optimizer_state, eval_results, train_state, **rest):
        self.clock.advance(self.step_s)
        self.backend.queued_s += self.queued_s
        self.seen.append((global_step, len(eval_results), dict(train_state)))
        if self.complete_at is not None and global_step >= self.complete_at:
            raise TrainingCompleteError
        return self.returns or (optimizer_state, {"w": global_step + 1}, None)

    def prepare_for_eval(self, *, global_step, optimizer_state, current_param_container, **rest):
        assert "batch" not in rest
        assert "train_state" not in rest
        self.clock.advance(self.prepare_s)
        return optimizer_state, {"w": f"prepared at {global_step}"}, None

    def eval_steps(self):
        return [step for step, _ in self.workload.evaluated]

    def submission_s(self):
        return self.run.ledger.seconds(Account.SUBMISSION)


def test_data_selection_batches_and_updates_are_charged(clock, goal):
    trial = Trial(clock, goal, step_s=1.0, selection_s=0.5, batch_s=0.25, max_steps=4)
    trial.run.run()
    assert trial.submission_s() == pytest.approx(4 * 1.75)


def test_preparation_for_evaluation_is_charged(clock, goal):
    trial = Trial(clock, goal, step_s=1.0, prepare_s=3.0, max_steps=1)
    trial.run.run()
    assert trial.recorder.evaluations[0]["accumulated_submission_time"] == pytest.approx(4.0)


def test_evaluation_sees_what_the_preparation_returned(clock, goal):
    trial = Trial(clock, goal, prepare_s=0.0, max_steps=1)
    trial.run.run()
    assert trial.workload.evaluated == [(1, {"w": "prepared at 1"})]


def test_set_up_evaluation_and_logging_are_not_charged(clock, goal):
    trial = Trial(clock, goal, set_up_s=50.0, eval_s=20.0, logging_s=7.0, max_steps=3)
    trial.run.run()
    assert trial.run.ledger.entries() == pytest.approx(
        {"set_up": 50.0, "submission": 3.0, "evaluation": 40.0, "logging": 14.0}
    )


def test_ledger_adds_up_to_wall_clock(clock, goal):
    start = clock()
    trial = Trial(
        clock,
        goal,
        step_s=0.3,
        prepare_s=0.7,
        eval_s=1.1,
        logging_s=0.2,
        set_up_s=3.3,
        batch_s=0.01,
    )
    result = trial.run.run()
    assert sum(result.ledger_s.values()) == pytest.approx(clock() - start, rel=1e-9)


def test_first_evaluation_follows_the_first_step_and_then_every_period(clock, goal):
    trial = Trial(clock, goal, step_s=4.0, budget_s=40.0)
    trial.run.run()
    # Due at 4 s, then once 10 s of submission time have passed: 16 s, 28 s; at 40 s the budget is used.
    assert trial.eval_steps() == [1, 4, 7]


def test_evaluation_grid_counts_submission_time_only(clock, goal):
    slow_disk = Trial(clock, goal, step_s=4.0, budget_s=40.0, eval_s=100.0, logging_s=500.0)
    slow_disk.run.run()
    assert slow_disk.eval_steps() == [1, 4, 7]


def test_budget_is_checked_after_every_step_and_nothing_is_evaluated_past_it(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, budget_s=25.0, eval_s=1.0)
    result = trial.run.run()
    assert result.outcome is Outcome.BUDGET_EXHAUSTED
    assert result.stopped_by is StoppedBy.BUDGET
    assert result.global_step == 3
    assert trial.eval_steps() == [1, 2]


def test_budget_that_is_met_exactly_is_used(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, budget_s=20.0)
    assert trial.run.run().global_step == 2


def test_preparation_that_uses_up_the_budget_prevents_the_evaluation(clock, goal):
    trial = Trial(clock, goal, step_s=1.0, prepare_s=30.0, budget_s=25.0)
    result = trial.run.run()
    assert trial.eval_steps() == []
    assert result.outcome is Outcome.BUDGET_EXHAUSTED


def test_nothing_is_prepared_for_evaluation_once_the_budget_is_used(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, prepare_s=1.0, budget_s=12.0)
    trial.run.run()
    # 11 s after the first step and its preparation, 21 s after the second step.
    assert trial.submission_s() == pytest.approx(21.0)


def test_training_goes_on_until_both_targets_were_seen(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, evaluations=[HIT_VALIDATION, HIT_TEST, MISS])
    result = trial.run.run()
    assert result.outcome is Outcome.TARGET_REACHED
    assert result.stopped_by is StoppedBy.TARGETS
    assert result.time_to_target_s == pytest.approx(10.0)
    assert result.time_to_test_target_s == pytest.approx(20.0)


def test_validation_target_alone_counts_as_reached_when_the_budget_ends_the_run(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, budget_s=35.0, evaluations=[MISS, HIT_VALIDATION])
    result = trial.run.run()
    assert result.outcome is Outcome.TARGET_REACHED
    assert result.stopped_by is StoppedBy.BUDGET
    assert result.time_to_target_s == pytest.approx(20.0)


def test_workload_without_test_target_stops_at_the_validation_target(clock, goal):
    trial = Trial(clock, replace(goal, test_target=None), evaluations=[HIT_VALIDATION])
    assert trial.run.run().stopped_by is StoppedBy.TARGETS


def test_value_equal_to_the_target_reaches_it(clock, goal):
    exact = {"validation/accuracy": 0.9, "test/accuracy": 0.8}
    assert Trial(clock, goal, evaluations=[exact]).run.run().outcome is Outcome.TARGET_REACHED


def test_training_complete_keeps_the_old_state_counts_the_step_and_evaluates_once_more(clock, goal):
    trial = Trial(clock, goal, complete_at=2)
    result = trial.run.run()
    assert result.outcome is Outcome.TRAINING_COMPLETE
    assert result.global_step == 3
    assert trial.workload.evaluated[-1] == (3, {"w": 2})


def test_last_evaluation_after_training_complete_needs_time_left(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, budget_s=20.0, complete_at=1)
    trial.run.run()
    assert trial.eval_steps() == [1]


def test_step_limit_ends_training_with_a_last_evaluation(clock, goal):
    trial = Trial(clock, goal, step_s=1.0, max_steps=5)
    result = trial.run.run()
    assert result.stopped_by is StoppedBy.TRAINING_COMPLETE
    assert trial.eval_steps() == [1, 5]


def test_failed_evaluation_is_not_charged_and_tried_again_after_the_next_step(clock, goal):
    script = [MISS, RuntimeError("link lost"), HIT]
    trial = Trial(clock, goal, step_s=5.0, eval_s=30.0, evaluations=script)
    result = trial.run.run()
    assert trial.eval_steps() == [1, 3, 4]
    assert len(trial.recorder.evaluations) == 2
    assert trial.submission_s() == pytest.approx(20.0)
    assert result.ledger_s["evaluation"] == pytest.approx(90.0)
    assert result.outcome is Outcome.TARGET_REACHED


def test_evaluation_that_keeps_failing_ends_the_trial(clock, goal):
    trial = Trial(clock, goal, evaluations=[RuntimeError("broken")])
    with pytest.raises(RuntimeError, match="broken"):
        trial.run.run()
    assert trial.eval_steps() == [1, 2, 3]


def test_evaluation_errors_of_other_kinds_are_not_forgiven(clock, goal):
    trial = Trial(clock, goal, evaluations=[KeyError("accuracy")])
    with pytest.raises(KeyError):
        trial.run.run()


def test_nan_metric_never_reaches_the_target_and_the_trial_has_diverged(clock, goal):
    nan = {"validation/accuracy": math.nan, "test/accuracy": math.nan}
    result = Trial(clock, goal, step_s=10.0, budget_s=25.0, evaluations=[nan]).run.run()
    assert result.outcome is Outcome.DIVERGED
    assert result.time_to_target_s is None


def test_submission_that_recovers_from_nan_goes_on(clock, goal):
    nan = {"validation/accuracy": math.nan}
    assert Trial(clock, goal, evaluations=[nan, HIT]).run.run().outcome is Outcome.TARGET_REACHED


def test_dispatched_work_is_waited_for_on_the_clock_before_an_evaluation(clock, goal):
    trial = Trial(clock, goal, step_s=1.0, queued_s=2.0, max_steps=3)
    trial.run.run()
    assert trial.submission_s() == pytest.approx(9.0)
    assert trial.recorder.evaluations[0]["accumulated_submission_time"] == pytest.approx(3.0)


def test_dispatched_work_is_waited_for_at_the_end_of_the_budget(clock, goal):
    # 5 s and 3 s queued, waited for at the evaluation after the first step; 13 s are past the budget.
    trial = Trial(clock, goal, step_s=5.0, queued_s=3.0, budget_s=10.0)
    assert trial.run.run().ledger_s["submission"] == pytest.approx(16.0)
    assert trial.backend.queued_s == 0.0


def test_host_runs_at_most_a_few_steps_ahead(clock, goal):
    trial = Trial(clock, goal, step_s=0.1, max_steps=10)
    trial.run.run()
    waited = [params["w"] for params in trial.backend.waited_for[1:]]
    # The first step ends in an evaluation, which waits for everything.
    assert waited == list(range(2, 10 - MAX_STEPS_AHEAD + 1))


def test_submission_sees_the_state_of_the_run(clock, goal):
    trial = Trial(
        clock, goal, step_s=4.0, budget_s=30.0, eval_s=2.0, evaluations=[HIT_VALIDATION, MISS]
    )
    trial.run.run()
    steps, evaluations, states = zip(*trial.seen, strict=True)
    assert steps == (0, 1, 2, 3, 4, 5, 6, 7)
    assert evaluations == (0, 1, 1, 1, 2, 2, 2, 3)
    assert [state["accumulated_submission_time"] for state in states] == pytest.approx(
        [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0]
    )
    assert [state["validation_goal_reached"] for state in states] == [False] + [True] * 7
    assert not any(state["test_goal_reached"] for state in states)
    assert all(state["is_time_remaining"] for state in states)
    assert states[0]["last_eval_time"] == 0


def test_train_state_is_read_only(clock, goal):
    trial = Trial(clock, goal)
    update = trial.update_params

    def tamper(*, train_state, **rest):
        train_state["accumulated_submission_time"] = 0.0
        return update(train_state=train_state, **rest)

    trial.run._submission = replace(trial.submission(), update_params=tamper)
    with pytest.raises(TypeError, match="item assignment"):
        trial.run.run()


def test_train_state_is_passed_only_to_those_who_name_it(clock, goal):
    trial = Trial(clock, goal, max_steps=1)
    keywords = []

    def update(**everything):
        keywords.extend(everything)
        return None, {}, None

    trial.run._submission = replace(trial.submission(), update_params=update)
    trial.run.run()
    assert "train_state" not in keywords


def test_evaluation_rows_carry_the_published_times(clock, goal):
    trial = Trial(clock, goal, step_s=10.0, eval_s=2.0, logging_s=1.0, evaluations=[MISS, HIT])
    trial.run.run()
    times = [
        (
            row["score"],
            row["accumulated_submission_time"],
            row["accumulated_eval_time"],
            row["accumulated_logging_time"],
            row["total_duration"],
            row["global_step"],
            row["preemption_count"],
        )
        for row in trial.recorder.evaluations
    ]
    assert times == [
        pytest.approx((10.0, 10.0, 2.0, 0.0, 12.0, 1, 0)),
        pytest.approx((20.0, 20.0, 4.0, 1.0, 25.0, 2, 0)),
    ]


@pytest.mark.parametrize(
    ("returned", "said"), [((1, 2), "returned 2 values"), ([1, 2, 3], "returned a list")]
)
def test_wrong_return_of_update_params_is_said(clock, goal, returned, said):
    with pytest.raises(SubmissionError, match=said):
        Trial(clock, goal, returns=returned).run.run()


def test_wrong_return_of_prepare_for_eval_is_said(clock, goal):
    trial = Trial(clock, goal)
    trial.run._submission = replace(trial.submission(), prepare_for_eval=lambda **rest: None)
    with pytest.raises(SubmissionError, match="prepare_for_eval returned a NoneType"):
        trial.run.run()


def test_variant_without_batch_size_takes_that_of_its_base(clock, goal):
    asked = []

    def get_batch_size(name):
        asked.append(name)
        if name == "scripted_gelu":
            raise ValueError(name)
        return 8

    trial = Trial(clock, replace(goal, name="scripted_gelu", variant_of="scripted"), max_steps=1)
    trial.run._submission = replace(trial.submission(), get_batch_size=get_batch_size)
    trial.run.run()
    assert asked == ["scripted_gelu", "scripted"]


def test_data_seed_is_the_same_words_whatever_the_framework(clock, goal):
    asked = []

    class Asked(ScriptedWorkload):
        def _build_input_queue(self, data_rng, *rest):
            asked.append(data_rng)
            return super()._build_input_queue(data_rng, *rest)

    class OtherKeys(FakeBackend):
        def key(self, seed):
            return f"key of {seed}"

    for backend in (FakeBackend(clock), OtherKeys(clock)):
        trial = Trial(clock, goal, max_steps=1, backend=backend)
        trial.run._workload = Asked(goal, clock)
        trial.backend.step_keys = lambda key, step: (None,) * 4
        trial.run.run()
    assert asked[0].tolist() == asked[1].tolist() == key(derive_seed(1, "data")).tolist()


def test_unknown_workload_without_base_has_no_batch_size(clock, goal):
    def get_batch_size(name):
        raise ValueError(f"no {name}")

    trial = Trial(clock, goal)
    trial.run._submission = replace(trial.submission(), get_batch_size=get_batch_size)
    with pytest.raises(
        SubmissionError, match=r"'scripted', which suggests none.*no scripted; add one"
    ):
        trial.run.run()


def test_workload_may_suggest_a_batch_size(clock, goal):
    class Suggesting(ScriptedWorkload):
        suggested_batch_size = 6

    def get_batch_size(name):
        raise ValueError(f"no {name}")

    trial = Trial(clock, goal, max_steps=1)
    assert trial.run.run() is not None
    assert trial.run.batch_sizes[0] == 8
    trial = Trial(clock, goal, max_steps=1)
    trial.run._workload = Suggesting(goal, clock)
    trial.run._submission = replace(trial.submission(), get_batch_size=get_batch_size)
    trial.run.run()
    assert trial.run.batch_sizes[0] == 6


def test_batch_size_that_does_not_divide_by_the_devices_is_said(clock, goal):
    trial = Trial(clock, goal, backend=FakeBackend(clock, device_count=3))
    with pytest.raises(
        SubmissionError, match=r"get_batch_size\('scripted'\) gives 8.*3 devices.*is 9"
    ):
        trial.run.run()


def test_evaluation_batch_size_of_the_submission_overrides_the_workloads(clock, goal):
    trial = Trial(clock, goal, backend=FakeBackend(clock, device_count=4))
    trial.run._submission = replace(trial.submission(), get_eval_batch_size=lambda name: 6)
    with pytest.raises(SubmissionError, match=r"get_eval_batch_size.*gives 6"):
        trial.run.run()


def test_workload_without_evaluation_period_is_said(clock, goal):
    with pytest.raises(WorkloadError, match="eval_period_s"):
        Trial(clock, replace(goal, eval_period_s=None)).run.run()
