"""The command line's verbs that tell people where to look: suggestions, scores, lists by score.

Covers: options and what is printed. Does not cover: the work (`curate.ops.suggest`, `curate.ops.curation`) nor other
verbs (`curate.cli`, which registers these).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    LimitOption,
    NoWait,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    app,
    connect,
    example,
    review_app,
    run_job,
    show_result,
    show_table,
)


@app.command(
    epilog=example(
        "goldpair suggest sarcastic-bot --model sarcastic-bot-v1",
        "goldpair suggest sarcastic-bot --endpoint http://localhost:8000/v1 --endpoint-model local --limit 50",
    )
)
def suggest(
    task: TaskArgument,
    model: Annotated[str | None, typer.Option(help="Version that answers.")] = None,
    base: Annotated[bool, typer.Option("--base", help="The task's base answers, untrained.")] = False,
    endpoint: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server; prompts are sent to it.")
    ] = None,
    endpoint_model: Annotated[str | None, typer.Option(help="Name of its model.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Variable that holds the endpoint's key.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many pairs.")] = 1000,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest answer; else the task's.")
    ] = None,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model answer undecided pairs; reviewers see its answers beside theirs, and may take one as an edit."""
    result = run_job(
        connect(workspace, user),
        "Suggesting",
        as_json,
        no_wait,
        "suggest",
        task=task,
        model=model,
        base=base,
        endpoint=endpoint,
        endpoint_model=endpoint_model,
        api_key_env=api_key_env,
        limit=limit,
        max_new_tokens=max_new_tokens,
    )

    def show(result: dict[str, Any]) -> None:
        if no_wait:
            print(f"job: {result['job']}")
            return
        print(
            f"{result['model']}: {result['suggested']} suggestions for {result['asked']} pairs, "
            f"{result['scored']} scored, {result['empty']} empty"
        )
        for reason, n in result["left_out"].items():
            print(f"not asked, {reason.replace('_', ' ')}: {n}")

    show_result(result, as_json, show)


MinScore = Annotated[float | None, typer.Option(help="Only pairs with at least this score.")]
MaxScore = Annotated[float | None, typer.Option(help="Only pairs with at most this score.")]
ScorerOption = Annotated[str | None, typer.Option(help="Scorer to go by; else the task's first.")]


@review_app.command("score", epilog=example("goldpair review score medical-scribe"))
def review_score(
    task: TaskArgument,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the task's scorers judge what they have not judged yet, to list and review by score."""
    result = run_job(connect(workspace, user), "Scoring", as_json, no_wait, "review.score", task=task)

    def show(result: dict[str, Any]) -> None:
        if no_wait:
            print(f"job: {result['job']}")
            return
        print(f"{result['scored']} scored now, {result['not_scored']} could not be judged")
        rows = [
            row | {"mean": None if row["mean"] is None else f"{row['mean']:.3f}"} for row in result["scorers"]
        ]
        show_table(rows)

    show_result(result, as_json, show)


@review_app.command(
    "list",
    epilog=example(
        "goldpair review list sarcastic-bot --status held",
        "goldpair review list medical-scribe --sort score --max-score 0.6",
    ),
)
def review_list(
    task: TaskArgument,
    status: Annotated[str | None, typer.Option(help="Only pairs in this status.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only pairs held, rejected or returned for this.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="Only pairs with this piece of text.")] = None,
    sort: Annotated[
        str, typer.Option(help="id, newest, oldest, source, loss, score (lowest first) or score_high")
    ] = "id",
    scorer: ScorerOption = None,
    min_score: MinScore = None,
    max_score: MaxScore = None,
    limit: LimitOption = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many first.")] = 0,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pairs of a task, filtered and in an order."""
    result = connect(workspace, user).call(
        "pairs.list",
        task=task,
        status=status,
        reason=reason,
        search=search,
        sort=sort,
        scorer=scorer,
        min_score=min_score,
        max_score=max_score,
        limit=limit,
        offset=offset,
    )

    def show(result: dict[str, Any]) -> None:
        rows = [row | {"prompt": " ".join((row["prompt"] or "")[:60].split())} for row in result["pairs"]]
        columns = ["pair_id", "status", "reason", "rev", "prompt"]
        show_table(rows, columns + [name for name in ("score", "critical") if rows and name in rows[0]])

    show_result(result, as_json, show)
