#!/usr/bin/env bash
# usage: CLUSTER=NAME LOCATION=ZONE gke_gpu_pool.sh
#
# A node pool of GKE with one NVIDIA L4 a node, that shrinks to nothing when no Trainer runs. GKE labels its nodes
# cloud.google.com/gke-accelerator=nvidia-l4, taints them nvidia.com/gpu=present:NoSchedule and installs driver and
# device plugin; gke_gpu.toml is the Trainer's side of it. With ReadWriteOnce volumes the pool must be in their zone.
set -euo pipefail
gcloud container node-pools create petseg-gpu \
    --cluster "${CLUSTER:?names the cluster}" --location "${LOCATION:?names its zone or region}" \
    --machine-type g2-standard-8 --accelerator type=nvidia-l4,count=1,gpu-driver-version=default \
    --disk-size 100 --enable-autoscaling --num-nodes 0 --min-nodes 0 --max-nodes 1
