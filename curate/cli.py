"""The command line: every verb with ``--json``, an example in its help, and stable exit codes.

Covers: options, progress bars, how results are printed. Exit codes: 0 ok, 1 error, 2 usage, 3 gate refused.
Does not cover: what verbs do (`curate.ops`), how the store is reached (`curate.client`). Heavy libraries are
imported by the verb that needs them, so that ``goldpair --help`` starts at once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.errors import EXIT_ERROR, GoldpairError, RefusedError, UsageError

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
clusters_app = typer.Typer(help="Near-duplicates that wait for a person.", no_args_is_help=True)
users_app = typer.Typer(help="People and roles.", no_args_is_help=True)
audit_app = typer.Typer(help="The event log.", no_args_is_help=True)
for sub, name in (
    (review_app, "review"),
    (snapshot_app, "snapshot"),
    (models_app, "models"),
    (jobs_app, "jobs"),
    (findings_app, "findings"),
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


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _print(result: dict[str, Any], as_json: bool, show: Any = None) -> None:
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    elif show is not None:
        show(result)
    else:
        _show_fields(result)


def _show_fields(result: dict[str, Any]) -> None:
    for key, value in result.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            _show_table(value)
        else:
            print(
                f"{key}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}"
            )


def _show_table(rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    """Rows as a table. Cells are plain text: record text is never read as markup."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print("Nothing here.")
        return
    table = Table(box=None, pad_edge=False)
    columns = columns or [c for c in rows[0] if not isinstance(rows[0][c], dict | list)]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if row.get(c) is None else str(row.get(c))) for c in columns))
    _console().print(table)


class _Bar:
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

    def __enter__(self) -> _Bar:
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


def _client(workspace: Path | None, user: str | None) -> Any:
    from curate.client import Client
    from curate.workspace import Workspace

    return Client(Workspace.open(workspace), user)


def _job(
    client: Any, title: str, as_json: bool, no_wait: bool, operation: str, **fields: Any
) -> dict[str, Any]:
    """Start a job and, unless told otherwise, wait for it with a progress bar."""
    started = client.call(operation, **fields)
    if no_wait:
        return started
    try:
        with _Bar(title, quiet=as_json) as bar:
            status = client.wait(started["job"], bar)
    except KeyboardInterrupt:
        typer.echo(f"The job goes on: goldpair jobs show {started['job']}", err=True)
        raise
    return {**started, **(status.get("result") or {})}


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
        _print(
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
    _print(result, as_json, checks.show)
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


# --- data ---------------------------------------------------------------------------------------------------


@app.command(
    "import",
    epilog=example(
        "goldpair import sarcastic-bot records.jsonl --licence CC-BY-4.0",
        "goldpair import medical-scribe visits.csv --map prompt=dialogue --map completion=note --dry-run",
    ),
)
def import_(
    task: TaskArgument,
    path: Annotated[Path, typer.Argument(help="JSONL, JSON, CSV, Parquet, or a folder of paired files.")],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, e.g. prompt=question.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Force a file format instead of the file's ending.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the records.")] = None,
    consent: Annotated[str | None, typer.Option(help="Note on consent or contract.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import records. Rows that cannot be used go to quarantine with file, line and reason."""
    pairs = {}
    for entry in mapping or []:
        field, separator, column = entry.partition("=")
        if not separator:
            raise UsageError(f"--map wants FIELD=COLUMN, not {entry!r}.")
        pairs[field] = column
    client = _client(workspace, user)
    with _Bar("import", quiet=as_json) as bar:
        result = client.call(
            "import",
            bar,
            task=task,
            path=str(path.resolve()),
            mapping=pairs or None,
            format=format,
            licence=licence,
            consent=consent,
            dry_run=dry_run,
        )
    _print(result, as_json, _show_import)


def _show_import(result: dict[str, Any]) -> None:
    print(
        f"{result['imported'] + result['already_there'] + result['quarantined']} rows: {result['imported']} "
        f"imported, {result['already_there']} already there, {result['quarantined']} in quarantine"
    )
    for reason, count in sorted(result["by_reason"].items(), key=lambda item: -item[1]):
        print(f"  {count:6}  {reason}")
    if result.get("preview"):
        _show_table(result["preview"])


@app.command(
    epilog=example(
        "goldpair scan sarcastic-bot",
        'goldpair scan --text "call Priya on 98765 43210" --json',
        "goldpair scan sarcastic-bot --engine daft --in rows.parquet --out found",
    )
)
def scan(
    task: Annotated[str | None, typer.Argument(help="Task pack whose records are scanned.")] = None,
    text: Annotated[str | None, typer.Option(help="Look at one text instead; nothing is stored.")] = None,
    no_wait: NoWait = False,
    engine: EngineOption = "local",
    source: SourceOption = None,
    out: OutOption = None,
    key: KeyOption = "id",
    column: ColumnOption = "text",
    ray: RayOption = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find personal data and replace it by surrogates; unclear findings wait for a person."""
    if (task is None) == (text is None):
        raise UsageError("Give either a task or --text.")
    if engine != "local" or source or out or ray:
        from curate.scale import from_files

        _print(from_files("scan", str(task), workspace, engine, source, out, key, column, ray), as_json)
        return
    if text is not None:
        from curate.privacy import Detector

        found = Detector.from_policy("default").scan([text])[0]
        rows = [
            {
                "start": f.start,
                "end": f.end,
                "entity_type": f.entity_type,
                "score": round(f.score, 3),
                "recognizer": f.recognizer,
                "text": text[f.start : f.end],
            }
            for f in found
        ]
        _print({"findings": rows}, as_json, lambda r: _show_table(r["findings"]))
        return
    client = _client(workspace, user)
    result = _job(client, "scan", as_json, no_wait, "scan", task=task)
    _print(result if no_wait else result | _standing(client, str(task)), as_json)


@app.command(
    epilog=example(
        "goldpair dedupe sarcastic-bot",
        "goldpair dedupe sarcastic-bot --engine daft --in rows.parquet --out groups --ray auto",
    )
)
def dedupe(
    task: TaskArgument,
    no_wait: NoWait = False,
    engine: EngineOption = "local",
    source: SourceOption = None,
    out: OutOption = None,
    key: KeyOption = "id",
    column: ColumnOption = "text",
    ray: RayOption = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Group near-duplicates and conflicting drafts. Unresolved groups block approval.

    With --engine daft: over Parquet files instead of the store, here or on a Ray cluster (docs/scale.md).
    """
    if engine != "local" or source or out or ray:
        from curate.scale import from_files

        _print(from_files("dedupe", task, workspace, engine, source, out, key, column, ray), as_json)
        return
    client = _client(workspace, user)
    result = _job(client, "dedupe", as_json, no_wait, "dedupe", task=task)
    _print(result if no_wait else result | _standing(client, task), as_json)


def _standing(client: Any, task: str) -> dict[str, Any]:
    """Where the pairs of a task stand now."""
    overview = client.call("overview", task=task)
    return {name: overview[name] for name in ("pairs", "open_findings", "open_clusters")}


@findings_app.command("list", epilog=example("goldpair findings list sarcastic-bot"))
def findings_list(
    task: TaskArgument,
    status: Annotated[str, typer.Option(help="open, confirmed, rejected or replaced.")] = "open",
    limit: LimitOption = 50,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Findings of personal data."""
    result = _client(workspace, user).call("findings.list", task=task, status=status, limit=limit)
    columns = ["finding_id", "field", "entity_type", "score", "recognizer", "text"]
    _print(result, as_json, lambda r: _show_table(r["findings"], columns))


@findings_app.command("decide", epilog=example("goldpair findings decide f-12ab confirm"))
def findings_decide(
    finding: Annotated[str, typer.Argument(help="Finding id; goldpair findings list shows it.")],
    decision: Annotated[str, typer.Argument(help="confirm or reject")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm (replace the text) or reject (keep it and remember) one finding."""
    _print(_client(workspace, user).call("findings.decide", finding_id=finding, decision=decision), as_json)


@clusters_app.command("list", epilog=example("goldpair clusters list sarcastic-bot"))
def clusters_list(
    task: TaskArgument,
    status: Annotated[str, typer.Option(help="open or resolved.")] = "open",
    limit: LimitOption = 50,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Groups of near-duplicates."""
    result = _client(workspace, user).call("clusters.list", task=task, status=status, limit=limit)
    _print(
        result,
        as_json,
        lambda r: _show_table(
            [
                {
                    "cluster": c["cluster_id"],
                    "kind": c["kind"],
                    "pair": m["pair_id"],
                    "similarity": m["similarity"],
                    "suggested": "keep" if m["pair_id"] == c["suggested"]["keep"] else "",
                    "prompt": m["prompt"][:60],
                }
                for c in r["clusters"]
                for m in c["members"]
            ]
        ),
    )


@clusters_app.command(
    "decide",
    epilog=example(
        "goldpair clusters decide c-12ab keep p-1", "goldpair clusters decide c-12ab not_duplicates"
    ),
)
def clusters_decide(
    cluster: Annotated[str, typer.Argument(help="Group id; goldpair clusters list shows it.")],
    decision: Annotated[str, typer.Argument(help="keep or not_duplicates")],
    keep: Annotated[list[str] | None, typer.Argument(help="pair ids to keep")] = None,
    merge_labels: Annotated[
        bool, typer.Option("--merge-labels", help="Give the one kept pair the labels it lacks.")
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resolve a group of near-duplicates."""
    result = _client(workspace, user).call(
        "clusters.decide",
        cluster_id=cluster,
        decision=decision,
        keep=keep or [],
        merge_labels=merge_labels,
    )
    _print(result, as_json)


# --- review -------------------------------------------------------------------------------------------------


@review_app.command("next", epilog=example("goldpair review next sarcastic-bot --json"))
def review_next(
    task: TaskArgument,
    n: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 1,
    order: Annotated[str, typer.Option(help="queue, score (lowest first) or score_high")] = "queue",
    min_score: Annotated[float | None, typer.Option(help="Only pairs with at least this score.")] = None,
    max_score: Annotated[float | None, typer.Option(help="Only pairs with at most this score.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """The next pairs of your queue."""

    def show(result: dict[str, Any]) -> None:
        for item in result["items"]:
            print(
                f"{item['pair_id']} rev {item['rev']} [{item['status']}]\n\nPROMPT\n{item['prompt']}\n\n"
                f"COMPLETION\n{item['completion']}\n"
            )
            for blocker in item.get("blockers", []):
                print(f"blocked: {blocker}")
        if not result["items"]:
            print("Your queue is empty.")

    asked = {"order": order, "min_score": min_score, "max_score": max_score}
    _print(_client(workspace, user).call("review.next", task=task, n=n, **asked), as_json, show)


@review_app.command(
    "decide",
    epilog=example(
        "goldpair review decide p-12ab --rev 1 approve",
        "goldpair review decide p-12ab --rev 1 reject --reason off_tone",
    ),
)
def review_decide(
    pair: Annotated[str, typer.Argument(help="Pair id; goldpair review next shows it.")],
    verdict: Annotated[str, typer.Argument(help="approve, reject, edit, skip, flag or return")],
    rev: Annotated[int, typer.Option(help="Revision you looked at; a newer one refuses the decision.")],
    reason: Annotated[str | None, typer.Option(help="One of the pack's reject_reasons.")] = None,
    prompt: Annotated[str | None, typer.Option(help="With edit: the new prompt.")] = None,
    completion: Annotated[str | None, typer.Option(help="With edit: the new completion.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, e.g. tone=4")] = None,
    comment: Annotated[str | None, typer.Option(help="A note that stays with the pair.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Repeat safely with the same id.")] = None,
    suggestion: Annotated[
        str | None, typer.Option(help="With edit: take this suggestion of a model.")
    ] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide on one pair."""
    labels = {}
    for entry in label or []:
        name, _, value = entry.partition("=")
        labels[name] = int(value) if value.isdigit() else value
    result = _client(workspace, user).call(
        "review.decide",
        pair_id=pair,
        rev=rev,
        verdict=verdict,
        reason=reason,
        prompt=prompt,
        completion=completion,
        labels=labels or None,
        comment=comment,
        client_id=client_id,
        suggestion=suggestion,
    )
    _print(result, as_json)


@review_app.command("undo", epilog=example("goldpair review undo"))
def review_undo(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Take back your last decision."""
    _print(_client(workspace, user).call("review.undo"), as_json)


# --- snapshots ----------------------------------------------------------------------------------------------


@snapshot_app.command("create", epilog=example("goldpair snapshot create sarcastic-bot"))
def snapshot_create(
    task: TaskArgument,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze the approved pairs of a task, after scanning every one of them again."""
    _print(_job(_client(workspace, user), "freeze", as_json, no_wait, "snapshot.create", task=task), as_json)


@snapshot_app.command("list", epilog=example("goldpair snapshot list sarcastic-bot"))
def snapshot_list(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Snapshots of a task, newest first."""
    result = _client(workspace, user).call("snapshot.list", task=task)
    _print(result, as_json, lambda r: _show_table(r["snapshots"]))


@snapshot_app.command("verify", epilog=example("goldpair snapshot verify 3fa9"))
def snapshot_verify(
    snapshot: SnapshotArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a snapshot with what was frozen; names any changed byte."""
    _print(_client(workspace, user).call("snapshot.verify", snapshot=_place(snapshot)), as_json)


@snapshot_app.command("groups", epilog=example("goldpair snapshot groups 3fa9"))
def snapshot_groups(
    snapshot: SnapshotArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Groups of people by the declared quasi-identifiers, those under k first (k-anonymity)."""

    def show(result: dict[str, Any]) -> None:
        print(
            f"{result['groups']} groups by {', '.join(result['quasi_identifiers'])}, the smallest of "
            f"{result['smallest']} people; {len(result['small'])} under k = {result['k']}; "
            f"{result['left_out']} pairs left out, {len(result['not_generalised'])} not generalised"
        )
        if result["small"]:
            _show_table(
                [{**g["values"], "people": g["people"], "pairs": len(g["pairs"])} for g in result["small"]]
            )

    _print(_client(workspace, user).call("snapshot.groups", snapshot=_place(snapshot)), as_json, show)


@snapshot_app.command("diff", epilog=example("goldpair snapshot diff 3fa9 81bc"))
def snapshot_diff(
    left: SnapshotArgument,
    right: SnapshotArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pairs added, removed and changed between two snapshots."""
    _print(_client(workspace, user).call("snapshot.diff", left=_place(left), right=_place(right)), as_json)


@snapshot_app.command(
    "export", epilog=example("goldpair snapshot export 3fa9 --format messages --out export/")
)
def snapshot_export(
    snapshot: SnapshotArgument,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    format: Annotated[
        str, typer.Option(help="messages, prompt-completion, alpaca, sharegpt, parquet or hf")
    ] = "messages",
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a snapshot in another tool's format, with ready trainer configs."""
    result = _client(workspace, user).call(
        "snapshot.export", snapshot=_place(snapshot), format=format, out=str(out.resolve())
    )
    _print(result, as_json)


# --- jobs, people, audit ------------------------------------------------------------------------------------


@jobs_app.command("list", epilog=example("goldpair jobs list"))
def jobs_list(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Jobs, newest first."""
    _print(
        _client(workspace, user).call("jobs.list"),
        as_json,
        lambda r: _show_table(r["jobs"], ["job_id", "kind", "task", "state", "created_ts", "error"]),
    )


@jobs_app.command("show", epilog=example("goldpair jobs show j-12ab"))
def jobs_show(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """State and progress of one job."""
    _print(_client(workspace, user).call("jobs.status", job=job), as_json)


@jobs_app.command("wait", epilog=example("goldpair jobs wait j-12ab"))
def jobs_wait(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow a job until it ends."""
    with _Bar(job, quiet=as_json) as bar:
        result = _client(workspace, user).wait(job, bar)
    _print(result, as_json)


@jobs_app.command("cancel", epilog=example("goldpair jobs cancel j-12ab"))
def jobs_cancel(
    job: JobArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a job after its current chunk."""
    _print(_client(workspace, user).call("jobs.cancel", job=job), as_json)


@jobs_app.command("resume", epilog=example("goldpair jobs resume j-12ab"))
def jobs_resume(
    job: JobArgument, workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Put a failed or lost job back in line; finished chunks are kept."""
    _print(_client(workspace, user).call("jobs.resume", job=job), as_json)


@jobs_app.command("log", epilog=example("goldpair jobs log j-12ab"))
def jobs_log(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """The log of a job."""
    from curate.errors import NotFound
    from curate.workspace import Workspace

    path = Workspace.open(workspace).jobs / Path(job).name / "log.txt"
    if not path.exists():
        raise NotFound(f"No log of job {job!r}. `goldpair jobs list` shows the jobs.")
    log = path.read_text("utf-8", errors="replace")
    _print({"job": job, "log": log}, as_json, lambda r: sys.stdout.write(r["log"]))


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
    _print(_client(workspace, user).call("users.add", name=name, role=role, password=password), as_json)


@users_app.command("list", epilog=example("goldpair users list"))
def users_list(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Users and roles."""
    _print(_client(workspace, user).call("users.list"), as_json, lambda r: _show_table(r["users"]))


@users_app.command("token", epilog=example("goldpair users token asha"))
def users_token(
    name: Annotated[str, typer.Argument(help="Whose token.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API token; it is shown once."""
    _print(_client(workspace, user).call("users.token", user=name), as_json)


@users_app.command("link", epilog=example("goldpair users link asha --subject 00u1a2b3"))
def users_link(
    name: Annotated[str, typer.Argument(help="A user of this workspace.")],
    subject: Annotated[str, typer.Option(help="Who they are at the provider: the claim sub.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a user sign in through the OpenID Connect provider of goldpair.toml; their groups then decide the role."""
    _print(_client(workspace, user).call("users.link", name=name, subject=subject), as_json)


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
        _print({key: found[key] for key in ("events", "head", "content_sha256")} | {"intact": True}, as_json)
        return
    _print(_client(workspace, user).call("audit.verify"), as_json)


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
    result = _client(workspace, user).call(
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

    _print(result, as_json, show)


# --- entry --------------------------------------------------------------------------------------------------


def _place(name: str) -> str:
    """A snapshot given as a folder becomes an absolute path: a server has another current folder."""
    return str(Path(name).resolve()) if (Path(name) / "manifest.json").is_file() else name


def main() -> None:
    """Run the command line; errors a user can act on end in one line and their exit code."""
    as_json = "--json" in sys.argv
    try:
        app(standalone_mode=True)
    except GoldpairError as error:
        reasons = error.reasons if isinstance(error, RefusedError) else []
        if as_json:
            print(
                json.dumps(
                    {"error": {"kind": type(error).__name__, "message": str(error), "reasons": reasons}}
                )
            )
        else:
            print(f"goldpair: {error}", file=sys.stderr)
            for reason in reasons:
                print(f"  - {reason}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)


from curate import cli_facts, cli_keep, cli_packs, cli_proof, cli_suggest, cli_team  # noqa: E402, F401  they register their verbs

if __name__ == "__main__":
    from curate.cli import (
        main as real_main,
    )  # run as a module, this file is a second copy of the one with the verbs

    real_main()
