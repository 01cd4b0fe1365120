"""The gate before training: is this snapshot fit to learn from?

Covers: running every check on a frozen snapshot, named waivers, writing the verdict to ``preflight.json`` beside it,
overriding it by name, and refusing without it. Does not cover: how tokens are checked (`train.preflight`), what overlap
is (`curate.contamination`), how a completion is judged (`evals.run.score_texts`), or the gate after training
(`evals.gate`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from curate import contamination, contract
from curate.errors import GoldpairError, RefusedError, UsageError
from curate.tasks import Demo, EvalRow, Suite, TaskPack, load_eval

Check = dict[str, Any]
POWER = "power"  # kind of the checks that a declared demo override passes over
Judged = dict[str, Any]
GROUPS = ("author", "approver", "guideline_version")  # of a pair: who and what its failures may come from
PILE_ALPHA = 0.01


def run(
    folder: Path,
    pack_folder: Path,
    pack: TaskPack,
    recipe: Any,
    *,
    base_model: str | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    eval_runs: Path | None = None,
    demo: Demo | None = None,
) -> dict[str, Any]:
    """Run every check and write ``preflight.json``. Returns its content; never raises for a failed check.

    ``eval_runs``: folder of the task's earlier eval runs, whose eval sets count as frozen too, and among which the
    baselines' must be.
    ``demo``: the declared override; a power check that does not pass is passed over by it, and nothing else is.
    """
    from evals.gate import decide_preflight

    steps: list[tuple[str, Callable[[], list[Check]]]] = [
        ("the snapshot is what was frozen", lambda: [_intact(folder)]),
        ("enough approved pairs", lambda: [_enough(folder, pack)]),
        ("no open privacy finding", lambda: [_private(folder)]),
        ("nothing lost in tokenising", lambda: [_tokens(folder, recipe, base_model)]),
        ("no overlap with the eval sets", lambda: _overlap(folder, pack_folder, pack, eval_runs)),
        ("the eval set can decide", lambda: _power(pack_folder, pack, demo)),
        (
            "the baselines are scored",
            lambda: _baselines(folder, pack_folder, pack, eval_runs, base_model, demo),
        ),
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
    if demo is not None:
        _pass_over(result, demo)
    _write(folder, result)
    return result


def _pass_over(result: Check, demo: Demo) -> None:
    """Sign a preflight in the name of the declared demo override, if the eval sets' size alone stands in the way."""
    bad = [check for check in result["checks"] if check["verdict"] != "PASS"]
    if not bad or any(check.get("kind") != POWER or check["verdict"] != "INCONCLUSIVE" for check in bad):
        return
    result["override"] = {
        "user": demo.signed_by,
        "reason": demo.reason,
        "ts": result["created"],
        "demo": True,  # for the short demo alone: an ordinary training refuses it
        "checks": [check["name"] for check in bad],
    }


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


def _power(pack_folder: Path, pack: TaskPack, demo: Demo | None = None) -> list[Check]:
    """Whether each eval set can show the gain that the gate wants over a baseline."""
    from evals.gate import power_check
    from evals.run import cluster_of

    checks = []
    for suite in pack.suites:
        rows = _asked(pack_folder, suite, demo)
        clusters = len({cluster_of(row, suite.cluster) for row in rows})
        # Half: the largest standard deviation that differences of scores between 0 and 1 commonly show.
        check = power_check(pack.gate, len(rows), clusters, difference=pack.gate.effect, deviation=0.5)
        checks.append(check | {"name": f"suite {suite.name} can decide", "kind": POWER})
    return checks


def _asked(pack_folder: Path, suite: Suite, demo: Demo | None) -> list[EvalRow]:
    """The eval rows that will be asked: all, or the sample that a declared demo asks."""
    from evals.sample import spread

    return spread(load_eval(pack_folder, suite), demo.eval_rows if demo else None, suite.slices)


def _baselines(
    folder: Path,
    pack_folder: Path,
    pack: TaskPack,
    eval_runs: Path | None,
    base_model: str | None,
    demo: Demo | None = None,
) -> list[Check]:
    """What a model will have to beat is measured before there is one: on this eval set, from this snapshot."""
    if not pack.gate.baselines:
        return []
    base = base_model or pack.model.base
    checks = []
    for suite in pack.suites:
        path = None if eval_runs is None else eval_runs / f"{'sample-' * bool(demo)}baselines--{suite.name}"
        rows = _asked(pack_folder, suite, demo)
        check = {"name": f"baselines of suite {suite.name}", "verdict": "PASS"}
        try:
            check["detail"] = _scored(path, folder, rows, pack, suite, base)
        except GoldpairError as error:
            again = (
                f"Run `goldpair eval {pack.name} --snapshot {contract.load_manifest(folder).id[:12]}` first"
            )
            check |= {"verdict": "INCONCLUSIVE", "detail": f"{error}. {again}"}
        checks.append(check)
    return checks


def _scored(
    path: Path | None, folder: Path, rows: Sequence[EvalRow], pack: TaskPack, suite: Suite, base: str
) -> str:
    """The baselines' means in words. Raises `UsageError` saying what is not scored, or was scored on something else."""
    import evals
    from evals.arms import ASKING, EXAMPLES
    from evals.run import EvalRun, eval_sha256
    from train.base import portable_name

    wanted = list(pack.gate.baselines)
    if path is None or not (path / "run.json").is_file():
        raise UsageError(f"{', '.join(wanted)}: not scored yet")
    run = EvalRun.load(path)
    missing = [name for name in wanted if name not in run.arms or not run.primary(name)]
    if missing:
        raise UsageError(f"{', '.join(missing)}: not scored yet")
    if run.meta["eval"]["sha256"] != eval_sha256(rows):
        raise UsageError(f"{suite.eval} has changed since they were scored")
    if run.meta["scorer"]["version"] != evals.scorer_version(suite.metric):
        raise UsageError(f"the scorer {suite.metric} has changed since they were scored")
    taken_from = (run.meta["snapshot"] or {}).get("id")
    if taken_from != contract.load_manifest(folder).id and set(wanted) & set(EXAMPLES):
        raise UsageError(f"their examples are from snapshot {str(taken_from)[:12]}")
    asked = [run.meta["arms"][name]["identity"]["generator"] for name in wanted if name in ASKING]
    bases = {identity.get("base", "an endpoint") for identity in asked}
    if bases - {portable_name(base)}:
        raise UsageError(
            f"they are answers of {', '.join(sorted(bases))}, and the model will stand on {base}; name it as "
            "[model] base in task.toml"
        )
    means = {name: sum(scores.values()) / len(scores) for name in wanted if (scores := run.primary(name))}
    words = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return f"{words} on {len(run.rows)} eval rows, before anything was trained"


def _gold(folder: Path, pack_folder: Path, pack: TaskPack) -> list[Check]:
    """The approved completions, judged as a model's answers will be: what the scorer objects to would be taught."""
    return [_gold_of(folder, pack_folder, pack, suite) for suite in pack.suites]


def _gold_of(folder: Path, pack_folder: Path, pack: TaskPack, suite: Suite) -> Check:
    pairs = contract.load_rows(folder, "train").to_dicts()
    try:
        judged = judge_gold(pairs, pack_folder, pack, suite)
    except GoldpairError as error:
        detail = f"{suite.metric} could not judge the approved completions: {error}"
        return {"name": _gold_name(suite), "verdict": "INCONCLUSIVE", "detail": detail, "pairs": []}
    return decide_gold(judged, pack, suite)


def _gold_name(suite: Suite) -> str:
    return f"gold of suite {suite.name}"


def judge_gold(
    pairs: Sequence[Mapping[str, Any]], pack_folder: Path, pack: TaskPack, suite: Suite
) -> list[Judged]:
    """What the suite's scorer says of approved completions, one entry a row of `contract.ROW_SCHEMA`, in their order.

    Raises `GoldpairError` when the scorer cannot judge at all; a single one it cannot judge has an ``error``.
    """
    from evals.run import optional_columns, primary_of, score_texts

    rows = [as_eval_row(pair, suite) for pair in pairs]
    if "references" in optional_columns(suite.metric):
        # Held against itself a completion would clear itself: a scorer lets pass what its reference says too.
        rows = [row.model_copy(update={"reference": None}) for row in rows]
    params = suite.params | suite.gold.params
    result = score_texts(suite.metric, rows, [pair["completion"] for pair in pairs], params, pack_folder)
    subscores = result.get("subscores") or [{}] * len(pairs)
    errors = result.get("errors") or [None] * len(pairs)
    evidence = result.get("evidence") or [[]] * len(pairs)
    judged = []
    for number, pair in enumerate(pairs):
        who = {key: pair[key] for key in ("pair_id", "source", *GROUPS)}
        who["names"] = [pair["pair_id"], pair["source"], *_tags(pair)]  # by which a waiver may call it
        if errors[number]:
            judged.append(who | {"error": str(errors[number])})
            continue
        score = primary_of(suite, float(result["scores"][number]), subscores[number])
        hits = [
            hit
            for hit in evidence[number]
            if hit.get("kind") in pack.gate.critical
            or ("critical" in pack.gate.critical and hit.get("critical"))
        ]
        problem = ", ".join(sorted({str(hit["kind"]) for hit in hits})) or f"{suite.primary} {score:.2f}"
        spans = "; ".join(str(hit.get("span")) for hit in hits[:3] if hit.get("span"))
        critical = bool(hits) or (suite.gold.never is not None and score < suite.gold.never)
        judged.append(
            who
            | {
                "error": "",
                "score": round(score, 4),
                "fails": critical or score < suite.gold.min,
                "critical": critical,
                "problem": problem,
                "detail": spans,
            }
        )
    return judged


def decide_gold(judged: Sequence[Judged], pack: TaskPack, suite: Suite) -> Check:
    """The check on the approved completions from what the scorer said of each.

    It fails for one that fails critically, for more failures than ``share`` allows, and for failures that pile up in
    one group of `GROUPS`: the share is for the scorer's own errors, and those are nobody's in particular. Where it
    passes, it says what the scorer's card does not claim to see.
    """
    import evals

    name = _gold_name(suite)
    unjudged = [item["pair_id"] for item in judged if item["error"]]
    waived = {item for waiver in pack.waivers if waiver.check == name for item in waiver.pairs}
    found = [
        {key: item[key] for key in ("pair_id", "source", "problem", "detail", "critical", "score")}
        | {"waived": not waived.isdisjoint(item["names"])}
        for item in judged
        if not item["error"] and item["fails"]
    ]
    open_ = [item for item in found if not item["waived"]]
    critical = [item for item in open_ if item["critical"]]
    piles = _piles(judged, {item["pair_id"] for item in open_})
    allowed = suite.gold.share * len(judged)
    ok = not critical and not piles and len(open_) <= allowed
    bar = f"under {suite.gold.min:g}, or a critical finding"
    if suite.gold.never is not None:
        bar += f"; under {suite.gold.never:g} is critical"
    detail = (
        f"{len(found)} of {len(judged)} approved completions fail {suite.metric} ({bar}), "
        f"{len(found) - len(open_)} waived; {suite.gold.share:.0%} may fail, none critically"
    )
    if piles:
        detail += ". They pile up: " + "; ".join(piles)
    misses = evals.claims(suite.metric).misses
    if ok and misses:
        detail += f". It does not claim to see: {'; '.join(misses)}"
    if not ok:
        shown = [*critical, *(item for item in open_ if not item["critical"])][:5]
        detail += ": " + "; ".join(f"{i['pair_id']} {i['problem']} {i['detail']}".strip() for i in shown)
        detail += ". Correct them in review and freeze again, or waive them by name in task.toml"
    check = _check(name, ok, detail, pairs=sorted(found, key=lambda i: (i["waived"], i["score"])))
    if unjudged:
        check["detail"] += f"; {len(unjudged)} could not be judged, first {unjudged[0]}"
        check["verdict"] = "INCONCLUSIVE" if ok else "FAIL"
    return check


def _tags(pair: Mapping[str, Any]) -> list[str]:
    """``key=value`` of a pair's plain metadata."""
    return [
        f"{key}={value}"
        for key, value in json.loads(pair["metadata"] or "{}").items()
        if isinstance(value, str)
    ]


def _piles(judged: Sequence[Judged], failing: set[str]) -> list[str]:
    """Groups in which far more fail than in the rest, in words.

    One-sided Fisher exact tests of each group against all other pairs, at `PILE_ALPHA` over all groups (Holm): a
    clean snapshot, whose failures do not depend on the group, is stopped in one of a hundred cases at most.
    """
    from scipy.stats import fisher_exact

    from evals.stats import holm

    if not failing:
        return []
    tests = []
    for column in GROUPS:
        values = {item[column] for item in judged}
        for value in sorted(values) if len(values) > 1 else ():
            mine = [item["pair_id"] in failing for item in judged if item[column] == value]
            bad, all_bad = sum(mine), len(failing)
            rest = len(judged) - len(mine)
            table = [[bad, len(mine) - bad], [all_bad - bad, rest - (all_bad - bad)]]
            p = float(fisher_exact(table, alternative="greater").pvalue)
            tests.append((f"{column} {value}: {bad} of {len(mine)}, elsewhere {all_bad - bad} of {rest}", p))
    adjusted = holm([p for _, p in tests])
    return [f"{words} (p {p:.2g})" for (words, _), p in zip(tests, adjusted, strict=True) if p < PILE_ALPHA]


def as_eval_row(pair: Mapping[str, Any], suite: Suite) -> EvalRow:
    """A training pair as the scorer sees a row of the eval set; its own completion stands where one is needed."""
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


def require_passed(folder: Path, demo: bool = False) -> None:
    """Raise `RefusedError` unless this snapshot's preflight passed or was overridden (invariant 4).

    What the declared demo override passed over counts for the demo alone (``demo``).
    """
    result = load(folder)
    if result is None:
        raise RefusedError(
            "This snapshot has no preflight. Run `goldpair preflight` first.", ["no preflight.json"]
        )
    if result["verdict"] != "PASS" and not result["override"]:
        reasons = [f"{c['name']}: {c['detail']}" for c in result["checks"] if c["verdict"] != "PASS"]
        raise RefusedError(f"The preflight of this snapshot is {result['verdict']}.", reasons)
    if result["verdict"] != "PASS" and result["override"].get("demo") and not demo:
        raise RefusedError(
            "This preflight was passed over for the declared short demo alone. Run `goldpair preflight` again.",
            [f"passed over: {name}" for name in result["override"]["checks"]],
        )
