-- Revert token-service:oauth_states from pg

BEGIN;

DROP TABLE oauth_states;

COMMIT;
