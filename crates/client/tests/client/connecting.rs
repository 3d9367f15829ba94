//! Logging in, staying, being turned away.

use std::time::Duration;

use balcony_client::{Availability, Class, ConnectError, ConnectOptions};
use balcony_session::binding::BindingKind;
use balcony_session::client::{Ask, Cause, Credentials};
use balcony_session::{Mechanism, Security};
use balcony_wire::disco::DiscoInfo;
use balcony_wire::ping::Ping;
use balcony_wire::{Jid, Payload as _, Presence, PresenceKind, ns};

use crate::scene::{Scene, connect, nobody, refused};

/// Proves: C7590-2.
#[tokio::test]
async fn logs_in_over_both_kinds_of_tls_bound_to_the_channel() {
    let scene = Scene::new().await;
    for security in [Security::StartTls, Security::DirectTls] {
        let account = connect(scene.options("romeo", security)).await;
        let online = account.online().await.unwrap();
        assert_eq!(online.learned.mechanism, Mechanism::ScramSha512Plus, "{security:?}");
        assert_eq!(online.learned.binding, Some(BindingKind::Exporter));
        assert_eq!(online.tls, "TLS 1.3");
        let server = Jid::parse("localhost").unwrap();
        let answer = account.request(Some(server), Ask::Get(Ping.write()), Duration::from_secs(60)).await;
        assert_eq!(answer.unwrap(), None);
        account.close().await;
    }
}

#[tokio::test]
async fn keys_of_one_login_do_for_the_next() {
    let scene = Scene::new().await;
    let account = scene.connect("romeo").await;
    let keys = account.online().await.unwrap().learned.keys.clone().unwrap();
    account.close().await;
    let mut options = scene.options("romeo", Security::StartTls);
    options.credentials = Credentials::Keys(keys);
    let account = connect(options).await;
    account.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_once_and_said_so() {
    let scene = Scene::new().await;
    let mut options = scene.options("romeo", Security::StartTls);
    options.credentials = Credentials::Password("wrong".to_owned());
    let error = refused(options).await;
    assert_eq!(error.class(), Class::Login);
    assert!(matches!(&error, ConnectError::Ended(end) if end.cause == Cause::Credentials), "{error}");
    assert!(error.advice().is_some());
}

/// The host that was dialled is 127.0.0.1 in each case; the name that counts is the account's.
///
/// Proves: C6120-13.7-1, SEC-5-3.
#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_refused() {
    let scene = Scene::new().await;
    for security in [Security::StartTls, Security::DirectTls] {
        let mut options = scene.options("romeo", security);
        options.ca_pem = None;
        let error = refused(options).await;
        assert_eq!(error.class(), Class::Certificate, "{error}");
        assert!(error.to_string().contains("nobody this machine trusts has signed it"), "{error}");
    }
    let mut options = scene.options("romeo", Security::DirectTls);
    options.account = "romeo@montague.example".parse().unwrap();
    let error = refused(options).await;
    assert_eq!(error.class(), Class::Certificate, "{error}");
    assert!(error.to_string().contains("montague.example"), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_or_no_name_leads_is_said_in_words() {
    let scene = Scene::new().await;
    let mut options = scene.options("romeo", Security::StartTls);
    let (_held, port) = nobody();
    options.server.as_mut().unwrap().0.port = port;
    let error = refused(options).await;
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains(&format!("cannot be reached on port {port}")), "{error}");

    let mut options: ConnectOptions = scene.options("romeo", Security::StartTls);
    options.server.as_mut().unwrap().0.host = "no-such-host.invalid".to_owned();
    let error = refused(options).await;
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains("no address was found for no-such-host.invalid"), "{error}");
}

#[tokio::test]
async fn the_report_names_what_the_server_can_do() {
    let scene = Scene::new().await;
    let account = scene.connect("romeo").await;
    let report = account.report().await.unwrap();
    let upload = report.services.uploads.first().unwrap();
    assert_eq!(upload.jid.as_str(), "upload.localhost");
    assert!(upload.max_file_size.is_some());
    assert!(report.services.server.is_some());
    assert!(report.services.silent.is_empty(), "{:?}", report.services.silent);
    account.close().await;
}

#[tokio::test]
async fn others_to_whom_we_are_shown_can_ask_what_we_can_do() {
    let scene = Scene::new().await;
    let romeo = scene.connect("romeo").await;
    romeo.send(Presence::new(PresenceKind::Available, Some(Jid::parse("juliet@localhost").unwrap()))).await.unwrap();
    let mut options = scene.options("juliet", Security::StartTls);
    options.availability = Availability::Hidden;
    let juliet = connect(options).await;
    let jid: Jid = romeo.online().await.unwrap().jid.clone().into();
    let answer = juliet.request(Some(jid.clone()), Ask::Get(DiscoInfo::query(None).write()), Duration::from_secs(60)).await;
    let info = DiscoInfo::read(&answer.unwrap().unwrap()).unwrap();
    assert!(info.has(ns::SFS) && info.is("client", "pc"));
    let unknown = balcony_wire::Element::new("query", "urn:example:unknown");
    let refused = juliet.request(Some(jid), Ask::Get(unknown), Duration::from_secs(60)).await.unwrap_err();
    assert!(refused.to_string().contains("service-unavailable"), "{refused}");
    romeo.close().await;
    juliet.close().await;
}

#[tokio::test]
async fn a_closed_account_says_so_to_everybody_who_asks() {
    let scene = Scene::new().await;
    let account = scene.connect("romeo").await;
    account.close().await;
    let offline = account.online().await.unwrap_err();
    assert_eq!(offline.0.cause, Cause::Closed);
    let refused = account.request(None, Ask::Get(Ping.write()), Duration::from_secs(1)).await;
    assert!(refused.is_err());
}
