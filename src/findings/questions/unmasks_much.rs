//! Accounts that had many personal values shown to them in a short time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use super::{Question, Watch};
use crate::clock::{Micros, rfc3339};
use crate::findings::{Event, EventRef, Finding, Known, Said, Severity};

/// More than so many within [`HOURS`] are much.
const MANY: usize = 20;
/// The length of the window.
const HOURS: i64 = 24;
/// A finding names so many events at most; it counts them all.
const SHOWN: usize = 200;

const WINDOW: Micros = HOURS * 3_600 * 1_000_000;

/// The question.
pub const QUESTION: Question = Question {
    id: "unmasks_much",
    title: ["Mở xem nhiều thông tin cá nhân", "Unmasks much"],
    explanation: || {
        Said::new(
            format!(
                "Một tài khoản mở xem thông tin cá nhân hơn {MANY} lần trong {HOURS} giờ bất kỳ. Mỗi đợt liên tục là một \
                 phát hiện, nêu tối đa {SHOWN} sự kiện đầu."
            ),
            format!(
                "An account had personal values unmasked more than {MANY} times within any {HOURS} hours. Each unbroken \
                 stretch is one finding, which names its first {SHOWN} events at most."
            ),
        )
    },
    watch: || Box::new(Unmasking::default()),
};

/// An unbroken stretch in which the window held too many.
#[derive(Clone)]
struct Stretch {
    first: Micros,
    last: Micros,
    count: usize,
    events: Vec<EventRef>,
    purposes: BTreeSet<String>,
}

#[derive(Default)]
struct Window {
    seen: VecDeque<(Micros, EventRef, Option<String>)>,
    stretch: Option<Stretch>,
}

#[derive(Default)]
struct Unmasking {
    accounts: BTreeMap<Uuid, Window>,
    found: Vec<Finding>,
}

impl Window {
    /// Takes in a disclosure; a stretch that it ends.
    fn take(&mut self, event: &Event) -> Option<Stretch> {
        while self.seen.front().is_some_and(|(at, ..)| at + WINDOW <= event.at) {
            self.seen.pop_front();
        }
        self.seen.push_back((event.at, event.named(), event.text("purpose").map(str::to_owned)));
        if self.seen.len() <= MANY {
            return self.stretch.take();
        }
        match &mut self.stretch {
            Some(stretch) => stretch.add(event.at, event.named(), event.text("purpose")),
            None => {
                let first = self.seen.front().map_or(event.at, |(at, ..)| *at);
                let mut stretch =
                    Stretch { first, last: event.at, count: 0, events: Vec::new(), purposes: BTreeSet::new() };
                for (at, event, purpose) in &self.seen {
                    stretch.add(*at, event.clone(), purpose.as_deref());
                }
                self.stretch = Some(stretch);
            }
        }
        None
    }
}

impl Stretch {
    fn add(&mut self, at: Micros, event: EventRef, purpose: Option<&str>) {
        self.last = at;
        self.count += 1;
        if self.events.len() < SHOWN {
            self.events.push(event);
        }
        // Purposes are words of a closed list.
        self.purposes.extend(purpose.map(str::to_owned));
    }

    fn finding(self, account: Uuid) -> Finding {
        let (count, first, last) = (self.count, rfc3339(self.first), rfc3339(self.last));
        let purposes: Vec<String> = self.purposes.into_iter().collect();
        let purposes = purposes.join(", ");
        let text = Said::new(
            format!("Tài khoản {account} mở xem thông tin cá nhân {count} lần từ {first} đến {last} (mục đích: {purposes})."),
            format!("Account {account} had personal values unmasked {count} times from {first} to {last} (purposes: {purposes})."),
        );
        Finding::new(QUESTION.id, Severity::Serious, None, text).by([account]).shown_by(self.events)
    }
}

impl Watch for Unmasking {
    fn see(&mut self, event: &Event, _: &Known) {
        if event.kind != "disclosure.made" {
            return;
        }
        let Some(account) = event.new_id("account_id").or(event.actor) else { return };
        let ended = self.accounts.entry(account).or_default().take(event);
        self.found.extend(ended.map(|stretch| stretch.finding(account)));
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        let open = |(account, window): (&Uuid, &Window)| Some(window.stretch.clone()?.finding(*account));
        self.found.iter().cloned().chain(self.accounts.iter().filter_map(open)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Log, X, Y};
    use super::*;

    /// So many disclosures to each account, one every so many minutes.
    fn log(accounts: &[Uuid], count: usize, minutes: i64) -> Log {
        (0..count).fold(Log::default(), |log, n| {
            let start = 1_700_000_000_000_000;
            let at = rfc3339(start + i64::try_from(n).unwrap() * minutes * 60_000_000);
            let said = |who: Uuid| {
                json!({ "account_id": [null, who], "event_id": [null, Uuid::from_u128(7)], "purpose": [null, "audit"] })
            };
            accounts.iter().fold(log, |log, who| log.at(&at, "disclosure.made", n as u128, *who, said(*who)))
        })
    }

    #[test]
    fn more_than_twenty_within_a_day_are_much() {
        let found = log(&[X], 21, 60).asked(&QUESTION, Known::default());
        assert_eq!((found.len(), found[0].events.len(), found[0].accounts.as_slice()), (1, 21, &[X][..]));
        assert!(found[0].text.en.contains("21 times") && found[0].text.en.contains("purposes: audit"), "{found:?}");
        for (accounts, count, minutes, why) in [
            (&[X][..], 20, 1, "twenty are not more than twenty"),
            (&[X][..], 100, 72, "twenty a day, every day"),
            (&[X, Y][..], 20, 1, "two people"),
        ] {
            assert_eq!(log(accounts, count, minutes).asked(&QUESTION, Known::default()), [], "{why}");
        }
    }

    #[test]
    fn a_long_stretch_is_one_finding_that_counts_all() {
        let found = log(&[X], 500, 1).asked(&QUESTION, Known::default());
        assert_eq!((found.len(), found[0].events.len()), (1, SHOWN));
        assert!(found[0].text.en.contains("500 times"), "{}", found[0].text.en);
    }
}
