"""Two processes learn what one does: same rows in every step, losses divided by all supervised tokens.

Covers both ways: every process holds the model (DDP), and the model spread over them (FSDP2). Does not cover: more
than one machine; GPUs.
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
