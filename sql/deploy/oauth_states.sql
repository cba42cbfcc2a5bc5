-- Deploy token-service:oauth_states to pg
-- requires: clients

BEGIN;

CREATE TABLE oauth_states (
	state_hash    bytea       PRIMARY KEY,
	browser_hash  bytea       NOT NULL,
	client_id     bigint      NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
	code_verifier text        NOT NULL,
	redirect_uri  text        NOT NULL,
	expires_at    timestamptz NOT NULL,
	created_at    timestamptz NOT NULL DEFAULT now()
);

-- For the sweep of logins that never came back, and for the cascade.
CREATE INDEX oauth_states_expires_at_idx ON oauth_states (expires_at);
CREATE INDEX oauth_states_client_id_idx ON oauth_states (client_id);

COMMENT ON TABLE oauth_states IS 'Logins under way: deleted by the callback, or swept once expired.';
COMMENT ON COLUMN oauth_states.state_hash IS 'Digest of the state parameter; the parameter itself is not stored.';
COMMENT ON COLUMN oauth_states.browser_hash IS 'Digest of the cookie of the browser that began.';

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

\if :has_worker_role
	GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_states TO token_service_worker;
\endif

COMMIT;
