"""What a new policy sheet touches: pairs that state what changed, their snapshots, models that learned from them.

Covers: the entries that differ between two dated sheets, the claims of completions that rest on them, by the rules of
the scorer `policy_facts`. Does not cover: promises without a number, payer or channel, nor changing any pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate import contract
from curate.contract import SPLITS
from curate.errors import UsageError
from curate.facts.classes import DEAD
from curate.store import Store
from curate.workspace import Workspace

if TYPE_CHECKING:
    from evals.metrics.policy_facts.claims import Claim
    from evals.metrics.policy_facts.sheet import Fact, Sheet

_TELLING = (
    "value",
    "value_to",
    "unit",
    "payer",
    "channels",
    "valid_from",
    "valid_to",
)  # a rewording alone is no change


def read(text: str) -> Sheet:
    """A sheet from its TOML or JSON text. Raises `UsageError` naming what is wrong."""
    from evals.metrics.policy_facts.sheet import read_sheet

    try:
        return read_sheet(text if "\n" in text or text.lstrip().startswith("{") else text + "\n")
    except ValueError as error:
        raise UsageError(f"{error}. docs/facts.md shows the form of a sheet.") from None


def sheet_before(folder: Path, new: Sheet) -> Sheet:
    """The sheet of a task pack that was in force before ``new``. Raises `UsageError` when the pack has none."""
    from evals.metrics.policy_facts.sheet import read_sheet

    found = []
    for path in sorted([*folder.glob("*.toml"), *folder.glob("*.json")]):
        if path.name == "task.toml":
            continue
        try:
            sheet = read_sheet(path.name, folder)
        except ValueError:  # another file of the pack
            continue
        if sheet.valid_from < new.valid_from:
            found.append(sheet)
    if not found:
        raise UsageError(
            f"The pack {folder.name} has no sheet from before {new.valid_from}. Name the old one with --before FILE."
        )
    return max(found, key=lambda sheet: sheet.valid_from)


def differences(old: Sheet, new: Sheet) -> list[dict[str, Any]]:
    """Entries that differ, by id: ``{"fact", "what": changed | removed | added, "old", "new"}``.

    ``old`` and ``new`` are the texts of the two sheets. A hand-over topic that is new counts as added.
    """
    before, after = ({fact.id: fact for fact in sheet.facts} for sheet in (old, new))
    rows = []
    for name in sorted(before | after):
        a, b = before.get(name), after.get(name)
        if a and b and all(getattr(a, key) == getattr(b, key) for key in _TELLING):
            continue
        what = "changed" if a and b else "removed" if a else "added"
        rows.append({"fact": name, "what": what, "old": _said(a), "new": _said(b)})
    topics = {hand.topic for hand in old.hand_over}
    rows += [
        {"fact": f"hand over: {hand.topic}", "what": "added", "old": "", "new": hand.reason}
        for hand in new.hand_over
        if hand.topic not in topics
    ]
    return rows


def _said(fact: Fact | None) -> str:
    return (fact.text or fact.topic) if fact else ""


def touched(prompt: str, completion: str, old: Sheet, new: Sheet) -> list[dict[str, Any]]:
    """Claims of a completion that the change makes wrong or doubtful.

    Each is ``{"fact", "what", "start", "end", "span", "old", "new"}``. ``what`` is "stale" for a claim that the old
    sheet bears out and the new one does not, "doubtful" for one that states a changed entry's old value in a text
    about it, "hand over" for an answer to a question that the new sheet gives to a person.
    """
    from evals.metrics.policy_facts.claims import find_claims, judge, says

    changed = {row["fact"]: row for row in differences(old, new)}
    olds = [fact for fact in old.facts if fact.id in changed]
    found = []
    for claim in find_claims(completion, prompt):
        if claim.kind == "certainty":
            continue
        was, support = judge(claim, completion, prompt, old, old.valid_from)
        now, instead = judge(claim, completion, prompt, new, new.valid_from)
        on = next((fact for fact in olds if was and fact.text == support), None) or next(
            (
                fact
                for fact in olds
                if _states(fact, claim) and any(says(f"{prompt}\n{completion}", w) for w in fact.keywords)
            ),
            None,
        )
        if was and not now:
            what = "stale"
        elif on is not None and not was and not now:
            what = "doubtful"
        else:
            continue
        row = changed.get(on.id, {}) if on else {}
        found.append(
            {
                "fact": on.id if on else "",
                "what": what,
                "start": claim.start,
                "end": claim.end,
                "span": completion[claim.start : claim.end],
                "old": row.get("old") or support,
                "new": row.get("new") if row else instead,
            }
        )
    topics = {hand.topic for hand in old.hand_over}
    for hand in new.hand_over:
        if (
            hand.topic not in topics
            and any(says(prompt, cue) for cue in hand.cues)
            and not _passed_on(completion)
        ):
            found.append(
                {
                    "fact": f"hand over: {hand.topic}",
                    "what": "hand over",
                    "start": 0,
                    "end": len(completion.rstrip()),
                    "span": completion.rstrip(),
                    "old": "",
                    "new": hand.reason,
                }
            )
    return found


def _passed_on(completion: str) -> bool:
    from evals.metrics.policy_facts.claims import hands_over

    return hands_over(completion) is not None


def _states(fact: Fact, claim: Claim) -> bool:
    """Whether a claim names a value that the entry's own sentence names; payers and channels say too little alone."""
    from evals.metrics.policy_facts.claims import find_claims

    if claim.kind not in ("time", "inr", "percent"):
        return False
    return any((c.kind, c.low, c.high) == (claim.kind, claim.low, claim.high) for c in find_claims(fact.text))


def affected(store: Store, workspace: Workspace, task: str, old: Sheet, new: Sheet) -> dict[str, Any]:
    """Pairs in play, snapshots and models of a task that state what differs between two sheets.

    ``{"task", "old", "new", "changes", "pairs": [{pair_id, rev, status, claims}], "snapshots": [{snapshot, folder,
    rows, affected, pairs}], "models": [{model, snapshot, released, pairs}]}``. Snapshots and models are judged by the
    revisions that they hold, whatever became of the pairs.
    """
    pairs = []
    for row in store.rows(
        "SELECT s.pair_id, s.rev, s.status, t.prompt, t.completion FROM pair_state s JOIN revision_text t"
        " ON t.pair_id = s.pair_id AND t.rev = s.rev WHERE s.task = ? AND NOT list_contains(?, s.status)"
        " ORDER BY s.pair_id",
        [task, list(DEAD)],
    ):
        claims = touched(row["prompt"] or "", row["completion"] or "", old, new)
        if claims:
            pairs.append({key: row[key] for key in ("pair_id", "rev", "status")} | {"claims": claims})
    snapshots = []
    for folder in sorted(path.parent for path in workspace.snapshots.glob("*/manifest.json")):
        manifest = contract.load_manifest(folder)
        if manifest.task != task:
            continue
        stating = _stating(folder, lambda p, c: bool(touched(p, c, old, new)))
        if stating:
            snapshots.append(
                {
                    "snapshot": manifest.id,
                    "folder": folder.name,
                    "rows": sum(manifest.rows.values()),
                    "affected": len(stating),
                    "pairs": stating,
                }
            )
    counts = {row["snapshot"]: row["affected"] for row in snapshots}
    models = [
        {
            "model": row["name"],
            "snapshot": row["snapshot_id"],
            "released": row["released"],
            "pairs": counts[row["snapshot_id"]],
        }
        for row in store.rows(
            "SELECT name, snapshot_id, released FROM models WHERE task = ? ORDER BY name", [task]
        )
        if row["snapshot_id"] in counts
    ]
    return {
        "task": task,
        "old": _named(old),
        "new": _named(new),
        "changes": differences(old, new),
        "pairs": pairs,
        "snapshots": snapshots,
        "models": models,
    }


def _stating(folder: Path, states: Callable[[str, str], bool]) -> list[str]:
    """Pair ids of a snapshot's rows whose texts do; none where a person's erasure took the rows away."""
    found = []
    for split in SPLITS:
        path = folder / "data" / f"{split}.parquet"
        if path.is_file():
            frame = pl.read_parquet(path, columns=["pair_id", "prompt", "completion"])
            found += [p for p, prompt, text in frame.iter_rows() if states(prompt, text)]
    return sorted(found)


def _named(sheet: Sheet) -> dict[str, Any]:
    last: date | None = sheet.valid_to
    return {
        "name": sheet.name,
        "version": sheet.version,
        "valid_from": sheet.valid_from.isoformat(),
        "valid_to": last.isoformat() if last else None,
    }


def tasks_with(store: Store, wanted: Sequence[str]) -> list[str]:
    """The tasks asked for, else every task with pairs."""
    if wanted:
        return list(wanted)
    return [row["task"] for row in store.rows("SELECT DISTINCT task FROM pair_state ORDER BY task")]


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Counts over tasks: pairs, snapshots, models, released models."""
    return {
        "pairs": sum(len(one["pairs"]) for one in found),
        "snapshots": sum(len(one["snapshots"]) for one in found),
        "models": sum(len(one["models"]) for one in found),
        "released": sum(model["released"] for one in found for model in one["models"]),
    }
