# ruff: noqa: E501  (patterns read better in long lines)
"""Findings that are told by how well something is: appetite, sleep, bowels, power, tests that are positive or negative.

Covers: the words by which a note or a speaker says that such a finding is there or is not ("appetite fine", "sleeps
through", "chest clear", "strep negative"), and short answers to "How's your appetite?".
Does not cover: findings named by what is wrong, which `concepts` lists; degree.
"""

import re
from functools import cache

_FINE = r"(?:normal|good|fine|ok(?:ay)?|great|well|intact|unchanged|preserved|healthy|regular|all right|alright|unremarkable|excellent)"
_IS = r"(?:'s|s| is| are| was| were| has been| have been| remains?| seems?)?(?: all| pretty| very| quite| really)?"
# finding -> (what says that it is there, what says that it is not)
STATES: dict[str, tuple[str, str]] = {
    "loss of appetite": (
        rf"appetite{_IS} (?:poor|bad|rubbish|reduced|down|low|off|gone|terrible|awful|not great|not good)|(?:poor|reduced|low|decreased) appetite",
        rf"appetite{_IS} {_FINE}|(?:good|normal|healthy) appetite|eat(?:s|ing)? (?:and drink(?:s|ing)? )?(?:{_FINE}|normally)|tolerating (?:food|diet|oral|feeds?)"),
    "insomnia": (
        rf"sleep(?:ing)?{_IS} (?:poor(?:ly)?|bad(?:ly)?|terrible|awful|rubbish|not great|disturbed|broken)|(?:poor|disturbed|broken) sleep|hardly sleep\w*",
        rf"sle(?:ep(?:s|ing)?|pt){_IS} (?:{_FINE}|soundly|through|like a)|(?:good|normal) sleep"),
    "constipation": (
        r"bowels? (?:haven't|has not|have not|not) (?:open\w*|moved)|\bbno\b",
        rf"bowels?(?: movements?| habits?)?{_IS} (?:{_FINE}|moving|open(?:ing|ed)?|working)|\bbo (?:regular\w*|normal\w*)|(?:regular|normal) bowel\w*"),
    "phlegm": (
        r"productive cough|cough (?:is )?productive|(?:wet|chesty) cough|bringing up|bring up|brings up|(?:green|yellow|brown|white|clear) (?:stuff|sputum|phlegm)",
        r"dry cough|cough(?:'s| is)? dry|non-?productive|unproductive|just dry"),
    "neck stiffness": ("", r"neck(?:'s| is)? supple|supple neck"),
    "wheezing": ("", r"(?:chest|lungs)(?:'s| is| are| sounds?)? (?:nice and )?clear(?! up)|clear (?:chest|lungs)|clear to auscultation"),
    "crackles": ("", r"(?:chest|lungs)(?:'s| is| are| sounds?)? (?:nice and )?clear(?! up)|clear (?:chest|lungs)|clear to auscultation"),
    "tenderness": ("", r"\bnon-?tender\b|\bnontender\b"),
    "distension": ("", r"\bnon-?distended\b"),
    "unable to bear weight": (
        r"(?:unable|not able) to (?:bear (?:any )?weight|weight[- ]?bear)|can(?:'t|not) (?:put|bear) (?:any |much )?weight|non-?weight[- ]?bearing|\bnwb\b",
        r"(?<!un)(?<!not )able to (?:bear (?:full )?weight|weight[- ]?bear)|fully weight[- ]?bearing|\bfwb\b|(?<!non-)(?<!non )(?<!unable to )\bweight[- ]?bearing(?! (?:films?|x-?rays?|as tolerated))"),
    "not taking medication": (
        r"n't been taking|not (?:been )?taking (?:\w+ )?(?:medication|medicines?|tablets?|pills?|meds|it)|n't (?:been )?taking (?:the|my|his|her|any) (?:medication|medicines?|tablets?|pills?|meds)|non-?adheren\w+|non-?complian\w+|stopped taking",
        r"(?<!non-)(?<!non)(?<!not )(?:adherent|compliant) with|(?<!not )(?<!been )taking (?:\w+ )?(?:medications?|medicines?|tablets?|pills?|meds) (?:regularly|as prescribed|every day|daily)|good (?:adherence|compliance)"),
    "vaccinations due": (
        r"(?:vaccin\w+|immuni[sz]ations?|jabs|shots)(?: are| is)? (?:not up to date|behind|overdue|incomplete)|not (?:been )?(?:vaccinated|immuni[sz]ed)|unvaccinated",
        r"(?:vaccin\w+|immuni[sz]ations?|jabs|shots)(?: are| is|'re)?(?: all)? (?:up[- ]to[- ]date|utd|complete|current)|fully (?:vaccinated|immuni[sz]ed)"),
    "lives alone": (r"lives? alone|living alone|on (?:my|his|her) own at home", r"lives? with|living with"),
    "abnormal ecg": (
        r"(?:ecg|ekg)(?:'s| is| was| shows?)? (?:abnormal|changes|ischa?emi\w+|st )",
        r"(?:ecg|ekg)(?:'s| is| was| shows?)? (?:completely |all )?(?:normal|fine|nad|unremarkable|sinus rhythm)|normal (?:ecg|ekg)"),
}  # fmt: skip
# Tests that are positive or negative.
_TESTS = {
    "strep": "strep(?:tococcal)?(?: test| swab| a)?|throat swab", "covid": "covid(?:-19)?(?: test| swab)?|lateral flow", "flu": "(?:flu|influenza)(?: test| swab| a| b)",
    "pregnancy": "pregnancy test|urine hcg|u?hcg|\\bupt", "straight leg raise": "straight[- ]leg[- ]rais(?:e|ing)|\\bslr", "homans": "homan'?s?(?: sign)?",
    "mcmurray": "mcmurray'?s?(?: test)?", "lachman": "lachman'?s?(?: test)?", "phalen": "phalen'?s?(?: test)?", "tinel": "tinel'?s?(?: sign| test)?",
    "murphy": "murphy'?s?(?: sign)?", "romberg": "romberg'?s?(?: test)?", "nitrite": "nitrites?", "leucocytes": "leu[ck]ocytes?(?: esterase)?|leu[ck]s?\\b",
    "troponin": "troponins?", "d-dimer": "d-?dimer", "drawer": "(?:ant(?:erior)?|post(?:erior)?) drawer", "spurling": "spurling'?s?(?: test)?",
    "thompson": "(?:thompson|simmonds)'?s?(?: test)?", "hawkins": "hawkins(?: test)?", "neer": "neer'?s?(?: test)?", "finkelstein": "finkelstein'?s?(?: test)?",
    "empty can": "empty can", "malaria": "malaria(?: test| smear)?|mp smear", "dengue": "dengue(?: ns1| test)?|ns1", "hiv": "hiv(?: test)?", "hallpike": "(?:dix-?)?hallpike(?: test)?",
}  # fmt: skip
_GOOD = re.compile(
    rf"^\W*(?:(?:it's|they're|that's|oh|yeah|yes|all|really|pretty|very|quite)\W+)*(?:{_FINE}|like a (?:baby|log)|no (?:problems?|complaints?|trouble|bother)|can't complain|(?:eating|sleeping|working) (?:fine|well)|back to normal)\b",
    re.IGNORECASE,
)
_BAD = re.compile(
    r"^\W*(?:(?:it's|they're|that's|oh|well|really|pretty|very|quite|a bit|a little)\W+)*(?:rubbish|terrible|awful|poor|bad(?:ly)?|not (?:great|good|brilliant|so good|very good|well)|hardly|barely|gone|"
    r"down|worse|broken|off|non-?existent|what (?:appetite|sleep))\b",
    re.IGNORECASE,
)
_TOPIC = re.compile(
    r"\b(?P<appetite>appetite|eating)\b|\b(?P<sleep>sleep(?:ing)?)\b|\b(?P<bowels>bowels?)\b", re.IGNORECASE
)
_TOPICS = {"appetite": "loss of appetite", "sleep": "insomnia", "bowels": "constipation"}
_REVERSED = re.compile(r"(?:\bnot|n't|\bno|\bnever|\bneither|\bhardly)\s+(?:\w+\s+){0,1}$", re.IGNORECASE)


@cache
def _compiled() -> list[tuple[str, bool, re.Pattern[str]]]:
    found = []
    for concept, (there, not_there) in STATES.items():
        for present, pattern in ((True, there), (False, not_there)):
            if pattern:
                found.append((concept, present, re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)", re.IGNORECASE)))
    for name, pattern in _TESTS.items():
        between = r"(?:'s|:| is| was| were| are| came back| test| both| on the (?:left|right)|,|-)*[ ]*"
        for present, sign in (
            (True, r"positive\b|pos\b|\+ve|\(\+\)|\+(?=[\s.,;)]|$)"),
            (False, r"negative\b|neg\b|[-–]ve|\([-–]\)|not detected"),
        ):
            found.append(
                (
                    f"{name} test",
                    present,
                    re.compile(
                        rf"\b(?:{pattern}){between}(?:{sign})|(?:{sign})[ ](?:for )?(?:{pattern})\b",
                        re.IGNORECASE,
                    ),
                )
            )
    return found


def told(sentence: str) -> list[tuple[str, int, int, bool]]:
    """``(finding, start, end, there or not)`` of every state that a sentence plainly tells."""
    found: list[tuple[str, int, int, bool]] = []
    for concept, present, pattern in _compiled():
        for match in pattern.finditer(sentence):
            turned = bool(_REVERSED.search(sentence[: match.start()])) and not re.match(
                r"no|not|n't", match.group(), re.IGNORECASE
            )
            if turned and concept.endswith(" test"):
                continue
            if not any(c == concept and a < match.end() and match.start() < b for c, a, b, _ in found):
                found.append((concept, *match.span(), present is not turned))
    return found


def answered(question: str, reply: str) -> list[tuple[str, int, int, bool]]:
    """What a short reply says of a topic that a question names: "Appetite?" "Rubbish."."""
    good, bad = _GOOD.match(reply), _BAD.match(reply)
    if not (good or bad):
        return []
    topics = [(m.lastgroup or "", *m.span()) for m in _TOPIC.finditer(question)]
    if len({name for name, _, _ in topics}) != 1:
        return []
    name, start, end = topics[0]
    return [(_TOPICS[name], start, end, bool(bad))]
