//! Which files of a repository a model consists of.
//!
//! They are written as paths. A path with a slash at its end means the small files of that folder (tokenizers, settings);
//! a weight file means itself or, where it is split, its index and all its shards.

use std::collections::BTreeSet;
use std::path::Path;

use super::listing::{Listing, RemoteFile};
use super::reference::Reference;
use crate::weights::ModelFiles;
use crate::{Error, Result};

/// Endings of the small files of a folder.
const SMALL: [&str; 4] = ["json", "txt", "model", "jinja"];

/// Endings of weight files.
const WEIGHTS: [&str; 2] = ["safetensors", "gguf"];

/// The names that diffusers gives the weights of a part.
const NAMES: [&str; 2] = ["diffusion_pytorch_model.safetensors", "model.safetensors"];

/// What is wanted of a repository.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// These, written as above.
    Paths(&'a [&'a str]),
    /// What a model can be opened from, whatever that is here.
    Model,
}

impl Listing {
    /// The files that are wanted.
    ///
    /// # Errors
    /// [`Error::Hub`] if one is not there, or if it is not clear which are meant.
    pub fn wanted(&self, wanted: Wanted<'_>) -> Result<Vec<&RemoteFile>> {
        if let Some(path) = self.reference.file() {
            return self.all(&[path]);
        }
        match wanted {
            Wanted::Paths(paths) => self.all(paths),
            Wanted::Model if self.file("model_index.json").is_some() => self.folders(),
            Wanted::Model => self.only(),
        }
    }

    fn all(&self, paths: &[&str]) -> Result<Vec<&RemoteFile>> {
        let mut found = Vec::new();
        for path in paths {
            let before = found.len();
            // Where a file is both whole and split, the whole one counts.
            let whole = self.file(path).map(|file| vec![file]);
            found.extend(whole.unwrap_or_else(|| self.files.iter().filter(|file| means(path, &file.path)).collect()));
            if found.len() == before {
                let hint = match nearest(path, &self.weights()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => "check the name; the repository may have changed".to_owned(),
                };
                return Err(Error::hub(format!("there is no '{path}' in {}", self.reference.repository()), hint));
            }
        }
        Ok(found)
    }

    /// A diffusers folder, without other variants of the same weights.
    fn folders(&self) -> Result<Vec<&RemoteFile>> {
        let folders: BTreeSet<&str> =
            self.files.iter().filter_map(|file| file.path.split_once('/')).map(|(folder, _)| folder).collect();
        let mut paths = vec!["model_index.json".to_owned()];
        for folder in folders.into_iter().filter(|folder| !folder.starts_with('.')) {
            let named = NAMES.iter().map(|name| format!("{folder}/{name}")).chain([format!("{folder}/")]);
            paths.extend(named.filter(|path| self.files.iter().any(|file| means(path, &file.path))));
        }
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        self.all(&paths)
    }

    /// The one weight file.
    fn only(&self) -> Result<Vec<&RemoteFile>> {
        let weights = self.weights();
        if let [path] = weights[..] {
            return self.all(&[path]);
        }
        let repository = self.reference.repository();
        if weights.is_empty() {
            let hint = "safetensors and GGUF files are read; others are not, because they can hold programs";
            return Err(Error::hub(format!("{repository} holds no weights"), hint));
        }
        let more = if weights.len() > 12 { format!(" and {} more", weights.len() - 12) } else { String::new() };
        let named: Vec<&str> = weights.iter().take(12).copied().collect();
        let what = format!("{repository} holds several models: {}{more}", named.join(", "));
        Err(Error::hub(what, format!("name one, such as {repository}:{}", named.first().unwrap_or(&""))))
    }

    fn weights(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.path.as_str()).filter(|path| ends_in(path, &WEIGHTS)).collect()
    }
}

/// Whether everything that `paths` write is in `folder`; what is missing first.
///
/// # Errors
/// The path of what is missing.
pub fn complete<'a>(folder: &Path, paths: &[&'a str]) -> Result<(), &'a str> {
    let files = ModelFiles::Folder(folder.to_owned());
    for path in paths {
        let there = match path.ends_with('/') {
            true => folder.join(path).read_dir().is_ok_and(|mut entries| entries.next().is_some()),
            // A split file counts when every file that its index names is there.
            false => files.weight_files(path).is_ok_and(|shards| shards.iter().all(|shard| files.has(shard))),
        };
        if !there {
            return Err(path);
        }
    }
    Ok(())
}

/// Whether `path`, as written above, means `file`.
pub(super) fn means(path: &str, file: &str) -> bool {
    if path.ends_with('/') {
        let name = file.strip_prefix(path);
        return name.is_some_and(|name| !name.contains('/') && !name.contains(".index.") && ends_in(name, &SMALL));
    }
    let Some(rest) = path.rsplit_once('.').and_then(|(stem, _)| file.strip_prefix(stem)) else { return path == file };
    let Some((_, ending)) = path.rsplit_once('.') else { return false };
    let shard = |rest: &str| {
        let numbers = rest.strip_prefix('-')?.strip_suffix(ending)?.strip_suffix('.')?.split_once("-of-")?;
        let counts = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        (counts(numbers.0) && counts(numbers.1)).then_some(())
    };
    path == file || rest == format!(".{ending}.index.json") || shard(rest).is_some()
}

fn ends_in(path: &str, endings: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
}

fn nearest<'a>(path: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(path, name), *name)).min()?;
    (near.0 <= path.len() / 2).then_some(near.1)
}

impl Reference {
    /// Whether `path` in the repository belongs to what this names: its file, or everything.
    pub fn includes(&self, path: &str) -> bool {
        self.file().is_none_or(|file| means(file, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::hub::digest::Digest;

    fn listing(reference: &str, files: &[&str]) -> Listing {
        let digest = Digest::parse(&"0".repeat(40)).unwrap();
        let file = |path: &&str| RemoteFile { path: (*path).to_owned(), size: 1, digest: digest.clone() };
        Listing {
            reference: Reference::parse(reference).unwrap(),
            commit: "0".repeat(40),
            files: files.iter().map(file).collect(),
            gated: false,
            licence: None,
        }
    }

    fn paths<'a>(files: &'a Result<Vec<&'a RemoteFile>>) -> Vec<&'a str> {
        files.as_ref().unwrap().iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn of_a_diffusers_repository_one_variant_is_wanted() {
        let listing = listing(
            "a/b",
            &[
                ".gitattributes",
                "README.md",
                "flux1-schnell.safetensors",
                "model_index.json",
                "text_encoder/config.json",
                "text_encoder/model.fp16.safetensors",
                "text_encoder/model.safetensors",
                "text_encoder_2/config.json",
                "text_encoder_2/model-00001-of-00002.safetensors",
                "text_encoder_2/model-00002-of-00002.safetensors",
                "text_encoder_2/model.fp16-00001-of-00002.safetensors",
                "text_encoder_2/model.safetensors.index.json",
                "text_encoder_2/model.safetensors.index.fp16.json",
                "tokenizer/merges.txt",
                "tokenizer/vocab.json",
                "vae/diffusion_pytorch_model.bin",
                "vae/diffusion_pytorch_model.safetensors",
            ],
        );
        let all = listing.wanted(Wanted::Model);
        assert_eq!(
            paths(&all),
            [
                "model_index.json",
                "text_encoder/model.safetensors",
                "text_encoder/config.json",
                "text_encoder_2/model-00001-of-00002.safetensors",
                "text_encoder_2/model-00002-of-00002.safetensors",
                "text_encoder_2/model.safetensors.index.json",
                "text_encoder_2/config.json",
                "tokenizer/merges.txt",
                "tokenizer/vocab.json",
                "vae/diffusion_pytorch_model.safetensors",
            ]
        );
        let some = listing.wanted(Wanted::Paths(&["tokenizer/", "text_encoder/model.safetensors"]));
        assert_eq!(paths(&some), ["tokenizer/merges.txt", "tokenizer/vocab.json", "text_encoder/model.safetensors"]);
        let error = listing.wanted(Wanted::Paths(&["transformer/config.json"])).unwrap_err();
        assert_eq!(error.to_string(), "there is no 'transformer/config.json' in a/b");
    }

    #[test]
    fn of_several_models_one_must_be_named() {
        let files = ["README.md", "x-Q4_0.gguf", "x-Q8_0.gguf"];
        let error = listing("a/b", &files).wanted(Wanted::Model).unwrap_err();
        assert_eq!(error.to_string(), "a/b holds several models: x-Q4_0.gguf, x-Q8_0.gguf");
        assert_eq!(error.hint(), "name one, such as a/b:x-Q4_0.gguf");
        assert_eq!(paths(&listing("a/b:x-Q8_0.gguf", &files).wanted(Wanted::Model)), ["x-Q8_0.gguf"]);
        let error = listing("a/b:x-Q8_1.gguf", &files).wanted(Wanted::Model).unwrap_err();
        assert_eq!(error.hint(), "did you mean 'x-Q8_0.gguf'?");
        assert_eq!(paths(&listing("a/b", &files[..2]).wanted(Wanted::Model)), ["x-Q4_0.gguf"]);
        let error = listing("a/b", &["model.ckpt"]).wanted(Wanted::Model).unwrap_err();
        assert_eq!(error.to_string(), "a/b holds no weights");
    }

    #[test]
    fn a_split_model_is_complete_when_every_shard_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("tokenizer")).unwrap();
        let wanted = ["model_index.json", "tokenizer/", "model.safetensors"];
        assert_eq!(complete(folder.path(), &wanted), Err("model_index.json"));
        write("model_index.json", "{}");
        assert_eq!(complete(folder.path(), &wanted), Err("tokenizer/"));
        write("tokenizer/vocab.json", "{}");
        let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        write("model.safetensors.index.json", &format!(r#"{{"weight_map":{{"a":"{first}","b":"{second}"}}}}"#));
        write(first, "");
        assert_eq!(complete(folder.path(), &wanted), Err("model.safetensors"));
        write(second, "");
        assert_eq!(complete(folder.path(), &wanted), Ok(()));
    }
}
