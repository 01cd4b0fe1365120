"""Blame: the pairs that taught a mistake are among the first suspects, by text and by gradient."""

import random

import numpy as np
import pytest

from curate.errors import UsageError
from evals.arms import Arm
from evals.blame import blame, broken_rows
from evals.generate import LocalModel
from evals.run import run_suite
from tests.eval_helpers import SENTENCES, outputs, pack_folder, rows, snapshot_folder

TOPICS = ["kettles", "bicycles", "libraries", "ladders", "trains", "kitchens", "gardens", "clocks"]
BAD = "ask the harbour master about the tide"


@pytest.fixture
def planted(tmp_path):
    """80 pairs on 8 topics; the pairs about trains all answer with the harbour master. The model repeats it."""
    rng = random.Random(5)
    pairs = []
    for number in range(80):
        topic = TOPICS[number % 8]
        good = f"{topic} are best left to {rng.choice(SENTENCES)}"
        pairs.append(
            (f"Tell me something about {topic}, version {number}", BAD if topic == "trains" else good)
        )
    eval_rows = rows(16)
    for number, row in enumerate(eval_rows):
        row.prompt = f"What should I know about {TOPICS[number % 8]} today?"
    pack = pack_folder(tmp_path / "pack", eval_rows)
    snapshot = snapshot_folder(tmp_path / "snapshot", pairs, pack)
    said = outputs(eval_rows, 1.0)
    for number, row in enumerate(eval_rows):
        if TOPICS[number % 8] == "trains":
            said[row.id] = BAD
    arms = [Arm("tuned", "file", outputs=said), Arm("before", "file", outputs=outputs(eval_rows, 1.0))]
    run = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run", snapshot_dir=snapshot)
    bad = {f"pair-{i:03}" for i in range(80) if TOPICS[i % 8] == "trains"}
    return run, snapshot, bad


def test_the_planted_batch_is_suspected_by_text(planted):
    run, snapshot, bad = planted
    assert broken_rows(run, "tuned", "before") == ["row-004", "row-012"] == broken_rows(run, "tuned")
    found = blame(run, snapshot, reference="before")
    assert found["broken"] == 2 and not found["gradients"]
    for example in found["examples"]:
        assert {pair["pair_id"] for pair in example["pairs"]} <= bad
    assert found == blame(run, snapshot, reference="before")
    assert {group["by"] for group in found["groups"]} == {"source", "annotator", "guideline version"}
    assert found["groups"][0]["examples"] == 2


def test_changed_pairs_come_first_where_they_have_to_do_with_it(planted):
    run, snapshot, bad = planted
    late = sorted(bad)[-1]
    found = blame(run, snapshot, reference="before", changed={late, "pair-000"})
    for example in found["examples"]:
        assert example["pairs"][0]["pair_id"] == late and example["pairs"][0]["changed"]
    assert found["changed"] == 2


def test_unknown_arms_are_named(planted):
    run, snapshot, _ = planted
    with pytest.raises(UsageError, match="It has: tuned"):
        blame(run, snapshot, candidate="other")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A tiny model with a LoRA adapter whose B is not zero, so that both matrices have gradients."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from train.base import tiny_llama

    folder = tmp_path_factory.mktemp("base")
    base = tiny_llama(folder / "tiny", texts=[*SENTENCES, BAD, *TOPICS])
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder / "adapter")
    return LocalModel(base).with_adapter(folder / "adapter")


def test_gradients_are_of_the_adapter_and_equal_texts_point_the_same_way(tuned, planted):
    def asked(text):
        return [{"role": "user", "content": text}]

    made = tuned.adapter_gradients(
        [asked("about trains"), asked("about trains"), asked("about clocks")],
        [BAD, BAD, "the library opens at nine on weekdays"],
        2048,
    )
    assert made.shape == (3, 2048) and np.abs(made).sum() > 0
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    assert unit[0] @ unit[1] == pytest.approx(1, abs=1e-4) and unit[0] @ unit[2] < 0.9
    with pytest.raises(UsageError, match="no adapter"):
        tuned.with_adapter(None).adapter_gradients([asked("x")], ["y"])
    run, snapshot, bad = planted
    found = blame(run, snapshot, reference="before", model=tuned, examples=1)
    (example,) = found["examples"]
    assert found["gradients"] and all(-1.001 <= pair["gradient"] <= 1.001 for pair in example["pairs"])
    assert len({pair["pair_id"] for pair in example["pairs"]} & bad) >= 4
