//! The levels of the land, and who may stand under whom. Pure.

use super::UnitKind;

/// Where a kind stands, from the highest: counts add up within one level, and an organisation is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A province.
    Province,
    /// A district; there is none since 1 July 2025.
    District,
    /// A commune or township.
    Commune,
    /// A village.
    Village,
    /// Whoever is no part of the land.
    Organisation,
}

impl Level {
    /// The level of a kind.
    pub const fn of(kind: UnitKind) -> Self {
        match kind {
            UnitKind::Province => Self::Province,
            UnitKind::District => Self::District,
            UnitKind::Commune | UnitKind::Township => Self::Commune,
            UnitKind::Village => Self::Village,
            UnitKind::Agency
            | UnitKind::FrontOrMassOrg
            | UnitKind::ArmedForceUnit
            | UnitKind::SocioProfessionalOrg
            | UnitKind::Unit
            | UnitKind::Enterprise
            | UnitKind::Cooperative => Self::Organisation,
        }
    }

    /// True if a unit of this level may have a parent of that one. A part of the land lies in a larger part, an
    /// organisation under any part of it or under another organisation, and a province under nobody.
    pub fn may_stand_under(self, parent: Self) -> bool {
        self == Self::Organisation || parent < self && parent != Self::Organisation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_land_lies_in_larger_land_and_organisations_lie_anywhere() {
        use UnitKind::{Agency, Commune, Cooperative, District, Enterprise, Province, Township, Village};
        let all = [Province, District, Commune, Township, Village, Agency, Enterprise, Cooperative];
        for (kind, parents) in [
            (Province, &[][..]),
            (District, &[Province]),
            (Commune, &[Province, District]),
            (Township, &[Province, District]),
            (Village, &[Province, District, Commune, Township]),
            (Agency, &all),
            (Enterprise, &all),
            (Cooperative, &all),
        ] {
            let under = |parent: &UnitKind| Level::of(kind).may_stand_under(Level::of(*parent));
            let found: Vec<UnitKind> = all.into_iter().filter(under).collect();
            assert_eq!(found, parents, "{kind}");
        }
    }
}
