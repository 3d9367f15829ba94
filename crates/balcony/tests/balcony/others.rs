//! Clients by other people against `balcony serve`: slixmpp, go-sendxmpp, profanity log in, write, upload and fetch.

use crate::actors::OwnServer;
use crate::peers::peers;

fn passes(check: &str, settings: &[(&str, &str)]) {
    let Some(peers) = peers() else { return };
    let server = OwnServer::start();
    let report = peers.check(check, server.endpoints(), settings).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.contains("PASS"), "{report}");
}

#[test]
fn slixmpp_shares_files_by_every_dialect_it_has() {
    passes("slix-e2e", &[("STEPS", "upload sims sfs oob")]);
}

#[test]
fn go_sendxmpp_writes_and_uploads_by_starttls_and_direct_tls() {
    passes("go-sendxmpp-test", &[]);
}

#[test]
fn profanity_logs_in_writes_and_uploads() {
    passes("profanity-test", &[]);
}

/// Proves: C0198-5-1.
#[test]
fn streams_cut_between_and_within_stanzas_are_resumed() {
    passes("resume-check", &[]);
}
