"""``python -m scripts.gen_docs [--check]``: writes docs/cli.md and docs/benchmarks.md.

Covers: the command reference out of the commands themselves, the benchmark tables out of
benchmarks/results/*.json. With ``--check`` nothing is written and a stale page is an error, which is how a test
keeps both fresh. Does not cover: the pages that people write, nor running benchmarks (``make bench``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
COMMON = ("workspace", "user", "as_json", "no_wait")
TYPES = {"str": "TEXT", "int": "N", "float": "NUMBER", "Path": "PATH"}

CLI_HEAD = """\
# Command line

Generated from the commands by `make docs`; `goldpair VERB --help` prints the same.

Exit codes: **0** done, **1** error, **2** the request itself is wrong, **3** a gate refused. With `--json` one
JSON object goes to standard output, errors as `{"error": {"kind", "message", "reasons"}}`; progress always goes
to standard error.

Options that many verbs share:

| option | meaning |
|---|---|
| `--workspace`, `-w` | workspace folder; else `GOLDPAIR_WORKSPACE`, else the nearest one above the current folder |
| `--user` | act as this user; else `GOLDPAIR_USER`, else `cli_user` in `goldpair.toml` |
| `--json` | print the result as one JSON object |
| `--no-wait` | start the job and return its id; `goldpair jobs wait ID` follows it |
"""

BENCHMARKS_HEAD = """\
# Benchmarks

Generated from `benchmarks/results/*.json` by `make docs`; `make bench` measures again. A ratio is ours against
the peer, in the unit the figure names. Absolute times are those of the machine named; ratios travel better.
Goals that were not met stay here as unmet.
"""


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that runs something, as (words after ``goldpair``, command), in the order of the help."""
    if command is None:
        from curate.cli import app

        command = typer.main.get_command(app)
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, sub in subcommands.items():
        yield from commands(sub, (*path, name))


def examples(command: Any) -> list[str]:
    """The command lines of a command's epilog, without their prompt sign."""
    lines = (line.strip() for line in (command.epilog or "").splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def cli_page() -> str:
    """docs/cli.md."""
    found = list(commands())
    out = [CLI_HEAD, "| verb | |", "|---|---|"]
    for path, command in found:
        words = " ".join(path)
        first = _cell((command.help or "").split("\n\n")[0])
        out.append(f"| [`{words}`](#goldpair-{'-'.join(path)}) | {first} |")
    for path, command in found:
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        options = [p for p in command.params if p.opts[0].startswith("-")]
        shared = [p for p in options if p.name in COMMON and p.default in (None, False)]
        own = [p for p in options if p not in shared]
        usage = " ".join(
            [
                "goldpair",
                *path,
                *(_usage(p) for p in arguments),
                *(["[OPTIONS]"] if options else []),
            ]
        )
        out += [f"\n## goldpair {' '.join(path)}\n", " ".join((command.help or "").split()) + "\n"]
        out += ["```", usage, "```\n"]
        if arguments or own:
            out += ["| | meaning | default |", "|---|---|---|"]
            out += [_row(p) for p in (*arguments, *own)]
            out.append("")
        if shared:
            out.append("Shared: " + ", ".join(f"`{p.opts[0]}`" for p in shared) + ".\n")
        out += ["```console", *(f"$ {line}" for line in examples(command)), "```"]
    return "\n".join(out) + "\n"


def _usage(param: Any) -> str:
    name = param.name.upper() + ("..." if param.multiple or param.nargs != 1 else "")
    return name if param.required else f"[{name}]"


def _row(param: Any) -> str:
    if param.opts[0].startswith("-"):
        kind = TYPES.get(_type_name(param), "TEXT")
        name = ", ".join(f"`{o}`" if param.is_flag else f"`{o} {kind}`" for o in param.opts)
    else:
        name = f"`{param.name.upper()}`"
    meaning = _cell(param.help or "")
    if param.multiple:
        meaning += " May be repeated." if meaning else "May be repeated."
    default = "required" if param.required else "" if param.default in (None, False) else f"`{param.default}`"
    return f"| {name} | {meaning} | {default} |"


def _type_name(param: Any) -> str:
    annotation = param.type_descriptor.annotation
    inner = getattr(annotation, "__args__", None)
    return (inner[0] if inner else annotation).__name__


def _cell(value: Any) -> str:
    """A value inside a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return " to ".join(_figure(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure(item)}" for name, item in value.items())
    return _cell(value)


def benchmarks_page() -> str:
    """docs/benchmarks.md; goals that are not met say so in the table and in the count above it."""
    out = [BENCHMARKS_HEAD]
    files = sorted(RESULTS.glob("*.json"))
    if not files:
        out.append("\nNothing has been measured yet.\n")
    for file in files:
        result = json.loads(file.read_text("utf-8"))
        rows = result["rows"]
        judged = [row for row in rows if row["met"] is not None]
        unmet = [row for row in judged if not row["met"]]
        count = f"{len(judged) - len(unmet)} of {len(judged)} goals met"
        quick = " Measured with `--quick`: smaller inputs." if result["quick"] else ""
        out.append(f"\n## {file.stem}\n\n{count}; {result['machine']}.{quick}\n")
        out += ["| figure | goal | ours | peer | ratio | spread | |", "|---|---|---|---|---|---|---|"]
        for row in rows:
            state = {True: "met", False: "**unmet**", None: ""}[row["met"]]
            cells = [_figure(row[name]) for name in ("figure", "goal", "ours", "peer", "ratio", "spread")]
            out.append("| " + " | ".join([*cells, state]) + " |")
        for command in dict.fromkeys(row["command"] for row in rows):
            out.append(f"\n`{_cell(command)}`")
        versions = {name: value for row in rows for name, value in _versions(row["versions"]).items()}
        if versions:
            words = ", ".join(f"{n} {v}".strip() for n, v in sorted(versions.items()))
            out.append(f"\nVersions: {_cell(words)}.")
    return "\n".join(out).rstrip() + "\n"


def _versions(value: Any) -> dict[str, str]:
    return (
        {str(k): str(v) for k, v in value.items()}
        if isinstance(value, dict)
        else {str(value): ""}
        if value
        else {}
    )


PAGES = {"cli.md": cli_page, "benchmarks.md": benchmarks_page}


def main(argv: list[str] | None = None) -> int:
    """Write the pages; with ``--check`` return 1 when one of them is stale."""
    parser = argparse.ArgumentParser(prog="python -m scripts.gen_docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    check = parser.parse_args(argv).check
    stale = 0
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        text = page()
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"docs/{name} is stale: run `make docs`", file=sys.stderr)
        else:
            path.write_text(text, "utf-8")
            print(f"wrote docs/{name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
