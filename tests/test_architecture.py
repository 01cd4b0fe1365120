"""The rooms know each other only as docs/architecture.md allows; every public thing says what it is for.

Does not cover: behaviour. It reads the source and runs nothing of it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("curate", "train", "evals")
SOURCES = sorted(
    path
    for pattern in ("app.py", *(f"{room}/**/*.py" for room in ROOMS), "benchmarks/*.py", "scripts/*.py")
    for path in ROOT.glob(pattern)
)
NAMES = [path.relative_to(ROOT).as_posix() for path in SOURCES]


def tree_of(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"), name)


def imports_of(name: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, also those inside functions; ``from a import b`` gives ``a.b``.

    A relative import is resolved from the file's place.
    """
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = Path(name).parts[: len(Path(name).parts) - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def offenders(files: list[str], wrong: re.Pattern[str], fine: re.Pattern[str] | None = None) -> list[str]:
    return [
        f"{name}:{line}: {what}"
        for name in files
        for line, what in imports_of(name)
        if wrong.match(what) and not (fine and fine.match(what))
    ]


def within(*folders: str) -> list[str]:
    return [name for name in NAMES if name.startswith(tuple(f"{folder}/" for folder in folders))]


def but(*prefixes: str) -> list[str]:
    return [name for name in NAMES if not name.startswith(prefixes)]


# --- who may know whom --------------------------------------------------------------------------------------


def test_train_and_evals_know_of_curate_only_the_contract() -> None:
    contract = re.compile(r"curate\.(contract|tasks|errors)(\.|$)")
    assert offenders(within("train", "evals"), re.compile(r"curate(\.|$)"), contract) == []


def test_data_flows_one_way() -> None:
    assert offenders(within("train"), re.compile(r"evals(\.|$)")) == []
    assert offenders(within(*ROOMS), re.compile(r"(app|benchmarks|scripts|tests)(\.|$)")) == []


def test_only_the_store_opens_the_database() -> None:
    """Others may catch its exceptions. The doctor reads the schema version of a store it must not migrate."""
    allowed = {"duckdb.ConstraintException", "duckdb.Error", "duckdb.IOException"}
    found = []
    for name in but("curate/store/", "curate/doctor.py", "benchmarks/"):
        found += offenders([name], re.compile(r"duckdb\."))  # from duckdb import ...
        found += [
            f"{name}:{node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "duckdb"
            and ast.unparse(node) not in allowed
        ]
    assert found == []


def test_privacy_and_dedupe_know_no_store() -> None:
    wrong = re.compile(r"curate\.(store|ops|review|findings|clusters|users|jobs|client)(\.|$)")
    assert offenders(within("curate/privacy", "curate/dedupe"), wrong) == []


def test_only_the_doors_know_streamlit() -> None:
    files = but("app.py", "curate/views/", "curate/server.py")
    assert offenders(files, re.compile(r"streamlit(\.|$)")) == []


def test_app_is_only_the_server() -> None:
    assert offenders(["app.py"], re.compile(r"(curate\.store|train|evals)(\.|$)")) == []
    assert len((ROOT / "app.py").read_text("utf-8").splitlines()) < 60


def test_the_table_in_the_docs_is_the_one_tested_here() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for room in ("`curate/`", "`train/`", "`evals/`", "`app.py`"):
        assert f"| {room} |" in text
    assert "tests/test_architecture.py" in text


def test_an_import_inside_a_function_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of imports itself: without this, an empty answer would prove nothing."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "x.py").write_text(
        "def f():\n    from curate import store\n    import curate.store.core as c\n    from curate import tasks\n"
        "from ..curate import users\nfrom . import render\n"
    )
    monkeypatch.setattr("tests.test_architecture.ROOT", tmp_path)
    fine = re.compile(r"curate\.(contract|tasks|errors)(\.|$)")
    assert sorted(offenders(["train/x.py"], re.compile(r"curate(\.|$)"), fine)) == [
        "train/x.py:2: curate.store",
        "train/x.py:3: curate.store.core",
        "train/x.py:5: curate.users",
    ]


# --- what everything says about itself ----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_what_it_covers_and_what_it_does_not(name: str) -> None:
    text = ast.get_docstring(tree_of(name))
    assert text, "no module docstring"
    assert re.search(r"\b(not|nor|no|nothing|never|none|left out)\b", text, re.IGNORECASE), (
        "what does it not cover?"
    )


def public(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """What other modules may use of this one: of a sub-package what its ``__init__`` exports, else every name

    without an underscore. Pydantic models are left out, their fields say what they are; so is ``main``.
    """
    module = tree_of(name)
    exported = None
    if (ROOT / name).parent.name not in ROOMS and (ROOT / name).with_name("__init__.py").is_file():
        exported = {
            what.rpartition(".")[2] for _, what in imports_of(f"{Path(name).parent.as_posix()}/__init__.py")
        }
    models = {"BaseModel"} | {
        what.rpartition(".")[2] for _, what in imports_of(name) if what.endswith("Strict")
    }
    found = []
    for node in module.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} & models:
            models.add(node.name)
        elif node.name != "main" and (exported is None or node.name in exported):
            found.append(node)
    return [node for node in found if not node.name.startswith("_")]


@pytest.mark.parametrize("name", [n for n in within(*ROOMS) if not Path(n).name.startswith("_")])
def test_public_names_have_docstrings(name: str) -> None:
    without = [f"{name}:{n.lineno}: {n.name}" for n in public(name) if ast.get_docstring(n) is None]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_a_module_stays_readable(name: str) -> None:
    lines = len((ROOT / name).read_text("utf-8").splitlines())
    assert lines <= 650, "split it"


# --- what must not be in the repository ---------------------------------------------------------------------


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


#: a path that exists on one machine only: folders of a user, of a mount, of a scratch place
MACHINE = re.compile(r"(?<![\w.$}~/-])/(?:work|root|opt|srv|tmp|home|Users)/[\w.]")
#: where packages are fetched from, other than the public index and torch's own
REGISTRY = re.compile(
    r"https?://(?!pypi\.org|download\.pytorch\.org)[^\s\"'/]*"
    r"(?:pypi|registry|artifactory|nexus|mirror|/simple)",
    re.IGNORECASE,
)


def test_no_machine_path_and_no_registry_host_in_tracked_files() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a picture, or a file deleted but not yet committed
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for wrong in (MACHINE, REGISTRY):
                if match := wrong.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [  # ~ stands for a slash and @ for "pypi", so that this file does not hold what it looks for
        ("open('~work~x')", True),
        ("see ~root~.cache", True),
        ("GET https:~~@.example.test~simple", True),
        ("--bind ~usr ~usr --tmpfs ~tmp", False),
        ("https:~~@.org~project~goldpair", False),
        ("https:~~download.pytorch.org~whl~cpu", False),
        ("GET ~api~v1~work~x", False),
    ],
)
def test_the_search_finds_what_it_should(line: str, wrong: bool) -> None:
    line = line.replace("~", "/").replace("@", "pypi")
    assert bool(MACHINE.search(line) or REGISTRY.search(line)) is wrong


def test_the_lock_names_versions_only() -> None:
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.!+]+", line), line
