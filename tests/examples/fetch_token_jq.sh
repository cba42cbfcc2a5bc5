#!/bin/sh
# fetch_token_jq.sh BRANCH: prints a working access token, with curl and jq.
#
# Exit status 3: a person has to connect the branch (again); the link is on standard error.
# TOKEN_SERVICE_URL: where the service is. TOKEN_SERVICE_KEY: the API key, where one is required.
set -eu

branch=$(printf %s "$1" | jq -sRr @uri)
for _ in 1 2 3 4 5; do
	answer=$({ [ -z "${TOKEN_SERVICE_KEY:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$TOKEN_SERVICE_KEY"; } |
		curl --config - --silent --show-error --max-time 10 --write-out '\n%{http_code} %header{retry-after}' \
			"${TOKEN_SERVICE_URL:-http://token-service:8002}/tokens/$branch")
	status=${answer##*
} # the last line: status, Retry-After
	wait=${status#* }
	body=${answer%
*}
	case $status in
	'200 '*)
		printf %s "$body" | jq -r .access_token
		exit 0
		;;
	'429 '* | '503 '*) sleep "${wait:-1}" ;;
	*)
		printf %s "$body" | jq -r '"\(.error): \(.message)", (.login_url // empty)' >&2
		case $(printf %s "$body" | jq -r .error) in
		authorization_required | reauthorization_required) exit 3 ;;
		esac
		exit 1
		;;
	esac
done
printf '%s\n' "$body" >&2
exit 1
