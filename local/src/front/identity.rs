//! Whose key a request names: asked of the account's STS once for each key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::service::Caller;
use crate::wire::{self, Wire};

use super::route::Credential;

#[derive(Debug)]
pub(crate) struct Identities {
    backend: String,
    known: Mutex<HashMap<String, Caller>>,
}

impl Identities {
    pub(crate) fn new(backend: &str) -> Self {
        Self { backend: backend.to_owned(), known: Mutex::default() }
    }

    /// The caller behind a credential. A key is one principal's for as long as it exists, so answers are kept; a key
    /// that STS does not know stays a caller with nothing but the key's id, and is asked for again.
    pub(crate) async fn caller(&self, credential: &Credential) -> Caller {
        let key = &credential.access_key_id;
        let mut caller = Caller {
            access_key_id: key.clone(),
            principal_id: String::new(),
            arn: String::new(),
            name: String::new(),
        };
        if key.is_empty() {
            return caller;
        }
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let sts = Wire::new(&self.backend, &credential.region, key);
        if let Ok(answer) = sts.query("sts", "2011-06-15", "GetCallerIdentity", &[]).await {
            let text = |name| {
                wire::elements(&answer, name).first().map_or_else(String::new, |text| (*text).to_owned())
            };
            caller.principal_id = text("UserId");
            caller.arn = text("Arn");
            caller.name = caller.arn.split_once('/').map_or("root", |(_, name)| name).to_owned();
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), caller.clone());
        }
        caller
    }
}
