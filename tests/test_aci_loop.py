"""The whole loop on third-party data: real visits become pairs, a snapshot, and a report over nine real systems."""

import json
from pathlib import Path

import pytest

from curate import contract
from curate.client import Client
from curate.errors import RefusedError
from curate.store import Store
from curate.users import ensure_owner
from curate.workspace import Workspace
from tests import aci

TASK = "medical-scribe"
PACK = """
name = "medical-scribe"
title = "Medical scribe"
system = "Write the clinical note of this visit."
reject_reasons = ["ungrounded", "incomplete"]

[privacy]

[split]
validation = 0.1

[[suites]]
name = "soap"
metric = "soap_note"
cluster = "source"
slices = ["dataset"]

[[suites]]
name = "rouge"
metric = "rouge"
cluster = "source"

[gate]
min_pairs = 10
effect = 0.3
baselines = []
"""
VISITS = 16

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.xdist_group("heavy")]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    aci.present()
    workspace = Workspace.create(tmp_path_factory.mktemp("aci"))
    store = Store.open(workspace.store)
    ensure_owner(store, "admin")
    store.close()
    pack = workspace.tasks / TASK
    pack.mkdir()
    (pack / "task.toml").write_text(PACK, "utf-8")
    (pack / "guidelines.md").write_text("# Notes\n\nversion: 1\n", "utf-8")
    (pack / "eval.jsonl").write_text(
        "".join(row.model_dump_json() + "\n" for row in aci.eval_rows()), "utf-8"
    )
    client = Client(workspace, "admin")
    client.call("users.add", name="reviewer-1", role="reviewer")
    return client


def job(client, operation, **fields):
    started = client.call(operation, **fields)
    return started | (client.wait(started["job"]).get("result") or {})


@pytest.fixture(scope="module")
def snapshot(client, tmp_path_factory):
    """Import, scan, dedupe, clear what waits for a person, approve through the rules, freeze."""
    lines = (aci.present() / "train.jsonl").read_text("utf-8").splitlines()[:VISITS]
    path = tmp_path_factory.mktemp("in") / "visits.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    imported = client.call("import", task=TASK, path=str(path), licence="CC-BY-4.0")
    assert (imported["imported"], imported["quarantined"]) == (VISITS, 0)
    job(client, "scan", task=TASK)
    job(client, "dedupe", task=TASK)
    reviewer = Client(client.workspace, "reviewer-1")
    with client.session() as call:
        for _ in range(20):
            findings = call("reviewer-1", "findings.list", task=TASK, limit=1000)["findings"]
            if not findings:
                break
            seen = set()
            for finding in findings:  # a confirmed finding makes a new revision, so one of a pair at a time
                if finding["pair_id"] not in seen:
                    seen.add(finding["pair_id"])
                    call("reviewer-1", "findings.decide", finding_id=finding["finding_id"], decision="reject")
        for group in call("reviewer-1", "clusters.list", task=TASK)["clusters"]:
            call("reviewer-1", "clusters.decide", cluster_id=group["cluster_id"], decision="not_duplicates")
        for row in call("reviewer-1", "pairs.list", task=TASK, limit=1000)["pairs"]:
            call("reviewer-1", "review.decide", pair_id=row["pair_id"], rev=row["rev"], verdict="approve")
    assert reviewer.call("overview", task=TASK)["pairs"] == {"approved": VISITS}
    return job(client, "snapshot.create", task=TASK)["snapshot"]


def test_visits_become_a_snapshot_in_which_every_pair_is_accounted_for(client, snapshot):
    folder = client.workspace.snapshots / client.call("snapshot.list", task=TASK)["snapshots"][0]["folder"]
    assert contract.verify(folder) == []
    assert sum(contract.load_manifest(folder).rows.values()) == VISITS


def test_preflight_lists_every_visit_that_would_be_cut_and_passes_once_there_is_room(client, snapshot):
    short = job(client, "preflight", snapshot=snapshot, set=["max_length=1024"])
    tokens = next(c for c in short["checks"] if c["name"] == "nothing lost in tokenising")
    assert short["verdict"] == "FAIL"
    assert len(tokens["pairs"]) >= VISITS // 2  # visits are long: about 1,600 tokens and a note
    assert all(pair["pair_id"].startswith("p-") and pair["problem"] for pair in tokens["pairs"])
    with pytest.raises(RefusedError):
        client.call("train", snapshot=snapshot)
    wide = job(client, "preflight", snapshot=snapshot, set=["max_length=8192"])
    assert {c["name"]: c["verdict"] for c in wide["checks"]}["nothing lost in tokenising"] == "PASS"
    assert {c["name"]: c["verdict"] for c in wide["checks"]}["no overlap with suite soap"] == "PASS"


def test_the_report_over_nine_real_systems_shows_real_differences(client, snapshot, tmp_path):
    outputs = {}
    for system in aci.SYSTEMS:
        path = tmp_path / f"{system}.jsonl"
        notes = aci.system_notes(system)
        path.write_text("".join(json.dumps({"id": k, "output": v}) + "\n" for k, v in notes.items()), "utf-8")
        outputs[system] = str(path)
    result = job(client, "eval", task=TASK, snapshot=snapshot, outputs=outputs, baselines=[])
    means = {}
    for run in result["runs"]:
        report = client.call("report", run=run)
        page = Path(report["html"]).read_text("utf-8")
        assert all(system in page for system in aci.SYSTEMS)
        arms = json.loads(Path(report["json"]).read_text("utf-8"))["arms"]
        means[run.split("--")[1]] = {arm["name"]: arm["mean"] for arm in arms}
    assert max(means["rouge"].values()) - min(means["rouge"].values()) > 0.1
    # The two scorers disagree about real systems: word overlap does not see what is missing or invented.
    assert sorted(means["soap"], key=means["soap"].get) != sorted(means["rouge"], key=means["rouge"].get)
