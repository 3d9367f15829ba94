//! An upload, with whatever happens in whatever order: a URL is handed out only after the service took the file, nothing is PUT to
//! where it must not go, and it always comes to an end.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use balcony_sharing::transfer::upload::{Action, NoSlot, PutFailure, Service, UploadJob, UploadTask};
use balcony_wire::http_upload::SlotRequest;
use balcony_wire::stanza::{DefinedCondition, ErrorKind};
use balcony_wire::{Element, Jid, StanzaError, ns};

use crate::choices::Choices;

const SIZES: [u64; 5] = [0, 1, 1_000, 1 << 20, u64::MAX];

fn dawn() -> Instant {
    static DAWN: OnceLock<Instant> = OnceLock::new();
    *DAWN.get_or_init(Instant::now)
}

/// The services and the file, then what happens.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let size = choices.one_of(&SIZES);
    let loopback_http = choices.yes();
    let services: Vec<Service> = (0..choices.below(4)).map(|at| service(&mut choices, at)).collect();
    let request =
        SlotRequest { filename: "a.png".to_owned(), size, content_type: choices.yes().then(|| "image/png".to_owned()), purpose: None };
    let fits = services.iter().any(|service| service.max_file_size.is_none_or(|most| size <= most));
    let most_slots = services.len() * 4;
    let job = UploadJob::new(UploadTask { services, request, loopback_http });
    assert_eq!(job.is_ok(), fits && size > 0, "limits are looked at before anything is sent");
    let Ok(job) = job else { return };
    let mut scene = Scene { job, now: dawn(), size, loopback_http, asked: false, put: false, taken: None, slots: 0, ended: false };
    scene.drain();
    let mut steps = 0;
    while !choices.is_empty() && steps < 300 {
        steps += 1;
        scene.step(&mut choices);
        scene.drain();
    }
    while !scene.ended {
        steps += 1;
        assert!(steps < 1_000, "it never ends");
        scene.job.handle_slot(scene.now, Err(NoSlot::Silent("nobody".to_owned())));
        scene.asked = false;
        scene.drain();
        scene.job.handle_failure(PutFailure::Network("reset".to_owned()));
        scene.put = false;
        scene.drain();
    }
    assert!(scene.slots <= most_slots, "{} slots were asked for", scene.slots);
}

struct Scene {
    job: UploadJob,
    now: Instant,
    size: u64,
    loopback_http: bool,
    /// A slot was asked for and nobody answered yet.
    asked: bool,
    /// A PUT is under way.
    put: bool,
    /// The last status that says the file is there.
    taken: Option<u16>,
    slots: usize,
    ended: bool,
}

impl Scene {
    fn drain(&mut self) {
        while let Some(action) = self.job.poll_action() {
            assert!(!self.ended, "nothing is done after the end");
            match action {
                Action::AskForSlot { payload, .. } => {
                    assert!(!self.asked && !self.put, "one thing at a time");
                    assert_eq!(payload.attr("size"), Some(self.size.to_string().as_str()));
                    (self.asked, self.slots) = (true, self.slots + 1);
                }
                Action::Put(put) => {
                    assert!(!self.asked && !self.put, "one thing at a time");
                    let loopback = matches!(put.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                    assert!(put.url.scheme() == "https" || (self.loopback_http && put.url.scheme() == "http" && loopback), "{}", put.url);
                    let harmless = |text: &str| !text.contains(['\r', '\n']);
                    assert!(put.headers.iter().all(|header| harmless(header.value()) && harmless(header.name())));
                    assert_eq!(put.size, self.size);
                    (self.put, self.taken) = (true, None);
                }
                Action::Abandon => self.put = false,
                Action::Learned { .. } => assert!(!self.asked, "a limit is learned from an answer"),
                Action::Ended(result) => {
                    assert!(!self.put && !self.asked, "nothing is under way at the end");
                    if let Ok(uploaded) = result {
                        assert!(self.taken.is_some_and(|status| matches!(status, 200 | 201 | 204)), "handed out before it was taken");
                        assert!(!uploaded.get_url.is_empty());
                    }
                    self.ended = true;
                    assert_eq!(self.job.deadline(), None);
                }
            }
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 10 {
            0..=3 => {
                let answer = answer(choices);
                self.asked = false;
                self.job.handle_slot(self.now, answer);
            }
            4 | 5 => {
                self.now += choices.time();
                self.job.handle_progress(self.now, choices.number(&[0, self.size, 1 << 20, u64::MAX]));
            }
            6 => self.answered(choices.one_of(&[200, 201, 204, 200, 201, 204, 403, 404, 413, 500, 503, 302, 0])),
            7 => {
                let words = "reset".to_owned();
                self.put = false;
                self.job.handle_failure(match choices.byte() & 7 {
                    0 => PutFailure::Certificate(words),
                    1 => PutFailure::FileChanged(words),
                    2 => PutFailure::Unreadable(words),
                    _ => PutFailure::Network(words),
                });
            }
            8 => {
                self.now += choices.time();
                self.job.handle_timeout(self.now);
            }
            _ => {
                if let Some(deadline) = self.job.deadline() {
                    self.now = self.now.max(deadline) + Duration::from_secs(1);
                    self.job.handle_timeout(self.now);
                }
            }
        }
    }

    fn answered(&mut self, status: u16) {
        if self.put {
            self.taken = Some(status);
        }
        self.put = false;
        self.job.handle_answer(status);
    }
}

fn service(choices: &mut Choices<'_>, at: usize) -> Service {
    let max_file_size = choices.one_of(&[None, Some(0), Some(1_000), Some(1 << 20), Some(u64::MAX)]);
    Service { jid: Jid::parse(&format!("upload{at}.montague.lit")).unwrap(), max_file_size }
}

/// The answer to a request for a slot: mostly one that can be used.
#[allow(clippy::result_large_err, reason = "what the machine takes")]
fn answer(choices: &mut Choices<'_>) -> Result<Option<Element>, NoSlot> {
    let url = |choices: &mut Choices<'_>| {
        let known = [
            "https://up.lit/1",
            "https://up.lit/2",
            "http://127.0.0.1:1/x",
            "http://up.lit/",
            "http://localhost/x",
            "ftp://up.lit/",
            "",
            "x:",
        ];
        choices.one_of(&known).to_owned()
    };
    match choices.byte() & 7 {
        0 => Err(NoSlot::Silent(choices.text(10))),
        1 => Err(NoSlot::Refused(refusal(choices))),
        2 => Ok(None),
        3 => Ok(Some(Element::new("slot", ns::UPLOAD).with_attr("x", "y"))),
        _ => {
            let mut put = Element::new("put", ns::UPLOAD).with_attr("url", url(choices));
            for _ in 0..choices.below(3) {
                let name = choices.one_of(&["Authorization", "cookie", "Expires", "Host", "X\r\nHost", "Authorization\r\n"]);
                let value = choices.one_of(&["Basic eA==", "a\r\nHost: evil.lit", "", "é"]);
                put.push(Element::new("header", ns::UPLOAD).with_attr("name", name).with_text(value));
            }
            let get = Element::new("get", ns::UPLOAD).with_attr("url", url(choices));
            Ok(Some(Element::new("slot", ns::UPLOAD).with_child(put).with_child(get)))
        }
    }
}

fn refusal(choices: &mut Choices<'_>) -> StanzaError {
    let condition = choices.one_of(&[
        DefinedCondition::ResourceConstraint,
        DefinedCondition::NotAcceptable,
        DefinedCondition::NotAllowed,
        DefinedCondition::ServiceUnavailable,
    ]);
    let mut error = StanzaError::new(condition).with_kind(choices.one_of(&[ErrorKind::Wait, ErrorKind::Modify, ErrorKind::Cancel]));
    error.application = match choices.byte() & 7 {
        0 => Some(
            Element::new("file-too-large", ns::UPLOAD).with_text_child("max-file-size", choices.number(&[0, 1_000, u64::MAX]).to_string()),
        ),
        1 => Some(Element::new("file-too-large", ns::UPLOAD)),
        2 => Some(Element::new("retry", ns::UPLOAD).with_attr("stamp", "2030-01-01T00:00:00Z")),
        3 => Some(Element::new("retry", ns::UPLOAD).with_attr("stamp", choices.text(12))),
        _ => None,
    };
    error
}
