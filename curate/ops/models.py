"""Operations on finished model versions: reproduce.

Covers: requests, permissions, which files belong to a version. Does not cover: the work itself (`train.reproduce`),
nor training and releasing (`curate.ops.proof`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.errors import NotFound
from curate.ops.proof import ModelRequest, model_folder
from curate.ops.table import Context, operation, start


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


# --- helpers ------------------------------------------------------------------------------------------------


def _record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text("utf-8"))


def _snapshot_of(context: Context, record: dict[str, Any]) -> Path | None:
    """Folder of the snapshot that a version was trained from, if the workspace has it."""
    row = context.store.one("SELECT folder FROM snapshots WHERE snapshot_id = ?", [record["snapshot"]["id"]])
    folder = context.workspace.snapshots / row["folder"] if row else None
    return folder if folder is not None and (folder / "manifest.json").is_file() else None
