//! How much one request, one caller and one address may ask for.
//!
//! Rates are counted by each process for itself (GCRA, in memory): several replicas allow several times as much, which
//! is enough to keep one caller from crowding out the others. A shared quota belongs to the gateway.

use std::any::Any;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use actix_web::rt::net::TcpStream;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use socket2::SockRef;
use uuid::Uuid;

use crate::error::{Code, Error, Fault};

/// The longest path with its query, in bytes.
pub const URI: usize = 8 * 1024;
/// The most that all header lines of a request may take, in bytes; a token alone may have 8 KiB.
pub const HEADERS: usize = 32 * 1024;

/// Whoever takes nothing of an answer for so long is not listening any more.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Lets the system end a connection whose other side takes nothing: an answer that is sent bit by bit, perhaps for ever,
/// would otherwise wait for it for ever.
pub fn forget_the_deaf(io: &dyn Any) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(PATIENCE)) {
        tracing::debug!(%error, "a connection without a limit");
    }
}

/// Rates are given for this long, in seconds.
const WINDOW: u32 = 60;

/// What this process allows.
pub struct Limits {
    /// How long a body may take to arrive.
    pub body: Duration,
    /// How long a request may take altogether.
    pub request: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
    /// Origins of pages whose scripts may call, spelt exactly.
    pub origins: Vec<String>,
    /// How often.
    pub rates: Rates,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(10),
            request: Duration::from_secs(30),
            proxies: Vec::new(),
            origins: Vec::new(),
            rates: Rates::default(),
        }
    }
}

/// How many requests a minute; any number by default.
#[derive(Default)]
pub struct Rates {
    per_address: Option<Rate<IpAddr>>,
    per_caller: Option<Rate<Uuid>>,
}

impl Rates {
    /// These many a minute, from each address and by each caller; 0 is any number.
    pub fn new(per_address: u32, per_caller: u32) -> Self {
        Self {
            per_address: NonZeroU32::new(per_address).map(|most| Rate::new("address", most)),
            per_caller: NonZeroU32::new(per_caller).map(|most| Rate::new("caller", most)),
        }
    }

    /// Counts a request of this address; asked before anything else costs something.
    pub fn address(&self, address: Option<IpAddr>) -> Option<Share> {
        Some(self.per_address.as_ref()?.count(&address?))
    }

    /// Counts a request of this account.
    pub fn caller(&self, account: Uuid) -> Option<Share> {
        Some(self.per_caller.as_ref()?.count(&account))
    }

    /// Forgets whoever has not asked for a while.
    pub fn forget(&self) {
        if let Some(rate) = &self.per_address {
            rate.limiter.retain_recent();
        }
        if let Some(rate) = &self.per_caller {
            rate.limiter.retain_recent();
        }
    }
}

struct Rate<K: Clone + Eq + Hash> {
    name: &'static str,
    most: NonZeroU32,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
}

impl<K: Clone + Eq + Hash> Rate<K> {
    fn new(name: &'static str, most: NonZeroU32) -> Self {
        let limiter = RateLimiter::dashmap(Quota::per_minute(most));
        Self { name, most, limiter: limiter.with_middleware::<StateInformationMiddleware>() }
    }

    fn count(&self, key: &K) -> Share {
        let (left, wait) = match self.limiter.check_key(key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => (0, Some(until.wait_time_from(self.limiter.clock().now()))),
        };
        Share { name: self.name, most: self.most.get(), left, wait }
    }
}

/// What is left of a rate after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    name: &'static str,
    most: u32,
    left: u32,
    /// Set if the request was one too many: when the next one is allowed.
    wait: Option<Duration>,
}

impl Share {
    /// 429 if the request was one too many.
    pub fn allow(&self) -> Result<(), Error> {
        match self.wait {
            None => Ok(()),
            Some(wait) => {
                let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
                Err(Error::new(Code::TooManyRequests).member("retry_after_s", seconds))
            }
        }
    }

    /// `RateLimit-Policy`: how many requests in how many seconds.
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={WINDOW}", self.name, self.most)
    }

    /// `RateLimit`: how many are left, and the seconds until all of them are there again.
    pub fn state(&self) -> String {
        let used = u64::from(self.most - self.left.min(self.most));
        let full = (used * u64::from(WINDOW)).div_ceil(u64::from(self.most));
        format!("\"{}\";r={};t={full}", self.name, self.left)
    }
}

/// Refuses a request whose first lines are longer than anybody needs.
pub fn size(request: &ServiceRequest) -> Result<(), Error> {
    if request.head().uri.to_string().len() > URI {
        return Err(Error::new(Code::UriTooLong));
    }
    let length: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if length > HEADERS { Err(Error::new(Code::HeadersTooLarge)) } else { Ok(()) }
}

/// The address that a request comes from: the connection's, or behind trusted proxies what the last of them that is
/// not trusted itself was seen as. Whatever stands further left in `X-Forwarded-For` anybody may have written.
pub fn client_address(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[IpNet]) -> Result<Option<IpAddr>, Error> {
    let trusted = |address: &IpAddr| proxies.iter().any(|net| net.contains(&address.to_canonical()));
    let Some(mut address) = peer else { return Ok(None) };
    if !trusted(&address) {
        return Ok(Some(address));
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or("?")).collect();
    for hop in lines.join(",").rsplit(',').map(str::trim).filter(|hop| !hop.is_empty()) {
        address = hop.parse().map_err(|_| {
            let (vi, en) = ("không phải danh sách địa chỉ IP", "is no list of IP addresses");
            Error::at(Code::InvalidHeader, Fault::new("header/X-Forwarded-For", vi, en))
        })?;
        if !trusted(&address) {
            break;
        }
    }
    Ok(Some(address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[actix_web::test]
    async fn the_system_ends_a_connection_whose_other_side_takes_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (served, _) = listener.accept().unwrap();
        served.set_nonblocking(true).unwrap();
        let served = TcpStream::from_std(served).unwrap();
        forget_the_deaf(&served);
        let limit = SockRef::from(&served).tcp_user_timeout().unwrap();
        assert_eq!(limit, Some(Duration::from_secs(30)), "as the contract says of those who follow");
    }

    #[test]
    fn one_too_many_is_refused_and_others_are_not() {
        let limits = Rates::new(0, 3);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let states: Vec<String> = (0..3).map(|_| limits.caller(one).unwrap().state()).collect();
        assert_eq!(states, ["\"caller\";r=2;t=20", "\"caller\";r=1;t=40", "\"caller\";r=0;t=60"]);
        let refused = limits.caller(one).unwrap();
        assert_eq!(refused.policy(), "\"caller\";q=3;w=60");
        let error = refused.allow().unwrap_err();
        assert_eq!(error.code, Code::TooManyRequests);
        let seconds = error.extra["retry_after_s"].as_u64().unwrap();
        assert!((1..=20).contains(&seconds), "{seconds}");
        assert!(limits.caller(other).unwrap().allow().is_ok());
        assert!(limits.address(Some([10, 0, 0, 1].into())).is_none(), "0 is any number");
        limits.forget();
        assert!(limits.caller(one).unwrap().allow().is_err(), "whoever asked just now is not forgotten");
    }

    #[test]
    fn an_address_is_believed_only_from_a_trusted_proxy() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let address = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
            }
            let found = client_address(Some(peer.parse().unwrap()), &headers, &proxies);
            found.map(|address| address.unwrap().to_string()).map_err(|error| error.code)
        };
        for (peer, forwarded, expected) in [
            ("203.0.113.9", vec![], "203.0.113.9"),
            ("203.0.113.9", vec!["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["10.0.0.3"], "10.0.0.3"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::1", vec!["2001:db8::7"], "2001:db8::7"),
        ] {
            assert_eq!(address(peer, &forwarded).as_deref(), Ok(expected), "{peer} {forwarded:?}");
        }
        assert_eq!(address("10.0.0.1", &["unknown"]), Err(Code::InvalidHeader));
        assert_eq!(address("203.0.113.9", &["unknown"]).as_deref(), Ok("203.0.113.9"), "not even read");
    }
}
