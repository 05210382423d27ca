import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_gnn import average_precision, average_precision_by_task

# Few distinct scores, so that most rankings have ties.
examples = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12)
rankings = examples.filter(lambda ranking: any(positive for _, positive in ranking))


def precision_of(ranking):
    """Compute the average precision of a list of `(score, positive)`."""
    return average_precision([score for score, _ in ranking], [hit for _, hit in ranking])


def precision_by_definition(ranking):
    """Sum precision times gain in recall, threshold by threshold."""
    positives = sum(hit for _, hit in ranking)
    total, recall = 0.0, 0.0
    for threshold in sorted({score for score, _ in ranking}, reverse=True):
        taken = [hit for score, hit in ranking if score >= threshold]
        gained = sum(taken) / positives - recall
        total, recall = total + gained * sum(taken) / len(taken), sum(taken) / positives
    return total


def test_nothing_to_rank_has_no_average_precision():
    assert math.isnan(average_precision([], []))


def test_no_positive_has_no_average_precision():
    assert math.isnan(average_precision([0.1, 0.9], [0, 0]))


def test_score_of_nan_makes_the_result_nan():
    assert math.isnan(average_precision([0.1, math.nan], [1, 0]))


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([0.3], [1], 1.0),
        ([0.9, 0.1], [1, 0], 1.0),
        ([0.9, 0.1], [0, 1], 0.5),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 0.25),
        ([0.9, 0.8, 0.3], [1, 0, 1], 5 / 6),
        ([math.inf, math.inf, -math.inf], [1, 0, 0], 0.5),
    ],
    ids=["single", "perfect", "reversed", "all tied", "mixed", "infinite ties"],
)
def test_small_rankings(scores, positive, expected):
    assert average_precision(scores, positive) == pytest.approx(expected)


@given(rankings)
def test_any_ranking_follows_the_definition(ranking):
    assert precision_of(ranking) == pytest.approx(precision_by_definition(ranking))


@given(rankings, st.randoms(use_true_random=False))
def test_order_of_the_examples_does_not_matter(ranking, random):
    shuffled = ranking.copy()
    random.shuffle(shuffled)
    assert precision_of(shuffled) == precision_of(ranking)


@given(rankings)
def test_increasing_transforms_change_nothing(ranking):
    assert precision_of([(math.exp(score), hit) for score, hit in ranking]) == precision_of(ranking)


@given(rankings)
def test_only_positives_rank_perfectly(ranking):
    assert precision_of([(score, True) for score, _ in ranking]) == pytest.approx(1)


def test_tasks_are_ranked_over_their_labelled_examples_only():
    scores = np.asarray([[0.9, 0.9, 0.5], [0.1, 0.1, 0.6], [0.5, 0.5, 0.7]])
    positive = np.asarray([[0, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    labelled = np.asarray([[1, 0, 1], [1, 1, 1], [1, 1, 0]], bool)
    precisions = average_precision_by_task(scores, positive, labelled)
    np.testing.assert_allclose(precisions, [1 / 3, 1 / 2, math.nan])


def test_no_tasks_give_no_precisions():
    nothing = np.zeros((4, 0), bool)
    assert average_precision_by_task(np.zeros((4, 0)), nothing, nothing).shape == (0,)


def test_wrong_shapes_name_the_argument():
    with pytest.raises(ValueError, match=r"scores has shape \(1, 2\)"):
        average_precision([[1, 2]], [[1, 0]])
    with pytest.raises(ValueError, match=r"positive has shape \(3,\), expected \(2,\)"):
        average_precision([1, 2], [1, 0, 1])
