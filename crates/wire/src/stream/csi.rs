//! XEP-0352 Client state indication, v1.0.0 <https://xmpp.org/extensions/xep-0352.html>

use crate::ns;
use crate::payload::empty;

/// A person looks at the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Active;

/// Nobody looks: the server may hold back what can wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inactive;

empty!(Active, "active", ns::CSI);
empty!(Inactive, "inactive", ns::CSI);
