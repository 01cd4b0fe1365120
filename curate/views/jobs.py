"""Jobs: long-running work with its live progress, cancelling, and the log.

Covers: the list, one job in full, the loss curve of a training run. Does not cover: running jobs (`curate.jobs`).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from curate import steps
from curate.views import insight, parts

TAIL = 20_000
POINTS = 200  # of a loss curve, at most
KINDS = {
    "done": "good",
    "failed": "bad",
    "lost": "bad",
    "cancelled": "open",
    "running": "open",
    "cancelling": "open",
}


def render() -> None:
    parts.header(
        "Jobs", "Long work runs on its own: it survives closing this page and restarting the server."
    )
    found = parts.ask("jobs.list")
    if found is None:
        return
    if not found["jobs"]:
        parts.empty(
            "No jobs yet", "Scanning, finding duplicates, freezing, training and evaluating show up here."
        )
        return
    active = [job["job_id"] for job in found["jobs"] if job["state"] not in parts.FINISHED]
    for job_id in active:
        _running(job_id)
    rows = [
        {
            "job": parts.Raw(f'<span class="gp-mono">{parts.escape(job["job_id"])}</span>'),
            "kind": job["kind"],
            "task": job["task"],
            "state": parts.Raw(parts.chip(job["state"], KINDS.get(job["state"], ""))),
            "actor": job["actor"],
            "created": parts.when(job["created_ts"]),
            "error": (job.get("error") or "")[:200],
        }
        for job in found["jobs"][:50]
    ]
    parts.table(
        rows,
        {
            "job": "Job",
            "kind": "Kind",
            "task": "Task",
            "state": "State",
            "actor": "By",
            "created": "Started (UTC)",
            "error": "What went wrong",
        },
    )
    st.header("Log", anchor=False)
    ids = [job["job_id"] for job in found["jobs"]]
    names = {job["job_id"]: f"{job['kind']} {job['job_id']}" for job in found["jobs"]}
    chosen = st.selectbox("Job", ids, format_func=lambda job: names[job], key="job_log")
    if chosen not in active:
        _losses(chosen, table=True)
    _log(chosen)


@st.fragment(run_every=1.0)
def _running(job_id: str) -> None:
    status = parts.ask("jobs.status", job=job_id)
    if status is None:
        return
    if status["state"] in parts.FINISHED:
        st.rerun()
    with st.container(border=True):
        left, right = st.columns([5, 1], vertical_alignment="center")
        with left:
            parts.block(
                f"<p><b>{parts.escape(status['kind'])}</b> {parts.escape(status.get('task') or '')}</p>"
            )
            parts.job_bar(status)
            _losses(job_id)
        right.button(
            "Cancel",
            key=f"cancel-{job_id}",
            width="stretch",
            disabled=status["state"] == "cancelling" or not parts.allowed("jobs.cancel"),
            on_click=parts.press,
            args=("jobs.cancel", "It stops after its current chunk; finished chunks are kept."),
            kwargs={"job": job_id},
        )


def _losses(job_id: str, table: bool = False) -> None:
    """The loss curve of a job that trains, while it runs and after."""
    rows = steps.read(parts.context().workspace.jobs / Path(job_id).name)
    if not rows:
        return
    thinned = rows[:: -(-len(rows) // POINTS)]
    st.altair_chart(
        insight.losses(thinned, st.context.theme.type or "light"),
        width="stretch",
        theme=None,
        key=f"loss-{job_id}",
    )
    if table:
        with st.expander("The same as a table"):
            names = {"step": "Step", "loss": "Loss", "eval_loss": "Validation loss", "eval_score": "Score"}
            shown = [{key: row.get(key) for key in names} for row in thinned]
            parts.table(shown, names, numeric=list(names))


def _log(job_id: str) -> None:
    path = parts.context().workspace.jobs / Path(job_id).name / "log.txt"
    text = _tail(path)
    if not text.strip():
        parts.empty("Nothing was logged", "A job that fails says why here.")
        return
    parts.block(f'<div class="gp-card gp-text gp-scroll gp-mono" tabindex="0">{parts.escape(text)}</div>')


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            handle.seek(0, 2)
            handle.seek(max(0, handle.tell() - TAIL))
            return handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
