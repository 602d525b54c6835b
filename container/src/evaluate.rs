//! `evaluate`: the job that scores the candidate and its base on the same held-out rows.

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::layout::{self, Layout};
use crate::lora::Adapters;
use crate::model::Model;
use crate::stop::Stop;
use crate::{Error, dataset, loss, predictions, progress};

/// Samples scored at once.
const BATCH: usize = 32;

/// What the gate reads.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    before: Metrics,
    after: Metrics,
}

/// One model's score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Mean negative log likelihood of a token, in nats.
    pub eval_loss: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// Rows scored.
    pub samples: usize,
    /// Tokens scored.
    pub tokens: usize,
}

/// Runs the whole job.
pub fn evaluate(layout: &Layout, stop: &Stop) -> Result<(), Error> {
    let texts = dataset::read(&layout.held_out())?;
    let base = Checkpoint::load(&layout.base())?;
    let candidate = Checkpoint::load(&layout.candidate())?;
    same_tokenizer(&candidate, &base)?;
    let model = Model::new(candidate.config.clone(), candidate.weights.clone(), Adapters::default())?;
    let answers = predictions::of(&model, &candidate, &texts, stop)?;
    let before = score("base", base, &texts, stop)?;
    let after = score("candidate", candidate, &texts, stop)?;
    let report = Report { schema: "lockstep/metrics/v1", before, after };
    layout::write(&layout.predictions(), &answers)?;
    let path = layout.metrics();
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|source| Error::JsonMalformed { path: path.clone(), source })?;
    layout::write(&path, &json)
}

fn same_tokenizer(candidate: &Checkpoint, base: &Checkpoint) -> Result<(), Error> {
    let read = |path: &std::path::Path| std::fs::read(path).map_err(Error::unreadable(path));
    let (ours, theirs) = (candidate.tokenizer_file(), base.tokenizer_file());
    if read(&ours)? == read(&theirs)? {
        Ok(())
    } else {
        Err(Error::TokenizersDiffer { candidate: ours, base: theirs })
    }
}

/// Scores one model; what is not a finite, non-negative number is refused here, since JSON would turn it into null.
pub fn score(
    of: &'static str,
    checkpoint: Checkpoint,
    texts: &[String],
    stop: &Stop,
) -> Result<Metrics, Error> {
    let context = checkpoint.config.max_position_embeddings;
    let mut samples = Vec::new();
    for text in texts {
        samples.extend(dataset::windows(&checkpoint.sequence(text)?, context));
    }
    samples.sort_by_key(Vec::len);
    let model = Model::new(checkpoint.config, checkpoint.weights, Adapters::default())?;
    let (mut sum, mut tokens) = (0.0, 0);
    for batch in samples.chunks(BATCH) {
        stop.check(|| format!("while scoring the {of} model"))?;
        let batch: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
        let (mean, count) = loss::mean(&model, &batch)?;
        sum += f64::from(mean.to_scalar::<f32>()?) * count as f64;
        tokens += count;
    }
    let eval_loss = sum / tokens as f64;
    let perplexity = eval_loss.exp();
    for (metric, value) in [("eval_loss", eval_loss), ("perplexity", perplexity)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::MetricNotFinite { of, metric, value });
        }
    }
    progress::line(format_args!(
        "{of}: eval_loss={eval_loss:.4} perplexity={perplexity:.4} over {} rows, {tokens} tokens",
        texts.len()
    ));
    Ok(Metrics { eval_loss, perplexity, samples: texts.len(), tokens })
}
