//! What can be typed to give files to others.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// `balcony send`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Without --direct the files are uploaded to the account's server, and a message tells where they are: it waits for those \
who are offline. Where ^C or a broken connection stopped that, the same command goes on, and nothing is told twice; \
`balcony outbox` shows what is not out yet.

With --direct nothing is uploaded. The other side has to be online, and each of you a contact of the other (`balcony \
contacts add JID`). Where it was stopped, the same command sends it again, and what is there already is not sent twice.

Examples:
  balcony send summit.jpg --to juliet@example.org --describe 'The view from the summit'
  tar c photos | balcony send - --name photos.tar --to juliet@example.org
  balcony send film.mkv --direct --to juliet@example.org
  balcony send film.mkv --direct --relay-only --to juliet@example.org")]
pub(crate) struct Send {
    /// The files; `-` is standard input, which needs a --name. What a symbolic link leads to is sent, under the name of the link;
    /// folders and devices are not.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Whom to send them to.
    #[arg(long, required = true, value_name = "JID")]
    pub(crate) to: Vec<String>,
    #[command(flatten)]
    pub(crate) said: Said,
    /// A small picture of the file for those who do not fetch it: PNG, JPEG or WebP of at most 8 KiB. It goes along in the message.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) thumbnail: Option<PathBuf>,
    /// Say what is coming before it is uploaded: the file is read once for its digests, the offer goes out, and the link follows
    /// when the upload is done.
    #[arg(long)]
    pub(crate) announce_first: bool,
    /// Show the message that carries the offer.
    #[arg(long)]
    pub(crate) show_xml: bool,
    /// Send them straight to a device of one person who is online, of any size, with nothing in between that keeps them. It waits for
    /// their answer. They learn your address, unless you say --relay-only.
    #[arg(long, conflicts_with_all = ["text", "disposition", "thumbnail", "announce_first", "show_xml"])]
    pub(crate) direct: bool,
    /// With --direct: by way of servers alone, so that the other side never learns your address. Slower where there is no proxy.
    #[arg(long, requires = "direct")]
    pub(crate) relay_only: bool,
}

/// What is said of the files that are given to others.
#[derive(Debug, Clone, Args)]
pub(crate) struct Said {
    /// What is in the file, for people and for screen readers.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) describe: Option<String>,
    /// Words that go with the files.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Offer it under this name instead of its own.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Ask the other side to show it (inline) or to keep it as a file (attachment) [default: inline for pictures, sound and video].
    #[arg(long, value_enum)]
    pub(crate) disposition: Option<DispositionArg>,
}

/// `balcony attach`
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Number of the offer, as `balcony list` shows it; or the file that was offered.
    #[arg(value_name = "OFFER|FILE")]
    pub(crate) what: String,
    /// Attach this link. It is fetched first: only what is the file that was offered is attached.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, conflicts_with = "file")]
    pub(crate) url: Option<String>,
    /// Upload this file, which must be the one that was offered [default: the copy that is kept here, or the file that was sent].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// With whom it was shared, where a file was offered to several.
    #[arg(long, value_name = "JID")]
    pub(crate) with: Option<String>,
}

/// `balcony outbox`
#[derive(Debug, Args)]
pub(crate) struct Outbox {
    #[command(subcommand)]
    pub(crate) action: Option<OutboxAction>,
}

/// What to do with the messages that are not out yet.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxAction {
    /// List them, and those that failed.
    List,
    /// Go on with them. `send` and `receive` do that as well before anything else.
    Resume,
    /// Try one that failed once more, now.
    Retry {
        /// Its id, as the list shows it.
        id: String,
    },
    /// Give one up that is to go; it stays in the list as failed.
    Drop {
        /// Its id, as the list shows it.
        id: String,
    },
}

/// How a file is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DispositionArg {
    /// To be shown.
    Inline,
    /// To be kept.
    Attachment,
}

impl From<DispositionArg> for balcony_sharing::Disposition {
    fn from(arg: DispositionArg) -> Self {
        match arg {
            DispositionArg::Inline => Self::Inline,
            DispositionArg::Attachment => Self::Attachment,
        }
    }
}
