-- Revert token-service:imported_clients from pg

BEGIN;

DROP TABLE imported_clients;

COMMIT;
