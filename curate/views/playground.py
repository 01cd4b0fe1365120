"""Playground: one question, answered side by side by the base, a version, and other versions.

Covers: asking, showing the answers as text. Does not cover: generating, which happens in a job of its own
(`curate.playground`), nor judging: what is seen here is an anecdote.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate.playground import BASE
from curate.views import parts

JOB = "playground-job"
MOST = 3  # versions side by side


def render() -> None:
    parts.header(
        "Playground",
        "Ask the base and its versions the same thing. Impressions only: the gate decides on the frozen eval set.",
    )
    task = parts.task()
    found = parts.ask("models.list", task=task)
    if found is None:
        return
    names = [row["name"] for row in found["models"]]
    if not names:
        parts.empty(
            "No version to ask yet", "From a snapshot that passed its preflight: goldpair train SNAPSHOT."
        )
        return
    if not parts.allowed("models.ask"):
        parts.empty("Your role may look, not ask", "Ask an admin for a role that may evaluate.")
        return
    with st.form("ask", border=False):
        st.multiselect("Versions", names, default=names[:1], max_selections=MOST, key="playground-models")
        st.checkbox("Ask the base as well", value=True, key="playground-base")
        st.text_area(
            "Question",
            key="playground-prompt",
            help="It is kept with its answers in the job's folder: nothing personal here.",
            max_chars=20_000,
        )
        st.form_submit_button("Ask", on_click=_ask, args=(task,))
    if st.session_state.get(JOB):
        _answers()


def _ask(task: str) -> None:
    prompt = st.session_state["playground-prompt"].strip()
    if not prompt:
        st.session_state["notice"] = ("bad", "Write a question first.", [])
        return
    started = parts.act(
        "models.ask",
        task=task,
        prompt=prompt,
        models=st.session_state["playground-models"],
        base=st.session_state["playground-base"],
    )
    if started:
        st.session_state[JOB] = started["job"]


@st.fragment(run_every=1.0)
def _answers() -> None:
    status = parts.ask("jobs.status", job=st.session_state[JOB])
    if status is None:
        return
    if status["state"] not in parts.FINISHED:
        parts.job_bar(status)
        return
    if status["state"] != "done":
        parts.notice("bad", f"No answer: the job is {status['state']}.", [str(status.get("error") or "")])
        return
    answers: list[dict[str, Any]] = status["result"]["answers"]
    for column, one in zip(st.columns(len(answers)), answers, strict=True):
        with column:
            name = "base, untrained" if one["voice"] == BASE else one["voice"]
            parts.text_card(f"{name} ({one['tokens']} tokens)", one["text"] or "(nothing)")
