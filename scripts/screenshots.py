"""Pictures of every page of a workspace, light and dark, for the documentation.

Covers: serving the workspace, signing in by the console's link, one PNG a page and theme. Does not cover: filling
the workspace (`make demo` does). Run: ``python -m scripts.screenshots demo --out docs/img``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PAGES = (
    "overview",
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
    "playground",
    "jobs",
    "team",
)
SIGN_IN = re.compile(r"(http://\S+/login\?token=\S+)")


@contextmanager
def served(workspace: Path) -> Iterator[str]:
    """A server for the workspace on a free port; yields its one-time sign-in link."""
    command = [sys.executable, "-m", "curate.cli", "serve", "--workspace", str(workspace), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if found := SIGN_IN.search(line):
                yield found[1]
                return
        raise SystemExit("The server did not start:\n" + "".join(said))
    finally:
        process.terminate()
        process.wait(timeout=20)


def settle(page: Any) -> None:
    """Wait until the page has drawn: no run in progress, no skeleton, fonts and charts there."""
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]')"
        " && !document.querySelector('[data-testid=stSkeleton]')"
        " && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'",
        timeout=60_000,
    )
    page.evaluate("() => document.fonts.ready")
    page.wait_for_timeout(900)


def shoot(link: str, out: Path, pages: tuple[str, ...], themes: tuple[str, ...]) -> list[Path]:
    """Write ``<page>-<theme>.png`` for each; returns the paths."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    out.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1360, "height": 900}, device_scale_factor=1)
        page = context.new_page()
        page.goto(link)
        base = link.split("/login")[0]
        for theme in themes:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            for name in pages:
                page.goto(f"{base}/" if name == "overview" else f"{base}/{name}")
                settle(page)
                path = out / f"{name}-{theme}.png"
                page.screenshot(path=path)
                made.append(path)
        browser.close()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every page of a workspace.")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/img"))
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--themes", default="light,dark")
    chosen = parser.parse_args()
    with served(chosen.workspace) as link:
        for path in shoot(link, chosen.out, tuple(chosen.pages.split(",")), tuple(chosen.themes.split(","))):
            print(path)


if __name__ == "__main__":
    main()
