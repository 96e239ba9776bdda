# shellcheck shell=bash
# npm_fetch.sh PACKAGE VERSION DIR PLACE: a function for scripts that fetch files of an npm package
# for tests; they source it. Needs npm and a registry, once.
#
# Unpacks PACKAGE at VERSION into a scratch folder, calls `PLACE FOLDER` with that of the package's
# files, which moves what is wanted into DIR, and notes the version in DIR. What is already there of
# this version is kept.
npm_fetch() {
  local package="$1" version="$2" dir="$3" place="$4"
  if [[ -f "$dir/version" && "$(cat "$dir/version")" == "$version" ]]; then
    return 0
  fi
  if ! command -v npm >/dev/null; then
    echo "$(basename "$0"): npm is missing; install the Debian package npm" >&2
    return 1
  fi
  mkdir -p "$dir"
  local work
  work="$(mktemp -d "$dir/fetch.XXXXXX")"
  # shellcheck disable=SC2064  # The folder of now.
  trap "rm -rf '$work'" EXIT
  (cd "$work" && npm pack --silent "$package@$version" >/dev/null)
  tar -xzf "$work"/*.tgz -C "$work"
  "$place" "$work/package"
  echo "$version" >"$dir/version"
}
