"""What the tests of reading share: a file written, read whole, and what became of each of its lines."""

from __future__ import annotations

from pathlib import Path

from curate.records import Bad, Row, read

GOOD = '{"prompt": "p", "completion": "c"}'
USER, BOT = {"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}


def lines(tmp_path: Path, *texts: str | bytes, name: str = "rows.jsonl") -> list[Row | Bad]:
    path = tmp_path / name
    path.write_bytes(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts))
    return list(read(path))


def reasons(found: list[Row | Bad]) -> list[str]:
    return ["row" if isinstance(item, Row) else item.reason for item in found]
