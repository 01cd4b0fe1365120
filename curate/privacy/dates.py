# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Calendar dates, ages from ninety, and moving dates. Covers: a grammar of dates with a day, in digits, words,
Hinglish and Devanagari; reading one into day, month, year; writing another date in exactly the same form.
Does not cover: relative times, weekdays, months, bare years and clock times, which are not personal here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from curate.privacy import lexicon
from curate.privacy.patterns import result

MONTHS = "january february march april may june july august september october november december".split()
_ABBREVIATED = [m[:3] for m in MONTHS]
_HINDI = [
    ["janvari", "janwari", "जनवरी"],
    ["farvari", "farwari", "pharvari", "फरवरी", "फ़रवरी"],
    ["मार्च"],
    ["aprail", "अप्रैल"],
    ["mai", "मई"],
    ["joon", "जून"],
    ["julai", "जुलाई"],
    ["agast", "agasta", "अगस्त"],
    ["sitambar", "sitamber", "सितंबर", "सितम्बर"],
    ["aktubar", "aktoobar", "अक्टूबर", "अक्तूबर"],
    ["navambar", "navamber", "नवंबर", "नवम्बर"],
    ["disambar", "disamber", "दिसंबर", "दिसम्बर"],
]
MONTH_OF: dict[str, int] = {"sept": 9}
for _i in range(12):
    for _name in (MONTHS[_i], _ABBREVIATED[_i], *_HINDI[_i]):
        MONTH_OF[_name] = _i + 1
_MONTH = "(?:" + "|".join(sorted(map(re.escape, MONTH_OF), key=len, reverse=True)) + r")(?!\w)"

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "_ first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth "
    "twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
).split()
_DAY_WORD = (
    "(?:" + "|".join(sorted((w.replace("-", "[- ]") for w in _ORDINALS[1:]), key=len, reverse=True)) + r")"
)
_SMALL = "(?:" + "|".join(sorted(_ONES[1:], key=len, reverse=True)) + ")"
_TWO = rf"(?:(?:{'|'.join(_TENS[2:])})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|{_SMALL}|(?:oh|o)[- ](?:{'|'.join(_ONES[1:10])}))"
_YEAR_WORD = rf"(?:(?:nineteen|eighteen)[- ](?:hundred(?: and)?[- ])?{_TWO}|two[- ]thousand(?:[- ](?:and[- ])?{_TWO})?|twenty[- ]{_TWO})"

_N = r"[0-9०-९]"
_YEAR = r"(?:(?:1[89]|20)\d\d|[०-९]{4}|['’]\d\d|\d\d(?![\d:]|\s*(?:am|pm|a\.m|p\.m|%)))"
_GAP = r"(?:[ ]*[-/.,][ ]*|[ ]+)"

WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_WEEKDAY = (
    r"(?:mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)

_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "iso",
        re.compile(
            r"(?<![\w.-])(?P<y>(?:1[89]|20)\d\d)(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})(?![\d-])"
        ),
    ),
    (
        "numeric",
        re.compile(
            r"(?<![\d.,/-])(?<![A-Za-z])(?P<d>\d{1,2})(?P<s>[ ]?[./-][ ]?)(?P<m>\d{1,2})(?P=s)"
            r"(?P<y>(?:1[89]|20)\d\d|['’]?\d\d)(?![\d/-]|\.\d|[A-Za-z])"
        ),
    ),
    (
        "day_month",
        re.compile(
            rf"(?<![\w.:/-])(?P<d>{_N}{{1,2}})(?:[ ]?(?P<o>st|nd|rd|th))?(?:[ ]+(?:day[ ]+)?of[ ]+|{_GAP})?(?P<m>{_MONTH})\.?"
            rf"(?:(?:{_GAP}|[ ]+of[ ]+)(?P<y>{_YEAR})(?!\w))?",
            re.I,
        ),
    ),
    (
        "month_day",
        re.compile(
            rf"(?<![\w])(?P<m>{_MONTH})\.?{_GAP}(?:the[ ]+)?(?P<d>\d{{1,2}})(?P<o>st|nd|rd|th)?(?![\w:%]|[.,]\d|[ ]*(?:am|pm)\b)"
            rf"(?:(?:[ ]*[,/.-][ ]*|[ ]+(?:of[ ]+|in[ ]+)?)(?P<y>{_YEAR})(?!\w))?",
            re.I,
        ),
    ),
    (
        "words",
        re.compile(
            rf"\b(?P<d>{_DAY_WORD})[ ]+(?:day[ ]+)?(?:of[ ]+)?(?P<m>{_MONTH})(?:,?[ ]+(?:of[ ]+)?(?P<y>{_YEAR_WORD}|(?:1[89]|20)\d\d)\b)?",
            re.I,
        ),
    ),
    (
        "words_month_first",
        re.compile(
            rf"\b(?P<m>{_MONTH})[ ]+(?:the[ ]+)?(?P<d>{_DAY_WORD})\b(?:,?[ ]+(?P<y>{_YEAR_WORD}|(?:1[89]|20)\d\d)\b)?",
            re.I,
        ),
    ),
    (
        "tareekh",
        re.compile(rf"(?<![\w])(?P<d>{_N}{{1,2}})[ ]*(?:tareekh|tarikh|taareekh|tarik|तारीख)(?!\w)", re.I),
    ),
    (
        "short_numeric",
        re.compile(
            r"(?:\b(?:on|dated?|dob|d\.o\.b\.?|born|since|until|till|by|from|before|after|joined|admitted|discharged|sent|posted|delivered|"
            rf"addendum|ps|f/u|fill|filled|seen|mail of|{_WEEKDAY})[ :(]+|^(?=[\d./-]+[ ]*(?:[—–:]|-[ ])))"
            r"(?P<x>(?P<d>\d{1,2})(?P<s>[/.-])(?P<m>\d{1,2}))(?![\w/]|[.-]\d|[ ]*(?:%|mg|hrs?|hours|am|pm|of\b))",
            re.I | re.M,
        ),
    ),
)

# A weekday and an article belong to the date they stand before: a moved date has another weekday.
_LEAD = re.compile(rf"(?<![\w-])(?:(?P<w>{_WEEKDAY})\b\.?,?[ ]+)?(?:the[ ]+)?$", re.I)
# A day alone: with its weekday, or after a word that puts something on a day.
_DAY_ALONE = (
    re.compile(
        rf"(?<![\w-])(?P<x>{_WEEKDAY}\.?,?[ ]+(?:the[ ]+)?(?:\d{{1,2}}(?:st|nd|rd|th)|{_DAY_WORD}))(?![\w-])",
        re.I,
    ),
    re.compile(
        r"\b(?:on|by|until|till|til|since|from|before|after|nor|to|dated|around)[ ]+"
        rf"(?P<x>the[ ]+(?:\d{{1,2}}(?:st|nd|rd|th)|{_DAY_WORD}))(?!\w)"
        r"(?=[ ]*(?:[.,;:!?)\n\"”—]|$|-[ ])|[ ]+(?:and|or|nor|till|until|inst|of[ ]+(?:this|last|next)[ ]+month|at[ ]+\d+|i|we|he|she|they|please)\b)",
        re.I,
    ),
)

# Days everybody talks about; without a year and a cue they say nothing about a person.
_PUBLIC_DAYS = {
    (25, 12), (24, 12), (31, 12), (1, 1), (4, 7), (14, 2), (1, 4), (31, 10), (15, 8), (26, 1), (5, 11), (8, 3), (29, 2),
    (2, 10), (1, 5), (14, 3), (22, 4), (4, 5), (17, 3),
}  # fmt: skip
_PERSONAL = re.compile(
    r"\b(?:d\.?o\.?b|born|birth|birthday|bday|b'day|admit|admission|discharg|join|resign|wedding|anniversary|appointment|surgery|"
    r"operat|died|death|deceas|expired|hired|effective|w\.e\.f|dated|visit|seen|deliver|order|book|paid|deduct|mailed|call)",
    re.I,
)


@dataclass(frozen=True)
class DateText:
    """A date as written: its values and where day, month and year stand in ``text``."""

    form: str
    text: str
    day: int
    month: int | None
    year: int | None
    spans: dict[str, tuple[int, int]]
    order: str = "dmy"  # or mdy, for numeric dates

    def as_date(self, nominal_year: int = 2023, nominal_month: int = 6) -> dt.date | None:
        try:
            return dt.date(self.year or nominal_year, self.month or nominal_month, self.day)
        except ValueError:
            return None

    def render(self, value: dt.date) -> str:
        """``value`` in the same form: same order, separators, digits, case, ordinals and words."""
        out = self.text
        parts = {"d": value.day, "m": value.month, "y": value.year}
        if self.order == "mdy" and self.form in ("numeric", "short_numeric"):
            parts["d"], parts["m"] = parts["m"], parts["d"]
        for key, (start, end) in sorted(self.spans.items(), key=lambda item: -item[1][0]):
            old = self.text[start:end]
            if key == "o":
                new = _match_case(ordinal_suffix(value.day), old)
            elif key == "y":
                new = _year_like(parts["y"], old)
            elif key == "m":
                new = _month_like(parts["m"], old)
            else:
                new = _day_like(parts["d"], old)
            out = out[:start] + new + out[end:]
        return out


def ordinal_suffix(day: int) -> str:
    return "th" if 11 <= day % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _match_case(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word.lower()


def _digits_like(value: int, like: str) -> str:
    text = str(value).zfill(len(like)) if like.startswith(("0", "०")) or len(like) == 2 else str(value)
    return text.translate({48 + i: 0x966 + i for i in range(10)}) if "०" <= like[:1] <= "९" else text


def _day_like(day: int, like: str) -> str:
    if like[:1].isalpha():
        word = _ORDINALS[day]
        return _match_case(word if "-" in like or "-" not in word else word.replace("-", " "), like)
    # A one-digit day becomes two digits when the new day needs them; padding is kept where it was visible.
    return _digits_like(day, like) if like.startswith(("0", "०")) else _digits_like(day, like[:1])


def _month_like(month: int, like: str) -> str:
    if like[:1].isdecimal():
        return _day_like(month, like)
    low = like.lower()
    old = MONTH_OF[low]
    if low == MONTHS[old - 1] and low != "may":
        return _match_case(MONTHS[month - 1], like)
    if low == "sept" or low in _ABBREVIATED:
        return _match_case(_ABBREVIATED[month - 1], like)
    names = _HINDI[month - 1]
    native = [n for n in names if n.isascii() == low.isascii()]
    return _match_case(native[0] if native else MONTHS[month - 1], like)


def _year_like(year: int, like: str) -> str:
    if like[:1].isalpha():
        rest = year % 100
        two = _ONES[rest] if rest < 20 else _TENS[rest // 10] + ("-" + _ONES[rest % 10] if rest % 10 else "")
        if year >= 2000:
            words = "two thousand" if not rest else ("two thousand and " if rest < 20 else "twenty ") + two
        else:
            words = {18: "eighteen ", 19: "nineteen "}[year // 100] + (
                two if rest > 9 else f"oh-{two}" if rest else "hundred"
            )
        return _match_case(words, like)
    if like[:1] in "'’":
        return like[0] + f"{year % 100:02d}"
    return f"{year % 100:02d}" if len(like) == 2 else _digits_like(year, like)


def _word_number(text: str) -> int:
    """``nineteen eighty-five`` -> 1985."""
    words = [w for w in re.split(r"[- ]", text.lower()) if w and w != "and"]
    values = [
        0 if w in ("oh", "o") else _TENS.index(w) * 10 if w in _TENS else _ONES.index(w) if w in _ONES else w
        for w in words
    ]
    if "thousand" in values:
        return 2000 + sum(v for v in values[2:] if isinstance(v, int))
    rest = [v for v in values[1:] if isinstance(v, int)]
    return int(values[0]) * 100 + sum(rest)


def _year_value(text: str) -> int:
    text = text.lstrip("'’")
    if text[:1].isalpha():
        return _word_number(text)
    value = int(text)
    if len(text) > 2:
        return value
    return value + (2000 if value <= 35 else 1900)


def _read(form: str, match: re.Match[str]) -> DateText | None:
    groups = {k: v for k, v in match.groupdict().items() if v is not None and k in ("d", "m", "y", "o")}
    base = match.start("x") if "x" in match.re.groupindex else match.start()
    text = match.group("x") if "x" in match.re.groupindex else match.group()
    text_end = len(text.rstrip(" ."))
    text = text[:text_end]
    raw_day = groups["d"]
    day = _ORDINALS.index(raw_day.lower().replace(" ", "-")) if raw_day[:1].isalpha() else int(raw_day)
    month: int | None = None
    if "m" in groups:
        raw = groups["m"]
        month = int(raw) if raw.isdecimal() else MONTH_OF[raw.lower()]
    year = _year_value(groups["y"]) if "y" in groups else None
    order = "dmy"
    if form in ("numeric", "short_numeric") and month is not None and month > 12 >= day:
        day, month, order = month, day, "mdy"
    if not 1 <= day <= 31 or (month is not None and not 1 <= month <= 12):
        return None
    spans = {k: (match.start(k) - base, match.end(k) - base) for k in groups}
    return DateText(form, text, day, month, year, spans, order)


def lead(text: str) -> tuple[int, int | None]:
    """Length of the weekday and article that a date's text opens with, and the weekday (Monday is 0)."""
    match = re.match(rf"(?:(?P<w>{_WEEKDAY})\b\.?,?[ ]+)?(?:the[ ]+)?(?=\w)", text, re.I)
    if match is None:
        return 0, None
    word = (match.group("w") or "").lower()
    return match.end(), next((i for i, day in enumerate(WEEKDAYS) if word and day.startswith(word[:3])), None)


def weekday_like(day: int, like: str) -> str:
    """The name of a weekday in the length and case of ``like``."""
    word = WEEKDAYS[day]
    return _match_case(word if like.lower() in WEEKDAYS else word[:3], like)


def parse(text: str) -> DateText | None:
    """Read a text that is one date and nothing else; ``None`` when it is not. A day alone has no month."""
    alone = re.fullmatch(rf"(?P<d>\d{{1,2}}|{_DAY_WORD})(?P<o>st|nd|rd|th)?", text, re.I)
    if alone and (alone.group("o") or text[:1].isalpha()):
        return _read("day_alone", alone)
    for form, pattern in _FORMS:
        probe = f"on {text}" if form == "short_numeric" else text
        match = pattern.search(probe)
        if match:
            found = _read(form, match)
            if found is not None and found.text == text.rstrip(" ."):
                return found
    return None


def scrambled(text: str, draw: Callable[[int], int]) -> str:
    """Another date for one that no form reads ("the 2nd to the 9th of Kasim"): other days, months and numbers in the
    same words. ``draw(n)`` gives a number below n."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        if word.isdecimal():
            day = len(word) <= 2 and 1 <= int(word) <= 31
            new = 1 + draw(28) if day else None
            if new is not None:
                new = new % 28 + 1 if new == int(word) else new
                return _digits_like(new, word)
            return "".join(str((int(c) + 1 + draw(9)) % 10) for c in word)
        if word.lower() in MONTH_OF:
            return _month_like((MONTH_OF[word.lower()] + draw(11)) % 12 + 1, word)
        day_word = re.sub(r"[- ]", "-", word.lower())
        if day_word in _ORDINALS:
            new = 1 + draw(28)
            return _day_like(new % 28 + 1 if new == _ORDINALS.index(day_word) else new, word)
        return _match_case(_ONES[1 + (_ONES.index(word.lower()) + draw(18)) % 19], word)

    out = re.sub(rf"\d+|\b(?:{_MONTH}|{_DAY_WORD}|{_SMALL})\b", other, text, flags=re.I)
    out = re.sub(
        r"\b(\d{1,2})(st|nd|rd|th)\b",
        lambda m: m.group(1) + _match_case(ordinal_suffix(int(m.group(1))), m.group(2)),
        out,
        flags=re.I,
    )
    return out if out != text else f"day {1 + draw(28)}"


def find(text: str) -> Iterator[tuple[int, int, float]]:
    """Dates with a day in a text: start, end, score."""
    for form, pattern in _FORMS:
        for match in pattern.finditer(text):
            found = _read(form, match)
            if found is None:
                continue
            start = match.start("x") if "x" in pattern.groupindex else match.start()
            score = _score(form, found, match, text)
            if score:
                before = _LEAD.search(text[max(0, start - 16) : start])
                lead_length = len(before.group()) if before else 0
                yield start - lead_length, start + len(found.text), score
    for pattern in _DAY_ALONE:
        for match in pattern.finditer(text):
            if match.group("x").lower() not in ("the first", "the second", "the third", "the fourth"):
                yield (
                    match.start("x"),
                    match.end("x"),
                    0.7,
                )  # "by the third" is more often an attempt than a day


def _score(form: str, found: DateText, match: re.Match[str], text: str) -> float:
    left = text[max(0, match.start() - 40) : match.start()]
    right = text[match.end() : match.end() + 14].lower()
    if found.year is not None and not 1900 <= found.year <= 2100:
        return 0.0
    if found.as_date(2024) is None:
        return 0.0
    if re.search(r"(?:version|ver\.?|release|section|clause|\bv)\s*$", left, re.I):
        return 0.0
    month_text = match.group("m").lower() if "m" in match.re.groupindex else ""
    if (
        found.year is None
        and month_text in ("may", "mai", "mar", "march", "jan", "sat")
        and match.group("m").islower()
    ):
        if re.match(
            r"\s+(?:be|have|not|need|want|take|get|also|i|we|you|people|times|miles|km|steps|to|into|on)\b",
            right,
        ):
            return 0.0
        if form == "month_day" and not re.search(
            r"\b(?:on|by|from|since|till|until|before|after|dated?)\s+$", left, re.I
        ):
            return 0.0
        if month_text == "mai":
            return 0.0
    if (
        found.year is None
        and form != "tareekh"
        and (found.day, found.month) in _PUBLIC_DAYS
        and not _PERSONAL.search(left)
    ):
        return 0.0
    if form in ("tareekh", "short_numeric"):
        return 0.7
    return 0.9 if found.year is not None else 0.8


_AGE_WORD = r"(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:a|one) hundred(?:(?: and)? (?:one|two|three|four|five|six|seven|eight|nine|ten))?)"
_AGE_NUMBER = rf"(?P<x>9\d|1[01]\d|12[0-2]|{_AGE_WORD})"
# What a number from ninety after a comma or an "is" also measures.
_NO_AGE = (
    r"(?<!\bpulse)(?<!\bsats)(?<!\bsaturation)(?<!\btemp)(?<!\bweight)(?<!\brate)(?<!\bscore)(?<!\btotal)(?<!\blevel)(?<!\bsugar)(?<!\bglucose)"
    r"(?<!\broom)(?<!\bflat)(?<!\broute)(?<!\bpage)(?<!\bferritin)(?<!\bcreatinine)(?<!\bdiastolic)(?<!\bsystolic)(?<!\boxygen)(?<!\bheart)(?<!\bbus)(?<!\btemperature)(?<!\bhaemoglobin)(?<!\bpressure)(?<!\bhemoglobin)"
)
_ELDER = (
    r"(?:(?:grand|great-?grand|god|step)?-?(?:mother|father|ma|pa|mum|mom|dad|parents?|aunt|uncle|mother-in-law|father-in-law)|granny|gran|nan|nana|nani|naani|"
    r"dadi|dada|daadi|ammamma|lola|lolo|abuela|abuelo|oma|opa|nonna|nonno|babcia|nain|taid|wife|husband|widow|widower|patient|lady|gentleman|woman|man|tai|kaki|aaji|ajji)"
)
_CLAUSE_ENDS = r"(?=[ ]*(?:[,;.!?)\n—–]|$)|[ ]+(?:and|or|but|now|next|this|in (?:january|february|march|april|may|june|july|august|september|october|november|december))\b)"
_AFTER_A_NAME = re.compile(
    rf"(?:(?-i:[A-Z][a-zà-ÿ][\w'’-]*[a-zà-ÿ])|\b{_ELDER}|(?<=[a-z])\)){_NO_AGE}(?:,[ ]|[ ]\(){_AGE_NUMBER}(?=[,;)]|[.](?!\d)|$|\n)",
    re.I,
)
_AGES = (
    re.compile(rf"(?<![\w.,/-]){_AGE_NUMBER}(?:\s*|-)(?:years?|yrs?|yr)[\s-]*(?:old|of age|young)\b", re.I),
    re.compile(rf"(?<![\w.,/-]){_AGE_NUMBER}\s*(?:y/?o\b|y\.o\.|yo\b|saal (?:ka|ki|ke)\b|साल)", re.I),
    re.compile(
        rf"\b(?:aged?|age is|age:|umar|umra)\s*(?:of\s|is\s|:\s?)?\s*{_AGE_NUMBER}\b(?!\s*(?:days|weeks|months|%|mg))",
        re.I,
    ),
    re.compile(
        rf"\b(?:(?:he|she|who)(?:'s| is| was)|i'm|i am|(?:turn(?:s|ed|ing)?)|(?:mother|father|grandmother|grandfather|nana|nani|dadi|dada|"
        rf"aunt|uncle|mom|mum|dad|patient) is) (?:now |almost |nearly )?{_AGE_NUMBER}\b(?!\s*(?:[%:/.]\w|percent|kg|kgs|lbs|kilos|mg|ml|cm|days|weeks|"
        rf"months|minutes|mins|hours|miles|km|degrees|pounds|rupees|dollars|steps|points|-))",
        re.I,
    ),
    re.compile(r"(?<![\w.,/-])(?P<x>9\d|1[01]\d)\s?/?\s?[MF]\b(?!\w)"),
    _AFTER_A_NAME,
    re.compile(rf"\b{_ELDER}[ ]+(?:of[ ]+|is[ ]+|was[ ]+|at[ ]+)?{_AGE_NUMBER}\b{_CLAUSE_ENDS}", re.I),
    re.compile(
        rf"(?-i:[A-Z][a-zà-ÿ][\w'’-]*[a-zà-ÿ]){_NO_AGE}(?:,?[ ]+(?:is|was|be)|['’]s),?[ ]+(?:now[ ]+|almost[ ]+|nearly[ ]+)?{_AGE_NUMBER}\b{_CLAUSE_ENDS}",
        re.I,
    ),
    re.compile(
        rf"\b(?:(?:he|she|they)(?:'d|’d| would| will|'ll|’ll) be|both|died at|d\.[ ]at)[ ]+{_AGE_NUMBER}\b{_CLAUSE_ENDS}",
        re.I,
    ),
    re.compile(r"(?<![\w.,/-])(?P<x>9\d|1[01]\d)(?=(?:st|nd|rd|th)[ ]+(?:b(?:irth)?['’]?day|bday))", re.I),
    re.compile(
        rf"\bhow old\b[^\n]{{0,40}}\n(?:[^\n:]{{1,12}}:[ ]*)?[^\n\d]{{0,24}}?{_AGE_NUMBER}\b(?=[ ]*(?:[,;.!?)\n—–]|$)|[ ]+(?:and|or|but|now)\b)",
        re.I,
    ),
)


def _somebody(match: re.Match[str]) -> bool:
    """Whether the word before an age can be a name: no medicine, no measurement; "a hundred" is said of both."""
    before = re.findall(r"[^\W\d_]+", match.string[max(0, match.start() - 1) : match.start("x")])
    known = lexicon.not_names() - lexicon.eponyms()
    return "hundred" not in match.group("x").lower() and not (
        before and lexicon.fold(before[-1]) in known and not re.fullmatch(_ELDER, before[-1], re.I)
    )


class CalendarDates(EntityRecognizer):
    """Presidio recognizer for DATE and AGE."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["DATE", "AGE"], name="date", supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        results = []
        if "DATE" in entities:
            results += [
                result("DATE", s, e, score, "date.grammar", "calendar date with a day")
                for s, e, score in find(text)
            ]
        if "AGE" in entities and re.search(r"9\d|1[0-2]\d|ninety|hundred", text, re.I):
            for pattern in _AGES:
                results += [
                    result("AGE", m.start("x"), m.end("x"), 0.9, "date.age", "age of ninety or more")
                    for m in pattern.finditer(text)
                    if pattern is not _AFTER_A_NAME or _somebody(m)
                ]
        return results
