"""What stands for whom in a pair: the originals behind its surrogates, and two surrogates that are one person.

Covers: reading originals for those who may (each look is an event), giving one surrogate the place of another.
Does not cover: making surrogates (`curate.privacy`), the originals as questions for the leak probe (`curate.leak`), two
people who got one surrogate: an edit parts them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from curate import findings, rules
from curate.errors import NotFound, UsageError
from curate.leak import behind
from curate.store import Store, Tx
from curate.texts import fields_of, with_fields
from curate.users import Actor, require
from curate.workspace import Workspace

_TEXT = (
    "SELECT system, history, prompt, completion, metadata FROM revision_text WHERE pair_id = ? AND rev = ?"
)


def originals(store: Store, actor: Actor, pair_id: str) -> dict[str, Any]:
    """What stood where the surrogates of a pair stand: pair_id, originals [field, entity_type, surrogate, original].

    Needs ``see_originals``; the look is logged without the text. ``original`` is None where the texts before and after
    do not match any more. Raises `NotFound`.
    """
    require(actor, "see_originals")
    record = store.one(
        "SELECT t.system, t.history, t.prompt, t.completion, t.metadata FROM pairs p"
        " JOIN record_text t ON t.record_id = p.record_id WHERE p.pair_id = ?",
        [pair_id],
    )
    if record is None:
        raise NotFound(f"No record text behind pair {pair_id!r}.")
    places: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in store.rows("SELECT * FROM surrogates WHERE pair_id = ? ORDER BY rev, field, start", [pair_id]):
        places.setdefault((row["rev"], row["field"]), []).append(row)
    texts: dict[int, Mapping[str, str]] = {0: fields_of(record)}
    known: dict[str, str] = {}  # a surrogate in whose place another came stands for the same original
    found = []
    for (rev, field), rows in places.items():
        for number in (rev - 1, rev):
            if number not in texts:
                texts[number] = fields_of(store.one(_TEXT, [pair_id, number]) or dict.fromkeys(rules.TEXTS))
        spans = [(row["start"], row["stop"]) for row in rows]
        parts = behind(texts[rev].get(field, ""), texts[rev - 1].get(field, ""), spans)
        for number, row in enumerate(rows):
            original = known.get(parts[number], parts[number]) if parts else None
            if original is not None:
                known.setdefault(row["surrogate"], original)
            shown = {name: row[name] for name in ("field", "entity_type", "surrogate")}
            found.append(shown | {"original": original})
    store.write(lambda tx: tx.event("original_seen", actor.user, pair_id=pair_id, places=len(found)))
    return {"pair_id": pair_id, "originals": found}


def link(
    store: Store, actor: Actor, workspace: Workspace, pair_id: str, rev: int, surrogate: str, same_as: str
) -> dict[str, Any]:
    """Say that two surrogates of a pair are one person: the second stands wherever the first stood, in a new revision.

    Words of the two that stand alone as surrogates go along ("Meera Iyer" and "Meera"). Returns pair_id, rev, places.
    Raises `UsageError` when the revision is not current, or they are no two surrogates of one type in this pair.
    """
    require(actor, "review")
    state = store.one("SELECT task, rev FROM pair_state WHERE pair_id = ?", [pair_id])
    if state is None:
        raise NotFound(f"No pair {pair_id!r}.")
    kinds: dict[str, set[str]] = {}
    for row in store.rows("SELECT surrogate, entity_type FROM surrogates WHERE pair_id = ?", [pair_id]):
        kinds.setdefault(row["surrogate"], set()).add(row["entity_type"])
    common = kinds.get(surrogate, set()) & kinds.get(same_as, set())
    if surrogate == same_as or not common:
        raise UsageError(
            f"{surrogate!r} and {same_as!r} are not two surrogates of one type in pair {pair_id}."
        )
    swaps = {surrogate: same_as}
    one, two = surrogate.split(), same_as.split()
    if len(one) == len(two):
        swaps |= {old: new for old, new in zip(one, two, strict=True) if old in kinds}
    text = store.one(_TEXT, [pair_id, rev])
    if state["rev"] != rev or text is None:
        raise UsageError(f"Pair {pair_id} has a newer revision, {state['rev']}. Look at it again.")
    fields, places = _swapped(fields_of(text), swaps)
    if not places:
        raise UsageError(f"{surrogate!r} does not stand in revision {rev} of pair {pair_id}.")
    kind = sorted(common)[0]

    def write(tx: Tx) -> int:
        now = tx.states([pair_id])[pair_id]
        if now["rev"] != rev:
            raise UsageError(f"Pair {pair_id} has a newer revision. Look at it again.")
        version = tx.one(
            "SELECT guideline_version FROM revisions WHERE pair_id = ? AND rev = ?", [pair_id, rev]
        )
        made = rules.add_revisions(
            tx,
            "intake",
            [rules.decoded({"pair_id": pair_id, **with_fields(text, fields)})],
            kind="anonymized",
            guideline_version=version["guideline_version"] if version else "",
        )[0]
        new = {"pair_id": pair_id, "rev": made["rev"], "entity_type": kind}
        tx.insert("surrogates", pl.DataFrame([new | place for place in places]))
        tx.event("surrogates_linked", actor.user, pair_id=pair_id, rev=made["rev"], places=len(places))
        return int(made["rev"])

    new_rev = store.write(write)
    findings.rescan(store, workspace, pair_id, new_rev)
    return {"pair_id": pair_id, "rev": new_rev, "places": len(places)}


def _swapped(
    fields: Mapping[str, str], swaps: Mapping[str, str]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Fields with whole words swapped, longest first, and where the new ones stand."""
    words = "|".join(re.escape(old) for old in sorted(swaps, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
    out, places = {}, []
    for name, text in fields.items():
        said, last = "", 0
        for match in pattern.finditer(text):
            said += text[last : match.start()]
            new = swaps[match[0]]
            places.append({"field": name, "start": len(said), "stop": len(said) + len(new), "surrogate": new})
            said, last = said + new, match.end()
        out[name] = said + text[last:]
    return out, places
