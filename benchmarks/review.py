"""The review room: from a key to the next item, the writer against SQL claims, long lists, many reviewers at once.

Covers: key to painted item in a real browser beside a page of plain buttons; decisions a second at 16 threads beside
claim-and-update in SQL; pages of a list of a million pairs beside one of a hundred thousand; acknowledged decisions
of ten and thirty reviewers over REST; the size of the file after many edits. Both sides of a ratio run in turns in
the same process or browser. Does not cover: killing processes (`tests/test_store_kill.py`) nor any absolute promise.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import httpx
import polars as pl

from curate import listing, review, rules, users
from curate.leases import LeaseBook
from curate.store import Store, Tx, utcnow
from curate.tasks import TaskPack
from curate.workspace import Workspace

TASK = "bench"
PACK_TEXT = 'name = "bench"\ntitle = "Benchmark"\nreject_reasons = ["wrong"]\n'
PACK = TaskPack(name=TASK, title="Benchmark", reject_reasons=["wrong"])
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Rows of every part; quick takes sizes that finish in about two minutes."""
    for part in (_writer, _lists, _growth, _reviewers, _keys):
        with tempfile.TemporaryDirectory(prefix="goldpair-bench-") as folder:
            yield from part(Path(folder), quick)


def _row(
    figure: str, goal: str, ours: Any, peer: Any, ratio: Any, spread: str, met: bool | None
) -> dict[str, Any]:
    names = ("duckdb", "streamlit", "polars")
    return {
        "figure": figure,
        "goal": goal,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "spread": spread,
        "met": met,
        "versions": ", ".join(f"{name} {version(name)}" for name in names),
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


# --- a store to work on ---------------------------------------------------------------------------------------


def _store(folder: Path, n: int) -> Store:
    """A store with an admin and ``n`` scanned pairs that wait for review."""
    store = Store.open(folder / "store.duckdb")
    users.ensure_owner(store, "admin")
    add_pairs(store, n)
    return store


def add_pairs(store: Store, n: int) -> list[str]:
    """Pairs of task `TASK` that wait for a reviewer, scanned; their ids, in the order of the queue."""
    now = utcnow()
    ids = [f"p-{i:07}" for i in range(n)]

    def write(tx: Tx, part: list[str]) -> None:
        texts = [
            {"pair_id": p, "prompt": f"Question {p}? " * 12, "completion": f"Answer to {p}. " * 30}
            for p in part
        ]
        rows = [{"pair_id": p, "task": TASK, "record_id": None, "source": p, "created_ts": now} for p in part]
        tx.insert("pairs", pl.DataFrame(rows, schema_overrides={"record_id": pl.String}))
        tx.transition("imported", "admin", [{"pair_id": p, "task": TASK, "status": "raw"} for p in part])
        made = rules.add_revisions(tx, "intake", texts, kind="import")
        tx.execute("INSERT OR REPLACE INTO meta VALUES (?, 'd')", [f"detector:{TASK}"])
        scan = {"detector_version": "d", "policy_hash": "h", "open_findings": 0, "ts": now}
        tx.insert("scans", pl.DataFrame([row | scan for row in made]))
        rules.settle(tx, "intake", part)

    for at in range(0, n, 5000):
        store.write(partial(write, part=ids[at : at + 5000]))
    return ids


# --- the writer ------------------------------------------------------------------------------------------------


def _writer(folder: Path, quick: bool) -> list[dict[str, Any]]:
    threads, each, rounds = 16, 6 if quick else 60, 2 if quick else 4
    store = _store(folder, threads * each * rounds * 2)
    admin = users.actor_for(store, "admin")
    ready = iter(store.rows("SELECT pair_id FROM pair_state ORDER BY pair_id"))
    queue = [row["pair_id"] for row in ready]
    book = LeaseBook.of(store)
    take = threading.Lock()
    peer_path = folder / "peer.duckdb"
    peer = duckdb.connect(str(peer_path))
    peer.execute("CREATE TABLE pair_state AS SELECT i::VARCHAR AS pair_id, 'ready' AS status, NULL::VARCHAR AS who,"
                 f" NULL::BIGINT AS seq FROM range({len(queue)}) t(i)")  # fmt: skip
    peer.execute("ALTER TABLE pair_state ADD PRIMARY KEY (pair_id)")
    peer.execute("CREATE TABLE events (pair_id VARCHAR, who VARCHAR, kind VARCHAR, ts TIMESTAMP)")
    conflicts = [0]

    def lease(user: str) -> str:
        with take:
            [pair] = book.claim(user, [queue.pop()], 1)
            return pair

    def narrow(user: str) -> None:
        pair = lease(user)
        change = {"pair_id": pair, "status": "approved"}
        store.write(lambda tx: tx.transition("approve", user, [change]), batch=(Tx.states, pair))
        book.release(user, pair)

    def whole(user: str) -> None:
        review.decide(store, users.Actor(user, admin.role), lease(user), 1, "approve", pack=PACK)

    def claimed(user: str) -> None:
        con = peer.cursor()

        def retried(statements: Callable[[], Any]) -> Any:
            while True:
                try:
                    con.execute("BEGIN")
                    found = statements()
                    con.execute("COMMIT")
                    return found
                except duckdb.Error:
                    conflicts[0] += 1
                    try:
                        con.execute("ROLLBACK")
                    except duckdb.Error:
                        continue

        [[pair]] = retried(
            lambda: con.execute(
                "UPDATE pair_state SET status = 'claimed', who = ? WHERE pair_id = (SELECT pair_id FROM pair_state"
                " WHERE status = 'ready' LIMIT 1 OFFSET ?) RETURNING pair_id",
                [user, hash((user, time.perf_counter_ns())) % 64],
            ).fetchall()
        )

        def label() -> None:
            con.execute("INSERT INTO events VALUES (?, ?, 'approve', now()::TIMESTAMP)", [pair, user])
            con.execute("UPDATE pair_state SET status = 'approved' WHERE pair_id = ?", [pair])

        retried(label)

    def measure(one: Callable[[str], None]) -> tuple[float, float]:
        times: list[float] = []

        def person(number: int) -> None:
            for _ in range(each):
                begun = time.perf_counter()
                one(f"user{number}")
                times.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(person, range(threads)))
        return threads * each / (time.perf_counter() - begun), _p95(times)

    arms: dict[str, list[tuple[float, float]]] = {"narrow": [], "sql": [], "whole": []}
    for _ in range(rounds):
        arms["narrow"].append(measure(narrow))
        arms["sql"].append(measure(claimed))
        arms["whole"].append(measure(whole))
    peer.close()
    problems = store.verify_chain() + store.verify_replay()
    store.close()
    rate = {name: statistics.median(r for r, _ in got) for name, got in arms.items()}
    tail = {name: statistics.median(p for _, p in got) for name, got in arms.items()}
    ratios = [a[0] / b[0] for a, b in zip(arms["narrow"], arms["sql"], strict=True)]
    spread = f"{min(ratios):.1f} to {max(ratios):.1f} over {rounds} rounds in turns, {conflicts[0]} conflicts of SQL"
    return [
        _row(
            "event and state row, decisions a second at 16 threads",
            ">= 4x SQL claim-and-update",
            round(rate["narrow"]),
            round(rate["sql"]),
            round(statistics.median(ratios), 2),
            spread,
            statistics.median(ratios) >= 4 and not problems,
        ),
        _row(
            "the same, p95 in ms",
            "<= 1/5 of SQL claim-and-update",
            _ms(tail["narrow"]),
            _ms(tail["sql"]),
            round(tail["narrow"] / tail["sql"], 3),
            spread,
            tail["narrow"] <= tail["sql"] / 5,
        ),
        _row(
            "whole approvals with every rule, a second at 16 threads",
            "reported",
            round(rate["whole"]),
            round(rate["sql"]),
            round(rate["whole"] / rate["sql"], 2),
            f"p95 {_ms(tail['whole'])} ms; the peer checks nothing",
            None,
        ),
    ]


# --- long lists ------------------------------------------------------------------------------------------------


def _lists(folder: Path, quick: bool) -> list[dict[str, Any]]:
    small, large, times = (2_000, 20_000, 5) if quick else (100_000, 1_000_000, 30)
    deep = large * 6 // 100
    stores = {}
    for n in (small, large):
        (folder / str(n)).mkdir()
        store = stores[n] = Store.open(folder / str(n) / "store.duckdb")
        for sql in (
            f"INSERT INTO records SELECT 'r-' || lpad(i::VARCHAR, 8, '0'), '{TASK}', 'import', 'row ' || i,"
            " 's' || i % 999, 'a.jsonl', md5('a'), i, md5(i::VARCHAR), NULL, NULL, now()",
            f"INSERT INTO pairs SELECT 'p-' || lpad(i::VARCHAR, 8, '0'), '{TASK}', 'r-' || lpad(i::VARCHAR, 8, '0'),"
            " 's' || i % 999, now(), NULL",
            f"INSERT INTO pair_state SELECT 'p-' || lpad(i::VARCHAR, 8, '0'), '{TASK}',"
            " CASE i % 5 WHEN 0 THEN 'ready' WHEN 1 THEN 'held' ELSE 'approved' END, 1, md5(i::VARCHAR), NULL, NULL,"
            " NULL, (hash(i) % 100000000)::BIGINT",
            "INSERT INTO revisions SELECT 'p-' || lpad(i::VARCHAR, 8, '0'), 1, md5(i::VARCHAR), 'intake', 'import',"
            " '1', now()",
            "INSERT INTO revision_text SELECT 'p-' || lpad(i::VARCHAR, 8, '0'), 1, '', '[]',"
            " repeat('why ' || i || '? ', 10), repeat('because ' || i || '. ', 20), '{}'",
        ):
            store.write(partial(Tx.execute, sql=f"{sql} FROM range({n}) t(i)"))
    reader = users.Actor("viewer", "viewer")

    def page(n: int, offset: int = 0) -> float:
        begun = time.perf_counter()
        rows = listing.list_pairs(
            stores[n], reader, TASK, status="approved", sort="newest", limit=25, offset=offset
        )
        assert len(rows) == 25
        return time.perf_counter() - begun

    def plain(offset: int) -> float:
        begun = time.perf_counter()
        stores[large].rows(
            "SELECT s.*, r.author, p.source, t.prompt, t.completion FROM pair_state s JOIN pairs p USING (pair_id)"
            " JOIN revisions r ON r.pair_id = s.pair_id AND r.rev = s.rev"
            " JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = s.rev WHERE s.task = ?"
            " AND s.status = 'approved' ORDER BY s.updated_seq DESC, s.pair_id LIMIT 25 OFFSET ?",
            [TASK, offset],
        )
        return time.perf_counter() - begun

    page(small), page(large), plain(deep)
    one, many, ours, theirs = [], [], [], []
    for _ in range(times):
        one.append(page(small))
        many.append(page(large))
        ours.append(page(large, deep))
        theirs.append(plain(deep))
    for store in stores.values():
        store.close()
    first, deeper = _p95(many) / _p95(one), _p95(theirs) / _p95(ours)
    spread = f"{times} pages each, in turns"
    return [
        _row(
            f"first page of a filtered, sorted list, p95 in ms, {large:,} pairs against {small:,}",
            "<= 3x",
            _ms(_p95(many)),
            _ms(_p95(one)),
            round(first, 2),
            spread,
            None if quick else first <= 3,
        ),
        _row(
            f"a page {deep:,} rows deep, p95 in ms, against OFFSET on full rows",
            ">= 3x faster",
            _ms(_p95(ours)),
            _ms(_p95(theirs)),
            round(deeper, 2),
            spread,
            None if quick else deeper >= 3,
        ),
    ]


def _growth(folder: Path, quick: bool) -> list[dict[str, Any]]:
    n, edits = (100, 200) if quick else (2_000, 10_000)
    store = _store(folder, n)
    admin = users.actor_for(store, "admin")
    pairs = [row["pair_id"] for row in store.rows("SELECT pair_id FROM pair_state ORDER BY pair_id")]

    def edit(number: int) -> None:
        pair, rev = pairs[number % n], 1 + number // n
        review.decide(store, admin, pair, rev, "edit", completion=f"Edit {number}. " * 80, pack=PACK)

    for turn in range(0, edits, n):  # one round over all pairs at a time: each edit follows its predecessor
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(edit, range(turn, min(turn + n, edits))))
    store.close()
    from curate.store.backup import compact

    size = compact(folder / "store.duckdb")
    ratio = size["before"] / size["after"]
    return [
        _row(
            f"file in MB after {edits:,} edits of about 1 kB, against the same rows written anew",
            "<= 1.5x",
            round(size["before"] / 2**20, 1),
            round(size["after"] / 2**20, 1),
            round(ratio, 2),
            "one run; the file holds every revision",
            None if quick else ratio <= 1.5,
        )
    ]


# --- over REST and in the browser --------------------------------------------------------------------------------


@contextmanager
def _serving(folder: Path, pairs: int, people: int) -> Iterator[tuple[str, list[str], str]]:
    """A server on a fresh workspace: its address, a token for each reviewer, the one-time link."""
    workspace = Workspace.create(folder / "ws")
    (workspace.tasks / TASK).mkdir()
    (workspace.tasks / TASK / "task.toml").write_text(PACK_TEXT, "utf-8")
    with Store.open(workspace.store) as store:
        users.ensure_owner(store, "admin")
        admin = users.actor_for(store, "admin")
        tokens = []
        for i in range(people):
            users.create_user(store, admin, f"reviewer{i}", "reviewer")
            tokens.append(users.issue_token(store, admin, f"reviewer{i}"))
        add_pairs(store, pairs)
    command = [
        sys.executable,
        "-u",
        "-m",
        "curate.cli",
        "serve",
        "-w",
        str(workspace.root),
        "--port",
        "0",
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout
    assert out is not None
    try:
        told = json.loads(out.readline())
        threading.Thread(target=out.read, daemon=True).start()
        yield told["url"], tokens, told["sign_in"]
    finally:
        process.terminate()
        process.wait(60)


def _reviewers(folder: Path, quick: bool) -> list[dict[str, Any]]:
    crowds, each, think = ((1, 3, 6), 3, 0.05) if quick else ((1, 10, 30), 20, 2.0)
    rows, alone = [], 0.0
    need = sum(crowds) * each + 200
    with _serving(folder, need, max(crowds)) as (url, tokens, _):
        for crowd in crowds:
            with ThreadPoolExecutor(crowd) as pool:
                told = [
                    one
                    for person in pool.map(partial(_person, url, each, think), tokens[:crowd])
                    for one in person
                ]
            tail = _p95([seconds for _, seconds, _ in told])
            decided = [pair for pair, _, _ in told]
            errors = [error for _, _, error in told if error]
            doubled = len(decided) - len(set(decided))
            spread = (
                f"{len(decided)} decisions, one in {think} s each, {len(errors)} errors, {doubled} doubled"
            )
            if crowd == 1:
                alone = tail
                continue
            ok = not errors and not doubled
            most = crowd == max(crowds)
            rows.append(
                _row(
                    f"{crowd} reviewers over REST, p95 of an acknowledged decision in ms, against one",
                    "no error, no double assignment" if most else "<= 3x",
                    _ms(tail),
                    _ms(alone),
                    round(tail / alone, 2),
                    spread,
                    ok if most else None if quick else ok and tail <= 3 * alone,
                )
            )
    return rows


def _person(url: str, each: int, think: float, token: str) -> list[tuple[str, float, str]]:
    """One reviewer: (pair, seconds until the decision was acknowledged, error) of each decision."""
    told = []
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        for _ in range(each):
            [item] = client.post("/api/v1/review/next", json={"task": TASK, "n": 1}).json()["items"]
            time.sleep(think)
            begun = time.perf_counter()
            fields = {"pair_id": item["pair_id"], "rev": item["rev"], "verdict": "approve"}
            answer = client.post("/api/v1/review/decide", json=fields)
            seconds = time.perf_counter() - begun
            told.append((item["pair_id"], seconds, "" if answer.status_code == 200 else answer.text))
    return told


# What one writes first: a button a decision, the decision in DuckDB, the next item from DuckDB.
PLAIN_PAGE = """
    import duckdb, streamlit as st
    @st.cache_resource
    def opened():
        con = duckdb.connect("plain.duckdb")
        con.execute("CREATE TABLE pairs AS SELECT 'p-' || lpad(i::VARCHAR, 5, '0') AS pair_id, 'ready' AS status,"
                    " repeat('Question ' || i || '? ', 12) AS prompt, repeat('Answer ' || i || '. ', 30) AS completion"
                    " FROM range(5000) t(i)")
        con.execute("CREATE TABLE events (pair_id VARCHAR, kind VARCHAR, ts TIMESTAMP)")
        return con
    con = opened().cursor()
    def approve(shown):
        con.execute("BEGIN")
        con.execute("UPDATE pairs SET status = 'approved' WHERE pair_id = ?", [shown])
        con.execute("INSERT INTO events VALUES (?, 'approve', now()::TIMESTAMP)", [shown])
        con.execute("COMMIT")
    name, prompt, completion = con.execute("SELECT pair_id, prompt, completion FROM pairs WHERE status = 'ready'"
                                           " ORDER BY pair_id LIMIT 1").fetchone()
    left, right = st.columns(2)
    left.text(prompt)
    right.text(completion)
    st.html(f'<p class="shown" data-pair="{name}">{name}</p>')
    st.button("Approve", key=f"approve-{name}", shortcut="A", on_click=approve, args=(name,))
"""
# A screen of 60 frames a second makes any page wait up to 17 ms, ours most of its time: no page can be ten times faster
# than 117 ms there. So the ratio is taken where frames come as fast as they are made, on both sides.
FRAMES = {
    "60 frames a second": [],
    "no frame limit": ["--disable-frame-rate-limit", "--disable-gpu-vsync"],
}
# The shown pair, through shadow roots; from a key's own time until the frame that shows another pair is painted: a
# message posted by a frame's callback is handled after that frame. It must listen before the page does: the card lets
# no later listener hear the keys it takes.
WATCH = """(() => {
  const find = (root) => { for (const e of root.querySelectorAll('*')) {
      if (e.dataset?.pair) return e;
      const inner = e.shadowRoot && find(e.shadowRoot);
      if (inner) return inner; }
    return null; };
  let held = null;
  window.shownPair = () => { if (!held?.isConnected) held = find(document); return held?.dataset.pair ?? null; };
  window.painted = [];
  const after = new MessageChannel();
  after.port1.onmessage = ({ data }) => window.painted.push(performance.now() - data);
  window.addEventListener('keydown', (event) => {
    const begun = event.timeStamp, before = window.shownPair();
    const look = () => { const now = window.shownPair();
      if (now && now !== before) after.port2.postMessage(begun);
      else if (performance.now() - begun < 20000) requestAnimationFrame(look); };
    requestAnimationFrame(look);
  }, true);
})()"""


def _keys(folder: Path, quick: bool) -> list[dict[str, Any]]:
    if CHROMIUM is None:
        return [
            _row(
                "key to next item painted, p95 in ms",
                "<= 50 and >= 10x",
                None,
                None,
                None,
                "no chromium",
                None,
            )
        ]
    from playwright.sync_api import sync_playwright

    keys, rounds = (5, 1) if quick else (24, 4)
    script = folder / "plain.py"
    script.write_text(textwrap.dedent(PLAIN_PAGE), "utf-8")
    port = _free_port()
    plain = subprocess.Popen(
        [
            *(sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)),
            *(
                "--server.headless",
                "true",
                "--server.address",
                "127.0.0.1",
                "--browser.gatherUsageStats",
                "false",
            ),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"},
        cwd=folder,
    )
    rows = []
    try:
        with _serving(folder, (keys * rounds + 60) * 2, 0) as (url, _, link), sync_playwright() as play:
            places, signed_in = (f"{url}/review?task={TASK}", f"http://127.0.0.1:{port}"), None
            for flags in FRAMES.values():
                browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
                if signed_in is None:  # the link is good for one time
                    page = browser.new_page()
                    _open(page, link)
                    page.wait_for_selector("h1", timeout=120_000)
                    signed_in = page.context.storage_state()
                rows.append(_pressed(browser, places, signed_in, keys, rounds))
                browser.close()
    finally:
        plain.terminate()
        plain.wait(30)
    told = []
    for name, (ours, theirs) in zip(FRAMES, rows, strict=True):
        tail, peer = _p95(ours), _p95(theirs)
        middle = f"{statistics.median(ours):.1f} and {statistics.median(theirs):.1f} ms"
        screen = bool(not FRAMES[name])
        told.append(
            _row(
                f"key to next item painted, {name}, p95 in ms, against a page of plain buttons",
                "<= 50 ms" if screen else ">= 10x faster",
                round(tail, 1),
                round(peer, 1),
                round(peer / tail, 1),
                f"{len(ours)} keys each in turns; medians {middle}",
                None if quick else tail <= 50 if screen else peer >= 10 * tail,
            )
        )
    return told


def _pressed(
    browser: Any, places: Sequence[str], signed_in: Any, keys: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds from key to painted item on our page and on the plain one, in turns."""
    pages = []
    for place in places:
        page = browser.new_context(storage_state=signed_in).new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        _open(page, place)
        page.wait_for_selector("[data-pair]")
        pages.append(page)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        for page, into in zip(pages, (ours, theirs), strict=True):
            page.bring_to_front()
            into += _press(page, keys)
    return ours, theirs


def _press(page: Any, keys: int) -> list[float]:
    page.evaluate("() => { window.painted.length = 0; }")
    for number in range(keys):
        page.keyboard.press("a")
        page.wait_for_function("(n) => window.painted.length > n", arg=number, polling=50)
        page.wait_for_timeout(150)  # a person looks at it, too
    return [float(value) for value in page.evaluate("() => window.painted")]


def _open(page: Any, url: str) -> None:
    """The plain page's server may still be starting."""
    for _ in range(120):
        try:
            page.goto(url)
            return
        except Exception:  # refused: not listening yet
            time.sleep(0.5)
    raise RuntimeError(f"{url} does not answer")


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
