"""The written corpus behind our name model: text files with inline markup. Covers: reading, checking, the sealed split.
Does not cover: augmentation and training (``scripts/train_pii_model.py``), nor scoring (``benchmarks/privacy.py``).

One file holds the documents of one author style. It opens with ``# style: NAME`` and ``# voice: one sentence``; each
document follows a line ``=== DOMAIN``. Inside, ``[P|Asha]`` marks a span. Letters: P person, O organisation, C town,
A address, D date, T phone, E e-mail, U web address, I any other identifier, G age from 90, K must be kept. The policy
is in docs/privacy.md. Nothing nests; ``[[`` is a plain bracket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from curate.privacy.findings import PrivacyError

LETTERS = {
    "P": "PERSON", "O": "ORG", "C": "CITY", "A": "ADDRESS", "D": "DATE", "T": "PHONE",
    "E": "EMAIL", "U": "URL", "I": "ID", "G": "AGE", "K": "KEEP",
}  # fmt: skip
DOMAINS = frozenset(("medical", "support", "contract", "sarcasm", "code"))
_SPAN = re.compile(r"\[([A-Z])\|([^\[\]|]*)\]")
_LOOKS_OPEN = re.compile(r"\[[A-Za-z]{1,8}\|")


class CorpusError(PrivacyError):
    """A corpus file that cannot be read; the message names file and line."""


@dataclass(frozen=True)
class CorpusDocument:
    """A document without its markup. ``spans``: (start, end, type), in order, disjoint; ``keep``: must survive."""

    id: str
    style: str
    domain: str
    text: str
    spans: tuple[tuple[int, int, str], ...]
    keep: tuple[tuple[int, int], ...]


def parse_markup(marked: str) -> tuple[str, list[tuple[int, int, str]]]:
    """Text without markup, and its spans in code points.

    >>> parse_markup("hi [P|Asha], bed 4")
    ('hi Asha, bed 4', [(3, 7, 'PERSON')])

    Raises `CorpusError` on an unknown letter, an empty span, a span with blanks at its ends, or one never closed.
    """
    text, spans, pos = "", [], 0
    for match in _SPAN.finditer(marked):
        letter, inner = match.groups()
        if letter not in LETTERS:
            raise CorpusError(f"unknown letter {letter!r} in {match.group()!r}; known: {' '.join(LETTERS)}")
        if not inner.strip() or inner != inner.strip():
            raise CorpusError(f"the span {match.group()!r} is empty or has blanks at its ends")
        text += marked[pos : match.start()]
        spans.append((len(text), len(text) + len(inner), LETTERS[letter]))
        text += inner
        pos = match.end()
    text += marked[pos:]
    if stray := _LOOKS_OPEN.search(text):
        raise CorpusError(f"{text[stray.start() : stray.end() + 20]!r} opens a span that is never closed")
    return text, spans


def read_style(path: Path) -> list[CorpusDocument]:
    """The documents of one author style. Raises `CorpusError` with file and line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    style = next((line.removeprefix("# style:").strip() for line in lines if line.startswith("# style:")), "")
    if style != path.stem or not any(line.startswith("# voice:") for line in lines):
        raise CorpusError(f"{path.name}: must open with '# style: {path.stem}' and a '# voice:' line")
    documents: list[CorpusDocument] = []
    starts = [n for n, line in enumerate(lines) if line.startswith("=== ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        domain = lines[start].removeprefix("=== ").strip()
        if domain not in DOMAINS:
            raise CorpusError(f"{path.name}:{start + 1}: unknown domain {domain!r}")
        try:
            text, spans = parse_markup("\n".join(lines[start + 1 : end]).strip("\n"))
        except CorpusError as error:
            raise CorpusError(f"{path.name}:{start + 1}: {error}") from error
        if not text.strip():
            raise CorpusError(f"{path.name}:{start + 1}: an empty document")
        documents.append(
            CorpusDocument(
                f"{style}-{len(documents) + 1:03d}",
                style,
                domain,
                text,
                tuple(s for s in spans if s[2] != "KEEP"),
                tuple((s, e) for s, e, kind in spans if kind == "KEEP"),
            )
        )
    return documents


def read_corpus(folder: Path) -> list[CorpusDocument]:
    """All documents under ``folder``, sealed ones included. Raises `CorpusError`, also on a text written twice."""
    documents = [doc for path in sorted(folder.glob("*.txt")) for doc in read_style(path)]
    if not documents:
        raise CorpusError(f"{folder} holds no corpus file (*.txt)")
    seen: dict[str, str] = {}
    for doc in documents:
        if doc.text in seen:
            raise CorpusError(f"{doc.id} says the same as {seen[doc.text]}")
        seen[doc.text] = doc.id
    return documents


def sealed_styles(folder: Path) -> frozenset[str]:
    """Author styles of the sealed split: listed in ``SEALED``, one a line. Raises `CorpusError` on a missing file."""
    path = folder / "SEALED"
    if not path.is_file():
        raise CorpusError(f"{path} is missing: without it sealed documents would be trained on")
    lines = path.read_text(encoding="utf-8").split("\n")
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
