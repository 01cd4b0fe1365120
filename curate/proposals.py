"""Recognizers that a task's own findings propose: a shape that comes again becomes an expression, if it harms nothing.

Covers: shapes of denied and marked strings, the expression of a shape, its trial on the written corpus, switching it on
as a pattern of the list. Does not cover: the list (`curate.lists`), names and other strings without a digit.

A trial reads the open author styles alone; those in ``SEALED`` are for measuring and stay unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import lists
from curate.errors import NotFound, RefusedError, UsageError
from curate.marking import RECOGNIZER
from curate.store import Store
from curate.texts import fields_of
from curate.users import Actor, require

if TYPE_CHECKING:
    from curate.privacy.corpus import CorpusDocument

ENOUGH = 3  # different strings of one shape
CORPUS = Path(__file__).resolve().parent.parent / "data" / "privacy" / "corpus"
SHOWN = 5  # examples in a refusal
_RUN = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}
_SEPARATOR = re.compile(r"[ \-/._:#()]")


def shape(text: str) -> str | None:
    """A string's runs of capitals (A), small letters (a) and digits (9) with their separators: ``AB-1207`` is ``A-9``.

    None without a digit, or with anything but ASCII letters, digits and plain separators.
    """
    out = "".join(kind for kind, _ in _runs(text))
    return out if "9" in out and "?" not in out else None


def _runs(text: str) -> list[tuple[str, int]]:
    """(kind, length) of each run; a separator is a run of its own, whatever else is ``?``."""

    def kind(ch: str) -> str:
        if ch.isascii() and ch.isalnum():
            return "9" if ch.isdigit() else "A" if ch.isupper() else "a"
        return ch if _SEPARATOR.fullmatch(ch) else "?"

    found = [(which, len(list(run))) for which, run in groupby(text, kind)]
    return [
        (which, 1 if which not in _RUN else n) for which, n in found for _ in range(1 if which in _RUN else n)
    ]


def expression(strings: Iterable[str]) -> str:
    """The expression of strings of one shape: each run as long as the shortest to the longest of them."""
    out = ""
    for runs in zip(*(_runs(text) for text in strings), strict=True):
        kind, lengths = runs[0][0], [n for _, n in runs]
        bounds = (
            f"{{{min(lengths)}}}" if min(lengths) == max(lengths) else f"{{{min(lengths)},{max(lengths)}}}"
        )
        out += _RUN[kind] + bounds if kind in _RUN else re.escape(kind)
    return rf"(?<!\w){out}(?!\w)"


def proposals(store: Store, task: str) -> list[dict[str, Any]]:
    """Shapes that `ENOUGH` different denied or marked strings of one type share and no pattern covers yet.

    Rows: shape, entity_type, expression, strings (how many), most first. Never the strings.
    """
    terms = lists.active(store, task)
    said = {(str(term.entity_type), term.text) for term in terms if term.kind == "deny"}
    for row in store.rows(
        "SELECT f.entity_type, f.field, f.start, f.stop, t.system, t.history, t.prompt, t.completion, t.metadata"
        " FROM findings f JOIN pairs p ON p.pair_id = f.pair_id AND p.task = ?"
        " JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev"
        " WHERE f.status = 'replaced' AND f.recognizer = ?",
        [task, RECOGNIZER],
    ):
        text = fields_of(row).get(row["field"], "")[row["start"] : row["stop"]]
        said.add((row["entity_type"], " ".join(text.split())))
    patterns = [term for term in terms if term.kind == "pattern"]
    groups: dict[tuple[str, str], list[str]] = {}
    for kind, text in sorted(said):
        found = shape(text)
        covered = any(p.entity_type == kind and (0, len(text)) in p.places(text) for p in patterns)
        if found and not covered:
            groups.setdefault((found, kind), []).append(text)
    rows = [
        {"shape": found, "entity_type": kind, "expression": expression(texts), "strings": len(texts)}
        for (found, kind), texts in groups.items()
        if len(texts) >= ENOUGH
    ]
    return sorted(rows, key=lambda row: (-row["strings"], row["shape"], row["entity_type"]))


def switch_on(store: Store, actor: Actor, task: str, wanted: str, entity_type: str) -> dict[str, Any]:
    """Put a proposed shape on the task's list as a pattern, unless it lowers the figures on the open corpus.

    Returns what `lists.put` returns and the expression. Raises `NotFound` for what is not proposed, `RefusedError` with
    examples, and `UsageError` where the corpus is not installed.
    """
    require(actor, "scan")
    row = next(
        (r for r in proposals(store, task) if (r["shape"], r["entity_type"]) == (wanted, entity_type)), None
    )
    if row is None:
        raise NotFound(
            f"No proposal {wanted!r} of type {entity_type}. `goldpair privacy proposals` shows them."
        )
    harm = trial(row["expression"], open_documents(CORPUS))
    if harm:
        raise RefusedError(
            f"Not switched on: {wanted} would take {len(harm)} places of the written corpus that are not personal.",
            harm[:SHOWN],
        )
    done = store.write(lambda tx: lists.put(tx, task, actor.user, "pattern", row["expression"], entity_type))
    return done | {"expression": row["expression"]}


def trial(pattern: str, documents: Sequence[CorpusDocument]) -> list[str]:
    """Where the expression would be wrong: matches that lie in no personal span, or touch what must survive."""
    compiled = re.compile(pattern)
    harm = []
    for doc in documents:
        for match in compiled.finditer(doc.text):
            start, stop = match.span()
            inside = any(low <= start and stop <= high for low, high, _ in doc.spans)
            touches = any(low < stop and start < high for low, high in doc.keep)
            if touches or not inside:
                around = doc.text[max(0, start - 20) : stop + 20].replace("\n", " ")
                harm.append(f"{doc.id}: {match[0]!r} in {around!r}")
    return harm


@lru_cache(maxsize=2)
def open_documents(folder: Path) -> tuple[CorpusDocument, ...]:
    """The documents of the corpus that nobody sealed. Raises `UsageError` where the corpus is not installed."""
    from curate.privacy.corpus import read_style, sealed_styles

    if not folder.is_dir():
        raise UsageError(
            "A recognizer is tried on the written corpus, which comes with the source and not with the wheel: run "
            "Goldpair from a checkout, where data/privacy/corpus stands, to switch it on."
        )
    sealed = sealed_styles(folder)
    styles = [path for path in sorted(folder.glob("*.txt")) if path.stem not in sealed]
    return tuple(doc for path in styles for doc in read_style(path))
