"""Runs & reports: evaluations, verdicts with every check behind them, reports, model versions, release.

Covers: the lists, deciding and reporting a run, promoting, learning curves. Does not cover: scoring (`evals`) nor
training.
"""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from curate import ops
from curate.errors import GoldpairError
from curate.views import insight, overview, parts
from curate.views.snapshots import checks_table


def render() -> None:
    parts.header(
        "Runs & reports", "Every model version is measured on the frozen eval set. Only a PASS releases it."
    )
    task = parts.task()
    runs, models = parts.ask("runs.list", task=task), parts.ask("models.list", task=task)
    if runs is None or models is None:
        return
    st.header("Model versions", anchor=False)
    _models(models["models"])
    st.header("Evaluation runs", anchor=False)
    _runs(task, runs["runs"])
    _curves(task)


def _models(rows: list[dict[str, Any]]) -> None:
    if not rows:
        parts.empty("No model yet", "From a snapshot that passed its preflight: goldpair train SNAPSHOT.")
        return
    parts.table(
        [
            {
                "name": row["name"],
                "verdict": parts.Raw(overview.verdict_chip(row)),
                "snapshot": parts.Raw(
                    f'<span class="gp-mono">{parts.escape((row["snapshot_id"] or "")[:16])}</span>'
                ),
                "made": parts.when(row["created_ts"]),
                "by": row["created_by"],
            }
            for row in rows
        ],
        {
            "name": "Version",
            "verdict": "Verdict",
            "snapshot": "Learned from",
            "made": "Made (UTC)",
            "by": "By",
        },
    )
    for row in rows:
        if row.get("released") and row.get("stale"):
            parts.notice("bad", f"{row['name']}: {row['stale']}")
    waiting = [row["name"] for row in rows if not row.get("released")]
    if not waiting or not parts.allowed("promote"):
        return
    with st.expander("Release a version"), st.form("promote", border=False):
        name = st.selectbox("Version", waiting)
        reason = st.text_input(
            "Reason, only to release without a PASS (signed with your name, shown in every report)",
            autocomplete="off",
        )
        if st.form_submit_button("Release"):
            parts.act("promote", f"{name} is released.", model=name, override=reason.strip() or None)
            st.rerun()


def _runs(task: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        parts.empty("No runs yet", f"Measure the baselines or a model: goldpair eval {task} --model NAME.")
        return
    parts.table(
        [
            {
                "run": row["run"],
                "verdict": parts.Raw(
                    parts.chip(row["verdict"] or "not decided", parts.VERDICTS.get(row["verdict"] or "", ""))
                ),
                "arms": ", ".join(parts.readable(arm) for arm in row["arms"]),
                "report": parts.Raw(
                    _link(row["run"]) if row["report"] else '<span class="gp-soft">none yet</span>'
                ),
            }
            for row in rows
        ],
        {"run": "Run", "verdict": "Verdict", "arms": "Arms", "report": "Report"},
    )
    names = [row["run"] for row in rows]
    run = st.selectbox("Look at a run", names, key=f"run-{task}")
    row = next(r for r in rows if r["run"] == run)
    may = parts.allowed("gate")
    one, two, _ = st.columns([1, 1, 3])
    one.button(
        "Decide",
        key=f"gate-{run}",
        width="stretch",
        disabled=not may or "tuned" not in row["arms"],
        help="Applies the gate to the scores. Generates nothing.",
        on_click=parts.press,
        args=("gate", lambda r: f"The verdict is {r['verdict']}."),
        kwargs={"run": run},
    )
    two.button(
        "Write report",
        key=f"report-{run}",
        width="stretch",
        disabled=not may,
        on_click=parts.press,
        args=("report", "The report is written."),
        kwargs={"run": run},
    )
    decision = _decision(run)
    if decision is None:
        parts.empty(
            "Not decided yet", "Decide applies the gate: each check with what it found, and one verdict."
        )
        return
    chip = parts.chip(decision["verdict"], parts.VERDICTS.get(decision["verdict"], ""))
    worth = decision.get("worth_it") or ""
    parts.block(
        f'<div class="gp-notice"><div class="gp-row">{chip}<span>{parts.escape(worth)}</span></div></div>'
    )
    checks_table(decision["checks"])


def _curves(task: str) -> None:
    found = parts.ask("curves.list", task=task)
    if not found or not found["curves"]:
        return
    st.header("How many more pairs?", anchor=False)
    mode = st.context.theme.type or "light"
    for curve in found["curves"][:3]:
        for suite, fitted in curve["suites"].items():
            parts.block(
                f'<p class="gp-soft">Suite {parts.escape(suite)}, snapshot '
                f'<span class="gp-mono">{parts.escape(curve["snapshot"][:12])}</span>, '
                f"{parts.when(curve['created'])}</p><p>{parts.escape(fitted['sentence'])}</p>"
            )
            rows = sorted(fitted["points"], key=lambda point: (point["pairs"], point["seed"]))
            if fitted["line"]:
                st.altair_chart(insight.curve(fitted, mode), width="stretch", theme=None)
            with st.expander(f"The scores of suite {suite} as a table"):
                names = {
                    "pairs": "Training pairs",
                    "seed": "Seed",
                    "score": "Mean score",
                    "rows": "Eval rows",
                }
                shown = [{**row, "score": round(row["score"], 3)} for row in rows]
                parts.table(shown, names, numeric=list(names))


def _link(run: str) -> str:
    return (
        f'<a href="/reports/{parts.escape(run)}/report.html" target="_blank" rel="noopener">Open report</a>'
    )


def _decision(run: str) -> dict[str, Any] | None:
    try:
        path = ops.run_folder(parts.context(), run) / "gate.json"
    except GoldpairError as error:
        parts.problem(error)
        return None
    return json.loads(path.read_text("utf-8")) if path.exists() else None
