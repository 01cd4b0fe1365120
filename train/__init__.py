"""Snapshot to model version: recipes, rendering, preflight of tokens, the trainer, versions.

Knows curate only through a snapshot folder (`curate.contract`, `curate.tasks`), so that it runs on a machine without
a store. Does not hold: evaluation and generation (`evals`), the decision to release. Public names are below; torch is
imported when one of them first needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.checks import PreflightResult, preflight
    from train.recipe import Recipe, load_recipe
    from train.reproduce import reproduce
    from train.run import fine_tune
    from train.versions import ModelVersion

__all__ = ["ModelVersion", "PreflightResult", "Recipe", "fine_tune", "load_recipe", "preflight", "reproduce"]

_HOME = {
    "ModelVersion": "train.versions",
    "PreflightResult": "train.checks",
    "Recipe": "train.recipe",
    "fine_tune": "train.run",
    "load_recipe": "train.recipe",
    "preflight": "train.checks",
    "reproduce": "train.reproduce",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'train' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
