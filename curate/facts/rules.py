"""One rule a kind of fact: shapes of `curate.facts.words` in sentences that tie them to the world as it is.

Covers: what in a sentence is a fact that may expire, and which sentences tell a story, a sum, a recipe, a dose or a law
of nature instead. Does not cover: splitting texts, overlaps and suggestions (`curate.facts.radar`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from curate.facts import words as w


@dataclass(frozen=True)
class Sentence:
    """One sentence, its place in the text, and what was found out about it once."""

    text: str
    start: int
    question: bool
    code: bool
    past: bool  # tells of something that is over


@dataclass(frozen=True)
class Text:
    """What a rule may know of the whole text: its prompt, the day, whether it is a doctor's note or a sum."""

    prompt: str
    today: date
    clinical: bool
    sum: bool
    agreed: bool  # a contract of two parties, or a part of one
    program: bool  # explains or is a program
    whole: str  # the text itself


Hit = tuple[str, int, int]  # kind, start, end in the sentence
Rule = Callable[[Sentence, Text], Iterator[Hit]]


def _their_own(s: Sentence, about: Text) -> bool:
    """Whether its numbers are what two parties settle between themselves, or constants of a program."""
    if about.agreed and not w.BY_STATUTE.search(s.text):
        return True
    return about.program and not w.OF_THE_WORLD.search(w.IDENTIFIER.sub(" ", s.text))


def _money(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or s.past or s.code or _their_own(s, about):
        return
    matches = list(w.MONEY.finditer(s.text))
    if w.RATE.search(s.text) or w.FEE.search(s.text) or re.search(r"\b(?:tickets?|prices?|buys?)\b", s.text):
        matches += [
            m
            for m in w.POUNDS.finditer(s.text)
            if not re.search(r"\b(?:weigh\w*|lose|lost|gain\w*|lift\w*)\b", s.text)
        ]
    if matches and (
        w.IDIOM.search(s.text) or w.DEFINITION.search(s.text) or (about.sum and not w.FEE.search(s.text))
    ):
        return
    if w.FICTION.search(s.text) or (w.SPENT.search(s.text) and not w.PRESENT.search(s.text)):
        return
    kind = "fee" if w.FEE.search(s.text) else "price"
    for match in matches:
        if s.text[: match.start()].rstrip().endswith("=") or w.CAME_TO.search(s.text[: match.start()]):
            continue
        tail = w.PER.match(s.text, match.end())
        yield kind, match.start(), tail.end() if tail else match.end()
    for match in w.FREE.finditer(s.text):
        yield "fee", match.start(), match.end()


def _rates(s: Sentence, about: Text) -> Iterator[Hit]:
    for match in w.MULTIPLE.finditer("" if s.question or s.past else s.text):
        yield "rate", match.start(), match.end()
    if s.question or s.past or s.code or _their_own(s, about):
        return
    if w.SET_BY.search(s.text) and not (
        about.clinical or about.sum or w.SCIENCE.search(s.text) or w.COOKING.search(s.text)
    ):
        for match in w.LIMIT.finditer(s.text):
            group = "value" if match["value"] else "value2"
            yield "rate", match.start(group), match.end(group)
        for match in w.THRESHOLD.finditer(s.text):
            group = "value" if match["value"] else "value2"
            if not w.PERIOD.fullmatch(match[group]):
                yield "rate", match.start(group), match.end(group)
    if w.AGE_WORDS.search(s.text) and not about.clinical:
        for match in w.LEGAL_AGE.finditer(s.text):
            yield "rate", match.start("age"), match.end("age")
    if (
        w.GUIDELINE.search(s.text)
        and (w.CLINICAL.search(s.text) or w.HOSPITAL.search(s.text))
        and re.search(
            r"\b(?:guidelines?|recommend(?:s|ed)\s+(?:by|a|that|for)|ADA|WHO|ICMR|NICE|AHA|CDC|advisory)\b",
            s.text,
        )
    ):
        for match in w.GUIDELINE_VALUE.finditer(s.text):
            yield "rate", match.start("value"), match.end("value")
    for pattern in (w.EXCHANGE, w.BARE_RATE):
        for match in pattern.finditer(s.text):
            yield "rate", match.start(), match.end()
    if w.IDIOM.search(s.text) or (w.SUM.search(s.text) and about.sum):
        return
    for match in w.SHARE.finditer(s.text):
        near = s.text[max(0, match.start() - 90) : match.end() + 60]
        rate = w.RATE.search(near) or w.PRESENT.search(s.text) or not w.PAST.search(s.text)
        if (
            rate
            and not w.FICTION.search(s.text)
            and not (
                w.SCIENCE.search(s.text)
                and not re.search(r"\b(?:tax|GST|VAT|interest|price|discount|fees?|duty)\b", near, re.I)
            )
        ):
            if about.clinical and not re.search(r"\b(?:tax|GST|discount|fees?)\b", near, re.I):
                continue
            yield "rate", match.start(), match.end()


def _periods(s: Sentence, about: Text) -> Iterator[Hit]:
    if (
        s.question
        or s.past
        or s.code
        or _their_own(s, about)
        or w.DEFINITION.search(s.text)
        or w.IDIOM.search(s.text)
    ):
        return
    for match in w.SAME_DAY.finditer(s.text if w.TERMS.search(s.text) else ""):
        yield "period", match.start(), match.end()
    for match in w.PERIOD.finditer(s.text):
        if match["unit"].startswith(("minute", "min")) and not re.search(
            r"\b(?:repl\w+|respon\w+|session|chat|deliver\w*|support|wait\w*|cancel\w*|grace|hold|expires?|late|check-?in|boarding|OTP|code)\b",
            s.text,
            re.I,
        ):
            continue
        business = bool(match["kind"] and match["kind"].strip("- ").lower() in ("business", "working"))
        if not business:
            others = [
                t for t in w.TERMS.finditer(s.text) if t.end() <= match.start() or t.start() >= match.end()
            ]
            bound = w.WITHIN.search(s.text[: match.start()]) and w.SPEAKS.search(s.text)
            if (
                not others
                and not bound
                and not re.search(
                    r"\byou\s+(?:have|get|(?:['’]ll|will)\s+have)\s+$", s.text[: match.start()], re.I
                )
            ):
                continue
            if (
                w.COOKING.search(s.text)
                or w.SCIENCE.search(s.text)
                or (about.clinical or w.CLINICAL.search(s.text))
            ):
                if not re.search(
                    r"\b(?:refund\w*|return\w*|deliver\w*|warrant\w*|notice|leave|insur\w+|claim\w*|appoint\w+|visa|entitle\w*)\b",
                    s.text,
                    re.I,
                ):
                    continue
                if about.clinical and not w.DESK.search(s.text):
                    continue
            if w.UNDER_WAY.search(s.text[: match.start()]):
                continue
            if w.STORY.search(s.text) and not re.search(
                r"\b(?:refund\w*|warrant\w*|polic\w+|notice|valid\w*|must|shall)\b", s.text, re.I
            ):
                continue
            if about.sum and w.SUPPOSE.search(s.text):
                continue
            promised = bool(others)
            before = s.text[: match.start()]
            after = s.text[match.end() : match.end() + 40]
            if not (
                promised
                or (w.BOUND.search(before[-26:]) and re.search(r"[\w)(:,=|]\W*$", before[-26:]))
                or re.match(
                    r"[\s-]*(?:['’]s?\s+)?(?:return|refund|exchange|warranty|guarantee|notice|trial|probation|window|grace|validity|lock-in|money-back|free|deadline|waiting|cooling|replacement|policy|leave|moratorium|of\s+(?:\w+\s+){0,2}(?:leave|notice|delivery|receipt|purchase|joining)|from|after|before|to)\b",
                    after,
                    re.I,
                )
            ):
                continue
            if re.match(
                r"one\s+day\b(?!\s+(?:of|notice|deliver))|\W*an?\s+(?:minute|hour|day|night|week|fortnight|month|year)|.*(?:million|billion|thousand)\s+years",
                match.group(),
                re.I,
            ) and not re.search(
                r"\b(?:after|within|for|in|takes?|than|under|about|of|every|first)\s+$",
                s.text[: match.start()],
                re.I,
            ):
                continue
        yield "period", match.start(), match.end()


def _statutes(s: Sentence, about: Text) -> Iterator[Hit]:
    old = re.search(r"\b1[5-8]\d\d\b", s.text) and s.past
    legal = w.LEGAL.search(s.text)
    if not old:
        for match in w.STATUTE_HEAD.finditer(s.text):
            start = _name_start(s.text, match.start())
            named = start < match.start()
            word = match.group().split(",")[0].split()[0]
            if match["year"] and (named or s.text[: match.start()].strip()):
                if int(match["year"]) < 1850 and not w.LEGAL_NOW.search(s.text):
                    continue
                yield "statute", start, match.end()
            elif named and word in (
                "Act",
                "Acts",
                "Ordinance",
                "Sanhita",
                "Adhiniyam",
                "Directive",
                "Constitution",
                "Regulation",
                "Regulations",
                "Bill",
                "Convention",
                "Amendment",
            ):
                if word in ("Bill", "Convention") and not legal:
                    continue
                if s.past and not re.search(r"\bunder\b", s.text):
                    continue
                yield "statute", start, match.end()
            elif (
                named
                and word in ("Code", "Rules", "Scheme", "Guidelines", "Notification", "Circular", "Order")
                and re.search(
                    r"\b(?:Penal|Civil|Criminal|Labou?r|Building|Tax|Wages?|Procedure|Companies|Motor|Central|State|RBI|SEBI|IT|Bankruptcy|Highway|Revenue|Model|Conduct|Pension|Insolvency|Provident|Social)\b",
                    s.text[start : match.end()],
                )
            ):
                yield "statute", start, match.end()
        for match in w.CODE_ON.finditer(s.text):
            yield "statute", match.start(), match.end()
        for match in w.LAW_NAMES.finditer(s.text):
            if w.REQUIRES.search(s.text) and not (s.question or s.past):
                yield "statute", match.start(), match.end()
    for match in w.PROVISION.finditer(s.text):
        what = match["what"].lower()
        rest = s.text[: match.start()] + " " + s.text[match.end() :]
        if about.program or (about.agreed and not w.LEGAL.search(s.text[match.end() : match.end() + 60])):
            continue
        if match["number"][0] in "IVX" and what not in ("article", "chapter", "part", "title", "schedule"):
            continue
        if what in (
            "clause",
            "part",
            "title",
            "chapter",
            "order",
            "paragraph",
            "para",
            "schedule",
            "rule",
            "rules",
            "regulation",
            "regulations",
        ) and not re.search(
            r"\b(?:Act|Code|Constitution|Rules,|Regulations,|CPC|CrPC|C\.?F\.?R|statute|GDPR|Income)\b", rest
        ):
            continue
        if w.OWN_PARTS.search(s.text[match.start() : match.end() + 40]) and not re.search(
            r"\b(?:Act|Code)\b", s.text[match.end() : match.end() + 40]
        ):
            continue
        if re.search(r"\b(?:DIVISION|SECTION\.)", s.text) or not w.LEGAL.search(rest):
            continue
        if old:
            continue
        yield "statute", match.start(), match.end()
    if not (s.question or s.past or old):
        for match in w.BY_LAW.finditer(s.text):
            if not re.search(
                r"\b(?:physics|gravity|nature|thermodynamics|Murphy|mother|sister|brother|father|in-laws?)\b",
                s.text,
            ):
                yield "statute", match.start(), match.end()


def _name_start(text: str, at: int) -> int:
    """Where the capitalised name that ends at ``at`` begins: words back over links such as "and", "of the"."""
    start, seen = at, 0
    for match in reversed(list(re.finditer(r"\([^()\n]{1,60}\)|[\w&'’.-]+,?", text[max(0, at - 160) : at]))):
        word = match.group().rstrip(",")
        place = max(0, at - 160) + match.start()
        gap = text[place + len(match.group()) : start]
        if gap.strip() or seen > 14:
            break
        if word in w.OPENERS or (match.group().endswith(".") and len(word) > 3):
            break
        if word[:1].isupper() or word.startswith("(") or word in w.STATUTE_LINK:
            seen += 1
            start = place
        else:
            break
    inside = list(
        re.finditer(r"\b(?:by|to|under|with|from|in|per|on|and|of)\s+the\s+", text[start:at], re.IGNORECASE)
    )
    if inside:
        start += inside[-1].end()
    while (
        lead := re.match(
            r"(?:and|of|the|for|in|on|to|&|under|with|from|or|by)\s+|\([^()]*\)\s*", text[start:at]
        )
    ) is not None:
        start += lead.end()
    return start


def _dates(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or (about.clinical and not w.DESK.search(s.text)) or _their_own(s, about):
        return
    near = about.today.year - 1
    for match in w.DATE.finditer(s.text):
        year = next((int(match[f"y{n}"]) for n in range(1, 6) if match[f"y{n}"]), None)
        if year is not None:
            since = year >= 2015 and re.search(r"\bsince\b[^.\n]{0,12}$", s.text[: match.start()])
            standing = w.STANDS.search(s.text) and not s.past
            born = year >= near and re.search(r"\bborn\b", s.text)
            if (year >= near or since or standing) and not born:
                yield "date", match.start(), match.end()
            continue
        if match.group().split()[0] in ("may", "march", "May", "March") and not re.search(
            r"\d", match.group()
        ):
            continue
        month = next(str(match[f"m{n}"]) for n in (1, 2, 3) if match[f"m{n}"])
        if not month[:1].isupper() or s.past or not w.DUE.search(s.text):
            continue
        if w.HOLIDAY.search(s.text) and not w.FILING.search(s.text):
            continue
        if w.PAST.search(s.text) and not w.PRESENT.search(s.text):
            continue
        yield "date", match.start(), match.end()
    for match in w.YEAR.finditer(s.text):
        digits = match["y"] or match["y2"] or match["y3"] or match["y4"]
        year = int(digits) if len(digits) == 4 else 2000 + int(digits)
        labelled = bool(match["label"]) and (len(digits) == 4 or re.search(r"FY|AY", match.group(), re.I))
        if match["label"] and not labelled and not re.search(r"'|\d{2}$", match.group()):
            continue
        since = re.match(r"since", match.group(), re.I) and re.search(r"\b(?:has|have|is|are)\b", s.text)
        if (
            not near <= year <= about.today.year + 30
            and not (year >= 2015 and since)
            and not (year < near and re.match(r"as\s+of", match.group(), re.I))
        ):
            continue
        start = match.start("y") if match["y"] else match.start()
        end = match.end("y4") if match["y4"] else match.end()
        yield "date", start, end
    if not s.past:
        if (
            w.DUE.search(s.text)
            and (w.PRESENT.search(s.text) or not w.PAST.search(s.text))
            and not w.HOLIDAY.search(s.text)
        ):
            for match in w.IN_MONTH.finditer(s.text):
                yield "date", match.start("month"), match.end("month")
            for match in w.ORDINAL.finditer(s.text):
                yield "date", match.start("day"), match.end("day")
        for match in w.ON_WEEKDAY.finditer(s.text):
            if (
                re.search(r"\b(?:Black|Good|Ash|Easter|Palm)\s*$", s.text[: match.start()])
                or w.STORY.search(s.text)
                or w.SELF.search(s.text)
            ):
                continue
            yield "date", match.start(), match.end()


def _versions(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.past and not w.NEEDS.search(s.text):
        return
    for pattern in (w.PRODUCT, w.LOWER_PRODUCT, w.VERSION, w.FORM):
        for match in pattern.finditer(s.text):
            if w.STABLE_VERSIONS.search(match.group().strip()) or w.CAME_WITH.search(s.text[: match.start()]):
                continue
            yield "version", match.start(), match.end()

    if w.ASKS_VERSION.search(s.text) and (about.program or w.PRODUCT.search(s.text) or "pip" in s.text):
        for match in w.ANY_VERSION.finditer(s.text):
            if not w.STABLE_VERSIONS.search(match.group()) and match.group().split()[0].lower() not in (
                "from",
                "in",
                "by",
                "at",
                "of",
                "to",
                "than",
                "is",
                "about",
                "section",
                "since",
                "with",
                "and",
                "or",
                "on",
                "the",
                "until",
                "before",
                "after",
                "version",
                "rate",
                "x",
            ):
                yield "version", match.start(), match.end()
    if about.program or w.PRODUCT.search(s.text):
        for match in w.IN_VERSION.finditer(s.text):
            yield "version", match.start("n"), match.end("n")


def _hours(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or s.past or (about.clinical and not w.HOSPITAL.search(s.text)):
        return
    opening = [m for m in w.OPENING.finditer(s.text)]
    mine = w.SELF.search(s.text) and not re.search(r"\b(?:open|hours|clos)", s.text)
    for match in w.CLOCK_RANGE.finditer(s.text):
        if opening and not mine and re.search(r"[ap]\.?m|:|noon|midnight|hrs|\.\d\d", match.group(), re.I):
            yield "hours", match.start(), match.end()
    if not mine and re.search(r"\b(?:weekdays?|open\w*|hours|Mon\w*|daily|every\s+day)\b", s.text):
        for match in re.finditer(
            r"(?<![\w.:,$₹£€])(?:[5-9]|1[0-2])\s?(?:-|–|to|till|until)\s?(?:[1-9]|1[0-2])(?![\w.:,%]|\s?(?:days?|weeks?|months?|years?|hours?|min))",
            s.text,
        ):
            yield "hours", match.start(), match.end()
    if opening and not mine and not w.STORY.search(s.text):
        for match in w.CLOCK.finditer(s.text):
            if w.OPENS.search(s.text[: match.start()]) or re.match(
                r"[^.!?\n]{0,30}\b(?:train|bus|flight|show|slot|batch|closing|cut-?off|departure|opening)\b",
                s.text[match.end() :],
                re.I,
            ):
                yield "hours", match.start(), match.end()
    if not w.SELF.search(s.text) or re.search(r"\b(?:reach\s+me)\b", s.text):
        if w.SERVICE.search(s.text):
            for match in w.ALWAYS.finditer(s.text):
                yield "hours", match.start(), match.end()
        for match in w.OPEN_DAYS.finditer(s.text):
            if re.match(r"(?:open|closed|avail|work|shut|operat)", match.group(), re.I) or opening:
                yield "hours", match.start(), match.end()
    if opening and not mine and not w.STORY.search(s.text) and not about.program:
        for pattern in (w.SPELT_HOURS, w.WEEKLY):
            for match in pattern.finditer(s.text):
                group = "at" if pattern is w.SPELT_HOURS and match["at"] else 0
                yield "hours", match.start(group), match.end(group)
    if w.TRANSIT.search(s.text):
        for match in w.EVERY_SO.finditer(s.text):
            yield "hours", match.start(), match.end()


def _offices(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or s.past or about.agreed:
        return
    former = w.FORMER.search(s.text) and not re.search(
        r"\b(?:since|currently|now|current|incumbent|is\s+the|is\s+our)\b", s.text
    )
    if re.search(
        r"\b(?:was|were)\s+(?:the|a|an)\s+(?:first|second|third|last|only|\d+(?:st|nd|rd|th))\b", s.text
    ):
        return
    for pattern in (w.OFFICE_IS, w.IS_OFFICE, w.AS_OFFICE, w.RUNS, w.DUTY, w.DUTY_IS, w.LED_BY, w.TITLED):
        for match in pattern.finditer(s.text):
            if former and not (pattern is w.OFFICE_IS and re.search(r"\s(?:is|remains)\s", match.group())):
                continue
            name = match["name"].strip()
            first = name.split()[0].rstrip(".")
            if first in w.NOT_NAMES or re.search(rf"^(?:{w.TITLE})$", name, re.I):
                continue
            if pattern is w.LED_BY and (
                not w.PRESENT.search(s.text) or (first.endswith("an") and len(name.split()) == 1)
            ):
                continue
            if pattern is w.TITLED and w.PAST.search(s.text) and not w.PRESENT.search(s.text):
                continue
            yield "office", match.start(), match.end()
    for match in w.INCUMBENT.finditer("" if former else s.text):
        if re.match(r"new\s", match.group(), re.I) and not re.search(r"\b(?:is|has)\b", s.text):
            continue
        if not w.LOOK_UP.search(s.text):
            yield "office", match.start(), match.end()


def _counts(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or s.past or s.code or about.sum:
        return
    for match in w.COUNT.finditer(s.text):
        if w.PRESENT.search(s.text) or not w.PAST.search(s.text):
            yield "count", match.start(), match.end()
    for match in w.RANK.finditer(s.text):
        if about.program or re.search(
            r"\b(?:bytes?|files?|fields?|layout)\b", s.text
        ):  # its record is another one
            continue
        if re.search(
            r"\b(?:is|are|has|remains?|holds?|stands|ranks?|ranked)\b|['’]s\b", s.text
        ) and not w.SELF.search(s.text):
            yield "count", match.start(), match.end()


def _now(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.question or s.code:
        return
    figures = bool(re.search(r"\d", s.text))
    if w.NOW_IDIOM.search(s.text) or (w.LOOK_UP.search(s.text) and not figures):
        return
    patient = re.search(
        r"\b(?:patient|pt|denies|reports|takes|taking|mg|presents|medications?|pain)\b", s.text, re.I
    )
    if (about.clinical or (w.CLINICAL.search(s.text) and patient)) and not w.HOSPITAL.search(s.text):
        return
    for match in w.NOW.finditer(s.text):
        word = " ".join(match.group().lower().split())
        if w.SELF.search(s.text[max(0, match.start() - 28) : match.start()]) or w.SELF.search(
            s.text[match.end() : match.end() + 14]
        ):
            continue
        if re.search(r"_|^-", s.text[max(0, match.start() - 1) : match.end() + 1]):
            continue
        weak = word in w.NOW_WEAK or word.startswith(("last ", "next ", "coming "))
        if weak and not (
            figures
            or re.search(
                r"\b(?:price|rate|fee|sale|closed|open|offer|delivery|arrive|ships?|launch\w*|releas\w+|announc\w+|rais\w+|increas\w+|chang\w+|updat\w+|elect\w+|event|match|concert|rules?|due|deadline)\w*\b",
                s.text,
                re.I,
            )
        ):
            continue
        if word in ("right now", "today", "tonight") and (
            not re.search(
                r"\b(?:is|are|has|have|costs?|stands?|sells?|opens?|closes?|ends?|runs?|offers?)\b", s.text
            )
            or re.search(r"\b(?:call|tell|keep|stay|reach\s+out|ask|please)\b", s.text, re.I)
        ):
            continue
        if s.past and word not in ("currently", "as of now", "at present"):
            continue
        yield "now", match.start(), match.end()
    flows = re.search(
        r"\b(?:volts?|ohms?|amps?|circuit|conductor|river|sea|electric\w*)\b", about.whole, re.I
    )
    for match in w.CURRENT.finditer("" if s.past or flows or w.SELF.search(s.text) else s.text):
        yield "now", match.start("now"), match.end("now")
    if not (s.past or about.program):
        for pattern in (w.NOW_DOES, w.IS_NOW):
            for match in pattern.finditer(s.text):
                at = match.start() + match.group().lower().index("now")
                if not w.SELF.search(s.text[max(0, at - 28) : at]):
                    yield "now", at, at + 3


def _channels(s: Sentence, about: Text) -> Iterator[Hit]:
    if s.code or (about.program and not w.OF_THE_WORLD.search(s.text)) or w.NOW_IDIOM.search(s.text):
        return
    for match in w.CHANNEL.finditer(s.text):
        if re.match(r"[\d\s()+-]+$", match.group()) and sum(c.isdigit() for c in match.group()) < 8:
            continue
        yield "channel", match.start(), match.end()
    for match in w.DIALLED.finditer(s.text):
        if re.search(r"\b(?:if|when|above|below|over|under|after|stays?)\b", match.group(), re.I):
            continue
        yield "channel", match.start("number"), match.end("number")


def _availability(s: Sentence, about: Text) -> Iterator[Hit]:
    if (
        s.question
        or s.past
        or s.code
        or about.agreed
        or (about.program and not w.OF_THE_WORLD.search(s.text))
    ):
        return
    if w.LOOK_UP.search(s.text) and re.search(r"\b(?:whether|if)\b", s.text):
        return
    for match in w.AVAILABLE.finditer(s.text):
        if w.SELF.search(s.text[max(0, match.start() - 28) : match.start()]):
            continue
        if about.clinical and re.search(
            r"\b(?:he|she|they|who|patient|pt)\s+$", s.text[: match.start()], re.I
        ):
            continue
        if about.clinical and w.PATIENT_STOPPED.match(match.group()) and not w.HOSPITAL.search(s.text):
            continue
        yield "availability", match.start(), match.end()


RULES: tuple[Rule, ...] = (
    _money,
    _rates,
    _periods,
    _statutes,
    _dates,
    _versions,
    _hours,
    _offices,
    _counts,
    _channels,
    _availability,
    _now,
)
