"""Identifiers nobody has: same shape, impossible content. Covers: one function per entity type that turns drawn
numbers into a value which fails its own check (checksum, unassigned range, reserved domain).
Does not cover: names, dates and places (`surrogates`).

Sources of the impossible ranges: RFC 2606 and 6761 (``.example``), RFC 5737 (IPv4 documentation blocks), RFC 3849
(2001:db8::/32), the Social Security Administration (areas 900-999 never assigned), 555-01xx in North America;
state codes of vehicles and licences, bank prefixes and passport letters that are not in use.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from curate.privacy.patterns import gstin_ok, luhn_ok, verhoeff_ok
from curate.privacy.phones import is_valid

Draw = Callable[[int], int]  # draw(n) -> 0..n-1, the next number of a keyed stream


def same_shape(text: str, draw: Draw) -> str:
    """Every digit another digit, every letter another letter of the same case; punctuation stays."""
    out = []
    for char in text:
        if char.isdecimal():
            out.append(chr(ord(char) - int(char) + draw(10)))
        elif char.isascii() and char.isalpha():
            out.append(chr(draw(26) + (65 if char.isupper() else 97)))
        else:
            out.append(char)
    return "".join(out)


def _digits(text: str, digits: str) -> str:
    """``text`` with its decimal digits replaced one by one."""
    stream = iter(digits)
    return "".join(next(stream) if c.isdecimal() else c for c in text)


def _number(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())


def _random(count: int, draw: Draw) -> str:
    return "".join(str(draw(10)) for _ in range(count))


def _until(make: Callable[[], str], wrong: Callable[[str], bool]) -> str:
    """The first value that is not ``wrong``; the streams are random, so a handful of tries do."""
    for _ in range(200):
        value = make()
        if not wrong(value):
            return value
    return value


def aadhaar(text: str, draw: Draw) -> str:
    """First digit 1 (never issued) and a failing Verhoeff digit."""
    count = len(_number(text))
    return _until(lambda: _digits(text, "1" + _random(count - 1, draw)), verhoeff_ok)


def card(text: str, draw: Draw) -> str:
    number = _number(text)
    if len(number) < 12:
        return _digits(text, _random(len(number), draw))
    return _until(lambda: _digits(text, number[0] + _random(len(number) - 1, draw)), luhn_ok)


def pan(text: str, draw: Draw) -> str:
    """A fourth letter that stands for no kind of holder."""
    out = same_shape(text, draw)
    return _letter(out, 3, "Q") if len(out) > 3 and out[3].isalpha() else out


def _letter(text: str, index: int, letter: str) -> str:
    return text[:index] + (letter if text[index].isupper() else letter.lower()) + text[index + 1 :]


def _leading_letters(text: str, letters: str, draw: Draw) -> str:
    out = same_shape(text, draw)
    for index, letter in enumerate(letters):
        if index < len(out) and out[index].isalpha():
            out = _letter(out, index, letter)
    return out


def gstin(text: str, draw: Draw) -> str:
    """State code 00 and a failing check character."""
    return _until(
        lambda: "00" + same_shape(text[2:12], draw) + text[12:14] + same_shape(text[14:], draw), gstin_ok
    )


def ifsc(text: str, draw: Draw) -> str:
    return _leading_letters(text[:4], "ZZ", draw) + text[4] + same_shape(text[5:], draw)


def vehicle(text: str, draw: Draw) -> str:
    return _leading_letters(text, "ZZ", draw) if text[:2].isalpha() else same_shape(text, draw)


def passport(text: str, draw: Draw) -> str:
    return _leading_letters(text, "Q", draw) if text[:1].isalpha() else "0" + same_shape(text[1:], draw)


def voter(text: str, draw: Draw) -> str:
    return _leading_letters(text, "ZZZ", draw)


def abha(text: str, draw: Draw) -> str:
    if "@" in text:
        return same_shape(text.split("@")[0], draw) + "@example"
    number = _number(text)
    return _digits(text, "00" + _random(len(number) - 2, draw))


def ssn(text: str, draw: Draw) -> str:
    number = _number(text)
    if len(number) < 9:
        return _digits(text, _random(len(number), draw))
    return _digits(text, "9" + _random(2, draw) + "00" + _random(4, draw))


def account(text: str, draw: Draw) -> str:
    """Leading zeros that no bank issues; letters change too (an IBAN then fails its check)."""
    if text[:2].isalpha():
        return "ZZ" + same_shape(text[2:], draw)
    number = _number(text)
    return (
        _digits(text, "000" + _random(len(number) - 3, draw)) if len(number) > 6 else same_shape(text, draw)
    )


def ip(text: str, draw: Draw) -> str:
    if ":" in text:
        return f"2001:db8::{draw(65536):x}:{draw(65536):x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[draw(3)]}.{1 + draw(254)}"


def url(text: str, draw: Draw) -> str:
    scheme = re.match(r"(?:https?|ftp)://", text, re.I)
    www = "www." if re.match(r"(?:\w+://)?www\.", text, re.I) else ""
    tail = f"/{draw(16**6):06x}" if "/" in text[scheme.end() if scheme else 0 :] else ""
    return f"{scheme.group() if scheme else ''}{www}site{draw(10**5):05d}.example{tail}"


def phone(text: str, draw: Draw) -> str:
    """Same country prefix and grouping, a subscriber number that no numbering plan knows."""
    number = _number(text)
    prefix = re.match(r"\s*(?:\+|00)[ ]?(\d{1,3})(?=[ ().-]|\d{10}$)|0(?=\d{10}$)", text)
    keep = len(_number(prefix.group())) if prefix else 0
    if re.match(r"\+?91", number) and len(number) == 12:
        keep = 2
    if len(number) - keep < 5:
        keep = 0
    if len(number) - keep == 10 and text.strip().startswith(("(", "+1", "1")):
        return _digits(
            text, number[:keep] + "555" + _random(3, draw).replace("555", "200") + "01" + _random(2, draw)
        )
    return _until(
        lambda: _digits(text, number[:keep] + "1" + _random(len(number) - keep - 1, draw)),
        lambda t: is_valid(t.strip()),
    )


def code(text: str, draw: Draw) -> str:
    """An order number, MRN, policy number: its leading letters say what it is and stay; the rest is new."""
    head = re.match(r"[A-Za-z]{1,5}(?=[-/]?\d)[-/]?", text)
    start = head.end() if head else 0
    rest = same_shape(text[start:], draw)
    zeros = 2 if sum(c.isdecimal() for c in rest) >= 6 else 0
    filled = []
    for char in rest:
        if zeros and char.isdecimal():
            char, zeros = "0", zeros - 1
        filled.append(char)
    return text[:start] + "".join(filled)


_WORDS = "zero one two three four five six seven eight nine".split()
_HINDI_WORDS = "shunya ek do teen char paanch chhe saat aath nau".split()


def spoken(text: str, draw: Draw) -> str:
    """Digits read aloud: each word another digit word of the same language."""

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        pool = (
            _HINDI_WORDS
            if word.lower() in [*_HINDI_WORDS, "chaar", "panch", "chhah", "sat", "ath"]
            else _WORDS
        )
        new = pool[draw(10)]
        return new.capitalize() if word[:1].isupper() else new

    pattern = "|".join([*_WORDS, *_HINDI_WORDS, "oh", "chaar", "panch", "chhah", "sunya", "sat", "ath"])
    out = re.sub(rf"\b(?:{pattern})\b", swap, text, flags=re.I)
    return re.sub(r"\d", lambda m: str(draw(10)), out)


SHAPES: dict[str, Callable[[str, Draw], str]] = {
    "AADHAAR": aadhaar,
    "ABHA": abha,
    "BANK_ACCOUNT": account,
    "CARD": card,
    "DRIVING_LICENCE": vehicle,
    "GSTIN": gstin,
    "ID": code,
    "IFSC": ifsc,
    "IP_ADDRESS": ip,
    "PAN": pan,
    "PASSPORT": passport,
    "PHONE": phone,
    "SSN": ssn,
    "URL": url,
    "VEHICLE": vehicle,
    "VOTER_ID": voter,
}
