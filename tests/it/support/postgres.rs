//! A real Postgres for the suite: one server for the whole test binary, one database a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The URL of a fresh, empty database; `None` where the machine has no Postgres and the run was told so by
/// `CANDLECAST_TEST_WITHOUT_POSTGRES` (`scripts/test` sets it, and names what was not run).
pub fn fresh_database() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(Server::start).as_ref()?;
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let created = server
        .as_postgres("psql")
        .args(["-qc", &format!("CREATE DATABASE {name}")])
        .args(server.connection("postgres"))
        .output();
    let created = created.expect("psql runs");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    Some(format!("postgres://postgres@127.0.0.1:{}/{name}", server.port))
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

struct Server {
    bin: PathBuf,
    port: u16,
    /// Of the server, so that it does not outlive the tests.
    pid: String,
}

impl Server {
    #[expect(clippy::zombie_processes, reason = "the server is stopped by the shell of `stop_with_us`")]
    fn start() -> Option<Self> {
        let Some(bin) = binaries() else {
            let without = std::env::var_os("CANDLECAST_TEST_WITHOUT_POSTGRES").is_some();
            assert!(without, "PostgreSQL is not installed (initdb, postgres, psql): install it, as scripts/test does");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("candlecast-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        // The system's temporary folder may be closed to other users; the server runs as one.
        if is_root() {
            let chown = Command::new("chown").arg("postgres").arg(&folder).status().expect("chown runs");
            assert!(chown.success());
        }
        let port = free_port();
        let mut server = Self { bin, port, pid: String::new() };
        let data = folder.join("data");
        let made = server
            .as_postgres("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server
            .as_postgres("postgres")
            .args(["-c", "fsync=off", "-c", "max_connections=300", "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-p", &port.to_string(), "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres starts");
        server.wait(&data);
        stop_with_us(&server.pid, &folder);
        Some(server)
    }

    fn wait(&mut self, data: &Path) {
        let begun = Instant::now();
        loop {
            let ready = self.as_postgres("psql").args(["-qc", "SELECT 1"]).args(self.connection("postgres")).output();
            if ready.is_ok_and(|ready| ready.status.success()) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "Postgres did not come up in 30 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        let file = std::fs::read_to_string(data.join("postmaster.pid")).expect("a running server has a pid file");
        self.pid = file.lines().next().unwrap_or_default().to_owned();
    }

    /// A command of Postgres, as its own user when we are root (it refuses to run as root).
    fn as_postgres(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir("/");
        command
    }

    fn connection(&self, database: &str) -> Vec<String> {
        ["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "-d", database].map(str::to_owned).to_vec()
    }
}

/// Ends the server when this process ends, however it ends: a shell watches us and stops it.
#[expect(clippy::zombie_processes, reason = "it outlives us on purpose")]
fn stop_with_us(pid: &str, folder: &Path) {
    let script = format!(
        "while kill -0 {} 2>/dev/null; do sleep 1; done; kill -INT {pid}; sleep 2; rm -rf '{}'",
        std::process::id(),
        folder.display()
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
}

fn binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
