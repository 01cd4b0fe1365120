"""The command line: help with examples, ``--json``, exit codes, a start without heavy libraries, fresh docs.

Does not cover: what the verbs do; each has its own tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from curate.cli import app, main
from curate.cli_base import show_table
from scripts import gen_docs

COMMANDS = {" ".join(path): command for path, command in gen_docs.commands()}
VERBS = """init import scan dedupe preflight train eval gate report promote serve doctor demo
    review:next review:decide review:undo snapshot:create snapshot:verify snapshot:diff snapshot:export
    models:list models:show models:import jobs:list jobs:show jobs:wait jobs:cancel jobs:log"""


def goldpair(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GOLDPAIR_")}
    return subprocess.run(
        [sys.executable, "-m", "curate.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**clean, "COLUMNS": "200", **environment},
    )


def inside(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, **environment: str) -> int:
    """The same command in this process, which spares its start; returns the exit code."""
    for name in ("GOLDPAIR_WORKSPACE", "GOLDPAIR_USER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["goldpair", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "ws"
    done = goldpair("init", root)
    assert done.returncode == 0, done.stderr
    return root


# --- help and reference -------------------------------------------------------------------------------------


def test_the_promised_verbs_exist() -> None:
    assert {verb.replace(":", " ") for verb in VERBS.split()} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_of_this_very_command(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"$ goldpair {name}" in shown.output
    assert COMMANDS[name].help, "no sentence on what it does"
    assert [p.name for p in COMMANDS[name].params if not p.help] == [], "without help"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_parse(name: str) -> None:
    """Every option that an example uses exists, and so does every verb."""
    for line in gen_docs.examples(COMMANDS[name]):
        for part in line.split("&&"):
            words = part.split()
            if words[0] != "goldpair":
                continue
            verb = next(v for v in (" ".join(words[1:3]), words[1]) if v in COMMANDS)
            known = {option for p in COMMANDS[verb].params for option in p.opts}
            used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= known, line


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"serve"}))  # serve runs until it is stopped
def test_every_verb_can_print_json(name: str) -> None:
    assert any("--json" in p.opts for p in COMMANDS[name].params)


@pytest.mark.parametrize("page", gen_docs.PAGES)
def test_generated_pages_are_fresh(page: str) -> None:
    path = gen_docs.ROOT / "docs" / page
    assert path.read_text("utf-8") == gen_docs.PAGES[page](), "run `make docs`"


def test_the_reference_names_every_command_and_option() -> None:
    text = (gen_docs.ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, command in COMMANDS.items():
        _, _, section = text.partition(f"\n## goldpair {name}\n")
        section = section.partition("\n## ")[0]
        assert section, name
        for param in command.params:
            word = param.opts[0] if param.opts[0].startswith("-") else param.name.upper()
            assert f"`{word}" in section, (name, word)


PAGES = sorted([*(gen_docs.ROOT / "docs").glob("*.md"), *gen_docs.ROOT.glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    """Every ``goldpair`` line of a console block names a verb and options that are there."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;", line.partition(" #")[0]):
            found = re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?goldpair (.*)", part)
            if found is None:
                continue
            words = found[1].split()
            verb = next((v for v in (" ".join(words[:2]), words[0]) if v in COMMANDS), None)
            assert verb, line
            known = {option for p in COMMANDS[verb].params for option in p.opts} | {"--help", "-h"}
            assert {w.split("=")[0] for w in words if re.match(r"--?[a-z]", w)} <= known, line


@pytest.mark.parametrize("page", [*PAGES, gen_docs.ROOT / "docs" / "llms.txt"], ids=lambda path: path.name)
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}, target


def test_llms_txt_lists_every_page() -> None:
    text = (gen_docs.ROOT / "docs" / "llms.txt").read_text("utf-8")
    assert [p.name for p in (gen_docs.ROOT / "docs").glob("*.md") if f"({p.name})" not in text] == []


def test_benchmark_page_shows_unmet_goals_as_unmet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "area": "speed",
        "figure": "rows a second | one core",
        "goal": 2.0,
        "ours": 1234567,
        "peer": None,
        "ratio": 1.5,
        "spread": [1.25, 1.75],
        "command": "python -m benchmarks speed",
        "versions": {"polars": "1.0"},
    }
    rows = [
        {**row, "met": False},
        {**row, "figure": "size", "met": True},
        {**row, "figure": "x", "met": None},
    ]
    (tmp_path / "speed.json").write_text(json.dumps({"machine": "m, 2 cores", "quick": True, "rows": rows}))
    monkeypatch.setattr(gen_docs, "RESULTS", tmp_path)
    page = gen_docs.benchmarks_page()
    assert "| rows a second \\| one core | 2 | 1,234,567 | – | 1.5 | 1.25 to 1.75 | **unmet** |" in page
    assert "1 of 2 goals met" in page and "--quick" in page and "polars 1.0" in page


def test_check_tells_a_stale_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(gen_docs, "ROOT", tmp_path)
    assert gen_docs.main(["--check"]) == 1
    assert not list((tmp_path / "docs").iterdir()), "--check writes nothing"
    assert gen_docs.main([]) == 0
    assert gen_docs.main(["--check"]) == 0
    (tmp_path / "docs" / "cli.md").write_text("old")
    assert gen_docs.main(["--check"]) == 1


# --- starting -----------------------------------------------------------------------------------------------

HEAVY = ("torch", "duckdb", "polars", "streamlit", "transformers", "spacy", "pandas", "numpy", "altair")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["snapshot", "create", "--help"]])
def test_help_imports_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "import sys, json\n"
        "from curate import cli\n"
        f"sys.argv = ['goldpair', *{arguments!r}]\n"
        "try:\n    cli.main()\n"
        "except SystemExit as ended:\n"
        f"    print(json.dumps([ended.code, [m for m in {HEAVY!r} if m in sys.modules]]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]
    assert "Usage" in done.stdout


# --- exit codes ---------------------------------------------------------------------------------------------


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object that a failing ``--json`` command prints."""
    body = json.loads(done.stdout)
    assert set(body) == {"error"} and set(body["error"]) == {"kind", "message", "reasons"}
    return body["error"]


def test_0_done(workspace: Path) -> None:
    done = goldpair("users", "list", "-w", workspace, "--json")
    assert done.returncode == 0, done.stderr
    assert [u["role"] for u in json.loads(done.stdout)["users"]] == ["admin"]
    assert done.stderr == ""


def test_0_init_again_keeps_what_is_there(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = (workspace / "secret.key").read_bytes()
    assert inside(monkeypatch, "init", workspace, "--json") == 0
    assert json.loads(capfd.readouterr().out) == {"workspace": str(workspace)}
    assert (workspace / "secret.key").read_bytes() == key
    assert inside(monkeypatch, "init", workspace, "--quiet") == 0
    assert capfd.readouterr().out == ""


def test_1_not_allowed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inside(monkeypatch, "users", "add", "lena", "--role", "viewer", "-w", workspace) == 0
    done = goldpair(
        "users", "add", "otto", "--role", "admin", "-w", workspace, "--json", GOLDPAIR_USER="lena"
    )
    assert done.returncode == 1
    assert error_of(done)["kind"] == "PermissionDenied"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["import", "sarcastic-bot"],
        ["train", "3fa9", "--no-such-option"],
        ["serve", "--port", "99999"],
        ["scan"],
        ["import", "sarcastic-bot", "x.jsonl", "--map", "prompt"],
        ["import", "no-such-task", "x.jsonl"],
        ["snapshot", "verify", "3fa9"],
        ["models", "show", "no-such-model"],
        ["jobs", "show", "j-none"],
        ["jobs", "log", "../secret.key"],
        ["users", "add", "max", "--role", "emperor"],
        ["gate", "no-such-run"],
    ],
)
def test_2_the_request_is_wrong(
    arguments: list[str],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert inside(monkeypatch, *arguments, GOLDPAIR_WORKSPACE=str(workspace)) == 2
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err.strip(), "the reason goes to standard error"


def test_2_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    done = goldpair("users", "list", "-w", tmp_path, "--json")
    assert done.returncode == 2
    assert error_of(done)["kind"] == "NotFound" and "goldpair init" in error_of(done)["message"]


def test_2_errors_of_a_broken_settings_file_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert inside(monkeypatch, "init", tmp_path / "ws") == 0
    (tmp_path / "ws" / "goldpair.toml").write_text("colour = 1\n")
    assert inside(monkeypatch, "users", "list", "-w", tmp_path / "ws") == 2
    told = capfd.readouterr().err
    assert "goldpair.toml" in told and "colour" in told


def test_3_a_gate_refuses_with_its_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ws"
    assert inside(monkeypatch, "init", root) == 0
    assert inside(monkeypatch, "audit", "verify", "-w", root) == 0
    with duckdb.connect(str(root / "store.duckdb")) as con:
        con.execute("UPDATE events SET actor = 'somebody-else' WHERE seq = (SELECT min(seq) FROM events)")
    done = goldpair("audit", "verify", "-w", root, "--json")
    assert done.returncode == 3
    assert error_of(done)["kind"] == "RefusedError" and error_of(done)["reasons"]
    assert inside(monkeypatch, "audit", "verify", "-w", root) == 3
    assert capfd.readouterr().err.count("\n  - ") == len(error_of(done)["reasons"])


# --- printing -----------------------------------------------------------------------------------------------


def test_ids_stay_whole_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    pair = "p-" + "0123456789abcdef" * 2
    show_table([{"fact_id": "b834a427540aea98", "pair_id": pair, "words": "delivery is free on every order"}])
    out = capsys.readouterr().out
    assert pair in out and "b834a427540aea98" in out and "delivery is free on every order" not in out


def test_texts_of_records_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([{"prompt": "[bold]loud[/bold] :smile: [link=x]y[/link]"}])
    assert "[bold]loud[/bold] :smile: [link=x]y[/link]" in capsys.readouterr().out
