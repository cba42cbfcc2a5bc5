-- Revert token-service:audit_log from pg

BEGIN;

DROP FUNCTION audit_prune(interval);
DROP TABLE audit_log;

COMMIT;
