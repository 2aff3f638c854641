#!/usr/bin/env bash
# usage: private_glibc.sh VENV PATCHELF
#
# Gives a virtual environment its own glibc where the host's is older than the wheels of ml-metadata and
# tensorflow-data-validation ask for (manylinux_2_39, libstdc++ of GCC 14). The newer release's libc6, libstdc++6 and
# libgcc-s1 are unpacked into VENV/glibc, and the environment gets a copy of its interpreter that is patched to load
# them. The host and its package manager are left as they are.
set -euo pipefail

venv=$1
patchelf=$2
needed=2.39
host=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)

at_least() { printf '%s\n%s\n' "$2" "$1" | sort -C -V; }

fail() {
    printf 'petseg set-up: this host has glibc %s, older than %s, and %s\n' "$host" "$needed" "$1" >&2
    printf '  - %s\n' "${@:2}" 'Use a newer host: Ubuntu 24.04, Debian 13, or anything else with glibc 2.39.' \
        "Or run in a container: docker run -it -v \"\$PWD\":/petseg -w /petseg python:3.11-trixie make run" >&2
    exit 1
}

# Sets the newer release of this distribution and the keyring that signs it.
find_release() {
    local ID='' ID_LIKE=''
    # shellcheck source=/dev/null
    . /etc/os-release
    case " $ID $ID_LIKE " in
        *' ubuntu '*) suite=noble keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
        *' debian '*) suite=trixie keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
        *) fail "a newer one can be fetched on Debian and Ubuntu only, not on ${ID:-this distribution}." ;;
    esac
    [[ -f $keyring ]] || fail "the keyring of the newer release, $keyring, is not installed."
}

# Runs apt with a state directory, a cache and a source list of its own.
private_apt() {
    apt-get --quiet --quiet \
        --option Dir::State="$work/state" --option Dir::State::Status="$work/state/status" \
        --option Dir::Cache="$work/cache" --option APT::Sandbox::User="$(id -un)" \
        --option Dir::Etc::SourceList="$work/sources.list" --option Dir::Etc::SourceParts=- \
        --option APT::Update::Error-Mode=any --option Acquire::Retries=3 "$@"
}

# Unpacks the newer libraries into $work/lib.
unpack() {
    local suite keyring mirror package
    find_release
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' |
        grep -E '/(debian|ubuntu)/?$' | sort -u | head -n1) || true
    [[ -n $mirror ]] || fail 'the sources of apt name no mirror of the distribution.'
    mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root}
    : >"$work/state/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$work/sources.list"
    private_apt update || fail "apt could not read $suite from $mirror (its message is above)." \
        'Check the network, then run make setup again.'
    (cd "$work" && private_apt download libc6 libstdc++6 libgcc-s1) ||
        fail "apt could not download libc6 of $suite (its message is above)." \
            'Check the network, then run make setup again.'
    for package in "$work"/*.deb; do dpkg-deb --extract "$package" "$work/root"; done
    mv "$work/root/usr/lib/x86_64-linux-gnu" "$work/lib"
    rm -rf "$work/lib/gconv"
}

# An interpreter that names the private loader is complete: everything else is done before it takes its place.
patch_interpreter() {
    local base version patched=$venv/bin/.python.patched
    base=$("$venv/bin/python" -c 'import sys; print(sys.base_prefix)')
    version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    cp -L "$venv/bin/python" "$patched"
    "$patchelf" --set-interpreter "$venv/glibc/ld-linux-x86-64.so.2" "$patched"
    "$patchelf" --set-rpath "$venv/glibc:$base/lib" --force-rpath "$patched"
    "$patchelf" --add-needed libstdc++.so.6 --add-needed libgcc_s.so.1 "$patched"
    "$patched" -c 'import ctypes, ssl, zlib' || fail 'the interpreter does not start with a newer one.'
    ln -sf python "$venv/bin/python3"
    ln -sf python "$venv/bin/python$version"
    mv "$patched" "$venv/bin/python"
}

at_least "$host" "$needed" && exit
[[ $("$patchelf" --print-interpreter "$venv/bin/python") == "$venv/glibc/ld-linux-x86-64.so.2" ]] && exit
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail "there is no $tool to fetch a newer one with."
done
printf 'petseg set-up: glibc %s is older than %s: giving .venv a newer one of its own\n' "$host" "$needed"
rm -rf "$venv"/glibc.*
if [[ ! -d $venv/glibc ]]; then
    work=$(mktemp -d "$venv/glibc.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    unpack
    mv "$work/lib" "$venv/glibc"
fi
patch_interpreter
