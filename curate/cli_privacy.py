"""The command line's verbs on personal data: findings, lists of strings, the second look.

Covers: options and what is printed. Does not cover: the work itself (`curate.ops.privacy`), the scan
(`curate.cli_data`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from curate.cli_base import (
    JsonOption,
    LimitOption,
    TaskArgument,
    UserOption,
    WorkspaceOption,
    connect,
    example,
    findings_app,
    privacy_app,
    show_result,
    show_table,
)
from curate.errors import UsageError

StringArgument = Annotated[str, typer.Argument(help="A string, found as whole words in any case.")]
PairArgument = Annotated[str, typer.Argument(help="Pair id; goldpair findings list --json has it.")]
RevOption = Annotated[int, typer.Option(help="The revision you looked at; a newer one refuses.")]


# --- findings -----------------------------------------------------------------------------------------------


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
    result = connect(workspace, user).call("findings.list", task=task, status=status, limit=limit)
    columns = ["finding_id", "field", "entity_type", "score", "recognizer", "text"]
    show_result(result, as_json, lambda r: show_table(r["findings"], columns))


@findings_app.command(
    "decide",
    epilog=example(
        "goldpair findings decide f-12ab confirm", "goldpair findings decide f-12ab reject --same"
    ),
)
def findings_decide(
    finding: Annotated[str, typer.Argument(help="Finding id; goldpair findings list shows it.")],
    decision: Annotated[str, typer.Argument(help="confirm or reject")],
    same: Annotated[
        bool, typer.Option("--same", help="Every open one with this string; it goes on the task's list.")
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm (replace the text) or reject (keep it and remember) one finding, or all of its string."""
    show_result(
        connect(workspace, user).call("findings.decide", finding_id=finding, decision=decision, same=same),
        as_json,
    )


@findings_app.command("add", epilog=example('goldpair findings add p-12ab "Asha Rao" --rev 1 --type PERSON'))
def findings_add(
    pair: PairArgument,
    text: Annotated[str, typer.Argument(help="What is personal, as it stands in the prompt or completion.")],
    rev: RevOption,
    entity_type: Annotated[str, typer.Option("--type", help="What it is, e.g. PERSON.")],
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Put it on the deny list: other rows that hold it wait.")
    ] = False,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark what no scan found; it is replaced wherever it stands in the pair."""
    client = connect(workspace, user)
    item = client.call("review.item", pair_id=pair)
    place = _place(item, text)
    show_result(
        client.call(
            "findings.add", pair_id=pair, rev=rev, entity_type=entity_type, everywhere=everywhere, **place
        ),
        as_json,
    )


@findings_app.command("original", epilog=example("goldpair findings original p-12ab"))
def findings_original(
    pair: PairArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """What stood where the surrogates of a pair stand. For those who may; each look is logged."""
    result = connect(workspace, user).call("findings.original", pair_id=pair)
    show_result(result, as_json, lambda r: show_table(r["originals"]))


@findings_app.command(
    "link", epilog=example('goldpair findings link p-12ab "Meera Iyer" "Asha Nair" --rev 1')
)
def findings_link(
    pair: PairArgument,
    surrogate: Annotated[str, typer.Argument(help="A surrogate of the pair.")],
    same_as: Annotated[str, typer.Argument(help="The surrogate of the same person, which takes its place.")],
    rev: RevOption,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that two surrogates of a pair are one person."""
    result = connect(workspace, user).call(
        "findings.link", pair_id=pair, rev=rev, surrogate=surrogate, same_as=same_as
    )
    show_result(result, as_json)


def _place(fields: dict[str, Any], text: str) -> dict[str, Any]:
    """Where a string first stands in the completion or the prompt."""
    for name in ("completion", "prompt"):
        if text and (at := str(fields.get(name) or "").find(text)) >= 0:
            return {"field": name, "start": at, "stop": at + len(text)}
    raise UsageError(f"{text!r} stands neither in the completion nor in the prompt, letter by letter.")


# --- lists --------------------------------------------------------------------------------------------------


@privacy_app.command("lists", epilog=example("goldpair privacy lists sarcastic-bot"))
def privacy_lists(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Strings that are never and that are always personal in a task, and the version of the lists."""

    def show(result: dict[str, Any]) -> None:
        print(f"version {result['version']}; {len(result['terms'])} terms, {result['removed']} taken off")
        if result["terms"]:
            show_table(result["terms"], ["term_id", "kind", "entity_type", "text", "actor", "ts"])

    show_result(connect(workspace, user).call("privacy.lists", task=task), as_json, show)


@privacy_app.command("allow", epilog=example('goldpair privacy allow sarcastic-bot "Mughal"'))
def privacy_allow(
    task: TaskArgument,
    text: StringArgument,
    entity_type: Annotated[str | None, typer.Option("--type", help="As this type alone; else any.")] = None,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never personal here: open findings of the string close, later scans leave it alone."""
    result = connect(workspace, user).call("privacy.allow", task=task, text=text, entity_type=entity_type)
    show_result(result, as_json)


@privacy_app.command(
    "deny", epilog=example('goldpair privacy deny sarcastic-bot "Project Falcon" --type ORG')
)
def privacy_deny(
    task: TaskArgument,
    text: StringArgument,
    entity_type: Annotated[str, typer.Option("--type", help="What it is, e.g. PERSON.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Always personal here: rows that hold the string wait for a person, new records lose it."""
    result = connect(workspace, user).call("privacy.deny", task=task, text=text, entity_type=entity_type)
    show_result(result, as_json)


@privacy_app.command("unlist", epilog=example("goldpair privacy unlist sarcastic-bot l-12ab"))
def privacy_unlist(
    task: TaskArgument,
    term: Annotated[str, typer.Argument(help="Term id; goldpair privacy lists shows it.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a string off its list; the rows that hold it are scanned again."""
    show_result(connect(workspace, user).call("privacy.unlist", task=task, term_id=term), as_json)


@privacy_app.command("proposals", epilog=example("goldpair privacy proposals sarcastic-bot"))
def privacy_proposals(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shapes that several denied or marked strings share, as recognizers that could be switched on."""
    result = connect(workspace, user).call("privacy.proposals", task=task)
    show_result(result, as_json, lambda r: show_table(r["proposals"]))


@privacy_app.command("switch-on", epilog=example("goldpair privacy switch-on sarcastic-bot A-9 --type ID"))
def privacy_switch_on(
    task: TaskArgument,
    shape: Annotated[str, typer.Argument(help="As goldpair privacy proposals shows it.")],
    entity_type: Annotated[str, typer.Option("--type", help="Its type, as proposed.")],
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch a proposed recognizer on, unless it would be wrong on the written corpus."""
    result = connect(workspace, user).call(
        "privacy.switch_on", task=task, shape=shape, entity_type=entity_type
    )
    show_result(result, as_json)


# --- the second look ----------------------------------------------------------------------------------------


@privacy_app.command("second-look", epilog=example("goldpair privacy second-look sarcastic-bot --json"))
def second_look(
    task: TaskArgument,
    workspace: WorkspaceOption = None,
    user: UserOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the second look says: how many documents still leak at most. People look on the Privacy page."""
    result = connect(workspace, user).call("secondlook.summary", task=task)
    show_result(result, as_json, lambda r: print(r["words"]))
