"""Privacy in the store: what a scan found, what replaced it, and what waits for a person.

Covers: exporting pairs for the scan job, taking its results in (revision 1 is the anonymized text), scanning
an edited revision, deciding open findings.
Does not cover: detection and surrogates (`curate.privacy`, which knows no store); approval (`curate.review`).

The original text stays in ``record_text`` alone. A finding is a span of the current revision that looks
personal and is not one of our own surrogates; while one is open, the pair is held.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate import groups, rules, users
from curate.contract import canonical_json, sha256_hex
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.tasks import find_pack, load_pack
from curate.workspace import Workspace

if TYPE_CHECKING:
    from curate.privacy import Detector, ScanCache

TEXT_COLUMNS = ("system", "history", "prompt", "completion", "metadata")

EXPORT_SCHEMA: dict[str, Any] = {
    "pair_id": pl.String,
    "rev": pl.Int32,  # 0: the record as imported
    "last_detector": pl.String,
    "known": pl.String,  # JSON list: our own surrogates in this pair, and what people called not personal
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
    **dict.fromkeys(TEXT_COLUMNS, pl.String),
}


# --- texts as named fields ----------------------------------------------------------------------------------


def fields_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Every text of a pair by name: ``prompt``, ``completion``, ``system``, ``history.0``, ``metadata.key``.

    Empty texts are left out. Numbers in metadata hold no text; nested values are scanned in their JSON form.
    """
    fields = {name: row[name] for name in ("system", "prompt", "completion") if row[name]}
    for number, turn in enumerate(json.loads(row["history"] or "[]")):
        if turn["content"]:
            fields[f"history.{number}"] = turn["content"]
    for key, value in json.loads(row["metadata"] or "{}").items():
        if isinstance(value, str) and value:
            fields[f"metadata.{key}"] = value
        elif isinstance(value, list | dict) and value:
            fields[f"metadata.{key}"] = json.dumps(value, ensure_ascii=False)
    return fields


def with_fields(row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """The row's text columns with the given field texts put in. A changed nested value stays JSON text."""
    history = json.loads(row["history"] or "[]")
    metadata = json.loads(row["metadata"] or "{}")
    for number, turn in enumerate(history):
        turn["content"] = fields.get(f"history.{number}", turn["content"])
    for key, value in metadata.items():
        text = fields.get(f"metadata.{key}")
        if text is not None and (isinstance(value, str) or text != json.dumps(value, ensure_ascii=False)):
            metadata[key] = text
    return {
        "system": fields.get("system", row["system"] or ""),
        "history": canonical_json(history).decode(),
        "prompt": fields.get("prompt", row["prompt"] or ""),
        "completion": fields.get("completion", row["completion"] or ""),
        "metadata": canonical_json(metadata).decode(),
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


def _export(store: Store, sql: str, params: Sequence[Any]) -> pl.DataFrame:
    """Rows of a query with the strings that a scan of them must not report again, columns EXPORT_SCHEMA."""
    frame = store.frame(sql, params)
    known = known_strings(store, frame["pair_id"].to_list())
    lists = [json.dumps(known.get(pair, []), ensure_ascii=False) for pair in frame["pair_id"]]
    return (
        frame.with_columns(pl.Series("known", lists, dtype=pl.String))
        .select(list(EXPORT_SCHEMA))
        .cast(pl.Schema(EXPORT_SCHEMA))
    )


def known_strings(store: Store, pair_ids: Sequence[str]) -> dict[str, list[str]]:
    """Pair id -> our own surrogates in it, and what a person has called not personal."""
    ids = [list(pair_ids)]
    found: dict[str, set[str]] = {}
    for row in store.rows(
        "SELECT pair_id, surrogate FROM surrogates WHERE pair_id IN (SELECT unnest(?::VARCHAR[]))", ids
    ):
        found.setdefault(row["pair_id"], set()).add(row["surrogate"])
    rejected = store.rows(
        "SELECT f.pair_id, f.field, f.start, f.stop, t.system, t.history, t.prompt, t.completion, t.metadata"
        " FROM findings f JOIN revision_text t ON t.pair_id = f.pair_id AND t.rev = f.rev"
        " WHERE f.status = 'rejected' AND f.pair_id IN (SELECT unnest(?::VARCHAR[]))",
        ids,
    )
    for row in rejected:
        text = fields_of(row).get(row["field"], "")
        found.setdefault(row["pair_id"], set()).add(text[row["start"] : row["stop"]])
    return {pair: sorted(strings) for pair, strings in found.items()}


def export_for_scan(store: Store, task: str) -> pl.DataFrame:
    """Everything a scan has to look at, columns EXPORT_SCHEMA: raw records, and current revisions."""
    which = "task = ? AND status NOT IN ('raw', 'duplicate', 'rejected', 'erased')"
    return pl.concat(
        [_export(store, _RECORDS, [task]), _export(store, _REVISIONS.replace("{which}", which), [task])]
    )


def export_approved(store: Store, task: str) -> pl.DataFrame:
    """Current revisions of approved pairs, columns EXPORT_SCHEMA: what freezing scans again."""
    return _export(store, _REVISIONS.replace("{which}", "task = ? AND status = 'approved'"), [task])


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
        try:
            if row["rev"] == 0:
                found = detector.scan_record(fields, cache=cache)
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
            spans = open_spans(detector, fields, known, cache)
            result["findings"] = json.dumps(spans, ensure_ascii=False)
        except ScanFailed as error:
            result["problem"] = str(error)
    return pl.DataFrame(out, schema=RESULT_SCHEMA)


def open_spans(
    detector: Detector, fields: Mapping[str, str], known: Sequence[str], cache: ScanCache | None = None
) -> list[dict[str, Any]]:
    """What still looks personal and lies in no known string (a surrogate, or called not personal)."""
    spans = []
    for name, found in detector.scan_record(fields, cache=cache).items():
        text = fields[name]
        covered = occurrences(text, known)
        for finding in found:
            if detector.policy.action(finding.entity_type) == "keep":
                continue
            if not any(start <= finding.start and finding.end <= stop for start, stop in covered):
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


def occurrences(text: str, strings: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the given strings in a text, case ignored; neighbours with only blanks between are joined."""
    folded = text.lower() if len(text.lower()) == len(text) else text
    places: list[tuple[int, int]] = []
    for string in {s for s in strings if s}:
        needle, at = string.lower() if folded is not text else string, 0
        while (at := folded.find(needle, at)) >= 0:
            places.append((at, at + len(needle)))
            at += 1
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(places):
        if joined and (start <= joined[-1][1] or not text[joined[-1][1] : start].strip(" ,.'-")):
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def ingest_scan(tx: Tx, task: str, frame: pl.DataFrame, guideline_version: str) -> None:
    """Take one chunk of scan results in: revision 1 for records, findings, surrogates, holds. Idempotent."""
    if frame.is_empty():
        return
    now = utcnow()
    rows = frame.to_dicts()
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
                "finding_id": _finding_id(pair_id, rev, span),
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
    rules.settle(tx, "system", [s["pair_id"] for s in scans], kind="scanned")


def _finding_id(pair_id: str, rev: int, span: Mapping[str, Any]) -> str:
    return (
        "f-"
        + sha256_hex(
            canonical_json([pair_id, rev, span["field"], span["start"], span["stop"], span["entity_type"]])
        )[:16]
    )


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
    frame = _export(store, _REVISIONS.replace("{which}", "pair_id = ?"), [pair_id])
    if frame.is_empty() or frame["rev"][0] != rev:
        raise NotFound(f"Pair {pair_id} has no current revision {rev}.")
    task = (store.one("SELECT task FROM pairs WHERE pair_id = ?", [pair_id]) or {})["task"]
    result = scan_chunk(
        frame, detector_for(workspace, task), workspace.key, again=True, cache=scans_of(workspace)
    )
    store.write(lambda tx: ingest_scan(tx, task, result, ""))
    return len(json.loads(result["findings"][0]))


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
    """Findings in current revisions with their text and field text, for people to decide."""
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
    return rows


def decide_finding(
    store: Store, actor: users.Actor, workspace: Workspace, finding_id: str, decision: str
) -> dict[str, Any]:
    """Confirm an open finding (a new revision carries a surrogate) or reject it (the text stays).

    Raises `NotFound`, and `UsageError` when the finding is not open any more.
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
    pair_id, rev = row["pair_id"], row["rev"]
    if decision == "reject":

        def reject(tx: Tx) -> None:
            tx.execute(
                "UPDATE findings SET status = 'rejected', decided_by = ? WHERE finding_id = ?",
                [actor.user, finding_id],
            )
            tx.event("finding_rejected", actor.user, pair_id=pair_id, rev=rev, finding=finding_id)
            rules.settle(tx, actor.user, [pair_id])

        store.write(reject)
        return {"finding_id": finding_id, "status": "rejected", "pair_id": pair_id, "rev": rev}
    return {
        "finding_id": finding_id,
        "status": "replaced",
        "pair_id": pair_id,
        "rev": _replace(store, actor, workspace, row),
    }


def _replace(store: Store, actor: users.Actor, workspace: Workspace, row: Mapping[str, Any]) -> int:
    """Write a revision in which the found span is a surrogate, and scan it. Returns its number."""
    from curate.privacy import Finding, pseudonymize

    pair_id, rev = row["pair_id"], row["rev"]
    text = store.one(
        "SELECT t.*, r.guideline_version FROM revision_text t JOIN revisions r USING (pair_id, rev)"
        " WHERE pair_id = ? AND rev = ?",
        [pair_id, rev],
    )
    if text is None:
        raise NotFound(f"Revision {rev} of pair {pair_id} has no text any more.")
    span = Finding(row["start"], row["stop"], row["entity_type"], row["score"], row["recognizer"])
    policy = detector_for(workspace, row["task"]).policy
    fields, mapping = pseudonymize(
        fields_of(text), {row["field"]: [span]}, workspace.key, record_id=pair_id, policy=policy
    )
    if not mapping:  # the pack changed since the scan
        raise UsageError(
            f"The privacy policy of {row['task']} keeps {row['entity_type']}. Reject the finding, or edit the text."
        )
    texts = with_fields(text, fields)

    def write(tx: Tx) -> int:
        current = tx.one("SELECT rev FROM pair_state WHERE pair_id = ?", [pair_id])
        if current is None or current["rev"] != rev:
            raise UsageError(f"Pair {pair_id} has a newer revision. Look at it again.")
        made = rules.add_revisions(
            tx,
            "intake",
            [rules.decoded({"pair_id": pair_id, **texts})],
            kind="anonymized",
            guideline_version=text["guideline_version"],
        )[0]
        tx.insert(
            "surrogates",
            pl.DataFrame(
                [
                    {
                        "pair_id": pair_id,
                        "rev": made["rev"],
                        "field": m["field"],
                        "start": m["surrogate_start"],
                        "stop": m["surrogate_end"],
                        "entity_type": m["entity_type"],
                        "surrogate": m["surrogate"],
                    }
                    for m in mapping
                ]
            ),
        )
        tx.execute(
            "UPDATE findings SET status = 'replaced', decided_by = ? WHERE finding_id = ?",
            [actor.user, row["finding_id"]],
        )
        tx.event("finding_replaced", actor.user, pair_id=pair_id, rev=made["rev"], finding=row["finding_id"])
        return int(made["rev"])

    new = store.write(write)
    rescan(store, workspace, pair_id, new)
    return new


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
