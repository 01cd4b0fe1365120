"""The radar: where a text says something that will not stay true.

Covers: `read_facts`, which marks prices, fees, rates, periods, statutes, dates, versions, opening hours, holders of
offices, counts and words of the present, each with a suggested class, by rules and an encoder; `find_facts`, the same
by the rules alone. Pure: no store, no clock but the day given.
Does not cover: whether a fact is true now, facts without a trace in the words ("the red line ends at the harbour"),
other languages; people decide on every finding (`curate.facts.classes`).

A finding is a shape (an amount, a duration, a name after a title ...) in a sentence that ties it to the world as it is,
and to no story, sum, recipe, dose or law of nature. What only repeats a number of the prompt is none: the completion
took it from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from curate.contract import sha256_hex
from curate.facts import learned
from curate.facts import words as w
from curate.facts.cases import of_one_case
from curate.facts.rules import RULES, Hit, Sentence, Text
from curate.facts.tied import tied

KINDS = tuple(
    "price fee rate period statute date version hours office channel availability count now".split()
)
CLASSES = ("timeless", "expires", "slot")
_SUGGESTED = dict.fromkeys(("date", "statute", "count", "now", "availability"), "expires")  # all others: slot
_RANK = tuple(
    "statute version channel hours date fee price rate office count availability period now".split()
)
_NOT_A_STOP = re.compile(
    r"(?:\b(?:Rs|No|Nos|Dr|Mr|Mrs|Ms|St|vs|approx|sec|secs|art|ver|Inc|Ltd|Co|cl|Smt|Prof|Hon|Adv|viz|cf|est|[A-Z]|ext|rev|e\.g|i\.e|a\.m|p\.m|w\.e\.f|u\.s))\.$",
    re.IGNORECASE,
)
_SLOT = re.compile(r"\{[a-z][a-z0-9_]{0,39}\}")  # stands where a fact stood
_STOP = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)|\n+")


def find_facts(text: str, *, prompt: str = "", today: date | None = None) -> list[dict[str, Any]]:
    """Facts of ``text`` that may expire by the rules alone, in its order, never overlapping.

    Each is ``{"kind", "span", "start", "end", "suggestion", "expires"}``: kind one of `KINDS`, ``text[start:end]`` is
    the span, suggestion one of "expires" and "slot" (what is timeless is not found), ``expires`` the ISO day on which
    the words themselves say that it stops being true, or None. ``today`` decides which years are history (the real day
    when absent). At most `words.LONGEST` characters are read. Never raises.
    """
    read, prompt = text[: w.LONGEST], prompt[: w.LONGEST]
    return _facts(read, prompt, _apart(_by_rules(read, prompt, today or date.today())))


def read_facts(
    texts: Sequence[str], *, prompts: Sequence[str] | None = None, today: date | None = None
) -> list[list[dict[str, Any]]]:
    """Facts of each text as in `find_facts`, by the rules and the encoder together (`curate.facts.learned`).

    Raises `curate.privacy.findings.ModelMissing` where the encoder's base is not installed.
    """
    day = today or date.today()
    asked = prompts or [""] * len(texts)
    cut = [text[: w.LONGEST] for text in texts]
    found = []
    for text, prompt, reading in zip(cut, asked, learned.read(cut), strict=True):
        told = prompt[: w.LONGEST]
        hits = [
            hit for hit in _apart(_by_rules(text, told, day)) if reading.near(hit[1], hit[2]) >= learned.DOUBT
        ]
        taken = [(start, end) for _, start, end in hits] + [slot.span() for slot in _SLOT.finditer(text)]
        hits += [
            span for span in reading.spans if all(span[2] <= start or end <= span[1] for start, end in taken)
        ]
        found.append(_facts(text, told, sorted(hits, key=lambda hit: hit[1])))
    return found


def _by_rules(read: str, prompt: str, day: date) -> list[Hit]:
    """What every rule marks, overlapping as it may."""
    about = Text(
        prompt,
        day,
        clinical=len({m.group().casefold() for m in w.CLINICAL.finditer(read)}) >= 3
        or len(w.SOAP.findall(read)) >= 2,
        sum=bool(w.SUPPOSE.search(read) or w.SUM.search(read)),
        agreed=bool(w.AGREED.search(read)),
        program=len({m.group().casefold() for m in w.PROGRAM.finditer(read)}) >= 2,
        whole=read,
    )
    return [
        (kind, sentence.start + start, sentence.start + end)
        for sentence in _sentences(read, day)
        for rule in (*RULES, tied)
        for kind, start, end in rule(sentence, about)
        if end > start and not of_one_case(kind, sentence, about, start, end)
    ]


def _facts(read: str, prompt: str, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Hits that lie apart as facts; without what only repeats the prompt."""
    found = []
    for kind, start, end in hits:
        start, end = _trimmed(read, start, end)
        if end <= start or _repeats(kind, read[start:end], prompt):
            continue
        ends = _last_day(read, start, end) if kind == "date" else None
        found.append(
            {
                "kind": kind,
                "span": read[start:end],
                "start": start,
                "end": end,
                "suggestion": _SUGGESTED.get(kind, "slot"),
                "expires": (ends + timedelta(days=1)).isoformat() if ends else None,
            }
        )
    return found


@cache
def rules_version() -> str:
    """Names the rules and the encoder as they are: a text scanned by other ones is scanned again."""
    here, files = Path(__file__).parent, ("cases.py", "radar.py", "rules.py", "tied.py", "words.py")
    rules = b"".join((here / name).read_bytes() for name in files)
    return "radar-" + sha256_hex(rules + learned.digest().encode())[:12]


# --- sentences ----------------------------------------------------------------------------------------------


def _sentences(text: str, today: date) -> Iterator[Sentence]:
    start = 0
    ends = [m.end() for m in _STOP.finditer(text)]
    for end in [*ends, len(text)]:
        piece = text[start:end]
        if end < len(text) and "\n" not in piece[-1:] and _NOT_A_STOP.search(piece[-12:].rstrip("\"'”’)]")):
            continue
        if piece.strip():
            yield Sentence(
                piece,
                start,
                question=bool(w.QUESTION.search(piece))
                and not piece.lstrip().lower().startswith("did you know"),
                code=bool(w.CODE_LINE.match(piece.split("\n")[0]))
                and not re.search(r"[#\"']|\*>", piece)
                and not w.COBOL_IN_PROSE.match(piece),
                past=_is_past(piece, today),
            )
        start = end


def _is_past(sentence: str, today: date) -> bool:
    """Whether it tells of a year long over, in the past tense, and says nothing of the present."""
    years = [int(m) for m in re.findall(r"(?<![\d,.$₹£€])(1[0-9]\d\d|20\d\d)s?(?![\d,%])", sentence)]
    old = bool(years) and max(years) < today.year - 1
    if re.search(
        r"\b(?:BC|BCE|century|centuries|medieval|ancient|Mughal|Roman|Victorian|World\s+War|decades?\s+ago|years\s+ago)\b",
        sentence,
    ):
        old = True
    return (
        old
        and bool(w.PAST.search(sentence))
        and not re.search(
            r"\b(?:now|currently|today|still|since|as\s+of|until|valid|expires?|last\s+(?:updated|revised|changed)|in\s+force)\b",
            sentence,
            re.IGNORECASE,
        )
    )


# --- putting them together ----------------------------------------------------------------------------------


def _apart(hits: list[Hit]) -> list[Hit]:
    """Hits that do not overlap: of those that do, the one of the more telling kind, then the longer one."""
    taken: list[Hit] = []
    for hit in sorted(set(hits), key=lambda h: (_RANK.index(h[0]), h[1] - h[2], h[1])):
        if all(hit[2] <= other[1] or hit[1] >= other[2] for other in taken):
            taken.append(hit)
    return sorted(taken, key=lambda h: h[1])


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and (text[start].isspace() or text[start] in ",;:-–—("):
        start += 1
    while end > start and (
        text[end - 1].isspace()
        or text[end - 1] in ",;:-–—("
        or (text[end - 1] == "." and text[end - 4 : end - 1].lower() not in ("a.m", "p.m"))
    ):
        end -= 1
    return start, end


def _repeats(kind: str, span: str, prompt: str) -> bool:
    """Whether the span is only what the prompt gave: its figures and names stand there already."""
    if not prompt or kind in ("now", "statute"):
        return False
    figures = re.findall(r"\d[\d,.]*\d|\d", span)
    if not figures:
        return len(span) > 3 and span.casefold() in prompt.casefold()
    plain = {f.replace(",", "") for f in re.findall(r"\d[\d,.]*\d|\d", prompt)}
    return all(f.replace(",", "") in plain for f in figures)


def _last_day(text: str, start: int, end: int) -> date | None:
    """The last day on which it holds, where the words before the date say that it ends there."""
    match = w.DATE.search(text, start, end)
    if match is None or not w.ENDS.search(text[max(0, start - 60) : start]):
        return None
    parts = next(
        ((match[f"d{n}"], match[f"m{n}"], match[f"y{n}"]) for n in (1, 2) if match[f"m{n}"]),
        None,
    )
    if match["y3"]:
        year, month = int(match["y3"]), _month(match["m3"])
        return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    try:
        if match["y4"]:
            return date(int(match["y4"]), int(match["m4"]), int(match["d4"]))
        if match["y5"]:
            return date(int(match["y5"]), int(match["m5"]), int(match["d5"]))
        if parts and parts[2]:
            return date(int(parts[2]), _month(parts[1]), int(re.match(r"\d+", parts[0])[0]))  # type: ignore[index]
    except ValueError:  # 31 June
        return None
    return None


def _month(name: str) -> int:
    return next(n for n, month in enumerate(w.MONTHS, 1) if month.startswith(name.lower().rstrip(".")[:3]))
