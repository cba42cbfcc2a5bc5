-- Revert token-service:refresh_failing_since from pg

BEGIN;

ALTER TABLE tokens DROP COLUMN refresh_failing_since;

COMMIT;
