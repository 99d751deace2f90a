//! The terminal while `top` has it: raw, on its other screen. Given back as it was, however the command ends.

use std::io::{self, Write};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::{cursor, queue, terminal};

use super::screen::{Key, Line, Look};
use crate::failure::Failure;
use crate::ui::Ui;

/// See the module.
pub(super) struct Terminal {
    _raw: Raw,
    has_colour: bool,
}

/// While it lives, the terminal is raw.
struct Raw;

impl Drop for Raw {
    fn drop(&mut self) {
        // Where it cannot be given back there is nobody to tell.
        let _ = terminal::disable_raw_mode();
    }
}

/// What came in.
pub(super) enum Came {
    Key(Key),
    /// Draw again: the size is another one.
    Resized,
    /// Ctrl-C.
    Interrupt,
}

impl Terminal {
    /// Takes the terminal.
    pub(super) fn take(ui: &mut Ui) -> Result<Self, Failure> {
        terminal::enable_raw_mode()?;
        let own = Self {
            _raw: Raw,
            has_colour: ui.has_colour(),
        };
        let mut bytes = Vec::new();
        queue!(bytes, terminal::EnterAlternateScreen, cursor::Hide)?;
        ui.bytes(&bytes)?;
        ui.flush()?;
        Ok(own)
    }

    /// Gives the screen back; the rest is given back with `self`.
    pub(super) fn leave(self, ui: &mut Ui) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        queue!(bytes, cursor::Show, terminal::LeaveAlternateScreen)?;
        ui.bytes(&bytes)?;
        ui.flush()
    }

    /// Columns and lines.
    pub(super) fn size() -> io::Result<(usize, usize)> {
        let (columns, lines) = terminal::size()?;
        Ok((columns.into(), lines.into()))
    }

    /// Shows a screen.
    pub(super) fn draw(&self, lines: &[Line], ui: &mut Ui) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for (y, (look, text)) in lines.iter().enumerate() {
            let y = u16::try_from(y).unwrap_or(u16::MAX);
            queue!(bytes, cursor::MoveTo(0, y))?;
            self.dress(&mut bytes, *look)?;
            queue!(
                bytes,
                Print(text),
                SetAttribute(Attribute::Reset),
                ResetColor,
                terminal::Clear(terminal::ClearType::UntilNewLine)
            )?;
        }
        ui.bytes(&bytes)?;
        ui.flush()
    }

    fn dress(&self, bytes: &mut impl Write, look: Look) -> io::Result<()> {
        match look {
            Look::Plain => Ok(()),
            Look::Bold => queue!(bytes, SetAttribute(Attribute::Bold)),
            Look::Faint => queue!(bytes, SetAttribute(Attribute::Dim)),
            Look::Selected => queue!(bytes, SetAttribute(Attribute::Reverse)),
            Look::Alarm if self.has_colour => queue!(bytes, SetForegroundColor(Color::Yellow)),
            Look::Alarm => queue!(bytes, SetAttribute(Attribute::Bold)),
        }
    }

    /// Waits so long for a key.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<Option<Came>> {
        if !event::poll(patience)? {
            return Ok(None);
        }
        Ok(match event::read()? {
            Event::Resize(..) => Some(Came::Resized),
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    KeyCode::Char('c' | 'd') if is_control => Some(Came::Interrupt),
                    KeyCode::Char(letter) => Some(Came::Key(Key::Letter(letter))),
                    KeyCode::Up => Some(Came::Key(Key::Up)),
                    KeyCode::Down => Some(Came::Key(Key::Down)),
                    KeyCode::Enter => Some(Came::Key(Key::Enter)),
                    KeyCode::Esc => Some(Came::Key(Key::Escape)),
                    _ => None,
                }
            }
            _ => None,
        })
    }
}
