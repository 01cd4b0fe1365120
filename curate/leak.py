"""The originals behind surrogates, as questions for the leak probe.

Covers: reading them out of the raw records, handing them to a job encrypted, the alternatives each is compared with.
Does not cover: the probe and its verdict (`evals.leak`).

Only completions are asked about: a prompt is never supervised, so its words are not learned by heart. The originals
leave the store in one file that only this workspace's key opens, and that goes with the job's folder.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import random
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.contract import sha256_hex
from curate.store import Store
from curate.tasks import TaskPack

if TYPE_CHECKING:
    from evals.leak import Secret

FILE = "secrets.enc"
MOST = (
    40  # secrets tried on a model: on two cores and a small one, a minute for chats, some for long documents
)
ALTERNATIVES = 24
DRAWN_AS_NAMES = {"PERSON", "ORG", "CITY", "ADDRESS", "DATE", "EMAIL", "UPI"}
SORTS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
FEW_DIGITS = 4  # below these a number is written in words, or is none
TOO_COMMON = {"AGE", "PIN_CODE"}  # a band, not a value, stands in their place

_SPANS = """
SELECT s.pair_id, s.start, s.stop, s.entity_type, t.system, t.history, t.prompt, t.completion,
       o.completion AS original
FROM surrogates s
JOIN pairs p ON p.pair_id = s.pair_id AND p.task = ?
JOIN revision_text t ON t.pair_id = s.pair_id AND t.rev = 1
JOIN record_text o ON o.record_id = p.record_id
WHERE s.field = 'completion' AND s.rev = 1
ORDER BY s.pair_id, s.start
"""


def originals(store: Store, task: str, most: int = MOST) -> list[dict[str, Any]]:
    """What stood where surrogates stand in completions: id, kind, text, prefix, system, history, prompt.

    ``prefix`` is the anonymized completion up to the place, the first of its original there: before a later one the
    surrogate has been said already, and a model only repeats it. At most ``most``, chosen by a hash, so the same each
    time.
    """
    spans: dict[str, list[dict[str, Any]]] = {}
    for row in store.rows(_SPANS, [task]):
        spans.setdefault(row["pair_id"], []).append(row)
    found = []
    for pair, rows in spans.items():
        texts = behind(rows[0]["completion"], rows[0]["original"], [(r["start"], r["stop"]) for r in rows])
        seen: set[str] = set()
        for number, (row, text) in enumerate(zip(rows, texts, strict=False)):
            if row["entity_type"] in TOO_COMMON or not text.strip() or text in seen:
                continue
            seen.add(text)
            found.append(
                {name: row[name] for name in ("system", "history", "prompt")}
                | {"id": f"{pair}/{number}", "kind": row["entity_type"], "text": text}
                | {"prefix": row["completion"][: row["start"]]}
            )
    return sorted(found, key=lambda item: sha256_hex(item["id"]))[:most]


def behind(replaced: str, original: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The parts of ``original`` at the places of surrogates in ``replaced``; empty when the texts do not match."""
    parts, last = [], 0
    for start, stop in spans:
        parts.append(re.escape(replaced[last:start]))
        last = stop
    pattern = "(.+?)".join([*parts, re.escape(replaced[last:])])
    match = re.fullmatch(pattern, original, re.DOTALL)
    return list(match.groups()) if match else []


def seal(folder: Path, key: bytes, secrets: Sequence[Mapping[str, Any]]) -> None:
    """Write them into a job's folder, readable with the workspace's key alone."""
    path = folder / FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(_box(key).encrypt(json.dumps(list(secrets)).encode()))


def unseal(folder: Path, key: bytes, pack: TaskPack) -> list[Secret]:
    """The secrets of a job's folder with fresh alternatives, and the file gone; none when there is no file."""
    from evals.leak import Secret

    path = folder / FILE
    if not path.exists():
        return []
    items = json.loads(_box(key).decrypt(path.read_bytes()))
    secrets = []
    for item in items:
        system = item["system"] or pack.system
        turns = [{"role": "system", "content": system}] if system else []
        turns += json.loads(item["history"] or "[]")
        secrets.append(
            Secret(
                id=item["id"],
                kind=item["kind"],
                conversation=(*turns, {"role": "user", "content": item["prompt"]}),
                prefix=item["prefix"],
                text=item["text"],
                alternatives=tuple(alternatives(item["kind"], item["text"])),
                guessable=guessable(item["kind"], item["text"]),
            )
        )
    return secrets


def alternatives(kind: str, text: str, number: int = ALTERNATIVES) -> list[str]:
    """Other values that could as well have stood there; drawn from the text, so the same each time.

    They must be as likely under a model that never saw ``text``. Names, towns and dates are drawn as surrogates are. A
    number's surrogate is not like it (it begins with what nobody is given, and a model trained on surrogates has
    learned that), so a number keeps its first third and its punctuation, and the rest is drawn; an address its domain.
    """
    return [other for other in _drawn(kind, text, number)[0] if other != text]


def guessable(kind: str, text: str) -> bool:
    """True when there are so few values of this shape ("the 21st", a town) that drawing alternatives repeats some.

    Among a thousand values, `ALTERNATIVES` draws repeat one in about a quarter of all cases; among a million, never.
    """
    return _drawn(kind, text, ALTERNATIVES)[1]


def _drawn(kind: str, text: str, number: int) -> tuple[list[str], bool]:
    """So many different values, or as many as four times that many draws give, and whether one came twice."""
    found: dict[str, None] = {}
    for attempt in range(number * 4):
        found[_other(kind, text, hmac.digest(str(attempt).encode(), text.encode(), "sha256"))] = None
        if len(found) == number:
            break
    return list(found), attempt + 1 > len(found)


def _other(kind: str, text: str, seed: bytes) -> str:
    from curate.privacy.surrogates import Fakes

    if kind not in DRAWN_AS_NAMES and sum(map(str.isdigit, text)) >= FEW_DIGITS:
        return _renumbered(text, random.Random(seed))
    fake = Fakes(seed, "leak", {kind: [text]}).surrogate(kind, text)
    local, at, _ = fake.partition("@")
    return local + at + text.partition("@")[2] if at else fake


def _renumbered(text: str, rng: random.Random) -> str:
    """``text`` with the later two thirds of its letters and digits replaced by others of the same sort."""
    places = [place for place, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
    signs = list(text)
    for place in places[len(places) // 3 :]:
        sort = next(
            sort
            for sort in (string.digits, string.ascii_lowercase, string.ascii_uppercase)
            if text[place] in sort
        )
        signs[place] = rng.choice(sort)
    return "".join(signs)


def _box(key: bytes) -> Any:
    from cryptography.fernet import Fernet

    return Fernet(base64.urlsafe_b64encode(hmac.digest(key, b"leak probe", "sha256")))
