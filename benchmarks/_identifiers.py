"""Identifiers made by seed, each in a sentence that carries it. Covers: one generator a kind, with right check digits.
Does not cover: scoring (`benchmarks.privacy`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from curate.privacy import patterns


def _with_check(digits: str, ok: Callable[[str], bool]) -> str:
    return next(digits + str(c) for c in range(10) if ok(digits + str(c)))


def _gstin(rng: random.Random) -> str:
    state = f"{rng.randint(1, 37):02d}"
    pan = f"{_letters(rng, 3)}P{_letters(rng, 1)}{rng.randint(0, 9999):04d}{_letters(rng, 1)}"
    body = f"{state}{pan}{rng.randint(1, 9)}Z"
    return next(body + c for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if patterns.gstin_ok(body + c))


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(count))


def _digits(rng: random.Random, count: int, first: str = "123456789") -> str:
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def _grouped(rng: random.Random, number: str, sizes: Sequence[int]) -> str:
    sep = rng.choice([" ", "-", ""])
    parts, pos = [], 0
    for size in sizes:
        parts.append(number[pos : pos + size])
        pos += size
    return sep.join(parts)


def _phone(rng: random.Random) -> str:
    number = _digits(rng, 10, "6789")
    body = rng.choice(
        [
            number,
            f"{number[:5]} {number[5:]}",
            f"{number[:5]}-{number[5:]}",
            f"{number[:3]} {number[3:6]} {number[6:]}",
        ]
    )
    return rng.choice(["", "+91 ", "+91-", "0", "91 "]) + body


def _email(rng: random.Random) -> str:
    name = "".join(rng.choice("aeioubcdfghklmnprstv") for _ in range(rng.randint(3, 9)))
    user = f"{name}{rng.choice(['.', '_', '', '-'])}{rng.choice('abcdefgh')}{rng.randint(0, 99)}"
    return f"{user}@{rng.choice(['gmail.com', 'firm.co.in', 'mail.example', 'uni.edu'])}"


GENERATORS: dict[str, Callable[[random.Random], str]] = {
    "AADHAAR": lambda r: _grouped(
        r, _with_check(_digits(r, 11, "23456789"), patterns.verhoeff_ok), (4, 4, 4)
    ),
    "PAN": lambda r: (
        f"{_letters(r, 3)}{r.choice('ABCFGHLJPT')}{_letters(r, 1)}{r.randint(0, 9999):04d}{_letters(r, 1)}"
    ),
    "GSTIN": _gstin,
    "IFSC": lambda r: f"{_letters(r, 4)}0{r.randint(0, 999999):06d}",
    "UPI": lambda r: (
        f"{_email(r).split('@')[0]}@{r.choice(['okaxis', 'ybl', 'paytm', 'upi', 'oksbi', 'ibl', 'apl'])}"
    ),
    "PHONE": _phone,
    "EMAIL": _email,
    "CARD": lambda r: _grouped(r, _with_check(_digits(r, 15, "45"), patterns.luhn_ok), (4, 4, 4, 4)),
    "IP": lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)),
    "ACCT": lambda r: _digits(r, r.randint(9, 16)),
}
# Sentences around them, none from the tuning data; {x} is the identifier. Accounts always have their word.
CARRIERS = (
    "can you check {x} for me please",
    "It should be {x}, I typed it twice.",
    "{x} - that is what the form says",
    "details below\n\n{x}\n\nthanks in advance",
    "Details ({x}) were shared on the earlier thread.",
    "mine is {x} and hers is different",
)
