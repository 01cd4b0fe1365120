"""Blame: the pairs that taught a mistake, and their batch, are the first suspects, by text and by gradient."""

import json
import random

import numpy as np
import pytest

from curate.errors import UsageError
from evals import blame as module
from evals.arms import Arm
from evals.blame import _evidence, blame, broken_rows
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
    bad = {f"pair-{i:03}" for i in range(80) if TOPICS[i % 8] == "trains"}
    rest = [
        f"annotator-{n % 7}" for n in range(70)
    ]  # as many pairs each as the one who is wrong, of any topic
    rng.shuffle(rest)
    authors = ["annotator-wrong" if f"pair-{i:03}" in bad else rest.pop() for i in range(80)]
    snapshot = snapshot_folder(tmp_path / "snapshot", pairs, pack, authors)
    said = outputs(eval_rows, 1.0)
    for number, row in enumerate(eval_rows):
        if TOPICS[number % 8] == "trains":
            said[row.id] = BAD
    arms = [Arm("tuned", "file", outputs=said), Arm("before", "file", outputs=outputs(eval_rows, 1.0))]
    run = run_suite(tmp_path / "pack", pack, "main", arms, tmp_path / "run", snapshot_dir=snapshot)
    return run, snapshot, bad


def test_the_planted_batch_is_suspected_by_text(planted):
    run, snapshot, bad = planted
    assert broken_rows(run, "tuned", "before") == ["row-004", "row-012"] == broken_rows(run, "tuned")
    found = blame(run, snapshot, reference="before")
    assert found["broken"] == 2 and not found["gradients"]
    for example in found["examples"]:
        assert {pair["pair_id"] for pair in example["pairs"]} <= bad
    assert found == blame(run, snapshot, reference="before")
    # a source of one pair and the guideline version of all are no batch
    assert {group["by"] for group in found["groups"]} == {"annotator"} and len(found["groups"]) == 8
    first = found["groups"][0]
    assert (first["value"], first["examples"], first["pairs"]) == ("annotator-wrong", 2, 10)
    assert first["evidence"] > 5 > 2.5 > found["groups"][1]["evidence"]
    for example in found["examples"]:
        assert len(example["groups"]) == 5 and example["groups"][0]["value"] == "annotator-wrong"


def test_the_evidence_of_batches_drawn_blindly_is_standard(planted):
    rng = np.random.default_rng(4)
    score = rng.exponential(size=(1, 60))
    drawn = [float(_evidence(score, rng.permutation(60)[:12])[0]) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(0, abs=0.06) and np.std(drawn) == pytest.approx(1, abs=0.05)
    assert _evidence(np.ones((2, 9)), np.arange(3)).tolist() == [0, 0], "nothing to tell apart"


def test_a_large_snapshot_is_read_in_part_and_what_changed_first(planted, monkeypatch):
    run, snapshot, bad = planted
    monkeypatch.setattr(module, "READ", 24)
    found = blame(run, snapshot, reference="before", changed={"pair-079"})
    assert found["read"] == 24 and found["changed"] == 1
    assert found == blame(run, snapshot, reference="before", changed={"pair-079"})
    pairs = [pair["pair_id"] for example in found["examples"] for pair in example["pairs"]]
    assert set(pairs) <= bad, "half of what is read is what lies nearest"
    monkeypatch.setattr(module, "TOP", 24)
    every = blame(run, snapshot, reference="before", changed={"pair-079"})["examples"][0]["pairs"]
    assert [pair["pair_id"] for pair in every if pair["changed"]] == ["pair-079"]


class Pushing:
    """Gradients with a large part that all share, as a tuned model's have, and a small one for what is said."""

    learned = "adapter"

    def learned_gradients(self, conversations, completions, dimensions):
        made = np.random.default_rng(1).normal(size=(len(completions), dimensions)) / dimensions**0.5
        made[:, 0] += 20  # the way of all, and longer for some
        made[:, 1] += [2.0 if text == BAD else 0.0 for text in completions]
        return (made * np.linspace(1, 5, len(completions))[:, None]).astype(np.float32)


def test_what_all_gradients_share_does_not_hide_what_tells_them_apart(planted):
    run, snapshot, bad = planted
    found = blame(run, snapshot, reference="before", model=Pushing())
    for example in found["examples"]:
        assert {pair["pair_id"] for pair in example["pairs"]} <= bad
        assert all(pair["gradient"] > 0.5 for pair in example["pairs"])
    assert found["groups"][0]["value"] == "annotator-wrong"


def test_changed_pairs_come_first_where_they_have_to_do_with_it(planted):
    run, snapshot, bad = planted
    late = sorted(bad)[-1]
    found = blame(run, snapshot, reference="before", changed={late, "pair-000"})
    for example in found["examples"]:
        assert example["pairs"][0]["pair_id"] == late and example["pairs"][0]["changed"]
    assert found["changed"] == 2
    assert found["groups"] == [], "the two that changed came from different hands"
    two = sorted(bad)[:2]
    (group,) = blame(run, snapshot, reference="before", changed={*two, "pair-000"})["groups"]
    assert (group["value"], group["pairs"]) == ("annotator-wrong", 2), "of a batch, only what changed"


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

    made = tuned.learned_gradients(
        [asked("about trains"), asked("about trains"), asked("about clocks")],
        [BAD, BAD, "the library opens at nine on weekdays"],
        2048,
    )
    assert made.shape == (3, 2048) and np.abs(made).sum() > 0
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    assert unit[0] @ unit[1] == pytest.approx(1, abs=1e-4) and unit[0] @ unit[2] < 0.9
    with pytest.raises(UsageError, match="no adapter"):
        tuned.with_adapter(None).learned_gradients([asked("x")], ["y"])
    run, snapshot, bad = planted
    found = blame(run, snapshot, reference="before", model=tuned, examples=1)
    (example,) = found["examples"]
    assert found["gradients_of"] == "adapter"
    assert found["gradients"] and all(-1.001 <= pair["gradient"] <= 1.001 for pair in example["pairs"])
    assert len({pair["pair_id"] for pair in example["pairs"]} & bad) >= 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A version of a full fine-tune, which holds a whole model and no adapter, beside its base."""
    from tests.train_helpers import RECIPE
    from tests.train_helpers import snapshot as frozen
    from train import fine_tune
    from train.base import tiny_llama

    folder = tmp_path_factory.mktemp("whole")
    base = tiny_llama(folder / "tiny", texts=[*SENTENCES, BAD, *TOPICS])
    recipe = {k: v for k, v in RECIPE.items() if k != "lora"} | {"method": "full", "max_steps": 2}
    return LocalModel(
        base, fine_tune(frozen(folder / "s"), recipe, folder / "tiny-bot-v1", base_model=base).folder
    )


def test_gradients_of_a_full_fine_tune_are_those_of_its_last_block(whole, planted, tmp_path):
    import torch

    from evals._gradients import last_block
    from evals.report import write_report
    from train.render import encode_prompts

    run, snapshot, bad = planted
    found = blame(run, snapshot, reference="before", model=whole, examples=1)
    (example,) = found["examples"]
    assert found["gradients_of"] == "last block"
    assert all(-1.001 <= pair["gradient"] <= 1.001 for pair in example["pairs"])
    assert len({pair["pair_id"] for pair in example["pairs"]} & bad) >= 4
    with pytest.raises(UsageError, match="no adapter"):
        whole.with_adapter(None).learned_gradients([], [])

    # the sketch keeps the angle that the gradients themselves have
    asked = [[{"role": "user", "content": f"Tell me about {topic}"}] for topic in ("trains", "clocks")]
    texts = [BAD, "the library opens at nine on weekdays"]
    sketch = whole.learned_gradients(asked, texts, 1 << 16)
    ours = float(sketch[0] @ sketch[1] / np.linalg.norm(sketch[0]) / np.linalg.norm(sketch[1]))
    tokenizer, rows = whole._loaded.tokenizer, []
    with whole._loaded.using(None) as model:
        names = {id(weight): name for name, weight in model.named_parameters()}
        block = last_block(model)
        assert all(f".{model.config.num_hidden_layers - 1}." in names[id(weight)] for weight in block)
        for prompt, text in zip(encode_prompts(tokenizer, asked), texts, strict=True):
            ids = [*prompt, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            logs = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            told = torch.tensor(ids[1:])[:, None]
            loss = -logs.gather(1, told)[len(prompt) - 1 :].mean()
            rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, block)]))
        assert all(weight.requires_grad for weight in model.parameters()), "as it was before"
    assert ours == pytest.approx(float(torch.cosine_similarity(rows[0], rows[1], dim=0)), abs=0.05)

    # and the report says by what the suspects were found
    for said, kind in ((found, "text and by the gradient of the last block"), (None, "text alone")):
        body = said or blame(run, snapshot, reference="before")
        (run.folder / "blame.json").write_text(json.dumps(body))
        made = write_report(run, None, tmp_path / kind.replace(" ", "-"))
        assert f"by {kind}" in made["md"].read_text() and f"by {kind}" in made["html"].read_text()
