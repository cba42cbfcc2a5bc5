-- Deploy token-service:consent_version to pg
-- requires: tokens
-- requires: oauth_states

BEGIN;

-- A row is there since its first consent.
ALTER TABLE tokens
	ADD COLUMN consent_version bigint NOT NULL DEFAULT 1
		CONSTRAINT tokens_consent_version_check CHECK (consent_version > 0);

ALTER TABLE oauth_states ADD COLUMN consent_version bigint;

COMMENT ON COLUMN tokens.consent_version IS 'Counts up with every consent, not with refreshes.';
COMMENT ON COLUMN oauth_states.consent_version IS 'That of the ticket that the login began with; NULL: it began without.';

COMMIT;
