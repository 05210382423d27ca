"""Names of folders, and where submissions are."""

import pytest

from algoperf_scoring import LogError
from algoperf_scoring.layout import (
    Folder,
    find_submissions,
    subfolders,
    trial_folders,
    trial_number,
    workload_and_framework,
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("trial_1", 1),
        ("trial_12", 12),
        ("trial_3_resumed", 3),
        ("trial_", None),
        ("trial", None),
        ("my_trial_1", None),
        ("Trial_1", None),
        ("trial_٣", None),
    ],
)
def test_a_trial_folder_starts_with_trial_and_its_number(name, number):
    assert trial_number(name) == number


@pytest.mark.parametrize(
    ("folder", "workload", "framework"),
    [
        ("ogbg_jax", "ogbg", "jax"),
        ("criteo1tb_embed_init_pytorch", "criteo1tb_embed_init", "pytorch"),
        ("ogbg", "ogbg", ""),
        ("ogbg_torch", "ogbg_torch", ""),
        ("jax_jax_jax", "jax_jax", "jax"),
    ],
)
def test_one_framework_suffix_is_split_off(folder, workload, framework):
    assert workload_and_framework(folder) == (workload, framework)


def test_subfolders_are_sorted_without_files_and_hidden_ones(tree):
    for name in ("b", "a", ".hidden", "c"):
        tree.folder(name)
    (tree.root / "aa").touch()
    assert [folder.name for folder in subfolders(str(tree.root))] == ["a", "b", "c"]


def test_a_linked_folder_is_a_folder(tree):
    tree.folder("real/inner")
    (tree.root / "linked").symlink_to("real")
    folders = subfolders(str(tree.root))
    assert [(folder.name, folder.link) for folder in folders] == [("linked", True), ("real", False)]


def test_a_folder_that_cannot_be_listed_is_named(tree):
    with pytest.raises(LogError, match=r"gone: cannot list this folder: No such file"):
        subfolders(str(tree.root / "gone"))


def test_trials_are_in_order_of_their_number_not_of_their_name(tree):
    for number in (10, 2, 1):
        tree.folder(f"digits_jax/trial_{number}")
    tree.folder("digits_jax/checkpoints")
    trials, others = trial_folders(str(tree.root / "digits_jax"))
    assert [number for number, _ in trials] == [1, 2, 10]
    assert [(kind, folder.name) for kind, folder in others] == [("no_trial", "checkpoints")]


def test_of_folders_with_one_number_the_plainest_counts(tree):
    for name in ("trial_1_old", "trial_01", "trial_1", "trial_2_resumed"):
        tree.folder(f"digits_jax/{name}")
    trials, others = trial_folders(str(tree.root / "digits_jax"))
    assert [(number, folder.name) for number, folder in trials] == [
        (1, "trial_1"),
        (2, "trial_2_resumed"),
    ]
    assert [(kind, folder.name) for kind, folder in others] == [
        ("same_trial", "trial_01"),
        ("same_trial", "trial_1_old"),
    ]


def test_a_tree_of_submissions_is_told_from_one_submission(tree):
    tree.folder("sub/study_0/digits_jax/trial_1")
    expected = {"sub": [Folder("sub", str(tree.root / "sub"), False)]}
    assert find_submissions(tree.root) == (expected, ())
    assert find_submissions(tree.root / "sub") == (expected, ())


def test_stray_trials_do_not_make_a_tree_look_like_one_submission(tree):
    tree.folder("a_stray/study_0/trial_1")
    tree.folder("sub/study_0/digits_jax/trial_1")
    assert list(find_submissions(tree.root)[0]) == ["a_stray", "sub"]


def test_only_a_whole_time_stamp_is_one(tree):
    stamped = "adam-2026-11-22-10-20-30"
    for name in (stamped, "adam-2026-11-22", "adam-v2"):
        tree.folder(f"{name}/study_0/digits_jax/trial_1")
    submissions, findings = find_submissions(tree.root)
    assert list(submissions) == ["adam", "adam-2026-11-22", "adam-v2"]
    assert [folder.name for folder in submissions["adam"]] == [stamped]
    assert [found.message for found in findings] == [
        f"time-stamped folder counted to its submission: {stamped} (counts as adam)"
    ]


def test_a_file_is_no_tree(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(LogError, match="no such folder; give the folder that holds <submission>"):
        find_submissions(tmp_path / "logs")
