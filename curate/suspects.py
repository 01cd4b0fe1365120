"""The road back: from an answer that broke to the training pairs behind it, and those into the review queue.

Covers: what a blame job needs to know of the workspace, its work, returning suspects with the failing example attached.
Does not cover: who is suspected (`evals.blame`), the rules of returning a pair (`curate.review`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from curate import lineage, review, snapshot, users
from curate.errors import GoldpairError, NotFound, UsageError
from curate.store import Store
from curate.workspace import Workspace

LONGEST = 300  # characters of a text inside a comment
PRECISION: Literal["auto", "fp32"] = "auto"  # of the model that gradients are of: as it was trained
TRAINED_ON = {
    "system",
    "history",
    "prompt",
    "completion",
    "split",
}  # columns whose change changes the training


def spec_of(workspace: Workspace, run: Path, gradients: bool) -> dict[str, Any]:
    """What the job is told: run, snapshot, model, the arm before, pairs that changed. Raises `UsageError`."""
    meta = json.loads((run / "run.json").read_text("utf-8"))
    arms = meta["arms"]
    model = run.name.split("--")[0]
    if "tuned" not in arms:
        raise UsageError(f"Run {run.name} has no tuned arm; blame is about a tuned model's answers.")
    record = lineage.record(workspace, model)
    trained_on = record["snapshot"]["id"]
    folder = lineage.snapshot_of(workspace, trained_on)
    if folder is None:
        raise NotFound(
            f"Snapshot {trained_on[:12]} of {model} is not in this workspace, so no pair can be named."
        )
    lineage.write_context(workspace, run)
    context = json.loads((run / "context.json").read_text("utf-8"))
    before = context["predecessor"]
    others = [name for name in arms if name != "tuned"]
    return {
        "run": str(run),
        "snapshot": str(folder),
        "model": str(workspace.models / model),
        "base": record["base"]["name"],
        "template": record["recipe"].get("template", "model"),
        "reference": before or (others[0] if others else None),
        "changed": _changed(workspace, context.get("data") or {}),
        "gradients": gradients,
        "threads": workspace.settings.threads,
    }


def _changed(workspace: Workspace, data: dict[str, Any]) -> list[str]:
    """Every pair that trained other than before; the context of a run lists only the first of them."""
    if not data.get("counts"):
        return []
    folders = [lineage.snapshot_of(workspace, data[side]) for side in ("left", "right")]
    if folders[0] is None or folders[1] is None:
        return []
    found = snapshot.diff(folders[0], folders[1])
    other = [row["pair_id"] for row in found["changed"] if TRAINED_ON & set(row["columns"])]
    return sorted([row["pair_id"] for row in found["added"]] + other)


def work(spec: dict[str, Any]) -> dict[str, Any]:
    """Find the suspects and write ``blame.json`` beside the run; without a store, in the job's process."""
    from evals.blame import blame
    from evals.generate import LocalModel

    model = None
    if spec["gradients"]:
        model = LocalModel(
            spec["base"],
            spec["model"],
            threads=spec["threads"],
            precision=PRECISION,
            template=spec["template"],
        )
    found = blame(
        spec["run"], spec["snapshot"], reference=spec["reference"], changed=spec["changed"], model=model
    )
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (Path(spec["run"]) / "blame.json").write_text(text, "utf-8")
    return found


def reopen(
    store: Store, actor: users.Actor, run: Path, pairs: list[str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return suspects to the review queue, each with the examples that broke as its comment.

    ``pairs`` None takes the first suspect of every example. A pair that has another revision by now, or is not
    approved any more, is left as it is and named. Raises `NotFound` without ``blame.json``, `UsageError` for a pair
    that nothing suspects, `PermissionDenied`.
    """
    users.require(actor, "review")
    path = run / "blame.json"
    if not path.is_file():
        raise NotFound(f"Run {run.name} has no suspects yet. Run `goldpair blame {run.name}` first.")
    found = json.loads(path.read_text("utf-8"))
    suspected: dict[str, tuple[int, list[str]]] = {}
    for example in found["examples"]:
        for pair in example["pairs"]:
            suspected.setdefault(pair["pair_id"], (pair["revision"], []))[1].append(example["id"])
    first = [example["pairs"][0]["pair_id"] for example in found["examples"] if example["pairs"]]
    wanted = list(dict.fromkeys(first if pairs is None else pairs))
    if unknown := [name for name in wanted if name not in suspected]:
        raise UsageError(
            f"Nothing suspects {', '.join(unknown[:5])}. `goldpair blame {run.name}` lists the suspects."
        )
    answers = _answers(run, found["candidate"])
    returned: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for name in wanted:
        revision, examples = suspected[name]
        try:
            comment = _comment(run, examples, answers)
            done = review.decide(store, actor, name, revision, "return", comment=comment)
            returned.append({"pair_id": name, "status": done["status"], "examples": examples})
        except GoldpairError as error:
            skipped.append({"pair_id": name, "why": str(error)})
    return {"returned": returned, "skipped": skipped}


def _answers(run: Path, candidate: str) -> dict[str, tuple[str, str]]:
    """Row id -> (prompt, the candidate's answer)."""
    from evals.run import EvalRun

    loaded = EvalRun.load(run)
    said = loaded.answers(candidate)
    return {row.id: (row.prompt, said[row.id]["text"]) for row in loaded.rows if row.id in said}


def _comment(run: Path, examples: list[str], answers: dict[str, tuple[str, str]]) -> str:
    prompt, answer = answers[examples[0]]
    more = f" and {len(examples) - 1} more" if len(examples) > 1 else ""
    return (
        f"Suspected behind eval row {examples[0]}{more} of {run.name}. Asked: {prompt[:LONGEST]} | "
        f"Answered: {answer[:LONGEST]}"
    )
