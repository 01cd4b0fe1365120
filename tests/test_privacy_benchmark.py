"""The benchmark itself: detectors that mask everything or nothing must fail it; ours is above stock on a slice."""

from __future__ import annotations

import pytest

from benchmarks import privacy as bench
from curate.privacy import Detector

needs_data = pytest.mark.skipif(
    not (bench.DATA / "pii-dev" / "dev.jsonl").is_file(), reason="pii-dev is not beside the checkout"
)


@pytest.mark.shared
@needs_data
def test_trap_detectors_fail_and_ours_passes_the_must_goals() -> None:
    documents = bench.load_dev(30)
    texts = [d.text for d in documents]
    everything = bench.evaluate(documents, bench.mask_everything(texts), draws=10)
    nothing = bench.evaluate(documents, bench.mask_nothing(texts), draws=10)
    assert everything.recall == 1 and everything.damage == 1 and not bench.passes(everything)
    assert nothing.recall == 0 and nothing.leak == 1 and nothing.damage == 0 and not bench.passes(nothing)
    assert bench.passes(bench.evaluate(documents, bench.ours(Detector.from_policy())(texts), draws=10))


@pytest.mark.shared
@needs_data
def test_surrogates_of_a_slice_are_consistent() -> None:
    shares = bench.surrogate_check(bench.load_dev(25), Detector.from_policy())
    assert shares["consistent"] == 1 and shares["intervals"] == 1 and shares["originals gone"] == 1


def test_every_generated_identifier_of_a_small_draw_is_found() -> None:
    scanner = bench.ours(Detector.from_policy("rules"))
    for kind, documents in bench.identifiers(40, seed=5).items():
        score = bench.evaluate(documents, scanner([d.text for d in documents]), draws=0)
        missed = [
            d.text
            for d, spans in zip(documents, scanner([d.text for d in documents]), strict=True)
            if bench.evaluate([d], [spans], draws=0).recall < 1
        ]
        assert score.recall == 1.0, (kind, missed[:3])
