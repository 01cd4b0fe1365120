"""The command line's verbs on jobs, people and the event log.

Covers: options and what is printed. Does not cover: the work itself (`curate.ops`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    Bar,
    JobArgument,
    JsonOption,
    UserOption,
    WorkspaceOption,
    app,
    audit_app,
    connect,
    example,
    jobs_app,
    show_result,
    show_table,
    users_app,
)
from curate.errors import RefusedError

# --- jobs, people, audit ------------------------------------------------------------------------------------


@jobs_app.command("list", epilog=example("goldpair jobs list"))
def jobs_list(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Jobs, newest first."""
    show_result(
        connect(workspace, user).call("jobs.list"),
        as_json,
        lambda r: show_table(r["jobs"], ["job_id", "kind", "task", "state", "created_ts", "error"]),
    )


@jobs_app.command("show", epilog=example("goldpair jobs show j-12ab"))
def jobs_show(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """State and progress of one job."""
    show_result(connect(workspace, user).call("jobs.status", job=job), as_json)


@jobs_app.command("wait", epilog=example("goldpair jobs wait j-12ab"))
def jobs_wait(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a job until it ends."""
    with Bar(job, quiet=as_json) as bar:
        result = connect(workspace, user).wait(job, bar)
    show_result(result, as_json)


@jobs_app.command("cancel", epilog=example("goldpair jobs cancel j-12ab"))
def jobs_cancel(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a job after its current chunk."""
    show_result(connect(workspace, user).call("jobs.cancel", job=job), as_json)


@jobs_app.command("resume", epilog=example("goldpair jobs resume j-12ab"))
def jobs_resume(
    job: JobArgument, workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Put a failed or lost job back in line; finished chunks are kept."""
    show_result(connect(workspace, user).call("jobs.resume", job=job), as_json)


@jobs_app.command("log", epilog=example("goldpair jobs log j-12ab"))
def jobs_log(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """The log of a job."""
    from curate.errors import NotFound
    from curate.workspace import Workspace

    path = Workspace.open(workspace).jobs / Path(job).name / "log.txt"
    if not path.exists():
        raise NotFound(f"No log of job {job!r}. `goldpair jobs list` shows the jobs.")
    log = path.read_text("utf-8", errors="replace")
    show_result({"job": job, "log": log}, as_json, lambda r: sys.stdout.write(r["log"]))


@users_app.command("add", epilog=example("goldpair users add asha --role reviewer --ask-password"))
def users_add(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[str, typer.Option(help="viewer, annotator, reviewer, adjudicator, lead or admin")],
    ask_password: Annotated[
        bool, typer.Option("--ask-password", help="Ask for a password for the pages.")
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a user."""
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if ask_password else None
    show_result(connect(workspace, user).call("users.add", name=name, role=role, password=password), as_json)


@users_app.command("list", epilog=example("goldpair users list"))
def users_list(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Users and roles."""
    show_result(connect(workspace, user).call("users.list"), as_json, lambda r: show_table(r["users"]))


@users_app.command("token", epilog=example("goldpair users token asha"))
def users_token(
    name: Annotated[str, typer.Argument(help="Whose token.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API token; it is shown once."""
    show_result(connect(workspace, user).call("users.token", user=name), as_json)


@users_app.command("link", epilog=example("goldpair users link asha --subject 00u1a2b3"))
def users_link(
    name: Annotated[str, typer.Argument(help="A user of this workspace.")],
    subject: Annotated[str, typer.Option(help="Who they are at the provider: the claim sub.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a user sign in through the OpenID Connect provider of goldpair.toml; their groups then decide the role."""
    show_result(connect(workspace, user).call("users.link", name=name, subject=subject), as_json)


@audit_app.command(
    "verify", epilog=example("goldpair audit verify", "goldpair audit verify --file store-copy.duckdb")
)
def audit_verify(
    file: Annotated[
        Path | None, typer.Option(help="Check this backup instead, without any workspace.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the event chain and that replaying it gives the stored state. Exits 3 when it does not hold."""
    if file is not None:
        from curate.store.backup import examine

        found = examine(file.resolve())
        if found["problems"]:
            raise RefusedError(f"{file} does not hold.", found["problems"])
        show_result(
            {key: found[key] for key in ("events", "head", "content_sha256")} | {"intact": True}, as_json
        )
        return
    show_result(connect(workspace, user).call("audit.verify"), as_json)


@app.command(
    epilog=example(
        "goldpair forget 'Asha Rao' '98765 43210' asha.rao@example.in",
        "goldpair forget 'Asha Rao' --apply --reason 'erasure request of 3 May' --json",
    )
)
def forget(
    words: Annotated[
        list[str] | None, typer.Argument(help="Names, numbers and addresses of one person, each in quotes.")
    ] = None,
    record: Annotated[list[str] | None, typer.Option(help="A record id of theirs.")] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Delete. Without it, only what would be deleted is listed.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; stands in the certificate.")] = "",
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a person from records, pairs, snapshots and runs; list models to retrain; write a certificate."""
    result = connect(workspace, user).call(
        "forget", words=words or [], records=record or [], apply=apply, reason=reason
    )

    def show(result: dict[str, Any]) -> None:
        for what, found in (result["erased"] if result["applied"] else result["found"]).items():
            count = found if isinstance(found, int) else len(found)
            names = "" if isinstance(found, int) or what in ("records", "pairs") else ": " + ", ".join(found)
            if count:
                print(f"{count:6} {what}{names}")
        if result["applied"]:
            print(f"Deleted. Models to retrain: {', '.join(result['retrain']) or 'none'}.")
            print(f"Exports to ask back: {', '.join(result['ask_back']) or 'none'}.")
            print(f"Certificate: {result['path']}")
            print("Run `goldpair compact` next: the store's file keeps freed pages until then.")
        else:
            print("Nothing was changed. With --apply --reason TEXT it is deleted for good.")

    show_result(result, as_json, show)
