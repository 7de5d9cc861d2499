//! One network at a time, every submodule that the reference shows, from every file that holds its weights.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use flowline_model::conditioning::Conditioning;
use flowline_model::flux::{FluxConfig, FluxTransformer};
use flowline_model::probe::Record;
use flowline_model::sd3::{Sd3Config, Sd3Transformer};
use flowline_model::text::{ClipText, ClipTextConfig, T5Config, T5Encoder, clip, t5};
use flowline_model::vae::{Autoencoder, VaeConfig};
use flowline_model::weights::{Activations, HeldAs, Holding, Reader, Weights};
use flowline_model::{Error, Result};

use super::report::{Compared, F32, Report, json, listed, tensors};

type Io = HashMap<String, Tensor>;
/// Compares the network that a folder configures, with the weights of a file.
type Network = fn(&Path, &Path, Against<'_>) -> Result<Compared>;

/// What a network is compared with.
#[derive(Clone, Copy)]
struct Against<'a> {
    /// Inputs, outputs, and what stands between.
    io: &'a Io,
    /// How the weights are held.
    holding: Holding,
}

/// How far activations that are rounded to 8 bits may be off.
const ROUNDED: f64 = 2e-2;

/// Compares the network in the folder `name` of `root` with its `io.safetensors`.
pub fn compare(root: &Path, name: &str, report: &mut Report) {
    let folder = root.join(name);
    let transformer = json(&folder.join("transformer/config.json"));
    let own = json(&folder.join("config.json"));
    let class = [&transformer["_class_name"], &own["_class_name"], &own["architectures"][0]];
    let class = class.into_iter().find_map(|class| class.as_str()).unwrap_or_default();
    let guided = transformer["guidance_embeds"].as_bool() == Some(true);
    let quick = own["hidden_act"].as_str() == Some("quick_gelu");
    let (kind, network): (_, Network) = match class {
        "FluxTransformer2DModel" if guided => ("FLUX.1 with guidance", flux),
        "FluxTransformer2DModel" => ("FLUX.1 without guidance", flux),
        "SD3Transformer2DModel" if transformer["qk_norm"].is_string() => ("SD3.5", sd3),
        "SD3Transformer2DModel" => ("SD3", sd3),
        "CLIPTextModelWithProjection" | "CLIPTextModel" if quick => ("CLIP, quick GELU", clip_text),
        "CLIPTextModelWithProjection" | "CLIPTextModel" => ("CLIP, GELU", clip_text),
        "T5EncoderModel" => ("T5", t5_encoder),
        "AutoencoderKL" => ("autoencoder", autoencoder),
        other => return report.skip(format!("{name} ({other})")),
    };
    let io = match tensors(&folder.join("io.safetensors")) {
        Ok(io) => io,
        Err(error) => return report.line(name, kind, F32, Err(error)),
    };
    let files = weight_files(root, &folder, class);
    if files.is_empty() {
        let what = format!("no file in {name} holds weights");
        report.line(name, kind, F32, Err(Error::Config { file: name.into(), what }));
    }
    for file in files {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let shown = if file.starts_with(&folder) { shown } else { format!("{name}, weights of {shown}") };
        let against = Against { io: &io, holding: Holding::DENSE };
        report.line(shown, kind, F32, network(&folder, &file, against));
    }
}

/// The files that hold a network's weights, under diffusers' names and under others. A transformer without a file of its
/// own is another of the same class that leaves some weights of the first unread.
fn weight_files(root: &Path, folder: &Path, class: &str) -> Vec<PathBuf> {
    let of = |folder: &Path| -> Vec<PathBuf> {
        let files = listed(folder).into_iter().chain(listed(&folder.join("transformer")));
        files
            .filter(|file| file.extension().is_some_and(|extension| extension == "safetensors"))
            .filter(|file| !file.ends_with("io.safetensors"))
            .collect()
    };
    let own = of(folder);
    if !own.is_empty() {
        return own;
    }
    let twins =
        listed(root).into_iter().filter(|twin| json(&twin.join("transformer/config.json"))["_class_name"] == class);
    twins.map(|twin| of(&twin)).find(|files| !files.is_empty()).unwrap_or_default()
}

/// Reads a network from a file, of which nothing may be left over but what `optional` names.
fn read<T>(
    file: &Path,
    holding: Holding,
    network: impl FnOnce(&Reader<'_>) -> Result<(T, &'static [&'static str])>,
) -> Result<T> {
    let weights = Weights::open(file)?;
    let (network, optional) = network(&weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())).holding(holding))?;
    weights.finish(optional)?;
    Ok(network)
}

fn config(folder: &Path, file: &str) -> Result<Vec<u8>> {
    fs::read(folder.join(file)).map_err(|error| Error::io(&folder.join(file), error))
}

/// A tensor of the reference.
fn wanted<'a>(io: &'a Io, name: &str) -> Result<&'a Tensor> {
    let what = || format!("there is no tensor '{name}'");
    io.get(name).ok_or_else(|| Error::Config { file: "io.safetensors".into(), what: what() })
}

/// Every submodule that the reference shows for row `row` of its batch; some of ours show one row only.
fn taps(compared: &mut Compared, record: &Record, io: &Io, row: usize) -> Result<()> {
    for (name, want) in io.iter().filter_map(|(name, want)| Some((name.strip_prefix("tap.")?, want))) {
        match record.0.get(name) {
            Some(got) => {
                compared.tensor(name, &got.narrow(0, row.min(got.dim(0)? - 1), 1)?, &want.narrow(0, row, 1)?)?
            }
            None => compared.missing(name),
        }
    }
    Ok(())
}

/// One value a row.
fn per_row(io: &Io, name: &str) -> Result<Vec<f64>> {
    Ok(wanted(io, name)?.to_dtype(DType::F64)?.to_vec1()?)
}

/// FLUX.1 tokens, (b, h w, 4 c), to latents, (b, c, 2 h, 2 w).
fn unpacked(tokens: &Tensor, (h, w): (usize, usize)) -> Result<Tensor> {
    let (b, _, width) = tokens.dims3()?;
    let x = tokens.reshape((b, h, w, width / 4, 2, 2))?.permute((0, 3, 1, 4, 2, 5))?;
    Ok(x.reshape((b, width / 4, 2 * h, 2 * w))?)
}

fn flux(folder: &Path, file: &Path, against: Against<'_>) -> Result<Compared> {
    let Against { io, holding } = against;
    let config = FluxConfig::parse("config.json", &config(folder, "transformer/config.json")?)?;
    let transformer = read(file, holding, |reader| {
        let transformer = FluxTransformer::load(&config, reader)?;
        let optional = transformer.optional_tensors();
        Ok((transformer, optional))
    })?;
    let mut compared = Compared::default();
    // (n, 3): index, row, column
    let places = wanted(io, "img_ids")?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let count =
        |axis: usize| places.iter().filter_map(|place| place.get(axis)).fold(0, |most, at| most.max(*at as usize + 1));
    let grid = (count(1), count(2));
    let latents = unpacked(wanted(io, "hidden_states")?, grid)?;
    let guidance = io.contains_key("guidance").then(|| per_row(io, "guidance")).transpose()?;
    let (context, pooled) = (wanted(io, "encoder_hidden_states")?, wanted(io, "pooled")?);
    for (row, sigma) in per_row(io, "timestep")?.into_iter().enumerate() {
        let guidance = guidance.as_ref().and_then(|guidance| guidance.get(row).copied());
        let conditioning = Conditioning { context: context.clone(), pooled: pooled.clone(), guidance };
        let mut record = Record::default();
        // The reference gives every row its own time and guidance, we have one for all.
        let got = transformer.forward_probed(&latents, &conditioning, sigma, &mut record)?.narrow(0, row, 1)?;
        compared.tensor("output", &got, &unpacked(wanted(io, "output")?, grid)?.narrow(0, row, 1)?)?;
        taps(&mut compared, &record, io, row)?;
    }
    Ok(compared)
}

fn sd3(folder: &Path, file: &Path, against: Against<'_>) -> Result<Compared> {
    let Against { io, holding } = against;
    let config = Sd3Config::parse("config.json", &config(folder, "transformer/config.json")?)?;
    let transformer = read(file, holding, |reader| Ok((Sd3Transformer::load(&config, reader)?, &[][..])))?;
    let mut compared = Compared::default();
    let (context, pooled) = (wanted(io, "encoder_hidden_states")?, wanted(io, "pooled")?);
    let conditioning = Conditioning { context: context.clone(), pooled: pooled.clone(), guidance: None };
    for (row, time) in per_row(io, "timestep")?.into_iter().enumerate() {
        let mut record = Record::default();
        let got =
            transformer.forward_probed(wanted(io, "hidden_states")?, &conditioning, time / 1000.0, &mut record)?;
        compared.tensor("output", &got.narrow(0, row, 1)?, &wanted(io, "output")?.narrow(0, row, 1)?)?;
        taps(&mut compared, &record, io, row)?;
    }
    Ok(compared)
}

fn ids(io: &Io) -> Result<Tensor> {
    Ok(wanted(io, "input_ids")?.to_dtype(DType::U32)?)
}

/// The hidden states, first the embeddings, as far as the reference keeps them.
fn hidden_states(compared: &mut Compared, hidden: &[Tensor], io: &Io) -> Result<()> {
    for (at, got) in hidden.iter().enumerate() {
        if let Some(want) = io.get(&format!("hidden_{at}")) {
            compared.tensor(format!("hidden_{at}"), got, want)?;
        }
    }
    Ok(())
}

fn clip_text(folder: &Path, file: &Path, against: Against<'_>) -> Result<Compared> {
    let Against { io, holding } = against;
    let config = ClipTextConfig::parse("config.json", &config(folder, "config.json")?)?;
    let encoder = read(file, holding, |reader| Ok((ClipText::load(&config, reader)?, clip::OPTIONAL)))?;
    let (mut compared, mut hidden) = (Compared::default(), Vec::new());
    let out = encoder.forward_observed(&ids(io)?, &mut |x| {
        hidden.push(x.clone());
        ControlFlow::Continue(())
    })?;
    hidden_states(&mut compared, &hidden, io)?;
    let parts = [
        ("penultimate", Some(&out.penultimate)),
        ("last_hidden_state", Some(&out.last_hidden_state)),
        ("pooled_unprojected", Some(&out.pooled)),
        ("text_embeds_projected", out.projected.as_ref()),
    ];
    for (name, got) in parts {
        match got {
            Some(got) => compared.tensor(name, got, wanted(io, name)?)?,
            None => compared.missing(name),
        }
    }
    Ok(compared)
}

fn t5_encoder(folder: &Path, file: &Path, against: Against<'_>) -> Result<Compared> {
    let Against { io, holding } = against;
    let config = T5Config::parse("config.json", &config(folder, "config.json")?)?;
    let encoder = read(file, holding, |reader| Ok((T5Encoder::load(&config, reader)?, t5::OPTIONAL)))?;
    let (mut compared, mut hidden) = (Compared::default(), Vec::new());
    let last = encoder.forward_observed(&ids(io)?, None, &mut |x| {
        hidden.push(x.clone());
        ControlFlow::Continue(())
    })?;
    hidden_states(&mut compared, &hidden, io)?;
    compared.tensor("last_hidden_state", &last, wanted(io, "last_hidden_state")?)?;
    if let (Some(mask), Some(want)) = (io.get("attention_mask"), io.get("last_hidden_state_masked")) {
        compared.tensor("last_hidden_state_masked", &encoder.forward(&ids(io)?, Some(mask))?, want)?;
    }
    Ok(compared)
}

fn autoencoder(folder: &Path, file: &Path, against: Against<'_>) -> Result<Compared> {
    let Against { io, holding } = against;
    let config = VaeConfig::parse("config.json", &config(folder, "config.json")?)?;
    let vae = read(file, holding, |reader| Ok((Autoencoder::load(&config, reader)?, &[][..])))?;
    let (mut compared, mut record) = (Compared::default(), Record::default());
    compared.tensor("decoded", &vae.decode_unscaled(wanted(io, "z")?, &mut record)?, wanted(io, "decoded")?)?;
    let moments = vae.encode_moments(wanted(io, "image")?, &mut record)?;
    compared.tensor("mean", &moments.mean, wanted(io, "mean")?)?;
    compared.tensor("logvar", &moments.logvar, wanted(io, "logvar")?)?;
    taps(&mut compared, &record, io, 0)?;
    Ok(compared)
}

/// Transformers in GGUF files: NAME.gguf beside NAME.io.safetensors, whose output is that of the decoded weights on the
/// inputs of the fixture that the file has the shapes of. Once with decoded weights, once with rounded activations.
pub fn gguf(root: &Path, report: &mut Report) {
    let is_gguf = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "gguf");
    for file in listed(&root.join("gguf")).into_iter().filter(is_gguf) {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let of = |activations| of_gguf(root, &file, Holding { weights: HeldAs::Stored, activations });
        report.line(shown.as_str(), "GGUF", F32, of(Activations::F32));
        report.near(format!("{shown}, activations rounded to 8 bits"), ROUNDED, of(Activations::Q8));
    }
}

fn of_gguf(root: &Path, file: &Path, holding: Holding) -> Result<Compared> {
    let output = tensors(&file.with_extension("io.safetensors"))?.remove("output_dequantized");
    let networks: [(&str, Network); 2] = [("FluxTransformer2DModel", flux), ("SD3Transformer2DModel", sd3)];
    let mut last = None;
    for folder in listed(root) {
        let class = json(&folder.join("transformer/config.json"))["_class_name"].clone();
        let Some((_, network)) = networks.iter().find(|(name, _)| class == *name) else { continue };
        let mut io = tensors(&folder.join("io.safetensors"))?;
        io.retain(|name, _| !name.starts_with("tap."));
        io.extend(output.clone().map(|output| ("output".to_owned(), output)));
        match network(&folder, file, Against { io: &io, holding }) {
            // Of another model.
            Err(error @ (Error::MissingTensor { .. } | Error::TensorShape { .. })) => last = Some(error),
            compared => return compared,
        }
    }
    let what = || Error::Config { file: "io.safetensors".into(), what: "no fixture has these inputs".into() };
    Err(last.unwrap_or_else(what))
}
