"""Snapshots: freezing approved pairs, what is inside and what stayed outside, verifying, comparing, preflight.

Covers: the list, the freeze and preflight jobs, the first rows as they are learned, exclusions by reason, small groups,
differences. Does not cover: how a snapshot is made (`curate.snapshot`) nor exporting (a verb of the command line).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from curate import groups, ops
from curate.errors import GoldpairError
from curate.views import parts

SHOWN = 200


def render() -> None:
    parts.header(
        "Snapshots",
        "Approved pairs, frozen: named by the hash of their content, and the only thing a model learns from.",
    )
    task = parts.task()
    found = parts.ask("overview", task=task)
    if found is None:
        return
    approved = found["pairs"].get("approved", 0)
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.button(
        "Freeze",
        type="primary",
        width="stretch",
        disabled=not approved
        or not parts.allowed("snapshot.create")
        or "job:snapshot.create" in st.session_state,
        on_click=parts.start_job,
        args=("snapshot.create", "Freezing"),
        kwargs={"task": task},
    )
    with right:
        words = (
            f"{approved:,} pairs are approved. Freezing scans every one of them again."
            if approved
            else "Nothing is approved yet: Review comes first."
        )
        parts.block(f'<p class="gp-soft">{parts.escape(words)}</p>')
    parts.follow("snapshot.create")
    rows = found["snapshots"]
    if not rows:
        parts.empty("No snapshots yet", "Approve pairs in Review, then freeze them here.")
        return
    parts.table(
        [
            {
                **row,
                "snapshot_id": parts.Raw(
                    f'<span class="gp-mono">{parts.escape(row["snapshot_id"][:16])}</span>'
                ),
                "made": parts.when(row["created_ts"]),
            }
            for row in rows
        ],
        {
            "snapshot_id": "Snapshot",
            "made": "Made (UTC)",
            "created_by": "By",
            "rows_train": "Training",
            "rows_validation": "Validation",
            "excluded": "Left out",
        },
        numeric=["rows_train", "rows_validation", "excluded"],
    )
    ids = [row["snapshot_id"] for row in rows]
    st.header("One snapshot", anchor=False)
    chosen = st.selectbox("Snapshot", ids, format_func=lambda name: name[:16], key=f"snapshot-{task}")
    inside, rows, outside, alone, compare = st.tabs(["Checks", "As learned", "Left out", "Groups", "Compare"])
    with inside:
        _checks(chosen)
    with rows:
        _as_learned(chosen)
    with outside:
        _left_out(chosen)
    with alone:
        _groups(chosen)
    with compare:
        _compare(chosen, ids)


def _checks(chosen: str) -> None:
    left, right, _ = st.columns([1, 1, 3])
    left.button(
        "Verify",
        width="stretch",
        help="Compares every byte and row with what was frozen.",
        on_click=parts.press,
        args=(
            "snapshot.verify",
            lambda r: f"Intact: {r['files']} files, {sum(r['rows'].values()):,} rows, as frozen.",
        ),
        kwargs={"snapshot": chosen},
    )
    right.button(
        "Preflight",
        width="stretch",
        help="Checks whether this snapshot is fit to learn from.",
        disabled=not parts.allowed("preflight") or "job:preflight" in st.session_state,
        on_click=parts.start_job,
        args=("preflight", "Preflight"),
        kwargs={"snapshot": chosen},
    )
    parts.follow("preflight")
    result = _preflight(chosen)
    if result is None:
        parts.empty(
            "Not checked yet",
            "Preflight looks at size, tokens, overlap with the eval set and statistical power before any training.",
        )
        return
    override = result.get("override")
    signed = f", overridden by {override['user']}: {override['reason']}" if override else ""
    chip = parts.chip(result["verdict"], parts.VERDICTS.get(result["verdict"], ""))
    parts.block(f'<div class="gp-row">{chip}<span>preflight{parts.escape(signed)}</span></div>')
    checks_table(result["checks"])


def checks_table(checks: list[dict[str, Any]]) -> None:
    """Gate or preflight checks: verdict, name, detail."""
    parts.table(
        [
            {
                **check,
                "verdict": parts.Raw(parts.chip(check["verdict"], parts.VERDICTS.get(check["verdict"], ""))),
            }
            for check in checks
        ],
        {"verdict": "Verdict", "name": "Check", "detail": "What was found"},
    )


def _as_learned(chosen: str) -> None:
    """The first batch after template and tokenizer, what is learned marked. Only when asked for: it loads libraries."""
    parts.block(
        '<p class="gp-soft">The first training rows as the model gets them, template included. What is marked is '
        "learned; the rest is only read.</p>"
    )
    if not st.toggle("Show the first rows", key=f"rendered-{chosen}"):
        return
    found = parts.ask("snapshot.rendered", snapshot=chosen)
    if found is None:
        return
    if found.get("busy"):
        parts.empty("The tokenizer is loading", "It takes a few seconds the first time.")
        st.button("Look again", key=f"rendered-again-{chosen}")
        return
    if found["problem"]:
        parts.empty("Nothing to show", found["problem"])
    for row in found["rows"]:
        text, spans = "", []
        for piece in row["pieces"]:
            start, text = len(text), text + piece["text"]
            if piece["learned"]:
                spans.append({"start": start, "stop": len(text), "entity_type": "learned", "kind": "sub"})
        parts.text_card(row["pair_id"], text, spans)


def _folder(chosen: str) -> Path | None:
    try:
        return ops.snapshot_folder(parts.context(), chosen)
    except GoldpairError as error:
        parts.problem(error)
        return None


def _preflight(chosen: str) -> dict[str, Any] | None:
    from curate import preflight

    folder = _folder(chosen)
    try:
        return preflight.load(folder) if folder else None
    except GoldpairError as error:
        parts.problem(error)
        return None


def _left_out(chosen: str) -> None:
    folder = _folder(chosen)
    path = folder / "excluded.parquet" if folder else None
    if path is None or not path.exists():
        return
    frame = pl.read_parquet(path)
    if frame.is_empty():
        parts.empty("Nothing was left out", "Every pair of this task stands in the snapshot.")
        return
    counts = frame.group_by("reason").len("pairs").sort("pairs", descending=True)
    parts.table(
        [{"reason": parts.readable(row["reason"]), "pairs": row["pairs"]} for row in counts.to_dicts()],
        {"reason": "Reason", "pairs": "Pairs"},
        numeric=["pairs"],
    )
    with st.expander(f"The pairs ({min(len(frame), SHOWN):,} of {len(frame):,})"):
        parts.table(
            [{**row, "reason": parts.readable(row["reason"])} for row in frame.head(SHOWN).to_dicts()],
            {"pair_id": "Pair", "reason": "Reason", "detail": "Detail"},
        )


def _groups(chosen: str) -> None:
    folder = _folder(chosen)
    found = groups.load(folder) if folder else None
    if found is None:
        parts.empty(
            "No quasi-identifiers declared",
            "Name metadata that together might tell who somebody is under [privacy] quasi_identifiers of the task.",
        )
        return
    parts.tiles(
        [
            ("groups", found["groups"]),
            ("people in the smallest", found["smallest"]),
            (f"groups under {found['k']}", len(found["small"])),
            ("pairs left out", found["left_out"]),
            ("pairs not generalised", len(found["not_generalised"])),
        ]
    )
    if found["small"]:
        names = found["quasi_identifiers"]
        rows = [
            {f"q{n}": group["values"][name] for n, name in enumerate(names)}
            | {"people": group["people"], "pairs": len(group["pairs"])}
            for group in found["small"][:SHOWN]
        ]
        heads = {f"q{n}": parts.readable(name) for n, name in enumerate(names)}
        parts.table(rows, heads | {"people": "People", "pairs": "Pairs"}, numeric=["people", "pairs"])


def _compare(chosen: str, ids: list[str]) -> None:
    others = [name for name in ids if name != chosen]
    if not others:
        parts.empty(
            "Nothing to compare with",
            "A second snapshot of this task will show what was added, removed and changed.",
        )
        return
    other = st.selectbox("Compare with", others, format_func=lambda name: name[:16], key=f"compare-{chosen}")
    result = parts.ask("snapshot.diff", left=other, right=chosen)
    if result is None:
        return
    lists = {key: value for key, value in result.items() if isinstance(value, list)}
    parts.tiles([(parts.readable(key), len(value)) for key, value in lists.items()])
    for key, value in lists.items():
        if value:
            with st.expander(f"{parts.readable(key)} ({len(value):,})"):
                rows = [row if isinstance(row, dict) else {"pair_id": row} for row in value[:SHOWN]]
                columns = [c for c in rows[0] if not isinstance(rows[0][c], dict | list)]
                parts.table(rows, {c: parts.readable(c) for c in columns})
