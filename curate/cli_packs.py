"""The command line's verbs on task packs: run the whole loop on one.

Covers: options and what is printed. Does not cover: the work itself (`curate.demo`), nor other verbs (`curate.cli`,
which registers these).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curate.cli import JsonOption, _print, app, example


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

    A pack with [demo] runs short under that declared override, and its verdict is INCONCLUSIVE.
    """
    from curate import demo as script

    done = script.run(task, workspace, quiet=as_json, full=full, result=result)
    _print(done, as_json, script.show)
