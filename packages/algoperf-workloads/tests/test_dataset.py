"""A dataset's definition: prepared once, split as declared."""

from dataclasses import replace

import numpy as np
import pytest

from algoperf_toy.definition import DATASET, SIZES, TOY, make
from algoperf_workloads.dataset import ArraySpec, DatasetNotPreparedError
from algoperf_workloads.store import DatasetMismatchError, content_hash


def test_data_are_made_once_and_reused(tmp_path):
    made = []

    def counting(raw_dir):
        made.append(raw_dir)
        return make(raw_dir)

    dataset = replace(DATASET, make=counting)
    first, second = dataset.open(tmp_path), dataset.open(str(tmp_path))
    assert made == [tmp_path]
    assert first.content_hash == second.content_hash == content_hash(make(tmp_path))


def test_data_are_known_to_be_prepared_without_reading_or_making_them(tmp_path):
    assert not DATASET.is_prepared(tmp_path)
    assert not list(tmp_path.iterdir())
    DATASET.open(tmp_path)
    assert DATASET.is_prepared(tmp_path)
    assert TOY.is_prepared(tmp_path)


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    DATASET.open("~/data")
    assert (tmp_path / "data" / "prepared" / "toy" / "train.arrow").is_file()


def test_expected_content_is_accepted(tmp_path):
    expected = content_hash(make(tmp_path))
    assert replace(DATASET, content_hash=expected).open(tmp_path).content_hash == expected


def test_other_content_than_expected_is_refused(tmp_path):
    with pytest.raises(DatasetMismatchError, match="defined on: expected beef"):
        replace(DATASET, content_hash="beef").open(tmp_path)


def test_eval_train_is_evenly_spaced_in_train(data_dir):
    splits = DATASET.open(data_dir).splits
    eval_train = DATASET.examples(splits, "eval_train")
    assert len(eval_train) == 20
    found = eval_train[:]
    np.testing.assert_array_equal(found["number"], np.arange(20) * 53 // 20)
    np.testing.assert_array_equal(found["index"], found["number"])
    np.testing.assert_array_equal(found["image"], splits["train"]["image"][found["number"]])


def test_eval_train_of_all_examples_is_train(data_dir):
    splits = DATASET.open(data_dir).splits
    whole = replace(DATASET, num_eval_train_examples=SIZES["train"])
    np.testing.assert_array_equal(whole.examples(splits, "eval_train")[:]["index"], np.arange(53))


def test_splits_have_the_declared_sizes(data_dir):
    splits = DATASET.open(data_dir).splits
    for split, size in SIZES.items():
        assert len(DATASET.examples(splits, split)) == size


def test_a_definition_may_use_fewer_examples_than_are_stored(data_dir):
    splits = DATASET.open(data_dir).splits
    few = replace(DATASET, num_train_examples=7, num_eval_train_examples=3)
    np.testing.assert_array_equal(few.examples(splits, "train")[:]["number"], np.arange(7))
    np.testing.assert_array_equal(few.examples(splits, "eval_train")[:]["number"], [0, 2, 4])


def test_an_unknown_split_is_refused_with_the_known_ones(data_dir):
    splits = DATASET.open(data_dir).splits
    with pytest.raises(ValueError, match="'dev'; toy has train, eval_train, validation, test"):
        DATASET.examples(splits, "dev")


def test_data_that_take_long_are_not_made_on_opening(tmp_path):
    large = replace(DATASET, on_the_fly=False)
    with pytest.raises(DatasetNotPreparedError, match="algoperf data prepare toy --data-dir"):
        large.open(tmp_path)
    assert not list(tmp_path.iterdir())
    large.prepare(tmp_path)
    assert len(large.open(tmp_path).splits["train"]["number"]) == SIZES["train"]


def test_originals_may_lie_in_a_folder_of_the_name_of_the_dataset(tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "original.tar").write_text("")
    DATASET.prepare(tmp_path)
    assert DATASET.is_prepared(tmp_path)
    assert (tmp_path / "toy" / "original.tar").exists()


def test_data_of_a_smaller_definition_are_refused(tmp_path):
    DATASET.prepare(tmp_path)
    large = replace(DATASET, num_validation_examples=SIZES["validation"] + 1)
    for use in (large.open, large.verify):
        with pytest.raises(DatasetMismatchError, match="'validation': expected 18, found 17"):
            use(tmp_path)


def test_originals_may_lie_elsewhere(tmp_path):
    seen = []

    def looking(raw_dir):
        seen.append(raw_dir)
        return make(raw_dir)

    replace(DATASET, make=looking).prepare(tmp_path / "data", tmp_path / "raw")
    assert seen == [tmp_path / "raw"]


def test_a_dataset_may_lack_a_test_split():
    assert "test" not in replace(DATASET, num_test_examples=None).sizes()


def test_an_array_spec_makes_zeros_of_its_type():
    zeros = ArraySpec((2, 3), "int32").zeros(4)
    assert zeros.shape == (4, 2, 3)
    assert zeros.dtype == np.int32
    assert not zeros.any()


def test_processes_may_prepare_the_same_data_at_once(tmp_path, start_python):
    code = f"""
from algoperf_toy.definition import DATASET
print(DATASET.open({str(tmp_path)!r}).content_hash)
"""
    processes = [start_python(code) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert {printed.strip() for printed, _ in outputs} == {content_hash(make(tmp_path))}
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["toy"]
