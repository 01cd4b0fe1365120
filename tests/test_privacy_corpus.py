"""The written corpus and its markup: what is read, what is refused, and that the sealed split stays what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.privacy.corpus import LETTERS, CorpusError, parse_markup, read_corpus, read_style, sealed_styles

CORPUS = Path(__file__).resolve().parents[1] / "data" / "privacy" / "corpus"
# Of the sealed files as they were committed before the training that followed; a change makes the figures worthless.
THIRD = frozenset("s-eye-clinic-camp s-moving-company s-school-office-uk s-scrum-retro".split())
FOURTH = frozenset(
    "s-ivf-counsellor s-warehouse-hr s-bank-app-chat s-firmware-commits s-rural-paramedic s-tenancy-agreements"
    " s-furniture-complaints s-night-comedian".split()
)
FIFTH = frozenset(
    "s-hospice-diary s-cab-aggregator-voice s-scholarship-office s-cobol-bank-desk s-city-council-complaints"
    " s-pediatric-dictation s-meal-kit-chat s-shop-stewards".split()
)
SIXTH = frozenset(
    "s-tele-counsellor s-coworking-desk s-vet-clinic-mails s-consulate-queue s-hr-exit-interviews"
    " s-parts-supplier-calls".split()
)
SEALED_SHA = "7a1c28efb466d77f784e6747b07837036b00261b1da00c1613b6f70b5673d0dd"  # first and second group
THIRD_SHA = "40a8fc18c2f67591cdc818c4c67307454e1c41c0428e63288c51fe856b6d87d0"
FOURTH_SHA = "46a6e6d38173428fa458635d5de71167f7ca67e6ed423176608bd7cb6a6286fe"
FIFTH_SHA = "203198827de5de42f5175c286dc19b52d6c7ff6e57b2f0169b1c0b1a9420b2f5"
SIXTH_SHA = "6e2c1be053bd5ec0066c7987a0da9a5bf8c6104766421d9dd1635dbbe559c34e"


def test_the_corpus_reads_and_has_every_domain_and_type() -> None:
    documents = read_corpus(CORPUS)
    assert len(documents) >= 1000
    assert {d.domain for d in documents} == {"medical", "support", "contract", "sarcasm", "code"}
    assert {s[2] for d in documents for s in d.spans} >= {
        "PERSON",
        "ORG",
        "CITY",
        "ADDRESS",
        "DATE",
        "PHONE",
        "ID",
    }
    assert sum(not d.spans for d in documents) >= 50  # nothing personal, though much looks like it
    for document in documents:
        for start, end, _ in document.spans:
            inner = document.text[start:end]
            assert inner == inner.strip() and "\n\n" not in inner


def test_sealed_styles_are_apart_and_unchanged() -> None:
    sealed = sealed_styles(CORPUS)
    assert sealed > THIRD | FOURTH | FIFTH | SIXTH
    groups = (
        (sealed - THIRD - FOURTH - FIFTH - SIXTH, SEALED_SHA),
        (THIRD, THIRD_SHA),
        (FOURTH, FOURTH_SHA),
        (FIFTH, FIFTH_SHA),
        (SIXTH, SIXTH_SHA),
    )
    for group, digest in groups:
        state = hashlib.sha256(b"".join((CORPUS / f"{style}.txt").read_bytes() for style in sorted(group)))
        assert state.hexdigest() == digest
    documents = read_corpus(CORPUS)
    share = sum(d.style in sealed for d in documents) / len(documents)
    assert 0.08 < share < 0.3


@pytest.mark.parametrize(
    ("marked", "says"),
    [
        ("[X|a]", "unknown letter"),
        ("[P| a]", "blanks"),
        ("[P|a", "never closed"),
        ("[Pers|a]", "never closed"),
    ],
)
def test_bad_markup_is_refused(marked: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        parse_markup(marked)


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ab é😀\n.-", max_size=6),
            st.sampled_from(sorted(LETTERS)),
            st.text(alphabet="xyñ😀7", min_size=1, max_size=5),
        ),
        max_size=6,
    )
)
def test_markup_round_trip(parts: list[tuple[str, str, str]]) -> None:
    text, spans = parse_markup("".join(f"{plain}[{letter}|{inner}]" for plain, letter, inner in parts))
    assert text == "".join(plain + inner for plain, _, inner in parts)
    assert [(text[s:e], kind) for s, e, kind in spans] == [
        (inner, LETTERS[letter]) for _, letter, inner in parts
    ]


def test_a_file_says_who_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "someone.txt"
    path.write_text("# style: other\n# voice: x\n=== medical\nhi [P|Asha]\n")
    with pytest.raises(CorpusError, match="someone"):
        read_style(path)
    path.write_text("# style: someone\n# voice: x\n=== cooking\nhi [P|Asha]\n")
    with pytest.raises(CorpusError, match=r"someone\.txt:3: unknown domain"):
        read_style(path)
    path.write_text("# style: someone\n# voice: x\n=== medical\nhi [P|Asha]\n=== medical\nhi [P|Asha]\n")
    with pytest.raises(CorpusError, match="same"):
        read_corpus(tmp_path)
    with pytest.raises(CorpusError, match="SEALED"):
        sealed_styles(tmp_path)
