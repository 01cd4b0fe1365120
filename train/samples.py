"""What the model would say now: greedy answers to a few prompts while it is being trained.

Covers: taking them at the recipe's steps without touching the run (no random number is drawn, nothing of the step's
machinery stays changed), keeping them over an interruption. Does not cover: judging them; the evaluation gate does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from train.packed import ATTENTION
from train.processes import sharded
from train.recipe import Recipe
from train.render import Rendered, load_tokenizer, stop_ids

FILE = "samples.jsonl"
NEW_TOKENS = 48


class Sampler(TrainerCallback):
    """Answers the first ``recipe.sample_pairs`` prompts of ``rows`` at every ``recipe.sample_steps``-th step."""

    def __init__(self, rows: Sequence[Rendered], base: Path, recipe: Recipe, work: Path) -> None:
        first: dict[str, Rendered] = {}
        for row in rows:
            first.setdefault(row.pair_id, row)
        self.rows = list(first.values())[: recipe.sample_pairs]
        self.every, self.path = recipe.sample_steps, work / FILE
        self.tokenizer = load_tokenizer(base, recipe.template)
        self.stops = sorted(stop_ids(base, self.tokenizer))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        first = state.is_world_process_zero
        # a model that is spread over the processes answers in all of them together
        if self.every is None or state.global_step % self.every or not (first or sharded()):
            return
        plain = getattr(model, "module", model)
        entries = []
        with as_in_use(plain), torch.no_grad():
            for row in self.rows:
                ids = torch.tensor([row.input_ids[: row.prompt_tokens]], device=args.device)
                out = plain.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    eos_token_id=self.stops or None,
                    pad_token_id=self.tokenizer.pad_token_id,
                )
                text = self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()
                entry = {"step": state.global_step, "pair_id": row.pair_id, "text": text}
                entries.append(json.dumps(entry, ensure_ascii=False) + "\n")
        if first:
            with self.path.open("a", encoding="utf-8") as sink:
                sink.writelines(entries)


def taken(work: Path) -> list[dict[str, Any]]:
    """Samples of a run so far: {step, pair_id, text} by step; a step that was done twice counts once."""
    try:
        lines = (work / FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a run that was killed while it wrote
            continue
        found[entry["step"], entry["pair_id"]] = entry
    return [found[key] for key in sorted(found)]


@contextmanager
def as_in_use(model: Any) -> Iterator[None]:
    """Stock attention, real logits and no dropout for as long as the context lasts."""
    head = model.get_output_embeddings()
    projected = head.__dict__.pop("forward", None)  # `train.fused.projected_head` puts it there
    training = model.training
    model.set_attn_implementation("sdpa")
    model.eval()
    try:
        yield
    finally:
        model.train(training)
        model.set_attn_implementation(ATTENTION)
        if projected is not None:
            head.forward = projected
