"""Reports: the same inputs give the same bytes, texts stay texts, nothing is fetched."""

import html.parser
import json
import re

import pytest

from curate.errors import NotFound
from evals.arms import Arm
from evals.gate import decide
from evals.report import gather, pieces, render_markdown, write_report
from evals.run import run_suite
from tests.eval_helpers import outputs, pack_folder, rows, snapshot_folder

NASTY = "<script>alert(1)</script> {{ 7*7 }} ``` |x| **bold** [l](javascript:alert(1)) \x1b[31m \u202e =cmd() \x00 end"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of three arms with slices, a gap, a snapshot and hostile texts; its gate's decision."""
    folder = tmp_path_factory.mktemp("report")
    eval_rows = rows(40, clusters=20)
    eval_rows[0].prompt = eval_rows[0].reference = NASTY
    eval_rows[1].history = [{"role": "user", "content": NASTY}]
    pack = pack_folder(folder / "pack", eval_rows, baselines=["retrieval"])
    pairs = [(f"Say it: {row.reference}", f"{row.reference}") for row in eval_rows[2:8]]
    snapshot = snapshot_folder(folder / "snapshot", pairs, pack)
    vendor = outputs(eval_rows, 0.5, seed=3)
    vendor["row-000"] = NASTY
    del vendor["row-009"]
    arms = [
        Arm("tuned", "file", outputs=outputs(eval_rows, 0.9, seed=1), note="fine-tuned <b>model</b>"),
        Arm("retrieval", "retrieval"),
        Arm("vendor", "file", outputs=vendor),
    ]
    run = run_suite(folder / "pack", pack, "main", arms, folder / "run", snapshot_dir=snapshot)
    agreement = {"kappa": 0.71, "interval": [0.6, 0.82], "n": 120, "raw": 0.9, "by": "reviewer-a", "arms": []}
    (run.folder / "agreement.json").write_text(json.dumps(agreement))
    return run, decide(run, pack.gate), folder


class Page(html.parser.HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.handlers, self.texts = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.links.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        self.texts.append(data)


def test_same_inputs_same_bytes(made, tmp_path):
    run, decision, _ = made
    first = write_report(run, decision, tmp_path / "a")
    second = write_report(run.folder, decision.to_dict(), tmp_path / "b")
    for form in ("html", "md", "json"):
        assert first[form].read_bytes() == second[form].read_bytes()


def test_page_holds_what_a_reader_needs(made, tmp_path):
    run, decision, _ = made
    page = write_report(run, decision, tmp_path)["html"].read_text()
    text = " ".join(" ".join(Page(page).texts).split())
    assert decision.verdict in text and decision.worth_it in text
    for words in (
        "What the gate checked", "Paired differences", "Fixed", "Broken", "Slices", "p (Holm)", "Answers side by side",
        "look number 1".capitalize(), "kappa 0.71", "labelled blind by reviewer-a", "Snapshot", "2 rejected", "own (6)",
        "vendor on row-009", "greedy", "Not part of this run".lower(), run.meta["scorer"]["version"],
        "Scorer does not claim to see", *run.meta["scorer"]["misses"],
    ):  # fmt: skip
        assert words in text, words
    assert page.count("<article") >= 6 and page.count("<svg") == 3
    assert (
        text.index(decision.verdict)
        < text.index("What the gate checked")
        < text.index("Answers side by side")
    )


def test_texts_are_never_interpreted(made, tmp_path):
    run, decision, _ = made
    page = write_report(run, decision, tmp_path)["html"].read_text()
    parsed = Page(page)
    assert "script" not in parsed.tags and parsed.handlers == [] and "b" in parsed.tags
    assert "&lt;script&gt;alert(1)" in page and "{{ 7*7 }}" in page and "fine-tuned &lt;b&gt;" in page
    assert "\x00" not in page and "\x1b" not in page


def test_page_asks_for_nothing(made, tmp_path):
    run, decision, _ = made
    page = write_report(run, decision, tmp_path)["html"].read_text()
    assert Page(page).links == []
    assert "url(http" not in page and "@import" not in page and "default-src 'none'" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "charts must not share ids"


def test_markdown_fences_cannot_be_closed_from_inside(made):
    run, decision, _ = made
    text = render_markdown(gather(run, decision.to_dict()))
    assert text.startswith("# Parrot") and f"**Verdict: {decision.verdict}**" in text.splitlines()[2]
    assert "````text" in text and "\x1b" not in text
    outside, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"`{3,}", line)
        if fence is None and mark:
            fence = mark.group()
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None and not any("<script>" in line for line in outside)


def test_json_has_the_numbers(made, tmp_path):
    run, decision, _ = made
    body = json.loads(write_report(run, decision, tmp_path)["json"].read_text())
    arms = {arm["name"]: arm for arm in body["arms"]}
    assert arms["tuned"]["mean"] == pytest.approx(sum(run.primary("tuned").values()) / 40)
    assert arms["tuned"]["interval"][0] < arms["tuned"]["mean"] < arms["tuned"]["interval"][1]
    assert arms["vendor"]["gaps"] == 1
    for item in body["differences"]:
        assert sum(item["table"].values()) == item["n"]
        fixed, broken = item["table"]["fixed"], item["table"]["broken"]
        assert item["estimate"] == pytest.approx((fixed - broken) / item["n"])
    assert {s["key"] for s in body["slices"]} == {"length"} and all(
        s["p_holm"] >= s["p"] for s in body["slices"]
    )
    kinds = [example["kind"] for example in body["examples"]]
    assert kinds[0] == "broken" and len(kinds) >= 6


def test_override_is_shown(made, tmp_path):
    run, decision, _ = made
    signed = {"user": "lead", "reason": "pilot <only>", "ts": "2026-01-02T00:00:00+00:00"}
    paths = write_report(run, decision.to_dict() | {"override": signed}, tmp_path)
    assert "pilot &lt;only&gt;" in paths["html"].read_text() and "override" in paths["md"].read_text()


def test_without_a_decision_the_page_says_so(made, tmp_path):
    run, _, _ = made
    paths = write_report(run, None, tmp_path)
    assert "Not decided" in paths["html"].read_text()
    body = json.loads(paths["json"].read_text())
    assert body["candidate"] == "tuned" and body["verdict"] is None


def test_a_single_arm_and_few_rows_still_report(tmp_path):
    eval_rows = rows(3)
    pack = pack_folder(tmp_path / "pack", eval_rows)
    arm = Arm("only", "file", outputs=outputs(eval_rows, 1.0))
    run = run_suite(tmp_path / "pack", pack, "main", [arm], tmp_path / "run")
    page = write_report(run, decide(run, pack.gate, candidate="only"), tmp_path / "out")["html"].read_text()
    assert page.count("<article") == 3


def test_spans_are_marked_and_overlaps_do_not_break_the_text():
    text = "take 200 mg of lisinopril"
    hits = [
        {"start": 5, "end": 8, "kind": "wrong_dose", "support": "", "critical": True},
        {"start": 5, "end": 11, "kind": "unsupported_number", "support": "", "critical": False},
        {"start": 15, "end": 25, "kind": "unsupported_medication", "support": "", "critical": True},
        {"start": 0, "end": 0, "kind": "missing_section", "support": "", "critical": False},
        {"start": 90, "end": 99, "kind": "beyond", "support": "", "critical": False},
    ]
    cut = pieces(text, hits)
    assert "".join(piece["text"] for piece in cut) == text
    assert [piece["text"] for piece in cut if piece["hit"]] == ["200 mg", "lisinopril"]


def test_report_of_something_else_is_refused(tmp_path):
    with pytest.raises(NotFound):
        write_report(tmp_path, None, tmp_path)


@pytest.mark.browser
def test_a_real_browser_shows_it_and_sends_no_request(made, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    run, decision, _ = made
    path = write_report(run, decision, tmp_path)["html"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
            requests, errors = [], []
            page.on("request", lambda request, seen=requests: seen.append(request.url))
            page.on("console", lambda message, seen=errors: seen.append(message.text))
            page.on("dialog", lambda dialog, seen=errors: seen.append(dialog.message))
            page.goto(path.as_uri())
            assert page.locator(".verdict b").inner_text() == decision.verdict
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
                "no sideways scroll"
            )
            assert requests == [path.as_uri()] and errors == []
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
