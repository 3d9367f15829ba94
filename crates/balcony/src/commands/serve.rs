//! `balcony serve`: the embedded server in the foreground, until ^C or SIGTERM.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use balcony_server::{AccountError, Listen, Running, Server, Settings, StartError, TlsSource};
use serde_json::json;

use crate::cli;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::home::{Home, write_private};
use crate::prompt;
use crate::signals::interrupted;

/// Runs the command.
pub(crate) async fn run(console: &Console, home: &Home, args: &cli::Serve) -> Result<(), Failure> {
    let settings = settings(home, args);
    let folder = settings.data_dir.clone();
    let running = Server::start(settings).await.map_err(|error| start_failure(&error))?;
    add_accounts(console, &running, &args.add_accounts).await?;
    let ca = write_authority(&running, &folder)?;
    if let Some(file) = &args.endpoints {
        write_endpoints(file, &running, ca.as_deref())?;
    }
    announce(console, &running, ca.as_deref());
    interrupted().await;
    console.step("stopping", json!({}), "stopping: streams are closed, uploads end");
    running.shutdown().await;
    Ok(())
}

fn settings(home: &Home, args: &cli::Serve) -> Settings {
    let mut settings = Settings::new(&args.domain, args.data.clone().unwrap_or_else(|| home.server()));
    let at = |port| SocketAddr::new(args.listen, port);
    let proxy = (!args.no_proxy).then(|| at(args.proxy_port));
    settings.listen = Listen { c2s: at(args.port), c2s_tls: at(args.tls_port), https: at(args.https_port), proxy };
    settings.proxy.public_host.clone_from(&args.proxy_host);
    settings.proxy.public_port = args.proxy_public_port;
    settings.proxy.rate = args.proxy_rate.and_then(NonZeroU64::new);
    if let (Some(certificate), Some(key)) = (&args.certificate, &args.key) {
        settings.tls = TlsSource::Files { certificate: certificate.clone(), key: key.clone() };
    }
    settings.upload.max_size = args.max_upload;
    settings.upload.total = args.quota;
    settings.upload.expiry = Duration::from_secs(u64::from(args.keep) * 24 * 3600);
    settings
}

/// The words of a server that does not start.
pub(crate) fn start_failure(error: &StartError) -> Failure {
    let failure = Failure::from_error(Class::Local, error);
    match error {
        StartError::Domain { .. } => Failure { class: Class::Usage, ..failure },
        StartError::Listen { .. } => failure.advise("stop what uses the port, or choose another one (0 takes a free one)"),
        StartError::InUse(_) => failure.advise("stop the other server, or give this one its own folder with --data"),
        StartError::Tls(_) => Failure { class: Class::Certificate, ..failure },
        _ => failure,
    }
}

async fn add_accounts(console: &Console, running: &Running, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let password = prompt::line().await?;
        let done = match running.add_account(name, &password).await {
            Err(AccountError::Exists(_)) => running.set_password(name, &password).await.map(|()| "changed"),
            added => added.map(|()| "added"),
        };
        let done = done.map_err(|error| {
            Failure::from_error(Class::Usage, &error).advise("--add-account takes one line of standard input for each name")
        })?;
        console.step(
            "account",
            json!({"jid": format!("{name}@{}", running.domain()), "done": done}),
            format!("account {name}@{} {done}", running.domain()),
        );
    }
    Ok(())
}

/// Puts the generated authority where people can find it.
fn write_authority(running: &Running, folder: &Path) -> Result<Option<std::path::PathBuf>, Failure> {
    let Some(pem) = running.ca_pem() else { return Ok(None) };
    let path = folder.join("authority.pem");
    let written = write_private(&path, pem).and_then(|()| path.canonicalize());
    written.map(Some).map_err(|error| Failure::new(Class::Local, format!("cannot write {}: {error}", path.display())))
}

/// `KEY=VALUE` lines, as scripts that drive several servers read them.
fn write_endpoints(file: &Path, running: &Running, ca: Option<&Path>) -> Result<(), Failure> {
    let text = format!(
        "NAME=balcony\nSERVER=balcony\nVERSION={}\nDOMAIN={}\nIP={}\nC2S_PORT={}\nC2S_TLS_PORT={}\nHTTPS_PORT={}\nUPLOAD_JID=upload.{}\nPID={}\n{}{}",
        env!("CARGO_PKG_VERSION"),
        running.domain(),
        from_here(running.c2s_addr()).ip(),
        running.c2s_addr().port(),
        running.c2s_tls_addr().port(),
        running.https_addr().port(),
        running.domain(),
        std::process::id(),
        running
            .proxy_addr()
            .map(|proxy| format!("PROXY65_PORT={}\nPROXY65_JID=proxy.{}\n", proxy.port(), running.domain()))
            .unwrap_or_default(),
        ca.map(|ca| format!("CA={}\n", ca.display())).unwrap_or_default(),
    );
    write_private(file, &text).map_err(|error| Failure::new(Class::Local, format!("cannot write {}: {error}", file.display())))
}

/// Where whoever listens on all addresses is reached from this machine.
fn from_here(listening: SocketAddr) -> SocketAddr {
    let loopback = match listening.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    SocketAddr::new(loopback, listening.port())
}

fn announce(console: &Console, running: &Running, ca: Option<&Path>) {
    let (domain, c2s, tls, https) = (running.domain(), running.c2s_addr(), running.c2s_tls_addr(), running.https_addr());
    let proxy = running.proxy_addr().map_or_else(String::new, |proxy| format!("\n  proxy:  {proxy}"));
    let trust = ca.map_or_else(String::new, |ca| {
        format!("\n  trust:  {}\n  log in: balcony login NAME@{domain} --server {} --ca {}", ca.display(), from_here(c2s), ca.display())
    });
    console.result(
        "serving",
        json!({
            "domain": domain, "starttls": c2s.to_string(), "tls": tls.to_string(), "https": https.to_string(),
            "proxy": running.proxy_addr().map(|proxy| proxy.to_string()), "ca": ca,
        }),
        format!("serving {domain}\n  clients: {c2s} (STARTTLS), {tls} (TLS)\n  files:  {https}{proxy}{trust}"),
    );
}
