"""Employment agreements under Indian law: whole, consistent with the request, and on statutes that are in force?

Covers: required clauses and their order, statutes by date and state, place of law and courts, facts of the deal
against the request and inside the document, placeholders, defined terms, restraints after employment, several
agreements in one; with the words in question. Does not cover: whether a clause is wise, enforceable or complete in
law, sections within a statute, languages other than English; it is no legal advice. See the card (README.md).
"""

import re
from datetime import date

import datasets
import evaluate

from .clauses import CLAUSES, ONCE, ORDER, find_clauses, first_places, is_empty
from .facts import Hit, compare, read_request
from .statutes import LIST_DATE, find_statutes, places
from .terms import undefined, unused
from .values import find_days

LIBRARIES = ()
OPTIONAL = ("requests",)
LONGEST = 200_000  # characters that are read; an agreement of fifty pages has about as many
CRITICAL = (
    "wrong_amount",
    "wrong_date",
    "wrong_notice",
    "wrong_probation",
    "wrong_term",
    "wrong_party",
    "wrong_role",
    "invented_value",
    "contradiction",
    "stale_statute",
    "wrong_state",
    "foreign_law",
    "void_restraint",
    "several_agreements",
)
COUNTERS = (
    *CRITICAL,
    "missing_clause",
    "empty_clause",
    "clause_order",
    "missing_fact",
    "placeholder_left",
    "unknown_statute",
    "court_elsewhere",
    "undefined_term",
    "unused_term",
    "too_long",
)
WEIGHTS = {"clauses": 0.4, "facts": 0.3, "statutes": 0.2, "terms": 0.1}
# a hit of one of these kinds costs its part this much
COST = {"facts": 0.35, "statutes": 0.5, "terms": 0.25}
_PART = (
    dict.fromkeys(("stale_statute", "wrong_state", "foreign_law"), "statutes")
    | dict.fromkeys(("unknown_statute", "court_elsewhere", "void_restraint"), "statutes")
    | dict.fromkeys(("undefined_term", "unused_term"), "terms")
    | dict.fromkeys(("missing_clause", "empty_clause", "clause_order", "several_agreements", "too_long"), "clauses")
)  # fmt: skip
_FOREIGN = re.compile(
    r"\b(?:laws?|courts?|courts (?:at|of|in)|jurisdiction)\s+(?:of|in"
    r"|at)\s+(?:the\s+)?(?:State\s+of\s+)?(?P<place>England(?:\s+and\s+Wales)?|"
    r"London|Singapore|Delaware|California|New\s+York|Texas|United\s+(?:States|Kingdom)|Dubai"
    r"|Hong\s+Kong|Ireland|Australia)\b"
    r"|\b(?:English|Singapore|Delaware|New\s+York|Californian?|US|U\.S\.)\s+law\b"
    r"|\b(?:employment\s+)?at[- ]will\b|\b401\s?\(k\)|"
    r"\bForm\s+W-[24]\b|\bFair\s+Labor\s+Standards\b|\bEmployment\s+Rights\s+Act\b"
    r"|\bFamily\s+and\s+Medical\s+Leave\b",
    re.IGNORECASE,
)
_COMPETE = re.compile(
    r"\bcompet(?:e|es|ing|itors?|itive)\b|\brivals?\b|\bsimilar business|\bsame (?:line|business"
    r"|trade|industry|field)\b|\bsimilar "
    r"(?:trade|profession|role|practice|venture|firm)\b|\bany other (?:employer|company|firm) in\b",
    re.I,
)
_AFTERWARDS = re.compile(
    r"\b(?:after|following|from|upon|post)[\s-]+(?:the\s+)?(?:(?:date\s+of\s+)?(?:the\s+|its\s+"
    r"|this\s+|your\s+|such\s+|any\s+|you\s+|he\s+|she\s+|they\s+)?(?:leav\w+|terminat\w+|"
    r"cessation|engagement|end(?:ing)?|expiry|resign\w+|separation|employment|exit|service|term))\b"
    r"|\bpost-?(?:employment|termination)\b|"
    r"\bthereafter\b|\bafterwards\b",
    re.I,
)
_FORBID = re.compile(
    r"\b(?:shall|will|must|may|can)\s+(?:not|neither|never)\b|\b(?:barred|prohibited|restrained"
    r"|prevented|forbidden)\s+from\b|\b(?:agrees?|"
    r"undertakes?|covenants?)\s+(?:not|never)\b|\brefrain\b|\bis not (?:allowed|permitted)\b",
    re.I,
)
_FREE = re.compile(
    r"\bnothing\b|\bno (?:restraint|restriction|bar)\b|\bfree(?:ly|dom)?\b|\bliberty\b"
    r"|\bnot (?:restrain|restrict|prevent|limit|impose)|\bvoid|"
    r"\bdoes not (?:restrain|restrict|prevent|apply|bar)|\bnone\b|\bnot imposed\b",
    re.I,
)
_SOLICIT = re.compile(r"\bsolicit|\bentice|\binduc|\bpoach|\bdisclos|\bmisuse\b|\bconfidential", re.I)
_ENGAGE = re.compile(
    r"\b(?:join|work|employed|engage[ds]?|serve|carry on|set up|start|assist|advise|accept|take up"
    r"|be (?:interested|concerned|involved)|compete)\b",
    re.I,
)


class ContractClauses(evaluate.Metric):
    """`compute(predictions, requests=None, house="", required=CLAUSES, as_of=None)`.

    ``predictions``: agreements; ``requests``: what was asked for, in any words. ``house``: standing instructions that
    count as said in every request. ``required``: clauses to ask for, of `CLAUSES`. ``as_of``: ISO day on which the
    statutes must be in force; without it the date of the agreement, the first date of the request, or the list's.

    Returns ``score`` (mean of ``scores``), a mean per part (`WEIGHTS`), a count per kind of hit (`COUNTERS`),
    ``agreements_with_critical``, and per item ``scores``, ``subscores``, ``evidence``.
    Raises `ValueError` for an unknown clause or a bad day.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Clauses, facts, statutes and defined terms of an employment agreement.",
            citation="",
            inputs_description="\npredictions: agreements; optional requests: what was asked for.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "requests": datasets.Value("string")}
            ),
        )

    def compute(self, *, predictions=None, requests=None, **options):
        """As in the class; ``requests`` may be left out, or hold None or an empty text where there is none."""
        return super().compute(
            predictions=[value or "" for value in predictions],
            requests=[
                value or "" for value in (requests if requests is not None else [""] * len(predictions))
            ],
            **options,
        )

    def _compute(self, predictions, requests, house="", required=CLAUSES, as_of=None):
        unknown = sorted(set(required) - set(CLAUSES))
        if unknown:
            raise ValueError(f"required knows {', '.join(CLAUSES)}, not {', '.join(unknown)}.")
        day = date.fromisoformat(as_of) if as_of else None
        judged = [
            _judge(text, f"{request}\n{house}".strip() if request else house, tuple(required), day)
            for text, request in zip(predictions, requests, strict=True)
        ]
        result = {"score": _mean([item["score"] for item in judged])}
        for name in WEIGHTS:
            result[name] = _mean([item["subscores"][name] for item in judged])
        for name in COUNTERS:
            result[name] = sum(hit["kind"] == name for item in judged for hit in item["evidence"])
        result["agreements_with_critical"] = sum(
            any(hit["critical"] for hit in item["evidence"]) for item in judged
        )
        return result | {name: [item[single] for item in judged] for name, single in _LISTS}


_LISTS = (("scores", "score"), ("subscores", "subscores"), ("evidence", "evidence"))


def _judge(whole, request_text, required, day):
    text = whole[:LONGEST]
    hits = [Hit("too_long", LONGEST, LONGEST, f"{len(whole)} characters")] if len(whole) > LONGEST else []
    clauses = find_clauses(text)
    request = read_request(request_text)
    first = first_places(text, clauses)
    structure, structural = _structure(text, clauses, first, required)
    hits += structural
    signing = [place for name, (place, _) in first.items() if name == "signature"]
    later = [c.start for c in clauses if "signature" in c.names]
    signature = max([*signing, *later], default=len(text))
    hits += compare(text, clauses, request, signature if signature > len(text) // 2 else len(text))
    hits += _law(text, request, day)
    hits += _restraints(text)
    titles = " ".join(clause.title for clause in clauses)
    wrong = [(hit.start, hit.end) for hit in hits]
    hits += [
        Hit("undefined_term", term.start, term.end, "never defined")
        for term in undefined(text, titles, request.text)
        if not any(start < term.end and term.start < end for start, end in wrong)
    ]
    hits += [Hit("unused_term", t.start, t.end, "defined and never used") for t in unused(text)]
    evidence = [
        {
            "kind": hit.kind,
            "span": whole[hit.start : hit.end],
            "start": hit.start,
            "end": hit.end,
            "support": hit.support[:300],
            "critical": hit.kind in CRITICAL,
        }
        for hit in dict.fromkeys(hits)
    ]
    evidence.sort(key=lambda hit: (hit["start"], hit["end"], hit["kind"], hit["support"]))
    subscores = {"clauses": structure}
    for part, cost in COST.items():
        count = sum(_PART.get(hit["kind"], "facts") == part for hit in evidence)
        # where there is no agreement there is nothing right about it
        subscores[part] = max(0.0, 1.0 - cost * count) if structure else 0.0
    score = round(sum(subscores[name] * weight for name, weight in WEIGHTS.items()), 9)
    return {"score": score, "subscores": subscores, "evidence": evidence}


def _structure(text, clauses, first, required):
    """Share of required clauses that are there with something below them, less .1 a pair out of order and .5 for a
    second agreement."""
    hits = []
    if not re.search(r"\w", text):
        return 0.0, [Hit("missing_clause", 0, 0, name) for name in required]
    good = 0
    for name in required:
        if name not in first:
            hits.append(Hit("missing_clause", 0, 0, name))
            continue
        clause = first[name][1]
        if clause is not None and is_empty(text, clause, clauses):
            hits.append(Hit("empty_clause", clause.start, clause.head_end, name))
        else:
            good += 1
    wrong = 0
    # a clause that stands under several subjects' common title, or without one, has no place of its own to be wrong
    for before, after in ORDER:
        if before in first and after in first and first[before][0] > first[after][0]:
            one, other = first[before][1], first[after][1]
            if other is None and after != "signature" and before != "parties":
                continue
            place = one if one is not None else other
            wrong += 1
            at = (place.start, place.head_end) if place is not None else (first[before][0], first[before][0])
            hits.append(Hit("clause_order", *at, f"{after} before {before}"))
    twice = _second_agreement(clauses)
    if twice is not None:
        hits.append(Hit("several_agreements", twice.start, twice.head_end, "clauses begin anew"))
    share = good / max(1, len(required))
    return max(0.0, share - 0.1 * wrong - 0.5 * (twice is not None)), hits


def _second_agreement(clauses):
    """The first clause of a second agreement: from it on at least four subjects come that were there already."""
    seen: set[str] = set()
    again: set[str] = set()
    place = None
    for clause in clauses:
        names = set(clause.names) & set(ONCE)
        if len(clause.names) != 1:
            continue
        if names <= seen and names:
            again |= names
            place = place or clause
        seen |= names
    return place if len(again) >= 4 else None


def _law(text, request, day):
    """Statutes against the dated list and the state; foreign law; courts in another state than the request's."""
    dated = re.search(r"\bdated?\b[^.\n]{0,20}", request.text, re.I)
    days = find_days(request.text)
    if day is None and dated:
        day = next((d.value for d in days if d.start >= dated.start()), None)
    day = (
        day or (days[0].value if days else None) or min((d.value for d in find_days(text)), default=LIST_DATE)
    )
    named = places(request.text) or places(text)
    states = {state for _, state, _, _ in named}
    hits = []
    for mention in find_statutes(text):
        statute = mention.statute
        place = (mention.start, mention.end)
        if statute is None:
            hits.append(Hit("unknown_statute", *place, f"not on the list of {LIST_DATE:%d %B %Y}"))
            continue
        if statute.until is not None and day >= statute.until and not mention.past:
            hits.append(Hit("stale_statute", *place, f"since {statute.until:%d %B %Y}: {statute.successor}"))
        elif day < statute.since and not mention.past:
            hits.append(Hit("stale_statute", *place, f"not in force before {statute.since:%d %B %Y}"))
        if statute.states and states and not states & set(statute.states):
            hits.append(
                Hit("wrong_state", *place, f"{', '.join(sorted(states))} in the request or agreement")
            )
    for match in _FOREIGN.finditer(text):
        hits.append(Hit("foreign_law", match.start(), match.end(), "the agreement is under Indian law"))
    if request.given and states:
        for match in re.finditer(r"\bcourts?\b[^.;\n]{0,30}?\b(?:at|of|in)\s+", text):
            end = text.find("\n", match.end())
            here = places(text[match.end() : min(match.end() + 60, end if end >= 0 else len(text))])
            if here and here[0][2] < 25 and not {state for _, state, _, _ in here} & states:
                _, _, start, stop = here[0]
                hits.append(
                    Hit("court_elsewhere", match.end() + start, match.end() + stop, ", ".join(sorted(states)))
                )
    return hits


def _restraints(text):
    """Sentences that forbid competing work after employment: void under section 27 of the Indian Contract Act, 1872
    (Superintendence Company of India v. Krishan Murgai, 1980)."""
    hits = []
    for match in re.finditer(r"[^.;\n]{20,1200}", text):
        sentence = match.group()
        if not (_FORBID.search(sentence) and _COMPETE.search(sentence) and _AFTERWARDS.search(sentence)):
            continue
        if _FREE.search(sentence) or (_SOLICIT.search(sentence) and not _ENGAGE.search(sentence)):
            continue
        start = match.start() + len(sentence) - len(sentence.lstrip())
        hits.append(Hit("void_restraint", start, match.end(), "section 27, Indian Contract Act, 1872"))
    return hits


def _mean(values):
    return sum(values) / len(values) if values else 0.0
