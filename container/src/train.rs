//! `train`: the job that fine-tunes the base model on the training channel.

use std::collections::BTreeMap;

use candle_core::Var;

use crate::checkpoint::Checkpoint;
use crate::fit::fit;
use crate::hyperparameters::{Hyperparameters, Method};
use crate::layout::Layout;
use crate::lora::Adapters;
use crate::model::{Config, Model};
use crate::snapshot::Snapshots;
use crate::stop::Stop;
use crate::weights::Weights;
use crate::{Error, dataset, progress};

/// Runs the whole job.
pub fn train(layout: &Layout, stop: &Stop) -> Result<(), Error> {
    let with = Hyperparameters::read(&layout.hyperparameters())?;
    let base = Checkpoint::load(&layout.model_channel())?;
    let context = context(&with, &base.config)?;
    let texts = dataset::read(&layout.training_channel())?;
    let mut samples = Vec::with_capacity(texts.len());
    for text in &texts {
        stop.check(|| "while tokenizing".to_owned())?;
        samples.extend(dataset::windows(&base.sequence(text)?, context));
    }
    let trainable = Trainable::new(base.config.clone(), base.weights.clone(), &with)?;
    progress::line(format_args!(
        "training {:?}: {} rows in {} samples, {} of {} parameters trainable",
        with.method,
        texts.len(),
        samples.len(),
        count(trainable.variables().iter().map(Var::as_tensor)),
        count(base.weights.values()),
    ));
    let tokens: usize = samples.iter().map(Vec::len).sum();
    let training = format!("{with:?} on {} samples of {tokens} tokens", samples.len());
    let snapshots = Snapshots::in_folder(&layout.checkpoints(), training);
    let steps = fit(&trainable.model, &trainable.named(), &samples, &with, stop, snapshots.as_ref())?;
    stop.check(|| "after the last step".to_owned())?;
    base.save(&trainable.weights()?, &layout.model())?;
    progress::line(format_args!("saved the model after {steps} steps"));
    Ok(())
}

fn context(with: &Hyperparameters, config: &Config) -> Result<usize, Error> {
    let most = config.max_position_embeddings;
    match with.sequence_length {
        Some(length) if length > most => Err(Error::HyperparameterInvalid {
            name: "sequence_length",
            value: length.to_string(),
            remedy: format!("at most {most}, the model's `max_position_embeddings`"),
        }),
        length => Ok(length.unwrap_or(most)),
    }
}

fn count<'a>(tensors: impl Iterator<Item = &'a candle_core::Tensor>) -> usize {
    tensors.map(candle_core::Tensor::elem_count).sum()
}

/// A model together with what of it is trained.
#[derive(Debug)]
pub struct Trainable {
    /// The model, seeing every change of its variables.
    pub model: Model,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Everything(BTreeMap<String, Var>),
    Adapters { base: Weights, adapters: Adapters },
}

impl Trainable {
    /// Makes the variables that the method asks for.
    pub fn new(config: Config, base: Weights, with: &Hyperparameters) -> Result<Self, Error> {
        match with.method {
            Method::Full => {
                let variables = base
                    .iter()
                    .map(|(name, tensor)| Ok((name.clone(), Var::from_tensor(tensor)?)))
                    .collect::<Result<BTreeMap<_, _>, Error>>()?;
                let weights =
                    variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
                let model = Model::new(config, weights, Adapters::default())?;
                Ok(Self { model, part: Part::Everything(variables) })
            }
            Method::Lora { rank, alpha } => {
                let adapters = Adapters::new(&base, rank, alpha, with.seed)?;
                let model = Model::new(config, base.clone(), adapters.clone())?;
                Ok(Self { model, part: Part::Adapters { base, adapters } })
            }
        }
    }

    /// The variables with their names, in a fixed order.
    pub fn named(&self) -> Vec<(String, Var)> {
        match &self.part {
            Part::Everything(variables) => {
                variables.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
            }
            Part::Adapters { adapters, .. } => adapters.variables(),
        }
    }

    /// The variables alone.
    pub fn variables(&self) -> Vec<Var> {
        self.named().into_iter().map(|(_, variable)| variable).collect()
    }

    /// The weights of a plain model as trained so far, adapters merged.
    pub fn weights(&self) -> Result<Weights, Error> {
        match &self.part {
            Part::Everything(variables) => {
                Ok(variables.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect())
            }
            Part::Adapters { base, adapters } => adapters.merge(base),
        }
    }
}
