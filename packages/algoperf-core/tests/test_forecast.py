"""When a campaign will be over."""

import pytest

from algoperf_core.durations import in_words
from algoperf_core.forecast import Work, campaign_seconds_left, trial_seconds_left

TO_DO = Work(workload="toy", budget_s=100.0)
HALF = Work(workload="toy", budget_s=100.0, submission_s=50.0, wall_s=75.0, running=True)
DONE = Work(workload="toy", budget_s=100.0, submission_s=40.0, wall_s=60.0, over=True)


def test_running_trial_has_the_rest_of_its_budget_at_its_own_speed():
    assert trial_seconds_left(HALF) == pytest.approx(75.0)


def test_trial_past_its_budget_has_nothing_left():
    over = Work(workload="toy", budget_s=10.0, submission_s=11.0, wall_s=12.0, running=True)
    assert trial_seconds_left(over) == 0.0


@pytest.mark.parametrize("work", [TO_DO, Work(workload="toy", budget_s=None, submission_s=3.0)])
def test_nothing_is_known_before_the_first_step_or_without_a_budget(work):
    assert trial_seconds_left(work) is None


def test_trial_to_do_takes_its_budget_with_the_share_of_evaluations_seen_so_far():
    assert campaign_seconds_left([HALF, TO_DO], at_a_time=1) == pytest.approx(75.0 + 150.0)


def test_trial_to_do_takes_what_finished_ones_of_its_workload_took():
    assert campaign_seconds_left([DONE, TO_DO, TO_DO], at_a_time=1) == pytest.approx(120.0)


def test_running_trial_is_expected_to_take_what_finished_ones_took_until_it_has():
    early = Work(workload="toy", budget_s=100.0, submission_s=10.0, wall_s=15.0, running=True)
    assert campaign_seconds_left([DONE, early], at_a_time=1) == pytest.approx(45.0)
    assert campaign_seconds_left([DONE, HALF], at_a_time=1) == pytest.approx(75.0)


def test_failed_trial_says_nothing_of_others():
    crashed = Work(
        workload="toy", budget_s=100.0, submission_s=1.0, wall_s=1.0, over=True, typical=False
    )
    assert campaign_seconds_left([crashed, TO_DO], at_a_time=1) == pytest.approx(100.0)


def test_other_workloads_say_nothing_but_the_share_of_evaluations():
    other = Work(workload="other", budget_s=10.0, submission_s=10.0, wall_s=20.0, over=True)
    assert campaign_seconds_left([other, TO_DO], at_a_time=1) == pytest.approx(200.0)


def test_trials_at_a_time_share_the_work_but_none_is_split():
    assert campaign_seconds_left([TO_DO] * 4, at_a_time=2) == pytest.approx(200.0)
    assert campaign_seconds_left([TO_DO] * 2, at_a_time=8) == pytest.approx(100.0)


def test_complete_campaign_has_nothing_left():
    assert campaign_seconds_left([DONE], at_a_time=1) == 0.0


def test_forecast_is_none_when_nothing_runs_or_a_budget_is_not_known():
    assert campaign_seconds_left([TO_DO], at_a_time=0) is None
    assert campaign_seconds_left([Work(workload="toy", budget_s=None)], at_a_time=1) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.54, "9.5 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (3600.0, "1 h"),
        (11460.0, "3 h 11 min"),
        (86399.0, "24 h"),
        (187200.0, "2 d 4 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds, words):
    assert in_words(seconds) == words
