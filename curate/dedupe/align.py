"""Similarity and alignment by words, with rapidfuzz: the number and the differences that people are shown.

Does not cover: the decision whether two texts are duplicates (verify.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel, Levenshtein

from curate.dedupe.fold import words
from curate.dedupe.prepare import Tokens


class Edit(NamedTuple):
    """One stretch of an alignment. ``op`` is equal, replace, insert or delete; positions count words."""

    op: str
    a_start: int
    a_end: int
    b_start: int
    b_end: int


def align(a: str, b: str) -> list[Edit]:
    """How to turn the words of ``a`` into those of ``b``, in order and without holes.

    Words are compared folded (see fold.py), so case and punctuation never differ. ``word_spans`` maps word
    numbers to characters. At most memory of words(a) x words(b) / 4 bytes.

    >>> align("Hi Ann, call me", "Hello Ann, call me back")
    [Edit(op='replace', a_start=0, a_end=1, b_start=0, b_end=1), Edit(op='equal', a_start=1, a_end=4, \
b_start=1, b_end=4), Edit(op='insert', a_start=4, a_end=4, b_start=4, b_end=5)]
    """
    found = [
        Edit(o.tag, o.src_start, o.src_end, o.dest_start, o.dest_end)
        for o in Levenshtein.opcodes(words(a)[0], words(b)[0])
    ]
    merged: list[Edit] = []
    for edit in found:  # neighbouring changes read as one replacement
        if merged and edit.op != "equal" and merged[-1].op != "equal":
            merged[-1] = Edit("replace", merged[-1].a_start, edit.a_end, merged[-1].b_start, edit.b_end)
        else:
            merged.append(edit)
    return merged


def word_spans(text: str) -> list[tuple[int, int]]:
    """Character span (start, end) of each word of the text."""
    return words(text)[1]


def similarity(a: str, b: str) -> float:
    """Share of words in common and in order: 2 x LCS / (words of a + words of b); 1.0 for two empty texts."""
    return float(Indel.normalized_similarity(words(a)[0], words(b)[0]))


def pair_similarities(tokens: Tokens, left: np.ndarray, right: np.ndarray, workers: int) -> np.ndarray:
    """``similarity`` of many pairs of token sequences, float32.

    Each word becomes one code point by its hash modulo 10^6, so two different aligned words agree by chance
    once in a million.
    """
    out = np.empty(len(left), dtype=np.float32)
    step = 50_000
    for low in range(0, len(left), step):
        some_left, some_right = left[low : low + step], right[low : low + step]
        needed, places = np.unique(np.concatenate([some_left, some_right]), return_inverse=True)
        texts = [_as_text(tokens, int(doc)) for doc in needed]
        places = places.reshape(-1)
        n = len(some_left)
        out[low : low + n] = process.cpdist(
            [texts[i] for i in places[:n]],
            [texts[i] for i in places[n:]],
            scorer=Indel.normalized_similarity,
            workers=workers,
            dtype=np.float32,
        )
    return out


def _as_text(tokens: Tokens, doc: int) -> str:
    start = tokens.starts[doc]
    some = tokens.tokens[start : start + tokens.counts[doc]]
    return (some % np.uint32(1_000_000) + np.uint32(0x10000)).astype("<u4").tobytes().decode("utf-32-le")
