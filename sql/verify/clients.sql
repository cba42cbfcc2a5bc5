-- Verify token-service:clients on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT id, client_id, client_secret, redirect_uri, branch_id, workspace_email,
       workspace_name, is_active, created_at, updated_at
  FROM clients
 WHERE false;

SELECT 1 / count(*)
  FROM pg_catalog.pg_constraint
 WHERE conrelid = 'clients'::regclass AND conname = 'clients_branch_id_key' AND contype = 'u';

SELECT 1 / count(*)
  FROM pg_catalog.pg_index
 WHERE indexrelid = 'clients_client_id_workspace_email_idx'::regclass AND indisvalid;

-- The workers' role, where there is one: rows of this table, no more (of which columns, workers_rights says).
SELECT 1 / (
	has_table_privilege(oid, 'clients', 'SELECT')
	AND has_table_privilege(oid, 'clients', 'INSERT')
	AND has_any_column_privilege(oid, 'clients', 'UPDATE')
	AND has_table_privilege(oid, 'clients', 'DELETE')
	AND NOT has_table_privilege(oid, 'clients', 'TRUNCATE, REFERENCES, TRIGGER')
	AND has_schema_privilege(oid, :'registry', 'USAGE')
	AND has_table_privilege(oid, format('%I.changes', :'registry'), 'SELECT')
	AND NOT has_table_privilege(oid, format('%I.changes', :'registry'), 'INSERT, UPDATE, DELETE')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
