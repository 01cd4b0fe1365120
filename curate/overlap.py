"""Blind second looks and hidden gold: what people say before they know what others said.

Covers: which pairs two people judge blind, holding a judgment back until there is a second one, whom a dispute
goes to, gold items that measure drift, what of it a user may see. Does not cover: how people agree over many
pairs (`curate.agreement`) nor the decision itself (`curate.review`).

A pair of the sample needs two judges who did not write it. Each judgment is kept apart; when both say the same
(verdict and every choice label), the second one counts as the decision. When they differ the pair is held as
``disputed`` and an adjudicator who wrote neither judgment nor text decides. A new revision starts afresh.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curate.contract import canonical_json
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from curate.leases import LeaseBook
from curate.store import Store, Tx, utcnow
from curate.tasks import TaskPack, Team
from curate.users import Actor, may, require

if TYPE_CHECKING:
    from curate.review import Item

JUDGED = ("approve", "reject", "return")
WOULD_BE = {"approve": "approved", "reject": "rejected", "return": "returned"}
# In a query over pair_state s: pairs that $user has not judged blind in this revision.
NOT_MINE = (
    "NOT EXISTS (SELECT 1 FROM judgments j WHERE j.pair_id = s.pair_id AND j.rev = s.rev AND j.actor = $user"
    " AND j.kind = 'overlap' AND j.undone IS NULL AND j.settled IS NULL)"
)


def in_sample(team: Team, pair_id: str) -> bool:
    """Whether two people judge this pair blind: a hash of seed and id, so that nobody can choose."""
    return _share(f"overlap:{team.seed}:{pair_id}") < team.overlap


def _share(text: str) -> float:
    """A number in [0, 1) that follows from a text alone."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def blind(tx: Tx, actor: Actor, fact: Mapping[str, Any], pack: TaskPack | None, verdict: str) -> str | None:
    """``overlap`` or ``gold`` when this decision is a judgment at first, else None.

    Raises `RefusedError` for a second judgment of one person, for an author's, and for anybody but a third
    person on a disputed pair.
    """
    if verdict not in JUDGED:
        return None
    known = tx.one("SELECT rev FROM gold WHERE pair_id = ?", [fact["pair_id"]])
    if known and known["rev"] == fact["rev"] and not may(actor, "oversee"):
        return "gold"
    if fact["disputed"]:
        if not may(actor, "adjudicate"):
            raise PermissionDenied("Two people judged this pair differently. An adjudicator decides.")
        if actor.user in (*fact["judges"], fact["author"]):
            raise RefusedError(
                f"You judged or wrote pair {fact['pair_id']}: a third person decides.",
                ["You are no third person."],
            )
        return None
    if pack is None or fact["status"] != "ready" or not in_sample(pack.team, fact["pair_id"]):
        return None
    if actor.user in fact["judges"]:
        raise RefusedError(
            f"You judged pair {fact['pair_id']} already; it waits for a second person.",
            ["It waits for a second person."],
        )
    if fact["author"] == actor.user:
        raise RefusedError("You wrote this revision: two others judge it.", ["You wrote this revision."])
    return "overlap"


def judge(
    tx: Tx,
    actor: Actor,
    fact: Mapping[str, Any],
    kind: str,
    verdict: str,
    reason: str | None,
    labels: Mapping[str, Any],
    guidelines: str,
    pack: TaskPack | None,
) -> dict[str, Any] | None:
    """Keep a judgment; returns ``{seq, status, disputed}``, or None when it agrees with the first one.

    None means that the decision is made now, by this actor; call `settled` with its event.
    """
    pair_id, rev = fact["pair_id"], fact["rev"]
    disputed = False
    if kind == "overlap" and fact["judges"]:
        first = tx.one(
            "SELECT * FROM judgments WHERE pair_id = ? AND rev = ? AND kind = 'overlap' AND undone IS NULL"
            " AND settled IS NULL ORDER BY seq",
            [pair_id, rev],
        )
        assert first is not None
        disputed = differ(pack, first, {"verdict": verdict, "labels": labels})
    about = {"judged": kind, "verdict": verdict, "guidelines": guidelines}
    if disputed:
        change = {"pair_id": pair_id, "status": "held", "reason": "disputed"}
        [seq] = tx.transition("judged", actor.user, [change], **about)
    else:
        seq = tx.event("judged", actor.user, pair_id=pair_id, rev=rev, **about)
    told = canonical_json(dict(labels)).decode("utf-8", "surrogatepass")
    tx.execute(
        "INSERT INTO judgments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
        [seq, pair_id, rev, actor.user, kind, verdict, reason, told, disputed, utcnow()],
    )
    if kind == "overlap" and fact["judges"] and not disputed:
        return None
    status = WOULD_BE[verdict] if kind == "gold" else "held" if disputed else fact["status"]
    return {"seq": seq, "status": status, "disputed": disputed}


def differ(pack: TaskPack | None, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two judgments need a third person: another verdict, or another value of a choice label."""
    if one["verdict"] != other["verdict"]:
        return True
    first = json.loads(one["labels"] or "{}") if isinstance(one["labels"], str) else dict(one["labels"] or {})
    second = dict(other["labels"] or {})
    closed = [label.name for label in pack.labels if label.kind == "choice"] if pack else []
    return any(first[name] != second[name] for name in closed if name in first and name in second)


def settled(tx: Tx, pair_id: str, rev: int, seq: int) -> None:
    """The judgments of a revision led to the decision of event ``seq``."""
    tx.execute(
        "UPDATE judgments SET settled = ? WHERE pair_id = ? AND rev = ? AND kind = 'overlap' AND undone IS NULL"
        " AND settled IS NULL",
        [seq, pair_id, rev],
    )


def taken_back(tx: Tx, pair_id: str, decision: int, undo: int) -> None:
    """Undo of a decision: its own judgment is void, those that it had settled wait again.

    The judgment of a decision is the one written just before it by the same person.
    """
    tx.execute(
        "UPDATE judgments SET undone = ? WHERE pair_id = ? AND (seq = ? OR settled = ? AND NOT disputed"
        " AND actor = (SELECT actor FROM decisions WHERE seq = ?))",
        [undo, pair_id, decision, decision, decision],
    )
    tx.execute(
        "UPDATE judgments SET settled = NULL WHERE pair_id = ? AND settled = ? AND undone IS NULL",
        [pair_id, decision],
    )


def seen_by(
    actor: Actor, fact: Mapping[str, Any], judgments: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], set[int]]:
    """The judgments this user may see, and the event numbers of those they may not know of.

    Nobody sees another's judgment while a second one is still to come.
    """
    told, secret = [], set()
    for row in judgments:
        waits = row["rev"] == fact["rev"] and row["settled"] is None and not fact["disputed"]
        if waits and row["actor"] != actor.user:
            secret.add(row["seq"])
        else:
            told.append(
                {name: row[name] for name in ("actor", "rev", "verdict", "reason", "settled")}
                | {"labels": json.loads(row["labels"] or "{}")}
            )
    return told, secret


# --- gold ---------------------------------------------------------------------------------------------------


def set_gold(store: Store, actor: Actor, pair_id: str, verdict: str | None) -> dict[str, Any]:
    """Make a decided pair a gold item with the verdict a good reviewer gives (None: no longer one).

    From then on what reviewers decide about it is only measured, and changes nothing.
    """
    require(actor, "oversee")
    if verdict not in (*JUDGED, None):
        raise UsageError(f"A gold verdict is one of {', '.join(JUDGED)}.")

    def write(tx: Tx) -> int:
        state = tx.one("SELECT status, rev FROM pair_state WHERE pair_id = ?", [pair_id])
        if state is None:
            raise NotFound(f"No pair {pair_id!r}. `goldpair review list` shows them.")
        if verdict and state["status"] not in ("approved", "rejected"):
            raise RefusedError(
                f"Pair {pair_id} is {state['status']}: only what is decided can be gold.",
                ["It is not decided."],
            )
        tx.execute("DELETE FROM gold WHERE pair_id = ?", [pair_id])
        if verdict:
            tx.execute(
                "INSERT INTO gold VALUES (?, ?, ?, ?, ?)",
                [pair_id, state["rev"], verdict, actor.user, utcnow()],
            )
        return tx.event("gold_set", actor.user, pair_id=pair_id, rev=state["rev"], verdict=verdict)

    return {"pair_id": pair_id, "gold": verdict, "seq": store.write(write)}


def next_gold(store: Store, actor: Actor, task: str, share: float) -> str | None:
    """A gold item for this reviewer's next batch, when one is due: on average every 1/``share`` decisions."""
    if not share or not may(actor, "review") or may(actor, "oversee"):
        return None
    book = LeaseBook.of(store)
    waiting = store.rows(
        "SELECT g.pair_id FROM gold g JOIN pair_state s ON s.pair_id = g.pair_id AND s.rev = g.rev"
        " JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev WHERE s.task = $task AND r.author <> $user"
        " AND NOT EXISTS (SELECT 1 FROM judgments j WHERE j.pair_id = g.pair_id AND j.rev = g.rev"
        " AND j.actor = $user AND j.kind = 'gold' AND j.undone IS NULL) ORDER BY md5(g.pair_id || $user)",
        {"task": task, "user": actor.user},
    )
    free = [row["pair_id"] for row in waiting if book.holder(row["pair_id"]) in (None, actor.user)]
    held = [pair for pair in free if book.holder(pair) == actor.user]
    if held or not free:
        return held[0] if held else None
    since = store.one(
        "SELECT count(*) AS n FROM decisions WHERE actor = $user AND undone IS NULL AND seq > coalesce("
        "(SELECT max(seq) FROM judgments WHERE actor = $user AND kind = 'gold'), 0)",
        {"user": actor.user},
    )
    return free[0] if since and since["n"] >= 1 / share - 1 else None


def place(pair_id: str, among: int) -> int:
    """Where in a batch a gold item stands: anywhere, by its id."""
    return int(_share(f"place:{pair_id}") * (among + 1))


def masked(item: Item) -> Item:
    """A gold item as it is shown on the card: like any pair that waits for review."""
    return replace(
        item, status="ready", reason=None, blockers=[], decisions=[], comments=[], labels={}, judgments=[]
    )
