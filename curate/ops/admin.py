"""Operations on the workspace itself: the funnel, jobs, people, backups, the event log.

Does not cover: the rules of users, jobs and events (`curate.users`, `curate.jobs`, `curate.store`), nor putting
a backup back, which needs the store closed (`curate.store.backup.restore`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from curate import jobs, users
from curate.errors import RefusedError, UsageError
from curate.ops.proof import ModelsRequest, models_list, snapshot_list
from curate.ops.table import Context, Empty, Request, TaskRequest, only_local, operation, plain
from curate.store import backup


@operation("overview", "read")
def overview(context: Context, request: TaskRequest) -> dict[str, Any]:
    """The funnel of one task: raw, quarantined, held, ready, approved, in snapshots, models."""
    store, task = context.store, request.task
    states = {
        r["status"]: r["n"]
        for r in store.rows(
            "SELECT status, count(*) AS n FROM pair_state WHERE task = ? GROUP BY status", [task]
        )
    }
    one = (
        store.one(
            "SELECT (SELECT count(*) FROM records WHERE task = $1) AS records,"
            " (SELECT count(*) FROM quarantine q JOIN imports i USING (import_id) WHERE i.task = $1)"
            " AS quarantined",
            [task],
        )
        or {}
    )
    from curate import clusters, findings

    return {
        "task": task,
        "records": one.get("records", 0),
        "quarantined": one.get("quarantined", 0),
        "pairs": states,
        "open_findings": findings.count_open(store, task),
        "open_clusters": clusters.count_open(store, task),
        "snapshots": snapshot_list(context, request)["snapshots"],
        "models": models_list(context, ModelsRequest(task=task))["models"],
    }


# --- jobs, people, audit ------------------------------------------------------------------------------------


class JobRequest(Request):
    job: str


@operation("jobs.list", "read")
def jobs_list(context: Context, request: Empty) -> dict[str, Any]:
    """Long-running work, newest first."""
    jobs.tick(context.store, context.workspace)
    return {"jobs": [plain(row) for row in jobs.list_jobs(context.store)]}


@operation("jobs.status", "read")
def jobs_status(context: Context, request: JobRequest) -> dict[str, Any]:
    """State and progress of one job; its finished chunks are taken into the store first."""
    jobs.tick(context.store, context.workspace)
    return plain(jobs.status(context.store, request.job))


@operation("jobs.cancel", "scan")
def jobs_cancel(context: Context, request: JobRequest) -> dict[str, Any]:
    """Stop a job after its current chunk."""
    jobs.cancel(context.store, context.actor, request.job)
    return plain(jobs.status(context.store, request.job))


@operation("jobs.resume", "scan")
def jobs_resume(context: Context, request: JobRequest) -> dict[str, Any]:
    """Put a failed or lost job back in line; finished chunks are kept."""
    jobs.resume(context.store, context.actor, context.workspace, request.job)
    return plain(jobs.status(context.store, request.job))


class UserRequest(Request):
    name: str
    role: Literal["viewer", "annotator", "reviewer", "adjudicator", "lead", "admin"]
    password: str | None = Field(None, min_length=10)


@operation("users.add", "manage_users")
def users_add(context: Context, request: UserRequest) -> dict[str, Any]:
    """Add a user with a role."""
    users.create_user(context.store, context.actor, request.name, request.role, request.password)
    return {"user": request.name, "role": request.role}


@operation("users.list", "read")
def users_list(context: Context, request: Empty) -> dict[str, Any]:
    """Users and their roles."""
    return {"users": [plain(row) for row in users.list_users(context.store)]}


class TokenRequest(Request):
    user: str


@operation("users.token", "manage_users")
def users_token(context: Context, request: TokenRequest) -> dict[str, Any]:
    """Make an API token for a user; it is shown once."""
    return {"user": request.user, "token": users.issue_token(context.store, context.actor, request.user)}


class LinkRequest(Request):
    name: str
    subject: str = Field(min_length=1, max_length=255, description="the person's `sub` at the provider")


@operation("users.link", "manage_users")
def users_link(context: Context, request: LinkRequest) -> dict[str, Any]:
    """Say that a user is a person of the workspace's OpenID Connect provider."""
    oidc = context.workspace.settings.oidc
    if oidc is None:
        raise UsageError(
            "This workspace names no provider. Write [oidc] into goldpair.toml; see docs/serving.md."
        )
    users.link(context.store, context.actor, request.name, oidc.issuer, request.subject)
    return {"user": request.name, "issuer": oidc.issuer}


# --- backups and the log ------------------------------------------------------------------------------------


class BackupRequest(Request):
    to: str | None = Field(None, description="move it to this path of this machine; else backups/ keeps it")


@operation("backup.create", "backup")
def backup_create(context: Context, request: BackupRequest) -> dict[str, Any]:
    """Copy the store while people work; the copy is compared row by row before it gets its name."""
    target = None
    if request.to is not None:
        only_local(context, "A backup")
        target = Path(request.to)
        if target.exists() or backup.manifest_of(target).exists():
            raise UsageError(f"{target} exists already. Choose another name.")
        if not target.parent.is_dir():
            raise UsageError(f"{target.parent} does not exist. Make the folder first.")
    found = backup.backup(context.store)
    if target is not None:
        for old, new in (
            (Path(found["path"]), target),
            (backup.manifest_of(Path(found["path"])), backup.manifest_of(target)),
        ):
            shutil.move(old, new)
        found["path"] = str(target)
    return found


@operation("backup.list", "backup")
def backup_list(context: Context, request: Empty) -> dict[str, Any]:
    """Backups in the workspace, newest first."""
    return {"backups": backup.backups(context.workspace.backups)}


@operation("audit.verify", "read")
def audit_verify(context: Context, request: Empty) -> dict[str, Any]:
    """Check the event chain, that replaying it gives the stored state, and that no backed-up event is gone."""
    problems = context.store.verify_chain() + context.store.verify_replay()
    problems += backup.missing_heads(context.store)
    if problems:
        raise RefusedError("The audit trail does not hold.", problems)
    row = context.store.one("SELECT count(*) AS n FROM events") or {"n": 0}
    return {"events": row["n"], "intact": True}


# --- forgetting a person ------------------------------------------------------------------------------------


class ForgetRequest(Request):
    words: list[str] = Field([], max_length=50, description="names, numbers and addresses of one person")
    records: list[str] = Field([], description="record ids of theirs, in place of words or beside them")
    reason: str = ""
    apply: bool = Field(False, description="delete; without it only what would be deleted is listed")


@operation("forget", "erase")
def forget(context: Context, request: ForgetRequest) -> dict[str, Any]:
    """Find a person everywhere in the workspace and delete them; models to retrain are listed."""
    from curate import forget as forgetting

    if not request.apply:
        found = forgetting.find(context.store, context.workspace, request.words, record_ids=request.records)
        return {"applied": False, "found": plain(found)}
    done = forgetting.forget(
        context.store,
        context.workspace,
        context.actor,
        request.words,
        record_ids=request.records,
        reason=request.reason,
    )
    return {"applied": True, **plain(done)}
