"""The command line's first verbs: make a workspace, say what is installed, serve the pages.

Covers: options and what is printed. Does not cover: the work (`curate.workspace`, `curate.doctor`, `curate.server`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli_base import JsonOption, WorkspaceOption, app, example, show_result
from curate.errors import EXIT_ERROR

# --- setting up ---------------------------------------------------------------------------------------------


@app.command(epilog=example("goldpair init my-team", "cd my-team && goldpair doctor"))
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make the workspace in.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when it exists already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace: store, folders, secret key, an admin user for this machine's owner."""
    from curate import users
    from curate.client import running_server
    from curate.store import Store
    from curate.workspace import Workspace

    workspace = Workspace.create(folder)
    if running_server(workspace) is None:
        store = Store.open(workspace.store)
        try:
            users.ensure_owner(store, workspace.settings.cli_user)
        finally:
            store.close()
    if not quiet or as_json:
        show_result(
            {"workspace": str(workspace.root)},
            as_json,
            lambda r: print(
                f"Workspace {r['workspace']} is ready. Next: goldpair import TASK FILE -w {folder}"
            ),
        )


@app.command(epilog=example("goldpair doctor", "goldpair doctor --json", "goldpair doctor --warm"))
def doctor(
    workspace: WorkspaceOption = None,
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Compile what is compiled on first use, so that nobody waits for it."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What is installed, what is missing, what that disables, how to get it; what uses the disk.

    Exits 1 when something required is missing.
    """
    from curate import doctor as checks
    from curate.errors import NotFound
    from curate.workspace import Workspace

    try:
        found = Workspace.open(workspace)
    except NotFound:
        if workspace:
            raise
        found = None
    result = checks.examine(found)
    if warm:
        result["warmed"] = checks.warm()
    show_result(result, as_json, checks.show)
    if not result["ok"]:
        raise typer.Exit(EXIT_ERROR)


@app.command(epilog=example("goldpair serve --port 8501", "goldpair serve -w demo --host 127.0.0.1"))
def serve(
    workspace: WorkspaceOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8501,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Loopback unless you mean it.")
    ] = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Serve the pages and the REST routes for a workspace. With --json, one line says where, then it serves."""
    from curate import server
    from curate.workspace import Workspace

    server.serve(Workspace.open(workspace), host, port, as_json)
