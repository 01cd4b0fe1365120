"""The command line's verbs on raw data: import, scan, dedupe, and what waits for a person there.

Covers: options and what is printed. Does not cover: the work itself (`curate.ops`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    Bar,
    ColumnOption,
    EngineOption,
    JsonOption,
    KeyOption,
    LimitOption,
    NoWait,
    OutOption,
    RayOption,
    SourceOption,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    app,
    clusters_app,
    connect,
    example,
    run_job,
    show_result,
    show_table,
)
from curate.errors import UsageError

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
    client = connect(workspace, user)
    with Bar("import", quiet=as_json) as bar:
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
    show_result(result, as_json, _show_import)


def _show_import(result: dict[str, Any]) -> None:
    print(
        f"{result['imported'] + result['already_there'] + result['quarantined']} rows: {result['imported']} "
        f"imported, {result['already_there']} already there, {result['quarantined']} in quarantine"
    )
    for reason, count in sorted(result["by_reason"].items(), key=lambda item: -item[1]):
        print(f"  {count:6}  {reason}")
    if result.get("preview"):
        show_table(result["preview"])


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

        show_result(from_files("scan", str(task), workspace, engine, source, out, key, column, ray), as_json)
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
        show_result({"findings": rows}, as_json, lambda r: show_table(r["findings"]))
        return
    client = connect(workspace, user)
    result = run_job(client, "scan", as_json, no_wait, "scan", task=task)
    show_result(result if no_wait else result | _standing(client, str(task)), as_json)


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

        show_result(from_files("dedupe", task, workspace, engine, source, out, key, column, ray), as_json)
        return
    client = connect(workspace, user)
    result = run_job(client, "dedupe", as_json, no_wait, "dedupe", task=task)
    show_result(result if no_wait else result | _standing(client, task), as_json)


def _standing(client: Any, task: str) -> dict[str, Any]:
    """Where the pairs of a task stand now."""
    overview = client.call("overview", task=task)
    return {name: overview[name] for name in ("pairs", "open_findings", "open_clusters")}


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
    result = connect(workspace, user).call("clusters.list", task=task, status=status, limit=limit)
    show_result(
        result,
        as_json,
        lambda r: show_table(
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
    result = connect(workspace, user).call(
        "clusters.decide",
        cluster_id=cluster,
        decision=decision,
        keep=keep or [],
        merge_labels=merge_labels,
    )
    show_result(result, as_json)
