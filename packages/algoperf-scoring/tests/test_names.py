import pytest

from algoperf_scoring import AlgoperfError, UnknownNameError, unknown_name


def test_the_nearest_name_is_suggested():
    error = unknown_name("workload", "digit", ["wine", "digits"])
    assert str(error) == "unknown workload 'digit': did you mean 'digits'? Known: digits, wine."


def test_case_does_not_hide_a_name():
    assert "did you mean 'ImageNet'?" in str(unknown_name("workload", "imagenet", ["ImageNet"]))


def test_without_a_near_name_only_the_known_ones_are_listed():
    assert str(unknown_name("ruleset", "zzz", ["self"])) == "unknown ruleset 'zzz'. Known: self."


def test_nothing_known_is_said():
    assert str(unknown_name("benchmark", "x", [])).endswith("No benchmark is known.")


@pytest.mark.parametrize("base", [AlgoperfError, ValueError])
def test_unknown_names_are_user_errors(base):
    assert issubclass(UnknownNameError, base)
