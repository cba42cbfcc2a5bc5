-- Verify token-service:revocations on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, client_id, workspace_email, token, attempts, retry_at, created_at
  FROM revocations
 WHERE false;

SELECT 1 / count(*)
  FROM pg_catalog.pg_index
 WHERE indexrelid = 'revocations_retry_at_idx'::regclass AND indisvalid;

-- The workers' role, where there is one: rows of this table, no more.
SELECT 1 / (
	has_table_privilege(oid, 'revocations', 'SELECT')
	AND has_table_privilege(oid, 'revocations', 'INSERT')
	AND has_table_privilege(oid, 'revocations', 'UPDATE')
	AND has_table_privilege(oid, 'revocations', 'DELETE')
	AND NOT has_table_privilege(oid, 'revocations', 'TRUNCATE, REFERENCES, TRIGGER')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
