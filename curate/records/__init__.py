"""Records: from anybody's files to raw records, one row or one reason for each line.

Here live reading (`read`: every format and shape of the field, streamed) and importing (`import_file`: into
the store, idempotent, with quarantine). Not here: detecting personal data, duplicates, review.
Public names: `read`, `Row`, `Bad`, `REASONS`, `FORMATS`, `detect_format`, `import_file`, `ImportResult`,
`pair_id_of`.
"""

from curate.records.files import FORMATS, detect_format
from curate.records.importing import ImportResult, import_file, pair_id_of, read
from curate.records.rows import REASONS, Bad, Row

__all__ = [
    "FORMATS",
    "REASONS",
    "Bad",
    "ImportResult",
    "Row",
    "detect_format",
    "import_file",
    "pair_id_of",
    "read",
]
