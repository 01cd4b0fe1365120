"""The step without padding: rows laid end to end, attention per row, loss on supervised positions only.

Covers: packing rows into flat tensors, splitting a step into micro-batches by tokens, the attention that
keeps rows apart, the summed loss and the loss of each row.
Does not cover: gradients, the optimizer (`train.trainer`).

Method: causal attention runs on each row's slice (``varlen_loop``), positions restart at every row, what all rows
begin with is computed once, and the vocabulary projection is computed only where a label is
(``logits_to_keep``), which is where a CPU run spends most of its time otherwise. Sums divided by the step's
supervised tokens give the same loss and gradient as one padded batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from train.fused import PackedAttention, ProjectedLoss
from train.render import IGNORE, Rendered

ATTENTION = "goldpair_varlen"


def varlen_loop(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu: Sequence[int] | None = None,
    shared: int = 0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row of a packed batch.

    ``query`` is (1, heads, tokens, dim), ``key`` and ``value`` (1, key heads, tokens, dim); row i holds the tokens
    ``cu[i]:cu[i+1]`` and also sees the first ``shared`` ones. Returns (1, tokens, heads, dim). The loop over torch's
    own attention is the oracle, and what accelerators use; on a CPU `train.fused.PackedAttention` takes its place.
    """
    bounds = [0, query.shape[2]] if cu is None else cu
    dropout = dropout if module.training else 0.0
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if query.device.type in ("cpu", "meta") and not dropout:  # meta: `train.memory` plans for a CPU
        return PackedAttention.apply(query, key, value, bounds, shared, scale), None
    return attention_loop(query, key, value, bounds, shared, scale, dropout), None


def attention_loop(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: Sequence[int],
    shared: int,
    scale: float,
    dropout: float = 0.0,
) -> torch.Tensor:
    """`varlen_loop` by torch's scaled dot-product attention, one call for each row."""
    spans = [*([(0, shared)] if shared else []), *itertools.pairwise(bounds)]
    grouped = query.shape[1] != key.shape[1]
    parts = []
    for a, b in spans:
        before = shared if a else 0
        keys, values = key[:, :, a:b], value[:, :, a:b]
        mask = None
        if before:
            keys, values = (torch.cat([t[:, :, :before], t[:, :, a:b]], 2) for t in (key, value))
            mask = torch.ones(b - a, before + b - a, dtype=torch.bool, device=query.device).tril(before)
        parts.append(
            F.scaled_dot_product_attention(
                query[:, :, a:b],
                keys,
                values,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None,
                scale=scale,
                enable_gqa=grouped,
            )
        )
    return torch.cat(parts, 2).transpose(1, 2).contiguous()


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


AttentionInterface.register(ATTENTION, varlen_loop)
AttentionMaskInterface.register(ATTENTION, _no_mask)

Packed = dict[str, torch.Tensor]


def pack(rows: Sequence[tuple[int, Rendered]]) -> Packed:
    """Flat tensors of some rows, longest first, with what all of them begin with standing there only once.

    ``rows`` are (number in the data set, row). Keys: ``input_ids``, ``position_ids``, ``shift_labels`` (1, tokens),
    where ``shift_labels[0, i]`` is what position i has to predict or -100; ``cu`` (rows + 1) offsets; ``rows``;
    ``shared`` the number of tokens before ``cu[0]``, which every row begins with (a system message mostly). In a
    causal model they are the same for every row, so computing them once changes no loss and no gradient. ``labels``
    is ``shift_labels`` again: by its presence the Trainer counts supervised tokens over all processes.
    """
    ordered = sorted(rows, key=lambda item: (-len(item[1].input_ids), item[0]))
    shared = _common_prefix([row for _, row in ordered])
    ids = list(ordered[0][1].input_ids[:shared])
    positions = list(range(shared))
    labels = [IGNORE] * shared
    cu = [shared]
    for _, row in ordered:
        ids += row.input_ids[shared:]
        positions += range(shared, len(row.input_ids))
        labels += [*row.labels[shared + 1 :], IGNORE]
        cu.append(len(ids))
    shifted = torch.tensor([labels])
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "shift_labels": shifted,
        "labels": shifted,
        "cu": torch.tensor(cu),
        "rows": torch.tensor([number for number, _ in ordered]),
        "shared": torch.tensor(shared),
    }


def _common_prefix(rows: Sequence[Rendered]) -> int:
    """Tokens that all rows begin with and of which none predicts a supervised one; 0 for a single row."""
    if len(rows) < 2:
        return 0
    first, last = min(row.input_ids for row in rows), max(row.input_ids for row in rows)
    limit = min(row.prompt_tokens for row in rows) - 1
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), limit)
    return max(0, min(same, limit))


def real_tokens(packed: Packed) -> int:
    """Tokens of all rows, the shared ones counted for every row."""
    return int(packed["cu"][-1] - packed["cu"][0] + packed["shared"] * len(packed["rows"]))


def micro_batches(packed: Packed, tokens: int) -> list[Packed]:
    """Cut a packed step between rows into parts of at most ``tokens`` tokens (a longer row stays whole)."""
    cu, shared = packed["cu"].tolist(), int(packed["shared"])
    parts: list[Packed] = []
    first = 0
    while first < len(cu) - 1:
        last = first + 1
        while last < len(cu) - 1 and shared + cu[last + 1] - cu[first] <= tokens:
            last += 1
        parts.append(_part(packed, first, last))
        first = last
    return parts


def even_parts(packed: Packed, count: int) -> list[Packed]:
    """Cut a packed step between rows into at most ``count`` parts of about as many tokens each."""
    cu = packed["cu"]
    goals = torch.linspace(float(cu[0]), float(cu[-1]), count + 1)
    cuts = sorted({int((cu - goal).abs().argmin()) for goal in goals})
    return [_part(packed, a, b) for a, b in itertools.pairwise(cuts)]


def _part(packed: Packed, first: int, last: int) -> Packed:
    """The rows ``first`` up to ``last`` of a packed step, after what all rows begin with."""
    shared = int(packed["shared"])
    a, b = int(packed["cu"][first]), int(packed["cu"][last])
    return {
        **{
            k: torch.cat([packed[k][:, :shared], packed[k][:, a:b]], 1)
            for k in ("input_ids", "position_ids", "shift_labels")
        },
        "cu": packed["cu"][first : last + 1] - a + shared,
        "rows": packed["rows"][first:last],
        "shared": packed["shared"],
    }


def inputs_of(packed: Packed) -> dict[str, Any]:
    """Arguments of a model's forward that give logits at the supervised positions only."""
    return {
        "input_ids": packed["input_ids"],
        "position_ids": packed["position_ids"],
        "cu": packed["cu"].tolist(),
        "shared": int(packed["shared"]),
        "use_cache": False,
        "logits_to_keep": (packed["shift_labels"][0] != IGNORE).nonzero().squeeze(1),
    }


def token_losses(model: Any, packed: Packed, head: torch.Tensor | None = None) -> torch.Tensor:
    """Negative log-likelihood (nats) of each supervised token, in order; fp32, with gradient.

    ``head`` is what `train.fused.projected_head` gave, if the model is in its context.
    """
    inputs = inputs_of(packed)
    targets = packed["shift_labels"][0][inputs["logits_to_keep"]]
    logits = model(**inputs).logits[0]
    if head is not None:
        return ProjectedLoss.apply(logits, head, targets)
    return F.cross_entropy(logits.float(), targets, reduction="none")


def row_losses(model: Any, packed: Packed, head: torch.Tensor | None = None) -> list[tuple[int, float, int]]:
    """(number in the data set, mean loss in nats per supervised token, supervised tokens) of each row."""
    with torch.no_grad():  # inference mode and weights spread over processes do not go together
        losses = token_losses(model, packed, head)
    bounds = packed["cu"].tolist()
    counts = [int((packed["shift_labels"][0, a:b] != IGNORE).sum()) for a, b in itertools.pairwise(bounds)]
    means = [float(part.mean()) for part in losses.split(counts)]
    return list(zip(packed["rows"].tolist(), means, counts, strict=True))
