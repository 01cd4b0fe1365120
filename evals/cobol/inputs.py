"""Inputs for a program, made from its PIC clauses and literals and aimed at boundaries; the same seed, the same inputs.

Covers: values of one field, whole cases over standard input, arguments, files and LINKAGE fields, narrowing by
``domains``, simpler variants of a case for shrinking. Does not cover: whether a case is of use; that shows when the
reference runs on it.

A typed value is *valid* when it fits: GnuCOBOL's ACCEPT cuts what is typed to the field's length in bytes before it
reads a number, sign and point included. What does not fit is made too, and judged apart.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from curate.errors import UsageError
from evals.cobol.build import places, subscripts
from evals.cobol.source import NUMBER, Field, File, Program, Step

Domain = Mapping[str, Any]
WORDS = ("A", "Z", "abc", "Hello World", "X1", "a b", "12", "-", "HELLO", "o'neil", "yes", "N")
PADDING = 12  # further rounds behind a loop, so that the program does not run out of input


@dataclass(frozen=True)
class Case:
    """One input. ``files``: name -> records, None for a file that is not there; ``fields``: LINKAGE values."""

    lines: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    files: tuple[tuple[str, tuple[bytes, ...] | None], ...] = ()
    fields: tuple[tuple[str, Any], ...] = ()
    tail: tuple[str, ...] = ()  # padding behind the lines that are meant
    tag: str = ""  # how its loops were meant to end

    @property
    def stdin(self) -> bytes:
        return "".join(line + "\n" for line in (*self.lines, *self.tail)).encode("utf-8", "surrogateescape")


def domain_of(value: Any) -> Domain:
    """A declared domain (object or its JSON), names made comparable. Raises `UsageError`.

    ``{"FIELD": {"min": 0, "max": 120}, "CODE": {"values": ["A", "B"]}, "args": [["1"], ["2"]]}``; a bare list is a
    list of values.
    """
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UsageError(f"domains: not JSON ({error}).") from None
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError("domains: one object an item, field name to {min, max} or to a list of values.")
    found: dict[str, Any] = {}
    for name, spec in value.items():
        if isinstance(spec, list | tuple):
            spec = {"values": list(spec)}
        if not isinstance(spec, Mapping) or not set(spec) <= {"min", "max", "values", "step"} or not spec:
            raise UsageError(f"domains: {name!r} must be a list of values or an object with min and max.")
        found[_key(str(name))] = dict(spec)
    return found


def _key(name: str) -> str:
    return name.upper().replace("_", "-")


# --- one field ----------------------------------------------------------------------------------------------


def numbers(item: Field, extra: Sequence[str], domain: Domain) -> list[Decimal]:
    """Boundary values of a numeric field, all representable in it."""
    unit = Decimal(1).scaleb(-item.scale)
    top = (Decimal(10) ** (item.digits - item.scale)) - unit if item.kind == "numeric" else Decimal("9999.99")
    near: list[Decimal] = [
        Decimal(0),
        unit,
        Decimal(1),
        top,
        top - unit,
        Decimal(5) * unit,
        top / 2,
        Decimal(10),
    ]
    if item.scale:  # where rounding and cutting show
        near += [Decimal(n).scaleb(-1) for n in (1, 3, 5, 7, 9, 15, 25)] + [n * unit for n in (3, 10, 30, 70)]
        near += [top - 5 * unit, Decimal(1) + unit]
    for power in range(1, max(1, item.digits - item.scale)):
        near += [Decimal(10) ** power, Decimal(10) ** power - unit]
    for text in [*item.literals, *extra]:
        if NUMBER.fullmatch(text):
            value = Decimal(text)
            near += [value, value - unit, value + unit]
    spec = domain.get(item.name, {})
    if "values" in spec:
        near = [_number(v, item.name) for v in spec["values"]]
    low, high = _bounds(item, spec, top)
    near += (
        [low, high, low + unit, high - unit]
        if spec.get("min") is not None or spec.get("max") is not None
        else []
    )
    if item.signed and "values" not in spec:
        near += [-value for value in near]
    found = [value.quantize(unit) if abs(value) < Decimal(10) ** 20 else value for value in near]
    return list(dict.fromkeys(v for v in found if low <= v <= high))


def _bounds(item: Field, spec: Mapping[str, Any], top: Decimal) -> tuple[Decimal, Decimal]:
    low = -top if item.signed else Decimal(0)
    if spec.get("min") is not None:
        low = max(low, _number(spec["min"], item.name))
    high = min(top, _number(spec["max"], item.name)) if spec.get("max") is not None else top
    if low > high:
        raise UsageError(f"domains: {item.name}: nothing between {low} and {high} fits its PIC.")
    return low, high


def _number(value: Any, name: str) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise UsageError(f"domains: {name}: {value!r} is no number.") from None


class Maker:
    """Draws values and cases for one program."""

    def __init__(self, program: Program, domain: Domain, seed: int) -> None:
        self.program, self.domain = program, domain
        self.random = random.Random(seed)
        self.loose_numbers = [t for t in program.literals if NUMBER.fullmatch(t)][:12]
        self.loose_words = [t for t in program.literals if not NUMBER.fullmatch(t) and 0 < len(t) <= 30][:24]
        self.pools: dict[int, list[Any]] = {}

    def number(self, item: Field) -> Decimal:
        """A boundary about half of the time, else any size alike."""
        key = id(item)
        if key not in self.pools:
            self.pools[key] = numbers(item, self.loose_numbers, self.domain) or [Decimal(0)]
        pick = self.random.random()
        if pick < 0.5 or "values" in self.domain.get(item.name, {}):
            return Decimal(self.random.choice(self.pools[key]))
        unit = Decimal(1).scaleb(-item.scale)
        size = self.random.randint(1, max(1, item.digits or 6))
        value = Decimal(self.random.randint(0, 10**size - 1)) * unit
        if pick < 0.75 and item.scale:
            value = value.to_integral_value()
        if item.signed and self.random.random() < 0.35:
            value = -value
        low, high = min(self.pools[key]), max(self.pools[key])
        return value if low <= value <= high else Decimal(self.random.choice(self.pools[key]))

    def typed(self, item: Field) -> str:
        """Text for an ACCEPT, valid for the field."""
        declared = self.domain.get(item.name, {}).get("values")
        if declared:  # said to be valid, whatever the field makes of it
            return str(self.random.choice(declared))
        if item.kind in ("numeric", "float"):
            room = item.digits if item.usage == "DISPLAY" and item.kind == "numeric" else 30
            for _ in range(30):
                value = self.number(item)
                text = plain(value)
                if item.scale and self.random.random() < 0.3:
                    text = f"{value:.{item.scale}f}"
                elif not item.scale and value >= 0 and self.random.random() < 0.15:
                    text = text.zfill(item.digits)
                if len(text) <= room:
                    return text
            return (
                "1"
                if "1" in (plain(v) for v in self.pools[id(item)])
                else plain(self.pools[id(item)][0])[:room]
            )
        return self.text(item)

    def text(self, item: Field) -> str:
        """Characters for an alphanumeric field, at most its length."""
        spec = self.domain.get(item.name, {})
        if "values" in spec:
            return str(self.random.choice(spec["values"]))
        room = max(1, item.length or 20)
        pick = self.random.random()
        if pick < 0.45 and item.literals:
            value = self.random.choice(item.literals)
        elif pick < 0.6 and self.loose_words:
            value = self.random.choice(self.loose_words)
        elif pick < 0.7:
            value = self.random.choice(WORDS)
        elif pick < 0.8:
            # Characters that the program looks for come often, and in rows.
            marks = [t for t in self.program.literals if len(t) == 1] * 3
            value = "".join(self.random.choice([*marks, *"ABXYZabz01 -"]) for _ in range(room))
            if marks and self.random.random() < 0.5:
                value = self.random.choice(marks) * self.random.randint(1, 3) + value
        else:
            size = self.random.choice((1, room, max(1, room - 1), max(1, room // 2)))
            value = "".join(
                self.random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij 0123456789") for _ in range(size)
            )
        pick = self.random.random()
        if pick < 0.08:
            value = value.swapcase()
        elif pick < 0.12:
            value = " " + value
        elif pick < 0.15:
            value = ""
        return value[:room].rstrip() if self.random.random() < 0.9 else value[:room]

    # --- whole cases

    def _expand(self, steps: Sequence[Step], tail: list[Field]) -> tuple[list[str], str]:
        lines: list[str] = []
        tag = ""
        for step in steps:
            if isinstance(step, Field):
                lines.append(self.typed(step))
                continue
            rounds = self.random.choice((1, 1, 2, 3, 3, 5))
            for n in range(rounds):
                inner, more = self._expand(step, tail)
                heads = [s for s in step if isinstance(s, Field)]
                ends = [(k, t) for k, s in enumerate(heads) for t in s.literals if self._fits(s, t)]
                if n == rounds - 1 and ends and len(heads) == len(step):
                    k, text = self.random.choice(ends)
                    if len(text) <= max(1, heads[k].length or heads[k].digits or 30):
                        inner[k] = text
                        more = f"{heads[k].name}={text}"
                lines += inner
                tag = tag or more
            tail[:] = [s for s in step if isinstance(s, Field)]
        return lines, tag

    def _fits(self, item: Field, literal: str) -> bool:
        """Whether a literal near a field may be typed into it: a number for a numeric one, inside its domain."""
        if item.kind not in ("numeric", "float"):
            return True
        if not NUMBER.fullmatch(literal):
            return False
        spec = self.domain.get(item.name, {})
        top = Decimal(10) ** (item.digits - item.scale) if item.kind == "numeric" else Decimal("Infinity")
        low, high = _bounds(item, spec, top)
        listed = [_number(value, item.name) for value in spec.get("values", ())]
        return low <= Decimal(literal) <= high and (not listed or Decimal(literal) in listed)

    def case(self) -> Case:
        program = self.program
        tail_fields: list[Field] = []
        lines, tag = self._expand(program.stdin, tail_fields)
        tail = [self.typed(f) for _ in range(PADDING) for f in tail_fields]
        if program.linkage:
            return Case(fields=tuple(self._fields()))
        files = tuple((f.assigned, self._records(f)) for f in program.files if _is_input(f))
        return Case(tuple(lines), tuple(self._args()), files, (), tuple(tail), tag)

    def _args(self) -> list[str]:
        program = self.program
        fixed = self.domain.get("ARGS", self.domain.get("ARGV", {}))
        if "values" in fixed:
            chosen = self.random.choice(fixed["values"])
            return [str(v) for v in chosen] if isinstance(chosen, list) else str(chosen).split()
        if not program.args:
            return []
        if not program.command_line:
            return [self._word(item) for item in program.args]
        targets = self._unstrung()
        if targets:
            return [self._word(item) for item in targets]
        count = self.random.choice((1, 1, 2, 2, 3))
        numeric = bool(re.search(r"\bNUMVAL", program.text, re.I))
        return [
            str(self.random.choice((0, 1, 2, 5, 9, 10, 99, 100, self.random.randint(0, 9999))))
            if numeric and self.random.random() < 0.85
            else self._word(Field("ARG", 1, "text", length=8))
            for _ in range(count)
        ]

    def _word(self, item: Field) -> str:
        """An argument: on the command line COBOL sees words joined by blanks."""
        for _ in range(20):
            value = self.typed(item).strip()
            if value and not re.search(r"\s", value):
                return value
        return "1" if item.kind == "numeric" else "A"

    def _unstrung(self) -> list[Field]:
        for item in self.program.args:
            found = re.search(
                rf"UNSTRING\s+{re.escape(item.name)}\b(.*?)(?:END-UNSTRING|\.\s)",
                self.program.text,
                re.I | re.S,
            )
            into = re.search(r"\bINTO\b(.*)", found[1], re.I | re.S) if found else None
            if into:
                names = [w.upper() for w in re.findall(r"[A-Za-z][\w-]*", into[1])]
                names = names[
                    : next((k for k, n in enumerate(names) if n in ("WITH", "POINTER", "TALLYING")), 99)
                ]
                return [self.program.fields[n] for n in names if n in self.program.fields]
        return []

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for item, sizes in places(self.program.linkage):
            count = len(subscripts(sizes))
            values = [self._value(item) for _ in range(count)]
            yield item.python_name, values if sizes else values[0]

    def _value(self, item: Field) -> Any:
        if item.kind == "numeric":
            value = self.number(item)
            return {"decimal": str(value)} if item.scale else int(value)
        if item.kind == "float":
            return float(self.number(Field(item.name, 1, "numeric", 6, 2, True, literals=item.literals)))
        return self.text(item)

    def _records(self, file: File) -> tuple[bytes, ...] | None:
        if file.status and self.random.random() < 0.1:
            return None
        count = self.random.choice((0, 1, 1, 2, 3, 4, 6))
        return tuple(self._record(file) for _ in range(count))

    def _record(self, file: File) -> bytes:
        record = (
            file.record[0]
            if len(file.record) == 1
            else self.random.choice(file.record)
            if file.record
            else None
        )
        if record is None:
            return b""
        data = b"".join(self._stored(item, sizes) for item, sizes in _all_places(record))
        return data.rstrip(b" ") if file.organization == "LINE SEQUENTIAL" else data

    def _stored(self, item: Field, sizes: tuple[int, ...]) -> bytes:
        return b"".join(self._bytes(item) for _ in subscripts(sizes))

    def _bytes(self, item: Field) -> bytes:
        if item.kind != "numeric":
            return self.text(item).encode("ascii", "replace").ljust(item.length)[: item.length]
        value = self.number(item)
        whole = str(int(abs(value).scaleb(item.scale))).zfill(item.digits)[-item.digits :]
        if item.usage in ("COMP-3", "PACKED-DECIMAL"):
            nibbles = whole + ("d" if value < 0 else "c" if item.signed else "f")
            return bytes.fromhex(nibbles.zfill(len(nibbles) + len(nibbles) % 2))
        if item.usage in ("COMP", "BINARY", "COMP-4"):
            size = 2 if item.digits <= 4 else 4 if item.digits <= 9 else 8
            return int(value.scaleb(item.scale)).to_bytes(size, "big", signed=True)
        if item.separate:
            return (whole + ("-" if value < 0 else "+")).encode()
        if value < 0:  # GnuCOBOL's sign in the last digit: p to y
            return (whole[:-1] + chr(ord("p") + int(whole[-1]))).encode()
        return whole.encode()


def _all_places(record: Field) -> Iterator[tuple[Field, tuple[int, ...]]]:
    def below(item: Field, sizes: tuple[int, ...]) -> Iterator[tuple[Field, tuple[int, ...]]]:
        if item.redefines:
            return
        sizes = (*sizes, item.occurs) if item.occurs > 1 else sizes
        if not item.children:
            yield item, sizes
        for child in item.children:
            yield from below(child, sizes)

    return below(record, ())


def _is_input(file: File) -> bool:
    return bool(file.modes & {"INPUT", "I-O", "EXTEND"}) and not (
        "OUTPUT" in file.modes and "I-O" not in file.modes
    )


def plain(value: Decimal) -> str:
    """The shortest usual way to type a number."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def cases(program: Program, domain: Domain, seed: int, count: int) -> list[Case]:
    """At most ``count`` different valid cases. A program without inputs has one: the empty one."""
    maker = Maker(program, domain, seed)
    found: dict[tuple[Any, ...], Case] = {}
    for _ in range(count * 4):
        case = maker.case()
        found.setdefault((case.lines, case.args, case.files, repr(case.fields)), case)
        if len(found) >= count:
            break
    return list(found.values())


def invalid_cases(program: Program, seed: int, count: int = 6) -> list[Case]:
    """Typed text that the fields cannot take: too long, no number, empty. Judged apart."""
    maker = Maker(program, {}, seed)
    flat = [step for step in program.stdin if isinstance(step, Field)]
    if not flat or len(flat) != len(program.stdin):
        return []
    found = []
    for n in range(count):
        lines = list(maker.case().lines)
        at = n % len(flat)
        item = flat[at]
        if item.kind == "numeric":
            big = plain(max(numbers(item, (), {})))
            lines[at] = (
                "-" + big if item.signed else big + "7",
                "abc",
                "",
                big + "." + "9" * (item.scale + 1),
            )[n % 4]
        else:
            lines[at] = "ABCDEFGHIJ" * (item.length // 10 + 2)
        found.append(Case(tuple(lines)))
    return found


def simpler(case: Case) -> Iterator[Case]:
    """Smaller variants of a case, boldest first."""
    if case.tail:
        yield replace(case, tail=())
    for n in range(len(case.lines)):
        if len(case.lines) > 1:
            yield replace(case, lines=case.lines[:n] + case.lines[n + 1 :])
    for n, line in enumerate(case.lines):
        for text in _smaller(line):
            yield replace(case, lines=(*case.lines[:n], text, *case.lines[n + 1 :]))
    for n, word in enumerate(case.args):
        for text in _smaller(word):
            if text:
                yield replace(case, args=(*case.args[:n], text, *case.args[n + 1 :]))
    for n, (name, records) in enumerate(case.files):
        for k in range(len(records or ())):
            fewer = (*(records or ())[:k], *(records or ())[k + 1 :])
            yield replace(case, files=(*case.files[:n], (name, fewer), *case.files[n + 1 :]))
    for n, (name, value) in enumerate(case.fields):
        for small in _smaller_value(value):
            yield replace(case, fields=(*case.fields[:n], (name, small), *case.fields[n + 1 :]))


def _smaller(text: str) -> Iterator[str]:
    if NUMBER.fullmatch(text):
        value = Decimal(text)
        for other in (Decimal(0), Decimal(1), value.to_integral_value(), Decimal(int(value / 10)), value - 1):
            if abs(other) < abs(value) and len(plain(other)) <= len(text):
                yield plain(other)
    elif text:
        yield from dict.fromkeys((text[: len(text) // 2], text[:-1], "A"[: len(text)]))


def _smaller_value(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        zero: Any = 0 if value and isinstance(value[0], int) else value[0] if value else 0
        if value != [zero] * len(value):
            yield [zero] * len(value)
        return
    if isinstance(value, dict):
        for text in _smaller(value["decimal"]):
            yield {"decimal": text}
    elif isinstance(value, int) and value:
        for text in _smaller(str(value)):
            yield int(text)
    elif isinstance(value, str):
        yield from _smaller(value)
