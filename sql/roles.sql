-- Roles and database of a cluster that is ours. Run by a superuser with psql,
-- connected to any database; running it again changes nothing.
--
--   psql -d postgres [-v database=token_service] -f sql/roles.sql
--
-- Neither role has a password here: give them one (\password) where the server
-- asks for it.

\set ON_ERROR_STOP on
\if :{?database}
\else
	\set database token_service
\endif

-- Owns the tables and runs the migrations.
-- Two sessions may create a role at once (parallel tests): the loser is content.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_owner') THEN
		CREATE ROLE token_service_owner LOGIN;
	END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
	NULL;
END
$$;

-- Runs the service: rows of the tables, nothing else.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'token_service_worker') THEN
		CREATE ROLE token_service_worker LOGIN;
	END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
	NULL;
END
$$;

SELECT format('CREATE DATABASE %I OWNER token_service_owner TEMPLATE template0 ENCODING %L',
              :'database', 'UTF8')
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = :'database')
\gexec

REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO token_service_worker;

-- A session whose worker has given up must not go on waiting for a lock: they would pile up.
SELECT current_setting('server_version_num')::int >= 140000 AS checks_connections \gset
\if :checks_connections
	ALTER ROLE token_service_worker SET client_connection_check_interval = '1s';
\endif

\connect :"database"

-- Before PostgreSQL 15 everybody could create tables in "public".
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO token_service_owner;
GRANT USAGE ON SCHEMA public TO token_service_worker;
