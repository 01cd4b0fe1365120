"""How many more pairs? Models trained on nested parts of one snapshot, scored, and a curve through their scores.

Covers: the points of a curve as chunks of a job (a killed one goes on, finished models and answers are kept), where
they lie, the curve of each suite, finding the curve that belongs to a model version's report.
Does not cover: the fit and its intervals (`evals.curve`), training (`train`), drawing (`evals._charts`).

A curve is a folder ``evals/<task>/curve--<snapshot>-<settings>`` beside the eval runs::

    points/<name>/         a model version for every part and seed, complete with its record; never in the register
    runs/<name>--<suite>/  its answers and scores on the frozen eval set; they count as no look at it, nothing is chosen
    curve.json             what was measured, and the fit of every suite

``settings`` is a hash of base and recipe without its seed, so a changed recipe starts a curve of its own.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from curate import contract
from curate.contract import canonical_json, sha256_hex
from curate.errors import GoldpairError, UsageError
from curate.tasks import Suite, TaskPack, load_pack
from curate.workspace import Workspace

Report = Callable[[dict[str, Any]], None]
FILE = "curve.json"
PREFIX = "curve--"
# of a recipe: what changes no model, or only its luck
NEUTRAL = ("seed", "threads", "micro_tokens", "checkpoint_steps", "pair_losses", "price_per_hour", "sample_steps",
           "sample_pairs", "report_to")  # fmt: skip
POINT = ("part", "pairs", "seed", "score", "lower", "rows", "seconds", "adapter")
LEAST_SCORES = 6  # of one suite, over at least three parts: what `evals.curve.fit` asks for


def fractions_of(points: int) -> tuple[float, ...]:
    """``points`` parts, each twice the one before, the last one everything: 4 gives 1/8, 1/4, 1/2, 1."""
    return tuple(2.0**-power for power in range(points - 1, -1, -1))


def plan(snapshot: Path, points: int, seeds: int) -> pl.DataFrame:
    """One row a model to train: ``part`` (share of the pairs), ``number`` of the seed, ``pairs`` it will see.

    Raises `UsageError` where the snapshot is too small to tell its parts apart, or the scores would be too few to fit.
    """
    total = contract.load_manifest(snapshot).rows["train"]
    sizes = [max(1, round(part * total)) for part in fractions_of(points)]
    if len(set(sizes)) < points:
        raise UsageError(
            f"{total} training pairs cannot be halved into {points} parts. Use fewer --points, or approve more pairs."
        )
    if points * seeds < LEAST_SCORES:
        raise UsageError(
            f"{points} parts and {seeds} seeds make {points * seeds} scores; a curve needs at least {LEAST_SCORES}."
        )
    rows = [
        {"part": part, "number": number, "pairs": size}
        for number in range(seeds)
        for part, size in zip(fractions_of(points), sizes, strict=True)
    ]
    return pl.DataFrame(rows)


def place_of(workspace: Workspace, task: str, snapshot_id: str, recipe: Mapping[str, Any], base: str) -> Path:
    """Folder of the curve of a snapshot under a base and a recipe."""
    settings = sha256_hex(canonical_json({"base": base, "recipe": _telling(recipe)}))
    return workspace.evals / task / f"{PREFIX}{snapshot_id[:12]}-{settings[:8]}"


def _telling(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in NEUTRAL}


def measure(
    workspace: Workspace, spec: Mapping[str, Any], recipe: Any, point: Mapping[str, Any], report: Report
) -> list[dict[str, Any]]:
    """Train and score one point of a curve: one row a suite. In the job's process, without a store.

    ``recipe`` is the pack's (with what the request changed); ``point`` a row of `plan`. A model and answers that are
    there already, from a curve that was stopped or from the released version itself, are not made again.
    """
    from curate.stopping import judge_of
    from evals.arms import Arm
    from evals.curve import nested_parts
    from evals.generate import LocalModel
    from evals.run import run_suite
    from evals.stats import mean_interval
    from train import fine_tune
    from train.base import portable_name

    pack_folder, snapshot = Path(spec["pack"]), Path(spec["snapshot"])
    pack = load_pack(pack_folder)
    base = spec["base_model"] or pack.model.base
    manifest = contract.load_manifest(snapshot)
    seed = recipe.seed + int(point["number"])
    recipe = recipe.model_copy(update={"seed": seed, "pair_losses": False})  # nobody reviews pairs by them
    settings = recipe.model_dump(mode="json")
    place = place_of(workspace, pack.name, manifest.id, settings, portable_name(base))
    rows = contract.load_rows(snapshot)
    parts = fractions_of(spec["points"])
    chosen = nested_parts(rows["source"].to_list(), seed, parts)[parts.index(point["part"])]
    name = f"{len(chosen)}-pairs-seed-{seed}"

    def training(state: dict[str, Any]) -> None:
        report(
            {"done": state["step"], "total": state["steps"], "message": f"{name}: loss {state['loss']:.3f}"}
        )

    whole = point["part"] == 1
    folder = _trained(workspace, manifest.id, settings, portable_name(base)) if whole else None
    if folder is None:
        ids = None if whole else rows["pair_id"].gather(chosen).to_list()
        made = fine_tune(
            snapshot,
            recipe,
            place / "points" / name,
            base_model=base,
            progress=training,
            only=ids,
            judge=judge_of(recipe, pack_folder),
        )
        folder = made.folder
    model = LocalModel(base, folder, threads=spec["threads"], precision="auto", template=str(recipe.template))
    record = json.loads((folder / "run.json").read_text("utf-8"))
    found = []
    for suite in pack.suites:

        def answering(arm: str, done: int, total: int, suite: Suite = suite) -> None:
            report({"done": done, "total": total, "message": f"{name}: suite {suite.name}"})

        run = run_suite(
            pack_folder,
            pack,
            suite,
            [Arm("tuned", "model", generator=model)],
            place / "runs" / f"{name}--{suite.name}",
            cache=workspace.cache / "generations",
            progress=answering,
        )
        scores = run.primary("tuned")
        interval = mean_interval(
            list(scores.values()), clusters=run.clusters(list(scores)), alpha=pack.gate.alpha
        )
        found.append(
            {
                "suite": suite.name,
                "part": point["part"],
                "pairs": len(chosen),
                "seed": seed,
                "score": interval.estimate,
                "lower": interval.interval[0],
                "rows": interval.n,
                "seconds": float(record["wall_seconds"]),
                "adapter": record["adapter_sha256"],
                "base": portable_name(base),
                "recipe": canonical_json(_telling(settings)).decode(),
                "place": str(place),
            }
        )
    return found


def _trained(workspace: Workspace, snapshot_id: str, recipe: Mapping[str, Any], base: str) -> Path | None:
    """A version of the workspace that is this very point: the whole snapshot, base, recipe and seed."""
    for path in sorted(workspace.models.glob("*/run.json")):
        run = json.loads(path.read_text("utf-8"))
        same = run["snapshot"]["id"] == snapshot_id and run["base"]["name"] == base
        same = same and run["recipe"]["seed"] == recipe["seed"] and "only_pairs" not in run
        if same and _telling(run["recipe"]) == _telling(recipe):
            return path.parent
    return None


def finish(
    workspace: Workspace, spec: Mapping[str, Any], points: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Fit the curve of every suite and write ``curve.json``; returns its content."""
    pack = load_pack(spec["pack"])
    snapshot = Path(spec["snapshot"])
    place = Path(points[0]["place"])
    suites = {}
    for suite in pack.suites:
        mine = [dict(point) for point in points if point["suite"] == suite.name]
        suites[suite.name] = _fitted(workspace, pack, suite, mine)
    body = {
        "format": 1,
        "task": pack.name,
        "snapshot": contract.load_manifest(snapshot).id,
        "base": points[0]["base"],
        "recipe": json.loads(points[0]["recipe"]),
        "parts": list(fractions_of(spec["points"])),
        "seeds": sorted({point["seed"] for point in points}),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "suites": suites,
    }
    scratch = place / f".{FILE}.tmp"
    scratch.write_text(json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    scratch.replace(place / FILE)
    return {"curve": place.name, **body}


def _fitted(
    workspace: Workspace, pack: TaskPack, suite: Suite, points: list[dict[str, Any]]
) -> dict[str, Any]:
    """The fit through one suite's points; where there is none, the reason as its sentence and no line."""
    from evals.curve import fit, hold_back

    pairs, scores = [point["pairs"] for point in points], [point["score"] for point in points]
    kept = [{key: value for key, value in point.items() if key in POINT} for point in points]
    threshold, named = _threshold(workspace, pack, suite, points)
    try:
        found = fit(pairs, scores, threshold=threshold, named=named)
    except UsageError as error:
        return {"points": kept, "line": [], "threshold": threshold, "sentence": str(error)}
    tried = hold_back(pairs, scores)
    words = [found["sentence"], *([tried["sentence"]] if tried else [])]
    return found | {"points": kept, "hold_back": tried, "sentence": " ".join(words)}


def _threshold(
    workspace: Workspace, pack: TaskPack, suite: Suite, points: Sequence[Mapping[str, Any]]
) -> tuple[float | None, str]:
    """The mean that the gate asks for, and what it is; None where the gate names no floor and no baseline is scored.

    The floor must be reached by the lower bound, so the mean must lie above it by as much as the bound lies below the
    mean at the largest part.
    """
    if pack.gate.floor is not None:
        largest = max(point["pairs"] for point in points)
        room = statistics.fmean(
            point["score"] - point["lower"] for point in points if point["pairs"] == largest
        )
        words = f"The gate's floor of {pack.gate.floor:g}, to be reached by the lower bound and so by a mean"
        return pack.gate.floor + room, words
    try:
        from evals.run import EvalRun

        run = EvalRun.load(workspace.evals / pack.name / f"baselines--{suite.name}")
    except GoldpairError:
        return None, ""
    means = {
        arm: statistics.fmean(scores.values())
        for arm in run.arms
        if run.kind(arm) in pack.gate.baselines and (scores := run.primary(arm))
    }
    if not means:
        return None, ""
    best = max(means, key=lambda arm: (means[arm], arm))
    return means[best], f"The mean of the best baseline, {best},"


def curves(workspace: Workspace, task: str) -> list[dict[str, Any]]:
    """Every finished curve of a task, newest first: the content of its ``curve.json`` and its name."""
    found = [
        {"curve": path.parent.name, **json.loads(path.read_text("utf-8"))}
        for path in workspace.evals.glob(f"{Path(task).name}/{PREFIX}*/{FILE}")
    ]
    return sorted(found, key=lambda body: (body["created"], body["curve"]), reverse=True)


def lay_beside(workspace: Workspace, run: Path) -> None:
    """Put ``curve.json`` beside a model's eval run for its report, or take away one that belongs to another model.

    The curve must be of the snapshot and base that the model learned from; one of its own recipe is preferred to one
    that differs, and the sentence names what differs.
    """
    path = run / FILE
    model, _, suite = run.name.partition("--")
    record = workspace.models / model / "run.json"
    chosen: dict[str, Any] | None = None
    if record.is_file():
        mine = json.loads(record.read_text("utf-8"))
        known = [
            body
            for body in curves(workspace, mine["task"])
            if body["snapshot"] == mine["snapshot"]["id"]
            and body["base"] == mine["base"]["name"]
            and suite in body["suites"]
        ]
        known.sort(key=lambda body: len(_other(body, mine)))
        if known:
            chosen = known[0]["suites"][suite] | {"basis": _basis(known[0], _other(known[0], mine))}
    if chosen is None:
        path.unlink(missing_ok=True)
        return
    path.write_text(json.dumps(chosen, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def _other(body: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Keys in which a curve's recipe differs from a version's."""
    keys = {*body["recipe"], *_telling(run["recipe"])}
    return sorted(key for key in keys if body["recipe"].get(key) != run["recipe"].get(key))


def _basis(body: Mapping[str, Any], other: Sequence[str]) -> str:
    """What a curve rests on, in words."""
    parts, seeds = len(body["parts"]), len(body["seeds"])
    text = f"{parts * seeds} models: {parts} nested parts of this snapshot under {seeds} seeds."
    if other:
        text += f" Their recipe is not this version's: {', '.join(other)} differ."
    return text
