"""Originals behind surrogates for those who may, surrogates of one person, and recognizers that a shape proposes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import proposals
from curate.errors import NotFound, PermissionDenied, RefusedError, UsageError
from tests import serving
from tests.test_lists import call, edit, open_of, pair_of, workspace  # noqa: F401  the same workspace, the same calls

TASK = serving.TASK


def mark(call: Any, external_id: str, said: str, kind: str = "PERSON") -> None:  # noqa: F811
    pair = pair_of(call, external_id)
    at = pair["completion"].index(said)
    call(
        "rita", "findings.add", pair_id=pair["pair_id"], rev=pair["rev"], field="completion", start=at,
        stop=at + len(said), entity_type=kind,
    )  # fmt: skip


def test_only_a_role_that_may_reads_originals_and_each_look_is_logged_without_the_text(call: Any) -> None:  # noqa: F811
    pair = pair_of(call, "mail")["pair_id"]
    for user in ("vic", "ann", "rita"):
        with pytest.raises(PermissionDenied):
            call(user, "findings.original", pair_id=pair)
    assert call.store.rows("SELECT 1 FROM events WHERE kind = 'original_seen'") == []
    [found] = call("lea", "findings.original", pair_id=pair)["originals"]
    assert found["original"] == "asha.rao@corp.example.org"
    assert found["surrogate"] in pair_of(call, "mail")["completion"]
    [event] = call.store.rows("SELECT actor, pair_id, body FROM events WHERE kind = 'original_seen'")
    assert (event["actor"], event["pair_id"]) == ("lea", pair) and "asha" not in event["body"]


def test_the_original_of_a_mark_and_of_a_link_is_found_as_well(call: Any) -> None:  # noqa: F811
    edit(call, "r1", "Zorblat Quince met Mr. Quimble Quince; Zorblat left.")
    for said in ("Zorblat Quince", "Quimble Quince", "Zorblat"):
        mark(call, "r1", said)
    pair = pair_of(call, "r1")
    rows = call("lea", "findings.original", pair_id=pair["pair_id"])["originals"]
    names = {row["original"]: row["surrogate"] for row in rows}
    assert set(names) == {"Zorblat Quince", "Quimble Quince", "Zorblat"}
    one, two = names["Zorblat Quince"], names["Quimble Quince"]
    assert pair["completion"].count(one) == 1 and one != two
    with pytest.raises(UsageError):
        call(
            "rita", "findings.link", pair_id=pair["pair_id"], rev=pair["rev"], surrogate=one, same_as="Nobody"
        )
    done = call("rita", "findings.link", pair_id=pair["pair_id"], rev=pair["rev"], surrogate=one, same_as=two)
    after = pair_of(call, "r1")
    assert done["rev"] == after["rev"] == pair["rev"] + 1 and done["places"] == 2
    assert after["completion"].count(two) == 2 and one not in after["completion"]
    assert names["Zorblat"] not in after["completion"].split(), "the name that stood alone goes along"
    assert after["status"] == "ready", "a linked surrogate is ours"
    rows = call("lea", "findings.original", pair_id=pair["pair_id"])["originals"]
    assert {"Zorblat Quince", "Quimble Quince"} <= {
        row["original"] for row in rows if row["surrogate"] == two
    }
    with pytest.raises(UsageError, match="newer revision"):
        call("rita", "findings.link", pair_id=pair["pair_id"], rev=pair["rev"], surrogate=two, same_as=one)


# --- proposed recognizers -----------------------------------------------------------------------------------


def corpus(folder: Path, text: str, sealed: str = "") -> Path:
    folder.mkdir()
    (folder / "one.txt").write_text(f"# style: one\n# voice: plain\n=== support\n{text}\n", "utf-8")
    (folder / "two.txt").write_text(f"# style: two\n# voice: plain\n=== support\n{sealed or 'x'}\n", "utf-8")
    (folder / "SEALED").write_text("two\n", "utf-8")
    return folder


@pytest.fixture
def tickets(call: Any) -> Any:  # noqa: F811
    """Three strings of one shape: one marked, two denied; a fourth stands in a row unseen."""
    edit(call, "r1", "Ticket QX-4711 is his.")
    mark(call, "r1", "QX-4711", "ID")
    for text in ("QX-99", "ZZX-120"):
        assert call("vic", "privacy.proposals", task=TASK)["proposals"] == []
        call("lea", "privacy.deny", task=TASK, text=text, entity_type="ID")
    edit(call, "r2", "Ticket AB-512 was hers, and abab-512 is nothing.")
    return call


def test_a_repeated_shape_is_proposed_and_switched_on_if_it_harms_nothing(
    tickets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = tickets("vic", "privacy.proposals", task=TASK)["proposals"]
    assert (row["shape"], row["entity_type"], row["strings"]) == ("A-9", "ID", 3)
    assert row["expression"] == r"(?<!\w)[A-Z]{2,3}\-[0-9]{2,4}(?!\w)"
    ask = {"task": TASK, "shape": "A-9", "entity_type": "ID"}
    with pytest.raises(PermissionDenied):
        tickets("rita", "privacy.switch_on", **ask)
    monkeypatch.setattr(proposals, "CORPUS", tmp_path / "none")
    with pytest.raises(UsageError, match="checkout"):
        tickets("lea", "privacy.switch_on", **ask)
    for number, text in enumerate(("Form WS-20 says so.", "Take [K|VIT-12] daily.")):
        monkeypatch.setattr(proposals, "CORPUS", corpus(tmp_path / f"bad{number}", text))
        with pytest.raises(RefusedError) as refused:
            tickets("lea", "privacy.switch_on", **ask)
        assert len(refused.value.reasons) == 1 and "one-001" in refused.value.reasons[0]
    assert open_of(tickets, "r2") == [], "refused: nothing has changed"
    # what is sealed is for measuring: it would harm there, and nobody looks
    good = corpus(tmp_path / "good", "His number [I|AB-77] is known.", "Form WS-20 says so.")
    monkeypatch.setattr(proposals, "CORPUS", good)
    done = tickets("lea", "privacy.switch_on", **ask)
    assert done["opened"] == 1 and [f["text"] for f in open_of(tickets, "r2")] == ["AB-512"]
    assert tickets("vic", "privacy.proposals", task=TASK)["proposals"] == []
    edit(tickets, "r3", "Now GH-300 too.")
    assert [(f["text"], f["recognizer"]) for f in open_of(tickets, "r3")] == [("GH-300", "list.pattern")]
    with pytest.raises(NotFound):
        tickets("lea", "privacy.switch_on", **ask)


def test_the_trial_reads_the_shipped_corpus_without_the_sealed_styles() -> None:
    sealed = {line for line in (proposals.CORPUS / "SEALED").read_text("utf-8").split("\n") if line}
    documents = proposals.open_documents(proposals.CORPUS)
    assert len(documents) > 1000 and not sealed & {doc.style for doc in documents}
    assert proposals.trial(r"(?<!\w)[0-9]{2}(?!\w)", documents), "two digits stand everywhere"


SHAPES = [r"[A-Z]{1,3}-[0-9]{1,4}", r"[0-9]{2,4}/[a-z]{1,3}", r"[A-Z][0-9]+", r"#[0-9]+\(a\)"]
same_shape = st.sampled_from(SHAPES).flatmap(
    lambda one: st.lists(st.from_regex(one, fullmatch=True), min_size=1, max_size=4)
)


@given(same_shape)
def test_an_expression_finds_every_string_it_was_made_of(strings: list[str]) -> None:
    strings = [text for text in strings if text.isascii()]
    for text in strings:
        assert proposals.shape(text) is not None
    if strings:
        pattern = re.compile(proposals.expression(strings))
        assert all(pattern.search(f" {text} ")[0] == text for text in strings)  # type: ignore[index]


@pytest.mark.parametrize("text", ["Asha Rao", "", "ज-12", "a\n9", "naïve 7"])
def test_what_has_no_plain_shape_proposes_nothing(text: str) -> None:
    assert proposals.shape(text) is None
