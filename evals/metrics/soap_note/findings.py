# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Findings and whether they are there: symptoms, signs and conditions of a note and of a transcript, with polarity.

Covers: the concepts of `concepts`, pain by body part; negation with scope in the tradition
of NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009): triggers before and after, what ends a scope, phrases
that only look like a negation, what is conditional or about somebody else; in speech also questions and the answers
to them. Does not cover: concepts outside its list, degree ("mild"), time ("had, and has no more").
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from .concepts import COMPOUND, CONCEPTS, GENERAL, HABITS, LOCAL, NOT_FINDINGS, apart, places
from .sections import find_sections
from .states import STATES, answered, told

PARTS = (
    "knee hip shoulder elbow wrist hand foot ankle leg arm eye jaw neck thigh calf heel toe finger thumb groin rib breast "
    "tooth shin forearm"
).split()
_PLURAL = {"feet": "foot", "teeth": "tooth", "calves": "calf"}


@dataclass(frozen=True)
class Finding:
    """A concept where it stands. ``present``: True, False, or None where the text does not say."""

    concept: str
    start: int
    end: int
    present: bool | None
    sites: frozenset[str] = frozenset()  # where in the body, as far as its clause says
    limited: bool = False  # denied of a time or circumstance only: "no pain at rest", "no new rash"


@cache
def _names() -> tuple[dict[str, str], re.Pattern[str]]:
    table: dict[str, str] = {}
    for line in CONCEPTS.strip().splitlines():
        names = [name.strip() for name in line.split(";")]
        table |= {name: names[0] for name in names}
    alternatives = "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))
    return table, re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w])", re.IGNORECASE)


_PART = "|".join([*(f"{part}s?" for part in PARTS), *_PLURAL])
_PAIN = re.compile(
    rf"\b(?P<a>{_PART})[ -](?:joint )?(?:pains?|hurts?|aches?|is (?:hurting|sore|painful)|discomfort|soreness)\b|"
    rf"\b(?:pains?|aching|soreness|discomfort) (?:in|of|at|to) (?:(?:my|your|his|her|the|a|both|that) )?"
    rf"(?:(?:left|right|bilateral|upper|lower) )*(?P<b>{_PART})\b",
    re.IGNORECASE,
)

# Said of everything that is asked for or denied: "any blood?", "no temperature".
_BARE = re.compile(
    r"(?<=\bany )(?:blood|temperature)\b|(?<=\bno )(?:blood|temperature)\b|(?<=\bsome )blood\b", re.IGNORECASE
)
_BARE_NAME = {"blood": "bleeding", "temperature": "fever"}

# --- scope --------------------------------------------------------------------------------------------------

_LOOKS_NEGATIVE = (  # a "no" or "not" here denies nothing
    r"(?:do|does|did)(?: not|n't) deny|not without|no (?:worse|better)|no trouble (?:at all )?with|not (?:much|really) (?:better|worse)|no (?:change|changes|increase|difference|improvement|relief|doubt|problem|wonder|more than|worse|further|"
    r"significant change|interval change|issues? with|concerns? (?:with|about))|not (?:only|just|sure|certain|all that|necessarily|too|as|so|be able|improv\w+|"
    r"well controlled|controlled|getting better|resolv\w+|helping|been helping|better|gone|gotten better)|"
    r"without (?:improvement|relief|change|help)|not able|no idea|why not|if not|whether or not|no wait|"
    r"(?:didn't|did not|doesn't|does not|did n't|does n't) (?:help|improve|go away|get better|resolve|change)|"
    r"(?:hasn't|has not|has n't) (?:helped|improved|gone away|gotten better|resolved|changed)|can't (?:wait|believe)"
)
_NEGATIVE = (
    r"(?:do|does|did|has|have)(?:n't| n't| not) (?:shown?|reveal|report|demonstrate|note|complain of|present|notice|noticed|reported)|no|not|n't|without|denies|denied|deny|denying|negative for|negative|never|none|neither|nor|absent|absence of|free of|"
    r"free from|no evidence of|no signs? of|no history of|unremarkable for|ruled out|rules out|nil|"
    r"(?:do|does|did|is|was|are|were|have|has|had|would|could|can)(?:n't| n't| not)|cannot|cant|dont|nothing like|lack of|lacks|"
    r"declines|resolved|w/o|non"
)
_ENDS = (
    r"but|however|except|although|though|aside from|apart from|other than|besides|yet|reports?|reported|"
    r"endorses?|endorsed|complains? of|states?|admits?|positive for|shows?|showed|reveal(?:s|ed)|demonstrates?|you do have|presents?|presented|notes?|noted|has had|does have|"
    r"do have|did have|still has|now has|you know|i get|i kinda|positive|there is|there are|which|because|since|when|secondary to|due to|"
    r"he has|she has|they have|i have|i've|you have|you've|there's|it's|just|only|so|then|and (?:has|is|does|had|was|reports?|endorses?|"
    r"i|he|she|they|you|it|we|the patient|some|a little)"
)
_OPEN = (  # conditional, planned, or about somebody else: says nothing about this patient now
    r"no longer|if|should|(?:when|once) you(?:'ve| have|'re| are)?|until|till|suspected|suspicion of|suspect|exclude|excludes|excluded|r/o|query|safety[- ]?net\w*|unless|in case|return for|watch for|monitor for|call for|rule out|to rule out|risk of|risk for|prevent|"
    r"prevents|avoid|screen for|screening for|possible|possibly|concern for|concerned about|worried about|worry about|"
    r"worried|differential|may|might|could|would|can cause|causes?|caused|makes? (?:me|him|her)|made (?:me|him|her)|gives? (?:me|him|her)|gave (?:me|him|her)|side effects?|mother|father|mom|dad|brother|sister|"
    r"grandmother|grandfather|parents?|son|daughter|uncle|aunt|wife|husband|family history|looking for|look for|"
    r"evaluate for|check for|like a|history of|used to|past medical history|last year|years ago|helps? with|"
    r"for (?:the|your|his|her)|get rid|whether|as needed for|prn|versus|vs|educated on|counsel\w+|discussed|medications? for|before"
)
_EVENT = re.compile(
    rf"(?<![\w])(?:(?P<looks>{_LOOKS_NEGATIVE})|(?P<neg>{_NEGATIVE})|(?P<ends>{_ENDS})|(?P<open>{_OPEN}))(?![\w])|(?P<nt>n't)|"
    r"(?P<minus>\([-–−]\)|(?<!\w)[-–−]ve\b(?: for)?)|(?P<plus>\(\+\)|\+ve\b(?: for)?|(?<!\w)\+(?=[A-Za-z]))",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"^\s*(?:(?:is|was|are|were|has been|have been)[ ]+)?(?:[:\-–][ ]*)?(?P<no>absent|nah?i+n?\b|[-–]ve\b|\([-–]\)|free\b|negative|denied|denies|not present|"
    r"none|never|ruled out|,?[ ]*(?:no|nil)(?=[ ]*(?:[.;]|$))|no(?=[ ]*(?:[.,;]|$))|(?:is|was|are|were)(?: not| n't|n't)[ ]+(?:present|seen|noted|there|an issue)|"
    r"not (?:present|seen|noted|appreciated|identified|observed))",
    re.IGNORECASE,
)
_FAMILY_OR_LATER = re.compile(
    r"family|follow|return precautions|instructions|education|goals|past (?:medical )?history|social"
)
_SENTENCE = re.compile(r"[^.;!?\n•]+(?:\.(?=\d)[^.;!?\n•]*)*[.;!?]?")
_QUESTION = re.compile(
    r"\b(?:any|do you|does (?:it|that|he|she)|did (?:you|it)|have you|has (?:it|he|she)|are you|is (?:there|it)|was there|"
    r"were you|how about|what about|anything|ever|such as|like|other symptoms)\b",
    re.IGNORECASE,
)
_FILLER = r"(?:(?:um|uh|oh|well|okay|ok|hmm|mm|ah|so|you know|honestly|actually|thankfully|luckily|fortunately)\W+)*"
NO = re.compile(
    rf"^\W*{_FILLER}(?:(?:god|lord|heavens|goodness|gosh|touch wood|thank god|thankfully|certainly|absolutely|definitely|of course|to be honest|luckily),? (?:no|not)\b|"
    r"not (?:at all|really|that|since|recently|lately|now|any|yet|a|so far|anymore|in|the|my|for|today|me|particularly|usually|normally|to)\b|not(?=\W*(?:[.!?,;]|$))|"
    r"(?:does|do|did|has|have|is|was|are|were|had)(?: not|n't)\b|(?:it|he|she|they|that|there) (?:does|do|did|has|have|is|was|are|were|had)(?: not|n't)\b|"
    rf"no|nope|nah|nahi+n?|ji nahi+n?|nil|none|never|naturally not|neither|negative|nothing|zero|uh-uh|i (?:do n't|don't|do not|have n't|haven't|"
    r"have not|did n't|didn't|am not|was n't|wasn't|'m not)|i'm not|i ain't|it (?:does n't|doesn't|has n't|hasn't)|yeah,? no|"
    r"denies|can't say)\b",
    re.IGNORECASE,
)
YES = re.compile(
    rf"^\W*{_FILLER}(?:yes|haan|ji haan|yeah|yep|yup|yea|sure|definitely|absolutely|correct|right|exactly|a little|a bit|some|sometimes|"
    r"most|often|on and off|off and on|for (?:a|about|the|\w+ (?:days?|weeks?|months?|seconds?|minutes?))|twice|socially|just about|afraid so|yesterday|last (?:week|night|month|year)|this (?:week|morning)|at (?:night|times)|when (?:i|he|she)|it (?:stings|burns|hurts|itches|comes)|most|often|usually|always|constantly|daily|now and|from time|once|twice|a few|a couple|here and there|of course|only|"
    rf"unfortunately|terribl\w+|awful\w*|still|that too|both|i do|i have|i did|i am|i was|it does|it is|it did|mm-hmm|mhm|uh-huh|occasionally|kind of|quite|lots?|all the time|every)\b",
    re.IGNORECASE,
)


def mentions_of(text: str) -> list[tuple[str, int, int]]:
    """``(concept, start, end)`` of every finding that a text names, in its order."""
    names, pattern = _names()
    blocked = [m.span() for m in NOT_FINDINGS.finditer(text.casefold())]
    found = []
    for match in pattern.finditer(text):
        if not any(a < match.end() and match.start() < b for a, b in blocked):
            found.append((names[match.group().casefold()], *match.span()))
    for match in _BARE.finditer(text):
        if not any(a < match.end() and match.start() < b for a, b in [*blocked, *(f[1:] for f in found)]):
            found.append((_BARE_NAME[match.group().casefold()], *match.span()))
    for match in _PAIN.finditer(text):
        part = (match["a"] or match["b"]).casefold()
        part = _PLURAL.get(part, part.removesuffix("s") if part not in PARTS else part)
        if not any(a < match.end() and match.start() < b for _, a, b in found):
            found.append((f"{part} pain", *match.span()))
    return sorted(found, key=lambda item: item[1])


# What is over says nothing of now, and was there.
_GONE = re.compile(
    r"^\s*(?:(?:is|has|have|was|are|were|had|all|now|completely|fully|mostly|since|been)\s+)*(?:gone|resolved|settled|cleared|stopped|"
    r"subsided|went|disappeared|better|improved|improving|passed|over)\b",
    re.IGNORECASE,
)
_NOT_ME = re.compile(
    r"[^.;?!]{0,30}\bbut (?:not me|i(?:'m not| am not| haven't| don't|'ve never|'ve not| never| do not))\s*(?=[.,;!]|$)",
    re.IGNORECASE,
)
_INLINE = re.compile(  # "any swelling of the ankles no any weight loss no i'm fine"
    r"(?:\W+\w+){0,3}?\W+(?:(?P<no>no|nope|none|never)|(?P<yes>yes|yeah|yep))\W+(?:any|did|does|was|were|you|okay|ok|i|i'm|it|it's|just|not|never|and|so|alright|right|good|my|well|no|do|have|are|is|"
    r"thanks?|nothing|none|she|he|a|that's|only)\b",
    re.IGNORECASE,
)
_VERBAL = re.compile(r"den(?:y|ies|ied|ying)|negative|declines|free|\(|[-–−]ve", re.IGNORECASE)
# An item of a list with one of these is a statement of its own: "no rash, lungs clear, knee swollen".
_STATE = re.compile(
    r"\b(?:stable|clear|normal|good|intact|soft|full|firm|positive|present|slight(?:ly)?|mild(?:ly)?|moderate(?:ly)?|severe|some|"
    r"trace|minimal|occasional|few|small|large|marked|warm|reduced|decreased|increased|left|right|bilateral|is|are|was|were|has|have|had|"
    r"now|still|only|with|i|i'm|i've|it|it's|he|she|they|we|you|just|that|that's|this|L|R|\d+)\b"
)
_CONDITIONAL = re.compile(r"if|unless|until|till|should|in case|(?:when|once) you.*", re.IGNORECASE)
# Somebody is told when to come back or whom to call: what follows is no finding.
_NET = re.compile(
    r"\b(?:return|returns|come (?:straight |right )?back|come in|call|calls|ring|phone|emergency|er|ed|a&e|casualty|999|911|112|108|"
    r"nine nine nine|nine one one|ambulance|hospital|urgent(?:ly)?|same day|the same hour|at once|sooner|earlier|precautions|red flags?|"
    r"warned|warning signs?|safety[- ]?net\w*|seek|straight away|go to the|bring (?:her|him|them) (?:back|in)|review|casualty|reassess|rtc|"
    r"recheck|re-?attend|present to)\b.{0,60}?\b(?:for|if|with|re|on|when|in case|should|about|regarding)\b|"
    r":\s*(?:call|ring|come|same day|er|ed|hospital|casualty|emergency|ambulance|nine|911|999|straight|urgent\w*|back)\b|"
    r"\b(?:come (?:straight |right )?back|come in straight|same day|casualty at once|straight back|come early|call (?:me|us)|ring (?:me|us)|go (?:straight )?to (?:the )?(?:er|ed|emergency|hospital|casualty|a&e))\b",
    re.IGNORECASE | re.DOTALL,
)
_FAMILY = re.compile(
    r"\b(?:in (?:the|his|her|your|my) )?(?:family|fhx?)\b(?! (?:doctor|physician|practice))", re.IGNORECASE
)
_WHEN = re.compile(
    r"^[^,;.]{0,25}?\b(?:at rest|elsewhere|today|now|currently|at present|at the moment|this (?:morning|week|time)|since(?! (?:\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))|"
    r"yesterday|overnight|any ?more|so far|in the (?:last|past)|for the (?:last|past)|on exertion|yet|between|at night)\b",
    re.IGNORECASE,
)
_ONCE = re.compile(  # there then; what is there on exertion is there, and no denial
    r"^[^,;.]{0,15}?\b(?:only|at times|yesterday|last (?:night|week|month|year)|on \w+day|ago|previously)\b",
    re.IGNORECASE,
)
_QUALIFIED = re.compile(r"\s+(?:between|after|during|when|while)\b", re.IGNORECASE)
_THERE = re.compile(
    r"^\s*(?:(?:is|was|are|were)\s+)?(?:noted|present|positive|evident|\+ve|\(\+\)|\+(?!\w))", re.IGNORECASE
)
_NARROW = re.compile(
    r"\b(?:further|other|new|recent|current|more|additional|active|acute|full|proper|frank|specific|gross|significant|true|obvious|recurrent|"
    r"recurrence|repeat|intermenstrual|post-?coital|breakthrough|nocturnal|exertional|pleuritic|visible|fresh|surrounding|residual|ongoing|much|real)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)


def _ends_list(sentence: str, trigger: str, began: int, start: int, end: int) -> bool:
    """Whether the list that a negation opened at ``began`` is over before the concept at ``start:end``."""
    items = sentence[began:start].split(",")
    if len(items) == 1 or _VERBAL.search(trigger):
        return any(_STATE.search(item) for item in items[1:])
    if any(_STATE.search(item) for item in items[1:]):
        return True
    tail = re.split(r";|\bbut\b", sentence[end:], maxsplit=1)[0]
    if re.search(r"\b(?:or|nor)\b|/", sentence[began:start] + tail):
        return False
    return not re.fullmatch(r"\s*(?:and|any|or)?\s*", items[-1]) or any(len(i.split()) > 4 for i in items)


def polarity(sentence: str, start: int, end: int, spoken: bool = False) -> tuple[bool | None, bool]:
    """``(is it there, is it denied of a time or circumstance only)`` of the concept at ``start:end`` of a sentence.

    The last trigger before it decides, unless one follows it. In speech "no," before a comma answers what was asked.
    """
    if _AFTER.search(sentence[end : end + 40]):
        return False, False
    if COMPOUND.search(sentence[end : end + 25]) or _NET.search(sentence) or _FAMILY.search(sentence):
        return None, False
    if len(sentence) > 250:  # speech without punctuation
        answer = _INLINE.match(sentence[end:])
        if answer and re.search(
            r"\b(?:any|do you|have you|had|are you|is there|feel)\b",
            sentence[max(0, start - 45) : start],
            re.IGNORECASE,
        ):
            return answer["no"] is None, False
        first = max(0, start - 110)
        return polarity(sentence[first : end + 70], start - first, end - first, spoken)
    if not spoken and _THERE.match(sentence[end:]) and not COMPOUND.search(sentence[end : end + 25]):
        return (None if _NET.search(sentence) or _FAMILY.search(sentence) else True), False
    if _NOT_ME.match(sentence[end:]):
        return False, False
    state: bool | None = True
    doubtful = conditional = False
    began, trigger = 0, ""
    for event in _EVENT.finditer(sentence):
        if event.end() > start:
            break
        if event["looks"]:
            continue
        if event["neg"] or event["nt"] or event["minus"]:
            if event["neg"] and event["neg"].casefold() == "non" and event.end() + 1 < start:
                continue
            state, began, trigger = False, event.end(), event.group()
        elif event["ends"] or event["plus"]:
            state, doubtful = True, doubtful and conditional
        else:
            doubtful = True
            conditional = conditional or bool(_CONDITIONAL.fullmatch(event.group()))
    if re.match(r"(?:no|not|cannot|can't)\b", sentence[start:end], re.IGNORECASE):
        state = True  # "no energy" is what is there
    if state is False:
        if conditional:
            return None, False
        between = sentence[began:start]
        if spoken and trigger.casefold() in ("no", "nope") and re.match(r"\s*,\s*$", between):
            return None, False
        if _ends_list(sentence, trigger, began, start, end):
            return (None if doubtful else True), False
        lists = len(re.findall(r",|/|\bor\b|\band\b", between))
        # far away and not in a list: whatever was denied is something else
        if len(re.findall(r"[\w']+", between)) > 6 + 5 * lists:
            return None, False
        return False, bool(_NARROW.search(between) or _WHEN.search(sentence[end:]))
    if _GONE.search(sentence[end : end + 40]):
        return None, False
    return (None if doubtful else state), bool(_ONCE.search(sentence[end:]))


def _places(sentence: str, start: int, end: int) -> frozenset[str]:
    """Where in the body, and on which side, a finding is: as its clause says, else as the sentence says before it."""
    left = max(sentence.rfind(",", 0, start), sentence.rfind(" and ", 0, start), -1) + 1
    right = sentence.find(",", end)
    clause = sentence[left : right if right >= 0 else len(sentence)]
    sides = set(re.findall(r"\b(left|right)\b(?! now)", clause.casefold()))
    return frozenset((places(clause) or places(sentence[:start])) | (sides if len(sides) == 1 else set()))


def in_note(note: str) -> list[Finding]:
    """Findings of a note in its order. What stands in a plan is no statement of what is there."""
    plans = [(s.head_end, s.end) for s in find_sections(note) if s.parts == ("plan",)]
    treats = [(s.head_end, s.end) for s in find_sections(note) if "plan" in s.parts]
    found = []
    for piece in _SENTENCE.finditer(note):
        sentence = piece.group()
        for concept, start, end in mentions_of(sentence):
            present, limited = polarity(sentence, start, end)
            at = piece.start() + start
            asked = start < (sentence + ",").find(",") and re.search(
                r"(?:^|[\s,;:(/])\?\s*$", note[: piece.start()]
            )
            if (
                asked
                or any(a <= at < b for a, b in plans)
                or (concept in HABITS and present is False and any(a <= at < b for a, b in treats))
            ):
                present = None
            sites = _places(sentence, start, end)
            found.append(Finding(concept, at, piece.start() + end, present, sites, limited))
        found += _told(sentence, piece.start(), found)
    return sorted(found, key=lambda f: f.start)


def _told(sentence: str, offset: int, found: list[Finding]) -> list[Finding]:
    """States that a sentence tells, where no finding that it names is in the same words."""
    if _NET.search(sentence) or _FAMILY.search(sentence):
        return []
    return [
        Finding(concept, offset + start, offset + end, present, _places(sentence, start, end))
        for concept, start, end, present in told(sentence)
        if not any(f.concept == concept and f.start < offset + end and offset + start < f.end for f in found)
        and not re.search(r"\b(?:if|should|when you|unless|until)\b", sentence[:start], re.IGNORECASE)
    ]


@dataclass(frozen=True)
class _Turn:
    start: int
    end: int
    text: str
    speaker: str


_SPEAKER = re.compile(r"^\s*[\[(]?(?P<who>[A-Za-z][\w. ]{0,20}?)[\])]?\s*(?:[:\]]|(?<=[\])]))\s*")


def _turns(transcript: str) -> list[_Turn]:
    turns = []
    for line in re.finditer(r"[^\n]*\S[^\n]*", transcript):
        who = _SPEAKER.match(line.group())
        offset = who.end() if who else 0
        turns.append(
            _Turn(
                line.start() + offset,
                line.end(),
                line.group()[offset:],
                who["who"].casefold() if who else "",
            )
        )
    return turns


def in_transcript(transcript: str) -> list[Finding]:
    """Findings of a conversation. A question is decided by its answer, else it says nothing."""
    turns = _turns(transcript)
    asking = Counter(turn.speaker for turn in turns for _ in range(turn.text.count("?")))
    clinician = max(asking, key=lambda who: asking[who], default="")
    found = []
    for number, turn in enumerate(turns):
        pieces = list(_SENTENCE.finditer(turn.text))
        for index, piece in enumerate(pieces):
            sentence = piece.group()
            mentions = mentions_of(sentence)
            asks = sentence.rstrip().endswith("?")
            offset = turn.start + piece.start()
            answer = (
                pieces[index + 1].group()
                if index + 1 < len(pieces)
                else turns[number + 1].text
                if number + 1 < len(turns)
                else ""
            )
            if asks:
                states = answered(sentence, answer)
                if not states and (YES.match(answer) or NO.match(answer)):
                    yes = bool(YES.match(answer)) and not NO.match(answer)
                    states = [(c, a, b, there is yes) for c, a, b, there in told(sentence)]
                found += [Finding(c, offset + a, offset + b, there) for c, a, b, there in states]
            else:
                found += _told(sentence, offset, [])
            if not mentions:
                continue
            # "Any injury? Fever?" are answered together
            last = index
            while asks and last + 1 < len(pieces) and pieces[last + 1].group().rstrip().endswith("?"):
                last += 1
            reply = pieces[last + 1].group() if last + 1 < len(pieces) else ""
            if not (NO.match(reply) or YES.match(reply)):
                reply = turns[number + 1].text if number + 1 < len(turns) and last == len(pieces) - 1 else ""
            # speech recognition leaves question marks out
            unmarked = not asks and index == len(pieces) - 1 and bool(NO.match(reply) or YES.match(reply))
            heads = [m.group() for m in list(_SENTENCE.finditer(reply))[: 3 if asks else 1]]
            echoed = {concept for head in heads for concept, _, _ in mentions_of(head)}
            asked = {c for p in pieces[index : last + 1] for c, _, _ in mentions_of(p.group())}
            for concept, start, end in mentions:
                opened = not asks and _opens_question(sentence, start, end)
                limited = False
                if asks or (unmarked and (opened or _short(sentence))):
                    if concept in echoed:
                        continue  # what the answer says of it counts
                    present = _answer(sentence, reply, len(asked), bool(echoed & asked), last > index)
                    limited = bool(
                        _NARROW.search(sentence[:start]) or _QUALIFIED.match(sentence[end:])
                    ) or bool(re.match(r"\W*no\W+not since\b", reply, re.IGNORECASE))
                elif opened:
                    present = None  # a question that nobody answered in so many words
                else:
                    present, limited = polarity(sentence, start, end, spoken=True)
                    if concept in HABITS and present is False and turn.speaker == clinician:
                        present = None  # an advice
                at = turn.start + piece.start()
                sites = _places(sentence, start, end)
                found.append(Finding(concept, at + start, at + end, present, sites, limited))
    return found


def _opens_question(sentence: str, start: int, end: int) -> bool:
    """At the end of a turn, soon after words that open a question."""
    opened = [m.start() for m in _QUESTION.finditer(sentence) if m.start() <= start]
    if opened and re.search(
        r"(?:n't|\bnot|\bno|\bnever|\bwithout)\b(?:\W+\w+){0,3}\W*$", sentence[: opened[-1]], re.IGNORECASE
    ):
        return False  # "I don't have any headache"
    return (
        bool(opened) and len(sentence[opened[-1] : start].split()) <= 12 and len(sentence[end:].split()) <= 14
    )


def _short(sentence: str) -> bool:
    """A few words that only name something: "shortness of breath"."""
    said = re.search(r"\b(?:no|not|n't|denies|some|positive)\b", sentence, re.IGNORECASE)
    return len(sentence.split()) <= 6 and not said


_BLANKET = re.compile(  # denies all that was asked, not only what the answer names
    r"^(?:[\s,]|and\b|no\b|nope\b|nah\b|um\b|uh\b|oh\b|well\b)*(?:[.!?,;]|$|none\b|neither\b|nothing\b|never\b|not\b(?! (?:the|my|in))|i\b|it\b|that\b|he\b|she\b|they\b|"
    r"doctor\b|sir\b|at all\b|really\b|thank|just\b|only\b|longer\b|we\b|just\b|ma'am\b)",
    re.IGNORECASE,
)


def _answer(question: str, reply: str, asked: int, partly: bool, several: bool) -> bool | None:
    """What a reply says of one of ``asked`` findings; ``partly``: it names another one, ``several``: other questions follow."""
    if NO.match(reply):
        if asked > 1 and (partly or not _BLANKET.match(reply)):
            return None
        return False
    if YES.match(reply) and not several:
        if re.search(r"\b(?:no|not|n't|never|without)\b", question, re.IGNORECASE):
            confirms = re.match(
                rf"^\W*{_FILLER}(?:right|correct|exactly|that's right|true)\b", reply, re.IGNORECASE
            )
            return False if confirms and asked == 1 else None  # "so no fever?" "right."
        return True if asked == 1 else None
    return None


@dataclass(frozen=True)
class Flip:
    """A finding of a note that its sources deny, or that it denies against them; ``at``: offset in the transcript."""

    finding: Finding
    at: int
    by: str  # transcript or reference


def flips(note: str, transcript: str, reference: str = "") -> tuple[list[Flip], int]:
    """``(flips, number of findings that could be judged)``.

    The transcript decides where all that it says of a concept is of one kind. Where it says both, the passage that
    shares most words with the note's sentence decides, if it leads by two. The reference decides where the transcript
    does not, and where it says one thing of the concept throughout.
    """
    heard: dict[str, list[Finding]] = {}
    for finding in in_transcript(transcript) if transcript else []:
        heard.setdefault(finding.concept, []).append(finding)
    approved: dict[str, set[bool | None]] = {}
    for finding in in_note(reference) if reference else []:
        approved.setdefault(finding.concept, set()).add(finding.present)
    found, judged = [], 0
    for finding in in_note(note):
        if finding.present is None:
            continue
        said = _comparable(finding, heard)
        agreed = approved.get(finding.concept, set())
        if len({f.present for f in said}) > 1:
            said = _nearest(finding, note, said, transcript)
        if said:
            judged += 1
            # a reference that says the same clears the note: speech is read less surely than notes
            if said[0].present is not finding.present and finding.present not in agreed:
                found.append(Flip(finding, said[0].start, "transcript"))
        elif agreed and agreed <= {True, False} and len(agreed) == 1:
            judged += 1
            if finding.present not in agreed:
                at = next((f.start for f in heard.get(finding.concept, [])), -1)
                found.append(Flip(finding, at, "reference"))
    return found, judged


def _comparable(finding: Finding, heard: dict[str, list[Finding]]) -> list[Finding]:
    """What a conversation says of a finding of the note, of the same place and without a mere difference of time."""
    every = heard.get(finding.concept) or heard.get(GENERAL.get(finding.concept, ""), [])
    said = [f for f in every if f.present is not None]
    if (
        finding.concept in LOCAL
        or GENERAL.get(finding.concept) in LOCAL
        or finding.concept.endswith(" test")
        or finding.concept in STATES
    ):
        said = [f for f in said if not apart(set(finding.sites), set(f.sites))]
        said = [f for f in said if f.sites & finding.sites] or said
    return [f for f in said if f.present is finding.present or not (finding.limited or f.limited)]


def _nearest(finding: Finding, note: str, said: list[Finding], transcript: str) -> list[Finding]:
    begin = max(note.rfind(". ", 0, finding.start), note.rfind("\n", 0, finding.start)) + 1
    end = min(
        (i for i in (note.find(". ", finding.end), note.find("\n", finding.end)) if i >= 0), default=len(note)
    )
    about = _longer(note[begin:end])
    scores: dict[bool | None, tuple[int, Finding]] = {}
    for other in said:
        shared = len(about & _longer(transcript[max(0, other.start - 120) : other.end + 120]))
        if other.present not in scores or shared > scores[other.present][0]:
            scores[other.present] = (shared, other)
    (best, chosen), (second, _) = sorted(scores.values(), key=lambda item: -item[0])[:2]
    return [chosen] if best - second >= 2 else []


def _longer(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.casefold())}
