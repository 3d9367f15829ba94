//! A fetch, with whatever happens in whatever order: it never takes more bytes than were announced, is never done without a
//! match, asks nothing of where it must not, and always comes to an end.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use balcony_sharing::cipher::{Cipher, Decipher, Envelope, Fault, Opened, Secret};
use balcony_sharing::dialect::read;
use balcony_sharing::plan::{Abilities, Attempt, Circumstances, History, How, Policy, lay_out};
use balcony_sharing::transfer::fetch::{Action, Base, FetchJob, FetchSettings, Fetched, ResumePoint, Unwrapped};
use balcony_sharing::transfer::{NetFailure, OpenUrl, Reach, ResponseHead, SessionEnd, SessionFailure, SessionRequest, SessionWay};
use balcony_sharing::{Claim, DigestSet, Exposure, Hasher, NamedBy, NetRules, Offer, Received, Source, SourceKey};
use balcony_wire::Jid;
use balcony_wire::file_metadata::FileMetadata;
use balcony_wire::hashes::{Digest, HashAlgo};
use balcony_wire::{Element, Stanza, base64};

use crate::choices::Choices;
use crate::offered::juliet;

/// Sizes at which something changes: empty, one chunk, the least progress, the least part, some of those.
const SIZES: [usize; 6] = [0, 1, 47, 5_000, 66_000, 140_000];
const LIMIT: u64 = 70_000;
/// More than that is no fetch any more.
const PATIENCE: usize = 5_000;

/// A first instant, from which the virtual clock runs.
fn dawn() -> Instant {
    static DAWN: OnceLock<Instant> = OnceLock::new();
    *DAWN.get_or_init(Instant::now)
}

/// The claim and the sources, then what happens.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut scene = Scene::new(&mut choices);
    scene.drain(&mut choices);
    let mut steps = 0;
    while !choices.is_empty() && steps < 400 {
        steps += 1;
        scene.step(&mut choices);
        scene.drain(&mut choices);
    }
    scene.come_to_an_end(&mut choices);
}

/// Who was asked.
enum Asked {
    Url(OpenUrl),
    /// A device, from this byte on.
    Device(u64),
}

struct Scene {
    job: FetchJob,
    claim: Claim,
    file: Vec<u8>,
    /// The same, encrypted.
    sealed: Vec<u8>,
    now: Instant,
    /// What came, as it came.
    staged: Vec<u8>,
    /// What it is opened with, if it is encrypted.
    through: Option<Through>,
    /// The request or the body under way, and how far into the file the body is.
    open: Option<(Asked, Option<usize>)>,
    /// A session whose bytes have ended, and that waits to hear what came of them.
    waits: bool,
    must_hash: bool,
    end: Option<Result<Fetched, ()>>,
    cancelled: bool,
}

impl Scene {
    fn new(choices: &mut Choices<'_>) -> Self {
        let size = choices.one_of(&SIZES);
        let file: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let sealed = sealed(&file);
        let offer = offer(1 + choices.below(4), choices.below(3));
        let claim = claim(choices, &file);
        let mut plan = lay_out(&offer, &Policy::default(), &History::default(), &Circumstances::at(std::time::UNIX_EPOCH));
        assert!(!plan.attempts.is_empty(), "{:?}", plan.left_out);
        plan.attempts.extend((0..choices.below(3)).map(device));
        plan.attempts.rotate_right(choices.below(2));
        let settings = FetchSettings { unannounced_limit: LIMIT, ..FetchSettings::default() };
        let (resume, staged) = left_over(choices, &file, &plan.attempts[0].source);
        let job = FetchJob::new(&plan, claim.clone(), NetRules::default(), settings, resume, dawn());
        Self {
            job,
            claim,
            file,
            sealed,
            now: dawn(),
            staged,
            through: None,
            open: None,
            waits: false,
            must_hash: false,
            end: None,
            cancelled: false,
        }
    }

    fn limit(&self) -> u64 {
        match &self.through {
            Some(Through(envelope)) => envelope.limit(LIMIT),
            None => self.claim.size.unwrap_or(LIMIT),
        }
    }

    /// What is in the staging file, opened, and what its end says.
    fn opened(&self, staged: &[u8]) -> (Vec<u8>, Option<Unwrapped>) {
        match &self.through {
            None => (staged.to_vec(), None),
            Some(through) => {
                let (plain, end) = through.open(staged);
                (plain, Some(Unwrapped { end, ciphertext: None }))
            }
        }
    }

    fn drain(&mut self, choices: &mut Choices<'_>) {
        while let Some(action) = self.job.poll_action() {
            assert!(self.end.is_none(), "nothing is done after the end");
            self.perform(action);
        }
        let staged = self.staged.len() as u64;
        assert_eq!(self.job.progress().have, self.claim.size.map_or(staged, |size| staged.min(size)), "the machine knows what is staged");
        assert!(staged <= self.limit(), "more bytes than announced");
        if self.end.is_some() {
            assert!(self.job.is_over() && self.job.deadline().is_none() && self.open.is_none(), "the end is the end");
            assert!(!self.waits, "a session hears how it ended");
        }
        let _same_input = choices;
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Open(request) => {
                assert!(self.open.is_none(), "one request at a time");
                is_allowed(&request);
                assert_eq!(request.from_byte, self.staged.len() as u64, "it goes on where it is");
                self.open = Some((Asked::Url(request), None));
            }
            Action::Close => assert!(matches!(self.open.take(), None | Some((Asked::Url(_), _)))),
            Action::OpenSession(session) => {
                assert!(self.open.is_none() && !self.waits && self.through.is_none(), "one at a time, and plain");
                assert_eq!(session.from_byte, self.staged.len() as u64, "it goes on where it is");
                self.open = Some((Asked::Device(session.from_byte), None));
            }
            Action::EndSession(end) => {
                let is_open = matches!(self.open.take(), Some((Asked::Device(_), _)));
                assert!(is_open || std::mem::take(&mut self.waits), "only what is open is ended");
                assert!(end != SessionEnd::Kept || !is_open, "kept before the bytes had ended");
            }
            Action::Through(envelope) => {
                assert!(self.staged.is_empty(), "plain and encrypted bytes never mix");
                self.through = Some(Through(envelope));
            }
            Action::Cut(keep) => {
                assert!(keep <= self.staged.len() as u64, "nothing grows by being cut");
                self.through = None;
                self.staged.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            }
            Action::Note(point) => assert!(point.len <= self.staged.len() as u64),
            Action::Record(source, outcome) => assert!(!source.as_str().is_empty() && !outcome.to_string().is_empty()),
            Action::Finish => {
                self.waits |= matches!(self.open.take(), Some((Asked::Device(_), _)));
                self.must_hash = true;
            }
            Action::Done(fetched) => {
                let proven = self.claim.can_prove();
                match &fetched {
                    Fetched::Verified(verified) => {
                        assert!(*verified.hashed() == hashed(&self.claim, &self.opened(&self.staged).0), "proven by nothing");
                        assert!(!proven || self.opened(&self.staged).0 == self.file, "another file");
                        assert!(proven || self.through.is_some(), "a digest, or a tag");
                    }
                    Fetched::Unproven(_) => assert!(!proven, "unproven, though a digest could tell"),
                }
                self.end = Some(Ok(fetched));
            }
            Action::Failed(failed) => {
                assert!(failed.kept <= self.staged.len() as u64);
                self.end = Some(Err(()));
            }
        }
    }

    /// One thing happens, likely or not.
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() & 15 {
            0..=2 => self.answer(choices),
            3..=6 => self.bytes(choices),
            7 => self.end_of_body(),
            8 => self.fail(choices),
            9 => self.timeout(choices.yes()),
            10 => {
                self.now += choices.time();
                self.job.handle_timeout(self.now);
            }
            11 => self.hash(choices.yes()),
            12 => {
                self.job.pause();
            }
            13 => self.job.go_on(self.now),
            14 if choices.byte() == 255 => {
                self.job.cancel();
                self.cancelled = true;
            }
            // Nobody said that anything came; the machine need not care.
            _ => self.job.handle_opened(self.now, &ResponseHead { status: 200, headers: Vec::new() }),
        }
    }

    /// The head of an answer: mostly what a good server says.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        let request = match &self.open {
            Some((Asked::Url(request), None)) => request,
            Some((Asked::Device(from), None)) => return self.stands(*from, choices),
            _ => return,
        };
        let (from, total) = (request.from_byte, self.file.len() as u64);
        let good = choices.below(3) > 0;
        let mut head =
            ResponseHead { status: 200, headers: vec![("ETag".into(), choices.one_of(&["\"1\"", "\"2\"", "W/\"1\"", "\"\""]).into())] };
        let mut at = 0;
        if good && from > 0 && from < total && choices.yes() {
            head.status = 206;
            at = from;
            head.headers.push(("Content-Range".into(), format!("bytes {from}-{}/{total}", total - 1)));
        } else if !good {
            head.status = choices.one_of(&[200, 200, 206, 206, 301, 302, 307, 308, 404, 410, 416, 429, 500, 503, 204, 304, 100, 0, 999]);
            at = choices.number(&[0, from, total]);
            noise(choices, &mut head, from, total);
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.file.len());
        if let Some((_, body)) = &mut self.open {
            *body = Some(at);
        }
        self.job.handle_opened(self.now, &head);
    }

    /// A session stands, mostly as it was asked for.
    fn stands(&mut self, asked: u64, choices: &mut Choices<'_>) {
        let total = self.file.len() as u64;
        let from = if choices.below(3) > 0 { asked } else { choices.number(&[0, total, asked.saturating_add(1)]) };
        let total = if choices.yes() { Some(total) } else { Some(choices.number(&[0, total + 1, from])).filter(|_| choices.yes()) };
        if let Some((_, body)) = &mut self.open {
            *body = Some(usize::try_from(from).unwrap_or(usize::MAX).min(self.file.len()));
        }
        self.job.handle_session(self.now, from, total);
    }

    fn bytes(&mut self, choices: &mut Choices<'_>) {
        let Some((request, Some(at))) = &mut self.open else { return };
        let length = choices.one_of(&[0, 1, 7, 4_096, 16_384, 70_000]);
        let file = if matches!(request, Asked::Url(request) if is_sealed(request)) { &self.sealed } else { &self.file };
        let end = (*at + length).min(file.len());
        let mut chunk = file[(*at).min(end)..end].to_vec();
        *at = end;
        match choices.byte() & 31 {
            0 => chunk.resize(length, 0),
            1 => chunk.iter_mut().for_each(|byte| *byte ^= 1),
            _ => {}
        }
        let portion = self.job.handle_bytes(self.now, chunk.len());
        self.staged.extend_from_slice(portion.of(&chunk));
    }

    fn end_of_body(&mut self) {
        match self.open {
            Some((Asked::Url(_), Some(_))) => self.open = None,
            Some((Asked::Device(_), Some(_))) => (self.open, self.waits) = (None, true),
            _ => return,
        }
        self.job.handle_end(self.now);
    }

    fn fail(&mut self, choices: &mut Choices<'_>) {
        let asked = self.open.take();
        if let Some((Asked::Device(_), _)) = asked {
            let words = "no".to_owned();
            let failure = match choices.byte() & 7 {
                0 => SessionFailure::Over,
                1 => SessionFailure::NotGiven(words),
                2 => SessionFailure::NoWay(words),
                3 => SessionFailure::NoAnswer(words),
                4 => SessionFailure::Offline,
                _ => SessionFailure::Broken(words),
            };
            self.job.handle_session_failed(self.now, &failure);
        } else if asked.is_some() {
            let host = "upload.montague.lit".to_owned();
            let words = "reset".to_owned();
            let failure = match choices.byte() & 3 {
                0 => NetFailure::NoSuchHost(host),
                1 => NetFailure::Unreachable { host, words },
                2 => NetFailure::Tls { host, words },
                _ => NetFailure::Broken { host, words },
            };
            self.job.handle_failed(self.now, &failure);
        }
    }

    fn timeout(&mut self, late: bool) {
        if let Some(deadline) = self.job.deadline() {
            self.now = self.now.max(deadline) + if late { Duration::from_secs(3600) } else { Duration::ZERO };
            self.job.handle_timeout(self.now);
        }
    }

    fn hash(&mut self, honest: bool) {
        if std::mem::take(&mut self.must_hash) {
            // A driver that lost a byte on the way.
            let seen = if honest || self.staged.is_empty() { &self.staged[..] } else { &self.staged[1..] };
            let (plain, unwrapped) = self.opened(seen);
            let hashed = hashed(&self.claim, &plain);
            match unwrapped {
                Some(unwrapped) => self.job.handle_unwrapped(self.now, hashed, &unwrapped),
                None => self.job.handle_hashed(self.now, hashed),
            }
        }
    }

    /// From here on every source fails, and a fetch that is left alone ends.
    fn come_to_an_end(&mut self, choices: &mut Choices<'_>) {
        for _ in 0..PATIENCE {
            if self.job.is_over() {
                break;
            }
            self.job.go_on(self.now);
            self.drain(choices);
            self.hash(true);
            self.drain(choices);
            if self.open.is_some() {
                self.fail(choices);
            } else {
                self.timeout(false);
            }
            self.drain(choices);
        }
        assert!(self.job.is_over(), "it never ends");
        assert!(self.end.is_some() || self.cancelled, "it ended and nobody was told");
    }
}

/// A device that may have the file.
fn device(number: usize) -> Attempt {
    let peer = Jid::parse(&format!("romeo@montague.lit/{number}")).unwrap();
    let source = Source::ByHash { jid: peer.clone(), uri: String::new() }.key();
    let file = FileMetadata::default();
    let request = SessionRequest {
        peer: peer.clone(),
        abilities: Abilities::default(),
        way: SessionWay::ByHash,
        file,
        reach: Reach::Direct,
        takes_unproven: true,
    };
    Attempt { source, named_by: NamedBy::Sender, how: How::Session(Box::new(request)), exposure: Exposure::Peer(peer) }
}

/// Headers that lie about length and range, lead elsewhere, or are nonsense.
fn noise(choices: &mut Choices<'_>, head: &mut ResponseHead, from: u64, total: u64) {
    for _ in 0..choices.below(5) {
        let [a, b, c] = [(); 3].map(|()| choices.number(&[0, from, total, 65_536, u64::MAX]));
        let (name, value) = match choices.byte() & 7 {
            0 => ("Content-Length", a.to_string()),
            1 => ("Content-Range", format!("bytes {a}-{b}/{c}")),
            2 => ("Content-Range", format!("bytes {from}-{b}/*")),
            3 => ("Content-Encoding", choices.one_of(&["gzip", "identity", ""]).to_owned()),
            4 => ("Retry-After", choices.one_of(&["0", "1", "99999999999", "Fri, 31 Dec 1999 23:59:59 GMT"]).to_owned()),
            5 => (
                "Location",
                choices
                    .one_of(&[
                        "/x",
                        "https://b.lit/x",
                        "http://b.lit/",
                        "https://127.0.0.1/",
                        "https://u:p@b.lit/",
                        "//c.lit/x#key",
                        "data:,x",
                        "",
                    ])
                    .to_owned(),
            ),
            6 => ("Content-Range", choices.text(20)),
            _ => ("Content-Type", choices.text(20)),
        };
        head.headers.push((name.to_owned(), value));
    }
}

/// What may be asked: https, by its own host, with the headers of the sender only there.
fn is_allowed(request: &OpenUrl) {
    assert_eq!(request.url.scheme(), "https");
    assert!(request.url.username().is_empty() && request.url.password().is_none() && request.url.fragment().is_none(), "{}", request.url);
    assert_eq!(request.addresses.host(), request.url.host_str().unwrap());
    assert!(request.addresses.check([127, 0, 0, 1].into()).is_err());
    let named = request.url.host_str().is_some_and(|host| host.starts_with("upload"));
    let dictated = request.headers.iter().any(|(name, _)| name == "X-Key");
    assert!(!dictated || named, "the sender's header goes to {}", request.url);
    let ranges: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("range")).map(|(_, value)| value.clone()).collect();
    let wanted = if request.from_byte > 0 { vec![format!("bytes={}-", request.from_byte)] } else { Vec::new() };
    assert_eq!(ranges, wanted);
}

/// The secret of the encrypted sources.
fn secret() -> Secret {
    Secret::new(Cipher::Aes256Gcm, vec![7; 32], vec![9; 12]).unwrap()
}

fn sealed(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let envelope = Envelope { secret: secret(), size: Some(file.len() as u64), ciphertext: DigestSet::new() };
    Decipher::new(&envelope).relearn(&mut bytes);
    bytes
}

fn is_sealed(request: &OpenUrl) -> bool {
    request.url.host_str().is_some_and(|host| host.starts_with("sealed"))
}

/// What encrypted bytes are opened with.
struct Through(Envelope);

impl Through {
    fn open(&self, wire: &[u8]) -> (Vec<u8>, Result<Opened, Fault>) {
        let mut decipher = Decipher::new(&self.0);
        let mut plain = vec![0; wire.len() + 16];
        let given = decipher.update(wire, &mut plain);
        plain.truncate(given);
        (plain, decipher.finish())
    }
}

/// An offer with so many sources, one of them with a header that its sender dictates, and so many encrypted ones.
fn offer(sources: usize, sealed: usize) -> Offer {
    let header = "<header xmlns='http://jabber.org/protocol/url-data/scheme/http' name='X-Key' value='k'/>";
    let source = |at| {
        let header = if at == 0 { header } else { "" };
        format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='https://upload{at}.montague.lit/a.bin'>{header}</url-data>")
    };
    let (key, iv) = (base64::encode([7; 32]), base64::encode([9; 12]));
    let sealed = (0..sealed).map(|at| {
        format!(
            "<encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'><key>{key}</key><iv>{iv}</iv><sources \
             xmlns='urn:xmpp:sfs:0'><url-data xmlns='http://jabber.org/protocol/url-data' target='https://sealed{at}.montague.lit/a.bin'/>\
             </sources></encrypted>"
        )
    });
    let sources: String = (0..sources).map(source).chain(sealed).collect();
    let xml = format!(
        "<message xmlns='jabber:client' type='chat' from='romeo@montague.lit/x' to='juliet@capulet.lit' id='m'><file-sharing xmlns='urn:xmpp:sfs:0' \
         id='s'><file xmlns='urn:xmpp:file:metadata:0'><name>a.bin</name><size>10</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>\
         47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</hash></file><sources>{sources}</sources></file-sharing></message>"
    );
    let Stanza::Message(message) = Stanza::read(Element::parse(&xml).unwrap()).unwrap() else { panic!("no message") };
    read(&Received::direct(message, &juliet()).unwrap()).offers.remove(0)
}

/// What the offer claims: right or wrong, with or without size and digests.
fn claim(choices: &mut Choices<'_>, file: &[u8]) -> Claim {
    let size = file.len() as u64;
    let size = match choices.byte() & 3 {
        0 => None,
        1 => Some(choices.number(&[0, size, 65_536])),
        _ => Some(size),
    };
    let algos: &[HashAlgo] = choices.one_of(&[&[HashAlgo::Sha256][..], &[HashAlgo::Sha256, HashAlgo::Sha1], &[HashAlgo::Sha1], &[]]);
    let mut digests = Hasher::new(algos.iter().copied());
    digests.update(file);
    let mut digests = digests.finish().digests().clone();
    if choices.byte() & 7 == 7 && algos.contains(&HashAlgo::Sha256) {
        let wrong = Digest::new(HashAlgo::Sha512, vec![9; 64]).unwrap();
        digests.insert(wrong).unwrap();
    }
    Claim { size, digests }
}

/// What an earlier run left: right bytes or wrong ones.
fn left_over(choices: &mut Choices<'_>, file: &[u8], source: &SourceKey) -> (Option<ResumePoint>, Vec<u8>) {
    if choices.yes() {
        return (None, Vec::new());
    }
    let length = usize::try_from(choices.number(&[3, 20, 4_096, file.len() as u64])).unwrap_or(0);
    let mut staged: Vec<u8> = file.iter().copied().chain(std::iter::repeat(0)).take(length).collect();
    if choices.yes() && !staged.is_empty() {
        staged[0] ^= 1;
    }
    let point = ResumePoint {
        len: staged.len() as u64,
        source: choices.yes().then(|| source.clone()),
        validator: choices.yes().then(|| "\"1\"".to_owned()),
        envelope: None,
        // not of a choice of its own: the inputs that are kept mean what they meant
        base: (staged.len() % 3 == 1).then(|| Base { source: source.clone(), len: staged.len() as u64 / 2 }),
    };
    (Some(point), staged)
}

fn hashed(claim: &Claim, bytes: &[u8]) -> balcony_sharing::Hashed {
    let mut hasher = Hasher::new(claim.algos());
    hasher.update(bytes);
    hasher.finish()
}
