//! Small data over XMPP: asked of others, handed out to those who were told of it, and thumbnails.
//!
//! XEP-0231 Bits of binary, v1.1 <https://xmpp.org/extensions/xep-0231.html>

mod asking;
mod fetch;
mod hand_out;
mod picture;
mod thumbnail;

pub(crate) use asking::Asker;
pub(crate) use fetch::fetch;
pub(crate) use hand_out::{HandOut, is_for_us};
pub use picture::{NoSmallPicture, SmallPicture};
pub use thumbnail::{NoThumbnail, ThumbnailBytes};
