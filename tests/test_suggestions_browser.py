"""On the review card, in a real browser: suggestions, taken by a key as an edit, never by themselves; order by score.

Does not cover: which pairs are asked and what is stored (`test_suggestions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from curate.client import Client
from tests.serving import TASK, Running, make_workspace, serving
from tests.test_pages_browser import Tab, browser, pytestmark  # noqa: F401  the same browser, the same conditions
from tests.test_suggestions import NOTE, SUITE, Chat
from tests.train_helpers import run_job


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = make_workspace(tmp_path_factory.mktemp("suggesting"))
    pack = found.tasks / TASK / "task.toml"
    pack.write_text(pack.read_text("utf-8") + SUITE, "utf-8")
    chat = Chat()
    told = run_job(Client(found), "suggest", task=TASK, endpoint=chat.url, endpoint_model="clerk")
    assert told["suggested"] > 20
    one = Client(found).call("pairs.list", task=TASK, status="ready", limit=40)["pairs"][-1]
    Client(found, "ann").call(
        "review.decide", pair_id=one["pair_id"], rev=one["rev"], verdict="edit", completion=NOTE
    )
    run_job(Client(found), "review.score", task=TASK)
    return found


@pytest.fixture(scope="module")
def running(workspace: Any) -> Iterator[Running]:
    with serving(workspace) as found:
        yield found


def test_a_suggestion_is_taken_by_a_key_and_stays_marked(
    browser: Any,  # noqa: F811
    running: Running,
    workspace: Any,
) -> None:
    tab = Tab(browser, running)
    admin = Client(workspace)
    press = tab.page.keyboard.press
    completion = tab.page.locator("[data-edit=completion]")
    tab.sign_in("rita").review()
    assert "Let a model suggest" not in tab.page.inner_text("[data-testid=stMain]"), "only leads start jobs"
    item = tab.shown()
    before = admin.call("review.item", pair_id=item)
    beside = tab.page.locator("[data-suggestion]")
    assert beside.locator("ins").count() > 0 and beside.locator("del").count() > 0
    told = tab.page.locator("summary", has_text="A model suggests").inner_text()
    assert "clerk@127.0.0.1" in told and f"soap note {before['suggestions'][0]['score']:.2f}" in told
    assert NOTE not in tab.page.locator("[data-text=completion]").inner_text()
    # W: the editor begins with the suggestion, which nothing has saved yet; a reload keeps it
    press("w")
    assert completion.input_value() == NOTE
    assert admin.call("review.item", pair_id=item)["rev"] == before["rev"]
    tab.page.reload()
    tab.page.wait_for_selector(".chips[data-pair]")
    assert tab.shown() == item
    press("e")
    assert completion.input_value() == NOTE
    assert "begun as a suggestion of clerk@" in tab.page.locator(".chips[data-pair]").inner_text()
    press("Control+Enter")
    tab.until(lambda: tab.shown() not in (None, item))
    tab.saved()
    now = admin.call("review.item", pair_id=item)
    assert (now["completion"], now["author"], now["rev"]) == (NOTE, "rita", before["rev"] + 1)
    assert now["began"]["changed"] is False
    # a draft of one's own is not lost to one key; what is changed before saving is told
    second = tab.shown()
    press("e")
    tab.page.keyboard.type(" mine")
    press("Escape")
    press("w")
    assert "Your draft waits" in tab.page.locator(".problem").inner_text()
    press("w")
    assert completion.input_value() == NOTE
    tab.page.keyboard.type(" Rest.")
    press("Control+Enter")
    tab.until(lambda: tab.shown() not in (None, second))
    tab.saved()
    changed = admin.call("review.item", pair_id=second)
    assert changed["completion"] == NOTE + " Rest." and changed["began"]["changed"] is True
    assert tab.errors == []
    tab.context.close()
    # another reviewer sees what the revision began as, and approves it
    other = Tab(browser, running)
    other.sign_in("lea").review(f"?pair={item}")
    other.until(lambda: other.shown() == item)
    assert "began as a suggestion of clerk@" in other.page.locator(".chips[data-pair]").inner_text()
    assert "Let a model suggest" in other.page.inner_text("[data-testid=stMain]")
    other.page.keyboard.press("a")
    other.saved()
    assert admin.call("review.item", pair_id=item)["status"] == "approved"
    assert other.errors == []
    other.context.close()


def test_the_card_follows_the_order_that_was_chosen(
    browser: Any,  # noqa: F811
    running: Running,
    workspace: Any,
) -> None:
    best = Client(workspace).call("pairs.list", task=TASK, status="ready", sort="score_high", limit=1)[
        "pairs"
    ][0]
    assert best["completion"] == NOTE
    tab = Tab(browser, running)
    tab.sign_in("rita").review()
    begun = tab.shown()
    assert begun != best["pair_id"]
    tab.page.keyboard.press("e")
    tab.page.keyboard.type(" mine")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_text("Order of the queue").click()
    tab.choose("Order", "highest score first")
    tab.until(lambda: tab.shown() == best["pair_id"])
    tab.page.locator(".chips[data-pair]").click()  # keys are inert while the list of orders has the focus
    tab.page.keyboard.press("a")
    tab.saved()
    assert [one["pair_id"] for one in tab.decided] == [best["pair_id"]]
    tab.choose("Order", "as it comes")
    tab.until(lambda: tab.shown() == begun)
    assert "your draft waits" in tab.page.locator(".chips[data-pair]").inner_text(), "drafts outlive an order"
    assert tab.errors == []
    tab.context.close()
