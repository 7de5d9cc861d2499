//! How many modules of adapters as people have them apply: lists of the real models' names and shapes, without numbers.

use std::fs;
use std::path::Path;

use flowline_model::weights::{Applied, Targets, Weights};
use serde_json::{Map, Value, json};

use super::parity::fixture;
use super::{TRANSFORMER, lora};

/// A safetensors file of these shapes, with a hole for its numbers.
fn sparse(path: &Path, shapes: impl IntoIterator<Item = (String, Vec<usize>)>) {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in shapes {
        let begin = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [begin, end] }));
    }
    let header = Value::from(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    let whole = (8 + header.len() + end) as u64;
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(whole).unwrap();
}

/// The published tensors of a model.
fn published(list: &str) -> Vec<(String, Vec<usize>)> {
    let list = fs::read(fixture(&format!("tensor_lists/{list}.json"))).unwrap();
    let list: Map<String, Value> = serde_json::from_slice(&list).unwrap();
    let shape = |value: &Value| {
        serde_json::from_value(value["shape"].clone()).or_else(|_| serde_json::from_value(value.clone()))
    };
    list.iter().map(|(name, value)| (name.clone(), shape(value).unwrap())).collect()
}

/// What comes of an adapter for all modules of the list that `is_trained` picks, spelled by `module`, on a model.
fn applied(
    model: &str,
    list: &str,
    module: impl Fn(&str) -> String,
    (down, up): (&str, &str),
    is_trained: impl Fn(&str) -> bool,
) -> Applied {
    let folder = tempfile::tempdir().unwrap();
    let (model_file, adapter) = (folder.path().join("model.safetensors"), folder.path().join("cats.safetensors"));
    sparse(&model_file, published(model));
    let trained = published(list).into_iter().filter_map(|(name, shape)| {
        let name = name.strip_suffix(".weight").filter(|name| is_trained(name))?.to_owned();
        (shape.len() == 2).then(|| (name, shape[0], shape[1]))
    });
    let pairs = trained.flat_map(|(name, rows, columns)| {
        let name = module(&name);
        [(format!("{name}{down}"), vec![1, columns]), (format!("{name}{up}"), vec![rows, 1])]
    });
    sparse(&adapter, pairs);
    let mut targets = Targets::default();
    targets.add(TRANSFORMER, &Weights::open(&model_file).unwrap());
    let opened = flowline_model::weights::Adapters::open(
        &[lora(&adapter, 1.0)],
        &targets,
        &mut flowline_model::weights::HashCache::default(),
    );
    opened.unwrap().applied().next().unwrap().clone()
}

const KOHYA: (&str, &str) = (".lora_down.weight", ".lora_up.weight");
const PEFT: (&str, &str) = (".lora_A.weight", ".lora_B.weight");

fn flattened(name: &str) -> String {
    format!("lora_unet_{}", name.replace('.', "_"))
}

#[track_caller]
fn assert_all(applied: &Applied, count: usize) {
    assert_eq!((applied.applied, applied.modules, applied.rest.as_slice()), (count, count, &[][..]));
    assert!(applied.to_string().ends_with(&format!("cats.safetensors: {count} of {count} applied")), "{applied}");
    assert!(applied.warning().is_none());
}

#[test]
fn every_module_of_the_published_models_is_applied_in_both_namings() {
    let blocks = |name: &str| name.contains("blocks.");
    for model in ["flux1-dev.diffusers", "flux1-dev.bfl"] {
        // 19 blocks of 10 modules, 38 of 3.
        assert_all(&applied(model, "flux1-dev.bfl", flattened, KOHYA, blocks), 19 * 10 + 38 * 3);
        // 19 blocks of 14, 38 of 6.
        let diffusers = |name: &str| format!("transformer.{name}");
        assert_all(&applied(model, "flux1-dev.diffusers", diffusers, PEFT, blocks), 19 * 14 + 38 * 6);
        let everywhere = |name: &str| format!("diffusion_model.{name}");
        assert_all(&applied(model, "flux1-dev.bfl", everywhere, PEFT, |_| true), 304 + 10);
    }
    for (model, of_blocks) in [
        // The last block has no way out for the text.
        ("sd3-medium", 24 * 10 - 3),
        // Of 24 blocks, 13 have a second attention.
        ("sd3.5-medium", 24 * 10 - 3 + 13 * 2),
        ("sd3.5-large", 38 * 10 - 3),
    ] {
        for layout in ["diffusers", "sai"] {
            let on = format!("{model}.{layout}");
            let name = |name: &str| name.trim_start_matches("model.diffusion_model.").to_owned();
            let kohya = applied(&on, &format!("{model}.sai"), |module| flattened(&name(module)), KOHYA, blocks);
            assert_all(&kohya, of_blocks);
        }
    }
}

#[test]
fn what_a_model_has_no_use_for_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cats.safetensors");
    let of = |module: &str, rows| {
        [(format!("{module}{}", PEFT.0), vec![4, 32]), (format!("{module}{}", PEFT.1), vec![rows, 4])]
    };
    let mut shapes: Vec<_> = of("transformer.transformer_blocks.0.attn.to_q", 32).into();
    shapes.extend(of("diffusion_model.double_blocks.0.img_attn.qkv", 96));
    shapes.extend(of("transformer.transformer_blocks.7.attn.to_q", 32));
    shapes.push(("transformer.transformer_blocks.0.norm1.diff_b".into(), vec![32]));
    shapes.push(("lora_unet_nothing.alpha".into(), vec![1]));
    sparse(&path, shapes);
    let adapters = super::transformer_adapters("flux_dev", &[lora(&path, 0.5)]).unwrap();
    let applied = adapters.applied().next().unwrap();
    assert_eq!((applied.applied, applied.modules), (1, 3));
    let warning = applied.warning().unwrap();
    assert_eq!(warning.code, "lora-rest");
    assert!(
        warning.message.ends_with(
            "cats.safetensors: 1 of 3 applied, at 0.5; this model has no use for transformer.transformer_blocks.0.attn.to_q \
             (named twice), transformer.transformer_blocks.7.attn.to_q, transformer.transformer_blocks.0.norm1.diff_b, \
             lora_unet_nothing.alpha"
        ),
        "{warning}"
    );
}
