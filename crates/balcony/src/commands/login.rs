//! `balcony login`: tries name and password, and keeps salted keys when they fit.

use std::fs;

use balcony_client::{Account, Availability, ConnectOptions, Online, Proxy};
use balcony_session::Security;
use balcony_session::client::Credentials;
use balcony_store::Store;
use balcony_wire::BareJid;
use serde_json::json;

use crate::accounts::{Accounts, Entry};
use crate::cli;
use crate::connect;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::prompt;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, args: &cli::Login) -> Result<(), Failure> {
    let jid: BareJid =
        args.jid.parse().map_err(|error| Failure::from_error(Class::Usage, &error).advise("an account looks like romeo@example.org"))?;
    if jid.local().is_none() {
        return Err(
            Failure::new(Class::Usage, format!("{jid} is a server, not an account")).advise(format!("an account looks like romeo@{jid}"))
        );
    }
    let mut accounts = Accounts::load(home)?;
    let mut entry = entry(&accounts, &jid, &args.reach)?;
    if args.accept_weaker_login {
        entry.floor = None;
    }
    let password = prompt::password(jid.as_str(), args.password_stdin).await?;
    let options = ConnectOptions { availability: Availability::Hidden, ..connect::options(&entry, Credentials::Password(password))? };
    let store = Store::in_memory().map_err(|error| Failure::from_error(Class::Local, &error))?;
    let account = Account::connect(options, store).await.map_err(|error| connect::connect_failure(jid.as_str(), &error))?;
    let online = account.online().await.map_err(|error| Failure::from_error(connect::class_of(error.class()), &error))?;
    connect::learn(&mut entry, &online);
    let keeps_keys = entry.keys.is_some();
    accounts.put(entry);
    accounts.save(home)?;
    account.close().await;
    tell(console, &jid, &online, keeps_keys);
    Ok(())
}

/// What is known of the account already, and what the command line says anew.
fn entry(accounts: &Accounts, jid: &BareJid, reach: &cli::Reach) -> Result<Entry, Failure> {
    let mut entry = accounts.entries().iter().find(|entry| entry.jid == jid.as_str()).cloned().unwrap_or_else(|| Entry::new(jid));
    if let Some(server) = &reach.server {
        entry.server = Some(server.clone());
        entry.direct_tls = reach.direct_tls;
    }
    if let Some(path) = &reach.ca {
        let pem =
            fs::read_to_string(path).map_err(|error| Failure::new(Class::Local, format!("cannot read {}: {error}", path.display())))?;
        entry.ca = Some(pem);
    }
    if let Some(proxy) = proxy(reach.proxy.as_deref())? {
        entry.proxy = proxy;
    }
    Ok(entry)
}

/// What the command line says about a proxy, else the environment; `Some(None)` is none from now on.
fn proxy(argument: Option<&str>) -> Result<Option<Option<String>>, Failure> {
    let variable = std::env::var("BALCONY_PROXY").ok().filter(|value| !value.is_empty());
    let Some(said) = argument.or(variable.as_deref()) else { return Ok(None) };
    if said == "none" {
        return Ok(Some(None));
    }
    let proxy: Proxy = said.parse().map_err(|error| Failure::from_error(Class::Usage, &error))?;
    if argument.is_some() && proxy.has_login() {
        return Err(Failure::new(Class::Usage, "a password among the arguments can be read by everybody on this machine")
            .advise("put the proxy with its password into the variable BALCONY_PROXY instead"));
    }
    Ok(Some(Some(proxy.to_secret_text())))
}

fn tell(console: &Console, jid: &BareJid, online: &Online, keeps_keys: bool) {
    let mechanism = online.learned.mechanism.name();
    let how = match online.security {
        Security::StartTls => "STARTTLS",
        Security::DirectTls => "direct TLS",
    };
    let kept = if keeps_keys {
        "its salted keys are kept, not the password"
    } else {
        "the server only takes the password itself, which is not kept: it will be asked for each time"
    };
    console.result(
        "logged-in",
        json!({"jid": jid.as_str(), "mechanism": mechanism, "tls": online.tls, "security": how, "keys_kept": keeps_keys, "took_ms": online.took.as_millis() as u64}),
        format!("logged in as {jid} ({mechanism}, {}, {how}); {kept}", online.tls),
    );
}
