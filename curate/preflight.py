"""The gate before training: is this snapshot fit to learn from?

Covers: running every check on a frozen snapshot, writing the verdict to ``preflight.json`` beside it, overriding
it by name, and refusing without it. Does not cover: how tokens are checked (`train.preflight`), what overlap is
(`curate.contamination`), or the gate after training (`evals.gate`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from curate import contamination, contract
from curate.errors import RefusedError, UsageError
from curate.tasks import TaskPack, load_eval

Check = dict[str, Any]


def run(
    folder: Path,
    pack_folder: Path,
    pack: TaskPack,
    recipe: Any,
    *,
    base_model: str | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    eval_runs: Path | None = None,
) -> dict[str, Any]:
    """Run every check and write ``preflight.json``. Returns its content; never raises for a failed check.

    ``eval_runs``: folder of the task's earlier eval runs, whose eval sets count as frozen too.
    """
    from evals.gate import decide_preflight

    steps: list[tuple[str, Callable[[], list[Check]]]] = [
        ("the snapshot is what was frozen", lambda: [_intact(folder)]),
        ("enough approved pairs", lambda: [_enough(folder, pack)]),
        ("nothing lost in tokenising", lambda: [_tokens(folder, recipe, base_model)]),
        ("no overlap with the eval sets", lambda: _overlap(folder, pack_folder, pack, eval_runs)),
        ("the eval set can decide", lambda: _power(pack_folder, pack)),
    ]
    checks: list[Check] = []
    for number, (name, step) in enumerate(steps):
        if report:
            report({"done": number, "total": len(steps), "message": name})
        checks += step()
        if checks[0]["verdict"] == "FAIL":
            break  # a changed snapshot is not worth reading further
    result = decide_preflight(
        checks,
        snapshot=contract.load_manifest(folder).id,
        gate=pack.gate,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _write(folder, result)
    return result


def _check(name: str, ok: bool, detail: str, **more: Any) -> Check:
    return {"name": name, "verdict": "PASS" if ok else "FAIL", "detail": detail, **more}


def _intact(folder: Path) -> Check:
    problems = contract.verify(folder)
    return _check("snapshot intact", not problems, "; ".join(problems) or "every byte and row as frozen")


def _enough(folder: Path, pack: TaskPack) -> Check:
    n = contract.load_manifest(folder).rows.get("train", 0)
    return _check(
        "enough pairs",
        n >= pack.gate.min_pairs,
        f"{n} approved training pairs, at least {pack.gate.min_pairs}",
    )


def _tokens(folder: Path, recipe: Any, base_model: str | None) -> Check:
    from train import preflight

    result = preflight(folder, recipe, base_model)
    found = [
        {"pair_id": f["pair_id"], "problem": f["problem"], "detail": f["detail"]} for f in result.findings
    ]
    named = "; ".join(f"{f['pair_id']} {f['problem']} ({f['detail']})" for f in found[:5])
    detail = f"{len(found)} pairs cannot be learned from: {named}"
    if result.ok:
        policy = [f"{len(found)} left out by the recipe: {named}"] if found else []
        policy += [f"{len(result.split)} too long ones split by the recipe"] if result.split else []
        detail = f"{result.tokens:,} tokens, " + ("; ".join(policy) or "every pair whole")
    return _check("nothing lost in tokenising", result.ok, detail, pairs=found, split=result.split)


def _overlap(folder: Path, pack_folder: Path, pack: TaskPack, eval_runs: Path | None) -> list[Check]:
    """Eval rows that stand in the training data too: by prompt, by completion, by source."""
    rows = pl.concat([contract.load_rows(folder, split) for split in contract.SPLITS])
    checks = []
    for name, evals in contamination.frozen_sets(pack_folder, pack, eval_runs).items():
        hits = contamination.find(rows, evals, pack)
        checks.append(
            _check(
                f"no overlap with {name}",
                not any(hit["blocks"] for hit in hits),
                contamination.in_words(hits, len(evals), len(rows)),
                overlap=hits,
            )
        )
    return checks


def _power(pack_folder: Path, pack: TaskPack) -> list[Check]:
    """Whether each eval set can show the gain that the gate wants over a baseline."""
    from evals.gate import power_check
    from evals.run import cluster_of

    checks = []
    for suite in pack.suites:
        rows = load_eval(pack_folder, suite)
        clusters = len({cluster_of(row, suite.cluster) for row in rows})
        # Half: the largest standard deviation that differences of scores between 0 and 1 commonly show.
        check = power_check(pack.gate, len(rows), clusters, difference=pack.gate.effect, deviation=0.5)
        checks.append(check | {"name": f"suite {suite.name} can decide"})
    return checks


def _write(folder: Path, result: dict[str, Any]) -> None:
    scratch = folder / ".preflight.json.tmp"
    scratch.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    scratch.replace(folder / "preflight.json")


def load(folder: Path) -> dict[str, Any] | None:
    """``preflight.json`` of a snapshot when it belongs to this very snapshot, else None."""
    try:
        result = json.loads((folder / "preflight.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("snapshot") == contract.load_manifest(folder).id else None


def override(folder: Path, user: str, reason: str) -> dict[str, Any]:
    """Sign a preflight that did not pass. Raises `UsageError` when there is none, or it passed."""
    result = load(folder)
    if result is None:
        raise UsageError(
            "There is no preflight of this snapshot to override. Run `goldpair preflight` first."
        )
    if result["verdict"] == "PASS":
        raise UsageError("This preflight passed; nothing to override.")
    result["override"] = {
        "user": user,
        "reason": reason,
        "ts": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write(folder, result)
    return result


def require_passed(folder: Path) -> None:
    """Raise `RefusedError` unless this snapshot's preflight passed or was overridden (invariant 4)."""
    result = load(folder)
    if result is None:
        raise RefusedError(
            "This snapshot has no preflight. Run `goldpair preflight` first.", ["no preflight.json"]
        )
    if result["verdict"] != "PASS" and not result["override"]:
        reasons = [f"{c['name']}: {c['detail']}" for c in result["checks"] if c["verdict"] != "PASS"]
        raise RefusedError(f"The preflight of this snapshot is {result['verdict']}.", reasons)
