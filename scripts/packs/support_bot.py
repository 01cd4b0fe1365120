# ruff: noqa: E501  (lines of an intake read better whole)
"""Builds the pack ``data/tasks/support-bot`` from its hand-written parts: ``python -m scripts.packs.support_bot``.

Covers: reading the parts in ``scripts/packs/support_bot``, identifiers and noise drawn with a seed (names, order numbers,
phones, doubled rows), the damaged lines of an intake, the recorded decisions. Does not cover: the texts, which people
wrote; the policy sheets, the guidelines and ``task.toml``, which are edited where they lie.

A part is plain text: ``# topic``, then items of lines that begin with

    <  an earlier message of the customer       >  the answer that it got
    ?  the question                             !  the approved answer
    ~  the draft that came in and was edited into the approved one; ``~s|old|new|`` is the approved one with a slip
    x  ``reason: text``, a draft that was turned down (with ``?`` alone, of a question from another part)
    @  what the answer owes: ``hand_over``, or ids of facts of the sheet; in eval parts also ``; style``
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "support_bot"
PACK = Path(__file__).resolve().parents[2] / "data" / "tasks" / "support-bot"
RECORDS = ("returns", "delivery", "payment", "orders", "people", "more")
SEED = 20260401
DOUBLED = 24  # rows that came in twice, with other spelling
SIGNED = 40  # questions that end in somebody's name and numbers
CHANNELS = ("chat", "app", "email", "social")
NAMES = ("Ananya Deshmukh", "Rohit Kulkarni", "Meera Pillai", "Farhan Qureshi", "Gurpreet Bedi", "Lakshmi Venkatesan",
         "Tenzin Wangdi", "Joseph Fernandes", "Kavita Solanki", "Imran Shaikh", "Debjani Mukherjee", "Nikhil Rathore",
         "Emily Hartman", "Brandon Whitlock", "Sara Lindqvist", "Marcus Delgado", "Pooja Bansal", "Harish Gowda")  # fmt: skip
SIGNATURES = (
    "Regards, {name}",
    "- {name}, {phone}",
    "my number {phone}",
    "order id {order}",
    "(order {order}, registered no {phone})",
    "you can mail me at {email}",
    "Thanks, {name} / {email}",
    "call me on {phone} after 6, {name}",
    "paid from {upi}",
    "I'm {name}. Reach me at {us_phone}",
    "order no. {order}. name: {name}",
    "sent from {name}'s phone",
)


@dataclass
class Item:
    """One question with what was written about it."""

    topic: str
    prompt: str = ""
    completion: str = ""
    history: list[dict[str, str]] = field(default_factory=list)
    raw: str = ""
    drafts: list[tuple[str, str]] = field(default_factory=list)
    owes: str = ""
    style: str = ""


def read_part(name: str) -> list[Item]:
    """Items of ``PARTS/name.txt``. Raises `ValueError` naming the line that no rule reads."""
    items: list[Item] = []
    topic, fresh = "", True
    for number, line in enumerate((PARTS / f"{name}.txt").read_text("utf-8").splitlines(), 1):
        if not line.strip():
            fresh = True
            continue
        mark, rest = line[0], line[1:].strip()
        if mark == "#":
            topic = rest
            continue
        if fresh:
            items.append(Item(topic))
            fresh = False
        item = items[-1]
        if mark in "<>":
            item.history.append({"role": "user" if mark == "<" else "assistant", "content": rest})
        elif mark == "?":
            item.prompt = rest
        elif mark == "!":
            item.completion = rest
        elif mark == "~":
            item.raw = rest
        elif mark == "x":
            reason, text = rest.split(":", 1)
            item.drafts.append((reason, text.strip()))
        elif mark == "@":
            owes, _, style = rest.partition(";")
            item.owes, item.style = owes.strip(), style.strip()
        else:
            raise ValueError(f"{name}.txt:{number}: no rule reads a line that begins with {mark!r}")
    for item in items:
        if item.raw.startswith("s|"):
            _, old, new, _ = item.raw.split("|")
            if old not in item.completion:
                raise ValueError(f"{name}.txt: {old!r} is not in the answer to {item.prompt!r}")
            item.raw = item.completion.replace(old, new)
    return items


def build() -> dict[str, str]:
    """Text of every file that the builder writes, by its name in the pack."""
    rng = random.Random(SEED)
    items = [item for part in RECORDS for item in read_part(part)]
    by_prompt = {item.prompt: item for item in items}
    for item in read_part("drafts"):
        by_prompt[item.prompt].drafts += item.drafts
    people = _people(rng)
    rows: list[dict[str, Any]] = []
    decisions: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    doubles: list[dict[str, Any]] = []
    signed = set(rng.sample(range(len(items)), SIGNED))
    sources = _sources(rng)
    for number, item in enumerate(items):
        who = people()
        if number in signed and "{" not in item.prompt:
            item.prompt = f"{item.prompt} {SIGNATURES[number % len(SIGNATURES)]}"
        row = _row(item, item.raw or item.completion, who, next(sources), rng)
        rows.append(row)
        user, other = ("reviewer-1", "reviewer-2") if rng.random() < 0.5 else ("reviewer-2", "reviewer-1")
        for reason, draft in item.drafts:
            competing = _row(item, draft, who, next(sources), rng)
            rows.append(competing)
            decisions.append(_rejection(competing, user, reason, rng))
        labels = _labels(item, rng)
        if item.raw:
            text = item.completion.format_map(who)
            decisions.append(
                {"record": row["_key"], "user": user, "verdict": "edit", "completion": text, "labels": labels}
            )
            late.append({"record": row["_key"], "user": other, "verdict": "approve", "labels": labels})
        else:
            decisions.append({"record": row["_key"], "user": user, "verdict": "approve", "labels": labels})
    for item in read_part("rejects"):
        row = _row(item, item.drafts[0][1], people(), next(sources), rng)
        rows.append(row)
        decisions.append(_rejection(row, "reviewer-1", item.drafts[0][0], rng))
    plain = [
        row for row in rows if row["_item"].completion and not row["_item"].drafts and not row["_item"].raw
    ]
    plain = [row for row in plain if not row["_item"].history and len(row["prompt"]) > 30]
    for row in rng.sample(plain, DOUBLED):
        double = {**row, "prompt": _noise(row["prompt"], rng), "source": next(sources)}
        double["_key"] = f"{double['source']}|{rng.random()}"
        rows.append(double)
        doubles.append({"kind": "duplicate", "records": [row["_key"], double["_key"]], "keep": row["_key"],
                        "user": rng.choice(["reviewer-1", "reviewer-2"])})  # fmt: skip
    rng.shuffle(rows)
    ids = {row["_key"]: f"sup-{number:04}" for number, row in enumerate(rows, 1)}
    lines = [
        json.dumps({"id": ids[r["_key"]]} | {k: v for k, v in r.items() if k[0] != "_"}, ensure_ascii=False)
        for r in rows
    ]
    for place, broken in zip(sorted(rng.sample(range(len(lines)), len(_BROKEN))), _BROKEN, strict=True):
        lines.insert(place, broken)
    for decision in doubles:
        decision["records"] = [ids[key] for key in decision["records"]]
        decision["keep"] = ids[decision["keep"]]
    rejected = [d for d in decisions if d["verdict"] == "reject"]  # first, so that no conflict stays open
    others = [d for d in decisions if d["verdict"] != "reject"]
    for decision in (*rejected, *others, *late):
        decision["record"] = ids[decision["record"]]
    order = [
        *sorted(doubles, key=lambda d: d["records"]),
        *sorted(rejected, key=lambda d: d["record"]),
        *sorted(others, key=lambda d: d["record"]),
        *sorted(late, key=lambda d: d["record"]),
    ]
    return {
        "records.jsonl": "".join(line + "\n" for line in lines),
        "decisions.jsonl": "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in order),
        "eval.jsonl": _eval("eval", "e"),
        "eval-rare.jsonl": _eval("rare", "r"),
    }


# --- rows -----------------------------------------------------------------------------------------------------------


def _row(item: Item, completion: str, who: dict[str, str], source: str, rng: random.Random) -> dict[str, Any]:
    prompt, completion = item.prompt.format_map(who), completion.format_map(who)
    meta = {"topic": item.topic, "channel": source.split("-")[0]}
    if item.owes:
        meta["owes"] = item.owes
    row: dict[str, Any] = {"source": source}
    if item.history:
        turns = [
            *item.history,
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": completion},
        ]
        row |= {"messages": turns}
    else:
        row |= {"prompt": prompt, "completion": completion}
    return row | {"meta": meta, "_key": f"{source}|{rng.random()}", "_item": item}


def _rejection(row: dict[str, Any], user: str, reason: str, rng: random.Random) -> dict[str, Any]:
    labels = {
        "voice": rng.choice([1, 2]) if reason == "off_brand" else rng.choice([3, 4]),
        "policy": "broken",
    }
    if reason in ("off_brand", "off_topic", "malformed"):
        labels["policy"] = "kept"
    return {"record": row["_key"], "user": user, "verdict": "reject", "reason": reason, "labels": labels}


def _labels(item: Item, rng: random.Random) -> dict[str, Any]:
    return {
        "voice": rng.choice([4, 5, 5]),
        "policy": "handed_over" if item.owes == "hand_over" else "kept",
    }


def _sources(rng: random.Random) -> Iterator[str]:
    """Conversations of an intake: a source holds one to three rows."""
    number = 100
    while True:
        channel, month = rng.choice(CHANNELS), rng.randint(4, 7)
        number += 1
        for _ in range(rng.randint(1, 3)):
            yield f"{channel}-2026-{month:02}/c{number}"


def _people(rng: random.Random) -> Callable[[], dict[str, str]]:
    def one() -> dict[str, str]:
        name = rng.choice(NAMES)
        first, last = name.lower().split()
        figures = "".join(rng.choice("0123456789") for _ in range(5))
        return {
            "name": name,
            "order": f"ML-{rng.randint(2604, 2607)}-{rng.randint(100000, 999999)}",
            # 70000/80000 and five drawn figures in India; 555-01xx is reserved for fiction in the United States
            "phone": rng.choice([f"+91 70000 {figures}", f"80000{figures}", f"0-90000-{figures}"]),
            "us_phone": f"({rng.choice([206, 312, 415, 718])}) 555-01{rng.randint(10, 99)}",
            "email": f"{first}.{last}{rng.randint(2, 99)}@mail.example",
            "upi": f"{first}{rng.randint(10, 99)}@okexample",
        }

    return one


def _noise(prompt: str, rng: random.Random) -> str:
    """The same question as somebody else would have typed it."""
    ways: list[Callable[[str], str]] = [
        lambda t: t.lower().rstrip("?!."),
        lambda t: f"Hi, {t[0].lower()}{t[1:]}",
        lambda t: t.rstrip("?!.") + " ??",
        lambda t: f"{t} pls",
        lambda t: re.sub(r"\byou\b", "u", t).replace("please", "pls") + "!",
        lambda t: f"Hello team. {t} Thanks",
    ]
    return rng.choice(ways)(prompt)


_BROKEN = (
    '{"id": "sup-x01", "source": "chat-2026-05/c009", "prompt": "how do i return a bag", "completion": "Thanks for ask',
    '{"id": "sup-x02", "source": "chat-2026-05/c010", "prompt": "refund kab milega"}',
    '{"id": "sup-x03", "source": "email-2026-06/c011", "completion": "Happy to help! Open Orders in the app."}',
    '{"id": "sup-x04", "source": "app-2026-06/c012", "prompt": "", "completion": "Thanks for writing in!"}',
    '{"id": "sup-x05", "source": "app-2026-06/c013", "prompt": "cancel my order", "completion": ""}',
    '{"id": "sup-x06", "source": "app-2026-06/c014", "prompt": 40271, "completion": "Thanks for the number!"}',
    '{"id": "sup-x07", "source": "social-2026-04/c015", "prompt": "cod fee?", "completion": ["Rs 30", "an order"]}',
    '["sup-x08", "chat-2026-04/c016", "is delivery free", "From Rs 599 it is."]',
    "ticket 48812 closed by agent, no transcript",
    '{"id": "sup-x10", "source": "chat-2026-07/c017", "messages": [{"role": "user", "content": "hello?"}]}',
    '{"id": "sup-x11", "source": "chat-2026-07/c018", "prompt": "gift card\\u0000 balance", "completion": "Happy to help!"}',
    '{"id": "sup-x12", "source": "email-2026-07/c019", "prompt": "warranty on tv", "prompt": "warranty", "completion": "Hi"}',
    '{"id": "sup-x13", "source": "chat-2026-07/c020", "messages": [{"role": "robot", "content": "ping"}]}',
    '"thanks, all good now"',
)  # fmt: skip


def _eval(part: str, letter: str) -> str:
    """Rows of an eval part. Their sources are months of which no record came in."""
    lines = []
    for number, item in enumerate(read_part(part), 1):
        row = {
            "id": f"sup-{letter}{number:03}",
            "source": f"held-out-2026-08/{letter}{number:03}",
            "prompt": item.prompt,
            "history": item.history,
            "expect": item.owes,
            "slice": {
                "topic": item.topic,
                "owes": "hand_over" if item.owes == "hand_over" else "answer",
                "turns": "several" if item.history else "single",
                "style": item.style or "plain",
            },
        }
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def main() -> None:
    """Write the files into the pack."""
    for name, text in build().items():
        (PACK / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
