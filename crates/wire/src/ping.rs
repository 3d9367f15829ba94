//! XEP-0199 XMPP ping, v2.0.1 <https://xmpp.org/extensions/xep-0199.html>

use crate::ns;
use crate::payload::empty;

/// "Are you there?", in an iq of type get; answered by an empty result (an error answers it too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ping;

empty!(Ping, "ping", ns::PING);
