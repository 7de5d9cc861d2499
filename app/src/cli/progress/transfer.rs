//! Files on their way, as they are told.

use std::time::{Duration, Instant};

use flowline_model::weights::hub::Amount;

use super::{Reporter, Style, duration, json};
use crate::cli::events::Line;
use crate::cli::output;

/// How far fetching or checking is.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// `fetching` or `checking`.
    pub work: &'static str,
    /// Which file.
    pub file: Option<&'a str>,
    /// Bytes so far, of all files.
    pub bytes: u64,
    /// Bytes of all files.
    pub total: u64,
    /// Bytes a second.
    pub rate: Option<f64>,
    /// What the rest will take.
    pub left: Option<Duration>,
}

/// Plain lines come at every tenth, and no further apart than this.
const SILENCE: Duration = Duration::from_secs(30);

impl Reporter {
    /// A model is being fetched: what it is, how much, and under which terms.
    pub fn pulling(&self, text: &str, line: &Line<'_>) {
        match self.style {
            Style::Json => json(line),
            _ => self.talk(text),
        }
    }

    /// More has come.
    pub fn transfer(&mut self, transfer: &Transfer<'_>) {
        let Transfer { work, file, bytes, total, rate, left } = transfer.clone();
        match &self.style {
            Style::Quiet => {}
            Style::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(bytes);
                bar.set_message(transfer.text());
            }
            Style::Json => {
                let left = left.map(|left| left.as_secs_f64());
                json(&Line::Transfer { work, file, bytes, total, rate, left });
            }
            Style::Plain => {
                let tenth = Some((usize::MAX, (u128::from(bytes) * 10 / u128::from(total.max(1))) as usize));
                let silent = self.last.is_none_or(|last| last.elapsed() >= SILENCE);
                if tenth != self.tenth || silent {
                    (self.tenth, self.last) = (tenth, Some(Instant::now()));
                    output::say(&transfer.text());
                }
            }
        }
    }

    /// Something has to be waited for.
    pub fn waiting(&self, what: &str, pause: Duration) {
        match &self.style {
            Style::Json => json(&Line::Waiting { what, seconds: pause.as_secs_f64() }),
            Style::Quiet => {}
            Style::Bar(_) | Style::Plain if pause.is_zero() => self.talk(what),
            Style::Bar(_) | Style::Plain => self.talk(&format!("{what}; trying again in {:.1} s", pause.as_secs_f64())),
        }
    }
}

impl Transfer<'_> {
    /// `fetching vae/x.safetensors: 1.2 GB of 33.7 GB, 45 MB/s, 12 min 3 s left`.
    fn text(&self) -> String {
        let Self { work, file, bytes, total, rate, left } = self;
        let file = file.map(|file| format!(" {file}")).unwrap_or_default();
        let rate = rate.map(|rate| format!(", {}/s", Amount(rate as u64))).unwrap_or_default();
        let left = left.map(|left| format!(", {} left", duration(left.as_secs_f64()))).unwrap_or_default();
        format!("{work}{file}: {} of {}{rate}{left}", Amount(*bytes), Amount(*total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_reads_naturally() {
        let mut transfer = Transfer {
            work: "fetching",
            file: Some("vae/x.safetensors"),
            bytes: 1_200_000_000,
            total: 33_700_000_000,
            rate: Some(45e6),
            left: Some(Duration::from_secs(723)),
        };
        assert_eq!(transfer.text(), "fetching vae/x.safetensors: 1.2 GB of 33.7 GB, 45 MB/s, 12 min 3 s left");
        (transfer.file, transfer.rate, transfer.left) = (None, None, None);
        assert_eq!(transfer.text(), "fetching: 1.2 GB of 33.7 GB");
    }
}
