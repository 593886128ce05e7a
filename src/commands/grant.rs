//! `thidua grant`: the first administrator, and whoever the operator lets in at the console.

use std::process::ExitCode;

use clap::Args;
use uuid::Uuid;

use crate::auth::Role;
use crate::clock::{civil_date, now};
use crate::config::DatabaseArgs;
use crate::db::{Actor, Context, Db, Outcome, WriteTx};
use crate::error::Error;
use crate::grants::{GrantDraft, store};
use crate::{canonical, id};

/// A role for an account.
#[derive(Args)]
pub struct GrantArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The token's `iss`.
    #[arg(long)]
    issuer: String,
    /// The token's `sub`.
    #[arg(long)]
    subject: String,
    /// The role, e.g. `administrator`.
    #[arg(long, value_parser = role)]
    role: Role,
    /// The unit whose subtree the role reaches.
    #[arg(long)]
    unit: Option<Uuid>,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("one of {}", known.join(", "))
    })
}

/// Gives the role.
pub async fn run(args: GrantArgs) -> Result<ExitCode, Error> {
    let db = Db::connect(args.database.of_one_that_is_there()?).await?;
    super::require_migrated(&db).await?;
    let draft = GrantDraft {
        issuer: args.issuer,
        subject: args.subject,
        label: None,
        role: args.role,
        unit: args.unit,
        valid_from: None,
        valid_to: None,
    };
    let account = give(&db, &draft).await?;
    db.close().await;
    super::say(format_args!("{account} is now {}", draft.role))?;
    Ok(ExitCode::SUCCESS)
}

/// The context of an act at the console.
pub fn console() -> Context {
    Context { actor: Actor::Console, at: now(), request_id: canonical::hex(&id::random::<16>()) }
}

/// Gives the role as an event of the console; a role that is held already is not given twice.
pub async fn give(db: &Db, draft: &GrantDraft) -> Result<Uuid, Error> {
    let context = console();
    let today = civil_date(context.at);
    draft.check(today)?;
    db.record(&context, async |tx: &WriteTx<'_>| {
        let account = store::account_for(tx, draft).await?;
        let wanted = crate::auth::Held { role: draft.role, unit: draft.unit };
        if store::holds(tx.conn(), account.id, &wanted, today).await? {
            return Ok(Outcome::Unchanged(account.id));
        }
        store::give(tx, account.id, draft, today).await?;
        Ok(Outcome::Changed(account.id))
    })
    .await
}
