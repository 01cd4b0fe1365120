"""Families of forms that notes and speech use for one thing: what `soap_note` must take for the same and what not.

Covers: numbers, clock times, frequencies, sides, denials, allergies, dates, medications, each as (said, rightly
written, wrongly written). Does not cover: whole notes (test_metrics_soap_note).
"""

from functools import cache

import pytest

import evals

CONTENT = frozenset(
    "unsupported_medication wrong_dose wrong_allergy wrong_laterality unsupported_number wrong_number wrong_date "
    "flipped_negation".split()
)
FORMS = {
    "half hour": ("P: three quarters of an hour", "45 min", "15 hours"),
    "sum of units": ("P: He's two years and four months", "28-month-old", "26-month-old"),
    "lakh": ("D: platelets two lakh ten thousand", "platelets 210,000", "platelets 120,000"),
    "thousands": ("D: white count eleven point six thousand", "WBC 11.6", "WBC 16.1"),
    "stone": ("P: I weigh eleven stone four.", "11 st 4 lb", "14 stone"),
    "fraction sign": ("P: Three and a half weeks.", "3½ weeks", "4½ weeks"),
    "times sign": ("D: take it for five days", "x5 days", "x10 days"),
    "unit said once": ("D: one and a half by two centimetres.", "1.5 x 2 cm", "1.5 x 3 cm"),
    "a year by its end": ("P: in oh-eight", "2008", "2018"),
    "guess and answer": ("D: How old, fourteen months?\nP: Fifteen.", "15-month-old", "14-month-old"),
    "taken back by no": (
        "D: ramipril at two point five, no, five milligrams",
        "ramipril 5 mg",
        "ramipril 2.5 mg",
    ),
    "day after tomorrow": ("D: come back the day after tomorrow", "review in 48 hours", "review in 5 days"),
    "half past": ("P: at half past seven this morning", "at 07:30.", "at 09:30."),
    "quarter to": ("P: at quarter to nine", "at 8:45", "at 9:45"),
    "minutes to": ("P: around twenty to four in the afternoon", "15:40", "4:20 pm"),
    "twelve hours on": ("P: I take it at ten at night", "at 22:00", "at 20:00"),
    "three times a day": (
        "D: amoxicillin five hundred milligrams three times a day",
        "amoxicillin 500 mg 8-hourly",
        "amoxicillin 500 mg BD",
    ),
    "weekly": (
        "D: methotrexate fifteen once a week",
        "methotrexate 15 mg weekly",
        "methotrexate 15 mg daily",
    ),
    "half a tablet": ("D: half a tablet of atenolol fifty", "atenolol 25 mg", "atenolol 100 mg"),
    "quadrant": ("D: tender in the right lower quadrant", "RLQ tenderness", "LLQ tenderness"),
    "handed": (
        "P: I'm right handed. It's the left wrist.",
        "right-handed, left wrist pain",
        "left-handed, left wrist pain",
    ),
    "worse side": (
        "P: both knees but the right is worse",
        "bilateral knee pain, R > L",
        "bilateral knee pain, L > R",
    ),
    "side behind": ("P: It's my left knee.", "knee pain, left", "knee pain, right"),
    "other one": (
        "P: My right shoulder hurts. The other one's fine.",
        "L shoulder normal",
        "L shoulder pain",
    ),
    "confirmed denial": ("D: No chest pain?\nP: Right.", "no chest pain", "has chest pain"),
    "denial with any": ("P: I don't have any headache.", "no headache", "headache"),
    "does not show": ("D: X-ray doesn't show a fracture.", "XR: no fracture", "x-ray shows a fracture"),
    "state": ("D: How's your appetite?\nP: Rubbish.", "poor appetite", "appetite normal"),
    "sleep": ("D: Sleeping all right?\nP: Like a baby.", "sleeping well", "insomnia"),
    "test result": ("D: strep test came back negative", "strep -ve", "strep positive"),
    "dry cough": ("D: cough, is it dry?\nP: Dry, no phlegm.", "non-productive cough", "productive cough"),
    "supple": ("D: neck's supple, no photophobia", "no neck stiffness", "neck stiffness"),
    "denied without a list": ("D: Any polyps or spurs?\nP: No.", "no polyps", "polyps present"),
    "post-posed no": ("P: Cough nahi hai.", "No cough.", "Has cough."),
    "reaction told": (
        "P: I can't take codeine, it brings me out in a rash.",
        "Allergy: codeine - rash",
        "NKDA",
    ),
    "sister's allergy": (
        "D: allergic to any medicine?\nP: My sister is allergic to penicillin but I'm not.",
        "NKDA",
        "allergic to penicillin",
    ),
    "feast": ("P: Christmas day", "25 Dec", "26 Dec"),
    "weekday": ("D: see you on Friday", "review Friday", "review Monday"),
    "month alone": ("P: it was back in April", "in April", "in August"),
    "year of a date": (
        "P: on the twenty second of November two thousand twenty four",
        "22/11/2024",
        "22/11/2023",
    ),
    "iso date": ("P: on the third of March", "2024-03-03", "2024-05-03"),
    "combination": ("P: I'm on Combiflam.", "On ibuprofen and paracetamol.", "On diclofenac."),
    "short name": ("P: I'm on clarithro.", "On clarithromycin.", "On azithromycin."),
    "brand": ("P: I'm on Seretide.", "On salmeterol/fluticasone.", "On tiotropium."),
}


@cache
def _found():
    """Evidence of content for every form, right and wrong, in one call."""
    jobs = [
        (name, kind, f"D: Hello, have a seat.\n{said}\nD: Alright, bye.\n", written)
        for name, (said, right, wrong) in FORMS.items()
        for kind, written in (("right", right), ("wrong", wrong))
    ]
    evidence = evals.metric("soap_note").compute(
        predictions=[written.rstrip(".") + "." for *_, written in jobs],
        transcripts=[talk for _, _, talk, _ in jobs],
    )["evidence"]
    return {
        (name, kind): {hit["kind"] for hit in hits} & CONTENT
        for (name, kind, _, _), hits in zip(jobs, evidence, strict=True)
    }


@pytest.mark.parametrize("name", FORMS)
def test_the_same_in_other_words_is_no_hit_and_another_thing_is(name):
    assert _found()[name, "right"] == set()
    assert _found()[name, "wrong"]


VISIT = """[doctor] so you're here for your knee ?
[patient] yes the right knee , for two weeks .
[doctor] let me take a look . on exam there's tenderness on the joint line , normal range of motion , no effusion .
[doctor] lungs are clear . rest and ice .
"""
NOTE = """CHIEF COMPLAINT

Right knee pain.

HISTORY OF PRESENT ILLNESS

The patient reports right knee pain for 2 weeks. He denies a previous injury of any kind.

PHYSICAL EXAM

Tenderness on palpation of the joint line. Normal range of motion. No effusion. Lungs clear.

ASSESSMENT AND PLAN

Knee strain. Rest and ice.
"""


def _kinds(note, reference=None):
    result = evals.metric("soap_note").compute(
        predictions=[note], transcripts=[VISIT], references=[reference] if reference else None
    )
    return {hit["kind"] for hit in result["evidence"][0]}


def test_an_examination_that_was_spoken_and_is_not_written_is_missed():
    cut = NOTE[: NOTE.index("PHYSICAL EXAM")] + NOTE[NOTE.index("ASSESSMENT AND PLAN") :]
    assert "dropped_section" not in _kinds(NOTE)
    assert "dropped_section" in _kinds(cut)
    assert "dropped_section" in _kinds(cut, NOTE)


def test_a_section_with_another_parts_signs_alone_is_misplaced():
    history = "The patient reports right knee pain for 2 weeks. He denies a previous injury of any kind."
    exam = "Tenderness on palpation of the joint line. Normal range of motion. No effusion. Lungs clear."
    swapped = NOTE.replace(history, "#").replace(exam, history).replace("#", exam)
    assert "wrong_section" not in _kinds(NOTE)
    assert "wrong_section" in _kinds(swapped)


def test_a_sentence_of_the_reference_turned_round_is_a_flip():
    turned = NOTE.replace("He denies a previous injury", "He reports a previous injury")
    assert "flipped_negation" in _kinds(turned, NOTE)
    assert "flipped_negation" not in _kinds(NOTE, NOTE)
