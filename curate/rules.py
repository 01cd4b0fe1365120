"""The rules of a pair's life: what blocks it, which status follows from the facts, how revisions come to be.

Covers: invariants 1 and 2, for `curate.review`, `curate.findings` and `curate.clusters`, which call `settle`
after they changed a fact. Does not cover: who may decide what (`curate.review`).

Statuses: ``raw`` (no revision) → ``held`` (blocked; ``reason`` is the first blocker's code) → ``ready`` →
``approved | rejected | returned``; ``duplicate``, ``expired``, ``erased`` are ends. An approval is bound to
the digest of its revision: while a blocker turns up later the pair is held, and approved again without a
second look only when the blocker goes away with the text unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curate.contract import canonical_json, pair_sha256
from curate.store import Store, Tx, utcnow

SETTLED_BY_PEOPLE = frozenset({"rejected", "returned", "expired", "erased"})  # `settle` leaves these alone
TEXTS = ("system", "history", "prompt", "completion", "metadata")

_FACTS = """
WITH st AS (SELECT * FROM pair_state WHERE pair_id {among}),
sc AS (SELECT pair_id, rev, arg_max(sha256, ts) AS sha256, arg_max(detector_version, ts) AS detector
       FROM scans WHERE pair_id {among} GROUP BY pair_id, rev),
fi AS (SELECT pair_id, rev, count(*) AS n FROM findings WHERE pair_id {among} AND status = 'open'
       GROUP BY pair_id, rev),
fl AS (SELECT pair_id, rev, count(*) AS n FROM decisions
       WHERE pair_id {among} AND verdict = 'flag' AND undone IS NULL GROUP BY pair_id, rev),
cl AS (SELECT m.pair_id, count(*) FILTER (c.kind = 'duplicate' AND c.status = 'open') AS duplicates,
              count(*) FILTER (c.kind = 'duplicate' AND c.status = 'resolved' AND NOT m.keep) AS dropped,
              list(c.cluster_id) FILTER (c.kind = 'conflict' AND c.status = 'open') AS conflicts
       FROM cluster_members m JOIN clusters c ON c.cluster_id = m.cluster_id
       WHERE m.pair_id {among} GROUP BY m.pair_id)
SELECT st.*, r.sha256, r.author, r.kind, r.guideline_version, sc.sha256 AS scan_sha256, sc.detector,
       coalesce(fi.n, 0) AS findings, coalesce(fl.n, 0) AS flags, coalesce(cl.duplicates, 0) AS duplicates,
       coalesce(cl.dropped, 0) AS dropped, cl.conflicts, me.value AS current_detector
FROM st
LEFT JOIN (SELECT * FROM revisions WHERE pair_id {among}) r ON r.pair_id = st.pair_id AND r.rev = st.rev
LEFT JOIN sc ON sc.pair_id = st.pair_id AND sc.rev = st.rev
LEFT JOIN fi ON fi.pair_id = st.pair_id AND fi.rev = st.rev
LEFT JOIN fl ON fl.pair_id = st.pair_id AND fl.rev = st.rev
LEFT JOIN cl ON cl.pair_id = st.pair_id
LEFT JOIN meta me ON me.key = 'detector:' || st.task
"""


def facts(where: Store | Tx, pair_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Everything the rules look at, by pair id: the state's columns and what blocks it, in one query."""
    if not pair_ids:
        return {}
    one = len(pair_ids) == 1
    # A constant lets the engine use its indexes; a list is joined by hash.
    among = "= $ids" if one else "IN (SELECT unnest($ids::VARCHAR[]))"
    rows = where.rows(_FACTS.replace("{among}", among), {"ids": pair_ids[0] if one else list(pair_ids)})
    rivals = _approved_rivals(where, rows)
    return {row["pair_id"]: row | {"rival": rivals.get(row["pair_id"])} for row in rows}


def _approved_rivals(where: Store | Tx, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Pair -> another approved pair with the same prompt, for pairs in unresolved conflict clusters."""
    clusters = sorted({cluster for row in rows for cluster in row["conflicts"] or []})
    if not clusters:
        return {}
    approved = where.rows(
        "SELECT m.cluster_id, m.pair_id FROM cluster_members m JOIN pair_state s ON s.pair_id = m.pair_id"
        " WHERE m.cluster_id IN (SELECT unnest($ids::VARCHAR[])) AND s.status = 'approved'"
        " ORDER BY m.pair_id",
        {"ids": clusters},
    )
    found = {}
    for row in rows:
        for other in approved:
            if other["cluster_id"] in (row["conflicts"] or []) and other["pair_id"] != row["pair_id"]:
                found[row["pair_id"]] = other["pair_id"]
    return found


def blocking(fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands between this pair and approval, as (code, words); empty when it may be reviewed."""
    if not fact["rev"]:
        return [("not_scanned", "It was not scanned for personal data yet: run `goldpair scan`.")]
    found = []
    if fact["scan_sha256"] is None or fact["scan_sha256"] != fact["sha256"]:
        found.append(
            ("not_scanned", "This revision was not scanned since it was written: run `goldpair scan`.")
        )
    elif fact["detector"] != fact["current_detector"]:
        found.append(("old_scan", "Its last scan is by an older detector: run `goldpair scan`."))
    if fact["findings"]:
        n = fact["findings"]
        found.append(
            ("open_findings", f"{n} finding{'s' if n > 1 else ''} of personal data open: confirm or reject.")
        )
    if fact["duplicates"]:
        found.append(
            ("open_cluster", "It sits in an unresolved duplicate cluster: choose which pair to keep.")
        )
    if fact["flags"]:
        found.append(("flagged", "It was flagged: an adjudicator decides."))
    return found


def in_words(fact: Mapping[str, Any]) -> list[str]:
    """`blocking` in words, with the conflict that stops only the approval."""
    words = [text for _code, text in blocking(fact)]
    if fact["rival"]:
        words.append(
            f"Another completion for the same prompt is approved ({fact['rival']}): "
            "resolve the conflict first."
        )
    return words


def settle(tx: Tx, actor: str, pair_ids: Sequence[str], *, kind: str = "settled") -> int:
    """Bring the status of these pairs in line with the facts; returns how many changed.

    Call it in the same transaction after writing scans, findings, clusters or revisions.
    """
    changes = []
    approved_now: set[str] = set()  # conflict clusters that got an approved member in this very call
    for fact in facts(tx, list(dict.fromkeys(pair_ids))).values():
        if fact["status"] in SETTLED_BY_PEOPLE or not fact["rev"]:
            continue
        change: dict[str, Any] = {"pair_id": fact["pair_id"], "reason": None}
        blocked = blocking(fact)
        conflicts = set(fact["conflicts"] or [])
        if fact["dropped"]:
            change["status"] = "duplicate"
        elif blocked:
            change |= {"status": "held", "reason": blocked[0][0]}
        elif fact["approved_digest"] is None or fact["approved_digest"] != fact["digest"]:
            change["status"] = "ready"
        elif fact["status"] != "approved" and (fact["rival"] or conflicts & approved_now):
            change |= {"status": "ready", "approved": False, "approver": None}
        else:
            change["status"] = "approved"
            approved_now |= conflicts
        if (change["status"], change["reason"]) != (fact["status"], fact["reason"]):
            changes.append(change)
    seqs = tx.transition(kind, actor, changes)
    for change, seq in zip(changes, seqs, strict=True):
        if change.get("approved") is False:
            void_approvals(tx, [change["pair_id"]], seq)
    return len(changes)


def void_approvals(tx: Tx, pair_ids: Sequence[str], seq: int) -> None:
    """Mark every standing approval of these pairs as voided by event ``seq``."""
    tx.execute(
        "UPDATE approvals SET voided = $seq WHERE voided IS NULL AND "
        " pair_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"seq": seq, "ids": list(pair_ids)},
    )


def add_revisions(
    tx: Tx, author: str, rows: Sequence[Mapping[str, Any]], *, kind: str, guideline_version: str = ""
) -> list[dict[str, Any]]:
    """Write one new revision each for existing pairs and make it current; the pairs are held until scanned.

    ``rows``: pair_id, prompt, completion and optionally system, history (list), metadata (dict). ``kind`` is
    ``import | edit | adjudicated``; the author of an import is ``intake``, since no user wrote it. Standing
    approvals are voided. Returns ``{"pair_id", "rev", "sha256"}`` in order. Write the scan, then call
    `settle`.
    """
    ids = [row["pair_id"] for row in rows]
    last = {
        row["pair_id"]: row["rev"]
        for row in tx.rows(
            "SELECT pair_id, max(rev) AS rev FROM revisions WHERE pair_id IN (SELECT unnest($ids::VARCHAR[]))"
            " GROUP BY pair_id",
            {"ids": ids},
        )
    }
    now = utcnow()
    revisions, texts, made = [], [], []
    for row in rows:
        text = {
            "system": row.get("system") or "",
            "history": [dict(turn) for turn in row.get("history") or []],
            "prompt": row["prompt"],
            "completion": row["completion"],
            "metadata": dict(row.get("metadata") or {}),
        }
        rev = last.get(row["pair_id"], 0) + 1
        sha = pair_sha256(**text, guideline_version=guideline_version)
        made.append({"pair_id": row["pair_id"], "rev": rev, "sha256": sha})
        revisions.append(
            made[-1] | {"author": author, "kind": kind, "guideline_version": guideline_version, "ts": now}
        )
        texts.append(
            {"pair_id": row["pair_id"], "rev": rev}
            | text
            | {
                name: canonical_json(text[name]).decode("utf-8", "surrogatepass")
                for name in ("history", "metadata")
            }
        )
    tx.insert("revisions", pl.DataFrame(revisions))
    tx.insert("revision_text", pl.DataFrame(texts))
    reset = {"status": "held", "reason": "not_scanned", "approved": False, "approver": None}
    seqs = tx.transition("revised", author, [row | reset for row in made], revision=kind)
    if seqs:
        void_approvals(tx, ids, seqs[0])
    return made


def texts_of(where: Store | Tx, pair_id: str, rev: int) -> dict[str, Any] | None:
    """system, history (list), prompt, completion, metadata (dict) of one revision; None when erased or

    unknown."""
    row = where.one(
        "SELECT system, history, prompt, completion, metadata FROM revision_text "
        " WHERE pair_id = ? AND rev = ?",
        [pair_id, rev],
    )
    return decoded(row) if row else None


def decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its JSON columns ``history`` and ``metadata`` parsed."""
    return dict(row) | {"history": json.loads(row["history"]), "metadata": json.loads(row["metadata"])}
