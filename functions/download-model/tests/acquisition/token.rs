//! The Hub's token goes to the Hub over https, and to no other host (invariant 10).

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    account::{Asked, Run, TOKEN, account},
    content::{CONFIG, MIB, safetensors},
    hub::{Commit, Fault, Host, Hub, NAME, Place, Reach, Seen, resolve},
    resolve::digests,
};

const SMALL: &str = "config.json";
const LARGE: &str = "model.safetensors";

fn model() -> Commit {
    Commit::default().file(SMALL, CONFIG).lfs(LARGE, safetensors(9 * MIB, 1))
}

const WITH_TOKEN: Asked<'_> = Asked { revision: "", allow: &[], deny: &[], token: Some(TOKEN) };

/// Where the token went, of all requests.
fn told(hub: &Hub) -> Vec<Seen> {
    let has_it = |seen: &Seen| seen.authorization.as_ref().is_some_and(|value| value.contains(TOKEN));
    hub.seen().into_iter().filter(has_it).collect()
}

#[tokio::test]
async fn invariant_10_a_private_model_is_read_with_the_token_and_the_store_never_sees_it() {
    let commit = model();
    let hub = Hub::start(commit.clone(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
    let run = Run::asking(&hub, WITH_TOKEN).await;
    let sealed = run.acquire().await.unwrap();
    let mut stored = run.digests(&sealed.prefix).await;
    stored.retain(|path, _| digests(&commit).contains_key(path));
    assert_eq!(stored, digests(&commit));
    let told = told(&hub);
    assert!(told.iter().all(|seen| seen.host == Host::First), "{told:?}");
    assert!(told.iter().all(|seen| seen.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"))));
    // The Hub's own cache, behind a redirect, is still the Hub.
    assert!(told.iter().any(|seen| seen.target.starts_with("/api/resolve-cache/")), "{told:?}");
    assert!(hub.seen().iter().any(|seen| seen.host == Host::Second));
}

#[tokio::test]
async fn a_private_model_is_not_found_without_the_token_or_with_another() {
    for token in [None, Some("hf_another")] {
        let hub = Hub::start(model(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
        let refused =
            Run::asking(&hub, Asked { token, ..Asked::default() }).await.acquire().await.unwrap_err();
        assert_eq!(refused.name, "RevisionNotFound", "{refused:?}");
    }
}

#[tokio::test]
async fn invariant_10_the_token_is_not_sent_over_http() {
    let hub = Hub::start(model(), Reach::Http, None).await;
    Run::asking(&hub, WITH_TOKEN).await.acquire().await.unwrap();
    assert!(told(&hub).is_empty(), "{:?}", told(&hub));
}

/// How a run with a token ends on a Hub over https whose large file's first hop shows a fault.
async fn redirected(fault: impl FnOnce(&Hub) -> Fault) -> (Hub, Result<String, String>) {
    let hub = Hub::start(model(), Reach::Https(&account().await.authority), None).await;
    hub.plant(resolve(LARGE), fault(&hub));
    let run = Run::asking(&hub, WITH_TOKEN).await;
    let ended = run.acquire().await;
    let visible = run.visible().await;
    assert!(ended.is_ok() || !visible.iter().any(|key| key.ends_with(LARGE)), "{visible:?}");
    if let Err(refused) = &ended {
        assert!(refused.message.contains(LARGE), "{refused:?}");
        assert_eq!(run.work.uploads().await, []);
    }
    (hub, ended.map(|sealed| sealed.prefix).map_err(|refused| refused.name))
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused_before_anything_is_sent() {
    let (hub, ended) = redirected(|_| Fault::RedirectToHttp).await;
    assert_eq!(ended.unwrap_err(), "RedirectRefused");
    assert!(!hub.seen().iter().any(|seen| seen.host == Host::Plain), "{:?}", hub.seen());
}

#[tokio::test]
async fn a_redirect_to_the_hubs_own_name_over_http_is_refused() {
    let (hub, ended) =
        redirected(|hub| Fault::RedirectTo(format!("{}/x", hub.url().replace("https://", "http://")))).await;
    assert_eq!(ended.unwrap_err(), "RedirectRefused");
    assert!(told(&hub).iter().all(|seen| seen.host == Host::First));
}

#[tokio::test]
async fn invariant_10_a_host_that_dresses_up_as_the_hub_gets_no_token() {
    // All of these are the second host, whatever they begin with.
    for dress in ["hub@", "hub:443@", "huggingface.co%40"] {
        let (hub, ended) = redirected(|hub| {
            let target = hub.storage_url().replace("https://", &format!("https://{dress}"));
            Fault::RedirectTo(format!("{target}/x"))
        })
        .await;
        assert_eq!(ended.unwrap_err(), "RedirectRefused", "{dress}");
        assert!(told(&hub).iter().all(|seen| seen.host == Host::First), "{dress}: {:?}", told(&hub));
    }
}

#[tokio::test]
async fn invariant_10_a_tree_that_goes_on_elsewhere_gets_no_token_there() {
    let hub = Hub::start(model(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
    hub.plant(Place::Tree, Fault::NextPageElsewhere);
    let refused = Run::asking(&hub, WITH_TOKEN).await.acquire().await.unwrap_err();
    assert_eq!(refused.name, "SourceMalformed", "{refused:?}");
    assert!(told(&hub).iter().all(|seen| seen.host == Host::First));
}

#[tokio::test]
async fn a_hub_whose_certificate_nobody_vouches_for_gets_nothing() {
    let hub = Hub::start(model(), Reach::Https(&crate::tls::Authority::new()), Some(TOKEN)).await;
    let refused = Run::asking(&hub, WITH_TOKEN).await.acquire().await.unwrap_err();
    assert_eq!(refused.name, "SourceUnavailable", "{refused:?}");
    assert!(hub.seen().is_empty());
}

#[tokio::test]
async fn a_token_with_a_line_end_is_the_token() {
    let hub = Hub::start(model(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
    let pasted = format!("{TOKEN}\n");
    Run::asking(&hub, Asked { token: Some(&pasted), ..Asked::default() }).await.acquire().await.unwrap();
}

#[tokio::test]
async fn an_address_that_ends_in_a_slash_is_the_hubs_too() {
    let hub = Hub::start(model(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
    let mut run = Run::asking(&hub, WITH_TOKEN).await;
    run.environment.insert("HF_ENDPOINT".to_owned(), format!("{}/", hub.url()));
    run.acquire().await.unwrap();
}

// --- Proxies ----------------------------------------------------------------------------------------------------

fn behind(proxy: &str, variable: &str) -> BTreeMap<String, String> {
    let variables = [(variable, proxy), ("NO_PROXY", "127.0.0.1")];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn a_proxy_carries_what_goes_to_the_hub_and_nothing_that_goes_to_aws() {
    let hub = Hub::start(model(), Reach::Proxy, None).await;
    assert_eq!(hub.url(), format!("http://{NAME}"));
    let mut run = Run::asking(&hub, WITH_TOKEN).await;
    run.environment.extend(behind(hub.proxy(), "HTTP_PROXY"));
    run.acquire().await.unwrap();
    let seen = hub.seen();
    assert!(seen.iter().all(|seen| seen.proxied), "{seen:?}");
    for host in [Host::First, Host::Second] {
        assert!(seen.iter().any(|seen| seen.host == host), "{host:?}: {seen:?}");
    }
    // Over http, so the proxy could have read it.
    assert!(told(&hub).is_empty());
}

/// A proxy that tunnels: who was asked for, in order.
async fn tunnel(hosts: BTreeMap<String, String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (url, asked) =
        (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(Vec::new())));
    let record = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (record, hosts) = (Arc::clone(&record), hosts.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                record.lock().unwrap().push(head);
                let Some(address) = hosts.get(&target) else {
                    return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
                };
                let mut server = TcpStream::connect(address).await?;
                client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn invariant_10_a_proxy_carries_the_token_to_the_hub_and_cannot_read_it() {
    let hub = Hub::start(model(), Reach::Https(&account().await.authority), Some(TOKEN)).await;
    let bare = |url: &str| url.trim_start_matches("https://").to_owned();
    let (first, second) = (bare(hub.url()), bare(hub.storage_url()));
    // The names lead through the proxy, since only addresses are excepted.
    let hosts = BTreeMap::from([(format!("{NAME}:443"), first), (second.clone(), second)]);
    let (proxy, asked) = tunnel(hosts).await;
    let mut run = Run::asking(&hub, WITH_TOKEN).await;
    run.environment.extend(behind(&proxy, "HTTPS_PROXY"));
    run.environment.insert("HF_ENDPOINT".to_owned(), format!("https://{NAME}"));
    run.acquire().await.unwrap();
    let asked = asked.lock().unwrap().join("\n");
    assert!(asked.contains(&format!("CONNECT {NAME}:443")), "{asked}");
    assert!(!asked.contains(TOKEN), "{asked}");
    assert!(told(&hub).iter().all(|seen| seen.host == Host::First));
}
