//! What can be typed after `balcony files`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};

use super::{Clash, parse_size};

/// Files that `balcony files list` shows unless it is told otherwise.
pub(crate) const LISTED: u32 = 100;

/// `balcony files`
#[derive(Debug, Args)]
pub(crate) struct Files {
    #[command(subcommand)]
    pub(crate) action: Option<FilesAction>,
}

/// What to do with the files that are kept here. FILE is the number of an offer, a digest, or its first six digits or more.
#[derive(Debug, Subcommand)]
pub(crate) enum FilesAction {
    /// List them, the last used at the end.
    List {
        /// At most this many, those used last.
        #[arg(long, default_value_t = LISTED, value_name = "N")]
        limit: u32,
    },
    /// Keep a file whatever is swept.
    Pin {
        /// Number of its offer, or its digest.
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Let sweeps take it again.
    Unpin {
        /// Number of its offer, or its digest.
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Save a copy of a file in a folder, as `fetch` does.
    Export(Export),
    /// Make room: remove files that need not be kept. Never those that are pinned, in use, or in a message that is not out yet.
    Sweep(Sweep),
    /// Show or change what is kept. Unless something is set, that is everything.
    Retention {
        #[command(subcommand)]
        action: Option<RetentionAction>,
    },
    /// Read every byte again and say which files are not whole any more. A harmed one is put aside, and can be fetched again.
    Check {
        /// Only this one: number of its offer, or its digest.
        #[arg(value_name = "FILE")]
        file: Option<String>,
    },
}

/// `balcony files export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Number of its offer, or its digest.
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
    /// Save it here.
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) into: PathBuf,
    /// Under this name instead of the one it was offered under.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) clash: Clash,
}

/// What goes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Keep {
    /// So much is kept in all, such as 10G; the longest unused go first.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) keep_total: Option<u64>,
    /// Files that nobody used for so long go, such as 90d, 12w or 36h.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) older_than: Option<Duration>,
    /// Only files larger than this go, such as 1G; with a time of their own as 1G=30d. May be given several times.
    #[arg(long, value_name = "SIZE[=TIME]", value_parser = parse_large)]
    pub(crate) larger_than: Vec<Large>,
}

/// Large files, and how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Large {
    /// Larger than so many bytes.
    pub(crate) bytes: u64,
    /// Unused for so long.
    pub(crate) unused_for: Option<Duration>,
}

/// `balcony files sweep`
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Only say what would go.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

/// What to do with the retention.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionAction {
    /// Show it.
    Show,
    /// Replace it. `balcony receive` goes by it when it begins, and `balcony files sweep` without options.
    Set {
        #[command(flatten)]
        keep: Keep,
        /// Keep everything.
        #[arg(long = "keep-everything", conflicts_with_all = ["keep_total", "older_than", "larger_than"])]
        everything: bool,
    },
}

/// Reads `36h`, `90d`, `12w`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds: u64 = match unit.trim() {
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err("a time is a number of hours, days or weeks, such as 36h, 90d or 12w".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a time begins with a number, such as 90d".to_owned())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 100 * 366 * 24 * 60 * 60)
        .map(Duration::from_secs)
        .ok_or_else(|| "that is too long".to_owned())
}

/// Reads `1G` or `1G=30d`.
fn parse_large(text: &str) -> Result<Large, String> {
    match text.split_once('=') {
        Some((size, time)) => Ok(Large { bytes: parse_size(size)?, unused_for: Some(parse_time(time)?) }),
        None => Ok(Large { bytes: parse_size(text)?, unused_for: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hours_days_or_weeks() {
        let hours = |hours: u64| Ok(Duration::from_secs(hours * 3_600));
        assert_eq!((parse_time("36h"), parse_time("90d"), parse_time(" 2 w")), (hours(36), hours(90 * 24), hours(14 * 24)));
        for bad in ["", "90", "d", "-1d", "1m", "1.5d", "99999999999999999999d", "200000w"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_large("1G=30d"), Ok(Large { bytes: 1 << 30, unused_for: Some(Duration::from_secs(30 * 24 * 3_600)) }));
        assert!(parse_large("=30d").is_err() && parse_large("1G=").is_err());
    }
}
