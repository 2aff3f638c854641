#!/usr/bin/env bash
# usage: audit.sh
#
# Asks OSV (https://osv.dev) for known vulnerabilities of all that uv.lock lists, for every Python that it is for.
# Exceptions are in pyproject.toml, under tool.uv.audit. PETSEG_AUDIT_URL names another server with OSV's API.
#
# Exit codes: 0 none is known, 1 some are, 2 the question could not be put, 3 the server gave no answer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

server=${PETSEG_AUDIT_URL:-https://api.osv.dev}
messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
status=0
# Messages of one line each, however wide the terminal is.
COLUMNS=9999 .tools/bin/uv audit --frozen --preview-features audit-command --service-url "${server%/}/" 2>"$messages" || status=$?
if ((status > 1)) && grep --quiet --fixed-strings "$server" "$messages"; then
    printf 'petseg audit: nothing was checked, for %s gave no answer: %s\n' "$server" \
        "$(tail --lines 1 "$messages" | sed 's/^ *[a-z]*: //')" >&2
    exit 3
fi
cat "$messages" >&2
exit "$status"
