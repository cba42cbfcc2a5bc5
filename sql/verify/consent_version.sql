-- Verify token-service:consent_version on pg
-- A column that is missing is an error, and so is a division by zero.

BEGIN;

SELECT consent_version FROM oauth_states WHERE false;

SELECT 1 / count(*)
  FROM pg_catalog.pg_attribute
 WHERE attrelid = 'tokens'::regclass AND attname = 'consent_version' AND attnotnull;

ROLLBACK;
