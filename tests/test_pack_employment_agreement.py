"""The pack employment-agreement: its files come from its parts, its gold passes the scorer, its mistakes do not.

Does not cover: what holds for every pack (`test_shipped_packs`), the stages of a run, what a model learns from it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

import evals
from curate.privacy import Detector
from curate.records import Bad, Row, read
from curate.tasks import load_eval, load_pack
from scripts.packs import employment_agreement as builder

FOLDER = builder.PACK
#: what the scorer says about a draft that people rejected for a reason
CAUGHT_AS = {
    "wrong_fact": {
        "wrong_amount",
        "wrong_date",
        "wrong_notice",
        "wrong_probation",
        "wrong_party",
        "wrong_role",
    },
    "invented_value": {"invented_value", "wrong_amount"},
    "placeholder_left": {"placeholder_left"},
    "stale_statute": {"stale_statute"},
    "wrong_state": {"wrong_state"},
    "foreign_law": {"foreign_law"},
    "void_restraint": {"void_restraint"},
    "missing_clause": {"missing_clause"},
    "malformed": {"missing_clause"},
}
FOR_PEOPLE = {"off_style", "private_data"}  # chatter, a missing mark, a birth date: no rule of the scorer's


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    found = [row for row in read(FOLDER / "records.jsonl") if isinstance(row, Row)]
    named: dict[str, Row] = {}
    for row in found:
        named.setdefault(str(row.external_id), row)
    return named


@pytest.fixture(scope="module")
def decisions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "decisions.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def gold(rows: dict[str, Row], decisions: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Record -> (request, agreement) as approved, edits included."""
    edited = {line["record"]: line["completion"] for line in decisions if line.get("verdict") == "edit"}
    return {
        line["record"]: (
            rows[line["record"]].prompt,
            edited.get(line["record"], rows[line["record"]].completion),
        )
        for line in decisions
        if line.get("verdict") == "approve"
    }


def judge(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    prompts, texts = zip(*pairs, strict=True)
    return evals.metric("contract_clauses").compute(predictions=list(texts), requests=list(prompts))


def test_the_builder_makes_these_very_files() -> None:
    pack = builder.build()
    for name, lines in (
        ("records", pack.records),
        ("eval", pack.evals),
        ("decisions", pack.decisions),
    ):
        assert (FOLDER / f"{name}.jsonl").read_text("utf-8") == "\n".join(lines) + "\n", name


def test_it_is_as_large_and_as_wide_as_promised(
    gold: dict[str, tuple[str, str]], rows: dict[str, Row]
) -> None:
    held = load_eval(FOLDER, load_pack(FOLDER).suites[0])
    assert len(gold) >= 120 and len(held) >= 40
    assert len({rows[name].metadata["state"] for name in gold}) >= 18
    assert len({row.metadata["state"] for row in held}) >= 15
    roles = {request.facts["role"] for request in builder.train_requests()}
    assert len(roles) >= 100
    assert {len(request.silent) for request in builder.train_requests()} >= {0, 1, 2, 3, 5}
    words = [len(text.split()) for _, text in gold.values()]
    assert min(words) >= 300 and max(words) <= 700


def test_every_clause_has_many_wordings_and_no_house_is_on_both_sides(rows: dict[str, Row]) -> None:
    houses = builder.houses()
    clauses = {name for house in houses.values() for name in house.clauses} - {"benefits"}
    for clause in clauses:
        said = {w.text for name in builder.TRAIN_HOUSES for w in houses[name].clauses.get(clause, [])}
        assert len(said) >= 6, clause
    assert set(houses) == {*builder.TRAIN_HOUSES, *builder.EVAL_HOUSES}
    assert {row.metadata["style"] for row in rows.values()} == set(builder.TRAIN_HOUSES)
    everything = [w.text for house in houses.values() for some in house.clauses.values() for w in some]
    assert [text for text, count in Counter(everything).items() if count > 1 and len(text) > 25] == []


def test_every_approved_agreement_and_every_reference_passes_its_scorer(
    gold: dict[str, tuple[str, str]],
) -> None:
    suite = load_pack(FOLDER).suites[0]
    held = [(row.prompt, row.reference or "") for row in load_eval(FOLDER, suite)]
    result = judge([*gold.values(), *held])
    assert [hit for hits in result["evidence"] for hit in hits] == []
    assert min(result["scores"]) >= suite.gold.min


def test_every_agreement_says_that_it_is_a_sample_and_no_advice(gold: dict[str, tuple[str, str]]) -> None:
    held = {
        row.id: (row.prompt, row.reference or "") for row in load_eval(FOLDER, load_pack(FOLDER).suites[0])
    }
    for name, (_, text) in {**gold, **held}.items():
        assert re.search(r"sample|specimen", text, re.I) and re.search(r"legal\s+advice", text), name


def test_what_people_rejected_the_scorer_sees(rows: dict[str, Row], decisions: list[dict[str, Any]]) -> None:
    rejected = [line for line in decisions if line.get("verdict") == "reject"]
    assert {line["reason"] for line in rejected} == set(CAUGHT_AS) | FOR_PEOPLE
    result = judge([(rows[line["record"]].prompt, rows[line["record"]].completion) for line in rejected])
    for line, hits in zip(rejected, result["evidence"], strict=True):
        assert line["comment"]
        if line["reason"] in CAUGHT_AS:
            assert {hit["kind"] for hit in hits} & CAUGHT_AS[line["reason"]], line


def test_what_was_edited_was_wrong_before_and_approved_by_another(
    rows: dict[str, Row], gold: dict[str, tuple[str, str]], decisions: list[dict[str, Any]]
) -> None:
    edits = [line for line in decisions if line.get("verdict") == "edit"]
    approver = {line["record"]: line["user"] for line in decisions if line.get("verdict") == "approve"}
    result = judge([(rows[line["record"]].prompt, rows[line["record"]].completion) for line in edits])
    assert len(edits) >= 5 and all(result["evidence"])
    assert all(approver[line["record"]] != line["user"] for line in edits)


def test_broken_lines_are_quarantined_each_for_its_reason() -> None:
    bad = [row for row in read(FOLDER / "records.jsonl") if isinstance(row, Bad)]
    planted = (builder.PARTS / "broken.txt").read_text("utf-8").splitlines()
    again = 1  # an id that was there already is refused by the import, not by the reader
    assert len(bad) == len(planted) - again
    assert len({row.reason for row in bad}) >= 8


def test_every_row_is_decided_once(rows: dict[str, Row], decisions: list[dict[str, Any]]) -> None:
    copies = {name for line in decisions if line.get("kind") == "duplicate" for name in line["records"][1:]}
    decided = Counter(line["record"] for line in decisions if line.get("verdict") in ("approve", "reject"))
    assert set(decided) | copies == set(rows) and set(decided.values()) == {1}
    assert not set(decided) & copies


def test_what_the_policy_keeps_is_no_open_finding() -> None:
    """Dates, employers and towns of an agreement stay, and nobody has to decide about them; names do not."""
    from curate.findings import open_spans
    from curate.privacy import Detector, Policy

    detector = Detector.from_policy(Policy.load(load_pack(FOLDER).privacy))
    text = "Mr. Namdev Waghmare joined Deccan Sprocket Industries Private Limited, Pune, on 5 October 2026."
    kinds = {span["entity_type"] for span in open_spans(detector, {"prompt": text, "completion": ""}, [])}
    assert kinds == {"PERSON"}


def test_a_firm_is_nobody_where_a_long_agreement_names_it_again(rows: dict[str, Row]) -> None:
    """Its signature line had become a person, and the approved agreement no longer passed its scorer."""
    record = {"prompt": rows["ea-084"].prompt, "completion": rows["ea-084"].completion or ""}
    [scan] = Detector.from_policy(load_pack(FOLDER).privacy).scan_records([record])
    text = record["completion"]
    found = [(text[f.start : f.end], f.entity_type) for f in scan.findings["completion"]]
    assert text.count("Trimbak Fuels LLP") == found.count(("Trimbak Fuels LLP", "ORG")) == 2
    assert not any(kind == "PERSON" and "Trimbak" in words for words, kind in found)
