-- Verify token-service:oauth_states on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT state_hash, browser_hash, client_id, code_verifier, redirect_uri, expires_at, created_at
  FROM oauth_states
 WHERE false;

-- Deleting a client takes its logins along.
SELECT 1 / count(*)
  FROM pg_catalog.pg_constraint
 WHERE conrelid = 'oauth_states'::regclass AND confrelid = 'clients'::regclass AND confdeltype = 'c';

SELECT 1 / (count(*) = 2)::integer
  FROM pg_catalog.pg_index
 WHERE indexrelid IN ('oauth_states_expires_at_idx'::regclass, 'oauth_states_client_id_idx'::regclass)
   AND indisvalid;

-- The workers' role, where there is one: rows of this table, no more.
SELECT 1 / (
	has_table_privilege(oid, 'oauth_states', 'SELECT')
	AND has_table_privilege(oid, 'oauth_states', 'INSERT')
	AND has_table_privilege(oid, 'oauth_states', 'UPDATE')
	AND has_table_privilege(oid, 'oauth_states', 'DELETE')
	AND NOT has_table_privilege(oid, 'oauth_states', 'TRUNCATE, REFERENCES, TRIGGER')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
