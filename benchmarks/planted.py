"""Dose and response of preflight: wrong labels planted into a snapshot, how often is training stopped?

Covers: the shipped sarcastic bot as frozen by its recorded decisions, visit notes from phrases, visit notes written by
hand (the rules of their scorer were written beside some, and know nothing of others), support answers and employment
agreements (``documents_data``), COBOL programs with a trap each; wrong labels of kinds that the scorers' cards claim to
see and of kinds that they do not (`evals.claims`), in 2, 5, 10 and 25 % of the pairs, scattered, and on the sarcastic
bot also as one annotator's batch. Every text is judged once by the real scorer as preflight judges it
(`curate.preflight.judge_gold`); a run is a draw of which pairs are wrong, decided by the real rule
(`curate.preflight.decide_gold`). The share of runs stopped has its Clopper-Pearson interval over draws; it says nothing
about texts other than these.
Does not cover: retraining, the other checks of preflight (an empty completion never reaches the scorer: freezing and
the tokenising check refuse it), whether such mistakes are as frequent in life.

Preflight stops a snapshot for a clean text that the scorer accuses as well. People correct or waive those before
training, so the clean texts that fail critically are left out first, and a row says how many they were.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import evals
from benchmarks import documents
from benchmarks._plant import PLANTERS, said
from benchmarks._shipped import at_snapshot
from benchmarks.scorers import lines
from curate import contract
from curate.preflight import Judged, decide_gold, judge_gold
from curate.tasks import Suite, TaskPack, find_pack, load_pack
from evals.cobol.traps import pitfalls
from evals.stats import clopper_pearson

HERE = Path(__file__).parent
SHARES = (0.02, 0.05, 0.1, 0.25)
PAIRS = 200  # of a drawn snapshot, where the texts are fewer
BATCH = 0.05  # of the pairs are the batch of the annotator whose work is wrong
ASKED = 120  # questions that the untuned model answers

# kind of the scorer's card, with how it was made after a comma -> a wrong text for each pair, None where there is none
Wrong = Mapping[str, Sequence[str | None]]
VALUES = {
    "unsupported_medication": "medication",
    "wrong_allergy": "allergen",
    "wrong_date": "date",
    "wrong_dose": "dose",
    "wrong_laterality": "side",
    "wrong_number": "number",
}


@dataclass
class Bed:
    """Pairs and their wrong versions."""

    name: str
    pack: TaskPack
    folder: Path
    rows: list[dict[str, Any]]
    wrong: Wrong = field(default_factory=dict)
    drawn: bool = True  # snapshots of `PAIRS` pairs drawn with replacement; else all pairs as they are


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Rows by bed and kind; quick takes 100 draws instead of 400 and a quarter of the sarcastic bot's pairs."""
    rounds = 100 if quick else 400
    for make in (
        notes_from_phrases,
        notes_by_hand,
        notes_of_strangers,
        support_answers,
        agreements,
        programs,
        lambda: sarcastic_bot(quick),
    ):
        yield from _measured(make(), rounds)


# --- measuring ------------------------------------------------------------------------------------------------------


def _measured(bed: Bed, rounds: int) -> list[dict[str, Any]]:
    suite = bed.pack.suites[0]
    clean = _judge(bed, [row["completion"] for row in bed.rows])
    accused = [number for number, item in enumerate(clean) if item["critical"]]
    kept = [number for number in range(len(bed.rows)) if number not in set(accused)]
    version = evals.scorer_version(suite.metric)
    rows = [
        _row(bed, "clean pairs that a person has to see first (accused critically)", "as measured",
             round(len(accused) / len(clean), 4), f"{len(accused)} of {len(clean)}", None, version)
    ]  # fmt: skip
    passed = sum(_verdict(bed, _clean(bed, clean, kept, r)) == "PASS" for r in range(rounds))
    rows.append(_rate(bed, "a clean snapshot passes, those seen to", passed, rounds, 0.8, version))
    claims = evals.claims(suite.metric)
    for kind, texts in bed.wrong.items():
        claimed = kind.split(", ")[0] in claims.sees
        if not claimed and kind.split(", ")[0] not in claims.misses:
            raise ValueError(f"The card of {suite.metric} says nothing of {kind!r}.")
        able = [number for number in kept if texts[number] is not None]
        judged = dict(zip(able, _judge(bed, [texts[n] or "" for n in able], able), strict=True))
        fails = sum(item["fails"] for item in judged.values())
        for scattered in (True, False) if not bed.drawn else (True,):
            curve = {
                share: sum(_stopped(bed, clean, judged, kept, share, scattered, r) for r in range(rounds))
                for share in SHARES
            }
            what = f"{kind} ({'claimed' if claimed else 'not claimed'} by the scorer)"
            what += "" if scattered else ", all of one annotator's batch"
            rest = ", ".join(f"{share:.0%}: {_interval(n, rounds)}" for share, n in curve.items())
            more = f"{fails} of {len(able)} such texts fail; {rest}"
            goal = 0.95 if claimed and scattered else None
            figure = f"2 % {what}: preflight stops"
            rows.append(_rate(bed, figure, curve[SHARES[0]], rounds, goal, version, more))
    return rows


def _judge(bed: Bed, texts: Sequence[str], which: Sequence[int] | None = None) -> list[Judged]:
    chosen = range(len(bed.rows)) if which is None else which
    pairs = [bed.rows[n] | {"completion": text} for n, text in zip(chosen, texts, strict=True)]
    return judge_gold(pairs, bed.folder, bed.pack, bed.pack.suites[0])


def _clean(bed: Bed, clean: Sequence[Judged], kept: Sequence[int], seed: int) -> list[Judged]:
    """A clean snapshot: drawn with replacement, or four fifths of the real one."""
    rng = random.Random(f"clean/{seed}")
    some = rng.choices(kept, k=PAIRS) if bed.drawn else rng.sample(kept, 4 * len(kept) // 5)
    return [clean[number] | {"pair_id": f"p{place}"} for place, number in enumerate(some)]


def _stopped(
    bed: Bed,
    clean: Sequence[Judged],
    wrong: Mapping[int, Judged],
    kept: Sequence[int],
    share: float,
    scattered: bool,
    seed: int,
) -> bool:
    """Whether preflight stops one drawn snapshot with wrong labels in it, and passes the same one without them."""
    rng = random.Random(f"{share}/{seed}")
    some = rng.choices(kept, k=PAIRS) if bed.drawn else list(kept)
    items = [clean[number] | {"pair_id": f"p{place}"} for place, number in enumerate(some)]
    able = [place for place, number in enumerate(some) if number in wrong]
    count = min(len(able), max(1, round(share * len(some))))
    batch = rng.sample(able, min(len(able), max(count, round(BATCH * len(some)))))
    planted = batch[:count] if not scattered else rng.sample(able, count)
    if not scattered:
        for place in batch:
            items[place]["author"] = "batch"
    if _verdict(bed, items) != "PASS":
        return False  # stopped without a wrong label: no catch
    for place in planted:
        kept_author = items[place]["author"]
        items[place] = wrong[some[place]] | {"pair_id": f"p{place}", "author": kept_author}
    return _verdict(bed, items) == "FAIL"


def _verdict(bed: Bed, items: Sequence[Judged]) -> str:
    return str(decide_gold(items, bed.pack, bed.pack.suites[0])["verdict"])


def _interval(hits: int, rounds: int) -> str:
    low, high = clopper_pearson(hits, rounds)
    return f"{hits / rounds:.3f} [{low:.3f}, {high:.3f}]"


def _rate(
    bed: Bed, figure: str, hits: int, rounds: int, goal: float | None, version: str, more: str = ""
) -> dict[str, Any]:
    spread = f"{rounds} draws; " + (more or _interval(hits, rounds))
    met = None if goal is None else bool(hits / rounds >= goal)
    words = f">= {goal:g}" if goal else "as measured"
    return _row(bed, figure, words, round(hits / rounds, 4), spread, met, version)


def _row(
    bed: Bed, figure: str, goal: str, ours: float, spread: str, met: bool | None, version: str
) -> dict[str, Any]:
    return {
        "figure": f"{bed.name}: {figure}",
        "goal": goal,
        "ours": ours,
        "spread": spread,
        "met": met,
        "versions": {bed.pack.suites[0].metric: version},
    }


# --- making wrong labels --------------------------------------------------------------------------------------------


def _pack(metric: str, critical: Iterable[str], **params: Any) -> TaskPack:
    suite = Suite(name="main", metric=metric, params=params)
    suite.gold.min = 0.0  # what these scorers claim are findings; their score is no verdict on one text
    return TaskPack.model_validate(
        {"name": "bed", "title": "Bed", "suites": [suite.model_dump()], "gate": {"critical": list(critical)}}
    )


def _pair(number: int, prompt: str, completion: str, **more: Any) -> dict[str, Any]:
    return {
        "pair_id": f"p{number}",
        "source": f"s{number}",
        "prompt": prompt,
        "history": "[]",
        "metadata": "{}",
        "completion": completion,
        "author": "annotator",
        "approver": "reviewer",
        "guideline_version": "1",
        **more,
    }


def swapped(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Every pair with the completion of another: a rotation of a seeded order, so that none keeps its own."""
    order = list(range(len(rows)))
    random.Random("swapped").shuffle(order)
    after = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [rows[after[number]]["completion"] for number in range(len(rows))]


def cut_short(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """The first half of the words, without the mark that would end them."""
    halves = (row["completion"].split(" ")[: max(1, len(row["completion"].split(" ")) // 2)] for row in rows)
    return [" ".join(words).rstrip(".!?,;: \n") for words in halves]


def _without_a_sentence(text: str) -> str | None:
    """One sentence less, of those that end inside a line."""
    found = [part for part in text.replace("\n", " \n").split(". ") if part]
    return ". ".join([*found[: len(found) // 2], *found[len(found) // 2 + 1 :]]) if len(found) > 3 else None


MEDICINES = tuple("lisinopril metformin atorvastatin amoxicillin sertraline amlodipine omeprazole".split())
COMPLAINTS = ("a dry cough", "knee pain", "headaches", "heartburn", "trouble sleeping", "a rash on the arm")
DOSES = (5, 10, 20, 25, 40, 50, 100)
TALK = (
    "[doctor] what brings you in today? [patient] i have had {complaint} for {days} days, it {course}. "
    "[doctor] i would like you to take {medicine} {dose} mg daily. [patient] okay."
)
NOTE = (
    "SUBJECTIVE\nThe patient reports {complaint} for {days} days; it {course}.\n\n"
    "ASSESSMENT AND PLAN\nTake {medicine} {dose} mg daily."
)
SOAP = ("unsupported_medication", "wrong_dose", "wrong_allergy", "wrong_laterality", "unsupported_number",
        "wrong_number", "wrong_date", "flipped_negation")  # fmt: skip


def notes_from_phrases() -> Bed:
    """Two hundred visits from one phrase book: what the scorer sees when nothing is ambiguous."""
    facts = []
    for number in range(PAIRS):
        rng = random.Random(number)
        facts.append(
            {
                "complaint": rng.choice(COMPLAINTS),
                "medicine": rng.choice(MEDICINES),
                "dose": rng.choice(DOSES),
                "days": rng.randint(2, 14),
                "course": "is getting better",
            }
        )
    rows = [_pair(n, TALK.format(**fact), NOTE.format(**fact)) for n, fact in enumerate(facts)]

    def changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> list[str | None]:
        return [NOTE.format(**fact | change(fact)) for fact in facts]

    def other(values: tuple[Any, ...], value: Any) -> Any:
        return values[(values.index(value) + 1) % len(values)]

    wrong: Wrong = {
        "dose said by nobody": changed(lambda f: {"dose": other(DOSES, f["dose"])}),
        "medication said by nobody": changed(lambda f: {"medicine": other(MEDICINES, f["medicine"])}),
        "number said by nobody": changed(lambda f: {"days": f["days"] + 17}),
        "note of another visit": swapped(rows),
        "course of a complaint": changed(lambda _: {"course": "has been the same all along"}),
    }
    return Bed("visit notes from phrases", _pack("soap_note", SOAP), HERE, rows, wrong)


def notes_by_hand() -> Bed:
    """Forty visits and notes written by hand, with the mistakes listed beside each and those of `_plant`."""
    return _visits("visit notes by hand", "dev", "sealed")


def notes_of_strangers() -> Bed:
    """248 visits by seven authors who knew nothing of the rules, whose mistakes hide among what was said."""
    return _visits("visit notes of authors who knew no rules", "dev_3", "sealed_4")


def _visits(name: str, *parts: str) -> Bed:
    found = [row for part in parts for row in lines(HERE / "data" / f"soap_notes_{part}.jsonl")]
    rows = [_pair(n, row["transcript"], row["note"]) for n, row in enumerate(found)]
    wrong: dict[str, list[str | None]] = {}
    for number, row in enumerate(found):
        for error in row["errors"]:
            if "in" in error:
                continue  # of the rephrased note
            kind = _kind_of(error, row["transcript"])
            texts = wrong.setdefault(f"{kind}, by hand", [None] * len(found))
            texts[number] = texts[number] or row["note"].replace(error["old"], error["new"], 1)
    wrong = dict(sorted(wrong.items()))
    for kind in ("invented medication", "swapped medication"):
        planted = [
            PLANTERS[kind](row["note"], row["transcript"], random.Random(f"{kind}/{n}"))
            for n, row in enumerate(found)
        ]
        made = kind.removesuffix(" medication")
        wrong[f"medication said by nobody, {made} by rule"] = [one.text if one else None for one in planted]
    wrong["note of another visit"] = swapped(rows)
    wrong["sentence left out"] = [_without_a_sentence(row["note"]) for row in found]
    return Bed(name, _pack("soap_note", SOAP), HERE, rows, wrong)


def _kind_of(error: Mapping[str, str], transcript: str) -> str:
    """The kind of the scorer's card: a value may be said of something else, or by nobody."""
    what = VALUES.get(error["kind"])
    if what is None:
        return error["kind"].replace("_", " ")
    return f"{what} said {'of something else' if said(transcript, error['old'], error['new'], what) else 'by nobody'}"


def programs() -> Bed:
    """Programs that each hold one trap of COBOL, with a right translation and one that falls into it."""
    found = [item for item in pitfalls() if item.domain is None]
    rows = [_pair(n, item.cobol, item.right) for n, item in enumerate(found)]
    wrong: Wrong = {
        "translation that falls into the trap": [item.wrong for item in found],
        "translation of another program": swapped(rows),
        "reads like COBOL": [_globals_first(item.right) for item in found],
    }
    pack = _pack("code_equivalence", ["violation"], mutants=0, search=40, fresh=40)
    pack.suites[0].gold.min = 1.0  # a program that is not equal has no other fault to be told by
    return Bed("COBOL programs", pack, HERE, rows, wrong)


def _globals_first(program: str) -> str:
    """The same program, its working storage mirrored in globals that nobody reads."""
    return f"WS_COUNTER_1 = 0\nWS_FILLER_2 = ' '\n{program}"


def support_answers() -> Bed:
    """Answers of a support desk against the policy sheet of November."""
    sheet = (documents.DATA / "policy_2026_10.toml").read_text("utf-8")
    older = (documents.DATA / "policy_2026_04.toml").read_text("utf-8")
    items = [*documents.read("answers.txt", "question"), *documents.generated_answers(72)]
    now = [item for item in items if item.marks["sheet"] == "2026_10"]
    rows = [_pair(n, item.question, item.text) for n, item in enumerate(now)]
    wrong = _by_kind(now, documents.plant_answer)
    wrong["answer to another question"] = swapped(rows)
    wrong["blames the customer"] = [f"{row['completion'].rstrip()} It is your own fault." for row in rows]
    from evals.metrics.policy_facts.policy_facts import CRITICAL

    pack = _pack("policy_facts", CRITICAL, policies=[[older, sheet]], as_of="2026-11-01")
    return Bed("support answers", pack, HERE, rows, wrong)


def agreements() -> Bed:
    """Employment agreements against the request."""
    items = [
        *documents.read("agreements_a.txt", "request"),
        *documents.read("agreements_b.txt", "request"),
        *documents.generated_agreements(36),
    ]
    rows = [_pair(n, item.question, item.text) for n, item in enumerate(items)]
    wrong = _by_kind(items, documents.plant_agreement)
    wrong["agreement of another request"] = swapped(rows)
    wrong["shall becomes may"] = [
        text if (text := row["completion"].replace(" shall ", " may ")) != row["completion"] else None
        for row in rows
    ]
    from evals.metrics.contract_clauses.contract_clauses import COUNTERS

    critical = [kind for kind in COUNTERS if kind != "clause_order"]
    return Bed("employment agreements", _pack("contract_clauses", critical), HERE, rows, wrong)


def _by_kind(
    items: Sequence[documents.Item], plant: Callable[[documents.Item], Iterable[documents.Plant]]
) -> dict[str, Sequence[str | None]]:
    """Planted errors by the first part of their name; of several of one kind in a text, the first."""
    found: dict[str, list[str | None]] = {}
    for number, item in enumerate(items):
        for name, text, _ in plant(item):
            texts = found.setdefault(name.split(":")[0], [None] * len(items))
            texts[number] = texts[number] or text
    return dict(found)


# --- the shipped pack -----------------------------------------------------------------------------------------------


def sarcastic_bot(quick: bool) -> Bed:
    """The shipped pack, frozen through every rule from its records and recorded decisions."""
    folder = find_pack("sarcastic-bot")
    pack = load_pack(folder)
    rows = frozen(pack.name)
    if quick:
        rows = random.Random("quick").sample(rows, len(rows) // 4)
    for row in rows:
        row["author"] = "annotator"  # one batch of an annotator is what a run makes of some
    insult = [f"{row['completion'].rstrip()} Only a fool would ask." for row in rows]
    dull = [
        f"I have nothing to say about that. {row['prompt'].rstrip('?.! ')}, you ask. I will not tell."
        for row in rows
    ]
    wrong: Wrong = {
        "helpful answers of the untuned model": _helpful(pack, rows),
        "remark on another question": swapped(rows),
        "cut short": cut_short(rows),
        "cruel": insult,
        "refuses without wit": dull,
    }
    return Bed("sarcastic bot", pack, folder, rows, wrong, drawn=False)


def frozen(task: str) -> list[dict[str, Any]]:
    """Training rows of a shipped pack, as `goldpair demo` freezes them."""
    with tempfile.TemporaryDirectory(prefix="goldpair-planted-") as scratch:
        _, snapshot = at_snapshot(Path(scratch), task)
        return contract.load_rows(snapshot).to_dicts()


def _helpful(pack: TaskPack, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """What the untuned base answers without the persona's message, to some of the questions."""
    from evals.generate import LocalModel
    from train.render import messages_of

    chosen = random.Random("asked").sample(range(len(rows)), min(ASKED, len(rows)))
    model = LocalModel(pack.model.base, precision="auto")
    answers = model.generate(
        [messages_of({**rows[n], "system": ""}) for n in chosen],
        max_new_tokens=pack.model.generation.max_new_tokens,
        repetition_penalty=pack.model.generation.repetition_penalty,
    )
    found: list[str | None] = [None] * len(rows)
    for number, answer in zip(chosen, answers, strict=True):
        found[number] = answer.text or None
    return found
