"""Recipes: what is accepted, what is refused with its name, and how overrides are read.

Does not cover: what the values do.
"""

from __future__ import annotations

import pytest

from curate.errors import NotFound, UsageError
from train import load_recipe


def test_the_defaults_are_the_measured_recipe() -> None:
    recipe = load_recipe(None)
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.targets) == (16, 32, "all-linear")
    assert (recipe.learning_rate, recipe.schedule, recipe.epochs, recipe.batch) == (1e-3, "cosine", 4, 16)
    assert recipe.bad_rows == "refuse" and recipe.report_to == []


def test_a_file_a_mapping_and_overrides_say_the_same(tmp_path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('epochs = 2\nschedule = "linear"\n[lora]\nr = 8\n')
    mapping = {"epochs": 2, "schedule": "linear", "lora": {"r": 8}}
    assert load_recipe(path) == load_recipe(mapping) == load_recipe(str(path))
    assert load_recipe({}, ["epochs=2", "schedule=linear", "lora.r = 8"]) == load_recipe(path)
    assert load_recipe(load_recipe(path)) == load_recipe(path)
    assert load_recipe(mapping, ["lora.r=4"]).lora.r == 4 and mapping["lora"] == {"r": 8}
    assert load_recipe({}, ['report_to=["mlflow"]']).report_to == ["mlflow"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"epoch": 3}, "epoch: unknown key.*epochs"),
        ({"lora": {"rank": 8}}, "lora.rank: unknown key.*alpha"),
        ({"epochs": 0}, "epochs: .*greater than 0"),
        ({"precision": "int3"}, "precision"),
        ({"batch": "many"}, "batch"),
        ({"learning_rate": float("nan")}, "learning_rate"),
    ],
)
def test_wrong_recipes_name_the_key(values: dict, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        load_recipe(values)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"epoch.*steps"):
        load_recipe({"epoch": 3, "steps": 4})


@pytest.mark.parametrize("override", ["epochs", "=3", "epochs.x=3"])
def test_overrides_that_are_none_are_refused(override: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        load_recipe({"epochs": 2}, [override])


def test_files_that_cannot_be_read_are_named(tmp_path) -> None:
    with pytest.raises(NotFound, match=r"missing\.toml"):
        load_recipe(tmp_path / "missing.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("epochs = = 2")
    with pytest.raises(UsageError, match=r"bad\.toml"):
        load_recipe(bad)
    bad.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bad\.toml"):
        load_recipe(bad)
