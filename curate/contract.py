"""The snapshot folder: the one contract between curate, train and evals.

Covers: canonical hashing, the manifest, reading and verifying a snapshot. `train` and `evals` may import
this module and `curate.tasks` from curate, and nothing else (a test holds them to it).
Does not cover: creating a snapshot from the store (`curate.snapshot`), nor the store itself.

A snapshot folder holds::

    manifest.json       what is inside, who approved it, hashes of every file; ``id`` is the hash of the content
    data/train.parquet  one row a pair, columns ROW_SCHEMA; likewise data/validation.parquet
    excluded.parquet    every pair of the task that is not inside: pair_id, reason, detail
    task.json           the task pack as it was when frozen
    README.md           dataset card
    preflight.json      written beside it later by ``goldpair preflight`` (not part of the hash)
    withdrawn.json      only when a person in it was forgotten: the rows are gone, nothing loads it any more
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import GoldpairError, NotFound
from curate.tasks import TaskPack

FORMAT = 1
SPLITS = ("train", "validation")
WITHDRAWN = "withdrawn.json"  # beside the manifest when the rows had to be deleted

ROW_SCHEMA: dict[str, pl.DataType] = {
    "pair_id": pl.String(),
    "revision": pl.Int32(),
    "sha256": pl.String(),
    "source": pl.String(),
    "system": pl.String(),
    "history": pl.String(),  # JSON list of {"role", "content"}: the turns before the prompt
    "prompt": pl.String(),
    "completion": pl.String(),
    "author": pl.String(),
    "approver": pl.String(),
    "guideline_version": pl.String(),
    "detector_version": pl.String(),
    "labels": pl.String(),  # JSON object, label name -> value
    "metadata": pl.String(),  # JSON object, as imported and anonymized
}


class SnapshotError(GoldpairError):
    """A snapshot folder is missing, incomplete or changed."""


def canonical_json(value: Any) -> bytes:
    """The one byte string that stands for a JSON value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def sha256_hex(data: bytes | str) -> str:
    """Lower-case hex SHA-256 of bytes, or of a text's UTF-8 form."""
    return hashlib.sha256(
        data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    ).hexdigest()


def file_sha256(path: Path) -> str:
    """Lower-case hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def pair_sha256(
    prompt: str,
    completion: str,
    *,
    system: str = "",
    history: Sequence[Mapping[str, str]] = (),
    metadata: Mapping[str, Any] | None = None,
    guideline_version: str = "",
) -> str:
    """What an approval binds to (invariant 2): any change to any of these gives another hash."""
    return sha256_hex(
        canonical_json(
            {
                "prompt": prompt,
                "completion": completion,
                "system": system,
                "history": [dict(turn) for turn in history],
                "metadata": dict(metadata or {}),
                "guideline_version": guideline_version,
            }
        )
    )


def row_sha256(row: Mapping[str, Any]) -> str:
    """`pair_sha256` of a snapshot row (its ``history`` and ``metadata`` are JSON text)."""
    return pair_sha256(
        row["prompt"],
        row["completion"],
        system=row["system"],
        history=json.loads(row["history"]),
        metadata=json.loads(row["metadata"]),
        guideline_version=row["guideline_version"],
    )


class Manifest(BaseModel):
    """``manifest.json``. ``id`` hashes the content only; ``seal`` hashes this whole document."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    id: str
    task: str
    created: str  # ISO 8601, UTC
    created_by: str
    rows: dict[str, int]  # split -> number of rows
    excluded: dict[str, int]  # reason -> number of pairs
    files: dict[str, str]  # path inside the folder -> sha256 of its bytes
    pack_sha256: str
    detector_version: str
    guideline_version: str
    sources: int
    licences: dict[str, int]
    previous: str | None = None
    seal: str = ""

    def sealed(self) -> Manifest:
        return self.model_copy(update={"seal": sha256_hex(canonical_json(self.model_dump(exclude={"seal"})))})


def content_id(task: str, pack_sha256: str, row_hashes: Mapping[str, Sequence[str]]) -> str:
    """The snapshot's id: SHA-256 over task, pack and the full row hashes of each split, in order."""
    body = {
        "format": FORMAT,
        "task": task,
        "pack": pack_sha256,
        "splits": {k: list(v) for k, v in row_hashes.items()},
    }
    return sha256_hex(canonical_json(body))


def full_row_hash(row: Mapping[str, Any]) -> str:
    """Hash of every column of a snapshot row, provenance included."""
    return sha256_hex(canonical_json({name: row[name] for name in ROW_SCHEMA}))


def load_manifest(folder: Path | str) -> Manifest:
    """Read ``manifest.json``. Raises `SnapshotError` when there is none or it cannot be read."""
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise NotFound(
            f"No snapshot at {folder}: manifest.json is missing. `goldpair snapshot create` makes one."
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (ValidationError, ValueError) as error:
        raise SnapshotError(f"{path} is not a readable manifest: {error}") from error


def load_task(folder: Path | str) -> TaskPack:
    """The task pack as frozen into the snapshot."""
    path = Path(folder) / "task.json"
    try:
        return TaskPack.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError) as error:
        raise SnapshotError(f"{path} is not a readable task pack: {error}") from error


def load_rows(folder: Path | str, split: str = "train") -> pl.DataFrame:
    """Rows of one split, columns ROW_SCHEMA. Does not verify: call `verify` first."""
    if split not in SPLITS:
        raise SnapshotError(f"A snapshot has the splits {', '.join(SPLITS)}, not {split!r}.")
    return pl.read_parquet(Path(folder) / "data" / f"{split}.parquet", schema=ROW_SCHEMA)


def training_rows(folder: Path | str, split: str = "train") -> pl.DataFrame:
    """`load_rows` as a model is to see them: a pair without a system message of its own gets the task's.

    The same message is used at evaluation, so training and use cannot drift apart.
    """
    own = pl.col("system") != ""
    return load_rows(folder, split).with_columns(
        system=pl.when(own).then("system").otherwise(pl.lit(load_task(folder).system))
    )


def verify(folder: Path | str) -> list[str]:
    """Every way in which the folder differs from what was frozen; an empty list means intact.

    Names the changed file and, where the rows can still be read, the changed pairs. Raises `SnapshotError`
    only when there is no readable manifest to compare with.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    if (folder / WITHDRAWN).exists():
        return [f"{WITHDRAWN}: withdrawn, since a person in it was forgotten; freeze a new snapshot"]
    problems: list[str] = []
    if manifest.sealed().seal != manifest.seal:
        problems.append("manifest.json: its seal does not match; the manifest was edited")
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif file_sha256(path) != expected:
            problems.append(f"{name}: bytes changed since the snapshot was frozen")
    hashes: dict[str, list[str]] = {}
    for split in SPLITS:
        try:
            rows = load_rows(folder, split)
        except (OSError, pl.exceptions.PolarsError) as error:
            problems.append(f"data/{split}.parquet: unreadable ({type(error).__name__})")
            continue
        hashes[split] = [full_row_hash(row) for row in rows.iter_rows(named=True)]
        for row in rows.iter_rows(named=True):
            if row_sha256(row) != row["sha256"]:
                problems.append(
                    f"data/{split}.parquet: pair {row['pair_id']} differs from its approved sha256"
                )
    if content_id(manifest.task, manifest.pack_sha256, hashes) != manifest.id:
        problems.append("content does not hash to the snapshot id")
    known = set(manifest.files) | {"manifest.json", "preflight.json"}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            problems.append(f"{name}: not part of the snapshot")
    return problems


def load_verified(folder: Path | str) -> Manifest:
    """Manifest of an intact snapshot. Raises `SnapshotError` naming every difference otherwise."""
    problems = verify(folder)
    if problems:
        raise SnapshotError(
            f"Snapshot {folder} is not what was frozen: "
            + "; ".join(problems)
            + ". Freeze a new one from the store."
        )
    return load_manifest(folder)
