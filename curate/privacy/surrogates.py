# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Fake values for one record, consistent with each other. Covers: one real name word is one fake name word
everywhere in the record (so aliases, families and e-mail addresses stay linked), dates moved by one secret offset,
towns, addresses and organisations in kind. Does not cover: putting them into the text (`replace`).

Every choice is drawn from HMAC-SHA256(key, record id, what is replaced): the same key gives the same fakes, and
without the key nothing can be computed back. An empty record id makes fakes the same in all records of a key.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache

from curate.privacy import dates, lexicon, shapes
from curate.privacy.names import _PARTICLES, _SPAN_TITLE

_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['’](?=[^\W\d_])|[\u0900-\u097F])*")
_FEMALE_TITLES = frozenset(
    "mrs ms miss smt shrimati kumari kum tmt madam didi aunty wife mother daughter sister".split()
)
_MALE_TITLES = frozenset("mr shri sri shree thiru bhai bhaiya husband father son brother".split())

_TOWNS_IN = (
    "Nagpur Indore Bhopal Vadodara Coimbatore Mysuru Nashik Ranchi Guwahati Madurai Jodhpur Raipur Kozhikode Surat "
    "Ludhiana Udaipur Vijayawada Gwalior Dehradun Thrissur"
).split()
_TOWNS = (
    "Leeds Bristol Portland Denver Tampa Calgary Perth Brisbane Lyon Hamburg Turin Porto Bergen Krakow Osaka Busan "
    "Nairobi Accra Durban Cebu"
).split()
_LOCALITIES = (
    "Ashoknagar Chandanwadi Devpuri Eastfield Fernvale Girivihar Hillview Indrapuri Jalvihar Kamalpur Lakeshore Malviya "
    "Navjeevan Orchard Parkside Quarry Ramtek Shantivan Tilaknagar Udayan Vasantpur Westbrook Yogashram Zeneta Amravan "
    "Birchwood Cedarholm Dhanlaxmi Elmhurst Greenway"
).split()
_COINED = (
    "Aruvia Belnova Corvanta Dhruvika Elantra Fintara Gavora Havelion Inderra Jovanta Kelvara Lumindra Meravia Navorix "
    "Orvanta Pranvika Quendor Rivanta Solvika Tarvion Umbrela Vaayuna Wendora Xantora Yuvanta Zelvora Ambika Brantor "
    "Cindova Delvika"
).split()
_GIVEN_HI = {
    "f": "अनीता कविता सुनीता रेखा मीना पूजा ज्योति सीमा".split(),
    "m": "राजेश सुरेश अमित विजय मनोज अनिल संजय दीपक".split(),
}
_SURNAME_HI = "वर्मा गुप्ता मिश्रा जोशी यादव तिवारी पटेल सिन्हा".split()

_KEPT_WORDS = frozenset(
    "flat apartment apt house home door plot shop office unit suite quarter quarters villa bungalow block tower wing room no number floor near opp opposite "
    "behind beside next to above off the of and at nagar nagara colony layout cross main road rd street st lane ln gali marg path chowk circle square "
    "sector sec phase stage extension extn enclave vihar puram puri pura pur peth wadi bagh ganj bazaar bazar market cantt cantonment estate society apartments "
    "apts towers residency residence heights homes gardens garden complex plaza arcade building bldg bhavan bhawan niwas nivas kunj sadan salai theru "
    "village taluk taluka tehsil mandal district dist post po ps ward hobli avenue ave boulevard blvd drive dr court ct place pl terrace way close crescent "
    "parkway highway row park hill hills bridge junction bypass old new east west north south atm bank temple mandir school metro station bus stand hospital "
    "railway pin pincode pvt ltd private limited llp llc inc corp corporation gmbh plc co company sons associates clinic nursing medical centre center "
    "health healthcare polyclinic diagnostics labs laboratories pathology pharmacy college university vidyalaya institute academy industries enterprises "
    "technologies solutions infotech software softwares consultants consultancy textiles traders logistics foods motors construction constructions builders "
    "exports services systems retail chemicals pharma multispeciality multispecialty superspeciality general children memorial eye dental civil community "
    "public high higher secondary international primary engineering for in on h d s a b c e f g i j k l m n p q r t u v w x y z".split()
)


@lru_cache(maxsize=8)
def _pool(kind: str, where: str) -> tuple[str, ...]:
    """Candidate fake name words: unmistakable names only, so that a fake never reads as an everyday word."""
    if kind == "surname":
        words = (
            lexicon.indian_surnames()
            if where == "in"
            else lexicon._words("surnames.txt") - lexicon.indian_surnames()
        )
    elif where == "in":
        words = lexicon.indian_female() if kind == "f" else lexicon.indian_male()
    else:
        words = lexicon._words("names_female.txt" if kind == "f" else "names_male.txt")
    other = lexicon.male() if kind == "f" else lexicon.female() if kind == "m" else frozenset()
    bad = lexicon.wordlike() | lexicon.not_names() | lexicon.cities() | lexicon.regions() | other
    public = lexicon.public_figures()[1]
    return tuple(sorted(w for w in words if len(w) > 3 and w.isalpha() and w not in bad and w not in public))


class Fakes:
    """The fake values of one record. ``reals`` are the texts that will be replaced, by entity type.

    No fake equals one of them, nor anything in ``taken`` (compared as written and in lower case), and two
    different real name words, towns or numbers never get the same fake.
    """

    def __init__(
        self, key: bytes, record_id: str, reals: Mapping[str, Iterable[str]], taken: Container[str] = ()
    ) -> None:
        if len(key) < 16:
            raise ValueError("the pseudonym key must have at least 16 bytes")
        self._key = key
        self._record = record_id.encode("utf-8", "surrogatepass")
        self._taken = taken
        self._given: dict[str, str] = {}  # folded real word -> fake word
        self._words: dict[tuple[str, str], str] = {}
        self._values: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()
        texts = {kind: [self._clean(t) for t in found] for kind, found in reals.items()}
        self._reals = {lexicon.fold(t) for found in texts.values() for t in found}
        self._offset = self._date_offset()
        self._read_dates(texts.get("DATE", ()))
        self._read_names(texts.get("PERSON", ()))

    @staticmethod
    def _clean(text: str) -> str:
        return " ".join(text.split())

    def _stream(self, *what: str) -> shapes.Draw:
        """Numbers drawn from the key for one purpose."""
        seed = hmac.new(
            self._key,
            b"\0".join([self._record, *(w.encode("utf-8", "surrogatepass") for w in what)]),
            hashlib.sha256,
        ).digest()
        state = {"n": 0}

        def draw(n: int) -> int:
            state["n"] += 1
            block = hmac.new(seed, state["n"].to_bytes(8, "big"), hashlib.sha256).digest()
            return int.from_bytes(block[:8], "big") % n

        return draw

    def _free(self, value: str) -> bool:
        low = lexicon.fold(value)
        return (
            low not in self._used
            and low not in self._reals
            and value not in self._taken
            and low not in self._taken
        )

    def _pick(self, pool: Iterable[str], *what: str) -> str:
        """The next free candidate of a pool, from a place in it that the key decides."""
        items = list(pool)
        start = self._stream(*what)(len(items))
        for step in range(len(items)):
            candidate = items[(start + step) % len(items)]
            if self._free(candidate) and candidate not in self._real_words:
                self._used.add(lexicon.fold(candidate))
                return candidate
        draw = self._stream(*what, "coined")
        while True:  # the pool is used up: coin a word
            coined = "".join("bdfgklmnprstv"[draw(13)] + "aeiou"[draw(5)] for _ in range(4)).capitalize()
            if self._free(coined):
                self._used.add(lexicon.fold(coined))
                return coined

    # --- names

    def _read_names(self, found: Iterable[str]) -> None:
        """Decide role, gender and origin of every name word, then give each its fake."""
        full = sorted(set(found), key=lambda t: (-len(_WORD.findall(t)), lexicon.fold(t)))
        role: dict[str, str] = {}
        sex: dict[str, str] = {}
        where: dict[str, str] = {}
        for text in full:
            title = _SPAN_TITLE.match(text)
            words = [w for w in _WORD.findall(text[title.end() :] if title else text) if len(w) > 1]
            words = [w for w in words if lexicon.fold(w) not in _PARTICLES or len(words) == 1]
            if not words:
                continue
            if "," in text and len(words) >= 2:
                words = [*words[1:], words[0]]
            origin = "in" if any(lexicon.origin(w) == "in" for w in words) else "world"
            for index, word in enumerate(words):
                key = lexicon.fold(word)
                last = len(words) > 1 and index == len(words) - 1
                alone = len(words) == 1 and (
                    bool(title) or (lexicon.is_surname(word) and not lexicon.is_given(word))
                )
                role.setdefault(key, "surname" if last or alone else "given")
                where[key] = (
                    "hi" if "\u0900" <= word[0] <= "\u097f" else "in" if where.get(key) == "in" else origin
                )
                if role[key] == "given" and lexicon.gender(word) != "?":
                    sex.setdefault(key, lexicon.gender(word))
            if title and len(words) > 1:
                hint = lexicon.fold(title.group().strip(" ."))
                known = "f" if hint in _FEMALE_TITLES else "m" if hint in _MALE_TITLES else ""
                if known:
                    sex[lexicon.fold(words[0])] = known
        self._real_words = set(role)
        self._people = [[lexicon.fold(w) for w in _WORD.findall(t)] for t in full]
        for key in sorted(role):
            self._fake_word(key, role[key], sex.get(key, "?"), where[key])

    def _fake_word(self, key: str, role: str, sex: str, where: str) -> str:
        if key not in self._given:
            if sex == "?":
                sex = "fm"[self._stream("sex", key)(2)]
            if where == "hi":
                pool: Iterable[str] = _SURNAME_HI if role == "surname" else _GIVEN_HI[sex]
            else:
                pool = _pool("surname" if role == "surname" else sex, where)
            self._given[key] = self._pick(pool, "name", role, key)
        return self._given[key]

    def person(self, text: str) -> str:
        """The fake for a name as written: same words, titles, initials and case."""
        title = _SPAN_TITLE.match(text)
        start = title.end() if title and title.end() < len(text) else 0
        words = [lexicon.fold(w) for w in _WORD.findall(text[start:])]

        def swap(match: re.Match[str]) -> str:
            word = match.group()
            possessive = re.search(r"['’][sS]$", word)
            tail = possessive.group() if possessive else ""
            core = word[: len(word) - len(tail)]
            key = lexicon.fold(core)
            if key in self._given:
                return _like(self._given[key], core) + tail
            if key in _PARTICLES:
                return word
            if len(core) == 1:
                return _like(self._initial(key, words), core) + tail
            return (
                _like(self._fake_word(key, "given", lexicon.gender(core), lexicon.origin(core)), core) + tail
            )

        return text[:start] + _WORD.sub(swap, text[start:])

    def _initial(self, letter: str, words: list[str]) -> str:
        """First letter of the fake of whom the initial stands for, when the record says; else a drawn letter."""
        surname = [w for w in words if len(w) > 1]
        for person in self._people:
            firsts = [w for w in person if len(w) > 1 and w[0] == letter and w not in surname]
            if firsts and (not surname or surname[-1] in person):
                return self._given.get(firsts[0], letter)[0]
        return chr(97 + self._stream("initial", letter, *surname)(26))

    def _local_part(self, text: str) -> str:
        """Left side of an address: name words by their fakes, other words by a fake name, digits by digits."""
        draw = self._stream("local", lexicon.fold(text))
        known = sorted(self._given, key=len, reverse=True)

        def swap(match: re.Match[str]) -> str:
            word = match.group()
            key = lexicon.fold(word)
            if key in self._given:
                return _like(_ascii(self._given[key]), word)
            parts = [k for k in known if len(k) > 3 and k in key]
            if parts:
                head = key.index(parts[0])
                rest = key[:head] + "\0" + key[head + len(parts[0]) :]
                second = next((k for k in known if len(k) > 2 and k in rest.replace("\0", " ").split()), None)
                fake = _ascii(self._given[parts[0]])
                if second:
                    other = _ascii(self._given[second])
                    return other + fake if rest.index(second) < rest.index("\0") else fake + other
                return fake + (chr(97 + draw(26)) if len(key) > len(parts[0]) else "")
            if len(word) == 1:
                return self._initial(key, [])
            if key in ("dot", "underscore", "dash", "hyphen", "at", "the", "rate"):
                return word
            return _like(
                _ascii(self._fake_word(key, "given", lexicon.gender(word), lexicon.origin(word))), word
            )

        out = re.sub(r"[^\W\d_]+", swap, text)
        return re.sub(r"\d", lambda m: str(draw(10)), out)

    def email(self, text: str) -> str:
        if "@" not in text:  # read aloud
            head, tail = re.split(r"(?=\s+at\s)", text, maxsplit=1, flags=re.I)
            return self._local_part(head) + re.sub(
                r"(\sat(?: the rate(?: of)?)?\s+).*", r"\1mail dot example", tail, flags=re.I
            )
        local, domain = text.rsplit("@", 1)
        host = domain.split(".")[0].lower()
        public = (
            "gmail",
            "yahoo",
            "hotmail",
            "outlook",
            "rediffmail",
            "icloud",
            "proton",
            "protonmail",
            "live",
            "aol",
        )
        fake_host = host if host in public else self._coined(host).lower()
        return f"{self._local_part(local)}@{fake_host}.example"

    def upi(self, text: str) -> str:
        local = text.split("@")[0]
        digits = re.sub(r"\D", "", local)
        fake = (
            self.value("PHONE", local) if digits == local and len(digits) >= 10 else self._local_part(local)
        )
        return f"{fake}@examplebank"

    # --- dates

    def _date_offset(self) -> int:
        draw = self._stream("date offset")
        return (draw(365) + 1) * (1 if draw(2) else -1)

    def _read_dates(self, found: Iterable[str]) -> None:
        read = [d for t in found if (d := dates.parse(t) or dates.parse(t[dates.lead(t)[0] :]))]
        years = [d.year for d in read if d.year]
        self._nominal = max(set(years), key=lambda y: (years.count(y), y)) if years else 2023
        self._month_first = any(d.order == "mdy" for d in read) and not any(
            d.form in ("numeric", "short_numeric") and d.day > 12 and d.order == "dmy" for d in read
        )

    def date(self, text: str) -> str:
        """The date moved by the record's offset, written in the same form, its weekday with it."""
        length, weekday = dates.lead(text)
        if length and dates.parse(text) is None:
            opening = text[:length]
            if weekday is not None:
                word = re.match(r"\w+", opening)
                moved_day = dates.weekday_like((weekday + self._offset) % 7, word.group() if word else "")
                opening = moved_day + opening[word.end() if word else 0 :]
            return opening + self.date(text[length:]) if length < len(text) else opening
        found = dates.parse(text)
        value = found.as_date(self._nominal) if found else None
        if found is None or value is None:
            return dates.scrambled(text, self._stream("date", text))
        if (
            self._month_first
            and found.form in ("numeric", "short_numeric")
            and found.order == "dmy"
            and found.month
        ) and found.day <= 12:
            swapped = dates.DateText(
                found.form, found.text, found.month, found.day, found.year, found.spans, "mdy"
            )
            found, value = swapped, swapped.as_date(self._nominal) or value
        moved = value + dt.timedelta(days=self._offset)
        return found.render(moved) + text[len(found.text) :]

    # --- places and organisations

    def _coined(self, word: str) -> str:
        key = ("coined", lexicon.fold(word))
        if key not in self._words:
            self._words[key] = self._pick(_COINED, *key)
        return self._words[key]

    def city(self, text: str) -> str:
        key = ("city", lexicon.fold(self._clean(text)))
        if key not in self._words:
            home = _is_indian_town(key[1])
            self._words[key] = self._pick(_TOWNS_IN if home else _TOWNS, *key)
        return _like(self._words[key], text)

    def _phrase(self, text: str, kind: str, pool: Iterable[str]) -> str:
        """Words that only say what kind of place it is stay; names of places and people get their fakes."""
        draw = self._stream(kind, lexicon.fold(text))
        town = (
            re.compile(rf"(?<![\w])(?:{lexicon.alternation(lexicon.cities())})(?![\w])", re.I)
            if kind == "address"
            else None
        )
        out, pos = [], 0
        for match in town.finditer(text) if town else ():
            out += [self._swap_words(text[pos : match.start()], kind, pool), self.city(match.group())]
            pos = match.end()
        out.append(self._swap_words(text[pos:], kind, pool))
        digit = iter(lambda: draw(10), -1)
        return re.sub(
            r"\d+(?!\d|st\b|nd\b|rd\b|th\b)",
            lambda m: (
                m.group()[:2] + "".join(str(next(digit)) for _ in m.group()[2:])
                if len(m.group()) >= 5
                else "".join(str(1 + next(digit) % 9) for _ in m.group())
            ),
            "".join(out),
        )

    def _swap_words(self, text: str, kind: str, pool: Iterable[str]) -> str:
        regions = lexicon.regions()

        def swap(match: re.Match[str]) -> str:
            word = match.group()
            tail = "'s" if word.lower().endswith(("'s", "’s")) else ""
            key = lexicon.fold(word[: len(word) - len(tail)])
            if key in self._given:
                return _like(self._given[key], word) + tail
            if key in _KEPT_WORDS or key in regions or any(key in region.split() for region in regions):
                return word
            if re.fullmatch(r"(?:st|nd|rd|th)", key):
                return word
            if (kind, key) not in self._words:
                self._words[kind, key] = self._pick(pool, kind, key)
            return _like(self._words[kind, key], word) + tail

        return _WORD.sub(swap, text)

    # --- the rest

    def value(self, kind: str, text: str) -> str:
        """The fake of an identifier; spellings that differ only in spaces and dashes get the same digits."""
        core = re.sub(r"[^0-9a-zA-Z]", "", text)
        if kind == "PHONE" and not re.search(r"\d", text):
            kind = "SPOKEN"
        shared = core[-10:] if kind == "PHONE" and len(core) >= 10 else core.lower()
        for attempt in range(50):
            draw = self._stream(kind, shared, str(attempt))
            fake = (
                shapes.spoken(text, draw)
                if kind == "SPOKEN"
                else shapes.SHAPES.get(kind, shapes.code)(text, draw)
            )
            owner = self._values.get((kind, lexicon.fold(fake)))
            if owner == shared:
                return fake
            if owner is None and self._free(fake):
                self._values[kind, lexicon.fold(fake)] = shared
                return fake
        return fake

    def surrogate(self, entity_type: str, text: str) -> str:
        """The fake for a span of a given type."""
        if entity_type == "PERSON":
            return self.person(text)
        if entity_type == "DATE":
            return self.date(text)
        if entity_type == "EMAIL":
            return self.email(text)
        if entity_type == "UPI":
            return self.upi(text)
        if entity_type == "CITY":
            return self.city(text)
        if entity_type == "ADDRESS":
            return self._phrase(text, "address", _LOCALITIES)
        if entity_type == "ORG":
            return self._phrase(text, "org", _COINED)
        return self.value(entity_type, text)


def _is_indian_town(folded: str) -> bool:
    text = (lexicon.FOLDER / "cities.txt").read_text(encoding="utf-8")
    home = text.split("# --- elsewhere")[0]
    return re.search(rf"(?<![\w]){re.escape(folded)}(?![\w])", home) is not None


def _ascii(word: str) -> str:
    return word if word.isascii() else "user"


def _like(word: str, like: str) -> str:
    """``word`` in the case of ``like``."""
    if len(like) > 1 and like.isupper():
        return word.upper()
    if like[:1].isupper():
        return word[:1].upper() + word[1:]
    return word.lower() if like[:1].islower() else word
