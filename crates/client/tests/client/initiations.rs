//! Files by stream initiation, with a peer that the test plays stanza by stanza: in band, by SOCKS5, in parts, and against the rules.

use std::io::{Read as _, Write as _};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use balcony_client::{
    Account, CataloguedOffer, ConnectOptions, Decision, DirectError, DirectEvent, DirectFile, FetchError, SharedFile, Store, WayTaken,
};
use balcony_session::client::Ask;
use balcony_session::iq_table::RequestError;
use balcony_sharing::Proof;
use balcony_sharing::transfer::bytestream::s5b::dstaddr;
use balcony_wire::bytestreams::{Query, QueryPayload, StreamHost, StreamHostUsed};
use balcony_wire::in_band::{Close, Data, Open, StanzaKind};
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream_initiation::{FeatureNeg, Si, SiError, SiFile, SiRange};
use balcony_wire::{Element, Iq, IqKind, Jid, Payload, StanzaError, ns};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::direct::{Couple, fetch, options, sent, yes};
use crate::puppet::{Puppet, discovery, result};
use crate::scene::{Scene, nobody, noise};
use crate::sharing::file;

const PATIENCE: Duration = Duration::from_secs(60);
const BOTH: [&str; 2] = [ns::BYTESTREAMS, ns::IBB];

/// Romeo with a program of old: he says what it would say.
struct Old {
    account: Account,
    to: Jid,
}

type Answered = Result<Option<Element>, StanzaError>;

impl Old {
    async fn new(couple: &Couple) -> Self {
        Self { account: couple.romeo.clone(), to: couple.juliet.online().await.unwrap().jid.clone().into() }
    }

    async fn ask(&self, payload: impl Payload) -> Answered {
        match self.account.request(Some(self.to.clone()), Ask::Set(payload.write()), PATIENCE).await {
            Ok(answer) => Ok(answer),
            Err(RequestError::Refused { error, .. }) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    /// Offers a file; the answer comes when somebody decided.
    fn offer(&self, sid: &str, size: usize, methods: &[&str], range: bool) -> JoinHandle<Answered> {
        let si = offer(sid, size, methods, range);
        let (account, to) = (self.account.clone(), self.to.clone());
        tokio::spawn(async move { Self { account, to }.ask(si).await })
    }

    async fn open(&self, sid: &str) -> Answered {
        self.ask(Open { sid: sid.to_owned(), block_size: 4096, stanza: StanzaKind::Iq }).await
    }

    async fn blocks(&self, sid: &str, bytes: &[u8]) -> Answered {
        for (seq, block) in (0..).zip(bytes.chunks(4096)) {
            self.ask(Data { sid: sid.to_owned(), seq, bytes: block.to_vec() }).await?;
        }
        Ok(None)
    }

    async fn close(&self, sid: &str) -> Answered {
        self.ask(Close { sid: sid.to_owned() }).await
    }

    async fn own(&self) -> Jid {
        self.account.online().await.unwrap().jid.clone().into()
    }

    /// One more place in a list of hosts.
    async fn hosts(&self, sid: &str, ports: &[u16]) -> Query {
        let own = self.own().await;
        let host = |port: &u16| StreamHost { jid: own.clone(), host: "127.0.0.1".to_owned(), port: Some(*port) };
        Query::new(sid, QueryPayload::Hosts(ports.iter().map(host).collect()))
    }
}

fn offer(sid: &str, size: usize, methods: &[&str], range: bool) -> Si {
    let file = SiFile {
        name: Some("../old photo.jpg".to_owned()),
        size: Some(size as u64),
        md5: Some("552da749930852c69ae5d2141d3766b1".to_owned()),
        range: range.then(SiRange::default),
        ..SiFile::default()
    };
    Si {
        id: Some(sid.to_owned()),
        mime_type: Some("image/jpeg".to_owned()),
        profile: Some(ns::SI_FILE_TRANSFER.to_owned()),
        file: Some(file),
        feature: Some(FeatureNeg::offer(methods.iter().copied())),
        others: Vec::new(),
    }
}

fn chosen(answer: &Answered) -> (String, Option<SiRange>) {
    let si = Si::read(answer.as_ref().unwrap().as_ref().unwrap()).unwrap();
    (si.feature.as_ref().and_then(FeatureNeg::chosen).unwrap().to_owned(), si.file.and_then(|file| file.range))
}

fn fetching(couple: &Couple, offer: &CataloguedOffer) -> JoinHandle<SharedFile> {
    let (account, offer) = (couple.juliet.clone(), offer.clone());
    tokio::spawn(async move { fetch(&account, &offer).await })
}

fn failing(couple: &Couple, offer: &CataloguedOffer) -> JoinHandle<FetchError> {
    let (account, offer) = (couple.juliet.clone(), offer.clone());
    tokio::spawn(async move {
        let plan = yes(&account, &offer).await;
        timeout(PATIENCE, account.fetch(&offer, plan)).await.expect("it takes too long").unwrap_err()
    })
}

/// What went wrong, in the order in which it did.
fn outcomes(error: FetchError) -> String {
    let FetchError::Failed(failed) = error else { panic!("{error}") };
    failed.outcomes.iter().map(|(_, outcome)| format!("{outcome}\n")).collect()
}

async fn bytes_of(file: &SharedFile) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::read(file.save_in(folder.path(), balcony_client::OnClash::Rename).await.unwrap()).unwrap()
}

/// A host that gives the bytes to whoever asks it by SOCKS5 for this stream.
async fn host(asked_for: String, bytes: Vec<u8>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 47];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!((&request[..5], &request[45..]), (&[5, 1, 0, 3, 40][..], &[0, 0][..]));
        assert_eq!(std::str::from_utf8(&request[5..45]).unwrap(), asked_for);
        request[1] = 0;
        stream.write_all(&request).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    (port, task)
}

/// Proves: SI-3.2-2, SI-5.2-1, SIF-D-1, USER-7-4.
#[tokio::test]
async fn an_old_program_gives_a_file_in_band_once_the_person_says_yes() {
    let mut couple = Couple::new().await;
    let (old, bytes) = (Old::new(&couple).await, noise(50_000));
    let answer = old.offer("a0", bytes.len(), &[ns::IBB], false);
    let offer = couple.next().await;
    assert_eq!(
        (offer.name().as_str(), offer.size(), offer.media_type().to_string().as_str()),
        ("%2E.%2Fold photo.jpg", Some(50_000), "image/jpeg")
    );
    assert_eq!((offer.proof(), offer.digests().is_empty()), (Proof::None, true), "an md5 proves nothing");
    assert!(matches!(couple.juliet.decide(&offer).await.unwrap(), Decision::Ask(_)), "nobody can prove it");

    let file = fetching(&couple, &offer);
    assert_eq!(chosen(&answer.await.unwrap()), (ns::IBB.to_owned(), None));
    old.open("a0").await.unwrap();
    old.blocks("a0", &bytes).await.unwrap();
    old.close("a0").await.unwrap();
    let got = file.await.unwrap();
    assert_eq!((bytes_of(&got).await, got.is_proven()), (bytes, false));
}

/// Proves: SIF-3.1-1, S5B-5.3-3, S5B-5.3-5, S5B-1-1.
#[tokio::test]
async fn an_old_program_gives_a_file_by_the_host_that_answers() {
    let mut couple = Couple::new().await;
    let (old, bytes) = (Old::new(&couple).await, noise(300_000));
    let answer = old.offer("a0", bytes.len(), &BOTH, true);
    let offer = couple.next().await;
    let file = fetching(&couple, &offer);
    assert_eq!(chosen(&answer.await.unwrap()), (ns::BYTESTREAMS.to_owned(), None));

    let (_held, nobody) = nobody();
    let (port, giving) = host(dstaddr("a0", &old.own().await, &old.to), bytes.clone()).await;
    let used = old.ask(old.hosts("a0", &[nobody, port]).await).await.unwrap().unwrap();
    let QueryPayload::Used(used) = Query::read(&used).unwrap().payload else { panic!("{used:?}") };
    assert_eq!(used.jid, old.own().await);
    assert_eq!(bytes_of(&file.await.unwrap()).await, bytes);
    giving.await.unwrap();
}

/// Proves: S5B-5.3-2, IBB-D-1.
#[tokio::test]
async fn hosts_that_cannot_be_used_are_refused_by_name_and_the_other_way_still_works() {
    let mut couple = Couple::new().await;
    let (old, bytes) = (Old::new(&couple).await, noise(9_000));
    let unasked = old.ask(old.hosts("a0", &[1]).await).await.unwrap_err();
    assert_eq!(unasked.condition, DefinedCondition::NotAcceptable);
    assert_eq!(old.open("a0").await.unwrap_err().condition, DefinedCondition::ItemNotFound, "nothing was agreed on");

    let answer = old.offer("a0", bytes.len(), &BOTH, false);
    let offer = couple.next().await;
    let file = fetching(&couple, &offer);
    assert_eq!(chosen(&answer.await.unwrap()).0, ns::BYTESTREAMS);
    let malformed = old.ask(Query::new("a0", QueryPayload::Nothing)).await.unwrap_err();
    assert_eq!(malformed.condition, DefinedCondition::BadRequest);
    let (_held, nobody) = nobody();
    let unreached = old.ask(old.hosts("a0", &[nobody]).await).await.unwrap_err();
    assert_eq!(unreached.condition, DefinedCondition::ItemNotFound);

    old.open("a0").await.unwrap();
    old.blocks("a0", &bytes).await.unwrap();
    old.close("a0").await.unwrap();
    assert_eq!(bytes_of(&file.await.unwrap()).await, bytes);
}

/// Without a digest nothing would prove that bytes of two streams belong together.
#[tokio::test]
async fn a_file_that_broke_comes_whole_when_it_is_offered_again_meanwhile() {
    let mut couple = Couple::new().await;
    let (old, bytes) = (Old::new(&couple).await, noise(40_960));
    let answer = old.offer("a0", bytes.len(), &[ns::IBB], true);
    let offered = couple.next().await;
    let file = fetching(&couple, &offered);
    answer.await.unwrap().unwrap();
    old.open("a0").await.unwrap();
    old.blocks("a0", &bytes[..20_480]).await.unwrap();
    old.close("a0").await.unwrap();

    let again = loop {
        match old.ask(offer("a0", bytes.len(), &[ns::IBB], true)).await {
            // The first one is not over yet.
            Err(error) if error.condition == DefinedCondition::Conflict => {}
            answer => break answer,
        }
    };
    assert_eq!(chosen(&again).1, None);
    old.open("a0").await.unwrap();
    old.blocks("a0", &bytes).await.unwrap();
    old.close("a0").await.unwrap();
    assert_eq!(bytes_of(&file.await.unwrap()).await, bytes);
}

/// Proves: SI-3.2-3.
#[tokio::test]
async fn what_is_not_wanted_or_not_understood_is_refused_as_the_document_says() {
    let mut couple = Couple::new().await;
    let old = Old::new(&couple).await;
    let answer = old.offer("a0", 100, &BOTH, false);
    let unwanted = couple.next().await;
    couple.juliet.fetcher().decline(&unwanted).await.unwrap();
    couple.juliet.fetcher().turn_away(&unwanted).await;
    let declined = answer.await.unwrap().unwrap_err();
    assert_eq!((declined.condition, SiError::of(&declined)), (DefinedCondition::Forbidden, Some(SiError::Declined)));

    let refused = async |si: Si| old.ask(si).await.unwrap_err();
    let chess = Si { profile: Some("urn:example:chess".to_owned()), ..offer("a1", 100, &BOTH, false) };
    assert_eq!(SiError::of(&refused(chess).await), Some(SiError::BadProfile));
    let by_pigeon = offer("a2", 100, &["urn:example:pigeon"], false);
    assert_eq!(SiError::of(&refused(by_pigeon).await), Some(SiError::NoValidStreams));
    let unmeasured = Si { file: Some(SiFile { name: Some("a".to_owned()), ..SiFile::default() }), ..offer("a3", 1, &BOTH, false) };
    assert_eq!(refused(unmeasured).await.condition, DefinedCondition::BadRequest);
    assert!(timeout(Duration::from_millis(100), couple.offers.next()).await.is_err(), "nothing of it is offered to her");
}

#[tokio::test]
async fn strangers_meet_a_client_that_knows_no_stream_initiation() {
    let scene = Scene::new().await;
    let connect = async |name: &str| Account::connect(options(&scene, name), Store::in_memory().unwrap()).await.unwrap();
    let (romeo, juliet) = (connect("romeo").await, connect("juliet").await);
    let old = Old { account: romeo, to: juliet.online().await.unwrap().jid.clone().into() };
    let error = old.ask(offer("a0", 100, &BOTH, false)).await.unwrap_err();
    assert_eq!(error.condition, DefinedCondition::ServiceUnavailable);
    let error = old.ask(old.hosts("a0", &[1]).await).await.unwrap_err();
    assert_eq!(error.condition, DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn a_sender_that_gives_more_than_announced_is_cut_off_and_nothing_is_kept() {
    let mut couple = Couple::new().await;
    let (old, bytes) = (Old::new(&couple).await, noise(20_000));
    let answer = old.offer("a0", 10_000, &[ns::IBB], false);
    let offer = couple.next().await;
    let broken = failing(&couple, &offer);
    answer.await.unwrap().unwrap();
    old.open("a0").await.unwrap();
    assert!(old.blocks("a0", &bytes).await.is_err(), "it is not taken without end");
    let why = outcomes(broken.await.unwrap());
    assert!(why.contains("more"), "{why}");
}

#[tokio::test]
async fn the_same_stream_cannot_be_offered_twice_at_once() {
    let mut couple = Couple::new().await;
    let old = Old::new(&couple).await;
    let first = old.offer("a0", 100, &BOTH, false);
    let unwanted = couple.next().await;
    let second = old.ask(offer("a0", 100, &BOTH, false)).await.unwrap_err();
    assert_eq!(second.condition, DefinedCondition::Conflict);
    couple.juliet.fetcher().turn_away(&unwanted).await;
    assert!(first.await.unwrap().is_err());
}

const OLD: &str = "romeo@localhost/old";

/// What a program of old answers, that knows nothing but stream initiation: to offers and to lists of hosts as the test says.
fn old_program(iq: &Iq, to_offer: impl Fn(&Si) -> String, to_hosts: impl Fn(&Query) -> String) -> Vec<String> {
    if iq.to.as_ref().is_none_or(|to| to.as_str() != OLD) {
        return discovery(iq, &[]).unwrap_or_default();
    }
    let IqKind::Set(payload) = &iq.kind else { return discovery(iq, &[ns::DISCO_INFO, ns::SI, ns::SI_FILE_TRANSFER]).unwrap_or_default() };
    match payload.ns() {
        ns::SI => vec![to_offer(&Si::read(payload).unwrap()).replace("FROM", OLD)],
        ns::BYTESTREAMS => vec![to_hosts(&Query::read(payload).unwrap()).replace("FROM", OLD)],
        ns::IBB => vec![result(iq, "")],
        _ => Vec::new(),
    }
}

fn takes(si: &Si) -> String {
    let method = si.feature.as_ref().unwrap().methods().next().unwrap();
    let answer = Si { feature: Some(FeatureNeg::choice(method)), ..Si::default() }.write().to_xml();
    format!("<iq xmlns='jabber:client' type='result' id='{{id}}' from='FROM' to='{{to}}'>{answer}</iq>")
}

fn refuses(error: StanzaError) -> String {
    format!("<iq xmlns='jabber:client' type='error' id='{{id}}' from='FROM' to='{{to}}'>{}</iq>", error.write().to_xml())
}

/// Proves: SI-3.2-1, SIF-3-1, SIF-D-2, S5B-5.3-1, JFT-10.3-1.
#[tokio::test]
async fn who_knows_nothing_better_is_offered_a_file_the_old_way_and_in_band_where_no_host_is_reached() {
    let unreached = |_: &Query| refuses(StanzaError::new(DefinedCondition::ItemNotFound));
    let server = Puppet::new(move |iq| old_program(iq, takes, unreached)).await;
    let mut options = server.options("juliet");
    options.loopback_http = true;
    let juliet = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
    let (folder, bytes) = (tempfile::tempdir().unwrap(), noise(10_000));
    let sending = juliet.send_direct(file(&folder, "photo.jpg", &bytes)).to(&Jid::parse(OLD).unwrap()).progress();
    let (events, result) = sent(sending).await;
    let file = result.unwrap().files.remove(0);
    assert_eq!((file.way, file.size), (Some(WayTaken::InBand), 10_000));
    assert!(events.iter().any(|event| matches!(event, DirectEvent::FellBack { .. })), "{events:?}");
    let heard = |name: &str, ns: &str| -> Vec<Element> {
        let payloads = server.heard_with(ns).into_iter().filter_map(|xml| Element::parse(&xml).unwrap().into_children().next());
        payloads.filter(|payload| payload.is(name, ns)).collect()
    };
    let offers: Vec<Si> = heard("si", ns::SI).iter().map(|si| Si::read(si).unwrap()).collect();
    let methods = |si: &Si| si.feature.as_ref().unwrap().methods().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(offers.iter().map(methods).collect::<Vec<_>>(), [vec![ns::BYTESTREAMS, ns::IBB], vec![ns::IBB]]);
    let offered = offers[0].file.as_ref().unwrap();
    assert_eq!((offered.name.as_deref(), offered.size, offered.range), (Some("photo.jpg"), Some(10_000), Some(SiRange::default())));
    let hosts = Query::read(&heard("query", ns::BYTESTREAMS)[0]).unwrap();
    assert_eq!(hosts.sid, offers[0].id);
    let mut places: Vec<_> = hosts.hosts().iter().map(|host| (host.host.clone(), host.port())).collect();
    let all = places.len();
    places.sort();
    places.dedup();
    assert_eq!((places.len(), all > 0), (all, true));
    let blocks: Vec<Data> = heard("data", ns::IBB).iter().map(|data| Data::read(data).unwrap()).collect();
    assert!(blocks.iter().all(|block| Some(&block.sid) == offers[1].id.as_ref()));
    assert_eq!(blocks.into_iter().flat_map(|block| block.bytes).collect::<Vec<_>>(), bytes);
    assert!(heard("jingle", ns::JINGLE).is_empty());
}

#[tokio::test]
async fn who_declines_the_old_way_is_told_from_who_cannot_be_reached() {
    let declines = |_: &Si| refuses(SiError::Declined.into());
    let server = Puppet::new(move |iq| old_program(iq, declines, |_| String::new())).await;
    let juliet = Account::connect(server.options("juliet"), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "photo.jpg", &noise(10));
    let error = sent(juliet.send_direct(path).to(&Jid::parse(OLD).unwrap()).progress()).await.1.unwrap_err();
    assert!(matches!(&error, DirectError::Ended { reason, .. } if reason.to_string().contains("declined")), "{error}");
}

/// Proves: SIF-D-2.
#[tokio::test]
async fn who_knows_jingle_as_well_is_never_offered_a_file_the_old_way() {
    let server = Puppet::new(|iq| {
        if iq.to.as_ref().is_none_or(|to| to.as_str() != OLD) {
            return discovery(iq, &[]).unwrap_or_default();
        }
        discovery(iq, &[ns::SI, ns::SI_FILE_TRANSFER, ns::JINGLE, ns::JINGLE_FILE_TRANSFER_5, ns::JINGLE_IBB]).unwrap_or_default()
    })
    .await;
    let juliet = Account::connect(server.options("juliet"), Store::in_memory().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "photo.jpg", &noise(10));
    sent(juliet.send_direct(path).to(&Jid::parse(OLD).unwrap()).progress()).await.1.unwrap_err();
    assert!(!server.heard_with("session-initiate").is_empty());
    assert!(server.heard_with("<si ").is_empty());
}

/// Comes to the first of the hosts, takes so many bytes, and hangs up.
fn comes(query: &Query, takes: usize, got: mpsc::Sender<Vec<u8>>) -> String {
    let (host, dstaddr) = (query.hosts()[0].clone(), query.dstaddr.clone().unwrap());
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect((host.host.as_str(), host.port())).unwrap();
        stream.write_all(&[5, 1, 0]).unwrap();
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).unwrap();
        stream.write_all(&[&[5, 1, 0, 3, 40], dstaddr.as_bytes(), &[0, 0]].concat()).unwrap();
        let mut agreed = [0; 47];
        stream.read_exact(&mut agreed).unwrap();
        assert_eq!((chosen, &agreed[..5], &agreed[5..45], &agreed[45..]), ([5, 0], &[5, 0, 0, 3, 40][..], dstaddr.as_bytes(), &[0, 0][..]));
        let mut bytes = vec![0; takes];
        stream.read_exact(&mut bytes).unwrap();
        got.send(bytes).unwrap();
    });
    let used = Query::new(query.sid.clone().unwrap(), QueryPayload::Used(StreamHostUsed { jid: query.hosts()[0].jid.clone() }));
    format!("<iq xmlns='jabber:client' type='result' id='{{id}}' from='FROM' to='{{to}}'>{}</iq>", used.write().to_xml())
}

/// Sends a file to somebody who takes so many bytes of it: how it ended, or broke off for the first time.
async fn given_to_who_takes(length: usize, taken: usize) -> (Vec<u8>, Vec<u8>, Result<DirectFile, DirectError>) {
    let (got, comes_out) = mpsc::channel();
    let got = Mutex::new(got);
    let server = Puppet::new(move |iq| old_program(iq, takes, |query| comes(query, taken, got.lock().unwrap().clone()))).await;
    let options = ConnectOptions { loopback_http: true, ..server.options("juliet") };
    let juliet = Account::connect(options, Store::in_memory().unwrap()).await.unwrap();
    let (folder, bytes) = (tempfile::tempdir().unwrap(), noise(length));
    let mut sending = juliet.send_direct(file(&folder, "photo.jpg", &bytes)).to(&Jid::parse(OLD).unwrap()).progress();
    let result = loop {
        match timeout(PATIENCE, sending.next()).await.expect("it takes too long").unwrap() {
            DirectEvent::Delivered { file, .. } => break Ok(file),
            DirectEvent::Again { why, .. } | DirectEvent::NotSent { why, .. } => break Err(why),
            _ => {}
        }
    };
    (bytes, comes_out.recv().unwrap(), result)
}

/// Proves: S5B-5.3-1, S5B-5.3-4.
#[tokio::test]
async fn who_comes_to_us_for_a_file_has_it_when_they_hang_up_with_all_of_it() {
    let (bytes, got, result) = given_to_who_takes(300_000, 300_000).await;
    assert!(got == bytes);
    assert_eq!(result.unwrap().way, Some(WayTaken::Direct));
}

#[tokio::test]
async fn who_hangs_up_before_the_end_does_not_count_as_having_it() {
    let (_, _, result) = given_to_who_takes(40_000_000, 1_000).await;
    let error = result.unwrap_err();
    assert!(error.to_string().contains("broke"), "{error}");
}
