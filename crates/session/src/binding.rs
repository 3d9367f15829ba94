//! What ties a login to the TLS connection below it.
//!
//! RFC 5929, RFC 9266.
//! XEP-0440 SASL channel-binding type capability, v1.0.0 <https://xmpp.org/extensions/xep-0440.html>

/// The channel binding data of one TLS connection, as the driver got it from its TLS library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266): 32 bytes exported with label `EXPORTER-Channel-Binding` and an empty context.
    /// `None` where the connection cannot give it.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point` (RFC 5929): the hash of the server's certificate. `None` where the certificate's
    /// signature algorithm has no hash.
    pub server_end_point: Option<Vec<u8>>,
}

/// A kind of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingKind {
    /// RFC 9266, today's own kind.
    Exporter,
    /// RFC 5929, survives a terminating proxy that has the server's certificate.
    ServerEndPoint,
}

impl BindingKind {
    /// Both, the better one first.
    pub const ALL: [Self; 2] = [Self::Exporter, Self::ServerEndPoint];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exporter => "tls-exporter",
            Self::ServerEndPoint => "tls-server-end-point",
        }
    }

    /// The kind of a name; `None` for `tls-unique` and others.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl ChannelBindings {
    /// A connection that cannot be bound to.
    pub const NONE: Self = Self { exporter: None, server_end_point: None };

    /// The data of one kind.
    pub fn get(&self, kind: BindingKind) -> Option<&[u8]> {
        match kind {
            BindingKind::Exporter => self.exporter.as_deref(),
            BindingKind::ServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// The kinds there is data for, the better one first.
    pub fn kinds(&self) -> impl Iterator<Item = BindingKind> {
        BindingKind::ALL.into_iter().filter(|kind| self.get(*kind).is_some())
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.kinds().next().is_some()
    }

    /// The best kind we have and the server knows. `advertised` is what XEP-0440 said; without it there is none.
    ///
    /// COMPAT(ejabberd 23.01): it offers `-PLUS`, says no kinds and means `tls-unique`, also with TLS 1.3 where RFC 9266 makes
    /// the exporter the default. A guess that is wrong looks like a wrong password.
    pub fn choose<S: AsRef<str>>(&self, advertised: Option<&[S]>) -> Option<BindingKind> {
        let names = advertised?;
        self.kinds().find(|kind| names.iter().any(|name| name.as_ref() == kind.name()))
    }
}
