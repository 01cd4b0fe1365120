"""Runs that ask only a part of an eval set: which rows, and what the gate and the report then say.

Covers: a sample of eval rows spread over the slices, the check that a part is not the whole, the task pack's declared
demo override as a check of its own. Does not cover: who may ask for either (`curate.ops`), nor the other checks
(`evals.gate`). A part of an eval set never passes a gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.contract import sha256_hex
from curate.tasks import EvalRow

DECLARED = "declared demo override"


def spread(rows: Sequence[EvalRow], count: int | None, slices: Sequence[str] = ()) -> list[EvalRow]:
    """``count`` rows in the order of the file, every slice with its share; all of them for None or a larger count.

    Systematic sampling (Madow and Madow 1944) over the rows ordered by slice values, then by the hash of the id: each
    combination of values gets its share up to one row, and which rows depends on their content, not on their order.
    """
    if count is None or count >= len(rows):
        return list(rows)
    ordered = sorted(
        range(len(rows)),
        key=lambda i: (*(rows[i].slice.get(key, "") for key in slices), sha256_hex(rows[i].id)),
    )
    chosen = {ordered[(2 * number + 1) * len(rows) // (2 * count)] for number in range(count)}
    return [row for number, row in enumerate(rows) if number in chosen]


def declared(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """The declared demo override of a run with its numbers; None for an ordinary run.

    ``signed_by, reason, eval_rows, train_minutes, max_steps`` as declared; ``steps, planned_steps`` of the training;
    ``rows`` asked ``of`` those there are; ``passed_over``: names of the preflight checks it was used for.
    """
    if not meta.get("demo"):
        return None
    preflight = (meta.get("snapshot") or {}).get("preflight") or {}
    signed = preflight.get("override") or {}
    names = list(signed.get("checks", ())) if signed.get("demo") else []
    return {
        **meta["demo"],
        "rows": meta["eval"]["rows"],
        "of": meta["eval"]["of"],
        "passed_over": names,
    }


def demo_words(demo: Mapping[str, Any]) -> str:
    """What `declared` found, in one sentence: who, why, how much of what."""
    text = f"signed by {demo['signed_by']}: {demo['reason'].rstrip('.')}; {demo['rows']} of {demo['of']} eval rows"
    held = [
        f"{demo[key]:g} {unit}"
        for key, unit in (("train_minutes", "minutes"), ("max_steps", "steps"))
        if demo[key]
    ]
    if held:
        text += f"; training held to {' and '.join(held)}"
    if demo.get("steps") is not None:
        text += f"; it took {demo['steps']} of {demo['planned_steps']} planned steps"
    if demo["passed_over"]:
        text += f"; passed over before training: {', '.join(demo['passed_over'])}"
    return text


def declared_checks(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a run's override and sample mean for its gate: one INCONCLUSIVE check, or none for a whole run."""
    demo, eval_set = declared(meta), meta["eval"]
    if demo is not None:
        detail = (
            f"{demo_words(demo)}. Nothing is released from it, whatever the numbers say; the run that counts is "
            f"goldpair demo --task {meta['task']} --full"
        )
        return [{"name": DECLARED, "verdict": "INCONCLUSIVE", "detail": detail, **demo}]
    if eval_set["rows"] < eval_set.get("of", 0):
        detail = (
            f"{eval_set['rows']} of {eval_set['of']} eval rows were asked; a part of an eval set decides nothing, run "
            "`goldpair eval` without --limit"
        )
        return [{"name": "every eval row asked", "verdict": "INCONCLUSIVE", "detail": detail}]
    return []
