"""The store's schema: one table of numbered migrations, applied in order, each in its own transaction.

Covers: every table and column, and why it is so. Does not cover: what the rows mean to people (the module
named beside each table does), nor how they are written (`curate.store`).

Rules of the schema:

* Text lives apart (`record_text`, `revision_text`, `surrogates`, `comments`, `suggestions`, `privacy_terms`), is
  written once and never updated; erasing a person deletes it there and nowhere else. `events` hold ids and salted
  digests only.
* `pair_state` is narrow, because DuckDB rewrites wide rows on update. It is a cache: replaying `events` gives
  it again. It is written by `Tx.transition` alone. Its status column has no index: updating an indexed column
  is a delete and an insert.
* Times are UTC without a zone. JSON is text in canonical form. No foreign keys: DuckDB checks them by delete
  and insert on each update; the writer is one thread and our own.
* A migration, once released, is never edited; a change is a new one at the end.
"""

from __future__ import annotations

import duckdb

from curate.errors import GoldpairError

MIGRATIONS: list[tuple[int, str, str]] = [
    (
        1,
        "the first schema",
        """
-- users: curate.users -------------------------------------------------------------------------------------
CREATE TABLE users (
    name VARCHAR PRIMARY KEY, role VARCHAR NOT NULL, password_hash VARCHAR, active BOOLEAN NOT NULL DEFAULT
    true, created_ts TIMESTAMP NOT NULL, created_by VARCHAR NOT NULL);
CREATE TABLE tokens (
    token_id VARCHAR PRIMARY KEY, owner VARCHAR NOT NULL, token_hash VARCHAR NOT NULL,
    created_ts TIMESTAMP NOT NULL, revoked_ts TIMESTAMP);

-- records as imported, immutable: curate.records ----------------------------------------------------------
CREATE TABLE imports (
    import_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, file VARCHAR NOT NULL, file_sha256 VARCHAR NOT NULL,
    format VARCHAR, mapping VARCHAR, licence VARCHAR, consent VARCHAR, rows_read BIGINT, rows_new BIGINT,
    rows_known BIGINT, rows_quarantined BIGINT, actor VARCHAR NOT NULL, ts TIMESTAMP NOT NULL,
    finished_ts TIMESTAMP);
CREATE TABLE records (
    record_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, import_id VARCHAR NOT NULL, external_id VARCHAR,
    source VARCHAR NOT NULL, file VARCHAR, file_sha256 VARCHAR, line BIGINT, payload_sha256 VARCHAR,
    licence VARCHAR, consent VARCHAR, imported_ts TIMESTAMP NOT NULL);
CREATE TABLE record_text (
    record_id VARCHAR PRIMARY KEY, system VARCHAR, history VARCHAR, prompt VARCHAR, completion VARCHAR,
    metadata VARCHAR, payload VARCHAR);
CREATE TABLE quarantine (
    import_id VARCHAR NOT NULL, task VARCHAR NOT NULL, file VARCHAR, line BIGINT, reason VARCHAR NOT NULL,
    detail VARCHAR, excerpt VARCHAR, ts TIMESTAMP);

-- pairs and their revisions: curate.review ----------------------------------------------------------------
CREATE TABLE pairs (
    pair_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, record_id VARCHAR, source VARCHAR NOT NULL,
    created_ts TIMESTAMP NOT NULL, expires TIMESTAMP);
-- a pair's salt is deleted when the pair is erased
CREATE TABLE pair_salts (pair_id VARCHAR PRIMARY KEY, salt VARCHAR NOT NULL);
CREATE TABLE revisions (
    pair_id VARCHAR, rev INTEGER, sha256 VARCHAR, author VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    guideline_version VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (pair_id, rev));
CREATE TABLE revision_text (
    pair_id VARCHAR, rev INTEGER, system VARCHAR, history VARCHAR, prompt VARCHAR, completion VARCHAR,
    metadata VARCHAR, PRIMARY KEY (pair_id, rev));
CREATE TABLE pair_state (
    pair_id VARCHAR PRIMARY KEY, task VARCHAR, status VARCHAR, rev INTEGER, digest VARCHAR,
    approved_digest VARCHAR, approver VARCHAR, reason VARCHAR, updated_seq BIGINT);
CREATE TABLE labels (
    pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, actor VARCHAR NOT NULL, name VARCHAR NOT NULL, value
    VARCHAR, ts TIMESTAMP NOT NULL, seq BIGINT NOT NULL);
CREATE TABLE approvals (  -- voided: seq of the event that did it
    pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, sha256 VARCHAR, approver VARCHAR NOT NULL,
    guideline_version VARCHAR NOT NULL, event_seq BIGINT PRIMARY KEY, voided BIGINT);
CREATE TABLE comments (
    pair_id VARCHAR NOT NULL, rev INTEGER, actor VARCHAR NOT NULL, body VARCHAR, ts TIMESTAMP NOT NULL,
    seq BIGINT NOT NULL);
CREATE TABLE decisions (  -- what undo and the idempotent outbox need to know
    seq BIGINT PRIMARY KEY, actor VARCHAR NOT NULL, pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL,
    verdict VARCHAR NOT NULL, before VARCHAR NOT NULL, undone BIGINT, settled BIGINT,
    result VARCHAR NOT NULL);
CREATE INDEX decisions_pair ON decisions (pair_id);
CREATE TABLE client_ids (actor VARCHAR, client_id VARCHAR, seq BIGINT, PRIMARY KEY (actor, client_id));

-- privacy: curate.findings --------------------------------------------------------------------------------
CREATE TABLE scans (
    pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, sha256 VARCHAR, detector_version VARCHAR NOT NULL,
    policy_hash VARCHAR, open_findings INTEGER NOT NULL, ts TIMESTAMP NOT NULL);
CREATE INDEX scans_pair ON scans (pair_id);
CREATE TABLE findings (
    finding_id VARCHAR PRIMARY KEY, pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, field VARCHAR NOT NULL,
    start INTEGER NOT NULL, stop INTEGER NOT NULL, entity_type VARCHAR NOT NULL, score DOUBLE,
    recognizer VARCHAR, detector_version VARCHAR NOT NULL, status VARCHAR NOT NULL, decided_by VARCHAR,
    ts TIMESTAMP NOT NULL);
CREATE INDEX findings_pair ON findings (pair_id);
CREATE TABLE surrogates (
    pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, field VARCHAR NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, entity_type VARCHAR NOT NULL, surrogate VARCHAR);

-- duplicates: curate.clusters -----------------------------------------------------------------------------
CREATE TABLE clusters (
    cluster_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, run_id VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL, keep_pair VARCHAR, ts TIMESTAMP);
CREATE TABLE cluster_members (
    cluster_id VARCHAR, pair_id VARCHAR, similarity DOUBLE, keep BOOLEAN, PRIMARY KEY (cluster_id, pair_id));
CREATE INDEX cluster_members_pair ON cluster_members (pair_id);
CREATE TABLE not_duplicates (
    pair_a VARCHAR, pair_b VARCHAR, actor VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (pair_a,
    pair_b));

-- jobs: curate.jobs ---------------------------------------------------------------------------------------
CREATE TABLE jobs (
    job_id VARCHAR PRIMARY KEY, task VARCHAR, kind VARCHAR NOT NULL, state VARCHAR NOT NULL, actor VARCHAR NOT
    NULL, spec VARCHAR NOT NULL, pid BIGINT, pid_started DOUBLE, folder VARCHAR NOT NULL, created_ts TIMESTAMP
    NOT NULL, started_ts TIMESTAMP, finished_ts TIMESTAMP, error VARCHAR);
CREATE TABLE job_chunks (
    job_id VARCHAR, chunk VARCHAR, ingested TIMESTAMP NOT NULL, PRIMARY KEY (job_id, chunk));

-- what left the store: curate.snapshot, curate.ops --------------------------------------------------------
CREATE TABLE snapshots (
    snapshot_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, folder VARCHAR NOT NULL, rows_train BIGINT,
    rows_validation BIGINT, excluded BIGINT, created_ts TIMESTAMP NOT NULL, created_by VARCHAR NOT NULL);
CREATE TABLE models (
    name VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, hash VARCHAR NOT NULL, snapshot_id VARCHAR, path VARCHAR
    NOT NULL, verdict VARCHAR, report VARCHAR, released BOOLEAN NOT NULL DEFAULT false, released_by VARCHAR,
    released_ts TIMESTAMP, override_by VARCHAR, override_reason VARCHAR, created_ts TIMESTAMP NOT NULL,
    created_by VARCHAR);
CREATE TABLE erasures (
    erasure_id VARCHAR, kind VARCHAR, id VARCHAR, actor VARCHAR NOT NULL, reason VARCHAR, ts TIMESTAMP NOT
    NULL,
    PRIMARY KEY (erasure_id, kind, id));

-- the truth: every decision, append-only and chained ------------------------------------------------------
CREATE TABLE events (
    seq BIGINT PRIMARY KEY, ts TIMESTAMP NOT NULL, actor VARCHAR NOT NULL, kind VARCHAR NOT NULL, pair_id
    VARCHAR, rev INTEGER, body VARCHAR NOT NULL, prev_hash VARCHAR NOT NULL, hash VARCHAR NOT NULL);
""",
    ),
    (
        2,
        "judgments that are compared before they count, gold items, what a person set for themselves",
        """
-- curate.overlap: what one person said without seeing the others; settled: seq of the decision it led to
CREATE TABLE judgments (
    seq BIGINT PRIMARY KEY, pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, actor VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, verdict VARCHAR NOT NULL, reason VARCHAR, labels VARCHAR, disputed BOOLEAN NOT NULL,
    ts TIMESTAMP NOT NULL, undone BIGINT, settled BIGINT);
CREATE INDEX judgments_pair ON judgments (pair_id);
CREATE TABLE gold (
    pair_id VARCHAR PRIMARY KEY, rev INTEGER NOT NULL, verdict VARCHAR NOT NULL, set_by VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL);
-- curate.preferences: keys of the card, saved views
CREATE TABLE preferences (
    owner VARCHAR, name VARCHAR, value VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (owner, name));
""",
    ),
    (
        3,
        "what models suggest, beside the pairs",
        """
-- curate.suggestions: asked is the hash of system, history and prompt; a row is text and is erased with its pair
CREATE TABLE suggestions (
    suggestion_id VARCHAR PRIMARY KEY, pair_id VARCHAR NOT NULL, asked VARCHAR NOT NULL, model VARCHAR NOT NULL,
    completion VARCHAR NOT NULL, metric VARCHAR, score DOUBLE, scores VARCHAR NOT NULL, job_id VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL);
CREATE INDEX suggestions_pair ON suggestions (pair_id);
-- revisions that began as a suggestion; changed: the person wrote something else before saving
CREATE TABLE suggestion_uses (
    pair_id VARCHAR, rev INTEGER, suggestion_id VARCHAR NOT NULL, changed BOOLEAN NOT NULL,
    PRIMARY KEY (pair_id, rev));
""",
    ),
    (
        4,
        "what the task's scorers say of revisions",
        """
-- curate.scores: numbers of one revision; score is NULL where the scorer could not judge, and note says why
CREATE TABLE pair_scores (
    pair_id VARCHAR, rev INTEGER, metric VARCHAR, version VARCHAR NOT NULL, score DOUBLE, critical INTEGER NOT NULL,
    note VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (pair_id, rev, metric));
""",
    ),
    (
        5,
        "facts that expire: where completions carry them, and what people said of each",
        """
-- curate.facts: places only, the words stay in revision_text; class: null (open), timeless, expires, slot
CREATE TABLE facts (
    fact_id VARCHAR PRIMARY KEY, pair_id VARCHAR NOT NULL, rev INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, kind VARCHAR NOT NULL, suggestion VARCHAR NOT NULL, suggested DATE, class VARCHAR,
    expires DATE, slot VARCHAR, decided_by VARCHAR, decided_seq BIGINT, ts TIMESTAMP NOT NULL);
CREATE INDEX facts_pair ON facts (pair_id);
CREATE TABLE fact_scans (
    pair_id VARCHAR, rev INTEGER, rules VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (pair_id, rev));
-- curate.review.set_expiry: what somebody said of the whole pair; pairs.expires is the earliest of it and its facts
CREATE TABLE stated_expiries (pair_id VARCHAR PRIMARY KEY, expires TIMESTAMP NOT NULL);
INSERT INTO stated_expiries SELECT pair_id, expires FROM pairs WHERE expires IS NOT NULL;
""",
    ),
    (
        6,
        "people of an OpenID Connect provider",
        """
-- curate.users: a person of a provider is the same user for good, whatever the provider calls them later
CREATE TABLE identities (
    issuer VARCHAR, subject VARCHAR, name VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, PRIMARY KEY (issuer, subject));
""",
    ),
    (
        7,
        "the revisions of a few pairs among a million, without reading the table",
        """
-- curate.listing: the key (pair_id, rev) does not help to find a page's pairs by their ids alone
CREATE INDEX revisions_pair ON revisions (pair_id);
CREATE INDEX revision_text_pair ON revision_text (pair_id);
""",
    ),
    (
        8,
        "lists of strings that are or are not personal, and the second look",
        """
-- curate.lists: term is text and NULL once erased; pair_id: where somebody read it, erased with that pair
CREATE TABLE privacy_terms (
    term_id VARCHAR PRIMARY KEY, task VARCHAR NOT NULL, kind VARCHAR NOT NULL, term VARCHAR, entity_type VARCHAR,
    pair_id VARCHAR, actor VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, removed_by VARCHAR, removed_ts TIMESTAMP);
-- curate.secondlook: missed is NULL until the person has answered; detector: whose leavings were looked at
CREATE TABLE second_looks (
    task VARCHAR NOT NULL, pair_id VARCHAR, rev INTEGER NOT NULL, actor VARCHAR, detector VARCHAR NOT NULL,
    drawn TIMESTAMP NOT NULL, missed INTEGER, answered TIMESTAMP, PRIMARY KEY (pair_id, actor));
""",
    ),
]

LATEST = MIGRATIONS[-1][0]


def migrate(con: duckdb.DuckDBPyConnection) -> int:
    """Bring an open database to `LATEST`; returns the version it had. Raises `GoldpairError` on a newer

    file."""
    con.execute("CREATE TABLE IF NOT EXISTS meta (key VARCHAR PRIMARY KEY, value VARCHAR)")
    row = con.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    found = int(row[0]) if row else 0
    if found > LATEST:
        raise GoldpairError(
            f"The store has schema version {found}, this Goldpair knows up to {LATEST}. "
            "Install the newer Goldpair."
        )
    for number, _why, script in MIGRATIONS:
        if number <= found:
            continue
        con.execute("BEGIN")
        try:
            con.execute(script)
            con.execute(
                "INSERT INTO meta VALUES ('schema_version', ?) ON CONFLICT DO UPDATE "
                " SET value = excluded.value",
                [str(number)],
            )
            con.execute("COMMIT")
        except BaseException:
            con.execute("ROLLBACK")
            raise
    return found
