"""Ranks of scores."""

import pytest

from algoperf_scoring.ranks import rank_range, shared_ranks


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        ([0.5], [1]),
        ([0.5, 0.7, 0.6], [3, 1, 2]),
        ([0.5, 0.7, 0.7], [3, 1, 1]),
        ([0.7, 0.5, 0.7, 0.1], [1, 3, 1, 4]),
        ([0.0, 0.0], [1, 1]),
        ([0.1 + 0.2, 0.3], [1, 1]),
        ([], []),
    ],
)
def test_equal_scores_share_the_better_rank(scores, ranks):
    assert shared_ranks(scores).tolist() == ranks
    assert shared_ranks([scores, scores]).tolist() == [ranks, ranks]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([1.0, 0.0, 0.0], (1, 1)),
        ([0.5, 0.5, 0.0], (1, 2)),
        ([0.01, 0.98, 0.01], (2, 2)),
        ([0.1, 0.2, 0.7], (1, 3)),
        ([0.0, 0.0, 1.0], (3, 3)),
    ],
)
def test_the_range_of_ranks_cuts_off_both_ends_alike(probabilities, expected):
    assert rank_range(probabilities, 0.95) == expected
