"""Findings remembered by content. Covers: a folder of small files keyed by content hash and detector version, so that
a rescan after few edits reads instead of searching: raw findings of a text, and the findings of a whole record, which
depend on all its texts together. Does not cover: eviction (the folder is a cache; delete it).

A cached finding holds offsets and types, never text. The key is a salted hash: the folder's own random salt keeps
its file names from being compared with hashes of guessed texts elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.privacy.findings import Finding

Rows = list[Any]  # of a text: a list a finding; of a record: such a list a field


class ScanCache:
    """``ScanCache(folder)``; one append-only file a detector version, safe for several processes at once."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt = self.folder / "salt"
        if not salt.exists():
            fresh = self.folder / f".salt.{os.getpid()}"
            fresh.write_bytes(secrets.token_bytes(16))
            try:
                os.link(fresh, salt)  # only one process wins
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        self.salt = salt.read_bytes()
        self._known: dict[str, dict[str, Rows]] = {}

    def key(self, text: str) -> str:
        """Keyed hash of one text, 32 hex digits."""
        return hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=self.salt, digest_size=16
        ).hexdigest()

    def _record_key(self, record: Mapping[str, str]) -> str:
        state = hashlib.blake2b(key=self.salt, digest_size=16, person=b"record")
        for part in (part for field in record.items() for part in field):
            seen = part.encode("utf-8", "surrogatepass")
            state.update(b"%d " % len(seen) + seen)  # its length first: no two records run together
        return state.hexdigest()

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.jsonl"

    def _load(self, version: str) -> dict[str, Rows]:
        if version not in self._known:
            entries: dict[str, Rows] = {}
            path = self._path(version)
            if path.is_file():
                for line in path.read_text(encoding="utf-8").splitlines():
                    try:
                        key, rows = json.loads(line)
                        entries[key] = rows
                    except ValueError:
                        continue  # a line cut short by a crash is scanned again
            self._known[version] = entries
        return self._known[version]

    def get(self, version: str, text: str) -> list[Finding] | None:
        """Raw findings of a text under a detector version, None when it is new."""
        rows = self._load(version).get(self.key(text))
        return None if rows is None else _findings(rows)

    def get_record(self, version: str, record: Mapping[str, str]) -> dict[str, list[Finding]] | None:
        """Findings per field of a record with just these fields in this order, None when it is new."""
        rows = self._load(version).get(self._record_key(record))
        if rows is None:
            return None
        return {name: _findings(own) for name, own in zip(record, rows, strict=True)}

    def put(self, version: str, items: Iterable[tuple[str, Sequence[Finding]]]) -> None:
        """Remember raw findings of texts under a detector version."""
        self._append(version, ((self.key(text), _rows(findings)) for text, findings in items))

    def put_records(
        self, version: str, items: Iterable[tuple[Mapping[str, str], Mapping[str, Sequence[Finding]]]]
    ) -> None:
        """Remember the findings of whole records, per field."""
        self._append(
            version,
            ((self._record_key(record), [_rows(found[n]) for n in record]) for record, found in items),
        )

    def _append(self, version: str, items: Iterable[tuple[str, Any]]) -> None:
        known = self._load(version)
        lines = []
        for key, rows in items:
            known[key] = rows
            lines.append(json.dumps([key, rows]) + "\n")
        if lines:
            with self._path(version).open("a", encoding="utf-8") as handle:
                handle.write("".join(lines))


def _rows(findings: Iterable[Finding]) -> Rows:
    return [[f.start, f.end, f.entity_type, f.score, f.recognizer, f.reason] for f in findings]


def _findings(rows: Rows) -> list[Finding]:
    return [Finding(*row) for row in rows]
