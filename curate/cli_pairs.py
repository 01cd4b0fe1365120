"""The command line's verbs on pairs: decide on them from a script, freeze and compare snapshots.

Covers: options and what is printed. Does not cover: the work itself (`curate.ops`), the Review page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    NoWait,
    SnapshotArgument,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    connect,
    example,
    place_of,
    review_app,
    run_job,
    show_result,
    show_table,
    snapshot_app,
)

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
    show_result(connect(workspace, user).call("review.next", task=task, n=n, **asked), as_json, show)


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
    result = connect(workspace, user).call(
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
    show_result(result, as_json)


@review_app.command("undo", epilog=example("goldpair review undo"))
def review_undo(
    workspace: WorkspaceOption = None, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Take back your last decision."""
    show_result(connect(workspace, user).call("review.undo"), as_json)


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
    show_result(
        run_job(connect(workspace, user), "freeze", as_json, no_wait, "snapshot.create", task=task), as_json
    )


@snapshot_app.command("list", epilog=example("goldpair snapshot list sarcastic-bot"))
def snapshot_list(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Snapshots of a task, newest first."""
    result = connect(workspace, user).call("snapshot.list", task=task)
    show_result(result, as_json, lambda r: show_table(r["snapshots"]))


@snapshot_app.command("verify", epilog=example("goldpair snapshot verify 3fa9"))
def snapshot_verify(
    snapshot: SnapshotArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a snapshot with what was frozen; names any changed byte."""
    show_result(connect(workspace, user).call("snapshot.verify", snapshot=place_of(snapshot)), as_json)


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
            show_table(
                [{**g["values"], "people": g["people"], "pairs": len(g["pairs"])} for g in result["small"]]
            )

    show_result(connect(workspace, user).call("snapshot.groups", snapshot=place_of(snapshot)), as_json, show)


@snapshot_app.command("diff", epilog=example("goldpair snapshot diff 3fa9 81bc"))
def snapshot_diff(
    left: SnapshotArgument,
    right: SnapshotArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pairs added, removed and changed between two snapshots."""
    show_result(
        connect(workspace, user).call("snapshot.diff", left=place_of(left), right=place_of(right)), as_json
    )


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
    result = connect(workspace, user).call(
        "snapshot.export", snapshot=place_of(snapshot), format=format, out=str(out.resolve())
    )
    show_result(result, as_json)
