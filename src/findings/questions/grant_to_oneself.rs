//! Somebody gave a role to the account that gave it.

use super::{Question, Watch};
use crate::findings::{Event, Finding, Known, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "grant_to_oneself",
    title: ["Tự phân quyền cho mình", "A grant to oneself"],
    explanation: || {
        Said::new(
            "Người quản trị phân quyền cho chính tài khoản của mình. Việc phân quyền từ bàn điều khiển máy chủ không có \
             tài khoản nên không thuộc câu hỏi này.",
            "An administrator gave a role to the very account that gave it. A grant given at the server's console has no \
             account behind it and is not meant.",
        )
    },
    watch: || Box::new(ToOneself(Vec::new())),
};

struct ToOneself(Vec<Finding>);

impl Watch for ToOneself {
    fn see(&mut self, event: &Event, _: &Known) {
        let holder = event.new_id("account_id");
        let (true, Some(actor)) = (event.kind == "grant.given" && holder == event.actor, event.actor) else { return };
        let (grant, role) = (event.record, event.text("role").unwrap_or("?"));
        let text = Said::new(
            format!("Tài khoản {actor} tự phân cho mình vai trò {role} (phân quyền {grant})."),
            format!("Account {actor} gave itself the role {role} (grant {grant})."),
        );
        let finding = Finding::new(QUESTION.id, Severity::Serious, event.unit, text);
        self.0.push(finding.about([event.about()]).by([actor]).shown_by([event.named()]));
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Log, X, Y};
    use super::*;

    #[test]
    fn only_the_giver_s_own_account_is_oneself() {
        let given = |to| Log::default().then("grant.given", 1, X, json!({ "account_id": [null, to] }));
        assert_eq!(given(X).shown(&QUESTION), [[0]]);
        assert_eq!(given(Y).shown(&QUESTION), Vec::<Vec<i64>>::new());
        let ended = Log::default().then("grant.ended", 1, X, json!({ "valid_to": [null, "2023-03-14"] }));
        assert_eq!(ended.shown(&QUESTION), Vec::<Vec<i64>>::new());
    }
}
