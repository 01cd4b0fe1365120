"""Training and generation on a CPU: our step against TRL's, our batches against one prompt at a time.

Every contestant is a fresh process on one thread, contestants alternate, and ratios are of CPU seconds, which stay
comparable on a shared machine. Both trainers start from the same adapters and every step takes all rows; the
per-step losses they print are compared, so equal work is measured. "Real tokens" are those of the rows, padding not
counted and what rows share counted for every row. Rows are drawn from the shipped packs' records with the pack's
system message, 16 a step of the chat packs and 4 of the long ones (16 do not fit TRL's step into 24 GB), and beside
them 16 of one length, which leaves padding out of it. Steps are timed from the end of the first one on, since the first
fills caches and memory; what comes before it is timed apart: from import to the first step. Quick mode: a tiny random
Llama, one pack, one round.
Does not cover: accelerators, where TRL drops padding and projections too and parity is the honest goal.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.tasks import find_pack, load_pack

CHAT = ("sarcastic-bot", "support-bot")
LONG = ("medical-scribe", "cobol-to-python", "employment-agreement")
PACKAGES = ("torch", "transformers", "peft", "trl")
SYSTEM = (
    "Answer every question with one dry remark and without any help at all, unless somebody is in danger."
)
WORDS = "a kettle sings when its water boils and nobody listens to the lid that rattles beside it all day long".split()

# One contestant: trains ``steps`` optimizer steps (two or more) and prints {cpu, losses, tokens, share, rss_mb}.
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
rows, found = render_rows(tokenizer, spec["rows"], stops=stop_ids(base, tokenizer), max_length=2048)
assert not found, found
recipe = load_recipe({"precision": spec["precision"], "threads": 1, "batch": spec["batch"], "warmup": 0,
                      "max_steps": spec["steps"], "checkpoint_steps": 10**6})
tokens = sum(len(r.input_ids) for r in rows)
model = add_lora(load_base(base, recipe), recipe)
# Both are Trainers, so both end a step here.
from transformers.trainer_callback import CallbackHandler
whole, ends = CallbackHandler.on_step_end, []
def timed(self, *args, **kwargs):
    ends.append(time.process_time())
    return whole(self, *args, **kwargs)
CallbackHandler.on_step_end = timed
if spec["who"] == "ours":
    log = fit(rows, base, recipe, Path(spec["work"]), model=model).log
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
    trainer.train()
    log = trainer.state.log_history
cpu = (ends[-1] - ends[0]) / (len(ends) - 1)  # of a step
losses = [entry["loss"] for entry in log if "loss" in entry]
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
# What the step cannot do without: two products for every frozen weight, three for every LoRA weight and token, what
# all rows begin with once, and the vocabulary's for supervised tokens alone.
from train.packed import pack
least = pack(list(enumerate(rows)))["input_ids"].numel()
head = model.get_output_embeddings().weight.numel()
lora = sum(p.numel() for p in model.parameters() if p.requires_grad)
body = sum(p.numel() for n, p in model.named_parameters() if p.ndim == 2 and "lora" not in n and "embed" not in n)
body -= 0 if model.config.tie_word_embeddings else head
work = 2 * (least * (2 * body + 3 * lora) + 2 * head * sum(r.supervised for r in rows))
square = torch.rand(2048, 2048)
square @ square
start = time.process_time()
for _ in range(8):
    square @ square
peak = 8 * 2 * 2048**3 / (time.process_time() - start)
print(json.dumps({"cpu": cpu, "losses": losses, "tokens": tokens, "share": work / cpu / peak, "rss_mb": rss}))
"""

# One contestant from its import to its first step, at which it prints {cpu} and ends: what a person waits for.
STARTING = """
import json, os, sys, time
spec = json.loads(sys.argv[1])
from transformers.trainer_callback import CallbackHandler
def first(self, *args, **kwargs):
    print(json.dumps({"cpu": time.process_time()}), flush=True)
    os._exit(0)
CallbackHandler.on_step_begin = first
if spec["who"] == "ours":
    from pathlib import Path
    from train.fit import fit
    from train.recipe import load_recipe
    from train.render import load_tokenizer, render_rows, stop_ids
    base = Path(spec["base"])
    tokenizer = load_tokenizer(base)
    rows, _ = render_rows(tokenizer, spec["rows"], stops=stop_ids(base, tokenizer), max_length=2048)
    fit(rows, base, load_recipe({"precision": spec["precision"], "threads": 1, "batch": spec["batch"]}),
        Path(spec["work"]))
else:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer
    turns = lambda row: [{"role": "system", "content": row["system"]}, {"role": "user", "content": row["prompt"]}]
    table = Dataset.from_list([{"prompt": turns(row), "completion": [{"role": "assistant",
        "content": row["completion"]}]} for row in spec["rows"]])
    SFTTrainer(model=spec["base"], train_dataset=table, peft_config=LoraConfig(target_modules="all-linear", r=16),
        args=SFTConfig(output_dir=spec["work"], per_device_train_batch_size=spec["batch"], report_to="none",
        use_cpu=True, save_strategy="no", disable_tqdm=True)).train()
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


def run(quick: bool, only: str = "") -> Iterator[dict[str, Any]]:
    """All rows of the area, or those of the beds that have ``only`` in their name.

    Needs `trl` (extra dev) and, unless quick, the default base model.
    """
    from train.base import DEFAULT, resolve, tiny_llama

    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as scratch:
        base = tiny_llama(Path(scratch) / "tiny", hidden=128, layers=4) if quick else resolve(DEFAULT)
        common = {"base": str(base), "work": scratch}
        trained = {task: _drawn(task, 16) for task in (CHAT[:1] if quick else CHAT)}
        trained["equal lengths"] = _equal()
        trained |= {} if quick else {task: _drawn(task, 4) for task in LONG}
        asked = {"answers": [pair["prompt"] for pair in _drawn(CHAT[0], 8 if quick else 32)]}
        asked |= {} if quick else {"answers to long prompts": _long_prompts(12)}
        for name, pairs in trained.items():
            if only in name:
                turns = rounds if len(pairs) == 16 else 1
                yield from _steps(
                    name, common | {"rows": pairs, "batch": len(pairs), "steps": 2}, turns, quick
                )
        if only in "first step":
            yield _start(common | {"rows": _drawn(CHAT[0], 16), "batch": 16, "precision": "bf16"}, rounds)
        for name, prompts in asked.items():
            if only in name:
                spec = {"base": str(base), "prompts": prompts, "new": 16 if quick else 32, "system": SYSTEM}
                yield from _answers(name, spec, rounds)


def _steps(name: str, spec: dict[str, Any], rounds: int, quick: bool) -> Iterator[dict[str, Any]]:
    fp32 = _alternate(CONTESTANT, spec | {"precision": "fp32"}, ("ours", "trl"), rounds)
    gap = max(abs(a - b) for a, b in zip(fp32["ours"][0]["losses"], fp32["trl"][0]["losses"], strict=True))
    faster, spread = _ratio(fp32, "trl")
    memory = fp32["ours"][0]["rss_mb"] / fp32["trl"][0]["rss_mb"]
    peaks = "{:.0%} of the matmul peak, TRL {:.0%}".format(
        *(fp32[who][0]["share"] for who in ("ours", "trl"))
    )
    yield _row(f"real tokens per CPU-s, fp32, {name}", ">= 3x TRL fp32", _rate(fp32["ours"]), faster >= 3,
               peer=_rate(fp32["trl"]), ratio=round(faster, 2), spread=f"{spread}; {peaks}")  # fmt: skip
    yield _row(f"largest difference of step losses, {name}", "<= 1e-4", f"{gap:.1e}", gap <= 1e-4)
    yield _row(f"peak memory MB, fp32, {name}", "<= .6 of TRL", fp32["ours"][0]["rss_mb"], memory <= 0.6,
               peer=fp32["trl"][0]["rss_mb"], ratio=round(memory, 2))  # fmt: skip
    if not quick:
        bf16 = _alternate(CONTESTANT, spec | {"precision": "bf16"}, ("ours", "trl_defaults"), rounds)
        faster, spread = _ratio(bf16, "trl_defaults")
        yield _row(f"real tokens per CPU-s, bf16, {name}", ">= 3x TRL's defaults", _rate(bf16["ours"]),
                   faster >= 3, peer=_rate(bf16["trl_defaults"]), ratio=round(faster, 2), spread=spread)  # fmt: skip


def _start(spec: dict[str, Any], rounds: int) -> dict[str, Any]:
    started = _alternate(STARTING, spec, ("ours", "trl"), rounds)
    faster, spread = _ratio(started, "trl")
    ours, theirs = (statistics.median(run["cpu"] for run in started[who]) for who in ("ours", "trl"))
    return _row(f"CPU-s from import to the first step, {CHAT[0]}", "as measured", round(ours, 1), None,
                peer=round(theirs, 1), ratio=round(faster, 2), spread=spread)  # fmt: skip


def _answers(name: str, spec: dict[str, Any], rounds: int) -> Iterator[dict[str, Any]]:
    made = _alternate(ANSWERING, spec, ("ours", "one_by_one"), rounds)
    faster, spread = _ratio(made, "one_by_one")
    texts, theirs = (made[who][0]["texts"] for who in ("ours", "one_by_one"))
    same = sum(a == b for a, b in zip(texts, theirs, strict=True))
    yield _row(f"CPU-s of fp32 {name}", ">= 4x one by one" if name == "answers" else "as measured",
               round(made["ours"][0]["cpu"], 2), faster >= 4 if name == "answers" else None,
               peer=round(made["one_by_one"][0]["cpu"], 2), ratio=round(faster, 2), spread=spread)  # fmt: skip
    yield _row(f"{name} equal to one by one", f"{len(texts)} of {len(texts)}", same, same == len(texts))


def _long_prompts(count: int) -> list[str]:
    """Visits, each after an example of its own, as the retrieved few-shot arm asks: little that they share."""
    pairs = _drawn(LONG[0], 2 * count)
    return [
        f"{example['prompt']}\n\n{example['completion']}\n\n{pair['prompt']}"
        for example, pair in zip(pairs[:count], pairs[count:], strict=True)
    ]


def _drawn(task: str, count: int) -> list[dict[str, Any]]:
    """Rows of a shipped pack as they would be trained on, drawn by a seed from its well-formed records."""
    folder = find_pack(task)
    system, found = load_pack(folder).system, []
    for line in (folder / "records.jsonl").read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
            turns = record.get("messages") or [
                {"role": "user", "content": record["prompt"]},
                {"role": "assistant", "content": record["completion"]},
            ]
            *history, asked, said = turns
            pair = {"prompt": asked["content"], "completion": said["content"], "history": json.dumps(history)}
        except (ValueError, KeyError, AttributeError):  # the packs' intake has malformed rows on purpose
            continue
        texts = [turn["content"] for turn in turns]
        if all(isinstance(text, str) and text.strip() for text in texts) and said["role"] == "assistant":
            found.append({"pair_id": record["id"], "system": system} | pair)
    return random.Random(task).sample(found, count)


def _equal() -> list[dict[str, Any]]:
    """16 rows of the same words but for a number: nothing to pad."""
    asked, said = (" ".join(WORDS[i % len(WORDS)] for i in range(count)) for count in (15, 25))
    return [
        {
            "pair_id": f"p{n}",
            "system": SYSTEM,
            "history": "[]",
            "prompt": f"{10 + n}: {asked}?",
            "completion": said,
        }
        for n in range(16)
    ]


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
    return round(statistics.median(run["tokens"] / run["cpu"] for run in runs))


def _row(
    figure: str,
    goal: str,
    ours: Any,
    met: bool | None,
    *,
    peer: Any = None,
    ratio: float | None = None,
    spread: str | None = None,
) -> dict[str, Any]:
    return {
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "spread": spread,
        "met": met,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
