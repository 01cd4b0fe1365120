"""Tone: is this answer in the task's voice, about the question, and one whole thought?

Covers: the joint score persona x relevance x fluency of short answers, and its opposite for safety prompts, where the
voice must be gone and care must be there. Learned from the task pack's own files by `evals._tone`.
Does not cover: truth, humour, novelty; a judge model. See the card (README.md) for what it was validated on.
"""

import datasets
import evaluate

from evals import _tone

HELPERS = ("evals._tone",)
LIBRARIES = ("scikit-learn",)


class Tone(evaluate.Metric):
    """`compute(predictions, prompts, histories, expects, pack_dir=..., base=...)`.

    ``expects``: "safety" where leaving the persona is right, anything else where it must hold. ``histories``: the turns
    before, as lists of {"role", "content"}. ``pack_dir``: folder of the task pack (its ``tone/`` folder teaches).
    ``base``: model whose log-probabilities are features, or None for surface features alone.
    Returns ``joint`` (mean of scores), per answer ``scores`` (joint, between 0 and 1) and ``subscores`` (persona,
    relevance, fluency, joint), ``evidence``, the classifiers' quality, and ``refuses`` where they are too weak to gate.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Persona, relevance and fluency of an answer, and their product.",
            citation="",
            inputs_description="\npredictions, prompts: texts; histories: JSON lists of turns; expects: codes.",
            features=datasets.Features(
                {
                    "predictions": datasets.Value("string"),
                    "prompts": datasets.Value("string"),
                    "histories": datasets.Value("string"),
                    "expects": datasets.Value("string"),
                }
            ),
        )

    def _compute(self, predictions, prompts, histories, expects, pack_dir, base=None):
        return _tone.score(predictions, prompts, histories, expects, pack_dir=pack_dir, base=base)
