# Read by ./run and ./test: `prepare` makes the environment, with uv or without, and `run` runs a command in it.
# shellcheck shell=sh

prepare() { # requirements file, uv's options
    if command -v uv >/dev/null 2>&1; then
        PATCHBAY_UV="uv run --frozen --quiet $2"
        return
    fi
    PATCHBAY_UV=""
    stamp=".venv/installed-$1"
    if ! cmp -s "$1" "$stamp" 2>/dev/null || ! .venv/bin/python -c "" 2>/dev/null; then
        python=$(find_python) || { echo "Patchbay needs Python 3.11 or newer." >&2; exit 1; }
        .venv/bin/python -m pip --version >/dev/null 2>&1 ||
            .venv/bin/python -m ensurepip >/dev/null 2>&1 || "$python" -m venv --clear .venv
        echo "Installing what Patchbay needs (once) …" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
        cp "$1" "$stamp"
    fi
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}

find_python() { # each is tried by running it: a name on PATH may be a stub
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    return 1
}

run() {
    if [ -n "$PATCHBAY_UV" ]; then
        # uv's options are words
        # shellcheck disable=SC2086
        $PATCHBAY_UV "$@"
    else
        "$@"
    fi
}
