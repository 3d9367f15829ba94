//! From a remembered account to a connected one, and back: what a login taught us is kept.

use balcony_client::{
    Account, Availability, Class as ClientClass, ConnectError, ConnectOptions, Fetcher, Online, ServerAddress, ShareError,
};
use balcony_session::client::Credentials;
use balcony_store::Store;

use crate::accounts::{Accounts, Entry};
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::prompt;

/// Exit codes of the library's classes.
pub(crate) fn class_of(class: ClientClass) -> Class {
    match class {
        ClientClass::Usage => Class::Usage,
        ClientClass::Login => Class::Login,
        ClientClass::Network => Class::Network,
        ClientClass::Certificate => Class::Certificate,
        ClientClass::Server => Class::Server,
        ClientClass::Source => Class::Source,
        ClientClass::Proof => Class::Proof,
        ClientClass::Local => Class::Local,
        ClientClass::Policy => Class::Policy,
        ClientClass::Timeout => Class::Timeout,
    }
}

/// The words of a login that failed.
pub(crate) fn connect_failure(jid: &str, error: &ConnectError) -> Failure {
    let failure = Failure::from_error(class_of(error.class()), error);
    let failure = Failure { what: format!("cannot log in as {jid}: {}", failure.what), ..failure };
    match error.advice() {
        Some(advice) if failure.class == Class::Certificate => failure.advise(format!("{advice} (`balcony login {jid} --ca FILE`)")),
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// The words of a share that failed.
pub(crate) fn share_failure(error: &ShareError) -> Failure {
    let failure = Failure::from_error(class_of(error.class()), error);
    match error.advice() {
        Some(advice) if no_service_takes(error) => failure.advise(format!("{advice}; {DIRECT}")),
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// The other way to send a file, and what it shows.
const DIRECT: &str = "or, while they are online, send it with --direct: of any size, straight to their device, which learns your address \
                      (not with --relay-only)";

/// Whether it is about what upload services take, not about the file or the network.
fn no_service_takes(error: &ShareError) -> bool {
    use balcony_sharing::transfer::upload::UploadError as U;
    match error {
        ShareError::Upload { source, .. } => {
            matches!(source, U::NoService | U::TooLarge { .. } | U::TooLargeForUnknownLimit(_) | U::Quota { .. } | U::Refused { .. })
        }
        _ => false,
    }
}

/// How to connect the account of an entry with these credentials.
pub(crate) fn options(entry: &Entry, credentials: Credentials) -> Result<ConnectOptions, Failure> {
    let mut options = ConnectOptions::new(entry.jid()?, credentials);
    options.floor = entry.floor();
    options.ca_pem.clone_from(&entry.ca);
    options.proxy = entry.proxy()?;
    options.server = server(entry)?.map(|address| (address, entry.security()));
    Ok(options)
}

/// Where the entry says that the server is.
fn server(entry: &Entry) -> Result<Option<ServerAddress>, Failure> {
    let address = entry.server.as_deref().map(str::parse).transpose();
    address.map_err(|error| Failure::from_error(Class::Usage, &error))
}

/// What fetches for the account of an entry without connecting it.
pub(crate) fn fetcher(entry: &Entry, store: Store) -> Result<Fetcher, Failure> {
    let fetcher = Fetcher::offline(&entry.jid()?, entry.ca.as_deref(), entry.proxy()?, store);
    fetcher.map_err(|error| Failure::from_error(class_of(error.class()), &error))
}

/// The chosen account and its store, without connecting.
pub(crate) fn store(home: &Home, named: Option<&str>) -> Result<(Entry, Store), Failure> {
    let entry = Accounts::load(home)?.choose(named)?.clone();
    let store = Store::open(home.store(&entry.jid)?).map_err(|error| Failure::from_error(Class::Local, &error))?;
    Ok((entry, store))
}

/// Connects a remembered account with its keys; without keys the password is asked for each time.
pub(crate) async fn account(home: &Home, named: Option<&str>, availability: Availability) -> Result<Account, Failure> {
    let (mut entry, store) = store(home, named)?;
    let credentials = match entry.keys() {
        Some(keys) => Credentials::Keys(keys),
        None => Credentials::Password(prompt::password(&entry.jid, false).await?),
    };
    let options = ConnectOptions { availability, ..options(&entry, credentials)? };
    let account = Account::connect(options, store).await.map_err(|error| connect_failure(&entry.jid, &error))?;
    if let Ok(online) = account.online().await
        && learn(&mut entry, &online)
    {
        let mut accounts = Accounts::load(home)?;
        accounts.put(entry);
        accounts.save(home)?;
    }
    Ok(account)
}

/// Takes over what a login taught us; says whether that was anything new.
pub(crate) fn learn(entry: &mut Entry, online: &Online) -> bool {
    // The best there ever was: one connection that could not be bound lowers nothing.
    let floor = entry.floor().max(Some(online.learned.mechanism)).map(|mechanism| mechanism.name().to_owned());
    let keys = online.learned.keys.as_ref().map(balcony_session::ScramKeys::to_text).or_else(|| entry.keys.clone());
    let is_new = entry.floor != floor || entry.keys != keys;
    entry.floor = floor;
    entry.keys = keys;
    is_new
}
