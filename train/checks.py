"""What a snapshot turns into before it is learned from: every row accounted for, by pair id.

Covers: rendering both splits for a base model, rows that cannot be learned from (too long, empty, fully masked,
without a stop token, broken by the template), rows that are token for token another one, the recipe's policy for
them; and the proof that a snapshot's gate was passed.
Does not cover: the other checks of the gate and writing ``preflight.json`` (`curate.preflight`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate import contract
from curate.errors import RefusedError
from train.base import resolve
from train.recipe import Recipe, load_recipe
from train.render import Finding, Rendered, load_tokenizer, render_rows, split_row, stop_ids


@dataclass(frozen=True)
class PreflightResult:
    """``findings`` are dicts {pair_id, split, problem, detail}; ``tokens`` counts both splits' usable rows.

    ``ok`` says that training may start under the recipe: nothing was found, or the recipe drops what was found
    and something is left. ``split`` are the pairs that became several rows because the recipe says so: {pair_id,
    split, parts}; they are no findings.
    """

    findings: list[dict[str, str]]
    tokens: int
    ok: bool
    split: list[dict[str, Any]] = field(default_factory=list)
    train: list[Rendered] = field(repr=False, default_factory=list)
    validation: list[Rendered] = field(repr=False, default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Numbers for people: rows, tokens, supervised tokens, longest row."""
        rows = [*self.train, *self.validation]
        return {
            "rows": len(rows),
            "tokens": self.tokens,
            "supervised": sum(row.supervised for row in rows),
            "longest": max((len(row.input_ids) for row in rows), default=0),
        }


def preflight(
    snapshot_dir: Path | str,
    recipe: Recipe | Mapping[str, Any] | Path | str | None,
    base_model: str | Path | None = None,
) -> PreflightResult:
    """Render a snapshot for a base model and report every row that cannot be learned from as it is.

    ``base_model`` defaults to the snapshot's task pack. Raises `NotFound` for a missing snapshot or base,
    `UsageError` for a wrong recipe, `train.render.TemplateError` for a base that cannot render conversations.
    """
    recipe = load_recipe(recipe)
    folder = resolve(base_model or contract.load_task(snapshot_dir).model.base)
    tokenizer = load_tokenizer(folder, recipe.template)
    stops = stop_ids(folder, tokenizer)
    splits: dict[str, list[Rendered]] = {}
    findings: list[dict[str, str]] = []
    seen: dict[tuple[int, ...], str] = {}
    cut: list[dict[str, Any]] = []
    longest = sys.maxsize if recipe.bad_rows == "split" else recipe.max_length
    for split in contract.SPLITS:
        rows = contract.training_rows(snapshot_dir, split).iter_rows(named=True)
        rendered, found = render_rows(tokenizer, rows, stops=stops, max_length=longest)
        unique = []
        for row in rendered:
            if row.input_ids in seen:
                found.append(
                    Finding(row.pair_id, "duplicate", f"the same tokens as pair {seen[row.input_ids]}")
                )
                continue
            seen[row.input_ids] = row.pair_id
            parts = [row] if len(row.input_ids) <= recipe.max_length else split_row(row, recipe.max_length)
            if not parts:
                found.append(
                    Finding(
                        row.pair_id,
                        "over_long",
                        f"{row.prompt_tokens} tokens of prompt leave too few of {recipe.max_length} to split it",
                    )
                )
            elif len(parts) > 1:
                cut.append({"pair_id": row.pair_id, "split": split, "parts": len(parts)})
            unique += parts
        splits[split] = unique
        findings += [
            {"pair_id": f.pair_id, "split": split, "problem": f.problem, "detail": f.detail} for f in found
        ]
    usable = bool(splits["train"]) and (not findings or recipe.bad_rows == "drop")
    if not splits["train"] and not findings:
        findings.append({"pair_id": "", "split": "train", "problem": "empty", "detail": "no training pair"})
    tokens = sum(len(row.input_ids) for rows in splits.values() for row in rows)
    return PreflightResult(findings, tokens, usable, cut, splits["train"], splits["validation"])


def masked_view(tokenizer: Any, rows: Sequence[Rendered]) -> list[dict[str, Any]]:
    """What the model sees and what it learns, for people: {pair_id, pieces: [{text, learned}]} for each row."""
    return [
        {
            "pair_id": row.pair_id,
            "pieces": [
                {"text": tokenizer.decode(row.input_ids[: row.prompt_tokens]), "learned": False},
                {"text": tokenizer.decode(row.input_ids[row.prompt_tokens :]), "learned": True},
            ],
        }
        for row in rows
    ]


def require_gate(snapshot_dir: Path | str, manifest: contract.Manifest, demo: bool = False) -> dict[str, Any]:
    """The gate's record for this very snapshot (invariant 4).

    Raises `RefusedError`, with the reasons, unless its verdict is PASS or it carries a signed override; that of a
    declared demo counts for the demo alone.
    """
    path = Path(snapshot_dir) / "preflight.json"
    try:
        gate = json.loads(path.read_text("utf-8"))
        if not isinstance(gate, dict):
            raise ValueError("not an object")
    except FileNotFoundError as error:
        raise RefusedError(
            f"Snapshot {manifest.id[:12]} has no preflight. Run `goldpair preflight` first.",
            ["no preflight.json"],
        ) from error
    except (OSError, ValueError) as error:
        raise RefusedError(
            f"{path.name} of snapshot {manifest.id[:12]} cannot be read ({error}). Run `goldpair preflight` again.",
            ["preflight.json unreadable"],
        ) from error
    if gate.get("snapshot") != manifest.id:
        raise RefusedError(
            f"The preflight beside snapshot {manifest.id[:12]} belongs to {str(gate.get('snapshot'))[:12]}. "
            "Run `goldpair preflight` for this one.",
            ["preflight of another snapshot"],
        )
    if gate.get("verdict") == "PASS":
        return gate
    signed = gate.get("override")
    if isinstance(signed, dict) and signed.get("demo") and not demo:
        raise RefusedError(
            f"The preflight of snapshot {manifest.id[:12]} was passed over for the declared short demo alone. Run "
            "`goldpair preflight` again.",
            [f"passed over: {name}" for name in signed.get("checks") or []],
        )
    if isinstance(signed, dict) and all(
        str(signed.get(key) or "").strip() for key in ("user", "reason", "ts")
    ):
        return gate
    reasons = [
        f"{check.get('name')}: {check.get('detail')}"
        for check in gate.get("checks") or []
        if isinstance(check, dict) and check.get("verdict") != "PASS"
    ]
    raise RefusedError(
        f"The preflight of snapshot {manifest.id[:12]} says {gate.get('verdict')}. Mend what it names and freeze "
        "again, or have somebody who may override it sign for it.",
        reasons or ["preflight not passed"],
    )
