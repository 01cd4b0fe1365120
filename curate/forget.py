"""Forgetting a person: finding where they are, deleting it, and saying in writing what was done.

Covers: records, pairs, quarantine, comments, suggestions, lists of strings, snapshots, models, exports, failed jobs and
eval runs of one workspace; the certificate. Deleting in the store itself is `curate.store.erasure`.
Does not cover: copies that left the workspace (exports are named so that people can ask for them), nor taking anything
out of a trained model: models are listed for retraining.
"""

from __future__ import annotations

import hmac
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl

from curate import contract, groups, learning, lists
from curate.contract import SPLITS, canonical_json, sha256_hex
from curate.errors import NotFound, UsageError
from curate.store import Store, Tx, utcnow
from curate.users import Actor, require
from curate.workspace import Workspace

SHORTEST = 3  # characters; shorter words are in everybody's records
AT_ONCE = 20_000  # rows read at once


@dataclass
class Found:
    """Where a person is, by id. ``exports`` are folders that were written out of the workspace."""

    records: list[str] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)
    quarantined: int = 0
    comments: int = 0
    suggestions: int = 0
    terms: int = 0  # on the lists of strings
    snapshots: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    evals: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        places = (self.quarantined, self.comments, self.suggestions, self.terms)
        return not (self.records or self.pairs or any(places))


def find(
    store: Store, workspace: Workspace, words: Sequence[str] = (), *, record_ids: Sequence[str] = ()
) -> Found:
    """Everything that holds one of ``words`` (names, numbers, addresses of one person) or comes from those records.

    A word counts where it stands as a whole, in any case and with any spaces between its parts. Raises `UsageError`
    for a word too short to mean one person, `NotFound` for an unknown record.
    """
    patterns = [_pattern(word) for word in words]
    if not patterns and not record_ids:
        raise UsageError("Give the person's names, numbers or addresses, or --record ID.")
    known = {
        row["record_id"]
        for row in store.rows(
            "SELECT record_id FROM records WHERE list_contains(?, record_id)", [list(record_ids)]
        )
    }
    if unknown := sorted(set(record_ids) - known):
        raise NotFound(f"No record {', '.join(unknown[:5])}.")
    records = known | _holding(store, "record_text", "record_id", patterns)
    pairs = _holding(store, "revision_text", "pair_id", patterns)
    records |= {
        row["record_id"]
        for row in store.rows(
            "SELECT record_id FROM pairs WHERE list_contains(?, pair_id) AND record_id IS NOT NULL",
            [sorted(pairs)],
        )
    }
    pairs |= {
        row["pair_id"]
        for row in store.rows(
            "SELECT pair_id FROM pairs WHERE list_contains(?, record_id)", [sorted(records)]
        )
    }
    found = Found(records=sorted(records), pairs=sorted(pairs))
    found.quarantined = len(_quarantined(store, patterns))
    found.comments = len(_comments(store, patterns))
    found.suggestions = len(_suggestions(store, patterns))
    found.terms = len(_terms(store, patterns))
    found.snapshots = [folder.name for folder in _snapshots(workspace, pairs)]
    ids = {contract.load_manifest(workspace.snapshots / name).id for name in found.snapshots}
    for run_file in sorted(workspace.models.glob("*/run.json")):
        if json.loads(run_file.read_text("utf-8"))["snapshot"]["id"] in ids:
            found.models.append(run_file.parent.name)
    for run_file in sorted(workspace.evals.glob("*/*/run.json")):
        run = json.loads(run_file.read_text("utf-8"))
        if (run.get("snapshot") or {}).get("id") in ids:
            found.evals.append(run_file.parent.relative_to(workspace.evals).as_posix())
    for name in sorted(ids):  # models and answers of its learning curves
        for folder in sorted(workspace.evals.glob(f"*/{learning.PREFIX}{name[:12]}-*")):
            found.evals.append(folder.relative_to(workspace.evals).as_posix())
    for row in store.rows("SELECT body FROM events WHERE kind = 'snapshot_exported' ORDER BY seq"):
        body = json.loads(row["body"])
        if body["snapshot"] in ids:
            found.exports.append(body["folder"])
    found.jobs = [folder.name for folder in _leftovers(workspace)] if not found.nothing else []
    found.backups = sorted(path.name for path in workspace.backups.glob("*") if path.is_file())
    return found


def forget(
    store: Store,
    workspace: Workspace,
    actor: Actor,
    words: Sequence[str],
    *,
    record_ids: Sequence[str] = (),
    reason: str,
) -> dict[str, Any]:
    """Delete what `find` finds and write the certificate into ``forgotten/``; returns it with its path.

    Order: the store first (its list of erasures makes a crash repeat it), then folders. Snapshots keep their manifest
    and lose their rows, so that nothing trains on them again. The certificate holds ids and counts; the person's
    words stand in it as a digest keyed with the workspace's key. Raises `NotFound` when nothing is found.
    """
    require(actor, "erase")
    if len(reason.strip()) < 5:
        raise UsageError("Give the reason, e.g. --reason 'erasure request of 3 May, ticket 118'.")
    found = find(store, workspace, words, record_ids=record_ids)
    if found.nothing:
        raise NotFound("Nothing in this workspace holds that. Nothing was changed.")
    if found.records or found.pairs:
        store.erase(actor.user, pair_ids=found.pairs, record_ids=found.records, reason=reason)
    patterns = [_pattern(word) for word in words]

    def scrub(tx: Tx) -> None:
        _scrub(tx, _quarantined(tx, patterns), _comments(tx, patterns), _suggestions(tx, patterns))
        lists.forget(tx, _terms(tx, patterns), actor.user)

    store.write(scrub)
    identity = uuid4().hex[:12]
    for name in found.snapshots:
        _withdraw(workspace.snapshots / name, identity)
    for run in found.evals:
        shutil.rmtree(workspace.evals / run)
    for job in found.jobs:
        for part in ("in", "out"):
            shutil.rmtree(workspace.jobs / job / part, ignore_errors=True)

    def log(tx: Tx) -> None:
        tx.event(
            "person_forgotten",
            actor.user,
            certificate=identity,
            snapshots=found.snapshots,
            models=found.models,
        )

    store.write(log)
    head = store.one("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1") or {}
    body = {
        "certificate": identity,
        "when": utcnow().isoformat(timespec="seconds") + "Z",
        "by": actor.user,
        "reason": reason,
        "asked_for": hmac.new(
            workspace.key, canonical_json(sorted(w.casefold() for w in words)), "sha256"
        ).hexdigest(),
        "erased": asdict(found),
        "retrain": found.models,
        "ask_back": found.exports,
        "left": asdict(find(store, workspace, words)) if words else {},
        "audit": {"events": head.get("seq"), "head": head.get("hash"), "problems": store.verify_chain()},
    }
    body["seal"] = sha256_hex(canonical_json(body))
    folder = workspace.root / "forgotten"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{identity}.json"
    path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", "utf-8")
    path.chmod(0o600)
    return {**body, "path": str(path)}


# --- looking ------------------------------------------------------------------------------------------------


def _pattern(word: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in word.split()]
    if len("".join(word.split())) < SHORTEST:
        raise UsageError(f"{word!r} is too short to mean one person; give at least {SHORTEST} characters.")
    return re.compile(r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)", re.IGNORECASE)


def _says(patterns: Sequence[re.Pattern[str]], texts: Sequence[str | None]) -> bool:
    return any(pattern.search(text) for text in texts if text for pattern in patterns)


def _holding(store: Store, table: str, key: str, patterns: Sequence[re.Pattern[str]]) -> set[str]:
    """Keys of the rows of a text table that hold one of the patterns; read in pieces."""
    found: set[str] = set()
    if not patterns:
        return found
    columns = ["system", "history", "prompt", "completion", "metadata"]
    if table == "record_text":
        columns.append("payload")
    last = -1
    while rows := store.rows(
        f"SELECT rowid AS row, {key} AS id, {', '.join(columns)} FROM {table}"
        f" WHERE rowid > ? ORDER BY rowid LIMIT {AT_ONCE}",
        [last],
    ):
        last = rows[-1]["row"]
        for row in rows:
            # history, metadata and payload are JSON: a non-ASCII name must not hide behind an escape
            texts = [_plain(row[c]) if c in ("history", "metadata", "payload") else row[c] for c in columns]
            if _says(patterns, texts):
                found.add(row["id"])
    return found


def _plain(text: str | None) -> str | None:
    if text is None or "\\" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False).replace("\\n", " ").replace("\\t", " ")
    except ValueError:
        return text


def _quarantined(reader: Store | Tx, patterns: Sequence[re.Pattern[str]]) -> list[int]:
    rows = reader.rows("SELECT rowid AS id, excerpt, detail FROM quarantine")
    return [row["id"] for row in rows if _says(patterns, [row["excerpt"], row["detail"]])]


def _comments(reader: Store | Tx, patterns: Sequence[re.Pattern[str]]) -> list[int]:
    rows = reader.rows("SELECT rowid AS id, body FROM comments")
    return [row["id"] for row in rows if _says(patterns, [row["body"]])]


def _suggestions(reader: Store | Tx, patterns: Sequence[re.Pattern[str]]) -> list[str]:
    rows = reader.rows("SELECT suggestion_id AS id, completion FROM suggestions")
    return [row["id"] for row in rows if _says(patterns, [row["completion"]])]


def _terms(reader: Store | Tx, patterns: Sequence[re.Pattern[str]]) -> list[str]:
    return lists.saying(reader, lambda texts: _says(patterns, texts))


def _scrub(tx: Tx, quarantined: Sequence[int], comments: Sequence[int], suggestions: Sequence[str]) -> None:
    """The refused lines stay counted, without what they said; a model's suggestion goes."""
    tx.execute("DELETE FROM suggestions WHERE list_contains(?, suggestion_id)", [list(suggestions)])
    tx.execute(
        "UPDATE quarantine SET excerpt = NULL, detail = NULL WHERE list_contains(?, rowid)",
        [list(quarantined)],
    )
    tx.execute("UPDATE comments SET body = NULL WHERE list_contains(?, rowid)", [list(comments)])


def _snapshots(workspace: Workspace, pairs: set[str]) -> list[Path]:
    """Folders of snapshots that hold one of the pairs (also in the list of what they left out)."""
    found = []
    for manifest in sorted(workspace.snapshots.glob("*/manifest.json")):
        for split in SPLITS:
            path = manifest.parent / "data" / f"{split}.parquet"
            if path.is_file() and not pairs.isdisjoint(pl.read_parquet(path, columns=["pair_id"])["pair_id"]):
                found.append(manifest.parent)
                break
    return found


def _leftovers(workspace: Workspace) -> list[Path]:
    """Folders of ended jobs that still hold texts: a failed job keeps them until it is resumed."""
    return [
        folder
        for folder in sorted(workspace.jobs.glob("*"))
        if ((folder / "exit.json").exists() or (folder / "cancel").exists())
        and any((folder / part).is_dir() for part in ("in", "out"))
    ]


def _withdraw(folder: Path, certificate: str) -> None:
    """Take a snapshot's rows away for good; `curate.contract.verify` names the reason from then on."""
    (folder / contract.WITHDRAWN).write_text(
        json.dumps({"certificate": certificate, "why": "a person in it was forgotten"}) + "\n", "utf-8"
    )
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / groups.FILE).unlink(missing_ok=True)  # it names the values of those who stand alone
