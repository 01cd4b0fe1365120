"""On the review card, in a real browser: text that is selected and marked as personal is replaced, by P and a digit.

Does not cover: what is stored (`test_secondlook.py`), findings of a scan on the card (`test_pages_browser.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from curate.client import Client
from tests.serving import TASK, Running, make_workspace, serving
from tests.test_pages_browser import Tab, browser, pytestmark  # noqa: F401  the same browser, the same conditions

TEXT = "🙂 call 98765 43210; then Zorblat said: ask Quimble, 🙂 not Zorblat."
# The middle of the first place of a word, on the screen.
WHERE = """(pane, word) => {
  const walk = document.createTreeWalker(pane, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const at = node.data.indexOf(word);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at); range.setEnd(node, at + word.length);
    const box = range.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  }
}"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_workspace(tmp_path_factory.mktemp("marking"))


@pytest.fixture(scope="module")
def running(workspace: Any) -> Iterator[Running]:
    with serving(workspace) as found:
        yield found


def test_selected_text_is_replaced_by_p_and_a_digit(
    browser: Any,  # noqa: F811
    running: Running,
    workspace: Any,
) -> None:
    admin = Client(workspace)
    pair = admin.call("pairs.list", task=TASK, status="ready", limit=1)["pairs"][0]["pair_id"]
    rev = admin.call("review.item", pair_id=pair)["rev"]
    Client(workspace, "ann").call("review.decide", pair_id=pair, rev=rev, verdict="edit", completion=TEXT)
    found = admin.call("findings.list", task=TASK, limit=100)["findings"]
    [phone] = [row["finding_id"] for row in found if row["pair_id"] == pair]
    admin.call("findings.decide", finding_id=phone, decision="confirm")
    before = admin.call("review.item", pair_id=pair)
    assert before["surrogates"], "a mark and its label stand before the words that are selected"

    tab = Tab(browser, running)
    tab.sign_in("rita").review(f"?pair={pair}")
    tab.until(lambda: tab.shown() == pair)
    press = tab.page.keyboard.press
    completion = tab.page.locator("[data-text=completion]")
    actions = tab.page.locator(".actions")
    press("p")
    assert "Select what is personal" in tab.page.locator(".problem").inner_text()

    tab.page.mouse.dblclick(*completion.evaluate(WHERE, "Zorblat"))
    press("p")
    assert "“Zorblat” as:" in actions.inner_text() and "person" in actions.inner_text()
    press("Escape")
    assert admin.call("review.item", pair_id=pair)["rev"] == before["rev"], "nothing was sent"
    press("p")
    press("1")
    tab.until(lambda: admin.call("review.item", pair_id=pair)["rev"] == before["rev"] + 1)
    now = admin.call("review.item", pair_id=pair)
    assert "Zorblat" not in now["completion"] and now["completion"].count("🙂") == 2
    assert " said: ask Quimble, 🙂 not " in now["completion"], "the offsets count code points"
    assert [row["entity_type"] for row in now["surrogates"]] == ["PERSON", "PERSON"]
    # the card shows the new revision, which can be decided on
    tab.until(lambda: tab.page.locator(".chips").get_attribute("data-rev") == str(now["rev"]))
    assert "Zorblat" not in completion.inner_text()
    press("a")
    tab.saved()
    assert admin.call("review.item", pair_id=pair)["status"] == "approved"
    assert tab.errors == []
    tab.context.close()
