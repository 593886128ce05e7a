//! The one place where time enters. Everything else gets it from a request's context.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, FixedOffset, NaiveDate};

/// Microseconds since 1 January 1970, UTC.
pub type Micros = i64;

/// Vietnam has kept UTC+7 without change since 1975; legal dates are civil dates there.
const VIETNAM_OFFSET_SECONDS: i32 = 7 * 3600;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970");
    i64::try_from(since.as_micros()).expect("the clock stands before the year 294000")
}

/// Measures how long something takes.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "the one clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Time that only moves forward, whatever happens to the clock on the wall: for ages and pauses, never for a record.
#[expect(clippy::disallowed_methods, reason = "the one clock")]
pub fn steady() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed() + passed()
}

/// Only tests say that time has passed.
#[cfg(not(test))]
const fn passed() -> Duration {
    Duration::ZERO
}

/// The civil date in Asia/Ho_Chi_Minh at `at`.
pub fn civil_date(at: Micros) -> NaiveDate {
    let offset = FixedOffset::east_opt(VIETNAM_OFFSET_SECONDS).expect("seven hours are an offset");
    DateTime::from_timestamp_micros(at).unwrap_or_default().with_timezone(&offset).date_naive()
}

/// RFC 3339 in UTC with exactly six digits: the form of times in leaves and answers.
pub fn rfc3339(at: Micros) -> String {
    DateTime::from_timestamp_micros(at).unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Reads an RFC 3339 time with any offset.
pub fn parse_rfc3339(text: &str) -> Option<Micros> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

#[cfg(test)]
use tests::passed;

/// Time that need not be waited for.
#[cfg(test)]
pub mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// So much steady time passes at once, for whatever runs on this test's own thread.
    pub fn pass(time: Duration) {
        PASSED.set(passed() + time);
    }

    pub(super) fn passed() -> Duration {
        PASSED.get()
    }

    #[test]
    fn time_passes_for_one_test_alone() {
        let before = steady();
        pass(Duration::from_secs(3600));
        assert!(steady() - before >= Duration::from_secs(3600));
        let elsewhere = std::thread::spawn(steady).join().unwrap();
        assert!(elsewhere < steady() - Duration::from_secs(3000));
    }

    #[test]
    fn the_civil_day_begins_at_seventeen_hours_utc() {
        let before = parse_rfc3339("2025-06-30T16:59:59.999999Z").unwrap();
        assert_eq!(civil_date(before).to_string(), "2025-06-30");
        assert_eq!(civil_date(before + 1).to_string(), "2025-07-01");
        assert_eq!(rfc3339(before + 1), "2025-06-30T17:00:00.000000Z");
    }
}
