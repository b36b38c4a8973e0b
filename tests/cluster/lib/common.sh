# shellcheck shell=bash disable=SC2034
# Folders, versions and the output of steps. Sourced by every script here.

# Other users read these files in images.
umask 022
PATH=$PATH:/usr/sbin:/sbin # `su` leaves them out
# A failing command inside $(…) exits the script too.
shopt -s inherit_errexit

# Everything created on the machine is under STATE or recorded there, so that any checkout finds it.
STATE=/var/lib/planning-poker-cluster
((EUID == 0)) || STATE=$HOME/.local/state/planning-poker-cluster # only Docker is used then
CACHE=$HOME/.cache/planning-poker
CLUSTER_NAME=planning-poker
KUBECONFIG_FILE=$STATE/kubeconfig

KUBERNETES_VERSION=v1.35.4
KIND_VERSION=v0.33.0
HELM_VERSION=v4.3.1

PROGRESS_EVERY_SECONDS=15
LOG_LINES_ON_FAILURE=25

# Steps run in the background; Ctrl-C does not reach them.
trap 'trap - INT TERM; kill -TERM 0; exit 130' INT

say() { printf '%s\n' "$*" >&2; }

die() {
	say "error: $*"
	exit 1
}

usage_error() {
	say "error: $*"
	exit 2
}

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

# step TEXT COMMAND…: prints one line with the duration; prints the output only on failure. Long steps
# print their last line of output every PROGRESS_EVERY_SECONDS.
step() {
	local text=$1 log from=$EPOCHREALTIME pid code=0 shown=0
	shift
	log=$(mktemp)
	"$@" >"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.1
		local elapsed
		elapsed=$(seconds_since "$from")
		if ((${elapsed%.*} >= shown + PROGRESS_EVERY_SECONDS)); then
			shown=${elapsed%.*}
			say "  … $text: ${shown} s, $(wc -l <"$log") lines, last: $(tail -n 1 "$log" | tr -dc '[:print:]' | cut -c1-80)"
		fi
	done
	wait "$pid" || code=$?
	if ((code != 0)); then
		say "$(printf '%-52s failed after %s s' "$text" "$(seconds_since "$from")")"
		tail -n "$LOG_LINES_ON_FAILURE" "$log" | sed 's/^/  | /' >&2
		rm -f "$log"
		exit "$code"
	fi
	say "$(printf '%-52s %6s s' "$text" "$(seconds_since "$from")")"
	rm -f "$log"
}

# retry SECONDS COMMAND…: repeats it until it succeeds; fails with its last output.
retry() {
	local until=$((SECONDS + $1)) output
	shift
	while ! output=$("$@" 2>&1); do
		if ((SECONDS >= until)); then
			printf '%s\n' "$output"
			return 1
		fi
		sleep 0.2
	done
}

# content_key FILE_OR_FOLDER…: one hash over names and contents.
content_key() {
	local path
	for path in "$@"; do
		(cd "$(dirname "$path")" && find "$(basename "$path")" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
	done | sha256sum | cut -c1-16
}
