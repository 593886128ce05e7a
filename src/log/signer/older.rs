//! Checkpoints from before the newest: what ends at one of them is verified with the keys of today as well.

use super::{Failure, Signed, Signer, Trouble, continues};
use crate::error::Error;
use crate::log::checkpoints::{self, Kept};
use crate::log::keys::store::kin;
use crate::log::tiles;

impl Signer {
    /// The checkpoint of exactly so many events, with the signatures that it has by now, and those of all our keys: a key
    /// that has taken over since says what the one before it said.
    pub async fn of_size(&self, size: u64) -> Result<Option<Signed>, Error> {
        let Some(kept) = checkpoints::of_size(self.db.reader().conn(), size).await? else { return Ok(None) };
        if let Ok(signed) = self.keys.restore(&kept)
            && self.keys.is_complete(&signed)
        {
            return Ok(Some(signed));
        }
        match self.sign_again(&kept).await {
            Ok(signed) => Ok(Some(signed)),
            Err(Failure::Trouble(trouble @ Trouble::Foreign)) => Err(Error::internal(trouble)),
            Err(Failure::Trouble(trouble)) => Err(self.stop(trouble)),
            Err(Failure::Error(error)) => Err(error),
        }
    }

    /// Nothing new is said: the database continues both this checkpoint and the newest, so this one is of the same history.
    async fn sign_again(&self, kept: &Kept) -> Result<Signed, Failure> {
        let newest = self.newest().await?;
        let snapshot = self.db.snapshot().await?;
        let keys = kin(snapshot.conn(), &self.keys.verifiers()).await?;
        let signed = self.keys.restore_of(kept, &[keys.trusted, keys.retired].concat())?;
        let head = tiles::head(snapshot.conn()).await?;
        for checkpoint in [&newest.checkpoint, &signed.checkpoint] {
            continues(snapshot.conn(), checkpoint, &head).await?;
        }
        Ok(self.keys.complete(&signed)?)
    }
}
