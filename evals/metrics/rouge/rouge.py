"""ROUGE-1, ROUGE-2 and ROUGE-L (F) by Google's ``rouge-score`` package, in our result shape.

Covers: word overlap with a reference. Does not cover: truth; a wrong dose moves it by less than a point.
Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
"""

import datasets
import evaluate
from rouge_score import rouge_scorer

LIBRARIES = ("rouge-score",)
KINDS = ("rouge1", "rouge2", "rougeL")


class Rouge(evaluate.Metric):
    """`compute(predictions, references, use_stemmer=False)`; score is the F measure of ROUGE-L, between 0 and 1."""

    def _info(self):
        return evaluate.MetricInfo(
            description="Word overlap with a reference: ROUGE-1, -2 and -L, F measure.",
            citation="Lin, ROUGE: a package for automatic evaluation of summaries, 2004.",
            inputs_description="\npredictions, references: texts of equal number.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, references, use_stemmer=False):
        if any(reference is None for reference in references):
            raise ValueError("rouge needs a reference for every prediction.")
        scorer = rouge_scorer.RougeScorer(list(KINDS), use_stemmer=use_stemmer)
        subscores = []
        for prediction, reference in zip(predictions, references, strict=True):
            result = scorer.score(reference, prediction or "")
            subscores.append({kind: float(result[kind].fmeasure) for kind in KINDS})
        scores = [item["rougeL"] for item in subscores]
        count = max(1, len(scores))
        return {
            "score": sum(scores) / count,
            **{kind: sum(item[kind] for item in subscores) / count for kind in KINDS},
            "scores": scores,
            "subscores": subscores,
            "evidence": [[] for _ in scores],
        }
