//! Both directions of one connection: bytes in to frames, elements out to one buffer.

use balcony_wire::Element;
use balcony_wire::framing::{Frame, Framing, FramingError, Limits, StreamHead, writer};

/// The framing of what comes and the buffer of what goes.
pub(crate) struct Line {
    framing: Framing,
    out: Vec<u8>,
    open: bool,
}

impl Line {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { framing: Framing::new(limits), out: Vec::new(), open: false }
    }

    /// Our stream header.
    pub(crate) fn open(&mut self, head: &StreamHead) {
        writer::write_open(head, &mut self.out);
        self.open = true;
    }

    /// An element; returns its size in bytes.
    pub(crate) fn say(&mut self, element: &Element) -> usize {
        let before = self.out.len();
        writer::write_element(element, &mut self.out);
        self.out.len() - before
    }

    /// Takes back the last `size` bytes said.
    pub(crate) fn unsay(&mut self, size: usize) {
        self.out.truncate(self.out.len().saturating_sub(size));
    }

    /// Whether a header of ours is out and no closing tag.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes that came and were not looked at yet.
    pub(crate) fn unread(&self) -> usize {
        self.framing.unread()
    }

    /// Our closing tag, once, if there was a header.
    pub(crate) fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            writer::write_close(&mut self.out);
        }
    }

    /// The connection is gone: what was not sent never will be.
    pub(crate) fn cut(&mut self) {
        self.out = Vec::new();
        self.open = false;
    }

    /// What was said since the last call.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// Bytes that come while a handshake is under way: that there were any is all that matters.
    pub(crate) fn hear_early(&mut self, bytes: &[u8]) {
        if self.framing.unread() == 0 {
            self.framing.push(&bytes[..bytes.len().min(1)]);
        }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.framing.push(bytes);
    }

    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        self.framing.next_frame()
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.framing.set_limits(limits);
    }

    /// The handshake begins: nothing more may be said on this side of it.
    pub(crate) fn hush(&mut self) {
        self.open = false;
    }

    /// A new stream inside TLS: bytes that came before it are an attack, and the call says whether there were any.
    pub(crate) fn restart_encrypted(&mut self) -> bool {
        self.open = false;
        self.framing.restart() > 0
    }

    /// A new stream after login.
    pub(crate) fn restart_logged_in(&mut self) {
        self.open = false;
        self.framing.restart_keeping();
    }
}

impl std::fmt::Debug for Line {
    /// Without what is said: with PLAIN that is the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("open", &self.open).field("unsent", &self.out.len()).finish_non_exhaustive()
    }
}
