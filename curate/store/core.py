"""`Store` and `Tx`: the only way to the DuckDB file.

Covers: opening with hardening, reads, the single writer with group commit, events and state transitions.
Does not cover: the schema (`migrations`), replay and chain (`log`), erasing people (`erasure`), nor any rule
about who may do what (`curate.users`, `curate.review`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb
import polars as pl

from curate.errors import GoldpairError, StoreLocked
from curate.store import log
from curate.store.migrations import migrate

T = TypeVar("T")
Params = Sequence[Any] | Mapping[str, Any]  # positional for ?, named for $name
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
GROUP = 256  # at most so many writes share one commit
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_names = count()


def utcnow() -> datetime:
    """Now, UTC, without a zone: how every time is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


class Tx:
    """One open transaction on the writer thread. Only `Store.write` makes one; never keep it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, tail: log.Tail) -> None:
        self._con = con
        self._tail = tail
        self._pending: list[tuple[Any, ...]] = []  # events not yet inserted
        self.touched = False  # whether anything was written since the transaction began

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run one parametrised statement."""
        self._run(sql, params, writes=True)

    def rows(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Rows of a query as this transaction sees them, its own writes included."""
        return _dicts(self._run(sql, params, writes=False))

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
        name = f"frame_{next(_names)}"
        self._con.register(name, frame.to_arrow())
        try:
            clause = " ON CONFLICT DO NOTHING" if ignore else ""
            done = self._run(
                f"INSERT INTO {table} BY NAME SELECT * FROM {name}{clause}", (), writes=True
            ).fetchone()
        finally:
            self._con.unregister(name)
        return int(done[0]) if done else 0

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
        row = self._tail.append(utcnow(), actor, kind, pair_id, rev, ids_and_hashes)
        self._pending.append(row)
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
        now = {row["pair_id"]: row for row in self._by_pair("SELECT s.* FROM pair_state s", ids)}
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
        if len(old) == 1:
            self._update_state(old[0])
        elif old:
            self._update_states(old)
        if new:
            self.insert("pair_state", pl.DataFrame(new, schema=log.STATE_SCHEMA))
        return seqs

    def _update_state(self, state: dict[str, Any]) -> None:
        names = [name for name in log.STATE_SCHEMA if name != "pair_id"]
        sets = ", ".join(f"{name} = ?" for name in names)
        self.execute(
            f"UPDATE pair_state SET {sets} WHERE pair_id = ?", [*(state[n] for n in names), state["pair_id"]]
        )

    def _update_states(self, states: list[dict[str, Any]]) -> None:
        names = [name for name in log.STATE_SCHEMA if name != "pair_id"]
        view = f"frame_{next(_names)}"
        self._con.register(view, pl.DataFrame(states, schema=log.STATE_SCHEMA).to_arrow())
        try:
            sets = ", ".join(f"{name} = f.{name}" for name in names)
            self.execute(f"UPDATE pair_state SET {sets} FROM {view} f WHERE pair_state.pair_id = f.pair_id")
        finally:
            self._con.unregister(view)

    def _by_pair(self, select: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of ``select`` (with alias s) for these pairs; by key for a few, by join for many."""
        if not ids:
            return []
        if len(ids) <= 16:
            return self.rows(f"{select} WHERE s.pair_id IN ({', '.join('?' * len(ids))})", list(ids))
        name = f"frame_{next(_names)}"
        self._con.register(name, pl.DataFrame({"pair_id": list(ids)}).to_arrow())
        try:
            return self.rows(f"{select} JOIN {name} f ON s.pair_id = f.pair_id")
        finally:
            self._con.unregister(name)

    def _run(self, sql: str, params: Params, *, writes: bool) -> duckdb.DuckDBPyConnection:
        if self._pending and "events" in sql:
            self.flush()
        self.touched = self.touched or writes
        return self._con.execute(sql, _bound(params))

    def flush(self) -> None:
        """Write out buffered events (the writer does it before every commit)."""
        pending, self._pending = self._pending, []
        if len(pending) <= 4:
            for row in pending:
                self._con.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(row))
        else:
            self.insert("events", pl.DataFrame(pending, schema=log.EVENT_SCHEMA, orient="row"))


class Store:
    """One open store file. `open` it, `close` it; safe to share between threads."""

    def __init__(self, path: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self.services: dict[str, Any] = {}  # what the server attaches: leases, the re-scan, review contexts
        self._con = con
        self._wal = Path(f"{path}.wal")
        self._queue: queue.SimpleQueue[tuple[Callable[[Tx], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._tail = log.Tail.read(con)
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open the file, making it (mode 0600) and bringing its schema up to date where needed.

        The engine is closed to the outside afterwards: no file but this one and ``backups/`` beside it, no
        extension, no setting can change. Raises `StoreLocked` naming the process that holds the file.
        """
        path = Path(path).resolve()
        if not path.parent.is_dir():
            raise GoldpairError(f"{path.parent} does not exist. `goldpair init DIR` makes a workspace.")
        before = os.umask(0o077)
        try:
            # An older file format than the engine's own, so that one may go back to an earlier engine.
            con = duckdb.connect(str(path), config={"storage_compatibility_version": "v1.5.0"})
        except duckdb.IOException as error:
            raise _cannot_open(path, str(error)) from error
        finally:
            os.umask(before)
        try:
            path.chmod(0o600)
            backups = str(path.parent / "backups").replace("'", "''")
            con.execute(f"SET allowed_directories = ['{backups}']")
            for setting in (
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                "enable_external_access = false",
                "preserve_insertion_order = true",
                "lock_configuration = true",
            ):
                con.execute(f"SET {setting}")
            migrate(con)
            store = cls(path, con)
        except BaseException:
            con.close()
            raise
        from curate.store import erasure

        erasure.reapply(store)
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the writes that wait, then close the file. A second call does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._con.close()
        atexit.unregister(self.close)

    # -- reading ---------------------------------------------------------------------------------------------

    def rows(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Rows of a parametrised query on a cursor of its own: the last committed state, from any thread."""
        with self._reader() as cursor:
            return _dicts(cursor.execute(sql, _bound(params)))

    def _reader(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise GoldpairError("The store is closed.")
        return self._con.cursor()

    def one(self, sql: str, params: Params = ()) -> dict[str, Any] | None:
        """First row of a query, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def frame(self, sql: str, params: Params = ()) -> pl.DataFrame:
        """A query's result as a polars frame (SELECT only)."""
        with self._reader() as cursor:
            table = cursor.sql(sql, params=_bound(params)).to_arrow_table()
            return cast(pl.DataFrame, pl.from_arrow(table))

    def meta(self, key: str) -> str | None:
        """A value of the ``meta`` table (``detector:<task>``, ``schema_version``)."""
        row = self.one("SELECT value FROM meta WHERE key = ?", [key])
        return row["value"] if row else None

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, fn: Callable[[Tx], T]) -> T:
        """Run ``fn`` in the writer thread and return its result once it is on disk.

        Several callers share one commit. ``fn`` may run twice (when a neighbour in the group failed), so it
        must touch nothing but its Tx; when it raises, nothing of it is kept and the caller gets the
        exception.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("write() inside write(): hand the Tx on instead")
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise GoldpairError("The store is closed.")
            self._queue.put((fn, future))
        return future.result()

    def _serve(self) -> None:
        con = self._con.cursor()
        running = True
        while running:
            group = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) == GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            running = item is not None
            if group and not self._commit(con, group):
                for alone in group:
                    self._commit(con, [alone])
        con.close()

    def _commit(
        self, con: duckdb.DuckDBPyConnection, group: list[tuple[Callable[[Tx], Any], Future[Any]]]
    ) -> bool:
        """Run a group in one transaction. False: nothing was kept, run its members one by one."""
        tail = self._tail.copy()
        done: list[tuple[Future[Any], Any]] = []
        refused: list[tuple[Future[Any], BaseException]] = []
        alone = len(group) == 1
        begun = False
        try:
            con.execute("BEGIN")
            begun = True
            for fn, future in group:
                tx = Tx(con, tail)
                try:
                    result = fn(tx)
                    tx.flush()
                except BaseException as error:
                    # A refusal that wrote nothing leaves the transaction clean; anything else spoils the
                    # group.
                    if alone or tx.touched or not isinstance(error, GoldpairError):
                        raise
                    refused.append((future, error))
                else:
                    done.append((future, result))
            con.execute("COMMIT")
        except BaseException as error:
            if begun:
                _rollback(con)
            if alone:
                group[0][1].set_exception(error)
            return alone
        self._tail = tail
        if self._wal.exists():
            self._wal.chmod(0o600)  # the engine makes it with the process's umask
        for future, result in done:
            future.set_result(result)
        for future, refusal in refused:
            future.set_exception(refusal)
        return True

    # -- the log ---------------------------------------------------------------------------------------------

    def replay(self) -> pl.DataFrame:
        """Every pair's state derived from the event log alone; equals the table `pair_state`, ordered by

        id."""
        return log.replay(
            self.rows("SELECT seq, pair_id, body FROM events WHERE pair_id IS NOT NULL ORDER BY seq")
        )

    def state(self) -> pl.DataFrame:
        """The table `pair_state`, ordered by id, in the columns of `replay`."""
        return self.frame("SELECT * FROM pair_state ORDER BY pair_id")

    def verify_chain(self) -> list[str]:
        """Every way in which the event log is not the unbroken chain that was written; an empty list

        means intact."""
        return log.verify(self.rows("SELECT * FROM events ORDER BY seq"))

    def verify_replay(self) -> list[str]:
        """Every pair whose state in the table is not the one that the event log gives; empty means equal."""
        told, kept = self.replay(), self.state()
        if told.equals(kept):
            return []
        both = told.join(kept, on="pair_id", how="full", coalesce=True, nulls_equal=True, suffix="_table")
        names = [name for name in log.STATE_SCHEMA if name != "pair_id"]
        return [
            f"pair {row['pair_id']}: its state is not the one its events give ("
            + ", ".join(name for name in names if row[name] != row[f"{name}_table"])
            + ")"
            for row in both.iter_rows(named=True)
            if any(row[name] != row[f"{name}_table"] for name in names)
        ]

    def erase(
        self, actor: str, *, pair_ids: Sequence[str] = (), record_ids: Sequence[str] = (), reason: str = ""
    ) -> dict[str, int]:
        """Delete the texts of pairs and records; see `curate.store.erasure.erase`."""
        from curate.store import erasure

        return erasure.erase(self, actor, pair_ids=pair_ids, record_ids=record_ids, reason=reason)


def _bound(params: Params) -> Any:
    return dict(params) if isinstance(params, Mapping) else list(params)


def _dicts(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _rollback(con: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(duckdb.Error):  # the engine may have rolled back by itself
        con.execute("ROLLBACK")


def _cannot_open(path: Path, message: str) -> GoldpairError:
    holder = re.search(r"\(PID (\d+)\)", message)
    if holder:
        return StoreLocked(
            f"{path} is open in process {holder[1]}. Use its server (`goldpair --server`), or stop it first."
        )
    return GoldpairError(f"{path} cannot be opened as a store: {message.splitlines()[0]}")
