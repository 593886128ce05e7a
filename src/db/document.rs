//! Documents: content too large for a leaf. A record carries a reference, the hash of the content; the content stands in
//! an insert-only table under that hash.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value as SqlValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{WriteTx, constraint};
use crate::canonical::{hex, sha256};
use crate::error::Error;

/// What stands in a record under `$ref`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRef {
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What the content is, e.g. `application/yaml`.
    pub media_type: String,
}

impl DocumentRef {
    /// The reference to this content.
    pub fn to(body: &str, media_type: &str) -> Self {
        Self {
            sha256: hex(&sha256(body.as_bytes())),
            size: u64::try_from(body.len()).unwrap_or(u64::MAX),
            media_type: media_type.to_owned(),
        }
    }

    /// `{"$ref": …}`, as it stands in a column.
    pub fn column(&self) -> Value {
        json!({ "$ref": self })
    }

    /// Reads `{"$ref": …}`.
    pub fn from_column(column: &Value) -> Result<Self, Error> {
        Self::deserialize(&column["$ref"]).map_err(Error::internal)
    }
}

impl WriteTx<'_> {
    /// Stores the content unless it is there already.
    pub async fn keep_document(&self, body: &str, media_type: &str) -> Result<DocumentRef, Error> {
        let document = DocumentRef::to(body, media_type);
        let backend = self.conn().get_database_backend();
        let p: Vec<String> = (1..=5).map(|n| constraint::placeholders(backend, n, 1)).collect();
        // Looked up first, because SQLite's guard refuses a second insert before ON CONFLICT is asked; two loads at once
        // on PostgreSQL both find nothing, and one of them conflicts.
        let sql = format!(
            "INSERT INTO document (sha256, media_type, body, created_at) SELECT {}, {}, {}, {} \
             WHERE NOT EXISTS (SELECT 1 FROM document WHERE sha256 = {}) ON CONFLICT DO NOTHING",
            p[0], p[1], p[2], p[3], p[4]
        );
        let key = document.sha256.as_str();
        let values: [SqlValue; 5] = [key.into(), media_type.into(), body.into(), self.at().into(), key.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        self.conn().execute_raw(statement).await.map_err(constraint::translate)?;
        Ok(document)
    }
}

/// The content of a document.
pub async fn read(conn: &impl ConnectionTrait, document: &DocumentRef) -> Result<String, Error> {
    #[derive(FromQueryResult)]
    struct Row {
        body: String,
    }
    let backend = conn.get_database_backend();
    let sql = format!("SELECT body FROM document WHERE sha256 = {}", constraint::placeholders(backend, 1, 1));
    let statement = Statement::from_sql_and_values(backend, sql, [document.sha256.as_str().into()]);
    let row = Row::find_by_statement(statement).one(conn).await.map_err(constraint::translate)?;
    row.map(|row| row.body).ok_or_else(|| Error::internal(format!("there is no document {}", document.sha256)))
}
