"""Blind rating of the pythonic scorer's validation pairs, and how far the scorer agrees with it.

    python -m benchmarks._pythonic_rank sheet ratings.jsonl      # then fill in every "rating", 1 (COBOL) to 5 (Python)
    python -m benchmarks._pythonic_rank correlate ratings.jsonl

Covers: a shuffled sheet without scores whose ids tell nothing, Spearman over all pairs, Kendall's tau-b within each
program, both with what they rest on. Does not cover: who rates; it must not be the scorer's author, and the card names
who it was. Sources: Spearman 1904; Kendall 1945.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap, kendalltau, spearmanr

import evals

PAIRS = Path(__file__).parent / "data" / "pythonic_pairs.jsonl"


def pairs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in PAIRS.read_text("utf-8").splitlines() if line.strip()]


def blind(name: str) -> str:
    """An id that says nothing of who wrote what in which order."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def scores(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    result = evals.metric("pythonic").compute(
        predictions=[row["prediction"] for row in rows], sources=[row["source"] for row in rows]
    )
    return list(result["scores"])


def correlate(ratings: Mapping[str, float]) -> dict[str, Any]:
    """Spearman with its 95 % bootstrap interval over all rated pairs; mean Kendall tau-b within programs."""
    rows = [row for row in pairs() if blind(row["id"]) in ratings]
    judged = np.array(scores(rows))
    rated = np.array([float(ratings[blind(row["id"])]) for row in rows])
    low, high = bootstrap(
        (judged, rated),
        lambda a, b: spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=999,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    taus = []
    for program in sorted({row["program"] for row in rows}):
        chosen = [index for index, row in enumerate(rows) if row["program"] == program]
        tau = kendalltau(judged[chosen], rated[chosen]).statistic
        if np.isfinite(tau):
            taus.append(tau)
    return {
        "items": len(rows),
        "spearman": float(spearmanr(judged, rated).statistic),
        "interval": [float(low), float(high)],
        "kendall_within_programs": float(np.mean(taus)) if taus else None,
        "programs": len(taus),
        "scorer": evals.scorer_version("pythonic"),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks._pythonic_rank", description=__doc__)
    parser.add_argument("what", choices=["sheet", "correlate"])
    parser.add_argument("file", type=Path, help="JSON lines; the rater fills in every rating, 1 to 5")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    if given.what == "sheet":
        rows = [{**row, "id": blind(row["id"]), "rating": None} for row in pairs()]
        random.Random(given.seed).shuffle(rows)
        given.file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return {"items": len(rows)}
    rows = [json.loads(line) for line in given.file.read_text("utf-8").splitlines() if line.strip()]
    empty = [row["id"] for row in rows if not isinstance(row.get("rating"), int | float)]
    if empty:
        raise SystemExit(
            f"{len(empty)} rows have no rating (first: {empty[0]}). Fill in 1 to 5 and run again."
        )
    result = correlate({row["id"]: row["rating"] for row in rows})
    print(json.dumps(result, indent=2))
    return result


if __name__ == "__main__":
    main()
