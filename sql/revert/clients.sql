-- Revert token-service:clients from pg

BEGIN;

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

\if :has_worker_role
	REVOKE SELECT ON :"registry".changes FROM token_service_worker;
	REVOKE USAGE ON SCHEMA :"registry" FROM token_service_worker;
\endif

DROP TABLE clients;

COMMIT;
