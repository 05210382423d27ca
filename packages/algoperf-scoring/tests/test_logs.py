"""Log trees: what is found, what is left out and noted, what is refused."""

import os
from dataclasses import replace

import pytest

from algoperf_scoring import (
    AlgoperfError,
    DefinitionError,
    LogError,
    UnknownNameError,
    read_benchmark,
    read_logs,
    score_logs,
)
from algoperf_scoring.logs import UNSCORED_FILE, submissions_in

ROWS = [(10.0, 0.5), (20.0, 0.95)]


def paths(logs):
    return {
        (submission, workload, study, trial.number)
        for submission, workloads in logs.trials.items()
        for workload, studies in workloads.items()
        for study, trials in studies.items()
        for trial in trials
    }


def messages(logs):
    return [finding.message for finding in logs.findings]


def test_trials_are_found_by_submission_workload_and_study(tree, benchmark_small):
    path = tree.trial("sub/study_0/digits_jax/trial_2", ROWS)
    tree.trial("sub/study_0/digits_jax/trial_10", ROWS)
    tree.trial("sub/anything/wine_jax/trial_1", ROWS)
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {
        ("sub", "digits", "study_0", 2),
        ("sub", "digits", "study_0", 10),
        ("sub", "wine", "anything", 1),
    }
    first, second = logs.trials["sub"]["digits"]["study_0"]
    assert (first.number, first.framework, first.path) == (2, "jax", path)
    assert first.times.tolist() == [10.0, 20.0]
    assert first.values.tolist() == [0.5, 0.95]
    assert second.number == 10


def test_a_single_submission_is_named_after_its_folder(tree, benchmark_small, monkeypatch):
    tree.trial("mine/study_0/digits_jax/trial_1", ROWS)
    assert read_logs(tree.root / "mine", benchmark_small).submissions == ("mine",)
    monkeypatch.chdir(tree.root / "mine")
    assert read_logs(".", benchmark_small).submissions == ("mine",)


def test_an_archive_is_read_by_ruleset(tree, benchmark_small):
    tree.trial("external_tuning/one/study_0/digits_jax/trial_1", ROWS)
    tree.trial("self_tuning/two/study_0/digits_jax/trial_1", ROWS)
    for ruleset, submissions in (("external", ("one",)), ("self", ("two",))):
        assert read_logs(tree.root, benchmark_small, ruleset=ruleset).submissions == submissions


def test_files_beside_folders_are_ignored(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    for place in ("", "sub", "sub/study_0", "sub/study_0/digits_jax"):
        (tree.root / place / "digits_jax_04-01-2024.log").touch()
        (tree.root / place / "benchmark.txt").touch()
    (tree.root / ".git").mkdir()
    assert paths(read_logs(tree.root, benchmark_small)) == {("sub", "digits", "study_0", 1)}


def test_a_trial_without_measurements_is_noted_and_not_there(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.folder("sub/study_0/digits_jax/trial_2")
    tree.folder("sub/study_1/digits_jax/trial_1")
    logs = read_logs(tree.root, benchmark_small)
    assert list(logs.studies("sub", "digits")) == ["study_0"]
    assert messages(logs) == [
        "trial without eval_measurements.csv: sub/study_0/digits_jax/trial_2",
        "trial without eval_measurements.csv: sub/study_1/digits_jax/trial_1",
    ]
    assert logs.folders == {"sub": {"digits": 3}}


def test_a_trial_marked_as_unscored_is_noted_and_not_there(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    for place in ("sub/study_0/digits_jax/trial_2", "sub/study_0/spare_jax/trial_1"):
        path = tree.trial(place, ROWS)
        path.rename(path.with_name(UNSCORED_FILE))
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {("sub", "digits", "study_0", 1)}
    message = "trial marked as unscored, for example profiled, left out"
    assert [text for text in messages(logs) if text.startswith(message)] == [
        f"{message}: sub/study_0/digits_jax/trial_2",
        f"{message}: sub/study_0/spare_jax/trial_1",
    ]


def test_a_file_without_header_is_noted_and_not_there(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.trial("sub/study_0/digits_jax/trial_2", ROWS).write_text("")
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {("sub", "digits", "study_0", 1)}
    assert "no complete header: sub/study_0/digits_jax/trial_2" in messages(logs)[0]


def test_stray_trials_under_a_study_are_ignored_with_a_note(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.trial("sub/study_0/trial_1", ROWS)
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {("sub", "digits", "study_0", 1)}
    assert (
        messages(logs)[0] == "trial folder outside a workload folder ignored: sub/study_0/trial_1"
    )


def test_a_workload_that_is_known_but_not_scored_is_ignored_with_a_note(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    for study in (0, 1):
        tree.trial(f"sub/study_{study}/spare_jax/trial_1", ROWS)
    tree.folder("sub/study_1/spare_jax/trial_2")
    logs = read_logs(tree.root, benchmark_small)
    assert list(logs.trials["sub"]) == ["digits"]
    assert messages(logs) == [
        "trial without eval_measurements.csv: sub/study_1/spare_jax/trial_2",
        "workload ignored because the benchmark does not score it: sub/spare (2 studies)",
    ]


def test_folders_without_trials_are_ignored_with_a_note(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.folder("sub/study_0/traces")
    tree.folder("plots/png")
    logs = read_logs(tree.root, benchmark_small)
    assert logs.submissions == ("sub",)
    assert "folder without trials ignored: sub/study_0/traces" in messages(logs)
    assert "folder without trials ignored: plots" in messages(logs)


def test_a_submission_whose_trials_all_lack_measurements_is_still_scored(tree, benchmark_small):
    tree.trial("good/study_0/digits_jax/trial_1", ROWS)
    tree.folder("crashed/study_0/digits_jax/trial_1")
    assert score_logs(tree.root, benchmark_small).to_dict()["scores"] == {
        "good": 0.5,
        "crashed": 0.0,
    }


def test_time_stamped_folders_count_to_their_submission(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.trial("sub-2026-01-02-03-04-05/study_0/digits_jax/trial_2", ROWS)
    tree.trial("alone-2026-01-02-03-04-05/study_0/digits_jax/trial_1", ROWS)
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {
        ("sub", "digits", "study_0", 1),
        ("sub", "digits", "study_0", 2),
        ("alone", "digits", "study_0", 1),
    }
    assert sum(text.startswith("time-stamped folder") for text in messages(logs)) == 2


def test_the_same_trial_in_two_time_stamped_folders_is_refused(tree, benchmark_small):
    for stamp in ("", "-2026-01-02-03-04-05"):
        tree.trial(f"sub{stamp}/study_0/digits_jax/trial_1", ROWS)
    with pytest.raises(LogError, match="are the same trial of submission 'sub'; keep one"):
        read_logs(tree.root, benchmark_small)


def test_an_unknown_workload_is_refused_with_the_nearest_name(tree, benchmark_small):
    tree.trial("sub/study_0/digit_jax/trial_1", ROWS)
    with pytest.raises(UnknownNameError, match=r"study_0/digit_jax: unknown workload 'digit': did"):
        read_logs(tree.root, benchmark_small)


def test_a_workload_in_both_frameworks_is_refused(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.trial("sub/study_1/digits_pytorch/trial_1", ROWS)
    with pytest.raises(LogError, match=r"'sub' has the workload 'digits' in two frameworks"):
        read_logs(tree.root, benchmark_small)


def test_two_submissions_may_use_two_frameworks(tree, benchmark_small):
    tree.trial("one/study_0/digits_jax/trial_1", ROWS)
    tree.trial("two/study_0/digits_pytorch/trial_1", ROWS)
    assert read_logs(tree.root, benchmark_small).submissions == ("one", "two")


def test_a_missing_column_names_the_file(tree, benchmark_small):
    path = tree.trial("sub/study_0/digits_jax/trial_1", ROWS, metric="loss")
    with pytest.raises(LogError, match=rf"{path}: no column 'validation/accuracy'"):
        read_logs(tree.root, benchmark_small)


def test_the_time_column_is_that_of_the_benchmark(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    rules = replace(benchmark_small.scoring, time_column="global_step")
    logs = read_logs(tree.root, replace(benchmark_small, scoring=rules))
    assert logs.trials["sub"]["digits"]["study_0"][0].times.tolist() == [0.0, 1.0]


def test_no_trials_at_all_is_an_error_that_says_the_layout(tree, benchmark_small):
    tree.folder("sub/study_0")
    with pytest.raises(LogError, match=r"no trials found; the expected layout is <submission>/<st"):
        read_logs(tree.root, benchmark_small)


def test_a_root_one_level_too_high_is_told_where_to_look(tree, benchmark_small):
    tree.trial("external_tuning/sub/study_0/digits_jax/trial_1", ROWS)
    with pytest.raises(LogError, match=rf"one level further down: try {tree.root}/external_tuning"):
        read_logs(tree.root, benchmark_small)


@pytest.mark.parametrize("below", ["study_0", "study_0/digits_jax"])
def test_a_root_too_deep_is_told_where_to_look(tree, benchmark_small, below):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    with pytest.raises(LogError, match=rf"too close: try {tree.root}/sub\."):
        read_logs(tree.root / "sub" / below, benchmark_small)


def test_a_missing_folder_is_named(tmp_path, benchmark_small):
    with pytest.raises(LogError, match=rf"{tmp_path}/no: no such folder"):
        read_logs(tmp_path / "no", benchmark_small)
    with pytest.raises(LogError, match="no such folder"):
        read_benchmark(tmp_path / "no")


def test_submissions_can_be_chosen(tree, benchmark_small):
    for name in ("adam", "sgd", "lion"):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", ROWS)
    assert read_logs(tree.root, benchmark_small, include=["sgd"]).submissions == ("sgd",)
    rest = read_logs(tree.root, benchmark_small, exclude=["sgd"])
    assert rest.submissions == ("adam", "lion")
    with pytest.raises(UnknownNameError, match="submission 'adm': did you mean 'adam'"):
        read_logs(tree.root, benchmark_small, exclude=["adm"])
    with pytest.raises(AlgoperfError, match="no submission is left"):
        read_logs(tree.root, benchmark_small, include=["sgd"], exclude=["sgd"])


def test_nothing_depends_on_the_order_of_the_file_system(tree, benchmark_small, monkeypatch):
    for submission in ("one", "two"):
        for study in (0, 1):
            for trial in (1, 2, 3):
                where = f"{submission}/study_{study}/digits_jax/trial_{trial}"
                tree.trial(where, [(10.0 * trial, 0.5), (30.0 - trial - study, 0.9)])
    expected = score_logs(tree.root, benchmark_small).to_dict()

    class Reversed:
        def __init__(self, path):
            self.entries = sorted(original(path), key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            return None

    original = os.scandir
    monkeypatch.setattr("algoperf_scoring.layout.os.scandir", Reversed)
    assert score_logs(tree.root, benchmark_small).to_dict() == expected


def test_the_copies_of_the_definition_are_found(tree, benchmark_small):
    assert read_benchmark(tree.folder("")) is None
    for name in ("one", "two"):
        tree.trial(f"{name}/study_0/digits_jax/trial_1", ROWS)
        (tree.root / name / "benchmark.toml").write_text(benchmark_small.to_toml())
    tree.trial("without/study_0/digits_jax/trial_1", ROWS)
    assert read_benchmark(tree.root) == benchmark_small
    assert read_benchmark(tree.root / "one") == benchmark_small


def test_copies_that_differ_are_refused(tree, benchmark_small):
    for name, summary in (("one", "first"), ("two", "second")):
        text = replace(benchmark_small, summary=summary).to_toml()
        (tree.folder(name) / "benchmark.toml").write_text(text)
    with pytest.raises(LogError, match=r"two/benchmark\.toml and .*one/benchmark\.toml differ"):
        read_benchmark(tree.root)


def test_a_broken_copy_is_named(tree):
    path = tree.folder("one") / "benchmark.toml"
    path.write_text("nonsense")
    with pytest.raises(DefinitionError, match=rf"{path}: not valid TOML"):
        read_benchmark(tree.root)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LogError, match=rf"{path}: cannot be read"):
        read_benchmark(tree.root)


def test_a_definition_in_logs_may_only_build_on_installed_benchmarks(tree, tmp_path, definition):
    (tmp_path / "secret.toml").write_text(definition)
    text = f'name = "mine"\nextends = "{tmp_path}/secret.toml"\n'
    (tree.folder("one") / "benchmark.toml").write_text(text)
    with pytest.raises(AlgoperfError, match="extends"):
        read_benchmark(tree.root)


def test_several_roots_are_read_together(tree, benchmark_small):
    for root, name in (("a", "one"), ("b", "two")):
        tree.trial(f"{root}/{name}/study_0/digits_jax/trial_1", ROWS)
    roots = [tree.root / "a", tree.root / "b" / "two"]
    assert read_logs(roots, benchmark_small).submissions == ("one", "two")
    assert submissions_in(roots) == ("one", "two")


def test_two_roots_with_the_same_submission_are_refused(tree, benchmark_small):
    for root in ("a", "b"):
        tree.trial(f"{root}/one/study_0/digits_jax/trial_1", ROWS)
    with pytest.raises(LogError, match=r"b/one and .*a/one are both called 'one'; rename one"):
        read_logs([tree.root / "a", tree.root / "b"], benchmark_small)


def test_links_are_followed_and_found(tree, benchmark_small):
    path = tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    (tree.root / "sub/study_0/digits_jax/trial_2").symlink_to("trial_1")
    (tree.folder("sub/study_0/digits_jax/trial_3") / path.name).symlink_to(path)
    logs = read_logs(tree.root, benchmark_small)
    assert len(paths(logs)) == 3
    assert messages(logs) == [
        "symbolic link followed: sub/study_0/digits_jax/trial_2",
        "symbolic link followed: sub/study_0/digits_jax/trial_3/eval_measurements.csv",
    ]


def test_of_trial_folders_with_one_number_one_is_read(tree, benchmark_small):
    tree.trial("sub/study_0/digits_jax/trial_1", ROWS)
    tree.trial("sub/study_0/digits_jax/trial_1_old", ROWS)
    logs = read_logs(tree.root, benchmark_small)
    assert paths(logs) == {("sub", "digits", "study_0", 1)}
    assert messages(logs) == [
        "trial folder ignored because another has its number: sub/study_0/digits_jax/trial_1_old"
    ]
