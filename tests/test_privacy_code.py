"""Privacy in programs: names of people in comments and literals are found, names of data are left alone.

Does not cover: how well either is found; the detector's own tests and benchmarks do.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.privacy import Detector
from curate.privacy.code import _prose, outside_prose

COBOL = """\
       IDENTIFICATION DIVISION.
       PROGRAM-ID. BILLING.
       AUTHOR. Prakash Venkatesan.
      * Ask Mrs. Kavita Nair before changing this
       DATA DIVISION.
       WORKING-STORAGE SECTION.
       01 BILL         PIC 9(5).
       01 BC-CLOSE     PIC 9(5).
       01 CUST-PAN     PIC X(10).
       PROCEDURE DIVISION.
           MOVE BILL TO BC-CLOSE. *> told by Anthony Pereira
           MOVE "ABCPE1234F" TO CUST-PAN.
           DISPLAY "MAIL asha.rao@example.com".
           STOP RUN.
"""
PYTHON = """\
from decimal import Decimal


def main() -> None:
    bill = Decimal(input())  # told by Anthony Pereira
    print(f"{bill:.2f} for Mrs. Kavita Nair")


main()
"""


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.from_policy({"code": True, "profile": "rules"})


def found(detector: Detector, text: str) -> set[str]:
    return {text[f.start : f.end] for f in detector.scan([text])[0]}


def test_people_are_found_and_data_names_are_not(detector: Detector) -> None:
    seen = found(detector, COBOL)
    assert {"Prakash Venkatesan", "ABCPE1234F", "asha.rao@example.com"} <= seen
    assert any("Kavita Nair" in one for one in seen)
    assert not any("BILL" in one or "BC-CLOSE" in one for one in seen)


def test_the_rule_is_off_where_the_policy_does_not_ask_for_it() -> None:
    plain, code = Detector.from_policy("rules"), Detector.from_policy({"code": True, "profile": "rules"})
    assert "BC-CLOSE" in found(plain, COBOL)
    assert plain.version != code.version


def test_python_comments_and_texts_are_prose_and_the_holes_in_a_text_are_not() -> None:
    def outside(words: str) -> bool:
        at = PYTHON.index(words)
        return outside_prose(PYTHON, at, at + len(words))

    assert outside("Decimal") and outside("bill:") and outside("main")
    assert not outside("Anthony Pereira") and not outside("Kavita Nair")


@pytest.mark.parametrize("text", ["Please call Rahul Mehta.", "def f(: Rahul", ""])
def test_what_is_no_program_is_prose_from_end_to_end(text: str) -> None:
    assert _prose(text) is None


def test_a_request_in_front_of_a_fenced_program_is_prose() -> None:
    text = f"Translate this for Rahul Mehta:\n```cobol\n{COBOL}```\n"
    at = text.index("Rahul")
    assert not outside_prose(text, at, at + 11)
    at = text.index("BC-CLOSE")
    assert outside_prose(text, at, at + 8)


@given(st.text(max_size=200))
def test_any_text_gives_spans_inside_it(text: str) -> None:
    for body in (text, COBOL + text, PYTHON + text):
        for low, high in _prose(body) or ():
            assert 0 <= low <= high <= len(body)


def test_a_table_of_number_words_is_no_number_of_anybody() -> None:
    table = '05 FILLER PIC X(24) VALUE "SIX   SEVEN EIGHT NINE  ".\n'
    assert found(Detector.from_policy({"code": True}), table) == set()
