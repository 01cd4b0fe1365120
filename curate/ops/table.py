"""The table of operations: what one is, how it is registered, checked and run.

Covers: requests, permissions, the errors of a bad request, what the other modules of this folder share.
Does not cover: any operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate import jobs, users
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.tasks import TaskPack, find_pack, load_pack
from curate.workspace import Workspace

if TYPE_CHECKING:
    from curate.store import Store


@dataclass(frozen=True)
class Context:
    """Who asks, and where. ``local`` is true for the owner of the workspace's files on this machine."""

    store: Store
    workspace: Workspace
    actor: users.Actor
    local: bool = False
    progress: Callable[[dict[str, Any]], None] | None = None


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Operation:
    """One row of the table: what it is called, who may ask, what it takes, what runs."""

    name: str
    permission: str
    request: type[Request]
    run: Callable[[Context, Any], dict[str, Any]]
    summary: str


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, permission: str) -> Callable[[Callable], Callable]:
    """Register ``fn(context, request)``; the request model is read from its annotation."""

    def register(fn: Callable) -> Callable:
        request = get_type_hints(fn)["request"]
        OPERATIONS[name] = Operation(
            name, permission, request, fn, (fn.__doc__ or "").strip().splitlines()[0]
        )
        return fn

    return register


def run(context: Context, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Check the permission and the request, then run. Raises `UsageError` for a bad request."""
    found = OPERATIONS.get(name)
    if found is None:
        raise NotFound(f"No operation {name!r}.")
    users.require(context.actor, found.permission)
    try:
        request = found.request.model_validate(fields)
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{name}: {words}") from error
    return found.run(context, request)


def pack_of(context: Context, task: str) -> tuple[Path, TaskPack]:
    """Folder and content of a task pack, the workspace's own first. Raises `NotFound`."""
    folder = find_pack(task, context.workspace.tasks)
    return folder, load_pack(folder)


def only_local(context: Context, what: str) -> None:
    if not context.local:
        raise PermissionDenied(
            f"{what} by a path of the server is for its own machine. Upload the file instead."
        )


class Empty(Request):
    pass


class TaskRequest(Request):
    task: str = Field(description="name of a task pack")


class PageRequest(TaskRequest):
    limit: int = Field(50, ge=1, le=1000)
    offset: int = Field(0, ge=0)


def start(context: Context, kind: str, task: str, spec: dict[str, Any]) -> dict[str, Any]:
    pack_folder, _ = pack_of(context, task)
    spec = {"task": task, "pack": str(pack_folder), **spec}
    return {"job": jobs.start(context.store, context.actor, context.workspace, kind, spec)}


def plain(value: Any) -> Any:
    """JSON-ready copy: models, dataclasses, times and paths become plain values."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)
