//! When to try again, and when to give up.

use std::time::Duration;

use crate::Error;

/// Why something did not work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Trying again would not help.
    Lasting(Error),
    /// It may pass: what happened, and how long the server asked to be left alone.
    Passing {
        /// One clause, such as "the connection ended".
        what: String,
        /// As the server said.
        pause: Option<Duration>,
    },
}

impl Trouble {
    /// Something that may pass.
    pub(super) fn passing(what: impl Into<String>) -> Self {
        Self::Passing { what: what.into(), pause: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// How often the rest of a file is asked for again before it is given up.
const RETRIES: u32 = 5;

/// How often a listing is: nothing is under way yet, and whoever has no network should hear so soon.
const FIRST_RETRIES: u32 = 3;

/// The first pause; every further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// A server that asks for more than this is not waited for.
const LONGEST: Duration = Duration::from_secs(300);

/// Counts failures in a row.
#[derive(Debug)]
pub(super) struct Retries {
    failed: u32,
    most: u32,
}

impl Retries {
    /// For the rest of a file.
    pub(super) fn of_a_file() -> Self {
        Self { failed: 0, most: RETRIES }
    }

    /// For what comes before.
    pub(super) fn of_a_listing() -> Self {
        Self { failed: 0, most: FIRST_RETRIES }
    }

    /// Something worked: the counting begins anew.
    pub(super) fn worked(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try, or why there is none.
    pub(super) fn after(&mut self, trouble: Trouble) -> Result<(String, Duration), Error> {
        let (what, pause) = match trouble {
            Trouble::Lasting(error) => return Err(error),
            Trouble::Passing { what, pause } => (what, pause),
        };
        let asked = pause.unwrap_or_default();
        if self.failed >= self.most || asked > LONGEST {
            let hint = match asked > LONGEST {
                true => format!("it asks to be left alone for {} s; run the same command again then", asked.as_secs()),
                false => "check the network; what has come is kept, and the same command goes on from there".to_owned(),
            };
            return Err(Error::hub(what, hint));
        }
        let pause = asked.max(PAUSE * 2_u32.pow(self.failed));
        self.failed += 1;
        Ok((what, pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_bounded_and_pauses_grow() {
        let mut retries = Retries::of_a_file();
        let mut pauses = Vec::new();
        while let Ok((_, pause)) = retries.after(Trouble::passing("the line is dead")) {
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000]);
        retries.worked();
        assert!(retries.after(Trouble::passing("the line is dead")).is_ok());
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_within_reason() {
        let asks = |seconds| Trouble::Passing { what: "busy".into(), pause: Some(Duration::from_secs(seconds)) };
        assert_eq!(Retries::of_a_file().after(asks(7)).unwrap().1, Duration::from_secs(7));
        assert_eq!(Retries::of_a_file().after(asks(0)).unwrap().1, PAUSE);
        let error = Retries::of_a_file().after(asks(86_400)).unwrap_err();
        assert!(error.hint().contains("86400 s"), "{}", error.hint());
    }
}
