//! HTTP/1.1 GETs whose bodies are read straight into the caller's memory.
//!
//! hyper speaks the protocol and hyper-util, rustls and the proxy rules make the connections, as under any other
//! client. But hyper hands bodies out in buffers of its own, and copying a model out of those is a tenth of what its
//! whole transfer costs. So once an answer's head has come and told the body's length, the connection is taken
//! back from hyper, and the body is what it says next (docs/adr/0007).

use std::{
    collections::HashMap,
    error::Error,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{FutureExt as _, TryStreamExt};
use http::{
    HeaderMap, HeaderValue, Response, Uri, Version,
    header::{CONNECTION, HOST, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body_util::{BodyExt as _, BodyStream, Empty};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, Take},
    time::{Instant, Sleep, timeout},
};
use tokio_util::{io::StreamReader, task::AbortOnDropHandle};
use tower_service::Service as _;
use url::{Position, Url};

/// For a connection to stand, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// For the next bytes to come.
const SILENCE: Duration = Duration::from_secs(60);
/// A connection that nobody used for so long is not used again: the other end may have given it up, and while a
/// function is frozen between invocations nobody would have noticed.
const IDLE: Duration = Duration::from_secs(20);

/// Why there is no answer. No address stands in it: that may hold a signature.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Connection = Box<dyn Stream>;
type Connector = HttpsConnector<HttpConnector>;

/// A client. Connections are kept and used again.
pub(crate) struct HttpClient {
    connector: Connector,
    tls: Arc<ClientConfig>,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case.
    proxies: Matcher,
    kept: Arc<Kept>,
}

/// A GET.
pub(crate) struct Request {
    /// Of what; a user's name in it is not sent.
    pub url: Url,
    /// Headers besides those that HTTP itself needs.
    pub headers: HeaderMap,
}

impl HttpClient {
    /// A client that trusts the system's certificates, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn new() -> Result<Self, Failure> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_native_roots()?
            .with_no_client_auth();
        let tls = Arc::new(tls);
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        let connector = Connector::from((plain, Arc::clone(&tls)));
        Ok(Self { connector, tls, proxies: Matcher::from_env(), kept: Arc::default() })
    }

    /// Asks, and reads the answer's head. Redirects are the caller's to follow.
    ///
    /// # Errors
    /// When no connection stands, it breaks, stays silent, or does not speak HTTP.
    pub(crate) async fn get(&self, request: Request) -> Result<Response<Body>, Failure> {
        let place = request.url[..Position::BeforePath].to_owned();
        while let Some(connection) = self.kept.take(&place) {
            // The other end may have closed it just now, so its failure tells nothing.
            match self.exchange(connection, &place, &request).await {
                Ok(response) => return Ok(response),
                Err(error) => tracing::debug!("a kept connection was of no use: {error}"),
            }
        }
        let uri: Uri = request.url.as_str().parse()?;
        let connection =
            timeout(CONNECT, self.connect(uri)).await.map_err(|_| "connecting took too long")??;
        self.exchange(connection, &place, &request).await
    }

    async fn connect(&self, uri: Uri) -> Result<Connection, Failure> {
        let mut connector = self.connector.clone();
        let Some(proxy) = self.proxies.intercept(&uri) else {
            return Ok(Box::new(TokioIo::new(connector.call(uri).await?)));
        };
        if uri.scheme_str() != Some("https") {
            return Ok(Box::new(TokioIo::new(connector.call(proxy.uri().clone()).await?)));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        let mut tunnelled = HttpsConnector::from((tunnel, Arc::clone(&self.tls)));
        Ok(Box::new(TokioIo::new(tunnelled.call(uri).await?)))
    }

    async fn exchange(
        &self,
        connection: Connection,
        place: &str,
        request: &Request,
    ) -> Result<Response<Body>, Failure> {
        let head = self.head(request)?;
        let (mut sender, mut driver) = http1::handshake(TokioIo::new(connection)).await?;
        let mut response = pin!(sender.send_request(head));
        let answered = std::future::poll_fn(|cx| {
            // An end of the connection reaches `response` as its error.
            let _ = driver.poll_without_shutdown(cx);
            response.as_mut().poll(cx)
        });
        let response = timeout(SILENCE, answered).await.map_err(|_| silent())??;
        let (head, mut body) = response.into_parts();
        let Some(length) = body.size_hint().exact() else {
            // In chunks, or until the connection ends.
            let driver = AbortOnDropHandle::new(tokio::spawn(driver));
            return Ok(Response::from_parts(head, Body::new(Inner::Streamed(streamed(body), driver))));
        };
        let parts = driver.into_parts();
        let mut early = BytesMut::new();
        while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
            early.extend(frame.into_data());
        }
        early.extend(parts.read_buf);
        let stays = head.version == Version::HTTP_11
            && !head
                .headers
                .get(CONNECTION)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let back = stays.then(|| (Arc::clone(&self.kept), place.to_owned()));
        let body = Known::new(early.freeze(), length, parts.io.into_inner(), back);
        Ok(Response::from_parts(head, Body::new(Inner::Known(body))))
    }

    fn head(&self, request: &Request) -> Result<http::Request<Empty<Bytes>>, Failure> {
        let url = &request.url;
        let mut headers = request.headers.clone();
        headers.insert(HOST, HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("lockstep/", env!("CARGO_PKG_VERSION"))));
        let mut target = &url[Position::BeforePath..Position::AfterQuery];
        let whole;
        if url.scheme() == "http"
            && let Some(proxy) = self.proxies.intercept(&url.as_str().parse()?)
        {
            // A proxy is told the whole address (RFC 9112, 3.2.2).
            whole = format!("http://{}{target}", &url[Position::BeforeHost..Position::AfterPort]);
            target = &whole;
            if let Some(login) = proxy.basic_auth() {
                headers.insert(PROXY_AUTHORIZATION, login.clone());
            }
        }
        let mut head = http::Request::get(target).body(Empty::new())?;
        *head.headers_mut() = headers;
        Ok(head)
    }
}

/// Connections that wait for their next request, by the place that they lead to.
#[derive(Default)]
struct Kept(Mutex<HashMap<String, Vec<(Connection, Instant)>>>);

impl Kept {
    fn take(&self, place: &str) -> Option<Connection> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = kept.get_mut(place)?;
        waiting.retain(|(_, since)| since.elapsed() < IDLE);
        waiting.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, place: String, connection: Connection) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(place).or_default().push((connection, Instant::now()));
    }
}

/// An answer's body. It ends in an error unless all that was promised came.
pub struct Body {
    inner: Inner,
    patience: Pin<Box<Sleep>>,
    waits: bool,
}

enum Inner {
    Known(Known),
    Streamed(
        Pin<Box<dyn AsyncRead + Send>>,
        #[expect(dead_code, reason = "it reads until it is dropped")] AbortOnDropHandle<hyper::Result<()>>,
    ),
}

/// A body whose length its head told.
struct Known {
    /// What came with the head.
    early: Bytes,
    /// Absent once the body is read.
    rest: Option<Take<Connection>>,
    /// Where the connection goes then, if it may be used again.
    back: Option<(Arc<Kept>, String)>,
}

impl Known {
    fn new(
        mut early: Bytes,
        length: u64,
        connection: Connection,
        mut back: Option<(Arc<Kept>, String)>,
    ) -> Self {
        if early.len() as u64 > length {
            // Somebody says more than was asked. The connection is not to be trusted further.
            early.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            back = None;
        }
        let left = length - early.len() as u64;
        let mut known = Self { early, rest: Some(tokio::io::AsyncReadExt::take(connection, left)), back };
        known.give_back();
        known
    }

    /// Once all of it came, whether or not it was read.
    fn give_back(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.limit() == 0)
            && let (Some(rest), Some((kept, place))) = (self.rest.take(), self.back.take())
        {
            kept.keep(place, rest.into_inner());
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..count]);
            self.early.advance(count);
            return Poll::Ready(Ok(()));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(Ok(())) };
        let before = buffer.remaining();
        ready!(Pin::new(&mut *rest).poll_read(cx, buffer))?;
        if buffer.remaining() == before && before > 0 && rest.limit() > 0 {
            let reason = format!("the connection ended {} bytes before the body did", rest.limit());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
        }
        self.give_back();
        Poll::Ready(Ok(()))
    }
}

fn streamed(body: Incoming) -> Pin<Box<dyn AsyncRead + Send>> {
    let frames = TryStreamExt::map_err(BodyStream::new(body), io::Error::other);
    Box::pin(StreamReader::new(frames.try_filter_map(async |frame| Ok(frame.into_data().ok()))))
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} seconds", SILENCE.as_secs()))
}

impl Body {
    fn new(inner: Inner) -> Self {
        Self { inner, patience: Box::pin(tokio::time::sleep(SILENCE)), waits: false }
    }
}

impl AsyncRead for Body {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, patience, waits } = self.get_mut();
        let read = match inner {
            Inner::Known(known) => known.poll_read(cx, buffer),
            Inner::Streamed(body, _) => body.as_mut().poll_read(cx, buffer),
        };
        if read.is_ready() {
            *waits = false;
            return read;
        }
        if !std::mem::replace(waits, true) {
            patience.as_mut().reset(Instant::now() + SILENCE);
        }
        patience.as_mut().poll(cx).map(|()| Err(silent()))
    }
}
