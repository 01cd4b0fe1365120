"""Two versions side by side: data, recipe, answers. Suspects go back into the queue by the rules of review."""

import json

import pytest

from curate import lineage, suspects
from curate.errors import NotFound, UsageError
from curate.workspace import Workspace
from evals.arms import Arm
from evals.run import run_suite
from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder


@pytest.fixture
def two(tmp_path):
    """A workspace with two versions, each trained on its own snapshot and evaluated on the same rows."""
    workspace = Workspace.create(tmp_path / "ws")
    eval_rows = rows(60)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    first = [(f"say {i}", f"answer {i}") for i in range(8)]
    data = {"v1": first, "v2": [*first[:7], ("say 7", "another answer"), ("say 8", "a new one")]}
    for version, share in (("v1", 0.9), ("v2", 0.6)):
        folder = snapshot_folder(workspace.snapshots / version, data[version], pack)
        manifest = json.loads((folder / "manifest.json").read_text())
        name = f"parrot-{version}"
        (workspace.models / name).mkdir(parents=True)
        record = {
            "task": "parrot", "created": f"2026-01-0{version[1]}", "base": {"name": "tiny"}, "seeds": {"all": 1},
            "recipe": {"epochs": 3 if version == "v1" else 4, "seed": 1}, "snapshot": {"id": manifest["id"]},
        }  # fmt: skip
        (workspace.models / name / "run.json").write_text(json.dumps(record))
        arms = [Arm("tuned", "file", outputs=outputs(eval_rows, share, seed=3))]
        if version == "v2":
            arms.append(Arm("parrot-v1", "file", outputs=outputs(eval_rows, 0.9, seed=3)))
        run_suite(tmp_path / "pack", pack, "main", arms, workspace.evals / "parrot" / f"{name}--main",
                  snapshot_dir=folder)  # fmt: skip
    return workspace


def test_compare_any_two(two):
    found = lineage.compare(two, "parrot-v1", "parrot-v2")
    (suite,) = found["suites"]
    assert suite["verdict"] == "FAIL" and suite["estimate"] < -0.15
    assert suite["table"]["broken"] == len(suite["rows"]["broken"]) > 5 and suite["table"]["fixed"] == 0
    assert found["recipe"] == {"epochs": [3, 4]}
    assert found["data"]["counts"] == {"added": 1, "removed": 0, "changed": 1, "same": 7}
    assert found["data"]["changed"][0]["after"]["completion"] == "another answer"
    back = lineage.compare(two, "parrot-v2", "parrot-v1")
    assert back["suites"][0]["estimate"] == pytest.approx(-suite["estimate"])
    with pytest.raises(NotFound, match="models list"):
        lineage.compare(two, "parrot-v1", "parrot-v9")
    path = two.models / "parrot-v1" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"task": "other"}))
    with pytest.raises(UsageError, match="one task"):
        lineage.compare(two, "parrot-v1", "parrot-v2")


def test_the_context_of_a_run_names_the_version_before(two):
    run = two.evals / "parrot" / "parrot-v2--main"
    lineage.write_context(two, run)
    context = json.loads((run / "context.json").read_text())
    assert context["predecessor"] == "parrot-v1" and context["data"]["counts"]["changed"] == 1
    assert context["seeds"]["deviation"] is None and len(context["seeds"]["runs"]) == 1


def test_blame_without_gradients_end_to_end(two):
    run = two.evals / "parrot" / "parrot-v2--main"
    spec = suspects.spec_of(two, run, gradients=False)
    assert spec["template"] == "model"
    assert spec["reference"] == "parrot-v1" and set(spec["changed"]) == {"pair-007", "pair-008"}
    found = suspects.work(spec)
    assert found["broken"] > 5 and json.loads((run / "blame.json").read_text()) == found


def test_all_that_changed_is_known_to_blame_and_only_what_is_trained_on(two):
    """The context of a run lists the first changed rows; a new detector changes rows and teaches nothing."""
    pack = pack_folder(two.root / "long", rows(4))
    texts = [(f"say {i}", f"answer {i}") for i in range(90)]
    new = [(prompt, f"{answer}!" if i < 60 else answer) for i, (prompt, answer) in enumerate(texts)]
    for version, pairs, authors in (("v1", texts, ["a"] * 90), ("v2", new, ["a"] * 80 + ["b"] * 10)):
        manifest = snapshot_folder(two.snapshots / f"long-{version}", pairs, pack, authors) / "manifest.json"
        path = two.models / f"parrot-{version}" / "run.json"
        record = json.loads(path.read_text())
        record["snapshot"]["id"] = json.loads(manifest.read_text())["id"]
        path.write_text(json.dumps(record))
    spec = suspects.spec_of(two, two.evals / "parrot" / "parrot-v2--main", gradients=False)
    assert spec["changed"] == [f"pair-{i:03}" for i in range(60)]
    context = json.loads((two.evals / "parrot" / "parrot-v2--main" / "context.json").read_text())
    assert context["data"]["counts"]["changed"] == 70 and len(context["data"]["changed"]) < 60


def test_a_missing_snapshot_is_named(two):
    found = lineage.data_difference(two, "f" * 64, "e" * 64)
    assert found["counts"] is None and "not in this workspace" in found["why"]


def test_every_version_with_what_was_measured_on_it(two):
    rows = [
        {"name": f"parrot-v{n}", "task": "parrot", "released": n == 1, "verdict": None} for n in (1, 2, 3)
    ]
    measured = {"ids": ["a", "b"], "base": [0.5, 0.7], "tuned": [0.4, 0.6]}
    (two.evals / "parrot" / "parrot-v2--main" / "retention.json").write_text(json.dumps(measured))
    path = two.models / "parrot-v1" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"demo": {"signed_by": "a lead"}}))
    first, second, third = lineage.versions(two, rows)
    assert first["suites"]["main"]["mean"] > second["suites"]["main"]["mean"] > 0
    assert first["suites"]["main"]["interval"][0] < first["suites"]["main"]["mean"]
    assert (
        first["suites"]["main"]["eval"] == second["suites"]["main"]["eval"]
        and first["suites"]["main"]["of"] == 60
    )
    assert first["demo"] and not second["demo"] and first["released"]
    assert second["retention"]["items"] == 2
    assert second["retention"]["tuned"] - second["retention"]["base"] == pytest.approx(-0.1)
    assert third["suites"] == {} and third["retention"] is None  # gone from the disk, still in the register
