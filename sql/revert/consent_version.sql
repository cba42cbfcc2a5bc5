-- Revert token-service:consent_version from pg

BEGIN;

ALTER TABLE oauth_states DROP COLUMN consent_version;
ALTER TABLE tokens DROP COLUMN consent_version;

COMMIT;
