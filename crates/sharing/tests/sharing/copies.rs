//! Messages inside messages, seen with and without the eyes of an account.

use serde_json::json;

use super::said::{SHA256, chat, ignored, says, seen, seen_by};

const ME: Option<&str> = Some("juliet@capulet.lit");
const URL: &str = "https://upload.montague.lit/1/a.jpg";

fn share() -> String {
    format!(
        "<body>{URL}</body><x xmlns='jabber:x:oob'><url>{URL}</url></x><store xmlns='urn:xmpp:hints'/><file-sharing xmlns='urn:xmpp:sfs:0'>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><size>7</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash>\
         </file><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></file-sharing>"
    )
}

fn forwarded(inner: &str) -> String {
    format!(
        "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>\
         <message xmlns='jabber:client' {inner}>{}</message></forwarded>",
        share()
    )
}

fn archived(outer: &str, inner: &str) -> String {
    format!(
        "<message xmlns='jabber:client' {outer} to='juliet@capulet.lit/balcony'><result xmlns='urn:xmpp:mam:2' queryid='q1' id='5-6'>{}</result></message>",
        forwarded(inner)
    )
}

fn carbon(kind: &str, outer: &str, inner: &str) -> String {
    format!(
        "<message xmlns='jabber:client' {outer} to='juliet@capulet.lit/balcony' type='chat'><{kind} xmlns='urn:xmpp:carbons:2'>{}</{kind}></message>",
        forwarded(inner)
    )
}

const ROMEO: &str = "from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat' id='m1'";
const IN_ROOM: &str = "from='coven@chat.lit/witch' type='groupchat' id='m1'";

fn whole(wrapper: &str, provenance: &str) -> serde_json::Value {
    json!({
        "wrapper": wrapper, "body": URL, "oob": [URL], "hints": ["store"], "shown_body": null, "attach": null,
        "shares": [{"via": "sfs", "file": {"name": "a.jpg", "size": 7}, "sources": [{"type": "url", "url": URL, "http": []}]}],
        "offers": [{"share": [0], "file": "a.jpg", "proof": "digest", "provenance": provenance}]
    })
}

const NOTHING: &str = r#"{"wrapper": null, "shares": [], "offers": [], "body": null, "oob": [], "hints": [], "shown_body": null}"#;

/// Proves: C0313-8-1.
#[test]
fn results_of_the_own_archive_are_read_as_what_they_hold() {
    for own in ["", "from='juliet@capulet.lit'"] {
        for query in [Some("q1"), None] {
            let found = seen_by(ME, query, &archived(own, ROMEO));
            says(&found, &whole("archive", "sent by romeo@montague.lit/orchard, kept in our archive"));
            assert_eq!(ignored(&found), ["oob https://upload.montague.lit/1/a.jpg"]);
        }
    }
    let sent = archived("", "from='juliet@capulet.lit/phone' to='romeo@montague.lit' type='chat'");
    says(&seen_by(ME, Some("q1"), &sent), &whole("archive", "sent by juliet@capulet.lit/phone, kept in our archive"));
}

#[test]
fn results_of_a_rooms_archive_come_from_the_room() {
    let found = seen_by(ME, Some("q1"), &archived("from='coven@chat.lit'", IN_ROOM));
    says(&found, &whole("archive", "sent by somebody in a room as coven@chat.lit/witch, kept in an archive"));
}

/// Proves: C0313-8-1, C0280-7-1.
#[test]
fn forged_copies_give_no_offers_and_are_named() {
    let nothing = serde_json::from_str(NOTHING).unwrap();
    for (what, query, xml) in [
        ("archive", Some("q1"), archived("from='mallory@evil.example'", ROMEO)),
        ("archive", Some("q1"), archived("from='juliet@capulet.lit/phone'", ROMEO)),
        ("archive", Some("q1"), archived("from='capulet.lit'", ROMEO)),
        ("archive", Some("q1"), archived("from='romeo@montague.lit'", ROMEO)),
        ("archive", Some("q1"), archived("from='coven@chat.lit/witch'", IN_ROOM)),
        ("archive", Some("q1"), archived("from='other@chat.lit'", IN_ROOM)),
        ("archive", Some("q2"), archived("", ROMEO)),
        ("archive", Some("q2"), archived("from='coven@chat.lit'", IN_ROOM)),
        ("carbon", None, carbon("received", "from='mallory@evil.example/x'", ROMEO)),
        ("carbon", None, carbon("sent", "from='juliet@capulet.lit/phone'", ROMEO)),
        ("carbon", None, carbon("received", "from='juliet@capulet.lit'", IN_ROOM)),
    ] {
        let found = seen_by(ME, query, &xml);
        says(&found, &nothing);
        assert_eq!(ignored(&found), [what], "{xml}");
        assert!(!found["ignored"][0]["why"].as_str().unwrap().is_empty());
    }
    let malformed = seen_by(ME, Some("q1"), &archived("from='@'", ROMEO));
    says(&malformed, &nothing);
    assert_eq!(ignored(&malformed), ["from", "archive"]);
}

#[test]
fn a_query_is_looked_at_even_where_the_account_is_not_known() {
    assert_eq!(seen_by(None, Some("q1"), &archived("from='mallory@evil.example'", ROMEO))["wrapper"], "archive");
    assert_eq!(ignored(&seen_by(None, Some("q2"), &archived("", ROMEO))), ["archive"]);
}

#[test]
fn carbons_are_unwrapped_and_judged_only_where_the_account_is_known() {
    let sent = "from='juliet@capulet.lit/phone' to='romeo@montague.lit' type='chat'";
    let own = "from='juliet@capulet.lit'";
    says(
        &seen_by(ME, None, &carbon("received", own, ROMEO)),
        &whole("carbon-received", "sent by romeo@montague.lit/orchard, copied by our account"),
    );
    says(&seen_by(ME, None, &carbon("sent", own, sent)), &whole("carbon-sent", "sent by our other device juliet@capulet.lit/phone"));
    for (wrapper, xml) in [
        ("carbon-received", carbon("received", "from='mallory@evil.example'", ROMEO)),
        ("carbon-sent", carbon("sent", own, sent)),
        ("archive", archived("from='mallory@evil.example'", ROMEO)),
    ] {
        let found = seen(&xml);
        let provenance = found["offers"][0]["provenance"].as_str().unwrap().to_owned();
        assert!(provenance.starts_with("not judged"), "{provenance}");
        says(&found, &whole(wrapper, &provenance));
    }
}

#[test]
fn what_somebody_passes_on_is_not_their_offer() {
    let found = chat(&format!("<body>Look what Romeo wrote</body>{}", forwarded(ROMEO)));
    says(&found, &json!({"shares": [], "offers": [], "wrapper": null, "shown_body": "Look what Romeo wrote"}));
    assert_eq!(ignored(&found), ["forwarded"]);
    let twice = carbon("received", "from='juliet@capulet.lit'", "").replace(&share(), &forwarded(ROMEO));
    says(&seen_by(ME, None, &twice), &json!({"shares": [], "offers": [], "wrapper": "carbon-received"}));
}

/// Decision 50.
/// Proves: HINT-5-2.
#[test]
fn bounced_messages_offer_nothing() {
    let found = seen(&format!(
        "<message from='romeo@montague.lit' to='juliet@capulet.lit' type='error' id='m1'>{}<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        share()
    ));
    says(&found, &json!({"shares": [], "offers": [], "oob": [], "hints": [], "shown_body": null, "attach": null}));
    assert_eq!(ignored(&found), ["message"]);
    says(
        &seen_by(ME, Some("q1"), &archived("", &ROMEO.replace("chat", "error"))),
        &json!({"wrapper": "archive", "shares": [], "offers": []}),
    );
}

#[test]
fn messages_of_rooms_come_from_occupants_and_to_rooms_from_ourselves() {
    let room =
        seen(&format!("<message from='coven@chat.lit/witch' to='juliet@capulet.lit/b' type='groupchat' id='m1'>{}</message>", share()));
    says(&room, &json!({"offers": [{"file": "a.jpg", "provenance": "sent by somebody in a room as coven@chat.lit/witch"}]}));
    let going_out = seen_by(ME, None, &format!("<message to='coven@chat.lit' type='groupchat' id='m1'>{}</message>", share()));
    says(&going_out, &json!({"offers": [{"file": "a.jpg", "provenance": "sent by ourselves (juliet@capulet.lit)"}]}));
}
