"""From COBOL text to an executable, inside the sandbox, once per text.

Covers: `cobc` on untrusted text; a driver that calls a subprogram with fields and prints them back; the cache of
executables by content hash and compiler version. Does not cover: running them (`evals.cobol.judge`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evals.cobol.source import Field, Program, SourceError, _statements
from evals.sandbox import Job, Limits, SandboxUnavailable, Session

COMPILE = Limits(wall=40.0, cpu=30.0, memory=2 << 30, output=64 << 10, file=8 << 20)
MARK = b"\x01fields\n"
FLAGS = "-pipe -fsigned-char -w -O0"  # speed of compiling, the programs are short; -ggdb3 is the default


@cache
def compiler() -> str:
    """Version line of GnuCOBOL. Raises `SandboxUnavailable` where there is none."""
    path = shutil.which("cobc")
    if path is None:
        raise SandboxUnavailable("NOT RUN: no COBOL compiler. Install GnuCOBOL (apt-get install gnucobol).")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.splitlines()[0] if done.stdout else "cobc"


def cache_folder() -> Path:
    """Where executables and frozen inputs are kept: ``GOLDPAIR_CACHE`` or the user's cache folder; made 0700."""
    base = os.environ.get("GOLDPAIR_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base else Path.home() / ".cache"
    folder = root / ("cobol" if os.environ.get("GOLDPAIR_CACHE") else "goldpair/cobol")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def keep(path: Path, data: bytes) -> None:
    """Write whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as handle:
        handle.write(data)
    Path(handle.name).replace(path)


def executable(program: Program, box: Session, text: str | None = None) -> bytes:
    """The compiled program (or ``text``, a mutant of it). ``box`` must have been made with ``tools=True``.

    Raises `SourceError` with the compiler's first message.
    """
    text = program.text if text is None else text
    sources = {"program.cob": text}
    if program.linkage:
        sources = {"driver.cob": driver(program), "program.cob": _returning(text)}
    key = hashlib.sha256(
        "\0".join((compiler(), FLAGS, str(program.free), *sources.values())).encode()
    ).hexdigest()
    place = cache_folder() / f"{key[:40]}.bin"
    bad = place.with_suffix(".err")
    if place.is_file():
        return place.read_bytes()
    if bad.is_file():
        raise SourceError(bad.read_text("utf-8"))
    outcome = box.run(
        Job(
            "command",
            args=(
                shutil.which("cobc") or "/usr/bin/cobc",
                "-x",
                *(["-free"] if program.free else []),
                *("-o", "/w/program", *(f"/w/{name}" for name in sources)),
            ),
            files={name: body.encode("utf-8", "surrogateescape") for name, body in sources.items()},
            collect=("program",),
            env={"COB_CFLAGS": FLAGS},
            limits=COMPILE,
            may_fork=True,
        )
    )
    binary = outcome.files.get("program")
    if outcome.code == 0 and binary:
        keep(place, binary)
        return binary
    said = outcome.stderr.decode("utf-8", "replace").replace("/w/program.cob:", "line ").strip().splitlines()
    errors = [line for line in said if "error" in line] or said or [outcome.detail or "no message"]
    message = f"The COBOL program does not compile: {errors[0][:300]}"
    if outcome.kind == "exited":  # a time-out says something about the machine, not about the program
        keep(bad, message.encode())
    raise SourceError(message)


def places(fields: list[Field]) -> Iterator[tuple[Field, tuple[int, ...]]]:
    """Every elementary item with its subscripts' sizes, in order."""

    def below(item: Field, sizes: tuple[int, ...]) -> Iterator[tuple[Field, tuple[int, ...]]]:
        if item.redefines:
            return
        if item.occurs > 1:
            sizes = (*sizes, item.occurs)
        if not item.children:
            if not item.name.startswith("FILLER-"):
                yield item, sizes
            return
        for child in item.children:
            yield from below(child, sizes)

    for item in fields:
        yield from below(item, ())


def subscripts(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All subscripts of a table, first index slowest; one empty tuple for a plain field."""
    found: list[tuple[int, ...]] = [()]
    for size in sizes:
        found = [(*head, n) for head in found for n in range(1, size + 1)]
    return found


def driver(program: Program) -> str:
    """A main program that reads the LINKAGE fields, one a line, calls the program and prints them."""
    plain = _statements(program.text, program.free)
    section = re.search(
        r"\bLINKAGE\s+SECTION\s*\.(.*?)(?=\b(?:WORKING-STORAGE|LOCAL-STORAGE|REPORT|SCREEN)\s+SECTION|"
        r"\bPROCEDURE\s+DIVISION)",
        plain,
        re.I | re.S,
    )
    if section is None:
        raise SourceError("The program takes USING fields but has no LINKAGE SECTION.")
    read_in, print_out = [], []
    for item, sizes in places(program.linkage):
        all_subscripts = subscripts(sizes)
        if len(all_subscripts) > 200:
            raise SourceError(f"The table {item.name} is too large to be passed field by field.")
        for index in all_subscripts:
            target = f"{item.name}({' '.join(map(str, index))})" if index else item.name
            read_in.append("ACCEPT GP-LINE")
            label = f"{item.name}{''.join(f'|{n}' for n in index)}="
            if item.kind in ("numeric", "float"):
                read_in.append(f"MOVE FUNCTION NUMVAL(GP-LINE) TO {target}")
            else:
                read_in.append(f"MOVE GP-LINE TO {target}")
            if item.kind == "numeric":
                print_out += [f"MOVE {target} TO GP-NUMBER", f'DISPLAY "{label}" GP-NUMBER']
            else:
                print_out.append(f'DISPLAY "{label}" {target}')
    called = " ".join(item.name for item in program.linkage)
    return "\n".join(
        [
            "       >>SOURCE FORMAT IS FREE",
            "IDENTIFICATION DIVISION.",
            "PROGRAM-ID. GP-DRIVER.",
            "DATA DIVISION.",
            "WORKING-STORAGE SECTION.",
            section[1].strip(),
            "01 GP-LINE PIC X(512).",
            "01 GP-NUMBER PIC -(19)9.9(12).",
            "PROCEDURE DIVISION.",
            *read_in,
            f'CALL "{program.name}" USING {called}',
            'DISPLAY X"01" "fields"',
            *print_out,
            "GOBACK.",
            "",
        ]
    )


def _returning(text: str) -> str:
    """STOP RUN in a called program would end the driver before it prints; GOBACK returns to it."""
    return re.sub(r"\bSTOP\s+RUN\b(\s+\d+)?", "GOBACK", text, flags=re.I)
