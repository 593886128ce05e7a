//! What a leaf must be for the columns beside it: the condition under which an event can be sealed, in SQL.
//!
//! A leaf is its own reconstruction out of the columns and of the few parts that only it has. That one comparison says
//! at once that it is JSON, that its members are the known ones in canonical order, each once, without spaces, and that
//! the columns do not lie. It is made once, when an event enters the inbox, and kept in `true_to_leaf`: the guards read
//! it, so that no row can change on an event that would never enter the log, and so does the sealer.

/// Columns that have to say the same as the leaf.
const COLUMNS: &str = "leaf, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id";

/// The value of `true_to_leaf` on SQLite.
pub fn sqlite() -> String {
    let same = same(&sqlite_uuid, &|part| format!("(leaf -> '$.{part}')"));
    format!("CASE WHEN json_valid(leaf) THEN coalesce(leaf = {same}, 0) ELSE 0 END")
}

/// The value of `true_to_leaf` on PostgreSQL.
pub fn postgres() -> String {
    format!("audit_true_to_leaf({COLUMNS})")
}

/// Reads the leaf once; what cannot be read (no JSON, nested too deeply) is true to nothing.
pub fn postgres_function() -> String {
    let same = same(&str::to_owned, &|part| format!("coalesce(doc_{part}::text, 'null')"));
    format!(
        "CREATE FUNCTION audit_true_to_leaf(leaf text, event_id uuid, stream_type text, stream_id uuid, stream_ver bigint,
  event_type text, actor_id uuid, unit_id uuid, scope_id uuid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE doc_at json; doc_changes json; doc_corr json; doc_prev json; doc_reason json;
BEGIN
  SELECT doc.at, doc.changes, doc.corr, doc.prev, doc.reason INTO doc_at, doc_changes, doc_corr, doc_prev, doc_reason
    FROM json_to_record(leaf::json) AS doc(at json, changes json, corr json, prev json, reason json);
  RETURN leaf = {same};
EXCEPTION WHEN OTHERS THEN RETURN false;
END $$"
    )
}

fn same(uuid: &dyn Fn(&str) -> String, part: &dyn Fn(&str) -> String) -> String {
    let or_null =
        |column: &str| format!("CASE WHEN {column} IS NULL THEN 'null' ELSE '\"' || {} || '\"' END", uuid(column));
    [
        "'{\"actor\":{\"id\":'".to_owned(),
        or_null("actor_id"),
        "',\"kind\":\"' || CASE WHEN actor_id IS NULL THEN 'console' ELSE 'account' END || '\"},\"at\":'".to_owned(),
        part("at"),
        "',\"changes\":'".to_owned(),
        part("changes"),
        "',\"corr\":'".to_owned(),
        part("corr"),
        "',\"id\":\"'".to_owned(),
        uuid("event_id"),
        "'\",\"prev\":'".to_owned(),
        part("prev"),
        "',\"reason\":'".to_owned(),
        part("reason"),
        "',\"scope\":'".to_owned(),
        or_null("scope_id"),
        "',\"stream\":\"' || stream_type || '/'".to_owned(),
        uuid("stream_id"),
        "'\",\"type\":\"' || event_type || '\",\"unit\":'".to_owned(),
        or_null("unit_id"),
        "',\"v\":1,\"ver\":' || stream_ver || '}'".to_owned(),
    ]
    .join(" || ")
}

/// Sixteen bytes as a UUID is written.
fn sqlite_uuid(column: &str) -> String {
    let groups = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)];
    let groups = groups.map(|(first, length)| format!("substr(hex({column}), {first}, {length})"));
    format!("lower({})", groups.join(" || '-' || "))
}
