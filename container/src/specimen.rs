//! A model small enough to be trained inside a unit test.

use candle_core::{Device, Tensor};

use crate::lora::Adapters;
use crate::model::{Config, Model, Variants, initial};
use crate::weights::Weights;

pub(crate) fn config() -> Config {
    Config {
        model_type: "llama".to_owned(),
        vocab_size: 32,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: false,
        bos_token_id: 0,
        eos_token_id: 0,
        hidden_act: "silu".to_owned(),
        variants: Variants::default(),
    }
}

/// Larger than the usual initial weights, so that a difference shows.
pub(crate) fn weights() -> Weights {
    initial(&config(), 7).unwrap().into_iter().map(|(name, tensor)| (name, (tensor * 5.0).unwrap())).collect()
}

pub(crate) fn model() -> Model {
    Model::new(config(), weights(), Adapters::default()).unwrap()
}

/// A batch of one sequence.
pub(crate) fn batch(tokens: &[u32]) -> Tensor {
    Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap()
}

pub(crate) fn logits(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let hidden = model.hidden(&batch(tokens), None).unwrap();
    model.logits(&hidden.squeeze(0).unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
