//! What can be typed. The words here are the manual: `--help`, the man pages and the completions are made from them.

pub(crate) mod files;

use std::net::IpAddr;
use std::path::PathBuf;

use balcony_store::OnClash;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use files::{Export, Files, FilesAction, Keep, RetentionAction, Sweep};

/// Shares files over XMPP: offers that reach every device, bytes that are checked before they are kept.
#[derive(Debug, Parser)]
#[command(
    name = "balcony",
    version,
    max_term_width = 100,
    propagate_version = true,
    after_help = "Start with `balcony try`. Exit codes are listed in `balcony help-exit-codes`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Print one JSON object per event instead of words.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only results: no progress, no steps.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Write a log to standard error; twice for more. Addresses and file names are left out of it.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Which account to use, when there are several.
    #[arg(long, global = true, value_name = "JID", env = "BALCONY_ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Where accounts, offers and files are kept [default: the system's place for data of this user].
    #[arg(long, global = true, value_name = "DIR", env = "BALCONY_HOME", value_hint = ValueHint::DirPath)]
    pub(crate) home: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it all work: a server, two accounts, a file from one to the other, checked.
    Try(Try),
    /// Run a server: accounts, messages, uploads in one process.
    Serve(Serve),
    /// Log in to an account and remember it (its salted keys, not its password).
    Login(Login),
    /// List, choose and forget accounts.
    Accounts(Accounts),
    /// Send files to somebody.
    Send(Send),
    /// Say of a file that was offered before where it can be had as well: a fresh upload where the old one is gone, or a link.
    Attach(Attach),
    /// List and go on with what is not out yet.
    Outbox(Outbox),
    /// Wait for files that others send.
    Receive(Receive),
    /// List the files that were offered.
    List(List),
    /// Fetch a file that was offered.
    Fetch(Fetch),
    /// Write the small picture of a file that was offered to a file.
    Thumbnail(Thumbnail),
    /// Say where a file could be had, in which order, what that reveals, and what was left out.
    Why(Why),
    /// What is kept here: list it, keep it for good, make room, check that it is whole. Offline.
    Files(Files),
    /// Show and change the rules by which files are fetched, asked about or left alone.
    Policy(Policy),
    /// List, add and remove contacts: the rules tell them from strangers.
    Contacts(Contacts),
    /// Say what a stanza offers: read it from a file or standard input, offline.
    Explain(Explain),
    /// Write the message that would offer a file which lies at a URL already, offline.
    Draft(Draft),
    /// Say what the account's server can do, in plain words.
    Doctor,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder; it is made if missing.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        into: PathBuf,
    },
    /// List the exit codes.
    HelpExitCodes,
}

/// `balcony try`
#[derive(Debug, Args)]
pub(crate) struct Try {
    /// Files to send; without any, a picture is made.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Keep the received files in this folder; without it, everything is removed at the end.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) into: Option<PathBuf>,
    /// Show the message that carries the offer.
    #[arg(long)]
    pub(crate) show_xml: bool,
}

/// `balcony serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The domain of the addresses: accounts are NAME@DOMAIN.
    #[arg(long, default_value = "localhost")]
    pub(crate) domain: String,
    /// Where accounts, messages and uploads are kept [default: `server` in the home of this program].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) listen: IpAddr,
    /// Port for clients that start TLS on the stream; 0 takes a free one.
    #[arg(long, default_value_t = 5222)]
    pub(crate) port: u16,
    /// Port for clients that begin with TLS; 0 takes a free one.
    #[arg(long, default_value_t = 5223)]
    pub(crate) tls_port: u16,
    /// Port for uploads and downloads; 0 takes a free one.
    #[arg(long, default_value_t = 5281)]
    pub(crate) https_port: u16,
    /// Certificate chain for the domain, as PEM; without one, an authority and a certificate are made.
    #[arg(long, value_name = "FILE", requires = "key", value_hint = ValueHint::FilePath)]
    pub(crate) certificate: Option<PathBuf>,
    /// Private key of the certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "certificate", value_hint = ValueHint::FilePath)]
    pub(crate) key: Option<PathBuf>,
    /// Largest upload, such as 100M or 4G.
    #[arg(long, default_value = "1G", value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_upload: u64,
    /// What one account may keep on the server, such as 10G.
    #[arg(long, default_value = "10G", value_name = "SIZE", value_parser = parse_size)]
    pub(crate) quota: u64,
    /// Days until an upload is deleted.
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub(crate) keep: u32,
    /// Write the ports, the authority and the domain as KEY=VALUE lines to this file once the server is ready.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) endpoints: Option<PathBuf>,
    /// Make or change an account before serving; its password is read from standard input, one line for each name.
    #[arg(long = "add-account", value_name = "NAME")]
    pub(crate) add_accounts: Vec<String>,
}

/// How to reach a server; asked once at login and remembered.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Connect to this host and port instead of what the domain's DNS says.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,
    /// Begin with TLS on that port (XEP-0368) instead of STARTTLS.
    #[arg(long, requires = "server")]
    pub(crate) direct_tls: bool,
    /// Trust this authority too, as PEM.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// Let everything of this account go through a proxy, names included: socks5://HOST:PORT, tor://HOST:PORT, or tor. `none` ends that.
    /// One with a password is taken from BALCONY_PROXY.
    #[arg(long, value_name = "PROXY")]
    pub(crate) proxy: Option<String>,
}

/// `balcony login`
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The account's address.
    #[arg(value_name = "JID")]
    pub(crate) jid: String,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Accept a weaker login than this server offered before: after its administrator has changed it, and said so.
    #[arg(long)]
    pub(crate) accept_weaker_login: bool,
    /// Read the password from standard input. Else it is taken from BALCONY_PASSWORD, or asked for.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// `balcony accounts`
#[derive(Debug, Args)]
pub(crate) struct Accounts {
    #[command(subcommand)]
    pub(crate) action: Option<AccountsAction>,
}

/// What to do with the remembered accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountsAction {
    /// List them; the default one is marked.
    List,
    /// Use this one unless another is named.
    Default {
        /// The account's address.
        jid: String,
    },
    /// Forget this one and its keys. Files and offers stay.
    Remove {
        /// The account's address.
        jid: String,
    },
}

/// `balcony send`
#[derive(Debug, Clone, Args)]
pub(crate) struct Send {
    /// The files; `-` is standard input, which needs a --name. What a symbolic link leads to is sent, under the name of the link;
    /// folders and devices are not.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Whom to send them to.
    #[arg(long, required = true, value_name = "JID")]
    pub(crate) to: Vec<String>,
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

/// What to do when a file of that name is there already.
#[derive(Debug, Clone, Args)]
#[group(id = "clash", multiple = false)]
pub(crate) struct Clash {
    /// When the name is taken, save as `name (1).ext`; so it is without a word.
    #[arg(long)]
    rename: bool,
    /// When the name is taken, replace that file, all at once.
    #[arg(long)]
    overwrite: bool,
    /// When the name is taken, fail and leave both as they are.
    #[arg(long)]
    refuse: bool,
}

impl Clash {
    pub(crate) fn choice(&self) -> OnClash {
        match (self.overwrite, self.refuse) {
            (true, _) => OnClash::Overwrite,
            (_, true) => OnClash::Refuse,
            (false, false) => OnClash::Rename,
        }
    }
}

/// `balcony receive`
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// Save files here.
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) into: PathBuf,
    /// Stop after this many files.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Stop after this many seconds without a file.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Only from this address; may be given several times.
    #[arg(long, value_name = "JID")]
    pub(crate) from: Vec<String>,
    /// Answer every question with yes: what would reveal your address to a stranger's host, or is larger than the policy fetches unasked.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Bytes cost money on this network: only rules that say `even metered` fetch unasked.
    #[arg(long)]
    pub(crate) metered: bool,
    /// Fetch nothing unasked, not even small files of contacts.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) ask: bool,
    #[command(flatten)]
    pub(crate) clash: Clash,
    /// Show each message that carries an offer.
    #[arg(long)]
    pub(crate) show_xml: bool,
    /// Fetch so many files at the same time.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
}

/// `balcony list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only what was shared with this address.
    #[arg(long, value_name = "JID")]
    pub(crate) with: Option<String>,
    /// Say which have a small picture, and where that is; `balcony thumbnail` writes it to a file.
    #[arg(long)]
    pub(crate) thumbnails: bool,
    /// At most this many, the latest.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: u32,
}

/// `balcony fetch`
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Number of the offer, as `balcony list` shows it.
    #[arg(value_name = "OFFER")]
    pub(crate) offer: i64,
    /// Save the file here.
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) into: PathBuf,
    /// Answer the questions with yes.
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) clash: Clash,
    /// Throw away what is there of a file that was not fetched to its end, instead of fetching it.
    #[arg(long, conflicts_with_all = ["into", "yes", "clash"])]
    pub(crate) discard: bool,
    /// Write the file to standard output, once all of it is there and checked, instead of saving it.
    #[arg(long, conflicts_with_all = ["into", "clash", "discard"])]
    pub(crate) stdout: bool,
}

/// `balcony thumbnail`
#[derive(Debug, Args)]
pub(crate) struct Thumbnail {
    /// Number of the offer, as `balcony list` shows it.
    #[arg(value_name = "OFFER")]
    pub(crate) offer: i64,
    /// Write it to this file, which must not be there yet, or into this folder.
    #[arg(long, value_name = "FILE|DIR", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub(crate) into: PathBuf,
    /// Answer the questions with yes.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `balcony why`
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Number of the offer, as `balcony list` shows it.
    #[arg(value_name = "OFFER")]
    pub(crate) offer: i64,
}

/// `balcony policy`
#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) action: Option<PolicyAction>,
}

/// How a rule is written.
const RULES: &str = "\
A rule is a sentence: VERDICT WHO [SIZE] [TYPES] [from PLACES] [CONDITIONS]

  VERDICT     fetch (unasked), ask, never
  WHO         everybody, contacts, strangers, own-devices, group NAME, an address,
              rooms, private-rooms (for members only), public-rooms, room ADDRESS
  SIZE        up to 10 MiB, over 1 GiB; a size nobody says counts as large
  TYPES       image/*, application/pdf: what the sender says that it is
  PLACES      message (the bytes came in it), own-server, senders-device (over XMPP),
              senders-server, third-hosts, peers
  CONDITIONS  after fetch: even unproven, even metered, even attached
              after ask and never: if unproven, if metered, if attached
              (unproven: no hash proves it; metered: bytes cost money; attached: somebody
              else than the sender says where it is)

Commas stand between several of a kind. The first rule that is about a file decides.

Examples:
  balcony policy add fetch group Family up to 50 MiB 'image/*' from own-server, senders-server
  balcony policy add never strangers over 1 MiB
  balcony policy add ask everybody if metered
  balcony policy add fetch juliet@example.org even unproven";

/// What to do with the rules.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyAction {
    /// Show them with their numbers, as written and in whole sentences.
    Show,
    /// Add one, before all others unless told otherwise.
    #[command(after_help = RULES)]
    Add {
        /// The rule, in one or several words; quote what the shell would change, such as 'image/*'.
        #[arg(required = true, value_name = "RULE")]
        rule: Vec<String>,
        /// Give it this number.
        #[arg(long, value_name = "N")]
        at: Option<usize>,
    },
    /// Remove one.
    Remove {
        /// Its number.
        #[arg(value_name = "N")]
        number: usize,
    },
    /// Move one to another place.
    Move {
        /// Its number.
        #[arg(value_name = "N")]
        number: usize,
        /// The number it is to have.
        #[arg(value_name = "TO")]
        to: usize,
    },
    /// Say which rule decides about a file, and why the others do not. Nothing is fetched.
    Test(PolicyTest),
    /// Go back to the rules everybody begins with.
    Reset,
}

/// `balcony policy test`
#[derive(Debug, Args)]
pub(crate) struct PolicyTest {
    /// Number of an offer, as `balcony list` shows it, or a file with a message that offers one.
    #[arg(value_name = "OFFER|FILE", value_hint = ValueHint::FilePath)]
    pub(crate) what: String,
    /// As if bytes cost money on this network.
    #[arg(long)]
    pub(crate) metered: bool,
    /// As if the message came from such a room.
    #[arg(long, value_enum)]
    pub(crate) room: Option<RoomArg>,
}

/// Who may enter a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoomArg {
    /// Members only.
    Private,
    /// Anybody.
    Public,
}

/// `balcony contacts`
#[derive(Debug, Args)]
pub(crate) struct Contacts {
    #[command(subcommand)]
    pub(crate) action: Option<ContactsAction>,
}

/// What to do with contacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactsAction {
    /// List them, with their groups.
    List,
    /// Make somebody a contact, or put a contact into further groups. They are asked to show when they are there, and may see when you
    /// are.
    Add {
        /// Their address.
        jid: String,
        /// A group they belong to, for rules such as `fetch group Family`; may be given several times.
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// What you call them.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Tell them nothing: neither sees when the other is there.
        #[arg(long)]
        one_sided: bool,
    },
    /// Make somebody a stranger again; neither sees any more when the other is there.
    Remove {
        /// Their address.
        jid: String,
    },
}

/// `balcony explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A file with one stanza; standard input without it or with `-`.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Read it as this account would: carbons and archive results are judged only then.
    #[arg(long = "as", value_name = "JID")]
    pub(crate) own: Option<String>,
    /// The archive query that is open.
    #[arg(long, value_name = "ID")]
    pub(crate) query: Option<String>,
}

/// `balcony draft`
#[derive(Debug, Args)]
pub(crate) struct Draft {
    /// The file the message is about; it is read for its digests.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Where it lies.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: String,
    /// Whom the message is for.
    #[arg(long, value_name = "JID")]
    pub(crate) to: Option<String>,
    /// What is in the file, for people and for screen readers.
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) describe: Option<String>,
    /// Ask the other side to show it or to keep it.
    #[arg(long, value_enum)]
    pub(crate) disposition: Option<DispositionArg>,
}

/// Reads `100`, `64K`, `100M`, `4G` (powers of 1024).
fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim().trim_end_matches(['B', 'b']).trim_end_matches('i').to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("{unit} is no unit, take K, M, G or T")),
    };
    let number: u64 = digits.parse().map_err(|_| "a size begins with a number, such as 100M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_with_units() {
        assert_eq!(parse_size("100"), Ok(100));
        assert_eq!(parse_size("64K"), Ok(64 << 10));
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
        assert!(parse_size("many").is_err());
        assert!(parse_size("99999999999T").is_err());
    }
}
