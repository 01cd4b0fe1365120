"""Personal data that no scan found: a person marks it in the text, and it is replaced at once.

Covers: marked spans of the current revision, the same string elsewhere in the pair, the deny list. Does not cover: what
a scan found (`curate.findings`), how a surrogate is made (`curate.privacy`).

The same string elsewhere in the pair goes with a marked one: what is personal in one sentence is in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from curate import findings, lists
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.texts import fields_of, finding_id
from curate.users import Actor, require
from curate.workspace import Workspace

RECOGNIZER = "person"  # who found it
MOST = 200  # spans at once


def add(
    store: Store,
    actor: Actor,
    workspace: Workspace,
    pair_id: str,
    rev: int,
    spans: Sequence[Mapping[str, Any]],
    *,
    everywhere: bool = False,
    then: Callable[[Tx], None] | None = None,
) -> dict[str, Any]:
    """Replace marked spans {field, start, stop, entity_type} of the current revision by surrogates.

    Offsets count code points. ``everywhere``: the strings go on the deny list too, so that rows that contain them are
    held. ``then`` runs in the same transaction. Returns pair_id, rev (the new one), replaced (places), and with
    ``everywhere`` the changes of the list. Raises `NotFound`, and `UsageError` for a revision that is not current, a
    span outside its text or without a letter or digit, or a type that the policy keeps.
    """
    require(actor, "review")
    state = store.one("SELECT task, rev FROM pair_state WHERE pair_id = ?", [pair_id])
    text = store.one(
        "SELECT system, history, prompt, completion, metadata FROM revision_text WHERE pair_id = ? AND rev = ?",
        [pair_id, rev],
    )
    if state is None or text is None:
        raise NotFound(f"No revision {rev} of pair {pair_id!r}.")
    if state["rev"] != rev:
        raise UsageError(f"Pair {pair_id} has a newer revision, {state['rev']}. Look at it again.")
    if not spans or len(spans) > MOST:
        raise UsageError(f"Mark 1 to {MOST} spans.")
    fields = fields_of(text)
    strings = {(_string(fields, span), str(span["entity_type"])) for span in spans}
    rows = [
        {"finding_id": finding_id(pair_id, rev, place), "pair_id": pair_id, "rev": rev, **place}
        | {"score": 1.0, "recognizer": RECOGNIZER}
        for place in _places(fields, spans, strings)
    ]
    changes: list[dict[str, Any]] = []

    def keep(tx: Tx) -> None:
        """What was marked is a finding like any other, so that shapes can be learned of it."""
        stamp = {"status": "replaced", "decided_by": actor.user, "detector_version": "", "ts": utcnow()}
        tx.execute(
            "DELETE FROM findings WHERE list_contains(?, finding_id)", [[row["finding_id"] for row in rows]]
        )
        tx.insert("findings", pl.DataFrame([row | stamp for row in rows]))
        if everywhere:
            for said, kind in sorted(strings):
                changes.append(lists.put(tx, state["task"], actor.user, "deny", said, kind, pair_id))
        if then:
            then(tx)

    revs = findings.replace_spans(store, actor, workspace, state["task"], rows, then=keep)
    told = {"pair_id": pair_id, "rev": revs[pair_id], "replaced": len(rows)}
    return told | ({"lists": changes} if everywhere else {})


def _string(fields: Mapping[str, str], span: Mapping[str, Any]) -> str:
    text = fields.get(span["field"], "")
    said = text[span["start"] : span["stop"]] if 0 <= span["start"] < span["stop"] <= len(text) else ""
    if not any(ch.isalnum() for ch in said):
        raise UsageError(f"Nothing is marked at {span['start']} to {span['stop']} of {span['field']}.")
    return said


def _places(
    fields: Mapping[str, str], spans: Sequence[Mapping[str, Any]], strings: set[tuple[str, str]]
) -> list[dict[str, Any]]:
    """The marked places, then every whole-word place of their strings; no two of them overlap."""
    wanted = [(s["field"], s["start"], s["stop"], s["entity_type"]) for s in spans]
    for said, kind in sorted(strings, key=lambda one: (-len(one[0]), one)):
        term = lists.Term("", "deny", " ".join(said.split()), kind, utcnow())
        wanted += [(name, *place, kind) for name, text in fields.items() for place in term.places(text)]
    out: list[dict[str, Any]] = []
    for name, start, stop, kind in wanted:
        if not any(p["field"] == name and start < p["stop"] and p["start"] < stop for p in out):
            out.append({"field": name, "start": start, "stop": stop, "entity_type": kind})
    return out
