"""The gate: only evidence passes, every check says what it rests on."""

import json
import random

import pytest

from curate.errors import UsageError
from curate.tasks import Gate
from evals.arms import Arm
from evals.gate import Decision, decide, decide_preflight, power_check
from evals.run import EvalRun, run_suite
from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder


def run_of(tmp_path, arms, eval_rows, snapshot=None, metric="exact_match", **gate):
    pack = pack_folder(tmp_path / "pack", eval_rows, metric=metric, **gate)
    return pack.gate, run_suite(
        tmp_path / "pack", pack, "main", arms, tmp_path / "run", snapshot_dir=snapshot
    )


def file_arms(eval_rows, **right):
    """One arm a keyword; each value is the share of right answers."""
    return [
        Arm(name, "file", outputs=outputs(eval_rows, share, seed=number))
        for number, (name, share) in enumerate(right.items())
    ]


def verdicts(decision):
    return {check["name"]: check["verdict"] for check in decision.checks}


def test_a_clear_winner_passes(tmp_path):
    eval_rows = rows(200)
    gate, run = run_of(
        tmp_path, file_arms(eval_rows, tuned=0.9, zero_shot=0.4, older=0.8), eval_rows, floor=0.8
    )
    decision = decide(run, gate, baselines=["zero_shot"], released="older")
    assert decision.verdict == "PASS", decision.reasons
    assert decision.worth_it.startswith("It pays") and decision.missing is None
    assert set(verdicts(decision)) >= {
        "coverage of tuned",
        "floor",
        "better than zero_shot",
        "not worse than older",
    }
    assert json.loads(json.dumps(decision.to_dict(), allow_nan=False)) == decision.to_dict()
    assert decide(run.folder, gate, baselines=["zero_shot"], released="older") == decision
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(decision.to_dict()))
    assert Decision.load(path).to_dict() == decision.to_dict()


def test_a_regression_fails_and_a_small_set_cannot_tell(tmp_path):
    eval_rows = rows(200)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.5, older=0.95), eval_rows)
    decision = decide(run, gate, baselines=[], released=["older"])
    assert decision.verdict == "FAIL" and "not worse than older" in decision.reasons[0]
    few = rows(30)
    gate, run = run_of(tmp_path / "few", file_arms(few, tuned=0.9, older=0.9), few)
    decision = decide(run, gate, baselines=[], released=["older"])
    assert decision.verdict == "INCONCLUSIVE" and decision.missing > 100
    assert "more eval rows are missing" in decision.reasons[0]


def test_a_gap_blocks_a_pass(tmp_path):
    eval_rows = rows(100)
    arms = file_arms(eval_rows, tuned=0.95, zero_shot=0.2)
    del arms[0].outputs["row-007"]
    gate, run = run_of(tmp_path, arms, eval_rows)
    decision = decide(run, gate, baselines=["zero_shot"])
    assert decision.verdict == "INCONCLUSIVE"
    assert verdicts(decision)["coverage of tuned"] == "INCONCLUSIVE"
    assert verdicts(decision)["better than zero_shot"] == "PASS"


def test_a_declared_baseline_that_was_not_run_blocks(tmp_path):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows, baselines=["retrieval"])
    decision = decide(run, gate)
    assert decision.verdict == "INCONCLUSIVE" and "retrieval" in decision.reasons[0]


def test_floor_is_judged_by_its_lower_bound(tmp_path):
    eval_rows = rows(60)
    arms = file_arms(eval_rows, tuned=0.85)
    for floor, expected in ((0.5, "PASS"), (0.85, "INCONCLUSIVE"), (0.99, "FAIL")):
        gate, run = run_of(tmp_path, arms, eval_rows, floor=floor)
        assert verdicts(decide(run, gate, baselines=[]))["floor"] == expected


def test_equal_to_a_baseline_is_not_worth_it(tmp_path):
    eval_rows = rows(800)
    arms = [
        Arm("tuned", "file", outputs=(said := outputs(eval_rows, 0.7))),
        Arm("few_shot", "file", outputs=said),
    ]
    gate, run = run_of(tmp_path, arms, eval_rows)
    decision = decide(run, gate, baselines=["few_shot"])
    assert decision.verdict == "FAIL" and decision.worth_it.startswith("Stay with prompting")


def test_a_jump_over_a_released_version_stops_for_a_look(tmp_path):
    eval_rows = rows(200)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.99, older=0.5), eval_rows)
    decision = decide(run, gate, baselines=[], released="older")
    assert verdicts(decision)["not worse than older"] == "PASS"
    assert verdicts(decision)["jump over older"] == "INCONCLUSIVE" == decision.verdict


def test_small_losses_cannot_add_up_over_releases(tmp_path):
    """The ratchet: not worse than the last release is not enough when an earlier one was better."""
    eval_rows = rows(600)
    arms = file_arms(eval_rows, v1=0.99, v2=0.9, tuned=0.9)
    arms[2] = Arm("tuned", "file", outputs=dict(arms[1].outputs))  # the very answers of v2
    gate, run = run_of(tmp_path, arms, eval_rows, margin=0.05)
    assert verdicts(decide(run, gate, baselines=[], released=["v2"]))["not worse than v2"] == "PASS"
    both = decide(run, gate, baselines=[], released=["v1", "v2"])
    assert verdicts(both)["not worse than v2"] == "PASS"
    assert verdicts(both)["not worse than v1"] == "FAIL" == both.verdict
    assert "the best version ever released" in both.reasons[0]


def test_a_released_version_without_an_arm_blocks(tmp_path):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows)
    decision = decide(run, gate, baselines=[], absent=["parrot-v3"])
    assert decision.verdict == "INCONCLUSIVE" and "parrot-v3" in decision.reasons[0]


def test_errors_of_the_machine_leave_the_denominator_while_they_are_few(tmp_path):
    eval_rows = rows(200)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.99, zero_shot=0.3), eval_rows)
    whole = run.generations

    def lose(count):
        lost = [f"row-{i:03}" for i in range(count)]
        run.meta["gaps"] = [
            {"arm": "tuned", "row_id": name, "reason": "503", "kind": "infrastructure"} for name in lost
        ]
        keep = ~((whole["arm"] == "tuned") & whole["row_id"].is_in(lost))
        return EvalRun(run.folder, run.meta, run.rows, whole.filter(keep), run.scores)

    few = decide(lose(4), gate, baselines=["zero_shot"])
    check = next(c for c in few.checks if c["name"] == "coverage of tuned")
    assert few.verdict == "PASS" and check["infrastructure_errors"] == 4 and check["scored"] == 196
    many = decide(lose(5), gate, baselines=["zero_shot"])
    assert many.verdict == "INCONCLUSIVE" and "run again" in many.reasons[0]


def test_a_scorer_that_runs_code_needs_an_attested_sandbox(tmp_path):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows)
    assert "sandbox attested" not in verdicts(decide(run, gate, baselines=[]))
    run.meta["scorer"]["sandboxed"] = True
    missing = decide(run, gate, baselines=[])
    assert missing.verdict == "INCONCLUSIVE" and "no attestation" in missing.reasons[0]
    held = {"state": "held", "held": 25, "total": 25, "bubblewrap": "0.8.0"}
    run.meta["sandbox"] = held
    good = decide(run, gate, baselines=[])
    assert good.verdict == "PASS" and "25 of 25 attacks" in good.checks[-1]["detail"]
    for bad in (held | {"held": 24}, {"state": "NOT RUN", "reason": "no bubblewrap here"}):
        run.meta["sandbox"] = bad
        assert verdicts(decide(run, gate, baselines=[]))["sandbox attested"] == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ({"asked": 8, "same": 8, "steady": 8}, "PASS"),
        (
            {"asked": 8, "same": 2, "steady": 8},
            "PASS",
        ),  # bf16: another batch, another text; the same batch, the same
        ({"asked": 8, "same": 2, "steady": 3}, "INCONCLUSIVE"),
        ({"asked": 0, "same": 0, "steady": 0, "why": "503"}, "INCONCLUSIVE"),
    ],
)
def test_decoding_has_to_repeat(tmp_path, repeat, expected):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows)
    run.meta["arms"]["tuned"]["repeat"] = repeat
    decision = decide(run, gate, baselines=[])
    assert verdicts(decision)["decoding of tuned repeats"] == expected == decision.verdict


def test_shared_source_counts_as_one(tmp_path):
    eval_rows = rows(200, clusters=5)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9, zero_shot=0.1), eval_rows)
    decision = decide(run, gate, baselines=["zero_shot"])
    assert decision.verdict == "INCONCLUSIVE" and "too few clusters" in decision.reasons[0]


def test_scorer_has_to_agree_with_people_where_the_gate_asks(tmp_path):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows, min_agreement=0.6)
    by = {"interval": [0.5, 0.8], "n": 120, "by": "two annotators, blind"}
    assert decide(run, gate, baselines=[]).verdict == "INCONCLUSIVE"
    assert decide(run, gate, baselines=[], scorer_agreement={"kappa": 0.41, **by}).verdict == "INCONCLUSIVE"
    good = decide(run, gate, baselines=[], scorer_agreement={"kappa": 0.7, **by})
    assert good.verdict == "PASS" and "two annotators, blind" in good.checks[-1]["detail"]


def test_critical_counters(tmp_path):
    """Counted by a real scorer over a note that invents a dose."""
    eval_rows = rows(30)
    for row in eval_rows:
        row.prompt = "[doctor] take lisinopril 20 mg daily [patient] okay"
    note = "Assessment and Plan\nContinue lisinopril {} mg daily."
    said = {row.id: note.format(20) for row in eval_rows}
    gate, run = run_of(
        tmp_path,
        [Arm("tuned", "file", outputs=dict(said))],
        eval_rows,
        metric="soap_note",
        critical=["critical"],
    )
    clean = decide(run, gate, baselines=[])
    check = clean.checks[-1]
    assert check["verdict"] == "PASS" and check["count"] == 0 and 0.09 < check["upper"] < 0.1
    said["row-003"] = note.format(200)
    gate, run = run_of(
        tmp_path / "bad",
        [Arm("tuned", "file", outputs=said)],
        eval_rows,
        metric="soap_note",
        critical=["critical"],
    )
    bad = decide(run, gate, baselines=[])
    assert bad.verdict == "FAIL" and bad.checks[-1]["rows"] == ["row-003"]


def test_a_misspelt_counter_never_passes(tmp_path):
    eval_rows = rows(30)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=1.0), eval_rows, critical=["wrong_doze"])
    decision = decide(run, gate, baselines=[])
    assert decision.verdict == "INCONCLUSIVE" and "wrong_doze" in decision.reasons[0]


def test_eval_rows_among_the_training_rows_fail(tmp_path):
    eval_rows = rows(40)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    snapshot = snapshot_folder(tmp_path / "snap", [(eval_rows[5].prompt, "x"), ("other", "y")], pack)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=1.0), eval_rows, snapshot=snapshot)
    decision = decide(run, gate, baselines=[])
    assert decision.verdict == "FAIL" and "row-005" in decision.reasons[0]


def test_a_gate_that_was_changed_afterwards_does_not_decide(tmp_path):
    eval_rows = rows(60)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.9), eval_rows, floor=0.95)
    softer = gate.model_copy(update={"floor": 0.5})
    decision = decide(run, softer, baselines=[])
    assert decision.verdict == "INCONCLUSIVE" and "changed after" in decision.reasons[0]
    assert decision.gate_sha256 != decide(run, gate, baselines=[]).gate_sha256


def test_unknown_arms_are_named(tmp_path):
    eval_rows = rows(10)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=1.0), eval_rows)
    with pytest.raises(UsageError, match="It has: tuned"):
        decide(run, gate, candidate="other", baselines=[])
    with pytest.raises(UsageError, match="older"):
        decide(run, gate, baselines=[], released="older")


def test_break_even_is_counted_from_training_and_seconds(tmp_path):
    eval_rows = rows(100)
    gate, run = run_of(tmp_path, file_arms(eval_rows, tuned=0.95, few_shot=0.2), eval_rows)
    run.meta["training"] = {"seconds": 100.0}
    run.meta["arms"]["tuned"] |= {"prompt_tokens": 1000, "completion_tokens": 1000, "seconds": 20.0}
    run.meta["arms"]["few_shot"] |= {"prompt_tokens": 9000, "completion_tokens": 1000, "seconds": 70.0}
    sentence = decide(run, gate, baselines=["few_shot"]).worth_it
    assert "20 tokens and 0.20 s an answer against 100 and 0.70" in sentence
    assert "earned back after 200 answers" in sentence


@pytest.mark.parametrize(
    ("both", "alone", "untuned", "words"),
    [
        (0.9, 0.4, 0.5, "Fine-tune for tone, retrieve for facts: tuned_with_facts 0."),
        (0.9, 0.4, 0.95, "Retrieved facts help: tuned_with_facts is shown to beat tuned only"),
        (0.3, 0.9, 0.2, "Retrieved facts do harm here: tuned_with_facts falls behind tuned:"),
        (0.5, 0.5, 0.5, "Not decidable whether retrieved facts help"),
    ],
)
def test_facts_beside_tuning_get_a_sentence_with_numbers(tmp_path, both, alone, untuned, words):
    eval_rows = rows(150)
    arms = file_arms(eval_rows, tuned=alone, tuned_with_facts=both, retrieval_facts=untuned)
    gate, run = run_of(tmp_path, arms, eval_rows, baselines=["retrieval_facts"])
    # the same answers as if models had given them
    for name, kind in (("tuned", "model"), ("tuned_with_facts", "model_facts"), ("retrieval_facts",) * 2):
        run.meta["arms"][name]["kind"] = kind
    decision = decide(run, gate, baselines=["retrieval_facts"])
    assert words in decision.worth_it
    assert "against tuned 0." in decision.worth_it and "against retrieval_facts 0." in decision.worth_it
    run.meta["arms"]["tuned_with_facts"]["kind"] = "file"
    assert " against tuned" not in decide(run, gate, baselines=["retrieval_facts"]).worth_it


def check(verdict):
    return {"name": f"check {verdict}", "verdict": verdict, "detail": "because"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["PASS"], "PASS"),
        (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE"),
        (["INCONCLUSIVE", "FAIL", "PASS"], "FAIL"),
    ],
)
def test_preflight_takes_the_worst(given, expected):
    made = decide_preflight(
        [check(v) for v in given], snapshot="abc", gate=Gate(), created="2026-01-01T00:00:00+00:00"
    )
    assert made["verdict"] == expected
    assert set(made) == {"snapshot", "verdict", "checks", "override", "created", "gate_sha256"}
    assert made["override"] is None and len(made["checks"]) == len(given)
    json.dumps(made)


def test_preflight_without_a_check_is_no_pass():
    for checks in ([], [{"name": "x", "detail": "y"}], [{"name": "x", "detail": "y", "verdict": "OK"}]):
        with pytest.raises(UsageError):
            decide_preflight(checks, snapshot="abc", gate=Gate(), created="now")


def test_power_check_counts_independent_rows():
    small = power_check(Gate(margin=0.03), 168)
    assert small["verdict"] == "INCONCLUSIVE" and small["needed"] == 686
    assert power_check(Gate(margin=0.03), 700)["verdict"] == "PASS"
    assert power_check(Gate(margin=0.03), 700, clusters=70)["verdict"] == "INCONCLUSIVE"
    assert power_check(Gate(), 168, difference=0.1, deviation=0.4)["verdict"] == "PASS"


def test_gate_order_of_rows_does_not_matter(tmp_path):
    eval_rows = rows(60)
    arms = file_arms(eval_rows, tuned=0.8, zero_shot=0.5)
    gate, run = run_of(tmp_path, arms, eval_rows)
    shuffled = Arm(
        "tuned", "file", outputs=dict(random.Random(1).sample(sorted(arms[0].outputs.items()), 60))
    )
    gate, other = run_of(tmp_path / "b", [shuffled, arms[1]], eval_rows)
    assert decide(run, gate, baselines=["zero_shot"]) == decide(other, gate, baselines=["zero_shot"])
