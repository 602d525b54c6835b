//! Fleets: the processes that serve one endpoint configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::capture::Capture;
use super::endpoint_config::{shadows, variants};
use super::images::Image;
use super::invocation::PATIENCE;
use super::model::only_container;
use super::staging::{download_archive, download_prefix};
use super::validation::{Object, flag};
use super::{GRACE, Inner, State, now};
use crate::jobs::process::{Launch, Process};
use crate::jobs::tree::Tree;
use crate::service::AwsError;

/// What AWS waits for the first good answer to `/ping`, unless the configuration says otherwise.
const STARTUP: Duration = Duration::from_secs(240);

/// What serves one endpoint configuration.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) config_name: String,
    pub(super) variants: Vec<Arc<Variant>>,
    pub(super) shadows: Vec<Arc<Variant>>,
    pub(super) capture: Option<Capture>,
    capture_config: Option<Value>,
    /// Whether what it answers is turned into errors.
    pub(super) spoilt: bool,
    /// Read by every invocation under way, written by who ends the fleet.
    under_way: Arc<RwLock<()>>,
}

/// One process, which stands for all of a variant's instances.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) log_stream: String,
    capacity: Mutex<Capacity>,
    image: Image,
    resolved_at: f64,
    process: Process,
}

/// What an update of weights and capacities changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Capacity {
    pub(super) weight: f64,
    pub(super) count: u64,
}

/// What a fleet is started from: taken when the request came, so that a later deletion changes nothing.
#[derive(Debug)]
pub(super) struct Blueprint {
    pub(super) config_name: String,
    config: Object,
    models: BTreeMap<String, Object>,
    /// By variant, those in the shadow included; kept from the fleet before if the request says so.
    capacities: BTreeMap<String, Capacity>,
    pub(super) spoilt: bool,
}

impl Blueprint {
    /// A variant whose instance type differs from that of the configuration that serves, among those that `is_scaled`.
    pub(super) fn changed_type(
        &self,
        serving: Option<&Object>,
        is_scaled: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let serving = variants(serving?);
        let changed = variants(&self.config).iter().find(|variant| {
            let before = serving.iter().find(|before| before["VariantName"] == variant["VariantName"]);
            is_scaled(&named(variant))
                && before.is_some_and(|before| before["InstanceType"] != variant["InstanceType"])
        });
        changed.map(named)
    }
}

/// Keeps a fleet's processes until it is dropped.
pub(super) type Busy = OwnedRwLockReadGuard<()>;

impl Inner {
    pub(super) fn blueprint(&self, state: &State, config_name: &str) -> Result<Blueprint, AwsError> {
        let config = state
            .endpoint_configs
            .get(config_name)
            .ok_or_else(|| self.no_endpoint_config(config_name))?
            .clone();
        let (mut models, mut capacities) = (BTreeMap::new(), BTreeMap::new());
        for variant in variants(&config).iter().chain(shadows(&config)) {
            let model = variant["ModelName"].as_str().unwrap_or_default();
            models.insert(
                model.to_owned(),
                state.models.get(model).ok_or_else(|| self.no_model(model))?.clone(),
            );
            let capacity = Capacity {
                weight: variant["InitialVariantWeight"].as_f64().unwrap_or(1.0),
                count: variant["InitialInstanceCount"].as_u64().unwrap_or(1),
            };
            capacities.insert(named(variant), capacity);
        }
        Ok(Blueprint { config_name: config_name.to_owned(), config, models, capacities, spoilt: false })
    }

    /// Starts every process of a fleet, and returns once each answers `/ping`.
    pub(super) async fn start_fleet(&self, endpoint: &str, blueprint: &Blueprint) -> Result<Fleet, String> {
        let mut fleet = Fleet {
            config_name: blueprint.config_name.clone(),
            variants: Vec::new(),
            shadows: Vec::new(),
            capture: blueprint.config.get("DataCaptureConfig").and_then(Capture::of),
            capture_config: blueprint.config.get("DataCaptureConfig").cloned(),
            spoilt: blueprint.spoilt,
            under_way: Arc::default(),
        };
        let wanted = variants(&blueprint.config).iter().map(|variant| (variant, false));
        for (variant, shadow) in wanted.chain(shadows(&blueprint.config).iter().map(|shadow| (shadow, true)))
        {
            match self.start_variant(endpoint, blueprint, variant).await {
                Ok(started) if shadow => fleet.shadows.push(Arc::new(started)),
                Ok(started) => fleet.variants.push(Arc::new(started)),
                Err(reason) => {
                    fleet.retire().await;
                    return Err(reason);
                }
            }
        }
        Ok(fleet)
    }

    async fn start_variant(
        &self,
        endpoint: &str,
        blueprint: &Blueprint,
        variant: &Value,
    ) -> Result<Variant, String> {
        let name = named(variant);
        let model_name = variant["ModelName"].as_str().unwrap_or_default();
        let model = blueprint.models.get(model_name).ok_or_else(|| format!("Model {model_name} is gone."))?;
        let container = only_container(model).map_err(|error| error.message)?;
        let image = self.image(container["Image"].as_str().unwrap_or_default()).await.map_err(|error| {
            format!("The image of production variant {name} cannot be used: {}", error.message)
        })?;
        let resolved_at = now();

        let folder = self
            .config
            .state_dir
            .join("endpoints")
            .join(endpoint)
            .join(format!("{}-{}", blueprint.config_name, uuid::Uuid::new_v4().simple()))
            .join(&name);
        let internal = |error: std::io::Error| format!("InternalServerError: variant {name}: {error}");
        let tree = Tree::create(folder.join("ml")).map_err(internal)?;
        let patience =
            variant["ModelDataDownloadTimeoutInSeconds"].as_u64().map_or(STARTUP, Duration::from_secs);
        tokio::time::timeout(patience, self.download_model(container, &tree))
            .await
            .map_err(|_| "timed out".to_owned())
            .and_then(|result| result)
            .map_err(|reason| {
                format!("Failed to download model data for production variant {name}: {reason}")
            })?;

        let port = free_port().map_err(internal)?;
        let log_stream = format!("{name}/i-{}", &uuid::Uuid::new_v4().simple().to_string()[..17]);
        let log = self
            .log(&folder, &format!("/aws/sagemaker/Endpoints/{endpoint}"), log_stream.clone())
            .map_err(internal)?;
        let mut env = self.environment(tree.root(), container.get("Environment").and_then(Value::as_object));
        env.insert("MODEL_CONTAINER_HOST".into(), "127.0.0.1".into());
        env.insert("SAGEMAKER_BIND_TO_PORT".into(), port.to_string());
        let isolated = flag(model, "EnableNetworkIsolation");
        if isolated {
            log.line("[local] network isolation: a container that serves keeps this machine's network, on which it is asked");
        }
        let launch = Launch {
            program: image.program.clone(),
            args: vec!["serve".into()],
            env,
            directory: tree.root().to_owned(),
            isolated: false,
            log,
        };
        let process = self.spawner.spawn(&launch).await.map_err(|error| {
            format!("The primary container for production variant {name} did not start: {error}")
        })?;
        let patience = variant["ContainerStartupHealthCheckTimeoutInSeconds"]
            .as_u64()
            .map_or(STARTUP, Duration::from_secs);
        if !self.answers_ping(&process, port, patience).await {
            process.stop(GRACE).await;
            return Err(format!(
                "The primary container for production variant {name} did not pass the ping health check. Please check \
                 CloudWatch logs for this endpoint."
            ));
        }
        let capacity = blueprint.capacities.get(&name).copied().unwrap_or(Capacity { weight: 1.0, count: 1 });
        Ok(Variant { name, port, log_stream, capacity: Mutex::new(capacity), image, resolved_at, process })
    }

    async fn download_model(&self, container: &Value, tree: &Tree) -> Result<(), String> {
        let folder = tree.root().join("model");
        let source = &container["ModelDataSource"]["S3DataSource"];
        let (uri, packed) = match (source["S3Uri"].as_str(), container["ModelDataUrl"].as_str()) {
            (Some(uri), _) => (uri, source["CompressionType"] == "Gzip"),
            (None, Some(url)) => (url, true),
            (None, None) => return Ok(()),
        };
        let done = if packed {
            download_archive(&self.backend, uri, &folder).await
        } else {
            download_prefix(&self.backend, uri, &folder).await
        };
        done.map_err(|error| error.to_string())
    }

    async fn answers_ping(&self, process: &Process, port: u16, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while process.exit().is_none() && Instant::now() < deadline {
            let ping =
                self.containers.get(format!("http://127.0.0.1:{port}/ping")).timeout(Duration::from_secs(2));
            if ping.send().await.is_ok_and(|answer| answer.status() == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

impl Blueprint {
    /// How many instances each production variant is to have.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        variants(&self.config)
            .iter()
            .map(named)
            .map(|name| {
                let count = self.capacities.get(&name).map_or(1, |capacity| capacity.count);
                (name, count)
            })
            .collect()
    }

    /// Keeps what was set on the fleet before, its capture included, but what the request excludes.
    pub(super) fn retain(&mut self, before: Option<&Fleet>, request: &Object) {
        let excluded: Vec<&str> = request
            .get("ExcludeRetainedVariantProperties")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|property| property["VariantPropertyType"].as_str())
            .collect();
        if let Some(capture) = before.and_then(|fleet| fleet.capture_config.clone())
            && !excluded.contains(&"DataCaptureConfig")
        {
            self.config.insert("DataCaptureConfig".to_owned(), capture);
        }
        for variant in before.iter().flat_map(|fleet| &fleet.variants) {
            let kept = variant.capacity();
            if let Some(capacity) = self.capacities.get_mut(&variant.name) {
                if !excluded.contains(&"DesiredInstanceCount") {
                    capacity.count = kept.count;
                }
                if !excluded.contains(&"DesiredWeight") {
                    capacity.weight = kept.weight;
                }
            }
        }
    }
}

impl Fleet {
    /// Has the fleet's processes wait for the caller; none once the fleet is being ended.
    pub(super) fn enter(&self) -> Option<Busy> {
        Arc::clone(&self.under_way).try_read_owned().ok()
    }

    /// Ends the processes, once what is under way has been answered. Nothing may be routed here any more.
    pub(super) async fn retire(&self) {
        let _drained = tokio::time::timeout(PATIENCE + GRACE, self.under_way.write()).await;
        let processes = self.variants.iter().chain(&self.shadows).map(|variant| variant.process.stop(GRACE));
        futures::future::join_all(processes).await;
    }
}

impl Variant {
    pub(super) fn capacity(&self) -> Capacity {
        *self.capacity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_capacity(&self, capacity: Capacity) {
        *self.capacity.lock().unwrap_or_else(PoisonError::into_inner) = capacity;
    }

    pub(super) fn summary(&self) -> Value {
        let Capacity { weight, count } = self.capacity();
        json!({
            "VariantName": self.name,
            "DeployedImages": [{
                "SpecifiedImage": self.image.specified,
                "ResolvedImage": self.image.resolved,
                "ResolutionTime": self.resolved_at,
            }],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        })
    }
}

fn named(variant: &Value) -> String {
    variant["VariantName"].as_str().unwrap_or_default().to_owned()
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
