"""Importing: rows into the store as raw records with their pairs, refused lines into quarantine.

Covers: streaming in batches, ids that make a second import add nothing, duplicate ids, dry runs, the import's own
entry and events.
Does not cover: reading (`files`, `folders`), detecting personal data, near-duplicates.

**Ids.** A record's id is a keyed hash of its task, external id, source, texts and metadata, with a secret of the
store. The file, its name, its format and the line play no part: the same row from another export is the same
record, and an erased record is recognised without being readable. An external id belongs to one record of a task;
a row that differs under a known id is refused (``duplicate_id``), never merged or overwritten.

**Sources.** Where a file names no source, rows with the same system message, history and prompt share one made-up
source, so that competing drafts of a prompt never part between training and validation.

Importing a file again adds nothing: records are known by id, and quarantine is written once per file content. An
import that was interrupted is finished by running it again.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from pydantic import BaseModel

from curate.contract import canonical_json, file_sha256, sha256_hex
from curate.errors import UsageError
from curate.records import files, folders
from curate.records.rows import REASONS, Bad, Row, excerpt
from curate.records.shapes import check_mapping
from curate.store import Store, Tx, utcnow
from curate.users import Actor, require

BATCH_ROWS, BATCH_BYTES = 2000, 8 << 20  # a transaction holds at most so much
PREVIEW = 5  # rows a dry run shows
SHOWN = 20  # refused lines a result shows; all of them are in the table quarantine

Progress = Callable[[dict[str, Any]], None]


class ImportResult(BaseModel):
    """What became of every row: ``rows == imported + already_there + (refused for their id)``."""

    import_id: str | None  # None after a dry run
    task: str
    file: str
    format: str
    dry_run: bool
    rows: int  # usable rows read; two for a line with two competing drafts
    imported: int
    already_there: int
    quarantined: int
    by_reason: dict[str, int]  # reason -> refused lines
    problems: list[dict[str, Any]]  # the first refused lines: file, line, reason, detail, excerpt, advice
    preview: list[dict[str, Any]]  # the first rows of a dry run, as they would be stored


def read(
    path: str | Path, *, mapping: Mapping[str, str] | None = None, format: str | None = None
) -> Iterator[Row | Bad]:
    """Stream the rows of a file or folder; a `Bad` for each line that cannot be used.

    ``mapping`` names columns: ``{"prompt": "col", "completion": "col2", "metadata.x": "col3"}``, also
    ``system``, ``history``, ``source``, ``external_id``; ``a.b.0`` reaches into nested values; for a folder,
    two patterns with ``*``. ``format`` overrides what the name and the first bytes say. Memory stays bounded
    by one row (at most 32 MiB) and a buffer, whatever the size of the file.

    Raises `UsageError` for a mapping that cannot work and for a file that is damaged as a whole, `NotFound`.
    """
    path = Path(path)
    kind = format or files.detect_format(path)
    patterns = mapping is not None and any("*" in str(value) for value in mapping.values())
    if mapping is not None and not (kind == "folder" and patterns):
        check_mapping(mapping)
    if kind == "folder":
        return folders.folder_rows(path, mapping)
    return files.rows(path, path.name, kind, mapping)


@dataclass
class _Batch:
    """Rows and refusals that go into the store together."""

    rows: dict[str, tuple[Row, str]] = field(default_factory=dict)  # record id -> row, source
    bad: list[Bad] = field(default_factory=list)
    repeated: int = 0  # rows equal to another one of this batch
    read: int = 0
    size: int = 0


@dataclass
class _Tally:
    rows: int = 0
    imported: int = 0
    already_there: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)
    preview: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, bad: list[Bad]) -> None:
        for one in bad:
            self.by_reason[one.reason] += 1
            if len(self.problems) < SHOWN:
                self.problems.append(
                    {
                        "file": one.file,
                        "line": one.line,
                        "reason": one.reason,
                        "detail": one.detail,
                        "excerpt": one.excerpt,
                        "advice": REASONS[one.reason],
                    }
                )


def import_file(
    store: Store,
    actor: Actor,
    task: str,
    path: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    format: str | None = None,
    licence: str | None = None,
    consent: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportResult:
    """Import a file or folder into a task. Streams; each batch is one transaction.

    ``licence`` and ``consent`` say on what grounds the rows may be used and are kept with every record.
    ``dry_run`` writes nothing and shows the first rows as they would be stored. ``progress`` is called with
    ``{"done", "total", "rate", "eta_s", "message"}``, done and total in bytes (rows for Parquet).

    Raises `PermissionDenied`, `NotFound`, and `UsageError` for a mapping that cannot work, an empty file, or
    one that is damaged as a whole (rows before the damage are kept; the message says so).
    """
    require(actor, "import")
    path = Path(path)
    kind = format or files.detect_format(path)
    items = read(path, mapping=mapping, format=kind)
    sha, size = fingerprint(path, kind)
    first = next(items, None)
    if first is None:
        raise UsageError(f"{path} holds no rows.")
    run = _Run(store, actor, task, path.name, sha, kind, mapping, licence, consent)
    salt = _salt(store, write=not dry_run)
    tally = _Tally()
    report = _reporter(progress, size)
    taken = _Taken() if dry_run else None
    if not dry_run:
        run.begin()
    try:
        for batch in _batches(chain([first], items), task, salt):
            if taken is None:
                new, known, bad = store.write(run.keeper(batch))
            else:
                new, known, bad = run.plan(store, batch, taken)
                taken.add(batch, new)
            tally.rows += batch.read
            tally.imported += len(new)
            tally.already_there += known
            tally.refuse(bad)
            for record_id in new[: max(0, PREVIEW - len(tally.preview))] if dry_run else ():
                tally.preview.append(_shown(*batch.rows[record_id]))
            report(batch, kind, tally)
    except UsageError as error:
        if dry_run or not (tally.rows or tally.by_reason):
            raise
        run.fail(Bad(path.name, 0, "unreadable", str(error), ""), tally)
        raise UsageError(f"{error} {tally.imported:,} rows before the damage were imported.") from error
    finally:
        run.release()
    if not dry_run:
        run.finish(tally)
    return ImportResult(
        import_id=None if dry_run else run.import_id,
        task=task,
        file=path.name,
        format=kind,
        dry_run=dry_run,
        rows=tally.rows,
        imported=tally.imported,
        already_there=tally.already_there,
        quarantined=sum(tally.by_reason.values()),
        by_reason=dict(tally.by_reason.most_common()),
        problems=tally.problems,
        preview=tally.preview,
    )


def fingerprint(path: Path, kind: str) -> tuple[str, int]:
    """SHA-256 of a file (of names and hashes, for a folder), and its size in bytes (rows, for Parquet).

    A gzip file is unpacked on the way, so that a damaged one is refused before anything is imported.
    """
    if kind == "folder":
        found = [p for p in sorted(path.rglob("*")) if p.is_file()]
        listed = [[p.relative_to(path).as_posix(), file_sha256(p)] for p in found]
        text = json.dumps(listed, ensure_ascii=False).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest(), sum(p.stat().st_size for p in found)
    try:
        sha, size = file_sha256(path), path.stat().st_size
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        if packed:
            size = 0
            with gzip.open(path) as stream:
                while chunk := stream.read(1 << 20):
                    size += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{path}: the compressed file is damaged or ends too early ({error}). Nothing was imported; "
            "copy or export it again."
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            size = pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError) as error:
            raise UsageError(
                f"{path}: not a readable Parquet file. Nothing was imported; copy or export it again."
            ) from error
    return sha, size


# ---------------------------------------------------------------- ids


def _salt(store: Store, *, write: bool) -> bytes:
    """The store's secret for record ids, made by its first import."""
    found = store.meta("record_salt")
    if found is None and write:
        fresh = secrets.token_hex(32)

        def keep(tx: Tx) -> str:
            tx.execute("INSERT INTO meta VALUES ('record_salt', ?) ON CONFLICT DO NOTHING", [fresh])
            row = tx.one("SELECT value FROM meta WHERE key = 'record_salt'")
            return str(row["value"]) if row else fresh

        found = store.write(keep)
    return bytes.fromhex(found) if found else secrets.token_bytes(32)


def _identity(salt: bytes, task: str, row: Row) -> tuple[str, str]:
    """Record id and source of a row."""
    source = row.source
    if not source:
        asked = canonical_json([task, row.system, row.history, row.prompt])
        source = "prompt-" + hmac.digest(salt, asked, "sha256").hex()[:16]
    content = [
        task,
        row.external_id,
        source,
        row.system,
        row.history,
        row.prompt,
        row.completion,
        row.metadata,
    ]
    return "r-" + hmac.digest(salt, canonical_json(content), "sha256").hex()[:32], source


def pair_id_of(record_id: str) -> str:
    """Id of the pair that is made from a record."""
    return "p-" + record_id.removeprefix("r-")


# ---------------------------------------------------------------- batches


def _batches(items: Iterator[Row | Bad], task: str, salt: bytes) -> Iterator[_Batch]:
    batch = _Batch()
    for item in items:
        if isinstance(item, Bad):
            batch.bad.append(item)
        else:
            record_id, source = _identity(salt, task, item)
            batch.read += 1
            batch.size += len(item.payload)
            if record_id in batch.rows:
                batch.repeated += 1
            else:
                batch.rows[record_id] = (item, source)
        if batch.read + len(batch.bad) >= BATCH_ROWS or batch.size >= BATCH_BYTES:
            yield batch
            batch = _Batch()
    if batch.read or batch.bad:
        yield batch


Planned = tuple[list[str], int, list[Bad]]  # new record ids, rows already there, refused lines


class _Run:
    """One import: what it knows about itself and how it writes."""

    def __init__(
        self,
        store: Store,
        actor: Actor,
        task: str,
        file: str,
        sha: str,
        kind: str,
        mapping: Mapping[str, str] | None,
        licence: str | None,
        consent: str | None,
    ) -> None:
        self.store, self.actor, self.task, self.file, self.sha, self.kind = (
            store,
            actor,
            task,
            file,
            sha,
            kind,
        )
        self.licence, self.consent = licence, consent
        self.mapping = canonical_json(dict(mapping)).decode() if mapping else None
        self.import_id = "i-" + uuid4().hex[:16]
        self.quarantine = True
        self._running: set[str] = store.services.setdefault("imports_running", set())

    def begin(self) -> None:
        """Write the import's entry; clear the quarantine of an interrupted import of the same file."""
        same = (
            "task = $task AND file_sha256 = $sha AND format = $kind AND mapping IS NOT DISTINCT FROM $mapping"
        )
        key = {"task": self.task, "sha": self.sha, "kind": self.kind, "mapping": self.mapping}
        running = sorted(self._running)
        self._running.add(self.import_id)

        def write(tx: Tx) -> bool:
            done = tx.one(f"SELECT 1 AS x FROM imports WHERE {same} AND finished_ts IS NOT NULL", key)
            tx.execute(
                f"DELETE FROM quarantine WHERE import_id IN (SELECT import_id FROM imports WHERE {same}"
                " AND finished_ts IS NULL AND NOT list_contains($running::VARCHAR[], import_id))",
                {**key, "running": running},
            )
            entry = {
                "import_id": self.import_id,
                "task": self.task,
                "file": self.file,
                "file_sha256": self.sha,
                "format": self.kind,
                "mapping": self.mapping,
                "licence": self.licence,
                "consent": self.consent,
                "actor": self.actor.user,
                "ts": utcnow(),
            }
            tx.insert("imports", pl.DataFrame([entry], infer_schema_length=None))
            tx.event(
                "import_started",
                self.actor.user,
                import_id=self.import_id,
                task=self.task,
                file_sha256=self.sha,
            )
            return done is None

        self.quarantine = self.store.write(write)

    def plan(self, where: Store | Tx, batch: _Batch, taken: _Taken | None = None) -> Planned:
        """Which rows of a batch are new, known, or refused for their id, as the store stands (and ``taken``)."""
        ids = list(batch.rows)
        known = {
            row["record_id"]
            for row in where.rows(
                "SELECT record_id FROM records WHERE record_id IN (SELECT unnest($ids::VARCHAR[]))",
                {"ids": ids},
            )
        }
        wanted = sorted({row.external_id for row, _ in batch.rows.values() if row.external_id is not None})
        owners: dict[str, str] = {}
        if wanted:
            owners = {
                row["external_id"]: f"{row['file']}, line {row['line']}"
                for row in where.rows(
                    "SELECT external_id, file, line FROM records WHERE task = $task"
                    " AND external_id IN (SELECT unnest($wanted::VARCHAR[]))",
                    {"task": self.task, "wanted": wanted},
                )
            }
        if taken is not None:
            known |= taken.records & batch.rows.keys()
            owners |= {one: taken.ids[one] for one in wanted if one in taken.ids}
        new: list[str] = []
        bad = list(batch.bad)
        for record_id, (row, _) in batch.rows.items():
            if record_id in known:
                continue
            if row.external_id is not None and row.external_id in owners:
                bad.append(duplicate_id(row, owners[row.external_id]))
                continue
            if row.external_id is not None:
                owners[row.external_id] = f"{row.file}, line {row.line}"
            new.append(record_id)
        return new, len(known) + batch.repeated, bad

    def keeper(self, batch: _Batch) -> Callable[[Tx], Planned]:
        """The transaction that writes one batch."""

        def write(tx: Tx) -> Planned:
            new, known, bad = self.plan(tx, batch)
            self._insert(tx, batch, new)
            if bad and self.quarantine:
                self._refuse(tx, bad)
            tx.execute(
                "UPDATE imports SET rows_read = coalesce(rows_read, 0) + ?, rows_new = coalesce(rows_new, 0) + ?,"
                " rows_known = coalesce(rows_known, 0) + ?, rows_quarantined = coalesce(rows_quarantined, 0) + ?"
                " WHERE import_id = ?",
                [batch.read, len(new), known, len(bad), self.import_id],
            )
            return new, known, bad

        return write

    def _insert(self, tx: Tx, batch: _Batch, new: list[str]) -> None:
        if not new:
            return
        now = utcnow()
        rows = [batch.rows[record_id] for record_id in new]
        same = {"task": self.task, "import_id": self.import_id, "file_sha256": self.sha}
        kept = {"licence": self.licence, "consent": self.consent}
        records = pl.DataFrame(
            {
                "record_id": new,
                "external_id": pl.Series([row.external_id for row, _ in rows], dtype=pl.String),
                "source": [source for _, source in rows],
                "file": [row.file for row, _ in rows],
                "line": [row.line for row, _ in rows],
                "payload_sha256": [sha256_hex(row.payload) for row, _ in rows],
            }
        ).with_columns(
            *(pl.lit(value, dtype=pl.String).alias(name) for name, value in (same | kept).items()),
            imported_ts=pl.lit(now),
        )
        tx.insert("records", records)
        tx.insert(
            "record_text",
            pl.DataFrame(
                {
                    "record_id": new,
                    "system": [row.system for row, _ in rows],
                    "history": [canonical_json(row.history).decode() for row, _ in rows],
                    "prompt": [row.prompt for row, _ in rows],
                    "completion": [row.completion for row, _ in rows],
                    "metadata": [canonical_json(row.metadata).decode() for row, _ in rows],
                    "payload": [row.payload for row, _ in rows],
                }
            ),
        )
        pairs = [pair_id_of(record_id) for record_id in new]
        tx.insert(
            "pairs",
            records.select(
                pl.Series("pair_id", pairs), "task", "record_id", "source", created_ts="imported_ts"
            ),
        )
        tx.transition(
            "imported",
            self.actor.user,
            [{"pair_id": pair, "task": self.task, "status": "raw", "rev": 0} for pair in pairs],
            import_id=self.import_id,
        )

    def _refuse(self, tx: Tx, bad: list[Bad]) -> None:
        frame = pl.DataFrame(
            [(one.file, one.line, one.reason, one.detail, one.excerpt) for one in bad],
            schema={
                "file": pl.String,
                "line": pl.Int64,
                "reason": pl.String,
                "detail": pl.String,
                "excerpt": pl.String,
            },
            orient="row",
        )
        tx.insert(
            "quarantine",
            frame.with_columns(import_id=pl.lit(self.import_id), task=pl.lit(self.task), ts=pl.lit(utcnow())),
        )

    def fail(self, bad: Bad, tally: _Tally) -> None:
        """Note why the rest of the file was not read. The import stays unfinished, for a repaired file."""

        def write(tx: Tx) -> None:
            self._refuse(tx, [bad])
            tx.event(
                "import_failed",
                self.actor.user,
                import_id=self.import_id,
                new=tally.imported,
                reason=bad.reason,
            )

        self.store.write(write)

    def finish(self, tally: _Tally) -> None:
        def write(tx: Tx) -> None:
            tx.execute("UPDATE imports SET finished_ts = ? WHERE import_id = ?", [utcnow(), self.import_id])
            tx.event(
                "import_finished",
                self.actor.user,
                import_id=self.import_id,
                rows=tally.rows,
                new=tally.imported,
                known=tally.already_there,
                quarantined=dict(tally.by_reason),
            )

        self.store.write(write)

    def release(self) -> None:
        self._running.discard(self.import_id)


def duplicate_id(row: Row, owner: str) -> Bad:
    detail = f"the id {str(row.external_id)[:80]!r} belongs to another row ({owner})"
    return Bad(row.file, row.line, "duplicate_id", detail, excerpt(row.payload))


class _Taken:
    """What a dry run would have written by now. About 200 bytes a row: the price of writing nothing."""

    def __init__(self) -> None:
        self.records: set[str] = set()
        self.ids: dict[str, str] = {}

    def add(self, batch: _Batch, new: list[str]) -> None:
        self.records.update(new)
        for row, _ in map(batch.rows.__getitem__, new):
            if row.external_id is not None:
                self.ids[row.external_id] = f"{row.file}, line {row.line}"


def _shown(row: Row, source: str) -> dict[str, Any]:
    return {
        "line": row.line,
        "external_id": row.external_id,
        "source": source,
        "system": row.system,
        "history": row.history,
        "prompt": row.prompt,
        "completion": row.completion,
        "metadata": row.metadata,
    }


def _reporter(progress: Progress | None, total: int) -> Callable[[_Batch, str, _Tally], None]:
    """A function to call after each batch; it calls ``progress`` with how far the file is."""
    begun = time.monotonic()
    done = 0

    def report(batch: _Batch, kind: str, tally: _Tally) -> None:
        nonlocal done
        if progress is None:
            return
        done += batch.read + len(batch.bad) if kind == "parquet" else batch.size + batch.read
        seconds = max(time.monotonic() - begun, 1e-6)
        reached = min(done, total)
        progress(
            {
                "done": reached,
                "total": total,
                "rate": round(done / seconds, 1),
                "eta_s": round((total - reached) * seconds / done, 1) if done else None,
                "message": f"{tally.rows:,} rows, {sum(tally.by_reason.values()):,} refused",
            }
        )

    return report
