"""The step without padding: rows laid end to end, attention per row, loss on supervised positions only.

Covers: packing rows into flat tensors, splitting a step into micro-batches by tokens, the attention that
keeps rows apart, the summed loss and the loss of each row.
Does not cover: gradients, the optimizer (`train.trainer`).

Method: causal attention runs on each row's slice (``varlen_loop``), positions restart at every row, and the
vocabulary projection is computed only where a label is (``logits_to_keep``), which is where a CPU run spends
most of its time otherwise. Sums divided by the step's supervised tokens give the same loss and gradient as one
padded batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from train.fused import PackedAttention
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
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row of a packed batch.

    ``query`` is (1, heads, tokens, dim), ``key`` and ``value`` (1, key heads, tokens, dim); row i holds the tokens
    ``cu[i]:cu[i+1]``. Returns (1, tokens, heads, dim). Eager and device-neutral; kernels for variable lengths can
    take its place under the same name.
    """
    bounds = [0, query.shape[2]] if cu is None else cu
    if query.device.type == "cpu" and not (dropout and module.training):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return PackedAttention.apply(query, key, value, bounds, scale), None
    grouped = query.shape[1] != key.shape[1]
    parts = [
        F.scaled_dot_product_attention(
            query[:, :, a:b],
            key[:, :, a:b],
            value[:, :, a:b],
            dropout_p=dropout if module.training else 0.0,
            is_causal=True,
            scale=scaling,
            enable_gqa=grouped,
        )
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    return None


AttentionInterface.register(ATTENTION, varlen_loop)
AttentionMaskInterface.register(ATTENTION, _no_mask)

Packed = dict[str, torch.Tensor]


def pack(rows: Sequence[tuple[int, Rendered]]) -> Packed:
    """Flat tensors of some rows, longest first.

    ``rows`` are (number in the data set, row). Keys: ``input_ids``, ``position_ids``, ``shift_labels`` (1, tokens),
    where ``shift_labels[0, i]`` is what position i has to predict or -100; ``cu`` (rows + 1) offsets; ``rows``.
    """
    ordered = sorted(rows, key=lambda item: (-len(item[1].input_ids), item[0]))
    ids: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    cu = [0]
    for _, row in ordered:
        ids += row.input_ids
        positions += range(len(row.input_ids))
        labels += [*row.labels[1:], IGNORE]
        cu.append(len(ids))
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "shift_labels": torch.tensor([labels]),
        "cu": torch.tensor(cu),
        "rows": torch.tensor([number for number, _ in ordered]),
    }


def micro_batches(packed: Packed, tokens: int) -> list[Packed]:
    """Cut a packed step between rows into parts of at most ``tokens`` tokens (a longer row stays whole)."""
    cu = packed["cu"].tolist()
    parts: list[Packed] = []
    first = 0
    while first < len(cu) - 1:
        last = first + 1
        while last < len(cu) - 1 and cu[last + 1] - cu[first] <= tokens:
            last += 1
        a, b = cu[first], cu[last]
        parts.append(
            {
                **{k: packed[k][:, a:b] for k in ("input_ids", "position_ids", "shift_labels")},
                "cu": packed["cu"][first : last + 1] - a,
                "rows": packed["rows"][first:last],
            }
        )
        first = last
    return parts


def token_losses(model: Any, packed: Packed) -> torch.Tensor:
    """Negative log-likelihood (nats) of each supervised token, in order; fp32, with gradient."""
    keep = (packed["shift_labels"][0] != IGNORE).nonzero().squeeze(1)
    logits = model(
        input_ids=packed["input_ids"],
        position_ids=packed["position_ids"],
        cu=packed["cu"].tolist(),
        use_cache=False,
        logits_to_keep=keep,
    ).logits[0]
    return F.cross_entropy(logits.float(), packed["shift_labels"][0][keep], reduction="none")


def row_losses(model: Any, packed: Packed) -> list[tuple[int, float, int]]:
    """(number in the data set, mean loss in nats per supervised token, supervised tokens) of each row."""
    with torch.inference_mode():
        losses = token_losses(model, packed)
    counts = [
        int((packed["shift_labels"][0, a:b] != IGNORE).sum())
        for a, b in zip(packed["cu"].tolist(), packed["cu"].tolist()[1:], strict=False)
    ]
    means = [float(part.mean()) for part in losses.split(counts)]
    return list(zip(packed["rows"].tolist(), means, counts, strict=True))
