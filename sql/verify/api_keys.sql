-- Verify token-service:api_keys on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, key_hash, role, label, branches, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys
 WHERE false;

-- The workers' role, where there is one: it reads, and writes one column.
SELECT 1 / (
	has_table_privilege(oid, 'api_keys', 'SELECT')
	AND has_column_privilege(oid, 'api_keys', 'last_used_at', 'UPDATE')
	AND NOT has_column_privilege(oid, 'api_keys', 'revoked_at', 'UPDATE')
	AND NOT has_column_privilege(oid, 'api_keys', 'role', 'UPDATE')
	AND NOT has_table_privilege(oid, 'api_keys', 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
