"""Allow and deny lists of a task: what people said of a string, for every row that contains it.

Covers: the table of terms and its version, where a term stands in a text, what a change does at once to the current
revisions that contain it, what the scan job is told of the lists, forgetting. Does not cover: who may change them
(`curate.ops`), deciding single findings (`curate.findings`), shapes that are proposed (`curate.proposals`).

A term counts as whole words, in any case, with any blanks between its words; a ``pattern`` is an expression that
`curate.proposals` made. *allow* is never personal, *deny* and *pattern* always are. Adding a term takes the same string
off the other list: the newest word counts. The version of a task's lists is the number of changes made to them. The
strings stand in their table alone; events name a term by a random id.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl

from curate import rules
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.texts import fields_of, finding_id, occurrences
from curate.users import Actor, may

if TYPE_CHECKING:
    from curate.privacy import Finding

KINDS = ("allow", "deny", "pattern")
LISTED = "list."  # what the recognizer of a list's finding begins with
SHORTEST = 2  # characters; one letter is in every text
LONGEST = 200
COUNTED = 20_000  # open findings among which those alike are counted for a page


@dataclass(frozen=True)
class Term:
    """One entry. ``entity_type`` None: of any type, on the allow list alone."""

    term_id: str
    kind: str
    text: str
    entity_type: str | None
    ts: datetime

    @cached_property
    def word(self) -> str | None:
        """A lower-case word that a text which says it must hold; None where case is not that simple."""
        if self.kind == "pattern" or not self.text.isascii():
            return None
        return max(re.findall(r"\w+", self.text.lower()), key=len)

    def fits(self, entity_type: str | None) -> bool:
        """Whether it speaks of this type."""
        return None in (self.entity_type, entity_type) or self.entity_type == entity_type

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where it stands in a text, in code points."""
        return [m.span() for m in _expression(self.kind, self.text).finditer(text) if m.end() > m.start()]


@lru_cache(maxsize=4096)
def _expression(kind: str, text: str) -> re.Pattern[str]:
    if kind == "pattern":
        return re.compile(text)
    words = r"\s+".join(re.escape(word) for word in text.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def fold(text: str) -> str:
    """The form in which two strings are the same one."""
    return " ".join(text.split()).casefold()


# --- reading ------------------------------------------------------------------------------------------------


def active(where: Store | Tx, task: str) -> list[Term]:
    """The terms of a task that count now, in the order they came."""
    rows = where.rows(
        "SELECT term_id, kind, term AS text, entity_type, ts FROM privacy_terms"
        " WHERE task = ? AND removed_ts IS NULL AND term IS NOT NULL ORDER BY ts, term_id",
        [task],
    )
    return [Term(**row) for row in rows]


def version(where: Store | Tx, task: str) -> int:
    """How many changes were made to the lists of a task."""
    row = where.one("SELECT count(*) + count(removed_ts) AS n FROM privacy_terms WHERE task = ?", [task])
    return int(row["n"]) if row else 0


def show(store: Store, actor: Actor, task: str) -> dict[str, Any]:
    """Version, the terms that count, and how many were taken off again.

    A denied string is an original: who may not see originals, and did not put it there, reads its shape alone.
    """
    rows = store.rows(
        "SELECT term_id, kind, term AS text, entity_type, actor, ts FROM privacy_terms"
        " WHERE task = ? AND removed_ts IS NULL AND term IS NOT NULL ORDER BY kind, lower(term), term_id",
        [task],
    )
    gone = store.one(
        "SELECT count(*) AS n FROM privacy_terms WHERE task = ? AND removed_ts IS NOT NULL", [task]
    )
    for row in rows:
        row["ts"] = row["ts"].isoformat(timespec="seconds")
        if row["kind"] == "deny" and row["actor"] != actor.user and not may(actor, "see_originals"):
            row["text"] = re.sub(r"\w", "*", row["text"])
    return {
        "version": version(store, task),
        "terms": rows,
        "removed": gone["n"] if gone else 0,
    }


# --- what a scan is told ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """The terms that occur in one row. ``ours``: its surrogates, which no list reports."""

    terms: Sequence[Term] = ()
    ours: Sequence[str] = ()
    upto: str = ""  # the last change that was known

    @classmethod
    def load(cls, text: str | None) -> Listed:
        """From the column that `column` wrote; nothing for a job that was begun before there were lists."""
        if text is None:
            return NOTHING
        held = json.loads(text)
        terms = [Term("", kind, said, of, datetime.min) for kind, said, of in held["terms"]]
        return cls(terms, held["ours"], held["upto"])

    def with_ours(self, ours: Sequence[str]) -> Listed:
        """The same for a row that has just got these surrogates."""
        return replace(self, ours=[*self.ours, *ours])

    def apply(
        self, found: Mapping[str, Sequence[Finding]], fields: Mapping[str, str]
    ) -> dict[str, list[Finding]]:
        """Findings per field with those of the allow list left out and those of the deny list put in; disjoint.

        An allowed string covers what lies inside one place of it, never two strings together: *Grace* and *Mark* on
        the list do not make *Grace Mark* nobody.
        """
        if not self.terms:
            return {name: list(spans) for name, spans in found.items()}
        from curate.privacy import Finding
        from curate.privacy.findings import merge

        allowed = [term for term in self.terms if term.kind == "allow"]
        out = {}
        for name, text in fields.items():
            free = [(term, place) for term in allowed for place in term.places(text)]
            kept = [
                f
                for f in found.get(name, ())
                if f.recognizer == "policy.deny"
                or not any(t.fits(f.entity_type) and s <= f.start and f.end <= e for t, (s, e) in free)
            ]
            denied = [
                Finding(start, stop, kind, 1.0, recognizer, "on the task's list")
                for start, stop, kind, recognizer in denied_places(text, self.terms, self.ours)
            ]
            out[name] = merge([*kept, *denied], text) if denied else kept
        return out


NOTHING = Listed()


def denied_places(
    text: str, terms: Sequence[Term], ours: Sequence[str]
) -> Iterator[tuple[int, int, str, str]]:
    """(start, stop, type, recognizer) of every place of deny terms and patterns that lies in none of our surrogates."""
    wanted = [term for term in terms if term.kind != "allow"]
    covered = occurrences(text, ours) if wanted else []
    for term in wanted:
        for start, stop in term.places(text):
            if not any(low <= start and stop <= high for low, high in covered):
                yield start, stop, str(term.entity_type), LISTED + term.kind


def column(
    where: Store | Tx,
    task: str,
    rows: Iterable[Mapping[str, Any]],
    ours: Mapping[str, Sequence[str]],
    excused: Mapping[str, Sequence[tuple[str, datetime]]],
) -> list[str]:
    """For each exported row, as JSON, the terms that occur in it: what `Listed.load` reads in the job.

    ``excused``: pair -> (string, when) that somebody kept there although the list has it; a later term counts again.
    """
    terms, now = active(where, task), _last_change(where, task)
    out = []
    for row in rows:
        kept = {(fold(said), ts) for said, ts in excused.get(row["pair_id"], ())}
        here = [
            term
            for term in (_occurring(terms, fields_of(row).values()) if terms else ())
            if (term.kind == "allow" or not any(fold(term.text) == s and term.ts <= ts for s, ts in kept))
        ]
        listed = [[term.kind, term.text, term.entity_type] for term in here]
        names = list(ours.get(row["pair_id"], ())) if here else []
        out.append(json.dumps({"upto": now, "terms": listed, "ours": names}, ensure_ascii=False))
    return out


def _occurring(terms: Sequence[Term], texts: Iterable[str]) -> list[Term]:
    """The terms that stand in one of the texts; most are ruled out by one word, without their expression."""
    held = list(texts)
    low = "\n".join(held).lower()
    return [
        term
        for term in terms
        if (term.word is None or term.word in low) and any(term.places(text) for text in held)
    ]


def _last_change(where: Store | Tx, task: str) -> str:
    row = where.one("SELECT max(greatest(ts, removed_ts)) AS ts FROM privacy_terms WHERE task = ?", [task])
    return row["ts"].isoformat() if row and row["ts"] else ""


def since(where: Store | Tx, task: str, upto: str) -> tuple[list[Term], list[Term]]:
    """The terms that came after a scan was told of the lists, and the allowed ones that went."""
    now = _last_change(where, task)
    if now == upto:
        return [], []
    then = datetime.fromisoformat(upto) if upto else datetime.min
    gone = where.rows(
        "SELECT term_id, kind, term AS text, entity_type, ts FROM privacy_terms"
        " WHERE task = ? AND kind = 'allow' AND removed_ts > ? AND term IS NOT NULL",
        [task, then],
    )
    return [term for term in active(where, task) if term.ts > then], [Term(**row) for row in gone]


# --- changing -----------------------------------------------------------------------------------------------


def catch_up(tx: Tx, task: str, added: Sequence[Term], pair_ids: Sequence[str]) -> None:
    """Apply terms that came while these pairs were being scanned. Then call `rules.settle`."""
    denied = [term for term in added if term.kind != "allow"]
    if denied and pair_ids:
        open_places(tx, task, denied, Change(""), pair_ids)
    for term in added:
        if term.kind == "allow":
            _close(tx, task, "system", term, Change(term.term_id))


@dataclass
class Change:
    """What a change of a list did: rows looked at are those that contain the string, and no others."""

    term_id: str
    looked_at: int = 0
    opened: int = 0
    closed: int = 0
    pairs: set[str] = field(default_factory=set)

    def told(self, tx: Tx, task: str) -> dict[str, Any]:
        return {
            "term_id": self.term_id,
            "version": version(tx, task),
            "rows": self.looked_at,
            "opened": self.opened,
            "closed": self.closed,
        }


def put(
    tx: Tx, task: str, actor: str, kind: str, text: str, entity_type: str | None, pair_id: str | None = None
) -> dict[str, Any]:
    """Add a term and let it count at once in the current revisions that contain it; nothing else is looked at.

    deny and pattern open findings there (the pairs are held), allow closes the open ones of that very string. The pair
    a person read it in is kept, so that erasing the pair erases the term. Returns term_id, version, rows (that contain
    it), opened, closed. Raises `UsageError` for a string too short or long to mean anything.
    """
    text = " ".join(text.split()) if kind != "pattern" else text
    if len(text) < SHORTEST or len(text) > LONGEST or not any(ch.isalnum() for ch in text):
        raise UsageError(f"A term has {SHORTEST} to {LONGEST} characters, a letter or a digit among them.")
    if kind != "allow" and entity_type is None:
        raise UsageError("Say of which type it is, e.g. PERSON.")
    change = Change("")
    for term in active(tx, task):
        if (term.kind == "pattern") != (kind == "pattern") or fold(term.text) != fold(text):
            continue
        if term.kind == kind and term.entity_type == entity_type:
            change.term_id = term.term_id
        elif term.kind != kind and term.fits(entity_type):
            _take_off(tx, actor, term.term_id)
    if not change.term_id:
        change.term_id = "l-" + uuid4().hex[:12]
        row = {
            "term_id": change.term_id,
            "task": task,
            "kind": kind,
            "term": text,
            "entity_type": entity_type,
            "pair_id": pair_id,
            "actor": actor,
            "ts": utcnow(),
        }
        tx.insert("privacy_terms", pl.DataFrame([row]))
        tx.event("privacy_term_added", actor, term=change.term_id, list=kind, entity_type=entity_type or "")
    term = Term(change.term_id, kind, text, entity_type, utcnow())
    if kind == "allow":
        _close(tx, task, actor, term, change)
    else:
        open_places(tx, task, [term], change)
    rules.settle(tx, actor, sorted(change.pairs))
    return change.told(tx, task)


def take_off(tx: Tx, task: str, actor: str, term_id: str) -> tuple[dict[str, Any], list[str]]:
    """Take a term off its list. Returns what was done and the pairs that contain it, which must be scanned again.

    What an allow term had closed is open to the scan again. Raises `NotFound`.
    """
    term = next((term for term in active(tx, task) if term.term_id == term_id), None)
    if term is None:
        raise NotFound(f"No term {term_id!r} on the lists of {task}. `goldpair privacy lists` shows them.")
    _take_off(tx, actor, term_id)
    tx.execute("DELETE FROM findings WHERE decided_by = ? AND status = 'rejected'", [closer(term_id)])
    change = Change(term_id)
    pairs = [row["pair_id"] for row in _containing(tx, task, [term], change)]
    return change.told(tx, task), pairs


def closer(term_id: str) -> str:
    """Who closed a finding, when a term did."""
    return f"list:{term_id}"


def _take_off(tx: Tx, actor: str, term_id: str) -> None:
    tx.execute(
        "UPDATE privacy_terms SET removed_by = ?, removed_ts = ? WHERE term_id = ?",
        [actor, utcnow(), term_id],
    )
    tx.event("privacy_term_removed", actor, term=term_id)


_ROWS = """
SELECT s.pair_id, s.rev, t.system, t.history, t.prompt, t.completion, t.metadata
FROM pair_state s JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev
WHERE s.task = $task AND s.status <> 'erased'
"""
_HOLDS = " OR ".join(
    f"contains(lower(t.{name}), $word)" for name in ("system", "history", "prompt", "completion", "metadata")
)


def _containing(
    tx: Tx, task: str, terms: Sequence[Term], change: Change, among: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Current revisions that contain one of the terms, duplicates and rejected ones too: they may come back."""
    sql = _ROWS
    bound: dict[str, Any] = {"task": task}
    if among is not None:
        sql, bound = sql + " AND s.pair_id IN (SELECT unnest($ids::VARCHAR[]))", bound | {"ids": list(among)}
    elif len(terms) == 1 and (word := terms[0].word):
        sql, bound = f"{sql} AND ({_HOLDS})", bound | {"word": word}
    for row in tx.rows(sql + " ORDER BY s.pair_id", bound):
        texts = fields_of(row)
        if _occurring(terms, texts.values()):
            change.looked_at += 1
            yield row | {"fields": texts}


def open_places(
    tx: Tx, task: str, terms: Sequence[Term], change: Change, among: Sequence[str] | None = None
) -> None:
    """Open a finding at every place of denied terms that no open finding covers. Then call `rules.settle`."""
    rows = list(_containing(tx, task, terms, change, among))
    ids = [row["pair_id"] for row in rows]
    ours = _strings(tx, ids, "SELECT pair_id, surrogate AS said FROM surrogates WHERE ")
    held: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for found in tx.rows(
        "SELECT finding_id, pair_id, rev, field, start, stop, status FROM findings"
        " WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))",
        [ids],
    ):
        held.setdefault((found["pair_id"], found["rev"]), []).append(found)
    fresh, again = [], []
    for row in rows:
        known = held.get((row["pair_id"], row["rev"]), [])
        byname = {found["finding_id"]: found for found in known}
        for name, text in row["fields"].items():
            for start, stop, kind, recognizer in denied_places(text, terms, ours.get(row["pair_id"], [])):
                if any(
                    f["status"] == "open" and f["field"] == name and f["start"] <= start and stop <= f["stop"]
                    for f in known
                ):
                    continue
                span = {"field": name, "start": start, "stop": stop, "entity_type": kind}
                identity = finding_id(row["pair_id"], row["rev"], span)
                change.opened += 1
                change.pairs.add(row["pair_id"])
                if identity in byname:
                    again.append(identity)
                else:
                    found = {"finding_id": identity, "pair_id": row["pair_id"], "rev": row["rev"], **span}
                    fresh.append(found | {"score": 1.0, "recognizer": recognizer, "status": "open"})
    detector = tx.one("SELECT value FROM meta WHERE key = ?", [f"detector:{task}"])
    stamp = {"detector_version": detector["value"] if detector else "", "ts": utcnow()}
    tx.execute(
        "UPDATE findings SET status = 'open', decided_by = NULL WHERE list_contains(?, finding_id)", [again]
    )
    if fresh:
        tx.insert("findings", pl.DataFrame([found | stamp for found in fresh]), ignore=True)


def _strings(tx: Tx, ids: Sequence[str], select: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for row in tx.rows(select + "pair_id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)]):
        out.setdefault(row["pair_id"], []).append(row["said"])
    return out


def same_string(where: Store | Tx, task: str, text: str, entity_type: str | None) -> list[dict[str, Any]]:
    """Open findings in current revisions of a task whose text is this string: rows of ``findings``."""
    wanted = fold(text)
    rows = where.rows(_OPEN, {"task": task, "kind": entity_type})
    return [row for row in rows if fold(_said(row)) == wanted]


def alike(store: Store, task: str) -> Counter[tuple[str, str]]:
    """How often each (folded string, type) is open in current revisions of a task; empty when `COUNTED` are open."""
    rows = store.rows(_OPEN + f" LIMIT {COUNTED}", {"task": task, "kind": None})
    if len(rows) == COUNTED:
        return Counter()
    return Counter((fold(_said(row)), row["entity_type"]) for row in rows)


_OPEN = """
SELECT f.*, t.system, t.history, t.prompt, t.completion, t.metadata FROM findings f
JOIN pair_state s ON s.pair_id = f.pair_id AND s.rev = f.rev
JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev
WHERE s.task = $task AND f.status = 'open' AND ($kind::VARCHAR IS NULL OR f.entity_type = $kind)
ORDER BY f.pair_id, f.field, f.start
"""


def _said(row: Mapping[str, Any]) -> str:
    return fields_of(row).get(row["field"], "")[row["start"] : row["stop"]]


def _close(tx: Tx, task: str, actor: str, term: Term, change: Change) -> None:
    """Reject the open findings that are this string, and note that the term did it."""
    rows = same_string(tx, task, term.text, term.entity_type)
    tx.execute(
        "UPDATE findings SET status = 'rejected', decided_by = ? WHERE list_contains(?, finding_id)",
        [closer(term.term_id), [row["finding_id"] for row in rows]],
    )
    for row in rows:
        tx.event(
            "finding_rejected", actor, pair_id=row["pair_id"], rev=row["rev"],
            finding=row["finding_id"], term=term.term_id,
        )  # fmt: skip
    change.closed = len(rows)
    change.pairs |= {row["pair_id"] for row in rows}
    change.looked_at = len(change.pairs)


# --- forgetting ---------------------------------------------------------------------------------------------


def saying(where: Store | Tx, says: Callable[[Sequence[str | None]], bool]) -> list[str]:
    """Ids of terms, of any task, removed ones too, whose string says what is asked for."""
    rows = where.rows("SELECT term_id, term FROM privacy_terms WHERE term IS NOT NULL")
    return [row["term_id"] for row in rows if says([row["term"]])]


def forget(tx: Tx, term_ids: Sequence[str], actor: str) -> None:
    """Delete these strings; that a term was there stays."""
    tx.execute(
        "UPDATE privacy_terms SET term = NULL, removed_by = coalesce(removed_by, ?),"
        " removed_ts = coalesce(removed_ts, ?) WHERE list_contains(?, term_id)",
        [actor, utcnow(), list(term_ids)],
    )
