# shellcheck shell=bash
# The Debian packages this project needs, and their installation. Sourced, after
# common.sh and process.sh.
#
# A line is a package and, where another origin than Debian is as good, a
# command or a file pattern whose presence makes the package unnecessary.

PACKAGES_RUN='
autoconf
automake
ca-certificates
curl curl
gcc
libc6-dev
libcurl4-openssl-dev
libdbd-pg-perl
libfcgi-dev
libjson-c-dev
libpq-dev
libssl-dev
make make
nginx nginx
nodejs node
npm npm
pkg-config pkg-config
postgresql /usr/lib/postgresql/*/bin/postgres
postgresql-client psql
sqitch sqitch
'

PACKAGES_TEST='
buildah
chromium
chromium-driver
clang
clang-format
clang-tidy
debootstrap
docker-compose docker-compose
etcd-server
faketime
gnuplot-nox
haproxy
iproute2 ip
jq
libclang-rt-14-dev
libcmocka-dev
logrotate
mandoc
openssl
patroni
pgbouncer
podman
prometheus prometheus
pyflakes3
python3
python3-cryptography
python3-fastapi
python3-httptools
python3-httpx
python3-jsonschema
python3-psycopg2
python3-pytest
python3-pytest-xdist
python3-seccomp
python3-selenium
python3-sqlalchemy
python3-uvloop
python3-yaml
runc
shellcheck
sslscan
strace
systemd
uvicorn
valgrind
wrk wrk
'

# package_is_there PACKAGE [COMMAND-OR-PATTERN]
package_is_there() {
	if [[ ${2:-} == /* ]]; then
		compgen -G "$2" >/dev/null && return 0
	elif [ -n "${2:-}" ]; then
		command -v "$2" >/dev/null && return 0
	fi
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# packages_missing LIST...: the answer is in the array MISSING.
packages_missing() {
	local package unless
	MISSING=()
	while read -r package unless; do
		[ -n "$package" ] || continue
		package_is_there "$package" "$unless" || MISSING+=("$package")
	done < <(printf '%s\n' "$@")
}

# as_root COMMAND [ARG...]: in the foreground, for sudo may ask for a password.
as_root() {
	if [ "$EUID" -eq 0 ]; then
		"$@"
	else
		# With a pipe for its input sudo leaves the terminal as it is, and Ctrl-C
		# still reaches this script; else only the command would get it.
		# shellcheck disable=SC2024 # the input is meant for sudo itself
		sudo "$@" < <(:)
	fi
}

# packages_install LIST...: what is missing of them; silent when nothing is.
packages_install() {
	command -v dpkg-query >/dev/null ||
		fail 1 'packages can be installed on Debian and its relatives only; see scripts/lib/packages.sh for what is needed'
	packages_missing "$@"
	[ "${#MISSING[@]}" -gt 0 ] || return 0
	[ "$EUID" -eq 0 ] || command -v sudo >/dev/null ||
		fail 1 "these packages are missing, and there is no sudo; as root: apt-get install --no-install-recommends ${MISSING[*]}"
	say "installing ${#MISSING[@]} Debian packages: ${MISSING[*]}"
	say 'downloading them'
	as_root "$TOP/scripts/lib/apt-install" download "${MISSING[@]}" || fail 1 'the packages could not be downloaded'
	# Ctrl-C must not leave dpkg half-way: this ignores it, and the script's own
	# trap runs once it is done.
	say 'unpacking them (Ctrl-C waits for the end of this)'
	as_root "$TOP/scripts/lib/apt-install" unpack "${MISSING[@]}" || fail 1 'the packages could not be installed'
	packages_missing "$@"
	[ "${#MISSING[@]}" -eq 0 ] || fail 1 "still missing after the installation: ${MISSING[*]}"
}

# node_modules_install DIR: what DIR/package-lock.json pins; silent when it is there. False when it cannot be had.
node_modules_install() {
	local dir=$1
	# npm writes this file last, so that an interrupted installation is seen.
	local done_mark=$dir/node_modules/.package-lock.json
	[ -f "$dir/package-lock.json" ] || return 0
	[ -f "$done_mark" ] && [ ! "$dir/package-lock.json" -nt "$done_mark" ] && return 0
	say "installing the Node modules of ${dir#"$TOP"/}"
	step npm ci --prefix "$dir" --no-audit --no-fund --no-update-notifier --no-progress --loglevel=error >/dev/null
}

# install_for run|sandbox|test
install_for() {
	case $1 in
	run | sandbox) packages_install "$PACKAGES_RUN" ;;
	test) packages_install "$PACKAGES_RUN" "$PACKAGES_TEST" ;;
	esac
	# The service does its work without its documents: only a test insists on them.
	if ! node_modules_install "$TOP/nginx/static"; then
		[ "$1" != test ] || fail 1 'npm ci failed in nginx/static'
		say 'npm ci failed in nginx/static: /docs and /redoc will be empty until it is done (scripts/install)'
	fi
	[ "$1" = run ] || node_modules_install "$TOP/tests/provider" || fail 1 'npm ci failed in tests/provider'
	[ "$1" != test ] || node_modules_install "$TOP/tests/integration" || fail 1 'npm ci failed in tests/integration'
}
