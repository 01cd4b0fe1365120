# ruff: noqa: E501  (word lists read better in long lines)
"""How well each place of the talk fits what a piece of a note is about, as numbers that a model can weigh.

Covers: support of a note's words around every word of the talk (by meaning, fading with distance), the best place with
the piece's own value against the best with another, what stands about both (questions, negations, corrections,
relatives, the past), the note's own consistency. Does not cover: the decision (`verifier`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .allergies import said_allergies
from .candidates import KINDS, NEGATIVE, NORMAL, Candidate, Talk
from .encoding import VALUE, Words
from .findings import NO, YES, in_transcript, mentions_of, polarity
from .sections import find_sections
from .spoken import UNITS

_SMALL = set(
    "a an the of in on to with for at by from and or nor any no not is are was were be been has have had do does did it he she they you i we this "
    "that there his her your my their our as than so if but your about up out into over under while when where which who what how denies denied "
    "reports reported patient pt nil none negative neg without noted states left right l r both today well just like okay ok yeah yes um uh oh "
    "also then now will can would should some very really got get".split()
)
_CORRECTION = re.compile(
    r"\b(?:no,? wait|sorry|scratch that|i mean|i meant|make that|hang on|actually|correction|not the|no no|or rather|my mistake|mixed up|wrong|instead|no,? sorry)\b",
    re.IGNORECASE,
)
_KIN = re.compile(
    r"\b(?:my|his|her|your) (?:\w+ )?(?:sister|brother|mother|father|mum|mom|dad|son|daughter|wife|husband|flatmate|roommate|friend|neighbou?r|boss|aunt|uncle|cousin|gran\w*|boyfriend|girlfriend|partner|dog|cat)\b|"
    r"\b(?:mother|father|sister|brother|husband|wife|mum|mom|dad|gran\w*)(?:'s)?\b(?!:)",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:last (?:time|year|month|visit)|used to|was|were|years? ago|before|previous\w*|back (?:in|then)|once|old|other|stopped|came off|instead of|rather than|years back|years)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:no|not|nor|nil|none|never|without|neither|nothing|nope|nah|cannot|can't|won't|isn't|wasn't|aren't|ain't|don't|doesn't|didn't|haven't|hasn't|hadn't|zero|negative|free|absent|clear|fine|normal)\b|n't\b|n’t\b",
    re.IGNORECASE,
)
_AFFIRM = re.compile(
    r"\b(?:yes|yeah|yep|yup|bit|some|little|lot|lots|really|very|still|keeps?|always|sometimes|every|bad|worse|terrible|got|have|had|there's|been|positive|swollen|sore|tender|mm-hmm)\b",
    re.IGNORECASE,
)
_TOLERATED = re.compile(
    r"\b(?:tolerat\w+|not allergic|no allerg\w+|denies|ok|fine|avoid\w*|intoleran\w+|can take)\b",
    re.IGNORECASE,
)
_CUES = (_CORRECTION, _KIN, _PAST, _NEGATION)
RULES = (
    "unsupported_medication wrong_dose wrong_allergy wrong_laterality unsupported_number wrong_number wrong_date "
    "flipped_negation".split()
)
_DIMENSIONS = sorted({dimension for dimension, _ in UNITS.values()})


def _faded(support: np.ndarray, reach: float) -> np.ndarray:
    """float[words of the note, words of the talk]: the best support anywhere, fading with the distance to it."""
    keep = np.float32(np.exp(-1 / reach))
    out = support.T.copy()
    for k in range(1, len(out)):
        np.maximum(out[k], out[k - 1] * keep, out=out[k])
    for k in range(len(out) - 2, -1, -1):
        np.maximum(out[k], out[k + 1] * keep, out=out[k])
    return out.T


class Reader:
    """A talk with its words' vectors and the marks about every word."""

    def __init__(self, talk: Talk, words: Words) -> None:
        self.talk = talk
        self.words = words
        self.count = len(words.text)
        text = talk.source.text
        tally = Counter(words.text)
        self.rare = {word: 1 / (1 + np.log(n)) for word, n in tally.items()}

        def mark(pattern: re.Pattern[str]) -> np.ndarray:
            out = np.zeros(self.count + 1, dtype=np.float32)
            for m in pattern.finditer(text):
                out[words.at(m.start())] = 1
            return np.concatenate([[0], np.cumsum(out)])

        self.marks = [mark(pattern) for pattern in _CUES]
        self.affirm = mark(_AFFIRM)
        self.findings = [
            (words.at(f.start), f.concept, 1.0 if f.present else -1.0)
            for f in in_transcript(text)
            if f.present is not None
        ]
        self.allergens, self.asked = said_allergies(text)
        self.asks = mark(re.compile(r"\?"))
        self.stops = mark(re.compile(r"[.!?\n]"))
        self.questions = np.array([i for i, w in enumerate(words.text) if w == "?"], dtype=np.int64)
        self.answers = []
        for i in self.questions:
            rest = re.sub(
                r"^[\s\"”]*(?:\[?[A-Z][\w .]{0,20}[\]:]+)?\s*", "", text[words.ends[i] : words.ends[i] + 80]
            )
            self.answers.append(-1.0 if NO.match(rest) else 1.0 if YES.match(rest) else 0.0)

    def between(self, marks: np.ndarray, low: int, high: int) -> float:
        """How many marks stand on the words from ``low`` up to and with ``high``."""
        low, high = max(0, min(low, self.count)), max(0, min(high + 1, self.count))
        return float(marks[high] - marks[low]) if high > low else 0.0

    def about(self, at: int) -> list[float]:
        """What stands around a word of the talk."""
        found = [
            self.between(self.marks[0], at - 4, at + 12),
            self.between(self.marks[1], at - 12, at + 6),
            self.between(self.marks[2], at - 10, at + 6),
            self.between(self.marks[3], at - 5, at),
            self.between(self.asks, at, at + 9),
        ]
        return found

    def polarity(self, at: int) -> list[float]:
        """Whether what is said at a word is said to be there: negations before and behind, the answer to a question."""
        found = [
            self.between(self.marks[3], low, high)
            for low, high in (
                (at - 3, at - 1),
                (at - 8, at - 4),
                (at, at + 2),
                (at + 3, at + 7),
                (at + 8, at + 16),
            )
        ]
        found += [self.between(self.affirm, at - 5, at), self.between(self.affirm, at + 1, at + 8)]
        ahead = int(np.searchsorted(self.questions, at))
        near = ahead < len(self.questions) and self.questions[ahead] - at <= 14
        found += [float(self.questions[ahead] - at) if near else 20.0, self.answers[ahead] if near else 0.0]
        found.append(sum(sign for spot, _, sign in self.findings if abs(spot - at) <= 4))
        found.append(self.between(self.stops, at - 6, at - 1))
        found.append(self.between(self.stops, at, at + 5))
        return found


POLARITY = "n3 n8 p2 p7 p16 yes_before yes_after question answer known stop_before stop_after".split()
NAMES = (
    ["kind", "n_same", "n_other", "said"]
    + [f"{s}_{w}" for s in ("same", "other", "margin", "top") for w in ("cn", "cw", "sn", "sw")]
    + ["rank", "apart", "anchor_same", "anchor_other", "anchored"]
    + [f"{s}_{c}" for s in ("same", "other") for c in ("correct", "kin", "past", "neg", "ask")]
    + [f"rule_{r}" for r in RULES]
    + [
        "rules",
        "value",
        "unit",
        "twin_same",
        "twin_other",
        "words",
        "part",
        "note_neg",
        "note_normal",
        "note_pol",
    ]
    + ["least", "second", "mean", "unheard", "s_least", "s_unheard"]
    + [f"{t}_{p}" for t in ("one", "two") for p in POLARITY]
    + ["one_score", "two_score", "gap"]
    + ["read_there", "read_absent", "read_named", "allergen", "allergens", "tolerated", "asked"]
)
PLACE_NAMES = (
    ["kind", "part", "dimension", "mentions", "anchored"]
    + [f"fit_{w}" for w in ("cn", "cw", "sn", "sw")]
    + [f"share_{w}" for w in ("cn", "cw", "sn", "sw")]
    + [
        "rank",
        "lead",
        "place",
        "drift",
        "from_anchor",
        "anchor_ahead",
        "from_before",
        "from_after",
        "next",
        "last",
    ]
    + [
        "correct",
        "kin",
        "past",
        "neg",
        "ask",
        "same_unit",
        "has_unit",
        "same_measure",
        "has_measure",
        "its_value",
    ]
    + ["times_said", "turn"]
)
_PARTS = {"subjective": 1, "objective": 2, "assessment": 3, "plan": 4}


@dataclass(frozen=True)
class Weighing:
    """``rows``: a row of `NAMES` a candidate; ``speaks``: the word of the talk that speaks most to it. ``places``: a row
    of `PLACE_NAMES` for each candidate and mention it could rest on, ``owner`` the candidate, ``agree`` whether the mention
    has the candidate's value, ``spots`` its word."""

    rows: np.ndarray
    speaks: list[int]
    places: np.ndarray
    owner: np.ndarray
    agree: np.ndarray
    spots: np.ndarray


def features(
    note: str,
    words: Words,
    candidates: Sequence[Candidate],
    reader: Reader,
    hits: Sequence[dict[str, Any]],
    judged: Sequence[tuple[int, Candidate]] | None = None,
) -> Weighing:
    """Rows of the candidates, and rows of every place of the talk that each could rest on.

    ``judged``: in place of all candidates, these, each beside the number of the one whose place it takes.
    """
    judged = list(enumerate(candidates)) if judged is None else judged
    if not judged or not reader.count or not words.text:
        return Weighing(
            np.zeros((len(judged), len(NAMES)), dtype=np.float32),
            [0] * len(judged),
            np.zeros((0, len(PLACE_NAMES)), dtype=np.float32),
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=bool),
            np.zeros(0, dtype=np.int64),
        )
    raw = words.vectors @ reader.words.vectors.T
    support = np.clip((raw - 0.45) / 0.4, 0, 1)
    heard = {word for word in reader.words.text if word.isalpha()}
    best = support.max(axis=1)
    narrow, wide = _faded(support, 6.0), _faded(support, 22.0)
    weight = np.array(
        [
            0.0
            if word in _SMALL or not word[0].isalnum() or VALUE.fullmatch(word)
            else reader.rare.get(word, 1.0)
            for word in words.text
        ],
        dtype=np.float32,
    )
    sections = [(s.start, s.end, s.parts) for s in find_sections(note)]
    rows, speaks = [], []
    places: list[np.ndarray] = []
    owner: list[int] = []
    agree: list[bool] = []
    spots: list[int] = []
    located = [reader.words.at(c.same[0]) if len(set(c.same)) == 1 else -1 for c in candidates]
    for row_number, (number, c) in enumerate(judged):
        inside = (words.starts < c.end) & (words.ends > c.start)
        fits, heavy = [], []
        for a, b in (c.clause, c.sentence):
            use = (words.starts >= a) & (words.ends <= b)
            if c.kind != "finding":
                use &= ~inside
            w = weight * use
            total = max(float(w.sum()), 0.8)
            fits += [w @ narrow / total, w @ wide / total]
            heavy.append(w)
        combined = fits[0] + 0.7 * fits[1] + 0.7 * fits[2] + 0.5 * fits[3]
        same = np.array([reader.words.at(i) for i in c.same], dtype=np.int64)
        other = np.array([reader.words.at(i) for i in c.other], dtype=np.int64)
        s_best = [float(f[same].max()) if len(same) else 0.0 for f in fits]
        o_best = [float(f[other].max()) if len(other) else 0.0 for f in fits]
        top = [float(f.max()) for f in fits]
        s_at = int(same[combined[same].argmax()]) if len(same) else -1
        o_at = int(other[combined[other].argmax()]) if len(other) else -1
        rank = (
            float((combined[other] > combined[s_at]).sum()) if s_at >= 0 and len(other) else float(len(other))
        )
        anchors = np.array([reader.words.at(i) for i in c.anchor], dtype=np.int64)
        far = [
            min(100.0, float(np.abs(group[:, None] - anchors[None, :]).min()))
            if len(group) and len(anchors)
            else 101.0
            for group in (same, other)
        ]
        row: list[float] = [
            float(KINDS.index(c.kind)),
            min(len(same), 9),
            min(len(other), 30),
            float(len(same) > 0),
        ]
        row += [*s_best, *o_best, *(a - b for a, b in zip(s_best, o_best, strict=True)), *top]
        row += [
            rank,
            min(60.0, abs(s_at - o_at)) if s_at >= 0 and o_at >= 0 else 61.0,
            *far,
            float(len(anchors) > 0),
        ]
        row += reader.about(s_at) if s_at >= 0 else [-1.0] * 5
        row += reader.about(o_at) if o_at >= 0 else [-1.0] * 5
        if len(same) + len(other):
            every = np.concatenate([same, other])
            places.append(
                _places(c, candidates, located, every, fits, combined, anchors, reader, sections, len(note))
            )
            owner += [row_number] * len(every)
            agree += [True] * len(same) + [False] * len(other)
            spots += every.tolist()
        rules = [
            float(any(h["kind"] == r and h["start"] < c.end and c.start < h["end"] for h in hits))
            for r in RULES
        ]
        row += [*rules, float(sum(rules))]
        size, unit = 0.0, -1.0
        if isinstance(c.value, tuple) and len(c.value) == 2 and isinstance(c.value[0], float):
            size = float(np.log1p(abs(c.value[0])))
            unit = float(_DIMENSIONS.index(UNITS[c.value[1]][0])) if c.value[1] in UNITS else -1.0
        if c.kind == "side":
            unit = float(("left", "right", "both").index(str(c.value)))
        twins = [
            d for d in candidates if d.kind == c.kind and d is not candidates[number] and c.kind != "finding"
        ]
        row += [
            size,
            unit,
            float(sum(d.value == c.value for d in twins)),
            float(sum(d.value != c.value for d in twins)),
        ]
        row.append(float((heavy[0] > 0).sum()))
        row.append(next((float(_PARTS.get(p[0], 5)) for a, b, p in sections if a <= c.start < b and p), 0.0))
        clause = note[c.clause[0] : c.clause[1]]
        row += [
            float(bool(NEGATIVE.search(clause))),
            float(bool(NORMAL.search(clause))),
            _polar(note, c, words, heavy[0]),
        ]
        for w, wanted in ((heavy[0], True), (heavy[1], False)):
            alone = np.sort(best[w > 0])
            strange = [
                i
                for i in np.flatnonzero(w > 0)
                if words.text[i].isalpha() and words.text[i] not in heard and best[i] < 0.4
            ]
            if wanted:
                row += [
                    float(alone[0]) if len(alone) else 1.0,
                    float(alone[1]) if len(alone) > 1 else 1.0,
                    float(alone.mean()) if len(alone) else 1.0,
                    float(len(strange)),
                ]
            else:
                row += [float(alone[0]) if len(alone) else 1.0, float(len(strange))]
        score = fits[0] + 0.3 * fits[2]
        one = int(score.argmax())
        rest = score.copy()
        rest[max(0, one - 12) : one + 13] = -1
        two = int(rest.argmax())
        row += [*reader.polarity(one), *reader.polarity(two)]
        row += [float(score[one]), max(0.0, float(rest[two])), float(score[one]) - max(0.0, float(rest[two]))]
        named = {concept for concept, _, _ in mentions_of(clause)} if c.kind == "finding" else set()
        signs = [sign for _, concept, sign in reader.findings if concept in named]
        row += [float(signs.count(1.0)), float(signs.count(-1.0)), float(len(named))]
        row += [
            float(c.value in reader.allergens) if c.kind == "allergy" else -1.0,
            float(len(reader.allergens)),
        ]
        row += [float(bool(_TOLERATED.search(note[c.sentence[0] : c.sentence[1]]))), float(reader.asked)]
        rows.append(row)
        speaks.append(o_at if c.kind != "finding" and o_at >= 0 else one)
    return Weighing(
        np.array(rows, dtype=np.float32),
        speaks,
        np.concatenate(places) if places else np.zeros((0, len(PLACE_NAMES)), dtype=np.float32),
        np.array(owner, dtype=np.int64),
        np.array(agree, dtype=bool),
        np.array(spots, dtype=np.int64),
    )


def _near(spots: np.ndarray, marks: np.ndarray) -> np.ndarray:
    return (
        np.minimum(100, np.abs(spots[:, None] - marks[None, :]).min(axis=1))
        if len(marks)
        else np.full(len(spots), 101)
    )


def _places(
    c: Candidate,
    candidates: Sequence[Candidate],
    located: Sequence[int],
    spots: np.ndarray,
    fits: Sequence[np.ndarray],
    combined: np.ndarray,
    anchors: np.ndarray,
    reader: Reader,
    sections: Sequence[tuple[int, int, Any]],
    length: int,
) -> np.ndarray:
    """What speaks for each place that a candidate could rest on, its value left aside."""
    size = len(spots)
    a, b = c.sentence
    before = [
        w for d, w in zip(candidates, located, strict=True) if w >= 0 and a <= d.start and d.end <= c.start
    ]
    after = [
        w for d, w in zip(candidates, located, strict=True) if w >= 0 and d.end <= b and d.start >= c.end
    ]
    order = np.sort(np.unique(spots))
    rank = np.searchsorted(order, spots)
    last = np.where(rank > 0, spots - order[np.maximum(rank - 1, 0)], 60)
    following = np.where(rank < len(order) - 1, order[np.minimum(rank + 1, len(order) - 1)] - spots, 60)
    mine = combined[spots]
    part = next((float(_PARTS.get(p[0], 5)) for x, y, p in sections if x <= c.start < y and p), 0.0)
    dimension = float(_DIMENSIONS.index(UNITS[c.unit][0])) if c.unit in UNITS else -1.0
    details = (
        [reader.talk.details.get(int(reader.words.starts[s])) for s in spots]
        if c.kind in ("number", "dose")
        else []
    )
    columns: list[Any] = [KINDS.index(c.kind), part, dimension, min(size, 40), float(len(anchors) > 0)]
    columns += [f[spots] for f in fits]
    columns += [f[spots] / max(float(f[spots].max()), 1e-3) for f in fits]
    columns += [(mine[None, :] > mine[:, None]).sum(axis=1), mine - mine.max(), spots / reader.count]
    columns += [spots / reader.count - c.start / max(1, length), _near(spots, anchors)]
    columns.append(
        np.minimum(100, np.array([min((s - x for x in anchors if x <= s), default=101) for s in spots]))
    )
    columns += [
        _near(spots, np.array(before[-1:], dtype=np.int64)),
        _near(spots, np.array(after[:1], dtype=np.int64)),
    ]
    columns += [np.minimum(60, following), np.minimum(60, last)]
    columns += list(np.array([reader.about(int(s)) for s in spots]).T)
    if details:
        columns.append(
            np.array(
                [
                    float(
                        bool(
                            d and d[1] and d[1] in UNITS and c.unit in UNITS and UNITS[d[1]] == UNITS[c.unit]
                        )
                    )
                    for d in details
                ]
            )
        )
        columns.append(np.array([float(bool(d and d[1])) for d in details]))
        columns.append(np.array([float(bool(d and d[2] and d[2] == c.measure)) for d in details]))
        columns.append(np.array([float(bool(d and d[2])) for d in details]))
        columns.append(np.array([float(np.log1p(abs(d[0]))) if d else -1.0 for d in details]))
    else:
        columns += [-1.0] * 5
    said = Counter(reader.words.text[s] for s in spots)
    columns.append(np.array([float(said[reader.words.text[s]]) for s in spots]))
    columns.append(np.array([reader.between(reader.stops, int(s) - 8, int(s)) for s in spots]))
    return np.column_stack(
        [np.broadcast_to(np.asarray(column, dtype=np.float32), (size,)) for column in columns]
    )


def _polar(note: str, c: Candidate, words: Words, weight: np.ndarray) -> float:
    """Whether the note says of a clause's last word of weight that it is there: 1, 0, or a half where it does not say."""
    found = np.flatnonzero(weight > 0)
    if not len(found):
        return 0.5
    a, b = c.sentence
    start, end = int(words.starts[found[-1]]) - a, int(words.ends[found[-1]]) - a
    present, _ = polarity(note[a:b], max(0, start), end)
    return 0.5 if present is None else float(present)
