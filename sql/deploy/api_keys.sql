-- Deploy token-service:api_keys to pg

BEGIN;

CREATE TABLE api_keys (
	id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key_hash     bytea       NOT NULL CONSTRAINT api_keys_key_hash_key UNIQUE
	                         CONSTRAINT api_keys_key_hash_check CHECK (octet_length(key_hash) = 32),
	role         text        NOT NULL CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'fetcher')),
	label        text        NOT NULL,
	branches     text,
	created_at   timestamptz NOT NULL DEFAULT now(),
	expires_at   timestamptz,
	revoked_at   timestamptz,
	last_used_at timestamptz
);

COMMENT ON TABLE api_keys IS 'Who may call the service.';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the key, which is 256 random bits; the key itself is not stored.';
COMMENT ON COLUMN api_keys.branches IS 'Pattern (fnmatch) of the branches that a fetcher may use; NULL: all.';
COMMENT ON COLUMN api_keys.expires_at IS 'NULL: never.';
COMMENT ON COLUMN api_keys.last_used_at IS 'To the minute.';

SELECT EXISTS (
	SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker'
) AS has_worker_role \gset

-- The workers ask whether a key is good and say when; keys are made and revoked by the owner.
\if :has_worker_role
	GRANT SELECT, UPDATE (last_used_at) ON api_keys TO token_service_worker;
\endif

COMMIT;
