#!/bin/sh
# Make the virtual environment .venv in the current directory, or name what is missing.
# Usage: tools/setup.sh basic|full PYTHON
#
# "basic" starts from scratch and installs the packages for simulation and bitstreams. "full" adds
# those for training and tests. Each writes its stamp, .venv/ready-*, last, so that an interrupted
# set-up is never taken for a complete one.
set -eu
stage=$1 python=$2

fail() {
    echo "egru-hw: $*" >&2
    exit 1
}

install() {
    .venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$@" ||
        fail "pip could not install the packages named above: run 'make setup' to start over."
}

case $stage in
basic)
    rm -f .venv/ready-*
    for tool in g++ make perl; do
        command -v "$tool" >/dev/null ||
            fail "$tool is missing (Debian, Ubuntu: apt install $tool)."
    done
    command -v "$python" >/dev/null ||
        fail "$python is missing (Debian, Ubuntu: apt install python3 python3-venv)."
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        fail "$python does not run."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or later is required, but $python is $version:" \
            "name another one, for example make PYTHON=python3.12."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv module is missing (Debian, Ubuntu: apt install python3-venv)."
    echo "egru-hw: making .venv with Python $version; this takes a few minutes, once."
    "$python" -m venv --clear .venv ||
        fail "Python's venv module does not work: '$python -m venv' failed as shown above."
    # The build system of this package, pinned: --no-build-isolation uses it from here.
    install cmake nanobind ninja scikit-build-core
    install --no-build-isolation --config-settings=wheel.cmake=false --editable '.[sim,boards]'
    ;;
full)
    echo "egru-hw: adding PyTorch and the test tools to .venv; this takes a few minutes, once."
    install --no-build-isolation --editable '.[sim,boards,report,train,dev]'
    ;;
esac
touch ".venv/ready-$stage"
