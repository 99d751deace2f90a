//! What the user sees: results on standard output, everything else on standard error.
//!
//! Invariant: a script that reads standard output reads results only; colour goes to terminals only.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

/// The two streams.
pub(crate) struct Ui {
    out: BufWriter<StdoutLock<'static>>,
    colour_out: bool,
    colour_err: bool,
}

impl Ui {
    /// The process's own streams. <https://no-color.org> is kept to.
    pub(crate) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            colour_out: wanted && !dumb && io::stdout().is_terminal(),
            colour_err: wanted && !dumb && io::stderr().is_terminal(),
        }
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Bytes of the result, as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// A table; its head in bold.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), Failure> {
        for (at, line) in table.lines().into_iter().enumerate() {
            let line = if at == 0 { self.bold(&line) } else { line };
            self.line(line)?;
        }
        Ok(())
    }

    /// A document for scripts, on lines of its own.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(io::Error::from)?;
        self.line(text)
    }

    /// A document for scripts, on one line.
    pub(crate) fn json_line(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(io::Error::from)?;
        self.line(text)
    }

    /// Sends what was written on its way.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// A remark for the person at the terminal. What was written before it is shown before it.
    pub(crate) fn note(&mut self, text: impl Display) {
        // Where the remark cannot be shown there is nobody to tell.
        let _ = self.out.flush();
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// A remark that deserves attention.
    pub(crate) fn warn(&mut self, text: impl Display) {
        let text = if self.colour_err {
            format!("\x1b[33m{text}\x1b[0m")
        } else {
            text.to_string()
        };
        self.note(text);
    }

    /// Whether standard output is to have colour.
    pub(crate) fn has_colour(&self) -> bool {
        self.colour_out
    }

    /// Text in bold, on a terminal.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.colour_out {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Text in green, on a terminal.
    pub(crate) fn green(&self, text: &str) -> String {
        if self.colour_out {
            format!("\x1b[32m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Text in faint, on a terminal.
    pub(crate) fn faint(&self, text: &str) -> String {
        if self.colour_out {
            format!("\x1b[2m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line on standard error that the next one overwrites; nothing unless that is a terminal.
    pub(crate) fn progress(&mut self, text: impl Display) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[2K{text}");
            let _ = io::stderr().flush();
        }
    }

    /// Takes the progress line away.
    pub(crate) fn progress_done(&mut self) {
        self.progress("");
    }
}
