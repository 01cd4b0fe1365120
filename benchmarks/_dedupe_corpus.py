"""Seeded corpora with planted near-duplicates and hard negatives, and the scores against that truth.

A quarter of the rows sits in clusters (a base and one to seven variants of eight kinds), 15 % in template
families (the same text with passages of other substance: different documents), the rest stands alone. Words
follow a Zipf law over real words of Python's own manual and invented ones, half of them in real word pairs;
3,000 stock sentences and per-document names, numbers and dates repeat as they do in real records.

``shifted`` changes edit rates, template shares, lengths and greeting lengths, so that settings chosen on one
shape are tried on another. Does not cover: real data (see the shared-data rows in dedupe.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pydoc_data.topics import topics

import numpy as np
import polars as pl

_SYLLABLES = [
    c + v + e
    for c in "b d f g k l m n p r s t v z br cl st tr".split()
    for v in "aeiou"
    for e in ("", "n", "r", "s", "l")
]
_SYNONYM_SHIFT = 7919


@dataclass(frozen=True)
class Shape:
    """What a corpus looks like. Rates are shares of words."""

    mean_log: float = 5.2
    sigma_log: float = 0.42
    low: int = 45
    high: int = 440
    edit_rates: tuple[float, ...] = (0.02, 0.05, 0.10, 0.20)
    greeting: tuple[int, int] = (4, 20)
    template_shares: tuple[float, ...] = (0.50, 0.60, 0.75)
    template_blocks: tuple[int, int] = (3, 7)
    stock: float = 0.12
    entities: tuple[int, int] = (2, 5)


STANDARD = Shape()
SHIFTED = Shape(
    mean_log=4.6, sigma_log=0.55, low=42, high=900, edit_rates=(0.03, 0.08, 0.15), greeting=(2, 28),
    template_shares=(0.40, 0.55, 0.70, 0.80), template_blocks=(2, 5), stock=0.30, entities=(3, 9),
)  # fmt: skip


class _Language:
    """Words, their frequencies and real word pairs; the same for every seed."""

    def __init__(self, size: int = 30_000) -> None:
        rng = np.random.default_rng(20_261)
        manual = re.findall(r"[a-z]+", " ".join(topics[k] for k in sorted(topics)).lower())
        seen: dict[str, int] = defaultdict(int)
        for word in manual:
            seen[word] += 1
        real = sorted(seen, key=lambda w: (-seen[w], w))
        known = set(real)
        invented: list[str] = []
        for places in rng.integers(len(_SYLLABLES), size=(4 * size, 3)).tolist():
            word = "".join(_SYLLABLES[i] for i in places[: 2 + places[2] % 2])
            if word not in known and len(real) + len(invented) < size:
                known.add(word)
                invented.append(word)
        self.words = np.array(real + invented, dtype=object)
        number = {w: i for i, w in enumerate(self.words)}
        self.number = {w: i for i, w in enumerate(self.words[:4000])}
        weight = 1.0 / (np.arange(size) + 2.7) ** 1.05
        self.cumulative = np.cumsum(weight / weight.sum())
        after: dict[int, list[int]] = defaultdict(list)
        for a, b in pairwise(manual):
            after[number[a]].append(number[b])
        self.after_start = np.zeros(size + 1, dtype=np.int64)
        np.cumsum([len(after[i]) for i in range(size)], out=self.after_start[1:])
        self.after = np.array([b for i in range(size) for b in after[i]], dtype=np.int64)
        self.synonym = np.roll(np.arange(size), _SYNONYM_SHIFT)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return np.searchsorted(self.cumulative, rng.random(n)).clip(0, len(self.words) - 1)

    def streams(self, rng: np.random.Generator, rows: int, length: int) -> np.ndarray:
        """int64[rows, length] word numbers, half of the steps following a real word pair."""
        out = np.empty((rows, length), dtype=np.int64)
        out[:, 0] = self.draw(rng, rows)
        for column in range(1, length):
            before = out[:, column - 1]
            free = self.draw(rng, rows)
            count = self.after_start[before + 1] - self.after_start[before]
            place = self.after_start[before] + (rng.random(rows) * count).astype(np.int64)
            follow = (count > 0) & (rng.random(rows) < 0.5)
            out[:, column] = np.where(follow, self.after[place.clip(0, len(self.after) - 1)], free)
        return out


_LANGUAGE: list[_Language] = []


def _language() -> _Language:
    if not _LANGUAGE:
        _LANGUAGE.append(_Language())
    return _LANGUAGE[0]


Sentence = list[str]
Text = list[Sentence]


class _Writer:
    def __init__(self, seed: int, shape: Shape) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = shape
        self.language = _language()
        self._pool: list[np.ndarray] = []
        self._at = 0
        self.stock = [self.sentence() for _ in range(3000)]

    def raw(self, n: int) -> list[str]:
        """n fresh words in running text."""
        width = 1000
        if not self._pool:
            self._pool = list(self.language.words[self.language.streams(self.rng, 2000, width)])
            self._at = 0
        if self._at + n > width:
            self._pool.pop()
            self._at = 0
            return self.raw(n)
        row = self._pool[-1][self._at : self._at + n]
        self._at += n
        return row.tolist()

    def sentence(self) -> Sentence:
        return self.raw(int(self.rng.integers(7, 18)))

    def name(self) -> str:
        one, two = self.rng.integers(len(_SYLLABLES), size=2)
        return (_SYLLABLES[one] + _SYLLABLES[two]).capitalize()

    def entity(self) -> str:
        kind = self.rng.integers(3)
        if kind == 0:
            return f"{self.name()} {self.name()}"
        if kind == 1:
            return f"{self.rng.integers(60000, 99999)} {self.rng.integers(10000, 99999)}"
        month = ("March", "June", "July", "October")[self.rng.integers(4)]
        return f"{self.rng.integers(1, 29)} {month} {self.rng.integers(1950, 2026)}"

    def base(self, words: int | None = None) -> tuple[Text, list[str]]:
        """Sentences and the entities mentioned in them."""
        shape, rng = self.shape, self.rng
        if words is None:
            words = int(np.clip(rng.lognormal(shape.mean_log, shape.sigma_log), shape.low, shape.high))
        text: Text = []
        entities = [self.entity() for _ in range(rng.integers(*shape.entities))]
        total = 0
        while total < words:
            sentence = (
                list(self.stock[rng.integers(len(self.stock))])
                if rng.random() < shape.stock
                else self.sentence()
            )
            if rng.random() < 0.35:
                sentence.insert(int(rng.integers(len(sentence))), entities[rng.integers(len(entities))])
            text.append(sentence)
            total += len(sentence)
        return text, entities

    # --- variants

    def edit(self, text: Text, rate: float) -> Text:
        out = []
        for sentence in text:
            words: Sentence = []
            for word in sentence:
                if self.rng.random() >= rate:
                    words.append(word)
                    continue
                action = self.rng.integers(3)
                if action == 0:
                    words += self.raw(1)
                elif action == 1:
                    words += [word, *self.raw(1)]
            out.append(words or list(sentence))
        return out

    def paraphrase(self, text: Text) -> Text:
        number = self.language.number
        out = []
        for sentence in text:
            out.append(
                [
                    str(self.language.words[self.language.synonym[number[w]]])
                    if w in number and self.rng.random() < 0.08
                    else w
                    for w in sentence
                ]
            )
        if len(out) > 4:
            start = int(self.rng.integers(1, len(out) - 2))
            block = [out.pop(start), out.pop(start)]
            place = int(self.rng.integers(len(out)))
            out[place:place] = block
        return out

    def greet(self, text: Text) -> Text:
        n = int(self.rng.integers(*self.shape.greeting))
        return [self.raw(n), *text] if self.rng.random() < 0.5 else [*text, self.raw(n)]

    def swap_entities(self, text: Text, entities: list[str]) -> Text:
        new = {e: self.entity() for e in entities}
        return [[new.get(w, w) for w in sentence] for sentence in text]

    def variant(self, text: Text, entities: list[str]) -> tuple[str, str]:
        kinds = ["case", *(f"edit_{r:.2f}" for r in self.shape.edit_rates), "paraphrase", "greeting", "pii"]
        kind = kinds[self.rng.integers(len(kinds))]
        if kind == "case":
            return kind, self.render_messy(text)
        if kind.startswith("edit"):
            return kind, self.render(self.edit(text, float(kind[5:])))
        change: Callable[[], Text] = {
            "paraphrase": lambda: self.paraphrase(text),
            "greeting": lambda: self.greet(text),
            "pii": lambda: self.swap_entities(text, entities),
        }[kind]
        return kind, self.render(change())

    def family(self, members: int) -> list[str]:
        """Different documents on one template: shared blocks in order, other substance between."""
        rng, shape = self.rng, self.shape
        words = int(np.clip(rng.lognormal(shape.mean_log, shape.sigma_log), max(90, shape.low), shape.high))
        share = float(rng.choice(shape.template_shares))
        blocks = int(rng.integers(shape.template_blocks[0], shape.template_blocks[1] + 1))
        cuts = rng.choice(np.arange(8, words - 8), blocks - 1, replace=False).tolist() if blocks > 1 else []
        ends = [0, *sorted(cuts), words]
        shared = [self.raw(max(4, round((b - a) * share))) for a, b in pairwise(ends)]
        own = max(8, round(words * (1 - share) / blocks))
        out = []
        for _ in range(members):
            text: Text = []
            for block in shared:
                text.append(list(block))
                text.append(self.raw(int(rng.integers(max(7, own - 3), own + 4))))
            out.append(self.render(text))
        return out

    # --- to characters

    def render(self, text: Text) -> str:
        return " ".join(" ".join(s)[:1].upper() + " ".join(s)[1:] + "." for s in text)

    def render_messy(self, text: Text) -> str:
        style = self.rng.integers(3)
        plain = self.render(text)
        if style == 0:
            return plain.upper()
        if style == 1:
            return plain.lower().replace(".", "").replace(" ", "  ")
        return plain.replace(".", " ...").replace(" ", "\n", 3)


def corpus(rows: int, seed: int, shape: Shape = STANDARD) -> pl.DataFrame:
    """row, text, cluster (-1: none), kind, family (-1: none), shuffled. Prompt and completion are one text here:
    the engine takes one column at a time."""
    writer = _Writer(seed, shape)
    rng = writer.rng
    texts: list[str] = []
    cluster: list[int] = []
    family: list[int] = []
    kind: list[str] = []

    def put(text: str, c: int, k: str, f: int) -> None:
        texts.append(text)
        cluster.append(c)
        kind.append(k)
        family.append(f)

    number = 0
    while len(texts) < rows * 0.25:
        text, entities = writer.base()
        put(writer.render(text), number, "base", -1)
        for _ in range(rng.integers(1, 8)):
            what, changed = writer.variant(text, entities)
            put(changed, number, what, -1)
        number += 1
    number = 0
    while len(texts) < rows * 0.40:
        for member in writer.family(int(rng.integers(4, 28))):
            put(member, -1, "template", number)
        number += 1
    while len(texts) < rows:
        put(writer.render(writer.base()[0]), -1, "unique", -1)
    order = rng.permutation(len(texts))[:rows]
    frame = pl.DataFrame({"text": texts, "cluster": cluster, "kind": kind, "family": family})
    return frame[order].with_row_index("row")


def short_corpus(rows: int, seed: int, longest: int = 40) -> pl.DataFrame:
    """Chat-sized texts of 4 to ``longest`` words: half stand alone, a quarter in clusters (case mess, one to three
    edited words from 15 words on, a typing error, a greeting in front, a name swapped from 15 words on), a
    quarter are hard negatives: the same sentence asking about something else (one content word changed in short
    ones, a passage of a quarter in longer ones). Same columns as ``corpus``."""
    writer = _Writer(seed, STANDARD)
    rng = writer.rng
    language = writer.language
    rare = language.words[1500:]
    greetings = [
        ["hi"], ["hey", "there"], ["hello"], ["good", "morning"], ["hi", "all"], ["quick", "question"], ["please"],
        ["hey", "hope", "you", "are", "well"], ["thanks", "in", "advance"], ["dear", "team"],
    ]  # fmt: skip
    texts: list[str] = []
    cluster: list[int] = []
    family: list[int] = []
    kind: list[str] = []

    def fresh() -> tuple[list[str], int]:
        n = int(rng.integers(4, longest + 1))
        words = writer.raw(n)
        for i in range(0, n, 2):  # content words must be there, as in real questions
            words[i] = str(rare[rng.integers(len(rare))])
        name = -1
        if n >= 15:
            name = int(rng.integers(n))
            words[name] = writer.name()
        return words, name

    def say(words: list[str]) -> str:
        line = " ".join(words)
        return line[:1].upper() + line[1:] + rng.choice([".", "?", "!", ""])

    def typo(words: list[str]) -> list[str]:
        out = list(words)
        long = [i for i, w in enumerate(out) if len(w) >= 6]
        if long:
            i = int(rng.choice(long))
            j = int(rng.integers(1, len(out[i]) - 2))
            out[i] = out[i][:j] + out[i][j + 1] + out[i][j] + out[i][j + 2 :]
        return out

    def change(words: list[str], name: int) -> tuple[str, str]:
        kinds = ["case", "typo", "greeting"] + (["edits", "name"] if len(words) >= 15 else [])
        what = str(rng.choice(kinds))
        out = list(words)
        if what == "case":
            line = say(out)
            return what, [
                line.upper(),
                line.lower().replace(" ", "  "),
                line + "!!!",
                line.replace(" ", ", ", 1),
            ][rng.integers(4)]
        if what == "typo":
            return what, say(typo(out))
        if what == "greeting":
            front = greetings[rng.integers(len(greetings))]
            return what, say([*front, *out])
        if what == "name":
            out[name] = writer.name()
            return what, say(out)
        for i in rng.choice(len(out), int(rng.integers(1, 4)), replace=False):
            out[i] = str(rare[rng.integers(len(rare))]) if rng.random() < 0.6 else ""
        return what, say([w for w in out if w])

    def put(text: str, c: int, k: str, f: int) -> None:
        texts.append(text)
        cluster.append(c)
        kind.append(k)
        family.append(f)

    number = 0
    while len(texts) < rows * 0.25:
        words, name = fresh()
        put(say(words), number, "base", -1)
        for _ in range(rng.integers(1, 4)):
            what, line = change(words, name)
            put(line, number, what, -1)
        number += 1
    number = 0
    while len(texts) < rows * 0.5:
        words, _ = fresh()
        for _ in range(rng.integers(2, 6)):
            out = list(words)
            block = 1 if len(out) < 12 else max(4, len(out) // 4)
            start = 2 * int(rng.integers((len(out) - block) // 2 + 1))
            for i in range(start, start + block):
                out[i] = str(rare[rng.integers(len(rare))])
            put(say(out), -1, "template", number)
        number += 1
    while len(texts) < rows:
        put(say(fresh()[0]), -1, "unique", -1)
    order = rng.permutation(len(texts))[:rows]
    return pl.DataFrame({"text": texts, "cluster": cluster, "kind": kind, "family": family})[
        order
    ].with_row_index("row")


# --- scores


def shingles(text: str) -> set[tuple[str, ...]]:
    """Word 3-shingles of the lower-cased words."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def planted_pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """left, right, jaccard of all planted pairs (word 3-shingles)."""
    texts = frame["text"].to_list()
    out: list[tuple[int, int, float]] = []
    groups = frame.filter(pl.col("cluster") >= 0).group_by("cluster").agg(pl.col("row").sort())["row"]
    for rows in groups:
        members = rows.to_list()
        sets = [shingles(texts[r]) for r in members]
        for i in range(len(members)):
            for j in range(i + 1, len(members)):
                inter = len(sets[i] & sets[j])
                out.append((members[i], members[j], inter / (len(sets[i]) + len(sets[j]) - inter)))
    return pl.DataFrame(
        out, schema={"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float64}, orient="row"
    )


def scores(frame: pl.DataFrame, labels: np.ndarray, truth: pl.DataFrame | None = None) -> dict[str, float]:
    """Precision, recalls and F1 of predicted clusters against planted ones, over the closure of both.

    precision: predicted pairs inside one planted cluster; recall_all / recall_j08: planted pairs found (all; with
    Jaccard >= .8); row_f1: "is a non-first member of a cluster"; template_merges: predicted pairs of one family.
    """
    cluster = frame["cluster"].to_numpy()
    family = frame["family"].to_numpy()
    planted = cluster >= 0

    def pairs_of(*keys: np.ndarray) -> int:
        counts = np.unique(np.stack(keys), axis=1, return_counts=True)[1].astype(np.int64)
        return int((counts * (counts - 1) // 2).sum())

    predicted = pairs_of(labels)
    right = pairs_of(labels[planted], cluster[planted])
    precision = right / predicted if predicted else 1.0
    result = {"precision": precision, "recall_all": right / max(1, pairs_of(cluster[planted]))}
    result["f1_all"] = 2 * precision * result["recall_all"] / max(1e-12, precision + result["recall_all"])
    in_family = family >= 0
    result["template_merges"] = float(pairs_of(labels[in_family], family[in_family]))
    if truth is not None:
        near = truth.filter(pl.col("jaccard") >= 0.8)
        found = labels[near["left"].to_numpy()] == labels[near["right"].to_numpy()]
        result["recall_j08"] = float(found.mean())
        result["f1_j08"] = 2 * precision * result["recall_j08"] / max(1e-12, precision + result["recall_j08"])
    result["row_f1"] = row_f1(frame, _later_members(labels))
    return result


def row_f1(frame: pl.DataFrame, flagged: np.ndarray) -> float:
    """F1 of flagged rows against rows that are not the first of their planted cluster."""
    cluster = frame["cluster"].to_numpy()
    truth = _later_members(np.where(cluster >= 0, cluster, -2 - np.arange(len(cluster))))
    both = int((truth & flagged).sum())
    return 2 * both / max(1, int(truth.sum()) + int(flagged.sum()))


def _later_members(labels: np.ndarray) -> np.ndarray:
    later = np.ones(len(labels), dtype=bool)
    later[np.unique(labels, return_index=True)[1]] = False
    return later
