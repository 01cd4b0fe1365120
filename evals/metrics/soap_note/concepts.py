# ruff: noqa: E501  (word lists and patterns read better in long lines)
"""Names of findings: symptoms, signs, habits and conditions as notes and people say them, and what only looks like one.

Covers: about two hundred concepts, one a line, everyday and clinical names; which of them need a place to mean
something; which general one stands in for a special one. Does not cover: whether a finding is there (`findings`).
"""

import re

# One concept a line: names for the same thing; the first names it.
CONCEPTS = """
fever; fevers; febrile; pyrexia; high temperature; running a temperature; feverish; pyrexial; run a temperature; had a temperature; feeling hot; felt hot; feel hot; hot and cold; temps; pyrexias; feverishness
chills; rigors; shivering; shivery; the shivers; shakes and chills
night sweats; sweating at night; drenching sweats; sweats at night; sweating through; soaking the sheets; sweaty at night
weight loss; lost weight; losing weight; loss of weight; weight is down; wt loss; loss in weight; dropped weight; lost any weight; loss weight; unintentional loss
weight gain; gained weight; gaining weight; put on weight
fatigue; fatigued; tired; tiredness; exhausted; exhaustion; low energy; worn out; lethargy; tatt; fatigability; worn-out; no energy; low in energy; lethargic; wiped out; tires easily
cough; coughing; coughs; coughed
phlegm; sputum; coughing up; sputum production
hemoptysis; haemoptysis; coughing up blood; coughed up blood; blood in my spit; blood in the sputum; blood in it when you cough; bloody sputum; blood-streaked sputum
wheezing; wheeze; wheezes; wheezy; expiratory wheezing; whistle; whistling; wheezed; bronchospasm
shortness of breath; short of breath; dyspnea; dyspnoea; sob; winded; trouble breathing; difficulty breathing; breathless; breathlessness; out of breath; breathing trouble; out of puff; short winded; short-winded; get your breath; catch my breath; catch your breath; sobar; sobaoe; dyspneic; dyspnoeic; breathing difficulty; trouble with breathing; difficulty in breathing; breathing difficulties
chest pain; chest pains; chest discomfort; pain in your chest; pain in my chest; pain in the chest; chest hurt; chest hurts; angina; pain in chest; pain in his chest; pain in her chest; chest ache; chest wall pain
chest pressure; chest tightness; tightness in my chest; tightness in your chest; pressure in my chest
palpitations; palpitation; heart racing; racing heart; heart pounding; fluttering; heart flutters; heart skipping; skipped beats; heart flutter
syncope; fainting; fainted; faint; passed out; passing out; pass out; blacked out; loss of consciousness; lost consciousness; syncopal; faints; loc; black out; blacking out; blackout; blackouts; knocked out; lose consciousness; presyncope; collapse; collapsed; went out cold
dizziness; dizzy; lightheaded; lightheadedness; light headed; light headedness; light-headed; light-headedness; giddy; giddiness; woozy; dizzy spells; unsteady on my feet
vertigo; room spinning; spinning
headache; headaches; head hurts; cephalgia; head pain; h/a; sore head; head aches; head is pounding; headachy
blurry vision; blurred vision; blurriness; visual changes; vision changes; change in vision; changes in vision; visual disturbance; visual disturbances; blurred; blurring of vision; visual loss; loss of vision; vision loss; vision problems; visual symptoms; visual problems; trouble seeing; sight problems; change in the sight; change in sight; change in your vision; trouble with your vision; trouble with your eyes; change in your sight; flashing lights; sight changes
double vision; diplopia
hearing loss; trouble hearing; loss of hearing; decreased hearing; reduced hearing; muffled hearing; hearing change; trouble with hearing; hard of hearing; hearing problems; can't hear; hearing difficulty
tinnitus; ringing in my ears; ringing in your ears; ringing in the ears
sore throat; throat pain; throat hurts; scratchy throat; throat soreness; throat is sore; pharyngitis; odynophagia; throat hurting
runny nose; rhinorrhea; rhinorrhoea; nasal discharge; coryza; coryzal symptoms; coryzal; nose running; nose is running; nasal drip; nose runs
congestion; nasal congestion; stuffy nose; stuffiness; stuffed up; blocked nose; sinus congestion
loss of smell; anosmia; lost my sense of smell
ear pain; earache; otalgia; ear hurts; ear ache; painful ear; ears hurt; sore ear; ears hurting; pulling her ear; pulling his ear
nausea; nauseous; nauseated; queasy; sick to my stomach; sick to your stomach; feeling sick; feel sick; felt sick; sick feeling; n/v; feeling nauseous
vomiting; vomit; vomited; emesis; throwing up; threw up; throw up; puking; n&v; d&v; being sick; been sick; was sick; were sick; sick once; sick twice; vomits; retching; keep anything down; brought up food; emeses; chuck up; thrown up
diarrhea; diarrhoea; loose stools; loose stool; watery stools; the runs; loose motions; watery motions; loose motion; loose bowels; watery stool; loose watery stools
constipation; constipated; blocked up; bunged up; blocks me up; no bowel movement
abdominal pain; belly pain; stomach pain; tummy pain; stomach ache; stomachache; belly hurts; stomach hurts; pain in your belly; pain in my belly; pain in your abdomen; pain in my stomach; abdominal discomfort; abdominal cramping; stomach cramps; abdo pain; tummy ache; stomach aches; bellyache; pain in the abdomen; pain in the belly; pain in the stomach; pain in the tummy; pain in your tummy; pain in my tummy; tummy hurts; stomach cramping; belly cramps; abdominal cramps; epigastric pain; ruq pain; luq pain; suprapubic pain
heartburn; acid reflux; indigestion; reflux; gerd; dyspepsia
bloating; bloated
blood in the stool; bloody stools; blood in your stool; blood in my stool; blood in stools; blood in stool; blood in your stools; hematochezia; rectal bleeding; bloody stool; haematochezia; pr bleeding; pr bleed; blood in the poo; blood in the motions; blood when you go
black stools; melena; tarry stools; dark stools; black stool; dark or black stools; malaena; melaena; black poo
dysphagia; trouble swallowing; difficulty swallowing; hard to swallow; painful to swallow; swallowing problems; swallowing difficulty; problems swallowing; trouble with swallowing; inability to swallow; food getting stuck; food sticking
dysuria; burn when you go; burning when you go; sting when you go; burns when i go; stings when i go; burning when you pee; burning when i pee; burning with urination; burning on urination; pain with urination; painful urination; stings when i pee; pain when you urinate; burns when i pee; burning when you urinate; pain when urinating; burning micturition; burning urine; burning in urine; burning when passing urine; pain passing urine; stinging; burning or stinging; stings when you pee; stings to pee; hurts to pee; hurt to pee; pain when you pee; burn when you pee; burns when you pee; burns to pee; pain on urination
urinary frequency; frequent urination; urinating more; peeing more; peeing a lot; polyuria; urinating a lot; going to the bathroom a lot; increased urination; increased urinary frequency; passing urine often; passing water often; freq; peeing all the time
urinary urgency; urgency
hematuria; blood in your urine; blood in my urine; blood in the urine; blood in urine; bloody urine; haematuria; blood in the pee; blood in your pee; blood in wee; visible blood
incontinence; leaking urine; accidents; urinary leakage; bladder control; bowel or bladder; bladder problems; wet yourself; wetting yourself; accident with your bladder; sphincter disturbance; bowel or bladder problems; trouble with your bladder; trouble with your bowel; loss of bladder control; loss of bowel control; leakage
flank pain; loin pain; pain in the loin; pain in your loin; pain in your side; pain in the side; pain in the flank
vaginal discharge; pv discharge; discharge down below
itching; itchy; itch; itches; pruritus; pruritic; scratching; scratchy
rash; rashes; hives; urticaria; exanthem; eruption; rashy; spots on the skin; skin rash
numbness; numb; loss of feeling; loss of sensation; numb patches; go to sleep; goes to sleep; hypoesthesia; reduced sensation; sensory loss
tingling; p&n; p+n; pins/needles; pins and needles; tingly; paresthesia; paresthesias; paraesthesia; paraesthesias; pins & needles; prickling; prickly
weakness; muscle weakness; weak; limb weakness; loss of power; loss of strength; lost strength
seizures; seizure; fits; convulsion; convulsions; fitting; convulsive seizure; convulsive seizures
tremor; tremors; shaking hands; shaky hands; shakiness; tremulous; shaky
memory loss; forgetful; forgetfulness; memory problems; forgetting
confusion; confused; disoriented; muddled; delirium; disorientation; muddled up
insomnia; trouble sleeping; difficulty sleeping; cannot sleep; can't sleep; sleep disturbance; poor sleep; trouble falling asleep; awake at night; sleeping badly; problems sleeping; sleeping poorly; waking at night; sleep problems; not sleeping
snoring; snore; snores; snore loudly
anxiety; anxious; panic attacks; panic attack; nervous; anxious mood; on edge; nervousness; panic; panicky
depressed; depressed mood; feeling down; low mood; feeling low; hopeless; depression; feeling depressed; mood is low; depressive symptoms; feel down; felt down; feel low; down or depressed; sad; sadness
suicidal ideation; si; suicidal thoughts; hurting yourself; harming yourself; thoughts of self-harm; self-harm; suicidal; hurt yourself; harm yourself; thoughts of suicide; thoughts of harming; thoughts of ending; ending your life; life isn't worth; end your life; thoughts of death; better off dead; not worth living; thoughts of killing; kill yourself; killing yourself; self harm; harm to yourself; homicidal; suicidality; hurting myself; hurt myself; harming myself; dark thoughts; thoughts of hurting yourself; suicide
hallucinations; hearing voices; seeing things; hear voices; hearing or seeing things; psychotic symptoms; psychosis; seeing or hearing things
loss of appetite; poor appetite; decreased appetite; no appetite; appetite loss; appetite is down; not hungry; anorexia; lost appetite; off food; off his food; off her food; off my food; reduced appetite; not eating; lost my appetite; lost your appetite; appetite is poor; low appetite; diminished appetite
thirst; thirsty; polydipsia; excessive thirst
hypoglycemia; low blood sugars; low blood sugar; hypoglycaemia; lows; hypos; low sugars; hypoglycemic episodes; hypoglycemic episode; hypoglycaemic episodes; hypoglycaemic episode; hypoglycemias; hypo; sugar lows; low sugar; hypoglycaemias; low glucose; low glucoses
cold intolerance; heat intolerance; intolerance of cold; intolerant of cold; freezing all the time; feels cold; feeling cold; always cold; cold all the time
hair loss; losing hair; hair falling out; hair falling; loss of hair; alopecia; hair thinning; thinning hair; losing my hair
swelling; swollen; edema; oedema; puffy; puffiness; swells; swell; swelled; swells up; swole; puffed up; oedematous; edematous; swelled up
redness; erythema; erythematous; reddened; reddish
bruising; bruise; bruises; bruised; ecchymosis; ecchymoses; haematoma; hematoma; contusion; bruised easily; bruises easily
stiffness; stiff; stiffens; stiffened up
locking; locks up; catching; locked
giving way; gives way; gave way; gave out; gives out; buckling; instability; buckles; giving out; give way; give out; given way; unstable; gave on me
popping; a pop; clicking; pops
muscle aches; body aches; myalgia; myalgias; muscle pain; achy; aching all over; myalgic; aching muscles
joint pain; arthralgia; arthralgias; joint pains; achy joints; achy joint; painful joints; joints hurt; joints ache; aching joints; joint aches
back pain; back hurts; pain in my back; pain in your back; backache; lumbar pain; low back pain; lower back pain; lbp; lumbago; back ache; sore back; pain in the back; pain in your lower back; back is sore; mid back pain; pain in lower back
neck stiffness; stiff neck; meningism; nuchal rigidity; neck is stiff; stiffness of the neck
trauma; head injury; head trauma; hit your head; hit my head; injury; injuries; injured; head strike; hit his head; hit her head; hitting your head; struck head; struck the head; bump your head; bang your head; banged your head; hit the head; hit his or her head; knock your head; hit head
murmur; murmurs; heart murmur; extra sounds
gallops; gallop
rubs; friction rub
crackles; basal creps; rales; crepitations; crackle; creps; crackly; crep
rhonchi; ronchi
tenderness; tender; sore to touch; tender to palpation; ttp; sore when i press; sore when i push; hurts when i press; hurt when i press; pain when i press; tenderness on palpation; painful to touch; sore there; tender on palpation; hurts to press
guarding; peritonism; rigidity
rebound; rebound tenderness
distension; distended; distention
masses; mass; lump; lumps; nodule; nodules; bump; bumps
lymphadenopathy; swollen lymph nodes; enlarged lymph nodes; swollen glands; adenopathy; lymph nodes swollen; enlarged glands; glands swollen; swollen nodes; enlarged nodes; palpable nodes; lad
jaundice; icterus; yellow skin; yellowing; icteric; yellow eyes; jaundiced; scleral icterus; yellowing of the eyes; yellowness
cyanosis; blue lips; cyanosed; cyanotic
crepitus; grinding
effusion; fluid in the joint; fluid in your knee; joint fluid; fluid in the knee; effusions
carotid bruits; carotid bruit; bruits; bruit
fracture; fractures; hairline crack; broken bone; broken bones; fractured
dislocation; dislocated; subluxation; out of joint
pneumonia
exudate; exudates; white patches; pus; purulence; exudative; purulent; white stuff on; purulent discharge; white spots
drainage; oozing; discharge; weeping; draining; leaking; oozes; discharging
ulcers; ulcer; ulceration; open sores; sores; ulcerated
infection; infected
blood clot; blood clots; clots; dvt; deep vein thrombosis; thrombosis; clot; pulmonary embolism; vte
hernia; hernias
asthma
copd; emphysema
high blood pressure; hypertension; hypertensive; htn; raised blood pressure
diabetes; diabetic; t2dm; t1dm; iddm; niddm
high cholesterol; hyperlipidemia; hypercholesterolemia; dyslipidemia; hld; cholesterol problems; raised cholesterol
heart attack; myocardial infarction; heart attacks; nstemi; stemi
stroke; strokes; cva; tia; mini-stroke; mini stroke
atrial fibrillation; afib; a-fib; a fib
heart failure; congestive heart failure; chf
cancer; malignancy; tumor; tumour; malignancies; cancers; tumors; tumours
kidney stones; kidney stone; nephrolithiasis; renal calculi
anemia; anaemia; anemic; low blood count; low iron; iron deficiency
migraines; migraine
arthritis; osteoarthritis
gout
smoking; smoke; smokes; smoker; tobacco; cigarettes; smoked; tobacco use; cigarette; smokes cigarettes; vape; vaping; vapes; smoking history; tobacco product; tobacco products; smoked cigarettes
alcohol; drinking; alcohol use; drinks; etoh; drink alcohol; beer; beers; wine; drinks alcohol; drinking alcohol; liquor; whisky; whiskey; vodka; booze
illicit drugs; recreational drugs; drug use; street drugs; illicit drug use; recreational drug use; illicit drug; illicits; recreational drug; marijuana; cannabis; cocaine; weed; heroin
pregnant; pregnancy; chance of pregnancy; expecting
falls; fallen; fall; fell; falling; tumble; tumbles; tumbled; fallen over; fallen down
photophobia; light sensitivity; sensitivity to light; light bothers; bright light; light hurts; light hurt; light bother; light sensitive; bothered by light; bothered by bright light; sensitive to light; bright lights; does light bother you; light hurting; light bothering
aura; auras; zigzags; visual aura; sparkles; prodrome; zigzag lines; zigzag; visual prodrome
hoarseness; hoarse; hoarse voice; voice change; voice changes; lost my voice; voice hoarse; change in your voice
sneezing; sneeze; sneezes
watery eyes; tearing
orthopnea; orthopnoea; propped up; extra pillows; lying flat; extra pillow; more pillows; lie flat; sleep propped up; sleep sitting up
vaginal bleeding; pv bleed; pv bleeding; bleeding down below; spotting; vaginal bleed
fluid leak; leaking fluid; leakage of fluid; waters breaking; srom; waters gone; gush of fluid; rupture of membranes; waters broken; loss of fluid
contractions; tightenings; contraction; contracting
bleeding; bleed; bled; bleeds; hemorrhage; haemorrhage; blood or mucus; blood and mucus; blood or slime; fresh blood; bloody
epistaxis; nosebleed; nosebleeds; nose bleed; nose bleeds; nose bleeding
gum bleeding; bleeding gums; gums bleed
speech difficulty; speech problems; slurred speech; trouble speaking; trouble with speech; speech disturbance; trouble with your speech; dysarthria; slurring; difficulty speaking; word finding; speech difficulties; speech loss; aphasia
facial droop; face droop; face drooping; drooping of the face; facial weakness; weakness of the face; face drop; drooping face
dark urine; urine dark; tea coloured urine; tea-colored urine; coke coloured urine; cola-colored urine
pale stools; pale stool; clay stools; clay colored stools
clubbing; clubbed
pneumothorax; collapsed lung
mouth sores; mouth ulcers; oral ulcers; mouth ulcer; ulcers in the mouth; canker sores; sores in the mouth; sores in your mouth; sore mouth
phonophobia; sensitivity to sound; noise bothers; sound bothers; noise bother; sound sensitivity; sensitive to noise; sensitive to sound
pnd; wake up breathless at night; paroxysmal nocturnal dyspnea; paroxysmal nocturnal dyspnoea
sleep apnea; stop breathing; stops breathing; apneas; apnoea; apneic episodes; gasping; witnessed apneas
dry mouth; mouth dry; xerostomia; dryness of the mouth; mouth is dry
dry eyes; eyes dry; dryness of the eyes; eyes are dry
nocturia; up at night to pee; get up at night to pee; getting up at night to urinate
hesitancy; weak stream; slow stream; poor stream; trouble starting; straining; dribbling
erectile dysfunction; trouble with erections; erections; ed symptoms
hot flashes; hot flushes; hot flush; hot flash
missed periods; amenorrhea; amenorrhoea; periods stopped; no periods
heavy periods; menorrhagia; heavy bleeding; heavy period
breast pain; mastalgia; sore breasts
claudication; calf cramps when walking; pain in the calves when walking; legs cramp when walking
calf tenderness; calf pain; tender calf; calf swelling; calf is tender; calves tender; calves are tender; tender calves
leg cramps; cramps in my legs; cramps in the legs; cramps in your legs; muscle cramps
drooling; drools; dribbles saliva
stridor; noisy breathing; barky cough
recession; retractions; indrawing; subcostal recession; sucking in
dehydration; dehydrated
floppy; lethargic child; floppiness; drowsy; drowsiness; somnolent; sleepy
irritability; irritable; fussy; fussiness; crankiness; cranky; short tempered
mania; manic; elevated mood; racing thoughts; grandiosity; manic symptoms; hypomania; hypomanic
nightmares; bad dreams; nightmare; flashbacks
sick contacts; sick contact; anyone sick; anyone else sick; anyone ill; anyone else ill; ill contacts; anybody sick; anyone been sick; around anyone sick; anyone at home sick; unwell contacts; exposure to illness
muscle wasting; atrophy; wasting; wasted; muscle atrophy
deformity; step-off; bony deformity; deformities; deformed
foreign body; foreign bodies; foreign object; foreign material
scoliosis; curvature of the spine; curve in the spine
hepatomegaly; enlarged liver; liver enlargement; liver edge
splenomegaly; enlarged spleen; spleen enlargement; hepatosplenomegaly
sensory change; saddle anesthesia; saddle anaesthesia; numb between the legs; numbness between your legs; numbness in the groin; numbness between the legs; saddle numbness
radiates; radiate; radiating; goes down the leg; shoot down; shoots down; down the leg; travels down
nipple discharge; discharge from the nipple; nipple leaking
lump in the breast; breast lump; breast mass; breast lumps
kidney disease; kidney problems; renal disease; ckd; kidney trouble; renal impairment; kidney failure
liver disease; hepatitis; cirrhosis; liver problems; liver trouble
heart disease; heart problems; cardiac disease; cad; heart trouble; heart condition; heart conditions; cardiac history; cardiac problems; ihd; coronary artery disease; coronary disease
thyroid disease; thyroid problems; thyroid trouble
blood thinners; blood thinner; anticoagulants; anticoagulation; anticoagulant; anticoagulated
latex allergy; allergic to latex
contact lenses; contact lens; cl wear
floaters; floater; floating spots
eye pain; eyes hurt; eye hurts; pain in my eye; pain in the eye; painful eye; sore eye; pain in your eye; ocular pain; sore eyes; eyes sore
pallor; pale; paleness
sweating; diaphoresis; sweaty; sweats; clammy; diaphoretic; in a sweat
hemorrhoids; haemorrhoids; hemorrhoid; haemorrhoid; piles
erosion; erosions; cavity; cavities; caries
"""
NOT_FINDINGS = re.compile(  # words that hold a concept's name and mean something else
    r"(?:weight ?loss (?:program|plan|clinic)|fall (?:asleep|risk|semester)|(?:falls|falling|fell) asleep|last fall|in the fall|fell (?:off the wagon|through)|"
    r"no smoking|drinking (?:enough |more |plenty |sufficient )?(?:water|fluids?|plenty|okay|ok|well|normally|fine|a lot of water|milk)|"
    r"drink(?:s|ing)? (?:lots of |\d+ cups of |\w+ cups? of )?(?:water|fluids?|coffee|tea|milk|juice|soda|plenty|well|okay|a little)|drinks? \d+ cups?|eating and drinking(?: normally)?|"
    r"(?:energy|fizzy|sugary|sports?|soft) drinks?|stroke volume|body mass|mass index|muscle mass|stress (?:fracture protocol|test\w*|echo\w*|incontinence|ball)|"
    r"a pop[- ]?up|cough (?:syrup|drops?|medicine|suppressant)|whooping cough|diabetic (?:foot|eye) exam|smoke detector|"
    r"fever reducers?|(?:hay|typhoid|dengue|yellow|scarlet|rheumatic|glandular|lassa|q|enteric|valley|cat scratch)[ -]?fever|anxious to|afraid|infection control|pregnancy test|cancer screening|tired of|"
    r"sick and tired|discharge(?:d)?(?: home| summary| instructions| round| letter| medications| planning)?(?= home| summary| instructions| round| letter| medications| planning| from (?:the )?(?:hospital|ward))|(?:not )?for discharge|"
    r"with(?:out)? (?:much )?difficulty|stiff upper|swelling lotion|blood (?:pressure|tests?|work|sugars?|counts?|thinners?|glucose|cultures?|draw|type|types|group|vessels?|flow|films?|results?|bank|loss|cells?)|"
    r"blood (?:was|were) (?:taken|drawn)|bleeding (?:risk|time)|faint (?:chest |pink |red )?(?:rash|line|scar|murmur|pulse|wheez\w+)|stress(?:ed)? that|cold (?:sores?|pack|compress\w*|water)|"
    r"(?:sputum|urine|stool|phlegm) (?:negative|positive|culture|sample|smear|test|sent|specimen)\w*|contacts? (?:the|us|me|a|them|sports?|dermatitis|tracing|details|number)|"
    r"travel(?:ing|ling)? (?:mug|plans?|insurance)|worry about|don't worry|infection last|last infection|low back|broken (?:english|car|glass|down|my glasses|heart|record)|"
    r"ringing (?:the|me|us|you)|radiation (?:therapy|oncolog\w+|treatment)|catching up|catching a|clicking on|smoke (?:alarm|inhalation|break)|"
    r"fits (?:well|in|with|the|me|you|him|her|his|that|better|nicely)|bright light(?:s)? in|accidents? and emergency|sweat(?:er|pants|shirt)\w*|"
    r"(?:double|weak|strong|black) (?:tea|coffee)|blackout (?:curtain|blind)\w*|numb(?:ed|ing)? (?:it|you|the|your|that|this|up)\b)"
)
# A concept before one of these words is the name of a thing: "headache diary", "fracture clinic".
COMPOUND = re.compile(
    r"^[ -](?:diary|clinic|screen\w*|tests?\b|testing|medications?|medicines?|meds|inhaler|pack|scores?|scale|"
    r"questionnaire|precautions|risks?|prophylaxis|vaccine|protocol|guidelines?|plan|check|stud(?:y|ies)|work-?up|"
    r"cultures?|samples?|smears?|education|advice|patch|app|prevention|control|treatment|therapy|surgery|nurse|specialist|team|service|group|"
    r"leaflet|cessation|counsel+ing|history|management|monitor\w*|drops|cream|ointment|tablets?|pills?)\b",
    re.IGNORECASE,
)
# Findings that say little without their place: "no flank tenderness" does not deny a tender abdomen.
LOCAL = frozenset(
    "tenderness swelling redness numbness tingling weakness bruising stiffness rash effusion drainage infection itching "
    "fracture masses crackles wheezing trauma ulcers deformity dislocation cancer crepitus exudate discharge locking "
    "popping fluid bleeding stiffness guarding".split()
) | {"blood clot", "giving way", "muscle wasting", "foreign body"}  # fmt: skip
# Where nothing is said of the special finding, what is said of the general one counts.
GENERAL = {
    "hematuria": "bleeding",
    "hemoptysis": "bleeding",
    "blood in the stool": "bleeding",
    "vaginal bleeding": "bleeding",
    "sensory change": "numbness",
    "facial droop": "weakness",
    "calf tenderness": "tenderness",
    "trauma": "falls",
}
# Habits: "no alcohol" is an advice in a doctor's mouth.
HABITS = frozenset({"smoking", "alcohol", "illicit drugs", "contact lenses", "pregnant"})
SITES = {
    name: group
    for group, names in {
        "head": "head scalp skull forehead temple",
        "face": "face cheek jaw chin lip lips facial sinus sinuses sinusitis",
        "eye": "eye eyes eyelid lid cornea conjunctiva conjunctival periorbital",
        "ear": "ear ears eardrum drum canal mastoid tm tympanic",
        "mouth": "mouth tongue gum gums tooth teeth throat tonsil tonsils pharynx oropharynx oral palate",
        "neck": "neck cervical",
        "shoulder": "shoulder shoulders clavicle collarbone scapula rotator cuff supraspinatus deltoid",
        "arm": "arm arms forearm bicep biceps tricep upper-arm",
        "elbow": "elbow elbows epicondyle",
        "hand": "hand hands wrist wrists finger fingers thumb thumbs palm knuckle knuckles snuffbox scaphoid",
        "chest": "chest lung lungs rib ribs sternum costal base bases breast breasts thoracic",
        "belly": "abdomen abdominal belly stomach tummy epigastric suprapubic pubic umbilical navel quadrant ruq rlq luq llq pelvis pelvic",
        "flank": "flank flanks loin loins renal kidney kidneys cva costovertebral",
        "back": "back spine lumbar sacral spinal vertebra vertebral paraspinal sacroiliac coccyx",
        "groin": "groin inguinal testicle testis scrotum scrotal saddle perineal perineum vulva genital",
        "hip": "hip hips buttock trochanter",
        "thigh": "thigh thighs hamstring quadriceps",
        "knee": "knee knees patella patellar kneecap joint-line",
        "leg": "leg legs calf calves shin shins",
        "foot": "foot feet ankle ankles toe toes heel heels malleolus achilles midfoot sole",
    }.items()
    for name in names.split()
}
# Places that hold one another: swollen legs may be swollen ankles.
_WIDER = {
    "leg": {"foot", "knee", "thigh"},
    "arm": {"hand", "elbow", "shoulder"},
    "head": {"face"},
    "flank": {"back"},
}


_COMING_BACK = re.compile(
    r"\b(?:com(?:e|es|ing)|came|go(?:es|ing)?|went|get|got|see you|call|ring|bring) (?:\w+ )?back\b|\bback (?:to|in|from|up|when|then|on)\b"
)


def places(text: str) -> set[str]:
    """Regions of the body that a text names."""
    said = _COMING_BACK.sub("", text.casefold())
    return {SITES[word] for word in re.findall(r"[a-z-]+", said) if word in SITES}


def apart(first: set[str], second: set[str]) -> bool:
    """Both name places, and no place of the one lies in one of the other; or both name a side, and not the same."""
    sides = first & {"left", "right"}, second & {"left", "right"}
    if all(sides) and sides[0] != sides[1]:
        return True
    first, second = first - sides[0], second - sides[1]
    wide = [
        places | {inner for place in places for inner in _WIDER.get(place, ())} for places in (first, second)
    ]
    return bool(first) and bool(second) and not wide[0] & wide[1]
