-- What POST /v1/activities asks of PostgreSQL: where the unit stands, the campaign, whether the unit existed.
-- as the service sends them for one request alone: what is written travels in one statement, which commits by itself
\set a random(1, 9000000000000000)
\set b random(1, 9000000000000000)
\set now 1800000000000000
SELECT (EXISTS (SELECT 1 FROM revocation r WHERE r.sid = :sid AND (r.expires_at IS NULL OR r.expires_at > :now::bigint))
  OR EXISTS (SELECT 1 FROM revocation r WHERE r.jti = :jti AND (r.expires_at IS NULL OR r.expires_at > :now::bigint))
  OR EXISTS (SELECT 1 FROM revocation r WHERE r.account_id = a.id AND r.issued_before > :now::bigint AND (r.expires_at IS NULL OR r.expires_at > :now::bigint)))
  AS revoked, a.id, g.role, g.unit_id FROM (SELECT 1 AS one) asked
  LEFT JOIN account a ON a.issuer = :issuer AND a.subject = :subject AND a.state = 'active'
  LEFT JOIN role_grant g ON g.account_id = a.id AND g.valid_from <= CURRENT_DATE AND (g.valid_to IS NULL OR g.valid_to >= CURRENT_DATE)
  ORDER BY g.id;
SELECT descendant_id AS unit_id, ancestor_id, NULL AS kind, valid_from, valid_to FROM unit_closure
  WHERE descendant_id IN (:unit::uuid) AND effective_from <= CURRENT_DATE
  UNION ALL SELECT unit_id, NULL, value, valid_from, valid_to FROM unit_attribute WHERE attribute = 'kind' AND unit_id IN (:unit::uuid);
SELECT id, version, tip, commitments, created_at, updated_at, code, title, starts_on, ends_on, owner_unit_id, definition, rule_sets, units FROM campaign WHERE id = :campaign::uuid LIMIT 1;
SELECT id FROM unit WHERE id IN (:unit::uuid) AND exists_from <= '2023-03-15' AND (exists_to IS NULL OR exists_to >= '2023-03-15');
WITH w0 AS (INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, corr_id, at, day, leaf, leaf_hash)
  SELECT md5('e' || :a || '-' || :b)::uuid, 'activity', md5('r' || :a || '-' || :b)::uuid, 1, 'activity.reported', :account::uuid, :unit::uuid, :campaign::uuid, '4ab7a699b7b24b4dfccb53754ad9698f', :now::bigint, '2023-03-15', leaf, sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))
  FROM (SELECT '{"actor":{"id":"' || :account || '","kind":"account"},"at":"2026-11-01T00:00:00.000000Z","changes":{"beneficiary_area":[null,"poor_person"],"campaign_id":[null,"' || :campaign || '"],"cash_vnd":[null,0],"clause_kind":[null,"II.b"],"evidence":[null,[]],"held_on":[null,"2023-03-15"],"households_helped":[null,1],"in_kind_vnd":[null,0],"labour_days":[null,0],"pupils_helped":[null,0],"resources":[null,[]],"state":[null,"draft"],"support_kind":[null,"technique"],"title":{"$c":[null,"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"]},"unit_id":[null,"' || :unit || '"],"written_by":[null,"' || :account || '"]},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":' || 'null,"scope":"' || :campaign || '","stream":"activity/' || md5('r' || :a || '-' || :b)::uuid || '","type":"activity.reported","unit":"' || :unit || '","v":' || '1,"ver":' || '1}' AS leaf) said RETURNING 1),
w1 AS (INSERT INTO audit_disclosure (event_id, path, stream_id, subject_id, salt, value)
  VALUES (md5('e' || :a || '-' || :b)::uuid, 'title', md5('r' || :a || '-' || :b)::uuid, md5('r' || :a || '-' || :b)::uuid, 'c2FsdHNhbHRzYWx0c2FsdA', '"Tập huấn nuôi cá lồng"') RETURNING 1),
w2 AS (INSERT INTO activity (id, version, tip, commitments, created_at, updated_at, campaign_id, unit_id, clause_kind, support_kind, held_on, title, resources, cash_vnd, in_kind_vnd, labour_days, households_helped, pupils_helped, beneficiary_area, evidence, state, written_by)
  VALUES (md5('r' || :a || '-' || :b)::uuid, 1, sha256('\x00'::bytea || convert_to('{"actor":{"id":"' || :account || '","kind":"account"},"at":"2026-11-01T00:00:00.000000Z","changes":{"beneficiary_area":[null,"poor_person"],"campaign_id":[null,"' || :campaign || '"],"cash_vnd":[null,0],"clause_kind":[null,"II.b"],"evidence":[null,[]],"held_on":[null,"2023-03-15"],"households_helped":[null,1],"in_kind_vnd":[null,0],"labour_days":[null,0],"pupils_helped":[null,0],"resources":[null,[]],"state":[null,"draft"],"support_kind":[null,"technique"],"title":{"$c":[null,"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"]},"unit_id":[null,"' || :unit || '"],"written_by":[null,"' || :account || '"]},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":' || 'null,"scope":"' || :campaign || '","stream":"activity/' || md5('r' || :a || '-' || :b)::uuid || '","type":"activity.reported","unit":"' || :unit || '","v":' || '1,"ver":' || '1}', 'UTF8')), '{"title":"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"}', :now::bigint, :now::bigint, :campaign::uuid, :unit::uuid, 'II.b', 'technique', '2023-03-15', 'Tập huấn nuôi cá lồng', '[]', 0, 0, 0, 1, 0, 'poor_person', '[]', 'draft', :account::uuid) RETURNING 1),
w3 AS (INSERT INTO search_entry (record_id, stream_type, sort_key) VALUES (md5('r' || :a || '-' || :b)::uuid, 'activity', decode(repeat('2a', 40), 'hex')) RETURNING 1),
w4 AS (INSERT INTO search_word (stream_type, word, record_id) SELECT 'activity', value, md5('r' || :a || '-' || :b)::uuid FROM jsonb_array_elements_text('["ca","huan","long","nuoi","tap"]') RETURNING 1),
w5 AS (INSERT INTO idempotency (actor_id, operation, idempotency_key, payload_hash, created_at, status, location, etag, body)
  VALUES (:account::uuid, 'report_activity', :a || '-' || :b, sha256('payload'), :now::bigint, 201, '/v1/x', '"1.0123456789abcdef"', repeat('x', 700)) RETURNING 1)
SELECT (SELECT count(*) FROM w0) + (SELECT count(*) FROM w1) + (SELECT count(*) FROM w2) + (SELECT count(*) FROM w3) + (SELECT count(*) FROM w4) + (SELECT count(*) FROM w5) AS changed;
