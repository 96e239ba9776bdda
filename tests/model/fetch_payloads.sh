#!/usr/bin/env bash
# fetch_payloads.sh DIR: puts the example payloads of GitHub's webhooks (npm package
# @octokit/webhooks-examples, MIT) into DIR, one folder an edition with its index.json. The version is
# pinned; what is already there is kept. Needs npm and a registry once.
set -euo pipefail

readonly package="@octokit/webhooks-examples"
readonly version="7.6.1"
readonly dir="${1:?usage: fetch_payloads.sh DIR}"

if [[ -f "$dir/version" && "$(cat "$dir/version")" == "$version" ]]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "fetch_payloads.sh: npm is missing; install the Debian package npm" >&2
  exit 1
fi
mkdir -p "$dir"
work="$(mktemp -d "$dir/fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
tar -xzf "$work"/*.tgz -C "$work"
for index in "$work"/package/*/index.json; do
  edition="$(basename "$(dirname "$index")")"
  mkdir -p "$dir/$edition"
  mv "$index" "$dir/$edition/index.json"
done
echo "$version" >"$dir/version"
