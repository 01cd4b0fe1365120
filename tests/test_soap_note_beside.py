"""`soap_note` beside a reference: a version with one thing changed is told, the same in other words is left alone.

Does not cover: what the transcript says (test_metrics_soap_note.py).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evals
from evals.metrics.soap_note.beside import changed_values, denials, left_out, moved
from evals.metrics.soap_note.sections import find_sections

REFERENCE = """CHIEF COMPLAINT
Left knee pain.

HISTORY OF PRESENT ILLNESS
Ms. Rao is a 54-year-old female who reports left knee pain for 3 weeks after gardening.
She denies locking or swelling of the joint.
She takes naproxen 250 mg twice daily with food. She walks her dog every morning and has stairs at home.

REVIEW OF SYSTEMS
Musculoskeletal: Reports knee pain. Denies back pain.

PHYSICAL EXAM
Blood pressure is 128/76 and the heart rate is 72. There is tenderness over the medial joint line of the left knee.
The range of motion is full and the ligaments are stable to stress in every direction.

ASSESSMENT AND PLAN
Osteoarthritis of the left knee. Continue naproxen 250 mg twice daily and start physical therapy for 6 weeks.
Return if the knee locks or the swelling comes back.
"""
REWORDED = """S: 54F, L knee sore for three weeks since gardening, no locking, no swelling. Naproxen 250 mg BD.
O: BP 128/76, P 72. Medial joint line tender, full range, stable.
A: Knee OA, left.
P: Keep naproxen, physio for six weeks, back if it locks or swells.
"""


def _kinds(note: str) -> list[str]:
    result = evals.metric("soap_note").compute(predictions=[note], references=[REFERENCE])
    return [hit["kind"] for hit in result["evidence"][0]]


@pytest.mark.parametrize(
    ("old", "new", "kind", "span"),
    [
        ("for 3 weeks", "for 5 weeks", "wrong_number", "5"),
        ("128/76", "138/76", "wrong_number", "138"),
        ("Continue naproxen 250 mg", "Continue naproxen 500 mg", "wrong_dose", "500"),
        ("joint line of the left knee", "joint line of the right knee", "wrong_laterality", "right"),
    ],
)
def test_a_sentence_of_the_reference_with_another_value_is_told(old, new, kind, span):
    note = REFERENCE.replace(old, new)
    found = changed_values(note, REFERENCE)
    assert [(name, note[start:end]) for name, start, end, _ in found] == [(kind, span)]
    assert old.split()[-1] in found[0][3]
    assert kind in _kinds(note)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("She denies locking", "She reports locking"),
        ("Denies back pain", "Reports back pain"),
        ("Reports knee pain", "No knee pain"),
    ],
)
def test_one_denial_more_or_less_is_told(old, new):
    note = REFERENCE.replace(old, new)
    assert "flipped_negation" in _kinds(note)
    [(start, end, said)] = denials(note, REFERENCE)
    assert new in note[start:end] and old in said


def test_texts_that_changed_places_stand_under_the_wrong_heading():
    history = REFERENCE[REFERENCE.index("Ms. Rao") : REFERENCE.index("\n\nREVIEW")]
    exam = REFERENCE[REFERENCE.index("Blood pressure") : REFERENCE.index("\n\nASSESSMENT")]
    note = REFERENCE.replace(exam, "#").replace(history, exam).replace("#", history)
    assert len(moved(note, REFERENCE, find_sections(note))) == 2
    assert "wrong_section" in _kinds(note)


@pytest.mark.parametrize("name", ["HISTORY OF PRESENT ILLNESS", "REVIEW OF SYSTEMS", "PHYSICAL EXAM"])
def test_a_section_left_out_of_a_version_is_named(name):
    begin = REFERENCE.index(name)
    note = REFERENCE[:begin] + REFERENCE[REFERENCE.index("\n\n", begin) + 2 :]
    assert [heading for heading, _ in left_out(note, REFERENCE, find_sections(note))] == [name.casefold()]
    assert "dropped_section" in _kinds(note)


@pytest.mark.parametrize(
    "note", [REFERENCE, REWORDED, "Her knee hurts. She is 54 and takes naproxen 250 mg."]
)
def test_the_same_again_or_in_other_words_is_no_version_with_a_mistake(note):
    assert not changed_values(note, REFERENCE)
    assert not denials(note, REFERENCE)
    assert not moved(note, REFERENCE, find_sections(note))
    assert not left_out(note, REFERENCE, find_sections(note))
    assert "dropped_section" not in _kinds(note)


def test_two_sentences_of_one_form_are_not_each_others_mistake():
    reference = (
        "PLAN\nTake Tenol 5 mg in the morning. Take Tenol 10 mg at night. Rest for 2 days. Rest for 4 days."
    )
    assert not changed_values(reference.replace("Rest for 2 days. ", ""), reference)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_texts_give_true_spans(note, reference):
    sections = find_sections(note)
    for _, start, end, _ in changed_values(note, reference):
        assert 0 <= start < end <= len(note)
    for start, end, _ in [*denials(note, reference), *moved(note, reference, sections)]:
        assert 0 <= start < end <= len(note)
    left_out(note, reference, sections)
