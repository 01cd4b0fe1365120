"""Every shipped task pack is accepted by every room that reads a part of it.

Does not cover: whether its texts are good, nor what a model learns from them.
"""

from __future__ import annotations

import pytest

import evals
from curate.dedupe.settings import make_settings
from curate.privacy import Policy
from curate.records import Row, read
from curate.tasks import load_eval, load_pack, shipped_packs
from train.recipe import load_recipe

PACKS = shipped_packs()


def test_there_are_packs() -> None:
    assert "sarcastic-bot" in PACKS


@pytest.mark.parametrize("name", PACKS)
def test_every_part_is_accepted_by_the_room_that_uses_it(name: str) -> None:
    folder, pack = PACKS[name], load_pack(PACKS[name])
    assert pack.name == name
    Policy.load(pack.privacy)
    make_settings(pack.dedupe)
    load_recipe(pack.training)
    assert (folder / "guidelines.md").read_text("utf-8").strip()
    for suite in pack.suites:
        assert suite.metric in evals.metric_names()
        assert load_eval(folder, suite)


@pytest.mark.parametrize("name", PACKS)
def test_eval_rows_stand_apart_from_the_records(name: str) -> None:
    """By normalised prompt; `goldpair preflight` looks for near ones too."""

    def plain(text: str) -> str:
        return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())

    folder, pack = PACKS[name], load_pack(PACKS[name])
    records = [r for r in read(folder / "records.jsonl") if isinstance(r, Row)]
    prompts = {plain(r.prompt) for r in records}
    for suite in pack.suites:
        rows = load_eval(folder, suite)
        assert [r.id for r in rows if not r.history and plain(r.prompt) in prompts] == []
        assert {r.source for r in rows} & {r.source for r in records if r.source} == set()
