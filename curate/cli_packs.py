"""The command line's verbs on task packs: look at them, make one, run the whole loop on one.

Covers: options and what is printed. Does not cover: the work itself (`curate.demo`, `curate.packs`), nor other verbs
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


@app.command(
    epilog=example(
        "goldpair demo",
        "goldpair demo --task sarcastic-bot --workspace demo --json",
        "goldpair demo --task medical-scribe --full --result data/results/medical-scribe.json",
    )
)
def demo(
    task: Annotated[
        str, typer.Option(help="Task pack to run, shipped or the workspace's own.")
    ] = "sarcastic-bot",
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="Workspace to make or go on with.")
    ] = Path("demo"),
    full: Annotated[
        bool,
        typer.Option("--full", help="Leave the pack's declared demo override aside: all rows, all steps."),
    ] = False,
    result: Annotated[
        Path | None, typer.Option(help="Write the numbers into this file, without texts, to be committed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The whole loop on a task pack, from raw records to a verdict. Resumes where it stopped.

    A pack that declares a demo override runs short under it, and its verdict is INCONCLUSIVE.
    """
    from curate import demo as script

    done = script.run(task, workspace, quiet=as_json, full=full, result=result)
    show_result(done, as_json, script.show)


@app.command(
    "new-task",
    epilog=example(
        "goldpair new-task ticket-title", "goldpair new-task house-bot --like sarcastic-bot --json"
    ),
)
def new_task(
    name: Annotated[str, typer.Argument(help="Small letters, digits and hyphens, such as ticket-title.")],
    like: Annotated[
        str | None, typer.Option(help="Task pack to start from; a commented scaffold when absent.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a task of your own in the workspace, with comments, examples and the next steps."""
    result = connect(workspace, user).call("tasks.new", name=name, like=like)

    def show(made: dict[str, Any]) -> None:
        print(f"{made['folder']} is ready: {', '.join(made['files'])}")
        for number, step in enumerate(made["next"], 1):
            print(f"{number}. {step}")

    show_result(result, as_json, show)


@app.command(epilog=example("goldpair gallery", "goldpair gallery --json"))
def gallery(workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False) -> None:
    """The shipped task packs with their last results; --json adds guidelines and sample pairs."""
    result = connect(workspace, user).call("tasks.gallery")

    def show(found: dict[str, Any]) -> None:
        rows = [
            {
                "task": pack["task"],
                "rows": pack["rows"],
                "eval_rows": sum(suite["rows"] for suite in pack["suites"]),
                "base": pack["base"],
                "result": pack["result"]["verdict"] if pack["result"] else "not run",
                "where": pack["result"]["where"] if pack["result"] else "",
            }
            for pack in found["packs"]
        ]
        show_table(rows)
        for pack in found["packs"]:
            print(f"{pack['task']}: {pack['description']}")
        print("Start your own: goldpair new-task NAME --like TASK")

    show_result(result, as_json, show)
