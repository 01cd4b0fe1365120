# ruff: noqa: E501
"""Detection: label policy, hard inputs, versions, caching, no network. Replacement has its own file."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import EntityRecognizer, RecognizerResult

from curate.privacy import (
    Detector,
    ModelMissing,
    Policy,
    PolicyError,
    ScanCache,
    ScanFailed,
    ner,
    people,
    trained,
)
from curate.privacy.findings import Finding, merge
from curate.privacy.patterns import gstin_ok, luhn_ok, verhoeff_ok


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.from_policy("default")


def found(detector: Detector, text: str) -> list[tuple[str, str]]:
    return [(f.entity_type, text[f.start : f.end]) for f in detector.scan([text])[0]]


PERSONAL = [
    ("hi rahul, did the courier come?", "PERSON", "rahul"),
    ("Hello Will, sorry about the delay.", "PERSON", "Will"),
    ("thanks\nRegards,\nMeera Krishnan", "PERSON", "Meera Krishnan"),
    ("mera naam sunita hai aur order nahi aaya", "PERSON", "sunita"),
    ("Please ask Sharma-ji about it", "PERSON", "Sharma"),
    ("Mrs. D'Souza will call back", "PERSON", "Mrs. D'Souza"),
    ("signed by K. R. Iyer on behalf of the firm", "PERSON", "K. R. Iyer"),
    ("Iyer, Venkatesh was seen in the clinic", "PERSON", "Iyer, Venkatesh"),
    ("       AUTHOR. GRACE YOUNG.", "PERSON", "GRACE YOUNG"),
    ("मेरा नाम राहुल है", "PERSON", "राहुल"),
    ("my colleague Tomasz Wiśniewski agreed", "PERSON", "Tomasz Wiśniewski"),
    ("aadhaar 9999 4105 7058 was refused", "AADHAAR", "9999 4105 7058"),
    ("aadhaar 9999 4105 7059 was refused", "AADHAAR", "9999 4105 7059"),  # a typo is still personal
    ("PAN fewpb8006p please", "PAN", "fewpb8006p"),
    ("GSTIN 27TXWCV6076B1ZZ", "GSTIN", "27TXWCV6076B1ZZ"),
    ("IFSC KKBK0794973", "IFSC", "KKBK0794973"),
    ("a/c no. 39972527071260 hdfc", "BANK_ACCOUNT", "39972527071260"),
    ("pay to wei94@ybl now", "UPI", "wei94@ybl"),
    ("ring me: 98765-43210", "PHONE", "98765-43210"),
    ("call 98\u200e765 43\u200e210 today", "PHONE", "98\u200e765 43\u200e210"),
    ("number is nine eight seven six five, four three two one zero", "PHONE", "nine eight seven six five, four three two one zero"),
    ("double nine eight triple seven five four three two", "PHONE", "double nine eight triple seven five four three two"),
    ("मेरा नंबर ९८७६५४३२१० है", "PHONE", "९८७६५४३२१०"),
    ("ABHA 77-3789-6694-5712", "ABHA", "77-3789-6694-5712"),
    ("voter id ABC1234567", "VOTER_ID", "ABC1234567"),
    ("Passport P9779195", "PASSPORT", "P9779195"),
    ("car KA-02 NG 0353", "VEHICLE", "KA-02 NG 0353"),
    ("licence KA01 20110012345", "DRIVING_LICENCE", "KA01 20110012345"),
    ("UHID: 0048-2913", "ID", "0048-2913"),
    ("the lease no. EV/0449/25 ends", "ID", "EV/0449/25"),
    ("his card is SE/1/30772 now", "ID", "SE/1/30772"),
    ("parcel CP 768 720 099 GB came", "ID", "CP 768 720 099 GB"),
    ("box MSKU 900622 3 is on board", "ID", "MSKU 900622 3"),
    ("pnr K7WQ2X for the night flight", "ID", "K7WQ2X"),
    ("Caveat No. 61 of 2026 stands", "ID", "61 of 2026"),
    ("plate EX19 KLD was seen", "VEHICLE", "EX19 KLD"),
    ("it's H O M dash five five one, zero zero eight, two two nine", "PHONE", "H O M dash five five one, zero zero eight, two two nine"),
    ("His mother, 93, has no other support.", "AGE", "93"),
    ("Walt is ninety-four and in the lodge", "AGE", "ninety-four"),
    ("see you on Wednesday the 19th, I hope", "DATE", "Wednesday the 19th"),
    ("on leave until the 23rd inst.", "DATE", "the 23rd"),
    ("Seen Sat 21 Nov by the nurse", "DATE", "Sat 21 Nov"),
    ("We have 2 Glebe Barns, Nether Whitcombe, DT9 0ZZ; do say", "ADDRESS", "2 Glebe Barns, Nether Whitcombe, DT9 0ZZ"),
    ("mailing General Delivery, Wakaw SK S0K 4P0, on credit", "ADDRESS", "General Delivery, Wakaw SK S0K 4P0"),
    ("he was at eighteen b kingfisher rise last night", "ADDRESS", "eighteen b kingfisher rise"),
    ("Pt: KUPERMAN, Yosef, seen today", "PERSON", "KUPERMAN, Yosef"),
    ("I am Nkemdi Obiorah. Nkemdi, N-K-E-M-D-I.", "PERSON", "N-K-E-M-D-I"),
    ("Dr Castellanos is user dr_castellanos here", "PERSON", "dr_castellanos"),
    ("He has a bed at St Gobnait's since Monday.", "ORG", "St Gobnait's"),
    ("order OD957481604266290 is late", "ID", "OD957481604266290"),
    ("card 4111 1111 1111 1111", "CARD", "4111 1111 1111 1111"),
    ("ssn 219-09-9999", "SSN", "219-09-9999"),
    ("the last of her social security is 4821", "SSN", "4821"),
    ("from 203.77.176.215 again", "IP_ADDRESS", "203.77.176.215"),
    ("mail jose.ibarra@mail.example now", "EMAIL", "jose.ibarra@mail.example"),
    ("rahul dot s at gmail dot com", "EMAIL", "rahul dot s at gmail dot com"),
    ("see https://social.example/u/rahul for it", "URL", "https://social.example/u/rahul"),
    ("born on 03-04-1930", "DATE", "03-04-1930"),
    ("on the twenty-third of March, nineteen eighty-five", "DATE", "twenty-third of March, nineteen eighty-five"),
    ("15 अगस्त 2023 को मिले", "DATE", "15 अगस्त 2023"),
    ("15 tareekh ko aana", "DATE", "15 tareekh"),
    ("she is 94 years old", "AGE", "94"),
    ("i live in Nagpur with my dog", "CITY", "Nagpur"),
    ("sent to Flat 302, Shanti Niketan Apts, HSR Layout, Chennai 600 042.", "ADDRESS", "Flat 302, Shanti Niketan Apts, HSR Layout, Chennai 600 042"),
    ("lives at 17 Elm Court, Leicester. Please write", "ADDRESS", "17 Elm Court, Leicester"),
    ("employed at Bluepeak Retail Pvt. Ltd. since", "ORG", "Bluepeak Retail Pvt. Ltd."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "value"), PERSONAL, ids=[p[2] for p in PERSONAL])
def test_personal_data_is_found_whole(detector: Detector, text: str, kind: str, value: str) -> None:
    start = text.index(value)
    covered = set()
    for finding in detector.scan([text])[0]:
        covered |= set(range(finding.start, finding.end))
    missing = [text[i] for i in range(start, start + len(value)) if text[i].isalnum() and i not in covered]
    assert not missing, found(detector, text)
    assert kind in [k for k, _ in found(detector, text)]


KEPT = [
    "What is the capital of France? Paris, shocking I know. Einstein would be proud.",
    "Is Goa nicer than Bali in March, or should I wait for a Tuesday in May?",
    "Murphy's sign negative, Babinski flexor, Glasgow Coma Scale 15/15, Parkinson's disease stable.",
    "metformin 500 mg twice daily for three days, repeat HbA1c in 12 weeks, BP 144/85, heart rate 64.",
    "You're a 72-year-old non-smoker with Hodgkin lymphoma; see you tomorrow at 9 PM.",
    "Section 27 of the Indian Contract Act, 1872 governs it; the notice period is 90 days.",
    "Gratuity and state insurance follow the Code on Social Security, 2020 throughout.",
    "The Payment of Gratuity Act, 1972 and the Employees' Provident Funds Act, 1952 shall apply.",
    "Leave follows the Uttar Pradesh Dookan Aur Vanijya Adhishthan Adhiniyam, 1962, and the Bharatiya Nyaya Sanhita, 2023.",
    "The Employee shall not disclose to the Company's competitors; gross salary INR 58,879 per month.",
    "01 WS-EMP-NAME PIC X(30). PERFORM CALC-TAX-PARA UNTIL WS-EOF = 'Y'. TICKET CR-10442",
    "Under our 10-day replacement policy the Samsung Galaxy M34 6GB/128GB is eligible.",
    "Sherlock Holmes and Batman walk into a bar. Will it rain? May I ask? Mark my words, grace under fire.",
    "How do I cook paneer tikka on a Roomba while Mercury is in retrograde? It's Christmas on 25 December.",
    "TATT for 3/12, review 2/52, G2P1 at 26/40, BP 88/50, power 5/5.",
    "Temperature 99, pulse 98. Haemoglobin 94, it was 118. Levothyroxine, one hundred.",
    "Dupuytren's on the left, Wolff-Parkinson-White ablated, Hashimoto's since school.",
    "my husband slept badly and my friend drank too much at dinner",
    "By the third attempt it worked; the water came from unit five. Form 106 is not needed.",
    "Count one two three four five six seven eight nine and breathe.",
    "error code 0x80070005 in version 10.2.3.4 since build 2024.1",
    "Sorry. Courier compares the box. It is Friday. School starts at nine.",
    "The population is 1400000000 and light travels 299792458 metres a second.",
]


@pytest.mark.parametrize("text", KEPT, ids=[k[:30] for k in KEPT])
def test_what_only_looks_personal_survives(detector: Detector, text: str) -> None:
    assert found(detector, text) == []


def test_a_name_found_once_is_found_in_every_field(detector: Detector) -> None:
    record = {
        "prompt": "Hi, I am Zubin Daruwala.",
        "completion": "zubin, DARUWALA and Z. Daruwala: noted. Bye",
    }
    scan = detector.scan_record(record)
    assert [record["completion"][f.start : f.end] for f in scan["completion"]] == [
        "zubin",
        "DARUWALA",
        "Z. Daruwala",
    ]


def test_a_full_name_is_found_inside_an_organisation_that_the_policy_keeps() -> None:
    keeping = Detector.from_policy({"rules": {"ORG": {"action": "keep"}, "CITY": {"action": "keep"}}})
    record = {
        "prompt": "Guest faculty for one year. Sociology. Dr. Meher Contractor. College: Mutha Arts College Trust, Pune.",
        "completion": 'Between Mutha Arts College Trust and Dr. Meher Contractor ("the Lecturer").',
    }
    for name, found in keeping.scan_record(record).items():
        people = [record[name][f.start : f.end] for f in found if f.entity_type == "PERSON"]
        assert people == ["Meher Contractor"], name


def test_what_a_legal_form_follows_is_a_firm_whatever_a_model_says() -> None:
    keeping = Detector.from_policy({"rules": {"ORG": {"action": "keep"}, "CITY": {"action": "keep"}}})
    text = "Who: Pallavi Gowda. Company: Jasmine Byte Apps Private Limited, Mysuru. Money: still negotiating."
    [found] = keeping.scan([text])
    assert [text[f.start : f.end] for f in found if f.entity_type == "PERSON"] == ["Pallavi Gowda"]


def test_a_state_is_nobody_and_a_date_with_a_wage_no_address() -> None:
    texts = [
        "courts at Vijayawada in Andhra Pradesh have jurisdiction",
        "Pune - from 1 January 2027 - Rs 58,000 per month - notice 30 days",
    ]
    keeping = Detector.from_policy({"rules": {"CITY": {"action": "keep"}, "DATE": {"action": "keep"}}})
    assert not [f for found in keeping.scan(texts) for f in found if f.entity_type not in ("CITY", "DATE")]


@pytest.mark.parametrize(
    "street", ["12 Marble Arcana Apt 4", "7 Novella Parkside Box 12", "4 Mayfair Rise Unit 3"]
)
def test_a_street_that_begins_like_a_month_is_an_address_by_the_rules_alone(street: str) -> None:
    text = f"they moved to {street} yesterday"
    [spans] = Detector.from_policy("rules").scan([text])
    assert street in [text[f.start : f.end] for f in spans if f.entity_type == "ADDRESS"]


def test_offsets_count_code_points(detector: Detector) -> None:
    text = "👩🏽‍⚕️ e\u0301 naïve: call 98765 43210 🙏 or a@b.example"
    assert found(detector, text) == [("PHONE", "98765 43210"), ("EMAIL", "a@b.example")]


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\u202e\u200f", "\n\n\t", "🙂" * 50, "a\x00b", "\ud800 and so on"]
)
def test_empty_and_odd_texts_are_scanned(detector: Detector, text: str) -> None:
    assert detector.scan([text]) == [[]]


def test_a_turn_of_100_kilobytes(detector: Detector) -> None:
    filler = "the quick brown fox jumps over the lazy dog while nothing happens. "
    text = filler * 800 + "my name is Rahul Verma, call 98765 43210. " + filler * 800
    assert len(text) > 100_000
    assert found(detector, text) == [("PERSON", "Rahul Verma"), ("PHONE", "98765 43210")]


@pytest.mark.parametrize(
    "unit", ["1", "a@", "9 ", "A. ", "Rahul ", "12-", "a/", "Flat 1, ", "one ", "(", "WS-", "http://"]
)
def test_repetition_does_not_blow_up(detector: Detector, unit: str) -> None:
    detector.scan([unit * (20_000 // len(unit))])  # quadratic rules would run into the test's time limit


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=3))
def test_findings_are_ordered_disjoint_and_inside(parts: list[str]) -> None:
    detector = Detector.from_policy("rules")
    text = " call 98765 43210, Priya Sharma ".join(parts)
    last = 0
    for finding in detector.scan([text])[0]:
        assert last <= finding.start < finding.end <= len(text)
        assert 0 < finding.score <= 1
        last = finding.end


def test_merging_loses_no_character() -> None:
    text = "Anita Rao Verma 98765"
    spans = [
        Finding(0, 9, "PERSON", 0.9, "a"),
        Finding(6, 15, "PERSON", 0.6, "b"),
        Finding(10, 21, "ID", 0.8, "c"),
    ]
    merged = merge(spans, text)
    covered = {i for f in merged for i in range(f.start, f.end)}
    wanted = {i for f in spans for i in range(f.start, f.end) if text[i].isalnum()}
    assert wanted <= covered
    assert all(a.end <= b.start for a, b in itertools.pairwise(merged))


class _Broken(EntityRecognizer):
    """Fails on texts with a certain word, as a third-party recognizer might."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["PERSON"], name="broken", supported_language="en")

    def load(self) -> None: ...

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        if "boom" in text:
            raise RuntimeError("secret text in a message")
        return []


def test_a_failing_recognizer_holds_back_only_its_record() -> None:
    detector = Detector(Policy(profile="rules"), extra=[_Broken()])
    scans = detector.scan_records(
        [{"a": "fine, Priya Sharma"}, {"a": "x", "b": "boom"}, {"a": "call 98765 43210"}]
    )
    assert [scan.error is None for scan in scans] == [True, False, True]
    assert "field 'b'" in scans[1].error and "RuntimeError" in scans[1].error
    assert "secret" not in scans[1].error  # messages of third parties may quote the text
    assert scans[1].findings == {}
    with pytest.raises(ScanFailed):
        detector.scan(["boom"])


def test_a_plugged_in_recognizer_is_mapped_and_counts_in_the_version() -> None:
    class Extra(_Broken):
        def __init__(self) -> None:
            EntityRecognizer.__init__(
                self, supported_entities=["PHONE_NUMBER"], name="x", supported_language="en"
            )

        def analyze(
            self, text: str, entities: list[str], nlp_artifacts: object = None
        ) -> list[RecognizerResult]:
            return [RecognizerResult("PHONE_NUMBER", 0, 4, 0.9)]

    plain, extended = Detector(Policy(profile="rules")), Detector(Policy(profile="rules"), extra=[Extra()])
    assert extended.scan(["ext7 please"])[0][0].entity_type == "PHONE"
    assert plain.version != extended.version


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the detector opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    detector = Detector.from_policy()
    assert found(detector, "mail priya@firm.co.in")[0][0] == "EMAIL"
    import tldextract

    assert tldextract.extract("priya.firm.co.in").suffix == "co.in"


def test_a_missing_model_is_said_clearly() -> None:
    ner.load_engine.cache_clear()
    try:
        with pytest.raises(ModelMissing, match="pip install"):
            ner.load_engine("no_such_model_here")
    finally:
        ner.load_engine.cache_clear()


def test_version_changes_with_policy_only_where_it_matters() -> None:
    base = Detector(Policy(profile="rules"))
    assert base.version == Detector(Policy(profile="rules")).version
    assert base.version != Detector(Policy(profile="rules", allow=["Leo"])).version
    assert base.version != Detector(Policy(profile="rules", threshold=0.7)).version


def test_policy_lists_and_types() -> None:
    text = "Hi Priya, Falcon ships on 8 July 2024."
    plain = Detector(Policy(profile="rules"))
    assert [k for k, _ in found(plain, text)] == ["PERSON", "DATE"]
    listed = Detector(
        Policy(profile="rules", allow=["priya"], deny={"falcon": "ORG"}, entities=["PERSON", "ORG"])
    )
    assert found(listed, text) == [("ORG", "Falcon")]


@pytest.mark.parametrize(
    "table",
    [
        {"colour": 1},
        {"entities": ["NAME"]},
        {"rules": {"PERSON": {"action": "burn"}}},
        {"threshold": 2},
        {"deny": {"x": "Y"}},
    ],
)
def test_bad_policies_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        Policy.load(table)


def test_policy_from_a_task_pack(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text(
        'name = "x"\n[privacy]\nprofile = "rules"\n[privacy.rules.ORG]\naction = "keep"\n', encoding="utf-8"
    )
    policy = Policy.load(path)
    assert policy.action("ORG") == "keep" and policy.action("PERSON") == "replace"
    assert policy.hash != Policy().hash
    with pytest.raises(PolicyError, match="No privacy policy"):
        Policy.load("nowhere.toml")


def test_cache_returns_the_same_and_holds_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector(Policy(profile="rules"))
    texts = ["call 98765 43210, Priya Sharma", "nothing here", "call 98765 43210, Priya Sharma"]
    first = detector.scan(texts, cache=ScanCache(tmp_path))

    def never(self: Detector, seen: object) -> list[Finding]:
        raise AssertionError("searched again")

    monkeypatch.setattr(Detector, "_analyze", never)
    assert detector.scan(texts, cache=ScanCache(tmp_path)) == first
    content = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"Priya" not in content and b"98765" not in content


def test_a_record_known_whole_is_not_looked_at_again_and_an_edited_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(Policy(profile="rules"))
    record = {"prompt": "Patient: this is Priya Sharma", "completion": "Thanks, Priya."}
    swapped = dict(zip(record, reversed(record.values()), strict=True))
    [first] = detector.scan_records([record], cache=ScanCache(tmp_path))
    asked: list[dict[str, str]] = []
    finish = Detector._finish
    monkeypatch.setattr(
        Detector, "_finish", lambda self, fields, raw: asked.append(dict(fields)) or finish(self, fields, raw)
    )
    edited = {**record, "completion": "Thanks, Priya. Bye."}
    scans = detector.scan_records([record, edited, swapped], cache=ScanCache(tmp_path))
    assert scans[0] == first and asked == [edited, swapped]
    assert [scan.findings for scan in scans] == [detector.scan_record(r) for r in (record, edited, swapped)]


def test_the_languages_model_is_asked_once_per_distinct_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector.from_policy({"encoder": False})
    asked: list[str] = []
    pipe = detector._ner.nlp.pipe
    monkeypatch.setattr(
        detector._ner.nlp, "pipe", lambda texts, **kw: pipe([asked.append(t) or t for t in texts], **kw)
    )
    turn = "Then Thistlewick walked in."
    detector.scan([turn, turn + "\n" + turn, "so it goes"])
    assert asked == [turn]  # repeated turns once, turns without a candidate never


def test_check_digits() -> None:
    assert verhoeff_ok("2363") and not verhoeff_ok("2364")
    assert luhn_ok("4111111111111111") and not luhn_ok("4111111111111112")
    assert gstin_ok("27AAPFU0939F1ZV") and not gstin_ok("27AAPFU0939F1ZW")


@pytest.mark.parametrize("text", ["Call 112 or 911 now.", "Ring 108, then 100.", "911/112 at once"])
def test_numbers_that_send_help_are_kept(text: str) -> None:
    """Also where the trained recognizer would call them an identifier."""
    from curate.privacy import trained

    said = "Please step back from the edge of the bridge and call 112 or 911 now. You matter."
    assert Detector(Policy(profile="thorough")).scan([said, text]) == [[], []]
    start = said.index("112")
    assert trained.plausible(said, start, start + len("112 or 911"), "ID") is None


def test_a_word_that_opens_a_sentence_is_a_name_only_when_nobody_knows_it() -> None:
    assert trained.everyday("Absolutely") and trained.everyday("Gold")
    assert not trained.everyday("Yewande") and not trained.everyday("Jobin")


def test_speakers_and_last_words_name_people() -> None:
    chat = "pim: the disk is full\nrosalind: again?\npim: yes, purged the old logs"
    assert [chat[s:e] for s, e in people.speakers(chat)] == ["pim", "pim"]
    assert list(people.speakers("caller: hello\nagent: hi\ncaller: it broke")) == []
    mail = "I have waited for eleven days and nobody has rung me back. Please refund.\nRemruata"
    assert [mail[s:e] for s, e in people.sign_off(mail)] == ["Remruata"]
    assert list(people.sign_off(mail.replace("Remruata", "Thanks"))) == []


@given(st.text(alphabet="aB.,-' \n1é", max_size=40), st.integers(0, 40), st.integers(1, 10))
def test_a_whole_name_never_shrinks_and_stays_in_the_text(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    end = min(len(text), start + length)
    low, high = people.whole(text, start, end)
    assert 0 <= low <= start and high >= end - 2 and high <= len(text)
