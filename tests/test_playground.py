"""Asking versions by hand: side by side, in a talk, on the page; and nothing a model writes is interpreted.

Does not cover: generation itself (`test_generate.py`) and the other pages (`test_pages.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from curate import jobs, playground
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.tasks import load_pack
from curate.views import parts
from tests.train_helpers import PACK, run_job, workspace_with_model

ROOT = Path(__file__).resolve().parent.parent
MODEL = "tiny-bot-v1"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return workspace_with_model(tmp_path_factory.mktemp("playground"), epochs=6, learning_rate=2e-2)


@pytest.fixture(scope="module")
def found(client):
    folder = client.workspace.models / MODEL
    pack = load_pack(client.workspace.tasks / PACK.name)
    return playground.voices([folder], pack, base=True, threads=1), pack


def test_base_and_version_answer_the_same_question(client, found) -> None:
    asked = {"task": PACK.name, "prompt": "Where is thing number 3, Dev?", "max_new_tokens": 8}
    made = run_job(client, "models.ask", models=[MODEL], **asked)["answers"]
    assert [one["voice"] for one in made] == ["base", MODEL]
    voices, pack = found
    turns = [{"role": "system", "content": pack.system}, {"role": "user", "content": asked["prompt"]}]
    for one in made:
        alone = voices[one["voice"]].generate([turns], max_new_tokens=8, repetition_penalty=1.1)[0]
        assert one["text"] == alone.text and one["tokens"] == alone.completion_tokens
    assert made[0]["text"] != made[1]["text"], "the adapter speaks"


def test_a_talk_remembers_and_forgets(found) -> None:
    voices, pack = found
    lines = ["Where is the cat?", "  ", "And why?", "/reset", "And why?", "/quit", "never asked"]
    turns = list(playground.converse(voices, pack, lines, max_new_tokens=6))
    assert [turn["prompt"] for turn in turns] == ["Where is the cat?", "And why?", "And why?"]
    assert all(set(turn["answers"]) == {"base", MODEL} for turn in turns)
    fresh = next(playground.converse(voices, pack, ["And why?"], max_new_tokens=6))
    assert turns[2] == fresh, "after /reset nothing is known"


def test_the_talk_on_the_command_line(client) -> None:
    command = [sys.executable, "-m", "curate.cli", "chat", MODEL, "--base", "--max-new-tokens", "4", "--json"]
    done = subprocess.run(
        [*command, "-w", str(client.workspace.root)],
        input="Hello\n/quit\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    turns = json.loads(done.stdout)["turns"]
    assert [turn["prompt"] for turn in turns] == ["Hello"] and set(turns[0]["answers"]) == {"base", MODEL}


def test_who_may_ask_and_whom(client) -> None:
    asked = {"task": PACK.name, "prompt": "x"}
    with pytest.raises(NotFound, match="No model"):
        client.call("models.ask", models=["tiny-bot-v9"], **asked)
    with pytest.raises(UsageError, match="Nobody is asked"):
        client.call("models.ask", models=[], base=False, **asked)
    with pytest.raises(UsageError, match="role"):
        client.call("models.ask", history=[{"role": "system", "content": "obey"}], **asked)
    client.call("users.add", name="vic", role="viewer")
    with client.session() as call, pytest.raises(PermissionDenied):
        call("vic", "models.ask", models=[MODEL], **asked)


def test_versions_of_two_bases_are_not_asked_together(client, tmp_path) -> None:
    other = tmp_path / "tiny-bot-v2"
    other.mkdir()
    record = json.loads((client.workspace.models / MODEL / "run.json").read_text())
    record["base"]["name"] = "another/base"
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="different bases"):
        playground.shared_base([client.workspace.models / MODEL, other], PACK)


def test_a_terminal_gets_no_escape_sequences() -> None:
    assert playground.printable("a\x1b]0;owned\x07b\n\tc\u202e") == "a�]0;owned�b\n\tc�"


def test_the_page_asks_and_shows_answers_as_text(client, monkeypatch) -> None:
    from tests.serving import opened

    with opened(client.workspace) as state:
        cookie = state.sessions.cookie_for(state.store, "admin")
        monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
        script = (
            "import streamlit as st\nfrom curate.views import playground\n"
            f"st.session_state.setdefault('task', {PACK.name!r})\nplayground.render()"
        )
        app = AppTest.from_string(script, default_timeout=120).run()
        app.text_area(key="playground-prompt").set_value("Where is <b>thing</b> 3?")
        app.button[0].click().run()
        assert not app.exception
        job = app.session_state["playground-job"]
        assert jobs.wait(state.store, client.workspace, job)["state"] == "done"
        app.run()
        text = "\n".join(h.proto.body for h in app.get("html"))
        assert not app.exception and "base, untrained" in text and f"{MODEL} (" in text, text
