//! The loss of a model over sequences.

use candle_core::{D, Device, Tensor};

use crate::Error;
use crate::model::Model;

/// Mean negative log likelihood of the tokens of a batch, and how many tokens that is.
pub fn mean(model: &Model, batch: &[&[u32]]) -> Result<(Tensor, usize), Error> {
    let length = batch.iter().map(|tokens| tokens.len() - 1).max().unwrap_or(0);
    let mut inputs = Vec::with_capacity(batch.len() * length);
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for tokens in batch {
        let seen = tokens.len() - 1;
        rows.extend((inputs.len()..inputs.len() + seen).map(|row| row as u32));
        inputs.extend_from_slice(&tokens[..seen]);
        inputs.resize(inputs.len() + length - seen, 0);
        targets.extend_from_slice(&tokens[1..]);
    }
    let count = targets.len();
    let inputs = Tensor::from_vec(inputs, (batch.len(), length), &Device::Cpu)?;
    let hidden = model.hidden(&inputs, None)?;
    // Padding is dropped before the output projection, the dearest product of a small model.
    let hidden = hidden.flatten_to(1)?.index_select(&Tensor::from_vec(rows, count, &Device::Cpu)?, 0)?;
    let targets = Tensor::from_vec(targets, count, &Device::Cpu)?;
    Ok((cross_entropy(&model.logits(&hidden)?, &targets)?, count))
}

/// As candle's, but the maximum stays out of the backward pass: the gradient is the same without it, and the logits
/// are the largest tensor of a small model.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, Error> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normalizer = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok((normalizer - shifted.gather(&targets.unsqueeze(1)?, 1)?)?.mean_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn value_and_gradient_equal_the_library() {
        let values: Vec<f32> = (0..40).map(|i| (i * 37 % 11) as f32 - 4.0).collect();
        let logits = candle_core::Var::from_vec(values, (4, 10), &Device::Cpu).unwrap();
        let targets = Tensor::new(&[3u32, 0, 9, 5], &Device::Cpu).unwrap();
        let ours = cross_entropy(&logits, &targets).unwrap();
        let library = candle_nn::loss::cross_entropy(&logits, &targets).unwrap();
        let near = |a: &Tensor, b: &Tensor| {
            let difference = (a - b).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-5, "{difference}");
        };
        near(&ours, &library);
        let gradient = |loss: &Tensor| loss.backward().unwrap().get(&logits).unwrap().clone();
        near(&gradient(&ours), &gradient(&library));
    }

    #[test]
    fn padding_counts_for_nothing() {
        let model = specimen::model();
        let of = |batch: &[&[u32]]| {
            let (loss, count) = mean(&model, batch).unwrap();
            (f64::from(loss.to_scalar::<f32>().unwrap()), count)
        };
        let (long, short): (&[u32], &[u32]) = (&[0, 5, 6, 7, 8, 9, 0], &[0, 3, 0]);
        let ((a, m), (b, n), (both, k)) = (of(&[long]), of(&[short]), of(&[long, short]));
        assert_eq!((m, n, k), (6, 2, 8));
        assert!((both - (a * 6.0 + b * 2.0) / 8.0).abs() < 1e-5);
    }
}
