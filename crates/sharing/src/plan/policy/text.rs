//! Rules as text: one line each, the same words in a file, on the command line and in errors. See `docs/formats/policy.md`.
//!
//! ```text
//! fetch contacts, own-devices up to 10 MiB from message, own-server, senders-device, relayed, senders-server
//! fetch group Family image/*, video/* up to 1 GiB even metered
//! never strangers over 1 MiB
//! ask everybody
//! ```

use std::fmt;
use std::str::FromStr;

use balcony_wire::{BareJid, Jid};

use super::{MAX_RULES, Policy, Rule, TypeRange, Verdict, Who};
use crate::{ExposureKind, MediaType};

/// Where the text of a rule cannot be understood, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, character {column}, at \"{near}\": {problem}")]
pub struct RuleError {
    /// Which line, counted from 1.
    pub line: usize,
    /// Which character of it, counted from 1.
    pub column: usize,
    /// What stands there; "the end" where something is missing.
    pub near: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// Words for whom a rule is about, those without a name behind them.
const PEOPLE: [(&str, Who); 7] = [
    ("everybody", Who::Everybody),
    ("contacts", Who::Contacts),
    ("strangers", Who::Strangers),
    ("own-devices", Who::OwnDevices),
    ("rooms", Who::Rooms),
    ("private-rooms", Who::PrivateRooms),
    ("public-rooms", Who::PublicRooms),
];

/// Words for where a file comes from: by what that reveals.
pub(super) const PLACES: [(&str, ExposureKind); 7] = [
    ("message", ExposureKind::Nothing),
    ("own-server", ExposureKind::OwnServer),
    ("senders-device", ExposureKind::Presence),
    ("relayed", ExposureKind::ViaProxy),
    ("senders-server", ExposureKind::SendersServer),
    ("third-hosts", ExposureKind::ThirdHost),
    ("peers", ExposureKind::Peer),
];

/// Units of sizes, and how often 1024 is in them.
const UNITS: [(&str, u32); 5] = [("bytes", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

const WHO: &str = "say whose files: everybody, contacts, strangers, own-devices, group NAME, an address, rooms, private-rooms, public-rooms, room ADDRESS";
const WHERE: &str = "say from where: message, own-server, senders-device, relayed, senders-server, third-hosts, peers";
const SIZE: &str = "say how large, such as 10 MiB; units are bytes, KiB, MiB, GiB, TiB";
const CLAUSE: &str =
    "a rule goes on with up to SIZE, over SIZE, a media type such as image/*, from PLACES, even unproven, even metered, even attached";

/// One word, comma or quoted name.
pub(crate) struct Token {
    pub(crate) text: String,
    is_quoted: bool,
    column: usize,
}

/// Reads one line of rules; those of giving have the same words.
pub(crate) struct Reader {
    pub(crate) tokens: Vec<Token>,
    pub(crate) at: usize,
    line: usize,
    length: usize,
}

/// Reads rules line by line; empty lines and those that begin with `#` are left out.
pub(crate) fn read_lines<R>(text: &str, read: impl Fn(&str, usize) -> Result<R, RuleError>) -> Result<Vec<R>, RuleError> {
    let mut rules = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if rules.len() == MAX_RULES {
            let problem = format!("no more than {MAX_RULES} rules are kept");
            return Err(RuleError { line: number + 1, column: 1, near: trimmed.to_owned(), problem });
        }
        rules.push(read(line, number + 1)?);
    }
    Ok(rules)
}

impl FromStr for Policy {
    type Err = RuleError;

    /// Reads rules line by line; empty lines and those that begin with `#` are left out.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        read_lines(text, Rule::read).map(Self::new)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::read(text, 1)
    }
}

impl Rule {
    fn read(line: &str, number: usize) -> Result<Self, RuleError> {
        let mut reader = Reader::new(line, number)?;
        let verdict = reader.verdict()?;
        let mut rule = Self::new(verdict, reader.list(Reader::who)?);
        while let Some(word) = reader.peek() {
            match word.to_ascii_lowercase().as_str() {
                "up" | "upto" | "over" => reader.bound(&mut rule.over, &mut rule.up_to)?,
                "from" => {
                    reader.at += 1;
                    rule.places.extend(reader.list(Reader::place)?);
                }
                "even" | "if" => reader.condition(&mut rule)?,
                other if other.contains('/') => rule.types.extend(reader.list(Reader::media_type)?),
                _ => return Err(reader.wrong(CLAUSE)),
            }
        }
        reader.leaves_room(rule.over, rule.up_to)?;
        Ok(rule)
    }
}

impl Reader {
    pub(crate) fn new(line: &str, number: usize) -> Result<Self, RuleError> {
        let mut reader = Self { tokens: Vec::new(), at: 0, line: number, length: line.chars().count() };
        let mut chars = line.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let column = at + 1;
            let (text, is_quoted) = match c {
                c if c.is_whitespace() => continue,
                ',' => (",".to_owned(), false),
                '"' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '"')) => break,
                            Some((_, '\\')) => name.extend(chars.next().map(|(_, c)| c)),
                            Some((_, c)) => name.push(c),
                            None => {
                                let problem = "this quotation mark is never closed".to_owned();
                                return Err(RuleError { line: number, column, near: format!("\"{name}"), problem });
                            }
                        }
                    }
                    (name, true)
                }
                first => {
                    let mut word = String::from(first);
                    while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace() && !matches!(c, ',' | '"')) {
                        word.push(c);
                    }
                    (word, false)
                }
            };
            reader.tokens.push(Token { text, is_quoted, column });
        }
        Ok(reader)
    }

    pub(crate) fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|token| token.text.as_str())
    }

    /// The next word in lower case; empty at the end.
    fn next_word(&mut self) -> String {
        let word = self.peek().unwrap_or_default().to_ascii_lowercase();
        self.at += 1;
        word
    }

    /// Whether this very word comes next; then it is taken.
    pub(crate) fn takes(&mut self, word: &str) -> bool {
        let is_next = self.tokens.get(self.at).is_some_and(|token| !token.is_quoted && token.text.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    /// What is next is wrong.
    pub(crate) fn wrong(&self, problem: impl Into<String>) -> RuleError {
        self.wrong_at(self.at, problem)
    }

    pub(crate) fn wrong_at(&self, at: usize, problem: impl Into<String>) -> RuleError {
        let (column, near) = match self.tokens.get(at) {
            Some(token) => (token.column, token.text.clone()),
            None => (self.length + 1, "the end".to_owned()),
        };
        RuleError { line: self.line, column, near, problem: problem.into() }
    }

    fn verdict(&mut self) -> Result<Verdict, RuleError> {
        let found = [Verdict::Fetch, Verdict::Ask, Verdict::Never].into_iter().find(|verdict| self.takes(verdict.as_str()));
        found.ok_or_else(|| self.wrong("a rule begins with fetch, ask or never"))
    }

    /// One or more, with commas between them.
    pub(crate) fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, RuleError>) -> Result<Vec<T>, RuleError> {
        let mut found = vec![one(self)?];
        while self.takes(",") {
            found.push(one(self)?);
        }
        Ok(found)
    }

    pub(crate) fn who(&mut self) -> Result<Who, RuleError> {
        if self.takes("group") {
            // A name in quotation marks may be anything.
            let name = self.tokens.get(self.at).filter(|token| token.is_quoted || token.text != ",").map(|token| token.text.clone());
            let name = name.ok_or_else(|| self.wrong("say which group; a name of several words stands in quotation marks"))?;
            self.at += 1;
            return Ok(Who::Group(name));
        }
        if self.takes("room") {
            return Ok(Who::Room(self.address()?));
        }
        if let Some((_, who)) = PEOPLE.into_iter().find(|(word, _)| self.takes(word)) {
            return Ok(who);
        }
        if self.peek().is_some_and(|word| word.contains('@')) {
            return Ok(Who::Person(self.address()?));
        }
        Err(self.wrong(WHO))
    }

    fn address(&mut self) -> Result<BareJid, RuleError> {
        let text = self.peek().ok_or_else(|| self.wrong("an address is missing, such as romeo@example.org"))?;
        let jid = Jid::parse(text).map_err(|error| self.wrong(error.to_string()))?;
        let bare = jid.into_bare().map_err(|_| self.wrong("this is the address of a device; take the part before the slash"))?;
        self.at += 1;
        Ok(bare)
    }

    fn place(&mut self) -> Result<ExposureKind, RuleError> {
        let found = PLACES.into_iter().find(|(word, _)| self.takes(word));
        found.map(|(_, place)| place).ok_or_else(|| self.wrong(WHERE))
    }

    pub(crate) fn media_type(&mut self) -> Result<TypeRange, RuleError> {
        let range = self.peek().and_then(TypeRange::new);
        let range = range.ok_or_else(|| self.wrong("this is no media type; take one such as image/png, or image/* for all pictures"))?;
        self.at += 1;
        Ok(range)
    }

    /// `up to SIZE`, `over SIZE`; each may be said once.
    pub(crate) fn bound(&mut self, over: &mut Option<u64>, up_to: &mut Option<u64>) -> Result<(), RuleError> {
        let at = self.at;
        let slot = match self.next_word().as_str() {
            "over" => over,
            "up" if !self.takes("to") => return Err(self.wrong("up goes on with \"to\": up to SIZE")),
            _ => up_to,
        };
        let size = self.size()?;
        self.once(at, slot, size)
    }

    /// Whether there is a size between the two.
    pub(crate) fn leaves_room(&self, over: Option<u64>, up_to: Option<u64>) -> Result<(), RuleError> {
        match over.zip(up_to) {
            Some((over, up_to)) if over >= up_to => Err(self.wrong("no file is larger than the one size and not larger than the other")),
            _ => Ok(()),
        }
    }

    /// `10 MiB`, `10MiB`, `512` (bytes).
    pub(crate) fn size(&mut self) -> Result<u64, RuleError> {
        let begin = self.at;
        let text = self.next_word();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let number: u64 = digits.parse().map_err(|_| self.wrong_at(begin, SIZE))?;
        let shift = if !unit.is_empty() {
            shift(unit).ok_or_else(|| self.wrong_at(begin, SIZE))?
        } else if let Some(shift) = self.peek().and_then(shift) {
            self.at += 1;
            shift
        } else if self.peek().is_some_and(|next| {
            next.chars().all(char::is_alphabetic) && !["from", "over", "up", "even", "if", "at", "by", "directly"].contains(&next)
        }) {
            return Err(self.wrong(SIZE));
        } else {
            0
        };
        number.checked_mul(1 << shift).ok_or_else(|| self.wrong_at(begin, "no file is that large"))
    }

    /// `even unproven`, `if metered`.
    fn condition(&mut self, rule: &mut Rule) -> Result<(), RuleError> {
        let right = if rule.verdict == Verdict::Fetch { "even" } else { "if" };
        if !self.takes(right) {
            let why = match rule.verdict {
                Verdict::Fetch => {
                    "a fetch rule is timid: it fetches what a hash proves, where bytes are free, from where the sender says; widen it with \"even\""
                }
                Verdict::Ask | Verdict::Never => "ask and never rules are about all files; narrow them with \"if\"",
            };
            return Err(self.wrong(why));
        }
        let said = if self.takes("unproven") {
            &mut rule.unproven
        } else if self.takes("metered") {
            &mut rule.metered
        } else if self.takes("attached") {
            &mut rule.attached
        } else {
            return Err(self.wrong(format!("say {right} unproven, {right} metered or {right} attached")));
        };
        *said = true;
        Ok(())
    }

    pub(crate) fn once(&self, at: usize, slot: &mut Option<u64>, size: u64) -> Result<(), RuleError> {
        match slot.replace(size) {
            None => Ok(()),
            Some(_) => Err(self.wrong_at(at, "this is said twice")),
        }
    }
}

/// A power of two; steps of 1024 however they are written.
fn shift(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_lowercase();
    if ["b", "byte"].contains(&unit.as_str()) {
        return Some(0);
    }
    let found = UNITS.into_iter().find(|(name, _)| {
        let name = name.to_ascii_lowercase();
        unit == name || (name.ends_with("ib") && (unit == name[..1] || unit == format!("{}b", &name[..1])))
    });
    found.map(|(_, shift)| shift)
}

impl TypeRange {
    /// As it is written in a rule.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is about files of this type.
    pub fn includes(&self, media_type: &MediaType) -> bool {
        media_type.is_accepted_by(&self.0)
    }

    /// `None` for what is neither a media type nor a range of them.
    fn new(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (kind, sub) = text.split_once('/')?;
        let sample = format!("{}/{}", if kind == "*" && sub == "*" { "a" } else { kind }, if sub == "*" { "a" } else { sub });
        (MediaType::from_peer(&sample).as_str() == sample).then_some(Self(text))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict.as_str(), joined(self.who.iter()))?;
        if let Some(over) = self.over {
            write!(f, " over {}", Size(over))?;
        }
        if let Some(up_to) = self.up_to {
            write!(f, " up to {}", Size(up_to))?;
        }
        if !self.types.is_empty() {
            write!(f, " {}", joined(self.types.iter().map(|range| &range.0)))?;
        }
        if !self.places.is_empty() {
            let word = |place: &ExposureKind| PLACES.iter().find(|(_, kind)| kind == place).map_or("", |(word, _)| word);
            write!(f, " from {}", joined(self.places.iter().map(word)))?;
        }
        let condition = if self.verdict == Verdict::Fetch { "even" } else { "if" };
        let words = [(self.unproven, "unproven"), (self.metered, "metered"), (self.attached, "attached")];
        for (_, word) in words.into_iter().filter(|(is_said, _)| *is_said) {
            write!(f, " {condition} {word}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) => {
                write!(f, "group {name}")
            }
            Self::Group(name) => write!(f, "group \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Person(jid) => write!(f, "{jid}"),
            Self::Room(jid) => write!(f, "room {jid}"),
            plain => f.write_str(PEOPLE.iter().find(|(_, who)| who == plain).map_or("", |(word, _)| word)),
        }
    }
}

/// A size with the largest unit that says it exactly.
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.into_iter().rev().find(|(_, shift)| *shift == 0 || (self.0 != 0 && self.0.is_multiple_of(1 << shift)));
        let (name, shift) = exact.unwrap_or(UNITS[0]);
        write!(f, "{} {name}", self.0 >> shift)
    }
}

pub(crate) fn joined<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
