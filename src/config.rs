//! Configuration: `THIDUA_*` from the environment, or the flag of the same name. The one place
//! where the environment enters. A secret may stand in a file: `THIDUA_…_FILE`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::auth::token::{Keys, Verifier};
use crate::error::Error;

/// Where the database is.
#[derive(Args, Clone)]
pub struct DatabaseArgs {
    /// `sqlite://path` or `postgres://…`.
    #[arg(long, env = "THIDUA_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the URL.
    #[arg(long, env = "THIDUA_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
}

impl fmt::Debug for DatabaseArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseArgs(…)")
    }
}

/// The embedded database of a service that was told nothing else.
pub const DEFAULT_DATABASE: &str = "sqlite://thidua.db";

impl DatabaseArgs {
    /// The URL.
    pub fn url(&self) -> Result<String, Error> {
        match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(file)) => Ok(read(file)?.trim().to_owned()),
            (None, None) => Ok(DEFAULT_DATABASE.to_owned()),
        }
    }
}

/// Whose tokens are believed.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    /// A JSON Web Key Set.
    #[arg(long, env = "THIDUA_JWKS_FILE")]
    jwks_file: PathBuf,
    /// The `iss` of tokens.
    #[arg(long, env = "THIDUA_ISSUER")]
    issuer: String,
    /// The `aud` of tokens.
    #[arg(long, env = "THIDUA_AUDIENCE")]
    audience: String,
    /// The longest lifetime of a token, in seconds.
    #[arg(long, env = "THIDUA_TOKEN_MAX_LIFETIME", default_value_t = 900)]
    token_max_lifetime: u64,
}

impl TokenArgs {
    /// The verifier; demo keys are refused.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err(Error::internal("THIDUA_ISSUER and THIDUA_AUDIENCE must not be empty"));
        }
        let keys = Keys::from_jwks(&read(&self.jwks_file)?).map_err(Error::internal)?;
        for dropped in keys.dropped() {
            tracing::warn!(kid = dropped.kid, reason = dropped.reason, "a key was left out");
        }
        if keys.is_demo() {
            return Err(Error::internal("demo keys are accepted by `thidua demo` alone"));
        }
        Ok(Verifier {
            keys,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            max_lifetime: Duration::from_secs(self.token_max_lifetime),
        })
    }
}

/// Reads a configured file.
pub fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
}

/// Writes a secret into a new file that only its owner reads.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write_new(path, text, 0o600)
}

/// Writes a new file with these permissions; one that is there stays.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|error| Error::internal(format!("{}: {error}", path.display())))?;
    file.write_all(text.as_bytes()).map_err(Error::internal)
}

/// The directory for scratch files.
pub fn scratch() -> PathBuf {
    std::env::temp_dir()
}
