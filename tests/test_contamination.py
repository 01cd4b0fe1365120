"""The firewall between training data and eval sets, and what a score is without the suspects."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest

from curate import contamination, contract, preflight
from curate.tasks import EvalRow, TaskPack
from evals.arms import Arm
from evals.report import gather, render_html, render_markdown
from evals.run import EvalRun, run_suite
from evals.suspects import suspects, with_and_without
from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder

PACK = TaskPack(name="parrot", title="Parrot")


def words(seed: int, n: int) -> str:
    return " ".join(f"word{random.Random(f'{seed}-{i}').randrange(10**6)}" for i in range(n))


def table(*pairs: dict) -> pl.DataFrame:
    blank = dict.fromkeys(contract.ROW_SCHEMA, "") | {"revision": 1, "history": "[]", "metadata": "{}"}
    full = [
        blank | {"pair_id": f"p{i}", "source": f"train-{i}", "prompt": words(900 + i, 30)} | pair
        for i, pair in enumerate(pairs)
    ]
    return pl.DataFrame(full, schema=contract.ROW_SCHEMA)


def row(name: str = "e0", **fields) -> EvalRow:
    return EvalRow(**{"id": name, "source": f"eval-{name}", "prompt": words(7, 30)} | fields)


def hits(frame, evals, pack=PACK):
    return [
        (h["pair_id"], h["eval_id"], h["field"], h["kind"]) for h in contamination.find(frame, evals, pack)
    ]


def test_an_edited_copy_with_a_greeting_in_front_is_a_hit_on_the_prompt():
    frame = table({}, {"prompt": "Good morning! " + words(7, 30) + " thanks"}, {})
    [hit] = contamination.find(frame, [row(), row("e1", prompt=words(8, 30))], PACK)
    assert (hit["pair_id"], hit["eval_id"], hit["field"], hit["kind"]) == ("p1", "e0", "prompt", "near")
    assert hit["blocks"] and 0.8 < hit["similarity"] < 1


def test_a_completion_that_stands_as_a_reference_is_a_hit_unless_it_says_too_little():
    frame = table({"completion": words(5, 20)}, {"completion": "I do not know."})
    evals = [row(reference=words(5, 20)), row("e1", prompt=words(8, 30), reference="I do not know.")]
    assert hits(frame, evals) == [("p0", "e0", "completion", "identical")]


def test_the_turns_before_a_prompt_belong_to_it():
    turns = [{"role": "user", "content": words(3, 20)}, {"role": "assistant", "content": words(4, 20)}]
    frame = table({"history": json.dumps(turns), "prompt": "And why is that so?"})
    same = row(prompt="And why is that so?", history=turns)
    other = row("e1", prompt="And why is that so?", history=[{"role": "user", "content": words(5, 40)}])
    assert hits(frame, [same, other]) == [("p0", "e0", "prompt", "identical")]


@pytest.mark.parametrize("field", ["source", "metadata.patient"])
def test_one_source_on_both_sides_is_a_hit_although_no_text_is_alike(field):
    if field == "source":
        frame, evals = table({}, {"source": "visit-9"}), [row(source="visit-9")]
    else:
        frame = table({}, {"metadata": json.dumps({"patient": "P-17"})})
        evals = [row(metadata={"patient": " p-17"}), row("e1", prompt=words(8, 30), metadata={"patient": ""})]
    assert hits(frame, evals) == [("p1", "e0", field, "source")]
    declared = PACK.model_copy(update={"overlap": PACK.overlap.model_copy(update={"sources": []})})
    assert bool(hits(frame, evals, declared)) == (field == "source")


def template(seed: int) -> str:
    return "\n".join([words(1, 60), words(1000 + seed, 45), words(2, 60), words(2000 + seed, 45)])


def test_a_shared_template_is_reported_and_blocks_only_where_the_pack_calls_it_a_source():
    frame, evals = table({"completion": template(1)}), [row(reference=template(2))]
    [hit] = contamination.find(frame, evals, PACK)
    assert (hit["field"], hit["kind"], hit["blocks"]) == ("completion", "template", False)
    strict = TaskPack(name="x", title="X", overlap={"template_is_source": True})
    [hit] = contamination.find(frame, evals, strict)
    assert hit["blocks"]
    assert "reported only" not in contamination.in_words([hit], 1, 1)


# --- in preflight -------------------------------------------------------------------------------------------


def test_preflight_fails_with_the_list_and_shrinks_neither_side(tmp_path):
    evals = rows(4)
    pack = pack_folder(tmp_path / "pack", evals)
    folder = snapshot_folder(
        tmp_path / "snap", [(words(1, 20), "ok"), (evals[2].prompt.upper() + "!", "ok")], pack
    )
    before = {p.name: p.read_bytes() for p in folder.glob("*.*")}
    [check] = preflight._overlap(folder, tmp_path / "pack", pack, None)
    assert check["verdict"] == "FAIL" and check["name"] == "no overlap with suite main"
    assert {(h["pair_id"], h["eval_id"]) for h in check["overlap"]} >= {("pair-001", "row-002")}
    assert "pair-001" in check["detail"] and "row-002" in check["detail"]
    assert before == {p.name: p.read_bytes() for p in folder.glob("*.*")}
    assert (tmp_path / "pack" / "eval.jsonl").read_text().count("\n") == 4


def test_the_eval_set_of_an_earlier_run_is_frozen_too(tmp_path):
    evals = rows(3)
    pack = pack_folder(tmp_path / "pack", evals)
    folder = snapshot_folder(tmp_path / "snap", [(words(6, 25), "ok")], pack)
    earlier = tmp_path / "runs" / "parrot-v1--main"
    earlier.mkdir(parents=True)
    (earlier / "eval.jsonl").write_text(row("old", prompt=words(6, 25)).model_dump_json() + "\n")
    (tmp_path / "runs" / "parrot-v2--main").mkdir()
    same = "".join(r.model_dump_json() + "\n" for r in evals)
    (tmp_path / "runs" / "parrot-v2--main" / "eval.jsonl").write_text(same)
    checks = preflight._overlap(folder, tmp_path / "pack", pack, tmp_path / "runs")
    assert [(c["name"], c["verdict"]) for c in checks] == [
        ("no overlap with suite main", "PASS"),
        ("no overlap with the eval set of run parrot-v1--main", "FAIL"),
    ]


# --- scores with and without --------------------------------------------------------------------------------


@pytest.fixture
def contaminated(tmp_path) -> EvalRun:
    """A run of 12 rows; the answers to the two that the snapshot gives away are right, half of the rest is."""
    evals = rows(12)
    for number, one in enumerate(evals):
        one.prompt = words(number, 25)
    pack = pack_folder(tmp_path / "pack", evals)
    pairs = [(words(50, 25), "ok"), ("Hello! " + evals[3].prompt, "ok"), (evals[8].prompt, "ok")]
    snapshot = snapshot_folder(tmp_path / "snap", pairs, pack)
    answers = outputs(evals, 0.0) | {
        e.id: e.reference for e in evals if e.id in ("row-003", "row-008", "row-001")
    }
    arm = Arm("vendor", "file", outputs=answers)
    run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run", snapshot_dir=snapshot)
    contamination.keep_suspects(tmp_path / "run", snapshot, pack, pack.suites[0], tmp_path / "pack")
    return EvalRun.load(tmp_path / "run")


def test_scores_with_and_without_the_suspects_stand_side_by_side(contaminated):
    found = suspects(contaminated)
    assert list(found) == ["row-003", "row-008"]
    assert {hit["kind"] for hit in found["row-003"]} == {"near"}
    both = with_and_without(contaminated)
    assert both["suspects"] == ["row-003", "row-008"] and both["templates"] == []
    arm = both["arms"]["vendor"]
    assert (arm["all"]["n"], arm["without"]["n"]) == (12, 10)
    assert arm["all"]["estimate"] == pytest.approx(3 / 12)
    assert arm["without"]["estimate"] == pytest.approx(1 / 10)


def test_the_report_says_both_numbers_and_keeps_every_row(contaminated):
    body = gather(contaminated, None, candidate="vendor")
    assert body["arms"][0]["n"] == 12
    text = render_markdown(body)
    assert (
        "Eval rows that stand in the training data too: 2" in text
        and "0.250 with them, 0.100 without" in text
    )
    assert "2 eval rows stand in the training data too" in render_html(body)


def test_what_the_run_itself_saw_counts_although_nobody_wrote_suspects(contaminated):
    (contaminated.folder / "suspects.json").unlink()
    assert list(suspects(contaminated)) == ["row-008"]  # word for word; the edited copy takes the engine


def test_without_a_snapshot_nobody_looked(tmp_path):
    evals = rows(3)
    pack = pack_folder(tmp_path / "pack", evals)
    arm = Arm("vendor", "file", outputs=outputs(evals, 1.0))
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    contamination.keep_suspects(tmp_path / "run", None, pack, pack.suites[0], tmp_path / "pack")
    assert suspects(run) is None and with_and_without(run) is None
    assert gather(run, None)["suspects"] is None


def test_one_form_filled_in_for_another_request_is_house_style_for_the_same_request_it_is_a_copy():
    form = words(1, 40) + " Asha Rao is paid ₹90,000 from 3 March on " + words(2, 40)
    other = form.replace("Asha Rao", "Vikram Sen").replace("₹90,000", "₹1,20,000")
    frame = table({"completion": other})
    assert hits(frame, [row(reference=form)]) == [("p0", "e0", "completion", "template")]
    same = row(prompt=frame["prompt"][0], reference=form)
    assert ("p0", "e0", "completion", "near") in hits(frame, [same])
