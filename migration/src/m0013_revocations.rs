//! Revocations: tokens that are refused before they expire.

use sea_orm_migration::prelude::*;

use crate::{audited, dialect};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audited::create(
            manager,
            "revocation",
            "sid {text}, jti {text}, account_id {uuid} REFERENCES account (id), issued_before {bigint}, revoke_reason {text}, \
             expires_at {bigint}, \
             CHECK ((sid IS NOT NULL AND jti IS NULL AND account_id IS NULL) \
                 OR (sid IS NULL AND jti IS NOT NULL AND account_id IS NULL) \
                 OR (sid IS NULL AND jti IS NULL AND account_id IS NOT NULL)), \
             CHECK ((account_id IS NULL) = (issued_before IS NULL))",
            &[],
        )
        .await?;
        dialect::run(manager, INDEXES).await
    }
}

/// One for each question that is asked of every token.
const INDEXES: &str = r#"CREATE INDEX revocation_sid ON revocation (sid) WHERE sid IS NOT NULL
;;
CREATE INDEX revocation_jti ON revocation (jti) WHERE jti IS NOT NULL
;;
CREATE INDEX revocation_account ON revocation (account_id) WHERE account_id IS NOT NULL"#;
