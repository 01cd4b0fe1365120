# ruff: noqa: E501  (one substance with many names is one long line)
"""Names of medications: substances between bars, generic name first, then brand and other names.

A curated list of some eight hundred substances that notes of general practice, hospital wards and clinics mention,
with American, British and Indian names. Left out on purpose: salts and analytes that are also laboratory values
(potassium, calcium, iron), classes (antibiotics, steroids) and words with another everyday meaning.
"""

_LIST = """
abatacept orencia | abiraterone zytiga | acamprosate campral | acarbose precose | acebutolol | aceclofenac zerodol hifenac
acetaminophen tylenol paracetamol apap calpol panadol crocin dolo pcm pyrigesic | acetazolamide diamox | acetylcysteine mucomyst
acyclovir zovirax | adalimumab humira | adapalene differin | adenosine | agomelatine | albendazole zentel
albuterol ventolin proair proventil salbutamol | alendronate fosamax alendronic | alfuzosin uroxatral xatral
alirocumab praluent | aliskiren tekturna | allopurinol zyloprim | almotriptan | alogliptin nesina
alprazolam xanax alprax | alteplase tpa | amantadine | ambrisentan | ambroxol | amikacin | amiloride
amiodarone pacerone cordarone | amisulpride | amitriptyline elavil endep tryptomer | amlodipine norvasc istin amlong amlokind stamlo
amoxapine | amoxicillin amoxil moxatag amoxi | amoxicillin-clavulanate augmentin co-amoxiclav amoxiclav moxikind clavam | amphotericin
ampicillin unasyn | anastrozole arimidex | apixaban eliquis | apomorphine | apremilast otezla | aprepitant emend
argatroban | aripiprazole abilify | armodafinil nuvigil | artemether coartem lumefantrine | asenapine
aspirin ecotrin asa disprin acetylsalicylic aspro ecosprin loprin | atenolol tenormin | atogepant qulipta | atomoxetine strattera
atorvastatin lipitor torvast atorva storvas | atovaquone malarone proguanil | atropine | auranofin | avanafil
azathioprine imuran | azelaic | azelastine astelin dymista | azilsartan edarbi
azithromycin zithromax z-pak zpak azithral azee | bacitracin | baclofen lioresal | baloxavir xofluza | balsalazide
baricitinib olumiant | beclomethasone qvar clenil fostair | bempedoic nexletol | benazepril lotensin
bendroflumethiazide | benralizumab fasenra | benzathine bicillin | benzocaine | benzonatate tessalon | benzoyl
benztropine cogentin | benzylpenicillin | betahistine serc | betamethasone diprosone betnovate celestone
bethanechol | bevacizumab avastin | bezafibrate | bicalutamide casodex | bictegravir biktarvy | bilastine
bimatoprost lumigan | bisacodyl dulcolax | bismuth pepto pepto-bismol | bisoprolol zebeta cardicor concor
bivalirudin | bosentan tracleer | botulinum botox | brexpiprazole rexulti | brimonidine alphagan
brinzolamide azopt | brivaracetam briviact | bromhexine | bromocriptine parlodel
budesonide pulmicort budecort entocort uceris | budesonide-formoterol symbicort foracort | bumetanide bumex
bupivacaine marcaine | buprenorphine suboxone subutex | bupropion wellbutrin zyban | buspirone buspar
butalbital fioricet | cabergoline dostinex | calcipotriol calcipotriene dovonex daivonex enstilar
calcitriol rocaltrol | canagliflozin invokana | candesartan atacand | capecitabine xeloda | capsaicin
captopril capoten | carbamazepine tegretol | carbidopa levodopa sinemet carbidopa-levodopa | carbimazole
carbinoxamine | carbocisteine mucodyne | carboplatin | carboprost | carboxymethylcellulose | cariprazine vraylar
carisoprodol soma | carvedilol coreg | caspofungin | cefaclor ceclor | cefadroxil duricef | cefazolin ancef
cefdinir omnicef | cefepime maxipime | cefixime suprax taxim zifi | cefotaxime claforan | cefoxitin | cefpodoxime vantin cepodem
cefprozil cefzil | ceftaroline | ceftazidime fortaz | ceftriaxone rocephin monocef | cefuroxime ceftin | celecoxib celebrex
cenobamate | cephalexin cefalexin keflex sporidex phexin | certolizumab cimzia | cetirizine zyrtec zirtek cetzine okacet alerid | chloramphenicol
chlordiazepoxide librium | chlorhexidine corsodyl peridex | chloroquine | chlorothiazide
chlorpheniramine chlorphenamine piriton | chlorpromazine thorazine largactil | chlorthalidone | chlorzoxazone
cholecalciferol colecalciferol | cholestyramine colestyramine questran | ciclesonide alvesco | ciclopirox
cilnidipine | cilostazol pletal | cimetidine tagamet | cinacalcet sensipar | cinnarizine stugeron
ciprofloxacin cipro ciproxin ciplox cifran | cisplatin | citalopram celexa cipramil | clarithromycin biaxin
clindamycin cleocin | clobazam onfi | clobetasol dermovate temovate | clocortolone | clomiphene clomid clomifene
clomipramine anafranil | clonazepam klonopin clonotril lonazep | clonidine catapres | clopidogrel plavix deplatt clopilet | clorazepate
clotrimazole lotrimin | cloxacillin | clozapine clozaril | codeine | colchicine colcrys | colesevelam welchol
combiflam | premarin | cromolyn cromoglicate nasalcrom | cyanocobalamin | cyclizine | cyclobenzaprine flexeril
cyclopentolate | cyclophosphamide cytoxan | cyclosporine restasis cyclosporin ciclosporin neoral
dabigatran pradaxa | dalteparin fragmin | danazol | dantrolene | dapagliflozin farxiga forxiga | dapsone
daptomycin cubicin | darbepoetin aranesp | darifenacin enablex | degludec | denosumab prolia | desipramine
desloratadine clarinex | desmopressin ddavp | desogestrel cerazette | desonide | desvenlafaxine pristiq
dexamethasone decadron | dexlansoprazole dexilant | dexmethylphenidate focalin
dextroamphetamine adderall amphetamine | dextromethorphan delsym | dextrose | diazepam valium
diclofenac voltaren voltarol voveran | dicloxacillin | dicyclomine bentyl | diflunisal | digoxin lanoxin
dihydrocodeine | dihydroergotamine | diltiazem cardizem | dimenhydrinate dramamine | dimethyl-fumarate tecfidera
diphenhydramine benadryl | diphenoxylate lomotil | dipyridamole persantine aggrenox | disopyramide
disulfiram antabuse | dobutamine | docetaxel taxotere | docusate colace | dolutegravir tivicay
domperidone motilium domstal | donepezil aricept | dopamine | dorzolamide trusopt cosopt | doxazosin cardura
doxepin silenor | doxorubicin adriamycin | doxycycline vibramycin | doxylamine diclegis | dronedarone multaq
drospirenone yaz yasmin | drotaverine | droxidopa | dulaglutide trulicity | duloxetine cymbalta
dupilumab dupixent | dutasteride avodart | dydrogesterone | econazole | edoxaban savaysa lixiana | efavirenz
efinaconazole | elagolix orilissa | eletriptan relpax | empagliflozin jardiance | enalapril vasotec
enoxaparin lovenox clexane | entacapone comtan | entecavir baraclude | enzalutamide xtandi
epinephrine epipen adrenaline | eplerenone inspra | epoetin procrit | eprosartan | erenumab aimovig
ergocalciferol | ergotamine cafergot | erlotinib tarceva | ertapenem invanz | ertugliflozin | erythromycin
escitalopram lexapro cipralex nexito | esketamine spravato ketamine | eslicarbazepine | esmolol
esomeprazole nexium nexpro emanera | estazolam | estradiol estrace | estriol vagifem ovestin | eszopiclone lunesta
etanercept enbrel | ethambutol myambutol | ethosuximide | etizolam | etodolac lodine | etomidate
etonogestrel nexplanon | etoricoxib arcoxia | everolimus | evolocumab repatha | excedrin | exemestane aromasin
exenatide byetta bydureon | ezetimibe zetia | famciclovir famvir | famotidine pepcid | febuxostat uloric
felbamate | felodipine plendil | fenofibrate tricor | fentanyl duragesic | ferrous feosol | fesoterodine toviaz
fexofenadine allegra telfast | fezolinetant veozah | filgrastim neupogen | finasteride proscar propecia finast
finerenone kerendia | fingolimod gilenya | flecainide tambocor | flucloxacillin floxapen | fluconazole diflucan
fludrocortisone florinef | flunarizine | fluocinolone | fluocinonide lidex | fluorometholone | fluorouracil efudex
fluoxetine prozac oxactin | flupentixol | fluphenazine | flurbiprofen | fluticasone flonase flovent flixotide avamys flomist
fluticasone-salmeterol advair seretide | fluvastatin lescol | fluvoxamine luvox | folic folate
fondaparinux arixtra | formoterol oxis | fosfomycin monurol | fosinopril monopril | fremanezumab ajovy
frovatriptan | fulvestrant | furosemide lasix frusemide | fusidic fucidin | gabapentin neurontin gralise gabapin
galantamine razadyne | galcanezumab emgality | ganciclovir valganciclovir valcyte | gatifloxacin zymar
gemfibrozil lopid | gemifloxacin | gentamicin garamycin | glatiramer copaxone | glibenclamide
gliclazide diamicron | glimepiride amaryl glimy | glipizide glucotrol | glucagon | glyburide
glycopyrronium glycopyrrolate | golimumab simponi | goserelin zoladex | granisetron | griseofulvin
guaifenesin mucinex robitussin | guanfacine tenex intuniv | guselkumab tremfya | halobetasol | haloperidol haldol
heparin | hydralazine apresoline | hydrochlorothiazide hctz microzide | hydrocodone norco vicodin lortab
hydrocortisone cortef cortaid | hydromorphone dilaudid | hydroxocobalamin | hydroxychloroquine plaquenil hcqs
hydroxyurea hydroxycarbamide | hydroxyzine atarax vistaril | hyoscyamine levsin | hypromellose | ibandronate boniva
ibuprofen advil motrin nurofen brufen | icosapent vascepa | iloperidone | imatinib gleevec glivec
imipenem primaxin | imipramine tofranil | imiquimod aldara | inclisiran leqvio | indacaterol | indapamide natrilix
indomethacin indocin indometacin | infliximab remicade
insulin lantus glargine humalog lispro novolog aspart levemir detemir tresiba humulin novorapid apidra glulisine toujeo basaglar nph actrapid
interferon avonex | ipratropium atrovent | irbesartan avapro | isoniazid | isosorbide imdur ismo ismn isordil
isotretinoin accutane | isradipine | itraconazole sporanox | ivabradine corlanor procoralan | ivermectin
ixekizumab taltz | ketoconazole nizoral | ketoprofen | ketorolac toradol | ketotifen zaditor | labetalol trandate
lacosamide vimpat | lactobacillus | lactulose | lamivudine epivir | lamotrigine lamictal
lansoprazole prevacid zoton | latanoprost xalatan | lecanemab | leflunomide arava | lemborexant dayvigo
lercanidipine | lesinurad | letrozole femara | leuprolide lupron leuprorelin | levalbuterol xopenex
levetiracetam keppra | levocetirizine xyzal levocet teczine | levofloxacin levaquin | levomilnacipran | levonorgestrel mirena
levothyroxine synthroid levoxyl thyronorm eltroxin euthyrox thyroxine | lidocaine lidoderm lignocaine xylocaine
lifitegrast xiidra | linaclotide linzess | linagliptin tradjenta trajenta ondero | linezolid zyvox
liothyronine cytomel triiodothyronine | liraglutide victoza saxenda | lisdexamfetamine vyvanse elvanse
lisinopril zestril prinivil | lithium lithobid | lixisenatide | loperamide imodium lopex | loratadine claritin
lorazepam ativan | losartan cozaar losar | loteprednol | lovastatin mevacor | loxapine | lubiprostone amitiza
lurasidone latuda | lymecycline | maalox | macitentan | macrogol movicol laxido | malathion | mannitol
mebendazole vermox | mebeverine colofac | meclizine antivert | medroxyprogesterone depo-provera provera depo
mefenamic ponstan meftal | mefloquine lariam | melatonin | meloxicam mobic | memantine namenda | menthol
meperidine demerol pethidine | mepolizumab nucala | mercaptopurine | meropenem merrem
mesalamine asacol pentasa lialda mesalazine | metamizole | metaxalone skelaxin
metformin glucophage glycomet glumetza fortamet glyciphage | methadone | methenamine hiprex | methimazole tapazole
methocarbamol robaxin | methotrexate trexall rheumatrex mtx | methyldopa aldomet | methylergometrine
methylnaltrexone | methylphenidate ritalin concerta | methylprednisolone medrol solu-medrol | metoclopramide reglan maxolon perinorm
metolazone zaroxolyn | metoprolol lopressor toprol | metronidazole flagyl metrogel metrogyl | mexiletine
miconazole monistat daktarin | midazolam | midodrine | mifepristone | milnacipran savella | minocycline
minoxidil rogaine | mirabegron myrbetriq betmiga | mirtazapine remeron zispin | misoprostol cytotec
modafinil provigil | moexipril | molnupiravir lagevrio | mometasone nasonex | montelukast singulair montair | morphine
moxifloxacin avelox vigamox | moxonidine | mupirocin bactroban | mycophenolate cellcept | nabumetone relafen
nadolol corgard | nafcillin | nalbuphine | naloxegol | naloxone narcan | naltrexone vivitrol
naltrexone-bupropion contrave | naproxen aleve naprosyn naprogesic anaprox | naratriptan amerge
natalizumab tysabri | nateglinide starlix | nebivolol bystolic | nefazodone | neomycin neosporin | nepafenac
niacin | nicardipine | nicorandil ikorel | nicotine nicorette nicoderm | nifedipine procardia adalat | nimesulide
nimodipine | nirmatrelvir paxlovid ritonavir | nitazoxanide | nitrazepam | nitrofurantoin macrobid
nitroglycerin nitrostat nitroglycerine glyceryl gtn ntg nitro sorbitrate | nivolumab opdivo | nizatidine
norepinephrine noradrenaline levophed | norethindrone | norethisterone | norfloxacin noroxin
norgestimate sprintec | nortriptyline pamelor nortrip | nystatin | ocrelizumab ocrevus | octreotide sandostatin
ofloxacin ocuflox zanocin | olanzapine zyprexa | olmesartan benicar | olodaterol stiolto | olopatadine patanol pataday
olsalazine | omalizumab xolair | omeprazole prilosec losec omez | ondansetron zofran emeset | oralyte dioralyte ors
orlistat xenical | orphenadrine | oseltamivir tamiflu | osimertinib tagrisso | ospemifene | oxacillin | oxaliplatin
oxaprozin | oxazepam | oxcarbazepine trileptal | oxybutynin ditropan | oxycodone percocet oxycontin roxicodone
oxymetazoline afrin | oxymorphone | oxytocin | paclitaxel taxol | paliperidone invega | pancrelipase creon
pantoprazole protonix pantocid pantop | paroxetine paxil | patiromer | pegloticase | pembrolizumab keytruda
penicillamine | penicillin pcn | pentoxifylline trental | peppermint | perampanel | perindopril coversyl aceon
permethrin elimite | perphenazine | phenazopyridine pyridium | phenelzine nardil | phenobarbital phenobarbitone
phenoxymethylpenicillin | phentermine adipex | phenylephrine sudafed-pe | phenytoin dilantin | pholcodine
pilocarpine | pimecrolimus elidel | pimozide | pindolol | pioglitazone actos
piperacillin tazocin zosyn tazobactam | piroxicam feldene | pitavastatin livalo | pivmecillinam selexid | pizotifen
podophyllotoxin | polyethylene-glycol miralax | polymyxin polytrim | posaconazole | pramipexole mirapex
pramlintide symlin | prasugrel effient | pravastatin pravachol | praziquantel | prazosin minipress
prednisolone orapred omnipred | prednisone deltasone | pregabalin lyrica pregalin maxgalin | prilocaine emla | primaquine
primidone mysoline | probenecid | procainamide | prochlorperazine compazine stemetil buccastem | progesterone prometrium
promethazine phenergan | propafenone rythmol | propofol | propranolol inderal | propylthiouracil ptu
protriptyline | prucalopride | pseudoephedrine sudafed | psyllium metamucil isabgol ispaghula fybogel
pyrazinamide | pyridostigmine mestinon | quetiapine seroquel | quinapril accupril | quinidine | quinine
rabeprazole aciphex razo | racecadotril | raloxifene evista | ramelteon rozerem | ramipril altace tritace cardace
ranitidine zantac rantac | ranolazine ranexa | rasagiline azilect | relugolix | remdesivir veklury
repaglinide prandin | rifampicin rifampin rifadin | rifaximin xifaxan | riluzole | rimegepant nurtec | riociguat
risankizumab skyrizi | risedronate actonel | risperidone risperdal | rituximab rituxan | rivaroxaban xarelto
rivastigmine exelon | rizatriptan maxalt | rocuronium | roflumilast | romosozumab evenity | ropinirole requip
ropivacaine | rosiglitazone avandia | rosuvastatin crestor rosuvas rozavel | rotigotine neupro | rufinamide
saccharomyces florastor | sacubitril entresto | salbutamol-ipratropium combivent duoneb duolin | salicylic
salmeterol serevent | saxagliptin onglyza | scopolamine hyoscine buscopan | secnidazole | secukinumab cosentyx
selegiline | semaglutide ozempic wegovy rybelsus | senna senokot | sertraline zoloft lustral serta | sevelamer renvela
sildenafil viagra | simethicone gas-x gaviscon | simvastatin zocor | sirolimus rapamune | sitagliptin januvia istavel zita
sofosbuvir epclusa sovaldi | solifenacin vesicare | sotalol betapace | spironolactone aldactone | streptomycin
succinylcholine | sucralfate carafate | sugammadex | sulfamethoxazole bactrim septra septrin trimoxazole cotrimoxazole co-trimoxazole trimethoprim
sulfasalazine azulfidine | sulindac | sumatriptan imitrex | suvorexant belsomra | tacrolimus prograf
tadalafil cialis | tafluprost | tamoxifen nolvadex | tamsulosin flomax urimax veltam | tapentadol nucynta | tazarotene tazorac
teicoplanin | telmisartan micardis telma telmikind | temazepam restoril | tenecteplase | teneligliptin
tenofovir viread truvada emtricitabine descovy | terazosin hytrin | terbinafine lamisil | terbutaline bricanyl
teriparatide forteo | terlipressin | testosterone androgel | tetrabenazine | tetracaine | tetracycline
tezepelumab | theophylline aminophylline | thiocolchicoside | tiagabine | tibolone | ticagrelor brilinta
tigecycline | timolol timoptic | tinidazole | tinzaparin | tiotropium spiriva | tirzepatide mounjaro zepbound
tizanidine zanaflex | tobramycin tobrex | tocilizumab actemra | tofacitinib xeljanz | tolterodine detrol
tolvaptan | topiramate topamax | torsemide demadex torasemide dytor | tramadol ultram zydol | trandolapril mavik
tranexamic trapic | tranylcypromine parnate | trastuzumab herceptin | travoprost travatan | trazodone desyrel
treprostinil | tretinoin retin-a | triamcinolone kenalog | triamterene dyazide maxzide | triazolam halcion
trifluoperazine | trihexyphenidyl | trimebutine | trimetazidine | tropicamide | trospium | tums
ubrogepant ubrelvy | ulipristal | umeclidinium anoro incruse | upadacitinib rinvoq | ursodiol ursodeoxycholic
ustekinumab stelara | valacyclovir valtrex | valproate depakote valproic divalproex | valsartan diovan
vancomycin vancocin | vardenafil levitra | varenicline chantix | vasopressin | vedolizumab entyvio
venlafaxine effexor | verapamil calan | vericiguat | vigabatrin | vilanterol breo trelegy | vilazodone viibryd
vildagliptin galvus jalra | vincristine | vitamin-k phytonadione | voglibose | vonoprazan | voriconazole vfend
vortioxetine trintellix | warfarin coumadin | xylometazoline otrivin otrivine | zafirlukast | zaleplon sonata | zanamivir relenza | zidovudine
ziprasidone geodon | zoledronate zometa | zoledronic reclast | zolmitriptan zomig | zolpidem ambien stilnoct
zonisamide zonegran | zopiclone imovane | zuclopenthixol
"""
NAMES = _LIST.strip().replace(" | ", "\n")  # one line a substance

# name -> number of its substance; two names of one number mean the same thing
SUBSTANCE = {name: number for number, line in enumerate(NAMES.strip().splitlines()) for name in line.split()}
# a name -> further substances that it holds; "Combiflam" supports ibuprofen and paracetamol
COMPOSED: dict[str, str] = {}
for _names, _parts in (
    ("augmentin amoxiclav co-amoxiclav moxikind clavam amoxicillin-clavulanate", "amoxicillin"),
    (
        "percocet vicodin norco lortab codamol co-codamol combiflam dolokind solpadeine zapain excedrin",
        "acetaminophen",
    ),
    ("combiflam", "ibuprofen"),
    ("codamol co-codamol zapain solpadeine", "codeine"),
    ("seretide advair fluticasone-salmeterol", "fluticasone salmeterol"),
    ("foracort symbicort budecort budesonide-formoterol", "budesonide formoterol"),
    ("duolin duoneb combivent salbutamol-ipratropium", "albuterol ipratropium"),
    ("istamet janumet", "sitagliptin metformin"),
    ("galvusmet jalra-m", "vildagliptin metformin"),
    ("synjardy", "empagliflozin metformin"),
    ("xigduo", "dapagliflozin metformin"),
    ("montair", "levocetirizine"),
    ("pan-d", "pantoprazole domperidone"),
    ("meftal", "dicyclomine"),
    ("microgynon rigevidon", "levonorgestrel"),
    ("entresto", "valsartan"),
    ("zestoretic prinzide", "lisinopril hydrochlorothiazide"),
    ("hyzaar", "losartan hydrochlorothiazide"),
    ("diovan-hct", "valsartan hydrochlorothiazide"),
    ("exforge", "amlodipine valsartan"),
    ("caduet", "amlodipine atorvastatin"),
    ("breo relvar", "fluticasone vilanterol"),
    ("trelegy", "fluticasone umeclidinium vilanterol"),
    ("fostair", "beclomethasone formoterol"),
    ("vytorin inegy", "simvastatin ezetimibe"),
    ("cosopt", "dorzolamide timolol"),
    ("combigan", "brimonidine timolol"),
):
    for _name in _names.split():
        COMPOSED[_name] = f"{COMPOSED.get(_name, '')} {_parts}".strip()
        SUBSTANCE.setdefault(_name, len(SUBSTANCE))
# words that people say for a substance; no claim when a note uses them
SAID_FOR = {
    "ferrous": ("iron",),
    "cyanocobalamin": ("b12", "vitamin"),
    "hydroxocobalamin": ("b12", "vitamin"),
    "cholecalciferol": ("vitamin",),
    "ergocalciferol": ("vitamin",),
    "folic": ("folate", "vitamin"),
    "levothyroxine": ("thyroid",),
    "albuterol": ("reliever", "blue"),
    "nicotine": ("patch", "patches", "gum", "lozenges"),
    "pantoprazole": ("pan",),
    "epinephrine": ("epi", "adrenalin"),
    "lactobacillus": ("probiotic", "probiotics"),
    "dioralyte": ("rehydration", "electrolyte"),
    "botulinum": ("toxin",),
}
