# ruff: noqa: E501  (patterns read better in one piece)
"""What belongs to one case and is over with it: an order, a ticket, a letter to one person, a visit, a recipe, a job.

Covers: which shapes of `curate.facts.rules` are no facts that go stale because the sentence tells of one customer's,
employee's or patient's own matter, or of what a program or a recipe does. Does not cover: promises and laws that such a
sentence cites; those keep their words ("within 7 days", "under the Act") and are left in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from curate.facts import words as w
from curate.facts.rules import Sentence, Text


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


#: something that happened to one order, bill or account, or was done for one customer
_DONE = _re(
    r"\b(?:was|were|(?:has|have|had)(?:\s+(?:just|now|already|also|only))?(?:\s+been)?|['’]ve|is\s+being|got|gets)\s+(?:\w+ly\s+|been\s+|twice\s+|since\s+|all\s+|safely\s+)?(?:handed|delivered|dropped|reversed|debited|credited|refunded|charged|billed|taken|"
    r"deducted|waived|booked|cancell?ed|dispatched|shipped|raised|posted|moved|closed|received|paid|issued|logged|marked|added|applied|split|popped|placed|collected|scanned|returned|sent|settled|upgraded|attached|rescheduled|approved|resent|"
    r"re-?issued|reopened|arranged|fixed|sorted|checked|seen|put|placed|swapped|cleared|ordered|voided|bought|passed|failed|refused|served|gone\s+back)"
    r"|\b(?:is|are)\s+(?:arranged|booked|packed|scheduled)\b|\b(?:driver|rider|courier|seller)\s+(?:\w+ed|left|took)\b"
    r"|\b(?:left|reached|landed|went\s+(?:out|twice|back|to|through)|came\s+(?:back|in|through|from)|got\s+(?:paid|approved|stuck)|waited|arrived|vanish\w*|failed\s+on|bounced|(?:going|went|gone)\s+(?:twice|through\s+twice)|I\s+can\s+see|you\s+see\s+on\s+your|goes\s+out\s+again|c[ao]mes?\s+off|(?:is|are)\s+(?:already\s+)?back|failed|sending\s+(?:you\s+)?an?|you\s+(?:paid|ordered|added|bought|wrote|sent|returned|used|opened|asked|skipped|spent))\b"
)
_YOURS = _re(
    r"\b(?:your|yours|madam|sir|order|orders|parcel|package|ticket|docket|invoice|ref|reference|booking|slip|statement|transaction|refund\s+of|charge\s+of|credit\s+of|receipt|basket|payslip|seat|coach|flight|account)\b"
)
_POLICY = _re(
    r"\b(?:always|usually|normally|generally|every|each\s+(?:order|purchase|day|month|year|time)|any\s+(?:order|purchase|card|customer|plan)|all\s+(?:orders|customers|cards|plans|members)|per|remains?|stays|policy|within|charges|takes|goes\s+to|stays\s+at|up\s+to|at\s+least|we\s+(?:charge|refund|ship|deliver|offer|accept)|orders?\s+(?:above|over|below|under)|"
    r"costs?|until|valid|expir\w+|deadline|last\s+date|closes|ends?|renew\w*|due|limit|maximum|minimum|rates?|plan|now\s+costs|goes\s+up|rise[sn]?|changes?|new\s+(?:fee|price|charge|plan|tariff))\b|%"
)

#: a letter or a note to one employee about that employee's own matter
_STAFF = _re(
    r"\b(?:your\s+(?:resignation|transfer|increment|promotion|revised|salary|CTC|balance|payslip|slip|relieving|appraisal|request|application\s+for\s+leave|last\s+(?:working\s+day|salary)|"
    r"arrears|confirmation|probation|full\s+and\s+final|file|query|October|November|September)|you\s+(?:have\s+been|are|will\s+be|stand)\s+(?:promoted|relieved|transferred|confirmed|released|redesignated)|you['’]ll\s+be\s+relieved|"
    r"(?:stands?|is|was)\s+accepted|accept\s+(?:the|your)|the\s+undersigned|arrears|relieved\s+(?:at|on|from)|with\s+effect\s+from|increment\s+letter|designat\w+|outcome|shifting\s+allowance|last\s+working\s+day|(?:earned|casual|annual)\s+leave\s+left|deduction\s+of|you\s+worked\s+with|absence|the\s+rating|your\s+hours\s+will|offer\s+you\s+the\s+post|you\s+will\s+join|revised\s+bonus|goals\s+had|moved\s+to\s+night|we\s+agreed\s+that|your\s+(?:flexible\s+working\s+request|notice|confirmation)|we['’]ve\s+agreed|as\s+written\s+in\s+your\s+offer|encashed|recovered\s+for|relieving\s+letter|stands?\s+as\s+approved|your\s+leave\s+(?:from|without|of)|overtime\s+you|next\s+(?:pay\s*)?check|payslip|this\s+is\s+to\s+certify|worked\s+with\s+us|this\s+letter|on\s+your\s+file)\b"
)
#: the parties of an agreement by their roles, as in "the Executive agrees", "the Consultant shall"
_PARTY = _re(
    r"\b(?:the|an?)\s+(?-i:Employee|Employer|Consultant|Executive|Company|Contractor|Intern|Trainee|Associate|Manager|Director|Apprentice|Teacher|Doctor|Firm|Institution|Organisation|Organization|Bank|Trust|School|Hospital|Worker|Client|Candidate|Resident)\b[^.;]{0,60}?\b(?:shall|agrees?|undertakes?|covenants?|will\s+not|acknowledges)\b"
    r"|\bYour\s+(?:basic|gross|CTC)\s+shall\b|\beither\s+side\s+may\b|\bherein\b|\bhereby\b|\bsurvives?\s+termination\b|\bfollowing\s+Termination\b"
)
#: a visit, its plan and its advice
_VISIT = _re(
    r"\b(?:reviewed|discharge|clinic\s+(?:reply|review)|cataract|plaster|splint|brace|drops|one\s+drop|stitch(?:es)?|sutures?|wound|dressing|knee|wrist|ankle|contact\s+lens(?:es)?|INR|warfarin|pill|bilirubin|BCG|OPV|chest\s+(?:film|clear|clinic)|saturations?|puffs?|"
    r"on\s+air|fracture|nerve\s+conduction|Tinel|fundus|tablets?|physio\w*|sling|bandage|ulcer|cough|fever|swelling|numb|concussion|headaches?|vomiting|pneumonia|antibiotics?|discharge\s+summary|ward\s+round|pre-op|LMP|FHS|Hb|BMI|A1c|h(?:a)?emoglobin|IV|an(?:a)?esthesia|X-ray|tetanus|\w{3,}(?:cillin|mycin|cycline|azole|pril|sartan|statin|olol|formin|floxacin|axone|setron|pirin|profen|cetamol)|post-op|afebrile|port\s+sites|flatus|VA|IOP|discs|maculae|sclerosis|[oqtb]\.?d\.?|tds|HbA1c|creatinine|FBS|T2DM|follow[- ]?up|leg\s+raises|mg|mcg|patient|denies|omit)\b"
)
#: words of a hospital that speak of itself and not of a patient
_HOUSE = _re(
    r"\b(?:we|our|waiting|wait|queue|list|machine|rooms?|walk-in|team|rota|opens?|closes?|OPD|visit(?:ors?|ing)|pharmacy|costs?|package|guidelines?|NHS|CDC|WHO|NICE|scheme|vaccin\w+|lab|insur\w+|helpline|stock|price|fee)\b"
)
_SEEN_AGAIN = _re(
    r"\b(?:appointment\s+(?:is\s+)?(?:booked|made|fixed)|booked\s+for|clinic\s+(?:on\s+)?\d+|home\s+tomorrow|review\b[^.]{0,30}?\b(?:on|by)|X-ray\s+on|OPD\s+on|until\s+\d+|see\s+you|home\s+by|recheck|if\s+no\s+better)\b"
)
_RECIPE = _re(
    r"\b(?:soak\w*|drain|rinse|ginger|honey|milk|mL\s+of\s+water|spoons?|boil(?:ed|s)?|cups|pressure-?cook\w*|whistles?|salt|brine|sourdough|starter|dough|flour|knead\w*|oven|bake|litre\s+of\s+water|kitchen|marinat\w+|simmer\w*|pickle\w*|cucumbers?|prove|proof|ferment\w*|compost|prune|sow|seedlings?|water\s+(?:it|them)|"
    r"training|runs?\s+in\s+each|beginners?|reps|stretch\w*|marathon|jog\w*|rehears\w+|revis(?:e|ion)|yoga|knit\w*|dye|glue|varnish|paint|coat)\b"
)
#: what a job of a machine does, and when
_JOB = _re(
    r"\b(?:cron|crontab|scheduler|timer|fires?|dump(?:s|ed)?|query|index|rows?|column|timestamp|script|macro|lambda|handler|regex|awk|grep|sed|loop|commit|retry|cache|queue|divisor|literal|"
    r"(?-i:WHERE|ORDER\s+BY|GROUP\s+BY|SELECT|JOIN|IF|ELSE|UTC)|server\s+time|para(?:graph)?s?\s+\d{3,4}|\w+\(\)|[A-Z]\w*-[A-Z]\w*-[A-Z]\w*)"
    r"|`[^`\n]{2,80}`"
)
_CRON = _re(r"\bcron\w*\b")
_LATEST_OF_ROWS = _re(
    r"\b(?:row|rows|date|record|records|order|orders|value|entry|entries|file|files|first|backwards?|timestamp|picks?|sort\w*)\b"
)
_LAW = re.compile(
    r"\b(?:[Aa]ppeal|Acts?|Code|Rules|[Ll]aw|[Ss]tatut\w+|ESIC?|EPFO?|PF|[Pp]rovident|[Gg]ratuity|GST|TDS|[Ss]ection|[Rr]egulations?|[Gg]overnment|notified|ceiling|[Mm]aternity|[Mm]inimum\s+wages?)\b"
)
_REFERENCE = _re(
    r"\b(?:ref|reference|order|docket|ticket|txn|transaction|invoice|UTR|AWB|tracking|no)\b[.:#\s]*(?:(?:no|number|id)\b[.:#\s]*)?$"
)
_DAY_OF_TICKET = _re(r"\b(?:this\s+(?:morning|afternoon|evening)|today|tomorrow|tonight)\b")
_TRY = _re(r"\b(?:unplug|plug\s+it|hold\s+(?:down\s+)?the|restart|reboot|press\s+and\s+hold)\b")
_GOODS = _re(r"\b(?:package|parcel|order|shipment|flight|booking)\b")
_VISIT_AT = _re(r"[\s-]+(?:baby\s+)?(?:visit|check)\b")
_THING = _re(r"\byour\s+(?:\w+\s+)?(?:tag|card|pass|link|code|ticket|voucher|password|key)\b")


def of_one_case(kind: str, s: Sentence, about: Text, start: int, end: int) -> bool:
    """Whether the words at ``start:end`` of a sentence belong to one case alone."""
    case = Case(kind, s.text[start:end], s.text, s.text[:start], about.whole)
    return any(kind in kinds and told(case) for kinds, told in CASES)


class Case(NamedTuple):
    """A finding of a kind: its words, its sentence, what stands before it there, the whole text."""

    kind: str
    span: str
    sentence: str
    before: str
    whole: str


def _done_for_a_customer(case: Case) -> bool:
    if not _YOURS.search(case.whole):
        return False
    if w.PER.search(case.span):  # "₹3,500 a year" goes on
        return False
    if case.kind == "availability" and not _GOODS.search(case.sentence):
        return bool(_THING.search(case.sentence))
    if _DONE.search(case.sentence) and not _POLICY.search(case.sentence):
        return True
    if case.kind == "hours" or (case.kind == "now" and _DAY_OF_TICKET.fullmatch(case.span)):
        return bool(_DAY_OF_TICKET.search(case.sentence) and _DONE.search(case.whole))
    return False


def _of_one_employee(case: Case) -> bool:
    return bool(_STAFF.search(case.sentence)) and not _LAW.search(case.sentence)


def _between_parties(case: Case) -> bool:
    return bool(_PARTY.search(case.whole)) and not _LAW.search(case.sentence)


def _of_a_visit(case: Case) -> bool:
    if _many(_VISIT, case.whole) < 2:
        return False
    if case.kind in ("date", "office") and _SEEN_AGAIN.search(case.sentence):
        return True
    return case.kind != "office" and not _HOUSE.search(case.sentence)


def _of_a_try(case: Case) -> bool:
    """What somebody is told to try out, and how old a child was at its visit."""
    return bool(
        _TRY.search(case.sentence) or _VISIT_AT.match(case.sentence, len(case.before) + len(case.span))
    )


def _of_a_recipe(case: Case) -> bool:
    return _many(_RECIPE, case.whole) >= 2


def _of_a_job(case: Case) -> bool:
    if _many(_JOB, case.whole) < 2:
        return False
    return bool(_CRON.search(case.sentence)) or not w.OF_THE_WORLD.search(case.sentence)


def _of_rows(case: Case) -> bool:
    newest = re.fullmatch(r"latest|newest|most\s+recent", case.span, re.IGNORECASE)
    return bool(newest and _LATEST_OF_ROWS.search(case.sentence)) and _many(_JOB, case.whole) >= 2


def _of_a_program(case: Case) -> bool:
    """``$7`` is a column, and what a program worked out is its own."""
    jobs = _many(_JOB, case.whole)
    column = re.fullmatch(r"\$\d{1,2}", case.span)
    own = jobs >= 4 or (jobs >= 3 and not w.OF_THE_WORLD.search(case.sentence))
    return own or (jobs >= 2 and bool(column))


def _ratio_of_clotting(case: Case) -> bool:
    return bool(re.match(r"INR\s\d(?:\.\d)?$", case.span)) and _many(_VISIT, case.whole) >= 2


def _number_of_a_ticket(case: Case) -> bool:
    return bool(re.match(r"[\d\s-]+$", case.span) and _REFERENCE.search(case.before))


#: kinds of finding, and what makes one of them somebody's own matter
CASES: tuple[tuple[frozenset[str], Callable[[Case], bool]], ...] = (
    (frozenset({"price", "fee", "date", "now", "availability", "hours"}), _done_for_a_customer),
    (frozenset({"price", "fee", "date", "now", "period", "hours"}), _of_one_employee),
    (frozenset({"price", "fee", "date", "now", "period", "hours", "rate"}), _between_parties),
    (frozenset({"date", "now", "period", "hours", "office"}), _of_a_visit),
    (frozenset({"period"}), _of_a_try),
    (frozenset({"period", "hours"}), _of_a_recipe),
    (frozenset({"period", "hours", "date"}), _of_a_job),
    (frozenset({"now"}), _of_rows),
    (frozenset({"price", "fee"}), _of_a_program),
    (frozenset({"price"}), _ratio_of_clotting),
    (frozenset({"channel"}), _number_of_a_ticket),
)


def _many(pattern: re.Pattern[str], text: str) -> int:
    """Different words of a list in a text."""
    return len({match.group().casefold() for match in pattern.finditer(text)})
