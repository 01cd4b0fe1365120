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
SCORES = 2**24  # attention weights in memory at once while prompts are read: 64 MB

Shared = list[tuple[torch.Tensor, torch.Tensor]]  # per layer: keys and values, (key heads, tokens, dim)


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
    as `mask_of` makes it. Returns (rows, tokens, heads, dim). Scores are in fp32.
    """
    rows, heads, tokens, dim = query.shape
    kv, own = key.shape[1:3]
    group = heads // kv
    scale = dim**-0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    before_k, before_v = shared[layer] if shared else (key[0, :, :0], value[0, :, :0])
    before = before_k.shape[1]
    q = query.reshape(rows, kv, group * tokens, dim).mul(scale)  # queries of one key head lie together
    out = query.new_empty(rows, tokens, heads, value.shape[-1])
    many = max(1, SCORES // (heads * tokens * (before + own)))
    for a in range(0, rows, many):
        part = q[a : a + many]
        n = len(part)
        weights = torch.empty(n, kv, group * tokens, before + own)
        if before:
            flat = part.transpose(0, 1).reshape(kv, -1, dim)
            found = flat @ before_k.transpose(1, 2)
            weights[..., :before] = found.view(kv, n, group * tokens, before).transpose(0, 1)
        k, v, mask = key[a : a + many], value[a : a + many], attention_mask[a : a + many]
        alone = tokens == 1 and _own_part.fits(part, k, v)
        if alone:
            _own_part.scores(part, k, mask[:, 0, 0], weights, before)
        else:
            scores = weights[..., before:]
            scores.copy_(part @ k.transpose(2, 3))
            scores.view(n, kv, group, tokens, own).add_(mask[:, :, None])
        weights = weights.softmax(-1).to(value.dtype)
        said = _own_part.weighted(weights, v, mask[:, 0, 0], before) if alone else weights[..., before:] @ v
        if before:
            flat = weights[..., :before].transpose(0, 1).reshape(kv, -1, before)
            said += (flat @ before_v).view(kv, n, group * tokens, -1).transpose(0, 1)
        out[a : a + many] = said.view(n, heads, tokens, -1).transpose(1, 2)
    return out, None


AttentionInterface.register(ATTENTION, prefix_attention)
