"""The built wheel works on its own, far from the checkout.

It is built, installed into a fresh environment that sees this environment's libraries but not the checkout, and
used there from an empty folder: doctor, a workspace, an import of the shipped pack, the scorers, the server.
Does not cover: fetching the dependencies themselves (the lock file does) nor training from a wheel.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


class Installed(NamedTuple):
    """A place where only the wheel is installed."""

    wheel: Path
    bin: Path
    empty: Path  # the current folder of every command

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / str(command[0])), *map(str, command[1:])],
            cwd=self.empty,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def json(self, *command: str | Path) -> dict[str, Any]:
        done = self.run("goldpair", *command, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def python(self, code: str) -> str:
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def environment() -> dict[str, str]:
    """Without anything that could lead back to the checkout or to another workspace."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "GOLDPAIR_", "COV_"))
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(ROOT)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (folder / "dist").glob("goldpair-*.whl")

    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    binaries = home / "bin"
    # Folders named in a .pth file are searched, but the .pth files inside them are not read: the libraries of
    # this environment are seen, its editable link to the checkout is not.
    site = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    libraries = dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n", "utf-8")
    pip = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(binaries / "python"), "install", "--quiet"),
            *("--no-deps", "--no-index", "--disable-pip-version-check", "--force-reinstall", str(wheel)),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert pip.returncode == 0, pip.stdout + pip.stderr
    (folder / "empty").mkdir()
    return Installed(wheel, binaries, folder / "empty")


@pytest.fixture(scope="module")
def workspace(installed: Installed) -> Path:
    root = installed.empty / "ws"
    assert installed.json("init", "ws") == {"workspace": str(root)}
    return root


def test_the_wheel_holds_every_file_of_the_rooms(installed: Installed) -> None:
    inside = set(zipfile.ZipFile(installed.wheel).namelist())
    wanted = {"curate/_app.py"}
    for room in ("curate", "train", "evals"):
        wanted |= {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / room).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    packs = ROOT / "data" / "tasks"
    wanted |= {f"curate/_packs/{p.relative_to(packs).as_posix()}" for p in packs.rglob("*") if p.is_file()}
    assert wanted <= inside, sorted(wanted - inside)
    strangers = {
        name for name in inside - wanted if not name.startswith(("curate/", "goldpair-")) or "test" in name
    }
    assert strangers == set()
    assert installed.wheel.stat().st_size < 20 * 2**20


def test_the_checkout_cannot_be_imported_there(installed: Installed) -> None:
    """Else everything below would prove nothing."""
    found = json.loads(
        installed.python(
            "import curate, train, evals, sys, json, importlib.util as u, importlib.metadata as m\n"
            "print(json.dumps({'files': [x.__file__ for x in (curate, train, evals)], 'path': sys.path,\n"
            "  'others': [u.find_spec(n) is not None for n in ('benchmarks', 'app')],\n"
            "  'metadata': str(m.distribution('goldpair')._path)}))"
        )
    )
    home = installed.bin.parent
    assert all(Path(file).is_relative_to(home) for file in found["files"]), found["files"]
    assert str(ROOT) not in found["path"] and found["others"] == [False, False]
    assert Path(found["metadata"]).is_relative_to(home)


def test_doctor(installed: Installed) -> None:
    result = installed.json("doctor")
    assert result["ok"] and result["goldpair"] != "not installed"
    packs = next(c for c in result["checks"] if c["name"] == "shipped task packs")
    assert packs["state"] == "ok" and "sarcastic-bot" in packs["detail"]
    assert len([c for c in result["checks"] if c["group"] == "dependencies"]) > 30


def test_import_of_the_shipped_pack(installed: Installed, workspace: Path) -> None:
    records = installed.python(
        "from curate.tasks import find_pack; print(find_pack('sarcastic-bot') / 'records.jsonl')"
    )
    assert Path(records).is_relative_to(installed.bin.parent)
    lines = sum(1 for line in Path(records).read_text("utf-8").splitlines() if line.strip())
    first = installed.json("import", "sarcastic-bot", records, "-w", workspace)
    assert first["imported"] >= 400
    assert first["imported"] + first["quarantined"] + first["already_there"] == lines, "every row is there"
    again = installed.json("import", "sarcastic-bot", records, "-w", workspace)
    assert again["imported"] == 0


def test_scorers_are_reached_from_the_wheel(installed: Installed) -> None:
    folders = sorted(p.name for p in (ROOT / "evals" / "metrics").iterdir() if (p / f"{p.name}.py").is_file())
    code = "import evals; print(' '.join(n for n in evals.metric_names() if evals.metric(n) is not None))"
    assert installed.python(code).split() == folders


@pytest.fixture
def server(installed: Installed, workspace: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [str(installed.bin / "goldpair"), "serve", "-w", str(workspace), "--port", "0"],
        cwd=installed.empty,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        marker = workspace / "server.json"
        give_up = time.monotonic() + 120
        while not marker.exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < give_up, "no server.json"
            time.sleep(0.2)
        yield json.loads(marker.read_text("utf-8"))["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def test_the_server(installed: Installed, workspace: Path, server: str) -> None:
    with httpx.Client(base_url=server, trust_env=False, timeout=60, follow_redirects=True) as client:
        health = client.get("/healthz")
        assert health.status_code == 200, health.text
        document = client.get("/api/v1/openapi.json").json()
        assert "/api/v1/import" in document["paths"]
        page = client.get("/")
        assert page.status_code == 200 and "<html" in page.text.lower()
    # The command line goes through the server while it holds the store.
    assert installed.json("users", "list", "-w", workspace)["users"]
    told = installed.json("doctor", "-w", workspace)["checks"]
    assert next(c for c in told if c["name"] == "server")["detail"].startswith(f"running at {server}")
