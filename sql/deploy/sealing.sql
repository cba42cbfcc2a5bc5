-- Deploy token-service:sealing to pg
-- requires: revocations

BEGIN;

-- One sealed value: does a key open what this database holds?
CREATE TABLE secret_key_canary (
	id         smallint    PRIMARY KEY CONSTRAINT secret_key_canary_id_check CHECK (id = 1),
	sealed     text        NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);

-- A sealed value is bound to its row: the copy of tokens.refresh_token opens as that of this client.
ALTER TABLE revocations ADD COLUMN token_client_id bigint;

COMMENT ON TABLE secret_key_canary IS 'A value sealed under the key that everything else is sealed under.';
COMMENT ON COLUMN clients.client_secret IS 'Sealed, for this branch_id.';
COMMENT ON COLUMN tokens.access_token IS 'Sealed, for this client_id.';
COMMENT ON COLUMN tokens.refresh_token IS 'Sealed, for this client_id.';
COMMENT ON COLUMN oauth_states.code_verifier IS 'Sealed, for this state_hash.';
COMMENT ON COLUMN revocations.token IS 'Sealed, as tokens.refresh_token of token_client_id.';
COMMENT ON COLUMN revocations.token_client_id IS 'clients.id of the client that it was sealed for, which may be gone.';

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

\if :has_worker_role
	GRANT SELECT, INSERT ON secret_key_canary TO token_service_worker;
\endif

COMMIT;
