"""The radar with its encoder: what rules alone miss or mark too much, batches, odd texts, the version of both together.

Does not cover: how good it is on texts of other hands (`python -m benchmarks facts`), the rules (test_facts_radar.py).
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.facts import KINDS, learned, radar, read_facts
from curate.privacy import encoder_base
from curate.privacy.findings import ModelMissing

TODAY = date(2026, 11, 23)
DEVELOPMENT = Path(__file__).parents[1] / "benchmarks" / "data" / "volatile_facts_dev_2.jsonl"


def spans(text: str, **more: Any) -> list[tuple[str, str]]:
    [found] = read_facts([text], today=TODAY, **more)
    return [(fact["kind"], fact["span"]) for fact in found]


def test_the_development_set_stays_found() -> None:
    """Rules and encoder learned from it: a floor under regressions, no figure of how good they are."""
    rows = [json.loads(line) for line in DEVELOPMENT.read_text("utf-8").splitlines()]
    for row in rows:
        for fact in row["facts"]:
            assert row["text"][fact["start"] : fact["end"]] == fact["span"], row["id"]
    assert len({row["id"] for row in rows}) == len(rows) == len({row["text"] for row in rows}) >= 1000
    some = rows[::4]
    found = [bool(facts) for facts in read_facts([row["text"] for row in some], today=TODAY)]
    missed = [row["text"] for row, hit in zip(some, found, strict=True) if row["facts"] and not hit]
    wrong = [row["text"] for row, hit in zip(some, found, strict=True) if hit and not row["facts"]]
    assert len(missed) <= 0.05 * sum(bool(row["facts"]) for row in some), missed
    assert len(wrong) <= 0.1 * sum(not row["facts"] for row in some), wrong


def test_the_encoder_finds_what_no_rule_has_a_shape_for() -> None:
    text = "Chemists all over the city are out of the syrup, and the wholesaler hopes for more after Diwali."
    assert not [fact for fact in radar.find_facts(text, today=TODAY) if fact["start"] > 60]
    assert spans(text)


def test_a_finding_of_the_rules_that_the_encoder_does_not_believe_is_left_out() -> None:
    text = "Forty minutes on hold, and a recorded lady says your call is important. Make a pie meanwhile."
    assert radar.find_facts(text, today=TODAY)
    assert spans(text) == []


def test_a_slot_is_no_fact_any_more() -> None:
    assert spans("Express delivery costs {express_fee}. Anything else?") == []


def test_what_the_prompt_gave_is_none_for_the_encoder_either() -> None:
    text = "Yes, express delivery costs Rs 129 at the moment."
    assert ("fee", "Rs 129") in spans(text) or ("price", "Rs 129") in spans(text)
    asked = spans(text, prompts=["Is it true that express delivery is Rs 129?"])
    assert not any("129" in span for _, span in asked)


def test_a_batch_reads_as_each_text_alone() -> None:
    rows = [json.loads(line) for line in DEVELOPMENT.read_text("utf-8").splitlines()][:24]
    texts = [row["text"] for row in rows]
    assert read_facts(texts, today=TODAY) == [read_facts([text], today=TODAY)[0] for text in texts]


@pytest.mark.parametrize("text", ["", " \n\t", "\ud800 Rs 5 \udfff", "₹" * 3000, "word " * 4000, "\x00\x01"])
def test_odd_texts_are_read(text: str) -> None:
    for fact in read_facts([text], today=TODAY)[0]:
        assert text[fact["start"] : fact["end"]] == fact["span"]


def test_no_text_at_all() -> None:
    assert read_facts([], today=TODAY) == []


@given(st.lists(st.text(max_size=120), max_size=3))
@settings(max_examples=25, deadline=None)
def test_spans_are_places_of_the_text_in_order_and_apart(texts: list[str]) -> None:
    for text, found in zip(texts, read_facts(texts, today=TODAY), strict=True):
        at = 0
        for fact in found:
            assert at <= fact["start"] < fact["end"] and fact["kind"] in KINDS
            assert text[fact["start"] : fact["end"]] == fact["span"]
            at = fact["end"]


def test_another_encoder_is_another_radar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = radar.rules_version()
    (tmp_path / "card.json").write_text("{}")
    for forget in (radar.rules_version, learned.digest):
        forget.cache_clear()
    monkeypatch.setattr(learned, "ASSET", tmp_path)
    try:
        assert radar.rules_version() != before
    finally:
        monkeypatch.undo()
        for forget in (radar.rules_version, learned.digest):
            forget.cache_clear()
    assert radar.rules_version() == before


def test_without_the_base_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_base, "_MODULE", "no_such_package")
    learned.load.cache_clear()
    try:
        with pytest.raises(ModelMissing, match="pip install"):
            read_facts(["Delivery costs Rs 60."], today=TODAY)
    finally:
        monkeypatch.undo()
        learned.load.cache_clear()
