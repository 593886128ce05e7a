//! One key of the log takes over from another, as an event of the console.

use super::Keys;
use super::store;
use crate::db::{Context, Db, Outcome, WriteTx};
use crate::error::Error;
use crate::log::anchor::Anchor;
use crate::log::proof::key::SigningKey;
use crate::log::proof::rotation::Rotation;
use crate::log::signer::Signer;
use crate::log::tiles;

/// Records that `new` takes over from `old`, at a checkpoint that the old key signs for it. The database has to be the
/// one that was signed: a key is handed on with its own history only.
pub async fn rotate(
    db: &Db,
    context: &Context,
    old: SigningKey,
    new: &SigningKey,
    anchor: Anchor,
) -> Result<Rotation, Error> {
    let again = SigningKey::from_skey(&old.to_skey().map_err(Error::internal)?).map_err(Error::internal)?;
    let signer = Signer::new(db.clone(), Keys::new(vec![again], anchor, None).map_err(Error::internal)?);
    signer.start().await?;
    if let Some(trouble) = signer.trouble() {
        return Err(Error::internal(trouble.to_string()));
    }
    db.settle().await?;
    let size = tiles::head(db.reader().conn()).await?.size();
    let signed = signer.covering(size).await?;
    let rotation = Rotation::new(old.verifier(), new.verifier(), &signed.checkpoint).map_err(Error::internal)?;
    let statement = rotation.sign(&old, new).map_err(Error::internal)?;
    db.record(context, async |tx: &WriteTx<'_>| {
        store::rotate(tx, &rotation, &statement).await?;
        Ok(Outcome::Changed(()))
    })
    .await?;
    db.settle().await?;
    Ok(rotation)
}
