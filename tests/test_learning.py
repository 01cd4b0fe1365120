"""`goldpair curve`: small real trainings on nested parts; a killed curve goes on; report, page and REST show it.

Does not cover: whether the intervals hold (test_curve.py, benchmarks/gates.py).
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from curate import contract, forget, learning, release
from curate.client import Client
from curate.errors import RefusedError, UsageError
from curate.store import Store, utcnow
from curate.tasks import load_pack
from curate.users import actor_for, ensure_owner
from curate.workspace import Workspace
from evals.arms import Arm
from evals.generate import LocalModel
from evals.run import run_suite
from tests.train_helpers import PACK, PAIRS, RECIPE, row, snapshot
from train import fine_tune, reproduce, versions
from train.base import tiny_llama

TASK = PACK.name
TOML = """
name = "{name}"
title = "Tiny bot"
system = "{system}"
[model]
base = "{base}"
[model.generation]
max_new_tokens = 6
[training]
{training}
[[suites]]
name = "main"
metric = "rouge"
[gate]
min_pairs = 2
floor = 0.9
baselines = ["retrieval"]
retention = {{ on = false }}
"""
SMALL = RECIPE | {"max_steps": 2, "checkpoint_steps": 1}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A workspace with a frozen snapshot of twenty pairs in ten sources that passed its preflight."""
    root = tmp_path_factory.mktemp("curve")
    workspace = Workspace.create(root / "ws")
    base = tiny_llama(root / "base")
    pack = workspace.tasks / TASK
    pack.mkdir()
    training = "\n".join(f"{k} = {json.dumps(v)}" for k, v in SMALL.items() if k != "lora")
    training += "\nlora = { r = 4, alpha = 8 }"
    (pack / "task.toml").write_text(
        TOML.format(name=TASK, system=PACK.system, base=base, training=training), "utf-8"
    )
    (pack / "guidelines.md").write_text("version: 1\n", "utf-8")
    rows = [row(f"p{i:03}", *pair, source=f"s{i // 2}") for i, pair in enumerate(PAIRS)]
    evals = [
        {"id": f"e{i}", "source": f"e/{i}", "prompt": f"Where did {who} put it?", "reference": text}
        for i, (who, text) in enumerate([("Asha", "Beside the door."), ("Bo", "In the kettle.")] * 4)
    ]
    (pack / "eval.jsonl").write_text("".join(json.dumps(one) + "\n" for one in evals), "utf-8")
    folder = snapshot(workspace.snapshots / "one", rows[:20], rows[20:])
    manifest = contract.load_manifest(folder)
    with Store.open(workspace.store) as store:
        ensure_owner(store, "admin")
        store.write(
            lambda tx: tx.execute(
                "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [manifest.id, TASK, folder.name, 20, 4, 0, utcnow(), "admin"],
            )
        )
    client = Client(workspace, "admin")
    client.base = base
    return client


@pytest.fixture(scope="module")
def made(client):
    """A version of the whole snapshot, then the curve; the curve's worker is killed when its first point is there."""
    snapshot_id = client.call("snapshot.list", task=TASK)["snapshots"][0]["snapshot_id"]
    version = fine_tune(client.workspace.snapshots / "one", SMALL, client.workspace.models / f"{TASK}-v1",
                        base_model=client.base)  # fmt: skip
    with Store.open(client.workspace.store) as store:
        release.register_model(store, actor_for(store, "admin"), version.folder)
    started = client.call("curve", snapshot=snapshot_id, points=3, seeds=2)
    job = client.workspace.jobs / started["job"]
    end = time.monotonic() + 300
    while not list((job / "out").glob("*.parquet")):
        assert time.monotonic() < end and not (job / "exit.json").exists(), (job / "log.txt").read_text()
        time.sleep(0.02)
    os.kill(json.loads((job / "worker.json").read_text())["pid"], signal.SIGKILL)
    [folder] = client.workspace.evals.glob(f"{TASK}/curve--*")
    first = {path: path.stat().st_mtime_ns for path in folder.glob("points/*/run.json")}
    assert first and not (folder / "curve.json").exists()
    result = client.wait(started["job"])["result"]
    return {
        "model": version.name,
        "folder": folder,
        "first": first,
        "result": result,
        "snapshot": snapshot_id,
    }


def test_a_killed_curve_goes_on_and_keeps_its_finished_points(made):
    suite = made["result"]["suites"]["main"]
    assert sorted((p["pairs"], p["seed"]) for p in suite["points"]) == [
        (size, seed) for size in (5, 10, 20) for seed in (0, 1)
    ]
    for path, written in made["first"].items():
        assert path.stat().st_mtime_ns == written, "a finished point was trained again"
    assert suite["threshold"] >= 0.9 and suite["sentence"]
    assert all(0 <= point["score"] <= 1 and point["rows"] == 8 for point in suite["points"])
    assert json.loads((made["folder"] / "curve.json").read_text())["suites"]["main"] == suite


def test_every_point_is_a_version_with_a_record_of_its_pairs_and_the_whole_one_is_not_trained_twice(
    client, made
):
    records = {
        path.parent.name: versions.load(path.parent).record()
        for path in made["folder"].glob("points/*/run.json")
    }
    assert sorted(records) == [
        "10-pairs-seed-0",
        "10-pairs-seed-1",
        "20-pairs-seed-1",
        "5-pairs-seed-0",
        "5-pairs-seed-1",
    ]  # fmt: skip  (20 pairs under seed 0 is the version itself)
    parts = [set(records[f"{size}-pairs-seed-1"]["only_pairs"]) for size in (5, 10)]
    assert parts[0] < parts[1] and len(parts[1]) == 10
    assert records["5-pairs-seed-0"]["only_pairs"] != records["5-pairs-seed-1"]["only_pairs"]
    whole = json.loads((client.workspace.models / made["model"] / "run.json").read_text())
    [reused] = [p for p in made["result"]["suites"]["main"]["points"] if (p["pairs"], p["seed"]) == (20, 0)]
    assert reused["adapter"] == whole["adapter_sha256"]
    assert (
        client.call("models.list", task=TASK)["models"][0]["name"] == made["model"]
    )  # points are no versions


def test_the_report_of_the_version_draws_it_and_that_of_another_snapshot_does_not(client, made):
    pack_folder, folder = (
        client.workspace.tasks / TASK,
        client.workspace.evals / TASK / f"{made['model']}--main",
    )
    tuned = LocalModel(client.base, client.workspace.models / made["model"])
    run_suite(pack_folder, load_pack(pack_folder), "main", [Arm("tuned", "model", generator=tuned)], folder)
    report = {form: Path(path).read_text() for form, path in client.call("report", run=folder.name).items()}
    body = json.loads(report["json"])
    assert body["curve"]["sentence"] == made["result"]["suites"]["main"]["sentence"]
    assert "6 models: 3 nested parts" in body["curve"]["basis"] and "differ" not in body["curve"]["basis"]
    assert "How many more pairs?" in report["html"] and "How many more pairs?" in report["md"]
    assert [c["curve"] for c in client.call("curves.list", task=TASK)["curves"]] == [made["folder"].name]
    record = client.workspace.models / made["model"] / "run.json"
    text = record.read_text()
    try:
        record.write_text(text.replace(made["snapshot"], "f" * 64))
        learning.lay_beside(client.workspace, folder)
        assert not (folder / "curve.json").exists()
    finally:
        record.write_text(text)


def test_the_page_of_runs_shows_it(client, made):
    from curate.views import insight

    suite = made["result"]["suites"]["main"]
    fitted = (
        suite if suite["line"] else {**suite, "line": [{"pairs": 5, "low": 0, "high": 1, "estimate": 0.5}]}
    )
    drawn = insight.curve(fitted, "light").to_dict()
    assert "5 pairs" in drawn["description"] and len(drawn["layer"]) == 4


def test_a_part_can_be_reproduced_from_its_record(client, made, tmp_path):
    [folder] = client.workspace.snapshots.glob("one")
    found = reproduce(made["folder"] / "points" / "5-pairs-seed-1", folder, tmp_path / "again")
    assert found["equal"] and found["tokens_equal"]


def test_what_cannot_become_a_curve_is_refused_before_anything_is_trained(client, made, tmp_path):
    with pytest.raises(UsageError, match="at least 6"):
        client.call("curve", snapshot=made["snapshot"], points=3, seeds=1)
    with pytest.raises(UsageError, match="fewer --points"):
        client.call("curve", snapshot=made["snapshot"], points=8)
    with pytest.raises(UsageError, match="points"):
        client.call("curve", snapshot=made["snapshot"], points=2)
    bare = snapshot(client.workspace.snapshots / "bare", verdict="FAIL")
    with pytest.raises(RefusedError):
        client.call("curve", snapshot=str(bare))
    [folder] = client.workspace.snapshots.glob("one")
    with pytest.raises(UsageError, match="nobody"):
        fine_tune(folder, SMALL, tmp_path / "x", base_model=client.base, only=["nobody"])


def test_forgetting_a_person_takes_the_curve_along(client, made):
    with Store.open(client.workspace.store) as store:
        store.write(
            lambda tx: tx.execute(
                "INSERT INTO revision_text (pair_id, rev, system, history, prompt, completion, metadata)"
                " VALUES ('p003', 1, '', '[]', 'Where is Dev Quillfeather?', 'Beside the stairs.', '{}')"
            )
        )
        found = forget.find(store, client.workspace, ["Dev Quillfeather"])
    assert "one" in found.snapshots and f"{TASK}/{made['folder'].name}" in found.evals
