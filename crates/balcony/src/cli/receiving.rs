//! What can be typed to get the files of others.

use std::path::PathBuf;

use balcony_store::OnClash;
use clap::{Args, ValueHint};

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
#[command(after_help = "\
Files of contacts that your rules allow are saved at once; for all others you are asked here, or told how to fetch them \
later. `balcony policy` shows the rules. ^C stops what is under way and keeps what is there of it; the next `balcony \
receive` goes on with it, or says what to do. What others may have from this device is given while this runs.

Examples:
  balcony receive --into ~/Downloads
  balcony receive --count 1 --timeout 600 --from romeo@example.org
  balcony receive --yes --relay-only")]
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
    /// Answer every question with yes: what would reveal your address to a stranger's host or to a person's device, or is larger than
    /// the policy fetches unasked.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show your address to no device of others: sessions go by way of servers, or not at all.
    #[arg(long)]
    pub(crate) relay_only: bool,
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
    #[arg(value_name = "OFFER", value_parser = parse_offer)]
    pub(crate) offer: i64,
    /// Save the file here.
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) into: PathBuf,
    /// Answer the questions with yes.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show your address to no device of others: sessions go by way of servers, or not at all.
    #[arg(long, conflicts_with = "discard")]
    pub(crate) relay_only: bool,
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
    #[arg(value_name = "OFFER", value_parser = parse_offer)]
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
    #[arg(value_name = "OFFER", value_parser = parse_offer)]
    pub(crate) offer: i64,
}

fn parse_offer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "an offer is a number, as `balcony list` shows it".to_owned())
}
