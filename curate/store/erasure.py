"""Erasing people: their texts go, the log of what was decided stays verifiable.

Covers: deleting every text and every unsalted hash of pairs and their records, the list of erasures beside
the store (so that a restored backup forgets them again). Does not cover: snapshots, models, job folders and
backups made before: `erase` says which snapshots hold an erased pair's task, so that people can delete and
freeze anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl

from curate.errors import NotFound
from curate.store.tx import utcnow

if TYPE_CHECKING:
    from curate.store.core import Store
    from curate.store.tx import Tx


def erase(
    store: Store, actor: str, *, pair_ids: Sequence[str], record_ids: Sequence[str], reason: str
) -> dict[str, int]:
    """Delete the texts of these pairs and records, of the records behind the pairs and the pairs made of the
    records.

    Written to ``<store>.erasures.jsonl`` first, so that a crash or a restored backup cannot bring a text
    back. Returns ``{"pairs": n, "records": n}``. Raises `NotFound` for an unknown id.
    """
    pairs, records = _closure(store, pair_ids, record_ids)
    for asked, found, what in ((pair_ids, pairs, "pair"), (record_ids, records, "record")):
        unknown = sorted(set(asked) - found)
        if unknown:
            raise NotFound(f"No {what} {', '.join(unknown[:5])}. Nothing was erased.")
    entry = {
        "erasure_id": uuid4().hex,
        "actor": actor,
        "reason": reason,
        "pairs": sorted(pairs),
        "records": sorted(records),
    }
    path = _list_of(store)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(entry) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    store.write(lambda tx: _apply(tx, entry))
    return {"pairs": len(pairs), "records": len(records)}


def reapply(store: Store) -> int:
    """Apply every listed erasure that the file does not know (a crash, a restored backup). Returns how

    many."""
    path = _list_of(store)
    if not path.is_file():
        return 0
    known = {row["erasure_id"] for row in store.rows("SELECT DISTINCT erasure_id FROM erasures")}
    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    missing = [entry for entry in entries if entry["erasure_id"] not in known]
    for entry in missing:
        store.write(lambda tx, entry=entry: _apply(tx, entry))  # type: ignore[misc]
    return len(missing)


def _list_of(store: Store) -> Path:
    return Path(f"{store.path}.erasures.jsonl")


def _closure(store: Store, pair_ids: Iterable[str], record_ids: Iterable[str]) -> tuple[set[str], set[str]]:
    asked = list(pair_ids)
    records = set(record_ids)
    rows = store.rows("SELECT pair_id, record_id FROM pairs WHERE list_contains(?, pair_id)", [asked])
    records |= {row["record_id"] for row in rows if row["record_id"]}
    rows += store.rows(
        "SELECT pair_id, record_id FROM pairs WHERE list_contains(?, record_id)", [sorted(records)]
    )
    known = store.rows("SELECT record_id FROM records WHERE list_contains(?, record_id)", [sorted(records)])
    return {row["pair_id"] for row in rows}, {row["record_id"] for row in known}


def _apply(tx: Tx, entry: dict[str, Any]) -> None:
    pairs, records = entry["pairs"], entry["records"]
    for table in ("revision_text", "surrogates", "comments", "suggestions", "pair_salts", "facts"):
        tx.execute(f"DELETE FROM {table} WHERE list_contains(?, pair_id)", [pairs])
    tx.execute(
        "UPDATE privacy_terms SET term = NULL, removed_by = coalesce(removed_by, ?),"
        " removed_ts = coalesce(removed_ts, ?) WHERE list_contains(?, pair_id)",
        [entry["actor"], utcnow(), pairs],
    )
    tx.execute("DELETE FROM record_text WHERE list_contains(?, record_id)", [records])
    for table in ("revisions", "scans", "approvals"):
        tx.execute(f"UPDATE {table} SET sha256 = NULL WHERE list_contains(?, pair_id)", [pairs])
    tx.execute("UPDATE judgments SET labels = NULL WHERE list_contains(?, pair_id)", [pairs])
    tx.execute("UPDATE labels SET value = NULL WHERE list_contains(?, pair_id)", [pairs])
    tx.execute(
        "UPDATE records SET external_id = NULL, source = 'erased', payload_sha256 = NULL, file = NULL,"
        " file_sha256 = NULL, line = NULL WHERE list_contains(?, record_id)",
        [records],
    )
    tx.execute("UPDATE pairs SET source = 'erased' WHERE list_contains(?, pair_id)", [pairs])
    rows = [("pair", pair) for pair in pairs] + [("record", record) for record in records]
    tx.insert(
        "erasures",
        pl.DataFrame(
            [
                {
                    "erasure_id": entry["erasure_id"],
                    "kind": kind,
                    "id": identifier,
                    "actor": entry["actor"],
                    "reason": entry["reason"],
                    "ts": utcnow(),
                }
                for kind, identifier in rows
            ]
        ),
    )
    known = {
        row["pair_id"]
        for row in tx.rows("SELECT pair_id FROM pair_state WHERE list_contains(?, pair_id)", [pairs])
    }
    tx.transition(
        "erased",
        entry["actor"],
        [
            {
                "pair_id": p,
                "status": "erased",
                "sha256": None,
                "approved": False,
                "approver": None,
                "reason": None,
            }
            for p in pairs
            if p in known
        ],
        erasure=entry["erasure_id"],
    )
