"""Texts to token arrays: input checking, masks, Arrow buffers, and the exact pass on folded words.

Does not cover: candidates and decisions (engine.py).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.dedupe import kernels
from curate.dedupe.fold import WILDCARD, byte_table, char_tables, no_char_tables
from curate.dedupe.settings import DedupeError, DedupeSettings

Mask = Sequence[Sequence[tuple[int, int]] | None]

_CHUNK = 16_384  # rows tokenised at a time
_BYTES = byte_table()


@dataclass(frozen=True)
class Tokens:
    """Token arrays of a corpus. ``hashes`` uint64 per text identifies the folded word sequence."""

    tokens: np.ndarray  # uint32, packed
    starts: np.ndarray  # int64 per text
    counts: np.ndarray  # int32 per text
    hashes: np.ndarray  # uint64 per text
    spell: np.ndarray  # uint64, packed, texts of at most short_words words
    spell_starts: np.ndarray  # int64 per text, -1 where not kept

    def take(self, rows: np.ndarray) -> Tokens:
        """The same packed arrays seen through fewer or reordered texts."""
        return Tokens(
            self.tokens,
            self.starts[rows],
            self.counts[rows],
            self.hashes[rows],
            self.spell,
            self.spell_starts[rows],
        )


def as_series(texts: Sequence[str] | pl.Series, mask: Mask | None = None) -> pl.Series:
    """The texts as a polars String series with masked spans replaced by one wildcard character.

    Raises DedupeError naming the row that is not text, or whose spans do not fit it.
    """
    if isinstance(texts, str | bytes):
        raise DedupeError("find_duplicates wants a sequence of texts, not one text; put it in a list")
    if isinstance(texts, pl.Series):
        series = texts
        if series.dtype == pl.Null and len(series) == 0:
            series = series.cast(pl.String)
        if series.dtype != pl.String:
            raise DedupeError(f"the column holds {series.dtype}, not text; cast it to String first")
        if series.null_count():
            row = int(series.is_null().arg_true()[0])
            raise DedupeError(f"row {row} has no text (null); drop it or fill it with an empty text first")
    else:
        series = _series_of(list(texts))
    if mask is not None:
        series = _masked(series, mask)
    return series


def _series_of(values: list[Any]) -> pl.Series:
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise DedupeError(f"row {row} is {type(value).__name__}, not text; convert or drop it first")
    try:
        return pl.Series("text", values, dtype=pl.String)
    except UnicodeEncodeError:  # lone surrogates, as broken JSON escapes leave them
        return pl.Series("text", [v.encode("utf-8", "replace").decode() for v in values], dtype=pl.String)


def apply_mask(text: str, spans: Sequence[tuple[int, int]], row: int = 0) -> str:
    """The text with each (start, end) character span replaced by the wildcard; overlapping spans are merged.

    Raises DedupeError when a span lies outside the text.
    """
    parts: list[str] = []
    position = 0
    for start, end in sorted((int(s), int(e)) for s, e in spans):
        if not 0 <= start <= end <= len(text):
            raise DedupeError(
                f"mask of row {row}: span ({start}, {end}) lies outside its {len(text)} characters"
            )
        if start > position or not parts:
            parts.append(text[position:start])
        parts.append(chr(WILDCARD))
        position = max(position, end)
    parts.append(text[position:])
    return "".join(parts)


def _masked(series: pl.Series, mask: Mask) -> pl.Series:
    if len(mask) != len(series):
        raise DedupeError(
            f"mask has {len(mask)} entries for {len(series)} texts; give one list of spans per text"
        )
    rows = [row for row, spans in enumerate(mask) if spans]
    if not rows:
        return series
    texts = series.gather(rows).to_list()
    replaced = [apply_mask(text, mask[row] or (), row) for row, text in zip(rows, texts, strict=True)]
    return series.clone().scatter(rows, replaced)


def over_chunks(
    work: Callable[[int, int], Any], bounds: Sequence[tuple[int, int]], workers: int
) -> list[Any]:
    """work(low, high) for each range, in order, on a thread pool when there is more than one range."""
    if workers <= 1 or len(bounds) <= 1:
        return [work(low, high) for low, high in bounds]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda b: work(*b), bounds))


def ranges(n: int, step: int) -> list[tuple[int, int]]:
    """[0, n) cut into pieces of ``step``."""
    return [(low, min(n, low + step)) for low in range(0, n, step)]


def tokenise(series: pl.Series, settings: DedupeSettings, workers: int | None = None) -> Tokens:
    """Folded words of every text as 32-bit hashes (see kernels.tokenise)."""
    rows = len(series)
    workers = settings.threads() if workers is None else workers
    pieces: list[Any] = over_chunks(
        lambda low, high: _tokenise_chunk(series.slice(low, high - low), settings.short_words),
        ranges(rows, _CHUNK),
        workers,
    )
    counts = np.concatenate([p[1] for p in pieces]) if pieces else np.zeros(0, dtype=np.int32)
    hashes = np.concatenate([p[2] for p in pieces]) if pieces else np.zeros(0, dtype=np.uint64)
    total = int(counts.sum(dtype=np.int64))
    tokens = np.empty(total, dtype=np.uint32)
    spell = np.concatenate([p[3] for p in pieces]) if pieces else np.zeros(0, dtype=np.uint64)
    at = 0
    for i in range(len(pieces)):  # each piece is freed once copied, so the peak stays at one copy
        piece = pieces[i][0]
        tokens[at : at + len(piece)] = piece
        at += len(piece)
        pieces[i] = None
    starts = _starts(counts)[:-1]
    kept = np.where(counts <= settings.short_words, counts, 0)
    spell_starts = np.where(counts <= settings.short_words, _starts(kept)[:-1], -1)
    wordless = np.flatnonzero(counts == 0)
    if len(wordless):
        for row, text in zip(wordless.tolist(), series.gather(wordless).to_list(), strict=True):
            hashes[row] = _wordless_hash(text)
    return Tokens(tokens, starts, counts, hashes, spell, spell_starts)


def _starts(counts: np.ndarray) -> np.ndarray:
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def _wordless_hash(text: str) -> np.uint64:
    """Texts without a word (empty, punctuation, emoji) are equal when their folded characters are."""
    folded = "".join(unicodedata.normalize("NFKC", text).split())
    return np.uint64(int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), "little"))


def _tokenise_chunk(
    series: pl.Series, short_words: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    array = series.to_arrow().cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    rows = len(array)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64, count=rows + 1 + array.offset)[array.offset :]
    data = np.frombuffer(
        data_buffer if data_buffer is not None and data_buffer.size else b"\0", dtype=np.uint8
    )
    used = data[offsets[0] : offsets[-1]]
    foreign = used.size > 0 and int(used.max()) > 127
    tables = char_tables() if foreign else no_char_tables()
    counts = np.empty(rows, dtype=np.int32)
    hashes = np.empty(rows, dtype=np.uint64)
    capacity = used.size // 4 + 8 * rows
    while True:
        tokens = np.empty(capacity, dtype=np.uint32)
        spell = np.empty(min(capacity, rows * short_words + short_words) + 1, dtype=np.uint64)
        written, spelled = kernels.tokenise(
            data, offsets, _BYTES, *tables, tokens, counts, hashes, spell, short_words
        )
        if written >= 0:
            return tokens[:written].copy(), counts, hashes, spell[:spelled].copy()
        capacity = used.size + rows  # one word per byte at the very most


def word_weights(settings: DedupeSettings) -> tuple[np.ndarray, np.ndarray]:
    """The settings' light and strong words as token sets for verify.contains."""
    return _token_set(settings.light_words), _token_set(settings.strong_words)


def _token_set(words: frozenset[str]) -> np.ndarray:
    """Open-addressed uint32 set of the tokens of some words."""
    settings = DedupeSettings()
    tokens = np.unique(tokenise(pl.Series(sorted(words), dtype=pl.String), settings, workers=1).tokens)
    size = 16
    while size < 4 * len(tokens):
        size *= 2
    table = np.zeros(size, dtype=np.uint32)
    for token in tokens:
        slot = (int(token) >> 1) & (size - 1)
        while table[slot]:
            slot = (slot + 1) & (size - 1)
        table[slot] = token
    return table
