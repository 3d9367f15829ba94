//! `balcony send --direct`: files straight to a device of somebody who is online, without anything in between that keeps them.

use balcony_client::{
    Account, Availability, DirectError, DirectEvent, DirectFile, DirectSending, DirectShare, FileFrom, SentDirectly, WayTaken,
};
use balcony_sharing::ByteLen;
use balcony_wire::Jid;
use serde_json::{Map, Value, json};

use crate::cli;
use crate::connect::{self, class_of};
use crate::console::{Bar, Console, digests};
use crate::exit::{Class, Failure};
use crate::home::Home;
use crate::safe::{Safe, in_command};
use crate::signals::interrupted;

/// Runs the command: the files are there, and go to these people.
pub(super) async fn run(console: &Console, home: &Home, named: Option<&str>, args: &cli::Send, to: &[Jid]) -> Result<(), Failure> {
    let [to] = to else {
        return Err(Failure::new(Class::Usage, "--direct goes to one person at a time").advise("run it once for each of them"));
    };
    // Whoever hides is told of nobody: with a priority below 0 nothing that is meant for other devices comes here.
    let account = connect::account(home, named, Availability::Available(-1)).await?;
    let sent = go(console, &account, args, to).await;
    // Also when it was stopped: the other side is told before we leave.
    account.close().await;
    sent
}

async fn go(console: &Console, account: &Account, args: &cli::Send, to: &Jid) -> Result<(), Failure> {
    let files = super::send::files(account, args).await?;
    let Some(sending) = sending(account, files, args, to) else { return Ok(()) };
    let sent = watch(console, account, sending).await?;
    match sent.failed.first() {
        None => Ok(()),
        Some((name, error)) => {
            let failure = failure(account, error);
            let (failed, all) = (sent.failed.len(), sent.failed.len() + sent.files.len());
            Err(Failure { what: format!("{failed} of {all} files were not sent; {}: {}", Safe(name), failure.what), ..failure })
        }
    }
}

fn sending(account: &Account, files: Vec<FileFrom>, args: &cli::Send, to: &Jid) -> Option<DirectSending> {
    let mut files = files.into_iter().map(|from| args.said.of(from));
    let first = account.send_direct(files.next()?);
    let share = files.fold(first, DirectShare::and);
    Some(if args.relay_only { share.relay_only() } else { share }.to(to))
}

/// Shows what happens until it is over, or until ^C.
async fn watch(console: &Console, account: &Account, sending: DirectSending) -> Result<SentDirectly, Failure> {
    let mut progress = sending.progress();
    let mut view = View { console, names: Vec::new(), bars: Vec::new() };
    loop {
        let event = tokio::select! {
            event = progress.next() => event,
            () = interrupted() => return Err(Failure::new(Class::Interrupted, "stopped").advise("the same command sends it again")),
        };
        match event {
            Some(DirectEvent::Ended(Ok(sent))) => return Ok(sent),
            Some(DirectEvent::Ended(Err(error))) => return Err(failure(account, &error)),
            Some(event) => view.show(event),
            None => return Err(Failure::new(Class::Internal, "the sending ended without a word")),
        }
    }
}

/// The words of a file that did not get there.
fn failure(account: &Account, error: &DirectError) -> Failure {
    let failure = Failure::from_error(class_of(error.class()), error);
    match (error, error.advice()) {
        (DirectError::NoDevice { jid }, _) if jid.bare() == *account.jid() => {
            failure.advise("start `balcony receive` on another device of yours first")
        }
        (DirectError::NoDevice { jid }, _) => failure.advise(format!(
            "they have to be online (`balcony receive` runs there), and each of you a contact of the other: you say `balcony contacts add \
             {}`, they say `balcony contacts add {}`; or send it without --direct: a link waits for them",
            in_command(jid.bare().as_str()),
            in_command(account.jid().as_str())
        )),
        (_, Some(advice)) => failure.advise(advice),
        (_, None) => failure,
    }
}

struct View<'a> {
    console: &'a Console,
    names: Vec<String>,
    bars: Vec<Option<Bar>>,
}

impl View<'_> {
    fn name(&self, position: usize) -> Safe<'_> {
        Safe(self.names.get(position).map_or("the file", String::as_str))
    }

    fn step(&self, event: &str, position: usize, more: Value, words: String) {
        let mut fields = json!({"position": position, "name": self.names.get(position)});
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        self.console.step(event, fields, words);
    }

    fn no_bar(&mut self, position: usize) {
        self.bars.get_mut(position).and_then(Option::take).map(Bar::done).unwrap_or_default();
    }

    fn show(&mut self, event: DirectEvent) {
        match event {
            DirectEvent::Looked { position, name, size, media_type } => {
                let words = format!("{}: {}, {}", Safe(&name), Safe(media_type.as_str()), ByteLen(size));
                self.names.push(name);
                self.bars.push(None);
                self.step("looked", position, json!({"size": size, "media_type": media_type.as_str()}), words);
            }
            DirectEvent::Looking { person } => {
                let words = format!("asking which device of {} is there", Safe(person.as_str()));
                self.console.step("looking", json!({"person": person.as_str()}), words);
            }
            DirectEvent::Hashing { position } => {
                self.step("hashing", position, json!({}), format!("{}: taking its digests", self.name(position)));
            }
            DirectEvent::Offered { position, device } => {
                let words = format!("{}: offered to {}, waiting for the answer", self.name(position), Safe(device.as_str()));
                self.step("offered", position, json!({"to": device.as_str()}), words);
            }
            DirectEvent::Accepted { position } => {
                self.step("accepted", position, json!({}), format!("{}: accepted, looking for a way", self.name(position)));
            }
            DirectEvent::FellBack { position, why } => {
                let words = format!("{}: this way does not work ({}), trying the next one", self.name(position), Safe(&why));
                self.step("fell-back", position, json!({"why": why}), words);
            }
            DirectEvent::Begins { position, way, from_byte, address_shown } => {
                let mut fields = way_fields(&way);
                fields.insert("from_byte".to_owned(), from_byte.into());
                fields.insert("address_shown".to_owned(), address_shown.into());
                self.step("way", position, Value::Object(fields), format!("{}: goes {}", self.name(position), Safe(&way.words())));
            }
            DirectEvent::Progress { position, sent, size } => {
                let label = self.names.get(position).cloned().unwrap_or_default();
                if let Some(bar) = self.bars.get_mut(position) {
                    bar.get_or_insert_with(|| self.console.bar(&label, Some(size))).at(sent);
                }
            }
            DirectEvent::Again { position, why } => {
                self.no_bar(position);
                let words = format!("{}: {why}; it is offered again as soon as they are there", self.name(position));
                self.step("again", position, json!({"why": why.to_string()}), words);
            }
            DirectEvent::Delivered { position, file } => {
                self.no_bar(position);
                self.delivered(&file);
            }
            DirectEvent::NotSent { position, why } => {
                self.no_bar(position);
                // Of a single file it is said at the end.
                if self.names.len() == 1 && !self.console.is_json() {
                    return;
                }
                let class = class_of(why.class()).name();
                let words = format!("{}: {}", self.name(position), Safe(&why.to_string()));
                self.step("not-sent", position, json!({"error": why.to_string(), "class": class}), words);
            }
            _ => {}
        }
    }

    fn delivered(&self, file: &DirectFile) {
        let mut fields = file.way.as_ref().map(way_fields).unwrap_or_default();
        let about = json!({
            "name": file.name, "size": file.size, "media_type": file.media_type.as_str(), "digests": digests(&file.digests),
            "to": file.device.as_str(), "address_shown": file.address_shown,
        });
        fields.extend(about.as_object().cloned().unwrap_or_default());
        let shown = if file.address_shown { "; that device was shown your address" } else { "; nobody but servers was shown your address" };
        let without = if file.size == 0 { "where there was nothing to carry" } else { "who had it already" };
        let way = file.way.as_ref().map_or_else(|| without.to_owned(), WayTaken::words);
        let (name, device) = (Safe(&file.name), Safe(file.device.as_str()));
        let words = format!("sent {name} ({}) to {device}, {}{shown}", ByteLen(file.size), Safe(&way));
        self.console.result("delivered", Value::Object(fields), words);
    }
}

/// The way as one word, and whose proxy.
fn way_fields(way: &WayTaken) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("way".to_owned(), way.word().into());
    if let WayTaken::Proxy(proxy) = way {
        fields.insert("proxy".to_owned(), proxy.as_str().into());
    }
    fields
}
