"""Does a scorer agree with people? Measured on answers that were labelled blind.

Covers: reading labelled answers, scoring them with the suite's own scorer, Cohen's kappa with its interval.
Does not cover: what follows from it (`evals.gate`: below the gate's minimum the verdict is INCONCLUSIVE).

A labelled answer is a JSON line ``{"id", "arm", "prompt", "history", "expect", "answer", "good", "by"}``: ``good`` is
what a person said (true: this answer is what the task wants), ``by`` who, ``arm`` was hidden from them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.errors import NotFound, UsageError
from curate.tasks import EvalRow, Suite
from evals.run import score_texts
from evals.stats import cohen_kappa

THRESHOLD = 0.5  # a primary score from here on counts as "the scorer calls it good"


def load_labelled(path: Path) -> list[dict[str, Any]]:
    """Labelled answers. Raises `NotFound`, and `UsageError` naming the line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}. Label answers blind to make it.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if not isinstance(row["good"], bool):
                raise TypeError("good must be true or false")
            row["prompt"], row["answer"], row["id"]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path}:{number}: not a labelled answer ({error})") from error
        rows.append(row)
    return rows


def measure(pack_dir: Path, suite: Suite) -> dict[str, Any] | None:
    """``{kappa, interval, n, raw, by, arms}`` for a suite that names labelled answers, else None."""
    if suite.agreement is None:
        return None
    labelled = load_labelled(pack_dir / suite.agreement)
    rows = [
        EvalRow(
            id=str(number),
            source=row["id"],
            prompt=row["prompt"],
            history=row.get("history") or [],
            expect=row.get("expect", ""),
        )
        for number, row in enumerate(labelled)
    ]
    result = score_texts(suite.metric, rows, [row["answer"] for row in labelled], suite.params, pack_dir)
    machine = [value >= THRESHOLD for value in _primary(result, suite.primary)]
    people = [row["good"] for row in labelled]
    found = cohen_kappa(people, machine)
    return {
        "kappa": found.kappa,
        "interval": list(found.interval) if found.interval else None,
        "n": found.n,
        "raw": found.raw,
        "by": ", ".join(sorted({row.get("by", "unknown") for row in labelled})),
        "arms": sorted({row.get("arm", "") for row in labelled}),
    }


def _primary(result: dict[str, Any], name: str) -> Sequence[float]:
    return result["scores"] if name == "score" else [float(sub[name]) for sub in result["subscores"]]
