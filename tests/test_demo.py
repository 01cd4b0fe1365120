"""The short demo under a declared override: it decides nothing, releases nothing, and leaves the full run possible.

Does not cover: the shipped packs' own demos, which take minutes.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate import preflight, release, results
from curate.client import Client
from curate.contract import load_manifest
from curate.errors import RefusedError, UsageError
from curate.tasks import Demo, EvalRow, TaskPack, load_pack
from evals.arms import Arm
from evals.gate import decide
from evals.report import write_report
from evals.run import run_suite
from evals.sample import DECLARED, spread
from tests.eval_helpers import SENTENCES, outputs, pack_folder, rows, snapshot_folder
from tests.test_loop import COLOURS, PACK, THINGS
from tests.train_helpers import RECIPE
from train.base import tiny_llama
from train.checks import require_gate
from train.recipe import load_recipe

SIGNED = {"signed_by": "demo lead", "reason": "twenty minutes on two cores"}
DEMO = Demo(eval_rows=6, max_steps=2, **SIGNED)


# --- which rows ---------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_sample_has_its_size_its_order_and_every_slices_share(total, count, kinds, dice):
    found = [
        EvalRow(id=f"r{i}", source="s", prompt="p", slice={"kind": str(dice.randint(0, kinds))})
        for i in range(total)
    ]
    sample = spread(found, count, ["kind"])
    assert len(sample) == min(total, count)
    places = [found.index(row) for row in sample]
    assert places == sorted(set(places))
    for kind in {row.slice["kind"] for row in found}:
        share = count * sum(row.slice["kind"] == kind for row in found) / total
        assert abs(sum(row.slice["kind"] == kind for row in sample) - share) < 1 or total <= count
    shuffled = found[:]
    dice.shuffle(shuffled)
    assert {row.id for row in spread(shuffled, count, ["kind"])} == {row.id for row in sample}


def test_no_count_is_every_row():
    found = rows(5)
    assert spread(found, None) == found == spread(found, 9)


# --- what the gate and the report say -----------------------------------------------------------------------


def run_of(folder, share, **more):
    """A run of 8 of 40 rows; the tuned arm is right on ``share`` of them."""
    eval_rows = rows(40)
    pack = pack_folder(folder / "pack", eval_rows, baselines=["zero_shot"])
    arms = [
        Arm("tuned", "file", outputs=outputs(eval_rows, share)),
        Arm("zero_shot", "file", outputs=outputs(eval_rows, 0.5)),
    ]
    run = run_suite(folder / "pack", pack, "main", arms, folder / "run", limit=8, **more)
    return run, decide(run, pack.gate, baselines=["zero_shot"])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_under_the_override_the_verdict_is_inconclusive_whatever_comes_of_it(tmp_path, share):
    declared = {**DEMO.model_dump(), "steps": 2, "planned_steps": 2}
    run, decision = run_of(tmp_path, share, demo=declared)
    assert len(run.rows) == 8 and run.meta["eval"]["of"] == 40
    assert decision.verdict == "INCONCLUSIVE"
    (check,) = [c for c in decision.checks if c["name"] == DECLARED]
    for word in ("demo lead", "twenty minutes on two cores", "8 of 40 eval rows", "2 of 2", "--full"):
        assert word in check["detail"]
    if share == 0:
        assert "FAIL" in {c["verdict"] for c in decision.checks}  # what the numbers say stays visible
    paths = write_report(run, decision, tmp_path / "report")
    for form in ("html", "md"):
        text = paths[form].read_text("utf-8")
        assert "twenty minutes on two cores" in text and "8 of 40 eval rows" in text
    body = json.loads(paths["json"].read_text("utf-8"))
    assert body["demo"]["rows"] == 8 and body["demo"]["of"] == 40 and body["verdict"] == "INCONCLUSIVE"
    assert body["worth_it"].startswith("Not decided, under the declared demo override; what 8 of 40")


def test_a_part_of_the_rows_passes_no_gate_without_an_override_either(tmp_path):
    _, decision = run_of(tmp_path, 1.0)
    found = {c["name"]: c["verdict"] for c in decision.checks}
    assert found["every eval row asked"] == "INCONCLUSIVE" and decision.verdict != "PASS"
    assert DECLARED not in found


# --- preflight ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tiny_llama(tmp_path_factory.mktemp("base") / "tiny", texts=SENTENCES))


def checked(tmp_path, base, demo, **gate):
    pack = pack_folder(tmp_path / "pack", rows(40), **{"effect": 0.5, **gate})
    folder = tmp_path / "snapshot"
    if not folder.exists():
        snapshot_folder(
            folder, [(f"Which colour has the {t}", c) for t, c in zip(THINGS, COLOURS, strict=True)], pack
        )
    made = preflight.run(folder, tmp_path / "pack", pack, load_recipe(RECIPE), base_model=base, demo=demo)
    return folder, made


def test_the_override_passes_over_power_alone_and_names_it(tmp_path, base):
    folder, made = checked(tmp_path, base, DEMO)
    assert made["verdict"] == "INCONCLUSIVE"
    assert made["override"] == {
        "user": "demo lead",
        "reason": SIGNED["reason"],
        "ts": made["created"],
        "demo": True,
        "checks": ["suite main can decide"],
    }
    preflight.require_passed(folder, demo=True)
    manifest = load_manifest(folder)
    assert require_gate(folder, manifest, demo=True)["override"]["demo"]
    for refused in (lambda: preflight.require_passed(folder), lambda: require_gate(folder, manifest)):
        with pytest.raises(RefusedError, match="demo alone") as error:
            refused()
        assert error.value.reasons == ["passed over: suite main can decide"]
    _, made = checked(tmp_path, base, None)
    assert made["verdict"] == "PASS" and made["override"] is None  # all 40 rows can decide


def test_every_other_check_still_stops(tmp_path, base):
    folder, made = checked(tmp_path, base, DEMO, min_pairs=50)
    bad = {c["name"] for c in made["checks"] if c["verdict"] != "PASS"}
    assert bad == {"suite main can decide", "enough pairs"} and made["override"] is None
    with pytest.raises(RefusedError):
        preflight.require_passed(folder, demo=True)


def test_who_and_why_are_required():
    for absent in SIGNED:
        with pytest.raises(ValueError, match=absent):
            TaskPack.model_validate(
                {"name": "x", "title": "X", "demo": {"eval_rows": 3, **SIGNED} | {absent: ""}}
            )


# --- the whole of it ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One workspace in which the short demo ran and then the full run; the two summaries, and the client."""
    from curate import demo
    from curate.workspace import Workspace

    root = tmp_path_factory.mktemp("demo")
    workspace = Workspace.create(root / "ws")
    pack = workspace.tasks / "echo"
    pack.mkdir()
    text = PACK.replace("{base}", str(tiny_llama(root / "base"))) + "retention = { on = false }\n"
    text += '\n[[suites]]\nname = "again"\nmetric = "exact_match"\n'
    text += f'\n[demo]\neval_rows = 6\nmax_steps = 2\nsigned_by = "{SIGNED["signed_by"]}"\n'
    text += f'reason = "{SIGNED["reason"]}"\n'
    (pack / "task.toml").write_text(text, "utf-8")
    (pack / "guidelines.md").write_text("version: 1\n", "utf-8")
    colours = list(zip(THINGS, COLOURS, strict=True))
    write = {
        "records": [
            {
                "id": f"r{i}",
                "source": f"s{i}",
                "prompt": f"Which colour has the {thing}",
                "completion": colour,
            }
            for i, (thing, colour) in enumerate(colours)
        ],
        "eval": [
            {"id": f"e{i}", "source": f"eval/{i}", "prompt": f"Name the shade of item {i} {thing}, please"}
            | {"reference": colour}
            for i, (thing, colour) in enumerate(reversed(colours))
        ],
        "decisions": [
            {"user": "reviewer-1", "record": f"r{i}", "verdict": "approve"} for i in range(len(colours))
        ],
    }
    for name, lines in write.items():
        (pack / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    short = demo.run("echo", workspace.root, quiet=True, result=root / "short.json")
    full = demo.run("echo", workspace.root, quiet=True, full=True, result=root / "full.json")
    return short, full, Client(workspace, "admin"), root


@pytest.mark.slow
def test_the_short_demo_says_what_it_is_and_the_full_run_too(both):
    short, full, client, _ = both
    assert not short["full"] and full["full"] and full["override"] is None
    assert short["verdict"] == "INCONCLUSIVE" and not short["released"]
    assert short["override"]["signed_by"] == SIGNED["signed_by"]
    assert short["override"]["passed_over"] == ["suite exact can decide", "suite again can decide"]
    assert [(s["suite"], s["asked"], s["of"]) for s in short["suites"]] == [
        ("exact", 6, 16),
        ("again", 6, 16),
    ]
    assert [(s["suite"], s["asked"], s["of"]) for s in full["suites"]] == [
        ("exact", 16, 16),
        ("again", 16, 16),
    ]
    assert short["suites"][0]["arms"]["few_shot"]["shots_wanted"] == 1
    assert short["model"] != full["model"]
    records = [client.call("models.show", model=s["model"])["run"] for s in (short, full)]
    assert records[0]["demo"]["reason"] == SIGNED["reason"] and "demo" not in records[1]
    assert records[0]["steps"] == 2 and records[1]["steps"] == 4
    assert [r["recipe"]["pair_losses"] for r in records] == [False, True]
    card = (client.workspace.models / short["model"] / "README.md").read_text("utf-8")
    assert SIGNED["reason"] in card and "never to be released" in card
    assert full["seconds"].keys() == short["seconds"].keys()
    assert [full["seconds"][name] for name in ("import", "scan")] == [
        short["seconds"][name] for name in ("import", "scan")
    ]


@pytest.mark.slow
def test_nothing_is_released_from_the_short_demo(both):
    short, _, client, _ = both
    for how in (None, "we want it all the same"):
        with pytest.raises(RefusedError, match="short demo") as refused:
            client.call("promote", model=short["model"], override=how)
        assert "demo lead" in refused.value.reasons[0]
    # evaluated in full it still is what it was trained as
    started = client.call("eval", task="echo", model=short["model"], suite="exact")
    client.wait(started["job"])
    decision = client.call("gate", run=f"{short['model']}--exact")
    assert decision["verdict"] == "INCONCLUSIVE"
    assert DECLARED in {c["name"] for c in decision["checks"]}


@pytest.mark.slow
def test_both_share_the_answers_of_the_baselines(both):
    _, _, client, _ = both
    import polars as pl

    folder = client.workspace.evals / "echo"
    few = pl.read_parquet(folder / "sample-baselines--exact" / "generations.parquet")
    every = pl.read_parquet(folder / "baselines--exact" / "generations.parquet")
    assert len(few) == 4 * 6 and len(every) == 4 * 16
    same = few.join(
        every, on=["arm", "row_id", "key", "text", "seconds"]
    )  # a second asking takes other seconds
    assert len(same) == len(few)


@pytest.mark.slow
def test_a_version_is_decided_over_all_suites(both):
    _, full, client, _ = both
    gate = client.call("models.show", model=full["model"])["gate"]
    assert gate["suite"] == "exact, again"
    assert {c["name"].split(":")[0] for c in gate["checks"]} == {"exact", "again"}
    pack = load_pack(client.workspace.tasks / "echo")
    run = client.workspace.evals / "echo" / f"{full['model']}--exact"
    own = json.loads((run / "gate.json").read_text("utf-8"))
    passed = own | {"verdict": "PASS", "reasons": []}
    (run / "gate.json").write_text(json.dumps(passed), "utf-8")
    other = run.with_name(f"{full['model']}--again") / "gate.json"
    kept = other.read_text("utf-8")
    other.unlink()
    try:
        whole = release._of_all_suites(run, pack, full["model"], passed)
        assert whole["verdict"] == "INCONCLUSIVE" and "has not decided on suite again" in whole["reasons"][0]
    finally:
        other.write_text(kept, "utf-8")
        (run / "gate.json").write_text(json.dumps(own), "utf-8")


@pytest.mark.slow
def test_both_resume_and_the_command_prints_json(both):
    from curate.cli import app

    short, full, client, _ = both
    for flags, before in ((), short), (("--full",), full):
        done = CliRunner().invoke(
            app, ["demo", "--task", "echo", "-w", str(client.workspace.root), "--json", *flags]
        )
        assert done.exit_code == 0, done.output
        again = json.loads(done.stdout)
        assert {k: again[k] for k in ("model", "verdict", "seconds")} == {
            k: before[k] for k in ("model", "verdict", "seconds")
        }


def test_a_result_says_what_training_changed_for_better_and_worse():
    names = ["voice", "wrong_time", "same", "unknown"]
    rows = {"zero_shot": [0.369565, 16, 1.0, None], "few_shot": [0.5, 1, 1.0, 2], "tuned": [1.0, 50, 1.0, 3]}
    changed = {"voice": [0.3696, 1.0], "wrong_time": [16, 50]}
    assert results._changed({"names": names, "rows": rows}) == changed
    assert results._changed({"names": names, "rows": {"tuned": rows["tuned"]}}) == {}


def test_a_demo_that_was_cut_goes_on_with_the_job_it_had_started(tmp_path, monkeypatch):
    """Else a training that was cut at its last step would be begun again, beside the one that its worker ends."""
    from curate import demo, users
    from curate.store import Store
    from curate.workspace import Workspace

    workspace = Workspace.create(tmp_path / "ws")
    store = Store.open(workspace.store)
    users.ensure_owner(store, demo.LEAD)
    store.close()

    def state():
        return demo._Demo("sarcastic-bot", workspace, True, True)

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Client, "wait", cut)
        with pytest.raises(KeyboardInterrupt):
            state().job("look", "scan", task="sarcastic-bot")
    went_on = state()
    assert went_on._goes_on("look") and not went_on._goes_on("train")
    went_on.job("look", "scan", task="sarcastic-bot")
    assert len(went_on.client.call("jobs.list")["jobs"]) == 1
    # that one was waited for: asked again, it is done again
    went_on.job("look", "scan", task="sarcastic-bot")
    assert len(went_on.client.call("jobs.list")["jobs"]) == 2
    went_on.own["begun"] = {"preflight": {"job": "j-of-the-other-run"}, "train": {"job": "j-nowhere"}}
    went_on._save()
    # a job that the store does not know is begun anew, and so is a preflight: the other run may have made one since
    assert not state()._goes_on("train") and "preflight" not in state().own["begun"]


@pytest.mark.slow
def test_result_files_hold_no_path_and_make_the_page(both):
    from scripts.results import page

    _, _, _, root = both
    folder = root / "results"
    folder.mkdir(exist_ok=True)
    for name in ("short", "full"):
        text = (root / f"{name}.json").read_text("utf-8")
        assert str(root) not in text.replace(str(root / "base"), "")  # the base is named by the pack itself
        (folder / f"{name}.json").write_text(text, "utf-8")
    found = results.committed(folder)
    assert [r["full"] for r in found["echo"]] == [True, False]
    text = page(found, {"echo": "Echo", "other": "Other"})
    assert "| other | not run |" in text
    assert "| echo | short demo, 6 of 16 rows | exact |" in text and "| echo | full | again |" in text
    assert SIGNED["reason"] in text and "1 of 1 shots" in text


def test_a_pack_without_a_declaration_has_no_short_demo(tmp_path):
    from curate import demo
    from curate.ops.proof import _declared
    from curate.ops.table import Context
    from curate.workspace import Workspace

    workspace = Workspace.create(tmp_path / "ws")
    assert not demo._Demo("sarcastic-bot", workspace, True, False).short
    with pytest.raises(UsageError, match="declares no demo override"):
        _declared(Context(None, workspace, None), "sarcastic-bot", True)


def test_the_page_of_results_is_made_of_the_committed_files():
    from scripts.results import main

    assert main(["--check"]) == 0, "run python -m scripts.results"
