#!/usr/bin/env bash
# fetch_payloads.sh DIR: puts the example payloads of GitHub's webhooks (npm package
# @octokit/webhooks-examples, MIT) into DIR, one folder an edition with its index.json, of a pinned
# version.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/npm_fetch.sh"

readonly target="${1:?usage: fetch_payloads.sh DIR}"

place() {
  local index edition
  for index in "$1"/*/index.json; do
    edition="$(basename "$(dirname "$index")")"
    mkdir -p "$target/$edition"
    mv "$index" "$target/$edition/index.json"
  done
}

npm_fetch @octokit/webhooks-examples 7.6.1 "$target" place
