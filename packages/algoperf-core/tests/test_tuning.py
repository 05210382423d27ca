"""The sampler equals the published one; search spaces say what is wrong with them."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algoperf_core.errors import SearchSpaceError
from algoperf_core.tuning import (
    halton_points,
    hyperparameters,
    load_search_space,
    parse_search_space,
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
        ({"x": {"min": "1", "max": 2}}, "x: min is a number, not '1'"),
        ({"x": {"min": 1, "max": True}}, "x: max is a number"),
        ({"x": {"min": 1, "max": math.inf}}, "x: max is a number"),
        ({"x": {"min": 3, "max": 2}}, "min 3 is above max 2"),
        ({"x": {"min": 0, "max": 2, "scaling": "log"}}, "a log range starts above 0"),
        ({"x": {"min": 1, "max": 2, "scaling": "cubic"}}, "'cubic'"),
        ({"x": {"feasible_points": []}}, "at least one value"),
        ({"x": {"feasible_points": 3}}, "at least one value"),
        ({"learning rate": {"min": 1, "max": 2}}, "'learning rate' cannot be the name"),
        ([{"x": 1}, {"y": 1}], "point 1 and point 0 differ in x, y"),
        ([{"x": 1}, 2], "point 1 is not an object"),
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
