"""Scores with and without the eval rows that the training data may have given away.

Covers: reading the suspects of a run, each arm's mean over all rows and over the rest. Does not cover: finding
suspects (`curate.contamination` writes ``suspects.json`` into the run folder), the verdict (`evals.gate`).
No row is taken out of the run: the number without suspects stands beside the number that counts.
"""

from __future__ import annotations

import json
from typing import Any

from evals.run import EvalRun
from evals.stats import mean_interval

FILE = "suspects.json"


def suspects(run: EvalRun) -> dict[str, list[dict[str, Any]]] | None:
    """Row id -> hits (pair_id, field, kind, similarity, blocks) of rows that stand in the training data too.

    Rows that merely share a template are listed with ``blocks`` false. None when nobody looked: the run names no
    snapshot. Rows that the run itself found verbatim in the snapshot are in it in any case.
    """
    path = run.folder / FILE
    same = run.meta.get("overlap") or []
    if not path.is_file() and run.meta.get("snapshot") is None:
        return None
    hits = json.loads(path.read_text("utf-8"))["hits"] if path.is_file() else []
    hits += [
        {"eval_id": row["row_id"], "pair_id": row["pair_id"], "field": "prompt", "kind": "identical"}
        | {"similarity": 1.0, "value": "", "blocks": True}
        for row in same
        if not any(h["eval_id"] == row["row_id"] and h["field"] == "prompt" and h["blocks"] for h in hits)
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for hit in hits:
        found.setdefault(hit["eval_id"], []).append({k: v for k, v in hit.items() if k != "eval_id"})
    return {row.id: found[row.id] for row in run.rows if row.id in found}


def with_and_without(run: EvalRun, *, templates: bool = False) -> dict[str, Any] | None:
    """Each arm's mean with its interval, over all rows and over those that are not suspect.

    ``templates=True`` counts rows that share a template as suspect too. Returns ``{"suspects": [row ids],
    "templates": [row ids that share a template and nothing more], "arms": {name: {"all", "without"}}}`` where both
    are `evals.stats.Interval` as dicts, or None when nobody looked.
    """
    found = suspects(run)
    if found is None:
        return None
    blocking = [name for name, hits in found.items() if any(hit["blocks"] for hit in hits)]
    reported = [name for name in found if name not in blocking]
    out = set(blocking) | (set(reported) if templates else set())
    arms = {}
    for arm in run.arms:
        scores = run.primary(arm)
        rest = [name for name in scores if name not in out]
        arms[arm] = {
            key: mean_interval([scores[name] for name in ids], clusters=run.clusters(ids)).to_dict()
            for key, ids in (("all", list(scores)), ("without", rest))
        }
    return {"suspects": blocking, "templates": reported, "arms": arms}
