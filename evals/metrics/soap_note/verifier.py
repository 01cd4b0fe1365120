"""The learned judge of a note's claims, where rules end: which candidates are wrong, by what speaks for and against.

Covers: the asset (four small forests of trees as plain arrays), the chance that a candidate is wrong, hits.
Does not cover: training (``scripts/train_soap_verifier.py``), what a candidate is (`candidates`), what it is weighed by
(`alignment`).

`place` says how well a mention of the talk fits a claim whose value is hidden, `denial` whether the talk denies what a
clause is about; `doubt` weighs both with all else, but for the rules' verdicts; `verdict` adds these and decides.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from .alignment import NAMES, Reader, features
from .candidates import KINDS, Candidate, Talk, find_candidates
from .encoding import encode
from .source import Source

ASSET = Path(__file__).with_name("verifier_model")
ERRORS = {
    "dose": "wrong_dose",
    "often": "wrong_dose",
    "medication": "unsupported_medication",
    "side": "wrong_laterality",
    "date": "wrong_date",
    "allergy": "wrong_allergy",
    "finding": "flipped_negation",
}
FORESTS = ("place", "denial", "doubt", "verdict")
RULED = [i for i, name in enumerate(NAMES) if name.startswith("rule")]
UNRULED = [i for i in range(len(NAMES)) if i not in RULED]
READS = [  # what tells whether something is denied: nothing of the note's own denials
    i
    for i, name in enumerate(NAMES)
    if name.startswith(("one_", "two_"))
    or name
    in (
        "gap",
        "least",
        "second",
        "mean",
        "unheard",
        "part",
        "note_normal",
        "words",
        "read_there",
        "read_absent",
        "read_named",
    )
]


@dataclass(frozen=True)
class Forest:
    """Trees in arrays: ``feature`` below zero marks a leaf with ``value``; ``roots`` says where each tree begins."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    base: float

    def chance(self, rows: np.ndarray) -> np.ndarray:
        """float[rows]: the probability of the second class."""
        at = np.repeat(self.roots[None, :], len(rows), axis=0)
        index = np.arange(len(rows))[:, None]
        while (self.feature[at] >= 0).any():
            inner = self.feature[at] >= 0
            goes = rows[index, np.maximum(self.feature[at], 0)] <= self.threshold[at]
            at = np.where(inner, np.where(goes, self.left[at], self.right[at]), at)
        return 1 / (1 + np.exp(-(self.base + self.value[at].sum(axis=1))))


@lru_cache(maxsize=1)
def load() -> tuple[dict[str, Forest], dict[str, Any]]:
    """The forests by name, and the card."""
    card = dict(json.loads((ASSET / "card.json").read_text(encoding="utf-8")))
    arrays = load_file(ASSET / "forests.safetensors")
    parts = ("feature", "threshold", "left", "right", "value", "roots")
    forests = {
        name: Forest(
            **{part: arrays[f"{name}.{part}"] for part in parts}, base=float(arrays[f"{name}.base"][0])
        )
        for name in FORESTS
    }
    return forests, card


def agreement(rows: np.ndarray, denied: np.ndarray) -> np.ndarray:
    """float[rows, 3]: how well what the note denies or affirms agrees with the talk, by clause and closely."""
    negative, polar = rows[:, NAMES.index("note_neg")], rows[:, NAMES.index("note_pol")]
    finding = rows[:, 0] == KINDS.index("finding")
    return np.column_stack(
        [
            np.where(negative > 0, denied, 1 - denied),
            np.where(polar == 0.5, 0.5, np.where(polar == 0, denied, 1 - denied)),
            np.where(finding, denied, -1),
        ]
    )


def placement(chance: np.ndarray, owner: np.ndarray, agree: np.ndarray, count: int) -> np.ndarray:
    """float[candidates, 5]: the best place with the candidate's value, the best with another, and all of each."""
    best = np.zeros((2, count))
    every = np.zeros((2, count))
    odds = chance / (1 - chance + 1e-6)
    for row, mask in enumerate((agree, ~agree)):
        np.maximum.at(best[row], owner[mask], chance[mask])
        every[row] = np.bincount(owner[mask], odds[mask], minlength=count)
    lead = np.log((best + 1e-3) / (1 - best + 1e-3))
    total = every.sum(axis=0) + 0.05
    return np.column_stack([best[0], best[1], lead[0] - lead[1], every[0] / total, every[1] / total])


def logit(chance: np.ndarray) -> np.ndarray:
    """Log-odds, kept within bounds."""
    kept = np.clip(chance, 1e-4, 1 - 1e-4)
    return np.log(kept / (1 - kept))


@lru_cache(maxsize=16)
def reader(transcript: str) -> Reader:
    """A transcript as the verifier reads it; remembered for the next notes about it."""
    return Reader(Talk(Source(transcript)), encode([transcript])[0])


def weighed(
    note: str, transcript: str, rules: Sequence[dict[str, Any]]
) -> tuple[list[Candidate], np.ndarray, list[int]]:
    """``(candidates, chance that each is wrong, offset of the talk that speaks most to each)``."""
    talk = reader(transcript)
    found = find_candidates(note, talk.talk)
    weighing = features(note, encode([note])[0], found, talk, rules)
    rows = weighing.rows
    if not len(rows):
        return [], np.zeros(0), []
    forests, _ = load()
    agrees = agreement(rows, forests["denial"].chance(rows[:, READS]))
    places = placement(forests["place"].chance(weighing.places), weighing.owner, weighing.agree, len(rows))
    doubt = forests["doubt"].chance(np.column_stack([rows[:, UNRULED], agrees, places]))
    chance = forests["verdict"].chance(np.column_stack([rows, agrees, places, logit(doubt)]))
    return found, chance, [int(talk.words.starts[i]) if talk.count else -1 for i in weighing.speaks]


def verified(
    note: str, transcript: str, rules: Sequence[dict[str, Any]], certainty: float
) -> tuple[list[dict[str, Any]], list[tuple[str, int, int, int]]]:
    """``(rules' hits that stand, further hits: kind, start, end, offset of the talk)``, surer than ``certainty``."""
    found, chance, speaks = weighed(note, transcript, rules)
    guilty = [(c, at) for c, p, at in zip(found, chance, speaks, strict=True) if p > certainty]
    kept = [hit for hit in rules if any(c.start < hit["end"] and hit["start"] < c.end for c, _ in guilty)]
    taken = [(hit["start"], hit["end"]) for hit in kept]
    further = []
    for c, at in sorted(guilty, key=lambda item: item[0].kind == "finding"):
        if any(a < c.end and c.start < b for a, b in taken):
            continue
        kind = ERRORS.get(c.kind) or ("wrong_number" if c.same else "unsupported_number")
        taken.append((c.start, c.end))
        further.append((kind, c.start, c.end, at))
    return kept, further
