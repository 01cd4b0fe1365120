"""Backups of the store: one file with its manifest, restored or checked without the server.

Covers: a copy taken while people work, proof that copy and source hold the same rows, checking a backup by
itself, putting one in place of the store, compaction. Does not cover: the other folders of a workspace (copy
them), the secret key (kept apart, as `docs/workspace.md` says), nor who may do it (`curate.ops`).

A backup made before an erasure still holds the erased text, and so does the unused space of the store until it
is compacted. Restoring it applies the list of erasures beside
the store again, as `curate.store.erasure` does on every opening.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import polars as pl

from curate.errors import GoldpairError, NotFound, RefusedError, StoreLocked
from curate.store import log
from curate.store.tx import dicts, utcnow

if TYPE_CHECKING:
    from curate.store.core import Store

FORMAT = "v1.5.0"  # of the file, as `Store.open` makes them


def backup(store: Store, name: str | None = None) -> dict[str, Any]:
    """Copy the open store into ``backups/`` beside it, while others read and write; returns the manifest.

    The copy is one moment of the store: what was committed before it began. Both sides are hashed row by row
    and compared before the copy gets its name. Manifest: ``name``, ``path``, ``created``, ``bytes``,
    ``schema_version``, ``events``, ``head`` (hash of the last event), ``content_sha256`` and ``tables`` (rows
    and sha256 by table). Raises `RefusedError` when the copy differs.
    """
    folder = store.path.parent / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    now = utcnow()
    path = folder / (name or f"store-{now:%Y%m%d-%H%M%S-%f}.duckdb")
    if path.exists():
        raise GoldpairError(f"{path} exists already. Choose another name.")
    part = path.with_name(path.name + ".part")
    try:
        source = _copy(store.cursor(), part)
        found = examine(part)
        if found["problems"] or found["tables"] != source:
            raise RefusedError("The copy is not what the store holds. Try again.", found["problems"])
        manifest = {"name": path.name, "created": now.isoformat(), "bytes": part.stat().st_size} | {
            key: found[key] for key in ("schema_version", "events", "head", "content_sha256", "tables")
        }
        _write_whole(manifest_of(path), json.dumps(manifest, indent=1).encode())
        part.replace(path)
    except duckdb.Error as error:
        raise GoldpairError(f"The backup failed: {str(error).splitlines()[0]}") from error
    finally:
        part.unlink(missing_ok=True)
    return manifest | {"path": str(path)}


def backups(folder: Path) -> list[dict[str, Any]]:
    """Manifests of the backups in a folder, newest first, each with its ``path``."""
    found = []
    for path in folder.glob("*.duckdb"):
        with contextlib.suppress(OSError, ValueError):
            found.append(json.loads(manifest_of(path).read_text("utf-8")) | {"path": str(path)})
    return sorted(found, key=lambda row: str(row.get("created")), reverse=True)


def manifest_of(path: Path) -> Path:
    """Where the manifest of a backup file lies."""
    return path.with_name(path.name + ".json")


def missing_heads(store: Store) -> list[str]:
    """Backups whose last event the log no longer holds: its end was cut off.

    Backups made before the last restore are left out: a restore goes back on purpose, and says so in the log.
    """
    since = store.one("SELECT max(ts) AS ts FROM events WHERE kind = 'restored'")
    restored = since["ts"].isoformat() if since and since["ts"] else ""
    problems = []
    for row in backups(store.path.parent / "backups"):
        if str(row.get("created")) <= restored or not row.get("events"):
            continue
        held = store.one("SELECT hash FROM events WHERE seq = ?", [row["events"]])
        if held is None or held["hash"] != row.get("head"):
            problems.append(f"event {row['events']}: backup {row['name']} knows it, the log does not")
    return problems


def examine(path: Path) -> dict[str, Any]:
    """Everything that can be checked of a store file by itself, opened for reading only.

    Returns ``events``, ``head``, ``schema_version``, ``tables``, ``content_sha256`` and ``problems``: a broken
    chain, a state that is not the one its events give, a difference from the manifest beside it. Raises
    `NotFound`, `GoldpairError` when it is no store.
    """
    if not path.is_file():
        raise NotFound(f"No file {path}. `goldpair backup --list` shows the backups of a workspace.")
    try:
        with _opened(path, read_only=True) as con:
            return _examined(con, path)
    except duckdb.Error as error:
        raise GoldpairError(f"{path} is no store of Goldpair: {str(error).splitlines()[0]}") from error


def _examined(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, Any]:
    events = dicts(con.execute("SELECT * FROM events ORDER BY seq"))
    told = log.replay([event for event in events if event["pair_id"] is not None])
    kept = pl.from_arrow(con.sql("SELECT * FROM pair_state ORDER BY pair_id").to_arrow_table())
    assert isinstance(kept, pl.DataFrame)
    version = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    tables = content(con)
    found = {
        "events": len(events),
        "head": events[-1]["hash"] if events else log.GENESIS,
        "schema_version": int(version[0]) if version else 0,
        "tables": tables,
        "content_sha256": overall(tables),
        "erasures": con.execute("SELECT count(DISTINCT erasure_id) FROM erasures").fetchall()[0][0],
        "problems": log.verify(events) + log.differences(told, kept),
    }
    with contextlib.suppress(FileNotFoundError):
        try:
            manifest = json.loads(manifest_of(path).read_text("utf-8"))
            for key in ("events", "head", "content_sha256"):
                if manifest[key] != found[key]:
                    found["problems"].append(f"{key} is not the one that the manifest beside the file names")
        except (ValueError, KeyError, TypeError):
            found["problems"].append("the manifest beside the file cannot be read")
    return found


def content(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Rows and a digest of every table of a connection's database: equal tables, equal digests.

    The digest is SHA-256 over the sorted SHA-256 values of the rows as JSON: the order in which rows lie in
    the file does not matter, every value does.
    """
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        " AND schema_name = 'main' AND NOT temporary ORDER BY table_name"
    ).fetchall()
    found = {}
    for (name,) in names:
        digest, rows = hashlib.sha256(), 0
        con.execute(f'SELECT sha256(to_json(t)) AS h FROM "{name}" t ORDER BY h')
        while block := con.fetchmany(10_000):
            rows += len(block)
            digest.update("".join(row[0] for row in block).encode())
        found[name] = {"rows": rows, "sha256": digest.hexdigest()}
    return found


def overall(tables: dict[str, dict[str, Any]]) -> str:
    """One digest for all tables of `content`."""
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def restore(path: Path, file: Path, actor: str) -> dict[str, Any]:
    """Put a checked backup in place of the store at ``path``; what stood there goes to ``backups/``.

    Nothing is touched unless the file passes `examine`. Older schemas are migrated and every erasure listed
    beside the store is applied again, when the restored store is opened here once. Returns ``restored``,
    ``events``, ``content_sha256`` (of the file), ``erasures_reapplied``, ``previous``. Raises `StoreLocked` when a
    process holds the store, `RefusedError` with the problems of the file.
    """
    from curate.store.core import Store

    found = examine(file)
    if found["problems"]:
        raise RefusedError(
            f"{file} does not hold. Nothing was changed; take another backup.", found["problems"]
        )
    fresh = path.with_name(path.name + ".restoring")
    previous = None
    try:
        shutil.copyfile(file, fresh)
        fresh.chmod(0o600)
        _sync(fresh)
        if path.exists():
            previous = path.parent / "backups" / f"before-restore-{utcnow():%Y%m%d-%H%M%S-%f}.duckdb"
            previous.parent.mkdir(mode=0o700, exist_ok=True)
        with _hold(path) if previous else contextlib.nullcontext():
            if previous:
                path.replace(previous)
                wal = Path(f"{path}.wal")
                if wal.exists():  # only of a file that could not be opened
                    wal.replace(f"{previous}.wal")
            fresh.replace(path)
            _sync(path.parent)
    finally:
        fresh.unlink(missing_ok=True)
    with Store.open(path) as store:  # migrates, and applies the erasures that the backup does not know
        now = store.one("SELECT count(DISTINCT erasure_id) AS n FROM erasures") or {"n": 0}
        store.write(lambda tx: tx.event("restored", actor, head=found["head"], events=found["events"]))
    reapplied = now["n"] - found["erasures"]
    if reapplied:  # a deleted row's bytes stay in the file until it is written anew
        compact(path)
    return {
        "restored": str(file),
        "events": found["events"],
        "content_sha256": found["content_sha256"],
        "erasures_reapplied": reapplied,
        "previous": str(previous) if previous else None,
    }


def compact(path: Path) -> dict[str, Any]:
    """Write the store anew without the space that old rows left; returns ``before`` and ``after`` in bytes.

    Raises `StoreLocked` when a process holds the store, `RefusedError` when the new file is not equal row by
    row; the store stays as it was then.
    """
    fresh = path.with_name(path.name + ".compact")
    fresh.unlink(missing_ok=True)
    with _hold(path) as con:
        if con is None:
            raise GoldpairError(
                f"{path} cannot be opened as a store. `goldpair restore FILE` puts a backup back."
            )
        before = path.stat().st_size
        try:
            source = _copy(con.cursor(), fresh)
            with _opened(fresh, read_only=True) as copy:
                if content(copy) != source:
                    raise RefusedError("The compacted file differs from the store. Nothing was changed.")
            fresh.chmod(0o600)
            _sync(fresh)
            fresh.replace(path)
            _sync(path.parent)
        finally:
            fresh.unlink(missing_ok=True)
    return {"before": before, "after": path.stat().st_size}


def _copy(cursor: duckdb.DuckDBPyConnection, to: Path) -> dict[str, dict[str, Any]]:
    """Copy the cursor's database into a new file and return the `content` of the very moment copied."""
    name = cursor.execute("SELECT current_database()").fetchall()[0][0]
    alias = f"copy_{uuid4().hex}"
    before = os.umask(0o077)
    try:
        cursor.execute(
            f"ATTACH '{str(to).replace(chr(39), chr(39) * 2)}' AS {alias} (STORAGE_VERSION '{FORMAT}')"
        )
    finally:
        os.umask(before)
    try:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f'COPY FROM DATABASE "{name}" TO {alias}')
            found = content(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            raise
    finally:
        cursor.execute(f"DETACH {alias}")
        cursor.close()
    return found


@contextlib.contextmanager
def _opened(path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a store file that may reach nothing but its own folder."""
    con = duckdb.connect(str(path), read_only=read_only)
    try:
        con.execute(f"SET allowed_directories = ['{str(path.parent).replace(chr(39), chr(39) * 2)}']")
        con.execute("SET autoload_known_extensions = false")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        yield con
    finally:
        con.close()


@contextlib.contextmanager
def _hold(path: Path) -> Iterator[Any]:
    """Keep every other process off a store file, its log written into it; a file that is broken is not held."""
    from curate.store.core import cannot_open

    with contextlib.ExitStack() as stack:
        con = None
        try:
            con = stack.enter_context(_opened(path, read_only=False))
            con.execute("CHECKPOINT")
        except duckdb.Error as error:
            problem = cannot_open(path, str(error))
            if isinstance(problem, StoreLocked):
                raise problem from error
        yield con


def _write_whole(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
