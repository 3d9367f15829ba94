//! Rules of giving as text: one line each, with the words of the rules for fetching. See `docs/formats/giving.md`.
//!
//! ```text
//! give own-devices even unoffered directly
//! give group Family up to 1 GiB directly
//! give strangers at 256 KiB/s by relay
//! announce contacts image/* up to 20 MiB
//! ```

use std::fmt;
use std::str::FromStr;

use super::{Giving, GivingRule, GivingVerdict, Showing};
use crate::plan::{Reader, RuleError, Size, Who, joined, read_lines};

const VERDICTS: [GivingVerdict; 3] = [GivingVerdict::Give, GivingVerdict::Never, GivingVerdict::Announce];
const CLAUSE: &str = "a rule goes on with up to SIZE, over SIZE, a media type such as image/*, and a give rule also with at SIZE/s, directly, \
                      by relay, even unoffered";

impl FromStr for Giving {
    type Err = RuleError;

    /// Reads rules line by line; empty lines and those that begin with `#` are left out.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        read_lines(text, GivingRule::read).map(Self::new)
    }
}

impl FromStr for GivingRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::read(text, 1)
    }
}

impl GivingRule {
    fn read(line: &str, number: usize) -> Result<Self, RuleError> {
        let mut reader = Reader::new(line, number)?;
        let verdict = VERDICTS.into_iter().find(|verdict| reader.takes(verdict.as_str()));
        let verdict = verdict.ok_or_else(|| reader.wrong("a rule of giving begins with give, never or announce"))?;
        let mut rule = Self::new(verdict, reader.list(person)?);
        while let Some(word) = reader.peek().map(str::to_ascii_lowercase) {
            let at = reader.at;
            match word.as_str() {
                "up" | "over" => reader.bound(&mut rule.over, &mut rule.up_to)?,
                "at" | "directly" | "by" | "even" if verdict == GivingVerdict::Give => rule.read_manner(&mut reader, &word)?,
                "at" | "directly" | "by" | "even" => return Err(reader.wrong("only give rules say how something is given")),
                other if other.contains('/') => rule.types.extend(reader.list(Reader::media_type)?),
                _ => return Err(reader.wrong_at(at, CLAUSE)),
            }
        }
        reader.leaves_room(rule.over, rule.up_to)?;
        Ok(rule)
    }

    fn read_manner(&mut self, reader: &mut Reader, word: &str) -> Result<(), RuleError> {
        let at = reader.at;
        reader.at += 1;
        let showing = match word {
            "at" => {
                let rate = rate(reader)?;
                return reader.once(at, &mut self.rate, rate);
            }
            "even" => {
                if !reader.takes("unoffered") {
                    return Err(reader.wrong("say even unoffered"));
                }
                self.unoffered = true;
                return Ok(());
            }
            "directly" => Showing::Address,
            _ => {
                if !reader.takes("relay") {
                    return Err(reader.wrong("by goes on with \"relay\": by relay"));
                }
                Showing::NoAddress
            }
        };
        if self.showing != Showing::AsShared {
            return Err(reader.wrong_at(at, "the way is said twice"));
        }
        self.showing = showing;
        Ok(())
    }
}

/// `256 KiB/s`, `256KiB/s`.
fn rate(reader: &mut Reader) -> Result<u64, RuleError> {
    const RATE: &str = "say how fast, such as 256 KiB/s";
    let begin = reader.at;
    let ends = |at: usize, reader: &Reader| reader.tokens.get(at).is_some_and(|token| token.text.to_ascii_lowercase().ends_with("/s"));
    let Some(last) = [begin, begin + 1].into_iter().find(|at| ends(*at, reader)) else { return Err(reader.wrong(RATE)) };
    let mut end = last + 1;
    if let Some(token) = reader.tokens.get_mut(last) {
        token.text.truncate(token.text.len() - 2);
        if token.text.is_empty() {
            reader.tokens.remove(last);
            end = last;
        }
    }
    let rate = reader.size()?;
    // "256 10/s": what is before is no number of something
    if rate == 0 || reader.at != end { Err(reader.wrong_at(begin, RATE)) } else { Ok(rate) }
}

/// Whoever asks is a person: nobody knows who asks from within a room.
fn person(reader: &mut Reader) -> Result<Who, RuleError> {
    const WHO: &str = "say who may have it: everybody, contacts, strangers, own-devices, group NAME, an address";
    let begin = reader.at;
    match reader.who() {
        Ok(Who::Rooms | Who::PrivateRooms | Who::PublicRooms | Who::Room(_)) => Err(reader.wrong_at(begin, WHO)),
        Err(error) if reader.at == begin => Err(RuleError { problem: WHO.to_owned(), ..error }),
        read => read,
    }
}

impl fmt::Display for GivingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict.as_str(), joined(self.who.iter()))?;
        if let Some(over) = self.over {
            write!(f, " over {}", Size(over))?;
        }
        if let Some(up_to) = self.up_to {
            write!(f, " up to {}", Size(up_to))?;
        }
        if !self.types.is_empty() {
            write!(f, " {}", joined(self.types.iter().map(crate::plan::TypeRange::as_str)))?;
        }
        if let Some(rate) = self.rate {
            write!(f, " at {}/s", Size(rate))?;
        }
        match self.showing {
            Showing::AsShared => {}
            Showing::Address => f.write_str(" directly")?,
            Showing::NoAddress => f.write_str(" by relay")?,
        }
        if self.unoffered { f.write_str(" even unoffered") } else { Ok(()) }
    }
}
