"""Settings of the near-duplicate engine: every number the decision rests on, with its default and reason.

Does not cover: task policy (what happens to a duplicate); that is review's business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from curate.errors import UsageError


class DedupeError(UsageError, ValueError):
    """The texts, masks or settings cannot be used; the message names the row or the setting."""


# Words that carry no substance in a short text: a greeting, a courtesy, an article. Question words, negations
# and prepositions of direction are left out on purpose, because one of them changes what is asked.
LIGHT_WORDS: frozenset[str] = frozenset(
    """
    a an the this that these those my your our their his her its i you we they he she it me us them
    am is are was were be been being do does did have has had will would can could should shall may might must
    im ive id ill youre youve were theyre its thats theres whats
    and or but so then than as of to in on at for with by
    hi hello hey heya hiya dear greetings good morning afternoon evening day night there folks team all everyone
    please pls plz kindly thanks thank thx ty cheers regards sincerely welcome sorry excuse pardon
    just really very quite actually basically simply literally maybe perhaps also too even still well ok okay
    oh um uh hmm yeah yep right alright now again quick question
    want wanted like know tell ask asking wondering wonder need hope
    let lets give get got going go some any
    """.split()
)


# One of these more or less asks something else.
STRONG_WORDS: frozenset[str] = frozenset(
    """
    who whom whose what which when where why how
    no not never none nobody nothing neither nor without cannot cant dont doesnt didnt wont wouldnt shouldnt
    couldnt isnt arent wasnt werent havent hasnt hadnt
    """.split()
)


@dataclass(frozen=True)
class DedupeSettings:
    """What decides. Every value is written into ``DuplicateResult.settings``.

    Long and short texts go different ways: a pair whose shorter side has more than ``short_words`` words is
    judged by uncovered runs (`max_gap_share`, `min_coverage`, `min_jaccard`); a shorter pair is aligned word
    by word and judged by the cost of its edits (`short_tolerance`).
    """

    sample_size: int = 40
    """Upper aim of sampled word 3-grams per text (half of it is the lower). More costs time, finds more."""

    pair_words: int = 24
    """Texts of up to this many words also join on their neighbouring word pairs: 3-grams alone miss them."""

    group_cap: int = 50
    """A sampled shingle shared by more texts than this is stock text and proposes pairs only by the
    sorted-neighbour fallback."""

    neighbours: int = 6
    """Links per text and crowded shingle in that fallback."""

    min_shared: int = 2
    """Shared sampled shingles that make a candidate (1 where a text has five or fewer)."""

    min_shared_share: float = 0.2
    """... and their share of the smaller sample."""

    gap_words: int = 6
    """An uncovered run of this many words inside a text is a passage of other substance."""

    edge_words: int = 30
    """Words one side may have in front or behind (greeting, signature) before they count as other substance."""

    max_gap_share: float = 0.10
    """Words in such passages, as a share of the text, at or above which two texts only share a template."""

    min_coverage: float = 0.60
    """Share of the better covered text that lies in word pairs found in the other."""

    min_jaccard: float = 0.22
    """Jaccard similarity of the word-pair sets."""

    short_words: int = 40
    """Pairs whose shorter text has at most this many words are aligned instead."""

    short_tolerance: float = 1.0
    """Scales the edits allowed in short texts. 0 allows none, 2 twice as many."""

    min_similarity: float = 0.0
    """Floor on the reported similarity; 0 leaves the decision to the tests above."""

    light_words: frozenset[str] = LIGHT_WORDS
    """Words that hardly count in short texts (English by default; replace for other languages)."""

    strong_words: frozenset[str] = STRONG_WORDS
    """Words that count more than others in short texts, as numbers do (English by default)."""

    workers: int | None = None
    """Threads; by default the cores this process may use. Never changes the result."""

    def threads(self) -> int:
        """Threads to use, at least one."""
        if self.workers is not None:
            return max(1, self.workers)
        try:
            return max(1, len(os.sched_getaffinity(0)))
        except AttributeError:  # not on macOS or Windows
            return max(1, os.cpu_count() or 1)

    def logged(self) -> dict[str, Any]:
        """The settings as plain values for a log or a manifest."""
        values = asdict(self)
        values["light_words"] = sorted(self.light_words)
        values["strong_words"] = sorted(self.strong_words)
        return values


_RANGES: dict[str, tuple[float, float]] = {
    "sample_size": (8, 80),
    "pair_words": (0, 30),
    "group_cap": (2, 100_000),
    "neighbours": (1, 1000),
    "min_shared": (1, 50),
    "min_shared_share": (0.0, 1.0),
    "gap_words": (2, 1000),
    "edge_words": (0, 100_000),
    "max_gap_share": (0.0, 1.0),
    "min_coverage": (0.0, 1.0),
    "min_jaccard": (0.0, 1.0),
    "short_words": (0, 60),
    "short_tolerance": (0.0, 10.0),
    "min_similarity": (0.0, 1.0),
    "workers": (1, 4096),
}


def make_settings(options: Mapping[str, Any]) -> DedupeSettings:
    """Settings from keyword options.

    Raises DedupeError for an unknown name or a value out of range, naming what is allowed.
    """
    known = {f.name for f in fields(DedupeSettings)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise DedupeError(
            f"unknown dedupe setting {', '.join(unknown)}; the settings are {', '.join(sorted(known))}"
        )
    values = dict(options)
    for name, (low, high) in _RANGES.items():
        value = values.get(name)
        if value is None:
            if name in values and name != "workers":
                raise DedupeError(f"dedupe setting {name} is empty; give a number from {low:g} to {high:g}")
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise DedupeError(
                f"dedupe setting {name} is {value!r}; it must be a number from {low:g} to {high:g}"
            )
    for name in ("light_words", "strong_words"):
        if isinstance(values.get(name), str):
            raise DedupeError(f"dedupe setting {name} is one string; give a list of words")
        if name in values:
            values[name] = frozenset(values[name])
    return DedupeSettings(**values)
