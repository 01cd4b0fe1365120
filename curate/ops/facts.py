"""Operations on facts that expire: find, list, decide, what a changed policy sheet touches.

Does not cover: the rules, which `curate.facts` owns.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field

from curate.errors import UsageError
from curate.facts import classes, policy, stale
from curate.ops.table import Context, PageRequest, Request, TaskRequest, operation, pack_of, plain, start


@operation("facts.scan", "scan")
def facts_scan(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Read every completion for facts that expire, those of earlier revisions and snapshots too."""
    return start(context, "facts", request.task, {})


class FactsRequest(PageRequest):
    status: Literal["open", "timeless", "expires", "slot"] | None = Field("open", description="null for all")
    kind: str | None = Field(None, description="price, fee, rate, period, statute, date ...")


@operation("facts.list", "read")
def facts_list(context: Context, request: FactsRequest) -> dict[str, Any]:
    """Facts with their words in their completion, and counts by kind and class."""
    found = classes.list_facts(
        context.store,
        context.actor,
        request.task,
        status=request.status,
        kind=request.kind,
        limit=request.limit,
        offset=request.offset,
    )
    return {"facts": [plain(row) for row in found], **classes.counts(context.store, request.task)}


class ClassifyRequest(Request):
    fact_id: str
    as_: Literal["timeless", "expires", "slot"] = Field(alias="as")
    expires: date | None = Field(None, description="first day on which it no longer holds")
    slot: str | None = Field(None, description="name of the slot that takes its place")


@operation("facts.classify", "review")
def facts_classify(context: Context, request: ClassifyRequest) -> dict[str, Any]:
    """Decide on a fact: timeless, expires on a day, or replaced by a slot in a new revision."""
    from curate import findings, incremental, review

    task = classes.current(context.store, request.fact_id)["task"]
    folder, pack = pack_of(context, task)

    def rescan(pair_id: str, rev: int) -> None:
        findings.rescan(context.store, context.workspace, pair_id, rev)
        classes.scan_revision(context.store, pair_id)
        incremental.saved(context.store, context.workspace, pair_id)

    done = classes.classify(
        context.store,
        context.actor,
        request.fact_id,
        request.as_,
        expires=request.expires,
        slot=request.slot,
        pack=pack,
        guideline_version=review.guideline_version(folder),
        rescan=rescan,
    )
    stale.write_notes(context.store, context.workspace, task)
    return done


class AddRequest(Request):
    pair_id: str
    words: str = Field(min_length=1, max_length=400, description="as they stand in the completion")
    kind: str


@operation("facts.add", "review")
def facts_add(context: Context, request: AddRequest) -> dict[str, Any]:
    """Mark words of a completion that the radar passed over as a fact to decide on."""
    return classes.add(context.store, context.actor, request.pair_id, request.words, request.kind)


class ChangedRequest(Request):
    policy: str = Field(max_length=2_000_000, description="text of the new sheet, TOML or JSON")
    before: str | None = Field(
        None, max_length=2_000_000, description="text of the old sheet; else the pack's one from before"
    )
    task: str | None = Field(None, description="else every task whose pack has an earlier sheet")


@operation("facts.changed", "read")
def facts_changed(context: Context, request: ChangedRequest) -> dict[str, Any]:
    """Pairs, snapshots and models that state what a new policy sheet changes. Changes nothing itself."""
    new = policy.read(request.policy)
    old = policy.read(request.before) if request.before is not None else None
    if old is not None and old.valid_from >= new.valid_from:
        raise UsageError(
            f"The sheet before is from {old.valid_from}, the new one from {new.valid_from}. Swap them."
        )
    found, without = [], []
    for task in policy.tasks_with(context.store, [request.task] if request.task else []):
        try:
            earlier = old or policy.sheet_before(pack_of(context, task)[0], new)
        except UsageError:  # no earlier sheet, or no pack any more
            if request.task:
                raise
            without.append(task)
            continue
        found.append(policy.affected(context.store, context.workspace, task, earlier, new))
    if not found:
        raise UsageError("No task here has an earlier sheet in its pack. Name it with --before FILE.")
    return {"tasks": found, "without_sheet": without, **policy.summary(found)}
