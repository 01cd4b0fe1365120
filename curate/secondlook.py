"""The blind second look: how many documents still leak after everything was scanned and decided.

Covers: drawing current revisions at random, what a person missed nothing or something in, the upper bound that follows.
Does not cover: replacing what was found (`curate.marking`), recall on a labelled corpus (`benchmarks`).

A document is drawn when it was scanned and nothing is open in it, whatever the scan had found there, and is shown
without marks. Each is looked at once, in an order that a seed of the task gives; the seed is drawn with the first look
and stated with the result. The bound is Clopper and Pearson's for looks at what the current detector left: a changed
detector leaves other things, so earlier looks are counted apart.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curate import marking
from curate.errors import UsageError
from curate.store import Store, Tx, utcnow
from curate.texts import fields_of
from curate.users import Actor, require
from curate.workspace import Workspace

LEVEL = 0.95

# Scanned in its current text by the task's detector, nothing open, not given up, not looked at by anybody.
_POOL = """
WITH sc AS (SELECT pair_id, rev, arg_max(sha256, ts) AS sha256, arg_max(detector_version, ts) AS detector
            FROM scans GROUP BY pair_id, rev)
SELECT {what} FROM pair_state s
JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev
JOIN sc ON sc.pair_id = s.pair_id AND sc.rev = s.rev AND sc.sha256 = r.sha256
JOIN meta m ON m.key = 'detector:' || s.task AND m.value = sc.detector
WHERE s.task = $task AND s.status IN ('ready', 'approved', 'returned', 'held')
AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.pair_id = s.pair_id AND f.rev = s.rev AND f.status = 'open')
AND s.pair_id NOT IN (SELECT pair_id FROM second_looks)
"""


def next_item(store: Store, actor: Actor, task: str) -> dict[str, Any]:
    """The document this person looks at next, ``{"item": {pair_id, rev, fields} | None, "left": n}``.

    The one that was drawn and not answered comes again; one that was edited since goes back among the rest.
    """
    require(actor, "review")

    def draw(tx: Tx) -> dict[str, Any] | None:
        tx.execute(
            "DELETE FROM second_looks WHERE task = ? AND actor = ? AND missed IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM pair_state s WHERE s.pair_id = second_looks.pair_id AND s.rev = second_looks.rev"
            " AND s.status <> 'erased')",
            [task, actor.user],
        )
        held = tx.one(
            "SELECT pair_id, rev FROM second_looks WHERE task = ? AND actor = ? AND missed IS NULL",
            [task, actor.user],
        )
        if held:
            return held
        seed = _seed(tx, task)
        found = tx.one(
            _POOL.replace("{what}", "s.pair_id, s.rev, m.value AS detector")
            + " ORDER BY sha256($seed || s.pair_id), s.pair_id LIMIT 1",
            {"task": task, "seed": seed},
        )
        if found:
            row = found | {"task": task, "actor": actor.user, "drawn": utcnow()}
            tx.insert("second_looks", pl.DataFrame([row]))
        return found

    drawn = store.write(draw)
    left = store.one(_POOL.replace("{what}", "count(*) AS n"), {"task": task})
    told: dict[str, Any] = {"item": None, "left": left["n"] if left else 0}
    if drawn:
        text = store.one(
            "SELECT system, history, prompt, completion, metadata FROM revision_text WHERE pair_id = ? AND rev = ?",
            [drawn["pair_id"], drawn["rev"]],
        )
        fields = fields_of(text) if text else {}
        told["item"] = {"pair_id": drawn["pair_id"], "rev": drawn["rev"], "fields": fields}
    return told


def answer(
    store: Store,
    actor: Actor,
    workspace: Workspace,
    pair_id: str,
    rev: int,
    missed: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Keep what a person found in the document that was drawn for them: nothing, or spans, which are replaced at once.

    ``missed``: {field, start, stop, entity_type}. Returns pair_id, rev (the new one after a miss), missed, task. Raises
    `UsageError` when the document was not drawn for this person, or has changed since.
    """
    require(actor, "review")
    drawn = store.one(
        "SELECT l.task, s.rev FROM second_looks l JOIN pair_state s USING (pair_id)"
        " WHERE l.pair_id = ? AND l.rev = ? AND l.actor = ? AND l.missed IS NULL",
        [pair_id, rev, actor.user],
    )
    if drawn is None:
        raise UsageError(f"Revision {rev} of {pair_id} was not drawn for you. Ask for the next document.")
    if drawn["rev"] != rev:
        raise UsageError(f"Pair {pair_id} was edited since it was drawn. Ask for the next document.")

    def keep(tx: Tx) -> None:
        tx.execute(
            "UPDATE second_looks SET missed = ?, answered = ? WHERE pair_id = ? AND actor = ?",
            [len(missed), utcnow(), pair_id, actor.user],
        )
        tx.event("second_look", actor.user, pair_id=pair_id, rev=rev, missed=len(missed))

    told = {"task": drawn["task"], "pair_id": pair_id, "missed": len(missed)}
    if missed:  # in one transaction: a miss that is replaced and not counted would lower the bound
        return told | {"rev": marking.add(store, actor, workspace, pair_id, rev, missed, then=keep)["rev"]}
    store.write(keep)
    return told | {"rev": rev}


def summary(store: Store, task: str) -> dict[str, Any]:
    """What the looks say of what the current detector left.

    looked (documents), leaked (those with a miss), missed (spans), upper (bound of the share of documents that leak,
    one when nobody has looked), level, words, seed, detector, earlier (looks at what older detectors left).
    """
    from evals.stats import clopper_pearson

    row = store.one("SELECT value FROM meta WHERE key = ?", [f"detector:{task}"])
    detector = row["value"] if row else None
    counts = (
        store.one(
            "SELECT count(*) FILTER (detector = $d) AS looked,"
            " count(*) FILTER (detector = $d AND missed > 0) AS leaked,"
            " coalesce(sum(missed) FILTER (detector = $d), 0)::BIGINT AS missed,"
            " count(*) FILTER (detector <> $d) AS earlier"
            " FROM second_looks WHERE task = $task AND missed IS NOT NULL",
            {"task": task, "d": detector or ""},
        )
        or {}
    )
    looked, leaked = counts["looked"], counts["leaked"]
    upper = clopper_pearson(leaked, looked, alpha=1 - LEVEL)[1] if looked else 1.0
    seed = store.one("SELECT value FROM meta WHERE key = ?", [f"secondlook:{task}"])
    return {
        **counts,
        "upper": upper,
        "level": LEVEL,
        "words": _words(looked, leaked, upper),
        "seed": seed["value"] if seed else None,
        "detector": detector,
    }


def _words(looked: int, leaked: int, upper: float) -> str:
    if not looked:
        return "Nobody has looked yet, so nothing bounds what still leaks."
    return f"Of {looked:,} looked at, {leaked:,} leaked: at most {upper:.1%} leak, at {LEVEL:.0%}."


def _seed(tx: Tx, task: str) -> str:
    key = f"secondlook:{task}"
    tx.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", [key, secrets.token_hex(8)])
    row = tx.one("SELECT value FROM meta WHERE key = ?", [key])
    return str(row["value"]) if row else ""
