"""Privacy in the store: what a scan found, what replaced it, and what waits for a person.

Covers: exporting pairs for the scan job, taking its results in (revision 1 is the anonymized text), scanning
an edited revision, deciding open findings.
Does not cover: detection and surrogates (`curate.privacy`, which knows no store); approval (`curate.review`).

The original text stays in ``record_text`` alone. A finding is a span of the current revision that looks
personal and is not one of our own surrogates; while one is open, the pair is held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate import groups, lists, rules, users
from curate.contract import canonical_json, sha256_hex
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.tasks import find_pack, load_pack
from curate.texts import TEXT_COLUMNS, fields_of, finding_id, occurrences, with_fields
from curate.workspace import Workspace

if TYPE_CHECKING:
    from curate.privacy import Detector, ScanCache

EXPORT_SCHEMA: dict[str, Any] = {
    "pair_id": pl.String,
    "rev": pl.Int32,  # 0: the record as imported
    "last_detector": pl.String,
    "known": pl.String,  # JSON list: our own surrogates in this pair, and what people called not personal
    "lists": pl.String,  # JSON: the terms of the task's lists that occur here (`curate.lists.column`)
    **dict.fromkeys(TEXT_COLUMNS, pl.String),
}
RESULT_SCHEMA: dict[str, Any] = {
    "pair_id": pl.String,
    "rev": pl.Int32,
    "detector_version": pl.String,
    "policy_hash": pl.String,
    "problem": pl.String,  # why this pair could not be scanned
    "findings": pl.String,  # JSON list of {field, start, stop, entity_type, score, recognizer}
    "surrogates": pl.String,  # JSON list of {field, start, stop, entity_type, surrogate}
    "lists_upto": pl.String,  # the last change of the lists that the scan knew
    **dict.fromkeys(TEXT_COLUMNS, pl.String),
}


# --- the scan job: export, work, take in --------------------------------------------------------------------

_RECORDS = """
SELECT s.pair_id, 0 AS rev, NULL AS last_detector, t.system, t.history, t.prompt, t.completion, t.metadata
FROM pair_state s JOIN pairs p USING (pair_id) JOIN record_text t USING (record_id)
WHERE s.task = ? AND s.status = 'raw' ORDER BY s.pair_id
"""
_REVISIONS = """
WITH st AS (SELECT * FROM pair_state WHERE {which}),
     sc AS (SELECT pair_id, rev, arg_max(detector_version, ts) AS detector FROM scans GROUP BY pair_id, rev)
SELECT st.pair_id, st.rev, sc.detector AS last_detector,
       t.system, t.history, t.prompt, t.completion, t.metadata
FROM st JOIN revision_text t ON t.pair_id = st.pair_id AND t.rev = st.rev
LEFT JOIN sc ON sc.pair_id = st.pair_id AND sc.rev = st.rev ORDER BY st.pair_id
"""


def _export(store: Store, task: str, sql: str, params: Sequence[Any]) -> pl.DataFrame:
    """Rows of a query with the strings that a scan of them must not report again, columns EXPORT_SCHEMA."""
    frame = store.frame(sql, params)
    ids = frame["pair_id"].to_list()
    ours, kept = _surrogates(store, ids), _rejected(store, ids)
    known = [json.dumps(_known(pair, ours, kept), ensure_ascii=False) for pair in ids]
    # A string of a list that somebody kept in this very pair is no finding there again.
    excused = {
        pair: [(row["text"], row["ts"]) for row in rows if row["recognizer"].startswith(lists.LISTED)]
        for pair, rows in kept.items()
    }
    listed = lists.column(store, task, frame.iter_rows(named=True), ours, excused)
    return (
        frame.with_columns(
            pl.Series("known", known, dtype=pl.String), pl.Series("lists", listed, dtype=pl.String)
        )
        .select(list(EXPORT_SCHEMA))
        .cast(pl.Schema(EXPORT_SCHEMA))
    )


def known_strings(store: Store, pair_ids: Sequence[str]) -> dict[str, list[str]]:
    """Pair id -> our own surrogates in it, and what a person has called not personal."""
    ours, kept = _surrogates(store, pair_ids), _rejected(store, pair_ids)
    return {pair: _known(pair, ours, kept) for pair in {*ours, *kept}}


def _known(
    pair: str, ours: Mapping[str, Sequence[str]], kept: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    return sorted({*ours.get(pair, ()), *(row["text"] for row in kept.get(pair, ()))})


def _surrogates(store: Store, pair_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in store.rows(
        "SELECT pair_id, surrogate FROM surrogates WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(pair_ids)],
    ):
        found.setdefault(row["pair_id"], []).append(row["surrogate"])
    return found


def _rejected(store: Store, pair_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Pair id -> {text, recognizer, ts} of what a person or a list called not personal in any of its revisions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in store.rows(
        "SELECT f.pair_id, f.field, f.start, f.stop, f.recognizer, f.ts,"
        " t.system, t.history, t.prompt, t.completion, t.metadata"
        " FROM findings f JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev"
        " WHERE f.status = 'rejected' AND f.pair_id IN (SELECT unnest(?::VARCHAR[]))",
        [list(pair_ids)],
    ):
        text = fields_of(row).get(row["field"], "")[row["start"] : row["stop"]]
        found.setdefault(row["pair_id"], []).append(
            {"text": text, "recognizer": row["recognizer"] or "", "ts": row["ts"]}
        )
    return found


def export_for_scan(store: Store, task: str) -> pl.DataFrame:
    """Everything a scan has to look at, columns EXPORT_SCHEMA: raw records, and current revisions."""
    which = "task = ? AND status NOT IN ('raw', 'duplicate', 'rejected', 'erased')"
    return pl.concat(
        [
            _export(store, task, _RECORDS, [task]),
            _export(store, task, _REVISIONS.replace("{which}", which), [task]),
        ]
    )


def export_approved(store: Store, task: str) -> pl.DataFrame:
    """Current revisions of approved pairs, columns EXPORT_SCHEMA: what freezing scans again."""
    return _export(store, task, _REVISIONS.replace("{which}", "task = ? AND status = 'approved'"), [task])


def scan_chunk(
    frame: pl.DataFrame,
    detector: Detector,
    key: bytes,
    *,
    again: bool = False,
    cache: ScanCache | None = None,
) -> pl.DataFrame:
    """Scan exported rows; returns RESULT_SCHEMA. Runs in a job, without a store.

    A record (rev 0) is anonymized and comes back with its new texts. A revision comes back with what is still
    personal in it; one that this detector has seen already is left out, unless ``again``. With a ``cache`` a text is
    searched once for each detector version.
    """
    from curate.privacy import ScanFailed, pseudonymize

    out: list[dict[str, Any]] = []
    for row in frame.iter_rows(named=True):
        if row["rev"] and row["last_detector"] == detector.version and not again:
            continue
        if row["rev"] == 0:
            wider = groups.generalised(json.loads(row["metadata"] or "{}"), detector.policy)
            row["metadata"] = canonical_json(wider).decode("utf-8", "surrogatepass")
        result: dict[str, Any] = dict.fromkeys(RESULT_SCHEMA) | {
            "pair_id": row["pair_id"],
            "rev": row["rev"],
            "detector_version": detector.version,
            "policy_hash": detector.policy.hash,
            "surrogates": "[]",
            "findings": "[]",
            **{name: row[name] for name in TEXT_COLUMNS},
        }
        out.append(result)
        fields = fields_of(row)
        listed = lists.Listed.load(row.get("lists"))
        result["lists_upto"] = listed.upto
        try:
            if row["rev"] == 0:
                found = listed.apply(detector.scan_record(fields, cache=cache), fields)
                certain = {
                    name: [f for f in spans if not detector.policy.is_open(f.entity_type, f.score)]
                    for name, spans in found.items()
                }
                fields, mapping = pseudonymize(
                    fields, certain, key, record_id=row["pair_id"], policy=detector.policy
                )
                surrogates = [
                    {
                        "field": m["field"],
                        "start": m["surrogate_start"],
                        "stop": m["surrogate_end"],
                        "entity_type": m["entity_type"],
                        "surrogate": m["surrogate"],
                    }
                    for m in mapping
                ]
                result |= with_fields(row, fields)
                result["surrogates"] = json.dumps(surrogates, ensure_ascii=False)
                known = [s["surrogate"] for s in surrogates]
            else:
                known = json.loads(row["known"])
            spans = open_spans(
                detector, fields, known, cache, listed if row["rev"] else listed.with_ours(known)
            )
            result["findings"] = json.dumps(spans, ensure_ascii=False)
        except ScanFailed as error:
            result["problem"] = str(error)
    return pl.DataFrame(out, schema=RESULT_SCHEMA)


def open_spans(
    detector: Detector,
    fields: Mapping[str, str],
    known: Sequence[str],
    cache: ScanCache | None = None,
    listed: lists.Listed = lists.NOTHING,
) -> list[dict[str, Any]]:
    """What still looks personal or is denied, and lies in no known string (a surrogate, or called not personal)."""
    spans = []
    for name, found in listed.apply(detector.scan_record(fields, cache=cache), fields).items():
        text = fields[name]
        covered = occurrences(text, known)
        for finding in found:
            if detector.policy.action(finding.entity_type) == "keep":
                continue
            if finding.recognizer.startswith(lists.LISTED) or not any(
                start <= finding.start and finding.end <= stop for start, stop in covered
            ):
                spans.append(
                    {
                        "field": name,
                        "start": finding.start,
                        "stop": finding.end,
                        "entity_type": finding.entity_type,
                        "score": finding.score,
                        "recognizer": finding.recognizer,
                    }
                )
    return spans


def ingest_scan(tx: Tx, task: str, frame: pl.DataFrame, guideline_version: str) -> None:
    """Take one chunk of scan results in: revision 1 for records, findings, surrogates, holds. Idempotent."""
    if frame.is_empty():
        return
    now = utcnow()
    rows = frame.to_dicts()
    added, lifted = lists.since(tx, task, rows[0].get("lists_upto") or "")
    # What was let through by a term that went meanwhile is scanned again the next time.
    rows = [row for row in rows if not any(t.places(v) for t in lifted for v in fields_of(row).values())]
    if not rows:
        return
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [f"detector:{task}", rows[0]["detector_version"]])
    ids = [[r["pair_id"] for r in rows]]
    shas = {
        (r["pair_id"], r["rev"]): r["sha256"]
        for r in tx.rows(
            "SELECT pair_id, rev, sha256 FROM revisions WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))", ids
        )
    }
    good = [r for r in rows if r["problem"] is None]
    fresh = [r for r in good if r["rev"] == 0 and (r["pair_id"], 1) not in shas]
    made = (
        rules.add_revisions(
            tx,
            "intake",
            [rules.decoded(r) for r in fresh],
            kind="import",
            guideline_version=guideline_version,
        )
        if fresh
        else []
    )
    shas |= {(r["pair_id"], r["rev"]): r["sha256"] for r in made}
    tx.insert(
        "surrogates",
        pl.DataFrame(
            [{"pair_id": r["pair_id"], "rev": 1, **s} for r in fresh for s in json.loads(r["surrogates"])]
        ),
    )
    scans, found = [], []
    for row in [*fresh, *(r for r in good if r["rev"] > 0)]:
        pair_id, rev = row["pair_id"], row["rev"] or 1
        spans = json.loads(row["findings"])
        scans.append(
            {
                "pair_id": pair_id,
                "rev": rev,
                "sha256": shas[pair_id, rev],
                "open_findings": len(spans),
                "detector_version": row["detector_version"],
                "policy_hash": row["policy_hash"],
                "ts": now,
            }
        )
        found += [
            {
                "finding_id": finding_id(pair_id, rev, span),
                "pair_id": pair_id,
                "rev": rev,
                **span,
                "status": "open",
                "detector_version": row["detector_version"],
                "ts": now,
            }
            for span in spans
        ]
    # Open findings of an older scan give way to what this one saw; decided ones stay.
    tx.execute(
        "DELETE FROM findings WHERE status = 'open' AND pair_id IN (SELECT unnest(?::VARCHAR[]))",
        [[s["pair_id"] for s in scans]],
    )
    tx.insert("findings", pl.DataFrame(found), ignore=True)
    tx.insert("scans", pl.DataFrame(scans))
    tx.transition(
        "scan_failed",
        "system",
        [{"pair_id": r["pair_id"], "reason": "scan_failed"} for r in rows if r["problem"] is not None],
    )
    lists.catch_up(tx, task, added, [s["pair_id"] for s in scans])
    rules.settle(tx, "system", [s["pair_id"] for s in scans], kind="scanned")


# --- single pairs -------------------------------------------------------------------------------------------

_detectors: dict[str, Detector] = {}


def detector_for(workspace: Workspace, task: str) -> Detector:
    """The task's detector, loaded once a process (about a second)."""
    from curate.privacy import Detector

    pack = load_pack(find_pack(task, workspace.tasks))
    key = sha256_hex(canonical_json(pack.privacy))
    if key not in _detectors:
        _detectors[key] = Detector.from_policy(pack.privacy or "default")
    return _detectors[key]


def scans_of(workspace: Workspace) -> ScanCache:
    """The workspace's cache of scans, by text and detector version."""
    from curate.privacy import ScanCache

    return ScanCache(workspace.cache / "scans")


def rescan(store: Store, workspace: Workspace, pair_id: str, rev: int) -> int:
    """Scan one revision now (after an edit). Returns the number of open findings."""
    row = store.one("SELECT task, rev FROM pair_state WHERE pair_id = ?", [pair_id])
    if row is None or row["rev"] != rev:
        raise NotFound(f"Pair {pair_id} has no current revision {rev}.")
    return rescan_pairs(store, workspace, row["task"], [pair_id])


def rescan_pairs(store: Store, workspace: Workspace, task: str, pair_ids: Sequence[str]) -> int:
    """Scan the current revisions of these pairs of a task now. Returns the number of open findings."""
    which = _REVISIONS.replace("{which}", "pair_id IN (SELECT unnest(?::VARCHAR[])) AND status <> 'erased'")
    frame = _export(store, task, which, [list(pair_ids)])
    if frame.is_empty():
        return 0
    detector = detector_for(workspace, task)
    result = scan_chunk(frame, detector, workspace.key, again=True, cache=scans_of(workspace))
    store.write(lambda tx: ingest_scan(tx, task, result, ""))
    return sum(len(json.loads(text)) for text in result["findings"])


def count_open(store: Store, task: str) -> int:
    """Open findings in current revisions of a task."""
    row = store.one(
        "SELECT count(*) AS n FROM findings f JOIN pair_state s ON s.pair_id = f.pair_id AND s.rev = f.rev"
        " WHERE s.task = ? AND f.status = 'open'",
        [task],
    )
    return row["n"] if row else 0


def list_findings(
    store: Store,
    actor: users.Actor,
    task: str,
    *,
    status: str | None = "open",
    limit: int = 50,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Findings in current revisions with their text and field text, for people to decide.

    ``alike``: how many others are open with the same string and type.
    """
    users.require(actor, "read")
    rows = store.rows(
        "SELECT f.finding_id, f.pair_id, f.rev, f.field, f.start, f.stop, f.entity_type, f.score, f.recognizer,"
        " f.status, f.decided_by, t.system, t.history, t.prompt, t.completion, t.metadata"
        " FROM findings f JOIN pair_state s ON s.pair_id = f.pair_id AND s.rev = f.rev"
        " JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev"
        " WHERE s.task = ? AND (? IS NULL OR f.status = ?)"
        " ORDER BY f.pair_id, f.field, f.start LIMIT ? OFFSET ?",
        [task, status, status, limit, offset],
    )
    for row in rows:
        texts = fields_of(row)
        for name in TEXT_COLUMNS:
            del row[name]
        row["context"] = texts.get(row["field"], "")
        row["text"] = row["context"][row["start"] : row["stop"]]
    open_ = lists.alike(store, task) if any(row["status"] == "open" for row in rows) else {}
    for row in rows:
        here = row["status"] == "open"
        row["alike"] = max(0, open_.get((lists.fold(row["text"]), row["entity_type"]), 0) - here)
    return rows


def decide_finding(
    store: Store,
    actor: users.Actor,
    workspace: Workspace,
    finding_id: str,
    decision: str,
    *,
    same: bool = False,
) -> dict[str, Any]:
    """Confirm an open finding (a new revision carries a surrogate) or reject it (the text stays).

    ``same``: decide every open finding of the task with this string and type, and put the string on the task's list,
    denied when confirmed and allowed when rejected. Returns finding_id, status, pair_id, rev, decided (how many),
    pairs (that got a new revision), and with ``same`` the change of the list. Raises `NotFound`, and `UsageError` when
    the finding is not open any more.
    """
    users.require(actor, "review")
    row = store.one(
        "SELECT f.*, s.rev AS current, s.task FROM findings f JOIN pair_state s USING (pair_id)"
        " WHERE finding_id = ?",
        [finding_id],
    )
    if row is None:
        raise NotFound(f"No finding {finding_id!r}. `goldpair findings list` shows them.")
    if row["status"] != "open" or row["rev"] != row["current"]:
        raise UsageError(
            f"Finding {finding_id} is not open any more: it is {row['status']}, or the pair was edited since."
        )
    pair_id, task, kind = row["pair_id"], row["task"], row["entity_type"]
    text = _text_of(store, row)
    rows = lists.same_string(store, task, text, kind) if same else [row]
    told = {"finding_id": finding_id, "pair_id": pair_id, "rev": row["rev"], "decided": len(rows)}
    if decision == "reject":

        def reject(tx: Tx) -> dict[str, Any]:
            if same:
                return {"list": lists.put(tx, task, actor.user, "allow", text, kind, pair_id)}
            tx.execute(
                "UPDATE findings SET status = 'rejected', decided_by = ? WHERE finding_id = ?",
                [actor.user, finding_id],
            )
            tx.event("finding_rejected", actor.user, pair_id=pair_id, rev=row["rev"], finding=finding_id)
            rules.settle(tx, actor.user, [pair_id])
            return {}

        done = store.write(reject)
        return told | {"status": "rejected", "pairs": []} | done
    done = {}

    def deny(tx: Tx) -> None:
        done["list"] = lists.put(tx, task, actor.user, "deny", text, kind, pair_id)

    revs = replace_spans(store, actor, workspace, task, rows, then=deny if same else None)
    return told | {"status": "replaced", "rev": revs[pair_id], "pairs": sorted(revs)} | done


def _text_of(store: Store, row: Mapping[str, Any]) -> str:
    """The string of a finding."""
    text = store.one(
        "SELECT system, history, prompt, completion, metadata FROM revision_text WHERE pair_id = ? AND rev = ?",
        [row["pair_id"], row["rev"]],
    )
    return fields_of(text).get(row["field"], "")[row["start"] : row["stop"]] if text else ""


def replace_spans(
    store: Store,
    actor: users.Actor,
    workspace: Workspace,
    task: str,
    rows: Sequence[Mapping[str, Any]],
    then: Callable[[Tx], None] | None = None,
) -> dict[str, int]:
    """Write, in one transaction, a revision of each pair in which its spans are surrogates; then scan them.

    ``rows``: finding_id, pair_id, rev, field, start, stop, entity_type, score, recognizer. ``then`` runs in the same
    transaction. Returns the new revision by pair id. Raises `UsageError` when a pair has a newer revision, or when the
    policy keeps the type.
    """
    made = [
        _with_surrogates(store, workspace, task, pair_id, [row for row in rows if row["pair_id"] == pair_id])
        for pair_id in dict.fromkeys(row["pair_id"] for row in rows)
    ]

    def write(tx: Tx) -> dict[str, int]:
        now = tx.states([one["pair_id"] for one in made])
        revs: dict[str, int] = {}
        for one in made:
            state = now.get(one["pair_id"])
            if state is None or state["rev"] != one["rev"]:
                raise UsageError(f"Pair {one['pair_id']} has a newer revision. Look at it again.")
            revision = rules.add_revisions(
                tx,
                "intake",
                [rules.decoded({"pair_id": one["pair_id"], **one["texts"]})],
                kind="anonymized",
                guideline_version=one["guideline_version"],
            )[0]
            revs[one["pair_id"]] = int(revision["rev"])
            tx.insert("surrogates", pl.DataFrame([s | {"rev": revision["rev"]} for s in one["surrogates"]]))
        tx.execute(
            "UPDATE findings SET status = 'replaced', decided_by = ? WHERE list_contains(?, finding_id)",
            [actor.user, [row["finding_id"] for row in rows]],
        )
        for row in rows:
            tx.event(
                "finding_replaced",
                actor.user,
                pair_id=row["pair_id"],
                rev=revs[row["pair_id"]],
                finding=row["finding_id"],
            )
        if then:
            then(tx)
        return revs

    revs = store.write(write)
    rescan_pairs(store, workspace, task, list(revs))
    return revs


def _with_surrogates(
    store: Store, workspace: Workspace, task: str, pair_id: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The texts of a pair with surrogates in these places: pair_id, rev, texts, surrogates, guideline_version."""
    from curate.privacy import Finding, pseudonymize
    from curate.privacy.findings import merge

    rev = rows[0]["rev"]
    text = store.one(
        "SELECT t.*, r.guideline_version FROM revision_text t JOIN revisions r USING (pair_id, rev)"
        " WHERE pair_id = ? AND rev = ?",
        [pair_id, rev],
    )
    if text is None:
        raise NotFound(f"Revision {rev} of pair {pair_id} has no text any more.")
    fields = fields_of(text)
    spans: dict[str, list[Finding]] = {}
    for row in rows:
        found = Finding(row["start"], row["stop"], row["entity_type"], row["score"], row["recognizer"])
        spans.setdefault(row["field"], []).append(found)
    policy = detector_for(workspace, task).policy
    kept = sorted({row["entity_type"] for row in rows if policy.action(row["entity_type"]) == "keep"})
    if kept:  # the pack changed since the scan
        raise UsageError(
            f"The privacy policy of {task} keeps {', '.join(kept)}. Reject the finding, or edit the text."
        )
    merged = {name: merge(found, fields[name]) for name, found in spans.items()}
    fields, mapping = pseudonymize(fields, merged, workspace.key, record_id=pair_id, policy=policy)
    return {
        "pair_id": pair_id,
        "rev": rev,
        "texts": with_fields(text, fields),
        "guideline_version": text["guideline_version"],
        "surrogates": [
            {
                "pair_id": pair_id,
                "field": m["field"],
                "start": m["surrogate_start"],
                "stop": m["surrogate_end"],
                "entity_type": m["entity_type"],
                "surrogate": m["surrogate"],
            }
            for m in mapping
        ],
    }


def residual_of(results: Sequence[pl.DataFrame]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """(pair id, revision) -> what a fresh scan of it found, for `curate.snapshot.create`."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for frame in results:
        for row in frame.iter_rows(named=True):
            spans = json.loads(row["findings"])
            if row["problem"]:
                spans.append(
                    {
                        "field": "",
                        "start": 0,
                        "stop": 0,
                        "entity_type": row["problem"],
                        "score": 1.0,
                        "recognizer": "",
                    }
                )
            found[row["pair_id"], row["rev"]] = spans
    return found


def read_results(folder: Path) -> list[pl.DataFrame]:
    """The result chunks of a finished scan job."""
    return [pl.read_parquet(path) for path in sorted((folder / "out").glob("*.parquet"))]
