"""Training on one GPU: four-bit bases of one to eight billion weights, their memory beside the estimate, tokens/s.

Covers: QLoRA as the shipped recipes run it, on models of published shapes with random weights, which cost the memory
and time as trained ones; LoRA on SmolLM2-135M in fp32 and bf16. Does not cover: what a model learns, nor several GPUs.
Without a CUDA device it measures nothing and says so.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
#: published shapes (config.json of Llama-3.2-1B, Llama-3.2-3B, Llama-3.1-8B)
SHAPES: dict[str, dict[str, Any]] = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
    },
    "3b": {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
    },
    "8b": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}
LENGTH, ROWS, STEPS = 512, 16, 6


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row a configuration; each in a process of its own, so that peaks do not mix."""
    import torch

    if not torch.cuda.is_available():
        return [_row("training on a GPU", None, "NOT RUN: no CUDA device here", None, None, None)]
    cases = [
        ("smollm2-135m-instruct", {"precision": "fp32"}),
        ("smollm2-135m-instruct", {"precision": "bf16"}),
    ]
    cases += [(size, {"recipe": f"qlora-{size}"}) for size in (["1b"] if quick else SHAPES)]
    rows = []
    for base, how in cases:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu", base, json.dumps(how)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        name = f"{base} {' '.join(how.values())}"
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message"
            rows.append(_row(name, None, f"NOT RUN: {why}", None, None, None))
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        ratio = round(found["estimate_mb"] / found["peak_mb"], 2)
        rows += [
            _row(f"{name}: peak memory, MB", "estimate within 35 %", found["peak_mb"], found["estimate_mb"], ratio,
                 0.65 < ratio < 1.35),
            _row(f"{name}: real tokens a second", None, found["tokens_per_s"], None, None, None),
        ]  # fmt: skip
    return rows


def measure(base: str, how: dict[str, str]) -> dict[str, Any]:
    """Train some steps and return peak memory of the allocator, the estimate before, and tokens a second."""
    import torch

    from train.base import resolve
    from train.fit import fit
    from train.recipe import load_recipe
    from train.render import Rendered

    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = _random_model(Path(scratch) / "base", SHAPES[base]) if base in SHAPES else resolve(base)
        source: Any = ROOT / "data" / "recipes" / f"{how['recipe']}.toml" if "recipe" in how else how
        recipe = load_recipe(source, [f"batch={ROWS}", f"max_steps={STEPS}", "early_stop=100"])
        rows = [
            Rendered(f"p{i}", tuple(draw.randrange(10, 40_000) for _ in range(LENGTH)), LENGTH // 2)
            for i in range(ROWS * STEPS)
        ]
        torch.cuda.reset_peak_memory_stats()
        done = fit(rows, folder, recipe, Path(scratch) / "work")
    steps = [entry for entry in done.log if "loss" in entry][2:]  # the first ones warm up
    return {
        "peak_mb": torch.cuda.max_memory_allocated() // 2**20,
        "estimate_mb": round(done.memory["total_mb"]),
        "tokens_per_s": round(sum(e["tokens"] for e in steps) / sum(e["seconds"] for e in steps)),
    }


def _random_model(folder: Path, shape: dict[str, Any]) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=128_256, num_key_value_heads=8, tie_word_embeddings=True, **shape)
    with torch.device("cuda"):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()
    return folder


def _row(
    figure: str, goal: str | None, ours: Any, peer: Any, ratio: float | None, met: bool | None
) -> dict[str, Any]:
    import torch
    import transformers

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "met": met,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "device": device},
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]))))
