"""The command line's verbs that keep the store: backup, restore, compact.

Covers: options and what is printed. Does not cover: the work itself (`curate.store.backup`) nor other verbs
(`curate.cli`, which registers these).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    UserOption,
    WorkspaceOption,
    app,
    connect,
    example,
    show_result,
    show_table,
)
from curate.errors import UsageError


@app.command(epilog=example("goldpair backup", "goldpair backup monday.duckdb", "goldpair backup --list"))
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to put it; else backups/ of the workspace.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the backups there are; make none.")] = False,
    compact_: Annotated[
        bool,
        typer.Option("--compact", help="Afterwards write the store anew without unused space (no server)."),
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the store, also while a server runs; the copy is proven equal row by row. Admins only."""
    client = connect(workspace, user)
    if list_:
        result = client.call("backup.list")
        columns = ["name", "created", "events", "bytes", "path"]
        show_result(result, as_json, lambda r: show_table(r["backups"], columns))
        return
    result = client.call("backup.create", to=str(file.resolve()) if file else None)
    if compact_:
        result |= {"compacted": _compact(client)}
    show_result(result, as_json, _show_backup)


@app.command(
    epilog=example(
        "goldpair restore backups/monday.duckdb --dry-run", "goldpair restore backups/monday.duckdb"
    )
)
def restore(
    file: Annotated[Path, typer.Argument(help="Backup; goldpair backup --list shows them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file; change nothing.")] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a checked backup in place of the store, which is kept in backups/. The server must be stopped.

    Erasures made since the backup are applied again. Exits 3 when the file does not hold.
    """
    from curate.errors import RefusedError
    from curate.store.backup import examine
    from curate.store.backup import restore as put_back

    client = connect(workspace, user)
    if dry_run:
        found = examine(file.resolve())
        if found["problems"]:
            raise RefusedError(f"{file} does not hold.", found["problems"])
        kept = ("schema_version", "events", "head", "content_sha256", "erasures")
        show_result({"file": str(file.resolve()), **{key: found[key] for key in kept}}, as_json)
        return
    _no_server(client)
    show_result(put_back(client.workspace.store, file.resolve(), client.user), as_json)


@app.command(epilog=example("goldpair compact"))
def compact(workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False) -> None:
    """Write the store anew without unused space, proven equal row by row. The server must be stopped."""
    show_result(_compact(connect(workspace, user)), as_json)


def _compact(client: Any) -> dict[str, Any]:
    from curate.store.backup import compact as write_anew

    _no_server(client)
    return write_anew(client.workspace.store)


def _no_server(client: Any) -> None:
    from curate.client import running_server

    running = running_server(client.workspace)
    if running:
        raise UsageError(f"A server holds the store (PID {running['pid']}). Stop it first, then try again.")


def _show_backup(result: dict[str, Any]) -> None:
    print(
        f"{result['path']}: {result['events']} events, {result['bytes']:,} bytes, equal to the store "
        f"(content {result['content_sha256'][:16]})"
    )
    if "compacted" in result:
        print(f"store: {result['compacted']['before']:,} -> {result['compacted']['after']:,} bytes")
