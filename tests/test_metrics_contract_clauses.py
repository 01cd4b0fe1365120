"""Employment agreements: what the scorer sees, what it leaves alone, and that its evidence points at the words."""

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import evals
from evals.metrics.contract_clauses import contract_clauses as module
from evals.metrics.contract_clauses.clauses import CLAUSES
from evals.metrics.contract_clauses.facts import read_request
from evals.metrics.contract_clauses.statutes import CODES, STATUTES, find_statutes
from evals.metrics.contract_clauses.values import find_days, find_money, find_periods

REQUEST = (
    "Please draft an employment agreement for Asha Menon, joining Blue Kite Systems Private Limited "
    "in Bengaluru as Senior "
    "Engineer on 1 December 2026. CTC Rs. 18,00,000 per annum, probation of six months, notice "
    "period of 60 days."
)
GOOD = """EMPLOYMENT AGREEMENT

This agreement is between Blue Kite Systems Private Limited (the "Company") and Asha Menon (the "Employee").

1. Appointment
The Company appoints the Employee as Senior Engineer from 1 December 2026.

2. Duties
The Employee shall build software for the Company.

3. Probation
There is a probation of six (6) months.

4. Remuneration
The Company shall pay Rs. 18,00,000 (Rupees Eighteen Lakh only) per annum, or Rs. 1,50,000 per month.

5. Working hours and leave
The Karnataka Shops and Commercial Establishments Act, 1961 applies.

6. Provident fund
The Employees' Provident Funds and Miscellaneous Provisions Act, 1952 applies.

7. ESI, gratuity and maternity
The Code on Social Security, 2020 applies.

8. POSH
The Internal Committee hears complaints of sexual harassment.

9. Confidentiality
Secret information (the "Trade Secrets") must not be disclosed. Old Trade Secrets stay secret.

10. Intellectual property
All work belongs to the Company.

11. Data protection
The Digital Personal Data Protection Act, 2023 applies.

12. Restrictive covenants
During employment the Employee shall not work for a competitor.
Section 27 of the Indian Contract Act, 1872 is respected.

13. Termination
Either party may terminate by sixty (60) days' written notice.

14. Governing law
The laws of India; courts at Bengaluru.

Signed: ____________________   ____________________
"""
FRESHER = (
    "A software engineer is joining Blue Kite Systems Private Limited in Bengaluru as a fresher. "
    "Draft an employment agreement."
)
BLANK = (
    GOOD.replace("Asha Menon", "[name of the Employee]")
    .replace("Senior Engineer from 1 December 2026", "Software Engineer from [date of joining]")
    .replace("six (6) months", "[●] months")
    .replace(
        "Rs. 18,00,000 (Rupees Eighteen Lakh only) per annum, or Rs. 1,50,000 per month",
        "a salary of Rs. ________ per annum",
    )
    .replace("sixty (60) days'", "[notice period]")
)


@pytest.fixture(scope="module")
def scorer():
    return evals.metric("contract_clauses")


def judged(scorer, text, request=REQUEST, **options):
    result = scorer.compute(predictions=[text], requests=[request], **options)
    for hit in result["evidence"][0]:
        assert text[hit["start"] : hit["end"]] == hit["span"]
        assert hit["critical"] == (hit["kind"] in module.CRITICAL)
    return result, {(hit["kind"], hit["span"]) for hit in result["evidence"][0]}


def test_good_agreements_have_no_hit(scorer):
    for text, request in ((GOOD, REQUEST), (BLANK, FRESHER), (GOOD, "")):
        result, hits = judged(scorer, text, request)
        assert hits == set() and result["scores"] == [1.0] and result["agreements_with_critical"] == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Rs. 18,00,000 (Rupees Eighteen Lakh only)", "Rs. 16,00,000", ("wrong_amount", "Rs. 16,00,000")),
        ("Rs. 1,50,000 per month", "Rs. 1,60,000 per month", ("wrong_amount", "Rs. 1,60,000")),
        ("Lakh only) per annum", "Lakh only) per month", ("wrong_amount", "Rs. 18,00,000")),
        ("Rupees Eighteen Lakh", "Rupees Eighty Lakh", ("contradiction", "Rs. 18,00,000")),
        ("1 December 2026", "1 December 2027", ("wrong_date", "1 December 2027")),
        ("1 December 2026", "[date]", ("placeholder_left", "[date]")),
        ("sixty (60) days'", "thirty (30) days'", ("wrong_notice", "thirty (30) days'")),
        ("sixty (60) days'", "sixty (90) days'", ("contradiction", "sixty (90) days'")),
        ("sixty (60) days'", "____ days'", ("placeholder_left", "____")),
        ("six (6) months", "three months", ("wrong_probation", "three months")),
        ("There is a probation of six (6) months.", "It applies.", ("missing_fact", "")),
        ("Asha Menon", "Usha Menon", ("wrong_party", "Usha Menon")),
        ("Asha Menon", "[Employee Name]", ("placeholder_left", "[Employee Name]")),
        ("Blue Kite Systems", "Red Kite Systems", ("wrong_party", "Red Kite Systems Private Limited")),
        ("Senior Engineer", "Finance Manager", ("wrong_role", "Finance Manager")),
        ("Code on Social Security, 2020", "Factories Act, 1948", ("stale_statute", "Factories Act, 1948")),
        ("Code on Social Security, 2020", "ESI Act", ("stale_statute", "ESI Act")),
        ("Code on Social Security, 2020", "Code on Wages, 2020", ("unknown_statute", "Code on Wages, 2020")),
        (
            "Karnataka Shops and Commercial Establishments Act, 1961",
            "Delhi Shops and Establishments Act, 1954",
            ("wrong_state", "Delhi Shops and Establishments Act, 1954"),
        ),
        ("The laws of India; courts", "The laws of Singapore; courts", ("foreign_law", "laws of Singapore")),
        ("courts at Bengaluru", "courts at Mumbai", ("court_elsewhere", "Mumbai")),
        ("All work belongs", "All Foreground Material belongs", ("undefined_term", "Foreground Material")),
        ("All work belongs", "Clinical Data belongs", ("undefined_term", "Clinical Data")),
        ("All work belongs", "All of the System belongs", ("undefined_term", "System")),  # of Blue Kite Systems
        ("All work belongs", "The Board says what belongs", ("undefined_term", "Board")),
        ("Old Trade Secrets stay secret.", "", ("unused_term", "Trade Secrets")),
        ("All work belongs to the Company.", "", ("empty_clause", "Intellectual property")),
    ],
)  # fmt: skip
def test_planted_errors_are_found_where_they_stand(scorer, old, new, expected):
    assert old in GOOD
    result, hits = judged(scorer, GOOD.replace(old, new))
    assert expected in hits, hits
    assert result["scores"][0] < 1.0


@pytest.mark.parametrize(
    "said", ["The Board of Directors decides.", "Blue Kite decides.", "The Engineers of the Company decide."]
)
def test_a_proper_name_and_a_post_are_no_terms(scorer, said):
    _, hits = judged(scorer, GOOD.replace("All work belongs", f"{said} All work belongs"))
    assert not hits, hits


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[name of the Employee]", "Rahul Verma"),
        ("[date of joining]", "1 July 2027"),
        ("[●] months", "6 months"),
        ("Rs. ________", "Rs. 6,00,000"),
        ("[notice period]", "thirty days'"),
    ],
)
def test_where_the_request_is_silent_a_value_is_an_invention(scorer, old, new):
    assert old in BLANK
    result, hits = judged(scorer, BLANK.replace(old, new), FRESHER)
    assert {kind for kind, _ in hits} == {"invented_value"}, hits
    assert result["agreements_with_critical"] == 1


def test_standing_instructions_count_as_said(scorer):
    text = BLANK.replace("[notice period]", "thirty days'")
    _, hits = judged(scorer, text, FRESHER, house="Our notice period is always 30 days.")
    assert hits == set()


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("duties", "2. Duties", "3. Prob"),
        ("provident_fund", "6. Prov", "7. ESI"),
        ("posh", "8. POSH", "9. Conf"),
        ("confidentiality", "9. Conf", "10. Int"),
        ("ip", "10. Int", "11. Data"),
        ("covenants", "12. Rest", "13. Term"),
        ("law", "14. Gov", "Signed"),
        ("signature", "Signed", None),
    ],
)
def test_an_omitted_clause_is_named(scorer, name, start, end):
    begin = GOOD.index(start)
    text = GOOD[:begin] + (GOOD[GOOD.index(end) :] if end else "")
    result, _ = judged(scorer, text)
    assert [hit["support"] for hit in result["evidence"][0] if hit["kind"] == "missing_clause"] == [name]


def test_order_of_clauses(scorer):
    law, sign = GOOD.index("14. Gov"), GOOD.index("Signed")
    moved = GOOD.replace(GOOD[law:sign], "").replace("1. Appointment", GOOD[law:sign] + "1. Appointment")
    _, hits = judged(scorer, moved)
    assert "clause_order" in {kind for kind, _ in hits}


@pytest.mark.parametrize(
    ("sentence", "void"),
    [
        ("For two years after termination the Employee shall not join a competitor.", True),
        (
            "The Employee agrees not to engage in any similar business following cessation of employment.",
            True,
        ),
        ("Post-employment, the Employee is barred from working for a competing firm for a year.", True),
        ("During employment the Employee shall not compete.", False),
        ("For a year after leaving the Employee shall not solicit customers to a competitor.", False),
        (
            "Nothing restrains the Employee from joining a competitor after employment; nor shall "
            "it not be read so.",
            False,
        ),
        ("After employment the Employee shall not disclose secrets to a competitor.", False),
        ("After you leave you may not set up a similar practice for three years.", True),
        ("The Employee shall not for a year after the engagement be employed in any competing bakery.", True),
    ],
)
def test_restraints_after_employment(scorer, sentence, void):
    _, hits = judged(scorer, GOOD.replace("Section 27", f"{sentence} Section 27"))
    assert ("void_restraint" in {kind for kind, _ in hits}) is void, hits


def test_statutes_are_held_against_the_day(scorer):
    old = GOOD.replace("Code on Social Security, 2020", "Maternity Benefit Act, 1961").replace("2026", "2024")
    request = REQUEST.replace("2026", "2024")
    assert judged(scorer, old, request)[1] == set()
    assert ("stale_statute", "Maternity Benefit Act, 1961") in judged(
        scorer, old, request, as_of="2026-01-01"
    )[1]
    assert ("stale_statute", "Code on Social Security, 2020") in judged(scorer, GOOD, as_of="2024-01-01")[1]
    past = GOOD.replace(
        "11. Data", "The Code replaced the erstwhile Payment of Gratuity Act, 1972.\n\n11. Data"
    )
    assert judged(scorer, past)[1] == set()


def test_the_list_of_statutes_is_consistent():
    titles = [statute.title for statute in STATUTES]
    assert len(titles) == len(set(titles))
    for statute in STATUTES:
        assert statute.until is None or (statute.since < statute.until and statute.successor)
        found = find_statutes(f"according to the {statute.title} as it stands")
        assert [mention.statute for mention in found] == [statute], statute
        if statute.until == CODES:
            assert statute.successor in titles
        elif statute.states:
            assert statute.name.endswith(("Act", "Adhiniyam"))
    assert date(2025, 11, 21) == CODES


@pytest.mark.parametrize(
    ("text", "value", "per"),
    [
        ("Rs. 18,00,000 per annum", 1_800_000, "year"),
        ("INR 36 lakh a year", 3_600_000, "year"),
        ("₹1.2 crore", 12_000_000, ""),
        ("8.4 LPA", 840_000, "year"),
        ("Rs.48000 pm", 48_000, "month"),
        ("27,000 rupees monthly", 27_000, "month"),
        ("Rupees One Crore Twenty Lakh only", 12_000_000, ""),
        ("Rs. 85,000/- (Rupees Eighty Five Thousand only) per month", 85_000, "month"),
        ("INR 1,800,000 p.a.", 1_800_000, "year"),
        ("22,000 pm", 22_000, "month"),
        ("540000 per annum", 540_000, "year"),
    ],
)
def test_amounts_are_read(text, value, per):
    (money,) = find_money(text)
    assert (money.value, money.per) == (value, per)


@pytest.mark.parametrize(
    "text",
    [
        "4 January 2027",
        "4th of January, 2027",
        "January 4, 2027",
        "04/01/2027",
        "4.1.2027",
        "2027-01-04",
        "4 Jan 2027",
    ],
)
def test_dates_are_read(text):
    assert [day.value for day in find_days(text)] == [date(2027, 1, 4)]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("sixty (60) days", 60),
        ("two months'", 60),
        ("a year", 360),
        ("ninety-day", 90),
        ("1 (one) month's", 30),
    ],
)
def test_periods_are_read(text, days):
    assert [period.days for period in find_periods(text)] == [days]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9_99_99_999))
def test_an_amount_in_indian_figures_is_read_back(value):
    digits = str(value)
    head, tail = digits[:-3], digits[-3:]
    groups = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    (money,) = find_money("Rs. " + ",".join([*groups, tail]))
    assert money.value == value


def test_requests_are_read():
    request = read_request(
        "Need a contract (Mumbai) for our Accounts Manager, Rohan Deshpande. Employer: Kaveri "
        "Retail LLP. He starts on 4 January "
        "2027, salary INR 95,000 a month. Three months probation; one month's notice after that, bonus 10%."
    )
    assert request.people == ["Rohan Deshpande"] and request.companies == ["Kaveri Retail LLP"]
    assert [p.days for p in request.periods["probation"]] == [90] and [
        p.days for p in request.periods["notice"]
    ] == [30]
    assert [m.value for m in request.money] == [95_000] and request.shares == {10.0}
    assert read_request("There is no probation.").no_probation


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Name Ganesh Waghmare, Pune", ["Ganesh Waghmare"]),
        ("Candidate Farida Begum, Miss Itishree Panda, Advocate Sukriti Bansal", None),
        ("Power Press Operator Mahadev Kamble", ["Mahadev Kamble"]),
        ("Draft agreement - Video Editor - Forklift Operator - rest TBD", []),
        ("Rest TBD by local HR. Call me by EOD EST", []),
        ("Elena D'Costa and Rory O’Brien", ["Elena D'Costa", "Rory O’Brien"]),
        ("his bat is with Aaron Finchley", ["Aaron Finchley"]),
    ],
)
def test_people_of_a_request_are_told_from_posts_and_headings(text, people):
    found = read_request(text).people
    assert found == (people if people is not None else ["Farida Begum", "Itishree Panda", "Sukriti Bansal"])


def test_requests_in_a_hurry_are_read():
    request = read_request(
        "We're Papaya Circuit Private Limited. Rs 22,000 a month, a month's notice, prob 6 months"
    )
    assert request.companies == ["Papaya Circuit Private Limited"]
    assert [p.days for p in request.periods["notice"]] == [30]
    assert [p.days for p in request.periods["probation"]] == [180]
    fortnight = read_request("Rs 20,000 per month, notice a fortnight")
    assert [p.days for p in fortnight.periods["notice"]] == [14]


def test_initials_stand_for_a_post(scorer):
    text = GOOD.replace("as Senior Engineer", "as Chief Financial Officer")
    for role, fits in (("CFO", True), ("CTO", False)):
        _, hits = judged(scorer, text, REQUEST.replace("Senior Engineer", role))
        assert ("wrong_role" not in {kind for kind, _ in hits}) is fits, hits


def test_a_gap_for_the_employer_is_held_against_the_employer(scorer):
    silent = REQUEST.replace("Blue Kite Systems Private Limited", "us")
    text = GOOD.replace("Blue Kite Systems Private Limited", "[NAME OF EMPLOYER]")
    assert judged(scorer, text, silent)[1] == set()
    assert ("placeholder_left", "[NAME OF EMPLOYER]") in judged(scorer, text)[1]


def test_a_letter_that_speaks_of_signing_first_is_in_order(scorer):
    text = GOOD.replace("This agreement is", "Your signature makes it binding.\n\nThis agreement is")
    text = text.replace("Signed: ____", "Signed by the parties in duplicate:\nDate: ____")
    assert judged(scorer, text)[1] == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1. Appointment", "1. Job and start"),
        ("1. Appointment", "1. Post"),
        ("2. Duties", "2. Work to be done"),
        ("2. Duties", "2. What the Team Member does"),
        ("10. Intellectual property", "10. Who owns your work"),
        ("10. Intellectual property", "10. Rights in your work"),
        ("9. Confidentiality", "9. Secrets of the job"),
        ("13. Termination", "13. Leaving us"),
        ("The laws of India;", "India's law applies between the parties, and it is the only one;"),
        ("13. Termination", "13. Parting"),
        ('(the "Employee").', 'referred to as "Employee".'),
        (
            "The Employee shall build software",
            "Software for Kannada readers on Mondays: the Employee shall build it",
        ),
        ("There is a probation of six (6) months.", "6 months at the beginning."),
    ],
)
def test_more_ways_to_say_it(scorer, old, new):
    assert old in GOOD
    assert judged(scorer, GOOD.replace(old, new))[1] == set()


def test_two_agreements_in_one(scorer):
    result, hits = judged(scorer, GOOD + "\n" + GOOD)
    assert "several_agreements" in {kind for kind, _ in hits} and result["subscores"][0]["clauses"] <= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "\x00",
        "I cannot draft this.",
        "Dear Asha",
        "(" * 5000,
        "[" * 5000,
        "A. " * 5000,
        "Act " * 5000,
        "٣ lakh",
    ],
)
def test_odd_outputs_are_scored_and_not_fatal(scorer, text):
    result, _ = judged(scorer, text)
    assert 0.0 <= result["scores"][0] < 0.5


def test_an_enormous_output_is_cut_and_said(scorer):
    result, hits = judged(scorer, GOOD + "The work goes on. " * 15_000)
    assert ("too_long", "") in hits and result["too_long"] == 1


def test_an_empty_agreement_scores_nothing_and_lacks_everything(scorer):
    result, _ = judged(scorer, "")
    assert result["scores"] == [0.0]
    assert {hit["support"] for hit in result["evidence"][0] if hit["kind"] == "missing_clause"} == set(
        CLAUSES
    )


def test_batch_equals_singles_and_counts_add_up(scorer):
    texts = [GOOD, GOOD.replace("18,00,000", "19,00,000"), "nothing"]
    together = scorer.compute(predictions=texts, requests=[REQUEST] * 3)
    alone = [scorer.compute(predictions=[text], requests=[REQUEST]) for text in texts]
    assert together["scores"] == [one["scores"][0] for one in alone]
    assert together["evidence"] == [one["evidence"][0] for one in alone]
    kinds = [hit["kind"] for hits in together["evidence"] for hit in hits]
    assert set(kinds) <= set(module.COUNTERS)
    assert {name: together[name] for name in module.COUNTERS} == {
        name: kinds.count(name) for name in module.COUNTERS
    }


def test_wrong_options_say_what_is_known(scorer):
    with pytest.raises(ValueError, match="required knows"):
        judged(scorer, GOOD, required=["prose"])
    assert (
        judged(scorer, "1. Duties\nThe work.", "", required=["duties"])[0]["subscores"][0]["clauses"] == 1.0
    )


def test_without_requests_only_the_document_is_judged(scorer):
    result = scorer.compute(predictions=[GOOD, BLANK])
    assert result["scores"] == [1.0, 1.0]


FRAGMENTS = st.sampled_from(
    "Rs. 5,00,000 ~(Rupees Five Lakh) ~per annum ~1 May 2027 ~31/02/2027 ~two (3) months' notice ~\n1. ~\n## ~"
    'Probation: ~Code on Wages, 2019 ~Act, 1999 ~(the "Term") ~[●] ~____ ~Asha Menon ~Blue Ltd. ~courts at Pune ~'
    'shall not compete after leaving. ~%~12% ~(~)~"'.split("~")
)


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.lists(FRAGMENTS, max_size=40).map("".join)),
    st.one_of(st.text(max_size=120), st.lists(FRAGMENTS, max_size=15).map("".join)),
)
@example(GOOD[:400], "Asha  ")
def test_any_text_gives_a_score_and_true_spans(text, request):
    item = module._judge(text, request, CLAUSES, None)
    assert 0.0 <= item["score"] <= 1.0
    assert all(text[hit["start"] : hit["end"]] == hit["span"] for hit in item["evidence"])
