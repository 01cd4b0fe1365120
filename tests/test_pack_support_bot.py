"""The support-bot pack: rebuilt from its parts, planted rows refused, every approved answer on the policy sheet.

Does not cover: the rules of an import (tests of `curate.records`), what a model learns from the pack.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import pytest

from curate.records import Bad, Row, read
from curate.tasks import load_eval, load_pack
from evals.arms import nearest, passages
from evals.metrics.policy_facts import policy_facts as scorer
from evals.metrics.policy_facts.sheet import read_sheet
from scripts.packs import support_bot as builder

DAY = date(2026, 8, 15)
# Subjects of the rare suite that no approved pair may tell, so that only the sheet can.
RARE = (
    "locker",
    "refurbish",
    "gift wrap",
    "engrav",
    "referral",
    "invite",
    "andaman",
    "delete account",
)


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return builder.build()


@pytest.fixture(scope="module")
def items() -> list[builder.Item]:
    return [item for part in builder.RECORDS for item in builder.read_part(part)]


@pytest.fixture(scope="module")
def sheets():
    return [read_sheet(f"policy-2026-{month}.toml", builder.PACK) for month in ("04", "10")]


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_builder_writes_the_pack_byte_by_byte(built: dict[str, str]) -> None:
    for name, text in built.items():
        assert (builder.PACK / name).read_text("utf-8") == text, name


def test_the_intake_is_large_enough_and_its_damaged_rows_are_refused() -> None:
    rows = list(read(builder.PACK / "records.jsonl"))
    good, bad = [r for r in rows if isinstance(r, Row)], [r for r in rows if isinstance(r, Bad)]
    assert len(rows) >= 360 and len(good) >= 340
    assert len(bad) == len(builder._BROKEN) and len({r.reason for r in bad}) >= 10


def test_every_row_is_decided_and_most_kinds_of_slips_are_there(built: dict[str, str]) -> None:
    decisions = lines(built["decisions.jsonl"])
    verdicts = Counter(d["verdict"] for d in decisions if "verdict" in d)
    doubled = {d["records"][1] for d in decisions if d.get("kind") == "duplicate"}
    assert (
        verdicts["approve"] >= 300
        and verdicts["reject"] >= 40
        and verdicts["edit"] >= 10
        and len(doubled) >= 20
    )
    decided = {d["record"] for d in decisions if "record" in d} | doubled
    ids = {r.external_id for r in read(builder.PACK / "records.jsonl") if isinstance(r, Row)}
    assert decided == ids
    pack = load_pack(builder.PACK)
    reasons = {d["reason"] for d in decisions if d.get("verdict") == "reject"}
    assert reasons == set(pack.reject_reasons) - {"duplicate"}
    # nobody approves words of their own
    editor = {d["record"]: d["user"] for d in decisions if d.get("verdict") == "edit"}
    approver = {d["record"]: d["user"] for d in decisions if d.get("verdict") == "approve"}
    assert editor and all(approver[record] != user for record, user in editor.items())


def test_every_approved_answer_holds_the_voice_the_steps_and_the_sheet(items, sheets) -> None:
    for number, item in enumerate(items):
        if number % 3:  # a third; preflight judges them all
            continue
        before = scorer._before(json.dumps(item.history))
        owes = item.owes if item.owes == "hand_over" else ""
        judged = scorer._judge(item.completion, item.prompt, sheets, DAY, before, owes)
        assert judged["evidence"] == [] and judged["subscores"]["joint"] == 1.0, item.prompt
        assert 35 <= len(item.completion.split()) <= 110, item.prompt


def test_rejected_drafts_that_break_the_sheet_are_caught(sheets) -> None:
    reasons = (
        "wrong_fee",
        "wrong_payer",
        "wrong_channel",
        "invented_promise",
        "wrong_policy",
        "should_hand_over",
    )
    drafts = [
        (item.prompt, reason, text)
        for item in builder.read_part("drafts") + builder.read_part("rejects")
        for reason, text in item.drafts
        if reason in reasons
    ]
    missed = [
        (reason, prompt)
        for prompt, reason, text in drafts
        if not any(hit["critical"] for hit in scorer._judge(text, prompt, sheets, DAY)["evidence"])
    ]
    assert len(drafts) >= 25 and len(missed) <= 0.2 * len(drafts), missed


def test_slips_that_were_edited_are_caught(items, sheets) -> None:
    slips = [
        item for item in items if item.raw.startswith(item.completion[:20]) and item.raw != item.completion
    ]
    assert len(slips) >= 10
    for item in slips:
        judged = scorer._judge(item.raw, item.prompt, sheets, DAY)
        assert any(hit["critical"] for hit in judged["evidence"]), item.raw


def test_eval_rows_name_facts_of_the_sheet_and_cover_both_ways_out(sheets) -> None:
    facts = {fact.id for fact in sheets[0].facts}
    pack = load_pack(builder.PACK)
    rows = {suite.name: load_eval(builder.PACK, suite) for suite in pack.suites}
    assert len(rows["rare"]) >= 40 and len(rows["support"]) + len(rows["rare"]) >= 120
    for name, some in rows.items():
        assert all(row.expect == "hand_over" or set(row.expect.split()) <= facts for row in some), name
        assert all(row.expect for row in some)
        handed = sum(row.expect == "hand_over" for row in some)
        assert handed >= 10 and len(some) - handed >= 20


def test_what_the_rare_suite_asks_is_told_by_the_sheet_alone(items, sheets) -> None:
    told = " ".join(item.completion.casefold() for item in items)
    assert [word for word in RARE if word in told] == []
    found = passages(builder.PACK / "policy-2026-04.toml")
    asked = [
        row for row in load_eval(builder.PACK, load_pack(builder.PACK).suites[1]) if row.expect != "hand_over"
    ]
    texts = {fact.text: fact.id for fact in sheets[0].facts}
    near = nearest([words for words, _ in found], [row.prompt for row in asked], 4)
    hits = sum(
        any(texts.get(found[number][1]) in row.expect.split() for number, _ in best)
        for row, best in zip(asked, near, strict=True)
    )
    assert hits >= 0.8 * len(asked)  # what retrieval does not find, no model can tell


def test_the_second_sheet_changes_facts_and_no_ids(sheets) -> None:
    old, new = ({fact.id: fact for fact in sheet.facts} for sheet in sheets)
    assert set(old) == set(new) and sum(old[name] != new[name] for name in old) >= 12
    assert sheets[0].on(DAY) and not sheets[1].on(DAY)
