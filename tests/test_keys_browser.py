"""Keys on the review card in a real browser: n keys are n decisions, each on the item that was shown, whatever breaks
in between (a reload, a dropped websocket, a server that dies and comes back).

Does not cover: what each key does (`test_pages_browser.py`), how fast the next item comes (`benchmarks/review.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.review import PACK_TEXT, TASK, add_pairs
from curate import users
from curate.store import Store
from curate.workspace import Workspace
from tests.serving import Running, serving
from tests.test_pages_browser import Tab, browser, pytestmark  # noqa: F401  the same browser, the same conditions

# Streamlit's sockets, so that a test can drop them.
SOCKETS = """(() => { const Plain = WebSocket; window.sockets = [];
  window.WebSocket = class extends Plain { constructor(...a) { super(...a); window.sockets.push(this); } } })()"""


def crowd(root: Path, pairs: int) -> Workspace:
    """A workspace with so many pairs that wait for review, and one who may review them."""
    workspace = Workspace.create(root / "ws")
    (workspace.tasks / TASK).mkdir()
    (workspace.tasks / TASK / "task.toml").write_text(PACK_TEXT, "utf-8")
    with Store.open(workspace.store) as store:
        users.ensure_owner(store, "admin")
        add_pairs(store, pairs)
    return workspace


class Keys(Tab):
    """A tab that presses A and writes down which pair was shown when it did."""

    def __init__(self, browser: Any, running: Running) -> None:  # noqa: F811
        super().__init__(browser, running)
        self.page.add_init_script(SOCKETS)
        self.seen: list[str] = []

    def press(self, times: int, pause_ms: int = 100) -> None:
        for _ in range(times):
            pair = self.shown()
            while pair is None:  # faster than items can be fetched
                self.until(lambda: self.shown() is not None)
                pair = self.shown()
            self.seen.append(pair)
            self.page.keyboard.press("a")
            self.page.wait_for_timeout(pause_ms)

    def again(self) -> None:
        """Reload, and wait for the card."""
        self.page.reload()
        self.until(lambda: self.shown() is not None)

    def drop(self) -> None:
        self.page.evaluate("() => window.sockets.forEach((one) => one.close())")


def approved(workspace: Workspace) -> list[str]:
    """Pairs in the order of their approvals, from the log of a store that nobody serves."""
    with Store.open(workspace.store) as store:
        assert store.verify_chain() == [] and store.verify_replay() == []
        rows = store.rows("SELECT pair_id FROM events WHERE kind = 'approve' ORDER BY seq")
    return [row["pair_id"] for row in rows]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    yield crowd(tmp_path, 120)


def test_thirty_keys_in_three_seconds_are_thirty_decisions_through_a_reload_and_a_dropped_socket(
    browser: Any,  # noqa: F811
    workspace: Workspace,
) -> None:
    with serving(workspace) as running:
        keys = Keys(browser, running)
        keys.sign_in().review(f"?task={TASK}")
        keys.press(10)
        keys.again()
        keys.press(10)
        keys.drop()
        keys.press(10)
        keys.saved()
        assert keys.errors == []
        keys.context.close()
    assert approved(workspace) == keys.seen and len(set(keys.seen)) == 30


def test_keys_pressed_while_the_server_is_down_are_saved_when_it_is_back(
    browser: Any,  # noqa: F811
    workspace: Workspace,
) -> None:
    with serving(workspace) as running:
        port = int(running.base.rsplit(":", 1)[1])
        keys = Keys(browser, running)
        keys.sign_in().review(f"?task={TASK}")
        keys.press(5)
        running.process.kill()
        running.process.wait()
        keys.press(5)
    with serving(workspace, port):
        keys.saved()
        keys.press(5)
        keys.again()
        keys.press(5)
        keys.saved()
        keys.context.close()
    assert approved(workspace) == keys.seen and len(set(keys.seen)) == 20


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_keys_with_trouble_at_random(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    workspace = crowd(tmp_path, 1100)
    dice = random.Random(1)
    with serving(workspace) as running:
        keys = Keys(browser, running)
        keys.sign_in().review(f"?task={TASK}")
        while len(keys.seen) < 1000:
            keys.press(min(dice.randint(5, 40), 1000 - len(keys.seen)), pause_ms=dice.choice((0, 20, 100)))
            trouble = dice.choice((keys.again, keys.drop, keys.saved, None))
            if trouble:
                trouble()
            keys.until(lambda: keys.shown() is not None)
        keys.saved()
        assert keys.errors == []
        keys.context.close()
    assert approved(workspace) == keys.seen and len(set(keys.seen)) == 1000
