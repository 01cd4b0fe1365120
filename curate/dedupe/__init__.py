"""Near-duplicates: one engine for cleaning, for the check at import and on save, and for contamination.

Public names: ``find_duplicates`` (one corpus), ``find_overlap`` (one corpus against another), ``DuplicateIndex``
(one text against many, kept up to date), ``classify`` (duplicate or conflict, over prompts and completions),
``align`` and ``word_spans`` (differences to show), ``short_fields`` (one form filled in differently), ``warm_up``.

What lives here: the exact pass, the sampled rare-shingle join, the decision, the explaining result.
What does not: paraphrases without common words (semantic tier), what a team does with a cluster (review),
and templates that differ only in scattered short fields, which no text-only method can tell from a copy with
swapped names: ``DuplicateResult.for_people`` lists those.
"""

from curate.dedupe.align import Edit, align, similarity, word_spans
from curate.dedupe.api import classify, find_duplicates, find_overlap, warm_up
from curate.dedupe.fields import short_fields
from curate.dedupe.index import DuplicateIndex, Match
from curate.dedupe.result import Difference, DuplicateResult, Explanation
from curate.dedupe.settings import LIGHT_WORDS, STRONG_WORDS, DedupeError, DedupeSettings

__all__ = [
    "LIGHT_WORDS",
    "STRONG_WORDS",
    "DedupeError",
    "DedupeSettings",
    "Difference",
    "DuplicateIndex",
    "DuplicateResult",
    "Edit",
    "Explanation",
    "Match",
    "align",
    "classify",
    "find_duplicates",
    "find_overlap",
    "short_fields",
    "similarity",
    "warm_up",
    "word_spans",
]
