"""Candidates and decisions: exact pass, sampled rare-shingle join, verification, union-find.

1. Texts with the same folded words collapse to one (so ten thousand identical rows cost one comparison).
2. Each text keeps a consistent sample of its word 3-grams; texts sharing enough *rare* ones are candidates.
   There is no MinHash: the join alone reaches recall near 1 down to Jaccard .3.
3. Shingles in more than ``group_cap`` texts propose nothing by themselves; texts that live mostly on such
   shingles are compared with their neighbours in a sketch order instead, so that large clusters hold together.
4. Candidates are verified exactly (verify.py), never by the sample.

Texts are numbered by the hash of their words from the start, so neither the order of rows nor the number of
threads can change a decision.

Does not cover: what is shown of the result (result.py), single queries (index.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from curate.dedupe import kernels
from curate.dedupe.prepare import Tokens, over_chunks, ranges, tokenise, word_weights
from curate.dedupe.settings import DedupeSettings
from curate.dedupe.verify import COST, COVERAGE, GAP, JACCARD, verify

_EMIT_AT_ONCE = 16_000_000  # pairs held at a time while joining: 128 MB
_CROWDED_GROUPS = 4  # crowded groups per starved text


@dataclass(frozen=True)
class Unique:
    """Distinct texts in the order of their hash, and where each row went."""

    tokens: Tokens
    first_row: np.ndarray  # int64 per distinct text: its smallest row
    of_row: np.ndarray  # int64 per row: its distinct text


@dataclass(frozen=True)
class Sampled:
    """Sampled shingles per distinct text: ascending uint64 ``features`` between ``starts``."""

    features: np.ndarray
    starts: np.ndarray  # int64, one more than texts


@dataclass(frozen=True)
class Candidates:
    """Verified pairs of distinct texts (left < right) and their metrics float32[n, 4] (see verify.py)."""

    left: np.ndarray
    right: np.ndarray
    metrics: np.ndarray


def collapse(tokens: Tokens) -> Unique:
    """One entry per distinct folded word sequence."""
    _, first, inverse = np.unique(tokens.hashes, return_index=True, return_inverse=True)
    return Unique(tokens.take(first), first.astype(np.int64), inverse.reshape(-1).astype(np.int64))


def sample(tokens: Tokens, settings: DedupeSettings, workers: int) -> Sampled:
    """The consistent shingle sample of every text."""

    def work(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        features = np.empty((high - low) * kernels.MAX_FEATURES, dtype=np.uint64)
        counts = np.empty(high - low, dtype=np.int64)
        written = kernels.sample(
            tokens.tokens, tokens.starts[low:high], tokens.counts[low:high],
            settings.sample_size, settings.pair_words, features, counts,
        )  # fmt: skip
        return features[:written].copy(), counts

    pieces = over_chunks(work, ranges(len(tokens.starts), 8192), workers)
    starts = np.zeros(len(tokens.starts) + 1, dtype=np.int64)
    if not pieces:
        return Sampled(np.zeros(0, dtype=np.uint64), starts)
    np.cumsum(np.concatenate([p[1] for p in pieces]), out=starts[1:])
    return Sampled(np.concatenate([p[0] for p in pieces]), starts)


def join(
    sampled: Sampled, settings: DedupeSettings, workers: int, sides: np.ndarray | None = None
) -> np.ndarray:
    """Candidate pairs as sorted distinct uint64 (left << 32 | right), left < right.

    ``sides`` uint8 per text: only pairs across sides are proposed.
    """
    texts = len(sampled.starts) - 1
    side = np.zeros(0, dtype=np.uint8) if sides is None else sides
    keys = np.empty(len(sampled.features), dtype=np.uint64)
    over_chunks(
        lambda low, high: kernels.pack(sampled.features, sampled.starts, low, high, keys),
        ranges(texts, 65_536),
        workers,
    )
    keys.sort()
    emitted = np.zeros(texts, dtype=np.int64)
    rare = np.zeros(texts, dtype=np.int64)
    crowded = np.zeros(texts, dtype=np.int64)
    kernels.group_census(keys, settings.group_cap, side, emitted, rare, crowded)
    upto = np.cumsum(emitted)
    total = int(upto[-1]) if texts else 0
    at_once = max(1, min(_EMIT_AT_ONCE, -(-total // workers)))
    cuts = np.searchsorted(upto, np.arange(at_once, total, at_once), side="left") + 1
    edges = np.unique(np.concatenate([[0], cuts, [texts]])).tolist()

    def work(low: int, high: int) -> np.ndarray:
        out = np.empty(int(emitted[low:high].sum()), dtype=np.uint64)
        out = out[: kernels.emit_pairs(keys, settings.group_cap, side, np.uint64(low), np.uint64(high), out)]
        out.sort()
        kept = np.empty(len(out), dtype=np.uint64)
        n = kernels.count_pairs(out, sampled.starts, settings.min_shared, settings.min_shared_share, kept)
        return kept[:n].copy()

    found = over_chunks(work, list(pairwise(edges)), workers)
    starved = crowded >= np.maximum(1, 0.4 * np.diff(sampled.starts))
    if starved.any():
        found.append(_neighbours(keys, sampled, starved, settings, side))
    pairs = np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)
    return np.unique(pairs) if starved.any() else pairs


def _neighbours(
    keys: np.ndarray, sampled: Sampled, starved: np.ndarray, settings: DedupeSettings, side: np.ndarray
) -> np.ndarray:
    """Pairs from crowded shingles: members in the order of a per-shingle sketch, each with its next few."""
    room = int(starved.sum()) * _CROWDED_GROUPS
    groups = np.empty(room, dtype=np.int64)
    docs = np.empty(room, dtype=np.int64)
    n = kernels.crowded_members(keys, settings.group_cap, starved, _CROWDED_GROUPS, groups, docs)
    groups, docs = groups[:n], docs[:n]
    # the position of a group moves with the rest of the corpus; its shingle does not
    shingle = (keys[groups] >> np.uint64(32)).astype(np.int64)
    sketch = np.empty(n, dtype=np.uint64)
    kernels.sketch_keys(shingle, docs, sampled.features, sampled.starts, sketch)
    order = np.lexsort((docs, sketch, shingle))
    out = np.empty(n * settings.neighbours, dtype=np.uint64)
    written = kernels.neighbour_pairs(
        shingle[order], docs[order], settings.neighbours, side, sampled.features, sampled.starts,
        settings.min_shared, settings.min_shared_share, out,
    )  # fmt: skip
    return out[:written]


def measure(
    tokens: Tokens,
    left: np.ndarray,
    right: np.ndarray,
    settings: DedupeSettings,
    weights: tuple[np.ndarray, np.ndarray],
    workers: int,
) -> np.ndarray:
    """Metrics float32[pairs, 4] of candidate pairs (see verify.verify)."""
    metrics = np.empty((len(left), 4), dtype=np.float32)
    numbers = np.array([settings.gap_words, settings.edge_words, settings.short_words], dtype=np.int64)

    def work(low: int, high: int) -> None:
        verify(
            left[low:high], right[low:high], tokens.tokens, tokens.starts, tokens.counts,
            tokens.spell, tokens.spell_starts, *weights, numbers, metrics[low:high],
        )  # fmt: skip

    over_chunks(work, ranges(len(left), 16_384), workers)
    return metrics


def decide(metrics: np.ndarray, settings: DedupeSettings) -> np.ndarray:
    """Boolean per pair: near-duplicate under these settings."""
    cost = metrics[:, COST]
    long_pair = np.isnan(cost)
    long_same = (
        (metrics[:, GAP] < settings.max_gap_share)
        & (metrics[:, COVERAGE] >= settings.min_coverage)
        & (metrics[:, JACCARD] >= settings.min_jaccard)
    )
    short_same = np.where(long_pair, np.inf, cost) <= settings.short_tolerance
    return np.where(long_pair, long_same, short_same)


@dataclass(frozen=True)
class Found:
    """Everything the engine learned about a corpus."""

    unique: Unique
    candidates: Candidates
    seconds: dict[str, float]


def search(series: pl.Series, settings: DedupeSettings, sides: np.ndarray | None = None) -> Found:
    """Runs all stages over a corpus. With ``sides`` (uint8 per row) only pairs across sides are looked at;
    a distinct text that stands on both sides takes part on both."""
    workers = settings.threads()
    clock = [time.perf_counter()]
    seconds: dict[str, float] = {}

    def lap(stage: str) -> None:
        clock.append(time.perf_counter())
        seconds[stage] = clock[-1] - clock[-2]

    tokens = tokenise(series, settings)
    lap("tokenise")
    unique = collapse(tokens)
    side_of = None
    if sides is not None:
        unique, side_of = _split_sides(unique, sides)
    lap("exact")
    sampled = sample(unique.tokens, settings, workers)
    lap("sample")
    pairs = join(sampled, settings, workers, side_of)
    del sampled
    left = (pairs >> np.uint64(32)).astype(np.int64)
    right = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    del pairs
    lap("join")
    metrics = measure(unique.tokens, left, right, settings, word_weights(settings), workers)
    lap("verify")
    return Found(unique, Candidates(left, right, metrics), seconds)


def _split_sides(unique: Unique, sides: np.ndarray) -> tuple[Unique, np.ndarray]:
    """Distinct texts per side, ordered by (text, side), so that a text on both sides meets itself as normalised."""
    combined = unique.of_row * 2 + sides
    values, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    tokens = unique.tokens.take(values // 2)
    return (
        Unique(tokens, first.astype(np.int64), inverse.reshape(-1).astype(np.int64)),
        (values % 2).astype(np.uint8),
    )
