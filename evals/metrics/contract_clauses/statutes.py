"""Statutes that an Indian employment agreement may name: a dated list with scope, and the finder of mentions.

Covers: central acts around employment, the four labour codes and what they replaced, shops and establishments acts
by state, with the dates between which each may be named as law in force. Does not cover: whether a statute applies to
this employer, sections and rules within it, notifications by state; nor is it legal advice. A statute that is
missing here is reported as not on the list, which is a reason to look, not a verdict.

Sources (as of 22 November 2026): commencement of the labour codes on 21 November 2025, Ministry of Labour and
Employment notifications of that day (Press Information Bureau release 2192463), which bring section 164 (1) of the
Code on Social Security into force for items 1, 2 and 4 to 9, so that item 3, the Provident Funds Act of 1952, is not
repealed by them; Income-tax Act, 2025, section 1 (3); the repeal clauses and commencement notices of the acts.
"""

import re
from dataclasses import dataclass
from datetime import date

LIST_DATE = date(2026, 11, 22)
CODES = date(2025, 11, 21)
# sources of the dates, by the key that an entry names
SOURCES = {
    "act": "the act itself: short title and commencement",
    "codes": "notifications of 21 November 2025 and the repeal section of the code",
    "repeal": "repeal section of the act that followed",
}


@dataclass(frozen=True)
class Statute:
    """``since`` and ``until`` (exclusive) bound the days on which it may be named as law in force."""

    name: str
    year: int
    states: tuple[str, ...] = ()  # empty: the whole of India
    since: date = date.min
    until: date | None = None
    successor: str = ""
    source: str = "act"

    @property
    def title(self) -> str:
        return f"{self.name}, {self.year}"


def _old(names: str, until: date, successor: str, source: str = "codes") -> list[Statute]:
    return [
        Statute(
            name.rsplit(" ", 1)[0],
            int(name.rsplit(" ", 1)[1]),
            until=until,
            successor=successor,
            source=source,
        )
        for name in names.split("; ")
    ]


_WAGES = "Code on Wages, 2019"
_SOCIAL = "Code on Social Security, 2020"
_RELATIONS = "Industrial Relations Code, 2020"
_SAFETY = "Occupational Safety, Health and Working Conditions Code, 2020"
_CENTRAL = """
Indian Contract Act 1872; Employees' Provident Funds and Miscellaneous Provisions Act 1952; Sexual
Harassment of Women at Workplace (Prevention, Prohibition and Redressal) Act 2013; Information Technology
Act 2000; Companies Act 2013; Limited Liability Partnership Act 2008; Indian Partnership Act 1932; Societies
Registration Act 1860; Copyright Act 1957; Patents Act 1970; Trade Marks Act 1999; Designs Act 2000;
Semiconductor Integrated Circuits Layout-Design Act 2000; Arbitration and Conciliation Act 1996; Mediation
Act 2023; Specific Relief Act 1963; Code of Civil Procedure 1908; Limitation Act 1963; Indian Stamp Act
1899; Registration Act 1908; General Clauses Act 1897; Apprentices Act 1961; Rights of Persons with
Disabilities Act 2016; Transgender Persons (Protection of Rights) Act 2019; Human Immunodeficiency Virus and
Acquired Immune Deficiency Syndrome (Prevention and Control) Act 2017; Child and Adolescent Labour
(Prohibition and Regulation) Act 1986; Bonded Labour System (Abolition) Act 1976; Prevention of Corruption
Act 1988; Prevention of Money-laundering Act 2002; Securities and Exchange Board of India Act 1992; Foreign
Exchange Management Act 1999; Right to Information Act 2005; Protection of Children from Sexual Offences Act
2012; Juvenile Justice (Care and Protection of Children) Act 2015; Motor Vehicles Act 1988; Drugs and
Cosmetics Act 1940; Pharmacy Act 1948; National Medical Commission Act 2019; Clinical Establishments
(Registration and Regulation) Act 2010; Food Safety and Standards Act 2006; Environment (Protection) Act
1986; Biological Diversity Act 2002; Consumer Protection Act 2019; Competition Act 2002; Banking Regulation
Act 1949; Reserve Bank of India Act 1934; Insurance Act 1938; Insolvency and Bankruptcy Code 2016; Advocates
Act 1961; Chartered Accountants Act 1949; Architects Act 1972; Customs Act 1962; Central Goods and Services
Tax Act 2017; Telecommunications Act 2023; Official Secrets Act 1923; Right of Children to Free and
Compulsory Education Act 2009; Special Economic Zones Act 2005; Payment and Settlement Systems Act 2007;
Indian Trusts Act 1882; Emigration Act 1983; Aadhaar (Targeted Delivery of Financial and Other Subsidies,
Benefits and Services) Act 2016; Private Security Agencies (Regulation) Act 2005; Legal Metrology Act 2009;
Explosives Act 1884; Electricity Act 2003
"""
STATUTES: tuple[Statute, ...] = (
    *(
        Statute(name.rsplit(" ", 1)[0], int(name.rsplit(" ", 1)[1]))
        for name in " ".join(_CENTRAL.split()).split("; ")
    ),
    Statute("Merchant Shipping Act", 2025, since=date(2025, 8, 18)),
    Statute("Digital Personal Data Protection Act", 2023, since=date(2023, 8, 11)),  # assent; in force by stages
    Statute("Digital Personal Data Protection Rules", 2025, since=date(2025, 11, 13)),
    Statute(
        "Information Technology (Reasonable Security Practices and Procedures and Sensitive Personal Data or "
        "Information) Rules",
        2011,
    ),
    Statute("Code on Wages", 2019, since=CODES, source="codes"),
    Statute("Code on Social Security", 2020, since=CODES, source="codes"),
    Statute("Industrial Relations Code", 2020, since=CODES, source="codes"),
    Statute("Occupational Safety, Health and Working Conditions Code", 2020, since=CODES, source="codes"),
    *_old(
        "Payment of Wages Act 1936; Minimum Wages Act 1948; Payment of Bonus Act 1965; Equal "
        "Remuneration Act 1976",
        CODES,
        _WAGES,
    ),
    *_old(
        "Trade Unions Act 1926; Industrial Employment (Standing Orders) Act 1946; Industrial "
        "Disputes Act 1947",
        CODES,
        _RELATIONS,
    ),
    *_old(
        "Employees' Compensation Act 1923; Workmen's Compensation Act 1923; Employees' State "
        "Insurance Act 1948; "
        "Employment Exchanges (Compulsory Notification of Vacancies) Act 1959; Maternity Benefit "
        "Act 1961; Maternity "
        "Benefit (Amendment) Act 2017; Payment of Gratuity Act 1972; Unorganised Workers' Social "
        "Security Act 2008",
        CODES,
        _SOCIAL,
    ),
    *_old(
        "Factories Act 1948; Mines Act 1952; Plantations Labour Act 1951; Contract Labour "
        "(Regulation and Abolition) Act "
        "1970; Inter-State Migrant Workmen (Regulation of Employment and Conditions of Service) Act "
        "1979; Building and "
        "Other Construction Workers (Regulation of Employment and Conditions of Service) Act 1996; "
        "Motor Transport "
        "Workers Act 1961; Sales Promotion Employees (Conditions of Service) Act 1976; Beedi and "
        "Cigar Workers "
        "(Conditions of Employment) Act 1966; Working Journalists and Other Newspaper Employees "
        "(Conditions of Service) "
        "and Miscellaneous Provisions Act 1955",
        CODES,
        _SAFETY,
    ),
    Statute("Income-tax Act", 2025, since=date(2026, 4, 1)),
    *_old("Income-tax Act 1961", date(2026, 4, 1), "Income-tax Act, 2025", "repeal"),
    *_old("Companies Act 1956", date(2014, 4, 1), "Companies Act, 2013", "repeal"),
    *_old("Arbitration Act 1940", date(1996, 1, 25), "Arbitration and Conciliation Act, 1996", "repeal"),
    Statute("Bharatiya Nyaya Sanhita", 2023, since=date(2024, 7, 1)),
    Statute("Bharatiya Nagarik Suraksha Sanhita", 2023, since=date(2024, 7, 1)),
    Statute("Bharatiya Sakshya Adhiniyam", 2023, since=date(2024, 7, 1)),
    *_old("Indian Penal Code 1860", date(2024, 7, 1), "Bharatiya Nyaya Sanhita, 2023", "repeal"),
    *_old(
        "Code of Criminal Procedure 1973", date(2024, 7, 1), "Bharatiya Nagarik Suraksha Sanhita, 2023", "repeal"
    ),
    *_old("Indian Evidence Act 1872", date(2024, 7, 1), "Bharatiya Sakshya Adhiniyam, 2023", "repeal"),
    *_old("Consumer Protection Act 1986", date(2020, 7, 20), "Consumer Protection Act, 2019", "repeal"),
    *_old("Trade and Merchandise Marks Act 1958", date(2003, 9, 15), "Trade Marks Act, 1999", "repeal"),
    # --- shops and establishments, by state
    Statute(
        "Maharashtra Shops and Establishments (Regulation of Employment and Conditions of Service) Act",
        2017,
        ("Maharashtra",),
        since=date(2017, 12, 19),
    ),
    *(
        Statute(
            name,
            1948,
            ("Maharashtra",),
            until=date(2017, 12, 19),
            successor="Maharashtra Shops and Establishments (Regulation of Employment and "
            "Conditions of Service) "
            "Act, 2017",
            source="repeal",
        )
        for name in ("Bombay Shops and Establishments Act", "Maharashtra Shops and Establishments Act")
    ),
    Statute(
        "Gujarat Shops and Establishments (Regulation of Employment and Conditions of Service) Act",
        2019,
        ("Gujarat",),
        since=date(2019, 5, 1),
    ),
    Statute(
        "Gujarat Shops and Establishments Act",
        1948,
        ("Gujarat",),
        until=date(2019, 5, 1),
        successor="Gujarat Shops and Establishments (Regulation of Employment and Conditions of "
        "Service) Act, 2019",
        source="repeal",
    ),
    Statute("Karnataka Shops and Commercial Establishments Act", 1961, ("Karnataka",)),
    Statute("Tamil Nadu Shops and Establishments Act", 1947, ("Tamil Nadu",)),
    Statute("Delhi Shops and Establishments Act", 1954, ("Delhi",)),
    Statute("Telangana Shops and Establishments Act", 1988, ("Telangana",)),
    Statute("Andhra Pradesh Shops and Establishments Act", 1988, ("Andhra Pradesh",)),
    Statute("Kerala Shops and Commercial Establishments Act", 1960, ("Kerala",)),
    Statute("West Bengal Shops and Establishments Act", 1963, ("West Bengal",)),
    Statute("Uttar Pradesh Dookan Aur Vanijya Adhishthan Adhiniyam", 1962, ("Uttar Pradesh", "Uttarakhand")),
    Statute("Uttar Pradesh Shops and Commercial Establishments Act", 1962, ("Uttar Pradesh", "Uttarakhand")),
    Statute("Punjab Shops and Commercial Establishments Act", 1958, ("Punjab", "Haryana", "Chandigarh")),
    Statute("Rajasthan Shops and Commercial Establishments Act", 1958, ("Rajasthan",)),
    Statute("Madhya Pradesh Shops and Establishments Act", 1958, ("Madhya Pradesh",)),
    Statute("Bihar Shops and Establishments Act", 1953, ("Bihar",)),
    Statute("Jharkhand Shops and Establishments Act", 1953, ("Jharkhand",)),
    Statute("Odisha Shops and Commercial Establishments Act", 1956, ("Odisha",)),
    Statute("Orissa Shops and Commercial Establishments Act", 1956, ("Odisha",)),
    Statute("Assam Shops and Establishments Act", 1971, ("Assam",)),
    Statute("Goa, Daman and Diu Shops and Establishments Act", 1973, ("Goa", "Daman and Diu")),
    Statute("Himachal Pradesh Shops and Commercial Establishments Act", 1969, ("Himachal Pradesh",)),
    Statute("Jammu and Kashmir Shops and Establishments Act", 1966, ("Jammu and Kashmir", "Ladakh")),
    Statute("Puducherry Shops and Establishments Act", 1964, ("Puducherry",)),
    # --- other state acts that agreements often name
    Statute(
        "Maharashtra State Tax on Professions, Trades, Callings and Employments Act", 1975, ("Maharashtra",)
    ),
    Statute("Karnataka Tax on Professions, Trades, Callings and Employments Act", 1976, ("Karnataka",)),
    Statute("West Bengal State Tax on Professions, Trades, Callings and Employments Act", 1979, ("West Bengal",)),
    Statute("Maharashtra Labour Welfare Fund Act", 1953, ("Maharashtra",)),
    Statute("Karnataka Labour Welfare Fund Act", 1965, ("Karnataka",)),
    Statute(
        "Maharashtra Recognition of Trade Unions and Prevention of Unfair Labour Practices Act",
        1971,
        ("Maharashtra",),
    ),
)  # fmt: skip
#: Short names that are used without a year.
SHORT = {
    "epf act": "Employees' Provident Funds and Miscellaneous Provisions Act",
    "esi act": "Employees' State Insurance Act",
    "posh act": "Sexual Harassment of Women at Workplace (Prevention, Prohibition and Redressal) Act",
    "dpdp act": "Digital Personal Data Protection Act",
    "it act": "Information Technology Act",
    "gratuity act": "Payment of Gratuity Act",
    "provident funds act": "Employees' Provident Funds and Miscellaneous Provisions Act",
    "provident fund act": "Employees' Provident Funds and Miscellaneous Provisions Act",
}
# Towns -> state; enough to place a request, the state's own name always counts.
_TOWNS = {
    "Karnataka": "bengaluru bangalore mysuru mysore mangaluru hubballi belagavi",
    "Maharashtra": "mumbai pune nagpur nashik thane aurangabad navi-mumbai",
    "Tamil Nadu": "chennai coimbatore madurai tiruchirappalli salem hosur",
    "Telangana": "hyderabad secunderabad warangal",
    "Delhi": "delhi new-delhi",
    "Haryana": "gurugram gurgaon faridabad panipat sonipat",
    "Uttar Pradesh": "noida lucknow kanpur ghaziabad agra varanasi greater-noida gautam-buddha-nagar",
    "West Bengal": "kolkata calcutta howrah siliguri durgapur",
    "Gujarat": "ahmedabad surat vadodara rajkot gandhinagar",
    "Kerala": "kochi cochin thiruvananthapuram trivandrum kozhikode thrissur",
    "Andhra Pradesh": "visakhapatnam vijayawada guntur tirupati amaravati",
    "Rajasthan": "jaipur udaipur jodhpur kota",
    "Madhya Pradesh": "bhopal indore gwalior jabalpur",
    "Punjab": "ludhiana amritsar mohali jalandhar",
    "Chandigarh": "chandigarh",
    "Odisha": "bhubaneswar cuttack rourkela",
    "Assam": "guwahati dibrugarh silchar",
    "Bihar": "patna gaya",
    "Jharkhand": "ranchi jamshedpur dhanbad",
    "Chhattisgarh": "raipur bhilai",
    "Uttarakhand": "dehradun haridwar",
    "Goa": "goa panaji margao mapusa",
    "Himachal Pradesh": "shimla solan baddi",
    "Jammu and Kashmir": "srinagar jammu",
    "Puducherry": "puducherry pondicherry",
}
STATE_OF = {town.replace("-", " "): state for state, towns in _TOWNS.items() for town in towns.split()} | {
    state.casefold(): state for state in _TOWNS
}
_PLACE = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, STATE_OF), key=len, reverse=True)) + r")\b", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z][\w’']*(?:[-.][A-Za-z]\w*)*|&")
_KIND = {"act", "code", "sanhita", "adhiniyam", "rules"}
_JOIN = {"of", "and", "the", "for", "in", "at", "to", "on", "by", "from", "with", "&", "or", "aur"}
_YEAR = re.compile(r"\s*,?\s*\(?((?:18|19|20)\d\d)\b")
_AFTER_CODE = re.compile(r"\s+(of\s+(?:Civil|Criminal)\s+Procedure|on\s+(?:Wages|Social\s+Security))\b")
#: words of the same sentence that show a statute is named as past law
_PAST = re.compile(
    r"\b(?:erstwhile|repealed|replaced|subsumed|superseded|succeeded|formerly|former|previously|old"
    r"|until|savings?)\b",
    re.I,
)


@dataclass(frozen=True)
class Mention:
    """A statute named in a text. ``statute`` is None where the list does not hold it."""

    start: int
    end: int
    words: str
    year: int | None
    statute: Statute | None
    past: bool  # named as law of the past


def places(text: str) -> list[tuple[str, str, int, int]]:
    """(word, state, start, end) of every town and state that a text names outside the names of statutes."""
    mine = [(mention.start, mention.end) for mention in find_statutes(text)]
    return [
        (m.group(1), STATE_OF[" ".join(m.group(1).casefold().split())], m.start(), m.end())
        for m in _PLACE.finditer(text)
        if not any(start <= m.start() < end for start, end in mine)
    ]


def find_statutes(text: str) -> list[Mention]:
    """Acts, codes and rules in the order of the text, with what the list knows of each."""
    words = list(_WORD.finditer(text))
    found: list[Mention] = []
    last = 0
    for number, word in enumerate(words):
        if word.group().casefold() not in _KIND or not word.group()[0].isupper() or word.start() < last:
            continue
        first = number
        while first > 0 and number - first < 22:
            before = words[first - 1]
            gap = text[before.end() : words[first].start()]
            if before.start() < last or not re.fullmatch(r"[\s,()'’“\"*_-]{1,4}", gap) or gap.count("\n") > 1:
                break
            if not (before.group()[0].isupper() or before.group().casefold() in _JOIN):
                break
            first -= 1
        while first < number and words[first].group().casefold() in _JOIN:
            first += 1
        end = word.end()
        following = _AFTER_CODE.match(text, end)
        if following:
            end = following.end()
        elif first == number:
            continue
        year = _YEAR.match(text, end)
        start = words[first].start()
        name = text[start:end]
        value = int(year.group(1)) if year else None
        statute, offset = _look_up(name, value)
        if statute is None and value is None:
            continue
        end = year.end(1) if year else end
        begin = start + offset
        line_start = max(text.rfind(". ", 0, begin), text.rfind("\n", 0, begin)) + 1
        stop = min((at for at in (text.find(". ", end), text.find("\n", end)) if at >= 0), default=len(text))
        past = bool(_PAST.search(text, line_start, min(stop, end + 200)))
        found.append(Mention(begin, end, text[begin:end], value, statute, past))
        last = end
    return found


def _key(name: str) -> tuple[str, ...]:
    words = re.findall(r"[a-z]+", re.sub(r"[’']s?\b|[’']", "", name.casefold().replace("&", " and ")))
    return tuple(
        word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words if word != "the"
    )


_BY_KEY: dict[tuple[str, ...], list[Statute]] = {}
for _statute in STATUTES:
    _BY_KEY.setdefault(_key(_statute.name), []).append(_statute)
_FIRST = {key[0] for key in _BY_KEY} | {_key(short)[0] for short in SHORT}
_SHORT_KEYS = {_key(short): _key(name) for short, name in SHORT.items()}


def _look_up(name: str, year: int | None) -> tuple[Statute | None, int]:
    """The statute whose name ends the captured words, and how many characters of them come before it."""
    spans = [m for m in re.finditer(r"[A-Za-z&][\w’']*", name)]
    for skip in range(len(spans)):
        if (_key(spans[skip].group()) or ("",))[0] not in _FIRST:
            continue
        tail = name[spans[skip].start() :]
        key = _key(tail)
        known = _BY_KEY.get(key) or _BY_KEY.get(_SHORT_KEYS.get(key, ()))
        if not known:
            continue
        exact = [statute for statute in known if statute.year == year]
        if exact:
            return exact[0], spans[skip].start()
        if year is None:  # the newest of that name
            return max(known, key=lambda statute: statute.year), spans[skip].start()
        return None, spans[skip].start()
    return None, 0
