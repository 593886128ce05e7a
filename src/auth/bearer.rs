//! Taking the access token out of a request's `Authorization` headers (RFC 6750, 2.1).
//!
//! Never here: what the token says, and the HTTP answer. A caller of this function answers 400
//! to [`BearerError`] and 401 to an absent token; it reads no token from a query or a body.

/// Why the `Authorization` headers of a request are not one bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// More than one header: two readers could take a different one.
    #[error("the Authorization header occurs more than once")]
    SeveralHeaders,
    /// Bytes outside printable ASCII.
    #[error("the Authorization header holds other bytes than printable ASCII")]
    NotAscii,
    /// Basic, Digest or something else.
    #[error("the Authorization scheme is not Bearer")]
    WrongScheme,
    /// No token after the scheme, several tokens, or characters that no token has.
    #[error("the Authorization header does not hold exactly one bearer token")]
    NotOneToken,
}

impl BearerError {
    /// A stable name for the log and for the answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::SeveralHeaders => "authorization_several_headers",
            Self::NotAscii => "authorization_not_ascii",
            Self::WrongScheme => "authorization_wrong_scheme",
            Self::NotOneToken => "authorization_not_one_token",
        }
    }
}

/// The bearer token among the values of all `Authorization` headers of one request.
pub fn bearer<'v>(values: &[&'v [u8]]) -> Result<Option<&'v str>, BearerError> {
    let value = match values {
        [] => return Ok(None),
        [value] => *value,
        _ => return Err(BearerError::SeveralHeaders),
    };
    if !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(BearerError::NotAscii);
    }
    let value = std::str::from_utf8(value).map_err(|_| BearerError::NotAscii)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::WrongScheme);
    }
    let token = rest.trim_start_matches(' ');
    if is_token68(token) { Ok(Some(token)) } else { Err(BearerError::NotOneToken) }
}

/// The grammar of RFC 6750 and RFC 9110. It has neither comma nor space, so several tokens joined
/// by either are not one token.
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTROL: &[u8] = b"Bearer aaa.bbb.ccc";

    #[test]
    fn one_token_is_taken_whatever_the_case_of_the_scheme() {
        let accepted: &[&[u8]] = &[CONTROL, b"bearer aaa.bbb.ccc", b"BEARER aaa.bbb.ccc", b"Bearer   aaa.bbb.ccc"];
        for value in accepted {
            assert_eq!(bearer(&[value]), Ok(Some("aaa.bbb.ccc")), "{value:?}");
        }
        assert_eq!(bearer(&[b"Bearer a-._~+/=="]), Ok(Some("a-._~+/==")));
    }

    #[test]
    fn no_header_is_no_token_and_no_error() {
        assert_eq!(bearer(&[]), Ok(None));
    }

    #[test]
    fn two_headers_are_refused_even_when_they_are_equal() {
        assert_eq!(bearer(&[CONTROL]), Ok(Some("aaa.bbb.ccc")));
        assert_eq!(bearer(&[CONTROL, CONTROL]), Err(BearerError::SeveralHeaders));
        assert_eq!(bearer(&[CONTROL, b"Basic eDp5"]), Err(BearerError::SeveralHeaders));
        assert_eq!(bearer(&[CONTROL, b""]), Err(BearerError::SeveralHeaders));
    }

    #[test]
    fn what_is_not_exactly_one_bearer_token_is_refused() {
        use BearerError::{NotAscii, NotOneToken, WrongScheme};
        let table: &[(&str, &[u8], BearerError)] = &[
            ("comma-joined headers", b"Bearer aaa.bbb.ccc, Bearer ddd.eee.fff", NotOneToken),
            ("comma-joined tokens", b"Bearer aaa.bbb.ccc,ddd.eee.fff", NotOneToken),
            ("two tokens", b"Bearer aaa.bbb.ccc ddd.eee.fff", NotOneToken),
            ("scheme twice", b"Bearer Bearer aaa.bbb.ccc", NotOneToken),
            ("trailing space", b"Bearer aaa.bbb.ccc ", NotOneToken),
            ("quoted", b"Bearer \"aaa.bbb.ccc\"", NotOneToken),
            ("parameter", b"Bearer token=aaa.bbb.ccc", NotOneToken),
            ("padding inside", b"Bearer aaa=.bbb.ccc", NotOneToken),
            ("percent-encoded", b"Bearer aaa%2Ebbb", NotOneToken),
            ("scheme alone", b"Bearer", NotOneToken),
            ("scheme and spaces", b"Bearer   ", NotOneToken),
            ("only padding", b"Bearer ==", NotOneToken),
            ("empty", b"", WrongScheme),
            ("leading space", b" Bearer aaa.bbb.ccc", WrongScheme),
            ("basic", b"Basic dXNlcjpwYXNz", WrongScheme),
            ("longer scheme", b"Bearers aaa.bbb.ccc", WrongScheme),
            ("no scheme", b"aaa.bbb.ccc", WrongScheme),
            ("colon after scheme", b"Bearer: aaa.bbb.ccc", WrongScheme),
            ("tab", b"Bearer\taaa.bbb.ccc", NotAscii),
            ("newline", b"Bearer aaa.bbb.ccc\r\nX: y", NotAscii),
            ("nul", b"Bearer aaa.bbb.ccc\0", NotAscii),
            ("utf-8", "Bearer đ.bbb.ccc".as_bytes(), NotAscii),
            ("latin-1", b"Bearer \xe9.bbb.ccc", NotAscii),
            ("no-break space", "Bearer\u{a0}aaa.bbb.ccc".as_bytes(), NotAscii),
        ];
        for (name, value, error) in table {
            assert_eq!(bearer(&[CONTROL]), Ok(Some("aaa.bbb.ccc")), "control of {name}");
            assert_eq!(bearer(&[value]), Err(*error), "{name}");
        }
    }
}
