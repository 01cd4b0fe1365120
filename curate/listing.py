"""Lists of pairs: filters, order, one page.

Covers: finding ids by state, labels and a piece of text, and the rows of one page of them. Does not cover: what a
user may do with them (`curate.review`), nor ranking by relevance.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from curate.errors import UsageError
from curate.labels import STANDING_LABELS
from curate.losses import SCHEMA
from curate.scores import ORDERS, Ranking
from curate.store import STATUSES, Store
from curate.users import Actor, require

SORTS = {  # name -> ORDER BY; each ends in the id, so that pages never overlap
    "id": "s.pair_id",
    "newest": "s.updated_seq DESC, s.pair_id",
    "oldest": "s.updated_seq, s.pair_id",
    "source": "p.source, s.pair_id",
    "loss": "l.loss DESC NULLS LAST, s.pair_id",  # `curate.losses`
    **{name: f"{order}, s.pair_id" for name, order in ORDERS.items()},
}


def find_pairs(
    store: Store,
    actor: Actor,
    task: str,
    *,
    status: str | None = None,
    reason: str | None = None,
    search: str | None = None,
    label: str | None = None,
    author: str | None = None,
    source: str | None = None,
    sort: str = "id",
    losses: pl.DataFrame | None = None,
    ranking: Ranking | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[str]:
    """Ids of the pairs that match every filter given, in the order of ``sort`` (a key of SORTS).

    ``status``: one of the statuses; ``reason``: why a pair is held, rejected or returned; ``search``: a piece of
    text of the current revision, compared without case, in which nothing is a wildcard; ``label``: ``name=value``,
    its latest value (of a multi-choice label: one of its values), or ``name`` for any value; ``author`` of the
    current revision; ``source`` of the record; ``losses`` (`curate.losses.newest`) are what the order "loss" goes by:
    the most surprising first, pairs without a loss of their current revision last; ``ranking`` bounds the score, and
    the orders "score" and "score_high" go by its scorer. Raises `UsageError`.
    """
    require(actor, "read")
    if status is not None and status not in STATUSES:
        raise UsageError(f"No status {status!r}. Statuses: {', '.join(STATUSES)}.")
    if sort not in SORTS:
        raise UsageError(f"No order {sort!r}. Orders: {', '.join(SORTS)}.")
    if sort in ORDERS and ranking is None:
        raise UsageError(f"The order {sort!r} needs a scorer to go by.")
    joins, where = "", ["s.task = $task"]
    params: dict[str, Any] = {"task": task, "limit": limit, "offset": offset}
    for name, value in (("status", status), ("reason", reason)):
        if value is not None:
            where.append(f"s.{name} = ${name}")
            params[name] = value
    if search:
        joins += " JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev"
        where.append("(contains(lower(t.prompt), $find) OR contains(lower(t.completion), $find))")
        params["find"] = search.lower()
    if author is not None:
        joins += " JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev"
        where.append("r.author = $author")
        params["author"] = author
    if source is not None or sort == "source":
        joins += " JOIN pairs p ON p.pair_id = s.pair_id"
    if source is not None:
        where.append("p.source = $source")
        params["source"] = source
    if sort == "loss":
        known = losses if losses is not None else pl.DataFrame(schema=SCHEMA)
        joins += (
            " LEFT JOIN (SELECT unnest($lost::VARCHAR[]) AS pair_id, unnest($lost_rev::INTEGER[]) AS rev,"
            " unnest($lost_after::DOUBLE[]) AS loss) l ON l.pair_id = s.pair_id AND l.rev = s.rev"
        )
        for param, column in (("lost", "pair_id"), ("lost_rev", "rev"), ("lost_after", "after")):
            params[param] = known[column].to_list()
    if ranking is not None:
        joins += ranking.join
        where.append(f"true{ranking.where}")
        params |= ranking.params
    if label:
        name, given, value = label.partition("=")
        params["name"] = name.strip()
        held = f"SELECT pair_id, arg_max(value, seq) AS v FROM ({STANDING_LABELS}) WHERE name = $name GROUP BY pair_id"
        if given:
            text = value.strip()
            params["value"] = json.dumps(int(text) if text.isdigit() else text, ensure_ascii=False)
            held += " HAVING v = $value OR starts_with(v, '[') AND json_contains(v, $value)"
        where.append(f"s.pair_id IN (SELECT pair_id FROM ({held}))")
    return [
        row["pair_id"]
        for row in store.rows(
            f"SELECT s.pair_id FROM pair_state s{joins} WHERE {' AND '.join(where)}"
            f" ORDER BY {SORTS[sort]} LIMIT $limit OFFSET $offset",
            params,
        )
    ]


def list_pairs(
    store: Store,
    actor: Actor,
    task: str,
    status: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
    losses: pl.DataFrame | None = None,
    ranking: Ranking | None = None,
    **filters: Any,
) -> list[dict[str, Any]]:
    """One page of `find_pairs`: state columns, author, source, external id, prompt, completion.

    With ``losses`` also ``loss_before``, ``loss_after`` and ``loss_model``, None for a pair whose current revision
    was never learned; with a ``ranking`` also ``scorer``, ``score`` and ``critical``. Ids first, then the wide rows of
    one page: several times faster deep in a long list.
    """
    ids = find_pairs(
        store,
        actor,
        task,
        status=status,
        search=search,
        limit=limit,
        offset=offset,
        losses=losses,
        ranking=ranking,
        **filters,
    )
    # Each table is asked for the page's ids by its own index; joined whole, a million rows would be read.
    of_page = "WHERE pair_id IN (SELECT unnest($ids::VARCHAR[]))"
    rows = store.rows(
        "SELECT s.pair_id, s.task, s.status, s.reason, s.rev, s.approver, s.updated_seq, r.author, p.source,"
        f" q.external_id, t.prompt, t.completion FROM (SELECT * FROM pair_state {of_page}) s"
        f" LEFT JOIN (SELECT * FROM pairs {of_page}) p ON p.pair_id = s.pair_id"
        f" LEFT JOIN (SELECT * FROM records WHERE record_id IN (SELECT record_id FROM pairs {of_page})) q"
        " ON q.record_id = p.record_id"
        f" LEFT JOIN (SELECT * FROM revisions {of_page}) r ON r.pair_id = s.pair_id AND r.rev = s.rev"
        f" LEFT JOIN (SELECT * FROM revision_text {of_page}) t ON t.pair_id = s.pair_id AND t.rev = s.rev",
        {"ids": ids},
    )
    by_id = {row["pair_id"]: row for row in rows}
    if losses is not None:
        known = {
            (r["pair_id"], r["rev"]): r
            for r in losses.filter(pl.col("pair_id").is_in(ids)).iter_rows(named=True)
        }
        for row in rows:
            mine = known.get((row["pair_id"], row["rev"]), {})
            row |= {f"loss_{key}": mine.get(key) for key in ("before", "after", "model")}
    if ranking is not None:
        scored = store.rows(
            "SELECT pair_id, rev, score, critical FROM pair_scores WHERE metric = $metric"
            " AND pair_id IN (SELECT unnest($ids::VARCHAR[]))",
            {"metric": ranking.metric, "ids": ids},
        )
        told = {(row["pair_id"], row["rev"]): row for row in scored}
        for row in rows:
            mine = told.get((row["pair_id"], row["rev"]), {})
            row |= {"scorer": ranking.metric, "score": mine.get("score"), "critical": mine.get("critical")}
    return [by_id[pair] for pair in ids if pair in by_id]
