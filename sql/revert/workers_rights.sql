-- Revert token-service:workers_rights from pg

BEGIN;

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

-- Taken from the table, a right is taken from each of its columns, too.
\if :has_worker_role
	REVOKE UPDATE ON clients FROM token_service_worker;
	GRANT UPDATE ON clients TO token_service_worker;
	GRANT DELETE ON tokens TO token_service_worker;
\endif

COMMIT;
