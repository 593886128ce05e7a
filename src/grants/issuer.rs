//! What an issuer looks like. It stands in events as it is, so nothing but an address fits in: RFC 8414 asks for an
//! `https` URL without query and fragment; on one's own machine `http` will do. Pure.

/// The longest issuer, in characters.
pub const LONGEST: usize = 255;

/// True for the URL of an issuer.
pub fn is_issuer(text: &str) -> bool {
    let (rest, local) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return false,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    text.len() <= LONGEST
        && if local { is_here(host) } else { is_host(host) }
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && path.chars().all(plain)
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    // The colons of an IPv6 address stand in brackets.
    let end = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[end..].find(':') {
        Some(colon) => (&authority[..end + colon], Some(&authority[end + colon + 1..])),
        None => (authority, None),
    }
}

/// The machine that the service runs on.
fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    is_here(host) || host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_address_and_nothing_else() {
        for issuer in [
            "https://idp.example.vn",
            "https://idp.example.vn/",
            "https://idp.example.vn:8443/realms/thi-dua_2",
            "https://login.example.com/7c2f0f7e-1f0b-4a34-8d38-7d7a1f6f3b1a/v2.0",
            "https://demo.thidua.invalid",
            "http://localhost:8080/realms/x",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
        ] {
            assert!(is_issuer(issuer), "{issuer}");
        }
        for other in [
            "",
            "Nguyễn Thị Hoa 0912345678",
            "idp.example.vn",
            "ftp://idp.example.vn",
            "http://idp.example.vn",
            "https://",
            "https:///realms",
            "https://hoa@idp.example.vn",
            "https://idp.example.vn?hoa",
            "https://idp.example.vn#hoa",
            "https://idp.example.vn/Nguyễn",
            "https://idp.example.vn/nguyen thi hoa",
            "https://idp.example.vn/nguyen%20thi%20hoa",
            "https://idp..example.vn",
            "https://-idp.example.vn",
            "https://idp.example.vn:",
            "https://idp.example.vn:0",
            "https://idp.example.vn:99999",
            "https://idp.example.vn\n",
            " https://idp.example.vn",
        ] {
            assert!(!is_issuer(other), "{other}");
        }
        let longest = format!("https://idp.example.vn/{}", "x".repeat(LONGEST));
        assert!(is_issuer(&longest[..LONGEST]) && !is_issuer(&longest[..=LONGEST]));
    }
}
