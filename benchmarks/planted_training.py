"""Dose and response with retraining: wrong labels planted into the sarcastic bot's snapshot, model trained, gate asked.

Covers: helpful answers of the untuned model and remarks on another question in 2, 10 and 25 % of the training pairs
and in none, under several seeds, through the operations that people use: preflight, training (a preflight that stops
is overridden, to see what promotion would do), evaluation, gate against a released clean version.
Does not cover: kinds that are cheap to count without training (`benchmarks.planted`), larger models. Few runs, so the
Clopper-Pearson intervals are wide. An hour or more on a CPU, some minutes a model on a GPU.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.planted import _helpful, swapped
from curate import contract, demo, users
from curate.contract import ROW_SCHEMA, canonical_json, file_sha256, full_row_hash, row_sha256, sha256_hex
from curate.store import Store
from curate.tasks import load_pack
from curate.workspace import Workspace
from evals.stats import clopper_pearson

TASK = "sarcastic-bot"
SHARES = (0.02, 0.1, 0.25)
SEEDS = 3


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows by kind and share; quick trains one clean and one poisoned model for two minutes each."""
    shares, seeds = (SHARES[-1:], 1) if quick else (SHARES, SEEDS)
    bounded = {"max_minutes": 2.0} if quick else {}
    with tempfile.TemporaryDirectory(prefix="goldpair-retrained-") as scratch:
        workspace = Workspace.create(Path(scratch) / "ws")
        with Store.open(workspace.store) as store:
            users.ensure_owner(store, demo.LEAD)
        steps = demo._Demo(TASK, workspace, quiet=True, full=True)
        for step in (demo._import, demo._scan, demo._dedupe, demo._decisions):
            step(steps)
        name = steps.job("freeze", "snapshot.create", task=TASK)["snapshot"]
        [clean] = workspace.snapshots.glob(f"*{name[:12]}")
        steps.job("baselines", "eval", task=TASK, snapshot=name)
        first = _trained(steps, clean, 100, bounded)
        steps.client.call(
            "promote", model=first["model"], override="the clean version that others are held against"
        )
        rows = contract.load_rows(clean).to_dicts()
        wrong = {
            "helpful answers of the untuned model": _helpful(load_pack(steps.pack_folder), rows),
            "remarks on another question": swapped(rows),
        }
        outcomes: dict[tuple[str, float], list[dict[str, Any]]] = {}
        for seed in range(seeds):
            outcomes.setdefault(("clean", 0.0), []).append(_trained(steps, clean, seed, bounded))
            for kind, texts in wrong.items() if not quick else list(wrong.items())[:1]:
                able = [n for n, text in enumerate(texts) if text is not None]
                for share in shares:
                    chosen = random.Random(f"{kind}/{share}/{seed}").sample(
                        able, min(len(able), round(share * len(rows)))
                    )
                    changes = {rows[n]["pair_id"]: str(texts[n]) for n in chosen}
                    place = workspace.snapshots / f"{TASK}-{kind[:7]}-{share:g}-{seed}"
                    folder = poisoned(clean, place, changes)
                    outcomes.setdefault((kind, share), []).append(_trained(steps, folder, seed, bounded))
    return [
        *(
            _row(*key, what, found)
            for key, found in outcomes.items()
            for what in ("preflight", "promotion", "both")
        ),
    ]


def _trained(steps: Any, snapshot: Path, seed: int, bounded: Mapping[str, Any]) -> dict[str, Any]:
    """Verdicts of preflight and gate for one training on a snapshot folder, and the model's mean score."""
    checked = steps.job("preflight", "preflight", snapshot=str(snapshot))
    # The baselines were scored with the clean snapshot's examples; that is no finding on the labels.
    stops = [c["name"] for c in checked["checks"] if c["verdict"] != "PASS" and "baselines" not in c["name"]]
    preflight = "FAIL" if stops else "PASS"
    if checked["verdict"] != "PASS":
        reason = "benchmark: what would promotion say of it"
        steps.client.call("preflight.override", snapshot=str(snapshot), reason=reason)
    made = steps.job("train", "train", snapshot=str(snapshot), set=[f"seed={seed}"], **bounded)
    evaluated = steps.job("eval", "eval", task=TASK, snapshot=str(snapshot), model=made["model"])
    gate = steps.client.call("gate", run=evaluated["run"])
    report = steps.client.call("report", run=evaluated["run"])
    arms = json.loads(Path(report["json"]).read_text("utf-8"))["arms"]
    mean = next(arm["mean"] for arm in arms if arm["name"] == "tuned")
    return {"model": made["model"], "preflight": preflight, "promotion": gate["verdict"], "mean": mean}


def poisoned(clean: Path, place: Path, changes: Mapping[str, str]) -> Path:
    """A snapshot folder with other completions for some pairs, sealed as if people had approved them.

    ``changes``: pair id -> completion. Its rows, hashes and id hold; only what was approved is wrong.
    """
    shutil.copytree(clean, place, ignore=shutil.ignore_patterns("preflight.json"))
    splits = {split: contract.load_rows(clean, split).to_dicts() for split in contract.SPLITS}
    for row in splits["train"]:
        if row["pair_id"] in changes:
            row["completion"] = changes[row["pair_id"]]
            row["sha256"] = row_sha256(row)
    for split, rows in splits.items():
        pl.DataFrame(rows, schema=ROW_SCHEMA).write_parquet(place / "data" / f"{split}.parquet")
    manifest = contract.load_manifest(clean)
    hashes = {split: [full_row_hash(row) for row in rows] for split, rows in splits.items()}
    changed = manifest.model_copy(
        update={
            "id": contract.content_id(manifest.task, manifest.pack_sha256, hashes),
            "files": {name: file_sha256(place / name) for name in manifest.files},
        }
    ).sealed()
    (place / "manifest.json").write_text(changed.model_dump_json(indent=1), "utf-8")
    return place


def _row(kind: str, share: float, what: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    def stops(one: Mapping[str, Any]) -> bool:
        by = ("preflight", "promotion") if what == "both" else (what,)
        return any(one[name] != "PASS" for name in by)

    hits, n = sum(map(stops, found)), len(found)
    if kind == "clean":
        hits = n - hits
    low, high = clopper_pearson(hits, n)
    means = ", ".join(f"{one['mean']:.3f}" for one in found)
    words = "passes" if kind == "clean" else "stop" if what == "both" else "stops"
    named = {"both": "preflight and promotion together"}.get(what, what)
    goal = (
        0.8 if kind == "clean" and what == "both" else 0.95 if what == "both" and share == SHARES[0] else None
    )
    figure = f"a clean retrain {words} {named}" if kind == "clean" else f"{named} {words} {share:.0%} {kind}"
    return {
        "area": "planted_training",
        "figure": figure,
        "goal": f">= {goal:g}" if goal else "as measured",
        "ours": round(hits / n, 4),
        "peer": None,
        "ratio": None,
        "spread": f"{hits} of {n} models, [{low:.3f}, {high:.3f}]; mean scores {means}",
        "met": bool(hits / n >= goal) if goal else None,
        "command": "python -m benchmarks planted_training",
        "versions": {"recipe": sha256_hex(canonical_json(load_pack(demo.find_pack(TASK)).training))[:12]},
    }
