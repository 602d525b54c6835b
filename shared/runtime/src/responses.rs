//! Who answers an incident, so that an alarm that is delivered five times rolls back once.
//!
//! One item for each endpoint says what was done there last. A delivery that wants to act claims it on the condition that
//! nobody else is at it, and that neither the configuration that serves now was answered for within the cooldown nor is
//! the one that an answer brought back.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use contract::RunId;

use crate::{
    Coordination, Error,
    coordination::{CLAIM_KEPT, Item, condition_held, expires, field, text},
};

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Somebody is at it.
    Claimed,
    /// It was done, and recorded.
    Done,
    /// The endpoint has come to rest since.
    Settled,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Settled => "settled",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Claimed, Self::Done, Self::Settled].into_iter().find(|phase| phase.as_str() == text)
    }
}

/// An answer to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The incident.
    pub incident: RunId,
    /// The configuration that served.
    pub from: String,
    /// The configuration that is to serve again; none for an endpoint that is isolated.
    pub to: Option<String>,
    /// The decision, as whoever made it writes it down: a retry carries it out, and decides nothing anew.
    pub decision: String,
    /// The invocation that is at it, the same for each of its tries.
    pub holder: String,
    /// How far it has come.
    pub phase: Phase,
    /// Seconds since 1970. A claim ends then, and so does a cooldown.
    pub ends_at: i64,
}

impl Response {
    /// Whether it stands in the way of another answer at an endpoint that serves `config`.
    pub fn bars(&self, config: &str, now: i64) -> bool {
        now <= self.ends_at
            && (self.phase == Phase::Claimed || self.from == config || self.to.as_deref() == Some(config))
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The caller's.
    Ours,
    /// Somebody else's, now or within the cooldown.
    Theirs,
}

impl Coordination {
    /// The latest answer at an endpoint.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn response(&self, endpoint: &str) -> Result<Option<Response>, Error> {
        Ok(self.get("response", endpoint).await?.as_ref().and_then(read))
    }

    /// Claims an endpoint for an answer, for as long as an invocation may take. `cooldown` is whether an answer that
    /// is done counts against it: it does not for a person, who knows what was done.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn claim_response(
        &self,
        endpoint: &str,
        response: &Response,
        cooldown: bool,
    ) -> Result<Turn, Error> {
        let elsewhere = if cooldown {
            "(phase <> :claimed AND from_config <> :from AND to_config <> :from)"
        } else {
            "phase <> :claimed"
        };
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text("response"))
            .item("sk", text(endpoint))
            .item("incident", text(response.incident.as_str()))
            .item("from_config", text(&response.from))
            .item("to_config", text(response.to.as_deref().unwrap_or_default()))
            .item("decision", text(&response.decision))
            .item("holder", text(&response.holder))
            .item("phase", text(response.phase.as_str()))
            .item("ends_at", number(response.ends_at))
            .item("expires_at", expires(CLAIM_KEPT))
            .condition_expression(format!(
                "attribute_not_exists(pk) OR ends_at < :now OR holder = :holder OR {elsewhere}"
            ))
            .expression_attribute_values(":now", number(jiff::Timestamp::now().as_second()))
            .expression_attribute_values(":holder", text(&response.holder))
            .expression_attribute_values(":claimed", text(Phase::Claimed.as_str()));
        let sent =
            if cooldown { sent.expression_attribute_values(":from", text(&response.from)) } else { sent };
        let is_ours = condition_held("dynamodb:PutItem", sent.send().await)?;
        Ok(if is_ours { Turn::Ours } else { Turn::Theirs })
    }

    /// Drops an answer that was never given.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn drop_response(&self, endpoint: &str, incident: &RunId) -> Result<(), Error> {
        let sent = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text("response"))
            .key("sk", text(endpoint))
            .condition_expression("incident = :incident")
            .expression_attribute_values(":incident", text(incident.as_str()))
            .send()
            .await;
        condition_held("dynamodb:DeleteItem", sent).map(drop)
    }

    /// Notes how far an answer has come; nothing happens once another answer stands there.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn advance_response(
        &self,
        endpoint: &str,
        incident: &RunId,
        phase: Phase,
        bars_for: Duration,
    ) -> Result<(), Error> {
        let seconds = i64::try_from(bars_for.as_secs()).unwrap_or(i64::MAX);
        let ends_at = jiff::Timestamp::now().as_second().saturating_add(seconds);
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text("response"))
            .key("sk", text(endpoint))
            .update_expression("SET phase = :phase, ends_at = :ends")
            .condition_expression("incident = :incident")
            .expression_attribute_values(":phase", text(phase.as_str()))
            .expression_attribute_values(":ends", number(ends_at))
            .expression_attribute_values(":incident", text(incident.as_str()))
            .send()
            .await;
        condition_held("dynamodb:UpdateItem", sent).map(drop)
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read(item: &Item) -> Option<Response> {
    Some(Response {
        incident: RunId::try_from(field(item, "incident")?).ok()?,
        from: field(item, "from_config")?,
        to: field(item, "to_config").filter(|to| !to.is_empty()),
        decision: field(item, "decision")?,
        holder: field(item, "holder")?,
        phase: Phase::parse(&field(item, "phase")?)?,
        ends_at: item.get("ends_at")?.as_n().ok()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(phase: Phase) -> Response {
        Response {
            incident: RunId::of(&["i"]),
            from: "bad".into(),
            to: Some("good".into()),
            decision: "{}".into(),
            holder: "h".into(),
            phase,
            ends_at: 100,
        }
    }

    #[test]
    fn within_the_cooldown_neither_end_of_a_rollback_is_rolled_back_again() {
        let done = response(Phase::Done);
        assert!(done.bars("bad", 100) && done.bars("good", 100));
        assert!(!done.bars("newer", 100), "a version that was deployed since is another matter");
        assert!(!done.bars("good", 101), "the cooldown is over");
    }

    #[test]
    fn whoever_is_at_it_bars_everybody_until_their_time_is_up() {
        assert!(response(Phase::Claimed).bars("newer", 100));
        assert!(!response(Phase::Claimed).bars("newer", 101));
    }
}
