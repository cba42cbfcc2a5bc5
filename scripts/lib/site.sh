# shellcheck shell=bash
# What of the settings is nginx's. Sourced, after common.sh.

# site_settings: PORT with its default, and HOST as the array HOSTS; empty: render-nginx's default, loopback.
site_settings() {
	export PORT=${PORT:-8002}
	is_port "$PORT" || fail 2 "port \"$PORT\" is not a number from 1 to 65535"
	! port_is_privileged "$PORT" || fail 2 "port $PORT is for root only: choose another with --port N"
	IFS=', ' read -r -a HOSTS <<<"${HOST:-}"
}

# google_timeout_ms: GOOGLE_TIMEOUT_MS, or its default for what the service will refuse, and say why.
google_timeout_ms() {
	[[ ${GOOGLE_TIMEOUT_MS:-} =~ ^[1-9][0-9]{0,5}$ ]] && echo "$GOOGLE_TIMEOUT_MS" || echo 10000
}

# site_options: the array SITE_OPTIONS, for render-nginx.
site_options() {
	local host
	SITE_OPTIONS=(--port "$PORT")
	for host in "${HOSTS[@]}"; do
		SITE_OPTIONS+=(--host "$host")
	done
	[ -z "${ALLOWED_ORIGINS:-}" ] || SITE_OPTIONS+=(--allowed-origins "$ALLOWED_ORIGINS")
	[ -z "${DATABASE_WORKERS:-}" ] || SITE_OPTIONS+=(--database-workers "$DATABASE_WORKERS")
	# An exchange worker takes up to twice the provider's time and 5 s; 5 s more for the way.
	[ -z "${GOOGLE_TIMEOUT_MS:-}" ] || SITE_OPTIONS+=(--exchange-timeout-s $((2 * $(google_timeout_ms) / 1000 + 10)))
}

# site_url PATH: nginx's, at an address where it listens, over plain HTTP.
site_url() {
	local host=${HOSTS[0]:-127.0.0.1}
	case $host in
	0.0.0.0) host=127.0.0.1 ;;
	:: | '[::]') host='[::1]' ;;
	\[*) ;;
	*:*) host="[$host]" ;;
	esac
	printf 'http://%s:%s%s\n' "$host" "$PORT" "$1"
}
