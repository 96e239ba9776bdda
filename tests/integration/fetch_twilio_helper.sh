#!/usr/bin/env bash
# fetch_twilio_helper.sh DIR: puts Twilio's own helper for signatures (webhooks.js of the npm package
# twilio, MIT, which needs nothing but Node) into DIR, of a pinned version.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/npm_fetch.sh"

readonly target="${1:?usage: fetch_twilio_helper.sh DIR}"

place() {
  mv "$1/lib/webhooks/webhooks.js" "$target/webhooks.js"
}

npm_fetch twilio 6.2.0 "$target" place
