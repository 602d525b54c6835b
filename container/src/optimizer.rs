//! AdamW, with moments that can be kept and taken up again: candle's own are private.

use candle_core::Var;
use candle_core::backprop::GradStore;

use crate::Error;

/// As candle-nn has them by default.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// One variable and what the optimiser remembers of its gradients.
#[derive(Debug)]
pub struct Trained {
    /// The variable.
    pub variable: Var,
    /// Mean of its gradients.
    pub first_moment: Var,
    /// Mean of their squares.
    pub second_moment: Var,
}

/// The optimiser. The same figures in the same order as candle-nn's, so that a seed gives the same bytes.
#[derive(Debug)]
pub struct AdamW {
    /// In the order in which the variables were given.
    pub trained: Vec<Trained>,
    /// Steps done.
    pub steps: usize,
    weight_decay: f64,
}

impl AdamW {
    /// Before the first step.
    pub fn new(variables: &[Var], weight_decay: f64) -> Result<Self, Error> {
        let trained = variables
            .iter()
            .map(|variable| {
                let zeros = || Var::zeros(variable.shape(), variable.dtype(), variable.device());
                Ok(Trained { variable: variable.clone(), first_moment: zeros()?, second_moment: zeros()? })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { trained, steps: 0, weight_decay })
    }

    /// One step along the gradients.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<(), Error> {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let scale = |beta: f64| 1.0 / (1.0 - beta.powi(step));
        for Trained { variable, first_moment, second_moment } in &self.trained {
            let Some(gradient) = gradients.get(variable) else { continue };
            let first = ((first_moment.as_tensor() * BETA1)? + (gradient * (1.0 - BETA1))?)?;
            let second = ((second_moment.as_tensor() * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
            let direction = ((&first * scale(BETA1))? / ((&second * scale(BETA2))?.sqrt()? + EPSILON)?)?;
            let decayed = (variable.as_tensor() * (1.0 - learning_rate * self.weight_decay))?;
            variable.set(&(decayed - (direction * learning_rate)?)?)?;
            first_moment.set(&first)?;
            second_moment.set(&second)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use candle_nn::{Optimizer as _, ParamsAdamW};

    use super::*;

    /// What was measured with candle-nn's stays true.
    #[test]
    fn it_moves_to_the_bit_as_candles_own() {
        let start = Tensor::new(&[1.0_f32, -2.0, 0.5], &Device::Cpu).unwrap();
        let (ours, theirs) = (Var::from_tensor(&start).unwrap(), Var::from_tensor(&start).unwrap());
        let mut own = AdamW::new(std::slice::from_ref(&ours), 0.01).unwrap();
        let parameters = ParamsAdamW { lr: 0.0, weight_decay: 0.01, ..ParamsAdamW::default() };
        let mut candles = candle_nn::AdamW::new(vec![theirs.clone()], parameters).unwrap();
        for step in 0..20 {
            let rate = 0.1 / f64::from(step + 1);
            let gradients =
                |variable: &Var| variable.as_tensor().sqr().unwrap().sum_all().unwrap().backward().unwrap();
            own.step(&gradients(&ours), rate).unwrap();
            candles.set_learning_rate(rate);
            candles.step(&gradients(&theirs)).unwrap();
            assert_eq!(ours.to_vec1::<f32>().unwrap(), theirs.to_vec1::<f32>().unwrap(), "step {step}");
        }
    }
}
