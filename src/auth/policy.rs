//! Who may do what: one table of permission, role and reach. Pure data; printed to
//! `docs/policy.md` and tested cell by cell.

use crate::words;

words! {
    /// What an account may be, within a unit's subtree and for a time.
    pub enum Role {
        /// Reports what a unit does.
        UnitReporter = "unit_reporter",
        /// Heads a unit: reports, nominates, attests for a body that the unit holds.
        UnitHead = "unit_head",
        /// UBND xã: accepts or returns what its villages report.
        CommuneCommittee = "commune_committee",
        /// Officer of the Fatherland Front.
        FrontOfficer = "front_officer",
        /// Phòng LĐTBXH: confirms poverty figures.
        LabourOffice = "labour_office",
        /// Phòng Nội vụ: checks reports, keeps obligations, records recognition.
        HomeAffairs = "home_affairs",
        /// Member of the emulation and commendation council.
        CouncilMember = "council_member",
        /// Secretary of the council.
        CouncilSecretary = "council_secretary",
        /// Chairman of the district's People's Committee.
        DistrictChair = "district_chair",
        /// Officer of the province.
        ProvinceOfficer = "province_officer",
        /// A provincial system.
        Integration = "integration",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
        /// Keeps units, accounts and grants.
        Administrator = "administrator",
    }
}

macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident = $word:literal),+ $(,)?) => {
        words! {
            /// What an operation needs.
            pub enum Permission { $($(#[$meta])* $name = $word),+ }
        }

        /// One type a permission, for [`Permit`](crate::auth::Permit) in a handler's arguments.
        pub mod permit {
            $($(#[$meta])* pub struct $name;
            impl super::Needed for $name {
                const PERMISSION: super::Permission = super::Permission::$name;
            })+
        }
    };
}

/// A permission as a type.
pub trait Needed: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

permissions! {
    /// See who one is and what one may do.
    ReadSelf = "self.read",
    /// Read units and their history.
    ReadUnits = "units.read",
    /// Create, change, merge, split and end units.
    ManageUnits = "units.manage",
    /// Read campaigns, clauses, award forms.
    ReadCampaigns = "campaigns.read",
    /// Read reported records.
    ReadRecords = "records.read",
    /// Report poverty figures.
    ReportFigures = "figures.report",
    /// Confirm and correct poverty figures.
    ConfirmFigures = "figures.confirm",
    /// Report, submit, correct and withdraw activities and initiatives.
    ReportActivities = "activities.report",
    /// Accept or return what was submitted.
    AcceptActivities = "activities.accept",
    /// Enter obligations and their fulfilment.
    KeepObligations = "obligations.keep",
    /// Report observations.
    ReportObservations = "observations.report",
    /// Confirm observations and close registers, as the declared owner.
    ConfirmObservations = "observations.confirm",
    /// Record the recognition of an initiative.
    RecogniseInitiatives = "initiatives.recognise",
    /// Answer for a body that the unit holds.
    Attest = "attestations.attest",
    /// File, submit and withdraw nominations.
    Nominate = "nominations.file",
    /// Return a nomination.
    ReviewNominations = "nominations.review",
    /// Compute recommendations.
    ComputeRecommendations = "recommendations.compute",
    /// Read the event log.
    ReadEvents = "events.read",
    /// Read the whole event log as it is stored.
    ReadLog = "log.read",
    /// Read the findings of the self-audit.
    ReadFindings = "findings.read",
    /// Take parts of the log away, and see who did.
    ExportLog = "log.export",
    /// Read accounts and grants.
    ReadGrants = "grants.read",
    /// Give and end grants.
    ManageGrants = "grants.manage",
    /// Revoke tokens, and see which are revoked.
    RevokeTokens = "tokens.revoke",
    /// See personal values of the past behind an event, which is an event itself.
    ReadDisclosures = "disclosures.read",
    /// Erase the personal values of a record.
    EraseSubjects = "subjects.erase",
    /// Read what was erased, and why.
    ReadErasures = "erasures.read",
    /// Read the metrics.
    ReadMetrics = "metrics.read",
}

words! {
    /// How far a grant reaches from the unit that it was given for.
    pub enum Reach {
        /// Every record.
        Everywhere = "everywhere",
        /// The unit and everything below it at the record's date, and what it succeeded.
        Subtree = "subtree",
        /// As `subtree`, villages only.
        Villages = "villages",
        /// As `subtree`, all but villages.
        NotVillages = "not_villages",
        /// The very unit only.
        Own = "own",
    }
}

/// One row of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The permission given.
    pub permission: Permission,
    /// To whom.
    pub role: Role,
    /// How far.
    pub reach: Reach,
}

use Permission as P;
use Reach::{Everywhere, NotVillages, Own, Subtree, Villages};
use Role as R;

const fn rule(permission: Permission, role: Role, reach: Reach) -> Rule {
    Rule { permission, role, reach }
}

/// What every grant holder may do.
const EVERYONE: &[Permission] = &[P::ReadSelf, P::ReadUnits, P::ReadCampaigns];

/// What every role may read of the records inside its subtree.
const INSIDE: &[Permission] = &[P::ReadRecords, P::ReadEvents];

/// The rules beyond [`EVERYONE`] and [`INSIDE`], by permission.
const RULES: &[Rule] = &[
    rule(P::ManageUnits, R::Administrator, Everywhere),
    rule(P::ManageGrants, R::Administrator, Everywhere),
    rule(P::ReadGrants, R::Administrator, Everywhere),
    rule(P::ReadGrants, R::Auditor, Everywhere),
    rule(P::ReadLog, R::Administrator, Everywhere),
    rule(P::ReadLog, R::Auditor, Everywhere),
    rule(P::ReadFindings, R::Administrator, Everywhere),
    rule(P::ReadFindings, R::Auditor, Everywhere),
    rule(P::ExportLog, R::Administrator, Everywhere),
    rule(P::ExportLog, R::Auditor, Everywhere),
    rule(P::RevokeTokens, R::Administrator, Everywhere),
    // The auditor checks what was done with what was known then; the administrator answers the persons concerned and their
    // complaints, and erases. Whoever else may see a record sees its present values there.
    rule(P::ReadDisclosures, R::Administrator, Everywhere),
    rule(P::ReadDisclosures, R::Auditor, Everywhere),
    rule(P::EraseSubjects, R::Administrator, Everywhere),
    rule(P::ReadErasures, R::Administrator, Everywhere),
    rule(P::ReadErasures, R::Auditor, Everywhere),
    rule(P::ReadMetrics, R::Administrator, Everywhere),
    rule(P::ReadMetrics, R::Auditor, Everywhere),
    rule(P::ReportFigures, R::UnitReporter, Subtree),
    rule(P::ReportFigures, R::UnitHead, Subtree),
    rule(P::ReportFigures, R::CommuneCommittee, Subtree),
    rule(P::ReportFigures, R::Integration, Subtree),
    rule(P::ConfirmFigures, R::LabourOffice, Subtree),
    rule(P::ReportActivities, R::UnitReporter, Subtree),
    rule(P::ReportActivities, R::UnitHead, Subtree),
    rule(P::ReportActivities, R::CommuneCommittee, Subtree),
    rule(P::ReportActivities, R::FrontOfficer, Subtree),
    rule(P::ReportActivities, R::Integration, Subtree),
    rule(P::AcceptActivities, R::CommuneCommittee, Villages),
    rule(P::AcceptActivities, R::HomeAffairs, NotVillages),
    rule(P::KeepObligations, R::HomeAffairs, Subtree),
    rule(P::KeepObligations, R::LabourOffice, Subtree),
    rule(P::ReportObservations, R::UnitReporter, Subtree),
    rule(P::ReportObservations, R::UnitHead, Subtree),
    rule(P::ReportObservations, R::CommuneCommittee, Subtree),
    rule(P::ReportObservations, R::FrontOfficer, Subtree),
    rule(P::ReportObservations, R::HomeAffairs, Subtree),
    rule(P::ReportObservations, R::LabourOffice, Subtree),
    rule(P::ReportObservations, R::Integration, Subtree),
    rule(P::ConfirmObservations, R::CommuneCommittee, Subtree),
    rule(P::ConfirmObservations, R::FrontOfficer, Subtree),
    rule(P::ConfirmObservations, R::HomeAffairs, Subtree),
    rule(P::ConfirmObservations, R::LabourOffice, Subtree),
    rule(P::ConfirmObservations, R::UnitHead, Subtree),
    rule(P::RecogniseInitiatives, R::HomeAffairs, Subtree),
    rule(P::Attest, R::UnitHead, Own),
    rule(P::Nominate, R::UnitReporter, Subtree),
    rule(P::Nominate, R::UnitHead, Subtree),
    rule(P::Nominate, R::CommuneCommittee, Subtree),
    rule(P::Nominate, R::FrontOfficer, Subtree),
    rule(P::ReviewNominations, R::HomeAffairs, Subtree),
    rule(P::ReviewNominations, R::CouncilSecretary, Subtree),
    rule(P::ComputeRecommendations, R::UnitHead, Subtree),
    rule(P::ComputeRecommendations, R::CommuneCommittee, Subtree),
    rule(P::ComputeRecommendations, R::HomeAffairs, Subtree),
    rule(P::ComputeRecommendations, R::CouncilMember, Subtree),
    rule(P::ComputeRecommendations, R::CouncilSecretary, Subtree),
    rule(P::ComputeRecommendations, R::DistrictChair, Subtree),
    rule(P::ComputeRecommendations, R::ProvinceOfficer, Subtree),
    rule(P::ComputeRecommendations, R::Auditor, Everywhere),
    rule(P::ComputeRecommendations, R::Administrator, Everywhere),
];

/// Roles that see every record.
const fn sees_all(role: Role) -> bool {
    matches!(role, Role::Auditor | Role::Administrator)
}

/// How far `role` carries `permission`; empty if not at all.
pub fn reaches(permission: Permission, role: Role) -> impl Iterator<Item = Reach> {
    let everyone = EVERYONE.contains(&permission).then_some(Reach::Everywhere);
    let inside = INSIDE.contains(&permission).then(|| if sees_all(role) { Everywhere } else { Subtree });
    let rules = RULES.iter().filter(move |rule| rule.permission == permission && rule.role == role);
    everyone.into_iter().chain(inside).chain(rules.map(|rule| rule.reach))
}

/// Reads that leave an event behind, because they show personal values of the past.
pub const RECORDED_READS: &[&str] = &["get_event_disclosures"];

/// The table as Markdown, for `docs/policy.md`.
pub fn print() -> String {
    let mut text = String::from(
        "# Who may do what\n\nGenerated from `src/auth/policy.rs`; refresh with `cargo run -- docs policy > docs/policy.md`.\n\
         A grant is a role within a unit's subtree for a time. Reach: everywhere; the subtree; its villages; all but its\nvillages; the very unit (own).\n\n| permission |",
    );
    for role in Role::ALL {
        text.push_str(&format!(" {role} |"));
    }
    text.push_str(&format!("\n|{}\n", "---|".repeat(Role::ALL.len() + 1)));
    for permission in Permission::ALL {
        text.push_str(&format!("| `{permission}` |"));
        for role in Role::ALL {
            let reach: Vec<&str> = reaches(*permission, *role).map(Reach::as_str).collect();
            text.push_str(&format!(" {} |", reach.join(", ")));
        }
        text.push('\n');
    }
    let reads: Vec<String> = RECORDED_READS.iter().map(|read| format!("`{read}`")).collect();
    text.push_str(&format!("\nReads that leave an event behind, before they show anything: {}.\n", reads.join(", ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auditor_changes_nothing() {
        // An export takes a copy, and its event says who took it; no record of anybody's is another one afterwards.
        let harmless = [Permission::ComputeRecommendations, Permission::ExportLog];
        let writes = Permission::ALL.iter().filter(|p| !p.as_str().ends_with(".read") && !harmless.contains(p));
        for permission in writes {
            assert_eq!(reaches(*permission, Role::Auditor).count(), 0, "{permission}");
        }
    }

    #[test]
    fn nobody_holds_a_permission_twice() {
        for permission in Permission::ALL {
            for role in Role::ALL {
                assert!(reaches(*permission, *role).count() <= 1, "{permission} {role}");
            }
        }
    }
}
