//! Continuing a prompt, greedily or by temperature.

use candle_core::{Device, Tensor};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::Error;
use crate::model::{Cache, Model};

/// How the next token is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// Tokens at most.
    pub max_new_tokens: usize,
    /// Zero takes the likeliest token.
    pub temperature: f64,
    /// Of the choices above temperature zero.
    pub seed: u64,
}

/// The tokens after a prompt, up to the end of the text, the limit, or the end of the model's context.
pub fn generate(model: &Model, prompt: &[u32], with: Sampling) -> Result<Vec<u32>, Error> {
    let room = model.config().max_position_embeddings.saturating_sub(prompt.len());
    let mut random = ChaCha8Rng::seed_from_u64(with.seed);
    let mut cache = Cache::default();
    let mut next = prompt.to_vec();
    let mut generated = Vec::new();
    while generated.len() < with.max_new_tokens.min(room) {
        let tokens = Tensor::from_slice(&next, (1, next.len()), &Device::Cpu)?;
        let hidden = model.hidden(&tokens, Some(&mut cache))?;
        let last = hidden.narrow(1, next.len() - 1, 1)?.squeeze(0)?;
        let logits: Vec<f32> = model.logits(&last)?.squeeze(0)?.to_vec1()?;
        let token = choose(&logits, with.temperature, &mut random);
        if token == model.config().eos_token_id {
            break;
        }
        generated.push(token);
        next = vec![token];
    }
    Ok(generated)
}

fn choose(logits: &[f32], temperature: f64, random: &mut ChaCha8Rng) -> u32 {
    let (mut best, mut most) = (0, f32::NEG_INFINITY);
    for (token, logit) in logits.iter().enumerate() {
        if *logit > most {
            (best, most) = (token, *logit);
        }
    }
    if temperature == 0.0 {
        return best as u32;
    }
    let weights: Vec<f64> =
        logits.iter().map(|logit| (f64::from(logit - most) / temperature).exp()).collect();
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    for (token, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return token as u32;
        }
    }
    // Rounding can leave a rest: then the likeliest token is as good as any.
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    fn with(max_new_tokens: usize, temperature: f64, seed: u64) -> Sampling {
        Sampling { max_new_tokens, temperature, seed }
    }

    #[test]
    fn greedy_is_the_argmax_of_a_full_pass_at_every_step() {
        let model = specimen::model();
        let generated = generate(&model, &[0, 5, 9], with(6, 0.0, 0)).unwrap();
        let mut tokens = vec![0, 5, 9];
        for token in &generated {
            let logits = specimen::logits(&model, &tokens);
            let last = &logits[logits.len() - model.config().vocab_size..];
            let best = (0..last.len()).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
            assert_eq!(best as u32, *token);
            tokens.push(*token);
        }
        assert!(generated.len() <= 6);
    }

    #[test]
    fn temperature_depends_on_the_seed_alone_and_the_context_is_a_limit() {
        let model = specimen::model();
        let run = |seed| generate(&model, &[0, 5], with(100, 2.0, seed)).unwrap();
        assert_eq!(run(1), run(1));
        assert!((2..20).any(|seed| run(seed) != run(1)));
        assert!((0..20).all(|seed| run(seed).len() <= 30));
    }

    #[test]
    fn sampling_follows_the_weights() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let logits = [0.0, (3.0f32).ln(), f32::NEG_INFINITY];
        let ones = (0..4000).filter(|_| choose(&logits, 1.0, &mut random) == 1).count();
        assert!((2900..3100).contains(&ones), "{ones}");
    }
}
