"""Backup, restore and compaction: equal by content hash, taken while people work, erasures stay erased.

Does not cover: backups of the other folders of a workspace.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from curate import review
from curate.client import Client
from curate.errors import GoldpairError, NotFound, RefusedError, StoreLocked
from curate.store import Store, backup
from curate.workspace import Workspace
from tests.storekit import PACK, actor, add_pairs, open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path


def now(store: Store) -> str:
    return backup.overall(backup.content(store.cursor()))


def shape(path: Path) -> list[Any]:
    """Columns, keys and indexes of a store file."""
    with duckdb.connect(str(path), read_only=True) as con:
        return [
            con.execute(
                "SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns()"
                " WHERE database_name = current_database() ORDER BY ALL"
            ).fetchall(),
            con.execute("SELECT table_name, index_name, sql FROM duckdb_indexes() ORDER BY ALL").fetchall(),
            con.execute(
                "SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL"
            ).fetchall(),
        ]


def test_the_drill_gives_the_same_store_again(folder: Path) -> None:
    path = folder / "store.duckdb"
    with open_store(folder) as store:
        pairs = add_pairs(store, [(f"question {i}", f"answer {i}") for i in range(20)])
        review.decide(store, actor(store, "reviewer"), pairs[0], 1, "approve", pack=PACK)
        before = now(store)
        made = backup.backup(store)
        assert made["content_sha256"] == before and made["tables"]["pairs"]["rows"] == 20
        review.decide(store, actor(store, "reviewer"), pairs[1], 1, "reject", reason="wrong", pack=PACK)
        assert now(store) != before
    old = shape(path)
    done = backup.restore(path, Path(made["path"]), "admin")
    assert done["content_sha256"] == before and shape(path) == old
    with Store.open(path) as store:
        assert store.verify_chain() + store.verify_replay() == []
        states = {
            row["pair_id"]: row["status"] for row in store.rows("SELECT pair_id, status FROM pair_state")
        }
        assert (states[pairs[0]], states[pairs[1]]) == ("approved", "ready")
        last = store.one("SELECT kind, actor FROM events ORDER BY seq DESC LIMIT 1")
        assert last == {"kind": "restored", "actor": "admin"}
        # the store goes on working: keys and indexes came along
        review.decide(store, actor(store, "reviewer"), pairs[2], 1, "approve", pack=PACK, client_id="c")
        again = review.decide(
            store, actor(store, "reviewer"), pairs[2], 1, "approve", pack=PACK, client_id="c"
        )
        assert again["repeated"]
    left = backup.examine(Path(done["previous"]))  # what stood there is kept, whole
    assert left["problems"] == [] and left["events"] > done["events"]


def test_people_work_on_while_a_backup_is_taken(folder: Path) -> None:
    with open_store(folder) as store:
        pairs = add_pairs(store, [(f"question {i}", "a") for i in range(300)])
        started, stop, done = threading.Event(), threading.Event(), [0]

        def work() -> None:
            for pair in pairs:
                if stop.is_set():
                    return
                review.decide(store, actor(store, "reviewer"), pair, 1, "approve", pack=PACK)
                done[0] += 1
                started.set()

        worker = threading.Thread(target=work)
        worker.start()
        started.wait(30)
        first = done[0]
        made = [backup.backup(store) for _ in range(2)]
        during = done[0] - first
        stop.set()
        worker.join()
        assert during > 0  # nobody waited for the copies
        for one in made:
            found = backup.examine(Path(one["path"]))
            assert found["problems"] == [] and found["content_sha256"] == one["content_sha256"]
        assert made[0]["events"] < made[1]["events"]
        assert [row["name"] for row in backup.backups(folder / "backups")] == [
            made[1]["name"],
            made[0]["name"],
        ]


def test_a_restored_backup_forgets_again_whom_the_store_forgot(folder: Path) -> None:
    path = folder / "store.duckdb"
    with open_store(folder) as store:
        pairs = add_pairs(store, [("the secret of one person", "x"), ("of nobody", "y")])
        made = backup.backup(store)
        store.erase("admin", pair_ids=[pairs[0]], reason="request-1")
    done = backup.restore(path, Path(made["path"]), "admin")
    assert done["erasures_reapplied"] == 1
    with Store.open(path) as store:
        assert [row["prompt"] for row in store.rows("SELECT prompt FROM revision_text")] == ["of nobody"]
        assert store.verify_chain() + store.verify_replay() == []
    assert b"the secret of one person" not in path.read_bytes()


def test_a_file_that_does_not_hold_is_refused_and_nothing_changes(folder: Path) -> None:
    path = folder / "store.duckdb"
    with open_store(folder) as store:
        pairs = add_pairs(store, [("q", "a")])
        review.decide(store, actor(store, "reviewer"), pairs[0], 1, "approve", pack=PACK)
        made = Path(backup.backup(store)["path"])
        with pytest.raises(StoreLocked, match="process"):
            _in_another_process(path, made)
    before = path.read_bytes()
    with duckdb.connect(str(made)) as con:
        con.execute("UPDATE revision_text SET completion = 'forged'")
    with pytest.raises(RefusedError) as refused:
        backup.restore(path, made, "admin")
    assert "content_sha256" in refused.value.reasons[0] and path.read_bytes() == before
    with duckdb.connect(str(made)) as con:
        con.execute("UPDATE events SET actor = 'somebody' WHERE seq = 2")
    assert any("event 2: changed" in problem for problem in backup.examine(made)["problems"])
    (folder / "no.duckdb").write_bytes(b"not a database, whatever its name says")
    with pytest.raises(GoldpairError, match="no store"):
        backup.restore(path, folder / "no.duckdb", "admin")
    with pytest.raises(NotFound):
        backup.restore(path, folder / "none.duckdb", "admin")
    assert path.read_bytes() == before and sorted(p.name for p in folder.iterdir()) == [
        "backups",
        "no.duckdb",
        "store.duckdb",
    ]


def _in_another_process(path: Path, made: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from pathlib import Path; from curate.store import backup;" + (
        "from curate.errors import StoreLocked\n"
        "try: backup.restore(Path(sys.argv[1]), Path(sys.argv[2]), 'admin')\n"
        "except StoreLocked as error: print(error); sys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, made], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    raise StoreLocked(done.stdout)


def test_a_log_cut_short_is_told_by_the_backups(folder: Path) -> None:
    path = folder / "store.duckdb"
    with open_store(folder) as store:
        add_pairs(store, [("q", "a")])
        made = backup.backup(store)
        assert backup.missing_heads(store) == []
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    with Store.open(path) as store:
        assert store.verify_chain() == []  # the chain alone cannot know
        assert made["name"] in backup.missing_heads(store)[0]
    backup.restore(path, Path(made["path"]), "admin")
    with Store.open(path) as store:
        assert backup.missing_heads(store) == []


def test_compacting_keeps_every_row_and_gives_space_back(folder: Path) -> None:
    path = folder / "store.duckdb"
    make = "CREATE TABLE scratch AS SELECT hash(range) AS n FROM range(400000)"
    with open_store(folder) as store:
        store.write(lambda tx: tx.execute(make))
    with Store.open(path) as store:
        add_pairs(store, [(f"question {i}", "answer") for i in range(100)])  # behind it in the file
    with Store.open(path) as store:
        store.write(lambda tx: tx.execute("DROP TABLE scratch"))
        before = now(store)
    old = shape(path)
    done = backup.compact(path)
    assert done["after"] < 0.7 * done["before"] and shape(path) == old
    with Store.open(path) as store:
        assert now(store) == before and path.stat().st_mode & 0o777 == 0o600


def test_the_command_line_backs_up_checks_and_restores(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    from tests.test_cli import inside

    root = tmp_path / "ws"
    assert inside(monkeypatch, "init", root) == 0
    file = tmp_path / "monday.duckdb"
    assert inside(monkeypatch, "backup", file, "-w", root) == 0
    assert "equal to the store" in capsys.readouterr().out and file.stat().st_mode & 0o777 == 0o600
    assert inside(monkeypatch, "audit", "verify", "--file", file) == 0
    client = Client(Workspace(root))
    client.call("users.add", name="asha", role="reviewer")
    capsys.readouterr()
    assert inside(monkeypatch, "restore", file, "-w", root, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["events"] == 1
    assert [row["name"] for row in client.call("users.list")["users"]] == ["admin", "asha"]
    assert inside(monkeypatch, "restore", file, "-w", root) == 0
    assert [row["name"] for row in client.call("users.list")["users"]] == ["admin"]
    assert inside(monkeypatch, "backup", "--compact", "-w", root) == 0
    assert inside(monkeypatch, "backup", "--list", "--json", "-w", root) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index('{\n  "backups"') :])["backups"][0]["events"] == 2
