"""Builds ``data/tasks/medical-scribe``: ``python -m scripts.packs.medical_scribe``.

Covers: reading the hand-written visits (``medical_scribe/*.txt``), recording identities as an intake has them (seeded),
near-duplicates, competing drafts, lines that cannot be used, the review team's decisions, the eval set.
Does not cover: task.toml and guidelines.md, which are written by hand in the pack itself.

A visit is a header ``@ complaint | setting``, turns ``X: words`` (`SPEAKERS`), a line ``=``, and the note's parts, one
a line (`PARTS`). Only names, numbers, identifiers, noise and order come from the generator; every sentence was written.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "medical_scribe"
PACK = Path(__file__).resolve().parents[2] / "data" / "tasks" / "medical-scribe"
SEED = 20261122
SPEAKERS = {
    "D": "Doctor", "P": "Patient", "M": "Mother", "F": "Father", "W": "Wife", "H": "Husband", "S": "Son",
    "G": "Daughter", "K": "Child", "N": "Nurse", "I": "Interpreter", "R": "Resident", "C": "Consultant",
    "A": "Attending", "T": "Student",
}  # fmt: skip
PARTS = {"S": "Subjective", "O": "Objective", "A": "Assessment", "P": "Plan"}
GROUPS = {  # slice -> complaints
    "heart": "chest pain|palpitations|heart failure|hypertension|leg swelling|breathlessness|leg pain|syncope",
    "lungs": "cough|asthma|copd|pneumonia|tuberculosis|chronic cough|smoking",
    "ear-nose-throat": "sore throat|ear pain|sinus|hoarseness|hearing|nosebleed|tooth",
    "fever": "fever|travel fever|hiv|vaccination|snake bite|dog bite|insect sting|sickle cell",
    "bones": "back pain|knee pain|shoulder pain|ankle injury|gout|joint pain|neck pain|hip fracture|foot pain|"
    "wrist injury|carpal tunnel|osteoporosis|fracture|fall",
    "abdomen": "reflux|abdominal pain|diarrhoea|constipation|jaundice|rectal bleeding|liver|hernia|worms|pancreatitis",
    "hormones": "diabetes|thyroid|weight|burning feet|anemia|obesity child",
    "urinary": "urinary symptoms|kidney stone|prostate|testicular pain|bedwetting|kidney",
    "women": "pregnancy|periods|breast lump|menopause|after birth|contraception|vaginal discharge|infertility|breast",
    "nerves": "headache|seizure|stroke follow-up|stroke|vertigo|dizziness|tremor|gait|epilepsy|facial weakness|"
    "head injury|delirium|memory",
    "mind": "low mood|anxiety|sleep|attention|alcohol",
    "skin": "rash|eczema|cellulitis|mole|acne|psoriasis|leg ulcer|wound|burn",
    "eyes": "red eye|vision|eye allergy|eye injury",
    "general": "newborn|well child|medication review|preventive visit|post-op",
}
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names.split("|")}
CONFLICTS = {
    "04_abdomen#4",
    "06_urine_women#3",
}  # drafts that lack so much that no search calls them the same note
SHORT, LONG = 225, 250  # words of a transcript: fewer are short, more are long

INDIAN = (
    "Rohan Deshpande", "Kavita Nair", "Imran Sheikh", "Lakshmi Subramanian", "Gurpreet Sandhu", "Anjali Bose",
          "Farida Merchant", "Suresh Pillai", "Meenakshi Iyengar", "Devendra Chauhan", "Nilofer Khan", "Bhavesh Patel",
)  # fmt: skip
AMERICAN = ("Marcus Delgado", "Sheila Brannigan", "Tyrone Whitlock", "Donna Kowalski", "Ernesto Villanueva",
            "Paige Hutchinson", "Walter Osgood", "Renee Thibodeaux", "Calvin Ferris", "Joyce Nakamura")  # fmt: skip
STREETS = {
    "india": "14 Shivaji Marg, Kothrud, Pune 411038|Flat 302, Lake View Apartments, Thrissur 680001|"
    "7/2 Gandhi Nagar, Indore 452001|Door No 9, Second Cross, Mysuru 570012",
    "us": "418 Larkspur Lane, Toledo, OH 43606|77 Ferry Street, Apt 3, Dover, NH 03820|"
    "2209 Cottonwood Drive, Tulsa, OK 74105|9 Harbor Court, Duluth, MN 55802",
}


@dataclass(frozen=True)
class Visit:
    """One encounter: ``key`` is file and place in it; ``turns`` are (speaker, words)."""

    key: str
    complaint: str
    setting: str
    turns: tuple[tuple[str, str], ...]
    note: str

    @property
    def transcript(self) -> str:
        return "\n".join(f"{who}: {words}" for who, words in self.turns)

    @property
    def words(self) -> int:
        """Spoken words, without the speakers' names."""
        return sum(len(words.split()) for _, words in self.turns)

    @property
    def group(self) -> str:
        return GROUP_OF[self.complaint]

    @property
    def length(self) -> str:
        return "short" if self.words < SHORT else "long" if self.words > LONG else "medium"


def visits(pattern: str) -> list[Visit]:
    """Every visit of the files of that pattern, in order. Raises `ValueError` naming the visit that cannot be read."""
    found = []
    for path in sorted(HERE.glob(pattern)):
        for number, block in enumerate(re.split(r"^@ ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]):
            key = f"{path.stem}#{number}"
            head, body = block.split("\n", 1)
            complaint, setting = (part.strip() for part in head.split("|"))
            talk, note = body.split("\n=\n")
            turns = []
            for line in talk.strip().split("\n"):
                who, _, words = line.partition(": ")
                if who not in SPEAKERS or not words:
                    raise ValueError(f"{key}: no turn: {line!r}")
                turns.append((SPEAKERS[who], words))
            parts = [line.split(" ", 1) for line in note.strip().split("\n")]
            if "".join(letter for letter, _ in parts) != "SOAP" or complaint not in GROUP_OF:
                raise ValueError(f"{key}: parts {[letter for letter, _ in parts]}, complaint {complaint!r}")
            text = "\n".join(f"{PARTS[letter]}: {words}" for letter, words in parts)
            found.append(Visit(key, complaint, setting, tuple(turns), text))
    return found


def verhoeff(digits: str) -> str:
    """The check digit that an Aadhaar number ends with (Verhoeff 1969, the dihedral group of order ten)."""

    def times(a: int, b: int) -> int:
        if a < 5:
            return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
        return 5 + (a - b) % 5 if b < 5 else (a - b) % 5

    order = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    check = 0
    for place, digit in enumerate(reversed(digits), 1):
        value = int(digit)
        for _ in range(place % 8):
            value = order[value]
        check = times(check, value)
    return str((-check) % 5 if check < 5 else check)


def identity(where: str, rng: random.Random) -> dict[str, str]:
    """Personal details of nobody, in the forms of a country; numbers from ranges that are kept for examples."""
    indian = where == "india"
    name = rng.choice(INDIAN if indian else AMERICAN)
    mailbox = name.lower().replace(" ", ".")
    digits = f"99990000{rng.randrange(1000):03d}"
    aadhaar = digits + verhoeff(digits)
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1941, 1999)
    return {
        "name": name,
        "phone": f"+91 90000 {rng.randrange(10000, 99999)}"
        if indian
        else f"(555) 555-01{rng.randrange(100):02d}",
        "email": f"{mailbox}@mail.example",
        "aadhaar": f"{aadhaar[:4]} {aadhaar[4:8]} {aadhaar[8:]}",
        "pan": f"ZZZP{name.split()[-1][0]}{rng.randrange(1000, 9999)}Z",
        "ssn": f"987-65-43{rng.randint(20, 29)}",
        "mrn": f"{'UH' if indian else 'MRN'}-{rng.randrange(100000, 999999)}",
        "dob": f"{day:02d}/{month:02d}/{year}" if indian else f"{month}/{day}/{year}",
        "address": rng.choice(STREETS[where].split("|")),
    }


def with_aside(visit: Visit, question: str, answer: str, details: dict[str, str]) -> str:
    """The transcript with what the front desk wanted to know, after the first exchange."""
    turns = list(visit.turns)
    asker = turns[0][0]
    other = next(who for who, _ in turns if who != asker)
    return "\n".join(
        f"{who}: {words}"
        for who, words in [
            *turns[:2],
            (asker, question.format(**details)),
            (other, answer.format(**details)),
            *turns[2:],
        ]
    )


def noisy(text: str, rng: random.Random) -> str:
    """The same recording by another transcriber: fillers, other speaker marks, small letters here and there."""
    lines = []
    for line in text.split("\n"):
        who, words = line.split(": ", 1)
        if rng.random() < 0.25:
            words = rng.choice(("Um, ", "So, ", "Uh, ")) + words[0].lower() + words[1:]
        lines.append(f"{ {'Doctor': 'Dr', 'Patient': 'Pt'}.get(who, who) }: {words}")
    return "\n".join(lines)


def pairs_of(name: str) -> list[list[str]]:
    """Lines of a table of this folder, fields between bars."""
    lines = (HERE / name).read_text("utf-8").splitlines()
    return [[field.strip() for field in line.split("|")] for line in lines if line.strip()]


def wrong_note(note: str, change: list[str]) -> str:
    """A note with one thing made wrong, or with a part taken out (one field: how the part begins)."""
    if len(change) == 1:
        letter, words = change[0].split(" ", 1)
        lines = note.split("\n")
        kept = [line for line in lines if not line.startswith(f"{PARTS[letter]}: {words}")]
        if len(kept) != len(lines) - 1:
            raise ValueError(f"no part begins with {change[0]!r}")
        return "\n".join(kept)
    old, new = change
    if note.count(old) != 1:
        raise ValueError(f"{old!r} stands {note.count(old)} times in the note")
    return note.replace(old, new)


def build() -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines of records.jsonl, decisions, eval rows."""
    rng = random.Random(SEED)
    own = visits("[0-9]*.txt")
    by_key = {visit.key: visit for visit in own}
    reviewers = ("reviewer-1", "reviewer-2", "reviewer-3")
    edits = {key: change for key, *change in pairs_of("edits.txt")}
    drafts = pairs_of("drafts.txt")
    asides = pairs_of("asides.txt")
    planned = {}  # visit -> aside; those with a competing draft or an edit stay plain
    free = [v.key for v in own if v.key not in edits and v.key not in {key for key, *_ in drafts}]
    for where, question, answer in asides:
        fitting = [
            key
            for key in free
            if key not in planned and (by_key[key].setting == "india clinic") == (where == "india")
            and by_key[key].setting in ("india clinic", "us clinic")
        ]  # fmt: skip
        for key in rng.sample(fitting, 2):
            planned[key] = (question, answer, identity(where, rng))

    rows: list[dict[str, Any]] = []
    ids: dict[str, str] = {}
    sources: dict[str, str] = {}
    prompts: dict[str, str] = {}
    for number, visit in enumerate(own, 1):
        place = visit.setting.replace(" ", "-")
        record = f"ms-{number:04d}"
        ids[visit.key] = record
        sources[visit.key] = f"{place}-2026-{rng.randint(2, 7):02d}/v{100 + number}"
        prompts[visit.key] = (
            with_aside(visit, *planned[visit.key]) if visit.key in planned else visit.transcript
        )
        note = visit.note
        if visit.key in edits:
            new, old = edits[visit.key][1], edits[visit.key][0]
            note = wrong_note(note, [old, new])
        rows.append(_row(record, sources[visit.key], prompts[visit.key], note, visit))
    decisions: list[dict[str, Any]] = []
    duplicates = rng.sample([key for key in free if key not in planned], 10)
    for number, key in enumerate(duplicates, 1):
        record = f"ms-{300 + number:04d}"
        rows.append(_row(record, sources[key], noisy(prompts[key], rng), by_key[key].note, by_key[key]))
        decisions.append(
            {
                "kind": "duplicate",
                "records": [ids[key], record],
                "keep": ids[key],
                "user": rng.choice(reviewers),
            }
        )
    rejected = []
    # Two notes of one visit look alike; both stay, to be judged.
    for key in sorted({key for key, *_ in drafts} - CONFLICTS):
        decisions.append(
            {"kind": "duplicate", "records": [ids[key]], "keep": ids[key], "user": rng.choice(reviewers)}
        )
    for number, (key, reason, *change) in enumerate(drafts, 1):
        record = f"ms-{400 + number:04d}"
        rows.append(
            _row(record, sources[key], prompts[key], wrong_note(by_key[key].note, change), by_key[key])
        )
        labels = {
            "faithful": 3 if reason == "missing_part" else rng.choice((1, 2)),
            "complete": rng.choice((2, 3, 4)),
        }
        rejected.append(
            {
                "record": record,
                "user": rng.choice(reviewers),
                "verdict": "reject",
                "reason": reason,
                "labels": labels,
            }
        )
    second = []
    for visit in own:
        user = rng.choice(reviewers)
        labels = {"faithful": rng.choice((4, 5, 5, 5)), "complete": rng.choice((4, 4, 5, 5, 5))}
        decision: dict[str, Any] = {"record": ids[visit.key], "user": user}
        if visit.key in edits:
            decision |= {"verdict": "edit", "completion": visit.note, "labels": labels}
            other = next(name for name in reviewers if name != user)
            second.append({"record": ids[visit.key], "user": other, "verdict": "approve", "labels": labels})
        else:
            decision |= {"verdict": "approve", "labels": labels}
        decisions.append(decision)
    first = [line for line in decisions if line.get("kind") == "duplicate"]
    rest = [line for line in decisions if line.get("kind") != "duplicate"]
    malformed = (HERE / "malformed.txt").read_text("utf-8").splitlines()
    lines = [json.dumps(row, ensure_ascii=False) for row in rows] + malformed
    rng.shuffle(lines)
    return (
        lines,
        [*first, *rejected, *rest, *second],
        [_eval_row(n, v) for n, v in enumerate(visits("eval_*.txt"), 1)],
    )


def _row(record: str, source: str, prompt: str, note: str, visit: Visit) -> dict[str, Any]:
    meta = {"complaint": visit.group, "setting": visit.setting}
    return {"id": record, "source": source, "prompt": prompt, "completion": note, "meta": meta}


def _eval_row(number: int, visit: Visit) -> dict[str, Any]:
    return {
        "id": f"ms-e{number:03d}",
        "source": f"eval-2026-08/{number:03d}",
        "prompt": visit.transcript,
        "reference": visit.note,
        "slice": {"complaint": visit.group, "setting": visit.setting, "length": visit.length},
    }


def main() -> None:
    """Write the three files anew."""
    lines, decisions, rows = build()
    PACK.mkdir(parents=True, exist_ok=True)
    (PACK / "records.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    for name, items in (("decisions.jsonl", decisions), ("eval.jsonl", rows)):
        (PACK / name).write_text("".join(json.dumps(i, ensure_ascii=False) + "\n" for i in items), "utf-8")
    print(f"{len(lines)} lines of records, {len(decisions)} decisions, {len(rows)} eval rows")


if __name__ == "__main__":
    main()
