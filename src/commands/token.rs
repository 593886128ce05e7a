//! `thidua token`: a local key and tokens signed with it, for small installations.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::auth::keys::Keys;
use crate::auth::sign::{Claims, SigningKey, thumbprint};
use crate::clock::now;
use crate::config;
use crate::error::Error;
use crate::id::new_id;

/// Keys and tokens.
#[derive(Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Makes an Ed25519 key: the private part for `token sign`, the public part for `THIDUA_JWKS_FILE`.
    NewKey {
        /// Where the private key goes (PKCS#8 PEM); must not exist.
        #[arg(long)]
        private: PathBuf,
        /// Where the key set goes; must not exist.
        #[arg(long)]
        jwks: PathBuf,
    },
    /// Prints one key set with the keys of several: while keys are rotated, the old and the new one.
    KeySet {
        /// Key sets.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Signs a token and prints it; its `jti`, by which it can be revoked, goes to standard error.
    Sign {
        /// The private key.
        #[arg(long, env = "THIDUA_SIGNING_KEY_FILE")]
        private: PathBuf,
        /// The token's `iss`.
        #[arg(long, env = "THIDUA_ISSUER")]
        issuer: String,
        /// The token's `aud`.
        #[arg(long, env = "THIDUA_AUDIENCE")]
        audience: String,
        /// The token's `sub`.
        #[arg(long)]
        subject: String,
        /// The token's `sid`: a name by which all tokens of one session can be revoked together.
        #[arg(long)]
        session: Option<String>,
        /// Seconds until it expires.
        #[arg(long, default_value_t = 900)]
        lifetime: u32,
    },
}

/// Makes a key or a token.
pub fn run(args: &TokenArgs) -> Result<ExitCode, Error> {
    match &args.what {
        What::NewKey { private, jwks } => {
            let key = SigningKey::generate().map_err(Error::internal)?;
            config::write_new(private, key.private_pem.expose(), 0o600)?;
            config::write_new(jwks, &key.jwks, 0o644)?;
            super::say(format_args!("key {} written", key.kid))?;
        }
        What::KeySet { files } => super::say(key_set(files)?)?,
        What::Sign { private, issuer, audience, subject, session, lifetime } => {
            let pem = config::read(private)?;
            let kid = thumbprint(&pem).map_err(Error::internal)?;
            let key = SigningKey::from_pem(&pem, &kid).map_err(Error::internal)?;
            let iat = now() / 1_000_000;
            let claims = Claims {
                iss: issuer.clone(),
                aud: audience.clone(),
                sub: subject.clone(),
                iat,
                exp: iat + i64::from(*lifetime),
                jti: new_id().to_string(),
                sid: session.clone(),
            };
            eprintln!("jti {}", claims.jti);
            super::say(key.sign(&claims).map_err(Error::internal)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A set that says what `serve` will make of it: a key that it would drop is refused here.
fn key_set(files: &[PathBuf]) -> Result<String, Error> {
    let mut all = Vec::new();
    for file in files {
        let refused = |error: &dyn std::fmt::Display| Error::internal(format!("{}: {error}", file.display()));
        let set: Value = serde_json::from_str(&config::read(file)?).map_err(|error| refused(&error))?;
        let keys = set["keys"].as_array().ok_or_else(|| refused(&"is no key set"))?;
        all.extend(keys.iter().filter(|key| !all.contains(*key)).cloned().collect::<Vec<_>>());
    }
    let text = json!({ "keys": all }).to_string();
    match Keys::from_jwks(&text).map_err(Error::internal)?.dropped() {
        [] => Ok(text),
        [key, ..] => Err(Error::internal(format!("key {:?} cannot be used: {}", key.kid, key.reason))),
    }
}
