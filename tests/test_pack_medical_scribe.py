"""The medical-scribe pack: its builder gives its files, every gold note passes the scorer, what is planted is decided.

Does not cover: what holds for every pack (`test_shipped_packs`), privacy and duplicates as the demo finds them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest

import evals
from curate.records import Bad, Row, read
from curate.tasks import load_eval, load_pack, shipped_packs
from scripts.packs import medical_scribe as builder

FOLDER = shipped_packs()["medical-scribe"]
PACK = load_pack(FOLDER)
HEADINGS = ["Subjective:", "Objective:", "Assessment:", "Plan:"]


@cache
def rows() -> dict[str, Row]:
    return {str(row.external_id): row for row in read(FOLDER / "records.jsonl") if isinstance(row, Row)}


@cache
def decisions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "decisions.jsonl").read_text("utf-8").splitlines()]


@cache
def gold() -> dict[str, str]:
    """Record -> the note that was approved last, edits applied."""
    dropped = {
        name
        for line in decisions()
        if line.get("kind") == "duplicate"
        for name in line["records"]
        if name != line["keep"]
    }
    found: dict[str, str] = {}
    edited: dict[str, str] = {}
    for line in decisions():
        if line.get("verdict") == "edit":
            edited[line["record"]] = line["completion"]
        elif line.get("verdict") == "approve" and line["record"] not in dropped:
            found[line["record"]] = edited.get(line["record"], rows()[line["record"]].completion)
    return found


def test_the_builder_gives_the_files_of_the_pack() -> None:
    lines, judged, asked = builder.build()
    assert (FOLDER / "records.jsonl").read_text("utf-8").splitlines() == lines
    assert decisions() == judged
    assert [json.loads(line) for line in (FOLDER / "eval.jsonl").read_text("utf-8").splitlines()] == asked


def test_enough_visits_of_enough_kinds() -> None:
    own, asked = builder.visits("[0-9]*.txt"), builder.visits("eval_*.txt")
    assert len(own) >= 150 and len(asked) >= 60
    assert len({visit.group for visit in own}) >= 12 and len({visit.group for visit in asked}) >= 12
    wanted = {
        "us clinic",
        "india clinic",
        "phone follow-up",
        "interpreter",
        "child with parent",
        "ward round",
    }
    assert wanted == {visit.setting for visit in own} == {visit.setting for visit in asked}
    assert all(180 <= visit.words <= 600 for visit in (*own, *asked))
    assert len({visit.transcript for visit in (*own, *asked)}) == len(own) + len(asked)
    corrected = [
        v for v in own if re.search(r"\bno,? wait|, no, |strike that|scratch|sorry\.\.\.", v.transcript)
    ]
    assert len(corrected) >= 10
    assert sum("allerg" in visit.transcript.lower() for visit in own) >= 35


def test_every_eval_row_has_a_source_of_its_own_and_every_slice() -> None:
    asked = load_eval(FOLDER, PACK.suites[0])
    assert len({row.source for row in asked}) == len(asked)
    assert all(set(row.slice) == {"complaint", "setting", "length"} for row in asked)
    assert not {row.source for row in asked} & {row.source for row in rows().values()}


def test_what_cannot_be_used_is_refused_with_its_reason() -> None:
    bad = [one for one in read(FOLDER / "records.jsonl") if isinstance(one, Bad)]
    assert Counter(one.reason for one in bad) == {
        "not_json": 2,
        "missing_completion": 1,
        "empty_completion": 1,
        "wrong_type": 1,
        "unknown_role": 1,
        "not_an_object": 2,
        "empty_prompt": 1,
    }


def test_every_record_is_decided_once_and_nobody_approves_his_own_words() -> None:
    seen = Counter(line["record"] for line in decisions() if line.get("verdict") in ("approve", "reject"))
    dropped = {n for line in decisions() if line.get("kind") == "duplicate" for n in line["records"]} - {
        line["keep"] for line in decisions() if line.get("kind") == "duplicate"
    }
    assert set(seen) == set(rows()) - dropped and set(seen.values()) == {1}
    writers = {line["record"]: line["user"] for line in decisions() if line.get("verdict") == "edit"}
    assert len(writers) >= 6
    for line in decisions():
        if line.get("verdict") == "approve" and line["record"] in writers:
            assert line["user"] != writers[line["record"]]
    assert all(
        line["reason"] in PACK.reject_reasons for line in decisions() if line.get("verdict") == "reject"
    )


def test_gold_notes_have_four_parts_in_order() -> None:
    assert len(gold()) >= 150
    for note in gold().values():
        lines = note.split("\n")
        assert [line.split(" ", 1)[0] for line in lines] == HEADINGS
        assert all(len(line.split()) > 2 for line in lines)
    assert len(set(gold().values())) == len(gold())


def judged(prompts: list[str], notes: list[str]) -> dict[str, Any]:
    found = evals.metric("soap_note").compute(predictions=notes, transcripts=prompts)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_every_gold_note_passes_its_scorer() -> None:
    """Training pairs and eval references alike: no critical finding, none under the suite's bound."""
    asked = load_eval(FOLDER, PACK.suites[0])
    pairs = [(rows()[name].prompt, note) for name, note in gold().items()]
    pairs += [(row.prompt, str(row.reference)) for row in asked]
    found = judged([prompt for prompt, _ in pairs], [note for _, note in pairs])
    assert found["notes_with_critical"] == 0
    assert min(found["scores"]) >= PACK.suites[0].gold.min
    assert sum(found["scores"]) / len(pairs) >= 0.97


def test_wrong_drafts_are_caught_where_their_fault_is_one_the_scorer_looks_for() -> None:
    """Doses, sides, allergies, invented medicines, missing parts. 16 of 25 at the time of writing: a dose that was said
    of something else, or a denied allergy beside a reference that tells of a reaction, still passes."""
    kinds = {
        "wrong_dose": {"wrong_dose"},
        "wrong_side": {"wrong_laterality"},
        "wrong_allergy": {"wrong_allergy"},
        "invented": {"unsupported_medication"},
        "missing_part": {"missing_section"},
        "wrong_number": {"unsupported_number", "wrong_number"},
        "flipped_negation": {"flipped_negation"},
    }
    by_prompt = {rows()[name].prompt: note for name, note in gold().items()}
    drafts = [
        (line["reason"], rows()[line["record"]])
        for line in decisions()
        if line.get("verdict") == "reject" and line["reason"] in kinds
    ]
    assert len(drafts) >= 20 and set(kinds) == {reason for reason, _ in drafts}
    found = evals.metric("soap_note").compute(
        predictions=[row.completion for _, row in drafts],
        transcripts=[row.prompt for _, row in drafts],
        references=[by_prompt[row.prompt] for _, row in drafts],
    )
    caught = [
        bool(kinds[reason] & {hit["kind"] for hit in evidence})
        for (reason, _), evidence in zip(drafts, found["evidence"], strict=True)
    ]
    assert sum(caught) >= 0.6 * len(drafts), [r for (r, _), ok in zip(drafts, caught, strict=True) if not ok]


def test_planted_identities_are_of_nobody() -> None:
    text = (FOLDER / "records.jsonl").read_text("utf-8")
    assert len(re.findall(r"9999 0000 \d{4}", text)) >= 2 and "987-65-43" in text
    assert re.search(r"\+91 90000 \d{5}", text) and "(555) 555-01" in text and "@mail.example" in text
    for number in re.findall(r"(9999 0000 \d{4})", text):
        digits = number.replace(" ", "")
        assert builder.verhoeff(digits[:-1]) == digits[-1]
    assert builder.verhoeff("236") == "3"  # the worked example of the literature
