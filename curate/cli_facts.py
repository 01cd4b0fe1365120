"""The command line's verbs on facts that expire: scan, list, decide, add, what a changed policy sheet touches.

Covers: options and what is printed. Does not cover: the work (`curate.ops.facts`) nor other verbs (`curate.cli`, which
registers these).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    LimitOption,
    NoWait,
    UserOption,
    WorkspaceOption,
    app,
    connect,
    example,
    run_job,
    show_result,
    show_table,
)
from curate.errors import NotFound, UsageError

facts_app = typer.Typer(help="Facts in completions that expire.", no_args_is_help=True)
app.add_typer(facts_app, name="facts")

TaskOption = Annotated[str, typer.Option(help="Task pack, e.g. support-bot.")]


@facts_app.command("scan", epilog=example("goldpair facts scan --task support-bot"))
def facts_scan(
    task: TaskOption,
    no_wait: NoWait = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every completion for prices, fees, dates, statutes and other facts that expire. Changes no pair."""
    show_result(
        run_job(connect(workspace, user), "facts", as_json, no_wait, "facts.scan", task=task), as_json
    )


@facts_app.command(
    "list",
    epilog=example(
        "goldpair facts list --task support-bot",
        "goldpair facts list --task support-bot --status expires --json",
    ),
)
def facts_list(
    task: TaskOption,
    status: Annotated[str, typer.Option(help="open, timeless, expires, slot or all.")] = "open",
    kind: Annotated[
        str | None, typer.Option(help="Only this kind: price, fee, rate, period, date ...")
    ] = None,
    limit: LimitOption = 50,
    offset: Annotated[int, typer.Option(min=0, help="Skip so many.")] = 0,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Facts in the pairs in play, with what the radar suggests or somebody decided."""
    wanted = None if status == "all" else status
    result = connect(workspace, user).call(
        "facts.list", task=task, status=wanted, kind=kind, limit=limit, offset=offset
    )

    def show(found: dict[str, Any]) -> None:
        always = ["fact_id", "pair_id", "kind", "words", "class"]
        filled = [
            c for c in ("suggestion", "suggested", "expires", "slot") if any(f[c] for f in found["facts"])
        ]
        show_table(found["facts"], always + filled)
        if found["unread"]:
            print(f"{found['unread']} revisions were not read yet: goldpair facts scan --task {task}")

    show_result(result, as_json, show)


@facts_app.command(
    "classify",
    epilog=example(
        "goldpair facts classify 3f9a1c0b7d21e4aa --as timeless",
        "goldpair facts classify 3f9a1c0b7d21e4aa --as expires --expires 2027-04-01",
        "goldpair facts classify 3f9a1c0b7d21e4aa --as slot --slot delivery_fee",
    ),
)
def facts_classify(
    facts: Annotated[list[str], typer.Argument(help="Fact ids; goldpair facts list shows them.")],
    as_: Annotated[str, typer.Option("--as", help="timeless, expires or slot.")],
    expires: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD: the first day on which it no longer holds.")
    ] = None,
    slot: Annotated[str | None, typer.Option(help="Name of the slot that takes its place.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide on facts, all in the same way. A slot is an edit: somebody else approves it. review undo takes it back."""
    client = connect(workspace, user)
    done = []
    for fact in dict.fromkeys(facts):
        done.append(client.call("facts.classify", fact_id=fact, expires=expires, slot=slot, **{"as": as_}))
    show_result({"decided": done}, as_json, lambda r: show_table(r["decided"]))


@facts_app.command("add", epilog=example("goldpair facts add p-12ab 'the red line' --kind now"))
def facts_add(
    pair: Annotated[str, typer.Argument(help="Pair id.")],
    words: Annotated[str, typer.Argument(help="As they stand in its completion, in quotes.")],
    kind: Annotated[str, typer.Option(help="price, fee, rate, period, date ...")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark words that the radar passed over as a fact to decide on."""
    show_result(connect(workspace, user).call("facts.add", pair_id=pair, words=words, kind=kind), as_json)


@facts_app.command(
    "changed",
    epilog=example(
        "goldpair facts changed --policy policy-2026-10.toml --task support-bot",
        "goldpair facts changed --policy policy-2026-10.toml --before policy-2026-04.toml --json",
    ),
)
def facts_changed(
    policy: Annotated[Path, typer.Option(help="The new sheet, TOML or JSON.")],
    before: Annotated[
        Path | None, typer.Option(help="The old sheet; else the pack's one from before the new.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task; else all with an earlier sheet.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pairs, snapshots and models that state what a new policy sheet changes. Changes nothing itself."""
    result = connect(workspace, user).call(
        "facts.changed", policy=_text(policy), before=_text(before) if before else None, task=task
    )
    show_result(result, as_json, _show_changed)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"No file {path}. Name a policy sheet, TOML or JSON.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text: {error}") from error


def _show_changed(result: dict[str, Any]) -> None:
    for found in result["tasks"]:
        print(f"{found['task']}: {found['old']['version']} -> {found['new']['version']}")
        show_table(found["changes"], ["fact", "what", "old", "new"])
        claims = [
            {"pair": pair["pair_id"], "status": pair["status"], **claim}
            for pair in found["pairs"]
            for claim in pair["claims"]
        ]
        if claims:
            show_table(claims, ["pair", "status", "what", "span", "fact", "new"])
        if found["snapshots"]:
            show_table(found["snapshots"], ["folder", "rows", "affected"])
        if found["models"]:
            show_table(found["models"], ["model", "released", "pairs"])
    print(
        f"{result['pairs']} pairs, {result['snapshots']} snapshots, {result['models']} models "
        f"({result['released']} of them released)"
    )
