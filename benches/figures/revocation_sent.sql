-- What POST /v1/revocations asks of PostgreSQL: nothing is read but who calls.
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
WITH w0 AS (INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, corr_id, at, day, leaf, leaf_hash)
  SELECT md5('e' || :a || '-' || :b)::uuid, 'revocation', md5('r' || :a || '-' || :b)::uuid, 1, 'token.revoked', :account::uuid, NULL::uuid, NULL::uuid, '4ab7a699b7b24b4dfccb53754ad9698f', :now::bigint, '2026-11-01', leaf, sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))
  FROM (SELECT '{"actor":{"id":"' || :account || '","kind":"account"},"at":"2026-11-01T00:00:00.000000Z","changes":{"expires_at":[null,7258118400000000],"jti":[null,"c0ffee00-0000-4000-8000-000000000000"],"revoke_reason":{"$c":[null,"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"]}},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":{"$c":"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"},"scope":' || 'null,"stream":"revocation/' || md5('r' || :a || '-' || :b)::uuid || '","type":"token.revoked","unit":' || 'null,"v":' || '1,"ver":' || '1}' AS leaf) said RETURNING 1),
w1 AS (INSERT INTO audit_disclosure (event_id, path, stream_id, subject_id, salt, value)
  VALUES (md5('e' || :a || '-' || :b)::uuid, 'revoke_reason', md5('r' || :a || '-' || :b)::uuid, md5('r' || :a || '-' || :b)::uuid, 'c2FsdHNhbHRzYWx0c2FsdA', '"Mất máy tính"') RETURNING 1),
w2 AS (INSERT INTO audit_disclosure (event_id, path, stream_id, subject_id, salt, value)
  VALUES (md5('e' || :a || '-' || :b)::uuid, 'reason', md5('r' || :a || '-' || :b)::uuid, md5('r' || :a || '-' || :b)::uuid, 'c2FsdHNhbHRzYWx0c2FsdA', '"Mất máy tính"') RETURNING 1),
w3 AS (INSERT INTO revocation (id, version, tip, commitments, created_at, updated_at, sid, jti, account_id, issued_before, expires_at, revoke_reason)
  VALUES (md5('r' || :a || '-' || :b)::uuid, 1, sha256('\x00'::bytea || convert_to('{"actor":{"id":"' || :account || '","kind":"account"},"at":"2026-11-01T00:00:00.000000Z","changes":{"expires_at":[null,7258118400000000],"jti":[null,"c0ffee00-0000-4000-8000-000000000000"],"revoke_reason":{"$c":[null,"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"]}},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":{"$c":"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"},"scope":' || 'null,"stream":"revocation/' || md5('r' || :a || '-' || :b)::uuid || '","type":"token.revoked","unit":' || 'null,"v":' || '1,"ver":' || '1}', 'UTF8')), '{"revoke_reason":"ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"}', :now::bigint, :now::bigint, NULL, 'c0ffee00-0000-4000-8000-000000000000', NULL, NULL, 7258118400000000, 'Mất máy tính') RETURNING 1),
w4 AS (INSERT INTO idempotency (actor_id, operation, idempotency_key, payload_hash, created_at, status, location, etag, body)
  VALUES (:account::uuid, 'revoke_tokens', :a || '-' || :b, sha256('payload'), :now::bigint, 201, '/v1/x', '"1.0123456789abcdef"', repeat('x', 700)) RETURNING 1)
SELECT (SELECT count(*) FROM w0) + (SELECT count(*) FROM w1) + (SELECT count(*) FROM w2) + (SELECT count(*) FROM w3) + (SELECT count(*) FROM w4) AS changed;
