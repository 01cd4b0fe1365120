"""How the suite is run: long files first, so that no worker ends with one alone; what is loaded once is not collected.

Does not cover: fixtures; those stand in the modules that several tests import them from.
"""

from __future__ import annotations

import gc

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold slow tests, then those with a browser, then the others; a file's own order stays."""
    weight: dict[str, int] = {}
    for item in items:
        path = item.nodeid.partition("::")[0]
        mine = 0 if item.get_closest_marker("slow") else 1 if item.get_closest_marker("browser") else 2
        weight[path] = min(mine, weight.get(path, 2))
    items.sort(key=lambda item: weight[item.nodeid.partition("::")[0]])


def pytest_collection_finish() -> None:
    """Modules live as long as the process: without them a full collection (statsmodels asks for many) is quick."""
    gc.collect()
    gc.freeze()
