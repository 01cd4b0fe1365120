"""A run from snapshot to version: what it leaves behind, resuming after kill -9, damage and bad input.

Does not cover: the refusals of invariant 4 (`test_invariant_training.py`), the step (`test_train_packed.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from curate.contract import load_manifest
from curate.errors import RefusedError, UsageError
from tests.train_helpers import PAIRS, RECIPE, row, snapshot
from train import fine_tune, versions
from train.base import tiny_llama
from train.packed import even_parts
from train.trainer import TrainingStopped

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    return snapshot(tmp_path_factory.mktemp("frozen") / "s", rows[:20], rows[20:])


@pytest.fixture(scope="module")
def trained(base, frozen, tmp_path_factory):
    seen: list[dict] = []
    out = tmp_path_factory.mktemp("models") / "tiny-bot-v1"
    return fine_tune(frozen, RECIPE, out, base_model=base, progress=seen.append), seen


def test_a_run_leaves_a_version_that_accounts_for_itself(trained, frozen, base) -> None:
    version, seen = trained
    record = version.record()
    assert version.name == "tiny-bot-v1" and version.task == "tiny-bot"
    assert record["snapshot"]["id"] == load_manifest(frozen).id
    assert record["steps"] == record["planned_steps"] == 8 and record["ended"] == "complete"
    assert record["rows"] == {"train": 20, "validation": 4} and record["dropped"] == []
    steps = [entry for entry in record["log"] if "loss" in entry]
    assert [entry["step"] for entry in steps] == list(range(1, 9))
    assert all(
        {"loss", "learning_rate", "grad_norm", "tokens", "seconds", "cpu_seconds"} <= e.keys() for e in steps
    )
    assert sum("eval_loss" in entry for entry in record["log"]) == 2
    assert record["tokens_seen"] == sum(entry["tokens"] for entry in steps) > 0
    assert record["base"]["files"]["model.safetensors"] and len(record["tokens_sha256"]) == 64
    assert record["software"]["torch"] == torch.__version__.split("+")[0] or record["software"]["torch"]
    assert record["peak_memory_mb"] > 0 and record["cpu_seconds"] > 0 and record["hardware"]["threads"] == 1
    assert [p["step"] for p in seen] == list(range(1, 9))
    assert seen[0].keys() == {"step", "steps", "loss", "tokens_per_s", "eta_s"}
    assert seen[-1].keys() == {*seen[0], "eval_loss"} and seen[-1]["eta_s"] == 0


def test_training_lowers_the_loss_of_the_pairs_and_says_which(trained) -> None:
    version, _ = trained
    table = pl.read_parquet(version.folder / "pair_loss.parquet")
    assert table.columns == ["pair_id", "before", "after", "tokens"]
    assert sorted(table["pair_id"]) == [f"p{i:03}" for i in range(20)]
    assert (table["after"] < table["before"]).all()
    record = version.record()
    assert record["loss_after"] < record["loss_before"]
    assert record["loss_before"] == pytest.approx(record["log"][0]["loss"], abs=0.2)


def test_a_version_holds_no_pickle_and_no_path_of_this_machine(trained, base) -> None:
    version, _ = trained
    names = {path.name for path in version.folder.rglob("*")}
    assert {
        "adapter_model.safetensors",
        "adapter_config.json",
        "run.json",
        "tokenizer.json",
        "README.md",
    } <= names
    assert not [name for name in names if Path(name).suffix in versions.PICKLES]
    for path in version.folder.glob("*.json"):
        assert str(base.parent) not in path.read_text(), path.name
    assert not list(version.folder.parent.glob(".*.partial")), "the working folder is gone"


def test_the_adapter_loads_with_peft_alone_and_changes_the_model(trained, base) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    version, _ = trained
    model = AutoModelForCausalLM.from_pretrained(base)
    ids = torch.tensor([[5, 6, 7]])
    before = model(ids).logits
    after = PeftModel.from_pretrained(model, version.folder)(ids).logits
    assert not torch.allclose(before, after)


def test_the_same_run_twice_gives_the_same_adapter(trained, base, frozen, tmp_path) -> None:
    version, _ = trained
    again = fine_tune(frozen, RECIPE, tmp_path / "m" / "tiny-bot-v1", base_model=base)
    assert again.adapter_sha256 == version.adapter_sha256
    assert again.record()["fingerprint"] == version.record()["fingerprint"]
    other = fine_tune(frozen, {**RECIPE, "seed": 1}, tmp_path / "m" / "tiny-bot-v2", base_model=base)
    assert other.adapter_sha256 != version.adapter_sha256


def test_a_finished_run_is_returned_and_never_overwritten(trained, base, frozen) -> None:
    version, _ = trained
    changed = (version.folder / "run.json").stat().st_mtime_ns
    assert fine_tune(frozen, RECIPE, version.folder, base_model=base) == version
    assert (version.folder / "run.json").stat().st_mtime_ns == changed
    with pytest.raises(RefusedError, match="something else"):
        fine_tune(frozen, {**RECIPE, "epochs": 1}, version.folder, base_model=base)


CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import train.trainer as trainer
from tests.train_helpers import RECIPE
from train import fine_tune
mode, at = sys.argv[5], int(sys.argv[6])
def die(): os.kill(os.getpid(), 9)
if mode == "step":
    original = trainer.PackedTrainer.training_step
    def step(self, *a, **k):
        if self.state.global_step == at: die()
        return original(self, *a, **k)
    trainer.PackedTrainer.training_step = step
if mode == "checkpoint":
    calls, save = [0], trainer.save_file
    def saving(tensors, path, *a, **k):
        calls[0] += 1
        if calls[0] == at:
            save(tensors, path, *a, **k)
            os.truncate(path, 40)
            die()
        return save(tensors, path, *a, **k)
    trainer.save_file = saving
if mode == "publish":
    import train.run as run
    run.model_card = lambda *a: die()
print(fine_tune(sys.argv[2], RECIPE, sys.argv[3], base_model=sys.argv[4]).adapter_sha256)
"""


@pytest.mark.parametrize(
    ("mode", "at"),
    [("step", 1), ("step", 5), ("step", 7), ("checkpoint", 2), ("checkpoint", 8), ("publish", 0)],
)
def test_kill_9_and_a_rerun_end_in_the_same_adapter(
    trained, base, frozen, tmp_path, mode: str, at: int
) -> None:
    version, _ = trained
    out = tmp_path / "models" / "tiny-bot-v1"

    def run(mode: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CHILD, str(ROOT), str(frozen), str(out), str(base), mode, str(at)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    killed = run(mode)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists(), "half a version must never be seen"
    rerun = run("none")
    assert rerun.returncode == 0, rerun.stderr
    assert rerun.stdout.strip() == version.adapter_sha256
    if at > 2 or mode == "publish":
        assert versions.load(out).record()["resumed_from"] > 0
    log, ours = versions.load(out).record()["log"], version.record()["log"]
    told = [{key: entry.get(key) for key in ("step", "loss", "eval_loss")} for entry in log]
    assert told == [{key: entry.get(key) for key in ("step", "loss", "eval_loss")} for entry in ours]


def test_a_second_process_on_the_same_run_is_told_so(base, frozen, tmp_path) -> None:
    from filelock import FileLock

    from curate.errors import GoldpairError

    out = tmp_path / "tiny-bot-v1"
    started: list[Path] = []

    def second(_: dict) -> None:
        (work,) = tmp_path.glob(".*.partial")
        started.append(work)
        with pytest.raises(GoldpairError, match="Another process"):
            _in_other_process(frozen, out, base)

    fine_tune(frozen, {**RECIPE, "max_steps": 1}, out, base_model=base, progress=second)
    assert started
    assert FileLock  # the lock is a file, so that a dead process cannot hold it


def _in_other_process(frozen: Path, out: Path, base: Path) -> None:
    from curate.errors import GoldpairError

    child = CHILD.replace("RECIPE,", '{**RECIPE, "max_steps": 1},')
    command = [sys.executable, "-c", child, str(ROOT), str(frozen), str(out), str(base), "none", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise GoldpairError(done.stderr)


def test_a_loss_that_is_no_number_stops_and_names_the_pairs(base, frozen, tmp_path, monkeypatch) -> None:
    import train.trainer as trainer

    original = trainer.token_losses
    calls = [0]

    def poisoned(model, packed, head=None):
        calls[0] += 1
        losses = original(model, packed, head)
        return losses * float("nan") if calls[0] == 4 else losses

    monkeypatch.setattr(trainer, "token_losses", poisoned)
    out = tmp_path / "tiny-bot-v1"
    with pytest.raises(TrainingStopped, match=r"step 4.*p0\d\d"):
        fine_tune(frozen, RECIPE, out, base_model=base)
    assert not out.exists()
    (kept,) = tmp_path.glob(".*.partial/checkpoint-2")
    assert (kept / "weights.safetensors").is_file()
    monkeypatch.undo()
    assert fine_tune(frozen, RECIPE, out, base_model=base).record()["resumed_from"] == 2


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing(
    trained, base, frozen, tmp_path, monkeypatch
) -> None:
    import train.trainer as trainer

    original = trainer.token_losses

    def scarce(model, packed, head=None):
        if packed["input_ids"].shape[1] > 200:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        return original(model, packed, head)

    monkeypatch.setattr(trainer, "token_losses", scarce)
    version = fine_tune(frozen, RECIPE, tmp_path / "tiny-bot-v1", base_model=base)
    assert [e["micro_tokens"] for e in version.record()["log"] if "micro_tokens" in e]
    roomy = [e["loss"] for e in trained[0].record()["log"] if "loss" in e]
    tight = [e["loss"] for e in version.record()["log"] if "loss" in e]
    assert tight == pytest.approx(roomy, abs=1e-4)


def test_micro_batches_do_not_change_the_run(trained, base, frozen, tmp_path) -> None:
    small = fine_tune(frozen, {**RECIPE, "micro_tokens": 90}, tmp_path / "tiny-bot-v1", base_model=base)
    roomy, tight = (
        [e["loss"] for e in version.record()["log"] if "loss" in e] for version in (trained[0], small)
    )
    assert tight == pytest.approx(roomy, abs=1e-4)


def test_two_cores_take_rows_of_their_own_and_learn_the_same(
    trained, base, frozen, tmp_path, monkeypatch
) -> None:
    shares: list[int] = []

    def cut(packed, count):
        parts = even_parts(packed, count)
        shares.append(len(parts))
        return parts

    monkeypatch.setattr("train.trainer.even_parts", cut)
    first, again = (
        fine_tune(frozen, {**RECIPE, "threads": 2}, tmp_path / name / "tiny-bot-v1", base_model=base)
        for name in ("a", "b")
    )
    alone, apart = (
        [e["loss"] for e in version.record()["log"] if "loss" in e] for version in (trained[0], first)
    )
    assert apart == pytest.approx(alone, abs=2e-4)
    assert shares and set(shares) == {2}, "each step was cut in two"
    # gradients are added in the order of the rows, whichever core is ready first
    assert first.adapter_sha256 == again.adapter_sha256


def test_dropped_pairs_are_named_in_the_record(base, tmp_path) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:8])]
    rows += [row("long", "Where?", "y" * 4000), row("twin", *PAIRS[0])]
    folder = snapshot(tmp_path / "s", rows)
    recipe = {**RECIPE, "bad_rows": "drop", "max_steps": 1}
    record = fine_tune(folder, recipe, tmp_path / "m-v1", base_model=base).record()
    assert {f["pair_id"]: f["problem"] for f in record["dropped"]} == {
        "long": "over_long",
        "twin": "duplicate",
    }
    assert record["rows"]["train"] == 8


def test_split_pairs_are_named_and_have_one_loss(base, tmp_path) -> None:
    rows = [row(f"p{i}", *pair) for i, pair in enumerate(PAIRS[:8])] + [row("long", "Where?", "y z " * 200)]
    recipe = {**RECIPE, "bad_rows": "split", "max_length": 128, "max_steps": 1}
    version = fine_tune(snapshot(tmp_path / "s", rows), recipe, tmp_path / "m-v1", base_model=base)
    (cut,) = version.record()["split"]
    assert cut["pair_id"] == "long" and cut["parts"] > 2 and version.record()["dropped"] == []
    assert version.record()["rows"]["train"] == 8 + cut["parts"]
    losses = pl.read_parquet(version.folder / "pair_loss.parquet")
    assert losses["pair_id"].to_list() == [r["pair_id"] for r in rows]
    assert losses.filter(pl.col("pair_id") == "long")["tokens"].item() > 400


def test_samples_are_taken_and_change_nothing(trained, base, frozen, tmp_path) -> None:
    recipe = {**RECIPE, "sample_steps": 3, "sample_pairs": 2}
    version = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base)
    samples = version.record()["samples"]
    assert [(s["step"], s["pair_id"]) for s in samples] == [
        (3, "p020"), (3, "p021"), (6, "p020"), (6, "p021")
    ]  # fmt: skip
    assert all(isinstance(s["text"], str) for s in samples)
    assert version.adapter_sha256 == trained[0].adapter_sha256


def test_samples_survive_a_kill_while_one_is_written(tmp_path) -> None:
    from train.samples import FILE, taken

    assert taken(tmp_path) == []
    lines = [json.dumps({"step": n, "pair_id": "p", "text": str(k)}) for k, n in enumerate((10, 2, 10))]
    (tmp_path / FILE).write_text("\n".join(lines) + '\n{"step": 12, "pai')
    assert [(s["step"], s["text"]) for s in taken(tmp_path)] == [(2, "1"), (10, "2")]


def test_a_tracker_that_is_not_here_is_refused_by_name(base, frozen, tmp_path) -> None:
    recipe = {**RECIPE, "report_to": ["no-such-tracker"]}
    with pytest.raises(UsageError, match="no-such-tracker is not installed"):
        fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base)


def test_minutes_spent_end_a_run_cleanly(base, frozen, tmp_path) -> None:
    recipe = {**RECIPE, "epochs": 50, "max_minutes": 1e-6}
    record = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base).record()
    assert record["ended"] == "max_minutes" and record["steps"] == 1 < record["planned_steps"]


def test_early_stop_on_validation_loss(base, frozen, tmp_path) -> None:
    # at this rate the steps overshoot, so the first epoch stays the best
    recipe = {**RECIPE, "epochs": 20, "early_stop": 1, "learning_rate": 0.3, "max_grad_norm": 100.0}
    record = fine_tune(frozen, recipe, tmp_path / "tiny-bot-v1", base_model=base).record()
    assert record["ended"] == "early_stop" and record["steps"] < record["planned_steps"]


def test_a_disk_that_fills_up_leaves_no_half_checkpoint(base, frozen, tmp_path, monkeypatch) -> None:
    import train.trainer as trainer

    save, calls = trainer.save_file, [0]

    def full(tensors, path, *rest, **options):
        calls[0] += 1
        if calls[0] == 5:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        return save(tensors, path, *rest, **options)

    monkeypatch.setattr(trainer, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        fine_tune(frozen, RECIPE, tmp_path / "tiny-bot-v1", base_model=base)
    (work,) = tmp_path.glob(".*.partial")
    assert [path.name for path in trainer.checkpoints(work)] == ["checkpoint-2"]
    load_file(work / "checkpoint-2" / "optimizer.safetensors")


# --- versions -----------------------------------------------------------------------------------------------


def test_versions_are_numbered_listed_and_checked(trained, tmp_path) -> None:
    version, _ = trained
    models = version.folder.parent
    assert versions.next_name("tiny-bot", models) == "tiny-bot-v2"
    assert versions.next_name("other", models) == versions.next_name("other", tmp_path / "none") == "other-v1"
    assert versions.list_versions(models) == [version]
    assert versions.load(version.folder) == version


def test_import_checks_hashes_and_finds_a_version_again(trained, tmp_path) -> None:
    version, _ = trained
    models = tmp_path / "models"
    brought = versions.import_version(version.folder, models)
    assert (brought.name, brought.hash) == (version.name, version.hash)
    assert versions.import_version(version.folder, models) == brought
    assert [v.name for v in versions.list_versions(models)] == ["tiny-bot-v1"]


@pytest.mark.parametrize("damage", ["change", "remove", "add", "record", "escape"])
def test_import_refuses_a_damaged_version(trained, tmp_path, damage: str) -> None:
    import shutil

    version, _ = trained
    copy = tmp_path / "tiny-bot-v1"
    shutil.copytree(version.folder, copy)
    record = json.loads((copy / "run.json").read_text())
    weights = copy / "adapter_model.safetensors"
    if damage == "change":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "remove":
        weights.unlink()
    elif damage == "add":
        (copy / "extra.py").write_text("print()")
    elif damage == "record":
        (copy / "run.json").write_text("{}")
    else:
        record["files"]["../outside"] = "0" * 64
        (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(versions.ModelVersionError):
        versions.import_version(copy, tmp_path / "models")
    assert versions.list_versions(tmp_path / "models") == []


def test_import_refuses_pickles_even_when_the_record_names_them(trained, tmp_path) -> None:
    import shutil

    from curate.contract import file_sha256

    version, _ = trained
    copy = tmp_path / "tiny-bot-v1"
    shutil.copytree(version.folder, copy)
    (copy / "training_args.bin").write_bytes(b"\x80\x04")
    record = json.loads((copy / "run.json").read_text())
    record["files"]["training_args.bin"] = file_sha256(copy / "training_args.bin")
    (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(versions.ModelVersionError, match=r"training_args\.bin"):
        versions.import_version(copy, tmp_path / "models")


def test_importing_the_package_does_not_load_torch() -> None:
    code = "import sys, train; from train import load_recipe; load_recipe(None); sys.exit('torch' in sys.modules)"
    started = time.monotonic()
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, check=False).returncode
        == 0
    )
    assert time.monotonic() - started < 60


def test_preflight_is_the_function_whatever_was_imported_before() -> None:
    code = "import train.run, train.checks; from train import preflight; assert callable(preflight)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
