"""Operations on snapshots and models: freeze, preflight, train, evaluate, decide, release.

Does not cover: the rules, which `curate.snapshot`, `preflight` and `release` own, nor the work itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from curate import users
from curate.errors import NotFound, RefusedError, UsageError
from curate.ops.table import Context, Request, TaskRequest, only_local, operation, pack_of, plain, start
from curate.tasks import Baseline

# --- snapshots ----------------------------------------------------------------------------------------------


@operation("snapshot.create", "freeze")
def snapshot_create(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Re-scan every approved pair, then freeze them into a content-hashed snapshot."""
    return start(context, "freeze", request.task, {})


@operation("snapshot.list", "read")
def snapshot_list(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Snapshots of a task, newest first."""
    rows = context.store.rows(
        "SELECT * FROM snapshots WHERE task = ? ORDER BY created_ts DESC", [request.task]
    )
    return {"snapshots": [plain(row) for row in rows]}


class SnapshotRequest(Request):
    snapshot: str = Field(description="id, the start of an id, or a folder")


def snapshot_folder(context: Context, name: str) -> Path:
    """Folder of a snapshot by id, unambiguous start of an id, or path. Raises `NotFound`."""
    if (Path(name) / "manifest.json").is_file():
        only_local(context, "Naming a snapshot")
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


@operation("snapshot.rendered", "read")
def snapshot_rendered(context: Context, request: SnapshotRequest) -> dict[str, Any]:
    """The first training rows as the base model gets them, piece by piece, and which pieces it learns."""
    from curate import checks, contract

    folder = snapshot_folder(context, request.snapshot)
    pack_folder, _ = pack_of(context, contract.load_manifest(folder).task)
    return checks.Checker.of(context.store).rendered(folder, pack_folder)


@operation("snapshot.groups", "read")
def snapshot_groups(context: Context, request: SnapshotRequest) -> dict[str, Any]:
    """Groups of people by the declared quasi-identifiers: those under k, and what was left out for it."""
    from curate import groups

    folder = snapshot_folder(context, request.snapshot)
    found = groups.load(folder)
    if found is None:
        raise NotFound(
            f"The pack of snapshot {folder.name} declared no quasi_identifiers in [privacy]. Declare them, "
            "then freeze again."
        )
    return found


class SnapshotDiff(Request):
    left: str
    right: str


@operation("snapshot.diff", "read")
def snapshot_diff(context: Context, request: SnapshotDiff) -> dict[str, Any]:
    """Pairs added, removed and changed between two snapshots."""
    from curate import snapshot

    return plain(
        snapshot.diff(snapshot_folder(context, request.left), snapshot_folder(context, request.right))
    )


class SnapshotExport(SnapshotRequest):
    format: Literal["messages", "prompt-completion", "alpaca", "sharegpt", "parquet", "hf"] = "messages"
    out: str


@operation("snapshot.export", "freeze")
def snapshot_export(context: Context, request: SnapshotExport) -> dict[str, Any]:
    """Write a snapshot in another tool's format, with ready trainer configs."""
    from curate import snapshot

    only_local(context, "Exporting")
    out = Path(request.out).resolve()
    result = snapshot.export(snapshot_folder(context, request.snapshot), request.format, out)
    # who is forgotten later may be in there
    context.store.write(
        lambda tx: tx.event(
            "snapshot_exported", context.actor.user, snapshot=result["snapshot"], folder=str(out)
        )
    )
    return plain(result)


# --- training and evaluation --------------------------------------------------------------------------------


class RecipeRequest(SnapshotRequest):
    recipe: str | None = Field(None, description="TOML file; the pack's recipe when absent")
    set: list[str] = Field([], description="overrides such as lora.r=16")
    base_model: str | None = None


DEMO = "under the task pack's declared demo override ([demo]): short, and never released"


class PreflightRequest(RecipeRequest):
    demo: bool = Field(False, description=DEMO)


@operation("preflight", "train")
def preflight(context: Context, request: PreflightRequest) -> dict[str, Any]:
    """Check a snapshot before training: intact, enough, nothing lost in tokenising, no overlap with the eval set."""
    folder = snapshot_folder(context, request.snapshot)
    task = _task_of(folder)
    return start(
        context,
        "preflight",
        task,
        {
            **_recipe_spec(context, request),
            "snapshot": str(folder),
            "demo": _declared(context, task, request.demo),
        },
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


class TrainRequest(PreflightRequest):
    max_minutes: float | None = Field(None, gt=0)
    name: str | None = Field(
        None, description="name of the model version; the next free <task>-vN when absent"
    )


@operation("train", "train")
def train(context: Context, request: TrainRequest) -> dict[str, Any]:
    """Fine-tune from a verified snapshot whose preflight passed."""
    from curate import preflight as checks

    folder = snapshot_folder(context, request.snapshot)
    checks.require_passed(folder, request.demo)
    task = _task_of(folder)
    name = request.name or _next_name(context, task)
    if (context.workspace.models / name / "run.json").exists():
        raise UsageError(f"Model {name} exists already. Leave out --name for the next free one.")
    spec = {
        **_recipe_spec(context, request),
        "snapshot": str(folder),
        "name": name,
        "max_minutes": request.max_minutes,
        "demo": _declared(context, task, request.demo),
    }
    return {**start(context, "train", task, spec), "model": name}


class EvalRequest(TaskRequest):
    snapshot: str | None = Field(
        None, description="for the few-shot and retrieval arms; the newest when absent"
    )
    model: str | None = Field(None, description="model version to evaluate; only the baselines when absent")
    suite: str | None = None
    outputs: dict[str, str] = Field(
        {}, description="arm name -> JSONL of {id, output}: answers of other systems"
    )
    baselines: list[Baseline] | None = None
    limit: int | None = Field(
        None, ge=1, description="only so many eval rows, spread over the slices; never enough for a gate"
    )
    demo: bool = Field(False, description=DEMO)


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
        only_local(context, "Reading outputs")
    from curate import release
    from evals.arms import EXAMPLES

    baselines = request.baselines if request.baselines is not None else list(pack.gate.baselines)
    snapshot = (
        str(snapshot_folder(context, request.snapshot))
        if request.snapshot
        else _newest_snapshot(context, request.task)
    )
    if snapshot is None and set(EXAMPLES) & set(baselines):
        raise NotFound(
            f"The few-shot and retrieval arms need a snapshot of {request.task}. "
            "`goldpair snapshot create` makes one, or use --baselines zero_shot."
        )
    model = str(model_folder(context, request.model)) if request.model else None
    demo = _declared(context, request.task, request.demo)
    spec = {
        "task": request.task,
        "pack": str(pack_folder),
        "suites": [s.name for s in suites],
        "snapshot": snapshot,
        "model": model,
        "outputs": request.outputs,
        "baselines": baselines,
        "limit": demo["eval_rows"] if demo else request.limit,
        "demo": demo,
        "released": release.released_before(context.store, request.task, request.model),
        "threads": context.workspace.settings.threads,
    }
    return start(context, "eval", request.task, spec)


class CurveRequest(RecipeRequest):
    seeds: int = Field(2, ge=1, le=10, description="models for every part, each with parts of its own")
    points: int = Field(4, ge=3, le=8, description="parts, each twice the one before; 4 begins at 1/8")
    max_minutes: float | None = Field(None, gt=0, description="training time of each model")


@operation("curve", "train")
def curve(context: Context, request: CurveRequest) -> dict[str, Any]:
    """Train and score models on nested parts of a snapshot, and say what more pairs would bring."""
    from curate import learning
    from curate import preflight as checks

    folder = snapshot_folder(context, request.snapshot)
    checks.require_passed(folder)
    learning.plan(folder, request.points, request.seeds)  # refused before a job starts
    spec = {
        **_recipe_spec(context, request),
        "snapshot": str(folder),
        "seeds": request.seeds,
        "points": request.points,
        "max_minutes": request.max_minutes,
    }
    return start(context, "curve", _task_of(folder), spec)


@operation("curves.list", "read")
def curves_list(context: Context, request: TaskRequest) -> dict[str, Any]:
    """Learning curves of a task, newest first: points, fit and sentence of every suite."""
    from curate import learning

    return {"curves": learning.curves(context.workspace, request.task)}


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


class BlameRequest(RunRequest):
    gradients: bool = Field(True, description="also compare gradients of what was learned; loads the model")


@operation("blame", "evaluate")
def blame(context: Context, request: BlameRequest) -> dict[str, Any]:
    """Name the training pairs most likely behind each broken example of a run."""
    from curate import suspects

    folder = run_folder(context, request.run)
    spec = suspects.spec_of(context.workspace, folder, request.gradients)
    return start(context, "blame", folder.parent.name, spec)


class ReopenRequest(RunRequest):
    pairs: list[str] | None = Field(
        None, description="pair ids; the first suspect of every example when absent"
    )


@operation("blame.reopen", "review")
def blame_reopen(context: Context, request: ReopenRequest) -> dict[str, Any]:
    """Return suspected pairs to the review queue, with the failing example attached."""
    from curate import suspects

    folder = run_folder(context, request.run)
    return dict(suspects.reopen(context.store, context.actor, folder, request.pairs))


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
    from curate.facts import stale

    known = stale.of_models(context.store, context.workspace, rows)
    return {"models": [plain(row) | {"stale": known[row["name"]]["warning"]} for row in rows]}


class ModelRequest(Request):
    model: str


@operation("models.show", "read")
def models_show(context: Context, request: ModelRequest) -> dict[str, Any]:
    """The run record of a model version: data, recipe, hashes, losses, gate."""
    folder = model_folder(context, request.model)
    gate_file = folder / "gate.json"
    run = json.loads((folder / "run.json").read_text("utf-8"))
    from curate.facts import stale

    return {
        "model": request.model,
        "stale": stale.knowledge(context.store, context.workspace, run["snapshot"]["id"]),
        "run": run,
        "gate": json.loads(gate_file.read_text("utf-8")) if gate_file.exists() else None,
    }


class CompareRequest(Request):
    left: str = Field(description="model version, the older one")
    right: str = Field(description="model version, the newer one")


@operation("models.compare", "read")
def models_compare(context: Context, request: CompareRequest) -> dict[str, Any]:
    """Compare two model versions: scores over the same rows, rows fixed and broken, recipe, data. Generates nothing."""
    from curate import lineage

    return lineage.compare(context.workspace, request.left, request.right)


class ModelImport(Request):
    path: str


@operation("models.import", "train")
def models_import(context: Context, request: ModelImport) -> dict[str, Any]:
    """Bring home a model version that was trained on another machine; its hashes are checked."""
    from curate import release
    from train import versions

    only_local(context, "Importing a model")
    version = versions.import_version(Path(request.path), context.workspace.models)
    release.register_model(context.store, context.actor, version.folder)
    return {"model": version.name, "hash": version.hash}


# --- helpers ------------------------------------------------------------------------------------------


def _recipe_spec(context: Context, request: RecipeRequest) -> dict[str, Any]:
    if request.recipe:
        only_local(context, "Reading a recipe")
    return {
        "recipe": request.recipe,
        "set": request.set,
        "base_model": request.base_model,
        "threads": context.workspace.settings.threads,
    }


def _declared(context: Context, task: str, wanted: bool) -> dict[str, Any] | None:
    """The declared demo override of a task's pack when it is asked for. Raises `UsageError` when there is none."""
    if not wanted:
        return None
    _, pack = pack_of(context, task)
    if pack.demo is None:
        raise UsageError(
            f"Task {task} declares no demo override. Write [demo] with eval_rows, signed_by and reason into its "
            "task.toml, or run without it."
        )
    return pack.demo.model_dump(mode="json")


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
