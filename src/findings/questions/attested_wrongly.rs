//! An attestation by the subject, or by a unit that did not hold the body on that day. Judged by the campaign, the units
//! and the accepted help as they stood when it was given, with the function by which the service itself finds the holder.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Question, Watch};
use crate::attestations::holder::{Asked, asks_receiver, holder};
use crate::auth::Role;
use crate::findings::{Event, EventRef, Finding, Known, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "attested_wrongly",
    title: ["Xác nhận sai thẩm quyền", "Attested without standing"],
    explanation: || {
        Said::new(
            "Xác nhận do chính đối tượng (hoặc người đứng đầu của đối tượng) đưa ra, hoặc do một đơn vị không giữ vai trò \
             xác nhận vào ngày đó theo tệp phong trào khi ấy; nơi đơn vị nhận hỗ trợ trả lời thì do đơn vị chưa được ghi \
             nhận là đã nhận. Phần mềm từ chối việc này.",
            "The subject (or a head of it) attested about itself, or a unit attested that did not hold the body on that day \
             by the campaign as it stood then; where the receiving unit answers, one that no accepted activity says was \
             helped. The service refuses this.",
        )
    },
    watch: || Box::new(Attesting::default()),
};

/// What an activity says of help.
#[derive(Default)]
struct Help {
    campaign: Option<Uuid>,
    unit: Option<Uuid>,
    givers: Vec<Uuid>,
    receiver: Option<Uuid>,
    held_on: Option<NaiveDate>,
    accepted: bool,
}

/// A grant that makes an account head of a unit.
struct Head {
    account: Option<Uuid>,
    unit: Option<Uuid>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    given: EventRef,
}

#[derive(Default)]
struct Attesting {
    help: BTreeMap<Uuid, Help>,
    heads: BTreeMap<Uuid, Head>,
    found: Vec<Finding>,
}

/// What an attestation says.
struct Given {
    campaign: Uuid,
    subject: Uuid,
    attester: Uuid,
    body: String,
    day: NaiveDate,
}

impl Given {
    fn of(event: &Event) -> Option<Self> {
        Some(Self {
            campaign: event.new_id("campaign_id")?,
            subject: event.new_id("unit_id")?,
            attester: event.new_id("attester_unit")?,
            body: event.text("body")?.to_owned(),
            day: event.date("attested_on")?,
        })
    }
}

impl Help {
    fn take(&mut self, event: &Event) {
        self.unit = event.new_id("unit_id").or(self.unit);
        self.campaign = event.new_id("campaign_id").or(self.campaign);
        self.held_on = event.date("held_on").or(self.held_on);
        if event.changed("receiving_unit") {
            self.receiver = event.new_id("receiving_unit");
        }
        if let Some(lines) = event.became("resources").as_array() {
            let giver = |line: &serde_json::Value| line["giver_unit"].as_str().and_then(|id| Uuid::parse_str(id).ok());
            self.givers = lines.iter().filter_map(giver).collect();
        }
        if let Some(state) = event.text("state") {
            self.accepted = state == "accepted";
        }
    }

    /// Whom the subject helped by then.
    fn receiver(&self, given: &Given) -> Option<Uuid> {
        let by_subject = self.unit == Some(given.subject) || self.givers.contains(&given.subject);
        let in_time = self.held_on.is_some_and(|day| day <= given.day);
        self.receiver.filter(|_| by_subject && in_time && self.accepted && self.campaign == Some(given.campaign))
    }
}

impl Attesting {
    fn head(&mut self, event: &Event) {
        if let Some(head) = self.heads.get_mut(&event.record) {
            if event.changed("valid_to") {
                head.to = event.date("valid_to");
            }
        } else if event.text("role") == Some(Role::UnitHead.as_str()) {
            let head = Head {
                account: event.new_id("account_id"),
                unit: event.new_id("unit_id"),
                from: event.date("valid_from"),
                to: event.date("valid_to"),
                given: event.named(),
            };
            self.heads.insert(event.record, head);
        }
    }

    /// The grant by which whoever attested was head of the subject.
    fn head_of(&self, given: &Given, event: &Event) -> Option<&Head> {
        let (hands, today) = (event.hands("attested_by"), event.day());
        self.heads.values().find(|head| {
            head.unit == Some(given.subject)
                && head.account.is_some_and(|account| hands.contains(&account))
                && head.from.is_none_or(|from| from <= today)
                && head.to.is_none_or(|to| today <= to)
        })
    }

    /// True if the attester holds the body about the subject that day.
    fn holds(&self, given: &Given, known: &Known) -> bool {
        let Some(definition) = known.campaigns.get(&given.campaign) else { return false };
        let holds = |receiving: Option<Uuid>| {
            let asked = Asked { subject: given.subject, day: given.day, receiving };
            holder(definition, known.lineage(), &given.body, asked) == Some(given.attester)
        };
        match asks_receiver(definition, &given.body) {
            true => self.help.values().filter_map(|help| help.receiver(given)).any(|unit| holds(Some(unit))),
            false => holds(None),
        }
    }

    fn judge(&mut self, event: &Event, given: &Given, known: &Known) {
        let head = self.head_of(given, event);
        let (vi, en) = if given.subject == given.attester {
            ("chính đối tượng tự xác nhận".to_owned(), "the subject attested about itself".to_owned())
        } else if head.is_some() {
            let en = "whoever attested was head of the subject".to_owned();
            ("người xác nhận là người đứng đầu của chính đối tượng".to_owned(), en)
        } else if !self.holds(given, known) {
            let Given { attester, body, day, .. } = given;
            let vi = format!("đơn vị {attester} không giữ vai trò {body} đối với đối tượng này vào ngày {day}");
            (vi, format!("unit {attester} did not hold the body {body} about this subject on {day}"))
        } else {
            return;
        };
        let (record, subject) = (event.record, given.subject);
        let vi = format!("Xác nhận {record} về đơn vị {subject}: {vi}.");
        let text = Said::new(vi, format!("Attestation {record} about unit {subject}: {en}."));
        let finding = Finding::new(QUESTION.id, Severity::Serious, Some(subject), text).about([event.about()]);
        let events = head.map(|head| head.given.clone()).into_iter().chain([event.named()]);
        self.found.push(finding.by(event.hands("attested_by")).shown_by(events));
    }
}

impl Watch for Attesting {
    fn see(&mut self, event: &Event, known: &Known) {
        match event.stream.as_str() {
            "activity" => self.help.entry(event.record).or_default().take(event),
            "role_grant" => self.head(event),
            "attestation" if event.kind == "attestation.attested" => {
                if let Some(given) = Given::of(event) {
                    self.judge(event, &given, known);
                }
            }
            _ => {}
        }
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        self.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Log, UNIT as VILLAGE, X};
    use super::*;
    use crate::campaigns::{AttestingBody, Definition, Folder, Holder};
    use crate::units::lineage::{Life, Lineage};
    use crate::units::{Dated, UnitKind};

    const COMMUNE: Uuid = Uuid::from_u128(0xb2);
    const OFFICE: Uuid = Uuid::from_u128(0xb3);
    const GIVER: Uuid = Uuid::from_u128(0xb4);

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn known() -> Known {
        let from = day("2021-01-01");
        let life = |kind, parent: Option<Uuid>| Life {
            kinds: vec![Dated::new(kind, from, None)],
            parents: parent.map(|parent| Dated::new(parent, from, None)).into_iter().collect(),
            from,
            to: None,
        };
        let lives = [
            (COMMUNE, life(UnitKind::Commune, None)),
            (VILLAGE, life(UnitKind::Village, Some(COMMUNE))),
            (OFFICE, life(UnitKind::Agency, None)),
            (GIVER, life(UnitKind::Enterprise, None)),
        ];
        Known::of(Lineage { lives: lives.into(), edges: Vec::new() }, definition())
    }

    fn definition() -> Definition {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = [
            file("campaign.yaml", include_str!("../../../campaigns/quynh-nhai-2021-2025/campaign.yaml")),
            file("units.yaml", include_str!("../../../campaigns/quynh-nhai-2021-2025/units.yaml")),
            file("rules.yaml", include_str!("../../../campaigns/quynh-nhai-2021-2025/rules.yaml")),
        ];
        let mut definition = Folder::read(&files.into()).unwrap().definition;
        let office = definition.attesting_bodies.iter_mut().find(|body| body.body == "phong_noi_vu").unwrap();
        let held = Holder { unit: OFFICE, from: day("2021-01-01"), to: Some(day("2025-06-30")), alternate: None };
        *office = AttestingBody { holders: vec![held], ..office.clone() };
        definition
    }

    fn attests(log: Log, body: &str, subject: Uuid, attester: Uuid, on: &str) -> Log {
        let campaign = definition().id;
        let said = json!({ "campaign_id": [null, campaign], "unit_id": [null, subject], "body": [null, body],
            "attester_unit": [null, attester], "attested_on": [null, on] });
        log.then("attestation.attested", 1, X, said)
    }

    fn found(log: &Log) -> Vec<String> {
        log.asked(&QUESTION, known()).into_iter().map(|finding| finding.text.en).collect()
    }

    #[test]
    fn whoever_holds_the_body_that_day_attests_and_nobody_else() {
        for (body, subject, attester, on, wrong) in [
            ("phong_noi_vu", VILLAGE, OFFICE, "2023-12-20", None),
            ("phong_noi_vu", VILLAGE, OFFICE, "2025-07-01", Some("did not hold the body phong_noi_vu")),
            ("phong_noi_vu", VILLAGE, COMMUNE, "2023-12-20", Some("did not hold")),
            ("phong_noi_vu", OFFICE, OFFICE, "2023-12-20", Some("about itself")),
            ("ubnd_xa", VILLAGE, COMMUNE, "2023-12-20", None),
            ("ubnd_xa", VILLAGE, OFFICE, "2023-12-20", Some("did not hold the body ubnd_xa")),
            ("thu_truong", VILLAGE, COMMUNE, "2023-12-20", None),
            ("nobody", VILLAGE, COMMUNE, "2023-12-20", Some("did not hold")),
        ] {
            let found = found(&attests(Log::default(), body, subject, attester, on));
            assert_eq!(found.len(), usize::from(wrong.is_some()), "{body} {attester} {on}: {found:?}");
            assert!(wrong.is_none_or(|wrong| found[0].contains(wrong)), "{found:?}");
        }
    }

    #[test]
    fn a_receiver_attests_about_help_that_it_received() {
        let campaign = definition().id;
        let helped = |state: &str, held_on: &str| {
            let said = json!({ "campaign_id": [null, campaign], "unit_id": [null, COMMUNE], "held_on": [null, held_on],
                "receiving_unit": [null, VILLAGE], "resources": [null, [{ "giver_unit": GIVER }]] });
            let log = Log::default().then("activity.reported", 7, X, said);
            log.then("activity.accepted", 7, X, json!({ "state": ["submitted", state] }))
        };
        let on = "2023-12-20";
        let attests = |log| found(&attests(log, "don_vi_nhan", GIVER, VILLAGE, on)).len();
        assert_eq!(attests(helped("accepted", "2023-05-01")), 0);
        assert_eq!(attests(helped("returned", "2023-05-01")), 1, "nobody accepted that");
        assert_eq!(attests(helped("accepted", "2023-12-21")), 1, "helped later");
        assert_eq!(attests(Log::default()), 1);
    }

    #[test]
    fn a_head_of_the_subject_attests_for_nobody_about_it() {
        let head = |unit: Uuid, to: Option<&str>| {
            let said = json!({ "account_id": [null, X], "role": [null, "unit_head"], "unit_id": [null, unit],
                "valid_from": [null, "2022-01-01"], "valid_to": [null, to] });
            attests(Log::default().then("grant.given", 5, X, said), "ubnd_xa", VILLAGE, COMMUNE, "2023-03-10")
        };
        let findings = head(VILLAGE, None).asked(&QUESTION, known());
        assert_eq!((findings.len(), findings[0].events.len()), (1, 2), "the grant shows it too: {findings:?}");
        assert_eq!(found(&head(COMMUNE, None)), Vec::<String>::new());
        assert_eq!(found(&head(VILLAGE, Some("2023-03-14"))), Vec::<String>::new(), "no longer");
    }
}
