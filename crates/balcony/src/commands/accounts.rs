//! `balcony accounts`: list, choose, forget.

use serde_json::json;

use crate::accounts::Accounts;
use crate::cli::{self, AccountsAction};
use crate::console::Console;
use crate::exit::Failure;
use crate::home::Home;

/// Runs the command.
pub(crate) fn run(console: &Console, home: &Home, args: &cli::Accounts) -> Result<(), Failure> {
    let mut accounts = Accounts::load(home)?;
    match args.action.as_ref().unwrap_or(&AccountsAction::List) {
        AccountsAction::List => list(console, &accounts),
        AccountsAction::Default { jid } => {
            accounts.set_default(jid)?;
            accounts.save(home)?;
            console.result("default", json!({"jid": jid}), format!("{jid} is used from now on"));
        }
        AccountsAction::Remove { jid } => {
            let removed = accounts.remove(jid)?;
            accounts.save(home)?;
            console.result(
                "removed",
                json!({"jid": removed.jid}),
                format!("{} and its keys are forgotten; its offers and files stay", removed.jid),
            );
        }
    }
    Ok(())
}

fn list(console: &Console, accounts: &Accounts) {
    if accounts.entries().is_empty() {
        console.step("empty", json!({}), "no accounts yet; log in with `balcony login JID`");
    }
    for entry in accounts.entries() {
        let default = accounts.is_default(&entry.jid);
        let server = entry.server.as_deref().map_or_else(String::new, |server| format!("  at {server}"));
        console.result(
            "account",
            json!({"jid": entry.jid, "default": default, "server": entry.server, "floor": entry.floor}),
            format!("{} {}{server}", if default { "*" } else { " " }, entry.jid),
        );
    }
}
