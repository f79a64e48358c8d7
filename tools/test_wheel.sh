#!/bin/sh
# Try the package outside the checkout: sdist, wheel from it, and an installation of that in a new
# environment, used from an unrelated folder. Usage: make wheel-test
#
# Nothing is downloaded: the new environment finds its dependencies in .venv, but not the checkout,
# as Python ignores the .pth files of a folder that is itself named in a .pth file.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

echo "egru-hw: building the sdist, and the wheel from it"
PATH="$PWD/.venv/bin:$PATH"
python -c 'import sys, scikit_build_core.build as b; b.build_sdist(sys.argv[1])' "$scratch" \
    >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
python -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps \
    --wheel-dir "$scratch" "$scratch"/*.tar.gz

echo "egru-hw: installing the wheel into a new environment"
python -m venv --without-pip "$scratch/venv"
python -m pip --python "$scratch/venv/bin/python" install -q --disable-pip-version-check \
    --no-index --no-deps "$scratch"/*.whl
python -c 'import pathlib, numpy; print(pathlib.Path(numpy.__file__).parents[1])' \
    >"$(echo "$scratch"/venv/lib/python*/site-packages)/dependencies.pth"

mkdir "$scratch/elsewhere"
cd "$scratch/elsewhere"
PATH="$scratch/venv/bin:$PATH"
set -x
egru --version
egru sim mnist1d --sequences 3
python -c 'from golden import EGRU; import torch; EGRU(2, 3, backend="core")(torch.ones(4, 1, 2))'
egru train mnist1d --epochs 1 --limit 200 --out model.safetensors
egru eval model.safetensors
