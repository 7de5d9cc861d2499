//! What the user's environment says about the Hub: the variables and files of `huggingface_hub` (`constants.py`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::token::Token;
use super::{ENDPOINT, Hub, PATIENCE};

/// A file larger than this holds no token.
const LARGEST_TOKEN: u64 = 8192;

/// Nobody means more than this.
const A_DAY: Duration = Duration::from_secs(86_400);

impl Hub {
    /// The Hub as environment `variables` and the user's `home` folder say:
    ///
    /// - `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` in `XDG_CACHE_HOME` or `~/.cache`;
    /// - `HF_TOKEN`, else the file `HF_TOKEN_PATH`, else `token` in the home of the Hub's files;
    /// - `HF_ENDPOINT`, `HF_HUB_OFFLINE`, and `HF_HUB_DOWNLOAD_TIMEOUT`: the seconds that nothing may come.
    pub fn from_surroundings(variables: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Self {
        let set = |name: &str| variables(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(|value| expanded(PathBuf::from(value), home));
        let hub_home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")))?.join("huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(hub_home.as_deref()?.join("hub")));
        let token_file = path("HF_TOKEN_PATH").or_else(|| Some(hub_home.as_deref()?.join("token")));
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| written(token_file.as_ref()?))
            .and_then(|text| Token::new(&text));
        let endpoint = text("HF_ENDPOINT").map(|endpoint| endpoint.trim().trim_end_matches('/').to_owned());
        let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.trim().parse().ok());
        let patience = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
        Self {
            cache,
            endpoint: endpoint.filter(|endpoint| !endpoint.is_empty()).unwrap_or_else(|| ENDPOINT.to_owned()),
            token,
            token_file,
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            patience: patience.filter(|patience| !patience.is_zero()).map_or(PATIENCE, |patience| patience.min(A_DAY)),
        }
    }
}

/// `~/x` as the shell means it; variables in files reach a program unexpanded.
fn expanded(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// What is written in a small file.
fn written(file: &Path) -> Option<String> {
    let small = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST_TOKEN);
    if small { std::fs::read_to_string(file).ok() } else { None }
}

/// The words that huggingface_hub takes for yes.
fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)], home: Option<&Path>) -> Hub {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        Hub::from_surroundings(find, home)
    }

    #[test]
    fn the_cache_is_where_the_other_programs_look_for_it() {
        let home = Some(Path::new("/home/ada"));
        let cache = |variables: &[(&str, &str)], home| hub(variables, home).cache;
        assert_eq!(cache(&[], home), Some("/home/ada/.cache/huggingface/hub".into()));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")], home), Some("/x/huggingface/hub".into()));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], home), Some("/h/hub".into()));
        assert_eq!(cache(&[("HF_HOME", "~/h")], home), Some("/home/ada/h/hub".into()));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], None), Some("/c".into()));
        assert_eq!(
            cache(&[("HF_HUB_CACHE", ""), ("HF_HOME", "")], home),
            Some("/home/ada/.cache/huggingface/hub".into())
        );
        assert_eq!(cache(&[], None), None);
    }

    #[test]
    fn the_token_of_the_variable_comes_before_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)], None).token, Token::new("hf_file"));
        assert_eq!(hub(&[("HF_HOME", home), ("HF_TOKEN", "hf_set")], None).token, Token::new("hf_set"));
        assert_eq!(hub(&[("HF_HOME", "/nowhere")], None).token, None);
    }

    #[test]
    fn offline_is_what_huggingface_hub_calls_so() {
        for (value, offline) in [("1", true), ("ON", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(hub(&[("HF_HUB_OFFLINE", value)], None).is_offline(), offline, "{value}");
        }
        assert!(hub(&[], None).offline(true).is_offline());
        assert!(hub(&[("HF_HUB_OFFLINE", "1")], None).offline(false).is_offline());
    }

    #[test]
    fn odd_values_leave_the_usual_ones() {
        for odd in ["", "x", "-1", "nan", "inf", "0", "1e300"] {
            assert_eq!(hub(&[("HF_HUB_DOWNLOAD_TIMEOUT", odd)], None).patience, PATIENCE, "{odd}");
        }
        assert_eq!(hub(&[("HF_HUB_DOWNLOAD_TIMEOUT", "0.5")], None).patience, Duration::from_millis(500));
        assert_eq!(hub(&[("HF_HUB_DOWNLOAD_TIMEOUT", "1e15")], None).patience, A_DAY);
        assert_eq!(hub(&[("HF_ENDPOINT", "http://127.0.0.1:8/ ")], None).endpoint, "http://127.0.0.1:8");
        assert_eq!(hub(&[("HF_ENDPOINT", "")], None).endpoint, ENDPOINT);
    }
}
