//! Streams in band: the vectors, both sides against each other, and peers that count in their own way.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use balcony_sharing::transfer::bytestream::ibb::{Action, IbbFailed, IbbReceiver, IbbRefusal, IbbSender, NoAck, Terms, Window};
use balcony_wire::in_band::{Close, Data, Open, StanzaKind};
use balcony_wire::jingle::{IbbTransport, Jingle, Transport};
use balcony_wire::stanza::{DefinedCondition, StanzaError};
use balcony_wire::{Element, Payload as _};

use super::{Dice, dawn, millis};

const SID: &str = "ch3d9s71";

fn terms(block_size: u16) -> Terms {
    Terms { sid: SID.to_owned(), block_size, stanza: StanzaKind::Iq }
}

fn block(seq: u16, bytes: &[u8]) -> Data {
    Data { sid: SID.to_owned(), seq, bytes: bytes.to_vec() }
}

fn open(block_size: u16) -> Open {
    Open { sid: SID.to_owned(), block_size, stanza: StanzaKind::Iq }
}

/// A receiver whose stream is open.
fn receiver(now: Instant, most: Option<u64>) -> IbbReceiver {
    let mut receiver = IbbReceiver::new(now, terms(4096), false, most);
    receiver.handle_open(now, &open(4096)).unwrap();
    assert_eq!(receiver.poll_action(), Some(Action::Opened));
    receiver
}

/// A sender whose stream is open.
fn sender(now: Instant, window: Window) -> IbbSender {
    let mut sender = IbbSender::new(now, terms(4096), false, window);
    sender.handle_open(now, &open(4096)).unwrap();
    assert_eq!(sender.poll_action(), Some(Action::Opened));
    sender
}

fn listed(example: &str) -> Element {
    Element::parse(&testing_corpus::example(&format!("{example}.xml")).in_stream()).unwrap()
}

fn transport(example: &str) -> IbbTransport {
    let jingle = listed(example).payload::<Jingle>().unwrap().unwrap();
    match jingle.contents.into_iter().next().unwrap().transport.unwrap() {
        Transport::Ibb(transport) => transport,
        other => panic!("{other:?}"),
    }
}

/// What the vectors call the outcome.
fn words(result: &Result<Vec<u8>, IbbRefusal>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(IbbRefusal::UsedSeq) => "unexpected-request",
        Err(IbbRefusal::Gap) => "close",
        Err(_) => "other",
    }
}

/// Proves: IBB-2.2-4, IBB-2.2-5.
#[test]
fn numbers_are_counted_as_the_vectors_do() {
    let now = dawn();
    for case in testing_corpus::cases("ibb") {
        let seqs: Vec<u64> = case["seqs"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).collect();
        let expected = case["result"].as_str().unwrap();
        let mut receiver = receiver(now, None);
        for seq in 0..case["seqs_from"].as_u64().unwrap_or(0) {
            receiver.handle_data(now, block(u16::try_from(seq).unwrap(), b"")).unwrap();
        }
        for (at, seq) in seqs.into_iter().enumerate() {
            let Ok(seq) = u16::try_from(seq) else {
                let wide = format!("<data xmlns='http://jabber.org/protocol/ibb' sid='{SID}' seq='{seq}'/>");
                assert!(Data::read(&Element::parse(&wide).unwrap()).is_err());
                assert_eq!(receiver.handle_unreadable(now).condition(), DefinedCondition::BadRequest);
                assert!(expected.starts_with("bad-request"), "{case}");
                continue;
            };
            let result = receiver.handle_data(now, block(seq, b"x"));
            let is_it = expected.contains(&format!("at index {at}"));
            assert!(if is_it { expected.contains(words(&result)) } else { result.is_ok() }, "{case} at {at}: {result:?}");
            assert_eq!(matches!(receiver.poll_action(), Some(Action::Ask { .. })), is_it && expected.starts_with("close"), "{case}");
        }
    }
}

/// Proves: IBB-2.2-1, IBB-2.1-1.
#[test]
fn blocks_are_as_large_as_agreed_before_base64() {
    let now = dawn();
    for case in testing_corpus::vector("ibb")["blocks"].as_array().unwrap() {
        let (size, ok) = (case["block_size"].as_u64().unwrap(), case["ok"].as_bool().unwrap());
        if let Some(bytes) = case["data_bytes"].as_u64() {
            let bytes = vec![7; usize::try_from(bytes).unwrap()];
            assert_eq!(receiver(now, None).handle_data(now, block(0, &bytes)).is_ok(), ok, "{case}");
            let mut sender = sender(now, Window::default());
            sender.handle_block(now, &bytes);
            assert_eq!(matches!(asked(&mut sender)[..], [(_, ref payload)] if Data::matches(payload)), ok, "{case}");
        } else {
            let open = format!("<open xmlns='http://jabber.org/protocol/ibb' sid='{SID}' block-size='{size}'/>");
            assert_eq!(Open::read(&Element::parse(&open).unwrap()).is_ok(), ok, "{case}");
        }
    }
    assert_eq!(Terms::offer("a".to_owned()).block_size, 4096);
}

/// Decision 24. The listings of XEP-0261.
/// Proves: IBJ-2.2-1, IBJ-2.2-2, IBJ-2.2-3, IBJ-D-1.
#[test]
fn blocks_are_agreed_downwards_and_then_the_initiator_opens() {
    let (offer, answer) =
        (transport("xep-0261/01-initiator-sends-session-initiate"), transport("xep-0261/03-responder-definitively-accepts-the-session"));
    let ours = Terms { sid: offer.sid.clone(), ..Terms::offer(String::new()) };
    assert_eq!(ours.transport(), offer);
    let agreed = ours.answered(&answer).unwrap();
    assert_eq!(agreed, terms(2048));
    let mut sender = IbbSender::new(dawn(), agreed, true, Window::default());
    let listing = listed("xep-0261/05-initiator-sends-ibb-open");
    assert_eq!(asked(&mut sender)[0].1, listing.payload::<Open>().unwrap().unwrap().write());
    assert_eq!(ours.answered(&IbbTransport { block_size: 9000, ..answer.clone() }).unwrap().block_size, 4096, "never upwards");
    assert_eq!(ours.answered(&IbbTransport { sid: "other".to_owned(), ..answer }), None);
    // What we answer: no larger than offered, and no larger than servers like.
    assert_eq!(Terms::accept(&offer).transport(), offer);
    assert_eq!(Terms::accept(&IbbTransport { block_size: 65_535, ..offer.clone() }).block_size, 8192);
    assert_eq!(Terms::accept(&IbbTransport { stanza: StanzaKind::Message, ..offer }).stanza, StanzaKind::Message);
}

/// Proves: IBJ-2.2-4, IBB-D-1.
#[test]
fn only_what_was_agreed_on_is_opened() {
    let now = dawn();
    let mut receiver = IbbReceiver::new(now, terms(2048), false, None);
    let other = receiver.handle_open(now, &open(4096)).unwrap_err();
    assert_eq!(other.condition(), DefinedCondition::ResourceConstraint);
    let foreign = Open { sid: "other".to_owned(), ..open(2048) };
    assert_eq!(receiver.handle_open(now, &foreign).unwrap_err().condition(), DefinedCondition::ItemNotFound);
    assert_eq!(receiver.handle_data(now, block(0, b"x")), Err(IbbRefusal::NoStream), "before it is open");
    receiver.handle_open(now, &open(2048)).unwrap();
    assert_eq!(receiver.handle_open(now, &open(2048)), Err(IbbRefusal::Uncalled), "twice");
    let foreign = Data { sid: "other".to_owned(), ..block(0, b"x") };
    assert_eq!(receiver.handle_data(now, foreign).unwrap_err().condition(), DefinedCondition::ItemNotFound);
    assert_eq!(receiver.handle_data(now, block(0, b"x")).unwrap(), b"x");
    // Who sends takes no bytes.
    assert_eq!(sender(now, Window::default()).handle_data(), IbbRefusal::WrongWay);
}

fn asked(sender: &mut IbbSender) -> Vec<(u64, Element)> {
    let mut asked = Vec::new();
    while let Some(action) = sender.poll_action() {
        match action {
            Action::Ask { id, payload } | Action::Tell { id, payload } => asked.push((id, payload)),
            Action::Opened => {}
            other => panic!("{other:?}"),
        }
    }
    asked
}

fn refused(condition: DefinedCondition) -> Result<(), NoAck> {
    Err(NoAck::Refused(Box::new(StanzaError::new(condition))))
}

/// XEP-0047 example 4.
/// Proves: IBB-2.1-2.
#[test]
fn who_wants_smaller_blocks_gets_them_and_who_wants_none_is_left_alone() {
    let now = dawn();
    let mut sender = IbbSender::new(now, terms(4096), true, Window::default());
    let (id, _) = asked(&mut sender)[0];
    sender.handle_answer(now, id, refused(DefinedCondition::ResourceConstraint));
    let (id, payload) = asked(&mut sender)[0].clone();
    assert_eq!((Open::read(&payload).unwrap().block_size, sender.block_size()), (2048, 2048));
    sender.handle_answer(now, id, Ok(()));
    assert_eq!(sender.poll_action(), Some(Action::Opened));
    for condition in [DefinedCondition::ServiceUnavailable, DefinedCondition::FeatureNotImplemented, DefinedCondition::NotAcceptable] {
        let mut sender = IbbSender::new(now, terms(4096), true, Window::default());
        let (id, _) = asked(&mut sender)[0];
        sender.handle_answer(now, id, refused(condition));
        assert!(matches!(sender.poll_action(), Some(Action::Failed(IbbFailed::NotOpened(_)))));
    }
    // To the last: it ends.
    let mut sender = IbbSender::new(now, terms(4096), true, Window::default());
    for _ in 0..5 {
        let (id, _) = asked(&mut sender)[0];
        sender.handle_answer(now, id, refused(DefinedCondition::ResourceConstraint));
    }
    assert!(matches!(sender.poll_action(), Some(Action::Failed(IbbFailed::NotOpened(_)))));
}

/// Proves: IBB-2.2-2, IBB-2.2-3.
#[test]
fn numbers_wrap_and_as_many_blocks_are_under_way_as_answers_allow() {
    let now = dawn();
    let mut sender = sender(now, Window::default());
    let mut under_way = VecDeque::new();
    let mut most = 0;
    for expected in (0..=u16::MAX).chain(0..3) {
        while sender.room() == 0 {
            sender.handle_answer(now, under_way.pop_front().unwrap(), Ok(()));
        }
        sender.handle_block(now, b"x");
        let [(id, ref payload)] = asked(&mut sender)[..] else { panic!("one block") };
        assert_eq!(Data::read(payload).unwrap().seq, expected);
        under_way.push_back(id);
        most = most.max(under_way.len());
    }
    assert_eq!(most, 60, "no more than others keep for who reads them");
    let mut careful = self::sender(now, Window::one());
    careful.handle_block(now, b"x");
    assert_eq!(careful.room(), 0, "one at a time");
    let id = asked(&mut careful)[0].0;
    careful.handle_answer(now, id, Ok(()));
    assert_eq!(careful.room(), 1);
}

#[test]
fn a_peer_that_answers_out_of_turn_gets_one_block_at_a_time() {
    let now = dawn();
    let mut sender = sender(now, Window::default());
    for _ in 0..4 {
        sender.handle_block(now, b"x");
    }
    let ids: Vec<u64> = asked(&mut sender).into_iter().map(|(id, _)| id).collect();
    sender.handle_answer(now, ids[1], Ok(()));
    for id in [ids[0], ids[2]] {
        sender.handle_answer(now, id, Ok(()));
        assert_eq!(sender.room(), 0, "one is still under way");
    }
    sender.handle_answer(now, ids[3], Ok(()));
    assert_eq!(sender.room(), 1);
}

/// Proves: IBB-2.2-6, IBB-2.3-1.
#[test]
fn after_a_block_is_refused_the_sender_closes() {
    let now = dawn();
    for (company, slowly) in [(2, true), (1, false)] {
        let mut sender = sender(now, Window::default());
        for _ in 0..company {
            sender.handle_block(now, b"x");
        }
        let first = asked(&mut sender)[0].0;
        sender.handle_answer(now, first, refused(DefinedCondition::UnexpectedRequest));
        let [(id, ref payload)] = asked(&mut sender)[..] else { panic!("a close alone") };
        assert_eq!((Close::read(payload).unwrap().sid.as_str(), sender.room()), (SID, 0));
        // Result or item-not-found, it is closed.
        sender.handle_answer(now, id, refused(DefinedCondition::ItemNotFound));
        let Some(Action::Failed(why)) = sender.poll_action() else { panic!("no end") };
        assert_eq!(why.may_go_slowly(), slowly, "where nothing else was under way, going slowly does not help");
    }
}

/// Proves: IBB-2.3-1, IBJ-2.5-1.
#[test]
fn all_blocks_are_answered_before_the_stream_is_closed() {
    let now = dawn();
    let mut sender = sender(now, Window::default());
    sender.handle_block(now, b"x");
    let block = asked(&mut sender)[0].0;
    sender.finish(now);
    assert_eq!((asked(&mut sender), sender.room()), (vec![], 0));
    sender.handle_answer(now, block, Ok(()));
    let [(close, ref payload)] = asked(&mut sender)[..] else { panic!("a close") };
    assert!(Close::matches(payload));
    sender.handle_answer(now, close, Ok(()));
    assert_eq!(sender.poll_action(), Some(Action::Ended));
    assert_eq!(sender.handle_close(SID), Err(IbbRefusal::NoStream));
    let mut receiver = receiver(now, Some(1));
    receiver.handle_data(now, self::block(0, b"x")).unwrap();
    receiver.handle_close(SID).unwrap();
    assert_eq!(receiver.poll_action(), Some(Action::Ended));
    assert_eq!(receiver.handle_data(now, self::block(1, b"y")), Err(IbbRefusal::NoStream), "behind the end");
    assert_eq!(receiver.handle_close(SID).unwrap_err().condition(), DefinedCondition::ItemNotFound);
}

/// Proves: IBB-6-1, IBB-2.2-4.
#[test]
fn characters_that_are_no_base64_are_rejected_and_not_skipped() {
    let now = dawn();
    for text in ["!!!!", "QUJD=QUJD", "QUI", "QU\u{a0}JD", "QUJD\0", "=QUJ", "QUJ-"] {
        let element = Element::new("data", "http://jabber.org/protocol/ibb").with_attr("sid", SID).with_attr("seq", "0").with_text(text);
        assert!(Data::read(&element).is_err(), "{text}");
    }
    let mut receiver = receiver(now, None);
    let refusal = receiver.handle_unreadable(now);
    assert_eq!(refusal.condition(), DefinedCondition::BadRequest);
    assert!(matches!(receiver.poll_action(), Some(Action::Ask { .. })), "what was in it is lost: the stream is closed");
    assert_eq!(receiver.handle_data(now, block(0, b"x")), Err(IbbRefusal::NoStream));
}

/// Proves: IBB-2.2-5.
#[test]
fn behind_a_gap_nothing_is_taken() {
    let now = dawn();
    let mut receiver = receiver(now, None);
    receiver.handle_data(now, block(0, b"a")).unwrap();
    assert_eq!(receiver.handle_data(now, block(2, b"c")), Err(IbbRefusal::Gap));
    assert_eq!(receiver.handle_data(now, block(1, b"b")), Err(IbbRefusal::NoStream));
    let Some(Action::Ask { id, .. }) = receiver.poll_action() else { panic!("no close") };
    receiver.handle_answer(now, id, Ok(()));
    assert_eq!((receiver.poll_action(), receiver.taken()), (Some(Action::Failed(IbbFailed::Gap)), 1));
}

#[test]
fn more_bytes_than_announced_end_the_stream() {
    let now = dawn();
    let mut receiver = receiver(now, Some(3));
    receiver.handle_data(now, block(0, b"abc")).unwrap();
    assert_eq!(receiver.handle_data(now, block(1, b"d")), Err(IbbRefusal::TooMuch));
    let Some(Action::Ask { id, .. }) = receiver.poll_action() else { panic!("no close") };
    receiver.handle_answer(now, id, Err(NoAck::Silent("no answer in time".to_owned())));
    assert_eq!(receiver.poll_action(), Some(Action::Failed(IbbFailed::TooMuch)));
}

#[test]
fn silence_ends_a_stream_at_every_step() {
    let now = dawn();
    let mut opening = IbbReceiver::new(now, terms(4096), true, None);
    let mut awaiting = IbbReceiver::new(now, terms(4096), false, None);
    let mut open = receiver(now, None);
    for receiver in [&mut opening, &mut awaiting, &mut open] {
        let mut last = None;
        while let Some(deadline) = receiver.deadline() {
            assert!(deadline - now < Duration::from_secs(100));
            receiver.handle_timeout(deadline);
            while let Some(action) = receiver.poll_action() {
                last = Some(action);
            }
        }
        assert!(matches!(last, Some(Action::Failed(_))), "{last:?}");
    }
    let mut stuck = sender(now, Window::default());
    assert_eq!(stuck.deadline(), None, "nothing is under way: it is our turn");
    stuck.handle_block(now, b"x");
    let _ = asked(&mut stuck);
    stuck.handle_timeout(stuck.deadline().unwrap());
    stuck.handle_timeout(stuck.deadline().unwrap());
    let mut last = None;
    while let Some(action) = stuck.poll_action() {
        last = Some(action);
    }
    assert!(matches!(last, Some(Action::Failed(IbbFailed::Stalled(_)))), "{last:?}");
}

#[test]
fn a_receiver_that_was_busy_itself_blames_nobody() {
    let now = dawn();
    let mut receiver = receiver(now, None);
    let late = receiver.deadline().unwrap();
    receiver.handle_taken(late);
    receiver.handle_timeout(late);
    assert!(receiver.poll_action().is_none() && receiver.deadline() > Some(late));
}

#[test]
fn a_stream_closed_by_the_other_side_in_the_middle_is_no_whole_one() {
    let now = dawn();
    let mut sender = sender(now, Window::default());
    sender.handle_block(now, b"x");
    let _ = asked(&mut sender);
    sender.handle_close(SID).unwrap();
    assert_eq!(sender.poll_action(), Some(Action::Failed(IbbFailed::ClosedEarly)));
}

/// XEP-0047 §4.
/// Proves: IBB-4-1.
#[test]
fn blocks_travel_in_messages_where_that_was_agreed_on() {
    let now = dawn();
    let terms = Terms { stanza: StanzaKind::Message, ..terms(4096) };
    let mut sender = IbbSender::new(now, terms, false, Window::default());
    sender.handle_open(now, &Open { stanza: StanzaKind::Message, ..open(4096) }).unwrap();
    assert_eq!(sender.poll_action(), Some(Action::Opened));
    sender.handle_block(now, b"x");
    let Some(Action::Tell { id, payload }) = sender.poll_action() else { panic!("no message") };
    assert_eq!(Data::read(&payload).unwrap().bytes, b"x");
    sender.handle_answer(now, id, Ok(()));
    sender.handle_block(now, b"y");
    let _ = asked(&mut sender);
    sender.handle_bounce(now, "recipient-unavailable".to_owned());
    assert!(Close::matches(&asked(&mut sender)[0].1), "a block that came back is a gap");
}

/// To whom, a question with its number, or the answer to one.
type OnTheWay = (usize, u64, Option<Element>, Result<(), NoAck>);

/// Whatever the delays, and however the answers overtake each other: all bytes arrive in order, or both sides know.
#[test]
fn every_byte_arrives_in_order_or_both_sides_know() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let loses = dice.below(3) == 0;
        let opens = dice.below(2) == 0;
        let start = dawn();
        let mut now = start;
        let total = dice.below(60_000) as usize;
        let bytes: Vec<u8> = (0..total).map(|at| at as u8).collect();
        let mut sender = IbbSender::new(now, terms(1000), opens, Window::default());
        let mut receiver = IbbReceiver::new(now, terms(1000), !opens, Some(total as u64));
        let (mut sent, mut came, mut count) = (0, Vec::new(), 0);
        let mut ends: [Option<Result<(), IbbFailed>>; 2] = [None, None];
        let mut queue: BTreeMap<(Instant, u64), OnTheWay> = BTreeMap::new();
        // XMPP keeps the order of what goes one way.
        let mut last = [start; 2];
        loop {
            for who in [0, 1] {
                while let Some(action) = if who == 0 { sender.poll_action() } else { receiver.poll_action() } {
                    match action {
                        Action::Ask { id, payload } | Action::Tell { id, payload } => {
                            count += 1;
                            last[who] = last[who].max(now + millis(dice.below(50)));
                            if !loses || dice.below(20) > 0 {
                                queue.insert((last[who], count), (1 - who, id, Some(payload), Ok(())));
                            }
                        }
                        Action::Opened => {}
                        Action::Ended => ends[who] = Some(Ok(())),
                        Action::Failed(why) => ends[who] = Some(Err(why)),
                    }
                }
            }
            if sender.room() > 0 && sent < total {
                let end = (sent + 1000).min(total);
                sender.handle_block(now, &bytes[sent..end]);
                sent = end;
                continue;
            }
            if sent == total {
                sender.finish(now);
            }
            if let Some(action) = sender.poll_action() {
                match action {
                    Action::Ask { id, payload } | Action::Tell { id, payload } => {
                        count += 1;
                        last[0] = last[0].max(now + millis(1));
                        queue.insert((last[0], count), (1, id, Some(payload), Ok(())));
                    }
                    other => panic!("{other:?}"),
                }
                continue;
            }
            let deadlines = [sender.deadline(), receiver.deadline()];
            let Some(next) = queue.keys().next().map(|(at, _)| *at).into_iter().chain(deadlines.into_iter().flatten()).min() else { break };
            now = next.max(now);
            assert!(now - start < Duration::from_secs(600), "seed {seed}");
            let Some(key) = queue.keys().next().copied().filter(|(at, _)| *at <= now) else {
                sender.handle_timeout(now);
                receiver.handle_timeout(now);
                continue;
            };
            let (who, id, payload, answer) = queue.remove(&key).unwrap();
            let Some(payload) = payload else {
                if who == 0 {
                    sender.handle_answer(now, id, answer)
                } else {
                    receiver.handle_answer(now, id, answer)
                }
                continue;
            };
            let result = if let Ok(data) = Data::read(&payload) {
                receiver.handle_data(now, data).map(|block| came.extend(block))
            } else if let Ok(open) = Open::read(&payload) {
                if who == 0 { sender.handle_open(now, &open) } else { receiver.handle_open(now, &open) }
            } else {
                let sid = Close::read(&payload).unwrap().sid;
                if who == 0 { sender.handle_close(&sid) } else { receiver.handle_close(&sid) }
            };
            let answer = result.map_err(|refusal| NoAck::Refused(Box::new(StanzaError::new(refusal.condition()))));
            count += 1;
            // Answers to blocks may overtake each other.
            let mut at = now + millis(dice.below(50));
            if !Data::matches(&payload) {
                last[who] = last[who].max(at);
                at = last[who];
            }
            queue.insert((at, count), (1 - who, id, None, answer));
        }
        assert_eq!(came[..], bytes[..came.len()], "seed {seed}");
        let [Some(sent), Some(received)] = &ends else { panic!("seed {seed}: {ends:?}") };
        assert!(!loses || received.is_err() || came.len() == total || sent.is_err(), "seed {seed}: {ends:?}");
        if !loses {
            assert_eq!((sent, received, came.len()), (&Ok(()), &Ok(()), total), "seed {seed}");
        }
    }
}
