"""The kinds of long work: what each exports from the store, does without it, and brings back.

Covers: scan, facts, dedupe, freeze, preflight, train, eval, curve, reproduce, export, ask, blame, suggest,
score. Does not cover: how jobs run, survive and resume
(`curate.jobs`), nor the work itself, which each room owns. Heavy libraries are imported inside ``work``
alone, so that they never load into the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from curate import clusters, findings, groups, incremental, jobs, scores, steps, suggestions, users
from curate.facts import classes, stale
from curate.jobs import JobKind, register
from curate.store import Store, Tx, utcnow
from curate.tasks import Demo, load_pack
from curate.workspace import Workspace

Report = Callable[[dict[str, Any]], None]
CHUNK = 200  # pairs a chunk: a lost chunk costs seconds
COMPARED_HERE = 20_000  # new pairs that the store's owner compares itself; more are a job's work


def _write_chunks(frame: pl.DataFrame, folder: Path) -> None:
    for number, start in enumerate(range(0, len(frame), CHUNK)):
        frame.slice(start, CHUNK).write_parquet(folder / "in" / f"{number:05d}.parquet")


def _write_one(folder: Path) -> None:
    """One empty input chunk, for work that is a single step."""
    pl.DataFrame({"step": [0]}).write_parquet(folder / "in" / "00000.parquet")


def _guideline_version(spec: dict[str, Any]) -> str:
    from curate import review

    return review.guideline_version(Path(spec["pack"]))


# --- scan ---------------------------------------------------------------------------------------------------


def _scan_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    _write_chunks(findings.export_for_scan(store, spec["task"]), folder)


def _freeze_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    incremental.Watch.of(store).check(store, workspace, spec["task"])  # what nobody compared is not frozen
    _write_chunks(findings.export_approved(store, spec["task"]), folder)


def _scan_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    workspace = Workspace(folder.parent.parent)
    detector = findings.detector_for(workspace, spec["task"])
    return findings.scan_chunk(chunk, detector, workspace.key, cache=findings.scans_of(workspace))


def _freeze_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    workspace = Workspace(folder.parent.parent)
    detector = findings.detector_for(workspace, spec["task"])
    return findings.scan_chunk(chunk, detector, workspace.key, again=True, cache=findings.scans_of(workspace))


def _scan_ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    findings.ingest_scan(tx, job["spec"]["task"], frame, _guideline_version(job["spec"]))


def _scan_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    """What the scan wrote is compared with everything else at once; a large import gets a job for it."""
    task = job["spec"]["task"]
    pairs, _ = incremental.unchecked(store, task)
    if len(pairs) > COMPARED_HERE:
        actor = users.actor_for(store, job["actor"])
        return {"duplicates": {"job": jobs.start(store, actor, workspace, "dedupe", job["spec"])}}
    return {"duplicates": incremental.Watch.of(store).check(store, workspace, task)}


# --- facts that expire --------------------------------------------------------------------------------------


def _facts_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    _write_chunks(classes.export_for_scan(store, spec["task"]), folder)


def _facts_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    return classes.scan_chunk(chunk, utcnow().date())


def _facts_ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    classes.ingest(tx, frame)


def _facts_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    task = job["spec"]["task"]
    found = classes.counts(store, task)["kinds"]
    totals = {name: sum(row[name] for row in found) for name in ("open", "timeless", "expires", "slot")}
    return {
        "facts": sum(totals.values()),
        **totals,
        "stale_models": stale.write_notes(store, workspace, task),
    }


# --- dedupe -------------------------------------------------------------------------------------------------


def _dedupe_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    clusters.export_for_dedupe(store, spec["task"]).write_parquet(folder / "in" / "00000.parquet")


def _dedupe_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    pack = load_pack(spec["pack"])
    found = clusters.group(chunk, pack.dedupe)
    return pl.concat([found, clusters.group_paraphrases(chunk, found, pack.paraphrases)])


def _dedupe_ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    task = job["spec"]["task"]
    clusters.ingest_groups(tx, task, job["job_id"], frame)
    incremental.mark_checked(tx, task, job["created_ts"])  # the export was made after it


# --- freeze: scan again, then build the snapshot where the store is
# ------------------------------------------


def _freeze_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    from curate import snapshot

    spec = job["spec"]
    residual = findings.residual_of(findings.read_results(workspace.jobs / job["job_id"]))
    manifest = snapshot.create(
        store,
        users.actor_for(store, job["actor"]),
        workspace,
        load_pack(spec["pack"]),
        Path(spec["pack"]),
        # A revision approved after the scan was handed out is not in it, and so not in the snapshot.
        rescan=lambda rows: {
            row["pair_id"]: residual[key]
            for row in rows
            if (key := (row["pair_id"], row["revision"])) in residual
        },
    )
    grouped = groups.load(snapshot.folder_of(workspace, manifest))
    told = {"small_groups": len(grouped["small"]), "k": grouped["k"]} if grouped else {}
    return {"snapshot": manifest.id, "rows": manifest.rows, "excluded": manifest.excluded, **told}


# --- one-step jobs ------------------------------------------------------------------------------------------


def _step_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    _write_one(folder)


def _recipe(spec: dict[str, Any]) -> Any:
    from train import load_recipe

    pack = load_pack(spec["pack"])
    source = Path(spec["recipe"]) if spec["recipe"] else pack.training
    overrides = list(spec["set"])
    if spec["threads"]:
        overrides.append(f"threads={spec['threads']}")
    return load_recipe(source, overrides)


def _bounded(spec: dict[str, Any]) -> Any:
    """The recipe, ended after the minutes that were asked for, and held to what a demo's override declares.

    A demo leaves the loss of every pair out: on long texts it takes as long as the training, for a model nobody keeps.
    """
    demo = spec.get("demo") or {}
    held = {
        "max_minutes": demo.get("train_minutes") or spec["max_minutes"],
        "max_steps": demo.get("max_steps"),
    }
    short = {"pair_losses": False} if demo else {}
    return _recipe(spec).model_copy(update=short | {name: value for name, value in held.items() if value})


def _base(spec: dict[str, Any]) -> str:
    return spec["base_model"] or load_pack(spec["pack"]).model.base


def _preflight_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import preflight

    pack = load_pack(spec["pack"])
    result = preflight.run(
        Path(spec["snapshot"]),
        Path(spec["pack"]),
        pack,
        _recipe(spec),
        base_model=_base(spec),
        report=report,
        eval_runs=folder.parent.parent / "evals" / pack.name,
        demo=Demo.model_validate(spec["demo"]) if spec.get("demo") else None,
    )
    return _result(result)


def _train_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate.stopping import judge_of
    from train import fine_tune

    models = folder.parent.parent / "models"
    recipe = _bounded(spec)
    version = fine_tune(
        Path(spec["snapshot"]),
        recipe,
        models / spec["name"],
        base_model=_base(spec),
        progress=steps.follow(folder, report),
        demo=spec.get("demo"),
        judge=judge_of(recipe, Path(spec["pack"])),
    )
    return _result({"model": version.name, "hash": version.hash})


def _train_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    from curate import release

    result = _read_result(workspace, job)
    release.register_model(store, users.actor_for(store, job["actor"]), workspace.models / result["model"])
    return result


def _eval_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    from curate import leak

    _write_one(folder)
    if spec["model"]:
        leak.seal(folder, workspace.key, leak.originals(store, spec["task"]))


def _eval_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import leak, release

    workspace = Workspace(folder.parent.parent)
    secrets = leak.unseal(folder, workspace.key, load_pack(spec["pack"])) if spec["model"] else []
    result = _result(release.evaluate(workspace, spec, report, secrets))
    (folder / leak.FILE).unlink(missing_ok=True)
    return result


def _curve_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    from curate import learning

    points = learning.plan(Path(spec["snapshot"]), spec["points"], spec["seeds"])
    for number in range(len(points)):
        points.slice(number, 1).write_parquet(folder / "in" / f"{number:05d}.parquet")


def _curve_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import learning

    workspace = Workspace(folder.parent.parent)
    rows = learning.measure(workspace, spec, _bounded(spec), chunk.row(0, named=True), report)
    return pl.DataFrame(rows)


def _curve_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    from curate import learning

    rows = pl.read_parquet(workspace.jobs / job["job_id"] / "out" / "*.parquet").to_dicts()
    return learning.finish(workspace, job["spec"], rows)


def _reproduce_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate.stopping import judge_of
    from train import load_recipe, reproduce

    recipe = load_recipe(json.loads((Path(spec["model"]) / "run.json").read_text("utf-8"))["recipe"])
    judge = judge_of(recipe, Path(spec["pack"]))

    return _result(
        reproduce(spec["model"], spec["snapshot"], folder / "again", steps.follow(folder, report), judge)
    )


def _export_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from train.exporting import export_model

    made = export_model(
        spec["model"],
        spec["form"],
        spec["out"],
        conversations=_asked(spec["snapshot"]),
        outtype=spec["outtype"],
        released=spec["released"],
        **_judged(spec),
    )
    return _result(made)


def _judged(spec: dict[str, Any]) -> dict[str, Any]:
    """Scorers of the task and the validation pairs that a converted file answers for them; nothing for other forms."""
    from curate import contract
    from curate.stopping import judges_of
    from train import load_recipe
    from train.validate import asked_pairs

    if spec["form"] != "gguf" or spec["snapshot"] is None:
        return {}
    rows = contract.training_rows(spec["snapshot"], "validation").to_dicts()
    return {"judges": judges_of(Path(spec["pack"])), "pairs": asked_pairs(rows, load_recipe())}


def _asked(snapshot: str | None, count: int = 8) -> list[list[dict[str, str]]]:
    """Prompts of a snapshot as conversations, those of the validation split first."""
    from curate import contract
    from train.render import messages_of

    if snapshot is None:
        return []
    rows = pl.concat([contract.training_rows(snapshot, split) for split in ("validation", "train")])
    return [messages_of(row) for row in rows.head(count).iter_rows(named=True)]


def _ask_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import playground

    return _result(playground.answer(Workspace(folder.parent.parent), spec, report))


def _blame_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import suspects

    return _result(suspects.work(spec))


def _result(value: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame({"result": [json.dumps(value, ensure_ascii=False)]})


def _read_result(workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    return json.loads(pl.read_parquet(workspace.jobs / job["job_id"] / "out" / "00000.parquet")["result"][0])


def _step_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    return _read_result(workspace, job)


for kind in (
    JobKind("scan", _scan_prepare, _scan_work, ingest=_scan_ingest, finish=_scan_finish),
    JobKind("facts", _facts_prepare, _facts_work, ingest=_facts_ingest, finish=_facts_finish, heavy=False),
    JobKind("dedupe", _dedupe_prepare, _dedupe_work, ingest=_dedupe_ingest, permission="dedupe"),
    JobKind("freeze", _freeze_prepare, _freeze_work, finish=_freeze_finish, permission="freeze"),
    JobKind("preflight", _step_prepare, _preflight_work, finish=_step_finish, permission="train"),
    JobKind("train", _step_prepare, _train_work, finish=_train_finish, permission="train"),
    JobKind("eval", _eval_prepare, _eval_work, finish=_step_finish, permission="evaluate"),
    JobKind("curve", _curve_prepare, _curve_work, finish=_curve_finish, permission="train"),
    JobKind("reproduce", _step_prepare, _reproduce_work, finish=_step_finish, permission="train"),
    JobKind("export", _step_prepare, _export_work, finish=_step_finish, permission="promote"),
    JobKind("ask", _step_prepare, _ask_work, finish=_step_finish, permission="evaluate"),
    JobKind(
        "suggest",
        suggestions.prepare,
        suggestions.work,
        ingest=suggestions.ingest,
        finish=suggestions.finish,
        permission="evaluate",
    ),
    JobKind(
        "score",
        scores.prepare,
        scores.work,
        ingest=scores.ingest,
        finish=scores.finish,
        permission="evaluate",
    ),
    JobKind("blame", _step_prepare, _blame_work, finish=_step_finish, permission="evaluate"),
):
    register(kind)
