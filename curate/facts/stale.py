"""What a model version learned that may be stale: the facts of its training pairs, against the day.

Covers: counting the facts behind a snapshot, one sentence of warning for a version, the page of it beside a released
version's card. Does not cover: what the model says (only what it was taught), facts that nobody and nothing found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from curate import lineage
from curate.contract import SPLITS
from curate.store import Store, utcnow
from curate.workspace import Workspace

NOT_HERE = "Its training pairs are not in this workspace: nobody can say what it learned that is stale."
NOTE = "STALE-KNOWLEDGE.md"  # beside the card, which belongs to the version's record and cannot change


def revisions_in(folder: Path | None) -> list[tuple[str, int]]:
    """(pair id, revision) of every row of a snapshot; empty where its rows are not here."""
    rows: list[tuple[str, int]] = []
    for split in SPLITS if folder else ():
        path = Path(str(folder)) / "data" / f"{split}.parquet"
        if path.is_file():
            frame = pl.read_parquet(path, columns=["pair_id", "revision"])
            rows += list(zip(frame["pair_id"].to_list(), frame["revision"].to_list(), strict=True))
    return rows


def knowledge(
    store: Store, workspace: Workspace, snapshot_id: str | None, today: date | None = None
) -> dict[str, Any]:
    """What the pairs of a snapshot carry, as people decided by now.

    ``{"pairs", "expired", "expiring", "slots", "open", "unread", "first", "next", "warning"}``: pairs in the snapshot;
    those with a fact that no longer holds, that will not hold from some day on, that was replaced by a slot since, that
    nobody decided on (a pair counts once, in that order); revisions the radar has not read; the day since which the
    first one is stale, and on which the next one will be; the warning in one sentence, or None.
    """
    day = today or utcnow().date()
    folder = lineage.snapshot_of(workspace, snapshot_id) if snapshot_id else None
    rows = revisions_in(folder)
    found: dict[str, Any] = {"pairs": len(rows), "expired": 0, "expiring": 0, "slots": 0, "open": 0}
    if not rows:
        return found | {"unread": 0, "first": None, "next": None, "warning": NOT_HERE}
    params = {"ids": [pair for pair, _ in rows], "revs": [rev for _, rev in rows]}
    held = "(SELECT unnest($ids::VARCHAR[]) AS pair_id, unnest($revs::INTEGER[]) AS rev) x"
    facts = store.rows(
        f"SELECT f.pair_id, f.class, f.expires FROM facts f JOIN {held} ON x.pair_id = f.pair_id AND x.rev = f.rev"
        " WHERE f.class IS DISTINCT FROM 'timeless'",
        params,
    )
    read = store.one(f"SELECT count(*) AS n FROM fact_scans f JOIN {held} USING (pair_id, rev)", params)
    order = ("expired", "expiring", "slots", "open")
    worst: dict[str, str] = {}
    for fact in facts:
        state = _state(fact, day)
        if fact["pair_id"] not in worst or order.index(state) < order.index(worst[fact["pair_id"]]):
            worst[fact["pair_id"]] = state
    days = sorted(fact["expires"] for fact in facts if fact["expires"])
    found |= {state: list(worst.values()).count(state) for state in order}
    found |= {
        "unread": len(rows) - (read["n"] if read else 0),
        "first": next((d.isoformat() for d in days if d <= day), None),
        "next": next((d.isoformat() for d in days if d > day), None),
    }
    return found | {"warning": _warning(found)}


def _state(fact: Mapping[str, Any], day: date) -> str:
    if fact["class"] == "expires":
        return "expired" if fact["expires"] <= day else "expiring"
    return "slots" if fact["class"] == "slot" else "open"


def _warning(found: Mapping[str, Any]) -> str | None:
    pairs = found["pairs"]
    parts = []
    if found["expired"]:
        parts.append(
            f"{found['expired']} of its {pairs} pairs teach a fact that no longer holds (since {found['first']})"
        )
    if found["slots"]:
        parts.append(f"{found['slots']} teach a fact that was replaced by a slot since")
    if found["expiring"]:
        parts.append(f"{found['expiring']} teach a fact that expires (next on {found['next']})")
    if found["open"]:
        parts.append(f"{found['open']} carry facts that may expire and that nobody decided on")
    if found["unread"]:
        parts.append(f"{found['unread']} were never read for such facts (goldpair facts scan)")
    return f"Stale knowledge: {'; '.join(parts)}." if parts else None


def of_models(
    store: Store, workspace: Workspace, models: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """`knowledge` by model name, for rows of the table ``models``; a snapshot is read once."""
    known: dict[str | None, dict[str, Any]] = {}
    for model in models:
        if model["snapshot_id"] not in known:
            known[model["snapshot_id"]] = knowledge(store, workspace, model["snapshot_id"])
    return {str(model["name"]): known[model["snapshot_id"]] for model in models}


def write_notes(store: Store, workspace: Workspace, task: str) -> list[str]:
    """Put the warning beside the card of every released version of a task, or take it away.

    Returns the names of the versions that have one.
    """
    models = store.rows(
        "SELECT name, snapshot_id FROM models WHERE task = ? AND released ORDER BY name", [task]
    )
    warned = []
    for name, found in of_models(store, workspace, models).items():
        folder = workspace.models / name
        if not folder.is_dir():
            continue
        if found["warning"] is None:
            (folder / NOTE).unlink(missing_ok=True)
            continue
        (folder / NOTE).write_text(note(name, found), "utf-8")
        warned.append(name)
    return warned


def note(name: str, found: Mapping[str, Any]) -> str:
    """The page beside the card: counts and days, never a text of a record."""
    words = {
        "expired": "a fact that no longer holds",
        "slots": "a fact replaced by a slot since",
        "expiring": "a fact that will expire",
        "open": "a possible fact that nobody decided on",
        "unread": "never read for such facts",
    }
    lines = [
        f"# {name}: stale knowledge",
        "",
        f"{found['warning']}",
        "",
        "| its training pairs | |",
        "|---|---|",
    ]
    lines += [f"| {text} | {found[key]} |" for key, text in words.items()]
    lines += ["", f"As of {utcnow():%Y-%m-%d}. `goldpair models show {name}` counts again.", ""]
    return "\n".join(lines)
