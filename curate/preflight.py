"""The gate before training: is this snapshot fit to learn from?

Covers: running every check on a frozen snapshot, named waivers, writing the verdict to ``preflight.json`` beside it,
overriding it by name, and refusing without it. Does not cover: how tokens are checked (`train.preflight`), what overlap
is (`curate.contamination`), how a completion is judged (`evals.run.score_texts`), or the gate after training
(`evals.gate`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from curate import contamination, contract
from curate.errors import GoldpairError, RefusedError, UsageError
from curate.tasks import EvalRow, Suite, TaskPack, load_eval

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
        ("no open privacy finding", lambda: [_private(folder)]),
        ("nothing lost in tokenising", lambda: [_tokens(folder, recipe, base_model)]),
        ("no overlap with the eval sets", lambda: _overlap(folder, pack_folder, pack, eval_runs)),
        ("the eval set can decide", lambda: _power(pack_folder, pack)),
        ("the approved completions pass the scorers", lambda: _gold(folder, pack_folder, pack)),
    ]
    checks: list[Check] = []
    for number, (name, step) in enumerate(steps):
        if report:
            report({"done": number, "total": len(steps), "message": name})
        checks += step()
        if checks[0]["verdict"] == "FAIL":
            break  # a changed snapshot is not worth reading further
    result = decide_preflight(
        _waive(checks, pack),
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


def _private(folder: Path) -> Check:
    """Freezing refuses an open finding; this holds the rows to the detector that the freeze says it used."""
    manifest = contract.load_manifest(folder)
    rows = pl.concat([contract.load_rows(folder, split) for split in contract.SPLITS])
    stale = rows.filter(pl.col("detector_version") != manifest.detector_version)["pair_id"].to_list()
    if stale:
        some = ", ".join(stale[:5])
        detail = (
            f"{len(stale)} pairs were scanned by another detector than the snapshot's: {some}; freeze anew"
        )
    else:
        detail = f"every pair was scanned by detector {manifest.detector_version} and had no open finding"
    return _check("no open privacy finding", not stale, detail, pairs=[{"pair_id": name} for name in stale])


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


def _gold(folder: Path, pack_folder: Path, pack: TaskPack) -> list[Check]:
    """The approved completions, judged as a model's answers will be: what the scorer objects to would be taught."""
    return [_gold_of(folder, pack_folder, pack, suite) for suite in pack.suites]


def _gold_of(folder: Path, pack_folder: Path, pack: TaskPack, suite: Suite) -> Check:
    from evals.run import primary_of, score_texts

    name = f"gold of suite {suite.name}"
    pairs = contract.load_rows(folder, "train").to_dicts()
    rows = [_as_eval_row(pair, suite) for pair in pairs]
    try:
        params = suite.params | suite.gold.params
        result = score_texts(suite.metric, rows, [pair["completion"] for pair in pairs], params, pack_folder)
        subscores = result.get("subscores") or [{}] * len(pairs)
        primary = [
            primary_of(suite, float(score), sub)
            for score, sub in zip(result["scores"], subscores, strict=True)
        ]
    except GoldpairError as error:
        detail = f"{suite.metric} could not judge the approved completions: {error}"
        return {"name": name, "verdict": "INCONCLUSIVE", "detail": detail, "pairs": []}
    errors = result.get("errors") or [None] * len(pairs)
    evidence = result.get("evidence") or [[]] * len(pairs)
    found, unjudged = [], [pair["pair_id"] for pair, why in zip(pairs, errors, strict=True) if why]
    for number, pair in enumerate(pairs):
        if errors[number]:
            continue
        score = primary[number]
        hits = [
            hit
            for hit in evidence[number]
            if hit.get("kind") in pack.gate.critical
            or ("critical" in pack.gate.critical and hit.get("critical"))
        ]
        if hits or score < suite.gold.min:
            problem = ", ".join(sorted({str(hit["kind"]) for hit in hits})) or f"{suite.primary} {score:.2f}"
            spans = "; ".join(str(hit.get("span")) for hit in hits[:3] if hit.get("span"))
            found.append(
                {
                    "pair_id": pair["pair_id"],
                    "source": pair["source"],
                    "problem": problem,
                    "detail": spans,
                    "critical": bool(hits),
                    "score": round(score, 4),
                }
            )
    waived = {item for waiver in pack.waivers if waiver.check == name for item in waiver.pairs}
    for item in found:
        item["waived"] = item["pair_id"] in waived or item["source"] in waived
    open_ = [item for item in found if not item["waived"]]
    critical = [item for item in open_ if item["critical"]]
    allowed = suite.gold.share * len(pairs)
    ok = not critical and len(open_) <= allowed
    detail = (
        f"{len(found)} of {len(pairs)} approved completions fail {suite.metric} (under {suite.gold.min:g}, or a "
        f"critical finding), {len(found) - len(open_)} waived; {suite.gold.share:.0%} may fail, none critically"
    )
    if not ok:
        shown = [*critical, *(item for item in open_ if not item["critical"])][:5]
        detail += ": " + "; ".join(f"{i['pair_id']} {i['problem']} {i['detail']}".strip() for i in shown)
        detail += ". Correct them in review and freeze again, or waive them by name in task.toml"
    check = _check(name, ok, detail, pairs=sorted(found, key=lambda i: (i["waived"], i["score"])))
    if unjudged:
        check["detail"] += f"; {len(unjudged)} could not be judged, first {unjudged[0]}"
        check["verdict"] = "INCONCLUSIVE" if ok else "FAIL"
    return check


def _as_eval_row(pair: dict[str, Any], suite: Suite) -> EvalRow:
    """A training pair as the scorer sees a row of the eval set; its own completion is the reference."""
    metadata = json.loads(pair["metadata"] or "{}")
    return EvalRow(
        id=pair["pair_id"],
        source=pair["source"],
        prompt=pair["prompt"],
        history=json.loads(pair["history"] or "[]"),
        reference=pair["completion"],
        expect=str(metadata.get(suite.gold.expect) or "") if suite.gold.expect else "",
        metadata=metadata,
    )


def _waive(checks: list[Check], pack: TaskPack) -> list[Check]:
    """Checks with the pack's waivers written into them; a waiver of a whole check turns it to PASS.

    What the snapshot is and what is private in it can be waived by nobody: override preflight for that.
    """
    for check in checks:
        signed = [w for w in pack.waivers if w.check == check["name"]]
        if not signed:
            continue
        check["waivers"] = [w.model_dump() for w in signed]
        check["detail"] += "".join(f"; waived by {w.by}: {w.reason}" for w in signed)
        whole = any(not w.pairs for w in signed)
        if whole and check["name"] not in ("snapshot intact", "no open privacy finding"):
            check["verdict"] = "PASS"
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
