//! Discovery, forms, capabilities, result sets, delays, carbons, rosters.

use balcony_wire::caps::{self, Caps, IllFormed};
use balcony_wire::caps2::{self, Caps2};
use balcony_wire::carbons::{Private, Received, Sent};
use balcony_wire::data_form::{DataForm, Field, FieldKind, FieldOption, FormKind};
use balcony_wire::delay::Delay;
use balcony_wire::disco::{DiscoInfo, DiscoItems, Identity, Item};
use balcony_wire::forwarding::Forwarded;
use balcony_wire::ping::Ping;
use balcony_wire::result_set::ResultSet;
use balcony_wire::roster::{Roster, RosterItem, Subscription};
use balcony_wire::{Element, Payload, ReadError, Stanza, ns};
use serde_json::Value;
use sha2::Digest as _;

fn example(file: &str) -> Element {
    Element::parse(&testing_corpus::example(file).in_stream_without_comments()).unwrap()
}

fn read<P: Payload>(xml: &str) -> Result<P, ReadError> {
    P::read(&Element::parse(xml).unwrap())
}

/// The typed content of an example, wherever in the stanza it stands.
fn within<P: Payload>(file: &str) -> P {
    fn find<P: Payload>(element: &Element) -> Option<P> {
        if P::matches(element) { Some(P::read(element).unwrap()) } else { element.children().find_map(find) }
    }
    find(&example(file)).unwrap()
}

fn stays<P: Payload + PartialEq + std::fmt::Debug>(value: P) -> P {
    assert_eq!(P::read(&Element::parse(&value.write().to_xml()).unwrap()).as_ref(), Ok(&value));
    value
}

fn vars(fields: &[Field]) -> Vec<&str> {
    fields.iter().filter_map(|field| field.var.as_deref()).collect()
}

/// Proves: C0199-4-1.
#[test]
fn a_ping_is_empty() {
    stays(within::<Ping>("xep-0199/04-ping.xml"));
    assert!(read::<Ping>("<ping xmlns='urn:other'/>").is_err());
    assert!(read::<Ping>("<ping xmlns='urn:xmpp:ping'><x/>text</ping>").is_ok());
}

/// Proves: C0030-3-1, C0030-3-2.
#[test]
fn disco_info_questions_and_answers() {
    let info = stays(within::<DiscoInfo>("xep-0030/02-result-set-for-information-request.xml"));
    assert_eq!(info.identities[1], Identity::new("directory", "chatroom", Some("Play-Specific Chatrooms")));
    assert_eq!(info.features.len(), 7);
    assert!(info.has("jabber:iq:time") && !info.has(ns::SFS) && info.is("conference", "text"));
    let question = stays(within::<DiscoInfo>("xep-0030/09-querying-a-specific-jid-and-node-combination.xml"));
    assert_eq!(question.node.as_deref(), Some("http://jabber.org/protocol/commands"));
    let poor = read::<DiscoInfo>(
        "<query xmlns='http://jabber.org/protocol/disco#info'><feature/><identity category='x'/><other xmlns='urn:x'/></query>",
    )
    .unwrap();
    assert_eq!((poor.features.len(), poor.identities.len(), poor.others.len()), (0, 0, 1));
    assert!(poor.has(ns::DISCO_INFO), "whoever answers supports it");
}

/// An implicit language counts (C0390-6-2).
#[test]
fn identities_inherit_the_language_of_the_answer() {
    let xml = "<query xmlns='http://jabber.org/protocol/disco#info' xml:lang='de'><identity category='client' type='pc' name='x'/>\
               <identity category='client' type='pc' name='y' xml:lang='en'/></query>";
    let langs: Vec<_> = read::<DiscoInfo>(xml).unwrap().identities.into_iter().map(|identity| identity.lang.unwrap()).collect();
    assert_eq!(langs, ["de", "en"]);
}

/// Proves: C0030-4-1.
#[test]
fn disco_items_questions_and_answers() {
    let items = stays(within::<DiscoItems>("xep-0030/12-result-set-for-all-items.xml"));
    assert_eq!(
        items.items[0],
        Item { jid: "people.shakespeare.lit".parse().unwrap(), node: None, name: Some("Directory of Characters".to_owned()) }
    );
    let items = stays(within::<DiscoItems>("xep-0030/17-service-returns-nodes.xml"));
    assert_eq!(items.items[0].node.as_deref(), Some("books"));
    assert!(within::<DiscoItems>("xep-0030/13-empty-result-set.xml").items.is_empty());
    let xml = "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='@'/><item/><item jid='a@b/❤\u{FE0F}'/>\
               <set xmlns='http://jabber.org/protocol/rsm'><count>7</count></set></query>";
    let items = stays(read::<DiscoItems>(xml).unwrap());
    assert_eq!((items.items.len(), items.result_set.unwrap().count), (1, Some(7)));
}

#[test]
fn result_sets_of_all_kinds() {
    let asked = |file: &str| stays(within::<ResultSet>(&format!("xep-0059/{file}.xml")));
    assert_eq!(
        asked("05-requesting-the-second-page-of-a-result-set"),
        ResultSet::page_after(10, Some("peterpan@neverland.lit".to_owned()))
    );
    assert_eq!(asked("11-requesting-the-last-page-of-a-result-set"), ResultSet::last_page(10));
    assert_eq!(asked("12-requesting-a-result-page-by-index").index, Some(371));
    assert_eq!(asked("15-requesting-the-item-count").max, Some(0));
    let answered = asked("04-returning-the-first-page-of-a-result-set");
    assert_eq!((answered.first.as_deref(), answered.first_index), (Some("stpeter@jabber.org"), Some(0)));
    assert_eq!((answered.last.as_deref(), answered.count), (Some("peterpan@neverland.lit"), Some(800)));
    let odd = read::<ResultSet>("<set xmlns='http://jabber.org/protocol/rsm'><max>-1</max><count>many</count><first index='x'/><x/></set>")
        .unwrap();
    assert_eq!(odd, ResultSet { first: Some(String::new()), ..ResultSet::default() });
}

/// Proves: DF-3.1-1, DF-3.3-1, DF-3.2-6.
#[test]
fn a_form_keeps_everything_in_order() {
    let form = stays(within::<DataForm>("xep-0004/02-service-returns-bot-creation-form.xml"));
    assert_eq!((form.kind, form.title.as_deref()), (FormKind::Form, Some("Bot Configuration")));
    assert_eq!(form.instructions, ["Fill out this form to configure your new bot!"]);
    assert_eq!(form.form_type(), Some("jabber:bot"));
    assert_eq!(vars(&form.fields), ["FORM_TYPE", "botname", "description", "public", "password", "features", "maxsubs", "invitelist"]);
    let fixed = form.fields.iter().find(|field| field.kind == Some(FieldKind::Fixed)).unwrap();
    assert_eq!((fixed.var.as_deref(), fixed.value()), (None, Some("Section 1: Bot Info")));
    assert!(form.field("public").unwrap().required && !form.field("botname").unwrap().required);
    let features = form.field("features").unwrap();
    assert_eq!(features.kind, Some(FieldKind::ListMulti));
    assert_eq!(features.options[0], FieldOption { label: Some("Contests".to_owned()), value: "contests".to_owned() });
    assert_eq!(features.values, ["news", "search"]);
    assert!(form.field("invitelist").unwrap().desc.as_ref().unwrap().starts_with("Tell all your friends"));
    let submitted = stays(within::<DataForm>("xep-0004/03-user-submits-bot-creation-form.xml"));
    assert_eq!(submitted.field("invitelist").unwrap().values.len(), 2);
    assert_eq!(submitted.field("public").unwrap().boolean(), Some(false));
    assert_eq!(submitted.form_type(), Some("jabber:bot"));
}

/// Proves: DF-3.4-2.
#[test]
fn a_result_with_items_is_read_in_whatever_order_it_comes() {
    let form = stays(within::<DataForm>("xep-0004/08-service-returns-search-results.xml"));
    assert_eq!(vars(form.reported.as_ref().unwrap()), ["name", "url"]);
    assert_eq!((form.items.len(), form.items[0][0].value().unwrap()), (5, "Comune di Verona - Benvenuti nel sito ufficiale"));
    let xml = "<x xmlns='jabber:x:data' type='result'><item><field var='a'><value>1</value></field></item><field var='b'/><reported><field var='a'/></reported>\
               <title>t</title></x>";
    let form = stays(read::<DataForm>(xml).unwrap());
    assert_eq!((form.items.len(), form.fields.len(), form.reported.unwrap().len(), form.title.as_deref()), (1, 1, 1, Some("t")));
}

/// Proves: MED-2-1.
#[test]
fn what_other_documents_put_into_a_field_stays_in_it() {
    let form = stays(within::<DataForm>("xep-0221/02-inclusion-in-data-form.xml"));
    let media = &form.field("ocr").unwrap().others[0];
    assert!(media.is("media", ns::MEDIA_ELEMENT));
    assert_eq!(media.children().count(), 2);
    let xml = "<x xmlns='jabber:x:data' type='form'><page xmlns='http://jabber.org/protocol/xdata-layout'/><field var='d'>\
               <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:date'/><value>x</value><file-input xmlns='urn:xmpp:file-input:0'/></field></x>";
    let form = stays(read::<DataForm>(xml).unwrap());
    let names: Vec<_> = form.field("d").unwrap().others.iter().map(Element::name).collect();
    assert_eq!((names, form.others.len()), (vec!["validate", "file-input"], 1));
}

/// Proves: DF-3.3-2, DF-3.2-5, DF-3.3-7.
#[test]
fn types_of_fields_and_forms_that_are_odd() {
    let xml = "<x xmlns='jabber:x:data' type='submit'><field var='a' type='made-up'><value>1</value></field><field var='b'/><field><value/></field></x>";
    let form = stays(read::<DataForm>(xml).unwrap());
    assert_eq!((form.fields[0].kind, form.fields[1].kind), (Some(FieldKind::TextSingle), None));
    assert_eq!((form.value("b"), form.fields[2].value()), (None, Some("")));
    for (text, expected) in [("1", Some(true)), ("true", Some(true)), ("0", Some(false)), ("false", Some(false)), ("yes", None)] {
        assert_eq!(Field::new("x").with_value(text).boolean(), expected);
    }
    assert!(read::<DataForm>("<x xmlns='jabber:x:data'/>").is_err());
    assert!(read::<DataForm>("<x xmlns='jabber:x:data' type='made-up'/>").is_err());
    assert_eq!(DataForm::typed(FormKind::Result, "urn:x").form_type(), Some("urn:x"));
    let shown = DataForm::new(FormKind::Form).with(Field::new("FORM_TYPE").with_value("urn:x"));
    assert_eq!(shown.form_type(), None, "in a form it must be hidden");
    assert_eq!(Field::new("x").with_value("one").with_value("two").text(), "one\ntwo");
}

#[test]
fn delays_new_and_old() {
    let delay = stays(within::<Delay>("xep-0203/01-receiving-a-message-sent-while-offline.xml"));
    assert_eq!((delay.stamp.to_string().as_str(), delay.from.unwrap().as_str()), ("2002-09-10T23:08:25Z", "capulet.com"));
    assert_eq!(delay.reason.unwrap().trim(), "Offline Storage");
    let old = stays(read::<Delay>("<x xmlns='jabber:x:delay' from='@' stamp='20020910T23:08:25'/>").unwrap());
    assert_eq!((old.stamp.unix(), old.from, old.reason), (1_031_699_305, None, None));
    for xml in [
        "<delay xmlns='urn:xmpp:delay'/>",
        "<delay xmlns='urn:xmpp:delay' stamp='now'/>",
        "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/>",
    ] {
        assert!(read::<Delay>(xml).is_err(), "{xml}");
    }
}

#[test]
fn carbons_hold_the_forwarded_message() {
    let Stanza::Message(outer) = Stanza::read(example("xep-0280/10-server-sends-carbon-to-romeo-s-other-clients.xml")).unwrap() else {
        panic!()
    };
    let received = stays(outer.payload::<Received>().unwrap().unwrap());
    let message = received.0.message().unwrap();
    assert_eq!(message.from.unwrap().as_str(), "juliet@capulet.example/balcony");
    let Stanza::Message(outer) = Stanza::read(example("xep-0280/13-romeo-s-other-carbons-enabled-clients-receive-a-copy.xml")).unwrap()
    else {
        panic!()
    };
    assert!(outer.payload::<Received>().is_none());
    assert!(outer.payload::<Sent>().unwrap().unwrap().0.message().is_some());
    let Stanza::Message(private) = Stanza::read(example("xep-0280/14-romeo-sends-to-juliet-excluding-carbons.xml")).unwrap() else {
        panic!()
    };
    assert_eq!(private.payload::<Private>(), Some(Ok(Private)));
    assert!(read::<Sent>("<sent xmlns='urn:xmpp:carbons:2'/>").is_err());
    assert!(read::<Sent>("<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></sent>").is_err());
    let forwarded = stays(within::<Forwarded>("xep-0297/02-forwarding-a-message.xml"));
    assert_eq!(forwarded.delay.as_ref().unwrap().stamp.to_string(), "2010-07-10T23:08:25Z");
    let iq = read::<Forwarded>("<forwarded xmlns='urn:xmpp:forward:0'><x/><iq xmlns='jabber:client'/></forwarded>").unwrap();
    assert_eq!(iq.message(), None);
}

#[test]
fn rosters_are_read_leniently_and_written_strictly() {
    let xml = "<query xmlns='jabber:iq:roster' ver='ver7'><item jid='Nurse@example.com' name='Nurse' subscription='both' approved='1'><group>Servants</group>\
               <group>Servants</group><group/><x xmlns='urn:x'/></item><item jid='romeo@example.net' subscription='to' ask='subscribe'/>\
               <item jid='x@example.com' subscription='made-up'/><item jid='@'/><item/></query>";
    let roster = stays(read::<Roster>(xml).unwrap());
    assert_eq!((roster.ver.as_deref(), roster.items.len()), (Some("ver7"), 3));
    let nurse = &roster.items[0];
    assert_eq!((nurse.jid.as_str(), nurse.approved, &nurse.groups), ("nurse@example.com", true, &vec!["Servants".to_owned()]));
    assert!(nurse.subscription.contact_sees_user() && nurse.subscription.user_sees_contact());
    assert!(roster.items[1].ask && !roster.items[1].subscription.contact_sees_user());
    assert_eq!(roster.items[2], RosterItem::new("x@example.com".parse().unwrap()));
    let push = stays(read::<Roster>("<query xmlns='jabber:iq:roster' ver=''><item jid='a@b' subscription='remove'/></query>").unwrap());
    assert_eq!((push.ver.as_deref(), push.items[0].subscription), (Some(""), Subscription::Remove));
    assert_eq!(stays(read::<Roster>("<query xmlns='jabber:iq:roster'/>").unwrap()), Roster::default());
}

fn disco_of(case: &Value) -> DiscoInfo {
    match case["disco_xml"].as_str() {
        Some(xml) => read(xml).unwrap(),
        None => {
            let xml = testing_corpus::text(case["disco_file"].as_str().unwrap());
            let element = Element::parse(&xml).unwrap();
            let query =
                if DiscoInfo::matches(&element) { Some(&element) } else { element.children().find(|child| DiscoInfo::matches(child)) };
            DiscoInfo::read(query.unwrap()).unwrap()
        }
    }
}

/// Proves: C0115-5-1, C0115-5-2, C0115-9-1.
#[test]
fn verification_strings_are_those_of_other_programs() {
    for case in testing_corpus::cases("caps-0115") {
        let info = disco_of(&case);
        let input = caps::verification_input(&info);
        assert_eq!(input.is_ok(), case["well_formed"].as_bool().unwrap(), "{case}");
        let Ok(input) = input else { continue };
        assert_eq!(Some(input.as_str()), case["s"].as_str());
        let ver = caps::verification_string(&info, |bytes| match case["hash"].as_str() {
            Some("sha-1") => sha1::Sha1::digest(bytes).to_vec(),
            _ => sha2::Sha256::digest(bytes).to_vec(),
        });
        assert_eq!(ver.ok().as_deref(), case["ver"].as_str());
    }
}

/// An answer with `<` in a name can have the hash of another one.
#[test]
fn answers_made_to_collide_are_ill_formed() {
    let honest = DiscoInfo { features: vec!["a".to_owned(), "b".to_owned()], ..DiscoInfo::default() };
    let forged = DiscoInfo { features: vec!["a<b".to_owned()], ..DiscoInfo::default() };
    assert_eq!(caps::verification_input(&honest).as_deref(), Ok("a<b<"));
    assert_eq!(caps::verification_input(&forged), Err(IllFormed::Ambiguous));
}

/// Proves: C0115-4-1.
#[test]
fn caps_need_all_three_attributes() {
    let caps = stays(within::<Caps>("xep-0115/01-presence-with-caps.xml"));
    assert_eq!(
        (caps.hash.as_str(), caps.node.as_str(), caps.ver.as_str()),
        ("sha-1", "http://code.google.com/p/exodus", "QgayPKawpkPSDYmwT/WM94uAlu0=")
    );
    for xml in ["hash='sha-1' node='n'", "hash='sha-1' ver='v'", "node='n' ver='v' ext='voice'"] {
        assert!(read::<Caps>(&format!("<c xmlns='http://jabber.org/protocol/caps' {xml}/>")).is_err(), "{xml}");
    }
}

/// Proves: C0390-4-1, C0390-4-2.
#[test]
fn hash_inputs_and_nodes_are_those_of_other_programs() {
    for case in testing_corpus::cases("caps-0390") {
        let input = caps2::hash_input(&disco_of(&case));
        if case["error"] == true {
            assert!(input.is_err(), "{case}");
            continue;
        }
        let input = input.unwrap();
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Some(hex.as_str()), case["input_hex"].as_str());
        let hash = balcony_wire::base64::encode(sha2::Sha256::digest(&input));
        assert_eq!(Some(hash.as_str()), case["hashes"]["sha-256"].as_str());
        if let Some(node) = case["nodes"]["sha-256"].as_str() {
            assert_eq!(caps2::node("sha-256", &hash), node);
        }
    }
    for case in testing_corpus::vector("caps-0390")["node_parsing"].as_array().unwrap() {
        let expected = Some((case["algo"].as_str().unwrap(), case["hash"].as_str().unwrap()));
        assert_eq!(caps2::parse_node(case["node"].as_str().unwrap()), expected);
    }
    assert_eq!(caps2::parse_node("http://prosody.im#x.y"), None);
    assert_eq!(caps2::parse_node("urn:xmpp:caps#x"), None);
}

#[test]
fn caps2_keeps_hashes_it_cannot_use() {
    let caps = stays(within::<Caps2>("xep-0390/06-presence-broadcast-with-hashes.xml"));
    assert_eq!(caps.hashes.len(), 2);
    let odd = read::<Caps2>("<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='made-up'>AAAA</hash><x/></c>").unwrap();
    assert_eq!(odd.hashes.len(), 1);
}
