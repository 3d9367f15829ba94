//! Passwords and questions: asked for on the terminal, or taken from a variable or from standard input, never from an argument.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

use crate::exit::{Class, Failure};
use crate::safe::Safe;

/// The variable a password may come from.
pub(crate) const VARIABLE: &str = "BALCONY_PASSWORD";

/// Gets the password for `whom`.
pub(crate) async fn password(whom: &str, from_stdin: bool) -> Result<String, Failure> {
    let found = if from_stdin {
        line().await?
    } else if let Ok(found) = std::env::var(VARIABLE) {
        found
    } else if std::io::stdin().is_terminal() {
        let question = format!("Password of {}: ", Safe(whom));
        typed(move || rpassword::prompt_password(question)).await?
    } else {
        return Err(Failure::new(Class::Usage, "there is no terminal to ask for the password")
            .advise(format!("set {VARIABLE}, or pipe the password in with --password-stdin")));
    };
    if found.is_empty() { Err(Failure::new(Class::Usage, "the password is empty")) } else { Ok(found) }
}

/// One line of standard input, without its end.
pub(crate) async fn line() -> Result<String, Failure> {
    let read = || {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    Ok(typed(read).await?.trim_end_matches(['\n', '\r']).to_owned())
}

/// One question at a time, whatever is fetched meanwhile.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The question that stands on the terminal, as long as it is not answered.
struct Standing;

static STANDING: Mutex<Option<String>> = Mutex::new(None);

impl Standing {
    fn ask(question: String) -> Self {
        let mut standing = Self::now();
        anstream::eprint!("{question}");
        *standing = Some(question);
        Self
    }

    fn now() -> MutexGuard<'static, Option<String>> {
        // No step leaves it half changed.
        STANDING.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        *Self::now() = None;
    }
}

/// Prints whole lines. Where a question stands they come below it, and then it is asked again: nobody answers what they no longer see.
pub(crate) fn beside_question(print: impl FnOnce()) {
    let standing = Standing::now();
    if standing.is_some() {
        anstream::eprintln!();
    }
    print();
    if let Some(question) = &*standing {
        anstream::eprint!("{question}");
    }
}

/// What a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Yes,
    /// Yes, and nobody's device sees their address.
    Relayed,
    No,
}

/// Asks a yes-or-no question on the terminal, where anything but yes is no; `None` where nobody can be asked.
pub(crate) async fn agree(question: &str) -> Option<bool> {
    let answer = answer(question, "y/N").await?;
    Some(matches!(answer.as_str(), "y" | "yes"))
}

/// The same, where there is one more way to say yes.
pub(crate) async fn agree_or_relay(question: &str) -> Option<Reply> {
    let answer = answer(question, "y: yes, s: by way of servers, N: no").await?;
    Some(match answer.as_str() {
        "y" | "yes" => Reply::Yes,
        "s" | "servers" => Reply::Relayed,
        _ => Reply::No,
    })
}

async fn answer(question: &str, choices: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let _turn = TURN.lock().await;
    // What was typed before the question is no answer to it.
    let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
    let _standing = Standing::ask(format!("{} [{choices}] ", Safe(question)));
    Some(line().await.ok()?.trim().to_lowercase())
}

/// Waits for somebody to type on a thread of its own, so that ^C is heard meanwhile.
async fn typed(read: impl FnOnce() -> std::io::Result<String> + Send + 'static) -> Result<String, Failure> {
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| Failure::from_error(Class::Internal, &error))?;
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => Failure::new(Class::Interrupted, "stopped"),
        _ => Failure::new(Class::Local, format!("cannot read what is typed: {error}")),
    })
}

/// How the terminal was set when the program began, and is set again when this is dropped: a password prompt that was left by ^C
/// would leave a terminal that shows nothing.
pub(crate) struct Terminal(Option<Termios>);

impl Terminal {
    /// Looks at standard input.
    pub(crate) fn remember() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings); // it went away: nothing to mend
        }
    }
}
