"""Attention of many rows that begin alike: what they share is held, and read, once.

Covers: a key/value cache with a part that all rows share and a part of their own with room for what is to come, and
the attention over both (as in Juravsky et al. 2024, "Hydragen", with one softmax over both parts instead of two that
are joined). The stock cache copies everything at every token, and every row reads its own copy of the same system
message and examples; on a CPU that is more than half the time of a few-shot answer.
Does not cover: sliding windows, soft-capped scores, accelerators; `fits` says which models may use it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicLayer

from evals import _own_part

ATTENTION = "goldpair_prefix"
BLOCK = 64  # tokens of a prompt whose scores are computed together

Part = tuple[torch.Tensor, torch.Tensor]  # keys and values, (key heads, tokens, dim)
Shared = list[Part]  # by layer


def fits(model: Any) -> bool:
    """Whether a model is plain causal attention throughout, on a CPU."""
    config = model.config
    odd = ("sliding_window", "attn_logit_softcapping", "attention_chunk_size")
    return (
        model.device.type == "cpu"
        and model._supports_attention_backend
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and all(getattr(config, name, None) is None for name in odd)
    )


class _Layer(DynamicLayer):
    """Keys and values of one layer in a buffer with room for ``room`` tokens a row."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.used = room, 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            rows, heads, _, dim = key_states.shape
            self.keys = key_states.new_empty(rows, heads, self.room, dim)
            self.values = value_states.new_empty(rows, heads, self.room, value_states.shape[-1])
            self.is_initialized = True
        end = self.used + key_states.shape[2]
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.used


def own_cache(model: Any, room: int) -> Cache:
    """An empty cache for ``room`` tokens in each row."""
    return Cache(layers=[_Layer(room) for _ in range(model.config.num_hidden_layers)])


def read_shared(model: Any, ids: list[int]) -> Shared:
    """Keys and values of the tokens that all rows begin with."""
    cache = own_cache(model, len(ids))
    model(
        input_ids=torch.tensor([ids]),
        attention_mask=mask_of(torch.ones(1, len(ids), dtype=torch.bool), len(ids)),
        position_ids=torch.arange(len(ids))[None],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    layers: Any = cache.layers
    return [(layer.keys[0], layer.values[0]) for layer in layers]


def mask_of(real: torch.Tensor, queries: int) -> torch.Tensor:
    """What the last ``queries`` tokens of each row may see of ``real`` (rows, tokens): (rows, 1, queries, tokens).

    Zero where they may and minus infinity elsewhere; padding sees itself, so that no softmax is over nothing.
    """
    tokens = real.shape[1]
    seen = torch.ones(queries, tokens, dtype=torch.bool).tril(tokens - queries) & real[:, None, None, :]
    seen |= torch.eye(tokens, dtype=torch.bool)[-queries:]
    return torch.zeros(seen.shape).masked_fill_(~seen, float("-inf"))


def prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    shared: Shared | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Softmax attention of each row over the shared tokens, which all of it may see, and its own, by the mask.

    ``query`` (rows, heads, tokens, dim), ``key`` and ``value`` (rows, key heads, own tokens, dim), ``attention_mask``
    as `mask_of` makes it. Returns (rows, tokens, heads, dim), noughts for padding on the left. Scores are in fp32.
    """
    rows, heads, tokens, dim = query.shape
    kv, own = key.shape[1:3]
    group = heads // kv
    scale = dim**-0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    before = shared[layer] if shared else (key[0, :, :0], value[0, :, :0])
    q = query.mul(scale).view(rows, kv, group, tokens, dim)
    if tokens == 1:
        said = _next(q.squeeze(3), key, value, attention_mask[:, 0, 0], before)
        return said.view(rows, 1, heads, -1), None
    out = query.new_zeros(rows, tokens, heads, value.shape[-1])
    first = (attention_mask[:, 0, -1] == 0).int().argmax(-1).tolist()  # padding on the left is not read
    for row, low in enumerate(first):
        skipped = max(0, low - (own - tokens))
        part = q[row, :, :, skipped:]
        said = _read(part, key[row, :, low:], value[row, :, low:], before)
        out[row, skipped:] = said.transpose(0, 1).reshape(tokens - skipped, heads, -1)
    return out, None


def _read(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, before: Part) -> torch.Tensor:
    """Of one row: ``query`` (key heads, group, tokens, dim) are its last tokens, each of which sees what is shared,
    those ahead of it and itself. Returns (key heads x group, tokens, dim).

    A block of tokens at a time, so that its scores stay in the processor's cache, and none of a token yet to come.
    """
    kv, group, tokens, dim = query.shape
    keys, values = (torch.cat(pair, 1) for pair in zip(before, (key, value), strict=True))
    out = query.new_empty(kv, group, tokens, value.shape[-1])
    for low in range(0, tokens, BLOCK):
        part = query[:, :, low : low + BLOCK]
        size = part.shape[2]
        seen = keys.shape[1] - tokens + low + size
        scores = (part.reshape(kv, group * size, dim) @ keys[:, :seen].transpose(1, 2)).float()
        ahead = torch.ones(size, size, dtype=torch.bool).triu_(1)
        scores.view(kv, group, size, seen)[..., seen - size :].masked_fill_(ahead, float("-inf"))
        said = scores.softmax(-1).to(values.dtype) @ values[:, :seen]
        out[:, :, low : low + size] = said.view(kv, group, size, -1)
    return out.view(kv * group, tokens, -1)


def _next(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, before: Part
) -> torch.Tensor:
    """One token of each row: ``query`` and what is returned (rows, key heads, group, dim), ``mask`` (rows, own)."""
    rows, kv, group, dim = query.shape
    before_k, before_v = before
    size = before_k.shape[1]
    weights = torch.empty(rows, kv, group, size + key.shape[2])
    if size:
        found = query.transpose(0, 1).reshape(kv, -1, dim) @ before_k.transpose(1, 2)
        weights[..., :size] = found.view(kv, rows, group, size).transpose(0, 1)
    alone = _own_part.fits(query, key, value)
    if alone:
        _own_part.scores(query, key, mask, weights, size)
    else:
        weights[..., size:] = query @ key.transpose(2, 3)
        weights[..., size:] += mask[:, None, None]
    weights = weights.softmax(-1).to(value.dtype)
    said = _own_part.weighted(weights, value, mask, size) if alone else weights[..., size:] @ value
    if size:
        flat = weights[..., :size].transpose(0, 1).reshape(kv, -1, size)
        said += (flat @ before_v).view(kv, rows, group, -1).transpose(0, 1)
    return said


AttentionInterface.register(ATTENTION, prefix_attention)
