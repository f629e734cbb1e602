# shellcheck shell=bash
# The environment of the tests, for what sources this in the checkout: it is made if need be, and comes first on PATH.
python=${HELM_PIN_TEST_PYTHON:-python3}

say() { echo "[helm-pin] $*" >&2; }
fail() { echo "$0: error: $*" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "Python 3.10 or later is needed, $python is not: set HELM_PIN_TEST_PYTHON"

# A virtual environment for exactly these requirements and this Python, which is complete once it has its stamp.
cache=$(PYTHONPATH=scripts "$python" -c 'from devtools.binaries import cache; print(cache())')
key=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open("requirements-dev.txt", "rb").read() + sys.version.encode()).hexdigest()[:12])')
venv=$cache/venv-$key
exec 9>"$cache/.lock-venv"
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' # the program flock is not everywhere; held until 9 is closed
if [[ ! -e $venv/complete ]]; then
  say "making a virtual environment for the tests: once, about 30 s …"
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "$python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)"
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: -r requirements-dev.txt
  touch "$venv/complete"
fi
exec 9>&-
export PATH="$venv/bin:$PATH"
