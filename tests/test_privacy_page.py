"""The Privacy page without a browser: one answer for all alike, lists, the second look, proposals, originals.

Does not cover: the scan's own button and single answers (`test_pages.py`), what is stored (`test_lists.py` and others).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate import ops, users
from tests.serving import TASK, make_workspace, opened
from tests.test_pages import page, shown, sign_in  # noqa: F401  the same cookie, the same reading
from tests.test_standins import corpus


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with opened(make_workspace(tmp_path_factory.mktemp("privacy"))) as found:
        yield found


def ask(state: Any, user: str, operation: str, **fields: Any) -> dict[str, Any]:
    context = ops.Context(state.store, state.workspace, users.actor_for(state.store, user), local=True)
    return ops.run(context, operation, fields)


def edit(state: Any, number: int, completion: str) -> str:
    rows = ask(state, "lea", "pairs.list", task=TASK, limit=1000)["pairs"]
    one = next(row for row in rows if row["external_id"] == f"r{number}")
    ask(
        state, "ann", "review.decide", pair_id=one["pair_id"], rev=one["rev"], verdict="edit", completion=completion
    )  # fmt: skip
    return str(one["pair_id"])


def findings(state: Any) -> list[dict[str, Any]]:
    return ask(state, "rita", "findings.list", task=TASK, limit=500)["findings"]


def test_one_button_decides_this_and_the_others_alike(state: Any, sign_in: Any) -> None:  # noqa: F811
    for number in (11, 12, 13):
        edit(state, number, "Write to desk@firm.example.com.")
    alike = [row for row in findings(state) if row["text"] == "desk@firm.example.com"]
    assert [row["alike"] for row in alike] == [2, 2, 2]
    sign_in("vic")
    app = page("privacy").run()
    assert "This and 2 others alike" in shown(app)
    assert app.button(key=f"same-reject-{alike[0]['finding_id']}").disabled
    sign_in("rita")
    app = page("privacy").run()
    app.button(key=f"same-reject-{alike[0]['finding_id']}").click().run()
    text = shown(app)
    assert "3 kept; the string is on the allow list." in text and "never personal" in text
    assert "Version 1." in text and "desk@firm.example.com" in text
    assert not [row for row in findings(state) if row["text"] == "desk@firm.example.com"]


def test_a_lead_adds_and_removes_a_string_and_others_see_the_version(state: Any, sign_in: Any) -> None:  # noqa: F811
    edit(state, 14, "Zorblat & <b>Quince</b> came.")
    sign_in("rita")
    app = page("privacy").run()
    assert not [box for box in app.text_input if box.key == "term-text"]
    assert all(button.disabled for button in app.button if str(button.key).startswith("unlist-"))
    sign_in("lea")
    app = page("privacy").run()
    app.text_input(key="term-text").input("Zorblat & <b>Quince").run()
    next(button for button in app.button if button.label == "Add").click().run()
    text = shown(app)
    assert "Version 2: 1 findings opened, 0 closed." in text and "Zorblat &amp; &lt;b&gt;Quince" in text
    term = next(
        row for row in ask(state, "lea", "privacy.lists", task=TASK)["terms"] if row["kind"] == "deny"
    )
    app.button(key=f"unlist-{term['term_id']}").click().run()
    assert "Removed; 1 rows that hold it were scanned again." in shown(app)
    assert not [row for row in findings(state) if row["recognizer"] == "list.deny"]


def test_a_document_is_looked_at_without_marks_and_the_bound_follows(state: Any, sign_in: Any) -> None:  # noqa: F811
    sign_in("vic")
    app = page("privacy").run()
    assert "Nobody has looked yet" in shown(app)
    assert not [button for button in app.button if button.label == "Look at a document"]
    sign_in("rita")
    app = page("privacy").run()
    next(button for button in app.button if button.label == "Look at a document").click().run()
    item = ask(state, "rita", "secondlook.next", task=TASK)["item"]
    cards = [html for html in (h.proto.body for h in app.get("html")) if "gp-scroll" in html]
    assert cards and not any("<mark" in html for html in cards)
    next(button for button in app.button if button.label == "Nothing personal is left").click().run()
    assert "Of 1 looked at, 0 leaked: at most 95.0% leak, at 95%." in shown(app)
    item = ask(state, "rita", "secondlook.next", task=TASK)["item"]
    word = item["fields"]["completion"].split()[0]
    box = f"missed-{item['pair_id']}-{item['rev']}"
    app.text_area(key=box).input("nowhere at all").run()
    next(button for button in app.button if button.label.startswith("It leaked")).click().run()
    assert "do not stand in the document" in shown(app) and "Of 1 looked at" in shown(app)
    app.text_area(key=box).input(f"{word}\n").run()
    next(button for button in app.button if button.label.startswith("It leaked")).click().run()
    assert "Of 2 looked at, 1 leaked" in shown(app) and "counts as one that leaked" in shown(app)
    assert ask(state, "rita", "review.item", pair_id=item["pair_id"])["rev"] == item["rev"] + 1


def test_originals_are_for_those_who_may_and_behind_a_button(state: Any, sign_in: Any) -> None:  # noqa: F811
    pair = edit(state, 15, "Zorblat wrote from zed@firm.example.com.")
    rev = ask(state, "rita", "review.item", pair_id=pair)["rev"]
    done = ask(
        state, "rita", "findings.add", pair_id=pair, rev=rev, field="completion", start=0, stop=7, entity_type="PERSON"
    )  # fmt: skip
    assert done["rev"] == rev + 1
    row = next(row for row in findings(state) if row["pair_id"] == pair)
    sign_in("rita")
    app = page("privacy").run()
    assert not [button for button in app.button if str(button.key).startswith("original-")]
    sign_in("lea")
    app = page("privacy").run()
    seen = "SELECT count(*) AS n FROM events WHERE kind = 'original_seen'"
    assert state.store.one(seen)["n"] == 0 and "Zorblat" not in shown(app).replace("Zorblat &", "")
    app.button(key=f"original-{row['finding_id']}").click().run()
    assert "<td>Zorblat</td>" in shown(app) and state.store.one(seen)["n"] == 1


def test_a_proposal_is_refused_with_examples_or_switched_on(
    state: Any,
    sign_in: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from curate import proposals

    for text in ("QX-11", "QX-2223", "ZZ-3"):
        ask(state, "lea", "privacy.deny", task=TASK, text=text, entity_type="ID")
    sign_in("lea")
    monkeypatch.setattr(proposals, "CORPUS", corpus(tmp_path / "bad", "Form WS-20 says so."))
    app = page("privacy").run()
    assert "3 different strings, type id" in shown(app)
    app.button(key="switch-A-9-ID").click().run()
    assert "Not switched on" in shown(app) and "WS-20" in shown(app)
    monkeypatch.setattr(proposals, "CORPUS", corpus(tmp_path / "good", "plain words"))
    app.button(key="switch-A-9-ID").click().run()
    assert "On: 0 findings opened." in shown(app) and "always personal, by its shape" in shown(app)
