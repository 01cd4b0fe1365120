"""Two processes learn what one does: same rows in every step, losses divided by all supervised tokens.

Covers both ways: every process holds the model (DDP), and the model spread over them (FSDP2); going on after a kill -9.
Does not cover: more than one machine; GPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from curate.errors import UsageError
from tests.train_helpers import PAIRS, RECIPE, row, snapshot
from train import fine_tune, processes, versions
from train.base import tiny_llama
from train.packed import pack
from train.render import Rendered

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shares_hold_every_row_once_and_are_alike(monkeypatch, world: int) -> None:
    rows = [(n, Rendered(f"p{n}", tuple(range(10 + 7 * n % 23)), 3 + n % 4)) for n in range(14)]
    monkeypatch.setenv("WORLD_SIZE", str(world))
    found, sizes, learned = [], [], 0
    for number in range(world):
        monkeypatch.setenv("RANK", str(number))
        mine = processes.share(rows)
        found += mine["rows"].tolist()
        sizes.append(int(mine["input_ids"].shape[1]))
        learned += int(mine["shift_labels"].ne(-100).sum())
    assert sorted(found) == list(range(14))
    assert learned == int(pack(rows)["shift_labels"].ne(-100).sum())
    assert max(sizes) - min(sizes) <= 33


def test_a_process_without_a_row_learns_nothing(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    mine = processes.share([(4, Rendered("p", (1, 2, 3, 4), 2))])
    assert mine["input_ids"].tolist() == [[1, 2, 3, 4]] and mine["shift_labels"].eq(-100).all()


def test_the_shipped_config_is_one_that_accelerate_reads() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    for path in (ROOT / "train" / "configs").glob("*.yaml"):
        config = load_config_from_file(str(path))
        assert config.distributed_type == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[path.stem]
        assert config.num_processes == 2
        assert "mixed_precision" in path.read_text() and config.mixed_precision == "no"


@pytest.mark.parametrize(
    ("variable", "names"), [("ACCELERATE_USE_FSDP", "FSDP1"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")]
)
def test_other_ways_to_spread_a_model_are_refused(monkeypatch, tmp_path, variable: str, names: str) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(UsageError, match=f"{names} is not supported"):
        fine_tune(tmp_path / "s", RECIPE, tmp_path / "m-v1")


LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def _environment(way: str) -> dict[str, str]:
    """What `accelerate launch` sets for train/configs/fsdp.yaml; it starts one process only where there is no GPU."""
    shared = {**os.environ, "OMP_NUM_THREADS": "1"}
    if way == "ddp":
        return shared
    text = (ROOT / "train" / "configs" / "fsdp.yaml").read_text("utf-8")
    options = dict(line.strip().split(": ") for line in text.splitlines() if line.startswith("  fsdp_"))
    return {**shared, "ACCELERATE_USE_FSDP": "true", **{key.upper(): value for key, value in options.items()}}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_equal_one(tmp_path, way: str) -> None:
    base = tiny_llama(tmp_path / "base")
    frozen = snapshot(tmp_path / "s", [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS[:19])])
    # 19 rows in steps of 6: the last step has one row, so the second process has none
    alone = fine_tune(frozen, RECIPE, tmp_path / "alone" / "tiny-bot-v1", base_model=base)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'precision = "fp32"\nthreads = 1\nbatch = 6\nepochs = 2\ncheckpoint_steps = 2\nlearning_rate = 5e-3\n'
        "max_minutes = 30\n[lora]\nr = 4\nalpha = 8\n"
    )
    out = tmp_path / "both" / "tiny-bot-v1"
    command = [
        *LAUNCH,
        "-m",
        "train",
        str(frozen),
        str(out),
        "--recipe",
        str(recipe),
        "--base-model",
        str(base),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env=_environment(way),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    both = versions.load(out)
    assert both.record()["hardware"]["processes"] == 2
    one, two = ([e for e in v.record()["log"] if "loss" in e] for v in (alone, both))
    assert len(one) == len(two) == 8
    assert [e["supervised"] for e in one] == [e["supervised"] for e in two]
    assert [e["tokens"] for e in one] == [e["tokens"] for e in two]
    assert [e["loss"] for e in two] == pytest.approx([e["loss"] for e in one], abs=1e-5)
    assert [e["grad_norm"] for e in two] == pytest.approx([e["grad_norm"] for e in one], rel=1e-3)
    first, second = (load_file(v.folder / "adapter_model.safetensors") for v in (alone, both))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=2e-4, rtol=1e-2)
    assert not list(out.parent.glob(".*")), "no working folder and no lock stays"


CHILD = """
import os
import typer
import train.trainer as trainer
from train.__main__ import main
original, at = trainer.PackedTrainer.training_step, int(os.environ["DIE_AT"])
def step(self, *a, **k):
    if self.state.global_step == at and os.environ["RANK"] == "1":
        os.kill(os.getpid(), 9)
    return original(self, *a, **k)
trainer.PackedTrainer.training_step = step
typer.run(main)
"""
#: 16 rows in steps of 6; a look at the validation split, samples and a checkpoint lie before and after the kill
RESUMED = """
precision = "fp32"
threads = 1
batch = 6
epochs = 3
early_stop = 3
checkpoint_steps = 2
sample_steps = 2
sample_pairs = 1
learning_rate = 2e-3
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "method"),
    [
        ("fsdp", "lora"),
        pytest.param("fsdp", "full", marks=pytest.mark.soak),
        pytest.param("ddp", "lora", marks=pytest.mark.soak),
    ],
)
def test_two_processes_go_on_after_a_kill(tmp_path, way: str, method: str) -> None:
    """One of two dies in the fifth step; the rerun ends in the very weights of a run that nothing interrupted."""
    base = tiny_llama(tmp_path / "base")
    rows = [row(f"p{i:03}", *pair) for i, pair in enumerate(PAIRS)]
    frozen = snapshot(tmp_path / "s", rows[:16], rows[16:])
    (tmp_path / "recipe.toml").write_text(f'method = "{method}"\n{RESUMED}' + "[lora]\nr = 4\nalpha = 8\n")
    (tmp_path / "child.py").write_text(CHILD)

    def run(out: Path, die_at: int) -> subprocess.CompletedProcess[str]:
        options = ["--recipe", str(tmp_path / "recipe.toml"), "--base-model", str(base)]
        environment = {**_environment(way), "DIE_AT": str(die_at), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*LAUNCH, str(tmp_path / "child.py"), str(frozen), str(out), *options],
            capture_output=True, text=True, cwd=ROOT, check=False, env=environment,
        )  # fmt: skip

    whole, cut = (tmp_path / name / "tiny-bot-v1" for name in ("whole", "cut"))
    done = run(whole, -1)
    assert done.returncode == 0, done.stderr[-3000:]
    killed = run(cut, 4)
    assert killed.returncode != 0 and not cut.exists()
    again = run(cut, -1)
    assert again.returncode == 0, again.stderr[-3000:]
    ours, theirs = (versions.load(out).record() for out in (whole, cut))
    assert theirs["resumed_from"] == 4 and ours["resumed_from"] == 0
    told = ("step", "loss", "eval_loss")
    assert [[e.get(k) for k in told] for e in theirs["log"]] == [
        [e.get(k) for k in told] for e in ours["log"]
    ]
    assert theirs["samples"] == ours["samples"] and len(ours["samples"]) == 4
    assert theirs["kept"] == ours["kept"] is not None
    assert theirs["adapter_sha256"] == ours["adapter_sha256"]
