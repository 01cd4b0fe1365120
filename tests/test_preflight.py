"""Preflight: what would teach a mistake does not get past, and what gets past is signed by name.

Does not cover: tokenising (test_train_render.py), overlap (test_dedupe.py), refusing to train
(test_invariant_training.py).
"""

import json

import polars as pl
import pytest

from curate import contract, preflight
from curate.tasks import TaskPack
from evals.arms import Arm
from evals.generate import Generation
from evals.run import run_suite
from tests.eval_helpers import SENTENCES, pack_folder, rows, snapshot_folder
from tests.train_helpers import RECIPE
from train.base import tiny_llama
from train.recipe import load_recipe

TALK = "[doctor] take lisinopril {} mg daily [patient] okay, number {}"
NOTE = "Assessment and Plan\nContinue lisinopril {} mg daily."


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tiny_llama(tmp_path_factory.mktemp("base") / "tiny", texts=SENTENCES))


@pytest.fixture
def scribe(tmp_path):
    """A pack judged by soap_note and a way to freeze pairs of (dose said, dose written) under it."""
    pack = pack_folder(tmp_path / "pack", rows(40), metric="soap_note", critical=["critical"], effect=0.5)
    data = pack.model_dump(mode="json")
    data["suites"][0]["gold"] = {"min": 0.0}

    def freeze(doses, **changes) -> tuple[TaskPack, dict]:
        pairs = [(TALK.format(said, i), NOTE.format(written)) for i, (said, written) in enumerate(doses)]
        changed = TaskPack.model_validate(data | changes)
        folder = snapshot_folder(tmp_path / f"snapshot-{len(list(tmp_path.iterdir()))}", pairs, changed)
        return changed, folder

    return freeze


def judge(tmp_path, pack, folder, base, name="gold of suite main"):
    made = preflight.run(folder, tmp_path / "pack", pack, load_recipe(RECIPE), base_model=base)
    assert json.loads((folder / "preflight.json").read_text()) == made
    return made, next(check for check in made["checks"] if check["name"] == name)


def test_clean_gold_passes(tmp_path, scribe, base):
    pack, folder = scribe([(20, 20)] * 12)
    made, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "PASS" and check["pairs"] == [], check
    assert made["verdict"] == "PASS", made["checks"]
    assert "does not claim to see" in check["detail"] and "flipped negation" in check["detail"]


def test_one_wrong_dose_among_the_approved_completions_stops_training(tmp_path, scribe, base):
    pack, folder = scribe([(20, 20)] * 11 + [(20, 200)])
    made, check = judge(tmp_path, pack, folder, base)
    assert made["verdict"] == check["verdict"] == "FAIL"
    (pair,) = check["pairs"]
    assert pair["pair_id"] == "pair-011" and pair["critical"] and "200" in pair["detail"]
    assert "pair-011" in check["detail"] and "waive" in check["detail"]


def test_gold_may_be_judged_with_parameters_of_its_own(tmp_path, scribe, base, monkeypatch):
    import evals.run

    real, seen = evals.run.score_texts, []

    def noted(name, rows, predictions, params=None, pack_dir=None):
        seen.append(dict(params or {}))
        return real(name, rows, predictions, {}, pack_dir)

    monkeypatch.setattr("evals.run.score_texts", noted)
    pack, folder = scribe([(20, 20)] * 12)
    pack.suites[0].params = {"search": 60, "fresh": 40}
    pack.suites[0].gold.params = {"search": 5}
    judge(tmp_path, pack, folder, base)
    assert seen == [{"search": 5, "fresh": 40}]


def test_a_waiver_names_who_and_why(tmp_path, scribe, base):
    signed = {"check": "gold of suite main", "by": "lead-1", "reason": "the dose was said on the phone"}
    pack, folder = scribe([(20, 20)] * 11 + [(20, 200)], waivers=[signed | {"pairs": ["pair-011"]}])
    _, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "PASS" and check["pairs"][0]["waived"] and "lead-1" in check["detail"]
    pack, folder = scribe([(20, 200)] * 2 + [(20, 20)] * 9, waivers=[signed | {"pairs": ["pair-000"]}])
    _, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "FAIL" and [p["waived"] for p in check["pairs"]] == [False, True]
    pack, folder = scribe([(20, 200)] * 2 + [(20, 20)] * 9, waivers=[signed])
    _, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "PASS" and check["waivers"][0]["reason"] == signed["reason"]
    with pytest.raises(ValueError, match="reason"):
        TaskPack.model_validate(pack.model_dump() | {"waivers": [signed | {"reason": "ok"}]})


def test_a_share_of_plain_failures_is_the_scorers_own_error(tmp_path, base):
    """exact_match judges a completion against itself, so a bar above 1 is the way to make every pair fail."""
    eval_rows = rows(40)
    pack = pack_folder(tmp_path / "pack", eval_rows, effect=0.5)
    folder = snapshot_folder(
        tmp_path / "snapshot", [(f"say {i} {s}", s) for i, s in enumerate(SENTENCES)], pack
    )
    _, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "PASS"
    strict = pack.model_copy(deep=True)
    strict.suites[0].gold.min, strict.suites[0].gold.share = 1.5, 0.9
    _, check = judge(tmp_path, strict, folder, base)
    assert check["verdict"] == "FAIL" and len(check["pairs"]) == len(SENTENCES)
    strict.suites[0].gold.share = 0.99999
    assert judge(tmp_path, strict, folder, base)[1]["verdict"] == "FAIL"


def test_a_scorer_that_cannot_run_is_no_pass(tmp_path, base):
    pack = pack_folder(tmp_path / "pack", rows(40), metric="exact_match", effect=0.5)
    pack.suites[0].primary = "no_such_number"
    folder = snapshot_folder(tmp_path / "snapshot", [("say", "a kettle")], pack)
    _, check = judge(tmp_path, pack, folder, base)
    assert check["verdict"] == "INCONCLUSIVE" and "no_such_number" in check["detail"]


def test_pairs_of_another_detector_are_found(tmp_path, scribe, base):
    pack, folder = scribe([(20, 20)] * 6)
    assert judge(tmp_path, pack, folder, base, "no open privacy finding")[1]["verdict"] == "PASS"
    path = folder / "data" / "train.parquet"
    frame = pl.read_parquet(path).with_columns(
        detector_version=pl.when(pl.col("pair_id") == "pair-003")
        .then(pl.lit("0"))
        .otherwise("detector_version")
    )
    frame.write_parquet(path)
    check = preflight._private(folder)
    assert check["verdict"] == "FAIL" and check["pairs"] == [{"pair_id": "pair-003"}]
    assert contract.verify(folder)  # and the change itself is seen


# --- baselines ----------------------------------------------------------------------------------------------


def baselines(tmp_path, pack, folder, **changes):
    """The retrieval arm's run, where `goldpair eval` leaves it."""
    run_suite(tmp_path / "pack", pack, "main", [Arm("retrieval", "retrieval")],
              tmp_path / "runs" / "baselines--main", snapshot_dir=folder, **changes)  # fmt: skip


def test_baselines_must_be_scored_on_this_eval_set_from_this_snapshot(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(12), metric="exact_match")
    pack.gate.baselines = ["retrieval"]
    folder = snapshot_folder(tmp_path / "one", [(f"say {i} {s}", s) for i, s in enumerate(SENTENCES)], pack)
    other = snapshot_folder(tmp_path / "two", [("say", "a kettle")] * 3, pack)

    def check(of=folder, runs=tmp_path / "runs"):
        [found] = preflight._baselines(of, tmp_path / "pack", pack, runs, "a-base")
        assert found["name"] == "baselines of suite main"
        return found["verdict"], found["detail"]

    for runs in (None, tmp_path / "runs"):
        verdict, detail = check(runs=runs)
        assert (
            verdict == "INCONCLUSIVE"
            and "retrieval: not scored yet" in detail
            and "goldpair eval parrot" in detail
        )
    baselines(tmp_path, pack, folder)
    verdict, detail = check()
    assert verdict == "PASS" and "retrieval 1.000 on 12 eval rows" in detail
    assert check(of=other)[0] == "INCONCLUSIVE" and "examples are from snapshot" in check(of=other)[1]
    pack.gate.baselines = ["retrieval", "zero_shot"]
    assert check()[0] == "INCONCLUSIVE" and "zero_shot: not scored yet" in check()[1]
    pack.gate.baselines = ["retrieval"]
    eval_file = tmp_path / "pack" / "eval.jsonl"
    eval_file.write_text("".join(eval_file.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")
    assert check()[0] == "INCONCLUSIVE" and "eval.jsonl has changed" in check()[1]
    pack.gate.baselines = []
    assert preflight._baselines(folder, tmp_path / "pack", pack, None, None) == []


def test_answers_of_another_base_are_no_baseline(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(3))
    pack.gate.baselines = ["zero_shot"]
    folder = snapshot_folder(tmp_path / "one", [("say", "a kettle")], pack)

    class Said:
        """Stands where a model would: a generator with an identity; what it says does not matter here."""

        def identity(self):
            return {"base": "small-base", "adapter": None}

        def generate(self, conversations, **_):
            return [Generation("a kettle", 3, 2, 0.1) for _ in conversations]

    arm = Arm("zero_shot", "zero_shot", generator=Said())
    run_suite(
        tmp_path / "pack", pack, "main", [arm], tmp_path / "runs" / "baselines--main", snapshot_dir=folder
    )
    for base, verdict in (("small-base", "PASS"), ("large-base", "INCONCLUSIVE")):
        [found] = preflight._baselines(folder, tmp_path / "pack", pack, tmp_path / "runs", base)
        assert found["verdict"] == verdict, found


# --- failures that a share would hide -----------------------------------------------------------------------


def judged(count, failing, **groups):
    """``count`` judged pairs, those in ``failing`` fail plainly; ``groups``: column -> value by number."""
    return [
        {"pair_id": f"p{i}", "source": f"s{i}", "names": [f"p{i}", f"topic={'safety' if i < 5 else 'pets'}"],
         "error": "", "score": 0.1 if i in failing else 0.9,
         "fails": i in failing, "critical": False, "problem": "score 0.10", "detail": "", "author": "ann",
         "approver": "rev", "guideline_version": "1"} | {column: of(i) for column, of in groups.items()}
        for i in range(count)
    ]  # fmt: skip


def test_failures_of_one_annotator_stop_although_the_share_has_room(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(3))
    suite = pack.suites[0]
    suite.gold.share = 0.2
    spread = set(range(0, 300, 10))  # one in ten, everywhere

    def author(i):
        return "batch-7" if 100 <= i < 112 else "ann"

    check = preflight.decide_gold(judged(300, spread, author=author), pack, suite)
    assert check["verdict"] == "PASS", check["detail"]
    check = preflight.decide_gold(judged(300, spread | set(range(100, 108)), author=author), pack, suite)
    assert check["verdict"] == "FAIL" and "author batch-7: 9 of 12" in check["detail"]
    assert len(check["pairs"]) < 0.2 * 300
    scattered = spread | set(range(1, 80, 10))  # as many more, of nobody in particular
    assert preflight.decide_gold(judged(300, scattered, author=author), pack, suite)["verdict"] == "PASS"


def test_a_waiver_may_name_what_the_pairs_have_in_common(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(3))
    assert preflight.decide_gold(judged(30, {1, 3}), pack, pack.suites[0])["verdict"] == "FAIL"
    signed = {"check": "gold of suite main", "by": "lead-1", "reason": "read one by one, they are right"}
    pack = TaskPack.model_validate(pack.model_dump() | {"waivers": [signed | {"pairs": ["topic=safety"]}]})
    check = preflight.decide_gold(judged(30, {1, 3}), pack, pack.suites[0])
    assert check["verdict"] == "PASS" and all(item["waived"] for item in check["pairs"])
    assert preflight.decide_gold(judged(30, {1, 3, 9}), pack, pack.suites[0])["verdict"] == "FAIL"
    assert preflight._tags({"metadata": '{"topic": "safety", "n": 3}'}) == ["topic=safety"]


def test_a_score_under_never_fails_whatever_the_share(tmp_path):
    pack = pack_folder(tmp_path / "pack", rows(3))
    suite = pack.suites[0]
    suite.gold.share, suite.gold.never = 0.5, 0.3
    folder = snapshot_folder(tmp_path / "one", [(f"say {i} {s}", s) for i, s in enumerate(SENTENCES)], pack)
    pairs = contract.load_rows(folder).to_dicts()
    found = preflight.judge_gold(pairs, tmp_path / "pack", pack, suite)
    assert preflight.decide_gold(found, pack, suite)["verdict"] == "PASS"
    suite.gold.min, suite.gold.never = 1.5, 1.2  # exact_match judges a completion against itself: 1 each
    found = preflight.judge_gold(pairs, tmp_path / "pack", pack, suite)
    check = preflight.decide_gold(found, pack, suite)
    assert check["verdict"] == "FAIL" and all(item["critical"] for item in check["pairs"])


def test_a_completion_is_no_witness_for_itself(tmp_path, scribe, base):
    """A note that denies what the patient reported, held against itself as reference, would be cleared by it."""
    pack, _ = scribe([(20, 20)])
    pack.gate.critical = ["flipped_negation"]
    talk = "[doctor] any chest pain? [patient] yes, i have chest pain when i climb stairs. [doctor] okay, {}."
    note = "Subjective\nThe patient {} chest pain on climbing stairs.\nAssessment and Plan\nRest, number {}."
    pairs = [(talk.format(i), note.format("denies" if i == 3 else "reports", i)) for i in range(6)]
    folder = snapshot_folder(tmp_path / "negated", pairs, pack)
    found = preflight.judge_gold(
        contract.load_rows(folder).to_dicts(), tmp_path / "pack", pack, pack.suites[0]
    )
    assert [item["pair_id"] for item in found if item["critical"]] == ["pair-003"]
