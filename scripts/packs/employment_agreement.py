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
TRIES = 120
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
    source = ""
    fields: dict[str, str] = {}

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
    slots = _slots(request, house, change)
    order, chosen = _choose(request, house, seed)
    out = [_fill(chosen["head"].text, slots)]
    number = 0
    for name in order:
        if name == "extra":
            if request.extra is None:
                continue
            title, text = request.extra[0], _in_terms(request.extra[1], request.house, house.name)
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


def _choose(request: Request, house: House, seed: str) -> tuple[list[str], dict[str, Wording]]:
    """An order of the clauses and a wording of each."""
    pick = random.Random(f"{request.id}:{house.name}:{seed}")
    order = pick.choice(house.orders)
    return order, {name: _pick(house.clauses[name], request.tags, pick) for name in house.clauses}


def spread(requests: list[Request], styles: dict[str, House]) -> dict[str, str]:
    """Request -> the seed, of `TRIES`, whose wordings share least with an earlier request's of the same house.

    Chance alone would give some two agreements of a house most of their clauses in common.
    """
    seeds: dict[str, str] = {}
    before: dict[str, list[dict[str, Wording]]] = {}
    for request in requests:
        house, earlier = styles[request.house], before.setdefault(request.house, [])
        best: tuple[int, int] | None = None
        for number in range(TRIES):
            chosen = _choose(request, house, str(number))[1]
            same = [
                sum(len(word.text) for name, word in chosen.items() if word is other[name])
                for other in earlier
            ]
            cost = max(same, default=0), sum(same)
            if best is None or cost < best:
                best, found = cost, (str(number), chosen)
        seeds[request.id] = found[0]
        earlier.append(found[1])
    return seeds


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


def _slots(request: Request, house: House, change: dict[str, str]) -> dict[str, str]:
    known = request.facts | {name: change[name] for name in (*FACTS, "co", "role") if name in change}
    facts = {name: known.get(name) or house.silent[_KEY.get(name, name)] for name in (*FACTS, "co", "city")}
    state = request.state
    law = OLD if "old" in request.tags else NEW
    hours_act = law["works"] if "factory" in request.tags else SHOPS[state]
    role = known["role"]
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
        "dear": facts["who"] if "who" in known else "Colleague",
        "brand": request.facts.get("brand", " ".join(facts["co"].split()[:2])),
        "short": request.facts.get("short", "Employee"),
        "short_l": request.facts.get("short", "Employee").lower(),
        "notice_p": notice if notice[-1] in "])>}_" else notice + ("’" if notice.endswith("s") else "’s"),
        "term": request.facts.get("term", ""),
        "probx": more,
        "payx": f" {_in_terms(request.pay_more, request.house, house.name)}" if request.pay_more else "",
        "duty": request.duty,
        "duty_you": request.duty,
        "hours": f"{_in_terms(request.hours, request.house, house.name)} " if request.hours else "",
        "conf": request.secrets,
        "work": request.works,
        "data": request.data,
    }
    slots |= {name: text for name, text in change.items() if name not in house.clauses and name not in known}
    for name in ("conf", "work", "data", "prob", "pay", "notice"):
        slots[name.capitalize()] = slots[name][0].upper() + slots[name][1:]
    slots["Role"] = role
    slots["co_upper"] = facts["co"].upper()
    return slots


_KEY = {"who": "name"}
_ARTICLE = frozenset({"plain", "startup", "quill", "banyan", "institution"})


# what the houses call the two parties, for words that were written for another house
PARTIES = {
    "ledger": ("the Company", "the Employee"),
    "article": ("the Employer", "the Employee"),
    "particulars": ("the Firm", "the Holder"),
    "shopfloor": ("the Management", "the Worker"),
    "memo": ("Employer", "Appointee"),
    "startup": ("", "the Team Member"),
}


def _in_terms(text: str, own: str, other: str) -> str:
    """Words that speak of one house's parties, in another's terms."""
    if own == other or not {own, other} <= PARTIES.keys():
        return text
    for before, after in zip(PARTIES[own], PARTIES[other], strict=True):
        if before and after:
            text = text.replace(before, after)
            text = text.replace(before[0].upper() + before[1:], after[0].upper() + after[1:])
    return text


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


# --- the intake: rows, drafts that compete, copies, broken lines -------------------------------------------------

REVIEWERS = ("reviewer-1", "reviewer-2", "reviewer-3")
CHANGES = frozenset({"note", "cut", "front", "back", "sample", "q", "swap"})


@dataclass
class Change:
    """What a draft of ``pairs of lines`` does wrong: ``@ record house reason``, then one change a line."""

    record: str
    house: str
    reason: str
    fields: dict[str, str]

    @property
    def slots(self) -> dict[str, str]:
        return {name: value for name, value in self.fields.items() if name not in CHANGES}


def read_changes(path: Path) -> list[Change]:
    found: list[Change] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("@ "):
            record, house, reason = (*line[2:].split(), "", "")[:3]
            found.append(Change(record, house, reason, {}))
        elif line.strip():
            found[-1].fields.update([_field(line)])
    return found


def _field(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key, value.removeprefix(" ").replace("\\n", "\n")


def spoil(request: Request, house: House, change: Change, seed: str) -> str:
    """A draft with a change's mistakes in it."""
    text = draft(request, house, seed, change.slots)
    if "cut" in change.fields:
        ends = [match.end() for match in re.finditer(r"\S+", text)]
        text = text[: ends[int(change.fields["cut"]) - 1]]
    if change.fields.get("sample") == "no":
        text = "\n".join(line for line in text.split("\n") if not re.search("sample|specimen", line, re.I))
    for pair in filter(None, change.fields.get("swap", "").split("; ")):
        before, after = pair.split(" => ")
        if before not in text:
            raise ValueError(f"{change.record}: {before!r} is not in the draft")
        text = text.replace(before, after)
    return change.fields.get("front", "") + text + change.fields.get("back", "")


def lone_requests() -> list[tuple[Request, Change]]:
    """Requests whose only draft is bad, from ``lone.txt``: a request's fields and a change's in one."""
    request_fields = {"f", "d", "s", "x", "h", "px", "t"}
    path, found = PARTS / "lone.txt", []
    source = ""
    blocks: list[dict[str, str]] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("@@ "):
            source = line[3:]
        elif line.startswith("@ "):
            blocks.append({"@": line[2:]})
        elif line.strip():
            blocks[-1].update([_field(line)])
    for number, block in enumerate(blocks, 301):
        house, reason = block["@"].split()
        name = f"ea-{number}"
        fields = {key: value for key, value in block.items() if key in request_fields | {"q"}}
        request = _request(name, source, {**fields, "@": house})
        rest = {key: value for key, value in block.items() if key not in request_fields | {"@", "q"}}
        found.append((request, Change(name, house, reason, rest)))
    return found


def _row(name: str, request: Request, prompt: str, completion: str, style: str) -> dict[str, Any]:
    channel = request.source.split("-")[0]
    meta = {"style": style, "state": request.state, "engagement": engagement(request), "channel": channel}
    return {"id": name, "source": request.source, "prompt": prompt, "completion": completion, "meta": meta}


def engagement(request: Request) -> str:
    """What kind of post it is, for slices."""
    for tag, name in (
        ("apprentice", "apprentice"),
        ("fixedterm", "fixed term"),
        ("norules", "school"),
        ("factory", "works and care"),
        ("small", "small employer"),
    ):
        if tag in request.tags:
            return name
    return "shop and office"


def gaps(request: Request) -> str:
    """How much the request leaves open."""
    return ("none", "one", "some", "some")[len(request.silent)] if len(request.silent) < 4 else "most"


@dataclass
class Pack:
    """Lines of the three files that are built."""

    records: list[str]
    evals: list[str]
    decisions: list[str]


def build() -> Pack:
    """Everything from the parts; the same parts give the same bytes."""
    styles, requests = houses(), train_requests()
    by_id = {request.id: request for request in requests}
    seeds = spread(requests, styles)
    edits = {change.record: change for change in read_changes(PARTS / "edits.txt")}
    rows: list[dict[str, Any]] = []
    copies: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    pick = random.Random(9)
    for request in requests:
        house = styles[request.house]
        good = draft(request, house, seeds[request.id])
        first, second = pick.sample(REVIEWERS, 2)
        labels = {
            "gaps": "marked" if request.silent else "none",
            "law": "as dated" if "old" in request.tags else "current",
        }
        approval = {"record": request.id, "user": first, "verdict": "approve", "labels": labels}
        if request.id in edits:
            change = edits[request.id]
            bad = spoil(request, house, change, seeds[request.id])
            rows.append(_row(request.id, request, request.text, bad, house.name))
            told += [
                {"record": request.id, "user": second, "verdict": "edit", "completion": good}
                | {"comment": change.fields["note"]},
                approval,
            ]
            continue
        rows.append(_row(request.id, request, request.text, good, house.name))
        told.append(approval)
    refused: list[dict[str, Any]] = []
    for number, change in enumerate(read_changes(PARTS / "rivals.txt"), 201):
        request = by_id[change.record]
        text = spoil(request, styles[change.house], change, "rival")
        rows.append(_row(f"ea-{number}", request, request.text, text, change.house))
        refused.append(_rejection(f"ea-{number}", change, pick))
    for request, change in lone_requests():
        text = spoil(request, styles[change.house], change, "")
        rows.append(_row(request.id, request, request.text, text, change.house))
        refused.append(_rejection(request.id, change, pick))
    for number, change in enumerate(read_changes(PARTS / "twins.txt"), 401):
        request = by_id[change.record]
        text = spoil(request, styles[request.house], change, seeds[request.id])
        rows.append(_row(f"ea-{number}", request, change.fields["q"], text, request.house))
        user = pick.choice(REVIEWERS)
        line = {
            "kind": "duplicate",
            "records": [request.id, f"ea-{number}"],
            "keep": request.id,
            "user": user,
        }
        copies.append(line)
    pick.shuffle(rows)
    records = [json.dumps(row, ensure_ascii=False) for row in rows]
    for broken in (PARTS / "broken.txt").read_text("utf-8").splitlines():
        # behind the first row, whose id one of them takes again
        records.insert(pick.randrange(records.index(_line_of(records, "ea-001")) + 1, len(records)), broken)
    decisions = [*copies, *sorted(refused, key=lambda line: line["record"]), *told]
    return Pack(
        records,
        [json.dumps(row, ensure_ascii=False) for row in _eval_rows(styles)],
        [json.dumps(line, ensure_ascii=False) for line in decisions],
    )


def _line_of(records: list[str], name: str) -> str:
    return next(line for line in records if line.startswith(f'{{"id": "{name}", '))


def _rejection(name: str, change: Change, pick: random.Random) -> dict[str, Any]:
    return {
        "record": name,
        "user": pick.choice(REVIEWERS),
        "verdict": "reject",
        "reason": change.reason,
        "comment": change.fields["note"],
    }


def _eval_rows(styles: dict[str, House]) -> Iterator[dict[str, Any]]:
    requests = eval_requests()
    seeds = spread(requests, styles)
    for request in requests:
        yield {
            "id": request.id,
            "source": request.source,
            "prompt": request.text,
            "reference": draft(request, styles[request.house], seeds[request.id]),
            "slice": {
                "engagement": engagement(request),
                "gaps": gaps(request),
                "law": "as dated" if "old" in request.tags else "current",
            },
            "metadata": {"style": request.house, "state": request.state},
        }


def main() -> None:
    """Write the pack's built files."""
    pack = build()
    for name, lines in (
        ("records.jsonl", pack.records),
        ("eval.jsonl", pack.evals),
        ("decisions.jsonl", pack.decisions),
    ):
        (PACK / name).write_text("\n".join(lines) + "\n", "utf-8")
        print(f"{name}: {len(lines)} lines")


if __name__ == "__main__":
    main()
