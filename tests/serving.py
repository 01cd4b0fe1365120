"""A small real workspace and a server for it: what the tests of the routes and pages share.

The records go through the product's own import, scan and dedupe; nothing is written into tables by hand.
"""

from __future__ import annotations

import atexit
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from curate import jobs, ops, users
from curate.login import Sessions
from curate.server import State
from curate.store import Store
from curate.workspace import Workspace

TASK = "tiny"
PASSWORD = "correct horse battery"
PEOPLE = {"lea": "lead", "rita": "reviewer", "ann": "annotator", "vic": "viewer"}
PACK = """
name = "tiny"
title = "Tiny task"
system = "Answer in one line."
reject_reasons = ["off_task", "wrong"]

[[labels]]
name = "tone"
kind = "rating"
scale = 5
key = "t"

[privacy]
profile = "rules"
entities = ["EMAIL", "PHONE"]  # addresses of sites stay: hostile records must reach the pages as they are

[privacy.rules.PHONE]
review_below = 1.0  # a person decides on every one
"""
RECORDS = 66  # usable ones of `write_records`
WORDS = (
    "amber basket candle dolphin ember feather granite harbour island jasmine kettle lantern meadow nutmeg "
    "orchard pebble quarry ribbon saddle thimble umbrella velvet walnut yarrow zephyr "
    "anchor bramble copper drizzle fiddle"
).split()


def hostile(port: int) -> str:
    """Everything a record may try on a page that shows it; ``port`` is a listener that must hear nothing."""
    return (
        f"![beacon](http://127.0.0.1:{port}/markdown.png) "
        f"<img src=http://127.0.0.1:{port}/tag.png onerror=window.pwned=1>"
        f"<script>window.pwned=2;fetch('http://127.0.0.1:{port}/script')</script> [link](javascript:window.pwned=3) "
        f"<a href='javascript:window.pwned=4'>a</a> =HYPERLINK(\"http://127.0.0.1:{port}/formula\") "
        f"{{{{ 7*7 }}}} ${{7*7}} :material/home: $$x^2$$ <style>body{{background:url(http://127.0.0.1:{port}/css)}}</style>"
    )


class Beacon:
    """A listener that hostile records point to; ``heard`` are the paths that were asked for."""

    def __init__(self) -> None:
        heard: list[str] = []

        class Listener(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.heard, self.port = heard, int(server.server_address[1])


@cache
def beacon() -> Beacon:
    """One listener a test process, so that one workspace serves every module."""
    return Beacon()


def write_records(path: Path, n: int = 60) -> Path:
    """``n`` plain records, near-duplicates, personal data, hostile ones for every page, two bad rows."""
    dice = random.Random(7)
    rows = [
        {
            "id": f"r{i}",
            "source": f"s{i}",
            "prompt": " ".join(dice.sample(WORDS, 9)) + "?",
            "completion": " ".join(dice.sample(WORDS, 14)) + ".",
        }
        for i in range(n)
    ]
    bad = hostile(beacon().port)
    some = " ".join(dice.sample(WORDS, 20)) + " " + bad[: bad.index("<script>")]
    rows += [
        {**rows[0], "id": "twin", "source": "twin", "completion": rows[0]["completion"].upper()},
        {
            "id": "mail",
            "source": "m",
            "prompt": "Who wrote this?",
            "completion": "Write to asha.rao@corp.example.org.",
        },
        {"id": "bad-actor", "source": "x", "prompt": "hostile " + bad, "completion": "answer " + bad},
        {
            "id": "bad-call",
            "source": "y",
            "prompt": "number?",
            "completion": f"call +91 98765 43210 or {bad}",
        },
        {"id": "bad-one", "source": "z1", "prompt": some, "completion": "same " + some},
        {"id": "bad-two", "source": "z2", "prompt": some + "!", "completion": "Same " + some},
    ]
    lines = [json.dumps(row) for row in rows]
    lines += ["{not json", json.dumps({"id": "empty", "source": "e", "prompt": "", "completion": "x"})]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@cache
def _template() -> Path:
    """The filled workspace, made once a test process: its scan and dedupe are real jobs and take their time."""
    root = Path(tempfile.mkdtemp(prefix="goldpair-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    workspace = Workspace.create(root / "ws")
    pack = workspace.tasks / TASK
    pack.mkdir()
    (pack / "task.toml").write_text(PACK, "utf-8")
    (pack / "guidelines.md").write_text("# Guidelines\nversion: 3\n\n<b>Be kind.</b>\n", "utf-8")
    store = Store.open(workspace.store)
    try:
        users.ensure_owner(store, "admin")
        admin = users.actor_for(store, "admin")
        for name, role in PEOPLE.items():
            users.create_user(store, admin, name, role, PASSWORD)
        context = ops.Context(store, workspace, admin, local=True)
        ops.run(context, "import", {"task": TASK, "path": str(write_records(root / "records.jsonl"))})
        for operation in ("scan", "dedupe"):
            job = ops.run(context, operation, {"task": TASK})["job"]
            done = jobs.wait(store, workspace, job)
            assert done["state"] == "done", done
    finally:
        store.close()
    return workspace.root


def make_workspace(root: Path) -> Workspace:
    """A workspace of one's own: a pack, people with passwords, records imported, scanned and deduplicated."""
    shutil.copytree(_template(), root / "ws")
    return Workspace(root / "ws")


@contextmanager
def opened(workspace: Workspace) -> Iterator[State]:
    """The state of a server, without its process: for routes and pages called in this one."""
    from curate import server

    store = Store.open(workspace.store)
    try:
        state = State(workspace, store, Sessions(workspace.key), token="t" * 43, url="http://127.0.0.1")
        server.attach(state)
        yield state
    finally:
        server.attach(None)
        store.close()


class Running:
    """A real server process and what it printed."""

    def __init__(self, process: subprocess.Popen[str], said: list[str]) -> None:
        self.process, self.said = process, said

    @property
    def link(self) -> str:
        """The newest one-time sign-in link."""
        return re.findall(r"http://\S+/login\?token=\S+", "".join(self.said))[-1]

    @property
    def base(self) -> str:
        return self.link.split("/login")[0]


@contextmanager
def serving(workspace: Workspace, port: int = 0) -> Iterator[Running]:
    """``goldpair serve`` on a free port or on this one, ended at the end."""
    command = [sys.executable, "-u", "-m", "curate.cli", "serve", "-w", str(workspace.root)]
    command += ["--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process, said), daemon=True)
    reader.start()
    try:
        give_up = time.monotonic() + 180
        while not any("Stop it with" in line for line in list(said)):
            assert process.poll() is None, "".join(said)
            assert time.monotonic() < give_up, "".join(said)
            time.sleep(0.1)
        yield Running(process, said)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _read(process: subprocess.Popen[str], said: list[str]) -> None:
    for line in process.stdout or ():
        said.append(line)
