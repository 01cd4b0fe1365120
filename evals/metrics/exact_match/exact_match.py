"""Exact match: is the prediction the reference, after declared clean-up?

Covers: equality after NFC, optional case folding, optional removal of punctuation, white space made single.
Does not cover: any notion of meaning; two right answers in different words score 0.
"""

import unicodedata

import datasets
import evaluate


class ExactMatch(evaluate.Metric):
    """`compute(predictions, references, ignore_case=False, ignore_punctuation=False)`; score is 0 or 1."""

    def _info(self):
        return evaluate.MetricInfo(
            description="1 when prediction and reference are equal after clean-up, else 0.",
            citation="",
            inputs_description="\npredictions, references: texts of equal number.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, references, ignore_case=False, ignore_punctuation=False):
        def clean(text):
            text = unicodedata.normalize("NFC", text or "")
            if ignore_case:
                text = text.casefold()
            if ignore_punctuation:
                text = "".join(" " if unicodedata.category(ch)[0] == "P" else ch for ch in text)
            return " ".join(text.split())

        if any(reference is None for reference in references):
            raise ValueError("exact_match needs a reference for every prediction.")
        scores = [float(clean(p) == clean(r)) for p, r in zip(predictions, references, strict=True)]
        return {
            "score": sum(scores) / len(scores) if scores else 0.0,
            "scores": scores,
            "evidence": [[] for _ in scores],
        }
