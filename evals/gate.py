"""The gate: does this run show what was promised before it?

Covers: the promotion verdict of one eval run with every check behind it, the preflight verdict, the power check, the
one sentence that says whether fine-tuning was worth it (`evals.worth`).
Does not cover: the statistics themselves (`evals.stats`), running (`evals.run`), who may override (`curate.ops`).

PASS promotes. FAIL means that the evidence is against it. INCONCLUSIVE means that there is not enough evidence, and
says how much is missing; it never promotes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curate.errors import UsageError
from curate.tasks import Gate
from evals._asking import INFRASTRUCTURE
from evals.run import EvalRun, gate_sha256
from evals.sample import declared_checks
from evals.stats import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Comparison,
    clopper_pearson,
    mean_interval,
    noninferiority,
    plan_pairs,
    superiority,
)
from evals.worth import worth_it

JUMP = 4.0  # standard errors upward that stop for a look: a broken extractor raises scores, too
INFRASTRUCTURE_LIMIT = 0.02  # share of answers that may be missing for the machine's reasons
UNSTEADY_LIMIT = (
    0.25  # share of questions that may get another answer when the very same batch is asked again
)
SEED = 0


@dataclass(frozen=True)
class Decision:
    """A verdict and everything it rests on. ``missing`` counts the eval rows still needed, None when unknown."""

    verdict: str
    checks: list[dict[str, Any]]
    worth_it: str
    suite: str
    candidate: str
    missing: int | None
    gate_sha256: str
    override: dict[str, str] | None = field(default=None)  # {"user", "reason", "ts"}, set by whoever signs it

    @property
    def reasons(self) -> list[str]:
        """Every check that stands in the way, most serious first."""
        order = {FAIL: 0, INCONCLUSIVE: 1}
        bad = [check for check in self.checks if check["verdict"] in order]
        return [f"{c['name']}: {c['detail']}" for c in sorted(bad, key=lambda c: order[c["verdict"]])]

    def to_dict(self) -> dict[str, Any]:
        """What ``gate.json`` holds."""
        return asdict(self) | {"reasons": self.reasons}

    @classmethod
    def load(cls, path: Path | str) -> Decision:
        """Read ``gate.json`` back. Raises `UsageError` when it is none."""
        try:
            data = json.loads(Path(path).read_text("utf-8"))
            data.pop("reasons", None)
            return cls(**data)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path} is no gate.json ({error}). `goldpair gate` writes one.") from error


def decide(
    run: EvalRun | Path | str,
    gate: Gate,
    *,
    candidate: str = "tuned",
    baselines: Sequence[str] | None = None,
    released: Sequence[str] | str | None = None,
    absent: Sequence[str] = (),
    scorer_agreement: Mapping[str, Any] | None = None,
) -> Decision:
    """Verdict on one arm of a run.

    Args:
        candidate: the arm that wants to be released.
        baselines: arms it must beat; None takes the run's arms of the kinds that the gate names.
        released: arms of versions that were released before, oldest first. It must not fall behind the last one, nor
            behind the best one there ever was on these rows, so that small losses cannot add up.
        absent: versions that were released before and have no arm in this run; each stands in the way.
        scorer_agreement: how well the scorer agrees with people, ``{"kappa", "interval", "n", "by"}``; needed when
            the gate asks for it.

    The same run and arguments give the same decision, digit for digit. Raises `UsageError` for unknown arms.
    """
    if not isinstance(run, EvalRun):
        run = EvalRun.load(run)
    released = [released] if isinstance(released, str) else list(released or ())
    wanted = list(baselines) if baselines is not None else _baseline_arms(run, gate, candidate)
    for name in (candidate, *wanted, *released):
        run.answers(name)  # raises for an unknown arm
    against = _ratchet(run, released)
    checks = declared_checks(run.meta)
    checks += [_coverage(run, name) for name in dict.fromkeys((candidate, *wanted, *against))]
    checks += [_steady(run, name) for name in (candidate, *against) if run.meta["arms"][name].get("repeat")]
    if baselines is None:
        checks += _absent(run, gate, wanted)
    checks += [_frozen(run, gate), _contamination(run, candidate)]
    if gate.floor is not None:
        checks.append(_floor(run, gate, candidate))
    beaten = {name: _superior(run, gate, candidate, name) for name in wanted}
    checks += beaten.values()
    for name, role in against.items():
        checks += _not_worse(run, gate, candidate, name, role)
    checks += [
        {
            "name": f"not worse than {name}",
            "verdict": INCONCLUSIVE,
            "detail": f"{name} was released and is no arm of this run; run `goldpair eval` again, its answers are kept",
        }
        for name in absent
    ]
    checks += [_critical(run, gate, candidate, counter) for counter in gate.critical]
    if gate.retention.on and run.kind(candidate) == "model":
        checks.append(_retained(run, gate))
    checks += _scorer(run, gate, candidate, scorer_agreement)
    checks += _sandbox(run, candidate)
    checks += _leaks(run)
    # A declared demo decides nothing, neither for the version nor against it.
    verdict = INCONCLUSIVE if run.meta.get("demo") else _worst(checks)
    missing = [
        check["missing"] for check in checks if check["verdict"] == INCONCLUSIVE and check.get("missing")
    ]
    return Decision(
        verdict=verdict,
        checks=checks,
        worth_it=worth_it(run, gate, candidate, beaten, verdict),
        suite=run.suite.name,
        candidate=candidate,
        missing=max(missing) if missing else None,
        gate_sha256=gate_sha256(gate),
    )


def decide_preflight(
    checks: Sequence[Mapping[str, Any]],
    *,
    snapshot: str,
    gate: Gate,
    created: str,
    override: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """``preflight.json``: the worst verdict of the checks, each ``{name, verdict, detail, ...}``.

    Raises `UsageError` for a check without a name, verdict or detail, and for no check at all: nothing checked is
    not a PASS.
    """
    for check in checks:
        if not {"name", "verdict", "detail"} <= set(check) or check["verdict"] not in (
            PASS,
            FAIL,
            INCONCLUSIVE,
        ):
            raise UsageError(
                f"A preflight check needs name, verdict (PASS, FAIL, INCONCLUSIVE) and detail: {check}."
            )
    if not checks:
        raise UsageError("A preflight without a single check says nothing.")
    return {
        "snapshot": snapshot,
        "verdict": _worst(checks),
        "checks": [dict(check) for check in checks],
        "override": dict(override) if override else None,
        "created": created,
        "gate_sha256": gate_sha256(gate),
    }


def power_check(
    gate: Gate,
    rows: int,
    clusters: int | None = None,
    *,
    difference: float | None = None,
    deviation: float = 0.316,
    alpha: float | None = None,
) -> dict[str, Any]:
    """Preflight check: can an eval set of this size decide at all?

    Args:
        rows, clusters: size of the eval set; clusters count as the independent units.
        difference: what has to be told apart; None takes the gate's margin.
        deviation: standard deviation of paired differences to expect. The default is pass/fail scores that differ
            on one row in ten; pass what baselines or predecessors showed where it is known.
    """
    units = rows if clusters is None else clusters
    target = gate.margin if difference is None else difference
    needed = plan_pairs(deviation, target, alpha=alpha or gate.alpha, power=gate.power)
    enough = units >= needed
    detail = (
        f"{units} independent eval rows; {needed} are needed to tell a difference of {target:g} with "
        f"{gate.power:.0%} power (paired differences of standard deviation {deviation:.2f})"
    )
    return {
        "name": "power",
        "verdict": PASS if enough else INCONCLUSIVE,
        "detail": detail,
        "needed": needed,
        "missing": max(0, needed - units),
        "rows": rows,
        "clusters": units,
    }


# ---------------------------------------------------------------------------------------------------------------


def _worst(checks: Sequence[Mapping[str, Any]]) -> str:
    verdicts = {check["verdict"] for check in checks}
    return FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS


def _baseline_arms(run: EvalRun, gate: Gate, candidate: str) -> list[str]:
    return [name for name in run.arms if run.kind(name) in gate.baselines and name != candidate]


def _absent(run: EvalRun, gate: Gate, wanted: Sequence[str]) -> list[dict[str, Any]]:
    there = {run.kind(name) for name in wanted}
    return [
        {
            "name": f"baseline {kind}",
            "verdict": INCONCLUSIVE,
            "detail": f"the gate names the baseline {kind}, and this run has no such arm; run it",
        }
        for kind in gate.baselines
        if kind not in there
    ]


def _coverage(run: EvalRun, arm: str) -> dict[str, Any]:
    """Every row has a score. What the machine failed at leaves the denominator, while it is little."""
    total, have = len(run.rows), len(run.primary(arm))
    mine = [gap for gap in run.meta["gaps"] if gap["arm"] == arm]
    lost = len({gap["row_id"] for gap in mine if gap.get("kind") == INFRASTRUCTURE})
    reasons = sorted({gap["reason"] for gap in mine})
    detail = f"{have} of {total} eval rows answered and scored"
    if lost:
        detail += (
            f"; {lost} left out for errors of the machine, after a second try ({'; '.join(reasons[:3])})"
        )
    excused = lost <= INFRASTRUCTURE_LIMIT * total
    if lost and not excused:
        detail += f"; more than {INFRASTRUCTURE_LIMIT:.0%} may not be left out, repair it and run again"
    if have + lost < total:
        detail += f"; a gap is no answer ({'; '.join(reasons[:3]) or 'no score'})"
    return {
        "name": f"coverage of {arm}",
        "verdict": PASS if have + lost >= total and excused else INCONCLUSIVE,
        "detail": detail,
        "rows": total,
        "scored": have,
        "infrastructure_errors": lost,
    }


def _steady(run: EvalRun, arm: str) -> dict[str, Any]:
    """Whether the same questions got the same answers when they were asked again."""
    repeat = run.meta["arms"][arm]["repeat"]
    asked, same, steady = repeat["asked"], repeat["same"], repeat["steady"]
    fine = bool(asked) and asked - steady <= UNSTEADY_LIMIT * asked
    detail = f"{same} of {asked} questions got the same answer, letter by letter, when asked again"
    if not asked:
        detail = f"asking again failed: {repeat.get('why', 'no answer')}"
    elif same < asked and fine:
        detail += (
            f", and {steady} in the same batch: this number format depends on the batch; its noise is part of every "
            "interval, fp32 would have none"
        )
    elif not fine:
        detail += (
            f", and {steady} in the same batch: decoding is not greedy or the server is not steady, so nobody could "
            "repeat this verdict"
        )
    return {
        "name": f"decoding of {arm} repeats",
        "verdict": PASS if fine else INCONCLUSIVE,
        "detail": detail,
        "asked": asked,
        "same": same,
        "steady": steady,
    }


def _ratchet(run: EvalRun, released: Sequence[str]) -> dict[str, str]:
    """Version -> its role, of those that the candidate must not fall behind: the last released, the best ever."""
    if not released:
        return {}

    def mean(name: str) -> float:
        scores = run.primary(name).values()
        return sum(scores) / len(scores) if scores else float("-inf")

    best = max(reversed(released), key=mean)  # of equals the newest
    roles = {released[-1]: "the released version"}
    roles[best] = "the best version ever released" if best != released[-1] else roles[best]
    return roles


def _retained(run: EvalRun, gate: Gate) -> dict[str, Any]:
    """The tuned model against its base on general questions, without the persona's prompt."""
    name, path = "general ability retained", run.folder / "retention.json"
    try:
        measured = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        detail = (
            "general ability was not measured in this run; run `goldpair eval` again, its answers are kept"
        )
        return {"name": name, "verdict": INCONCLUSIVE, "detail": detail}
    result = noninferiority(
        measured["tuned"],
        measured["base"],
        gate.retention.margin,
        alpha=gate.alpha,
        power=gate.power,
        seed=SEED,
    )
    found = _comparison(name, result) | {"kind": "retention", "items": measured["sha256"]}
    if found.get("missing"):
        # The items are what they are: more cannot be asked, the margin is the team's to set.
        found["detail"] = found["detail"].split("; about")[0]
        found["missing"] = None
    return found


def _sandbox(run: EvalRun, candidate: str) -> list[dict[str, Any]]:
    """A scorer that runs other people's code needs a sandbox that held its own attacks in this very run."""
    found = run.meta.get("sandbox")
    if not found and not run.meta["scorer"].get("sandboxed"):
        return []
    if not isinstance(found, Mapping):
        detail = (
            f"scorer {run.suite.metric} runs code in the sandbox, and this run holds no attestation that it isolates; "
            "run the suite where the sandbox works"
        )
        return [{"name": "sandbox attested", "verdict": INCONCLUSIVE, "detail": detail}]
    held, total = found.get("held"), found.get("total")
    ok = found.get("state") == "held" and held == total and bool(total)
    detail = f"{held} of {total} attacks of the self-test held, {found.get('bubblewrap') or 'sandbox'}"
    if found.get("state") != "held":
        detail = f"{found.get('state')}: {found.get('reason') or 'no reason given'}"
    verdict = PASS if ok else INCONCLUSIVE
    return [{**found, "name": "sandbox attested", "verdict": verdict, "detail": detail}]


def _leaks(run: EvalRun) -> list[dict[str, Any]]:
    """What stood where surrogates stand, tried on the model (`evals.leak`); a run without the probe has no check."""
    path = run.folder / "leak.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text("utf-8"))
    if not found["tried"]:
        detail = "no completion of the task has a surrogate in it, so there was nothing to try"
        return [{"name": "no original leaks", "verdict": PASS, "detail": detail, "tried": 0}]
    detail = (
        f"{found['leaked']} of {found['tried']} originals behind surrogates are known to the model "
        f"(at most {found['upper_bound']:.0%}, 95 % bound; highest exposure {found['highest_exposure']:.1f} bits)"
    )
    bad = [item["id"] for item in found["secrets"] if item["leaked"]]
    if bad:
        detail += f": {', '.join(bad[:5])}. Find out how they got past anonymization, and train anew"
    verdict = FAIL if bad else PASS
    return [{"name": "no original leaks", "verdict": verdict, "detail": detail, "tried": found["tried"]}]


def _frozen(run: EvalRun, gate: Gate) -> dict[str, Any]:
    # Through the model, so that a setting that came later counts with its default.
    same = Gate.model_validate(run.meta["gate"]) == gate
    detail = "the gate is the one that was frozen with the answers"
    if not same:
        detail = "the gate was changed after these answers were scored; run the suite again under the new one"
    return {"name": "gate frozen before", "verdict": PASS if same else INCONCLUSIVE, "detail": detail}


def _contamination(run: EvalRun, candidate: str) -> dict[str, Any]:
    shared = run.meta.get("overlap") or []
    verdict = FAIL if shared else PASS
    detail = "no eval row stands among the training rows" if not shared else (
        f"{len(shared)} eval rows stand among the training rows, first {shared[0]['row_id']} = pair "
        f"{shared[0]['pair_id']}; take them out of one side"
    )  # fmt: skip
    if run.meta.get("snapshot") is None:
        detail = "no snapshot was named for this run, so overlap with training rows was not looked for"
        verdict = INCONCLUSIVE if run.kind(candidate) == "model" else PASS  # others were not trained here
    return {"name": "contamination", "verdict": verdict, "detail": detail, "rows": len(shared)}


def _floor(run: EvalRun, gate: Gate, candidate: str) -> dict[str, Any]:
    assert gate.floor is not None
    scores = run.primary(candidate)
    result = mean_interval(
        list(scores.values()), clusters=run.clusters(list(scores)), alpha=gate.alpha, seed=SEED
    )
    low, high = result.interval
    verdict = PASS if low >= gate.floor else FAIL if high < gate.floor else INCONCLUSIVE
    return {
        "name": "floor",
        "verdict": verdict,
        "detail": f"{run.suite.primary} {result.estimate:.3f}, lower bound {low:.3f}, floor {gate.floor:g}",
        **result.to_dict(),
    }


def _superior(run: EvalRun, gate: Gate, candidate: str, baseline: str) -> dict[str, Any]:
    _, a, b, clusters = run.paired(candidate, baseline)
    # Half the gate's alpha: "better" is claimed by the ordinary two-sided interval, "not worse" by the one-sided.
    result = superiority(
        a, b, effect=gate.effect, clusters=clusters, alpha=gate.alpha / 2, power=gate.power, seed=SEED
    )
    return _comparison(f"better than {baseline}", result) | {"baseline": baseline, "kind": "superiority"}


def _not_worse(run: EvalRun, gate: Gate, candidate: str, version: str, role: str) -> list[dict[str, Any]]:
    _, a, b, clusters = run.paired(candidate, version)
    result = noninferiority(
        a, b, gate.margin, clusters=clusters, alpha=gate.alpha, power=gate.power, seed=SEED
    )
    found = [
        _comparison(f"not worse than {version}", result)
        | {"baseline": version, "kind": "non-inferiority", "role": role}
    ]
    found[0]["detail"] = f"{role}: {found[0]['detail']}"
    error = result.standard_error
    if error and result.estimate > JUMP * error:
        found.append(
            {
                "name": f"jump over {version}",
                "verdict": INCONCLUSIVE,
                "detail": f"{result.estimate / error:.1f} standard errors better than {role}: look whether "
                "the scorer still reads the answers, then promote by name and reason",
                "baseline": version,
            }
        )
    return found


def _comparison(name: str, result: Comparison) -> dict[str, Any]:
    low, high = result.interval
    detail = f"{result.estimate:+.3f} [{low:+.3f}, {high:+.3f}], n = {result.n}"
    detail += f", power {result.power:.0%} for {result.margin:g}"
    if result.verdict == INCONCLUSIVE:
        detail += f"; {result.reason}"
        if result.missing:
            detail += f"; about {result.missing} more eval rows are missing"
    return {"name": name, "detail": detail, **result.to_dict()}


def _critical(run: EvalRun, gate: Gate, candidate: str, counter: str) -> dict[str, Any]:
    known = run.meta["scorer"]["counters"]
    if counter != "critical" and counter not in known:
        return {
            "name": f"no {counter}",
            "verdict": INCONCLUSIVE,
            "detail": f"scorer {run.suite.metric} counts no {counter!r}; it counts: {', '.join(known) or 'nothing'}",
        }
    answers = {
        name: row for name, row in run.answers(candidate).items() if row["primary"] is not None
    }  # what was not judged is no clean answer
    hit = [
        name
        for name, row in answers.items()
        if any(
            e.get("kind") == counter or (counter == "critical" and e.get("critical")) for e in row["evidence"]
        )
    ]
    n = len(answers)
    upper = clopper_pearson(len(hit), n, alpha=gate.alpha)[1] if n else 1.0
    return {
        "name": f"no {counter}",
        "verdict": FAIL if hit else PASS if n else INCONCLUSIVE,
        "detail": f"{len(hit)} of {n} answers; the true rate could be {upper:.1%}",
        "count": len(hit),
        "n": n,
        "upper": upper,
        "rows": hit[:20],
    }


def _scorer(
    run: EvalRun, gate: Gate, candidate: str, agreement: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    found = []
    refuses = run.meta["arms"][candidate].get("aggregate", {}).get("refuses")
    if refuses:
        found.append(
            {
                "name": "scorer",
                "verdict": INCONCLUSIVE,
                "detail": f"{run.suite.metric} refuses to gate: {refuses}",
            }
        )
    if gate.min_agreement is None:
        return found
    name = "scorer agrees with people"
    kappa = (agreement or {}).get("kappa")
    if kappa is None:
        detail = (
            f"the gate wants agreement of {gate.min_agreement:g} (Cohen's kappa) between {run.suite.metric} and "
            "people, and none was measured; label answers blind and measure it"
        )
        return [*found, {"name": name, "verdict": INCONCLUSIVE, "detail": detail}]
    enough = kappa >= gate.min_agreement
    detail = f"Cohen's kappa {kappa:.2f}"
    if agreement and agreement.get("interval"):
        detail += " [{:.2f}, {:.2f}]".format(*agreement["interval"])
    if agreement and agreement.get("n"):
        detail += f" over {agreement['n']} answers"
    if agreement and agreement.get("by"):
        detail += f", labelled by {agreement['by']}"
    detail += f"; wanted {gate.min_agreement:g}"
    if not enough:
        detail += ": the scorer may report, and may not gate"
    return [
        *found,
        {
            "name": name,
            "verdict": PASS if enough else INCONCLUSIVE,
            "detail": detail,
            **dict(agreement or {}),
        },
    ]
