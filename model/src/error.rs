//! What can go wrong between a request and a picture, each with what to do next.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate. `Display` says what happened, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A weight file is not what it says it is: truncated, lying header, wrong format.
    #[error("{file}: {what}")]
    WeightFile {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A tensor the network needs is not in the file.
    #[error("{file}: tensor '{tensor}' is missing (expected shape {expected:?})")]
    MissingTensor {
        /// The file's name.
        file: String,
        /// The tensor's full name.
        tensor: String,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{file}: tensor '{tensor}' has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The file's name.
        file: String,
        /// The tensor's full name.
        tensor: String,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a number format that cannot be read.
    #[error("{file}: tensor '{tensor}' is stored as {dtype}, which is not supported")]
    TensorDtype {
        /// The file's name.
        file: String,
        /// The tensor's full name.
        tensor: String,
        /// The format in the file.
        dtype: String,
    },
    /// A file holds tensors that the network does not know.
    #[error("{file}: unknown tensor '{tensor}' of shape {found:?}{}", more(*others))]
    UnknownTensor {
        /// The file's name.
        file: String,
        /// The first unknown tensor, in name order.
        tensor: String,
        /// Its shape (the expected shape is: not there at all).
        found: Vec<usize>,
        /// How many further ones there are.
        others: usize,
    },
    /// A configuration file is missing something or contradicts itself.
    #[error("{file}: {what}")]
    Config {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A tokenizer could not be read or applied.
    #[error("{file}: {what}")]
    Tokenizer {
        /// The file's name.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// Something could not be fetched, or has no place to be fetched to.
    #[error("{what}")]
    Hub {
        /// What happened.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A small file is not here that anybody may fetch from the Hub.
    #[error("{what}")]
    Fetchable {
        /// What is missing.
        what: String,
        /// How it is written there: `owner/repo:file`.
        reference: &'static str,
        /// What else can be done.
        hint: String,
    },
    /// A kept run is damaged, of another version, or not one.
    #[error("{what}")]
    Trajectory {
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// What was asked for cannot be done.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The request would need more memory than there is.
    #[error("this needs about {} of memory, and {} are available", memory(*needed), memory(*available))]
    Memory {
        /// Planned peak, bytes.
        needed: u64,
        /// Available now, bytes.
        available: u64,
    },
    /// A computed value is not a finite number.
    #[error("the {stage} produced a value that is not a finite number")]
    NotFinite {
        /// Where it was seen.
        stage: &'static str,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The tensor library refused an operation.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The sampler or the schedule refused.
    #[error(transparent)]
    Sampler(flowline_sampler::Error),
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), hint: hint.into() }
    }

    /// An [`Error::Hub`].
    pub fn hub(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Hub { what: what.into(), hint: hint.into() }
    }

    /// What the user can do about it, as one sentence without a full stop.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "check the path; nothing is there".into(),
                std::io::ErrorKind::PermissionDenied => "check who may read and write it".into(),
                std::io::ErrorKind::StorageFull => "free some space on that disk".into(),
                _ => "check the disk and the path".into(),
            },
            Self::WeightFile { .. } => "the file may be damaged or half downloaded; fetch it again".into(),
            Self::MissingTensor { .. } | Self::TensorShape { .. } | Self::UnknownTensor { .. } => {
                "the file does not belong to this model's configuration; check that both come from the same place"
                    .into()
            }
            Self::TensorDtype { .. } => "use a checkpoint in f32, f16, bf16 or f8, or a .gguf of q8_0 to q2_k".into(),
            Self::Config { .. } | Self::Tokenizer { .. } => {
                "the model folder must be a complete diffusers folder; fetch the file again".into()
            }
            Self::Trajectory { hint, .. } => (*hint).to_owned(),
            Self::Invalid { hint, .. } | Self::Hub { hint, .. } | Self::Fetchable { hint, .. } => hint.clone(),
            Self::Memory { .. } => {
                "ask for a smaller picture, hold the weights in fewer bits (--weights q8_0), or close other programs"
                    .into()
            }
            Self::NotFinite { .. } => "try another sampler, more steps or a lower cfg".into(),
            Self::Cancelled => "run the same command again".into(),
            Self::Tensor(_) => "this is a bug in flowline; please report it with the command you typed".into(),
            Self::Sampler(error) => error.hint(),
        }
    }
}

impl From<flowline_sampler::Error> for Error {
    fn from(error: flowline_sampler::Error) -> Self {
        match error {
            flowline_sampler::Error::Cancelled => Self::Cancelled,
            flowline_sampler::Error::Velocity(source) => match source.downcast::<Error>() {
                Ok(own) => *own,
                Err(other) => Self::Sampler(flowline_sampler::Error::Velocity(other)),
            },
            other => Self::Sampler(other),
        }
    }
}

/// " and 3 more", or nothing.
fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" and {others} more") }
}

/// Bytes in the unit a person reads memory in.
fn memory(bytes: u64) -> String {
    match bytes {
        0..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / (1u64 << 20) as f64),
        _ => format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64),
    }
}
