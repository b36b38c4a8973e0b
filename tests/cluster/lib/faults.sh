# shellcheck shell=bash
# Faults on purpose.

COMPONENTS="apiserver, etcd, scheduler, controller-manager, kubelet, containerd"

# node_name NAME: the full name of a node, from its short one (worker2) or its full one.
node_name() {
	local full=$1
	[[ $full == "$CLUSTER_NAME"-* ]] || full=$CLUSTER_NAME-$full
	cluster_nodes | grep -qxF "$full" || die "no node $1; the nodes are: $(cluster_nodes | sed "s/^$CLUSTER_NAME-//" | paste -sd' ')"
	printf '%s\n' "$full"
}

# A paused node is one that lost power or network: all in it stands still, nothing is told.
fail_node() {
	require_cluster
	local node
	node=$(node_name "$1")
	[[ $(docker inspect -f '{{.State.Paused}}' "$node") == true ]] || docker pause "$node" >/dev/null
	say "$node stands still; Kubernetes notices within a minute; 'tests/cluster/cluster heal $1' brings it back"
}

heal_node() {
	require_cluster
	local node
	node=$(node_name "$1")
	[[ $(docker inspect -f '{{.State.Paused}}' "$node") == false ]] || docker unpause "$node" >/dev/null
	say "$node goes on"
}

# kill_component NAME [NODE]: with SIGKILL; the kubelet or systemd starts it again.
kill_component() {
	require_cluster
	local node process
	node=$(node_name "${2:-control-plane}")
	case $1 in
	apiserver | scheduler | controller-manager) process=kube-$1 ;;
	etcd | kubelet | containerd) process=$1 ;;
	*) usage_error "unknown component $1; choose one of $COMPONENTS" ;;
	esac
	# The kernel keeps 15 characters of a process's name.
	docker exec "$node" pkill -KILL -x "${process:0:15}" || die "$process does not run on $node"
	say "killed $process on $node; it comes back by itself"
}
