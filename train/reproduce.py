"""Train a model version again from its record, and say whether the same adapter comes out.

Covers: the same snapshot, tokens, base files, recipe, threads and number of steps; the comparison of adapter, step
losses, software and hardware. Does not cover: evaluating the second adapter, nor keeping it: only its hash is needed.

On a CPU with one thread, with the same package versions, the adapter is the same bit by bit. More threads and
accelerators add floating-point numbers in another order; then the largest difference of the step losses says how far
apart the two runs are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import contract
from curate.errors import RefusedError
from train import versions
from train.base import file_hashes, resolve
from train.recipe import load_recipe
from train.run import fine_tune
from train.trainer import Progress

if TYPE_CHECKING:
    from train.validate import Judge


def reproduce(
    model_dir: Path | str,
    snapshot_dir: Path | str,
    work_dir: Path | str,
    progress: Progress | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Retrain ``model_dir`` from its record in the scratch folder ``work_dir`` and compare.

    ``judge`` as for `fine_tune`, for a version that was stopped by a suite.

    Returns ``{model, snapshot, equal, adapter_sha256: {recorded, again}, tokens_equal, steps,
    largest_loss_difference, first_different_step, differences}``; ``equal`` is about the adapter's bytes alone, losses
    are in nats, ``differences`` are sentences on what was not the same about the two runs. Calling again after an
    interruption goes on from the last checkpoint. Raises `RefusedError` when the snapshot or the base is not the one of
    the record, and whatever `fine_tune` refuses.
    """
    version = versions.load(model_dir)
    record = version.record()
    found = contract.load_manifest(snapshot_dir).id
    if found != version.snapshot:
        raise RefusedError(
            f"{version.name} was trained from snapshot {version.snapshot[:12]}, this is {found[:12]}.",
            ["another snapshot"],
        )
    base = resolve(version.base)
    files = file_hashes(base)
    changed = [name for name, digest in record["base"]["files"].items() if files.get(name) != digest]
    if changed:
        raise RefusedError(
            f"The base {version.base} is not the one {version.name} was trained on. Put the recorded files back.",
            [f"{name}: {'changed' if name in files else 'missing'}" for name in changed],
        )
    # time decided where that run ended; its number of steps does now
    recipe = load_recipe(record["recipe"]).model_copy(
        update={"max_minutes": None, "threads": record["hardware"]["threads"]}
    )
    out = Path(work_dir) / version.name
    again = fine_tune(
        snapshot_dir,
        recipe,
        out,
        base_model=version.base,
        progress=progress,
        stop_after=record["steps"] if record["steps"] < record["planned_steps"] else None,
        demo=record.get("demo"),
        only=record.get("only_pairs"),
        judge=judge,
    ).record()
    shutil.rmtree(out)
    return {"model": version.name, "snapshot": version.snapshot, **compare(record, again)}


def compare(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """Two run records of the same recipe side by side; the part of `reproduce`'s result that needs no files."""
    first, second = ([e["loss"] for e in record["log"] if "loss" in e] for record in (recorded, again))
    gaps = [abs(a - b) for a, b in zip(first, second, strict=False)]
    differences = [
        f"{part} {key}: {recorded[part].get(key)} then, {again[part].get(key)} now"
        for part in ("software", "hardware")
        for key in sorted({*recorded[part], *again[part]})
        if recorded[part].get(key) != again[part].get(key)
    ]
    if recorded.get("early_stop") != again.get("early_stop"):
        differences.insert(0, "the scorer of the validation answers, or which pairs were asked")
    if len(first) != len(second):
        differences.insert(0, f"steps: {len(first)} then, {len(second)} now")
    return {
        "equal": recorded["adapter_sha256"] == again["adapter_sha256"],
        "adapter_sha256": {"recorded": recorded["adapter_sha256"], "again": again["adapter_sha256"]},
        "tokens_equal": recorded["tokens_sha256"] == again["tokens_sha256"],
        "steps": len(second),
        "largest_loss_difference": max(gaps, default=0.0),
        "first_different_step": next((n for n, gap in enumerate(gaps, 1) if gap), None),
        "differences": differences,
    }
