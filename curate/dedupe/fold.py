"""What a word is: one Unicode folding, used by the compiled tokeniser and by the alignment shown to people.

Words are runs of letters, digits, marks and ``_``; compatibility forms, case and composition are folded
(NFKD and case folding per character, so that ``é`` typed either way, ``Ａ`` and ``a``, ``ß`` and ``ss`` meet).
Scripts written without spaces give one token per character. Apostrophes and invisible format characters
vanish, so that ``what's`` meets ``whats``. Mathematical and currency signs are tokens of their own, because
``5 + 3`` and ``5 % 3`` are different questions; all other punctuation only separates.

Does not cover: stemming, spelling, or word segmentation by dictionary.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np

SEPARATOR, SKIP, SINGLE, FOREIGN = 0, 1, 2, 3  # values of the byte table below 4; others are the folded byte
WORD = 4

WILDCARD = 0xFDD0  # a Unicode noncharacter: stands for one masked span, never part of real text
_LIMIT = 0x33480  # end of the last assigned ideograph block; nothing above holds words

_SINGLE_ASCII = frozenset("+<>=%^$")
_SPACELESS = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # ideographs
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x33479),
)


def fold_char(char: str) -> tuple[int, str]:
    """(class, folded text) of one character. The folded text is empty for separators and skipped ones."""
    code = ord(char)
    if code < 128:
        if char.isalnum() or char == "_":
            return WORD, char.lower()
        if char == "'":
            return SKIP, ""
        return (SINGLE, char) if char in _SINGLE_ASCII else (SEPARATOR, "")
    if code == WILDCARD:
        return SINGLE, char
    if code >= _LIMIT:
        return SEPARATOR, ""
    category = unicodedata.category(char)
    if category == "Cf" or 0xFE00 <= code <= 0xFE0F or char in "‘’ʼ＇":
        return SKIP, ""
    if category[0] in "ZCP":
        return SEPARATOR, ""
    if category in ("Sm", "Sc"):
        return SINGLE, unicodedata.normalize("NFKC", char)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    folded = "".join(c for c in folded if unicodedata.category(c)[0] in "LNM")
    if not folded:
        return SEPARATOR, ""
    spaceless = any(low <= code <= high for low, high in _SPACELESS) and category[0] == "L"
    return (SINGLE if spaceless else WORD), folded


@lru_cache(maxsize=8192)
def _fold_cached(char: str) -> tuple[int, str]:
    return fold_char(char)


def words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Folded words of a text and their character spans (start, end), as the engine sees them."""
    found: list[str] = []
    spans: list[tuple[int, int]] = []
    current: list[str] = []
    start = end = 0
    for position, char in enumerate(text):
        kind, folded = _fold_cached(char)
        if kind == WORD:
            if not current:
                start = position
            current.append(folded)
            end = position + 1
            continue
        if kind == SKIP:
            continue
        if current:
            found.append("".join(current))
            spans.append((start, end))
            current = []
        if kind == SINGLE:
            if ord(char) == WILDCARD and found and found[-1] == char:
                spans[-1] = (spans[-1][0], position + 1)  # neighbouring masks are one wildcard
                continue
            found.append(folded)
            spans.append((position, position + 1))
    if current:
        found.append("".join(current))
        spans.append((start, end))
    return found, spans


def byte_table() -> np.ndarray:
    """uint8[256]: class of a byte, or its folded byte for ASCII word bytes; FOREIGN above ASCII."""
    table = np.zeros(256, dtype=np.uint8)
    for code in range(128):
        kind, folded = fold_char(chr(code))
        table[code] = ord(folded) if kind == WORD else kind
    table[128:] = FOREIGN
    return table


@lru_cache(maxsize=1)
def char_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(class uint8, start int32, length uint8, bytes uint8) over code points: folded UTF-8 of each.

    Takes about a third of a second, so it is built on the first text that is not ASCII.
    """
    kinds = np.zeros(_LIMIT, dtype=np.uint8)
    starts = np.zeros(_LIMIT, dtype=np.int32)
    lengths = np.zeros(_LIMIT, dtype=np.uint8)
    data = bytearray()
    for code in range(128, _LIMIT):
        if 0xD800 <= code <= 0xDFFF:
            continue
        kind, folded = fold_char(chr(code))
        kinds[code] = kind
        if kind in (WORD, SINGLE):
            encoded = folded.encode()
            starts[code] = len(data)
            lengths[code] = len(encoded)
            data += encoded
    return kinds, starts, lengths, np.array(data, dtype=np.uint8)


def no_char_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stand-ins of the right types for a corpus that is pure ASCII."""
    return (
        np.zeros(1, dtype=np.uint8),
        np.zeros(1, dtype=np.int32),
        np.zeros(1, dtype=np.uint8),
        np.zeros(1, dtype=np.uint8),
    )
