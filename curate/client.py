"""How a command reaches the store: through a running server, or by opening the file itself.

Covers: finding the server of a workspace, sending one operation, waiting for a job with its progress.
Does not cover: what the operations do (`curate.ops`) or how results are printed (`curate.cli`).

The store is opened for one operation at a time and closed again while a job runs, so that two commands at
once wait for each other for a moment instead of failing on the file lock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curate.errors import GoldpairError, NotFound, PermissionDenied, RefusedError, StoreLocked, UsageError
from curate.workspace import Workspace

Progress = Callable[[dict[str, Any]], None]
FINISHED = ("done", "failed", "cancelled", "lost")
_KINDS = {
    kind.__name__: kind for kind in (GoldpairError, UsageError, PermissionDenied, RefusedError, NotFound)
}


def running_server(workspace: Workspace) -> dict[str, Any] | None:
    """``server.json`` of a server that is alive, else None."""
    try:
        marker = json.loads(workspace.server.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    import psutil

    try:
        alive = abs(psutil.Process(marker["pid"]).create_time() - marker["pid_started"]) < 2
    except (psutil.Error, KeyError):
        return None
    return marker if alive else None


class Client:
    """One user's way into one workspace. Holds nothing open between calls."""

    def __init__(self, workspace: Workspace, user: str | None = None, patience_s: float = 60.0) -> None:
        self.workspace = workspace
        self.user = user or os.environ.get("GOLDPAIR_USER") or workspace.settings.cli_user
        self.patience_s = patience_s

    def call(self, operation: str, progress: Progress | None = None, **fields: Any) -> dict[str, Any]:
        """Run one operation and return its result. Raises the operation's own error."""
        give_up = time.monotonic() + self.patience_s
        while True:
            server = running_server(self.workspace)
            try:
                if server:
                    return self._remote(server, operation, fields)
                return self._local(operation, fields, progress)
            except StoreLocked:
                # Another command, or a server that is just starting: both are short.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)

    @contextmanager
    def session(self) -> Iterator[Callable[..., dict[str, Any]]]:
        """Many short operations in a row, as anybody: ``call(user, operation, **fields)``.

        Without a server the store stays open for the whole block, so keep the block short.
        """
        server = running_server(self.workspace)
        if server:
            yield lambda user, operation, **fields: self._remote(server, operation, fields, user)
            return
        from curate import ops, users
        from curate.store import Store

        store = Store.open(self.workspace.store)
        try:

            def call(user: str, operation: str, **fields: Any) -> dict[str, Any]:
                context = ops.Context(store, self.workspace, users.actor_for(store, user), local=True)
                return ops.run(context, operation, fields)

            yield call
        finally:
            store.close()

    def _local(self, operation: str, fields: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
        from curate import ops, users
        from curate.store import Store

        store = Store.open(self.workspace.store)
        try:
            actor = users.actor_for(store, self.user)
            context = ops.Context(store, self.workspace, actor, local=True, progress=progress)
            return ops.run(context, operation, fields)
        finally:
            store.close()

    def _remote(
        self, server: dict[str, Any], operation: str, fields: dict[str, Any], user: str | None = None
    ) -> dict[str, Any]:
        import httpx

        try:
            response = httpx.post(
                f"{server['url']}/api/v1/{operation.replace('.', '/')}",
                json=fields,
                headers={"Authorization": f"Bearer {server['token']}", "X-Goldpair-User": user or self.user},
                timeout=None,
                trust_env=False,
            )
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise GoldpairError(
                f"The server of this workspace (PID {server['pid']}) did not answer: {error}. "
                "Stop it and start it again with `goldpair serve`."
            ) from error
        if response.status_code < 400:
            return body
        problem = body.get("error", {})
        kind = _KINDS.get(problem.get("kind", ""), GoldpairError)
        message = problem.get("message", f"HTTP {response.status_code}")
        raise RefusedError(message, problem.get("reasons")) if kind is RefusedError else kind(message)

    def wait(self, job_id: str, progress: Progress | None = None, every_s: float = 0.3) -> dict[str, Any]:
        """Wait until a job has finished and its output is in the store. Raises when it did not succeed."""
        from curate.jobs import working

        folder = self.workspace.jobs / job_id
        while True:
            if progress:
                progress(_read_progress(folder))
            # a step of a long training says nothing for a minute, and the store is not opened for that
            if (folder / "exit.json").exists() or not working(folder):
                status = self.call("jobs.status", job=job_id)
                if status["state"] in FINISHED:
                    break
            time.sleep(every_s)
        if progress:
            progress(_read_progress(folder))
        if status["state"] != "done":
            raise GoldpairError(
                f"Job {job_id} ({status['kind']}) is {status['state']}: {status.get('error') or 'no message'}. "
                f"Its log: goldpair jobs log {job_id}"
            )
        return status


def _read_progress(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "progress.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
