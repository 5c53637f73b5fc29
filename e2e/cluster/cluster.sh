#!/usr/bin/env bash
# A real Kubernetes on one Debian machine, as root, without a registry: etcd, control plane, one node with containerd,
# metrics-server, KEDA, Prometheus.
#   cluster.sh install         Debian's packages that it needs
#   cluster.sh build           Kubernetes and KEDA from their Go modules, into $SEGUE_CLUSTER_DIR/bin
#   cluster.sh up | down       starts all of it, ends exactly what it started
#   cluster.sh definitions     the custom resources of KEDA and of the Prometheus operator
#   cluster.sh load FOLDER     imports the images that images.sh has exported there, and gives them the names that overlays use
#   cluster.sh exec COMMAND…   runs a command inside, e.g. kubectl
# Everything lives in a network namespace that leads nowhere: no port collides, nothing is reached from outside.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HOME_DIR=${SEGUE_CLUSTER_DIR:-/var/tmp/segue-cluster}
BIN=$HOME_DIR/bin
RUN=$HOME_DIR/run/cluster
PKI=$RUN/pki
NETWORK=segue-cluster
VOLUME=/var/tmp/segue-cluster-redis # as the volumes of overlays/node and overlays/sentinel name it
NODE_IP=198.18.0.1
KUBERNETES=v1.34.4
KEDA=v2.21.0
PROMETHEUS_OPERATOR=v0.85.0
export KUBECONFIG=$RUN/kubeconfig

# `ip netns exec` would mount a fresh /sys and hide the cgroups from runc.
inside() { nsenter --net="/run/netns/$NETWORK" "$@"; }
kubectl() { inside "$(type -P kubectl)" "$@"; }
ctr() { command ctr --address "$RUN/containerd.sock" --namespace k8s.io "$@"; }

# start NAME COMMAND…: in the background; its log and its process id are kept
start() {
  local name=$1
  shift
  (exec nsenter --net="/run/netns/$NETWORK" "$@") >"$RUN/$name.log" 2>&1 </dev/null &
  echo $! >"$RUN/$name.pid"
}

# end NAME: TERM, and KILL after 10 s
end() {
  local file=$RUN/$1.pid pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 40); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
  kill -KILL "$pid" 2>/dev/null || true
  rm "$file"
}

# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local limit=$1 what=$2 begun=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS - begun > limit)); then
      echo "gave up after $limit s: $what; see $RUN/*.log" >&2
      return 1
    fi
    sleep 0.5
  done
}

install_packages() {
  apt-get install -y -q --no-install-recommends etcd-server containerd runc containernetworking-plugins iptables catatonit \
    iproute2 buildah podman podman-compose netavark aardvark-dns conmon debootstrap prometheus >/dev/null
}

build() {
  mkdir -p "$BIN"
  export CGO_ENABLED=0
  [ "$BIN/kube" -nt "$HERE/programs/kube/go.mod" ] || (cd "$HERE/programs/kube" &&
    go build -p 2 -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$KUBERNETES" -o "$BIN/kube" .)
  local program source=$HOME_DIR/keda
  [ -x "$BIN/keda-adapter" ] && return
  rm -rf "$source" && cp -r "$(module "github.com/kedacore/keda/v2@$KEDA")" "$source" && chmod -R u+w "$source"
  command node "$HERE/programs/keda/prune.mjs" "$source"
  for program in operator adapter; do
    (cd "$source" && go build -p 2 -trimpath -ldflags '-s -w' -o "$BIN/keda-$program" "./cmd/$program")
  done
  rm -rf "$source"
}

# module PATH@VERSION: where Go keeps it
module() { go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",/\1/p'; }

definitions() {
  kubectl apply --server-side -f "$(module "github.com/kedacore/keda/v2@$KEDA")/config/crd/bases" >/dev/null
  local operator
  operator=$(module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR")/example/prometheus-operator-crd
  kubectl apply --server-side -f "$operator/monitoring.coreos.com_podmonitors.yaml" \
    -f "$operator/monitoring.coreos.com_prometheusrules.yaml" >/dev/null
  kubectl wait --for=condition=Established --timeout=60s customresourcedefinition --all >/dev/null
}

certificates() {
  mkdir -p "$PKI" && cd "$PKI"
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=segue-cluster -keyout ca.key -out ca.crt 2>/dev/null
  # certificate NAME SUBJECT NAMES
  certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out "$1.crt" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3") 2>/dev/null
  }
  certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1,IP:$NODE_IP"
  certificate admin /O=system:masters/CN=admin DNS:localhost
  certificate front-proxy /CN=front-proxy DNS:localhost
  certificate tls /CN=apis "DNS:localhost,DNS:keda-metrics-apiserver.keda.svc,DNS:metrics-server.kube-system.svc,IP:127.0.0.1"
  cd - >/dev/null
  cat >"$KUBECONFIG" <<YAML
apiVersion: v1
kind: Config
current-context: segue
clusters: [{ name: segue, cluster: { server: 'https://127.0.0.1:6443', certificate-authority: $PKI/ca.crt } }]
users: [{ name: admin, user: { client-certificate: $PKI/admin.crt, client-key: $PKI/admin.key } }]
contexts: [{ name: segue, context: { cluster: segue, user: admin } }]
YAML
}

up() {
  if [ -e "$RUN/etcd.pid" ]; then echo 'it is up already' >&2 && return 1; fi
  mkdir -p "$RUN"
  ip netns add "$NETWORK"
  ip -n "$NETWORK" link set lo up
  ip -n "$NETWORK" link add node0 type bridge
  ip -n "$NETWORK" addr add "$NODE_IP/32" dev node0
  ip -n "$NETWORK" link set node0 up
  ip -n "$NETWORK" route add default dev node0 # the API server asks for one; it leads nowhere
  certificates
  control_plane
  node
  definitions
  sed "s|CA_BUNDLE|$(base64 -w0 "$PKI/ca.crt")|" "$HERE/apis.yaml" | kubectl apply --filename - >/dev/null
  metrics_server
  keda
  prometheus
}

control_plane() {
  local credentials=(--kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG" --authorization-kubeconfig "$KUBECONFIG"
    --bind-address 127.0.0.1 --leader-elect=false)
  start etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync
  start apiserver "$BIN/kube" apiserver --etcd-servers http://127.0.0.1:2379 --advertise-address "$NODE_IP" \
    --service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC \
    --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" --client-ca-file "$PKI/ca.crt" \
    --kubelet-client-certificate "$PKI/admin.crt" --kubelet-client-key "$PKI/admin.key" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc --service-account-signing-key-file "$PKI/sa.key" \
    --service-account-key-file "$PKI/sa.pub" \
    --requestheader-client-ca-file "$PKI/ca.crt" --requestheader-allowed-names front-proxy \
    --requestheader-extra-headers-prefix X-Remote-Extra- --requestheader-group-headers X-Remote-Group \
    --requestheader-username-headers X-Remote-User \
    --proxy-client-cert-file "$PKI/front-proxy.crt" --proxy-client-key-file "$PKI/front-proxy.key"
  wait_for 180 'API server' kubectl get --raw /readyz
  start controller-manager "$BIN/kube" controller-manager "${credentials[@]}" --horizontal-pod-autoscaler-sync-period 5s \
    --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" --node-monitor-grace-period 120s
  start scheduler "$BIN/kube" scheduler "${credentials[@]}"
  wait_for 120 'default service account' kubectl get serviceaccount default
}

node() {
  local file
  mkdir -p "$RUN/cni"
  install -d -o 999 -g 999 "$VOLUME"{,-1,-2}
  for file in containerd.toml cni.conflist kubelet.yaml proxy.yaml; do
    sed "s|RUN_DIR|$RUN|g" "$HERE/node/$file" >"$RUN/$file"
  done
  mv "$RUN/cni.conflist" "$RUN/cni/"
  inside sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
  start containerd containerd --config "$RUN/containerd.toml"
  wait_for 60 containerd ctr version
  start kubelet "$BIN/kube" kubelet --config "$RUN/kubelet.yaml" --kubeconfig "$KUBECONFIG" --hostname-override node-1 \
    --node-ip "$NODE_IP" --root-dir "$RUN/kubelet" --cert-dir "$RUN/kubelet/pki" --node-labels topology.kubernetes.io/zone=here
  start proxy "$BIN/kube" proxy --config "$RUN/proxy.yaml"
  wait_for 120 'node' kubectl wait --for=condition=Ready node/node-1 --timeout=1s
}

# As a process of the node, as is KEDA.
metrics_server() {
  start metrics-server "$BIN/kube" metrics-server --kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG" \
    --authorization-kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --secure-port 4443 \
    --tls-cert-file "$PKI/tls.crt" --tls-private-key-file "$PKI/tls.key" \
    --kubelet-insecure-tls --kubelet-preferred-address-types InternalIP --kubelet-request-timeout 5s --metric-resolution 10s
  wait_for 180 'the metrics API' kubectl wait --for=condition=Available --timeout=1s apiservice/v1beta1.metrics.k8s.io
}

# The operator, and the adapter through which the horizontal autoscaler asks it.
keda() {
  local environment=(env KUBECONFIG="$KUBECONFIG" WATCH_NAMESPACE= POD_NAMESPACE=keda KEDA_CLUSTER_OBJECT_NAMESPACE=keda)
  start keda-operator "${environment[@]}" "$BIN/keda-operator" --cert-dir "$PKI" --leader-elect=false \
    --metrics-bind-address 127.0.0.1:9667 --health-probe-bind-address 127.0.0.1:9668 \
    --metrics-service-bind-address 127.0.0.1:9666 --zap-time-encoding=iso8601
  start keda-adapter "${environment[@]}" "$BIN/keda-adapter" --secure-port 9443 --bind-address 127.0.0.1 --port 9669 \
    --cert-dir "$PKI" --tls-cert-file "$PKI/tls.crt" --tls-private-key-file "$PKI/tls.key" --client-ca-file "$PKI/ca.crt" \
    --lister-kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG" --authorization-kubeconfig "$KUBECONFIG" \
    --metrics-service-address 127.0.0.1:9666
  wait_for 180 'the external metrics API' kubectl wait --for=condition=Available --timeout=1s \
    apiservice/v1beta1.external.metrics.k8s.io
}

# With the rules of components/monitoring, as the Prometheus operator would give them to it.
prometheus() {
  sed "s|RUN_DIR|$RUN|g" "$HERE/node/prometheus.yaml" >"$RUN/prometheus.yaml"
  sed '1,/^spec:/d; s/^  //' "$HERE/../../k8s/components/monitoring/rules.yaml" >"$RUN/rules.yaml"
  start prometheus prometheus --config.file "$RUN/prometheus.yaml" --storage.tsdb.path "$RUN/prometheus" \
    --web.listen-address 127.0.0.1:9090
  wait_for 60 Prometheus inside curl --silent --fail http://127.0.0.1:9090/-/ready
}

down() {
  local file mount
  # First whatever would make pods anew; then the kubelet takes down what runs, with its network and mounts.
  end scheduler && end controller-manager
  if [ -f "$RUN/kubelet.pid" ]; then kubectl delete pods --all --all-namespaces --grace-period 1 --timeout 60s >/dev/null 2>&1 || true; fi
  for file in $(ls -t "$RUN"/*.pid 2>/dev/null); do end "$(basename "$file" .pid)"; done
  ip netns del "$NETWORK" 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
  while read -r mount; do umount -l "$mount"; done < <(awk -v run="$RUN/" 'index($2, run) == 1 { print $2 }' /proc/mounts | sort -r)
  rm -rf "$RUN" "$VOLUME"{,-1,-2}
}

load() {
  local file app version
  version=$(command node -p "require('$HERE/../../package.json').version")
  for file in "$1"/*.tar; do ctr images import "$file" >/dev/null; done
  for app in gateway encoder-worker llm-worker decoder-worker model; do
    ctr images tag --force "localhost/segue/$app:test" "docker.io/segue/$app:$version" "registry.example.com/segue/$app:$version" >/dev/null
  done
  ctr images tag --force localhost/segue/model:other "registry.example.com/segue/model:$version-2" >/dev/null
  ctr images tag --force localhost/redis:test docker.io/library/redis:7.2.11 >/dev/null
}

case ${1:-} in
  install) install_packages ;;
  build) build ;;
  load) "$@" ;;
  up | down | definitions) "$1" ;;
  exec) shift && exec nsenter --net="/run/netns/$NETWORK" "$@" ;;
  *) sed -n '2,11p' "$0" && exit 2 ;;
esac
