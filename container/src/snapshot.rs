//! What training keeps in SageMaker's checkpoint folder, so that a job whose spot capacity was taken goes on from there.
//!
//! SageMaker copies the folder to S3 while the job runs, and back when it starts again on another instance.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html>

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use safetensors::SafeTensors;

use crate::optimizer::AdamW;
use crate::{Error, layout};

/// The one file; a newer snapshot takes the place of the one before.
const FILE: &str = "snapshot.safetensors";

/// Where a training keeps its snapshots, and which training it is.
#[derive(Debug)]
pub struct Snapshots {
    path: PathBuf,
    /// All that decides what a step does: a snapshot of anything else is not taken up.
    training: String,
}

impl Snapshots {
    /// In a folder that SageMaker made; none where the job keeps no checkpoints.
    pub fn in_folder(folder: &Path, training: String) -> Option<Self> {
        folder.is_dir().then(|| Self { path: folder.join(FILE), training })
    }

    /// Keeps where training is: the variables' values, their moments and the number of steps.
    pub fn keep(&self, named: &[(String, Var)], optimizer: &AdamW) -> Result<(), Error> {
        let mut tensors: Vec<(String, Tensor)> = Vec::with_capacity(named.len() * 3);
        for ((name, _), trained) in named.iter().zip(&optimizer.trained) {
            for (kind, variable) in kinds(trained) {
                tensors.push((format!("{kind}.{name}"), variable.as_detached_tensor()));
            }
        }
        let metadata = HashMap::from([
            ("training".to_owned(), self.training.clone()),
            ("steps".to_owned(), optimizer.steps.to_string()),
        ]);
        let bytes = safetensors::serialize(tensors, Some(metadata))
            .map_err(|error| self.invalid(format!("cannot be encoded ({error})")))?;
        // A whole file or none: an instance may be taken at any time.
        layout::write(&self.path, &bytes)
    }

    /// Takes up what was kept; false where nothing was, and training begins at its first step.
    pub fn take_up(&self, named: &[(String, Var)], optimizer: &mut AdamW) -> Result<bool, Error> {
        if !self.path.exists() {
            return Ok(false);
        }
        let bytes = std::fs::read(&self.path).map_err(Error::unreadable(&self.path))?;
        let unusable = |error: &dyn std::fmt::Display| self.invalid(format!("is no snapshot ({error})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| unusable(&error))?;
        let said = header.metadata().clone().unwrap_or_default();
        let training = said.get("training").map(String::as_str).unwrap_or_default();
        if training != self.training {
            return Err(self.invalid(format!("is of another training: {training}")));
        }
        let steps = said.get("steps").and_then(|steps| steps.parse().ok());
        let Some(steps) = steps else { return Err(self.invalid("does not say its step".to_owned())) };
        let mut kept =
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|error| unusable(&error))?;
        // All is looked at before anything is changed.
        let mut values = Vec::with_capacity(named.len() * 3);
        for ((name, _), trained) in named.iter().zip(&optimizer.trained) {
            for (kind, variable) in kinds(trained) {
                let tensor = kept
                    .remove(&format!("{kind}.{name}"))
                    .ok_or_else(|| self.invalid(format!("lacks `{kind}.{name}`")))?;
                if tensor.dtype() != variable.dtype() || tensor.shape() != variable.shape() {
                    return Err(self.invalid(format!("has another `{kind}.{name}`")));
                }
                // Zero times a number is zero; times infinity or NaN it is not.
                if (&tensor * 0.0)?.sum_all()?.to_scalar::<f32>()? != 0.0 {
                    return Err(self.invalid(format!("`{kind}.{name}` is not finite")));
                }
                values.push((variable.clone(), tensor));
            }
        }
        if let Some(more) = kept.keys().next() {
            return Err(self.invalid(format!("holds `{more}`, which is not trained")));
        }
        for (variable, value) in values {
            variable.set(&value)?;
        }
        optimizer.steps = steps;
        Ok(true)
    }

    fn invalid(&self, detail: String) -> Error {
        Error::SnapshotInvalid { path: self.path.clone(), detail }
    }
}

fn kinds(trained: &crate::optimizer::Trained) -> [(&'static str, &Var); 3] {
    [("value", &trained.variable), ("first", &trained.first_moment), ("second", &trained.second_moment)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: f32) -> Vec<(String, Var)> {
        let tensor = Tensor::new(&[value, 2.0], &Device::Cpu).unwrap();
        vec![("w".to_owned(), Var::from_tensor(&tensor).unwrap())]
    }

    fn optimizer(named: &[(String, Var)]) -> AdamW {
        let variables: Vec<Var> = named.iter().map(|(_, variable)| variable.clone()).collect();
        AdamW::new(&variables, 0.01).unwrap()
    }

    #[test]
    fn what_was_kept_is_taken_up_and_anything_else_refused() {
        let folder = tempfile::tempdir().unwrap();
        let of = |training: &str| Snapshots::in_folder(folder.path(), training.to_owned()).unwrap();
        let (before, after) = (named(7.0), named(1.0));
        let mut taken_up = optimizer(&after);
        assert!(!of("a").take_up(&after, &mut taken_up).unwrap());

        let mut kept = optimizer(&before);
        kept.steps = 9;
        of("a").keep(&before, &kept).unwrap();
        assert!(of("a").take_up(&after, &mut taken_up).unwrap());
        assert_eq!((after[0].1.to_vec1::<f32>().unwrap(), taken_up.steps), (vec![7.0, 2.0], 9));

        let refused = |snapshots: &Snapshots, named: &[(String, Var)]| {
            snapshots.take_up(named, &mut optimizer(named)).unwrap_err().to_string()
        };
        assert!(refused(&of("b"), &after).contains("another training: a"));
        let other = vec![("x".to_owned(), after[0].1.clone())];
        assert!(refused(&of("a"), &other).contains("lacks `value.x`"));
        let nan = named(f32::NAN);
        of("a").keep(&nan, &optimizer(&nan)).unwrap();
        assert!(refused(&of("a"), &after).contains("not finite"));
        std::fs::write(folder.path().join(FILE), b"{}").unwrap();
        assert!(refused(&of("a"), &after).contains("no snapshot"));
    }

    #[test]
    fn a_job_without_a_checkpoint_folder_keeps_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Snapshots::in_folder(&folder.path().join("checkpoints"), String::new()).is_none());
    }
}
