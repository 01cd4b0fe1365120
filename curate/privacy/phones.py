"""Telephone numbers in digits, of any country. Covers: candidates by shape, judged by national rules
(phonenumbers), by grouping and by the words before them. Does not cover: numbers read aloud (`patterns`).
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from curate.privacy.patterns import result

REGIONS = ("IN", "US", "GB", "AU", "DE", "FR", "SG", "AE")
_CANDIDATE = re.compile(
    r"(?<![\w.@/#-])(?:\+[ ]?|00)?\(?\d(?:[ .()/–-]{0,2}\d){5,14}(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?(?![\w@]|[.,/-]\d)"
)
_CUE = re.compile(
    r"(?:\b(?:phone|ph|mobile|mob|cell|tel|telephone|landline|contact|whatsapp|call(?:ed|ing)?|ring|dial|reach|text|sms|fax|helpline|"
    r"number|no\.?|num|nambar|number hai|emergency)\b[^\d\n]{0,30}|[☎📞📱]\s*)$",
    re.I,
)
_NOT = re.compile(
    r"(?:rs\.?|inr|₹|\$|€|£|usd|version|section|isbn|page|pages|model|error|code)\s*[:#]?\s*$", re.I
)


@lru_cache(maxsize=65536)
def is_valid(number: str) -> bool:
    """True when the number is a real possible subscriber number somewhere among `REGIONS` or where its prefix says."""
    for region in (None,) if number.startswith("+") else REGIONS:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(number, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _score(candidate: str, left: str) -> float:
    digits = re.sub(r"\D", "", candidate)
    if (
        _NOT.search(left)
        or not 7 <= len(digits) <= 17
        or re.fullmatch(r"(?:19|20)\d\d\s*[-–/]\s*(?:19|20)\d\d", candidate)
    ):
        return 0.0
    national = re.sub(r"^(?:0?0?91(?=\d{10}$)|0(?=\d{10}$))", "", digits)
    if re.match(r"(?:1800|1860|18(?:88|77|66|55|44|33)\d{7}$)", digits) or re.match(
        r"\(?8(?:00|88|77|66)\)?[ .-]\d{3}[ .-]\d{4}", candidate
    ):
        return 0.0  # a free-phone line belongs to no person
    cued = bool(_CUE.search(left))
    if candidate.startswith("+") or (candidate.startswith("00") and len(digits) >= 11):
        return 0.92
    if len(national) == 10 and national[0] in "6789":
        return 0.9
    if re.fullmatch(r"(?:1[ .-]?)?\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?:[ ]?(?:x|ext).*)?", candidate):
        return 0.85
    if cued and len(digits) >= 7:
        return 0.85
    if re.fullmatch(r"\(?0\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}", candidate):
        return 0.8
    if re.search(r"\D", candidate) and len(digits) >= 9 and is_valid(candidate):
        return 0.7
    return 0.0


class Phones(EntityRecognizer):
    """Presidio recognizer for PHONE."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["PHONE"], name="phone", supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        results = []
        for match in _CANDIDATE.finditer(text):
            score = _score(match.group(), text[max(0, match.start() - 50) : match.start()])
            if score:
                results.append(
                    result("PHONE", match.start(), match.end(), score, "phone.shape", "telephone number")
                )
        return results
