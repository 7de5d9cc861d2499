//! How drafts, requests and paths stand in the journal.

/// A draft as its own JSON.
pub(super) mod draft {
    use flowline_model::Draft;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::Error as _};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(draft: &Draft, serializer: S) -> Result<S::Ok, S::Error> {
        let json: Value = serde_json::from_str(&draft.to_json()).map_err(S::Error::custom)?;
        json.serialize(serializer)
    }

    // By way of the text: the whole form is read in one place, which is compiled to need little stack.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Draft, D::Error> {
        Draft::from_json(&Value::deserialize(deserializer)?.to_string()).map_err(D::Error::custom)
    }
}

/// A request as its own JSON.
pub(super) mod request {
    use flowline_model::Request;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(request: &Request, serializer: S) -> Result<S::Ok, S::Error> {
        request.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Request>, D::Error> {
        let request = Request::from_json(&Value::deserialize(deserializer)?.to_string());
        request.map(Box::new).map_err(D::Error::custom)
    }
}

/// A path as text; one that is no Unicode, as its bytes.
pub(super) mod path {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match path.to_str() {
            Some(text) => Written::Text(text.to_owned()),
            None => Written::Bytes(path.as_os_str().as_encoded_bytes().to_vec()),
        };
        written.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(PathBuf::from(text)),
            Written::Bytes(bytes) => of_bytes(bytes).ok_or_else(|| D::Error::custom("no path of this system")),
        }
    }

    #[cfg(unix)]
    fn of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        Some(std::ffi::OsString::from_vec(bytes).into())
    }

    /// Elsewhere the bytes are the standard library's own affair.
    #[cfg(not(unix))]
    fn of_bytes(_: Vec<u8>) -> Option<PathBuf> {
        None
    }
}
