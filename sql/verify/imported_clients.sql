-- Verify token-service:imported_clients on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT client_id, client_mac, token_mac, grant_version, consent_version, imported_at
  FROM imported_clients
 WHERE false;

-- The workers' role, where there is one: it is none of its business.
SELECT 1 / (
	NOT has_table_privilege(oid, 'imported_clients', 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
	AND NOT has_any_column_privilege(oid, 'imported_clients', 'SELECT, INSERT, UPDATE')
)::integer
  FROM pg_catalog.pg_roles
 WHERE rolname = 'token_service_worker' AND NOT rolsuper;

ROLLBACK;
