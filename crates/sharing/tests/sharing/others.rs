//! Stanzas as other clients write them, and what each says.

use serde_json::{Value, json};

use super::said::{SHA256, SHA256_HEX, chat, ignored, says, seen};

const URL: &str = "https://upload.montague.lit/4a77/a.jpg";

fn usable(algo: &str, canonical: &str) -> Value {
    json!({"algo": algo, "canonical": canonical, "usable": true, "digest_hex": SHA256_HEX, "why": null})
}

fn url() -> Value {
    json!({"type": "url", "url": URL, "http": []})
}

fn unproven(file: &str, shares: &[usize]) -> Value {
    json!([{"share": shares, "file": file, "proof": "none"}])
}

fn oob(url: &str) -> String {
    format!("<x xmlns='jabber:x:oob'><url>{url}</url></x>")
}

#[test]
fn dino_writes_the_media_type_twice_and_a_length_that_means_unknown_and_attaches_the_source_later() {
    let first = chat(&format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' id='f1' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name>\
         <media_type>image/jpeg</media_type><media-type>image/jpeg</media-type><size>7</size><date>2025-01-02T03:04:05Z</date>\
         <length>4294967295</length><width>640</width><height>480</height>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file></file-sharing>"
    ));
    says(
        &first,
        &json!({
            "shares": [{
                "via": "sfs", "id": "f1", "disposition": "inline", "pending": true, "sources": [], "begin": null, "end": null,
                "file": {
                    "name": "a.jpg", "media_type": "image/jpeg", "size": 7, "date": "2025-01-02T03:04:05Z", "length_ms": null,
                    "width": 640, "height": 480, "from_dimension": null, "desc": [], "hash_used": [], "thumbnails": [],
                    "hashes": [usable("sha-256", "sha-256")]
                }
            }],
            "offers": [{"share": [0], "file": "a.jpg", "proof": "digest", "decision": "wait", "plan": [], "left_out": []}],
            "body": null, "shown_body": null
        }),
    );
    let second = chat(&format!(
        "<body>{URL}</body>{}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/><sources xmlns='urn:xmpp:sfs:0' id='f1'>\
         <url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources>",
        oob(URL)
    ));
    let expected = json!({
        "attach": {"to": "m0", "share_id": "f1", "sources": [url()]},
        "shares": [], "offers": [], "body": URL, "oob": [URL], "shown_body": null, "fallback": []
    });
    says(&second, &expected);
}

#[test]
fn dino_offers_by_jingle_without_a_hash_and_names_a_proxy_twice() {
    let offer = seen(
        "<iq type='set' from='romeo@montague.lit/dino' to='juliet@capulet.lit/b' id='j1'><jingle xmlns='urn:xmpp:jingle:1' \
         action='session-initiate' sid='s1' initiator='romeo@montague.lit/dino'><content creator='initiator' name='c1' senders='initiator'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a.jpg</name><size>7</size></file></description>\
         <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='t1'><candidate cid='1' host='proxy.lit' jid='proxy.lit' type='proxy'/>\
         <candidate cid='2' host='proxy.lit' jid='proxy.lit' type='proxy'/></transport></content></jingle></iq>",
    );
    says(
        &offer,
        &json!({
            "shares": [{"via": "jingle", "file": {"name": "a.jpg", "size": 7, "hashes": []},
                        "sources": [{"type": "session", "peer": "romeo@montague.lit/dino", "sid": "s1", "content": "c1"}]}],
            "offers": [{"share": [0], "file": "a.jpg", "proof": "none", "decision": "refuse",
                        "left_out": [{"source": "a session with romeo@montague.lit/dino", "reason": "people's devices can only be asked while your account is connected"}]}],
            "wrapper": null, "ignored": []
        }),
    );
}

#[test]
fn slixmpp_puts_sources_first_and_dates_without_zone_and_counts_ends_inclusive() {
    let body = format!("Look: {URL}");
    let found = chat(&format!(
        "<body>{body}</body><reference xmlns='urn:xmpp:reference:0' type='data' begin='6' end='{}'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{URL}'/></sources>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name><date>2025-01-02T03:04:05.123456</date><size>7</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='BLAKE2b256'>{SHA256}</hash></file></media-sharing></reference>",
        body.len() - 1
    ));
    says(
        &found,
        &json!({
            "shares": [{
                "via": "sims", "begin": "6", "end": (body.len() - 1).to_string(), "sources": [url()], "pending": false,
                "file": {"name": "a.jpg", "date": "2025-01-02T03:04:05.123456", "size": 7, "hashes": [usable("BLAKE2b256", "blake2b-256")]}
            }],
            "offers": [{"share": [0], "proof": "digest"}], "body": body, "shown_body": "Look: "
        }),
    );
}

/// Decision 33.
#[test]
fn psi_names_itself_as_a_source_and_has_an_outer_uri_and_bits_as_thumbnail() {
    let cid = "sha1+4a5eb7171b58e08a6881721e3b43d5a44419a2be@bob.xmpp.org";
    let found = chat(&format!(
        "<body>Look! {URL}</body><reference xmlns='urn:xmpp:reference:0' type='data' begin='6' end='{}' uri='{URL}'>\
         <media-sharing xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name><media-type>image/jpeg</media-type>\
         <date>2025-01-02T03:04:05</date><size>7</size><hash xmlns='urn:xmpp:hashes:2' algo='blake2b-256'>{SHA256}</hash>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:{cid}' media-type='image/png' width='64' height='64'/></file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{URL}'/>\
         <reference xmlns='urn:xmpp:reference:0' type='data' uri='xmpp:romeo@montague.lit/Psi?jingle-ft'/></sources></media-sharing></reference>\
         <data xmlns='urn:xmpp:bob' cid='{cid}' type='image/png' max-age='0'>Zm9v</data>",
        6 + URL.len()
    ));
    says(
        &found,
        &json!({
            "shares": [{
                "via": "sims", "sources": [url(), {"type": "unknown", "uri": "xmpp:romeo@montague.lit/Psi?jingle-ft"}],
                "file": {"date": "2025-01-02T03:04:05", "thumbnails": [{"uri": format!("cid:{cid}"), "media_type": "image/png", "width": 64, "height": 64}]}
            }],
            "offers": [{"share": [0], "plan": [{"attempt": URL, "exposure": "senders-server"}], "left_out": [{"reason": "people's devices can only be asked while your account is connected"}]}],
            "shown_body": "Look! "
        }),
    );
}

#[test]
fn movim_shares_by_version_4_and_mentions_people_too() {
    let found = chat(&format!(
        "<body>juliet: {URL}</body><reference xmlns='urn:xmpp:reference:0' type='mention' begin='0' end='6' uri='xmpp:juliet@capulet.lit'/>\
         <reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:4'><media-type>video/mp4</media-type><name>a.mp4</name><size>7</size>\
         <width xmlns='https://schema.org/'>640</width><height xmlns='https://schema.org/'>480</height><duration xmlns='https://schema.org/'>PT1M2.5S</duration>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' uri='https://upload.montague.lit/t.jpg' media-type='image/jpeg' width='64' height='48'/></file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{URL}'/></sources></media-sharing></reference>"
    ));
    says(
        &found,
        &json!({
            "shares": [{"via": "sims", "begin": null, "end": null, "sources": [url()],
                        "file": {"name": "a.mp4", "media_type": "video/mp4", "width": 640, "height": 480, "length_ms": 62_500, "hashes": []}}],
            "offers": unproven("a.mp4", &[0]), "shown_body": format!("juliet: {URL}")
        }),
    );
}

/// Decision 51.
#[test]
fn old_cheogram_has_version_3_inside_sims() {
    let found = chat(&format!(
        "<body>{URL}</body>{}<reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:3'><name>a.jpg</name><size>7</size><media-type>image/jpeg</media-type>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash><width xmlns='https://schema.org/'>64</width></file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{URL}'/></sources></media-sharing></reference>",
        oob(URL)
    ));
    says(
        &found,
        &json!({"shares": [{"via": "sims", "file": {"name": "a.jpg", "width": 64, "hashes": [usable("sha-256", "sha-256")]}}],
                "offers": [{"share": [0], "file": "a.jpg"}], "shown_body": null}),
    );
    let outside = "<iq type='set' from='a@b/c' to='d@e/f' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='1'><content>\
                   <description xmlns='urn:xmpp:jingle:apps:file-transfer:3'><offer><file><name>a</name></file></offer></description></content></jingle></iq>";
    says(&seen(outside), &json!({"shares": [], "offers": []}));
}

#[test]
fn libervia_has_an_empty_body_and_base64_of_hex_and_hashes_to_come() {
    let hex64 = balcony_wire::base64::encode(SHA256_HEX);
    let share = chat(&format!(
        "<body/><file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><size>7</size></file>\
         <sources><encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'><key>SuRJ2agVm/pQbJQlPq/B23Xt1YOOJCcEGJA5HrcYOGQ=</key>\
         <iv>T8RDMBaiqn6Ci4Nw</iv><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{hex64}</hash>\
         <sources xmlns='urn:xmpp:sfs:0'><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></encrypted></sources></file-sharing>"
    ));
    says(
        &share,
        &json!({
            "body": "", "shown_body": null,
            "shares": [{"via": "sfs", "id": null, "disposition": null, "file": {"hashes": []}, "sources": [{
                "type": "encrypted", "cipher": "urn:xmpp:ciphers:aes-256-gcm-nopadding:0", "key": "SuRJ2agVm/pQbJQlPq/B23Xt1YOOJCcEGJA5HrcYOGQ=",
                "iv": "T8RDMBaiqn6Ci4Nw", "hashes": [usable("sha-256", "sha-256")], "sources": [url()]
            }]}],
            "offers": unproven("a.jpg", &[0])
        }),
    );
    let jingle = |action: &str, inside: &str| {
        seen(&format!(
            "<iq type='set' from='romeo@montague.lit/l' to='juliet@capulet.lit/b' id='j1'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='s1'>{inside}</jingle></iq>"
        ))
    };
    let offer = jingle(
        "session-initiate",
        "<content creator='initiator' name='a' senders='initiator'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file>\
         <name>a.jpg</name><range/><hash-used xmlns='urn:xmpp:hashes:2' algo='sha-256'/><size>7</size></file></description></content>",
    );
    says(&offer, &json!({"shares": [{"via": "jingle", "file": {"name": "a.jpg", "size": 7, "hashes": [], "hash_used": ["sha-256"]}}]}));
    let checksum = jingle(
        "session-info",
        &format!(
            "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='a'><file><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{hex64}</hash></file></checksum>"
        ),
    );
    says(
        &checksum,
        &json!({"shares": [{"via": "jingle", "file": {"name": null, "hashes": [usable("sha-256", "sha-256")]}}], "offers": []}),
    );
}

#[test]
fn gajim_writes_two_zones_and_both_senders() {
    let accept = seen(
        "<iq type='set' from='romeo@montague.lit/gajim' to='juliet@capulet.lit/b' id='j1'><jingle xmlns='urn:xmpp:jingle:1' action='session-accept' \
         sid='s1' responder='romeo@montague.lit/gajim'><content creator='initiator' name='c' senders='both'>\
         <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a.jpg</name><date>2025-01-02T03:04:05+00:00Z</date><size>7</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-1'/></file></description></content></jingle></iq>",
    );
    let file = json!({"name": "a.jpg", "date": "2025-01-02T03:04:05+00:00Z", "hash_used": ["sha-1"]});
    says(&accept, &json!({"shares": [{"via": "jingle", "file": file}], "offers": []}));
}

#[test]
fn conversations_puts_the_link_into_body_and_out_of_band_data_and_offers_in_camel_case() {
    let link = chat(&format!(
        "<body>{URL}</body>{}<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='m1'/>",
        oob(URL)
    ));
    says(&link, &json!({"body": URL, "oob": [URL], "shown_body": null, "offers": unproven("a.jpg", &[]), "attach": null, "ignored": []}));
    assert_eq!(link["offers"][0]["via"], json!(["oob"]));
    let jingle = seen(&format!(
        "<iq type='set' from='romeo@montague.lit/c' to='juliet@capulet.lit/b' id='j1'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1'>\
         <content creator='initiator' name='c' senders='initiator'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><size>7</size>\
         <name>a.jpg</name><mediaType>image/jpeg</mediaType><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file></description></content></jingle></iq>"
    ));
    says(
        &jingle,
        &json!({"shares": [{"via": "jingle", "file": {"media_type": "image/jpeg", "hashes": [usable("sha-256", "sha-256")]}}], "offers": [{"file": "a.jpg", "proof": "digest"}]}),
    );
    let received = seen(
        "<iq type='set' from='romeo@montague.lit/c' to='juliet@capulet.lit/b' id='j2'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s1'>\
                         <received xmlns='urn:xmpp:jingle:apps:file-transfer:5' creator='initiator' name='c'/></jingle></iq>",
    );
    says(&received, &json!({"shares": [], "offers": []}));
}

#[test]
fn conversations_puts_key_and_link_into_one_address_when_encrypted() {
    let (iv, key) = ("8c3d050e9386ec173861778f", "68e9af38a97aaf82faa4063b4d0878a61261534410c8a84331eaac851759f587");
    let source = |iv: &str| {
        json!({"type": "encrypted", "cipher": "urn:xmpp:ciphers:aes-256-gcm-nopadding:0", "key": "aOmvOKl6r4L6pAY7TQh4phJhU0QQyKhDMeqshRdZ9Yc=",
               "iv": iv, "hashes": [], "sources": [url()]})
    };
    let place = URL.strip_prefix("https:").unwrap();
    for (iv, iv64) in [(iv.to_owned(), "jD0FDpOG7Bc4YXeP"), (format!("{iv}00000000").to_uppercase(), "jD0FDpOG7Bc4YXePAAAAAA==")] {
        let secret = format!("aesgcm:{place}#{iv}{key}");
        let expected = json!({"shares": [{"via": "aesgcm", "file": null, "sources": [source(iv64)], "pending": false}], "body": secret,
                              "offers": unproven("a.jpg", &[0]), "shown_body": null});
        says(&chat(&format!("<body>{secret}</body>")), &expected);
        says(&chat(&format!("<body>{secret}</body>{}", oob(&secret))), &expected);
        let pictured = chat(&format!("<body>{secret}\ndata:image/jpeg;base64,Zm9v</body>"));
        says(
            &pictured,
            &json!({"shares": [{"via": "aesgcm", "file": {"thumbnails": [{"uri": "data:image/jpeg;base64,Zm9v", "media_type": "image/jpeg"}]}}], "shown_body": null}),
        );
    }
    for broken in [
        format!("aesgcm:{place}#{key}"),
        format!("aesgcm:{place}"),
        format!("aesgcm:{place}#{}", "g".repeat(88)),
        format!("x aesgcm:{place}#{iv}{key}"),
    ] {
        says(&chat(&format!("<body>{broken}</body>")), &json!({"shares": [], "offers": [], "shown_body": broken}));
    }
}

#[test]
fn qxmpp_gives_two_hashes_and_an_iv_that_is_too_long_and_no_hash_of_the_ciphertext() {
    let iv = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let found = chat(&format!(
        "<body>{URL}</body>{}<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'>\
         <file xmlns='urn:xmpp:file:metadata:0'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>{SHA256}</hash><media-type>image/jpeg</media-type><name>a.jpg</name><size>7</size></file>\
         <sources><encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-cbc-pkcs7:0'><key>{SHA256}</key><iv>{iv}</iv>\
         <sources xmlns='urn:xmpp:sfs:0'><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></encrypted></sources></file-sharing>",
        oob(URL)
    ));
    says(
        &found,
        &json!({
            "shares": [{"via": "sfs", "file": {"hashes": [usable("sha-256", "sha-256"), usable("sha3-256", "sha3-256")]},
                        "sources": [{"type": "encrypted", "cipher": "urn:xmpp:ciphers:aes-256-cbc-pkcs7:0", "iv": iv, "hashes": [], "sources": [url()]}]}],
            "offers": [{"share": [0], "proof": "digest", "plan": [{"attempt": format!("{URL}, encrypted with AES-256-CBC")}], "left_out": []}],
            "shown_body": null, "fallback": [{"for": "urn:xmpp:sfs:0", "regions": [{"of": "body", "start": null, "end": null}]}]
        }),
    );
}

#[test]
fn moxxy_calls_sha3_256_sha3_512_which_is_of_no_use() {
    let found = chat(&format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><hash xmlns='urn:xmpp:hashes:2' algo='sha3-512'>{SHA256}</hash></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></file-sharing>"
    ));
    let hash = json!({"algo": "sha3-512", "canonical": "sha3-512", "usable": false, "digest_hex": null, "why": "32 bytes instead of 64"});
    says(&found, &json!({"shares": [{"file": {"hashes": [hash]}}], "offers": unproven("a.jpg", &[0])}));
    assert_eq!(ignored(&found), ["hash sha3-512"]);
}

#[test]
fn xepher_lets_children_inherit_namespaces_and_points_its_twin_at_the_ciphertext() {
    let cipher = "https://upload.montague.lit/4a77/cipher.bin";
    let found = chat(&format!(
        "<body>{cipher}</body>{}<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><size>7</size>\
         <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file><sources><encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'>\
         <key>{SHA256}</key><iv>T8RDMBaiqn6Ci4Nw</iv><sources><url-data target='{cipher}'/></sources></encrypted></sources></file-sharing>\
         <reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:file-transfer:5'>\
         <name>a.jpg</name><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file><sources><reference type='data' uri='{cipher}'/></sources></media-sharing></reference>",
        oob(cipher)
    ));
    let at = json!({"type": "url", "url": cipher, "http": []});
    says(
        &found,
        &json!({
            "shares": [{"via": "sfs", "sources": [{"type": "encrypted", "sources": [at]}]}, {"via": "sims", "sources": [at]}],
            "offers": [{"share": [0, 1], "file": "a.jpg", "proof": "digest", "left_out": [], "plan": [{"attempt": format!("{cipher}, encrypted with AES-256-GCM")}]}],
            "shown_body": null
        }),
    );
}

#[test]
fn kaidan_sends_bits_without_a_type_and_empty_thumbnails_and_a_message_for_older_clients() {
    let cid = "sha1+0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33@bob.xmpp.org";
    let found = chat(&format!(
        "<file-sharing xmlns='urn:xmpp:sfs:0' id='1' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:{cid}' media-type='image/jpeg' width='32' height='32'/></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources></file-sharing>\
         <file-sharing xmlns='urn:xmpp:sfs:0' id='2' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>b.txt</name>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:sha1+da39a3ee5e6b4b0d3255bfef95601890afd80709@bob.xmpp.org' width='0' height='0'/></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}.txt'/></sources></file-sharing>\
         <data xmlns='urn:xmpp:bob' cid='{cid}'>Zm9v</data><store xmlns='urn:xmpp:hints'/>"
    ));
    says(
        &found,
        &json!({
            "shares": [{"id": "1", "file": {"thumbnails": [{"uri": format!("cid:{cid}")}]}}, {"id": "2", "file": {"name": "b.txt", "thumbnails": []}}],
            "offers": [{"share": [0]}, {"share": [1]}], "hints": ["store"]
        }),
    );
    let older = chat(&format!(
        "<body>{URL}</body>{}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>",
        oob(URL)
    ));
    says(&older, &json!({"shares": [], "offers": [], "shown_body": null, "attach": {"to": "m0", "share_id": null, "sources": []}}));
    let words = chat(&format!("<body>as I said</body>{}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>", oob(URL)));
    says(&words, &json!({"offers": unproven("a.jpg", &[]), "shown_body": "as I said"}));
}

#[test]
fn fluux_describes_the_link_by_bare_metadata() {
    let found = chat(&format!(
        "<body>{URL}</body>{}<file xmlns='urn:xmpp:file:metadata:0'><media-type>image/jpeg</media-type><name>holiday.jpg</name><size>7</size><width>64</width></file>",
        oob(URL)
    ));
    says(
        &found,
        &json!({"shares": [{"via": "bare-file", "file": {"name": "holiday.jpg", "width": 64, "size": 7}, "sources": [url()], "pending": false}],
                "offers": unproven("holiday.jpg", &[0]), "metadata": null, "shown_body": null}),
    );
}

#[test]
fn slidge_says_it_in_every_way_at_once_with_a_thumbhash_and_a_reply() {
    let quote = "> wow\n";
    let body = format!("{quote}{URL}");
    let found = chat(&format!(
        "<body>{body}</body>{}<reply xmlns='urn:xmpp:reply:0' id='r1' to='juliet@capulet.lit'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='6'/></fallback>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body start='6' end='{end}'/></fallback>\
         <reference xmlns='urn:xmpp:reference:0' type='data'><media-sharing xmlns='urn:xmpp:sims:1'><sources><reference xmlns='urn:xmpp:reference:0' uri='{URL}' type='data'/></sources>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name><size>7</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash>\
         <thumbnail xmlns='urn:xmpp:thumbs:1' width='64' height='64' media-type='image/thumbhash' uri='data:image/thumbhash,3OcRJYB4d3h_iIeHeEh3eIhw-j2w'/></file></media-sharing></reference>\
         <file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{URL}'/></sources>\
         <file xmlns='urn:xmpp:file:metadata:0'><name>a.jpg</name><size>7</size><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{SHA256}</hash></file></file-sharing>",
        oob(URL),
        end = body.len()
    ));
    says(
        &found,
        &json!({
            "shares": [{"via": "sims", "file": {"thumbnails": [{"uri": "data:image/thumbhash,3OcRJYB4d3h_iIeHeEh3eIhw-j2w"}]}}, {"via": "sfs"}],
            "offers": [{"share": [1, 0], "file": "a.jpg", "proof": "digest"}],
            "fallback": [{"for": "urn:xmpp:reply:0", "regions": [{"of": "body", "start": 0, "end": 6}]}, {"for": "urn:xmpp:sfs:0", "regions": [{"start": 6, "end": body.len()}]}],
            "shown_body": quote
        }),
    );
}

#[test]
fn borogove_and_cheogram_append_the_link_to_the_words_and_mark_it() {
    let words = "Look 😀";
    let body = format!("{words}\n{URL}");
    let end = body.chars().count();
    let marked = chat(&format!(
        "<body>{body}</body>{}<fallback xmlns='urn:xmpp:fallback:0' for='jabber:x:oob'><body start='6' end='{end}'/></fallback>",
        oob(URL)
    ));
    says(
        &marked,
        &json!({"offers": unproven("a.jpg", &[]), "shown_body": words, "fallback": [{"for": "jabber:x:oob", "regions": [{"start": 6, "end": end}]}]}),
    );
    says(&chat(&format!("<body>{body}</body>{}", oob(URL))), &json!({"offers": unproven("a.jpg", &[]), "shown_body": body}));
}

/// Older Gajim and Swift uploaded and said so without marking it; bots and bridges still do.
#[test]
fn a_bare_link_that_names_a_file_offers_it_and_stays_a_text() {
    says(
        &chat(&format!("<body> {URL} </body>")),
        &json!({"shares": [], "offers": unproven("a.jpg", &[]), "shown_body": format!(" {URL} ")}),
    );
    let refused = chat(&format!("<body>{URL}</body><file-sharing xmlns='urn:xmpp:sfs:0'/>"));
    says(&refused, &json!({"offers": [], "shown_body": URL}));
    for text in
        ["https://montague.lit/", "https://montague.lit/about.html", "http://montague.lit/a.jpg", "see https://montague.lit/a.jpg", "a.jpg"]
    {
        says(&chat(&format!("<body>{text}</body>")), &json!({"shares": [], "offers": [], "shown_body": text}));
    }
}
