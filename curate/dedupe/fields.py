"""Two texts of one form, filled in differently: a salary, a party, a date. Text alone cannot say what they are.

Covers: telling whether all that differs are short values in fixed places. Does not cover: templates with whole
passages of other substance, which the engine keeps apart by itself (verify.py), nor the decision, which is a
person's: the same contract for another employee, or one contract with its names swapped.
"""

from __future__ import annotations

import re

from curate.dedupe.align import align, word_spans

FIELD_WORDS = 6  # a longer passage is no field any more
LEAST_WORDS = 20  # shorter texts are no forms: one other word makes another question of them
_VALUE = re.compile(r"\d|[₹$€£¥]|\b[A-Z]")


def short_fields(a: str, b: str) -> list[tuple[str, str]] | None:
    """The values (of ``a``, of ``b``) in which two texts differ when they differ in nothing else, else None.

    A value is at most FIELD_WORDS words and holds a digit, a currency sign or a capital on both sides; so an edited
    copy, whose words are exchanged, is none. Texts whose words are the same have no fields.

    >>> form = "This agreement is made between the company and {} who is paid {} a month for work of every kind at all"
    >>> short_fields(form.format("Asha Rao", "₹90,000"), form.format("Vikram Sen", "₹1,20,000"))
    [('Asha Rao', 'Vikram Sen'), ('₹90,000', '₹1,20,000')]
    """
    spans_a, spans_b = word_spans(a), word_spans(b)
    if min(len(spans_a), len(spans_b)) < LEAST_WORDS:
        return None
    found: list[tuple[str, str]] = []
    for op, a_start, a_end, b_start, b_end in align(a, b):
        if op == "equal":
            continue
        if op != "replace" or max(a_end - a_start, b_end - b_start) > FIELD_WORDS:
            return None
        one = _whole(a, spans_a[a_start][0], spans_a[a_end - 1][1])
        two = _whole(b, spans_b[b_start][0], spans_b[b_end - 1][1])
        if not (_VALUE.search(one) and _VALUE.search(two)):
            return None
        found.append((one, two))
    return found or None


def _whole(text: str, start: int, end: int) -> str:
    """The span with the rest of a value that it cuts: ``₹90,000`` where only ``90`` differs."""
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return text[start:end].strip(".,;:!?()[]\"'“”‘’")
