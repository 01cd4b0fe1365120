"""Facts of a deal: what a drafting request says, and whether an agreement says the same, more, or nothing.

Covers: parties, role, dates, pay, notice, probation and fixed term, percentages; marked placeholders and what they
stand for; figures against words. Does not cover: working hours, days of leave and how long a covenant lasts, which a
drafter may set; names written in small letters in the request; other languages.
"""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta

from .clauses import Clause
from .statutes import STATE_OF, find_statutes
from .values import Money, Period, find_days, find_money, find_periods

# what the law itself sets: wage ceilings of provident fund and state insurance, ceiling of gratuity
STATUTORY_AMOUNTS = {15_000.0, 21_000.0, 2_000_000.0}
STATUTORY_SHARES = {0.75, 3.25, 3.67, 4.81, 8.33, 10.0, 12.0, 20.0, 50.0}
_STATUTORY = re.compile(
    r"provident|\bEPF\b|\bPF\b|insurance|\bESI\b|gratuity|statutory|\bbonus\b|\bwages?\b", re.I
)
_SUFFIX = (
    r"(?:Private\s+Limited|PRIVATE\s+LIMITED|Pvt\.?\s+Ltd\.?|Limited|LIMITED|Ltd\b\.?|LLP|Trust"
    r"|TRUST|Society|SOCIETY|"
    r"Foundation|Inc\b\.?)"
)
COMPANY = re.compile(
    rf"\b(?:[A-Z][\w&’'-]*|&)(?:[ \t]+(?:[A-Z][\w&’'-]*|&|and"
    rf"|of)){{0,6}}?[ \t]+{_SUFFIX}(?![ \t]+(?:Liability|Act))"
)
_LEAD = re.compile(
    r"^(?:(?:For|FOR|Between|BETWEEN|The|And|AND|By|At|With|To|Company|Employer|Entity|Signed|That|Draft|Our|"
    r"Agreement|Contract|Of|of|is|Hiring|We(?:[’']re)?|I[’']m|A|An|Article|In|On|M/s|Messrs)\b[ \t]*)+"
)
_NAME_WORD = r"(?:[A-Z][’'][A-Z][a-z]+|[A-Z][a-z’'-]+|[A-Z]{3,}|[A-Z]\.)"
_NAME = rf"{_NAME_WORD}(?:[ ]{_NAME_WORD}){{1,3}}"
_NAMES = re.compile(rf"(?<![\w’']){_NAME}")
_HONORIFIC = (
    r"\b(?:Mr|Ms|Mrs|Miss|Dr|MR|MS|MRS|DR|Shri|SHRI|Smt|SMT|Kumari|Col|Capt|Prof|Sister|Father|Advocate|Adv)\b"
    r"\.?[ ]+"
)
PERSON = (
    re.compile(rf"{_HONORIFIC}(?P<name>{_NAME_WORD}(?:[ ]{_NAME_WORD}){{0,3}})"),
    re.compile(
        rf"(?<![\w.])(?P<name>{_NAME})[ ]*(?:\(retd\.?\)[ ]*)?\((?:hereinafter[^\"“”()\n]{{0,60}}"
        rf"|the |a |an )?[\"“]"
    ),
    re.compile(
        rf"(?i:\b(?:name of (?:the )?employee|employee(?: name)?|name|accepted(?: by)?"
        rf"|to)\b)[*_]*[ ]?[:|][ |*_]*(?:{_HONORIFIC})?"
        rf"(?P<name>{_NAME})"
    ),
)
#: the words by which a post is known
ROLE_HEADS = frozenset(
    "manager engineer officer executive designer analyst associate supervisor lead head director "
    "nurse accountant consultant "
    "developer architect assistant administrator technician representative scientist teacher chef "
    "driver pharmacist clerk "
    "specialist coordinator trainee intern programmer copywriter dermatologist pgt tgt president "
    "advisor partner writer "
    "operator mechanic electrician cook guard auditor editor buyer planner trainer".split()
)
#: words that begin with a capital in contracts and belong to no person
NO_NAME = (
    frozenset(
        "private limited pvt ltd llp trust society company employer employee firm agreement employment "
        "contract of the and "
        "senior junior manager engineer officer executive designer analyst associate supervisor lead "
        "head director nurse "
        "accountant consultant developer architect assistant administrator technician representative "
        "scientist teacher chef "
        "driver pharmacist clerk specialist coordinator software data human resources accounts sales "
        "marketing customer support "
        "operations project product store warehouse branch site network security front office legal "
        "research staff general "
        "chief financial technology vice president india indian authorised authorized signatory rupees "
        "lakh lakhs crore date "
        "place signature signed witness january february march april may june july august september "
        "october november december "
        "monday tuesday wednesday thursday friday saturday sunday internal committee provident fund "
        "state insurance gratuity "
        "maternity benefit code social wages income tax section clause article schedule high court "
        "courts draft please need "
        "prepare joining salary ctc probation notice kindly hi add use total gross fixed pay first day "
        "start commencement "
        "hiring hire appoint engage recruit employ write make create employing recruiting new our for "
        "to from with by at in on of a "
        "an half yearly annual doj lpa inr rs hr ux ui it pgt icu bpo night term posh esi pf epf gst "
        "tds hod ceo cto cfo coo "
        "growth supply chain quality assurance business development content writer copywriter "
        "dermatologist physics "
        "mathematics chemistry biology english university college school hospital hospitals bank "
        "services labs systems name candidate appointee person miss master advocate adv ca cs sister father rest "
        "tbd tbc tba eod est ist asap fyi call also indian hindi".split()
    )
    | {word for place in STATE_OF for word in place.split()}
    | ROLE_HEADS
)
_ROLE = re.compile(
    r"\b(?:appoint\w*|engage\w*|employ\w*|join\w*|serve|designated"
    r"|designation)\b[^.;\n]{0,70}?\b(?:as|position of|:)\s+"
    r"(?:an?\s+|the\s+|its\s+|our\s+)?(?P<role>[A-Z][\w/&-]*(?:[ ](?:of[ ]|and[ ]|&[ ])?[A-Z][\w/&-]*){0,4})"
)
_PLACEHOLDER = re.compile(
    r"\[(?!\s*[xX]?\s*\]\()[^\[\]\n]{0,80}\]|<<[^<>\n]{1,80}>>|<(?!/|br|<)[A-Za-z][A-Za-z _-]{2,40}>"
    r"|\{\{?[^{}\n]{1,80}\}\}?"
    r"|_{3,}(?:\s?\([^()\n]{2,40}\))?|\.{6,}|…{2,}|●|\bX{3,}\b|\bT\.?B\.?[DCA]\b\.?"
    r"|\bto be (?:decided|confirmed|agreed|advised|filled in|finali[sz]ed)\b"
)
_TOPICS = (
    ("notice", re.compile(r"\bnotice\b", re.I)),
    ("probation", re.compile(r"\bprobation", re.I)),
    ("company", re.compile(r"\b(?:employer|company|firm|institution|entity)(?:[’']s)?\b", re.I)),
    ("name", re.compile(r"\bname\b", re.I)),
    ("amount", re.compile(
        r"\bsalary\b|\bctc\b|\bcompensation\b|\bpay\b|\bwages?\b|\bamount\b|\bremuneration\b|\brs\b|\binr\b|₹|\brupees\b",
        re.I,
    )),
    ("date", re.compile(r"\bdates?\b|\bjoin|\bcommenc|\bstart|\bwith effect\b|\bbegin", re.I)),
)  # fmt: skip
# "[NAME OF EMPLOYER]", "[Employer's name]"; "[date on which the Company …]" is about a date
_OF_COMPANY = re.compile(r"\bname\b|^\W*(?:the )?(?:employer|company|firm|institution)\W*$", re.I)
_KEYS = {
    "notice": re.compile(r"\bnotice\b(?:[ ]period)?", re.I),
    "probation": re.compile(r"\bprob(?:ation\w*)?\b(?:[ ]period)?|\btrial\b", re.I),
    "term": re.compile(r"\b(?:fixed[ -])?term\b(?!s)(?:[ ]contract)?|\bcontract\b", re.I),
    "other": re.compile(
        r"\bsolicit\w*|\bcompet\w*|\bleave\b|\breview\w*|\bafter leaving\b|\bgarden\b|\bshift"
        r"|\bhours?\b|\bexperience\b|\bbond\b"
        r"|\binquiry\b|\bsuspen\w+|\bsettle\w*|\babsen\w+|\bdues\b|\bwithin\b|\bretire\w*",
        re.I,
    ),
}
_LENGTH = re.compile(r"\b(?:notice|prob(?:ation)?|trial|term)\b", re.I)  # "₹20,000, notice a fortnight"
_NO_PROBATION = re.compile(
    r"\b(?:no|nil|without)\s+probation|\bprobation\w*(?:\s+period)?\s*(?::|is|-|–)?\s*(?:nil|none"
    r"|not applicable)|\bnot (?:be |serve )?"
    r"(?:on |a )?probation",
    re.I,
)
_SHARE = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d+)?)\s*(?:%|per\s?cent\b)")
_NOTICE_BEHIND = re.compile(
    r"\s*(?:days?|weeks?|months?)?['’]?\s*(?:of\s+)?(?:(?:written|prior)\s+)*notice\b", re.I
)


@dataclass(frozen=True)
class Hit:
    """Something wrong at ``start``..``end`` of the agreement; ``support`` is the request's nearest words."""

    kind: str
    start: int
    end: int
    support: str


@dataclass
class Request:
    """What a request says. Periods are in days, amounts in rupees."""

    text: str
    money: list[Money] = field(default_factory=list)
    dates: list[date] = field(default_factory=list)
    periods: dict[str, list[Period]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    companies: list[str] = field(default_factory=list)
    shares: set[float] = field(default_factory=set)
    no_probation: bool = False

    @property
    def given(self) -> bool:
        return bool(self.text.strip())

    def says(self, topic: str) -> bool:
        """Whether the request is not silent on a topic of a placeholder."""
        if topic in ("name", "company"):
            return bool(self.people if topic == "name" else self.companies)
        if topic in ("notice", "probation"):
            return bool(self.periods.get(topic))
        return bool({"amount": self.money, "date": self.dates}.get(topic))

    def words_for(self, topic: str) -> str:
        """The request's own words on a topic, as support."""
        if topic == "amount":
            return "; ".join(self.text[m.start : m.end] for m in self.money)
        if topic == "date":
            return "; ".join(day.isoformat() for day in self.dates)
        if topic in ("name", "company"):
            return "; ".join(self.people if topic == "name" else self.companies)
        return "; ".join(self.text[p.start : p.end] for p in self.periods.get(topic, ()))


def read_request(text: str) -> Request:
    """The facts of a request."""
    money = find_money(text)
    people, companies = [], [_strip(m.group()) for m in COMPANY.finditer(text)]
    inside = [(m.start(), m.end()) for m in COMPANY.finditer(text)]
    inside += [(m.start, m.end) for m in find_statutes(text)]
    at = 0
    while match := _NAMES.search(text, at):
        at = match.end()
        if any(start < match.end() and match.start() < end for start, end in inside):
            continue
        words = match.group().split()
        if sum(word.casefold().strip(".’'") in NO_NAME for word in words) == 0:
            people.append(match.group())
            continue
        # "Sister Anita Joseph", "Draft Priya Nair": the run of words that are nobody's title at the end
        tail: list[str] = []
        for word in reversed(words):
            if word.casefold().strip(".’'") in NO_NAME:
                break
            tail.insert(0, word)
        if len(tail) >= 2:
            people.append(" ".join(tail))
        elif tail:  # "Power Press Operator Mahadev" goes on behind the fourth word
            at = match.end() - len(tail[0])
    people = [re.sub(rf"^{_HONORIFIC}", "", name) for name in people]
    return Request(
        text,
        money,
        [day.value for day in find_days(text)],
        _by_key(text, [p for p in find_periods(text) if not _per(text, p, money)]),
        [name for name in dict.fromkeys(people) if " " in name],
        companies,
        {float(m.group(1)) for m in _SHARE.finditer(text)},
        bool(_NO_PROBATION.search(text)),
    )


def _per(text: str, period: Period, money: list[Money]) -> bool:
    """ "a month" behind an amount says how often, not how long."""
    own = text[period.start : period.end]
    if not re.match(r"an?\s", own, re.I) or re.search(r"['’]s?$", own):  # "a month's notice" is a length
        return False
    between = (text[m.end : period.start] for m in money if 0 <= period.start - m.end <= 45)
    return any("\n" not in words and not _LENGTH.search(words) for words in between)


def _by_key(text: str, periods: list[Period], reach: int = 45) -> dict[str, list[Period]]:
    """Each period under the word it stands nearest to; a comma, semicolon or full stop between makes them far."""
    keys = [(name, m.start(), m.end()) for name, pattern in _KEYS.items() for m in pattern.finditer(text)]
    found: dict[str, list[Period]] = {}
    for period in periods:
        best, nearest = "", float(reach)
        for name, start, end in keys:
            if end <= period.start:
                between = text[end : period.start]
            elif start >= period.end:
                between = text[period.end : start]
            else:
                continue
            if len(between) > reach:
                continue
            # "probation - 6 months; notice - 45 days": a dash parts a period from the word after it only
            parting = r"[,;]|\s[–-]\s" if start >= period.end else r"[,;]"
            gap = len(between) + 15 * len(re.findall(parting, between))
            gap += 25 * len(re.findall(r"[.\n](?=\s|$)", between))
            if gap < nearest:
                best, nearest = name, gap
        if best:
            found.setdefault(best, []).append(period)
    return found


def periods_in(text: str, clauses: list[Clause]) -> dict[str, list[Period]]:
    """Periods of an agreement by what they are: the clause they stand in says it, else the nearest word."""
    money = find_money(text)
    periods = [p for p in find_periods(text) if not _per(text, p, money)]
    nearest = {id(p): name for name, some in _by_key(text, periods).items() for p in some}
    found: dict[str, list[Period]] = {}
    for period in periods:
        name = nearest.get(id(period), "")
        around = next((c for c in clauses if c.head_end <= period.start < c.end), None)
        if around is not None:
            if (
                "termination" in around.names
                and "probation" not in around.names
                and name in ("", "probation")
            ):
                name = "notice"
            elif "probation" in around.names and name in ("", "other", "term"):
                name = "probation" if re.search("probation|trial", around.title, re.I) else "term"
        if (
            name == "notice"
            and around is not None
            and "covenants" in around.names
            and "termination" not in around.names
        ):
            name = "other"
        titled = around is not None and re.search(r"\bterm\b", around.title, re.I)
        if (
            name == "term"
            and not titled
            and not re.search(r"\bterm\b|\bcontract\b|\bengage", _sentence(text, period.start), re.I)
        ):
            name = "other"
        if name:
            found.setdefault(name, []).append(period)
    return found


def _sentence(text: str, at: int) -> str:
    start = max(text.rfind(". ", 0, at), text.rfind("\n", 0, at)) + 1
    stops = [stop for stop in (text.find(". ", at), text.find("\n", at)) if stop >= 0]
    return text[start : min(stops, default=len(text))]


def _strip(name: str) -> str:
    return _LEAD.sub("", name)


def _plain(text: str) -> str:
    """Letters and digits of a name in one spelling: "Pvt. Ltd." and "Private Limited" are the same."""
    text = text.casefold().replace("&", " and ")
    words = re.findall(r"\w+", text)
    same = {"private": "pvt", "limited": "ltd"}
    return " ".join(same.get(word, word) for word in words)


def _holds(text: str, name: str) -> bool:
    return f" {_plain(name)} " in f" {_plain(text)} "


def compare(text: str, clauses: list[Clause], request: Request, signature: int) -> list[Hit]:
    """Every disagreement of an agreement with the request and with itself. ``signature``: where signing begins."""
    hits = _placeholders(text, clauses, request, signature)
    left = {hit.support.split(":")[0] for hit in hits if hit.kind == "placeholder_left"}
    hits += _amounts(text, clauses, request, "amount" in left)
    hits += _dates(text, request, "date" in left)
    hits += _periods(text, clauses, request, left)
    if request.given:
        hits += _names(text, request, "name" in left)
        hits += _roles(text, request)
    return hits


def _placeholders(text: str, clauses: list[Clause], request: Request, signature: int) -> list[Hit]:
    hits: list[Hit] = []
    if not request.given:
        return hits
    for match in _PLACEHOLDER.finditer(text, 0, max(signature, 0)):
        own = match.group()
        if re.fullmatch(r"\[(?:\d+|[xX ]|[A-Z])\]", own) or find_money(own) or find_periods(own):
            continue
        topic = next((name for name, pattern in _TOPICS if pattern.search(own)), "")
        if topic == "company" and not _OF_COMPANY.search(own):
            topic = next((name for name, pattern in _TOPICS if name != "company" and pattern.search(own)), "")
        if not topic:
            line = text[max(text.rfind("\n", 0, match.start()) + 1, match.start() - 90) : match.start()]
            line = re.split(r"(?<=[a-z])\. |_{3,}|\]", line)[-1]
            after = re.match(r"[^\n.]{0,40}", text[match.end() :])
            if _NOTICE_BEHIND.match(text, match.end()):
                line = "notice"
            near = line + " " + (after.group() if after else "")
            around_it = [(name, pattern) for name, pattern in _TOPICS if name != "company"]
            scored = [(m.end(), name) for name, pattern in around_it for m in pattern.finditer(line)] or [
                (0, name) for name, pattern in around_it if name != "date" and pattern.search(near)
            ]
            topic = max(scored)[1] if scored else ""
            around = next((c for c in clauses if c.start <= match.start() < c.end), None)
            if around is not None and not topic:
                topic = next(
                    (
                        name
                        for clause, name in (
                            ("termination", "notice"), ("probation", "probation"), ("remuneration", "amount")
                        )
                        if clause in around.names
                    ),
                    "",
                )  # fmt: skip
            if not topic and re.search(r"\b(?:from|on|effective)\s*$", line):
                topic = "date"
            if not topic and re.match(r"[ ]*\((?:the )?[\"“]", text[match.end() :]):
                topic = "name"
        if topic and request.says(topic):
            hits.append(
                Hit("placeholder_left", match.start(), match.end(), f"{topic}: {request.words_for(topic)}")
            )
    return hits


def _amounts(text: str, clauses: list[Clause], request: Request, placeholder: bool) -> list[Hit]:
    hits: list[Hit] = []
    found = find_money(text)
    for money in found:
        if money.words is not None and abs(money.words - money.value) > 0.5:
            hits.append(Hit("contradiction", money.start, money.end, "figures and words differ"))
    if not request.given:
        return hits + _monthly(text, found)
    said = request.words_for("amount")
    for money in found:
        if any(_same_pay(money, known) for known in request.money):
            continue
        around = next((c for c in clauses if c.start <= money.start < c.end), None)
        pay = around is not None and "remuneration" in around.names
        if money.value in STATUTORY_AMOUNTS and not pay and _STATUTORY.search(_sentence(text, money.start)):
            continue
        kind = "wrong_amount" if request.money else "invented_value"
        hits.append(Hit(kind, money.start, money.end, said or "the request names no amount"))
    if not placeholder:
        for known in request.money:
            if not any(_same_pay(money, known) for money in found):
                hits.append(Hit("missing_fact", 0, 0, request.text[known.start : known.end]))
    for match in _SHARE.finditer(text):
        value = float(match.group(1))
        if value not in request.shares and not (
            value in STATUTORY_SHARES and _STATUTORY.search(_sentence(text, match.start()))
        ):
            kind = "wrong_amount" if request.shares else "invented_value"
            hits.append(Hit(kind, match.start(), match.end(), "the request names no such share"))
    return hits


def _same_pay(money: Money, known: Money) -> bool:
    """Equal, or the monthly form of an annual amount or the other way round, within a rupee of rounding."""
    if money.per == known.per or not money.per or not known.per:
        if abs(money.value - known.value) < 0.5:
            return True
        if money.per == known.per and money.per:
            return False
    yearly = known.value * 12 if known.per == "month" else known.value
    mine = money.value * 12 if money.per == "month" else money.value
    if money.per and known.per:
        return abs(mine - yearly) < 12
    return abs(money.value - known.value * 12) < 12 or abs(money.value - known.value / 12) < 1


def _monthly(text: str, found: list[Money]) -> list[Hit]:
    """Without a request: the first annual amount against the first monthly one of the same sentence."""
    hits = []
    for year in (m for m in found if m.per == "year"):
        for month in (m for m in found if m.per == "month"):
            same = (
                abs(month.start - year.start) < 120
                and "\n" not in text[min(month.end, year.end) : max(month.start, year.start)]
            )
            if same and abs(month.value * 12 - year.value) >= 12:
                hits.append(Hit("contradiction", month.start, month.end, text[year.start : year.end]))
    return hits


def _dates(text: str, request: Request, placeholder: bool) -> list[Hit]:
    found = find_days(text)
    if not request.given:
        return []
    hits = []
    terms = [p.days for p in request.periods.get("term", ())]
    for day in found:
        if day.value in request.dates or any(
            abs((day.value - start - timedelta(days=round(days * 365 / 360))).days) <= 3
            for start in request.dates
            for days in terms
        ):
            continue
        kind = "wrong_date" if request.dates else "invented_value"
        hits.append(Hit(kind, day.start, day.end, request.words_for("date") or "the request names no date"))
    if not placeholder and request.dates and not any(day.value in request.dates for day in found):
        hits.append(Hit("missing_fact", 0, 0, request.words_for("date")))
    return hits


def _periods(text: str, clauses: list[Clause], request: Request, left: set[str]) -> list[Hit]:
    found = periods_in(text, clauses)
    hits = []
    for topic in ("notice", "probation", "term"):
        mine, known = found.get(topic, []), request.periods.get(topic, [])
        hits += [
            Hit("contradiction", p.start, p.end, "figures and words differ") for p in mine if p.words_differ
        ]
        if not request.given:
            if topic != "notice" and len({p.days for p in mine}) > 1:
                hits.append(
                    Hit("contradiction", mine[-1].start, mine[-1].end, text[mine[0].start : mine[0].end])
                )
            continue
        days = {p.days for p in known}
        if topic == "term" and not known:
            continue
        for period in mine:
            if period.days in days or period.words_differ:
                continue
            silent = not known and not (topic == "probation" and request.no_probation)
            kind = "invented_value" if silent else f"wrong_{topic}"
            hits.append(
                Hit(kind, period.start, period.end, request.words_for(topic) or f"no {topic} in the request")
            )
        if known and topic not in left and not mine:
            hits.append(Hit("missing_fact", 0, 0, request.text[known[0].start : known[0].end] + f" {topic}"))
    return hits


def _names(text: str, request: Request, placeholder: bool) -> list[Hit]:
    hits: list[Hit] = []
    acts = [(m.start, m.end) for m in find_statutes(text)]
    companies = []
    for match in COMPANY.finditer(text):
        name = _strip(match.group())
        start = match.end() - len(name)
        if len(name.split()) < 2 or any(a <= start < b for a, b in acts):
            continue
        companies.append((start, match.end()))
        if not _holds(request.text, name):
            kind = "wrong_party" if request.companies else "invented_value"
            hits.append(
                Hit(kind, start, match.end(), "; ".join(request.companies) or "the request names no employer")
            )
    seen: set[int] = set()
    for pattern in PERSON:
        for match in pattern.finditer(text):
            start, end = match.span("name")
            words = match["name"].split()
            if start in seen or any(a < end and start < b for a, b in [*companies, *acts]):
                continue
            if any(word.casefold().strip(".") in NO_NAME for word in words):
                continue
            seen.add(start)
            if not _holds(request.text, match["name"]):
                kind = "wrong_party" if request.people else "invented_value"
                hits.append(
                    Hit(kind, start, end, "; ".join(request.people) or "the request names no employee")
                )
    for person in request.people:
        hits += _variants(text, person, seen)
        if (
            not _holds(text, person)
            and not placeholder
            and not any(hit.kind == "wrong_party" for hit in hits)
        ):
            hits.append(Hit("missing_fact", 0, 0, person))
    for company in request.companies:
        if not _holds(text, company) and not any(hit.kind == "wrong_party" for hit in hits):
            hits.append(Hit("missing_fact", 0, 0, company))
    return hits


def _variants(text: str, person: str, seen: set[int]) -> list[Hit]:
    """The first name with another surname behind it, or the surname with another first name in front."""
    words = person.split()
    hits = []
    first, last = re.escape(words[0]), re.escape(words[-1])
    flags = re.IGNORECASE
    for match in re.finditer(
        rf"\b(?:{first}[ ](?P<other>[A-Za-z][A-Za-z’']*)|(?P<before>[A-Za-z]+)[ ]{last})\b", text, flags
    ):
        other = match["other"] or match["before"]
        known = {word.casefold() for word in words}
        if not other[0].isupper() or other.casefold() in known | NO_NAME | {
            "mr",
            "ms",
            "mrs",
            "dr",
            "shri",
            "smt",
        }:
            continue
        if match.start() not in seen:
            hits.append(Hit("wrong_party", match.start(), match.end(), person))
    return hits


def _roles(text: str, request: Request) -> list[Hit]:
    known = set(re.findall(r"[a-z]+", request.text.casefold()))
    hits: list[Hit] = []
    for match in _ROLE.finditer(text):
        words = re.findall(r"[a-z]+", match["role"].casefold())
        initials = "".join(word[0] for word in words if word not in ("of", "and", "the"))
        if len(initials) > 2 and initials in known:  # "CFO" is the Chief Financial Officer
            continue
        unknown = [word for word in words if word not in known and word not in ("of", "and", "the")]
        if unknown and len(words) <= 5 and not _holds(request.text, match["role"]):
            start, end = match.span("role")
            if set(words) & ROLE_HEADS:
                hits.append(Hit("wrong_role", start, end, request.text[:160]))
    return hits
