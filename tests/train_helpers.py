"""A hand-made snapshot that passed its gate, and a tiny base for it; for the training tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from curate.contract import (
    ROW_SCHEMA,
    Manifest,
    canonical_json,
    content_id,
    file_sha256,
    full_row_hash,
    row_sha256,
    sha256_hex,
)
from curate.tasks import TaskPack

PACK = TaskPack(name="tiny-bot", title="Tiny bot", system="Answer with a shrug.")
PAIRS = [
    (
        f"Where is thing number {n}, {who}?",
        f"Thing {n} is where {who} left it, beside the {place}.",
    )
    for n, (who, place) in enumerate(
        [
            ("Asha", "door"),
            ("Bo", "kettle"),
            ("Chi", "lamp"),
            ("Dev", "stairs"),
            ("Eli", "sink"),
            ("Fay", "cat"),
        ]
        * 4
    )
]
#: quick and exact: one thread, fp32
RECIPE: dict[str, Any] = {
    "precision": "fp32",
    "threads": 1,
    "batch": 6,
    "epochs": 2,
    "checkpoint_steps": 2,
    "lora": {"r": 4, "alpha": 8},
    "learning_rate": 5e-3,
}


def row(pair_id: str, prompt: str, completion: str, **more: Any) -> dict[str, Any]:
    """A snapshot row with its true hash."""
    made = {
        "pair_id": pair_id,
        "revision": 1,
        "source": f"file-{pair_id}",
        "system": PACK.system,
        "history": "[]",
        "prompt": prompt,
        "completion": completion,
        "author": "ann",
        "approver": "rev",
        "guideline_version": "1",
        "detector_version": "d1",
        "labels": "{}",
        "metadata": "{}",
        **more,
    }
    return made | {"sha256": row_sha256(made)}


def snapshot(
    folder: Path,
    rows: list[dict[str, Any]] | None = None,
    validation: list[dict[str, Any]] | None = None,
    *,
    verdict: str | None = "PASS",
    override: dict[str, str] | None = None,
) -> Path:
    """Freeze rows by hand, as `curate.contract` defines it; ``verdict`` None leaves the gate out."""
    if rows is None:
        rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    splits = {"train": rows, "validation": validation or []}
    (folder / "data").mkdir(parents=True)
    for split, content in splits.items():
        pl.DataFrame(content, schema=ROW_SCHEMA).write_parquet(folder / "data" / f"{split}.parquet")
    (folder / "task.json").write_text(PACK.model_dump_json(), "utf-8")
    pl.DataFrame({"pair_id": [], "reason": [], "detail": []}).write_parquet(folder / "excluded.parquet")
    (folder / "README.md").write_text("card", "utf-8")
    pack_hash = sha256_hex(canonical_json(PACK.model_dump(mode="json")))
    manifest = Manifest(
        id=content_id(PACK.name, pack_hash, {s: [full_row_hash(r) for r in c] for s, c in splits.items()}),
        task=PACK.name,
        created="2026-01-01T00:00:00+00:00",
        created_by="lead",
        rows={split: len(content) for split, content in splits.items()},
        excluded={},
        files={
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
        pack_sha256=pack_hash,
        detector_version="d1",
        guideline_version="1",
        sources=len(rows),
        licences={"own": len(rows)},
    ).sealed()
    (folder / "manifest.json").write_text(manifest.model_dump_json(), "utf-8")
    if verdict is not None:
        gate = {
            "snapshot": manifest.id,
            "verdict": verdict,
            "checks": [{"name": "enough pairs", "verdict": verdict, "detail": "2 of 50"}],
            "override": override,
            "created": "2026-01-01T00:00:00+00:00",
            "gate_sha256": "0" * 64,
        }
        (folder / "preflight.json").write_text(json.dumps(gate), "utf-8")
    return folder


def workspace_with_model(root: Path, **recipe: Any) -> Any:
    """A workspace with one snapshot and the version ``tiny-bot-v1`` trained from it; returns its client."""
    from curate import release
    from curate.client import Client
    from curate.contract import load_manifest
    from curate.store import Store, utcnow
    from curate.users import actor_for, ensure_owner
    from curate.workspace import Workspace
    from train import fine_tune
    from train.base import tiny_llama

    workspace = Workspace.create(root / "ws")
    base = tiny_llama(root / "base")
    pack = workspace.tasks / PACK.name
    pack.mkdir()
    (pack / "task.toml").write_text(
        f'name = "{PACK.name}"\ntitle = "{PACK.title}"\nsystem = "{PACK.system}"\n[model]\nbase = "{base}"\n'
    )
    (pack / "guidelines.md").write_text("version: 1\n")
    rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    folder = snapshot(workspace.snapshots / "one", rows[:20], rows[20:])
    manifest = load_manifest(folder)
    version = fine_tune(folder, {**RECIPE, **recipe}, workspace.models / f"{PACK.name}-v1", base_model=base)
    with Store.open(workspace.store) as store:
        ensure_owner(store, "admin")
        store.write(
            lambda tx: tx.execute(
                "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [manifest.id, PACK.name, folder.name, 20, 4, 0, utcnow(), "admin"],
            )
        )
        release.register_model(store, actor_for(store, "admin"), version.folder)
    return Client(workspace, "admin")


def run_job(client: Any, operation: str, **fields: Any) -> dict[str, Any]:
    """Start a job, wait for it, and return what it said."""
    started = client.call(operation, **fields)
    return started | (client.wait(started["job"]).get("result") or {})
