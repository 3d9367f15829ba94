//! `balcony share-live`: files from this device to those who are told, while this runs.

use std::collections::HashMap;
use std::time::Duration;

use balcony_client::{Account, Availability, GivingEvent, GivingStep, Jid, LiveSending, LiveShares, ShareLive};
use balcony_sharing::ByteLen;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::sync::mpsc::channel;

use super::outgoing::{are_files, is_pipe, recipients};
use super::send::View;
use crate::cli;
use crate::connect::{self, share_failure};
use crate::console::{Bar, Console, digests};
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::Safe;
use crate::signals::interrupted;

/// Messages to the bare address go to the person's other devices: this one is there for files alone.
const PRIORITY: i8 = -1;
/// Events that may wait.
const EVENTS: usize = 64;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::ShareLive) -> Result<(), Failure> {
    let recipients = recipients(&args.to)?;
    args.said.fits(&args.files)?;
    if args.files.iter().any(|path| is_pipe(path)) {
        return Err(Failure::new(Class::Usage, "standard input is no file that can be read twice")
            .advise("write it into a file first, or use `balcony send`"));
    }
    are_files(&args.files)?;
    let account = connect::account(home, named, Availability::Available(PRIORITY)).await?;
    let shared = go(console, &account, &recipients, args).await;
    account.close().await;
    shared
}

async fn go(console: &Console, account: &Account, recipients: &[Jid], args: &cli::ShareLive) -> Result<(), Failure> {
    name_strangers(console, account, recipients).await;
    let Some(sending) = sending(account, recipients, args) else { return Ok(()) };
    let mut shares = announce(console, sending, args.show_xml).await?;
    tell(console, &shares, recipients, args);
    let mut shown = Shown::new(console);
    loop {
        tokio::select! {
            event = shares.next() => match event {
                Some(event) => shown.show(&event),
                None => break,
            },
            () = interrupted() => break,
        }
    }
    drop(shown);
    shares.stop().await.map_err(|error| Failure::from_error(Class::Local, &error))?;
    console.step("stopped", json!({}), "not shared any more; whoever was just getting it is told");
    Ok(())
}

/// Who is no contact that sees us does not see that this device is there unless it is shown to them.
async fn name_strangers(console: &Console, account: &Account, recipients: &[Jid]) {
    let contacts = account.contacts().await;
    for jid in recipients.iter().filter(|jid| !contacts.sees_us(&jid.bare()) && jid.bare() != *account.jid()) {
        let words = format!(
            "{} does not see when you are there: they are shown that this device is there, as long as this runs",
            Safe(jid.as_str())
        );
        console.step("stranger", json!({"jid": jid.as_str()}), words);
    }
}

fn sending(account: &Account, recipients: &[Jid], args: &cli::ShareLive) -> Option<LiveSending> {
    let mut files = args.files.iter().map(|path| args.said.of(path));
    let first = account.share_live(files.next()?);
    let mut share = files.fold(first, ShareLive::and);
    if let Some(text) = &args.said.text {
        share = share.text(text);
    }
    if args.relay_only {
        share = share.relay_only();
    }
    if args.upload {
        share = share.with_links();
    }
    if let Some(lasts) = args.lasts {
        share = share.lasting(lasts);
    }
    let (first, others) = recipients.split_first()?;
    Some(others.iter().fold(share.to(first), |sending, jid| sending.also_to(jid)))
}

/// Tells everybody; until ^C.
async fn announce(console: &Console, sending: LiveSending, show_xml: bool) -> Result<LiveShares, Failure> {
    let (tell, mut events) = channel(EVENTS);
    let mut view = View::new(console, show_xml);
    let mut sharing = std::pin::pin!(sending.watched(tell));
    let shared = loop {
        tokio::select! {
            Some(event) = events.recv() => view.show(event),
            shared = &mut sharing => break shared.map_err(|error| share_failure(&error)),
            () = interrupted() => break Err(Failure::new(Class::Interrupted, "stopped before everybody was told; nothing is shared")),
        }
    };
    while let Ok(event) = events.try_recv() {
        view.show(event);
    }
    shared
}

fn tell(console: &Console, shares: &LiveShares, recipients: &[Jid], args: &cli::ShareLive) {
    let to: Vec<&str> = recipients.iter().map(|jid| jid.as_str()).collect();
    for file in shares.files() {
        let fields = json!({
            "name": file.name, "size": file.size, "media_type": file.media_type.as_str(), "url": file.url, "digests": digests(&file.digests),
            "to": to, "relay_only": args.relay_only, "seconds": args.lasts.map(|lasts| lasts.as_secs()),
        });
        let link = if file.url.is_some() { ", with a link as well" } else { "" };
        let words = format!("sharing {} ({}) with {}{link}", Safe(&file.name), ByteLen(file.size), Safe(&to.join(", ")));
        console.result("sharing", fields, words);
    }
    let until = args.lasts.map_or_else(|| "until ^C".to_owned(), |lasts| format!("for {}, or until ^C", time(lasts)));
    let address = if args.relay_only { "nobody sees the address of this device" } else { "who takes it sees the address of this device" };
    console.step("waiting", json!({}), format!("they can have it {until}; {address}"));
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The next that is given to somebody; never, once the account is closed.
pub(crate) async fn next_given(events: &mut broadcast::Receiver<GivingEvent>) -> GivingEvent {
    loop {
        match events.recv().await {
            Ok(event) => return event,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// What is being given, for showing.
pub(crate) struct Shown<'a> {
    console: &'a Console,
    bars: HashMap<(String, String), Bar>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, bars: HashMap::new() }
    }

    pub(crate) fn show(&mut self, event: &GivingEvent) {
        let name = event.name.as_deref().unwrap_or("a file");
        let key = (event.to.as_str().to_owned(), name.to_owned());
        let fields = |more: serde_json::Value| {
            let mut fields = json!({"to": event.to.as_str(), "name": name, "size": event.size});
            if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
                fields.extend(more.clone());
            }
            fields
        };
        let (shown_name, to) = (Safe(name), Safe(event.to.as_str()));
        match &event.step {
            GivingStep::Began => self.console.step("asked", fields(json!({})), format!("{shown_name}: {to} asks for it")),
            GivingStep::Going { way, from } => {
                let words = format!("{shown_name}: goes to {to} {}", Safe(&way.words()));
                self.console.step("giving", fields(json!({"way": way.word(), "from": from})), words);
                self.bars.insert(key, self.console.bar(name, Some(event.size)));
            }
            GivingStep::Progress { sent } => {
                if let Some(bar) = self.bars.get_mut(&key) {
                    bar.at(*sent);
                }
            }
            GivingStep::Done => {
                self.bars.remove(&key).map(Bar::done).unwrap_or_default();
                self.console.result("given", fields(json!({})), format!("{shown_name}: {to} has it"));
            }
            GivingStep::Failed { why } => {
                self.bars.remove(&key).map(Bar::done).unwrap_or_default();
                let words = format!("{shown_name}: not given to {to}: {}", Safe(why));
                self.console.step("not-given", fields(json!({"error": why})), words);
            }
            _ => {}
        }
    }
}
