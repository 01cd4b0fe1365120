"""`Store`: the only way to the DuckDB file.

Covers: opening with hardening, reads, the single writer with group commit. Does not cover: what one write may
do (`tx`), the schema (`migrations`), replay and chain (`log`), erasing people (`erasure`), nor any rule
about who may do what (`curate.users`, `curate.review`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb
import polars as pl

from curate.errors import GoldpairError, StoreLocked
from curate.store import log
from curate.store.migrations import migrate
from curate.store.tx import Loader, Params, Shared, Tx, bound, dicts

T = TypeVar("T")
GROUP = 256  # at most so many writes share one commit
LINGER = 0.002  # seconds a commit waits for as many writes as the last one had; PostgreSQL's commit_delay


@dataclass
class _Call:
    """One write that waits for the writer."""

    fn: Callable[[Tx], Any]
    future: Future[Any]
    batch: tuple[Loader, str] | None


class Store:
    """One open store file. `open` it, `close` it; safe to share between threads."""

    def __init__(self, path: Path, con: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self.services: dict[str, Any] = {}  # what the server attaches: leases, the re-scan, review contexts
        self._con = con
        self._wal = Path(f"{path}.wal")
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
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
            raise cannot_open(path, str(error)) from error
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
            return dicts(cursor.execute(sql, bound(params)))

    def _reader(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise GoldpairError("The store is closed.")
        return self._con.cursor()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own, for a backup; close it."""
        return self._reader()

    def one(self, sql: str, params: Params = ()) -> dict[str, Any] | None:
        """First row of a query, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def frame(self, sql: str, params: Params = ()) -> pl.DataFrame:
        """A query's result as a polars frame (SELECT only)."""
        with self._reader() as cursor:
            table = cursor.sql(sql, params=bound(params)).to_arrow_table()
            return cast(pl.DataFrame, pl.from_arrow(table))

    def meta(self, key: str) -> str | None:
        """A value of the ``meta`` table (``detector:<task>``, ``schema_version``)."""
        row = self.one("SELECT value FROM meta WHERE key = ?", [key])
        return row["value"] if row else None

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, fn: Callable[[Tx], T], *, batch: tuple[Loader, str] | None = None) -> T:
        """Run ``fn`` in the writer thread and return its result once it is on disk.

        Several callers share one commit. ``fn`` may run twice (when a neighbour in the group failed), so it
        must touch nothing but its Tx; when it raises, nothing of it is kept and the caller gets the
        exception. ``batch`` names what ``fn`` will ask `Tx.loaded` for, a loader
        and a pair id, so that a group loads it together.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("write() inside write(): hand the Tx on instead")
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise GoldpairError("The store is closed.")
            self._queue.put(_Call(fn, future, batch))
        return future.result()

    def _serve(self) -> None:
        con = self._con.cursor()
        running, last = True, 1
        while running:
            group = []
            item = self._queue.get()
            until = time.monotonic() + LINGER
            while item is not None:
                group.append(item)
                if len(group) == GROUP:
                    break
                try:
                    # Those answered together come back together: without a wait the first of them goes alone.
                    patience = until - time.monotonic() if len(group) < last else 0.0
                    item = self._queue.get(timeout=max(0.0, patience))
                except queue.Empty:
                    break
            last = len(group)
            running = item is not None
            if group and not self._commit(con, group):
                for alone in group:
                    self._commit(con, [alone])
        con.close()

    def _commit(self, con: duckdb.DuckDBPyConnection, group: list[_Call]) -> bool:
        """Run a group in one transaction. False: nothing was kept, run its members one by one."""
        shared = Shared(con, self._tail.copy())
        done: list[tuple[Future[Any], Any]] = []
        refused: list[tuple[Future[Any], BaseException]] = []
        alone = len(group) == 1
        begun = False
        try:
            con.execute("BEGIN")
            begun = True
            if not alone:
                _preload(shared, group)
            for call in group:
                tx = Tx(shared)
                try:
                    result = call.fn(tx)
                except BaseException as error:
                    # A refusal that wrote nothing leaves the transaction clean; anything else spoils it.
                    if alone or tx.touched or not isinstance(error, GoldpairError):
                        raise
                    refused.append((call.future, error))
                else:
                    done.append((call.future, result))
            shared.flush()
            con.execute("COMMIT")
        except BaseException as error:
            if begun:
                _rollback(con)
            if alone:
                group[0].future.set_exception(error)
            return alone
        self._tail = shared.tail
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
        return log.differences(self.replay(), self.state())

    def erase(
        self, actor: str, *, pair_ids: Sequence[str] = (), record_ids: Sequence[str] = (), reason: str = ""
    ) -> dict[str, int]:
        """Delete the texts of pairs and records; see `curate.store.erasure.erase`."""
        from curate.store import erasure

        return erasure.erase(self, actor, pair_ids=pair_ids, record_ids=record_ids, reason=reason)


def _preload(shared: Shared, group: list[_Call]) -> None:
    """Load what several callers of a group asked for, once for all of them."""
    wanted: dict[Loader, list[str]] = {}
    for call in group:
        if call.batch is not None:
            wanted.setdefault(call.batch[0], []).append(call.batch[1])
    Tx(shared).states([key for keys in wanted.values() for key in keys])
    for loader, keys in wanted.items():
        if len(set(keys)) > 1:
            found = loader(Tx(shared), list(dict.fromkeys(keys)))
            shared.known.update({(loader, key): value for key, value in found.items()})


def _rollback(con: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(duckdb.Error):  # the engine may have rolled back by itself
        con.execute("ROLLBACK")


def cannot_open(path: Path, message: str) -> GoldpairError:
    """The error to show when the engine could not open a store file: who holds it, or what it said."""
    holder = re.search(r"\(PID (\d+)\)", message)
    if holder:
        return StoreLocked(f"{path} is open in process {holder[1]}. Wait for it, or stop it first.")
    return GoldpairError(f"{path} cannot be opened as a store: {message.splitlines()[0]}")
