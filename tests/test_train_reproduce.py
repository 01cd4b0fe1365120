"""`goldpair reproduce`: the same adapter from the record alone, and a plain answer when it is another one.

Does not cover: resuming after kill -9 (`test_train_run.py`), which a reproduction shares with every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate import steps
from curate.contract import file_sha256
from curate.errors import NotFound, RefusedError
from tests.train_helpers import RECIPE, row, run_job, snapshot, workspace_with_model
from train import fine_tune, reproduce
from train.base import tiny_llama

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return workspace_with_model(tmp_path_factory.mktemp("reproduce"))


def goldpair(client, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate.cli", *arguments, "-w", str(client.workspace.root), "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env={**os.environ})


def test_the_record_alone_gives_the_same_adapter(client) -> None:
    found = run_job(client, "reproduce", model="tiny-bot-v1")
    kept = steps.read(client.workspace.jobs / found["job"])
    assert [row["step"] for row in kept] == list(range(1, 9)) and "eval_loss" in kept[-1]
    assert found["equal"] and found["tokens_equal"], found
    assert found["largest_loss_difference"] == 0 and found["first_different_step"] is None
    assert found["differences"] == [] and found["steps"] == 8
    assert len(set(found["adapter_sha256"].values())) == 1
    assert sorted(path.name for path in client.workspace.models.iterdir()) == ["tiny-bot-v1"]


def test_a_record_that_says_another_seed_is_found_out_and_exits_3(client, tmp_path) -> None:
    """A version whose adapter is not what its recipe makes: its files agree with its record, the recipe lies."""
    folder = client.workspace.models / "tiny-bot-v1"
    text = (folder / "run.json").read_text()
    record = json.loads(text)
    record["recipe"]["seed"] = 1
    record["software"]["torch"] = "0.0.1"
    (folder / "run.json").write_text(json.dumps(record))
    try:
        done = goldpair(client, "reproduce", "tiny-bot-v1")
    finally:
        (folder / "run.json").write_text(text)
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert not found["equal"] and found["first_different_step"] == 1 and found["largest_loss_difference"] > 0
    assert any(line.startswith("software torch: 0.0.1 then") for line in found["differences"])


def test_a_run_that_time_ended_is_reproduced_up_to_its_last_step(tmp_path) -> None:
    base, frozen = tiny_llama(tmp_path / "base"), snapshot(tmp_path / "s")
    version = fine_tune(
        frozen, {**RECIPE, "max_minutes": 1e-9}, tmp_path / "m" / "tiny-bot-v1", base_model=base
    )
    assert version.record()["ended"] == "max_minutes" and version.record()["steps"] == 1
    found = reproduce(version.folder, frozen, tmp_path / "again")
    assert found["equal"] and found["steps"] == 1
    assert not (tmp_path / "again" / "tiny-bot-v1").exists()


def test_another_snapshot_or_a_changed_base_is_refused(tmp_path) -> None:
    base, frozen = tiny_llama(tmp_path / "base"), snapshot(tmp_path / "s")
    version = fine_tune(frozen, {**RECIPE, "max_steps": 1}, tmp_path / "m" / "tiny-bot-v1", base_model=base)
    other = snapshot(tmp_path / "other", [row("x", "a prompt", "an answer")])
    with pytest.raises(RefusedError, match="was trained from snapshot"):
        reproduce(version.folder, other, tmp_path / "again")
    config = base / "generation_config.json"
    before = file_sha256(config)
    config.write_text(config.read_text() + "\n")
    assert file_sha256(config) != before
    with pytest.raises(RefusedError) as refused:
        reproduce(version.folder, frozen, tmp_path / "again")
    assert refused.value.reasons == ["generation_config.json: changed"]


def test_a_version_whose_snapshot_is_gone_says_so(client) -> None:
    hidden = client.workspace.snapshots / "elsewhere"
    (client.workspace.snapshots / "one").rename(hidden)
    try:
        with pytest.raises(NotFound, match="is not in this workspace"):
            client.call("reproduce", model="tiny-bot-v1")
    finally:
        hidden.rename(client.workspace.snapshots / "one")
