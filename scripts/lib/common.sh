# shellcheck shell=bash
# What the scripts share: messages, the .env file, small checks. Sourced.
# The caller has set TOP, the top directory of the checkout.

# Debian keeps nginx where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
PROGRAM=${0##*/}

# Progress and faults go to stderr: stdout is for answers.
say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2 || :; }

# fail STATUS MESSAGE: exit 2 is for usage and configuration, 1 for anything else.
fail() {
	local status=$1
	shift
	say "$*"
	exit "$status"
}

usage_error() { fail 2 "$* (see --help)"; }

# Print the comment at the top of the calling script, from its second line on.
print_help() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"; }

# load_env_file FILE: export its NAME=VALUE lines, read as the program's --env-file reads
# them: nothing is expanded, one pair of quotes is taken off, comments are whole lines.
# What the environment has already, wins; of two lines the later one.
load_env_file() {
	local file=$1 line name value number=0
	local re='^([A-Za-z0-9_]+)[[:blank:]]*=[[:blank:]]*(.*)$' quoted=$'^(["\'])(.*)\\1$'
	declare -A from_file=()
	[ -e "$file" ] || return 0
	[ -r "$file" ] || fail 2 "$file cannot be read"
	[ ! -d "$file" ] || fail 2 "$file is a directory"
	while IFS= read -r line || [ -n "$line" ]; do
		number=$((number + 1))
		line=${line#"${line%%[![:blank:]]*}"}
		line=${line%"${line##*[![:space:]]}"}
		[[ -z $line || $line == '#'* ]] && continue
		[[ $line =~ $re ]] || fail 2 "$file:$number: not NAME=VALUE"
		name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		[[ $name != [0-9]* ]] || fail 2 "$file:$number: not NAME=VALUE"
		[[ -v $name && ! -v from_file[$name] ]] && continue
		[[ $value =~ $quoted ]] && value=${BASH_REMATCH[2]}
		from_file[$name]=1
		export "$name=$value"
	done <"$file"
}

# is_port VALUE
is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]; }

# port_is_busy ADDRESS PORT: somebody accepts connections there.
port_is_busy() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2" 2>/dev/null
}

# port_is_privileged PORT: this user may not listen there.
port_is_privileged() {
	local first=1024
	[ -r /proc/sys/net/ipv4/ip_unprivileged_port_start ] &&
		read -r first </proc/sys/net/ipv4/ip_unprivileged_port_start
	[ "$EUID" -ne 0 ] && [ "$1" -lt "$first" ]
}
