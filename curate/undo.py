"""Taking a decision back: a compensating event, never a deletion.

Covers: undo of the actor's own last decisions. Does not cover: changing what somebody else decided; that is a
new decision (`curate.review.decide`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from curate import overlap
from curate.errors import RefusedError, UsageError
from curate.facts import classes
from curate.leases import LeaseBook
from curate.rules import settle, void_approvals
from curate.store import Store, Tx, utcnow
from curate.users import Actor, require

UNDO = 10  # how many of one's own last decisions can be taken back


def undo(store: Store, actor: Actor) -> dict[str, Any]:
    """Take back the actor's latest decision that still stands, one of their last ten; a new event, nothing is
    deleted.

    An undone edit comes back as a new revision with the earlier text, its author and its scan. An approval
    that the undone decision had voided stands again, unless something blocks the pair by now; one voided by
    an edit does not. Returns ``{"undone", "verdict", "pair_id", "rev", "status"}``. Raises `UsageError` when
    nothing is left to undo, `RefusedError` when somebody else decided on the pair since.
    """
    require(actor, "annotate")

    def write(tx: Tx) -> dict[str, Any]:
        last = tx.rows(
            "SELECT * FROM decisions WHERE actor = ? ORDER BY seq DESC LIMIT ?", [actor.user, UNDO]
        )
        found = next((row for row in last if row["undone"] is None), None)
        if found is None:
            raise UsageError(f"Nothing to undo among your last {UNDO} decisions.")
        return _take_back(tx, actor, found)

    return _done(store, actor, store.write(write))


def undo_decision(store: Store, actor: Actor, seq: int) -> dict[str, Any]:
    """`undo` of one decision of the actor's, however long ago. Raises `UsageError` when it does not stand."""
    require(actor, "annotate")

    def write(tx: Tx) -> dict[str, Any]:
        found = tx.one(
            "SELECT * FROM decisions WHERE seq = ? AND actor = ? AND undone IS NULL", [seq, actor.user]
        )
        if found is None:
            raise UsageError(f"Decision {seq} is not yours, or was taken back already.")
        return _take_back(tx, actor, found)

    return _done(store, actor, store.write(write))


def _done(store: Store, actor: Actor, result: dict[str, Any]) -> dict[str, Any]:
    book = LeaseBook.of(store)
    book.unskip(actor.user, result["pair_id"])
    book.claim(actor.user, [result["pair_id"]], 1)
    return result


def _take_back(tx: Tx, actor: Actor, found: Mapping[str, Any]) -> dict[str, Any]:
    pair_id, verdict = found["pair_id"], found["verdict"]
    if verdict == classes.VERDICT:
        return classes.take_back(tx, actor, found)
    later = tx.one(
        "SELECT actor, verdict FROM decisions WHERE pair_id = ? AND seq > ? AND undone IS NULL"
        " AND verdict NOT IN ('skip', 'judge', 'classify') ORDER BY seq DESC",
        [pair_id, found["seq"]],
    )
    state = tx.one("SELECT * FROM pair_state WHERE pair_id = ?", [pair_id])
    assert state is not None
    if verdict != "skip" and later is not None:
        raise RefusedError(
            f"{later['actor']} decided on pair {pair_id} since ({later['verdict']}). Ask them.",
            ["A later decision stands."],
        )
    if verdict != "skip" and (state["status"] in ("erased", "expired") or state["rev"] != found["rev"]):
        raise RefusedError(
            f"Pair {pair_id} has another text by now, or none. Decide on it again.",
            ["The text changed since."],
        )
    before = json.loads(found["before"])
    quiet = verdict == "skip" or (verdict == "judge" and state["status"] == before["status"])
    if verdict == "judge" and not quiet:
        other = "SELECT 1 AS x FROM judgments WHERE pair_id = ? AND seq > ? AND actor <> ? AND undone IS NULL"
        if tx.one(other, [pair_id, found["seq"], actor.user]):
            raise RefusedError(
                f"Somebody else judged pair {pair_id} since, and a third person decides.",
                ["A later judgment stands."],
            )
    if quiet:
        seq = tx.event("undo", actor.user, pair_id=pair_id, rev=found["rev"], undoes=found["seq"])
    elif verdict == "edit":
        seq = _restore_text(tx, actor.user, pair_id, before, found["seq"])
    else:
        seq = _restore_state(tx, actor.user, pair_id, verdict, before, found["seq"])
    tx.execute("UPDATE decisions SET undone = ? WHERE seq = ?", [seq, found["seq"]])
    if verdict in ("judge", "approve", "reject", "return"):
        overlap.taken_back(tx, pair_id, found["seq"], seq)
    settle(tx, actor.user, [pair_id])
    after = tx.one("SELECT status, rev FROM pair_state WHERE pair_id = ?", [pair_id])
    assert after is not None
    return {"undone": found["seq"], "verdict": verdict, "pair_id": pair_id, **after}


def _restore_state(
    tx: Tx, user: str, pair_id: str, verdict: str, before: Mapping[str, Any], undoes: int
) -> int:
    # An approval comes back as held: `settle` gives it again only if nothing blocks the pair.
    back = "held" if before["status"] == "approved" else before["status"]
    change = {
        "pair_id": pair_id,
        "status": back,
        "reason": before["reason"],
        "approved": before["approved"],
        "approver": before["approver"],
    }
    [seq] = tx.transition("undo", user, [change], undoes=undoes, verdict=verdict)
    if verdict == "approve":
        void_approvals(tx, [pair_id], seq)
        tx.execute("UPDATE decisions SET settled = NULL WHERE settled = ? AND verdict = 'flag'", [undoes])
    elif before["approved"]:
        tx.execute("UPDATE approvals SET voided = NULL WHERE pair_id = ? AND voided = ?", [pair_id, undoes])
    return seq


def _restore_text(tx: Tx, user: str, pair_id: str, before: Mapping[str, Any], undoes: int) -> int:
    old = before["rev"]
    found = tx.one("SELECT * FROM revisions WHERE pair_id = ? AND rev = ?", [pair_id, old])
    top = tx.one("SELECT max(rev) AS rev FROM revisions WHERE pair_id = ?", [pair_id])
    assert found is not None and top is not None
    new = top["rev"] + 1
    tx.execute(
        "INSERT INTO revisions SELECT pair_id, ?, sha256, author, kind, guideline_version, ? FROM revisions"
        " WHERE pair_id = ? AND rev = ?",
        [new, utcnow(), pair_id, old],
    )
    for columns, table in (
        ("system, history, prompt, completion, metadata", "revision_text"),
        ("sha256, detector_version, policy_hash, open_findings, ts", "scans"),
        ("field, start, stop, entity_type, surrogate", "surrogates"),
        ("suggestion_id, changed", "suggestion_uses"),
    ):
        tx.execute(
            f"INSERT INTO {table} (pair_id, rev, {columns}) SELECT pair_id, ?, {columns} FROM {table}"
            " WHERE pair_id = ? AND rev = ?",
            [new, pair_id, old],
        )
    tx.execute(
        "INSERT INTO findings SELECT finding_id || '~' || ?, pair_id, ?, field, start, stop, entity_type, score,"
        " recognizer, detector_version, status, decided_by, ts FROM findings WHERE pair_id = ? AND rev = ?",
        [str(new), new, pair_id, old],
    )
    status = "held" if before["status"] in ("approved", "ready") else before["status"]
    change = {
        "pair_id": pair_id,
        "rev": new,
        "sha256": found["sha256"],
        "status": status,
        "reason": before["reason"],
        "approved": False,
        "approver": None,
    }
    [seq] = tx.transition("undo", user, [change], undoes=undoes, verdict="edit", restores=old)
    void_approvals(tx, [pair_id], seq)
    return seq
