"""The rules of a pair's life: what blocks it, which status follows from the facts, how revisions come to be.

Covers: invariants 1 and 2, for `curate.review`, `curate.findings` and `curate.clusters`, which call `settle`
after they changed a fact. Does not cover: who may decide what (`curate.review`).

Statuses: ``raw`` (no revision) → ``held`` (blocked; ``reason`` is the first blocker's code) → ``ready`` →
``approved | rejected | returned``; ``duplicate`` and ``expired`` follow from facts as well; ``erased`` is the
end. An approval is bound to the digest of its revision: while a blocker turns up later the pair is held, and
is approved again without a second look only when the blocker goes away with the text unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curate.contract import canonical_json, pair_sha256
from curate.store import Store, Tx, utcnow

SETTLED_BY_PEOPLE = frozenset({"rejected", "returned", "erased"})  # `settle` leaves these alone
TEXTS = ("system", "history", "prompt", "completion", "metadata")

# Everything about a pair but its state, as rows of one shape: one query costs half of what six small ones do.
_AROUND = """
SELECT 'pair' AS what, pair_id, 0 AS rev, NULL AS a, NULL AS b, NULL AS c, expires AS ts
FROM pairs WHERE pair_id {among}
UNION ALL SELECT 'revision', pair_id, rev, sha256, author, guideline_version, NULL
FROM revisions WHERE pair_id {among}
UNION ALL SELECT 'scan', pair_id, rev, sha256, detector_version, NULL, ts FROM scans WHERE pair_id {among}
UNION ALL SELECT 'finding', pair_id, rev, NULL, NULL, NULL, NULL
FROM findings WHERE pair_id {among} AND status = 'open'
UNION ALL SELECT 'flag', pair_id, rev, NULL, NULL, NULL, NULL
FROM decisions WHERE pair_id {among} AND verdict = 'flag' AND undone IS NULL AND settled IS NULL
UNION ALL SELECT 'judged', pair_id, rev, actor, verdict, CASE WHEN disputed THEN 'disputed' END, NULL
FROM judgments WHERE pair_id {among} AND kind = 'overlap' AND undone IS NULL AND settled IS NULL
UNION ALL SELECT 'member', pair_id, keep::INTEGER, cluster_id, NULL, NULL, NULL
FROM cluster_members WHERE pair_id {among}
UNION ALL SELECT 'detector', key, 0, value, NULL, NULL, NULL FROM meta WHERE starts_with(key, 'detector:')
"""


def facts(where: Store | Tx, pair_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Everything the rules look at, by pair id.

    The columns of ``pair_state`` and: sha256, author, guideline_version of the current revision; scan_sha256,
    detector of its last scan; current_detector of the task; findings, flags, duplicates (open, each a number);
    judges (who judged it blind, unsettled), disputed (they differ); dropped (another pair of its cluster was
    kept); conflicts (open conflict clusters); rival (an approved pair in one of them); expires.
    """
    if not pair_ids:
        return {}
    one = len(pair_ids) == 1
    # A constant lets the engine use its indexes; a list is joined by hash.
    among = "= $ids" if one else "IN (SELECT unnest($ids::VARCHAR[]))"
    bound = {"ids": pair_ids[0] if one else list(pair_ids)}
    states = (
        list(where.states(pair_ids).values())
        if isinstance(where, Tx)
        else where.rows(f"SELECT * FROM pair_state WHERE pair_id {among}", bound)
    )
    around: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in where.rows(_AROUND.replace("{among}", among), bound):
        around.setdefault(row["pair_id"], {}).setdefault(row["what"], []).append(row)
    clusters = _clusters(where, [row["a"] for of in around.values() for row in of.get("member", [])])
    result = {}
    for state in states:
        of = around.get(state["pair_id"], {})
        now = {what: [row for row in rows if row["rev"] == state["rev"]] for what, rows in of.items()}
        revision = now.get("revision", [{}])[:1] or [{}]
        scan = max(now.get("scan", []), key=lambda row: row["ts"], default={})
        mine = [(clusters[row["a"]], row["rev"]) for row in of.get("member", [])]
        detector = around.get(f"detector:{state['task']}", {}).get("detector", [{}])[0]
        result[state["pair_id"]] = state | {
            "sha256": revision[0].get("a"),
            "author": revision[0].get("b"),
            "guideline_version": revision[0].get("c"),
            "scan_sha256": scan.get("a"),
            "detector": scan.get("b"),
            "current_detector": detector.get("a"),
            "findings": len(now.get("finding", [])),
            "flags": len(now.get("flag", [])),
            "judges": [row["a"] for row in now.get("judged", [])],
            "disputed": any(row["c"] for row in now.get("judged", [])),
            "duplicates": sum((c["kind"], c["status"]) == ("duplicate", "open") for c, _ in mine),
            "dropped": any(
                c["kind"] in ("duplicate", "paraphrase") and c["status"] == "resolved" and keep == 0
                for c, keep in mine
            ),
            "conflicts": [
                c["cluster_id"] for c, _ in mine if (c["kind"], c["status"]) == ("conflict", "open")
            ],
            "expires": of["pair"][0]["ts"] if "pair" in of else None,
        }
    rivals = _approved_rivals(where, list(result.values()))
    return {pair: fact | {"rival": rivals.get(pair)} for pair, fact in result.items()}


def _clusters(where: Store | Tx, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    rows = where.rows(
        "SELECT cluster_id, kind, status FROM clusters WHERE cluster_id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": sorted(set(ids))},
    )
    return {row["cluster_id"]: row for row in rows}


def _approved_rivals(where: Store | Tx, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Pair -> another approved pair with the same prompt, for pairs in unresolved conflict clusters."""
    clusters = sorted({cluster for row in rows for cluster in row["conflicts"]})
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
            if other["cluster_id"] in row["conflicts"] and other["pair_id"] != row["pair_id"]:
                found[row["pair_id"]] = other["pair_id"]
    return found


def blocking(fact: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands between this pair and approval, as (code, words); empty when it may be reviewed."""
    if expired(fact):
        return [("expired", f"It carries a fact that expired on {fact['expires']:%Y-%m-%d}.")]
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
    if fact["disputed"]:
        found.append(("disputed", "Two people judged it differently: a third one decides."))
    return found


def expired(fact: Mapping[str, Any]) -> bool:
    """Whether the pair carries a fact past its date."""
    return fact["expires"] is not None and fact["expires"] <= utcnow()


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
        conflicts = set(fact["conflicts"])
        if expired(fact):
            change["status"] = "expired"
        elif fact["dropped"]:
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
    seqs = tx.transition(kind, author, [row | reset for row in made])
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
