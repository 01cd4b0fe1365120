"""Every verb as one operation: a checked request, a permission, a function on the store.

Covers: the table that the command line, the REST routes and the pages share, and the operations themselves.
Does not cover: the rules (they live in the room that owns them) nor long work, which becomes a job
(`curate.jobs`, `curate.jobkinds`) whose id the operation returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate import jobs, users
from curate.errors import GoldpairError, NotFound, PermissionDenied, RefusedError, UsageError
from curate.tasks import TaskPack, find_pack, load_pack, shipped_packs
from curate.workspace import Workspace

if TYPE_CHECKING:
    from curate.store import Store


@dataclass(frozen=True)
class Context:
    """Who asks, and where. ``local`` is true for the owner of the workspace's files on this machine."""

    store: Store
    workspace: Workspace
    actor: users.Actor
    local: bool = False
    progress: Callable[[dict[str, Any]], None] | None = None


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Operation:
    """One row of the table: what it is called, who may ask, what it takes, what runs."""

    name: str
    permission: str
    request: type[Request]
    run: Callable[[Context, Any], dict[str, Any]]
    summary: str


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, permission: str) -> Callable[[Callable], Callable]:
    """Register ``fn(context, request)``; the request model is read from its annotation."""

    def register(fn: Callable) -> Callable:
        request = fn.__annotations__["request"]
        request = globals()[request] if isinstance(request, str) else request
        OPERATIONS[name] = Operation(
            name, permission, request, fn, (fn.__doc__ or "").strip().splitlines()[0]
        )
        return fn

    return register


def run(context: Context, name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Check the permission and the request, then run. Raises `UsageError` for a bad request."""
    found = OPERATIONS.get(name)
    if found is None:
        raise NotFound(f"No operation {name!r}.")
    users.require(context.actor, found.permission)
    try:
        request = found.request.model_validate(fields)
    except ValidationError as error:
        words = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{name}: {words}") from error
    return found.run(context, request)


def pack_of(context: Context, task: str) -> tuple[Path, TaskPack]:
    """Folder and content of a task pack, the workspace's own first. Raises `NotFound`."""
    folder = find_pack(task, context.workspace.tasks)
    return folder, load_pack(folder)


def _only_local(context: Context, what: str) -> None:
    if not context.local:
        raise PermissionDenied(
            f"{what} by a path of the server is for its own machine. Upload the file instead."
        )


# --- tasks and overview -------------------------------------------------------------------------------------


class Empty(Request):
    pass


class TaskRequest(Request):
    task: str = Field(description="name of a task pack")


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


@operation("overview", "read")
def overview(context: Context, request: TaskRequest) -> dict[str, Any]:
    """The funnel of one task: raw, quarantined, held, ready, approved, in snapshots, models."""
    store, task = context.store, request.task
    states = {
        r["status"]: r["n"]
        for r in store.rows(
            "SELECT status, count(*) AS n FROM pair_state WHERE task = ? GROUP BY status", [task]
        )
    }
    one = (
        store.one(
            "SELECT (SELECT count(*) FROM records WHERE task = $1) AS records,"
            " (SELECT count(*) FROM quarantine q JOIN imports i USING (import_id) WHERE i.task = $1)"
            " AS quarantined",
            [task],
        )
        or {}
    )
    from curate import clusters, findings

    return {
        "task": task,
        "records": one.get("records", 0),
        "quarantined": one.get("quarantined", 0),
        "pairs": states,
        "open_findings": findings.count_open(store, task),
        "open_clusters": clusters.count_open(store, task),
        "snapshots": snapshot_list(context, request)["snapshots"],
        "models": models_list(context, ModelsRequest(task=task))["models"],
    }


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

    _only_local(context, "Importing")
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


class PageRequest(TaskRequest):
    limit: int = Field(50, ge=1, le=1000)
    offset: int = Field(0, ge=0)


@operation("quarantine.list", "read")
def quarantine_list(context: Context, request: PageRequest) -> dict[str, Any]:
    """Rows that were not imported: file, line, reason."""
    rows = context.store.rows(
        "SELECT q.file, q.line, q.reason, q.detail FROM quarantine q JOIN imports i USING (import_id)"
        " WHERE i.task = ? ORDER BY q.file, q.line LIMIT ? OFFSET ?",
        [request.task, request.limit, request.offset],
    )
    return {"rows": rows}


# --- privacy ------------------------------------------------------------------------------------------------


@operation("scan", "scan")
def scan(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Find personal data in everything not yet scanned by the current detector and replace it."""
    return _start(context, "scan", request.task, {})


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


@operation("findings.decide", "review")
def findings_decide(context: Context, request: FindingDecision) -> dict[str, Any]:
    """Confirm a finding (its text is replaced by a surrogate) or reject it (it stays, and is remembered)."""
    from curate import findings

    return findings.decide_finding(
        context.store, context.actor, context.workspace, request.finding_id, request.decision
    )


# --- duplicates ---------------------------------------------------------------------------------------------


@operation("dedupe", "dedupe")
def dedupe(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Group near-duplicates and conflicting drafts; unresolved groups block approval."""
    return _start(context, "dedupe", request.task, {})


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


@operation("clusters.decide", "review")
def clusters_decide(context: Context, request: ClusterDecision) -> dict[str, Any]:
    """Resolve a group: keep some members and drop the rest, or remember that they are different."""
    from curate import clusters

    return clusters.decide_cluster(
        context.store, context.actor, request.cluster_id, request.decision, request.keep
    )


# --- review -------------------------------------------------------------------------------------------------


class NextRequest(TaskRequest):
    n: int = Field(1, ge=1, le=50)


@operation("review.next", "annotate")
def review_next(context: Context, request: NextRequest) -> dict[str, Any]:
    """Lease the next pairs of the acting user's queue."""
    from curate import review

    _, pack = pack_of(context, request.task)
    items = review.next_items(context.store, context.actor, request.task, n=request.n)
    return {"items": [_plain(item) for item in items], "reject_reasons": pack.reject_reasons}


class PairRequest(Request):
    pair_id: str


@operation("review.item", "read")
def review_item(context: Context, request: PairRequest) -> dict[str, Any]:
    """One pair: texts, findings, labels, revisions, decisions, and what blocks its approval."""
    from curate import review

    return _plain(review.item(context.store, context.actor, request.pair_id))


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


@operation("review.decide", "annotate")
def review_decide(context: Context, request: DecideRequest) -> dict[str, Any]:
    """Approve, reject, edit, skip, flag or return a pair."""
    from curate import findings, review

    row = context.store.one("SELECT task FROM pairs WHERE pair_id = ?", [request.pair_id])
    if row is None:
        raise NotFound(f"No pair {request.pair_id!r}.")
    folder, pack = pack_of(context, row["task"])
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
        pack=pack,
        guideline_version=review.guideline_version(folder),
        rescan=lambda pair_id, rev: findings.rescan(context.store, context.workspace, pair_id, rev),
    )


@operation("review.undo", "annotate")
def review_undo(context: Context, request: Empty) -> dict[str, Any]:
    """Take back the acting user's last decision."""
    from curate import review

    return review.undo(context.store, context.actor)


@operation("review.counts", "read")
def review_counts(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Queue sizes for the acting user."""
    from curate import review

    return review.queue_counts(context.store, context.actor, request.task)


class PairsRequest(PageRequest):
    status: str | None = None
    search: str | None = None


@operation("pairs.list", "read")
def pairs_list(context: Context, request: PairsRequest) -> dict[str, Any]:
    """Pairs of a task, filtered by status and substring."""
    from curate import review

    rows = review.list_pairs(
        context.store,
        context.actor,
        request.task,
        status=request.status,
        search=request.search,
        limit=request.limit,
        offset=request.offset,
    )
    return {"pairs": rows}


# --- snapshots ----------------------------------------------------------------------------------------------


@operation("snapshot.create", "freeze")
def snapshot_create(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Re-scan every approved pair, then freeze them into a content-hashed snapshot."""
    return _start(context, "freeze", request.task, {})


@operation("snapshot.list", "read")
def snapshot_list(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Snapshots of a task, newest first."""
    rows = context.store.rows(
        "SELECT * FROM snapshots WHERE task = ? ORDER BY created_ts DESC", [request.task]
    )
    return {"snapshots": [_plain(row) for row in rows]}


class SnapshotRequest(Request):
    snapshot: str = Field(description="id, the start of an id, or a folder")


def snapshot_folder(context: Context, name: str) -> Path:
    """Folder of a snapshot by id, unambiguous start of an id, or path. Raises `NotFound`."""
    if (Path(name) / "manifest.json").is_file():
        _only_local(context, "Naming a snapshot")
        return Path(name)
    # A prefix is compared, not used as a LIKE pattern: names are data.
    rows = context.store.rows(
        "SELECT snapshot_id, folder FROM snapshots WHERE starts_with(snapshot_id, ?)", [name]
    )
    if len(rows) != 1:
        what = "No snapshot" if not rows else f"{len(rows)} snapshots start with"
        raise NotFound(f"{what} {name!r}. `goldpair snapshot list` shows them.")
    return context.workspace.snapshots / rows[0]["folder"]


@operation("snapshot.verify", "read")
def snapshot_verify(context: Context, request: SnapshotRequest) -> dict[str, Any]:
    """Compare a snapshot folder with what was frozen, byte by byte and row by row."""
    from curate import contract

    folder = snapshot_folder(context, request.snapshot)
    problems = contract.verify(folder)
    if problems:
        raise RefusedError(f"Snapshot {folder.name} is not what was frozen.", problems)
    manifest = contract.load_manifest(folder)
    return {"id": manifest.id, "rows": manifest.rows, "files": len(manifest.files), "intact": True}


class SnapshotDiff(Request):
    left: str
    right: str


@operation("snapshot.diff", "read")
def snapshot_diff(context: Context, request: SnapshotDiff) -> dict[str, Any]:
    """Pairs added, removed and changed between two snapshots."""
    from curate import snapshot

    return _plain(
        snapshot.diff(snapshot_folder(context, request.left), snapshot_folder(context, request.right))
    )


class SnapshotExport(SnapshotRequest):
    format: Literal["messages", "prompt-completion", "alpaca", "sharegpt", "parquet", "hf"] = "messages"
    out: str


@operation("snapshot.export", "freeze")
def snapshot_export(context: Context, request: SnapshotExport) -> dict[str, Any]:
    """Write a snapshot in another tool's format, with ready trainer configs."""
    from curate import snapshot

    _only_local(context, "Exporting")
    return _plain(
        snapshot.export(snapshot_folder(context, request.snapshot), request.format, Path(request.out))
    )


# --- training and evaluation --------------------------------------------------------------------------------


class RecipeRequest(SnapshotRequest):
    recipe: str | None = Field(None, description="TOML file; the pack's recipe when absent")
    set: list[str] = Field([], description="overrides such as lora.r=16")
    base_model: str | None = None


@operation("preflight", "train")
def preflight(context: Context, request: RecipeRequest) -> dict[str, Any]:
    """Check a snapshot before training: intact, enough, nothing lost in tokenising, no overlap with the eval set."""
    folder = snapshot_folder(context, request.snapshot)
    return _start(
        context, "preflight", _task_of(folder), {**_recipe_spec(context, request), "snapshot": str(folder)}
    )


class OverrideRequest(SnapshotRequest):
    reason: str = Field(min_length=10, description="why training may go on although preflight did not pass")


@operation("preflight.override", "override")
def preflight_override(context: Context, request: OverrideRequest) -> dict[str, Any]:
    """Let a snapshot train although its preflight did not pass; the name and the reason go into every report."""
    from curate import preflight as checks

    folder = snapshot_folder(context, request.snapshot)
    result = checks.override(folder, context.actor.user, request.reason)
    context.store.write(lambda tx: tx.event("preflight_override", context.actor.user, snapshot=folder.name))
    return result


class TrainRequest(RecipeRequest):
    max_minutes: float | None = Field(None, gt=0)
    name: str | None = Field(
        None, description="name of the model version; the next free <task>-vN when absent"
    )


@operation("train", "train")
def train(context: Context, request: TrainRequest) -> dict[str, Any]:
    """Fine-tune from a verified snapshot whose preflight passed."""
    from curate import preflight as checks

    folder = snapshot_folder(context, request.snapshot)
    checks.require_passed(folder)
    task = _task_of(folder)
    name = request.name or _next_name(context, task)
    if (context.workspace.models / name / "run.json").exists():
        raise UsageError(f"Model {name} exists already. Leave out --name for the next free one.")
    spec = {
        **_recipe_spec(context, request),
        "snapshot": str(folder),
        "name": name,
        "max_minutes": request.max_minutes,
    }
    return {**_start(context, "train", task, spec), "model": name}


class EvalRequest(TaskRequest):
    snapshot: str | None = Field(
        None, description="for the few-shot and retrieval arms; the newest when absent"
    )
    model: str | None = Field(None, description="model version to evaluate; only the baselines when absent")
    suite: str | None = None
    outputs: dict[str, str] = Field(
        {}, description="arm name -> JSONL of {id, output}: answers of other systems"
    )
    baselines: list[Literal["zero_shot", "few_shot", "retrieval"]] | None = None
    limit: int | None = Field(None, ge=1, description="only the first eval rows; never enough for a gate")


@operation("eval", "evaluate")
def eval_(context: Context, request: EvalRequest) -> dict[str, Any]:
    """Answer and score the frozen eval set with every arm; finished answers are never generated again."""
    pack_folder, pack = pack_of(context, request.task)
    suites = [s for s in pack.suites if request.suite in (None, s.name)]
    if not suites:
        raise NotFound(
            f"Task {request.task} has no suite {request.suite!r}; it has: "
            f"{', '.join(s.name for s in pack.suites) or 'none'}."
        )
    if request.outputs:
        _only_local(context, "Reading outputs")
    baselines = request.baselines if request.baselines is not None else list(pack.gate.baselines)
    snapshot = (
        str(snapshot_folder(context, request.snapshot))
        if request.snapshot
        else _newest_snapshot(context, request.task)
    )
    if snapshot is None and {"few_shot", "retrieval"} & set(baselines):
        raise NotFound(
            f"The few-shot and retrieval arms need a snapshot of {request.task}. "
            "`goldpair snapshot create` makes one, or use --baselines zero_shot."
        )
    model = str(model_folder(context, request.model)) if request.model else None
    spec = {
        "task": request.task,
        "pack": str(pack_folder),
        "suites": [s.name for s in suites],
        "snapshot": snapshot,
        "model": model,
        "outputs": request.outputs,
        "baselines": baselines,
        "limit": request.limit,
        "threads": context.workspace.settings.threads,
    }
    return _start(context, "eval", request.task, spec)


class RunRequest(Request):
    run: str = Field(description="eval run id, or a model version whose newest run is meant")


def run_folder(context: Context, name: str) -> Path:
    """Folder of an eval run by id or by model name (its newest run). Raises `NotFound`."""
    exact = sorted(context.workspace.evals.glob(f"*/{Path(name).name}/run.json"))
    if not exact:
        exact = sorted(
            context.workspace.evals.glob(f"*/{Path(name).name}--*/run.json"), key=lambda p: p.stat().st_mtime
        )
    if not exact:
        raise NotFound(f"No eval run {name!r}. `goldpair eval` makes one.")
    return exact[-1].parent


@operation("runs.list", "read")
def runs_list(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Eval runs of a task, newest first, with their verdicts."""
    rows = []
    for path in sorted(
        context.workspace.evals.glob(f"{Path(request.task).name}/*/run.json"),
        key=lambda p: p.stat().st_mtime,
        reverse=True,
    ):
        gate = path.parent / "gate.json"
        verdict = json.loads(gate.read_text("utf-8"))["verdict"] if gate.exists() else None
        rows.append(
            {
                "run": path.parent.name,
                "verdict": verdict,
                "report": (path.parent / "report.html").exists(),
                "arms": sorted(json.loads(path.read_text("utf-8")).get("arms", {})),
            }
        )
    return {"runs": rows}


@operation("gate", "evaluate")
def gate(context: Context, request: RunRequest) -> dict[str, Any]:
    """Decide PASS, FAIL or INCONCLUSIVE from an eval run's scores. Generates nothing."""
    from curate import release

    return release.decide(context.store, context.workspace, context.actor, run_folder(context, request.run))


@operation("report", "evaluate")
def report(context: Context, request: RunRequest) -> dict[str, Any]:
    """Write the regression report of an eval run: HTML, Markdown and JSON. Generates nothing."""
    from curate import release

    return release.report(context.workspace, run_folder(context, request.run))


class PromoteRequest(Request):
    model: str
    override: str | None = Field(None, min_length=10, description="reason to release without a PASS")


@operation("promote", "promote")
def promote(context: Context, request: PromoteRequest) -> dict[str, Any]:
    """Release a model version; only a PASS, or a signed override, releases."""
    from curate import release

    if request.override:
        users.require(context.actor, "override")
    return release.promote(context.store, context.workspace, context.actor, request.model, request.override)


class ModelsRequest(Request):
    task: str | None = None


def model_folder(context: Context, name: str) -> Path:
    """Folder of a model version. Raises `NotFound`."""
    folder = context.workspace.models / Path(name).name
    if not (folder / "run.json").is_file():
        raise NotFound(f"No model {name!r} in this workspace. `goldpair models list` shows them.")
    return folder


@operation("models.list", "read")
def models_list(context: Context, request: ModelsRequest) -> dict[str, Any]:
    """Model versions with their snapshot, verdict and release state."""
    rows = context.store.rows(
        "SELECT * FROM models WHERE ? IS NULL OR task = ? ORDER BY created_ts DESC",
        [request.task, request.task],
    )
    return {"models": [_plain(row) for row in rows]}


class ModelRequest(Request):
    model: str


@operation("models.show", "read")
def models_show(context: Context, request: ModelRequest) -> dict[str, Any]:
    """The run record of a model version: data, recipe, hashes, losses, gate."""
    folder = model_folder(context, request.model)
    gate_file = folder / "gate.json"
    return {
        "model": request.model,
        "run": json.loads((folder / "run.json").read_text("utf-8")),
        "gate": json.loads(gate_file.read_text("utf-8")) if gate_file.exists() else None,
    }


class ModelImport(Request):
    path: str


@operation("models.import", "train")
def models_import(context: Context, request: ModelImport) -> dict[str, Any]:
    """Bring home a model version that was trained on another machine; its hashes are checked."""
    from curate import release
    from train import versions

    _only_local(context, "Importing a model")
    version = versions.import_version(Path(request.path), context.workspace.models)
    release.register_model(context.store, context.actor, version.folder)
    return {"model": version.name, "hash": version.hash}


# --- jobs, people, audit ------------------------------------------------------------------------------------


class JobRequest(Request):
    job: str


@operation("jobs.list", "read")
def jobs_list(context: Context, request: Empty) -> dict[str, Any]:
    """Long-running work, newest first."""
    jobs.tick(context.store, context.workspace)
    return {"jobs": [_plain(row) for row in jobs.list_jobs(context.store)]}


@operation("jobs.status", "read")
def jobs_status(context: Context, request: JobRequest) -> dict[str, Any]:
    """State and progress of one job; its finished chunks are taken into the store first."""
    jobs.tick(context.store, context.workspace)
    return _plain(jobs.status(context.store, request.job))


@operation("jobs.cancel", "scan")
def jobs_cancel(context: Context, request: JobRequest) -> dict[str, Any]:
    """Stop a job after its current chunk."""
    jobs.cancel(context.store, context.actor, request.job)
    return _plain(jobs.status(context.store, request.job))


class UserRequest(Request):
    name: str
    role: Literal["viewer", "annotator", "reviewer", "adjudicator", "lead", "admin"]
    password: str | None = Field(None, min_length=8)


@operation("users.add", "manage_users")
def users_add(context: Context, request: UserRequest) -> dict[str, Any]:
    """Add a user with a role."""
    users.create_user(context.store, context.actor, request.name, request.role, request.password)
    return {"user": request.name, "role": request.role}


@operation("users.list", "read")
def users_list(context: Context, request: Empty) -> dict[str, Any]:
    """Users and their roles."""
    return {"users": [_plain(row) for row in users.list_users(context.store)]}


class TokenRequest(Request):
    user: str


@operation("users.token", "manage_users")
def users_token(context: Context, request: TokenRequest) -> dict[str, Any]:
    """Make an API token for a user; it is shown once."""
    return {"user": request.user, "token": users.issue_token(context.store, context.actor, request.user)}


@operation("audit.verify", "read")
def audit_verify(context: Context, request: Empty) -> dict[str, Any]:
    """Check the event chain, and that replaying it gives the state in the store."""
    problems = context.store.verify_chain() + context.store.verify_replay()
    if problems:
        raise RefusedError("The audit trail does not hold.", problems)
    row = context.store.one("SELECT count(*) AS n FROM events") or {"n": 0}
    return {"events": row["n"], "intact": True}


# --- helpers ------------------------------------------------------------------------------------------------


def _start(context: Context, kind: str, task: str, spec: dict[str, Any]) -> dict[str, Any]:
    pack_folder, _ = pack_of(context, task)
    spec = {"task": task, "pack": str(pack_folder), **spec}
    return {"job": jobs.start(context.store, context.actor, context.workspace, kind, spec)}


def _recipe_spec(context: Context, request: RecipeRequest) -> dict[str, Any]:
    if request.recipe:
        _only_local(context, "Reading a recipe")
    return {
        "recipe": request.recipe,
        "set": request.set,
        "base_model": request.base_model,
        "threads": context.workspace.settings.threads,
    }


def _task_of(snapshot: Path) -> str:
    from curate import contract

    return contract.load_manifest(snapshot).task


def _newest_snapshot(context: Context, task: str) -> str | None:
    row = context.store.one(
        "SELECT folder FROM snapshots WHERE task = ? ORDER BY created_ts DESC LIMIT 1", [task]
    )
    return str(context.workspace.snapshots / row["folder"]) if row else None


def _next_name(context: Context, task: str) -> str:
    from train import versions

    return versions.next_name(task, context.workspace.models)


def _plain(value: Any) -> Any:
    """JSON-ready copy: models, dataclasses, times and paths become plain values."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


__all__ = ["OPERATIONS", "Context", "GoldpairError", "Operation", "run"]
