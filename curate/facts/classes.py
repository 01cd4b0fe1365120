"""What people say of each fact: timeless, expires on a day, or replaced by a slot; kept in the store, undone like any
other decision.

Covers: taking in what the radar found, lists and counts, deciding, undo, the day on which a pair expires. Does not
cover: finding (`curate.facts.radar`), dropping expired pairs out of a snapshot (`curate.snapshot`, by `curate.rules`).

A fact is a place in one revision; its words are only in that revision's text. A decision also holds for the same words
in the pair's other revisions, so that an edit elsewhere in the text asks nobody twice. A slot is an ordinary edit,
whose new revision somebody else approves. ``expires`` is the first day on which the fact no longer holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from curate.contract import canonical_json, sha256_hex
from curate.errors import NotFound, RefusedError, UsageError
from curate.facts.radar import CLASSES, KINDS, read_facts, rules_version
from curate.rules import settle
from curate.store import Store, Tx, utcnow
from curate.tasks import TaskPack
from curate.users import Actor, require

VERDICT = "classify"  # of the table `decisions`
DEAD = ("rejected", "duplicate", "erased")  # pairs whose facts nobody needs to look at
_SLOT = re.compile(r"[a-z][a-z0-9_]{0,39}")
_IDS = "IN (SELECT unnest($ids::VARCHAR[]))"


# --- from the radar -----------------------------------------------------------------------------------------


def export_for_scan(store: Store, task: str) -> pl.DataFrame:
    """Every revision of the task that the rules as they are have not read: pair_id, rev, prompt, completion.

    Earlier revisions too: snapshots hold them, and models learned from those.
    """
    return store.frame(
        "SELECT t.pair_id, t.rev, t.prompt, t.completion FROM revision_text t JOIN pair_state s USING (pair_id)"
        " LEFT JOIN fact_scans f ON f.pair_id = t.pair_id AND f.rev = t.rev"
        " WHERE s.task = ? AND f.rules IS DISTINCT FROM ? ORDER BY t.pair_id, t.rev",
        [task, rules_version()],
    )


def scan_chunk(frame: pl.DataFrame, today: date) -> pl.DataFrame:
    """Read revisions: pair_id, rev, rules, and ``found``, JSON of places without their words."""
    rows = []
    texts, prompts = ([text or "" for text in frame[name]] for name in ("completion", "prompt"))
    read = read_facts(texts, prompts=prompts, today=today)
    for row, found in zip(frame.iter_rows(named=True), read, strict=True):
        places = [{key: value for key, value in fact.items() if key != "span"} for fact in found]
        rows.append(
            {
                "pair_id": row["pair_id"],
                "rev": row["rev"],
                "rules": rules_version(),
                "found": json.dumps(places),
            }
        )
    return pl.DataFrame(
        rows, schema={"pair_id": pl.String, "rev": pl.Int32, "rules": pl.String, "found": pl.String}
    )


def ingest(tx: Tx, frame: pl.DataFrame) -> int:
    """Take in what `scan_chunk` found; returns the number of new facts.

    What people decided stays, whether it is found again or not.
    """
    ids = sorted(set(frame["pair_id"].to_list()))
    texts = _texts(tx, ids)
    known: dict[tuple[str, int], list[dict[str, Any]]] = {}
    decided: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in tx.rows(
        f"SELECT * FROM facts WHERE pair_id {_IDS} AND class IS NOT NULL ORDER BY decided_seq", {"ids": ids}
    ):
        known.setdefault((row["pair_id"], row["rev"]), []).append(row)
        words = texts.get((row["pair_id"], row["rev"]), "")[row["start"] : row["stop"]]
        if row["class"] != "slot":  # a slot was an edit; where its words stand again, it was taken back
            decided[row["pair_id"], row["kind"], words] = row
    new, scans, changed = [], [], set()
    for row in frame.iter_rows(named=True):
        key = (row["pair_id"], row["rev"])
        if key not in texts:  # erased meanwhile
            continue
        scans.append({"pair_id": row["pair_id"], "rev": row["rev"], "rules": row["rules"], "ts": utcnow()})
        kept = known.get(key, [])
        for fact in json.loads(row["found"]):
            if any(fact["start"] < other["stop"] and other["start"] < fact["end"] for other in kept):
                continue
            same = decided.get((row["pair_id"], fact["kind"], texts[key][fact["start"] : fact["end"]]), {})
            if same:
                changed.add(row["pair_id"])
            new.append(_fact_row(*key, fact, same))
    for name in ("fact_scans", "facts"):
        tx.execute(
            f"DELETE FROM {name} USING (SELECT unnest($ids::VARCHAR[]) AS p, unnest($revs::INTEGER[]) AS r) x"
            f" WHERE pair_id = x.p AND rev = x.r{' AND class IS NULL' if name == 'facts' else ''}",
            {"ids": [row["pair_id"] for row in scans], "revs": [row["rev"] for row in scans]},
        )
    if scans:
        tx.insert("fact_scans", pl.DataFrame(scans))
    if new:
        tx.insert("facts", pl.DataFrame(new, schema=_SCHEMA), ignore=True)
    changed |= {pair for pair, _ in known}
    refresh_expiry(tx, sorted(changed))
    settle(tx, "system", sorted(changed))
    return len(new)


_SCHEMA: dict[str, Any] = {
    "fact_id": pl.String,
    "pair_id": pl.String,
    "rev": pl.Int32,
    "start": pl.Int32,
    "stop": pl.Int32,
    "kind": pl.String,
    "suggestion": pl.String,
    "suggested": pl.Date,
    "class": pl.String,
    "expires": pl.Date,
    "slot": pl.String,
    "decided_by": pl.String,
    "decided_seq": pl.Int64,
    "ts": pl.Datetime("us"),
}


def _fact_row(pair_id: str, rev: int, fact: Mapping[str, Any], same: Mapping[str, Any]) -> dict[str, Any]:
    name = f"{pair_id}/{rev}/{fact['start']}/{fact['end']}/{fact['kind']}"
    return {
        "fact_id": sha256_hex(name)[:16],
        "pair_id": pair_id,
        "rev": rev,
        "start": fact["start"],
        "stop": fact["end"],
        "kind": fact["kind"],
        "suggestion": fact["suggestion"],
        "suggested": date.fromisoformat(fact["expires"]) if fact["expires"] else None,
        **{key: same.get(key) for key in ("class", "expires", "slot", "decided_by", "decided_seq")},
        "ts": utcnow(),
    }


def scan_revision(store: Store, pair_id: str) -> None:
    """Read the newest revision of one pair right after it was saved."""
    frame = store.frame(
        "SELECT t.pair_id, t.rev, t.prompt, t.completion FROM revision_text t JOIN pair_state s"
        " ON s.pair_id = t.pair_id AND s.rev = t.rev WHERE s.pair_id = ?",
        [pair_id],
    )
    found = scan_chunk(frame, utcnow().date())
    store.write(lambda tx: ingest(tx, found))


def _texts(where: Store | Tx, pair_ids: Sequence[str]) -> dict[tuple[str, int], str]:
    rows = where.rows(
        f"SELECT pair_id, rev, completion FROM revision_text WHERE pair_id {_IDS}", {"ids": list(pair_ids)}
    )
    return {(row["pair_id"], row["rev"]): row["completion"] or "" for row in rows}


# --- looking ------------------------------------------------------------------------------------------------


def list_facts(
    store: Store,
    actor: Actor,
    task: str,
    *,
    status: str | None = "open",
    kind: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Facts of the pairs in play with their words and their completion, soonest expiry first.

    ``status``: open, timeless, expires, slot or None for all; of slots the revision that still had the words. Raises
    `UsageError` for an unknown status or kind.
    """
    require(actor, "read")
    if status not in (None, "open", *CLASSES):
        raise UsageError(f"No class {status!r}. Classes: open, {', '.join(CLASSES)}.")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"No kind {kind!r}. Kinds: {', '.join(KINDS)}.")
    rows = store.rows(
        "SELECT f.fact_id, f.pair_id, f.rev, f.start, f.stop, f.kind, f.suggestion, f.suggested, f.class, f.expires,"
        " f.slot, f.decided_by, s.status, t.completion AS context"
        " FROM facts f JOIN pair_state s ON s.pair_id = f.pair_id AND (s.rev = f.rev OR f.class = 'slot')"
        " JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev"
        " WHERE s.task = $task AND NOT list_contains($dead, s.status) AND ($kind IS NULL OR f.kind = $kind)"
        " AND ($status IS NULL OR coalesce(f.class, 'open') = $status)"
        " ORDER BY f.expires NULLS LAST, f.pair_id, f.start LIMIT $limit OFFSET $offset",
        {"task": task, "dead": list(DEAD), "kind": kind, "status": status, "limit": limit, "offset": offset},
    )
    for row in rows:
        row["words"] = row["context"][row["start"] : row["stop"]]
        row["class"] = row["class"] or "open"
    return rows


def counts(store: Store, task: str) -> dict[str, Any]:
    """``{"kinds": [{kind, open, timeless, expires, slot}], "unread"}``: facts of pairs in play, revisions not read."""
    rows = store.rows(
        "SELECT f.kind, count(*) FILTER (WHERE f.class IS NULL) AS open,"
        " count(*) FILTER (WHERE f.class = 'timeless') AS timeless,"
        " count(*) FILTER (WHERE f.class = 'expires') AS expires, count(*) FILTER (WHERE f.class = 'slot') AS slot"
        " FROM facts f JOIN pair_state s ON s.pair_id = f.pair_id AND (s.rev = f.rev OR f.class = 'slot')"
        " WHERE s.task = ? AND NOT list_contains(?, s.status) GROUP BY f.kind ORDER BY open DESC, f.kind",
        [task, list(DEAD)],
    )
    return {"kinds": rows, "unread": len(export_for_scan(store, task))}


# --- deciding -----------------------------------------------------------------------------------------------


def add(store: Store, actor: Actor, pair_id: str, words: str, kind: str) -> dict[str, Any]:
    """Mark words of the current completion that the radar passed over; every place where they stand, open to decide.

    Raises `NotFound` where they do not stand, `UsageError` for an unknown kind or words that are marked already.
    """
    require(actor, "review")
    if kind not in KINDS:
        raise UsageError(f"No kind {kind!r}. Kinds: {', '.join(KINDS)}.")

    def write(tx: Tx) -> dict[str, Any]:
        state = tx.states([pair_id]).get(pair_id)
        text = _texts(tx, [pair_id]).get((pair_id, state["rev"])) if state else None
        if state is None or text is None or not words.strip():
            raise NotFound(f"No pair {pair_id!r} with a text. `goldpair review list` shows them.")
        taken = tx.rows(
            "SELECT start, stop FROM facts WHERE pair_id = ? AND rev = ?", [pair_id, state["rev"]]
        )
        places = [m.span() for m in re.finditer(re.escape(words), text)]
        if not places:
            raise NotFound(f"The completion of {pair_id} does not say {words[:60]!r}.")
        free = [(a, b) for a, b in places if all(b <= t["start"] or a >= t["stop"] for t in taken)]
        if not free:
            raise UsageError("These words are marked already. `goldpair facts list` shows the facts.")
        fact = {"kind": kind, "suggestion": "expires", "expires": None}
        new = [_fact_row(pair_id, state["rev"], fact | {"start": a, "end": b}, {}) for a, b in free]
        tx.insert("facts", pl.DataFrame(new, schema=_SCHEMA))
        names = [row["fact_id"] for row in new]
        tx.event("fact_added", actor.user, pair_id=pair_id, rev=state["rev"], facts=names, what=kind)
        return {"pair_id": pair_id, "facts": names}

    return store.write(write)


def classify(
    store: Store,
    actor: Actor,
    fact_id: str,
    cls: str,
    *,
    expires: date | None = None,
    slot: str | None = None,
    pack: TaskPack | None = None,
    guideline_version: str = "",
    rescan: Callable[[str, int], Any] | None = None,
) -> dict[str, Any]:
    """Decide on one fact of a current revision; returns once it is on disk.

    ``cls``: timeless; expires, with ``expires``, the first day on which it no longer holds; slot, with the slot's name:
    the words become ``{name}`` in a new revision, which is scanned by ``rescan`` and waits for another reviewer.

    Returns ``{"fact_id", "class", "pair_id", "rev", "status"}``. Raises `NotFound`, `UsageError`, `PermissionDenied`,
    `RefusedError` when the pair was edited since or erased.
    """
    require(actor, "review")
    if cls not in CLASSES:
        raise UsageError(f"No class {cls!r}. Classes: {', '.join(CLASSES)}.")
    if (cls == "expires") != (expires is not None):
        raise UsageError(
            "A day belongs to the class expires, and to no other: the first day on which it no longer holds."
        )
    if (cls == "slot") != (slot is not None):
        raise UsageError("A slot's name belongs to the class slot, and to no other.")
    if slot is not None and not _SLOT.fullmatch(slot):
        raise UsageError(
            f"{slot!r} is no name of a slot: a small letter, then small letters, digits and _, at most 40."
        )
    fact = current(store, fact_id)
    if cls == "slot":
        return _to_slot(store, actor, fact, str(slot), pack, guideline_version, rescan)
    return store.write(lambda tx: _decide(tx, actor, fact_id, cls, expires))


def current(where: Store | Tx, fact_id: str) -> dict[str, Any]:
    """A fact of the revision that counts, with its task and the pair's status. Raises `NotFound`, `RefusedError`."""
    row = where.one(
        "SELECT f.*, s.rev AS now, s.status, s.task FROM facts f JOIN pair_state s ON s.pair_id = f.pair_id"
        " WHERE f.fact_id = ?",
        [fact_id],
    )
    if row is None:
        raise NotFound(f"No fact {fact_id!r}. `goldpair facts list` shows them.")
    if row["rev"] != row["now"] or row["status"] == "erased":
        raise RefusedError(
            f"Pair {row['pair_id']} has another text by now, or none. `goldpair facts list` shows its facts.",
            ["The text changed since."],
        )
    return row


def _decide(tx: Tx, actor: Actor, fact_id: str, cls: str, expires: date | None) -> dict[str, Any]:
    fact = current(tx, fact_id)
    pair_id = fact["pair_id"]
    when = expires.isoformat() if expires else None
    seq = tx.event(
        "fact_classified", actor.user, pair_id=pair_id, rev=fact["rev"], fact=fact_id, what=cls, expires=when
    )
    before = []
    for same in _same_words(tx, fact):
        before.append(
            {
                key: _plain(same[key])
                for key in ("fact_id", "class", "expires", "slot", "decided_by", "decided_seq")
            }
        )
        tx.execute(
            "UPDATE facts SET class = ?, expires = ?, slot = NULL, decided_by = ?, decided_seq = ? WHERE fact_id = ?",
            [cls, expires, actor.user, seq, same["fact_id"]],
        )
    refresh_expiry(tx, [pair_id])
    settle(tx, actor.user, [pair_id])
    status = tx.states([pair_id])[pair_id]["status"]
    result = {"fact_id": fact_id, "class": cls, "pair_id": pair_id, "rev": fact["rev"], "status": status}
    told = canonical_json({"seq": seq} | result).decode()
    kept = canonical_json({"facts": before}).decode()
    tx.append("decisions", [seq, actor.user, pair_id, fact["rev"], VERDICT, kept, None, None, told])
    return result


def _same_words(tx: Tx, fact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fact, and those of the same kind and words in any revision of its pair, but for what became a slot."""
    texts = _texts(tx, [fact["pair_id"]])

    def words(row: Mapping[str, Any]) -> str:
        return texts.get((row["pair_id"], row["rev"]), "")[row["start"] : row["stop"]]

    rows = tx.rows("SELECT * FROM facts WHERE pair_id = ? AND kind = ?", [fact["pair_id"], fact["kind"]])
    return [
        row
        for row in rows
        if row["fact_id"] == fact["fact_id"] or (words(row) == words(fact) and row["class"] != "slot")
    ]


def _to_slot(
    store: Store,
    actor: Actor,
    fact: Mapping[str, Any],
    slot: str,
    pack: TaskPack | None,
    guidelines: str,
    rescan: Callable[[str, int], Any] | None,
) -> dict[str, Any]:
    from curate import review  # it takes decisions back through this module

    pair_id, rev = fact["pair_id"], fact["rev"]
    text = _texts(store, [pair_id]).get((pair_id, rev), "")
    completion = f"{text[: fact['start']]}{{{slot}}}{text[fact['stop'] :]}"
    done = review.decide(
        store,
        actor,
        pair_id,
        rev,
        "edit",
        completion=completion,
        pack=pack,
        guideline_version=guidelines,
        rescan=rescan,
    )

    def write(tx: Tx) -> None:
        seq = tx.event(
            "fact_classified",
            actor.user,
            pair_id=pair_id,
            rev=rev,
            fact=fact["fact_id"],
            what="slot",
            slot=slot,
        )
        tx.execute(
            "UPDATE facts SET class = 'slot', expires = NULL, slot = ?, decided_by = ?, decided_seq = ?"
            " WHERE fact_id = ?",
            [slot, actor.user, seq, fact["fact_id"]],
        )

    store.write(write)
    return {
        "fact_id": fact["fact_id"],
        "class": "slot",
        "pair_id": pair_id,
        "rev": done["rev"],
        "status": done["status"],
    }


def take_back(tx: Tx, actor: Actor, found: Mapping[str, Any]) -> dict[str, Any]:
    """Undo of one classification (a row of ``decisions``); called by `curate.undo`. Raises `RefusedError`."""
    pair_id = found["pair_id"]
    facts = json.loads(found["before"])["facts"]
    later = tx.one(
        "SELECT decided_by FROM facts WHERE list_contains(?, fact_id) AND decided_seq > ?",
        [[row["fact_id"] for row in facts], found["seq"]],
    )
    if later is not None:
        raise RefusedError(
            f"{later['decided_by']} decided on this fact since. Ask them.", ["A later decision stands."]
        )
    seq = tx.event("undo", actor.user, pair_id=pair_id, rev=found["rev"], undoes=found["seq"])
    ids = [row["fact_id"] for row in facts]
    # the same words in revisions that came later took the decision over; they are open again as well
    tx.execute(
        "UPDATE facts SET class = NULL, expires = NULL, slot = NULL, decided_by = NULL, decided_seq = NULL"
        " WHERE pair_id = ? AND decided_seq = ? AND NOT list_contains(?, fact_id)",
        [pair_id, found["seq"], ids],
    )
    for row in facts:
        tx.execute(
            "UPDATE facts SET class = ?, expires = ?, slot = ?, decided_by = ?, decided_seq = ? WHERE fact_id = ?",
            [
                row["class"],
                row["expires"],
                row["slot"],
                row["decided_by"],
                row["decided_seq"],
                row["fact_id"],
            ],
        )
    tx.execute("UPDATE decisions SET undone = ? WHERE seq = ?", [seq, found["seq"]])
    refresh_expiry(tx, [pair_id])
    settle(tx, actor.user, [pair_id])
    after = tx.states([pair_id])[pair_id]
    return {
        "undone": found["seq"],
        "verdict": VERDICT,
        "pair_id": pair_id,
        "status": after["status"],
        "rev": after["rev"],
    }


def refresh_expiry(tx: Tx, pair_ids: Sequence[str]) -> None:
    """Set the day on which these pairs expire: the earliest of what was said of the pair and of its facts."""
    if not pair_ids:
        return
    tx.execute(
        "UPDATE pairs SET expires = x.expires FROM ("
        " SELECT p.pair_id, min(e.expires) AS expires FROM (SELECT unnest($ids::VARCHAR[]) AS pair_id) p"
        " LEFT JOIN (SELECT f.pair_id, f.expires::TIMESTAMP AS expires FROM facts f JOIN pair_state s"
        "  ON s.pair_id = f.pair_id AND s.rev = f.rev WHERE f.class = 'expires'"
        "  UNION ALL SELECT pair_id, expires FROM stated_expiries) e ON e.pair_id = p.pair_id GROUP BY p.pair_id) x"
        " WHERE pairs.pair_id = x.pair_id",
        {"ids": list(pair_ids)},
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
