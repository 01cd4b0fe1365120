"""``goldpair doctor``: each thing that can be missing is really taken away, and must be told.

Does not cover: how the things are used once they are there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from curate.doctor import disk_use, examine, size_words
from curate.store import Store
from curate.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent


def command(*arguments: str | Path, code: int = 0, **environment: str) -> dict[str, Any]:
    """The real command's JSON, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "curate.cli", "doctor", "--json", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def check(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in result["checks"] if c["name"] == name)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "ws")
    Store.open(made.store).close()
    return made


def executable(folder: Path, name: str, text: str) -> str:
    """A program of that name; returns a PATH on which it comes first."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_every_declared_dependency_is_checked() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~ ;\[]", line, maxsplit=1)[0] for line in declared}
    result = examine(None)
    told = {c["name"]: c for c in result["checks"] if c["group"] == "dependencies"}
    # The declaration of an editable install is as old as that install.
    assert len(names & set(told)) > 30
    assert all(c["version"] for c in told.values() if c["state"] == "ok" and c["required"])
    assert result["ok"] and result["workspace"] is None
    assert {c["state"] for c in result["checks"]} <= {"ok", "warn", "missing"}
    for c in result["checks"]:
        if c["state"] == "missing":
            assert c["disables"] and c["how"], c


def test_a_missing_requirement_ends_with_1_and_says_how(tmp_path: Path) -> None:
    info = tmp_path / "goldpair-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: goldpair\nVersion: 0.1.0\nRequires-Dist: polars>=9999\n"
        "Requires-Dist: goldpair-no-such-library>=1\n"
    )
    result = command(code=1, PYTHONPATH=str(tmp_path))
    missing = check(result, "goldpair-no-such-library")
    assert missing["state"] == "missing" and missing["required"] and missing["how"]
    assert check(result, "polars")["state"] == "warn" and ">=9999" in check(result, "polars")["detail"]
    assert result["ok"] is False


def test_a_missing_base_model_says_what_it_disables_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOLDPAIR_CACHE", str(tmp_path))
    found = check(examine(None), "base model smollm2-135m-instruct")
    assert found["state"] == "missing" and not found["required"]
    assert "demo" in found["disables"] and found["how"] == "python -m train.base fetch"


def test_missing_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = examine(None)
    for name in ("gnucobol", "bubblewrap", "chromium"):
        assert check(result, name)["state"] == "missing"
        assert check(result, name)["how"] == f"apt-get install {name}"
    assert result["ok"], "none of them is required"


@pytest.mark.sandbox
def test_bubblewrap_that_does_not_isolate_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that runs the command without a sandbox must not pass for one."""
    leaky = executable(
        tmp_path / "leaky",
        "bwrap",
        '#!/bin/sh\n[ "$1" = --version ] && echo "bubblewrap 0.8.0" && exit 0\n'
        'while [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n',
    )
    monkeypatch.setenv("PATH", leaky)
    found = check(examine(None), "bubblewrap")
    assert found["state"] == "warn" and "does not isolate" in found["detail"] and found["disables"]

    refused = executable(tmp_path / "refused", "bwrap", "#!/bin/sh\necho 'no namespaces here' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", refused)
    found = check(examine(None), "bubblewrap")
    assert found["state"] == "warn" and "no namespaces here" in found["detail"]


def test_a_gpu_that_the_torch_build_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    path = executable(tmp_path / "bin", "nvidia-smi", "#!/bin/sh\necho 'NVIDIA Test, 9.0, 81559 MiB'\n")
    monkeypatch.setenv("PATH", path)
    found = check(examine(None), "torch build")
    if torch.version.cuda is None:
        assert found["state"] == "warn" and "TORCH_INDEX" in found["how"]
    else:
        assert found["state"] == "ok" and "bf16 yes" in found["detail"]


def test_workspace(workspace: Workspace) -> None:
    (workspace.models / "m").mkdir()
    (workspace.models / "m" / "weights").write_bytes(b"x" * 5000)
    result = examine(workspace)
    assert check(result, "store")["version"].startswith("schema ")
    assert check(result, "permissions")["state"] == "ok"
    assert "not running" in check(result, "server")["detail"]
    use = {row["folder"]: row for row in result["workspace"]["disk"]}
    assert use["models"] == {"folder": "models", "bytes": 5000, "files": 1}
    assert use["."]["bytes"] > 0 and use["."]["files"] >= 3
    assert disk_use(workspace) == result["workspace"]["disk"]


def test_looking_changes_nothing(workspace: Workspace) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in workspace.root.rglob("*")}
    examine(workspace)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in workspace.root.rglob("*")} == before


def test_a_locked_store_names_its_owner(workspace: Workspace) -> None:
    with Store.open(workspace.store):
        found = check(command("-w", workspace.root), "store")
    assert found["state"] == "ok" and f"process {os.getpid()}" in found["detail"]


@pytest.mark.parametrize(
    "damage",
    [
        ("permissions", "warn", lambda w: w.root.chmod(0o755)),
        ("secret key", "missing", lambda w: (w.root / "secret.key").unlink()),
        ("store", "missing", lambda w: w.store.unlink()),
        ("store", "warn", lambda w: w.store.write_bytes(b"not a database" * 1000)),
    ],
    ids=["open to others", "no key", "no store", "broken store"],
)
def test_damage(workspace: Workspace, damage: tuple[str, str, Any]) -> None:
    name, state, break_it = damage
    break_it(workspace)
    found = check(command("-w", workspace.root, code=int(name == "secret key")), name)
    assert found["state"] == state and found["how"]


def test_a_newer_store_is_told(workspace: Workspace) -> None:
    import duckdb

    with duckdb.connect(str(workspace.store)) as con:
        con.execute("UPDATE meta SET value = '9999' WHERE key = 'schema_version'")
    found = check(examine(workspace), "store")
    assert found["state"] == "warn" and "newer" in found["how"]


def test_it_imports_no_heavy_library() -> None:
    code = (
        "import sys\nfrom curate import doctor\ndoctor.examine(None)\n"
        "print([m for m in ('torch', 'transformers', 'spacy', 'streamlit', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB")]
)
def test_sizes(number: int, words: str) -> None:
    assert size_words(number) == words
