"""What lies between two model versions: their data, their recipes, their answers to the same questions.

Covers: every version with what was measured on it, comparing any two versions, the difference of their snapshots,
training noise where one recipe was run with several seeds, and writing both beside an eval run for its report.
Does not cover: the verdict on a version (`evals.gate`), the report's pages (`evals.report`).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate import contract, snapshot
from curate.errors import GoldpairError, NotFound, UsageError
from curate.workspace import Workspace

SHOWN = 40  # rows of each kind of change that a report lists; the counts are complete
LONGEST = 400  # characters of one changed text


def record(workspace: Workspace, model: str) -> dict[str, Any]:
    """The run record of a model version. Raises `NotFound`."""
    path = workspace.models / Path(model).name / "run.json"
    if not path.is_file():
        raise NotFound(f"No model {model!r} in this workspace. `goldpair models list` shows them.")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def snapshot_of(workspace: Workspace, snapshot_id: str) -> Path | None:
    """Folder of a snapshot of this workspace by its whole id, or None when it is not here."""
    for path in sorted(workspace.snapshots.glob("*/manifest.json")):
        try:
            if contract.load_manifest(path.parent).id == snapshot_id:
                return path.parent
        except GoldpairError:  # a damaged one is none
            continue
    return None


def data_difference(workspace: Workspace, before: str, after: str) -> dict[str, Any]:
    """Rows added, removed and changed between two snapshots by id: complete counts, the first rows of each.

    ``{"left", "right", "counts": {added, removed, changed, same}, "added": [...], "removed": [...], "changed":
    [...], "why"}``; ``why`` says what could not be compared.
    """
    folders = [snapshot_of(workspace, name) for name in (before, after)]
    empty: dict[str, Any] = {"left": before, "right": after, "counts": None, "why": ""}
    for name, folder in zip((before, after), folders, strict=True):
        if folder is None:
            return empty | {"why": f"snapshot {name[:12]} is not in this workspace"}
    assert folders[0] is not None and folders[1] is not None
    try:
        found = snapshot.diff(folders[0], folders[1])
    except GoldpairError as error:
        return empty | {"why": str(error)}
    counts = {part: len(found[part]) for part in ("added", "removed", "changed")} | {"same": found["same"]}
    changed = [
        {
            "pair_id": row["pair_id"],
            "source": row["source"],
            "columns": row["columns"],
            "before": _texts(row["before"]),
            "after": _texts(row["after"]),
        }
        for row in found["changed"][:SHOWN]
    ]
    brief = {
        part: [{"pair_id": row["pair_id"], "source": row["source"]} for row in found[part][:SHOWN]]
        for part in ("added", "removed")
    }
    return {"left": before, "right": after, "counts": counts, **brief, "changed": changed, "why": ""}


def _texts(columns: dict[str, Any]) -> dict[str, str]:
    """Only what people wrote, cut: hashes and versions change with every revision."""
    wanted = ("prompt", "completion", "labels", "split")
    return {name: str(columns[name])[:LONGEST] for name in wanted if name in columns}


def runs_of(workspace: Workspace, model: str) -> dict[str, Path]:
    """Suite -> folder of the model's eval run."""
    found = workspace.evals.glob(f"*/{Path(model).name}--*/run.json")
    return {path.parent.name.split("--", 1)[1]: path.parent for path in sorted(found)}


def versions(workspace: Workspace, models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The versions of the register's rows (``models``) with what was measured on each; scores nothing.

    A version is its row and ``{"demo", "base", "seed", "retention": {"items", "base", "tuned"} | None, "suites": {name:
    {"mean", "interval", "rows", "of", "eval", "scorer"}}}``; means with equal ``eval`` and ``scorer`` can be compared.
    """
    found = []
    for row in models:
        path = workspace.models / str(row["name"]) / "run.json"
        run = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        suites, retention = {}, None
        for suite, folder in runs_of(workspace, str(row["name"])).items():
            stamp = tuple((folder / name).stat().st_mtime_ns for name in ("run.json", "scores.parquet"))
            if (measured := _measured(folder, stamp)) is not None:
                suites[suite] = measured
            if (folder / "retention.json").is_file():
                kept = json.loads((folder / "retention.json").read_text("utf-8"))
                retention = {
                    "items": len(kept["ids"]),
                    **{who: statistics.fmean(kept[who]) for who in ("base", "tuned")},
                }
        found.append(
            {
                **row,
                "demo": bool(run.get("demo")),
                "base": run.get("base", {}).get("name"),
                "seed": run.get("seeds", {}).get("all"),
                "retention": retention,
                "suites": suites,
            }
        )
    return found


@lru_cache(maxsize=256)
def _measured(folder: Path, stamp: tuple[int, ...]) -> dict[str, Any] | None:
    """The tuned arm of a run as its report shows it; None without such an arm. ``stamp``: of its files."""
    from evals.run import EvalRun
    from evals.stats import mean_interval

    run = EvalRun.load(folder)
    scores = run.primary("tuned") if "tuned" in run.arms else {}
    if not scores:
        return None
    result = mean_interval(list(scores.values()), clusters=run.clusters(list(scores)))
    return {
        "mean": result.estimate,
        "interval": list(result.interval),
        "rows": len(run.rows),
        "of": run.meta["eval"].get("of", len(run.rows)),
        "eval": run.meta["eval"]["sha256"],
        "scorer": run.meta["scorer"]["version"],
    }


def seeds(workspace: Workspace, model: str, suite: str) -> dict[str, Any]:
    """Mean scores of every version that differs from this one by the training seed alone, and their spread."""
    from evals.run import EvalRun

    mine = record(workspace, model)
    eval_hash, found = None, []
    for path in sorted(workspace.models.glob("*/run.json")):
        other = json.loads(path.read_text("utf-8"))
        if _but_seed(other) != _but_seed(mine):
            continue
        folder = runs_of(workspace, path.parent.name).get(suite)
        if folder is None:
            continue
        run = EvalRun.load(folder)
        scores = list(run.primary("tuned").values()) if "tuned" in run.arms else []
        if not scores:
            continue
        found.append(
            {
                "model": path.parent.name,
                "seed": other["seeds"]["all"],
                "mean": statistics.fmean(scores),
                "eval": run.meta["eval"]["sha256"],
            }
        )
        if path.parent.name == model:
            eval_hash = run.meta["eval"]["sha256"]
    found = [row for row in found if row["eval"] == eval_hash]
    means = [row["mean"] for row in found]
    different = len({row["seed"] for row in found}) > 1
    return {"runs": found, "deviation": statistics.stdev(means) if different else None}


def _but_seed(run: dict[str, Any]) -> dict[str, Any]:
    recipe = {name: value for name, value in run["recipe"].items() if name != "seed"}
    return {"snapshot": run["snapshot"]["id"], "base": run["base"]["name"], "recipe": recipe}


def write_context(workspace: Workspace, run: Path) -> None:
    """Put ``context.json`` beside a model's eval run: difference of the data to the version before, seeds.

    The version before is the last arm of the run that is a model of this workspace. A run without a model gets none.
    """
    model, _, suite = run.name.partition("--")
    if not (workspace.models / model / "run.json").is_file():
        return
    arms = json.loads((run / "run.json").read_text("utf-8"))["arms"]
    # In the order of release, as `curate.release` put them there; json keeps no order of its own.
    earlier = [name for name in arms if (workspace.models / name / "run.json").is_file()]
    earlier.sort(key=lambda name: record(workspace, name).get("created", name))
    context: dict[str, Any] = {"model": model, "predecessor": earlier[-1] if earlier else None}
    context["seeds"] = seeds(workspace, model, suite)
    if earlier:
        ids = [record(workspace, name)["snapshot"]["id"] for name in (earlier[-1], model)]
        context["data"] = data_difference(workspace, ids[0], ids[1])
    text = json.dumps(context, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (run / "context.json").write_text(text, "utf-8")


def compare(workspace: Workspace, left: str, right: str) -> dict[str, Any]:
    """Any two versions side by side: ``right`` minus ``left``, suite by suite, over the rows that both answered.

    ``{"left", "right", "suites": [...], "data", "recipe": {key: [left, right]}, "why"}``. Generates and scores nothing.
    Raises `UsageError` for versions of different tasks, `NotFound` for an unknown one.
    """
    from curate.tasks import Gate
    from evals.report import outcome_table
    from evals.run import EvalRun
    from evals.stats import noninferiority

    records = [record(workspace, name) for name in (left, right)]
    if records[0]["task"] != records[1]["task"]:
        raise UsageError(
            f"{left} is of task {records[0]['task']} and {right} of {records[1]['task']}; compare versions of one task."
        )
    runs = [runs_of(workspace, name) for name in (left, right)]
    suites: list[dict[str, Any]] = []
    skipped = [
        f"suite {name}: only one version was evaluated" for name in sorted(set(runs[0]) ^ set(runs[1]))
    ]
    for suite in sorted(set(runs[0]) & set(runs[1])):
        old, new = EvalRun.load(runs[0][suite]), EvalRun.load(runs[1][suite])
        same = all(
            old.meta[part][key] == new.meta[part][key]
            for part, key in (("eval", "sha256"), ("scorer", "version"))
        )
        if not same or "tuned" not in old.arms or "tuned" not in new.arms:
            skipped.append(
                f"suite {suite}: the eval set or the scorer changed between the two; evaluate both anew"
            )
            continue
        a, b = old.primary("tuned"), new.primary("tuned")
        ids = [row.id for row in new.rows if row.id in a and row.id in b]
        gate = Gate.model_validate(new.meta["gate"])
        mine, theirs = [b[name] for name in ids], [a[name] for name in ids]
        result = noninferiority(
            mine, theirs, gate.margin, clusters=new.clusters(ids), alpha=gate.alpha, power=gate.power
        )
        suites.append(
            {
                "suite": suite,
                "means": [statistics.fmean(theirs), statistics.fmean(mine)] if ids else None,
                **outcome_table(new, mine, theirs, ids),
                **result.to_dict(),
            }
        )
    recipes = [r["recipe"] | {"base": r["base"]["name"]} for r in records]
    keys = sorted(set(recipes[0]) | set(recipes[1]))
    changed = {
        key: [recipes[0].get(key), recipes[1].get(key)]
        for key in keys
        if recipes[0].get(key) != recipes[1].get(key)
    }
    ids_of = [r["snapshot"]["id"] for r in records]
    data = data_difference(workspace, ids_of[0], ids_of[1]) if ids_of[0] != ids_of[1] else None
    return {
        "left": left,
        "right": right,
        "suites": suites,
        "recipe": changed,
        "data": data,
        "skipped": skipped,
    }
