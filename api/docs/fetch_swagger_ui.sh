#!/usr/bin/env bash
# fetch_swagger_ui.sh DIR: puts what /api-docs needs of Swagger UI (npm package swagger-ui-dist,
# Apache-2.0) into DIR. package.json and package-lock.json beside this script pin the version and its
# hash; what is already there is kept. Needs npm and a registry once; no script of a package runs.
set -euo pipefail

readonly here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly files=(swagger-ui.css swagger-ui-bundle.js favicon-32x32.png LICENSE NOTICE)
readonly dir="${1:?usage: fetch_swagger_ui.sh DIR}"

if [[ -f "$dir/package-lock.json" ]] && cmp -s "$here/package-lock.json" "$dir/package-lock.json"; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "fetch_swagger_ui.sh: npm is missing; install the Debian package npm" >&2
  exit 1
fi
mkdir -p "$dir"
work="$(mktemp -d "$dir/fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$work/"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
for file in "${files[@]}"; do
  mv "$work/node_modules/swagger-ui-dist/$file" "$dir/$file"
done
# Last: it says that the rest is there.
mv "$work/package-lock.json" "$dir/package-lock.json"
