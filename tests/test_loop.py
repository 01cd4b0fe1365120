"""The whole loop through the operations that people use, with a tiny real model: import to a refused release."""

import json
from pathlib import Path

import pytest

from curate import contract
from curate.client import Client
from curate.errors import RefusedError
from curate.store import Store
from curate.users import ensure_owner
from curate.workspace import Workspace
from train.base import tiny_llama

TASK = "echo"
PACK = """
name = "echo"
title = "Echo"
system = "Say the colour."
reject_reasons = ["wrong"]

[privacy]
profile = "rules"

[split]
validation = 0.1

[model]
base = "{base}"

[model.generation]
max_new_tokens = 4

[training]
max_steps = 4
batch = 4
threads = 1

[[suites]]
name = "exact"
metric = "exact_match"

[gate]
min_pairs = 8
effect = 0.45
few_shot = 1
"""
COLOURS = (
    "red green blue amber violet teal ochre indigo maroon beige crimson cyan olive coral ivory slate".split()
)
THINGS = (
    "kettle ladder violin anchor lantern saddle thimble umbrella "
    "walnut bramble drum easel ferry glove harp igloo"
).split()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("loop")
    workspace = Workspace.create(root / "ws")
    store = Store.open(workspace.store)
    ensure_owner(store, "admin")
    store.close()
    base = tiny_llama(root / "base")
    pack = workspace.tasks / TASK
    pack.mkdir()
    (pack / "task.toml").write_text(PACK.replace("{base}", str(base)), "utf-8")
    (pack / "guidelines.md").write_text("version: 1\n", "utf-8")
    evals = [
        {
            "id": f"e{i}",
            "source": f"eval/{i}",
            "prompt": f"Name the shade of item {i} {thing}, please",
            "reference": colour,
        }
        for i, (thing, colour) in enumerate(zip(reversed(THINGS), COLOURS, strict=True))
    ]
    (pack / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evals), "utf-8")
    rows = [
        {"id": f"r{i}", "source": f"s{i}", "prompt": f"Which colour has the {thing}", "completion": colour}
        for i, (thing, colour) in enumerate(zip(THINGS, COLOURS, strict=True))
    ]
    lines = [json.dumps(row) for row in rows] + ["{broken"]
    (root / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    client = Client(workspace, "admin")
    client.call("users.add", name="reviewer-1", role="reviewer")
    client.call("import", task=TASK, path=str(root / "records.jsonl"))
    return client


def job(client, operation, **fields):
    started = client.call(operation, **fields)
    return started | (client.wait(started["job"]).get("result") or {})


def test_from_records_to_a_verdict(client):
    job(client, "scan", task=TASK)
    job(client, "dedupe", task=TASK)
    with client.session() as call:
        for group in call("reviewer-1", "clusters.list", task=TASK)["clusters"]:
            call("reviewer-1", "clusters.decide", cluster_id=group["cluster_id"], decision="not_duplicates")
        for row in call("reviewer-1", "pairs.list", task=TASK, limit=100)["pairs"]:
            call("reviewer-1", "review.decide", pair_id=row["pair_id"], rev=row["rev"], verdict="approve")
    assert client.call("overview", task=TASK)["pairs"] == {"approved": len(COLOURS)}
    snapshot = job(client, "snapshot.create", task=TASK)["snapshot"]
    assert client.call("snapshot.verify", snapshot=snapshot[:10])["intact"]
    with pytest.raises(RefusedError):
        client.call("train", snapshot=snapshot)  # no preflight yet
    early = job(client, "preflight", snapshot=snapshot)
    assert {c["name"]: c["verdict"] for c in early["checks"]}["baselines of suite exact"] == "INCONCLUSIVE"
    with pytest.raises(RefusedError, match="INCONCLUSIVE"):
        client.call("train", snapshot=snapshot)  # nobody knows yet what it has to beat
    job(client, "eval", task=TASK, snapshot=snapshot)
    preflight = job(client, "preflight", snapshot=snapshot)
    assert preflight["verdict"] == "PASS", preflight["checks"]
    model = job(client, "train", snapshot=snapshot)["model"]
    assert model == "echo-v1"
    run = job(client, "eval", task=TASK, model=model)["run"]
    with pytest.raises(RefusedError):
        client.call("promote", model=model)  # no decision yet
    decision = client.call("gate", run=run)
    assert decision["verdict"] != "PASS"  # four steps teach a tiny model nothing
    with pytest.raises(RefusedError) as refused:
        client.call("promote", model=model)
    assert refused.value.reasons
    report = client.call("report", run=run)
    assert Path(report["html"]).stat().st_size > 1000
    arms = {arm["name"] for arm in json.loads(Path(report["json"]).read_text("utf-8"))["arms"]}
    assert arms == {"zero_shot", "few_shot", "retrieval", "retrieval_few_shot", "tuned"}
    assert client.call("promote", model=model, override="shown to the team as a rehearsal")["released"]
    shown = client.call("models.list", task=TASK)["models"][0]
    assert shown["released"] and shown["override_by"] == "admin"
    assert client.call("audit.verify")["intact"]


def test_training_sees_the_system_message_that_use_has(client):
    folder = client.workspace.snapshots / client.call("snapshot.list", task=TASK)["snapshots"][0]["folder"]
    assert set(contract.training_rows(folder)["system"]) == {"Say the colour."}
    assert set(contract.load_rows(folder)["system"]) == {""}


def test_a_snapshot_with_one_byte_changed_trains_no_more(client):
    folder = client.workspace.snapshots / client.call("snapshot.list", task=TASK)["snapshots"][0]["folder"]
    path = folder / "data" / "train.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:60] + bytes([before[60] ^ 1]) + before[61:])
    try:
        with pytest.raises(RefusedError) as refused:
            client.call("snapshot.verify", snapshot=str(folder))
        assert any("data/train.parquet" in reason for reason in refused.value.reasons)
        started = client.call("train", snapshot=str(folder))
        with pytest.raises(Exception, match=r"train\.parquet"):
            client.wait(started["job"])
    finally:
        path.write_bytes(before)
