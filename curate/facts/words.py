# ruff: noqa: E501  (patterns read better in one piece)
"""The words and shapes of facts that expire, and of what only looks like one.

Covers: English as written in India, Britain and the US; amounts, shares, periods, dates, times of day, names of statutes,
products and offices. Does not cover: other languages, putting the shapes together (`curate.facts.radar`), judging
whether a fact is true.
"""

from __future__ import annotations

import re

LONGEST = 50_000  # characters of a text that are read; every pattern is linear or bounded


def _any(*words: str) -> str:
    return "(?:" + "|".join(words) + ")"


def _re(pattern: str, *, case: bool = False) -> re.Pattern[str]:
    return re.compile(pattern, 0 if case else re.IGNORECASE)


# --- numbers ------------------------------------------------------------------------------------------------

_ONES = _any(
    *"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand lakhs? crores? million billion "
    "half a an".split()
)
SPELT = rf"{_ONES}(?:(?:[ -]and[ -]|[ -]){_ONES}){{0,6}}"
FIGURE = r"\d{1,3}(?:,\d{2,3}){1,5}(?:\.\d+)?|\d+(?:\.\d+)?"
SCALE = r"(?:lakhs?|lacs?|crores?|cr|k|thousand|million|billion|trillion|mn|bn|m)\b"
_RANGE = r"(?:\s?(?:-|–|—|to|and)\s?)"

# --- money --------------------------------------------------------------------------------------------------

_SIGN = r"(?:₹|€|£|¥|(?:US|A|C|S|HK|NZ)?\$|(?<![A-Za-z])(?:Rs\.?|INR|USD|EUR|GBP|AED|SGD|AUD|CAD|JPY|CHF|CNY)(?![A-Za-z]))"
_CURRENCY = (
    r"(?:rupees?|dollars?|euros?|pounds?\s+sterling|quid|cents?|pence|paise|yen|yuan|dirhams?|riyals?|francs?|bucks|kron(?:or|er|a)|pesos?|rand|ringgit|baht|zlotys?|rou?bles|lira|dinars?|"
    r"USD|INR|EUR|GBP|AED|SGD|/-)(?![A-Za-z])"
)
MONEY = _re(
    rf"{_SIGN}\s?(?:{FIGURE})(?:\s?{SCALE})?(?:{_RANGE}(?:{_SIGN}\s?)?(?:{FIGURE})(?:\s?{SCALE})?)?(?:/-)?"
    rf"|(?<![\w.,])(?:{FIGURE})(?:{_RANGE}(?:{FIGURE}))?(?:\s?{SCALE})?[\s-]?{_CURRENCY}"
    rf"|\b{SPELT}[ -]{_CURRENCY}"
    rf"|(?<![\w.,])(?:{FIGURE})\s?(?:LPA|lakhs?\s+per\s+annum|crores?\s+per\s+annum)\b"
)
POUNDS = _re(rf"(?<![\w.,])(?:{FIGURE}|{SPELT})\s+pounds\b(?!\s+(?:of|heavier|lighter|overweight))")
PER = _re(
    r"\s*(?:/\s?|per\s+|a\s+|an\s+|each\s+|every\s+)(?:person|head|night|day|week|month|mo|year|yr|annum|hour|hr|kg|kilo|"
    r"kilogram|gram|g|litre|liter|unit|piece|seat|user|km|mile|min|minute|sq\.?\s?ft|order|item|ticket|dozen|kWh|GB)\b"
)
FEE = _re(
    r"\b(?:fees?|charge[sd]?|charging|penalt(?:y|ies)|fine[sd]?|tolls?|deposits?|surcharges?|levy|levies|dues|premiums?|"
    r"tariffs?|fares?|postage|commission|rent|subscriptions?|membership|delivery|shipping|restocking|pickup|convenience|"
    r"processing|stamp duty|late payment|toll|renewals?|visas?|registration|admission|entry|tuition)\b"
)
FREE = _re(
    r"\bfree\s+of\s+(?:charge|cost)\b"
    r"|\bat\s+no\s+(?:extra\s+|additional\s+)?(?:cost|charge)\b"
    r"|\b(?:no|zero|nil)\s+(?:(?:extra|additional|hidden|cancellation|joining|annual|delivery|shipping|late|restocking|"
    r"processing|booking|convenience|service|entry|monthly|pickup)\s+)?(?:fees?|charges?)\b"
    r"|\bfree\s+(?:(?:home|standard|express|next-day|doorstep|same-day|overnight)\s+)?(?:delivery|shipping|returns?|pick-?ups?|trial|"
    r"cancellations?|upgrades?|parking|wi-?fi|entry|admission|refills?|installation|replacements?|exchanges?|breakfast|"
    r"tier|plan|shuttle)\b"
    r"|\b(?:delivery|shipping|parking|pick-?up|entry|admission|cancellations?|cancelling|returns?|exchanges?|installation|"
    r"registration|replacements?|membership|wi-?fi|entrance)\s+(?:is|are|remains?|stays?)\s+(?:\w+\s){0,2}?free\b"
    r"|\b(?:ride|travel|enter|visit)\b[^.!?\n]{0,40}?\b(?:for\s+)?free\b|\bcosts?\s+you\s+nothing\b|\b(?:at\s+our\s+(?:cost|expense))\b|\bwe\s+pay\s+(?:for\s+)?(?:the\s+)?(?:pickup|return|shipping|postage|delivery)"
    r"|\bfree\s+(?:for|on|above|over)\s+(?:orders?|members?|children|students?|seniors?|prime|all\s+orders?)\b"
    r"|\bfree\s+at\s+(?:the|any|our|all)\b|\bwaive[sd]?\b(?=[^.!?\n]{0,40}\b(?:fees?|charges?)\b)|\b(?:fees?|charges?)\b[^.!?\n]{0,30}\bwaived\b"
)

# --- shares and rates ---------------------------------------------------------------------------------------

SHARE = _re(
    rf"(?<![\w.])(?:{FIGURE})(?:{_RANGE}(?:{FIGURE}))?\s?(?:%|per\s?cent\b|percentage\s+points?\b|basis\s+points?\b|bps\b)"
    rf"|\b{SPELT}\s+(?:per\s?cent|percentage\s+points?)\b"
)
RATE = _re(
    r"\b(?:interest|rates?|tax(?:es|ed)?|GST|CGST|SGST|IGST|VAT|TDS|TCS|cess|dut(?:y|ies)|tariffs?|discount(?:s|ed)?|off|commission|"
    r"cash-?back|points|APR|APY|EPF|PF|ESIC?|NPS|PPF|contribut\w+|surcharges?|inflation|unemployment|growth|grew|grow(?:s|ing)|"
    r"GDP|mortgages?|loans?|deposits?|yields?|dividends?|fees?|fined?|penalt(?:y|ies)|charge[sd]?|charging|restocking|margins?|mark-?up|"
    r"down\s?payment|stake|market\s+share|share|polls?|turnout|literacy|rebate|royalt(?:y|ies)|premium|wages?|salary|salaries|"
    r"reserved|reservation|quota|subsid\w+|deduct\w+|withh\w+|refund(?:s|ed)?|sale|savings?|bonus|hike|cut|matching|match|price[sd]?|"
    r"cost|costs|returns?|of\s+(?:all\s+)?(?:the\s+)?(?:Indians|Americans|Britons|Europeans|people|households|adults|users|"
    r"voters|customers|women|men|children|companies|electricity|power|revenue|sales|exports|imports|traffic|internet))\b"
)
EXCHANGE = _re(
    rf"\b(?:1|one|a|per)\s+(?:US\s+)?(?:dollar|euro|pound|yen|USD|EUR|GBP|AED|bitcoin|BTC)\b\s*(?:=|is|equals|buys|fetches|"
    rf"trades|costs|gets\s+you|was)[^.!?\n]{{0,24}}?(?:{FIGURE})\s?(?:rupees|INR|dollars|euros)?"
    rf"|(?<![\w.,])(?:{FIGURE})\s+(?:rupees|INR|yen|dollars|euros|pounds)\s+(?:to|per|against)\s+(?:the|a|one)\s+(?:US\s+)?"
    r"(?:dollar|euro|pound|rupee|USD|EUR|GBP)\b"
)
BARE_RATE = _re(
    rf"\b(?:repo|interest|bank|base|exchange|conversion|federal\s+funds|lending|inflation|unemployment|tax|growth)\s+rate\s+(?:\w+\s){{0,3}}?"
    rf"(?:is|of|at|stands\s+at|=|to)\s+(?:about\s+|around\s+|roughly\s+)?(?:{FIGURE})"
)

# --- periods ------------------------------------------------------------------------------------------------

PERIOD = _re(
    rf"(?<![\w.,/$₹£€])(?:{FIGURE}|{SPELT})(?:\s?\(\s?(?:\d{{1,4}}|{SPELT})\s?\))?(?:{_RANGE}(?:{FIGURE}|{SPELT})|\s+or\s+(?:{FIGURE}|{SPELT}))?"
    r"[\s-]{1,2}(?P<kind>(?:business|working|calendar|consecutive|full|clear|more|extra|further|additional|whole)[\s-]+)?"
    r"(?P<unit>minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|fortnights?|months?|years?)\b(?!\s+(?:old|ago)\b)(?!-old)"
)
SAME_DAY = _re(
    r"\b(?:same|next)[- ]day\b(?!\s+(?:he|she|I|it\s+rained))|\b(?:the\s+)?(?:next|same|following)\s+(?:business|working)\s+day\b|\bovernight(?=\s+(?:delivery|shipping|dispatch|courier|service))"
)
TERMS = _re(
    r"\b(?:return(?:s|ed|able|ing)?|refund(?:s|ed|able|ing)?|exchang\w+|deliver\w*|ship(?:s|ped|ping|ment)?|dispatch\w*|arriv\w+|warrant\w+|"
    r"guarantee\w*|replace\w*|cancel\w*|subscri\w+|trial|notice|probation\w*|leave|maternity|paternity|gratuity|fil(?:e|ed|es|ing)|"
    r"claim\w*|appeal\w*|appl(?:y|ies|ied|ication|ications)|renew\w*|visas?|passport|permits?|licen[cs]e\w*|regist\w+|valid\w*|"
    r"expir\w+|laps\w+|check\w*|inspect\w*|audit\w*|windows?|deadlines?|grace|retention|retain(?:ed|s)?|respon\w+|repl(?:y|ies|ied)|resol\w+|tickets?|support|process(?:ed|es|ing)?|"
    r"approv\w+|settle\w*|credit(?:ed|s)?|reimburs\w+|report(?:ed|ing)?|complain\w*|dispute[sd]?|wait(?:ing)?\s+(?:time|list|period)|lock-in|"
    r"tenure|polic(?:y|ies)|moratorium|quarantine|check-?(?:in|out)|book(?:ed|ing|ings)?|points|vouchers?|gift\s+cards?|coupons?|"
    r"passwords?|sessions?|loans?|EMIs?|repay\w*|deposit\w*|hold|pick(?:ed)?[- ]?up|collect(?:ed|ion)?|install\w*|servic(?:e|ed|ing)|booster|"
    r"submit\w*|submission|pay(?:ment|ments|able|s)?|paid|offers?|stored|kept|keep|backups?|logs?|verif\w+|answer\w*|activat\w+|entitle\w*|eligib\w+|"
    r"contract|term|stay|overtime|working\s+(?:hours|week)|shift|cool(?:ing)?(?:-?off)?|rollover|memberships?|plan|turnaround|lead\s+time|takes?|"
    r"reach(?:es)?|clear(?:s|ed)?|transfer\w*|update[sd]?|release[sd]?|cycle|review(?:ed)?|course|sentence|imprison\w*|mandat\w+|must|bill(?:ed|ing)?)\b"
)
WITHIN = _re(
    r"\b(?:within|in\s+under|no\s+later\s+than|up\s+to|at\s+the\s+latest)\s+(?:the\s+(?:first|next)\s+)?$"
)
SPEAKS = _re(r"\b(?:we|our|us|you|your|please|must|should)\b")
BOUND = _re(
    r"(?:\b(?:within|in|up\s+to|upto|takes?|for|after|before|at\s+least|minimum(?:\s+of)?|maximum(?:\s+of)?|no\s+later\s+than|"
    r"valid(?:ity)?(?:\s+for)?|lasts?|every|of|until|than|under|over|is|are|be|to|about|around|usually|roughly|only|another|i\.e\.|e\.g\.|namely|exactly|first|"
    r"the|a|our|your|its|each|have|has|get|gets|with|than|allows?|additional|further|by|most|next)\b|[(:,=|]|\bi\.e\.)\s*(?:\w+\s+){0,2}$"
)

# --- statutes -----------------------------------------------------------------------------------------------

STATUTE_HEAD = _re(
    r"\b(?:Acts?|Code|Ordinance|Bill|Regulations?|Rules|Directive|Constitution|Order|Amendment|Statutes?|Convention|Adhiniyam|Sanhita|"
    r"Scheme|Notification|Circular|Guidelines)\b(?:,?\s+(?:of\s+)?(?P<year>1[6-9]\d\d|20\d\d))?",
    case=True,
)
STATUTE_LINK = frozenset("and of the for in on to & under with from or by".split())
OPENERS = frozenset(
    "The This That These Those Under In As By Per And Or If When See Per Both Since While Also But Your Our Its Their What Which "
    "Where Who Why How Yes No An A Any Every Each Section Chapter Rule Article Schedule Because Although Even Only Read Is Are".split()
)
PROVISION = _re(
    r"(?<![\w-])(?P<what>sections?|secs?\.|s\.|u/s|articles?|arts?\.|rules?|regulations?|chapter|schedule|clause|order|part|title|para(?:graph)?|§§?)"
    r"\s?(?P<number>\d{1,4}[A-Z]{0,3}(?:\(\w{1,4}\)){0,4}(?:\s?(?:,|and|or|to|–|-)\s?\d{1,4}[A-Z]{0,2}(?:\(\w{1,4}\)){0,3}){0,4}|[IVX]{1,5}\b)"
)
LEGAL = _re(
    r"(?<!\w)(?:(?-i:Acts?|Code|Rules|Constitution|Regulations?|Convention|Treaty|Charter|Directive|Bill|Ordinance|Companies|Penal|Parliament)|IPC|Cr\.?P\.?C|CPC|BNSS?|GDPR|CCPA|HIPAA|DPDP|statut\w+|laws?|"
    r"legal|legislation|U\.?S\.?C|C\.?F\.?R|court|offence|offense|Income[- ]tax|Adhiniyam|Sanhita|SEBI|RBI|prohibit\w*|punish\w*|entitle[sd]?|deduction|tribunal|tax|exempt\w*)(?!\w)",
)
OWN_PARTS = _re(
    r"\b(?:of|in|to|under)\s+this\s+(?:agreement|contract|deed|document|report|manual|guide|policy|form|book|page|note|appointment)\b"
    r"|\b(?:above|below|herein|hereof|hereunder)\b"
)
CODE_ON = re.compile(
    r"\b(?:Code|Regulation|Directive)\s+(?:on|of|for|\((?:EU|EC)\))\s+(?:[A-Z0-9][\w/]*\s?(?:and\s+)?){1,6}(?:,?\s+(?:19|20)\d\d)?"
)
LEGAL_NOW = _re(r"\b(?:under|still|applies|apply|requires?|governs?|section|in\s+force|pursuant|as\s+per)\b")
LAW_NAMES = _re(
    r"(?<![\w-])(?:GDPR|HIPAA|CCPA|CPRA|COPPA|FERPA|IPC|CrPC|BNSS?|Bharatiya\s+\w+\s+(?:Sanhita|Adhiniyam)|FEMA|RERA|IBC|PMLA|NDPS|FCRA|SARFAESI|"
    r"CGST|IGST|DPDPA?|POSH|FLSA|FMLA|ERISA|OSHA|LODR|PCI[- ]DSS|IFRS|Ind\s?AS|GAAP|MiFID|PSD2|EU\s+AI\s+Act|Digital\s+Services\s+Act|"
    r"Roe\s+v\.?\s+Wade)(?![\w-])",
    case=True,
)
BY_LAW = _re(
    r"\b(?:by\s+law|the\s+law\s+(?:says|requires|allows|limits|permits|caps|forbids|bars|gives|prohibits|mandates)|legally\s+(?:drive|work|drink|vote|marry|binding|allowed|permitted|entitled|obliged)|legal(?:ly)?\s+(?:limit|minimum|maximum|"
    r"drinking\s+age|age|required|mandatory|binding\s+limit|permitted)|statutory\s+(?:minimum|maximum|limit|rate|notice|bonus|cap|ceiling|deadline|period)|minimum\s+wages?|maximum\s+fine|"
    r"under\s+(?:\w+\s+){0,2}?law(?!s\s+of\s+(?:physics|motion|nature))|speed\s+limit|voting\s+age|drinking\s+age|age\s+of\s+consent|retirement\s+age|"
    r"(?:is|are|remains?|became)\s+(?:now\s+|currently\s+|still\s+)?(?:illegal|legal|unlawful|banned|prohibited|mandatory|compulsory)(?:\s+(?:in|under|for|to|since)\b))"
)
REQUIRES = _re(
    r"\b(?:must|require[sd]?|allow[sed]*|limit[sed]*|penalt\w+|under|compl\w+|within|up\s+to|fine[sd]?|mandat\w+|shall|prohibit\w*|entitle[sd]?|"
    r"governed?|appl(?:y|ies)|oblig\w+|give[sn]?|protect\w*|right|rights|as\s+per|pursuant|punish\w*|cover(?:s|ed)?|provid\w+|set[s]?|exempt\w*|"
    r"replaced|repealed|amended|cap[sped]*|need[sed]*)\b"
)

# --- dates --------------------------------------------------------------------------------------------------

MONTHS = "january february march april may june july august september october november december".split()
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|"
    r"Dec(?:ember)?)\b\.?"
)
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th))?"
DATE = _re(
    rf"\b(?P<d1>{_DAY})(?:\s+day)?(?:\s+of)?[\s-]+(?P<m1>{_MONTH})(?:[\s,-]+(?P<y1>(?:1[5-9]|20)\d\d))?\b"
    rf"|\b(?P<m2>{_MONTH})[\s-]+(?P<d2>{_DAY})\b(?!\s*(?:%|percent|days|people|hours))(?:,?\s+(?P<y2>(?:1[5-9]|20)\d\d))?\b"
    rf"|\b(?P<m3>{_MONTH})[\s,-]+(?:of\s+)?(?P<y3>(?:1[5-9]|20)\d\d)\b"
    r"|(?<![\d./-])(?P<y4>20\d\d)-(?P<m4>0[1-9]|1[0-2])-(?P<d4>3[01]|[12]\d|0[1-9])(?![\d/-])"
    r"|(?<![\d./-])(?P<d5>\d{1,2})[./-](?P<m5>\d{1,2})[./-](?P<y5>20\d\d)(?![\d/-])"
)
YEAR = _re(
    r"(?:\b(?P<before>in|by|until|till|for|from|since|during|of|through|the|as\s+of|FY|AY|year|edition|before|after|season|late|early|mid)[\s-]*)"
    r"\(?(?P<y>20[0-9]\d)(?:\s?[-–/]\s?(?:20)?\d\d)?\b(?!\s?(?:rupees|dollars|units|people|kcal|calories|mg|ml|steps|words|metres|meters|km|%|bytes|AD\b|,\d))"
    r"|\b(?P<label>FY|AY|Q[1-4]|H[12])\s?-?'?(?P<y2>20\d\d|\d\d)(?:\s?[-–/]\s?\d\d(?:\d\d)?)?\b"
    r"|\b(?P<y3>20\d\d)\s?[-–/]\s?(?:20)?\d\d\b"
    r"|(?<![\w$₹£€.,])(?P<y4>20[0-9]\d)\s+(?P<noun>World\s+Cup|Olympics|elections?|edition|budget|season|model|guidelines?|report|census|rules?|standard|calendar|"
    r"rates?|prices?|tax\s+year|conference|syllabus|exam|plan)\b"
)
WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
ON_WEEKDAY = _re(
    rf"\b(?:by|until|till|before|this|next|coming|from|starting)\s+(?:this\s+|next\s+|coming\s+)?{WEEKDAY}\b"
)
ENDS = _re(
    r"\b(?:until|till|untill|up\s+to|through|thru|by|before|valid|expir\w+|ends?|ending|closes?|closing|deadline|last\s+(?:date|day)|due|no\s+later\s+than|"
    r"latest\s+by|to)\b(?:\s+(?:on|is|the|of|until|till|through|date|by|midnight|end|upto|for|this)\b){0,4}[\s:(–-]*$"
)
STANDS = _re(
    r"\b(?:as\s+of|as\s+at|as\s+on|until|till|valid|validity|effective|w\.?e\.?f|with\s+effect|in\s+force|last\s+updated|updated|revised|expir\w+|deadline|"
    r"due|currently?|latest|still|now|today|version\s+of|applies|apply|scheduled|in\s+effect|stands)\b"
)
DUE = _re(
    r"\b(?:by|before|until|till|on|after|deadline|due|last\s+date|starts?|starting|begins?|beginning|ends?|ending|closes?|opens?|expir\w+|effective|"
    r"scheduled|valid|sale|exams?|apply|applications?|regist\w+|submit\w*|launch\w*|arriv\w*|deliver\w*|next|from|runs?|tax|filing|file|fiscal|financial\s+year|"
    r"renewal|available|admission\w*|session|event|holiday|closed|offer)\b"
)
IN_MONTH = re.compile(
    rf"\b(?:in|by|until|till|from|before|since|after|early|late|mid|next|this)[\s-]+(?P<month>{_MONTH})(?!\s+\d)"
)
ORDINAL = _re(
    r"\b(?:by|on|until|till|before|from|after)\s+(?P<day>the\s+(?:3[01]|[12]?\d)(?:st|nd|rd|th))\b(?!\s+(?:century|floor|time|anniversary|birthday|place|page|line|row|day\b))"
)
HOLIDAY = _re(
    r"\b(?:Christmas|Independence\s+Day|Republic\s+Day|New\s+Year'?s?|Valentine\w*|Halloween|birthday|birth|born|Gandhi\s+Jayanti|anniversary|every\s+year|"
    r"each\s+year|celebrated?|observed|falls\s+on|commemorat\w+|solstice|equinox|leap\s+(?:day|year)|Pi\s+Day|Fool'?s?|Labou?r\s+Day|Women'?s\s+Day|"
    r"Bastille|died|death|Thanksgiving|traditionally)\b"
)
FILING = _re(
    r"\b(?:tax|return|filing|file|due|deadline|financial\s+year|fiscal|premium|renew\w*|submit\w*|appl(?:y|ication)\w*)\b"
)
PAST = _re(
    r"\b(?:was|were|had|did|began|ended|became|came|went|took|gave|fell|rose|won|lost|led|sold|bought|paid|built|wrote|founded|invented|discovered|died|"
    r"born|published|landed|passed|signed|declared|ruled|reigned|lived|served|launched|released|introduced|established|opened|started|completed|fought|"
    r"abolished|repealed|enacted|sparked|crossed|visited|walked|sank|burned|met|made|moved|named|crowned|conquered|lasted|used\s+to|cost|earned|charged|"
    r"arrived|happened|ordered|struck|peaked|decided|occurred|erupted|celebrated|premiered|debuted|adopted|gained|broke|partitioned|nationalised|nationalized|liberalised|liberalized)\b"
)
PRESENT = _re(
    r"\b(?:is|are|has|have|will|must|can|costs?|stands?|remains?|takes?|now|currently|today|applies|shall|may|charges?|starts?|runs?|expires?|ends?|gets?|pays?|"
    r"offers?|includes?|requires?)\b|['’](?:s|re|ll|ve)\b"
)

# --- versions -----------------------------------------------------------------------------------------------

_PRODUCT = _any(
    r"Python", r"Java", r"JavaScript", r"JDK", r"OpenJDK", r"Node(?:\.js)?", r"React(?: Native)?", r"Angular", r"Vue(?:\.js)?", r"Django", r"Flask",
    r"FastAPI", r"Rails", r"Ruby", r"PHP", r"Laravel", r"Perl", r"Go", r"Golang", r"Rust", r"Swift", r"Kotlin", r"Scala", r"Spring(?: Boot)?",
    r"\.NET(?: Core| Framework)?", r"C#", r"C\+\+", r"TypeScript", r"Postgre(?:s|SQL)", r"MySQL", r"MariaDB", r"MongoDB", r"Redis", r"SQLite",
    r"Oracle(?: Database)?", r"SQL Server", r"DuckDB", r"Elasticsearch", r"Kafka", r"Kubernetes", r"Docker", r"Terraform", r"Ansible", r"Helm",
    r"Ubuntu", r"Debian", r"Fedora", r"RHEL", r"CentOS", r"Windows(?: Server)?", r"macOS", r"Mac OS X", r"iOS", r"iPadOS", r"watchOS", r"Android",
    r"Chrome", r"Firefox", r"Safari", r"Edge", r"Excel", r"Office", r"Photoshop", r"Unity", r"Unreal Engine", r"Blender", r"GPT-?", r"ChatGPT",
    r"Claude", r"Gemini", r"Llama", r"Mistral", r"CUDA", r"PyTorch", r"TensorFlow", r"NumPy", r"pandas", r"scikit-learn", r"Polars", r"Linux",
    r"(?:Linux )?kernel", r"GCC", r"Clang", r"LLVM", r"OpenSSL", r"nginx", r"Apache", r"GnuCOBOL", r"WordPress", r"Drupal", r"Magento", r"TLS",
    r"Bootstrap", r"Tailwind", r"Next\.js", r"jQuery", r"Vite", r"npm", r"pip", r"Git", r"Bash", r"PowerShell", r"SAP", r"iPhone", r"Galaxy S?",
    r"Pixel", r"PlayStation", r"Xbox", r"Wi-?Fi", r"Bluetooth", r"HarmonyOS", r"One UI", r"Joomla", r"Odoo", r"Tally(?:Prime)?", r"AutoCAD",
    r"Jenkins", r"GitLab", r"Airflow", r"Spark", r"Hadoop", r"Log4j", r"JUnit", r"Gradle", r"Maven", r"CMake", r"R", r"Julia", r"MATLAB", r"Moodle",
)  # fmt: skip
PRODUCT = re.compile(
    rf"(?<![\w.-]){_PRODUCT}\s?v?(?P<n>\d{{1,4}}(?:\.\d{{1,4}}){{0,3}}[a-z]?)(?![\w%])(?:\s?LTS)?(?!\s?(?:years?|months?|days?|people|times|per))"
)
VERSION = _re(
    r"\b(?:version|ver\.|release|build|firmware|service\s+pack|API)\s+(?:number\s+)?v?\d{1,5}(?:\.\d{1,5}){0,3}[a-z]?(?![\w%])(?!\s+of\s+(?:the\s+|this\s+|my\s+|your\s+)?(?:routine|program|function|script|report|story|events|truth))"
    r"|(?<![\w.])v\d{1,4}(?:\.\d{1,5}){1,3}\b"
    r"|(?:==|>=|~=|<=)\s?\d+(?:\.\d+)+|(?<![\w.])\d{1,4}(?:\.\d{1,4}){0,3}(?=\+?\s+(?:or|and)\s+(?:newer|later|above|higher|up\b|onwards))"
    r"|(?<=release\s)(?:is\s+|was\s+)?v?\d+(?:\.\d+)+|(?<=firmware\s)(?:is\s+(?:at\s+)?)?v?\d+(?:\.\d+)+|(?<![\w.$₹£€-])\d{1,3}\.\d{1,4}\.\d{1,5}(?![\w.%/-])"
    r"|\b(?:end\s+of\s+(?:life|support)|end-of-life|EOL)\b|\bdeprecated\s+(?:in|since|as\s+of)\b|\bLTS\s+(?:release|version)\b"
)
LOWER_PRODUCT = re.compile(
    r"(?<![\w.-])(?:python|java|node|numpy|pandas|polars|pytest|ruff|openjdk|gnucobol|cobc|pip|django|flask|postgres|mysql|redis|ubuntu|debian|android|windows|macos|kernel|docker|git|go|rust|php|ruby|perl|cobol|cuda|torch|"
    r"transformers|scikit-learn|sklearn|spacy|duckdb|sqlite|openssl)\s+v?\d{1,4}\.\d{1,4}(?:\.\d{1,4})?\+?(?![\w%])"
)
ANY_VERSION = re.compile(
    r"(?<![\w.-])[A-Za-z][\w-]{1,20}\s+v?\d{1,3}\.\d{1,3}(?:\.\d{1,4})?(?:\+|\.x)?(?![\w%.]\d|%|\s?(?:%|percent|million|billion|lakh|crore|times|kg|GB|MB|km|hours|seconds|per))"
)
ASKS_VERSION = _re(
    r"\b(?:versions?|install\w*|needs?|requires?|upgrad\w+|releases?d?|since|library|package|pip|pinned|supports?|supported|compil\w+|compiler|works?\s+(?:with|on|from|in)|tested|added\s+in|as\s+of|newer|later)\b"
)
IN_VERSION = re.compile(
    r"\b(?:since|before|until|from|with|as\s+of|after|in|on)\s+(?P<n>\d\.\d{1,2}(?:\.\d{1,2})?)(?=\s*(?:[,.;:)]\s|[,.;:)]?$|\s(?:and|or|it|the|this|on|onwards|you|is|there|that)\b))"
)
FORM = _re(
    r"\b(?:Form|ITR)[\s-]\d{1,3}[A-Z]{0,2}\b|\b(?:revision|rev\.|edition)\s+\d{1,2}(?:\.\d)?\b|\bCOBOL[- ](?:2002|2014|2023)\b"
)
NEEDS = _re(r"\b(?:needs?|requires?|lacks?|supports?|ships?|works?|has|uses?|is|install|upgrade|since)\b")
STABLE_VERSIONS = re.compile(
    r"(?:Python\s?[23]|Windows\s?(?:3\.1|95|98|2000)|C\+\+\s?(?:98|11)|Xbox\s?360|PlayStation\s?[12]|R\s?\d)$"
)

# --- opening hours ------------------------------------------------------------------------------------------

_CLOCK = r"(?:(?:[01]?\d|2[0-3])(?:[:.][0-5]\d)?\s?(?:a\.?m\b\.?|p\.?m\b\.?|hrs\b|hours\b|o['’]?clock)?|noon|midnight)"
_SURE = r"(?:(?:[01]?\d|2[0-3])(?:[:.][0-5]\d)?\s?(?:a\.?m\b\.?|p\.?m\b\.?|hrs\b|o['’]clock)|(?:[01]?\d|2[0-3]):[0-5]\d|noon|midnight)"
CLOCK_RANGE = _re(rf"(?<![\w:.]){_CLOCK}\s?(?:-|–|—|to|until|till|and)\s?{_SURE}(?!\w)")
CLOCK = _re(rf"(?<![\w:.]){_SURE}(?!\w)")
_HOUR = "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon|midnight)(?:[- ]thirty)?"
SPELT_HOURS = _re(
    rf"\b{_HOUR}\s+(?:to|till|until)\s+{_HOUR}\b(?!\s+(?:days?|weeks?|months?|years?|hours?|minutes?|people|of|per|percent))|\b(?:opens?|closes?|shuts?|starts?|begins?|leaves|departs|until|till|from|goes\s+at|runs\s+at|comes\s+at|again\s+at|meets\s+at|is\s+at)\s+(?:at\s+)?(?P<at>(?:half\s+past\s+|quarter\s+(?:past|to)\s+)?{_HOUR})\b(?!\s+(?:days?|weeks?|months?|years?|hours?|minutes?|people|of|more|per|percent|other|and|to|pages?|items?))"
)
WEEKLY = _re(
    rf"\b(?:every|each|alternate)\s+(?:(?:first|second|third|last|other|alternate)\s+)?(?:{WEEKDAY}|weekday|weekend|morning|evening|night)\b(?:(?:,|\s+and|\s+or)\s+{WEEKDAY}s?)*"
    rf"|\bon\s+(?:{WEEKDAY}s|weekdays|weekends|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\s+(?:mornings?|evenings?|afternoons?|nights?))(?:(?:,|\s+and|\s+or|\s+to)\s+{WEEKDAY}s?)*"
)
OPENING = _re(
    r"\b(?:open(?:s|ing|ed)?|clos(?:e|es|ed|ing)|hours|timings?|available|office|line|lines|desk|counters?|stores?|shops?|branch(?:es)?|clinic|OPD|helpline|"
    r"helpdesk|support|service|bank|library|museum|weekdays?|weekends?|Mon(?:day)?s?|Tue(?:sday)?s?|Wed(?:nesday)?s?|Thu(?:rsday)?s?|Fri(?:day)?s?|Sat(?:urday)?s?|"
    r"Sun(?:day)?s?|daily|every\s+day|visit\w*|evenings?|mornings?|afternoons?|maintenance|batch|window|job|cron|scheduler|nightly|downtime|call|reach|staffed|operat\w+|reception|pool|gym|kitchen|serve[sd]?|breakfast|lunch|dinner|check-?(?:in|out)|"
    r"cut-?off|lane|market|temple|park|gate|trading|session|chat|team|agents?|counter|train|bus|metro|ferry|flight|shuttle|tram|departs?|departure|leaves|"
    r"first|last\s+(?:entry|orders?|train|bus))\b"
)
OPENS = _re(
    r"\b(?:opens?|open\s+(?:until|till|from|at)|close[sd]?|shuts?|starts?|begins?|departs?|leaves|runs?|last\s+(?:train|bus|entry|orders?|metro|ferry)|"
    r"first\s+(?:train|bus|metro|ferry)|check-?(?:in|out)|cut-?off|curfew|until|till|before|after|by)\b[^.!?\n\d]{0,30}$"
)
ALWAYS = _re(
    r"(?<!\w)(?:24\s?[/x×]\s?7|24[ -]hours?\s+(?:a\s+day|daily)|24[ -]hour(?=\s+(?:service|support|help|desk|pharmac|store|reception|access|line|hotline|room|emergency|caf))|round[- ]the[- ]clock|twenty-four\s+hours\s+a\s+day)(?!\w)"
)
OPEN_DAYS = _re(
    rf"\b(?:open|closed|available|works?|shut|operat\w+)\s+(?:\w+\s+)?(?:on\s+|all\s+|every\s+|from\s+)?(?:the\s+)?(?:(?:first|second|third|fourth|last|alternate)\s+)?(?:{WEEKDAY}s?|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b|weekends?|weekdays?|"
    rf"(?:public|bank|national|gazetted)\s+holidays|all\s+week|seven\s+days|7\s+days)(?:\s?(?:-|–|to|through|and|,)\s?(?:{WEEKDAY}s?|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b))?"
    rf"|\b(?:{WEEKDAY}s?|Mon|Tue|Wed|Thu)\s?(?:-|–|to|through)\s?(?:{WEEKDAY}s?|Fri|Sat|Sun)\b"
)
EVERY_SO = _re(
    rf"\bevery\s+(?:{FIGURE}|{SPELT})\s?(?:-|\s)?(?:minutes?|mins?|hours?)\b|\b(?:hourly|half-hourly|twice\s+(?:daily|a\s+day))\b"
)
TRANSIT = _re(
    r"\b(?:bus(?:es)?|trains?|shuttles?|metro|ferr(?:y|ies)|flights?|trams?|services?\s+run|airport)\b"
)
SERVICE = _re(
    r"\b(?:support|help\s?line|helpdesk|lines?|staffed|phones?|security|chat|service|open|available|desk|pharmacy|stores?|we|our|reach|call|team|emergency|clinic|hospital|hotline|"
    r"reception|gym|access|ATM|front\s+desk|agents?)\b"
)

# --- offices ------------------------------------------------------------------------------------------------

TITLE = _any(
    r"(?:Prime|Chief|Home|Finance|Health|Foreign|Defen[cs]e|External Affairs|Education|Railway|Law|Union|Interior|Deputy Prime|Deputy Chief)\s+Minister",
    r"(?:Vice[- ])?President", r"(?:Lieutenant[- ]|Deputy[- ])?Governor", r"(?:Deputy[- ])?Mayor", r"(?:Vice[- ])?Chancellor", r"Chief\s+Justice",
    r"Chief\s+Election\s+Commissioner", r"Secretary(?:[- ]General|\s+of\s+\w+)?", r"Speaker", r"Ambassador", r"(?:Police\s+)?Commissioner",
    r"(?:Managing\s+|Executive\s+|Technical\s+|Music\s+)?Director(?:[- ]General)?", r"CEO", r"CFO", r"CTO", r"COO", r"CMO", r"MD", r"Chief\s+\w+\s+Officer",
    r"Chair(?:man|woman|person)?", r"Head\s+of\s+(?:\w+\s){0,3}?\w+", r"(?:Head\s+|Assistant\s+)?Coach", r"(?:Vice[- ])?Captain", r"(?:General\s+|Store\s+|Branch\s+|Regional\s+)?Manager",
    r"Editor(?:[- ]in[- ]Chief)?", r"King", r"Queen", r"Pope", r"Monarch", r"Emperor", r"Dean", r"Principal", r"Headmaster", r"Headmistress", r"Registrar",
    r"(?:world\s+|reigning\s+|defending\s+)?champions?", r"(?:record\s+|title\s+)?holder", r"Ombudsman", r"(?:Grievance|Nodal|Data\s+Protection|Compliance|Privacy)\s+Officer",
    r"Attorney\s+General", r"Solicitor\s+General", r"Comptroller", r"Premier", r"Chancellor\s+of\s+the\s+Exchequer", r"Treasurer", r"Leader(?:\s+of\s+the\s+Opposition)?",
    r"founder\s+and\s+CEO", r"Senator", r"Collector", r"Chief\s+of\s+(?:Army|Naval|Air|Defen[cs]e)\s+Staff", r"maintainer", r"Lead", r"chief\s+executive", r"chief",
)  # fmt: skip
_HONORIFIC = r"(?:(?:Dr|Mr|Mrs|Ms|Smt|Shri|Sri|Prof|Justice|Sir|Dame|Adv|Capt|General|Hon)\.?\s+)?"
_NAME = r"(?:[A-Z]\.\s?){0,3}[A-Z][a-zà-öø-ÿ'’-]+(?:\s+(?:[A-Z]\.|al-|de|van|von|bin|[A-Z][a-zà-öø-ÿ'’-]+|[A-Z]{2,3}(?=\s[A-Z]))){0,3}"
# titles in any case, names in theirs
OFFICE_IS = re.compile(
    rf"\b(?i:{TITLE})\b(?:\s+(?:of|at|for|in)\s+[\w'’&.-]+(?:\s+[\w'’&.-]+){{0,5}}?)?(?:\s+(?:is|remains|is\s+now|is\s+currently|currently\s+is|today\s+is|since\s+\d{{4}}\s+is)\s+"
    rf"|\s*,\s*|\s*:\s*|\s+\()(?:still\s+|now\s+|currently\s+|called\s+|named\s+|a\s+man\s+called\s+)?{_HONORIFIC}(?P<name>{_NAME})"
)
IS_OFFICE = re.compile(
    rf"(?P<name>{_HONORIFIC}{_NAME})\s*(?:,\s*(?:who\s+is\s+)?|\s+(?:is|remains|serves\s+as|currently\s+serves\s+as|is\s+currently|is\s+now|is\s+still|has\s+been|acts\s+as|took\s+over\s+as|heads|leads)\s+)"
    rf"(?:the\s+|our\s+|its\s+|their\s+|a\s+|India['’]s\s+|America['’]s\s+)?(?:[\w'’-]+\s+){{0,3}}?(?i:{TITLE})\b"
)
LED_BY = re.compile(
    rf"\b(?i:led|headed|chaired|run|governed|ruled|coached|captained|managed|owned|held|edited)\s+by\s+{_HONORIFIC}(?P<name>{_NAME})"
)
TITLED = re.compile(rf"\b(?:{TITLE})\s+{_HONORIFIC}(?P<name>{_NAME})")
AS_OFFICE = re.compile(
    rf"(?P<name>{_NAME})\s+(?:[a-z]+\s+){{1,3}}(?:[A-Z][\w&]*\s+){{0,3}}as\s+(?:its|the|their|our)\s+(?i:{TITLE})\b"
)
DUTY = re.compile(
    rf"(?:^|[.;:,]\s|\b(?i:ask|contact|see|call|find|email|write\s+to|speak\s+to|talk\s+to|reach|meet)\s+)(?P<name>{_HONORIFIC}{_NAME})"
    r"\s+(?:handles|looks\s+after|is\s+(?:now\s+|currently\s+)?(?:in\s+charge\s+of|responsible\s+for|on\s+(?:call|duty|leave)|your|our|the\s+(?:contact|person)|acting)|covers\s+(?:for|the)|oversees|manages|coordinates|chairs|supervises|"
    r"in\s+(?:accounts|HR|billing|payroll|admin|IT|legal|finance|operations)|at\s+the\s+(?:desk|counter|front)|from\s+(?:HR|accounts|billing|payroll|IT))\b"
)
RUNS = re.compile(
    rf"(?P<name>{_NAME})\s+(?:still\s+|now\s+|currently\s+|also\s+)?(?:runs|owns|chairs|heads|leads|captains|coaches|presides\s+over|rules|governs|hosts|presents|edits)\s+(?:the\s+|our\s+)?(?:[A-Z]\w+|team|country|company|show|state|city|side|ministry|ward|unit|department)"
)
DUTY_IS = re.compile(
    rf"\b(?i:contact|contact\s+person|point\s+of\s+contact|supervisor|coordinator|on\s+(?:call|duty)(?:\s+(?:today|tonight|this\s+week))?|consultant|surgeon|matron|account\s+manager|in\s+charge|representative|administrator|officer|trustee|secretary)"
    rf"\s*(?:is|:|,|will\s+be)\s+{_HONORIFIC}(?P<name>{_NAME})"
)
INCUMBENT = _re(
    rf"\b(?:current|incumbent|sitting|present|acting|reigning|newly\s+(?:elected|appointed)|new)\s+(?:\w+\s+){{0,2}}?{TITLE}\b"
)
NOT_NAMES = frozenset(
    "Sure England India France Britain Europe America Hearts Spades Diamonds Clubs Pop The This That These Those He She It They We You I There Here What Who Which When Where Why How If And But Or So Then Yes No Not Please Thank Thanks Our Your "
    "My His Her Their Its Every Each All Any Some Both One Two Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April June July "
    "August September October November December Human Resources Company Employer Employee Board Section Act In On At By For From To With As Of".split()
)
FORMER = _re(
    r"\b(?:former|ex-|late|the\s+(?:first|second|third)|was|were|served|had\s+been|became|elected\s+in|assassinated|historical|fictional|novel|film|died|until\s+(?:1\d|20[01])\d|"
    r"1[0-9]\d\d|ancient|emperor|dynasty|wrote|played|reigned|used\s+to)\b"
)

# --- ranks and counts ---------------------------------------------------------------------------------------

RANK = _re(
    r"\b(?:richest|most\s+populous|most\s+valuable|best-selling|reigning\s+champions?|(?:world\s+)?record\s+(?:is|stands|holder)|market\s+leader|"
    r"tallest\s+(?:building|tower|statue|man|person|skyscraper)|longest\s+(?:bridge|tunnel|railway\s+platform)|fastest\s+(?:supercomputer|train|car|growing)|"
    r"largest\s+(?:compan(?:y|ies)|employers?|econom(?:y|ies)|cit(?:y|ies)|banks?|populations?|stadium|airport|exporters?|producers?|retailers?|refinery)|"
    r"fastest-growing|highest-(?:paid|grossing|ranked)|top-ranked|ranked\s+(?:number\s+)?(?:first|one|\d{1,3}(?:st|nd|rd|th)?)|ranks\s+(?:number\s+)?(?:first|one|\d{1,3}(?:st|nd|rd|th)?)|"
    r"oldest\s+(?:living|person)|number[- ]one\s+(?:brand|player|ranked))\b"
)
COUNT = _re(
    rf"\bpopulation\b[^.!?\n]{{0,50}}?(?:{FIGURE}|{SPELT})(?:\s?{SCALE})?"
    rf"|(?<![\w.,])(?:{FIGURE})(?:\s?{SCALE})?\+?\s+(?:(?:\w+\s+)?(?:employees|branches|stores|outlets|users|subscribers|member\s+(?:states|countries)|inhabitants|customers|"
    r"union\s+territories|stations|followers|downloads|dealers|pin\s?codes|warehouses|offices|seats|constituencies|members|centres|centers|lounges|hospitals|ATMs))\b"
    rf"|(?<![\w.,])(?:{FIGURE}|{SPELT})\s+states\s+and\s+(?:{FIGURE}|{SPELT})\s+union\s+territories"
)

# --- limits, ways to reach somebody, what can be had -----------------------------------------------------------

THRESHOLD = _re(
    rf"\b(?:limit(?:ed)?|cap(?:ped)?|maximum|minimum|ceiling|threshold|quota|allowance|cut-?off)\b(?:\s+(?:\w+\s+){{0,4}}?(?:is|of|at|to|are|stands\s+at|remains)|:)\s+(?:about\s+|only\s+)?(?P<value>(?:{FIGURE}|{SPELT})(?:\s?(?:{SCALE}|%|[a-z]{{1,12}}))?)"
    rf"|\b(?:no\s+more\s+than|not\s+more\s+than|not\s+exceed(?:ing)?|at\s+most|at\s+least|up\s+to|fewer\s+than|more\s+than)\s+(?P<value2>(?:{FIGURE}|{SPELT})\s+[a-z]{{2,14}})"
)
MULTIPLE = _re(
    r"\b(?:twice|double|thrice|triple|(?:one\s+and\s+a\s+half|1\.5|2|two)\s+times)\s+(?:the\s+|his\s+|her\s+|their\s+|your\s+)?(?:ordinary|normal|usual|regular|basic|daily|hourly)\s+(?:rates?|wages?|pay|salary)\b"
)
LEGAL_AGE = _re(
    r"\b(?:age\s+(?:of|is)|aged|at|turn|turns|over|under|below|above)\s+(?P<age>1[4-9]|2[015]|5[058]|6[0-8]|eighteen|twenty-one|sixty)\b(?!\s?(?:%|per|km|minutes|hours|days|°|degrees|rupees|dollars|[:.]\d))"
)
AGE_WORDS = _re(
    r"\b(?:legal(?:ly)?|law|retire\w*|vote|voting|drive|driving|drink\w*|marry|marriage|pension\w*|eligib\w+|minimum\s+age|licen[cs]e|consent|superannuation|senior\s+citizens?|majority)\b"
)
GUIDELINE = _re(
    r"\b(?:guidelines?|recommend(?:s|ed|ation)|ADA|WHO|ICMR|NICE|AHA|CDC|protocol|schedule|advis(?:es|ory)|position\s+statement|threshold|target)\b"
)
GUIDELINE_VALUE = _re(
    rf"(?:below|under|above|over|less\s+than|more\s+than|at\s+least|<|>|≥|≤|target\s+(?:is|of)|threshold\s+(?:is|of)|every|at|from\s+age|of|is)\s?(?P<value>(?:{FIGURE})(?:\s?/\s?\d+)?(?:\s?(?:%|mmHg|mg/dL|mmol/L|years?|months?|weeks?|mg|units?|percent))?)"
)
LIMIT = _re(
    rf"(?:\b(?:up\s+to|at\s+most|maximum\s+of|max(?:imum)?|limit(?:ed)?\s+(?:of|to|is)|cap(?:ped)?\s+(?:of|at)|at\s+least|minimum\s+of|more\s+than|over|exceed\w*|fewer\s+than|less\s+than|"
    rf"allows?|allowance\s+(?:of|is))\s+)(?P<value>(?:{FIGURE}|{SPELT})\s?(?P<unit>GB|MB|TB|kg|kilos?|grams?|ml|litres?|liters?|items?|employees|workers|persons?|people|users?|seats?|devices?|files?|requests?|"
    r"members?|pieces?|bags?|orders?|attempts?|transactions?|messages?|km/h|kmph|mph|years\s+of\s+age|years\s+old|guests?|passengers?|tickets?|calls|participants|shares|hectares|acres|units|entries|withdrawals|students))\b"
    rf"|(?P<value2>(?:{FIGURE}|{SPELT})\s+or\s+(?:more|fewer|less)(?:\s+(?:\w+\s){{0,2}}?(?:employees|workers|persons|people|women|members|staff|students|users|years))?)\b"
)
SET_BY = _re(
    r"\b(?:Acts?|law|legal\w*|statut\w+|rules?|polic(?:y|ies)|fl(?:y|ies)|bags?|plan|account|free\s+tier|tier|limit\w*|allowance|quota|baggage|luggage|cabin|threshold|ceiling|eligib\w+|applies|apply|covers?|requires?|must|per\s+(?:order|customer|user|"
    r"person|day|month|year|household)|we|our|us|members?|upload\w*|storage|establishments?|committee|GDPR|GST|licen[cs]e|driv\w+|vot\w+)\b"
)
CHANNEL = _re(
    r"\b[\w.+-]{1,40}@[\w-]{1,40}(?:\.[\w-]{1,20}){1,3}"
    r"|(?:https?://|\bwww\.)[^\s<>()\"']{3,120}|(?<![\w@./])[a-z0-9-]{2,40}(?:\.[a-z0-9-]{2,30})?\.(?:com|org|net|example|gov\.in|nic\.in|co\.in|co\.uk|gov|in|io)(?:/[^\s<>()\"',]{0,80})?(?=[\s.,;:)!?]|$)"
    r"|(?<![\w.,$₹£€-])(?:\+\d{1,3}[\s-]?)?(?:\(?\d{2,5}\)?[\s-]){1,3}\d{3,6}(?![\w%]|[.,]\d)"
    r"|(?<![\w.,$₹£€+-])(?:\+\d{8,13}|1800\d{6,7}|[6-9]\d{9})(?![\w%])"
    r"|(?<![\w@.`])@[a-z][\w.]{2,30}"
    r"|\b(?:live|app|web|in-app|online|support)\s+chat\b|\bchat\s+(?:with\s+us|in\s+the\s+app|on\s+(?:our|the)\s+(?:site|website|app))\b|\bWhatsApp(?!\s+(?:is\s+owned|was))\b|\b(?:help|contact|feedback|complaint)\s+form\b"
    r"|\b(?:extension|ext\.?)\s?(?:is\s+|no\.?\s*)?\d{2,5}\b|\b(?:toll-free|help)\s?(?:line|number)\b|(?<!\w)#[a-z][\w-]{2,30}(?=[^.\n]{0,40}\b(?:Slack|Teams|channel|Discord)\b)|\b(?:on|in|via|through|our|the)\s+(?:Slack|Discord|Telegram|Teams|Signal|Messenger)\b|\b(?:DM|message|email|text|ring|phone|call)\s+us\b|\bDMs\b|\bmailing\s+list\b|\b(?:self-service|employee|patient|customer|HR|member)\s+portal\b|\b(?:room|counter|desk|window)\s+(?:no\.?\s+)?\d{1,4}[A-Z]?\b"
)
DIALLED = _re(
    r"\b(?:call|dial|report\s+(?:it|this|them)\s+(?:on|to|at)|ring|phone|text|SMS|helpline|hotline|toll-free|short\s?code|ambulance|bleep|pager|page|fax|switchboard|phone\s+line)\b[^.!?\n\d]{0,40}(?P<number>\d{3,6})(?![\w%,]|\.\d)"
)
AVAILABLE = _re(
    r"\b(?:(?:in|out\s+of|back\s+in(?:to)?|low\s+on)\s+stock|out\s+of\s+(?:service|order|print)|sold\s+out|discontinued|fully\s+booked|unavailable|(?:not|only|now|currently|no\s+longer|still|also)\s+available|available\s+(?:in|at|only|from|on|until|now|online|again)|"
    r"no\s+longer\s+(?!than\b)\w+|not\s+(?:offered|sold|stocked|shipped|serviced|accepted|supported)|no\s+(?:vacancies|slots|beds|rooms|appointments|tickets)\s+(?:left|free|available)|"
    r"we\s+(?:do\s+not|don['’]t|cannot|can['’]t|no\s+longer)\s+(?:currently\s+)?(?:ship|deliver|accept|sell|stock|offer|serve|carry|support|take)|(?:is|are)(?:n['’]t|\s+not)\s+(?:accepting|taking)|(?:is|are|runs?|running)\s+short(?:\s+of|\s+all|\s+in|\s+at)|in\s+short\s+supply|(?:cards?|claims?|insurance)\s+(?:is|are)\s+(?:not\s+)?accepted|(?:un)?available|suspended|withdrawn|phased\s+out|rolled\s+out|not\s+yet\s+(?:out|open|supported|live|released)|(?:is|are|remains?)\s+(?:\w+\s)?(?:offered|stocked|sold\s+(?:at|in|only))|restock\w*|(?:have|has|had)\s+(?:run|sold)\s+out|ran\s+out|only\s+\w+\s+(?:left|remain\w*)|"
    r"(?:\d+|few|no)\s+(?:\w+\s)?(?:left|remaining)\s+(?:in|at)|due\s+back|back\s+on\s+the\s+menu|off\s+the\s+menu|we\s+(?:now\s+|only\s+|also\s+)?(?:stock|sell|offer|ship\s+to|deliver\s+to|serve)\s+(?!you\b)\w+|waiting\s+list|waitlist|pre-?orders?|on\s+back-?order|while\s+(?:stocks?|supplies)\s+lasts?)\b"
)

# --- now ----------------------------------------------------------------------------------------------------

_UNIT = r"(?:week|month|quarter|year|season|semester|term|weekend|fortnight|summer|winter|spring|autumn|monsoon|fiscal|festive\s+season|Diwali|Christmas|Eid|Holi|morning|evening)"
NOW = _re(
    rf"\b(?:currently|at\s+present|at\s+the\s+time\s+of\s+writing|lately|in\s+recent\s+(?:weeks|months|years)|as\s+we\s+speak|for\s+the\s+moment|(?:earlier|later)\s+this\s+\w+|from\s+(?:today|now\s+on)|as\s+it\s+stands|at\s+the\s+moment(?!\s+(?:you|it|he|she|they|we|I|when|of|that)\b)|presently|nowadays|these\s+days|right\s+now|to\s+date|until\s+further\s+notice|for\s+the\s+time\s+being|for\s+now|still\s+(?:in|on)\s+(?:beta|development|progress|testing|draft|trial|waitlist)|"
    rf"as\s+of\s+(?:now|today|this\s+\w+|writing|the\s+(?:time\s+of\s+writing|latest\s+\w+)|(?:early\s+|late\s+|mid-?)?(?:{_MONTH}|20\d\d|v?\d+\.\d+)|last\s+\w+)|as\s+(?:at|on)\s+(?:date|today)|as\s+things\s+stand|"
    rf"this\s+{_UNIT}(?:['’]s)?|(?:next|coming)\s+{_UNIT}(?:['’]s)?|last\s+(?:week|month|quarter|year)(?:['’]s)?|"
    rf"latest|newest|most\s+recent(?:ly)?|up[- ]to[- ]date|so\s+far\s+this\s+\w+|ongoing|upcoming|limited[- ]time|while\s+(?:stocks?|supplies)\s+lasts?|"
    rf"on\s+sale|"
    rf"(?:just|recently|newly)\s+(?:been\s+)?(?:launched|released|announced|introduced|opened|raised|changed|updated|increased|reduced|cut|revised|added|hiked|passed|appointed|elected|moved|dropped)|"
    rf"(?:was|were|has\s+been|have\s+been)\s+(?:recently|just)\b|still\s+under\s+(?:construction|review|maintenance)|temporarily|"
    rf"today['’]s\s+(?:price|rate|date|weather|special|offer|menu|temperature|deal|forecast|gold|score)s?|"
    rf"(?:today|tonight|tomorrow)(?!['’]s)|current(?=\s+(?:price|rate|fee|offer|version|status|policy|temperature|score|standings|season|sale|promotion|discount|limit|rules?|guidelines?|law|record|inventory|stock|"
    rf"market|balance|model|release|edition|law|slab|interest|repo|tenure|waiting|wait|minimum|maximum|financial|fiscal|government|schedule|timetable|plan|lead|world|holder|champion)))\b"
)
CURRENT = _re(
    r"(?:\b(?:the|our|its|their|your|a)|['’]s)\s+(?P<now>current)\s+(?!(?:time|date|location|directory|user|line|record|value|row|node|index|character|page|medications?|problem|complaint|position|state|element|item|flows?|runs?|density|"
    r"account|affairs|events?|through|in|of|is|source|illness|symptoms?)\b)\w+"
)
NOW_DOES = _re(
    r"\bnow\s+(?:open|available|costs?|is|are|includes?|requires?|offers?|have|has|accepts?|supports?|ships?|delivers?|live|in\s+(?:its|beta|stock|force|effect)|at|stands?|takes?|charges?|"
    r"ends?|starts?|free|part|called|known|owned|led|runs|lets?|allows?|pays?|gets?|covers?|works|down|up|closed|running|mandatory|use|uses|sells?|provides?|lasts?|priced|valid|limited|closes|opens)\b"
)
IS_NOW = re.compile(
    r"\b(?:is|are|has|have|was|were)\s+now\s+(?:[A-Z0-9₹$€£]|(?:been|part|called|known|run|owned|led|offering|accepting|open|available|closed|mandatory|free|based|under|over|about|above|below|at|in|more|less|the|one|two|three|"
    r"accepted|required|allowed|banned|illegal|legal|supported|deprecated|obsolete|taxed|charged|done|handled|spelled|limited|capped|down|up|live)\b)"
)
NOW_WEAK = frozenset(
    {
        "today",
        "tonight",
        "tomorrow",
        "last week",
        "last month",
        "last quarter",
        "last year",
        "temporarily",
        "ongoing",
        "upcoming",
        "on sale",
    }
)
NOW_IDIOM = _re(
    r"\b(?:off\s+by\s+an?\s+(?:rupee|cent|penny|dollar)|half\s+a\s+(?:cent|paisa|penny)|(?:nearest|to\s+the)\s+(?:cent|rupee|paisa|penny|dollar)|now\s+(?:and|or)\s+(?:then|again|never)|one\s+of\s+these\s+days|no\s+tomorrow|tomorrow\s+is\s+another\s+day|until\s+tomorrow\s+what|put\s+off\s+till|here\s+today,?\s+gone|rome\s+wasn|"
    r"tomorrow\s+never|today\s+or\s+never|latest\s+(?:gossip|craze|fashion\s+in)|at\s+the\s+latest|better\s+late|up\s+until\s+now|every\s+now|just\s+now|today,?\s+tomorrow|"
    r"(?:stop|leave|go|sleep|breathe|drink|put|try|start|do|call|close|open)\s+(?:\w+\s+){0,3}right\s+now)\b"
)
LOOK_UP = _re(
    r"\b(?:check|(?<!can\s)see|look\s+(?:it\s+)?up|refer\s+to|confirm|ask|contact|verify|consult|varies|vary|depends?|may\s+(?:change|differ|vary)|can\s+(?:change|vary)|changes?\s+(?:often|daily|frequently|from)|"
    r"I\s+(?:don['’]t|do\s+not|cannot|can['’]t|am\s+unable|['’]m\s+not\s+able)|we\s+(?:cannot|can['’]t)\s+(?:say|tell|know|promise)|hand(?:ing)?\s+(?:you|this)\s+over|"
    r"pass(?:ing)?\s+(?:this|you|it)|a\s+colleague|don['’]t\s+have\s+(?:access|that|the|live)|not\s+able\s+to\s+(?:see|say|check)|tell\s+you|keep\s+an\s+eye|stay\s+tuned|wait\s+for)\b"
)

# --- what only looks like a fact that expires ---------------------------------------------------------------

IDIOM = _re(
    r"\b(?:half\s+a\s+(?:cent|paisa|penny)|(?:nearest|to\s+the)\s+(?:cent|rupee|paisa|penny|dollar)|(?:million|billion|sixty-four[- ]thousand|64,?000)[- ]dollar\s+(?:question|smile|idea|view|baby|man)|two\s+cents|my\s+\d?\s?cents|penny\s+for\s+your|a\s+dollar\s+short|"
    r"(?:like|feel(?:s|ing)?\s+like|look(?:s|ing)?\s+like)\s+(?:a|\d+)\s+(?:million|billion)\s+(?:bucks|dollars)|bet\s+(?:you\s+)?(?:\w+\s+){0,2}(?:bucks|dollars|rupees)|bottom\s+dollar|"
    r"top\s+dollar|not\s+worth\s+(?:a|one)\s+(?:dime|cent|rupee|penny)|(?:for|worth)\s+a\s+(?:million|billion)|quick\s+buck|pass\s+the\s+buck|penny\s+saved|if\s+I\s+had\s+a\s+(?:rupee|dollar|penny|nickel|dime)|"
    r"a\s+(?:rupee|dollar|penny|nickel|dime)\s+for\s+(?:every|each)|hundred\s+and\s+ten\s+per\s?cent|110\s?%|(?:one\s+)?hundred\s+per\s?cent|100\s?%\s+(?:sure|certain|agree|honest|of\s+(?:the\s+)?(?:my|your|people\s+who))|"
    r"99(?:\.9+)?\s?%\s+(?:of\s+(?:the\s+time|problems|my|your|people)|sure|perspiration|certain)|fifty-fifty|50[-/ ]50|ninety-nine\s+per\s?cent\s+(?:of|perspiration|sure))(?!\w)"
)
DEFINITION = _re(
    r"\b(?:(?:100|hundred|a\s+hundred)\s+(?:paise|cents|pence)\b|(?:rupee|dollar|pound|euro)\s+(?:is|equals|has|contains|=)\s+(?:100|a\s+hundred|one\s+hundred)|"
    r"(?:week|fortnight|year|leap\s+year|decade|century|day|hour|month)\s+(?:has|have|is|contains|consists\s+of|equals|lasts|=|normally\s+has|usually\s+has)\s+(?:\w+\s+){0,2}?(?:\d+|seven|fourteen|twelve|twenty|sixty|ten|hundred)|"
    r"(?:days|hours|minutes|weeks|months|years)\s+(?:in|make)\s+(?:a|an|one|the)\s+(?:week|fortnight|year|leap|decade|century|day|hour|month|millennium))\b"
)
SUPPOSE = _re(
    r"\b(?:suppose|imagine|let['’]s\s+say|let\s+us\s+say|say\s+you|for\s+example,?\s+if|hypothetical\w*|word\s+problem|once\s+upon|in\s+a\s+story|pretend|"
    r"how\s+(?:many|much)\s+(?:is|are|will|would|does|do|did)|what\s+is\s+\d|equation|solve\s+for|in\s+total,?\s+(?:she|he|they|you)|each\s+(?:apple|pen|pencil|book|marble)s?\s+costs?|if\s+(?:you|she|he|they|I|we|a|one)\s+(?:buy|bought|have|has|had|spend|save|earn|invest)\w*\b[^.\n]{0,80}\b(?:in\s+total|left|each|altogether))\b"
)
SUM = _re(
    r"\d\s?[×*]\s?\(|\d\s?[×*+÷=]\s?(?:[$₹£€]|Rs\.?)?\s?\d|\d\s?%\s?of\s?[$₹£€]?\s?\d|\d\s+(?:times|divided\s+by|plus|minus|multiplied\s+by)\s+\d|(?:per\s?cent)\s+of\s+\d"
)
SCIENCE = _re(
    r"\b(?:oxygen|nitrogen|hydrogen|helium|carbon|methane|atmosphere|seawater|salinity|by\s+(?:volume|mass|weight)|solution|humidity|cocoa|slope|gradient|saline|dextrose|SpO2|saturations?|ejection|HbA1c|"
    r"haematocrit|hematocrit|DNA|genes?|genome|brain|blood|plasma|cells?|bod(?:y|ies)|water|alloy|gold\s+is|crust|mantle|orbits?|rotat\w+|revolve\w*|half-li(?:fe|ves)|light|gestation|pregnan\w+|lifespan|incubat\w+|hatch\w*|"
    r"species|animals?|mammals?|whales?|elephants?|butterfl\w+|sun|moon|planet|mars|venus|jupiter|earth['’]?s?|solar|galaxy|star|temperature|boil\w*|freez\w*|melt\w*|probabilit\w+|chance|dice|coin|odds|muscle|sleep|"
    r"photosynthesis|chemical|isotope|reaction|humans?|insects?|birds?|trees?|seeds?|germinat\w+|plants?|sedimentary|triangle|circle|angle|efficien\w+|battery|pixels?|opacity|width|height|zoom|brightness)\b"
)
COOKING = _re(
    r"\b(?:bake|baking|cook\w*|simmer\w*|boil\w*|oven|dough|knead\w*|marinat\w+|soak\w*|rest\s+for|fry\w*|saut[eé]\w*|stir\w*|recipe|rice|dal|ferment\w*|steam\w*|roast\w*|knit\w*|stretch\w*|workout|exercise|jog\w*|walk\w*|meditat\w+|"
    r"plank|jump\w*|sets\s+of|reps|refrigerat\w+|chill\w*|freezer|whisk\w*|brew\w*|steep\w*|microwave|grill\w*|flip\w*|teaspoons?|tablespoons?|cups?\s+of)\b"
)
CLINICAL = _re(
    r"\b(?:patient|pt\.?|mg|mcg|mmHg|denies|(?:patient|pt|he|she)\s+reports|c/o|hx|b\.?i\.?d|t\.?i\.?d|q\d+h|p\.?r\.?n|SOAP|tablets?|capsules?|dose[sd]?|antibiotics?|ibuprofen|paracetamol|amoxicillin|metformin|follow[- ]?up|"
    r"symptoms?|fever|cough|pain|rash|swelling|diagnos\w+|prescri\w+|allerg\w+|BP|afebrile|tender\w*|nausea|vomiting|headaches?|inhaler|ointment|physiotherap\w+|medications?|medicines?|blood\s+pressure)\b"
)
AGREED = _re(
    r"\b(?:this\s+(?:agreement|contract|deed|appointment|offer)|the\s+(?:employee|employer|company|parties|party)\s+(?:shall|will|agrees?|may|is\s+appointed|hereby)|your\s+(?:employment|appointment|probation|salary|notice\s+period|CTC|joining)|"
    r"either\s+party|hereinafter|you\s+(?:are|will\s+be)\s+(?:appointed|employed)|date\s+of\s+joining|gross\s+salary|annual\s+CTC|between\s+the\s+parties|notice\s+in\s+writing|confidential\s+information|(?:the\s+)?employee['’]s|"
    r"employment\s+(?:begins|starts|commences)|remuneration|offer\s+letter|joining\s+date|you\s+resigned|the\s+parties\s+settled|"
    r"(?:the|your|her|his)\s+(?:contract|agreement|clause|settlement|deed|bond)\s+(?:(?:that|which)\s+)?(?:says|calls|gives|sets|reads|binds|fines|provides|states|runs|asks|lets|you\s+signed|means)|"
    r"(?:promised|said|written|named)\s+in\s+(?:the|your|her|his)\s+(?:appointment\s+|offer\s+)?letter|terms?\s+of\s+the\s+contract|agreed\s+(?:with\s+you\s+)?in\s+writing|(?:in|under)\s+the\s+agreement)\b"
)
BY_STATUTE = _re(
    r"\b(?:Acts?|Code|Rules|law|statut\w+|minimum|legal\w*|State\s+Insurance|(?:employee|employer)['’]s\s+(?:part|share|contribution)|ESI|EPF|PF|provident|gratuity|GST|professional\s+tax|income\s+tax|section|regulation|government|notified|ceiling|maternity|entitle[sd]?|bonus\s+under)\b"
)
PROGRAM = _re(
    r"\b(?:PIC(?:TURE)?|WORKING-STORAGE|PROCEDURE\s+DIVISION|PERFORM|COMPUTE|MOVE|COBOL|paragraph|def\s+\w+|import\s+\w+|return\s+\w+|loop|variable|function|array|list\s+comprehension|decimal\.?\w*|f-string|constant|"
    r"hard-?coded?|literal|program|script|code|record\s+layout|level\s+88|routine|cursor|lines?\s+\d+|rounds?\s+half|customer\s+type|prints?|module|copybook|dataclass|method|parameter)\b"
)
OF_THE_WORLD = _re(
    r"\b(?:current(?:ly)?|as\s+of|today['’]?s?|now|latest|law|Act|notified|government|Council|budget|RBI|rate\s+(?:is|was)\s+(?:changed|set|notified|revised)|GST|VAT|TDS|income\s+tax|RBI|repo|minimum\s+wage|bank\s+holiday|released?|support\w*|API|server|service|bank|IRS|HMRC|tax(?:es)?|quota|maintenance|retention|retained|kept|provider|portal|limit|valid|until|till|offer|helpline|call|email|mail|contact|open|closed|deadline|expir\w+|ends?|in\s+20\d\d|RBI|real|outside|check|changes?|changed|revised|effective|since|federal|regime|EPFO?|FICA|UPI|SWIFT|SEBI|Medicare|Social\s+Security|postage|"
    r"licen[cs]es?|vendor|regulator|ministry|circular|costs?|pays|nowadays|these\s+days)\b"
)
HOSPITAL = _re(
    r"\b(?:guidance|advice|first-line|recommend\w*|evidence|standard\s+of\s+care|national|WHO|programme|protocol|course|reception|desk|theatre|appointment\w*|opens?|closes?|closed|OPD|clinics?|hospital|pharmacy|ward|visiting|counter|stock|guidelines?|rota|on[- ]call|duty|vaccine|helpline|lab(?:oratory)?\s+(?:is|opens|closes|hours)|price[sd]?|costs?|charges?|fee|package|insur(?:ance|ers?)|ambulance|schedule|guidance|label|NHS|CDC|adults|shots?|jab|booster|scanner|machine|department|scheme|law|rules?|approved|licensed|supply|waiver|prescribed\s+by|brand|generic)\b"
)
DESK = _re(
    r"\b(?:lab|reports?\s+(?:take|is|are|come)|insur\w+|claim\w*|pharmacy|visit(?:ors?|ing)|appointments?|waiting|booking|OPD|hospital|approval|ward|clinic|camp|guidelines?|slots?|package|refund\w*)\b"
)
SOAP = re.compile(r"(?:^|\s)(?:[SOAP]|Subjective|Objective|Assessment|Plan):\s")
STORY = _re(
    r"\b(?:I|he|she|they|we|it|who|[A-Z][a-z]+|[Tt]he\s+[a-z]+)\s+(?:had\s+|have\s+|has\s+|['’]ve\s+)?(?:waited|spent|lived|worked|walked|slept|stayed|travell?ed|ruled|reigned|studied|sailed|trained|fought|lasted|took|ran|sat|stood|danced|cried|"
    r"laughed|been\s+\w+ing|known|married|practi[cs]ed|argued|watched)\b",
    case=True,
)
FICTION = _re(
    r"\b(?:film|movie|novel|fairy\s+tale|fable|hero(?:ine)?|villain|protagonist|legend|myth\w*|plot|character)\b"
)
SPENT = _re(
    r"\b(?:I|he|she|they|we|who|which|it)\s+(?:had\s+)?(?:paid|bought|sold|spent|earned|won|lost|owed|saved|found|borrowed|lent|raised)\b"
)
SELF = _re(r"\b(?:I|I['’]m|I['’]ve|I['’]ll|I['’]d|me|my|mine|myself)\b", case=True)
QUESTION = _re(r"\?[\"'”’)\]]*\s*$")
CODE_LINE = re.compile(
    r"^\s*(?:(?:def|class|import|from|return|elif|else:|try:|except|with|while|yield|raise|assert|async|print)\b|(?:if|for)\b.*:\s*$|[\w.\[\]'\"]+\s*(?:[-+*/%]?=(?!=)|\+=)\s*\S|@\w+|\w[\w.]*\(.*\)\s*$|"
    r"\d{0,6}\s*(?:MOVE|PERFORM|COMPUTE|DISPLAY|PIC|SELECT|OPEN|CLOSE|READ|WRITE)\b|[{}\[\]();]+\s*$)"
)
#: a sentence that opens with a statement of COBOL and goes on in English
COBOL_IN_PROSE = re.compile(r"[^\n]*?[A-Z][A-Z0-9-]+[^\n]*?(?:\b[a-z]{2,}[ ,]+){3}")
#: the release that brought something is history
CAME_WITH = _re(
    r"\b(?:arrived|appeared|introduced|added|came|born|debuted|landed|part\s+of\s+the\s+language|promise\s+of\s+the\s+language)\s+(?:back\s+)?(?:in|with|from|since)\s+$"
)
#: how long a way takes
UNDER_WAY = _re(
    r"\b(?:drive|walk|flight|journey|hike|trip|ride|trek|trail|climb|crossing|train|bus)\s+(?:only\s+|itself\s+)?(?:takes?|lasts?|is)\s+(?:\w+\s+)?$|\b(?:spend|stay|plan)\s+$"
)
#: names of a program, which say nothing of the world
IDENTIFIER = re.compile(
    r"`[^`\n]{0,60}`|\b[A-Z0-9]+(?:-[A-Z0-9]+){1,6}\b|\b\w*_\w*|\b(?:variable|constant|field|item|named|called|paragraph)\s+[A-Z]{2,30}\b"
)
#: what somebody's own things came to
CAME_TO = _re(r"\b(?:came|comes|amounts?|amounted|adds?\s+up|totals?|totalled)\s+(?:up\s+)?(?:to\s+)?$")
#: what a patient stopped or used up, in a note
PATIENT_STOPPED = _re(
    r"no\s+longer\s+(?:need|requir|necess|indicat|tak)|ran\s+out|(?:has|have|had)\s+run\s+out"
)
