"""Which parts of a text that is a program are written for people: comments, string literals, who wrote it.

Covers: COBOL (fixed and free), Python, programs in a fence or behind a request. Used by the detector where the policy
says ``code = true``: a data name is no person, and `Decimal` no surname. Does not cover: other languages; a text that
is neither of the two counts as prose from end to end, and so does a program that cannot be read.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from functools import lru_cache

#: Found everywhere in a program: their shape tells, not the words around them.
EVERYWHERE = frozenset(
    "EMAIL URL UPI GSTIN AADHAAR ABHA CARD IFSC PAN SSN BANK_ACCOUNT IP_ADDRESS PASSPORT VOTER_ID VEHICLE "
    "DRIVING_LICENCE".split()
)
_START = re.compile(r"^[ \t\d]{0,8}(?:IDENTIFICATION|ID)\s+DIVISION", re.I | re.M)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z)", re.M | re.S)
_COBOL = re.compile(
    r"^.{6}[*/](?P<fixed>[^\n]*)"
    r"|\*>(?P<comment>[^\n]*)"
    r"|^[ \t\d]*(?:AUTHOR|INSTALLATION|REMARKS|SECURITY|DATE-WRITTEN|DATE-COMPILED)\s*\.(?P<who>[^\n]*)"
    r"|\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'",
    re.I | re.M,
)
_TELLING = (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Assign, ast.ClassDef)


def outside_prose(text: str, start: int, end: int) -> bool:
    """Whether a span lies at least partly in the code of a program."""
    spans = _prose(text)
    return spans is not None and not any(low <= start and end <= high for low, high in spans)


@lru_cache(maxsize=512)
def _prose(text: str) -> tuple[tuple[int, int], ...] | None:
    """Spans for people; None where the text holds no program."""
    programs = [(m.start(1), m.end(1)) for m in _FENCE.finditer(text)]
    if not programs:
        begins = _START.search(text)
        programs = [(begins.start() if begins else 0, len(text))]
    spans: list[tuple[int, int]] = []
    last, known = 0, False
    for low, high in programs:
        inner = _inside(text[low:high])
        spans.append((last, low))
        if inner is None:
            spans.append((low, high))
        else:
            known = True
            spans += [(low + a, low + b) for a, b in inner]
        last = high
    spans.append((last, len(text)))
    return tuple(spans) if known else None


def _inside(program: str) -> list[tuple[int, int]] | None:
    if _START.search(program):
        return [m.span(m.lastgroup or 0) for m in _COBOL.finditer(program)]
    return _python(program)


def _python(program: str) -> list[tuple[int, int]] | None:
    try:
        tree = ast.parse(program)
        if not any(isinstance(node, _TELLING) for node in ast.walk(tree)):
            return None
        tokens = list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError):
        return None
    starts = [0]
    for line in program.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    spans = []
    for token in tokens:
        if (
            token.type not in (tokenize.COMMENT, tokenize.STRING)
            and tokenize.tok_name[token.type] != "FSTRING_MIDDLE"
        ):
            continue
        low = starts[token.start[0] - 1] + token.start[1]
        high = starts[token.end[0] - 1] + token.end[1]
        at = low
        formatted = (
            token.type == tokenize.STRING
            and "f" in token.string[: re.search(r"[\"']", token.string).start()].lower()
        )  # type: ignore[union-attr]
        for hole in re.finditer(r"\{[^{}]*\}", program[low:high]) if formatted else ():
            spans.append((at, low + hole.start()))
            at = low + hole.end()
        spans.append((at, high))
    return spans
