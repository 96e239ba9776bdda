#!/usr/bin/env bash
# fetch_twilio_helper.sh DIR: puts Twilio's own helper for signatures (webhooks.js of the npm package
# twilio, MIT, which needs nothing but Node) into DIR. The version is pinned; what is already there
# is kept. Needs npm and a registry once.
set -euo pipefail

readonly package="twilio"
readonly version="6.2.0"
readonly dir="${1:?usage: fetch_twilio_helper.sh DIR}"

if [[ -f "$dir/version" && "$(cat "$dir/version")" == "$version" ]]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "fetch_twilio_helper.sh: npm is missing; install the Debian package npm" >&2
  exit 1
fi
mkdir -p "$dir"
work="$(mktemp -d "$dir/fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
tar -xzf "$work"/*.tgz -C "$work" package/lib/webhooks/webhooks.js
mv "$work/package/lib/webhooks/webhooks.js" "$dir/webhooks.js"
echo "$version" >"$dir/version"
