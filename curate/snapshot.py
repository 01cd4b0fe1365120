"""Freezing: one task's approved pairs become a folder that is whole, or is not there at all.

Covers: which pairs go in and why each other one does not, the re-scan, the split by source, writing the
folder atomically, comparing two snapshots. Does not cover: reading and verifying (`curate.contract`), other
tools' formats (`curate.export`), whether the rows are fit for training (preflight).
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import psutil

from curate import contract, groups
from curate.contract import ROW_SCHEMA, SPLITS, Manifest, canonical_json, pair_sha256, sha256_hex
from curate.errors import RefusedError
from curate.export import FORMATS, export
from curate.labels import STANDING_LABELS
from curate.review import guideline_version
from curate.rules import settle
from curate.store import Store, Tx, utcnow
from curate.tasks import TaskPack
from curate.users import Actor, require
from curate.workspace import Workspace

__all__ = ["FORMATS", "Rescan", "approved_rows", "create", "diff", "export"]

# Texts of approved revisions -> what a scan finds in each. A pair it leaves out counts as not scanned.
Rescan = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Sequence[Mapping[str, Any]]]]
EXCLUDED_SCHEMA: dict[str, Any] = {"pair_id": pl.String, "reason": pl.String, "detail": pl.String}
_TEMPORARY = ".freezing-"

_APPROVED = """
SELECT s.pair_id, s.rev AS revision, a.sha256, p.source, t.system, t.history, t.prompt, t.completion,
r.author,
       a.approver, a.guideline_version, t.metadata, e.licence, r.sha256 AS revision_sha256
FROM pair_state s
JOIN pairs p ON p.pair_id = s.pair_id
JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev
JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev
JOIN approvals a ON a.pair_id = s.pair_id AND a.rev = s.rev AND a.voided IS NULL
LEFT JOIN records e ON e.record_id = p.record_id
WHERE s.task = ? AND s.status = 'approved' AND s.approved_digest = s.digest
ORDER BY s.pair_id
"""


def approved_rows(store: Store, task: str) -> list[dict[str, Any]]:
    """What a freeze would re-scan now: pair_id, revision, sha256 and texts of every approved pair, by pair
    id.
    """
    return store.rows(_APPROVED, [task])


def create(
    store: Store,
    actor: Actor,
    workspace: Workspace,
    pack: TaskPack,
    pack_folder: Path | str,
    *,
    rescan: Rescan,
) -> Manifest:
    """Freeze the approved, unexpired pairs of ``pack`` into a folder under ``workspace.snapshots``.

    ``rescan`` gets the rows of `approved_rows` and answers, for each pair it scanned, the list of its
    findings. The freeze refuses on any finding. A pair approved or changed while the scan ran is left out,
    and listed. Identical content gives the identical id, and the folder that exists already. Nothing that was
    interrupted is ever seen as a snapshot: the folder gets its name when it is complete and on disk.

    What the pack's policy says of groups under k people is done: they are listed, refused or left out.

    Raises `RefusedError` on findings, on an approval that does not bind to its text, on small groups where the policy
    refuses them, and when nothing is approved; `OSError` when the disk is full (nothing is left behind then).
    """
    require(actor, "freeze")
    _expire(store, pack.name)
    rows = approved_rows(store, pack.name)
    found = rescan(rows)
    dirty = {pair: spans for pair, spans in found.items() if spans}
    if dirty:
        raise RefusedError(
            f"Not frozen: the re-scan found personal data in {len(dirty)} approved pairs. "
            "Run `goldpair scan`, decide on the findings, then freeze again.",
            [
                f"{pair}: " + ", ".join(sorted({str(s.get("entity_type", "finding")) for s in spans}))
                for pair, spans in sorted(dirty.items())
            ],
        )
    scanned = {(row["pair_id"], row["revision"], row["sha256"]) for row in rows if row["pair_id"] in found}
    # The writer sees one state of everything: pairs, labels and quarantine belong together.
    frozen, excluded, previous = store.write(lambda tx: _gather(tx, pack.name, scanned))
    if not frozen:
        raise RefusedError(
            f"Nothing to freeze: no pair of {pack.name} is approved and scanned. `goldpair review` approves pairs.",
            [f"{n} {reason}" for reason, n in Counter(row["reason"] for row in excluded).most_common()],
        )
    frozen, excluded, grouped = _grouped(pack, frozen, excluded)
    files, manifest = _render(
        store, actor, pack, guideline_version(pack_folder), frozen, excluded, previous, grouped
    )
    folder = _keep(workspace.snapshots, folder_of(workspace, manifest).name, files)
    manifest = contract.load_verified(folder)
    store.write(lambda tx: _register(tx, actor, manifest, folder.name))
    return manifest


def folder_of(workspace: Workspace, manifest: Manifest) -> Path:
    """Where a snapshot of this workspace stands."""
    return workspace.snapshots / f"{manifest.task}-{manifest.id[:12]}"


def _grouped(
    pack: TaskPack, frozen: list[dict[str, Any]], excluded: list[dict[str, str]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]], bytes | None]:
    """What the policy leaves of the rows, and the file that says which groups are under k; None when none is asked."""
    policy = groups.declared(pack.privacy)
    if not policy.quasi_identifiers:
        return frozen, excluded, None
    unknown = set(policy.quasi_identifiers).difference(*(json.loads(row["metadata"]) for row in frozen))
    if unknown:
        raise RefusedError(
            f"Not frozen: no approved pair has the metadata {', '.join(sorted(unknown))}. "
            "Correct quasi_identifiers in [privacy] of the task pack.",
            [f"quasi-identifier {name}: in no pair" for name in sorted(unknown)],
        )
    found = groups.find(frozen, policy)
    if policy.small_groups == "refuse" and (found.small or found.not_generalised):
        raise RefusedError(
            f"Not frozen: {len(found.small)} groups have fewer than {policy.k} people, and "
            f"{len(found.not_generalised)} pairs were scanned before [privacy] asked to generalise them. "
            "Generalise further, reject those pairs, or declare small_groups = 'leave_out'.",
            [*found.in_words(), *(f"{pair}: not generalised" for pair in found.not_generalised)],
        )
    left_out = 0
    if policy.small_groups == "leave_out" and found.small:
        kept, lines = groups.without_small(frozen, found)
        if not kept:
            raise RefusedError(
                f"Nothing to freeze: every group has fewer than {policy.k} people.", found.in_words()
            )
        frozen, excluded, left_out = [dict(row) for row in kept], [*excluded, *lines], len(lines)
        found = groups.find(frozen, policy)
    return frozen, excluded, groups.as_json(found, left_out)


def _expire(store: Store, task: str) -> None:
    def write(tx: Tx) -> None:
        due = tx.rows(
            "SELECT p.pair_id FROM pairs p JOIN pair_state s ON s.pair_id = p.pair_id"
            " WHERE p.task = ? AND p.expires <= ? AND s.status <> 'expired'",
            [task, utcnow()],
        )
        settle(tx, "system", [row["pair_id"] for row in due])

    store.write(write)


def _gather(
    tx: Tx, task: str, scanned: set[tuple[str, int, str]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]], str | None]:
    """Rows that go in, rows that stay out with their reason, and the id of the snapshot before."""
    approved = {row["pair_id"]: row for row in tx.rows(_APPROVED, [task])}
    rivals = _rivals(tx, list(approved))
    labels: dict[str, dict[str, Any]] = {}
    for row in tx.rows(
        f"SELECT l.* FROM ({STANDING_LABELS}) l JOIN pair_state s ON s.pair_id = l.pair_id WHERE s.task = ?"
        " ORDER BY l.seq",
        [task],
    ):
        labels.setdefault(row["pair_id"], {})[row["name"]] = json.loads(row["value"])
    frozen: list[dict[str, Any]] = []
    excluded: list[dict[str, str]] = []
    states = tx.rows(
        "SELECT p.pair_id, p.expires, s.status, s.reason FROM pairs p LEFT JOIN pair_state s ON s.pair_id = p.pair_id"
        " WHERE p.task = ? ORDER BY p.pair_id",
        [task],
    )
    for state in states:
        pair = state["pair_id"]
        row = approved.get(pair, {})
        if not row:
            reason = state["status"] or "raw"
            detail = state["reason"] or ""
            if reason == "expired":
                detail = f"carries a fact that expired on {state['expires']:%Y-%m-%d}"
            if reason == "approved":  # an approval without its text or its binding is no approval
                reason, detail = "unbound", "the approval does not belong to the current text"
        elif pair in rivals:
            reason, detail = "conflict", f"another approved answer to the same prompt: {rivals[pair]}"
        elif (pair, row["revision"], row["sha256"]) not in scanned:
            reason, detail = "not_rescanned", "approved or changed while the re-scan ran"
        else:
            frozen.append(row | {"labels": labels.get(pair, {})})
            continue
        excluded.append({"pair_id": pair, "reason": reason, "detail": detail})
    for row in tx.rows(
        "SELECT q.import_id, q.file, q.line, q.reason FROM quarantine q JOIN imports i ON i.import_id = q.import_id"
        " WHERE i.task = ? ORDER BY q.import_id, q.file, q.line, q.reason",
        [task],
    ):
        where = f"{row['file'] or ''}:{row['line'] if row['line'] is not None else ''}"
        excluded.append({"pair_id": "", "reason": "quarantined", "detail": f"{where}: {row['reason']}"})
    before = tx.one(
        "SELECT snapshot_id FROM snapshots WHERE task = ? ORDER BY created_ts DESC LIMIT 1", [task]
    )
    return frozen, excluded, before["snapshot_id"] if before else None


def _rivals(tx: Tx, approved: Sequence[str]) -> dict[str, str]:
    """Approved pair -> another approved pair in the same unresolved conflict cluster."""
    rows = tx.rows(
        "SELECT a.pair_id, min(b.pair_id) AS other FROM cluster_members a"
        " JOIN clusters c ON c.cluster_id = a.cluster_id AND c.kind = 'conflict' AND c.status = 'open'"
        " JOIN cluster_members b ON b.cluster_id = a.cluster_id AND b.pair_id <> a.pair_id"
        " WHERE a.pair_id IN (SELECT unnest($ids::VARCHAR[])) AND b.pair_id IN (SELECT unnest($ids::VARCHAR[]))"
        " GROUP BY a.pair_id",
        {"ids": list(approved)},
    )
    return {row["pair_id"]: row["other"] for row in rows}


def _render(
    store: Store,
    actor: Actor,
    pack: TaskPack,
    guidelines: str,
    frozen: Sequence[Mapping[str, Any]],
    excluded: Sequence[Mapping[str, str]],
    previous: str | None,
    grouped: bytes | None,
) -> tuple[dict[str, bytes], Manifest]:
    """Every file's bytes by path, ``manifest.json`` last, and the manifest."""
    detector = store.meta(f"detector:{pack.name}") or ""
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    where = split_of(pack, [row["source"] for row in frozen])
    for row in frozen:
        bound = pair_sha256(
            row["prompt"],
            row["completion"],
            system=row["system"],
            history=json.loads(row["history"]),
            metadata=json.loads(row["metadata"]),
            guideline_version=row["guideline_version"],
        )
        if bound != row["sha256"]:
            raise RefusedError(
                f"Not frozen: the text of pair {row['pair_id']} is not the one that was approved. "
                "The store was changed from outside; restore a backup.",
                [f"{row['pair_id']}: approval and text differ"],
            )
        full = dict(row) | {
            "labels": canonical_json(row["labels"]).decode("utf-8", "surrogatepass"),
            "detector_version": detector,
        }
        splits[where[row["source"]]].append({name: full[name] for name in ROW_SCHEMA})
    task_json = canonical_json(pack.model_dump(mode="json"))
    pack_sha = sha256_hex(task_json)
    identity = contract.content_id(
        pack.name,
        pack_sha,
        {name: [contract.full_row_hash(r) for r in rows] for name, rows in splits.items()},
    )
    files = {f"data/{name}.parquet": _parquet(rows, ROW_SCHEMA) for name, rows in splits.items()}
    files["excluded.parquet"] = _parquet(excluded, EXCLUDED_SCHEMA)
    files["task.json"] = task_json
    if grouped is not None:
        files[groups.FILE] = grouped
    manifest = Manifest(
        id=identity,
        task=pack.name,
        created=utcnow().isoformat(timespec="seconds") + "Z",
        created_by=actor.user,
        rows={name: len(rows) for name, rows in splits.items()},
        excluded=dict(sorted(Counter(row["reason"] for row in excluded).items())),
        files={},
        pack_sha256=pack_sha,
        detector_version=detector,
        guideline_version=guidelines,
        sources=len(where),
        licences=dict(sorted(Counter(row["licence"] or "not stated" for row in frozen).items())),
        previous=previous if previous != identity else None,
    )
    files["README.md"] = _card(pack, manifest, json.loads(grouped) if grouped else None).encode()
    manifest.files = {name: sha256_hex(data) for name, data in sorted(files.items())}
    manifest = manifest.sealed()
    files["manifest.json"] = json.dumps(manifest.model_dump(), indent=1, sort_keys=True).encode() + b"\n"
    return files, manifest


def split_of(pack: TaskPack, sources: Sequence[str]) -> dict[str, str]:
    """Source -> split, by a hash of seed and source: stable as data grows, one source never on both sides.

    Should every source fall to validation, all of them train: there is nothing to validate without training.
    """
    where = {
        source: "validation"
        if int(sha256_hex(f"{pack.split.seed}:{source}")[:12], 16) / 16**12 < pack.split.validation
        else "train"
        for source in sources
    }
    return where if "train" in where.values() else dict.fromkeys(where, "train")


def _parquet(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(list(rows), schema=schema, orient="row").write_parquet(buffer)
    return buffer.getvalue()


def _card(pack: TaskPack, manifest: Manifest, grouped: Mapping[str, Any] | None) -> str:
    """The dataset card. Holds nothing of any record."""
    title = " ".join(pack.title.split())
    lines = [
        "---",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(f"  - split: {name}\n    path: data/{name}.parquet" for name in SPLITS if manifest.rows[name]),
        "---",
        "",
        f"# {title}: snapshot {manifest.id[:12]}",
        "",
        f"Approved prompt/completion pairs of the task `{pack.name}`, frozen {manifest.created} by "
        f"{manifest.created_by}. Every row was anonymized, scanned again when frozen "
        f"(detector `{manifest.detector_version}`), and approved by somebody who did not write it.",
        "",
        "| | |",
        "|---|---|",
        f"| id | `{manifest.id}` |",
        *(f"| rows, {name} | {manifest.rows[name]} |" for name in SPLITS),
        f"| sources | {manifest.sources} (none in both splits) |",
        f"| guidelines | version {manifest.guideline_version or 'not stated'} |",
        *(
            [
                f"| groups by {', '.join(grouped['quasi_identifiers'])} | {grouped['groups']}, "
                f"{len(grouped['small'])} under {grouped['k']} people |"
            ]
            if grouped
            else []
        ),
        *(f"| licence: {' '.join(name.split())} | {n} rows |" for name, n in manifest.licences.items()),
        "",
        "Not inside, each listed with its reason in `excluded.parquet`:",
        "",
        *(f"- {reason}: {n}" for reason, n in manifest.excluded.items()),
        *(["- nothing"] if not manifest.excluded else []),
        "",
        "`goldpair snapshot verify` names any byte that changed since.",
        "",
    ]
    return "\n".join(lines)


# --- writing a folder whole or not at all ------------------------------------------------------------


def _keep(parent: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """Put the files on disk under ``parent/name``; an intact folder of that name is kept as it is."""
    parent.mkdir(exist_ok=True)
    _sweep(parent)
    folder = parent / name
    if (folder / "manifest.json").exists():
        return folder
    temporary = parent / f"{_TEMPORARY}{os.getpid()}-{uuid4().hex}"
    try:
        for path, data in files.items():
            _write(temporary / path, data)
        for sub in (temporary / "data", temporary):
            _sync(sub)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(parent)
    return folder


def _sweep(parent: Path) -> None:
    """Delete what freezes of dead processes left behind."""
    for left in parent.glob(f"{_TEMPORARY}*"):
        pid = left.name.removeprefix(_TEMPORARY).split("-")[0]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _register(tx: Tx, actor: Actor, manifest: Manifest, folder: str) -> None:
    if tx.one("SELECT 1 AS x FROM snapshots WHERE snapshot_id = ?", [manifest.id]):
        return
    tx.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            manifest.id,
            manifest.task,
            folder,
            manifest.rows["train"],
            manifest.rows["validation"],
            sum(manifest.excluded.values()),
            utcnow(),
            actor.user,
        ],
    )
    tx.event("snapshot_created", actor.user, snapshot=manifest.id, task=manifest.task, seal=manifest.seal)


# --- comparing ------------------------------------------------------------


def diff(left: Path | str, right: Path | str) -> dict[str, Any]:
    """What changed from one snapshot to another, by pair id.

    Returns ``{"left": id, "right": id, "added", "removed": [{pair_id, split, source, labels}], "changed":
    [{pair_id, source, labels, columns, before, after}], "same": n}``; ``before`` and ``after`` hold the
    changed columns, ``split`` among them. Raises `SnapshotError` when one of them is not intact.
    """
    ids, tables = [], []
    for folder in (left, right):
        ids.append(contract.load_verified(folder).id)
        rows = {}
        for split in SPLITS:
            for row in contract.load_rows(folder, split).iter_rows(named=True):
                rows[row["pair_id"]] = row | {"split": split, "labels": json.loads(row["labels"])}
        tables.append(rows)
    old, new = tables

    def brief(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in ("pair_id", "split", "source", "labels")}

    changed = []
    for pair in sorted(old.keys() & new.keys()):
        columns = [name for name in old[pair] if old[pair][name] != new[pair][name]]
        if columns:
            changed.append(
                {
                    "pair_id": pair,
                    "source": new[pair]["source"],
                    "labels": new[pair]["labels"],
                    "columns": columns,
                    "before": {name: old[pair][name] for name in columns},
                    "after": {name: new[pair][name] for name in columns},
                }
            )
    return {
        "left": ids[0],
        "right": ids[1],
        "added": [brief(new[pair]) for pair in sorted(new.keys() - old.keys())],
        "removed": [brief(old[pair]) for pair in sorted(old.keys() - new.keys())],
        "changed": changed,
        "same": len(old.keys() & new.keys()) - len(changed),
    }
