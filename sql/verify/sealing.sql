-- Verify token-service:sealing on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, sealed, created_at FROM secret_key_canary WHERE false;
SELECT token_client_id FROM revocations WHERE false;

-- The workers' role, where there is one: it may make the canary, not change it.
SELECT 1 / (
	has_table_privilege(oid, 'secret_key_canary', 'SELECT')
	AND has_table_privilege(oid, 'secret_key_canary', 'INSERT')
	AND NOT has_table_privilege(oid, 'secret_key_canary', 'UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
