"""The event log: what an event may hold, how events chain, how pair states follow from them.

Covers: hashing and verifying the chain, the fold from events to states. Does not cover: writing
(`curate.store.core`), nor finding a log whose *end* was cut off: compare the head with one written down
elsewhere (a backup) for that.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from curate.contract import canonical_json, sha256_hex

GENESIS = "0" * 64
EVENT_SCHEMA: dict[str, Any] = {
    "seq": pl.Int64,
    "ts": pl.Datetime("us"),
    "actor": pl.String,
    "kind": pl.String,
    "pair_id": pl.String,
    "rev": pl.Int32,
    "body": pl.String,
    "prev_hash": pl.String,
    "hash": pl.String,
}
STATE_SCHEMA: dict[str, Any] = {
    "pair_id": pl.String,
    "task": pl.String,
    "status": pl.String,
    "rev": pl.Int32,
    "digest": pl.String,
    "approved_digest": pl.String,
    "approver": pl.String,
    "reason": pl.String,
    "updated_seq": pl.Int64,
}
_CODE = re.compile(r"[\w.:@/+=,#~-]{0,200}")


def refuse_text(value: Any) -> None:
    """Raise ValueError on any string that is not an id, a code, a time or a digest."""
    if isinstance(value, str):
        if not _CODE.fullmatch(value):
            raise ValueError(f"events hold ids and digests, never text: {value[:40]!r}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            refuse_text(key)
            refuse_text(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            refuse_text(inner)
    elif not (value is None or isinstance(value, bool | int | float)):
        raise ValueError(f"events hold plain JSON values, not {type(value).__name__}")


def salted(salt: str, sha256: str) -> str:
    """HMAC-SHA256 of a content hash: means nothing once the pair's salt is deleted."""
    return hmac.digest(salt.encode(), sha256.encode(), "sha256").hex()


def event_hash(
    prev: str, seq: int, ts: datetime, actor: str, kind: str, pair_id: str | None, rev: int | None, body: str
) -> str:
    """SHA-256 over the predecessor's hash and every column of the event."""
    return sha256_hex(canonical_json([prev, seq, ts.isoformat(), actor, kind, pair_id, rev, body]))


@dataclass
class Tail:
    """End of the chain: what the next event is linked to."""

    seq: int
    hash: str

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> Tail:
        row = con.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return cls(*row) if row else cls(0, GENESIS)

    def copy(self) -> Tail:
        return Tail(self.seq, self.hash)

    def append(
        self,
        ts: datetime,
        actor: str,
        kind: str,
        pair_id: str | None,
        rev: int | None,
        body: Mapping[str, Any],
    ) -> tuple[Any, ...]:
        """The next event's row, columns EVENT_SCHEMA."""
        text = canonical_json(body).decode()
        prev, self.seq = self.hash, self.seq + 1
        self.hash = event_hash(prev, self.seq, ts, actor, kind, pair_id, rev, text)
        return self.seq, ts, actor, kind, pair_id, rev, text, prev, self.hash


def apply(before: Mapping[str, Any] | None, pair_id: str, patch: Mapping[str, Any]) -> dict[str, Any]:
    """State after one event: columns STATE_SCHEMA, ``updated_seq`` still the old one."""
    state = (
        dict(before)
        if before
        else dict.fromkeys(STATE_SCHEMA) | {"pair_id": pair_id, "status": "raw", "rev": 0}
    )
    state.update(patch)
    return state


def replay(events: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Fold events (seq, pair_id, body; in order) into states, ordered by pair id."""
    states: dict[str, dict[str, Any]] = {}
    for event in events:
        patch = json.loads(event["body"]).get("state")
        if patch is not None:
            pair = event["pair_id"]
            states[pair] = apply(states.get(pair), pair, patch) | {"updated_seq": event["seq"]}
    return pl.DataFrame([states[pair] for pair in sorted(states)], schema=STATE_SCHEMA)


def differences(told: pl.DataFrame, kept: pl.DataFrame) -> list[str]:
    """Pairs whose state in the table (``kept``) is not the one that the events give (``told``), in words."""
    if told.equals(kept):
        return []
    both = told.join(kept, on="pair_id", how="full", coalesce=True, nulls_equal=True, suffix="_table")
    names = [name for name in STATE_SCHEMA if name != "pair_id"]
    return [
        f"pair {row['pair_id']}: its state is not the one its events give ("
        + ", ".join(name for name in names if row[name] != row[f"{name}_table"])
        + ")"
        for row in both.iter_rows(named=True)
        if any(row[name] != row[f"{name}_table"] for name in names)
    ]


def verify(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Problems of a chain given as rows of ``events`` in order."""
    problems, prev, expected = [], GENESIS, 1
    for e in events:
        if e["seq"] != expected:
            problems.append(f"event {expected}: missing (next is {e['seq']})")
        if e["prev_hash"] != prev:
            problems.append(f"event {e['seq']}: does not follow its predecessor")
        own = event_hash(
            e["prev_hash"], e["seq"], e["ts"], e["actor"], e["kind"], e["pair_id"], e["rev"], e["body"]
        )
        if own != e["hash"]:
            problems.append(f"event {e['seq']}: changed after it was written")
        prev, expected = e["hash"], e["seq"] + 1
    return problems
