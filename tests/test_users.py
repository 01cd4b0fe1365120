"""Users, roles, passwords, tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate import users
from curate.errors import NotFound, PermissionDenied, UsageError
from curate.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.duckdb") as opened:
        yield opened
        assert opened.verify_chain() == []


@pytest.fixture
def admin(store: Store) -> users.Actor:
    return users.create_user(store, None, "root", "admin", "correct horse")


def test_the_table_grows_with_the_role() -> None:
    def of(role: str) -> set[str]:
        return {p for p, roles in users.PERMISSIONS.items() if role in roles}

    held = [of(role) for role in users.ROLES]
    assert held[0] == {"read"} and held[-1] == set(users.PERMISSIONS)
    assert all(a < b or a == b for a, b in itertools.pairwise(held))
    assert "review" not in of("annotator") and "see_originals" not in of("reviewer")
    assert "freeze" not in of("adjudicator") and "manage_users" not in of("lead")


def test_the_first_user_is_an_admin_and_the_only_one_made_by_nobody(store: Store) -> None:
    with pytest.raises(PermissionDenied):
        users.create_user(store, None, "ann", "reviewer")
    users.create_user(store, None, "root", "admin")
    with pytest.raises(PermissionDenied):
        users.create_user(store, None, "root2", "admin")


def test_passwords(store: Store, admin: users.Actor) -> None:
    assert users.authenticate(store, "root", "correct horse") == admin
    users.create_user(store, admin, "nopass", "reviewer")
    said = set()
    for name, password in (
        ("root", "wrong"),
        ("nobody", "correct horse"),
        ("nopass", ""),
        ("nopass", "x" * 12),
    ):
        with pytest.raises(PermissionDenied) as caught:
            users.authenticate(store, name, password)
        said.add(str(caught.value))
    assert len(said) == 1  # which of the two was wrong is not told
    stored = store.one("SELECT password_hash FROM users WHERE name = 'root'")
    assert stored is not None and stored["password_hash"].startswith("$argon2id$")
    assert "correct horse" not in str(store.rows("SELECT * FROM events"))
    with pytest.raises(UsageError, match="at least 10"):
        users.create_user(store, admin, "short", "viewer", "short")


@pytest.mark.parametrize("name", ["", "a b", "intake", "system", "x" * 65, "-x", "é", "a\n", "'; --"])
def test_names_that_cannot_be(store: Store, admin: users.Actor, name: str) -> None:
    with pytest.raises(UsageError):
        users.create_user(store, admin, name, "viewer")


def test_names_differ_by_more_than_case(store: Store, admin: users.Actor) -> None:
    users.create_user(store, admin, "Ann", "viewer")
    with pytest.raises(UsageError, match="already"):
        users.create_user(store, admin, "ann", "viewer")
    with pytest.raises(UsageError, match="Roles: viewer"):
        users.create_user(store, admin, "bob", "boss")
    with pytest.raises(NotFound):
        users.actor_for(store, "bob")


def test_only_admins_manage_users(store: Store, admin: users.Actor) -> None:
    lead = users.create_user(store, admin, "lead", "lead")
    with pytest.raises(PermissionDenied, match="takes admin"):
        users.create_user(store, lead, "x", "viewer")
    with pytest.raises(PermissionDenied):
        users.set_user(store, lead, "lead", role="admin")
    with pytest.raises(PermissionDenied):
        users.issue_token(store, lead, "root")
    users.set_user(store, lead, "lead", password="a longer one")
    assert users.authenticate(store, "lead", "a longer one") == lead


def test_the_last_admin_stays(store: Store, admin: users.Actor) -> None:
    for change in ({"role": "lead"}, {"active": False}):
        with pytest.raises(UsageError, match="last admin"):
            users.set_user(store, admin, "root", **change)  # type: ignore[arg-type]
    users.create_user(store, admin, "second", "admin")
    users.set_user(store, admin, "root", active=False)
    with pytest.raises(PermissionDenied, match="deactivated"):
        users.actor_for(store, "root")
    with pytest.raises(PermissionDenied):
        users.authenticate(store, "root", "correct horse")


def test_tokens_are_shown_once_and_stored_hashed(store: Store, admin: users.Actor) -> None:
    reviewer = users.create_user(store, admin, "ann", "reviewer", "0123456789")
    token = users.issue_token(store, reviewer, "ann")
    assert users.actor_for_token(store, token) == reviewer
    secret = token.split("_", 2)[2]
    assert secret not in str(store.rows("SELECT * FROM tokens")) + str(store.rows("SELECT * FROM events"))
    for wrong in ("", "gp_", token[:-1], token + "x", token.replace("gp_", "xx_"), "gp_zzz_" + secret):
        with pytest.raises(PermissionDenied):
            users.actor_for_token(store, wrong)
    assert users.revoke_tokens(store, admin, "ann") == 1
    with pytest.raises(PermissionDenied):
        users.actor_for_token(store, token)
    token = users.issue_token(store, admin, "ann")
    users.set_user(store, admin, "ann", password="a new one, longer")
    with pytest.raises(PermissionDenied):
        users.actor_for_token(store, token)


def test_the_list_shows_no_hash(store: Store, admin: users.Actor) -> None:
    users.create_user(store, admin, "ann", "viewer")
    rows = users.list_users(store)
    assert [(r["name"], r["role"], r["active"], r["has_password"]) for r in rows] == [
        ("ann", "viewer", True, False),
        ("root", "admin", True, True),
    ]
    assert "argon2" not in str(rows)
