//! What people and programs read: words on a terminal, or one JSON object per event. Two views of the same events.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use balcony_sharing::DigestSet;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value};

use crate::exit::Failure;
use crate::prompt::beside_question;

/// Digests as a field: hex, by the names of their algorithms.
pub(crate) fn digests(digests: &DigestSet) -> Value {
    digests.iter().map(|digest| (digest.algo().name(), digest.to_hex())).collect()
}

/// Where events go.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    started: Instant,
    /// Several may be shown, one below the other.
    bars: MultiProgress,
}

impl Console {
    /// For the whole run of the program.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let visible = !json && !quiet && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        Self { json, quiet, started: Instant::now(), bars: MultiProgress::with_draw_target(target) }
    }

    /// Whether events are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// What the person asked for: printed to standard output whatever the options.
    pub(crate) fn result(&self, event: &str, fields: Value, words: impl AsRef<str>) {
        if self.json { self.object(event, fields) } else { self.bars.suspend(|| out(words.as_ref())) }
    }

    /// A step on the way: left out by `--quiet`, on standard error so that results can be piped.
    pub(crate) fn step(&self, event: &str, fields: Value, words: impl AsRef<str>) {
        if self.json {
            self.object(event, fields);
        } else if !self.quiet {
            self.bars.suspend(|| err(words.as_ref()));
        }
    }

    /// A step with the time since the start, on standard output: what `try` consists of.
    pub(crate) fn timed(&self, event: &str, fields: Value, words: impl AsRef<str>) {
        let elapsed = self.started.elapsed();
        if self.json {
            let mut fields = object_of(fields);
            fields.insert("at_ms".into(), Value::from(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)));
            self.object(event, Value::Object(fields));
        } else if !self.quiet {
            out(&format!("{:>7.3} s  {}", elapsed.as_secs_f64(), words.as_ref()));
        }
    }

    /// One whole JSON document, for commands whose answer is a single object.
    pub(crate) fn document(value: &impl std::fmt::Display) {
        out(&value.to_string());
    }

    /// What went wrong: on standard error, as JSON also on standard output.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let mut fields = Map::new();
            fields.insert("error".into(), failure.what.clone().into());
            fields.insert("class".into(), failure.class.name().into());
            fields.insert("code".into(), (failure.class as u8).into());
            fields.insert("next".into(), failure.next.clone().into());
            self.object("failed", Value::Object(fields));
        }
        // One line each: the words of a server must not pass for lines of ours.
        let next = failure.next.as_ref().map(|next| format!("\n  next: {}", crate::safe::Safe(next))).unwrap_or_default();
        err(&format!("balcony: {}{next}", crate::safe::Safe(&failure.what)));
    }

    /// A bar for long work; it draws nothing unless standard error is a terminal.
    pub(crate) fn bar(&self, label: &str, total: Option<u64>) -> Bar {
        let bar = self.bars.add(ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()));
        if let Ok(style) = ProgressStyle::with_template(template(total.is_some(), columns())) {
            bar.set_style(style);
        }
        bar.set_message(crate::safe::Safe(label).to_string());
        Bar { bar, console: self.clone(), label: label.to_owned(), total, said: None }
    }

    fn object(&self, event: &str, fields: Value) {
        let mut object = Map::new();
        object.insert("event".into(), event.into());
        object.extend(object_of(fields));
        out(&Value::Object(object).to_string());
    }
}

/// Progress of one piece of work.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    console: Console,
    label: String,
    total: Option<u64>,
    said: Option<Instant>,
}

impl Bar {
    /// So many bytes are done. In JSON the first are told at once, then at most five times a second.
    pub(crate) fn at(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
        if self.console.json && self.said.is_none_or(|said| said.elapsed() >= Duration::from_millis(200)) {
            self.said = Some(Instant::now());
            self.console.object("progress", serde_json::json!({"what": self.label, "bytes": bytes, "total": self.total}));
        }
    }

    /// Takes the bar away.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
    }
}

/// How wide the terminal is; a common width where it does not say so.
fn columns() -> u16 {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col)
}

/// What a bar shows in one line: less of it where there is little room.
fn template(has_end: bool, columns: u16) -> &'static str {
    match (has_end, columns) {
        (true, 70..) => "{msg:20!} {wide_bar} {decimal_bytes:>9}/{decimal_total_bytes:<9} {decimal_bytes_per_sec:>11} {eta:>4}",
        (true, _) => "{wide_msg} {percent:>3}% {decimal_bytes:>9} {eta:>4}",
        (false, _) => "{wide_msg} {decimal_bytes:>9} {decimal_bytes_per_sec:>11}",
    }
}

fn object_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// A reader that went away (`| head`) is no error of ours: what it does not want is dropped.
fn out(lines: &str) {
    beside_question(|| {
        let mut stdout = anstream::stdout().lock();
        let _ = writeln!(stdout, "{lines}").and_then(|()| stdout.flush());
    });
}

fn err(lines: &str) {
    beside_question(|| {
        let _ = writeln!(anstream::stderr().lock(), "{lines}");
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Result;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressState, TermLike};

    use super::*;

    /// A terminal that keeps the widest line that was drawn.
    #[derive(Clone, Debug)]
    struct Screen {
        columns: u16,
        widest: Arc<Mutex<usize>>,
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.columns
        }
        fn move_cursor_up(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, line: &str) -> Result<()> {
            let mut widest = self.widest.lock().unwrap();
            *widest = line.chars().count().max(*widest);
            Ok(())
        }
        fn clear_line(&self) -> Result<()> {
            Ok(())
        }
        fn flush(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_is_one_line_however_wide_the_terminal_is() {
        for columns in [30, 40, 69, 70, 80, 200] {
            for total in [Some(987_654_321_000), None] {
                let widest = Arc::new(Mutex::new(0));
                let screen = Screen { columns, widest: Arc::clone(&widest) };
                let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::term_like(Box::new(screen)));
                // The longest that speed and time left come to.
                let style = ProgressStyle::with_template(template(total.is_some(), columns)).unwrap();
                let longest = |text: &'static str| move |_: &ProgressState, out: &mut dyn std::fmt::Write| out.write_str(text).unwrap();
                bar.set_style(style.with_key("decimal_bytes_per_sec", longest("999.99 MB/s")).with_key("eta", longest("999d")));
                bar.set_message("a very long name of a film that nobody can read on a narrow terminal.mkv");
                bar.set_position(123_456_789_000);
                bar.tick();
                let widest = *widest.lock().unwrap();
                assert!(widest > 20 && widest <= usize::from(columns), "{widest} in {columns}");
            }
        }
    }
}
