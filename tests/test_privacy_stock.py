"""A Presidio engine asked in batches says what it says one by one."""

from __future__ import annotations

import pytest
from presidio_analyzer import AnalyzerEngine

from benchmarks.privacy import _told, stock_engine
from curate.privacy.stock import analyze_many

TEXTS = [
    "Hi, this is Priya Sharma, my emails go to priya@example.com and my phone is 212-555-0143.",
    "", "   ", "born 1st Sep 1956 in Leeds", "PAN ABCPE1234F, passport number A1234567",
    "🙂 e\u0301 call (212) 555-0143 now", "Card 4111 1111 1111 1111 was charged twice.",
    "Hi, this is Priya Sharma, my emails go to priya@example.com and my phone is 212-555-0143.",
    "\u0000 nothing here", "driver's licenses are checked: H12234567\nand again by John O'Neill",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> AnalyzerEngine:
    found: AnalyzerEngine = stock_engine()
    return found


def test_the_same_findings_and_scores(engine: AnalyzerEngine) -> None:
    one = [engine.analyze(text, language="en") for text in TEXTS]
    many = analyze_many(engine, TEXTS, batch_size=3)
    assert [_told(r) for r in many] == [_told(r) for r in one]
    assert sum(map(len, one)) > 8 and many[0] is not many[7]
    assert analyze_many(engine, []) == []
    assert "lemmatizer" in engine.nlp_engine.nlp["en"].pipe_names  # type: ignore[index,attr-defined]


def test_another_pipeline_is_refused(engine: AnalyzerEngine) -> None:
    other = AnalyzerEngine(registry=engine.registry, nlp_engine=engine.nlp_engine)
    other.nlp_engine = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="spaCy"):
        analyze_many(other, ["x"])
