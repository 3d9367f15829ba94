//! What further clients and bridges send, beside [`super::others`]: by archive, carbon and room, corrected, answered, bounced,
//! in envelopes that nobody here opens.

use serde_json::{Value, json};

use super::said::{SHA256, SHA256_HEX, chat, ignored, says, seen, seen_by};

const URL: &str = "https://upload.montague.lit/4a77/a.jpg";
const IV_AND_KEY: &str = "8c3d050e9386ec173861778f68e9af38a97aaf82faa4063b4d0878a61261534410c8a84331eaac851759f587";
const GCM: &str = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0";

fn oob(url: &str) -> String {
    format!("<x xmlns='jabber:x:oob'><url>{url}</url></x>")
}

/// A body that is the link, and the link once more out of band: what most clients send.
fn linked() -> String {
    format!("<body>{URL}</body>{}", oob(URL))
}

fn url_data(url: &str) -> String {
    format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/>")
}

fn file(fields: &str) -> String {
    format!("<file xmlns='urn:xmpp:file:metadata:0'>{fields}</file>")
}

fn hash() -> String {
    format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash>")
}

fn sfs(attributes: &str, file: &str, sources: &str) -> String {
    format!("<file-sharing xmlns='urn:xmpp:sfs:0' {attributes}>{file}<sources>{sources}</sources></file-sharing>")
}

fn sims(attributes: &str, fields: &str, uri: &str) -> String {
    format!(
        "<reference xmlns='urn:xmpp:reference:0' type='data' {attributes}><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>{fields}</file><sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{uri}'/>\
         </sources></media-sharing></reference>"
    )
}

fn fallback(namespace: &str, parts: &str) -> String {
    format!("<fallback xmlns='urn:xmpp:fallback:0' for='{namespace}'>{parts}</fallback>")
}

fn encrypted(url: &str) -> String {
    format!(
        "<encrypted xmlns='urn:xmpp:esfs:0' cipher='{GCM}'><key>{SHA256}</key><iv>T8RDMBaiqn6Ci4Nw</iv>\
         <sources xmlns='urn:xmpp:sfs:0'>{}</sources></encrypted>",
        url_data(url)
    )
}

/// One unproven file by link alone, and nothing left to read.
fn one_link() -> Value {
    json!({"shares": [], "body": URL, "oob": [URL], "shown_body": null, "attach": null, "fallback": [],
           "offers": [{"share": [], "file": "a.jpg", "via": ["oob"], "proof": "none", "plan": [{"attempt": URL}]}]})
}

#[test]
fn siskin_beagle_snikket_converse_profanity_and_go_sendxmpp_send_a_link_twice() {
    for beside in [
        "<request xmlns='urn:xmpp:receipts'/>",
        "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/><markable xmlns='urn:xmpp:chat-markers:0'/>",
        "<active xmlns='http://jabber.org/protocol/chatstates'/>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2' name='OMEMO'/>",
        "<thread>t1</thread><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick>",
    ] {
        says(&chat(&format!("{}{beside}", linked())), &one_link());
    }
    says(
        &chat(&format!("<body>\n {URL} \n</body>{}", oob(&format!("\n{URL}\n")))),
        &json!({"oob": [URL], "shown_body": null, "offers": [{"file": "a.jpg"}]}),
    );
}

#[test]
fn gajim_describes_the_link_and_corrects_it_and_answers_with_it() {
    let described = chat(&format!("<body>{URL}</body><x xmlns='jabber:x:oob'><url>{URL}</url><desc>Holiday</desc></x>"));
    says(&described, &one_link());
    says(&chat(&format!("{}<replace xmlns='urn:xmpp:message-correct:0' id='m0'/>", linked())), &one_link());
    let body = format!("> hi\n{URL}");
    let answer = chat(&format!(
        "<body>&gt; hi\n{URL}</body>{}<reply xmlns='urn:xmpp:reply:0' id='r1' to='juliet@capulet.lit'/>{}",
        oob(URL),
        fallback("urn:xmpp:reply:0", "<body start='0' end='5'/>")
    ));
    says(
        &answer,
        &json!({"offers": [{"file": "a.jpg"}], "shown_body": body, "fallback": [{"for": "urn:xmpp:reply:0", "regions": [{"of": "body", "start": 0, "end": 5}]}]}),
    );
}

#[test]
fn a_link_of_converse_in_a_room_of_conversations_by_carbon_and_of_monal_by_archive_is_the_same_link() {
    let in_room = seen(&format!(
        "<message xmlns='jabber:client' from='coven@chat.lit/witch' to='juliet@capulet.lit/b' id='m1' type='groupchat'>{}\
         <stanza-id xmlns='urn:xmpp:sid:0' by='coven@chat.lit' id='s1'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='oc'/></message>",
        linked()
    ));
    says(&in_room, &one_link());
    let forwarded = |from: &str, to: &str| {
        format!(
            "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2025-01-02T03:04:05Z'/>\
             <message xmlns='jabber:client' from='{from}' to='{to}' id='m1' type='chat'>{}</message></forwarded>",
            linked()
        )
    };
    let wrapped =
        |inside: &str| format!("<message xmlns='jabber:client' from='juliet@capulet.lit' to='juliet@capulet.lit/b'>{inside}</message>");
    let (romeo, juliet) = ("romeo@montague.lit/phone", "juliet@capulet.lit");
    let ways = [
        ("carbon-sent", format!("<sent xmlns='urn:xmpp:carbons:2'>{}</sent>", forwarded("juliet@capulet.lit/phone", "romeo@montague.lit"))),
        ("carbon-received", format!("<received xmlns='urn:xmpp:carbons:2'>{}</received>", forwarded(romeo, juliet))),
        ("archive", format!("<result xmlns='urn:xmpp:mam:2' queryid='q1' id='5'>{}</result>", forwarded(romeo, juliet))),
    ];
    for (wrapper, inside) in ways {
        let found = seen_by(Some(juliet), Some("q1"), &wrapped(&inside));
        says(&found, &one_link());
        says(&found, &json!({"wrapper": wrapper, "ignored": []}));
        says(&seen(&wrapped(&inside)), &json!({"wrapper": wrapper, "body": URL}));
    }
    let inner = format!("<received xmlns='urn:xmpp:carbons:2'>{}</received>", forwarded("x@evil.example/a", juliet));
    let nested = wrapped(&format!(
        "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{romeo}' to='{juliet}' type='chat'>{inner}</message></forwarded></received>"
    ));
    let found = seen_by(Some(juliet), None, &nested);
    says(&found, &json!({"wrapper": "carbon-received", "offers": [], "body": null}));
    assert_eq!(ignored(&found), ["received"]);
}

#[test]
fn what_prosody_bounces_of_a_link_or_a_share_offers_nothing_and_hints_nothing() {
    let share = sfs("", &file("<name>a.jpg</name>"), &url_data(URL));
    let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let bounce = seen(&format!(
        "<message xmlns='jabber:client' from='romeo@montague.lit' to='juliet@capulet.lit/b' type='error' id='m1'>{}{share}<store xmlns='urn:xmpp:hints'/>{error}</message>",
        linked()
    ));
    says(&bounce, &json!({"shares": [], "offers": [], "hints": [], "oob": [], "body": URL, "shown_body": null}));
    assert_eq!(ignored(&bounce), ["message"]);
}

#[test]
fn markers_reactions_and_retractions_of_gajim_dino_and_movim_are_no_files() {
    for payload in [
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>",
        "<received xmlns='urn:xmpp:receipts' id='m1'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='x'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></propose>",
    ] {
        says(&chat(payload), &json!({"shares": [], "offers": [], "body": null, "shown_body": null, "attach": null, "ignored": []}));
    }
    let retraction = chat(&format!(
        "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/><body>took it back</body>{}",
        fallback("urn:xmpp:message-retract:1", "")
    ));
    says(
        &retraction,
        &json!({"offers": [], "shown_body": "took it back", "fallback": [{"for": "urn:xmpp:message-retract:1", "regions": []}]}),
    );
}

#[test]
fn envelopes_of_conversations_dino_kaidan_and_gajim_keep_their_words() {
    for (body, envelope) in [
        (
            "I sent you an OMEMO encrypted message but your client doesn’t seem to support that.",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AA==</key><iv>AA==</iv></header><payload>AA==</payload></encrypted>\
             <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>",
        ),
        (
            "This message is encrypted",
            "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>AA==</payload></encrypted>\
             <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:omemo:2'><body/></fallback>",
        ),
        ("[PGP]", "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>"),
        ("[legacy PGP]", "<x xmlns='jabber:x:encrypted'>AA==</x>"),
    ] {
        let found = chat(&format!("<body>{body}</body>{envelope}<store xmlns='urn:xmpp:hints'/>"));
        says(&found, &json!({"shares": [], "offers": [], "shown_body": body, "hints": ["store"]}));
    }
    let opened = seen(&format!(
        "<envelope xmlns='urn:xmpp:sce:1'><content>{}</content><rpad>x</rpad></envelope>",
        sfs("", &file("<name>a</name>"), &url_data(URL))
    ));
    says(&opened, &json!({"shares": [{"via": "sfs", "file": {"name": "a"}}], "offers": []}));
}

/// Decision 16.
/// Proves: AES-5-1, AES-7-1, AES-D-1, AES-4-1.
#[test]
fn aesgcm_links_are_read_strictly_whatever_profanity_chatsecure_or_monal_put_around_them() {
    let place = URL.strip_prefix("https:").unwrap();
    let link = format!("aesgcm:{place}#{IV_AND_KEY}");
    let share = json!({"via": "aesgcm", "pending": false, "sources": [{"type": "encrypted", "cipher": GCM, "iv": "jD0FDpOG7Bc4YXeP",
                       "key": "aOmvOKl6r4L6pAY7TQh4phJhU0QQyKhDMeqshRdZ9Yc=", "hashes": [], "sources": [{"type": "url", "url": URL, "http": []}]}]});
    let old = format!("https:{place}#{IV_AND_KEY}"); // Conversations 1.x, ChatSecure 4: the same under the name of https
    let picture = "data:image/jpeg;base64,/9j/4AAQ";
    for payloads in [
        format!("<body>{link}</body>"),
        format!("<body>{link}\n</body>{}", oob(&link)),
        format!("<body>{}</body>", link.replacen("aesgcm", "AESGCM", 1)),
        format!("<body>{link}\n{picture}</body>"),
        format!("<body>{link}&#13;\n{picture}</body>"),
        format!("<body>{link}</body>{}", oob(URL)), // the place of the ciphertext, told once more without the key
        format!("<body>{old}</body>{}", oob(&old)),
        oob(&link),
    ] {
        let found = chat(&payloads);
        says(
            &found,
            &json!({"shares": [share], "shown_body": null, "offers": [{"share": [0], "file": "a.jpg", "via": ["aesgcm"], "proof": "none"}]}),
        );
        let planned = found["offers"][0].to_string() + &found["ignored"].to_string();
        assert!(!planned.contains(&IV_AND_KEY[24..]), "{planned}");
    }
    for text in [
        format!("see {link}"),
        format!("{link}\nsee above"),
        format!("{link}\n\n{picture}"),
        format!("{link}\n{picture}\n{picture}"),
        format!("{link}\ndata:no comma"),
        format!("{link}\n{link}"),
        format!("aesgcm:{place}#{}", &IV_AND_KEY[24..]),
        format!("aesgcm:/4a77/a.jpg#{IV_AND_KEY}"),
        format!("aesgcm:{place}?{IV_AND_KEY}"),
    ] {
        says(&chat(&format!("<body>{text}</body>")), &json!({"shares": [], "offers": [], "shown_body": text}));
    }
}

/// Decision 12.
/// Proves: ESFS-3.1-D1.
#[test]
fn a_plain_copy_of_xepher_qxmpp_or_movim_never_leads_to_ciphertext() {
    let fields = format!("<name>a.jpg</name><size>7</size>{}", hash());
    let cipher = "https://upload.montague.lit/4a77/cipher";
    let attempt = json!([{"attempt": format!("{cipher}, encrypted with AES-256-GCM")}]);
    let share = sfs("", &file(&fields), &encrypted(cipher));
    for twin in [
        sims("", &fields, cipher),
        sims("", "<name>cipher.bin</name>", "https://UPLOAD.montague.lit/4a77/cipher"),
        sims("", "<size>23</size>", cipher) + &oob(cipher),
    ] {
        for payloads in [format!("{share}{twin}"), format!("{twin}{share}")] {
            let found = chat(&payloads);
            says(
                &found,
                &json!({"offers": [{"file": "a.jpg", "via": ["sfs", "sims"], "proof": "digest", "plan": attempt, "left_out": []}]}),
            );
        }
    }
    let both = chat(&sfs("", &file(&fields), &(url_data(cipher) + &encrypted(cipher))));
    says(&both, &json!({"offers": [{"plan": attempt}]}));
    assert_eq!(ignored(&both), ["sfs source"]);
    let keyed = chat(&format!("<body>aesgcm:{}#{IV_AND_KEY}</body>{}", cipher.strip_prefix("https:").unwrap(), sims("", &fields, cipher)));
    says(&keyed, &json!({"shown_body": null, "offers": [{"via": ["sims", "aesgcm"], "file": "a.jpg", "plan": attempt}]}));
    let inside = format!("aesgcm:{}#{IV_AND_KEY}", URL.strip_prefix("https:").unwrap());
    for odd in [sims("", &fields, &inside), sfs("", &file(&fields), &url_data(&inside))] {
        let found = chat(&odd);
        says(&found, &json!({"offers": [{"plan": [{"attempt": format!("{URL}, encrypted with AES-256-GCM")}]}]}));
    }
}

#[test]
fn cheogram_marks_the_link_for_sims_and_for_links_and_has_blurhashes() {
    let end = 6 + URL.len();
    let thumbnail = "<thumbnail xmlns='urn:xmpp:thumbs:1' uri='data:image/blurhash,LEHV6nWB2yk8pyo0adR%2A.7kCMdnj' media-type='image/blurhash' width='64' height='48'/>";
    let fields = format!(
        "<name>a.jpg</name><size>7</size><width xmlns='https://schema.org/'>64</width><duration xmlns='https://schema.org/'>PT3S</duration>{}{thumbnail}",
        hash()
    );
    let found = chat(&format!(
        "<body>words\n{URL}</body>{}{}{}{}",
        oob(URL),
        sims("", &fields, URL),
        fallback("urn:xmpp:sims:1", &format!("<body start='5' end='{end}'/>")),
        fallback("jabber:x:oob", &format!("<body start='5' end='{end}'/>"))
    ));
    says(
        &found,
        &json!({"shown_body": "words", "offers": [{"share": [0], "via": ["sims"], "proof": "digest"}],
                "shares": [{"via": "sims", "file": {"width": 64, "length_ms": 3000, "thumbnails": [{"uri": "data:image/blurhash,LEHV6nWB2yk8pyo0adR%2A.7kCMdnj", "media_type": "image/blurhash"}]}}]}),
    );
    assert_eq!(ignored(&found), [format!("oob {URL}")]);
    let cid = "cid:sha1+0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33@bob.xmpp.org";
    let asked = chat(&format!("<body>{cid}</body>{}", oob(cid)));
    says(
        &asked,
        &json!({"shares": [], "shown_body": null, "offers": [{"plan": [{"attempt": "romeo@montague.lit/orchard, asked for the bytes"}]}]}),
    );
    let data = format!("<data xmlns='urn:xmpp:bob' cid='{}' type='image/png'>Zm9v</data>", &cid[4..]);
    let here = chat(&format!("<body>{cid}</body>{}{data}", oob(cid)));
    says(&here, &json!({"shares": [], "offers": [{"plan": [{"attempt": "the bytes in the message itself", "exposure": "nothing"}]}]}));
    let place = chat("<body>geo:52.5,13.4</body><x xmlns='jabber:x:oob'><url>geo:52.5,13.4</url></x>");
    says(&place, &json!({"oob": ["geo:52.5,13.4"], "offers": [], "shown_body": "geo:52.5,13.4"}));
}

#[test]
fn psi_sends_voice_with_amplitudes_and_ends_before_the_last_character() {
    let fields = format!(
        "<media-type>audio/mp4</media-type><name>v.m4a</name><size>7</size>{}<amplitudes xmlns='urn:audio:amplitudes'>AAEC</amplitudes>",
        hash()
    );
    for end in [URL.len(), URL.len() - 1] {
        let found = chat(&format!("<body>{URL}</body>{}", sims(&format!("uri='{URL}' begin='0' end='{end}'"), &fields, URL)));
        says(
            &found,
            &json!({"shown_body": null, "shares": [{"begin": "0", "end": end.to_string()}], "offers": [{"file": "v.m4a", "proof": "digest"}]}),
        );
        assert_eq!(ignored(&found), ["{urn:audio:amplitudes}amplitudes"]);
    }
}

#[test]
fn one_link_may_be_spelt_in_several_ways_by_movim_psi_and_servers() {
    for (body, link) in [
        ("https://a.lit/tr%c3%a8s.jpg", "https://a.lit/tr%C3%A8s.jpg"),
        ("https://a.lit/très cool.jpg", "https://a.lit/tr%C3%A8s%20cool.jpg"),
        ("https://A.LIT/x.jpg", "https://a.lit:443/x.jpg"),
        ("https://a.lit", "https://a.lit/"),
    ] {
        says(&chat(&format!("<body>{body}</body>{}", oob(link))), &json!({"shown_body": null, "offers": [{"share": []}]}));
        let share = sfs("", &file("<name>a.jpg</name>"), &url_data(link));
        says(&chat(&format!("<body>{body}</body>{}{share}", oob(body))), &json!({"shown_body": null, "offers": [{"share": [0]}]}));
    }
    for (body, link) in
        [("https://a.lit/x?a=%41", "https://a.lit/x?a=A"), ("https://a.lit/X", "https://a.lit/x"), ("http://a.lit/x", "https://a.lit/x")]
    {
        says(&chat(&format!("<body>{body}</body>{}", oob(link))), &json!({"shown_body": body}));
    }
}

#[test]
fn psi_and_movim_may_share_the_same_bytes_twice() {
    let fields = |name: &str| format!("<name>{name}</name><size>7</size>{}", hash());
    let again = chat(&(sims("", &fields("a.jpg"), URL) + &sims("", &fields("a.jpg"), "https://elsewhere.example/a.jpg")));
    says(&again, &json!({"shares": [{"via": "sims"}, {"via": "sims"}], "offers": [{"share": [0, 1], "file": "a.jpg", "via": ["sims"]}]}));
    let places = |key: &str| again["offers"][0][key].as_array().unwrap().len();
    assert_eq!(places("plan") + places("left_out"), 2);
    let named = chat(&(sims("", &fields("a.jpg"), URL) + &sims("", &fields("b.jpg"), URL)));
    says(&named, &json!({"offers": [{"share": [0], "file": "a.jpg"}, {"share": [1], "file": "b.jpg"}]}));
}

#[test]
fn axichat_leaves_the_reference_out_and_others_take_the_file_element_of_the_neighbour() {
    let media = sims("", "<name>a.jpg</name>", URL);
    let bare = media.split_once('>').unwrap().1.strip_suffix("</reference>").unwrap();
    says(
        &chat(bare),
        &json!({"shares": [{"via": "sims", "begin": null, "end": null, "file": {"name": "a.jpg"}}], "offers": [{"share": [0]}]}),
    );
    let metadata_in_sims =
        media.replace("urn:xmpp:jingle:apps:file-transfer:5'><name>", "urn:xmpp:file:metadata:0'><width>64</width><name>");
    says(&chat(&metadata_in_sims), &json!({"shares": [{"via": "sims", "file": {"name": "a.jpg", "width": 64}}], "metadata": null}));
    let jingle_in_sfs = sfs("", "<file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name></file>", &url_data(URL));
    says(&chat(&jingle_in_sfs), &json!({"shares": [{"via": "sfs", "file": {"name": "a.jpg"}}], "offers": [{"file": "a.jpg"}]}));
}

#[test]
fn a_link_beside_a_share_that_waits_is_its_stand_in_only_if_it_says_so() {
    let pending = format!("<file-sharing xmlns='urn:xmpp:sfs:0' id='1'>{}</file-sharing>", file(&format!("<name>a.jpg</name>{}", hash())));
    let marked = chat(&format!("{}{pending}{}", linked(), fallback("urn:xmpp:sfs:0", "<body/>")));
    let waits = json!({"share": [0], "file": "a.jpg", "decision": "wait"});
    says(&marked, &json!({"shares": [{"via": "sfs", "pending": true}], "offers": [waits], "shown_body": null}));
    assert_eq!(ignored(&marked), [format!("oob {URL}")]);
    // where nobody says so the link can be had at least, though the share has no source by that (XEP-0447 §3.1)
    for (body, shown) in [(URL, None), ("words", Some("words"))] {
        let other = chat(&format!("<body>{body}</body>{}{pending}", oob(URL)));
        says(
            &other,
            &json!({"shares": [{"via": "sfs"}, {"via": "oob"}], "offers": [waits, {"share": [1], "plan": [{"attempt": URL}]}], "shown_body": shown}),
        );
    }
}

#[test]
fn stickers_of_kaidan_and_moxxy_are_pictures_in_place() {
    let fields = format!("<desc>😘</desc><media-type>image/png</media-type><size>7</size><width>512</width><height>512</height>{}", hash());
    let found = chat(&format!(
        "<body>😘</body><sticker xmlns='urn:xmpp:stickers:0' pack='EpRv28DHHzFrE4zd+xaNpVb4'/>{}{}",
        sfs("disposition='inline'", &file(&fields), &url_data(URL)),
        fallback("urn:xmpp:sfs:0", "<body/>")
    ));
    says(
        &found,
        &json!({"shares": [{"via": "sfs", "disposition": "inline", "file": {"name": null, "desc": [{"lang": null, "text": "😘"}], "width": 512}}],
                "offers": [{"share": [0], "file": "a.jpg", "proof": "digest"}], "shown_body": null}),
    );
    let moxxy = chat(&sfs(
        "",
        &file(
            "<name>a.jpg</name><file-thumbnail xmlns='proto:urn:xmpp:file-thumbnails:0' type='blurhash'><blurhash>L6Pj0</blurhash></file-thumbnail>",
        ),
        &url_data(URL),
    ));
    says(&moxxy, &json!({"shares": [{"file": {"name": "a.jpg", "thumbnails": []}}]}));
    assert_eq!(ignored(&moxxy), ["{proto:urn:xmpp:file-thumbnails:0}file-thumbnail"]);
}

#[test]
fn dino_attaches_in_rooms_and_encrypted_and_with_words_beside() {
    let list = |inside: &str| {
        format!("<attach-to xmlns='urn:xmpp:message-attaching:1' id='s1'/><sources xmlns='urn:xmpp:sfs:0' id='f1'>{inside}</sources>")
    };
    let in_room = seen(&format!(
        "<message xmlns='jabber:client' from='coven@chat.lit/witch' to='juliet@capulet.lit/b' id='m2' type='groupchat'>{}{}{}</message>",
        linked(),
        list(&url_data(URL)),
        fallback("urn:xmpp:sfs:0", "")
    ));
    says(
        &in_room,
        &json!({"attach": {"to": "s1", "share_id": "f1", "sources": [{"type": "url", "url": URL}]}, "offers": [], "shares": [], "shown_body": null}),
    );
    let secret = chat(&list(&encrypted(URL)));
    says(
        &secret,
        &json!({"attach": {"to": "s1", "sources": [{"type": "encrypted", "cipher": GCM, "sources": [{"type": "url", "url": URL}]}]}, "offers": []}),
    );
    let words = chat(&format!("<body>here it is</body>{}", list(&url_data(URL))));
    says(&words, &json!({"attach": {"share_id": "f1"}, "shown_body": "here it is", "offers": []}));
    let old = chat(&list(&url_data(URL)).replace("message-attaching:1", "message-attaching:0"));
    says(&old, &json!({"attach": null, "offers": []}));
}

#[test]
fn kontalk_matterbridge_and_biboumi_write_links_their_own_way() {
    let kontalk = chat(&format!("<x xmlns='jabber:x:oob'><url type='image/jpeg' length='7' encrypted='no'>{URL}</url></x>"));
    says(&kontalk, &json!({"oob": [URL], "body": null, "shown_body": null, "offers": [{"file": "a.jpg"}]}));
    let bridge = chat(&format!("<body>Romeo: {URL}</body><x xmlns='jabber:x:oob'><url>{URL}</url><desc>Romeo</desc></x>"));
    says(&bridge, &json!({"shown_body": format!("Romeo: {URL}"), "offers": [{"file": "a.jpg"}]}));
    let several = chat(&format!("<body>{URL}\n{URL}2</body>{}{}", oob(URL), oob(&format!("{URL}2"))));
    says(&several, &json!({"oob": [URL, format!("{URL}2")], "offers": [{"file": "a.jpg"}, {"file": "a.jpg2"}]}));
    let alone = chat(&format!("<body>{URL}</body>"));
    says(&alone, &json!({"shares": [], "offers": [{"file": "a.jpg"}], "oob": [], "shown_body": URL}));
}

/// Decisions 32 and 42.
/// Proves: SIMS-5.6-2.
#[test]
fn pictures_in_formatted_text_of_pidgin_movim_and_gajim_are_files_of_the_message_or_bits_or_nothing() {
    let name = "ni:///sha-256;47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let html = format!(
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p><img src='{name}' alt='summit'/><a href='{name}'>photo</a>\
         <img src='ni://evil.example/sha-256;AAAAQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU' alt='other'/><img src='ni:///sha-256-32;47DEQg'/>\
         <img src='cid:sha1+0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33@bob.xmpp.org'/><img src='data:image/png;base64,Zm9v'/><img src='data:text/html,x'/>\
         <img src='https://a.lit/t.png'/><img src='http://a.lit/t.png'/><img src='javascript:alert(1)'/><img/><a href='{URL}'>no picture</a></p></body></html>"
    );
    let found = chat(&format!("<body>see</body>{html}{}", sims("", &format!("<name>a.jpg</name>{}", hash()), URL)));
    says(
        &found,
        &json!({"shown_body": "see", "offers": [{"share": [0]}], "pictures": [
            {"at": "offer", "offer": 0, "alt": "summit"}, {"at": "offer", "offer": 0, "alt": "photo"}, {"at": "nowhere", "alt": "other"}, {"at": "nowhere"},
            {"at": "cid:sha1+0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33@bob.xmpp.org"}, {"at": "3 bytes in the text"}, {"at": "nowhere"},
            {"at": "https://a.lit/t.png"}, {"at": "nowhere"}, {"at": "nowhere"}, {"at": "nowhere"}
        ]}),
    );
}

/// Proves: MED-2-4, MED-3-1.
#[test]
fn media_of_a_form_are_told_and_offer_nothing() {
    let cid = "sha1+f24030b8d91d233bac14777be5ab531ca3b9f102@bob.xmpp.org";
    let media = format!(
        "<media xmlns='urn:xmpp:media-element' height='80' width='290'><uri type='image/jpeg'>https://victim.lit/ocr.jpeg</uri><uri type='image/jpeg'>\n cid:{cid}\n</uri></media>"
    );
    let form = format!("<x xmlns='jabber:x:data' type='form'><field var='ocr'>{media}</field></x>");
    for form in [form.clone(), format!("<captcha xmlns='urn:xmpp:captcha'>{form}</captcha>")] {
        let found = chat(&format!("{form}<data xmlns='urn:xmpp:bob' cid='{cid}' type='image/jpeg'>Zm9v</data>"));
        let uris = json!([{"uri": "https://victim.lit/ocr.jpeg", "media_type": "image/jpeg"}, {"uri": format!("cid:{cid}"), "media_type": "image/jpeg"}]);
        says(&found, &json!({"shares": [], "offers": [], "media": [{"width": 290, "height": 80, "uris": uris}]}));
    }
}

#[test]
fn monocles_shares_by_every_dialect_at_once_and_it_is_one_file() {
    let fields = format!("<name>a.jpg</name><size>7</size><media-type>image/jpeg</media-type>{}", hash());
    let found = chat(&format!(
        "{}{}{}{}{}",
        linked(),
        sims(&format!("begin='0' end='{}'", URL.len()), &fields, URL),
        sfs("disposition='inline' id='f1'", &file(&fields), &url_data(URL)),
        file(&fields),
        fallback("urn:xmpp:sfs:0", "<body/>")
    ));
    says(
        &found,
        &json!({"shares": [{"via": "sims"}, {"via": "sfs", "id": "f1"}], "metadata": {"name": "a.jpg"}, "shown_body": null,
                "offers": [{"share": [1, 0], "via": ["sfs", "sims"], "proof": "digest", "plan": [{"attempt": URL}]}]}),
    );
    assert_eq!(found["shares"][0]["file"]["hashes"][0]["digest_hex"], SHA256_HEX);
}
