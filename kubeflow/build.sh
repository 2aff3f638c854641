#!/usr/bin/env bash
# usage: build.sh cpu|gpu [TAG]
#
# Builds the image of kubeflow/Dockerfile from this checkout. DOCKER names another builder with docker's commands, such
# as podman; DOCKER_BUILD_ARGS is passed on, such as '--network host' or '--no-cache'.
#
# Where Docker Hub or PyPI cannot be reached as they are, the build goes by the same variables as other tools:
#   BASE_IMAGE, BUILDER_IMAGE                        what the image and its builder are made from
#   UV_DEFAULT_INDEX, PIP_INDEX_URL                  the package index; uv's for both when pip has none
#   HTTP_PROXY, HTTPS_PROXY, NO_PROXY                the way to it, also in small letters
#   SSL_CERT_FILE                                    a file of the certificates to trust, all of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'petseg image: %s\n' "$1" >&2
    printf '  - %s\n' "${@:2}" >&2
    exit 1
}

target=${1:-}
[[ $target == cpu || $target == gpu ]] ||
    fail "expected the target cpu or gpu, got '$target'." 'make image, make image-gpu'
docker=${DOCKER:-docker}
command -v "$docker" >/dev/null || fail "there is no $docker to build with." \
    'Install Docker with BuildKit (23 or newer), or name another builder: make image DOCKER=podman' \
    'Or build on another machine or in the cluster: any builder that takes a Dockerfile and BuildKit mounts will do.'
"$docker" info >/dev/null 2>&1 || fail "$docker does not reach its engine." \
    "'$docker info' says why; the engine may not be started, or this user may not use it."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || printf 'unknown')
[[ $revision == unknown || -z $(git status --porcelain) ]] || revision+=-modified
tag=${2:-petseg:latest}
[[ -n ${2:-} || $target == cpu ]] || tag=petseg:latest-gpu

read -r -a build_args <<<"${DOCKER_BUILD_ARGS:-}"
[[ -z ${UV_DEFAULT_INDEX:-} ]] || export PIP_INDEX_URL="${PIP_INDEX_URL:-$UV_DEFAULT_INDEX}"
for name in BASE_IMAGE BUILDER_IMAGE UV_DEFAULT_INDEX PIP_INDEX_URL {HTTP,HTTPS,NO}_PROXY {http,https,no}_proxy; do
    [[ -z ${!name:-} ]] || build_args+=(--build-arg "$name") # its value stays off the command line
done
if [[ -n ${SSL_CERT_FILE:-} ]]; then
    [[ -f $SSL_CERT_FILE ]] || fail "SSL_CERT_FILE names no file: '$SSL_CERT_FILE'." 'Correct it, or unset it.'
    build_args+=(--secret "id=certificates,src=$SSL_CERT_FILE")
fi
DOCKER_BUILDKIT=1 "$docker" build --file kubeflow/Dockerfile --target "$target" --tag "$tag" \
    --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
    --build-arg "SOURCE=$(git remote get-url origin 2>/dev/null || printf 'unknown')" "${build_args[@]}" .
printf 'petseg image: built %s (target %s, version %s, revision %s)\n' "$tag" "$target" "$version" "$revision"
