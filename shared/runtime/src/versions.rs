//! Which configurations an endpoint was served by, so that those that nothing goes back to any more can be removed.
//!
//! An endpoint keeps two: the one that serves, and the one before it, to which a rollback goes. What came before these is
//! listed as former when a deployment has succeeded, and removed by the sweep once the new version has baked.

use std::collections::BTreeSet;

use crate::{
    Coordination, Error,
    coordination::{field, text},
    failed,
};

/// A configuration, and the model of the same name, that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerVersion {
    /// Its name.
    pub config: String,
    /// The endpoint that it served.
    pub endpoint: String,
    /// Seconds since 1970, before which it stays.
    pub due_at: i64,
}

impl Coordination {
    /// Notes that a configuration serves in place of another, and lists what served before both as former.
    ///
    /// # Errors
    /// [`Error::Aws`]. Repeating it changes nothing.
    pub async fn note_serving(
        &self,
        endpoint: &str,
        config: &str,
        replaced: Option<&str>,
        bake_seconds: u32,
    ) -> Result<(), Error> {
        let item = self.get("serving", endpoint).await?;
        let known = ["config", "replaced"].map(|name| item.as_ref().and_then(|item| field(item, name)));
        if known[0].as_deref() == Some(config) {
            return Ok(());
        }
        let due_at = jiff::Timestamp::now().as_second() + i64::from(bake_seconds);
        let former: BTreeSet<String> = known
            .into_iter()
            .flatten()
            .filter(|known| known != config && Some(known.as_str()) != replaced)
            .collect();
        for former in former {
            self.client
                .put_item()
                .table_name(&self.table)
                .item("pk", text("former"))
                .item("sk", text(former))
                .item("endpoint", text(endpoint))
                .item("due_at", text(due_at.to_string()))
                .send()
                .await
                .map_err(failed("dynamodb:PutItem"))?;
        }
        let mut put = self.client.put_item().table_name(&self.table);
        put = put.item("pk", text("serving")).item("sk", text(endpoint)).item("config", text(config));
        if let Some(replaced) = replaced {
            put = put.item("replaced", text(replaced));
        }
        put.send().await.map_err(failed("dynamodb:PutItem"))?;
        Ok(())
    }

    /// What is to be removed, due or not.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn former_versions(&self) -> Result<Vec<FormerVersion>, Error> {
        let items = self.query("former").await?;
        Ok(items
            .iter()
            .filter_map(|item| {
                Some(FormerVersion {
                    config: field(item, "sk")?,
                    endpoint: field(item, "endpoint")?,
                    due_at: field(item, "due_at")?.parse().ok()?,
                })
            })
            .collect())
    }

    /// Strikes a configuration off that list.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn drop_former_version(&self, former: &FormerVersion) -> Result<(), Error> {
        self.delete("former", &former.config).await
    }
}
