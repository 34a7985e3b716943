# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shell pieces that the scripts here share. Source it: . "$(dirname "$0")/lib.sh"
# It sets nothing in the caller's shell but the functions and the variables named lib_*.

lib_name=script/$(basename "$0")
lib_terminal=
[ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && lib_terminal=yes

# say TEXT…: one line of what happens.
say() { printf '%s\n' "$*"; }

# fail TEXT…: what went wrong and what to do about it, then the end.
fail() {
  lib_clear
  printf '%s: %s\n' "$lib_name" "$*" >&2
  exit 1
}

# seconds_since START: whole seconds since START, an earlier value of $EPOCHSECONDS.
seconds_since() { echo $((EPOCHSECONDS - $1)); }

lib_clear() { if [ -n "$lib_terminal" ]; then printf '\r\033[K'; fi; }

# progress LABEL PERCENT DETAIL: in place on a terminal; a line for every fifth of the way elsewhere.
lib_fifth=-1
progress() {
  if [ -n "$lib_terminal" ]; then
    printf '\r\033[K  %s %3d%%  %.60s' "$1" "$2" "$3"
  elif [ $(($2 / 20)) -ne "$lib_fifth" ]; then
    lib_fifth=$(($2 / 20))
    printf '  %s %d%%\n' "$1" "$2"
  fi
}

# progress_done: ends what `progress` drew.
progress_done() {
  lib_clear
  lib_fifth=-1
}

# run_step LABEL LOG COMMAND…: runs COMMAND with its output in the file LOG and says how long it took.
# While it runs: its latest line on a terminal, a sign of life every 15 seconds elsewhere.
# When it fails: the last lines of LOG, and COMMAND's exit code.
run_step() {
  local label=$1 log=$2 start=$EPOCHSECONDS beat=0 pid code=0
  shift 2
  [ -n "$lib_terminal" ] || printf '  %s …\n' "$label"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    if [ -n "$lib_terminal" ]; then
      printf '\r\033[K  %s %ds  %.70s' "$label" "$(seconds_since "$start")" "$(tail -n 1 "$log" | tr -d '\r\033')"
    elif [ $((++beat % 75)) -eq 0 ]; then
      printf '  %s … %ds\n' "$label" "$(seconds_since "$start")"
    fi
    sleep 0.2
  done
  wait "$pid" || code=$?
  lib_clear
  if [ "$code" -ne 0 ]; then
    printf '  %s: failed with exit code %d after %ds; the last lines of %s:\n' \
      "$label" "$code" "$(seconds_since "$start")" "$log" >&2
    tail -n 25 "$log" | sed 's/^/    /' >&2
    return "$code"
  fi
  printf '  %s: %ds\n' "$label" "$(seconds_since "$start")"
}

# The sources that this machine has for Debian 12 itself, as lines of a sources.list; nothing where it has none.
debian_sources() {
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    { grep bookworm || true; } | sort -u
}
