#!/usr/bin/env bash
# usage: bare_metal_gpu_pool.sh NODE…
#
# Makes nodes of your own, on which NVIDIA's driver and container toolkit are installed, the GPU pool: installs the
# device plugin, which tells Kubernetes of their GPUs, and labels and taints the nodes so that only what asks for a GPU
# runs there. The plugin's own pods tolerate the taint. bare_metal_gpu.toml is the Trainer's side of it.
set -euo pipefail
(($#)) || { echo 'name at least one node: kubectl get nodes' >&2 && exit 2; }
kubectl label node "$@" petseg/pool=gpu --overwrite
kubectl taint node "$@" nvidia.com/gpu=present:NoSchedule --overwrite
helm upgrade --install nvidia-device-plugin nvidia-device-plugin \
    --repo https://nvidia.github.io/k8s-device-plugin --namespace nvidia-device-plugin --create-namespace \
    --set-string 'nodeSelector.petseg/pool=gpu' --set-json 'affinity={}'
kubectl wait node "$@" --for=jsonpath='{.status.allocatable.nvidia\.com/gpu}' --timeout=180s
