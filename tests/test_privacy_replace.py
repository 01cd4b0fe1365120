# ruff: noqa: E501
"""Surrogates: consistency, aliases, dates, impossible identifiers, the mapping, the residual scan, batches."""

from __future__ import annotations

import datetime as dt
import json
import re

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.privacy import Detector, Finding, Policy, pseudonymize, residual, scan_batch, shapes
from curate.privacy import dates as dates_
from curate.privacy.patterns import gstin_ok, luhn_ok, verhoeff_ok
from curate.privacy.surrogates import Fakes

KEY = b"a key of thirty-two bytes length"

RECORD = {
    "prompt": (
        "Customer: Hi, I am Priya Sharma, order OD957481604266290. Call +91 98765 43210 or mail priya.sharma@gmail.com.\n"
        "Customer: My husband Arjun Sharma paid on 8th Jan 2024, refund came 28 January 2024 (03/02/2024 at the latest)."
    ),
    "completion": "Thank you, priya! PRIYA SHARMA, Mrs. Sharma and P. Sharma are the same. ARJUN's UPI is arjun12@okaxis, +919876543210.",
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.from_policy()


@pytest.fixture(scope="module")
def replaced(detector: Detector) -> tuple[dict[str, str], list[dict[str, object]]]:
    return pseudonymize(RECORD, detector.scan_record(RECORD), KEY, record_id="r1")


def test_one_person_is_one_fake_person_in_every_form(
    replaced: tuple[dict[str, str], list[dict[str, object]]],
) -> None:
    fields, _ = replaced
    first, last = re.search(r"I am (\w+) (\w+),", fields["prompt"]).groups()
    husband = re.search(r"husband (\w+) (\w+) paid", fields["prompt"])
    assert husband.group(2) == last and husband.group(1) != first
    completion = fields["completion"]
    assert f"you, {first.lower()}!" in completion
    assert f"{first.upper()} {last.upper()}" in completion
    assert f"Mrs. {last} and {first[0]}. {last}" in completion
    assert f"{husband.group(1).upper()}'s UPI is {husband.group(1).lower()}" in completion
    assert f"{first.lower()}.{last.lower()}@gmail.example" in fields["prompt"]
    for real in ("priya", "sharma", "arjun", "98765", "OD9574"):
        assert real.lower() not in (fields["prompt"] + completion).lower()


def test_the_same_number_written_otherwise_gets_the_same_fake(
    replaced: tuple[dict[str, str], list[dict[str, object]]],
) -> None:
    _fields, mapping = replaced
    phones = [re.sub(r"\D", "", str(m["surrogate"])) for m in mapping if m["entity_type"] == "PHONE"]
    assert len(phones) == 2 and phones[0] == phones[1]


def test_intervals_and_formats_of_dates_are_kept(
    replaced: tuple[dict[str, str], list[dict[str, object]]],
) -> None:
    _, mapping = replaced
    new = [str(m["surrogate"]) for m in mapping if m["entity_type"] == "DATE"]
    assert re.fullmatch(r"\d{1,2}(st|nd|rd|th) [A-Z][a-z]{2} \d{4}", new[0])
    assert re.fullmatch(r"\d{1,2} [A-Z][a-z]+ \d{4}", new[1]) and re.fullmatch(r"\d\d/\d\d/\d{4}", new[2])
    a, b, c = (dates_.parse(text).as_date() for text in new)
    assert (b - a, c - b) == (dt.timedelta(20), dt.timedelta(6))
    assert a != dt.date(2024, 1, 8)


def test_replacement_is_keyed_and_deterministic(detector: Detector) -> None:
    found = detector.scan_record(RECORD)
    one = pseudonymize(RECORD, found, KEY, record_id="r1")
    assert one == pseudonymize(RECORD, found, KEY, record_id="r1")
    assert one[0] != pseudonymize(RECORD, found, KEY[::-1], record_id="r1")[0]
    assert one[0] != pseudonymize(RECORD, found, KEY, record_id="r2")[0]
    with pytest.raises(ValueError, match="16 bytes"):
        pseudonymize(RECORD, found, b"short", record_id="r1")


def test_the_mapping_points_at_the_surrogates_and_holds_no_original(
    replaced: tuple[dict[str, str], list[dict[str, object]]],
) -> None:
    fields, mapping = replaced
    assert mapping
    for row in mapping:
        assert fields[row["field"]][row["surrogate_start"] : row["surrogate_end"]] == row["surrogate"]
        assert RECORD[row["field"]][row["start"] : row["end"]] not in json.dumps(row)
    rebuilt = {}
    for name, text in RECORD.items():
        for row in sorted((m for m in mapping if m["field"] == name), key=lambda m: -m["start"]):
            text = text[: row["start"]] + row["surrogate"] + text[row["end"] :]
        rebuilt[name] = text
    assert rebuilt == fields


def test_residual_knows_our_own_and_sees_what_an_edit_brings_in(
    detector: Detector, replaced: tuple[dict[str, str], list[dict[str, object]]]
) -> None:
    fields, mapping = replaced
    assert residual(fields, mapping, detector) == {}
    assert residual({**fields, "completion": "Well. " + fields["completion"]}, mapping, detector) == {}
    edited = {**fields, "completion": fields["completion"] + " Ask Kavita Menon, 91234 56789."}
    left = residual(edited, mapping, detector)
    assert [edited["completion"][f.start : f.end] for f in left["completion"]] == [
        "Kavita Menon",
        "91234 56789",
    ]
    assert residual(RECORD, [], detector)  # nothing replaced: everything is a leak


def test_surrogates_avoid_taken_values(detector: Detector) -> None:
    record = {"a": "Hi, I am Priya Sharma."}
    found = detector.scan_record(record)
    _, mapping = pseudonymize(record, found, KEY, record_id="r")
    words = {w.lower() for m in mapping for w in str(m["surrogate"]).split()}
    _, other = pseudonymize(record, found, KEY, record_id="r", taken=words)
    assert not words & {w.lower() for m in other for w in str(m["surrogate"]).split()}


def test_gender_and_region_are_kept() -> None:
    from curate.privacy import lexicon

    fakes = Fakes(KEY, "r", {"PERSON": ["Priya Sharma", "Rahul Verma", "Dorothy Clarke"]})
    woman, man, abroad = (
        fakes.person(n).split()[0] for n in ("Priya Sharma", "Rahul Verma", "Dorothy Clarke")
    )
    assert lexicon.gender(woman) == "f" and lexicon.gender(man) == "m" and lexicon.gender(abroad) == "f"
    assert lexicon.origin(woman) == "in" and woman.lower() in lexicon.indian_female()
    assert abroad.lower() not in lexicon.indian_female()


def test_actions_of_the_policy(detector: Detector) -> None:
    record = {"a": "Priya Sharma, 94 years old, pin code 560102, joined on 8 July 2024, call 98765 43210."}
    policy = Policy.load(
        {
            "rules": {
                "PERSON": {"action": "mask"},
                "DATE": {"action": "keep"},
                "PHONE": {"action": "generalise"},
            }
        }
    )
    fields, mapping = pseudonymize(record, detector.scan_record(record), KEY, record_id="r", policy=policy)
    assert fields["a"] == "***** ******, 90+ years old, pin code 560xxx, joined on 8 July 2024, call [phone]."
    assert "DATE" not in {m["entity_type"] for m in mapping}


def _draw(seed: int):
    import random

    rng = random.Random(seed)
    return lambda n: rng.randrange(n)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_surrogate_identifiers_cannot_be_valid(seed: int) -> None:
    draw = _draw(seed)
    assert not verhoeff_ok(shapes.aadhaar("9999 4105 7058", draw))
    assert not luhn_ok(shapes.card("4111-1111-1111-1111", draw))
    assert shapes.pan("ABCPM1234D", draw)[3] == "Q"
    assert not gstin_ok(shapes.gstin("27AAPFU0939F1ZV", draw))
    assert shapes.ssn("219-09-9999", draw).startswith("9")
    for text in ("+91 98765 43210", "98765-43210", "09876543210", "(415) 555-2671", "+44 20 7946 0958"):
        fake = shapes.phone(text, draw)
        assert re.sub(r"\d", "0", fake) == re.sub(r"\d", "0", text)
        for region in (None,) if fake.startswith("+") else ("IN", "US"):
            try:
                assert not phonenumbers.is_valid_number(phonenumbers.parse(fake, region)), fake
            except phonenumbers.NumberParseException:
                continue
    assert re.fullmatch(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+", shapes.ip("8.8.8.8", draw))


@settings(max_examples=200, deadline=None)
@given(
    st.dates(dt.date(1920, 1, 1), dt.date(2050, 12, 31)), st.dates(dt.date(1920, 1, 1), dt.date(2050, 12, 31))
)
def test_a_date_written_in_a_form_is_read_back(first: dt.date, second: dt.date) -> None:
    for form in (
        "{0:%Y-%m-%d}",
        "{0:%d/%m/%Y}",
        "{0:%d.%m.%Y}",
        "{0:%d %B %Y}",
        "{0:%B %d, %Y}",
        "{0:%d-%b-%Y}",
    ):
        read = dates_.parse(form.format(first))
        assert read is not None and read.as_date() == first, form.format(first)
        again = dates_.parse(read.render(second))
        assert again is not None and again.as_date() == second, read.render(second)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "Asha Verma|Ravi Verma|Meera Iyer|John Clarke|Fatima Khan|Wei Chen|Olga Petrov".split("|")
        ),
        min_size=1,
        max_size=7,
    )
)
def test_two_real_names_never_become_one(people: list[str]) -> None:
    fakes = Fakes(KEY, "r", {"PERSON": people})
    forward: dict[str, str] = {}
    for name in people:
        for real, fake in zip(name.split(), fakes.person(name).split(), strict=True):
            assert forward.setdefault(real, fake) == fake
    assert len(set(forward.values())) == len(forward)
    assert not {w.lower() for n in people for w in n.split()} & {f.lower() for f in forward.values()}


def test_overlapping_or_outside_findings_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        pseudonymize(
            {"a": "Priya Rao"},
            {"a": [Finding(0, 5, "PERSON", 1, "x"), Finding(3, 9, "PERSON", 1, "x")]},
            KEY,
            record_id="r",
        )
    with pytest.raises(ValueError, match="outside"):
        pseudonymize({"a": "Priya"}, {"a": [Finding(0, 50, "PERSON", 1, "x")]}, KEY, record_id="r")


def test_batches_give_one_row_a_field_and_hold_back_failures(detector: Detector) -> None:
    table = pl.DataFrame(
        {
            "record_id": ["a", "b", "c"],
            "prompt": ["Hi, I am Priya Sharma.", "what is a quark?", "x"],
            "completion": ["Hello priya!", None, "y"],
        }
    )
    out = scan_batch(table, detector=detector, key=KEY)
    assert out.select("record_id", "field").rows() == [
        ("a", "prompt"),
        ("a", "completion"),
        ("b", "prompt"),
        ("c", "prompt"),
        ("c", "completion"),
    ]
    assert "riya" not in out["replaced"][0] + out["replaced"][1]
    assert out["replaced"][2] == "what is a quark?"
    assert set(out["detector_version"]) == {detector.version} and out["error"].null_count() == 5
    assert all(json.loads(r) == [] for r in out["residual"])
    assert out.equals(scan_batch(table.to_arrow(), detector=detector, key=KEY))
    with pytest.raises(ValueError, match="record_id"):
        scan_batch(table.drop("record_id"), detector=detector, key=KEY)


@pytest.mark.parametrize(
    "text",
    [
        "the 9th",
        "the twenty-ninth",
        "Sat 21 Nov",
        "Wed, 18 Nov 2026",
        "the 9th day of December, 2026",
        "25 kasım",
        "2 to 9 January",
    ],
)
def test_a_date_in_any_form_becomes_another_date_of_that_form(text: str) -> None:
    fakes = Fakes(KEY, "r1", {"DATE": [text]})
    fake = fakes.date(text)
    assert fake != text and len(fake.split()) == len(text.split())
    known = {*dates_.MONTH_OF, *dates_.WEEKDAYS, *(day[:3] for day in dates_.WEEKDAYS), *text.lower().split()}
    for word in re.findall(r"[^\W\d_]{3,}", fake.lower()):  # no letters shuffled like an id's
        assert word in known or word in "twenty thirty" or word.endswith(("st", "nd", "rd", "th")), fake


def test_a_moved_date_takes_its_weekday_along() -> None:
    fake = Fakes(KEY, "r1", {"DATE": ["Wed, 18 Nov 2026"]}).date("Wed, 18 Nov 2026")
    moved = dt.datetime.strptime(fake.split(", ")[1], "%d %b %Y")
    assert fake.startswith(moved.strftime("%a"))
