#!/bin/sh
# Helm's install and update hook: finds a Python and lets helmpin/install.py make the plugin's own virtual environment.
# Environment: HELM_PIN_PYTHON, the Python to use; HELM_PIN_WHEELS, a directory of wheels to install from without a network.

usable='import sys
sys.version_info >= (3, 10) or sys.exit(3)
import venv
try:
    import ensurepip
except ImportError:
    import pip'

fail() {
  echo "helm-pin: error: $1" >&2
  exit 1
}

home=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || fail "cannot enter the plugin's directory"
found='' incomplete=''
for python in ${HELM_PIN_PYTHON:+"$HELM_PIN_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
  if command -v "$python" >/dev/null 2>&1; then
    "$python" -I -c "$usable" >/dev/null 2>&1
    case $? in
      0) found=$python && break ;;
      1) incomplete=${incomplete:-$python} ;;
    esac
  fi
  [ -n "${HELM_PIN_PYTHON:-}" ] && break
done

if [ -z "$found" ]; then
  [ -n "$incomplete" ] &&
    fail "$incomplete cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt install python3-venv), then run: sh '$home/install-binary.sh'"
  [ -n "${HELM_PIN_PYTHON:-}" ] && fail "HELM_PIN_PYTHON is not Python 3.10 or later: $HELM_PIN_PYTHON"
  fail "no Python 3.10 or later on PATH: install one or set HELM_PIN_PYTHON, then run: sh '$home/install-binary.sh'"
fi
exec "$found" -I -X utf8 "$home/helmpin/install.py"
