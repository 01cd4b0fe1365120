# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Replacing what was found. Covers: the presidio-anonymizer operator that writes surrogates, masks or bands into a
text; the mapping that lets a later scan tell our own surrogates from a leak; that scan.
Does not cover: which fake stands for whom (`surrogates`), nor where originals are kept (the store's raw records).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any

from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult
from presidio_anonymizer.operators import Operator, OperatorType

from curate.privacy import lexicon
from curate.privacy.detector import Detector
from curate.privacy.findings import Finding
from curate.privacy.policy import Action, Policy
from curate.privacy.surrogates import Fakes

MappingRow = dict[str, Any]
_NAME = "goldpair_surrogate"


class SurrogateOperator(Operator):
    """presidio-anonymizer operator. Params: ``fakes`` (`Fakes`), ``kind`` (entity type), ``action`` (`Action`)."""

    def operate(self, text: str | None = None, params: dict[str, Any] | None = None) -> str:
        assert text is not None and params is not None
        return apply(params["fakes"], params["kind"], params["action"], text)

    def validate(self, params: dict[str, Any] | None = None) -> None:
        if not params or not isinstance(params.get("fakes"), Fakes):
            raise ValueError("the surrogate operator needs fakes, kind and action")

    def operator_name(self) -> str:
        return _NAME

    def operator_type(self) -> OperatorType:
        return OperatorType.Anonymize


def apply(fakes: Fakes, kind: str, action: Action, text: str) -> str:
    """What stands in the text instead of ``text``."""
    if action == "keep":
        return text
    if action == "mask":
        return re.sub(r"\w", "*", text)
    if action == "generalise":
        if kind == "AGE":
            return "90+"
        if kind == "PIN_CODE":
            digits = [m.start() for m in re.finditer(r"\d", text)]
            return "".join("x" if i in digits[3:] else c for i, c in enumerate(text))
        if kind == "DATE":
            years = re.findall(r"(?:19|20)\d\d", text)
            return years[0] if years else "[date]"
        return f"[{kind.lower()}]"
    if kind == "AGE":
        return "90+"  # the fake of an age from ninety would still say who is very old
    return fakes.surrogate(kind, text)


def pseudonymize(
    record_fields: Mapping[str, str],
    findings: Mapping[str, Sequence[Finding]],
    key: bytes,
    *,
    record_id: str,
    taken: Container[str] = (),
    policy: Policy | None = None,
) -> tuple[dict[str, str], list[MappingRow]]:
    """Texts with surrogates, and where they are.

    ``findings`` must be disjoint within a field, as `Detector` returns them. ``key``: at least 16 bytes, kept with
    the workspace. ``taken``: strings no surrogate may equal, for example every original in the store.
    Returns the new fields and the mapping, one dict a replaced span: ``field, start, end`` in the original,
    ``surrogate_start, surrogate_end`` in the new text, ``surrogate``, ``entity_type``, ``action``; never the original text.
    Raises ``ValueError`` for overlapping findings, findings outside their text, or a short key.
    """
    policy = policy or Policy()
    acted: dict[str, list[Finding]] = {}
    for name, found in findings.items():
        ordered = sorted(found, key=lambda f: f.start)
        for left, right in itertools.pairwise(ordered):
            if right.start < left.end:
                raise ValueError(f"findings of field {name!r} overlap at {right.start}; merge them first")
        if ordered and (ordered[0].start < 0 or ordered[-1].end > len(record_fields[name])):
            raise ValueError(f"a finding of field {name!r} lies outside its text")
        acted[name] = [f for f in ordered if policy.action(f.entity_type) != "keep"]
    reals: dict[str, list[str]] = {}
    for name, found in acted.items():
        for finding in found:
            reals.setdefault(finding.entity_type, []).append(record_fields[name][finding.start : finding.end])
    fakes = Fakes(key, record_id, reals, taken)
    engine = AnonymizerEngine()
    engine.add_anonymizer(SurrogateOperator)
    out: dict[str, str] = {}
    mapping: list[MappingRow] = []
    for name, text in record_fields.items():
        found = acted.get(name, [])
        if not found:
            out[name] = text
            continue
        # A type of its own for every span: Presidio would join neighbours of one type across a space.
        kinds = {f"{f.entity_type}#{i}": f for i, f in enumerate(found)}
        replaced = engine.anonymize(
            text,
            [RecognizerResult(kind, f.start, f.end, f.score) for kind, f in kinds.items()],
            {
                kind: OperatorConfig(
                    _NAME, {"fakes": fakes, "kind": f.entity_type, "action": policy.action(f.entity_type)}
                )
                for kind, f in kinds.items()
            },
        )
        out[name] = replaced.text
        for item in sorted(replaced.items, key=lambda i: i.start):
            finding = kinds[item.entity_type]
            mapping.append(
                {
                    "field": name,
                    "start": finding.start,
                    "end": finding.end,
                    "surrogate_start": item.start,
                    "surrogate_end": item.end,
                    "surrogate": item.text,
                    "entity_type": finding.entity_type,
                    "action": policy.action(finding.entity_type),
                }
            )
    return out, mapping


def residual(
    fields: Mapping[str, str], mapping: Sequence[Mapping[str, Any]], detector: Detector
) -> dict[str, list[Finding]]:
    """What a scan of replaced (and perhaps since edited) texts still finds that is not a surrogate of ours.

    A finding is ours when everything in it, word by word, is part of a surrogate in ``mapping``, whatever field or
    position it stands at now, or when the policy keeps its type. The leak gate refuses while any field has one.
    """
    return strangers(fields, detector.scan_record(fields), mapping, detector.policy)


def strangers(
    fields: Mapping[str, str],
    found: Mapping[str, Sequence[Finding]],
    mapping: Sequence[Mapping[str, Any]],
    policy: Policy,
) -> dict[str, list[Finding]]:
    """`residual` for findings at hand, so that many records can be scanned in one batch."""
    known: set[str] = set()
    for row in mapping:
        known |= _parts(row["surrogate"])
    out: dict[str, list[Finding]] = {}
    for name, findings in found.items():
        left = [
            f
            for f in findings
            if policy.action(f.entity_type) != "keep" and not _ours(fields[name][f.start : f.end], known, f)
        ]
        if left:
            out[name] = left
    return out


def _parts(text: str) -> set[str]:
    return {lexicon.fold(w) for w in re.findall(r"\w+", text)}


def _ours(text: str, known: Collection[str], finding: Finding) -> bool:
    """True when every part of the text comes from a surrogate, or is a title or a word that names no one."""
    for part in re.findall(r"\w+", text):
        key = lexicon.fold(part)
        if key in known or (len(key) == 1 and not key.isdecimal()):
            continue
        if finding.entity_type in ("PERSON", "ORG", "ADDRESS", "CITY") and (
            key in lexicon.not_names() or key in ("mr", "mrs", "ms", "dr", "smt", "shri")
        ):
            continue
        return False
    return True
