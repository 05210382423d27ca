"""The published field: the tables are what the logs say, and score as they do."""

import importlib.util
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from algoperf_scoring.benchmark import Benchmark, load_benchmark
from algoperf_scoring.counting import counted_times
from algoperf_scoring.errors import AlgoperfError
from algoperf_scoring.profiles import benchmark_score, performance_ratios
from algoperf_scoring.published import published_fields, published_times
from algoperf_scoring.times import times_to_target

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "published_leaderboards.json").read_text())
VERSIONS = sorted(EXPECTED)
PROCEDURE = HERE.parent / "procedures" / "make_published_tables.py"


def table(version: str) -> bytes:
    return (files("algoperf_scoring") / "published_tables" / f"{version}-external.csv").read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_table_gives_the_published_times(version):
    benchmark = load_benchmark(version)
    times = times_to_target(published_times(version, "external"), benchmark.scoring.study_time)
    assert times.workloads == benchmark.scored
    assert set(times.submissions) == set(EXPECTED[version]["times"])
    for row, submission in enumerate(times.submissions):
        for column, workload in enumerate(times.workloads):
            expected = EXPECTED[version]["times"][submission][workload]
            seconds = times.seconds[row, column]
            assert seconds == expected if expected is not None else not np.isfinite(seconds)
        absent = {times.workloads[i] for i in np.flatnonzero(np.isnan(times.seconds[row]))}
        assert absent == set(EXPECTED[version]["absent"].get(submission, []))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", ["grid", "exact"])
@pytest.mark.parametrize("study_time", ["earliest_evaluation", "fastest_trial"])
def test_the_table_gives_the_published_scores(version, method, study_time):
    benchmark = load_benchmark(version)
    times = times_to_target(published_times(benchmark, "external"), study_time)
    counted = counted_times(times.seconds, times.workloads, benchmark)
    scores = dict(zip(times.submissions, benchmark_score(counted, method=method), strict=True))
    key = method if study_time == "earliest_evaluation" else f"{method}_fastest_trial"
    assert scores == pytest.approx(EXPECTED[version][key], abs=1e-12, rel=0)
    if key == "grid":
        rounded = {name: round(float(score), 4) for name, score in scores.items()}
        assert rounded == EXPECTED[version]["published"]
        for row, submission in enumerate(times.submissions):
            expected = list(EXPECTED[version]["ratios"][submission].values())
            ratios = performance_ratios(counted)[row]
            assert [x if np.isfinite(x) else None for x in ratios] == pytest.approx(expected)


@pytest.mark.skipif(not PROCEDURE.is_file(), reason="the procedure is not here")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_procedure_makes_the_table_out_of_the_logs(version, published_logs, tmp_path):
    spec = importlib.util.spec_from_file_location("make_published_tables", PROCEDURE)
    procedure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(procedure)
    out = tmp_path / "table.csv"
    procedure.main([str(published_logs(version)), version, str(out)])
    assert out.read_bytes() == table(version)


def test_the_fields_are_those_of_the_external_ruleset():
    assert published_fields() == (("algoperf-v0.5", "external"), ("algoperf-v0.6", "external"))


@pytest.mark.parametrize(
    ("field", "ruleset"), [("algoperf-v0.5", "self"), ("mine", "external"), ("../x", "external")]
)
def test_an_unknown_field_is_refused_with_what_there_is(field, ruleset):
    known = r"There are: algoperf-v0\.5 external; algoperf-v0\.6 external"
    with pytest.raises(AlgoperfError, match=rf"'{field}' under the ruleset '{ruleset}'.*{known}"):
        published_times(field, ruleset)


def test_a_definition_that_extends_a_published_one_may_use_its_field():
    mine = Benchmark.from_toml(
        'name = "mine"\nextends = "algoperf-v0.5"\nexclude = ["wmt", "fastmri_tanh"]\n'
    )
    times = published_times("algoperf-v0.5", "external", benchmark=mine)
    assert times.workloads == mine.scored
    assert len(times.submissions) == 11
    with pytest.raises(AlgoperfError, match="no published results of 'mine'"):
        published_times(mine, "external")


def test_a_workload_of_ones_own_has_no_published_times():
    mine = Benchmark.from_toml(
        'name = "mine"\nextends = "algoperf-v0.6"\nbase = ["mnist", "ogbg"]\n'
    )
    seconds = published_times("algoperf-v0.6", "external", benchmark=mine).seconds
    assert np.isnan(seconds[:, 0]).all()
    assert np.isfinite(seconds[:, 1]).any()


def test_times_to_another_target_are_not_compared():
    v06 = load_benchmark("algoperf-v0.6")
    easier = replace(v06.workload("wmt"), validation_target=20.0)
    mine = replace(v06, workloads={**v06.workloads, "wmt": easier})
    with pytest.raises(AlgoperfError, match=r"the target of 'wmt' is bleu 20\.0, but published"):
        published_times("algoperf-v0.6", "external", benchmark=mine)
    without = mine.subset(exclude=["wmt"])
    assert published_times(v06, "external", benchmark=without).workloads == without.scored


@pytest.mark.parametrize("version", VERSIONS)
def test_every_trial_has_a_lower_end_before_its_time(version):
    for row in published_times(version, "external").rows():
        assert 0.0 <= row.missed_until_s < row.seconds
        assert (row.evaluation >= 0) == np.isfinite(row.seconds)
