#!/bin/sh
# Helm's install and update hook: finds a Python and lets helmpin/install.py make the plugin's own virtual environment.
# Environment: HELM_PIN_PYTHON, the Python to use; HELM_PIN_WHEELS, a directory of wheels to install from without a network.

usable='
import sys
sys.version_info >= (3, 10) or sys.exit(3)
import fcntl, zlib  # which a Python that was built from source may lack
try:
    import venv
    try:
        import ensurepip
    except ImportError:
        import pip
        int(pip.__version__.partition(".")[0]) >= 23 or sys.exit(4)
except ImportError:
    sys.exit(4)
'

fail() {
  echo "helm-pin: error: $1, then run: sh '$home/install-binary.sh'" >&2
  exit 1
}

home=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
incomplete='' old='' broken=''
for python in ${HELM_PIN_PYTHON:+"$HELM_PIN_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
  if command -v "$python" >/dev/null 2>&1; then
    status=0
    "$python" -I -c "$usable" >/dev/null 2>&1 || status=$?
    case $status in
      0) exec "$python" -I -X utf8 "$home/helmpin/install.py" ;;
      3) old=${old:-$python} ;;
      4) incomplete=${incomplete:-$python} ;;
      *) broken=${broken:-$python} ;;
    esac
  fi
  [ -z "${HELM_PIN_PYTHON:-}" ] || break
done

if [ -n "$incomplete" ]; then
  fail "$incomplete has no venv module: install it (Debian and Ubuntu: apt install python3-venv)"
elif [ -n "${HELM_PIN_PYTHON:-}" ]; then
  fail "HELM_PIN_PYTHON=$HELM_PIN_PYTHON is not a Python 3.10 or later: set it to one"
elif [ -n "$old" ]; then
  fail "$old is older than Python 3.10: install a later one, or set HELM_PIN_PYTHON"
elif [ -n "$broken" ]; then
  fail "$broken does not work, or lacks a part of its library: see what '$broken -c \"import fcntl, zlib\"' says and fix it, or set HELM_PIN_PYTHON"
fi
fail "there is no python3 on PATH: install Python 3.10 or later, or set HELM_PIN_PYTHON"
