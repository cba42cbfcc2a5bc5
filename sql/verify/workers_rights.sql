-- Verify token-service:workers_rights on pg
-- A division by zero is an error.

BEGIN;

-- The workers' role, where there is one: it changes what a PATCH may change, and deletes no token by itself.
SELECT 1 / (
	NOT has_table_privilege(oid, 'tokens', 'DELETE')
	AND has_table_privilege(oid, 'clients', 'DELETE')
	AND has_column_privilege(oid, 'clients', 'client_secret', 'UPDATE')
	AND has_column_privilege(oid, 'clients', 'redirect_uri', 'UPDATE')
	AND has_column_privilege(oid, 'clients', 'workspace_email', 'UPDATE')
	AND has_column_privilege(oid, 'clients', 'workspace_name', 'UPDATE')
	AND has_column_privilege(oid, 'clients', 'is_active', 'UPDATE')
	AND has_column_privilege(oid, 'clients', 'updated_at', 'UPDATE')
	AND NOT has_column_privilege(oid, 'clients', 'id', 'UPDATE')
	AND NOT has_column_privilege(oid, 'clients', 'client_id', 'UPDATE')
	AND NOT has_column_privilege(oid, 'clients', 'branch_id', 'UPDATE')
	AND NOT has_column_privilege(oid, 'clients', 'created_at', 'UPDATE')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
