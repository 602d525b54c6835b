//! The optimisation loop: batches in a seeded order, AdamW, clipped gradients, warm-up and cosine decay.

use candle_core::Var;
use candle_core::backprop::GradStore;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::hyperparameters::Hyperparameters;
use crate::model::Model;
use crate::optimizer::AdamW;
use crate::snapshot::Snapshots;
use crate::stop::Stop;
use crate::{Error, loss, progress};

/// Lines of progress in a whole run, about.
const LINES: usize = 40;
/// Snapshots in a whole run, about; one more when the platform asks the job to end.
const SNAPSHOTS: usize = 10;

/// Trains the variables of a model on sequences of tokens, from the first step or from where a snapshot says. Returns
/// the number of steps done, those before the snapshot included.
pub fn fit(
    model: &Model,
    named: &[(String, Var)],
    samples: &[Vec<u32>],
    with: &Hyperparameters,
    stop: &Stop,
    snapshots: Option<&Snapshots>,
) -> Result<usize, Error> {
    let in_epoch = samples.len().div_ceil(with.batch_size);
    let total = in_epoch.saturating_mul(with.epochs).min(with.max_steps.unwrap_or(usize::MAX));
    let every = (total / LINES).max(1);
    let keep_every = (total / SNAPSHOTS).max(1);
    let variables: Vec<Var> = named.iter().map(|(_, variable)| variable.clone()).collect();
    let variables = variables.as_slice();
    let mut optimizer = AdamW::new(variables, with.weight_decay)?;
    if let Some(snapshots) = snapshots
        && snapshots.take_up(named, &mut optimizer)?
    {
        progress::line(format_args!("takes up a snapshot: step {} of {total} was done", optimizer.steps));
    }
    let done = optimizer.steps;
    let mut step = 0;
    for epoch in 0..with.epochs {
        for batch in batches(samples, with.batch_size, with.seed.wrapping_add(epoch as u64)) {
            if step == total {
                return Ok(step);
            }
            // The order is the seed's: what was done before is passed over.
            if step < done {
                step += 1;
                continue;
            }
            if let Err(stopped) = stop.check(|| format!("in training, at step {step} of {total}")) {
                if let Some(snapshots) = snapshots.filter(|_| step > done) {
                    snapshots.keep(named, &optimizer)?;
                    progress::line(format_args!("keeps a snapshot of step {step} of {total}"));
                }
                return Err(stopped);
            }
            let rate = learning_rate(with, step, total);
            step += 1;
            let (loss, _) = loss::mean(model, &batch)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            let mut gradients = loss.backward()?;
            let norm = clip(&mut gradients, variables, with.max_grad_norm)?;
            if !value.is_finite() || !norm.is_finite() {
                return Err(Error::Diverged { step, loss: value });
            }
            optimizer.step(&gradients, rate)?;
            if step.is_multiple_of(every) || step == total || step == 1 {
                let epochs = with.epochs;
                progress::line(format_args!(
                    "epoch {}/{epochs} step {step}/{total} train_loss={value:.4}",
                    epoch + 1
                ));
            }
            if let Some(snapshots) = snapshots
                && step.is_multiple_of(keep_every)
                && step < total
            {
                snapshots.keep(named, &optimizer)?;
            }
        }
    }
    Ok(step)
}

/// Rises to the peak in the warm-up, then falls along a cosine towards zero.
fn learning_rate(with: &Hyperparameters, step: usize, total: usize) -> f64 {
    if step < with.warmup_steps {
        return with.learning_rate * (step + 1) as f64 / (with.warmup_steps + 1) as f64;
    }
    let done = (step - with.warmup_steps) as f64 / (total - with.warmup_steps.min(total - 1)) as f64;
    with.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}

/// Scales all gradients down to a common norm; returns the norm that they had.
fn clip(gradients: &mut GradStore, variables: &[Var], most: f64) -> Result<f64, Error> {
    let mut squares = 0.0;
    for gradient in variables.iter().filter_map(|variable| gradients.get(variable)) {
        squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let norm = squares.sqrt();
    if norm.is_finite() && norm > most {
        for variable in variables {
            if let Some(gradient) = gradients.get(variable) {
                let scaled = (gradient * (most / norm))?;
                gradients.insert(variable, scaled);
            }
        }
    }
    Ok(norm)
}

/// Shuffled batches of samples of similar length, so that little of a batch is padding.
fn batches(samples: &[Vec<u32>], size: usize, seed: u64) -> Vec<Vec<&[u32]>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<&[u32]> = samples.iter().map(Vec::as_slice).collect();
    order.shuffle(&mut random);
    // Sorted within pools of some batches only: the order stays random at large.
    for pool in order.chunks_mut(size * 8) {
        pool.sort_by_key(|tokens| tokens.len());
    }
    let mut batches: Vec<Vec<&[u32]>> = order.chunks(size).map(<[_]>::to_vec).collect();
    batches.shuffle(&mut random);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::Adapters;
    use crate::specimen;
    use crate::train::Trainable;
    use crate::weights::Weights;

    fn samples() -> Vec<Vec<u32>> {
        (0..24)
            .map(|i| (0..10 + i % 5).map(|j| if j == 0 { 0 } else { (i + 3 * j) % 31 + 1 }).collect())
            .collect()
    }

    fn with(method: crate::hyperparameters::Method) -> Hyperparameters {
        Hyperparameters {
            method,
            epochs: 8,
            batch_size: 6,
            learning_rate: 5e-3,
            ..Hyperparameters::default()
        }
    }

    fn methods() -> [Hyperparameters; 2] {
        use crate::hyperparameters::Method::{Full, Lora};
        [with(Full), with(Lora { rank: 4, alpha: 8.0 })]
    }

    fn mean(weights: Weights) -> f32 {
        let model = Model::new(specimen::config(), weights, Adapters::default()).unwrap();
        let samples = samples();
        let batch: Vec<&[u32]> = samples.iter().map(Vec::as_slice).collect();
        loss::mean(&model, &batch).unwrap().0.to_scalar().unwrap()
    }

    #[test]
    fn every_trainable_variable_gets_a_gradient() {
        for with in methods() {
            let trainable = Trainable::new(specimen::config(), specimen::weights(), &with).unwrap();
            // One step first: an adapter's lower half has a zero gradient as long as its upper half is zero.
            let samples = samples();
            let once = Hyperparameters { max_steps: Some(1), ..with.clone() };
            fit(&trainable.model, &trainable.named(), &samples, &once, &Stop::default(), None).unwrap();
            let batch: Vec<&[u32]> = samples.iter().map(Vec::as_slice).collect();
            let gradients = loss::mean(&trainable.model, &batch).unwrap().0.backward().unwrap();
            assert!(!trainable.named().is_empty());
            for (name, variable) in trainable.named() {
                let gradient = gradients.get(&variable).unwrap_or_else(|| panic!("{name} has no gradient"));
                let sum: f32 = gradient.abs().unwrap().sum_all().unwrap().to_scalar().unwrap();
                assert!(sum > 0.0 && sum.is_finite(), "{name} has gradient {sum}");
            }
        }
    }

    #[test]
    fn the_loss_falls_and_a_seed_gives_the_same_bytes() {
        for with in methods() {
            let run = |with: &Hyperparameters| {
                let trainable = Trainable::new(specimen::config(), specimen::weights(), with).unwrap();
                let steps =
                    fit(&trainable.model, &trainable.named(), &samples(), with, &Stop::default(), None)
                        .unwrap();
                assert_eq!(steps, 4 * 8);
                trainable.weights().unwrap()
            };
            let bytes = |weights: &Weights| safetensors::serialize(weights, None).unwrap();
            let (first, second) = (run(&with), run(&with));
            let third = run(&Hyperparameters { seed: 43, ..with.clone() });
            assert_eq!(bytes(&first), bytes(&second));
            assert_ne!(bytes(&first), bytes(&third));
            let (before, after) = (mean(specimen::weights()), mean(first));
            assert!(after < before - 0.3, "{:?}: {before} -> {after}", with.method);
        }
    }

    #[test]
    fn no_steps_and_no_learning_rate_change_nothing() {
        for with in methods() {
            let idle = Hyperparameters { learning_rate: 0.0, ..with.clone() };
            let none = Hyperparameters { max_steps: Some(0), ..with };
            for with in [idle, none] {
                let trainable = Trainable::new(specimen::config(), specimen::weights(), &with).unwrap();
                fit(&trainable.model, &trainable.named(), &samples(), &with, &Stop::default(), None).unwrap();
                assert_eq!(mean(trainable.weights().unwrap()), mean(specimen::weights()));
            }
        }
    }

    #[test]
    fn a_stop_ends_it_between_steps() {
        let [with, _] = methods();
        let trainable = Trainable::new(specimen::config(), specimen::weights(), &with).unwrap();
        let stop = Stop::default();
        stop.ask();
        let error = fit(&trainable.model, &trainable.named(), &samples(), &with, &stop, None).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("at step 0 of 32")), (143, true));
    }

    #[test]
    fn a_training_that_was_interrupted_ends_in_the_bytes_of_one_that_was_not() {
        for with in methods() {
            let train = |with: &Hyperparameters, snapshots: Option<&Snapshots>, stop: &Stop| {
                let trainable = Trainable::new(specimen::config(), specimen::weights(), with).unwrap();
                let result = fit(&trainable.model, &trainable.named(), &samples(), with, stop, snapshots);
                result.map(|_| safetensors::serialize(trainable.weights().unwrap(), None).unwrap())
            };
            let whole = train(&with, None, &Stop::default()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let snapshots = Snapshots::in_folder(folder.path(), "this one".to_owned()).unwrap();
            // Another thread's SIGTERM, as soon as there is a first snapshot to go on from.
            let stop = Stop::default();
            let (asked, place) = (stop.clone(), folder.path().to_owned());
            let terminated = std::thread::spawn(move || {
                while std::fs::read_dir(&place).unwrap().next().is_none() {
                    std::thread::yield_now();
                }
                asked.ask();
            });
            let stopped = train(&with, Some(&snapshots), &stop).unwrap_err();
            terminated.join().unwrap();
            assert!(!stopped.to_string().contains("at step 0 "), "{stopped}");
            assert_eq!(train(&with, Some(&snapshots), &Stop::default()).unwrap(), whole);
        }
    }

    #[test]
    fn divergence_is_an_error() {
        let [with, _] = methods();
        let weights = specimen::weights().into_iter().map(|(name, w)| (name, (w * 1e30).unwrap())).collect();
        let trainable = Trainable::new(specimen::config(), weights, &with).unwrap();
        let error =
            fit(&trainable.model, &trainable.named(), &samples(), &with, &Stop::default(), None).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 1, .. }), "{error}");
    }

    #[test]
    fn the_learning_rate_rises_then_falls() {
        let with = Hyperparameters { warmup_steps: 4, learning_rate: 1.0, ..Hyperparameters::default() };
        let rates: Vec<f64> = (0..20).map(|step| learning_rate(&with, step, 20)).collect();
        assert!(
            rates[..5].is_sorted()
                && rates[4..].is_sorted_by(|a, b| a >= b)
                && rates[4] == 1.0
                && rates[19] < 0.05
        );
        assert!(rates.iter().all(|rate| *rate > 0.0));
        let long = Hyperparameters { warmup_steps: 50, ..with };
        assert!((0..20).all(|step| learning_rate(&long, step, 20).is_finite()));
    }
}
