"""Names of medications: one line a substance, generic name first, then brand and other names.

A curated list of substances that general practice, cardiology, endocrinology, orthopaedics, psychiatry and
respiratory notes mention. Left out on purpose: salts and analytes that are also laboratory values (potassium,
calcium, iron), classes (antibiotics, steroids) and words with another everyday meaning.
"""

NAMES = """
acetaminophen tylenol paracetamol apap
acyclovir zovirax
adalimumab humira
albuterol ventolin proair proventil salbutamol
alendronate fosamax alendronic
allopurinol zyloprim
alprazolam xanax
amiodarone pacerone cordarone
amitriptyline elavil
amlodipine norvasc
amoxicillin amoxil
amoxicillin-clavulanate augmentin co-amoxiclav
anastrozole arimidex
apixaban eliquis
aripiprazole abilify
aspirin ecotrin
atenolol tenormin
atomoxetine strattera
atorvastatin lipitor
azathioprine imuran
azithromycin zithromax z-pak zpak
baclofen lioresal
beclomethasone qvar
benazepril lotensin
benzonatate tessalon
bisoprolol zebeta
budesonide pulmicort
budesonide-formoterol symbicort
bumetanide bumex
buprenorphine suboxone subutex
bupropion wellbutrin zyban
buspirone buspar
canagliflozin invokana
candesartan atacand
carbamazepine tegretol
carbidopa levodopa sinemet carbidopa-levodopa
carvedilol coreg
cefdinir omnicef
ceftriaxone rocephin
cefuroxime ceftin
celecoxib celebrex
cephalexin keflex
cetirizine zyrtec
chlorthalidone
ciprofloxacin cipro
citalopram celexa
clarithromycin biaxin
clindamycin cleocin
clonazepam klonopin
clonidine catapres
clopidogrel plavix
clotrimazole lotrimin
clozapine clozaril
codeine
colchicine colcrys
cyclobenzaprine flexeril
cyclosporine restasis
dabigatran pradaxa
dapagliflozin farxiga
denosumab prolia
desvenlafaxine pristiq
dexamethasone decadron
dextroamphetamine adderall amphetamine
dextromethorphan delsym
diazepam valium
diclofenac voltaren
dicyclomine bentyl
digoxin lanoxin
diltiazem cardizem
diphenhydramine benadryl
docusate colace
donepezil aricept
doxazosin cardura
doxycycline vibramycin
dulaglutide trulicity
duloxetine cymbalta
dupilumab dupixent
dutasteride avodart
empagliflozin jardiance
enalapril vasotec
enoxaparin lovenox
epinephrine epipen
eplerenone inspra
erythromycin
escitalopram lexapro
esomeprazole nexium
estradiol estrace
eszopiclone lunesta
etanercept enbrel
ezetimibe zetia
famotidine pepcid
febuxostat uloric
fenofibrate tricor
fentanyl duragesic
ferrous-sulfate
fexofenadine allegra
finasteride proscar propecia
fluconazole diflucan
fluoxetine prozac
fluticasone flonase flovent
fluticasone-salmeterol advair
furosemide lasix frusemide
gabapentin neurontin
gemfibrozil lopid
glimepiride amaryl
glipizide glucotrol
glyburide
guaifenesin mucinex robitussin
haloperidol haldol
heparin
hydralazine apresoline
hydrochlorothiazide hctz microzide
hydrocodone norco vicodin lortab
hydrocortisone cortef
hydromorphone dilaudid
hydroxychloroquine plaquenil
hydroxyzine atarax vistaril
hyoscyamine levsin
ibandronate boniva
ibuprofen advil motrin
imipramine tofranil
infliximab remicade
insulin lantus glargine humalog lispro novolog aspart levemir detemir tresiba
ipratropium atrovent
irbesartan avapro
isoniazid
isosorbide imdur
isotretinoin accutane
ivermectin
ketoconazole nizoral
ketorolac toradol
labetalol
lamotrigine lamictal
lansoprazole prevacid
latanoprost xalatan
letrozole femara
levetiracetam keppra
levocetirizine xyzal
levofloxacin levaquin
levothyroxine synthroid levoxyl
lidocaine lidoderm
linagliptin tradjenta
liraglutide victoza saxenda
lisinopril zestril prinivil
lithium lithobid
loperamide imodium
loratadine claritin
lorazepam ativan
losartan cozaar
lovastatin mevacor
lurasidone latuda
meclizine antivert
medroxyprogesterone depo-provera provera
melatonin
meloxicam mobic
memantine namenda
mesalamine
metaxalone skelaxin
metformin glucophage
methadone
methimazole tapazole
methocarbamol robaxin
methotrexate trexall rheumatrex
methylphenidate ritalin concerta
methylprednisolone medrol solu-medrol
metoclopramide reglan
metolazone zaroxolyn
metoprolol lopressor toprol
metronidazole flagyl
minocycline
mirtazapine remeron
mometasone nasonex
montelukast singulair
morphine
mupirocin bactroban
mycophenolate cellcept
nabumetone relafen
naproxen aleve naprosyn
nebivolol bystolic
niacin
nifedipine procardia
nitrofurantoin macrobid
nitroglycerin nitrostat
norethindrone
nortriptyline pamelor
nystatin
olanzapine zyprexa
olmesartan benicar
omeprazole prilosec
ondansetron zofran
oseltamivir tamiflu
oxcarbazepine trileptal
oxybutynin ditropan
oxycodone percocet oxycontin roxicodone
oxymetazoline afrin
pantoprazole protonix
paroxetine paxil
penicillin
phenazopyridine pyridium
phentermine adipex
phenylephrine sudafed-pe
phenytoin dilantin
pioglitazone actos
polyethylene-glycol miralax
pramipexole mirapex
prasugrel effient
pravastatin pravachol
prazosin minipress
prednisolone
prednisone deltasone
pregabalin lyrica
prochlorperazine compazine
progesterone prometrium
promethazine phenergan
propranolol inderal
pseudoephedrine sudafed
quetiapine seroquel
quinapril accupril
rabeprazole aciphex
raloxifene evista
ramipril altace
ranitidine zantac
ranolazine ranexa
risperidone risperdal
rituximab rituxan
rivaroxaban xarelto
rizatriptan maxalt
ropinirole requip
rosuvastatin crestor
sacubitril entresto
semaglutide ozempic wegovy rybelsus
senna senokot
sertraline zoloft
sildenafil viagra
simvastatin zocor
sitagliptin januvia
solifenacin vesicare
sotalol betapace
spironolactone aldactone
sucralfate carafate
sulfamethoxazole bactrim septra trimethoprim
sulfasalazine azulfidine
sumatriptan imitrex
tacrolimus prograf
tadalafil cialis
tamoxifen nolvadex
tamsulosin flomax
telmisartan micardis
temazepam restoril
terazosin hytrin
terbinafine lamisil
teriparatide forteo
ticagrelor brilinta
tiotropium spiriva
tirzepatide mounjaro zepbound
tizanidine zanaflex
tofacitinib xeljanz
tolterodine detrol
topiramate topamax
torsemide demadex
tramadol ultram
tranexamic
trazodone desyrel
tretinoin retin-a
triamcinolone kenalog
umeclidinium anoro
valacyclovir valtrex
valproate depakote valproic divalproex
valsartan diovan
vancomycin vancocin
varenicline chantix
venlafaxine effexor
verapamil calan
vilazodone viibryd
vortioxetine trintellix
warfarin coumadin
zoledronic reclast
zolpidem ambien
"""

# name -> number of its substance; two names of one number mean the same thing
SUBSTANCE = {name: number for number, line in enumerate(NAMES.strip().splitlines()) for name in line.split()}
