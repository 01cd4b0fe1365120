"""General ability: items that hold together, a score that follows the model, a gate that stops a loss."""

import json

import pytest

from curate.errors import UsageError
from evals import retention
from evals.arms import Arm
from evals.gate import decide
from evals.generate import LocalModel
from evals.run import run_suite
from tests.eval_helpers import SENTENCES, pack_folder, rows, snapshot_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from train.base import tiny_llama

    return LocalModel(tiny_llama(tmp_path_factory.mktemp("base") / "tiny", texts=SENTENCES))


def test_at_least_150_different_items_ship():
    items = retention.load_items()
    assert len(items) >= 150
    assert len({(item.prompt, tuple(sorted(item.choices))) for item in items}) == len(items)
    assert {item.kind for item in items} == {"fact", "sense", "language", "arithmetic", "follow"}
    first = [item.answer for item in items]  # no place gives the answer away
    assert max(first.count(place) for place in set(first)) < len(items) / 2
    # nor does length: the longest choice is right about as often as chance has it
    longest = sum(max(item.choices, key=len) == item.choices[item.answer] for item in items)
    assert longest < 0.5 * len(items)


def test_damaged_items_are_refused(tmp_path):
    path = tmp_path / "items.jsonl"
    good = {"id": "a", "kind": "fact", "prompt": "?", "choices": ["x", "y"], "answer": 0}
    for bad in (good | {"answer": 2}, good | {"choices": ["x", "x"]}, good | {"more": 1}):
        path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
        with pytest.raises(UsageError, match=r"items\.jsonl:2"):
            retention.load_items(path)
    path.write_text((json.dumps(good) + "\n") * 2)
    with pytest.raises(UsageError, match="twice"):
        retention.load_items(path)


class Knows:
    """A scorer that gives the right choice ``share`` of the probability."""

    def __init__(self, share, name="knows"):
        self.share, self.name, self.asked = share, name, 0

    def identity(self):
        return {"name": self.name, "share": self.share}

    def score_logprob(self, conversations, completions):
        import math

        self.asked += len(completions)
        right = {(i.prompt, i.choices[i.answer]): len(i.choices) for i in retention.load_items()}
        out = []
        for turns, choice in zip(conversations, completions, strict=True):
            assert [turn["role"] for turn in turns] == ["user"]  # no persona in front
            good = (turns[0]["content"], choice) in right
            out.append((math.log(self.share if good else (1 - self.share) / 2) / 2, 2))
        return out


def test_the_score_is_the_right_choices_share_of_probability(tmp_path):
    knows = Knows(0.8)
    items = retention.load_items()
    assert retention.scores(knows, items, tmp_path) == pytest.approx([0.8] * len(items))
    asked = knows.asked
    retention.scores(knows, items, tmp_path)
    assert knows.asked == asked  # remembered
    retention.scores(Knows(0.7), items, tmp_path)


def test_a_real_model_is_measured_and_equals_itself(model):
    items = retention.load_items()[::20]
    found = retention.scores(model, items)
    assert len(found) == len(items) and all(0 < value < 1 for value in found)
    assert found == pytest.approx(retention.scores(model, items), abs=1e-5)


def test_a_model_that_forgot_does_not_pass_and_one_that_was_not_measured_neither(tmp_path, model):
    eval_rows = rows(30)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    snapshot = snapshot_folder(tmp_path / "snapshot", [("say this", "this")], pack)
    run = run_suite(
        tmp_path / "pack",
        pack,
        "main",
        [Arm("tuned", "model", model)],
        tmp_path / "run",
        snapshot_dir=snapshot,
    )

    def verdict(gate=pack.gate):
        found = decide(run, gate, baselines=[])
        return next((c for c in found.checks if c["name"] == "general ability retained"), None)

    assert verdict()["verdict"] == "INCONCLUSIVE" and "goldpair eval" in verdict()["detail"]

    def write(before, after):
        measured = retention.measure(Knows(before, "base"), Knows(after, "tuned"))
        (run.folder / "retention.json").write_text(json.dumps(measured))
        return measured

    measured = write(0.8, 0.8)
    assert verdict()["verdict"] == "PASS"
    assert [row["n"] for row in retention.by_kind(measured)] == [60, 30, 30, 20, 30]
    write(0.8, 0.5)
    assert verdict()["verdict"] == "FAIL"
    off = pack.gate.model_copy(update={"retention": pack.gate.retention.model_copy(update={"on": False})})
    assert verdict(off) is None
