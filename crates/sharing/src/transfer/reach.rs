//! Whether the other side of a session may learn where we are.

/// By which way the bytes of a session may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Also directly: own addresses are offered, those of the peer are dialled.
    Direct,
    /// By what lies between: proxies and in-band. Own addresses are never offered, the peer's own are never dialled. Nor
    /// are proxies that only the peer names: what it calls a proxy may be the peer itself.
    Relay,
}
