"""Records: from anybody's files to raw records, one row or one reason for each line.

Here live reading (`read`: every format and shape of the field, streamed) and importing (`import_file`: into
the store, idempotent, with quarantine). Not here: detecting personal data, duplicates, review.
Public names: `read`, `Row`, `Bad`, `REASONS`, `import_file`, `ImportResult`, `detect_format`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.records.files import FORMATS, detect_format
from curate.records.files import rows as _file_rows
from curate.records.folders import folder_rows as _folder_rows
from curate.records.rows import REASONS, Bad, Row
from curate.records.shapes import check_mapping

__all__ = ["FORMATS", "REASONS", "Bad", "Row", "detect_format", "read"]


def read(
    path: str | Path, *, mapping: Mapping[str, str] | None = None, format: str | None = None
) -> Iterator[Row | Bad]:
    """Stream the rows of a file or folder; a `Bad` for each line that cannot be used.

    ``mapping`` names columns: ``{"prompt": "col", "completion": "col2", "metadata.x": "col3"}``, also
    ``system``, ``history``, ``source``, ``external_id``; ``a.b.0`` reaches into nested values; for a folder, two patterns
    with ``*``. ``format`` overrides what the name and the first bytes say. Memory stays bounded by one row
    (at most 32 MiB) and a buffer, whatever the size of the file.

    Raises `UsageError` for a mapping that cannot work and for a file that is damaged as a whole, `NotFound`.
    """
    path = Path(path)
    kind = format or detect_format(path)
    patterns = mapping is not None and any("*" in str(value) for value in mapping.values())
    if mapping is not None and not (kind == "folder" and patterns):
        check_mapping(mapping)
    if kind == "folder":
        yield from _folder_rows(path, mapping)
    else:
        yield from _file_rows(path, path.name, kind, mapping)
