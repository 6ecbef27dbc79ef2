# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of the repository begin with. A script sources this before it changes folders.

# show_help "$@": answers -h and --help with the comment at the head of the script, and exits.
show_help() {
  case ${1:-} in
    -h | --help)
      # From the third line to the first that is no comment, without the leading '# '.
      sed -n '3,$ { /^#/!q; s/^# \{0,1\}//p }' "$0"
      exit
      ;;
  esac
}

# die MESSAGE [CODE]: ends the script with one line on stderr and exit code 1, or another one.
die() {
  echo "error: $1" >&2
  exit "${2:-1}"
}

# has_space FOLDER MEGABYTES: whether the folder's disk has that much room; says so on stderr where
# it hasn't.
has_space() {
  local free
  free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge "$2" ] && return
  echo "error: $1: its disk has ${free:-no} MB free, at least $2 MB are needed" >&2
  return 1
}

# Whether this is Debian, Ubuntu or made from one of them.
is_debian_like() {
  local families
  # shellcheck source=/dev/null
  families=$(. /etc/os-release 2>/dev/null && echo "$ID ${ID_LIKE:-}") || return
  case " $families " in
    *" debian "* | *" ubuntu "*) return 0 ;;
    *) return 1 ;;
  esac
}

# cuda_toolkit: the folder of an installed CUDA 13 toolkit; nothing where there is none.
cuda_toolkit() {
  local nvcc root
  for nvcc in "$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do
    [ -x "$nvcc" ] || continue
    root=$(dirname "$(dirname "$(realpath "$nvcc")")")
    if [ -e "$root/include/cuda_runtime.h" ] &&
      "$nvcc" --version 2>/dev/null | grep -q "release 13\."; then
      echo "$root"
      return
    fi
  done
}
