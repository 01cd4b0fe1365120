"""What models suggest stands beside the pair, scored and marked; it becomes a text by a person's edit alone.

Does not cover: the card that shows it (`test_suggestions_browser.py`), generation itself (`test_generate.py`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import forget, jobs, ops, playground, review, suggestions, users
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from curate.server import State
from curate.tasks import load_pack
from tests.serving import TASK, make_workspace, opened
from tests.train_helpers import PACK, workspace_with_model

NOTE = "Subjective: Not stated.\nObjective: Not stated.\nAssessment: Not stated.\nPlan: Not stated."
SUITE = '\n[[suites]]\nname = "notes"\nmetric = "soap_note"\n'


class Chat:
    """An OpenAI-compatible chat server; ``answer`` maps the last question to the answer."""

    def __init__(self) -> None:
        asked: list[dict] = []
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.append(body)
                text = chat.answer(body["messages"][-1]["content"])
                payload = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self.asked = asked
        self.answer = lambda question: NOTE
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    found = Chat()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Desk:
    """The operations of one open workspace, as any of its users."""

    def __init__(self, state: State) -> None:
        self.state, self.store, self.workspace = state, state.store, state.workspace

    def call(self, user: str, operation: str, local: bool = True, **fields: Any) -> dict[str, Any]:
        actor = users.actor_for(self.store, user)
        return ops.run(ops.Context(self.store, self.workspace, actor, local=local), operation, fields)

    def item(self, pair_id: str) -> dict[str, Any]:
        return self.call("admin", "review.item", pair_id=pair_id)

    def pairs(self, status: str) -> list[dict[str, Any]]:
        return self.call("admin", "pairs.list", task=TASK, status=status, limit=1000)["pairs"]

    def waiting(self) -> list[dict[str, Any]]:
        """Items that stand ready with a suggestion beside them."""
        return [one for row in self.pairs("ready")[:12] if (one := self.item(row["pair_id"]))["suggestions"]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    workspace = make_workspace(tmp_path_factory.mktemp("suggest"))
    pack = workspace.tasks / TASK / "task.toml"
    pack.write_text(pack.read_text("utf-8") + SUITE, "utf-8")
    with opened(workspace) as state:
        yield Desk(state)


@pytest.fixture(scope="module")
def told(desk: Desk, chat: Chat) -> dict[str, Any]:
    """One real job over the task's undecided pairs."""
    chat.answer = lambda question: "" if "amber" in question else NOTE
    job = desk.call("admin", "suggest", task=TASK, endpoint=chat.url, endpoint_model="clerk")["job"]
    done = jobs.wait(desk.store, desk.workspace, job)
    assert done["state"] == "done", done
    return done["result"]


def test_every_undecided_pair_is_answered_or_accounted_for(desk: Desk, chat: Chat, told: dict) -> None:
    states = {status: desk.pairs(status) for status in ("ready", "held", "returned")}
    undecided = sum(len(rows) for rows in states.values())
    assert told["asked"] + sum(told["left_out"].values()) == undecided
    assert told["suggested"] + told["empty"] == told["asked"] and told["empty"] > 0
    assert told["scored"] == told["suggested"]
    assert told["left_out"]["open_findings"] > 0
    sent = json.dumps(chat.asked)
    assert "98765 43210" not in sent, "a number that waits for a decision left the machine"
    assert all(
        one["messages"][0] == {"role": "system", "content": "Answer in one line."} for one in chat.asked
    )
    assert all(row["rev"] == 1 for row in states["ready"]), "no completion was touched"


def test_a_second_run_asks_nothing_twice(desk: Desk, chat: Chat, told: dict, tmp_path: Path) -> None:
    pack = str(desk.workspace.tasks / TASK)
    spec = {"task": TASK, "pack": pack, "endpoint": chat.url, "endpoint_model": "clerk", "limit": 1000}
    (tmp_path / "in").mkdir()
    suggestions.prepare(desk.store, desk.workspace, spec, tmp_path)
    rows = pl.concat([pl.read_parquet(path) for path in (tmp_path / "in").iterdir()])
    left_out = json.loads((tmp_path / suggestions.LEFT_OUT).read_text())
    assert len(rows) == told["empty"], "only what got no answer is asked again"
    assert left_out["answered_before"] == told["suggested"]


def test_a_suggestion_is_marked_with_model_and_score_and_is_no_completion(desk: Desk, told: dict) -> None:
    item = desk.waiting()[0]
    [one] = item["suggestions"]
    assert one["model"] == told["model"] and told["model"].startswith("clerk@127.0.0.1")
    assert one["metric"] == "soap_note" and 0 < one["score"] <= 1 and one["scores"][0]["version"]
    assert one["completion"] == NOTE != item["completion"] and item["began"] is None


def test_taking_one_is_an_edit_that_another_person_approves(desk: Desk, told: dict) -> None:
    item = desk.waiting()[0]
    given = {
        "pair_id": item["pair_id"],
        "rev": item["rev"],
        "suggestion": item["suggestions"][0]["suggestion_id"],
    }
    with pytest.raises(UsageError, match="use the verdict edit"):
        desk.call("rita", "review.decide", verdict="approve", **given)
    done = desk.call("rita", "review.decide", verdict="edit", **given)
    now = desk.item(item["pair_id"])
    assert (
        now["completion"] == NOTE and now["author"] == "rita" and now["rev"] == done["rev"] == item["rev"] + 1
    )
    assert now["began"] == {
        "rev": done["rev"], "changed": False, "model": told["model"], "metric": "soap_note",
        "score": item["suggestions"][0]["score"],
    }  # fmt: skip
    assert now["suggestions"] == [], "what is the completion already is not suggested"
    with pytest.raises(RefusedError, match="another reviewer approves it"):
        desk.call("rita", "review.decide", pair_id=item["pair_id"], rev=now["rev"], verdict="approve")
    assert (
        desk.call("lea", "review.decide", pair_id=item["pair_id"], rev=now["rev"], verdict="approve")[
            "status"
        ]
        == "approved"
    )


def test_a_change_before_saving_is_told_and_undo_brings_the_suggestion_back(desk: Desk, told: dict) -> None:
    item = desk.waiting()[0]
    one = item["suggestions"][0]["suggestion_id"]
    desk.call(
        "ann", "review.decide", pair_id=item["pair_id"], rev=item["rev"], verdict="edit", completion=NOTE + " Rest.",
        suggestion=one,
    )  # fmt: skip
    began = desk.item(item["pair_id"])["began"]
    assert began["changed"] is True and began["rev"] == item["rev"] + 1
    desk.call("ann", "review.undo")
    back = desk.item(item["pair_id"])
    assert back["completion"] == item["completion"]
    assert [s["suggestion_id"] for s in back["suggestions"]] == [one]


def test_a_suggestion_of_another_pair_or_for_an_earlier_prompt_is_refused(desk: Desk, told: dict) -> None:
    one, other = desk.waiting()[:2]
    with pytest.raises(NotFound, match="no suggestion"):
        desk.call(
            "ann", "review.decide", pair_id=one["pair_id"], rev=one["rev"], verdict="edit",
            suggestion=other["suggestions"][0]["suggestion_id"],
        )  # fmt: skip
    done = desk.call(
        "ann", "review.decide", pair_id=one["pair_id"], rev=one["rev"], verdict="edit", prompt="Asked anew?"
    )
    assert desk.item(one["pair_id"])["suggestions"] == []
    with pytest.raises(UsageError, match="earlier prompt"):
        desk.call(
            "ann", "review.decide", pair_id=one["pair_id"], rev=done["rev"], verdict="edit",
            suggestion=one["suggestions"][0]["suggestion_id"],
        )  # fmt: skip


def test_who_may_ask_whom(desk: Desk, chat: Chat) -> None:
    with pytest.raises(UsageError, match="one of them"):
        desk.call("admin", "suggest", task=TASK)
    with pytest.raises(UsageError, match="one of them"):
        desk.call("admin", "suggest", task=TASK, base=True, endpoint=chat.url)
    with pytest.raises(UsageError, match="endpoint_model"):
        desk.call("admin", "suggest", task=TASK, endpoint=chat.url)
    with pytest.raises(NotFound, match="No model"):
        desk.call("admin", "suggest", task=TASK, model="tiny-v9")
    with pytest.raises(PermissionDenied):
        desk.call("rita", "suggest", task=TASK, base=True)
    with pytest.raises(PermissionDenied, match="only the owner"):  # a lead at another machine
        desk.call("lea", "suggest", local=False, task=TASK, endpoint=chat.url, endpoint_model="clerk")


def test_a_voice_is_a_code_and_holds_no_password() -> None:
    spec = {"endpoint": "https://me:secret@[::1]:8000/v1", "endpoint_model": "org/model:7b"}
    assert suggestions.voice_of(spec) == "org/model:7b@-::1-:8000"


def test_forgetting_deletes_what_a_model_said_of_a_person(desk: Desk, told: dict) -> None:
    store, actor = desk.store, users.actor_for(desk.store, "admin")
    pairs = [row["pair_id"] for row in desk.pairs("ready")[:3]]
    said = {"completion": "Ask Quentina Vellathottam about it.", "asked": "x", "scores": "[]"}
    frame = pl.DataFrame([{"pair_id": pair, **said} for pair in pairs], schema=suggestions.RESULT)
    job = {"job_id": "j-1", "actor": "admin", "spec": {"endpoint": None, "model": "gossip-v1"}}
    store.write(lambda tx: suggestions.ingest(tx, desk.workspace, job, frame))
    store.write(lambda tx: suggestions.ingest(tx, desk.workspace, job, frame))
    found = forget.find(store, desk.workspace, ["Quentina Vellathottam"])
    assert (found.suggestions, found.pairs, found.nothing) == (3, [], False)
    done = forget.forget(
        store, desk.workspace, actor, ["Quentina Vellathottam"], reason="asked for in a letter"
    )
    assert done["erased"]["suggestions"] == 3 and done["left"]["suggestions"] == 0
    count = "SELECT count(*) AS n FROM suggestions WHERE pair_id = ?"
    pair = desk.waiting()[0]["pair_id"]
    assert store.one(count, [pair])["n"] == 1
    store.erase("admin", pair_ids=[pair], record_ids=[], reason="a test of it")
    store.write(
        lambda tx: suggestions.ingest(tx, desk.workspace, job, frame.with_columns(pair_id=pl.lit(pair)))
    )
    assert store.one(count, [pair])["n"] == 0 and store.verify_chain() == []
    assert review.item(store, actor, pair).suggestions == []


@pytest.mark.slow
def test_a_version_of_the_workspace_answers_as_it_does_when_asked(tmp_path: Path) -> None:
    """The job's work with a trained adapter on its base, without an endpoint."""
    made = workspace_with_model(tmp_path, epochs=6, learning_rate=2e-2)
    pack = made.workspace.tasks / PACK.name
    folder = made.workspace.models / "tiny-bot-v1"
    spec = {
        "task": PACK.name, "pack": str(pack), "model": str(folder), "endpoint": None, "endpoint_model": None,
        "api_key_env": None, "limit": 9, "max_new_tokens": 8, "threads": 1,
    }  # fmt: skip
    row = {
        "pair_id": "p1", "source": "s", "system": "", "history": "[]", "prompt": "Where is thing number 3, Dev?",
        "completion": "Here.", "metadata": "{}", "asked": "x",
    }  # fmt: skip
    out = suggestions.work(pack, spec, pl.DataFrame([row]), lambda state: None)
    asked = [{"role": "system", "content": PACK.system}, {"role": "user", "content": row["prompt"]}]
    [voice] = playground.voices([folder], load_pack(pack), base=False, threads=1).values()
    alone = voice.generate([asked], max_new_tokens=8, repetition_penalty=1.1)[0].text
    assert suggestions.voice_of(spec) == "tiny-bot-v1"
    assert out["completion"].to_list() == [alone] and alone
    assert out["scores"][0] == "[]" and out["score"][0] is None, "a pack without suites gives no score"
