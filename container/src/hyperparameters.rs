//! Hyperparameters: SageMaker hands over strings; every one is parsed strictly before anything is computed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// Prefixes of what SageMaker adds by itself (script mode, hyperparameter tuning).
const OF_SAGEMAKER: [&str; 2] = ["sagemaker_", "_tuning_"];

const KNOWN: [&str; 12] = [
    "batch_size",
    "epochs",
    "learning_rate",
    "lora_alpha",
    "lora_rank",
    "max_grad_norm",
    "max_steps",
    "method",
    "seed",
    "sequence_length",
    "warmup_steps",
    "weight_decay",
];

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Every weight.
    Full,
    /// A low-rank addition to each projection, merged into the weights before they are saved.
    Lora {
        /// Rank of the addition.
        rank: usize,
        /// Its scale is `alpha / rank`.
        alpha: f64,
    },
}

/// A training job's parsed hyperparameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters {
    /// `method`: what is trained.
    pub method: Method,
    /// `epochs`: passes over the rows.
    pub epochs: usize,
    /// `learning_rate`: the peak, after warm-up. Zero is allowed and trains nothing: judging that is a gate's task.
    pub learning_rate: f64,
    /// `batch_size`: rows in a step.
    pub batch_size: usize,
    /// `sequence_length`: tokens in a sample; longer rows are split. None: what the model can hold.
    pub sequence_length: Option<usize>,
    /// `seed`: of the order of the rows and of the adapters.
    pub seed: u64,
    /// `max_steps`: ends training earlier.
    pub max_steps: Option<usize>,
    /// `warmup_steps`: steps in which the learning rate rises to its peak.
    pub warmup_steps: usize,
    /// `weight_decay`: of AdamW.
    pub weight_decay: f64,
    /// `max_grad_norm`: gradients are scaled down to this norm.
    pub max_grad_norm: f64,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            method: Method::Full,
            epochs: 3,
            learning_rate: 2e-3,
            batch_size: 16,
            sequence_length: None,
            seed: 42,
            max_steps: None,
            warmup_steps: 10,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
        }
    }
}

impl Hyperparameters {
    /// Reads SageMaker's file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(Error::unreadable(path))?;
        let given: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(|error| {
            Error::HyperparametersMalformed { path: path.to_owned(), detail: error.to_string() }
        })?;
        Self::parse(given)
    }

    /// Parses what was given; what was not keeps its default.
    pub fn parse(given: BTreeMap<String, String>) -> Result<Self, Error> {
        let mut given = Given(given);
        given.0.retain(|name, _| !OF_SAGEMAKER.iter().any(|prefix| name.starts_with(prefix)));
        if let Some((name, value)) = given.0.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            return Err(Error::HyperparameterUnknown {
                name: name.clone(),
                value: value.clone(),
                known: KNOWN.join(", "),
            });
        }
        let default = Self::default();
        let method = match given.0.remove("method").as_deref() {
            None | Some("full") => {
                given.refuse("lora_rank", "it only together with `method` = \"lora\"")?;
                given.refuse("lora_alpha", "it only together with `method` = \"lora\"")?;
                Method::Full
            }
            Some("lora") => {
                let rank = given.number("lora_rank", 1, 256)?.unwrap_or(8);
                Method::Lora {
                    rank,
                    alpha: given.real("lora_alpha", 1e-3, 1024.0)?.unwrap_or(2.0 * rank as f64),
                }
            }
            Some(other) => {
                let remedy = "\"full\" or \"lora\"".to_owned();
                return Err(Error::HyperparameterInvalid { name: "method", value: other.to_owned(), remedy });
            }
        };
        Ok(Self {
            method,
            epochs: given.number("epochs", 1, 10_000)?.unwrap_or(default.epochs),
            learning_rate: given.real("learning_rate", 0.0, 1.0)?.unwrap_or(default.learning_rate),
            batch_size: given.number("batch_size", 1, 4096)?.unwrap_or(default.batch_size),
            sequence_length: given.number("sequence_length", 8, 1 << 20)?,
            seed: given.number("seed", 0, u64::MAX)?.unwrap_or(default.seed),
            max_steps: given.number("max_steps", 0, 1_000_000_000)?,
            warmup_steps: given.number("warmup_steps", 0, 1_000_000)?.unwrap_or(default.warmup_steps),
            weight_decay: given.real("weight_decay", 0.0, 1.0)?.unwrap_or(default.weight_decay),
            max_grad_norm: given.real("max_grad_norm", 1e-6, 1e6)?.unwrap_or(default.max_grad_norm),
        })
    }
}

struct Given(BTreeMap<String, String>);

impl Given {
    fn refuse(&mut self, name: &'static str, remedy: &str) -> Result<(), Error> {
        match self.0.remove(name) {
            Some(value) => Err(Error::HyperparameterInvalid { name, value, remedy: remedy.to_owned() }),
            None => Ok(()),
        }
    }

    fn number<T>(&mut self, name: &'static str, least: T, most: T) -> Result<Option<T>, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.within(name, least, most, "a whole number")
    }

    fn real(&mut self, name: &'static str, least: f64, most: f64) -> Result<Option<f64>, Error> {
        self.within(name, least, most, "a number")
    }

    fn within<T>(&mut self, name: &'static str, least: T, most: T, kind: &str) -> Result<Option<T>, Error>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        match value.parse::<T>() {
            // NaN compares with nothing, so it falls through to the refusal.
            Ok(parsed) if parsed >= least && parsed <= most => Ok(Some(parsed)),
            _ => {
                let remedy = format!("{kind} from {least} to {most}");
                Err(Error::HyperparameterInvalid { name, value, remedy })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Hyperparameters, Error> {
        Hyperparameters::parse(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        assert_eq!(parse(&[]).unwrap(), Hyperparameters::default());
        assert_eq!(parse(&[("method", "full")]).unwrap().method, Method::Full);
        assert_eq!(parse(&[("method", "lora")]).unwrap().method, Method::Lora { rank: 8, alpha: 16.0 });
        assert_eq!(parse(&[("learning_rate", "0"), ("max_steps", "0")]).unwrap().max_steps, Some(0));
    }

    #[test]
    fn what_sagemaker_adds_is_ignored() {
        let given = [("sagemaker_program", "x.py"), ("_tuning_objective_metric", "loss"), ("epochs", "2")];
        assert_eq!(parse(&given).unwrap().epochs, 2);
    }

    #[test]
    fn a_refusal_names_field_value_and_remedy() {
        for (name, value) in [
            ("learning_rate", "not-a-number"),
            ("learning_rate", "NaN"),
            ("learning_rate", "-0.1"),
            ("learning_rate", "inf"),
            ("learning_rate", ""),
            ("epochs", "0"),
            ("epochs", "1.5"),
            ("epochs", " 3"),
            ("batch_size", "99999"),
            ("sequence_length", "7"),
            ("seed", "-1"),
            ("method", "LoRA"),
            ("lora_rank", "4"),
            ("max_grad_norm", "0"),
            ("weight_decay", "2"),
        ] {
            let message = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}` = \"{value}\" is invalid; give ")), "{message}");
        }
        let message = parse(&[("learning_rat", "0.1")]).unwrap_err().to_string();
        assert!(
            message.contains("`learning_rat` = \"0.1\" is unknown") && message.contains("learning_rate,"),
            "{message}"
        );
    }

    #[test]
    fn a_file_that_holds_other_than_strings_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hyperparameters.json");
        std::fs::write(&path, r#"{"epochs": 3}"#).unwrap();
        let message = Hyperparameters::read(&path).unwrap_err().to_string();
        assert!(message.contains("hyperparameters.json") && message.contains("all strings"), "{message}");
    }
}
