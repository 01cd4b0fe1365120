"""Attention of one new token a row to what the row alone has before it, compiled.

Covers: scores against a row's own keys and the weighted sum of its own values, for the few query heads that share a
key head. Every key and value is read once from memory, which is all that limits this on a CPU; a batched product of
three rows by two thousand packs them first, and so moves them twice. Padding is not read.
Does not cover: several new tokens at a time, and what rows share (`evals._prefix`); products of matrices suit those.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit


def scores(
    query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor, out: torch.Tensor, before: int
) -> None:
    """Into ``out[..., before:]``: ``query`` times each own key, minus infinity where the mask does not let it see.

    Shapes as in `fits`; ``mask`` (rows, own) holds zeros and minus infinities, ``out`` is (rows, key heads, group,
    before + own). Everything is fp32.
    """
    _scores(query.numpy(), _buffer(key), mask.numpy(), before, out.numpy())


def weighted(weights: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, before: int) -> torch.Tensor:
    """Own values weighted by ``weights[..., before:]``: (rows, key heads, group, dim)."""
    out = torch.zeros(*weights.shape[:3], value.shape[-1])
    _weighted(weights.numpy(), _buffer(value), mask.numpy(), before, out.numpy())
    return out


def fits(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether ``query`` (rows, key heads, group, dim) is of one token, and ``key`` and ``value`` (rows, key heads, own,
    dim) are fp32 views of buffers as `evals._prefix` holds them, with room behind each row's tokens."""
    return all(
        x.dtype == torch.float32
        and x.stride(-1) == 1
        and x.stride(2) == x.shape[3]
        and x.stride(0) == x.shape[1] * x.stride(1)
        for x in (query, key, value)
    )


def _buffer(view: torch.Tensor) -> np.ndarray:
    """The buffer of which ``view`` is the beginning of each row: compiled loops want to know that it is contiguous."""
    rows, heads, _, dim = view.shape
    room = view.stride(1) // dim
    whole: np.ndarray = view.as_strided(
        (rows, heads, room, dim), (view.stride(0), view.stride(1), dim, 1)
    ).numpy()
    return whole


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})  # sums may be taken in any order
def _scores(query, keys, mask, before, out):
    rows, heads, group, dim = query.shape
    for row in range(rows):
        for head in range(heads):
            for token in range(mask.shape[1]):
                seen = mask[row, token] == 0.0
                for one in range(group):
                    score = np.float32(0.0)
                    if seen:
                        for d in range(dim):
                            score += query[row, head, one, d] * keys[row, head, token, d]
                    out[row, head, one, before + token] = score if seen else np.float32(-np.inf)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def _weighted(weights, values, mask, before, out):
    rows, heads, group, dim = out.shape
    for row in range(rows):
        for head in range(heads):
            for token in range(mask.shape[1]):
                if mask[row, token] != 0.0:
                    continue
                for one in range(group):
                    weight = weights[row, head, one, before + token]
                    for d in range(dim):
                        out[row, head, one, d] += weight * values[row, head, token, d]
