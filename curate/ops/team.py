"""Operations of a team: agreement, gold items, decisions in bulk.

Does not cover: the rules, which `curate.overlap`, `curate.agreement` and `curate.bulk` own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from curate import agreement, bulk, insight, overlap, review
from curate.ops.curation import ScoreRequest
from curate.ops.table import Context, Request, TaskRequest, operation, pack_of
from curate.scores import ranking


@operation("review.agreement", "oversee")
def review_agreement(context: Context, request: TaskRequest) -> dict[str, Any]:
    """How far people agree on the blind sample, by verdict, label and pair of people; how they do on gold."""
    _, pack = pack_of(context, request.task)
    return agreement.report(context.store, context.actor, request.task, pack)


@operation("review.insight", "read")
def review_insight(context: Context, request: TaskRequest) -> dict[str, Any]:
    """How the work goes: pace, time per decision, reasons of rejection, one's own part and the team's."""
    return insight.report(context.store, context.actor, request.task)


class GoldRequest(Request):
    pair_id: str
    verdict: Literal["approve", "reject", "return"] | None = Field(None, description="null: no longer gold")


@operation("review.gold", "oversee")
def review_gold(context: Context, request: GoldRequest) -> dict[str, Any]:
    """Make a decided pair a hidden check of reviewers, or no longer."""
    return overlap.set_gold(context.store, context.actor, request.pair_id, request.verdict)


class Filter(ScoreRequest):
    status: str | None = None
    reason: str | None = None
    search: str | None = None
    label: str | None = Field(None, description="name=value")
    author: str | None = None
    source: str | None = None


class BulkRequest(Filter):
    verdict: Literal["approve", "reject", "return", "flag"]
    confirm: int | None = Field(None, description="the count that was shown; without it nothing is decided")
    code: str | None = Field(None, description="reason of a rejection or return, one of the pack's")
    comment: str | None = None


@operation("review.bulk", "oversee")
def review_bulk(context: Context, request: BulkRequest) -> dict[str, Any]:
    """Decide on everything a filter finds: without ``confirm`` only the count, with it the batch."""
    folder, pack = pack_of(context, request.task)
    scored = {"scorer", "min_score", "max_score"}
    filters = request.model_dump(exclude={"task", "verdict", "confirm", "code", "comment"} | scored)
    filters["ranking"] = ranking(pack, request.scorer, None, request.min_score, request.max_score)
    if request.confirm is None:
        return bulk.preview(context.store, context.actor, request.task, pack, filters)
    return bulk.decide_all(
        context.store,
        context.actor,
        request.task,
        pack,
        filters,
        request.verdict,
        confirm=request.confirm,
        reason=request.code,
        comment=request.comment,
        guideline_version=review.guideline_version(folder),
        progress=context.progress,
    )


class BatchRequest(Request):
    batch: str = Field(pattern=r"^[0-9a-f]{32}$")


@operation("review.undo_batch", "oversee")
def review_undo_batch(context: Context, request: BatchRequest) -> dict[str, Any]:
    """Take a whole bulk decision back."""
    return bulk.undo_batch(context.store, context.actor, request.batch)
