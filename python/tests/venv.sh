# The venvs that the Python package is tested in; to be sourced at the root of the checkout. Defines:
#   bounded SECONDS COMMAND…          a command with a limit
#   prepare VENV WHAT SECONDS ARG…    VENV with the package and what pip installs by ARG…, first in PATH. Where PyPI cannot be
#                                     reached it says that WHAT is skipped, and ends the script.
# shellcheck shell=bash
tools=(maturin==1.16.0 pytest==9.2.0 mypy==2.4.1)

bounded() {
    timeout --kill-after=10 "$@"
}

# What is not tested here is said aloud, and kept for who runs all the tests.
skip() {
    echo "skipped $1" | tee -a "${SKIPPED_CHECKS:-/dev/null}"
    exit 0
}

prepare() {
    local venv=$1 what=$2 seconds=$3 wanted pip
    shift 3
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        rm -rf "$venv"
        python3 -m venv "$venv"
    fi
    pip=("$venv/bin/python" -m pip --disable-pip-version-check --quiet)
    wanted=$(
        printf '%s\n' "${tools[@]}" "$@"
        for file in "$@"; do [ ! -f "$file" ] || cat "$file"; done
    )
    if [ "$(cat "$venv/wanted" 2>/dev/null || true)" != "$wanted" ]; then
        if ! bounded "$seconds" "${pip[@]}" install "${tools[@]}" "$@"; then
            # Nothing to test with: said aloud where the index cannot be reached, an error where it answers.
            bounded 60 "${pip[@]}" download --no-deps --dest "$(mktemp -d)" pytest==9.2.0 && exit 1
            skip "$what: its tools cannot be had from PyPI here"
        fi
        printf '%s\n' "$wanted" >"$venv/wanted"
    fi
    PATH="$PWD/$venv/bin:$PATH"
    # What is tested is what would be handed on.
    rm -rf target/wheels
    bounded 600 python/wheel target/wheels
    bounded 60 "${pip[@]}" install --no-deps --no-index --force-reinstall target/wheels/*.whl
    export CARGO_BIN_EXE_hangwatch=${CARGO_BIN_EXE_hangwatch:-$PWD/target/release/hangwatch}
    [ -x "$CARGO_BIN_EXE_hangwatch" ] || cargo build --locked --quiet --release -p hangwatch-cli
}
