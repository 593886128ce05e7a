//! Configuration: `THIDUA_*` from the environment, or the flag of the same name. The one place
//! where the environment enters. A secret may stand in a file: `THIDUA_…_FILE`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::auth::keyring::{Ages, Keyring};
use crate::auth::source::{Remote, Source, Transport};
use crate::auth::token::Verifier;
use crate::db::Urls;
use crate::demo;
use crate::error::Error;
use crate::grants::issuer::is_issuer;
use crate::http::limits::{Limits, Rates};
use crate::log::anchor::Anchor;
use crate::log::proof::key::SigningKey;
use crate::log::signer::Keys;

/// Where the database is.
#[derive(Args, Clone)]
pub struct DatabaseArgs {
    /// `sqlite://path` or `postgres://…`.
    #[arg(long, env = "THIDUA_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the URL.
    #[arg(long, env = "THIDUA_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// The same PostgreSQL database as the role that seals the log and keeps what is signed; by default everything is one
    /// role's.
    #[arg(long, env = "THIDUA_SEALER_DATABASE_URL", hide_env_values = true)]
    sealer_database_url: Option<String>,
    /// A file that holds the sealer's URL.
    #[arg(long, env = "THIDUA_SEALER_DATABASE_URL_FILE")]
    sealer_database_url_file: Option<PathBuf>,
    /// The same PostgreSQL database as the role that erases personal values; by default everything is one role's.
    #[arg(long, env = "THIDUA_ERASER_DATABASE_URL", hide_env_values = true)]
    eraser_database_url: Option<String>,
    /// A file that holds the eraser's URL.
    #[arg(long, env = "THIDUA_ERASER_DATABASE_URL_FILE")]
    eraser_database_url_file: Option<PathBuf>,
    /// Another database, `sqlite://path` or `postgres://…`, with a key for each record that has personal values, which are
    /// sealed with it in the main one: when they are erased their key dies, and they are unreadable in old backups. Kept
    /// out of the main database's backups, the same for all replicas, made by `thidua migrate`, and never given up again.
    #[arg(long, env = "THIDUA_SUBJECT_KEYS", hide_env_values = true)]
    subject_keys: Option<String>,
    /// A file that holds the URL of the subjects' keys.
    #[arg(long, env = "THIDUA_SUBJECT_KEYS_FILE")]
    subject_keys_file: Option<PathBuf>,
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
        let url = given(self.database_url.as_ref(), self.database_url_file.as_deref())?;
        Ok(url.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()))
    }

    /// The URL, and those of other roles.
    pub fn urls(&self) -> Result<Urls, Error> {
        let role = |url: &Option<String>, file: &Option<PathBuf>| {
            given(url.as_ref().filter(|url| !url.is_empty()), file.as_deref())
        };
        Ok(Urls {
            app: self.url()?,
            sealer: role(&self.sealer_database_url, &self.sealer_database_url_file)?,
            eraser: role(&self.eraser_database_url, &self.eraser_database_url_file)?,
            keys: role(&self.subject_keys, &self.subject_keys_file)?,
        })
    }

    /// The URL of whoever owns the schema, with the keys.
    pub fn owner(&self) -> Result<Urls, Error> {
        Ok(Urls { sealer: None, eraser: None, ..self.urls()? })
    }

    /// The URLs of a database that a command looks into: an embedded one is not made by looking.
    pub fn of_one_that_is_there(&self) -> Result<Urls, Error> {
        let urls = self.urls()?;
        let file = urls.app.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        let file = file.and_then(|rest| rest.split('?').next()).filter(|file| !file.starts_with(':'));
        match file {
            Some(file) if !Path::new(file).exists() => {
                Err(Error::internal(format!("{file}: there is no such database; `thidua migrate` makes one")))
            }
            _ => Ok(urls),
        }
    }
}

/// What was said directly counts before what stands in a file.
fn given(url: Option<&String>, file: Option<&Path>) -> Result<Option<String>, Error> {
    match (url, file) {
        (Some(url), _) => Ok(Some(url.clone())),
        (None, Some(file)) => Ok(Some(read(file)?.trim().to_owned())),
        (None, None) => Ok(None),
    }
}

/// Whose tokens are believed.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(flatten)]
    keys: KeyArgs,
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

/// Where the issuer's keys are. Exactly one of file and URL.
#[derive(Args, Clone, Debug)]
pub struct KeyArgs {
    /// A JSON Web Key Set in a file; read again when it is replaced, so that a key is rotated without a restart.
    #[arg(long, env = "THIDUA_JWKS_FILE")]
    jwks_file: Option<PathBuf>,
    /// The JSON Web Key Set that the issuer publishes; https only, redirects are not followed.
    #[arg(long, env = "THIDUA_JWKS_URL")]
    jwks_url: Option<String>,
    /// PEM of the only certificate authorities believed for the URL; the operating system's if absent.
    #[arg(long, env = "THIDUA_JWKS_CA_FILE")]
    jwks_ca_file: Option<PathBuf>,
    /// Keys as old as this, in seconds, are looked up again.
    #[arg(long, env = "THIDUA_JWKS_MAX_AGE", default_value_t = Ages::DEFAULT.refresh.as_secs())]
    jwks_max_age: u64,
    /// Keys from the URL as old as this, in seconds, are used no more: so long may the issuer be out of reach.
    #[arg(long, env = "THIDUA_JWKS_MAX_STALE", default_value_t = Ages::DEFAULT.discard.as_secs())]
    jwks_max_stale: u64,
    /// For tests on one machine: the URL may be http to a loopback address. Any other host is refused.
    #[arg(long, env = "THIDUA_INSECURE_JWKS_LOOPBACK")]
    insecure_jwks_loopback: bool,
}

impl KeyArgs {
    /// The keys: a file must be good now, a URL may be so later.
    async fn keyring(&self) -> Result<Keyring, Error> {
        let file = self.jwks_file.as_deref();
        let url = self.jwks_url.as_deref().filter(|url| !url.is_empty());
        match (file, url) {
            (Some(file), None) => {
                let source = Source::File(file.to_owned());
                // What an operator put there stays believed until something else is put there.
                let ages = Ages { discard: Duration::MAX, ..self.ages() };
                let filled = Keyring::filled(source, ages).await;
                filled.map_err(|error| Error::internal(format!("{}: {error}", file.display())))
            }
            (None, Some(url)) => Ok(Keyring::of(Source::Url(self.remote(url)?), self.checked_ages()?)),
            (None, None) => {
                Err(Error::internal("tokens need keys: set THIDUA_JWKS_URL (the issuer's key set) or THIDUA_JWKS_FILE"))
            }
            (Some(_), Some(_)) => Err(Error::internal(
                "THIDUA_JWKS_URL and THIDUA_JWKS_FILE are both set: exactly one says whose keys count",
            )),
        }
    }

    fn remote(&self, url: &str) -> Result<Remote, Error> {
        let authority = self.jwks_ca_file.as_deref().map(read).transpose()?;
        let transport = if self.insecure_jwks_loopback { Transport::HttpOnLoopback } else { Transport::Https };
        let remote = Remote::new(url, authority.as_deref(), transport);
        remote.map_err(|error| Error::internal(format!("THIDUA_JWKS_URL: {error}")))
    }

    fn ages(&self) -> Ages {
        let seconds = Duration::from_secs;
        Ages { refresh: seconds(self.jwks_max_age), discard: seconds(self.jwks_max_stale), ..Ages::DEFAULT }
    }

    /// Keys must be looked up again before they are thrown away.
    fn checked_ages(&self) -> Result<Ages, Error> {
        let ages = self.ages();
        if ages.discard <= ages.refresh {
            return Err(Error::internal("THIDUA_JWKS_MAX_STALE must be longer than THIDUA_JWKS_MAX_AGE"));
        }
        Ok(ages)
    }
}

impl TokenArgs {
    /// The verifier; demo keys are refused.
    pub async fn verifier(&self) -> Result<Verifier, Error> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err(Error::internal("THIDUA_ISSUER and THIDUA_AUDIENCE must not be empty"));
        }
        if self.issuer == demo::tokens::ISSUER {
            return Err(Error::internal("THIDUA_ISSUER is the demonstration's; demo keys are believed by nobody else"));
        }
        // Grants are given to accounts of such issuers only: with another nobody could ever do anything.
        if !is_issuer(&self.issuer) {
            return Err(Error::internal(format!("THIDUA_ISSUER: {} is no https URL without a query", self.issuer)));
        }
        Ok(Verifier {
            keys: self.keys.keyring().await?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            max_lifetime: Duration::from_secs(self.token_max_lifetime),
        })
    }
}

/// How much is allowed.
#[derive(Args, Clone, Debug)]
pub struct LimitArgs {
    /// Requests a minute from one address; 0 is any number.
    #[arg(long, env = "THIDUA_RATE_PER_ADDRESS", default_value_t = 6000)]
    rate_per_address: u32,
    /// Requests a minute by one caller; 0 is any number.
    #[arg(long, env = "THIDUA_RATE_PER_CALLER", default_value_t = 1200)]
    rate_per_caller: u32,
    /// Networks whose `X-Forwarded-For` is believed, e.g. `10.0.0.0/8,::1/128`.
    #[arg(long, env = "THIDUA_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Origins of pages that may call from a browser, spelt exactly, e.g. `https://thidua.example.vn`.
    #[arg(long, env = "THIDUA_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// Connections that are open at once; whoever comes then waits.
    #[arg(long, env = "THIDUA_MAX_CONNECTIONS", default_value_t = 2048)]
    pub max_connections: usize,
    /// Seconds that a request may take.
    #[arg(long, env = "THIDUA_REQUEST_TIMEOUT", default_value_t = 30)]
    request_timeout: u64,
    /// Seconds that a body may take to arrive.
    #[arg(long, env = "THIDUA_BODY_TIMEOUT", default_value_t = 10)]
    body_timeout: u64,
}

impl LimitArgs {
    /// The limits; an origin that no browser would send is refused here, not silently never met.
    pub fn limits(&self) -> Result<Limits, Error> {
        let origins = said(&self.cors_origins);
        for origin in &origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', '?', '#', ' '])) {
                return Err(Error::internal(format!("THIDUA_CORS_ORIGINS: {origin} is no origin")));
            }
        }
        Ok(Limits {
            body: Duration::from_secs(self.body_timeout),
            request: Duration::from_secs(self.request_timeout),
            proxies: said(&self.trusted_proxies).iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            origins,
            rates: Rates::new(self.rate_per_address, self.rate_per_caller),
        })
    }
}

/// The items of a list; a variable that is set to nothing says nothing.
fn said(items: &[String]) -> Vec<String> {
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn network(text: &str) -> Result<ipnet::IpNet, Error> {
    text.parse().map_err(|_| Error::internal(format!("THIDUA_TRUSTED_PROXIES: {text} is no network, e.g. 10.0.0.0/8")))
}

/// How the log is signed. Without a key nobody outside can prove anything, and the start warns.
#[derive(Args, Clone, Debug)]
pub struct LogKeyArgs {
    /// The keys that sign the log, made with `thidua log new-key`, one a line, the log's own first.
    #[arg(long, env = "THIDUA_LOG_KEY_FILE", requires = "log_anchor_file")]
    log_key_file: Option<PathBuf>,
    /// Where the last signed checkpoint is remembered: on another disk than the database, and in no backup of it.
    #[arg(long, env = "THIDUA_LOG_ANCHOR_FILE")]
    log_anchor_file: Option<PathBuf>,
    /// Whose signatures are enough for those who verify (C2SP tlog-policy); by default the log's own. Witnesses in it that
    /// have a URL (https, or http to a loopback address) are asked to cosign every checkpoint.
    #[arg(long, env = "THIDUA_LOG_POLICY_FILE")]
    log_policy_file: Option<PathBuf>,
}

impl LogKeyArgs {
    /// The keys, if there are any; demo keys are refused.
    pub fn keys(&self) -> Result<Option<Keys>, Error> {
        let (Some(file), Some(anchor)) = (&self.log_key_file, &self.log_anchor_file) else { return Ok(None) };
        let keys = signing_keys(file)?;
        let refused = |error: &dyn fmt::Display| Error::internal(format!("{}: {error}", file.display()));
        let policy = self.log_policy_file.as_deref().map(read).transpose()?;
        Keys::new(keys, Anchor::at(anchor), policy).map(Some).map_err(|error| refused(&error))
    }
}

/// The keys of a log in a file, one a line; demo keys are refused.
pub fn signing_keys(file: &Path) -> Result<Vec<SigningKey>, Error> {
    let refused = |error: &dyn fmt::Display| Error::internal(format!("{}: {error}", file.display()));
    let keys: Result<Vec<_>, _> = read(file)?.lines().map(SigningKey::from_skey).collect();
    let keys = keys.map_err(|error| refused(&error))?;
    if keys.iter().any(|key| key.verifier().name() == demo::LOG_ORIGIN) {
        return Err(refused(&"a demonstration's key signs no other log"));
    }
    Ok(keys)
}

/// Reads a configured file.
pub fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
}

/// Writes a secret into a new file that only its owner reads.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write_new(path, text, 0o600)
}

/// Makes a file that only its owner reads, or keeps others from one that is there.
pub fn keep_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let failed = |error| Error::internal(format!("{}: {error}", path.display()));
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)
}

/// Makes a directory that only its owner enters; one that is there stays as it is.
pub fn private_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::internal(format!("{}: {error}", path.display())))
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
