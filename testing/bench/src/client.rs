//! The shortest driver for [`ClientStream`]: STARTTLS, one authority, no reconnection.

use std::time::Instant;

use balcony_session::client::{Action, ClientConfig, ClientStream, Credentials};
use balcony_session::{ChannelBindings, Security};
use balcony_wire::Jid;
use testing_peers::Endpoints;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig as TlsConfig, RootCertStore};

use crate::Result;

/// A client that is logged in.
pub(crate) struct Client {
    pub(crate) stream: ClientStream,
    connection: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// What connecting needs; made once, so that it is not measured.
pub(crate) struct Site {
    endpoints: Endpoints,
    tls: TlsConnector,
    name: ServerName<'static>,
}

impl Site {
    pub(crate) fn read(file: &std::path::Path) -> Result<Self> {
        let endpoints = Endpoints::read(file)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(endpoints.ca())? {
            roots.add(certificate?)?;
        }
        let tls = TlsConnector::from(std::sync::Arc::new(TlsConfig::builder().with_root_certificates(roots).with_no_client_auth()));
        let name = ServerName::try_from(endpoints.domain().to_owned())?;
        Ok(Self { endpoints, tls, name })
    }

    pub(crate) fn jid(&self, user: &str) -> String {
        self.endpoints.jid(user)
    }

    /// The SOCKS5 proxy.
    pub(crate) fn proxy(&self) -> &str {
        self.endpoints.get("PROXY65_JID")
    }

    fn config(&self, user: &str) -> Result<ClientConfig> {
        let password = self.endpoints.password(user).to_owned();
        let account = Jid::parse(&self.endpoints.jid(user))?.into_bare()?;
        let mut config = ClientConfig::new(account, Credentials::Password(password));
        config.security = Security::StartTls;
        Ok(config)
    }

    /// Connects and logs in.
    pub(crate) async fn login(&self, user: &str) -> Result<Client> {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let mut stream = ClientStream::new(self.config(user)?, entropy, Instant::now());
        let mut plain = TcpStream::connect(self.endpoints.starttls()).await?;
        plain.set_nodelay(true)?;
        stream.handle_connected(Instant::now());
        let mut buffer = vec![0; 64 << 10];
        'starttls: loop {
            while let Some(action) = stream.poll_action() {
                match action {
                    Action::Write(bytes) => plain.write_all(&bytes).await?,
                    Action::StartTls => break 'starttls,
                    Action::Ended(end) => return Err(format!("{end:?}").into()),
                    _ => {}
                }
            }
            let read = plain.read(&mut buffer).await?;
            if read == 0 {
                return Err("the server closed the connection before TLS".into());
            }
            stream.handle_bytes(Instant::now(), &buffer[..read]);
        }
        let connection = self.tls.connect(self.name.clone(), plain).await?;
        let exporter = connection.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))?;
        stream.handle_tls(Instant::now(), ChannelBindings { exporter: Some(exporter.to_vec()), server_end_point: None });
        let mut client = Client { stream, connection, buffer };
        loop {
            for action in client.actions().await? {
                if matches!(action, Action::Online { .. }) {
                    return Ok(client);
                }
            }
            client.hear().await?;
        }
    }
}

impl Client {
    /// Writes what the machine wants written; what else it wants is returned.
    pub(crate) async fn actions(&mut self) -> Result<Vec<Action>> {
        let mut others = Vec::new();
        while let Some(action) = self.stream.poll_action() {
            match action {
                Action::Write(bytes) => self.connection.write_all(&bytes).await?,
                Action::Ended(end) => return Err(format!("{end:?}").into()),
                other => others.push(other),
            }
        }
        self.connection.flush().await?;
        Ok(others)
    }

    /// Waits for bytes and hands them to the machine. Dropping it loses none.
    pub(crate) async fn hear(&mut self) -> Result<()> {
        let read = self.connection.read(&mut self.buffer).await?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        self.stream.handle_bytes(Instant::now(), &self.buffer[..read]);
        Ok(())
    }
}
