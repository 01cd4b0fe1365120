"""Every verb as one operation: a checked request, a permission, a function on the store.

Here live the table (`table`) that the command line, the REST routes and the pages share, and the operations by room:
`curation` (records and pairs), `privacy` (findings, lists), `facts` (what expires), `team` (people compared, bulk),
`suggest` (models that help), `proof` (snapshots, training, release), `models` (finished versions), `packs` (task
packs), `admin` (the workspace). The rules live in the room that owns them; long work becomes a job (`curate.jobs`,
`curate.jobkinds`) whose id the operation returns; nothing of either is here. Public names: `Context`, `OPERATIONS`,
`Operation`, `run`; and `pack_of`, `run_folder`, `snapshot_folder`.
"""

from curate.ops import (  # noqa: F401  (they register)
    admin,
    curation,
    facts,
    models,
    packs,
    privacy,
    proof,
    suggest,
    team,
)
from curate.ops.proof import run_folder, snapshot_folder
from curate.ops.table import OPERATIONS, Context, Operation, pack_of, run

__all__ = ["OPERATIONS", "Context", "Operation", "pack_of", "run", "run_folder", "snapshot_folder"]
