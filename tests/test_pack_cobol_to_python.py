"""The pack cobol-to-python: its files follow from their parts, its proof covers every program, its gold is equal.

Does not cover: the whole proof (``python -m scripts.packs.cobol_to_python prove``), the demo.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from curate.privacy.code import outside_prose
from curate.records import Bad, Row, read
from curate.tasks import load_eval, load_pack
from evals.cobol.build import executable
from evals.cobol.inputs import cases, domain_of
from evals.cobol.judge import Judge, Ready
from evals.cobol.source import read as read_cobol
from scripts.packs import _bulk, cobol_to_python

FOLDER = cobol_to_python.PACK
PARTS = cobol_to_python.parts()
needs = pytest.mark.skipif(
    not (shutil.which("cobc") and shutil.which("bwrap")), reason="needs cobc and bwrap"
)


def lines(name: str) -> list[dict]:
    return [json.loads(row) for row in (FOLDER / name).read_text("utf-8").splitlines()]


def test_the_files_follow_from_their_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cobol_to_python, "PACK", tmp_path)
    cobol_to_python.build()
    for name in ("records.jsonl", "eval.jsonl", "decisions.jsonl"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_there_is_enough_of_everything() -> None:
    splits = Counter(part.split for part in PARTS)
    assert splits["train"] >= 120 and splits["eval"] >= 40
    for split, least in (("train", 6), ("eval", 3)):
        channels = Counter(part.channel for part in PARTS if part.split == split)
        assert set(channels) == {"stdin", "file", "linkage", "argv"} and min(channels.values()) >= least
        pitfalls = {part.pitfall for part in PARTS if part.split == split}
        assert len(pitfalls) >= 20
        assert {cobol_to_python.family(pitfall) for pitfall in pitfalls} == set(cobol_to_python.FAMILIES)


def test_what_is_planted_broken_is_quarantined_and_all_else_is_decided() -> None:
    found = list(read(FOLDER / "records.jsonl"))
    assert sum(isinstance(row, Bad) for row in found) == len(cobol_to_python.BROKEN_ROWS)
    records = {row.external_id for row in found if isinstance(row, Row)}
    decided: set[str] = set()
    for line in lines("decisions.jsonl"):
        decided |= {line["record"]} if "record" in line else set(line["records"])
    assert records == decided
    reasons = {line.get("reason") for line in lines("decisions.jsonl")} - {None}
    assert reasons <= set(load_pack(FOLDER).reject_reasons) and len(reasons) >= 8


def test_eval_programs_are_no_training_programs() -> None:
    pack = load_pack(FOLDER)
    asked = {row.metadata["program"] for row in load_eval(FOLDER, pack.suites[0])}
    taught = {row.metadata["program"] for row in read(FOLDER / "records.jsonl") if isinstance(row, Row)
              and "program" in row.metadata}  # fmt: skip
    assert len(asked) >= 40 and not asked & taught


def test_the_proof_is_of_these_very_programs() -> None:
    proof = json.loads(cobol_to_python.PROOF.read_text("utf-8"))["programs"]
    for part in PARTS:
        entry = proof[part.name]
        assert entry["sha256"] == part.digest, f"{part.name} changed: prove it again"
        assert entry["class"] == "equal" and entry["inputs"] >= min(1000, entry.get("possible", 1000))
        if part.split == "eval":
            assert entry["may_gate"] and entry["killed"] == entry["killable"] >= 3


def test_planted_people_stand_where_the_scan_looks() -> None:
    planted = 0
    for row in lines_that_are_rows():
        for mark, skip in (("AUTHOR. ", 8), ("@", 0), ("98200", 0)):
            at = row.prompt.find(mark)
            if at >= 0:
                planted += 1
                assert not outside_prose(row.prompt, at + skip, at + skip + 1)
    assert planted >= 20


def lines_that_are_rows() -> list[Row]:
    return [row for row in read(FOLDER / "records.jsonl") if isinstance(row, Row)]


@needs
@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["SIMPINT", "POSTTXN", "TOPCUST", "MISSFILE"])
def test_pairs_agree_on_inputs_of_today(name: str) -> None:
    """Another seed than the proof's, one pair a channel: a change of the scorer shows here first."""
    part = next(part for part in PARTS if part.name == name)
    program = read_cobol(part.cobol)
    with Judge() as judge:
        made = cases(program, domain_of(part.domains), 5, 100)
        judged, wrong = _bulk.compare(judge, Ready(program=program), part.python, made)
    assert judged >= 90 and wrong == []


@needs
@pytest.mark.sandbox
def test_many_inputs_in_one_process_give_what_one_each_gives() -> None:
    """The proof's runner against the scorer's, on a pair that differs: the same inputs tell."""
    part = next(part for part in PARTS if part.name == "STNDORD")
    wrong = part.python.replace("amount > balance", "amount >= balance * 2")
    program = read_cobol(part.cobol)
    with Judge() as judge:
        made = cases(program, domain_of(part.domains), 5, 25)
        _, differs = _bulk.compare(judge, Ready(program=program), wrong, made)
        ready = Ready(program, executable(program, judge.tools), "stndord")
        alone = [case for case in made if judge._expected(ready, case) is not None]
        told = [case for case in alone if judge._try(ready, wrong, case)[0] != "equal"]
    assert len(differs) == len(told) > 0
