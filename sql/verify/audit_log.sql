-- Verify token-service:audit_log on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, at, actor_key_id, actor, action, client_id, branch_id, request_id, detail
  FROM audit_log
 WHERE false;

SELECT 1 / count(*)
  FROM pg_catalog.pg_index
 WHERE indexrelid = 'audit_log_at_idx'::regclass AND indisvalid;

SELECT 1 / count(*)
  FROM pg_catalog.pg_index
 WHERE indexrelid = 'audit_log_client_id_idx'::regclass AND indisvalid;

-- The workers' role, where there is one: it appends, no more.
SELECT 1 / (
	has_column_privilege(oid, 'audit_log', 'action', 'INSERT')
	AND NOT has_column_privilege(oid, 'audit_log', 'at', 'INSERT')
	AND NOT has_table_privilege(oid, 'audit_log', 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
	AND NOT has_any_column_privilege(oid, 'audit_log', 'SELECT, UPDATE')
	AND NOT has_function_privilege(oid, 'audit_prune(interval)', 'EXECUTE')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
