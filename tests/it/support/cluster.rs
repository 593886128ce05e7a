//! A PostgreSQL server of a test's own, which may be stopped, killed and starved.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database as Sea};

use super::watch::{LONGEST, ended, signal, watch};
use super::{Running, free_address, not_tested, required};

pub struct Cluster {
    programs: PathBuf,
    data: PathBuf,
    port: String,
    settings: Vec<String>,
    server: Option<Running>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A killed postmaster would leave its children behind.
        if self.lives() {
            self.stop("QUIT");
        }
    }
}

impl Cluster {
    /// In this directory, with these settings; nothing if PostgreSQL's programs are not here and need not be.
    pub fn create(directory: &Path, settings: &[&str]) -> Option<Self> {
        watch(LONGEST);
        let Some(programs) = programs() else {
            assert!(!required("REQUIRE_POSTGRES"), "REQUIRE_POSTGRES=1, but initdb and postgres are not found");
            not_tested("a PostgreSQL of its own", "initdb and postgres are not found");
            return None;
        };
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let cluster = Self::at(programs, directory, settings);
        let mut initdb = cluster.command("initdb");
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
            "-D",
        ]);
        assert!(ended(&mut initdb.arg(&cluster.data).spawn().unwrap()).success(), "initdb");
        Some(cluster)
    }

    /// A standby that follows this server, asynchronously, from its first start on.
    pub fn standby(&self, directory: &Path) -> Self {
        let standby = Self::at(self.programs.clone(), directory, self.settings.clone());
        let mut copy = standby.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &self.port, "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-D"]);
        assert!(ended(&mut copy.arg(&standby.data).spawn().unwrap()).success(), "pg_basebackup");
        standby
    }

    /// With an empty directory for its data, which belongs to the user whom the server runs as.
    fn at(programs: PathBuf, directory: &Path, settings: Vec<String>) -> Self {
        let port = free_address().rsplit(':').next().unwrap().to_owned();
        let cluster = Self { programs, data: directory.join("data"), port, settings, server: None };
        std::fs::create_dir_all(&cluster.data).unwrap();
        std::fs::set_permissions(&cluster.data, Permissions::from_mode(0o700)).unwrap();
        if let Some((user, group)) = other_user() {
            for path in [directory, &cluster.data] {
                chown(path, Some(user), Some(group)).unwrap();
            }
        }
        cluster
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.as_server_user(Command::new(self.programs.join(program)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// PostgreSQL refuses to run as root.
    fn as_server_user(&self, mut command: Command) -> Command {
        command.current_dir(&self.data);
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// A shell of the user whom the server runs as.
    pub fn shell(&self) -> Command {
        self.as_server_user(Command::new("bash"))
    }

    /// Where the server's programs are.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// A new directory of the user whom the server runs as.
    pub fn directory(&self, path: &Path) -> PathBuf {
        std::fs::create_dir(path).unwrap();
        if let Some((user, group)) = other_user() {
            chown(path, Some(user), Some(group)).unwrap();
        }
        path.to_owned()
    }

    /// Starts the server and waits until it accepts connections.
    pub async fn start(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port, "-c", "listen_addresses=127.0.0.1"]);
        command.arg("-k").arg(&self.data);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.server = Some(Running(command.spawn().unwrap()));
        self.accepts().await;
    }

    /// Waits until the server accepts connections.
    pub async fn accepts(&self) {
        for _ in 0..2400 {
            if let Ok(admin) = Sea::connect(self.url("postgres")).await {
                admin.close().await.unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the server does not accept connections");
    }

    /// What `pg_ctl stop -m immediate` (`QUIT`) and `-m fast` (`INT`) do.
    pub fn stop(&mut self, with: &str) {
        let mut server = self.server.take().unwrap();
        signal(&server.0, with);
        ended(&mut server.0);
    }

    /// True if the server has not ended by itself.
    pub fn lives(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.0.try_wait().unwrap().is_none())
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database.
    pub async fn database(&self) -> String {
        let admin = Sea::connect(self.url("postgres")).await.unwrap();
        admin.execute_unprepared("CREATE DATABASE thidua").await.unwrap();
        admin.close().await.unwrap();
        self.url("thidua")
    }
}

/// Where Debian or the path has the server's programs: the newest.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.splice(0..0, std::env::split_paths(&path));
    found.into_iter().rfind(|directory| directory.join("initdb").exists() && directory.join("postgres").exists())
}

/// Whom the server runs as if the tests run as root.
fn other_user() -> Option<(u32, u32)> {
    let id = |words: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(words).stderr(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    (id(&["-u"])? == 0).then(|| {
        let user = ["postgres", "nobody"].into_iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)));
        user.expect("root has a user to run PostgreSQL as")
    })
}
