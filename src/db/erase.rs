//! Erasing: every personal value of one record goes, in all its versions, and the log stands as it did. A leaf has only
//! a commitment to each value; without the salt, which goes as well, nobody can even guess what it was.

use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use super::constraint::{placeholders, translate};
use super::{Conn, Event, Record, WriteTx};
use crate::error::{Code, Error};
use crate::log::store::{self, DisclosureRow};

/// What was erased of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// What stands in the leaves for the values that are gone, sorted.
    pub digests: Vec<String>,
}

impl WriteTx<'_> {
    /// Blanks the record's personal columns, with its event, and deletes whatever was disclosed of it, reasons included;
    /// what it was found by and stored answers that show it go along. `None` if there is no such record, 409 if nothing
    /// of it is left. Its key, if it has one, dies after the commit ([`Db::bury_keys`](super::Db::bury_keys)).
    pub async fn erase<R: Record>(&self, id: Uuid) -> Result<Option<Erased>, Error> {
        let Some(old) = R::find_locked(self.conn(), id).await.map_err(translate)? else { return Ok(None) };
        let blank = old.blank()?;
        let digests = self.disclosed(id).await?;
        let backend = self.conn().get_database_backend();
        let sql = format!("DELETE FROM audit_disclosure WHERE stream_id = {}", placeholders(backend, 1, 1));
        let deleted = self.conn().execute_raw(Statement::from_sql_and_values(backend, sql, [id.into()])).await;
        // What nobody could open any more goes as well, though no digest of it can be told.
        if deleted.map_err(translate)?.rows_affected() == 0 && blank.state()? == old.state()? {
            return Err(Code::AlreadyErased.into());
        }
        if let Some(keys) = self.conn().keys() {
            keys.retire(id, old.version()).await.map_err(translate)?;
        }
        self.update(&old, blank, Event::new(R::ERASED)).await?;
        self.forget_answers(&[id]).await?;
        Ok(Some(Erased { digests }))
    }

    /// The digests of what is still disclosed of a record.
    async fn disclosed(&self, id: Uuid) -> Result<Vec<String>, Error> {
        let rows = store::disclosures_of(self.conn(), id).await?;
        let digests = rows.into_iter().map(|row| DisclosureRow::disclosure(row).digest().map_err(Error::internal));
        let mut digests = digests.collect::<Result<Vec<_>, _>>()?;
        digests.sort_unstable();
        Ok(digests)
    }
}
