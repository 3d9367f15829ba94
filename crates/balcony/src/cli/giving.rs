//! What can be typed to give files from this device, and about the rules for that.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::{RuleAction, Said};

/// `balcony share-live`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The bytes go from this device to theirs while this command runs; nothing is uploaded unless you say --upload. Who takes \
a file sees the address of this device, because you named them here; with --relay-only the bytes go through servers and \
no address is shown. `balcony give` has the rules that hold for everybody.

They see the offer at once. They can have the file while this command runs and both are online; with --upload one offer \
has the link and this device, and what remains is used. ^C ends it: what is under way is told so.

Examples:
  balcony share-live summit.jpg --to juliet@example.org
  balcony share-live film.mkv --to juliet@example.org --relay-only --for 2h
  balcony share-live summit.jpg --to juliet@example.org --upload")]
pub(crate) struct ShareLive {
    /// The files. What a symbolic link leads to is shared, under the name of the link; folders and devices are not.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Who may have them. Who is no contact is shown that this device is there, as long as this runs.
    #[arg(long, required = true, value_name = "JID")]
    pub(crate) to: Vec<String>,
    /// Upload them as well: one offer with a link and this device.
    #[arg(long)]
    pub(crate) upload: bool,
    /// Never show the address of this device: the bytes go through a proxy or through the servers, which is slower.
    #[arg(long)]
    pub(crate) relay_only: bool,
    /// Stop after this time, such as 30m, 2h or 1d [default: until ^C].
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub(crate) lasts: Option<Duration>,
    #[command(flatten)]
    pub(crate) said: Said,
    /// Show the message that carries the offer.
    #[arg(long)]
    pub(crate) show_xml: bool,
}

/// `balcony give`
#[derive(Debug, Args)]
#[command(after_help = "\
Others may ask this device for a file while `balcony receive` or `balcony share-live` runs: for one that was shared \
live, or by its digest. Who may not have it hears the same as for a file that is not here. The first rule that is about \
who asks and what they ask for decides; where none is, they get nothing.")]
#[command(mut_subcommand("show", |show| show.about(SHOW)), mut_subcommand("add", |add| add.after_help(RULES)))]
pub(crate) struct Give {
    #[command(subcommand)]
    pub(crate) action: Option<RuleAction>,
}

const SHOW: &str = "Show them with their numbers, as written and in whole sentences, and what is shared live just now";

/// How a rule is written.
const RULES: &str = "\
A rule is a sentence: VERDICT WHO [SIZE] [TYPES] [at SPEED] [WAY] [even unoffered]

  VERDICT   give, never, or announce (after a file of theirs was fetched and proved, say in that
            conversation that it can be had here, too)
  WHO       everybody, contacts, strangers, own-devices, group NAME, an address
  SIZE      up to 10 MiB, over 1 GiB
  TYPES     image/*, application/pdf
  SPEED     256 KiB/s: at most so much for each transfer
  WAY       directly: they see the address of this device; by relay: never; else as it was shared
  even unoffered: also files of the store that were not offered to them, if they know a digest

Commas stand between several of a kind. The first rule that is about a request decides.

Examples:
  balcony give add give group Family directly
  balcony give add give strangers at 256 KiB/s by relay
  balcony give add never romeo@example.org
  balcony give add announce contacts 'image/*' up to 20 MiB";

/// Reads `90s`, `30m`, `2h`, `1d`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds: u64 = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("a time is a number of seconds, minutes, hours or days, such as 30m, 2h or 1d".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a time begins with a number, such as 30m".to_owned())?;
    let all = number.checked_mul(seconds).filter(|seconds| *seconds > 0 && *seconds <= 366 * 24 * 60 * 60);
    all.map(Duration::from_secs).ok_or_else(|| "that is no time to share something for".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lasts_seconds_minutes_hours_or_days() {
        let seconds = |seconds: u64| Ok(Duration::from_secs(seconds));
        assert_eq!((parse_time("90s"), parse_time("30m"), parse_time(" 2 h")), (seconds(90), seconds(1_800), seconds(7_200)));
        for bad in ["", "90", "m", "0s", "-1d", "1.5h", "1w", "99999999999999999999d", "400d"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
