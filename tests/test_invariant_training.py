"""Invariant 4: training refuses anything but a verified snapshot with a passed preflight.

Does not cover: the doors in front of `fine_tune` (API, command line, pages); their own tests do.
"""

from __future__ import annotations

import json

import polars as pl
import pytest

from curate.contract import SnapshotError
from curate.errors import NotFound, RefusedError
from tests.train_helpers import RECIPE, row, snapshot
from train import fine_tune
from train.base import tiny_llama


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


def refused(folder, base, tmp_path, error, match):
    out = tmp_path / "models" / "tiny-bot-v1"
    with pytest.raises(error, match=match) as caught:
        fine_tune(folder, RECIPE, out, base_model=base)
    assert not out.exists()
    return caught.value


def test_training_refuses_a_snapshot_without_a_preflight(base, tmp_path) -> None:
    refused(snapshot(tmp_path / "s", verdict=None), base, tmp_path, RefusedError, "no preflight")


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE", "", "pass"])
def test_training_refuses_a_preflight_that_did_not_pass(base, tmp_path, verdict: str) -> None:
    error = refused(snapshot(tmp_path / "s", verdict=verdict), base, tmp_path, RefusedError, "preflight")
    assert error.exit_code == 3
    assert error.reasons == ["enough pairs: 2 of 50"]


def test_training_refuses_the_preflight_of_another_snapshot(base, tmp_path) -> None:
    folder = snapshot(tmp_path / "s")
    other = snapshot(tmp_path / "other", [row("x", "a prompt", "an answer")])
    (folder / "preflight.json").write_bytes((other / "preflight.json").read_bytes())
    refused(folder, base, tmp_path, RefusedError, "belongs to")


@pytest.mark.parametrize("text", ["", "[]", '"PASS"', "{not json", "null"])
def test_training_refuses_an_unreadable_preflight(base, tmp_path, text: str) -> None:
    folder = snapshot(tmp_path / "s")
    (folder / "preflight.json").write_text(text)
    refused(folder, base, tmp_path, RefusedError, "cannot be read")


@pytest.mark.parametrize(
    "override",
    [
        {},
        {"user": "lead"},
        {"user": "lead", "reason": " ", "ts": "now"},
        {"reason": "because", "ts": "now"},
        "yes",
    ],
)
def test_training_refuses_an_override_that_nobody_signed(base, tmp_path, override) -> None:
    folder = snapshot(tmp_path / "s", verdict="FAIL", override=override)
    refused(folder, base, tmp_path, RefusedError, "says FAIL")


def test_training_refuses_a_row_changed_after_freezing(base, tmp_path) -> None:
    folder = snapshot(tmp_path / "s")
    path = folder / "data" / "train.parquet"
    frame = pl.read_parquet(path)
    changed = pl.when(pl.col("pair_id") == "p003").then(pl.lit("Ask me")).otherwise(pl.col("completion"))
    frame.with_columns(changed.alias("completion")).write_parquet(path)
    error = refused(folder, base, tmp_path, SnapshotError, "p003")
    assert "train.parquet: bytes changed" in str(error)


@pytest.mark.parametrize(
    "name", ["manifest.json", "data/train.parquet", "data/validation.parquet", "task.json"]
)
def test_training_refuses_one_changed_byte(base, tmp_path, name: str) -> None:
    folder = snapshot(tmp_path / "s")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    refused(folder, base, tmp_path, SnapshotError, name.replace(".", r"\."))


def test_training_refuses_rows_that_cannot_be_learned_from(base, tmp_path) -> None:
    rows = [row("good", "Where is it?", "Gone."), row("bad", "Where?", "x" * 4000)]
    error = refused(snapshot(tmp_path / "s", rows), base, tmp_path, RefusedError, "1 pairs")
    assert [reason.split(":")[0] for reason in error.reasons] == ["bad"]


def test_training_refuses_a_folder_that_is_no_snapshot(base, tmp_path) -> None:
    refused(tmp_path / "nothing", base, tmp_path, NotFound, "No snapshot")


def test_a_signed_override_lets_training_go_and_stays_in_the_record(base, tmp_path) -> None:
    signed = {"user": "lead", "reason": "trial run on few pairs", "ts": "2026-01-01T00:00:00+00:00"}
    folder = snapshot(tmp_path / "s", verdict="FAIL", override=signed)
    version = fine_tune(
        folder, {**RECIPE, "max_steps": 1}, tmp_path / "models" / "tiny-bot-v1", base_model=base
    )
    assert version.record()["gate"]["override"] == signed
    assert "trial run on few pairs" in (version.folder / "README.md").read_text()
    assert json.loads((folder / "preflight.json").read_text())["verdict"] == "FAIL"
