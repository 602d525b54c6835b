//! A Hub that does what the real one does, and whatever it was told to do wrong.
//!
//! One repository on two hosts: the first answers the API, the second serves what is in LFS to whoever brings a
//! signed address. Every request is remembered with its `Authorization`, and every byte that was sent is counted.

mod api;
mod bytes;
mod commit;
mod fault;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::bytes::Bytes;
use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

use self::commit::File;
pub use self::{
    commit::{Commit, git_blob, sha256},
    fault::{Fault, Place, bytes_of, resolve},
};
use crate::tls::{Authority, TlsListener};

/// The repository that every Hub here has.
pub const REPO: &str = "lockstep/model";
/// The name that a Hub behind a proxy goes by.
pub const NAME: &str = "hub.test";
/// The name that its second host goes by.
pub const STORAGE_NAME: &str = "storage.hub.test";
/// What makes an address of the second host a signed one. It must turn up in no log and no error.
pub const SIGNATURE: &str = "5163d0c0ffee5163";

/// Which host was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The Hub itself.
    First,
    /// Where it keeps what is in LFS.
    Second,
    /// A host that speaks plain http, whatever the others speak.
    Plain,
    /// None that this Hub has: what else went through the proxy.
    Stranger,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who was asked.
    pub host: Host,
    /// Whether it came through the Hub's own proxy.
    pub proxied: bool,
    /// Path and query.
    pub target: String,
    /// `Authorization`.
    pub authorization: Option<String>,
}

/// Bytes of a file that were sent in answer to one request.
#[derive(Clone, Debug)]
pub struct Sent {
    /// As counted by [`Hub::next_epoch`].
    pub epoch: usize,
    /// The first one's place in the file.
    pub start: u64,
    /// How many.
    pub count: u64,
}

#[derive(Debug)]
struct Planted {
    place: Place,
    fault: Fault,
    left: usize,
}

#[derive(Debug)]
struct Shared {
    /// Where the hosts answer, and where they say that they do.
    addresses: [String; 3],
    commits: Mutex<BTreeMap<String, Commit>>,
    refs: Mutex<BTreeMap<String, String>>,
    planted: Mutex<Vec<Planted>>,
    token: Option<String>,
    seen: Mutex<Vec<Seen>>,
    sent: Mutex<Vec<(Sent, Arc<AtomicU64>)>>,
    epoch: AtomicUsize,
    answers: AtomicUsize,
    /// Bytes a second of all connections together; 0 is as fast as they go.
    rate: AtomicU64,
    next_chunk: Mutex<Option<Instant>>,
}

/// How a Hub is reached.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// Over http on this machine.
    Http,
    /// Over https, with certificates of this authority.
    Https(&'a Authority),
    /// Over http through a proxy that alone knows the Hub's names.
    Proxy,
}

/// A Hub, answering until it is dropped.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    proxy: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Hub {
    /// Serves a commit, which `main` names, over http.
    pub async fn serve(commit: Commit) -> Self {
        Self::start(commit, Reach::Http, None).await
    }

    /// Serves a commit; with a token, to its holders alone.
    pub async fn start(commit: Commit, reach: Reach<'_>, token: Option<&str>) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..4 {
            listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        }
        let at = |number: usize| listeners[number].local_addr().unwrap();
        let scheme = if matches!(reach, Reach::Https(_)) { "https" } else { "http" };
        let proxy = format!("http://{}", at(3));
        let addresses = match reach {
            Reach::Proxy => [format!("http://{NAME}"), format!("http://{STORAGE_NAME}"), String::new()],
            _ => [
                format!("{scheme}://{}", at(0)),
                format!("{scheme}://{}", at(1)),
                format!("http://{}", at(2)),
            ],
        };
        let shared = Arc::new(Shared {
            addresses,
            refs: Mutex::new(BTreeMap::from([("main".to_owned(), commit.id())])),
            commits: Mutex::new(BTreeMap::from([(commit.id(), commit)])),
            planted: Mutex::default(),
            token: token.map(str::to_owned),
            seen: Mutex::default(),
            sent: Mutex::default(),
            epoch: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            rate: AtomicU64::new(0),
            next_chunk: Mutex::default(),
        });
        let hosts = [Host::First, Host::Second, Host::Plain, Host::Stranger];
        let tasks = listeners.into_iter().zip(hosts).map(|(listener, host)| {
            let state = (Arc::clone(&shared), host);
            let router = Router::new().fallback(api::answer).with_state(state);
            let acceptor = match reach {
                Reach::Https(authority) if matches!(host, Host::First | Host::Second) => {
                    Some(authority.acceptor())
                }
                _ => None,
            };
            tokio::spawn(async move {
                let ended = match acceptor {
                    Some(acceptor) => axum::serve(TlsListener::new(listener, acceptor), router).await,
                    None => axum::serve(listener, router).await,
                };
                ended.unwrap();
            })
        });
        Self { tasks: tasks.collect(), proxy, shared }
    }

    /// For `HF_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.shared.addresses[0]
    }

    /// Where the second host answers.
    pub fn storage_url(&self) -> &str {
        &self.shared.addresses[1]
    }

    /// For `HTTP_PROXY`.
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// What `main` names.
    pub fn commit(&self) -> String {
        lock(&self.shared.refs)["main"].clone()
    }

    /// Adds a commit; refs are made to name it by [`Hub::name`].
    pub fn add(&self, commit: Commit) -> String {
        let id = commit.id();
        lock(&self.shared.commits).insert(id.clone(), commit);
        id
    }

    /// Makes a ref name a commit.
    pub fn name(&self, reference: &str, commit: &str) {
        lock(&self.shared.refs).insert(reference.to_owned(), commit.to_owned());
    }

    /// Changes what a file's bytes are, and nothing that is said of them.
    pub fn swap(&self, path: &str, content: impl Into<Bytes>) {
        let content = content.into();
        for commit in lock(&self.shared.commits).values_mut() {
            if let Some(file) = commit.files.get_mut(path) {
                file.content = content.clone();
            }
        }
    }

    /// Does something wrong from now on.
    pub fn plant(&self, place: Place, fault: Fault) {
        self.plant_times(place, fault, usize::MAX);
    }

    /// Does something wrong, this many times.
    pub fn plant_times(&self, place: Place, fault: Fault, left: usize) {
        lock(&self.shared.planted).push(Planted { place, fault, left });
    }

    /// Sends no more than so many bytes a second.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.shared.rate.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Requests that asked for the bytes of files.
    pub fn byte_requests(&self) -> usize {
        lock(&self.shared.sent).len()
    }

    /// Bytes of files that were sent so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent().iter().map(|sent| sent.count).sum()
    }

    /// What was sent so far, a request at a time.
    pub fn sent(&self) -> Vec<Sent> {
        let told = |(sent, count): &(Sent, Arc<AtomicU64>)| Sent {
            count: count.load(Ordering::Relaxed),
            ..sent.clone()
        };
        lock(&self.shared.sent).iter().map(told).collect()
    }

    /// Ends an epoch: what is asked for from now on belongs to the next.
    pub fn next_epoch(&self) -> usize {
        self.shared.epoch.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The fault that this place is to show now.
    fn fault(&self, place: &Place) -> Option<Fault> {
        let mut planted = lock(&self.planted);
        let found = planted.iter_mut().find(|planted| planted.place == *place && planted.left > 0)?;
        found.left -= 1;
        Some(found.fault.clone())
    }

    fn file(&self, commit: &str, path: &str) -> Option<File> {
        lock(&self.commits).get(commit)?.files.get(path).cloned()
    }

    /// When the next chunk may go out.
    fn turn(&self, bytes: usize) -> Option<Instant> {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return None;
        }
        let mut next = lock(&self.next_chunk);
        let now = Instant::now();
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + Duration::from_secs_f64(bytes as f64 / rate as f64));
        Some(at)
    }
}
