//! What can be typed. The words here are the manual: `--help`, the man pages and the completions are made from them.

pub(crate) mod files;
mod giving;
mod receiving;
mod rules;
mod sending;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

pub(crate) use giving::{Give, ShareLive};
pub(crate) use receiving::{Clash, Fetch, List, Receive, Thumbnail, Why};
pub(crate) use rules::{Contacts, ContactsAction, Policy, PolicyAction, PolicyTest, RoomArg, RuleAction};
pub(crate) use sending::{Attach, DispositionArg, Outbox, OutboxAction, Said, Send};

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
    /// Give files from this device to somebody while this runs, without uploading them.
    ShareLive(ShareLive),
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
    /// Show and change the rules by which this device gives files to others.
    Give(Give),
    /// List, add and remove contacts: the rules tell them from strangers.
    ///
    /// `balcony receive` names those who ask to see when you are there; `contacts add` lets them.
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
    /// The address to listen on; `::` is all of this machine, of IPv4 and IPv6.
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
    /// Port of the proxy, which carries files between clients that cannot reach each other; 0 takes a free one.
    #[arg(long, default_value_t = 7777)]
    pub(crate) proxy_port: u16,
    /// Tell clients to reach the proxy at this host [default: the address to listen on, or proxy.DOMAIN when it listens on all].
    #[arg(long, value_name = "HOST", conflicts_with = "no_proxy")]
    pub(crate) proxy_host: Option<String>,
    /// Tell clients this port of the proxy, where it is another one from outside.
    #[arg(long, value_name = "PORT", conflicts_with = "no_proxy")]
    pub(crate) proxy_public_port: Option<u16>,
    /// What the proxy carries for one account in a second, such as 10M [default: as fast as it goes].
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "no_proxy")]
    pub(crate) proxy_rate: Option<u64>,
    /// No proxy.
    #[arg(long)]
    pub(crate) no_proxy: bool,
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
    fn what_stands_behind_the_help_is_wrapped_once() {
        for command in Cli::command().get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let broken = after.lines().find(|line| line.starts_with(char::is_lowercase));
            assert_eq!(broken, None, "{}: the terminal breaks lines, the text does not", command.get_name());
        }
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
