#!/bin/sh
# The contracts are well-formed and formatted, break nothing released, and the committed code is what they generate.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
buf lint
buf format --diff --exit-code
if tag=$(git describe --tags --abbrev=0 --match='v*' 2>/dev/null); then
  buf breaking --against ".git#tag=$tag"
else
  echo 'No release yet: the contracts are not compared with an earlier version.'
fi
buf generate --output "$generated"
diff --recursive libs/contracts/src/gen "$generated/libs/contracts/src/gen" || {
  echo 'The generated code is out of date: npm run proto'
  exit 1
}
