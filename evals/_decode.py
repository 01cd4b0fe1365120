"""Greedy decoding in shrinking batches, in this process.

Covers: one batch of prompts in, token ids out; rows leave the batch when they are finished, so that the others do
not wait for the longest with all the padding in tow.
Does not cover: text, templates, adapters (`evals.generate`).

What all prompts of a batch begin with (system message, examples) is read once and its cache copied to every row;
what differs is padded on the left of its own part. Positions count real tokens only, so that in fp32 a row's tokens
do not depend on the batch it is in (up to the last bit; a tie between two tokens could in principle fall
differently).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

MAX_ROWS = 64  # more rows than this gain nothing on the machines measured and cost memory


@dataclass
class Answer:
    tokens: list[int] = field(default_factory=list)  # without the stop token
    seconds: float = 0.0


def greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    stops: set[int],
    max_new_tokens: int,
    repetition_penalty: float,
    batch_tokens: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Continue every prompt; at most about ``batch_tokens`` tokens (prompt and answer) are in memory at once."""
    answers = [Answer() for _ in prompts]
    done = 0
    for batch in batches([len(p) + max_new_tokens for p in prompts], batch_tokens):
        started = time.perf_counter()
        found = _one_batch(model, [prompts[i] for i in batch], stops, max_new_tokens, repetition_penalty)
        share = (time.perf_counter() - started) / len(batch)
        for number, tokens in zip(batch, found, strict=True):
            answers[number] = Answer(tokens, share)
        done += len(batch)
        if progress is not None:
            progress(done, len(prompts))
    return answers


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Numbers of the rows of each batch, similar lengths together, longest first (so memory fails early)."""
    found: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if found and len(found[-1]) < MAX_ROWS and (len(found[-1]) + 1) * lengths[found[-1][0]] <= tokens:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Number of tokens with which all prompts begin, leaving at least one token of each; 0 for a single prompt."""
    if len(prompts) < 2:
        return 0
    most = min(len(p) for p in prompts) - 1
    return next((i for i in range(most) if len({p[i] for p in prompts}) > 1), most)


@torch.inference_mode()
def _one_batch(
    model: Any, prompts: Sequence[Sequence[int]], stops: set[int], max_new_tokens: int, penalty: float
) -> list[list[int]]:
    device = model.device
    cache = DynamicCache(config=model.config)
    common = shared_prefix(prompts)
    if common:
        model(
            input_ids=torch.tensor([list(prompts[0][:common])], device=device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(len(prompts))
    own = [list(p[common:]) for p in prompts]
    width = max(len(p) for p in own)
    ids = torch.tensor([[0] * (width - len(p)) + p for p in own], device=device)
    mask = torch.tensor([[1] * common + [0] * (width - len(p)) + [1] * len(p) for p in own], device=device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, common:]
    rows = torch.arange(len(prompts), device=device)  # which prompt each row of the batch answers
    seen: torch.Tensor | None = None
    stop = torch.tensor(sorted(stops), device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    step_ids = ids
    for _ in range(max_new_tokens):
        logits = (
            model(
                input_ids=step_ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            .logits[:, -1]
            .float()
        )
        if seen is None:
            seen = torch.zeros_like(logits, dtype=torch.bool)
            for row, prompt in enumerate(prompts):
                seen[row, list(prompt)] = True
        if penalty != 1.0:
            logits = torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)
        chosen = logits.argmax(-1)
        going = ~torch.isin(chosen, stop)
        for row, token, on in zip(rows.tolist(), chosen.tolist(), going.tolist(), strict=True):
            if on:
                answers[row].append(token)
        if not bool(going.any()):
            break
        if not bool(going.all()):
            keep = going.nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            chosen, rows, seen, mask, positions = (t[keep] for t in (chosen, rows, seen, mask, positions))
        seen[torch.arange(len(chosen), device=device), chosen] = True
        step_ids = chosen[:, None]
        mask = torch.cat([mask, mask.new_ones(len(chosen), 1)], 1)
        positions = positions[:, -1:] + 1
    return answers
