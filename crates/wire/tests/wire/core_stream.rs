//! Elements of stream negotiation: examples of the documents, absent fields, unknown children, hostile content.

use balcony_wire::framing::writer::write_element;
use balcony_wire::ns;
use balcony_wire::stanza::DefinedCondition;
use balcony_wire::stream::bind::{Bind, LegacySession};
use balcony_wire::stream::bind2::{BindRequest, Bound};
use balcony_wire::stream::error::{StreamError, StreamErrorCondition};
use balcony_wire::stream::features::{Sasl2Feature, StartTlsFeature, StreamFeatures, StreamLimits};
use balcony_wire::stream::sasl::{self, SaslCondition};
use balcony_wire::stream::{csi, sasl2, sm, starttls};
use balcony_wire::{Element, Payload, ReadError};

fn example(file: &str) -> Element {
    Element::parse(&testing_corpus::example(file).in_stream_without_comments()).unwrap()
}

fn read<P: Payload>(xml: &str) -> Result<P, ReadError> {
    P::read(&Element::parse(xml).unwrap())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// What is read is written so that it is read alike.
fn stays<P: Payload + PartialEq + std::fmt::Debug>(value: P) -> P {
    assert_eq!(P::read(&Element::parse(&value.write().to_xml()).unwrap()).as_ref(), Ok(&value));
    value
}

const FEATURES: &str = "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
     <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
     <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism> PLAIN </mechanism><mechanism/>\
       <hostname xmlns='urn:xmpp:domain-based-name:1'>auth42.example.com</hostname></mechanisms>\
     <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
     <sm xmlns='urn:xmpp:sm:3'><optional/></sm><sm xmlns='urn:xmpp:sm:2'/><csi xmlns='urn:xmpp:csi:0'/>\
     <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>\
     <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes><idle-seconds>x</idle-seconds></limits>\
     <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://prosody.im' ver='VuXcgNqFatn3tFCMQkAiQdWxU3Q='/>\
     <register xmlns='http://jabber.org/features/iq-register'/></stream:features>";

#[test]
fn features_are_read_and_unknown_ones_kept() {
    let features = stays(read::<StreamFeatures>(FEATURES).unwrap());
    assert_eq!(features.starttls, Some(StartTlsFeature { required: true }));
    assert_eq!(features.mechanisms, Some(strings(&["SCRAM-SHA-1-PLUS", "PLAIN"])));
    assert_eq!((features.bind, features.session, features.sm, features.csi), (true, Some(true), true, true));
    assert_eq!((features.roster_versioning, features.pre_approval), (true, true));
    assert_eq!(features.limits, Some(StreamLimits { max_bytes: Some(262_144), idle_seconds: None }));
    assert_eq!(features.caps.unwrap().disco_node(), "http://prosody.im#VuXcgNqFatn3tFCMQkAiQdWxU3Q=");
    let others: Vec<_> = features.others.iter().map(Element::name).collect();
    assert_eq!(others, ["sm", "register"]);
    let none = stays(read::<StreamFeatures>("<features xmlns='http://etherx.jabber.org/streams'/>").unwrap());
    assert_eq!(none, StreamFeatures::default());
    assert!(read::<StreamFeatures>("<features xmlns='jabber:client'/>").is_err());
}

/// Proves: C0388-2-1, C0386-3-1.
#[test]
fn features_of_sasl2_and_channel_binding() {
    let features = stays(StreamFeatures::read(&example("xep-0386/01-server-advertises-support-in-stream-features.xml")).unwrap());
    let expected = Sasl2Feature {
        mechanisms: strings(&["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]),
        bind: Some(strings(&[ns::CARBONS, ns::CSI, ns::SM])),
        sm: true,
        other_inline: vec![],
    };
    assert_eq!(features.sasl2, Some(expected));
    let features =
        stays(StreamFeatures::read(&example("xep-0440/02-example-sasl2-authentication-stream-feature-with-sasl-channe.xml")).unwrap());
    assert_eq!(features.channel_bindings, Some(strings(&["tls-server-end-point", "tls-exporter"])));
    assert_eq!(features.sasl2.unwrap().bind, Some(vec![]));
    let features = StreamFeatures::read(&example("xep-0388/15-1-blurdybloop-and-unrealistic-2fa.xml")).unwrap();
    assert!(features.sasl2.unwrap().other_inline[0].is("megabind", "urn:example:megabind"));
}

#[test]
fn starttls_elements() {
    stays(starttls::StartTls);
    stays(starttls::Proceed);
    stays(starttls::TlsFailure);
    assert!(read::<starttls::Proceed>("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").is_err());
    stays(csi::Active);
    stays(csi::Inactive);
    stays(LegacySession);
}

/// Proves: C6120-6-1.
#[test]
fn sasl_tells_no_data_from_empty_data() {
    let auth = |text: &str| read::<sasl::Auth>(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"));
    for (text, expected) in [
        ("", None),
        ("=", Some(b"".to_vec())),
        ("AGp1bGlldAByMG0zMG15cjBtMzA=", Some(b"\0juliet\0r0m30myr0m30".to_vec())),
        ("\n AGp1bGlldAByMG0z\n MG15cjBtMzA=\n", Some(b"\0juliet\0r0m30myr0m30".to_vec())),
    ] {
        assert_eq!(stays(auth(text).unwrap()).initial, expected, "{text:?}");
    }
    for text in ["%%%", "==", "AGp1bGlldA", "ä"] {
        assert!(auth(text).is_err(), "{text}");
    }
    assert!(!format!("{:?}", auth("AGp1bGlldAByMG0zMG15cjBtMzA=")).contains("juliet"));
    assert!(read::<sasl::Auth>("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").is_err());
    assert_eq!(stays(sasl::Success { data: Some(vec![]) }).write().text(), "=");
    assert_eq!(stays(sasl::Success { data: None }).write().text(), "");
    stays(sasl::Challenge { data: b"r=1,s=2,i=4096".to_vec() });
    assert_eq!(stays(sasl::Response { data: vec![] }).write().text(), "");
    stays(sasl::Abort);
}

#[test]
fn sasl_failures_have_a_condition_whatever_is_in_them() {
    let failure = |inside: &str| {
        stays(read::<sasl::Failure>(&format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{inside}</failure>")).unwrap())
    };
    let full = failure("<account-disabled/><text xml:lang='en'>Call 212-555-1212</text><app xmlns='urn:x'/>");
    assert_eq!(
        (full.condition, full.text.as_deref(), full.lang.as_deref()),
        (SaslCondition::AccountDisabled, Some("Call 212-555-1212"), Some("en"))
    );
    assert!(full.application.unwrap().is("app", "urn:x"));
    assert_eq!(failure("").condition, SaslCondition::NotAuthorized);
    assert_eq!(failure("<bad-auth/><temporary-auth-failure/>").condition, SaslCondition::TemporaryAuthFailure);
    for condition in SaslCondition::ALL {
        assert_eq!(failure(&format!("<{}/>", condition.as_str())).condition, *condition);
    }
}

/// Proves: C0388-2-3.
#[test]
fn sasl2_requests_and_answers() {
    let request = stays(sasl2::Authenticate::read(&example("xep-0388/03-an-authentication-request.xml")).unwrap());
    assert_eq!(request.mechanism, "SCRAM-SHA-1-PLUS");
    assert!(request.initial.unwrap().starts_with(b"p=tls-exporter,,n=user,r="));
    let agent = request.user_agent.unwrap();
    assert_eq!((agent.id.as_deref(), agent.software.as_deref()), (Some("d4565fa7-4d72-4749-b3d3-740edbf87770"), Some("AwesomeXMPP")));
    assert_eq!(agent.device.as_deref(), Some("Kiva's Phone"));

    let request = sasl2::Authenticate::read(&example("xep-0388/15-2-blurdybloop-and-unrealistic-2fa.xml")).unwrap();
    assert!(request.others[0].is("megabind", "urn:example:megabind"));
    let success =
        stays(sasl2::Success::read(&example("xep-0388/09-successful-re-authentication-and-resumption-using-blurdybloo.xml")).unwrap());
    assert_eq!(success.authorization_identifier, "juliet@montague.example");
    assert_eq!(success.resumed, Some(sm::Resumed { h: 345, previd: "124".to_owned() }));
    let success = sasl2::Success::read(&example("xep-0388/15-9-blurdybloop-and-unrealistic-2fa.xml")).unwrap();
    assert_eq!(success.authorization_identifier, "alice@example.org/this-one-please");
    assert_eq!(success.others.len(), 1);
    assert!(read::<sasl2::Success>("<success xmlns='urn:xmpp:sasl:2'/>").is_err());

    let failure = stays(sasl2::Sasl2Failure::read(&example("xep-0388/10-failure.xml")).unwrap());
    assert_eq!((failure.0.condition, failure.0.text.as_deref()), (SaslCondition::Aborted, Some("This is a terrible example.")));
    let more = stays(sasl2::Continue::read(&example("xep-0388/11-continue-required.xml")).unwrap());
    assert_eq!((more.tasks, more.data), (strings(&["HOTP-EXAMPLE", "TOTP-EXAMPLE"]), Some(b"I'm bored now.".to_vec())));
    assert_eq!(stays(sasl2::Next::read(&example("xep-0388/12-1-fictional-totp-task.xml")).unwrap()).task, "TOTP-EXAMPLE");
    stays(sasl2::Abort { text: Some("enough".to_owned()) });
    let challenge = sasl2::Challenge::read(&example("xep-0388/14-3-cram-md5-authentication.xml")).unwrap();
    assert_eq!(stays(challenge).data, b"<1896.697170952@postoffice.reston.mci.net>");
    let response = sasl2::Response::read(&example("xep-0388/14-4-cram-md5-authentication.xml")).unwrap();
    assert_eq!(stays(response).data, b"tim b913a602c7eda7a495b4e6e7334d3890");
    let bad = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>%</initial-response></authenticate>";
    assert!(read::<sasl2::Authenticate>(bad).is_err());
}

/// Proves: C6120-7-1.
#[test]
fn binding_in_its_three_forms() {
    let bind = |inside: &str| read::<Bind>(&format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inside}</bind>"));
    assert_eq!(stays(bind("").unwrap()), Bind::Request(None));
    assert_eq!(stays(bind("<resource>balcony</resource>").unwrap()), Bind::Request(Some("balcony".to_owned())));
    assert_eq!(bind("<resource/><x xmlns='urn:x'/>").unwrap(), Bind::Request(None));
    let bound = stays(bind("<jid> juliet@example.com/4db06f06-1ea4 </jid>").unwrap());
    assert_eq!(bound, Bind::Bound("juliet@example.com/4db06f06-1ea4".parse().unwrap()));
    for inside in ["<jid/>", "<jid>juliet@example.com</jid>", "<jid>@</jid>"] {
        assert!(bind(inside).is_err(), "{inside}");
    }
}

#[test]
fn bind2_requests_and_answers() {
    let request = example("xep-0386/03-client-provides-a-resource-bind-request-additionally-request.xml");
    let request = stays(BindRequest::read(request.child("bind", ns::BIND2).unwrap()).unwrap());
    assert_eq!((request.tag.as_deref(), request.enable_carbons, request.inactive), (Some("AwesomeXMPP"), true, true));
    assert_eq!(request.enable_sm, Some(sm::Enable::default()));
    let success = sasl2::Success::read(&example("xep-0386/04-server-responds-after-processing-the-bind.xml")).unwrap();
    assert_eq!(success.authorization_identifier, "user@example.com/AwesomeXMPP.4232f4d4");
    let bound = stays(success.bound.unwrap());
    assert!(bound.others[0].is("metadata", ns::MAM));
    let bound = read::<Bound>(
        "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='x' resume='1'/><failed xmlns='urn:xmpp:sm:3'/></bound>",
    );
    let bound = stays(bound.unwrap());
    assert!(bound.sm_enabled.unwrap().resume);
    assert_eq!(bound.sm_failed, Some(sm::Failed::default()));
    assert_eq!(stays(read::<BindRequest>("<bind xmlns='urn:xmpp:bind:0'/>").unwrap()), BindRequest::default());
}

#[test]
fn stream_management_elements() {
    let enabled = stays(sm::Enabled::read(&example("xep-0198/11-server-prefers-reconnection-at-a-particular-location.xml")).unwrap());
    assert_eq!((enabled.id.as_deref(), enabled.resume, enabled.max), (Some("some-long-sm-id"), true, None));
    assert_eq!(enabled.location.as_deref(), Some("[2001:41D0:1:A49b::1]:9222"));
    assert_eq!(stays(sm::Enabled::read(&example("xep-0198/03-server-enables-stream-management.xml")).unwrap()), sm::Enabled::default());
    assert!(stays(sm::Enable::read(&example("xep-0198/08-client-enables-stream-management.xml")).unwrap()).resume);
    assert_eq!(stays(sm::Ack::read(&example("xep-0198/07-5-simple-stanza-acking.xml")).unwrap()), sm::Ack { h: 1 });
    stays(sm::Ack { h: u32::MAX });
    stays(sm::Request);
    stays(sm::Resume { h: 5, previd: "a'b".to_owned() });
    // ejabberd sends `failed` without `h`, Prosody with it.
    let failed = stays(sm::Failed::read(&example("xep-0198/16-server-returns-error.xml")).unwrap());
    assert_eq!((failed.h, failed.condition), (None, Some(DefinedCondition::UnexpectedRequest)));
    let failed = stays(
        read::<sm::Failed>("<failed xmlns='urn:xmpp:sm:3' h='7'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
            .unwrap(),
    );
    assert_eq!((failed.h, failed.condition), (Some(7), Some(DefinedCondition::ItemNotFound)));
    // The placeholder of the listing is no number: it counts as absent.
    assert_eq!(sm::Failed::read(&example("xep-0198/14-stream-timed-out.xml")).unwrap().h, None);
    for xml in ["<a xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='-1'/>", "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>"] {
        assert!(read::<sm::Ack>(xml).is_err(), "{xml}");
    }
    for xml in ["<resume xmlns='urn:xmpp:sm:3' h='1'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x'/>"] {
        assert!(read::<sm::Resume>(xml).is_err(), "{xml}");
    }
    let error = StreamError::read(&example("xep-0198/17-entity-closes-stream-because-peer-acknowledges-more-stanzas.xml")).unwrap();
    let too_high = sm::HandledCountTooHigh::read(&error.application.unwrap()).unwrap();
    assert_eq!(stays(too_high), sm::HandledCountTooHigh { h: 10, send_count: 8 });
}

/// Proves: C6120-4.9-1.
#[test]
fn stream_errors_have_a_condition_whatever_is_in_them() {
    let error = |inside: &str| {
        stays(read::<StreamError>(&format!("<e:error xmlns:e='{}' xmlns='{}'>{inside}</e:error>", ns::STREAM, ns::STREAM_ERRORS)).unwrap())
    };
    for condition in StreamErrorCondition::ALL {
        assert_eq!(error(&format!("<{}/>", condition.as_str())).condition, *condition);
    }
    assert_eq!(error("").condition, StreamErrorCondition::UndefinedCondition);
    assert_eq!(error("<xml-not-well-formed/>").condition, StreamErrorCondition::NotWellFormed);
    assert_eq!(error("<made-up/><text>so</text><text>not</text>").text.as_deref(), Some("so"));
    let moved = error("<see-other-host>[2001:41D0:1:A49b::1]:9222</see-other-host>");
    assert_eq!((moved.condition, moved.other_host.as_deref()), (StreamErrorCondition::SeeOtherHost, Some("[2001:41D0:1:A49b::1]:9222")));
    let mut out = Vec::new();
    write_element(&StreamError::new(StreamErrorCondition::Reset).with_text("bye").write(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>bye</text></stream:error>"
    );
}
