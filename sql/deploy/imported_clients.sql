-- Deploy token-service:imported_clients to pg
-- requires: clients
-- requires: tokens

BEGIN;

-- No reference to clients: one that was deleted here does not come back with the next import.
CREATE TABLE imported_clients (
	client_id       bigint      PRIMARY KEY,
	client_mac      text        NOT NULL,
	token_mac       text,
	grant_version   bigint      NOT NULL DEFAULT 0,
	consent_version bigint      NOT NULL DEFAULT 0,
	imported_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE imported_clients IS 'What token-service import has brought: the next one tells by it what was changed, here or there.';
COMMENT ON COLUMN imported_clients.client_id IS 'clients.id, which is the same in the database that it came from.';
COMMENT ON COLUMN imported_clients.client_mac IS 'HMAC, under SECRET_KEY, of the fields as they came.';
COMMENT ON COLUMN imported_clients.token_mac IS 'The same of the token; NULL: none came.';
COMMENT ON COLUMN imported_clients.grant_version IS 'tokens.grant_version as the import left it; 0: no token came.';
COMMENT ON COLUMN imported_clients.consent_version IS 'tokens.consent_version as the import left it; 0: no token came.';

-- For the owner alone: the workers have nothing to do with it.

COMMIT;
