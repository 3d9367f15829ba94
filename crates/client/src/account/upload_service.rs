//! Which upload services the account's server has: asked anew on every connection, never remembered over one. Dead items cost
//! their deadline at most, and nothing once a service is found.
//!
//! XEP-0363 HTTP File Upload, v1.2.0 <https://xmpp.org/extensions/xep-0363.html> (§3: discovery)
//! XEP-0030 Service discovery, v2.5.0 <https://xmpp.org/extensions/xep-0030.html>
//! XEP-0128 Service discovery extensions, v1.0.1 <https://xmpp.org/extensions/xep-0128.html>

use std::collections::BTreeSet;
use std::time::Duration;

use balcony_session::client::Ask;
use balcony_wire::disco::{DiscoInfo, DiscoItems};
use balcony_wire::{Element, Jid, Payload as _, ns};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Account;

/// How long one address may take to answer.
const ANSWER: Duration = Duration::from_secs(8);
/// How long the server itself may: its answer comes behind all the messages that waited for us, and each of them is kept first.
const BEHIND_MESSAGES: Duration = Duration::from_secs(60);
/// How long the others may still take once a service is found.
const GRACE: Duration = Duration::from_millis(500);
/// Items asked; a server that lists more lists them for somebody else (XEP-0030 §6).
const MOST: usize = 20;

/// A service that takes uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadService {
    /// Its address.
    pub jid: Jid,
    /// The largest file it takes; `None`: it does not say, which is neither zero nor infinite.
    pub max_file_size: Option<u64>,
    /// Names of the purposes it knows (XEP-0363 §5).
    pub purposes: Vec<String>,
}

/// What the server and its items say about themselves.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The server itself; `None` if it did not answer.
    pub server: Option<DiscoInfo>,
    /// Those that take uploads, in the order of the server's list.
    pub uploads: Vec<UploadService>,
    /// Those that carry byte streams between devices (XEP-0065), as far as they answered before the upload services had.
    pub proxies: Vec<Jid>,
    /// Items that gave no answer, with the reason.
    pub silent: Vec<(Jid, String)>,
}

/// Asks the server and its items.
pub(super) async fn discover(account: &Account) -> Services {
    let Ok(domain) = Jid::parse(account.jid().domain()) else { return Services::default() };
    let (server, items) = tokio::join!(info(account, domain.clone(), BEHIND_MESSAGES), items(account, domain.clone()));
    let mut services = Services::default();
    match server {
        Ok(info) => {
            services.uploads.extend(upload_service(&domain, &info));
            services.server = Some(info);
        }
        Err(why) => services.silent.push((domain.clone(), why)),
    }
    ask_items(account, worth_asking(items, &domain), &mut services).await;
    services
}

/// The items that are asked one by one: the first few, each once though some servers list one twice, and not the server a second time.
fn worth_asking(items: Vec<Jid>, server: &Jid) -> Vec<Jid> {
    let mut asked = BTreeSet::from([server.clone()]);
    items.into_iter().filter(|item| asked.insert(item.clone())).take(MOST).collect()
}

async fn ask_items(account: &Account, items: Vec<Jid>, services: &mut Services) {
    let asking = items.into_iter().enumerate().map(|(at, item)| async move { (at, info(account, item.clone(), ANSWER).await, item) });
    let mut answers: FuturesUnordered<_> = asking.collect();
    let mut until = Instant::now() + ANSWER + GRACE;
    let mut found = Vec::new();
    while let Ok(Some((at, answer, item))) = timeout_at(until, answers.next()).await {
        match answer {
            Ok(info) => {
                if info.is("proxy", "bytestreams") {
                    services.proxies.push(item.clone());
                }
                if let Some(service) = upload_service(&item, &info) {
                    found.push((at, service));
                    until = until.min(Instant::now() + GRACE);
                }
            }
            Err(why) => services.silent.push((item, why)),
        }
    }
    found.sort_by_key(|(at, _)| *at);
    services.uploads.extend(found.into_iter().map(|(_, service)| service));
}

async fn info(account: &Account, jid: Jid, patience: Duration) -> Result<DiscoInfo, String> {
    let answer = account.request(Some(jid), Ask::Get(DiscoInfo::query(None).write()), patience).await;
    let element: Element = answer.map_err(|error| error.to_string())?.ok_or("it answered nothing")?;
    DiscoInfo::read(&element).map_err(|error| error.to_string())
}

async fn items(account: &Account, jid: Jid) -> Vec<Jid> {
    let answer = account.request(Some(jid), Ask::Get(DiscoItems::query(None).write()), BEHIND_MESSAGES).await;
    match answer.ok().flatten().map(|element| DiscoItems::read(&element)) {
        // Items with a node are parts of something else.
        Some(Ok(items)) => items.items.into_iter().filter(|item| item.node.is_none()).map(|item| item.jid).collect(),
        Some(Err(_)) | None => Vec::new(), // no list is no services, as with an empty one
    }
}

fn upload_service(jid: &Jid, info: &DiscoInfo) -> Option<UploadService> {
    if !info.has(ns::UPLOAD) {
        return None;
    }
    let limit = info.form(ns::UPLOAD).and_then(|form| form.value("max-file-size")).and_then(|text| text.trim().parse().ok());
    let purpose = |feature: &String| feature.strip_prefix(ns::UPLOAD_PURPOSE)?.strip_prefix('#').map(str::to_owned);
    let purposes = info.features.iter().filter_map(purpose).collect();
    Some(UploadService { jid: jid.clone(), max_file_size: limit.filter(|limit| *limit > 0), purposes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Option<UploadService> {
        let info = DiscoInfo::read(&Element::parse(xml).unwrap()).unwrap();
        upload_service(&Jid::parse("upload.montague.tld").unwrap(), &info)
    }

    /// XEP-0363 example 5, with purposes of §5.
    ///
    /// Proves: HUP-3-5.
    #[test]
    fn reads_limit_and_purposes_of_a_service() {
        let service = read(
            "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='store' type='file' name='HTTP File Upload'/>\
             <feature var='urn:xmpp:http:upload:0'/><feature var='urn:xmpp:http:upload:purpose:0#message'/>\
             <x type='result' xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:http:upload:0</value></field>\
             <field var='max-file-size'><value>5242880</value></field></x></query>",
        )
        .unwrap();
        assert_eq!(service.max_file_size, Some(5_242_880));
        assert_eq!(service.purposes, ["message"]);
    }

    /// Nobody else is asked: contacts are known by the roster alone.
    ///
    /// Proves: C0030-6-1.
    #[test]
    fn of_a_long_list_the_first_twenty_are_asked() {
        let domain = Jid::parse("montague.tld").unwrap();
        let listed: Vec<Jid> = (0..50).map(|n| Jid::parse(&format!("service{n}.montague.tld")).unwrap()).collect();
        let twice = |item: &Jid| [item.clone(), item.clone()];
        let items = std::iter::once(domain.clone()).chain(listed.iter().flat_map(twice)).collect();
        assert_eq!(worth_asking(items, &domain), listed[..20], "some servers list an item twice");
    }

    /// Proves: USER-1-4.
    #[test]
    fn no_announced_limit_is_unknown_and_no_feature_is_no_service() {
        let service = read("<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:http:upload:0'/></query>").unwrap();
        assert_eq!(service.max_file_size, None);
        assert_eq!(read("<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:ping'/></query>"), None);
    }
}
