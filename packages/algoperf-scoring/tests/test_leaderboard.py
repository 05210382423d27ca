import json
import sys

import pytest

from algoperf_scoring import AlgoperfError, RuleViolationError, __version__, score_logs


@pytest.fixture
def logs(tree):
    """One fast submission, one slow one, one that misses everything."""
    for name, seconds in (("slow", 20.0), ("fast", 10.0)):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", [(5.0, 0.1), (seconds, 0.95)])
        tree.trial(f"{name}/study_0/wine_jax/trial_1", [(seconds, 0.4)])
    tree.trial("lost/study_0/digits_jax/trial_1", [(5.0, 0.1)])
    return tree.root


def test_submissions_are_ordered_by_score_then_name(tree, logs, benchmark_small):
    tree.trial("also_lost/study_0/digits_jax/trial_1", [(5.0, 0.1)])
    leaderboard = score_logs(logs, benchmark_small, method="exact")
    assert leaderboard.submissions == ("fast", "slow", "also_lost", "lost")
    assert leaderboard.scores.tolist() == pytest.approx([1.0, 2 / 3, 0.0, 0.0])
    assert leaderboard.ranks == (1, 2, 3, 3)
    assert leaderboard.times.submissions == leaderboard.submissions
    assert leaderboard.ratios[1].tolist() == [2.0, 2.0]


def test_the_method_is_the_benchmarks_unless_given(logs, benchmark_small):
    assert score_logs(logs, benchmark_small).method == "grid"
    assert score_logs(logs, benchmark_small, method="exact").method == "exact"


def test_scores_are_relative_to_the_submissions_in_the_run(logs, benchmark_small):
    alone = score_logs(logs, benchmark_small, exclude=["fast"])
    assert alone.to_dict()["scores"] == {"slow": 1.0, "lost": 0.0}


def test_a_benchmark_may_be_given_by_path(tmp_path, logs, definition, benchmark_small):
    path = tmp_path / "mine.toml"
    path.write_text(definition)
    expected = score_logs(logs, benchmark_small).to_dict()
    assert score_logs(logs, path).to_dict() == score_logs(logs, str(path)).to_dict() == expected


def test_logs_that_carry_their_definition_need_no_other(logs, benchmark_small):
    with pytest.raises(AlgoperfError, match=r"carry no benchmark\.toml.*algoperf-v0\.5, algoperf"):
        score_logs(logs)
    (logs / "fast" / "benchmark.toml").write_text(benchmark_small.to_toml())
    assert score_logs(logs).to_dict() == score_logs(logs, benchmark_small).to_dict()


def test_an_unknown_ruleset_is_refused(logs, benchmark_small):
    with pytest.raises(AlgoperfError, match="unknown ruleset 'open'"):
        score_logs(logs, benchmark_small, "open")


def test_the_dictionary_is_strict_json_with_none_for_what_is_missing(logs, benchmark_small):
    result = json.loads(json.dumps(score_logs(logs, benchmark_small).to_dict(), allow_nan=False))
    assert result["version"] == __version__
    assert (result["benchmark"], result["ruleset"], result["method"]) == (
        "small",
        "external",
        "grid",
    )
    assert (result["base"], result["held_out"]) == (["digits", "wine"], [])
    assert result["times"] == {
        "fast": {"digits": 10.0, "wine": 10.0},
        "slow": {"digits": 20.0, "wine": 20.0},
        "lost": {"digits": None, "wine": None},
    }
    assert result["ratios"]["slow"] == {"digits": 2.0, "wine": 2.0}
    assert result["ratios"]["lost"] == {"digits": None, "wine": None}
    assert result["trials"]["lost"] == {"digits": 1, "wine": 0}
    assert result["trials_reached"]["fast"] == {"digits": 1, "wine": 1}
    assert result["ranks"] == {"fast": 1, "slow": 2, "lost": 3}
    assert [found["message"] for found in result["findings"]] == [
        "trial with a single evaluation: fast/study_0/wine_jax/trial_1",
        "trial with a single evaluation: lost/study_0/digits_jax/trial_1",
        "trial with a single evaluation: slow/study_0/wine_jax/trial_1",
        "scored workload without measurements: lost/wine",
    ]
    assert [found["severity"] for found in result["findings"]] == [*["note"] * 3, "violation"]
    assert result["missed_until_s"]["fast"] == {"digits": 5.0, "wine": 0.0}
    assert result["ties"] == {"digits": [["fast", "slow"]], "wine": [["fast", "slow"]]}
    verdicts = {(row["submission"], row["workload"]): row["verdict"] for row in result["audit"]}
    assert verdicts["lost", "digits"] == "target missed"
    assert verdicts["lost", "wine"] == "no measurements"
    assert result["scoring"]["study_time"] == "earliest_evaluation"


def test_ratios_may_be_to_a_reference(logs, benchmark_small):
    leaderboard = score_logs(logs, benchmark_small, method="exact", reference="slow")
    assert leaderboard.to_dict()["ratios"]["fast"] == {"digits": 0.5, "wine": 0.5}
    assert leaderboard.to_dict()["scores"] == {"fast": 1.0, "slow": 1.0, "lost": 0.0}
    with pytest.raises(AlgoperfError, match="reference submission 'slo': did you mean 'slow'"):
        score_logs(logs, benchmark_small, reference="slo")


def test_strict_scoring_lists_every_violation(logs, benchmark_small):
    with pytest.raises(RuleViolationError) as caught:
        score_logs(logs, benchmark_small, strict=True)
    assert str(caught.value) == (
        "1 violation of the benchmark's rules:\n  scored workload without measurements: lost/wine"
    )
    assert score_logs(logs, benchmark_small, strict=True, exclude=["lost"]).ranks == (1, 2)


def test_results_become_data_frames_where_pandas_is(logs, benchmark_small):
    pandas = pytest.importorskip("pandas")
    leaderboard = score_logs(logs, benchmark_small, method="exact")
    frame = leaderboard.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.index) == ["fast", "slow", "lost"]
    assert frame.loc["slow", "wine"] == 2.0
    assert leaderboard.times.to_pandas().loc["fast", "digits"] == 10.0
    assert len(leaderboard.trials.to_pandas()) == 5


def test_without_pandas_its_name_is_told(logs, benchmark_small, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AlgoperfError, match="pip install pandas"):
        score_logs(logs, benchmark_small).to_pandas()
