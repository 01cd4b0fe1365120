"""Scanning a table. Covers: a pure function from a batch of records to findings and replaced texts, for job workers
that have no store and for cluster frames. Does not cover: chunking, progress, retries (the job runner).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from curate.privacy.cache import ScanCache
from curate.privacy.detector import Detector
from curate.privacy.replace import pseudonymize, strangers

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA: dict[str, pl.DataType] = {
    "record_id": pl.String(),
    "field": pl.String(),
    "replaced": pl.String(),  # the field's text with surrogates; null when the record is held back
    "findings": pl.String(),  # JSON list of findings in the original text, offsets in code points
    "mapping": pl.String(),  # JSON list as `pseudonymize` returns it, this field's rows
    "open": pl.Int32(),  # findings a person has to decide about
    "residual": pl.String(),  # JSON list of findings that a scan of the replaced text still has
    "detector_version": pl.String(),
    "error": pl.String(),  # why the record is held back; null when it is not
}


def scan_batch(
    table: pa.Table | pl.DataFrame, *, detector: Detector, key: bytes, cache: ScanCache | None = None
) -> pl.DataFrame:
    """Scan and replace a batch. ``table``: column ``record_id`` and one text column a field (null: no such field).

    Returns one row a record and field, columns `SCHEMA`, in input order. A record on which a recognizer fails has
    ``error`` set and no replaced text; the others are not affected. Raises ``ValueError`` without ``record_id``.
    """
    frame = table if isinstance(table, pl.DataFrame) else pl.DataFrame(pl.from_arrow(table))
    if "record_id" not in frame.columns:
        raise ValueError("scan_batch needs a column record_id; the other columns are the fields")
    names = [column for column in frame.columns if column != "record_id"]
    ids: list[str] = []
    records: list[dict[str, str]] = []
    for row in frame.iter_rows(named=True):
        ids.append(str(row["record_id"]))
        records.append({name: str(row[name]) for name in names if row[name] is not None})
    version = detector.version
    scans = detector.scan_records(records, cache=cache)
    replaced = [
        pseudonymize(record, scan.findings, key, record_id=rid, policy=detector.policy)
        if not scan.error
        else None
        for rid, record, scan in zip(ids, records, scans, strict=True)
    ]
    again = detector.scan_records([item[0] if item else {} for item in replaced], cache=cache)
    rows = []
    for rid, record, scan, item, second in zip(ids, records, scans, replaced, again, strict=True):
        error = scan.error or second.error
        left = (
            strangers(item[0], second.findings, item[1], detector.policy) if item and not second.error else {}
        )
        for name in record:
            found = scan.findings.get(name, [])
            rows.append(
                {
                    "record_id": rid,
                    "field": name,
                    "replaced": item[0][name] if item and not error else None,
                    "findings": json.dumps([_row(f) for f in found]),
                    "mapping": json.dumps([m for m in item[1] if m["field"] == name] if item else []),
                    "open": sum(detector.policy.is_open(f.entity_type, f.score) for f in found),
                    "residual": json.dumps([_row(f) for f in left.get(name, [])]),
                    "detector_version": version,
                    "error": error,
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def _row(finding: object) -> dict[str, object]:
    return {name: getattr(finding, name) for name in finding.__slots__}  # type: ignore[attr-defined]
