//! A Llama-style decoder. Only operations with a backward pass are used: candle's fused RmsNorm, softmax and rope
//! have none and would silently leave the weights before them untrained. Its unfused ones have one, but a dear one:
//! here they are written so that few passes over memory are left.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{D, DType, Device, Shape, Tensor};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lora::Adapters;
use crate::weights::Weights;

/// What this container reads of a `config.json`; other fields are left alone and copied along.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Always `llama`.
    pub model_type: String,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; as many as query heads when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Whether the output projection is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// First token of every sequence.
    pub bos_token_id: u32,
    /// Last token of every sequence.
    pub eos_token_id: u32,
    /// Always `silu`.
    #[serde(default = "default_hidden_act")]
    pub hidden_act: String,
    /// Variants of the architecture that are refused when set.
    #[serde(flatten)]
    pub variants: Variants,
}

/// Fields that change what a model computes and that this container does not implement: ignoring one would run another model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Variants {
    /// Biases in attention.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attention_bias: bool,
    /// Biases in the feed-forward block.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mlp_bias: bool,
    /// Heads whose width is not `hidden_size / num_attention_heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Stretched rotary frequencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<serde_json::Value>,
    /// The newer spelling of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<serde_json::Value>,
    /// Quantised weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization_config: Option<serde_json::Value>,
    /// Code that the repository would have a loader run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_map: Option<serde_json::Value>,
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_hidden_act() -> String {
    "silu".to_owned()
}

impl Config {
    /// Reads and checks a `config.json`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(Error::unreadable(path))?;
        let config: Self = serde_json::from_slice(&text)
            .map_err(|source| Error::JsonMalformed { path: path.to_owned(), source })?;
        config.check(path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let refuse = |field: &'static str, value: String, remedy: &str| {
            Err(Error::ConfigUnsupported { path: path.to_owned(), field, value, remedy: remedy.to_owned() })
        };
        if self.model_type != "llama" {
            return refuse("model_type", format!("\"{}\"", self.model_type), "only \"llama\" is implemented");
        }
        if self.hidden_act != "silu" {
            return refuse("hidden_act", format!("\"{}\"", self.hidden_act), "only \"silu\" is implemented");
        }
        for (field, value, most) in [
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("intermediate_size", self.intermediate_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 256),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("num_key_value_heads", self.key_value_heads(), 256),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
        ] {
            if value == 0 || value > most {
                return refuse(field, value.to_string(), &format!("it must lie between 1 and {most}"));
            }
        }
        if !self.hidden_size.is_multiple_of(2 * self.num_attention_heads) {
            let remedy = "it must be a multiple of twice `num_attention_heads`";
            return refuse("hidden_size", self.hidden_size.to_string(), remedy);
        }
        if !self.num_attention_heads.is_multiple_of(self.key_value_heads()) {
            let remedy = "`num_attention_heads` must be a multiple of it";
            return refuse("num_key_value_heads", self.key_value_heads().to_string(), remedy);
        }
        for (field, token) in [("bos_token_id", self.bos_token_id), ("eos_token_id", self.eos_token_id)] {
            if token as usize >= self.vocab_size {
                return refuse(field, token.to_string(), "it must be less than `vocab_size`");
            }
        }
        for (field, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(field, value.to_string(), "it must be a positive number");
            }
        }
        let variants = &self.variants;
        if variants.head_dim.is_some_and(|dim| dim != self.head_dim()) {
            let remedy = "only hidden_size / num_attention_heads is implemented";
            return refuse("head_dim", format!("{:?}", variants.head_dim), remedy);
        }
        for (field, set) in [
            ("attention_bias", variants.attention_bias),
            ("mlp_bias", variants.mlp_bias),
            ("rope_scaling", variants.rope_scaling.is_some()),
            ("rope_parameters", variants.rope_parameters.is_some()),
            ("quantization_config", variants.quantization_config.is_some()),
            ("auto_map", variants.auto_map.is_some()),
        ] {
            if set {
                return refuse(field, "set".to_owned(), "it is not implemented, choose a model without it");
            }
        }
        Ok(())
    }

    fn key_value_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Every tensor of the model, by its Hugging Face name.
    pub fn tensors(&self) -> BTreeMap<String, Shape> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let key_value = self.key_value_heads() * self.head_dim();
        let mut tensors = BTreeMap::new();
        for layer in 0..self.num_hidden_layers {
            let mut add = |name: &str, shape: Shape| tensors.insert(in_layer(layer, name), shape);
            add("input_layernorm", hidden.into());
            add("post_attention_layernorm", hidden.into());
            add("self_attn.q_proj", (hidden, hidden).into());
            add("self_attn.k_proj", (key_value, hidden).into());
            add("self_attn.v_proj", (key_value, hidden).into());
            add("self_attn.o_proj", (hidden, hidden).into());
            add("mlp.gate_proj", (inner, hidden).into());
            add("mlp.up_proj", (inner, hidden).into());
            add("mlp.down_proj", (hidden, inner).into());
        }
        tensors.insert(EMBEDDING.to_owned(), (self.vocab_size, hidden).into());
        tensors.insert(FINAL_NORM.to_owned(), hidden.into());
        if !self.tie_word_embeddings {
            tensors.insert(OUTPUT.to_owned(), (self.vocab_size, hidden).into());
        }
        tensors
    }
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const FINAL_NORM: &str = "model.norm.weight";
const OUTPUT: &str = "lm_head.weight";

fn in_layer(layer: usize, name: &str) -> String {
    format!("model.layers.{layer}.{name}.weight")
}

/// Whether a tensor is one of the projections that LoRA adds to.
pub fn is_projection(name: &str) -> bool {
    name.ends_with("_proj.weight")
}

/// Keys and values of the tokens that generation has already seen, a pair for each layer.
#[derive(Debug, Default)]
pub struct Cache(Vec<(Tensor, Tensor)>);

impl Cache {
    fn len(&self) -> usize {
        self.0.first().map_or(0, |(keys, _)| keys.dims()[2])
    }
}

/// The decoder with its weights.
#[derive(Debug)]
pub struct Model {
    config: Config,
    weights: Weights,
    adapters: Adapters,
    cos: Tensor,
    sin: Tensor,
    rotation: Tensor,
}

impl Model {
    /// Puts weights (and, in LoRA training, adapters) to work. The weights are those that `Config::tensors` lists.
    pub fn new(config: Config, weights: Weights, adapters: Adapters) -> Result<Self, Error> {
        let half = config.head_dim() / 2;
        let frequency = |i: usize| config.rope_theta.powf(-(i as f64) / half as f64);
        let angles: Vec<f64> = (0..config.max_position_embeddings)
            .flat_map(|position| (0..2 * half).map(move |i| position as f64 * frequency(i % half)))
            .collect();
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|angle| of(*angle) as f32).collect();
            Tensor::from_vec(values, (config.max_position_embeddings, 2 * half), &Device::Cpu)
        };
        let (cos, sin) = (table(f64::cos)?, table(f64::sin)?);
        let rotation = rotation(half)?;
        Ok(Self { config, weights, adapters, cos, sin, rotation })
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Final hidden states of a batch of sequences, `[batch, length] -> [batch, length, hidden]`. With a cache the
    /// tokens continue those seen before. Padding belongs on the right, where nothing looks back at it.
    pub fn hidden(&self, tokens: &Tensor, cache: Option<&mut Cache>) -> Result<Tensor, Error> {
        let (batch, length) = tokens.dims2()?;
        let mut fresh = Cache::default();
        let cache = cache.unwrap_or(&mut fresh);
        let start = cache.len();
        let mask = causal_mask(length, start)?;
        let mut hidden = self.weight(EMBEDDING)?.index_select(&tokens.flatten_all()?, 0)?.reshape((
            batch,
            length,
            self.config.hidden_size,
        ))?;
        for layer in 0..self.config.num_hidden_layers {
            let normed = self.norm(&hidden, &in_layer(layer, "input_layernorm"))?;
            hidden = (hidden + self.attention(layer, &normed, mask.as_ref(), start, cache)?)?;
            let normed = self.norm(&hidden, &in_layer(layer, "post_attention_layernorm"))?;
            hidden = (hidden + self.feed_forward(layer, &normed)?)?;
        }
        self.norm(&hidden, FINAL_NORM)
    }

    /// Logits of hidden states given as rows, `[n, hidden] -> [n, vocabulary]`.
    pub fn logits(&self, rows: &Tensor) -> Result<Tensor, Error> {
        let output = if self.config.tie_word_embeddings { EMBEDDING } else { OUTPUT };
        Ok(rows.matmul(&self.weight(output)?.t()?)?)
    }

    fn attention(
        &self,
        layer: usize,
        hidden: &Tensor,
        mask: Option<&Tensor>,
        start: usize,
        cache: &mut Cache,
    ) -> Result<Tensor, Error> {
        let (batch, length, width) = hidden.dims3()?;
        let (heads, groups) = (self.config.num_attention_heads, self.config.key_value_heads());
        let dim = self.config.head_dim();
        let split = |name: &str, heads: usize| -> Result<Tensor, Error> {
            let projected = self.project(layer, name, hidden)?;
            Ok(projected.reshape((batch, length, heads, dim))?.transpose(1, 2)?.contiguous()?)
        };
        let (cos, sin) = (self.cos.narrow(0, start, length)?, self.sin.narrow(0, start, length)?);
        let queries = self.turn(&split("self_attn.q_proj", heads)?, &cos, &sin)?;
        let keys = self.turn(&split("self_attn.k_proj", groups)?, &cos, &sin)?;
        let values = split("self_attn.v_proj", groups)?;
        let (keys, values) = match cache.0.get(layer) {
            Some((old_keys, old_values)) => {
                (Tensor::cat(&[old_keys, &keys], 2)?, Tensor::cat(&[old_values, &values], 2)?)
            }
            None => (keys, values),
        };
        match cache.0.get_mut(layer) {
            Some(seen) => *seen = (keys.clone(), values.clone()),
            None => cache.0.push((keys.clone(), values.clone())),
        }
        let (keys, values) = (repeat(&keys, heads / groups)?, repeat(&values, heads / groups)?);
        let mut scores = (queries.matmul(&keys.t()?)? * (dim as f64).powf(-0.5))?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let mixed = softmax(&scores)?.matmul(&values)?;
        self.project(layer, "self_attn.o_proj", &mixed.transpose(1, 2)?.reshape((batch, length, width))?)
    }

    /// Rotary position embedding of `[batch, heads, length, dim]`.
    fn turn(&self, heads: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor, Error> {
        let turned =
            heads.reshape(((), self.config.head_dim()))?.matmul(&self.rotation)?.reshape(heads.shape())?;
        Ok((heads.broadcast_mul(cos)? + turned.broadcast_mul(sin)?)?)
    }

    fn feed_forward(&self, layer: usize, hidden: &Tensor) -> Result<Tensor, Error> {
        let gate = self.project(layer, "mlp.gate_proj", hidden)?.silu()?;
        let up = self.project(layer, "mlp.up_proj", hidden)?;
        self.project(layer, "mlp.down_proj", &(gate * up)?)
    }

    fn project(&self, layer: usize, name: &str, hidden: &Tensor) -> Result<Tensor, Error> {
        let name = in_layer(layer, name);
        let (batch, length, width) = hidden.dims3()?;
        // As one matrix: a batched product with a transposed, broadcast weight is several times slower.
        let rows = hidden.reshape((batch * length, width))?;
        let mut projected = rows.matmul(&self.weight(&name)?.t()?)?;
        if let Some(added) = self.adapters.forward(&name, &rows)? {
            projected = (projected + added)?;
        }
        Ok(projected.reshape((batch, length, ()))?)
    }

    fn norm(&self, hidden: &Tensor, name: &str) -> Result<Tensor, Error> {
        let scale = (hidden.sqr()?.mean_keepdim(D::Minus1)? + self.config.rms_norm_eps)?.sqrt()?.recip()?;
        Ok(hidden.broadcast_mul(&scale)?.broadcast_mul(self.weight(name)?)?)
    }

    fn weight(&self, name: &str) -> Result<&Tensor, Error> {
        Ok(self.weights.get(name).ok_or_else(|| candle_core::Error::Msg(format!("no tensor `{name}`")))?)
    }
}

/// Minus infinity wherever a token would look ahead; none for a single token, which sees everything before it.
fn causal_mask(length: usize, start: usize) -> Result<Option<Tensor>, Error> {
    if length == 1 {
        return Ok(None);
    }
    let mask: Vec<f32> = (0..length)
        .flat_map(|row| {
            (0..start + length).map(move |column| if column > start + row { f32::NEG_INFINITY } else { 0.0 })
        })
        .collect();
    Ok(Some(Tensor::from_vec(mask, (length, start + length), &Device::Cpu)?))
}

/// Softmax over the last dimension. Its value and its gradient are the same whatever is subtracted, so the maximum,
/// which only keeps the exponential from overflowing, is left out of the backward pass.
fn softmax(scores: &Tensor) -> Result<Tensor, Error> {
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    Ok(weights.broadcast_mul(&weights.sum_keepdim(D::Minus1)?.recip()?)?)
}

/// The matrix that turns `(a, b)` into `(-b, a)`, halves of a head: one small product, where narrowing, negating and
/// joining would each cost a pass forward and more of them backward.
fn rotation(half: usize) -> Result<Tensor, Error> {
    let dim = 2 * half;
    let mut values = vec![0f32; dim * dim];
    for i in 0..half {
        values[(i + half) * dim + i] = -1.0;
        values[i * dim + i + half] = 1.0;
    }
    Ok(Tensor::from_vec(values, (dim, dim), &Device::Cpu)?)
}

/// Gives every query head its key or value head when several share one.
fn repeat(heads: &Tensor, times: usize) -> Result<Tensor, Error> {
    if times == 1 {
        return Ok(heads.clone());
    }
    let (batch, groups, length, dim) = heads.dims4()?;
    Ok(heads.unsqueeze(2)?.broadcast_as((batch, groups, times, length, dim))?.reshape((
        batch,
        groups * times,
        length,
        dim,
    ))?)
}

/// Random weights to pretrain from: normal with the usual 0.02, the projections into the residual stream scaled
/// down by depth, norms at one.
pub fn initial(config: &Config, seed: u64) -> Result<Weights, Error> {
    use rand::SeedableRng as _;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let residual = 0.02 / (2.0 * config.num_hidden_layers as f64).sqrt();
    config
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            let tensor = if shape.rank() == 1 {
                Tensor::ones(shape, DType::F32, &Device::Cpu)?
            } else {
                let into_residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
                normal(&mut random, if into_residual { residual } else { 0.02 }, &shape)?
            };
            Ok((name, tensor))
        })
        .collect()
}

/// Normally distributed values. Candle's own generator cannot be seeded on the CPU.
pub fn normal(random: &mut rand_chacha::ChaCha8Rng, deviation: f64, shape: &Shape) -> Result<Tensor, Error> {
    use rand::Rng as _;
    let values: Vec<f32> = (0..shape.elem_count())
        .map(|_| {
            // Box-Muller; one minus the sample keeps the logarithm away from zero.
            let (radius, angle): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
            ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos() * deviation) as f32
        })
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn a_later_token_changes_nothing_before_it() {
        let model = specimen::model();
        let states = |tokens: &[u32]| rows(&model.hidden(&specimen::batch(tokens), None).unwrap());
        let (long, short) = (states(&[1, 2, 3, 4]), states(&[1, 2, 3, 5]));
        assert_eq!(long[..3], short[..3]);
        assert_ne!(long[3], short[3]);
    }

    #[test]
    fn what_is_written_out_here_equals_the_library() {
        let mut random = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(5);
        let mut some = |shape: &[usize]| normal(&mut random, 1.0, &Shape::from(shape)).unwrap();
        let near = |ours: Tensor, library: Tensor| {
            let difference =
                (ours - library).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-5, "{difference}");
        };
        let scores = some(&[2, 4, 5, 5]);
        near(softmax(&scores).unwrap(), candle_nn::ops::softmax(&scores, D::Minus1).unwrap());

        let model = specimen::model();
        let hidden = some(&[2, 3, 32]);
        let library =
            candle_nn::ops::rms_norm_slow(&hidden, model.weight(FINAL_NORM).unwrap(), 1e-5).unwrap();
        near(model.norm(&hidden, FINAL_NORM).unwrap(), library);

        let heads = some(&[2, 4, 5, 8]);
        let (cos, sin) = (model.cos.narrow(0, 3, 5).unwrap(), model.sin.narrow(0, 3, 5).unwrap());
        let (half_cos, half_sin) = (cos.narrow(1, 0, 4).unwrap(), sin.narrow(1, 0, 4).unwrap());
        let library = candle_nn::rotary_emb::rope_slow(&heads, &half_cos, &half_sin).unwrap();
        near(model.turn(&heads, &cos, &sin).unwrap(), library);
    }

    #[test]
    fn continuing_with_a_cache_equals_starting_over() {
        let model = specimen::model();
        let whole = model.hidden(&specimen::batch(&[1, 2, 3, 4, 5]), None).unwrap();
        let mut cache = Cache::default();
        let mut last = Vec::new();
        for part in [&[1u32, 2][..], &[3], &[4, 5]] {
            last.extend(rows(&model.hidden(&specimen::batch(part), Some(&mut cache)).unwrap()));
        }
        for (a, b) in rows(&whole).iter().flatten().zip(last.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn a_configuration_that_would_run_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let good = serde_json::to_value(specimen::config()).unwrap();
        for (field, value) in [
            ("model_type", serde_json::json!("gpt2")),
            ("hidden_act", serde_json::json!("gelu")),
            ("hidden_size", serde_json::json!(30)),
            ("vocab_size", serde_json::json!(0)),
            ("num_key_value_heads", serde_json::json!(3)),
            ("eos_token_id", serde_json::json!(4096)),
            ("rms_norm_eps", serde_json::json!(0.0)),
            ("attention_bias", serde_json::json!(true)),
            ("head_dim", serde_json::json!(64)),
            ("rope_scaling", serde_json::json!({"factor": 2})),
            ("auto_map", serde_json::json!({"AutoModel": "x.py"})),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            std::fs::write(&path, bad.to_string()).unwrap();
            let message = Config::read(&path).unwrap_err().to_string();
            assert!(message.contains(&format!("`{field}` is ")), "{message}");
        }
        std::fs::write(&path, good.to_string()).unwrap();
        Config::read(&path).unwrap();
    }

    fn rows(hidden: &Tensor) -> Vec<Vec<f32>> {
        hidden.squeeze(0).unwrap().to_vec2().unwrap()
    }
}
