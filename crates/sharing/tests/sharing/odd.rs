//! Stanzas that break rules, overdo it, or come by ways that nobody thinks of first.

use serde_json::{Value, json};

use super::said::{SHA256, SHA256_HEX, chat, ignored, says, seen, seen_by};

const URL: &str = "https://upload.montague.lit/4a77/a.jpg";

fn example(file: &str) -> Value {
    seen(&testing_corpus::example(file).xml)
}

fn sfs(attributes: &str, inside: &str) -> String {
    format!("<file-sharing xmlns='urn:xmpp:sfs:0' {attributes}>{inside}</file-sharing>")
}

fn file(fields: &str) -> String {
    format!("<file xmlns='urn:xmpp:file:metadata:0'>{fields}</file>")
}

fn sources(url: &str) -> String {
    format!("<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources>")
}

fn hash(ns: &str, algo: &str, text: &str) -> String {
    format!("<hash xmlns='urn:xmpp:hashes:{ns}' algo='{algo}'>{text}</hash>")
}

fn sims(attributes: &str, uri: &str) -> String {
    format!(
        "<reference xmlns='urn:xmpp:reference:0' type='data' {attributes}><media-sharing xmlns='urn:xmpp:sims:1'>\
         <file xmlns='urn:xmpp:jingle:apps:file-transfer:5'><name>a.jpg</name><size>7</size></file>\
         <sources><reference xmlns='urn:xmpp:reference:0' type='data' uri='{uri}'/></sources></media-sharing></reference>"
    )
}

/// Decision 20.
/// Proves: FIN-D-1.
#[test]
fn files_of_a_form_are_shares_in_today_s_form_and_in_that_of_the_first_draft() {
    let unusable = json!({"algo": "sha-256", "canonical": "sha-256", "usable": false, "digest_hex": null, "why": "not base64"});
    let odt = json!({"name": "serenade.odt", "media_type": "application/vnd.oasis.opendocument.text", "size": 789_012, "date": "2025-06-15T10:05:00Z", "hashes": [unusable]});
    let form =
        json!({"multiple": true, "accept": ["application/pdf", "application/vnd.oasis.opendocument.text"], "use": ["upload.example.org"]});
    let today = example("xep-0505/02-form-with-already-uploaded-files.xml");
    says(
        &today,
        &json!({
            "shares": [
                {"via": "file-input", "id": "file_1", "pending": false, "file": {"name": "balcony_architecture.pdf"}},
                {"via": "file-input", "id": "file_2", "pending": false, "file": odt, "sources": [{"type": "url", "http": [],
                    "url": "https://upload.example.org/30af73ed-d8b5-42f8-87b5-f047dcc7ed85/serenade.odt"}]}
            ],
            "file_input": form, "metadata": null, "offers": []
        }),
    );
    let bare = json!({"via": "file-input (0.0.1 form)", "id": null, "pending": true, "sources": [], "file": odt});
    says(
        &example("seeds/002-file-input-example2.xml"),
        &json!({"shares": [{"via": "file-input (0.0.1 form)", "file": {"name": "balcony_architecture.pdf"}}, bare], "file_input": form, "metadata": null}),
    );
    let handed_in = testing_corpus::example("xep-0505/02-form-with-already-uploaded-files.xml").xml;
    let by_iq = seen(&format!(
        "<iq type='set' from='romeo@montague.lit/o' to='forms.capulet.lit' id='1'><query xmlns='urn:example'>{handed_in}</query></iq>"
    ));
    says(
        &by_iq,
        &json!({"offers": [{"share": [0], "file": "balcony_architecture.pdf", "proof": "none"}, {"share": [1], "file": "serenade.odt"}], "file_input": form}),
    );
    let by_message = seen(&format!("<message from='romeo@montague.lit/o' to='juliet@capulet.lit'>{handed_in}</message>"));
    says(
        &by_message,
        &json!({"shares": [{"via": "file-input"}, {"via": "file-input"}], "offers": [{"share": [0]}, {"share": [1]}], "file_input": form}),
    );
}

#[test]
fn further_listings_say_what_they_say() {
    says(
        &example("repaired/xep-0385-02-sharing-an-image-with-a-contact.xml"),
        &json!({"shares": [{"via": "sims", "begin": "17", "end": "20", "pending": false, "sources": [{"type": "url"}, {"type": "unknown", "uri": "xmpp:romeo@montague.lit/resource?jingle-ft"}]}],
                "shown_body": "Look at the nice view from the summit."}),
    );
    says(
        &example("seeds/001-sfs-example4.xml"),
        &json!({"shares": [], "attach": {"to": "sharing-a-file", "share_id": null, "sources": [{"type": "jinglepub", "from": "romeo@montague.lit/resource2"}]}}),
    );
    says(
        &example("seeds/001-sfs-example2-filled.xml"),
        &json!({"shares": [{"via": "sfs"}], "offers": [{"share": [0], "file": "summit.jpg"}], "shown_body": null}),
    );
    says(
        &example("xep-0447/06-1-sharing-a-file-with-additional-body-and-attaching-a-source-w.xml"),
        &json!({"offers": [{"decision": "wait"}], "shown_body": "Summit was great, check out this cool photo of everyone."}),
    );
    says(
        &example("xep-0447/07-1-sharing-multiple-files-and-attaching-sources-with-fallback.xml"),
        &json!({"shares": [{"id": "photo1.jpg", "pending": true}, {"id": "photo2.jpg", "pending": true}, {"id": "photo3.jpg", "pending": true}], "offers": [{"share": [0]}, {"share": [1]}, {"share": [2]}]}),
    );
    says(
        &example("xep-0447/07-3-sharing-multiple-files-and-attaching-sources-with-fallback.xml"),
        &json!({"attach": {"to": "sharing-files", "share_id": "photo2.jpg"}, "shown_body": null, "offers": []}),
    );
    says(
        &example("xep-0104/c02-message.xml"),
        &json!({"url_data": [{"http": [{"kind": "cookie", "name": "jsessionid", "value": "1243asd234190sa32ds"}]}]}),
    );
}

#[test]
fn an_address_handed_over_by_iq_is_an_offer_and_its_refusal_is_none() {
    let license = "http://www.jabber.org/images/psa-license.jpg";
    let set = example("xep-0066/01-sender-initiates-request-response.xml");
    says(
        &set,
        &json!({"oob": [license], "shares": [], "offers": [{"share": [], "file": "psa-license.jpg", "proof": "none", "decision": "refuse", "left_out": [{"source": license}]}]}),
    );
    says(&example("xep-0066/03-recipient-informs-sender-of-failure.xml"), &json!({"oob": [license], "offers": []}));
}

#[test]
fn bits_are_a_file_of_their_own_where_nothing_else_shows_them() {
    let sha1 = "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33"; // of "foo"
    let data = format!("<data xmlns='urn:xmpp:bob' cid='sha1+{sha1}@bob.xmpp.org' type='image/png'>Zm9v</data>");
    let share = json!({"via": "bob", "pending": false, "sources": [{"type": "unknown", "uri": format!("cid:sha1+{sha1}@bob.xmpp.org")}],
                       "file": {"name": null, "media_type": "image/png", "size": 3, "hashes": [{"algo": "sha-1", "usable": true, "digest_hex": sha1}]}});
    let found = chat(&format!("<body>a spot</body>{data}"));
    says(
        &found,
        &json!({"shares": [share], "offers": [{"share": [0], "proof": "none", "decision": "ask", "plan": [{"exposure": "nothing"}], "left_out": []}], "shown_body": "a spot"}),
    );
    let answer = seen(&format!("<iq type='result' from='romeo@montague.lit/o' to='juliet@capulet.lit/b' id='1'>{data}</iq>"));
    says(&answer, &json!({"shares": [share]}));
    let request = seen("<iq type='get' from='a@b/c' to='d@e/f' id='1'><data xmlns='urn:xmpp:bob' cid='x'/></iq>");
    says(&request, &json!({"shares": [], "offers": []}));
    let garbled = chat(&format!("<body>a spot</body>{}", data.replace("Zm9v", "%%%")));
    says(&garbled, &json!({"shares": [], "offers": [], "shown_body": "a spot", "ignored": [{"what": "data", "why": "not base64"}]}));
    let captcha = format!(
        "<x xmlns='jabber:x:data' type='form'><field var='ocr'><media xmlns='urn:xmpp:media-element'><uri type='image/png'>\n cid:sha1+{sha1}@bob.xmpp.org\n</uri></media></field></x>{data}"
    );
    says(&chat(&captcha), &json!({"shares": []}));
}

#[test]
fn a_file_wanted_by_session_is_no_file_offered() {
    let found = seen(
        "<iq type='set' from='romeo@montague.lit/o' to='juliet@capulet.lit/b' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='1'>\
         <content creator='initiator' name='c' senders='responder'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>a</name></file></description></content></jingle></iq>",
    );
    says(&found, &json!({"shares": [], "offers": []}));
    assert_eq!(ignored(&found), ["content"]);
    let stun = "<iq type='set' from='a@b/c' to='d@e/f' id='1'><jingle xmlns='urn:xmpp:jingle:1' action='transport-replace' sid='1'><content creator='initiator' name='c'>\
                <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='None' block-size='4096'/></content></jingle></iq>"; // COMPAT(Gajim): sid None
    says(&seen(stun), &json!({"shares": [], "offers": [], "ignored": []}));
}

/// Decision 10.
/// Proves: FB-D-1, CNT-D-1.
#[test]
fn fallback_counts_code_points_and_only_hides_what_is_said_elsewhere() {
    let body = format!("👩‍👩‍👧 Gipfel 𝒳: {URL}");
    let start = body.chars().position(|c| c == 'h').unwrap();
    let end = body.chars().count();
    let share = sfs("", &(file("<name>a.jpg</name>") + &sources(URL)));
    let fallback = |attributes: &str, range: &str| {
        format!("<body>{body}</body>{share}<fallback xmlns='urn:xmpp:fallback:0' {attributes}><body {range}/></fallback>")
    };
    let marked = chat(&fallback("for='urn:xmpp:sfs:0'", &format!("start='{start}' end='{end}'")));
    says(
        &marked,
        &json!({"shown_body": "👩‍👩‍👧 Gipfel 𝒳: ", "fallback": [{"for": "urn:xmpp:sfs:0", "regions": [{"of": "body", "start": start, "end": end}]}]}),
    );
    says(&chat(&fallback("for='urn:xmpp:sfs:0'", &format!("start='{start}'"))), &json!({"shown_body": "👩‍👩‍👧 Gipfel 𝒳: "}));
    for nothing in ["start='-1' end='3'", "start='5' end='2'", &format!("start='0' end='{}'", end + 1), "start='x'"] {
        says(&chat(&fallback("for='urn:xmpp:sfs:0'", nothing)), &json!({"shown_body": body}));
    }
    says(
        &chat(&fallback("", "start='0' end='3'")),
        &json!({"shown_body": body, "fallback": [{"for": null, "regions": [{"start": 0, "end": 3}]}]}),
    );
    says(&chat(&fallback("for='urn:xmpp:reply:0'", "")), &json!({"shown_body": body}));
}

#[test]
fn ranges_of_sims_that_fit_nothing_hide_nothing() {
    let body = format!("Look {URL}");
    for (begin, end) in
        [("5", "4000"), ("4", "9"), ("x", "y"), ("9", "2"), ("-5", "-1"), ("0", "3"), ("18446744073709551615", "18446744073709551615")]
    {
        let found = chat(&format!("<body>{body}</body>{}", sims(&format!("begin='{begin}' end='{end}'"), URL)));
        says(&found, &json!({"shares": [{"begin": begin, "end": end}], "offers": [{"share": [0]}], "shown_body": body}));
    }
    let fits = chat(&format!("<body>{body}</body>{}", sims(&format!("begin='5' end='{}'", body.len()), URL)));
    says(&fits, &json!({"shown_body": "Look "}));
}

/// Decision 60.
#[test]
fn a_share_that_contradicts_itself_is_refused_and_the_rest_read() {
    let other = SHA256.replacen('4', "5", 1);
    let good = sfs("id='good'", &(file("<name>a.jpg</name>") + &sources(URL)));
    for (inside, why) in [
        (file("") + &file(""), "two files in one share"),
        (sources(URL) + &sources(URL), "two lists of sources"),
        (file(&(hash("2", "sha-256", SHA256) + &hash("2", "sha256", &other))), "two different sha-256 hashes"),
    ] {
        let found = chat(&format!("{}{good}", sfs("id='bad'", &inside)));
        says(&found, &json!({"shares": [{"id": "good"}], "offers": [{"share": [0]}], "ignored": [{"what": "file-sharing", "why": why}]}));
    }
    let fields = "<name>a</name><name>b</name><size>1</size><size>2</size><desc>x</desc><desc>y</desc><desc xml:lang='de'>z</desc><width>1</width><width>2</width>";
    let repeated = chat(&sfs("", &file(fields)));
    says(
        &repeated,
        &json!({"shares": [{"file": {"name": "a", "size": 1, "width": 1, "desc": [{"lang": null, "text": "x"}, {"lang": "de", "text": "z"}]}}]}),
    );
    assert_eq!(ignored(&repeated), ["name", "size", "desc", "width"]);
}

/// Decision 3.
#[test]
fn hashes_of_every_old_form_are_told_apart_by_length() {
    let hashes = [
        hash("1", "sha-256", &SHA256_HEX.to_uppercase()),
        hash("1", "sha3-256", SHA256),
        hash("2", "id-blake2b256", &format!("\n  {SHA256}\n ")),
        hash("2", "sha-512", SHA256_HEX),
        hash("2", "MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        hash("2", "tiger", "AAAA"),
        "<hash xmlns='urn:xmpp:hashes:2'>AAAA</hash>".to_owned(),
        hash("2", "sha-384", ""),
    ]
    .concat();
    let usable =
        |algo: &str, canonical: &str| json!({"algo": algo, "canonical": canonical, "usable": true, "digest_hex": SHA256_HEX, "why": null});
    let not = |algo: Option<&str>, canonical: Option<&str>, why: &str| json!({"algo": algo, "canonical": canonical, "usable": false, "digest_hex": null, "why": why});
    let expected = json!([
        usable("sha-256", "sha-256"),
        usable("sha3-256", "sha3-256"),
        usable("id-blake2b256", "blake2b-256"),
        not(Some("sha-512"), Some("sha-512"), "48 bytes instead of 64"),
        not(Some("MD5"), Some("md5"), "the algorithm must not be used"),
        not(Some("tiger"), None, "unknown algorithm"),
        not(None, None, "no algo attribute"),
        not(Some("sha-384"), Some("sha-384"), "no digest"),
    ]);
    says(
        &chat(&sfs("", &file(&hashes))),
        &json!({"shares": [{"file": {"hashes": expected, "hash_used": ["sha-384"]}}], "offers": [{"proof": "digest"}]}),
    );
}

#[test]
fn old_dimensions_and_thumbnails_and_bad_fields_cost_only_themselves() {
    let fields = "<dimensions>640x480</dimensions><size>-1</size><date>yesterday</date><length>1500</length><colour>red</colour>\
                  <thumbnail xmlns='urn:xmpp:thumbs:0' cid='a@bob.xmpp.org' mime-type='image/png' width='9' height='8'/>";
    let found = chat(&sfs("disposition='sideways'", &file(fields)));
    says(
        &found,
        &json!({"shares": [{"disposition": null, "file": {"width": 640, "height": 480, "from_dimension": true, "size": null, "date": null, "length_ms": 1500,
                "thumbnails": [{"uri": "cid:a@bob.xmpp.org", "media_type": "image/png", "width": 9, "height": 8}]}}]}),
    );
    assert_eq!(ignored(&found), ["disposition", "size", "date", "{urn:xmpp:file:metadata:0}colour"]);
    let both = chat(&sfs("", &file("<width>1</width><height>2</height><dimension>3x4</dimension>")));
    says(&both, &json!({"shares": [{"file": {"width": 1, "height": 2, "from_dimension": null}}]}));
}

#[test]
fn a_thumbnail_of_minus_one_by_many_pixels_loses_its_size_and_that_is_said() {
    let picture = "<thumbnail xmlns='urn:xmpp:thumbs:1' uri='https://montague.lit/t.jpg' width='-1' height='many'/>";
    let found = chat(&sfs("", &file(picture)));
    says(&found, &json!({"shares": [{"file": {"thumbnails": [{"uri": "https://montague.lit/t.jpg", "width": null, "height": null}]}}]}));
    assert_eq!(ignored(&found), ["thumbnail width", "thumbnail height"]);
}

#[test]
fn a_form_with_two_fields_for_files_tells_the_first_and_that_there_is_another() {
    let field = |name: &str, multiple: &str| {
        format!("<field var='{name}'><file-input xmlns='urn:xmpp:file-input:0' multiple='{multiple}'/></field>")
    };
    let found = chat(&format!("<x xmlns='jabber:x:data' type='form'>{}{}</x>", field("photo", "1"), field("papers", "false")));
    says(&found, &json!({"file_input": {"multiple": true, "accept": [], "use": []}, "shares": []}));
    assert_eq!(ignored(&found), ["1 more file-input"]);
}

/// A server asks whoever registers to read a picture; the question comes in an iq.
#[test]
fn media_of_a_form_are_told_wherever_the_form_stands() {
    let told = json!({"media": [{"width": 290, "height": 80, "uris": [{"uri": "https://capulet.lit/c.jpg", "media_type": "image/jpeg"}]}], "shares": []});
    let form = "<x xmlns='jabber:x:data' type='form'><field var='ocr'><media xmlns='urn:xmpp:media-element' height='80' width='290'>\
                <uri type='image/jpeg'>\n https://capulet.lit/c.jpg\n</uri></media></field></x>";
    says(&seen(form), &told);
    says(&seen(&format!("<iq type='result' from='capulet.lit' id='1'><query xmlns='jabber:iq:register'>{form}</query></iq>")), &told);
    says(&chat(form), &told);
    let listing = example("xep-0221/01-audio-media-element.xml");
    says(
        &listing,
        &json!({"media": [{"uris": [{"media_type": "audio/x-wav"}, {"media_type": "audio/ogg; codecs=speex"}, {"media_type": "audio/mpeg"}]}]}),
    );
}

#[test]
fn a_message_that_names_no_sender_is_said_to_be_nobody_s() {
    let found = seen(&format!("<message><body>{URL}</body><x xmlns='jabber:x:oob'><url>{URL}</url></x></message>"));
    says(&found, &json!({"offers": [{"file": "a.jpg", "provenance": "nobody says who sent it"}], "shown_body": null}));
}

/// XEP-0498 in the answer of a pubsub service; who asked is not always told.
#[test]
fn items_of_a_node_are_offers_even_if_the_answer_names_no_addressee() {
    let item = |id: &str| format!("<item id='{id}'>{}</item>", sfs("", &(file("<name>a.jpg</name>") + &sources(&format!("{URL}?{id}")))));
    let answer = format!(
        "<iq type='result' from='romeo@montague.lit' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'>{}{}</items></pubsub></iq>",
        item("a"),
        item("b")
    );
    says(&seen(&answer), &json!({"shares": [{"via": "sfs"}, {"via": "sfs"}], "offers": [{"share": [0]}, {"share": [1]}]}));
}

/// Decision 56.
#[test]
fn what_is_over_the_limit_is_counted() {
    let many = format!(
        "<sources>{}</sources>",
        (0..70).map(|n| format!("<url-data xmlns='http://jabber.org/protocol/url-data' target='https://a.lit/{n}'/>")).collect::<String>()
    );
    let found = chat(&sfs("", &(file("") + &many)));
    assert_eq!(found["shares"][0]["sources"].as_array().unwrap().len(), 64);
    assert_eq!(found["shares"][0]["sources"][63]["url"], "https://a.lit/63");
    assert_eq!(ignored(&found), ["6 sources"]);
    let shares: String = (0..70).map(|n| sfs(&format!("id='{n}'"), &file("<name>a</name>"))).collect();
    let found = chat(&shares);
    assert_eq!((found["shares"].as_array().unwrap().len(), found["offers"].as_array().unwrap().len()), (64, 64));
    assert_eq!(ignored(&found), ["6 shares"]);
    let found = chat(&format!(
        "{}{}",
        "<x xmlns='jabber:x:oob'><url>https://a.lit/1</url></x>".repeat(70),
        "<store xmlns='urn:xmpp:hints'/>".repeat(70)
    ));
    assert_eq!((found["oob"].as_array().unwrap().len(), found["hints"].as_array().unwrap().len()), (64, 64));
    assert_eq!(ignored(&found).len(), 12);
    let found = chat(&"<x xmlns='jabber:x:oob'/>".repeat(1000));
    assert_eq!((ignored(&found).len(), ignored(&found)[512]), (513, "488 more"));
    let long = "a".repeat(50_000);
    let found = chat(&sfs(&format!("id='{long}'"), &file(&format!("<name>{long}.jpg</name><desc>{long}</desc>"))));
    says(&found, &json!({"shares": [{"id": long, "file": {"name": format!("{long}.jpg"), "desc": [{"text": long}]}}]}));
    assert!(found["offers"][0]["file"].as_str().unwrap().len() <= 255);
}

#[test]
fn odd_addresses_are_kept_as_written_and_never_fetched_blindly() {
    for (written, read, fetched) in [
        ("https://user:pass@upload.montague.lit/a.jpg", "https://user:pass@upload.montague.lit/a.jpg", false),
        ("https://h.lit/?a=1&amp;amp;b=2", "https://h.lit/?a=1&amp;b=2", true),
        (" https://h.lit/a.jpg\n", "https://h.lit/a.jpg", true),
        ("https://127.0.0.1/a", "https://127.0.0.1/a", false),
        ("javascript:alert(1)", "javascript:alert(1)", false),
        ("file:///etc/passwd", "file:///etc/passwd", false),
        ("HTTPS://H.LIT/a", "HTTPS://H.LIT/a", true),
        ("no url", "no url", false),
    ] {
        let share = sfs("", &(file(&hash("2", "sha-256", SHA256)) + &sources(written)));
        let found = chat(&share);
        says(&found, &json!({"shares": [{"sources": [{"type": "url", "url": read}]}]}));
        assert_eq!(found["offers"][0]["plan"].as_array().unwrap().len(), usize::from(fetched), "{written}: {}", found["offers"]);
        assert_eq!(found["offers"][0]["left_out"].as_array().unwrap().len(), usize::from(!fetched), "{written}");
    }
}

/// Decision 19.
#[test]
fn sources_of_every_kind_keep_their_place() {
    let all = "<sources><pigeon xmlns='urn:example'/><jinglepub xmlns='urn:xmpp:jinglepub:1' id='1'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></jinglepub>\
               <url-data target='https://h.lit/a'/><url-data xmlns='http://jabber.org/protocol/url-data'/>\
               <url-data xmlns='http://jabber.org/protocol/url-data' xmlns:h='http://jabber.org/protocol/url-data/scheme/http' target='https://h.lit/b'>\
               <h:auth scheme='basic'><h:auth-param name='username' value='u'/></h:auth><h:header name='Host' value='evil'/><h:header name='X-Token'>t</h:header></url-data></sources>";
    let found = chat(&sfs("", &(file(&hash("2", "sha-256", SHA256)) + all)));
    says(
        &found,
        &json!({"shares": [{"sources": [
            {"type": "unknown", "element": "{urn:example}pigeon"},
            {"type": "jinglepub", "from": "romeo@montague.lit/orchard", "id": "1", "applications": ["urn:xmpp:jingle:apps:file-transfer:5"]},
            {"type": "url", "url": "https://h.lit/a", "http": []},
            {"type": "url", "url": "https://h.lit/b", "http": [
                {"kind": "auth", "scheme": "basic", "params": {"username": "u"}},
                {"kind": "header", "name": "Host", "value": "evil", "refused": true},
                {"kind": "header", "name": "X-Token", "value": "t"}
            ]}
        ]}]}),
    );
    assert_eq!(ignored(&found), ["url-data", "{urn:example}pigeon"]);
}

#[test]
fn attached_sources_that_fit_nothing_are_named() {
    let list =
        "<sources xmlns='urn:xmpp:sfs:0' id='2'><url-data xmlns='http://jabber.org/protocol/url-data' target='https://h.lit/a'/></sources>";
    let orphan = chat(list);
    says(&orphan, &json!({"attach": null, "shares": [], "offers": []}));
    assert_eq!(ignored(&orphan), ["sources"]);
    let twice = chat(&format!(
        "<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/>{list}{list}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m1'/>"
    ));
    says(&twice, &json!({"attach": {"to": "m0", "share_id": "2", "sources": [{"url": "https://h.lit/a"}]}}));
    assert_eq!(ignored(&twice), ["sources", "attach-to"]);
    let nowhere = chat(&format!("<attach-to xmlns='urn:xmpp:message-attaching:1'/>{list}"));
    says(&nowhere, &json!({"attach": null}));
    let url = format!("<body>{URL}</body><x xmlns='jabber:x:oob'><url>{URL}</url></x>");
    let none = chat(&format!("{url}<attach-to xmlns='urn:xmpp:message-attaching:1' id='m0'/><sources xmlns='urn:xmpp:sfs:0'/>"));
    says(&none, &json!({"attach": {"to": "m0", "sources": []}, "shares": [], "offers": [], "shown_body": null}));
    assert_eq!(ignored(&none), ["sources", &format!("oob {URL}")]);
}

#[test]
fn elements_that_stand_alone_are_read_and_offer_nothing() {
    let share = sfs("id='a'", &(file("<name>a.jpg</name>") + &sources(URL)));
    says(&seen(&share), &json!({"shares": [{"via": "sfs", "id": "a"}], "offers": []}));
    let published = sfs("", "<sources><jinglepub xmlns='urn:xmpp:jinglepub:1' id='1'/></sources>");
    says(&seen(&published), &json!({"shares": [{"sources": [{"type": "jinglepub", "from": null, "id": "1", "applications": []}]}]}));
    says(&seen(&sims("", URL)), &json!({"shares": [{"via": "sims"}], "offers": []}));
    says(&seen(&format!("<x xmlns='jabber:x:oob'><url>{URL}</url></x>")), &json!({"oob": [URL], "offers": []}));
    let item =
        format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item id='1'>{share}</item></items></pubsub>");
    let event = seen_by(
        Some("juliet@capulet.lit"),
        None,
        &format!(
            "<message from='romeo@montague.lit' to='juliet@capulet.lit' type='headline'>{}</message>",
            item.replace("<pubsub", "<event").replace("</pubsub", "</event")
        ),
    );
    says(&event, &json!({"shares": [{"via": "sfs"}], "offers": [{"share": [0], "file": "a.jpg"}]}));
    says(&seen("<presence from='a@b/c'/>"), &json!({"shares": [], "offers": [], "body": null}));
}

#[test]
fn a_stanza_with_a_malformed_address_is_read_all_the_same() {
    let share = sfs("", &(file("<name>a.jpg</name>") + &sources(URL)));
    let found = seen(&format!("<message from='@' to='x@' type='chat'><body>hi</body>{share}</message>"));
    says(&found, &json!({"body": "hi", "shares": [{"via": "sfs"}], "offers": [{"provenance": "sent by malformed.invalid"}]}));
    assert_eq!(ignored(&found), ["from", "to"]);
}

#[test]
fn a_mixed_message_of_links_shares_and_words_loses_none() {
    let other = "https://elsewhere.example/b.pdf";
    let found = chat(&format!(
        "<body>Two of them</body>{}<x xmlns='jabber:x:oob'><url>{other}</url></x><x xmlns='jabber:x:oob'><url>{URL}</url></x><x xmlns='jabber:x:oob'/>",
        sfs("", &(file("<name>a.jpg</name>") + &sources(URL)))
    ));
    says(
        &found,
        &json!({"oob": [other, URL], "shares": [{"via": "sfs"}, {"via": "oob", "file": null, "pending": false, "sources": [{"type": "url", "url": other, "http": []}]}],
                "offers": [{"share": [0], "file": "a.jpg"}, {"share": [1], "file": "b.pdf"}], "shown_body": "Two of them"}),
    );
    assert_eq!(ignored(&found), ["oob", &format!("oob {URL}")]);
}
