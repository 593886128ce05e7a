//! Who is believed in a demonstration, and the tokens that its people get.

use std::time::Duration;

use crate::auth::keys::{DEMO_KID_PREFIX, Keys};
use crate::auth::sign::{Claims, SigningKey, thumbprint};
use crate::auth::token::Verifier;
use crate::clock::Micros;
use crate::error::Error;
use crate::id::new_id;

/// The issuer of demonstration tokens.
pub const ISSUER: &str = "https://demo.thidua.invalid";
/// Their audience.
pub const AUDIENCE: &str = "thidua-demo";
/// How long they last: 30 days, in the demonstration alone.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Signs tokens for people by name.
pub struct Signer {
    /// The key.
    pub key: SigningKey,
    /// The tokens' `iss`.
    pub issuer: String,
    /// The tokens' `aud`.
    pub audience: String,
    /// How long the tokens last.
    pub lifetime: Duration,
}

impl Signer {
    /// The signer of a demonstration with this private key.
    pub fn demo(pem: &str) -> Result<Self, Error> {
        let kid = format!("{DEMO_KID_PREFIX}{}", thumbprint(pem).map_err(Error::internal)?);
        let key = SigningKey::from_pem(pem, &kid).map_err(Error::internal)?;
        Ok(Self { key, issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), lifetime: LIFETIME })
    }

    /// Believes what this signer signs.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        Ok(Verifier {
            keys: Keys::from_jwks(&self.key.jwks()).map_err(Error::internal)?.into(),
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            max_lifetime: self.lifetime,
        })
    }

    /// A token for this person.
    pub fn token(&self, person: &str, now: Micros) -> Result<String, Error> {
        let iat = now / 1_000_000;
        let lifetime = i64::try_from(self.lifetime.as_secs()).map_err(Error::internal)?;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: person.to_owned(),
            iat,
            exp: iat + lifetime,
            jti: new_id().to_string(),
            sid: None,
        };
        self.key.sign(&claims).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_token_lasts_thirty_days_and_its_key_says_what_it_is() {
        let new = SigningKey::generate_demo().unwrap();
        let signer = Signer::demo(new.private_pem.expose()).unwrap();
        assert_eq!(signer.key.kid(), new.kid);
        let verifier = signer.verifier().unwrap();
        assert!(verifier.keys.current().unwrap().is_demo());
        let token = signer.token("auditor", 1_800_000_000_000_000).unwrap();
        let last_second = 1_800_000_000 + 30 * 24 * 3600 - 1;
        assert_eq!(verifier.verify(&token, last_second).unwrap().subject, "auditor");
        assert!(verifier.verify(&token, last_second + 60).is_err());
    }
}
