"""Greedy decoding in shrinking batches, in this process.

Covers: one batch of prompts in, token ids out; rows leave the batch when they are finished, so that the others do
not wait for the longest with all the padding in tow. On a CPU each core takes a batch of its own.
Does not cover: text, templates, adapters (`evals.generate`).

What all prompts of a batch begin with (system message, examples) is read once and held once (`evals._prefix`; on
accelerators, and for models that it does not fit, its cache is copied to every row); what differs is padded on the
left of its own part. Positions count real tokens only, so that in fp32 a row's tokens do not depend on the batch it is
in (up to the last bit; a tie between two tokens could in principle fall differently).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache

from evals._prefix import ATTENTION, mask_of, own_cache, read_shared
from train.capabilities import in_threads

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
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Continue every prompt; at most about ``batch_tokens`` tokens (prompt and answer) are in memory at once.

    ``threads`` batches at a time, each on one core: less waiting than many cores on each small product.
    """
    answers = [Answer() for _ in prompts]
    threads = threads if model.device.type == "cpu" else 1
    rows = max(1, min(MAX_ROWS, -(-len(prompts) // threads)))
    work = batches([len(p) + max_new_tokens for p in prompts], batch_tokens // threads, rows)

    def answer(batch: list[int]) -> tuple[list[list[int]], float]:
        started = time.perf_counter()
        found = _one_batch(model, [prompts[i] for i in batch], stops, max_new_tokens, repetition_penalty)
        return found, time.perf_counter() - started

    done = 0
    for batch, (found, seconds) in zip(work, in_threads(answer, work, threads), strict=True):
        for number, tokens in zip(batch, found, strict=True):
            answers[number] = Answer(tokens, seconds / len(batch) / threads)
        done += len(batch)
        if progress is not None:
            progress(done, len(prompts))
    return answers


@torch.inference_mode()
def ending_scores(model: Any, rows: Sequence[Sequence[int]], known: int) -> tuple[list[float], list[int]]:
    """Log-probability (nats, summed) of what follows the first ``known`` >= 1 tokens, which all rows begin with; and
    how many of a row's last tokens are each the likeliest after those before.

    The common ones are read once for all rows, which is most of the work where long texts end differently.
    """
    device, common = model.device, known - 1
    own = [list(row[common:]) for row in rows]
    width = max(map(len, own))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in own], device=device)
    real = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in own], device=device)
    cache, extra, seen = _begun(model, rows[0][:common], len(rows), width, real)
    logits = model(
        input_ids=ids,
        attention_mask=mask_of(real, width) if extra else seen.long(),
        position_ids=(common + torch.arange(width, device=device)).expand(len(rows), -1),
        past_key_values=cache,
        use_cache=True,
        **extra,
    ).logits
    told = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    likeliest = (logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~real[:, 1:]
    run = likeliest.flip(1).long().cumprod(1).sum(1) - (~real[:, 1:]).sum(1)
    return told.where(real[:, 1:], 0.0).sum(1).tolist(), run.tolist()


def _begun(
    model: Any, first: Sequence[int], rows: int, room: int, real: torch.Tensor
) -> tuple[Cache, dict[str, Any], torch.Tensor]:
    """A cache for so many rows that all begin with ``first``, with room for more tokens a row; what the model needs
    beside it; and which tokens count, those in the cache included."""
    if model.config._attn_implementation == ATTENTION:
        shared = read_shared(model, list(first)) if first else None
        return own_cache(model, room), {"shared": shared}, real
    cache = DynamicCache(config=model.config)
    if first:
        ids = torch.tensor([list(first)], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(rows)
        real = torch.cat([real.new_ones(rows, len(first)), real], 1)
    return cache, {}, real


def batches(lengths: Sequence[int], tokens: int, rows: int = MAX_ROWS) -> list[list[int]]:
    """Numbers of the rows of each batch, similar lengths together, longest first (so memory fails early)."""
    found: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if found and len(found[-1]) < rows and (len(found[-1]) + 1) * lengths[found[-1][0]] <= tokens:
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
    common = shared_prefix(prompts)
    own = [list(p[common:]) for p in prompts]
    width = max(len(p) for p in own)
    ids = torch.tensor([[0] * (width - len(p)) + p for p in own], device=device)
    real = torch.tensor([[False] * (width - len(p)) + [True] * len(p) for p in own], device=device)
    positions = (common - 1 + real.cumsum(1)).clamp(min=0)
    cache, extra, real = _begun(model, prompts[0][:common], len(prompts), width + max_new_tokens, real)
    rows = torch.arange(len(prompts), device=device)  # which prompt each row of the batch answers
    seen: torch.Tensor | None = None
    stop = torch.tensor(sorted(stops), device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    step_ids = ids
    for _ in range(max_new_tokens):
        logits = (
            model(
                input_ids=step_ids,
                attention_mask=mask_of(real, step_ids.shape[1]) if extra else real.long(),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
                **extra,
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
            chosen, rows, seen, real, positions = (t[keep] for t in (chosen, rows, seen, real, positions))
        seen[torch.arange(len(chosen), device=device), chosen] = True
        step_ids = chosen[:, None]
        real = torch.cat([real, real.new_ones(len(chosen), 1)], 1)
        positions = positions[:, -1:] + 1
    return answers
