"""COBOL to Python: does the translation do the same? Both programs run in the sandbox on the same inputs.

Covers: equal, wrong output, crash, timeout, violation; a shrunk counter-example; how much the inputs of an item can see
(mutation score), and refusing to gate where that is too little. Does not cover: style, speed. See the card (README.md).
"""

import json

import datasets
import evaluate

from curate.errors import UsageError
from evals.cobol.compare import LEVELS
from evals.cobol.inputs import domain_of
from evals.cobol.judge import Verdict, judge_all
from evals.sandbox import SandboxUnavailable, attestation

HELPERS = (
    "evals.sandbox",
    "evals._sandbox_server",
    "evals._seccomp",
    *(
        f"evals.cobol.{name}"
        for name in ("source", "inputs", "build", "mutants", "compare", "outputs", "judge")
    ),
)
SANDBOX = True  # an eval run keeps the sandbox' attestation
OPTIONAL = ("domains",)
CLASSES = ("equal", "wrong_output", "crash", "timeout", "violation", "harness_error")
COUNTERS = CLASSES[1:]


class CodeEquivalence(evaluate.Metric):
    """`compute(predictions, sources, domains=None, search=100, mutants=12, fresh=60, level="whitespace")`.

    ``score`` is the share of translations that are equal on every input tried.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Whether a Python program does what a COBOL program does.",
            citation="",
            inputs_description="\npredictions: Python; sources: COBOL; domains: JSON objects, optional.",
            features=datasets.Features(
                {name: datasets.Value("string") for name in ("predictions", "sources", "domains")}
            ),
        )

    def compute(self, *, predictions=None, sources=None, domains=None, references=None, **options):
        """As in the class; ``domains`` holds objects, their JSON, or None. ``references`` are not used."""
        rows = domains if domains is not None else [None] * len(predictions or ())
        texts = [row if isinstance(row, str) else "" if row is None else json.dumps(row) for row in rows]
        return super().compute(
            predictions=[_storable(p) for p in predictions or ()],
            sources=[_storable(s) for s in sources or ()],
            domains=texts,
            **options,
        )

    def _compute(self, predictions, sources, domains, search=100, mutants=12, fresh=60, level="whitespace"):
        if level not in LEVELS:
            raise UsageError(f"level is one of {', '.join(LEVELS)}, not {level!r}.")
        narrowed = [domain_of(text) for text in domains]
        proof = attestation()
        try:
            verdicts = judge_all(
                list(zip(predictions, sources, narrowed, strict=True)),
                search=search,
                most_mutants=mutants,
                fresh=fresh,
                level=level,
            )
        except SandboxUnavailable as error:
            verdicts = [Verdict("harness_error", str(error)) for _ in predictions]
            proof = {"state": "NOT RUN", "reason": str(error)}
        return _result(verdicts, predictions, proof)


def _result(verdicts, predictions, proof):
    total = max(1, len(verdicts))
    kinds = [v.kind for v in verdicts]
    scored = [v.mutation_score for v in verdicts if v.mutation_score is not None]
    result = {"score": kinds.count("equal") / total}
    result |= {f"share_{kind}": kinds.count(kind) / total for kind in CLASSES}
    for name in LEVELS:
        judged = [v.levels.get(name, 0.0) for v in verdicts if v.kind != "harness_error"]
        result[f"inputs_{name}"] = sum(judged) / len(judged) if judged else 0.0
        result[f"items_{name}"] = sum(share == 1.0 for share in judged) / len(judged) if judged else 0.0
    result["mutation_score"] = sum(scored) / len(scored) if scored else 0.0
    result["may_gate_share"] = sum(v.may_gate for v in verdicts) / total
    result["sandbox"] = proof
    if reason := _refusal(verdicts, proof):
        result["refuses"] = reason
    return result | {
        "scores": [float(kind == "equal") for kind in kinds],
        "subscores": [_subscores(v) for v in verdicts],
        "classes": kinds,
        "counter_examples": [v.counter for v in verdicts],
        "mutation_scores": [v.mutation_score for v in verdicts],
        "may_gate": [v.may_gate for v in verdicts],
        "reasons": [v.reason for v in verdicts],
        "evidence": [_evidence(v, text) for v, text in zip(verdicts, predictions, strict=True)],
    }


def _refusal(verdicts, proof):
    if proof["state"] != "held":
        return proof["reason"]
    rejected = [v for v in verdicts if v.kind == "harness_error"]
    if rejected:
        return f"{len(rejected)} of {len(verdicts)} programs could not be judged; first: {rejected[0].reason}"
    weak = [v for v in verdicts if not v.may_gate]
    if weak:
        return (
            f"{len(weak)} of {len(verdicts)} items have a mutation score under .95 (or too few mutants): their "
            "inputs could not tell a wrong translation; leave them out of the gated suite"
        )
    return ""


def _subscores(verdict):
    found = {name: verdict.levels.get(name, 0.0) for name in LEVELS}
    found["inputs"] = float(verdict.inputs)
    found["mutants"] = float(verdict.mutants)
    found["mutation_score"] = verdict.mutation_score if verdict.mutation_score is not None else 0.0
    found["exit_code_differs"] = float(verdict.exit_differs)
    if verdict.invalid:
        found["invalid_inputs"] = float(verdict.invalid["tried"])
        found["invalid_inputs_equal"] = float(verdict.invalid["equal"])
    return found


def _evidence(verdict, text):
    if verdict.kind == "equal":
        return []
    support = verdict.reason
    if verdict.counter:
        shown = {
            key: verdict.counter[key] for key in ("stdin", "args", "fields", "files") if verdict.counter[key]
        }
        support = (
            f"input {json.dumps(shown, ensure_ascii=False)}: expected {verdict.counter['expected'][:300]!r}, "
            f"got {verdict.counter['got'][:300]!r}" + (f" ({verdict.reason})" if verdict.reason else "")
        )
    return [
        {
            "kind": verdict.kind,
            "span": text[:200],
            "start": 0,
            "end": len(text),
            "support": support,
            "critical": verdict.kind == "violation",
        }
    ]


def _storable(text):
    """`evaluate` keeps texts as UTF-8; half a character of a binary answer becomes a question mark."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    return str(text or "").encode("utf-8", "replace").decode("utf-8")
