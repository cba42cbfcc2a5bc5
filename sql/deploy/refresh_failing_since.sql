-- Deploy token-service:refresh_failing_since to pg
-- requires: tokens

BEGIN;

ALTER TABLE tokens ADD COLUMN refresh_failing_since timestamptz;

COMMENT ON COLUMN tokens.refresh_failing_since IS 'When the first of refresh_failures was; without meaning where those are 0.';

COMMIT;
