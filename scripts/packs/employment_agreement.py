"""Builds the pack ``employment-agreement``: agreements put together from requests and house styles written by hand.

    python -m scripts.packs.employment_agreement

Covers: reading the parts in ``employment-agreement/`` (requests with their facts, house styles with several wordings
a clause, spoilt drafts, broken rows), choosing a wording per clause by a seed that is the request's number, the rows
that a real intake would hold, the recorded decisions. Does not cover: writing. Every sentence stands in the parts;
nothing here makes one up, and nothing asks whether an agreement is good (the scorer and the reviewers do).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "employment-agreement"
PACK = Path(__file__).resolve().parents[2] / "data" / "tasks" / "employment-agreement"
EVAL_HOUSES = ("quill", "counter", "banyan")
TRAIN_HOUSES = (
    "ledger", "letter", "plain", "article", "particulars", "shopfloor", "institution", "startup", "memo",
)  # fmt: skip

STATES = {
    "Karnataka": "Bengaluru Mysuru Hubballi Mangaluru Belagavi",
    "Maharashtra": "Mumbai Pune Nagpur Nashik Thane",
    "Tamil Nadu": "Chennai Coimbatore Madurai Hosur Salem Tiruchirappalli",
    "Telangana": "Hyderabad Warangal Secunderabad",
    "Delhi": "Delhi New-Delhi",
    "Haryana": "Gurugram Faridabad Panipat Sonipat",
    "Uttar Pradesh": "Noida Lucknow Kanpur Ghaziabad Agra Varanasi",
    "West Bengal": "Kolkata Howrah Siliguri Durgapur",
    "Gujarat": "Ahmedabad Surat Vadodara Rajkot",
    "Kerala": "Kochi Thiruvananthapuram Kozhikode Thrissur",
    "Andhra Pradesh": "Visakhapatnam Vijayawada Guntur Tirupati",
    "Rajasthan": "Jaipur Udaipur Jodhpur Kota",
    "Madhya Pradesh": "Bhopal Indore Gwalior Jabalpur",
    "Punjab": "Ludhiana Amritsar Mohali Jalandhar",
    "Chandigarh": "Chandigarh",
    "Odisha": "Bhubaneswar Cuttack Rourkela",
    "Assam": "Guwahati Dibrugarh Silchar",
    "Jharkhand": "Ranchi Jamshedpur Dhanbad",
    "Goa": "Panaji Margao Mapusa",
    "Himachal Pradesh": "Shimla Solan Baddi",
    "Puducherry": "Puducherry",
}
STATE_OF = {city.replace("-", " "): state for state, cities in STATES.items() for city in cities.split()}
SHOPS = {
    "Karnataka": "Karnataka Shops and Commercial Establishments Act, 1961",
    "Maharashtra": "Maharashtra Shops and Establishments (Regulation of Employment and Conditions of Service) "
    "Act, 2017",
    "Tamil Nadu": "Tamil Nadu Shops and Establishments Act, 1947",
    "Telangana": "Telangana Shops and Establishments Act, 1988",
    "Delhi": "Delhi Shops and Establishments Act, 1954",
    "Haryana": "Punjab Shops and Commercial Establishments Act, 1958, as it applies to Haryana",
    "Uttar Pradesh": "Uttar Pradesh Dookan Aur Vanijya Adhishthan Adhiniyam, 1962",
    "West Bengal": "West Bengal Shops and Establishments Act, 1963",
    "Gujarat": "Gujarat Shops and Establishments (Regulation of Employment and Conditions of Service) Act, 2019",
    "Kerala": "Kerala Shops and Commercial Establishments Act, 1960",
    "Andhra Pradesh": "Andhra Pradesh Shops and Establishments Act, 1988",
    "Rajasthan": "Rajasthan Shops and Commercial Establishments Act, 1958",
    "Madhya Pradesh": "Madhya Pradesh Shops and Establishments Act, 1958",
    "Punjab": "Punjab Shops and Commercial Establishments Act, 1958",
    "Chandigarh": "Punjab Shops and Commercial Establishments Act, 1958, as it applies to Chandigarh",
    "Odisha": "Odisha Shops and Commercial Establishments Act, 1956",
    "Assam": "Assam Shops and Establishments Act, 1971",
    "Jharkhand": "Jharkhand Shops and Establishments Act, 1953",
    "Goa": "Goa, Daman and Diu Shops and Establishments Act, 1973",
    "Himachal Pradesh": "Himachal Pradesh Shops and Commercial Establishments Act, 1969",
    "Puducherry": "Puducherry Shops and Establishments Act, 1964",
}
_SOCIAL = "Code on Social Security, 2020"
ALWAYS = {
    "epf": "Employees' Provident Funds and Miscellaneous Provisions Act, 1952",
    "posh": "Sexual Harassment of Women at Workplace (Prevention, Prohibition and Redressal) Act, 2013",
    "contract": "Indian Contract Act, 1872",
    "copyright": "Copyright Act, 1957",
    "arbitration": "Arbitration and Conciliation Act, 1996",
    "apprentices": "Apprentices Act, 1961",
}
# What was law before the labour codes of 21 November 2025 and the Income-tax Act of 1 April 2026, and since.
OLD = {
    # The Digital Personal Data Protection Act, 2023 had its assent by then, but none of it was in force.
    "dpdp": "Information Technology (Reasonable Security Practices and Procedures and Sensitive Personal Data or "
    "Information) Rules, 2011",
    "esi": "Employees' State Insurance Act, 1948",
    "gratuity": "Payment of Gratuity Act, 1972",
    "maternity": "Maternity Benefit Act, 1961",
    "wages": "Payment of Wages Act, 1936",
    "tax": "Income-tax Act, 1961",
    "works": "Factories Act, 1948",
    "social3": "Employees' State Insurance Act, 1948, the Payment of Gratuity Act, 1972 and the Maternity Benefit "
    "Act, 1961",
    "social2": "Employees' State Insurance Act, 1948 and the Maternity Benefit Act, 1961",
}
NEW = {
    "dpdp": "Digital Personal Data Protection Act, 2023",
    "esi": _SOCIAL,
    "gratuity": _SOCIAL,
    "maternity": _SOCIAL,
    "wages": "Code on Wages, 2019",
    "tax": "Income-tax Act, 2025",
    "works": "Occupational Safety, Health and Working Conditions Code, 2020",
    "social3": _SOCIAL,
    "social2": _SOCIAL,
}
TAGS = {"factory", "fixedterm", "apprentice", "small", "noprobation", "norules", "old"}
FACTS = ("who", "start", "pay", "notice", "prob")  # what a request may be silent about


# --- parts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wording:
    """One way to say a clause; ``tag`` empty: for requests that no tagged wording of the clause fits."""

    tag: str
    title: str
    text: str


@dataclass
class House:
    """A drafting voice: how clauses are set, in which orders, how a gap is marked, and the wordings of each clause."""

    name: str
    form: str
    silent: dict[str, str]
    orders: list[list[str]] = field(default_factory=list)
    clauses: dict[str, list[Wording]] = field(default_factory=dict)


@dataclass
class Request:
    """One request with the facts it gives, the house that answers and what is particular to this post."""

    id: str
    source: str
    house: str
    tags: frozenset[str]
    text: str
    facts: dict[str, str]
    duty: str
    hours: str = ""
    pay_more: str = ""
    secrets: str = ""
    works: str = ""
    data: str = ""
    extra: tuple[str, str] | None = None

    @property
    def state(self) -> str:
        return STATE_OF[self.facts["city"]]

    @property
    def silent(self) -> list[str]:
        """The usual facts that this request does not give."""
        missing = [name for name in FACTS if name not in self.facts]
        if {"noprobation", "fixedterm"} & self.tags and "prob" in missing:
            missing.remove("prob")
        return missing + (["co"] if "co" not in self.facts else [])


def read_house(path: Path) -> House:
    """A file of ``houses/``: ``form:``, ``silent:`` and ``order:`` lines, then ``== clause`` with wordings between
    ``--`` lines, the first line of a wording being its title (head and sign have none)."""
    head, *parts = re.split(r"^== ", path.read_text("utf-8"), flags=re.MULTILINE)
    house = House(path.stem, "", {})
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        if key == "form":
            house.form = value.replace("\\n", "\n")
        elif key == "silent":
            house.silent = dict(item.split("=", 1) for item in value.split("; "))
        elif key == "order":
            house.orders.append(value.split())
    for part in parts:
        clause, _, body = part.partition("\n")
        for number, piece in enumerate(re.split(r"^--[ ]*(\w*)\n", "--\n" + body, flags=re.MULTILINE)[1:]):
            if number % 2 == 0:
                tag = piece
                continue
            title, text = ("", piece.strip("\n"))
            if clause not in ("head", "sign"):
                title, _, text = text.partition("\n")
            house.clauses.setdefault(clause, []).append(Wording(tag, title, text))
    return house


def read_requests(path: Path, prefix: str, first: int = 1) -> list[Request]:
    """Requests of a file; ``@@`` opens a source, ``@ house tags`` a request, then one field a line."""
    found: list[Request] = []
    source, fields = "", {}

    def close() -> None:
        if fields:
            found.append(_request(f"{prefix}{first + len(found):03}", source, fields))
            fields.clear()

    for line in path.read_text("utf-8").splitlines():
        if line.startswith("@@ "):
            close()
            source = line[3:]
        elif line.startswith("@ "):
            close()
            fields["@"] = line[2:]
        elif line.strip():
            key, _, value = line.partition(": ")
            fields[key] = value
    close()
    return found


def _request(name: str, source: str, fields: dict[str, str]) -> Request:
    house, *tags = fields["@"].split()
    facts = dict(item.split("=", 1) for item in fields["f"].split("; "))
    secrets, works, data = (part.strip() for part in fields["s"].split("|"))
    extra = tuple(fields["x"].split(" | ", 1)) if "x" in fields else None
    return Request(
        name,
        source,
        house,
        frozenset([*tags, *fields.get("t", "").split()]) & TAGS,
        fields["q"],
        facts,
        fields["d"],
        fields.get("h", "").strip(),
        fields.get("px", ""),
        secrets,
        works,
        data,
        (extra[0], extra[1]) if extra else None,
    )


# --- putting an agreement together -----------------------------------------------------------------------------


def draft(request: Request, house: House, seed: str = "", change: dict[str, str] | None = None) -> str:
    """The agreement that answers a request in a house's style.

    ``seed`` chooses among wordings and orders, beside the request's number. ``change`` replaces slots (``wages``,
    ``notice`` …); a clause's name in it replaces the clause's text, an empty one leaves the clause out.
    """
    change = change or {}
    slots = _slots(request, house) | {name: text for name, text in change.items() if name not in house.clauses}
    pick = random.Random(f"{request.id}:{house.name}:{seed}")
    order = pick.choice(house.orders)
    chosen = {name: _pick(house.clauses[name], request.tags, pick) for name in house.clauses}
    out = [_fill(chosen["head"].text, slots)]
    number = 0
    for name in order:
        if name == "extra":
            if request.extra is None:
                continue
            title, text = request.extra
        elif name in change:
            if not change[name]:
                continue
            title, text = chosen[name].title, change[name]
        else:
            title, text = chosen[name].title, chosen[name].text
        number += 1
        marks = {
            "n": str(number),
            "N": _roman(number),
            "L": chr(64 + number),
            "l": chr(96 + number),
            "title": title,
            "Title": title[0].upper() + title[1:],
            "TITLE": title.upper(),
            "text": text,
        }
        out.append(_fill(_fill(house.form, marks), slots))
    out.append(_fill(chosen["sign"].text, slots))
    separator = "\n" if house.name in ("particulars", "counter", "shopfloor", "memo") else "\n\n"
    return out[0] + "\n\n" + separator.join(out[1:-1]) + "\n\n" + out[-1]


def _pick(wordings: list[Wording], tags: frozenset[str], pick: random.Random) -> Wording:
    """One of the wordings that fit: those of the first tag that the request has, else the untagged ones."""
    drawn = pick.random()  # always one draw, so that a wording that is added changes one clause alone
    for tag in ("apprentice", "fixedterm", "noprobation", "small", "norules"):
        fitting = [wording for wording in wordings if wording.tag == tag]
        if tag in tags and fitting:
            break
    else:
        fitting = [wording for wording in wordings if not wording.tag]
    return fitting[int(drawn * len(fitting))]


def _slots(request: Request, house: House) -> dict[str, str]:
    facts = {name: request.facts.get(name) or house.silent[_KEY.get(name, name)] for name in (*FACTS, "co", "city")}
    state = request.state
    law = OLD if "old" in request.tags else NEW
    hours_act = law["works"] if "factory" in request.tags else SHOPS[state]
    role = request.facts["role"]
    honorific = "Colleague" if "who" not in request.facts else facts["who"].removeprefix("Dr. ")
    notice = facts["notice"]
    more = ""
    if "fixedterm" in request.tags:
        if "prob" in request.facts:
            more = f" The first {facts['prob']} of it are a probation."
        elif "noprobation" in request.tags:
            more = " There is no probation."
    slots = {
        **ALWAYS,
        **law,
        **facts,
        "state": state,
        "hours_act": hours_act,
        "role": f"{'an' if role[0] in 'AEIO' else 'a'} {role}" if house.name in _ARTICLE else role,
        "dear": honorific if "who" not in request.facts else _courtesy(facts["who"]),
        "brand": request.facts.get("brand", " ".join(facts["co"].split()[:2])),
        "short": request.facts.get("short", "Employee"),
        "short_l": request.facts.get("short", "Employee").lower(),
        "notice_p": notice if notice[-1] in "])>}_" else notice + ("’" if notice.endswith("s") else "’s"),
        "term": request.facts.get("term", ""),
        "probx": more,
        "payx": f" {request.pay_more}" if request.pay_more else "",
        "duty": request.duty,
        "duty_you": request.duty,
        "hours": f"{request.hours} " if request.hours else "",
        "conf": request.secrets,
        "work": request.works,
        "data": request.data,
    }
    for name in ("conf", "work", "data", "prob", "pay", "notice"):
        slots[name.capitalize()] = slots[name][0].upper() + slots[name][1:]
    slots["Role"] = role
    slots["co_upper"] = facts["co"].upper()
    return slots


_KEY = {"who": "name"}
_ARTICLE = frozenset({"plain", "startup", "quill", "banyan", "institution"})


def _courtesy(name: str) -> str:
    return name


def _fill(text: str, slots: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: slots.get(match[1], match[0]), text)


def _roman(number: int) -> str:
    out = ""
    for value, sign in ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while number >= value:
            out, number = out + sign, number - value
    return out


def houses() -> dict[str, House]:
    return {path.stem: read_house(path) for path in sorted((PARTS / "houses").glob("*.txt"))}


def train_requests() -> list[Request]:
    found: list[Request] = []
    for path in sorted(PARTS.glob("train_*.txt")):
        found += read_requests(path, "ea-", len(found) + 1)
    return found


def eval_requests() -> list[Request]:
    return read_requests(PARTS / "eval.txt", "ea-e")
