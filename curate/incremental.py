"""Near-duplicates as records come and change: new and edited revisions are checked without asking for a run.

Covers: the index over a task's current revisions, what was not checked yet, checking it, the thread that does so
behind a server. Does not cover: how groups are formed and taken in (`curate.clusters`), the index itself
(`curate.dedupe`), nor deciding a group.

A revision is checked when it is first written (the scan of an import) and after each save. The index proposes
neighbours by prompt; these, with the members of their open groups, are then grouped exactly as a whole run
would group them. ``meta`` keeps, per task, the time of the last revision that was checked, so that a check lost
with its process is made up for by the next. The index lives in memory and is built when first needed; an entry
is replaced when its pair has another revision, and all are when the task's settings change.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from curate import clusters
from curate.contract import canonical_json
from curate.store import Store, Tx
from curate.tasks import find_pack, load_pack
from curate.texts import occurrences

if TYPE_CHECKING:
    from curate.dedupe import DuplicateIndex
    from curate.workspace import Workspace

AT_ONCE = 500  # more unchecked pairs than this are grouped in one run over all, which is cheaper by then
IN_PLAY = ("held", "ready", "returned", "approved")
_EPOCH = datetime(1970, 1, 1)


class _Index:
    """The index of one task: prompts (with the turns before them) of every current revision."""

    def __init__(self, options: dict[str, Any]) -> None:
        from curate.dedupe import DuplicateIndex

        self.options = canonical_json(options)
        self.texts: DuplicateIndex = DuplicateIndex(**options)
        self.upto = _EPOCH

    def refresh(self, store: Store, task: str) -> None:
        """Take in every revision written since the last time."""
        fresh = store.rows(
            "SELECT s.pair_id, r.ts FROM pair_state s JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev"
            " WHERE s.task = ? AND r.ts > ?",
            [task, self.upto],
        )
        if not fresh:
            return
        ids = None if self.upto == _EPOCH else [row["pair_id"] for row in fresh]
        frame = clusters.export_for_dedupe(store, task, ids, in_play=False)
        self.texts.add_many(frame["prompt"], frame["pair_id"].to_list(), mask=_masks(frame))
        self.upto = max(row["ts"] for row in fresh)


class Watch:
    """The indices of one open store, and the thread that checks in the background once `start` was called."""

    def __init__(self) -> None:
        self._indices: dict[str, _Index] = {}
        self._checking = threading.Lock()
        self._waiting: set[str] = set()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @classmethod
    def of(cls, store: Store) -> Watch:
        """The one of this store."""
        watch: Watch = store.services.setdefault("duplicates", cls())
        return watch

    def check(self, store: Store, workspace: Workspace, task: str) -> dict[str, int]:
        """Check every revision of the task that was not; returns how many pairs, and groups they are in."""
        options = load_pack(find_pack(task, workspace.tasks)).dedupe
        with self._checking:
            pairs, upto = unchecked(store, task)
            if upto is None:
                return {"checked": 0, "groups": 0}
            near = self._near(store, task, pairs, options) if 0 < len(pairs) <= AT_ONCE else None
            if pairs and (near is None or len(near) > 1):
                frame = clusters.group(clusters.export_for_dedupe(store, task, near), options)
            else:
                frame = pl.DataFrame(schema=clusters.RESULT_SCHEMA)

            def write(tx: Tx) -> None:
                if pairs:
                    clusters.ingest_groups(tx, task, f"check-{upto.isoformat()}", frame, near)
                mark_checked(tx, task, upto)

            store.write(write)
            mine = frame.filter(pl.col("pair_id").is_in(pairs))
            return {"checked": len(pairs), "groups": mine["cluster_id"].n_unique()}

    def _near(self, store: Store, task: str, pairs: Sequence[str], options: dict[str, Any]) -> list[str]:
        """The pairs, what the index has near them, and the other members of their open groups."""
        index = self._indices.get(task)
        if index is None or index.options != canonical_json(options):
            index = self._indices[task] = _Index(options)
        index.refresh(store, task)
        frame = clusters.export_for_dedupe(store, task, pairs)
        found = set(pairs)
        for pair, prompt, mask in zip(frame["pair_id"], frame["prompt"], _masks(frame), strict=True):
            found |= {str(match.id) for match in index.texts.query(prompt, mask=mask, exclude=pair)}
        rows = store.rows(
            "SELECT DISTINCT b.pair_id FROM cluster_members a JOIN clusters c USING (cluster_id)"
            " JOIN cluster_members b ON b.cluster_id = a.cluster_id"
            " WHERE c.status = 'open' AND c.task = ? AND a.pair_id IN (SELECT unnest(?::VARCHAR[]))",
            [task, sorted(found)],
        )
        return sorted(found | {row["pair_id"] for row in rows})

    # --- behind a server ------------------------------------------------------------------------------------

    def start(self, store: Store, workspace: Workspace) -> None:
        """Check in a thread of its own from now on; what was left unchecked comes first."""
        tasks = store.rows("SELECT DISTINCT task FROM pair_state WHERE task IS NOT NULL")
        self._waiting |= {row["task"] for row in tasks}
        self._thread = threading.Thread(
            target=self._serve, args=(store, workspace), name="duplicates", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the check it is at."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def soon(self, task: str) -> bool:
        """Have a task checked by the thread; False when there is none."""
        if self._thread is None or self._stopped:
            return False
        with self._wake:
            self._waiting.add(task)
            self._wake.notify()
        return True

    def _serve(self, store: Store, workspace: Workspace) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopped:
                    self._wake.wait()
                if self._stopped:
                    return
                task = self._waiting.pop()
            try:
                self.check(store, workspace, task)
            except (
                Exception
            ):  # the thread outlives one bad task; the pairs stay unchecked and are found again
                if not self._stopped:
                    traceback.print_exc(file=sys.stderr)


def unchecked(store: Store, task: str) -> tuple[list[str], datetime | None]:
    """Pairs in play whose current revision was never compared, and the time of the newest revision among all
    that were not; None when there is nothing to check."""
    said = store.meta(f"deduped:{task}")
    rows = store.rows(
        "SELECT s.pair_id, s.status, r.ts FROM pair_state s JOIN revisions r ON r.pair_id = s.pair_id"
        " AND r.rev = s.rev WHERE s.task = ? AND r.ts > ? ORDER BY s.pair_id",
        [task, datetime.fromisoformat(said) if said else _EPOCH],
    )
    # Commits are in the order of their times (one writer), so nothing older can still come.
    upto = max((row["ts"] for row in rows), default=None)
    return [row["pair_id"] for row in rows if row["status"] in IN_PLAY], upto


def mark_checked(tx: Tx, task: str, upto: datetime) -> None:
    """Remember that every revision written up to this time was compared."""
    row = tx.one("SELECT value FROM meta WHERE key = ?", [f"deduped:{task}"])
    if row is None or datetime.fromisoformat(row["value"]) < upto:
        tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [f"deduped:{task}", upto.isoformat()])


def saved(store: Store, workspace: Workspace, pair_id: str) -> None:
    """A new revision of this pair was written: check it, in the background where a server runs."""
    row = store.one("SELECT task FROM pairs WHERE pair_id = ?", [pair_id])
    if row is not None and not Watch.of(store).soon(row["task"]):
        Watch.of(store).check(store, workspace, row["task"])


def _masks(frame: pl.DataFrame) -> list[list[tuple[int, int]]]:
    return [
        occurrences(text, json.loads(known))
        for text, known in zip(frame["prompt"], frame["masked"], strict=True)
    ]
