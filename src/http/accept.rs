//! `Accept`: whether a caller takes what a path has to offer (RFC 9110, 12.5.1).

use actix_web::HttpRequest;
use actix_web::http::header;

/// True if the header lets one of `offers` through. Without the header, or with an empty one, everything does; of the
/// ranges that match an offer the most exact one counts, and `q=0` excludes.
pub fn accepts<'a>(values: impl IntoIterator<Item = &'a str>, offers: &[&str]) -> bool {
    let values: Vec<&str> = values.into_iter().collect();
    let ranges: Vec<(&str, u32)> =
        values.iter().flat_map(|value| value.split(',')).filter_map(|part| range(part.trim())).collect();
    let silent = values.iter().all(|value| value.trim().is_empty());
    silent || offers.is_empty() || offers.iter().any(|offer| quality(&ranges, offer) > 0)
}

/// Which of `offers` a caller likes best, of several liked alike the first. The edge has refused whoever takes none.
pub fn preferred<'a>(request: &HttpRequest, offers: &[&'a str]) -> &'a str {
    let values = request.headers().get_all(header::ACCEPT).map(|value| value.to_str().unwrap_or_default());
    best(values, offers)
}

fn best<'a, 'v>(values: impl Iterator<Item = &'v str>, offers: &[&'a str]) -> &'a str {
    let ranges: Vec<(&str, u32)> =
        values.flat_map(|value| value.split(',')).filter_map(|part| range(part.trim())).collect();
    let liked = offers.iter().rev().max_by_key(|offer| quality(&ranges, offer));
    liked.copied().unwrap_or_default()
}

/// `text/html;level=1;q=0.5` as `text/html` and 500; other parameters tell nothing apart here.
fn range(part: &str) -> Option<(&str, u32)> {
    let mut pieces = part.split(';').map(str::trim);
    let media = pieces.next().filter(|media| media.contains('/'))?;
    let q = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
    Some((media, thousandths(q.unwrap_or("1"))))
}

/// A quality value `0.8` as 800; at most three digits count (RFC 9110, 12.4.2).
fn thousandths(q: &str) -> u32 {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().unwrap_or(0) * 1000 + fraction.parse::<u32>().unwrap_or(0)
}

fn quality(ranges: &[(&str, u32)], offer: &str) -> u32 {
    let kind = offer.split('/').next().unwrap_or_default();
    let any_of_kind = format!("{kind}/*");
    let of = |wanted: &str| {
        let matching = ranges.iter().filter(|(media, _)| media.eq_ignore_ascii_case(wanted));
        matching.map(|(_, quality)| *quality).max()
    };
    of(offer).or_else(|| of(&any_of_kind)).or_else(|| of("*/*")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_likes_best() {
        const OFFERS: &[&str] = &["application/json", "application/json-patch+json"];
        for (value, expected) in [
            ("", OFFERS[0]),
            ("*/*", OFFERS[0]),
            ("application/json-patch+json", OFFERS[1]),
            ("application/json-patch+json, application/json", OFFERS[0]),
            ("application/json;q=0.5, application/json-patch+json", OFFERS[1]),
            ("application/json-patch+json;q=0.2, */*;q=0.1", OFFERS[1]),
        ] {
            assert_eq!(best([value].into_iter(), OFFERS), expected, "{value}");
        }
    }

    #[test]
    fn what_a_caller_takes() {
        const JSON: &[&str] = &["application/json", "application/problem+json"];
        const METRICS: &[&str] = &["application/openmetrics-text"];
        const HTML: &[&str] = &["text/html"];
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (values, offers, expected) in [
            (vec![], JSON, true),
            (vec![""], JSON, true),
            (vec!["*/*"], JSON, true),
            (vec!["application/*"], JSON, true),
            (vec!["Application/JSON; charset=utf-8"], JSON, true),
            (vec!["application/problem+json"], JSON, true),
            (vec!["text/html", "application/json;q=0.1"], JSON, true),
            (vec!["text/html, application/json; q=0.001"], JSON, true),
            (vec![browser], JSON, true),
            (vec!["text/html"], JSON, false),
            (vec!["text/*"], JSON, false),
            (vec!["application/xml, text/html"], JSON, false),
            (vec!["garbage"], JSON, false),
            (vec!["*/*;q=0"], JSON, false),
            (vec!["application/json;q=0.0"], JSON, false),
            (vec!["application/json;q=0"], JSON, false),
            (vec!["application/json;q=0, application/problem+json;q=0, */*"], JSON, false),
            (vec!["application/*;q=0, */*"], JSON, false),
            (vec!["application/*;q=0, application/json"], JSON, true),
            (vec!["text/html;q=0, */*;q=0.1"], JSON, true),
            (vec![scraper], METRICS, true),
            (vec!["application/json"], METRICS, false),
            (vec!["text/plain"], METRICS, false),
            (vec![browser], HTML, true),
            (vec!["text/html"], HTML, true),
            (vec!["application/json"], HTML, false),
            (vec!["image/png"], &[], true),
        ] {
            assert_eq!(accepts(values.iter().copied(), offers), expected, "{values:?} of {offers:?}");
        }
    }
}
