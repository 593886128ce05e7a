//! Pages: `{items, next_cursor, prev_cursor}` and `Link`, by keyset on the record's id.
//!
//! Ids are UUIDv7, so the order is that of creation, and the same on both engines. What is found by name is in the order
//! of names first; they are compared by bytes, so that order is the same on both engines too. A cursor is signed: it
//! names a place, the direction, and the filters that it was made for, and gives no rights; the scope is applied anew to
//! every page.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::canonical::sha256;
use crate::error::{Code, Error, Fault};

/// Items per page when the caller does not say.
pub const DEFAULT_LIMIT: u64 = 50;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The records: oldest first, or in Vietnamese order where a name was looked for.
    #[schema(max_items = 200)]
    pub items: Vec<T>,
    /// Continue after the last item; null at the end.
    #[schema(max_length = 1000)]
    pub next_cursor: Option<String>,
    /// Go back before the first item; null at the beginning.
    #[schema(max_length = 1000)]
    pub prev_cursor: Option<String>,
}

/// Where a record stands in its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The sort key of its name; empty in the order of creation. In the log, the position at which a read was frozen.
    pub name: Vec<u8>,
    /// The record.
    pub id: Uuid,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the first record.
    Start,
    /// After this record.
    After(Key),
    /// Before this record.
    Before(Key),
}

/// A page that a store is asked for.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Where it begins.
    pub place: Place,
    /// The most items that it may have.
    pub limit: u64,
    /// Words that begin a word of a record's names each; such a page is in the order of names. Empty: every record.
    pub words: Vec<String>,
}

/// Items in ascending order and whether more lie beyond them in the direction of travel.
pub struct Found<T> {
    /// The items.
    pub items: Vec<T>,
    /// True if there are more.
    pub more: bool,
    /// The sort keys of the first and the last item, if the order is that of names.
    pub ends: Option<[Vec<u8>; 2]>,
}

/// Signs and reads cursors.
pub struct Cursors(hmac::Key);

const TAG: usize = 16;

impl Cursors {
    /// With the instance's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The slice that a caller asked for. `filters` is the query without cursor and limit.
    pub fn slice(&self, cursor: Option<&str>, limit: Option<u64>, filters: &str) -> Result<Slice, Error> {
        self.slice_at("query/cursor", cursor, limit, filters)
    }

    /// As [`slice`](Self::slice), for a cursor that stands in another place of the request.
    pub fn slice_at(
        &self,
        pointer: &'static str,
        cursor: Option<&str>,
        limit: Option<u64>,
        filters: &str,
    ) -> Result<Slice, Error> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let place = match cursor {
            None => Place::Start,
            Some(cursor) => self.read(cursor, filters).ok_or_else(|| {
                let fault = Fault::new(pointer, "không phải con trỏ của danh sách này", "is no cursor of this list");
                Error::at(Code::InvalidCursor, fault)
            })?,
        };
        Ok(Slice { place, limit, words: Vec::new() })
    }

    /// The page with its cursors.
    pub fn page<R, T>(
        &self,
        slice: &Slice,
        filters: &str,
        found: Found<R>,
        id: impl Fn(&R) -> Uuid,
        view: impl FnMut(R) -> T,
    ) -> Page<T> {
        let [first_name, last_name] = found.ends.unwrap_or_default();
        let first = found.items.first().map(|first| Key { name: first_name, id: id(first) });
        let last = found.items.last().map(|last| Key { name: last_name, id: id(last) });
        let backwards = matches!(slice.place, Place::Before(_));
        let has_next = if backwards { true } else { found.more };
        let has_prev = if backwards { found.more } else { slice.place != Place::Start };
        Page {
            next_cursor: last.filter(|_| has_next).map(|last| self.write(&last, false, filters)),
            prev_cursor: first.filter(|_| has_prev).map(|first| self.write(&first, true, filters)),
            items: found.items.into_iter().map(view).collect(),
        }
    }

    /// A cursor that continues after this place.
    pub fn after(&self, key: &Key, filters: &str) -> String {
        self.write(key, false, filters)
    }

    /// A cursor that goes back from this place.
    pub fn before(&self, key: &Key, filters: &str) -> String {
        self.write(key, true, filters)
    }

    fn write(&self, key: &Key, back: bool, filters: &str) -> String {
        let mut bytes = key.id.as_bytes().to_vec();
        bytes.push(u8::from(back));
        bytes.extend_from_slice(&key.name);
        let tag = self.tag(&bytes, filters);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, cursor: &str, filters: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(payload, filters), tag).ok()?;
        let (id, rest) = payload.split_at_checked(16)?;
        let (back, name) = rest.split_first()?;
        let key = Key { name: name.to_vec(), id: Uuid::from_slice(id).ok()? };
        Some(if *back == 1 { Place::Before(key) } else { Place::After(key) })
    }

    fn tag(&self, payload: &[u8], filters: &str) -> [u8; TAG] {
        let mut message = payload.to_vec();
        message.extend_from_slice(&sha256(filters.as_bytes()));
        let tag = hmac::sign(&self.0, &message);
        let mut short = [0; TAG];
        short.copy_from_slice(&tag.as_ref()[..TAG]);
        short
    }
}

/// What says which page, up to where, and how long to wait for it.
const PAGING: [&str; 4] = ["cursor=", "limit=", "upto=", "wait="];

/// The query string without the members that say which page.
pub fn filters(query: &str) -> String {
    let mut parts: Vec<&str> =
        query.split('&').filter(|part| !part.is_empty() && !PAGING.iter().any(|name| part.starts_with(name))).collect();
    parts.sort_unstable();
    parts.join("&")
}

/// The `Link` header of a page (RFC 8288).
pub fn link(path: &str, query: &str, next: Option<&str>, prev: Option<&str>) -> Option<String> {
    let base: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor=")).collect();
    let entry = |cursor: &str, rel: &str| {
        let cursor = format!("cursor={cursor}");
        let query = base.iter().copied().chain([cursor.as_str()]).collect::<Vec<_>>().join("&");
        format!("<{path}?{query}>; rel=\"{rel}\"")
    };
    let links: Vec<String> = next.map(|c| entry(c, "next")).into_iter().chain(prev.map(|c| entry(c, "prev"))).collect();
    (!links.is_empty()).then(|| links.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_works_for_its_own_list_only() {
        let cursors = Cursors::new(&[7; 32]);
        let key = Key { name: vec![7, 0, 255], id: Uuid::nil() };
        let cursor = cursors.write(&key, false, "state=draft");
        let place = |text: &str, filters: &str| cursors.slice(Some(text), None, filters).map(|slice| slice.place);
        assert_eq!(place(&cursor, "state=draft").unwrap(), Place::After(key.clone()));
        assert_eq!(place(&cursors.write(&key, true, ""), "").unwrap(), Place::Before(key));
        assert!(place("", "state=draft").is_err());
        assert!(place(&cursor, "state=accepted").is_err());
        assert!(place("AAAA", "state=draft").is_err());
        assert!(Cursors::new(&[8; 32]).slice(Some(&cursor), None, "state=draft").is_err());
    }

    #[test]
    fn links_keep_the_filters() {
        let link = link("/v1/units", "kind=village&cursor=old&limit=2", Some("n"), Some("p")).unwrap();
        assert_eq!(
            link,
            "</v1/units?kind=village&limit=2&cursor=n>; rel=\"next\", </v1/units?kind=village&limit=2&cursor=p>; rel=\"prev\""
        );
    }
}
