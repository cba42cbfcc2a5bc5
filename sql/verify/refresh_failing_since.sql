-- Verify token-service:refresh_failing_since on pg

BEGIN;

SELECT refresh_failing_since FROM tokens WHERE false;

ROLLBACK;
