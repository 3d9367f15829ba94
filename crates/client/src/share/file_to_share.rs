//! A file to share, and what its owner says of it.

use balcony_sharing::Disposition;
use balcony_wire::reading::LangText;

use super::FileFrom;
use crate::bits::SmallPicture;

/// A file to share, and what is to be said of it. Where there is nothing to say, a path is enough.
///
/// ```
/// # use balcony_client::FileToShare;
/// let file = FileToShare::new("IMG_2041.jpg").name("summit.jpg").describe("The view from the summit");
/// ```
#[must_use = "it is shared by handing it to one of the ways to share"]
#[derive(Clone, Debug)]
pub struct FileToShare {
    pub(crate) from: FileFrom,
    /// Names the share within its message, where that was said already; else it gets a new one.
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) descriptions: Vec<LangText>,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) picture: Option<SmallPicture>,
}

impl FileToShare {
    /// A file of which nothing is said but what is in it.
    pub fn new(from: impl Into<FileFrom>) -> Self {
        Self { from: from.into(), id: None, name: None, descriptions: Vec::new(), disposition: None, picture: None }
    }

    /// What is in the file, for people and for screen readers.
    pub fn describe(self, text: impl Into<String>) -> Self {
        Self { descriptions: vec![LangText::plain(text)], ..self }
    }

    /// Another name than its own.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// To be shown or to be kept; else plain pictures, sound and film are to be shown, everything else kept.
    pub fn disposition(self, disposition: Disposition) -> Self {
        Self { disposition: Some(disposition), ..self }
    }

    /// A small picture of the file, for those who cannot or do not want to fetch it. It goes along in the message and shows what is
    /// in the file to everybody who keeps the message.
    pub fn thumbnail(self, picture: SmallPicture) -> Self {
        Self { picture: Some(picture), ..self }
    }
}

impl<F: Into<FileFrom>> From<F> for FileToShare {
    fn from(from: F) -> Self {
        Self::new(from)
    }
}
