//! What can go wrong while integrating, each with what to do next.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A foreign error on its way through a sampler.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can go wrong in this crate. `Display` says what happened, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked to stop. The trajectory is as it was before the interrupted step.
    #[error("cancelled")]
    Cancelled,
    /// The velocity field, the noise source or the latent's arithmetic failed.
    #[error("{0}")]
    Velocity(BoxError),
    /// A list of sigmas is not a schedule.
    #[error("{0}")]
    Schedule(String),
    /// A name is in no catalogue.
    #[error("there is no {kind} named '{name}'")]
    Unknown {
        /// `sampler` or `schedule`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
    },
    /// A parameter is unknown, malformed or out of range.
    #[error("{owner}: {what}")]
    Parameter {
        /// The sampler or schedule.
        owner: String,
        /// What is wrong.
        what: String,
        /// What it takes instead.
        hint: String,
    },
    /// A saved state does not belong to this sampler and schedule.
    #[error("the saved state does not fit: {0}")]
    State(String),
}

impl Error {
    /// What the user can do about it, as one sentence without a full stop.
    pub fn hint(&self) -> String {
        match self {
            Self::Cancelled => "run the same command again".into(),
            Self::Velocity(_) => "this is a bug in the model; please report it with the command you typed".into(),
            Self::Schedule(_) => {
                "take 1 to 10000 steps; sigmas decrease strictly and stay inside [0, 1], 1 is noise, 0 the picture"
                    .into()
            }
            Self::Unknown { kind, nearest: Some(nearest), .. } => {
                format!("did you mean '{nearest}'? `flowline {kind}s` lists them all")
            }
            Self::Unknown { kind, nearest: None, .. } => format!("`flowline {kind}s` lists them all"),
            Self::Parameter { hint, .. } => hint.clone(),
            Self::State(_) => "resume with the sampler, the schedule and the size it was saved with".into(),
        }
    }
}
