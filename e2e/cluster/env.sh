# shellcheck shell=bash
# Sourced by every script of the cluster: where things are, and the addresses. Variables that may be set from outside:
#   KUBERNETES    1.34 (default) or 1.35
#   E2E_CACHE     what is built, kept from run to run
#   DUAL=1        IPv4 and IPv6 for nodes, pods and Services
#   PROXY_MODE    of kube-proxy: nftables (default) or iptables
#   E2E_PREFIX    of network namespaces and cgroups; another one allows a second cluster on the same machine
CLUSTER=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
REPO=$(readlink -f "$CLUSTER/../..")

KUBERNETES=${KUBERNETES:-1.34}
case $KUBERNETES in
    1.34) K8S=34.4 HELM=3.19.5 COREDNS=1.13.2 ;;
    1.35) K8S=35.4 HELM=3.20.2 COREDNS=1.14.5 ;;
    *) echo "KUBERNETES is '$KUBERNETES'; expected 1.34 or 1.35" >&2; exit 2 ;;
esac
PREFIX=${E2E_PREFIX:-me}
CACHE=${E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mynah-e2e}
BIN=$CACHE/kubernetes-1.$K8S                # cluster, coredns, helm
IMAGES=$CACHE/images                        # archives that every node loads when it starts
RUN=$CACHE/run-$PREFIX                      # of the cluster that runs: keys, logs, process numbers
PKI=$RUN/pki LOG=$RUN/log

CP_IP=198.18.0.1
CLIENT_IP() { echo "198.18.0.$((100 + $1))"; }; CLIENTS=8    # a client needs several: an address has 28,000 ports
NODE_IP() { echo "198.18.0.$((10 + $1))"; }
POD_CIDR=198.19.0.0/16; POD_SUBNET() { echo "198.19.$1.0/24"; }
SERVICE_CIDR=198.18.128.0/20 SERVICE_API=198.18.128.1
DUAL=${DUAL:-0}
CP_IP6=fd00:198:18::1 CLIENT_IP6=fd00:198:18::100; NODE_IP6() { echo "fd00:198:18::1$1"; }
POD_CIDR6=fd00:198:19::/48; POD_SUBNET6() { echo "fd00:198:19:$1::/64"; }; SERVICE_CIDR6=fd00:198:20::/112
PROXY_MODE=${PROXY_MODE:-nftables}

# Prints its argument when the cluster has IPv6 as well.
dual() { [ "$DUAL" != 1 ] || echo "$1"; }
# Runs a command in a network namespace. Not `ip netns exec`, which mounts /sys again and so hides the cgroups.
innet() { local name=$1; shift; nsenter --net="/run/netns/$PREFIX-$name" "$@"; }
# Tries a command for a while. Usage: eventually SECONDS WHAT COMMAND...
eventually() {
    local end=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "e2e: gave up waiting until $what" >&2; return 1; }
        sleep 0.2
    done
}
