from algoperf_scoring import notes
from algoperf_scoring.notes import note, summarise_notes


def test_many_notes_of_a_kind_become_one_line_with_their_count():
    many = [note(notes.NO_CSV, f"sub/trial_{number}") for number in range(181)]
    assert summarise_notes(many) == ("181 trials without eval_measurements.csv",)


def test_a_single_note_keeps_its_detail():
    text = note(notes.CUT_ROW, "sub/study_0/digits_jax/trial_1")
    assert summarise_notes([text]) == (text,)


def test_kinds_are_told_in_order_of_appearance():
    texts = [note(notes.STRAY_TRIAL, "a"), note(notes.NO_CSV, "b"), note(notes.STRAY_TRIAL, "c")]
    assert summarise_notes(texts) == (
        "2 trial folders outside a workload folder ignored",
        note(notes.NO_CSV, "b"),
    )


def test_nothing_to_note_is_nothing_to_say():
    assert summarise_notes([]) == ()
