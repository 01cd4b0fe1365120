"""axe-core on every page, light and dark: nothing serious or critical.

Skipped visibly until ``python -m scripts.fetch_axe`` was run once. Does not cover: what axe cannot see (canvas).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.fetch_axe import place
from tests.serving import Running, make_workspace, serving
from tests.test_pages_browser import CHROMIUM, PAGES, Tab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed; apt-get install chromium"),
    pytest.mark.skipif(not place().is_file(), reason="no axe-core: run python -m scripts.fetch_axe once"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(make_workspace(tmp_path_factory.mktemp("axe"))) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


#: Every problem with its place. Streamlit draws its page list as list items with something between them and their
#: list; that is not ours to change, so the two rules about lists pass over that one element, and no other rule does.
PROBLEMS = """async () => {
  const result = await axe.run(document, { resultTypes: ['violations'] });
  const theirs = document.querySelector('[data-testid="stSidebarNavItems"]');
  return result.violations.flatMap(rule => rule.nodes
    .filter(node => !(['list', 'listitem'].includes(rule.id) && theirs
      && theirs.contains(document.querySelector(node.target[0]))))
    .map(node => ({ id: rule.id, impact: rule.impact, html: node.html })));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_problem(browser: Any, running: Running, scheme: str) -> None:
    tab = Tab(browser, running)
    tab.page.emulate_media(color_scheme=scheme)
    script, found = place().read_text("utf-8"), []
    try:
        tab.sign_in("lea")
        for path in PAGES:
            tab.open(path)
            if path == "review":
                tab.until(lambda: tab.shown() is not None)
            tab.page.evaluate(script)
            found += [
                f"{path or 'overview'}: {one['id']} ({one['impact']}): {one['html'][:160]}"
                for one in tab.page.evaluate(PROBLEMS)
                if one["impact"] in ("serious", "critical")
            ]
    finally:
        tab.context.close()
    assert not found, "\n".join(found)
