"""The text as recognizers see it. Covers: invisible characters taken out, look-alike digits, spaces and quotes made
plain, and the way back to offsets in the original. Does not cover: changing any stored text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

# Invisible or formatting: soft hyphen, zero-width and bidirectional marks, word joiner, BOM, NUL, variation selectors.
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00\ufe00-\ufe0f]+"
)
_PLAIN = {
    **{c: " " for c in (0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000, 0x09)},
    **{0x966 + i: str(i) for i in range(10)},
    **{0xFF10 + i: str(i) for i in range(10)},
    0x2018: "'", 0x2019: "'", 0x201B: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"',
    0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-", 0x2212: "-", 0xFF0D: "-", 0xFF20: "@", 0xFF0E: ".",
    0x0D: "\n",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """``text`` to search in; `original` maps a span of it back."""

    text: str
    cuts: list[int] = field(default_factory=list)  # positions in ``text`` after which something was taken out
    shift: list[int] = field(default_factory=list)  # characters taken out up to there

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that a non-empty span of this view stands for."""
        return start + self._removed(start), end - 1 + self._removed(end - 1) + 1

    def _removed(self, position: int) -> int:
        index = bisect_right(self.cuts, position)
        return self.shift[index - 1] if index else 0


def view(text: str) -> View:
    """Plain view of a text; the text itself when there is nothing to plain."""
    if text.isascii() and "\x00" not in text and "\r" not in text and "\t" not in text:
        return View(text)
    plain = text.translate(_PLAIN)
    cuts: list[int] = []
    shift: list[int] = []
    removed = 0
    for match in _INVISIBLE.finditer(plain):
        cuts.append(match.start() - removed)
        removed += match.end() - match.start()
        shift.append(removed)
    return View(_INVISIBLE.sub("", plain), cuts, shift) if cuts else View(plain)
