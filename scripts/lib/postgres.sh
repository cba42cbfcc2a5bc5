# shellcheck shell=bash
# A private PostgreSQL cluster: no TCP, one unix socket. Sourced, after
# common.sh and process.sh. By itself, for a benchmark say:
#
#   sockets=$(mktemp -d /tmp/bench.XXXXXX)
#   postgres_create "$data"
#   postgres_start "$data" "$sockets" "$log" -c shared_buffers=1GB
#   postgres_create_database "$sockets" token_service
#   DATABASE_URL=$(postgres_url "$sockets" token_service_worker token_service)
#   process_stop PostgreSQL "$POSTGRES_PID" INT 30
#
# PostgreSQL refuses to run as root: root runs it as the user "postgres".

# The command prefix that becomes the database's user; empty for an ordinary user.
POSTGRES_AS=()
POSTGRES_PID=

# postgres_bin [MAJOR]: the directory of the programs, the newest version by default.
postgres_bin() {
	local dir
	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5,5Vr); do
		[ -x "$dir/postgres" ] || continue
		[ -z "${1:-}" ] || [ "$dir" = "/usr/lib/postgresql/$1/bin" ] || continue
		printf '%s\n' "$dir"
		return 0
	done
	return 1
}

# postgres_become DIR: fill POSTGRES_AS, so that the database's user reaches DIR.
postgres_become() {
	local dir=$1 capability=dac_read_search
	POSTGRES_AS=()
	[ "$EUID" -eq 0 ] || return 0
	id postgres >/dev/null 2>&1 || fail 1 'the user "postgres" is missing: is Debian'\''s postgresql installed?'
	POSTGRES_AS=(setpriv --reuid postgres --regid postgres --clear-groups)
	"${POSTGRES_AS[@]}" stat "$dir/." >/dev/null 2>&1 && return 0
	# Below /root, for example: may pass and read there, still not write.
	POSTGRES_AS+=("--inh-caps=+$capability" "--ambient-caps=+$capability")
	"${POSTGRES_AS[@]}" stat "$dir/." >/dev/null 2>&1 && return 0
	fail 2 "the user \"postgres\" cannot reach $dir: choose a data directory elsewhere with --data"
}

# postgres_create DATA: make the cluster unless it is there. Interrupted at any
# moment it leaves nothing that a later call takes for a cluster.
postgres_create() {
	local data=$1 new=$1.new bin
	[ -e "$data/PG_VERSION" ] && return 0
	[ ! -e "$data" ] || fail 2 "$data is there, but is no PostgreSQL cluster: move it away"
	bin=$(postgres_bin) || fail 1 'no PostgreSQL server below /usr/lib/postgresql'
	rm -rf "$new"
	mkdir -m 0700 "$new"
	[ "$EUID" -ne 0 ] || chown postgres:postgres "$new"
	postgres_become "$new"
	# Only who may enter the socket's directory gets here: "trust" is enough.
	(cd / && exec env -u LC_ALL LANG=C.UTF-8 setsid "${POSTGRES_AS[@]}" setpriv --pdeathsig TERM \
		"$bin/initdb" --pgdata="$new" --username=postgres --auth=trust \
		--encoding=UTF8 --locale=C.UTF-8 --no-instructions) >"$new.log" 2>&1 &
	if ! step_wait; then
		cat "$new.log" >&2
		fail 1 'initdb failed'
	fi
	rm -f "$new.log"
	mv -T "$new" "$data"
}

# postgres_clear_stale DATA: a postmaster.pid that a crash left must not stop the
# start when its number belongs to somebody else by now.
postgres_clear_stale() {
	local data=$1 pid
	[ -f "$data/postmaster.pid" ] || return 0
	read -r pid <"$data/postmaster.pid" || :
	# A running postmaster's working directory is its data directory.
	if [[ $pid =~ ^[0-9]+$ ]] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$data")" ]; then
		fail 2 "PostgreSQL already runs on $data (process $pid): stop it first"
	fi
	rm -f "$data/postmaster.pid"
}

# postgres_start DATA SOCKETS LOG [ARG...]: start and wait until it answers.
# SOCKETS: an existing directory of this run; it is given to the database's user, mode 0700.
postgres_start() {
	local data=$1 sockets=$2 log=$3 bin version polls
	shift 3
	read -r version <"$data/PG_VERSION"
	bin=$(postgres_bin "$version") ||
		fail 2 "$data is of PostgreSQL $version, which is not installed: install postgresql-$version, or choose another --data"
	postgres_become "$data"
	postgres_clear_stale "$data"
	chmod 0700 "$sockets"
	[ "$EUID" -ne 0 ] || chown postgres:postgres "$sockets"
	[ ! -f "$log" ] || mv -f "$log" "$log.1"
	# INT is PostgreSQL's fast shutdown; TERM would wait for the clients to leave.
	(cd / && exec env -u LC_ALL LANG=C.UTF-8 setsid "${POSTGRES_AS[@]}" setpriv --pdeathsig INT \
		"$bin/postgres" -D "$data" -p 5432 -c listen_addresses= -c unix_socket_directories="$sockets" \
		-c unix_socket_permissions=0700 -c log_checkpoints=off "$@") >"$log" 2>&1 &
	POSTGRES_PID=$!
	for ((polls = 0; polls < 1200; polls++)); do
		"$bin/pg_isready" -q -h "$sockets" -p 5432 -d postgres && return 0
		if ! kill -0 "$POSTGRES_PID" 2>/dev/null; then
			tail -n 5 "$log" >&2
			fail 1 "PostgreSQL did not start; its log: $log"
		fi
		sleep 0.05
	done
	fail 1 "PostgreSQL did not answer within 60 s; its log: $log"
}

# postgres_url SOCKETS ROLE DATABASE
postgres_url() { printf 'postgresql://%s@/%s?host=%s&port=5432\n' "$2" "$3" "$1"; }

# postgres_create_database SOCKETS DATABASE: roles and database, unless they are there.
postgres_create_database() {
	DATABASE_URL=$(postgres_url "$1" postgres postgres) step "$TOP/scripts/lib/with-database" \
		psql --no-psqlrc --quiet --output=/dev/null -v database="$2" -f "$TOP/sql/roles.sql"
}
