"""The sampler equals the published one; search spaces say what is wrong with them."""

import doctest
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core import tuning
from algoperf_core.errors import SearchSpaceError
from algoperf_core.tuning import (
    halton_points,
    hyperparameters,
    load_search_space,
    order_seed,
    parse_search_space,
    trial_indices,
)

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "halton.json").read_text())
SAMPLED = [name for name, space in GOLDEN["spaces"].items() if "points_20_before_shuffle" in space]


def space(name):
    return parse_search_space(GOLDEN["spaces"][name]["search_space"], name)


def close(point, expected):
    assert list(point) == list(expected)
    for name, value in expected.items():
        if isinstance(value, float):
            assert point[name] == pytest.approx(value, rel=1e-12)
        else:
            assert type(point[name]) is type(value)
            assert point[name] == value


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("count", [1, 5, 15, 20])
def test_points_are_the_published_set(name, count):
    expected = GOLDEN["spaces"][name]["points_20_before_shuffle"][:count]
    for point, golden in zip(space(name).points(count), expected, strict=True):
        close(point, golden)


@pytest.mark.parametrize("dimensions", sorted(GOLDEN["raw_unit_cube"], key=int))
def test_unit_cube_points_are_the_published_ones(dimensions):
    golden = GOLDEN["raw_unit_cube"][dimensions]["points_first_5_before_shuffle"]
    assert halton_points(5, int(dimensions)) == [pytest.approx(row, rel=1e-12) for row in golden]


@pytest.mark.parametrize("case", sorted(GOLDEN["permutations"]))
def test_seeded_order_is_that_of_the_published_shuffle(case):
    count, seed = (int(part.partition("=")[2]) for part in case.split(","))
    sampled = space("linear")
    unshuffled = sampled.points(count)
    expected = [unshuffled[index] for index in GOLDEN["permutations"][case]]
    assert sampled.shuffled(count, seed) == expected


@pytest.mark.parametrize("count", [3, 5, 15, 20])
def test_listed_points_keep_the_order_of_the_file(count):
    golden = GOLDEN["spaces"]["list_of_points"]
    assert (
        space("list_of_points").shuffled(count, seed=7)
        == golden[f"returned_for_num_trials_{count}"]
    )


def test_studies_share_out_one_set_of_points():
    sampled = space("mixed")
    studies = sampled.study_points(studies=3, trials=5, seed=11)
    flat = [point for study in studies for point in study]
    key = str
    assert [len(study) for study in studies] == [5, 5, 5]
    assert sorted(flat, key=key) == sorted(sampled.points(15), key=key)
    assert studies == sampled.study_points(studies=3, trials=5, seed=11)
    assert studies != sampled.study_points(studies=3, trials=5, seed=12)


def test_every_study_takes_the_listed_points():
    listed = space("list_of_points")
    assert listed.study_points(studies=2, trials=3, seed=0) == [listed.points(3)] * 2


def test_list_shorter_than_the_trials_is_said():
    with pytest.raises(SearchSpaceError, match="lists 5 points and the ruleset has 6 trials"):
        space("list_of_points").study_points(studies=1, trials=6, seed=0)


def test_hyperparameters_are_read_by_attribute_in_the_order_of_the_file():
    point = hyperparameters({"learning_rate": 0.1, "beta2": 0.999})
    assert type(point).__name__ == "Hyperparameters"
    assert point._fields == ("learning_rate", "beta2")
    assert point.learning_rate == 0.1
    assert not hasattr(point, "dropout_rate")


@given(
    low=st.floats(1e-6, 1e3),
    factor=st.floats(1.0, 1e6),
    log=st.booleans(),
    count=st.integers(1, 30),
)
def test_sampled_values_stay_in_their_range(low, factor, log, count):
    axis = {"min": low, "max": low * factor, "scaling": "log" if log else "linear"}
    values = [point["x"] for point in parse_search_space({"x": axis}, "x").points(count)]
    assert all(low * (1 - 1e-12) <= value <= low * factor * (1 + 1e-12) for value in values)


@given(st.integers(1, 40), st.integers(1, 12))
def test_points_lie_in_the_unit_cube_and_extend_shorter_sequences(count, dimensions):
    points = halton_points(count, dimensions)
    assert all(0.0 <= u < 1.0 and math.isfinite(u) for row in points for u in row)
    assert halton_points(count + 3, dimensions)[:count] == points


def test_many_dimensions_use_larger_primes():
    assert len(halton_points(1, 200)[0]) == 200


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "an empty dict"),
        ([], "an empty list"),
        (3, "a int"),
        ({"x": 3}, "x: a range is"),
        ({"x": {"min": 1}}, "x: a range is"),
        ({"x": {"min": 1, "max": 2, "step": 1}}, "x: a range is"),
        ({"x": {"min": "1", "max": 2}}, "x: min is a finite number, not '1'"),
        ({"x": {"min": 1, "max": True}}, "x: max is a finite number"),
        ({"x": {"min": 1, "max": math.inf}}, "x: max is a finite number"),
        ({"x": {"min": 3, "max": 2}}, "min 3 is above max 2"),
        ({"x": {"min": 0, "max": 2, "scaling": "log"}}, "a log range starts above 0"),
        ({"x": {"min": 1, "max": 2, "scaling": "cubic"}}, "'cubic'"),
        ({"x": {"feasible_points": []}}, "at least one value"),
        ({"x": {"feasible_points": 3}}, "at least one value"),
        ({"learning rate": {"min": 1, "max": 2}}, "'learning rate' cannot be the name"),
        ([{"x": 1}, {"y": 1}], "point 1 and point 0 differ in x, y"),
        ([{"x": 1}, 2], "point 1 is not an object"),
        ({"lambda": {"min": 1, "max": 2}}, "'lambda' cannot be the name.*no word of Python's"),
        ({"_x": {"min": 1, "max": 2}}, "'_x' cannot be the name"),
        ([{"x": 1, "class": 2}], "'class' cannot be the name"),
        ({"x": {"min": 1, "max": 10**400}}, "x: max is a finite number, not a huge integer"),
        ({"x": {"min": -1e308, "max": 1e308}}, "x: min is a finite number"),
        ({"x": {"min": 1e-300, "max": 1, "scaling": "log"}}, "a log range starts above 0"),
    ],
)
def test_malformed_search_space_names_source_field_and_fault(data, said):
    with pytest.raises(SearchSpaceError, match=said) as error:
        parse_search_space(data, "space.json")
    assert str(error.value).startswith("space.json: ")


def test_missing_search_space_names_the_file(tmp_path):
    with pytest.raises(SearchSpaceError, match=r"none\.json: cannot read"):
        load_search_space(tmp_path / "none.json")


def test_search_space_that_is_not_json_names_file_and_line(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"x": \n oops}')
    with pytest.raises(SearchSpaceError, match=r"space\.json: not valid JSON: .*line 2"):
        load_search_space(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": {"min": 1, "max": 2}, "x": {"min": 1, "max": 3}}', "x given twice"),
        ('{"x": {"min": 1, "max": 2, "max": 3}}', "max given twice"),
        ('[{"x": 1, "x": 2}]', "x given twice"),
        ('{"x": {"feasible_points": [1, NaN]}}', "NaN is no number of JSON"),
        ('{"x": {"min": 1, "max": Infinity}}', "Infinity is no number of JSON"),
    ],
)
def test_json_that_python_would_swallow_is_refused(tmp_path, text, said):
    path = tmp_path / "space.json"
    path.write_text(text)
    with pytest.raises(SearchSpaceError, match=rf"space\.json: {said}"):
        load_search_space(path)


def test_search_space_that_is_not_text_is_said(tmp_path):
    path = tmp_path / "space.json"
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(SearchSpaceError, match="not UTF-8 text"):
        load_search_space(path)


def test_negative_number_of_points_is_refused():
    with pytest.raises(SearchSpaceError, match="not -1"):
        space("linear").points(-1)


def test_documented_examples_are_true():
    assert doctest.testmod(tuning).failed == 0


def test_public_names_are_documented_and_complete():
    assert all(getattr(tuning, name).__doc__ for name in tuning.__all__ if name != "Point")


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0:5", (0, 1, 2, 3, 4)),
        ("1:3", (1, 2)),
        (":2", (0, 1)),
        ("3:", (3, 4)),
        (":", (0, 1, 2, 3, 4)),
        ("4", (4,)),
        ("3,0,3", (0, 3)),
        (" 1 , 2 ", (1, 2)),
    ],
)
def test_points_are_a_slice_or_a_list_of_indices(text, indices):
    assert trial_indices(text, trials=5) == indices


@pytest.mark.parametrize(
    "text", ["", ",", "5", "0:6", "2:2", "3:1", "-1", "a", "0:1:2", "1.5", "0,,1", "0, 7", "\u0661"]
)
def test_points_that_choose_nothing_or_too_much_say_what_is_allowed(text):
    with pytest.raises(SearchSpaceError, match="indices from 0 to 4; index 0 is trial_1"):
        trial_indices(text, trials=5)


@given(st.integers(1, 30), st.integers(1, 30))
def test_slices_of_two_machines_make_the_whole_study(trials, cut):
    cut = min(cut, trials - 1)
    if cut == 0:
        return
    first, second = trial_indices(f":{cut}", trials), trial_indices(f"{cut}:", trials)
    assert first + second == tuple(range(trials))


def test_order_depends_on_seed_benchmark_and_submission_and_never_changes():
    seeds = {order_seed(s, b, n) for s in (0, 1) for b in ("a", "b") for n in ("x", "y")}
    assert len(seeds) == 8
    assert order_seed(0, "algoperf-digits", "adamw") == 796050231
