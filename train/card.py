"""Model cards: what the evidence of a version says, and nothing else.

Covers: the card beside a fresh adapter, and the fuller one of an export, which knows the evaluation gate as well.
Does not cover: judging; numbers and verdicts come from the run record and the gate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from train.base import PACKAGED


def model_card(
    name: str,
    record: Mapping[str, Any],
    gate: Mapping[str, Any] | None = None,
    *,
    merged: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """README.md of a version: data, privacy, gates, limits.

    ``record`` is its ``run.json``, ``gate`` the decision of its evaluation if there is one, ``merged`` says that the
    folder holds a merged adapter, ``notes`` are sentences about this copy of it.
    """
    base, rows = record["base"]["name"], record["rows"]
    full = record["recipe"].get("method") == "full"
    head = {
        "library_name": "transformers" if merged or full else "peft",
        "base_model": base,
        "base_model_relation": "finetune" if merged or full else "adapter",
        "tags": ["goldpair"] if merged or full else ["lora", "goldpair"],
    }
    what = (
        "a full fine-tune" if full else "weights with the adapter merged in" if merged else "a LoRA adapter"
    )
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", f"# {name}", ""]
    lines += [
        f"{what[0].upper()}{what[1:]}, for `{base}`, trained by Goldpair for the task `{record['task']}`.",
        *([""] if notes else []),
        *(f"- {note}" for note in notes),
        *_demo(record),
        "",
        "## Data and privacy",
        f"- Snapshot `{record['snapshot']['id']}`: {rows['train']} training and {rows['validation']} validation pairs, "
        "each approved by a person who did not write it.",
        f"- Tokens learned from: sha256 `{record['tokens_sha256']}`; pairs left out: {len(record['dropped'])}.",
        f"- Licences of the records: {_counts(record.get('licences') or {})}.",
        f"- Every pair was scanned by detector `{record['detector_version']}` and approved after it.",
        "",
        "## Training",
        f"- {record['steps']} of {record['planned_steps']} steps ({record['ended']}), {record['wall_seconds']:.0f} s "
        f"on {record['hardware']['name']}.",
        f"- Gate before training: {_verdict(record['gate'])}",
        *_kept(record),
    ]
    if "loss_before" in record:
        lines.append(
            f"- Loss on its own training pairs: {record['loss_before']:.3f} before, {record['loss_after']:.3f} after "
            "(nats per token; says nothing about quality)."
        )
    lines += ["", "## Is it better than its base?", *_evaluation(gate), "", "## Limits", *_limits(record), ""]
    return "\n".join(lines)


def _kept(record: Mapping[str, Any]) -> list[str]:
    """Which step's weights these are, where a run chose among several."""
    kept = record.get("kept")
    if not kept:
        return []
    asked = record.get("early_stop")
    by = f"validation loss {kept['eval_loss']:.3f}"
    if asked:
        by = (
            f"score {kept['eval_score']:.3f} of suite {_line(asked['suite'])} on answers to {len(asked['pairs'])} "
            f"validation pairs, then {by}"
        )
    return [f"- The weights are those of step {kept['step']}, the best look at the validation split: {by}."]


def _demo(record: Mapping[str, Any]) -> list[str]:
    """What a version of a short demo has to say before anything else."""
    demo = record.get("demo")
    if not demo:
        return []
    return [
        "",
        f"**From a short demo under a declared override, never to be released.** Signed by {_line(demo['signed_by'])}: "
        f"{_line(demo['reason'])}",
    ]


def _evaluation(gate: Mapping[str, Any] | None) -> list[str]:
    if gate is None:
        return [
            "The evaluation gate decides: see `gate.json` and the report beside this file. Without them this model was "
            "never evaluated."
        ]
    lines = [f"- Evaluation gate: {_verdict(gate)}"]
    if gate.get("worth_it"):
        lines.append(f"- {_line(gate['worth_it'])}")
    return [
        *lines,
        *(
            f"- {check.get('verdict')}: {_line(check.get('name'))}: {_line(check.get('detail'))}"
            for check in gate.get("checks") or []
        ),
    ]


def _limits(record: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- It learned from {record['rows']['train']} pairs of one task and was measured on that task only.",
        f"- What it says about facts is as old as its pairs: frozen before {record['created'][:10]}. Where there is a "
        "`STALE-KNOWLEDGE.md` beside this card, it counts the pairs whose facts expired or may expire.",
    ]
    if record["base"]["name"] in PACKAGED:
        lines.append(
            "- Its base was de-quantised from a four-bit file and is a little worse than the original weights."
        )
    return lines


def _verdict(gate: Mapping[str, Any]) -> str:
    signed = gate.get("override")
    return f"{gate['verdict']}" + (
        f", overridden by {signed['user']}: {_line(signed['reason'])}" if signed else "."
    )


def _counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{_line(key)} ({count})" for key, count in values.items()) or "not stated"


def _line(text: Any) -> str:
    """One line of plain text: what people wrote must not become headings or HTML of a card."""
    return " ".join(str(text).split()).replace("<", "&lt;")
