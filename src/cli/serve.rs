//! Processes that stay, and the question whether one of them is well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::logging;
use super::output::Output;
use crate::app::App;
use crate::config::Settings;
use crate::http::Server;
use crate::jobs::Runner;
use crate::jobs::due::keep_queueing_due;
use crate::registry::Swept;

/// How long a server may take to say that it is ready.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(4);

/// No publisher needs that long between its first file and its last.
const UNFINISHED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How the server is run.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Answer requests only; `candlecast worker` processes run the jobs.
    #[arg(long)]
    no_worker: bool,
}

/// Answers requests until it is told to stop.
pub(super) async fn serve(mut settings: Settings, arguments: &Arguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    settings.worker.in_serve &= !arguments.no_worker;
    logging::full(&settings)?;
    let stop = stop_on_signal()?;
    let app = Arc::new(App::open(settings).await?);
    answer(app, stop, out, |address| format!("candlecast listens on http://{address}\n")).await?;
    Ok(ExitCode::SUCCESS)
}

/// Removes what trainings that were killed left among the artifacts.
async fn sweep(app: &App) {
    match app.registry.sweep(UNFINISHED_AFTER).await {
        Ok(Swept { removed, unnamed }) => {
            if !removed.is_empty() {
                tracing::info!(files = removed.join(", "), "removed artifacts that were never finished");
            }
            if !unnamed.is_empty() {
                tracing::info!(
                    versions = unnamed.join(", "),
                    "artifacts that this database does not name are left as they are; another one may name them"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "cannot look for unfinished artifacts"),
    }
}

/// Binds, tells where in the words of `told`, and answers and works until `stop`.
pub(super) async fn answer(
    app: Arc<App>,
    stop: CancellationToken,
    out: &mut Output,
    told: impl FnOnce(SocketAddr) -> String,
) -> anyhow::Result<()> {
    let runner = app.settings.worker.in_serve.then(|| Runner::new(Arc::clone(&app))).transpose()?;
    let server = Server::bind(Arc::clone(&app), stop.clone()).await?;
    let following = tokio::spawn({
        let (app, stop) = (Arc::clone(&app), stop.clone());
        async move { app.follow(stop).await }
    });
    out.raw(told(server.address()).as_bytes())?;
    let sweeping = tokio::spawn({
        let app = Arc::clone(&app);
        async move { sweep(&app).await }
    });
    let working = async {
        if let Some(runner) = runner {
            work(&runner, &app, &stop).await;
        }
    };
    tokio::join!(server.run(), working);
    following.await?;
    sweeping.abort();
    app.store.close().await;
    Ok(())
}

/// Runs jobs until it is told to stop.
pub(super) async fn worker(settings: Settings, out: &mut Output) -> anyhow::Result<ExitCode> {
    logging::full(&settings)?;
    let stop = stop_on_signal()?;
    let app = Arc::new(App::open(settings).await?);
    let runner = Runner::new(Arc::clone(&app))?;
    out.raw(format!("candlecast works on the jobs of {}\n", app.settings.database.shown_url()).as_bytes())?;
    sweep(&app).await;
    work(&runner, &app, &stop).await;
    app.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Runs jobs, and queues those that are due, until `stop`; then hands back those that do not end in time.
async fn work(runner: &Runner, app: &Arc<App>, stop: &CancellationToken) {
    let stopping = async {
        stop.cancelled().await;
        runner.stop(app.settings.http.shutdown_timeout()).await;
    };
    tokio::join!(runner.run(), keep_queueing_due(app, stop), stopping);
}

/// A token that the first Ctrl-C or SIGTERM cancels; the second one ends the process at once.
pub(super) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping: finishing what was accepted");
        told.cancel();
        signals.next().await;
        std::process::exit(1);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot hear Ctrl-C");
            std::future::pending::<()>().await;
        }
    }
}

/// 0 when the server at `http.listen` is ready, 1 and one line when it is not.
pub(super) async fn healthcheck(settings: &Settings) -> anyhow::Result<ExitCode> {
    let address = reachable(settings.http.listen);
    let status = tokio::time::timeout(HEALTH_TIMEOUT, status_of_readyz(address))
        .await
        .with_context(|| format!("{address} did not answer in {} s", HEALTH_TIMEOUT.as_secs()))?
        .with_context(|| format!("{address} cannot be reached"))?;
    match status.as_str() {
        "200" => Ok(ExitCode::SUCCESS),
        _ => bail!("{address} is not ready: /readyz answers {status}"),
    }
}

/// An address to call for one to listen at: "all addresses" includes loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn status_of_readyz(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 << 10).read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.split_whitespace().nth(1).unwrap_or_default().to_owned())
}
