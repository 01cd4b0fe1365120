"""Operations on personal data: scanning, findings, the lists of strings, the second look, proposals, originals.

Does not cover: the rules, which `curate.findings`, `lists`, `marking`, `secondlook`, `proposals` and `standins` own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from curate.errors import NotFound, UsageError
from curate.ops.table import Context, PageRequest, Request, TaskRequest, operation, pack_of, start

# --- scanning and findings ----------------------------------------------------------------------------------


@operation("scan", "scan")
def scan(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Find personal data in everything not yet scanned by the current detector and replace it."""
    return start(context, "scan", request.task, {})


class FindingsRequest(PageRequest):
    status: str | None = Field("open", description="open, confirmed, rejected, replaced; null for all")


@operation("findings.list", "read")
def findings_list(context: Context, request: FindingsRequest) -> dict[str, Any]:
    """Findings of personal data in current revisions, with their text in context."""
    from curate import findings

    return {
        "findings": findings.list_findings(
            context.store,
            context.actor,
            request.task,
            status=request.status,
            limit=request.limit,
            offset=request.offset,
        )
    }


class FindingDecision(Request):
    finding_id: str
    decision: Literal["confirm", "reject"]
    same: bool = Field(
        False, description="decide all open findings of this string and type, and put the string on the list"
    )


@operation("findings.decide", "review")
def findings_decide(context: Context, request: FindingDecision) -> dict[str, Any]:
    """Confirm a finding (its text is replaced by a surrogate) or reject it (it stays, and is remembered)."""
    from curate import findings

    done = findings.decide_finding(
        context.store,
        context.actor,
        context.workspace,
        request.finding_id,
        request.decision,
        same=request.same,
    )
    _saved(context, done["pairs"])
    return done


def _saved(context: Context, pair_ids: list[str]) -> None:
    from curate import incremental

    for pair_id in pair_ids:
        incremental.saved(context.store, context.workspace, pair_id)


# --- lists of strings ---------------------------------------------------------------------------------------


@operation("privacy.lists", "read")
def privacy_lists(context: Context, request: TaskRequest) -> dict[str, Any]:
    """What is never and what is always personal in a task, by string, and the version of these lists."""
    from curate import lists

    return lists.show(context.store, context.actor, request.task)


class AllowRequest(TaskRequest):
    text: str = Field(description="a string, found as whole words in any case")
    entity_type: str | None = Field(None, description="of this type alone; any when absent")


@operation("privacy.allow", "scan")
def privacy_allow(context: Context, request: AllowRequest) -> dict[str, Any]:
    """Put a string on the allow list: its open findings close, the next scans leave it alone."""
    from curate import lists

    kind = request.entity_type and _known_type(context, request.task, request.entity_type)
    return context.store.write(
        lambda tx: lists.put(tx, request.task, context.actor.user, "allow", request.text, kind)
    )


class DenyRequest(TaskRequest):
    text: str = Field(description="a string, found as whole words in any case")
    entity_type: str = Field(description="what it is, e.g. PERSON")


@operation("privacy.deny", "scan")
def privacy_deny(context: Context, request: DenyRequest) -> dict[str, Any]:
    """Put a string on the deny list: rows that contain it are held until somebody confirms, new records lose it."""
    from curate import lists

    kind = _known_type(context, request.task, request.entity_type)
    return context.store.write(
        lambda tx: lists.put(tx, request.task, context.actor.user, "deny", request.text, kind)
    )


class TermRequest(TaskRequest):
    term_id: str


@operation("privacy.unlist", "scan")
def privacy_unlist(context: Context, request: TermRequest) -> dict[str, Any]:
    """Take a string off its list; the rows that contain it are scanned again, and no others."""
    from curate import findings, lists

    done, pairs = context.store.write(
        lambda tx: lists.take_off(tx, request.task, context.actor.user, request.term_id)
    )
    findings.rescan_pairs(context.store, context.workspace, request.task, pairs)
    return done


def _known_type(context: Context, task: str, entity_type: str) -> str:
    """The type in the detector's spelling. Raises `UsageError` for none of its types, or one that the policy keeps."""
    from curate.privacy import Policy
    from curate.privacy.policy import ENTITIES

    kind = entity_type.strip().upper()
    if kind not in ENTITIES:
        raise UsageError(f"No type {entity_type!r}. The types are {', '.join(ENTITIES)}.")
    _, pack = pack_of(context, task)
    if Policy.load(pack.privacy or "default").action(kind) == "keep":
        raise UsageError(f"The privacy policy of {task} keeps {kind}: a finding of it would change nothing.")
    return kind


# --- what no scan found -------------------------------------------------------------------------------------


class Span(Request):
    field: str = Field(description="prompt, completion, system, history.0, metadata.key")
    start: int = Field(ge=0, description="in code points")
    stop: int = Field(ge=1)
    entity_type: str


class AddRequest(Span):
    pair_id: str
    rev: int = Field(description="the revision that was looked at")
    everywhere: bool = Field(False, description="put the string on the deny list of the task")


@operation("findings.add", "review")
def findings_add(context: Context, request: AddRequest) -> dict[str, Any]:
    """Mark personal data that no scan found: it is replaced by a surrogate, wherever it stands in the pair."""
    from curate import marking

    row = context.store.one("SELECT task FROM pairs WHERE pair_id = ?", [request.pair_id])
    if row is None:
        raise NotFound(f"No pair {request.pair_id!r}.")
    span = request.model_dump(include={"field", "start", "stop"})
    span["entity_type"] = _known_type(context, row["task"], request.entity_type)
    done = marking.add(
        context.store, context.actor, context.workspace, request.pair_id, request.rev, [span],
        everywhere=request.everywhere,
    )  # fmt: skip
    _saved(context, [request.pair_id])
    return done


# --- the second look ----------------------------------------------------------------------------------------


@operation("secondlook.next", "review")
def secondlook_next(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Draw a scanned document with nothing open, without marks: does anything personal stand in it?"""
    from curate import secondlook

    return secondlook.next_item(context.store, context.actor, request.task)


class LookRequest(Request):
    pair_id: str
    rev: int = Field(description="the revision that was shown")
    missed: list[Span] = Field([], description="what still is personal; nothing when it is clean")


@operation("secondlook.answer", "review")
def secondlook_answer(context: Context, request: LookRequest) -> dict[str, Any]:
    """Say that a drawn document is clean, or what was missed in it, which is replaced at once."""
    from curate import secondlook

    row = context.store.one("SELECT task FROM pairs WHERE pair_id = ?", [request.pair_id])
    if row is None:
        raise NotFound(f"No pair {request.pair_id!r}.")
    missed = [
        span.model_dump() | {"entity_type": _known_type(context, row["task"], span.entity_type)}
        for span in request.missed
    ]
    done = secondlook.answer(
        context.store, context.actor, context.workspace, request.pair_id, request.rev, missed
    )
    if missed:
        _saved(context, [request.pair_id])
    return done


@operation("secondlook.summary", "read")
def secondlook_summary(context: Context, request: TaskRequest) -> dict[str, Any]:
    """How many documents were looked at again, how many leaked, and the upper bound that follows."""
    from curate import secondlook

    return secondlook.summary(context.store, request.task)


# --- proposed recognizers -----------------------------------------------------------------------------------


@operation("privacy.proposals", "read")
def privacy_proposals(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Shapes that several denied or marked strings share, as recognizers that could be switched on."""
    from curate import proposals

    return {"proposals": proposals.proposals(context.store, request.task)}


class SwitchRequest(TaskRequest):
    shape: str = Field(description="as proposed, e.g. A-9")
    entity_type: str


@operation("privacy.switch_on", "scan")
def privacy_switch_on(context: Context, request: SwitchRequest) -> dict[str, Any]:
    """Switch a proposed recognizer on, unless it would be wrong on the open documents of the written corpus."""
    from curate import proposals

    kind = _known_type(context, request.task, request.entity_type)
    return proposals.switch_on(context.store, context.actor, request.task, request.shape, kind)


# --- what stands for whom -----------------------------------------------------------------------------------


class OriginalRequest(Request):
    pair_id: str


@operation("findings.original", "see_originals")
def findings_original(context: Context, request: OriginalRequest) -> dict[str, Any]:
    """What stood where the surrogates of a pair stand; each look is logged."""
    from curate import standins

    return standins.originals(context.store, context.actor, request.pair_id)


class LinkRequest(Request):
    pair_id: str
    rev: int = Field(description="the revision that was looked at")
    surrogate: str = Field(description="a surrogate of the pair")
    same_as: str = Field(description="the surrogate that takes its place: the two are one person")


@operation("findings.link", "review")
def findings_link(context: Context, request: LinkRequest) -> dict[str, Any]:
    """Say that two surrogates of a pair are one person; one of them stands for both from then on."""
    from curate import standins

    done = standins.link(
        context.store, context.actor, context.workspace, request.pair_id, request.rev, request.surrogate,
        request.same_as,
    )  # fmt: skip
    _saved(context, [request.pair_id])
    return done
