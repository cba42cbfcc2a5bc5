-- Deploy token-service:workers_rights to pg
-- requires: clients
-- requires: tokens
-- contract: since v0.1

BEGIN;

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

-- What no statement of theirs does. A token goes with its client, by the cascade, which runs as the owner of the
-- table; of a client what identifies it stays as it was registered.
\if :has_worker_role
	REVOKE DELETE ON tokens FROM token_service_worker;
	REVOKE UPDATE ON clients FROM token_service_worker;
	GRANT UPDATE (client_secret, redirect_uri, workspace_email, workspace_name, is_active, updated_at)
	   ON clients TO token_service_worker;
\endif

COMMIT;
