"""The contamination firewall: which rows of a snapshot an eval set repeats, and which sources both share.

Covers: comparing by prompt (with the turns before it), by completion, by source; which eval sets count as frozen;
what is reported only; the list of suspect eval rows kept with an eval run. Does not cover: how near-duplicates
are found (`curate.dedupe`), the verdict (`curate.preflight`), scores with and without suspects (`evals.suspects`).

Nothing is taken out of either side: what to do about a hit is for people to decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from curate import contract
from curate.tasks import EvalRow, Suite, TaskPack, load_eval

TELLING_WORDS = 8  # a shorter answer ("yes", a label) may rightly stand in training and evaluation
SUSPECTS = "suspects.json"
SHOWN = 5

Hit = dict[str, Any]


def find(rows: pl.DataFrame, evals: Sequence[EvalRow], pack: TaskPack) -> list[Hit]:
    """Every overlap of snapshot rows (columns of `contract.ROW_SCHEMA`) with eval rows.

    One dict a hit: pair_id, eval_id, field (``prompt``, ``completion``, ``source`` or ``metadata.<key>``), kind
    (``identical``, ``normalised``, ``near``, ``template``, ``source``), similarity (0..1; 1 for a source), value
    (of a shared source, else empty) and ``blocks``. A shared source is listed once an eval row, with the first
    pair that has it.
    """
    return [*_texts(rows, evals, pack), *_sources(rows, evals, pack)]


def _texts(rows: pl.DataFrame, evals: Sequence[EvalRow], pack: TaskPack) -> Iterator[Hit]:
    from curate.dedupe import find_overlap, short_fields

    same_prompt: set[tuple[int, int]] = set()
    prompts = [
        _conversation(json.loads(row["history"] or "[]"), row["prompt"])
        for row in rows.select("history", "prompt").iter_rows(named=True)
    ]
    for field, ours, theirs in (
        ("prompt", prompts, [_conversation(row.history, row.prompt) for row in evals]),
        ("completion", rows["completion"].to_list(), [_telling(row.reference) for row in evals]),
    ):
        if not ours or not any(theirs):
            continue
        for hit in find_overlap(ours, theirs, templates=True, **pack.dedupe).iter_rows(named=True):
            if not theirs[hit["right"]]:
                continue
            place, kind = (hit["left"], hit["right"]), hit["kind"]
            if field == "prompt" and kind != "template":
                same_prompt.add(place)
            # One form filled in for another request is house style; for the same request it is the same answer.
            elif (
                kind == "near" and place not in same_prompt and short_fields(ours[place[0]], theirs[place[1]])
            ):
                kind = "template"
            yield {
                "pair_id": rows["pair_id"][place[0]],
                "eval_id": evals[place[1]].id,
                "field": field,
                "kind": kind,
                "similarity": round(float(hit["similarity"]), 3),
                "value": "",
                "blocks": kind != "template" or pack.overlap.template_is_source,
            }


def _sources(rows: pl.DataFrame, evals: Sequence[EvalRow], pack: TaskPack) -> Iterator[Hit]:
    """Eval rows of a source (conversation, patient, program, author) that a pair comes from as well."""
    seen: dict[tuple[str, str], str] = {}
    for row in rows.select("pair_id", "source", "metadata").iter_rows(named=True):
        metadata = json.loads(row["metadata"] or "{}")
        for key in _keys(row["source"], metadata, pack):
            seen.setdefault(key, row["pair_id"])
    for asked in evals:
        for field, value in _keys(asked.source, asked.metadata, pack):
            if (field, value) in seen:
                yield {
                    "pair_id": seen[field, value],
                    "eval_id": asked.id,
                    "field": field,
                    "kind": "source",
                    "similarity": 1.0,
                    "value": value,
                    "blocks": True,
                }


def _keys(source: str, metadata: Mapping[str, Any], pack: TaskPack) -> Iterator[tuple[str, str]]:
    if source:
        yield "source", source
    for key in pack.overlap.sources:
        value = metadata.get(key)
        if isinstance(value, str | int) and str(value).strip():
            yield f"metadata.{key}", " ".join(str(value).casefold().split())


def _conversation(history: Sequence[Mapping[str, str]], prompt: str) -> str:
    return "\n".join([*(turn.get("content", "") for turn in history), prompt])


def _telling(reference: str | None) -> str:
    return reference if reference and len(reference.split()) >= TELLING_WORDS else ""


def frozen_sets(pack_folder: Path, pack: TaskPack, runs: Path | None = None) -> dict[str, list[EvalRow]]:
    """Eval sets by name: of every suite, and as kept by earlier runs below ``runs`` where they differ from those."""
    found: dict[str, list[EvalRow]] = {}
    known: set[bytes] = set()
    for suite in pack.suites:
        found[f"suite {suite.name}"] = rows = load_eval(pack_folder, suite)
        known |= _same(rows)
    for path in sorted(runs.glob("*/eval.jsonl")) if runs is not None else ():
        rows = load_eval(path.parent, Suite(name=path.parent.name, metric="", eval=path.name))
        if not _same(rows) <= known:  # a sample of a set is no set of its own
            known |= _same(rows)
            found[f"the eval set of run {path.parent.name}"] = rows
    return found


def _same(rows: Sequence[EvalRow]) -> set[bytes]:
    return {contract.canonical_json(row.model_dump(mode="json")) for row in rows}


def in_words(hits: Sequence[Hit], evals: int, pairs: int) -> str:
    """One sentence a hit for the first of each kind, and how many there are."""
    if not hits:
        return f"none of {evals} eval rows is near any of {pairs} pairs; no shared source"
    said = []
    for name, some in (
        ("near-duplicates", [h for h in hits if h["kind"] not in ("template", "source")]),
        ("shared sources", [h for h in hits if h["kind"] == "source"]),
        ("on one template", [h for h in hits if h["kind"] == "template"]),
    ):
        if not some:
            continue
        shown = [
            f"source {h['value']} ({h['field']}) is on both sides: {h['pair_id']}, {h['eval_id']}"
            if h["kind"] == "source"
            else f"{h['pair_id']} and {h['eval_id']} share their {h['field']} ({h['similarity']})"
            for h in some[:SHOWN]
        ]
        more = f"; and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
        note = "" if any(h["blocks"] for h in some) else ", reported only"
        said.append(f"{len(some)} {name}{note}: " + "; ".join(shown) + more)
    return ". ".join(said)


def keep_suspects(run: Path, snapshot: Path | None, pack: TaskPack, suite: Suite, pack_folder: Path) -> None:
    """Write ``suspects.json`` into an eval run: the hits of its eval rows in the snapshot the model learned from.

    Without a snapshot nothing is known, and an earlier file is removed.
    """
    path = run / SUSPECTS
    if snapshot is None:
        path.unlink(missing_ok=True)
        return
    rows = pl.concat([contract.load_rows(snapshot, split) for split in contract.SPLITS])
    hits = find(rows, load_eval(pack_folder, suite), pack)
    body = {"snapshot": contract.load_manifest(snapshot).id, "hits": hits}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")
