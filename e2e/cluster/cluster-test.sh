#!/usr/bin/env bash
# npm run test:cluster: builds what is missing, starts a cluster, runs the specs inside it, and takes it down.
# npm run test:cluster -- scaling   runs one of them.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
ARCHIVES=${SEGUE_CLUSTER_DIR:-/var/tmp/segue-cluster}/archives
step() { printf '▸ %s (%d s)\n' "$1" "$SECONDS"; }

type -P etcd containerd buildah prometheus >/dev/null || { step 'Installing packages' && e2e/cluster/cluster.sh install; }
step 'Kubernetes and KEDA, compiled where they are not yet'
e2e/cluster/cluster.sh build
step 'Images, by step 1 of the guide'
e2e/cluster/images.sh build
e2e/cluster/images.sh export "$ARCHIVES"
step 'Starting the cluster'
trap 'e2e/cluster/cluster.sh down' EXIT
e2e/cluster/cluster.sh up
e2e/cluster/cluster.sh load "$ARCHIVES"
rm -rf "$ARCHIVES"
for spec in ${*:-manifests running processor scaling sentinel}; do
  step "$spec"
  e2e/cluster/cluster.sh exec node_modules/.bin/vitest run --root e2e/cluster "$spec.spec.ts"
done
step 'All of it passed'
