-- Revert token-service:tokens from pg

BEGIN;

DROP TABLE tokens;

COMMIT;
