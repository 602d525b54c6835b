//! LoRA: a low-rank addition to each projection, trained alone and merged into the weights before they are saved.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Shape, Tensor, Var};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::Error;
use crate::model::{is_projection, normal};
use crate::weights::Weights;

#[derive(Debug, Clone)]
struct Adapter {
    down: Var,
    up: Var,
}

/// The adapters of a model; the empty set adds nothing.
#[derive(Debug, Clone, Default)]
pub struct Adapters {
    by_name: BTreeMap<String, Adapter>,
    scale: f64,
}

impl Adapters {
    /// One adapter for each projection. The upper half starts at zero, so training starts at the base model.
    pub fn new(weights: &Weights, rank: usize, alpha: f64, seed: u64) -> Result<Self, Error> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut by_name = BTreeMap::new();
        for (name, weight) in weights.iter().filter(|(name, _)| is_projection(name)) {
            let (outputs, inputs) = weight.dims2()?;
            let deviation = (inputs as f64).powf(-0.5);
            let down = Var::from_tensor(&normal(&mut random, deviation, &Shape::from((rank, inputs)))?)?;
            let up = Var::zeros((outputs, rank), DType::F32, &Device::Cpu)?;
            by_name.insert(name.clone(), Adapter { down, up });
        }
        Ok(Self { by_name, scale: alpha / rank as f64 })
    }

    /// What is trained, in a fixed order.
    pub fn variables(&self) -> Vec<(String, Var)> {
        let both = |(name, adapter): (&String, &Adapter)| {
            [(format!("{name}.lora_A"), adapter.down.clone()), (format!("{name}.lora_B"), adapter.up.clone())]
        };
        self.by_name.iter().flat_map(both).collect()
    }

    /// What the projection's adapter adds to its output, if it has one.
    pub fn forward(&self, name: &str, rows: &Tensor) -> Result<Option<Tensor>, Error> {
        let Some(adapter) = self.by_name.get(name) else { return Ok(None) };
        let added = rows.matmul(&adapter.down.t()?)?.matmul(&adapter.up.t()?)?;
        Ok(Some((added * self.scale)?))
    }

    /// The weights of a plain model that computes the same.
    pub fn merge(&self, weights: &Weights) -> Result<Weights, Error> {
        let mut merged = weights.clone();
        for (name, adapter) in &self.by_name {
            if let Some(weight) = merged.get_mut(name) {
                *weight = (&*weight + (adapter.up.matmul(adapter.down.as_tensor())? * self.scale)?)?.detach();
            }
        }
        Ok(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::specimen;

    #[test]
    fn merged_weights_compute_what_the_adapters_do() {
        let (config, weights) = (specimen::config(), specimen::weights());
        let adapters = Adapters::new(&weights, 4, 8.0, 1).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for (_, variable) in adapters.variables() {
            variable.set(&normal(&mut random, 0.1, variable.shape()).unwrap()).unwrap();
        }
        let merged =
            Model::new(config.clone(), adapters.merge(&weights).unwrap(), Adapters::default()).unwrap();
        let plain = Model::new(config.clone(), weights.clone(), Adapters::default()).unwrap();
        let adapted = Model::new(config, weights, adapters).unwrap();
        let [merged, plain, adapted] =
            [merged, plain, adapted].map(|model| specimen::logits(&model, &[1, 7, 3, 9]));
        let difference =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference(&merged, &adapted) < 1e-4, "{}", difference(&merged, &adapted));
        assert!(difference(&plain, &adapted) > 1e-2, "the adapters changed nothing");
    }

    #[test]
    fn a_fresh_adapter_changes_nothing_and_every_projection_has_one() {
        let (config, weights) = (specimen::config(), specimen::weights());
        let adapters = Adapters::new(&weights, 2, 4.0, 1).unwrap();
        assert_eq!(adapters.variables().len(), config.num_hidden_layers * 7 * 2);
        let merged = adapters.merge(&weights).unwrap();
        for (name, weight) in &weights {
            assert_eq!(
                weight.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                merged[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
            );
        }
    }
}
