-- Revert token-service:api_keys from pg

BEGIN;

DROP TABLE api_keys;

COMMIT;
