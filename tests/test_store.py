"""The store: one owner, one writer, a chained log, erasure."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import review, rules
from curate.errors import GoldpairError, NotFound, StoreLocked, UsageError
from curate.store import Store, Tx, log
from curate.store.migrations import LATEST, MIGRATIONS
from tests.storekit import TASK, actor, add_pairs, assert_sound, open_store, scan, status, writer_held


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened
        opened.close()


def test_a_new_file_is_private_and_migrated(tmp_path: Path) -> None:
    before = os.umask(0)  # the mode must not depend on it
    try:
        with Store.open(tmp_path / "new.duckdb") as store:
            store.write(lambda tx: tx.event("x", "system"))
            assert store.meta("schema_version") == str(LATEST)
            for path in tmp_path.iterdir():
                assert path.stat().st_mode & 0o077 == 0, path
    finally:
        os.umask(before)
    assert [number for number, _, _ in MIGRATIONS] == list(range(1, LATEST + 1))
    with Store.open(tmp_path / "new.duckdb") as store:
        assert store.one("SELECT count(*) AS n FROM events") == {"n": 1}


def test_a_newer_file_is_refused_with_advice(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.duckdb") as store:
        store.write(lambda tx: tx.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'"))
    with pytest.raises(GoldpairError, match=r"version 999.*newer Goldpair"):
        Store.open(tmp_path / "s.duckdb")


def test_what_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.duckdb").write_text("hello" * 5000)
    with pytest.raises(GoldpairError, match="cannot be opened as a store"):
        Store.open(tmp_path / "s.duckdb")
    with pytest.raises(GoldpairError, match="goldpair init"):
        Store.open(tmp_path / "no" / "s.duckdb")


def test_a_second_process_learns_who_holds_the_file(store: Store) -> None:
    code = "import sys; from curate.store import Store; Store.open(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(store.path)], capture_output=True, text=True)
    assert f"StoreLocked: {store.path} is open in process {os.getpid()}" in done.stderr.replace(
        "curate.errors.", ""
    )
    assert issubclass(StoreLocked, GoldpairError)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/var/tmp/leak.csv'",
        "ATTACH '/var/tmp/other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
    ],
)
def test_the_engine_is_closed_to_the_outside(store: Store, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        store.rows(sql)
    with pytest.raises(duckdb.Error):
        store.write(lambda tx: tx.execute(sql))


def test_a_backup_may_be_written_beside_the_store(store: Store) -> None:
    add_pairs(store, [("q", "a")])
    (store.path.parent / "backups").mkdir()
    copy = store.path.parent / "backups" / "copy.duckdb"
    with store._con.cursor() as cursor:
        cursor.execute(f"ATTACH '{copy}' AS copy")
        cursor.execute("COPY FROM DATABASE store TO copy")
        cursor.execute("DETACH copy")
    before = store.state()
    store.close()
    with Store.open(copy) as restored:
        assert restored.state().equals(before)
        assert_sound(restored)


# --- writing
# ----------------------------------------------------------------------------------------------------


def test_one_failure_in_a_group_costs_nobody_else_anything(store: Store) -> None:
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        def write(tx: Tx) -> int:
            tx.event("before", "system", number=number)
            if number % 5 == 0:
                raise UsageError(f"no {number}")
            if number % 7 == 0:
                tx.execute("INSERT INTO pair_salts VALUES ('same', 'key')")  # one of them wins
            return number

        try:
            results[number] = store.write(write)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
    with writer_held(store) as wait_for:
        for thread in threads:
            thread.start()
        wait_for(40)
    for thread in threads:
        thread.join()
    assert [str(results[n]) for n in range(0, 40, 5)] == [f"no {n}" for n in range(0, 40, 5)]
    sevens = [n for n in range(40) if n % 7 == 0 and n % 5]
    lost = [n for n in sevens if isinstance(results[n], duckdb.ConstraintException)]
    assert len(lost) == len(sevens) - 1
    good = {n for n in range(40) if n % 5} - set(lost)
    assert {n for n in good if results[n] == n} == good
    kept = store.rows("SELECT body FROM events WHERE kind = 'before'")
    assert len(kept) == len(good)
    assert store.verify_chain() == []


def test_a_refusal_without_a_write_keeps_the_group_together(store: Store) -> None:
    runs = []

    def good(tx: Tx) -> None:
        runs.append(1)
        tx.event("x", "system")

    def refused(tx: Tx) -> None:
        tx.one("SELECT 1 AS x")
        raise UsageError("no")

    def attempt(fn: Any) -> None:
        with contextlib.suppress(UsageError):
            store.write(fn)

    threads = [threading.Thread(target=attempt, args=(fn,)) for fn in (good, refused, good)]
    with writer_held(store) as wait_for:
        for thread in threads:
            thread.start()
        wait_for(3)
    for thread in threads:
        thread.join()
    assert len(runs) == 2  # each ran once


def test_a_write_is_seen_by_its_caller_and_a_failed_one_by_nobody(store: Store) -> None:
    def broken(tx: Tx) -> None:
        tx.execute("INSERT INTO pair_salts VALUES ('p', 's')")
        raise ValueError("bug")

    with pytest.raises(ValueError, match="bug"):
        store.write(broken)
    assert store.one("SELECT * FROM pair_salts") is None
    store.write(lambda tx: tx.execute("INSERT INTO pair_salts VALUES ('p', 's')"))
    assert store.one("SELECT salt FROM pair_salts") == {"salt": "s"}


def test_misuse_is_told(store: Store) -> None:
    with pytest.raises(RuntimeError, match="hand the Tx on"):
        store.write(lambda tx: store.write(lambda inner: None))
    with pytest.raises(ValueError, match="needs its task"):
        store.write(lambda tx: tx.transition("x", "system", [{"pair_id": "p", "status": "raw"}]))
    with pytest.raises(ValueError, match="unknown status"):
        store.write(lambda tx: tx.transition("x", "system", [{"pair_id": "p", "task": "t", "status": "odd"}]))
    with pytest.raises(ValueError, match="not a table name"):
        store.write(lambda tx: tx.insert("events; DROP TABLE users", pl.DataFrame({"a": [1]})))
    store.close()
    with pytest.raises(GoldpairError, match="closed"):
        store.write(lambda tx: None)
    store.close()


def test_frames_go_in_by_name_and_known_keys_can_be_skipped(store: Store) -> None:
    frame = pl.DataFrame({"salt": ["1", "2"], "pair_id": ["a", "b"]})
    assert store.write(lambda tx: tx.insert("pair_salts", frame)) == 2
    more = pl.DataFrame({"salt": ["9", "3"], "pair_id": ["a", "c"]})
    assert store.write(lambda tx: tx.insert("pair_salts", more, ignore=True)) == 1
    assert store.frame("SELECT * FROM pair_salts ORDER BY pair_id")["salt"].to_list() == ["1", "2", "3"]
    assert store.write(lambda tx: tx.insert("pair_salts", frame.clear())) == 0


def test_readers_never_see_half_a_write(store: Store) -> None:
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            row = store.one(
                "SELECT (SELECT count(*) FROM pair_state) AS states, (SELECT count(*) FROM events"
                " WHERE pair_id IS NOT NULL) AS events"
            )
            assert row is not None
            seen.append((row["states"], row["events"]))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(40):
        store.write(
            lambda tx, i=i: tx.transition(  # type: ignore[misc]
                "x", "system", [{"pair_id": f"{i}.{n}", "task": "t", "status": "raw"} for n in range(5)]
            )
        )
    stop.set()
    for thread in threads:
        thread.join()
    assert seen and all(states == events and states % 5 == 0 for states, events in seen)


# --- the log
# ----------------------------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_events_take_no_text(text: str) -> None:
    """Whatever passes is one word of an id's alphabet."""
    try:
        log.refuse_text({"a": [text]})
    except ValueError:
        return
    assert not any(c.isspace() for c in text) and len(text) <= 200


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "x" * 201, object(), b"bytes", {"a b": 1}])
def test_events_refuse(store: Store, value: Any) -> None:
    with pytest.raises(ValueError, match="events hold"):
        store.write(lambda tx: tx.event("x", "system", value=value))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET actor = 'other' WHERE seq = 3",
        "UPDATE events SET ts = ts + INTERVAL 1 SECOND WHERE seq = 3",
        "UPDATE events SET body = replace(body, 'raw', 'approved') WHERE seq = 9",
        "UPDATE events SET hash = prev_hash WHERE seq = 4",
        "DELETE FROM events WHERE seq = 5",
        "DELETE FROM events WHERE seq = 1",
    ],
)
def test_any_change_to_the_log_is_found(store: Store, change: str) -> None:
    add_pairs(store, [("q", "a"), ("r", "b")])
    assert store.verify_chain() == []
    store.write(lambda tx: tx.execute(change))
    assert store.verify_chain() != []


def test_a_state_written_past_the_log_is_found(store: Store) -> None:
    a, b = add_pairs(store, [("q", "a"), ("r", "b")])
    assert store.verify_replay() == []
    store.write(lambda tx: tx.execute("UPDATE pair_state SET status = 'approved' WHERE pair_id = ?", [a]))
    store.write(lambda tx: tx.execute("DELETE FROM pair_state WHERE pair_id = ?", [b]))
    problems = store.verify_replay()
    assert len(problems) == 2 and f"pair {a}: its state is not the one its events give (status)" in problems


# --- erasing people
# ---------------------------------------------------------------------------------------------

SECRET = "Zyxwvut Qqqqq"


def test_erasing_leaves_chain_and_replay_and_no_text(store: Store) -> None:
    keep, gone = add_pairs(store, [("keep", "me"), (f"about {SECRET}", f"{SECRET} said")])
    reviewer = actor(store, "reviewer")
    review.decide(store, reviewer, gone, 1, "edit", completion=f"{SECRET} wrote", comment=f"see {SECRET}")
    scan(store, gone)
    review.decide(store, actor(store, "reviewer2"), gone, 2, "approve")
    digests = store.rows("SELECT body FROM events WHERE pair_id = ?", [gone])
    sha = store.rows("SELECT sha256 FROM revisions WHERE pair_id = ?", [gone])
    assert store.erase("admin", pair_ids=[gone], reason="asked") == {"pairs": 1, "records": 1}
    assert status(store, gone) == "erased" and status(store, keep) == "ready"
    assert_sound(store)
    assert (
        store.rows("SELECT body FROM events WHERE pair_id = ? ORDER BY seq", [gone])[: len(digests)]
        == digests
    )
    dump = "".join(
        str(store.rows(f"SELECT * FROM {row['table_name']}"))
        for row in store.rows("SELECT table_name FROM duckdb_tables()")
    )
    assert SECRET not in dump and "keep" in dump
    assert not any(row["sha256"] in dump for row in sha)
    assert f"r-{gone}" in dump  # the record is known still: importing it again brings nothing back
    item = review.item(store, reviewer, gone)
    assert (item.prompt, item.comments) == ("", [])
    with pytest.raises(NotFound):
        store.erase("admin", pair_ids=["nobody"])


def test_erasing_by_record_takes_the_pairs_with_it(store: Store) -> None:
    [gone] = add_pairs(store, [(SECRET, SECRET)])
    assert store.erase("admin", record_ids=[f"r-{gone}"]) == {"pairs": 1, "records": 1}
    assert store.rows("SELECT * FROM record_text") == store.rows("SELECT * FROM revision_text") == []


def test_a_restored_backup_forgets_again(store: Store) -> None:
    [gone] = add_pairs(store, [(SECRET, SECRET)])
    path = store.path
    store.close()
    backup = path.read_bytes()
    with Store.open(path) as opened:
        opened.erase("admin", pair_ids=[gone])
    path.write_bytes(backup)
    with Store.open(path) as restored:
        assert restored.rows("SELECT * FROM revision_text") == []
        assert status(restored, gone) == "erased"
        assert_sound(restored)
    with Store.open(path) as again:
        assert again.one("SELECT count(*) AS n FROM events WHERE kind = 'erased'") == {"n": 1}


def test_digests_in_events_are_keyed_by_a_salt_that_goes(store: Store) -> None:
    [pair] = add_pairs(store, [("q", "a")])
    salt = store.one("SELECT salt FROM pair_salts WHERE pair_id = ?", [pair])
    row = store.one("SELECT r.sha256, s.digest FROM pair_state s JOIN revisions r USING (pair_id, rev)")
    assert salt is not None and row is not None
    assert row["digest"] == log.salted(salt["salt"], row["sha256"]) != row["sha256"]
    assert row["sha256"] not in str(store.rows("SELECT body FROM events"))
    store.erase("admin", pair_ids=[pair])
    assert store.rows("SELECT * FROM pair_salts") == []


# --- the rules in bulk
# ------------------------------------------------------------------------------------------


def test_a_thousand_pairs_settle_like_one(store: Store) -> None:
    pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(1000)])
    assert store.one("SELECT count(*) AS n FROM pair_state WHERE status = 'ready'") == {"n": 1000}
    many = rules.facts(store, pairs)
    assert all(rules.facts(store, [pair])[pair] == many[pair] for pair in pairs[::250])
    assert store.write(lambda tx: rules.settle(tx, "system", pairs)) == 0
    assert store.replay().filter(pl.col("task") == TASK).equals(store.state())
