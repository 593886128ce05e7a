//! A unit is whoever acts or is acted upon: province, commune, village, agency, enterprise. Its
//! identity is a UUID; code, name, kind, parent and area class are dated and may change, and codes
//! were reused crosswise on 1 July 2025, so nothing is ever joined on them. Units succeed one
//! another by typed edges.
//!
//! Dates are civil dates, inclusive at both ends.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use self::level::Level;
use crate::error::{Error, Fault};
use crate::words;

pub mod acts;
pub mod check;
pub mod closure;
mod derived;
pub mod fit;
pub mod http;
pub mod level;
pub mod lifetime;
pub mod lineage;
pub mod resolve;
pub mod store;
pub mod succession;

words! {
    /// What a unit is (plan III.1, III.2).
    pub enum UnitKind {
        /// Tỉnh.
        Province = "province",
        /// Huyện.
        District = "district",
        /// Xã.
        Commune = "commune",
        /// Thị trấn.
        Township = "township",
        /// Bản, xóm.
        Village = "village",
        /// Cơ quan.
        Agency = "agency",
        /// Mặt trận Tổ quốc, đoàn thể.
        FrontOrMassOrg = "front_or_mass_org",
        /// Đơn vị lực lượng vũ trang nhân dân.
        ArmedForceUnit = "armed_force_unit",
        /// Tổ chức xã hội - nghề nghiệp.
        SocioProfessionalOrg = "socio_professional_org",
        /// Đơn vị khác.
        Unit = "unit",
        /// Doanh nghiệp.
        Enterprise = "enterprise",
        /// Hợp tác xã.
        Cooperative = "cooperative",
    }
}

words! {
    /// Area class of ethnic-minority and mountain areas (QĐ 861/QĐ-TTg, QĐ 612/QĐ-UBDT).
    pub enum AreaClass {
        /// Khu vực I.
        I = "I",
        /// Khu vực II.
        II = "II",
        /// Khu vực III.
        III = "III",
        /// Outside the three areas.
        None = "none",
        /// Thôn, bản đặc biệt khó khăn.
        SpecialVillage = "special_village",
    }
}

words! {
    /// How units follow one another.
    pub enum SuccessionKind {
        /// Several become one.
        Merge = "merge",
        /// One becomes several.
        Split = "split",
        /// One becomes one under another identity.
        Rename = "rename",
        /// One ends without a successor.
        Abolish = "abolish",
    }
}

words! {
    /// Whether an act of succession counts.
    pub enum SuccessionState {
        /// Whoever follows by it, follows.
        Standing = "standing",
        /// Recorded by mistake: nobody follows by it.
        Annulled = "annulled",
    }
}

/// A value with the days on which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dated<T> {
    /// The value.
    pub value: T,
    /// First day.
    pub from: NaiveDate,
    /// Last day; open if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// True for demonstration data: the value is made up, although the unit may be real.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fictitious: bool,
}

/// The schema of [`Dated<String>`](Dated): a name or a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatedText {
    /// The value, without spaces at its ends.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\s]([^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\s])?$"
    )]
    pub value: String,
    /// First day.
    pub from: NaiveDate,
    /// Last day; open if absent.
    pub to: Option<NaiveDate>,
    /// True for demonstration data: the value is made up, although the unit may be real.
    #[schema(required = false)]
    pub fictitious: bool,
}

/// The schema of [`Dated<Uuid>`](Dated), whose generated name would be that of dated text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatedUnit {
    /// The unit.
    pub value: Uuid,
    /// First day.
    pub from: NaiveDate,
    /// Last day; open if absent.
    pub to: Option<NaiveDate>,
    /// True for demonstration data: the value is made up, although the unit may be real.
    #[schema(required = false)]
    pub fictitious: bool,
}

impl<T> Dated<T> {
    /// A value that is what it says.
    pub const fn new(value: T, from: NaiveDate, to: Option<NaiveDate>) -> Self {
        Self { value, from, to, fictitious: false }
    }

    /// True if the value holds on `day`.
    pub fn holds(&self, day: NaiveDate) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

/// The value that holds on `day`.
pub fn at<T>(history: &[Dated<T>], day: NaiveDate) -> Option<&T> {
    history.iter().find(|dated| dated.holds(day)).map(|dated| &dated.value)
}

/// Everything that is said of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "names": [{ "value": "Bản Mẫu", "from": "2021-01-01" }],
    "kinds": [{ "value": "village", "from": "2021-01-01" }],
    "parents": [{ "value": "01900000-0000-7000-8000-000000000001", "from": "2021-01-01" }],
    "exists_from": "2021-01-01"
}))]
pub struct UnitDraft {
    /// Official codes; strings, because they have leading zeros.
    #[serde(default)]
    #[garde(length(max = 50))]
    #[schema(max_items = 50, value_type = Vec<DatedText>)]
    pub codes: Vec<Dated<String>>,
    /// Names; every day of the life has one.
    #[garde(length(min = 1, max = 50))]
    #[schema(min_items = 1, max_items = 50, value_type = Vec<DatedText>)]
    pub names: Vec<Dated<String>>,
    /// Kinds; every day of the life has one.
    #[garde(length(min = 1, max = 50))]
    #[schema(min_items = 1, max_items = 50)]
    pub kinds: Vec<Dated<UnitKind>>,
    /// Parents; a province has none, and any other part of the land has a larger one only.
    #[serde(default)]
    #[garde(length(max = 50))]
    #[schema(max_items = 50, value_type = Vec<DatedUnit>)]
    pub parents: Vec<Dated<Uuid>>,
    /// Area classes; none known is an empty list, not `none`.
    #[serde(default)]
    #[garde(length(max = 50))]
    #[schema(max_items = 50)]
    pub area_classes: Vec<Dated<AreaClass>>,
    /// First day of the unit's life, or the first day from which it is known.
    #[garde(skip)]
    pub exists_from: NaiveDate,
    /// Last day of its life.
    #[serde(default)]
    #[garde(skip)]
    pub exists_to: Option<NaiveDate>,
    /// True for demonstration data: there is no such unit.
    #[serde(default)]
    #[garde(skip)]
    pub fictitious: bool,
}

impl AreaClass {
    /// Communes and townships lie in areas I to III; a village is especially disadvantaged or not (QĐ 33/2020/QĐ-TTg).
    fn is_for(self, kind: UnitKind) -> bool {
        match (Level::of(kind), self) {
            (Level::Commune, class) => class != Self::SpecialVillage,
            (Level::Village, class) => matches!(class, Self::SpecialVillage | Self::None),
            _ => false,
        }
    }
}

/// The longest name or code, in characters.
const LONGEST: usize = 200;

impl UnitDraft {
    /// Every rule that the draft breaks.
    pub fn check(&self, root: &str) -> Result<(), Error> {
        let mut faults = Vec::new();
        overlaps(&self.codes, &format!("{root}/codes"), &mut faults);
        overlaps(&self.names, &format!("{root}/names"), &mut faults);
        overlaps(&self.kinds, &format!("{root}/kinds"), &mut faults);
        overlaps(&self.parents, &format!("{root}/parents"), &mut faults);
        overlaps(&self.area_classes, &format!("{root}/area_classes"), &mut faults);
        for (dated, list) in [(&self.codes, "codes"), (&self.names, "names")] {
            for (index, dated) in dated.iter().enumerate() {
                let length = dated.value.chars().count();
                if length == 0 || length > LONGEST || dated.value.trim() != dated.value {
                    let vi = "cần từ 1 đến 200 ký tự, không có khoảng trắng ở hai đầu";
                    let en = "needs 1 to 200 characters without spaces at the ends";
                    faults.push(Fault::new(format!("{root}/{list}/{index}/value"), vi, en));
                }
            }
        }
        for (index, class) in self.area_classes.iter().enumerate() {
            let fits = |kind: &Dated<UnitKind>| class.value.is_for(kind.value);
            let at_once = |kind: &Dated<UnitKind>| {
                kind.from <= class.to.unwrap_or(NaiveDate::MAX) && class.from <= kind.to.unwrap_or(NaiveDate::MAX)
            };
            if !self.kinds.iter().filter(|kind| at_once(kind)).all(fits) {
                let vi = "loại đơn vị này không có phân định khu vực ấy";
                faults.push(Fault::new(
                    format!("{root}/area_classes/{index}"),
                    vi,
                    "is no class of a unit of this kind",
                ));
            }
        }
        if self.exists_to.is_some_and(|to| to < self.exists_from) {
            faults.push(Fault::new(format!("{root}/exists_to"), "trước ngày bắt đầu", "is before the first day"));
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::new(crate::error::Code::InvalidValue).with(faults)) }
    }
}

fn overlaps<T>(history: &[Dated<T>], pointer: &str, faults: &mut Vec<Fault>) {
    for (index, dated) in history.iter().enumerate() {
        if dated.to.is_some_and(|to| to < dated.from) {
            faults.push(Fault::new(format!("{pointer}/{index}/to"), "trước ngày bắt đầu", "is before the first day"));
        }
        let next = history.get(index + 1);
        if next.is_some_and(|next| dated.to.is_none_or(|to| next.from <= to)) {
            let vi = "các khoảng thời gian phải theo thứ tự và không chồng nhau";
            faults.push(Fault::new(format!("{pointer}/{}", index + 1), vi, "periods must be in order and not overlap"));
        }
    }
}

/// One act by which units follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "abolish", "effective_on": "2030-01-01",
    "predecessors": ["01900000-0000-7000-8000-000000000009"], "successors": [], "basis": "Nghị quyết mẫu"
}))]
pub struct SuccessionDraft {
    /// The kind of act.
    #[garde(skip)]
    pub kind: SuccessionKind,
    /// First day of the successors; each begins on it.
    #[garde(skip)]
    pub effective_on: NaiveDate,
    /// Units that end the day before.
    #[garde(length(min = 1, max = 100))]
    #[schema(min_items = 1, max_items = 100)]
    pub predecessors: Vec<Uuid>,
    /// Units that follow.
    #[garde(length(max = 100))]
    #[schema(max_items = 100)]
    pub successors: Vec<Uuid>,
    /// The act's legal basis.
    #[garde(length(chars, min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    pub basis: String,
}

impl SuccessionDraft {
    /// Each predecessor with each successor.
    pub fn edges(&self) -> impl Iterator<Item = closure::Edge> + '_ {
        self.predecessors.iter().flat_map(move |predecessor| {
            self.successors.iter().map(move |successor| closure::Edge {
                predecessor: *predecessor,
                successor: *successor,
                on: self.effective_on,
            })
        })
    }

    /// Refuses what the kind does not allow, and a unit that stands there twice.
    pub fn check(&self) -> Result<(), Error> {
        let (before, after) = (self.predecessors.len(), self.successors.len());
        let fits = match self.kind {
            SuccessionKind::Merge => before >= 2 && after == 1,
            SuccessionKind::Split => before == 1 && after >= 2,
            SuccessionKind::Rename => before == 1 && after == 1,
            SuccessionKind::Abolish => before == 1 && after == 0,
        };
        let mut faults = Vec::new();
        if !fits {
            let vi = "số đơn vị trước và sau không khớp với loại thay đổi";
            let en = "the numbers of predecessors and successors do not fit the kind";
            faults.push(Fault::new("/successors", vi, en));
        }
        let mut seen = BTreeSet::new();
        for (list, units) in [("predecessors", &self.predecessors), ("successors", &self.successors)] {
            for (index, unit) in units.iter().enumerate() {
                if !seen.insert(*unit) {
                    let (vi, en) = ("đơn vị này đã được nêu", "this unit is named already");
                    faults.push(Fault::new(format!("/{list}/{index}"), vi, en));
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::new(crate::error::Code::InvalidValue).with(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn draft() -> UnitDraft {
        serde_json::from_value(serde_json::json!({
            "names": [{ "value": "Bản Mẫu", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }],
            "exists_from": "2021-01-01"
        }))
        .unwrap()
    }

    #[test]
    fn periods_are_in_order_and_do_not_overlap() {
        let mut unit = draft();
        assert!(unit.check("/unit").is_ok());
        unit.names.push(Dated::new("Bản Khác".into(), day("2022-01-01"), None));
        assert!(unit.check("/unit").is_err(), "the first name never ends");
        unit.names[0].to = Some(day("2021-12-31"));
        assert!(unit.check("/unit").is_ok());
        assert_eq!(at(&unit.names, day("2021-12-31")).map(String::as_str), Some("Bản Mẫu"));
        assert_eq!(at(&unit.names, day("2022-01-01")).map(String::as_str), Some("Bản Khác"));
        assert_eq!(at(&unit.names, day("2020-12-31")), None);
    }

    #[test]
    fn the_kind_of_an_act_fixes_its_numbers() {
        let act = |kind, before: u128, after: u128| SuccessionDraft {
            kind,
            effective_on: day("2025-07-01"),
            predecessors: (0..before).map(Uuid::from_u128).collect(),
            successors: (100..100 + after).map(Uuid::from_u128).collect(),
            basis: "x".into(),
        };
        for (kind, before, after, fits) in [
            (SuccessionKind::Merge, 3, 1, true),
            (SuccessionKind::Merge, 1, 1, false),
            (SuccessionKind::Split, 1, 2, true),
            (SuccessionKind::Split, 2, 2, false),
            (SuccessionKind::Rename, 1, 1, true),
            (SuccessionKind::Abolish, 1, 0, true),
            (SuccessionKind::Abolish, 1, 1, false),
        ] {
            assert_eq!(act(kind, before, after).check().is_ok(), fits, "{kind} {before} {after}");
        }
        let mut twice = act(SuccessionKind::Merge, 2, 1);
        twice.predecessors[1] = twice.predecessors[0];
        assert_eq!(twice.check().unwrap_err().faults[0].pointer, "/predecessors/1");
        let mut itself = act(SuccessionKind::Merge, 2, 1);
        itself.successors[0] = itself.predecessors[1];
        assert_eq!(itself.check().unwrap_err().faults[0].pointer, "/successors/0");
    }
}
