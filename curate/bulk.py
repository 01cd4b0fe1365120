"""Decisions on everything that a filter finds: counted first, applied pair by pair, undone as a whole.

Covers: the filter, the count that must be confirmed, the batch and its undo. Does not cover: the rules, which
`curate.review.decide` applies to each pair; what it refuses is listed, nothing is skipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from curate import overlap, review
from curate.errors import GoldpairError, NotFound, RefusedError, UsageError
from curate.leases import LeaseBook
from curate.store import Store
from curate.tasks import TaskPack
from curate.undo import undo_decision
from curate.users import Actor, require

MOST = 10_000
VERDICTS = ("approve", "reject", "return", "flag")
AT_ONCE = 16  # writes that share a commit; others get in between


def preview(store: Store, actor: Actor, task: str, pack: TaskPack, filters: dict[str, Any]) -> dict[str, Any]:
    """What a bulk decision would touch: ``count``, ``by_status``, ``blind`` (left out: two people judge those)."""
    ids, blind = _ids(store, actor, task, pack, filters)
    rows = store.rows(
        "SELECT status, count(*) AS n FROM pair_state WHERE pair_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY status"
        " ORDER BY status",
        [ids],
    )
    return {"count": len(ids), "blind": blind, "by_status": {row["status"]: row["n"] for row in rows}}


def decide_all(
    store: Store,
    actor: Actor,
    task: str,
    pack: TaskPack,
    filters: dict[str, Any],
    verdict: str,
    *,
    confirm: int,
    reason: str | None = None,
    comment: str | None = None,
    guideline_version: str = "",
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Decide on every pair of the filter; ``confirm`` is the count that `preview` showed.

    Returns ``batch`` (for `undo_batch`), ``done``, ``refused`` ({pair_id, why} of each). Raises `RefusedError`
    when the filter finds another number by now, `UsageError` for a verdict that needs a look at each pair.
    """
    require(actor, "oversee")
    if verdict not in VERDICTS:
        raise UsageError(f"In bulk: {', '.join(VERDICTS)}. {verdict} needs a look at each pair.")
    ids, _ = _ids(store, actor, task, pack, filters)
    if len(ids) != confirm:
        raise RefusedError(
            f"The filter finds {len(ids)} pairs now, not {confirm}. Look at the count again.",
            ["The count changed."],
        )
    revs = {
        row["pair_id"]: row["rev"]
        for row in store.rows(
            "SELECT pair_id, rev FROM pair_state WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))", [ids]
        )
    }
    batch = uuid4().hex

    def one(pair_id: str) -> dict[str, str] | None:
        try:
            review.decide(
                store,
                actor,
                pair_id,
                revs[pair_id],
                verdict,
                reason=reason,
                comment=comment,
                client_id=f"batch:{batch}:{pair_id}",
                pack=pack,
                guideline_version=guideline_version,
            )
        except GoldpairError as error:
            return {"pair_id": pair_id, "why": str(error)}
        return None

    refused, done = [], 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for answer in pool.map(one, ids):
            done += 1
            if answer:
                refused.append(answer)
            if progress and done % 100 == 0:
                progress({"done": done, "total": len(ids)})
    store.write(
        lambda tx: tx.event(
            "bulk_decided", actor.user, batch=batch, verdict=verdict, asked=len(ids), refused=len(refused)
        )
    )
    return {"batch": batch, "done": len(ids) - len(refused), "refused": refused}


def undo_batch(store: Store, actor: Actor, batch: str) -> dict[str, Any]:
    """Take a whole bulk decision back, newest first; what somebody decided on since is kept and listed."""
    require(actor, "oversee")
    rows = store.rows(
        "SELECT d.seq, d.pair_id FROM client_ids c JOIN decisions d ON d.seq = c.seq WHERE c.actor = ?"
        " AND starts_with(c.client_id, ?) AND d.undone IS NULL ORDER BY d.seq DESC",
        [actor.user, f"batch:{batch}:"],
    )
    if not rows:
        raise NotFound(f"No batch {batch!r} of yours that still stands. A bulk decision prints its batch id.")
    kept, book = [], LeaseBook.of(store)
    for row in rows:
        try:
            undo_decision(store, actor, row["seq"])
            book.release(actor.user, row["pair_id"])  # an undo leases it to look again; here nobody looks
        except GoldpairError as error:
            kept.append({"pair_id": row["pair_id"], "why": str(error)})
    return {"batch": batch, "undone": len(rows) - len(kept), "kept": kept}


def _ids(
    store: Store, actor: Actor, task: str, pack: TaskPack, filters: dict[str, Any]
) -> tuple[list[str], int]:
    require(actor, "oversee")
    found = review.find_pairs(store, actor, task, limit=MOST + 1, **filters)
    if len(found) > MOST:
        raise UsageError(f"The filter finds over {MOST} pairs. Narrow it.")
    ids = [pair for pair in found if not overlap.in_sample(pack.team, pair)]
    return ids, len(found) - len(ids)
