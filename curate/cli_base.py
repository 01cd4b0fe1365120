"""What the command line's modules share: the app and its groups of verbs, common options, printing, progress, jobs.

Does not cover: any verb (the modules `cli_*` beside this one), nor the entry with its exit codes (`curate.cli`). Heavy
libraries are imported by the function that needs them, so that ``goldpair --help`` starts at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="goldpair",
    help="From raw private records to a specialist model that is proven to be better.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
review_app = typer.Typer(
    help="Decide on pairs from a script; people use the Review page.", no_args_is_help=True
)
snapshot_app = typer.Typer(
    help="Freeze approved pairs; verify, compare and export snapshots.", no_args_is_help=True
)
models_app = typer.Typer(help="Model versions.", no_args_is_help=True)
jobs_app = typer.Typer(help="Long-running work.", no_args_is_help=True)
findings_app = typer.Typer(help="Personal data that waits for a person.", no_args_is_help=True)
privacy_app = typer.Typer(
    help="Lists of strings, the second look, proposed recognizers.", no_args_is_help=True
)
clusters_app = typer.Typer(help="Near-duplicates that wait for a person.", no_args_is_help=True)
users_app = typer.Typer(help="People and roles.", no_args_is_help=True)
audit_app = typer.Typer(help="The event log.", no_args_is_help=True)
for sub, name in (
    (review_app, "review"),
    (snapshot_app, "snapshot"),
    (models_app, "models"),
    (jobs_app, "jobs"),
    (findings_app, "findings"),
    (privacy_app, "privacy"),
    (clusters_app, "clusters"),
    (users_app, "users"),
    (audit_app, "audit"),
):
    app.add_typer(sub, name=name)

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", envvar="GOLDPAIR_WORKSPACE", help="Workspace folder; else the nearest above."
    ),
]
UserOption = Annotated[
    str | None,
    typer.Option("--user", envvar="GOLDPAIR_USER", help="Act as this user; else cli_user of goldpair.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
TaskArgument = Annotated[str, typer.Argument(help="Task pack, e.g. sarcastic-bot.")]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]
JobArgument = Annotated[str, typer.Argument(help="Job id; goldpair jobs list shows them.")]
ModelArgument = Annotated[str, typer.Argument(help="Model version, e.g. sarcastic-bot-v1.")]
SnapshotArgument = Annotated[str, typer.Argument(help="Snapshot id, the start of it, or a folder.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start the job and return; see goldpair jobs.")]
EngineOption = Annotated[str, typer.Option(help="local, or daft: Parquet files, here or on a Ray cluster.")]
SourceOption = Annotated[str | None, typer.Option("--in", help="Parquet file, folder or pattern, for daft.")]
OutOption = Annotated[str | None, typer.Option("--out", help="Folder for the results, for daft.")]
KeyOption = Annotated[str, typer.Option(help="Column of unique ids, for daft.")]
ColumnOption = Annotated[str, typer.Option(help="Column of texts, for daft.")]
RayOption = Annotated[
    str | None, typer.Option(help="Address of a Ray cluster (auto, local or host:port), for daft.")
]


def example(*lines: str) -> str:
    """The epilog of a verb's help; docs/cli.md is made from the same lines."""
    return "[bold]Example[/bold]\n\n" + "\n\n".join(f"  $ {line}" for line in lines)


# --- printing -----------------------------------------------------------------------------------------------


def console() -> Any:
    """A rich console that colours nothing by guess."""
    from rich.console import Console

    return Console(highlight=False)


def show_result(result: dict[str, Any], as_json: bool, show: Any = None) -> None:
    """A result as one JSON object, by ``show``, or field by field."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    elif show is not None:
        show(result)
    else:
        show_fields(result)


def show_fields(result: dict[str, Any]) -> None:
    """One line a field; lists of rows as tables."""
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            show_table(value)
        else:
            print(
                f"{key}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}"
            )


def show_table(rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    """Rows as a table. Cells are plain text: record text is never read as markup. Ids stay whole, to be copied."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print("Nothing here.")
        return
    table = Table(box=None, pad_edge=False)
    columns = columns or [c for c in rows[0] if not isinstance(rows[0][c], dict | list)]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column.endswith("_id"))
    for row in rows:
        table.add_row(*(Text("" if row.get(c) is None else str(row.get(c))) for c in columns))
    console().print(table)


class Bar:
    """One progress bar with rate and time left on standard error; silent with --json."""

    def __init__(self, title: str, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=quiet,
            transient=False,
        )
        self.title = title
        self.task = self.progress.add_task(title, total=None, rate="", note="")

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, state: dict[str, Any]) -> None:
        rate = state.get("rate")
        self.progress.update(
            self.task,
            completed=state.get("done") or 0,
            total=state.get("total"),
            rate=f"{rate:,.1f}/s" if rate else "",
            note=str(state.get("message") or "")[:60],
        )


def connect(workspace: Path | None, user: str | None) -> Any:
    """A `curate.client.Client` on the workspace, acting as ``user``. Raises `NotFound` where there is none."""
    from curate.client import Client
    from curate.workspace import Workspace

    return Client(Workspace.open(workspace), user)


def run_job(
    client: Any, title: str, as_json: bool, no_wait: bool, operation: str, **fields: Any
) -> dict[str, Any]:
    """Start a job and, unless told otherwise, wait for it with a progress bar."""
    started = client.call(operation, **fields)
    if no_wait:
        return started
    try:
        with Bar(title, quiet=as_json) as bar:
            status = client.wait(started["job"], bar)
    except KeyboardInterrupt:
        typer.echo(f"The job goes on: goldpair jobs show {started['job']}", err=True)
        raise
    return {**started, **(status.get("result") or {})}


def place_of(name: str) -> str:
    """A snapshot given as a folder becomes an absolute path: a server has another current folder."""
    return str(Path(name).resolve()) if (Path(name) / "manifest.json").is_file() else name
