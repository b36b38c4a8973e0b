# shellcheck shell=bash
# The cluster itself, on either engine.

NODES_READY_SECONDS=90
PULL_SECONDS=300
API_BACK_SECONDS=90 # a killed API server restarts by itself

# use_engine host|private: points kind, and the docker command that it calls, to that daemon.
use_engine() {
	mkdir -p "$STATE/bin"
	TOOLS_BIN=$(tools_folder)
	PATH=$TOOLS_BIN:$PATH
	printf '%s\n' "$1" >"$STATE/engine"
	[[ $1 == private ]] || return 0
	ln -sfn /usr/bin/docker "$STATE/bin/docker"
	export DOCKER_HOST=unix://$SOCKET DOCKER_CONFIG=$STATE/client
	PATH=$STATE/bin:$PATH
}

engine() { cat "$STATE/engine" 2>/dev/null || echo none; }

host_docker_pulls() {
	# The private daemon is running, so the registry was unreachable before: do not try it again.
	[[ $(engine) != private ]] || ! daemon_answers || return 1
	docker info >/dev/null 2>&1 || return 1
	docker image inspect "kindest/node:$KUBERNETES_VERSION" >/dev/null 2>&1 ||
		timeout "$PULL_SECONDS" docker pull -q "kindest/node:$KUBERNETES_VERSION" >/dev/null 2>&1
}

cluster_nodes() { docker ps -a --filter "label=io.x-k8s.kind.cluster=$CLUSTER_NAME" --format '{{.Names}}' | sort; }

kube() { "$TOOLS_BIN/kubectl" --kubeconfig "$KUBECONFIG_FILE" --request-timeout 10s "$@"; }

cluster_up() {
	local nodes=$1 image existing
	if host_docker_pulls; then
		[[ $(engine) == host || -z $(cluster_nodes) ]] ||
			die "a kind cluster $CLUSTER_NAME exists that tests/cluster did not create: if you do not need it, run 'kind delete cluster --name $CLUSTER_NAME'"
		use_engine host
		image=kindest/node:$KUBERNETES_VERSION
	else
		daemon_up
		use_engine private
		image=$(node_image_up)
	fi
	existing=$(cluster_nodes | wc -l)
	if ((existing > 0)) && cluster_healthy; then
		((existing == nodes)) || die "a cluster of $existing nodes is up, not $nodes: run 'tests/cluster/cluster down' first, or ask for --nodes $existing"
		say "the cluster is up already ($nodes nodes)"
		return
	fi
	((existing == 0)) || step "remove what is left of an earlier cluster" delete_cluster
	printf '%s\n' "$nodes" >"$STATE/nodes"
	step "kind: create $nodes node(s)" create_cluster "$nodes" "$image"
	step "nodes ready, DNS up" cluster_settled
}

cluster_healthy() {
	local node
	for node in $(docker ps --filter "label=io.x-k8s.kind.cluster=$CLUSTER_NAME" --filter status=paused --format '{{.Names}}'); do
		docker unpause "$node" >/dev/null
	done
	[[ -z $(docker ps -aq --filter "label=io.x-k8s.kind.cluster=$CLUSTER_NAME" --filter status=exited) ]] &&
		[[ -f $KUBECONFIG_FILE ]] && retry "$API_BACK_SECONDS" kube get --raw /readyz >/dev/null && (cluster_settled >/dev/null 2>&1)
}

create_cluster() {
	local config=$STATE/kind-config.yaml
	cp "$ROOT/kind-config.yaml" "$config"
	(($1 > 1)) || sed -i '/role: worker/d' "$config"
	(umask 077 && kind create cluster --name "$CLUSTER_NAME" --config "$config" --image "$2" --kubeconfig "$KUBECONFIG_FILE" --wait 90s)
}

cluster_settled() {
	kube wait --request-timeout 0 --for=condition=Ready nodes --all --timeout "${NODES_READY_SECONDS}s" &&
		kube rollout status --request-timeout 0 -n kube-system deployment/coredns --timeout "${NODES_READY_SECONDS}s"
}

delete_cluster() { kind delete cluster --name "$CLUSTER_NAME" --kubeconfig "$KUBECONFIG_FILE"; }

cluster_down() {
	case $(engine) in
	host)
		use_engine host
		step "kind: delete the cluster" delete_cluster
		;;
	private) daemon_down ;;
	none) sweep_machine ;;
	esac
	rm -rf "$KUBECONFIG_FILE" "${STATE:?}"/{engine,nodes,kind-config.yaml,bin,client,build,docker.log}
}

# require_cluster: for commands that need a cluster of this tool.
require_cluster() {
	local engine
	engine=$(engine)
	[[ $engine != none ]] || die "no cluster is up: run 'tests/cluster/cluster up' first"
	use_engine "$engine"
	[[ -n $(cluster_nodes) ]] || die "no cluster is up: run 'tests/cluster/cluster up' first"
}

load_images() {
	local tar
	for tar in "$@"; do
		[[ -f $tar ]] || die "$tar: no such file; write images with 'images/build'"
	done
	require_cluster
	for tar in "$@"; do
		step "load $(basename "$tar")" kind load image-archive --name "$CLUSTER_NAME" "$tar"
	done
}

show_status() {
	local engine
	engine=$(engine)
	if [[ $engine == none ]]; then
		say "no cluster"
		return 1
	fi
	use_engine "$engine"
	printf 'engine      %s\nkubeconfig  %s\nnodes       %s\n' "$engine" "$KUBECONFIG_FILE" "$(cat "$STATE/nodes")"
	docker ps -a --filter "label=io.x-k8s.kind.cluster=$CLUSTER_NAME" --format '{{.Names}}\t{{.Status}}' | sort
	kube get nodes
}
