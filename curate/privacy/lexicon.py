# ruff: noqa: E501  (tables of words and expressions read better unwrapped)
"""Word lists the recognizers share. Covers: loading the files in ``lexicon/`` and the name lists of the
indian-names package, and the few questions asked of them (is this a given name, a family name, a town, ...).
Does not cover: deciding that a word in a text *is* a name; that needs the words around it (`names`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import indian_names

FOLDER = Path(__file__).parent / "lexicon"


def fold(text: str) -> str:
    """Case and accents removed, typographic apostrophes made plain: the form every list is looked up in."""
    text = text.replace("’", "'")
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _lines(name: str) -> list[str]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _words(name: str) -> frozenset[str]:
    return frozenset(fold(word) for line in _lines(name) for word in line.split())


def _phrases(name: str) -> frozenset[str]:
    return frozenset(fold(p.strip()) for line in _lines(name) for p in line.split(",") if p.strip())


def _indian(kind: str) -> frozenset[str]:
    lines = Path(indian_names.FILES[kind]).read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip().lower() for line in lines[1:] if len(line.strip()) > 2)


@lru_cache(maxsize=1)
def indian_female() -> frozenset[str]:
    return _indian("first:female")


@lru_cache(maxsize=1)
def indian_male() -> frozenset[str]:
    return _indian("first:male")


@lru_cache(maxsize=1)
def indian_surnames() -> frozenset[str]:
    return _indian("last")


@lru_cache(maxsize=1)
def female() -> frozenset[str]:
    """Given names mostly of women, all origins."""
    return _words("names_female.txt") | indian_female()


@lru_cache(maxsize=1)
def male() -> frozenset[str]:
    """Given names mostly of men, all origins."""
    return _words("names_male.txt") | indian_male()


@lru_cache(maxsize=1)
def given() -> frozenset[str]:
    return female() | male()


@lru_cache(maxsize=1)
def surnames() -> frozenset[str]:
    return _words("surnames.txt") | indian_surnames()


@lru_cache(maxsize=1)
def wordlike() -> frozenset[str]:
    """Names that are also words: they need a cue."""
    return _words("wordlike.txt")


@lru_cache(maxsize=1)
def not_names() -> frozenset[str]:
    return _phrases("not_names.txt") | frozenset(p for p in regions())


@lru_cache(maxsize=1)
def cities() -> frozenset[str]:
    return _phrases("cities.txt")


@lru_cache(maxsize=1)
def regions() -> frozenset[str]:
    return _phrases("regions.txt")


@lru_cache(maxsize=1)
def eponyms() -> frozenset[str]:
    return _words("eponyms.txt")


@lru_cache(maxsize=1)
def public_figures() -> tuple[frozenset[str], frozenset[str]]:
    """Full names of public or fictional people, and those single words that stand for one of them."""
    full, single = set(), set()
    for line in _lines("public.txt"):
        name = fold(line.lstrip("="))
        full.add(name)
        words = name.split()
        if len(words) == 1:
            single.add(name)
        elif words[-1] not in given() and words[-1] not in COMMON_SURNAMES:
            single.add(words[-1])
    return frozenset(full), frozenset(single)


# Family names of public people that too many private people share to be read as the public one.
COMMON_SURNAMES = frozenset(
    "khan kumar singh sharma gandhi modi patel jackson jordan king west martin scott dylan lee chan cook johnson "
    "churchill washington jefferson franklin kennedy lincoln cruise hanks pitt freeman reeves bose dravid rahman "
    "williams granger weasley parker stark wayne kent potter white snow house hyde bean bond jones smart poppins "
    "pan hook simpson carson brown stewart oliver bell bing scott morgan poirot adams taylor norris bacon "
    "hilton cowell fallon jenner croft skywalker tharoor chopra padukone bachchan kohli dhoni tata ambani "
    "swift armstrong thunberg attenborough grylls astley sparrow musk gates jobs darwin newton tesla edison".split()
)


def is_given(word: str) -> bool:
    return fold(word) in given()


def is_surname(word: str) -> bool:
    return fold(word) in surnames()


def is_name(word: str) -> bool:
    """Known given or family name, word-like or not."""
    key = fold(word)
    return key in given() or key in surnames()


def is_plain_name(word: str) -> bool:
    """Known name that is no everyday word."""
    key = fold(word)
    return (key in given() or key in surnames()) and key not in wordlike() and key not in not_names()


def gender(word: str) -> str:
    """``f``, ``m`` or ``?`` for a given name."""
    key = fold(word)
    woman, man = key in female(), key in male()
    return "?" if woman == man else ("f" if woman else "m")


def origin(word: str) -> str:
    """``in`` when the name is on an Indian list, else ``world``: the pool its surrogate is drawn from."""
    key = fold(word)
    return "in" if key in indian_female() | indian_male() | indian_surnames() | _south_asian() else "world"


@lru_cache(maxsize=1)
def _south_asian() -> frozenset[str]:
    """Names of the world lists that people in India and its neighbours commonly bear."""
    return frozenset(
        "iyer iyengar pillai nambiar menon nair varma kutty mathew varghese cherian kurian rao reddy naidu shetty hegde "
        "bhat pai prabhu shenoy gowda murthy acharya khan ansari qureshi siddiqui sheikh shaikh pathan mirza chatterjee "
        "mukherjee banerjee ganguly bhattacharjee fernandes pereira rodrigues lobo d'souza dsouza gomes dcosta "
        "lakshmi venkatesh karthik meenakshi gurpreet gurleen imran aisha mohammed mohammad fatima ayesha salman farhan "
        "zeenat rekha reshma kavita shreya priya rahul".split()
    )


@lru_cache(maxsize=1)
def digest() -> str:
    """Hash of every list: part of the detector's version."""
    state = hashlib.sha256()
    for path in sorted(FOLDER.glob("*.txt")):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    for kind in ("first:female", "first:male", "last"):
        state.update(Path(indian_names.FILES[kind]).read_bytes())
    return state.hexdigest()


def alternation(phrases: frozenset[str]) -> str:
    """A regular expression matching any of the phrases, longest first, spaces flexible."""
    ordered = sorted(phrases, key=lambda p: (-len(p), p))
    return "|".join(re.escape(p).replace(r"\ ", r"[ ]+") for p in ordered)
