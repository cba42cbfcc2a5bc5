-- Revert token-service:sealing from pg

BEGIN;

COMMENT ON COLUMN clients.client_secret IS NULL;
COMMENT ON COLUMN tokens.access_token IS NULL;
COMMENT ON COLUMN tokens.refresh_token IS NULL;
COMMENT ON COLUMN oauth_states.code_verifier IS NULL;
COMMENT ON COLUMN revocations.token IS NULL;
ALTER TABLE revocations DROP COLUMN token_client_id;
DROP TABLE secret_key_canary;

COMMIT;
