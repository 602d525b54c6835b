//! The coordination table: claims, waits and leases, each by conditional write.
//!
//! | pk | sk | holds |
//! |-|-|-|
//! | `claim` | run id | the execution that has the run; kept, so that a trigger delivered twice is one run |
//! | `open` | run id | the same, until its record is sealed: what the sweep looks at |
//! | `execution` | execution ARN | the run id |
//! | `wait` | `<kind>#<resource>` | the task token and what is expected |
//! | `lease` | endpoint name | the run that may change the endpoint |
//! | `notified` | `<run id>#<what>` | that a notification went out |
//! | `retrained` | endpoint name | the runs that drift started there |
//! | `response` | endpoint name | the latest incident that was acted upon there ([`crate::Response`]) |

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use contract::{Retrained, RunId, TaskToken, Wait, WaitKind};

use crate::{Environment, Error, failed, var};

/// A year: longer than Step Functions keeps a history, and than anybody redelivers an event.
pub(crate) const CLAIM_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longer than any wait may last.
const WAIT_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The run is this execution's, now or since an earlier try of its own.
    Ours,
    /// Another execution has it.
    Taken,
}

/// What became of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// This run holds it.
    Held,
    /// Another run does.
    Busy(String),
}

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Clone, Debug)]
pub struct Coordination {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// Whether a conditional write found what its condition asks for; any other failure is one.
pub(crate) fn condition_held<T, E>(
    operation: &'static str,
    sent: Result<T, SdkError<E, HttpResponse>>,
) -> Result<bool, Error>
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let Err(error) = sent else { return Ok(true) };
    let failure = failed(operation)(error);
    if failure.code == "ConditionalCheckFailedException" { Ok(false) } else { Err(failure.into()) }
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn expires(after: Duration) -> AttributeValue {
    let at = jiff::Timestamp::now().as_second() + i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
    AttributeValue::N(at.to_string())
}

pub(crate) fn field(item: &Item, name: &str) -> Option<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned()
}

/// The runs that drift started at an endpoint, as they were read.
#[derive(Debug, Default)]
pub struct RetrainedBefore {
    /// The runs.
    pub runs: Vec<Retrained>,
    /// What stood in the table.
    text: Option<String>,
}

fn unreadable_runs(endpoint: &str, error: &serde_json::Error) -> Error {
    Error::Unreadable { place: format!("retrained {endpoint}"), reason: error.to_string() }
}

impl Coordination {
    /// Reads the table's name from the environment.
    pub fn read(environment: &mut Environment, config: &aws_config::SdkConfig) -> Self {
        Self { client: Client::new(config), table: environment.text(&var::TABLE) }
    }

    /// Claims a run for an execution. A claim that holds one's own ARN is a retry of oneself.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn claim(&self, run: &RunId, execution_arn: &str) -> Result<Claim, Error> {
        let put = |pk: &str, sk: &str, conditional: bool| {
            let put = Put::builder()
                .table_name(&self.table)
                .item("pk", text(pk))
                .item("sk", text(sk))
                .item("run_id", text(run.as_str()))
                .item("execution_arn", text(execution_arn))
                .item("expires_at", expires(CLAIM_KEPT))
                .set_condition_expression(conditional.then(|| "attribute_not_exists(pk)".to_owned()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .build();
            put.map(|put| TransactWriteItem::builder().put(put).build())
                .map_err(|error| Error::Misconfigured(error.to_string()))
        };
        let sent = self
            .client
            .transact_write_items()
            .transact_items(put("claim", run.as_str(), true)?)
            .transact_items(put("open", run.as_str(), false)?)
            .transact_items(put("execution", execution_arn, false)?)
            .send()
            .await;
        let Err(error) = sent else { return Ok(Claim::Ours) };
        if !error.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception()) {
            return Err(failed("dynamodb:TransactWriteItems")(error).into());
        }
        match self.get("claim", run.as_str()).await? {
            Some(item) if field(&item, "execution_arn").as_deref() == Some(execution_arn) => Ok(Claim::Ours),
            Some(_) => Ok(Claim::Taken),
            // Cancelled, and yet nobody has it: a conflict with another writer, so the caller tries again.
            None => Err(failed("dynamodb:TransactWriteItems")(error).into()),
        }
    }

    /// The run of an execution, if it was admitted that far.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn run_of(&self, execution_arn: &str) -> Result<Option<RunId>, Error> {
        let item = self.get("execution", execution_arn).await?;
        Ok(item.and_then(|item| field(&item, "run_id")).and_then(|id| RunId::try_from(id).ok()))
    }

    /// Runs whose record is not sealed yet, with their executions.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn open_runs(&self) -> Result<Vec<(RunId, String)>, Error> {
        let items = self.query("open").await?;
        Ok(items
            .iter()
            .filter_map(|item| {
                Some((RunId::try_from(field(item, "sk")?).ok()?, field(item, "execution_arn")?))
            })
            .collect())
    }

    /// Marks a run as sealed.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn close(&self, run: &RunId) -> Result<(), Error> {
        self.delete("open", run.as_str()).await
    }

    /// Records a wait before the call that it waits for. A retry replaces the token.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn put_wait(&self, wait: &Wait) -> Result<(), Error> {
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text("wait"))
            .item("sk", text(format!("{}#{}#{}", wait.kind, wait.resource, wait.run_id)))
            .item("kind", text(wait.kind.as_str()))
            .item("resource", text(&wait.resource))
            .item("run_id", text(wait.run_id.as_str()))
            .item("execution_arn", text(&wait.execution_arn))
            .item("token", text(wait.token.expose()))
            .item("expires_at", expires(WAIT_KEPT));
        if let Some(expected) = &wait.expected {
            put = put.item("expected", text(expected));
        }
        put.send().await.map_err(failed("dynamodb:PutItem"))?;
        Ok(())
    }

    /// Every wait.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn waits(&self) -> Result<Vec<Wait>, Error> {
        Ok(self.query("wait").await?.iter().filter_map(read_wait).collect())
    }

    /// The waits for one resource: more than one when several runs wait for the same image.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn waits_for(&self, kind: WaitKind, resource: &str) -> Result<Vec<Wait>, Error> {
        let items = self.query_prefix("wait", &format!("{kind}#{resource}#")).await?;
        Ok(items.iter().filter_map(read_wait).collect())
    }

    /// Drops a wait.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn drop_wait(&self, wait: &Wait) -> Result<(), Error> {
        self.delete("wait", &format!("{}#{}#{}", wait.kind, wait.resource, wait.run_id)).await
    }

    /// Takes an endpoint's lease, or finds that this run already has it (invariant 12). The lease is freed by
    /// [`Coordination::release`], which `seal-run` calls on every path.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn lease(&self, endpoint: &str, run: &RunId) -> Result<Lease, Error> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text("lease"))
            .item("sk", text(endpoint))
            .item("run_id", text(run.as_str()))
            .item("expires_at", expires(WAIT_KEPT))
            .condition_expression("attribute_not_exists(pk) OR run_id = :run")
            .expression_attribute_values(":run", text(run.as_str()))
            .send()
            .await;
        if condition_held("dynamodb:PutItem", sent)? {
            return Ok(Lease::Held);
        }
        let holder = self.get("lease", endpoint).await?.and_then(|item| field(&item, "run_id"));
        Ok(Lease::Busy(holder.unwrap_or_default()))
    }

    /// The runs that drift started at an endpoint.
    ///
    /// # Errors
    /// [`Error::Aws`]; [`Error::Unreadable`] when the item is none of ours.
    pub async fn retrained(&self, endpoint: &str) -> Result<RetrainedBefore, Error> {
        let item = self.get("retrained", endpoint).await?;
        let Some(text) = item.and_then(|item| field(&item, "runs")) else {
            return Ok(RetrainedBefore::default());
        };
        let runs = serde_json::from_str(&text).map_err(|error| unreadable_runs(endpoint, &error))?;
        Ok(RetrainedBefore { runs, text: Some(text) })
    }

    /// Notes the runs that drift started at an endpoint, unless somebody has noted others since they were read.
    ///
    /// # Errors
    /// [`Error::Aws`], as which a conflict counts too: the caller reads and decides again.
    pub async fn note_retrained(
        &self,
        endpoint: &str,
        before: &RetrainedBefore,
        runs: &[Retrained],
    ) -> Result<(), Error> {
        let runs = serde_json::to_string(runs).map_err(|error| unreadable_runs(endpoint, &error))?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text("retrained"))
            .item("sk", text(endpoint))
            .item("runs", text(runs));
        let put = match &before.text {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(known) => {
                put.condition_expression("runs = :runs").expression_attribute_values(":runs", text(known))
            }
        };
        put.send().await.map_err(failed("dynamodb:PutItem"))?;
        Ok(())
    }

    /// The endpoints whose lease a run holds.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn leases_of(&self, run: &RunId) -> Result<Vec<String>, Error> {
        let leases = self.query("lease").await?;
        let held = leases.iter().filter(|lease| field(lease, "run_id").as_deref() == Some(run.as_str()));
        Ok(held.filter_map(|lease| field(lease, "sk")).collect())
    }

    /// Gives a lease back, if this run has it.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn release(&self, endpoint: &str, run: &RunId) -> Result<(), Error> {
        let sent = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text("lease"))
            .key("sk", text(endpoint))
            .condition_expression("run_id = :run")
            .expression_attribute_values(":run", text(run.as_str()))
            .send()
            .await;
        condition_held("dynamodb:DeleteItem", sent).map(drop)
    }

    /// Whether a notification already went out.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn was_notified(&self, run: &RunId, what: &str) -> Result<bool, Error> {
        Ok(self.get("notified", &format!("{run}#{what}")).await?.is_some())
    }

    /// Notes that a notification went out. It is noted after publishing, so that it goes out at least once.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn note_notified(&self, run: &RunId, what: &str) -> Result<(), Error> {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("pk", text("notified"))
            .item("sk", text(format!("{run}#{what}")))
            .item("expires_at", expires(CLAIM_KEPT))
            .send()
            .await
            .map_err(failed("dynamodb:PutItem"))?;
        Ok(())
    }

    pub(crate) async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("dynamodb:GetItem"))?;
        Ok(answer.item)
    }

    pub(crate) async fn delete(&self, pk: &str, sk: &str) -> Result<(), Error> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .send()
            .await
            .map_err(failed("dynamodb:DeleteItem"))?;
        Ok(())
    }

    pub(crate) async fn query(&self, pk: &str) -> Result<Vec<Item>, Error> {
        self.query_prefix(pk, "").await
    }

    async fn query_prefix(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, Error> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(if prefix.is_empty() {
                "pk = :pk"
            } else {
                "pk = :pk AND begins_with(sk, :sk)"
            })
            .expression_attribute_values(":pk", text(pk))
            .consistent_read(true);
        if !prefix.is_empty() {
            query = query.expression_attribute_values(":sk", text(prefix));
        }
        let mut items = Vec::new();
        let mut pages = query.into_paginator().send();
        while let Some(page) = pages.next().await {
            items.extend(page.map_err(failed("dynamodb:Query"))?.items.unwrap_or_default());
        }
        Ok(items)
    }
}

fn read_wait(item: &Item) -> Option<Wait> {
    Some(Wait {
        kind: WaitKind::parse(&field(item, "kind")?)?,
        resource: field(item, "resource")?,
        run_id: RunId::try_from(field(item, "run_id")?).ok()?,
        execution_arn: field(item, "execution_arn")?,
        token: TaskToken::new(field(item, "token")?),
        expected: field(item, "expected"),
    })
}
