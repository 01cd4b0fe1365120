"""The detector: Presidio's engine over our recognizers, and what happens to its raw results. Covers: scanning
texts and records, spreading names over a record, keeping what only looks personal, allow and deny lists, merging,
thresholds, versions, caching, one failing recognizer. Does not cover: replacing (`replace`), storing.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from curate.privacy import code, codes, keep, lexicon, names, ner, people, phones, places, plugins, trained
from curate.privacy.cache import ScanCache
from curate.privacy.dates import CalendarDates
from curate.privacy.findings import Finding, ScanFailed, merge
from curate.privacy.policy import Policy
from curate.privacy.view import view

_SURE = 0.66  # a name found with at least this score is looked for in the whole record
_CUED = 0.85  # at least this score: announced by a cue, or listed and seen by the model
# Not a finding: where the encoder saw anything, so that rules can be held against it.
_TOUCH = "encoder.touch"
# Said to be names by the text itself.
_LABELLED = frozenset(("name.label", "name.label_person", "name.cobol_author", "name.speaker"))
_STRONG = 0.9  # a cue this strong beats the keep-list of terms


class _NoContext(ContextAwareEnhancer):
    """Our rules read their context themselves; Presidio's enhancer copies every result once per recognizer."""

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(self, text, raw_results, nlp_artifacts, recognizers, context=None):
        return raw_results


class _NoNlp(NlpEngine):
    """Engine of the ``rules`` profile: nothing is loaded and nothing is tagged."""

    engine_name = "none"

    def load(self) -> None: ...

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return _artifacts()

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **kwargs: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, _artifacts()) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        return False

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return ["en"]


@dataclass(frozen=True)
class RecordScan:
    """What scanning one record gave: findings per field, or the reason why it is held back."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)
    error: str | None = None


def _encoder_recognizer() -> Any:
    """The encoder's recognizer; torch is loaded here and not before. Raises `ModelMissing`."""
    from curate.privacy import encoder

    return encoder.EncoderRecognizer()


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Hash of this package's modules: a changed rule is another detector."""
    state = hashlib.sha256()
    for name in (
        "code", "codes", "dates", "detector", "encoder", "encoder_base", "findings", "keep", "names", "ner", "patterns",
        "people", "phones", "places", "lexicon", "plugins", "trained", "view",
    ):  # fmt: skip
        state.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return state.hexdigest()


class Detector:
    """Finds personal data under one policy. ``Detector.from_policy("default")`` is the usual way in.

    ``extra``: further Presidio recognizers, for example its `GLiNERRecognizer` or `HuggingFaceNerRecognizer` with a
    model from a local path. Their entity types are mapped by ``extra_entities`` (theirs -> ours); types that map
    to none of ours are dropped. Each counts in `version` by name and version.
    Raises `ModelMissing` when the profile needs the spaCy model and it is not installed.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        extra: Sequence[EntityRecognizer] = (),
        extra_entities: Mapping[str, str] | None = None,
    ) -> None:
        self.policy = policy or Policy()
        ner.offline()
        self.extra_entities = {**_EXTRA, **(extra_entities or {})}
        profile, encoder = self.policy.profile, self.policy.asks_encoder
        # Beside the encoder the two smaller models add more wrong findings than right ones (docs/privacy.md).
        small = profile == "fast" or (profile == "thorough" and not encoder)
        engine = ner.load_engine() if small else _NoNlp()
        self._ner = ner.NerRecognizer(engine, profile == "fast") if small else None
        self._trained = trained.TrainedRecognizer() if small and profile == "thorough" else None
        self._encoder = _encoder_recognizer() if encoder else None
        extra = [*extra, *(plugins.recognizer(slot) for slot in self.policy.models)]
        recognizers: list[EntityRecognizer] = [
            codes.identifiers(),
            phones.Phones(),
            CalendarDates(),
            places.Addresses(),
            places.towns(),
            places.organisations(),
            names.NameRecognizer(),
            *([self._ner] if self._ner else []),
            *([self._trained] if self._trained else []),
            *([self._encoder] if self._encoder else []),
            *extra,
        ]
        self._extra = list(extra)
        self._engine = AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["en"]),
            nlp_engine=engine,
            context_aware_enhancer=_NoContext(),
            supported_languages=["en"],
        )
        self._allow = {lexicon.fold(" ".join(item.split())) for item in self.policy.allow}
        self._deny = [
            (kind, re.compile(rf"(?<![\w]){re.escape(item).replace(chr(92) + ' ', r'[ ]+')}(?![\w])", re.I))
            for item, kind in sorted(self.policy.deny.items())
        ]

    @classmethod
    def from_policy(cls, source: str | Path | Mapping[str, Any] | Policy = "default") -> Detector:
        """The detector of a policy: a profile name, a TOML file, a ``[privacy]`` table, or a `Policy`."""
        return cls(Policy.load(source))

    @property
    def version(self) -> str:
        """Sixteen hex digits that change when policy, rules, word lists, model or engine change."""
        parts = [
            self.policy.hash,
            _code_digest(),
            lexicon.digest(),
            importlib.metadata.version("presidio-analyzer"),
            importlib.metadata.version("phonenumbers"),
            *(
                []
                if self._ner is None
                else [ner.MODEL, ner.model_version(), importlib.metadata.version("spacy")]
            ),
            *([] if self._trained is None else [trained.digest()]),
            *([] if self._encoder is None else [self._encoder.version]),
            *(f"{r.name} {r.version} {sorted(r.supported_entities)}" for r in self._extra),  # type: ignore[has-type]
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def scan(self, texts: Sequence[str], *, cache: ScanCache | None = None) -> list[list[Finding]]:
        """Findings of each text, each text a document of its own. Offsets count code points; findings of a text
        are disjoint and in order. Raises `ScanFailed` when a recognizer fails on one of them."""
        distinct = list(dict.fromkeys(texts))
        scans = dict(
            zip(distinct, self.scan_records([{"": text} for text in distinct], cache=cache), strict=True)
        )
        for index, text in enumerate(texts):
            if scans[text].error:
                raise ScanFailed(f"Text {index}: {scans[text].error}")
        return [list(scans[text].findings[""]) for text in texts]

    def scan_record(
        self, fields: Mapping[str, str], *, cache: ScanCache | None = None
    ) -> dict[str, list[Finding]]:
        """Findings per field of one record; a name found in one field is found in all. Raises `ScanFailed`."""
        scan = self.scan_records([fields], cache=cache)[0]
        if scan.error:
            raise ScanFailed(scan.error)
        return scan.findings

    def scan_records(
        self, records: Sequence[Mapping[str, str]], *, cache: ScanCache | None = None
    ) -> list[RecordScan]:
        """Many records at once: distinct texts are searched once, the model runs in batches, and a record that the
        cache knows whole is not looked at again. A record on which a recognizer fails comes back with ``error`` set
        and the others go on."""
        version = self.version if cache else ""
        known = [cache.get_record(version, record) if cache else None for record in records]
        new = [record for record, found in zip(records, known, strict=True) if found is None]
        texts = list(dict.fromkeys(text for record in new for text in record.values()))
        raw, failed = self._raw(texts, cache, version)
        out, fresh = [], []
        for record, found in zip(records, known, strict=True):
            if found is None:
                broken = [
                    f"field {name!r}: {failed[text]}" for name, text in record.items() if text in failed
                ]
                if broken:
                    out.append(RecordScan(error="; ".join(broken)))
                    continue
                found = self._finish(record, {name: raw[text] for name, text in record.items()})
                fresh.append((record, found))
            out.append(RecordScan(found))
        if cache:
            cache.put_records(version, fresh)
        return out

    def _raw(
        self, texts: Sequence[str], cache: ScanCache | None, version: str
    ) -> tuple[dict[str, list[Finding]], dict[str, str]]:
        """Raw findings (overlapping, any score) per text, and the texts on which something failed."""
        raw: dict[str, list[Finding]] = {}
        failed: dict[str, str] = {}
        for text in texts:
            known = cache.get(version, text) if cache else None
            if known is not None:
                raw[text] = known
        todo = [text for text in texts if text not in raw]
        views = {text: view(text) for text in todo}
        for model in (self._ner, self._trained, self._encoder):
            # One text can break a batch: then each is tried by itself below, and only that one is held back.
            with contextlib.suppress(Exception):
                if model is not None:
                    model.prepare(v.text for v in views.values())
        fresh = []
        for text in todo:
            try:
                raw[text] = self._analyze(views[text])
            except Exception as error:
                failed[text] = f"a recognizer failed ({type(error).__name__}); held back until it is mended"
                continue
            fresh.append((text, raw[text]))
        if cache:
            cache.put(version, fresh)
        return raw, failed

    def _analyze(self, seen: Any) -> list[Finding]:
        if not seen.text.strip():
            return []
        results = self._engine.analyze(
            seen.text, language="en", nlp_artifacts=_artifacts(), score_threshold=0.0
        )
        found = []
        for item in results:
            kind = self.extra_entities.get(item.entity_type, item.entity_type)
            if kind not in self.policy.entities or item.end <= item.start:
                continue
            start, end = seen.original(item.start, item.end)
            meta = item.recognition_metadata or {}
            name = meta.get("rule") or meta.get("recognizer_name") or "unknown"
            found.append(Finding(start, end, kind, float(item.score), name, meta.get("reason", "")))
        if self._encoder:
            places = [seen.original(s, e) for s, e in self._encoder.touched(seen.text)]
            found += [Finding(start, end, _TOUCH, 0.0, _TOUCH) for start, end in places]
        return sorted(found, key=lambda f: (f.start, f.end, f.entity_type, f.recognizer))

    def _finish(
        self, record: Mapping[str, str], raw: Mapping[str, list[Finding]]
    ) -> dict[str, list[Finding]]:
        """From raw findings to the record's findings: keep, spread, allow, deny, merge, threshold."""
        touched = {name: [(f.start, f.end) for f in raw[name] if f.recognizer == _TOUCH] for name in record}
        backed = {name: [f for f in raw[name] if self._backed(f, touched[name])] for name in record}
        kept = {name: self._surviving(text, backed[name]) for name, text in record.items()}
        if "PERSON" in self.policy.entities:
            kept = {name: [_whole(f, record[name]) for f in found] for name, found in kept.items()}
            kept = {name: [f for f in found if not _region(f, record[name])] for name, found in kept.items()}
            kept = _short_names_of_firms(record, kept)
            persons = [
                (record[name][f.start : f.end], f.score)
                for name, found in kept.items()
                for f in found
                if f.entity_type == "PERSON" and f.score >= _SURE
            ]
            # A word on no list spreads in any case only from a strong cue; what a model alone believes, as written.
            tokens = {w for w in names.name_tokens(text for text, _ in persons) if lexicon.is_name(w)}
            tokens |= names.name_tokens(text for text, score in persons if score >= _CUED)
            exact = people.written(text for text, _ in persons)
            exact = {w for w in exact if lexicon.is_name(w) or not (self._trained and trained.everyday(w))}
            initials = people.initials_of(text for text, _ in persons)
            told = self.policy.threshold_for("PERSON")
            full = people.full_names(text for text, score in persons if score >= told)
            for name, text in record.items():
                seen = view(text)
                spread = [
                    Finding(
                        *seen.original(s, e),
                        "PERSON",
                        0.8,
                        "name.spread",
                        "name found elsewhere in the record",
                    )
                    for s, e in names.propagate(seen.text, tokens, exact)
                ]
                # A full name is that person inside what looks like an organisation too, which a policy may keep.
                spread += [
                    Finding(s, e, "PERSON", _STRONG, "name.spread", "full name found elsewhere in the record")
                    for s, e in people.repeated(text, full)
                ]
                every = tokens | {lexicon.fold(w) for w in exact}
                shapes = [
                    *people.spelled(text, every),
                    *people.initialled(text, initials),
                    *people.handles(text, every),
                ]
                spread += [
                    Finding(s, e, "PERSON", 0.75, "name.letters", "letters of a name in the record")
                    for s, e in shapes
                ]
                alone = [
                    Finding(s, e, "PERSON", 0.75, "name.speaks", "opens several lines before a colon")
                    for s, e in people.speakers(text)
                ]
                alone += [
                    Finding(s, e, "PERSON", 0.65, "name.sign_off", "last words of a message")
                    for s, e in people.sign_off(text)
                ]
                spread += [f for f in alone if self._backed(f, touched[name])]
                spread = [f for f in spread if not places.ends_as_firm(text, f.end)]
                kept[name] = kept[name] + self._surviving(text, spread)
        if "ORG" in self.policy.entities:
            kept = _firms_again(record, kept)
        out: dict[str, list[Finding]] = {}
        for name, text in record.items():
            denied = [
                Finding(m.start(), m.end(), kind, 1.0, "policy.deny", "on the deny list")
                for kind, pattern in self._deny
                if kind in self.policy.entities
                for m in pattern.finditer(text)
            ]
            passing = [f for f in kept[name] if f.score >= self.policy.threshold_for(f.entity_type)]
            merged = merge(passing + denied, text)
            out[name] = [f for f in merged if self._wanted(f, text)]
        return out

    def _backed(self, finding: Finding, touched: Sequence[tuple[int, int]]) -> bool:
        """False for a name or firm that rules alone believe in: where the encoder saw nothing personal at all, nine of
        ten such findings were wrong on 280 documents that neither was made with (docs/privacy.md)."""
        if finding.recognizer == _TOUCH:
            return False
        room = finding.recognizer.partition(".")[0]
        if self._encoder is None or room not in ("name", "org") or finding.recognizer in _LABELLED:
            return True
        return any(start < finding.end and end > finding.start for start, end in touched)

    def _surviving(self, text: str, found: list[Finding]) -> list[Finding]:
        """Findings without those that lie on a term, a statute, a dose or a public person."""
        intro = {"name.my_name_is", "name.mera_naam", "name.label", "name.signature", "name.cobol_author"}
        out = []
        for finding in found:
            if self.policy.code and self._only_code(text, finding):
                continue
            words = text[finding.start : finding.end]
            numberless = finding.entity_type == "ADDRESS" and not any(map(str.isdigit, words))
            if not numberless and finding.entity_type not in ("PERSON", "ORG", "CITY", "DATE", "AGE"):
                out.append(finding)
                continue
            person = finding.entity_type == "PERSON"
            if not (person and finding.score > _STRONG) and keep.in_term(text, finding.start, finding.end):
                continue
            if (
                person
                and finding.recognizer not in intro
                and keep.in_public_name(text, finding.start, finding.end)
            ):
                continue
            out.append(finding)
        return out

    @staticmethod
    def _only_code(text: str, finding: Finding) -> bool:
        """Whether a finding is a name, a keyword, a figure or a table of number words of a program."""
        words = text[finding.start : finding.end]
        if codes.counting(words):
            return True
        if finding.entity_type in code.EVERYWHERE or (finding.entity_type == "PHONE" and " " not in words):
            return False
        return code.outside_prose(text, finding.start, finding.end)

    def _wanted(self, finding: Finding, text: str) -> bool:
        words = lexicon.fold(" ".join(text[finding.start : finding.end].split()))
        return words not in self._allow or finding.recognizer == "policy.deny"


def _whole(finding: Finding, text: str) -> Finding:
    """A finding of a person or an organisation with the words of the name beside it."""
    if finding.entity_type not in ("PERSON", "ORG"):
        return finding
    find = people.whole if finding.entity_type == "PERSON" else places.whole_org
    start, end = find(text, finding.start, finding.end)
    return finding if (start, end) == (finding.start, finding.end) else replace(finding, start=start, end=end)


def _region(finding: Finding, text: str) -> bool:
    """Whether what is taken for a person is the whole name of a state or region ("Andhra Pradesh")."""
    found = lexicon.fold(text[finding.start : finding.end])
    return finding.entity_type == "PERSON" and " " in found and found in lexicon.regions()


def _firms_again(record: Mapping[str, str], kept: Mapping[str, list[Finding]]) -> dict[str, list[Finding]]:
    """With every further place of a firm whose legal form was seen: where a model saw nothing it is still that firm."""
    firms = {
        record[name][f.start : f.end]
        for name, found in kept.items()
        for f in found
        if f.recognizer == "org.legal_form"
    }
    again: dict[str, list[Finding]] = {}
    for name, text in record.items():
        known = {(f.start, f.end) for f in kept[name]}
        again[name] = [*kept[name]]
        for firm in sorted(firms):
            for match in re.finditer(rf"(?<!\w){re.escape(firm)}(?!\w)", text):
                if match.span() not in known:
                    again[name].append(
                        Finding(*match.span(), "ORG", 0.85, "org.again", "a firm of the record")
                    )
    return again


def _short_names_of_firms(
    record: Mapping[str, str], kept: Mapping[str, list[Finding]]
) -> dict[str, list[Finding]]:
    """What a model takes for a person, and is an organisation: its name begins so, or a legal form follows."""
    firms = {
        record[name][f.start : f.end].removeprefix("the ").removeprefix("The ")
        for name, found in kept.items()
        for f in found
        if f.entity_type == "ORG"
    }

    def firm(finding: Finding, text: str) -> bool:
        words = text[finding.start : finding.end].split()
        if places.ends_as_firm(text, finding.end):  # also a rule's: "owner name: Trimbak Fuels LLP"
            return True
        by_model = finding.recognizer.startswith(("trained", "ner", "encoder"))
        named = bool(words) and lexicon.is_given(words[0])
        return by_model and not named and any(f.startswith(" ".join(words) + " ") for f in firms)

    return {
        name: [
            replace(f, entity_type="ORG") if f.entity_type == "PERSON" and firm(f, record[name]) else f
            for f in found
        ]
        for name, found in kept.items()
    }


# Entity names of Presidio's own recognizers, for those that are plugged in.
_EXTRA = {
    "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "CREDIT_CARD": "CARD", "US_SSN": "SSN", "ORGANIZATION": "ORG",
    "IN_PAN": "PAN", "IN_AADHAAR": "AADHAAR", "IN_GSTIN": "GSTIN", "IN_PASSPORT": "PASSPORT", "IN_VOTER": "VOTER_ID",
    "IN_VEHICLE_REGISTRATION": "VEHICLE", "IBAN_CODE": "BANK_ACCOUNT", "US_BANK_NUMBER": "BANK_ACCOUNT",
    "US_DRIVER_LICENSE": "DRIVING_LICENCE", "US_PASSPORT": "PASSPORT", "MEDICAL_LICENSE": "ID", "NAME": "PERSON",
}  # fmt: skip


@lru_cache(maxsize=1)
def _artifacts() -> NlpArtifacts:
    """Artifacts of an empty text: our recognizers read the text itself, so nothing is tagged twice."""
    import spacy

    return NlpArtifacts([], spacy.blank("en")(""), [], [], _NoNlp(), "en")
