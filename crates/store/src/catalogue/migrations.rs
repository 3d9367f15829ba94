//! The tables. Migrations only ever append: what is released stays as it is.

/// SQL that brings the catalogue from version `n` to `n + 1`.
pub(super) const MIGRATIONS: &[&str] = &[VERSION_1, VERSION_2, VERSION_3, super::outbox::batches::TABLE, super::live_shares::TABLES];

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

// Uploads that were done are links now: a message that was not out by then is uploaded once more.
// Offers of one message share its text. The table of offers is made anew: foreign keys are off meanwhile (`Catalogue::prepare`).
//
// `speaker` is whose offer it is, for what may collide and for bounds: the sender, in rooms with the occupant behind a slash.
// `bytes` is what a row costs: the text counts for the first offer of a message, each row for 512 bytes.
const VERSION_3: &str = "
CREATE TABLE stanzas (
    id         INTEGER NOT NULL PRIMARY KEY,
    provenance TEXT NOT NULL,
    stanza     TEXT NOT NULL
) STRICT;

CREATE TABLE offers_3 (
    id           INTEGER NOT NULL PRIMARY KEY,
    account      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    sender       TEXT NOT NULL,
    speaker      TEXT NOT NULL,
    is_contact   INTEGER NOT NULL CHECK (is_contact IN (0, 1)),
    message      TEXT,
    position     INTEGER NOT NULL CHECK (position >= 0),
    stanza       INTEGER NOT NULL REFERENCES stanzas (id),
    name         TEXT NOT NULL,
    size         INTEGER,
    bytes        INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    state        TEXT NOT NULL,
    blob         BLOB REFERENCES blobs (sha256) ON DELETE SET NULL,
    UNIQUE (account, conversation, speaker, message, position)
) STRICT;

INSERT INTO offers_3 (id, account, conversation, sender, speaker, is_contact, message, position, stanza, name, size, bytes, received_at, state, blob)
    SELECT id, account, conversation, sender, sender, 1, message, position,
        min(id) OVER same, name, size, 0, received_at, state, blob
    FROM offers WINDOW same AS (PARTITION BY account, conversation, sender, message, provenance, stanza);
INSERT INTO stanzas (id, provenance, stanza)
    SELECT offers.id, provenance, offers.stanza FROM offers JOIN offers_3 ON offers_3.id = offers.id WHERE offers_3.stanza = offers.id;
UPDATE offers_3 SET bytes = 512 + iif(id = stanza, (SELECT octet_length(stanzas.stanza) FROM stanzas WHERE stanzas.id = offers_3.stanza), 0);

DROP TABLE offers;
ALTER TABLE offers_3 RENAME TO offers;
CREATE INDEX offers_by_time ON offers (received_at, id);
CREATE INDEX offers_by_account ON offers (account, received_at, id);
CREATE INDEX offers_by_conversation ON offers (account, conversation, received_at, id);
CREATE INDEX offers_by_blob ON offers (blob, received_at, id) WHERE blob IS NOT NULL;
CREATE INDEX offers_by_stanza ON offers (stanza);
CREATE INDEX open_offers ON offers (account, speaker, id, bytes, state) WHERE state IN ('new', 'asking', 'failed', 'declined', 'swept');
CREATE INDEX open_offers_of_strangers ON offers (account, speaker, id, bytes, state, is_contact)
    WHERE is_contact = 0 AND state IN ('new', 'asking', 'failed', 'declined', 'swept');
CREATE TRIGGER stanzas_go_with_their_last_offer AFTER DELETE ON offers BEGIN
    DELETE FROM stanzas WHERE id = old.stanza AND NOT EXISTS (SELECT 1 FROM offers WHERE offers.stanza = old.stanza);
END;

CREATE TABLE targets (
    account      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    target       TEXT NOT NULL,
    stanza       INTEGER NOT NULL REFERENCES stanzas (id) ON DELETE CASCADE,
    PRIMARY KEY (account, conversation, target, stanza)
) STRICT, WITHOUT ROWID;
CREATE INDEX targets_by_stanza ON targets (stanza);
INSERT OR IGNORE INTO targets (account, conversation, target, stanza)
    SELECT account, conversation, message, stanza FROM offers WHERE message IS NOT NULL;

CREATE TABLE attachments (
    id           INTEGER NOT NULL PRIMARY KEY,
    account      TEXT NOT NULL,
    conversation TEXT NOT NULL,
    target       TEXT NOT NULL,
    share        TEXT,
    sender       TEXT NOT NULL,
    speaker      TEXT NOT NULL,
    message      TEXT,
    provenance   TEXT NOT NULL,
    stanza       TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    added_at     INTEGER NOT NULL,
    is_waiting   INTEGER NOT NULL CHECK (is_waiting IN (0, 1))
) STRICT;
CREATE INDEX attachments_by_target ON attachments (account, conversation, target, id);
CREATE INDEX attachments_by_speaker ON attachments (account, speaker, id, bytes);
CREATE INDEX waiting_attachments ON attachments (account, speaker, added_at) WHERE is_waiting = 1;
CREATE INDEX waiting_attachments_by_time ON attachments (added_at) WHERE is_waiting = 1;
CREATE TRIGGER attachments_go_with_their_offer AFTER DELETE ON targets BEGIN
    DELETE FROM attachments WHERE account = old.account AND conversation = old.conversation AND target = old.target
        AND NOT EXISTS (SELECT 1 FROM targets AS other WHERE other.account = old.account AND other.conversation = old.conversation
            AND other.target = old.target);
END;

CREATE TABLE answers (
    id     INTEGER NOT NULL PRIMARY KEY,
    offer  INTEGER NOT NULL REFERENCES offers (id) ON DELETE CASCADE,
    answer TEXT NOT NULL,
    UNIQUE (offer, answer)
) STRICT;

CREATE TABLE links (
    id          INTEGER NOT NULL PRIMARY KEY,
    account     TEXT NOT NULL,
    sha256      BLOB NOT NULL CHECK (length(sha256) = 32),
    size        INTEGER NOT NULL CHECK (size >= 0),
    url         TEXT NOT NULL,
    service     TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    expires_at  INTEGER,
    UNIQUE (account, url)
) STRICT;
CREATE INDEX links_by_file ON links (account, sha256, uploaded_at, id);
CREATE INDEX links_by_url ON links (url);

CREATE TABLE pins (
    sha256    BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    pinned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bits (
    id         INTEGER NOT NULL PRIMARY KEY,
    cid        TEXT NOT NULL,
    sender     TEXT,
    media_type TEXT,
    data       BLOB NOT NULL CHECK (length(data) <= 8192),
    expires_at INTEGER
) STRICT;
CREATE UNIQUE INDEX bits_by_cid ON bits (cid, ifnull(sender, ''));
CREATE INDEX bits_by_sender ON bits (sender, id);
CREATE INDEX bits_by_expiry ON bits (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE removals (
    sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_uses (
    sha256  BLOB NOT NULL PRIMARY KEY REFERENCES blobs (sha256) ON DELETE CASCADE,
    size    INTEGER NOT NULL CHECK (size >= 0),
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_uses_by_time ON blob_uses (used_at, sha256, size);
CREATE INDEX blobs_of_outbox ON outbox_files (value) WHERE kind = 'blob';
INSERT INTO blob_uses (sha256, size, used_at) SELECT sha256, size, added_at FROM blobs;

DROP INDEX outcomes_by_source;

DROP TABLE uploads;
";

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::{FileRef, Listing, OfferKey, OfferState, Store};

    /// What Balcony 0.1 wrote, by the SQL it had.
    const OF_VERSION_2: &str = "
PRAGMA foreign_keys = ON;
INSERT INTO blobs VALUES (zeroblob(32), 7, 1, 1700000000000);
INSERT INTO blob_digests VALUES ('sha-256', zeroblob(32), zeroblob(32)), ('sha3-256', x'0101', zeroblob(32));
INSERT INTO offers (id, account, conversation, sender, message, position, provenance, stanza, name, size, received_at, state, blob) VALUES
    (3, 'juliet@capulet.lit', 'romeo@montague.lit', 'romeo@montague.lit', 'm1', 0, 'who', '<message>two ☺</message>', 'a', 7, 1700000001000, 'here', zeroblob(32)),
    (4, 'juliet@capulet.lit', 'romeo@montague.lit', 'romeo@montague.lit', 'm1', 1, 'who', '<message>two ☺</message>', 'b', NULL, 1700000001000, 'new', NULL),
    (7, 'juliet@capulet.lit', 'romeo@montague.lit', 'juliet@capulet.lit', NULL, 0, 'me', '<message/>', 'c', 1, 1700000002000, 'own', NULL),
    (8, 'juliet@capulet.lit', 'romeo@montague.lit', 'juliet@capulet.lit', NULL, 0, 'me', '<message/>', 'd', 1, 1700000003000, 'own', NULL);
INSERT INTO offer_digests VALUES ('sha-256', zeroblob(32), 3), ('sha-256', zeroblob(32), 4);
INSERT INTO outcomes (offer, source, code, detail, at) VALUES (4, 'url https://montague.lit/1', 'gone', '410', 1700000004000);
INSERT INTO outbox VALUES ('juliet@capulet.lit', 'o1', 'romeo@montague.lit', NULL, 'preparing', NULL, 1700000005000, 1700000005000);
INSERT INTO outbox_files VALUES ('juliet@capulet.lit', 'o1', 0, 'path', CAST('/home/juliet/a' AS BLOB));
INSERT INTO uploads VALUES ('j1', 'juliet@capulet.lit', 'o1', 0, 7, '', '[]', 'https://get.lit/1', NULL, 1, 1700000005000);
INSERT INTO settings VALUES ('policy', 'x');
INSERT INTO digest_memory VALUES (1, 2, 3, 4, 'sha-256:00', 5);
";

    #[test]
    fn a_catalogue_of_version_2_comes_along_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue.sqlite");
        let old = Connection::open(&path).unwrap();
        for sql in [VERSION_1, VERSION_2, "PRAGMA user_version = 2", OF_VERSION_2] {
            old.execute_batch(sql).unwrap();
        }
        drop(old);
        for round in 0..2 {
            let store = Store::open(dir.path()).unwrap();
            let rows = store.offers(Listing::All, None, 10).unwrap();
            assert_eq!(rows.iter().map(|row| row.key.number()).collect::<Vec<_>>(), [8, 7, 4, 3], "{round}");
            let [_, own, second, first] = &rows[..] else { panic!("{rows:?}") };
            assert_eq!((first.stanza.as_str(), first.provenance.as_str()), ("<message>two ☺</message>", "who"));
            assert_eq!((&first.stanza, first.position, second.position), (&second.stanza, 0, 1));
            assert_eq!((first.state, first.blob.is_some(), second.size, own.state), (OfferState::Here, true, None, OfferState::Own));
            assert_eq!((own.stanza.as_str(), own.message.as_deref()), ("<message/>", None));
            assert_eq!(store.history(OfferKey::from_number(4)).unwrap().records().len(), 1);
            assert_eq!(store.offers_claiming(&[first.blob.clone().unwrap()].into_iter().collect(), 10).unwrap().len(), 2);
            let account = &first.account;
            let outgoing = store.outgoing(account, "o1").unwrap().unwrap();
            assert_eq!(outgoing.files, [FileRef::Path("/home/juliet/a".into())]);
            assert_eq!(store.setting("policy").unwrap().as_deref(), Some("x"));
        }
        let count = |sql: &str| -> i64 { Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM stanzas"), 2, "texts are shared");
        assert_eq!(count("SELECT sum(bytes) FROM offers"), 4 * 512 + 26 + 10);
        assert_eq!(count("SELECT count(*) FROM targets WHERE target = 'm1'"), 1);
        assert_eq!(count("SELECT used_at FROM blob_uses"), 1_700_000_000_000);
        assert_eq!(count("SELECT count(*) FROM digest_memory"), 1);
        assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        let old: i64 = Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_3' ESCAPE '\\'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(old, 0);
    }
}
