"""Who may do what: users, roles, passwords, tokens.

Covers: the one permission table, the check that every service function makes, argon2 password hashes, API
tokens, which person of an OpenID Connect provider is which user. Does not cover: sessions, cookies and login rates
(the server's), nor the provider's protocol (`curate.oidc`).
"""

from __future__ import annotations

import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from curate.contract import sha256_hex
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.store import Store, Tx, utcnow

ROLES = ("viewer", "annotator", "reviewer", "adjudicator", "lead", "admin")


def _from(role: str) -> frozenset[str]:
    return frozenset(ROLES[ROLES.index(role) :])


PERMISSIONS: dict[str, frozenset[str]] = {  # permission -> the roles that have it
    "read": _from("viewer"),
    "annotate": _from("annotator"),  # edit, label, comment, flag, skip
    "review": _from("reviewer"),  # approve, reject, return; decide on findings
    "adjudicate": _from("adjudicator"),  # decide what others disagree on or flagged
    "see_originals": _from("adjudicator"),  # text before anonymization
    "import": _from("lead"),
    "scan": _from("lead"),
    "dedupe": _from("lead"),
    "oversee": _from("lead"),  # decisions in bulk, gold items, who agrees with whom
    "freeze": _from("lead"),
    "train": _from("lead"),
    "evaluate": _from("lead"),
    "promote": _from("lead"),
    "override": _from("lead"),  # release without a PASS, with name and reason
    "manage_users": _from("admin"),
    "erase": _from("admin"),  # delete a person's texts for good
    "backup": _from("admin"),  # a copy of everything, originals included
}

PROVIDER = "oidc"  # who makes and changes users when they sign in through a provider
RESERVED = frozenset({"intake", "system", PROVIDER})  # authors of what no person wrote
MIN_PASSWORD = 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_hasher = PasswordHasher()


@dataclass(frozen=True)
class Actor:
    """The acting user of a call."""

    user: str
    role: str


def may(actor: Actor, permission: str) -> bool:
    """Whether the actor's role has a permission (a key of PERMISSIONS)."""
    return actor.role in PERMISSIONS[permission]


def require(actor: Actor, permission: str) -> None:
    """Raise `PermissionDenied`, naming the roles that may, unless the actor has the permission."""
    if not may(actor, permission):
        raise PermissionDenied(
            f"{actor.user} is {actor.role} and may not {permission.replace('_', ' ')}; "
            f"that takes {', '.join(r for r in ROLES if r in PERMISSIONS[permission])}. Ask an admin."
        )


def create_user(
    store: Store, actor: Actor | None, name: str, role: str, password: str | None = None
) -> Actor:
    """Add a user. Without a password they can act through the command line and tokens only.

    ``actor=None`` makes the first admin of an empty store and nothing else. Raises `UsageError` for a bad or
    taken name, a role that does not exist, a short password.
    """
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"{name!r} cannot be a user name: letters, digits and ._@- only, at most 64, "
            f"not {' or '.join(sorted(RESERVED))}."
        )
    _check_role(role)
    hashed = _hash(password) if password is not None else None
    if actor is not None:
        require(actor, "manage_users")

    def write(tx: Tx) -> None:
        taken = tx.one("SELECT name FROM users WHERE lower(name) = lower(?)", [name])
        if taken:
            raise UsageError(f"There is a user {taken['name']!r} already.")
        if actor is None and (role != "admin" or tx.one("SELECT 1 AS x FROM users")):
            raise PermissionDenied("Only the first user, an admin, is made without an admin. Log in as one.")
        by = actor.user if actor else name
        tx.execute("INSERT INTO users VALUES (?, ?, ?, true, ?, ?)", [name, role, hashed, utcnow(), by])
        tx.event("user_created", by, user=name, role=role)

    store.write(write)
    return Actor(name, role)


def ensure_owner(store: Store, name: str) -> None:
    """Make ``name`` the first admin of an empty store; a store with users stays as it is."""
    if store.one("SELECT 1 AS x FROM users") is None:
        create_user(store, None, name, "admin")


def set_user(
    store: Store,
    actor: Actor,
    name: str,
    *,
    role: str | None = None,
    password: str | None = None,
    active: bool | None = None,
) -> None:
    """Change a user's role, password or whether they may act at all; a changed password revokes their tokens.

    One's own password needs no permission. Refuses to take away the last active admin.
    """
    if actor.user != name or role is not None or active is not None:
        require(actor, "manage_users")
    if role is not None:
        _check_role(role)
    hashed = _hash(password) if password is not None else None

    def write(tx: Tx) -> None:
        row = _user(tx, name)
        loses = (role not in (None, "admin") or active is False) and row["role"] == "admin" and row["active"]
        others = "SELECT 1 AS x FROM users WHERE role = 'admin' AND active AND name <> ?"
        if loses and not tx.one(others, [name]):
            raise UsageError(f"{name} is the last admin. Make another one first.")
        tx.execute(
            "UPDATE users SET role = coalesce(?, role), password_hash = coalesce(?, password_hash),"
            " active = coalesce(?, active) WHERE name = ?",
            [role, hashed, active, name],
        )
        if hashed or active is False:
            tx.execute(
                "UPDATE tokens SET revoked_ts = ? WHERE owner = ? AND revoked_ts IS NULL", [utcnow(), name]
            )
        tx.event("user_changed", actor.user, user=name, role=role, password=bool(hashed), active=active)

    store.write(write)


def authenticate(store: Store, name: str, password: str) -> Actor:
    """The actor behind a name and a password. One and the same `PermissionDenied` for every way to be

    wrong."""
    row = store.one("SELECT * FROM users WHERE name = ? AND active", [name])
    stored = row["password_hash"] if row and row["password_hash"] else _nobody()
    right = False
    with suppress(VerificationError, InvalidHashError):
        right = _hasher.verify(stored, password)
    if not right or row is None or not row["password_hash"]:
        raise PermissionDenied("Name or password is wrong.")
    if _hasher.check_needs_rehash(stored):
        fresh = _hasher.hash(password)
        store.write(lambda tx: tx.execute("UPDATE users SET password_hash = ? WHERE name = ?", [fresh, name]))
    return Actor(row["name"], row["role"])


def sign_in(store: Store, issuer: str, subject: str, name: str, role: str) -> Actor:
    """The user of a provider's person, whose groups say ``role``; made at the first sign-in, without a password.

    ``issuer`` and ``subject`` name the person for good; ``name`` is only what a new user is called. The role follows
    the groups at every sign-in, but the last admin stays one. Raises `PermissionDenied` for a deactivated user, and
    when a user of that name exists who is not this person: a name that two services give must not open an account.
    """
    _check_role(role)

    def write(tx: Tx) -> Actor:
        known = tx.one("SELECT name FROM identities WHERE issuer = ? AND subject = ?", [issuer, subject])
        if known is None:
            if not _NAME.fullmatch(name) or name in RESERVED:
                raise PermissionDenied(
                    f"{name!r} cannot be a user name here: letters, digits and ._@- only, at most 64. "
                    "Ask an admin to choose another name_claim."
                )
            if tx.one("SELECT 1 AS x FROM users WHERE lower(name) = lower(?)", [name]):
                raise PermissionDenied(
                    f"There is a user {name!r} already who did not come through the provider. "
                    f"If that is you, an admin runs: goldpair users link {name} --subject {subject!r}"
                )
            tx.execute("INSERT INTO identities VALUES (?, ?, ?, ?)", [issuer, subject, name, utcnow()])
            tx.execute("INSERT INTO users VALUES (?, ?, NULL, true, ?, ?)", [name, role, utcnow(), PROVIDER])
            tx.event("user_created", PROVIDER, user=name, role=role)
            return Actor(name, role)
        row = _user(tx, known["name"])
        if not row["active"]:
            raise PermissionDenied(f"{row['name']} is deactivated. Ask an admin.")
        others = "SELECT 1 AS x FROM users WHERE role = 'admin' AND active AND name <> ?"
        if role == row["role"] or (row["role"] == "admin" and not tx.one(others, [row["name"]])):
            return Actor(row["name"], row["role"])
        tx.execute("UPDATE users SET role = ? WHERE name = ?", [role, row["name"]])
        tx.event("user_changed", PROVIDER, user=row["name"], role=role, password=False, active=None)
        return Actor(row["name"], role)

    return store.write(write)


def link(store: Store, actor: Actor, name: str, issuer: str, subject: str) -> None:
    """Say that a user is a person of the provider, who signs in as them from then on.

    From the next sign-in the person's groups decide the role. Raises `UsageError` when the person is somebody already.
    """
    require(actor, "manage_users")

    def write(tx: Tx) -> None:
        _user(tx, name)
        taken = tx.one("SELECT name FROM identities WHERE issuer = ? AND subject = ?", [issuer, subject])
        if taken:
            raise UsageError(f"That person of the provider is {taken['name']} already.")
        tx.execute("INSERT INTO identities VALUES (?, ?, ?, ?)", [issuer, subject, name, utcnow()])
        tx.event("user_linked", actor.user, user=name)

    store.write(write)


def actor_for(store: Store, name: str) -> Actor:
    """The actor of a known, active user, without a password: for whoever owns the store file. Raises

    `NotFound`."""
    row = _user(store, name)
    if not row["active"]:
        raise PermissionDenied(f"{name} is deactivated. Ask an admin.")
    return Actor(row["name"], row["role"])


def issue_token(store: Store, actor: Actor, user: str) -> str:
    """A new API token for oneself, or for another by an admin. It is shown once; the store keeps its hash."""
    if actor.user != user:
        require(actor, "manage_users")
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)

    def write(tx: Tx) -> None:
        _user(tx, user)
        tx.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, NULL)", [token_id, user, sha256_hex(secret), utcnow()]
        )
        tx.event("token_issued", actor.user, user=user, token=token_id)

    store.write(write)
    return f"gp_{token_id}_{secret}"


def revoke_tokens(store: Store, actor: Actor, user: str) -> int:
    """Revoke every token of a user; returns how many there were."""
    if actor.user != user:
        require(actor, "manage_users")

    def write(tx: Tx) -> int:
        live = tx.rows("SELECT token_id FROM tokens WHERE owner = ? AND revoked_ts IS NULL", [user])
        tx.execute(
            "UPDATE tokens SET revoked_ts = ? WHERE owner = ? AND revoked_ts IS NULL", [utcnow(), user]
        )
        if live:
            tx.event("tokens_revoked", actor.user, user=user, tokens=[row["token_id"] for row in live])
        return len(live)

    return store.write(write)


def actor_for_token(store: Store, token: str) -> Actor:
    """The actor behind an API token. Raises `PermissionDenied` for an unknown, revoked or malformed one."""
    prefix, _, rest = token.partition("_")
    token_id, _, secret = rest.partition("_")
    row = store.one(
        "SELECT u.name, u.role, t.token_hash FROM tokens t JOIN users u ON u.name = t.owner"
        " WHERE t.token_id = ? AND t.revoked_ts IS NULL AND u.active",
        [token_id],
    )
    known = row["token_hash"] if row else sha256_hex("")
    if prefix != "gp" or not hmac.compare_digest(known, sha256_hex(secret)) or row is None:
        raise PermissionDenied("The token is unknown or revoked. `goldpair users token` makes a new one.")
    return Actor(row["name"], row["role"])


def list_users(store: Store) -> list[dict[str, Any]]:
    """Name, role, active, has_password, created_ts, created_by of every user, by name."""
    return store.rows(
        "SELECT name, role, active, password_hash IS NOT NULL AS has_password, created_ts, created_by"
        " FROM users ORDER BY name"
    )


def _user(where: Store | Tx, name: str) -> dict[str, Any]:
    row = where.one("SELECT * FROM users WHERE name = ?", [name])
    if row is None:
        raise NotFound(f"No user {name!r}. `goldpair users add NAME --role ROLE` makes one.")
    return row


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageError(f"No role {role!r}. Roles: {', '.join(ROLES)}.")


def _hash(password: str) -> str:
    if len(password) < MIN_PASSWORD:
        raise UsageError(f"A password has at least {MIN_PASSWORD} characters.")
    return _hasher.hash(password)


@cache
def _nobody() -> str:
    """Hash that is verified for an unknown name, so that the answer takes as long as for a known one."""
    return _hasher.hash(secrets.token_hex(16))
