#!/bin/sh
# Make this device one of a fleet: install the agent from the fleet's wheelhouse, claim its identity, start the service.
#   { echo EDGESDK_ENROL_TOKEN=TOKEN; curl … https://FLEET/enrol/install.sh; } | sudo sh -s -- --server https://FLEET [options]
#
# The token comes before this, on the same way: other users can read a program's arguments.
#   --ca-sha256 HEX   the fleet's authority, by its certificate's SHA-256
#   --target NAME     which wheelhouse; `any` unless given
#   --venv DIR        where the agent is installed (/opt/edgesdk); one that has the agent is used as it is
#   anything else is handed to `edgesdk-agent enrol`
#
# All of it is one function that is called at the end, so that a download cut short runs nothing.
set -eu
umask 022

die() {
    echo "enrol: $1" >&2
    [ -z "${2:-}" ] || echo "  -> $2" >&2
    exit 1
}

main() {
    server='' token=${EDGESDK_ENROL_TOKEN:-} ca='''' target=any venv=/opt/edgesdk rest=''
    while [ $# -gt 0 ]; do
        case $1 in
            --server) server=$2; shift 2 ;;
            --token) token=$2; shift 2 ;;
            --ca-sha256) ca=$2; shift 2 ;;
            --target) target=$2; shift 2 ;;
            --venv) venv=$2; shift 2 ;;
            *[!A-Za-z0-9_./:=@,+-]*) die "an option has a character that is not taken here: $1" ;;
            *) rest="$rest $1"; shift ;;
        esac
    done
    [ -n "$server" ] || die "--server is missing." "Paste the whole line."
    [ -n "$token" ] || die "the token is missing." "Paste the whole line."
    command -v python3 >/dev/null 2>&1 || die "there is no python3 here." "sudo apt install python3 python3-venv"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT

    # Trust the authority whose certificate the line names, and nobody else.
    if [ -n "$ca" ]; then
        curl -fsSLk --proto '=https' -o "$work/ca.crt" "$server/enrol/ca.crt" || die "$server does not answer."
        found=$(python3 -c 'import hashlib, ssl, sys
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(sys.argv[1]).read())).hexdigest())' "$work/ca.crt") ||
            die "$server did not send a certificate."
        [ "$found" = "$ca" ] || die "$server is not the fleet that this line is for." \
            "Its authority is $found. Somebody may stand between; do not go on."
        set -- --cacert "$work/ca.crt"
    else
        set --
    fi

    if [ ! -x "$venv/bin/edgesdk-agent" ]; then
        echo "installing the agent into $venv"
        mkdir "$work/wheelhouse"
        curl -fsSL --proto '=https' "$@" -o "$work/wheelhouse.tar" "$server/enrol/wheelhouse/$target.tar" ||
            die "the fleet has no installer for $target." "Give --target, or install the agent first: docs/enrolling.md."
        tar -xf "$work/wheelhouse.tar" -C "$work/wheelhouse"
        sh "$work/wheelhouse/install.sh" "$venv"
    fi
    # By the environment, as other users can read a program's arguments.
    # shellcheck disable=SC2086  # words without blanks, checked above
    EDGESDK_ENROL_TOKEN=$token "$venv/bin/edgesdk-agent" enrol --server "$server" ${ca:+--ca-sha256 "$ca"} $rest
}

main "$@"
