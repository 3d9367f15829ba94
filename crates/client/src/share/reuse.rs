//! Links of our own that still work: a file that lies on our server already is not uploaded once more.
//!
//! Asked is the server that gave the link, and no other: for one byte, without following redirects.

use std::time::{Duration, SystemTime};

use balcony_sharing::net_rules::check_url;
use balcony_store::{Link, StoreError};
use balcony_wire::hashes::Digest;
use hyper::header::{HeaderMap, HeaderValue, RANGE};
use hyper::{Method, StatusCode};
use tokio::time::timeout;
use url::Url;

use crate::account::Account;
use crate::blocking::blocking;
use crate::http::exchange::{Answer, RequestBody, WebRequest, exchange};
use crate::net::connector::Moved;

/// Servers delete what is old, and few say when: a link of that age is not handed to new people.
const OLD: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// One that runs out within this time is as good as gone.
const SOON: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the server may take to say whether the file is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look at a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    There,
    Gone,
    /// It could not be found out.
    Unknown,
}

/// A link at which the file still is; links that are gone are forgotten.
pub(super) async fn live_link(account: &Account, sha256: &Digest, size: u64) -> Result<Option<String>, StoreError> {
    let (store, jid, digest) = (account.store().clone(), account.jid().clone(), sha256.clone());
    let links = blocking(move || store.links(&jid, &digest)).await?;
    let now = SystemTime::now();
    for link in links.into_iter().filter(|link| link.size == size && is_young(link, now)) {
        match look(account, &link.url, size).await {
            Look::There => return Ok(Some(link.url)),
            Look::Gone => {
                let store = account.store().clone();
                blocking(move || store.link_is_gone(&link.url)).await?;
            }
            Look::Unknown => {}
        }
    }
    Ok(None)
}

/// Whether a link of our own server still leads to a file of that size. Nobody else's server is asked.
pub(super) async fn is_live(account: &Account, url: &str, size: u64) -> bool {
    look(account, url, size).await == Look::There
}

fn is_young(link: &Link, now: SystemTime) -> bool {
    match link.expires_at {
        Some(expires_at) => expires_at > now + SOON,
        // A clock that was set back makes no link old.
        None => now.duration_since(link.uploaded_at).map_or(true, |age| age < OLD),
    }
}

async fn look(account: &Account, url: &str, size: u64) -> Look {
    let rules = account.fetcher().rules();
    let Ok(url) = Url::parse(url) else { return Look::Gone };
    if !rules.is_own(&url) {
        return Look::Unknown;
    }
    let Ok(rule) = check_url(&url, &rules) else { return Look::Unknown };
    let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))]);
    let request = WebRequest { method: Method::GET, url: &url, headers, body: RequestBody::none(), rule: &rule, moved: Moved::default() };
    match timeout(PATIENCE, exchange(request, account.network())).await {
        Ok(Ok(answer)) => judge(answer.status, told_size(&answer), size),
        Ok(Err(_)) | Err(_) => Look::Unknown, // whoever uploads next says what is wrong with the server
    }
}

fn judge(status: StatusCode, told: Option<u64>, size: u64) -> Look {
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT if told.is_none_or(|told| told == size) => Look::There,
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Look::Gone,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Look::Unknown,
        status if status.is_client_error() => Look::Gone,
        _ => Look::Unknown,
    }
}

/// Bytes of the whole file, if the answer says.
fn told_size(answer: &Answer) -> Option<u64> {
    let head = answer.head();
    let header = |name: &str| head.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    match answer.status {
        StatusCode::PARTIAL_CONTENT => header("content-range")?.rsplit_once('/')?.1.trim().parse().ok(),
        _ => header("content-length")?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(uploaded: u64, expires: Option<u64>) -> Link {
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60);
        Link {
            account: "romeo@montague.example".parse().unwrap(),
            sha256: Digest::new(balcony_wire::hashes::HashAlgo::Sha256, vec![7; 32]).unwrap(),
            size: 5,
            url: "https://upload.montague.example/a".to_owned(),
            service: "upload.montague.example".parse().unwrap(),
            uploaded_at: at(uploaded),
            expires_at: expires.map(at),
        }
    }

    #[test]
    fn old_links_and_those_that_end_soon_are_not_handed_on() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 24 * 60 * 60);
        assert!(is_young(&link(98, None), now));
        assert!(is_young(&link(101, None), now));
        assert!(!is_young(&link(96, None), now));
        assert!(is_young(&link(70, Some(102)), now));
        assert!(!is_young(&link(99, Some(100)), now));
    }

    #[test]
    fn only_an_answer_of_the_right_length_means_that_the_file_is_there() {
        assert_eq!(judge(StatusCode::PARTIAL_CONTENT, Some(5), 5), Look::There);
        assert_eq!(judge(StatusCode::OK, None, 5), Look::There);
        assert_eq!(judge(StatusCode::OK, Some(6), 5), Look::Gone);
        assert_eq!(judge(StatusCode::GONE, None, 5), Look::Gone);
        for unknown in [StatusCode::FOUND, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY] {
            assert_eq!(judge(unknown, None, 5), Look::Unknown);
        }
    }
}
