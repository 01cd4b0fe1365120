"""Stopping early: by the validation loss, and by what a suite's scorer says of answers to validation pairs.

Covers: the rule, the weights that are kept, the record, exact resume after kill -9, what is refused. Does not cover:
the scorers themselves, nor resuming in general (`test_train_run.py`).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from curate import contract
from curate.errors import UsageError
from curate.preflight import as_eval_row
from curate.stopping import judge_of
from curate.tasks import load_pack
from evals.generate import LocalModel
from evals.run import score_texts
from tests.train_helpers import PAIRS, RECIPE, row, snapshot
from train import fine_tune, load_recipe, reproduce
from train.base import tiny_llama
from train.render import messages_of
from train.validate import asked_pairs, best_of, patience_spent

ROOT = Path(__file__).resolve().parent.parent
PACK = """
name = "tiny-bot"
title = "Tiny bot"
system = "Answer with a shrug."
[model.generation]
max_new_tokens = 12
[[suites]]
name = "words"
metric = "rouge"
primary = "rouge1"
"""
#: the score stops rising before the loss stops falling, within eight epochs
BY_SUITE = {**RECIPE, "epochs": 8, "early_stop": 2, "early_stop_on": "words", "early_stop_pairs": 3,
            "checkpoint_steps": 3, "learning_rate": 2e-2, "lora": {"r": 4, "alpha": 8, "dropout": 0.1}}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    texts = [text for pair in PAIRS for text in pair]
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny", texts=texts)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Path:
    rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    return snapshot(tmp_path_factory.mktemp("frozen") / "s", rows[:18], rows[18:])


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "task.toml").write_text(PACK)
    return folder


@pytest.fixture(scope="module")
def judged(base, frozen, pack, tmp_path_factory):
    seen: list[dict] = []
    recipe = load_recipe(BY_SUITE)
    out = tmp_path_factory.mktemp("judged") / "tiny-bot-v1"
    made = fine_tune(frozen, recipe, out, base_model=base, progress=seen.append, judge=judge_of(recipe, pack))
    return made, seen


def look(loss: float, score: float | None = None) -> dict[str, float]:
    return {"eval_loss": loss} | ({} if score is None else {"eval_score": score})


@pytest.mark.parametrize(
    ("found", "best", "spent"),
    [
        ([look(3.0)], 0, False),
        ([look(3.0), look(2.0), look(2.5)], 1, False),
        ([look(3.0), look(2.0), look(2.5), look(2.1)], 1, True),
        ([look(3.0), look(3.0), look(3.0)], 0, True),  # the same again is no better
        ([look(1.0, 0.2), look(2.0, 0.3), look(3.0, 0.1)], 1, False),  # the score decides
        ([look(3.0, 0.0), look(2.0, 0.0), look(1.0, 0.0)], 2, False),  # among equal scores the loss does
        ([look(2.0, 0.5), look(1.0, 0.4), look(0.5, 0.4)], 0, True),
    ],
)
def test_the_best_look_and_patience(found, best: int, spent: bool) -> None:
    assert best_of(found) == best
    assert patience_spent(found, 2) is spent
    assert not patience_spent([], 1)


def test_the_pairs_asked_are_few_and_drawn_by_the_seed() -> None:
    rows = [{"pair_id": f"p{n}"} for n in range(40)]
    recipe = load_recipe({"early_stop": 1, "early_stop_pairs": 8})
    drawn = [r["pair_id"] for r in asked_pairs(rows, recipe)]
    assert len(drawn) == 8 and drawn == [r["pair_id"] for r in asked_pairs(rows[::-1], recipe)]
    other = asked_pairs(rows, recipe.model_copy(update={"seed": 1}))
    assert {r["pair_id"] for r in other} != set(drawn)
    assert len(asked_pairs(rows[:3], recipe)) == 3


def test_every_look_is_scored_and_the_record_says_how(judged) -> None:
    version, seen = judged
    record = version.record()
    looks = [entry for entry in record["log"] if "eval_loss" in entry]
    assert [entry["step"] for entry in looks] == list(range(3, record["steps"] + 1, 3))
    assert all(0 <= entry["eval_score"] <= 1 and entry["eval_judged"] == 3 for entry in looks)
    assert all(entry["seconds"] > 0 for entry in looks)
    assert len({entry["eval_score"] for entry in looks}) > 1, "a score that never moves proves nothing"
    asked = record["early_stop"]
    assert (asked["suite"], asked["metric"], asked["primary"]) == ("words", "rouge", "rouge1")
    assert len(asked["version"]) == 16 and asked["decoding"]["max_new_tokens"] == 12
    assert set(asked["pairs"]) < {f"p{i:03}" for i in range(18, 24)}, "validation pairs of the snapshot alone"
    best = looks[best_of(looks)]
    assert record["ended"] == "early_stop" and best_of(looks) == len(looks) - 3
    assert looks[-1]["eval_loss"] < best["eval_loss"], "by the loss alone it would have gone on"
    assert record["kept"]["step"] == best["step"] < record["steps"] < record["planned_steps"]
    assert record["kept"]["eval_score"] == pytest.approx(best["eval_score"], abs=1e-8)
    last = [entry for entry in seen if "eval_score" in entry][-1]
    assert last["eval_score"] in [pytest.approx(entry["eval_score"], abs=1e-8) for entry in looks]
    assert f"those of step {best['step']}" in (version.folder / "README.md").read_text()


def test_the_weights_that_are_kept_give_the_score_that_is_told(judged, base, frozen, pack) -> None:
    """The version, loaded as evaluation loads it, answers and scores as the run said of its best look."""
    version, _ = judged
    record = version.record()
    suite = load_pack(pack).suites[0]
    rows = {r["pair_id"]: r for r in contract.training_rows(frozen, "validation").iter_rows(named=True)}
    rows = [rows[name] for name in record["early_stop"]["pairs"]]
    model = LocalModel(base, version.folder, threads=1)
    said = model.generate([messages_of(r) for r in rows], max_new_tokens=12, repetition_penalty=1.1)
    again = score_texts("rouge", [as_eval_row(r, suite) for r in rows], [a.text for a in said])
    scores = [item["rouge1"] for item in again["subscores"]]
    assert sum(scores) / len(scores) == pytest.approx(record["kept"]["eval_score"], abs=1e-6)
    rendered = model.score_logprob([messages_of(r) for r in rows], [r["completion"] for r in rows])
    assert all(value < 0 for value, _ in rendered)


def test_asking_changes_nothing_about_the_steps(judged, base, frozen, tmp_path) -> None:
    """The steps' losses are those of a run that is never asked anything, dropout included."""
    plain = {key: value for key, value in BY_SUITE.items() if not key.startswith("early_stop")}
    version = fine_tune(frozen, plain, tmp_path / "tiny-bot-v1", base_model=base)
    ours, theirs = (
        [entry["loss"] for entry in made.record()["log"] if "loss" in entry] for made in (judged[0], version)
    )
    assert ours == theirs[: len(ours)]


CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import train.trainer as trainer
from curate.stopping import judge_of
from pathlib import Path
from tests.test_train_stopping import BY_SUITE
from train import fine_tune, load_recipe
mode, at = sys.argv[6], int(sys.argv[7])
def die(): os.kill(os.getpid(), 9)
if mode == "step":
    original = trainer.PackedTrainer.training_step
    def step(self, *a, **k):
        if self.state.global_step == at: die()
        return original(self, *a, **k)
    trainer.PackedTrainer.training_step = step
if mode == "asked":
    import curate.stopping as stopping
    calls, ask = [0], stopping.SuiteJudge.__call__
    def asking(self, *a, **k):
        calls[0] += 1
        found = ask(self, *a, **k)
        if calls[0] == at: die()
        return found
    stopping.SuiteJudge.__call__ = asking
if mode == "publish":
    import train.run as run
    run.model_card = lambda *a: die()
recipe = load_recipe(BY_SUITE)
judge = judge_of(recipe, Path(sys.argv[5]))
fine_tune(sys.argv[2], recipe, sys.argv[3], base_model=sys.argv[4], judge=judge)
"""


@pytest.mark.parametrize(
    ("mode", "at"),
    [
        ("publish", 0),
        pytest.param("step", 3, marks=pytest.mark.slow),
        pytest.param("asked", 2, marks=pytest.mark.slow),
    ],
)
def test_kill_9_and_a_rerun_stop_at_the_same_step_with_the_same_adapter(
    judged, base, frozen, pack, tmp_path, mode: str, at: int
) -> None:
    """Killed right after a look and its checkpoint, while answers are judged, and after it ended."""
    version, _ = judged
    out = tmp_path / "tiny-bot-v1"

    command = [
        sys.executable,
        "-c",
        CHILD,
        str(ROOT),
        str(frozen),
        str(out),
        str(base),
        str(pack),
        mode,
        str(at),
    ]
    killed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists()
    recipe = load_recipe(BY_SUITE)
    rerun = fine_tune(frozen, recipe, out, base_model=base, judge=judge_of(recipe, pack))
    assert rerun.adapter_sha256 == version.adapter_sha256
    ours, theirs = (made.record() for made in (version, rerun))
    assert theirs["resumed_from"] == {"step": 3, "asked": 3, "publish": ours["steps"]}[mode]
    told = ("loss", "eval_loss", "eval_score", "step")
    assert [{k: e.get(k) for k in told} for e in ours["log"]] == [
        {k: e.get(k) for k in told} for e in theirs["log"]
    ]
    assert {k: ours[k] for k in ("steps", "ended")} == {k: theirs[k] for k in ("steps", "ended")}


def test_a_version_stopped_by_a_suite_is_reproduced(judged, frozen, pack, tmp_path) -> None:
    version, _ = judged
    judge = judge_of(load_recipe(BY_SUITE), pack)
    found = reproduce(version.folder, frozen, tmp_path / "again", judge=judge)
    assert found["equal"] and found["differences"] == []


def test_an_early_stop_keeps_the_weights_of_the_lowest_loss(base, frozen, tmp_path) -> None:
    # at this rate the steps overshoot soon and by far, so that the last look is not the best
    recipe = {**RECIPE, "epochs": 20, "early_stop": 2, "learning_rate": 0.1, "max_grad_norm": 100.0}
    version = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base)
    record = version.record()
    looks = [entry for entry in record["log"] if "eval_loss" in entry]
    best = best_of(looks)
    assert record["ended"] == "early_stop" and best == len(looks) - 3
    assert record["kept"]["step"] == looks[best]["step"] < record["steps"] < record["planned_steps"]
    stopped = {**recipe, "early_stop": 20, "max_steps": None}
    other = fine_tune(
        frozen, stopped, tmp_path / "until" / "tiny-bot-v1", base_model=base, stop_after=looks[best]["step"]
    )
    ours, theirs = (load_file(made.folder / "adapter_model.safetensors") for made in (version, other))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_stop_that_cannot_be_decided_is_refused(base, frozen, pack, tmp_path) -> None:
    with pytest.raises(UsageError, match="early_stop_on needs early_stop"):
        load_recipe({"early_stop_on": "words"})
    with pytest.raises(UsageError, match=r"no suite of task tiny-bot\. It may be: loss, words"):
        judge_of(load_recipe({"early_stop": 1, "early_stop_on": "tone"}), pack)
    assert judge_of(load_recipe({"early_stop": 1}), pack) is None
    with pytest.raises(UsageError, match="`goldpair train` does"):
        fine_tune(frozen, BY_SUITE, tmp_path / "tiny-bot-v1", base_model=base)
    bare = snapshot(tmp_path / "s")
    with pytest.raises(UsageError, match="this snapshot has none"):
        fine_tune(bare, {**RECIPE, "early_stop": 1}, tmp_path / "tiny-bot-v1", base_model=base)
    assert not list(tmp_path.glob("*-v1")) and not list(tmp_path.glob(".*"))


def test_a_scorer_that_can_judge_nothing_stops_the_run_and_says_so(base, frozen, pack, tmp_path) -> None:
    from train.trainer import TrainingStopped

    class Mute:
        identity = {"suite": "words"}  # noqa: RUF012

        def __call__(self, rows, model, tokenizer, stops):
            return [None for _ in rows]

    with pytest.raises(TrainingStopped, match="None of 3 answers could be judged by suite 'words' at step 3"):
        fine_tune(frozen, BY_SUITE, tmp_path / "tiny-bot-v1", base_model=base, judge=Mute())
