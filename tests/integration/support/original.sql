-- The tables of the service that this one replaces, as its two migrations leave them: plain text, times without a
-- time zone (they are UTC), as many rows of tokens for a client as it has had consents.

CREATE TABLE clients (
	id              serial       PRIMARY KEY,
	client_id       varchar(255) NOT NULL,
	client_secret   text         NOT NULL,
	redirect_uri    varchar(512) NOT NULL,
	branch_id       varchar(255) NOT NULL,
	workspace_email varchar(255) NOT NULL,
	workspace_name  varchar(255),
	is_active       boolean      DEFAULT true,
	created_at      timestamp without time zone DEFAULT (now() AT TIME ZONE 'UTC'),
	updated_at      timestamp without time zone DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX ix_clients_branch_id ON clients (branch_id);

CREATE TABLE tokens (
	id                serial  PRIMARY KEY,
	client_id         integer NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
	access_token      text,
	refresh_token     text,
	expires_at        timestamp without time zone,
	is_valid          boolean DEFAULT true,
	is_revoked        boolean DEFAULT false,
	token_type        varchar(50) DEFAULT 'Bearer',
	scope             text,
	last_refreshed_at timestamp without time zone,
	created_at        timestamp without time zone DEFAULT (now() AT TIME ZONE 'UTC'),
	updated_at        timestamp without time zone DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX ix_tokens_id ON tokens (id);

CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
