"""What a Presidio `AnalyzerEngine` finds in many texts, faster. Covers: an engine of the user's own, as it is. Does not
cover: our recognizers, policies and surrogates (`Detector`), nor engines without a spaCy pipeline.

Equal texts are read once, the pipeline runs over batches, and its tagger and lemmatizer are left out: words stand in
for lemmas, with which Presidio looks for context words ("emails" for "email"). The parser stays, since it changes what
the pipeline calls a name. `benchmarks/privacy.py` holds every text against the engine asked one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from presidio_analyzer import AnalyzerEngine, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine

_UNREAD = ("tagger", "attribute_ruler", "lemmatizer")  # only lemmas come of these


def analyze_many(
    engine: AnalyzerEngine, texts: Sequence[str], *, language: str = "en", batch_size: int = 64
) -> list[list[RecognizerResult]]:
    """Findings of each text, in order, as of ``[engine.analyze(text, language) for text in texts]``.

    Raises TypeError when the engine has no spaCy pipeline.
    """
    nlp = engine.nlp_engine
    if not isinstance(nlp, SpacyNlpEngine):
        raise TypeError(f"analyze_many needs an engine with a spaCy pipeline, not {type(nlp).__name__}.")
    if nlp.nlp is None:
        nlp.load()
    assert nlp.nlp is not None
    distinct = list(dict.fromkeys(texts))
    pipeline = nlp.nlp[language]
    found: dict[str, list[RecognizerResult]] = {}
    with pipeline.select_pipes(disable=[name for name in _UNREAD if name in pipeline.pipe_names]):
        for text, read, *_ in nlp.process_batch(distinct, language, batch_size=batch_size):
            artifacts = NlpArtifacts(
                entities=read.entities,
                tokens=read.tokens,
                tokens_indices=read.tokens_indices,
                lemmas=[token.lower_ for token in read.tokens],
                nlp_engine=nlp,
                language=language,
                scores=read.scores,
            )
            found[text] = engine.analyze(text, language, nlp_artifacts=artifacts)
    return [list(found[text]) for text in texts]
