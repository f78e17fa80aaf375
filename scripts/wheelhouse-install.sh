#!/bin/sh
# Install edgesdk's agent on this device from the wheels beside this file. Needs no network and no root.
#
#   sh install.sh [VENV]                        (default: ~/edgesdk)
#   sh install.sh --system-site-packages VENV   the environment also sees the system's Python packages
#   sh install.sh --isolated VENV               it does not, whatever the target's default is
#   sh install.sh --no-compile VENV             leave compiling to the first start
#   PYTHON=/path/to/python3.11 sh install.sh    choose the interpreter
#
# An existing environment is brought up to date; a new one that could not be completed is removed again.
set -eu

die() {
    echo "install.sh: $1" >&2
    [ -z "${2:-}" ] || echo "  -> $2" >&2
    exit 1
}

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
[ -f "$here/wheelhouse.env" ] && [ -f "$here/requirements.lock" ] || die \
    "$here is no complete wheelhouse." "Copy the whole folder that scripts/wheelhouse wrote."
. "$here/wheelhouse.env"

site_packages=$SYSTEM_SITE_PACKAGES compile= venv=
while [ $# -gt 0 ]; do
    case $1 in
        --system-site-packages) site_packages=yes ;;
        --isolated) site_packages=no ;;
        --no-compile) compile=--no-compile ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) die "unknown option $1" "sh install.sh --help" ;;
        *) [ -z "$venv" ] || die "only one folder can be given."; venv=$1 ;;
    esac
    shift
done
venv=${venv:-$HOME/edgesdk}

python=${PYTHON:-python$PYTHON_VERSION}
command -v "$python" >/dev/null 2>&1 || python=python3
command -v "$python" >/dev/null 2>&1 || die "there is no Python here." "Install Python $PYTHON_VERSION, or set PYTHON."
found=$("$python" -c 'import platform, sys; print("%d.%d %s" % (*sys.version_info[:2], platform.machine()))')
[ "$found" = "$PYTHON_VERSION $ARCH" ] || die \
    "these wheels are for Python $PYTHON_VERSION on $ARCH, but $python is $found." \
    "Set PYTHON to a Python $PYTHON_VERSION, or make a wheelhouse for this one: scripts/wheelhouse --target $TARGET --python ${found%% *}"
"$python" -c '
import platform, sys
have, want = (tuple(map(int, text.split("."))) for text in (platform.libc_ver()[1] or "0", sys.argv[1]))
sys.exit(have < want)' "$GLIBC" || die "these wheels need glibc $GLIBC or newer." "Update the system of this device."
"$python" -c 'import ensurepip, venv' 2>/dev/null || die \
    "this Python cannot make virtual environments." "sudo apt install python3-venv"

fresh=no
if [ ! -e "$venv" ]; then
    fresh=yes
elif [ ! -f "$venv/pyvenv.cfg" ]; then
    die "$venv exists and is no virtual environment." "Give another folder."
fi
cleanup() {
    status=$?
    [ "$status" -eq 0 ] || [ $fresh = no ] || rm -rf "$venv"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

option=
[ $site_packages = no ] || option=--system-site-packages
if [ $fresh = yes ]; then
    echo "Making $venv"
    "$python" -m venv $option "$venv"
fi
echo "Installing $(grep -c '^[^#]' "$here/requirements.lock") packages"
# The settings of this user and this machine must not add another source.
PIP_CONFIG_FILE=/dev/null "$venv/bin/python" -m pip --isolated --disable-pip-version-check install --quiet \
    --no-index --require-hashes --find-links "$here" $compile -r "$here/requirements.lock" ||
    die "pip could not install; what it said stands above." "Is there room? The environment takes four times the wheels."

# All in one go, as most of them need numpy, and only where that fails one after the other.
"$venv/bin/python" -c "import $(echo $MODULES | tr ' ' ',')" 2>/dev/null || for module in $MODULES; do
    "$venv/bin/python" -c "import $module" || die "$module was installed, but does not load here; see above."
done
for module in $SYSTEM_MODULES; do
    "$venv/bin/python" -c "import $module" 2>/dev/null ||
        echo "Note: $module of this device's system is not visible in $venv; the next runtime of the chain is used." >&2
done
echo "Installed for $TARGET. Next: $venv/bin/edgesdk-agent --help"
