# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Names of people, by the words around them and by name lists. Covers: introductions, titles, relations, greetings,
signatures, labels, speakers, initials, "Last, First", "-ji", Hinglish and Devanagari introductions, COBOL headers;
runs of listed names; spreading a found name over a whole record.
Does not cover: what a language model sees (`ner`), nor which findings survive (`detector`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from curate.privacy import lexicon
from curate.privacy.keep import is_public
from curate.privacy.patterns import result

_TOKEN = re.compile(r"[^\W\d_](?:[\w]|['’-](?=[^\W\d_]))*\.?")
_INITIALS = r"(?:[A-Z]\.[ ]?|[A-Z][ ](?=[A-Z]\b|[A-Z][a-z]))"
_PARTICLES = frozenset(
    "de da di do dos del della van von der den bin binti ibn al el la le ter ten mac st bint abu ben".split()
)
# A word that follows a name in running text and is none, though capitalised or listed.
_STOP = frozenset(
    "and or from with is was has had here speaking ji sir madam the of at in on to for by i we he she they".split()
)

# Hindi in Latin letters that is also a name: in lower case it is the word.
_HINGLISH = frozenset(
    "hai hain mein diya mila mili lena paas sabko patti kendra galat judwa sujan itwaar umar munna munni raja rani uski amrit asha nisha jyoti kiran "
    "usha sona chand tara roshni khushi pari duniya din dil jaan pyaar sapna lal ram bala mal gaya aaya bata likha daktari ladki ladka baba maa".split()
)

TITLE = (
    r"(?:mr|mrs|ms|miss|mstr|master|mx|shri|shree|sri|smt|shrimati|kum|kumari|km|thiru|tmt|janab|begum|sardar|dr|doctor|doc|prof|professor|"
    r"adv|advocate|justice|hon|col|colonel|capt|captain|maj|major|lt|sgt|inspector|constable|sr|sister|fr|rev|pastor|imam|er|ca|"
    r"dra|bro|padre|rabbi|deacon|cdr|cllr|coach|skipper|matron|gh|wm|nurse|uncle|aunt|aunty|auntie|chacha|chachi|mama|mami|kaka|mausi|bua|tai|señor|señora|herr|frau|monsieur|madame|mme)"
)
# Titles that belong to the name's span (and stay as written when the name is replaced).
_SPAN_TITLE = re.compile(
    r"(?:mr|mrs|ms|miss|mstr|mx|shri|shree|sri|smt|shrimati|kum|kumari|thiru|tmt)\b\.?\s*", re.I
)
# What people say of themselves after "I'm"; in lower case never a name there.
_TRAITS = frozenset(
    "white black brown gray grey green young rich happy sunny smart strong savage wise hardy noble junior major frank earnest single blessing "
    "blessed sharp short long small little poor good goode best close gross swift moody merry misty stormy rusty dusty cross may will hope love "
    "sweet precious bright keen just christian muslim english french indian american prince angel joy bliss legend boss baby honey gem".split()
)
# Everyday words that follow a given name without being its family name ("brian will call").
_NOT_AFTER_GIVEN = frozenset(
    "will may might hope love day long rose back house case church street best close price wise major little short small good young does do did "
    "has is was can man main mane more mere rode see soo so he she ho you an in on no go do and walks walk cook cooks ring call calls case bill "
    "bear bird park place power powers light lights sharp swift grace joy mark marks page pages post rain rush savage trace worth".split()
)
_DOTTED_TITLE = re.compile(
    r"(?:mr|mrs|ms|dr|dra|prof|smt|sri|adv|col|capt|maj|lt|sgt|fr|rev|er|hon|kum|km|thiru|tmt|sr|bro|cdr|cllr|gh|wm)\b",
    re.I,
)
RELATION = (
    r"(?:wife|husband|son|daughter|brother|sister|mother|father|mom|mum|dad|mummy|papa|uncle|aunt|aunty|auntie|cousin|nephew|niece|grandson|"
    r"granddaughter|grandmother|grandfather|grandma|grandpa|nana|nani|dadi|bhabhi|jija|saala|devar|nanad|partner|spouse|fianc[eé]e?|girlfriend|"
    r"boyfriend|friend|best friend|bestie|buddy|colleague|co-?worker|coworker|boss|manager|supervisor|team ?lead|neighbou?r|landlord|landlady|roommate|room ?mate|"
    r"flat ?mate|maid|cook|driver|tutor|teacher|doctor|dentist|therapist|lawyer|guardian|caretaker|carer|assistant|intern|client|ex|kid|child|baby|twin|"
    r"in-law|father-in-law|mother-in-law|brother-in-law|sister-in-law|biwi|pati|beta|beti|bhai|behen|dost|patient|nominee|witness|employee|"
    r"agent|executive|representative|rep|technician|rider|delivery (?:boy|guy|man|partner|person|executive))"
)
_GREETING = (
    r"(?:hi|hii+|hello|helo|hey|heya|dear|good (?:morning|afternoon|evening|day)|morning|evening|thanks|thank you|thankyou|thx|ty|ok(?:ay)?|sorry|sure|"
    r"oh sure|welcome|welcome back|bye|goodbye|namaste|namaskar|vanakkam|salaam|salam|hola|congrats|congratulations|happy birthday|listen|"
    r"please|pls|no worries|got it|noted|yes|no|yeah|well|alright|right|look|come on|relax|calm down|good night|nice to meet you|nice|perfect|great|oh|ah|ya)"
)


@dataclass(frozen=True)
class _Cue:
    """Words that announce a name. ``cold`` is the score of a capitalised word on no list (0: needs the list);
    ``lower`` says which lower-case words pass: ``any``, ``list`` (listed names), ``plain`` (listed, no everyday
    word), ``no``."""

    name: str
    pattern: re.Pattern[str]
    listed: float
    cold: float
    lower: str
    reason: str
    intro: bool = False  # beats the list of public people


def _c(body: str) -> re.Pattern[str]:
    return re.compile(body, re.I | re.M)


_CUES = (
    _Cue("my_name_is", _c(r"\b(?:my|his|her|their|whose|patient'?s?|customer'?s?|kid'?s?|son'?s?|daughter'?s?|wife'?s?|husband'?s?) (?:full |first |last |good |real |user ?)?(?:name(?:'s)?|surname) (?:is|was|as|=|:)?\s*(?=\w)"), 0.95, 0.9, "any", "says a name", True),
    _Cue("mera_naam", _c(r"\b(?:mera|meri|mere|unka|uska|iska|unki|patient ka|bete ka|beti ka|pati ka) (?:pura )?(?:naam|nam|name)\s*(?:hai\s+)?(?=\w)"), 0.95, 0.85, "any", "says a name in Hinglish", True),
    _Cue("i_am", _c(r"\b(?:i am|i'm|i m|im|i’m|myself|this is|it'?s|its|it is|main|mai|hum)[ ]+(?:(?:mr|mrs|ms|dr)\.?[ ]+)?(?=\w)"), 0.88, 0.0, "plain", "introduces somebody", True),
    _Cue("i_am_and", _c(r"(?:^|[:.!?,][ ]*|\bhi[ ,]+|\bhello[ ,]+|\bhey[ ,]+)(?:i am|i'm|i m|im|myself|this is|it'?s|its)[ ]+(?=[a-z'’-]+(?:[ ][a-z'’-]+)?(?:[ ]*[,.]|[ ]+(?:here|speaking|calling|from|this side|again|bol)\b))"), 0.9, 0.7, "list", "introduces somebody", True),
    _Cue("label", _c(r"(?:^|[\s(,;|*])(?:(?:full|first|last|sur|middle|maiden|given|patient|customer|client|employee|father'?s?|mother'?s?|husband'?s?|spouse|guardian|nominee|candidate|account holder|holder|beneficiary|contact|user|student|doctor|consultant|physician|emp|recipient|sender|payee|caller|reported by|emergency contact)[ _-]*)?(?:name|naam)\s*(?:[:=]|is|-|\.{2,})\s*[\"']?(?=[^\W\d_])"), 0.93, 0.8, "any", "field called name", True),
    _Cue("name_bare", _c(r"\bname[ ]+(?=[^\W\d_])"), 0.85, 0.0, "plain", "after the word name"),
    _Cue("label_person", _c(r"(?:^|[\s(,;|*/@])(?:attn|attention|kind attn|c/o|contact person|nominee|assignee|owner|author|maintainer|programmer|reviewer|reporter|consultant|surgeon|ana?esthetist|physician|operator|witness(?: \d)?|employee|for the company|director|signed|sd/-|nok|next of kin|emergency contact|account holder|cc|to|from|ref(?:erring)? doctor|primary care|pcp)\s*[:=-]\s*(?:(?:mr|mrs|ms|dr|shri|smt|sri)\.?\s*)?(?=[^\W\d_])"), 0.92, 0.72, "plain", "field that holds a person"),
    _Cue("done_by", _c(r"\b(?:(?:referred|seen|dictated|prepared|approved|checked|verified|authori[sz]ed|signed|changed|modified|written|created|updated|maintained|reviewed|reported|submitted|received|delivered|collected|requested|raised|handled|operated)\s+by|(?:assigned|escalated|copied|sold|ship|bill|deliver|delivered)\s+to|in favou?r of|@(?:author|reviewer|owner|maintainer))\s*[:.=-]?\s*(?:(?:mr|mrs|ms|dr|shri|smt|sri)\.?\s*)?(?=[^\W\d_])"), 0.9, 0.66, "plain", "done by or for a person"),
    _Cue("title", _c(rf"(?<![\w']){TITLE}\.?[ ]+(?=[^\W\d_])"), 0.93, 0.85, "plain", "title before a name"),
    _Cue("title_tight", _c(r"(?<![\w'])(?:Mr|Mrs|Ms|Dr|Smt|Prof)\.(?=[A-Z])"), 0.93, 0.85, "no", "title before a name"),
    _Cue("child_of", _c(r"\b(?:[swdhc]/o|son/daughter of|son of|daughter of|wife of|husband of|widow of|mother of|father of|heir of|married to|named|name of)[ .:]+(?:(?:late|shri|smt|sri|mr|mrs|ms|dr)\.?[ ]+)*(?=[^\W\d_])"), 0.93, 0.85, "list", "relation to a person"),
    _Cue("relation", _c(rf"\b(?:my|his|her|our|their|your|the|a|mere|meri|mera|hamare|uski|uska)[ ]+(?:\w+[ ]+)?{RELATION}(?:[ ]+(?:named|called|is|ka naam|,))?[ ,]+(?:(?:mr|mrs|ms|dr)\.?[ ]+)?(?=[^\W\d_])"), 0.88, 0.62, "plain", "relation before a name"),
    _Cue("greeting", _c(rf"(?:^|[:.!?\n>\"“-][ ]*){_GREETING}(?:[ ]+(?:there|again|from))?[ ]*[, ][ ]*(?=[^\W\d_])"), 0.86, 0.0, "plain", "greeting before a name"),
    _Cue("greeting_comma", _c(r"(?:^|[:.!?\n>\"“-][ ]*)(?:hi|hii+|hello|hey|dear|thanks|thank you|good morning|good afternoon|good evening|namaste|bye|ok|okay|sorry|congrats)[ ]+(?=[a-z'’-]+(?:[ ][a-z'’-]+)?[ ]*(?:[,!.?\n]|$))"), 0.84, 0.7, "list", "greeting before a name"),
    _Cue("signature", _c(r"\b(?:regards|sincerely|faithfully|truly|thanks|thank you|thanking you|cheers|best wishes|best|warmly|respectfully|cordially|love|xoxo|signed|obediently|gratefully)[ ]*[,.!-]*[ ]*\n+[ \t-]*(?:(?:mr|mrs|ms|dr)\.?[ ]+)?(?=[^\W\d_])"), 0.92, 0.75, "list", "signature"),
    _Cue("signature_inline", _c(r"\b(?:regards|sincerely|faithfully|yours truly)[ ]*[,-]+[ ]*(?=[^\W\d_])"), 0.9, 0.7, "list", "signature"),
    _Cue("contact_verb", _c(r"\b(?:spoke (?:to|with)|speak (?:to|with)|speaking (?:to|with)|talk(?:ed|ing)? (?:to|with)|met|meet(?:ing)? with|ask(?:ed)?|tell|told|call(?:ed|ing)?|email(?:ed)?|mail(?:ed)?|messag(?:e|ed)|text(?:ed)?|contact(?:ed)?|repl(?:y|ied) from|response from|mail from|call from|message from|handled by|assisted by|attended by|treated by|operated by|sent by|given by|refer(?:red)?(?: you| him| her| me)? to|see|remind|invite|marry|dating|between|and|with|by|from|for|to)[ ]+(?:(?:mr|mrs|ms|dr)\.?[ ]+)?(?=[^\W\d_])"), 0.72, 0.0, "plain", "somebody is spoken to or of"),
    _Cue("reply_from_end", _c(r"\b(?:reply|response|answer|call|mail|message|update|spoke|speak|talked|told|asked)[ ]+(?:from|to|with|by)[ ]+(?=[a-z'’-]+[ ]*(?:[,.!?\n]|$))"), 0.7, 0.0, "list", "somebody is spoken to or of"),
    _Cue("here", _c(r"(?:^|[:.!?,\n][ ]*)(?=[a-z'’-]+(?:[ ][a-z'’-]+)?[ ]+(?:here|this side|speaking|bol rah[ai]|bol raha hu)\b)"), 0.88, 0.0, "list", "says who is speaking", True),
    _Cue("with_ji", _c(r"(?<![\w'-])(?=[^\W\d_]{3,}(?:[ ][^\W\d_]{3,})?[ -](?:ji|jee|bhai|bhaiya|bhaiyya|didi|sir|madam|ma'am|saab|sahab|sahib|uncle|aunty|garu|anna|akka|chechi|chetta|da)\b)"), 0.85, 0.0, "plain", "form of address after a name"),
    _Cue("ji_any", _c(r"(?<![\w'-])(?=(?-i:[A-Z])\w{2,}[ -]ji\b)"), 0.85, 0.7, "no", "-ji after a name"),
    _Cue("speaker", _c(r"^[ \t]*[\[(*]*(?=(?-i:[A-Z])[\w.'’-]{0,30}(?:[ ](?-i:[A-Z])[\w.'’-]{0,30}){0,2}[\])*]*[ ]?:)"), 0.85, 0.0, "no", "speaker of a line"),
    _Cue("answer", _c(r"^[ \t]*(?:patient|customer|client|caller|employee|candidate|guest|user|me|mother|father|son|daughter|speaker \d)[ ]*:[ ]*(?=[^\W\d_]+(?:[ ][^\W\d_.'’-]+){0,3}[ ]*[,.\n])"), 0.82, 0.0, "plain", "answer that opens with a name"),
    _Cue("cobol_author", _c(r"^[ \d]*(?:AUTHOR|INSTALLATION)\.[ ]+(?=[A-Z])"), 0.95, 0.85, "any", "author of a program", True),
    _Cue("cobol_value", _c(r"\b[\w-]*NAME[\w-]*\b[^\n]{0,40}\bVALUE(?:S)?(?: IS)?[ ]+['\"](?=[^\W\d_])"), 0.92, 0.8, "any", "literal in a name field", True),
    _Cue("cobol_move", _c(r"\bMOVE[ ]+['\"](?=[^\W\d_][^'\"\n]*['\"][ ]+TO[ ]+[\w-]*NAME)"), 0.92, 0.8, "any", "literal moved to a name field", True),
    _Cue("code_name", _c(r"\b(?:name|author|user|customer|patient|employee|owner|contact)\w*[\"']?\s*[:=]\s*[\"'](?=[A-Z][a-z]+(?:[ ][A-Z][\w.'’]*)+[\"'])"), 0.9, 0.7, "no", "literal in a name field"),
    _Cue("devanagari", re.compile(r"(?:नाम|मैं|श्री|श्रीमती|सुश्री|डॉ\.?|डॉक्टर)[ ]+(?=[\u0900-\u097F])"), 0.9, 0.75, "no", "says a name in Hindi"),
)  # fmt: skip

_DEVANAGARI_NAME = re.compile(
    r"[\u0900-\u097F]{2,}(?:[ ][\u0900-\u097F]{2,})?(?=[ ]+(?:है|हैं|हूँ|हूं|बोल|से|जी|ने|को|का|की))"
)
_INITIALS_NAME = re.compile(rf"(?<![\w.'’])(?:{_INITIALS}){{1,4}}[A-Z][\w'’-]+(?:[ ][A-Z][\w'’-]+)?(?![\w])")
_LAST_FIRST = re.compile(r"(?<![\w])(?P<l>[A-Z][\w'’-]+),[ ](?P<f>[A-Z][\w'’-]+)(?:[ ][A-Z]\.?)?(?![\w])")


def _is_cap(word: str) -> bool:
    return word[:1].isupper()


def _word_ok(word: str) -> bool:
    """May this word be part of a name at all?"""
    key = lexicon.fold(word.strip(".'"))
    if len(key) < 2 or key in _STOP:
        return False
    return key not in lexicon.not_names() or (
        _is_cap(word) and key in lexicon.wordlike() and lexicon.is_given(key)
    )


def _line_is_caps(text: str, start: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    letters = [c for c in line if c.isalpha()]
    return len(letters) > 12 and sum(c.isupper() for c in letters) > 0.7 * len(letters)


def _run(text: str, start: int, lower: str, cold: float) -> tuple[int, int, bool] | None:
    """The name that begins at ``start``: its end, how many of its words are listed, whether lower case."""
    initials = re.compile(rf"(?:{_INITIALS}){{1,4}}").match(text, start)
    pos = (
        initials.end()
        if initials and initials.end() < len(text) and text[initials.end()].isupper()
        else start
    )
    end, listed, words = pos, 0, 0
    lower_case = False
    caps_line = _line_is_caps(text, start)
    while words < 4:
        match = _TOKEN.match(text, pos)
        if not match:
            break
        raw = match.group()
        word = raw.rstrip(".")
        key = lexicon.fold(word)
        if key.endswith("'s"):
            word, key = word[:-2], key[:-2]
        if key in _PARTICLES and words and re.match(r"[ ][A-Z]", text[match.end() : match.end() + 2]):
            pos = match.end() + 1
            continue
        if len(word) == 1 and word.isupper() and words:
            end = match.start() + 1
            pos = match.end() + (text[match.end() : match.end() + 1] == " ")
            words += 1
            continue
        known = lexicon.is_name(word)
        wordlike = key in lexicon.wordlike()
        if not _word_ok(word) or ("-" in word and not known and not _is_cap(word)):
            break
        if words == 0:
            if _is_cap(word):
                if not known and not cold:
                    break
                if key in lexicon.not_names() and not re.match(
                    r"[ ]*(?:$|[,.!?;:\n)'\"]|[A-Z]|from\b|here\b)", text[match.end() :]
                ):
                    break
                if (
                    caps_line
                    and word.isupper()
                    and not known
                    and not (initials and pos > start)
                    and cold < 0.8
                ):
                    break
            elif (
                lower == "no"
                or (lower == "plain" and not lexicon.is_plain_name(word))
                or (lower == "list" and not known)
            ):
                break
            else:
                lower_case = True
        elif _is_cap(word) and not lower_case:
            if caps_line and word.isupper() and not known:
                break
        elif not (known and not wordlike) or (not lower_case and not caps_line):
            break
        words += 1
        listed += known
        end = match.start() + len(word)
        follow = match.end()
        if raw.endswith(".") and len(word) > 2:
            break
        if text[follow : follow + 1] != " ":
            break
        pos = follow + 1
    if not words:
        return None
    return end, listed, lower_case


def _closes(text: str, match: re.Match[str], key: str) -> bool:
    """A lower-case everyday word that is somebody's family name: "christina cooper ." """
    return (
        lexicon.is_surname(key)
        and key not in _NOT_AFTER_GIVEN
        and re.match(r"[ ]*(?:$|[,.!?;:\n]|(?:here|speaking|calling|is|was|has|from)\b)", text[match.end() :])
        is not None
    )


def cue_spans(text: str) -> Iterator[tuple[int, int, float, str, str, bool]]:
    """Names announced by a cue: start, end, score, rule, reason, whether it beats the list of public people."""
    for cue in _CUES:
        for match in cue.pattern.finditer(text):
            start = match.end()
            if cue.name == "title" and "." in match.group() and not _DOTTED_TITLE.match(match.group()):
                continue  # "Morning, doctor. Rahul ..." ends a sentence
            if cue.name == "devanagari":
                name = _DEVANAGARI_NAME.match(text, start)
                if name:
                    yield start, name.end(), cue.listed, cue.name, cue.reason, True
                continue
            found = _run(text, start, cue.lower, cue.cold)
            if found is None:
                continue
            end, listed, lower_case = found
            score = cue.listed if listed else cue.cold
            if not score or (lower_case and not listed and cue.cold < 0.85):
                continue
            if lower_case and cue.name.startswith("i_am") and lexicon.fold(text[start:end]) in _TRAITS:
                continue
            if cue.name == "speaker" and not re.match(r"[\])*]*[ ]?:", text[end:]):
                continue
            if cue.name == "here" and not re.match(r"[ ]+(?:here|this side|speaking|bol)", text[end:], re.I):
                continue
            if cue.name in ("with_ji", "ji_any") and not re.match(r"[ -]\w", text[end:]):
                continue
            if cue.name == "title":
                own = _SPAN_TITLE.match(text, match.start())
                start = match.start() if own and own.end() == match.end() else start
            yield start, end, score, cue.name, cue.reason, cue.intro


def listed_spans(text: str) -> Iterator[tuple[int, int, float, str, str, bool]]:
    """Runs of capitalised or unmistakable listed names, initials, and "Last, First"."""
    for match in _INITIALS_NAME.finditer(text):
        last = re.split(r"[. ]+", match.group())[-1]
        if not _word_ok(last) or (not lexicon.is_name(last) and "." not in match.group()):
            continue
        dotted = match.group().count(".")
        if lexicon.is_name(last) or dotted >= 2:
            yield *match.span(), 0.85, "initials", "initials and a name", False
    for match in _LAST_FIRST.finditer(text):
        last, first = match.group("l"), match.group("f")
        listed = lexicon.is_surname(last) and lexicon.is_given(first) and _word_ok(last) and _word_ok(first)
        if listed and (lexicon.is_plain_name(last) or lexicon.is_plain_name(first)):
            yield *match.span(), 0.8, "last_first", "family name first", False
    tokens = list(_TOKEN.finditer(text))
    index = 0
    while index < len(tokens):
        run = [tokens[index]]
        index += 1
        if not _starts_name(run[0].group().rstrip(".")):
            continue
        while index < len(tokens) and len(run) < 4:
            if text[run[-1].end() : tokens[index].start()] != " " or not _continues_name(run, tokens[index]):
                break
            run.append(tokens[index])
            index += 1
        score = _run_score(run, text)
        if score:
            end = run[-1].end() - (run[-1].group().endswith("."))
            if text[:end].endswith(("'s", "’s")):
                end -= 2
            yield run[0].start(), end, score, "listed", "name on a list", False


def _starts_name(word: str) -> bool:
    word = re.sub(r"['’]s$", "", word)
    if not _word_ok(word) or word in _HINGLISH:
        return False
    return lexicon.is_plain_name(word) or (_is_cap(word) and lexicon.is_name(word))


def _continues_name(run: list[re.Match[str]], token: re.Match[str]) -> bool:
    previous, word = run[-1].group(), re.sub(r"['’]s$", "", token.group().rstrip("."))
    if previous.endswith(".") and len(previous) > 2:
        return False
    if not _word_ok(word):
        return len(word) == 1 and word.isupper() and _is_cap(run[0].group())
    if _is_cap(run[0].group()):
        if run[0].group().isupper() and word.isupper() and len(word) > 1:
            return lexicon.is_name(word)
        return _is_cap(word) and not (word.isupper() and len(word) > 1 and not lexicon.is_name(word))
    return lexicon.is_plain_name(word) or (
        len(run) == 1
        and lexicon.is_given(previous)
        and lexicon.is_name(word)
        and _closes(token.string, token, lexicon.fold(word))
    )


def _run_score(run: list[re.Match[str]], text: str) -> float:
    words = [re.sub(r"['’]s$", "", t.group().rstrip(".")) for t in run]
    plain = [w for w in words if lexicon.is_plain_name(w)]
    known = [w for w in words if lexicon.is_name(w)]
    cap = _is_cap(words[0])
    if len(words) >= 2:
        if plain:
            return 0.85 if cap else 0.75
        clear = not any(lexicon.fold(w) in lexicon.not_names() for w in words)
        return 0.75 if cap and clear and len(known) >= 2 and lexicon.is_given(words[0]) else 0.0
    if not plain or len(words[0]) < 3:
        return 0.0
    given = lexicon.is_given(words[0])
    if cap:
        return 0.8 if given else 0.62
    return 0.7 if given and len(words[0]) >= 4 else 0.0


class NameRecognizer(EntityRecognizer):
    """Presidio recognizer for PERSON by cues and lists."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["PERSON"], name="name", supported_language="en")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        found = []
        for source in (cue_spans, listed_spans):
            for start, end, score, rule, reason, intro in source(text):
                if not intro and is_public(_SPAN_TITLE.sub("", text[start:end], count=1)):
                    continue
                found.append(result("PERSON", start, end, score, f"name.{rule}", reason))
        return found


def name_tokens(names: Iterable[str]) -> set[str]:
    """Folded words of found names that may be looked for in the rest of the record."""
    tokens = set()
    for name in names:
        for word in _TOKEN.findall(_SPAN_TITLE.sub("", name, count=1)):
            key = lexicon.fold(word.strip(".'"))
            if key.endswith("'s"):
                key = key[:-2]
            if (
                len(key) >= 3
                and key not in lexicon.not_names()
                and key not in _STOP
                and key not in _PARTICLES
            ):
                tokens.add(key)
    return tokens


def propagate(
    text: str, tokens: set[str], exact: set[str] | frozenset[str] = frozenset()
) -> Iterator[tuple[int, int]]:
    """Every whole-word occurrence of ``tokens`` in a text, neighbouring ones and initials joined; words of ``exact``
    count as they are written there.

    Everyday words among them (Will, Grace) count only where capitalised inside a sentence or written in capitals.
    """
    hits: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        word = match.group().rstrip(".")
        if re.search(r"['’]s$", word, re.I):
            word = word[:-2]
        key = lexicon.fold(word)
        if (key not in tokens and word not in exact) or word in _HINGLISH:
            continue
        if key in lexicon.wordlike():
            before = text[: match.start()].rstrip()
            opens = not before or before[-1] in ".!?:\n" or "\n" in text[len(before) : match.start()]
            if not _is_cap(word) or (opens and not word.isupper()):
                continue
        start, end = match.start(), match.start() + len(word)
        initials = re.search(rf"(?<![\w.])(?:{_INITIALS}){{1,4}}$", text[max(0, start - 16) : start])
        if initials and "." in initials.group():
            start -= len(initials.group())
        if hits and text[hits[-1][1] : start] == " ":
            hits[-1] = (hits[-1][0], end)
        else:
            hits.append((start, end))
    yield from hits
