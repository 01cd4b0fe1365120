"""Support answers: is every promise on the dated policy sheet, and is handed over what must be?

Covers: times, fees, shares, who pays and channels against the sheet in force, stale versions, questions that a person
must answer, whether the answer tells what was asked for, the steps of an answer in their order, brand voice,
readability; with the words in question and the nearest fact. Does not cover: whether a promise without number, payer or
channel is kept, politeness beyond the markers, truth of the sheet. See the card (README.md).
"""

import json
import math
import re
from datetime import date

import datasets
import evaluate

from evals._tone import content

from .claims import find_claims, hands_over, judge, keywords_heard, says, tells
from .sheet import in_force, read_sheet

HELPERS = ("evals.metrics.contract_clauses.values", "evals._tone")
LIBRARIES = ("pydantic",)
OPTIONAL = ("expects", "histories")
HAND_OVER = "hand_over"  # what `expects` says of a question that a person must answer
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
    "not_told",
    "off_topic",
)
WEIGHTS = {"promises": 0.45, "hand_over": 0.25, "voice": 0.12, "workflow": 0.12, "readability": 0.06}
LONGEST = 20_000  # characters that are read
_KIND = {"time": "wrong_time", "inr": "wrong_fee", "percent": "wrong_share", "payer": "wrong_payer",
         "channel": "wrong_channel", "certainty": "unsupported_promise"}  # fmt: skip


class PolicyFacts(evaluate.Metric):
    """`compute(predictions, questions, policies, expects=None, histories=None, as_of=None, pack_dir=None)`.

    ``policies``: one sheet for all answers, or a list with one entry an answer; an entry is a sheet or a list of its
    versions, each a dict, TOML or JSON text, or a path (relative to ``pack_dir``). ``as_of``: ISO day whose version
    counts, without it the newest. ``promises`` is the share of claims that the sheet bears out. ``expects``: per answer
    "hand_over", or the ids of the facts that it has to tell (white space between them), or nothing. ``histories``: per
    answer the turns before the question as JSON, of which the customer's belong to what was asked.

    ``joint`` is voice x relevance x supported x hand_over: ``supported`` is 1 without a critical claim, ``relevance``
    the share of the expected facts that are told (none named: 0 for an answer that takes up no word of the question,
    hands nothing over and tells nothing that is on the sheet).

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
                {name: datasets.Value("string") for name in ("predictions", "questions", *OPTIONAL)}
            ),
        )

    def compute(self, *, predictions=None, questions=None, expects=None, histories=None, **options):
        """As in the class; an optional column may be left out, or hold None or an empty text where nothing is known."""

        def column(values):
            return [value or "" for value in values or [""] * len(predictions)]

        return super().compute(
            predictions=predictions,
            questions=questions,
            expects=column(expects),
            histories=column(histories),
            **options,
        )

    def _compute(self, predictions, questions, expects, histories, policies=None, as_of=None, pack_dir=None):
        day = date.fromisoformat(as_of) if as_of else None
        versions = _per_answer(policies, len(predictions), pack_dir)
        judged = [
            _judge(text or "", question or "", sheets, day, _before(history), expected)
            for text, question, history, sheets, expected in zip(
                predictions, questions, histories, versions, expects, strict=True
            )
        ]
        result = {"score": _mean([item["score"] for item in judged])}
        for name in (*WEIGHTS, "relevance", "supported", "joint", "reading_ease"):
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


def _before(history):
    """What the customer said before, of a conversation as JSON."""
    turns = json.loads(history) if history else []
    return "".join(f"{turn['content']}\n" for turn in turns if turn["role"] == "user")


def _judge(whole, last, sheets, day, before="", expected=""):
    text, question = whole[:LONGEST], before + last
    sheet = in_force(sheets, day)
    day = day or sheet.valid_from
    person, wanted = _expected(expected, sheet)
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
    topic = next((topic for topic in sheet.hand_over if any(says(last, cue) for cue in topic.cues)), None)
    must = f"{topic.topic}: {topic.reason}" if topic else "this question is for a person" if person else ""
    handed = hands_over(text)
    if must and handed is None:
        hits.append(("must_hand_over", 0, len(text.rstrip()), must))
    if (handed is not None or wrong < len(claims)) and not wanted:
        relevance = 1.0
    else:
        relevance = _relevance(text, question, sheet, wanted, claims, hits)
    voice = _voice(text, sheet.voice, hits)
    workflow = _workflow(text, last, sheet.workflow, hits)
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
        "hand_over": there * float(not must or handed is not None),
        "voice": there * voice,
        "workflow": there * workflow,
        "readability": there * readable,
    }
    score = round(sum(subscores[name] * weight for name, weight in WEIGHTS.items()), 9)
    subscores["relevance"] = there * relevance
    subscores["supported"] = there * float(wrong == 0)
    subscores["joint"] = math.prod(
        subscores[name] for name in ("voice", "relevance", "supported", "hand_over")
    )
    evidence = [
        {"kind": kind, "span": whole[start:end], "start": start, "end": end, "support": support[:300], "critical": kind in CRITICAL}  # noqa: E501
        for kind, start, end, support in dict.fromkeys(hits)
    ]  # fmt: skip
    evidence.sort(key=lambda hit: (hit["start"], hit["end"], hit["kind"], hit["support"]))
    return {"score": score, "subscores": subscores | {"reading_ease": ease}, "evidence": evidence}


def _expected(expected, sheet):
    """Whether a person must answer, and the facts that must be told. Raises `ValueError` for an unknown id."""
    names = expected.split()
    facts = {fact.id: fact for fact in sheet.facts}
    unknown = [name for name in names if name != HAND_OVER and name not in facts]
    if unknown:
        raise ValueError(
            f"expects {unknown[0]!r}: neither {HAND_OVER!r} nor a fact of sheet {sheet.name!r} {sheet.version}."
        )
    return HAND_OVER in names, [facts[name] for name in names if name != HAND_OVER]


def _relevance(text, question, sheet, wanted, claims, hits):
    """Share of the wanted facts that are told; without any whether the answer takes up what was asked."""
    if wanted:
        silent = [fact for fact in wanted if not tells(fact, text, claims)]
        hits += [("not_told", 0, 0, fact.text or fact.id) for fact in silent]
        return 1.0 - len(silent) / len(wanted)
    asked, said = set(content(question)), set(content(text))
    if not asked or asked & said or keywords_heard(sheet.facts, question, text):
        return 1.0
    hits.append(("off_topic", 0, 0, "no word of the question's subject"))
    return 0.0


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
