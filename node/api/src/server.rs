//! Listening: connections in, each served until it ends or the node goes down.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    ApiConfig, Backend, Documents, Limits, Transport,
    answers::EndConnection,
    clients::{Gate, Shown, ShownCertificate},
    connections::{Connection, Connections},
    metrics::{Counted, Metrics},
    middleware::RemoteAddress,
    router::{ApiState, router},
    tls::TlsReloader,
};

/// How often certificate files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after the system could not give a connection, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers may take to come to their end when their client's certificate no longer counts; then they are cut.
const CLIENT_ENDS_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file is not usable.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Clients cannot show certificates without TLS.
    #[error("clients are asked for certificates, which takes TLS: set plain_http to false")]
    NoTls,
}

/// The API, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(TlsAcceptor, TlsReloader)>,
    router: Router,
    limits: Limits,
    proxies: BTreeSet<IpAddr>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    gate: Option<Arc<Gate>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens; connections wait until [`Server::run`]. Without `documents` the routes for private documents say that the
    /// vault does not run.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(
        config: &ApiConfig,
        backend: Arc<dyn Backend>,
        documents: Option<Arc<dyn Documents>>,
    ) -> Result<Self, ServeError> {
        let shutdown = CancellationToken::new();
        let fault = |source| ServeError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let config = ApiConfig { listen: address, ..config.clone() };
        let api = ApiState::new(backend, documents, &config, shutdown.clone())?;
        let gate = api.gate.clone();
        let tls = match &config.transport {
            Transport::Plain if gate.is_some() => return Err(ServeError::NoTls),
            Transport::Plain => None,
            Transport::Tls { certificate, key } => {
                let reloader = TlsReloader::open(certificate, key)?;
                let asking = gate.as_ref().map(|gate| gate.asking());
                Some((TlsAcceptor::from(Arc::new(reloader.server_config(asking)?)), reloader))
            }
        };
        let (metrics, limits, proxies) = (Arc::clone(&api.metrics), config.limits, config.proxies);
        Ok(Self { listener, address, tls, router: router(api), limits, proxies, metrics, shutdown, gate })
    }

    /// Where it listens: the port that was taken when the configured one was 0.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// `https://…` or `http://…`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Reads changed certificate files at once instead of within some seconds; `None` without TLS.
    #[must_use]
    pub fn tls_reloader(&self) -> Option<TlsReloader> {
        self.tls.as_ref().map(|(_, reloader)| reloader.clone())
    }

    /// Serves until `stop` is cancelled; then takes no more connections, ends event streams with a last message, and gives
    /// open requests [`Limits::shutdown_timeout_ms`] to end.
    pub async fn run(self, stop: CancellationToken) {
        let connections = Connections::new(
            self.limits.connections_max,
            self.limits.connections_per_address_max,
            self.proxies.clone(),
        );
        let graceful = GracefulShutdown::new();
        let reloading = self.tls.as_ref().map(|(_, reloader)| tokio::spawn(watch_files(reloader.clone())));
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => match connections.enter(remote.ip()) {
                    Some(place) => self.spawn(stream, remote, place, &graceful, &stop),
                    None => self.metrics.connections_refused.increment(),
                },
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.shutdown.cancel();
        if let Some(task) = reloading {
            task.abort();
        }
        let limit = Duration::from_millis(self.limits.shutdown_timeout_ms);
        if tokio::time::timeout(limit, graceful.shutdown()).await.is_err() {
            tracing::info!("API connections were still open at the end of the shutdown time");
        }
    }

    fn spawn(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        place: Connection,
        graceful: &GracefulShutdown,
        stop: &CancellationToken,
    ) {
        let _ = stream.set_nodelay(true);
        let counted = Counted::enter(&self.metrics, |metrics| &metrics.connections);
        let serving = Serving {
            remote,
            router: self.router.clone(),
            limits: self.limits,
            shutdown: self.shutdown.clone(),
            gate: self.gate.clone(),
            _watcher: graceful.watcher(),
        };
        let acceptor = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
        let (metrics, stop) = (Arc::clone(&self.metrics), stop.clone());
        tokio::spawn(async move {
            let _held = (place, counted);
            let Some(acceptor) = acceptor else { return serving.serve(stream, None).await };
            let limit = Duration::from_millis(serving.limits.handshake_timeout_ms);
            let handshake = tokio::select! {
                () = stop.cancelled() => return,
                handshake = tokio::time::timeout(limit, acceptor.accept(stream)) => handshake,
            };
            match handshake {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(Shown::new).map(Arc::new);
                    serving.serve(stream, shown).await;
                }
                Ok(Err(error)) => {
                    metrics.handshakes_failed.increment();
                    tracing::debug!(%remote, %error, "TLS handshake failed");
                }
                Err(_) => metrics.handshakes_failed.increment(),
            }
        });
    }
}

/// Serves one connection.
struct Serving {
    remote: SocketAddr,
    router: Router,
    limits: Limits,
    /// Cancelled when the server ends.
    shutdown: CancellationToken,
    gate: Option<Arc<Gate>>,
    /// The server waits until it is dropped.
    _watcher: Watcher,
}

impl Serving {
    async fn serve<S>(self, stream: S, shown: Option<Arc<Shown>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { remote, router, limits, shutdown, gate, _watcher } = self;
        let end = CancellationToken::new();
        let (end_by_answer, certificate) = (EndConnection(end.clone()), shown.clone().map(ShownCertificate));
        let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(RemoteAddress(remote));
            if let Some(certificate) = &certificate {
                request.extensions_mut().insert(certificate.clone());
            }
            request.extensions_mut().insert(end_by_answer.clone());
            request.map(axum::body::Body::new)
        });
        let builder = http(&limits);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let closing = GracefulShutdown::new();
        let served = closing.watch(connection.into_owned());
        let client_ends = async {
            match gate.as_deref().zip(shown.as_deref()) {
                Some((gate, shown)) => gate.until_ended(shown).await,
                None => std::future::pending().await,
            }
        };
        // Closed, a connection takes no new requests and ends with its last answer.
        let closed = async {
            tokio::select! {
                () = shutdown.cancelled() => closing.shutdown().await,
                () = client_ends => {
                    let _ = tokio::time::timeout(CLIENT_ENDS_TIMEOUT, closing.shutdown()).await;
                }
            }
        };
        tokio::select! {
            biased;
            ended = served => {
                if let Err(error) = ended {
                    tracing::debug!(%remote, %error, "API connection ended");
                }
            }
            () = end.cancelled() => tracing::debug!(%remote, "API connection closed: its reader takes nothing"),
            () = closed => tracing::debug!(%remote, "API connection cut: its certificate no longer counts"),
        }
    }
}

fn http(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits.header_timeout_ms));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn watch_files(reloader: TlsReloader) {
    let mut interval = tokio::time::interval(RELOAD_INTERVAL);
    loop {
        interval.tick().await;
        match reloader.reload() {
            Ok(true) => tracing::info!("the API presents a new certificate"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the changed certificate cannot be used, the old one stays"),
        }
    }
}
