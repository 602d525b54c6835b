//! Makes the example model and its data from a seed: the general corpus that it is pretrained on (not kept), the
//! rows that it is fine-tuned and judged with, its tokenizer and its weights.
//!
//! `cargo run -p container --example make-tiny-lm [-- FOLDER]` writes `models/tiny-lm/` and `data/` under FOLDER,
//! which is `examples` when left out. The same seed gives the same bytes.

mod domain;
mod general;
mod tokenizer;
mod words;

use std::error::Error;
use std::fs;
use std::path::Path;

use container::checkpoint::Checkpoint;
use container::dataset::windows;
use container::evaluate::score;
use container::fit::fit;
use container::hyperparameters::Hyperparameters;
use container::model::{Config, Variants, initial};
use container::progress;
use container::stop::Stop;
use container::train::Trainable;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const SEED: u64 = 20_261_121;
const DOCUMENTS: usize = 5000;
const CARD: &str = include_str!("card.md");

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "examples".to_owned());
    let (model, data) = (Path::new(&folder).join("models/tiny-lm"), Path::new(&folder).join("data"));
    fs::create_dir_all(&model)?;
    fs::create_dir_all(&data)?;

    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let general = general::documents(&mut random, DOCUMENTS);
    let (training, held_out) = domain::rows(&mut random);
    progress::line(format_args!(
        "{} general documents, {} rows to fine-tune, {} held out",
        general.len(),
        training.len(),
        held_out.len()
    ));
    fs::write(data.join("training.jsonl"), lines(&training, |text| json!({ "text": text }))?)?;
    fs::write(
        data.join("evaluation.jsonl"),
        lines(&held_out, |text| json!({ "text": text, "kind": kind(text) }))?,
    )?;

    let config = config();
    tokenizer::train(&general, config.vocab_size)?.save(model.join("tokenizer.json"), true)?;
    fs::write(model.join("config.json"), config_json(&config)?)?;
    fs::write(model.join("tokenizer_config.json"), tokenizer::CONFIG)?;
    fs::write(model.join("generation_config.json"), GENERATION)?;
    fs::write(model.join("README.md"), CARD)?;
    container::weights::save(&model.join("model.safetensors"), &initial(&config, SEED)?)?;

    let start = Checkpoint::load(&model)?;
    let with = Hyperparameters {
        epochs: 2,
        learning_rate: 3e-3,
        batch_size: 32,
        warmup_steps: 20,
        seed: SEED,
        ..Hyperparameters::default()
    };
    let mut samples = Vec::new();
    for text in &general {
        samples.extend(windows(&start.sequence(text)?, config.max_position_embeddings));
    }
    let trainable = Trainable::new(config, start.weights, &with)?;
    fit(&trainable.model, &trainable.named(), &samples, &with, &Stop::default(), None)?;
    container::weights::save(&model.join("model.safetensors"), &trainable.weights()?)?;

    let rows = [(None, held_out.iter().map(String::as_str).collect())].into();
    score("base", Checkpoint::load(&model)?, &rows, &Stop::default())?;
    Ok(())
}

const GENERATION: &str = "{\n  \"bos_token_id\": 0,\n  \"eos_token_id\": 0,\n  \"max_new_tokens\": 64\n}\n";

fn config() -> Config {
    Config {
        model_type: "llama".to_owned(),
        vocab_size: 768,
        hidden_size: 96,
        intermediate_size: 192,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(4),
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        bos_token_id: 0,
        eos_token_id: 0,
        hidden_act: "silu".to_owned(),
        variants: Variants::default(),
    }
}

/// What this container does not read but Hugging Face's loaders do.
fn config_json(config: &Config) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut json = serde_json::to_value(config)?;
    json["architectures"] = serde_json::json!(["LlamaForCausalLM"]);
    json["torch_dtype"] = serde_json::json!("float32");
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

/// The group of a held-out row.
fn kind(text: &str) -> &'static str {
    if text.starts_with("Q:") { "question" } else { "report" }
}

fn lines(texts: &[String], row: fn(&str) -> Value) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut lines = String::new();
    for text in texts {
        lines += &serde_json::to_string(&row(text))?;
        lines.push('\n');
    }
    Ok(lines)
}
