"""The loss of every pair, on its way back from training to the people who look after the pairs.

Covers: reading what the newest version of a task says about each pair before and after it was learned. Does not cover:
computing losses (`train.run`) nor judging: a pair that stays surprising after training is often mislabelled, sometimes
only rare, so it is an order to look in and never a filter.

Losses stay in the files of the version, which its record accounts for; nothing of them is copied into the store.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import polars as pl

from curate import contract
from curate.store import Store
from curate.workspace import Workspace

LOSSES = "pair_loss.parquet"
SCHEMA: dict[str, pl.DataType] = {
    "pair_id": pl.String(),
    "rev": pl.Int32(),
    "before": pl.Float64(),
    "after": pl.Float64(),
    "model": pl.String(),
}


def newest(store: Store, workspace: Workspace, task: str) -> pl.DataFrame:
    """Columns SCHEMA: mean loss in nats per token of each pair, in the revision that was learned.

    From the newest version of the task that has losses and whose snapshot is here, which says the revisions; empty
    without one.
    """
    rows = store.rows(
        "SELECT m.path, m.name, s.folder FROM models m JOIN snapshots s USING (snapshot_id) WHERE m.task = ?"
        " ORDER BY m.created_ts DESC",
        [task],
    )
    for row in rows:
        path = workspace.models / row["path"] / LOSSES
        folder = workspace.snapshots / row["folder"]
        if path.is_file() and (folder / "manifest.json").is_file():
            return _read(path, folder, path.stat().st_mtime_ns, row["name"])
    return pl.DataFrame(schema=SCHEMA)


@lru_cache(maxsize=4)
def _read(path: Path, snapshot: Path, _changed: int, model: str) -> pl.DataFrame:
    learned = contract.load_rows(snapshot, "train").select("pair_id", rev="revision")
    losses = pl.read_parquet(path, columns=["pair_id", "before", "after"])
    return (
        losses.join(learned, on="pair_id")
        .with_columns(model=pl.lit(model))
        .select(*SCHEMA)
        .cast(pl.Schema(SCHEMA))
    )
