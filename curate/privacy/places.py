# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Postal addresses, PIN codes, towns tied to a person, organisations tied to a person. Covers: an address
grammar that takes the whole address, from the flat number to the PIN; suffixes and cues for organisations.
Does not cover: countries, states, and towns nobody in the record lives or works in, which stay.
"""

from __future__ import annotations

import re

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from curate.privacy import lexicon
from curate.privacy.patterns import Rule, RuleRecognizer, result

_CITY = f"(?:{lexicon.alternation(lexicon.cities())})"
_REGION = f"(?:{lexicon.alternation(lexicon.regions())})"
_PIN = r"(?:(?:pin(?:code)?|zip)[ :.-]*)?[1-9]\d{2}[ ]?\d{3}(?!\d)"
_KIND = (
    r"(?:nagar|nagara|colony|layout|cross|main|road|rd|street|st|lane|ln|gali|galli|marg|path|chowk|circle|square|sector|sec|phase|"
    r"block|blk|extension|extn|enclave|vihar|vihara|puram|puri|pura|pur|peth|wadi|bagh|ganj|bazaar|bazar|market|cantt|cantonment|"
    r"estate|society|socy|soc|chs|apartments?|apts?|towers?|residency|residence|heights|villas?|homes|gardens?|greens|"
    r"complex|plaza|arcade|building|bldg|bhavan|bhawan|niwas|nivas|kunj|sadan|mansion|house|chambers|salai|theru|veedhi|koil|"
    r"mohalla|basti|village|vill|gaon|taluk|taluka|tehsil|mandal|district|distt?|post|p\.?o\.?|p\.?s\.?|ward|hobli|stage|"
    r"avenue|ave|boulevard|blvd|drive|dr|court|ct|place|pl|terrace|way|close|crescent|mews|parkway|pkwy|highway|hwy|row|"
    r"floor|flr|wing|tower|park|hills?|bridge|junction|jn|bypass)"
)
_HEAD_WORD = (
    r"(?:flat|apartment|apt|h\.?[ ]?no|house(?: no)?|home no|door(?: no)?|d\.?[ ]?no|plot(?: no)?|shop(?: no)?|office(?: no)?|unit|suite|"
    r"quarters?(?: no)?|qtrs?(?: no)?|lot|(?:p\.?[ ]?o\.?[ ]?)?box|space|stall|range road|h/no|kholi(?: no)?|villa|bungalow|block|tower|wing|room no|makan(?: no)?|building(?: no)?|survey no|s\.?no|no)"
)
_NUM = r"[A-Za-z]?[-/]?\d{1,5}(?:[ ]?[A-Za-z](?![a-z]))?(?:[-/][\dA-Za-z]{1,5}){0,3}"
_HEAD = rf"(?:{_HEAD_WORD}\.?[ ]?(?:no\.?|number|#|:)?[ ]*{_NUM}|#[ ]?{_NUM}|(?-i:[A-Z]{{1,2}})[-/ ]?\d{{1,4}}(?:[/-]\w{{1,4}})?|{_NUM})"
_W = r"[\w.'’&-]{1,24}"
_SEG = (
    rf"(?:(?:near|nr|opp(?:osite)?|behind|beside|next to|above|off|adjacent to|c/o)\.?[ ]+(?:the[ ]+)?{_W}(?:[ ]+{_W}){{0,3}}?(?=[,;.\n]|$)"
    rf"|(?:(?:\d{{1,3}}(?:st|nd|rd|th)|(?-i:[A-Z0-9])[\w.'’&-]{{0,23}}|old|new|east|west|north|south)[ ]+){{0,4}}{_KIND}(?![\w-])\.?"
    rf"(?:[ ]*[-–]?[ ]*(?:no\.?[ ]*)?(?-i:\d{{1,3}}[A-Z]?|[IVX]{{1,4}}|[A-Z])(?![\w]))?(?:[ ]*[-–][ ]*{_PIN})?"
    rf"|{_CITY}(?![\w])(?:[ ]*,?[ ]*{_REGION}(?![\w]))?(?:[ ]*[-–,:]?[ ]*{_PIN})?"
    rf"|{_REGION}(?![\w])(?:[ ]*[-–,:]?[ ]*{_PIN})?"
    rf"|{_PIN}"
    rf"|(?-i:[A-Z])\w*[ ]?\d{{1,4}}(?![\w])"
    rf"|(?-i:(?:[A-Z]\.[ ]?)?[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*){{0,3}})(?:[ ]*[-–][ ]*{_PIN})?(?=[ ]*[,;.\n]|$))"
)
_SEP = r"(?:[ ]*,[ ]*\n?[ ]*|[ ]*\n[ ]*,?[ ]*|[ ]+(?=(?i:near|opp|behind|sector|phase)\b)|[ ]+[-–][ ]+)"
_ADDRESS = re.compile(rf"(?<![\w.@/-])(?:{_HEAD}(?:{_SEP}|[ ]+)){{1,2}}{_SEG}(?:{_SEP}{_SEG}){{0,8}}", re.I)
_KIND_FOUND = re.compile(rf"(?<![\w]){_KIND}(?![\w])|\b(?:near|opp|behind)\b", re.I)
_STRONG_HEAD = re.compile(rf"^(?:{_HEAD_WORD}\b|#)", re.I)
_PIN_FOUND = re.compile(r"(?<!\d)[1-9]\d{2}[ ]?\d{3}(?!\d)")
_CITY_FOUND = re.compile(rf"(?<![\w]){_CITY}(?![\w])", re.I)
_LOCALITY_PIN = re.compile(
    rf"(?<![\w])(?:(?-i:(?:[A-Z]\.[ ]?)?[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*){{0,3}})[ ]*,[ ]*){{0,6}}{_CITY}(?:[ ]*,[ ]*{_REGION})?[ ]*[-–,:]?[ ]*"
    r"(?:pin(?:code)?[ :.-]*)?[1-9]\d{2}[ ]?\d{3}(?!\d)",
    re.I,
)
_STREET = re.compile(
    r"(?<![\w.,-])\d{1,6}[A-Za-z]?(?:-\d+)?,?[ ]+(?:[NSEW]{1,2}\.?[ ]+)?(?:[A-Z][\w.'’-]*[ ]+|\d{1,3}(?:st|nd|rd|th)[ ]+){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Terrace|Way|Close|Crescent|Parkway|Pkwy|"
    r"Highway|Hwy|Square|Sq|Circle|Cir|Trail|Row|Gardens|Mews|Yard|Buildings|Barns|Rise|Reach|Grove|Wharf|Quay|Brae|Wynd|Parade|Walk|Hill)\b\.?(?:,?[ \n]*(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.?[ ]*[\w-]+)?"
    r"(?:[ ]*[,\n][ \n]*[A-Z][\w'’-]*(?:[ ]+[A-Z][\w'’-]*){0,2}){0,3}(?:,?[ \n]+[A-Z]{2}(?![a-z]))?(?:,?[ \n]+(?:\d{5}(?:-\d{4})?(?!\d)|"
    r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}))?"
)

# "my address is ...", "lives at ...": from the number to the end of the sentence or to where prose begins again.
_SAID = re.compile(
    r"\b(?:address(?: of [\w ]{1,30}?)?(?: is| was|:)|(?:live|lives|lived|living|reside|resides|residing|stay|stays|staying) at|located at|"
    r"(?:deliver|delivered|ship|shipped|send|sent|mail|mailed|moved|relocated|came|come|go|drive|driving|directions) (?:it |them |this |the \w+ )?(?:to|from)|"
    r"(?:house|home|office|store|shop|branch|clinic|party|meeting|property) (?:is )?(?:at|on)|from|to|at)[ ]+"
    r"(?P<x>(?:(?:no\.?|number|flat|apt\.?|unit|plot|house)[ ]*)?\d{1,6}[A-Za-z]?(?:[-/]\d+)?,?[ ]+(?:\d{1,4}[ ]+)?[^\W\d_][\w'’.-]*"
    r"(?:[ ,\n]+(?:[^\W\d_a-z][\w'’.-]*|\d{1,6}(?:-\d{3,4})?|#\d+|(?:de|da|do|du|del|la|le|van|von|der|den|apt|suite|unit|flat|near)\b\.?)){0,14})",
)
_SAID_PROOF = re.compile(r"(?:\b\d{4,6}(?:-\d{3,4})?$)|\b(?:Apt|Suite|Ste|Unit|Box|PO|Flat|Floor)\b", re.I)
_DAY_SAID = re.compile(  # all of it: "12 May Street" is an address
    r"\d{1,2}(?:st|nd|rd|th)?[ ]+(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?(?:,?[ ]+\d{4})?[ ,]*",
    re.I,
)
# A house number, a street in any language, a flat or suite, and the rest of the lines up to a postal code.
_WORLD = re.compile(
    r"(?<![\w.,/-])\d{1,6}[ ]+(?:[^\W\d_][\w'’.-]*[ ]+){1,5}(?:\d{1,5}[ ]*)?[, \n]*(?:Apt|Apartment|Suite|Ste|Unit)\.?[ ]*#?\d{1,5}"
    r"(?:[ ]*[,\n ][ \n]*,?[ ]*(?:[^\W\d_a-z][\w'’.-]*)){0,6}(?:[ \n,]+\d{4,6}(?:-\d{4})?)?(?![\w])"
)

# A postal code and the capitalised words and numbers that lead up to it.
_CODES = re.compile(
    r"(?<![\w-])(?:[A-Z]{1,2}\d[A-Z\d]?[ ]\d[ABD-HJLNP-UW-Z]{2}|[ACDEFHKNPRTVWXY]\d[\dW][ ]?[A-Z0-9]{4}|[ABCEGHJ-NPRSTVXY]\d[A-Z][ ]?\d[A-Z]\d|"
    r"[A-Z]{2}[ ]\d{5}(?:-\d{4})?|[1-9]\d{2}[ ]?\d{3}|\d{2}-\d{3}[ ][^\W\d_a-z][\w’'-]+|\d{4,5}[ ][^\W\d_a-z][^\W\d_]{3,}(?=[ ]*(?:[,.;)\n]|$)))(?![\w-])"
)
_JOINS = frozenset(
    "of the and near nr opp opposite behind beside above off next to no y na an de la da do del von van der the nos c/o ka ki ke at by flat unit floor block house shop plot baixos".split()
)
_LEAD_IN = frozenset(
    "i we he she they it my his her our your their mr mrs ms dr miss address at to from in on is was and is: live lives phone tel mob email dob pan aadhaar uhid "
    "please see yes no ok hi dear thanks sent deliver born member customer caller agent patient ticket order invoice ref amount rs inr code otp account a/c".split()
)
_ABBREVIATION = re.compile(
    r"(?:^|[ ,(])(?:st|rd|ave|no|opp|nr|p\.?o|dist|distt|tal|co|apt|bldg|h|soc|sec|ph|blk|qtr|[a-z])$", re.I
)
_PLACE_WORD = re.compile(
    rf"\d|(?<![\w])(?:{_KIND}|flat|unit|lot|box|cottages?|farm|hall|lodge|barns?|mill|yard|buildings?|rectory|vicarage|manse|croft|bungalow|convent|hostel|hotel|maltings|baug|wadi|"
    r"mandir|masjid|church|school|temple|delivery|camp|lines|quay|wharf|docks?|pier|maidan|ghat|heol|pant|rua|calle|carrer|via|ulica|ul|strada|ngõ|phố|casa|haus)(?![\w])",
    re.I,
)
_NOT_A_PLACE = re.compile(
    r"(?i)\b(?:dr|mr|mrs|ms|miss|phone|tel|mob(?:ile)?|e-?mail|dob|d\.o\.b|aadhaar|pan|uhid|mrn|ref|fax|call|born|aged?|january|february|march|april|may|june|july|august|"
    r"september|october|november|december|mon|tue|wed|thu|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday|mother|father|wife|husband|son|daughter|policy|gstin)\b"
)


def _before_code(text: str, end: int) -> int:
    """Where the address that ends in a postal code at ``end`` begins."""
    start = end
    floor = max(0, end - 130)
    while start > floor:
        gap = re.search(r"[ ]*,?[ ]*\n?[ ]*[-–]?[ ]*$", text[floor:start])
        edge = floor + gap.start() if gap else start
        if (
            text[edge - 1 : edge] == "."
            and _ABBREVIATION.search(text[floor : edge - 1])
            and start - edge <= 2
        ):
            edge -= 1
        word = re.search(r"[^\s,;:.!?()\[\]\"“”→=|]+$", text[floor:edge])
        if word is None:
            break
        token = word.group()
        plain = token.strip("'‘’").lower()
        if (
            not (token.lstrip("'‘’")[:1].isupper() or any(c.isdecimal() for c in token) or plain in _JOINS)
            or plain in _LEAD_IN - _JOINS
        ):
            break
        start = floor + word.start()
    return start


def _whole(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The address within ``start:end``: from the first part that is a place, joining words and names before it left out."""
    parts = [(m.start() + start, m.group()) for m in re.finditer(r"[^,\n]+", text[start:end])]
    placed = [i for i, (_, part) in enumerate(parts[:-1]) if _PLACE_WORD.search(part)]
    first = placed[0] if placed else max(0, len(parts) - 3)
    begin = parts[first][0] if parts else start
    while match := re.match(
        r"[\s'‘’]+|(?:of|the|and|to|at|by|in|from|c/o|de|na|ka|ki|ke)[ ]+(?=[^\W_])", text[begin:end]
    ):
        if match.group().strip() == "the" and re.match(r"the [A-Z]", text[begin:end]):
            break
        begin += match.end()
    return (begin, end) if len(re.findall(r"\w+", text[begin:end])) >= 4 else None


_MORE = re.compile(
    r"(?:[ ]*,[ ]*|[ ]+[-–][ ]+)(?P<seg>(?:(?:near|nr|opp|opposite|behind|off|flat|unit|block|floor|the|apt|no|number|space|box|space|baixos|top)\.?[ ]+)?(?:the[ ]+)?"
    r"(?:[^\W\d_a-z][\w.'’-]*|\d{1,4}[A-Za-z]?|\d(?:st|nd|rd|th))(?:[ ]+(?:of|the|and|na|y|de|del|floor|block|[^\W\d_a-z][\w.'’-]*|\d[\w-]*)){0,4})(?=[ ]*(?:[,;)\n\"”]|[.](?:\s|$)|$))"
)


def _onward(text: str, end: int) -> int:
    """The end of an address with the further parts that follow it after commas."""
    for _ in range(4):
        more = _MORE.match(text, end)
        coded = _CODES.search(text, max(0, end - 12), end)
        if (
            more is None
            or (coded and coded.end() == end)
            or not re.search(r"[^\W\d_]{2}|\b[A-Z]\b", more.group("seg"))
            or _NOT_A_PLACE.search(more.group("seg"))
        ):
            break
        words = re.findall(r"[^\W\d_]{2,}", more.group("seg"))
        town = lexicon.fold(more.group("seg")) in lexicon.cities() | lexicon.regions()
        if not town and words and all(lexicon.is_plain_name(w) for w in words):
            break
        end = _trim(text, end, more.end())
    return end


_COUNT = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|oh|double)"
)
_PLAIN_WORD = (
    r"(?!(?:the|a|an|on|in|of|and|to|at|my|our|his|her|for|from|is|was|are|your|this|that|more|years?|days?|miles?|minutes?|hours?|weeks?|months?|times?|way|people|"
    r"kids|or|with|by|down|up|it|we|he|she|i|you|they|lane|out|over|o'clock|do|not|don't|did|can|will|go|call|please|then|we'll|i'll|percent|pounds?|dollars?|rupees|thousand|lakh|lakhs)\b)[\w'’-]+"
)
_READ_OUT = re.compile(
    rf"\b(?:(?:flat|unit|apartment|apt|house|number|shop|door|lot|block|plot)[ ]+(?:number[ ]+)?)?{_COUNT}(?:[ -]{_COUNT}){{0,3}}(?:[ ]+[a-z])?,?[ ]+"
    rf"(?:{_PLAIN_WORD}[ ]+){{1,3}}(?:street|road|lane|avenue|rise|court|crescent|close|drive|boulevard|terrace|grove|gardens|villas?|nagar|colony|gali|marg|reach|mews|"
    rf"parade|row|highway)\b(?:,?[ ]+(?:flat|unit|space|apartment|block|number|apt)[ ]+{_COUNT}(?:[ -]{_COUNT})*)?",
    re.I,
)

_TIED = (
    r"(?:(?:i|we|he|she|they)(?:'m|’m| am| are|'re|’re| is)? (?:currently |now |originally |also |still |both )?(?:live|lives|living|stay|stays|staying|"
    r"reside|resides|residing|based|settled|posted|born|from|moved|shifted|relocated|relocating|work|works|working|grew up)(?: here| back)?(?: in| at| to|"
    r" from| near)?|(?:live|lives|living|stay|staying|reside|resides|residing|based|settled|posted|born|moved|shifted|relocated|grew up|hails?|hailing|"
    r"resident|native|r/o)(?: in| at| to| of| from)|my (?:home ?town|city|town|native(?: place)?)(?: is)?|our|(?:office|branch|home|house|flat|clinic|"
    r"hospital|plant|campus)(?: is)? (?:in|at)|(?:made|executed|signed|entered into|dated) at|calling from|this side from|here from|"
    r"place of (?:birth|work|posting)\W{1,3}|city\W{1,2}|(?:main|hum|mai) |se bol|transferred to|posting in|joining in|travell?ing to .{0,12}for work in)"
)
_CITY_TIED = re.compile(
    rf"\b{_TIED}[ ]+(?:the[ ]+)?(?P<x>{_CITY})(?![\w])(?! (?:metro|airport|biryani|style|rolls?)\b)", re.I
)
_CITY_OFFICE = re.compile(
    rf"\b(?:our|my|the|your|at)[ ]+(?P<x>{_CITY})[ ]+(?:office|branch|plant|campus|factory|unit|house|flat|home)\b",
    re.I,
)
_CITY_HINGLISH = re.compile(
    rf"(?<![\w])(?P<x>{_CITY})[ ]+(?:se (?:hu|hoon|hun|bol)|mein rehta|mein rehti|me rehta|me rehti|wale|ka rehne)",
    re.I,
)
_CITY_AFTER_ORG = re.compile(
    rf"(?:(?-i:Hospital|Clinic|School|College|University|Institute|Ltd\.?|Limited|LLP|Office|Branch)),?[ ]+(?:in[ ]+|at[ ]+)?(?P<x>{_CITY})(?![\w])",
    re.I,
)
_CITY_AFTER_NAME = re.compile(
    rf"(?<![\w])(?-i:[A-Z][\w'’]+(?:[ ]+[A-Z][\w'’.]+){{0,2}})(?:[ ]*,[ ]*|[ ]+from[ ]+)(?P<x>{_CITY})(?=[ ]*(?:[.\n]|$|here\b|calling\b))",
    re.I,
)

_LEGAL = (
    r"(?:Pvt\.?[ ]*Ltd\b\.?|\(P\)[ ]*Ltd\b\.?|Private[ ]+Limited|Pvt[ ]+Limited|Limited|Ltd\b\.?|LLP|LLC|Inc\b\.?|Corp\b\.?|Corporation|GmbH|PLC|plc|S\.A\.|AG|"
    r"& Co\b\.?|& Sons|& Associates|PVT\.?[ ]*LTD\.?|PRIVATE LIMITED|LIMITED|LTD\.?)"
)
_PLACE_OF_WORK = (
    r"(?:(?:Multi[- ]?[Ss]pecial(?:i)?ty |Super[- ]?[Ss]pecial(?:i)?ty |General |Children'?s |Memorial |Eye |Dental |District |Civil |Community |Medical |Public |"
    r"High |Higher Secondary |International |Primary |Engineering |Nursing )*"
    r"(?:Hospitals?|Clinic|Nursing Home|Medical Cent(?:er|re)|Health ?care|Health Cent(?:er|re)|Polyclinic|Diagnostics|Labs|Laboratories|Pathology|"
    r"Pharmacy|School|College|University|Vidyalaya|Vidya Mandir|Institute|Academy|Industries|Enterprises|Technologies|Solutions|Infotech|Softwares?|"
    r"Consultants|Consultancy|Textiles|Traders|Logistics|Foods|Motors|Constructions?|Builders|Exports|Associates|Services|Systems|Retail|Chemicals|Pharma|"
    r"Infirmary|Hospice|Surgery|Vets|Veterinary(?: (?:Clinic|Hospital|Practice|Services))?|Medical Practice|Dental Practice|Practice|Maternity(?: (?:Home|Unit|Hospital))?|Homecare|Care Home|"
    r"Rest Home|Seminary|Polytechnic|Conservatory|Primary(?: School)?|Juniors|Nursery|Creche|Bakery|Garage|Photography|Studios?|Foundation|Trust|Forwarding|Freight|Shipping|"
    r"Logging|Shearing|Refinery|Foundry|Castings|Mills|Timber|Dairy(?: Co-op)?|Co-op(?:erative)?|Farms|Holsteins|Kitchens?|Cleaners|Couriers?|Movers|Contracting|Contractors|"
    r"Recruiters?|Recruitment|Overseas|Travels|Tours|Lines|Works|Press|Microfinance|Software Labs|Academy|Sanatorium|Aspatal|Chikitsalaya?y?|Hospitality))"
)
# A word of a firm's name. A full stop ends it only where it may be an abbreviation ("Dr.", "St."): "Sorry. Courier".
_NAME_WORD = r"(?:[A-Z][a-z]{0,2}\.|[A-Z0-9][\w'’&-]{0,30}(?:\.[\w'’&-]{1,30}){0,4})"
_CAP = rf"(?:{_NAME_WORD}|of|the|and|&)"
_LEGAL_NEXT = re.compile(rf"[ ]+{_LEGAL}(?!\w)")
_ORG_LEGAL = re.compile(
    rf"(?<![\w])(?P<x>(?:(?:{_NAME_WORD}|of|and|&)[ ]+){{0,5}}{_NAME_WORD},?[ ]+{_LEGAL})(?![\w])"
)
_ORG_PLACE = re.compile(
    rf"(?<![\w])(?P<x>(?=[A-Z]){_NAME_WORD}[ ]+(?:{_CAP}[ ]+){{0,4}}?{_PLACE_OF_WORK})(?![\w])(?!'s)"
)
_ORG_OF = re.compile(
    r"(?<![\w])(?P<x>(?:University|College|Institute|School|Hospital) of (?:the )?[A-Z][\w'’-]*(?:[ ]+(?:of[ ]+|and[ ]+)?[A-Z][\w'’-]*){0,3})"
)
_ORG_SAINT = re.compile(
    r"\b(?:at|to|from|in|of|for|by|with)[ ]+(?:the[ ]+)?(?P<x>(?:St|Saint|Sta|Santa)\.?[ ]+[A-Z][\w-]+['’]s?(?:[ ]+[A-Z][\w'’-]+){0,3})(?![ ]+[a-z]*(?:day|feast|wort|dance|fire))"
)
_ORG_TIED = re.compile(
    r"\b(?i:work(?:s|ed|ing)?|job|employed|intern(?:ed|ing|ship)?|joined|join(?:ing)?|resigned|laid off|fired|hired|manager|engineer|analyst|accountant|nurse|teacher|"
    r"developer|consultant|employee|studi(?:es|ed)|studying|admitted|treated|enrolled|graduated)\s+(?i:at|for|with|from|by|of|in|to)\s+(?:the\s+)?"
    r"(?P<x>[A-Z][\w&'’.-]*(?:[ ]+(?:of[ ]+|&[ ]+)?[A-Z][\w&'’.-]*){0,4})"
)

# Organisations that everybody deals with as such: banks, market places, insurers, statutory bodies.
_PUBLIC_ORGS = frozenset(
    lexicon.fold(p)
    for p in (
        "Life Insurance Corporation|Reserve Bank of India|State Bank of India|World Health Organization|Provident Fund|Payment of Gratuity|"
        "Employees|Supreme Court|High Court|Parliament|Public School|Medical College|Private Limited|The Company|Company Limited|United Nations|"
        "Income Tax|Indian Institute of Technology|Harvard University|Oxford University|Stanford University|University of Life|School of Hard Knocks|"
        "Hogwarts School|Old School|High School|Middle School|Elementary School|Grad School|Law School|Medical School|Business School|Film School|"
        "Customer Services|Social Services|Web Services|Amazon Web Services|Google Play Services|Secret Services|Emergency Services|Human Services|"
        "Operating Systems|Solar Systems|The Academy|Khan Academy|The University|The College|The Hospital|The School|This Hospital|Your Hospital|Our Hospital|"
        "The Clinic|Our Clinic|Your Clinic|Central Limited|Public Limited|Limited Liability|Time Limited"
    ).split("|")
)
_GENERIC_START = re.compile(
    r"^(?:the|this|that|our|your|my|a|an|in|at|to|for|from|and|of|any|every|each|no|is|was|with|by|when|if|after|before|company|hi|hello|dear|yes|no|"
    r"which|what|why|how|customer|agent|doctor|nurse|patient|speaker|hospital|clinic)\b[ ]*",
    re.I,
)


_ORG_RIGHT = re.compile(
    r"(?:['’]s(?=[ ][A-Z]))?(?:[ ](?:No\.?[ ]\d{1,3}|\d{1,2}(?=[.,;)\n]|$)|(?:of|and|&|for|de|da|do|y)[ ](?:the[ ]|St\.?[ ])?[^\W\d_a-z][\w'’.-]*|[^\W\d_a-z][\w'’-]*))(?![\w@]|\.\w)"
)


def whole_org(text: str, start: int, end: int) -> tuple[int, int]:
    """A found organisation with the article before it and the capitalised words after it."""
    if not text[start:end][:1].isupper():
        return start, end
    for _ in range(3):
        right = _ORG_RIGHT.match(text, end)
        if (
            right is None
            or _NOT_A_PLACE.search(right.group())
            or text[start:end].isupper() != right.group().isupper()
        ):
            break
        word = lexicon.fold(re.findall(r"[\w'’-]+", right.group())[-1])
        if word in lexicon.cities() or word in lexicon.regions() or lexicon.is_plain_name(word):
            break
        end = right.end()
    if text[max(0, start - 4) : start].lower() == "the " and (start < 5 or not text[start - 5].isalnum()):
        start -= 4
    return start, end


def is_place_of_work(name: str) -> bool:
    """True when a word of ``name``, in any case, says that people work, study or are treated there."""
    return (
        re.search(
            rf"\b{_PLACE_OF_WORK}\b|\b(?:shop|hotel|centre|center|ltd|bank|mission|ward|girls|tyres|aspatal)\b",
            name,
            re.I,
        )
        is not None
    )


def is_placed(text: str) -> bool:
    """True when a text has a number or a word that only addresses have."""
    return _PLACE_WORD.search(text) is not None or re.search(rf"\b{_COUNT}\b", text, re.I) is not None


def _org(match: re.Match[str], text: str) -> float:
    name = match.group("x")
    first = _GENERIC_START.match(name)
    folded = lexicon.fold(name.strip())
    if (
        folded in _PUBLIC_ORGS
        or folded in lexicon.not_names()
        or folded in lexicon.regions() | lexicon.cities()
    ):
        return 0.0
    if first and len(name[first.end() :].split()) < 2:
        return 0.0
    if re.search(r"\b(?:Act|Rules|Code|Regulations)\b", name) or re.match(
        r"\s*(?:Act|Rules|Code)\b", text[match.end() :]
    ):
        return 0.0
    return 0.85


def ends_as_firm(text: str, end: int) -> bool:
    """True when the name that ends at ``end`` goes on, or ended, with a legal form ("Private Limited")."""
    return _LEGAL_NEXT.match(text, end) is not None or text[:end].endswith((" Private", " Pvt", " Pvt."))


def _org_tied(match: re.Match[str], text: str) -> float:
    name = match.group("x")
    words = name.split()
    folded = lexicon.fold(name.rstrip("."))
    if (
        folded in lexicon.not_names()
        or folded in lexicon.regions() | lexicon.cities()
        or folded in _PUBLIC_ORGS
    ):
        return 0.0
    if all(lexicon.fold(w.strip(".")) in lexicon.not_names() for w in words) or any(
        lexicon.is_given(w) for w in words[:1]
    ):
        return 0.0
    return 0.7


def _postcode(match: re.Match[str], text: str) -> float:
    """A British postcode has the shape of a product code: it needs an address or the word before it."""
    left = text[max(0, match.start() - 40) : match.start()]
    return (
        0.75
        if re.search(r"[,\n][ ]*$|post ?code\W*(?:is\W*)?$", left, re.I) or _CITY_FOUND.search(left[-24:])
        else 0.0
    )


ORG_RULES = (
    Rule("legal_form", "ORG", _ORG_LEGAL, _org, "name with a legal form"),
    Rule("place_of_work", "ORG", _ORG_PLACE, _org, "name of a hospital, school or firm"),
    Rule("place_of", "ORG", _ORG_OF, _org, "name of a hospital, school or firm"),
    Rule("saint", "ORG", _ORG_SAINT, 0.75, "hospital, school or church named after a saint"),
    Rule("works_at", "ORG", _ORG_TIED, _org_tied, "place where somebody works, studies or is treated"),
)
CITY_RULES = (
    Rule("lives_in", "CITY", _CITY_TIED, 0.85, "town tied to a person"),
    Rule("office", "CITY", _CITY_OFFICE, 0.75, "town of somebody's office or home"),
    Rule(
        "hinglish",
        "CITY",
        _CITY_HINGLISH,
        0.85,
        "town tied to a person",
        re.compile(r" (?:se (?:hu|ho|bol)|me(?:in)? reht|wale|ka reh)", re.I),
    ),
    Rule("after_org", "CITY", _CITY_AFTER_ORG, 0.8, "town of a hospital or employer"),
    Rule("after_name", "CITY", _CITY_AFTER_NAME, 0.65, "town after a name"),
)
PIN_RULES = (
    Rule(
        "pin_cued",
        "PIN_CODE",
        re.compile(
            r"\b(?:pin ?code|pin|postal code|postcode|post code)\b[^\d\n]{0,14}(?P<x>[1-9]\d{2}[ ]?\d{3})(?!\d)",
            re.I,
        ),
        0.85,
        "PIN code",
    ),
    Rule(
        "zip_cued",
        "PIN_CODE",
        re.compile(r"\bzip(?: ?code)?\b[^\d\n]{0,14}(?P<x>\d{5}(?:-\d{4})?)(?!\d)", re.I),
        0.85,
        "ZIP code",
    ),
    Rule(
        "postcode",
        "PIN_CODE",
        re.compile(r"(?<![\w])(?P<x>[A-Z]{1,2}\d[A-Z\d]?[ ]\d[ABD-HJLNP-UW-Z]{2})(?![\w])"),
        _postcode,
        "postcode",
    ),
)


class Addresses(EntityRecognizer):
    """Presidio recognizer for ADDRESS: whole addresses, Indian and western."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["ADDRESS"], name="address", supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        results = []
        for match in _ADDRESS.finditer(text):
            score = _address_score(match.group())
            if score:
                results.append(
                    result(
                        "ADDRESS",
                        match.start(),
                        _trim(text, match.start(), match.end()),
                        score,
                        "address.grammar",
                        "postal address",
                    )
                )
        for match in _STREET.finditer(text):
            end = _trim(text, match.start(), match.end())
            results.append(result("ADDRESS", match.start(), end, 0.85, "address.grammar", "street address"))
        for match in _WORLD.finditer(text):
            end = _trim(text, match.start(), match.end())
            results.append(
                result("ADDRESS", match.start(), end, 0.85, "address.grammar", "address with a flat or suite")
            )
        for match in _SAID.finditer(text):
            said = match.group("x")
            if not _DAY_SAID.fullmatch(said) and (_SAID_PROOF.search(said) or _KIND_FOUND.search(said)):
                end = _trim(text, match.start("x"), match.end("x"))
                results.append(
                    result("ADDRESS", match.start("x"), end, 0.75, "address.said", "called an address")
                )
        for match in _READ_OUT.finditer(text):
            end = _trim(text, match.start(), match.end())
            results.append(
                result("ADDRESS", match.start(), end, 0.75, "address.read_out", "street address read aloud")
            )
        for code in _CODES.finditer(text):
            whole = _whole(text, _before_code(text, code.start()), code.end())
            if (
                whole
                and re.search(r"[^\W\d_]{3}", text[whole[0] : code.start()])
                and ("," in text[slice(*whole)] or "\n" in text[slice(*whole)])
            ):
                results.append(
                    result("ADDRESS", *whole, 0.85, "address.postcode", "words that lead to a postal code")
                )
        for item in results:
            item.end = _onward(text, item.end)
        reach = 0
        for pin in _PIN_FOUND.finditer(text):  # town lists are long: look for them only left of a PIN code
            town = _LOCALITY_PIN.search(
                text, max(reach, text.rfind("\n", 0, pin.start()) + 1, pin.start() - 160), pin.end()
            )
            if town and town.end() == pin.end():
                reach = town.end()
                results.append(
                    result(
                        "ADDRESS",
                        town.start(),
                        town.end(),
                        0.85,
                        "address.grammar",
                        "town with its PIN code",
                    )
                )
        return results


def _trim(text: str, start: int, end: int) -> int:
    while end > start and not text[end - 1].isalnum() and text[end - 1] != ")":
        end -= 1
    return end


def _address_score(candidate: str) -> float:
    """How much an address a candidate is: needs a street-like word and something else that only addresses have."""
    has_pin = bool(_PIN_FOUND.search(candidate))
    has_kind = bool(_KIND_FOUND.search(candidate))
    has_city = bool(_CITY_FOUND.search(candidate))
    head = bool(_STRONG_HEAD.match(candidate))
    parts = len(re.split(r"[,\n]", candidate))
    if has_pin and (has_kind or has_city or head):
        return 0.95
    if has_kind and has_city and parts >= 2:
        return 0.9
    if head and has_kind and (parts >= 2 or re.match(r"(?i)flat|h|house|plot|door|apt", candidate)):
        return 0.8
    return 0.7 if has_kind and parts >= 3 else 0.0


def organisations() -> RuleRecognizer:
    return RuleRecognizer("org", ORG_RULES)


def towns() -> RuleRecognizer:
    return RuleRecognizer("place", CITY_RULES + PIN_RULES)
