-- A row and its event, a statement each; guards on.
\set a random(1, 9000000000000000)
\set b random(1, 9000000000000000)
\set now 1800000000000000
BEGIN;
INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, corr_id, at, day, leaf, leaf_hash)
  SELECT md5('e' || :a || '-' || :b)::uuid, 'revocation', md5('r' || :a || '-' || :b)::uuid, 1, 'token.revoked', NULL::uuid, NULL::uuid, NULL::uuid, '4ab7a699b7b24b4dfccb53754ad9698f', :now::bigint, '2026-11-01', leaf, sha256('\x00'::bytea || convert_to(leaf, 'UTF8'))
  FROM (SELECT '{"actor":{"id":' || 'null,"kind":"console"},"at":"2026-11-01T00:00:00.000000Z","changes":{"expires_at":[null,7258118400000000],"jti":[null,"c0ffee00-0000-4000-8000-000000000000"]},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":' || 'null,"scope":' || 'null,"stream":"revocation/' || md5('r' || :a || '-' || :b)::uuid || '","type":"token.revoked","unit":' || 'null,"v":' || '1,"ver":' || '1}' AS leaf) said;
INSERT INTO revocation (id, version, tip, commitments, created_at, updated_at, sid, jti, account_id, issued_before, expires_at, revoke_reason)
  SELECT md5('r' || :a || '-' || :b)::uuid, 1, sha256('\x00'::bytea || convert_to(leaf, 'UTF8')), '{}', :now::bigint, :now::bigint, NULL, 'c0ffee00-0000-4000-8000-000000000000', NULL, NULL, 7258118400000000, NULL
  FROM (SELECT '{"actor":{"id":' || 'null,"kind":"console"},"at":"2026-11-01T00:00:00.000000Z","changes":{"expires_at":[null,7258118400000000],"jti":[null,"c0ffee00-0000-4000-8000-000000000000"]},"corr":"4ab7a699b7b24b4dfccb53754ad9698f","id":"' || md5('e' || :a || '-' || :b)::uuid || '","prev":' || 'null,"reason":' || 'null,"scope":' || 'null,"stream":"revocation/' || md5('r' || :a || '-' || :b)::uuid || '","type":"token.revoked","unit":' || 'null,"v":' || '1,"ver":' || '1}' AS leaf) said;
COMMIT;
