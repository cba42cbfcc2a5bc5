#!/bin/sh
# fetch_token.sh BRANCH: prints the answer of the token service, with curl alone.
#
# curl waits as Retry-After says and asks again (503, 429). Exit status 22: an error of the service;
# then the answer has "error", "message" and, where a person has to connect the branch, "login_url".
# TOKEN_SERVICE_URL: where it is. TOKEN_SERVICE_KEY: the API key, where one is required; on standard
# input, for everybody on the host can read arguments.
set -eu

branch=$1
case $branch in # whatever its name is, it is one segment of the path
*[!A-Za-z0-9._~-]*) branch=$(printf %s "$branch" | od -An -v -tx1 | tr -d '\n' | tr ' ' %) ;;
esac
answer=$(mktemp) # a file: of several answers curl keeps the last one there
trap 'cat "$answer"; rm -f "$answer"' EXIT
{ [ -z "${TOKEN_SERVICE_KEY:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$TOKEN_SERVICE_KEY"; } |
	curl --config - --silent --show-error --fail-with-body --max-time 10 --retry 5 --retry-max-time 60 \
		--output "$answer" "${TOKEN_SERVICE_URL:-http://token-service:8002}/tokens/$branch"
