"""Results of whole demos as small files: written after a run, committed, shown in the docs and the gallery.

Covers: what such a file holds, reading the committed ones, the table of them. Does not cover: running anything
(`curate.demo`), nor judging: every number comes from the run's report and the gate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from curate.errors import UsageError

FORMAT = 1
COMMITTED = next(
    (
        path
        for path in (
            Path(__file__).parent / "_results",  # in the wheel
            Path(__file__).resolve().parent.parent / "data" / "results",  # in a checkout
        )
        if path.is_dir()
    ),
    None,
)
FIELDS = ("task", "title", "full", "override", "rows", "model", "verdict", "worth_it", "released")
ARMS = ("zero_shot", "few_shot", "retrieval", "retrieval_few_shot", "tuned")


def result_of(summary: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """A result file's content: a demo's summary without texts, and on what it ran (``run``: the model's record)."""
    # a demo that was cut waits only for what is left of its training
    seconds = {**summary["seconds"], "train": max(summary["seconds"]["train"], run["wall_seconds"])}
    return {
        "format": FORMAT,
        **{name: summary[name] for name in FIELDS},
        # paths are of one machine
        "suites": [{key: value for key, value in s.items() if key != "report"} for s in summary["suites"]],
        "date": run["created"][:10],
        "minutes": round(sum(seconds.values()) / 60, 1),
        "base": run["base"]["name"],
        "training": {key: run[key] for key in ("steps", "planned_steps", "ended", "wall_seconds")},
        "device": {key: run["hardware"][key] for key in ("device", "name", "cores", "threads", "dtype")},
        "versions": {key: value for key, value in run["software"].items() if key != "packages_sha256"},
    }


def suite_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """One suite's numbers out of its ``report.json``, without the texts of answers."""
    kept = ("suite", "metric", "primary", "verdict", "worth_it", "reasons", "agreement")
    return {
        **{key: report[key] for key in kept},
        "asked": report["eval"]["rows"],
        "of": report["eval"]["of"],
        "arms": {
            arm["name"]: {key: arm[key] for key in ("kind", "n", "mean", "interval")}
            | {key: arm["facts"][key] for key in ("shots", "shots_wanted") if key in arm["facts"]}
            for arm in report["arms"]
        },
        "differences": {
            item["arm"]: {"mean": item["estimate"], "interval": item["interval"]}
            for item in report["differences"]
        },
        "changed": _changed(report["scorer_numbers"]),
    }


def _changed(numbers: Mapping[str, Any]) -> dict[str, list[float]]:
    """What training changed, good or bad: the scorer's numbers that differ, of the untuned and the tuned model."""
    before, after = (
        numbers["rows"].get(arm, [None] * len(numbers["names"])) for arm in ("zero_shot", "tuned")
    )
    return {
        name: [round(a, 4), round(b, 4)]
        for name, a, b in zip(numbers["names"], before, after, strict=True)
        if a is not None and b is not None and round(a, 4) != round(b, 4)
    }


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Put a result into a file that can be committed; the same result gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def committed(folder: Path | None = COMMITTED) -> dict[str, list[dict[str, Any]]]:
    """Task -> its committed results, the full run first. Raises `UsageError` naming a file that is none."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        try:
            result = json.loads(path.read_text("utf-8"))
            if result["format"] != FORMAT:
                raise ValueError(f"format {result['format']} is not {FORMAT}")
            found.setdefault(result["task"], []).append(result)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: no result of `goldpair demo --result` ({error}).") from error
    return {task: sorted(results, key=lambda r: not r["full"]) for task, results in found.items()}


def arms_of(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of all arms of some results' suites: the usual ones in their order, then others, the tuned ones last."""
    names = {arm for result in found for suite in result["suites"] for arm in suite["arms"]} | {"tuned"}
    order = [arm for arm in ARMS if arm in names and arm != "tuned"]
    return [*order, *sorted(names - {*order}, key=lambda arm: (arm.startswith("tuned"), arm))]


def score_words(arm: Mapping[str, Any] | None) -> str:
    """An arm's mean with its interval and, where fewer examples fitted than wanted, how many."""
    if arm is None or arm["mean"] is None:
        return "–"
    low, high = arm["interval"]
    text = f"{arm['mean']:.3f} [{low:.3f}, {high:.3f}]"
    if arm.get("shots") is not None:
        text += f", {arm['shots']} of {arm['shots_wanted']} shots"
    return text


def run_words(result: Mapping[str, Any]) -> str:
    """Full run or short demo, and on what, in one sentence."""
    device = result["device"]
    what = "Full run" if result["full"] else "Short demo under the declared override"
    text = f"{what}, {result['date']}: {result['minutes']:g} minutes on {device['name']} ({device['threads']} threads)"
    training = result["training"]
    text += f", {training['steps']} of {training['planned_steps']} training steps of base {result['base']}"
    names = ("goldpair", "torch", "transformers", "peft")
    return (
        text
        + "; "
        + ", ".join(f"{n} {result['versions'][n]}" for n in names if n in result["versions"])
        + "."
    )
