"""One text against many: the index that import and save ask, kept up to date as records come and change.

Does not cover: clustering of what it holds (find_duplicates).
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from curate.dedupe.align import pair_similarities
from curate.dedupe.engine import decide, measure, sample
from curate.dedupe.prepare import Mask, Tokens, apply_mask, as_series, tokenise, word_weights
from curate.dedupe.settings import DedupeError, DedupeSettings, make_settings
from curate.dedupe.verify import COVERAGE, GAP

_POSTINGS = 20_000  # texts looked at per query and segment, rarest shingles first


@dataclass(frozen=True)
class Match:
    """A text of the index that a query duplicates. kind: normalised (same words) or near."""

    id: Hashable
    similarity: float
    kind: str
    gap_share: float
    coverage: float


@dataclass(frozen=True)
class _Segment:
    """An immutable part of the index: token arrays, shingles with their texts in order, text hashes in order."""

    ids: np.ndarray  # object per text
    tokens: Tokens
    features: np.ndarray  # uint64, ascending
    feature_text: np.ndarray  # int64, text of each
    feature_counts: np.ndarray  # int64 per text
    hash_order: np.ndarray  # texts by hash


class DuplicateIndex:
    """Texts under ids, asked for near-duplicates of one more. Decides exactly as ``find_duplicates`` does.

    Safe to share between threads: queries read a snapshot, changes are made one at a time.

    >>> index = DuplicateIndex(["How do I reset my password?"], ids=["r1"])
    >>> [match.id for match in index.query("hi, how do I reset my password please")]
    ['r1']
    """

    def __init__(
        self,
        texts: Sequence[str] | pl.Series = (),
        *,
        ids: Iterable[Hashable] | None = None,
        mask: Mask | None = None,
        **options: Any,
    ) -> None:
        """ids default to row numbers. Raises DedupeError as find_duplicates does, and for repeated ids."""
        self._settings: DedupeSettings = make_settings(options)
        self._weights = word_weights(self._settings)
        self._lock = threading.Lock()
        self._segments: tuple[_Segment, ...] = ()
        self._alive: dict[Hashable, int] = {}  # id -> serial number of its current text
        self._serial = 0
        names = list(range(len(texts))) if ids is None else list(ids)
        self.add_many(texts, names, mask=mask)

    def __len__(self) -> int:
        return len(self._alive)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._alive

    @property
    def settings(self) -> dict[str, Any]:
        """Settings as plain values."""
        return self._settings.logged()

    def add(self, name: Hashable, text: str, *, mask: Sequence[tuple[int, int]] | None = None) -> None:
        """Adds a text, or replaces the one under this id."""
        self.add_many([text], [name], mask=None if mask is None else [mask])

    def add_many(
        self, texts: Sequence[str] | pl.Series, ids: Sequence[Hashable], *, mask: Mask | None = None
    ) -> None:
        """Adds or replaces texts under their ids."""
        series = as_series(as_series(texts), mask)
        if len(ids) != len(series) or len(set(ids)) != len(ids):
            raise DedupeError(f"{len(series)} texts need as many different ids; {len(set(ids))} were given")
        if not len(series):
            return
        tokens = tokenise(series, self._settings)
        with self._lock:
            serials = np.arange(self._serial, self._serial + len(series))
            self._serial += len(series)
            keys = np.empty(len(series), dtype=object)
            keys[:] = list(zip(ids, serials.tolist(), strict=True))
            segments = [*self._segments, self._segment(keys, tokens)]
            self._segments = tuple(segments)
            self._alive.update(zip(ids, serials.tolist(), strict=True))
            # merging like the digits of a binary counter keeps the segments few and the work per text small
            while len(segments) > 1 and 2 * len(segments[-1].ids) >= len(segments[-2].ids):
                newer, older = segments.pop(), segments.pop()
                segments.append(self._merge(older, newer))
            self._segments = tuple(segments)

    def remove(self, name: Hashable) -> None:
        """Forgets the text under this id. Raises DedupeError when there is none."""
        with self._lock:
            if self._alive.pop(name, None) is None:
                raise DedupeError(f"the index holds no text under {name!r}")

    def query(
        self, text: str, *, mask: Sequence[tuple[int, int]] | None = None, exclude: Hashable | None = None
    ) -> list[Match]:
        """Texts of which this one is a near-duplicate, most similar first. ``exclude`` leaves out one id (the
        record that is being saved)."""
        if not isinstance(text, str):
            raise DedupeError(f"the query is {type(text).__name__}, not text")
        if mask:
            text = apply_mask(text, mask)
        settings = replace(self._settings, workers=1)
        query = tokenise(as_series([text]), settings)
        features = sample(query, settings, 1).features
        matches: list[Match] = []
        for segment in self._segments:
            matches += self._ask(segment, query, features, settings, exclude)
        return sorted(matches, key=lambda m: (-m.similarity, str(m.id)))

    def _ask(
        self, segment: _Segment, query: Tokens, features: np.ndarray, settings: DedupeSettings, exclude: Any
    ) -> list[Match]:
        by_hash = segment.hash_order
        hashes = segment.tokens.hashes
        low = np.searchsorted(hashes, query.hashes[0], side="left", sorter=by_hash)
        high = np.searchsorted(hashes, query.hashes[0], side="right", sorter=by_hash)
        same = by_hash[low:high]
        matches = [Match(name, 1.0, "normalised", 0.0, 1.0) for name in self._living(segment, same, exclude)]
        near = np.setdiff1d(_candidates(segment, features, settings), same)
        if len(near):
            local = _joined([query, segment.tokens.take(near)])
            here = np.zeros(len(near), dtype=np.int64)
            there = np.arange(1, len(near) + 1)
            swap = local.hashes[1:] < local.hashes[0]  # the order find_duplicates would compare them in
            left, right = np.where(swap, there, here), np.where(swap, here, there)
            metrics = measure(local, left, right, settings, self._weights, 1)
            chosen = np.flatnonzero(decide(metrics, settings))
            values = pair_similarities(local, left[chosen], right[chosen], 1)
            for name, place, value in zip(segment.ids[near[chosen]], chosen, values, strict=True):
                if self._is_current(name, exclude) and value >= settings.min_similarity:
                    gap, coverage = float(metrics[place, GAP]), float(metrics[place, COVERAGE])
                    matches.append(Match(name[0], float(value), "near", gap, coverage))
        return matches

    def _living(self, segment: _Segment, places: np.ndarray, exclude: Any) -> list[Hashable]:
        return [name[0] for name in segment.ids[places] if self._is_current(name, exclude)]

    def _is_current(self, name: tuple[Hashable, int], exclude: Any) -> bool:
        return self._alive.get(name[0]) == name[1] and (exclude is None or name[0] != exclude)

    def _segment(self, keys: np.ndarray, tokens: Tokens) -> _Segment:
        sampled = sample(tokens, self._settings, self._settings.threads())
        counts = np.diff(sampled.starts)
        order = np.argsort(sampled.features, kind="stable")
        return _Segment(
            keys,
            tokens,
            sampled.features[order],
            np.repeat(np.arange(len(counts)), counts)[order],
            counts,
            np.argsort(tokens.hashes, kind="stable"),
        )

    def _merge(self, older: _Segment, newer: _Segment) -> _Segment:
        """One segment of the texts of both that are still current."""
        parts = [
            (segment, np.flatnonzero([self._is_current(name, None) for name in segment.ids]))
            for segment in (older, newer)
        ]
        names = np.concatenate([segment.ids[kept] for segment, kept in parts])
        return self._segment(names, _joined([segment.tokens.take(kept) for segment, kept in parts]))


def _candidates(segment: _Segment, features: np.ndarray, settings: DedupeSettings) -> np.ndarray:
    """Texts of the segment that share enough of the query's shingles."""
    low = np.searchsorted(segment.features, features, side="left")
    high = np.searchsorted(segment.features, features, side="right")
    order = np.lexsort((features, high - low))
    upto = np.cumsum((high - low)[order])
    # all that fit, and always at least the rarest that occurs at all
    used = order[(upto <= _POSTINGS) | (upto == (high - low)[order])]
    if not len(used):
        return np.zeros(0, dtype=np.int64)
    postings = np.concatenate([segment.feature_text[low[i] : high[i]] for i in used])
    texts, shared = np.unique(postings, return_counts=True)
    smaller = np.minimum(segment.feature_counts[texts], len(features))
    least = np.where(smaller <= 5, 1, settings.min_shared)
    # shingles left out as too common may be shared too: the benefit of the doubt
    benefit = len(features) - len(used)
    return texts[(shared + benefit >= least) & (shared + benefit >= settings.min_shared_share * smaller)]


def _joined(parts: Sequence[Tokens]) -> Tokens:
    """Token arrays packed anew from views of several."""
    rows = [(part, doc) for part in parts for doc in range(len(part.starts))]
    counts = np.array([part.counts[doc] for part, doc in rows], dtype=np.int32)
    kept = [part.spell_starts[doc] >= 0 for part, doc in rows]
    spelled = np.where(kept, counts, 0).astype(np.int64)
    empty_tokens, empty_spell = np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.uint64)
    return Tokens(
        np.concatenate(
            [p.tokens[p.starts[d] : p.starts[d] + p.counts[d]] for p, d in rows] or [empty_tokens]
        ),
        np.cumsum(counts, dtype=np.int64) - counts,
        counts,
        np.array([p.hashes[d] for p, d in rows], dtype=np.uint64),
        np.concatenate(
            [
                p.spell[p.spell_starts[d] : p.spell_starts[d] + p.counts[d]]
                for (p, d), k in zip(rows, kept, strict=True)
                if k
            ]
            or [empty_spell]
        ),
        np.where(kept, np.cumsum(spelled) - spelled, -1),
    )
