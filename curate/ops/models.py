"""Operations on finished model versions: list with their scores, reproduce, export, ask.

Covers: requests, permissions, which files belong to a version. Does not cover: the work itself (`train.reproduce`,
`train.exporting`, `curate.playground`), nor training and releasing (`curate.ops.proof`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from curate import lineage
from curate.errors import NotFound, UsageError
from curate.ops.proof import ModelRequest, model_folder
from curate.ops.table import Context, Request, TaskRequest, only_local, operation, pack_of, plain, start


class VersionsRequest(Request):
    task: str | None = Field(None, description="every task when absent")


@operation("models.versions", "read")
def models_versions(context: Context, request: VersionsRequest) -> dict[str, Any]:
    """Model versions, oldest first, with score and interval by suite, retention, verdict and release."""
    rows = context.store.rows(
        "SELECT * FROM models WHERE ? IS NULL OR task = ? ORDER BY created_ts, name",
        [request.task, request.task],
    )
    return {"versions": lineage.versions(context.workspace, [plain(row) for row in rows])}


@operation("reproduce", "train")
def reproduce(context: Context, request: ModelRequest) -> dict[str, Any]:
    """Train a version again from its record and compare the adapters."""
    folder = model_folder(context, request.model)
    record = _record(folder)
    snapshot = _snapshot_of(context, record)
    if snapshot is None:
        raise NotFound(
            f"Snapshot {record['snapshot']['id'][:12]}, from which {folder.name} was trained, is not in this "
            "workspace. Put its folder back first; `goldpair snapshot list` shows what is here."
        )
    spec = {"model": str(folder), "snapshot": str(snapshot)}
    return {**start(context, "reproduce", record["task"], spec), "model": folder.name}


class ModelExport(ModelRequest):
    form: Literal["merged", "gguf", "adapter"] = "merged"
    out: str = Field(description="new or empty folder")
    outtype: Literal["f32", "f16", "bf16", "q8_0"] = Field("f16", description="number format of a GGUF file")


@operation("models.export", "promote")
def models_export(context: Context, request: ModelExport) -> dict[str, Any]:
    """Write a version for other tools, its answers compared with the version's own."""
    only_local(context, "Exporting")
    folder = model_folder(context, request.model)
    if request.form == "gguf":
        from train.exporting import find_converter

        find_converter()  # refused before a job starts
    record = _record(folder)
    snapshot = _snapshot_of(context, record)
    row = context.store.one("SELECT released FROM models WHERE name = ?", [folder.name])
    spec = {
        "model": str(folder),
        "form": request.form,
        "out": str(Path(request.out).resolve()),
        "outtype": request.outtype,
        "snapshot": str(snapshot) if snapshot else None,
        "released": bool(row and row["released"]),
    }
    return start(context, "export", record["task"], spec)


@operation("models.command", "read")
def models_command(context: Context, request: ModelRequest) -> dict[str, Any]:
    """The command that serves a version by vLLM."""
    from train.exporting import serving_command

    only_local(context, "Naming a model's files")
    return {"command": serving_command(model_folder(context, request.model))}


class Turn(Request):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=100_000)


class AskRequest(TaskRequest):
    prompt: str = Field(min_length=1, max_length=100_000)
    history: list[Turn] = Field([], max_length=100, description="earlier turns, oldest first")
    models: list[str] = Field([], max_length=4, description="versions that answer")
    base: bool = Field(True, description="the base answers too")
    system: str | None = Field(None, description="system message; the task's when absent")
    max_new_tokens: int | None = Field(None, ge=1, le=2048, description="the task's when absent")


@operation("models.ask", "evaluate")
def models_ask(context: Context, request: AskRequest) -> dict[str, Any]:
    """Put one question to several versions and their base; the job's folder keeps question and answers."""
    from curate import playground

    _, pack = pack_of(context, request.task)
    folders = [model_folder(context, name) for name in dict.fromkeys(request.models)]
    if not folders and not request.base:
        raise UsageError("Nobody is asked. Name a version, or ask the base.")
    playground.shared_base(folders, pack)  # refused before a job starts
    system = pack.system if request.system is None else request.system
    spec = {
        "models": [str(folder) for folder in folders],
        "base": request.base,
        "conversation": [
            *([{"role": "system", "content": system}] if system else []),
            *(turn.model_dump() for turn in request.history),
            {"role": "user", "content": request.prompt},
        ],
        "max_new_tokens": request.max_new_tokens or pack.model.generation.max_new_tokens,
        "threads": context.workspace.settings.threads,
    }
    return start(context, "ask", request.task, spec)


# --- helpers ------------------------------------------------------------------------------------------------


def _record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text("utf-8"))


def _snapshot_of(context: Context, record: dict[str, Any]) -> Path | None:
    """Folder of the snapshot that a version was trained from, if the workspace has it."""
    row = context.store.one("SELECT folder FROM snapshots WHERE snapshot_id = ?", [record["snapshot"]["id"]])
    folder = context.workspace.snapshots / row["folder"] if row else None
    return folder if folder is not None and (folder / "manifest.json").is_file() else None
