//! SCRAM against vectors of the RFCs and of another program, and against what goes wrong.

use balcony_session::binding::{BindingKind, ChannelBindings};
use balcony_session::scram::{
    ClientScram, ClientScramError, ClientSecret, FakeSalts, KeysError, Mechanism, PasswordError, ScramHash, ScramKeys, ServerScram,
    ServerScramError, StoredKeys, prepare_password,
};
use serde_json::Value;

fn salts() -> FakeSalts {
    FakeSalts::new([7; 32], 4096)
}

fn text(case: &Value, key: &str) -> String {
    case[key].as_str().unwrap_or_else(|| panic!("{key} in {case}")).to_owned()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn bindings(case: &Value) -> (ChannelBindings, Option<BindingKind>) {
    let data = hex(&text(case, "cbind_data_hex"));
    match text(case, "gs2_header").strip_prefix("p=").and_then(|rest| rest.strip_suffix(",,")) {
        Some("tls-exporter") => (ChannelBindings { exporter: Some(data), server_end_point: None }, Some(BindingKind::Exporter)),
        Some(_) => (ChannelBindings { exporter: None, server_end_point: Some(data) }, Some(BindingKind::ServerEndPoint)),
        None => (ChannelBindings::NONE, None),
    }
}

/// Proves: C6120-6-2.
#[test]
fn both_sides_say_what_the_vectors_say() {
    for case in testing_corpus::cases("scram") {
        let mechanism = Mechanism::from_name(&text(&case, "mechanism")).unwrap();
        let (bindings, kind) = bindings(&case);
        let secret = ClientSecret::Password(text(&case, "password"));
        let nonce = text(&case, "client_nonce");
        let cannot_bind = text(&case, "gs2_header") == "y,,";
        let mut client = ClientScram::new(mechanism, &text(&case, "username"), secret, nonce, &bindings, kind, cannot_bind).unwrap();
        assert_eq!(client.first(), text(&case, "client_first"));

        let iterations = case["iterations"].as_u64().unwrap() as u32;
        let hash = mechanism.hash().unwrap();
        let keys = StoredKeys::derive(hash, &text(&case, "password"), &base64(&text(&case, "salt_base64")), iterations).unwrap();
        let suffix = text(&case, "server_nonce_suffix");
        let mut server = ServerScram::begin(mechanism, &client.first(), &suffix, &bindings, false).unwrap();
        assert_eq!(server.username(), text(&case, "username"));
        let server_first = server.challenge(Some(keys), &salts(), "user").unwrap();
        assert_eq!(server_first, text(&case, "server_first"));
        assert_eq!(server.check(&text(&case, "client_final")).unwrap(), text(&case, "server_final"));

        if iterations < 4096 {
            assert_eq!(client.answer(&server_first), Err(ClientScramError::Iterations(iterations)));
            continue;
        }
        assert_eq!(client.answer(&server_first).unwrap(), text(&case, "client_final"));
        assert_eq!(client.verified_keys(), None, "nothing is believed before the server has proved itself");
        client.verify(&text(&case, "server_final")).unwrap();
        assert!(client.verified_keys().unwrap().stored().fits(&text(&case, "password")));
    }
}

#[test]
fn the_client_refuses_every_negative_vector() {
    let table = testing_corpus::vector("scram");
    let negatives = table["negative"].as_array().unwrap();
    assert!(negatives.len() > 5);
    for case in negatives {
        let nonce = case["client_nonce"].as_str().unwrap_or("abc").to_owned();
        let mut client = client_of(Mechanism::ScramSha256, "pencil", &nonce);
        match case["server_first"].as_str() {
            Some(first) => assert!(client.answer(first).is_err(), "{case}"),
            None => {
                client.answer("r=abcdef,s=c2FsdA==,i=4096").unwrap();
                assert!(client.verify(&text(case, "server_final")).is_err(), "{case}");
                assert_eq!(client.verified_keys(), None);
            }
        }
    }
}

fn client_of(mechanism: Mechanism, password: &str, nonce: &str) -> ClientScram {
    let secret = ClientSecret::Password(password.to_owned());
    ClientScram::new(mechanism, "user", secret, nonce.to_owned(), &ChannelBindings::NONE, None, false).unwrap()
}

fn stored(hash: ScramHash) -> StoredKeys {
    StoredKeys::derive(hash, "pencil", b"0123456789abcdef", 4096).unwrap()
}

/// A whole login; what the server says in the end.
fn login(client: &mut ClientScram, mechanism: Mechanism, at_server: &ChannelBindings) -> Result<(), ServerScramError> {
    let mut server = ServerScram::begin(mechanism, &client.first(), "servernonce", at_server, at_server.any())?;
    let first = server.challenge(Some(stored(mechanism.hash().unwrap())), &salts(), "user")?;
    let signature = server.check(&client.answer(&first).unwrap())?;
    client.verify(&signature).unwrap();
    Ok(())
}

#[test]
fn a_login_bound_to_another_channel_is_refused() {
    let mechanism = Mechanism::ScramSha256Plus;
    let ours = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: Some(vec![2; 32]) };
    let theirs = ChannelBindings { exporter: Some(vec![9; 32]), server_end_point: Some(vec![2; 32]) };
    let client = |kind| {
        let secret = ClientSecret::Password("pencil".to_owned());
        ClientScram::new(mechanism, "user", secret, "nonce".to_owned(), &ours, Some(kind), false).unwrap()
    };
    assert_eq!(login(&mut client(BindingKind::Exporter), mechanism, &ours), Ok(()));
    assert_eq!(login(&mut client(BindingKind::Exporter), mechanism, &theirs), Err(ServerScramError::Proof));
    assert_eq!(login(&mut client(BindingKind::ServerEndPoint), mechanism, &theirs), Ok(()));
}

#[test]
fn plus_without_binding_and_binding_without_plus_are_refused() {
    let bound = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: None };
    let begin = |mechanism, first: &str| ServerScram::begin(mechanism, first, "s", &bound, true).map(|_| ());
    assert_eq!(begin(Mechanism::ScramSha256Plus, "n,,n=user,r=abc"), Err(ServerScramError::Binding));
    assert_eq!(begin(Mechanism::ScramSha256Plus, "y,,n=user,r=abc"), Err(ServerScramError::Binding));
    assert_eq!(begin(Mechanism::ScramSha256, "p=tls-exporter,,n=user,r=abc"), Err(ServerScramError::Binding));
    assert_eq!(begin(Mechanism::ScramSha256Plus, "p=tls-unique,,n=user,r=abc"), Err(ServerScramError::Binding));
    assert_eq!(begin(Mechanism::ScramSha256Plus, "p=tls-server-end-point,,n=user,r=abc"), Err(ServerScramError::Binding));
}

#[test]
fn a_client_that_believes_in_no_binding_shows_that_the_list_was_tampered_with() {
    let bound = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: None };
    let begin = |offers_plus| ServerScram::begin(Mechanism::ScramSha256, "y,,n=user,r=abc", "s", &bound, offers_plus).map(|_| ());
    assert_eq!(begin(true), Err(ServerScramError::Downgrade));
    assert_eq!(begin(false), Ok(()));
}

/// Another library panicked on `n,,` alone.
#[test]
fn broken_messages_never_panic_and_never_get_in() {
    let first = [
        "",
        ",",
        ",,",
        "n",
        "n,",
        "n,,",
        "n,,,",
        "n,,n",
        "n,,n=",
        "n,,n=,r=",
        "n,,n=,r=abc",
        "n,,r=abc,n=user",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,n=user,r=\u{e4}",
        "n,,n=us=er,r=abc",
        "n,,n=us=2cer,r=abc",
        "n,,n=user,r=abc,m=1",
        "n,,n=user,r=abc,",
        "n,,m=1,n=user,r=abc",
        "x,,n=user,r=abc",
        "n,a,n=user,r=abc",
        "n,a=,n=user,r=abc",
        "p=,,n=user,r=abc",
        "p,,n=user,r=abc",
        "\u{0},,n=user,r=abc",
        "ä,ö,ü",
    ];
    for message in first {
        for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256Plus] {
            let bound = ChannelBindings { exporter: Some(vec![1; 32]), server_end_point: None };
            assert!(ServerScram::begin(mechanism, message, "s", &bound, false).is_err(), "{message:?}");
        }
    }
    let proof = "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    let last = [
        "",
        "c",
        "c=",
        "c=biws",
        "c=biws,r=abcs",
        "c=biws,r=abcs,p",
        "c=biws,r=abcs,p=",
        "c=biws,r=abcs,p=AAAA",
        "r=abcs,c=biws,p=AAAA",
        "c=%,r=abcs,p=AAAA",
        ",p=",
        "c=biws,r=abcs,m=1,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "\u{0}",
        "ä",
        &format!("c=biws,r=abcs,p={proof}"),
    ];
    for message in last {
        let mut server = ServerScram::begin(Mechanism::ScramSha1, "n,,n=user,r=abc", "s", &ChannelBindings::NONE, false).unwrap();
        server.challenge(Some(stored(ScramHash::Sha1)), &salts(), "user").unwrap();
        assert!(server.check(message).is_err(), "{message:?}");
        assert_eq!(server.check(message), Err(ServerScramError::OutOfOrder), "one try for each challenge");
    }
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut server = ServerScram::begin(Mechanism::ScramSha1, "n,,n=user,r=abc", "s", &ChannelBindings::NONE, false).unwrap();
    assert_eq!(server.check("c=biws,r=abcs,p=AAAA"), Err(ServerScramError::OutOfOrder));
    let mut client = client_of(Mechanism::ScramSha1, "pencil", "abc");
    assert_eq!(client.verify("v=AAAA"), Err(ClientScramError::OutOfOrder));
    client.answer("r=abcdef,s=c2FsdA==,i=4096").unwrap();
    assert_eq!(client.answer("r=abcdef,s=c2FsdA==,i=4096"), Err(ClientScramError::OutOfOrder));
}

#[test]
fn a_name_without_account_looks_like_one_with_an_account() {
    let first = "n,,n=nobody,r=abc";
    let challenge = |salts: &FakeSalts| {
        let mut server = ServerScram::begin(Mechanism::ScramSha256, first, "s", &ChannelBindings::NONE, false).unwrap();
        let challenge = server.challenge(None, salts, "nobody").unwrap();
        (server, challenge)
    };
    let (mut server, one) = challenge(&salts());
    let (_, two) = challenge(&salts());
    let (_, other_server) = challenge(&FakeSalts::new([8; 32], 4096));
    assert_eq!(one, two, "the salt of a name stays");
    assert_ne!(one, other_server, "and cannot be computed by others");
    let mut client = ClientScram::new(
        Mechanism::ScramSha256,
        "nobody",
        ClientSecret::Password("pencil".to_owned()),
        "abc".to_owned(),
        &ChannelBindings::NONE,
        None,
        false,
    )
    .unwrap();
    let proof = client.answer(&one).expect("salt and count look real");
    assert_eq!(server.check(&proof), Err(ServerScramError::Proof));
    let real = stored(ScramHash::Sha256);
    let made_up = salts().keys(ScramHash::Sha256, "nobody");
    assert_eq!((made_up.salt().len(), made_up.iterations()), (real.salt().len(), real.iterations()));
}

#[test]
fn keys_log_in_without_the_password_until_the_salt_changes() {
    let keys = ScramKeys::derive(ScramHash::Sha512, "pencil", b"0123456789abcdef", 4096).unwrap();
    let keys = ScramKeys::from_text(&keys.to_text()).unwrap();
    let client = || {
        let secret = ClientSecret::Keys(keys.clone());
        ClientScram::new(Mechanism::ScramSha512, "user", secret, "abc".to_owned(), &ChannelBindings::NONE, None, false).unwrap()
    };
    assert_eq!(login(&mut client(), Mechanism::ScramSha512, &ChannelBindings::NONE), Ok(()));
    assert_eq!(client().answer("r=abcdef,s=c2FsdA==,i=4096"), Err(ClientScramError::KeysOutdated));
    assert_eq!(client().answer("r=abcdef,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=8192"), Err(ClientScramError::KeysOutdated));
}

#[test]
fn an_absurd_iteration_count_is_refused_before_any_work() {
    let mut client = client_of(Mechanism::ScramSha256, "pencil", "abc");
    assert_eq!(client.answer("r=abcdef,s=c2FsdA==,i=4294967295"), Err(ClientScramError::Iterations(u32::MAX)));
}

#[test]
fn stored_keys_survive_their_text_and_damaged_text_is_refused() {
    let keys = stored(ScramHash::Sha256);
    assert_eq!(StoredKeys::from_text(&keys.to_text()), Ok(keys.clone()));
    assert!(keys.fits("pencil") && !keys.fits("pen"));
    let good = keys.to_text();
    for bad in
        ["", "SCRAM-SHA-256", "SCRAM-SHA-3$1:AA==$AA==:AA==", &good.replace("4096", "0"), &good[..good.len() - 4], &good.replace(':', "")]
    {
        assert_eq!(StoredKeys::from_text(bad), Err(KeysError::Damaged), "{bad}");
        assert_eq!(ScramKeys::from_text(bad), Err(KeysError::Damaged), "{bad}");
    }
    assert!(!format!("{keys:?}").contains('='), "keys do not show themselves");
}

#[test]
fn passwords_are_prepared_before_they_are_hashed() {
    assert_eq!(prepare_password("I\u{AD}X").unwrap(), "IX");
    assert_eq!(prepare_password("\u{AA}").unwrap(), "a");
    assert_eq!(prepare_password("a\u{3000}b").unwrap(), "a b");
    assert_eq!(prepare_password("e\u{301}").unwrap(), "\u{e9}");
    assert_eq!(prepare_password("\u{AD}"), Err(PasswordError::Empty));
    assert_eq!(prepare_password("a\u{7}"), Err(PasswordError::Control));
    assert_eq!(prepare_password(&"a".repeat(1025)), Err(PasswordError::TooLong));
}

#[test]
fn the_binding_follows_what_the_server_advertises() {
    let both = ChannelBindings { exporter: Some(vec![1]), server_end_point: Some(vec![2]) };
    assert_eq!(both.choose(Some(&["tls-server-end-point", "tls-exporter"])), Some(BindingKind::Exporter));
    assert_eq!(both.choose(Some(&["tls-unique", "tls-server-end-point"])), Some(BindingKind::ServerEndPoint));
    assert_eq!(both.choose(Some(&["tls-unique"])), None);
    assert_eq!(both.choose::<&str>(None), None);
    assert_eq!(ChannelBindings::NONE.choose(Some(&["tls-exporter"])), None);
}

proptest::proptest! {
    #[test]
    fn arbitrary_messages_never_panic(first in ".*", second in ".*") {
        for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256Plus] {
            if let Ok(mut server) = ServerScram::begin(mechanism, &first, "s", &ChannelBindings::NONE, false) {
                let _ = server.challenge(None, &salts(), "user");
                proptest::prop_assert!(server.check(&second).is_err());
            }
        }
        let mut client = client_of(Mechanism::ScramSha256, "pencil", "abc");
        proptest::prop_assert!(client.answer(&first).is_err());
        proptest::prop_assert!(client.verify(&second).is_err());
    }
}
