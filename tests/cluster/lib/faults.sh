# shellcheck shell=bash
# Fault injection.

COMPONENTS="apiserver, etcd, scheduler, controller-manager, kubelet, containerd"

# node_name NAME: the full name of a node, from its short one (worker2) or its full one.
node_name() {
	local full=$1
	[[ $full == "$CLUSTER_NAME"-* ]] || full=$CLUSTER_NAME-$full
	cluster_nodes | grep -qxF "$full" || die "no node $1; the nodes are: $(cluster_nodes | sed "s/^$CLUSTER_NAME-//" | paste -sd' ')"
	printf '%s\n' "$full"
}

# A paused node behaves like one that lost power or network: it stops without a message.
fail_node() {
	require_cluster
	local node
	node=$(node_name "$1")
	[[ $(docker inspect -f '{{.State.Paused}}' "$node") == true ]] || docker pause "$node" >/dev/null
	say "paused $node; Kubernetes notices within a minute; 'tests/cluster/cluster heal $1' resumes it"
}

heal_node() {
	require_cluster
	local node
	node=$(node_name "$1")
	[[ $(docker inspect -f '{{.State.Paused}}' "$node") == false ]] || docker unpause "$node" >/dev/null
	say "resumed $node"
}

# kill_component NAME [NODE]: sends SIGKILL; the kubelet or systemd restarts the component.
kill_component() {
	require_cluster
	local node process
	node=$(node_name "${2:-control-plane}")
	case $1 in
	apiserver | scheduler | controller-manager) process=kube-$1 ;;
	etcd | kubelet | containerd) process=$1 ;;
	*) usage_error "unknown component $1; choose one of $COMPONENTS" ;;
	esac
	# The kernel keeps 15 characters of a process name.
	docker exec "$node" pkill -KILL -x "${process:0:15}" || die "$process is not running on $node"
	say "killed $process on $node; it restarts by itself"
}
