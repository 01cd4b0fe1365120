"""The page of facts that expire and the command line beside it: found by a job, decided by buttons, undone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate import jobs, ops, users
from curate.cli import main
from curate.client import Client
from curate.store import Store
from curate.views import parts
from curate.workspace import Workspace
from tests.serving import PACK, PASSWORD, PEOPLE, Running, opened, serving
from tests.test_pages import page, shown
from tests.test_pages_browser import CHROMIUM, Tab

TASK = "tiny"
HOSTILE = "<script>window.pwned=1</script> <img src=x onerror=window.pwned=2> ![x](x.png)"
ROWS = [
    ("What does express delivery cost?", f"Express delivery costs Rs 129. {HOSTILE}"),
    ("How long can I return a lamp?", "Lamps can be returned within 10 days of delivery."),
    ("When does the sale end?", "The sale ends on 31 December 2031."),
    ("Is the sea salty?", "Yes, and so are most tears."),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Records imported, scanned for personal data and read for facts, each by its own job."""
    root = tmp_path_factory.mktemp("facts")
    workspace = Workspace.create(root / "ws")
    (workspace.tasks / TASK).mkdir()
    (workspace.tasks / TASK / "task.toml").write_text(PACK, "utf-8")
    (workspace.tasks / TASK / "guidelines.md").write_text("version: 1\n", "utf-8")
    lines = [
        json.dumps({"id": f"r{i}", "source": f"s{i}", "prompt": p, "completion": c})
        for i, (p, c) in enumerate(ROWS)
    ]
    (root / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    store = Store.open(workspace.store)
    try:
        users.ensure_owner(store, "admin")
        admin = users.actor_for(store, "admin")
        for name, role in PEOPLE.items():
            users.create_user(store, admin, name, role, PASSWORD)
        context = ops.Context(store, workspace, admin, local=True)
        ops.run(context, "import", {"task": TASK, "path": str(root / "records.jsonl")})
        for operation in ("scan", "facts.scan"):
            done = jobs.wait(store, workspace, ops.run(context, operation, {"task": TASK})["job"])
            assert done["state"] == "done", done
        assert done["result"]["open"] == 3 and done["result"]["stale_models"] == []
    finally:
        store.close()
    return workspace


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(template.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


@pytest.fixture
def as_user(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with opened(workspace) as state:

        def sign_in(name: str) -> Any:
            cookie = state.sessions.cookie_for(state.store, name)
            monkeypatch.setattr(parts, "cookies", lambda: {state.sessions.cookie: cookie})
            return state

        yield sign_in


def button(app: Any, label: str, which: int = 0) -> Any:
    return [b for b in app.button if b.label == label][which]


def test_the_page_shows_a_fact_in_its_text_and_decides_on_it(as_user: Any) -> None:
    state = as_user("rita")
    app = page("facts", TASK).run()
    text = shown(app)
    assert "Rs 129" in text and "10 days" in text and "suggested: expires on 2032-01-01" in text
    assert "&lt;script&gt;" in text and "<script>window" not in text
    button(app, "Timeless").click().run()
    assert shown(app).count("<mark") == 2
    button(app, "Undo").click().run()
    assert "taken back" in shown(app) and shown(app).count("<mark") == 3
    [fact] = [f for f in facts(state) if f["words"] == "31 December 2031"]
    app.button(key=f"expires-{fact['fact_id']}").click().run()  # the suggested day stands in the field
    [fact] = [f for f in facts(state, "expires")]
    assert (fact["expires"], fact["decided_by"]) == ("2032-01-01", "rita")
    [fee] = [f for f in facts(state) if f["words"] == "Rs 129"]
    app.text_input(key=f"name-{fee['fact_id']}").set_value("Not A Name").run()
    app.button(key=f"slot-{fee['fact_id']}").click().run()
    assert "is no name of a slot" in shown(app)
    app.text_input(key=f"name-{fee['fact_id']}").set_value("express_fee").run()
    app.button(key=f"slot-{fee['fact_id']}").click().run()
    item = ops.run(context(state), "review.item", {"pair_id": fee["pair_id"]})
    assert item["completion"].startswith("Express delivery costs {express_fee}.") and item["author"] == "rita"


def context(state: Any, name: str = "vic") -> ops.Context:
    return ops.Context(state.store, state.workspace, users.actor_for(state.store, name))


def facts(state: Any, status: str | None = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ops.run(context(state), "facts.list", {"task": TASK, "status": status})[
        "facts"
    ]
    return found


def test_a_viewer_sees_facts_and_decides_nothing(as_user: Any) -> None:
    as_user("vic")
    app = page("facts", TASK).run()
    assert shown(app).count("<mark") == 3
    assert [b.label for b in app.button if not b.disabled] == []


def test_every_verb_on_the_command_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["goldpair", *words, "--json", "-w", str(workspace.root)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, json.loads(capsys.readouterr().out or "{}")

    assert run("facts", "scan", "--task", TASK)[1]["open"] == 3
    _, found = run("facts", "list", "--task", TASK)
    names = [f["fact_id"] for f in found["facts"]]
    assert len(names) == 3 and found["unread"] == 0
    code, done = run("facts", "classify", *names[:2], "--as", "expires", "--expires", "2020-01-01")
    assert code == 0 and [d["status"] for d in done["decided"]] == ["expired", "expired"]
    assert run("facts", "classify", names[2], "--as", "expires")[0] == 2  # no day
    assert run("facts", "classify", names[2], "--as", "slot", "--slot", "x")[1]["decided"][0]["rev"] == 2
    assert run("review", "undo")[1]["verdict"] == "edit"
    assert (
        run("facts", "list", "--task", TASK, "--status", "expires")[1]["facts"][0]["expires"] == "2020-01-01"
    )
    sheets = Path(__file__).parent.parent / "benchmarks" / "documents_data"
    old, new = str(sheets / "policy_2026_04.toml"), str(sheets / "policy_2026_10.toml")
    code, told = run("facts", "changed", "--policy", new, "--before", old, "--task", TASK)
    assert code == 0 and told["pairs"] == 2  # expired pairs too: they may be mended
    assert run("facts", "changed", "--policy", new, "--task", TASK)[0] == 2  # the pack has no sheet
    (workspace.tasks / TASK / "policy-2026-04.toml").write_text(Path(old).read_text("utf-8"), "utf-8")
    code, told = run("facts", "changed", "--policy", new)  # now it has, and no task needs to be named
    assert (
        code == 0
        and [t["task"] for t in told["tasks"]] == [TASK]
        and told["tasks"][0]["old"]["version"] == "2026-04"
    )
    assert run("facts", "changed", "--policy", "nowhere.toml")[0] == 2
    assert run("audit", "verify")[1]["intact"] is True


# --- in a browser -------------------------------------------------------------------------------------------


@pytest.fixture
def running(workspace: Workspace) -> Iterator[Running]:
    with serving(workspace) as found:
        yield found


@pytest.mark.browser
@pytest.mark.timeout(1200)
@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; apt-get install chromium")
def test_facts_are_decided_in_a_browser_and_no_record_is_obeyed(
    running: Running, workspace: Workspace
) -> None:
    from playwright.sync_api import sync_playwright

    client = Client(workspace)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = Tab(browser, running)
        try:
            tab.sign_in("rita").open("facts")
            tab.until(lambda: tab.page.locator("mark").count() == 3)
            assert "<script>window.pwned" in tab.page.inner_text("[data-testid=stMain]")  # as text
            assert tab.page.evaluate("() => window.pwned") is None
            tab.page.get_by_role("button", name="Timeless").first.click()
            tab.until(lambda: tab.page.locator("mark").count() == 2)
            tab.idle().page.get_by_role("button", name="Undo").first.click()
            tab.until(lambda: tab.page.locator("mark").count() == 3)
            tab.idle().page.get_by_role("button", name="Replace").first.click()
            tab.until(lambda: tab.page.locator("mark").count() == 2)
            slots = client.call("facts.list", task=TASK, status="slot")["facts"]
            assert [f["decided_by"] for f in slots] == ["rita"]
            sheets = Path(__file__).parent.parent / "benchmarks" / "documents_data"
            tab.upload(
                "Sheet before it", sheets / "policy_2026_04.toml", "Sheet before: policy_2026_04.toml."
            )
            tab.upload("New sheet", sheets / "policy_2026_10.toml", "within 14 days of delivery")
            hosts = {url.split("/")[2] for url in tab.asked if url.startswith(("http", "ws"))}
            assert hosts == {running.base.split("/")[2]} and tab.errors == []
        finally:
            tab.context.close()
            browser.close()
