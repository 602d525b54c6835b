//! Questions for the demo's endpoint: like those that its model was graded on, or unlike them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sagemakerruntime::{Client, primitives::Blob};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::error::Error;

/// Questions that are under way together.
const SIDE_BY_SIDE: usize = 4;
/// From one question to the next, while a deployment is going on.
const PACE: Duration = Duration::from_millis(20);

/// An endpoint, and rows to make questions of.
pub(crate) struct Traffic {
    runtime: Client,
    endpoint: String,
    questions: Vec<Question>,
}

/// What is asked, and what the row has for an answer.
#[derive(Clone, Debug)]
struct Question {
    inputs: String,
    truth: String,
    kind: &'static str,
}

/// A question that was asked under an identifier of its own, and what turns out to be true.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The `InferenceId`.
    pub id: String,
    /// The answer that the row has.
    pub truth: String,
}

/// How questions were answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// With an answer.
    pub answered: AtomicUsize,
    /// With an error.
    pub failed: AtomicUsize,
}

impl Traffic {
    /// Of the rows that the model is graded on.
    ///
    /// # Errors
    /// [`Error::NoRows`] when there is none with a `text`.
    pub(crate) fn of(runtime: Client, endpoint: &str, rows: &[u8]) -> Result<Self, Error> {
        let lines = rows.split(|byte| *byte == b'\n');
        let texts = lines.filter_map(|line| {
            Some(serde_json::from_slice::<Value>(line).ok()?["text"].as_str()?.to_owned())
        });
        let questions: Vec<Question> = texts.map(|text| Question::of(&text)).collect();
        if questions.is_empty() {
            return Err(Error::NoRows);
        }
        Ok(Self { runtime, endpoint: endpoint.to_owned(), questions })
    }

    /// Asks so many questions like those of the evaluation, each under an identifier by which its label can follow.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub(crate) async fn like(&self, count: usize) -> Result<Vec<Asked>, Error> {
        self.ask_all("like", count, str::to_owned).await
    }

    /// Asks so many questions of another kind: longer ones, in another voice.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub(crate) async fn unlike(&self, count: usize) -> Result<(), Error> {
        let change = |question: &str| {
            format!("Please write a long and careful report about this: {}", question.repeat(3))
        };
        self.ask_all("unlike", count, change).await.map(drop)
    }

    async fn ask_all(
        &self,
        name: &str,
        count: usize,
        change: impl Fn(&str) -> String,
    ) -> Result<Vec<Asked>, Error> {
        let questions = self.questions.iter().cycle().take(count).enumerate();
        let questions = questions.map(|(number, question)| {
            let asked = Asked {
                id: format!("{name}-{}-{number}", std::process::id()),
                truth: question.truth.clone(),
            };
            let changed = Question { inputs: change(&question.inputs), ..question.clone() };
            async move { self.ask(&changed, Some(&asked.id)).await.map(|()| asked) }
        });
        futures::stream::iter(questions).buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    /// Asks until it is dropped, whatever the answers.
    pub(crate) async fn go_on(&self, tally: &Tally) {
        for question in self.questions.iter().cycle() {
            let count = match self.ask(question, None).await {
                Ok(()) => &tally.answered,
                Err(_) => &tally.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PACE).await;
        }
    }

    async fn ask(&self, question: &Question, id: Option<&str>) -> Result<(), Error> {
        let body = json!({ "inputs": question.inputs, "attributes": { "kind": question.kind } }).to_string();
        let invoke =
            self.runtime.invoke_endpoint().endpoint_name(&self.endpoint).content_type("application/json");
        let invoke = invoke.set_inference_id(id.map(str::to_owned));
        invoke.body(Blob::new(body)).send().await.map_err(Error::aws("InvokeEndpoint"))?;
        Ok(())
    }
}

impl Question {
    fn of(text: &str) -> Self {
        let inputs = question(text);
        let kind = if text.starts_with("Q:") { "question" } else { "report" };
        Self { inputs: inputs.to_owned(), truth: text[inputs.len()..].to_owned(), kind }
    }
}

/// As the evaluation job asks a row: its first line, or the first half of its words.
fn question(text: &str) -> &str {
    if let Some(end) = text.find('\n').filter(|end| end + 1 < text.len()) {
        return &text[..=end];
    }
    let spaces: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
    spaces.get(spaces.len() / 2).map_or(text, |&at| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_questions_as_the_evaluation_asks_them() {
        assert_eq!(question("Q: what?\nA: this."), "Q: what?\n");
        assert_eq!(question("one two three four"), "one two");
    }
}
