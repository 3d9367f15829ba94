//! A server for trying things out: `serve FOLDER NAME:PASSWORD…` runs until ^C and writes `FOLDER/endpoints`, lines of
//! `KEY=VALUE` that tell test programs where it is.

use std::path::PathBuf;

use balcony_server::{AccountError, Server, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let accounts: Vec<String> = arguments.collect();
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let mut settings = Settings::new("localhost", &folder);
    settings.scram_iterations = 4096;
    let server = Server::start(settings).await?;
    for account in &accounts {
        let (name, password) = account.split_once(':').ok_or("accounts are given as NAME:PASSWORD")?;
        match server.add_account(name, password).await {
            Ok(()) | Err(AccountError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let ca = folder.join("authority.crt");
    let endpoints = format!(
        "NAME=ours\nDOMAIN=localhost\nIP={}\nC2S_PORT={}\nC2S_TLS_PORT={}\nHTTPS_PORT={}\nPROXY65_PORT={}\nPROXY65_JID=proxy.localhost\nACCOUNTS={}\nCA={}\n",
        server.c2s_addr().ip(),
        server.c2s_addr().port(),
        server.c2s_tls_addr().port(),
        server.https_addr().port(),
        server.proxy_addr().map_or(0, |proxy| proxy.port()),
        accounts.join(","),
        std::fs::canonicalize(ca)?.display(),
    );
    // Written beside and renamed: whoever waits for the file finds all of it.
    std::fs::write(folder.join("endpoints.new"), &endpoints)?;
    std::fs::rename(folder.join("endpoints.new"), folder.join("endpoints"))?;
    print!("{endpoints}");
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
