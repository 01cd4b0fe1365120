"""Training and answering on a CUDA device: the same as on a CPU, in bf16 and in four bits, within the estimate.

Every test needs a device and skips visibly without one. Does not cover: several GPUs (`test_train_processes` shares the
code and runs on two CPU processes).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evals.generate import LocalModel
from tests.train_helpers import PAIRS, RECIPE, row, snapshot
from train import fine_tune, load_recipe
from train.base import tiny_llama
from train.capabilities import capabilities

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ASKED = [[{"role": "user", "content": prompt}] for prompt, _ in PAIRS]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny", layers=4, hidden=128)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Path:
    rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    return snapshot(tmp_path_factory.mktemp("frozen") / "s", rows[:20], rows[20:])


def _losses(version) -> list[float]:
    return [entry["loss"] for entry in version.record()["log"] if "loss" in entry]


def _on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    cpu = replace(capabilities(), device="cpu", bf16=False)
    for room in ("train.capabilities", "train.fit", "train.memory", "train.run"):
        monkeypatch.setattr(f"{room}.capabilities", lambda: cpu)


def test_losses_equal_those_of_the_cpu(base, frozen, tmp_path, monkeypatch) -> None:
    gpu = fine_tune(frozen, RECIPE, tmp_path / "gpu" / "tiny-bot-v1", base_model=base)
    assert gpu.record()["hardware"]["device"] == "cuda"
    with monkeypatch.context() as patched:
        _on_cpu(patched)
        cpu = fine_tune(frozen, RECIPE, tmp_path / "cpu" / "tiny-bot-v1", base_model=base)
    assert cpu.record()["hardware"]["device"] == "cpu"
    assert _losses(gpu) == pytest.approx(_losses(cpu), abs=2e-3)


@pytest.mark.parametrize(
    "more",
    [
        {"precision": "bf16"},
        {"precision": "bf16", "checkpointing": "on"},
        {"quantize": "nf4", "precision": "bf16"},
        {"method": "full", "precision": "fp32", "learning_rate": 2e-3},
    ],
    ids=lambda more: " ".join(more.values()) if all(isinstance(v, str) for v in more.values()) else "full",
)
def test_every_way_to_learn_learns(base, frozen, tmp_path, more) -> None:
    if "quantize" in more:
        pytest.importorskip("bitsandbytes")
    version = fine_tune(frozen, {**RECIPE, **more}, tmp_path / "tiny-bot-v1", base_model=base)
    record = version.record()
    assert record["loss_after"] < record["loss_before"] - 0.3
    assert record["peak_memory_mb"] < 4096
    tuned = LocalModel(base, version.folder)
    texts = [text for _, text in PAIRS]
    before, after = (m.score_logprob(ASKED, texts) for m in (LocalModel(base), tuned))
    assert sum(a for a, _ in after) > sum(b for b, _ in before)


def test_batches_answer_like_one_by_one_in_fp32(base) -> None:
    model = LocalModel(base, precision="fp32")
    together = [a.text for a in model.generate(ASKED, max_new_tokens=16)]
    alone = [model.generate([turns], max_new_tokens=16)[0].text for turns in ASKED]
    assert together == alone


def test_an_interrupted_run_goes_on(base, frozen, tmp_path) -> None:
    whole = fine_tune(frozen, RECIPE, tmp_path / "a" / "tiny-bot-v1", base_model=base)
    from train.checks import preflight
    from train.fit import fit

    recipe = load_recipe(RECIPE)
    rows = preflight(frozen, recipe, base)
    work = tmp_path / "work"
    fit(rows.train, base, recipe, work, validation=rows.validation, stop_after=3)
    second = fit(rows.train, base, recipe, work, validation=rows.validation)
    assert second.resumed_from == 3
    assert [e["loss"] for e in second.log if "loss" in e] == pytest.approx(_losses(whole), abs=1e-3)


def test_memory_that_runs_out_halves_the_micro_batch(base, frozen, tmp_path, monkeypatch) -> None:
    """A real torch.OutOfMemoryError: the device's memory is capped for this process."""
    from train.packed import token_losses

    calls = {"n": 0}

    def greedy(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == 2:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        return token_losses(*args, **kwargs)

    monkeypatch.setattr("train.trainer.token_losses", greedy)
    version = fine_tune(frozen, {**RECIPE, "pair_losses": False}, tmp_path / "tiny-bot-v1", base_model=base)
    record = version.record()
    assert any("micro_tokens" in entry for entry in record["log"])
    assert record["ended"] == "complete"


@pytest.mark.parametrize("checkpointing", ["off", "on"])
def test_the_estimate_is_near_what_the_device_took(tmp_path, frozen, checkpointing: str) -> None:
    """Peak of the allocator, within 35 %; a base large enough that constants do not hide the rule."""
    big = tiny_llama(tmp_path / "big", layers=12, hidden=1024, vocabulary=8192)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    recipe = {
        **RECIPE,
        "checkpointing": checkpointing,
        "pair_losses": False,
        "micro_tokens": 8192,
        "batch": 20,
    }
    record = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=big).record()
    took = torch.cuda.max_memory_allocated() / 2**20
    assert 0.65 < record["memory"]["total_mb"] / took < 1.35, (record["memory"], took)
