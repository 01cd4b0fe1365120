"""Model versions: folders named ``<task>-vN`` whose record accounts for every file.

Covers: names, listing, loading with hash checks, importing a version trained on another machine.
Does not cover: making one (`train.run`), verdicts and release (`evals.gate`, the store).

The record ``run.json`` lists the SHA-256 of every file of the version; its own bytes give the version's hash.
``gate.json`` and the report come later and are not part of it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.contract import file_sha256
from curate.errors import GoldpairError, NotFound, UsageError

RECORD = "run.json"
ADAPTER, WHOLE = "adapter_model.safetensors", "model.safetensors"
LATER = ("gate.json", "report.html", "report.md", "report.json", "STALE-KNOWLEDGE.md")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".so")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ModelVersionError(GoldpairError):
    """A model folder is incomplete or is not what its record says."""


@dataclass(frozen=True)
class ModelVersion:
    """One trained model: ``name`` is its folder's name, ``hash`` the SHA-256 of its record."""

    name: str
    hash: str
    folder: Path
    task: str
    base: str
    snapshot: str
    adapter_sha256: str  # of the weights it learned: the adapter's, or all of a full fine-tune
    created: str

    def record(self) -> dict[str, Any]:
        """The whole run record."""
        return json.loads((self.folder / RECORD).read_text("utf-8"))


def next_name(task: str, models_dir: Path | str) -> str:
    """The next free ``<task>-vN`` in a folder of models; numbers of deleted ones in between are not reused."""
    pattern = re.compile(re.escape(task) + r"-v(\d+)")
    folder = Path(models_dir)
    taken = [
        int(match[1])
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    ]
    return f"{task}-v{max(taken, default=0) + 1}"


def load(folder: Path | str) -> ModelVersion:
    """A model version, its files checked against its record.

    Raises `NotFound` without a record and `ModelVersionError` naming every file that is missing, changed or
    unknown.
    """
    folder = Path(folder)
    path = folder / RECORD
    if not path.is_file():
        raise NotFound(f"No model in {folder}: {RECORD} is missing. `goldpair models list` shows them.")
    try:
        record = json.loads(path.read_text("utf-8"))
        files: dict[str, str] = dict(record["files"])
        version = ModelVersion(
            name=folder.name,
            hash=file_sha256(path),
            folder=folder,
            task=str(record["task"]),
            base=str(record["base"]["name"]),
            snapshot=str(record["snapshot"]["id"]),
            adapter_sha256=str(record["adapter_sha256"]),
            created=str(record["created"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ModelVersionError(f"{path} is not a readable run record: {error!r}") from error
    problems = []
    for name, expected in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts or not (folder / name).is_file():
            problems.append(f"{name}: missing")
        elif file_sha256(folder / name) != expected:
            problems.append(f"{name}: changed")
    known = {*files, RECORD, *LATER}
    problems += [
        f"{name}: not in the record"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in known
    ]
    if files.get(weights_file(files)) != version.adapter_sha256:
        problems.append(f"{weights_file(files)}: the record contradicts itself about its hash")
    if problems:
        raise ModelVersionError(f"Model {folder.name} is not what its record says: " + "; ".join(problems))
    return version


def weights_file(files: Iterable[str]) -> str:
    """The file with what a version learned: an adapter, else the whole model of a full fine-tune."""
    return ADAPTER if ADAPTER in files else WHOLE


def is_whole(folder: Path | str) -> bool:
    """Does a version's folder hold a model that needs no base beside it?"""
    return (Path(folder) / WHOLE).is_file()


def list_versions(models_dir: Path | str) -> list[ModelVersion]:
    """Every version in a folder of models, by task and number. A damaged one raises `ModelVersionError`."""
    folder = Path(models_dir)
    found = [load(p.parent) for p in folder.glob(f"*/{RECORD}")] if folder.is_dir() else []
    return sorted(found, key=lambda version: (version.task, _number(version.name), version.name))


def import_version(folder: Path | str, models_dir: Path | str) -> ModelVersion:
    """Copy a version from elsewhere into a folder of models, its hashes checked before and after.

    Keeps its name when that is free, else takes the task's next free one; the same version twice is found again.
    Gate and report stay behind: a verdict counts only where the store is. Raises `ModelVersionError` for a folder
    that is not what its record says or that holds anything a loader could execute.
    """
    source = load(folder)
    active = [name for name in source.record()["files"] if Path(name).suffix in PICKLES]
    if active:
        raise ModelVersionError(
            f"Model {source.name} holds {', '.join(active)}: only safetensors, JSON and text are taken in."
        )
    if not _NAME.fullmatch(source.task):
        raise UsageError(f"{source.task!r} is no task name.")
    models = Path(models_dir)
    models.mkdir(parents=True, exist_ok=True)
    for path in models.glob(f"*/{RECORD}"):
        if file_sha256(path) == source.hash:
            return load(path.parent)
    free = _NAME.fullmatch(source.name) and not (models / source.name).exists()
    name = source.name if free else next_name(source.task, models)
    partial = models / f".{name}.import"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in (*source.record()["files"], RECORD):
        (partial / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.folder / file, partial / file)
    load(partial)
    partial.rename(models / name)
    return load(models / name)


def _number(name: str) -> int:
    tail = name.rpartition("-v")[2]
    return int(tail) if tail.isdigit() else 0
