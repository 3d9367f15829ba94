//! The tables. Migrations only ever append: what is released stays as it is.

/// SQL that brings the catalogue from version `n` to `n + 1`.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2];

// Columns that may be NULL are those whose value may not exist at all: nothing is ever stored as 0 or '' to say "none".
const VERSION_1: &str = "
CREATE TABLE blobs (
    sha256    BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    size      INTEGER NOT NULL CHECK (size >= 0),
    is_proven INTEGER NOT NULL CHECK (is_proven IN (0, 1)),
    added_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_digests (
    algo   TEXT NOT NULL,
    digest BLOB NOT NULL,
    sha256 BLOB NOT NULL REFERENCES blobs (sha256) ON DELETE CASCADE,
    PRIMARY KEY (algo, digest, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_digests_by_blob ON blob_digests (sha256);

CREATE TABLE moves (
    job       TEXT NOT NULL PRIMARY KEY,
    size      INTEGER NOT NULL CHECK (size >= 0),
    is_proven INTEGER NOT NULL CHECK (is_proven IN (0, 1)),
    digests   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE offers (
    id           INTEGER NOT NULL PRIMARY KEY,
    account      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    sender       TEXT NOT NULL,
    message      TEXT,
    position     INTEGER NOT NULL CHECK (position >= 0),
    provenance   TEXT NOT NULL,
    stanza       TEXT NOT NULL,
    name         TEXT NOT NULL,
    size         INTEGER,
    received_at  INTEGER NOT NULL,
    state        TEXT NOT NULL,
    blob         BLOB REFERENCES blobs (sha256) ON DELETE SET NULL,
    UNIQUE (account, conversation, sender, message, position)
) STRICT;
CREATE INDEX offers_by_time ON offers (received_at, id);
CREATE INDEX offers_by_account ON offers (account, received_at, id);
CREATE INDEX offers_by_conversation ON offers (account, conversation, received_at, id);
CREATE INDEX offers_by_blob ON offers (blob, received_at, id) WHERE blob IS NOT NULL;

CREATE TABLE offer_digests (
    algo   TEXT NOT NULL,
    digest BLOB NOT NULL,
    offer  INTEGER NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    PRIMARY KEY (algo, digest, offer)
) STRICT, WITHOUT ROWID;
CREATE INDEX offer_digests_by_offer ON offer_digests (offer);

CREATE TABLE outcomes (
    id     INTEGER NOT NULL PRIMARY KEY,
    offer  INTEGER NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    code   TEXT NOT NULL,
    detail TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX outcomes_by_offer ON outcomes (offer, id);
CREATE INDEX outcomes_by_source ON outcomes (source, id);

CREATE TABLE outbox (
    account    TEXT NOT NULL,
    origin_id  TEXT NOT NULL,
    addressee  TEXT NOT NULL,
    stanza     TEXT,
    state      TEXT NOT NULL,
    why        TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (account, origin_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_state ON outbox (account, state, created_at, origin_id);

CREATE TABLE outbox_files (
    account   TEXT NOT NULL,
    origin_id TEXT NOT NULL,
    position  INTEGER NOT NULL CHECK (position >= 0),
    kind      TEXT NOT NULL CHECK (kind IN ('path', 'blob')),
    value     BLOB NOT NULL,
    PRIMARY KEY (account, origin_id, position),
    FOREIGN KEY (account, origin_id) REFERENCES outbox (account, origin_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    job        TEXT NOT NULL PRIMARY KEY,
    account    TEXT NOT NULL,
    origin_id  TEXT NOT NULL,
    position   INTEGER NOT NULL CHECK (position >= 0),
    size       INTEGER NOT NULL CHECK (size >= 0),
    put_url    TEXT NOT NULL,
    headers    TEXT NOT NULL,
    get_url    TEXT NOT NULL,
    expires_at INTEGER,
    is_done    INTEGER NOT NULL CHECK (is_done IN (0, 1)),
    began_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_message ON uploads (account, origin_id, position);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE digest_memory (
    device   INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digests  TEXT NOT NULL,
    used_at  INTEGER NOT NULL,
    PRIMARY KEY (device, inode)
) STRICT, WITHOUT ROWID;
CREATE INDEX digest_memory_by_use ON digest_memory (used_at);
";

// A file that came before has no row: it gets one when somebody looks at it.
const VERSION_2: &str = "
CREATE TABLE blob_stamps (
    sha256   BLOB NOT NULL PRIMARY KEY REFERENCES blobs (sha256) ON DELETE CASCADE,
    device   INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";
