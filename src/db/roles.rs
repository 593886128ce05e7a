//! Database roles (PostgreSQL). Triggers refuse what nobody may do; roles refuse what one part of the service has no
//! business doing: the application can neither seal nor erase, the sealer knows nothing of the rooms, the eraser alone
//! deletes what was disclosed. An owner or a superuser can undo all of it, which checkpoints show.
//!
//! Roles belong to the cluster, so whoever runs it makes them; `thidua migrate` gives them their rights.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement};

use super::Db;
use super::constraint::translate;
use crate::error::Error;
use crate::rooms;

/// As whom the service connects: one URL for everything, or others for what the application may not do.
#[derive(Clone)]
pub struct Urls {
    /// Where the database is, as the application.
    pub app: String,
    /// The same database as the sealer.
    pub sealer: Option<String>,
    /// The same database as the eraser.
    pub eraser: Option<String>,
    /// Another database, that of subjects' keys.
    pub keys: Option<String>,
}

/// Names of the variables, for whoever has to set them.
pub const SEALER_URL: &str = "THIDUA_SEALER_DATABASE_URL";
/// See [`SEALER_URL`].
pub const ERASER_URL: &str = "THIDUA_ERASER_DATABASE_URL";

impl From<&str> for Urls {
    fn from(url: &str) -> Self {
        Self { app: url.to_owned(), sealer: None, eraser: None, keys: None }
    }
}

impl From<&String> for Urls {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl Urls {
    /// Those that are not there.
    pub fn missing(&self) -> Vec<&'static str> {
        let all = [(&self.sealer, SEALER_URL), (&self.eraser, ERASER_URL)];
        all.into_iter().filter(|(url, _)| url.is_none()).map(|(_, name)| name).collect()
    }

    /// An embedded database is a file: whoever opens it may do everything.
    pub(super) fn refuse_roles(&self) -> Result<(), Error> {
        if self.missing().len() == 2 {
            return Ok(());
        }
        Err(Error::internal(format!(
            "{SEALER_URL} and {ERASER_URL} are for PostgreSQL: an embedded database has no roles"
        )))
    }
}

/// Who gets rights.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Serves requests: `THIDUA_DATABASE_URL`.
    pub app: String,
    /// Gives positions and keeps what is signed.
    pub sealer: String,
    /// A person who reads the log in SQL.
    pub auditor: String,
    /// Erases personal values.
    pub eraser: String,
}

impl Roles {
    /// In the order of [`Rights`].
    pub fn names(&self) -> [&str; 4] {
        [&self.app, &self.sealer, &self.auditor, &self.eraser]
    }
}

/// What application, sealer, auditor and eraser may do with a table, in the words of GRANT.
pub type Rights = [&'static [&'static str]; 4];

const NOTHING: &[&str] = &[];
const READ: &[&str] = &["SELECT"];
const ADD: &[&str] = &["SELECT", "INSERT"];
const CHANGE: &[&str] = &["SELECT", "INSERT", "UPDATE"];
const RENEW: &[&str] = &["SELECT", "INSERT", "DELETE"];
const MOVE: &[&str] = &["SELECT", "UPDATE"];
const TAKE: &[&str] = &["SELECT", "DELETE"];
/// Which version a record has: the guards of quarantine ask that, as whoever writes there.
const VERSION: &[&str] = &["SELECT (id, version)"];
/// Of what was disclosed, that it was and where.
const UNSEEN: &[&str] = &["SELECT (event_id, path, stream_id, subject_id)"];

/// Every table but those of the records that are changed in the usual way ([`rights`]).
pub const TABLES: &[(&str, Rights)] = &[
    ("audit_inbox", [ADD, TAKE, READ, ADD]),
    ("audit_event", [READ, ADD, READ, READ]),
    ("audit_head", [READ, MOVE, READ, NOTHING]),
    ("audit_tile", [READ, ADD, READ, NOTHING]),
    ("audit_span", [READ, ADD, READ, NOTHING]),
    ("audit_quarantine", [READ, ADD, READ, NOTHING]),
    ("audit_checkpoint", [READ, ADD, READ, NOTHING]),
    ("audit_signature", [READ, ADD, READ, NOTHING]),
    ("audit_disclosure", [ADD, NOTHING, UNSEEN, RENEW]),
    ("document", [ADD, NOTHING, NOTHING, NOTHING]),
    ("idempotency", [&["SELECT", "INSERT", "UPDATE", "DELETE"], NOTHING, NOTHING, CHANGE]),
    ("instance", [ADD, NOTHING, NOTHING, NOTHING]),
    ("unit_attribute", [RENEW, NOTHING, NOTHING, NOTHING]),
    ("unit_closure", [RENEW, NOTHING, NOTHING, NOTHING]),
    ("search_entry", [RENEW, NOTHING, NOTHING, RENEW]),
    ("search_word", [RENEW, NOTHING, NOTHING, RENEW]),
    ("derived", [READ, NOTHING, NOTHING, NOTHING]),
    ("seaql_migrations", [READ, NOTHING, NOTHING, NOTHING]),
    // Records that nobody changes, but that they are erased.
    ("log_key", [ADD, VERSION, NOTHING, READ]),
    ("export", [ADD, VERSION, NOTHING, READ]),
    ("disclosure", [ADD, VERSION, NOTHING, READ]),
    ("erasure", [READ, VERSION, NOTHING, CHANGE]),
];

/// Who may do what with this table; nothing if it is none of ours.
pub fn rights(table: &str) -> Option<Rights> {
    let named = TABLES.iter().find(|(name, _)| *name == table).map(|(_, rights)| *rights);
    named.or_else(|| {
        let kind = rooms::kinds().find(|kind| kind.stream == table)?;
        Some([CHANGE, VERSION, NOTHING, if kind.is_personal() { MOVE } else { READ }])
    })
}

/// Every table of ours, by name.
pub fn tables() -> Vec<&'static str> {
    let mut all: Vec<&str> =
        TABLES.iter().map(|(name, _)| *name).chain(rooms::kinds().map(|kind| kind.stream)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What sets the rights of these roles, whatever they were before.
pub fn statements(roles: &Roles) -> Vec<String> {
    let names = roles.names().map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let all = names.join(", ");
    let mut sql = vec![
        format!("GRANT USAGE ON SCHEMA public TO {all}"),
        format!("REVOKE ALL ON SEQUENCE public.audit_inbox_inbox_id_seq FROM PUBLIC, {all}"),
    ];
    for table in tables() {
        sql.push(format!("REVOKE ALL ON TABLE public.{table} FROM PUBLIC, {all}"));
        let given = rights(table).into_iter().flatten().zip(&names).filter(|(words, _)| !words.is_empty());
        sql.extend(given.map(|(words, name)| format!("GRANT {} ON TABLE public.{table} TO {name}", words.join(", "))));
    }
    sql
}

/// As whom a role may act that may more than any of ours, whether it inherits that or has to ask for it (`SET ROLE`): itself
/// or another that is above the rights of tables, or owns what they stand in, or is one of `others`.
const ACTS_AS: &str = "SELECT r.rolname::text AS name FROM pg_roles me, pg_roles r \
    WHERE me.rolname = $1::name AND pg_has_role(me.oid, r.oid, 'MEMBER') AND (r.rolsuper OR r.rolcreaterole OR r.rolreplication \
    OR r.rolbypassrls OR r.rolname LIKE 'pg\\_read\\_%' OR r.rolname LIKE 'pg\\_write\\_%' OR r.rolname LIKE 'pg\\_execute\\_%' \
    OR r.rolname IN ('pg_maintain', 'pg_create_subscription') \
    OR r.oid IN (SELECT datdba FROM pg_database WHERE datname = current_database()) \
    OR r.oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'public') \
    OR r.oid IN (SELECT relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace) \
    OR r.oid IN (SELECT proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace) \
    OR r.oid <> me.oid AND r.rolname::text = ANY(string_to_array($2, E'\\n'))) ORDER BY r.oid <> me.oid, 1 LIMIT 1";

async fn acts_as(conn: &impl ConnectionTrait, role: &str, others: &[&str]) -> Result<Option<String>, Error> {
    let values = [role.into(), others.join("\n").into()];
    let row = conn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, ACTS_AS, values)).await;
    row.map_err(translate)?.map(|row| row.try_get("", "name").map_err(translate)).transpose()
}

/// Gives these roles their rights, and looks whether they have no others: as an owner, a superuser, or by membership.
pub(super) async fn grant(tx: &DatabaseTransaction, roles: &Roles) -> Result<(), Error> {
    for sql in statements(roles) {
        tx.execute_unprepared(&sql).await.map_err(translate)?;
    }
    for (n, role) in roles.names().into_iter().enumerate() {
        if let Some(more) = beyond(tx, role, n).await? {
            return Err(Error::internal(format!(
                "the role {role} may {more} as well, as an owner, a superuser, another role's member or that role"
            )));
        }
        if let Some(other) = acts_as(tx, role, &roles.names()).await? {
            let how = if other == role { "by itself".to_owned() } else { format!("as {other}") };
            return Err(Error::internal(format!("the role {role} may do more than the rights of tables say, {how}")));
        }
    }
    Ok(())
}

/// What the role may do and should not.
async fn beyond(conn: &impl ConnectionTrait, role: &str, place: usize) -> Result<Option<String>, Error> {
    let sql = "SELECT c.relname::text AS name, word, CASE WHEN word IN ('DELETE', 'TRUNCATE', 'TRIGGER') \
               THEN has_table_privilege($1::name, c.oid, word) ELSE has_any_column_privilege($1::name, c.oid, word) END AS part, \
               has_table_privilege($1::name, c.oid, word) AS whole FROM pg_class c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', \
               'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS word \
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [role.into()]);
    for row in conn.query_all_raw(statement).await.map_err(translate)? {
        let text = |column| row.try_get::<String>("", column).map_err(translate);
        let flag = |column| row.try_get::<bool>("", column).map_err(translate);
        let (table, word) = (text("name")?, text("word")?);
        let Some(rights) = rights(&table) else { continue };
        let whole = rights[place].contains(&word.as_str());
        let part = whole || rights[place].iter().any(|right| right.starts_with(&format!("{word} (")));
        if flag("whole")? && !whole || flag("part")? && !part {
            return Ok(Some(format!("{word} {table}")));
        }
    }
    Ok(None)
}

/// That another URL leads to the same database: a sealer elsewhere would leave the log where it is, without a word.
pub(super) async fn same_database(
    one: &DatabaseConnection,
    other: &DatabaseConnection,
    name: &str,
) -> Result<(), Error> {
    let place = async |conn: &DatabaseConnection| -> Result<String, Error> {
        let sql = "SELECT format('%s %s', current_database(), extract(epoch FROM pg_postmaster_start_time())) AS place";
        let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map_err(translate)?;
        let row = row.ok_or_else(|| Error::internal("a query without FROM has a row"))?;
        row.try_get("", "place").map_err(translate)
    };
    if place(one).await? == place(other).await? {
        return Ok(());
    }
    Err(Error::internal(format!("{name} leads to another database than THIDUA_DATABASE_URL")))
}

/// True if this session is answered before its COMMIT is on the disk.
async fn forgets(conn: &impl ConnectionTrait) -> Result<bool, Error> {
    let sql = "SELECT current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off' AS may";
    let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    let row = row.map_err(translate)?.ok_or_else(|| Error::internal("a query without FROM has a row"))?;
    row.try_get("", "may").map_err(translate)
}

impl Db {
    /// True if the server answers a COMMIT of any of our roles before it is on its disk.
    pub async fn may_forget_commits(&self) -> Result<bool, Error> {
        let (keeper, eraser) = (self.keeper(), self.as_eraser().reader());
        if keeper.get_database_backend() != DbBackend::Postgres {
            return Ok(false);
        }
        let reader = self.reader();
        Ok(forgets(reader.conn()).await? || forgets(&keeper).await? || forgets(eraser.conn()).await?)
    }

    /// True if the application could write the log, or delete what was disclosed, without the other roles.
    pub async fn may_do_everything(&self) -> Result<bool, Error> {
        let reader = self.reader();
        if reader.conn().get_database_backend() != DbBackend::Postgres {
            return Ok(false);
        }
        let sql = "SELECT current_user::text AS me, has_table_privilege('public.audit_event', 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') \
                   OR has_table_privilege('public.audit_head', 'UPDATE') \
                   OR has_table_privilege('public.audit_disclosure', 'DELETE') AS may";
        let row = reader.conn().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        let row = row.map_err(translate)?.ok_or_else(|| Error::internal("a query without FROM has a row"))?;
        let me: String = row.try_get("", "me").map_err(translate)?;
        Ok(row.try_get("", "may").map_err(translate)? || acts_as(reader.conn(), &me, &[]).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sealer_writes_the_log_and_only_the_eraser_deletes_what_was_disclosed() {
        for table in tables() {
            let [app, sealer, auditor, eraser] = rights(table).unwrap();
            let deletes = |words: &[&str]| words.contains(&"DELETE");
            assert!(auditor.iter().all(|word| word.starts_with("SELECT")), "{table}");
            if table.starts_with("audit_") {
                let writes = |words: &[&str]| words.iter().any(|word| !word.starts_with("SELECT") && *word != "INSERT");
                assert!(!writes(app), "{table}");
                assert!(!app.contains(&"INSERT") || ["audit_inbox", "audit_disclosure"].contains(&table), "{table}");
                assert_eq!(deletes(sealer), table == "audit_inbox", "{table}");
                assert_eq!(deletes(eraser), table == "audit_disclosure", "{table}");
            } else {
                assert!(sealer.is_empty() || sealer == VERSION, "{table}");
            }
        }
    }

    #[test]
    fn a_name_is_quoted() {
        let name = |text: &str| text.to_owned();
        let roles = Roles { app: name("a\"b"), sealer: name("s"), auditor: name("o"), eraser: name("e") };
        let all = statements(&roles);
        assert_eq!(all[0], "GRANT USAGE ON SCHEMA public TO \"a\"\"b\", \"s\", \"o\", \"e\"");
        assert!(all.contains(&"GRANT SELECT, DELETE ON TABLE public.audit_inbox TO \"s\"".to_owned()));
    }
}
