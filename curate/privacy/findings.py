"""What a scan returns. Covers: `Finding`, the errors of this room, and merging overlapping spans into one
disjoint, ordered list. Does not cover: how spans are found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from curate.errors import GoldpairError


class PrivacyError(GoldpairError):
    """Something in the privacy room that the user can act on."""


class ModelMissing(PrivacyError):
    """The language model under the detector is not installed; nothing can be scanned or approved."""


class PolicyError(PrivacyError):
    """A privacy policy that cannot be used."""


class ScanFailed(PrivacyError):
    """A recognizer failed on a text. The record it belongs to is held back; other records go on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One span of personal data. ``start`` and ``end`` count code points; ``score`` lies in 0..1."""

    start: int
    end: int
    entity_type: str
    score: float
    recognizer: str
    reason: str = ""


# When spans of different types overlap, the one further up keeps its extent. Containers come first: an
# address with a name, a town and a PIN inside is replaced as one.
PRIORITY = (
    "EMAIL",
    "URL",
    "UPI",
    "ADDRESS",
    "GSTIN",
    "DRIVING_LICENCE",
    "ABHA",
    "AADHAAR",
    "CARD",
    "IFSC",
    "PAN",
    "SSN",
    "BANK_ACCOUNT",
    "VEHICLE",
    "PHONE",
    "PASSPORT",
    "VOTER_ID",
    "IP_ADDRESS",
    "DATE",
    "ID",
    "ORG",
    "PERSON",
    "CITY",
    "PIN_CODE",
    "AGE",
)
RANK = {name: index for index, name in enumerate(PRIORITY)}


def merge(findings: Iterable[Finding], text: str) -> list[Finding]:
    """Disjoint findings in order of position.

    Of two overlapping findings the stronger keeps its span (score to the nearest tenth, then container types,
    then length), and what sticks out of the weaker one stays as a finding of its own if it holds a letter or a
    digit: nothing that was found becomes unfound by merging. Same-type overlaps become one span.
    """
    kept: list[Finding] = []
    ordered = sorted(
        findings,
        key=lambda f: (-round(f.score, 1), RANK.get(f.entity_type, 99), f.start - f.end, f.start),
    )
    for finding in ordered:
        pieces = [finding]
        for other in list(kept):
            remaining: list[Finding] = []
            for piece in pieces:
                if piece.end <= other.start or piece.start >= other.end:
                    remaining.append(piece)
                elif piece.entity_type == other.entity_type and not (
                    other.start <= piece.start and piece.end <= other.end
                ):
                    joined = replace(
                        other, start=min(other.start, piece.start), end=max(other.end, piece.end)
                    )
                    if any(k is not other and k.start < joined.end and joined.start < k.end for k in kept):
                        remaining.extend(_outside(piece, other, text))
                    else:
                        kept[kept.index(other)] = joined
                else:
                    remaining.extend(_outside(piece, other, text))
            pieces = remaining
        kept.extend(pieces)
    return sorted(kept, key=lambda f: f.start)


def _outside(piece: Finding, other: Finding, text: str) -> list[Finding]:
    """The parts of ``piece`` beyond ``other``, trimmed to their first and last letter or digit."""
    parts = []
    for start, end in ((piece.start, min(piece.end, other.start)), (max(piece.start, other.end), piece.end)):
        while start < end and not text[start].isalnum():
            start += 1
        while end > start and not text[end - 1].isalnum():
            end -= 1
        if end - start >= 2:
            parts.append(replace(piece, start=start, end=end))
    return parts
