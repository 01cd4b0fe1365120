"""Operations on records and pairs: import, near-duplicates, review.

Does not cover: the rules, which `curate.records`, `clusters` and `review` own; privacy (`curate.ops.privacy`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from curate.errors import NotFound
from curate.ops.table import (
    Context,
    Empty,
    PageRequest,
    Request,
    TaskRequest,
    only_local,
    operation,
    pack_of,
    plain,
    start,
)
from curate.scores import Ranking, ranking
from curate.tasks import TaskPack, load_pack, shipped_packs


@operation("tasks.list", "read")
def tasks_list(context: Context, request: Empty) -> dict[str, Any]:
    """Task packs this workspace can use."""
    own = {path.parent.name: path.parent for path in sorted(context.workspace.tasks.glob("*/task.toml"))}
    rows = []
    for name, folder in sorted({**shipped_packs(), **own}.items()):
        pack = load_pack(folder)
        rows.append(
            {"task": name, "title": pack.title, "version": pack.version, "description": pack.description}
        )
    return {"tasks": rows}


# --- import -------------------------------------------------------------------------------------------------


class ImportRequest(TaskRequest):
    path: str = Field(description="file or folder on this machine")
    mapping: dict[str, str] | None = Field(None, description="our field -> column of the file")
    format: str | None = None
    licence: str | None = None
    consent: str | None = None
    dry_run: bool = False


@operation("import", "import")
def import_(context: Context, request: ImportRequest) -> dict[str, Any]:
    """Read records from a file or folder; rows that cannot be used go to quarantine with their reason."""
    from curate import records

    only_local(context, "Importing")
    pack_of(context, request.task)
    result = records.import_file(
        context.store,
        context.actor,
        request.task,
        Path(request.path),
        mapping=request.mapping,
        format=request.format,
        licence=request.licence,
        consent=request.consent,
        dry_run=request.dry_run,
        progress=context.progress,
    )
    return result.model_dump()


@operation("quarantine.list", "read")
def quarantine_list(context: Context, request: PageRequest) -> dict[str, Any]:
    """Rows that were not imported: file, line, reason."""
    rows = context.store.rows(
        "SELECT q.file, q.line, q.reason, q.detail FROM quarantine q JOIN imports i USING (import_id)"
        " WHERE i.task = ? ORDER BY q.file, q.line LIMIT ? OFFSET ?",
        [request.task, request.limit, request.offset],
    )
    return {"rows": rows}


# --- duplicates ---------------------------------------------------------------------------------------------


@operation("dedupe", "dedupe")
def dedupe(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Group near-duplicates and conflicting drafts; unresolved groups block approval."""
    return start(context, "dedupe", request.task, {})


class ClustersRequest(PageRequest):
    status: str | None = "open"


@operation("clusters.list", "read")
def clusters_list(context: Context, request: ClustersRequest) -> dict[str, Any]:
    """Groups of near-duplicate pairs with their members."""
    from curate import clusters

    return {
        "clusters": clusters.list_clusters(
            context.store, request.task, status=request.status, limit=request.limit, offset=request.offset
        )
    }


class ClusterDecision(Request):
    cluster_id: str
    decision: Literal["keep", "not_duplicates"]
    keep: list[str] = Field([], description="pair ids to keep, when the decision is keep")
    merge_labels: bool = Field(False, description="give the one kept pair the labels it lacks, of the others")


@operation("clusters.decide", "review")
def clusters_decide(context: Context, request: ClusterDecision) -> dict[str, Any]:
    """Resolve a group: keep some members and drop the rest, or remember that they are different."""
    from curate import clusters

    return clusters.decide_cluster(
        context.store,
        context.actor,
        request.cluster_id,
        request.decision,
        request.keep,
        merge_labels=request.merge_labels,
    )


# --- review -------------------------------------------------------------------------------------------------


class ScoreRequest(TaskRequest):
    """Bounds and order by the score that a scorer of the task gave (`review.score` computes them)."""

    scorer: str | None = Field(None, description="one of the task's; its first when absent")
    min_score: float | None = None
    max_score: float | None = None


class CountsRequest(ScoreRequest):
    order: Literal["queue", "score", "score_high"] = Field(
        "queue", description="score: the lowest first; score_high: the highest first"
    )


class NextRequest(CountsRequest):
    n: int = Field(1, ge=1, le=50)


@operation("review.next", "annotate")
def review_next(context: Context, request: NextRequest) -> dict[str, Any]:
    """Lease the next pairs of the acting user's queue."""
    from curate import review

    _, pack = pack_of(context, request.task)
    items = review.next_items(
        context.store,
        context.actor,
        request.task,
        n=request.n,
        gold=pack.team.gold,
        ranking=_ranking(pack, request, request.order),
    )
    return {"items": [plain(item) for item in items], "reject_reasons": pack.reject_reasons}


def _ranking(pack: TaskPack, request: ScoreRequest, order: str) -> Ranking | None:
    return ranking(pack, request.scorer, order, request.min_score, request.max_score)


class PairRequest(Request):
    pair_id: str


@operation("review.item", "read")
def review_item(context: Context, request: PairRequest) -> dict[str, Any]:
    """One pair: texts, findings, labels, revisions, decisions, and what blocks its approval."""
    from curate import review

    return plain(review.item(context.store, context.actor, request.pair_id))


class ChecksRequest(PairRequest):
    prompt: str | None = Field(None, description="a text that is being written; else the current one")
    completion: str | None = None


@operation("review.checks", "read")
def review_checks(context: Context, request: ChecksRequest) -> dict[str, Any]:
    """The task's scorers and the training tokenizer on one pair; a helper process runs them."""
    from curate import checks, review

    item = review.item(context.store, context.actor, request.pair_id)
    folder, _ = pack_of(context, item.task)
    row = {
        name: getattr(item, name)
        for name in ("pair_id", "source", "system", "history", "prompt", "completion", "metadata")
    }
    row |= {name: value for name in ("prompt", "completion") if (value := getattr(request, name)) is not None}
    return checks.Checker.of(context.store).ask(folder, row) | {"pair_id": item.pair_id, "rev": item.rev}


class PreferenceRequest(Request):
    name: str
    value: Any = Field(None, description="any JSON; null forgets it")


@operation("preferences.set", "read")
def preferences_set(context: Context, request: PreferenceRequest) -> dict[str, Any]:
    """Keep something for oneself: keys of the card, a saved view."""
    from curate import preferences

    preferences.put(context.store, context.actor, request.name, request.value)
    return {"name": request.name, "value": request.value}


@operation("preferences.list", "read")
def preferences_list(context: Context, request: Empty) -> dict[str, Any]:
    """What the acting user keeps."""
    from curate import preferences

    return {"preferences": preferences.all_of(context.store, context.actor)}


class DecideRequest(Request):
    pair_id: str
    rev: int = Field(description="the revision that was looked at")
    verdict: Literal["approve", "reject", "edit", "skip", "flag", "return"]
    reason: str | None = None
    prompt: str | None = None
    completion: str | None = None
    labels: dict[str, Any] | None = None
    comment: str | None = None
    client_id: str | None = Field(None, description="repeat a decision safely with the same id")
    suggestion: str | None = Field(
        None, description="with edit: the suggestion it began as, and without a completion its very text"
    )


@operation("review.decide", "annotate")
def review_decide(context: Context, request: DecideRequest) -> dict[str, Any]:
    """Approve, reject, edit, skip, flag or return a pair."""
    from curate import findings, incremental, review
    from curate.facts import classes

    row = context.store.one("SELECT task FROM pairs WHERE pair_id = ?", [request.pair_id])
    if row is None:
        raise NotFound(f"No pair {request.pair_id!r}.")
    folder, pack = pack_of(context, row["task"])

    def rescan(pair_id: str, rev: int) -> None:
        findings.rescan(context.store, context.workspace, pair_id, rev)
        classes.scan_revision(context.store, pair_id)
        incremental.saved(context.store, context.workspace, pair_id)

    return review.decide(
        context.store,
        context.actor,
        request.pair_id,
        request.rev,
        request.verdict,
        reason=request.reason,
        prompt=request.prompt,
        completion=request.completion,
        labels=request.labels,
        comment=request.comment,
        client_id=request.client_id,
        suggestion=request.suggestion,
        pack=pack,
        guideline_version=review.guideline_version(folder),
        rescan=rescan,
    )


@operation("review.undo", "annotate")
def review_undo(context: Context, request: Empty) -> dict[str, Any]:
    """Take back the acting user's last decision."""
    from curate import incremental, review
    from curate.facts import classes

    done = review.undo(context.store, context.actor)
    if done["verdict"] == "edit":
        classes.scan_revision(context.store, done["pair_id"])
        incremental.saved(context.store, context.workspace, done["pair_id"])
    return done


@operation("review.counts", "read")
def review_counts(context: Context, request: CountsRequest) -> dict[str, Any]:
    """Queue sizes for the acting user."""
    from curate import review

    _, pack = pack_of(context, request.task)
    return review.queue_counts(
        context.store, context.actor, request.task, ranking=_ranking(pack, request, request.order)
    )


@operation("review.score", "evaluate")
def review_score(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Let the task's scorers judge every current revision they have not judged yet; lists and queues go by it."""
    _, pack = pack_of(context, request.task)
    ranking(pack, None, "score", None, None)  # refused before a job starts
    return start(context, "score", request.task, {})


class PairsRequest(PageRequest, ScoreRequest):
    status: str | None = None
    reason: str | None = Field(None, description="why it is held, rejected or returned")
    search: str | None = Field(None, description="a piece of text, without case")
    label: str | None = Field(None, description="name=value, or name for any value")
    author: str | None = None
    source: str | None = None
    sort: Literal["id", "newest", "oldest", "source", "loss", "score", "score_high"] = Field(
        "id",
        description="loss: what the newest model still finds most surprising comes first; score: the lowest score "
        "first; score_high: the highest",
    )


@operation("pairs.list", "read")
def pairs_list(context: Context, request: PairsRequest) -> dict[str, Any]:
    """Pairs of a task, filtered by state, labels and substring, in an order."""
    from curate import listing, losses

    found = losses.newest(context.store, context.workspace, request.task) if request.sort == "loss" else None
    _, pack = pack_of(context, request.task)
    fields = request.model_dump(exclude={"scorer", "min_score", "max_score"})
    by = _ranking(pack, request, request.sort)
    return {"pairs": listing.list_pairs(context.store, context.actor, losses=found, ranking=by, **fields)}
