"""Near-duplicates in the store: groups that a dedupe run found, and what people decided about them.

Covers: exporting pairs for the dedupe job, grouping them, taking groups in, deciding them. Does not cover:
finding duplicates (`curate.dedupe`, which knows no store) nor what an open group blocks (`curate.rules`).

Three kinds: ``duplicate`` (prompt and completion repeat; blocks approval until somebody chose), ``conflict``
(one prompt, different completions: competing drafts, of which one can be approved) and ``paraphrase`` (the same in
other words, as an embedding guesses: blocks nothing, and only where the pack names a model). A group's id is the hash
of its members, so the same group found again is the same group, with its decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import polars as pl

from curate import rules, users
from curate.contract import canonical_json, sha256_hex
from curate.errors import NotFound, UsageError
from curate.findings import known_strings
from curate.labels import STANDING_LABELS
from curate.store import Store, Tx, utcnow
from curate.tasks import Paraphrases
from curate.texts import occurrences

EXPORT_SCHEMA: dict[str, Any] = {
    "pair_id": pl.String,
    "approved": pl.Boolean,
    "prompt": pl.String,  # with the turns before it
    "completion": pl.String,
    "masked": pl.String,  # JSON list of surrogate strings: the same record with other names is a duplicate
    "different_from": pl.String,  # JSON list of pair ids that people said this is no duplicate of
}
RESULT_SCHEMA: dict[str, Any] = {
    "cluster_id": pl.String,
    "kind": pl.String,
    "pair_id": pl.String,
    "similarity": pl.Float64,  # 0..1, with the pair suggested to keep
    "keep": pl.Boolean,
}


def export_for_dedupe(
    store: Store, task: str, pair_ids: Sequence[str] | None = None, *, in_play: bool = True
) -> pl.DataFrame:
    """Current revisions of every pair that is still in play, or of these pairs, columns EXPORT_SCHEMA.

    ``in_play=False`` takes any status, for an index that outlives a change of status.
    """
    rows = store.rows(
        "SELECT s.pair_id, s.status = 'approved' AS approved, t.history, t.prompt, t.completion FROM pair_state s"
        " JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev WHERE s.task = $task"
        " AND (NOT $in_play OR s.status IN ('held', 'ready', 'returned', 'approved'))"
        " AND ($ids IS NULL OR s.pair_id IN (SELECT unnest($ids::VARCHAR[]))) ORDER BY s.pair_id",
        {"task": task, "in_play": in_play, "ids": None if pair_ids is None else list(pair_ids)},
    )
    known = known_strings(store, [row["pair_id"] for row in rows])
    different: dict[str, list[str]] = {}
    for row in store.rows("SELECT pair_a, pair_b FROM not_duplicates"):
        different.setdefault(row["pair_a"], []).append(row["pair_b"])
        different.setdefault(row["pair_b"], []).append(row["pair_a"])
    out = []
    for row in rows:
        turns = [turn["content"] for turn in json.loads(row["history"] or "[]")]
        out.append(
            {
                "pair_id": row["pair_id"],
                "approved": row["approved"],
                "prompt": "\n".join([*turns, row["prompt"]]),
                "completion": row["completion"],
                "masked": json.dumps(known.get(row["pair_id"], []), ensure_ascii=False),
                "different_from": json.dumps(sorted(different.get(row["pair_id"], []))),
            }
        )
    return pl.DataFrame(out, schema=EXPORT_SCHEMA)


def group(frame: pl.DataFrame, options: dict[str, Any]) -> pl.DataFrame:
    """Groups among exported pairs, columns RESULT_SCHEMA. Runs in a job, without a store."""
    from rapidfuzz import fuzz

    from curate.dedupe import classify

    if frame.is_empty():
        return pl.DataFrame(schema=RESULT_SCHEMA)
    masked = [json.loads(text) for text in frame["masked"]]
    prompts, completions = frame["prompt"].to_list(), frame["completion"].to_list()
    found = classify(
        prompts,
        completions,
        prompt_mask=[occurrences(text, known) for text, known in zip(prompts, masked, strict=True)],
        completion_mask=[occurrences(text, known) for text, known in zip(completions, masked, strict=True)],
        **options,
    ).filter(pl.col("class").is_in(["duplicate", "conflict"]))
    different = [set(json.loads(text)) for text in frame["different_from"]]
    pair_ids, approved = frame["pair_id"].to_list(), frame["approved"].to_list()
    out = []
    for kind, rows in zip(found["class"].to_list(), found["rows"].to_list(), strict=True):
        for members in _without_known_differences(rows, pair_ids, different):
            ids = sorted(pair_ids[row] for row in members)
            # Suggested: an approved pair, else the longest; the id decides between equals.
            best = min(
                members, key=lambda r: (not approved[r], -len(prompts[r] + completions[r]), pair_ids[r])
            )
            cluster_id = "c-" + sha256_hex(canonical_json([kind, *ids]))[:16]
            for row in members:
                texts = [prompts[r] + "\n" + completions[r] for r in (row, best)]
                out.append(
                    {
                        "cluster_id": cluster_id,
                        "kind": kind,
                        "pair_id": pair_ids[row],
                        "similarity": round(fuzz.ratio(*texts) / 100, 4),
                        "keep": row == best,
                    }
                )
    return pl.DataFrame(out, schema=RESULT_SCHEMA)


def group_paraphrases(frame: pl.DataFrame, found: pl.DataFrame, options: Paraphrases) -> pl.DataFrame:
    """Groups of pairs that say the same in other words, columns RESULT_SCHEMA; empty where no model is named.

    Pairs that ``found`` has in one duplicate group already count as one. Runs in a job, without a store.
    """
    out: list[dict[str, Any]] = []
    if options.model is None or frame.is_empty():
        return pl.DataFrame(out, schema=RESULT_SCHEMA)
    from curate.dedupe.semantic import find_paraphrases

    texts = [
        f"{prompt}\n{completion}" for prompt, completion in frame.select("prompt", "completion").iter_rows()
    ]
    pair_ids = frame["pair_id"].to_list()
    different = [set(json.loads(text)) for text in frame["different_from"]]
    known = dict(found.filter(kind="duplicate").select("pair_id", "cluster_id").iter_rows())
    similar = find_paraphrases(texts, options.model, min_similarity=options.min_similarity)
    for left, right, similarity in similar.iter_rows():
        a, b = sorted((left, right), key=lambda row: pair_ids[row])
        one, two = pair_ids[a], pair_ids[b]
        if two in different[a] or (one in known and known[one] == known.get(two)):
            continue
        cluster_id = "c-" + sha256_hex(canonical_json(["paraphrase", one, two]))[:16]
        longer = a if len(texts[a]) >= len(texts[b]) else b
        for row in (a, b):
            out.append(
                {
                    "cluster_id": cluster_id,
                    "kind": "paraphrase",
                    "pair_id": pair_ids[row],
                    "similarity": round(float(similarity), 4),
                    "keep": row == longer,
                }
            )
    return pl.DataFrame(out, schema=RESULT_SCHEMA)


def _without_known_differences(
    rows: Sequence[int], pair_ids: Sequence[str], different: Sequence[set[str]]
) -> Iterator[list[int]]:
    """Split a group where people said that two of its members differ; parts of one row are dropped."""
    if not any(different[row] for row in rows):
        yield list(rows)
        return
    part = {row: row for row in rows}

    def find(row: int) -> int:
        while part[row] != row:
            row = part[row]
        return row

    for a, b in combinations(rows, 2):
        if pair_ids[b] not in different[a]:
            part[find(a)] = find(b)
    groups: dict[int, list[int]] = {}
    for row in rows:
        groups.setdefault(find(row), []).append(row)
    yield from (members for members in groups.values() if len(members) > 1)


def ingest_groups(
    tx: Tx, task: str, run_id: str, frame: pl.DataFrame, within: Sequence[str] | None = None
) -> None:
    """Take a run's groups in. Open groups that were not found again are superseded; decided ones stay.

    ``within``: the pairs that the run looked at, when it did not look at all; groups with other members stay.
    """
    found = frame["cluster_id"].unique().to_list()
    gone = tx.rows(
        "SELECT cluster_id FROM clusters WHERE task = $task AND status = 'open'"
        " AND cluster_id NOT IN (SELECT unnest($found::VARCHAR[]))"
        " AND ($within IS NULL OR kind <> 'paraphrase' AND cluster_id NOT IN (SELECT cluster_id FROM"
        "  cluster_members WHERE pair_id NOT IN (SELECT unnest($within::VARCHAR[]))))",
        {"task": task, "found": found, "within": None if within is None else list(within)},
    )
    affected = {
        row["pair_id"]
        for row in tx.rows(
            "SELECT pair_id FROM cluster_members WHERE cluster_id IN (SELECT unnest(?::VARCHAR[]))",
            [[row["cluster_id"] for row in gone]],
        )
    } | set(frame["pair_id"].to_list())
    tx.execute(
        "UPDATE clusters SET status = 'superseded' WHERE cluster_id IN (SELECT unnest(?::VARCHAR[]))",
        [[row["cluster_id"] for row in gone]],
    )
    tx.execute(
        "UPDATE clusters SET status = 'open', run_id = ? WHERE status = 'superseded'"
        " AND cluster_id IN (SELECT unnest(?::VARCHAR[]))",
        [run_id, found],
    )
    heads = (
        frame.filter("keep")
        .select("cluster_id", "kind", keep_pair="pair_id")
        .with_columns(task=pl.lit(task), run_id=pl.lit(run_id), status=pl.lit("open"), ts=pl.lit(utcnow()))
    )
    tx.insert("clusters", heads, ignore=True)
    tx.insert("cluster_members", frame.select("cluster_id", "pair_id", "similarity", "keep"), ignore=True)
    tx.event("deduped", "system", run=run_id, clusters=len(found))
    rules.settle(tx, "system", sorted(affected), kind="clustered")


def count_open(store: Store, task: str) -> int:
    """Open duplicate groups of a task."""
    row = store.one(
        "SELECT count(*) AS n FROM clusters WHERE task = ? AND status = 'open' AND kind = 'duplicate'", [task]
    )
    return row["n"] if row else 0


def list_clusters(
    store: Store, task: str, *, status: str | None = "open", limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Groups with their members' texts, duplicates first.

    Each has ``suggested``: ``{"keep": pair id or None, "reason": words}`` (see `suggest`), and ``fields``: per field
    the values (first member, other) where members differ only in short scattered values. A member has ``ratings``
    (label name -> number) beside its texts.
    """
    heads = store.rows(
        "SELECT cluster_id, kind, status, keep_pair FROM clusters WHERE task = ? AND (? IS NULL OR status = ?)"
        " ORDER BY kind DESC, cluster_id LIMIT ? OFFSET ?",
        [task, status, status, limit, offset],
    )
    members: dict[str, list[dict[str, Any]]] = {head["cluster_id"]: [] for head in heads}
    rows = store.rows(
        "SELECT m.cluster_id, m.pair_id, m.similarity, m.keep, s.status, s.rev, r.ts AS written, t.prompt,"
        " t.completion FROM cluster_members m JOIN pair_state s USING (pair_id)"
        " LEFT JOIN revisions r ON r.pair_id = m.pair_id AND r.rev = s.rev"
        " LEFT JOIN revision_text t ON t.pair_id = m.pair_id AND t.rev = s.rev"
        " WHERE m.cluster_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY m.keep DESC, m.pair_id",
        [list(members)],
    )
    ids = [row["pair_id"] for row in rows]
    known = known_strings(store, ids)
    ratings: dict[str, dict[str, float]] = {}
    for pair, name, value in _standing_labels(store, ids):
        if isinstance(value, int | float) and not isinstance(value, bool):
            ratings.setdefault(pair, {})[name] = value
    for row in rows:
        row["ratings"] = ratings.get(row["pair_id"], {})
        row["written"] = row["written"].isoformat() if row["written"] else ""
        members[row.pop("cluster_id")].append(row)
    found = []
    for head in heads:
        some = members[head["cluster_id"]]
        fields = _fields(some, known) if head["kind"] == "duplicate" else []
        found.append(head | {"members": some, "fields": fields, "suggested": suggest(some, fields)})
    return found


def suggest(members: Sequence[dict[str, Any]], fields: Sequence[Any] = ()) -> dict[str, Any]:
    """Which member to keep, and why: approved before not, then the better rated, the longer, the newer.

    ``{"keep": None}`` where nothing tells them apart, and where they differ in short fields only: whether those are
    copies is the question.
    """
    if fields:
        some = "; ".join(f"{ours} / {theirs}" for ours, theirs in fields[:3])
        return {
            "keep": None,
            "reason": f"They differ only in short fields ({some}): one form filled in twice, or a copy? You decide.",
        }

    def rated(member: dict[str, Any]) -> float:
        values = member["ratings"].values()
        return sum(values) / len(values) if values else 0.0

    def length(member: dict[str, Any]) -> int:
        return len(member["prompt"] or "") + len(member["completion"] or "")

    orders: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
        ("approved", lambda member: member["status"] == "approved"),
        ("best rated", rated),
        ("longest", length),
        ("newest", lambda member: member["written"]),
    ]
    left, said = list(members), []
    for word, measure in orders:
        best = max(map(measure, left))
        fewer = [member for member in left if measure(member) == best]
        if len(fewer) < len(left):
            said.append(word)
        left = fewer
        if len(left) == 1:
            return {"keep": left[0]["pair_id"], "reason": f"Suggested: {', '.join(said)}."}
    return {"keep": None, "reason": "They are alike in every respect: keep any."}


def _fields(members: Sequence[dict[str, Any]], known: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Values in which the members differ from the first, when they all differ in nothing else. Surrogates are equal."""
    from curate.dedupe import short_fields
    from curate.dedupe.prepare import apply_mask

    found: list[tuple[str, str]] = []
    texts = []
    for member in members:
        text = f"{member['prompt'] or ''}\n{member['completion'] or ''}"
        texts.append(apply_mask(text, occurrences(text, known.get(member["pair_id"], []))))
    for text in texts[1:]:
        fields = short_fields(texts[0], text)
        if fields is None:
            return []
        found += fields
    return found


def _standing_labels(where: Store | Tx, pair_ids: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """(pair id, label name, value) of the labels that stand, the last one of a name."""
    last: dict[tuple[str, str], str] = {}
    for row in where.rows(
        f"SELECT pair_id, name, value FROM ({STANDING_LABELS}) WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))"
        " ORDER BY seq",
        [list(pair_ids)],
    ):
        last[row["pair_id"], row["name"]] = row["value"]
    for (pair, name), value in last.items():
        yield pair, name, json.loads(value)


def decide_cluster(
    store: Store,
    actor: users.Actor,
    cluster_id: str,
    decision: str,
    keep: Sequence[str] = (),
    *,
    merge_labels: bool = False,
) -> dict[str, Any]:
    """Keep some members and drop the rest, or remember for ever that the members are different.

    ``merge_labels`` gives the one kept pair the labels that it lacks and the dropped ones agree on;
    ``labels_disputed`` of the answer names those on which they do not. Raises `NotFound`, and `UsageError` when
    the group is decided already or ``keep`` names none of its members.
    """
    users.require(actor, "review")

    def write(tx: Tx) -> dict[str, Any]:
        head = tx.one("SELECT * FROM clusters WHERE cluster_id = ?", [cluster_id])
        if head is None:
            raise NotFound(f"No group {cluster_id!r}. `goldpair clusters list` shows them.")
        if head["status"] != "open":
            raise UsageError(f"Group {cluster_id} is {head['status']} already.")
        rows = tx.rows("SELECT pair_id FROM cluster_members WHERE cluster_id = ?", [cluster_id])
        members = sorted(row["pair_id"] for row in rows)
        kept = members if decision == "not_duplicates" else sorted(set(keep) & set(members))
        if not kept or set(keep) - set(members):
            raise UsageError(f"Name at least one pair to keep, of {', '.join(members)}.")
        tx.execute(
            "UPDATE clusters SET status = 'resolved', keep_pair = ? WHERE cluster_id = ?",
            [kept[0], cluster_id],
        )
        tx.execute(
            "UPDATE cluster_members SET keep = pair_id IN (SELECT unnest(?::VARCHAR[])) WHERE cluster_id = ?",
            [kept, cluster_id],
        )
        if decision == "not_duplicates":
            pairs = [
                {"pair_a": a, "pair_b": b, "actor": actor.user, "ts": utcnow()}
                for a, b in combinations(members, 2)
            ]
            tx.insert("not_duplicates", pl.DataFrame(pairs), ignore=True)
        seq = tx.event("cluster_decided", actor.user, cluster=cluster_id, decision=decision, keep=kept)
        dropped = sorted(set(members) - set(kept))
        result: dict[str, Any] = {"cluster_id": cluster_id, "kept": kept, "dropped": dropped}
        if merge_labels and len(kept) == 1:
            result |= _merge_labels(tx, actor.user, kept[0], dropped, seq)
        rules.settle(tx, actor.user, members, kind="cluster_decided")
        return result

    return store.write(write)


def _merge_labels(tx: Tx, user: str, kept: str, dropped: Sequence[str], seq: int) -> dict[str, Any]:
    own: set[str] = set()
    others: dict[str, list[Any]] = {}
    for pair, name, value in _standing_labels(tx, [kept, *dropped]):
        if pair == kept:
            own.add(name)
        else:
            others.setdefault(name, []).append(value)
    state = tx.one("SELECT rev FROM pair_state WHERE pair_id = ?", [kept])
    assert state is not None
    merged, disputed = [], []
    for name, values in sorted(others.items()):
        if name in own:
            continue
        if any(value != values[0] for value in values):
            disputed.append(name)
            continue
        text = canonical_json(values[0]).decode("utf-8", "surrogatepass")
        tx.append("labels", [kept, state["rev"], user, name, text, utcnow(), seq])
        merged.append(name)
    return {"labels_merged": merged, "labels_disputed": disputed}
