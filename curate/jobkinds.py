"""The kinds of long work: what each exports from the store, does without it, and brings back.

Covers: scan, dedupe, freeze, preflight, train, eval, blame. Does not cover: how jobs run, survive and resume
(`curate.jobs`), nor the work itself, which each room owns. Heavy libraries are imported inside ``work``
alone, so that they never load into the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from curate import clusters, findings
from curate.jobs import JobKind, register
from curate.store import Store, Tx
from curate.tasks import load_pack
from curate.workspace import Workspace

Report = Callable[[dict[str, Any]], None]
CHUNK = 200  # pairs a chunk: a lost chunk costs seconds


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
    _write_chunks(findings.export_approved(store, spec["task"]), folder)


def _scan_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    workspace = Workspace(folder.parent.parent)
    return findings.scan_chunk(chunk, findings.detector_for(workspace, spec["task"]), workspace.key)


def _freeze_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    workspace = Workspace(folder.parent.parent)
    return findings.scan_chunk(
        chunk, findings.detector_for(workspace, spec["task"]), workspace.key, again=True
    )


def _scan_ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    findings.ingest_scan(tx, job["spec"]["task"], frame, _guideline_version(job["spec"]))


# --- dedupe -------------------------------------------------------------------------------------------------


def _dedupe_prepare(store: Store, workspace: Workspace, spec: dict[str, Any], folder: Path) -> None:
    clusters.export_for_dedupe(store, spec["task"]).write_parquet(folder / "in" / "00000.parquet")


def _dedupe_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    return clusters.group(chunk, load_pack(spec["pack"]).dedupe)


def _dedupe_ingest(tx: Tx, workspace: Workspace, job: dict[str, Any], frame: pl.DataFrame) -> None:
    clusters.ingest_groups(tx, job["spec"]["task"], job["job_id"], frame)


# --- freeze: scan again, then build the snapshot where the store is
# ------------------------------------------


def _freeze_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    from curate import snapshot, users

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
    return {"snapshot": manifest.id, "rows": manifest.rows, "excluded": manifest.excluded}


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


def _base(spec: dict[str, Any]) -> str:
    return spec["base_model"] or load_pack(spec["pack"]).model.base


def _preflight_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import preflight

    pack = load_pack(spec["pack"])
    result = preflight.run(
        Path(spec["snapshot"]), Path(spec["pack"]), pack, _recipe(spec), base_model=_base(spec), report=report
    )
    return _result(result)


def _train_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from train import fine_tune

    models = folder.parent.parent / "models"
    recipe = _recipe(spec)
    if spec["max_minutes"]:
        recipe = recipe.model_copy(update={"max_minutes": spec["max_minutes"]})

    def progress(state: dict[str, Any]) -> None:
        report(
            {
                "done": state["step"],
                "total": state["steps"],
                "message": f"loss {state['loss']:.3f}, {state['tokens_per_s']:.0f} tokens/s",
            }
        )

    version = fine_tune(
        Path(spec["snapshot"]), recipe, models / spec["name"], base_model=_base(spec), progress=progress
    )
    return _result({"model": version.name, "hash": version.hash})


def _train_finish(store: Store, workspace: Workspace, job: dict[str, Any]) -> dict[str, Any]:
    from curate import release, users

    result = _read_result(workspace, job)
    release.register_model(store, users.actor_for(store, job["actor"]), workspace.models / result["model"])
    return result


def _eval_work(folder: Path, spec: dict[str, Any], chunk: pl.DataFrame, report: Report) -> pl.DataFrame:
    from curate import release

    return _result(release.evaluate(Workspace(folder.parent.parent), spec, report))


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
    JobKind("scan", _scan_prepare, _scan_work, ingest=_scan_ingest),
    JobKind("dedupe", _dedupe_prepare, _dedupe_work, ingest=_dedupe_ingest, permission="dedupe"),
    JobKind("freeze", _freeze_prepare, _freeze_work, finish=_freeze_finish, permission="freeze"),
    JobKind("preflight", _step_prepare, _preflight_work, finish=_step_finish, permission="train"),
    JobKind("train", _step_prepare, _train_work, finish=_train_finish, permission="train"),
    JobKind("eval", _step_prepare, _eval_work, finish=_step_finish, permission="evaluate"),
    JobKind("blame", _step_prepare, _blame_work, finish=_step_finish, permission="evaluate"),
):
    register(kind)
