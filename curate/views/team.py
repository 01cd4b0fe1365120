"""Team & audit: who may do what, new users and tokens, and whether the event log holds.

Covers: users, roles, tokens, the check of the audit trail. Does not cover: passwords forgotten (an admin sets a new
one) nor single sign-on.
"""

from __future__ import annotations

import streamlit as st

from curate.users import MIN_PASSWORD, PERMISSIONS, ROLES
from curate.views import parts


def render() -> None:
    parts.header(
        "Team & audit", "People, what their role lets them do, and the log that proves what they did."
    )
    found = parts.ask("users.list")
    if found is None:
        return
    st.header("People", anchor=False)
    parts.table(
        [
            {
                **row,
                "active": "yes" if row["active"] else "no",
                "signs_in": "with a password" if row["has_password"] else "console link or token",
                "since": parts.when(row["created_ts"]),
            }
            for row in found["users"]
        ],
        {"name": "Name", "role": "Role", "active": "Active", "signs_in": "Signs in", "since": "Since (UTC)"},
    )
    if parts.allowed("users.add"):
        left, right = st.columns(2)
        with left, st.expander("Add a person"), st.form("add-user", border=False, clear_on_submit=True):
            name = st.text_input("Name", autocomplete="off")
            role = st.selectbox("Role", ROLES, index=ROLES.index("reviewer"))
            password = st.text_input(
                f"First password, at least {MIN_PASSWORD} characters",
                type="password",
                autocomplete="new-password",
            )
            if st.form_submit_button("Add"):
                parts.act(
                    "users.add",
                    f"{name} can sign in as {role}.",
                    name=name,
                    role=role,
                    password=password or None,
                )
                st.rerun()
        with right, st.expander("Make an API token"), st.form("token", border=False):
            user = st.selectbox("For", [row["name"] for row in found["users"] if row["active"]])
            if st.form_submit_button("Make token"):
                made = parts.ask("users.token", user=user)
                if made:
                    parts.block('<p class="gp-soft">Shown once. Keep it like a password.</p>')
                    st.code(made["token"], language=None)
    with st.expander("What each role may do"):
        parts.table(
            [
                {
                    "permission": parts.readable(name),
                    **{role: "yes" if role in roles else "" for role in ROLES},
                }
                for name, roles in PERMISSIONS.items()
            ],
            {"permission": "May", **{role: role for role in ROLES}},
        )
    st.header("Audit trail", anchor=False)
    parts.block(
        '<p class="gp-soft">Every decision is an event, chained to the one before. The check reads the whole chain and '
        "replays it against the store.</p>"
    )
    st.button(
        "Check the trail",
        on_click=parts.press,
        args=(
            "audit.verify",
            lambda r: f"Intact: {r['events']:,} events, and replaying them gives the stored state.",
        ),
    )
