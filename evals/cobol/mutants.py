"""Wrong versions of a COBOL program, one small change each: what a test set must be able to tell from the right one.

Covers: operators for rounding, truncation, signs, editing, limits, conditions, arithmetic, literals, string handling;
all mutants of a program in one executable, so that compiling is paid for once.
Does not cover: mutants of the Python side, and whether a mutant that nothing tells apart is really the same program.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from evals.cobol.build import driver
from evals.cobol.source import Program


@dataclass(frozen=True)
class Mutant:
    """``text`` is the whole changed program; ``line`` counts from 1."""

    operator: str
    line: int
    text: str


def _plus_one(m: re.Match[str]) -> str:
    return f"{m[1]}{int(m[2]) + 1}{m[3]}"


Change = str | Callable[[re.Match[str]], str]
#: (name, where, pattern, replacement); ``where`` is data or code. String literals are masked while matching.
OPERATORS: tuple[tuple[str, str, str, Change], ...] = (
    ("rounding dropped", "code", r"\s+ROUNDED\b", ""),
    ("banker's rounding", "code", r"\bROUNDED\b(?!\s+MODE)", "ROUNDED MODE IS NEAREST-EVEN"),
    ("rounding added", "code", r"(\bCOMPUTE\s+[\w-]+)(?=\s*=)", r"\1 ROUNDED"),
    ("decimals cut", "data", r"(PIC\S*\s+\S*V9)9(?=[\s.(])(?!\()", r"\1"),
    ("sign lost", "data", r"(PIC(?:TURE)?\s+)S9", r"\g<1>9"),
    ("zero suppression lost", "data", r"(PIC(?:TURE)?\s+[$+-]?)Z(?=Z|9)", r"\g<1>9"),
    ("field one shorter", "data", r"(PIC(?:TURE)?\s+S?[9X]\()0*([2-9]|[1-9]\d)(\))",
     lambda m: f"{m[1]}{int(m[2]) - 1}{m[3]}"),
    ("limit moved", "code", r"(?<=\s)>=(?=\s)", ">"),
    ("limit moved", "code", r"(?<=\s)<=(?=\s)", "<"),
    ("limit moved", "code", r"(?<=\s)>(?=\s)", ">="),
    ("limit moved", "code", r"(?<=\s)<(?=\s)", "<="),
    ("limit moved", "code", r"\bGREATER\s+THAN\s+(?!OR)", "NOT LESS THAN "),
    ("limit moved", "code", r"\bLESS\s+THAN\s+(?!OR)", "NOT GREATER THAN "),
    ("condition turned", "code", r"(\bIF\s+[\w-]+\s+)=(?=\s)", r"\1NOT ="),
    ("and for or", "code", r"(?<=\s)AND(?=\s)", "OR"),
    ("or for and", "code", r"(?<=\s)OR(?=\s+(?!EQUAL))", "AND"),
    ("sum for difference", "code", r"(?<=\s)\+(?=\s)", "-"),
    ("difference for sum", "code", r"(?<=\s)-(?=\s)", "+"),
    ("quotient for product", "code", r"(?<=\s)\*(?=\s)", "/"),
    ("product for quotient", "code", r"(?<=\s)/(?=\s)", "*"),
    ("subtracted, not added", "code", r"\bADD\s+([\w-]+)\s+TO\b", r"SUBTRACT \1 FROM"),
    ("added, not subtracted", "code", r"\bSUBTRACT\s+([\w-]+)\s+FROM\b", r"ADD \1 TO"),
    ("literal one off", "code",
     r"((?:[<>=]|\bBY|\bTO|\bFROM|\+|-|\*|\bTHAN|\bADD|\bMOVE|\bWHEN)\s+)(\d{1,6})(?=[\s.)])()(?!\.\d)", _plus_one),
    ("value one off", "data", r"(\bVALUES?\s+(?:IS\s+)?)(\d{1,6})(?=[\s.])()(?!\.\d)", _plus_one),
    ("size for space", "code", r"\bDELIMITED\s+(?:BY\s+)?SPACES?\b", "DELIMITED BY SIZE"),
    ("first for all", "code", r"\b(REPLACING|TALLYING\s+[\w-]+\s+FOR)\s+ALL\b", r"\1 LEADING"),
    ("all for leading", "code", r"\b(REPLACING|TALLYING\s+[\w-]+\s+FOR)\s+LEADING\b", r"\1 ALL"),
    ("mode of reading", "code", r"\bTEST\s+AFTER\b", "TEST BEFORE"),
    ("remainder for quotient", "code", r"\bGIVING\s+([\w-]+)\s+REMAINDER\s+([\w-]+)", r"GIVING \2 REMAINDER \1"),
)  # fmt: skip


def mutants(program: Program, most: int = 24) -> list[Mutant]:
    """At most ``most`` mutants, spread over the operators; the same program gives the same ones."""
    masked = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'", lambda m: "\x00" * len(m[0]), program.text)
    masked = "\n".join(
        "\x00" * len(row)
        if (not program.free and row[6:7] in ("*", "/")) or row.lstrip().startswith("*>")
        else row
        for row in masked.split("\n")
    )
    border = re.search(r"PROCEDURE\s+DIVISION", masked, re.I)
    at = border.start() if border else 0
    by_operator: dict[str, list[Mutant]] = {}
    for name, where, pattern, change in OPERATORS:
        if name == "rounding added" and not re.search(r"PIC\S*\s+\S*V", masked, re.I):
            continue  # without decimals it is mostly the same program
        for m in re.finditer(pattern, masked, re.I):
            if (m.start() < at) != (where == "data"):
                continue
            new = change(m) if callable(change) else m.expand(change)
            if "\x00" in new:
                continue
            text = program.text[: m.start()] + new + program.text[m.end() :]
            if not program.free:
                longest = max(len(row) for row in text.split("\n"))
                if longest > 72 and len(new) > len(m[0]):
                    continue
            line = program.text.count("\n", 0, m.start()) + 1
            by_operator.setdefault(name, []).append(Mutant(name, line, text))
    order = random.Random(len(program.text))
    for found in by_operator.values():
        order.shuffle(found)
    chosen: list[Mutant] = []
    while len(chosen) < most and any(by_operator.values()):
        for found in by_operator.values():
            if found and len(chosen) < most:
                chosen.append(found.pop())
    return chosen


def one_executable(program: Program, chosen: list[Mutant]) -> str:
    """One source text that runs mutant n where the environment says ``GP_MUTANT=n`` (three digits)."""
    lead = "" if program.free else "       "
    rows = [
        "IDENTIFICATION DIVISION.",
        "PROGRAM-ID. GP-CHOOSE.",
        "DATA DIVISION.",
        "WORKING-STORAGE SECTION.",
    ]
    rows += ["01 GP-WHICH PIC X(3).", "PROCEDURE DIVISION.", 'ACCEPT GP-WHICH FROM ENVIRONMENT "GP_MUTANT"']
    for n in range(len(chosen)):
        rows += [f'IF GP-WHICH = "{n:03d}"', f'CALL "GPM{n:03d}"', "END-IF"]
    rows += ["STOP RUN.", "END PROGRAM GP-CHOOSE."]
    if program.linkage:  # the driver is the main program instead, and chooses at its CALL
        text = driver(program).split("\n", 1)[1]  # without its format directive
        text = text.replace("01 GP-LINE PIC", "01 GP-WHICH PIC X(3).\n01 GP-LINE PIC")
        call = re.search(r'CALL "[^"]*" USING ([^\n]*)', text)
        assert call is not None
        lines = ['ACCEPT GP-WHICH FROM ENVIRONMENT "GP_MUTANT"']
        for n in range(len(chosen)):
            lines += [f'IF GP-WHICH = "{n:03d}"', f'CALL "GPM{n:03d}" USING', f"    {call[1]}", "END-IF"]
        text = text.replace(call[0], "\n".join(lines)) + "END PROGRAM GP-DRIVER.\n"
        rows = text.split("\n")
    parts = ["\n".join(lead + row for row in rows)]
    for n, mutant in enumerate(chosen):
        text = re.sub(
            r"(PROGRAM-ID\s*\.?\s*)[\"']?[\w-]+[\"']?", rf"\g<1>GPM{n:03d}", mutant.text, count=1, flags=re.I
        )
        text = re.sub(r"^\s*END\s+PROGRAM\s+[^\n]*$", "", text, flags=re.I | re.M)
        if program.linkage:
            text = re.sub(r"\bSTOP\s+RUN\b(\s+\d+)?", "GOBACK", text, flags=re.I)
        parts.append(text.rstrip("\n") + f"\n{lead}END PROGRAM GPM{n:03d}.")
    return "\n".join(parts) + "\n"
