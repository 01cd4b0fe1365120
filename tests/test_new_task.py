"""A task of one's own: from the scaffold or from a shipped pack, whole, and through the first stages.

Does not cover: what the pages draw (test_pages.py) nor a real browser (test_pages_browser.py).
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate import packs
from curate.cli import app
from curate.client import Client
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.records import Row, read
from curate.store import Store
from curate.tasks import load_eval, load_pack, shipped_packs
from curate.users import actor_for, create_user, ensure_owner
from curate.workspace import Workspace
from tests.train_helpers import run_job
from train.recipe import load_recipe


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "ws")
    with Store.open(made.store) as store:
        ensure_owner(store, "admin")
        create_user(store, actor_for(store, "admin"), "rita", "reviewer")
    return made


def test_the_scaffold_is_a_whole_pack_under_its_new_name(workspace):
    made = Client(workspace, "admin").call("tasks.new", name="ticket-title")
    folder = Path(made["folder"])
    assert made["files"] == ["eval.jsonl", "guidelines.md", "records.jsonl", "task.toml"]
    pack = packs.check_pack(folder, "ticket-title")
    load_recipe(pack.training)
    assert pack.title == "Ticket title" and "my-task" not in (folder / "task.toml").read_text("utf-8")
    assert (folder / "guidelines.md").read_text("utf-8").startswith("# Ticket title: how to")
    assert (folder / "task.toml").read_text("utf-8").count("#") > 15  # commented
    records = list(read(folder / "records.jsonl"))
    assert len(records) >= 8 and all(isinstance(row, Row) for row in records)
    rows = load_eval(folder, pack.suites[0])
    assert {row.source for row in rows}.isdisjoint({row.source for row in records})
    assert all(row.reference for row in rows) and any(
        "goldpair import ticket-title" in s for s in made["next"]
    )


@pytest.mark.slow
def test_the_scaffold_goes_from_import_to_a_snapshot(workspace):
    client = Client(workspace, "admin")
    folder = Path(client.call("tasks.new", name="ticket-title")["folder"])
    imported = client.call("import", task="ticket-title", path=str(folder / "records.jsonl"))
    assert (imported["imported"], imported["quarantined"]) == (8, 0)
    run_job(client, "scan", task="ticket-title")
    with client.session() as call:
        for finding in call("rita", "findings.list", task="ticket-title")["findings"]:
            call("rita", "findings.decide", finding_id=finding["finding_id"], decision="confirm")
        for row in call("rita", "pairs.list", task="ticket-title", limit=100)["pairs"]:
            if row["status"] == "ready":
                call("rita", "review.decide", pair_id=row["pair_id"], rev=row["rev"], verdict="approve")
    states = client.call("overview", task="ticket-title")["pairs"]
    frozen = run_job(client, "snapshot.create", task="ticket-title")
    assert sum(frozen["rows"].values()) == states["approved"] >= 7


def test_a_copy_leaves_out_what_was_signed(workspace):
    old = workspace.tasks / "old"
    old.mkdir()
    (old / "guidelines.md").write_text("# Old\nversion: 4\n", "utf-8")
    (old / "task.toml").write_text(
        '# old: comment\nname = "old"\ntitle = "Old"  \n# kept\n[demo]\neval_rows = 3\nsigned_by = "a lead"\n'
        'reason = "a short machine"\n[gate]\nmin_pairs = 7\n[[waivers]]\ncheck = "x"\nby = "a lead"\n'
        'reason = "because of this"\n[[waivers]]\ncheck = "y"\nby = "a lead"\nreason = "because of that"\n'
        "[split]\nseed = 3\n",
        "utf-8",
    )
    folder = packs.new_task(workspace, "new-one", "old")
    pack = load_pack(folder)
    assert pack.demo is None and pack.waivers == [] and (pack.gate.min_pairs, pack.split.seed) == (7, 3)
    text = (folder / "task.toml").read_text("utf-8")
    assert text.startswith("# new-one: comment") and "# kept" in text
    assert (
        "# Signed for old; sign again if it holds for new-one." in text and '# signed_by = "a lead"' in text
    )
    assert load_pack(old).demo is not None


def test_every_shipped_pack_can_be_copied(workspace):
    for name, source in shipped_packs().items():
        folder = packs.new_task(workspace, f"own-{name}", name)
        assert packs.check_pack(folder).suites == load_pack(source).suites
        for path in source.rglob("*.jsonl"):
            assert (folder / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert not list(workspace.tasks.glob(".*"))


@given(st.text(max_size=20))
def test_no_name_leads_out_of_the_folder(name):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "ws")
        try:
            made = packs.new_task(workspace, name)
        except UsageError:
            assert list(workspace.tasks.iterdir()) == []
        else:
            assert made.parent == workspace.tasks and made.name == name


@pytest.mark.parametrize("name", ["../x", "A", "", "-a", "sarcastic-bot", "a b", "x" * 64, "a\n"])
def test_a_bad_or_taken_name_is_refused_and_nothing_is_left(workspace, name):
    with pytest.raises(UsageError, match="name"):
        packs.new_task(workspace, name)
    assert list(workspace.tasks.iterdir()) == []


def test_unknown_packs_and_paths_are_refused(workspace):
    with pytest.raises(NotFound, match="No task"):
        packs.new_task(workspace, "mine", "no-such-pack")
    with pytest.raises(UsageError, match="no name of a task pack"):
        packs.new_task(workspace, "mine", str(shipped_packs()["sarcastic-bot"]))
    with pytest.raises(PermissionDenied):
        Client(workspace, "rita").call("tasks.new", name="mine")


def test_the_command_prints_what_to_do_next(workspace):
    for flags in ([], ["--json"]):
        name = "first" if not flags else "second"
        done = CliRunner().invoke(
            app, ["new-task", name, "--like", "sarcastic-bot", "-w", str(workspace.root), *flags]
        )
        assert done.exit_code == 0, done.output
        assert f"goldpair import {name} FILE" in done.output
    assert json.loads(done.stdout)["like"] == "sarcastic-bot"
    done = CliRunner().invoke(app, ["gallery", "-w", str(workspace.root)])
    assert done.exit_code == 0 and "sarcastic-bot" in done.output


def test_the_gallery_tells_what_a_pack_is(workspace):
    (found,) = [
        p for p in Client(workspace, "rita").call("tasks.gallery")["packs"] if p["task"] == "sarcastic-bot"
    ]
    pack = load_pack(shipped_packs()["sarcastic-bot"])
    assert found["title"] == pack.title and found["guidelines"].startswith("# Sarcastic bot")
    assert found["suites"][0]["rows"] == len(load_eval(shipped_packs()["sarcastic-bot"], pack.suites[0]))
    rejected = {
        line["record"]
        for line in map(
            json.loads, (shipped_packs()["sarcastic-bot"] / "decisions.jsonl").read_text("utf-8").splitlines()
        )
        if line.get("verdict") == "reject"
    }
    assert len(found["samples"]) == 3 and not {s["id"] for s in found["samples"]} & rejected


def test_results_of_the_workspace_come_before_the_committed_ones(workspace, monkeypatch):
    arm = {"kind": "model", "n": 3, "mean": 0.5, "interval": [0.4, 0.6], "name": "tuned", "facts": {}}
    report = {
        "suite": "tone", "metric": "tone", "primary": "joint", "verdict": "FAIL", "worth_it": "No.", "reasons": [],
        "agreement": None, "eval": {"rows": 3, "of": 9}, "arms": [arm], "differences": [],
        "scorer_numbers": {"names": ["joint"], "rows": {"tuned": [0.5]}},
    }  # fmt: skip
    committed = {
        "task": "sarcastic-bot", "full": True, "date": "2026-11-22", "minutes": 9, "base": "b", "verdict": "PASS",
        "worth_it": "Yes.", "suites": [packs.results.suite_of(report)], "training": {"steps": 1, "planned_steps": 1},
        "device": {"name": "a machine", "threads": 2}, "versions": {"goldpair": "0"},
    }  # fmt: skip
    monkeypatch.setattr(packs.results, "committed", lambda: {"sarcastic-bot": [committed]})
    (found,) = [p for p in packs.gallery(workspace, []) if p["task"] == "sarcastic-bot"]
    assert found["result"]["where"] == "shipped with Goldpair" and "a machine" in found["result"]["words"]
    run = workspace.evals / "sarcastic-bot" / "sarcastic-bot-v1--tone"
    run.mkdir(parents=True)
    (run / "report.json").write_text(json.dumps(report), "utf-8")
    row = {"name": "sarcastic-bot-v1", "task": "sarcastic-bot", "released": False, "verdict": "FAIL"}
    (found,) = [
        p
        for p in packs.gallery(workspace, [row | {"created_ts": "2026-11-22T00:00:00"}])
        if p["task"] == "sarcastic-bot"
    ]
    assert found["result"]["where"] == "this workspace"
    assert found["result"]["suites"][0]["arms"]["tuned"]["mean"] == 0.5
