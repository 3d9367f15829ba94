//! What `balcony policy` and `balcony give` have in common: rules that a person adds, removes and puts in order.

use std::fmt::Display;
use std::str::FromStr;

use balcony_client::{GivingRule, Rule, RuleError, Rules};
use serde_json::json;

use crate::cli::RuleAction;
use crate::console::Console;
use crate::exit::{Class, Failure};
use crate::safe::Safe;

/// A rule that a person writes and reads.
pub(super) trait Written: Display + FromStr<Err = RuleError> {
    /// The command for rules of its kind.
    const COMMAND: &'static str;

    /// What it says, in a word.
    fn verdict(&self) -> &'static str;

    /// All that it says, in a sentence.
    fn sentence(&self) -> String;
}

impl Written for Rule {
    const COMMAND: &'static str = "balcony policy";

    fn verdict(&self) -> &'static str {
        self.verdict.as_str()
    }

    fn sentence(&self) -> String {
        self.words()
    }
}

impl Written for GivingRule {
    const COMMAND: &'static str = "balcony give";

    fn verdict(&self) -> &'static str {
        self.verdict.as_str()
    }

    fn sentence(&self) -> String {
        self.words()
    }
}

/// Every rule with its number, as written and in a sentence.
pub(super) fn show<R: Written>(console: &Console, rules: &Rules<R>) {
    for (at, rule) in rules.rules().iter().enumerate() {
        let (number, text, words) = (at + 1, rule.to_string(), rule.sentence());
        let fields = json!({"number": number, "rule": text, "verdict": rule.verdict(), "words": words});
        console.result("rule", fields, format!("{number:>3}. {}\n     {}", Safe(&text), Safe(&words)));
    }
}

/// What is to be done with rules.
pub(super) enum Edit<R> {
    Add { rule: R, at: usize },
    Remove { number: usize },
    Move { number: usize, to: usize },
    Reset,
}

impl<R: Written> Edit<R> {
    /// What was said; nothing where they are only to be shown.
    pub(super) fn read(console: &Console, action: &RuleAction) -> Result<Option<Self>, Failure> {
        Ok(Some(match action {
            RuleAction::Show => return Ok(None),
            RuleAction::Add { rule, at } => {
                let text = joined(rule);
                let rule = text.parse().map_err(|error| misread(console, &text, &error, R::COMMAND))?;
                Self::Add { rule, at: at.map_or(0, |at| at.saturating_sub(1)) }
            }
            RuleAction::Remove { number } => Self::Remove { number: *number },
            RuleAction::Move { number, to } => Self::Move { number: *number, to: *to },
            RuleAction::Reset => Self::Reset,
        }))
    }

    /// Does it; gives what was removed, with its number.
    pub(super) fn apply(self, rules: &mut Rules<R>) -> Result<Option<(usize, R)>, Failure>
    where
        Rules<R>: Default,
    {
        match self {
            Self::Add { rule, at } => {
                if !rules.insert(at, rule) {
                    return Err(Failure::new(Class::Usage, "there are too many rules already")
                        .advise(format!("remove one with `{} remove N`", R::COMMAND)));
                }
            }
            Self::Remove { number } => {
                let at = place(rules, number)?;
                return Ok(rules.remove(at).map(|rule| (number, rule)));
            }
            Self::Move { number, to } => {
                let (from, to) = (place(rules, number)?, place(rules, to)?);
                if let Some(rule) = rules.remove(from) {
                    let _ = rules.insert(to, rule); // there is room: one was just taken out
                }
            }
            Self::Reset => *rules = Rules::default(),
        }
        Ok(None)
    }
}

/// Tells which rule is gone.
pub(super) fn tell_removed<R: Written>(console: &Console, removed: Option<(usize, R)>) {
    if let Some((number, rule)) = removed {
        let rule = rule.to_string();
        console.step("removed", json!({"number": number, "rule": rule}), format!("removed: {}", Safe(&rule)));
    }
}

/// What the shell took apart, as one line again: the name of a group is one word, whatever is in it.
fn joined(words: &[String]) -> String {
    let quoted = |at: usize| {
        let names_a_group = at > 0 && words[at - 1].eq_ignore_ascii_case("group");
        match words[at].contains(char::is_whitespace) && names_a_group {
            true => format!("\"{}\"", words[at].replace('\\', "\\\\").replace('"', "\\\"")),
            false => words[at].clone(),
        }
    };
    (0..words.len()).map(quoted).collect::<Vec<_>>().join(" ")
}

/// Shows the rule with a mark where it cannot be understood.
fn misread(console: &Console, text: &str, error: &RuleError, command: &str) -> Failure {
    let fields = json!({"rule": text, "column": error.column, "near": error.near, "problem": error.problem});
    let mark = format!("{:>width$}", "^", width = error.column);
    console.step("misread", fields, format!("  {}\n  {mark}", Safe(text)));
    let what = format!("the rule cannot be understood at \"{}\" (character {}): {}", error.near, error.column, error.problem);
    Failure::new(Class::Usage, what).advise(format!("`{command} add --help` shows rules to begin with"))
}

/// Where the rule with this number stands.
fn place<R: Written>(rules: &Rules<R>, number: usize) -> Result<usize, Failure> {
    let is_there = (1..=rules.rules().len()).contains(&number);
    if is_there { Ok(number - 1) } else { Err(unknown(rules, number)) }
}

fn unknown<R: Written>(rules: &Rules<R>, number: usize) -> Failure {
    let there = match rules.rules().len() {
        0 => "there are no rules".to_owned(),
        1 => "there is one rule, 1".to_owned(),
        count => format!("there are rules 1 to {count}"),
    };
    Failure::new(Class::Usage, format!("there is no rule {number}: {there}"))
        .advise(format!("`{}` shows them with their numbers", R::COMMAND))
}
