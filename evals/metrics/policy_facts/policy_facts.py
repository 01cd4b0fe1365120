"""Support answers: is every promise on the dated policy sheet, and is handed over what must be?

Covers: times, fees, shares, who pays and channels against the sheet in force, stale versions, questions that a person
must answer, the steps of an answer in their order, brand voice, readability; with the words in question and the
nearest fact. Does not cover: whether a promise without number, payer or channel is kept, politeness beyond the
markers, truth of the sheet. See the card (README.md).
"""

import re
from datetime import date

import datasets
import evaluate

from .claims import find_claims, hands_over, judge, says
from .sheet import in_force, read_sheet

HELPERS = ("evals.metrics.contract_clauses.values",)
LIBRARIES = ("pydantic",)
CRITICAL = ("wrong_time", "wrong_fee", "wrong_share", "wrong_payer", "wrong_channel", "unsupported_promise", "stale_fact",  # noqa: E501
            "must_hand_over")  # fmt: skip
COUNTERS = (
    *CRITICAL,
    "voice_missing",
    "voice_forbidden",
    "step_missing",
    "step_order",
    "hard_to_read",
    "empty",
    "too_long",
)
WEIGHTS = {"promises": 0.45, "hand_over": 0.25, "voice": 0.12, "workflow": 0.12, "readability": 0.06}
LONGEST = 20_000  # characters that are read
_KIND = {"time": "wrong_time", "inr": "wrong_fee", "percent": "wrong_share", "payer": "wrong_payer",
         "channel": "wrong_channel", "certainty": "unsupported_promise"}  # fmt: skip


class PolicyFacts(evaluate.Metric):
    """`compute(predictions, questions, policies, as_of=None, pack_dir=None)`.

    ``policies``: one sheet for all answers, or a list with one entry an answer; an entry is a sheet or a list of its
    versions, each a dict, TOML or JSON text, or a path (relative to ``pack_dir``). ``as_of``: ISO day whose version
    counts, without it the newest. ``promises`` is the share of claims that the sheet bears out.

    Returns ``score``, a mean per part (`WEIGHTS`), ``reading_ease``, a count per kind of hit (`COUNTERS`),
    ``answers_with_critical``, and per item ``scores``, ``subscores``, ``evidence``.
    Raises `ValueError` for a sheet that cannot be read or a day without one.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Promises of a support answer against a dated policy sheet.",
            citation="",
            inputs_description="\npredictions: answers; questions: what was asked; policies: dated sheets.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "questions": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions, questions, policies=None, as_of=None, pack_dir=None):
        day = date.fromisoformat(as_of) if as_of else None
        versions = _per_answer(policies, len(predictions), pack_dir)
        judged = [
            _judge(text or "", question or "", sheets, day)
            for text, question, sheets in zip(predictions, questions, versions, strict=True)
        ]
        result = {"score": _mean([item["score"] for item in judged])}
        for name in (*WEIGHTS, "reading_ease"):
            result[name] = _mean([item["subscores"][name] for item in judged])
        for name in COUNTERS:
            result[name] = sum(hit["kind"] == name for item in judged for hit in item["evidence"])
        result["answers_with_critical"] = sum(
            any(hit["critical"] for hit in item["evidence"]) for item in judged
        )
        return result | {
            "scores": [item["score"] for item in judged],
            "subscores": [item["subscores"] for item in judged],
            "evidence": [item["evidence"] for item in judged],
        }


def _per_answer(policies, count, folder):
    """A list of versions for each answer; a sheet that is named many times is read once."""
    if policies is None:
        raise ValueError(
            "policies is missing: give the dated policy sheet, for example policies=['policy.toml']."
        )
    if not isinstance(policies, list | tuple):
        policies = [policies]
    if len(policies) != count:
        if len(policies) != 1:
            raise ValueError(
                f"policies has {len(policies)} entries for {count} answers; give one, or one an answer."
            )
        policies = list(policies) * count
    known = {}

    def read(source):
        key = source if isinstance(source, str) else id(source)
        if key not in known:
            known[key] = read_sheet(source, folder)
        return known[key]

    return [
        [read(one) for one in (entry if isinstance(entry, list | tuple) else [entry])] for entry in policies
    ]


def _judge(whole, question, sheets, day):
    text = whole[:LONGEST]
    sheet = in_force(sheets, day)
    day = day or sheet.valid_from
    hits = [("too_long", LONGEST, LONGEST, f"{len(whole)} characters")] if len(whole) > LONGEST else []
    if not re.search(r"\w", text):
        hits.append(("empty", 0, 0, "no answer"))
    claims = find_claims(text, question)
    wrong = 0
    for claim in claims:
        right, support = judge(claim, text, question, sheet, day)
        if right:
            continue
        wrong += 1
        kind = _KIND[claim.kind]
        for other in sheets:
            if other is not sheet and judge(claim, text, question, other, other.valid_from)[0]:
                kind, support = "stale_fact", f"{support} (said by version {other.version})"
        if support.startswith("nothing of the kind"):
            kind = "unsupported_promise"
        hits.append((kind, claim.start, claim.end, support))
    must = next((topic for topic in sheet.hand_over if any(says(question, cue) for cue in topic.cues)), None)
    handed = hands_over(text)
    if must is not None and handed is None:
        hits.append(("must_hand_over", 0, len(text.rstrip()), f"{must.topic}: {must.reason}"))
    voice = _voice(text, sheet.voice, hits)
    workflow = _workflow(text, question, sheet.workflow, hits)
    ease = reading_ease(text)
    readable = 1.0
    if sheet.voice.reading_ease is not None and ease < sheet.voice.reading_ease and text.strip():
        hits.append(
            (
                "hard_to_read",
                0,
                0,
                f"reading ease {ease:.0f}, at least {sheet.voice.reading_ease:.0f} is asked for",
            )
        )
        readable = max(0.0, ease / sheet.voice.reading_ease) if sheet.voice.reading_ease > 0 else 0.0
    there = float(bool(re.search(r"\w", text)))
    subscores = {
        "promises": there * (1.0 - wrong / len(claims) if claims else 1.0),
        "hand_over": there * float(must is None or handed is not None),
        "voice": there * voice,
        "workflow": there * workflow,
        "readability": there * readable,
    }
    score = round(sum(subscores[name] * weight for name, weight in WEIGHTS.items()), 9)
    evidence = [
        {"kind": kind, "span": whole[start:end], "start": start, "end": end, "support": support[:300], "critical": kind in CRITICAL}  # noqa: E501
        for kind, start, end, support in dict.fromkeys(hits)
    ]  # fmt: skip
    evidence.sort(key=lambda hit: (hit["start"], hit["end"], hit["kind"], hit["support"]))
    return {"score": score, "subscores": subscores | {"reading_ease": ease}, "evidence": evidence}


def _voice(text, voice, hits):
    good = 0
    for markers in voice.required:
        if any(says(text, marker) for marker in markers):
            good += 1
        else:
            hits.append(("voice_missing", 0, 0, " / ".join(markers)))
    bad = 0
    for phrase in voice.forbidden:
        for match in re.finditer(rf"(?<!\w){re.escape(phrase)}", text, re.IGNORECASE):
            bad += 1
            hits.append(("voice_forbidden", match.start(), match.end(), "not in the brand's voice"))
    share = good / len(voice.required) if voice.required else 1.0
    return max(0.0, share - 0.5 * bad)


def _workflow(text, question, workflows, hits):
    """Share of steps that are there and after the step before them."""
    good = total = 0
    for flow in workflows:
        if flow.questions and not any(says(question, word) for word in flow.questions):
            continue
        at = -1
        for step in flow.steps:
            total += 1
            places = [
                m.span()
                for cue in step.cues
                for m in re.finditer(rf"(?<!\w){re.escape(cue)}", text, re.IGNORECASE)
            ]
            later = [place for place in places if place[0] > at]
            if later:
                good += 1
                at = min(later)[0]
            elif places:
                hits.append(("step_order", *min(places), f"{flow.name}: {step.name}"))
            else:
                hits.append(("step_missing", 0, 0, f"{flow.name}: {step.name}"))
    return good / total if total else 1.0


def reading_ease(text):
    """206.835 - 1.015 words/sentences - 84.6 syllables/words (Flesch, J. Appl. Psychol. 1948).

    Syllables are groups of vowels, less a silent e at the end. 0 for a text without words.
    """
    words = re.findall(r"[A-Za-z][A-Za-z'’]*", text)
    if not words:
        return 0.0
    stops = max(1, len(re.findall(r"[.!?:;]+(?=\s|$)|\n+", text.strip())))
    syllables = sum(_syllables(word) for word in words)
    return 206.835 - 1.015 * len(words) / stops - 84.6 * syllables / len(words)


def _syllables(word):
    word = word.casefold()
    groups = len(re.findall(r"[aeiouy]+", word))
    if word.endswith("e") and not word.endswith(("le", "ee")) and groups > 1:
        groups -= 1
    return max(1, groups)


def _mean(values):
    return sum(values) / len(values) if values else 0.0
