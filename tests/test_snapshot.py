"""Freezing, comparing and exporting snapshots of a real store."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import contract, review, snapshot
from curate.errors import PermissionDenied, RefusedError, UsageError
from curate.store import Store, utcnow
from curate.workspace import Workspace
from tests.storekit import (
    PACK,
    TASK,
    actor,
    add_pairs,
    assert_sound,
    cluster,
    open_store,
    scan,
)


def clean(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {row["pair_id"]: [] for row in rows}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with open_store(workspace.root) as opened:
        yield opened
        assert_sound(opened)


def approve(store: Store, pairs: Sequence[str], **kwargs: Any) -> None:
    for pair in pairs:
        rev = review.item(store, actor(store, "reviewer"), pair).rev
        review.decide(store, actor(store, "reviewer"), pair, rev, "approve", guideline_version="2", **kwargs)


def freeze(store: Store, workspace: Workspace, **kwargs: Any) -> contract.Manifest:
    return snapshot.create(
        store, actor(store, "lead"), workspace, PACK, workspace.root, **{"rescan": clean, **kwargs}
    )


def folder_of(workspace: Workspace, manifest: contract.Manifest) -> Path:
    return workspace.snapshots / f"{TASK}-{manifest.id[:12]}"


def test_what_goes_in_and_why_the_rest_does_not(store: Store, workspace: Workspace) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(9)])
    reviewer = actor(store, "reviewer")
    a, b, rejected, returned, held, expired, c1, c2, ready = pairs
    [raw] = add_pairs(store, [("raw", "raw")], scanned=False)
    approve(store, [a, b, expired, c1, c2], labels={"tone": "dry"}, pack=PACK)
    review.decide(store, reviewer, rejected, 1, "reject", reason="wrong")
    review.decide(store, reviewer, returned, 1, "return", reason="off_task")
    scan(store, held, findings=1)
    day = utcnow() - timedelta(seconds=1)
    review.set_expiry(store, reviewer, expired, day)
    cluster(store, [c1, c2], "conflict")
    store.write(
        lambda tx: tx.execute(
            "INSERT INTO quarantine VALUES ('imp', ?, 'records.jsonl', 17, 'no_completion', '', '=CMD()', ?)",
            [TASK, utcnow()],
        )
    )
    manifest = freeze(store, workspace)
    folder = folder_of(workspace, manifest)
    assert contract.verify(folder) == []
    rows = pl.concat([contract.load_rows(folder, split) for split in contract.SPLITS])
    assert sorted(rows["pair_id"]) == sorted([a, b])
    assert set(rows["labels"]) == {'{"tone":"dry"}'} and set(rows["guideline_version"]) == {"2"}
    assert set(rows["author"]) == {"intake"} and set(rows["approver"]) == {"reviewer"}
    out = pl.read_parquet(folder / "excluded.parquet")
    assert {row["pair_id"]: (row["reason"], row["detail"]) for row in out.iter_rows(named=True)} == {
        rejected: ("rejected", "wrong"),
        returned: ("returned", "off_task"),
        held: ("held", "open_findings"),
        expired: ("expired", f"carries a fact that expired on {day:%Y-%m-%d}"),
        c1: ("conflict", f"another approved answer to the same prompt: {c2}"),
        c2: ("conflict", f"another approved answer to the same prompt: {c1}"),
        ready: ("ready", ""),
        raw: ("raw", ""),
        "": ("quarantined", "records.jsonl:17: no_completion"),
    }
    assert manifest.excluded["conflict"] == 2 and manifest.rows["train"] + manifest.rows["validation"] == 2
    assert manifest.licences == {"CC0": 2}
    card = (folder / "README.md").read_text()
    assert manifest.id in card and "q0" not in card


def test_only_a_lead_freezes_and_never_nothing(store: Store, workspace: Workspace) -> None:
    add_pairs(store, [("q", "a")])
    with pytest.raises(PermissionDenied):
        snapshot.create(store, actor(store, "reviewer"), workspace, PACK, workspace.root, rescan=clean)
    with pytest.raises(RefusedError, match="Nothing to freeze") as caught:
        freeze(store, workspace)
    assert caught.value.reasons == ["1 ready"]


def test_a_finding_of_the_rescan_refuses(store: Store, workspace: Workspace) -> None:
    a, b = add_pairs(store, [("q", "a"), ("r", "b")])
    approve(store, [a, b])
    with pytest.raises(RefusedError, match="1 approved pairs") as caught:
        freeze(store, workspace, rescan=lambda rows: clean(rows) | {b: [{"entity_type": "PERSON"}]})
    assert caught.value.reasons == [f"{b}: PERSON"]
    assert list(workspace.snapshots.iterdir()) == []


def test_a_pair_changed_while_the_scan_ran_stays_out(store: Store, workspace: Workspace) -> None:
    a, b, c, late = add_pairs(store, [(f"q{i}", "a") for i in range(4)])
    approve(store, [a, b, c])

    def slow(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
        approve(store, [late])
        review.decide(store, actor(store, "reviewer2"), b, 1, "reject", reason="wrong")
        review.decide(store, actor(store, "reviewer2"), c, 1, "edit", completion="new")
        scan(store, c)
        approve(store, [c])
        return clean(rows)

    manifest = freeze(store, workspace, rescan=slow)
    assert sum(manifest.rows.values()) == 1
    assert manifest.excluded == {"not_rescanned": 2, "rejected": 1}


def test_the_same_content_is_the_same_folder(store: Store, workspace: Workspace) -> None:
    a, b = add_pairs(store, [("q", "a"), ("r", "b")])
    approve(store, [a])
    first = freeze(store, workspace)
    assert freeze(store, workspace) == first
    assert [p.name for p in workspace.snapshots.iterdir()] == [f"{TASK}-{first.id[:12]}"]
    assert store.one("SELECT count(*) AS n FROM snapshots") == {"n": 1}
    approve(store, [b])
    second = freeze(store, workspace)
    assert second.id != first.id and second.previous == first.id


def test_a_spoilt_snapshot_is_not_handed_out_again(store: Store, workspace: Workspace) -> None:
    [a] = add_pairs(store, [("q", "a")])
    approve(store, [a])
    folder = folder_of(workspace, freeze(store, workspace))
    path = folder / "data" / "train.parquet"
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(contract.SnapshotError, match=r"data/train\.parquet: bytes changed"):
        freeze(store, workspace)


def test_one_source_is_never_on_both_sides(store: Store, workspace: Workspace) -> None:
    pack = PACK.model_copy(deep=True)
    pack.split.validation = 0.4
    pairs = [
        p for s in range(12) for p in add_pairs(store, [(f"q{s}.{i}", "a") for i in range(2)], source=f"s{s}")
    ]
    approve(store, pairs)
    manifest = snapshot.create(store, actor(store, "lead"), workspace, pack, workspace.root, rescan=clean)
    folder = folder_of(workspace, manifest)
    train, held_out = (set(contract.load_rows(folder, split)["source"]) for split in contract.SPLITS)
    assert train and held_out and not train & held_out
    assert train | held_out == {f"s{s}" for s in range(12)} and manifest.sources == 12
    where = snapshot.split_of(pack, [f"s{s}" for s in range(500)])
    assert snapshot.split_of(pack, [f"s{s}" for s in range(20)]) == {
        f"s{s}": where[f"s{s}"] for s in range(20)
    }
    assert 0.3 < sum(v == "validation" for v in where.values()) / 500 < 0.5


def test_an_edited_store_is_found_out(store: Store, workspace: Workspace) -> None:
    [a] = add_pairs(store, [("q", "a")])
    approve(store, [a])
    store.write(
        lambda tx: tx.execute("UPDATE revision_text SET completion = 'changed' WHERE pair_id = ?", [a])
    )
    with pytest.raises(RefusedError, match="is not the one that was approved"):
        freeze(store, workspace)


@pytest.mark.parametrize("point", range(12))
def test_a_full_disk_leaves_nothing_behind(
    store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    [a] = add_pairs(store, [("q", "a")])
    approve(store, [a])
    calls = [0]

    def failing(real: Any) -> Any:
        def call(*args: Any) -> Any:
            calls[0] += 1
            if calls[0] == point + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing(os.write))
        patched.setattr(os, "fsync", failing(os.fsync))
        with pytest.raises(OSError, match="No space left"):
            freeze(store, workspace)
    assert list(workspace.snapshots.iterdir()) == []
    assert store.one("SELECT count(*) AS n FROM snapshots") == {"n": 0}
    assert contract.verify(folder_of(workspace, freeze(store, workspace))) == []


KILLED = """
import sys
from pathlib import Path
from curate import snapshot
parent = Path(sys.argv[1])
print("go", flush=True)
for n in range(10_000):
    files = {f"data/{i}.bin": bytes([n % 256]) * 20_000 for i in range(6)} | {"manifest.json": b"{}"}
    snapshot._keep(parent, f"s{n}", files)
"""


def test_a_kill_leaves_whole_folders_only(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "go\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for folder in tmp_path.glob("s*"):
            assert sorted(p.name for p in folder.rglob("*.*")) == [
                *(f"{i}.bin" for i in range(6)),
                "manifest.json",
            ]
            assert all(p.stat().st_size == 20_000 for p in folder.glob("data/*"))
    snapshot._keep(tmp_path, "last", {"data/x": b"x", "manifest.json": b"{}"})
    assert list(tmp_path.glob(".freezing-*")) == []  # the next freeze sweeps what the dead left


def test_diff_names_pairs_columns_and_labels(store: Store, workspace: Workspace) -> None:
    a, b, c = add_pairs(store, [("q", "a"), ("r", "b"), ("s", "c")])
    approve(store, [a, b], labels={"tone": "warm"}, pack=PACK)
    left = folder_of(workspace, freeze(store, workspace))
    review.decide(store, actor(store, "reviewer2"), a, 1, "edit", completion="better")
    scan(store, a)
    approve(store, [a, c])
    review.decide(store, actor(store, "reviewer2"), b, 1, "reject", reason="wrong")
    right = folder_of(workspace, freeze(store, workspace))
    result = snapshot.diff(left, right)
    assert [row["pair_id"] for row in result["added"]] == [c]
    assert [(row["pair_id"], row["labels"]) for row in result["removed"]] == [(b, {"tone": "warm"})]
    [changed] = result["changed"]
    assert changed["pair_id"] == a and set(changed["columns"]) == {
        "revision",
        "sha256",
        "completion",
        "author",
    }
    assert (changed["before"]["completion"], changed["after"]["completion"]) == ("a", "better")
    assert snapshot.diff(left, left)["same"] == 2


@pytest.mark.parametrize("fmt", snapshot.FORMATS)
def test_exports_are_reproducible_and_hold_every_row(
    store: Store, workspace: Workspace, tmp_path: Path, fmt: str
) -> None:
    pairs = add_pairs(store, [("=SUM(A1)", "{{x}} <b>é</b>\n`rm`"), ("r\u2028", "b")])
    approve(store, pairs)
    folder = folder_of(workspace, freeze(store, workspace))
    outs = [tmp_path / "one", tmp_path / "two"]
    results = [snapshot.export(folder, fmt, out) for out in outs]
    assert sum(results[0]["rows"].values()) == 2  # whichever side their sources fall on
    assert results[0]["files"] == results[1]["files"]
    for name in results[0]["files"]:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    with pytest.raises(UsageError, match="not an empty folder"):
        snapshot.export(folder, fmt, outs[0])
    with pytest.raises(UsageError, match="Formats: messages"):
        snapshot.export(folder, "xml", tmp_path / "three")


def test_export_shapes(store: Store, workspace: Workspace, tmp_path: Path) -> None:
    from curate import rules

    [pair] = add_pairs(store, [("q", "a")])

    def write(tx: Any) -> None:
        turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
        row = {"pair_id": pair, "system": "Be dry.", "history": turns, "prompt": "q", "completion": "a"}
        rules.add_revisions(tx, "annotator", [row], kind="edit")

    store.write(write)
    scan(store, pair)
    approve(store, [pair])
    folder = folder_of(workspace, freeze(store, workspace))

    def first(fmt: str) -> dict[str, Any]:
        snapshot.export(folder, fmt, tmp_path / fmt)
        return json.loads((tmp_path / fmt / "train.jsonl").read_text().splitlines()[0])

    context = [
        {"role": "system", "content": "Be dry."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "q"},
    ]
    answer = [{"role": "assistant", "content": "a"}]
    assert first("messages") == {"messages": context + answer}
    assert first("prompt-completion") == {"prompt": context, "completion": answer}
    assert first("alpaca") == {
        "instruction": "q",
        "input": "",
        "output": "a",
        "system": "Be dry.",
        "history": [["hi", "hello"]],
    }
    assert first("sharegpt") == {
        "system": "Be dry.",
        "conversations": [
            {"from": "human", "value": "hi"},
            {"from": "gpt", "value": "hello"},
            {"from": "human", "value": "q"},
            {"from": "gpt", "value": "a"},
        ],
    }


def test_hugging_face_and_trl_read_what_we_write(store: Store, workspace: Workspace, tmp_path: Path) -> None:
    """The peers' own loaders are the judges of `hf`, of the snapshot folder's card and of the TRL
    configuration.
    """
    datasets = pytest.importorskip("datasets")
    approve(store, add_pairs(store, [("q", "a"), ("r", "b")]))
    folder = folder_of(workspace, freeze(store, workspace))
    snapshot.export(folder, "hf", tmp_path / "hf")
    loaded = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
    said = [
        row["messages"][-1]["content"] for part in loaded.values() for row in part
    ]  # whichever split it fell into
    assert sorted(said) == ["a", "b"]
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache2"))
    assert sorted(row["prompt"] for part in loaded.values() for row in part) == ["q", "r"]
    assert contract.verify(folder) == []  # reading left nothing inside
    trl = pytest.importorskip("trl")
    snapshot.export(folder, "prompt-completion", tmp_path / "pc")
    parser = trl.TrlParser((trl.ScriptArguments, trl.SFTConfig, trl.ModelConfig, trl.DatasetMixtureConfig))
    *_, mixture = parser.parse_args_and_config(
        ["--config", str(tmp_path / "pc" / "trl-sft.yaml"), "--bf16", "false"]
    )
    [found] = mixture.datasets
    assert (found.path, found.data_files, found.split) == ("json", "train.jsonl", "train")
