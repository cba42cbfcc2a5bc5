-- Deploy token-service:audit_log to pg
-- requires: clients

BEGIN;

-- No reference to clients or api_keys: what was done outlives whom it was done to.
CREATE TABLE audit_log (
	id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at           timestamptz NOT NULL DEFAULT clock_timestamp(),
	actor_key_id bigint,
	actor        text        NOT NULL,
	action       text        NOT NULL,
	client_id    bigint,
	branch_id    text,
	request_id   text,
	detail       text
);

-- For the pruning, and for "what became of this client?".
CREATE INDEX audit_log_at_idx ON audit_log (at);
CREATE INDEX audit_log_client_id_idx ON audit_log (client_id, at);

COMMENT ON TABLE audit_log IS 'Who did what and when; no secrets.';
COMMENT ON COLUMN audit_log.actor_key_id IS 'api_keys.id; NULL: without a key.';
COMMENT ON COLUMN audit_log.actor IS 'By which way: api, browser, cli.';
COMMENT ON COLUMN audit_log.client_id IS 'clients.id';
COMMENT ON COLUMN audit_log.detail IS 'For a change the names of the fields; for a key its id and what it is for.';

-- Deletes what is older than "keep"; returns how many rows that were.
CREATE FUNCTION audit_prune(keep interval) RETURNS bigint
LANGUAGE sql
AS $$
	WITH gone AS (DELETE FROM audit_log WHERE at < now() - keep RETURNING id)
	SELECT count(*) FROM gone
$$;

REVOKE EXECUTE ON FUNCTION audit_prune(interval) FROM PUBLIC;

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

-- They append: id and time are the server's, and nothing is read or changed.
\if :has_worker_role
	GRANT INSERT (actor_key_id, actor, action, client_id, branch_id, request_id, detail)
	   ON audit_log TO token_service_worker;
\endif

COMMIT;
