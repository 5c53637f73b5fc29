#!/usr/bin/env bash
# npm run test:cluster: builds what is missing, starts a cluster, runs the specs inside it, and takes it down.
# npm run test:cluster -- scaling   runs one of them.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$HERE/../.."
ARCHIVES=${SEGUE_CLUSTER_DIR:-/var/tmp/segue-cluster}/archives
type -P etcd containerd buildah promtool >/dev/null || e2e/cluster/cluster.sh install
e2e/cluster/cluster.sh build
e2e/cluster/images.sh build
e2e/cluster/images.sh export "$ARCHIVES"
trap 'e2e/cluster/cluster.sh down' EXIT
e2e/cluster/cluster.sh up
e2e/cluster/cluster.sh load "$ARCHIVES"
rm -rf "$ARCHIVES"
for spec in ${*:-manifests running processor scaling}; do
  e2e/cluster/cluster.sh exec node_modules/.bin/vitest run --root e2e/cluster "$spec.spec.ts"
done
