"""`Tx`, one caller's share of a transaction, and `Shared`, what the callers of one commit have in common.

Covers: statements, events, state transitions; buffering of what is only appended, so that a commit shared by
many callers writes each table once. Does not cover: when a transaction begins and ends (`curate.store.core`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import duckdb
import polars as pl

from curate.store import log

Params = Sequence[Any] | Mapping[str, Any]  # positional for ?, named for $name
Loader = Callable[["Tx", Sequence[str]], Mapping[str, Any]]  # keys -> what is known of each, in one go
STATUSES = (
    "raw",  # imported, not scanned yet: no revision
    "held",  # blocked; pair_state.reason says by what
    "ready",  # waits for a reviewer
    "returned",  # back to an annotator
    "approved",
    "rejected",
    "duplicate",  # another member of its cluster was kept
    "expired",  # carries a fact past its date
    "erased",  # texts deleted on a person's request
)
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_NAMES = [name for name in log.STATE_SCHEMA if name != "pair_id"]
_names = count()


def utcnow() -> datetime:
    """Now, UTC, without a zone: how every time is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def bound(params: Params) -> Any:
    return dict(params) if isinstance(params, Mapping) else list(params)


def dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass
class Shared:
    """What one transaction holds back until it is read or committed, for all its callers together."""

    con: duckdb.DuckDBPyConnection
    tail: log.Tail
    events: list[tuple[Any, ...]] = field(default_factory=list)
    rows: dict[str, list[Sequence[Any]]] = field(default_factory=dict)  # table -> rows to append
    states: dict[str, dict[str, Any]] = field(default_factory=dict)  # pair -> its new state
    seen: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # pair -> its state by now
    known: dict[tuple[Loader, str], Any] = field(default_factory=dict)  # what was loaded for the whole group

    def flush(self, sql: str | None = None) -> None:
        """Write out what a statement may look at, or everything."""
        if self.events and (sql is None or "events" in sql):
            events, self.events = self.events, []
            self._append("events", events)
        if self.states and (sql is None or "pair_state" in sql):
            states, self.states = list(self.states.values()), {}
            if len(states) == 1:
                sets = ", ".join(f"{name} = ?" for name in _NAMES)
                values = [*(states[0][name] for name in _NAMES), states[0]["pair_id"]]
                self.con.execute(f"UPDATE pair_state SET {sets} WHERE pair_id = ?", values)
            else:
                sets = ", ".join(f"{name} = f.{name}" for name in _NAMES)
                columns = ", ".join(f"unnest(?) AS {name}" for name in log.STATE_SCHEMA)
                update = f"UPDATE pair_state SET {sets} FROM (SELECT {columns}) f"
                self.con.execute(
                    f"{update} WHERE pair_state.pair_id = f.pair_id",
                    [[state[name] for state in states] for name in log.STATE_SCHEMA],
                )
        for table in [name for name in self.rows if sql is None or name in sql]:
            self._append(table, self.rows.pop(table))

    def _append(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """One list a column: a third of the time of a VALUES row each, of which the engine binds every value."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        self.con.execute(f"INSERT INTO {table} SELECT {', '.join(['unnest(?)'] * len(columns))}", columns)

    def insert(self, table: str, frame: pl.DataFrame, clause: str) -> int:
        done = self.with_frame(f"INSERT INTO {table} BY NAME SELECT * FROM {{frame}}{clause}", frame)
        return int(done[0][0]) if done else 0

    def with_frame(self, sql: str, frame: pl.DataFrame) -> list[tuple[Any, ...]]:
        """Run a statement that names ``{frame}`` as a table."""
        name = f"frame_{next(_names)}"
        self.con.register(name, frame.to_arrow())
        try:
            return list(self.con.execute(sql.format(frame=name)).fetchall())
        finally:
            self.con.unregister(name)


class Tx:
    """One open transaction on the writer thread. Only `Store.write` makes one; never keep it."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.touched = False  # whether this caller wrote anything

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one parametrised statement."""
        self._writes()
        self._shared.flush(sql)
        if "pair_state" in sql:
            self._shared.seen.clear()
        self._shared.con.execute(sql, bound(params))

    def rows(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Rows of a query as this transaction sees them, its own writes included."""
        self._shared.flush(sql)
        return dicts(self._shared.con.execute(sql, bound(params)))

    def one(self, sql: str, params: Params = ()) -> dict[str, Any] | None:
        """First row of a query, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def insert(self, table: str, frame: pl.DataFrame, *, ignore: bool = False) -> int:
        """Append a frame by column name; columns it lacks get their default.

        ``ignore=True`` skips rows whose key exists already. Returns the number of rows added.
        """
        if not _IDENTIFIER.fullmatch(table):
            raise ValueError(f"not a table name: {table!r}")
        if frame.is_empty():
            return 0
        self._writes()
        self._shared.flush(table)
        return self._shared.insert(table, frame, " ON CONFLICT DO NOTHING" if ignore else "")

    def append(self, table: str, row: Sequence[Any]) -> None:
        """Append one row, a value for each column in order; rows of one commit are written together.

        Meant for what no rule looks at: it leaves what `loaded` knows as it is.
        """
        if not _IDENTIFIER.fullmatch(table):
            raise ValueError(f"not a table name: {table!r}")
        self.touched = True
        self._shared.rows.setdefault(table, []).append(list(row))

    def loaded(self, loader: Loader, key: str) -> Any:
        """What ``loader`` tells of one key, None if nothing: loaded once for all callers of the commit that
        named it.

        Whatever a caller of the group writes by `execute` or `insert` makes all of it be loaded anew, a
        `transition` what is known of its pairs.
        """
        known = self._shared.known
        if (loader, key) not in known:
            return loader(self, [key]).get(key)
        return known[loader, key]

    def _writes(self, pairs: Iterable[str] | None = None) -> None:
        self.touched = True
        known = self._shared.known
        if pairs is None:
            known.clear()
        elif known:
            changed = set(pairs)
            for key in [key for key in known if key[1] in changed]:
                del known[key]

    def event(
        self,
        kind: str,
        actor: str,
        *,
        pair_id: str | None = None,
        rev: int | None = None,
        **ids_and_hashes: Any,
    ) -> int:
        """Append one event to the chained log and return its sequence number.

        ``ids_and_hashes`` holds ids, numbers, codes and salted digests; anything that looks like text (a
        space, a line break, more than 200 characters) raises ValueError, because events outlive the people
        they mention.
        """
        log.refuse_text([kind, actor, pair_id, ids_and_hashes])
        row = self._shared.tail.append(utcnow(), actor, kind, pair_id, rev, ids_and_hashes)
        self._shared.events.append(row)
        self.touched = True
        return int(row[0])

    def transition(
        self, kind: str, actor: str, changes: Iterable[Mapping[str, Any]], **ids_and_hashes: Any
    ) -> list[int]:
        """Change the state of pairs: one event a pair, and `pair_state` to match. The only writer of that
        table.

        Each change names ``pair_id`` and any of ``task`` (needed for a new pair), ``status``, ``rev``,
        ``sha256`` (of the new current revision; only its salted digest is kept), ``approver``, ``reason`` (a
        code) and ``approved``: True binds the approval to the pair's digest, False voids it. ``event`` may
        hold a mapping of ids and hashes for that pair alone. What a change does not name stays as it was.
        Returns the events' sequence numbers, in order.
        """
        wanted = [dict(change) for change in changes]
        if not wanted:
            return []
        ids = [str(change["pair_id"]) for change in wanted]
        if len(set(ids)) != len(ids):
            raise ValueError("a pair may change once in a transition")
        now = self.states(ids)
        hashed = [c["pair_id"] for c in wanted if c.get("sha256")]
        salts = {row["pair_id"]: row["salt"] for row in self._by_pair("SELECT s.* FROM pair_salts s", hashed)}
        fresh = {pair: secrets.token_hex(16) for pair in hashed if pair not in salts}
        if fresh:
            self.insert("pair_salts", pl.DataFrame({"pair_id": list(fresh), "salt": list(fresh.values())}))
        salts |= fresh
        seqs: list[int] = []
        new: list[dict[str, Any]] = []
        old: list[dict[str, Any]] = []
        for change in wanted:
            pair = change["pair_id"]
            before = now.get(pair)
            patch: dict[str, Any] = {
                name: change[name]
                for name in ("task", "status", "rev", "approver", "reason")
                if name in change
            }
            if patch.get("status", "raw") not in STATUSES:
                raise ValueError(f"unknown status {patch['status']!r}")
            if before is None and not patch.get("task"):
                raise ValueError(f"new pair {pair} needs its task")
            if "sha256" in change:
                sha = change["sha256"]
                patch["digest"] = log.salted(salts[pair], sha) if sha else None
            if "approved" in change:
                digest = patch.get("digest", before["digest"] if before else None)
                patch["approved_digest"] = digest if change["approved"] else None
            state = log.apply(before, pair, patch)
            seq = self.event(
                kind,
                actor,
                pair_id=pair,
                rev=state["rev"],
                **{**ids_and_hashes, **change.get("event", {})},
                state=patch,
            )
            state["updated_seq"] = seq
            seqs.append(seq)
            (old if before is not None else new).append(state)
        self._writes(ids)
        self._shared.states.update({state["pair_id"]: state for state in old})
        self._shared.seen.update({state["pair_id"]: state for state in [*old, *new]})
        if new:
            self._shared.insert("pair_state", pl.DataFrame(new, schema=log.STATE_SCHEMA), "")
        return seqs

    def states(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Rows of `pair_state` by pair id as this transaction sees them; read once, since only it writes
        them.
        """
        seen = self._shared.seen
        rest = [pair for pair in ids if pair not in seen]
        found = {row["pair_id"]: row for row in self._by_pair("SELECT s.* FROM pair_state s", rest)}
        seen.update({pair: found.get(pair) for pair in rest})
        return {pair: state for pair in ids if (state := seen[pair]) is not None}

    def _by_pair(self, select: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of ``select`` (with alias s) for these pairs, past the buffers."""
        if not ids:
            return []
        con = self._shared.con
        if len(ids) == 1:
            return dicts(con.execute(f"{select} WHERE s.pair_id = ?", [ids[0]]))
        return dicts(con.execute(f"{select} WHERE s.pair_id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)]))
