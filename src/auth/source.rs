//! Where a key set comes from: a file, or the issuer's URL. Every answer is read with suspicion: https alone, no
//! redirect, one host, so many bytes, so long.
//!
//! Never here: how long a key set may be used, and what a token says.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, Url, redirect};

use super::keys::{Keys, KeysError, MAX_KEY_SET_BYTES};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the whole answer may take, however slowly its bytes come.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the keys of an issuer are read.
#[derive(Debug)]
pub enum Source {
    /// A file, read again like any other source: a key is rotated by replacing it.
    File(PathBuf),
    /// The issuer's own publication.
    Url(Remote),
}

impl Source {
    /// The key set that stands there now; demonstration keys are refused.
    pub(super) async fn read(&self) -> Result<Keys, SourceError> {
        let text = match self {
            Self::File(path) => tokio::fs::read_to_string(path).await?,
            Self::Url(remote) => remote.fetch().await?,
        };
        let keys = Keys::from_jwks(&text)?;
        if keys.is_demo() { Err(SourceError::DemoKeys) } else { Ok(keys) }
    }
}

/// A key set behind a URL.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    url: Url,
}

/// What a URL may be, beyond https.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Nothing.
    Https,
    /// `http` to a loopback address as well: for tests on one machine.
    HttpOnLoopback,
}

/// Why there is no key set.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No URL at all.
    #[error("the URL of the key set cannot be read")]
    NotAUrl,
    /// Anybody between us and the issuer could send keys of their own.
    #[error("the URL of the key set must begin with https://")]
    NotHttps,
    /// Plain http leaves this machine.
    #[error("plain http is for a loopback address (127.0.0.1 or [::1]) alone, never for another host")]
    NotLoopback,
    /// A password in a URL ends in a log.
    #[error("the URL of the key set must not hold a user name or password")]
    Credentials,
    /// The client cannot be made, or a certificate cannot be read.
    #[error("no client for the key set's URL: {0}")]
    Client(String),
    /// No whole answer in time.
    #[error("the key set could not be fetched: {0}")]
    Unreachable(String),
    /// Another answer than 200; a redirect is one.
    #[error("the key set's URL answered {0}")]
    Status(u16),
    /// The answer is no text.
    #[error("the key set is not UTF-8")]
    NotText,
    /// The answer is no key set that can be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Whoever has seen the demonstration has their private half.
    #[error("demo keys are accepted by `thidua demo` alone")]
    DemoKeys,
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] std::io::Error),
}

impl Remote {
    /// A key set at `url`. `authority` is the PEM text of the only certificate authorities that are believed; without
    /// it, those of the operating system are.
    pub fn new(url: &str, authority: Option<&str>, transport: Transport) -> Result<Self, SourceError> {
        let url = checked(url, transport)?;
        let mut client = Client::builder()
            .https_only(url.scheme() == "https")
            .redirect(redirect::Policy::none())
            // What the environment names as a proxy would see, and could answer, a request to the loopback.
            .no_proxy()
            // A look is rare, and a connection belongs to the worker that made it.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FETCH_TIMEOUT);
        if let Some(pem) = authority {
            let authorities = Certificate::from_pem_bundle(pem.as_bytes()).map_err(client_error)?;
            if authorities.is_empty() {
                return Err(SourceError::Client("the file of certificate authorities holds none".to_owned()));
            }
            client = client.tls_certs_only(authorities);
        }
        Ok(Self { client: client.build().map_err(client_error)?, url })
    }

    async fn fetch(&self) -> Result<String, SourceError> {
        let mut response = self.client.get(self.url.clone()).send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(SourceError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            // Before it is kept, whatever Content-Length said.
            if body.len() + chunk.len() > MAX_KEY_SET_BYTES {
                return Err(KeysError::TooLarge.into());
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| SourceError::NotText)
    }
}

fn checked(url: &str, transport: Transport) -> Result<Url, SourceError> {
    let url = Url::parse(url).map_err(|_| SourceError::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SourceError::Credentials);
    }
    match (url.scheme(), transport) {
        ("https", _) => Ok(url),
        ("http", Transport::HttpOnLoopback) if is_loopback(&url) => Ok(url),
        ("http", Transport::HttpOnLoopback) => Err(SourceError::NotLoopback),
        _ => Err(SourceError::NotHttps),
    }
}

/// By address, since a name could be made to lead anywhere.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The innermost cause says what happened; the URL stands in the configuration, not in every line.
fn unreachable(error: reqwest::Error) -> SourceError {
    SourceError::Unreachable(innermost(&error.without_url()))
}

fn client_error(error: reqwest::Error) -> SourceError {
    SourceError::Client(innermost(&error))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_fetched_and_plain_http_from_this_very_machine_when_asked_for() {
        use Transport::{HttpOnLoopback, Https};
        for (url, transport, refusal) in [
            ("https://idp.example.vn/jwks", Https, None),
            ("https://127.0.0.1/jwks", Https, None),
            ("HTTPS://idp.example.vn:8443/jwks?x=1", Https, None),
            ("http://idp.example.vn/jwks", Https, Some("NotHttps")),
            ("http://127.0.0.1:8080/jwks", Https, Some("NotHttps")),
            ("http://127.0.0.1:8080/jwks", HttpOnLoopback, None),
            ("http://127.9.9.9/jwks", HttpOnLoopback, None),
            ("http://[::1]:8080/jwks", HttpOnLoopback, None),
            // The URL standard reads these as 127.0.0.1.
            ("http://2130706433/jwks", HttpOnLoopback, None),
            ("http://0x7f.1/jwks", HttpOnLoopback, None),
            ("https://idp.example.vn/jwks", HttpOnLoopback, None),
            ("http://idp.example.vn/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("http://localhost/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("http://127.0.0.1.example.vn/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("http://127.0.0.1@idp.example.vn/jwks", HttpOnLoopback, Some("Credentials")),
            ("http://169.254.169.254/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("http://0.0.0.0/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("http://[::ffff:127.0.0.1]/jwks", HttpOnLoopback, Some("NotLoopback")),
            ("https://user:secret@idp.example.vn/jwks", Https, Some("Credentials")),
            ("file:///etc/passwd", HttpOnLoopback, Some("NotHttps")),
            ("data:application/json,{}", Https, Some("NotHttps")),
            ("idp.example.vn/jwks", Https, Some("NotAUrl")),
            ("", Https, Some("NotAUrl")),
        ] {
            let error = checked(url, transport).err().map(|error| format!("{error:?}"));
            assert_eq!(error.as_deref(), refusal, "{url}");
        }
    }

    #[test]
    fn a_file_of_authorities_without_one_is_refused() {
        for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let remote = Remote::new("https://idp.example.vn/jwks", Some(pem), Transport::Https);
            assert!(matches!(remote, Err(SourceError::Client(_))), "{pem}: {remote:?}");
        }
    }
}
