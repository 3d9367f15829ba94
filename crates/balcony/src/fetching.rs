//! One offer from decision to file in a folder: shared by `receive`, `fetch` and `try`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use balcony_client::{CataloguedOffer, Decision, Fetch, FetchError, FetchEvent, Fetcher, SaveError, SharedFile, Taken, WayTaken};
use balcony_sharing::plan::{Answer, Question, Refusal, Wait};
use balcony_sharing::transfer::Reach;
use balcony_sharing::transfer::fetch::Progress;
use balcony_sharing::{ByteLen, ExposureKind, Proof, Source};
use balcony_store::{OfferState, OnClash};
use serde_json::{Value, json};

use crate::connect::class_of;
use crate::console::{Bar, Console, digests};
use crate::exit::{Class, Failure};
use crate::prompt::{self, Reply};
use crate::safe::Safe;
use crate::signals::interrupted;

/// What `balcony list` shows of an offer, as JSON.
pub(crate) fn fields(offer: &CataloguedOffer) -> Value {
    json!({
        "offer": offer.key().number(),
        "name": offer.name().as_str(),
        "size": offer.size(),
        "media_type": offer.media_type().as_str(),
        "description": offer.description(None),
        "from": offer.provenance().sender().as_str(),
        "proof": offer.proof().as_str(),
        "digests": digests(offer.digests()),
    })
}

/// The same in words.
pub(crate) fn words(offer: &CataloguedOffer) -> String {
    let size = offer.size().map_or_else(|| "size unknown".to_owned(), |size| ByteLen(size).to_string());
    let described = offer.description(None).map_or_else(String::new, |text| format!(", \"{}\"", Safe(text)));
    format!(
        "{} ({}, {size}{described}) from {}",
        Safe(offer.name().as_str()),
        Safe(offer.media_type().as_str()),
        Safe(offer.provenance().sender().as_str())
    )
}

/// What `--yes` agrees to beforehand: to take what nothing proves, to be led on to a host that neither side's server vouches for, and to
/// show a device our address unless `--relay-only` says otherwise.
pub(crate) fn answers(yes: bool, relay_only: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    if yes {
        answers.extend([Answer::Fetch, Answer::Unproven, Answer::RevealAny(ExposureKind::ThirdHost)]);
    }
    match relay_only {
        true => answers.push(Answer::RelayOnly),
        false if yes => answers.push(Answer::RevealAny(ExposureKind::Peer)),
        false => {}
    }
    answers
}

/// A file, and how it came.
pub(crate) struct Got {
    pub(crate) file: SharedFile,
    /// By which way its last bytes came; none where it was here already, or came in the message.
    pub(crate) way: Option<Taken>,
}

impl Got {
    fn here(file: SharedFile) -> Self {
        Self { file, way: None }
    }
}

/// From decision to file: what the decision and the person allow.
pub(crate) async fn get(
    console: &Console,
    fetcher: &Fetcher,
    offer: &CataloguedOffer,
    decision: Decision,
    yes: bool,
) -> Result<Got, Failure> {
    match decision {
        Decision::Have(file) => Ok(Got::here(file)),
        Decision::Fetch(plan) => watch(console, offer, fetcher.fetch(offer, plan)).await,
        Decision::Ask(question) => {
            // By `--yes`, or at the terminal if there is one.
            let words = format!("{}: {question}", offer.name().as_str());
            let answer = if yes {
                Some(Reply::Yes)
            } else if console.is_json() {
                None
            } else {
                match question.relayed() {
                    Some(_) => prompt::agree_or_relay(&words).await,
                    None => prompt::agree(&words).await.map(|yes| if yes { Reply::Yes } else { Reply::No }),
                }
            };
            match (answer, question.relayed()) {
                (Some(Reply::Relayed), Some(relayed)) => {
                    fetcher.agree_relayed(offer, relayed).await.map_err(|error| local(&error))?;
                    watch(console, offer, fetcher.fetch(offer, relayed.plan().clone())).await
                }
                (Some(Reply::Yes), _) => {
                    fetcher.agree(offer, &question).await.map_err(|error| local(&error))?;
                    watch(console, offer, fetcher.fetch(offer, question.yes())).await
                }
                (Some(Reply::No | Reply::Relayed), _) => {
                    fetcher.decline(offer).await.map_err(|error| local(&error))?;
                    Err(declined(offer))
                }
                (None, _) => {
                    note(fetcher, offer, OfferState::Asking)?;
                    // Nobody here can answer, so whoever waits in a session hears that.
                    fetcher.turn_away(offer).await;
                    Err(needs_answer(offer, &question))
                }
            }
        }
        Decision::Wait(wait) => Err(waits(offer, &wait)),
        Decision::Refuse(refusal) => {
            fetcher.turn_away(offer).await;
            if !refusal.is_declined() {
                note(fetcher, offer, OfferState::Failed)?;
            }
            Err(refused(offer, &refusal))
        }
    }
}

/// It was looked at: `receive` does not take it up by itself any more.
fn note(fetcher: &Fetcher, offer: &CataloguedOffer, state: OfferState) -> Result<(), Failure> {
    fetcher.store().set_offer_state(offer.key(), state).map_err(|error| Failure::from_error(Class::Local, &error))
}

/// Files can only be saved in a folder that is there.
pub(crate) fn is_folder(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    Err(Failure::new(Class::Usage, format!("{} is no folder", path.display())).advise("make it, or name another one with --into"))
}

/// To read that many bytes again takes a while.
const MUCH: u64 = 64 << 20;

/// Fetches and shows what happens, until it is over or until ^C.
async fn watch(console: &Console, offer: &CataloguedOffer, fetch: Fetch) -> Result<Got, Failure> {
    let number = offer.key().number();
    let name = offer.name().as_str().to_owned();
    let mut progress = fetch.progress();
    let (mut bar, mut reread): (Option<Bar>, Option<Bar>) = (None, None);
    let mut way = None;
    loop {
        let event = tokio::select! {
            event = progress.next() => event,
            () = interrupted() => {
                let next = match only_in_its_session(offer) {
                    true => format!("they are told; to have it all the same, ask them to send it again (`balcony fetch {number} --discard` throws away what is there)"),
                    false => format!("what is there is kept; `balcony fetch {number}` goes on with it, `balcony fetch {number} --discard` throws it away"),
                };
                return Err(Failure::new(Class::Interrupted, "stopped").advise(next));
            }
        };
        if !matches!(event, Some(FetchEvent::Rereading(_))) {
            reread.take().map(Bar::done).unwrap_or_default();
        }
        match event {
            Some(FetchEvent::Asking { host, from_byte }) => {
                let at = goes_on(from_byte);
                console.step(
                    "asking",
                    json!({"offer": number, "host": host, "from_byte": from_byte}),
                    format!("{}: fetching from {}{at}", Safe(&name), Safe(&host)),
                );
            }
            Some(FetchEvent::Calling { peer, from_byte, reach }) => {
                let at = goes_on(from_byte);
                let relayed = if reach == Reach::Relay { ", by way of servers only" } else { "" };
                console.step(
                    "asking",
                    json!({"offer": number, "device": peer.as_str(), "from_byte": from_byte, "relay_only": reach == Reach::Relay}),
                    format!("{}: asking {}{at}{relayed}", Safe(&name), Safe(peer.as_str())),
                );
            }
            Some(FetchEvent::Way(taken)) => {
                if let Taken::Session(taken) = &taken {
                    let words = format!("{}: comes {}", Safe(&name), Safe(&taken.words()));
                    console.step("way", json!({"offer": number, "way": taken.word()}), words);
                }
                way = Some(taken);
            }
            Some(FetchEvent::Rereading(Progress { have, total: Some(total) })) if total >= MUCH => {
                if reread.is_none() {
                    let words = format!("{}: looks through the {} that are here", Safe(&name), ByteLen(total));
                    console.step("rereading", json!({"offer": number, "bytes": total}), words);
                }
                reread.get_or_insert_with(|| console.bar(&name, Some(total))).at(have);
            }
            Some(FetchEvent::Received(progress)) => bar.get_or_insert_with(|| console.bar(&name, progress.total)).at(progress.have),
            Some(FetchEvent::SourceEnded(outcome)) => {
                if !outcome.is_success() {
                    // What comes next may take a while to begin: a bar that stands still would say that it comes.
                    bar.take().map(Bar::done).unwrap_or_default();
                    let words = outcome.to_string();
                    console.step("source-failed", json!({"offer": number, "why": words}), format!("{}: {}", Safe(&name), Safe(&words)));
                }
            }
            Some(FetchEvent::Waiting) => {
                console.step("queued", json!({"offer": number}), format!("{}: waits until another file is there", Safe(&name)));
            }
            Some(FetchEvent::Ended(done)) => {
                bar.map(Bar::done).unwrap_or_default();
                return done.map(|file| Got { file, way }).map_err(|error| failure(offer, &error));
            }
            Some(_) => {}
            None => return Err(Failure::new(Class::Internal, "the fetch ended without a word")),
        }
    }
}

fn failure(offer: &CataloguedOffer, error: &FetchError) -> Failure {
    let (number, name) = (offer.key().number(), offer.name());
    let failure = Failure::from_error(class_of(error.class()), error);
    let failure = Failure { what: format!("{}: {}", Safe(name.as_str()), failure.what), ..failure };
    match error.advice() {
        Some(_) if failure.class == Class::Network && only_in_its_session(offer) => failure.advise(format!(
            "it goes on if they are back soon; else ask them to send it again (`balcony fetch {number} --discard` throws away what is there)"
        )),
        Some(advice) => failure
            .advise(format!("{advice} (`balcony fetch {number}` tries again, `balcony why {number}` tells what was tried and where)")),
        None => failure,
    }
}

/// Saves the file under its own, safe name, and says so.
pub(crate) async fn save(
    console: &Console,
    offer: &CataloguedOffer,
    Got { file, way }: &Got,
    into: &Path,
    clash: OnClash,
) -> Result<PathBuf, Failure> {
    let path = file.save_in(into, clash).await.map_err(|error| save_failure(offer, &error))?;
    let proven = file.is_proven();
    let mut fields = fields(offer);
    if let Some(object) = fields.as_object_mut() {
        let sha256 = file.blob().sha256().to_hex();
        object.extend([
            ("path".to_owned(), json!(path)),
            ("proven".to_owned(), json!(proven)),
            ("sha256".to_owned(), json!(sha256)),
            ("size".to_owned(), json!(file.blob().size())),
            ("way".to_owned(), json!(way.as_ref().map(Taken::word))),
        ]);
        // The hash that the other side said behind the bytes.
        if proven && offer.proof() == Proof::None && matches!(way, Some(Taken::Session(_))) {
            object.insert("proof".to_owned(), json!(Proof::Digest.as_str()));
            object.insert("digests".to_owned(), json!({"sha-256": file.blob().sha256().to_hex()}));
        }
        if let Some(Taken::Session(WayTaken::Proxy(proxy))) = way {
            object.insert("proxy".to_owned(), json!(proxy.as_str()));
        }
    }
    let proof = if proven { "proven" } else { "UNPROVEN: nothing shows that these are the bytes that were meant" };
    let taken = match way {
        Some(Taken::Session(taken)) => format!("; it came {}", taken.words()),
        Some(Taken::Link) | None => String::new(),
    };
    let words = format!("saved {} ({}, {proof}{})", Safe(&path.to_string_lossy()), ByteLen(file.blob().size()), Safe(&taken));
    console.result("saved", fields, words);
    Ok(path)
}

/// Writes the file to standard output.
pub(crate) async fn pour(console: &Console, offer: &CataloguedOffer, Got { file, .. }: &Got) -> Result<(), Failure> {
    let (proven, bytes) = (file.is_proven(), file.clone());
    let poured = tokio::task::spawn_blocking(move || {
        let mut reader = bytes.open().map_err(|error| Failure::from_error(Class::Local, &error))?;
        let mut out = std::io::stdout().lock();
        match std::io::copy(&mut reader, &mut out).and_then(|_| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::from_error(Class::Local, &error)),
            _ => Ok(()), // whoever reads has enough
        }
    });
    poured.await.map_err(|error| Failure::from_error(Class::Internal, &error))??;
    let proof = if proven { "proven" } else { "UNPROVEN: nothing shows that these are the bytes that were meant" };
    console.step("written", json!({}), format!("{} ({}, {proof})", Safe(offer.name().as_str()), ByteLen(file.blob().size())));
    Ok(())
}

/// The file is here, and not where the person wanted it.
fn save_failure(offer: &CataloguedOffer, error: &SaveError) -> Failure {
    let failure = Failure::from_error(class_of(error.class()), error);
    let failure = Failure { what: format!("{}: {}", Safe(offer.name().as_str()), failure.what), ..failure };
    failure.advise(format!("all of it came and is kept: `balcony fetch {} --into FOLDER` saves it, and asks nobody", offer.key().number()))
}

/// What a person is told instead of a file when they have to agree first.
fn needs_answer(offer: &CataloguedOffer, question: &Question) -> Failure {
    let number = offer.key().number();
    if offer.provenance().way() == balcony_sharing::Way::Session {
        return Failure::new(Class::Policy, format!("{}: {question}", Safe(offer.name().as_str()))).advise(
            "nobody is here to answer, and whoever offers it directly does not wait: run `balcony receive` at a terminal, or with --yes \
             (and --relay-only to show nobody's device your address), then have them send it again",
        );
    }
    let relayed = match question.relayed() {
        Some(_) => " (with --relay-only nobody's device sees your address)",
        None => "",
    };
    Failure::new(Class::Policy, format!("{}: {question}", Safe(offer.name().as_str())))
        .advise(format!("if you agree: `balcony fetch {number} --yes`{relayed}; `balcony why {number}` tells the rest"))
}

/// The person said no.
fn declined(offer: &CataloguedOffer) -> Failure {
    let number = offer.key().number();
    Failure::new(Class::Policy, format!("{}: not fetched, as you said", Safe(offer.name().as_str()))).advise(match is_in_session(offer) {
        true => {
            format!("they were told; if you change your mind, `balcony fetch {number}` asks their devices for it, or they send it again")
        }
        false => format!("you are not asked again; `balcony fetch {number}` if you change your mind"),
    })
}

/// Whether it was offered in a session, which ends with the answer.
pub(crate) fn is_in_session(offer: &CataloguedOffer) -> bool {
    offer.sources().any(|source| matches!(source, Source::Session { .. } | Source::Stream { .. }))
}

/// Whether it can be had in the session in which it was offered alone: no digest names it to anybody else.
pub(crate) fn only_in_its_session(offer: &CataloguedOffer) -> bool {
    offer.proof() != Proof::Digest
        && offer.sources().count() > 0
        && offer.sources().all(|source| matches!(source, Source::Session { .. } | Source::Stream { .. }))
}

/// Where a file goes on, for people.
fn goes_on(from_byte: u64) -> String {
    if from_byte > 0 { format!(", going on after {}", ByteLen(from_byte)) } else { String::new() }
}

fn local(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Class::Local, error)
}

/// Nothing can be done.
fn refused(offer: &CataloguedOffer, refusal: &Refusal) -> Failure {
    Failure::new(Class::Policy, format!("{}: {refusal}", Safe(offer.name().as_str()))).advise("ask the sender to share it again")
}

/// Nothing can be done yet.
pub(crate) fn waits(offer: &CataloguedOffer, wait: &Wait) -> Failure {
    let name = offer.name();
    match wait {
        Wait::ForSource => Failure::new(Class::Source, format!("{}: its sender has not said yet where it is", Safe(name.as_str())))
            .advise("try again once they have"),
        Wait::ToBeSeen => Failure::new(
            Class::Source,
            format!("{}: its sender got no answer, as they did not see that you were there", Safe(name.as_str())),
        )
        .advise("once each of you has the other as a contact (`balcony contacts add`), ask them to send it again"),
        Wait::Until(..) => Failure::new(Class::Source, format!("{}: its sources failed a short while ago", Safe(name.as_str())))
            .advise("try again in a few minutes"),
    }
}
