"""Import: a file or a path, how its columns map, a dry run before anything changes, and what was refused.

Covers: uploading, mapping, preview, the quarantine. Does not cover: reading formats (`curate.records`).
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from curate import api, ops
from curate.errors import GoldpairError, UsageError
from curate.views import parts

ENDINGS = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "txt", "docx", "gz"]


def render() -> None:
    parts.header(
        "Import",
        "Records come in as they are and stay untouched; rows that cannot be used go to quarantine with their reason.",
    )
    if parts.allowed("import"):
        _form()
    else:
        parts.notice("", "Your role may look, not import. A lead can.")
    st.header("Quarantine", anchor=False)
    _quarantine()


def _form() -> None:
    local = parts.context().local
    ways = ["Upload a file", "A path on this machine"] if local else ["Upload a file"]
    with st.container(border=True):
        way = st.segmented_control("Where from", ways, default=ways[0], required=True) if local else ways[0]
        upload, path = None, ""
        if way == ways[0]:
            upload = st.file_uploader("JSONL, JSON, CSV, TSV, Parquet, TXT or DOCX", type=ENDINGS)
        else:
            path = st.text_input("File or folder", placeholder="/data/visits.csv", autocomplete="off")
        with st.expander("Columns, licence, consent"):
            st.markdown(
                "Known shapes are recognised by themselves. Name columns only where the file calls them otherwise."
            )
            one, two, three = st.columns(3)
            mapping = {
                "prompt": one.text_input("Column of the prompt", autocomplete="off"),
                "completion": two.text_input("Column of the completion", autocomplete="off"),
                "source": three.text_input("Column of the source", autocomplete="off"),
                "id": one.text_input("Column of the id", autocomplete="off"),
                "system": two.text_input("Column of the system message", autocomplete="off"),
            }
            licence = three.text_input("Licence of the records", placeholder="CC-BY-4.0", autocomplete="off")
            consent = one.text_input("Note on consent or contract", autocomplete="off")
        fields: dict[str, Any] = {
            "task": parts.task(),
            "mapping": {k: v.strip() for k, v in mapping.items() if v.strip()} or None,
            "licence": licence.strip() or None,
            "consent": consent.strip() or None,
        }
        ready = upload is not None or bool(path.strip())
        left, right, _ = st.columns([1, 1, 3])
        preview = left.button(
            "Dry run", disabled=not ready, width="stretch", help="Shows what would happen; changes nothing."
        )
        go = right.button("Import", type="primary", disabled=not ready, width="stretch")
    if preview or go:
        _run(upload, path.strip(), {**fields, "dry_run": preview})


def _run(upload: Any, path: str, fields: dict[str, Any]) -> None:
    bar = st.progress(0.0, "Reading")

    def progress(state: dict[str, Any]) -> None:
        done, total = state.get("done") or 0, state.get("total") or 0
        bar.progress(min(1.0, done / total) if total else 0.0, f"{done:,} rows read")

    try:
        context = parts.context(progress)
        if upload is not None:
            upload.seek(0)
            result = api.import_upload(context, upload.name, upload, fields)
        elif path:
            result = ops.run(context, "import", {**fields, "path": path})
        else:
            raise UsageError("Choose a file first.")
    except GoldpairError as error:
        bar.empty()
        parts.problem(error)
        return
    bar.empty()
    _result(result, fields["dry_run"])


def _result(result: dict[str, Any], dry_run: bool) -> None:
    reasons = [
        f"{parts.readable(reason)}: {count:,}"
        for reason, count in sorted(result["by_reason"].items(), key=lambda r: -r[1])
    ]
    head = "Dry run, nothing was changed." if dry_run else "Imported."
    would = "would be imported" if dry_run else "imported"
    parts.notice(
        "good" if not result["quarantined"] else "",
        f"{head} {result['rows']:,} rows: {result['imported']:,} {would}, {result['already_there']:,} already there, "
        f"{result['quarantined']:,} in quarantine."
        + (" Next: scan them on the Privacy page." if result["imported"] and not dry_run else ""),
        reasons,
    )
    if result.get("preview"):
        st.header("The first rows, as they are understood", anchor=False)
        rows = [
            {k: str(v)[:300] for k, v in row.items() if v not in (None, "", [], {})}
            for row in result["preview"][:5]
        ]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        parts.table(rows, {key: parts.readable(key) for key in columns})


def _quarantine() -> None:
    size = 25
    page = st.session_state.get("quarantine_page", 1)
    found = parts.ask("quarantine.list", task=parts.task(), limit=size + 1, offset=(page - 1) * size)
    if found is None:
        return
    rows = found["rows"]
    if not rows and page == 1:
        parts.empty(
            "Nothing is in quarantine",
            "Rows that cannot be read or used would stand here with file, line and reason.",
        )
        return
    shown = [{**row, "reason": parts.readable(row["reason"])} for row in rows[:size]]
    parts.table(
        shown,
        {"file": "File", "line": "Line", "reason": "Reason", "detail": "What is wrong"},
        numeric=["line"],
    )
    parts.pager("quarantine_page", more=len(rows) > size)
