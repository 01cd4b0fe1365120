"""Operations on task packs: the gallery of the shipped ones, a new task from one of them or from a scaffold.

Does not cover: what a pack is (`curate.tasks`), nor how it is copied and described, which `curate.packs` owns.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from curate import packs
from curate.ops.table import Context, Empty, Request, operation, plain


@operation("tasks.gallery", "read")
def tasks_gallery(context: Context, request: Empty) -> dict[str, Any]:
    """The shipped task packs with guidelines, sample pairs and their last results."""
    rows = context.store.rows("SELECT * FROM models ORDER BY created_ts DESC")
    return {"packs": packs.gallery(context.workspace, [plain(row) for row in rows])}


class NewTaskRequest(Request):
    name: str = Field(description="small letters, digits and hyphens, such as ticket-title")
    like: str | None = Field(None, description="task pack to start from; a commented scaffold when absent")


@operation("tasks.new", "import")
def tasks_new(context: Context, request: NewTaskRequest) -> dict[str, Any]:
    """Make a task of the workspace's own, from another pack or from a scaffold."""
    folder = packs.new_task(context.workspace, request.name, request.like)
    context.store.write(
        lambda tx: tx.event("task_created", context.actor.user, task=request.name, like=request.like)
    )
    return {
        "task": request.name,
        "like": request.like,
        "folder": str(folder),
        "files": sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()),
        "next": packs.next_steps(folder),
    }
