"""Many inputs through one pair in two processes: what makes a thousand inputs a program affordable.

Covers: a COBOL driver that calls the program once an input and cancels it after each, a Python harness that executes
the translation once an input, both in the sandbox; comparing with the scorer's own rules. Arguments reach
the program through the environment, which stores them into a field as ACCEPT FROM ARGUMENT-VALUE does.
Does not cover: verdicts of record. `evals.cobol.judge` gives those, on its frozen and fresh inputs, one process each.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from evals.cobol.build import COMPILE, driver
from evals.cobol.inputs import Case
from evals.cobol.judge import Judge, Ready, _collected, _driver_lines, _files
from evals.cobol.source import Program, SourceError
from evals.sandbox import Job, Limits, Outcome

CHUNK = 100
LONG = Limits(wall=60.0, cpu=40.0, output=32 << 20)

HARNESS = r"""
import base64, builtins, io, json, os, random, sys, traceback, types
from decimal import Decimal
out = []
code = compile(open("/w/translation.py").read(), "program.py", "exec", dont_inherit=True)
os.remove("/w/translation.py")
work = json.load(open("/w/cases.json"))
os.remove("/w/cases.json")
def typed(v):
    if isinstance(v, list):
        return [typed(x) for x in v]
    return Decimal(v["decimal"]) if isinstance(v, dict) else v
def plain(v):
    if isinstance(v, dict):
        return {str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, bool) or v is None:
        return {"other": repr(v)}
    if isinstance(v, (int, Decimal)):
        return {"number": str(v)}
    if isinstance(v, float):
        return {"float": repr(v)}
    return v if isinstance(v, str) else {"other": repr(v)}
b64 = lambda data: base64.b64encode(data).decode()
real = sys.stdout
for case in work["cases"]:
    for name, data in case["files"].items():
        open(name, "wb").write(base64.b64decode(data))
    sys.argv = ["program.py", *case["args"]]
    sys.stdin = io.TextIOWrapper(io.BytesIO(base64.b64decode(case["stdin"])), "utf-8", "surrogateescape")
    raw = io.BytesIO()
    sys.stdout = io.TextIOWrapper(raw, "utf-8", "surrogateescape")
    random.seed(0)
    error, returned = "", b""
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __file__="program.py")
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)
        if work["call"]:
            returned = json.dumps(plain(main.main(**{k: typed(v) for k, v in case["fields"].items()}))).encode()
    except SystemExit:
        pass
    except BaseException:
        error = traceback.format_exc(limit=-3)
    sys.stdout.flush()
    files = {n: b64(open(n, "rb").read()) for n in work["collect"] if os.path.exists(n)}
    for name in os.listdir("."):
        os.remove(name)
    out.append([b64(raw.getvalue()), files, b64(returned), error])
sys.stdout = real
print(json.dumps(out))
"""


def compiled(judge: Judge, program: Program) -> bytes:
    """The program behind a driver that calls it once an input. Raises `SourceError`."""
    text = re.sub(r"\bSTOP\s+RUN\b", "GOBACK", program.text, flags=re.I)
    number = itertools.count()
    text = re.sub(
        r"\bFROM\s+(?:ARGUMENT-VALUE|COMMAND-LINE)\b",
        lambda m: f'FROM ENVIRONMENT "GP_ARG{next(number)}"',
        text,
        flags=re.I,
    )
    sources = {"bulk.cob": _driver(program), "program.cob": text}
    done = judge.tools.run(
        Job(
            "command",
            args=(
                "/usr/bin/cobc",
                "-x",
                *(["-free"] if program.free else []),
                "-o",
                "/w/bulk",
                *(f"/w/{name}" for name in sources),
            ),
            files={name: body.encode() for name, body in sources.items()},
            collect=("bulk",),
            env={"COB_CFLAGS": "-pipe -fsigned-char -w -O0"},
            limits=COMPILE,
            may_fork=True,
        )
    )
    if done.code != 0 or not done.files.get("bulk"):
        raise SourceError(done.stderr.decode("utf-8", "replace")[:500])
    return done.files["bulk"]


def _driver(program: Program) -> str:
    before, after = [], []
    for n in range(1 if program.command_line else len(program.args)):
        before += ["MOVE SPACES TO GP-LINE", "ACCEPT GP-LINE", f'DISPLAY "GP_ARG{n}" UPON ENVIRONMENT-NAME']
        before += ["DISPLAY GP-LINE UPON ENVIRONMENT-VALUE"]
    for name in {file.assigned: None for file in program.files}:
        own = f'STRING GP-CASE "-{name}" X"00" DELIMITED BY SIZE INTO GP-PATH'
        before += [f'CALL "CBL_DELETE_FILE" USING "{name}"', own]
        before += [f'CALL "CBL_COPY_FILE" USING GP-PATH "{name}"']
        if name in _collected(program):
            after += [own, f'CALL "CBL_COPY_FILE" USING "{name}" GP-PATH']
    before += ["MOVE 0 TO RETURN-CODE"]
    after += ["MOVE 0 TO RETURN-CODE"]
    head = [
        "GP-NEXT.",
        "MOVE SPACES TO GP-LINE",
        'PERFORM UNTIL GP-LINE(1:1) = X"01"',
        "ACCEPT GP-LINE",
        "END-PERFORM",
        'IF GP-LINE(2:4) = "ENDS" STOP RUN END-IF',
        'IF GP-LINE(2:4) = "LAST" DISPLAY X"02" "LAST" GO TO GP-NEXT END-IF',
        "MOVE GP-LINE(2:4) TO GP-CASE",
        'DISPLAY X"02" GP-CASE',
        *before,
    ]
    tail = ["GO TO GP-NEXT.", ""]
    if program.linkage:
        text = driver(program).replace(
            "01 GP-LINE PIC X(512).", "01 GP-LINE PIC X(512).\n01 GP-PATH PIC X(80).\n01 GP-CASE PIC X(4)."
        )
        text = text.replace("PROCEDURE DIVISION.\n", "PROCEDURE DIVISION.\n" + "\n".join(head) + "\n")
        called = f'CALL "{program.name}" USING'
        at = text.index(called)
        text = text[:at] + text[at:].replace("\nDISPLAY X", f'\nCANCEL "{program.name}"\nDISPLAY X', 1)
        return text.replace("GOBACK.\n", "\n".join(after) + '\nDISPLAY X"03" GP-CASE\n' + "\n".join(tail))
    rows = [
        "       >>SOURCE FORMAT IS FREE",
        "IDENTIFICATION DIVISION.",
        "PROGRAM-ID. GP-BULK.",
        "DATA DIVISION.",
        "WORKING-STORAGE SECTION.",
        "01 GP-LINE PIC X(512).",
        "01 GP-PATH PIC X(80).",
        "01 GP-CASE PIC X(4).",
        "PROCEDURE DIVISION.",
        *head,
        f'CALL "{program.name}"',
        f'CANCEL "{program.name}"',
        *after,
        'DISPLAY X"03" GP-CASE',
        *tail,
    ]
    return "\n".join(rows)


def expected(judge: Judge, program: Program, binary: bytes, some: Sequence[Case]) -> list[Outcome | None]:
    """What the reference does with each case; None for one that it did not take in order."""
    found: list[Outcome | None] = [None] * len(some)
    todo = list(range(len(some)))
    for _ in range(len(some) + 1):
        if not todo:
            break
        seen = _run(judge, program, binary, some, todo)
        last = max((n for n in seen if n in todo), default=todo[0])
        for n in todo:
            # A case whose successor's mark was read as data has gone beyond its own input.
            if seen.get(n) is not None and n + 1 in seen:
                found[n] = seen[n]
        todo = [n for n in todo if n > last]
    return found


def _run(
    judge: Judge, program: Program, binary: bytes, some: Sequence[Case], todo: list[int]
) -> dict[int, Outcome | None]:
    lines: list[bytes] = []
    files: dict[str, bytes] = {}
    collect: list[str] = []
    for n in todo:
        body = some[n].stdin
        if program.linkage:
            body = "".join(f"{row}\n" for row in _driver_lines(program, some[n])).encode()
        given = [" ".join(some[n].args)] if program.command_line else some[n].args
        words = "".join(f"{word}\n" for word in given).encode()
        lines.append(b"\x01%04d\n" % n + words + body)
        files |= {f"{n:04d}-{name}": data for name, data in _files(program, some[n]).items()}
        collect += [f"{n:04d}-{name}" for name in _collected(program)]
    stdin = b"".join(lines) + b"\x01LAST\n" + b"\x01ENDS\n" * 60
    done = judge.cobol.run(
        Job("binary", binary, stdin=stdin, files=files, collect=tuple(collect), limits=LONG)
    )
    seen: dict[int, Outcome | None] = {}
    for block in done.stdout.split(b"\x02")[1:]:
        number, _, rest = block.partition(b"\n")
        if number == b"LAST":
            seen[todo[-1] + 1] = None
        if not number.isdigit():
            continue
        body, ended, _ = rest.partition(b"\x03" + number)
        n = int(number)
        own = {name: done.files.get(f"{n:04d}-{name}", b"") for name in _collected(program)}
        seen[n] = Outcome("exited", 0, stdout=body, files=own) if ended else None
    return seen


def translated(judge: Judge, program: Program, code: str, some: Sequence[Case]) -> list[Outcome]:
    """What the translation does with each case."""
    b64 = lambda data: base64.b64encode(data).decode()  # noqa: E731
    work = {
        "call": bool(program.linkage),
        "collect": list(_collected(program)),
        "cases": [
            {
                "stdin": b64(b"" if program.linkage else case.stdin),
                "files": {name: b64(data) for name, data in _files(program, case).items()},
                "fields": dict(case.fields),
                "args": case.args,
            }
            for case in some
        ],
    }
    given = {"cases.json": json.dumps(work).encode(), "translation.py": code.encode()}
    done = judge.python.run(Job("python", HARNESS.encode(), files=given, limits=LONG))
    if done.kind != "exited" or done.code != 0:
        why = done.stderr or done.detail.encode() or done.kind.encode()
        return [Outcome("exited", 1, stderr=why)] * len(some)
    found = []
    for stdout, files, returned, error in json.loads(done.stdout):
        raw = {name: base64.b64decode(data) for name, data in files.items()}
        found.append(
            Outcome(
                "exited",
                1 if error else 0,
                stdout=base64.b64decode(stdout),
                stderr=error.encode(),
                returned=base64.b64decode(returned),
                files=raw,
            )
        )
    return found


def compare(judge: Judge, ready: Ready, code: str, some: Sequence[Case]) -> tuple[int, list[dict[str, Any]]]:
    """(inputs judged, differences) over cases that the reference takes."""
    program = ready.program
    assert program is not None
    binary = compiled(judge, program)
    judged, wrong = 0, []
    for start in range(0, len(some), CHUNK):
        chunk = some[start : start + CHUNK]
        wanted = expected(judge, program, binary, chunk)
        usable = [(case, want) for case, want in zip(chunk, wanted, strict=True) if want is not None]
        got = translated(judge, program, code, [case for case, _ in usable])
        for (case, want), one in zip(usable, got, strict=True):
            judged += 1
            levels = judge._agreement(program, want, one, case)
            if one.code or not levels[judge.level]:
                wrong.append(
                    {
                        "args": case.args,
                        "lines": case.lines,
                        "fields": dict(case.fields),
                        "files": {n: d.decode("latin-1") for n, d in _files(program, case).items()},
                        "expected": want.stdout.decode("latin-1"),
                        "got": one.stdout.decode("latin-1"),
                        "returned": one.returned.decode(),
                        "error": one.stderr.decode()[-400:],
                        "expected_files": {n: d.decode("latin-1") for n, d in want.files.items()},
                        "got_files": {n: d.decode("latin-1") for n, d in one.files.items()},
                    }
                )
    return judged, wrong
