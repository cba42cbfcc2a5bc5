-- Revert token-service:revocations from pg

BEGIN;

DROP TABLE revocations;

COMMIT;
