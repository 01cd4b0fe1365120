"""Reading a COBOL program: its layout, its data, and the channels by which values reach and leave it.

Covers: fenced or chatty text, fixed, free and shifted layout; PIC clauses and 88 levels; ACCEPT (standard input,
command line), SELECT and FD (files), LINKAGE (called with fields), in the order in which they are asked for.
Does not cover: the meaning of statements. GnuCOBOL has the last word on whether a text is a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from curate.errors import GoldpairError

START = re.compile(r"^[ \t\d]{0,8}(?:IDENTIFICATION|ID)\s+DIVISION", re.I | re.M)
FENCE = re.compile(
    r"^[ \t]*(?:```|~~~)[ \t]*([\w+#-]*)[ \t]*\r?\n(.*?)(?:^[ \t]*(?:```|~~~)|\Z)", re.S | re.M
)
TOKEN = re.compile(
    r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|[A-Za-z0-9][\w-]*|[-+]?\d+(?:\.\d+)?|\.(?=\s|$)|[^\s\w]"
)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?|[-+]?\.\d+")


class SourceError(GoldpairError):
    """A COBOL text cannot be used as a reference; the message says why."""


@dataclass
class Field:
    """One data item. ``digits`` and ``scale`` count digits in all and behind the V; ``length`` is in characters."""

    name: str
    level: int
    kind: str = "group"  # numeric, text, edited, float, group
    digits: int = 0
    scale: int = 0
    signed: bool = False
    length: int = 0
    usage: str = "DISPLAY"
    separate: bool = False
    occurs: int = 1
    redefines: str = ""
    literals: list[str] = field(default_factory=list)
    children: list[Field] = field(default_factory=list)

    @property
    def python_name(self) -> str:
        """Keyword of ``main(**fields)``."""
        return self.name.lower().replace("-", "_")

    def leaves(self) -> Iterator[Field]:
        """Elementary items below (or this one), without FILLER and without what redefines another."""
        if self.redefines:
            return
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass
class File:
    """One SELECT: ``assigned`` is the name in the working folder."""

    name: str
    assigned: str
    organization: str = "SEQUENTIAL"
    status: bool = False
    modes: set[str] = field(default_factory=set)
    record: list[Field] = field(default_factory=list)


Step = Field | list["Step"]  # an ACCEPT, or the body of a loop


@dataclass
class Program:
    """What reading found."""

    text: str  # as given to the compiler
    free: bool
    name: str
    fields: dict[str, Field]
    stdin: list[Step]
    args: list[Field]
    command_line: bool
    files: list[File]
    linkage: list[Field]
    literals: list[str]
    draws: bool  # asks for random numbers
    reads_clock: bool
    sets_code: bool  # RETURN-CODE or STOP RUN n


def extract(text: str, language: str = "cobol") -> str:
    """The program in an answer: a fenced block if there is one, else from where it begins to the end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    blocks = [(tag.lower(), body) for tag, body in FENCE.findall(text)]
    if language == "cobol":
        marked = [body for tag, body in blocks if START.search(body)]
        body = marked[0] if marked else text
        found = START.search(body)
        if found is None:
            raise SourceError("No COBOL program: there is no IDENTIFICATION DIVISION.")
        before = body[: found.start()]
        # Directives and comments above belong to the program, sentences do not.
        keep = [line for line in before.splitlines() if re.match(r"\s*(>>|\$SET|\*>)|.{6}\*", line, re.I)]
        return "\n".join([*keep, body[found.start() :]]) + "\n"
    python = [body for tag, body in blocks if tag in ("python", "py", "python3", "")]
    if python:
        return max(python, key=len)
    return text


def _layout(text: str) -> tuple[str, bool]:
    """(text for the compiler, whether it is free format)."""
    if re.search(
        r"^\s*(?:>>\s*SOURCE\s+(?:FORMAT\s+)?(?:IS\s+)?FREE|\$SET\s+SOURCEFORMAT\W+FREE)", text, re.I | re.M
    ):
        return text, True
    found = START.search(text)
    line = found[0] if found else ""
    indent = len(line) - len(line.lstrip(" \t0123456789"))
    lines = text.expandtabs(8).split("\n")
    if indent >= 7 and all(not row[:6].strip() or row[:6].isdigit() or row[6:7] != " " for row in lines):
        return "\n".join(
            row[:72] if len(row) > 72 and row[72:].strip().isalnum() else row for row in lines
        ), False
    if any(re.match(r"\*(?!>)", row) for row in lines):
        return "\n".join("      " + row if row.startswith("*") else "       " + row for row in lines), False
    return text, True


def _statements(text: str, free: bool) -> str:
    """The text without comments, sequence numbers and continuation, one long line a line."""
    rows: list[str] = []
    for row in text.split("\n"):
        if free:
            if row.lstrip().startswith((">>", "$")):
                continue
            rows.append(_cut_comment(row))
            continue
        mark, code = row[6:7], row[7:72]
        if mark in ("*", "/", "$"):
            continue
        if mark == "-" and rows:
            piece = code.lstrip()
            open_quote = rows[-1].count('"') % 2 or rows[-1].count("'") % 2
            rows[-1] = rows[-1].ljust(65) if open_quote else rows[-1].rstrip()
            rows[-1] += piece[1:] if open_quote and piece[:1] in "\"'" else piece
            continue
        rows.append(_cut_comment(code))
    return "\n".join(rows)


def _cut_comment(row: str) -> str:
    at = row.find("*>")
    return row if at < 0 or row[:at].count('"') % 2 or row[:at].count("'") % 2 else row[:at]


@lru_cache(maxsize=256)
def read(source: str) -> Program:
    """Read a COBOL program, fenced or bare. Raises `SourceError`."""
    text, free = _layout(extract(source))
    plain = _statements(text, free)
    upper = plain.upper()
    if "PROCEDURE DIVISION" not in re.sub(r"\s+", " ", upper):
        raise SourceError("The COBOL program has no PROCEDURE DIVISION.")
    at = re.search(r"PROCEDURE\s+DIVISION", upper)
    assert at is not None
    data_text, code_text = plain[: at.start()], plain[at.start() :]
    name = re.search(r"PROGRAM-ID\s*\.?\s*[\"']?([\w-]+)", plain, re.I)
    fields, sections = _data(data_text)
    code = TOKEN.findall(code_text)
    files = _files(data_text, fields, sections, code)
    using = re.match(r"PROCEDURE\s+DIVISION\s+USING\s+([^.]*)\.", code_text, re.I)
    linkage = []
    if using:
        for word in re.findall(r"[\w-]+", re.sub(r"\bBY\s+(?:REFERENCE|VALUE)\b", " ", using[1], flags=re.I)):
            if word.upper() in fields:
                linkage.append(fields[word.upper()])
    steps, args, command_line = _accepts(code, fields)
    _literals(code, fields)
    words = {word.upper() for word in code}
    return Program(
        text=text,
        free=free,
        name=name[1] if name else "PROGRAM",
        fields=fields,
        stdin=steps,
        args=args,
        command_line=command_line,
        files=files,
        linkage=linkage,
        literals=_unique(_plain(word) for word in code if word[0] in "\"'" or NUMBER.fullmatch(word)),
        draws="RANDOM" in words,
        reads_clock=bool(words & {"CURRENT-DATE", "DATE", "TIME", "DAY", "DAY-OF-WEEK", "WHEN-COMPILED"}),
        sets_code="RETURN-CODE" in words or bool(re.search(r"STOP\s+RUN\s+\d", upper)),
    )


# --- data ---------------------------------------------------------------------------------------------------


def picture(pic: str) -> tuple[str, int, int, bool, int]:
    """(kind, digits, scale, signed, length) of a PIC string.

    >>> picture("S9(4)V99")
    ('numeric', 6, 2, True, 6)
    """
    full = re.sub(r"(.)\((\d+)\)", lambda m: m[1] * int(m[2]), pic.upper().rstrip("."))
    if len(full) > 100_000:
        raise SourceError(f"PIC {pic} is longer than any field.")
    if set(full) <= set("9SVP"):
        tail = full.partition("V")[2]
        digits, scale = full.count("9"), tail.count("9") + (tail.count("P") if "9" in tail else 0)
        return "numeric", digits, scale, "S" in full, digits
    if set(full) <= set("XAN9") and set(full) & set("XAN"):
        return "text", 0, 0, False, len(full)
    return "edited", 0, 0, False, len(full.replace("V", ""))


def _data(text: str) -> tuple[dict[str, Field], dict[str, list[Field]]]:
    fields: dict[str, Field] = {}
    sections: dict[str, list[Field]] = {}
    where, filler = "", 0
    stack: list[Field] = []
    for entry in re.split(r"\.(?=\s|$)(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", text):
        words = entry.split()
        if not words:
            continue
        joined = " ".join(words).upper()
        if "SECTION" in joined or "DIVISION" in joined:
            where = joined.split()[0]
            stack = []
            continue
        if words[0].upper() in ("FD", "SD") and len(words) > 1:
            where, stack = f"FD {words[1].upper()}", []
            continue
        if not words[0].isdigit() or not 1 <= int(words[0]) <= 88:
            continue
        level = int(words[0])
        if level in (66, 78):
            continue
        if level == 88:
            owner = stack[-1] if stack else None
            if owner is not None:
                owner.literals += [
                    _plain(t) for t in TOKEN.findall(entry.split(None, 2)[-1]) if _is_literal(t)
                ]
            continue
        named = len(words) > 1 and words[1].upper() not in (
            "FILLER", "PIC", "PICTURE", "REDEFINES", "OCCURS", "VALUE", "USAGE",
        )  # fmt: skip
        filler += not named
        item = Field(words[1].upper() if named else f"FILLER-{filler}", level)
        pic = re.search(r"\bPIC(?:TURE)?(?:\s+IS)?\s+(\S+)", entry, re.I)
        usage = re.search(
            r"\b(COMP(?:UTATIONAL)?(?:-[1-6X])?|BINARY(?:-[A-Z]+)?|PACKED-DECIMAL|INDEX|POINTER)\b",
            entry,
            re.I,
        )
        if usage and not re.search(rf"[\"'][^\"']*{re.escape(usage[1])}", entry):
            item.usage = usage[1].upper().replace("COMPUTATIONAL", "COMP")
        if pic:
            item.kind, item.digits, item.scale, item.signed, item.length = picture(pic[1])
        elif item.usage in ("COMP-1", "COMP-2"):
            item.kind, item.signed = "float", True
        elif item.usage.startswith("BINARY-") or item.usage == "INDEX":
            item.kind, item.digits, item.signed = "numeric", 9, True
        occurs = re.search(r"\bOCCURS\s+(?:\d+\s+TO\s+)?(\d+)", entry, re.I)
        item.occurs = int(occurs[1]) if occurs else 1
        redefines = re.search(r"\bREDEFINES\s+([\w-]+)", entry, re.I)
        item.redefines = redefines[1].upper() if redefines else ""
        item.separate = bool(re.search(r"\bSEPARATE\b", entry, re.I))
        while stack and stack[-1].level >= level:
            stack.pop()
        if stack and level not in (1, 77):
            stack[-1].children.append(item)
        else:
            stack = []
            sections.setdefault(where, []).append(item)
        stack.append(item)
        fields.setdefault(item.name, item)
    for item in fields.values():
        if item.children:
            item.kind, item.length = "group", _size(item)
    return fields, sections


def _size(item: Field) -> int:
    own = (
        item.length + item.separate
        if not item.children
        else sum(_size(c) for c in item.children if not c.redefines)
    )
    return own * item.occurs


def _files(
    text: str, fields: dict[str, Field], sections: dict[str, list[Field]], code: list[str]
) -> list[File]:
    found: dict[str, File] = {}
    for m in re.finditer(
        r"\bSELECT\s+(?:OPTIONAL\s+)?([\w-]+)\s+(.*?)\.(?=\s|$)(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)",
        text,
        re.I | re.S,
    ):
        clause = m[2]
        target = re.search(
            r"\bASSIGN\s+(?:TO\s+)?(?:(?:DISK|EXTERNAL|DYNAMIC|FILE)\s+)?(\"[^\"]*\"|'[^']*'|[\w-]+)",
            clause,
            re.I,
        )
        if target is None:
            raise SourceError(f"SELECT {m[1]} has no ASSIGN.")
        assigned = _plain(target[1])
        if target[1][0] not in "\"'":
            item = fields.get(assigned.upper())
            value = re.search(
                rf"\b{re.escape(assigned)}\b[^.]*?\bVALUE\s+(?:IS\s+)?(?:\"([^\"]*)\"|'([^']*)')", text, re.I
            )
            if item is not None and value:
                assigned = (value[1] or value[2]).rstrip()
            elif item is not None:
                raise SourceError(f"The name of file {m[1]} is only known when the program runs.")
        if "/" in assigned or assigned in ("", ".", ".."):
            raise SourceError(
                f"File {m[1]} is assigned to {assigned!r}, which is outside the working folder."
            )
        organization = "SEQUENTIAL"
        if re.search(r"\bLINE\s+SEQUENTIAL\b", clause, re.I):
            organization = "LINE SEQUENTIAL"
        elif kind := re.search(r"\b(INDEXED|RELATIVE)\b", clause, re.I):
            organization = kind[1].upper()
        status = bool(re.search(r"\bSTATUS\b", clause, re.I))
        found[m[1].upper()] = File(m[1].upper(), assigned, organization, status)
    mode = ""
    opening = False
    sorting: str | None = None
    for word in (w.upper() for w in code):
        if word == "OPEN":
            opening = True
        elif opening and word in ("INPUT", "OUTPUT", "EXTEND", "I-O"):
            mode = word
        elif opening and word in found:
            found[word].modes.add(mode)
        elif opening and word not in (",", "SHARING", "WITH", "LOCK"):
            opening = False
        if word in ("SORT", "MERGE"):
            sorting = ""
        elif sorting is not None:  # SORT and MERGE open the files that they use and give by themselves
            if word in ("USING", "GIVING"):
                sorting = "INPUT" if word == "USING" else "OUTPUT"
            elif word == ".":
                sorting = None
            elif sorting and word in found:
                found[word].modes.add(sorting)
    for file in found.values():
        file.record = sections.get(f"FD {file.name}", [])
    return list(found.values())


# --- code ---------------------------------------------------------------------------------------------------


def _accepts(code: list[str], fields: dict[str, Field]) -> tuple[list[Step], list[Field], bool]:
    """Order of the ACCEPT statements (loops as nested lists), fields that take arguments, COMMAND-LINE used?"""
    words = [w.upper() for w in code]
    labels: dict[str, int] = {}
    for n in range(1, len(words) - 1):
        if (
            words[n - 1] == "."
            and words[n + 1] in (".", "SECTION")
            and re.fullmatch(r"[A-Z0-9][\w-]*", words[n])
        ):
            labels.setdefault(words[n], n)
    starts = sorted(labels.values())
    args: list[Field] = []
    command = False
    depth = 0

    def end_of(name: str) -> int:
        at = labels[name]
        if words[at + 1] == "SECTION":
            later = [s for s in starts if s > at and words[s + 1] == "SECTION"]
        else:
            later = [s for s in starts if s > at]
        return later[0] if later else len(words)

    def walk(n: int, stop: int) -> list[Step]:
        nonlocal command, depth
        steps: list[Step] = []
        if depth > 12:
            return steps
        while n < stop:
            word = words[n]
            if word == "ACCEPT" and n + 1 < len(words):
                target = fields.get(words[n + 1])
                k = n + 2
                if k < len(words) and words[k] == "(":
                    while k < len(words) and words[k] != ")":
                        k += 1
                    k += 1
                origin = words[k + 1] if k + 1 < len(words) and words[k] == "FROM" else ""
                if origin == "COMMAND-LINE":
                    command = True
                    if target is not None:
                        args.append(target)
                elif origin == "ARGUMENT-VALUE":
                    if target is not None:
                        args.append(target)
                elif origin in ("", "CONSOLE", "SYSIN", "SYSIPT", "STDIN", "KEYBOARD") and target is not None:
                    steps.append(target)
                n = k
            elif word == "PERFORM":
                first = words[n + 1] if n + 1 < len(words) else ""
                if first in labels and first not in ("UNTIL", "VARYING"):
                    last, k = first, n + 2
                    if k < len(words) and words[k] in ("THRU", "THROUGH") and words[k + 1] in labels:
                        last, k = words[k + 1], k + 2
                    looped = k < len(words) and (
                        words[k] in ("UNTIL", "VARYING", "WITH", "TEST") or words[k + 1 : k + 2] == ["TIMES"]
                    )
                    depth += 1
                    body = walk(labels[first] + 2, end_of(last))
                    depth -= 1
                    if body:
                        steps += [body] if looped else body
                    n = k
                elif "END-PERFORM" in words[n:stop]:
                    level, k = 0, n
                    while k < stop:
                        if words[k] == "PERFORM" and not (k + 1 < len(words) and words[k + 1] in labels):
                            level += 1
                        level -= words[k] == "END-PERFORM"
                        k += 1
                        if level == 0:
                            break
                    body = walk(n + 1, k - 1)
                    if body:
                        steps.append(body)
                    n = k
                else:
                    n += 1
            elif (word == "STOP" and words[n + 1 : n + 2] == ["RUN"]) or word == "GOBACK":
                if depth == 0 and (words[n + 1 : n + 3][-1:] == ["."] or words[n + 1 : n + 2] == ["."]):
                    ended = _sentence_start(words, n)
                    if ended:
                        break
                n += 1
            else:
                n += 1
        return steps

    steps = walk(0, len(words))
    backward = any(
        words[n : n + 2] == ["GO", "TO"] and labels.get(words[n + 2], len(words)) < n
        for n in range(len(words) - 2)
    )
    if backward and steps and not any(isinstance(s, list) for s in steps):
        steps = [steps]
    unique: list[Field] = []
    for item in args:
        if not any(item is other for other in unique):
            unique.append(item)
    return steps, unique, command


def _sentence_start(words: list[str], n: int) -> bool:
    """Whether the STOP RUN at ``n`` stands outside of every IF and EVALUATE of its sentence."""
    k = n
    while k > 0 and words[k - 1] != ".":
        k -= 1
    sentence = words[k:n]
    opened = sum(w in ("IF", "EVALUATE", "AT", "SIZE", "INVALID", "READ") for w in sentence)
    closed = sum(w in ("END-IF", "END-EVALUATE", "END-READ", "END-COMPUTE", "END-ADD") for w in sentence)
    return opened <= closed


def _literals(code: list[str], fields: dict[str, Field]) -> None:
    """Literals go to the fields they are near to in a condition; a WHEN goes to the subject of its EVALUATE."""
    subjects: list[list[str]] = []
    for n, word in enumerate(code):
        upper = word.upper()
        if upper == "EVALUATE":
            subjects.append([w.upper() for w in code[n + 1 : n + 8] if w.upper() in fields][:3])
        elif upper == "END-EVALUATE" and subjects:
            subjects.pop()
        elif _is_literal(word):
            near = [w.upper() for w in code[max(0, n - 8) : n + 6] if w.upper() in fields]
            if subjects and "WHEN" in [w.upper() for w in code[max(0, n - 12) : n]]:
                near += subjects[-1]
            for name in set(near):
                if len(fields[name].literals) < 40:
                    fields[name].literals.append(_plain(word))
    for item in fields.values():
        item.literals = _unique(item.literals)


def _is_literal(word: str) -> bool:
    return word[0] in "\"'" or bool(NUMBER.fullmatch(word))


def _plain(word: str) -> str:
    if word[0] in "\"'":
        return word[1:-1].replace(word[0] * 2, word[0])
    return word


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
