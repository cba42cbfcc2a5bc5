-- Verify token-service:tokens on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, client_id, access_token, refresh_token, expires_at, is_valid, is_revoked,
       token_type, scope, last_refreshed_at, created_at, updated_at, grant_version,
       refresh_due_at, refresh_retry_at, refresh_failures, refresh_error,
       provider_error, provider_retry_at, refresh_began_at
  FROM tokens
 WHERE false;

SELECT 1 / count(*)
  FROM pg_catalog.pg_constraint
 WHERE conrelid = 'tokens'::regclass AND conname = 'tokens_client_id_key' AND contype = 'u';

-- Deleting a client takes its token along.
SELECT 1 / count(*)
  FROM pg_catalog.pg_constraint
 WHERE conrelid = 'tokens'::regclass AND confrelid = 'clients'::regclass AND confdeltype = 'c';

SELECT 1 / count(*)
  FROM pg_catalog.pg_index
 WHERE indexrelid = 'tokens_refresh_due_at_idx'::regclass AND indisvalid AND indpred IS NOT NULL;

-- The workers' role, where there is one: rows of this table, no more (workers_rights: none are deleted).
SELECT 1 / (
	has_table_privilege(oid, 'tokens', 'SELECT')
	AND has_table_privilege(oid, 'tokens', 'INSERT')
	AND has_table_privilege(oid, 'tokens', 'UPDATE')
	AND NOT has_table_privilege(oid, 'tokens', 'TRUNCATE, REFERENCES, TRIGGER')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
