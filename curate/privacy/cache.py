"""Findings remembered by content. Covers: a folder of small files keyed by text hash and detector version, so that
a rescan after few edits reads instead of searching. Does not cover: eviction (the folder is a cache; delete it).

A cached finding holds offsets and types, never text. The key is a salted hash: the folder's own random salt keeps
its file names from being compared with hashes of guessed texts elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path

from curate.privacy.findings import Finding


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
        self._known: dict[str, dict[str, list[list[object]]]] = {}

    def key(self, text: str) -> str:
        return hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=self.salt, digest_size=16
        ).hexdigest()

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.jsonl"

    def _load(self, version: str) -> dict[str, list[list[object]]]:
        if version not in self._known:
            entries: dict[str, list[list[object]]] = {}
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
        rows = self._load(version).get(self.key(text))
        return None if rows is None else [Finding(*row) for row in rows]  # type: ignore[arg-type]

    def put(self, version: str, items: list[tuple[str, list[Finding]]]) -> None:
        """Remember findings of texts under a detector version."""
        known = self._load(version)
        lines = []
        for text, findings in items:
            rows: list[list[object]] = [
                [f.start, f.end, f.entity_type, f.score, f.recognizer, f.reason] for f in findings
            ]
            key = self.key(text)
            known[key] = rows
            lines.append(json.dumps([key, rows]) + "\n")
        if lines:
            with self._path(version).open("a", encoding="utf-8") as handle:
                handle.write("".join(lines))
