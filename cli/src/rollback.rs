//! `lockstep rollback`: has `respond-incident` serve an earlier configuration again, as an alarm would.

use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::json;

use crate::args::RollbackArgs;
use crate::connection::Target;
use crate::demo::Ended;
use crate::error::Error;
use crate::screen::Screen;

/// What the function answers.
#[derive(Deserialize)]
struct Output {
    answers: Vec<Answer>,
}

/// What was done about the endpoint.
#[derive(Deserialize)]
struct Answer {
    action: Option<String>,
    record: Option<String>,
    said: String,
}

/// Why the function refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_type: String,
    error_message: String,
}

/// Asks for it, and says what was done.
///
/// # Errors
/// A failing call, or an answer that cannot be read. A refusal is none.
pub(crate) async fn run(args: &RollbackArgs, account: &Target, screen: &Screen) -> Result<Ended, Error> {
    screen.say(&format!("  {}", account.shown));
    let asked = json!({ "rollback": {
        "endpoint": args.endpoint, "to": args.to, "reason": args.reason, "isolate": args.isolate,
    }});
    let sent = aws_sdk_lambda::Client::new(&account.config)
        .invoke()
        .function_name(&args.function)
        .payload(Blob::new(asked.to_string()))
        .send()
        .await;
    let answered = sent.map_err(Error::aws("Invoke"))?;
    let payload = answered.payload.map(Blob::into_inner).unwrap_or_default();
    told(answered.function_error.is_some(), &payload, screen)
}

/// Prints what the function answered.
fn told(is_refusal: bool, payload: &[u8], screen: &Screen) -> Result<Ended, Error> {
    let unreadable = |_| Error::Incomplete { operation: "Invoke", lacking: "an answer that can be read" };
    if is_refusal {
        let refusal: Refusal = serde_json::from_slice(payload).map_err(unreadable)?;
        screen.say(&format!("  refused ({}): {}", refusal.error_type, refusal.error_message));
        return Ok(Ended::Refused);
    }
    let output: Output = serde_json::from_slice(payload).map_err(unreadable)?;
    let mut done = !output.answers.is_empty();
    for answer in output.answers {
        done &= matches!(answer.action.as_deref(), Some("RolledBack" | "Isolated"));
        screen.say(&format!("  {}", answer.said));
        if let Some(record) = answer.record {
            screen.say(&format!("  the record: {record}"));
        }
    }
    Ok(if done { Ended::Succeeded } else { Ended::Refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_done_counts_as_done() {
        let screen = Screen::new();
        let told = |is_refusal, payload: serde_json::Value| {
            told(is_refusal, payload.to_string().as_bytes(), &screen)
                .map(|ended| matches!(ended, Ended::Succeeded))
        };
        let answer =
            |action: Option<&str>| json!({ "answers": [{ "action": action, "record": null, "said": "s" }] });
        assert!(told(false, answer(Some("RolledBack"))).unwrap());
        assert!(told(false, answer(Some("Isolated"))).unwrap());
        assert!(!told(false, answer(None)).unwrap());
        assert!(!told(false, json!({ "answers": [] })).unwrap());
        assert!(!told(true, json!({ "errorType": "EvidenceBroken", "errorMessage": "m" })).unwrap());
        assert!(told(false, json!({})).is_err());
    }
}
