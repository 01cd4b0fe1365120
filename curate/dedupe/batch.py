"""The engine cut into steps over batches, for an executor that holds no corpus: what one row or one pair needs.

Covers: words and sampled shingles of texts, pairs of a shared shingle, neighbours in a crowded one, the decision on a
pair; each a pure function from arrays to arrays with the kernels that `find_duplicates` uses. Does not cover: joins
and shuffles, which are the executor's (`curate.scale`).

A text is known by the hash of its words, and ``left < right`` compares hashes: that is the order in which the
embedded engine numbers texts, so both make the same comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from curate.dedupe import kernels
from curate.dedupe.align import pair_similarities
from curate.dedupe.engine import _CROWDED_GROUPS, decide, measure, sample
from curate.dedupe.prepare import as_series, tokenise, word_weights
from curate.dedupe.settings import DedupeSettings

HALF = np.uint64(32)


def features(
    texts: Sequence[str] | pl.Series, settings: DedupeSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per text: hash of its words uint64[n]; its sampled shingles uint64, packed, between starts int64[n + 1]."""
    tokens = tokenise(as_series(texts), settings, workers=1)
    sampled = sample(tokens, settings, 1)
    return tokens.hashes, sampled.features, sampled.starts


def pairs_of(texts: Sequence[int] | np.ndarray) -> np.ndarray:
    """uint64[m, 2]: all pairs (smaller, larger) of the texts that share one shingle."""
    ordered = np.unique(np.asarray(texts, dtype=np.uint64))
    left, right = np.triu_indices(len(ordered), 1)
    return np.stack([ordered[left], ordered[right]], axis=1)


def starved(crowded: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Boolean per text: whether too many of its shingles are crowded for rare ones to find its neighbours."""
    return crowded >= np.maximum(1, 0.4 * sampled)


def smallest_groups(sizes: np.ndarray, shingles: np.ndarray) -> np.ndarray:
    """Of a text's crowded shingles (upper halves) with their group sizes: the few smallest, as the engine picks."""
    return shingles[np.lexsort((shingles, sizes))[:_CROWDED_GROUPS]]


def sketches(shingles: np.ndarray, sampled: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """uint64 per row: the smallest sampled shingle of its text under the permutation of its crowded shingle."""
    out = np.empty(len(shingles), dtype=np.uint64)
    kernels.sketch_keys(
        shingles.astype(np.int64), np.arange(len(shingles), dtype=np.int64), sampled, starts, out
    )
    return out


def neighbours(texts: np.ndarray, sketch: np.ndarray, width: int) -> np.ndarray:
    """uint64[m, 2]: each text of a crowded shingle with its next ``width`` in sketch order, (smaller, larger)."""
    ordered = texts[np.lexsort((texts, sketch))]
    found = [
        np.stack([ordered[:-step], ordered[step:]], axis=1)
        for step in range(1, min(width, len(ordered) - 1) + 1)
    ]
    pairs = np.concatenate(found) if found else np.zeros((0, 2), dtype=np.uint64)
    pairs.sort(axis=1)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def enough(shared: np.ndarray, smaller: np.ndarray, settings: DedupeSettings) -> np.ndarray:
    """Boolean per pair: whether ``shared`` sampled shingles, of ``smaller`` on the poorer side, make a candidate."""
    least = np.where(smaller <= 5, 1, settings.min_shared)
    return (shared >= least) & (shared >= settings.min_shared_share * smaller)


def verdicts(
    left: Sequence[str] | pl.Series, right: Sequence[str] | pl.Series, settings: DedupeSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Per candidate pair: whether it is a near-duplicate, and the similarity (NaN where it is none)."""
    n = len(left)
    tokens = tokenise(
        pl.concat([as_series(left).alias("t"), as_series(right).alias("t")]), settings, workers=1
    )
    ours, theirs = np.arange(n), np.arange(n, 2 * n)
    metrics = measure(tokens, ours, theirs, settings, word_weights(settings), 1)
    same = decide(metrics, settings)
    similarity = np.full(n, np.nan, dtype=np.float32)
    at = np.flatnonzero(same)
    similarity[at] = pair_similarities(tokens, ours[at], theirs[at], 1)
    if settings.min_similarity > 0:
        same &= similarity >= settings.min_similarity
    return same, similarity
