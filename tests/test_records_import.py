"""Importing: nothing twice, nothing lost, nothing merged, whatever interrupts it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from curate.errors import PermissionDenied, UsageError
from curate.records import ImportResult, import_file, importing, pair_id_of
from curate.store import Store
from curate.users import Actor, create_user

TASK = "sarcastic-bot"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.duckdb") as opened:
        yield opened


@pytest.fixture
def boss(store: Store) -> Actor:
    return create_user(store, None, "boss", "admin")


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "prompt": f"p{number}", "completion": f"c{number}", **more}


def write(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def count(store: Store, table: str) -> int:
    found = store.one(f"SELECT count(*) AS n FROM {table}")
    return int(found["n"]) if found else 0


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    return result.rows, result.imported, result.already_there, result.quarantined


def test_rows_become_records_with_their_pairs(tmp_path: Path, store: Store, boss: Actor) -> None:
    path = write(tmp_path / "a.jsonl", row(1, source="visit 1", k=2), row(2), "{", row(3, completion=""))
    result = import_file(store, boss, TASK, path, licence="CC BY 4.0", consent="form 7")
    assert counts(result) == (2, 2, 0, 2)
    assert result.by_reason == {"not_json": 1, "empty_completion": 1}
    assert [problem["line"] for problem in result.problems] == [3, 4]
    record = store.one("SELECT * FROM records JOIN record_text USING (record_id) WHERE external_id = 'r1'")
    assert record is not None
    assert (record["prompt"], record["completion"], record["source"]) == ("p1", "c1", "visit 1")
    assert json.loads(record["metadata"]) == {"k": 2} and json.loads(record["payload"]) == row(
        1, source="visit 1", k=2
    )
    assert (record["licence"], record["consent"], record["file"], record["line"]) == (
        "CC BY 4.0",
        "form 7",
        "a.jsonl",
        1,
    )
    pair = store.one(
        "SELECT * FROM pairs JOIN pair_state USING (pair_id) WHERE record_id = ?", [record["record_id"]]
    )
    assert pair is not None and pair["pair_id"] == pair_id_of(record["record_id"])
    assert (pair["status"], pair["rev"], pair["task"]) == ("raw", 0, TASK)
    entry = store.one("SELECT * FROM imports")
    assert entry is not None
    assert (entry["rows_read"], entry["rows_new"], entry["rows_known"], entry["rows_quarantined"]) == (
        2,
        2,
        0,
        2,
    )
    assert entry["finished_ts"] is not None and entry["format"] == "jsonl"
    assert len(entry["file_sha256"]) == 64
    refused = store.rows("SELECT file, line, reason FROM quarantine ORDER BY line")
    assert refused[0] == {"file": "a.jsonl", "line": 3, "reason": "not_json"}


def test_the_same_file_adds_nothing(tmp_path: Path, store: Store, boss: Actor) -> None:
    rows = [row(1), row(2), {"prompt": "p", "answer1": "a", "answer2": "b"}, "{", row(1, prompt="other")]
    first = import_file(store, boss, TASK, write(tmp_path / "a.jsonl", *rows))
    before = {table: count(store, table) for table in ("records", "record_text", "pairs", "quarantine")}
    again = import_file(store, boss, TASK, write(tmp_path / "renamed.jsonl", *rows))
    assert before == {"records": 4, "record_text": 4, "pairs": 4, "quarantine": 2}
    assert {table: count(store, table) for table in before} == before
    assert counts(first) == (5, 4, 0, 2) and counts(again) == (5, 0, 4, 2)


def test_the_same_rows_from_another_format_are_the_same(tmp_path: Path, store: Store, boss: Actor) -> None:
    import_file(store, boss, TASK, write(tmp_path / "a.jsonl", row(1), row(2)))
    (tmp_path / "b.csv").write_text("completion,prompt,id\nc1,p1,r1\nc2,p2,r2\nc3,p3,r3\n")
    assert counts(import_file(store, boss, TASK, tmp_path / "b.csv")) == (3, 1, 2, 0)
    assert counts(import_file(store, boss, "support-bot", tmp_path / "b.csv")) == (3, 3, 0, 0)


def test_another_row_under_a_known_id_is_refused(tmp_path: Path, store: Store, boss: Actor) -> None:
    rows = [row(1), row(2), row(1, completion="changed")]
    result = import_file(store, boss, TASK, write(tmp_path / "a.jsonl", *rows))
    assert result.by_reason == {"duplicate_id": 1} and result.problems[0]["line"] == 3
    assert "a.jsonl, line 1" in result.problems[0]["detail"]
    later = import_file(store, boss, TASK, write(tmp_path / "b.jsonl", row(2, metadata={"k": 1}), row(3)))
    assert counts(later) == (2, 1, 0, 1) and later.by_reason == {"duplicate_id": 1}
    assert count(store, "records") == 3


def test_a_thousand_ids_across_batches(
    tmp_path: Path, store: Store, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_ROWS", 7)
    rows = [row(n % 40, completion=f"c{n % 50}") for n in range(100)]
    path = write(tmp_path / "a.jsonl", *rows)
    dry = import_file(store, boss, TASK, path, dry_run=True)
    assert count(store, "records") == count(store, "events") - 1 == 0  # the user's own event
    real = import_file(store, boss, TASK, path)
    assert counts(dry) == counts(real) and real.imported == 40
    assert real.rows == 100 == real.imported + real.already_there + real.by_reason["duplicate_id"]
    problems = [p["line"] for p in real.problems]
    assert problems == [p["line"] for p in dry.problems]


def test_dry_run_shows_and_writes_nothing(tmp_path: Path, store: Store, boss: Actor) -> None:
    path = write(tmp_path / "a.jsonl", *(row(n) for n in range(9)), "{")
    tables = ("records", "pairs", "imports", "quarantine", "events", "meta")
    before = [count(store, table) for table in tables]
    result = import_file(store, boss, TASK, path, dry_run=True)
    assert [count(store, table) for table in tables] == before
    assert counts(result) == (9, 9, 0, 1) and result.import_id is None
    assert [shown["prompt"] for shown in result.preview] == ["p0", "p1", "p2", "p3", "p4"]
    import_file(store, boss, TASK, path)
    assert counts(import_file(store, boss, TASK, path, dry_run=True)) == (9, 0, 9, 1)


def test_drafts_of_one_prompt_share_a_source(tmp_path: Path, store: Store, boss: Actor) -> None:
    rows = [{"prompt": "p", "completion": c} for c in "ab"] + [{"prompt": "q", "completion": "a"}]
    import_file(store, boss, TASK, write(tmp_path / "a.jsonl", *rows))
    sources = [r["source"] for r in store.rows("SELECT source FROM records ORDER BY line")]
    assert sources[0] == sources[1] != sources[2]


def test_ids_say_nothing_without_the_store(tmp_path: Path, store: Store, boss: Actor) -> None:
    path = write(tmp_path / "a.jsonl", row(1))
    import_file(store, boss, TASK, path)
    (tmp_path / "other").mkdir()
    with Store.open(tmp_path / "other" / "store.duckdb") as other:
        import_file(other, create_user(other, None, "boss", "admin"), TASK, path)
        assert other.one("SELECT record_id FROM records") != store.one("SELECT record_id FROM records")


def test_an_erased_record_does_not_come_back(tmp_path: Path, store: Store, boss: Actor) -> None:
    path = write(tmp_path / "a.jsonl", row(1), row(2))
    import_file(store, boss, TASK, path)
    record = store.one("SELECT record_id FROM records WHERE external_id = 'r1'")
    assert record is not None
    store.erase(boss.user, record_ids=[record["record_id"]], reason="asked")
    assert counts(import_file(store, boss, TASK, path)) == (2, 0, 2, 0)
    assert count(store, "record_text") == 1


def test_only_leads_and_admins_import(tmp_path: Path, store: Store, boss: Actor) -> None:
    path = write(tmp_path / "a.jsonl", row(1))
    for role in ("viewer", "annotator", "reviewer", "adjudicator"):
        with pytest.raises(PermissionDenied):
            import_file(store, Actor("x", role), TASK, path)
    assert count(store, "imports") == 0


def test_files_that_cannot_be_read_leave_nothing(tmp_path: Path, store: Store, boss: Actor) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(row(1)).encode() * 999)[:-9])
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not at all PAR1")
    for name in ("empty.jsonl", "cut.jsonl.gz", "x.parquet"):
        with pytest.raises(UsageError):
            import_file(store, boss, TASK, tmp_path / name)
    with pytest.raises(UsageError, match="no column for the completion"):
        import_file(store, boss, TASK, write(tmp_path / "a.jsonl", row(1)), mapping={"prompt": "prompt"})
    assert [count(store, t) for t in ("imports", "records", "quarantine")] == [0, 0, 0]


def test_damage_in_the_middle_keeps_what_came_before(
    tmp_path: Path, store: Store, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setattr(importing, "BATCH_ROWS", 50)
    path = tmp_path / "x.parquet"
    frame = pl.DataFrame({"prompt": [os.urandom(60).hex() for _ in range(900)], "completion": ["c"] * 900})
    frame.write_parquet(path, row_group_size=300)
    raw = bytearray(path.read_bytes())
    raw[len(raw) * 6 // 10 : len(raw) * 6 // 10 + 400] = bytes(400)
    good = path.read_bytes()
    path.write_bytes(bytes(raw))
    with pytest.raises(UsageError, match="rows before the damage were imported"):
        import_file(store, boss, TASK, path)
    kept = count(store, "records")
    assert 0 < kept < 900
    assert store.rows("SELECT reason FROM quarantine") == [{"reason": "unreadable"}]
    path.write_bytes(good)
    assert counts(import_file(store, boss, TASK, path)) == (900, 900 - kept, kept, 0)


def test_folder(tmp_path: Path, store: Store, boss: Actor) -> None:
    base = tmp_path / "in"
    base.mkdir()
    write(base / "a.jsonl", row(1), "{")
    (base / "b.txt").write_text("transcript")
    (base / "b.note.txt").write_text("note")
    (base / "c.txt").write_text("alone")
    result = import_file(store, boss, TASK, base)
    assert counts(result) == (2, 2, 0, 2) and result.by_reason == {"not_json": 1, "no_partner": 1}
    files = store.rows("SELECT file FROM records ORDER BY file")
    assert files == [{"file": "a.jsonl"}, {"file": "b.txt"}]
    assert counts(import_file(store, boss, TASK, base)) == (2, 0, 2, 2)
    assert count(store, "quarantine") == 2


def test_progress_reaches_the_end(
    tmp_path: Path, store: Store, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_ROWS", 10)
    seen: list[dict[str, Any]] = []
    path = write(tmp_path / "a.jsonl", *(row(n) for n in range(100)))
    import_file(store, boss, TASK, path, progress=seen.append)
    done = [item["done"] for item in seen]
    assert len(seen) == 10 and done == sorted(done) and done[-1] == seen[-1]["total"] == path.stat().st_size
    assert all(item["rate"] > 0 and item["eta_s"] is not None for item in seen)


def test_log_and_state_agree_after_an_import(tmp_path: Path, store: Store, boss: Actor) -> None:
    import_file(store, boss, TASK, write(tmp_path / "a.jsonl", *(row(n) for n in range(30)), "{"))
    assert store.verify_chain() == [] and store.replay().equals(store.state())
    kinds = store.rows("SELECT kind, count(*) AS n FROM events GROUP BY kind ORDER BY kind")
    assert {k["kind"]: k["n"] for k in kinds} == {
        "user_created": 1,
        "import_started": 1,
        "imported": 30,
        "import_finished": 1,
    }
    bodies = " ".join(e["body"] for e in store.rows("SELECT body FROM events"))
    assert "p7" not in bodies and "a.jsonl" not in bodies


OWNER = """
import sys
from pathlib import Path
from curate.records import import_file, importing
from curate.store import Store
from curate.users import actor_for
importing.BATCH_ROWS = 20
with Store.open(sys.argv[1]) as store:
    def tell(progress):
        print(progress["message"], flush=True)
        sys.stdin.readline()
    import_file(store, actor_for(store, "boss"), "sarcastic-bot", sys.argv[2], progress=tell)
"""


@pytest.mark.parametrize("batches", [1, 4])
def test_a_killed_import_is_finished_by_running_it_again(tmp_path: Path, batches: int) -> None:
    database = tmp_path / "store.duckdb"
    with Store.open(database) as store:
        create_user(store, None, "boss", "admin")
    path = write(tmp_path / "a.jsonl", *(row(n) if n % 10 else "{" for n in range(200)))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(database), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert owner.stdin and owner.stdout
    for _ in range(batches):
        assert "rows" in owner.stdout.readline()
        owner.stdin.write("\n")
        owner.stdin.flush()
    owner.stdout.readline()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with Store.open(database) as store:
        kept = count(store, "records")
        assert kept >= 18 * batches
        result = import_file(store, Actor("boss", "admin"), TASK, path)
        assert counts(result) == (180, 180 - kept, kept, 20)
        assert count(store, "records") == 180 and count(store, "quarantine") == 20
        assert store.verify_chain() == [] and store.replay().equals(store.state())


ROWS = st.lists(
    st.fixed_dictionaries(
        {"prompt": st.sampled_from("pq"), "completion": st.sampled_from(["a", "b", ""])},
        optional={"id": st.sampled_from("xyz"), "metadata": st.sampled_from([{}, {"k": 1}])},
    ),
    min_size=1,
    max_size=12,
)


IN_TWO_BATCHES = [  # within the second batch y seems to be taken by the row before
    *({"prompt": "p", "completion": "a", "id": "y"}, {"prompt": "p", "completion": "a"}),
    *({"prompt": "p", "completion": "b", "id": "y"}, {"prompt": "p", "completion": "a", "id": "y"}),
]


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(IN_TWO_BATCHES, 2)
@given(ROWS, st.integers(1, 4))
def test_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    path = write(folder / "a.jsonl", *rows)
    with pytest.MonkeyPatch.context() as patch, Store.open(folder / "store.duckdb") as store:
        patch.setattr(importing, "BATCH_ROWS", size)
        boss = create_user(store, None, "boss", "admin")
        dry = import_file(store, boss, TASK, path, dry_run=True)
        first = import_file(store, boss, TASK, path)
        again = import_file(store, boss, TASK, path)
        assert counts(dry) == counts(first)
        refused_ids = first.by_reason.get("duplicate_id", 0)
        assert first.rows == first.imported + first.already_there + refused_ids
        assert len(rows) == first.rows + first.quarantined - refused_ids
        assert again.imported == 0 and again.by_reason == first.by_reason
        assert count(store, "records") == count(store, "pairs") == first.imported
        assert count(store, "quarantine") == first.quarantined
        ids = store.rows("SELECT external_id FROM records WHERE external_id IS NOT NULL")
        assert len({r["external_id"] for r in ids}) == len(ids)
