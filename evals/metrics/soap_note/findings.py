# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Findings and whether they are there: symptoms, signs and conditions of a note and of a transcript, with polarity.

Covers: about 130 concepts with everyday and clinical names, pain by body part; negation with scope in the tradition
of NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009): triggers before and after, what ends a scope, phrases
that only look like a negation, what is conditional or about somebody else; in speech also questions and the answers
to them. Does not cover: concepts outside its list, degree ("mild"), time ("had, and has no more").
"""

import re
from dataclasses import dataclass
from functools import cache

# One concept a line: names for the same thing. "~" stands for a word ending, "_" for a space or hyphen.
CONCEPTS = """
fever; fevers; febrile; pyrexia; high temperature; running a temperature; feverish
chills; rigors; shivering
night sweats; sweating at night; drenching sweats
weight loss; lost weight; losing weight; loss of weight; weight is down
weight gain; gained weight; gaining weight; put on weight
fatigue; fatigued; tired; tiredness; exhausted; exhaustion; low energy; worn out; lethargy
cough; coughing; coughs; coughed
phlegm; sputum; coughing up
hemoptysis; haemoptysis; coughing up blood; coughed up blood; blood in my spit
wheezing; wheeze; wheezes; wheezy; expiratory wheezing
shortness of breath; short of breath; dyspnea; dyspnoea; sob; winded; trouble breathing; difficulty breathing; breathless; breathlessness; out of breath; breathing trouble
chest pain; chest pains; chest discomfort; pain in your chest; pain in my chest; pain in the chest; chest hurt; chest hurts; angina
chest pressure; chest tightness; tightness in my chest; tightness in your chest; pressure in my chest
palpitations; palpitation; heart racing; racing heart; heart pounding; fluttering; heart flutters
syncope; fainting; fainted; faint; passed out; passing out; pass out; blacked out; loss of consciousness; lost consciousness; syncopal
dizziness; dizzy; lightheaded; lightheadedness; light headed; light headedness; light-headed; light-headedness
vertigo; room spinning; spinning
headache; headaches; head hurts; cephalgia; head pain
blurry vision; blurred vision; blurriness; visual changes; vision changes; change in vision; changes in vision; visual disturbance; visual disturbances
double vision; diplopia
hearing loss; trouble hearing; loss of hearing
tinnitus; ringing in my ears; ringing in your ears; ringing in the ears
sore throat; throat pain; throat hurts; scratchy throat
runny nose; rhinorrhea; rhinorrhoea; nasal discharge
congestion; nasal congestion; stuffy nose; stuffiness; stuffed up; blocked nose; sinus congestion
loss of smell; anosmia; lost my sense of smell
ear pain; earache; otalgia; ear hurts; ear ache
nausea; nauseous; nauseated; queasy; sick to my stomach; sick to your stomach
vomiting; vomit; vomited; emesis; throwing up; threw up; throw up; puking
diarrhea; diarrhoea; loose stools; loose stool; watery stools
constipation; constipated
abdominal pain; belly pain; stomach pain; tummy pain; stomach ache; stomachache; belly hurts; stomach hurts; pain in your belly; pain in my belly; pain in your abdomen; pain in my stomach; abdominal discomfort; abdominal cramping; stomach cramps
heartburn; acid reflux; indigestion
bloating; bloated
blood in the stool; bloody stools; blood in your stool; blood in my stool; blood in stools; blood in stool; blood in your stools; hematochezia; rectal bleeding; bloody stool
black stools; melena; tarry stools; dark stools; black stool
dysphagia; trouble swallowing; difficulty swallowing; hard to swallow; painful to swallow
dysuria; burning when you pee; burning when i pee; burning with urination; burning on urination; pain with urination; painful urination; stings when i pee; pain when you urinate; burns when i pee; burning when you urinate; pain when urinating
urinary frequency; frequent urination; urinating more; peeing more; peeing a lot; polyuria; urinating a lot; going to the bathroom a lot
urinary urgency; urgency
hematuria; blood in your urine; blood in my urine; blood in the urine; blood in urine; bloody urine
incontinence; leaking urine; accidents; urinary leakage; bladder control; bowel or bladder
flank pain
vaginal discharge
itching; itchy; itch; itches; pruritus; pruritic
rash; rashes; hives; urticaria
numbness; numb
tingling; pins and needles; tingly; paresthesia; paresthesias
weakness; muscle weakness
seizures; seizure; fits
tremor; tremors; shaking hands
memory loss; forgetful; forgetfulness; memory problems; forgetting
confusion; confused; disoriented
insomnia; trouble sleeping; difficulty sleeping; cannot sleep; can't sleep; sleep disturbance; poor sleep; trouble falling asleep
snoring; snore; snores
anxiety; anxious; panic attacks; panic attack
depressed; depressed mood; feeling down; low mood; feeling low; hopeless
suicidal ideation; suicidal thoughts; hurting yourself; harming yourself; thoughts of self-harm; self-harm; suicidal; hurt yourself; harm yourself; thoughts of suicide
hallucinations; hearing voices; seeing things
loss of appetite; poor appetite; decreased appetite; no appetite; appetite loss; appetite is down; not hungry; anorexia
thirst; thirsty; polydipsia; excessive thirst
hypoglycemia; low blood sugars; low blood sugar; hypoglycaemia; lows; hypos; low sugars; hypoglycemic episodes
cold intolerance; heat intolerance
hair loss; losing hair; hair falling out
swelling; swollen; edema; oedema; puffy; puffiness; swells; swell; swelled
redness; erythema; erythematous
bruising; bruise; bruises; bruised; ecchymosis; ecchymoses
stiffness; stiff
locking; locks up; catching
giving way; gives way; gave way; gave out; gives out; buckling; instability; buckles; giving out
popping; a pop; clicking; pops
muscle aches; body aches; myalgia; myalgias; muscle pain; achy
joint pain; arthralgia; arthralgias; joint pains; achy joints
back pain; back hurts; pain in my back; pain in your back; backache; lumbar pain; low back pain; lower back pain
neck stiffness; stiff neck
trauma; head injury; head trauma; hit your head; hit my head
murmur; murmurs; heart murmur
gallops; gallop
rubs; friction rub
crackles; rales; crepitations
rhonchi
tenderness; tender; sore to touch; tender to palpation
guarding
rebound; rebound tenderness
distension; distended; distention
masses; mass; lump; lumps; nodule; nodules
lymphadenopathy; swollen lymph nodes; enlarged lymph nodes; swollen glands; adenopathy
jaundice; icterus; yellow skin; yellowing
cyanosis; blue lips
crepitus; grinding
effusion; fluid in the joint; fluid in your knee; joint fluid; fluid in the knee
carotid bruits; carotid bruit; bruits; bruit
fracture; fractures; broken bone; broken bones; fractured
dislocation; dislocated
pneumonia
exudate; exudates; white patches; pus; purulence
drainage; oozing; discharge
ulcers; ulcer; ulceration; open sores; sores
infection; infected
blood clot; blood clots; clots; dvt; deep vein thrombosis; thrombosis
hernia
asthma
copd; emphysema
high blood pressure; hypertension; hypertensive
diabetes; diabetic
high cholesterol; hyperlipidemia; hypercholesterolemia; dyslipidemia
heart attack; myocardial infarction; heart attacks
stroke; strokes; cva
atrial fibrillation; afib; a-fib; a fib
heart failure; congestive heart failure; chf
cancer; malignancy; tumor; tumour
kidney stones; kidney stone; nephrolithiasis; renal calculi
anemia; anaemia; anemic
migraines; migraine
arthritis; osteoarthritis
gout
smoking; smoke; smokes; smoker; tobacco; cigarettes; smoked; tobacco use
alcohol; drinking; alcohol use; drinks
illicit drugs; recreational drugs; drug use; street drugs; illicit drug use; recreational drug use; illicit drug
pregnant; pregnancy
falls; fallen; fall; fell
photophobia; light sensitivity; sensitivity to light; light bothers; bright light
aura; auras
hoarseness; hoarse
sneezing; sneeze; sneezes
watery eyes; tearing
orthopnea; orthopnoea; propped up; extra pillows; lying flat
"""
NOT_FINDINGS = re.compile(  # words that hold a concept's name and mean something else
    r"(?:weight ?loss (?:program|plan|clinic)|non-?smoker|fall (?:asleep|risk|semester)|last fall|in the fall|"
    r"no smoking|drinking (?:enough |more )?(?:water|fluids?|plenty)|drink(?:s|ing)? (?:water|fluids?|coffee|tea)|"
    r"stroke volume|soft drinks?|body mass|mass index|muscle mass|stress fracture protocol|"
    r"a pop[- ]?up|cough (?:syrup|drops?|medicine|suppressant)|diabetic (?:foot|eye) exam|smoke detector|"
    r"fever reducers?|anxious to|afraid|infection control|pregnancy test|cancer screening|tired of|"
    r"sick and tired|discharged?(?: home| summary| instructions)|fell (?:asleep|off the wagon)|"
    r"with(?:out)? (?:much )?difficulty|stiff upper|swelling lotion)"
)
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

# --- scope --------------------------------------------------------------------------------------------------

_LOOKS_NEGATIVE = (  # a "no" or "not" here denies nothing
    r"no (?:change|changes|increase|difference|improvement|relief|doubt|problem|wonder|more than|worse|further|"
    r"significant change|interval change|issues? with|concerns? (?:with|about))|not (?:only|just|sure|certain|all that|necessarily|too|as|so|be able|improv\w+|"
    r"well controlled|controlled|getting better|resolv\w+|helping|been helping|better|gone|gotten better)|"
    r"without (?:improvement|relief|change|help)|not able|no idea|why not|if not|whether or not|no wait|"
    r"(?:didn't|did not|doesn't|does not|did n't|does n't) (?:help|improve|go away|get better|resolve|change)|"
    r"(?:hasn't|has not|has n't) (?:helped|improved|gone away|gotten better|resolved|changed)|can't (?:wait|believe)"
)
_NEGATIVE = (
    r"no|not|n't|without|denies|denied|deny|denying|negative for|negative|never|none|neither|nor|absent|absence of|free of|"
    r"free from|no evidence of|no signs? of|no history of|unremarkable for|ruled out|rules out|nil|"
    r"(?:do|does|did|is|was|are|were|have|has|had|would|could|can)(?:n't| n't| not)|cannot|cant|dont|nothing like|lack of|lacks|"
    r"declines|resolved|nonsmoker"
)
_ENDS = (
    r"but|however|except|although|though|aside from|apart from|other than|besides|yet|until|reports?|reported|"
    r"endorses?|endorsed|complains? of|states?|admits?|positive for|shows?|showed|reveal(?:s|ed)|demonstrates?|you do have|presents?|presented|notes?|noted|has had|does have|"
    r"do have|did have|still has|now has|you know|i get|i kinda|positive|there is|there are|which|because|since|when|secondary to|due to|"
    r"he has|she has|they have|i have|i've|you have|you've|there's|it's|just|only|so|then|and (?:has|is|does|had|was|reports?|endorses?|"
    r"i|he|she|they|you|it|we|the patient|some|a little)"
)
_OPEN = (  # conditional, planned, or about somebody else: says nothing about this patient now
    r"no longer|if|should|unless|in case|return for|watch for|monitor for|call for|rule out|to rule out|risk of|risk for|prevent|"
    r"prevents|avoid|screen for|screening for|possible|possibly|concern for|concerned about|worried about|worry about|"
    r"worried|differential|may|might|could|would|can cause|side effects?|mother|father|mom|dad|brother|sister|"
    r"grandmother|grandfather|parents?|son|daughter|uncle|aunt|wife|husband|family history|looking for|look for|"
    r"evaluate for|check for|like a|history of|used to|past medical history|last year|years ago|helps? with|"
    r"for (?:the|your|his|her)|get rid|whether|as needed for|prn|versus|vs|educated on|counsel\w+|discussed|medications? for|before"
)
_EVENT = re.compile(
    rf"(?<![\w])(?:(?P<looks>{_LOOKS_NEGATIVE})|(?P<neg>{_NEGATIVE})|(?P<ends>{_ENDS})|(?P<open>{_OPEN}))(?![\w])|(?P<nt>n't)",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"^\s*(?:(?:is|was|are|were|has been|have been)[ ]+)?(?:[:\-–][ ]*)?(?P<no>absent|free\b|negative|denied|denies|not present|"
    r"none|never|ruled out|no\b(?![ ]+(?:longer|change))|(?:is|was|are|were)(?: not| n't|n't)[ ]+(?:present|seen|noted|there|an issue)|"
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
_NO = re.compile(
    rf"^\W*{_FILLER}(?:no|nope|nah|not|none|never|neither|negative|nothing|zero|uh-uh|i (?:do n't|don't|do not|have n't|haven't|"
    r"have not|did n't|didn't|am not|was n't|wasn't|'m not)|i'm not|i ain't|it (?:does n't|doesn't|has n't|hasn't)|yeah,? no|"
    r"denies|can't say)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    rf"^\W*{_FILLER}(?:yes|yeah|yep|yup|yea|sure|definitely|absolutely|correct|right|exactly|a little|a bit|some|sometimes|"
    r"i do|i have|i did|i am|i was|it does|it is|it did|mm-hmm|mhm|uh-huh|occasionally|kind of|quite|lots?|all the time|every)\b",
    re.IGNORECASE,
)


def _mentions(text: str) -> list[tuple[str, int, int]]:
    names, pattern = _names()
    blocked = [m.span() for m in NOT_FINDINGS.finditer(text.casefold())]
    found = []
    for match in pattern.finditer(text):
        if not any(a < match.end() and match.start() < b for a, b in blocked):
            found.append((names[match.group().casefold()], *match.span()))
    for match in _PAIN.finditer(text):
        part = (match["a"] or match["b"]).casefold()
        part = _PLURAL.get(part, part.removesuffix("s") if part not in PARTS else part)
        if not any(a < match.end() and match.start() < b for _, a, b in found):
            found.append((f"{part} pain", *match.span()))
    return sorted(found, key=lambda item: item[1])


def _polarity(sentence: str, start: int, end: int) -> bool | None:
    """Of the concept at ``start:end`` of a sentence: the last trigger before it decides, unless one follows it."""
    if _AFTER.search(sentence[end : end + 40]):
        return False
    state: bool | None = True
    doubtful = False
    began = 0
    for event in _EVENT.finditer(sentence):
        if event.end() > start:
            break
        if event["looks"]:
            continue
        if event["neg"] or event["nt"]:
            state, began = False, event.end()
        elif event["ends"]:
            state, doubtful = True, False
        else:
            doubtful = True
    if state is False:
        between = sentence[began:start]
        lists = len(re.findall(r",|/|\bor\b|\band\b", between))
        # far away and not in a list: whatever was denied is something else
        if len(re.findall(r"[\w']+", between)) > 6 + 5 * lists:
            return None
        return False
    return None if doubtful else state


def in_note(note: str) -> list[Finding]:
    """Findings of a note in its order."""
    found = []
    for piece in _SENTENCE.finditer(note):
        sentence = piece.group()
        for concept, start, end in _mentions(sentence):
            present = _polarity(sentence, start, end)
            found.append(Finding(concept, piece.start() + start, piece.start() + end, present))
    return found


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
    found = []
    for number, turn in enumerate(turns):
        pieces = list(_SENTENCE.finditer(turn.text))
        for index, piece in enumerate(pieces):
            sentence = piece.group()
            mentions = _mentions(sentence)
            if not mentions:
                continue
            reply = pieces[index + 1].group() if index + 1 < len(pieces) else ""
            if not (_NO.match(reply) or _YES.match(reply)):
                reply = turns[number + 1].text if number + 1 < len(turns) and index == len(pieces) - 1 else ""
            asks = sentence.rstrip().endswith("?")
            # speech recognition leaves question marks out
            unmarked = not asks and index == len(pieces) - 1 and bool(_NO.match(reply) or _YES.match(reply))
            first = _SENTENCE.match(reply)
            echoed = {concept for concept, _, _ in _mentions(first.group())} if first else set()
            asked = {concept for concept, _, _ in mentions}
            for concept, start, end in mentions:
                opened = not asks and _opens_question(sentence, start, end)
                if asks or (unmarked and (opened or _short(sentence))):
                    if concept in echoed:
                        continue  # what the answer says of it counts
                    present = None if echoed & asked else _answer(sentence, reply, len(asked))
                elif opened:
                    present = None  # a question that nobody answered in so many words
                else:
                    present = _polarity(sentence, start, end)
                at = turn.start + piece.start()
                found.append(Finding(concept, at + start, at + end, present))
    return found


def _opens_question(sentence: str, start: int, end: int) -> bool:
    """At the end of a turn, soon after words that open a question."""
    opened = [m.start() for m in _QUESTION.finditer(sentence) if m.start() <= start]
    return (
        bool(opened) and len(sentence[opened[-1] : start].split()) <= 12 and len(sentence[end:].split()) <= 14
    )


def _short(sentence: str) -> bool:
    """A few words that only name something: "shortness of breath"."""
    said = re.search(r"\b(?:no|not|n't|denies|some|positive)\b", sentence, re.IGNORECASE)
    return len(sentence.split()) <= 6 and not said


def _answer(question: str, reply: str, asked: int) -> bool | None:
    if _NO.match(reply):
        return False
    if _YES.match(reply):
        if re.search(r"\b(?:no|not|n't|never|without)\b", question, re.IGNORECASE):
            return None  # "so no fever?" "right."
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
        said = [f for f in heard.get(finding.concept, []) if f.present is not None]
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
