"""The radar of facts that expire: what it finds, where, what it leaves alone, and that no text breaks it."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.facts import CLASSES, KINDS, find_facts, rules_version

TODAY = date(2026, 11, 22)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
EXAMPLES = [
    line.split("|", 1)
    for line in Path(__file__).with_name("facts_examples.txt").read_text("utf-8").splitlines()
]
DEVELOPMENT = Path(__file__).parents[1] / "benchmarks" / "data" / "volatile_facts_dev.jsonl"
NOTE = "S: Sore knee. O: BP 130/80, afebrile. A: Strain. P: Ibuprofen 400 mg. "
PROGRAM = "The program moves the constant to a variable in a loop. "
PIECES = st.sampled_from([text for _, text in EXAMPLES])


def spans(text: str, **more: str) -> list[tuple[str, str]]:
    return [(f["kind"], f["span"]) for f in find_facts(text, today=TODAY, **more)]  # type: ignore[arg-type]


def test_the_examples_that_the_rules_were_written_with() -> None:
    """They are the rules' own: the figure that counts is benchmarks/facts.py, on texts by another hand."""
    found = {text: spans(text) for _, text in EXAMPLES}
    missed = [text for want, text in EXAMPLES if want != "-" and not found[text]]
    wrong = [text for want, text in EXAMPLES if want == "-" and found[text]]
    other = [text for want, text in EXAMPLES if want != "-" and want[1:] not in dict(found[text])]
    assert len(missed) <= 4 and len(wrong) <= 4, (missed, wrong)
    assert len(other) <= 20, other


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Express delivery costs Rs. 149 per order.", [("fee", "Rs. 149 per order")]),
        ("Refunds reach your card in 3-5 business days.", [("period", "3-5 business days")]),
        (
            "Under section 27 of the Indian Contract Act, 1872, such a restraint is void.",
            [("statute", "section 27"), ("statute", "Indian Contract Act, 1872")],
        ),
        (
            "The Prime Minister of India is Narendra Modi.",
            [("office", "Prime Minister of India is Narendra Modi")],
        ),
        ("The shop is open from 10 am to 8 pm.", [("hours", "10 am to 8 pm")]),
        ("Install Python 3.12 first.", [("version", "Python 3.12")]),
        ("The app is currently slow in Nepal.", [("now", "currently")]),
    ],
)
def test_the_span_is_the_fact(text: str, wanted: list[tuple[str, str]]) -> None:
    assert spans(text) == wanted


def test_the_development_set_stays_found() -> None:
    """The rules were written with it: a floor under regressions, no figure of how good they are."""
    rows = [json.loads(line) for line in DEVELOPMENT.read_text("utf-8").splitlines()]
    for row in rows:
        for fact in row["facts"]:
            assert row["text"][fact["start"] : fact["end"]] == fact["span"], row["id"]
    assert len({row["id"] for row in rows}) == len(rows) == len({row["text"] for row in rows}) >= 250
    found = {row["id"]: bool(find_facts(row["text"], today=TODAY)) for row in rows}
    missed = [row["text"] for row in rows if row["facts"] and not found[row["id"]]]
    wrong = [row["text"] for row in rows if not row["facts"] and found[row["id"]]]
    assert len(missed) <= 0.05 * sum(bool(row["facts"]) for row in rows), missed
    assert len(wrong) <= 0.1 * sum(not row["facts"] for row in rows), wrong


@pytest.mark.parametrize(
    ("told", "kind", "span"),
    [
        ("KDIGO now suggests a target of 120.", "rate", "120"),
        ("The cut-off used is 7.5 mmol/l.", "rate", "7.5 mmol/l"),
        ("The queue is about seven weeks.", "period", "about seven weeks"),
        ("The lab sees walk-ins from 7 to 9.", "hours", "7 to 9"),
        ("Dr Hale covers the list.", "office", "Dr Hale covers the list"),
        ("The dispensary has only the syrup.", "availability", "has only the syrup"),
        ("The test is not done here.", "availability", "not done here"),
        ("Ring for the slot, ext. 4471.", "channel", "ext. 4471"),
    ],
)
def test_a_note_hides_no_fact_of_the_hospital(told: str, kind: str, span: str) -> None:
    assert spans(NOTE) == []
    assert (kind, span) in spans(NOTE + told)


@pytest.mark.parametrize(
    "told",
    [
        "He no longer smokes.",
        "The cough now wakes her at night.",
        "Follow up in the clinic in three weeks.",
        "She stopped taking the statin.",
        "INR no longer needed.",
        "Cramps since Tuesday, six stools.",
    ],
)
def test_what_belongs_to_the_visit_is_left_alone(told: str) -> None:
    assert spans(NOTE + told) == []


@pytest.mark.parametrize(
    ("told", "kind", "span"),
    [
        ("The gateway accepts 40 calls a minute.", "rate", "40 calls a minute"),
        ("The broker expires sessions after 45 days.", "period", "45 days"),
        ("`asynchat` has been dropped.", "availability", "has been dropped"),
        ("`distutils` went away with 3.12.", "version", "3.12"),
        ("The Act says 58.", "rate", "58"),
        ("The state raised it to 62.", "rate", "62"),
        ("Nobody ships this build any more.", "availability", "Nobody ships this build any more"),
    ],
)
def test_an_explained_program_hides_no_fact_of_the_world(told: str, kind: str, span: str) -> None:
    assert spans(PROGRAM) == []
    assert (kind, span) in spans(PROGRAM + told)


@pytest.mark.parametrize(
    "told",
    [
        "The variable LIMIT is 100 here.",
        "It keeps at most five items and removes the oldest.",
        "MAX-LIMIT is 400.",
        "The function waits 30 seconds and tries three times.",
        "ACCEPT WS-TODAY FROM DATE fills eight digits.",
    ],
)
def test_constants_of_the_program_are_left_alone(told: str) -> None:
    assert spans(PROGRAM + told) == []


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("The offer ends on 31 December 2026.", "2027-01-01"),
        ("The scheme runs till March 2027.", "2027-04-01"),
        ("Your voucher is valid until 30/06/2027.", "2027-07-01"),
        ("The new rates apply from 1 April 2026.", None),
        ("The offer ends on 31 June 2027.", None),  # no such day
    ],
)
def test_a_last_day_in_the_words_is_suggested(text: str, expires: str | None) -> None:
    [fact] = [f for f in find_facts(text, today=TODAY) if f["kind"] == "date"]
    assert (fact["suggestion"], fact["expires"]) == ("expires", expires)


def test_what_only_repeats_the_prompt_is_no_fact_of_the_completion() -> None:
    text = "Yes, your order of Rs 600 qualifies; delivery costs Rs 49."
    assert ("fee", "Rs 600") in spans(text)
    assert spans(text, prompt="My order is 600 rupees, is delivery free?") == [("fee", "Rs 49")]


def test_history_depends_on_the_day() -> None:
    text = "The limit was raised in March 2026 and the fee is fixed."
    assert [f["kind"] for f in find_facts(text, today=date(2026, 6, 1))] == ["date"]
    assert find_facts(text, today=date(2040, 6, 1)) == []


@pytest.mark.parametrize(
    "told",
    [
        "Your refund of Rs 2,310 for order 88-104 was credited on 17 November, ref 6329 0041 77.",
        "I have moved your flight to the 6:05 am on Friday and the old boarding pass is cancelled.",
        "Your resignation of 2 November 2026 is accepted and you will be relieved on 1 January 2027.",
        "The Consultant shall keep the papers secret for two years after the engagement.",
        "Keep the plaster dry and the sling on for two days, fracture clinic 2 December.",
        "Soak the chickpeas for eight hours, drain them and pressure-cook them with salt.",
        "The cron line dumps the table every night and deletes files older than 14 days.",
        "The view picks the latest row of each customer by timestamp.",
    ],
)
def test_what_is_one_persons_own_or_a_programs_is_left_alone(told: str) -> None:
    assert spans(told) == []


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("Your refund of Rs 2,310 was approved; refunds reach the card within 7 working days.", "period"),
        (
            "Your resignation is accepted. Gratuity is due within 30 days under the Payment of Gratuity Act.",
            "period",
        ),
        ("The Employee shall be paid the minimum wages, at present Rs 783 a day.", "now"),
        ("Keep the plaster dry. Our fracture clinic opens at 8 am on weekdays.", "hours"),
        ("Soak the dal. A kilo costs Rs 140 now.", "price"),
        ("The cron job calls the API, which allows 60 requests a minute.", "rate"),
    ],
)
def test_one_case_hides_no_promise_and_no_law(told: str, kind: str) -> None:
    assert kind in {found for found, _ in spans(told)}


@given(st.lists(st.one_of(PIECES, st.text(max_size=60)), max_size=6).map("\n".join), st.text(max_size=40))
@PATIENT
def test_spans_are_places_of_the_text_in_order_and_apart(text: str, prompt: str) -> None:
    found = find_facts(text, prompt=prompt, today=TODAY)
    at = 0
    for fact in found:
        assert fact["start"] >= at and fact["end"] > fact["start"]
        assert text[fact["start"] : fact["end"]] == fact["span"] and fact["span"].strip() == fact["span"]
        assert fact["kind"] in KINDS and fact["suggestion"] in CLASSES
        assert fact["expires"] is None or date.fromisoformat(fact["expires"])
        at = fact["end"]
    assert found == find_facts(text, prompt=prompt, today=TODAY)


@given(PIECES, PIECES)
@PATIENT
def test_another_paragraph_without_numbers_hides_nothing(text: str, _other: str) -> None:
    alone = spans(text)
    assert spans(text + "\nThank you for asking.\n") == alone
    assert spans("Good morning to you.\n" + text) == alone


@given(PIECES)
@PATIENT
def test_the_prompt_can_only_take_away(text: str) -> None:
    alone, given_all = spans(text), spans(text, prompt=text)
    assert set(given_all) <= set(alone)
    assert {kind for kind, _ in given_all} <= {
        "now",
        "statute",
        "office",
        "hours",
        "version",
        "fee",
        "date",
        "count",
    }


@pytest.mark.parametrize(
    "piece",
    [
        "Rs 1,",
        "one hundred and ",
        "Act ",
        "The The ",
        "section 1(a)(b)",
        "9-",
        "until ",
        "1.",
        "A. B. ",
        "of the ",
        "12 March ",
        "no ",
        " ",
        "%",
        "RBI says the ",
        "the pharmacy has no ",
        "on Mondays and ",
        "not yet ",
        "nobody is ",
    ],
)
def test_hostile_repetition_stays_linear(piece: str) -> None:
    """Twice the text costs about twice, whatever the machine; a quadratic rule would cost four times."""

    def cost(count: int) -> float:
        text = (piece * count)[: 4000 * count // 100]
        start = time.process_time()
        find_facts(text, today=TODAY)
        return time.process_time() - start

    cost(50)
    assert min(cost(200) for _ in range(2)) < 6 * max(0.02, min(cost(100) for _ in range(2)))


def test_the_version_names_the_rules() -> None:
    assert rules_version().startswith("radar-") and rules_version() == rules_version()
