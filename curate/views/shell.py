"""The frame of every page: theme, navigation, the task in work, who is signed in.

Covers: what stands around a page. Does not cover: what is on it (one module a page).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from curate import login
from curate.errors import GoldpairError
from curate.users import Actor
from curate.views import (
    duplicates,
    facts,
    gallery,
    importing,
    insight,
    jobs,
    overview,
    pairs,
    parts,
    playground,
    privacy,
    review,
    runs,
    snapshots,
    team,
    theme,
    versions,
)

HERE = Path(__file__).parent


def pages() -> dict[str, list[Any]]:
    """Every page by section, in the order of the work."""
    return {
        "": [
            st.Page(
                overview.render,
                title="Overview",
                icon=":material/monitoring:",
                url_path="overview",
                default=True,
            ),
            st.Page(gallery.render, title="Gallery", icon=":material/storefront:", url_path="gallery"),
        ],
        "Prepare": [
            st.Page(importing.render, title="Import", icon=":material/upload_file:", url_path="import"),
            st.Page(privacy.render, title="Privacy", icon=":material/shield_person:", url_path="privacy"),
            st.Page(
                duplicates.render, title="Duplicates", icon=":material/file_copy:", url_path="duplicates"
            ),
        ],
        "Decide": [
            st.Page(review.render, title="Review", icon=":material/rate_review:", url_path="review"),
            st.Page(pairs.render, title="Pairs", icon=":material/list_alt:", url_path="pairs"),
            st.Page(facts.render, title="Facts", icon=":material/event_busy:", url_path="facts"),
            st.Page(insight.render, title="Insight", icon=":material/insights:", url_path="insight"),
        ],
        "Prove": [
            st.Page(snapshots.render, title="Snapshots", icon=":material/inventory_2:", url_path="snapshots"),
            st.Page(runs.render, title="Runs & reports", icon=":material/verified:", url_path="runs"),
            st.Page(versions.render, title="Versions", icon=":material/timeline:", url_path="versions"),
            st.Page(playground.render, title="Playground", icon=":material/forum:", url_path="playground"),
        ],
        "Keep": [
            st.Page(jobs.render, title="Jobs", icon=":material/hourglass_top:", url_path="jobs"),
            st.Page(team.render, title="Team & audit", icon=":material/group:", url_path="team"),
        ],
    }


def main() -> None:
    """Render the page that the address names."""
    st.set_page_config(
        page_title="Goldpair",
        page_icon=str(HERE / "icon.svg"),
        layout="wide",
        initial_sidebar_state="expanded",
    )
    st.html(theme.CSS)
    try:
        actor = parts.context().actor
    except login.NotSignedIn as error:
        _signed_out(str(error))
        return
    except GoldpairError as error:
        parts.problem(error)
        return
    st.logo(str(HERE / "logo.svg"), size="large", icon_image=str(HERE / "icon.svg"))
    found = pages()
    st.session_state["pages"] = {page.url_path: page for section in found.values() for page in section}
    page = st.navigation(found, position="sidebar", expanded=True)
    if page.url_path == "" and _first_look():
        st.switch_page(st.session_state["pages"]["gallery"])
    with st.sidebar:
        _task()
        _who(actor)
    page.run()


def _first_look() -> bool:
    """True once a session, while nothing was imported: an empty workspace shows first what there is to start from."""
    if "looked" in st.session_state:
        return False
    st.session_state["looked"] = True
    return parts.context().store.one("SELECT 1 AS x FROM records LIMIT 1") is None


def _task() -> None:
    found = parts.ask("tasks.list") or {"tasks": []}
    names = [row["task"] for row in found["tasks"]]
    if not names:
        parts.notice("bad", "No task pack was found. Put one into the workspace's tasks folder.")
        st.stop()
    titles = {row["task"]: row["title"] for row in found["tasks"]}
    if st.session_state.get("wanted") in names:
        st.session_state["task"] = st.session_state.pop("wanted")
    if st.session_state.get("task") not in names:
        asked = st.query_params.get("task")
        st.session_state["task"] = asked if asked in names else _busiest(names)
    st.selectbox("Task", names, key="task", format_func=lambda name: titles[name])


def _busiest(names: list[str]) -> str:
    """The task with the most records, so that a first look at a workspace shows something."""
    row = parts.context().store.one(
        "SELECT task FROM pair_state WHERE task IN (SELECT unnest(?::VARCHAR[])) GROUP BY task"
        " ORDER BY count(*) DESC, task LIMIT 1",
        [names],
    )
    return str(row["task"]) if row else names[0]


def _who(actor: Actor) -> None:
    parts.block(
        f'<p class="gp-who">Signed in as <b>{parts.escape(actor.user)}</b>, {parts.escape(actor.role)}. '
        '<a href="/logout" target="_self">Sign out</a></p>'
    )


def _signed_out(why: str) -> None:
    st.title("Goldpair", anchor=False)
    parts.block(
        f'<div class="gp-empty"><b>{parts.escape(why)}</b><p>Open the sign-in link that '
        '<span class="gp-mono">goldpair serve</span> printed, or <a href="/login" target="_self">sign in with a '
        "password</a>.</p></div>"
    )
