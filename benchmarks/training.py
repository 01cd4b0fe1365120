"""Training and generation on a CPU: our step against TRL's, our batches against one prompt at a time.

Every contestant is a fresh process on one thread, contestants alternate, and ratios are of CPU seconds, which stay
comparable on a shared machine. Both trainers start from the same adapters and every step takes all
16 rows; the per-step losses they print are compared, so equal work is measured. "Real tokens" are those of the
rows, padding not counted and what rows share counted for every row. Quick mode: a tiny random Llama, one round.
Does not cover: accelerators, where TRL drops padding and projections too and parity is the honest goal.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMAND = "python -m benchmarks training"
PACKAGES = ("torch", "transformers", "peft", "trl")
SYSTEM = (
    "Answer every question with one dry remark and without any help at all, unless somebody is in danger."
)
WORDS = "a kettle sings when its water boils and nobody listens to the lid that rattles beside it all day long".split()

# One contestant: trains ``steps`` optimizer steps and prints {cpu, losses, tokens, rss_mb}.
CONTESTANT = """
import json, resource, sys, time
spec = json.loads(sys.argv[1])
import torch
torch.set_num_threads(1)
from pathlib import Path
from train.fit import add_lora, fit, load_base
from train.recipe import load_recipe
from train.render import load_tokenizer, render_rows, stop_ids
base = Path(spec["base"])
tokenizer = load_tokenizer(base)
rows, found = render_rows(tokenizer, spec["rows"], stops=stop_ids(base, tokenizer), max_length=1024)
assert not found, found
recipe = load_recipe({"precision": spec["precision"], "threads": 1, "batch": spec["batch"], "warmup": 0,
                      "max_steps": spec["steps"], "checkpoint_steps": 10**6})
tokens = sum(len(r.input_ids) for r in rows)
model = add_lora(load_base(base, recipe), recipe)
if spec["who"] == "ours":
    start = time.process_time()
    done = fit(rows, base, recipe, Path(spec["work"]), model=model)
    cpu = time.process_time() - start
    log = done.log
else:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer
    model.set_attn_implementation("sdpa")
    table = Dataset.from_list([{"input_ids": list(r.input_ids),
        "completion_mask": [0] * r.prompt_tokens + [1] * r.supervised} for r in rows])
    defaults = {} if spec["who"] == "trl_defaults" else {"bf16": False, "gradient_checkpointing": False}
    trainer = SFTTrainer(model=model, processing_class=tokenizer, train_dataset=table, args=SFTConfig(
        output_dir=spec["work"], per_device_train_batch_size=spec["batch"], max_steps=spec["steps"],
        learning_rate=1e-3, lr_scheduler_type="cosine", logging_steps=1, report_to="none", use_cpu=True,
        save_strategy="no", max_length=None, seed=0, data_seed=0, disable_tqdm=True,
        completion_only_loss=True, **defaults))  # without it TRL ignores the mask of tokenised rows
    start = time.process_time()
    trainer.train()
    cpu = time.process_time() - start
    log = trainer.state.log_history
losses = [entry["loss"] for entry in log if "loss" in entry]
print(json.dumps({"cpu": cpu, "losses": losses, "tokens": tokens,
                  "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""

# One contestant of the other kind: answers prompts and prints {cpu, texts, tokens}.
ANSWERING = """
import json, sys, time
spec = json.loads(sys.argv[1])
from evals.generate import LocalModel
model = LocalModel(spec["base"], threads=1, precision="fp32")
asked = [[{"role": "system", "content": spec["system"]}, {"role": "user", "content": p}] for p in spec["prompts"]]
model.generate(asked[:1], max_new_tokens=2)
start = time.process_time()
if spec["who"] == "ours":
    texts = [a.text for a in model.generate(asked, max_new_tokens=spec["new"])]
else:
    import torch
    tokenizer, texts = model._loaded.tokenizer, []
    with model._loaded.using(None) as loaded, torch.inference_mode():
        for turns in asked:
            ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt",
                                                return_dict=True)
            out = loaded.generate(**ids, max_new_tokens=spec["new"], do_sample=False, repetition_penalty=1.1)
            texts.append(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True).strip())
print(json.dumps({"cpu": time.process_time() - start, "texts": texts}))
"""


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows of the area. Needs `trl` (extra dev) and, unless quick, the default base model."""
    from train.base import DEFAULT, resolve, tiny_llama

    rounds = 1 if quick else 3
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        base = tiny_llama(Path(scratch) / "tiny", hidden=128, layers=4) if quick else resolve(DEFAULT)
        for name, pairs in (("lengths as in the packs", _pairs(True)), ("equal lengths", _pairs(False))):
            spec = {"base": str(base), "rows": pairs[:16], "batch": 16, "steps": 2, "work": scratch}
            fp32 = _alternate(CONTESTANT, spec | {"precision": "fp32"}, ("ours", "trl"), rounds)
            gap = max(
                abs(a - b) for a, b in zip(fp32["ours"][0]["losses"], fp32["trl"][0]["losses"], strict=True)
            )
            faster, spread = _ratio(fp32, "trl")
            memory = fp32["ours"][0]["rss_mb"] / fp32["trl"][0]["rss_mb"]
            rows += [
                _row(f"real tokens per CPU-s, fp32, {name}", ">= 3x TRL fp32", _rate(fp32["ours"]), faster >= 3, quick,
                     peer=_rate(fp32["trl"]), ratio=round(faster, 2), spread=spread),
                _row(f"largest difference of step losses, {name}", "<= 1e-4", f"{gap:.1e}", gap <= 1e-4, quick),
                _row(f"peak memory MB, fp32, {name}", "<= .6 of TRL", fp32["ours"][0]["rss_mb"], memory <= 0.6, quick,
                     peer=fp32["trl"][0]["rss_mb"], ratio=round(memory, 2)),
            ]  # fmt: skip
            if not quick:
                bf16 = _alternate(CONTESTANT, spec | {"precision": "bf16"}, ("ours", "trl_defaults"), rounds)
                faster, spread = _ratio(bf16, "trl_defaults")
                rows.append(
                    _row(f"real tokens per CPU-s, bf16, {name}", ">= 3x TRL's defaults", _rate(bf16["ours"]),
                         faster >= 3, quick, peer=_rate(bf16["trl_defaults"]), ratio=round(faster, 2), spread=spread)
                )  # fmt: skip
        prompts = [pair["prompt"] for pair in _pairs(True)[: 8 if quick else 32]]
        spec = {"base": str(base), "prompts": prompts, "new": 16 if quick else 32, "system": SYSTEM}
        made = _alternate(ANSWERING, spec, ("ours", "one_by_one"), rounds)
        faster, spread = _ratio(made, "one_by_one")
        same = sum(
            a == b for a, b in zip(made["ours"][0]["texts"], made["one_by_one"][0]["texts"], strict=True)
        )
        rows += [
            _row("CPU-s of fp32 answers", ">= 4x one by one", round(made["ours"][0]["cpu"], 2), faster >= 4, quick,
                 peer=round(made["one_by_one"][0]["cpu"], 2), ratio=round(faster, 2), spread=spread),
            _row("answers equal to one by one", f"{len(prompts)} of {len(prompts)}", same, same == len(prompts), quick),
        ]  # fmt: skip
    return rows


def _pairs(varied: bool) -> list[dict[str, Any]]:
    """32 pairs: prompts and completions as long as the shipped packs' (5 to 30, 15 to 40 words), or all equal."""
    made = []
    for n in range(32):
        asked, said = (5 + n * 7 % 26, 15 + n * 11 % 26) if varied else (15, 25)
        text = [" ".join(WORDS[(n * 3 + i) % len(WORDS)] for i in range(count)) for count in (asked, said)]
        made.append(
            {
                "pair_id": f"p{n}",
                "system": SYSTEM,
                "history": "[]",
                "prompt": f"{n}: {text[0]}?",
                "completion": text[1],
            }
        )
    return made


def _alternate(
    code: str, spec: dict[str, Any], who: tuple[str, ...], rounds: int
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for _ in range(rounds):
        for name in who:
            mine = spec | {"who": name}
            if "work" in spec:  # a folder of its own, or a run would go on from another one's checkpoint
                mine["work"] = tempfile.mkdtemp(dir=spec["work"])
            done = subprocess.run(
                [sys.executable, "-c", code, json.dumps(mine)],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                cwd=Path(__file__).parent.parent,
            )
            if done.returncode:
                raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
            found[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found


def _ratio(found: dict[str, list[dict[str, Any]]], peer: str) -> tuple[float, str]:
    """Median of the per-round ratios of CPU seconds, and their range."""
    ratios = [theirs["cpu"] / ours["cpu"] for ours, theirs in zip(found["ours"], found[peer], strict=True)]
    return statistics.median(ratios), f"{min(ratios):.2f}-{max(ratios):.2f}"


def _rate(runs: list[dict[str, Any]]) -> int:
    """Real tokens per CPU second; every step sees every row."""
    return round(statistics.median(run["tokens"] * len(run["losses"]) / run["cpu"] for run in runs))


def _row(
    figure: str,
    goal: str,
    ours: Any,
    met: bool,
    quick: bool,
    *,
    peer: Any = None,
    ratio: float | None = None,
    spread: str | None = None,
) -> dict[str, Any]:
    return {
        "area": "training",
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "spread": spread,
        "met": met,
        "command": COMMAND + (" --quick" if quick else ""),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
