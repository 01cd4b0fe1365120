"""The steps of a training run while it runs: kept beside its job, for the loss curve in the terminal and on the page.

Covers: writing them from the job's process, reading them, a curve made of block characters. Does not cover: the run
record, which holds every step for good (`train.run`), nor drawing (`curate.views.insight`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FILE = "steps.jsonl"
KEPT = ("step", "loss", "eval_loss", "eval_score")
BLOCKS = "▁▂▃▄▅▆▇█"


def follow(folder: Path, report: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Progress of a training loop as progress of the job in ``folder``; every step is written there."""
    told = {row["step"]: row["loss"] for row in read(folder)}

    def step(state: dict[str, Any]) -> None:
        told[state["step"]] = state["loss"]
        with (folder / FILE).open("a", encoding="utf-8") as sink:  # a line of its own, after a half one too
            sink.write("\n" + json.dumps({key: state[key] for key in KEPT if key in state}))
        so_far = [told[at] for at in sorted(told) if at <= state["step"]]
        words = [f"loss {state['loss']:.3f} {sparkline(so_far)}"]
        if "eval_loss" in state:
            words.append(f"validation {state['eval_loss']:.2f}")
        if "eval_score" in state:
            words.append(f"score {state['eval_score']:.2f}")
        words.append(f"{state['tokens_per_s']:.0f} tok/s")
        report({"done": state["step"], "total": state["steps"], "message": ", ".join(words)})

    return step


def read(folder: Path) -> list[dict[str, Any]]:
    """Steps so far, oldest first; one that was done again after an interruption counts once, as it was done last."""
    try:
        lines = (folder / FILE).read_text("utf-8").splitlines()
    except OSError:
        return []
    found: dict[int, dict[str, Any]] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a process that was killed while it wrote
            continue
        found[row["step"]] = row
    return [found[step] for step in sorted(found)]


def sparkline(values: Sequence[float], width: int = 6) -> str:
    """Means of ``width`` equal parts as block characters, the lowest part the lowest block."""
    width = min(width, len(values))
    parts = [
        values[number * len(values) // width : (number + 1) * len(values) // width] for number in range(width)
    ]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means, default=0.0), max(means, default=0.0)
    room = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * room)] for mean in means)
