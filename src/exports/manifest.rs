//! What an export of leaves says of itself, signed: made by reading all of it once, kept for whoever asks again.

use aws_lc_rs::digest;

use super::content::stretch;
use super::store::export;
use crate::error::{Code, Error};
use crate::http::{App, Shared};
use crate::log::proof::manifest::{Manifest, join};
use crate::log::proof::tree::{Frontier, leaf_hash};
use crate::log::{proofs, prove};

/// The manifest of this export and the checkpoint that it ends at. Whoever leaves does not stop the work.
pub async fn of(app: &App, row: &export::Model) -> Result<String, Error> {
    let (cell, app, row) = (app.manifests.of(row.id), app.clone().into_inner(), row.clone());
    if let Some(known) = cell.get() {
        return Ok(known.clone());
    }
    let patience = app.limits.request * 4 / 5;
    let work = tokio::spawn(async move {
        let made = cell.get_or_try_init(async || make(&app, &row).await).await;
        made.cloned().inspect_err(|error| tracing::error!(%error, export = %row.id, "no manifest could be made"))
    });
    match tokio::time::timeout(patience, work).await {
        Ok(made) => made.map_err(Error::internal)?,
        Err(_) => Err(Code::Busy.into()),
    }
}

async fn make(app: &Shared, row: &export::Model) -> Result<String, Error> {
    let signer = proofs::signer(app)?;
    let number = |value: i64| u64::try_from(value).map_err(Error::internal);
    let (from, to) = (number(row.from_position)?, number(row.to_position)?);
    let signed = signer.of_size(to).await?.ok_or_else(|| Error::internal("the checkpoint of an export is missing"))?;
    let left = prove::left(app.db.reader().conn(), from, to).await?;
    let mut tree = Frontier::from_parts(from, &left.concat()).map_err(Error::internal)?;
    let (mut hash, mut bytes, mut after) = (digest::Context::new(&digest::SHA256), 0, row.from_position - 1);
    loop {
        let leaves = stretch(app, after, row.to_position).await?;
        let Some(last) = leaves.last() else { break };
        after = last.seq;
        for leaf in &leaves {
            hash.update(&leaf.leaf);
            hash.update(b"\n");
            bytes += u64::try_from(leaf.leaf.len()).map_err(Error::internal)? + 1;
            tree.push(leaf_hash(&leaf.leaf)).map_err(Error::internal)?;
        }
    }
    // Nothing is signed that the checkpoint does not hold.
    if *signed.checkpoint.root() != tree.root() {
        return Err(Error::internal("the events of an export are not those that were signed"));
    }
    let sha256 = hash.finish().as_ref().try_into().map_err(Error::internal)?;
    let (log, export) = (signer.origin().to_owned(), row.id.to_string());
    let manifest = Manifest { log, export, from, to, events: to - from, bytes, sha256, left };
    Ok(join(&signer.sign_manifest(&manifest)?, &signed.note))
}
