"""Review: the queue, one pair with all that a reviewer needs, decisions, undo.

Covers: what a person does to a pair, with the checks of invariants 1 and 2 made in the writer at the moment
of the decision. Does not cover: the rules themselves (`curate.rules`), findings and clusters, agreement
between reviewers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from curate import overlap, suggestions
from curate.contract import canonical_json, pair_sha256
from curate.errors import GoldpairError, NotFound, PermissionDenied, RefusedError, UsageError
from curate.facts import classes
from curate.labels import STANDING_LABELS, check_labels, missing_labels
from curate.leases import LeaseBook
from curate.listing import find_pairs, list_pairs
from curate.rules import add_revisions, decoded, facts, in_words, settle, texts_of, void_approvals
from curate.rules import blocking as _blocking
from curate.scores import Ranking
from curate.store import STATUSES, Store, Tx, utcnow
from curate.tasks import TaskPack
from curate.undo import undo
from curate.users import Actor, may, require

__all__ = [
    "VERDICTS",
    "Item",
    "StaleEdit",
    "add_revisions",
    "blockers",
    "decide",
    "find_pairs",
    "guideline_version",
    "item",
    "list_pairs",
    "next_items",
    "original",
    "queue_counts",
    "set_expiry",
    "settle",
    "undo",
]

VERDICTS = {  # verdict -> the permission it takes
    "approve": "review",
    "reject": "review",
    "return": "review",
    "edit": "annotate",
    "skip": "annotate",
    "flag": "annotate",
}
_LEADS_TO = {"reject": "rejected", "return": "returned", "flag": "held"}
_OPEN_TO = {  # verdict -> statuses of the pair in which it makes sense
    "approve": {"ready", "held"},  # held is refused by its blockers, in words
    "reject": {"ready", "held", "approved", "returned"},
    "return": {"ready", "held", "approved", "rejected"},
    "edit": {"ready", "held", "approved", "returned", "rejected"},
    "flag": {"ready", "held", "approved"},
    "skip": set(STATUSES),
}


class StaleEdit(GoldpairError):
    """Somebody changed the pair since it was shown. ``base``, ``current`` and ``yours`` make a three-way
    diff.
    """

    def __init__(
        self,
        pair_id: str,
        rev: int,
        current_rev: int,
        *,
        base: dict[str, Any] | None,
        current: dict[str, Any] | None,
        yours: dict[str, Any],
    ) -> None:
        super().__init__(
            f"Pair {pair_id} is at revision {current_rev}, you looked at revision {rev}. "
            "Look at the newer text, then decide again."
        )
        self.pair_id, self.rev, self.current_rev = pair_id, rev, current_rev
        self.base, self.current, self.yours = base, current, yours


@dataclass
class Item:
    """One pair as a reviewer sees it. Texts are data: show them as text only."""

    pair_id: str
    task: str
    status: str
    reason: str | None
    rev: int
    sha256: str | None
    author: str | None
    source: str
    system: str
    history: list[dict[str, str]]
    prompt: str
    completion: str
    metadata: dict[str, Any]
    leased_by: str | None
    blockers: list[str]
    spans: list[dict[str, Any]] = field(
        default_factory=list
    )  # findings: field, start, stop, entity_type, status
    surrogates: list[dict[str, Any]] = field(default_factory=list)  # what stands where personal data stood
    labels: dict[str, Any] = field(default_factory=dict)  # latest value by name
    revisions: list[dict[str, Any]] = field(default_factory=list)  # oldest first, with texts
    decisions: list[dict[str, Any]] = field(default_factory=list)  # events of this pair, oldest first
    comments: list[dict[str, Any]] = field(default_factory=list)
    duplicates: list[dict[str, Any]] = field(default_factory=list)  # members of its clusters
    judgments: list[dict[str, Any]] = field(default_factory=list)  # of the blind look, once nobody is blind
    suggestions: list[dict[str, Any]] = field(default_factory=list)  # of models, for the prompt as it is now
    began: dict[str, Any] | None = None  # the suggestion that its newest taken revision began as

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def guideline_version(pack_folder: Path | str) -> str:
    """The ``version:`` line of the pack's ``guidelines.md``; empty when there is none."""
    try:
        text = (Path(pack_folder) / "guidelines.md").read_text("utf-8")
    except FileNotFoundError:
        return ""
    found = re.search(r"^\W*version:\W*([\w.-]{1,40})", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


# --- looking ------------------------------------------------------------------------------------------


def queue_counts(store: Store, actor: Actor, task: str, *, ranking: Ranking | None = None) -> dict[str, int]:
    """Pairs of a task by status, and ``for_me`` (what the actor's queue offers, within the ranking's bounds) and
    ``leased`` (by anybody else).
    """
    require(actor, "read")
    rows = store.rows("SELECT status, count(*) AS n FROM pair_state WHERE task = ? GROUP BY status", [task])
    counts = dict.fromkeys(STATUSES, 0) | {row["status"]: row["n"] for row in rows}
    taken = LeaseBook.of(store).others(actor.user)
    sql, params = _queue(actor, task, taken, ranking)
    mine = store.one(f"SELECT count(*) AS n FROM ({sql})", params) if may(actor, "annotate") else None
    return counts | {"for_me": mine["n"] if mine else 0, "leased": len(taken)}


def next_items(
    store: Store,
    actor: Actor,
    task: str,
    n: int = 1,
    *,
    gold: float = 0.0,
    ranking: Ranking | None = None,
) -> list[Item]:
    """Lease and return the next ``n`` pairs for the actor; what they hold already comes first.

    With a ``ranking`` only pairs within its bounds come, in its order if it has one; what the actor held and is not
    among them is given back. ``gold`` is the share of a reviewer's items that are hidden gold (`curate.overlap`).

    In front stands what was returned to the actor (to annotators also what no user wrote), and for
    adjudicators what was flagged; then ready pairs, for reviewers only those whose current revision is not
    theirs. Pairs leased by others are never offered; skipped ones come last.
    """
    require(actor, "annotate")
    book = LeaseBook.of(store)
    skipped = book.skipped(actor.user)
    known = [*(pair for pair in book.held_by(actor.user) if pair not in skipped), *skipped]
    ordered = ranking is not None and ranking.order is not None
    if ordered:
        known = skipped  # a lease does not come before a better place
    sql, params = _queue(actor, task, book.others(actor.user), ranking)
    in_queue = f"SELECT pair_id FROM ({sql}) WHERE pair_id IN (SELECT unnest($known::VARCHAR[]))"
    still = {row["pair_id"] for row in store.rows(in_queue, params | {"known": known})} if known else set()
    got = book.claim(actor.user, [pair for pair in known if pair in still and pair not in skipped], n)
    while len(got) < n:
        sql, params = _queue(actor, task, book.others(actor.user), ranking)
        fresh = store.rows(
            f"SELECT pair_id FROM ({sql}) WHERE pair_id NOT IN (SELECT unnest($known::VARCHAR[]))"
            f" ORDER BY place, {'rank, ' if ordered else ''}updated_seq, pair_id LIMIT $n",
            params | {"known": [*known, *got], "n": n - len(got) + 32},  # more than needed: others claim too
        )
        if not fresh:
            got += book.claim(actor.user, [pair for pair in skipped if pair in still], n - len(got))
            break
        got += book.claim(actor.user, [row["pair_id"] for row in fresh], n - len(got))
    if ranking is not None:
        for pair in set(book.held_by(actor.user)).difference(got):
            book.release(actor.user, pair)
    hidden = overlap.next_gold(store, actor, task, gold) if got else None
    if hidden:
        book.claim(actor.user, [hidden], 1)
        got.insert(overlap.place(hidden, len(got)), hidden)
    items = _items(store, actor, got)
    return [overlap.masked(one) if one.pair_id == hidden else one for one in items]


def _queue(
    actor: Actor, task: str, taken: Sequence[str], ranking: Ranking | None = None
) -> tuple[str, dict[str, Any]]:
    """SQL of the actor's queue (pair_id, place, updated_seq, rank), unordered, and its parameters."""
    if may(actor, "review"):
        where = "s.status = 'ready' AND r.author <> $user OR s.status = 'returned' AND r.author = $user"
        if may(actor, "adjudicate"):
            where += " OR s.status = 'held' AND s.reason IN ('flagged', 'disputed') AND r.author <> $user"
        where = f"({where}) AND {overlap.NOT_MINE}"
    else:
        where = "s.status = 'ready' OR s.status = 'returned' AND r.author IN ($user, 'intake')"
    sql = (
        f"SELECT s.pair_id, s.status = 'ready' AS place, s.updated_seq, {ranking.rank if ranking else 'NULL'} AS rank"
        " FROM pair_state s JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev"
        f"{ranking.join if ranking else ''}"
        f" WHERE s.task = $task AND ({where})"
        f" AND s.pair_id NOT IN (SELECT unnest($taken::VARCHAR[])){ranking.where if ranking else ''}"
    )
    bound = {"task": task, "user": actor.user, "taken": list(taken)}
    return sql, bound | (ranking.params if ranking else {})


def item(store: Store, actor: Actor, pair_id: str) -> Item:
    """Everything about one pair, without leasing it. Raises `NotFound`."""
    require(actor, "read")
    found = _items(store, actor, [pair_id])
    if not found:
        raise NotFound(f"No pair {pair_id!r}. `goldpair review list` shows them.")
    return found[0]


def original(store: Store, actor: Actor, pair_id: str) -> dict[str, Any]:
    """The record behind a pair, as imported, before anonymization. Needs ``see_originals``; the look is
    logged.
    """
    require(actor, "see_originals")
    row = store.one(
        "SELECT t.system, t.history, t.prompt, t.completion, t.metadata FROM pairs p"
        " JOIN record_text t ON t.record_id = p.record_id WHERE p.pair_id = ?",
        [pair_id],
    )
    if row is None:
        raise NotFound(f"No record text behind pair {pair_id!r}.")
    store.write(lambda tx: tx.event("original_seen", actor.user, pair_id=pair_id))
    return decoded(row)


def _items(store: Store, actor: Actor, pair_ids: Sequence[str]) -> list[Item]:
    if not pair_ids:
        return []
    found = facts(store, pair_ids)
    book = LeaseBook.of(store)

    def rows(sql: str) -> dict[str, list[dict[str, Any]]]:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for row in store.rows(sql, {"ids": list(found)}):
            grouped.setdefault(row["pair_id"], []).append(row)
        return grouped

    mine = "pair_id IN (SELECT unnest($ids::VARCHAR[]))"
    sources = rows(f"SELECT pair_id, source FROM pairs WHERE {mine}")
    revisions = rows(
        "SELECT r.*, t.system, t.history, t.prompt, t.completion, t.metadata FROM revisions r"
        " LEFT JOIN revision_text t ON t.pair_id = r.pair_id AND t.rev = r.rev"
        f" WHERE r.{mine} ORDER BY r.rev"
    )
    spans = rows(f"SELECT * FROM findings WHERE {mine} ORDER BY field, start, finding_id")
    surrogates = rows(f"SELECT * FROM surrogates WHERE {mine} ORDER BY field, start")
    labels = rows(f"SELECT * FROM ({STANDING_LABELS}) WHERE {mine} ORDER BY seq")
    events = rows(f"SELECT seq, ts, actor, kind, pair_id, rev, body FROM events WHERE {mine} ORDER BY seq")
    comments = rows(f"SELECT * FROM comments WHERE {mine} ORDER BY seq")
    clusters = rows(
        "SELECT a.pair_id, c.cluster_id, c.kind, c.status, b.pair_id AS other, b.similarity, b.keep"
        " FROM cluster_members a JOIN clusters c ON c.cluster_id = a.cluster_id"
        " JOIN cluster_members b ON b.cluster_id = a.cluster_id AND b.pair_id <> a.pair_id"
        f" WHERE a.{mine} AND c.status <> 'superseded' ORDER BY c.cluster_id, b.pair_id"
    )
    judged = rows(
        f"SELECT * FROM judgments WHERE {mine} AND kind = 'overlap' AND undone IS NULL ORDER BY seq"
    )
    versions_of = {
        pair_id: [
            decoded(row) if row["history"] is not None else row | {"history": [], "metadata": {}}
            for row in of
        ]
        for pair_id, of in revisions.items()
    }
    texts = {
        pair_id: row
        for pair_id, of in versions_of.items()
        for row in of
        if row["rev"] == found[pair_id]["rev"] and row["prompt"] is not None
    }
    offered, began = suggestions.offered(store, texts), suggestions.began(store, list(texts))
    items = []
    for pair_id in pair_ids:
        if pair_id not in found:
            continue
        fact = found[pair_id]
        versions = versions_of.get(pair_id, [])
        told, secret = overlap.seen_by(actor, fact, judged.get(pair_id, []))
        now: dict[str, Any] = next((row for row in versions if row["rev"] == fact["rev"]), {})
        items.append(
            Item(
                pair_id=pair_id,
                task=fact["task"],
                status=fact["status"],
                reason=fact["reason"],
                rev=fact["rev"],
                sha256=fact["sha256"],
                author=fact["author"],
                source=(sources.get(pair_id) or [{"source": ""}])[0]["source"],
                system=now.get("system") or "",
                history=now.get("history") or [],
                prompt=now.get("prompt") or "",
                completion=now.get("completion") or "",
                metadata=now.get("metadata") or {},
                leased_by=book.holder(pair_id),
                blockers=in_words(fact),
                spans=[row for row in spans.get(pair_id, []) if row["rev"] == fact["rev"]],
                surrogates=[row for row in surrogates.get(pair_id, []) if row["rev"] == fact["rev"]],
                labels={row["name"]: json.loads(row["value"]) for row in labels.get(pair_id, [])},
                revisions=versions,
                decisions=[
                    row | {"body": json.loads(row["body"])}
                    for row in events.get(pair_id, [])
                    if row["seq"] not in secret
                ],
                comments=[row for row in comments.get(pair_id, []) if row["seq"] not in secret],
                duplicates=clusters.get(pair_id, []),
                judgments=told,
                suggestions=offered.get(pair_id, []),
                began=began.get(pair_id),
            )
        )
    return items


def blockers(store: Store, pair_id: str, actor: Actor | None = None) -> list[str]:
    """What stands between a pair and approval (by this actor), in words; empty when nothing does."""
    found = facts(store, [pair_id])
    if pair_id not in found:
        raise NotFound(f"No pair {pair_id!r}. `goldpair review list` shows them.")
    fact = found[pair_id]
    words = in_words(fact)
    if fact["status"] not in _OPEN_TO["approve"]:
        words.append(f"It is {fact['status']}.")
    if actor is not None and fact["author"] == actor.user:
        words.append("You wrote this revision: another reviewer approves it.")
    return words


def set_expiry(store: Store, actor: Actor, pair_id: str, expires: datetime | None) -> None:
    """Say until when a pair's facts hold (UTC without a zone; None: for good); then no snapshot takes it."""
    require(actor, "review")

    def write(tx: Tx) -> None:
        if tx.one("SELECT 1 AS x FROM pairs WHERE pair_id = ?", [pair_id]) is None:
            raise NotFound(f"No pair {pair_id!r}. `goldpair review list` shows them.")
        tx.execute("DELETE FROM stated_expiries WHERE pair_id = ?", [pair_id])
        if expires is not None:
            tx.execute("INSERT INTO stated_expiries VALUES (?, ?)", [pair_id, expires])
        classes.refresh_expiry(tx, [pair_id])
        when = expires.isoformat() if expires else None
        tx.event("expiry_set", actor.user, pair_id=pair_id, expires=when)
        settle(tx, actor.user, [pair_id])

    store.write(write)


# --- deciding ------------------------------------------------------------------------------------------


def decide(
    store: Store,
    actor: Actor,
    pair_id: str,
    rev: int,
    verdict: str,
    *,
    reason: str | None = None,
    prompt: str | None = None,
    completion: str | None = None,
    labels: Mapping[str, Any] | None = None,
    comment: str | None = None,
    client_id: str | None = None,
    suggestion: str | None = None,
    pack: TaskPack | None = None,
    guideline_version: str = "",
    rescan: Callable[[str, int], Any] | None = None,
) -> dict[str, Any]:
    """Decide on the revision that was looked at; returns once the decision is on disk.

    ``verdict``: approve, reject (with a ``reason`` of the pack), return (with a reason or a comment), edit
    (with a new ``prompt`` and/or ``completion``), flag (for an adjudicator), skip. ``labels`` are checked
    against the pack. ``suggestion`` (with edit): the model's suggestion it began as; without a completion its text
    is taken as it stands. The same ``client_id`` of the same actor is applied once and answers the same.
    ``rescan(pair_id, rev)`` scans an edited revision; without it the pair stays held.

    Returns ``{"seq", "pair_id", "rev", "status", "blockers"}`` (``repeated: True`` for a known client id,
    ``warning`` when the re-scan failed). Raises `StaleEdit`, `RefusedError` with the blockers in words,
    `PermissionDenied`, `UsageError`, `NotFound`.
    """
    if verdict not in VERDICTS:
        raise UsageError(f"No verdict {verdict!r}. Verdicts: {', '.join(VERDICTS)}.")
    require(actor, VERDICTS[verdict])
    if verdict == "reject" and not reason:
        raise UsageError(
            "A rejection needs a reason" + (f": {', '.join(pack.reject_reasons)}." if pack else ".")
        )
    if reason and pack and reason not in pack.reject_reasons:
        raise UsageError(f"No reason {reason!r}. Reasons of this task: {', '.join(pack.reject_reasons)}.")
    if reason and not re.fullmatch(r"[\w.-]{1,64}", reason):
        raise UsageError("A reason is a code of the task's list; write more in the comment.")
    if verdict == "return" and not (reason or comment):
        raise UsageError("Say why it goes back: a reason or a comment.")
    if verdict != "edit" and not (prompt is None and completion is None and suggestion is None):
        raise UsageError("A new text is an edit: use the verdict edit.")
    values = check_labels(pack, actor, labels or {})
    book = LeaseBook.of(store)

    def write(tx: Tx) -> dict[str, Any]:
        holder = book.holder(pair_id)
        if holder not in (None, actor.user):
            raise RefusedError(f"{holder} is looking at pair {pair_id}. Take the next one.")
        fact = tx.loaded(facts, pair_id)
        if (
            fact is not None and fact["conflicts"]
        ):  # whether a rival is approved may have changed in this very group
            fact = facts(tx, [pair_id])[pair_id]
        if fact is None:
            raise NotFound(f"No pair {pair_id!r}. `goldpair review list` shows them.")
        if fact["rev"] != rev:
            raise StaleEdit(
                pair_id,
                rev,
                fact["rev"],
                base=texts_of(tx, pair_id, rev),
                current=texts_of(tx, pair_id, fact["rev"]),
                yours={"verdict": verdict, "prompt": prompt, "completion": completion},
            )
        blind = overlap.blind(tx, actor, fact, pack, verdict)
        if blind != "gold" and fact["status"] not in _OPEN_TO[verdict]:
            raise RefusedError(
                f"Pair {pair_id} is {fact['status']}: {verdict} is not possible.",
                [f"It is {fact['status']}."],
            )
        if fact["status"] == "approved" and verdict in ("edit", "flag") and not may(actor, "review"):
            raise PermissionDenied(f"Pair {pair_id} is approved; a reviewer may reopen it. Ask one.")
        new_rev, after, told_as = rev, dict(fact), verdict
        if blind is not None and verdict == "approve":
            _refuse(tx, actor, fact, pack, values, gold=blind == "gold")
        if blind is not None and (
            judged := overlap.judge(tx, actor, fact, blind, verdict, reason, values, guideline_version, pack)
        ):
            seq, told_as = judged["seq"], "judge"
            after |= {"status": judged["status"], "disputed": judged["disputed"]}
        elif verdict == "approve":
            seq = _approve(tx, actor, fact, pack, values, guideline_version)
            after |= {"status": "approved"}
        elif verdict == "edit":
            seq, new_rev = _edit(tx, actor, fact, prompt, completion, guideline_version, suggestion)
            after |= {"status": "held", "scan_sha256": None, "findings": 0, "flags": 0, "disputed": False}
        elif verdict == "skip":
            seq = tx.event("skip", actor.user, pair_id=pair_id, rev=rev, guidelines=guideline_version)
        else:
            after |= {"status": _LEADS_TO[verdict], "flags": fact["flags"] + (verdict == "flag")}
            change = {
                "pair_id": pair_id,
                "status": after["status"],
                "reason": _blocking(after)[0][0] if verdict == "flag" else reason,
                "approved": False,
                "approver": None,
            }
            [seq] = tx.transition(verdict, actor.user, [change], guidelines=guideline_version)
            if fact["approved_digest"]:
                void_approvals(tx, [pair_id], seq)
        if fact["judges"] and told_as in ("approve", "reject", "return"):
            overlap.settled(tx, pair_id, rev, seq)
            after |= {"disputed": False}
        if values and told_as != "judge":
            _write_labels(tx, actor.user, pair_id, new_rev, values, seq)
        if comment:
            tx.append("comments", [pair_id, new_rev, actor.user, comment, utcnow(), seq])
        before = {name: fact[name] for name in ("status", "reason", "rev", "approver")}
        before["approved"] = fact["approved_digest"] is not None and fact["approved_digest"] == fact["digest"]
        result = {
            "seq": seq,
            "pair_id": pair_id,
            "rev": new_rev,
            "status": after["status"],
            "blockers": in_words(after) if verdict != "approve" and blind is None else [],
        }
        kept, told = canonical_json(before).decode(), canonical_json(result).decode()
        tx.append("decisions", [seq, actor.user, pair_id, new_rev, told_as, kept, None, None, told])
        if client_id:
            tx.append("client_ids", [actor.user, client_id, seq])
        return result

    result = _repeated(store, actor.user, client_id)
    if result is None:
        try:
            result = store.write(write, batch=(facts, pair_id))
        except (duckdb.ConstraintException, StaleEdit, RefusedError):
            # The same client id may have been applied in the meantime, which its key or the changed state
            # tells.
            result = _repeated(store, actor.user, client_id)
            if result is None:
                raise
    book.release(actor.user, pair_id)
    if verdict == "skip":
        book.skip(actor.user, pair_id)
    if verdict == "edit" and rescan is not None and not result.get("repeated"):
        try:
            rescan(pair_id, result["rev"])
        except GoldpairError as error:  # the edit is saved; the pair stays held until a scan
            result["warning"] = f"The edit is saved, its scan failed: {error}"
        after = facts(store, [pair_id])[pair_id]
        result |= {"status": after["status"], "blockers": in_words(after)}
    return result


def _repeated(store: Store, user: str, client_id: str | None) -> dict[str, Any] | None:
    if not client_id:
        return None
    row = store.one("SELECT seq FROM client_ids WHERE actor = ? AND client_id = ?", [user, client_id])
    if row is None:
        return None
    found = store.one("SELECT result FROM decisions WHERE seq = ?", [row["seq"]])
    assert found is not None  # both are written by one commit
    return json.loads(found["result"]) | {"repeated": True}


def _refuse(
    tx: Tx,
    actor: Actor,
    fact: Mapping[str, Any],
    pack: TaskPack | None,
    values: Mapping[str, Any],
    gold: bool = False,
) -> None:
    """Raise `RefusedError` with everything that stands against an approval by this actor."""
    pair_id = fact["pair_id"]
    lifted = {"flagged", "disputed"} if may(actor, "adjudicate") else set()
    refusals = [] if gold else [words for code, words in _blocking(fact) if code not in lifted]
    if fact["author"] == actor.user:
        refusals.insert(0, "You wrote this revision: another reviewer approves it.")
    if fact["rival"] and not gold:
        refusals += [words for words in in_words(fact) if fact["rival"] in words]
    refusals += missing_labels(tx, pack, pair_id, values)
    if refusals:
        raise RefusedError(f"Pair {pair_id} cannot be approved. {' '.join(refusals)}", refusals)


def _approve(
    tx: Tx,
    actor: Actor,
    fact: Mapping[str, Any],
    pack: TaskPack | None,
    values: Mapping[str, Any],
    guidelines: str,
) -> int:
    pair_id, rev = fact["pair_id"], fact["rev"]
    _refuse(tx, actor, fact, pack, values)
    sha = fact["sha256"]
    if fact["guideline_version"] != guidelines:  # an approval binds to the guidelines it was given under
        texts = texts_of(tx, pair_id, rev)
        if texts is None:
            raise RefusedError(f"Pair {pair_id} has no text any more.", ["Its text is gone."])
        sha = pair_sha256(**texts, guideline_version=guidelines)
    change = {
        "pair_id": pair_id,
        "status": "approved",
        "reason": None,
        "approved": True,
        "approver": actor.user,
    }
    [seq] = tx.transition("approve", actor.user, [change], guidelines=guidelines, detector=fact["detector"])
    tx.append("approvals", [pair_id, rev, sha, actor.user, guidelines, seq, None])
    if fact["flags"]:
        tx.execute(
            "UPDATE decisions SET settled = ? WHERE pair_id = ? AND verdict = 'flag' AND settled IS NULL",
            [seq, pair_id],
        )
    return seq


def _edit(
    tx: Tx,
    actor: Actor,
    fact: Mapping[str, Any],
    prompt: str | None,
    completion: str | None,
    guidelines: str,
    suggestion: str | None = None,
) -> tuple[int, int]:
    pair_id = fact["pair_id"]
    before = texts_of(tx, pair_id, fact["rev"])
    if before is None:
        raise RefusedError(
            f"Pair {pair_id} has no text to edit.", ["Its text is gone, or it was not scanned yet."]
        )
    taken = suggestions.text_of(tx, pair_id, suggestion, before) if suggestion else None
    completion = taken if completion is None else completion
    after = before | {
        name: value for name, value in (("prompt", prompt), ("completion", completion)) if value is not None
    }
    if after == before:
        raise UsageError("The edit changes nothing. Give a new prompt or completion.")
    if not after["prompt"].strip() or not after["completion"].strip():
        raise UsageError("Prompt and completion must not be empty. Reject the pair instead.")
    kind = "adjudicated" if fact["flags"] and may(actor, "adjudicate") else "edit"
    [made] = add_revisions(
        tx, actor.user, [after | {"pair_id": pair_id}], kind=kind, guideline_version=guidelines
    )
    if suggestion:
        tx.append("suggestion_uses", [pair_id, made["rev"], suggestion, completion != taken])
    state = tx.one("SELECT updated_seq FROM pair_state WHERE pair_id = ?", [pair_id])
    assert state is not None
    return state["updated_seq"], made["rev"]


def _write_labels(tx: Tx, user: str, pair_id: str, rev: int, values: Mapping[str, Any], seq: int) -> None:
    for name, value in values.items():
        text = canonical_json(value).decode("utf-8", "surrogatepass")
        tx.append("labels", [pair_id, rev, user, name, text, utcnow(), seq])
