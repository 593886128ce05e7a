//! The guards of the log itself, for each engine.
//!
//! The log refuses UPDATE, DELETE and TRUNCATE. An event enters it from the inbox, unchanged, at the next position. An
//! inbox row leaves only once its event stands in the log, or in quarantine, which takes nothing that a row of an
//! audited table stands on (the triggers for that are attached in [`audited`](crate::audited)).

use sea_orm_migration::sea_orm::DbBackend;

/// The statements for this engine.
pub fn script(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { SQLITE } else { POSTGRES }
}

/// On SQLite the sealer and the writer share a transaction, so a trigger cannot ask who moves an event; it asks what
/// would be left behind. What cannot be read back (an id of another length, a day that is none) would stop the sealer
/// for everybody and is refused at the door; PostgreSQL's types do that.
const SQLITE: &str = r#"CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event never changes'); END
;;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event is never deleted'); END
;;
CREATE TRIGGER audit_event_from_inbox BEFORE INSERT ON audit_event BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event enters the log from the inbox, once, at the next position')
  WHERE NEW.seq <> coalesce((SELECT max(seq) FROM audit_event), -1) + 1
     OR EXISTS (SELECT 1 FROM audit_event WHERE event_id = NEW.event_id
                OR (stream_id = NEW.stream_id AND stream_ver = NEW.stream_ver))
     OR NOT EXISTS (SELECT 1 FROM audit_inbox i WHERE i.event_id = NEW.event_id AND i.leaf = NEW.leaf AND i.true_to_leaf
                    AND i.stream_type = NEW.stream_type AND i.stream_id = NEW.stream_id AND i.stream_ver = NEW.stream_ver
                    AND i.event_type = NEW.event_type AND i.actor_id IS NEW.actor_id AND i.unit_id IS NEW.unit_id
                    AND i.scope_id IS NEW.scope_id AND i.corr_id IS NEW.corr_id AND i.at = NEW.at AND i.day = NEW.day); END
;;
CREATE TRIGGER audit_inbox_no_update BEFORE UPDATE ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event never changes'); END
;;
CREATE TRIGGER audit_inbox_sealed_delete BEFORE DELETE ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an unsealed event is never deleted')
  WHERE NOT EXISTS (SELECT 1 FROM audit_event WHERE event_id = OLD.event_id AND leaf = OLD.leaf)
    AND NOT EXISTS (SELECT 1 FROM audit_quarantine WHERE event_id = OLD.event_id AND leaf = OLD.leaf); END
;;
CREATE TRIGGER audit_inbox_readable BEFORE INSERT ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event must be readable')
  WHERE length(NEW.event_id) <> 16 OR length(NEW.stream_id) <> 16 OR length(coalesce(NEW.actor_id, NEW.event_id)) <> 16
     OR length(coalesce(NEW.unit_id, NEW.event_id)) <> 16 OR length(coalesce(NEW.scope_id, NEW.event_id)) <> 16
     OR date(NEW.day) IS NOT NEW.day
     OR NEW.stream_type || NEW.event_type || coalesce(NEW.corr_id, '') GLOB '*[^ -~]*'; END
;;
CREATE TRIGGER audit_inbox_next_version BEFORE INSERT ON audit_inbox BEGIN
  SELECT RAISE(ABORT, 'audit guard: an event must carry the next version of its record')
  WHERE EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = NEW.event_id OR inbox_id = NEW.inbox_id)
     OR EXISTS (SELECT 1 FROM audit_event WHERE event_id = NEW.event_id)
     OR EXISTS (SELECT 1 FROM audit_event WHERE stream_id = NEW.stream_id AND stream_ver >= NEW.stream_ver)
     OR EXISTS (SELECT 1 FROM audit_inbox WHERE stream_id = NEW.stream_id AND stream_ver >= NEW.stream_ver); END
;;
CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: the head follows the log')
  WHERE NEW.size <> (SELECT coalesce(max(seq), -1) + 1 FROM audit_event) OR NEW.log_id <> OLD.log_id; END
;;
CREATE TRIGGER audit_head_one BEFORE INSERT ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: there is one head') WHERE EXISTS (SELECT 1 FROM audit_head); END
;;
CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN
  SELECT RAISE(ABORT, 'audit guard: the head is never deleted'); END
;;
CREATE TRIGGER audit_quarantine_from_inbox BEFORE INSERT ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine takes from the inbox, once')
  WHERE EXISTS (SELECT 1 FROM audit_quarantine WHERE event_id = NEW.event_id)
     OR NOT EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = NEW.event_id AND leaf = NEW.leaf); END
;;
CREATE TRIGGER audit_quarantine_no_update BEFORE UPDATE ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine never changes'); END
;;
CREATE TRIGGER audit_quarantine_no_delete BEFORE DELETE ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: quarantine never changes'); END
;;
CREATE TRIGGER audit_disclosure_no_update BEFORE UPDATE ON audit_disclosure BEGIN
  SELECT RAISE(ABORT, 'audit guard: a disclosure is deleted, never changed'); END
;;
CREATE TRIGGER audit_disclosure_no_replace BEFORE INSERT ON audit_disclosure BEGIN
  SELECT RAISE(ABORT, 'audit guard: a disclosure is deleted, never changed')
  WHERE EXISTS (SELECT 1 FROM audit_disclosure WHERE event_id = NEW.event_id AND path = NEW.path); END"#;

/// A row changes only in the transaction that wrote its event, which the sealer would take (`true_to_leaf`), and
/// only if the log has neither that event nor that version already.
const POSTGRES: &str = r#"CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'audit guard: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'TD001'; END $$
;;
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE event uuid;
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'audit guard: % is never deleted from', TG_TABLE_NAME USING ERRCODE = 'TD001';
  END IF;
  SELECT event_id INTO event FROM public.audit_inbox WHERE xid = pg_current_xact_id() AND stream_id = NEW.id
    AND stream_ver = NEW.version AND stream_type = TG_TABLE_NAME AND leaf_hash = NEW.tip AND true_to_leaf;
  IF event IS NULL
     OR TG_OP = 'INSERT' AND NEW.version <> 1
     OR TG_OP = 'UPDATE' AND (NEW.id <> OLD.id OR NEW.version <> OLD.version + 1)
     OR EXISTS (SELECT 1 FROM public.audit_event WHERE stream_id = NEW.id AND stream_ver >= NEW.version)
     OR EXISTS (SELECT 1 FROM public.audit_event WHERE event_id = event) THEN
    RAISE EXCEPTION 'audit guard: % changed without its event', TG_TABLE_NAME USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
CREATE FUNCTION audit_inbox_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM public.audit_event WHERE event_id = OLD.event_id AND leaf = OLD.leaf)
     AND NOT EXISTS (SELECT 1 FROM public.audit_quarantine WHERE event_id = OLD.event_id AND leaf = OLD.leaf) THEN
    RAISE EXCEPTION 'audit guard: an unsealed event is never deleted' USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
CREATE FUNCTION audit_head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size <> (SELECT coalesce(max(seq), -1) + 1 FROM public.audit_event) OR NEW.log_id <> OLD.log_id THEN
    RAISE EXCEPTION 'audit guard: the head follows the log' USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
CREATE FUNCTION audit_event_from_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM fresh f WHERE NOT EXISTS (SELECT 1 FROM public.audit_inbox i
       WHERE i.event_id = f.event_id AND i.leaf = f.leaf AND i.true_to_leaf
         AND (i.stream_type, i.stream_id, i.stream_ver, i.event_type, i.actor_id, i.unit_id, i.scope_id, i.corr_id, i.at, i.day)
             IS NOT DISTINCT FROM
             (f.stream_type, f.stream_id, f.stream_ver, f.event_type, f.actor_id, f.unit_id, f.scope_id, f.corr_id, f.at, f.day)))
     OR EXISTS (SELECT 1 FROM (SELECT min(seq) AS first, max(seq) AS last, count(*) AS n FROM fresh) f
                WHERE f.first <> (SELECT size FROM public.audit_head WHERE log_id = 1) OR f.last <> f.first + f.n - 1) THEN
    RAISE EXCEPTION 'audit guard: an event enters the log from the inbox, once, at the next position' USING ERRCODE = 'TD001';
  END IF;
  RETURN NULL;
END $$
;;
CREATE FUNCTION audit_quarantine_from_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM public.audit_inbox
                 WHERE event_id = NEW.event_id AND leaf = NEW.leaf AND xid <> pg_current_xact_id()) THEN
    RAISE EXCEPTION 'audit guard: quarantine takes from the inbox, once' USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
CREATE FUNCTION audit_quarantine_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE stands boolean;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.audit_inbox i JOIN public.%I r ON r.id = i.stream_id '
    'WHERE i.event_id = $1 AND i.stream_type = $2 AND r.version >= i.stream_ver AND NOT EXISTS '
    '(SELECT 1 FROM public.audit_event e WHERE e.stream_id = i.stream_id AND e.stream_ver = i.stream_ver))', TG_ARGV[0])
    INTO stands USING NEW.event_id, TG_ARGV[0];
  IF stands THEN
    RAISE EXCEPTION 'audit guard: a row of % stands on this event', TG_ARGV[0] USING ERRCODE = 'TD001';
  END IF;
  RETURN NEW;
END $$
;;
CREATE FUNCTION audit_inbox_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.xid := pg_current_xact_id(); RETURN NEW; END $$
;;
CREATE TRIGGER audit_quarantine_from_inbox BEFORE INSERT ON audit_quarantine FOR EACH ROW EXECUTE FUNCTION audit_quarantine_from_inbox()
;;
CREATE TRIGGER audit_inbox_own BEFORE INSERT ON audit_inbox FOR EACH ROW EXECUTE FUNCTION audit_inbox_own()
;;
CREATE TRIGGER audit_event_from_inbox AFTER INSERT ON audit_event REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION audit_event_from_inbox()
;;
CREATE TRIGGER audit_event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
CREATE TRIGGER audit_inbox_no_change BEFORE UPDATE OR TRUNCATE ON audit_inbox FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
CREATE TRIGGER audit_inbox_sealed_delete AFTER DELETE ON audit_inbox FOR EACH ROW EXECUTE FUNCTION audit_inbox_sealed()
;;
CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_forward()
;;
CREATE TRIGGER audit_quarantine_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_quarantine FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
;;
CREATE TRIGGER audit_disclosure_no_change BEFORE UPDATE OR TRUNCATE ON audit_disclosure FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#;
