//! Two accounts whose stanzas are carried by hand: whole streams, and peers that keep to no rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use balcony_sharing::transfer::bytestream::ibb::IbbFailed;
use balcony_wire::in_band::StanzaKind;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::*;
use crate::account::reply::ReplyTo;
use crate::account::state::Command;
use crate::direct::{Key, Switchboard};
use crate::streams::{Reader, Writer};

const SID: &str = "ch3d9s71";
const NAMES: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];

type Waiting = Arc<Mutex<HashMap<String, ReplyTo>>>;

fn full(who: usize) -> FullJid {
    Jid::parse(NAMES[who]).unwrap().into_full().unwrap()
}

/// One account: where its streams speak, and who hears it.
struct Person {
    courier: Courier,
    board: Switchboard,
    /// Keeps it connected.
    _commands: mpsc::Sender<Command>,
}

/// Two accounts; what one says the other hears, in order.
fn people() -> [Person; 2] {
    people_whose_lines_hold(256)
}

/// As [`people`]; who says more at once waits.
fn people_whose_lines_hold(commands: usize) -> [Person; 2] {
    let waiting = Waiting::default();
    let (boards, lines): (Vec<_>, Vec<_>) = (0..2).map(|_| (Switchboard::alone().0, mpsc::channel::<Command>(commands))).unzip();
    let mut people = Vec::new();
    for (who, (commands, taken)) in lines.into_iter().enumerate() {
        tokio::spawn(carry(who, taken, boards[1 - who].clone(), Arc::clone(&waiting)));
        people.push(Person { courier: Courier::new(commands.downgrade()), board: boards[who].clone(), _commands: commands });
    }
    people.try_into().ok().unwrap()
}

async fn carry(who: usize, mut taken: mpsc::Receiver<Command>, board: Switchboard, waiting: Waiting) {
    let answered = |answer: Iq| {
        let Some(reply) = waiting.lock().unwrap().remove(&answer.id) else { return };
        reply.say(match answer.kind {
            IqKind::Error(error) => Err(RequestError::Refused { from: answer.from, error }),
            IqKind::Result(payload) => Ok(payload),
            _ => Ok(None),
        });
    };
    let mut count = 0;
    while let Some(command) = taken.recv().await {
        match command {
            Command::Request { ask: Ask::Set(payload), reply, .. } => {
                count += 1;
                let id = format!("{who}-{count}");
                waiting.lock().unwrap().insert(id.clone(), reply);
                let request = Iq { from: Some(full(who).into_jid()), ..Iq::set(id, None, payload) };
                board.take(request).into_iter().for_each(answered);
            }
            Command::Answer(answer) => answered(*answer),
            Command::Send { stanza, done } => {
                if let balcony_wire::Stanza::Message(mut message) = *stanza {
                    message.from = Some(full(who).into_jid());
                    board.hear(&message);
                }
                let _ = done.send(Ok(oneshot::channel().1));
            }
            _ => {}
        }
    }
}

fn mail(people: &[Person; 2], who: usize) -> InBandMail {
    people[who].board.in_band(Key { peer: full(1 - who), sid: SID.to_owned() })
}

fn terms(stanza: StanzaKind) -> Terms {
    Terms { stanza, ..Terms::offer(SID.to_owned()) }
}

fn writer(people: &[Person; 2], opens: bool, stanza: StanzaKind) -> Writer {
    Writer::in_band(people[0].courier.clone(), mail(people, 0), full(1), terms(stanza), opens, Window::default())
}

fn reader(people: &[Person; 2], opens: bool, most: Option<u64>) -> Reader {
    Reader::in_band(people[1].courier.clone(), mail(people, 1), full(0), terms(StanzaKind::Iq), opens, most)
}

async fn all(reader: &mut Reader) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn summit() -> Vec<u8> {
    (0..1_000_003_u32).map(|at| (at / 7) as u8).collect()
}

/// Proves: IBJ-2.2-3.
#[tokio::test]
async fn a_file_arrives_whoever_opens_the_stream_and_whatever_carries_it() {
    for (opens, stanza) in [(true, StanzaKind::Iq), (false, StanzaKind::Iq), (true, StanzaKind::Message)] {
        let (people, bytes) = (people(), summit());
        let most = bytes.len() as u64;
        let terms = terms(stanza);
        let mut reader = Reader::in_band(people[1].courier.clone(), mail(&people, 1), full(0), terms, !opens, Some(most));
        let mut writer = writer(&people, opens, stanza);
        let sent = bytes.clone();
        let sending = tokio::spawn(async move {
            // Pieces that fit no block.
            for piece in sent.chunks(70_001) {
                writer.send(piece).await?;
            }
            writer.finish().await
        });
        assert!(all(&mut reader).await.unwrap() == bytes, "opens: {opens}, {stanza:?}");
        sending.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_empty_stream_and_one_of_less_than_a_block_have_an_end() {
    for bytes in [&b""[..], b"x"] {
        let people = people();
        let (mut reader, mut writer) = (reader(&people, false, Some(bytes.len() as u64)), writer(&people, true, StanzaKind::Iq));
        let sending = async {
            writer.send(bytes).await?;
            writer.finish().await
        };
        let (sent, came) = tokio::join!(sending, all(&mut reader));
        sent.unwrap();
        assert_eq!(came.unwrap(), bytes);
    }
}

/// A future that is dropped while it waits loses no byte and no answer.
#[tokio::test]
async fn a_reader_that_is_interrupted_goes_on() {
    let (people, bytes) = (people_whose_lines_hold(1), summit());
    let (mut reader, mut writer) = (reader(&people, false, None), writer(&people, true, StanzaKind::Iq));
    let sent = bytes.clone();
    let sending = tokio::spawn(async move {
        writer.send(&sent).await?;
        writer.finish().await
    });
    let mut came = Vec::new();
    let mut interrupted = 0;
    loop {
        let next = tokio::select! {
            biased;
            next = reader.next() => next.unwrap(),
            () = tokio::task::yield_now() => {
                interrupted += 1;
                continue;
            }
        };
        match next {
            Some(piece) => came.extend_from_slice(&piece),
            None => break,
        }
    }
    assert!(came == bytes && interrupted > 100, "{interrupted}");
    sending.await.unwrap().unwrap();
}

/// What a peer of no manners sends to whoever reads, and what it is told.
async fn told(people: &[Person; 2], payload: Element) -> Result<(), DefinedCondition> {
    let answer = people[0].courier.ask(full(1).into_jid(), Ask::Set(payload), Duration::from_secs(5)).await;
    answer.map(drop).map_err(|error| match error {
        RequestError::Refused { error, .. } => error.condition,
        other => panic!("{other}"),
    })
}

fn block(sid: &str, seq: u16, bytes: &[u8]) -> Element {
    Data { sid: sid.to_owned(), seq, bytes: bytes.to_vec() }.write()
}

fn opening(block_size: u16) -> Element {
    Open { sid: SID.to_owned(), block_size, stanza: StanzaKind::Iq }.write()
}

/// Proves: IBB-2.2-4, IBB-2.2-3, IBB-2.3-1, IBB-D-1, IBJ-2.2-4.
#[tokio::test]
async fn blocks_that_break_the_rules_are_answered_with_what_is_wrong() {
    let people = people();
    let mut reader = reader(&people, false, Some(10));
    let (sender, mut came) = mpsc::channel(8);
    let reading = tokio::spawn(async move {
        loop {
            match reader.next().await {
                Ok(Some(piece)) => sender.send(piece).await.unwrap(),
                end => return end,
            }
        }
    });
    let wrong = |text: &str| Element::new("data", ns::IBB).with_attr("sid", SID).with_attr("seq", "1").with_text(text);
    assert_eq!(told(&people, block(SID, 0, b"x")).await, Err(DefinedCondition::ItemNotFound), "not open yet");
    assert_eq!(told(&people, opening(8192)).await, Err(DefinedCondition::ResourceConstraint));
    assert_eq!(told(&people, opening(4096)).await, Ok(()));
    assert_eq!(told(&people, block(SID, 0, b"abc")).await, Ok(()));
    assert_eq!(came.recv().await.unwrap(), &b"abc"[..]);
    assert_eq!(told(&people, block(SID, 0, b"abc")).await, Err(DefinedCondition::UnexpectedRequest));
    assert_eq!(told(&people, block("other", 1, b"def")).await, Err(DefinedCondition::ItemNotFound));
    assert_eq!(told(&people, block(SID, 1, b"def")).await, Ok(()), "nothing of that hurt");
    // Nobody but the peer of the session: a stream of the same name with somebody else is another one.
    let stranger = Iq { from: Some(Jid::parse("mallory@evil.example/x").unwrap()), ..Iq::set("1", None, block(SID, 2, b"forged")) };
    let refused = people[1].board.take(stranger).unwrap();
    assert!(matches!(refused.kind, IqKind::Error(error) if error.condition == DefinedCondition::ItemNotFound));
    assert_eq!(told(&people, wrong("!!!!")).await, Err(DefinedCondition::BadRequest));
    let end = timeout(Duration::from_secs(5), reading).await.unwrap().unwrap();
    assert!(matches!(end, Err(StreamError::InBand(IbbFailed::Broken(IbbRefusal::Unreadable)))), "{end:?}");
    assert_eq!(told(&people, block(SID, 2, b"ghi")).await, Err(DefinedCondition::ItemNotFound), "behind the end");
}

#[tokio::test]
async fn more_than_was_announced_is_refused_and_named() {
    let people = people();
    let (mut reader, mut writer) = (reader(&people, false, Some(10)), writer(&people, true, StanzaKind::Iq));
    let sending = async {
        writer.send(b"more bytes than ten").await?;
        writer.finish().await
    };
    let (sent, came) = tokio::join!(sending, all(&mut reader));
    assert!(matches!(came, Err(StreamError::InBand(IbbFailed::TooMuch))), "{came:?}");
    assert!(matches!(sent, Err(StreamError::InBand(IbbFailed::BlockRefused { .. } | IbbFailed::ClosedEarly))), "{sent:?}");
}

/// Whoever waits for no answer fills a box of a known size, and is told so.
#[tokio::test]
async fn a_flood_is_bounded() {
    let people = people();
    let mut reader = reader(&people, false, None);
    let mut answers = vec![people[0].courier.begin(full(1).into_jid(), Ask::Set(opening(4096)), Duration::from_secs(5)).await];
    for seq in 0..500 {
        let block = block(SID, seq, &[7; 4096]);
        answers.push(people[0].courier.begin(full(1).into_jid(), Ask::Set(block), Duration::from_secs(5)).await);
    }
    let reading = tokio::spawn(async move { all(&mut reader).await });
    let mut refused = 0;
    for answer in answers {
        refused += usize::from(answer.await.unwrap().is_err());
    }
    assert!((400..500).contains(&refused), "{refused}");
    // What was taken is in order; the rest never comes, and the peer closes.
    assert_eq!(told(&people, Close { sid: SID.to_owned() }.write()).await, Ok(()));
    let came = timeout(Duration::from_secs(5), reading).await.unwrap().unwrap().unwrap();
    assert!(came.len() < 100 * 4096 && !came.is_empty(), "{}", came.len());
}

#[tokio::test]
async fn when_the_account_goes_both_ends_know() {
    let people = people();
    let (mut reader, mut writer) = (reader(&people, false, Some(10_000_000)), writer(&people, true, StanzaKind::Iq));
    let sending = tokio::spawn(async move { writer.send(&vec![0; 10_000_000]).await });
    assert!(reader.next().await.unwrap().is_some());
    for person in &people {
        // As a new login does it.
        person.board.renamed();
    }
    let over = timeout(Duration::from_secs(5), all(&mut reader)).await.unwrap();
    assert!(matches!(over, Err(StreamError::Gone)), "{over:?}");
    let over = timeout(Duration::from_secs(5), sending).await.unwrap().unwrap();
    assert!(matches!(over, Err(StreamError::Gone | StreamError::InBand(_))), "{over:?}");
}

/// A peer that loses its way when blocks come before it has answered those before: the next stream goes at its pace.
#[tokio::test]
async fn a_peer_that_takes_blocks_one_by_one_is_known_the_next_time() {
    let people = people();
    for (attempt, arrives) in [(1, false), (2, true)] {
        let mut mail = mail(&people, 1);
        let courier = people[1].courier.clone();
        let playing = tokio::spawn(async move {
            let mut blocks = 0;
            while let Some(InBand::Request(request)) = mail.next().await {
                // Whatever waits behind it already came too early.
                let is_alone = mail.next().now_or_never().is_none();
                let IqKind::Set(payload) = &request.kind else { continue };
                let is_taken = Data::matches(payload) && is_alone || !Data::matches(payload);
                blocks += usize::from(Data::matches(payload) && is_taken);
                let unexpected = || request.refuse(StanzaError::new(DefinedCondition::UnexpectedRequest));
                courier.answer(if is_taken { request.result(None) } else { unexpected() }).await;
                if Close::matches(payload) {
                    break;
                }
            }
            blocks
        });
        let mut writer = writer(&people, true, StanzaKind::Iq);
        let sent = timeout(Duration::from_secs(20), async {
            writer.send(&[7; 10 * 4096]).await?;
            writer.finish().await
        });
        let sent = sent.await.unwrap();
        assert_eq!(sent.is_ok(), arrives, "attempt {attempt}: {sent:?}");
        if arrives {
            assert_eq!(playing.await.unwrap(), 10);
        } else {
            playing.abort();
        }
    }
}

/// Until nobody does anything.
async fn quiet() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// All that the writer sends without an answer.
async fn under_way(mail: &mut InBandMail) -> VecDeque<Iq> {
    let mut came: VecDeque<InBand> = mail.next().await.into_iter().collect();
    quiet().await;
    came.extend(std::iter::from_fn(|| mail.next().now_or_never().flatten()));
    came.into_iter().filter_map(Option::from).collect()
}

/// They come while its file is read, the last one's question not having been looked after yet. Whoever heard them in another order
/// would take the peer for one that mixes up blocks, and go on one by one.
#[tokio::test]
async fn answers_that_come_in_turn_are_heard_in_turn_however_late_the_writer_listens() {
    let people = people();
    let (mut mail, courier) = (mail(&people, 1), people[1].courier.clone());
    let mut writer = writer(&people, true, StanzaKind::Iq);
    let (file, mut read) = mpsc::channel::<usize>(1);
    let sending = tokio::spawn(async move {
        while let Some(blocks) = read.recv().await {
            writer.send(&vec![7; blocks * 4096]).await.unwrap();
        }
    });
    file.send(5).await.unwrap();
    courier.answer(under_way(&mut mail).await[0].result(None)).await;
    let mut waiting = under_way(&mut mail).await;
    assert_eq!(waiting.len(), 4, "the window at first");
    courier.answer(waiting.pop_front().unwrap().result(None)).await;
    waiting.extend(under_way(&mut mail).await);
    for request in &waiting {
        courier.answer(request.result(None)).await;
    }
    quiet().await;
    file.send(400).await.unwrap();
    let mut rounds = [0; 5];
    for round in &mut rounds {
        let waiting = under_way(&mut mail).await;
        *round = waiting.len();
        for request in waiting {
            courier.answer(request.result(None)).await;
        }
    }
    sending.abort();
    assert_eq!(rounds, [9, 18, 36, 60, 60], "more with each round, up to the most");
}

/// Proves: IBB-2.2-6.
#[tokio::test]
async fn a_block_in_a_message_that_comes_back_ends_the_stream_of_who_sent_it_alone() {
    let people = people();
    let most = Some(1 << 20);
    let terms = terms(StanzaKind::Message);
    let mut reader = Reader::in_band(people[1].courier.clone(), mail(&people, 1), full(0), terms, false, most);
    let mut writer = writer(&people, true, StanzaKind::Message);
    let (sent, first) = tokio::join!(writer.send(&[7; 4096]), reader.next());
    sent.unwrap();
    assert_eq!(first.unwrap().unwrap().len(), 4096);
    let bounced = |from: usize| {
        let mut message = Message::new(MessageKind::Error, None);
        message.from = Some(full(from).into_jid());
        message.payloads.push(block(SID, 1, b"forged"));
        message
    };
    // To the reader it is nothing: it would be the next block otherwise.
    people[1].board.hear(&bounced(0));
    people[0].board.hear(&bounced(1));
    let (ended, came) = tokio::join!(writer.finish(), all(&mut reader));
    assert!(matches!(ended, Err(StreamError::InBand(IbbFailed::BlockRefused { .. }))), "{ended:?}");
    assert!(matches!(came, Err(StreamError::Short { missing }) if missing == (1 << 20) - 4096), "{came:?}");
}
