"""The command line's verbs of a team: agreement, gold, bulk decisions, their undo.

Covers: options and what is printed. Does not cover: the work (`curate.ops.team`) nor other verbs (`curate.cli`,
which registers these).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    connect,
    example,
    review_app,
    show_result,
    show_table,
)


@review_app.command("agreement", epilog=example("goldpair review agreement sarcastic-bot --json"))
def review_agreement(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far people agree on the blind sample: Krippendorff's alpha, Cohen's kappa, with intervals; and on gold."""
    show_result(connect(workspace, user).call("review.agreement", task=task), as_json, _show_agreement)


def _show_agreement(result: dict[str, Any]) -> None:
    sample, verdicts = result["sample"], result["verdicts"]
    print(
        f"blind sample of {sample['share']:.0%}: {sample['judged_twice']} judged twice, {sample['judged_once']} once; "
        f"disputes: {sample['disputes_open']} open, {sample['disputes_settled']} settled"
    )
    rows = [{"what": "verdict", "distance": verdicts["distance"], **_numbers(verdicts, "alpha")}]
    rows += [
        {"what": row["label"], "distance": row["distance"], **_numbers(row, "alpha")}
        for row in result["labels"]
    ]
    show_table(rows)
    if result["people"]:
        show_table(
            [{"people": f"{r['one']} / {r['other']}", **_numbers(r, "kappa")} for r in result["people"]]
        )
    if result["gold"]:
        show_table(result["gold"], ["user", "n", "right", "share", "lately"])


def _numbers(row: dict[str, Any], name: str) -> dict[str, Any]:
    low_high = row["interval"]
    return {
        "n": row["n"],
        name: "" if row[name] is None else f"{row[name]:.3f}",
        "95 %": f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else "",
        "equal": "" if row["agreement"] is None else f"{row['agreement']:.0%}",
    }


@review_app.command(
    "gold", epilog=example("goldpair review gold p-12ab approve", "goldpair review gold p-12ab none")
)
def review_gold(
    pair: Annotated[str, typer.Argument(help="A decided pair.")],
    verdict: Annotated[str, typer.Argument(help="approve, reject or return; none: no longer gold")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a decided pair a hidden check: what reviewers say about it is measured and changes nothing."""
    wanted = None if verdict == "none" else verdict
    show_result(connect(workspace, user).call("review.gold", pair_id=pair, verdict=wanted), as_json)


@review_app.command(
    "bulk",
    epilog=example(
        "goldpair review bulk sarcastic-bot reject --search lorem --reason malformed",
        "goldpair review bulk sarcastic-bot reject --search lorem --reason malformed --confirm 12",
    ),
)
def review_bulk(
    task: TaskArgument,
    verdict: Annotated[str, typer.Argument(help="approve, reject, return or flag")],
    confirm: Annotated[int | None, typer.Option(help="Do it; the count that was shown without this.")] = None,
    reason: Annotated[str | None, typer.Option(help="One of the pack's reject_reasons.")] = None,
    comment: Annotated[str | None, typer.Option(help="A note on every pair.")] = None,
    status: Annotated[str | None, typer.Option(help="Only pairs in this status.")] = None,
    held_for: Annotated[
        str | None, typer.Option(help="Only pairs held, rejected or returned for this.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="Only pairs with this piece of text.")] = None,
    label: Annotated[str | None, typer.Option(help="Only pairs with this label, NAME=VALUE.")] = None,
    author: Annotated[str | None, typer.Option(help="Only revisions of this author.")] = None,
    source: Annotated[str | None, typer.Option(help="Only pairs of this source.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Only pairs with at least this score.")] = None,
    max_score: Annotated[float | None, typer.Option(help="Only pairs with at most this score.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide on everything a filter finds. Without --confirm it counts and changes nothing."""
    result = connect(workspace, user).call(
        "review.bulk",
        task=task,
        verdict=verdict,
        confirm=confirm,
        code=reason,
        comment=comment,
        status=status,
        reason=held_for,
        search=search,
        label=label,
        author=author,
        source=source,
        min_score=min_score,
        max_score=max_score,
    )

    def show(result: dict[str, Any]) -> None:
        if confirm is None:
            states = ", ".join(f"{n} {status}" for status, n in result["by_status"].items())
            print(
                f"{result['count']} pairs ({states or 'none'}); {result['blind']} of the blind sample left out."
            )
            print(f"To {verdict} them: the same command with --confirm {result['count']}")
            return
        print(f"{result['done']} done. Take it all back: goldpair review undo-batch {result['batch']}")
        if result["refused"]:
            show_table(result["refused"])

    show_result(result, as_json, show)


@review_app.command(
    "undo-batch", epilog=example("goldpair review undo-batch 0123456789abcdef0123456789abcdef")
)
def review_undo_batch(
    batch: Annotated[str, typer.Argument(help="What the bulk decision printed.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a whole bulk decision back; what somebody decided on since is kept and listed."""
    show_result(connect(workspace, user).call("review.undo_batch", batch=batch), as_json)
