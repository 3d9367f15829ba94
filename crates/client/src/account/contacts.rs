//! Whom the person knows: the roster, asked for once in each session and when it changed.
//!
//! RFC 6121 §2

use std::collections::BTreeSet;
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_wire::roster::Roster;
use balcony_wire::{BareJid, Payload as _};

use super::Account;

/// How long the server may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The bare addresses in the roster; none if the server does not say.
pub(super) async fn ask(account: &Account) -> Option<BTreeSet<BareJid>> {
    let answer = account.request(None, Ask::Get(Roster::default().write()), ANSWER).await.ok()??;
    let roster = Roster::read(&answer).ok()?;
    Some(roster.items.into_iter().map(|item| item.jid.bare()).collect())
}
