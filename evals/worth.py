"""One sentence for whoever pays: fine-tune, prompt, retrieve, or both; with its numbers and costs.

Covers: the advice from the gate's comparisons, the second sentence where retrieved facts stood beside the tuned model,
tokens and seconds an answer, when training has paid for itself. Does not cover: the verdict (`evals.gate`), the
statistics (`evals.stats`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.tasks import Gate
from evals.run import EvalRun
from evals.stats import FAIL, INCONCLUSIVE, PASS, superiority


def worth_it(
    run: EvalRun, gate: Gate, candidate: str, beaten: Mapping[str, Mapping[str, Any]], verdict: str
) -> str:
    """The sentence of the report; ``beaten`` are the gate's superiority checks by baseline, ``verdict`` its verdict."""
    words = _declared_words(run) + _against_baselines(run, candidate, beaten, verdict)
    return words + _facts_beside(run, gate, candidate)


def _declared_words(run: EvalRun) -> str:
    if not run.meta.get("demo"):
        return ""
    e = run.meta["eval"]
    return f"Not decided, under the declared demo override; what {e['rows']} of {e['of']} eval rows show: "


def _against_baselines(
    run: EvalRun, candidate: str, beaten: Mapping[str, Mapping[str, Any]], verdict: str
) -> str:
    """Fine-tune, stay with prompting, use retrieval, or not decidable: one sentence with its numbers."""
    if not beaten:
        return "Not decidable: no baseline was run beside the candidate."

    def strongest(verdict: str) -> str | None:
        """The best baseline of those with this verdict."""
        names = [name for name, check in beaten.items() if check["verdict"] == verdict]
        return max(names, key=lambda name: (sum(run.primary(name).values()), name)) if names else None

    def lead_over(name: str) -> str:
        check = beaten[name]
        low, high = check["interval"]
        return (
            "no pairs" if check["estimate"] is None else f"{check['estimate']:+.3f} [{low:+.3f}, {high:+.3f}]"
        )

    if failed := strongest(FAIL):
        advice = "Use retrieval" if run.kind(failed).startswith("retrieval") else "Stay with prompting"
        return (
            f"{advice}: {candidate} has no advantage worth having over {failed} "
            f"({lead_over(failed)}){_cost(run, candidate, failed)}."
        )
    if undecided := strongest(INCONCLUSIVE):
        other = "retrieval" if run.kind(undecided).startswith("retrieval") else "prompting"
        missing = beaten[undecided].get("missing")
        more = f"; about {missing} more eval rows would tell" if missing else ""
        return (
            f"Not decidable between fine-tuning and {other}: {candidate} against {undecided} is "
            f"{lead_over(undecided)}{more}."
        )
    best = strongest(PASS)
    assert best is not None
    what = "Fine-tuning" if run.kind(candidate) == "model" else "It"
    lead = f"{what} pays" if verdict == PASS else f"{what} beats the baselines, but the gate is not passed"
    gap = lead_over(best)
    return f"{lead}: {candidate} leads the best baseline, {best}, by {gap}{_cost(run, candidate, best)}."


def _facts_beside(run: EvalRun, gate: Gate, candidate: str) -> str:
    """A second sentence where the run has the candidate with a policy sheet's passages in its prompt: does tone from
    tuning and facts from the sheet beat either alone?"""
    both = next((name for name in run.arms if run.kind(name) == "model_facts"), None)
    if both is None or run.kind(candidate) != "model":
        return ""
    rivals = [candidate, *(name for name in run.arms if run.kind(name) == "retrieval_facts")]
    said, better, worse = [], [], []
    for name in rivals:
        _, a, b, clusters = run.paired(both, name)
        # Half the gate's alpha, as for every "better than" of the gate.
        gap = superiority(a, b, effect=gate.effect, clusters=clusters, alpha=gate.alpha / 2, power=gate.power)
        low, high = gap.interval
        said.append(f"{gap.estimate:+.3f} [{low:+.3f}, {high:+.3f}] against {_mean(run, name)}")
        better += [name] if low > 0 else []
        worse += [name] if high < 0 else []
    if worse:
        advice = f"Retrieved facts do harm here: {both} falls behind {' and '.join(worse)}"
    elif len(better) == len(rivals) > 1:
        advice = "Fine-tune for tone, retrieve for facts"
    elif better:
        advice = f"Retrieved facts help: {both} is shown to beat {' and '.join(better)} only"
    else:
        advice = "Not decidable whether retrieved facts help the tuned model"
    return f" {advice}: {_mean(run, both)}, {', '.join(said)}."


def _mean(run: EvalRun, name: str) -> str:
    scores = run.primary(name).values()
    return f"{name} {sum(scores) / max(1, len(scores)):.3f}"


def _cost(run: EvalRun, candidate: str, baseline: str) -> str:
    """Tokens and seconds an answer of both, and after how many answers the training has paid for itself."""

    def per_answer(arm: str) -> tuple[float, float]:
        described = run.meta["arms"][arm]
        rows = max(1, described["rows"])
        tokens = described["prompt_tokens"] + described["completion_tokens"]
        return tokens / rows, described["seconds"] / rows

    mine, theirs = per_answer(candidate), per_answer(baseline)
    if not mine[0]:
        return ""
    text = (
        f", at {mine[0]:.0f} tokens and {mine[1]:.2f} s an answer against {theirs[0]:.0f} and {theirs[1]:.2f}"
    )
    seconds = (run.meta.get("training") or {}).get("seconds")
    if seconds:
        saved = theirs[1] - mine[1]
        text += f"; training took {seconds:.0f} s"
        text += (
            f", earned back after {seconds / saved:.0f} answers"
            if saved > 0
            else " and saves no time an answer"
        )
    return text
