"""Visit notes (SOAP): is the note whole and in order, and does it say only what the visit supports?

Covers: sections (present, in order, not empty), grounding of numbers, medications, doses and sides in the transcript
and declared metadata, completeness against a reference; with the words in question and the nearest support.
Does not cover: negation, content under the wrong heading, style, medical judgement. See the card (README.md).
"""

import json
from itertools import pairwise

import datasets
import evaluate

from .claims import Source, find_claims, judge
from .medications import SUBSTANCE
from .sections import PARTS, find_sections, words_in

LIBRARIES = ("rapidfuzz",)
OPTIONAL = ("transcripts", "references", "metadata")  # columns that may be empty
CRITICAL = ("unsupported_medication", "wrong_dose", "wrong_laterality")
COUNTERS = (*CRITICAL, "unsupported_number", "missing_section", "empty_section", "section_order")
WEIGHTS = {"structure": 0.4, "grounding": 0.4, "completeness": 0.2}


class SoapNote(evaluate.Metric):
    """`compute(predictions, transcripts=None, references=None, metadata=None, required=PARTS)`.

    ``score`` lies between 0 and 1: the weighted mean (`WEIGHTS`) of those parts that could be judged.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Structure, grounding and completeness of a visit note.",
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

    def _compute(self, predictions, transcripts, references, metadata, required=PARTS):
        unknown = sorted(set(required) - set(PARTS))
        if unknown:
            raise ValueError(f"required knows {', '.join(PARTS)}, not {', '.join(unknown)}.")
        judged = [
            _judge(prediction, transcript, reference, extra, tuple(required))
            for prediction, transcript, reference, extra in zip(
                predictions, transcripts, references, metadata, strict=True
            )
        ]
        result = {"score": _mean([item["score"] for item in judged])}
        for name in (*WEIGHTS, "numbers_supported", "medications_supported"):
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


def _judge(note, transcript, reference, extra, required):
    structure, evidence = _structure(note, required)
    subscores = dict.fromkeys((*WEIGHTS, "numbers_supported", "medications_supported"))
    subscores["structure"] = structure
    claims = find_claims(note)
    source = None
    if transcript:
        source = Source(transcript + "\n" + _flat(extra))
        tally = {"number": [0, 0], "medication": [0, 0], "side": [0, 0]}
        for claim in claims:
            error, support = judge(claim, source, note)
            counted = tally["number" if claim.kind == "dose" else claim.kind]
            counted[1] += 1
            counted[0] += error is None
            if error:
                evidence.append(_hit(error, note, claim.start, claim.end, support))
        subscores["numbers_supported"] = _share(*tally["number"])
        subscores["medications_supported"] = _share(*tally["medication"])
        supported = sum(good for good, _ in tally.values())
        total = sum(count for _, count in tally.values())
        # A note that claims nothing is not wrong, unless it is empty.
        subscores["grounding"] = supported / total if total else float(bool(note.strip()))
    if reference:
        subscores["completeness"] = _completeness(note, reference, source)
    known = {name: weight for name, weight in WEIGHTS.items() if subscores[name] is not None}
    weighted = [float(subscores[name] or 0.0) * weight for name, weight in known.items()]
    score = sum(weighted) / sum(known.values())
    evidence.sort(key=lambda hit: (hit["start"], hit["end"], hit["kind"]))
    return {"score": score, "subscores": subscores, "evidence": evidence}


def _structure(note, required):
    """Share of required parts that are there and not empty (7 of 10), and of neighbours in order (3 of 10)."""
    sections = find_sections(note)
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


def _completeness(note, reference, source):
    """Share of the reference's medications and numbers that the note has; those without support do not count."""
    said = Source(note)
    wanted = {}
    for claim in find_claims(reference):
        if claim.kind == "side" or (source is not None and judge(claim, source, reference)[0] is not None):
            continue
        key = SUBSTANCE[claim.name] if claim.kind == "medication" else (claim.value, claim.unit)
        wanted[(claim.kind == "medication", key)] = claim
    if not wanted:
        return None
    found = [
        bool(said.drug(claim.name) if claim.kind == "medication" else said.number(claim.value, claim.unit))
        for claim in wanted.values()
    ]
    return sum(found) / len(found)


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
