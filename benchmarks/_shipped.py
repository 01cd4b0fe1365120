"""A shipped pack taken to its snapshot in a workspace of its own, by the stages of `goldpair demo`.

Does not cover: what is measured on it.
"""

from __future__ import annotations

from pathlib import Path

from curate import demo, users
from curate.store import Store
from curate.workspace import Workspace


def at_snapshot(scratch: Path, task: str) -> tuple[demo._Demo, Path]:
    """Imported, scanned, deduplicated, decided and frozen: the demo to go on with, and the snapshot's folder."""
    workspace = Workspace.create(scratch / "ws")
    with Store.open(workspace.store) as store:
        users.ensure_owner(store, demo.LEAD)
    steps = demo._Demo(task, workspace, quiet=True, full=True)
    for stage in (demo._import, demo._scan, demo._dedupe, demo._decisions):
        stage(steps)
    name = steps.job("freeze", "snapshot.create", task=task)["snapshot"]
    [snapshot] = workspace.snapshots.glob(f"*{name[:12]}")
    return steps, snapshot
