//! Listening: connections in, each served until it ends or the node goes down.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
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
}

/// The API, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(TlsAcceptor, TlsReloader)>,
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
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
        let tls = match &config.transport {
            Transport::Plain => None,
            Transport::Tls { certificate, key } => {
                let reloader = TlsReloader::open(certificate, key)?;
                Some((TlsAcceptor::from(Arc::new(reloader.server_config()?)), reloader))
            }
        };
        let fault = |source| ServeError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let shutdown = CancellationToken::new();
        let api = ApiState::new(backend, documents, config, shutdown.clone());
        let metrics = Arc::clone(&api.metrics);
        Ok(Self { listener, address, tls, router: router(api), limits: config.limits, metrics, shutdown })
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
        let connections = Connections::new(self.limits.connections_max, self.limits.connections_per_address_max);
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
        let (router, limits, watcher) = (self.router.clone(), self.limits, graceful.watcher());
        let acceptor = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
        let (metrics, stop) = (Arc::clone(&self.metrics), stop.clone());
        tokio::spawn(async move {
            let _held = (place, counted);
            let Some(acceptor) = acceptor else {
                return serve(stream, remote, router, &limits, watcher).await;
            };
            let limit = Duration::from_millis(limits.handshake_timeout_ms);
            let handshake = tokio::select! {
                () = stop.cancelled() => return,
                handshake = tokio::time::timeout(limit, acceptor.accept(stream)) => handshake,
            };
            match handshake {
                Ok(Ok(stream)) => serve(stream, remote, router, &limits, watcher).await,
                Ok(Err(error)) => {
                    metrics.handshakes_failed.increment();
                    tracing::debug!(%remote, %error, "TLS handshake failed");
                }
                Err(_) => metrics.handshakes_failed.increment(),
            }
        });
    }
}

async fn serve<S>(
    stream: S,
    remote: SocketAddr,
    router: Router,
    limits: &Limits,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(RemoteAddress(remote));
        request.map(axum::body::Body::new)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(limits.header_timeout_ms));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%remote, %error, "API connection ended");
    }
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
