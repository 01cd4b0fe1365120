"""Pages in a real browser: nothing breaks, nothing a record says is obeyed, and no key is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from curate.client import Client
from curate.errors import RefusedError
from tests.serving import PASSWORD, TASK, Running, beacon, make_workspace, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; apt-get install chromium"),
]
PATIENCE_MS = 180_000  # generous: a loaded machine is slow, and nothing here measures time
PAGES = (
    "",
    "gallery",
    "import",
    "privacy",
    "duplicates",
    "review",
    "pairs",
    "facts",
    "insight",
    "snapshots",
    "runs",
    "versions",
    "jobs",
    "team",
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_workspace(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def running(workspace: Any) -> Iterator[Running]:
    with serving(workspace) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Tab:
    """One signed-in browser tab that writes down what it asked for, what failed, and what it decided."""

    def __init__(self, browser: Any, running: Running) -> None:
        self.running = running
        self.context = browser.new_context(viewport={"width": 1360, "height": 900})
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.decided: list[dict[str, Any]] = []
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("dialog", lambda d: (self.errors.append(f"dialog {d.message}"), d.dismiss()))
        self.page.on(
            "console", lambda m: self.errors.append(m.text) if "Content Security Policy" in m.text else None
        )
        self.page.on("requestfinished", self._finished)

    def _finished(self, request: Any) -> None:
        if request.url.endswith("/api/v1/review/decide"):
            self.decided.append(json.loads(request.post_data))

    def sign_in(self, name: str | None = None) -> Tab:
        if name is None:
            self.page.goto(self.running.link)
        else:
            self.page.goto(f"{self.running.base}/login")
            self.page.fill("#name", name)
            self.page.fill("#password", PASSWORD)
            self.page.click("button[type=submit]")
        self.page.wait_for_selector("h1")
        return self

    def open(self, path: str) -> Tab:
        self.page.goto(f"{self.running.base}/{path}")
        self.page.wait_for_selector("[data-testid=stMain] h1")
        return self.idle()

    def idle(self) -> Tab:
        """Wait until no rerun is under way; while one is, old and new widgets stand on the page together."""
        self.page.wait_for_function(
            "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
            " && !document.querySelector('[data-testid=stSkeleton]')"
        )
        return self

    def review(self, query: str = "") -> Tab:
        self.open("review" + query)
        self.until(lambda: self.shown() is not None)
        return self

    def shown(self) -> str | None:
        """The pair on the review card."""
        found = self.page.locator(".chips[data-pair]")
        return found.get_attribute("data-pair") if found.count() else None

    def until(self, what: Callable[[], bool]) -> None:
        for _ in range(PATIENCE_MS // 100):
            if what():
                return
            self.page.wait_for_timeout(100)
        seen = self.page.inner_text("[data-testid=stMain]")
        if self.page.locator(".card").count():  # its text is in a shadow root
            seen += self.page.locator(".card").inner_text()
        raise AssertionError(f"it did not happen; errors {self.errors}; on the page: {seen}")

    def choose(self, box: str, option: str) -> None:
        """Pick `option` in the list `box`; a rerun that falls between the two clicks shuts a list: open it again."""
        from playwright.sync_api import TimeoutError as Slow

        wanted = self.page.get_by_role("option", name=option)

        def picked() -> bool:
            self.page.get_by_role("combobox", name=box, exact=False).last.click()
            try:
                wanted.click(timeout=3000)
            except Slow:
                return False
            return True

        self.until(picked)

    def upload(self, box: str, file: Path, then: str) -> None:
        """Give ``file`` to the box labelled ``box`` until the page shows ``then``: a rerun may lose a file."""
        from playwright.sync_api import TimeoutError as Slow

        def read() -> bool:
            given = self.page.locator("[data-testid=stFileUploader]", has_text=box).locator(
                "input[type=file]"
            )
            given.set_input_files(file)
            try:
                self.page.get_by_text(then, exact=False).first.wait_for(timeout=20_000)
            except Slow:
                return False
            return True

        self.idle().until(read)

    def saved(self) -> None:
        """Wait until the card's outbox is empty."""
        self.until(
            lambda: self.page.evaluate(
                "() => Object.keys(sessionStorage).filter((k) => k.startsWith('goldpair:outbox'))"
                ".every((k) => sessionStorage[k] === '[]')"
            )
        )


@pytest.fixture
def tab(browser: Any, running: Running) -> Iterator[Tab]:
    found = Tab(browser, running)
    yield found
    found.context.close()


def test_every_page_opens_and_asks_only_this_server(tab: Tab) -> None:
    tab.sign_in()
    for path in PAGES:
        tab.open(path)
        assert tab.page.locator("[data-testid=stException]").count() == 0, path
        assert tab.page.locator("[data-testid=stMain] h1").count() == 1, path
        assert "Page not found" not in tab.page.inner_text("body"), path
    hosts = {urlsplit(url).netloc for url in tab.asked if url.startswith(("http", "ws"))}
    assert hosts == {urlsplit(tab.running.base).netloc}
    assert tab.errors == []
    assert tab.page.get_by_text("Deploy", exact=True).count() == 0


def test_nothing_in_a_record_is_obeyed(tab: Tab, workspace: Any) -> None:
    pairs = Client(workspace).call("pairs.list", task=TASK, search="hostile")["pairs"]
    assert f":{beacon().port}/tag.png" in pairs[0]["prompt"]  # nothing made it harmless on the way
    tab.sign_in("rita")

    def look(place: str) -> None:
        tab.page.wait_for_timeout(1500)  # whatever would load, would load now
        assert beacon().heard == [], place
        assert tab.page.evaluate("() => window.pwned") is None, place
        found = tab.page.evaluate(
            """(port) => { const bad = []; const walk = (root) => root.querySelectorAll('*').forEach((e) => {
                 if (e.shadowRoot) walk(e.shadowRoot);
                 for (const a of ['src', 'href', 'srcset']) { const v = e.getAttribute(a) ?? '';
                   if (v.includes(':' + port) || v.startsWith('javascript:')) bad.push(e.outerHTML.slice(0, 200)); }
                 if (e.tagName === 'STYLE' && e.textContent.includes(':' + port)) bad.push('style'); });
               walk(document); return bad; }""",
            beacon().port,
        )
        assert found == [], place

    tab.open(f"pairs?pair={pairs[0]['pair_id']}")
    assert "<img src=http" in tab.page.inner_text("[data-testid=stMain]")  # as text
    look("one pair")
    tab.open("pairs")
    tab.page.get_by_label("Search in prompt and completion").fill("hostile")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("mark")
    look("search")
    for path in ("privacy", "duplicates"):
        tab.open(path)
        assert "<img src=http" in tab.page.inner_text("[data-testid=stMain]"), path
        look(path)
    tab.review(f"?pair={pairs[0]['pair_id']}")
    tab.until(lambda: tab.shown() == pairs[0]["pair_id"])
    assert "<script>window.pwned" in tab.page.locator("[data-text=prompt]").inner_text()
    assert "{{ 7*7 }}" in tab.page.locator("[data-text=prompt]").inner_text()
    look("review card")
    tab.page.keyboard.press("e")
    look("editor")
    tab.page.keyboard.press("Escape")
    assert tab.errors == []
    tab.saved()


def test_ten_keys_are_ten_decisions_on_what_was_shown(tab: Tab, workspace: Any) -> None:
    tab.sign_in("rita").review()
    seen = []
    for _ in range(10):
        seen.append(tab.shown())
        tab.page.keyboard.press("a")
    tab.saved()
    assert [one["pair_id"] for one in tab.decided] == seen and len(set(seen)) == 10
    states = {p: Client(workspace).call("review.item", pair_id=p)["status"] for p in seen if p}
    assert set(states.values()) == {"approved"}


def test_keys_are_not_doubled_by_coming_back(tab: Tab) -> None:
    tab.sign_in("rita").review()
    for _ in range(2):  # the card is mounted three times in one session
        tab.page.get_by_role("link", name="Jobs").click()
        tab.page.wait_for_selector("h1:has-text('Jobs')")
        tab.page.get_by_role("link", name="Review").click()
        tab.page.wait_for_selector(".chips[data-pair]")
    before = len(tab.decided)
    seen = []
    for _ in range(5):
        seen.append(tab.shown())
        tab.page.keyboard.press("a")
    tab.saved()
    assert [one["pair_id"] for one in tab.decided[before:]] == seen


def test_a_reload_keeps_the_item_and_the_draft(tab: Tab) -> None:
    tab.sign_in("rita").review()
    item = tab.shown()
    tab.page.keyboard.press("e")
    tab.page.keyboard.type(" axe")  # letters that decide elsewhere decide nothing while typing
    tab.page.reload()
    tab.page.wait_for_selector(".chips[data-pair]")
    assert tab.shown() == item and tab.decided == []
    tab.page.keyboard.press("e")
    assert tab.page.locator("[data-edit=completion]").input_value().endswith(" axe")


def test_what_was_decided_offline_is_saved_once(tab: Tab, workspace: Any) -> None:
    tab.sign_in("rita").review()
    tab.context.set_offline(True)
    seen = []
    for _ in range(3):
        seen.append(tab.shown())
        tab.page.keyboard.press("a")
    tab.until(lambda: "Offline" in tab.page.locator(".save").inner_text())
    tab.context.set_offline(False)
    tab.saved()
    client = Client(workspace)
    for pair in seen:
        events = [e["kind"] for e in client.call("review.item", pair_id=pair)["decisions"]]
        assert events.count("approve") == 1


def test_reject_label_undo_and_edit_by_keys(tab: Tab, workspace: Any) -> None:
    client = Client(workspace)
    tab.sign_in("rita").review()
    item = tab.shown()
    for key in ("4", "x", "2"):
        tab.page.keyboard.press(key)
    tab.saved()
    found = client.call("review.item", pair_id=item)
    assert (found["status"], found["reason"], found["labels"]) == ("rejected", "wrong", {"tone": 4})
    tab.page.keyboard.press("u")
    tab.until(lambda: tab.shown() == item)
    assert client.call("review.item", pair_id=item)["status"] == "ready"
    tab.page.keyboard.press("e")
    tab.page.keyboard.type(" More.")
    tab.page.keyboard.press("Control+Enter")
    tab.until(lambda: tab.shown() != item)
    tab.saved()
    edited = client.call("review.item", pair_id=item)
    assert (
        edited["rev"] == found["rev"] + 1
        and edited["author"] == "rita"
        and edited["completion"].endswith(" More.")
    )
    with pytest.raises(RefusedError, match="another reviewer approves it"):
        Client(workspace, "rita").call("review.decide", pair_id=item, rev=edited["rev"], verdict="approve")


def test_a_refused_decision_brings_the_item_back_with_the_reason(tab: Tab, workspace: Any) -> None:
    lea = Client(workspace, "lea")
    # A short queue, so that the card fetches more right after the refusal: that must not wipe the reason away.
    for other in (Client(workspace), Client(workspace, "rita")):
        free = lea.call("review.counts", task=TASK)["for_me"]
        held = other.call("review.counts", task=TASK)["for_me"] - free
        if free > 5:
            other.call("review.next", task=TASK, n=min(50, held + free - 5))
    assert lea.call("review.counts", task=TASK)["for_me"] == 5
    tab.sign_in("lea").review()
    item = tab.shown()
    rev = lea.call("review.item", pair_id=item)["rev"]
    lea.call("review.decide", pair_id=item, rev=rev, verdict="edit", completion="Changed in another window.")
    with tab.page.expect_response("**/api/v1/review/counts"):
        tab.page.keyboard.press("a")
        tab.page.wait_for_selector(".problem:not([hidden])")
    tab.page.wait_for_timeout(1500)  # whatever would wipe it, has
    assert f"you looked at revision {rev}" in tab.page.locator(".problem").inner_text()
    assert tab.shown() == item
    assert (
        "Changed in another window." in tab.page.locator("[data-text=completion]").inner_text()
    )  # as it is now
    assert lea.call("review.item", pair_id=item)["status"] != "approved"


def test_a_viewer_gets_no_card_and_signing_out_ends_it(tab: Tab) -> None:
    tab.sign_in("vic").open("review")
    assert "not decide" in tab.page.inner_text("[data-testid=stMain]")
    tab.page.get_by_role("link", name="Sign out").click()
    tab.page.wait_for_selector("#password")
    tab.page.goto(f"{tab.running.base}/")
    tab.page.wait_for_selector("text=You are not signed in")


def test_keys_are_remapped_findings_decided_and_a_stale_edit_shows_three_texts(
    tab: Tab, workspace: Any
) -> None:
    admin = Client(workspace)
    held = admin.call("pairs.list", task=TASK, status="held", reason="open_findings")["pairs"][0]["pair_id"]
    tab.sign_in("lea").review(f"?pair={held}")
    tab.until(lambda: tab.shown() == held)
    press = tab.page.keyboard.press
    # personal data: P points at it, Y replaces it
    press("p")
    tab.page.wait_for_selector("mark.on")
    press("y")
    tab.until(lambda: admin.call("review.item", pair_id=held)["rev"] == 2)
    tab.until(lambda: tab.page.locator(".chips[data-pair]").get_attribute("data-rev") == "2")
    assert "+91 98765 43210" not in tab.page.locator("[data-text=completion]").inner_text()
    tab.until(lambda: tab.page.locator(".check").count() > 0)  # live checks arrive by themselves
    # another key for skip: shown on the button, kept for this user, the old one does nothing
    press("h")
    tab.page.click("[data-change=skip]")
    press("r")  # the page's own
    assert "belongs to the page" in tab.page.locator(".said").inner_text()
    press("j")
    tab.until(
        lambda: (
            admin.call("preferences.list") == {"preferences": {}}
            and Client(workspace, "lea").call("preferences.list")["preferences"]
            == {"card_keys": {"skip": "j"}}
        )
    )
    press("Escape")
    assert "J" in tab.page.get_by_role("button", name="Skip").inner_text()
    before = len(tab.decided)
    press("s")
    assert tab.shown() == held
    press("j")
    tab.until(lambda: tab.shown() != held)
    tab.saved()
    assert [one["verdict"] for one in tab.decided[before:]] == ["skip"]
    # an edit of a text that somebody changed meanwhile
    item = tab.shown()
    rev = admin.call("review.item", pair_id=item)["rev"]
    press("e")
    tab.page.keyboard.type(" mine")
    Client(workspace, "lea").call(
        "review.decide", pair_id=item, rev=rev, verdict="edit", completion="Theirs entirely."
    )
    press("Control+Enter")
    tab.page.wait_for_selector(".three")
    three = tab.page.locator(".three").inner_text()
    assert "Theirs" in three and "mine" in three and tab.shown() == item
    tab.page.reload()
    tab.page.wait_for_selector(".chips[data-pair]")
    assert "J" in tab.page.get_by_role("button", name="Skip").inner_text()
    assert tab.errors == []


def test_an_empty_workspace_opens_with_the_gallery_and_starts_a_task(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Who comes first sees what there is to start from; what a pack's texts say is shown and not obeyed."""
    from curate.store import Store
    from curate.tasks import shipped_packs
    from curate.users import ensure_owner
    from curate.workspace import Workspace

    made = Workspace.create(tmp_path_factory.mktemp("first") / "ws")
    with Store.open(made.store) as store:
        ensure_owner(store, "admin")
    with serving(made) as running:
        tab = Tab(browser, running)
        try:
            tab.sign_in()
            tab.until(lambda: tab.page.locator("h1").inner_text() == "Gallery")
            number = sorted(shipped_packs()).index("sarcastic-bot")  # one set of tabs a pack
            tab.page.get_by_role("tab", name="Start my own from this").nth(number).click()
            form = tab.page.get_by_role("tabpanel").filter(has_text="Copies the pack")
            form.locator("input").first.fill("house-bot")
            form.locator("input").first.press("Tab")
            form.get_by_role("button", name="Start my own from this").click()
            tab.until(lambda: "Task house-bot is ready" in tab.page.inner_text("[data-testid=stMain]"))
            assert (made.tasks / "house-bot" / "task.toml").is_file()
            tab.until(lambda: tab.page.get_by_role("combobox", name="Task").input_value() == "House bot")
            tab.page.get_by_role("tab", name="Guidelines").nth(number).click()
            tab.until(lambda: "# Sarcastic bot: how to" in tab.page.inner_text("[data-testid=stMain]"))
            tab.page.get_by_role(
                "link", name="Overview"
            ).click()  # once a session: the overview stays reachable
            tab.until(lambda: tab.page.locator("h1").inner_text() == "Overview")
            assert tab.errors == []
        finally:
            tab.context.close()
