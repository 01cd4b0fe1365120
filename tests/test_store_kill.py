"""Invariant 6 the hard way: a process under load is killed, and what it had acknowledged is there."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curate import review
from curate.store import Store
from tests.storekit import actor, add_pairs, assert_sound, open_store, scan

# Four threads decide, edit and undo, and write down each decision only after `decide` has returned.
WORKER = """
import json, os, random, sys, threading
from pathlib import Path
from curate import review, users
from curate.store import Store
from tests.storekit import scan

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
store = Store.open(folder / "store.duckdb")
pairs = json.loads((folder / "pairs.json").read_text())
out = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("go", flush=True)

def work(number):
    chance = random.Random(seed * 10 + number)
    me = users.actor_for(store, ["reviewer", "reviewer2", "adjudicator", "lead"][number])
    mine = pairs[number::4]
    step = 0
    while True:
        pair = chance.choice(mine)
        step += 1
        shown = review.item(store, me, pair)
        verdict = chance.choice(["approve", "reject", "return", "edit", "skip", "undo"])
        try:
            if verdict == "undo":
                seq = review.undo(store, me)["undone"] * -1
            else:
                seq = review.decide(
                    store, me, pair, shown.rev, verdict,
                    reason="wrong" if verdict in ("reject", "return") else None,
                    completion=f"text {chance.random()}" if verdict == "edit" else None,
                    client_id=f"{seed}.{number}.{step}",
                )["seq"]
        except review.GoldpairError:
            continue
        os.write(out, f"{me.user} {pair} {verdict} {seq}\\n".encode())
        if verdict == "edit" and chance.random() < 0.7:
            scan(store, pair)

for number in range(4):
    threading.Thread(target=work, args=(number,), daemon=True).start()
threading.Event().wait()
"""


def kill_rounds(folder: Path, rounds: int, seed: int) -> int:
    """Run, kill at a random moment, check; on the same store. Returns how many decisions were acknowledged."""
    chance = random.Random(seed)
    with open_store(folder) as store:
        pairs = add_pairs(store, [(f"q{i}", f"a{i}") for i in range(80)])
    (folder / "pairs.json").write_text(json.dumps(pairs))
    acknowledged = folder / "acknowledged"
    for number in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(seed * 1000 + number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        try:
            assert process.stdout is not None and process.stdout.readline() == "go\n"
            before = acknowledged.stat().st_size if acknowledged.exists() else 0
            deadline = time.monotonic() + 60
            while (
                not acknowledged.exists() or acknowledged.stat().st_size == before
            ) and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.4))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        lines = acknowledged.read_text().splitlines()
        with Store.open(folder / "store.duckdb") as store:
            assert_sound(store)
            decisions = {row["seq"]: row for row in store.rows("SELECT * FROM decisions")}
            events = {row["seq"]: row for row in store.rows("SELECT seq, actor, pair_id FROM events")}
            for line in lines:
                user, pair, verdict, seq = line.split()
                found = decisions[abs(int(seq))]
                assert found["actor"] == user and events[found["seq"]]["actor"] == user
                if verdict == "undo":
                    assert found["undone"] is not None and found["undone"] in events
                else:
                    assert (found["pair_id"], found["verdict"]) == (pair, verdict)
    return len(lines)


def test_a_killed_process_loses_no_acknowledged_decision(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path, 10, seed=1) >= 10


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path, 50, seed=2) >= 50


def test_a_client_that_repeats_after_a_crash_decides_once(tmp_path: Path) -> None:
    """The outbox cannot know whether a decision of the killed server was kept: it sends it again."""
    with open_store(tmp_path) as store:
        [pair] = add_pairs(store, [("q", "a")])
        first = review.decide(store, actor(store, "reviewer"), pair, 1, "approve", client_id="c")
    with Store.open(tmp_path / "store.duckdb") as store:
        again = review.decide(store, actor(store, "reviewer"), pair, 1, "approve", client_id="c")
        assert again["seq"] == first["seq"] and again["repeated"]
        scan(store, pair)
        assert_sound(store)
