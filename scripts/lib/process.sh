# shellcheck shell=bash
# Child processes that are certain to end. Sourced, after common.sh.
#
# Each child leads a session of its own, so that Ctrl-C in the terminal reaches
# the script alone, which then ends its children in order; and each gets a
# signal from the kernel when the script itself is killed.
# Needs in the caller: trap 'exit N' on the signals and process_stop_all on EXIT.
# Bash runs a trap as soon as "wait" is interrupted, so every long command is
# started here and waited for.

# process_start DEATH_SIGNAL COMMAND [ARG...]: the pid is in $! afterwards.
process_start() {
	local death_signal=$1
	shift
	setsid setpriv --pdeathsig "$death_signal" "$@" &
}

STEP_PID=

# step COMMAND [ARG...]: run to its end; a signal to the script ends it and all that it started.
step() {
	process_start TERM "$@"
	step_wait
}

# step_wait: the same for what was started last, with "&".
step_wait() {
	local status=0
	STEP_PID=$!
	wait "$STEP_PID" || status=$?
	STEP_PID=
	return "$status"
}

process_signal() {
	local signal=$1 pid=$2
	# The group is there once setsid has run; the pid always.
	kill -s "$signal" -- "-$pid" 2>/dev/null || kill -s "$signal" "$pid" 2>/dev/null || :
}

# process_alive PID: it, or another process of its session's group, lives.
process_alive() { kill -0 "$1" 2>/dev/null || kill -0 -- "-$1" 2>/dev/null; }

# process_ask PID SIGNAL SECONDS: SIGNAL to the leader alone (it ends its own
# children in its own order); false when it is still there after that time.
process_ask() {
	local pid=$1 signal=$2 seconds=$3 polls
	for ((polls = seconds * 20; polls > 0; polls--)); do
		kill -0 "$pid" 2>/dev/null || return 0
		# Again every second: the first may have come before its handler was there.
		((polls % 20 == 0)) && kill -s "$signal" "$pid" 2>/dev/null
		sleep 0.05
	done
	return 1
}

# process_stop NAME PID SIGNAL SECONDS: asked, and KILL to all of them when the time is over.
process_stop() {
	local name=$1 pid=$2 signal=$3 seconds=$4 status=0
	[ -n "$pid" ] || return 0
	process_ask "$pid" "$signal" "$seconds" || status=$?
	if process_alive "$pid"; then
		[ "$status" -eq 0 ] || say "$name did not stop within $seconds s: killed"
		process_signal KILL "$pid"
	fi
	wait "$pid" 2>/dev/null || :
}

# process_stop_groups PID...: with all that they started, in no order.
process_stop_groups() {
	local pid polls left
	for ((polls = 100; polls > 0; polls--)); do
		left=0
		for pid; do
			process_alive "$pid" || continue
			left=1
			((polls % 20 == 0)) && process_signal TERM "$pid"
		done
		[ "$left" -eq 1 ] || return 0
		sleep 0.05
	done
	for pid; do
		process_signal KILL "$pid"
	done
}

# step_stop: the step under way, if any; before what it works on is stopped.
step_stop() {
	[ -z "$STEP_PID" ] || process_stop_groups "$STEP_PID" 2>/dev/null
}

# process_stop_all: whatever was started and still runs.
process_stop_all() {
	local pids
	# shellcheck disable=SC2207 # numbers only; in a process substitution there would be no jobs
	pids=($(jobs -p))
	process_stop_groups "${pids[@]}"
}
