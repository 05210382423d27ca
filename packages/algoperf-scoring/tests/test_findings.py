"""Findings: told one by one, and many in a few lines."""

import pytest

from algoperf_scoring.findings import KINDS, Finding, summarise


def finding(kind: str, submission: str = "sub", place: str = "", detail: str = "") -> Finding:
    return Finding(kind, submission, "digits", place or f"{submission}/digits", detail)


def test_many_findings_of_a_kind_become_one_line_with_their_counts():
    many = [finding("no_measurements_file", name) for name in ("one", "two", "one")]
    assert summarise(many) == ("3 trials without eval_measurements.csv: one 2, two 1",)


def test_a_single_finding_keeps_its_place_and_detail():
    single = finding("missing_values", place="sub/study_0/digits_jax/trial_1", detail="2 of 9")
    text = "trial with missing values of the target metric: sub/study_0/digits_jax/trial_1 (2 of 9)"
    assert summarise([single]) == (text,)
    assert single.message == text


def test_violations_come_first_then_order_of_appearance():
    texts = [finding("one_row"), finding("stray_trial"), finding("cut_row"), finding("study_count")]
    assert [line.partition(":")[0] for line in summarise(texts)] == [
        "unexpected number of studies",
        "trial folder outside a workload folder ignored",
        "incomplete last row left out",
        "trial with a single evaluation",
    ]


def test_nothing_found_is_nothing_to_say():
    assert summarise([]) == ()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_severity_and_two_forms(kind):
    severity, one, many = KINDS[kind]
    assert finding(kind).severity == severity
    assert severity in ("note", "warning", "violation")
    assert one != many
