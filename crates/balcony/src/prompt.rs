//! Passwords: asked for, taken from a variable or from standard input, never from an argument.

use std::io::{BufRead as _, IsTerminal as _};

use crate::exit::{Class, Failure};

/// The variable a password may come from.
pub(crate) const VARIABLE: &str = "BALCONY_PASSWORD";

/// Gets the password for `whom`.
pub(crate) fn password(whom: &str, from_stdin: bool) -> Result<String, Failure> {
    let found = if from_stdin {
        line()?
    } else if let Ok(found) = std::env::var(VARIABLE) {
        found
    } else if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {}: ", crate::safe::Safe(whom)))
            .map_err(|error| Failure::from_error(Class::Local, &error))?
    } else {
        return Err(Failure::new(Class::Usage, "there is no terminal to ask for the password")
            .advise(format!("set {VARIABLE}, or pipe the password in with --password-stdin")));
    };
    if found.is_empty() { Err(Failure::new(Class::Usage, "the password is empty")) } else { Ok(found) }
}

/// One line of standard input, without its end.
pub(crate) fn line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| Failure::from_error(Class::Local, &error))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks a yes-or-no question on the terminal; `None` where nobody can be asked. Anything but yes is no.
pub(crate) fn agree(question: &str) -> Option<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    anstream::eprint!("{} [y/N] ", crate::safe::Safe(question));
    let answer = line().ok()?;
    Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
