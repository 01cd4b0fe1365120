"""What a style judge needs of a COBOL source: data names, fields with decimals, paragraphs.

Covers: fixed and free format, comments, level numbers, PIC clauses, paragraph and section names.
Does not cover: COPY books, REPLACE, behaviour (that is `code_equivalence`).
"""

import re
from dataclasses import dataclass

_DATA = re.compile(
    r"^\s*(?:0?[1-9]|[1-4]\d|77)\s+(?P<name>[A-Z0-9][A-Z0-9-]*)\b(?P<rest>[^.]*(?:\.(?=\d)[^.]*)*)\.",
    re.IGNORECASE | re.MULTILINE,
)
_PICTURE = re.compile(r"\bPIC(?:TURE)?\s+(?:IS\s+)?(?P<pic>\S+)", re.IGNORECASE)
_PARAGRAPH = re.compile(
    r"^ {0,3}(?P<name>[A-Z0-9][A-Z0-9-]*)(?:\s+SECTION)?\s*\.\s*$", re.IGNORECASE | re.MULTILINE
)
_NO_PARAGRAPH = {"exit", "goback", "stop", "continue", "else", "end-if", "end-perform", "end-evaluate"}


@dataclass(frozen=True)
class Program:
    """Names in lower case with underscores. ``data``: level 01 to 49 and 77; ``decimals``: those with a V."""

    data: frozenset[str]
    decimals: frozenset[str]
    paragraphs: frozenset[str]


def read(source: str) -> Program:
    """Names of a COBOL source; empty sets where nothing can be read."""
    text = "\n".join(_line(line) for line in source.splitlines())
    head, _, body = re.sub(r"(?i)\bPROCEDURE\s+DIVISION[^.]*\.", "\0", text, count=1).partition("\0")
    data, decimals = set(), set()
    for match in _DATA.finditer(head):
        name = _python(match["name"])
        if name == "filler":
            continue
        data.add(name)
        picture = _PICTURE.search(match["rest"])
        if picture and re.search(r"V|\.\d|9\.9", picture["pic"].upper()):
            decimals.add(name)
    paragraphs = {
        _python(m["name"]) for m in _PARAGRAPH.finditer(body) if m["name"].casefold() not in _NO_PARAGRAPH
    }
    return Program(frozenset(data), frozenset(decimals), frozenset(paragraphs))


def _line(line: str) -> str:
    """Without sequence area, indicator and comment; free-format lines stay as they are."""
    if re.match(r"^.{6}[*/]", line) or line.lstrip().startswith("*"):
        return ""
    if re.match(r"^(?:\d{6}| {6})[ -]", line):
        line = line[7:72]
    return line.partition("*>")[0]


def _python(name: str) -> str:
    return name.casefold().replace("-", "_")
