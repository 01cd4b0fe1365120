# ruff: noqa: E501  (patterns read better in one piece)
"""Shapes that say by themselves that they are of the world, also inside a doctor's note or an explained program.

Covers: what a body advises or a service refuses, cut-offs, waiting times, rotas, timetables, stock, ways to reach
somebody, releases that dropped something. A table: a kind, a pattern whose group ``v`` (or all of it) is the fact, and
the texts it is looked for in. Does not cover: shapes that need the rest of the sentence to be judged
(`curate.facts.rules`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from curate.facts import words as w
from curate.facts.rules import Hit, Sentence, Text

# --- pieces -------------------------------------------------------------------------------------------------

_NUMBER = rf"(?:{w.FIGURE}|{w.SPELT})"
_SPAN = r"(?:minutes?|hours?|days?|nights?|weeks?|fortnights?|months?|years?)"
_TIME = rf"(?:(?:about|around|roughly|some|nearly|up\s+to|at\s+least|only)\s+)?(?:{_NUMBER}(?:\s?(?:-|–|to|or)\s?{_NUMBER})?[\s-](?:(?:working|business|calendar|full)\s)?{_SPAN}|a\s+fortnight)\b"
_UNIT = r"(?:%|per\s?cent\b|mm\s?Hg|[kMGT]i?B\b|[a-zµ]{1,6}/[a-zA-Z]{1,4}\b|(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|requests?|calls|rows|files|characters|bytes|times|people|persons|workers|employees)\b)"
_VALUE = rf"(?:{w.FIGURE}|{w.SPELT}\s+(?=\w))(?:\s?/\s?\d{{1,3}}(?!\d))?(?:[\s-]?{_UNIT})?"
_GAP = r"[^.!?;:\n]"
#: who sets values for everybody: an acronym in capitals, or a named kind of body
_BODY = (
    r"(?:(?<![\w-])(?-i:[A-Z]{2,7}(?:/[A-Z]{2,7}){0,2})(?![\w-])|\b(?:guid(?:eline|ance)s?|programme|protocol|society|ministry|department|"
    r"regulator|insurer|insurance|medicare|medicaid|scheme|council|commission|authorit(?:y|ies)|government|state|law|statute|code|college|manufacturer)\b)"
)
_ADVISES = (
    r"(?:would\s+|now\s+|currently\s+|still\s+|also\s+){0,2}(?:advis\w+|recommend\w*|suggest\w*|prefers?|treats?|acts?|aims?|calls?|requires?|wants?|says?|"
    r"allows?|permits?|pays?|covers?|caps?|limits?|asks?|accepts?|screens?|starts?|defines?|drew|draws?|puts?|sets?|keeps?|reimburs\w+|gives?|grants?|obliges?|insists?|names?|lists?)"
)
#: a thing outside of the program: a service by its name, or by what it is
_SERVICE = (
    r"(?:(?-i:(?<![\w.-])(?!This|That|These|Those|Line|Here|There|Then|Each|Every|Only|The|It|We|You|If|In|At|On|When|While|And|But|So|Its|Your|My|Our|An?\b)"
    r"[A-Z][A-Za-z]*\d?(?![\w-]))|\b(?:API|service|provider|server|vendor|gateway|registry|host|bank|plan|free\s+tier|tier|endpoint|portal|platform|cloud|broker|bucket|exchange|carrier|licen[cs]e)\b)"
)
_HOUR = r"(?:(?:1[3-9]|2[0-3])[:.][0-5]\d|(?:[1-9]|1[0-2])(?:[:.][0-5]\d)?(?:\s?[ap]\.?m\b\.?)?|(?:half\s+past\s+|quarter\s+(?:past|to)\s+)?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)|noon|midnight)(?![\w:%]|\.\d)"
_NOT_A_CLOCK = r"(?!\s*(?:%|mg|ml|days?|weeks?|months?|years?|hours?|minutes?|times|people|points|per|tablets?|units?|percent|of\b|,\d))"
_DAYNAME = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_PLACE = (
    r"(?:visiting|(?:theatre|operating)\s+list|list|clinic|OPD|(?:ward\s+)?rounds?|counter|kitchen|canteen|shift(?!\s+work)|class(?:es)?|session|doors?|stores?|shops?|lab|laboratory|"
    r"pharmacy|desk|office|branch|library|museum|pool|gym|market|bank|gates?|service|helpline|batch(?:\s+window)?|window|dispensary|camp|centre|center|camp|unit|day\s+care|chat|park|temple|booking|slots?|freeze)"
)
_DOCTOR = r"(?:Dr|Sister|Nurse|Prof|Professor|Matron|Consultant|Justice|Judge|Inspector|Father)\.?"
_ANY_TITLE = rf"(?:{_DOCTOR}|(?:Mr|Mrs|Ms|Smt|Shri)\.?)"
_CALLED = r"[A-Z][a-zà-öø-ÿ'’-]+(?:\s[A-Z][a-zà-öø-ÿ'’-]+){0,2}"
_ROLE = (
    r"(?:on[- ]call|on\s+duty|an(?:a)?esthetist|surgeon|consultant|registrar|resident|physiotherapist|coordinator|dietici?an|officer|in[- ]charge|warden|matron|technician|"
    r"social\s+worker|counsell?or|pharmacist|nurse|midwife|contact|supervisor|manager|secretary|clerk|librarian|coach|trainer|chaplain|interpreter|radiologist|pathologist|administrator)"
)
#: whose word or paper is meant where a note gives a period or a number that is not the patient's
_DESKS = (
    r"\b(?:suppliers?|depot|company|employer|manufacturer|insurers?|insurance|schemes?|rules?|criteri(?:a|on)|interval|guidelines?|guidance|limit|trust|lab|laboratory|clinic|ward|hospital|pharmacy|"
    r"reports?|wait|queue|slots?|list|machine|scanner|unit|desk|counter|approval|protocol|programme|schedule|screening|eligibility|indication|label|law|Act|registry|vendor|courier|board|council|office|bank)\b"
)
_PLAN = r"(?!\b(?:review|follow|back|return|repeat|recheck|see|seen|sees|come|call|for|after|refer|admit|discharge|again|stay|visit)\b)"


class Shape(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    where: str = "any"  # any, clinical, program, prose (neither of the two)
    told: bool = False  # also in sentences that tell of the past


def _shape(kind: str, pattern: str, where: str = "any", *, case: bool = False, told: bool = False) -> Shape:
    return Shape(kind, re.compile(pattern, 0 if case else re.IGNORECASE), where, told)


SHAPES: tuple[Shape, ...] = (
    _shape("rate", rf"\b(?:anything|anyone|everyone|everything|orders?|loans?|parcels?|packages?|payments?|transfers?|drones?|bags?)\s+(?P<v>(?:over|above|under|below|beyond)\s+{_VALUE}(?:\s?(?:grams?|kg|kilos?|feet|metres?))?)\s+(?:has|have|must|needs?|requires?|is|are|goes|counts?)\b", "prose"),
    _shape("statute", r"\b(?-i:[A-Z]{2,5}\s+(?:Code|Act|Rules))(?=\s+(?:requires?|says?|provides?|allows?|gives?|asks?|sets?|fix(?:es)?)\b)"),
    _shape("hours", r"\b(?:opens?|starts?|begins?|closes?)\s+at\s+(?P<v>\d{1,2}\s+sharp)\b", "prose"),
    _shape("period", rf"\b(?:appeal|object|ask\s+for\s+a\s+review|challenge)\b{_GAP}{{0,80}}?\bwithin\s+(?P<v>{_TIME})"),
    _shape("period", rf"\b(?:guidelines?|guidance|programme|task\s+force|college)\b[^.!?;\n]{{0,90}}?\b(?P<v>every\s+(?:{_NUMBER}|other)\s+(?:months?|years?))"),
    # what is capped, who is served from which age, how long something may last at most
    _shape("rate", rf"\b(?:still\s+)?caps?\s+(?:(?!at\b)[\w'’-]+\s+){{1,4}}at\s+(?P<v>{_VALUE})"),
    _shape("rate", r"\b(?:gives?|given|offer(?:s|ed)|pays?|invites?|covers?|free|open|limited)\b" + _GAP + r"{0,40}?\b(?:to|for)\s+(?:people|everyone|everybody|anyone|adults|women|men|children|those|residents)\s+(?P<v>(?:turning|aged|over|under|from|between)\s+\d{1,3}(?:\s(?:to|and)\s\d{1,3})?)"),
    _shape("rate", r"\b(?:includes?|allows?|allowance\s+(?:is|of)|limit\s+(?:is|of)|up\s+to|maximum\s+(?:is|of))\s+(?P<v>\d+(?:\.\d+)?\s?(?:kgs?|kilos?|lbs?|GB|MB|TB|litres?)\b)(?!\s+of\s+(?:water|rice|flour|milk))", "prose"),
    _shape("period", rf"\b(?:set|good|covered|valid|clear)\s+for\s+(?P<v>{_TIME})(?={_GAP}*\b(?:recommendations?|guidelines?|guidance|rules?|programme|schedule)\b)"),
    _shape("period", rf"\b(?P<v>every\s+(?:{_NUMBER}|other)\s+(?:months?|years?))(?={_GAP}*\b(?:rules?|law|Act|RBI|SEBI|regulation|norms|requirement)\b)", "prose"),
    _shape("period", r"\b(?:(?:for\s+)?as\s+long\s+as|for\s+up\s+to|(?:no|not)\s+more\s+than|valid\s+for)\s+(?P<v>an?\s+(?:week|fortnight|month|quarter|year))\b", "prose"),
    # what a body advises, what a law or a cut-off says
    _shape("rate", rf"{_BODY}\s+{_ADVISES}\b{_GAP}{{0,45}}?\b(?:from|at|of|above|below|over|under|within|after|to|until|than|beyond|per|every|aged?|only)\s+(?:age\s+|aged\s+|the\s+age\s+of\s+|about\s+|a\s+|every\s+)?(?P<v>{_VALUE})", "clinical"),
    _shape("rate", rf"\b(?:advised|recommended|licensed|approved|offered|funded|indicated|covered|reimbursed|mandated|permitted|allowed|legal|lawful)\s+(?:\w+\s+)?(?:from|at|above|over|below|under|up\s+to|until|to|beyond|till|for\s+(?:those|adults|children|people|everyone|women|men)\s+(?:over|under|above|aged|from)?)\s+(?:age\s+|the\s+age\s+of\s+)?(?P<v>{_VALUE})", "clinical"),
    _shape("rate", rf"\b(?:cut-?offs?|thresholds?|ADA['’]s\s+line|action\s+level|trigger)\s+(?:(?!is\b|of\b)[\w'’/-]+\s+){{0,4}}?(?:is|are|of|at|lies\s+at|sits\s+at|stands\s+at|was\s+lowered\s+to|to)\s+(?:about\s+|now\s+|set\s+at\s+)?(?P<v>{_VALUE})", "clinical"),
    _shape("rate", rf"(?P<v>(?:{w.FIGURE})\s?(?:{_UNIT})?)[\s-](?:cut-?off|threshold|ceiling|cap)\b", "outside"),
    _shape("rate", r"\b(?:caps?|quota|ceiling|limit|allowance)\s+(?:(?!is\b|of\b)\w+\s+){0,3}?(?:is|are|stands\s+at|sits\s+at)\s+(?:now\s+|about\s+|set\s+at\s+)?(?P<v>" + _NUMBER + r"(?:\s?%|\s[a-z]{2,14}\b)?)", "prose"),
    _shape("rate", rf"\b(?:raises|raised|lowers|lowered|has\s+cut|increased|increases|reduced|reduces|lifted|lifts|hiked|hikes|doubled|doubles)\s+(?:it|them|this|that|the\s+(?:[\w-]+\s){{1,3}}?)\s?to\s+(?P<v>(?:{w.FIGURE})(?:\s?{_UNIT})?)", "unsaid", told=True),
    _shape("rate", rf"\b(?:the\s+(?:\w+\s)?(?:Acts?|law|statute|rules?|circular|council|ministry|state|bank|regulator|notification|treaty|tariff|label|leaflet|guideline|policy|IRS|RBI)|law|(?-i:[A-Z]{{3,5}}))\s+(?:now\s+|currently\s+|still\s+)?(?:says|sets|gives|puts|fixes|wants|prescribes|demands|has|reads|names)\s+(?:it\s+at\s+|them\s+at\s+|only\s+|at\s+least\s+)?(?P<v>{_VALUE})", "world"),
    _shape("rate", rf"\b(?:goal|target|aim|keep|below|above|under|over|from|at|until|less\s+than|more\s+than|stop|start|hold)\s+(?:(?-i:[a-z]?[A-Z]\w+)\s+)?(?:of\s+|under\s+|below\s+|above\s+|over\s+)?(?P<v>(?:{w.FIGURE})(?:\s?/\s?\d{{1,3}}(?!\d))?(?:\s?{_UNIT})?)(?={_GAP}{{0,50}}?\b(?:per|as\s+per|by|according\s+to|following|under|says?|in|so|as)\s+(?:the\s+)?(?:(?:current|latest|new|local|national|(?-i:[A-Z]{{2,6}}))\s+){{0,2}}(?:guid(?:ance|elines?)|label|protocol|advice|recommendations?|criteria|consensus|leaflet|formulary)\b)", "clinical"),
    _shape("rate", rf"(?-i:\b[A-Z]{{2,6}})(?:['’]s)?\s+(?:limit|line|target|goal|cut-?off|threshold|definition|criteri\w+|ceiling|range|interval)\b{_GAP}{{0,25}}?\b(?:is|of|at|are)\s+(?P<v>{_VALUE})", "clinical"),
    _shape("version", r"\b20\d\d\s+(?:formulary|schedule|protocol|guid(?:elines?|ance)|edition|list|label|criteria|definition|update)\b", "clinical"),
    _shape("rate", rf"\b(?:adults|women|men|people|everyone|everybody|children|those|anyone|anybody|patients|infants|persons)\s+(?P<v>(?:over|above|aged|from|under|below|older\s+than|younger\s+than)\s+{w.FIGURE}(?:\s+(?:years|months))?)\b", "clinical"),
    _shape("rate", rf"\b(?:petitions?|seats?|places|numbers?|fares?|rents?|profits?|payouts?|transfers?|withdrawals?|increases?|visas?|claims?|contributions?|speed|admissions?|entries|loans?|fees?)\s+(?:is|are|remains?|stays?)\s+(?:\w+\s+)?(?:capped|limited|restricted|pegged|frozen|fixed)\s+(?:at|to)\s+(?P<v>{_VALUE}(?:\s+(?:a|per)\s+(?:day|month|year))?)", "outside"),
    _shape("rate", rf"\b(?:more\s+than|over|beyond|exceed\w*|up\s+to|at\s+most|above|past|longer\s+than|maximum\s+of)\s+(?P<v>{_NUMBER}\s+(?:hours?|days?)\s+(?:a|per|each|in\s+an?|in\s+any)\s+(?:day|week|month|year|quarter))\b", "prose"),
    _shape("rate", rf"{_SERVICE}{_GAP}{{0,24}}?\b(?:refuses|kills|rejects|throttles|truncates|blocks|times\s+out|bounces)\b{_GAP}{{0,40}}?\b(?P<v>{_NUMBER}\s?(?:[kMGT]i?B|minutes|seconds|hours|days|requests|rows|files|characters|recipients)\b)", "untold"),
    _shape("rate", rf"\b(?:pays?|covers?|allows?|entitle[sd]?|offers?|reimburses|funds|lets\s+you|may|can)\b{_GAP}{{0,45}}?\b(?P<v>(?:once|twice|thrice|{_NUMBER}\s+times)\s+(?:a|an|per|each|every|in\s+a)\s+(?:{_NUMBER}\s+)?(?:day|week|month|quarter|year|years|lifetime))\b", "world"),
    _shape("rate", rf"(?P<v>\b(?:{w.FIGURE}|one|two|three|four|five|six|ten)\s+(?:guests?|bags?|pieces?|books?|items?|companions?|visitors?|attempts?|devices?|pets?)\s+)(?:(?:is|are)\s+)?(?:allowed|permitted|at\s+a\s+time|per\s+(?:person|member|visit|patient|bed))\b", "prose"),
    _shape("rate", rf"(?<![\w.,$₹£€])(?P<v>(?:{w.FIGURE})\s+(?:[a-z]+\s+)?(?:requests?|calls?|queries|messages|tokens|e?mails?|uploads|transactions|writes|reads|invocations|downloads|lookups|pulls|builds|minutes)\s?(?:/|per|an?|each|every)\s?(?:second|sec|s|minute|min|hour|day|week|month)\b)", "service"),
    _shape("rate", rf"{_SERVICE}{_GAP}{{0,24}}?\b(?:refuses?|kills?|rejects?|cuts?|drops?|stops?|throttles?|stores?|holds|keeps?|retains?|accepts?|takes|allows?|permits?|lets|gives|grants|caps?|limits?|times?\s+out|deletes?|purges?|allots?|charges?\s+beyond)\b{_GAP}{{0,40}}?\b(?P<v>{_NUMBER}\s?(?:[kMGT]i?B|minutes|seconds|hours|days|weeks|months|requests|rows|files|characters|connections|attachments|attempts|recipients|calls|users|seats)\b)", "program"),
    _shape("period", rf"\b(?:expires?|deletes?|purges?|rotates?|revokes?|logs?\s+out|logs?\s+you\s+out|invalidates?|archives?|keeps?|retains?)\b{_GAP}{{0,30}}?\b(?:after|for|every)\s+(?P<v>{_TIME})", "untold"),
    _shape("rate", rf"\b(?:until|till|from\s+when|before)\s+(?:the\s+|your\s+|a\s+)?\w+\s+(?:is|turns|reaches)\s+(?P<v>{_NUMBER}\s+(?:months?|years?)(?:\s+old)?)\b", "prose"),
    _shape("rate", rf"\b(?:rules?|regulations?|law|Act|statute|authority|council|ministry|government|regulator|commission|insurers?|scheme|programme)\s+{_ADVISES}\b{_GAP}{{0,45}}?\b(?:from|at|of|above|below|over|under|within|after|to|until|than|beyond|every|only|least)\s+(?:age\s+|about\s+)?(?P<v>{_NUMBER}\s?(?:%|per\s?cent\b|(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|workers|employees|people|persons|women|members|km|miles)\b))", "unsaid"),
    _shape("rate", rf"{_SERVICE}\s+(?:[a-z]+\s+){{1,3}}?(?:at\s+most|up\s+to|no\s+more\s+than|not\s+more\s+than|a\s+maximum\s+of)\s+(?!an?\b)(?P<v>{_NUMBER}\s?[a-z]{{2,14}})\b", "prosecode"),
    _shape("rate", r"\b(?:paid|pays?|payable|earns?|due|owed|compensated)\s+(?:\w+\s+)?(?:at\s+)?(?P<v>(?:double|triple|time\s+and\s+a\s+half|(?:twice|thrice)\s+the\s+\w+|double\s+(?:time|rate|wages)))(?![\w-])(?!\s+(?:for\s+it|the\s+price))", "prose"),
    _shape("period", rf"\b(?:within|every|for|after|at\s+least|up\s+to)\s+(?P<v>{_TIME})(?={_GAP}{{0,20}}?\b(?:per|as\s+per|by|according\s+to|following|as)\s+(?:the\s+)?(?:(?:current|latest|new|local|national|state|(?-i:[A-Z]{{2,6}}))\s+){{1,3}}(?:guid(?:ance|elines?)|protocol|advice|recommendations?|criteria|rules?|law)\b)", "clinical"),
    _shape("rate", r"\b(?:accepts?|allows?|takes|permits?|handles)\s+(?:only\s+|up\s+to\s+)?(?P<v>\d[\d,]*\s+(?:per|an?)\s+(?:second|minute|hour|day|month))\b", "untold"),
    _shape("count", rf"(?<![\w.,$₹£€])(?:{w.FIGURE})\s+(?:million|billion|crore|lakh)\s+(?:people|users|customers|(?-i:[A-Z][a-z]+ns))\b", "prose"),
    _shape("count", rf"\bhome\s+to\s+(?:\w+\s+){{0,2}}?(?:{w.FIGURE}|{w.SPELT})(?:\s?{w.SCALE})?\s+(?:people|residents|inhabitants|species|companies|souls)\b"),
    # periods that a desk, a link or a paper is good for
    _shape("period", rf"\b(?:wait(?:ing)?(?:\s+(?:time|list|period))?|queue|turnaround|backlog|lead\s+time|reports?|results?|approvals?|slots?|pre-?authori[sz]ation)\b{_GAP}{{0,36}}?\b(?:is|are|takes?|come|comes|runs?\s+(?:to|at)|stands\s+at|needs?|ready\s+in|back\s+in|out\s+in|in|after)\s+(?:now\s+)?(?P<v>{_TIME})", "outside"),
    _shape("period", rf"\b(?:links?|codes?|tokens?|passes|pass|tickets?|vouchers?|permits?|licen[cs]es?|coupons?|quotes?|sessions?|certificates?|cards?|visas?|prescriptions?|referrals?|approvals?|keys?)\b{_GAP}{{0,36}}?\b(?:works?|lasts?|hold|holds|stays?|runs?|good|valid|live|expires?|lapses?|dies)\s+(?:valid\s+)?(?:for|after|in|within)?\s*(?P<v>{_TIME})", "outside"),
    _shape("period", rf"\b(?:please\s+allow|allow\s+(?:us|up\s+to|about|at\s+least)|give\s+(?:us|them|it))\s+(?P<v>{_TIME})", "prose"),
    _shape("period", rf"\b(?:has\s+to|have\s+to|must|shall|needs?\s+to|requires?|required|may|obliged)\b{_GAP}{{0,50}}?\b(?P<v>(?:within|no\s+later\s+than)\s+{_TIME})", "world"),
    _shape("period", rf"(?P<v>{_TIME})\s+(?:ahead|in\s+advance|beforehand|before\s+(?:the\s+)?(?:race|start|deadline|departure|travel|visit|event|check-?in|journey|appointment))\b", "world"),
    _shape("period", rf"\b(?:legal|lawful|allowed|permitted|permissible|available)\b{_GAP}{{0,24}}?\b(?P<v>up\s+to\s+{_TIME})|\b(?P<v2>up\s+to\s+{_TIME})\s+(?:are|is)\s+(?:now\s+)?(?:allowed|permitted|legal|covered|free|paid)\b"),
    _shape("period", rf"\b(?:no|not|barred\s+from|off)\s*(?:driving|flying|donat\w+)?\s*for\s+(?P<v>{_TIME}){_GAP}{{0,40}}?\b(?:by|under|per)\s+(?:the\s+)?(?:\w+\s+)?(?:rules?|law|regulations?|code)\b"),
    _shape("period", rf"{_DESKS}(?:{_PLAN}{_GAP}){{0,40}}?(?:\b(?:is|are|takes?|says?|counts?|of|lasts?|needs?|wants?|requires?|quotes?|allows?|gives?|stands\s+at|within|runs\s+to)\s+(?:now\s+|currently\s+|still\s+|up\s+to\s+)?|:\s+)(?P<v>{_TIME})", "clinical"),
    _shape("rate", rf"\b(?:rules?|criteri(?:a|on)|guidelines?|guidance|limit|screening|eligibility|indication|label|protocol|programme)\b(?:{_PLAN}{_GAP}){{0,30}}?(?:\b(?:is|are|of|at|from|says?|needs?|wants?|requires?|starts?)\s+|[:,]\s+)(?P<v>(?:(?:BMI|age|ages|over|above|under|below)\s+){{0,2}}(?:{w.FIGURE})(?:\s?(?:-|–|to)\s?(?:{w.FIGURE}))?(?:[\s-]?(?:pack-years|{_UNIT}))?)(?!\s?(?:mg|ml|mcg|tablets?|st\b|nd\b|rd\b|th\b))", "clinical"),
    _shape("period", rf"\b(?:limitation|notice\s+period|limit|window|deadline|term|cap|interval|tenure|validity|lock-in|waiting\s+period|warranty|guarantee|cooling-off)(?:\s+(?:for|on|of)\s+[\w\s'’-]{{1,30}}?)?\s+(?:is|are|lasts?|runs\s+(?:for|to)|remains|stands\s+at)\s+(?:now\s+|still\s+|currently\s+)?(?P<v>{_TIME})", "outside"),
    _shape("date", r"\b(?:forms?|papers?|claims?|bills?|documents?|returns?|applications?|reports?|files?)\b[^.!?;\n]{0,40}?\b(?:by|before|until|till|on)\s+(?P<v>the\s+(?:3[01]|[12]?\d)(?:st|nd|rd|th))\b(?!\s+(?:century|day|floor|week))", "outside"),
    # statutes and rules without a name of their own
    _shape("statute", r"\b(?:by|under|per|in)\s+(?P<v>(?:the\s+)?(?:(?:state|federal|central|local|municipal|national|county|union|union\s+territory|provincial)\s+(?:rules?|laws?|regulations?|statutes?|codes?)|(?:(?:amended|new|principal|parent|said|same|revised)\s+(?-i:Acts?|Code|Rules))))\b"),
    _shape("statute", r"\b(?:by|under|per)\s+(?:an?\s+|the\s+)?(?P<v>[A-Z]{3,6}\s+(?:order|orders|notification|rules?|circular|norms|directive|mandate|notice))\b", case=True),
    _shape("statute", r"\b(?P<v>the\s+(?:\w+\s+)?(?:health\s+department|ministry|regulator|state|licensing\s+board|authority)\s+(?:requires|mandates|demands|forbids|prohibits|bans|insists\s+on))\b"),
    _shape("statute", r"\b(?:the|which\s+the)\s+(?P<v>[A-Z][a-z]+\s+(?:authorities|government|embassy|regulator|state))\s+(?:requires?|demands?|mandates?|wants?|forbids?|bans?)\b", case=True),
    _shape("statute", r"\b(?:under|says|per|by|invoke[sd]?|vide|attracts?|violates?|breach(?:es)?(?:\s+of)?)\s+(?P<v>sections?\s\d{1,4}[A-Z]{0,3}(?:\(\w{1,3}\)){0,3})(?!\s+(?:of\s+(?:this|the|our|your)\s+(?!Acts?|Code|Constitution)|above|below))", "prose"),
    _shape("statute", r"\bunder\s+(?P<v>the\s+(?:(?:national|state|central|government|federal|public)\s+)(?:[\w-]+\s+){0,3}?(?:programme|scheme|mission|plan))\b"),
    _shape("statute", r"\b(?P<v>Title\s+[IVX]{1,5})\s+(?:covers|protects|applies|forbids|prohibits|bars|requires|reaches|bans|makes|of\s+the)\b", case=True),
    # prices without an amount
    _shape("fee", r"\b(?!(?:he|she|I|you|we|they|who|it|hands?|feet|lungs?|airway|movement|press|will|skin|bowels?)\b)[a-z]{3,}\s+(?:is|are|remains?|stays?|comes?)\s+(?:\w+\s+)?(?P<v>free)(?=\s+(?:for|on|once|with|in|until|till|under|at|every|to\s+(?:members|all|everyone|students|residents))\b|\s*[.,;:]|\s*$)(?!\s+with\s+(?:his|her|their))", "desk"),
    _shape("fee", r"\b(?:supplied|given|provided|issued|dispensed|offered|delivered|fitted|treated|covered|tested|done|comes?|available)\s+(?P<v>free)\b(?!\s+of\s+(?!charge|cost))", "desk"),
    _shape("fee", r"\bno\s+(?:co-?pay(?:ment)?s?|deductible|deposit|entry\s+fee|commission|surcharge|premium)\b"),
    _shape("price", r"\b(?:costs?|sells?\s+for|priced|go(?:es)?\s+for|cheaper\s+by|runs?)\s+(?:about\s+|around\s+|roughly\s+|nearly\s+)?(?P<v>(?:a\s+(?:third|quarter|fifth|tenth)|half|two\s+thirds|three\s+quarters)\s+(?:less|more|as\s+much|the\s+price|off|of))\b"),
    # hours and days of the week
    _shape("hours", rf"\b(?:{_DAYNAME}s(?:(?:,\s|\s(?:and|to|or)\s|\s?[–-]\s?){_DAYNAME}s){{0,3}}|{_DAYNAME}\s?(?:to|[–-])\s?{_DAYNAME})(?:,|,?\s+from|\s+between|\s+at)?\s+{_HOUR}(?:\s?(?:-|–|to|till|until|and)\s?{_HOUR})?{_NOT_A_CLOCK}", "outside"),
    _shape("hours", rf"\b{_DAYNAME}s?\s+(?:mornings|afternoons|evenings|nights)\b|\bevery\s+(?:first|second|third|fourth|other|\d(?:st|nd|rd|th))\s+{_DAYNAME}\b", "outside"),
    _shape("hours", r"\b(?:mornings|afternoons|evenings|weekdays|weekends|nights)\s+only\b|\bby\s+appointment\s+only\b", "outside"),
    _shape("hours", rf"\b(?:runs?|held|sits?|meets?|operates?|works?|open|opens|closed|shut|seen|sees|available|visits?|comes?|leaves?|departs?|flies|sails|collected|issued|served|delivered|deliver|held|here|there|clinic|OPD|camp|surgery|list|duty)\s+(?:only\s+)?(?:on\s+)?(?P<v>(?:{_DAYNAME}s(?:(?:,\s|\s(?:and|to|or)\s){_DAYNAME}s){{0,4}}|(?:working|alternate|odd|even)\s+days|weekdays|weekends|{_DAYNAME}s?\s+(?:and|to)\s+{_DAYNAME}s?))\b", "outside"),
    _shape("hours", rf"\b(?:on\s+)?(?:the\s+|every\s+|each\s+)(?:first|second|third|fourth|last|alternate|other)\s+{_DAYNAME}s?(?:\s+of\s+(?:the|each|every)\s+month)?\b(?!\s+(?:night\s+)?(?:of\s+(?:Advent|Lent|(?-i:[A-Z]))|he|she|I|it\s+(?:rained|was)))", "outside"),
    _shape("hours", rf"\b{_PLACE}\b{_GAP}{{0,24}}?\b(?:opens?|open|starts?|begins?|ends?|clos(?:es?|ing)|stops?|shuts?|runs?\s+from|until|till|from)\s+(?:at\s+|by\s+)?(?P<v>{_HOUR}(?:\s?(?:-|–|to|till|until)\s?{_HOUR})?){_NOT_A_CLOCK}", "outside"),
    _shape("hours", rf"\b(?:takes?|sees?|accepts?|admits?|open|runs?|works?|patients?|visitors?|serves?|relatives|walk-?ins?|calls?|answered|staffed|manned|attended|bloods?|samples?)\b{_GAP}{{0,24}}?\b(?:from|between)\s+(?P<v>{_HOUR}\s?(?:-|–|to|till|until|and)\s?{_HOUR}){_NOT_A_CLOCK}", "outside"),
    _shape("hours", rf"\b(?P<v>(?:(?:any|every)\s+(?:weekday|day|{_DAYNAME})\s+)?(?:before|after|by|until|till)\s+{w._SURE})(?=[^.!?\n]{{0,30}}\b(?:leaves?|ships?|goes|same\s+day|dispatched|delivered|counts?|processed)\b)|\b(?:weekdays?|daily|orders?|requests?|forms?|samples?|follow-?ups?)\b[^.!?\n]{{0,24}}\b(?P<v2>(?:before|after|by|until|till)\s+{w._SURE})", "world"),
    _shape("hours", r"\b(?:a?round\s+the\s+clock|day\s+and\s+night)\b(?=|)", "reach"),
    _shape("hours", rf"\b(?:visits?|comes?|sits|held|runs|meets|delivers|collects|opens|calls|answers?|operates|sails)\b{_GAP}{{0,24}}?\b(?P<v>(?:once|twice|three\s+times)\s+a\s+(?:week|fortnight|month)|every\s+(?:other|second|two|three)\s+(?:weeks?|months?|fortnight))\b", "prose_desk"),
    _shape("hours", rf"\bon\s+(?P<v>(?:odd\s+|even\s+|alternate\s+)?{_DAYNAME}s(?:\s+(?:and|or)\s+{_DAYNAME}s)?)\b", "prose"),
    _shape("hours", rf"\b(?:between|from)\s+(?P<v>{_HOUR}\s+(?:and|to|till|until)\s+{_HOUR}){_NOT_A_CLOCK}(?=\s*(?:[,.;]|$)|\s+(?:in\s+the|on|every|each|daily|o))", "prose"),
    _shape("hours", rf"\b{_HOUR}\s?(?:-|–|to|till|until)\s?{_HOUR}\s+in\s+the\s+(?:morning|afternoon|evening)\b", "outside"),
    _shape("hours", r"\b(?:only\s+)?in\s+the\s+(?:mornings|afternoons|evenings)\b", "prose"),
    _shape("hours", rf"\b(?:go|goes|run|runs|start|starts|leave|leaves|open|opens|sent|down|close|closes|meets?|arrives?|departs?|release[sd]?)\s+(?:\w+\s+)?(?P<v>(?:on|every|each)\s+{_DAYNAME}s?\s+(?:at|from|until|till)\s+{_HOUR})", "world"),
    _shape("hours", r"\b(?:twice|once|three\s+times|four\s+times)\s+an\s+hour\b|\bevery\s+(?:half\s+(?:an\s+)?hour|quarter\s+of\s+an\s+hour)\b", "transit"),
    # who holds a duty
    _shape("office", rf"\b{_DOCTOR}\s+{_CALLED}\s+(?:does|covers|runs|takes|leads|sees|handles|holds|heads|operates|reports|reads|looks\s+after|has\s+the|is\s+(?:on\s+(?!metformin|insulin|warfarin)|away|off\b|in\s+charge|covering|back|the\s+\w+|our|available))(?:\s+(?:the\s+)?[\w-]+){{0,3}}", case=True),
    _shape("office", rf"\b{_CALLED},\s+who\s+(?:owns|runs|handles|maintains|looks\s+after|leads|heads|manages|coordinates|keeps)\b", case=True),
    _shape("office", r"\bthe\s+(?:[\w-]+\s+){1,3}on\s+(?:duty|call)\b|\b(?-i:[A-Z][a-z]+\s+[A-Z][a-z]+)\s+is\s+(?:the|its|their|our)\s+(?:boss|owner|number\s+one)\b", "untold"),
    _shape("office", rf"\b{_DOCTOR}\s+{_CALLED}['’]s\s+(?:[a-z]+\s+)?(?:clinic|list|rounds?|OPD|session|unit|room)\b", case=True),
    _shape("office", r"\b(?:consultant|registrar|doctor|surgeon|an(?:a)?esthetist|physician|officer|nurse|resident|pharmacist)\s+of\s+the\s+(?:day|week|month)\b"),
    _shape("office", rf"\b{_ANY_TITLE}\s+{_CALLED}(?:['’]s\s+(?:desk|team|office|unit))?\s+(?:covers|handles|looks\s+after|heads|oversees|is\s+in\s+charge|is\s+on\s+(?:leave|duty|call)|deals\s+with|answers\s+for)\b", case=True),
    _shape("office", rf"\b(?i:{_ROLE})\b(?:\s+(?:(?!(?:is|was)\b)[a-z]+\s?){{1,5}})?(?:\s*,\s*|\s*:\s*|\s+is\s+|\s+will\s+be\s+|\s+)(?:{_DOCTOR}|(?:Mr|Mrs|Ms|Smt|Shri)\.?)\s+{_CALLED}", case=True),
    _shape("office", rf"\b(?i:maintained|owned|run|managed|handled|looked\s+after|looked\s+at|supported|answered|staffed|approved|signed\s+off|reviewed)\s+by\s+(?P<v>{_CALLED}\s+in\s+(?!the\b)[a-z][\w-]+|(?:our|the)\s+(?:[a-z]+[\s-]){{1,3}}(?:desk|team|office|cell|group|department|unit))\b", case=True),
    _shape("office", r"\b(?:ask|ping|tell|call|write\s+to|contact|where|which)\s+(?P<v>(?:the\s+)?(?:operations|ops|payroll|accounts|accounting|compliance|procurement|legal|HR|billing|the\s+(?:mainframe|platform|data|release|infra\w*|network|security)\s+team|(?:mainframe|platform|data|release|network|security|infra\w*)\s+team))\b(?!\s+(?:to\s+see|before))", "program"),
    _shape("office", rf"\b(?P<v>{_CALLED})\s+(?:runs|heads|leads|owns|chairs|coaches|captains|edits|manages)\s+(?:the\s+|India['’]s\s+)?[A-Z][\w-]+", case=True, told=True),
    # ways to reach somebody
    _shape("channel", r"(?<![\w&#])#[a-z][\w-]{2,30}(?=[^.\n]{0,40}\b(?:chat|Slack|Teams|channel|Discord)\b)|\b(?:write|post|ask|shout|ping|report|message)\s+(?:\w+\s+){0,2}?(?:to|in|on)\s+(?P<v>#[a-z][\w-]{2,30})"),
    _shape("channel", r"\bthe\s+(?:phone\s+|fax\s+|helpline\s+)?(?:number|address|line)\s+(?:on|at\s+the\s+(?:back|top|bottom|foot)\s+of|printed\s+on)\s+(?:the|your|her|his|their)\s+\w+"),
    _shape("channel", r"\b(?:appl(?:y|ied)|sold|file[sd]?|reach\w*|ask|report\w*|regist\w+|chat\w*|contact\w*|human|complain\w*|renew\w*|bubble)\s+(?:\w+\s+){0,4}?(?P<v>(?:through|via|on|in|at|from|using|over)\s+(?:the|our|your|their)\s+(?:[\w'’-]+\s+){0,2}?(?:site|website|web\s?page|app|portal|chat|kiosk|help\s?desk|hotline|helpline))\b", "prose"),
    _shape("channel", r"\b(?:write|complain|apply|appeal|turn|complaint)\s+to\s+(?P<v>(?:the|your|our)\s+(?:[\w'’-]+\s+){1,4}?(?:office|department|desk|commissioner|board|cell|ombudsman|authority|team))\b", "prose"),
    _shape("channel", r"\b(?:moved?\s+to|now\s+in|sits\s+(?:on|in)|found\s+(?:on|in)|go\s+to|report\s+to|desk\s+(?:on|in)|clinic\s+(?:on|in)|located\s+(?:on|in)|is\s+(?:on|in))\s+(?:the\s+)?[^.!?;\n]{0,30}?\b(?P<v>(?:(?:ground|first|second|third|fourth|fifth|top)\s+floor|(?:block|counter|gate|bay|ward)\s+[A-Z]?\d{1,3}[A-Z]?)|(?:new|old|main|east|west|north|south)\s+(?:block|wing|annexe|building))\b", "clinical"),
    _shape("channel", r"\b(?:on|from|at|via|through)\s+(?P<v>the\s+[A-Z]\w+(?:['’]s)?\s+(?:site|website|page|portal|app|handle))\b", case=True),
    _shape("channel", r"\b(?:desk|office|counter|clinic|stores?|shop|lab|branch|found|located|reception|registration)\b[^.!?;\n]{0,30}?\b(?:on|at)\s+(?P<v>(?:level|floor|platform|pier)\s+\d{1,2}|the\s+(?:ground|first|second|third|fourth|top)\s+floor)\b", "untold_any"),
    _shape("channel", r"\b(?:send|open|raise|file|log|lodge)\s+(?P<v>an?\s+(?:ticket|request|complaint|grievance)\s+(?:to|with|at|on|through)\s+(?:the\s+|our\s+)?[\w-]+(?:\s+[\w-]+){0,3})", "untold"),
    _shape("channel", r"\b(?:room|counter|desk|window)\s+[A-Z]-?\d{1,3}\b"),
    # what can be had, and what was taken away
    _shape("availability", r"\b(?:stopped|ceased|quit|discontinued|halted|paused|suspended)\s+(?:making|selling|sending|shipping|supporting|offering|taking|issuing|producing|accepting|stocking|delivering|publishing|servicing|running|building|supplying)\b(?:\s+[a-z]+)?", "desk", told=True),
    _shape("availability", r"(?:n['’]t|\bnot|\bno\s?one|\bnobody|\bnone|\bnothing)\s+(?:\w+\s+){0,3}?(?:exists?|works?|sells?|sold|makes?|made|ships?|offers?|offered|supports?|supported|accepts?|accepted|stocks?|produces?|issued?|runs?|serves?|available|maintained|updated|taken)\b[^.!?;\n]{0,24}?\b(?:any\s?more|any\s+longer)\b"),
    _shape("availability", r"\b(?:doesn|isn|aren|don)['’]t\s+(?:run|running|sail|sailing|operate|operating|fly|flying)\b", "transit"),
    _shape("availability", r"\b(?:in\s+short\s+supply|hard\s+to\s+(?:find|get|come\s+by)|scarce|under\s+rationing|rationed|out\s+of\s+print|back-?ordered|on\s+recall|recalled\s+this\s+\w+)\b", "outside"),
    _shape("availability", r"\b(?:has|have|is|are)(?:n['’]t|\s+not)\s+(?:yet\s+)?(?:arrived|come\s+in|been\s+(?:released|delivered|restocked|supplied|launched|notified|approved)|in\s+stock|out\s+yet)\b", "stock"),
    _shape("availability", r"\b(?:has|have|there\s+(?:is|are)|with)\s+(?P<v>no\s+(?:[\w-]+\s+){0,2}?(?:places?|slots?|beds?|seats?|rooms?|chairs?|doses?|units?|spots?|openings?|appointments?|vacanc(?:y|ies)|tables?|tickets?|vials?|kits?|stock|supply))\b|\b(?P<v2>(?:\w+\s+)(?:places|slots|beds|seats|rooms|spots|tickets|copies|doses|vials|units|tables)\s+(?:are\s+|is\s+)?(?:left|free|open|remaining|still\s+free))\b"),
    _shape("availability", r"\b(?:blood\s+bank|bank|store|pharmacy|counter|shop|depot|clinic|dispensary|ward|lab|chemist|supplier|vendor|hospital)\s+(?:currently\s+|still\s+)?(?P<v>(?:has|have|holds|stocks|keeps|carries)\s+(?:no|only)\s+(?!idea|objection|record)[\w-]+(?:\s[\w-]+)?|(?:is|are)\s+out\s+of\s+[\w-]+)"),
    _shape("availability", r"\b(?:slots?|beds?|lists?|wards?|clinics?|course|class|batch|hostel|flight|train|camp)\s+(?:(?:is|are)\s+)?(?:already\s+|all\s+|now\s+)?(?P<v>full(?:y\s+booked)?|booked(?:\s+(?:up|out|solid))?)\b(?!\s+of)", "desk"),
    _shape("availability", r"\b(?:not|n['’]t)\s+(?:yet\s+)?(?:been\s+)?(?:licensed|approved|funded|marketed|stocked|launched|registered|reimbursed|released|sold|available|listed|offered)\b(?:\s+(?:yet|here|in\s+(?:our|this|the)\s+\w+))?|\b(?:on|under)\s+allocation\b|\bnone\s+(?:is\s+|are\s+)?(?:free|left|available|in\s+stock)\b", "untold_any"),
    _shape("availability", rf"\b(?:is|are|comes?|will\s+be)\s+(?P<v>back\s+(?:in|on|by|from)\s+(?:the\s+shelves|(?:early\s+|late\s+|mid-?)?(?:{w._MONTH}|spring|summer|autumn|winter|the\s+new\s+year)|next\s+\w+))"),
    _shape("availability", r"\b(?:under\s+repair|out\s+of\s+(?:action|use)|off\s+the\s+(?:formulary|market|shelves)|being\s+phased\s+out|on\s+(?:its|the)\s+way\s+out|out\s+now|in\s+(?:cinemas|theaters)|on\s+(?-i:Netflix|Prime|Hotstar|Hulu|Disney\+?|HBO|iPlayer))(?!\w)", "untold_any"),
    _shape("availability", r"\b(?:is|are|been|was|were)\s+(?:\w+\s+)?(?P<v>broken|down|offline|shut|closed|suspended|switched\s+off|out\s+of\s+order)\s+(?:since|until|till|this|next|again|at\s+the\s+moment|because\s+of|for\s+(?:repairs|renovation|maintenance|now|the\s+\w+))\b", "untold_any"),
    _shape("availability", r"\b(?:shops?|stores?|site|app|office|lab|counter|desk|bank|pharmacy|company|firm|maker|airline|hotel|school|vendor|service|clinic|hospital|library|canteen|branch|chain)\s+(?:\w+\s+)?(?P<v>(?:does|do|will)(?:\s+not|n['’]t)\s+(?:sell|stock|ship|take|accept|offer|serve|make|run|do|open|deliver|carry|provide|issue|give|test))\b", "untold_any"),
    _shape("availability", r"\b(?:can(?:not|['’]t)|can\s+no\s+longer)\s+be\s+(?:bought|had|ordered|booked|returned|renewed|downloaded|installed)\b", "untold"),
    _shape("availability", rf"\b{_NUMBER}\s+[a-z]+\s+(?P<v>(?:are\s+|is\s+)?(?:left|remain|remaining))\b(?=\s+(?:in|at|on|for)\b|[.;,])", "outside"),
    _shape("availability", r"(?:\bnot|n['’]t)\s+(?:being\s+)?(?:done|performed|offered|made|given|tested|run|carried\s+out|held|taught|possible)\s+(?:here|locally|in\s+(?:this|our)|at\s+(?:this|our)|on\s+(?:weekends|Sundays|holidays))\b|\b(?:stocks?|suppl(?:y|ies)|quota|funds|budget)\s+(?:is\s+|are\s+)?(?:exhausted|finished|depleted|nil|used\s+up|running\s+(?:low|out))\b|\b(?:takes?|accepts?|serves?|sells?|offers?|stocks?|ships?)\s+no\s+(?:cards?|cash|bookings?|walk-ins?|new\s+\w+|[a-z]+s)\b|\bon\s+display\b", "untold_any"),
    _shape("availability", r"\b(?:kept|sold|given|stocked|available|done|offered|issued|made|supplied|dispensed)\s+only\s+(?:at|in|from|by|on|through|to|for)\b|\bonly\s+(?:kept|sold|stocked|available|done|offered|issued|supplied|dispensed)\s+(?:at|in|from|by|on|through|to|for)\b", "untold_any"),
    _shape("hours", r"\b(?:is|are|stays?|remains?)\s+(?P<v>(?:closed|shut|locked|open|unstaffed|staffed)\s+(?:at|by|all)\s+(?:night|lunch(?:time)?|noon|day))\b", "untold_any"),
    _shape("availability", r"\bwhat\s+(?:the|our)\s+(?:pharmacy|shop|store|counter|ward|clinic)\s+(?:has|stocks|holds|keeps)\b"),
    _shape("availability", r"\b(?:is|are|was|were|been|now|has|have|got)\s+(?:\w+\s+)?(?:gone|removed|dropped|deleted|retired|withdrawn|obsolete|deprecated|sunset|discontinued|unmaintained|abandoned|archived|superseded|outdated|out\s+of\s+date|past\s+(?:its|their)\s+end\s+of\s+(?:life|support))\b(?:\s+(?:since|in|from|as\s+of|with)\s+(?:[\w.-]+\s)?v?\d[\d.]*\d?)?", "codey", told=True),
    _shape("availability", r"\b(?:drops?|dropped|removes?|removed|retires?|retired|kills|killed|ends|ended|axed)\s+(?:the\s+|its\s+|all\s+)?(?:support|API|APIs|flag|option|module|function|method|driver|endpoint|feature|plugin|command|alias(?:es)?|patches|updates)\b", "prosecode", told=True),
    _shape("availability", r"\b(?:gets?|receives?|ships?|sees?|has|have|with)\s+no\s+(?:more|further|longer)\s+(?:[a-z]+\s+)?(?:fixes|updates|patches|support|releases|maintenance)\b|\bno\s+(?:more|further)\s+(?:[a-z]+\s+)?(?:fixes|updates|patches|releases)\b"),
    # versions without their product beside them
    _shape("version", r"\b(?:needs?|requires?|move\s+to|moving\s+to|upgrad\w+\s+to|go\s+to|targets?|pins?|stay\s+on|stick\s+(?:to|with)|install|fetches|installs|ships|available\s+(?:from|since)|only\s+(?:from|since|in)|runs?\s+(?:on|under)|tested\s+(?:on|with|against)|works?\s+(?:on|from|with)|at\s+least)\s+(?:at\s+least\s+)?(?P<v>v?\d{1,2}\.(?:\d{1,2}|x)(?:\.(?:\d{1,3}|x))?)(?![\w%]|\.\d|\s?(?:%|percent|per|million|lakh|crore|mg|ml|kg|km|times|GB|MB|hours?|days?|seconds?|ms|volts?|or\s+\d))", "codey"),
    _shape("version", r"\b(?:the|a|our)\s+(?P<v>v?\d{1,2}\.\d{1,2}(?:\.\d{1,3})?\s+(?:[\w-]+\s+)?(?:build|release|version|branch|line|series|image))\b", "codey"),
    _shape("version", r"\bform\s+[A-Z]{1,4}-?\d{1,4}[A-Z]?\b(?:\s+\(rev\.?\s*\d{4}\))?|(?<!\w)\(rev\.?\s*(?:\d{1,2}[/-])?\d{2,4}\)"),
    _shape("version", r"\b(?:wants?|needs?|requires?|runs?|gets?|uses?|install|try|pass|switch\s+to|moved?\s+to)\s+(?:the\s+)?(?P<v>[A-Za-z][\w-]{2,20}[\s-]v?\d{1,2}(?:\.\d{1,2}){1,2})(?![\w%]|\s?(?:%|percent|million|lakh|crore|mg|ml|kg|km|times|[GMT]B|hours?|days?|seconds?|volts?))", "untold"),
    _shape("version", r"(?<![\w.$₹£€-])(?P<v>(?:(?!(?:line|row|step|page|column|paragraph|section|option|case|rule|level|part|record|field|year|age|over|of)\b)[a-z][a-z_-]{2,20}\s+)?\d{1,3}(?:\.\d{1,2}){0,2})\s+(?:ships|drops|dropped|removes|removed|deprecates|deprecated|warns|renamed|no\s+longer)\b", "codey", told=True),
    _shape("version", r"\b(?:away|gone|removed|dropped|dead|deleted|out)\s+(?:with|in|since|as\s+of|from)\s+(?P<v>\d{1,2}\.\d{1,2}(?:\.\d{1,3})?)(?![\w%]|\.\d)", "codey", told=True),
    _shape("version", r"\b(?:test|build|support|run\s+on|ship\s+for|target)\s+(?P<v>\d{1,2}(?:\.\d{1,2})?\s+and\s+\d{1,2}(?:\.\d{1,2})?)\b(?!\s*(?:%|[a-z]))", "codey"),
    # days to come and words of the present
    _shape("date", rf"\b(?:ends?|closes?|expires?|starts?|begins?|opens?|due|runs\s+out|lapses|launches|arrives)\s+(?:only\s+)?(?P<v>on\s+{_DAYNAME})\b(?!s)", "outside"),
    _shape("date", rf"\b(?:between|from)\s+{w._MONTH}\s+(?:and|to|till|until|through)\s+{w._MONTH}(?!\s+\d)", "transit"),
    _shape("date", rf"\b(?:opens?|starts?|begins?|closes?|ends?|due|renewed|updated|filed|revised|published|paid|resets?|held|falls?\s+due)\s+(?:\w+\s+)?(?P<v>(?:each|every)\s+(?:quarter|year))\b|\b(?P<v2>(?:each|every)\s+{w._MONTH})", "untold"),
    _shape("date", rf"\b(?:close[sd]?|due|ends?|open[s]?)\s+(?P<v>{_TIME}\s+(?:before|after|prior\s+to)\s+(?:the\s+)?\w+)", "prose"),
    _shape("now", r"\b(?:till|until)\s+further\s+notice\b|\bsince\s+(?:the\s+)?(?:new\s+)?(?:rule|amendment|reform|act|order|circular|budget|change|notification|ruling|judgment)s?\s+of\s+(?:last\s+\w+|(?:\w+\s+)?20\d\d)\b|\b(?:has|have)\s+not\s+yet\b|\b(?:is|are)\s+(?P<v>still)\s+(?=\d)|\b(?:the\s+)(?P<v2>day['’]s)\s+(?:rate|price|fix|quote|menu)\b"),
    _shape("now", r"\b(?:is|are|has|have|costs?|'s|’s)\s+(?P<v>by\s+now)\b|(?P<v2>\bby\s+now)\s*\.?$|\b(?P<v3>(?:these\s+days|nowadays|at\s+present|currently))\s*[;,.]?\s*$", "world"),
    _shape("now", r"\b(?!(?:he|she|it|I|you|we|they|who|pain|and|but|or|so|patient|wound|cough|right|until|till|by|from|just|for)\b)[A-Za-z]{2,}\s+(?P<v>now)\s+(?!(?:is|was|has|as|this|his|its|us|always|perhaps|yes|less)\b)[a-z]{3,}s\b", "stated"),
    _shape("now", rf"{_BODY}\s+(?:(?P<v>now|currently)\s+){_ADVISES}", "clinical"),
    _shape("now", r"(?:n['’]t|\bnot|\bnobody|\bno\s+one|\bnone)\b[^.!?;\n]{0,50}?\b(?P<v>any\s?more|any\s+longer)\b", "prosecode"),
    _shape("date", rf"\b(?:the\s+)?(?:whole|end|rest|remainder|start|beginning|middle)\s+of\s+{w._MONTH}(?!\s+(?:1\d|20[01])\d)", "prose"),
    _shape("now", r"\b(?!(?:I|he|she|you)\b)[A-Za-z]+\s+(?P<v>(?:has|have)\s+(?:just|recently|lately|newly))\s+[a-z]+(?:ed|en|t|d|de|ne)\b", "prosecode"),
    _shape("now", r"(?:^|[.;:]\s|\b(?:the|a|our|its|under|this)\s+)(?P<v>new)\s+(?:[\w-]+\s+)?(?:rules?|laws?|rates?|limits?|prices?|fees?|guidelines?|guidance|protocol|timings?|regime|charges?|tariffs?|system|owners?|formula|slabs?|policy)\b", "prose_desk"),
    _shape("now", r"\b(?:a|the|one)\s+(?:more\s+)?(?P<v>recent)\s+(?:[\w-]+\s+)?(?:ruling|judge?ment|order|amendment|change|law|notification|circular|update|survey|guidelines?|decision|reform|release|increase|hike|cut|rise)\b|\b(?P<v2>current)\s+(?:[\w-]+\s+)?(?:guid(?:ance|elines?)|protocol|advice|practice|recommendations?|regulations?|rules?)\b"),
    _shape("now", r"\bthe\s+(?P<v>next)\s+(?:World\s+Cup|Olympics|elections?|census|budget|release|version|edition|hearing|draw|auction|launch)\b|\bwhich\s+\w+\s+is\s+the\s+(?P<v2>most\s+recent|latest|newest)\b"),
)  # fmt: skip

_SERVICES = re.compile(
    r"\b(?:API|tier|plan|providers?|servers?|endpoint|quota|service|vendor|limit\w*|gateway|allows?|lets\s+you|account|throttl\w+|cloud|registry|portal|bank|carrier|free|subscription)\b",
    re.I,
)
_TRANSPORT = re.compile(
    r"\b(?:bus(?:es)?|trains?|shuttles?|metro|ferr(?:y|ies)|flights?|trams?|boats?|airport|cable\s+car|ropeway|pass|road|route|service|lifts?)\b", re.I
)  # fmt: skip
_REACH = re.compile(
    r"\b(?:staffed|watch\w*|answer\w*|open|available|support|team|chat|line|helpline|pharmacy|desk|reception|service|emergency|works?|guard\w*|here|reach|monitor\w*)\b", re.I
)  # fmt: skip
_STOCK = re.compile(
    r"\b(?:stock|vaccines?|pharmacy|supply|store|season['’]?s?|batch|kits?|drug|shipment|book|parts?|model|colou?rs?|rules?|release|update|edition|cards?|doses?)\b", re.I
)  # fmt: skip
_OF_A_DESK = re.compile(
    r"\b(?:programme|scheme|hospital|clinic|ward|pharmacy|camp|bed|slot|government|centre|center|plan|insurance|dialysis|theatre|OPD|list|museum|entry|vaccine|drugs?)\b", re.I
)  # fmt: skip
_CODE_WORDS = re.compile(
    r"`|\b(?:Python|import|module|compiler|library|interpreter|package|function|method|release|pip|npm|API|driver|class|syntax|runtime|framework|browser|CI|build|plugin|script|COBOL|security|support)\b", re.I
)  # fmt: skip


def tied(s: Sentence, about: Text) -> Iterator[Hit]:
    """Hits of every shape whose setting fits the text; ``start`` and ``end`` in the sentence."""
    if s.question or s.code or w.NOW_IDIOM.search(s.text) or about.agreed:
        return
    fits = {where: _fits(where, s, about) for where in _WHERE}
    for shape in SHAPES:
        if not fits[shape.where] or (s.past and not shape.told):
            continue
        for match in shape.pattern.finditer(s.text):
            group = next((g for g in ("v", "v2", "v3") if g in shape.pattern.groupindex and match[g]), 0)
            if w.SELF.search(s.text[max(0, match.start() - 14) : match.end()]):
                continue
            if match[group].strip().casefold() in ("a", "an"):  # "gives a right": no value
                continue
            yield shape.kind, match.start(group), match.end(group)


_WHERE = frozenset(shape.where for shape in SHAPES)


def _fits(where: str, s: Sentence, about: Text) -> bool:
    """Whether shapes for ``where`` are looked for in this sentence of this text."""
    told = w.STORY.search(s.text) or w.FICTION.search(s.text)
    match where:
        case "any":
            return True
        case "clinical":
            return about.clinical or bool(w.CLINICAL.search(s.text))
        case "program":
            return about.program or bool(_CODE_WORDS.search(s.text))
        case "prose":
            return not (about.clinical or about.program or about.sum or told)
        case "outside":
            return not (about.program or about.sum or told)
        case "world":
            return not told and not about.sum and (not about.program or bool(w.OF_THE_WORLD.search(s.text)))
        case "service":
            return bool(_SERVICES.search(s.text)) and not told
        case "transit":
            return bool(_TRANSPORT.search(s.text)) and not told
        case "reach":
            return bool(_REACH.search(s.text)) and not told
        case "stock":
            return bool(_STOCK.search(s.text)) and not told
        case "desk":
            return not told and (not about.clinical or bool(_OF_A_DESK.search(s.text)))
        case "untold":
            return not (told or about.clinical)
        case "prose_desk":
            return not (told or about.program) and (not about.clinical or bool(w.HOSPITAL.search(s.text)))
        case "untold_any":
            return not told
        case "unsaid":
            return not (told or about.sum)
        case "codey":
            return about.program or bool(_CODE_WORDS.search(s.text))
        case "prosecode":
            return not about.clinical and not told
        case "stated":
            return not told and (not about.clinical or bool(w.HOSPITAL.search(s.text)))
    raise AssertionError(where)
