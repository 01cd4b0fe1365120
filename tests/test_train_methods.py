"""What learns and what it costs: full fine-tunes, four-bit bases, checkpointing, the memory estimate.

Does not cover: the loop itself (`test_train_run`), CUDA (`test_train_gpu`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from curate.errors import UsageError
from evals.generate import LocalModel
from tests.train_helpers import PAIRS, RECIPE, snapshot
from train import fine_tune, load_recipe
from train.base import tiny_llama
from train.exporting import ExportError, export_model, serving_command
from train.memory import estimate

ASKED = [[{"role": "user", "content": prompt}] for prompt, _ in PAIRS[:3]]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Path:
    return snapshot(tmp_path_factory.mktemp("frozen") / "s")


@pytest.fixture(scope="module")
def whole(base, frozen, tmp_path_factory):
    recipe = {k: v for k, v in RECIPE.items() if k != "lora"} | {"method": "full", "learning_rate": 2e-3}
    return fine_tune(frozen, recipe, tmp_path_factory.mktemp("full") / "tiny-bot-v1", base_model=base)


def test_a_full_fine_tune_changes_every_weight_and_lowers_the_loss(whole, base) -> None:
    record = whole.record()
    assert record["loss_after"] < record["loss_before"] - 0.5
    before, after = (load_file(folder / "model.safetensors") for folder in (base, whole.folder))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert whole.adapter_sha256 == record["files"]["model.safetensors"]
    assert "full fine-tune" in (whole.folder / "README.md").read_text()


def test_a_full_fine_tune_starts_from_the_loss_of_an_adapter_run(whole, base, frozen, tmp_path) -> None:
    """Both learn the same tokens from the same base: their first step's loss is one number."""
    lora = fine_tune(frozen, RECIPE, tmp_path / "tiny-bot-v2", base_model=base).record()
    first = next(entry["loss"] for entry in whole.record()["log"] if "loss" in entry)
    assert first == pytest.approx(lora["log"][0]["loss"], abs=1e-5)


def test_a_full_fine_tune_answers_beside_its_base(whole, base) -> None:
    plain = LocalModel(base, threads=1)
    tuned = plain.with_adapter(whole.folder)
    direct = LocalModel(base, whole.folder, threads=1)
    said = [m.score_logprob(ASKED, [text for _, text in PAIRS[:3]]) for m in (plain, tuned, direct)]
    assert said[1] == said[2]
    assert all(after > before for (after, _), (before, _) in zip(said[1], said[0], strict=True))
    assert tuned.identity() == direct.identity() != plain.identity()
    for model in (tuned, direct):  # its base is what it is compared with, never itself
        assert model.with_adapter(None).identity() == plain.identity()
        assert model.with_adapter(None).score_logprob(ASKED, [text for _, text in PAIRS[:3]]) == said[0]
    before = tuned.identity()
    (whole.folder / "gate.json").write_text("{}")  # a verdict about a model changes nothing it says
    assert LocalModel(base, whole.folder, threads=1).identity() == before
    (whole.folder / "gate.json").unlink()


def test_exports_of_a_full_fine_tune(whole, tmp_path) -> None:
    with pytest.raises(ExportError, match="no adapter"):
        export_model(whole.folder, "adapter", tmp_path / "a")
    found = export_model(whole.folder, "merged", tmp_path / "m")
    assert found["parity"]["verdict"] == "EQUAL"
    assert "--served-model-name" in serving_command(whole.folder)


def test_what_cannot_learn_together_is_refused() -> None:
    with pytest.raises(UsageError, match="quantize is for a frozen base"):
        load_recipe({"method": "full", "quantize": "nf4"})
    with pytest.raises(UsageError, match="keeps its weights in fp32"):
        load_recipe({"method": "full", "precision": "bf16"})
    assert load_recipe({"method": "full"}).learning_rate == 5e-5
    assert load_recipe({"method": "full", "learning_rate": 1e-4}).learning_rate == 1e-4


def test_checkpointing_changes_memory_and_not_the_run(base, frozen, tmp_path) -> None:
    runs = [
        fine_tune(
            frozen, {**RECIPE, "checkpointing": how}, tmp_path / how / "tiny-bot-v1", base_model=base
        ).record()
        for how in ("off", "on")
    ]
    losses = [[entry["loss"] for entry in run["log"] if "loss" in entry] for run in runs]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert [run["memory"]["checkpointing"] for run in runs] == [False, True]
    assert runs[1]["memory"]["activations_mb"] < runs[0]["memory"]["activations_mb"]


def test_auto_checkpoints_only_where_memory_would_not_do(base, frozen, tmp_path, monkeypatch) -> None:
    for free, wanted in ((1e6, False), (1.0, True)):
        monkeypatch.setattr("train.fit.free_memory_mb", lambda free=free: free)
        made = fine_tune(
            frozen, {**RECIPE, "max_steps": 1}, tmp_path / f"{free}" / "tiny-bot-v1", base_model=base
        )
        assert made.record()["memory"]["checkpointing"] is wanted


def test_four_bits_need_bitsandbytes(base, frozen, tmp_path) -> None:
    """With the package a four-bit base learns; without it the message says how to get it."""
    recipe = {**RECIPE, "quantize": "nf4", "max_steps": 4}
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"goldpair\[gpu\]"):
            fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base)
        return
    made = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base).record()
    assert made["memory"]["weights_mb"] < estimate(base, load_recipe(RECIPE), 64).weights_mb
    assert made["loss_after"] < made["loss_before"]


MEASURE = """
import sys, json, resource
from pathlib import Path
from train.base import resolve
from train.fit import fit
from train.recipe import load_recipe
from train.render import Rendered

folder, recipe = Path(sys.argv[1]), load_recipe(json.loads(sys.argv[2]))
rows = [Rendered(f"p{i}", tuple(40 + (i * 7 + j * 3) % 40000 for j in range(200)), 100) for i in range(8)]
done = fit(rows, resolve("smollm2-135m-instruct"), recipe, folder / "work")
print(json.dumps({**done.memory, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"checkpointing": "on"}, {"method": "full", "micro_tokens": 512}], ids=str
)
def test_the_estimate_is_near_what_a_run_takes(tmp_path, more) -> None:
    """Peak resident memory of a whole process, within 35 % of what was said before it started."""
    # two steps: the moments of AdamW lie beside activations from the second on
    recipe = {"threads": 1, "max_steps": 2, "batch": 4, "micro_tokens": 800, **more}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), json.dumps(recipe)],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert 0.65 < found["total_mb"] / found["peak_mb"] < 1.35, found


def test_an_estimate_knows_sizes_it_never_loads(tmp_path) -> None:
    """A one-billion model, from its config alone: about a GB a billion weights in fp32 is 4, in four bits .5."""
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(shape))
    whole, four = (
        estimate(tmp_path, load_recipe({"quantize": q, "precision": "bf16"}), 512, device="cuda")
        for q in ("none", "nf4")
    )
    assert 2300 < whole.weights_mb < 2500  # 1.24e9 weights of two bytes
    assert four.weights_mb == pytest.approx(whole.weights_mb - 973e6 * (2 - 4.127 / 8) / 2**20, rel=0.01)
    assert (
        estimate(tmp_path, load_recipe({}), 512, checkpointing=True, device="cuda").total_mb < whole.total_mb
    )
