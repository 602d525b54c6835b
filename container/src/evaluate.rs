//! `evaluate`: the job that scores the candidate and its base on the same held-out rows.

use std::collections::BTreeMap;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Groups>,
}

/// The same by group. A row without the field belongs to none, and the gate counts.
#[derive(Debug, Serialize)]
struct Groups {
    column: String,
    before: BTreeMap<String, Metrics>,
    after: BTreeMap<String, Metrics>,
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

/// One model's score on all rows, and on those of each group.
#[derive(Debug)]
pub struct Scored {
    /// On all.
    pub all: Metrics,
    /// On those of each group.
    pub groups: BTreeMap<String, Metrics>,
}

/// Texts by the group that they belong to; those of no group under none.
pub type Grouped<'a> = BTreeMap<Option<String>, Vec<&'a str>>;

/// Runs the whole job.
pub fn evaluate(layout: &Layout, column: Option<&str>, stop: &Stop) -> Result<(), Error> {
    let rows = dataset::rows(&layout.held_out())?;
    let mut texts = Grouped::new();
    for row in &rows {
        texts.entry(column.and_then(|column| row.group(column))).or_default().push(&row.text);
    }
    let base = Checkpoint::load(&layout.base())?;
    let candidate = Checkpoint::load(&layout.candidate())?;
    same_tokenizer(&candidate, &base)?;
    let model = Model::new(candidate.config.clone(), candidate.weights.clone(), Adapters::default())?;
    let asked: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let answers = predictions::of(&model, &candidate, &asked, stop)?;
    let before = score("base", base, &texts, stop)?;
    let after = score("candidate", candidate, &texts, stop)?;
    let groups =
        column.map(|column| Groups { column: column.to_owned(), before: before.groups, after: after.groups });
    let report = Report { schema: "lockstep/metrics/v1", before: before.all, after: after.all, groups };
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
///
/// Rows of different groups share no batch, so that each group's loss is its own and all of them are summed once.
pub fn score(
    of: &'static str,
    checkpoint: Checkpoint,
    texts: &Grouped<'_>,
    stop: &Stop,
) -> Result<Scored, Error> {
    let context = checkpoint.config.max_position_embeddings;
    let mut windows = Vec::new();
    for texts in texts.values() {
        let mut samples = Vec::new();
        for text in texts {
            samples.extend(dataset::windows(&checkpoint.sequence(text)?, context));
        }
        samples.sort_by_key(Vec::len);
        windows.push(samples);
    }
    let model = Model::new(checkpoint.config, checkpoint.weights, Adapters::default())?;
    let (mut whole, mut groups) = (Sum::default(), BTreeMap::new());
    for ((group, texts), samples) in texts.iter().zip(windows) {
        let mut sum = Sum { rows: texts.len(), ..Sum::default() };
        for batch in samples.chunks(BATCH) {
            stop.check(|| format!("while scoring the {of} model"))?;
            let batch: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let (mean, count) = loss::mean(&model, &batch)?;
            sum.loss += f64::from(mean.to_scalar::<f32>()?) * count as f64;
            sum.tokens += count;
        }
        whole.add(&sum);
        if let Some(group) = group {
            groups.insert(group.clone(), sum.metrics(of)?);
        }
    }
    let all = whole.metrics(of)?;
    let Metrics { eval_loss, perplexity, samples, tokens } = &all;
    progress::line(format_args!(
        "{of}: eval_loss={eval_loss:.4} perplexity={perplexity:.4} over {samples} rows, {tokens} tokens, {} groups",
        groups.len()
    ));
    Ok(Scored { all, groups })
}

/// Loss that is not divided yet.
#[derive(Debug, Default)]
struct Sum {
    loss: f64,
    rows: usize,
    tokens: usize,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.rows += other.rows;
        self.tokens += other.tokens;
    }

    fn metrics(&self, of: &'static str) -> Result<Metrics, Error> {
        let eval_loss = self.loss / self.tokens as f64;
        let perplexity = eval_loss.exp();
        for (metric, value) in [("eval_loss", eval_loss), ("perplexity", perplexity)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::MetricNotFinite { of, metric, value });
            }
        }
        Ok(Metrics { eval_loss, perplexity, samples: self.rows, tokens: self.tokens })
    }
}
